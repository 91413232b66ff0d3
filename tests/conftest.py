"""The order of the tests, and which process runs which: the long ones come first, so that none is left over at the end,
and those that mostly wait stand among those that compute, so that the cores are never idle beside them."""

from __future__ import annotations

import gc
import os
from typing import TYPE_CHECKING, Final

import pytest

from tests.support.examples import WITH_SLOW

if TYPE_CHECKING:
    from collections.abc import Iterable

    from xdist.remote import Producer
    from xdist.scheduler import LoadScopeScheduling

SLOW_SECONDS: Final = 900
"""Of a slow test that names no time of its own: what an idle machine computes in one minute takes a busy one ten."""

_FIRST: Final = ("e2e", "faults")
"""The folders whose tests are the longest: over a whole stack."""

_WAITING: Final = "contract"
"""The folder whose tests mostly wait for processes of their own."""

_WAITED: Final = 0.7
"""Of the run after the first folders: when the waiting ones are through. What is left over at the end is short."""

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
    places = _places(dict.fromkeys(_file(item) for item in items))
    items.sort(key=lambda item: places[_file(item)])
    for item in items:
        if item.get_closest_marker("slow") is not None and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(SLOW_SECONDS))


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    # what was imported and collected stays until the end: no look for garbage need go through it
    gc.freeze()
    gc.enable()


def _places(files: Iterable[str]) -> dict[str, float]:
    """File → where it comes in the run: negative the first folders, then 0 to 1."""
    folders: dict[str, list[str]] = {}
    for file in files:
        folder = file.split("/", 2)[1]
        folders.setdefault(folder if folder in (*_FIRST, _WAITING) else "", []).append(file)
    places = {file: float(n - len(_FIRST)) for n, folder in enumerate(_FIRST) for file in folders.get(folder, ())}
    for folder, until in ((_WAITING, _WAITED), ("", 1.0)):
        there = folders.get(folder, [])
        places |= {file: until * n / len(there) for n, file in enumerate(there)}
    return places


def _file(item: pytest.Item) -> str:
    return item.nodeid.split("::", 1)[0]


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
