"""The timers. Flex Consumption knows no time zone: all schedules are UTC."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import Final

import azure.functions as func

from mosaic_core.services.nightly import NightlySweep

log = logging.getLogger(__name__)

SCHEDULE_SETTING: Final = "Sweep__Schedule"
DEFAULT_SCHEDULE: Final = "0 */10 * * * *"
"""Every ten minutes: a tick with nothing to do is one point read, and one that died half way is soon gone on with."""


def create_blueprint(nightly: Callable[[], NightlySweep]) -> func.Blueprint:
    blueprint = func.Blueprint()
    schedule = f"%{SCHEDULE_SETTING}%" if os.environ.get(SCHEDULE_SETTING) else DEFAULT_SCHEDULE

    @blueprint.function_name("nightly_sweep_timer")
    @blueprint.timer_trigger(arg_name="timer", schedule=schedule, run_on_startup=False, use_monitor=True)
    async def nightly_sweep_timer(timer: func.TimerRequest) -> None:
        report = await nightly().tick()
        if report.nights:
            log.info("nightly sweeps enqueued", extra={"nights": len(report.nights), "households": report.enqueued})

    return blueprint
