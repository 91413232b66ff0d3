"""Storage that refuses, is silent, or loses its answers under a delivery: the real worker over the real SDK clients."""

from __future__ import annotations

import asyncio
from datetime import date

import pytest

from mosaic_core.domain.lifecycle import KeyStatus, RunStatus
from mosaic_local.testing import StorageFault, StorageRule
from tests.support.live import ALICE, INGESTION, Live, batch, guid

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]

STRIKES = 6
"""Of one fault, at every other request: two operations with all their tries, or parts of more."""


@pytest.mark.parametrize(
    "fault",
    [
        StorageFault.UNANSWERED,
        *(
            pytest.param(fault, marks=pytest.mark.slow)
            for fault in (StorageFault.BUSY, StorageFault.CUT, StorageFault.HALF_ANSWERED, StorageFault.TIMED_OUT)
        ),
    ],
)
async def test_a_delivery_comes_to_its_right_end_and_no_attempt_is_counted(running: Live, fault: StorageFault) -> None:
    storage = running.stack.control.storage
    assert storage is not None
    rows = guid(), guid()
    value = batch(*rows, description=f"SHOP {guid()[:6]}")
    await running.record(INGESTION, value)
    rule = StorageRule(fault=fault, service="table", probability=0.5, times=STRIKES)
    await asyncio.to_thread(storage.fail, rule, seed=13)
    try:
        sent = await running.send(INGESTION, value, recorded=False)
        await running.until(running.doors.left, lambda left: left == 0, seconds=60)
        assert (await asyncio.to_thread(storage.struck))[fault] >= 1
    finally:
        await asyncio.to_thread(storage.fail)
    journey = await running.journey(sent)
    assert journey.run is not None
    assert journey.key is not None
    assert (journey.run.status, journey.run.is_final) == (RunStatus.COMPLETED, True)
    assert (journey.key.status, journey.settlement) == (KeyStatus.COMPLETED, "completed")
    assert journey.key.attempt - journey.key.excused == 1
    assert [signal for signal in journey.signals if not signal.is_resolved] == []
    ledger = await running.stores.ledger.between(ALICE, date(2026, 11, 1), date(2026, 11, 1))
    assert sorted(row.transaction_id for row in ledger if row.transaction_id in rows) == sorted(rows)
