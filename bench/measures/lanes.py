"""The lanes' own work: a full batch from the API to the ledger, and the sweep's arithmetic."""

from __future__ import annotations

import asyncio
import time
import uuid
from dataclasses import replace
from datetime import date, timedelta
from typing import Final

from bench.results import Row, at_most, typical
from mosaic_core.adapters.tables import open_table_stores
from mosaic_core.config import Connection
from mosaic_core.domain.lifecycle import KeyStatus
from mosaic_core.domain.transactions import Transaction
from mosaic_core.ledger.anomalies import find_anomalies
from mosaic_core.ports import Stores
from mosaic_local.demo.doors import Doors
from mosaic_local.sample import HOUSEHOLD_ID, sample_household
from mosaic_local.stack import Stack, StackOptions

ROWS: Final = ("ingest_500_s", "sweep_compute_3000_s")
TRANSACTIONS: Final = 500
LEDGER_ROWS: Final = 3000
ROUNDS: Final = 5
END: Final = date(2026, 6, 30)
_WAIT_SECONDS: Final = 30.0
_LOOK_SECONDS: Final = 0.01


async def measure(quick: bool) -> list[Row]:
    rounds = 2 if quick else ROUNDS
    ingests = await _ingests(rounds)
    ledger = three_thousand()
    sweeps = [_sweep(ledger) for _ in range(rounds)]
    return [
        typical("ingest_500_s", ingests, "s", at_most(2)),
        typical("sweep_compute_3000_s", sweeps, "s", at_most(1)),
    ]


async def _ingests(rounds: int) -> list[float]:
    """Each from the request to the API to the key that says Completed. The first, with all its connections, is a
    warm-up."""
    async with Stack(StackOptions()) as stack:
        tables = open_table_stores(
            Connection(connection_string=stack.settings["TablesConnection"]),
            Connection(connection_string=stack.settings["BlobsConnection"]),
        )
        async with Doors(stack) as doors:
            try:
                return [await _ingest(doors, tables.stores) for _ in range(rounds + 1)][1:]
            finally:
                await tables.close()


async def _ingest(doors: Doors, stores: Stores) -> float:
    """One batch of rows as various as the sample household's, under ids of their own."""
    rows = [row for part in sample_household(END).accounts.values() for row in part][:TRANSACTIONS]
    body = {
        "batchId": uuid.uuid4().hex,
        "source": "bench",
        "accountId": "checking",
        "transactions": [{**row, "transactionId": uuid.uuid4().hex} for row in rows],
    }
    began = time.perf_counter()
    status, answer = await doors.call("POST", f"/households/{HOUSEHOLD_ID}/ingestions", body=body)
    if status != 202:
        raise AssertionError(f"the batch was not accepted: {status}")
    async with asyncio.timeout(_WAIT_SECONDS):
        while True:
            stored = await stores.keys.read(answer["queue"], answer["commandId"])
            if stored is not None and stored.value.status == KeyStatus.COMPLETED:
                return time.perf_counter() - began
            await asyncio.sleep(_LOOK_SECONDS)


def three_thousand() -> list[Transaction]:
    """The sample household's ledger, lengthened into the past by itself under other ids until it has enough rows."""
    sample = sample_household(END).transactions()
    span = END - sample[0].posted_on + timedelta(days=1)
    found: list[Transaction] = []
    for turn in range(-(-LEDGER_ROWS // len(sample))):
        found += [
            replace(it, transaction_id=f"{turn}-{it.transaction_id}", posted_on=it.posted_on - turn * span)
            for it in sample
        ]
    return sorted(found, key=lambda it: it.posted_on)[-LEDGER_ROWS:]


def _sweep(ledger: list[Transaction]) -> float:
    began = time.perf_counter()
    findings = find_anomalies(ledger, as_of=END, lookback_days=180)
    took = time.perf_counter() - began
    if not findings:
        raise AssertionError("the sample's anomalies were not found")
    return took
