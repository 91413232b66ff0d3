"""What the event hub holds: read from a time on, without checkpoints and without an owner level, so that no other
reader is moved or shut out. Ids and codes alone come through."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from mosaic_core.config.table import TELEMETRY_HUB
from mosaic_core.domain.envelope import iso
from mosaic_ops.ops.errors import UnreachableError

HUB: Final = TELEMETRY_HUB.default
CONSUMER_GROUP: Final = "mosaic-money-runtime"
COMMAND: Final = "mosaic.runtime.command."

type Told = dict[str, Any]
"""What one event says: ids, codes and times."""

_SECONDS: Final = 60.0
"""For all partitions' events of the past; more of them are read on the next call."""

_SILENT_SECONDS: Final = 5.0
"""A partition that has told nothing for so long has told what it holds."""

_DATA: Final = (
    "commandId",
    "messageId",
    "runId",
    "correlationId",
    "commandType",
    "queue",
    "attempt",
    "state",
    "outcomeCode",
    "approvalId",
    "signalId",
    "signalCode",
    "severity",
    "conversationId",
    "expiresAtUtc",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hub:
    """A connection string, or a namespace's host name and whoever is signed in."""

    connection: str = ""
    namespace: str = ""
    name: str = HUB
    consumer_group: str = CONSUMER_GROUP

    async def since(self, moment: datetime) -> tuple[list[Told], bool]:
        """What was told from then on, oldest first, and whether that is all up to now. Raises `UnreachableError`."""
        found: list[Told] = []
        async with self._client() as client:
            partitions = await _guarded(client.get_partition_ids())
            told = await asyncio.gather(*(_guarded(client.get_partition_properties(one)) for one in partitions))
            held = [one for one in told if not one["is_empty"] and one["last_enqueued_time_utc"] >= moment]
            reading = [_until_now(client, one, moment, found.append) for one in held]
            whole = await asyncio.gather(*reading)
        return sorted(found, key=lambda event: (str(event["atUtc"]), str(event["id"]))), all(whole)

    async def follow(self, moment: datetime, tell: Callable[[Told], None]) -> None:
        """Every event from then on, as it comes, until this is cancelled. Raises `UnreachableError`."""
        async with self._client() as client:
            partitions = await _guarded(client.get_partition_ids())
            failed = asyncio.get_running_loop().create_future()
            reading = [asyncio.ensure_future(_read(client, one, moment, tell, failed)) for one in partitions]
            try:
                await asyncio.wait([failed, *reading], return_when=asyncio.FIRST_COMPLETED)
                if failed.done():
                    raise failed.result()
                for task in reading:
                    if task.done():
                        task.result()
            finally:
                await _end(reading)

    @asynccontextmanager
    async def _client(self) -> AsyncIterator[Any]:
        from azure.eventhub.aio import EventHubConsumerClient

        async with AsyncExitStack() as opened:
            if self.connection:
                client = EventHubConsumerClient.from_connection_string(
                    self.connection, self.consumer_group, eventhub_name=self.name, retry_total=1
                )
            else:
                from azure.identity.aio import DefaultAzureCredential

                credential = await opened.enter_async_context(DefaultAzureCredential())
                client = EventHubConsumerClient(
                    self.namespace, self.name, self.consumer_group, credential, retry_total=1
                )
            yield await opened.enter_async_context(client)


async def _until_now(client: Any, held: Mapping[str, Any], moment: datetime, tell: Callable[[Told], None]) -> bool:
    """One partition's up to its newest at the time of asking. False: not all of them came in time."""
    done, failed = asyncio.Event(), asyncio.get_running_loop().create_future()
    newest = held["last_enqueued_sequence_number"]
    reading = asyncio.ensure_future(
        _read(client, str(held["id"]), moment, tell, failed, wait=_SILENT_SECONDS, done=done, newest=newest)
    )
    ended = asyncio.ensure_future(done.wait())
    try:
        async with asyncio.timeout(_SECONDS):
            await asyncio.wait([failed, ended, reading], return_when=asyncio.FIRST_COMPLETED)
    except TimeoutError:
        return False
    finally:
        await _end([reading, ended])
    if failed.done():
        raise failed.result()
    return True


async def _read(
    client: Any,
    partition: str,
    moment: datetime,
    tell: Callable[[Told], None],
    failed: asyncio.Future[UnreachableError],
    *,
    wait: float | None = None,
    done: asyncio.Event | None = None,
    newest: int | None = None,
) -> None:
    from azure.core.exceptions import AzureError
    from azure.eventhub.exceptions import EventHubError

    async def on_event(_: object, event: Any) -> None:
        if event is not None and (told := of_event(event.body_as_str(), event.enqueued_time)) is not None:
            tell(told)
        if done is not None and (event is None or (newest is not None and event.sequence_number >= newest)):
            done.set()

    async def on_error(_: object, error: Exception) -> None:
        if not failed.done():
            failed.set_result(_unreachable(error))

    try:
        await client.receive(
            on_event=on_event,
            on_error=on_error,
            partition_id=partition,
            starting_position=moment,
            starting_position_inclusive=True,
            max_wait_time=wait,
        )
    except (OSError, AzureError, EventHubError) as error:
        if not failed.done():
            failed.set_result(_unreachable(error))


async def _end(tasks: Sequence[asyncio.Future[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def of_event(body: str, enqueued_at: datetime | None) -> Told | None:
    """What an event says, its ids and codes; None: it is none of ours."""
    try:
        event = json.loads(body)
    except ValueError:
        return None
    if not isinstance(event, dict) or not isinstance(event.get("type"), str):
        return None
    data = event.get("data")
    said = data if isinstance(data, dict) else {}
    return {
        "id": _text(event.get("id")),
        "atUtc": _text(event.get("time")),
        "enqueuedAtUtc": iso(enqueued_at.astimezone(UTC)) if enqueued_at is not None else None,
        "type": event["type"],
        "source": _text(event.get("source")),
        "householdId": _text(event.get("partitionkey")),
        **{name: said[name] if isinstance(said.get(name), int) else _text(said.get(name)) for name in _DATA},
    }


def kind(event: Mapping[str, Any]) -> str:
    """A command event's last word; any other's type without what all have before it."""
    return str(event["type"]).removeprefix(COMMAND).removeprefix("mosaic.runtime.")


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


async def _guarded(asked: Any) -> Any:
    from azure.core.exceptions import AzureError
    from azure.eventhub.exceptions import EventHubError

    try:
        async with asyncio.timeout(_SECONDS):
            return await asked
    except (OSError, AzureError, EventHubError) as error:
        raise _unreachable(error) from None


def _unreachable(error: BaseException) -> UnreachableError:
    return UnreachableError(
        f"the hub cannot be read ({type(error).__name__}); it needs the role Azure Event Hubs Data Receiver of whoever "
        "is signed in"
    )
