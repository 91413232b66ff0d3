"""Retention: what is past its date is removed, table by table, a bounded piece at each tick.

Each kind is walked in the order of its keys, page by page, from a stored cursor; at the end the next tick begins anew.
Nothing is removed but by the ETag that it was read with. A command goes as a whole, its record last, and only where it
is final and no review of it is open; decisions and approvals stay. What is removed half way is found again, since
what names the rest goes last.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from mosaic_core.concurrency import each
from mosaic_core.config import table
from mosaic_core.domain import ids
from mosaic_core.domain.errors import StoreRefusedError, StoreUnreachableError, TransientError
from mosaic_core.domain.lifecycle import ApprovalStatus, KeyStatus
from mosaic_core.domain.records import Conversation, Key, Signal
from mosaic_core.ports import AgedCommand, AgedListing, Clock, Page, Stored, Stores

log = logging.getLogger(__name__)

PAGE: Final = 100
ROWS: Final = 20_000
"""Old rows of one kind that one tick looks at, where it has the time."""

PAGES: Final = 250
"""Requests that one tick spends on walking one kind."""

TICK_SECONDS: Final = 240.0
"""After these a tick looks at one page more of each kind that is left, and ends: well within an invocation's time."""

_AT_ONCE: Final = 16
_MONTHS_MARKED: Final = 6
"""Marks of activity that are kept: the nights look back three months."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ages:
    """How long each kind is kept after its end; None: for ever. ``commands`` is for all that a command leaves (record,
    run, stages, listing, envelope), ``blobs`` for batches and an agent's sessions."""

    keys: timedelta | None = timedelta(days=table.KEY_DAYS.default)
    commands: timedelta | None = timedelta(days=table.COMMAND_DAYS.default)
    signals: timedelta | None = timedelta(days=table.SIGNAL_DAYS.default)
    conversations: timedelta | None = timedelta(days=table.CONVERSATION_DAYS.default)
    blobs: timedelta | None = timedelta(days=table.BLOB_DAYS.default)


@dataclass(frozen=True, slots=True)
class RetentionReport:
    """How many of each kind were removed, were left because they are open or not final, and could not be removed."""

    removed: int = 0
    kept: int = 0
    failed: int = 0

    def __add__(self, other: RetentionReport) -> RetentionReport:
        return RetentionReport(self.removed + other.removed, self.kept + other.kept, self.failed + other.failed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    stores: Stores
    clock: Clock
    ages: Ages = field(default_factory=Ages)

    async def tick(self) -> RetentionReport:
        """Safe to run many at once. A kind for which storage does not answer is gone on with by the next tick."""
        started, ages, aged = self.clock.now(), self.ages, self.stores.aged
        report = RetentionReport()
        report += await self._walk("keys", started, ages.keys, aged.keys, self._key)
        report += await self._walk("signals", started, ages.signals, aged.signals, self._signal)
        report += await self._walk("conversations", started, ages.conversations, aged.conversations, self._conversation)
        listed = ages.commands or ages.signals
        report += await self._walk("listings", started, listed, aged.listings, self._listing)
        report += await self._marks(started)
        # late, since it is most of the work and would cost the others all of the tick; before the blobs, since it keeps
        # those that a command which stays needs
        report += await self._walk("commands", started, ages.commands, aged.commands, self._command)
        return report + await self._walk("blobs", started, ages.blobs, aged.blobs, self._blob)

    async def _walk[T](
        self,
        kind: str,
        started: datetime,
        age: timedelta | None,
        fetch: Callable[[datetime, str, int], Awaitable[Page[T]]],
        remove: Callable[[Stored[T], datetime], Awaitable[bool]],
    ) -> RetentionReport:
        report = RetentionReport()
        if age is None:
            return report
        before, name, looked_at = started - age, f"retention {kind}", 0

        async def one(stored: Stored[T]) -> RetentionReport:
            try:
                removed = await remove(stored, before)
            except TransientError:
                raise
            except Exception:
                log.exception("what is past its date cannot be removed", extra={"kind": kind})
                return RetentionReport(failed=1)
            return RetentionReport(removed=removed, kept=not removed)

        try:
            cursor = await self.stores.cursors.read(name)
            at, etag = (cursor.value, cursor.etag) if cursor else ("", None)
            for _ in range(PAGES):
                try:
                    page = await fetch(before, at, PAGE)
                except (StoreRefusedError, ValueError, TypeError, AttributeError, KeyError):
                    if not at:
                        raise
                    # a cursor that storage does not take any more: the walk begins anew, not never again
                    log.warning("a walk begins anew", extra={"kind": kind}, exc_info=True)
                    await self.stores.cursors.save(name, "", etag)
                    break
                report = sum(await each(page.items, one, at_once=_AT_ONCE), report)
                if page.cursor != at:
                    etag = await self.stores.cursors.save(name, page.cursor, etag)
                    if etag is None:
                        break  # another tick is at it
                at, looked_at = page.cursor, looked_at + len(page.items)
                late = (self.clock.now() - started).total_seconds() > TICK_SECONDS
                if not at or looked_at >= ROWS or late:
                    break
        except StoreUnreachableError as error:
            log.warning("retention is interrupted", extra={"kind": kind, "rationale": error.rationale})
        except Exception:
            # one kind stops no other
            log.exception("retention cannot walk a kind", extra={"kind": kind})
            report += RetentionReport(failed=1)
        return report

    async def _marks(self, started: datetime) -> RetentionReport:
        if self.ages.commands is None:
            return RetentionReport()
        month = started.year * 12 + started.month - 1 - _MONTHS_MARKED
        try:
            return RetentionReport(removed=await self.stores.aged.marks(f"{month // 12:04}{month % 12 + 1:02}", ROWS))
        except StoreUnreachableError as error:
            log.warning("retention is interrupted", extra={"kind": "marks", "rationale": error.rationale})
            return RetentionReport()

    # -------------------------------------------------------------------------------------------------------- by kind

    async def _key(self, stored: Stored[Key], _: datetime) -> bool:
        return await self.stores.aged.remove_key(stored.value, stored.etag)

    async def _command(self, stored: Stored[AgedCommand], before: datetime) -> bool:
        removed = await self._remove_command(stored, before)
        if not removed and stored.value.batch_blob:
            # as long as the command stays its batch does, whatever its age
            await self.stores.aged.keep_blob(stored.value.batch_blob)
        return removed

    async def _remove_command(self, stored: Stored[AgedCommand], before: datetime) -> bool:
        command, stores = stored.value, self.stores
        run_id = ids.run_id(command.queue, command.command_id)
        key = await stores.keys.read(command.queue, command.command_id)
        if key is not None and key.value.status == KeyStatus.RESERVED:
            return False
        run = await stores.runs.read(run_id)
        if run is not None and (not run.value.is_final or (run.value.completed_at or before) >= before):
            return False
        if run is None and key is None and await self._is_to_come(command):
            return False
        of_run = [await stores.signals.read(signal_id) for signal_id in _signals_of(command, run_id)]
        others = await stores.signals.of_run(run_id)
        found = [signal for signal in of_run if signal is not None]
        if any(_is_open(signal) for signal in [*(s.value for s in found), *others]):
            return False
        for signal in found:
            if not await stores.aged.remove_signal(signal.value, signal.etag):
                return False
        if run is not None and not await stores.aged.remove_run(run.value, run.etag):
            return False
        if key is not None and not await stores.aged.remove_key(key.value, key.etag):
            return False
        return await stores.aged.remove_command(command, stored.etag)

    async def _is_to_come(self, command: AgedCommand) -> bool:
        """One that never began and is not given up yet; the reconciler ends those that it follows."""
        stores, queue, command_id = self.stores, command.queue, command.command_id
        return await stores.outbox.lists(queue, command_id) or await stores.followed.lists(queue, command_id)

    async def _signal(self, stored: Stored[Signal], before: datetime) -> bool:
        signal = stored.value
        if _is_open(signal) or (signal.resolved_at is not None and signal.resolved_at >= before):
            return False
        if signal.command_id is not None:
            key = await self.stores.keys.read(signal.queue, signal.command_id)
            if key is not None and key.value.status == KeyStatus.RESERVED:
                return False
        if signal.run_id is not None:
            run = await self.stores.runs.read(signal.run_id)
            if run is not None and not run.value.is_final:
                return False
        return await self.stores.aged.remove_signal(signal, stored.etag)

    async def _conversation(self, stored: Stored[Conversation], _: datetime) -> bool:
        conversation, stores = stored.value, self.stores
        if conversation.holder_command_id:
            key = await stores.keys.read(conversation.holder_queue, conversation.holder_command_id)
            if key is not None and key.value.status == KeyStatus.RESERVED:
                return False
        pending = await stores.approvals.of_household(conversation.household_id, ApprovalStatus.PENDING)
        if any(approval.conversation_id == conversation.conversation_id for approval in pending):
            return False
        return await stores.aged.remove_conversation(conversation, stored.etag)

    async def _listing(self, stored: Stored[AgedListing], _: datetime) -> bool:
        """What a row names goes with it; one that names nothing was left by who died between, or by what was listed
        and never written."""
        listing = stored.value
        if listing.command_id:
            command = await self.stores.commands.read(listing.command_id)
            stays = command is not None and command.recorded_at == listing.at
        else:
            signal = await self.stores.signals.read(listing.signal_id)
            stays = (
                signal is not None
                and listing.at in (None, signal.value.raised_at)
                and not (listing.of_open and signal.value.is_resolved)
            )
        return not stays and await self.stores.aged.remove_listing(listing, stored.etag)

    async def _blob(self, stored: Stored[str], _: datetime) -> bool:
        """An envelope belongs to its command, and goes with it; one that lies alone was left by who died between."""
        kind, command_id, *_rest = (*stored.value.split("/"), "")
        if kind == "envelopes" and await self.stores.commands.read(command_id) is not None:
            return False
        return await self.stores.aged.remove_blob(stored.value, stored.etag)


def _signals_of(command: AgedCommand, run_id: str) -> tuple[str, ...]:
    """Those that are a command's own, whatever was found in its run."""
    return (
        ids.failure_signal_id(run_id),
        ids.review_signal_id(run_id),
        ids.stalled_signal_id(run_id),
        ids.unsent_signal_id(command.queue, command.command_id),
    )


def _is_open(signal: Signal) -> bool:
    return signal.requires_human_review and not signal.is_resolved
