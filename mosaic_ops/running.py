"""The stores of the running embedded stack, found as everybody else finds them: by ``./mosaic env``."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from mosaic_core.ports import Stores

ROOT: Final = Path(__file__).resolve().parent.parent
SAMPLE_MEMBERS: Final = ("alice", "bob")
"""Subjects of the members that an empty stack is seeded with."""


class NotReachableError(ConnectionError):
    """There is no stack where it was looked for, or it does not answer. ``str()`` says what to do."""


def environment(state: Path | None = None) -> dict[str, Any]:
    """What ``./mosaic env --json`` says of the stack on ``state``, or of the one that was started last in this
    checkout. Raises `NotReachableError`."""
    return _told(state, "--json")


def app_settings(state: Path | None = None) -> dict[str, str]:
    """What that stack's app is given. Raises `NotReachableError`."""
    values: dict[str, str] = _told(state, "--local-settings")["Values"]
    return values


def _told(state: Path | None, form: str) -> dict[str, Any]:
    named = ["--state", str(state.resolve())] if state is not None else []
    asked = subprocess.run(
        [sys.executable, "-m", "mosaic_ops.cli", "env", form, *named], cwd=ROOT, capture_output=True, text=True
    )
    if asked.returncode != 0:
        raise NotReachableError(asked.stderr.strip().removeprefix("mosaic: ") or "the stack's settings are not known")
    found: dict[str, Any] = json.loads(asked.stdout)
    return found


@asynccontextmanager
async def stores(state: Path | None = None) -> AsyncIterator[Stores]:
    """Raises `NotReachableError`."""
    from mosaic_core.adapters.tables import open_table_stores
    from mosaic_core.config import Connection

    found = environment(state)
    opened = open_table_stores(
        Connection(connection_string=found["TablesConnection"]), Connection(connection_string=found["BlobsConnection"])
    )
    try:
        yield opened.stores
    finally:
        await opened.close()


async def sample_households(stores: Stores) -> list[str]:
    """Ids of the households that the sample members belong to."""
    found = [membership for subject in SAMPLE_MEMBERS for membership in await stores.members.of_subject(subject)]
    return sorted({membership.household_id for membership in found})
