"""The route table: the one source of truth for what the API answers where, to whom, and with which errors. The
functions and the OpenAPI document are both made from it."""

from __future__ import annotations

from typing import Final

from mosaic_core.domain.lanes import Lane
from mosaic_core.domain.lifecycle import ApprovalStatus, RunStatus, Severity
from mosaic_core.domain.membership import Right
from mosaic_core.domain.replay import ReplayState
from mosaic_core.entrypoints.http import controls, handlers, household_routes, operators, replay_routes, schema_rules
from mosaic_core.entrypoints.http.bodies import (
    IngestedTransaction,
    IngestionQuery,
    PostApproval,
    PostErasure,
    PostExport,
    PostIngestion,
    PostMessage,
    PostReason,
    PostReplay,
    PostResolution,
    PostSweep,
    PutMember,
)
from mosaic_core.entrypoints.http.call import Access, Parameter, Route
from mosaic_core.entrypoints.http.paging import LARGEST_PAGE, PAGE
from mosaic_core.entrypoints.http.schema_rules import TIME
from mosaic_core.services.approval_pages import LARGEST_PAGE as APPROVALS
from mosaic_core.services.households.household_views import HouseholdErasure, HouseholdPage
from mosaic_core.services.operators.operator_views import (
    CancelledCommand,
    ChangedLane,
    ChangedMember,
    Lanes,
    Members,
    OperatorApprovals,
    OperatorRunDetail,
    OperatorRuns,
    OperatorSignals,
    ResolvedSignal,
    Trace,
)
from mosaic_core.services.operators.review_queue import Shown
from mosaic_core.services.read_models import STREAM_RUNS
from mosaic_core.services.replay.replay_views import DeadLetterGroups, DeadLetters, ReplayPlan, Replays, ReplayView
from mosaic_core.services.views import Accepted, ApprovalList, CommandDetail, ConversationStream, Health, RunDetail
from mosaic_core.services.waiting import MAX_WAIT_SECONDS

_WHICH_CODE: Final = f"Version, commit and package digest for the role `{handlers.OPERATOR_READ}` only."
_ENQUEUE_ERRORS: Final = (
    "client_reference_conflict",
    "command_rejected",
    "idempotency_key_reused",
    "queue_unavailable",
    "quota_exceeded",
)

_LANE: Final = Parameter("lane", "Only of this lane.", {"type": "string", "enum": [str(lane) for lane in Lane]})
_HOUSEHOLD: Final = Parameter("householdId", "Only of this household.", schema_rules.GUID)


def paging(default: int = PAGE, most: int = LARGEST_PAGE) -> tuple[Parameter, ...]:
    """The query of a list that is told page by page."""
    return (
        Parameter(
            "limit",
            f"How many at most; {default} where nothing is said.",
            {"type": "integer", "minimum": 1, "maximum": most},
        ),
        Parameter("cursor", "`nextCursor` of the page before.", schema_rules.CURSOR),
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
        summary="A conversation's newest runs",
        description=(
            "404 until the conversation's first message is posted. A page looks at 200 listed commands at most; where "
            f"few of them match it is short, and `nextCursor` goes on. {_WAITS} With `sinceUtc` and without "
            "`If-None-Match`, runs that were modified since are a change already."
        ),
        handler=handlers.get_stream,
        right=Right.READ,
        query=(
            Parameter(
                "sinceUtc",
                "Only runs modified at or after this time (1970 to 9998; taken without seconds, and with a zone such "
                "as +0100, as well).",
                TIME,
            ),
            *paging(STREAM_RUNS, STREAM_RUNS),
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
            *paging(APPROVALS, APPROVALS),
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
            *paging(),
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
            Parameter("code", "Only this signal code.", schema_rules.CODE),
            Parameter("severity", "Only of this severity.", {"type": "string", "enum": [str(s) for s in Severity]}),
            _HOUSEHOLD,
            Parameter("sinceUtc", "Only those raised at or after this time.", TIME),
            *paging(),
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
            Parameter("householdId", "Whose.", schema_rules.GUID, required=True),
            Parameter(
                "status", "Only those in this state now.", {"type": "string", "enum": [str(s) for s in ApprovalStatus]}
            ),
            *paging(APPROVALS, APPROVALS),
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
        name="ops_list_dead_letters",
        method="GET",
        path="/ops/dead-letters",
        summary="Dead letters, looked at and not received",
        description=(
            "Lane by lane, the oldest of each first; a page looks at 2,000 at most. Nothing of a household's "
            "content is shown."
        ),
        handler=replay_routes.list_dead_letters,
        access=Access.TOKEN,
        role=handlers.OPERATOR_READ,
        answer=DeadLetters,
        query=(
            _LANE,
            Parameter("code", "Only with this failure code.", schema_rules.REASON),
            Parameter("reason", "Only with this reason of the dead letter.", schema_rules.REASON),
            Parameter("id", "Only what this id names: a message, command, run or correlation id.", schema_rules.ID),
            paging()[0],
            Parameter("cursor", "`nextCursor` of the page before.", schema_rules.LETTER_CURSOR),
        ),
        errors=("queue_unavailable",),
    ),
    Route(
        name="ops_list_dead_letter_groups",
        method="GET",
        path="/ops/dead-letters/groups",
        summary="Dead letters by lane, reason, code and exception type",
        description="Of each queue 20,000 are looked at at most.",
        handler=replay_routes.list_groups,
        access=Access.TOKEN,
        role=handlers.OPERATOR_READ,
        answer=DeadLetterGroups,
        query=(_LANE,),
        errors=("queue_unavailable",),
    ),
    Route(
        name="ops_post_replay",
        method="POST",
        path="/ops/replays",
        summary="Replay dead-lettered commands",
        description=(
            "A dry run answers 200 with what would happen, and writes nothing. Otherwise what is meant is written "
            "down, and sent only while somebody asks the operation to advance. A command that runs, has succeeded or "
            "was replayed before is refused; `force` overrides the first and the last."
        ),
        handler=replay_routes.post_replay,
        access=Access.TOKEN,
        role=handlers.OPERATOR_REPLAY,
        answer=ReplayView,
        status=202,
        also={200: ReplayPlan},
        location="The operation.",
        body=PostReplay,
        errors=("not_found", "queue_unavailable"),
    ),
    Route(
        name="ops_list_replays",
        method="GET",
        path="/ops/replays",
        summary="Replay operations, newest first",
        description="A page looks at 200 at most.",
        handler=replay_routes.list_replays,
        access=Access.TOKEN,
        role=handlers.OPERATOR_READ,
        answer=Replays,
        query=(
            Parameter("state", "Only those in this state.", {"type": "string", "enum": [str(s) for s in ReplayState]}),
            *paging(),
        ),
    ),
    Route(
        name="ops_get_replay",
        method="GET",
        path="/ops/replays/{replayId}",
        summary="One replay operation",
        handler=replay_routes.get_replay,
        access=Access.TOKEN,
        role=handlers.OPERATOR_READ,
        answer=ReplayView,
        errors=("not_found",),
    ),
    Route(
        name="ops_advance_replay",
        method="POST",
        path="/ops/replays/{replayId}/advance",
        summary="Drive a replay for up to 20 seconds",
        description=(
            "Does a bounded piece, at the operation's rate, and answers where it is; ask again until it is completed. "
            "One that runs no more, or that somebody else drives now, is answered as it is."
        ),
        handler=replay_routes.advance_replay,
        access=Access.TOKEN,
        role=handlers.OPERATOR_REPLAY,
        answer=ReplayView,
        errors=("not_found", "queue_unavailable", "stored_row_invalid"),
    ),
    Route(
        name="ops_abort_replay",
        method="POST",
        path="/ops/replays/{replayId}/abort",
        summary="Stop a replay",
        description="No batch begins any more; what was sent stays sent.",
        handler=replay_routes.abort_replay,
        access=Access.TOKEN,
        role=handlers.OPERATOR_REPLAY,
        answer=ReplayView,
        errors=("not_found",),
    ),
    Route(
        name="ops_resume_replay",
        method="POST",
        path="/ops/replays/{replayId}/resume",
        summary="Let an aborted replay go on",
        handler=replay_routes.resume_replay,
        access=Access.TOKEN,
        role=handlers.OPERATOR_REPLAY,
        answer=ReplayView,
        errors=("not_found",),
    ),
    Route(
        name="ops_cancel_command",
        method="POST",
        path="/ops/commands/{commandId}/cancel",
        summary="End a command that waits or runs",
        description=(
            "It ends as NeedsReview, final, `cancelled_by_operator`; its pending approvals and open signals are "
            "closed, and its message, when it comes, is a dead letter without work. One whose effects are being "
            "written goes on to its end: 409 tells to which. The first word stands, and the same again is harmless."
        ),
        handler=controls.cancel_command,
        access=Access.TOKEN,
        role=handlers.OPERATOR_REPLAY,
        body=PostReason,
        answer=CancelledCommand,
        also={202: CancelledCommand},
        errors=("not_found", "command_already_ended", "command_already_cancelled", "stored_row_invalid"),
    ),
    Route(
        name="ops_post_sweep",
        method="POST",
        path="/ops/sweeps",
        summary="Ask for a household's sweep of one night",
        description=(
            "Beside the timer that asks for everybody's. A night has one sweep: the same again is the same command, "
            "and the timer then adds none. Who asked, and why, is kept."
        ),
        handler=controls.post_sweep,
        access=Access.TOKEN,
        role=controls.OPERATOR_ADMIN,
        body=PostSweep,
        answer=Accepted,
        status=202,
        location="The run that the sweep will have.",
        errors=("client_reference_conflict", "command_rejected", "queue_unavailable"),
    ),
    Route(
        name="ops_list_members",
        method="GET",
        path="/ops/members",
        summary="A household's members",
        description="Removed ones as well. One that was written to the table by hand is listed once it is put here.",
        handler=controls.list_members,
        access=Access.TOKEN,
        role=controls.OPERATOR_ADMIN,
        query=(Parameter("householdId", "Whose.", schema_rules.GUID, required=True),),
        answer=Members,
    ),
    Route(
        name="ops_put_member",
        method="PUT",
        path="/ops/members",
        summary="Let a token's subject in, or change what it may",
        description="The same again changes nothing. One that was removed is active again.",
        handler=controls.put_member,
        access=Access.TOKEN,
        role=controls.OPERATOR_ADMIN,
        body=PutMember,
        answer=ChangedMember,
        errors=("last_member", "member_elsewhere", "member_source_invalid"),
    ),
    Route(
        name="ops_remove_member",
        method="DELETE",
        path="/ops/members",
        summary="End a membership",
        description="It opens nothing any more, and stays on the list as `removed`.",
        handler=controls.remove_member,
        access=Access.TOKEN,
        role=controls.OPERATOR_ADMIN,
        query=(
            Parameter("householdId", "Of which household.", schema_rules.GUID, required=True),
            Parameter("householdUserId", "As which user.", schema_rules.GUID, required=True),
            Parameter("subject", "Whose: the token's subject.", schema_rules.LINE, required=True),
            Parameter("reason", "Why. Kept in the audit.", schema_rules.LINE, required=True),
        ),
        answer=ChangedMember,
        errors=("last_member", "not_found"),
    ),
    Route(
        name="ops_pause_lane",
        method="POST",
        path="/ops/lanes/{lane}/pause",
        summary="Hold a lane",
        description=(
            "Its messages are put off, uncounted, until somebody resumes it; what is at work goes on to its end. "
            "Workers follow within seconds. What is paused stays as its first word has it."
        ),
        handler=controls.pause_lane,
        access=Access.TOKEN,
        role=controls.OPERATOR_ADMIN,
        body=PostReason,
        answer=ChangedLane,
    ),
    Route(
        name="ops_resume_lane",
        method="POST",
        path="/ops/lanes/{lane}/resume",
        summary="Let a lane go on",
        description="What waited is worked on within about a minute, in the order in which it falls due.",
        handler=controls.resume_lane,
        access=Access.TOKEN,
        role=controls.OPERATOR_ADMIN,
        body=PostReason,
        answer=ChangedLane,
    ),
    Route(
        name="ops_erase_household",
        method="POST",
        path="/ops/households/{householdId}/erase",
        summary="Remove what is held of a household, a bounded piece a request",
        description=(
            "A dry run counts and changes nothing. Otherwise repeat the request until it is `completed`: it goes on "
            "where the last one ended, whoever asked. Memberships go first, so nothing new is accepted; then it is "
            "`waiting` until what is at work has ended. What stays is said."
        ),
        handler=household_routes.erase_household,
        access=Access.TOKEN,
        role=household_routes.OPERATOR_ADMIN,
        body=PostErasure,
        answer=HouseholdErasure,
        errors=("queue_unavailable", "stored_row_invalid"),
    ),
    Route(
        name="ops_export_household",
        method="POST",
        path="/ops/households/{householdId}/export",
        summary="What is held of a household, a page a request",
        description="Everything, as it is stored, kind by kind; nothing of another household's. Who asked is kept.",
        handler=household_routes.export_household,
        access=Access.TOKEN,
        role=household_routes.OPERATOR_ADMIN,
        body=PostExport,
        answer=HouseholdPage,
        errors=("queue_unavailable",),
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
