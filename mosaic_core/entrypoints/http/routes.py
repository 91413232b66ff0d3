"""The route table: the one source of truth for what the API answers where, to whom, and with which errors. The
functions and the OpenAPI document are both made from it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import azure.functions as func
from pydantic import BaseModel

from mosaic_core.domain.lanes import Lane
from mosaic_core.domain.lifecycle import ApprovalStatus, RunStatus, Severity
from mosaic_core.domain.membership import Right
from mosaic_core.entrypoints.http import handlers, operators, rules
from mosaic_core.entrypoints.http.bodies import (
    IngestedTransaction,
    IngestionQuery,
    PostApproval,
    PostIngestion,
    PostMessage,
    PostResolution,
)
from mosaic_core.entrypoints.http.call import Access, Call
from mosaic_core.entrypoints.http.rules import TIME
from mosaic_core.services.operators.signals import Shown
from mosaic_core.services.operators.views import (
    Lanes,
    OperatorApprovals,
    OperatorRunDetail,
    OperatorRuns,
    OperatorSignals,
    ResolvedSignal,
    Trace,
)
from mosaic_core.services.views import Accepted, ApprovalList, CommandDetail, ConversationStream, Health, RunDetail
from mosaic_core.services.waiting import MAX_WAIT_SECONDS

PREFIX: Final = "v1/agent"
"""Of every route; the platform puts host.json's ``routePrefix`` (``api``) before it."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of the query. ``schema`` is its JSON schema."""

    name: str
    description: str
    schema: Mapping[str, Any]
    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """``path`` goes below `PREFIX`; its ``{parameters}`` are GUIDs, ``{id}`` any id. ``also`` are answers besides the
    success that are no errors. ``more_for`` is a role that is shown more by a route for anybody. ``lines`` are the
    items of a body as JSON Lines, which then takes ``lines_query`` from the query. ``errors`` are the codes that only
    this route has (`codes` adds those that follow from the rest). ``right`` is what the membership has to allow,
    ``role`` what the token has to carry. ``tagged`` answers carry an ETag, and 304 to who has seen just that."""

    name: str
    method: Literal["GET", "POST", "PUT", "DELETE"]
    path: str
    summary: str
    handler: Callable[[Call], Awaitable[func.HttpResponse]]
    answer: type[BaseModel] | None
    description: str = ""
    access: Access = Access.MEMBER
    right: Right | None = None
    role: str | None = None
    more_for: str | None = None
    status: int = 200
    also: Mapping[int, type[BaseModel]] = field(default_factory=dict)
    location: str = ""
    body: type[BaseModel] | None = None
    lines: type[BaseModel] | None = None
    lines_query: type[BaseModel] | None = None
    query: tuple[Parameter, ...] = ()
    errors: tuple[str, ...] = ()
    tagged: bool = False

    @property
    def route(self) -> str:
        """As the platform's HTTP trigger takes it."""
        return f"{PREFIX}{self.path}"

    @property
    def codes(self) -> list[str]:
        """Every error code that this route may answer with."""
        codes = {"internal_error", *self.errors}
        if self.access != Access.ANYBODY:
            codes |= {"member_context_required", "member_context_invalid", "identity_unavailable", "store_unavailable"}
        if self.access == Access.MEMBER:
            codes |= {"member_context_ambiguous", "membership_access_denied"}
        if self.role or self.right:
            codes.add("role_required")
        if self.body:
            codes |= {"validation_failed", "payload_too_large", "unsupported_media_type"}
        if "{" in self.path or self.query:
            codes.add("validation_failed")
        return sorted(codes)


_WHICH_CODE: Final = f"Version, commit and package digest for the role `{handlers.OPERATOR_READ}` only."
_ENQUEUE_ERRORS: Final = ("client_reference_conflict", "command_rejected", "queue_unavailable", "quota_exceeded")

_LANE: Final = Parameter("lane", "Only of this lane.", {"type": "string", "enum": [str(lane) for lane in Lane]})
_HOUSEHOLD: Final = Parameter("householdId", "Only of this household.", rules.GUID)
_PAGING: Final = (
    Parameter(
        "limit",
        f"How many at most; {operators.PAGE} where nothing is said.",
        {"type": "integer", "minimum": 1, "maximum": operators.LARGEST_PAGE},
    ),
    Parameter("cursor", "`nextCursor` of the page before.", rules.CURSOR),
)

_WAIT: Final = Parameter(
    "waitSeconds",
    "How long to wait for a change; the answer comes at the change, or with what there is when the time is over.",
    {"type": "integer", "minimum": 0, "maximum": MAX_WAIT_SECONDS, "default": 0},
)
_WAITS: Final = (
    "With `waitSeconds` the answer comes once it is other than the one whose `ETag` is sent as `If-None-Match`; "
    "without that header, once anything changes from now on. Where too many wait already the answer comes at once, "
    "with `Retry-After`."
)

ROUTES: Final[tuple[Route, ...]] = (
    Route(
        name="post_message",
        method="POST",
        path="/conversations/{conversationId}/messages",
        summary="Post a message to the household's agent",
        description=(
            "202 means that the command is recorded and that the queue has acknowledged it. Repeated with the same "
            "`clientMessageId` it is the same command, with the same answer; 409 `command_rejected` where that command "
            "was rejected meanwhile."
        ),
        handler=handlers.post_message,
        right=Right.ASK,
        body=PostMessage,
        answer=Accepted,
        status=202,
        location="The conversation's stream.",
        errors=_ENQUEUE_ERRORS,
    ),
    Route(
        name="post_approval",
        method="POST",
        path="/conversations/{conversationId}/approvals/{approvalId}",
        summary="Decide a pending approval",
        description="The worker applies the decision: the first one stands, the same again is harmless.",
        handler=handlers.post_approval,
        right=Right.DECIDE,
        body=PostApproval,
        answer=Accepted,
        status=202,
        location="The conversation's stream.",
        errors=(*_ENQUEUE_ERRORS, "not_found"),
    ),
    Route(
        name="get_stream",
        method="GET",
        path="/conversations/{conversationId}/stream",
        summary="A conversation's newest 50 runs",
        description=(
            f"404 until the conversation's first message is posted. {_WAITS} With `sinceUtc` and without "
            "`If-None-Match`, runs that were modified since are a change already."
        ),
        handler=handlers.get_stream,
        right=Right.READ,
        query=(
            Parameter(
                "sinceUtc",
                "Only runs modified at or after this time (1970 to 9998; taken without seconds, and with a zone such "
                "as +0100, as well); of the newest 200 commands of the conversation.",
                TIME,
            ),
            _WAIT,
        ),
        answer=ConversationStream,
        errors=("not_found",),
        tagged=True,
    ),
    Route(
        name="get_run",
        method="GET",
        path="/runs/{runId}",
        summary="One run: its stages, signals, decisions",
        description="404 until a worker has begun it.",
        handler=handlers.get_run,
        right=Right.READ,
        answer=RunDetail,
        errors=("not_found",),
    ),
    Route(
        name="list_approvals",
        method="GET",
        path="/approvals",
        summary="The household's approvals",
        description=_WAITS,
        handler=handlers.list_approvals,
        right=Right.READ,
        query=(
            Parameter(
                "status", "Only those in this state now.", {"type": "string", "enum": [str(s) for s in ApprovalStatus]}
            ),
            _WAIT,
        ),
        answer=ApprovalList,
        tagged=True,
    ),
    Route(
        name="post_ingestion",
        method="POST",
        path="/households/{householdId}/ingestions",
        summary="Ingest one batch of an account's transactions",
        description=(
            "As JSON with 1 to 500 transactions, or as JSON Lines (one transaction a line) with the batch's fields in "
            "the query; at most 20 MiB and 100,000 transactions. The batch id is the client's reference."
        ),
        handler=handlers.post_ingestion,
        access=Access.HOUSEHOLD,
        right=Right.INGEST,
        role="Mosaic.Ingest",
        body=PostIngestion,
        lines=IngestedTransaction,
        lines_query=IngestionQuery,
        answer=Accepted,
        status=202,
        location="The run that the batch will have.",
        errors=(*_ENQUEUE_ERRORS, "membership_access_denied", "not_found"),
    ),
    Route(
        name="get_command",
        method="GET",
        path="/ops/commands/{commandId}",
        summary="A recorded command of any household, for operators",
        description=(
            "Who recorded it, for whom and when; what was sent where a producer sent it past the API. What a member "
            "said is not shown. Who looked is logged."
        ),
        handler=operators.get_command,
        access=Access.TOKEN,
        role=handlers.OPERATOR_READ,
        answer=CommandDetail,
        errors=("not_found",),
    ),
    Route(
        name="ops_list_lanes",
        method="GET",
        path="/ops/lanes",
        summary="How the lanes are, by their newest commands and open signals",
        description="As the tables see them; how many messages wait, the queues know.",
        handler=operators.list_lanes,
        access=Access.TOKEN,
        role=handlers.OPERATOR_READ,
        answer=Lanes,
    ),
    Route(
        name="ops_list_runs",
        method="GET",
        path="/ops/runs",
        summary="Runs of any household, newest command first",
        description=(
            "A page looks at 200 listed commands at most; where few of them match it is short, and `nextCursor` goes "
            "on. A command that no worker has begun has no run."
        ),
        handler=operators.list_runs,
        access=Access.TOKEN,
        role=handlers.OPERATOR_READ,
        query=(
            Parameter(
                "status",
                "Only those in this state now. `NeedsReview` without a household is in the order of the signals that "
                "asked for a person.",
                {"type": "string", "enum": [str(s) for s in RunStatus]},
            ),
            _LANE,
            _HOUSEHOLD,
            Parameter(
                "sinceUtc", "Only commands recorded (of `NeedsReview`: signals raised) at or after this time.", TIME
            ),
            *_PAGING,
        ),
        answer=OperatorRuns,
    ),
    Route(
        name="ops_get_run",
        method="GET",
        path="/ops/runs/{runId}",
        summary="One run of any household, with the state of its key",
        description="Its stages, signals and decisions, by ids and codes.",
        handler=operators.get_run,
        access=Access.TOKEN,
        role=handlers.OPERATOR_READ,
        answer=OperatorRunDetail,
        errors=("not_found", "stored_row_invalid"),
    ),
    Route(
        name="ops_list_signals",
        method="GET",
        path="/ops/signals",
        summary="What asks for a person, of every household, newest first",
        handler=operators.list_signals,
        access=Access.TOKEN,
        role=handlers.OPERATOR_READ,
        query=(
            Parameter(
                "state",
                "`open` (which is the default), or `all` with those that are resolved.",
                {"type": "string", "enum": [str(s) for s in Shown]},
            ),
            _LANE,
            Parameter("code", "Only this signal code.", rules.CODE),
            Parameter("severity", "Only of this severity.", {"type": "string", "enum": [str(s) for s in Severity]}),
            _HOUSEHOLD,
            Parameter("sinceUtc", "Only those raised at or after this time.", TIME),
            *_PAGING,
        ),
        answer=OperatorSignals,
    ),
    Route(
        name="ops_resolve_signal",
        method="POST",
        path="/ops/signals/{signalId}/resolve",
        summary="Say why a signal needs nobody any more",
        description=(
            "The token's subject and the note are kept with it. The same again is harmless; where somebody resolved it "
            "with another word, that stands. A command that fails again afterwards opens its signal again."
        ),
        handler=operators.resolve_signal,
        access=Access.TOKEN,
        role=handlers.OPERATOR_REPLAY,
        body=PostResolution,
        answer=ResolvedSignal,
        errors=("not_found", "signal_already_resolved"),
    ),
    Route(
        name="ops_list_approvals",
        method="GET",
        path="/ops/approvals",
        summary="A household's approvals, without what they are about",
        handler=operators.list_approvals,
        access=Access.TOKEN,
        role=handlers.OPERATOR_READ,
        query=(
            Parameter("householdId", "Whose.", rules.GUID, required=True),
            Parameter(
                "status", "Only those in this state now.", {"type": "string", "enum": [str(s) for s in ApprovalStatus]}
            ),
        ),
        answer=OperatorApprovals,
    ),
    Route(
        name="ops_get_trace",
        method="GET",
        path="/ops/trace/{id}",
        summary="From any id to one command's story",
        description=(
            "Of a message, command, run, signal or correlation id. A correlation id that names no command is looked "
            "for among the newest 200 commands. What is missing is said."
        ),
        handler=operators.get_trace,
        access=Access.TOKEN,
        role=handlers.OPERATOR_READ,
        answer=Trace,
        errors=("not_found",),
    ),
    Route(
        name="health_live",
        method="GET",
        path="/health/live",
        summary="Whether this instance lives",
        description=_WHICH_CODE,
        handler=handlers.health_live,
        access=Access.ANYBODY,
        more_for=handlers.OPERATOR_READ,
        answer=Health,
    ),
    Route(
        name="health_ready",
        method="GET",
        path="/health/ready",
        summary="Whether what this instance builds on answers",
        description=_WHICH_CODE,
        handler=handlers.health_ready,
        access=Access.ANYBODY,
        more_for=handlers.OPERATOR_READ,
        answer=Health,
        also={503: Health},
    ),
    Route(
        name="openapi",
        method="GET",
        path="/openapi.json",
        summary="This document",
        handler=handlers.openapi,
        access=Access.ANYBODY,
        answer=None,
    ),
    Route(
        name="asyncapi",
        method="GET",
        path="/asyncapi.json",
        summary="The AsyncAPI document of the queues and the hub",
        handler=handlers.asyncapi,
        access=Access.ANYBODY,
        answer=None,
    ),
)
