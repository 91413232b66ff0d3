"""What callers send, and the body of an error, as pydantic models. Unknown fields are refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator
from pydantic.alias_generators import to_camel

from mosaic_core.domain.currency import CURRENCIES
from mosaic_core.domain.envelope import (
    TIMES,
    Amount,
    BatchId,
    Currency,
    Day,
    Guid,
    Line,
    Message,
    Note,
    Rationale,
    TransactionLine,
    Utc,
)
from mosaic_core.domain.households import HouseholdKind
from mosaic_core.domain.lanes import LOOKBACK_BOUNDS, Lane
from mosaic_core.domain.replay import DEFAULT_RATE, HIGHEST_RATE
from mosaic_core.entrypoints.http import schema_rules
from mosaic_core.services.batch import INLINE_TRANSACTIONS

_UNPRINTABLE: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def _printable(value: str) -> str:
    if _UNPRINTABLE.search(value):
        raise ValueError("contains control characters")
    return value


def _not_too_many(value: object) -> object:
    if isinstance(value, list) and len(value) > INLINE_TRANSACTIONS:
        raise ValueError(f"has more than {INLINE_TRANSACTIONS} transactions: send JSON Lines (application/x-ndjson)")
    return value


class Body(BaseModel):
    """camelCase names only; no coercion between types."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        extra="forbid",
        frozen=True,
        strict=True,
        str_strip_whitespace=True,
        hide_input_in_errors=True,
    )


# JSON Schema for what the validators of the domain check in code
_LINE_SCHEMA: Final = WithJsonSchema(schema_rules.LINE)
_BATCH_ID_SCHEMA: Final = WithJsonSchema(schema_rules.BATCH_ID)
_AMOUNT_SCHEMA: Final = WithJsonSchema(schema_rules.AMOUNT)
_CURRENCY_SCHEMA: Final = WithJsonSchema(
    {"type": "string", "enum": sorted(CURRENCIES), "description": "An ISO 4217 code."}
)

_TIME_SCHEMA: Final = WithJsonSchema(schema_rules.TIME)

type GuidText = Annotated[Guid, WithJsonSchema(schema_rules.GUID)]
type OneLine = Annotated[Line, _LINE_SCHEMA]
type BatchReference = Annotated[BatchId, _BATCH_ID_SCHEMA]
type ClientId = Annotated[
    OneLine,
    Field(description="The client's own reference: the same one again is the same command, and gets the same answer."),
]


def _without_default(schema: dict[str, Any]) -> None:
    schema.pop("default", None)


# left out it is empty, which the rules of a batch id would refuse: null and an empty text are no way to leave it out
MAY_BE_KEY: Final = Field(default="", json_schema_extra=_without_default)


class PostMessage(Body):
    """A message to the household's agent. Lengths count after trimming; of the normal form (NFKC, case folded) they
    may be twice as much."""

    message: Annotated[Message, AfterValidator(_printable)]
    user_note: Annotated[Note, AfterValidator(_printable)] | None = None
    client_message_id: ClientId | None = None


class PostApproval(Body):
    """A person's word on a pending approval. There is no default. The rationale's normal form (NFKC, case folded) may
    be twice as long."""

    decision: Literal["Approve", "Reject"]
    rationale: Annotated[Rationale, AfterValidator(_printable)] | None = None
    client_approval_id: ClientId | None = None


class PostResolution(Body):
    """Why a signal needs nobody any more. The household's members can read it."""

    note: Annotated[str, Field(min_length=1, max_length=500), AfterValidator(_printable)]


def _told(**more: Any) -> Callable[[dict[str, Any]], None]:
    """Says ``more`` of a schema, and no default: what is absent is absent, and no empty text."""

    def tell(schema: dict[str, Any]) -> None:
        for told in schema["properties"].values():
            told.pop("default", None)
        schema.update(more)

    return tell


class ReplayFilter(Body):
    """All that are given hold; at least one is."""

    model_config = ConfigDict(json_schema_extra=_told(minProperties=1))

    code: Annotated[str, Field(pattern=schema_rules.REASON["pattern"])] = ""
    reason: Annotated[str, Field(pattern=schema_rules.REASON["pattern"], description="The dead letter's own.")] = ""
    since_utc: Annotated[Utc, Field(strict=False, description="By when it was enqueued."), _TIME_SCHEMA] = TIMES[0]
    until_utc: Annotated[Utc, Field(strict=False), _TIME_SCHEMA] = TIMES[1]
    household_id: GuidText = ""

    @model_validator(mode="after")
    def _of_something(self) -> ReplayFilter:
        if not self.model_fields_set:
            raise ValueError("names nothing to choose by: everything of a lane is never meant")
        return self


NO_FILTER: Final = ReplayFilter.model_construct()


class ReplaySelection(Body):
    """Which messages are meant: exactly one of the three."""

    model_config = ConfigDict(
        json_schema_extra=_told(minProperties=1, maxProperties=1, examples=[{"filter": {"code": "lane_timeout"}}])
    )

    command_ids: Annotated[
        tuple[Annotated[str, Field(pattern=schema_rules.ID["pattern"])], ...],
        Field(
            min_length=1,
            max_length=100,
            strict=False,
            description="Ids of commands; of messages, where they never decoded.",
        ),
    ] = ()
    group_id: GuidText = ""
    filter: ReplayFilter = NO_FILTER

    @model_validator(mode="after")
    def _one_of(self) -> ReplaySelection:
        if len(self.model_fields_set) != 1:
            raise ValueError("exactly one of commandIds, groupId and filter is required")
        return self


class ReplayEdit(Body):
    """What is sent instead of the original's envelope: one message's, as the contract has it. Whose request it is
    cannot be changed, nor a decision on an approval."""

    envelope: dict[str, Any]


class PostReplay(Body):
    """Which dead-lettered commands to send again, and why. ``rootCause`` and the lane's own name in ``confirmLane`` are
    required where more than one message is meant. The household's members can read the reason."""

    lane: Annotated[Lane, Field(strict=False)]
    select: ReplaySelection
    reason: Annotated[str, Field(min_length=1, max_length=500, pattern=schema_rules.ONE_LINE)]
    root_cause: Annotated[str, Field(min_length=1, max_length=500, pattern=schema_rules.ONE_LINE)] | None = None
    confirm_lane: Annotated[str, Field(max_length=40)] | None = None
    dry_run: bool
    force: bool = False
    rate_per_second: Annotated[int, Field(ge=1, le=HIGHEST_RATE)] = DEFAULT_RATE
    edit: ReplayEdit | None = None


class PostReason(Body):
    """Why an operator does it. Kept in the audit beside the token's subject."""

    reason: Annotated[str, Field(min_length=1, max_length=500), AfterValidator(_printable)]


class PostSweep(Body):
    """Whose sweep, of which night (today's in UTC, where nothing is said; none to come), over how many days."""

    household_id: GuidText
    sweep_date: Annotated[Day, Field(strict=False), WithJsonSchema(schema_rules.DAY)] | None = None
    lookback_days: Annotated[int, Field(ge=LOOKBACK_BOUNDS[0], le=LOOKBACK_BOUNDS[1])] | None = None
    reason: Annotated[str, Field(min_length=1, max_length=500), AfterValidator(_printable)]


class PutMember(Body):
    """A token's subject as a user of one household. A member decides, an ``Ingest`` sends its ``source``'s ingestions
    and nothing else, a viewer reads."""

    household_id: GuidText
    household_user_id: GuidText
    subject: OneLine
    role: Literal["Member", "Ingest", "Viewer"] = "Member"
    source: OneLine | None = None
    reason: Annotated[str, Field(min_length=1, max_length=300), AfterValidator(_printable)]


class PostErasure(Body):
    """A dry run only counts. Otherwise ``confirmHousehold`` is the household's id once more. The reason stays as the
    record, so it names no person."""

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [{"properties": {"dryRun": {"const": True}}}, {"required": ["confirmHousehold"]}],
            "examples": [{"dryRun": True, "reason": "request 4711 of the household"}],
        }
    )

    dry_run: bool
    reason: Annotated[str, Field(min_length=1, max_length=500, pattern=schema_rules.ONE_LINE)]
    confirm_household: Annotated[str, Field(max_length=80)] | None = None


class PostExport(Body):
    """Without ``kind`` it begins; then with the ``nextKind`` and ``nextCursor`` of the page before."""

    reason: Annotated[str, Field(min_length=1, max_length=500, pattern=schema_rules.ONE_LINE)]
    kind: Annotated[HouseholdKind, Field(strict=False)] | None = None
    cursor: Annotated[str, Field(max_length=4000)] = ""


class IngestedTransaction(TransactionLine):
    """One posted transaction. ``amount`` is decimal text such as ``-12.50``, negative = money out; ``currency`` is
    ISO 4217."""

    model_config = ConfigDict(extra="forbid", populate_by_name=False)

    posted_on: Annotated[Day, Field(strict=False), WithJsonSchema(schema_rules.DAY)]
    amount: Annotated[Amount, _AMOUNT_SCHEMA]
    currency: Annotated[Currency, _CURRENCY_SCHEMA]


class PostIngestion(Body):
    """One batch of an account's transactions. ``batchId`` (a GUID, or up to 44 letters, digits, '.', '_', '-') is the
    client's reference: the same batch again is the same command. Only an ``Idempotency-Key`` can stand for it."""

    batch_id: BatchReference = MAY_BE_KEY
    source: OneLine
    account_id: OneLine
    transactions: Annotated[
        list[IngestedTransaction], Field(min_length=1, max_length=INLINE_TRANSACTIONS), BeforeValidator(_not_too_many)
    ]


class IngestionQuery(BaseModel):
    """The same for a batch as JSON Lines, whose body has room for transactions only."""

    model_config = ConfigDict(alias_generator=to_camel, frozen=True, str_strip_whitespace=True)

    batch_id: BatchReference = MAY_BE_KEY
    source: OneLine
    account_id: OneLine


class ErrorDetail(BaseModel):
    """A field and what is wrong with it; never its value."""

    field: str
    issue: str


class Problem(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, serialize_by_alias=True)

    code: str
    message: str
    trace_id: Annotated[str, Field(pattern="^[0-9a-f]{32}$", description="Find the request in logs and traces by it.")]
    details: list[ErrorDetail]


class ErrorAnswer(BaseModel):
    error: Problem


class ProblemDetails(BaseModel):
    """An error as RFC 9457 has it, for who prefers `application/problem+json`."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, serialize_by_alias=True)

    type: Annotated[
        str, Field(json_schema_extra={"format": "uri-reference"}, description="By the code; where it is described.")
    ]
    title: Annotated[str, Field(description="What the code means.")]
    status: Annotated[int, Field(ge=400, le=599)]
    detail: Annotated[str, Field(description="What was wrong with this request.")]
    code: str
    trace_id: Annotated[str, Field(pattern="^[0-9a-f]{32}$", description="Find the request in logs and traces by it.")]
    errors: Annotated[list[ErrorDetail], Field(description="The same as `details` of the other shape.")]
