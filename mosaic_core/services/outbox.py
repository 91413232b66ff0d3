"""The outbox's timer: what was recorded and is not known to be sent is sent, or told to a person.

An entry says that a command is about to be recorded, or is recorded and may not be sent; the API takes it away when it
has sent the command. What a tick finds is therefore what an API left behind that died, or that had no answer. Ticks may
run many at once, and beside an API that is merely slow: sending twice is harmless, and nothing is sent unlisted.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Final

from mosaic_core.concurrency import each
from mosaic_core.domain import ids, signals
from mosaic_core.domain.errors import (
    MosaicError,
    StoredRowError,
    StoreRefusedError,
    StoreUnreachableError,
    TransientError,
)
from mosaic_core.domain.lanes import KEY_LIFETIME_DAYS
from mosaic_core.domain.records import Command, OutboxEntry, Signal
from mosaic_core.ports import Clock, CommandSender, EventPublisher, Stored, Stores
from mosaic_core.services.dispatch import Recorded, dispatch, enqueueing

log = logging.getLogger(__name__)

PER_SHARD: Final = 100
"""Entries of one shard that one tick looks at."""

ABSENT_FOR: Final = timedelta(hours=1)
"""An announced command that is not recorded by then never will be: its API died in between."""

REFUSED_AFTER: Final = timedelta(days=KEY_LIFETIME_DAYS)
"""Older than a key lives, a command is not known to be new any more: a person decides."""

TOLD_AFTER: Final = 3
"""Tries that fail in passing, while others succeed, before a person is told."""

TOLD_AT_THE_LATEST: Final = timedelta(days=1)
"""Not sent by then, whatever the reason, a person is told."""

_TICK_SECONDS: Final = 50.0
_SHARDS_AT_ONCE: Final = 8
_IN_A_ROW: Final = 3
"""Commands in a row for which storage or queue does not answer: what is behind them waits for the next tick."""

_AGAIN: Final = timedelta(minutes=2)
_AGAIN_AT_MOST: Final = timedelta(hours=1)


class _End(Enum):
    SENT = auto()
    WAS_SENT = auto()
    NEVER_RECORDED = auto()
    NOT_YET_RECORDED = auto()
    REFUSED = auto()


@dataclass(frozen=True, slots=True)
class OutboxReport:
    """What a tick did: commands sent, refused for their age, failed for a reason of their own; and in how many shards
    it stopped because storage or queue did not answer."""

    sent: int = 0
    refused: int = 0
    failed: int = 0
    stopped: int = 0

    def __add__(self, other: OutboxReport) -> OutboxReport:
        return OutboxReport(
            self.sent + other.sent,
            self.refused + other.refused,
            self.failed + other.failed,
            self.stopped + other.stopped,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class UnsentCommands:
    stores: Stores
    sender: CommandSender
    publisher: EventPublisher
    clock: Clock

    async def tick(self) -> OutboxReport:
        """Look at what is due, at most `PER_SHARD` of each shard. Raises `StoreUnreachableError` where not even the
        list of shards can be read."""
        started = self.clock.now()
        shards = [shard async for shard in self.stores.outbox.shards()]
        reports = await each(shards, lambda shard: self._shard(shard, started), at_once=_SHARDS_AT_ONCE)
        return sum(reports, OutboxReport())

    async def _shard(self, shard: str, started: datetime) -> OutboxReport:
        """One after the other, the earliest first. A command that fails for a reason of its own stops no other; where
        storage or queue answers for several in a row nothing, the rest stays as it is."""
        try:
            entries = await self.stores.outbox.due(shard, started, PER_SHARD)
        except StoreUnreachableError as error:
            log.warning("a shard of the outbox cannot be read", extra={"rationale": error.rationale})
            return OutboxReport(stopped=1)
        report, in_passing, in_a_row, any_went_through = OutboxReport(), list[Stored[OutboxEntry]](), 0, False
        for stored in entries:
            if (self.clock.now() - started).total_seconds() > _TICK_SECONDS:
                break
            try:
                end = await self._look(stored)
            except TransientError as error:
                log.warning("a command could not be sent", extra={**_of(stored), "rationale": error.rationale})
                in_passing.append(stored)
                in_a_row += 1
                if in_a_row == _IN_A_ROW:
                    report += OutboxReport(stopped=1)
                    break
            except Exception as error:
                await self._fail(stored, error)
                report += OutboxReport(failed=1)
            else:
                in_a_row, any_went_through = 0, any_went_through or end is _End.SENT
                report += OutboxReport(sent=end is _End.SENT, refused=end is _End.REFUSED)
        for stored in in_passing:
            # an outage is not a command's failure: only where others went through meanwhile does the try count
            await self._put_back(stored, counts=any_went_through)
        return report

    async def _look(self, stored: Stored[OutboxEntry]) -> _End:
        entry, now = stored.value, self.clock.now()
        command = await self.stores.commands.read(entry.command_id)
        if command is None:
            return await self._absent(stored, now)
        if await self._was_begun(command):
            await self._done(stored)
            return _End.WAS_SENT
        if now - entry.announced_at >= REFUSED_AFTER:
            await self._refuse(stored, household_id=command.household_id)
            return _End.REFUSED
        recorded = Recorded.of(command)
        with enqueueing(command, recorded.correlation_id):
            await dispatch(recorded, stores=self.stores, sender=self.sender, publisher=self.publisher)
            log.warning("a command that was recorded and not known to be sent is sent")
        await self._done(stored)
        return _End.SENT

    async def _absent(self, stored: Stored[OutboxEntry], now: datetime) -> _End:
        entry = stored.value
        if now - entry.announced_at >= ABSENT_FOR:
            await self.stores.outbox.remove(entry, stored.etag)
            return _End.NEVER_RECORDED
        # a slow API may be about to record it: out of the way of others until that cannot be any more
        due = max(entry.announced_at + ABSENT_FOR, now + _AGAIN)
        await self._replace(stored, replace(entry, due_at=due))
        return _End.NOT_YET_RECORDED

    async def _was_begun(self, command: Command) -> bool:
        """A worker has had the message: the command has its key, whatever state that is in."""
        try:
            return await self.stores.keys.read(command.queue, command.command_id) is not None
        except StoredRowError:
            return True

    async def _done(self, stored: Stored[OutboxEntry]) -> None:
        """The entry goes last, so that who dies before comes here again."""
        entry = stored.value
        if entry.tries:
            await self._resolve(entry)
        await self.stores.outbox.remove(entry, stored.etag)

    # ------------------------------------------------------------------------------------------------- what goes wrong

    async def _fail(self, stored: Stored[OutboxEntry], error: Exception) -> None:
        """The command's own fault (a row that cannot be read, a message that no queue takes): told at once, tried again
        later and later, in case a newer version or a person mends it."""
        why = f"{error.code}: {error.rationale}" if isinstance(error, MosaicError) else type(error).__name__
        log.error("a recorded command cannot be sent", extra={**_of(stored), "rationale": why})
        await self._put_back(stored, counts=True, why=f"cannot be sent: {why}")

    async def _put_back(self, stored: Stored[OutboxEntry], *, counts: bool, why: str = "") -> None:
        """Behind the others. Where storage does not answer the entry stays where it is."""
        entry, now = stored.value, self.clock.now()
        age = now - entry.announced_at
        tries = entry.tries + (counts or age >= TOLD_AT_THE_LATEST)
        wait = min(_AGAIN * 2 ** min(tries, 10), _AGAIN_AT_MOST)
        try:
            if age >= REFUSED_AFTER:
                await self._refuse(stored, why=why)
                return
            # the signal after the entry that knows of it: whoever sends the command resolves it
            await self._replace(stored, replace(entry, tries=tries, due_at=now + wait))
            if why or age >= TOLD_AT_THE_LATEST or (counts and tries >= TOLD_AFTER):
                await self._tell(entry, why or "could not be sent: storage or its queue did not answer")
        except (StoreUnreachableError, StoreRefusedError) as error:
            log.warning("an outbox entry stays where it is", extra={**_of(stored), "rationale": error.rationale})

    async def _refuse(self, stored: Stored[OutboxEntry], *, household_id: str = "", why: str = "") -> None:
        because = f"not sent within {REFUSED_AFTER.days} days of its recording, and will not be any more"
        await self._tell(stored.value, f"{because}; {why}" if why else because, household_id=household_id)
        await self.stores.outbox.remove(stored.value, stored.etag)
        log.error("a recorded command is too old to be sent", extra=_of(stored))

    async def _replace(self, stored: Stored[OutboxEntry], by: OutboxEntry) -> None:
        """The new row first: who dies in between leaves two, of which the second finds nothing to do."""
        if by.due_at == stored.value.due_at:
            return  # the same row
        await self.stores.outbox.insert(by)
        await self.stores.outbox.remove(stored.value, stored.etag)

    # --------------------------------------------------------------------------------------------------------- signals

    async def _tell(self, entry: OutboxEntry, why: str, *, household_id: str = "") -> None:
        signal = signals.command_not_sent(
            queue=entry.queue,
            command_id=entry.command_id,
            household_id=household_id,
            why=why,
            now=self.clock.now(),
        )
        if await self.stores.signals.insert(signal) is not None:
            return
        there = await self._signal(entry)
        if there is not None and (there.value.is_resolved or there.value.summary != signal.summary):
            await self.stores.signals.update(signal, there.etag)

    async def _resolve(self, entry: OutboxEntry) -> None:
        there = await self._signal(entry)
        if there is not None and not there.value.is_resolved:
            resolved = signals.resolve(there.value, by="runtime", note="sent", now=self.clock.now())
            await self.stores.signals.update(resolved, there.etag)

    async def _signal(self, entry: OutboxEntry) -> Stored[Signal] | None:
        return await self.stores.signals.read(ids.unsent_signal_id(entry.queue, entry.command_id))


def _of(stored: Stored[OutboxEntry]) -> dict[str, str]:
    return {"commandId": stored.value.command_id, "queue": stored.value.queue}
