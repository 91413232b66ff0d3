"""The worst upload that the contract allows, 20 MB of JSON Lines and 100,000 transactions, takes bounded memory: where
it comes in, and in its lane. Each in a process of its own, against what that process had before."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

_PREAMBLE = """
import asyncio, gc, hashlib, json, resource, sys
unit = 1 if sys.platform == "darwin" else 1024

def most() -> int:
    if sys.platform == "linux":  # ru_maxrss is that of whoever started this process, where that one had more
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) * 1024 // 2**20 for line in status if line.startswith("VmHWM"))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit // 2**20

def upload(kind: str) -> bytes:
    size = 0
    rows = []
    for n in range(100_000):
        row = {"transactionId": f"t{n:06}", "postedOn": f"2026-{n % 9 + 1:02}-{n % 28 + 1:02}",
               "amount": f"-{n % 900}.{n % 100:02}", "currency": "USD", "description": f"SHOP {n} MAIN STREET"}
        if kind == "transfers":
            row |= {"description": "TRANSFER TO OWN ACCOUNT", "amount": ("-" if n % 2 else "") + "100.00"}
        if kind == "letters that grow":
            row |= {"description": "\\ufdfa" * 190, "merchantName": "\\ufdfa" * 190}
        if kind == "long texts":
            row |= {"description": f"{n} " + "x" * 180, "merchantName": f"{n} " + "y" * 180}
        line = json.dumps(row, ensure_ascii=False).encode() + b"\\n"
        if size + len(line) > 20 * 2**20:
            break
        size += len(line)
        rows.append(line)
    return b"".join(rows)
"""

_DOOR = """
from tests.support.api import ALICE_HOUSEHOLD, ApiWorld

async def main() -> None:
    world = await ApiWorld().with_members()
    data = upload(sys.argv[1])
    gc.collect()
    before = most()
    answer = await world.post(
        f"/households/{ALICE_HOUSEHOLD}/ingestions?batchId=b&source=bank&accountId=a", data,
        token="alice+Mosaic.Ingest", headers={"Content-Type": "application/x-ndjson"})
    print(answer.status, most() - before)

asyncio.run(main())
"""

_LANE = """
from dataclasses import replace
from mosaic_core.domain.envelope import IngestionCompleted
from mosaic_core.domain.lanes import CommandType, Lane
from mosaic_core.lanes.ingestion import IngestionLane
from mosaic_core.ports import LedgerWrite
from tests.support.lanes import HOUSEHOLD, LaneWorld

class Ledger:
    # what Table Storage keeps is not this process's memory
    async def between(self, household_id, first, last):
        return []

    async def insert_all(self, household_id, transactions, *, run_id, batch_id):
        return LedgerWrite(tuple(t.transaction_id for t in transactions), (), (), {})

async def main() -> None:
    world = LaneWorld({Lane.INGESTION: IngestionLane()})
    data = upload(sys.argv[1])
    name = f"{HOUSEHOLD}/{hashlib.sha256(data).hexdigest()}"
    await world.stores.blobs.put(name, data)
    del data
    batch = IngestionCompleted.model_validate({"householdId": HOUSEHOLD, "batchId": "b", "source": "bank",
                                               "accountId": "a", "transactionsBlob": name})
    body = world.command(CommandType.INGESTION_COMPLETED, batch)
    gc.collect()
    before = most()
    ended = await world.deliver(Lane.INGESTION, body, stores=replace(world.stores, ledger=Ledger()))
    print(ended.run.status, most() - before)

asyncio.run(main())
"""

KINDS = ["short rows", "transfers", "letters that grow", "long texts"]


def _run(script: str, kind: str) -> tuple[str, int]:
    root = Path(__file__).parents[2]
    ended = subprocess.run(
        [sys.executable, "-c", _PREAMBLE + script, kind], cwd=root, capture_output=True, text=True, check=True
    )
    said, megabytes = ended.stdout.split()[-2:]
    return said, int(megabytes)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="the system does not tell a process's most memory that way")
@pytest.mark.parametrize("kind", KINDS)
def test_the_worst_upload_takes_little_memory_where_it_comes_in(kind: str) -> None:
    status, megabytes = _run(_DOOR, kind)
    assert status == "202"
    assert megabytes < 300


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="the system does not tell a process's most memory that way")
@pytest.mark.parametrize("kind", KINDS)
def test_the_worst_upload_takes_little_memory_in_its_lane(kind: str) -> None:
    status, megabytes = _run(_LANE, kind)
    assert status in ("Completed", "NeedsReview")
    assert megabytes < 300
