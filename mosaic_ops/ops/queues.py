"""What the queues hold: counts by the administration client, messages by peeking. Nothing here receives, so nothing is
locked, counted as a delivery, or moved."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from mosaic_core.domain.ids import clean, normalise_guid
from mosaic_core.domain.lanes import RULES, Lane
from mosaic_core.domain.reasons import DeadLetterReason
from mosaic_ops.ops.errors import UnreachableError
from mosaic_ops.ops.target import Bus

MOST: Final = 5000
"""Dead letters of a queue that are looked at."""

_PAGE: Final = 200
_SECONDS: Final = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A dead letter as its headers, its description and its ids tell it; never its content."""

    lane: str
    queue: str
    sequence_number: int
    message_id: str
    command_id: str | None
    correlation_id: str | None
    command_type: str | None
    reason: str
    failure_code: str | None
    rationale: str | None
    run_id: str | None
    attempt: int | None
    exception_type: str | None
    delivery_count: int
    enqueued_at_utc: str | None
    group_id: str = ""
    replayed_as: str | None = None
    sent_by: str | None = None

    def json(self) -> dict[str, Any]:
        return {_camel(name): getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Dead letters of one cause. ``example`` is the newest one's message id, ``rationale`` what the worker said of
    it."""

    group_id: str
    lane: str
    reason: str
    failure_code: str | None
    exception_type: str | None
    count: int
    oldest_at_utc: str | None
    newest_at_utc: str | None
    example: str
    rationale: str | None
    sent_by: str | None = None

    @property
    def code(self) -> str:
        """What tells the cause: the failure code, or the reason where a message never was an attempt."""
        return (self.failure_code if self.reason == DeadLetterReason.PROCESSING_FAILED else None) or self.reason

    def json(self) -> dict[str, Any]:
        return {_camel(name): getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True, kw_only=True)
class Depth:
    """Messages of one queue; ``oldest_at_utc`` is when the oldest that is due was enqueued."""

    lane: str
    queue: str
    active: int
    scheduled: int
    dead_lettered: int
    oldest_at_utc: str | None

    def json(self) -> dict[str, Any]:
        return {_camel(name): getattr(self, name) for name in self.__slots__}


def lanes_of(lane: Lane | None, queues: Mapping[str, str]) -> list[tuple[str, str]]:
    """(lane, queue) of one lane, or of all. ``queues`` are the real names by lane, as the API has them."""
    return [(name, queue) for name, queue in queues.items() if lane is None or name == lane]


DEFAULT_QUEUES: Final = {lane.value: rules.default_queue for lane, rules in RULES.items()}


@dataclass(frozen=True, slots=True)
class Queues:
    """Raises `UnreachableError` where the broker does not answer, or the caller may not look."""

    bus: Bus

    async def dead_letters(self, lanes: Sequence[tuple[str, str]], most: int = MOST) -> list[DeadLetter]:
        """The oldest ``most`` of each queue, oldest first."""
        async with self._client() as client:
            # a link takes half a second to open and as long to close: all at once
            found = await asyncio.gather(*(self._peek(client, queue, most, dead=True) for _, queue in lanes))
        return [
            _told(lane, queue, message)
            for (lane, queue), messages in zip(lanes, found, strict=True)
            for message in messages
        ]

    async def depths(self, lanes: Sequence[tuple[str, str]]) -> list[Depth | UnreachableError]:
        """Of each queue, or why not: one that is missing hides no other."""

        async def one(lane: str, queue: str) -> Depth | UnreachableError:
            try:
                return await self._depth(client, administration, lane, queue)
            except UnreachableError as error:
                return error

        async with self._client() as client, self._administration() as administration:
            return list(await asyncio.gather(*(one(lane, queue) for lane, queue in lanes)))

    async def _depth(self, client: Any, administration: Any, lane: str, queue: str) -> Depth:
        counts = await self._guarded(queue, administration.get_queue_runtime_properties(queue))
        oldest = None
        if counts.active_message_count:
            oldest = next((m for m in await self._peek(client, queue, _PAGE, dead=False) if _is_due(m)), None)
        return Depth(
            lane=lane,
            queue=queue,
            active=counts.active_message_count or 0,
            scheduled=counts.scheduled_message_count or 0,
            dead_lettered=counts.dead_letter_message_count or 0,
            oldest_at_utc=_time(oldest.enqueued_time_utc) if oldest is not None else None,
        )

    @asynccontextmanager
    async def _client(self) -> AsyncIterator[Any]:
        from azure.servicebus.aio import ServiceBusClient

        async with AsyncExitStack() as opened:
            if self.bus.connection:
                client = ServiceBusClient.from_connection_string(self.bus.connection, retry_total=1)
            else:
                from azure.identity.aio import DefaultAzureCredential

                credential = await opened.enter_async_context(DefaultAzureCredential())
                client = ServiceBusClient(self.bus.namespace, credential, retry_total=1)
            yield await opened.enter_async_context(client)

    @asynccontextmanager
    async def _administration(self) -> AsyncIterator[Any]:
        from azure.servicebus.aio.management import ServiceBusAdministrationClient

        async with AsyncExitStack() as opened:
            if self.bus.administration:
                client = ServiceBusAdministrationClient.from_connection_string(
                    self.bus.administration, connection_verify=self.bus.ca_file or True
                )
            else:
                from azure.identity.aio import DefaultAzureCredential

                credential = await opened.enter_async_context(DefaultAzureCredential())
                client = ServiceBusAdministrationClient(self.bus.namespace, credential)
            yield await opened.enter_async_context(client)

    async def _peek(self, client: Any, queue: str, most: int, *, dead: bool) -> list[Any]:
        from azure.servicebus import ServiceBusSubQueue

        async def peek() -> list[Any]:
            found: list[Any] = []
            sub_queue = ServiceBusSubQueue.DEAD_LETTER if dead else None
            async with client.get_queue_receiver(queue, sub_queue=sub_queue) as receiver:
                following = 1
                while len(found) < most:
                    page = await receiver.peek_messages(
                        max_message_count=min(_PAGE, most - len(found)), sequence_number=following, timeout=_SECONDS
                    )
                    if not page:
                        break
                    found += page
                    following = (page[-1].sequence_number or 0) + 1
            return found

        return await self._guarded(queue, peek())

    async def _guarded[T](self, queue: str, work: Coroutine[Any, Any, T]) -> T:
        from azure.core.exceptions import AzureError, ServiceRequestError, ServiceResponseError
        from azure.servicebus.exceptions import (
            OperationTimeoutError,
            ServiceBusCommunicationError,
            ServiceBusConnectionError,
            ServiceBusError,
        )

        silences = (
            ServiceRequestError,
            ServiceResponseError,
            OperationTimeoutError,
            ServiceBusCommunicationError,
            ServiceBusConnectionError,
            OSError,
            TimeoutError,
        )

        task = asyncio.ensure_future(work)
        # a broker that stands still keeps even the closing of a link waiting: nobody waits for that
        await asyncio.wait({task}, timeout=_SECONDS)
        try:
            if not task.done():
                task.cancel()
                raise TimeoutError
            return task.result()
        except (ServiceBusError, AzureError, OSError, TimeoutError) as error:
            raise UnreachableError(
                f"queue {queue} cannot be looked at ({type(error).__name__}): is the broker up, and may the caller "
                "receive from it? Counts need Manage",
                is_silence=isinstance(error, silences),
            ) from error


def groups(letters: Iterable[DeadLetter]) -> list[Group]:
    """By lane, reason, code and exception type, the largest first."""
    found: dict[tuple[str | None, ...], list[DeadLetter]] = {}
    for letter in letters:
        found.setdefault((letter.lane, letter.reason, letter.failure_code, letter.exception_type), []).append(letter)
    told = [_group(members) for members in found.values()]
    return sorted(told, key=lambda group: (-group.count, group.lane, group.reason))


def _group(members: Sequence[DeadLetter]) -> Group:
    newest = max(members, key=lambda letter: letter.sequence_number)
    times = [letter.enqueued_at_utc for letter in members if letter.enqueued_at_utc]
    return Group(
        group_id=newest.group_id,
        lane=newest.lane,
        reason=newest.reason,
        failure_code=newest.failure_code,
        exception_type=newest.exception_type,
        count=len(members),
        oldest_at_utc=min(times, default=None),
        newest_at_utc=max(times, default=None),
        example=newest.message_id,
        rationale=newest.rationale,
        sent_by=newest.sent_by,
    )


def of_api(row: Mapping[str, Any]) -> DeadLetter:
    """As ``GET /ops/dead-letters`` has it."""
    return DeadLetter(
        lane=row["lane"],
        queue=row["queue"],
        sequence_number=row["sequenceNumber"],
        message_id=row["messageId"],
        command_id=row["commandId"],
        correlation_id=row["correlationId"],
        command_type=row["commandType"],
        reason=row["deadLetterReason"],
        failure_code=row["code"],
        rationale=row["rationale"],
        run_id=row["runId"],
        attempt=row.get("attempt"),
        exception_type=row["exceptionType"],
        delivery_count=row["deliveryCount"],
        enqueued_at_utc=row["enqueuedAtUtc"],
        group_id=row["groupId"],
        replayed_as=row["replayedAs"],
        sent_by=row.get("sentBy"),
    )


def group_of_api(row: Mapping[str, Any]) -> Group:
    """As ``GET /ops/dead-letters/groups`` has it. An app of an earlier version names no message."""
    return Group(
        group_id=row["groupId"],
        lane=row["lane"],
        reason=row["reason"],
        failure_code=row["code"],
        exception_type=row["exceptionType"],
        count=row["count"],
        oldest_at_utc=row["oldestAtUtc"],
        newest_at_utc=row["newestAtUtc"],
        example=row.get("newestMessageId") or next(iter(row["sampleCommandIds"]), ""),
        rationale=row.get("rationale"),
        sent_by=row.get("sentBy"),
    )


def is_named(letter: DeadLetter, asked: str) -> bool:
    """Whether ``asked`` is one of its ids, or its sequence number."""
    ids = {letter.message_id, letter.command_id, letter.run_id, letter.correlation_id, str(letter.sequence_number)}
    wanted = {asked, clean(asked)}
    with suppress(ValueError):
        wanted.add(normalise_guid(asked))
    return bool(wanted & {one for one in ids if one})


def _told(lane: str, queue: str, message: Any) -> DeadLetter:
    """As the API would tell it."""
    from mosaic_core.adapters.queue_peeking import browsed
    from mosaic_core.services.replay.letter_headers import letter_of

    letter = letter_of(Lane(lane), browsed(queue, message))
    return DeadLetter(
        lane=lane,
        queue=queue,
        sequence_number=letter.sequence_number,
        message_id=letter.message_id,
        command_id=letter.command_id,
        correlation_id=letter.correlation_id,
        command_type=letter.command_type,
        reason=letter.reason,
        failure_code=letter.code,
        rationale=letter.rationale,
        run_id=letter.run_id,
        attempt=letter.attempt,
        exception_type=letter.exception_type,
        delivery_count=letter.delivery_count,
        enqueued_at_utc=_time(letter.enqueued_at),
        group_id=letter.group_id,
        sent_by=letter.sent_by,
    )


def _is_due(message: Any) -> bool:
    return str(getattr(message.state, "name", "ACTIVE")).upper() == "ACTIVE"


def _time(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if moment is not None else None


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.title() for part in rest)
