"""One embedded stack for the everyday end-to-end tests; those that break a part start one of their own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from mosaic_local.stack import Stack, StackOptions
from tests.support.live import Live, live

FAST = {
    "Drill__Enabled": "true",
    "Retry__Seconds": "0.4,0.4,0.5,0.6",
    "Lease__Seconds": "3",
    "Lease__RenewSeconds": "1",
}


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    with Stack(StackOptions(app_settings=FAST, testing=True)) as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def running(stack: Stack) -> AsyncIterator[Live]:
    async with live(stack) as it:
        yield it
