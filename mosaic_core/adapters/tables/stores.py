"""The stores on Table Storage. Which row lies where is the decision record on the table layout."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Final

from mosaic_core.adapters import rows
from mosaic_core.adapters.rows import Row
from mosaic_core.adapters.tables.client import MAX_TRANSACTION, TableService
from mosaic_core.adapters.tables.keys import SEPARATOR, encode, join
from mosaic_core.concurrency import each, together
from mosaic_core.domain.errors import StoredRowError
from mosaic_core.domain.ledger import Transaction
from mosaic_core.domain.lifecycle import ApprovalStatus
from mosaic_core.domain.records import (
    Annotation,
    Approval,
    Command,
    Conversation,
    Decision,
    Key,
    Membership,
    OpenFinding,
    Run,
    Signal,
    Stage,
    SweepProgress,
)
from mosaic_core.ports import BlobStore, DueApproval, ETag, LedgerWrite, Stored, StoredKey

COMMANDS: Final = "AgentCommands"
KEYS: Final = "IdempotencyKeys"
RUNS: Final = "AgentRuns"
STAGES: Final = "AgentRunStages"
SIGNALS: Final = "AgentSignals"
APPROVALS: Final = "AgentApprovals"
DECISIONS: Final = "AgentDecisionAudit"
HOUSEHOLDS: Final = "Households"
MEMBERS: Final = "HouseholdMembers"
LEDGER: Final = "LedgerTransactions"
CONVERSATIONS: Final = "AgentConversations"
ANNOTATIONS: Final = "HouseholdAnnotations"
INDEX: Final = "AgentIndex"
"""Rows of our own that only point at others, so that every row of the other tables is one of the contract's."""

TABLES: Final = (
    COMMANDS,
    KEYS,
    RUNS,
    STAGES,
    SIGNALS,
    APPROVALS,
    DECISIONS,
    HOUSEHOLDS,
    MEMBERS,
    LEDGER,
    CONVERSATIONS,
    ANNOTATIONS,
    INDEX,
)

ENVELOPE_UNITS: Final = 30 * 1024
"""UTF-16 units of an envelope that stay in the row: 60 KiB of the 64 that a property holds."""

READS_AT_ONCE: Final = 16
RANGE_LIMIT: Final = 1000
"""Rows that are read to find those of one transaction: one page."""


class _Store:
    def __init__(self, tables: TableService) -> None:
        self._tables = tables


class TableCommands(_Store):
    def __init__(self, tables: TableService, blobs: BlobStore) -> None:
        super().__init__(tables)
        self._blobs = blobs

    async def insert(self, command: Command) -> bool:
        row = rows.COMMAND.encode(command)
        if rows.utf16_length(command.envelope) > ENVELOPE_UNITS:
            data = command.envelope.encode()
            name = f"envelopes/{encode(command.command_id)}/{hashlib.sha256(data).hexdigest()}"
            await self._blobs.put(name, data)  # before the row: a row never points at nothing
            del row["Envelope"]
            row["EnvelopeBlob"] = name
        return await self._tables.insert(COMMANDS, encode(command.command_id), "command", row) is not None

    async def read(self, command_id: str) -> Command | None:
        found = await self._tables.read(COMMANDS, encode(command_id), "command")
        if found is None:
            return None
        name = found.row.get("EnvelopeBlob")
        if name is not None:
            data = await self._blobs.get(name)
            if data is None:
                raise StoredRowError(f"the blob with the envelope of command {command_id[:64]} is gone")
            return rows.COMMAND.decode({**found.row, "Envelope": data.decode()})
        return rows.COMMAND.decode(found.row)

    async def index_conversation(
        self, household_id: str, conversation_id: str, created_at: datetime, queue: str, command_id: str
    ) -> None:
        await self._tables.insert(
            INDEX,
            join("conversation", household_id, conversation_id),
            join(rows.newest_first(created_at), queue, command_id),
            {"Queue": queue, "CommandId": command_id},
        )

    async def conversation(self, household_id: str, conversation_id: str) -> AsyncIterator[tuple[str, str]]:
        partition = join("conversation", household_id, conversation_id)
        async for row in self._tables.query(INDEX, partition, select=("Queue", "CommandId"), page=100):
            yield row["Queue"], row["CommandId"]

    async def conversations(self, household_id: str) -> AsyncIterator[str]:
        prefix = join("conversation", household_id) + SEPARATOR
        async for partition in self._tables.partitions(INDEX, prefix):
            yield partition.removeprefix(prefix)  # a GUID, which a key holds as it is


class TableKeys(_Store):
    async def insert(self, key: Key) -> ETag | None:
        return await self._tables.insert(KEYS, encode(key.command_id), encode(key.queue), rows.encode_key(key))

    async def read(self, queue: str, command_id: str) -> StoredKey | None:
        found = await self._tables.read(KEYS, encode(command_id), encode(queue))
        return StoredKey(rows.KEY.decode(found.row), found.etag, found.age_seconds) if found else None

    async def update(self, key: Key, etag: ETag) -> ETag | None:
        return await self._tables.update(KEYS, encode(key.command_id), encode(key.queue), rows.encode_key(key), etag)


class TableRuns(_Store):
    async def insert(self, run: Run) -> ETag | None:
        return await self._tables.insert(RUNS, encode(run.run_id), "run", rows.encode_run(run))

    async def read(self, run_id: str) -> Stored[Run] | None:
        found = await self._tables.read(RUNS, encode(run_id), "run")
        return Stored(rows.RUN.decode(found.row), found.etag) if found else None

    async def update(self, run: Run, etag: ETag) -> ETag | None:
        return await self._tables.update(RUNS, encode(run.run_id), "run", rows.encode_run(run), etag)


class TableStages(_Store):
    async def insert_all(self, stages: Sequence[Stage]) -> bool:
        rows.check_one_attempt(stages)
        if not stages:
            return True
        attempt = {f"{stage.attempt:06}-{stage.order:03}": rows.encode_stage(stage) for stage in stages}
        return await self._tables.insert_all(STAGES, encode(stages[0].run_id), attempt)

    async def of_run(self, run_id: str) -> list[Stage]:
        found = self._tables.query(STAGES, encode(run_id), select=rows.STAGE.properties)
        return [rows.STAGE.decode(row) async for row in found]


class TableSignals(_Store):
    async def insert(self, signal: Signal) -> ETag | None:
        row = rows.SIGNAL.encode(signal)
        if signal.run_id is not None:
            # first, so that a signal is never without it; one that points at no signal, or at another run's, is skipped
            partition = join("run", signal.run_id)
            await self._tables.insert(INDEX, partition, encode(signal.signal_id), {"SignalId": signal.signal_id})
        return await self._tables.insert(SIGNALS, encode(signal.signal_id), "signal", row)

    async def read(self, signal_id: str) -> Stored[Signal] | None:
        found = await self._tables.read(SIGNALS, encode(signal_id), "signal")
        return Stored(rows.SIGNAL.decode(found.row), found.etag) if found else None

    async def update(self, signal: Signal, etag: ETag) -> ETag | None:
        row = rows.SIGNAL.encode(signal)
        return await self._tables.update(SIGNALS, encode(signal.signal_id), "signal", row, etag)

    async def of_run(self, run_id: str) -> list[Signal]:
        gate = asyncio.Semaphore(READS_AT_ONCE)

        async def read(signal_id: str) -> Signal | None:
            async with gate:
                stored = await self.read(signal_id)
            return stored.value if stored and stored.value.run_id == run_id else None

        listed = self._tables.query(INDEX, join("run", run_id), select=("SignalId",))
        found = await asyncio.gather(*[read(row["SignalId"]) async for row in listed])
        return sorted(filter(None, found), key=lambda signal: (signal.raised_at, signal.signal_id))

    async def index_finding(
        self, household_id: str, signal_id: str, *, day: date, transaction_ids: Sequence[str]
    ) -> None:
        await self._tables.insert(
            INDEX,
            join("finding", household_id),
            join(rows.newest_day_first(day), signal_id),
            rows.encode_finding(signal_id, transaction_ids),
        )

    async def open_findings(self, household_id: str) -> list[OpenFinding]:
        gate = asyncio.Semaphore(READS_AT_ONCE)

        async def read(row: Row) -> OpenFinding | None:
            async with gate:
                stored = await self.read(str(row["SignalId"]))
            if stored is None or not rows.is_open(stored.value, household_id):
                return None
            return OpenFinding(signal=stored.value, transaction_ids=rows.finding_rows(row))

        listed: list[Row] = []
        partition, select = join("finding", household_id), ("SignalId", "TransactionIds")
        async for row in self._tables.query(INDEX, partition, select=select, page=rows.FINDINGS_LISTED):
            listed.append(row)
            if len(listed) == rows.FINDINGS_LISTED:
                break
        return rows.one_of_each_finding(await asyncio.gather(*map(read, listed)))


class TableLedger(_Store):
    def __init__(self, tables: TableService, now: Callable[[], datetime]) -> None:
        super().__init__(tables)
        self._now = now

    async def insert_all(
        self, household_id: str, transactions: Sequence[Transaction], *, run_id: str, batch_id: str
    ) -> LedgerWrite:
        partition, recorded_at = encode(household_id), self._now().astimezone(UTC)
        batch, conflicts = rows.one_of_each(transactions)
        ids = {encode(transaction.transaction_id): transaction.transaction_id for transaction in batch}
        encoded = {
            encode(transaction.transaction_id): rows.encode_transaction(
                transaction, run_id=run_id, batch_id=batch_id, recorded_at=recorded_at
            )
            for transaction in batch
        }
        there: dict[str, str] = {}
        keys = list(encoded)
        neighbours = sorted(keys)  # rows of one transaction lie together, so that reading them back is one range
        for start in range(0, len(keys), MAX_TRANSACTION):
            chunk = {key: encoded[key] for key in neighbours[start : start + MAX_TRANSACTION]}
            there |= await self._insert_chunk(partition, chunk)
        inserted = [ids[key] for key in keys if key not in there]
        present = [ids[key] for key in keys if there.get(key) == encoded[key]["ContentHash"]]
        other = [ids[key] for key in keys if key in there and there[key] != encoded[key]["ContentHash"]]
        return rows.ledger_write(inserted, present, other + conflicts)

    async def _insert_chunk(self, partition: str, chunk: dict[str, Row]) -> dict[str, str]:
        """Insert what is not there. Returns the content hashes of what was there, by row key. Each refused transaction
        means that at least one more row is there, so this ends, whoever else inserts the same meanwhile."""
        there: dict[str, str] = {}
        missing = dict(chunk)
        while missing and not await self._tables.insert_all(LEDGER, partition, missing):
            there |= await self._hashes(partition, list(missing))
            missing = {key: row for key, row in missing.items() if key not in there}
        return there

    async def _hashes(self, partition: str, keys: Sequence[str]) -> dict[str, str]:
        """Content hashes of those rows that are there; ``keys`` ascending. Reads the range that they span; where that
        holds many others, point reads do the rest, so the cost is bounded by the batch and not by the ledger."""
        wanted, there, seen, reached = set(keys), dict[str, str](), 0, ""
        span = (("RowKey", "ge", keys[0]), ("RowKey", "le", keys[-1]))
        async for row in self._tables.query(LEDGER, partition, span, select=("RowKey", "ContentHash")):
            seen, reached = seen + 1, row["RowKey"]
            if reached in wanted:
                there[reached] = row["ContentHash"]
            if seen == RANGE_LIMIT:
                break
        else:
            return there
        gate = asyncio.Semaphore(READS_AT_ONCE)

        async def read(key: str) -> tuple[str, str] | None:
            async with gate:
                found = await self._tables.read(LEDGER, partition, key, "ContentHash")
            return (key, str(found.row["ContentHash"])) if found else None

        rest = [read(key) for key in keys if key > reached]
        return there | dict(filter(None, await asyncio.gather(*rest)))

    async def between(self, household_id: str, first: date, last: date) -> list[Transaction]:
        days = (("PostedOn", "ge", first.isoformat()), ("PostedOn", "le", last.isoformat()))
        found = self._tables.query(LEDGER, encode(household_id), days, select=rows.TRANSACTION.properties)
        return sorted([rows.TRANSACTION.decode(row) async for row in found], key=rows.ledger_order)


class TableApprovals(_Store):
    """Beside the rows: a household's lists of all and of pending approvals, in one partition, and the list of what is
    due, by day and group of households. Rows of versions that kept no lists are listed by whoever comes first: who
    asks for a household's approvals, for that household, and `list_older`, for all of them."""

    def __init__(self, tables: TableService, now: Callable[[], datetime]) -> None:
        super().__init__(tables)
        self._now = now

    async def insert(self, approval: Approval) -> ETag | None:
        row, place = rows.APPROVAL.encode(approval), _place_of(approval)
        listed: dict[str, Row] = {_ALL + place: {"ApprovalId": approval.approval_id}}
        if approval.status == ApprovalStatus.PENDING:
            listed[_PENDING + place] = {"ApprovalId": approval.approval_id}
        # a second time all of it is there, or only the pending one is gone, which stays away: nothing is written
        await together(
            self._tables.insert_all(INDEX, _approvals_of(approval.household_id), listed),
            self._list_due(rows.first_due(approval)),
        )
        return await self._tables.insert(APPROVALS, *_approval_keys(approval), row)

    async def read(self, household_id: str, approval_id: str) -> Stored[Approval] | None:
        found = await self._tables.read(APPROVALS, encode(household_id), encode(approval_id))
        return Stored(rows.APPROVAL.decode(found.row), found.etag) if found else None

    async def update(self, approval: Approval, etag: ETag) -> ETag | None:
        row = rows.APPROVAL.encode(approval)
        if approval.settled_at is not None:
            await self._remove(_approvals_of(approval.household_id), _PENDING + _place_of(approval))
        return await self._tables.update(APPROVALS, *_approval_keys(approval), row, etag)

    async def of_household(self, household_id: str, status: ApprovalStatus | None) -> list[Approval]:
        kind = _PENDING if status == ApprovalStatus.PENDING else _ALL
        marks, listed = await self._listed(household_id, kind)
        if not self._is_complete(marks):
            await self._list_earlier(household_id, kind)
            _, listed = await self._listed(household_id, kind)

        async def read(approval_id: str) -> Approval | None:
            stored = await self.read(household_id, approval_id)
            return stored.value if stored is not None else None

        found = await each(listed, read, at_once=READS_AT_ONCE)
        return rows.newest_approvals(a for a in found if a is not None and status in (None, a.status))

    async def _listed(
        self, household_id: str, kind: str, most: int = rows.APPROVALS_LISTED
    ) -> tuple[list[datetime], list[str]]:
        """When rows of earlier versions were put on the list, and the ids of the newest on it."""
        marks: list[datetime] = []
        listed: list[str] = []
        partition, span = _approvals_of(household_id), (("RowKey", "ge", kind), ("RowKey", "lt", _after(kind)))
        async for row in self._tables.query(INDEX, partition, span, select=("ApprovalId", "AtUtc"), page=most):
            if row.get("AtUtc") is not None:
                marks.append(_time_of(row["AtUtc"]))
            else:
                listed.append(str(row["ApprovalId"]))
            if len(listed) == most:
                break
        return marks, listed

    # --------------------------------------------------------------------------------------------------- what is due

    async def due(self, before: datetime, limit: int) -> list[DueApproval]:
        found: list[DueApproval] = []
        async for partition in self._tables.partitions(INDEX, _DUE):
            if partition > f"{_DUE}{rows.due_day(before)}~" or len(found) >= limit:
                break
            most, taken = min(rows.DUE_SHARE, limit - len(found)), 0
            until = (("RowKey", "lt", rows.due_time(before)),)
            async for row in self._tables.query(INDEX, partition, until, select=rows.DUE_PROPERTIES, page=most):
                found.append(rows.decode_due(row))
                taken += 1
                if taken == most:
                    break
        return found

    async def postpone(self, due: DueApproval, later: DueApproval) -> None:
        await self._list_due(later)
        await self._remove(*_due_keys(due))

    async def forget(self, due: DueApproval) -> None:
        await self._remove(*_due_keys(due))

    async def _list_due(self, due: DueApproval) -> None:
        await self._tables.insert(INDEX, *_due_keys(due), rows.encode_due(due))

    async def _remove(self, partition: str, row_key: str) -> None:
        """One that is gone is as good as removed; a row of a list never changes."""
        there = await self._tables.read(INDEX, partition, row_key, "PartitionKey")
        if there is not None:
            await self._tables.delete(INDEX, partition, row_key, there.etag)

    # -------------------------------------------------------------------------------------- rows of earlier versions

    def _is_complete(self, marks: Sequence[datetime]) -> bool:
        """Twice, since a worker of the earlier version may have written while the first list was made."""
        return len(marks) >= 2 or (len(marks) == 1 and self._now() - marks[0] < OVERLAP)

    async def _list_earlier(self, household_id: str, kind: str) -> None:
        """One reading of the household's rows (of those that say pending, for that list), once or twice in its life."""
        partition, now = _approvals_of(household_id), self._now().astimezone(UTC)
        of_kind = [("Status", "eq", ApprovalStatus.PENDING.value)] if kind == _PENDING else []
        found = [
            rows.APPROVAL.decode(row)
            async for row in self._tables.query(
                APPROVALS, encode(household_id), of_kind, select=rows.APPROVAL.properties
            )
        ]

        async def list_one(approval: Approval) -> None:
            if kind == _PENDING:
                await self._list_due(rows.first_due(approval))
            row: Row = {"ApprovalId": approval.approval_id}
            await self._tables.insert(INDEX, partition, kind + _place_of(approval), row)

        # all that is pending, since all of it has to end; of the others the newest, since nobody is shown more
        wanted = found if kind == _PENDING else rows.newest_approvals(found)
        await each(wanted, list_one, at_once=READS_AT_ONCE)
        await self._tables.insert(INDEX, partition, f"{kind}{_MARK}{rows.due_time(now)}", {"AtUtc": now})

    async def list_older(self, households: int) -> bool:
        found = await self._tables.read(INDEX, "approvals-listed", "progress")
        after = str(found.row["Cursor"]) if found else ""
        if found and found.row["Passes"] >= 2:
            return False
        if found and found.row["Passes"] == 1 and not after and self._now() - _time_of(found.row["AtUtc"]) < OVERLAP:
            return False
        passes = int(found.row["Passes"]) if found else 0
        seen = 0
        async for partition in self._tables.partitions_after(APPROVALS, after):
            async for row in self._tables.query(APPROVALS, partition, select=("HouseholdId",), page=1):
                household_id = str(row["HouseholdId"])
                marks, _ = await self._listed(household_id, _PENDING, most=1)
                if not self._is_complete(marks):
                    await self._list_earlier(household_id, _PENDING)
                break
            seen, after = seen + 1, partition
            if seen == households:
                break
        else:
            after, passes = "", passes + 1
        progress: Row = {"Cursor": after, "Passes": passes, "AtUtc": self._now().astimezone(UTC)}
        if found is None:
            await self._tables.insert(INDEX, "approvals-listed", "progress", progress)
        else:
            # a lost race is another's progress
            await self._tables.update(INDEX, "approvals-listed", "progress", progress, found.etag)
        return passes < 2


OVERLAP: Final = timedelta(hours=1)
"""How long workers of two versions may write side by side."""

_DUE: Final = f"approval-due{SEPARATOR}"
_PENDING: Final = f"pending{SEPARATOR}"
_ALL: Final = f"all{SEPARATOR}"
_MARK: Final = SEPARATOR
"""Begins what says that a list holds earlier rows as well: before every place, so that one range has both."""


def _after(kind: str) -> str:
    """The first text that does not begin so."""
    return kind[:-1] + chr(ord(kind[-1]) + 1)


def _time_of(value: datetime | str) -> datetime:
    return datetime.fromisoformat(value) if isinstance(value, str) else value


def _approvals_of(household_id: str) -> str:
    return join("approvals", household_id)


def _place_of(approval: Approval) -> str:
    return join(rows.newest_first(approval.created_at), approval.approval_id)


def _due_keys(due: DueApproval) -> tuple[str, str]:
    return f"{_DUE}{rows.due_group(due)}", join(*rows.due_place(due))


def _approval_keys(approval: Approval) -> tuple[str, str]:
    return encode(approval.household_id), encode(approval.approval_id)


class TableDecisions(_Store):
    async def insert(self, decision: Decision) -> bool:
        keys = encode(decision.run_id), encode(decision.decision_id)
        return await self._tables.insert(DECISIONS, *keys, rows.DECISION.encode(decision)) is not None

    async def of_run(self, run_id: str) -> list[Decision]:
        found = self._tables.query(DECISIONS, encode(run_id), select=rows.DECISION.properties)
        decisions = [rows.DECISION.decode(row) async for row in found]
        return sorted(decisions, key=lambda decision: (decision.decided_at, decision.decision_id))


class TableConversations(_Store):
    async def insert(self, conversation: Conversation) -> ETag | None:
        keys = _conversation_keys(conversation.household_id, conversation.conversation_id)
        return await self._tables.insert(CONVERSATIONS, *keys, rows.encode_conversation(conversation))

    async def read(self, household_id: str, conversation_id: str) -> Stored[Conversation] | None:
        found = await self._tables.read(CONVERSATIONS, *_conversation_keys(household_id, conversation_id))
        return Stored(rows.decode_conversation(found.row), found.etag) if found else None

    async def update(self, conversation: Conversation, etag: ETag) -> ETag | None:
        keys = _conversation_keys(conversation.household_id, conversation.conversation_id)
        return await self._tables.update(CONVERSATIONS, *keys, rows.encode_conversation(conversation), etag)


def _conversation_keys(household_id: str, conversation_id: str) -> tuple[str, str]:
    return encode(household_id), encode(conversation_id)


class TableAnnotations(_Store):
    async def insert(self, annotation: Annotation) -> ETag | None:
        return await self._tables.insert(ANNOTATIONS, *_annotation_keys(annotation), rows.ANNOTATION.encode(annotation))

    async def read(self, household_id: str, kind: str, subject: str) -> Stored[Annotation] | None:
        found = await self._tables.read(ANNOTATIONS, join(household_id, kind), encode(subject))
        return Stored(rows.ANNOTATION.decode(found.row), found.etag) if found else None

    async def update(self, annotation: Annotation, etag: ETag) -> ETag | None:
        keys = _annotation_keys(annotation)
        return await self._tables.update(ANNOTATIONS, *keys, rows.ANNOTATION.encode(annotation), etag)

    async def of_household(self, household_id: str, kind: str) -> list[Annotation]:
        found = self._tables.query(ANNOTATIONS, join(household_id, kind), select=rows.ANNOTATION.properties)
        return sorted([rows.ANNOTATION.decode(row) async for row in found], key=lambda a: a.subject)


def _annotation_keys(annotation: Annotation) -> tuple[str, str]:
    return join(annotation.household_id, annotation.kind), encode(annotation.subject)


class TableHouseholds(_Store):
    async def mark_active(self, household_id: str, day: date) -> None:
        partition = join("active", rows.month(day))
        await self._tables.insert(INDEX, partition, encode(household_id), {"HouseholdId": household_id})

    async def active(self, month: str, after: str = "") -> AsyncIterator[str]:
        beyond = [("RowKey", "gt", encode(after))] if after else []
        async for row in self._tables.query(INDEX, join("active", month), beyond, select=("HouseholdId",)):
            yield row["HouseholdId"]

    async def sweep_progress(self) -> Stored[SweepProgress] | None:
        found = await self._tables.read(INDEX, "sweep", "progress")
        return Stored(rows.SWEEP_PROGRESS.decode(found.row), found.etag) if found else None

    async def save_sweep_progress(self, progress: SweepProgress, etag: ETag | None) -> ETag | None:
        row = rows.SWEEP_PROGRESS.encode(progress)
        if etag is None:
            return await self._tables.insert(INDEX, "sweep", "progress", row)
        return await self._tables.update(INDEX, "sweep", "progress", row, etag)


class TableMembers(_Store):
    async def of_subject(self, subject: str) -> list[Membership]:
        found = self._tables.query(MEMBERS, encode(subject), select=rows.MEMBERSHIP.properties)
        return [rows.MEMBERSHIP.decode(row) async for row in found]

    async def insert(self, membership: Membership) -> bool:
        keys = encode(membership.subject), encode(membership.household_user_id)
        return await self._tables.insert(MEMBERS, *keys, rows.MEMBERSHIP.encode(membership)) is not None
