"""Counts what each kind of command asks of each service, on the running product: ``python -m bench.operations`` writes
docs/reference/operations.json and the table of docs/costs.md.

Counted from the spans of one command, from the caller's request to the settlement, and from the events that the hub
got; what a timer's empty tick asks is counted below the storage clients, since no trace holds it.
"""

from __future__ import annotations

import asyncio
import json
import re
import uuid
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from bench import requests
from mosaic_core.bootstrap import Container
from mosaic_core.config import Settings
from mosaic_local.demo.doors import Doors
from mosaic_local.seed import SAMPLE
from mosaic_local.stack import Stack, StackOptions
from mosaic_ops.costs import table

_DOCS: Final = Path(__file__).resolve().parent.parent / "docs"
FILE: Final = _DOCS / "reference" / "operations.json"
SHEET: Final = _DOCS / "costs.md"

COUNTED: Final = (
    "httpRequests",
    "deliveries",
    "tableReads",
    "tableWrites",
    "tableTransactions",
    "queueOperations",
    "events",
    "spans",
    "logLines",
)
"""Of each command. A queue operation is a send, a receive or a settlement; a table transaction is one request of
several rows; deliveries are executions of a lane's function."""

BATCH: Final = 100
"""Transactions of the ingestion that is counted."""

_QUIET: Final = {"Sweep__Schedule": "0 0 0 1 1 *", "Outbox__Schedule": "0 0 0 1 1 *", "Sweep__HourUtc": "0"}
"""No timer comes in between by itself; a night is due at any hour."""

_READS: Final = frozenset({"read", "query"})
_WRITES: Final = frozenset({"insert", "update", "delete"})
_SECONDS: Final = 30.0
_UNCHANGED: Final = 10
"""Looks, a tenth of a second apart, after which a trace counts as whole."""

type Counts = dict[str, int]


async def count() -> dict[str, Counts]:
    """Counts by kind of command (``message``, ``request``, ``decision``, ``ingestion``, ``sweep``), of a look at a
    conversation (``poll``), and of each timer's tick that finds nothing to do (``sweepTick``, ``outboxTick``,
    ``approvalsTick``, ``watchTick``)."""
    async with Stack(StackOptions(app_settings=_QUIET)) as stack, Doors(stack) as doors:
        counter = _Counter(stack, doors)
        found = await counter.commands()
    async with Stack(StackOptions(with_worker=False)) as stack:
        found |= await _ticks(stack)
    return found


class _Counter:
    def __init__(self, stack: Stack, doors: Doors) -> None:
        self._stack = stack
        self._doors = doors
        doors.listen()

    async def commands(self) -> dict[str, Counts]:
        household, conversation = SAMPLE[0].household_id, uuid.uuid4().hex
        messages = f"/conversations/{conversation}/messages"
        await self._sent("POST", f"/households/{household}/ingestions", _batch())
        await self._sent("POST", messages, {"message": "What did we spend on groceries?"})
        # of a household and a conversation that are known, as nearly all are
        found = {
            "message": await self._sent(
                "POST", messages, {"message": "What did we spend on groceries in January 2026?"}
            ),
            "ingestion": await self._sent("POST", f"/households/{household}/ingestions", _batch()),
            "request": await self._sent("POST", messages, {"message": "Please wire 250 dollars to the landlord"}),
        }
        _, waiting = await self._doors.call("GET", "/approvals?status=pending")
        (approval,) = [one["approvalId"] for one in waiting["approvals"]]
        decision = f"/conversations/{conversation}/approvals/{approval}"
        found["decision"] = await self._sent("POST", decision, {"decision": "Reject"})
        before = len(self._spans())
        await self._doors.run_timer("nightly_sweep_timer")
        found["sweep"] = await self._of(await self._trace("runtime.command.execute", before))
        before = len(self._spans())
        await self._doors.call("GET", f"/conversations/{conversation}/stream")
        found["poll"] = await self._of(await self._trace("GET /api/v1/agent/conversations", before))
        return found

    async def _sent(self, method: str, path: str, body: Mapping[str, Any]) -> Counts:
        before = len(self._spans())
        status, answer = await self._doors.call(method, path, body=body)
        if status != 202:
            raise AssertionError(f"{path}: {status} {answer}")
        return await self._of(await self._trace("runtime.command.execute", before))

    async def _trace(self, name: str, after: int) -> str:
        """The trace of the first span of that name among those that ended after the ``after``-th."""
        async with asyncio.timeout(_SECONDS):
            while True:
                for span in self._spans()[after:]:
                    if span["name"].startswith(name):
                        return str(span["traceId"])
                await asyncio.sleep(0.1)

    async def _whole(self, trace: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Spans and log lines of the trace, once each span's parent has ended too and nothing more came for a while:
        whoever sent the command may end after whoever carried it out."""
        before, unchanged = (-1, -1), 0
        async with asyncio.timeout(_SECONDS):
            while True:
                spans = [span for span in self._spans() if span["traceId"] == trace]
                logs = [line for line in self._lines("logs") if line.get("traceId") == trace]
                parents = {span["parentSpanId"] for span in spans if span.get("parentSpanId")}
                now = len(spans), len(logs)
                unchanged = unchanged + 1 if now == before else 0
                before = now
                if parents <= {span["spanId"] for span in spans} and unchanged == _UNCHANGED:
                    return spans, logs
                await asyncio.sleep(0.1)

    async def _of(self, trace: str) -> Counts:
        spans, logs = await self._whole(trace)
        names = Counter(span["name"].split()[0] for span in spans if "db.collection.name" in span["attributes"])
        sends = sum(span["name"] == "runtime.command.enqueue" for span in spans)
        deliveries = sum(span["name"] == "runtime.command.execute" for span in spans)
        return {
            "httpRequests": sum(span["kind"] == "SERVER" for span in spans),
            "deliveries": deliveries,
            "tableReads": sum(names[name] for name in _READS),
            "tableWrites": sum(names[name] for name in _WRITES),
            "tableTransactions": names["transaction"],
            "queueOperations": sends + 2 * deliveries,
            "events": await self._events(trace, wanted=3 * deliveries),
            "spans": len(spans),
            "logLines": len(logs),
        }

    async def _events(self, trace: str, wanted: int) -> int:
        """Those that carry the trace; ``wanted`` is how many are worth waiting for."""

        def mine(told: list[dict[str, Any]]) -> int:
            return sum(trace in str(event.get("traceparent", "")) for event in told)

        return mine(await self._doors.events(lambda told: mine(told) >= wanted, seconds=10 if wanted else 0))

    def _spans(self) -> list[dict[str, Any]]:
        return self._lines("spans")

    def _lines(self, kind: str) -> list[dict[str, Any]]:
        file = self._stack.state_dir / "telemetry" / f"{kind}.jsonl"
        text = file.read_text("utf-8") if file.is_file() else ""
        return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


async def _ticks(stack: Stack) -> dict[str, Counts]:
    container = Container(Settings.from_env(stack.settings))
    found = {}
    try:
        await container.nightly.tick()  # the first one ever writes where it begins
        ticks = {
            "sweepTick": container.nightly.tick,
            "outboxTick": container.unsent.tick,
            "approvalsTick": container.approvals_due.tick,
        }
        for name, tick in ticks.items():
            with requests.recorded() as sent:
                await tick()
            reads = sum(request.method == "GET" for request in sent)
            found[name] = dict.fromkeys(COUNTED, 0) | {"tableReads": reads, "tableWrites": len(sent) - reads}
        with requests.recorded() as sent:
            looked_at = await container.lanes_watch.tick()
        if [request.method for request in sent] != ["GET"] * len(looked_at) or None in looked_at.values():
            raise AssertionError("the watch peeks into each queue and reads its lane's pause, and does nothing else")
        found["watchTick"] = dict.fromkeys(COUNTED, 0) | {
            "tableReads": len(sent),
            "queueOperations": len(looked_at),
            "logLines": len(looked_at),
        }
    finally:
        await container.finish()
        await container.tables.close()
    return found


def _batch() -> dict[str, Any]:
    rows = [
        {
            "transactionId": uuid.uuid4().hex,
            "postedOn": "2026-01-05",
            "amount": "-12.50",
            "currency": "USD",
            "description": "STARBUCKS STORE 1234",
        }
        for _ in range(BATCH)
    ]
    return {"batchId": uuid.uuid4().hex, "source": "bench", "accountId": "checking", "transactions": rows}


def write(counted: dict[str, Counts]) -> None:
    FILE.write_text(json.dumps(counted, indent=2) + "\n", "utf-8")
    text = SHEET.read_text("utf-8")
    SHEET.write_text(
        re.sub(r"^\| counted \|(?:.*\n)(?:\|.*\n)*", f"{table(counted)}\n", text, flags=re.MULTILINE), "utf-8"
    )


if __name__ == "__main__":
    write(asyncio.run(count()))
