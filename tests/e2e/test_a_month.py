"""A month of the whole product in some seconds: backoff, an approval that nobody decides, and thirty nights' sweeps."""

from __future__ import annotations

import asyncio
import itertools
import time
from datetime import UTC, datetime, timedelta

import pytest

from mosaic_core.domain import ids
from mosaic_core.domain.lifecycle import ApprovalStatus, KeyStatus, RunStatus
from mosaic_local.stack import Stack, StackOptions
from tests.support.live import ALICE, CONVERSATION, INGESTION, SWEEP, batch, guid, live, message

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

MONTH = timedelta(days=30)
SETTINGS = {
    "Drill__Enabled": "true",
    "Sweep__Schedule": "0 30 2 * * *",  # as shipped it looks every ten minutes whether a night is due
    **{f"AzureWebJobs.{name}_timer.Disabled": "true" for name in ("lanes_watch", "reconciler", "retention")},
}


async def test_a_month_goes_by() -> None:
    async with Stack(StackOptions(app_settings=SETTINGS, testing=True)) as stack, live(stack) as running:
        start = datetime.now(UTC)
        # A worker dies with a command in hand: its lock, its lease and the wait for both are over at once.
        held = await running.send(CONVERSATION, message(clientReferenceId="drill-sleep-3000-month"))
        await running.until(lambda: running.stores.keys.read(CONVERSATION, held.command_id), bool)
        stack.kill_worker(restart=False)
        await asyncio.to_thread(stack.control.jump, timedelta(minutes=10))
        await asyncio.to_thread(stack.start_worker)
        taken_over = await running.finish(held)
        assert taken_over.run is not None
        assert (taken_over.run.status, taken_over.run.attempt) == (RunStatus.COMPLETED, 2)

        await running.send(INGESTION, batch(guid()))  # whose household has nothing of late is not swept
        doomed = await running.send(CONVERSATION, message(clientReferenceId="drill-fail-always-month"))
        status, answer = await running.doors.call(
            "POST", f"/conversations/{guid()}/messages", body={"message": "Wire $900 to Bob right now."}
        )
        assert status == 202, answer
        control = stack.control
        await asyncio.to_thread(control.advance, timedelta())
        _, listed = await running.doors.call("GET", "/approvals?status=pending")
        asked = ids.run_id(answer["queue"], answer["commandId"])
        (approval,) = [it["approvalId"] for it in listed["approvals"] if it["runId"] == asked]

        began = time.monotonic()
        await asyncio.to_thread(control.advance, MONTH, every=["nightly_sweep_timer"])
        took = time.monotonic() - began

        journey = await running.journey(doomed)
        assert journey.run is not None
        assert journey.key is not None
        assert (journey.run.status, journey.run.attempt) == (RunStatus.NEEDS_REVIEW, 5)
        assert (journey.key.status, journey.settlement) == (KeyStatus.REJECTED, "dead-lettered: processing_failed")
        lasted = journey.run.last_modified_at - journey.run.created_at
        assert timedelta(minutes=1) < lasted < timedelta(days=1)  # the product's own backoff, in its own time

        stored = await running.stores.approvals.read(ALICE, approval)
        assert stored is not None
        assert stored.value.status == ApprovalStatus.EXPIRED
        nights = [start.date() + timedelta(days=n) for n in range(1, 30)]
        swept = [ids.run_id(SWEEP, ids.sweep_command_id(ALICE, f"{night:%Y%m%d}")) for night in nights]
        runs = [await running.stores.runs.read(run_id) for run_id in swept]
        assert [run.value.status for run in runs if run is not None] == [RunStatus.COMPLETED] * 29
        ends = [run.value.completed_at for run in runs if run is not None and run.value.completed_at is not None]
        assert all(timedelta(hours=20) < two - one < timedelta(hours=28) for one, two in itertools.pairwise(ends))
        assert took < 60  # some five seconds beside other work
