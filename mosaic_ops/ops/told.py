"""What it said: `logs`, `telemetry`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from mosaic_ops.ops import show, telemetry
from mosaic_ops.ops.errors import UsageError
from mosaic_ops.ops.here import (
    Here,
    JsonOption,
    LimitOption,
    app,
    told,
)
from mosaic_ops.ops.words import guid


class Level(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


WorkspaceOption = Annotated[
    str,
    typer.Option(
        envvar="MOSAIC_WORKSPACE",
        metavar="GUID",
        help="A deployment's Log Analytics workspace, asked for the last day as whoever is signed in.",
    ),
]


def _is_there(here: Here, workspace: str) -> bool:
    """Whether the workspace is to be asked."""
    if here.target.is_embedded and workspace:
        raise UsageError("--workspace is a deployment's: give its --url; the embedded stack keeps files")
    if workspace:
        guid(workspace, "--workspace")
    return bool(workspace)


@app.command(epilog="Example: ./mosaic ops logs worker --tail 50 --level warning")
def logs(
    ctx: typer.Context,
    part: Annotated[str, typer.Argument(help=f"One of {', '.join(telemetry.PARTS)}.")],
    tail: Annotated[int, typer.Option(min=1, max=100_000, help="The newest lines.")] = 200,
    level: Annotated[
        Level, typer.Option(case_sensitive=False, help="Only lines of this level and above, with what belongs to them.")
    ] = Level.DEBUG,
    workspace: WorkspaceOption = "",
    json: JsonOption = False,
) -> None:
    """The newest lines of a part's log, as it wrote them."""
    here: Here = ctx.obj
    if _is_there(here, workspace):
        from mosaic_ops.ops import workspace as workspaces

        if part not in telemetry.SERVICES:
            raise UsageError(f"a deployment's {part!r} is none of ours; there are {', '.join(telemetry.SERVICES)}")
        lines = workspaces.ask(workspace, lambda asked: asked.log_lines(None, tail))
        lines = [line for line in lines if telemetry.is_of_level(str(line["level"]), level.upper())]
        found = [f"{line['time']} {line['level']} {line['logger']}: {line['message']}" for line in lines]
    else:
        found = telemetry.log_tail(here.target.state_dir, part, tail, level.upper())
    if json:
        show.as_json({"part": part, "lines": found})
        return
    for line in found:
        show.line(line)


ServiceArgument = Annotated[str, typer.Argument(help="worker or api.")]
IdOption = Annotated[str | None, typer.Option("--id", metavar="ID", help="Only what names this id.")]


@told.command("traces", epilog="Example: ./mosaic ops telemetry traces worker --limit 50")
def telemetry_traces(
    ctx: typer.Context,
    service: ServiceArgument,
    limit: LimitOption = 50,
    asked: IdOption = None,
    workspace: WorkspaceOption = "",
    json: JsonOption = False,
) -> None:
    """The newest traces that a service has a part in, newest first."""
    here: Here = ctx.obj
    if _is_there(here, workspace):
        from mosaic_ops.ops import workspace as workspaces

        telemetry.known(service)
        found = workspaces.ask(workspace, lambda there: there.traces(service, limit, asked))
    else:
        found = telemetry.traces(here.target.state_dir, service, limit, asked)
    if json:
        show.as_json({"traces": found})
        return
    show.table(
        ("trace", "began", "name", "services", "spans", "failed", "command"),
        (
            (t["traceId"], t["startTime"], t["name"], " ".join(t["services"]), t["spans"], t["failed"], t["commandId"])
            for t in found
        ),
    )


@told.command("logs", epilog="Example: ./mosaic ops telemetry logs worker --limit 100 --id 0f3c…")
def telemetry_logs(
    ctx: typer.Context,
    service: ServiceArgument,
    limit: LimitOption = 50,
    asked: IdOption = None,
    workspace: WorkspaceOption = "",
    json: JsonOption = False,
) -> None:
    """The newest log records of a service with their fields, oldest first."""
    here: Here = ctx.obj
    if _is_there(here, workspace):
        from mosaic_ops.ops import workspace as workspaces

        telemetry.known(service)
        found = workspaces.ask(workspace, lambda there: there.log_lines(service, limit, asked))
    else:
        found = telemetry.log_lines(here.target.state_dir, service, limit, asked)
    if json:
        show.as_json({"logs": found})
        return
    names = ("commandId", "runId", "attempt", "code", "rationale", "traceId")
    for record in found:
        more = (f"{name}={record[name]}" for name in names if record.get(name) is not None)
        show.line(" ".join((str(record["time"]), str(record["level"]), str(record["message"]), *more)))
