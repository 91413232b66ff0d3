"""What an operator changes: `lane pause`, `lane resume`."""

from __future__ import annotations

from typing import Annotated

import typer

from mosaic_core.domain.lanes import Lane
from mosaic_ops.ops import show
from mosaic_ops.ops.here import Here, JsonOption, app

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
