"""What the contract suites run against."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from mosaic_core.adapters.tables import ensure_tables
from tests.support.azurite import Azurite, running_azurite


@pytest.fixture(scope="session")
def azurite() -> Iterator[Azurite]:
    """One Azurite with the product's tables and container; tests keep apart by the ids that they use."""
    with running_azurite() as service:
        with ThreadPoolExecutor(1) as thread:  # the first test that asks may be on a running loop
            thread.submit(lambda: asyncio.run(ensure_tables(service.tables, service.blobs))).result()
        yield service
