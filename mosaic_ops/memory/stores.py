"""The stores in memory: for tests, and for whoever needs no durability.

Same semantics as Table Storage, held to it by the contract suite. Rows are kept encoded, as they would be on the wire,
so what cannot be stored fails here as well. Nothing awaits anything: an operation is atomic, and deterministic.
"""

from __future__ import annotations

import bisect
import itertools
import json
import logging
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from mosaic_core.adapters import record_rows
from mosaic_core.adapters.record_rows import Row
from mosaic_core.domain import ids
from mosaic_core.domain.errors import StoredRowError
from mosaic_core.domain.households import EDITS, ERASED, HouseholdKind, HouseholdRow, is_about
from mosaic_core.domain.lanes import Lane
from mosaic_core.domain.lifecycle import ApprovalStatus, Severity
from mosaic_core.domain.quota import Allowance
from mosaic_core.domain.records import (
    Annotation,
    Approval,
    Command,
    Conversation,
    Decision,
    Key,
    LanePause,
    Membership,
    OpenFinding,
    OutboxEntry,
    Run,
    Signal,
    Stage,
    SweepProgress,
)
from mosaic_core.domain.replay import CHUNK, Replay, ReplayClaim, ReplayItem
from mosaic_core.domain.transactions import Transaction
from mosaic_core.ports import (
    LISTED_AHEAD,
    AgedCommand,
    AgedListing,
    Clock,
    DueApproval,
    ETag,
    LedgerWrite,
    ListedApproval,
    ListedCommand,
    ListedReplay,
    ListedSignal,
    Page,
    StandingRow,
    Stored,
    StoredAllowance,
    StoredKey,
    Stores,
)

log = logging.getLogger(__name__)

type RowKey = tuple[str, ...]


def memory_stores(clock: Clock) -> Stores:
    """Empty stores. ``clock`` is the storage service's: it stamps rows, and ages of keys are measured on it."""
    commands, keys, runs, stages = MemoryCommands(clock), MemoryKeys(clock), MemoryRuns(clock), MemoryStages(clock)
    signals, households, conversations = MemorySignals(clock), MemoryHouseholds(clock), MemoryConversations(clock)
    blobs, replays = MemoryBlobs(clock), MemoryReplays(clock)
    ledger, approvals, decisions = MemoryLedger(clock), MemoryApprovals(clock), MemoryDecisions(clock)
    members, annotations, quotas = MemoryMembers(clock), MemoryAnnotations(clock), MemoryQuotas(clock)
    outbox, followed = MemoryOutbox(clock), MemoryOutbox(clock)
    tables = {
        HouseholdKind.MEMBERS: (members.table,),
        HouseholdKind.MARKS: (households.table,),
        HouseholdKind.APPROVALS: (approvals.table,),
        HouseholdKind.COMMANDS: (commands.table,),
        HouseholdKind.RUNS: (runs.table,),
        HouseholdKind.SIGNALS: (signals.table,),
        HouseholdKind.CONVERSATIONS: (conversations.table,),
        HouseholdKind.ANNOTATIONS: (annotations.table,),
        HouseholdKind.LEDGER: (ledger.table,),
        HouseholdKind.LISTS: (commands.index, commands.lists, signals.findings, approvals.due_list, quotas.table),
        HouseholdKind.DECISIONS: (decisions.table,),
    }
    return Stores(
        commands=commands,
        keys=keys,
        runs=runs,
        stages=stages,
        signals=signals,
        ledger=ledger,
        approvals=approvals,
        decisions=decisions,
        households=households,
        members=members,
        blobs=blobs,
        conversations=conversations,
        annotations=annotations,
        outbox=outbox,
        followed=followed,
        cursors=MemoryCursors(clock),
        aged=MemoryAged(commands, keys, runs, stages, signals, households, conversations, blobs, replays),
        quotas=quotas,
        pauses=MemoryPauses(clock),
        replays=replays,
        household_data=MemoryHouseholdData(tables, stages, keys, (outbox, followed), blobs),
    )


@dataclass(frozen=True, slots=True)
class _Kept:
    row: Row
    etag: ETag
    stamped: datetime


class _Table:
    """Rows by key, each with an ETag that is never used twice and the time it was written."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._etags = itertools.count(1)
        self._rows: dict[RowKey, _Kept] = {}
        self._partitions: dict[str, set[RowKey]] = {}
        self._ordered: list[RowKey] | None = None
        """Every key and maybe some that are gone; None after a new one."""

    def insert(self, key: RowKey, row: Row) -> ETag | None:
        return None if key in self._rows else self._write(key, row)

    def update(self, key: RowKey, row: Row, etag: ETag) -> ETag | None:
        there = self._rows.get(key)
        return self._write(key, row) if there is not None and there.etag == etag else None

    def read(self, key: RowKey) -> _Kept | None:
        return self._rows.get(key)

    def delete(self, key: RowKey, etag: ETag | None = None) -> bool:
        """One that is gone is as good as removed. False: it was written since ``etag``."""
        there = self._rows.get(key)
        if there is not None and etag is not None and there.etag != etag:
            return False
        if there is not None:
            del self._rows[key]
            self._partitions[key[0]].discard(key)
        return True

    def under(self, *prefix: str) -> Iterable[tuple[RowKey, Row]]:
        """Rows whose key starts with ``prefix``, ordered by key."""
        among = self._partitions.get(prefix[0], ()) if prefix else self._rows
        found = [key for key in among if key[: len(prefix)] == prefix]
        return [(key, self._rows[key].row) for key in sorted(found)]

    def beyond(self, after: RowKey) -> Iterable[tuple[RowKey, _Kept]]:
        """Rows whose key is greater, ordered by key; nothing is written while they are read."""
        if self._ordered is None:
            self._ordered = sorted(self._rows)
        for place in range(bisect.bisect_right(self._ordered, after), len(self._ordered)):
            key = self._ordered[place]
            if key in self._rows:
                yield key, self._rows[key]

    def _write(self, key: RowKey, row: Row) -> ETag:
        if key not in self._rows:
            self._ordered = None
        etag = f'W/"{next(self._etags)}"'
        self._partitions.setdefault(key[0], set()).add(key)
        self._rows[key] = _Kept(row, etag, self._clock.now().astimezone(UTC))
        return etag


class _Store:
    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.table = _Table(clock)


class MemoryCommands(_Store):
    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.index = _Table(clock)
        self.lists = _Table(clock)

    async def insert(self, command: Command) -> bool:
        return self.table.insert((command.command_id,), record_rows.COMMAND.encode(command)) is not None

    async def read(self, command_id: str) -> Command | None:
        there = self.table.read((command_id,))
        return record_rows.COMMAND.decode(there.row) if there else None

    async def index_conversation(
        self, household_id: str, conversation_id: str, created_at: datetime, queue: str, command_id: str
    ) -> None:
        place = (household_id, conversation_id, record_rows.newest_first(created_at), queue, command_id)
        self.index.insert(place, {})

    async def list_recorded(self, command: Command) -> None:
        place = "!".join((record_rows.newest_first(command.recorded_at), command.queue, command.command_id))
        row: Row = {"Queue": command.queue, "CommandId": command.command_id, "HouseholdId": command.household_id}
        self.lists.insert((place,), row)

    async def listed(
        self,
        queues: Sequence[str],
        *,
        household_id: str | None = None,
        since: datetime | None = None,
        after: str = "",
        ahead: int = LISTED_AHEAD,
    ) -> AsyncIterator[ListedCommand]:
        last = record_rows.not_before(since) if since is not None else None
        for (place,), row in self.lists.under():
            if place <= after or (last is not None and place >= last) or row["Queue"] not in queues:
                continue
            if household_id in (None, row["HouseholdId"]):
                yield ListedCommand(
                    queue=str(row["Queue"]),
                    command_id=str(row["CommandId"]),
                    household_id=str(row["HouseholdId"]),
                    place=place,
                )

    async def conversation(self, household_id: str, conversation_id: str) -> AsyncIterator[tuple[str, str]]:
        for key, _ in self.index.under(household_id, conversation_id):
            yield key[3], key[4]

    async def in_conversation(
        self, household_id: str, conversation_id: str, *, after: str = ""
    ) -> AsyncIterator[ListedCommand]:
        for key, _ in self.index.under(household_id, conversation_id):
            if (place := "!".join(key[2:])) > after:
                yield ListedCommand(queue=key[3], command_id=key[4], household_id=household_id, place=place)

    async def conversations(self, household_id: str) -> AsyncIterator[str]:
        for conversation_id in sorted({key[1] for key, _ in self.index.under(household_id)}):
            yield conversation_id


class MemoryKeys(_Store):
    async def insert(self, key: Key) -> ETag | None:
        return self.table.insert((key.queue, key.command_id), record_rows.encode_key(key))

    async def read(self, queue: str, command_id: str) -> StoredKey | None:
        there = self.table.read((queue, command_id))
        if there is None:
            return None
        age = (self.clock.now() - there.stamped).total_seconds()
        return StoredKey(record_rows.KEY.decode(there.row), there.etag, max(0.0, age))

    async def update(self, key: Key, etag: ETag) -> ETag | None:
        return self.table.update((key.queue, key.command_id), record_rows.encode_key(key), etag)


class MemoryRuns(_Store):
    async def insert(self, run: Run) -> ETag | None:
        return self.table.insert((run.run_id,), record_rows.encode_run(run))

    async def read(self, run_id: str) -> Stored[Run] | None:
        there = self.table.read((run_id,))
        return Stored(record_rows.RUN.decode(there.row), there.etag) if there else None

    async def update(self, run: Run, etag: ETag) -> ETag | None:
        return self.table.update((run.run_id,), record_rows.encode_run(run), etag)


class MemoryStages(_Store):
    async def insert_all(self, stages: Sequence[Stage]) -> bool:
        record_rows.check_one_attempt(stages)
        encoded = {(s.run_id, f"{s.attempt:06}", f"{s.order:03}"): record_rows.encode_stage(s) for s in stages}
        if any(self.table.read(key) for key in encoded):
            return False
        for key, row in encoded.items():
            self.table.insert(key, row)
        return True

    async def of_run(self, run_id: str) -> list[Stage]:
        return [record_rows.STAGE.decode(row) for _, row in self.table.under(run_id)]


class MemorySignals(_Store):
    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.findings = _Table(clock)

    async def insert(self, signal: Signal) -> ETag | None:
        return self.table.insert((signal.signal_id,), record_rows.SIGNAL.encode(signal))

    async def read(self, signal_id: str) -> Stored[Signal] | None:
        there = self.table.read((signal_id,))
        return Stored(record_rows.SIGNAL.decode(there.row), there.etag) if there else None

    async def update(self, signal: Signal, etag: ETag) -> ETag | None:
        return self.table.update((signal.signal_id,), record_rows.SIGNAL.encode(signal), etag)

    async def of_run(self, run_id: str) -> list[Signal]:
        found = [record_rows.SIGNAL.decode(row) for _, row in self.table.under()]
        return sorted((s for s in found if s.run_id == run_id), key=lambda s: (s.raised_at, s.signal_id))

    async def about(self, told: str) -> list[Signal]:
        found = [record_rows.SIGNAL.decode(row) for _, row in self.table.under()]
        named = (s for s in found if ids.clean(told) in record_rows.told_of(s))
        return sorted(named, key=lambda s: (s.raised_at, s.signal_id))

    async def listed(
        self,
        queues: Sequence[str],
        *,
        open_only: bool,
        code: str | None = None,
        severity: Severity | None = None,
        household_id: str | None = None,
        since: datetime | None = None,
        after: str = "",
        ahead: int = LISTED_AHEAD,
    ) -> AsyncIterator[ListedSignal]:
        found = [record_rows.SIGNAL.decode(row) for _, row in self.table.under()]
        of_queues = [s for s in found if s.queue in queues]
        placed = {f"{record_rows.newest_first(s.raised_at)}!{s.signal_id}": s for s in of_queues}
        for place, signal in sorted(placed.items()):
            if place <= after or (since is not None and signal.raised_at < since) or (open_only and signal.is_resolved):
                continue
            wanted = ((code, signal.signal_code), (severity, signal.severity), (household_id, signal.household_id))
            if all(one in (None, other) for one, other in wanted):
                yield ListedSignal(
                    signal_id=signal.signal_id,
                    run_id=signal.run_id,
                    severity=signal.severity,
                    raised_at=signal.raised_at,
                    place=place,
                )

    async def unlist(self, queue: str, listed: ListedSignal) -> None:
        """A list is the signals themselves here."""

    async def index_finding(
        self, household_id: str, signal_id: str, *, day: date, transaction_ids: Sequence[str]
    ) -> None:
        key = household_id, record_rows.newest_day_first(day), signal_id
        self.findings.insert(key, record_rows.encode_finding(signal_id, transaction_ids))

    async def listed_findings(self, household_id: str) -> dict[str, frozenset[str]]:
        return record_rows.listed_with(row for _, row in self.findings.under(household_id))

    def unlist_finding(self, household_id: str, signal_id: str) -> None:
        for key, _ in self.findings.under(household_id):
            if key[2] == signal_id:
                self.findings.delete(key)

    async def open_findings(self, household_id: str) -> list[OpenFinding]:
        newest: dict[str, Row] = {}
        for _, row in list(self.findings.under(household_id))[: record_rows.FINDINGS_READ]:
            newest.setdefault(str(row["SignalId"]), row)
        found = []
        for signal_id, row in list(newest.items())[: record_rows.FINDINGS_LISTED]:
            stored = await self.read(signal_id)
            found.append(record_rows.open_finding(stored.value if stored else None, row, household_id))
        return [finding for finding in found if finding is not None]


class MemoryLedger(_Store):
    async def insert_all(
        self, household_id: str, transactions: Sequence[Transaction], *, run_id: str, batch_id: str
    ) -> LedgerWrite:
        inserted: list[str] = []
        standing: dict[str, StandingRow] = {}
        conflicts: list[str] = []
        batch, own_conflicts = record_rows.one_of_each(transactions)
        for transaction in batch:
            row = record_rows.encode_transaction(
                transaction, run_id=run_id, batch_id=batch_id, recorded_at=self.clock.now().astimezone(UTC)
            )
            key = (household_id, transaction.transaction_id)
            there = self.table.read(key)
            if there is None:
                self.table.insert(key, row)
                inserted.append(transaction.transaction_id)
            elif there.row["ContentHash"] == row["ContentHash"]:
                standing[transaction.transaction_id] = record_rows.standing(transaction, there.row)
            else:
                conflicts.append(transaction.transaction_id)
        return record_rows.ledger_write(inserted, conflicts + own_conflicts, standing)

    async def between(self, household_id: str, first: date, last: date) -> list[Transaction]:
        found = [record_rows.TRANSACTION.decode(row) for _, row in self.table.under(household_id)]
        return sorted((t for t in found if first <= t.posted_on <= last), key=record_rows.ledger_order)

    async def named(self, household_id: str, transaction_ids: Collection[str]) -> dict[str, Transaction]:
        there = {i: self.table.read((household_id, i)) for i in transaction_ids}
        return {i: record_rows.TRANSACTION.decode(found.row) for i, found in there.items() if found is not None}


class MemoryApprovals(_Store):
    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.due_list = _Table(clock)
        self._pended: set[tuple[str, str]] = set()

    async def insert(self, approval: Approval) -> ETag | None:
        if approval.status == ApprovalStatus.PENDING:
            self._pended.add((approval.household_id, approval.approval_id))
        self._list_due(record_rows.first_due(approval))
        return self.table.insert((approval.household_id, approval.approval_id), record_rows.APPROVAL.encode(approval))

    async def read(self, household_id: str, approval_id: str) -> Stored[Approval] | None:
        there = self.table.read((household_id, approval_id))
        return Stored(record_rows.APPROVAL.decode(there.row), there.etag) if there else None

    async def update(self, approval: Approval, etag: ETag) -> ETag | None:
        return self.table.update(
            (approval.household_id, approval.approval_id), record_rows.APPROVAL.encode(approval), etag
        )

    async def of_household(self, household_id: str, status: ApprovalStatus | None) -> list[Approval]:
        listed = [row for _, row in self.table.under(household_id)]
        if status == ApprovalStatus.PENDING:
            return record_rows.newest_approvals(
                record_rows.APPROVAL.decode(row) for row in listed if row["Status"] == status
            )
        found = map(record_rows.APPROVAL.decode, listed)
        return [a for a in record_rows.newest_approvals(found) if status in (None, a.status)]

    async def listed(self, household_id: str, *, pending: bool, after: str = "") -> AsyncIterator[ListedApproval]:
        found = [record_rows.APPROVAL.decode(row) for _, row in self.table.under(household_id)]
        for one in sorted(found, key=lambda a: (record_rows.newest_first(a.created_at), a.approval_id)):
            place = f"{record_rows.newest_first(one.created_at)}!{one.approval_id}"
            waits = one.settled_at is None and (household_id, one.approval_id) in self._pended
            if place > after and (waits or not pending):
                yield ListedApproval(approval_id=one.approval_id, created_at=one.created_at, place=place)

    async def due(self, before: datetime, limit: int) -> list[DueApproval]:
        found: list[DueApproval] = []
        share: dict[str, int] = {}
        for key, row in self.due_list.under():
            due = record_rows.decode_due(row)
            share[key[0]] = share.get(key[0], 0) + (due.due_at < before)
            if due.due_at < before and share[key[0]] <= record_rows.DUE_SHARE and len(found) < limit:
                found.append(due)
        return found

    async def postpone(self, due: DueApproval, later: DueApproval) -> None:
        self._list_due(later)
        self.due_list.delete(_due_key(due))

    async def forget(self, due: DueApproval) -> None:
        self.due_list.delete(_due_key(due))

    async def list_older(self, households: int) -> bool:
        return False

    def _list_due(self, due: DueApproval) -> None:
        self.due_list.insert(_due_key(due), record_rows.encode_due(due))


def _due_key(due: DueApproval) -> RowKey:
    return (record_rows.due_group(due), *record_rows.due_place(due))


class MemoryDecisions(_Store):
    async def insert(self, decision: Decision) -> bool:
        key = (decision.run_id, decision.decision_id)
        return self.table.insert(key, record_rows.DECISION.encode(decision)) is not None

    async def of_run(self, run_id: str) -> list[Decision]:
        found = [record_rows.DECISION.decode(row) for _, row in self.table.under(run_id)]
        return sorted(found, key=lambda d: (d.decided_at, d.decision_id))


class MemoryHouseholds(_Store):
    async def mark_active(self, household_id: str, day: date) -> None:
        self.table.insert(("active", record_rows.month(day), household_id), {})

    async def active(self, month: str, after: str = "") -> AsyncIterator[str]:
        for key, _ in self.table.under("active", month):
            if key[2] > after:
                yield key[2]

    async def sweep_progress(self) -> Stored[SweepProgress] | None:
        there = self.table.read(("sweep",))
        return Stored(record_rows.SWEEP_PROGRESS.decode(there.row), there.etag) if there else None

    async def save_sweep_progress(self, progress: SweepProgress, etag: ETag | None) -> ETag | None:
        row = record_rows.SWEEP_PROGRESS.encode(progress)
        return self.table.insert(("sweep",), row) if etag is None else self.table.update(("sweep",), row, etag)


class MemoryOutbox(_Store):
    async def insert(self, entry: OutboxEntry) -> ETag | None:
        return self.table.insert(_outbox_key(entry), record_rows.OUTBOX_ENTRY.encode(entry))

    async def remove(self, entry: OutboxEntry, etag: ETag) -> bool:
        return self.table.delete(_outbox_key(entry), etag)

    async def shards(self) -> AsyncIterator[str]:
        for shard in sorted({key[0] for key, _ in self.table.under()}):
            yield shard

    async def due(self, shard: str, now: datetime, limit: int) -> list[Stored[OutboxEntry]]:
        there = [self.table.read(key) for key, _ in self.table.under(shard) if key[1] <= record_rows.oldest_first(now)]
        return [
            Stored(record_rows.OUTBOX_ENTRY.decode(kept.row), kept.etag) for kept in there[:limit] if kept is not None
        ]

    async def lists(self, queue: str, command_id: str) -> bool:
        shard = f"{queue} {ids.outbox_shard(command_id)}"
        return any(key[2] == command_id for key, _ in self.table.under(shard))


def _outbox_key(entry: OutboxEntry) -> RowKey:
    shard = f"{entry.queue} {ids.outbox_shard(entry.command_id)}"
    return shard, record_rows.oldest_first(entry.due_at), entry.command_id, entry.entry_id


class MemoryCursors(_Store):
    async def read(self, name: str) -> Stored[str] | None:
        there = self.table.read((name,))
        return Stored(str(there.row["Cursor"]), there.etag) if there else None

    async def save(self, name: str, cursor: str, etag: ETag | None) -> ETag | None:
        row: Row = {"Cursor": cursor}
        return self.table.insert((name,), row) if etag is None else self.table.update((name,), row, etag)


class MemoryPauses(_Store):
    async def read(self, lane: Lane) -> Stored[LanePause] | None:
        there = self.table.read((lane,))
        return Stored(record_rows.LANE_PAUSE.decode(there.row), there.etag) if there else None

    async def save(self, pause: LanePause, etag: ETag | None) -> ETag | None:
        row = record_rows.LANE_PAUSE.encode(pause)
        return self.table.insert((pause.lane,), row) if etag is None else self.table.update((pause.lane,), row, etag)


class MemoryQuotas(_Store):
    async def read(self, household_id: str) -> StoredAllowance | None:
        there = self.table.read((household_id,))
        if there is None:
            return None
        value = record_rows.decode_allowance(there.row, written_at=there.stamped)
        return StoredAllowance(value, there.etag, self.clock.now().astimezone(UTC))

    async def insert(self, allowance: Allowance) -> ETag | None:
        return self.table.insert((allowance.household_id,), record_rows.ALLOWANCE.encode(allowance))

    async def update(self, allowance: Allowance, etag: ETag) -> ETag | None:
        return self.table.update((allowance.household_id,), record_rows.ALLOWANCE.encode(allowance), etag)


class MemoryReplays(_Store):
    async def insert(self, replay: Replay) -> ETag | None:
        place = "!".join((record_rows.newest_first(replay.created_at), replay.replay_id))
        self.table.insert(("list", place), {"ReplayId": replay.replay_id})
        return self.table.insert(("replay", replay.replay_id), record_rows.REPLAY.encode(replay))

    async def read(self, replay_id: str) -> Stored[Replay] | None:
        there = self.table.read(("replay", replay_id))
        return Stored(record_rows.REPLAY.decode(there.row), there.etag) if there else None

    async def update(self, replay: Replay, etag: ETag) -> ETag | None:
        return self.table.update(("replay", replay.replay_id), record_rows.REPLAY.encode(replay), etag)

    async def listed(self, *, after: str = "") -> AsyncIterator[ListedReplay]:
        for (_, place), row in self.table.under("list"):
            if place > after:
                yield ListedReplay(replay_id=str(row["ReplayId"]), place=place)

    async def save_items(self, replay_id: str, items: Sequence[ReplayItem]) -> None:
        for first in range(0, len(items), CHUNK):
            row = record_rows.encode_items(items[first : first + CHUNK])
            self.table.insert(("items", replay_id, f"{first // CHUNK:06}"), row)

    async def items(self, replay_id: str, first: int, count: int) -> list[ReplayItem]:
        kept = [record_rows.decode_items(row) for _, row in self.table.under("items", replay_id)]
        return [item for items in kept for item in items][first : first + count]

    async def claim(self, claim: ReplayClaim) -> bool:
        key = ("claim", claim.queue, claim.command_id, f"{claim.generation:06}")
        return self.table.insert(key, record_rows.REPLAY_CLAIM.encode(claim)) is not None

    async def claims(self, queue: str, command_id: str) -> list[ReplayClaim]:
        return [record_rows.REPLAY_CLAIM.decode(row) for _, row in self.table.under("claim", queue, command_id)]


class MemoryMembers(_Store):
    async def of_subject(self, subject: str) -> list[Membership]:
        return [record_rows.MEMBERSHIP.decode(row) for _, row in self.table.under(subject)]

    async def insert(self, membership: Membership) -> bool:
        return self.table.insert(_member_key(membership), record_rows.MEMBERSHIP.encode(membership)) is not None

    async def of_household(self, household_id: str) -> list[Membership]:
        found = [record_rows.MEMBERSHIP.decode(row) for _, row in self.table.under()]
        return [membership for membership in found if membership.household_id == household_id]

    async def read(self, subject: str, household_user_id: str) -> Stored[Membership] | None:
        there = self.table.read((subject, household_user_id))
        return Stored(record_rows.MEMBERSHIP.decode(there.row), there.etag) if there else None

    async def update(self, membership: Membership, etag: ETag) -> ETag | None:
        return self.table.update(_member_key(membership), record_rows.MEMBERSHIP.encode(membership), etag)


def _member_key(membership: Membership) -> RowKey:
    return membership.subject, membership.household_user_id


class MemoryConversations(_Store):
    async def insert(self, conversation: Conversation) -> ETag | None:
        return self.table.insert(_conversation_key(conversation), record_rows.encode_conversation(conversation))

    async def read(self, household_id: str, conversation_id: str) -> Stored[Conversation] | None:
        there = self.table.read((household_id, conversation_id))
        return Stored(record_rows.decode_conversation(there.row), there.etag) if there else None

    async def update(self, conversation: Conversation, etag: ETag) -> ETag | None:
        return self.table.update(_conversation_key(conversation), record_rows.encode_conversation(conversation), etag)


def _conversation_key(conversation: Conversation) -> RowKey:
    return conversation.household_id, conversation.conversation_id


class MemoryAnnotations(_Store):
    async def insert(self, annotation: Annotation) -> ETag | None:
        return self.table.insert(_annotation_key(annotation), record_rows.ANNOTATION.encode(annotation))

    async def read(self, household_id: str, kind: str, subject: str) -> Stored[Annotation] | None:
        there = self.table.read((household_id, kind, subject))
        return Stored(record_rows.ANNOTATION.decode(there.row), there.etag) if there else None

    async def update(self, annotation: Annotation, etag: ETag) -> ETag | None:
        return self.table.update(_annotation_key(annotation), record_rows.ANNOTATION.encode(annotation), etag)

    async def of_household(self, household_id: str, kind: str) -> list[Annotation]:
        return [record_rows.ANNOTATION.decode(row) for _, row in self.table.under(household_id, kind)]


def _annotation_key(annotation: Annotation) -> RowKey:
    return annotation.household_id, annotation.kind, annotation.subject


class MemoryBlobs:
    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock
        self._blobs: dict[str, bytes] = {}
        self.put_at: dict[str, datetime] = {}

    async def put(self, name: str, data: bytes) -> None:
        self._blobs.setdefault(name, data)
        self.put_at[name] = self._clock.now() if self._clock is not None else datetime.now(UTC)

    async def get(self, name: str) -> bytes | None:
        return self._blobs.get(name)

    def remove(self, name: str) -> None:
        self._blobs.pop(name, None)
        self.put_at.pop(name, None)


@dataclass(frozen=True, slots=True)
class MemoryAged:
    """Walks the tables of the other stores."""

    _commands: MemoryCommands
    _keys: MemoryKeys
    _runs: MemoryRuns
    _stages: MemoryStages
    _signals: MemorySignals
    _households: MemoryHouseholds
    _conversations: MemoryConversations
    _blobs: MemoryBlobs
    _replays: MemoryReplays

    async def keys(self, before: datetime, cursor: str, limit: int) -> Page[Key]:
        def is_old(key: Key) -> bool:
            return (
                key.finalized_at is not None and key.finalized_at < before and key.expires_at < self._keys.clock.now()
            )

        return _walk(self._keys.table, record_rows.KEY.decode, is_old, cursor, limit)

    async def commands(self, before: datetime, cursor: str, limit: int) -> Page[AgedCommand]:
        return _walk(
            self._commands.table, record_rows.decode_aged_command, lambda c: c.recorded_at < before, cursor, limit
        )

    async def signals(self, before: datetime, cursor: str, limit: int) -> Page[Signal]:
        return _walk(self._signals.table, record_rows.SIGNAL.decode, lambda s: s.raised_at < before, cursor, limit)

    async def conversations(self, before: datetime, cursor: str, limit: int) -> Page[Conversation]:
        return _walk(
            self._conversations.table,
            record_rows.decode_bare_conversation,
            lambda c: c.last_modified_at < before,
            cursor,
            limit,
        )

    async def blobs(self, before: datetime, cursor: str, limit: int) -> Page[str]:
        names = [name for name, at in sorted(self._blobs.put_at.items()) if name > cursor and at < before]
        items = [Stored(name, self._blobs.put_at[name].isoformat()) for name in names[:limit]]
        return Page(items, names[limit - 1] if len(names) > limit else "")

    async def listings(self, before: datetime, cursor: str, limit: int) -> Page[AgedListing]:
        """Of commands; the lists of signals are the signals themselves here."""
        lists, walked, after = self._commands.lists, list[Stored[AgedListing]](), cursor
        for (place,), kept in lists.beyond((cursor,)):
            if kept.stamped >= before:
                continue
            if len(walked) == limit:
                return Page(walked, after)
            after, at = place, record_rows.time_of(place)
            walked.append(
                Stored(
                    AgedListing(partition="", row_key=place, command_id=str(kept.row["CommandId"]), at=at), kept.etag
                )
            )
        return Page(walked)

    async def marks(self, before: str, limit: int) -> int:
        old = [key for key, _ in self._households.table.under("active") if key[1] < before][:limit]
        for key in old:
            self._households.table.delete(key)
        return len(old)

    async def remove_key(self, key: Key, etag: ETag) -> bool:
        return self._keys.table.delete((key.queue, key.command_id), etag)

    async def remove_run(self, run: Run, etag: ETag) -> bool:
        for key, _ in self._stages.table.under(run.run_id):
            self._stages.table.delete(key)
        return self._runs.table.delete((run.run_id,), etag)

    async def remove_command(self, command: AgedCommand, etag: ETag) -> bool:
        place = record_rows.newest_first(command.recorded_at), command.queue, command.command_id
        self._commands.index.delete((command.household_id, command.conversation_id, *place))
        for key, _ in self._replays.table.under("claim", command.queue, command.command_id):
            self._replays.table.delete(key)
        self._commands.lists.delete(("!".join(place),))
        return self._commands.table.delete((command.command_id,), etag)

    async def remove_signal(self, signal: Signal, etag: ETag) -> bool:
        if signal.household_id is not None:
            self._signals.unlist_finding(signal.household_id, signal.signal_id)
        return self._signals.table.delete((signal.signal_id,), etag)

    async def remove_listing(self, listing: AgedListing, etag: ETag) -> bool:
        return self._commands.lists.delete((listing.row_key,), etag)

    async def remove_conversation(self, conversation: Conversation, etag: ETag) -> bool:
        return self._conversations.table.delete(_conversation_key(conversation), etag)

    async def remove_blob(self, name: str, etag: ETag) -> bool:
        if name in self._blobs.put_at and self._blobs.put_at[name].isoformat() != etag:
            return False
        self._blobs.remove(name)
        return True

    async def keep_blob(self, name: str) -> None:
        if (data := await self._blobs.get(name)) is not None:
            await self._blobs.put(name, data)


def _walk[T](
    table: _Table, decode: Callable[[Row], T], is_old: Callable[[T], bool], cursor: str, limit: int
) -> Page[T]:
    """A cursor is the key of the last row that was passed."""
    items: list[Stored[T]] = []
    after = tuple(json.loads(cursor)) if cursor else ()
    for key, kept in table.beyond(after):
        if len(items) == limit:
            return Page(items, json.dumps(after))
        after = key
        try:
            value = decode(kept.row)
        except StoredRowError as error:
            log.error("an old row cannot be read", extra={"rationale": error.rationale})
            continue
        if is_old(value):
            items.append(Stored(value, kept.etag))
    return Page(items)


@dataclass(frozen=True, slots=True)
class MemoryHouseholdData:
    """Over the tables of the other stores."""

    _tables: dict[HouseholdKind, tuple[_Table, ...]]
    _stages: MemoryStages
    _keys: MemoryKeys
    _lists: tuple[MemoryOutbox, ...]
    _blobs: MemoryBlobs

    async def page(
        self, kind: HouseholdKind, household_id: str, cursor: str, limit: int, *, whole: bool
    ) -> Page[HouseholdRow]:
        if kind is HouseholdKind.BLOBS:
            return await self._blob_page(household_id, cursor, 1 if whole else limit, whole=whole)
        after = tuple(json.loads(cursor)) if cursor else ()
        items: list[Stored[HouseholdRow]] = []
        for place, key, kept in self._of(kind, household_id):
            if (str(place), *key) <= after:
                continue
            if len(items) == limit:
                return Page(items, json.dumps(items[-1].value.place))
            content = {name: _told(value) for name, value in kept.row.items()}
            if whole:
                content |= self._parts(kind, kept.row)
            items.append(Stored(HouseholdRow(kind=kind, place=(str(place), *key), content=content), kept.etag))
        return Page(items)

    async def remove(self, row: HouseholdRow, etag: ETag) -> int | None:
        if row.kind is HouseholdKind.BLOBS:
            self._blobs.remove(row.place[0])
            return 1
        place, *rest = row.place
        key, table = tuple(rest), self._tables[row.kind][int(place)]
        there = table.read(key)
        if there is None:
            return 0
        if row.kind is HouseholdKind.DECISIONS:
            return 1 if table.update(key, there.row | {"Rationale": ERASED}, etag) else None
        gone = 0
        if row.kind is HouseholdKind.RUNS:
            for part, _ in self._stages.table.under(str(there.row["RunId"])):
                gone += self._stages.table.delete(part)
        if row.kind is HouseholdKind.COMMANDS:
            command_id = str(there.row["CommandId"])
            for listed in (*self._lists, self._keys):
                for part, _ in listed.table.under():
                    if command_id in part:
                        gone += listed.table.delete(part)
        return gone + 1 if table.delete(key, etag) else None

    def _of(self, kind: HouseholdKind, household_id: str) -> Iterable[tuple[int, RowKey, _Kept]]:
        for place, table in enumerate(self._tables.get(kind, ())):
            for key, row in table.under():
                kept = table.read(key)
                erased = kind is HouseholdKind.DECISIONS and row["Rationale"] == ERASED
                if kept is not None and not erased and (household_id in key or row.get("HouseholdId") == household_id):
                    yield place, key, kept

    def _parts(self, kind: HouseholdKind, row: Row) -> dict[str, object]:
        if kind is HouseholdKind.RUNS:
            return {"Stages": [_all_told(stage) for _, stage in self._stages.table.under(str(row["RunId"]))]}
        if kind is HouseholdKind.COMMANDS:
            keys = [key for part, key in self._keys.table.under() if row["CommandId"] in part]
            return {"Keys": [_all_told(key) for key in keys]}
        return {}

    async def _blob_page(self, household_id: str, cursor: str, limit: int, *, whole: bool) -> Page[HouseholdRow]:
        own = (f"{household_id}/", f"agent/{household_id}/")
        names = [
            name
            for name in sorted(self._blobs.put_at)
            if name > cursor
            and (
                name.startswith(own)
                or (name.startswith(EDITS) and is_about(await self._blobs.get(name) or b"", household_id))
            )
        ]
        items = []
        for name in names[:limit]:
            data = await self._blobs.get(name) or b""
            content: dict[str, object] = {"Name": name}
            if whole:
                content["Text"] = data.decode("utf-8", "replace")
            items.append(Stored(HouseholdRow(kind=HouseholdKind.BLOBS, place=(name,), content=content), "blob"))
        return Page(items, names[limit - 1] if len(names) > limit else "")


def _told(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else value


def _all_told(row: Row) -> dict[str, object]:
    return {name: _told(value) for name, value in row.items()}
