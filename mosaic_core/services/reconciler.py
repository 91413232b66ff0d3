"""The reconciler: ends what no delivery will bring to its end any more (delivery protocol, "Reconciler").

Two things tell of such commands, and neither is a walk through a table: the dead-letter queues, which are browsed and
never received from, and the list of commands that have not been seen to end (`followed`). A tick does a bounded piece
of both and leaves the rest to the next; any number of ticks may run at once, beside any number of deliveries.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Final

from mosaic_core.computing import INLINE_BYTES, compute_over
from mosaic_core.concurrency import each
from mosaic_core.config import table
from mosaic_core.domain import ids, reservation, signals
from mosaic_core.domain.body import inflate
from mosaic_core.domain.envelope import Envelope, decode
from mosaic_core.domain.errors import MosaicError, PoisonError, StoredRowError, StoreUnreachableError, TransientError
from mosaic_core.domain.lanes import Lane
from mosaic_core.domain.lifecycle import KeyStatus
from mosaic_core.domain.reasons import OWN_REASONS, DeadLetterReason
from mosaic_core.domain.records import Command, Key, OutboxEntry
from mosaic_core.domain.settlement import Complete, DeadLetter
from mosaic_core.ports import (
    BrowsedMessage,
    ListedSignal,
    QueueBrowser,
    Stored,
    StoredKey,
)
from mosaic_core.services.browsing import browsed
from mosaic_core.services.followed import STALLED_AFTER
from mosaic_core.services.reconciliation import end_command
from mosaic_core.services.worker import Worker

log = logging.getLogger(__name__)

OVERDUE_SECONDS: Final = 150
"""Beyond the host's limit for an invocation: by then no delivery is at work on a key that nobody has written."""

ABSENT_FOR: Final = timedelta(hours=1)
"""A command that was listed and is not recorded by then never will be."""

UNREADABLE_AGAIN: Final = timedelta(days=1)

OLDEST: Final = 100
"""Dead letters that each tick looks at from the oldest on."""

BEYOND: Final = 500
"""Dead letters that each tick looks at beyond its cursor."""

PAGE: Final = 100

LOOKED_THROUGH: Final = 10_000
"""Messages of a queue that are looked through for another copy. What a longer one holds is not known, and nothing is
done."""

OPEN_SIGNALS: Final = 100
"""Open signals of one queue, as they are listed, that one tick looks at."""

UNLISTED_AFTER: Final = timedelta(hours=1)
"""A signal is listed before it is written: a row that is younger may be about to be right."""

PER_SHARD: Final = 500
"""Listed commands of one shard that one tick looks at."""

_TICK_SECONDS: Final = 120.0
_SHARDS_AT_ONCE: Final = 4
_COMMANDS_AT_ONCE: Final = 8
_SOON: Final = timedelta(minutes=5)
_LATE: Final = timedelta(hours=1)
_IDS: Final = re.compile(rb"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")


class _Verdict(Enum):
    DONE = auto()
    """Nothing to do, now or later."""
    NOT_YET = auto()
    """Somebody may be at work on it."""


@dataclass(frozen=True, slots=True)
class ReconcileReport:
    """What a tick did: commands rejected and rolled forward, those that it found stalled, those that it could not look
    at, and listed ones that had ended."""

    rejected: int = 0
    rolled_forward: int = 0
    stalled: int = 0
    failed: int = 0
    ended: int = 0

    def __add__(self, other: ReconcileReport) -> ReconcileReport:
        return ReconcileReport(
            self.rejected + other.rejected,
            self.rolled_forward + other.rolled_forward,
            self.stalled + other.stalled,
            self.failed + other.failed,
            self.ended + other.ended,
        )

    @property
    def is_worth_telling(self) -> bool:
        return bool(self.rejected or self.rolled_forward or self.stalled or self.failed)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    """A command that nobody is at work on, and why it is to end. ``key`` is None where it has none."""

    message_id: str
    sequence_number: int
    envelope: Envelope
    record: Command
    key: StoredKey | None
    code: str
    rationale: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciler(Worker):
    """``queues`` are the lanes' real names; ``function_timeout`` is the host's limit for an invocation (seconds), and
    ``stuck_after`` how long a command may stay without a word before it is ended although nothing says that its message
    is gone: longer than any message lives."""

    browser: QueueBrowser
    queues: Mapping[Lane, str]
    function_timeout: float = 600.0
    stuck_after: timedelta = timedelta(seconds=table.STUCK_AFTER.default)

    async def tick(self) -> ReconcileReport:
        """Raises `StoreUnreachableError` where not even the list of commands can be read."""
        report, started = ReconcileReport(), self.clock.now()
        for lane, queue in self.queues.items():
            try:
                report += await self._dead_letters(lane, queue)
            except TransientError as error:
                log.warning("dead letters cannot be looked at", extra={"queue": queue, "rationale": error.rationale})
                report += ReconcileReport(failed=1)
            except Exception:
                # one queue stops no other, nor what is followed
                log.exception("dead letters cannot be looked at", extra={"queue": queue})
                report += ReconcileReport(failed=1)
            await self._tidy_open(queue, started)
        shards = [shard async for shard in self.stores.followed.shards()]
        reports = await each(shards, lambda shard: self._shard(shard, started), at_once=_SHARDS_AT_ONCE)
        return sum(reports, report)

    # ------------------------------------------------------------------------------------------------ open signals

    async def _tidy_open(self, queue: str, now: datetime) -> None:
        """Take off the list of open signals what is resolved, gone or listed at another time: whoever should have done
        it died, or got no answer. A bounded piece, beyond the cursor; it stops nothing else."""
        name, signals_of = f"open-signals {queue}", self.stores.signals
        try:
            cursor = await self.stores.cursors.read(name)
            after = cursor.value if cursor else ""
            listed: list[ListedSignal] = []
            async for one in signals_of.listed([queue], open_only=True, after=after):
                listed.append(one)
                if len(listed) == OPEN_SIGNALS:
                    break

            async def look_at(one: ListedSignal) -> None:
                if now - one.raised_at < UNLISTED_AFTER:
                    return
                stored = await signals_of.read(one.signal_id)
                if stored is None or stored.value.is_resolved or stored.value.raised_at != one.raised_at:
                    await signals_of.unlist(queue, one)

            await each(listed, look_at, at_once=_COMMANDS_AT_ONCE)
            reached = listed[-1].place if len(listed) == OPEN_SIGNALS else ""
            if reached != after:
                await self.stores.cursors.save(name, reached, cursor.etag if cursor else None)
        except Exception as error:
            log.warning(
                "the list of open signals cannot be looked at", extra={"queue": queue, "error": type(error).__name__}
            )

    # ------------------------------------------------------------------------------------------------ dead letters

    async def _dead_letters(self, lane: Lane, queue: str) -> ReconcileReport:
        """From the oldest on, and beyond the cursor. The cursor does not pass what is not settled yet; at the end of
        the queue it begins again, for a dead letter keeps its number and may come to lie before it."""
        report, _ = await self._pages(lane, queue, 0, OLDEST)
        name = f"dead-letters {queue}"
        cursor = await self.stores.cursors.read(name)
        after = int(cursor.value) if cursor and cursor.value.isdecimal() else 0
        beyond, reached = await self._pages(lane, queue, after, BEYOND)
        if reached != after:
            # a lost race is another tick's progress
            await self.stores.cursors.save(name, str(reached), cursor.etag if cursor else None)
        return report + beyond

    async def _pages(self, lane: Lane, queue: str, after: int, most: int) -> tuple[ReconcileReport, int]:
        """At most so many dead letters beyond ``after``, and up to where they need no second look."""
        report, reached, held, looked_at = ReconcileReport(), after, False, 0
        while looked_at < most and not held:
            limit = min(PAGE, most - looked_at)
            page = await self.browser.browse(queue, dead=True, after=after, limit=limit)
            if not page:
                return report, 0
            verdicts = await each(page, lambda letter: self._judge(lane, queue, letter), at_once=_COMMANDS_AT_ONCE)
            found = [verdict for verdict in verdicts if isinstance(verdict, _Candidate)]
            copies = await self._copies(queue, found)
            lonely = [] if copies is None else [one for one in found if not _among(one, copies)]
            report += await self._end_all(lane, queue, lonely)
            for letter, verdict in zip(page, verdicts, strict=True):
                if verdict is _Verdict.NOT_YET or (copies is None and isinstance(verdict, _Candidate)):
                    held = True
                    break
                reached = letter.sequence_number
            after, looked_at = page[-1].sequence_number, looked_at + len(page)
        return report, reached

    async def _judge(self, lane: Lane, queue: str, letter: BrowsedMessage) -> _Verdict | _Candidate:
        if letter.reason in OWN_REASONS:
            return _Verdict.DONE
        try:
            body, _ = inflate(letter.body, letter.properties)
            envelope = await compute_over(len(body), INLINE_BYTES, decode, body, lane)
            return await self._judge_command(queue, letter, envelope)
        except PoisonError:
            return _Verdict.DONE
        except TransientError:
            return _Verdict.NOT_YET
        except Exception:
            log.exception("the command of a dead letter cannot be looked at", extra={"queue": queue})
            return _Verdict.DONE  # a later round looks again

    async def _judge_command(self, queue: str, letter: BrowsedMessage, envelope: Envelope) -> _Verdict | _Candidate:
        command_id = envelope.command_id
        first = await self.stores.keys.read(queue, command_id)
        if first is not None and first.value.status != KeyStatus.RESERVED:
            return _Verdict.DONE
        record = await self.stores.commands.read(command_id)
        if record is None or record.queue != queue or record.request_hash != envelope.request_hash:
            return _Verdict.DONE  # a dead letter of that id may be anybody's
        if await self.stores.outbox.lists(queue, command_id):
            return _Verdict.DONE  # its message is to come
        # read after the outbox, and before the queue: what is sent meanwhile shows in one of them
        key = await self.stores.keys.read(queue, command_id)
        if key is None:
            run = await self.stores.runs.read(ids.run_id(queue, command_id))
            if run is not None and run.value.is_final:
                return _Verdict.DONE
        elif key.value.status != KeyStatus.RESERVED or key.value.request_hash != envelope.request_hash:
            return _Verdict.DONE
        elif not self._is_quiet(key):
            return _Verdict.NOT_YET
        code, rationale = _why(letter)
        return _Candidate(
            message_id=letter.message_id,
            sequence_number=letter.sequence_number,
            envelope=envelope,
            record=record,
            key=key,
            code=code,
            rationale=rationale,
        )

    def _is_quiet(self, key: StoredKey) -> bool:
        """The lease is over, and no delivery that began before the key was last written can be at work any more."""
        return _is_free(key) and key.age_seconds > self.function_timeout + OVERDUE_SECONDS

    async def _copies(self, queue: str, candidates: Sequence[_Candidate]) -> set[str] | None:
        """The ids of those that the queue still holds a message of, under whatever message id. None: the queue is too
        long to be looked through."""
        wanted = {text for one in candidates for text in (one.message_id, one.record.command_id) if text}
        found: set[str] = set()
        if not wanted:
            return found
        looked_at = 0
        async for message in browsed(self.browser, queue):
            body, _ = inflate(message.body, message.properties)
            within = {match.decode() for match in _IDS.findall(body.replace(b"-", b"").lower())}
            found |= wanted & {message.message_id, *within}
            looked_at += 1
            if not wanted - found:
                break
            if looked_at >= LOOKED_THROUGH:
                log.warning("a queue is too long to be looked through for copies", extra={"queue": queue})
                return None
        return found

    # ----------------------------------------------------------------------------------------------------- the end

    async def _end_all(self, lane: Lane, queue: str, candidates: Sequence[_Candidate]) -> ReconcileReport:
        reports = await each(candidates, lambda one: self._end(lane, queue, one), at_once=_COMMANDS_AT_ONCE)
        return sum(reports, ReconcileReport())

    async def _end(self, lane: Lane, queue: str, candidate: _Candidate) -> ReconcileReport:
        """Never raises: one command that cannot be ended stops no other."""
        record = candidate.record
        extra = {"commandId": record.command_id, "queue": queue, "code": candidate.code}
        try:
            settlement = await end_command(
                self,
                lane,
                queue,
                record,
                candidate.envelope,
                candidate.key,
                message_id=candidate.message_id,
                sequence_number=candidate.sequence_number,
                code=candidate.code,
                rationale=candidate.rationale,
            )
            match settlement:
                case DeadLetter():
                    log.error("a command that nothing would have ended is rejected", extra=extra)
                    await self._after(queue, record.command_id, rejected=True)
                    return ReconcileReport(rejected=1)
                case Complete():
                    log.warning("a command that nothing would have ended is rolled forward", extra=extra)
                    await self._after(queue, record.command_id, rejected=False)
                    return ReconcileReport(rolled_forward=1)
                case _:
                    return ReconcileReport()
        except Exception:
            log.exception("a command could not be ended", extra=extra)
            return ReconcileReport(failed=1)

    async def _after(self, queue: str, command_id: str, *, rejected: bool) -> None:
        """What an ended command leaves open and nobody waits for any more."""
        run_id = ids.run_id(queue, command_id)
        await self._resolve(ids.stalled_signal_id(run_id), "the command has ended")
        if rejected:
            # what a rejected command asked for is void
            await self._resolve(ids.review_signal_id(run_id), "the command was rejected")

    async def _resolve(self, signal_id: str, note: str) -> None:
        there = await self.stores.signals.read(signal_id)
        if there is not None and not there.value.is_resolved:
            resolved = signals.resolve(there.value, by="runtime", note=note, now=self.clock.now())
            await self.stores.signals.update(resolved, there.etag)  # a lost race is another's resolution

    # ---------------------------------------------------------------------------------------------- listed commands

    async def _shard(self, shard: str, started: datetime) -> ReconcileReport:
        report = ReconcileReport()
        try:
            entries = await self.stores.followed.due(shard, started, PER_SHARD)
        except StoreUnreachableError as error:
            log.warning("a shard of commands cannot be read", extra={"rationale": error.rationale})
            return ReconcileReport(failed=1)
        for first in range(0, len(entries), _COMMANDS_AT_ONCE):
            if (self.clock.now() - started).total_seconds() > _TICK_SECONDS:
                break
            some = entries[first : first + _COMMANDS_AT_ONCE]
            report = sum(await each(some, self._look), report)
        return report

    async def _look(self, stored: Stored[OutboxEntry]) -> ReconcileReport:
        """Never raises."""
        entry = stored.value
        extra = {"commandId": entry.command_id, "queue": entry.queue}
        try:
            return await self._follow(stored)
        except TransientError as error:
            log.warning("a command could not be looked at", extra={**extra, "rationale": error.rationale})
        except Exception:
            log.exception("a command cannot be looked at", extra=extra)
            try:
                await self._put_back(stored, UNREADABLE_AGAIN)
            except MosaicError:
                log.warning("its entry stays where it is", extra=extra)
        return ReconcileReport(failed=1)

    async def _follow(self, stored: Stored[OutboxEntry]) -> ReconcileReport:
        entry, now = stored.value, self.clock.now()
        key = await self.stores.keys.read(entry.queue, entry.command_id)
        if key is not None and key.value.status != KeyStatus.RESERVED:
            if entry.tries or key.value.status == KeyStatus.REJECTED:
                rejected = key.value.status == KeyStatus.REJECTED
                await self._after(entry.queue, entry.command_id, rejected=rejected)
            await self.stores.followed.remove(entry, stored.etag)
            return ReconcileReport(ended=1)
        silent = timedelta(seconds=key.age_seconds) if key is not None else now - entry.announced_at
        if key is None and silent >= ABSENT_FOR and await self.stores.commands.read(entry.command_id) is None:
            await self.stores.followed.remove(entry, stored.etag)
            return ReconcileReport()
        if silent >= self.stuck_after and (key is None or _is_free(key)):
            report = await self._stuck(entry)
            if report != ReconcileReport():
                # it has ended, or will have when this is looked at again
                await self._put_back(stored, _SOON)
                return report
        elif key is not None and silent >= STALLED_AFTER and not entry.tries:
            await self._tell(entry, key.value, silent)
            await self._put_back(stored, _SOON, told=True)
            return ReconcileReport(stalled=1)
        await self._put_back(stored, min(max(silent / 2, _SOON), _LATE))
        return ReconcileReport()

    async def _stuck(self, entry: OutboxEntry) -> ReconcileReport:
        """Nothing was heard of it for longer than any message lives."""
        queue, command_id = entry.queue, entry.command_id
        lane = next((lane for lane, name in self.queues.items() if name == queue), None)
        record = await self.stores.commands.read(command_id)
        if lane is None or record is None or await self.stores.outbox.lists(queue, command_id):
            return ReconcileReport()
        try:
            envelope = await compute_over(len(record.envelope), INLINE_BYTES, decode, record.envelope.encode(), lane)
        except PoisonError as error:
            raise StoredRowError(f"the envelope of command {command_id} cannot be read") from error
        key = await self.stores.keys.read(queue, command_id)
        if key is not None and (
            key.value.status != KeyStatus.RESERVED
            or not _is_free(key)
            or key.value.request_hash != record.request_hash
            or timedelta(seconds=key.age_seconds) < self.stuck_after
        ):
            return ReconcileReport()
        if key is None:
            run = await self.stores.runs.read(ids.run_id(queue, command_id))
            if run is not None and run.value.is_final:
                return ReconcileReport(ended=1)
        candidate = _Candidate(
            message_id=command_id,
            sequence_number=key.value.sequence_number if key is not None else 0,
            envelope=envelope,
            record=record,
            key=key,
            code="message_lost",
            rationale="no message was left that could bring the command to its end",
        )
        copies = await self._copies(queue, [candidate])
        if copies is None or _among(candidate, copies):
            return ReconcileReport()
        return await self._end(lane, queue, candidate)

    async def _tell(self, entry: OutboxEntry, key: Key, silent: timedelta) -> None:
        record = await self.stores.commands.read(entry.command_id)
        signal = signals.command_stalled(
            queue=entry.queue,
            command_id=entry.command_id,
            run_id=key.run_id,
            correlation_id=key.correlation_id,
            household_id=record.household_id if record is not None else "",
            minutes=int(silent.total_seconds() // 60),
            now=self.clock.now(),
        )
        await self.stores.signals.insert(signal)
        log.warning("a command has stalled", extra={"commandId": entry.command_id, "queue": entry.queue})

    async def _put_back(self, stored: Stored[OutboxEntry], wait: timedelta, *, told: bool = False) -> None:
        """The new row first: who dies in between leaves two, of which the second finds nothing to do."""
        entry = stored.value
        later = replace(entry, due_at=self.clock.now() + wait, tries=entry.tries + told)
        await self.stores.followed.insert(later)
        await self.stores.followed.remove(entry, stored.etag)


def _is_free(key: StoredKey) -> bool:
    """The lease is over; one of more than a day is none that an owner takes."""
    return key.lease_left <= 0 or key.lease_left > reservation.LONGEST_WAIT.total_seconds()


def _among(candidate: _Candidate, copies: Collection[str]) -> bool:
    return candidate.message_id in copies or candidate.record.command_id in copies


def _why(letter: BrowsedMessage) -> tuple[str, str]:
    """What the run fails with. A reason that a person gave may hold anything, and is not told."""
    match letter.reason:
        case DeadLetterReason.MAX_DELIVERY_COUNT_EXCEEDED:
            return "deliveries_exhausted", "the broker gave its message up: every delivery of it ended without a word"
        case DeadLetterReason.TTL_EXPIRED:
            return "message_expired", "its message expired before any delivery could end the command"
        case DeadLetterReason.STORE_UNREACHABLE:
            return StoreUnreachableError.code, "storage did not answer for 24 hours, and the command was given up"
        case _:
            return "message_dead_lettered", "its message was moved to the dead-letter queue by somebody else"
