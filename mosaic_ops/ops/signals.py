"""What waits for a person: `signals`, `resolve`, `approvals`."""

from __future__ import annotations

from typing import Annotated

import typer

from mosaic_core.domain.lifecycle import ApprovalStatus, Severity
from mosaic_ops.ops import findings, show
from mosaic_ops.ops.api import Json
from mosaic_ops.ops.here import (
    Here,
    HouseholdOption,
    JsonOption,
    LaneOption,
    LimitOption,
    SinceOption,
    app,
)
from mosaic_ops.ops.telling import tell_findings
from mosaic_ops.ops.words import guid, since_of


@app.command(epilog="Example: ./mosaic ops signals --severity Error --lane conversation")
def signals(
    ctx: typer.Context,
    everything: Annotated[bool, typer.Option("--all", help="Those that are resolved as well.")] = False,
    lane: LaneOption = None,
    code: Annotated[str | None, typer.Option(help="Only this signal code.")] = None,
    severity: Annotated[Severity | None, typer.Option(help="Only of this severity.")] = None,
    household: HouseholdOption = None,
    since: SinceOption = None,
    limit: LimitOption = 20,
    json: JsonOption = False,
) -> None:
    """What asks for a person, newest first. `next` says what to do about one."""
    here: Here = ctx.obj
    found, cursor = here.api.pages(
        "/ops/signals",
        "signals",
        limit,
        state="all" if everything else None,
        lane=lane,
        code=code,
        severity=severity,
        householdId=guid(household, "--household"),
        sinceUtc=since_of(since),
    )
    if json:
        show.as_json({"signals": found, "nextCursor": cursor})
        return
    opened: dict[str, list[Json]] = {}
    for signal in found:
        if not signal["isResolved"]:
            opened.setdefault(signal["signalCode"], []).append(signal)
    if opened:
        tell_findings(findings.of_signals(code, members) for code, members in opened.items())
        show.line("")
    signals_table(found)
    if cursor is not None:
        show.line("there are more; --limit raises the number, --since and the filters narrow it")


def signals_table(found: list[Json], *, title: str = "") -> None:
    show.table(
        ("signal", "code", "severity", "resolved", "run or message", "raised", "summary"),
        (
            (
                s["signalId"],
                s["signalCode"],
                s["severity"],
                f"by {s['resolvedBy']}: {s['resolutionNote']}" if s["isResolved"] else "no",
                s["runId"] or s["messageId"] or s["commandId"],
                s["raisedAtUtc"],
                s["summary"],
            )
            for s in found
        ),
        title=title,
    )


@app.command(epilog='Example: ./mosaic ops resolve 6a41… --note "the provider is back; sent again under a new id"')
def resolve(
    ctx: typer.Context,
    signal_id: Annotated[str, typer.Argument(metavar="SIGNAL", help="The signal's id.")],
    note: Annotated[str, typer.Option(help="Why it needs nobody any more. The household can read it.")],
    json: JsonOption = False,
) -> None:
    """Resolve a signal, in the name of the token's subject. The same again is harmless."""
    here: Here = ctx.obj
    if not note.strip():
        raise typer.BadParameter("is empty: say why it needs nobody any more", param_hint="--note")
    answer = here.api.post(f"/ops/signals/{guid(signal_id, 'SIGNAL')}/resolve", {"note": note.strip()})
    if json:
        show.as_json(answer)
        return
    signal = answer["signal"]
    before = " before" if answer["outcome"] == "already_resolved" else ""
    show.line(f"{signal['signalCode']} was resolved{before} by {signal['resolvedBy']}: {signal['resolutionNote']}")


@app.command(epilog="Example: ./mosaic ops approvals --household a11ce000000000000000000000000001 --status pending")
def approvals(
    ctx: typer.Context,
    household: Annotated[str, typer.Option(metavar="ID", help="Whose.")],
    status: Annotated[ApprovalStatus | None, typer.Option(help="Only those in this state now.")] = None,
    json: JsonOption = False,
) -> None:
    """A household's approvals: which wait, until when. What they are about the household sees; members decide."""
    here: Here = ctx.obj
    answer = here.api.get("/ops/approvals", householdId=guid(household, "--household"), status=status)
    if json:
        show.as_json(answer)
        return
    show.table(
        ("approval", "action", "status", "run", "expires", "decided"),
        (
            (a["approvalId"], a["actionKind"], a["status"], a["runId"], a["expiresAtUtc"], a["decidedAtUtc"])
            for a in answer["approvals"]
        ),
    )
