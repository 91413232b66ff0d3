"""The order of the tests: those that mostly wait come first, so that the computing ones fill the cores beside them, and
no long file is left over at the end."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

_ROOT: Final = Path(__file__).parent
_WAITING: Final = ("e2e", "faults", "contract")
"""The folders whose tests run over processes of their own."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_place)


def _place(item: pytest.Item) -> int:
    folder = item.path.relative_to(_ROOT).parts[0]
    return _WAITING.index(folder) if folder in _WAITING else len(_WAITING)
