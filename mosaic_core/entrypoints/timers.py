"""The timers. Flex Consumption knows no time zone: all schedules are UTC."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import Final

import azure.functions as func

from mosaic_core.services.approvals_due import ApprovalsDue
from mosaic_core.services.nightly import NightlySweep

log = logging.getLogger(__name__)

SCHEDULE_SETTING: Final = "Sweep__Schedule"
DEFAULT_SCHEDULE: Final = "0 */10 * * * *"
"""Every ten minutes: a tick with nothing to do is one point read, and one that died half way is soon gone on with."""

APPROVALS_SCHEDULE: Final = "0 5-59/10 * * * *"
"""Every ten minutes as well, between the sweep's ticks."""


def create_blueprint(
    nightly: Callable[[], NightlySweep], approvals_due: Callable[[], ApprovalsDue] | None = None
) -> func.Blueprint:
    """``approvals_due`` None: the sweep's timer alone."""
    blueprint = func.Blueprint()
    schedule = f"%{SCHEDULE_SETTING}%" if os.environ.get(SCHEDULE_SETTING) else DEFAULT_SCHEDULE

    @blueprint.function_name("nightly_sweep_timer")
    @blueprint.timer_trigger(arg_name="timer", schedule=schedule, run_on_startup=False, use_monitor=True)
    async def nightly_sweep_timer(timer: func.TimerRequest) -> None:
        report = await nightly().tick()
        if report.nights:
            log.info("nightly sweeps enqueued", extra={"nights": len(report.nights), "households": report.enqueued})

    if approvals_due is not None:

        @blueprint.function_name("approvals_due_timer")
        @blueprint.timer_trigger(arg_name="timer", schedule=APPROVALS_SCHEDULE, run_on_startup=False, use_monitor=True)
        async def approvals_due_timer(timer: func.TimerRequest) -> None:
            report = await approvals_due().tick()
            if report.enqueued or report.failed:
                log.info("approvals are over", extra={"enqueued": report.enqueued, "failed": report.failed})

    return blueprint
