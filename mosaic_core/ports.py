"""What the services need of the world. Adapters implement these; one contract suite holds every implementation.

Storage rules, for every store:

- An `ETag` is opaque. Every write is an insert (fails where the row is) or an update with the ETag that was read or
  written last (fails where somebody else wrote, or the row is gone). Losing is a value, never an exception:
  ``None`` (or False) says "not written, look again".
- No usable answer (connection, timeout, 5xx, 429) raises `StoreUnreachableError`; a write may then have landed.
- Times are aware UTC datetimes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final, Literal, Protocol, Self

from mosaic_core.domain.households import HouseholdKind, HouseholdRow
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
from mosaic_core.domain.replay import Replay, ReplayClaim, ReplayItem
from mosaic_core.domain.transactions import Answer, Transaction

type ETag = str


LISTED_AHEAD: Final = 50
"""Rows of a list that are read at once, where nobody says how many they want."""


@dataclass(frozen=True, slots=True)
class Stored[T]:
    """A row as it was read, with the ETag to update it by."""

    value: T
    etag: ETag


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key as it was read. ``age_seconds`` is how long ago it was last written, wholly on the storage service's clock
    (the row's Timestamp against the answer's Date), rounded down: a lease is never taken for over too early."""

    value: Key
    etag: ETag
    age_seconds: float

    @property
    def lease_left(self) -> float:
        """Seconds until the lease is over; 0 where it is over or released."""
        return max(0.0, self.value.lease_seconds - self.age_seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedCommand:
    """A command as a list has it, newest first. ``place`` sorts it among all lists of commands: a reader that stopped
    there goes on after it."""

    queue: str
    command_id: str
    household_id: str
    place: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedApproval:
    """An approval as a household's list has it, newest first; ``place`` as in `ListedCommand`. The approval itself
    decides: one that was asked for at another time is listed there for nothing."""

    approval_id: str
    created_at: datetime
    place: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedSignal:
    """A signal as a list has it, newest first; ``place`` as in `ListedCommand`. It is what the row said when it was
    listed: the signal itself decides."""

    signal_id: str
    run_id: str | None
    severity: Severity
    raised_at: datetime
    place: str


class CommandStore(Protocol):
    """AgentCommands, and the lists of a conversation's, a household's and a queue's commands."""

    async def insert(self, command: Command) -> bool:
        """False: a command with this id is already recorded (`read` it to compare)."""
        ...

    async def read(self, command_id: str) -> Command | None: ...

    async def index_conversation(
        self, household_id: str, conversation_id: str, created_at: datetime, queue: str, command_id: str
    ) -> None:
        """List the command under its conversation. The same call again changes nothing."""
        ...

    async def list_recorded(self, command: Command) -> None:
        """List the command under its household and under its queue, by the time that it was recorded at. The same call
        again changes nothing."""
        ...

    def listed(
        self,
        queues: Sequence[str],
        *,
        household_id: str | None = None,
        since: datetime | None = None,
        after: str = "",
        ahead: int = LISTED_AHEAD,
    ) -> AsyncIterator[ListedCommand]:
        """Commands of those queues, newest first, ``ahead`` of each read at once; those recorded at or after ``since``,
        and beyond the place ``after``. One may be listed that was never recorded."""
        ...

    def conversation(self, household_id: str, conversation_id: str) -> AsyncIterator[tuple[str, str]]:
        """(queue, command id) of a conversation's commands, newest ``created_at`` first, page by page."""
        ...

    def in_conversation(
        self, household_id: str, conversation_id: str, *, after: str = ""
    ) -> AsyncIterator[ListedCommand]:
        """The same with their places, beyond the place ``after``."""
        ...

    def conversations(self, household_id: str) -> AsyncIterator[str]:
        """Ids of a household's conversations that have a command, ascending, one request for each as it is asked for.
        For ids as the contract has them (32 hex digits)."""
        ...


class KeyStore(Protocol):
    """IdempotencyKeys, by queue and command id."""

    async def insert(self, key: Key) -> ETag | None: ...
    async def read(self, queue: str, command_id: str) -> StoredKey | None: ...
    async def update(self, key: Key, etag: ETag) -> ETag | None: ...


class RunStore(Protocol):
    """AgentRuns, by run id."""

    async def insert(self, run: Run) -> ETag | None: ...
    async def read(self, run_id: str) -> Stored[Run] | None: ...
    async def update(self, run: Run, etag: ETag) -> ETag | None: ...


class StageStore(Protocol):
    """AgentRunStages, by run, attempt and order."""

    async def insert_all(self, stages: Sequence[Stage]) -> bool:
        """All of one attempt's stages in one transaction. False: this attempt's stages are already there."""
        ...

    async def of_run(self, run_id: str) -> list[Stage]:
        """Every attempt's stages, ordered by attempt and order."""
        ...


class SignalStore(Protocol):
    """AgentSignals, by signal id, and the lists of a run's signals, of a queue's, of what is told of a message, and of
    a household's findings. A signal is listed before it is written: none is there that its lists lack."""

    async def insert(self, signal: Signal) -> ETag | None: ...
    async def read(self, signal_id: str) -> Stored[Signal] | None: ...
    async def update(self, signal: Signal, etag: ETag) -> ETag | None: ...
    async def of_run(self, run_id: str) -> list[Signal]:
        """The run's signals, oldest first."""
        ...

    async def about(self, told: str) -> list[Signal]:
        """Signals that name this message or command id and have no run of that command, oldest first: refused, not
        recorded, another request's, not sent."""
        ...

    def listed(
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
        """Signals of those queues, newest first, ``ahead`` of each read at once; those raised at or after ``since``,
        and beyond the place ``after``. Some may be listed that were never raised, or are resolved: whoever reads them
        sees."""
        ...

    async def unlist(self, queue: str, listed: ListedSignal) -> None:
        """Take a row off the queue's list of open ones, unless the signal is open at that place, now or again."""
        ...

    async def index_finding(
        self, household_id: str, signal_id: str, *, day: date, transaction_ids: Sequence[str]
    ) -> None:
        """List a finding under its household, by the day that it is about; before its signal is inserted. The same call
        again changes nothing. Of very many rows the first are kept. A finding that is listed (`listed_findings`) is not
        listed again because its day has moved: each day would be a row of its own."""
        ...

    async def listed_findings(self, household_id: str) -> dict[str, frozenset[str]]:
        """The signal ids of every finding that the household ever listed, each with the transaction ids that it was
        listed with."""
        ...

    async def open_findings(self, household_id: str) -> list[OpenFinding]:
        """Those of the household's newest 100 findings that are not resolved, newest day first. Of a finding that is
        listed again and again the newest row counts; at most 1,000 rows are looked at."""
        ...


@dataclass(frozen=True, slots=True)
class StandingRow:
    """A transaction that was in the ledger with the same content: as it stands there, with the category that was stored
    with it, and the run that inserted it."""

    transaction: Transaction
    run_id: str


@dataclass(frozen=True, slots=True)
class LedgerWrite:
    """What became of a batch: ids of transactions that were inserted, that were there with the same content, and that
    are there with other content (left as they are). ``standing`` are the present ones by id."""

    inserted: tuple[str, ...]
    present: tuple[str, ...]
    conflicts: tuple[str, ...]
    standing: Mapping[str, StandingRow] = field(default_factory=dict)


class LedgerStore(Protocol):
    """LedgerTransactions, by household and transaction id."""

    async def insert_all(
        self, household_id: str, transactions: Sequence[Transaction], *, run_id: str, batch_id: str
    ) -> LedgerWrite:
        """Insert each transaction that is not there; never overwrite. Content is everything that the source reports
        (not the category). Repeating it, wholly or in part, changes nothing and reports the rows as present, with the
        category that they were first stored with and the run that stored it."""
        ...

    async def between(self, household_id: str, first: date, last: date) -> list[Transaction]:
        """Transactions posted from ``first`` to ``last`` (both included), by date, then id."""
        ...

    async def named(self, household_id: str, transaction_ids: Collection[str]) -> dict[str, Transaction]:
        """Those of these ids that are the household's, by id, whatever day they were posted on. What it costs grows
        with what is named, and not with the ledger."""
        ...


EXPIRING: Final = -1
"""The generation of an approval that is listed to be told of, before its time is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DueApproval:
    """An approval as the list of what is due has it: to be looked at from ``due_at`` on, for the ``generation``-th
    time (from 0; `EXPIRING`: to tell that its time is soon over)."""

    household_id: str
    approval_id: str
    due_at: datetime
    generation: int = 0


class ApprovalStore(Protocol):
    """AgentApprovals, by household and approval id, and the lists of a household's approvals and of those whose time
    is over. The lists are written before the row: one may name what is not there, and nothing is missing from them."""

    async def insert(self, approval: Approval) -> ETag | None:
        """Listed first, as `EXPIRING` at `domain.policy.approval.expires_soon_at`."""
        ...

    async def read(self, household_id: str, approval_id: str) -> Stored[Approval] | None: ...
    async def update(self, approval: Approval, etag: ETag) -> ETag | None:
        """One that is settled leaves the list of pending ones first."""
        ...

    async def of_household(self, household_id: str, status: ApprovalStatus | None) -> list[Approval]:
        """The household's approvals, newest first: of the newest 200 that pend, those that are pending; with None or
        another status, of the newest 200 of all."""
        ...

    def listed(self, household_id: str, *, pending: bool, after: str = "") -> AsyncIterator[ListedApproval]:
        """The household's approvals, newest first, page by page, beyond the place ``after``: all, or those that
        pend and those that were decided and are not settled yet."""
        ...

    async def due(self, before: datetime, limit: int) -> list[DueApproval]:
        """Those listed as due before that moment, the oldest days first, at most ``limit``, and of one group of
        households no more than a share of it."""
        ...

    async def postpone(self, due: DueApproval, later: DueApproval) -> None:
        """List it as ``later`` instead; two at once leave it listed once or twice, never not at all."""
        ...

    async def forget(self, due: DueApproval) -> None:
        """Nobody has to look at it any more."""
        ...

    async def list_older(self, households: int) -> bool:
        """List what a version without lists has stored, of the next so many households. False: all is listed."""
        ...


class DecisionStore(Protocol):
    """AgentDecisionAudit: append-only."""

    async def insert(self, decision: Decision) -> bool:
        """False: this very decision is already recorded."""
        ...

    async def of_run(self, run_id: str) -> list[Decision]: ...


class ConversationStore(Protocol):
    """AgentConversations, by household and conversation."""

    async def insert(self, conversation: Conversation) -> ETag | None: ...
    async def read(self, household_id: str, conversation_id: str) -> Stored[Conversation] | None: ...
    async def update(self, conversation: Conversation, etag: ETag) -> ETag | None: ...


class AnnotationStore(Protocol):
    """HouseholdAnnotations, by household, kind and subject."""

    async def insert(self, annotation: Annotation) -> ETag | None: ...
    async def read(self, household_id: str, kind: str, subject: str) -> Stored[Annotation] | None: ...
    async def update(self, annotation: Annotation, etag: ETag) -> ETag | None: ...
    async def of_household(self, household_id: str, kind: str) -> list[Annotation]:
        """All of a kind, by subject."""
        ...


class HouseholdStore(Protocol):
    """Households: which are active (for the sweep), and how far the nightly enqueueing has come."""

    async def mark_active(self, household_id: str, day: date) -> None:
        """The household had ledger activity in the month of ``day``. Repeating it changes nothing, and within one
        process mostly costs nothing."""
        ...

    def active(self, month: str, after: str = "") -> AsyncIterator[str]:
        """Ids of households marked active in ``month`` (yyyymm), ascending, those greater than ``after``."""
        ...

    async def sweep_progress(self) -> Stored[SweepProgress] | None: ...
    async def save_sweep_progress(self, progress: SweepProgress, etag: ETag | None) -> ETag | None:
        """Insert (``etag`` None) or update."""
        ...


class CommandList(Protocol):
    """A list of commands in AgentIndex: spread over shards, each of one queue, and within a shard by ``due_at``, the
    earliest first."""

    async def insert(self, entry: OutboxEntry) -> ETag | None:
        """None: this very entry is there."""
        ...

    async def remove(self, entry: OutboxEntry, etag: ETag) -> bool:
        """One that is gone is as good as removed. False: it was written since ``etag``."""
        ...

    def shards(self) -> AsyncIterator[str]:
        """Names of the shards that hold an entry, one request for each as it is asked for and one more at the end."""
        ...

    async def due(self, shard: str, now: datetime, limit: int) -> list[Stored[OutboxEntry]]:
        """The first ``limit`` entries with ``due_at`` at or before ``now``. One that cannot be read is left out, with
        an error in the log."""
        ...

    async def lists(self, queue: str, command_id: str) -> bool:
        """Whether an entry of the command is there."""
        ...


class CursorStore(Protocol):
    """How far the timers that walk have come, by name, in AgentIndex."""

    async def read(self, name: str) -> Stored[str] | None: ...
    async def save(self, name: str, cursor: str, etag: ETag | None) -> ETag | None:
        """Insert (``etag`` None) or update."""
        ...


class PauseStore(Protocol):
    """Each lane's pause, in AgentIndex."""

    async def read(self, lane: Lane) -> Stored[LanePause] | None: ...
    async def save(self, pause: LanePause, etag: ETag | None) -> ETag | None:
        """Insert (``etag`` None) or update."""
        ...


@dataclass(frozen=True, slots=True)
class StoredAllowance:
    """An allowance as it was read at ``now``. Both this and ``value.counted_at``, which is always there, are times of
    the storage service."""

    value: Allowance
    etag: ETag
    now: datetime


class QuotaStore(Protocol):
    """What each household has left of its quota, in AgentIndex."""

    async def read(self, household_id: str) -> StoredAllowance | None: ...
    async def insert(self, allowance: Allowance) -> ETag | None: ...
    async def update(self, allowance: Allowance, etag: ETag) -> ETag | None: ...


class MemberStore(Protocol):
    """HouseholdMembers, by the token's subject, and the list of a household's. One is listed before it is written."""

    async def of_subject(self, subject: str) -> list[Membership]: ...
    async def of_household(self, household_id: str) -> list[Membership]:
        """Those that were inserted by this port, whatever their status."""
        ...

    async def read(self, subject: str, household_user_id: str) -> Stored[Membership] | None: ...
    async def insert(self, membership: Membership) -> bool:
        """False: the subject has a membership with this user id, which is listed now where it is this household's."""
        ...

    async def update(self, membership: Membership, etag: ETag) -> ETag | None:
        """Of the same subject, user and household."""
        ...


class BlobStore(Protocol):
    """Immutable blobs: large envelopes, large batches, and what an agent said in a turn."""

    async def put(self, name: str, data: bytes) -> None:
        """Write once; a blob of that name that is there is left as it is, and counts as put anew. Who names it by
        anything but its content reads it back: the first to land stands."""
        ...

    async def get(self, name: str) -> bytes | None: ...


@dataclass(frozen=True, slots=True)
class Page[T]:
    """Some of what a walk passed, and where the next page begins: empty at the walk's end. A page may hold nothing and
    have a successor."""

    items: Sequence[Stored[T]]
    cursor: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgedCommand:
    """A recorded command, as far as its removal asks: what its envelope lies in (empty: its row), its conversation and
    the blob of its batch (empty: none, or none that can be read)."""

    command_id: str
    queue: str
    household_id: str
    recorded_at: datetime
    conversation_id: str = ""
    envelope_blob: str = ""
    batch_blob: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgedListing:
    """A row of an operators' list (AgentIndex), by its keys, and what it names: a command, or else a signal. ``at`` is
    the moment that it is listed by; None: it has none. ``of_open``: the list is that of open signals."""

    partition: str
    row_key: str
    command_id: str = ""
    signal_id: str = ""
    at: datetime | None = None
    of_open: bool = False


class AgedRows(Protocol):
    """What is old, and its removal, for the retention timer alone.

    Each of the first methods walks one table in the order of its keys, a page at a time: rows from before that moment,
    at most ``limit``, beginning at ``cursor`` (empty: at the first). A row that cannot be read is left out, with an
    error in the log. The others remove one row, by the ETag that it was read with, and before it what only points at
    it or is a part of it; what is gone is as good as removed, and repeating them goes on where they died. False: the
    row was written since, and stays.
    """

    async def keys(self, before: datetime, cursor: str, limit: int) -> Page[Key]:
        """Keys that are final, expired and finalized before."""
        ...

    async def commands(self, before: datetime, cursor: str, limit: int) -> Page[AgedCommand]:
        """Recorded before."""
        ...

    async def signals(self, before: datetime, cursor: str, limit: int) -> Page[Signal]:
        """Raised before."""
        ...

    async def conversations(self, before: datetime, cursor: str, limit: int) -> Page[Conversation]:
        """Last modified before; without their turns."""
        ...

    async def blobs(self, before: datetime, cursor: str, limit: int) -> Page[str]:
        """Names of those put before, and not put again since."""
        ...

    async def listings(self, before: datetime, cursor: str, limit: int) -> Page[AgedListing]:
        """Rows of the operators' lists (of a household's and a queue's commands, of a queue's signals, of what is told
        of a message), those written before, on the service's clock."""
        ...

    async def marks(self, before: str, limit: int) -> int:
        """Remove marks of activity of months (yyyymm) before that one, at most ``limit``; how many went."""
        ...

    async def remove_key(self, key: Key, etag: ETag) -> bool: ...
    async def remove_run(self, run: Run, etag: ETag) -> bool:
        """With its stages, and the list of its signals."""
        ...

    async def remove_command(self, command: AgedCommand, etag: ETag) -> bool:
        """With its places in its conversation and in the lists of its household and its queue, what says that it was
        replayed, and its envelope."""
        ...

    async def remove_signal(self, signal: Signal, etag: ETag) -> bool:
        """With its places in the lists of its run and of its household's findings; and after it, so that one that is
        written since stays listed, those in its queue's lists and under what it tells of."""
        ...

    async def remove_listing(self, listing: AgedListing, etag: ETag) -> bool: ...

    async def remove_conversation(self, conversation: Conversation, etag: ETag) -> bool: ...
    async def remove_blob(self, name: str, etag: ETag) -> bool: ...
    async def keep_blob(self, name: str) -> None:
        """It counts as put anew, where it is there."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedReplay:
    """An operation as the list has it, newest first; ``place`` as in `ListedCommand`."""

    replay_id: str
    place: str


class ReplayStore(Protocol):
    """Replays, by their id, the list of them, their plans, and which command replays which. In AgentIndex."""

    async def insert(self, replay: Replay) -> ETag | None:
        """Listed first."""
        ...

    async def read(self, replay_id: str) -> Stored[Replay] | None: ...
    async def update(self, replay: Replay, etag: ETag) -> ETag | None: ...
    def listed(self, *, after: str = "") -> AsyncIterator[ListedReplay]:
        """Newest first, page by page, those beyond the place ``after``. One may be listed that was never written."""
        ...

    async def save_items(self, replay_id: str, items: Sequence[ReplayItem]) -> None:
        """The whole plan, once; before the operation is inserted."""
        ...

    async def items(self, replay_id: str, first: int, count: int) -> list[ReplayItem]:
        """Those from the ``first``-th (from 0) on, at most ``count``."""
        ...

    async def claim(self, claim: ReplayClaim) -> bool:
        """False: somebody has claimed this generation."""
        ...

    async def claims(self, queue: str, command_id: str) -> list[ReplayClaim]:
        """By generation."""
        ...


class HouseholdData(Protocol):
    """Everything that storage holds of one household, whatever table or list it lies in: for its erasure and its
    export alone, which few ask for. Each page is one bounded request, of a walk that the service filters."""

    async def page(
        self, kind: HouseholdKind, household_id: str, cursor: str, limit: int, *, whole: bool
    ) -> Page[HouseholdRow]:
        """At most ``limit`` of one kind, beginning at ``cursor`` (empty: at the first); with what is a part of each
        where ``whole``. Of blobs the page holds one where ``whole``. Decisions that are erased are none. None of dead
        letters, which are not storage's.

        Raises `ValueError` or `StoreRefusedError` where the cursor is none."""
        ...

    async def remove(self, row: HouseholdRow, etag: ETag) -> int | None:
        """Remove what was read, with its parts and before it what only points at it; how many rows and blobs that were.
        A decision stays and loses its words. None: it was written since, and stays."""
        ...


@dataclass(frozen=True, slots=True)
class Stores:
    """Every store of one deployment."""

    commands: CommandStore
    keys: KeyStore
    runs: RunStore
    stages: StageStore
    signals: SignalStore
    ledger: LedgerStore
    approvals: ApprovalStore
    decisions: DecisionStore
    households: HouseholdStore
    members: MemberStore
    blobs: BlobStore
    conversations: ConversationStore
    annotations: AnnotationStore
    outbox: CommandList
    """Commands that are not known to be sent: their message may be yet to come."""
    followed: CommandList
    """Every command, from before it is recorded until a timer has seen that it has ended."""
    cursors: CursorStore
    aged: AgedRows
    quotas: QuotaStore
    household_data: HouseholdData
    replays: ReplayStore
    pauses: PauseStore


# --------------------------------------------------------------------------------------------------------- messaging


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingMessage:
    """A command on its way to a queue. ``properties`` are Service Bus application properties."""

    queue: str
    body: bytes
    message_id: str
    correlation_id: str = ""
    subject: str = ""
    properties: Mapping[str, str | bool | int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class IncomingMessage:
    """One delivery. ``delivery_count`` counts from 1; ``enqueued_at`` is the broker's time. ``crowded``: this process
    has no place for another delivery of the lane, or of its household; it may have one in ``crowded_seconds``."""

    queue: str
    body: bytes
    lock_token: str
    message_id: str
    sequence_number: int
    delivery_count: int
    enqueued_at: datetime
    correlation_id: str = ""
    subject: str = ""
    properties: Mapping[str, str | bool | int] = field(default_factory=dict)
    crowded: bool = False
    crowded_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BrowsedMessage:
    """A message as it lies in a queue, or in its dead-letter queue: seen, not received. ``state`` is ``active`` (locked
    ones as well), ``scheduled`` or ``deferred``; ``reason`` and ``description`` are a dead letter's. ``user_id`` is
    whose message it is by its own word, where AMQP's own property has one."""

    queue: str
    body: bytes
    message_id: str
    sequence_number: int
    enqueued_at: datetime | None = None
    correlation_id: str = ""
    subject: str = ""
    properties: Mapping[str, str | bool | int] = field(default_factory=dict)
    delivery_count: int = 0
    state: str = "active"
    reason: str = ""
    description: str = ""
    user_id: str = ""


class QueueBrowser(Protocol):
    """Looks at queues without receiving: nothing is locked, counted or moved by it."""

    async def browse(self, queue: str, *, dead: bool = False, after: int = 0, limit: int = 100) -> list[BrowsedMessage]:
        """Messages with a sequence number beyond ``after``, ascending, at most ``limit``; often fewer, and none only
        where there are none. ``dead``: of the queue's dead-letter queue; otherwise every one that is active, locked,
        scheduled or deferred. Raises `QueueUnavailableError`."""
        ...


class DeadLetterSession(Protocol):
    """Takes dead letters out of one dead-letter queue, under lock."""

    async def complete(self, wanted: Mapping[int, str], *, seconds: float) -> frozenset[int]:
        """Receive for so long at most, and complete those whose sequence number and message id are ``wanted``; returns
        the numbers of those that are gone for certain. All others stay locked until the session ends, and are then
        given back as they were. Fewer than were wanted: somebody else holds them, or too many others lie before them.
        One that is held since an earlier call and is wanted now is completed as well. Raises
        `QueueUnavailableError`."""
        ...

    @property
    def held(self) -> Mapping[int, str]:
        """Message ids by the numbers of those that this session holds and nobody has wanted yet."""
        ...


class DeadLetterDesk(Protocol):
    def session(self, queue: str) -> AbstractAsyncContextManager[DeadLetterSession]:
        """Nothing is received before it is asked to complete. It has to end before a lock does."""
        ...


class CommandSender(Protocol):
    """Raises `QueueUnavailableError` where the broker has not acknowledged (it may have been enqueued)."""

    async def send(self, message: OutgoingMessage, *, due: datetime | None = None) -> None:
        """Enqueue, visible from ``due`` on (None: at once)."""
        ...


class Settler(Protocol):
    """Settles one delivery by its lock token. Raises `QueueUnavailableError` where that failed, for example because the
    lock was lost: the broker will deliver the message again, which the protocol makes harmless."""

    async def complete(self, message: IncomingMessage) -> None: ...
    async def abandon(self, message: IncomingMessage) -> None: ...
    async def dead_letter(self, message: IncomingMessage, reason: str, description: str) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeEvent:
    """What telemetry tells of a command (contract, section 6): ids and codes only."""

    event_id: str
    source: str
    type: str
    subject: str
    household_id: str
    occurred_at: datetime
    data: Mapping[str, str | int | None]
    trace_parent: str = ""


class EventPublisher(Protocol):
    def publish(self, event: RuntimeEvent) -> None:
        """Hand the event over and return at once. Never raises: what cannot be published is a warning in the log."""
        ...


class ConfirmingPublisher(EventPublisher, Protocol):
    async def confirm(self, event: RuntimeEvent, seconds: float) -> bool:
        """Hand the event over and wait for the hub to take it, so long at most. False: it is not known to be there, and
        may come yet. Never raises."""
        ...


# -------------------------------------------------------------------------------------------------- identity and such


@dataclass(frozen=True, slots=True)
class Principal:
    """A verified caller: the token's subject and roles."""

    subject: str
    roles: frozenset[str]


class TokenVerifier(Protocol):
    async def verify(self, token: str) -> Principal:
        """Raises `RequestError`: ``member_context_invalid`` for a token that does not hold, ``identity_unavailable``
        where the keys to check it cannot be fetched."""
        ...


class Clock(Protocol):
    def now(self) -> datetime: ...


@dataclass(frozen=True, slots=True)
class Finding:
    """What a probe found: ``degraded`` is of use for a while yet. ``reason`` is a stable code, ``parts`` the names of
    what it is about (tables, a direction, settings): never an endpoint, never a value."""

    state: Literal["up", "degraded", "down"] = "up"
    reason: str | None = None
    parts: tuple[str, ...] = ()


class HealthProbe(Protocol):
    """One dependency's state for ``/health/ready``. Without one that is ``required`` the instance is not ready."""

    @property
    def name(self) -> str: ...

    @property
    def required(self) -> bool: ...

    async def check(self) -> Finding:
        """Whatever it raises means down. What it costs is bounded by its caller: it may be cut off."""
        ...


class LedgerAgent(Protocol):
    """Answers questions on a household's ledger. Every figure comes from the rows that it is given."""

    @property
    def name(self) -> str: ...

    @property
    def source(self) -> str:
        """What stands behind the name: a rule set's or a model's version."""
        ...

    async def answer(self, question: str, transactions: Sequence[Transaction], *, as_of: date) -> Answer: ...


# ----------------------------------------------------------------------------------------------- conversation agents

type Json = bool | int | float | str | list[Json] | dict[str, Json] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentTurn:
    """What an agent is given for one message: the question as data, never as instructions; the conversation so far
    (role ``user`` or ``assistant``, oldest first); the household's own ledger up to ``as_of``, which is all that its
    tools can reach. ``findings`` are the household's open ones where the question is about such, empty otherwise. Ids
    are for correlation; no tool takes them from the model. ``run_id`` is the run that the session began in: a
    decision's run goes on with the session of the run that asked."""

    question: str
    transactions: Sequence[Transaction]
    as_of: date
    household_id: str
    conversation_id: str
    run_id: str
    user_note: str | None = None
    history: Sequence[tuple[str, str]] = ()
    findings: Sequence[OpenFinding] = ()

    @classmethod
    def alone(cls, question: str, transactions: Sequence[Transaction], as_of: date) -> Self:
        """One question outside of any conversation."""
        return cls(
            question=question,
            transactions=transactions,
            as_of=as_of,
            household_id="",
            conversation_id="",
            run_id="",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """An action that an agent asks for. It has not been done: the app decides, and a person where the policy says so.
    ``arguments`` are validated against the action's schema before anybody sees them; ``call_id`` is the provider's."""

    call_id: str
    action: str
    arguments: Mapping[str, Json]
    summary: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentReply:
    """What came of a turn. ``answer`` has text, provenance and confidence; ``proposals`` wait for a decision.

    ``state`` is the serialised session from which `ConversationAgent.resume` goes on, in any process (empty where
    nothing waits). ``usage`` are tokens and calls, for the log.
    """

    answer: Answer
    proposals: tuple[Proposal, ...] = ()
    state: str = ""
    usage: Mapping[str, int] = field(default_factory=dict)


class ConversationAgent(Protocol):
    """An agent with tools. Raises `LaneError` ``agent_runtime_unavailable`` where its provider does not answer.

    ``resumes_over_ledger``: whether `resume` may look at the turn's transactions; where not, it is given none."""

    @property
    def name(self) -> str: ...

    @property
    def resumes_over_ledger(self) -> bool: ...

    @property
    def source(self) -> str: ...

    async def respond(self, turn: AgentTurn) -> AgentReply: ...

    async def resume(self, state: str, results: Mapping[str, str], turn: AgentTurn) -> AgentReply:
        """Go on after decisions: ``results`` is what to tell the model for each ``call_id``. ``state`` is not consumed:
        where this fails, the same call again is safe and executes nothing twice."""
        ...
