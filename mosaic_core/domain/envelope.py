"""The command envelope (contract, section 2): decode and encode a Service Bus message body, and its request hash.

Poison has two names. `InvalidJsonError`: the bytes are no JSON object that everyone reads alike.
`InvalidEnvelopeError`: a field is missing, empty or of the wrong type. Both name the field, never its value.

The limits of size, depth, numbers and times are the constants below, not those of a library: what decodes can be
calculated with (a month added to a day, an hour to a time), stored, and encoded again.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from mosaic_core.domain.currency import CURRENCIES
from mosaic_core.domain.errors import InvalidEnvelopeError, InvalidJsonError
from mosaic_core.domain.ids import guid_or_empty, normalise_guid
from mosaic_core.domain.lanes import LOOKBACK_BOUNDS, LOOKBACK_DAYS, RULES, CommandType, Lane

MAX_BODY_BYTES: Final = 1024 * 1024
"""Of a message. A queue's own limit is 256 KiB, or 1 MiB where a namespace is premium and left as it comes."""

MAX_DEPTH: Final = 64
MAX_NUMBER_CHARACTERS: Final = 40
"""Of a number as it is spelt, sign and point included."""

TIMES: Final = (datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC))
"""The first time that is taken, and the first that is not any more, in UTC."""

DAYS: Final = (date(1900, 1, 1), date(9999, 1, 1))
"""The same for days: both sides leave room to calculate."""

GROWTH: Final = 2
"""How many times its own limit a person's text may be in its normal form. One letter may stand for eighteen; what is
read, judged, hashed and stored of a text is that form."""

_INT32_MAX: Final = 2**31 - 1
_EXACT: Final = 2**53
"""Up to here a float holds every whole number."""

_DECIMAL: Final = re.compile(r"[+-]?\d{1,15}(\.\d{1,8})?", re.ASCII)
_SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F]")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
# possessive, and an end that is missing is the end of the text: linear in whatever it is given
_BETWEEN_BRACKETS: Final = re.compile(r'(?:"(?:[^"\\]++|\\.?)*+"?|[^"\[\]{}]++)++', re.DOTALL)


# --------------------------------------------------------------------------------------------------------- field types


def _require_text(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError("is not a text")
    return value


def _no_control(value: str) -> str:
    if _CONTROL.search(value):
        raise ValueError("contains control characters")
    return value


def normal_length(text: str) -> int:
    """UTF-16 units of the text in the longer of the forms in which it is read: with compatibility forms resolved, and
    case folded besides."""
    if text.isascii():
        return len(text)
    plain = unicodedata.normalize("NFKC", text)
    folded = unicodedata.normalize("NFKC", plain.casefold())
    return max(len(form) + sum(character > "\uffff" for character in form) for form in (plain, folded))


def normal_form_within(limit: int) -> AfterValidator:
    """Refuses a text whose normal form is longer than ``limit``."""

    def check(value: str) -> str:
        if normal_length(value) > limit:
            raise ValueError(f"is longer than {limit} characters in its normal form (NFKC, case folded)")
        return value

    return AfterValidator(check)


def _time_text(value: object) -> object:
    """ISO 8601. A number as text would be taken for seconds, or milliseconds, by its size."""
    if not isinstance(value, str) or not re.match(r"\d{4}-\d{2}-\d{2}[Tt ]", value.strip(), re.ASCII):
        raise ValueError("is not a time such as 2026-01-31T08:00:00Z")
    return value


def _utc(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("has no time zone")
    # compared as it is: at the edge of the calendar there is no such time in UTC
    if not TIMES[0] <= value < TIMES[1]:
        raise ValueError(f"is not within the years {TIMES[0].year} to {TIMES[1].year - 1}")
    return value.astimezone(UTC)


def _decimal(value: object) -> Decimal:
    if not isinstance(value, str) or not _DECIMAL.fullmatch(value.strip()):
        raise ValueError("is not a decimal number as text, such as -12.50")
    return Decimal(value)


def _currency(value: str) -> str:
    if value not in CURRENCIES:
        raise ValueError("is not an ISO 4217 currency code")
    return value


def _plain_date(value: object) -> object:
    if not isinstance(value, str) or not re.fullmatch(r"\d{4}-\d{2}-\d{2}", value.strip(), re.ASCII):
        raise ValueError("is not a date such as 2026-01-31")
    return value.strip()


def _within_days(value: date) -> date:
    if not DAYS[0] <= value < DAYS[1]:
        raise ValueError(f"is not within the years {DAYS[0].year} to {DAYS[1].year - 1}")
    return value


def _batch_id(value: str) -> str:
    """A GUID is normalised; any other id may stand in a correlation id as it is."""
    try:
        return normalise_guid(value)
    except ValueError:
        if not re.fullmatch(r"[A-Za-z0-9._-]{1,44}", value, re.ASCII):
            raise ValueError("is neither a GUID nor 1 to 44 of letters, digits, '.', '_', '-'") from None
        if re.fullmatch(r"[0-]{32,}", value):
            raise
        return value


type Guid = Annotated[str, BeforeValidator(_require_text), AfterValidator(normalise_guid)]
type Utc = Annotated[datetime, BeforeValidator(_time_text), AfterValidator(_utc)]
type Day = Annotated[date, BeforeValidator(_plain_date), AfterValidator(_within_days)]
type Amount = Annotated[Decimal, BeforeValidator(_decimal)]
type Currency = Annotated[str, AfterValidator(_currency)]
type Line = Annotated[str, Field(min_length=1, max_length=120), AfterValidator(_no_control)]
type BatchId = Annotated[str, AfterValidator(_batch_id)]
type Message = Annotated[str, Field(min_length=1, max_length=2000), normal_form_within(2000 * GROWTH)]
type Note = Annotated[str, Field(max_length=600), normal_form_within(600 * GROWTH)]
type Rationale = Annotated[str, Field(max_length=500), normal_form_within(500 * GROWTH)]


class Model(BaseModel):
    """camelCase outside, snake_case inside, immutable, no coercion between types."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        frozen=True,
        strict=True,
        str_strip_whitespace=True,
        extra="ignore",
        hide_input_in_errors=True,
    )


class PolicyDisposition(StrEnum):
    ADVISORY_ONLY = "advisory_only"
    APPROVAL_REQUIRED = "approval_required"
    APPROVED_BY_HUMAN = "approved_by_human"
    REJECTED_BY_HUMAN = "rejected_by_human"


def _disposition(value: object) -> object:
    return PolicyDisposition(value) if isinstance(value, str) and value in set(PolicyDisposition) else value


type Disposition = Annotated[PolicyDisposition, BeforeValidator(_disposition)]


# ------------------------------------------------------------------------------------------------------------ payloads


class TransactionLine(Model):
    """One transaction of a batch as a source reports it; ``amount`` is decimal text, negative = money out."""

    transaction_id: Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_no_control)]
    posted_on: Annotated[Day, Field(strict=False)]
    amount: Amount
    currency: Currency
    description: Annotated[str, Field(max_length=200)]
    merchant_name: Annotated[str, Field(max_length=200)] | None = None
    category_hint: Annotated[str, Field(max_length=120)] | None = None
    counterparty_account_id: Annotated[str, Field(max_length=120)] | None = None


class AgentMessagePosted(Model):
    household_id: Guid
    conversation_id: Guid
    household_user_id: Guid
    message: Message
    user_note: Note | None = None
    policy_disposition: Disposition | None = None


class AgentApprovalSubmitted(Model):
    household_id: Guid
    conversation_id: Guid
    household_user_id: Guid
    approval_id: Guid
    decision: Literal["Approve", "Reject"]
    rationale: Rationale | None = None
    policy_disposition: Disposition | None = None


class AgentApprovalDue(Model):
    """Time is over for an approval; nobody decides anything by it."""

    household_id: Guid
    conversation_id: Guid
    approval_id: Guid


class IngestionCompleted(Model):
    household_id: Guid
    batch_id: BatchId
    source: Line
    account_id: Line
    transactions: Annotated[list[TransactionLine], Field(min_length=1, max_length=500)] | None = None
    transactions_blob: Annotated[str, Field(pattern=r"^[0-9a-f]{32}/[0-9a-f]{64}$")] | None = None

    @model_validator(mode="after")
    def _one_of(self) -> IngestionCompleted:
        if (self.transactions is None) == (self.transactions_blob is None):
            raise ValueError("exactly one of transactions and transactionsBlob is required")
        return self


class NightlyAnomalySweep(Model):
    household_id: Guid
    sweep_date: Annotated[Day, Field(strict=False)]
    lookback_days: Annotated[int, Field(ge=LOOKBACK_BOUNDS[0], le=LOOKBACK_BOUNDS[1])] = LOOKBACK_DAYS


Payload = AgentMessagePosted | AgentApprovalSubmitted | AgentApprovalDue | IngestionCompleted | NightlyAnomalySweep

PAYLOADS: Final[dict[CommandType, type[Payload]]] = {
    CommandType.AGENT_MESSAGE_POSTED: AgentMessagePosted,
    CommandType.AGENT_APPROVAL_SUBMITTED: AgentApprovalSubmitted,
    CommandType.AGENT_APPROVAL_DUE: AgentApprovalDue,
    CommandType.INGESTION_COMPLETED: IngestionCompleted,
    CommandType.NIGHTLY_ANOMALY_SWEEP: NightlyAnomalySweep,
}


# ------------------------------------------------------------------------------------------------------------ envelope


class _Header(Model):
    """The envelope without what depends on the command type. Unknown fields are ignored: a newer producer must not
    break an older worker."""

    command_id: Guid
    correlation_id: Line
    command_type: Line
    created_at_utc: Annotated[Utc, Field(strict=False)]
    client_reference_id: Annotated[str, Field(max_length=120)] | None = None
    replay_of_command_id: Guid | None = None
    schema_version: Annotated[int, Field(ge=0, le=_INT32_MAX)] | None = None
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """A decoded command. ``payload`` is None where ``command_type`` is none of the lane's (`supported` is False): such
    a command is executed to its rejection, so that a person sees it."""

    command_id: str
    correlation_id: str
    command_type: str
    created_at: datetime
    client_reference_id: str | None
    replay_of_command_id: str | None
    payload: Payload | None
    household_id: str
    conversation_id: str | None
    request_hash: str

    @property
    def supported(self) -> bool:
        return self.payload is not None


def decode(body: bytes, lane: Lane) -> Envelope:
    """Decode a message body as a command of ``lane``.

    Raises `InvalidJsonError` or `InvalidEnvelopeError`, and nothing else whatever the bytes are. (A `MemoryError` gets
    through: it is about the process, and the next one may have room.)
    """
    if len(body) > MAX_BODY_BYTES:
        raise InvalidJsonError(f"is larger than {MAX_BODY_BYTES} bytes")
    try:
        return _decode(parse_json(body), lane)
    except (InvalidJsonError, InvalidEnvelopeError, MemoryError):
        raise
    except ValidationError as error:
        raise InvalidEnvelopeError(explain(error)) from None
    except Exception as error:
        # whatever it is, the same bytes would raise it again: poison, not a reason to deliver them ten times
        raise InvalidEnvelopeError(f"body: cannot be read ({type(error).__name__})") from None


def _decode(raw: Mapping[str, Any], lane: Lane) -> Envelope:
    """Raises `ValidationError` for a field of the header, `InvalidEnvelopeError` for one of the payload."""
    header = _Header.model_validate(raw, by_alias=True, by_name=False)
    payload = None
    known = next((kind for kind in CommandType if kind == header.command_type), None)
    supported = known in RULES[lane].command_types
    try:
        if known is not None:
            payload = PAYLOADS[known].model_validate(header.payload, by_alias=True, by_name=False)
    except ValidationError as error:
        if supported:
            raise InvalidEnvelopeError(explain(error, "payload.")) from None
    if supported and payload is not None:
        household = getattr(payload, "household_id", "")
        conversation = getattr(payload, "conversation_id", "")
    else:
        household, conversation = (guid_or_empty(header.payload.get(k)) for k in ("householdId", "conversationId"))
    # the same request hashes alike on whichever queue it is read; only what no lane would run is hashed as it came
    content = payload_json(payload, without_hint=True) if payload is not None else _by_value(header.payload)
    return Envelope(
        command_id=header.command_id,
        correlation_id=header.correlation_id,
        command_type=header.command_type,
        created_at=header.created_at_utc,
        client_reference_id=header.client_reference_id,
        replay_of_command_id=header.replay_of_command_id,
        payload=payload if supported else None,
        household_id=household,
        conversation_id=conversation or None,
        request_hash=hash_request(header.command_type, content),
    )


def _by_value(value: Any) -> Any:
    """JSON with each number in one spelling: 1, 1.0 and 1e0 are the same, 0.0 and -0.0 as well. (Where a float holds no
    whole number exactly any more, 1e300 and its digits stay two.)"""
    match value:
        case float() if value.is_integer() and abs(value) <= _EXACT:
            return int(value)
        case dict():
            return {key: _by_value(item) for key, item in value.items()}
        case list():
            return [_by_value(item) for item in value]
        case _:
            return value


def encode(
    *,
    command_id: str,
    correlation_id: str,
    command_type: CommandType,
    created_at: datetime,
    payload: Model,
    client_reference_id: str | None = None,
    replay_of_command_id: str | None = None,
) -> str:
    """The message body of a command as JSON text; `decode` of it gives the same request hash."""
    body: dict[str, Any] = {
        "commandId": command_id,
        "correlationId": correlation_id,
        "commandType": command_type.value,
        "createdAtUtc": iso(created_at),
        "schemaVersion": 1,
        "payload": payload_json(payload),
    }
    if client_reference_id is not None:
        body["clientReferenceId"] = client_reference_id
    if replay_of_command_id is not None:
        body["replayOfCommandId"] = replay_of_command_id
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"))


def request_hash(command_type: CommandType, payload: Model) -> str:
    """SHA-256 (hex) of the canonical JSON of command type and payload, without the policy hint."""
    return hash_request(command_type, payload_json(payload, without_hint=True))


def hash_request(command_type: str, payload: Mapping[str, Any]) -> str:
    canonical = json.dumps(
        {"commandType": command_type, "payload": payload}, sort_keys=True, separators=(",", ":"), ensure_ascii=False
    )
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()


def payload_json(payload: Model, *, without_hint: bool = False) -> dict[str, Any]:
    """The payload as JSON-ready values in canonical spelling: GUIDs as 32 hex digits, no trailing zeros."""
    exclude = {"policy_disposition"} if without_hint else None
    return {
        key: _canonical(value)
        for key, value in payload.model_dump(by_alias=True, exclude_none=True, exclude=exclude).items()
    }


def _canonical(value: Any) -> Any:
    match value:
        case Decimal():
            text = f"{value:f}"
            text = text.rstrip("0").rstrip(".") if "." in text else text
            return "0" if text in ("-0", "") else text
        case datetime():
            return iso(value)
        case date():
            return value.isoformat()
        case dict():
            return {k: _canonical(v) for k, v in value.items()}
        case list():
            return [_canonical(v) for v in value]
        case _:
            return value


def iso(moment: datetime) -> str:
    """UTC, ISO 8601, milliseconds where there are any, with Z."""
    text = moment.astimezone(UTC).isoformat(timespec="microseconds" if moment.microsecond else "seconds")
    return text.replace("+00:00", "Z")


def explain(error: ValidationError, prefix: str = "") -> str:
    """The first faults as "field: issue", never a value."""
    return "; ".join(f"{prefix}{field}: {issue}" for field, issue in faults(error)[:3])


def faults(error: ValidationError) -> list[tuple[str, str]]:
    """(field path, issue) of each fault, in order."""
    out = []
    for fault in error.errors(include_input=False, include_url=False, include_context=False):
        path = ".".join(str(part) for part in fault["loc"] if isinstance(part, int) or part.isidentifier())
        issue = fault["msg"].removeprefix("Value error, ")
        out.append((path[:120] or "body", issue[:1].lower() + issue[1:]))
    return out


# ---------------------------------------------------------------------------------------------------------------- JSON


def parse_json(body: bytes) -> dict[str, Any]:
    """The one reading of ``body`` that all JSON parsers share, as a dict.

    Raises `InvalidJsonError` for what is not UTF-8, not JSON, no object at the top, NaN, infinities, numbers too large
    or too long, duplicate keys, lone surrogates, and nesting deeper than `MAX_DEPTH`.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidJsonError(f"not UTF-8 at byte {error.start}") from None
    if text.startswith("\ufeff"):
        raise InvalidJsonError("starts with a byte order mark")
    # before the parser, which recurses: a thread's stack may be smaller than what the interpreter counts with
    if text.count("{") + text.count("[") > MAX_DEPTH and _is_deep(text):
        raise InvalidJsonError(f"nested deeper than {MAX_DEPTH} levels")
    try:
        value = json.loads(
            text, object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite, parse_int=_bounded
        )
    except InvalidJsonError:
        raise
    except json.JSONDecodeError as error:
        raise InvalidJsonError(f"not JSON at line {error.lineno} column {error.colno}") from None
    if not isinstance(value, dict):
        raise InvalidJsonError("not an object at the top")
    if _SURROGATE.search(text):
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise InvalidJsonError("contains half of a surrogate pair") from None
    return value


def _is_deep(text: str) -> bool:
    """More than `MAX_DEPTH` brackets open at once, those within strings not counted."""
    level = 0
    for bracket in _BETWEEN_BRACKETS.sub("", text):
        level += 1 if bracket in "[{" else -1
        if level > MAX_DEPTH:
            return True
    return False


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) != len(pairs):
        raise InvalidJsonError("an object has the same key twice")
    return out


def _no_constant(name: str) -> None:
    raise InvalidJsonError("contains NaN or Infinity")


def _finite(text: str) -> float:
    value = float(_short(text))
    if value in (float("inf"), float("-inf")):
        raise InvalidJsonError("contains a number that is too large")
    return value


def _bounded(text: str) -> int:
    return int(_short(text))


def _short(text: str) -> str:
    if len(text) > MAX_NUMBER_CHARACTERS:
        raise InvalidJsonError(f"contains a number that is too large or too long ({MAX_NUMBER_CHARACTERS} characters)")
    return text
