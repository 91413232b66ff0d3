"""Fault 32: what a household says stays in its tables. A marker goes in by every door that takes text; logs, spans,
telemetry events and dead-letter descriptions are then searched for it."""

from __future__ import annotations

import asyncio
import json
from datetime import date

import pytest

from mosaic_local.stack import Stack, StackOptions
from tests.e2e.conftest import FAST
from tests.support.live import ALICE, CONVERSATION, INGESTION, SWEEP, batch, guid, live, message, sweep

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]

MARKER = "Zanzibarquux"
AMOUNT = "4711.17"


async def test_no_text_no_name_and_no_amount_leaves_the_tables() -> None:
    with Stack(StackOptions(app_settings=FAST)) as stack:
        async with live(stack) as running:
            rows = batch("private-1")
            rows["payload"]["transactions"][0] |= {
                "description": f"{MARKER} STORE 12",
                "merchantName": MARKER,
                "categoryHint": MARKER,
                "amount": f"-{AMOUNT}",
            }
            conflict = json.loads(json.dumps(rows)) | {"commandId": guid()}
            conflict["payload"]["transactions"][0]["amount"] = "-1.00"
            sent = [
                await running.send(INGESTION, rows),
                await running.send(CONVERSATION, message(f"How much did we spend at {MARKER}?")),
                await running.send(CONVERSATION, message(f"Wire ${AMOUNT} to {MARKER} now")),
                await running.send(CONVERSATION, message(MARKER, clientReferenceId=f"drill-fail-always-{guid()}")),
                await running.send(CONVERSATION, message(MARKER, commandType=f"make_{MARKER}")),
            ]
            for one in sent:
                await running.finish(one)
            await running.finish(await running.send(INGESTION, conflict))
            await running.finish(await running.send(SWEEP, sweep()))
            poison = guid()
            broken = message(MARKER)
            broken["payload"]["householdId"] = MARKER
            await running.doors.send(CONVERSATION, json.dumps(broken).encode(), message_id=poison)
            assert await running.reason(poison) == "invalid_envelope"
            status, answer = await running.doors.call(
                "POST", f"/conversations/{guid()}/messages", body={"message": MARKER, MARKER: AMOUNT}
            )
            assert (status, answer["error"]["code"]) == (400, "validation_failed")
            await running.doors.call("POST", f"/conversations/{guid()}/messages", body={"message": f"{MARKER}?"})
            told = await running.doors.events(lambda events: len(events) >= 20, seconds=5)
            dead = await running.doors.dead_letters()
            ledger = await running.stores.ledger.between(ALICE, date(2000, 1, 1), date(2100, 1, 1))
        assert any(MARKER in t.description for t in ledger), "the marker never went in"
        await asyncio.to_thread(stack.stop_worker)
        written = {
            str(file.relative_to(stack.state_dir)): file.read_text(errors="replace")
            for folder in ("telemetry", "logs")
            for file in (stack.state_dir / folder).iterdir()
        }
    written["events"] = json.dumps(told)
    written["dead letters"] = " ".join(f"{m.dead_letter_reason} {m.dead_letter_error_description}" for _, m in dead)
    assert len(written["telemetry/logs.jsonl"]) > 1000
    assert told
    assert dead
    for name, text in written.items():
        for secret in (MARKER, AMOUNT):
            at = text.lower().find(secret.lower())
            assert at < 0, f"{name}: …{text[max(0, at - 300) : at + 100]}…"
