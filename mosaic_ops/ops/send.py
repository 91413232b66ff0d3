"""What asks the system to work: `send message`, `send approval`, `send ingestion` through the public API and as a
member, as the household's own front end and its producers do; `send sweep` as an operator."""

from __future__ import annotations

import json as json_module
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from time import monotonic, sleep
from typing import Annotated, Final

import typer

from mosaic_core.domain import ids
from mosaic_core.domain.lifecycle import RunStatus
from mosaic_ops.ops import show
from mosaic_ops.ops.api import Api, Json
from mosaic_ops.ops.errors import OpsError, UnreachableError, UsageError
from mosaic_ops.ops.here import Here, JsonOption, app
from mosaic_ops.ops.steering import said
from mosaic_ops.ops.words import guid

INGEST: Final = "Mosaic.Ingest"
_AGAIN_SECONDS: Final = 0.5
_UNANSWERED: Final = 5
"""Times in a row that the app may not answer before waiting for a run gives up."""

send = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help=(
        "Ask for work, as a member: on the embedded stack as any user of its issuer (--as), on a deployment as whoever "
        "the token names. With --wait exit 0: it ended Completed; 1: NeedsReview, Rejected, or not yet at its end."
    ),
)
app.add_typer(send, name="send")


class Decision(StrEnum):
    APPROVE = "Approve"
    REJECT = "Reject"


ConversationOption = Annotated[str, typer.Option("--conversation", metavar="ID", help="In which conversation.")]
AsOption = Annotated[
    str | None, typer.Option("--as", metavar="USER", help="On the embedded stack: whose token; alice where nobody is.")
]
ClientOption = Annotated[
    str | None, typer.Option("--client-id", help="Your own reference: the same one again is the same command.")
]
WaitOption = Annotated[bool, typer.Option("--wait", help="Follow it to its end; how it goes is told on stderr.")]
TimeoutOption = Annotated[float, typer.Option(min=0, metavar="SECONDS", help="How long --wait waits.")]
PrintIdOption = Annotated[
    bool, typer.Option("--print-id", help="The command's id alone on stdout, everything else on stderr.")
]


@dataclass(frozen=True, slots=True)
class Telling:
    """What becomes of a command that was accepted, and how it is told."""

    wait: bool
    timeout: float
    print_id: bool
    json: bool

    def __post_init__(self) -> None:
        if self.print_id and self.json:
            raise typer.BadParameter("is instead of --json", param_hint="--print-id")

    def end(self, accepted: Json, read: Callable[[str], Json]) -> None:
        """``read`` gives a run by its id, and raises `OpsError` ``not_found`` where it has not begun. Raises `OpsError`
        where it was waited for and did not end Completed."""
        command_id = accepted["commandId"]
        if self.print_id:
            print(command_id, flush=True)
        show.aside(f"accepted: command {command_id}, {accepted['commandType']}")
        run = self._followed(accepted, read) if self.wait else None
        if self.json:
            show.as_json({**accepted, "run": run})
        elif not self.print_id:
            _table(accepted, run)
        if not self.wait:
            return
        if run is None or not run["isFinal"]:
            raise OpsError(f"it has not ended within {self.timeout:g} s: ./mosaic ops next {command_id}")
        if run["status"] != RunStatus.COMPLETED:
            code = f", {run['failureCode']}" if run["failureCode"] else ""
            raise OpsError(f"it ended {run['status']}{code}: ./mosaic ops next {command_id}")

    def _followed(self, accepted: Json, read: Callable[[str], Json]) -> Json | None:
        """The run at its end, or as it was when the time was over; None: it has not begun."""
        run_id = ids.run_id(accepted["queue"], accepted["commandId"])
        deadline, told, unanswered = monotonic() + self.timeout, "", 0
        run: Json | None = None
        while True:
            try:
                run, unanswered = read(run_id), 0
            except UnreachableError as error:
                unanswered += 1
                if unanswered == _UNANSWERED:
                    raise UnreachableError(
                        f"{error}; it was accepted and goes on: ./mosaic ops next {accepted['commandId']}"
                    ) from None
            except OpsError as error:
                if error.api_code != "not_found":
                    raise
            now = _progress(run)
            if now != told:
                show.aside(now)
                told = now
            if (run is not None and run["isFinal"]) or monotonic() >= deadline:
                return run
            sleep(_AGAIN_SECONDS)


@send.command(
    epilog='Example: COMMAND=$(./mosaic ops send message "What did we spend on groceries?" '
    "--conversation c0000000000000000000000000000001 --wait --print-id)"
)
def message(
    ctx: typer.Context,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What to ask; `--` before one that begins with a dash.")],
    conversation: ConversationOption,
    note: Annotated[str | None, typer.Option(help="The user's note beside it.")] = None,
    client_id: ClientOption = None,
    as_user: AsOption = None,
    wait: WaitOption = False,
    timeout: TimeoutOption = 300.0,
    print_id: PrintIdOption = False,
    json: JsonOption = False,
) -> None:
    """Ask the household's agent something."""
    telling = Telling(wait, timeout, print_id, json)
    path = f"/conversations/{guid(conversation, '--conversation')}/messages"
    api = _as(ctx.obj, as_user)
    body = _given(message=text, userNote=note, clientMessageId=client_id)
    telling.end(api.post(path, body), _of_member(api))


@send.command(
    epilog="Example: ./mosaic ops send approval 7e1d… --conversation c0000000000000000000000000000001 "
    '--decision Approve --rationale "the rent" --wait'
)
def approval(
    ctx: typer.Context,
    approval_id: Annotated[str, typer.Argument(metavar="APPROVAL", help="The approval's id.")],
    conversation: ConversationOption,
    decision: Annotated[Decision, typer.Option(help="The member's word. There is no default.")],
    rationale: Annotated[str | None, typer.Option(help="Why.")] = None,
    client_id: ClientOption = None,
    as_user: AsOption = None,
    wait: WaitOption = False,
    timeout: TimeoutOption = 300.0,
    print_id: PrintIdOption = False,
    json: JsonOption = False,
) -> None:
    """Decide what waits for a person, as a member. Operators decide nothing."""
    telling = Telling(wait, timeout, print_id, json)
    path = f"/conversations/{guid(conversation, '--conversation')}/approvals/{guid(approval_id, 'APPROVAL')}"
    api = _as(ctx.obj, as_user)
    body = _given(decision=decision.value, rationale=rationale, clientApprovalId=client_id)
    telling.end(api.post(path, body), _of_member(api))


@send.command(
    epilog="Example: ./mosaic ops send ingestion october.jsonl --household a11ce000000000000000000000000001 "
    "--batch-id october --source my-bank --account-id checking --wait"
)
def ingestion(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="JSON as the API takes it, or JSON Lines.")],
    household: Annotated[str, typer.Option("--household", metavar="ID", help="Whose.")],
    batch_id: Annotated[
        str | None, typer.Option(help="The batch's reference, instead of the file's: the same again is the same one.")
    ] = None,
    source: Annotated[str | None, typer.Option(help="Where it comes from, instead of the file's.")] = None,
    account_id: Annotated[str | None, typer.Option(help="Whose movements they are, instead of the file's.")] = None,
    as_user: AsOption = None,
    wait: WaitOption = False,
    timeout: TimeoutOption = 300.0,
    print_id: PrintIdOption = False,
    json: JsonOption = False,
) -> None:
    """Load a batch of transactions, as a producer (role Mosaic.Ingest). JSON Lines have the batch's fields as
    options."""
    telling = Telling(wait, timeout, print_id, json)
    path = f"/households/{guid(household, '--household')}/ingestions"
    head = _given(batchId=batch_id, source=source, accountId=account_id)
    here: Here = ctx.obj
    data = _read(file)
    document = _document(data)
    api = _as(here, as_user, INGEST)
    if document is None:
        accepted = api.post_lines(path, data, **head)
    else:
        # as it is, where nothing of it is replaced: a copy may read what the API would have refused
        accepted = api.post(path, {**document, **head}) if head else api.post_document(path, data)
    telling.end(accepted, _of_member_or_operator(here, api))


@send.command(
    epilog="Example: ./mosaic ops send sweep --household a11ce000000000000000000000000001 --date 2026-10-31 "
    '--reason "its rows came late" --wait'
)
def sweep(
    ctx: typer.Context,
    household: Annotated[str, typer.Option("--household", metavar="ID", help="Whose.")],
    reason: Annotated[str, typer.Option(help="Why. It is kept beside your name.")],
    date: Annotated[
        str | None, typer.Option(metavar="YYYY-MM-DD", help="Which night's; today's, in UTC, where nothing is said.")
    ] = None,
    lookback_days: Annotated[int | None, typer.Option(min=7, max=730, help="How far it looks back.")] = None,
    wait: WaitOption = False,
    timeout: TimeoutOption = 300.0,
    print_id: PrintIdOption = False,
    json: JsonOption = False,
) -> None:
    """Ask for a household's sweep of one night, as an operator (role Mosaic.Operator.Admin). A night has one: the same
    again is the same command."""
    telling = Telling(wait, timeout, print_id, json)
    here: Here = ctx.obj
    body = _given(
        householdId=guid(household, "--household"), sweepDate=date, lookbackDays=lookback_days, reason=said(reason)
    )
    telling.end(here.api.post("/ops/sweeps", body), of_operator(here))


def _as(here: Here, user: str | None, *roles: str) -> Api:
    return Api(here.target, here.target.member_token(user, *roles))


def _given(**said: object) -> Json:
    return {name: value for name, value in said.items() if value is not None}


def _of_member(api: Api) -> Callable[[str], Json]:
    def read(run_id: str) -> Json:
        run: Json = api.get(f"/runs/{run_id}")["run"]
        return run

    return read


def _of_member_or_operator(here: Here, api: Api) -> Callable[[str], Json]:
    """A producer's membership reads nothing: its runs are then read as the operator."""

    def read(run_id: str) -> Json:
        try:
            return _of_member(api)(run_id)
        except UsageError as error:
            if error.api_code != "role_required":
                raise
        return of_operator(here)(run_id)

    return read


def of_operator(here: Here) -> Callable[[str], Json]:
    def read(run_id: str) -> Json:
        run: Json = here.api.get(f"/ops/runs/{run_id}")["run"]
        return run

    return read


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise UsageError(f"{file} cannot be read ({error.strerror or type(error).__name__})") from None


def _document(data: bytes) -> Json | None:
    """One JSON object with transactions; None: it is lines, each for itself."""
    try:
        found = json_module.loads(data)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and "transactions" in found else None


def _progress(run: Json | None) -> str:
    if run is None:
        return "waits for a worker"
    due = run["nextAttemptAtUtc"]
    later = f", next at {due}" if due and not run["isFinal"] else ""
    return f"{run['status']}, attempt {run['attempt']}{later}" + (", at its end" if run["isFinal"] else "")


def _table(accepted: Json, run: Json | None) -> None:
    show.fields(
        [
            ("command", accepted["commandId"]),
            ("type", accepted["commandType"]),
            ("correlation", accepted["correlationId"]),
            ("conversation", accepted["conversationId"]),
            ("queue", accepted["queue"]),
            ("disposition", accepted["policyDisposition"]),
            ("queued", accepted["queuedAtUtc"]),
        ]
    )
    if run is None:
        return
    stage = run.get("latestStage") or {}
    show.fields(
        [
            ("run", run["runId"]),
            ("status", run["status"]),
            ("code", run["failureCode"] or stage.get("outcomeCode")),
            ("rationale", run["failureRationale"] or stage.get("outcomeRationale")),
            ("answer", (run.get("provenance") or {}).get("noteSummary")),
            ("approvals that wait", ", ".join(run.get("pendingApprovalIds") or [])),
        ]
    )
