"""``./mosaic demo``: the whole product on real input, and a check of everything that it promises.

`scenario` drives the running stack through its public doors, `journey` reads what became of each command, `promises`
holds that against the runbook, `report` prints it.
"""

from __future__ import annotations

import asyncio
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from mosaic_local.errors import StackError

app = typer.Typer(add_completion=False)

SETTINGS = {"Drill__Enabled": "true", "Retry__Seconds": "0.1,0.1,0.2,0.2", "Sweep__LookbackDays": "730"}
"""The waits between attempts are shortened, so that a command that fails five times ends within the demo; the sweep
looks back over the whole sample, in which the anomalies are planted."""


@app.callback()
def _commands() -> None:
    """The demo."""


@app.command()
def demo(
    state: Annotated[
        Path | None,
        typer.Option("--state", help="Keep everything that the demo writes in this folder.", file_okay=False),
    ] = None,
    months: Annotated[
        int, typer.Option(help="How much of the sample ledger to ingest, newest first.", min=6, max=24)
    ] = 24,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--app",
            help="The folder of function_app.py: this checkout, or a package, e.g. dist/app.",
            file_okay=False,
            exists=True,
            show_default=False,
        ),
    ] = None,
) -> None:
    """Start the stack, drive the main job on the sample household, show and check every command's journey."""
    from mosaic_local.demo.report import Report
    from mosaic_local.demo.scenario import Scenario
    from mosaic_local.stack import Stack, StackOptions
    from mosaic_local.state import ROOT

    began = time.monotonic()
    options = StackOptions(app=folder or ROOT, state_dir=state, app_settings=SETTINGS)
    report = Report()
    try:
        report.say("Starting broker, storage, issuer and worker …")
        with Stack(options) as stack:
            report.started(stack)
            scenario = Scenario(stack, report, night=_night(datetime.now(UTC)), months=months)
            asyncio.run(scenario.play())
            report.where(stack, kept=state is not None)
    except StackError as error:
        print(f"mosaic: {error}", file=sys.stderr)
        raise typer.Exit(3) from None
    report.verdict(time.monotonic() - began)
    raise typer.Exit(0 if report.good else 1)


def _night(now: datetime) -> datetime:
    """The night whose sweeps are due now (contract: two o'clock UTC)."""
    return now if now.hour >= 2 else now - timedelta(days=1)


if __name__ == "__main__":
    app()
