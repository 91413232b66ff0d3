"""Health probes of what the app builds on. Each asks with the operations that the app itself needs, so that a missing
role shows; what it asks with is built when it is first asked, so that what cannot be built shows as well."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from mosaic_core.adapters.tables import TABLES, TableStores
from mosaic_core.concurrency import each
from mosaic_core.domain.errors import Fault, StoreUnreachableError
from mosaic_core.ports import Finding

if TYPE_CHECKING:
    from mosaic_core.adapters.eventhubs import EventHubsPublisher
    from mosaic_core.adapters.identity import KeySet
    from mosaic_core.adapters.servicebus import ServiceBusSender

_NOWHERE: Final = "health"
"""A key, and a blob, that nobody has."""


class TablesProbe:
    """Every table is there and can be read: one point read of each."""

    name = "tables"
    required = True

    def __init__(self, stores: Callable[[], TableStores]) -> None:
        self._stores = stores

    async def check(self) -> Finding:
        tables = self._stores().once

        async def trouble(table: str) -> tuple[str, str] | None:
            try:
                await tables.read(table, _NOWHERE, _NOWHERE, "RowKey")
            except StoreUnreachableError as error:
                return error.reason, table
            return None

        found = [it for it in await each(TABLES, trouble, at_once=len(TABLES)) if it is not None]
        if not found:
            return Finding()
        reason = found[0][0]
        return Finding("down", reason, tuple(table for why, table in found if why == reason))


class BlobsProbe:
    """The container is there and can be read: one blob that nobody has is asked for."""

    name = "blobs"
    required = True

    def __init__(self, stores: Callable[[], TableStores]) -> None:
        self._stores = stores

    async def check(self) -> Finding:
        await self._stores().blobs_once.get(_NOWHERE)
        return Finding()


class QueueProbe:
    """One lane's queue can be sent to and received from. Nothing is received: the second link is to its dead letters,
    which the same right opens."""

    required = True

    def __init__(self, lane: str, sender: Callable[[], ServiceBusSender], queue: str) -> None:
        self.name = f"serviceBus.{lane}"
        self._sender = sender
        self._queue = queue

    async def check(self) -> Finding:
        return await self._sender().look_at(self._queue)


class EventHubProbe:
    """Events can be sent to the hub. Commands do without (contract, section 5): the instance is ready all the same."""

    name = "eventHub"
    required = False

    def __init__(self, publisher: Callable[[], EventHubsPublisher]) -> None:
        self._publisher = publisher

    async def check(self) -> Finding:
        return await self._publisher().look()


class SpansProbe:
    """The worker sends the app's spans to Application Insights. Commands do without; what is wrong is a setting."""

    name = "applicationInsights"
    required = False

    def __init__(self, fault: Fault | None) -> None:
        self._fault = fault

    async def check(self) -> Finding:
        return Finding("down", self._fault.reason, (self._fault.name,)) if self._fault else Finding()


class IssuerKeysProbe:
    """The issuer's keys can be fetched. While it is away those that are known are used for a day."""

    name = "issuerKeys"
    required = True

    def __init__(self, keys: Callable[[], KeySet]) -> None:
        self._keys = keys

    async def check(self) -> Finding:
        return await self._keys().look()
