"""`replay`: dead-lettered commands sent again under new ids, by the runbook."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from time import sleep
from typing import Annotated, Any, Final

import typer

from mosaic_core.domain.ids import normalise_guid
from mosaic_core.domain.lanes import Lane
from mosaic_core.domain.replay import DEFAULT_RATE, HIGHEST_RATE
from mosaic_ops.ops import show
from mosaic_ops.ops.api import Json
from mosaic_ops.ops.errors import OpsError, UnreachableError
from mosaic_ops.ops.here import Here, HouseholdOption, JsonOption, LaneOption, SinceOption, app, queues_of
from mosaic_ops.ops.words import guid, since_of

_PAUSE_SECONDS: Final = 2.0
_LARGEST_EDIT: Final = 190 * 1024
_UNANSWERED: Final = 5
"""Times in a row that the app may not answer before this gives up; the operation stays where it is."""


@app.command(
    epilog=(
        'Example: ./mosaic ops replay --lane conversation --group 4b1c… --reason "the provider is back" '
        '--root-cause "its key had expired" --dry-run'
    )
)
def replay(
    ctx: typer.Context,
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="Commands; messages, where they never decoded.")
    ] = None,
    lane: LaneOption = None,
    group: Annotated[str | None, typer.Option(metavar="ID", help="A group of `dlq groups --json`.")] = None,
    code: Annotated[str | None, typer.Option(help="Those with this failure code.")] = None,
    dead_letter_reason: Annotated[str | None, typer.Option(help="Those with this reason of the dead letter.")] = None,
    household: HouseholdOption = None,
    since: SinceOption = None,
    reason: Annotated[str, typer.Option(help="Why. The households can read it.")] = "",
    root_cause: Annotated[str | None, typer.Option(help="What it was; for more than one message.")] = None,
    confirm: Annotated[
        str | None, typer.Option(metavar="LANE", help="The lane's name again, instead of typing it when asked.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would happen, and write nothing.")] = False,
    rate: Annotated[int, typer.Option(min=1, max=HIGHEST_RATE, help="Messages a second.")] = DEFAULT_RATE,
    edit: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="One message's envelope, to be sent instead.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Also what still runs, or was replayed before. It may then be done twice.")
    ] = False,
    status: Annotated[str | None, typer.Option(metavar="REPLAY", help="How far that operation is.")] = None,
    abort: Annotated[str | None, typer.Option(metavar="REPLAY", help="Stop that operation.")] = None,
    resume: Annotated[str | None, typer.Option(metavar="REPLAY", help="Go on with that operation.")] = None,
    json: JsonOption = False,
) -> None:
    """Send dead-lettered commands again, each once, as new commands of whoever asked first. This drives the operation:
    stopped, it stops, and `--resume` goes on. Ctrl-C loses nothing."""
    here: Here = ctx.obj
    named = [one for one in (status, abort, resume) if one is not None]
    if named:
        if len(named) > 1 or ids or group or code or dead_letter_reason or edit or dry_run:
            raise typer.BadParameter("stands by itself", param_hint="--status, --abort, --resume")
        _known(here, status, abort, resume, json=json)
        return
    if lane is None and ids:
        lane = _lane_of(here, ids[0])
    if lane is None:
        raise typer.BadParameter("is required: whose dead letters are meant", param_hint="--lane")
    if not reason.strip():
        raise typer.BadParameter("is required: say why", param_hint="--reason")
    body: Json = {
        "lane": lane.value,
        "select": _select(ids or [], group, code, dead_letter_reason, household, since),
        "reason": reason.strip(),
        "rootCause": root_cause,
        "force": force,
        "ratePerSecond": rate,
        "edit": {"envelope": _envelope(edit)} if edit is not None else None,
    }
    plan = here.api.post("/ops/replays", {**body, "dryRun": True})
    if dry_run or not plan["willReplay"]:
        _show_plan(plan, json=json)
        if not plan["willReplay"]:
            raise OpsError("nothing of it would be replayed")
        return
    if plan["total"] > 1:
        if not root_cause:
            raise typer.BadParameter("is required for more than one message", param_hint="--root-cause")
        if not json:
            _show_plan(plan, json=False)
        body["confirmLane"] = confirm or typer.prompt(f"{plan['willReplay']} messages; type the lane's name", err=True)
        if body["confirmLane"] != lane.value:
            raise typer.BadParameter("is not the lane's name; nothing was done", param_hint="--confirm")
    begun = here.api.post("/ops/replays", {**body, "dryRun": False})
    _drive(here, begun, json=json)


def _lane_of(here: Here, command_id: str) -> Lane | None:
    """A recorded command's. Any other id says nothing of its lane."""
    try:
        named = normalise_guid(command_id)
    except ValueError:
        return None
    queue = here.api.get(f"/ops/commands/{named}")["queue"]
    return next((Lane(lane) for lane, name in queues_of(here) if name == queue), None)


def _known(here: Here, status: str | None, abort: str | None, resume: str | None, *, json: bool) -> None:
    if resume is not None:
        _drive(here, here.api.post(f"/ops/replays/{guid(resume, '--resume')}/resume", {}), json=json, is_resumed=True)
    elif abort is not None:
        _show(here.api.post(f"/ops/replays/{guid(abort, '--abort')}/abort", {}), json=json)
    else:
        assert status is not None
        _show(here.api.get(f"/ops/replays/{guid(status, '--status')}"), json=json)


def _select(
    ids: list[str],
    group: str | None,
    code: str | None,
    dead_letter_reason: str | None,
    household: str | None,
    since: str | None,
) -> Json:
    given = {
        "code": code,
        "reason": dead_letter_reason,
        "householdId": guid(household, "--household"),
        "sinceUtc": since_of(since),
    }
    chosen = {name: value for name, value in given.items() if value is not None}
    ways: list[Json] = []
    if ids:
        ways.append({"commandIds": ids})
    if group is not None:
        ways.append({"groupId": guid(group, "--group")})
    if chosen:
        ways.append({"filter": chosen})
    if len(ways) != 1:
        raise typer.BadParameter("are one of three ways to choose: take one", param_hint="ID, --group, filters")
    return ways[0]


def _envelope(path: Path) -> Any:
    data = path.read_bytes()
    if len(data) > _LARGEST_EDIT:
        raise typer.BadParameter(f"is larger than {_LARGEST_EDIT} bytes", param_hint="--edit")
    try:
        found = json_module.loads(data)
    except ValueError as error:
        raise typer.BadParameter(f"is no JSON ({error})", param_hint="--edit") from None
    if not isinstance(found, dict):
        raise typer.BadParameter("is no JSON object: one message's envelope is meant", param_hint="--edit")
    return found


def _drive(here: Here, operation: Json, *, json: bool, is_resumed: bool = False) -> None:
    """Ask it to go on until it has ended. What dies here stops it and loses nothing."""
    # whoever typed it needs not be told what to type
    onward = "the same command" if is_resumed else f"./mosaic ops replay --resume {operation['replayId']}"
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    replay_id = operation["replayId"]
    if not json:
        show.line(f"replay {replay_id}; stopped, it goes on with: {onward}")
    columns = (TextColumn("replaying"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    unanswered = 0
    with Progress(*columns, console=show.console(), disable=json, transient=True) as progress:
        task = progress.add_task("", total=operation["total"])
        while operation["state"] == "running":
            progress.update(task, completed=operation["total"] - operation["remaining"])
            before = operation
            try:
                operation = here.api.post(f"/ops/replays/{replay_id}/advance", {})
                unanswered = 0
            except UnreachableError as error:
                unanswered += 1
                if unanswered == _UNANSWERED:
                    raise UnreachableError(f"{error}; what was sent is sent, go on with: {onward}") from None
            if operation["state"] == "running" and operation["updatedAtUtc"] == before["updatedAtUtc"]:
                sleep(_PAUSE_SECONDS)
            elif operation["state"] == "running" and not operation["remaining"]:
                sleep(_PAUSE_SECONDS)  # copies that another process holds
    _show(operation, json=json)
    if operation["state"] != "completed" or operation["failed"] or operation["refused"]:
        raise OpsError(
            f"{operation['refused']} refused, {operation['failed']} failed, {operation['remaining']} not looked at"
        )


def _show(operation: Json, *, json: bool) -> None:
    if json:
        show.as_json(operation)
        return
    refused = ", ".join(f"{code} {count}" for code, count in operation["refusals"].items())
    show.fields(
        [
            ("replay", operation["replayId"]),
            ("state", operation["state"]),
            ("lane", operation["lane"]),
            ("replayed", f"{operation['replayed']} of {operation['total']}"),
            ("refused", f"{operation['refused']}{f': {refused}' if refused else ''}"),
            ("failed", operation["failed"]),
            ("remaining", operation["remaining"]),
            ("copies still in the queue", operation["clearing"] or None),
            ("asked for by", operation["requestedBy"]),
            ("reason", operation["reason"]),
            ("root cause", operation["rootCause"]),
        ]
    )


def _show_plan(plan: Json, *, json: bool) -> None:
    if json:
        show.as_json(plan)
        return
    show.table(
        ("command", "would be sent as", "type", "household", "number"),
        (
            (one["commandId"], one["newCommandId"], one["commandType"], one["householdId"], one["sequenceNumber"])
            for one in plan["sample"]
        ),
        title=f"{plan['willReplay']} of {plan['total']} would be replayed",
    )
    if plan["changedFields"]:
        show.line("edited: " + ", ".join(plan["changedFields"]))
    if plan["refused"]:
        show.table(
            ("command", "refused because"),
            ((one["commandId"], one["code"]) for one in plan["refused"]),
            title=f"{plan['refusedCount']} refused",
        )
