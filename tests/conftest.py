"""The order of the tests: those that mostly wait come first, so that the computing ones fill the cores beside them, and
no long file is left over at the end."""

from __future__ import annotations

import os
from typing import Final

import pytest

from tests.support.examples import WITH_SLOW

_WAITING: Final = ("e2e", "faults", "contract")
"""The folders whose tests run over processes of their own."""


def pytest_configure(config: pytest.Config) -> None:
    if "not slow" not in config.option.markexpr:
        os.environ[WITH_SLOW] = "1"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_place)


def _place(item: pytest.Item) -> int:
    folder = item.nodeid.split("/", 2)[1]
    return _WAITING.index(folder) if folder in _WAITING else len(_WAITING)
