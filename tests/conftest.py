"""The order of the tests, and which process runs which: those that mostly wait come first, so that the computing ones
fill the cores beside them, and no long file is left over at the end."""

from __future__ import annotations

import gc
import os
from typing import TYPE_CHECKING, Final

import pytest

from tests.support.examples import WITH_SLOW

if TYPE_CHECKING:
    from xdist.remote import Producer
    from xdist.scheduler import LoadScopeScheduling

SLOW_SECONDS: Final = 900
"""Of a slow test that names no time of its own: what an idle machine computes in one minute takes a busy one ten."""

_WAITING: Final = ("e2e", "faults", "contract")
"""The folders whose tests run over processes of their own."""

_SHARING: Final = (
    "console enqueueing evidence ops outcomes policy_dry_run reconciling replay runbook_drill smoke storage_outages"
)
SHARED_STACK: Final = frozenset(f"tests/e2e/test_{name}.py" for name in _SHARING.split())
"""The files whose tests run over the one stack of tests/e2e/conftest.py."""


def pytest_configure(config: pytest.Config) -> None:
    if "not slow" not in config.option.markexpr:
        os.environ[WITH_SLOW] = "1"
    gc.disable()  # until `pytest_collection_finish`


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_place)
    for item in items:
        if item.get_closest_marker("slow") is not None and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(SLOW_SECONDS))


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    # what was imported and collected stays until the end: no look for garbage need go through it
    gc.freeze()
    gc.enable()


def _place(item: pytest.Item) -> int:
    folder = item.nodeid.split("/", 2)[1]
    return _WAITING.index(folder) if folder in _WAITING else len(_WAITING)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling | None:
    """``--dist loadfile``, but that the files of the shared stack stay in one process: each other one that ran some of
    them would start a stack of its own."""
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class ByStack(LoadFileScheduling):  # type: ignore[misc]  # has no types
        def _split_scope(self, nodeid: str) -> str:
            file: str = super()._split_scope(nodeid)
            return "the shared stack" if file in SHARED_STACK else file

    return ByStack(config, log)
