"""What an operator changes: `lane pause`, `lane resume`, `cancel`."""

from __future__ import annotations

import time
from typing import Annotated, Final

import typer

from mosaic_core.domain.lanes import Lane
from mosaic_ops.ops import show
from mosaic_ops.ops.errors import NOT_SO
from mosaic_ops.ops.here import Here, JsonOption, app
from mosaic_ops.ops.words import guid

_AGAIN_SECONDS: Final = 1.0

lane = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Hold a lane, and let it go on.")
app.add_typer(lane, name="lane")

LaneArgument = Annotated[Lane, typer.Argument(help="Which lane.")]
ReasonOption = Annotated[str, typer.Option(help="Why. It is kept beside your name.")]


@lane.command(epilog='Example: ./mosaic ops lane pause conversation --reason "the model answers nonsense, see #41"')
def pause(ctx: typer.Context, lane: LaneArgument, reason: ReasonOption, json: JsonOption = False) -> None:
    """Hold a lane: its messages wait, uncounted and unlost, until somebody resumes it. What is at work ends first."""
    _set(ctx.obj, lane, "pause", reason, json)


@lane.command(epilog='Example: ./mosaic ops lane resume conversation --reason "the provider is back"')
def resume(ctx: typer.Context, lane: LaneArgument, reason: ReasonOption, json: JsonOption = False) -> None:
    """Let a lane go on. What waited is worked on within about a minute."""
    _set(ctx.obj, lane, "resume", reason, json)


@app.command(epilog='Example: ./mosaic ops cancel 0f3c… --reason "sent twice by mistake"')
def cancel(
    ctx: typer.Context,
    command_id: Annotated[str, typer.Argument(metavar="COMMAND", help="The command's id.")],
    reason: Annotated[str, typer.Option(help="Why. It is kept beside your name, and the household can read it.")],
    timeout: Annotated[float, typer.Option(min=0, help="Seconds to wait for who is at work on it.")] = 300.0,
    json: JsonOption = False,
) -> None:
    """End one command that waits or runs, for good. Exit 1: it has come to another end, or its worker has not let go
    of it yet."""
    here: Here = ctx.obj
    path, began = f"/ops/commands/{guid(command_id, 'COMMAND')}/cancel", time.monotonic()
    answer = here.api.post(path, {"reason": said(reason)})
    while answer["outcome"] == "requested" and time.monotonic() - began < timeout:
        time.sleep(_AGAIN_SECONDS)
        answer = here.api.post(path, {"reason": said(reason)})
    if json:
        show.as_json(answer)
    elif answer["outcome"] == "requested":
        show.line("it is at work, and has not been let go of yet; the request stands: ask again", "yellow")
    else:
        before = " before" if answer["outcome"] == "already_cancelled" else ""
        show.line(f"cancelled{before} by {answer['cancelledBy']}: {answer['reason']}; run {answer['runId']}")
        for closed, what in ((answer["closedApprovals"], "approvals"), (answer["resolvedSignals"], "signals")):
            if closed:
                show.line(f"closed {what}: {', '.join(closed)}")
    if answer["outcome"] == "requested":
        raise typer.Exit(NOT_SO)


def _set(here: Here, lane: Lane, word: str, reason: str, json: bool) -> None:
    answer = here.api.post(f"/ops/lanes/{lane}/{word}", {"reason": said(reason)})
    if json:
        show.as_json(answer)
        return
    held = answer["pause"]
    if held is None:
        show.line(f"{lane} is at work" + ("" if answer["isChanged"] else ", and was before"))
        return
    before = "" if answer["isChanged"] else " before"
    show.line(f"{lane} was paused{before} by {held['pausedBy']} at {held['pausedAtUtc']}: {held['reason']}")


def said(reason: str) -> str:
    if not reason.strip():
        raise typer.BadParameter("is empty: say why", param_hint="--reason")
    return reason.strip()
