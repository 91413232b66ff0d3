"""The stores on Table Storage. Which row lies where is the decision record on the table layout."""

from __future__ import annotations

import hashlib
import heapq
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Final

from mosaic_core.adapters import record_rows
from mosaic_core.adapters.record_rows import Row
from mosaic_core.adapters.tables.keys import SEPARATOR, encode, join
from mosaic_core.adapters.tables.table_client import MAX_TRANSACTION, TableService
from mosaic_core.computing import INLINE_ROWS, compute_over
from mosaic_core.concurrency import each, together
from mosaic_core.domain import ids as derived
from mosaic_core.domain.errors import StoredRowError
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
from mosaic_core.domain.transactions import Transaction
from mosaic_core.ports import (
    LISTED_AHEAD,
    BlobStore,
    DueApproval,
    ETag,
    LedgerWrite,
    ListedApproval,
    ListedCommand,
    ListedSignal,
    StandingRow,
    Stored,
    StoredAllowance,
    StoredKey,
)

log = logging.getLogger(__name__)

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
ACTIVE_SHARDS: Final = "0123456789abcdef"
ACTIVE_PAGE: Final = 100
"""Households of one of a month's partitions that are read ahead."""

MARKS_REMEMBERED: Final = 10_000
"""Households that one process knows to be marked; one that it has forgotten costs an insert."""

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
        row = record_rows.COMMAND.encode(command)
        if record_rows.utf16_length(command.envelope) > ENVELOPE_UNITS:
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
            return record_rows.COMMAND.decode({**found.row, "Envelope": data.decode()})
        return record_rows.COMMAND.decode(found.row)

    async def index_conversation(
        self, household_id: str, conversation_id: str, created_at: datetime, queue: str, command_id: str
    ) -> None:
        await self._tables.insert(
            INDEX,
            join("conversation", household_id, conversation_id),
            join(record_rows.newest_first(created_at), queue, command_id),
            {"Queue": queue, "CommandId": command_id},
        )

    async def list_recorded(self, command: Command) -> None:
        row: Row = {"Queue": command.queue, "CommandId": command.command_id, "HouseholdId": command.household_id}
        places = lists_of_command(command.household_id, command.queue, command.command_id, command.recorded_at)
        await each(places, lambda place: self._tables.insert(INDEX, *place, row))

    async def listed(
        self,
        queues: Sequence[str],
        *,
        household_id: str | None = None,
        since: datetime | None = None,
        after: str = "",
        ahead: int = LISTED_AHEAD,
    ) -> AsyncIterator[ListedCommand]:
        if household_id is not None:
            lists = [self._of_household(household_id, queues, since, after, ahead)]
        else:
            lists = [self._of_queue(queue, since, after, ahead) for queue in dict.fromkeys(queues)]
        async for row in _by_place(lists):
            yield ListedCommand(
                queue=str(row["Queue"]),
                command_id=str(row["CommandId"]),
                household_id=str(row["HouseholdId"]),
                place=str(row["RowKey"]),
            )

    async def _of_household(
        self, household_id: str, queues: Sequence[str], since: datetime | None, after: str, ahead: int
    ) -> AsyncIterator[Row]:
        span = _span(since, after)
        if len(queues) == 1:
            span.append(("Queue", "eq", queues[0]))
        partition = join("commands", household_id)
        async for row in self._tables.query(INDEX, partition, span, select=_LISTED_COMMAND, page=ahead):
            if row["Queue"] in queues:
                yield row

    async def _of_queue(self, queue: str, since: datetime | None, after: str, ahead: int) -> AsyncIterator[Row]:
        """Day by day, the newest first; a day without commands costs nothing. Where the list begins or ends within a
        day, that day is a range of its own: across partitions a row key is looked for row by row."""
        span, prefix = _span(since, after), join("recent", queue) + SEPARATOR
        first = prefix + record_rows.day_newest_first(record_rows.time_of(after)) if after else ""
        last = _recent(queue, since) if since is not None else ""
        columns = _LISTED_COMMAND
        if first:
            async for row in self._tables.query(INDEX, first, span, select=columns, page=ahead):
                yield row
        if last and first >= last:
            return
        beyond = first + SEPARATOR if first else prefix
        async for row in self._tables.query_partitions(
            INDEX, beyond, last or _after(prefix), select=columns, page=ahead
        ):
            yield row
        if last:
            async for row in self._tables.query(INDEX, last, span, select=columns, page=ahead):
                yield row

    async def conversation(self, household_id: str, conversation_id: str) -> AsyncIterator[tuple[str, str]]:
        partition = join("conversation", household_id, conversation_id)
        async for row in self._tables.query(INDEX, partition, select=("Queue", "CommandId"), page=100):
            yield row["Queue"], row["CommandId"]

    async def in_conversation(
        self, household_id: str, conversation_id: str, *, after: str = ""
    ) -> AsyncIterator[ListedCommand]:
        partition = join("conversation", household_id, conversation_id)
        columns = ("RowKey", "Queue", "CommandId")
        async for row in self._tables.query(INDEX, partition, _span(None, after), select=columns, page=LISTED_AHEAD):
            yield ListedCommand(
                queue=str(row["Queue"]),
                command_id=str(row["CommandId"]),
                household_id=household_id,
                place=str(row["RowKey"]),
            )

    async def conversations(self, household_id: str) -> AsyncIterator[str]:
        prefix = join("conversation", household_id) + SEPARATOR
        async for partition in self._tables.partitions(INDEX, prefix):
            yield partition.removeprefix(prefix)  # a GUID, which a key holds as it is


_LISTED_COMMAND: Final = ("RowKey", "Queue", "CommandId", "HouseholdId")
_LISTED_SIGNAL: Final = ("RowKey", "SignalId", "RunId", "Severity")


def lists_of_command(household_id: str, queue: str, command_id: str, recorded_at: datetime) -> list[tuple[str, str]]:
    """Where a command is listed for operators."""
    place = join(record_rows.newest_first(recorded_at), queue, command_id)
    places = [(_recent(queue, recorded_at), place)]
    return [*places, (join("commands", household_id), place)] if household_id else places


def _recent(queue: str, moment: datetime) -> str:
    """The partition of a queue's commands of one day; a later day's comes first."""
    return join("recent", queue, record_rows.day_newest_first(moment))


def _span(since: datetime | None, after: str, kind: str = "") -> list[tuple[str, str, str]]:
    """Of the rows of a list, those at or after ``since`` and beyond ``after``."""
    span = []
    if after or kind:
        span.append(("RowKey", "gt", kind + after))
    if since is not None or kind:
        span.append(("RowKey", "lt", kind + record_rows.not_before(since) if since is not None else _after(kind)))
    return span


async def _by_place(lists: Sequence[AsyncIterator[Row]]) -> AsyncIterator[Row]:
    """The rows of all lists, each of which is ordered by row key, in the order of their row keys."""
    first = await each(lists, _next_row, at_once=READS_AT_ONCE)
    heads = [(str(row["RowKey"]), number, row) for number, row in enumerate(first) if row is not None]
    heapq.heapify(heads)
    while heads:
        _, number, row = heads[0]
        yield row
        following = await _next_row(lists[number])
        if following is None:
            heapq.heappop(heads)
        else:
            heapq.heapreplace(heads, (str(following["RowKey"]), number, following))


async def _next_row(rows_of_a_list: AsyncIterator[Row]) -> Row | None:
    async for row in rows_of_a_list:
        return row
    return None


class TableKeys(_Store):
    async def insert(self, key: Key) -> ETag | None:
        return await self._tables.insert(KEYS, encode(key.command_id), encode(key.queue), record_rows.encode_key(key))

    async def read(self, queue: str, command_id: str) -> StoredKey | None:
        found = await self._tables.read(KEYS, encode(command_id), encode(queue))
        return StoredKey(record_rows.KEY.decode(found.row), found.etag, found.age_seconds) if found else None

    async def update(self, key: Key, etag: ETag) -> ETag | None:
        return await self._tables.update(
            KEYS, encode(key.command_id), encode(key.queue), record_rows.encode_key(key), etag
        )


class TableRuns(_Store):
    async def insert(self, run: Run) -> ETag | None:
        return await self._tables.insert(RUNS, encode(run.run_id), "run", record_rows.encode_run(run))

    async def read(self, run_id: str) -> Stored[Run] | None:
        found = await self._tables.read(RUNS, encode(run_id), "run")
        return Stored(record_rows.RUN.decode(found.row), found.etag) if found else None

    async def update(self, run: Run, etag: ETag) -> ETag | None:
        return await self._tables.update(RUNS, encode(run.run_id), "run", record_rows.encode_run(run), etag)


class TableStages(_Store):
    async def insert_all(self, stages: Sequence[Stage]) -> bool:
        record_rows.check_one_attempt(stages)
        if not stages:
            return True
        attempt = {f"{stage.attempt:06}-{stage.order:03}": record_rows.encode_stage(stage) for stage in stages}
        return await self._tables.insert_all(STAGES, encode(stages[0].run_id), attempt)

    async def of_run(self, run_id: str) -> list[Stage]:
        found = self._tables.query(STAGES, encode(run_id), select=record_rows.STAGE.properties)
        return [record_rows.STAGE.decode(row) async for row in found]


class TableSignals(_Store):
    async def insert(self, signal: Signal) -> ETag | None:
        row = record_rows.SIGNAL.encode(signal)
        # first, so that a signal is never without them; one that points at no signal, or at another's, is skipped
        await each(_lists_of(signal), lambda place: self._tables.insert(INDEX, *place, _listed_row(signal)))
        written = await self._tables.insert(SIGNALS, encode(signal.signal_id), "signal", row)
        if written is None:
            await self._tidy(signal)
        return written

    async def read(self, signal_id: str) -> Stored[Signal] | None:
        found = await self._tables.read(SIGNALS, encode(signal_id), "signal")
        return Stored(record_rows.SIGNAL.decode(found.row), found.etag) if found else None

    async def update(self, signal: Signal, etag: ETag) -> ETag | None:
        row, place = record_rows.SIGNAL.encode(signal), _open_place(signal)
        if not signal.is_resolved:
            # the time that it is raised at may be another now
            both = (place, _all_place(signal))
            await each(both, lambda at: self._tables.insert(INDEX, *at, _listed_row(signal)))
        written = await self._tables.update(SIGNALS, encode(signal.signal_id), "signal", row, etag)
        if written is None:
            return None
        if signal.is_resolved:
            await self._unlist(_open_place(signal), signal.signal_id)
        else:
            # whoever resolved it before may have taken the row away meanwhile
            await self._tables.insert(INDEX, *place, _listed_row(signal))
        return written

    async def unlist(self, queue: str, listed: ListedSignal) -> None:
        await self._unlist((join("signals", queue), _OPEN + listed.place), listed.signal_id)

    async def _unlist(self, place: tuple[str, str], signal_id: str) -> None:
        """Off the list of open ones, unless the signal is open at that place, now or again."""
        await self._remove(place)
        stored = await self.read(signal_id)
        if stored is not None and not stored.value.is_resolved and _open_place(stored.value) == place:
            await self._tables.insert(INDEX, *place, _listed_row(stored.value))

    async def _tidy(self, signal: Signal) -> None:
        """What was listed of a signal that is there already, where that is resolved, or was raised at another time."""
        stored = await self.read(signal.signal_id)
        if stored is None:
            return
        if _all_place(stored.value) != _all_place(signal):
            await self._remove(_all_place(signal))
        if stored.value.is_resolved or _open_place(stored.value) != _open_place(signal):
            await self._unlist(_open_place(signal), signal.signal_id)

    async def _remove(self, place: tuple[str, str]) -> None:
        """One that is gone is as good as removed; a row of a list never changes."""
        there = await self._tables.read(INDEX, *place, "PartitionKey")
        if there is not None:
            await self._tables.delete(INDEX, *place, there.etag)

    async def about(self, told: str) -> list[Signal]:
        partition = join("about", derived.clean(told))
        listed = [row["SignalId"] async for row in self._tables.query(INDEX, partition, select=("SignalId",))]
        found = await each(listed, self.read, at_once=READS_AT_ONCE)
        return sorted((s.value for s in found if s), key=lambda signal: (signal.raised_at, signal.signal_id))

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
        kind = _OPEN if open_only else _ALL
        span = _span(since, after, kind)
        for name, wanted in (("SignalCode", code), ("Severity", severity), ("HouseholdId", household_id)):
            if wanted is not None:
                span.append((name, "eq", str(wanted)))
        lists = [
            self._tables.query(INDEX, join("signals", queue), span, select=_LISTED_SIGNAL, page=ahead)
            for queue in dict.fromkeys(queues)
        ]
        async for row in _by_place(lists):
            place = str(row["RowKey"]).removeprefix(kind)
            yield ListedSignal(
                signal_id=str(row["SignalId"]),
                run_id=str(row["RunId"]) if "RunId" in row else None,
                severity=Severity(str(row["Severity"])),
                raised_at=record_rows.time_of(place),
                place=place,
            )

    async def of_run(self, run_id: str) -> list[Signal]:
        listed = [row["SignalId"] async for row in self._tables.query(INDEX, join("run", run_id), select=("SignalId",))]
        found = [stored.value for stored in await each(listed, self.read, at_once=READS_AT_ONCE) if stored]
        own = (signal for signal in found if signal.run_id == run_id)
        return sorted(own, key=lambda signal: (signal.raised_at, signal.signal_id))

    async def index_finding(
        self, household_id: str, signal_id: str, *, day: date, transaction_ids: Sequence[str]
    ) -> None:
        await self._tables.insert(
            INDEX,
            join("finding", household_id),
            join(record_rows.newest_day_first(day), signal_id),
            record_rows.encode_finding(signal_id, transaction_ids),
        )

    async def listed_findings(self, household_id: str) -> dict[str, frozenset[str]]:
        return record_rows.listed_with([row async for row in self._listed(household_id, page=1000)])

    async def open_findings(self, household_id: str) -> list[OpenFinding]:
        newest: dict[str, Row] = {}
        looked_at = 0
        async for row in self._listed(household_id, page=record_rows.FINDINGS_LISTED):
            newest.setdefault(str(row["SignalId"]), row)
            looked_at += 1
            if len(newest) == record_rows.FINDINGS_LISTED or looked_at == record_rows.FINDINGS_READ:
                break
        found = await each(newest, self.read, at_once=READS_AT_ONCE)
        findings = [
            record_rows.open_finding(stored.value if stored else None, row, household_id)
            for stored, row in zip(found, newest.values(), strict=True)
        ]
        return [finding for finding in findings if finding is not None]

    def _listed(self, household_id: str, *, page: int) -> AsyncIterator[Row]:
        """Rows of `record_rows.encode_finding`, newest day first."""
        partition, select = join("finding", household_id), ("SignalId", "TransactionIds")
        return self._tables.query(INDEX, partition, select=select, page=page)


_OPEN: Final = f"open{SEPARATOR}"


def _open_place(signal: Signal) -> tuple[str, str]:
    return join("signals", signal.queue), _OPEN + join(record_rows.newest_first(signal.raised_at), signal.signal_id)


def _all_place(signal: Signal) -> tuple[str, str]:
    return join("signals", signal.queue), _ALL + join(record_rows.newest_first(signal.raised_at), signal.signal_id)


def _listed_row(signal: Signal) -> Row:
    """What a list says of a signal, so that the service can filter it. None of it ever changes of one signal."""
    return {
        "SignalId": signal.signal_id,
        "SignalCode": signal.signal_code,
        "Severity": str(signal.severity),
        "HouseholdId": signal.household_id or "",
        **({"RunId": signal.run_id} if signal.run_id is not None else {}),
    }


def _lists_of(signal: Signal) -> list[tuple[str, str]]:
    """Where a new signal is listed."""
    is_open = _open_place(signal)
    places = [place for place in lists_of_signal(signal) if place != is_open or not signal.is_resolved]
    if signal.run_id is not None:
        places.append((join("run", signal.run_id), encode(signal.signal_id)))
    return places


def lists_of_signal(signal: Signal) -> list[tuple[str, str]]:
    """Where a signal is listed for operators, open or not."""
    about = ((join("about", told), encode(signal.signal_id)) for told in record_rows.told_of(signal))
    return [_all_place(signal), _open_place(signal), *about]


def _by_key(transactions: Sequence[Transaction]) -> tuple[dict[str, Transaction], list[str], list[str]]:
    """The transactions by row key; the keys ascending, since rows of one table transaction lie together, so that
    reading them back is one range; the ids that come again with other content."""
    batch, conflicts = record_rows.one_of_each(transactions)
    by_key = {encode(transaction.transaction_id): transaction for transaction in batch}
    return by_key, sorted(by_key), conflicts


class TableLedger(_Store):
    def __init__(self, tables: TableService, now: Callable[[], datetime]) -> None:
        super().__init__(tables)
        self._now = now

    async def insert_all(
        self, household_id: str, transactions: Sequence[Transaction], *, run_id: str, batch_id: str
    ) -> LedgerWrite:
        partition, recorded_at = encode(household_id), self._now().astimezone(UTC)
        by_key, neighbours, conflicts = await compute_over(len(transactions), INLINE_ROWS, _by_key, transactions)
        standing, other = dict[str, StandingRow](), set[str]()
        for start in range(0, len(neighbours), MAX_TRANSACTION):
            chunk = {
                key: record_rows.encode_transaction(
                    by_key[key], run_id=run_id, batch_id=batch_id, recorded_at=recorded_at
                )
                for key in neighbours[start : start + MAX_TRANSACTION]
            }
            for key, there in (await self._insert_chunk(partition, chunk)).items():
                if there["ContentHash"] == chunk[key]["ContentHash"]:
                    standing[key] = record_rows.standing(by_key[key], there)
                else:
                    other.add(key)
        return record_rows.ledger_write(
            (t.transaction_id for key, t in by_key.items() if key not in standing and key not in other),
            [*(t.transaction_id for key, t in by_key.items() if key in other), *conflicts],
            {t.transaction_id: standing[key] for key, t in by_key.items() if key in standing},
        )

    async def _insert_chunk(self, partition: str, chunk: dict[str, Row]) -> dict[str, Row]:
        """Insert what is not there. Returns what was there, by row key (`record_rows.STANDING` of it). Each refused
        transaction means that at least one more row is there, so this ends, whoever else inserts the same meanwhile."""
        there: dict[str, Row] = {}
        missing = dict(chunk)
        while missing and not await self._tables.insert_all(LEDGER, partition, missing):
            there |= await self._there(partition, list(missing), record_rows.STANDING)
            missing = {key: row for key, row in missing.items() if key not in there}
        return there

    async def _there(self, partition: str, keys: Sequence[str], properties: Sequence[str]) -> dict[str, Row]:
        """Those rows that are there; ``keys`` ascending. Reads the range that they span; where that holds many others,
        point reads do the rest, so the cost is bounded by the batch and not by the ledger."""
        wanted, there, seen, reached = set(keys), dict[str, Row](), 0, ""
        span = (("RowKey", "ge", keys[0]), ("RowKey", "le", keys[-1]))
        async for row in self._tables.query(LEDGER, partition, span, select=("RowKey", *properties)):
            seen, reached = seen + 1, row["RowKey"]
            if reached in wanted:
                there[reached] = row
            if seen == RANGE_LIMIT:
                break
        else:
            return there
        return there | await self._read_each(partition, [key for key in keys if key > reached], properties)

    async def _read_each(self, partition: str, keys: Sequence[str], properties: Sequence[str]) -> dict[str, Row]:
        async def read(key: str) -> Row | None:
            found = await self._tables.read(LEDGER, partition, key, *properties)
            return found.row if found else None

        found = await each(keys, read, at_once=READS_AT_ONCE)
        return {key: row for key, row in zip(keys, found, strict=True) if row is not None}

    async def between(self, household_id: str, first: date, last: date) -> list[Transaction]:
        days = (("PostedOn", "ge", first.isoformat()), ("PostedOn", "le", last.isoformat()))
        found = self._tables.query(LEDGER, encode(household_id), days, select=record_rows.TRANSACTION.properties)
        transactions = [record_rows.TRANSACTION.decode(row) async for row in found]
        return await compute_over(len(transactions), INLINE_ROWS, sorted, transactions, key=record_rows.ledger_order)

    async def named(self, household_id: str, transaction_ids: Collection[str]) -> dict[str, Transaction]:
        keys, properties = sorted({encode(i) for i in transaction_ids}), record_rows.TRANSACTION.properties
        # a few are read at once, each by its key; of more the first page of their range may hold most
        read = self._read_each if len(keys) <= READS_AT_ONCE else self._there
        found = map(record_rows.TRANSACTION.decode, (await read(encode(household_id), keys, properties)).values())
        return {transaction.transaction_id: transaction for transaction in found}


class TableApprovals(_Store):
    """Beside the rows: a household's lists of all and of pending approvals, in one partition, and the list of what is
    due, by day and group of households. Rows of versions that kept no lists are listed by whoever comes first: who
    asks for a household's approvals, for that household, and `list_older`, for all of them."""

    def __init__(self, tables: TableService, now: Callable[[], datetime]) -> None:
        super().__init__(tables)
        self._now = now

    async def insert(self, approval: Approval) -> ETag | None:
        row, place = record_rows.APPROVAL.encode(approval), _place_of(approval)
        listed: dict[str, Row] = {_ALL + place: {"ApprovalId": approval.approval_id}}
        if approval.status == ApprovalStatus.PENDING:
            listed[_PENDING + place] = {"ApprovalId": approval.approval_id}
        # a second time all of it is there, or only the pending one is gone, which stays away: nothing is written
        await together(
            self._tables.insert_all(INDEX, _approvals_of(approval.household_id), listed),
            self._list_due(record_rows.first_due(approval)),
        )
        return await self._tables.insert(APPROVALS, *_approval_keys(approval), row)

    async def read(self, household_id: str, approval_id: str) -> Stored[Approval] | None:
        found = await self._tables.read(APPROVALS, encode(household_id), encode(approval_id))
        return Stored(record_rows.APPROVAL.decode(found.row), found.etag) if found else None

    async def update(self, approval: Approval, etag: ETag) -> ETag | None:
        row = record_rows.APPROVAL.encode(approval)
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

        # one that was cut off between list and row may be listed under two times
        found = await each(dict.fromkeys(listed), read, at_once=READS_AT_ONCE)
        return record_rows.newest_approvals(a for a in found if a is not None and status in (None, a.status))

    async def listed(self, household_id: str, *, pending: bool, after: str = "") -> AsyncIterator[ListedApproval]:
        kind = _PENDING if pending else _ALL
        marks: list[datetime] = []
        is_complete = bool(after)  # whoever goes on has been here before
        span = (("RowKey", "gt", kind + after), ("RowKey", "lt", _after(kind)))
        partition, columns = _approvals_of(household_id), ("RowKey", "ApprovalId", "AtUtc")
        async for row in self._tables.query(INDEX, partition, span, select=columns, page=record_rows.APPROVALS_LISTED):
            if row.get("AtUtc") is not None:
                marks.append(_time_of(row["AtUtc"]))
                continue
            is_complete = is_complete or self._is_complete(marks)
            if not is_complete:
                break
            place = str(row["RowKey"]).removeprefix(kind)
            yield ListedApproval(approval_id=str(row["ApprovalId"]), created_at=record_rows.time_of(place), place=place)
        if not is_complete and not self._is_complete(marks):
            await self._list_earlier(household_id, kind)
            async for one in self.listed(household_id, pending=pending, after=_BEFORE_PLACES):
                yield one

    async def _listed(
        self, household_id: str, kind: str, most: int = record_rows.APPROVALS_LISTED
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
            if partition > f"{_DUE}{record_rows.due_day(before)}~" or len(found) >= limit:
                break
            most, taken = min(record_rows.DUE_SHARE, limit - len(found)), 0
            until = (("RowKey", "lt", record_rows.due_time(before)),)
            async for row in self._tables.query(INDEX, partition, until, select=record_rows.DUE_PROPERTIES, page=most):
                found.append(record_rows.decode_due(row))
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
        await self._tables.insert(INDEX, *_due_keys(due), record_rows.encode_due(due))

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
            record_rows.APPROVAL.decode(row)
            async for row in self._tables.query(
                APPROVALS, encode(household_id), of_kind, select=record_rows.APPROVAL.properties
            )
        ]

        async def list_one(approval: Approval) -> None:
            if kind == _PENDING:
                await self._list_due(record_rows.first_due(approval))
            row: Row = {"ApprovalId": approval.approval_id}
            await self._tables.insert(INDEX, partition, kind + _place_of(approval), row)

        await each(found, list_one, at_once=READS_AT_ONCE)
        await self._tables.insert(INDEX, partition, f"{kind}{_MARK}{record_rows.due_time(now)}", {"AtUtc": now})

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


_BEFORE_PLACES: Final = "/"
"""Sorts after a mark, and before every digit that a place begins with."""


def _after(kind: str) -> str:
    """The first text that does not begin so."""
    return kind[:-1] + chr(ord(kind[-1]) + 1)


def _time_of(value: datetime | str) -> datetime:
    return datetime.fromisoformat(value) if isinstance(value, str) else value


def _approvals_of(household_id: str) -> str:
    return join("approvals", household_id)


def _place_of(approval: Approval) -> str:
    return join(record_rows.newest_first(approval.created_at), approval.approval_id)


def _due_keys(due: DueApproval) -> tuple[str, str]:
    return f"{_DUE}{record_rows.due_group(due)}", join(*record_rows.due_place(due))


def _approval_keys(approval: Approval) -> tuple[str, str]:
    return encode(approval.household_id), encode(approval.approval_id)


class TableDecisions(_Store):
    async def insert(self, decision: Decision) -> bool:
        keys = encode(decision.run_id), encode(decision.decision_id)
        return await self._tables.insert(DECISIONS, *keys, record_rows.DECISION.encode(decision)) is not None

    async def of_run(self, run_id: str) -> list[Decision]:
        found = self._tables.query(DECISIONS, encode(run_id), select=record_rows.DECISION.properties)
        decisions = [record_rows.DECISION.decode(row) async for row in found]
        return sorted(decisions, key=lambda decision: (decision.decided_at, decision.decision_id))


class TableConversations(_Store):
    async def insert(self, conversation: Conversation) -> ETag | None:
        keys = _conversation_keys(conversation.household_id, conversation.conversation_id)
        return await self._tables.insert(CONVERSATIONS, *keys, record_rows.encode_conversation(conversation))

    async def read(self, household_id: str, conversation_id: str) -> Stored[Conversation] | None:
        found = await self._tables.read(CONVERSATIONS, *_conversation_keys(household_id, conversation_id))
        return Stored(record_rows.decode_conversation(found.row), found.etag) if found else None

    async def update(self, conversation: Conversation, etag: ETag) -> ETag | None:
        keys = _conversation_keys(conversation.household_id, conversation.conversation_id)
        return await self._tables.update(CONVERSATIONS, *keys, record_rows.encode_conversation(conversation), etag)


def _conversation_keys(household_id: str, conversation_id: str) -> tuple[str, str]:
    return encode(household_id), encode(conversation_id)


class TableAnnotations(_Store):
    async def insert(self, annotation: Annotation) -> ETag | None:
        return await self._tables.insert(
            ANNOTATIONS, *_annotation_keys(annotation), record_rows.ANNOTATION.encode(annotation)
        )

    async def read(self, household_id: str, kind: str, subject: str) -> Stored[Annotation] | None:
        found = await self._tables.read(ANNOTATIONS, join(household_id, kind), encode(subject))
        return Stored(record_rows.ANNOTATION.decode(found.row), found.etag) if found else None

    async def update(self, annotation: Annotation, etag: ETag) -> ETag | None:
        keys = _annotation_keys(annotation)
        return await self._tables.update(ANNOTATIONS, *keys, record_rows.ANNOTATION.encode(annotation), etag)

    async def of_household(self, household_id: str, kind: str) -> list[Annotation]:
        found = self._tables.query(ANNOTATIONS, join(household_id, kind), select=record_rows.ANNOTATION.properties)
        return sorted([record_rows.ANNOTATION.decode(row) async for row in found], key=lambda a: a.subject)


def _annotation_keys(annotation: Annotation) -> tuple[str, str]:
    return join(annotation.household_id, annotation.kind), encode(annotation.subject)


class TableHouseholds(_Store):
    """The marks of a month lie in `ACTIVE_SHARDS` partitions, so that the ingestions of all households do not queue at
    one; those of earlier versions lie in the month's own partition."""

    def __init__(self, tables: TableService) -> None:
        super().__init__(tables)
        self._marked: OrderedDict[tuple[str, str], None] = OrderedDict()

    async def mark_active(self, household_id: str, day: date) -> None:
        mark = (record_rows.month(day), household_id)
        if mark in self._marked:
            self._marked.move_to_end(mark)
            return
        partition = join("active", mark[0], _shard(household_id))
        await self._tables.insert(INDEX, partition, encode(household_id), {"HouseholdId": household_id})
        self._marked[mark] = None  # only now: a mark without an answer is made again
        if len(self._marked) > MARKS_REMEMBERED:
            self._marked.popitem(last=False)

    async def active(self, month: str, after: str = "") -> AsyncIterator[str]:
        beyond = [("RowKey", "gt", encode(after))] if after else []
        partitions = [join("active", month), *(join("active", month, shard) for shard in ACTIVE_SHARDS)]
        queries = [
            self._tables.query(INDEX, partition, beyond, select=("HouseholdId",), page=ACTIVE_PAGE)
            for partition in partitions
        ]
        first = await each(queries, _next_household, at_once=READS_AT_ONCE)
        heads = [(*head, number) for number, head in enumerate(first) if head is not None]
        heapq.heapify(heads)
        last = ""
        while heads:
            key, household_id, number = heads[0]
            if key != last:
                yield household_id
            last, following = key, await _next_household(queries[number])
            if following is None:
                heapq.heappop(heads)
            else:
                heapq.heapreplace(heads, (*following, number))

    async def sweep_progress(self) -> Stored[SweepProgress] | None:
        found = await self._tables.read(INDEX, "sweep", "progress")
        return Stored(record_rows.SWEEP_PROGRESS.decode(found.row), found.etag) if found else None

    async def save_sweep_progress(self, progress: SweepProgress, etag: ETag | None) -> ETag | None:
        row = record_rows.SWEEP_PROGRESS.encode(progress)
        if etag is None:
            return await self._tables.insert(INDEX, "sweep", "progress", row)
        return await self._tables.update(INDEX, "sweep", "progress", row, etag)


class TableOutbox(_Store):
    """``name`` begins the partitions of one list."""

    def __init__(self, tables: TableService, name: str) -> None:
        super().__init__(tables)
        self._name = name

    async def insert(self, entry: OutboxEntry) -> ETag | None:
        return await self._tables.insert(INDEX, *self._keys(entry), record_rows.OUTBOX_ENTRY.encode(entry))

    async def remove(self, entry: OutboxEntry, etag: ETag) -> bool:
        return await self._tables.delete(INDEX, *self._keys(entry), etag)

    async def shards(self) -> AsyncIterator[str]:
        async for partition in self._tables.partitions(INDEX, self._name + SEPARATOR):
            yield partition

    async def lists(self, queue: str, command_id: str) -> bool:
        """One range of a shard, filtered at the service; a shard holds what is not known to be sent."""
        of_command = [("CommandId", "eq", command_id)]
        shard = self._shard(queue, command_id)
        async for _ in self._tables.query(INDEX, shard, of_command, select=("CommandId",), page=1):
            return True
        return False

    def _shard(self, queue: str, command_id: str) -> str:
        return join(self._name, queue, derived.outbox_shard(command_id))

    def _keys(self, entry: OutboxEntry) -> tuple[str, str]:
        place = join(record_rows.oldest_first(entry.due_at), entry.command_id, entry.entry_id)
        return self._shard(entry.queue, entry.command_id), place

    async def due(self, shard: str, now: datetime, limit: int) -> list[Stored[OutboxEntry]]:
        until = [("RowKey", "lt", record_rows.oldest_first(now + timedelta(microseconds=1)))]
        select = record_rows.OUTBOX_ENTRY.properties
        found: list[Stored[OutboxEntry]] = []
        async for row, etag in self._tables.query_with_etags(INDEX, shard, until, select=select, page=min(limit, 1000)):
            try:
                found.append(Stored(record_rows.OUTBOX_ENTRY.decode(row), etag))
            except StoredRowError as error:
                log.error("an outbox entry cannot be read", extra={"shard": shard, "rationale": error.rationale})
            if len(found) == limit:
                break
        return found


def _shard(household_id: str) -> str:
    """One of `ACTIVE_SHARDS`, by a hash: ids need not be spread evenly."""
    return hashlib.sha256(household_id.encode("utf-8", "surrogatepass")).hexdigest()[0]


async def _next_household(query: AsyncIterator[Row]) -> tuple[str, str] | None:
    """(row key, id): households are in the order of their row keys."""
    async for row in query:
        return encode(str(row["HouseholdId"])), str(row["HouseholdId"])
    return None


class TableCursors(_Store):
    async def read(self, name: str) -> Stored[str] | None:
        found = await self._tables.read(INDEX, "cursor", encode(name))
        return Stored(str(found.row["Cursor"]), found.etag) if found else None

    async def save(self, name: str, cursor: str, etag: ETag | None) -> ETag | None:
        row: Row = {"Cursor": cursor}
        if etag is None:
            return await self._tables.insert(INDEX, "cursor", encode(name), row)
        return await self._tables.update(INDEX, "cursor", encode(name), row, etag)


class TablePauses(_Store):
    async def read(self, lane: Lane) -> Stored[LanePause] | None:
        found = await self._tables.read(INDEX, "pause", lane)
        return Stored(record_rows.LANE_PAUSE.decode(found.row), found.etag) if found else None

    async def save(self, pause: LanePause, etag: ETag | None) -> ETag | None:
        row = record_rows.LANE_PAUSE.encode(pause)
        if etag is None:
            return await self._tables.insert(INDEX, "pause", pause.lane, row)
        return await self._tables.update(INDEX, "pause", pause.lane, row, etag)


class TableQuotas(_Store):
    async def read(self, household_id: str) -> StoredAllowance | None:
        found = await self._tables.read(INDEX, *_quota_keys(household_id))
        if found is None:
            return None
        return StoredAllowance(
            record_rows.decode_allowance(found.row, written_at=found.written_at), found.etag, found.read_at
        )

    async def insert(self, allowance: Allowance) -> ETag | None:
        keys = _quota_keys(allowance.household_id)
        return await self._tables.insert(INDEX, *keys, record_rows.ALLOWANCE.encode(allowance))

    async def update(self, allowance: Allowance, etag: ETag) -> ETag | None:
        keys = _quota_keys(allowance.household_id)
        return await self._tables.update(INDEX, *keys, record_rows.ALLOWANCE.encode(allowance), etag)


def _quota_keys(household_id: str) -> tuple[str, str]:
    return join("quota", household_id), "commands"


class TableMembers(_Store):
    async def of_subject(self, subject: str) -> list[Membership]:
        found = self._tables.query(MEMBERS, encode(subject), select=record_rows.MEMBERSHIP.properties)
        return [record_rows.MEMBERSHIP.decode(row) async for row in found]

    async def insert(self, membership: Membership) -> bool:
        keys = _member_keys(membership.subject, membership.household_user_id)
        listed: Row = {"Subject": membership.subject, "HouseholdUserId": membership.household_user_id}
        await self._tables.insert(INDEX, join("members", membership.household_id), SEPARATOR.join(keys), listed)
        return await self._tables.insert(MEMBERS, *keys, record_rows.MEMBERSHIP.encode(membership)) is not None

    async def of_household(self, household_id: str) -> list[Membership]:
        listed = self._tables.query(INDEX, join("members", household_id), select=("Subject", "HouseholdUserId"))
        named = [(str(row["Subject"]), str(row["HouseholdUserId"])) async for row in listed]
        found = await each(named, lambda name: self.read(*name), at_once=READS_AT_ONCE)
        # one whose insert was refused may be listed and be another household's
        return [one.value for one in found if one is not None and one.value.household_id == household_id]

    async def read(self, subject: str, household_user_id: str) -> Stored[Membership] | None:
        found = await self._tables.read(MEMBERS, *_member_keys(subject, household_user_id))
        return Stored(record_rows.MEMBERSHIP.decode(found.row), found.etag) if found else None

    async def update(self, membership: Membership, etag: ETag) -> ETag | None:
        keys = _member_keys(membership.subject, membership.household_user_id)
        return await self._tables.update(MEMBERS, *keys, record_rows.MEMBERSHIP.encode(membership), etag)


def _member_keys(subject: str, household_user_id: str) -> tuple[str, str]:
    return encode(subject), encode(household_user_id)
