"""What the contract suites run against."""

from __future__ import annotations

import asyncio
import gc
import warnings
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from mosaic_core.adapters.tables import TableStores, ensure_tables, open_table_stores
from tests.contract.messaging import running_broker
from tests.support.azurite import Azurite, running_azurite
from tests.support.back_end import FOREIGN


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What needs the embedded broker itself is skipped where the suite is pointed at another back end."""
    for item in items if FOREIGN else ():
        for mark in item.iter_markers("own_broker"):
            item.add_marker(pytest.mark.skip(reason=f"needs the embedded broker: {mark.args[0]}"))


@pytest.fixture(scope="session")
def azurite() -> Iterator[Azurite]:
    """One Azurite with the product's tables and container; tests keep apart by the ids that they use."""
    with running_azurite() as service:
        with ThreadPoolExecutor(1) as thread:  # the first test that asks may be on a running loop
            thread.submit(lambda: asyncio.run(ensure_tables(service.tables, service.blobs))).result()
        yield service


@pytest.fixture
async def opened() -> AsyncIterator[TableStores]:
    """Stores over an Azurite of their own, for what looks at everything that is there."""
    with running_azurite() as service:
        await ensure_tables(service.tables, service.blobs)
        found = open_table_stores(service.tables, service.blobs, now=lambda: datetime.now(UTC))
        try:
            yield found
        finally:
            await found.close()


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Of a broker of the module's own. What its clients leave open is told here, and not in whichever test is next."""
    with running_broker(tmp_path_factory.mktemp("broker")) as port:
        yield port
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
