"""The timers. Flex Consumption knows no time zone: all schedules are UTC."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import Final

import azure.functions as func

from mosaic_core.config import table
from mosaic_core.config.table import Setting
from mosaic_core.services.approvals_due import ApprovalsDue
from mosaic_core.services.lanes_watch import LanesWatch
from mosaic_core.services.nightly import NightlySweep
from mosaic_core.services.outbox import OutboxReport, UnsentCommands
from mosaic_core.services.reconciler import Reconciler
from mosaic_core.services.retention import Retention

log = logging.getLogger(__name__)

APPROVALS_SCHEDULE: Final = "0 5-59/10 * * * *"
"""Every ten minutes as well, between the sweep's ticks."""

WATCH_SCHEDULE: Final = "45 */5 * * * *"
"""Every five minutes, which is as often as a log alert looks."""


def create_blueprint(
    nightly: Callable[[], NightlySweep],
    unsent: Callable[[], UnsentCommands],
    approvals_due: Callable[[], ApprovalsDue],
    lanes_watch: Callable[[], LanesWatch],
    reconciler: Callable[[], Reconciler],
    retention: Callable[[], Retention],
) -> func.Blueprint:
    blueprint = func.Blueprint()

    @blueprint.function_name("nightly_sweep_timer")
    @blueprint.timer_trigger(
        arg_name="timer",
        schedule=_schedule(table.SWEEP_SCHEDULE),
        run_on_startup=False,
        use_monitor=True,
    )
    async def nightly_sweep_timer(timer: func.TimerRequest) -> None:
        report = await nightly().tick()
        if report.nights:
            log.info(
                "nightly sweeps enqueued",
                extra={
                    "night": report.nights[-1].isoformat(),
                    "nights": len(report.nights),
                    "households": report.enqueued,
                },
            )
        if report.left_behind:
            log.warning("households are left behind by the nightly sweep", extra={"households": report.left_behind})

    @blueprint.function_name("unsent_commands_timer")
    @blueprint.timer_trigger(
        arg_name="timer",
        schedule=_schedule(table.OUTBOX_SCHEDULE),
        run_on_startup=False,
        use_monitor=True,
    )
    async def unsent_commands_timer(timer: func.TimerRequest) -> None:
        report = await unsent().tick()
        if report != OutboxReport():
            log.warning(
                "the outbox was not empty",
                extra={
                    "sent": report.sent,
                    "refused": report.refused,
                    "failed": report.failed,
                    "stopped": report.stopped,
                },
            )

    @blueprint.function_name("approvals_due_timer")
    @blueprint.timer_trigger(arg_name="timer", schedule=APPROVALS_SCHEDULE, run_on_startup=False, use_monitor=True)
    async def approvals_due_timer(timer: func.TimerRequest) -> None:
        report = await approvals_due().tick()
        if report.enqueued or report.failed:
            log.info("approvals are over", extra={"enqueued": report.enqueued, "failed": report.failed})

    @blueprint.function_name("lanes_watch_timer")
    @blueprint.timer_trigger(arg_name="timer", schedule=WATCH_SCHEDULE, run_on_startup=False, use_monitor=False)
    async def lanes_watch_timer(timer: func.TimerRequest) -> None:
        await lanes_watch().tick()

    @blueprint.function_name("reconciler_timer")
    @blueprint.timer_trigger(
        arg_name="timer",
        schedule=_schedule(table.RECONCILE_SCHEDULE),
        run_on_startup=False,
        use_monitor=True,
    )
    async def reconciler_timer(timer: func.TimerRequest) -> None:
        report = await reconciler().tick()
        if report.is_worth_telling:
            log.warning(
                "the reconciler found commands that nothing would have ended",
                extra={
                    "rejected": report.rejected,
                    "rolledForward": report.rolled_forward,
                    "stalled": report.stalled,
                    "failed": report.failed,
                },
            )

    @blueprint.function_name("retention_timer")
    @blueprint.timer_trigger(
        arg_name="timer",
        schedule=_schedule(table.RETENTION_SCHEDULE),
        run_on_startup=False,
        use_monitor=True,
    )
    async def retention_timer(timer: func.TimerRequest) -> None:
        report = await retention().tick()
        if report.removed or report.failed:
            log.info("what was past its date is removed", extra={"removed": report.removed, "failed": report.failed})

    return blueprint


def _schedule(setting: Setting[str]) -> str:
    """The setting's name for the host to resolve, which refuses a name that it cannot."""
    return f"%{setting.name}%" if os.environ.get(setting.name) else setting.default
