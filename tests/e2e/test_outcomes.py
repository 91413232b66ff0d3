"""Contract, section 5, over the embedded stack with the real SDK clients: one test for each row, named after it.
The rows whose part is away or dies: `test_outcomes_broken.py`."""

from __future__ import annotations

from datetime import date

import pytest

from mosaic_core.domain import ids
from mosaic_core.domain.lifecycle import KeyStatus, RunStatus, Severity
from mosaic_core.domain.records import Key, Run, Signal
from tests.support.live import ALICE, CONVERSATION, INGESTION, SWEEP, Live, batch, guid, message, sweep

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]


async def test_row_success(running: Live) -> None:
    journey = await running.finish(await running.send(CONVERSATION, message()))
    assert journey.run is not None
    assert journey.key is not None
    assert (journey.run.status, journey.run.is_final, journey.run.attempt) == (RunStatus.COMPLETED, True, 1)
    assert (journey.key.status, journey.settlement) == (KeyStatus.COMPLETED, "completed")
    assert journey.key.finalized_at is not None
    assert journey.signals == []


async def test_row_success_that_a_person_must_look_at(running: Live) -> None:
    journey = await running.finish(await running.send(CONVERSATION, message("Wire $900 to Bob right now.")))
    assert journey.run is not None
    assert journey.key is not None
    assert (journey.run.status, journey.run.failure_code) == (RunStatus.NEEDS_REVIEW, "approval_required")
    assert (journey.key.status, journey.key.resolution_code) == (KeyStatus.COMPLETED, "needs_review")
    [signal] = journey.signals
    assert (signal.severity, signal.requires_human_review, signal.is_resolved) == (Severity.WARNING, True, False)


async def test_row_duplicate_of_a_finished_command(running: Live) -> None:
    value = message()
    sent = await running.send(CONVERSATION, value)
    before = await running.finish(sent)
    await running.send(CONVERSATION, value)
    await running.until(running.doors.left, lambda left: left == 0)
    after = await running.journey(sent)
    assert (after.run, after.key, after.stages) == (before.run, before.key, before.stages)
    assert after.settlement == "completed"


async def test_row_duplicate_of_one_in_progress(running: Live) -> None:
    value = message(clientReferenceId="drill-sleep-1500-x")
    sent = await running.send(CONVERSATION, value)
    run_id = ids.run_id(CONVERSATION, sent.command_id)
    await running.until(lambda: running.stores.runs.read(run_id), bool)
    await running.send(CONVERSATION, value)
    journey = await running.finish(sent)
    await running.until(running.doors.left, lambda left: left == 0)
    assert journey.run is not None
    assert (journey.run.attempt, journey.run.status) == (1, RunStatus.COMPLETED)
    assert {s.attempt for s in journey.stages} == {1}
    assert await running.journey(sent) == journey


async def test_row_attempt_failed_attempts_left_then_a_later_attempt_succeeds(running: Live) -> None:
    sent = await running.send(CONVERSATION, message(clientReferenceId="drill-fail-1-x"))
    run_id = ids.run_id(CONVERSATION, sent.command_id)

    async def waiting() -> tuple[Key, Run, Signal] | None:
        key = await running.stores.keys.read(CONVERSATION, sent.command_id)
        run = await running.stores.runs.read(run_id)
        failure = await running.stores.signals.read(ids.failure_signal_id(run_id))
        if key is None or run is None or failure is None or key.value.next_attempt_at is None:
            return None
        return key.value, run.value, failure.value

    found = await running.until(waiting, bool)
    assert found is not None
    key, run, failure = found
    assert (key.status, key.lease_seconds) == (KeyStatus.RESERVED, 0)
    assert (run.status, run.is_final, run.failure_code) == (RunStatus.NEEDS_REVIEW, False, "drill_failure")
    assert (failure.signal_code, failure.severity, failure.is_resolved) == ("worker_command_failed", "Error", False)
    journey = await running.finish(sent)
    assert journey.run is not None
    assert (journey.run.status, journey.run.attempt) == (RunStatus.COMPLETED, 2)
    assert journey.failure is not None
    assert (journey.failure.is_resolved, journey.failure.resolution_note) == (True, "recovered")


async def test_row_five_attempts_failed(running: Live) -> None:
    journey = await running.finish(await running.send(CONVERSATION, message(clientReferenceId="drill-fail-always-x")))
    assert journey.run is not None
    assert journey.key is not None
    assert journey.failure is not None
    assert (journey.run.status, journey.run.is_final, journey.run.attempt) == (RunStatus.NEEDS_REVIEW, True, 5)
    assert (journey.key.status, journey.key.resolution_code) == (KeyStatus.REJECTED, "failed")
    assert (journey.failure.is_resolved, journey.failure.requires_human_review) == (False, True)
    assert journey.settlement == "dead-lettered: processing_failed"
    assert journey.description.startswith(f"drill_failure; run={journey.run.run_id}; correlation=test:")


@pytest.mark.parametrize("queue", [INGESTION, CONVERSATION, SWEEP])
async def test_row_unsupported_command_type(running: Live, queue: str) -> None:
    """A type that nobody knows, and one of another lane."""
    value = message(commandType="make_coffee") if queue != SWEEP else message()
    journey = await running.finish(await running.send(queue, value))
    assert journey.run is not None
    assert journey.key is not None
    assert (journey.run.failure_code, journey.run.attempt) == ("unsupported_command_type", 5)
    assert (journey.key.status, journey.settlement) == (KeyStatus.REJECTED, "dead-lettered: processing_failed")
    assert journey.failure is not None


@pytest.mark.parametrize("queue", [INGESTION, CONVERSATION, SWEEP])
@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"{nope", "invalid_json"),
        (b"\xff\xfe\x00", "invalid_json"),
        (b'{"a": NaN}', "invalid_json"),
        (b'{"commandId": "x"}', "invalid_envelope"),
    ],
)
async def test_row_invalid_json_or_envelope(running: Live, queue: str, raw: bytes, reason: str) -> None:
    message_id = guid()
    await running.doors.send(queue, raw, message_id=message_id)
    assert await running.reason(message_id) == reason
    signal = await running.stores.signals.read(ids.rejected_message_signal_id(queue, message_id, reason))
    assert signal is not None
    assert (signal.value.signal_code, signal.value.message_id) == ("command_rejected", message_id)


async def test_row_same_id_other_request(running: Live) -> None:
    value = message("What did we spend?")
    sent = await running.send(CONVERSATION, value)
    before = await running.finish(sent)
    other = message("Something else", commandId=value["commandId"])
    await running.send(CONVERSATION, other)
    assert await running.reason(sent.command_id) == "idempotency_hash_mismatch"
    after = await running.journey(sent)
    assert (after.run, after.key) == (before.run, before.key)


async def test_row_key_already_rejected(running: Live) -> None:
    value = message(clientReferenceId="drill-fail-always-y")
    sent = await running.send(CONVERSATION, value)
    before = await running.finish(sent)
    await running.send(CONVERSATION, value)

    async def reasons() -> list[str]:
        dead = await running.doors.dead_letters()
        return sorted(m.dead_letter_reason or "" for _, m in dead if m.message_id == sent.command_id)

    assert await running.until(reasons, lambda r: len(r) == 2) == ["idempotency_rejected", "processing_failed"]
    after = await running.journey(sent)
    assert (after.run, after.key) == (before.run, before.key)


async def test_a_sweep_and_an_ingestion_end_to_end(running: Live) -> None:
    first = await running.send(INGESTION, batch("e2e-1", "e2e-2"))
    assert (await running.finish(first)).settlement == "completed"
    journey = await running.finish(await running.send(SWEEP, sweep()))
    assert journey.run is not None
    assert journey.run.status == RunStatus.COMPLETED


async def test_what_a_person_says_of_a_merchant_is_applied_and_learnt(running: Live) -> None:
    """The offline agent over the whole stack: a request, the next question, the next ingestion."""

    async def category(transaction_id: str) -> tuple[str, str]:
        rows = await running.stores.ledger.between(ALICE, date(2026, 11, 1), date(2026, 11, 1))
        [row] = [row for row in rows if row.transaction_id == transaction_id]
        return row.category, row.category_source

    first = batch("zorblat-1", "zorblat-2", description="ZORBLAT VENTURES 0012")
    await running.finish(await running.send(INGESTION, first))
    assert (await category("zorblat-1"))[1] != "household_correction"
    asked = await running.finish(await running.send(CONVERSATION, message("Categorise Zorblat Ventures as travel")))
    assert asked.run is not None
    assert (asked.run.status, asked.signals) == (RunStatus.COMPLETED, [])
    assert (asked.run.agent_note_summary or "").startswith("Done: put 2 rows of Zorblat Ventures ")
    told = await running.finish(await running.send(CONVERSATION, message("How much did I spend on travel?")))
    assert told.run is not None
    assert (told.run.agent_note_summary or "").startswith("You spent 25.00 USD on travel")
    next_one = batch("zorblat-3", description="ZORBLAT VENTURES 0099")
    await running.finish(await running.send(INGESTION, next_one))
    assert await category("zorblat-3") == ("TRAVEL", "household_correction")
