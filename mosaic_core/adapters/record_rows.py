"""Records as table rows and back (contract, section 4): property names, types, and what a property can hold.

A row here is a plain dict of properties, without its keys. Values are those of Table Storage's types: text, bool, int,
float and aware UTC datetime; a `None` has no property. Decoding also takes the forms of the wire (times and 64-bit
numbers as text), and rows that lack a property which their version did not have yet, where the record has a default.
"""

from __future__ import annotations

import hashlib
import json
import math
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, fields, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final, TypeAliasType, Union, get_args, get_origin, get_type_hints

from mosaic_core.domain.errors import StoredRowError
from mosaic_core.domain.ids import clean
from mosaic_core.domain.policy.approval import expires_soon_at
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
    Turn,
)
from mosaic_core.domain.replay import Replay, ReplayClaim, ReplayItem
from mosaic_core.domain.transactions import Transaction
from mosaic_core.ports import EXPIRING, AgedCommand, DueApproval, LedgerWrite, StandingRow

type Value = str | bool | int | float | datetime
type Row = dict[str, Value]

EARLIEST: Final = datetime(1601, 1, 1, tzinfo=UTC)
"""The first time that a property can hold."""

PROPERTY_UNITS: Final = 32_768
"""UTF-16 units that a property holds."""

PROVENANCE_CHARACTERS: Final = 30_000
"""What is kept of a stage's provenance or a finding's rows, in UTF-16 units of its JSON; a property holds 32,768."""

INT64: Final = frozenset({"SequenceNumber"})
"""Properties that are 64-bit numbers whatever their value."""

_INT32: Final = range(-(2**31), 2**31)


def is_int64(name: str, value: Value) -> bool:
    """Is the property a 64-bit number? The service has to be told so."""
    return type(value) is int and (name in INT64 or value not in _INT32)


def utf16_length(text: str) -> int:
    """Length as Table Storage counts it."""
    return len(text) + sum(character > "\uffff" for character in text)


# ------------------------------------------------------------------------------------------------------------- columns


def _utc(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise StoredRowError("a time without a time zone cannot be stored")
    try:
        return value.astimezone(UTC)
    except OverflowError as error:
        raise StoredRowError("a time outside of the years 1 to 9999 cannot be stored") from error


def _time_in(value: datetime) -> datetime:
    value = _utc(value)
    if value < EARLIEST:
        raise StoredRowError("a time before the year 1601 cannot be stored")
    return value


def _time_out(value: Any) -> datetime:
    return datetime.fromisoformat(value) if isinstance(value, str) else value


def _number_in(value: float) -> float:
    if not math.isfinite(value):
        raise StoredRowError("a number that is none cannot be stored")
    return float(value)


def _text_in(value: str) -> str:
    """Half of a surrogate pair, which a model's text may hold, is no character: nothing could be sent of it."""
    if value.isascii():
        return value
    return value.encode("utf-8", "replace").decode()


def _texts_in(value: tuple[str, ...]) -> str:
    return _text_in(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def _held(name: str, value: Value) -> Value:
    """The same in memory as on Table Storage, which refuses what is longer. (An envelope may lie in a blob.)"""
    if (
        isinstance(value, str)
        and name != "Envelope"
        and len(value) > PROPERTY_UNITS // 2
        and utf16_length(value) > PROPERTY_UNITS
    ):
        raise StoredRowError(f"{name} is longer than the {PROPERTY_UNITS} characters that a property holds")
    return value


def _same(value: Any) -> Any:
    return value


_CONVERSIONS: Final[dict[type, tuple[Callable[[Any], Value], Callable[[Any], Any]]]] = {
    str: (_text_in, _same),
    bool: (_same, _same),
    int: (_same, int),
    float: (_number_in, float),
    datetime: (_time_in, _time_out),
    date: (date.isoformat, date.fromisoformat),
    Decimal: (str, Decimal),
    tuple: (_texts_in, lambda text: tuple(json.loads(text))),
}


@dataclass(frozen=True, slots=True)
class _Column:
    field: str
    name: str
    encode: Callable[[Any], Value]
    decode: Callable[[Any], Any]
    required: bool


def _property_name(field: str) -> str:
    """``recorded_at`` is ``RecordedAtUtc``, any other name the same in Pascal case."""
    name = "".join(part.capitalize() for part in field.split("_"))
    return f"{name}Utc" if field.endswith("_at") else name


def _column(field: Field[Any], hint: Any, name: str) -> _Column:
    if isinstance(hint, TypeAliasType):
        hint = hint.__value__
    if get_origin(hint) in {Union, types.UnionType}:
        (hint,) = (part for part in get_args(hint) if part is not types.NoneType)
    kind = get_origin(hint) or hint
    encode, decode = (str, kind) if issubclass(kind, StrEnum) else _CONVERSIONS[kind]
    required = field.default is MISSING and field.default_factory is MISSING
    return _Column(field.name, name, encode, decode, required)


class Codec[T]:
    """One record type as rows. ``names`` are the properties that are not called like their field."""

    def __init__(self, record: type[T], **names: str) -> None:
        hints = get_type_hints(record)
        self._record = record
        self._columns = tuple(
            _column(field, hints[field.name], names.get(field.name) or _property_name(field.name))
            for field in fields(record)  # type: ignore[arg-type]
        )
        self.properties = tuple(column.name for column in self._columns)

    def encode(self, value: T) -> Row:
        """Raises StoredRowError where a value is outside of what a property can hold."""
        return {
            column.name: _held(column.name, column.encode(item))
            for column in self._columns
            if (item := getattr(value, column.field)) is not None
        }

    def decode(self, row: Mapping[str, Any]) -> T:
        """Raises StoredRowError, naming the property, where the row is none of this record's."""
        values: dict[str, Any] = {}
        for column in self._columns:
            item = row.get(column.name)
            if item is None:
                if column.required:
                    raise StoredRowError(f"a stored {self._record.__name__} lacks {column.name}")
                continue
            try:
                values[column.field] = column.decode(item)
            except (ValueError, TypeError, ArithmeticError) as error:
                raise StoredRowError(f"{column.name} of a stored {self._record.__name__} cannot be read") from error
        return self._record(**values)


COMMAND: Final = Codec(Command)
KEY: Final = Codec(Key, queue="Scope", command_id="KeyValue")
RUN: Final = Codec(Run)
STAGE: Final = Codec(Stage, order="StageOrder", name="StageName")
SIGNAL: Final = Codec(Signal)
APPROVAL: Final = Codec(Approval)
DECISION: Final = Codec(Decision)
MEMBERSHIP: Final = Codec(Membership)
LANE_PAUSE: Final = Codec(LanePause)
TRANSACTION: Final = Codec(Transaction)
SWEEP_PROGRESS: Final = Codec(SweepProgress)
OUTBOX_ENTRY: Final = Codec(OutboxEntry)
ALLOWANCE: Final = Codec(Allowance)
ANNOTATION: Final = Codec(Annotation)
TURN: Final = Codec(Turn)
REPLAY: Final = Codec(Replay)
REPLAY_CLAIM: Final = Codec(ReplayClaim)
_CONVERSATION: Final = Codec(Conversation)


def encode_key(key: Key) -> Row:
    """The contract names the command's id twice: as the key's value, and as every other row names it."""
    return {**KEY.encode(key), "CommandId": key.command_id}


def decode_allowance(row: Mapping[str, Any], *, written_at: datetime) -> Allowance:
    """A first row does not say when it was counted: then it was written at once."""
    found = ALLOWANCE.decode(row)
    return found if found.counted_at is not None else replace(found, counted_at=written_at)


def encode_run(run: Run) -> Row:
    return {**RUN.encode(run), "TriggerSource": run.queue}


def encode_stage(stage: Stage) -> Row:
    """``Provenance`` is cut to what a property holds; ``ProvenanceCount`` tells how many there were."""
    cut = replace(stage, provenance=_fitting(stage.provenance))
    return {**STAGE.encode(cut), "ProvenanceCount": len(stage.provenance)}


def encode_finding(signal_id: str, transaction_ids: Sequence[str]) -> Row:
    """A finding in its household's index; the ids are cut to what a property holds."""
    return {"SignalId": signal_id, "TransactionIds": _texts_in(_fitting(transaction_ids))}


def finding_rows(row: Mapping[str, Any]) -> tuple[str, ...]:
    """The transaction ids of a row of `encode_finding`."""
    return tuple(json.loads(row["TransactionIds"]))


def listed_with(listed: Iterable[Mapping[str, Any]]) -> dict[str, frozenset[str]]:
    """Signal ids of rows of `encode_finding`, each with the transaction ids of all its rows."""
    found: dict[str, frozenset[str]] = {}
    for row in listed:
        signal_id = str(row["SignalId"])
        found[signal_id] = found.get(signal_id, frozenset()).union(finding_rows(row))
    return found


def told_of(signal: Signal) -> tuple[str, ...]:
    """The ids that a signal is found by beside its run's: of the message, and of a command without a run."""
    by_run = signal.command_id if signal.run_id is not None else None
    told = dict.fromkeys(clean(named) for named in (signal.message_id, signal.command_id) if named)
    return tuple(named for named in told if named != by_run)


def is_open(signal: Signal, household_id: str) -> bool:
    """Whether a listed finding is the household's, and nobody has resolved it."""
    return signal.household_id == household_id and not signal.is_resolved


def open_finding(signal: Signal | None, row: Mapping[str, Any], household_id: str) -> OpenFinding | None:
    """The finding of a row of `encode_finding`, where its signal says that it is the household's and still open."""
    if signal is None or not is_open(signal, household_id):
        return None
    return OpenFinding(signal=signal, transaction_ids=finding_rows(row))


def _fitting(ids: Sequence[str]) -> tuple[str, ...]:
    kept, length = 0, 2
    for item in ids:
        length += utf16_length(json.dumps(item, ensure_ascii=False)) + 1
        if length > PROVENANCE_CHARACTERS:
            break
        kept += 1
    return tuple(ids[:kept])


def encode_conversation(conversation: Conversation) -> Row:
    """The turns are one text: a list of rows, their times as on the wire."""
    turns = tuple(json.dumps(TURN.encode(t), ensure_ascii=False, default=_on_the_wire) for t in conversation.turns)
    return {**_CONVERSATION.encode(replace(conversation, turns=())), "Turns": _held("Turns", _texts_in(turns))}


def decode_conversation(row: Mapping[str, Any]) -> Conversation:
    found = _CONVERSATION.decode(row)
    try:
        turns = tuple(TURN.decode(json.loads(str(turn))) for turn in found.turns)
    except ValueError as error:
        raise StoredRowError("Turns of a stored Conversation cannot be read") from error
    return replace(found, turns=turns)


def decode_bare_conversation(row: Mapping[str, Any]) -> Conversation:
    """Without its turns."""
    return _CONVERSATION.decode({**row, "Turns": "[]"})


def encode_items(items: Sequence[ReplayItem]) -> Row:
    """A piece of a replay's plan."""
    return {"Items": _held("Items", " ".join(map(str, items)))}


def decode_items(row: Mapping[str, Any]) -> list[ReplayItem]:
    try:
        return [ReplayItem.parse(one) for one in str(row["Items"]).split()]
    except (KeyError, ValueError) as error:
        raise StoredRowError("Items of a stored replay cannot be read") from error


AGED_COMMAND: Final = ("CommandId", "Queue", "HouseholdId", "RecordedAtUtc", "Envelope", "EnvelopeBlob")


def decode_aged_command(row: Mapping[str, Any]) -> AgedCommand:
    """Whatever the envelope is: one that cannot be read names no conversation."""
    try:
        payload = json.loads(row.get("Envelope") or "{}")["payload"]
        conversation_id, batch_blob = payload.get("conversationId"), payload.get("transactionsBlob")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        conversation_id = batch_blob = None
    try:
        return AgedCommand(
            command_id=str(row["CommandId"]),
            queue=str(row["Queue"]),
            household_id=str(row.get("HouseholdId") or ""),
            recorded_at=_time_out(row["RecordedAtUtc"]),
            conversation_id=conversation_id if isinstance(conversation_id, str) else "",
            envelope_blob=str(row.get("EnvelopeBlob") or ""),
            batch_blob=batch_blob if isinstance(batch_blob, str) else "",
        )
    except KeyError as error:
        raise StoredRowError(f"a stored Command lacks {error.args[0]}") from error


def _on_the_wire(value: datetime) -> str:
    return value.isoformat()


def check_one_attempt(stages: Sequence[Stage]) -> None:
    """Raises ValueError where the stages are not of one attempt of one run, or two have the same order."""
    if len({(stage.run_id, stage.attempt) for stage in stages}) > 1:
        raise ValueError("stages of more than one attempt")
    if len({stage.order for stage in stages}) != len(stages):
        raise ValueError("two stages of the same order")


# --------------------------------------------------------------------------------------------------------------- order

_MICROSECOND: Final = timedelta(microseconds=1)
_FIRST: Final = datetime.min.replace(tzinfo=UTC)
_LAST_MICROSECOND: Final = (datetime.max.replace(tzinfo=UTC) - _FIRST) // _MICROSECOND

APPROVALS_LISTED: Final = 200
FINDINGS_LISTED: Final = 100
FINDINGS_READ: Final = 1000
"""Rows that are looked at for the findings that are listed: older versions listed one under many days."""


def newest_first(time: datetime) -> str:
    """18 digits that sort a later time before an earlier one."""
    return f"{_LAST_MICROSECOND - (_utc(time) - _FIRST) // _MICROSECOND:018}"


def day_newest_first(time: datetime) -> str:
    """The day of a moment, 7 digits that sort a later day before an earlier one."""
    return f"{date.max.toordinal() - _utc(time).toordinal():07}"


def time_of(place: str) -> datetime:
    """The moment of a place that begins with `newest_first`. Raises ValueError where it does not."""
    back = min(int(place[:18]), _LAST_MICROSECOND)
    return _FIRST + (_LAST_MICROSECOND - back) * _MICROSECOND


def oldest_first(time: datetime) -> str:
    """18 digits that sort an earlier time before a later one."""
    return f"{(_utc(time) - _FIRST) // _MICROSECOND:018}"


def not_before(since: datetime) -> str:
    """What sorts after every place, of `newest_first`, at or after ``since``."""
    return f"{int(newest_first(since)) + 1:018}"


def newest_day_first(day: date) -> str:
    return newest_first(datetime(day.year, day.month, day.day, tzinfo=UTC))


def month(day: date) -> str:
    """yyyymm."""
    return f"{day.year:04}{day.month:02}"


def newest_approvals(approvals: Iterable[Approval]) -> list[Approval]:
    return sorted(approvals, key=lambda a: (a.created_at, a.approval_id), reverse=True)[:APPROVALS_LISTED]


DUE_SHARDS: Final = 16
DUE_SHARE: Final = 25
"""Of one group of households on one day, this many are looked at in one go: a flood of one household's leaves room."""

_DUE: Final = Codec(DueApproval)


def first_due(approval: Approval) -> DueApproval:
    """Its household is told first that its time is soon over."""
    return DueApproval(
        household_id=approval.household_id,
        approval_id=approval.approval_id,
        due_at=expires_soon_at(approval),
        generation=EXPIRING,
    )


def due_group(due: DueApproval) -> str:
    """Day and group of households: no partition takes all of a day's approvals, and few are empty."""
    group = hashlib.sha256(due.household_id.encode("utf-8", "surrogatepass")).digest()[0] % DUE_SHARDS
    return f"{due_day(due.due_at)}-{group:x}"


def due_day(moment: datetime) -> str:
    return f"{_utc(moment):%Y%m%d}".rjust(8, "0")


def due_time(moment: datetime) -> str:
    """Sorts an earlier time first."""
    return f"{(_utc(moment) - _FIRST) // _MICROSECOND:018}"


def due_place(due: DueApproval) -> tuple[str, str, str, str]:
    """Where it is in its group: by time."""
    return due_time(due.due_at), due.household_id, due.approval_id, str(due.generation)


def encode_due(due: DueApproval) -> Row:
    return _DUE.encode(due)


def decode_due(row: Mapping[str, Any]) -> DueApproval:
    return _DUE.decode(row)


DUE_PROPERTIES: Final = _DUE.properties

# -------------------------------------------------------------------------------------------------------------- ledger


def ledger_order(transaction: Transaction) -> tuple[date, str]:
    return transaction.posted_on, transaction.transaction_id


def one_of_each(transactions: Iterable[Transaction]) -> tuple[list[Transaction], list[str]]:
    """The first transaction of each id, and the ids that come again with other content."""
    first: dict[str, Transaction] = {}
    conflicts = []
    for transaction in transactions:
        there = first.setdefault(transaction.transaction_id, transaction)
        if there is not transaction and content_hash(there) != content_hash(transaction):
            conflicts.append(transaction.transaction_id)
    return list(first.values()), conflicts


def ledger_write(inserted: Iterable[str], conflicts: Iterable[str], standing: Mapping[str, StandingRow]) -> LedgerWrite:
    """Each id once per list, in the order in which they came."""
    return LedgerWrite(tuple(dict.fromkeys(inserted)), tuple(standing), tuple(dict.fromkeys(conflicts)), standing)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Category:
    category: str = ""
    category_confidence: float = 0.0
    category_source: str = ""


_CATEGORY: Final = Codec(_Category)
STANDING: Final = ("ContentHash", "RunId", *_CATEGORY.properties)
"""What is read of a row that was there: is it the same, and what was it stored with."""


def standing(transaction: Transaction, row: Mapping[str, Any]) -> StandingRow:
    """``transaction`` with the category of its stored ``row``, whose content is the same."""
    found = _CATEGORY.decode(row)
    stands = replace(
        transaction,
        category=found.category,
        category_confidence=found.category_confidence,
        category_source=found.category_source,
    )
    return StandingRow(stands, str(row.get("RunId", "")))


def content_hash(transaction: Transaction) -> str:
    """SHA-256 of what the source reports: everything but the category. Equal amounts hash equally (1.5 and 1.50)."""
    content = [
        transaction.transaction_id,
        transaction.account_id,
        transaction.posted_on.isoformat(),
        _plain(transaction.amount),
        transaction.currency,
        transaction.description,
        transaction.merchant_name,
        transaction.category_hint,
        transaction.counterparty_account_id,
    ]
    return hashlib.sha256(json.dumps(content, separators=(",", ":")).encode()).hexdigest()


def _plain(amount: Decimal) -> str:
    """One text for equal amounts. `Decimal.normalize` would round to the context's precision."""
    sign, digits, exponent = amount.as_tuple()
    if not isinstance(exponent, int):
        raise StoredRowError("an amount is not a number")
    text = "".join(map(str, digits)).lstrip("0")
    short = text.rstrip("0")
    return f"{'-' * sign}{short}e{exponent + len(text) - len(short)}" if short else "0"


def encode_transaction(transaction: Transaction, *, run_id: str, batch_id: str, recorded_at: datetime) -> Row:
    return {
        **TRANSACTION.encode(transaction),
        "ContentHash": content_hash(transaction),
        "BatchId": batch_id,
        "RunId": run_id,
        "RecordedAtUtc": recorded_at,
    }
