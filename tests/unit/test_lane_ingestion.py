"""Ingestion: a batch reaches the ledger once, in whatever pieces and however often it comes."""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from mosaic_core.adapters.record_rows import encode_transaction
from mosaic_core.domain import ids
from mosaic_core.domain.envelope import AgentMessagePosted, IngestionCompleted, TransactionLine, parse_json
from mosaic_core.domain.errors import LaneError, StoreUnreachableError
from mosaic_core.domain.lanes import CommandType, Lane
from mosaic_core.domain.lifecycle import AttemptOutcome, KeyStatus, RunStatus, Severity, StageStatus
from mosaic_core.domain.settlement import Complete, Reschedule
from mosaic_core.domain.transactions import Transaction
from mosaic_core.lanes import ingestion
from mosaic_core.lanes.context import LaneResult
from mosaic_core.lanes.household import CATEGORY, LEARNED
from mosaic_core.lanes.ingestion import IngestionLane
from mosaic_core.ledger.categories.categorise import learning_key
from mosaic_core.ports import LedgerWrite, Stores
from mosaic_local.sample.household import sample_household
from mosaic_ops.memory.stores import MemoryLedger
from tests.support import records
from tests.support.lanes import CONVERSATION, HOUSEHOLD, OTHER_HOUSEHOLD, USER, Ended, LaneWorld, cut_off_in
from tests.support.tables import MemoryTables, on_tables

CHECKING = "alice-checking"
FIRST, LAST = date(1900, 1, 1), date(2999, 12, 31)

GROCER = {
    "transactionId": "t-1",
    "postedOn": "2026-11-02",
    "amount": "-84.12",
    "currency": "USD",
    "description": "WHOLE FOODS MARKET 10231 AUSTIN TX",
    "merchantName": "Whole Foods Market",
}
PAY = {
    "transactionId": "t-2",
    "postedOn": "2026-11-13",
    "amount": "2410.00",
    "currency": "USD",
    "description": "ACME CORP PAYROLL DIRECT DEP",
    "categoryHint": "payroll",
}
RENT = {
    "transactionId": "t-3",
    "postedOn": "2026-11-01",
    "amount": "-1850.00",
    "currency": "USD",
    "description": "RENT PAYMENT OAKWOOD APARTMENTS",
}
RIDDLE = {
    "transactionId": "t-9",
    "postedOn": "2026-11-05",
    "amount": "-31.70",
    "currency": "USD",
    "description": "QZX 88213",
}


@pytest.fixture
def world() -> LaneWorld:
    return LaneWorld({Lane.INGESTION: IngestionLane()})


def batch(*rows: dict[str, str], blob: str | None = None, batch_id: str = "batch-1") -> IngestionCompleted:
    source: dict[str, Any] = {"transactionsBlob": blob} if blob else {"transactions": list(rows)}
    return IngestionCompleted.model_validate(
        {"householdId": HOUSEHOLD, "batchId": batch_id, "source": "bank", "accountId": CHECKING, **source}
    )


def command(world: LaneWorld, *rows: dict[str, str], blob: str | None = None) -> bytes:
    return world.command(CommandType.INGESTION_COMPLETED, batch(*rows, blob=blob))


async def ingest(world: LaneWorld, *rows: dict[str, str], blob: str | None = None) -> Ended:
    return await world.deliver(Lane.INGESTION, command(world, *rows, blob=blob))


async def ledger(world: LaneWorld, household: str = HOUSEHOLD) -> list[Transaction]:
    return await world.stores.ledger.between(household, FIRST, LAST)


async def failed(world: LaneWorld, body: bytes) -> LaneError:
    with pytest.raises(LaneError) as raised:
        await world.attempt(Lane.INGESTION, body)
    return raised.value


def json_lines(*rows: dict[str, str]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


async def stored(world: LaneWorld, data: bytes, household: str = HOUSEHOLD) -> str:
    name = f"{household}/{hashlib.sha256(data).hexdigest()}"
    await world.stores.blobs.put(name, data)
    return name


# ------------------------------------------------------------------------------------------------------------ the rows


async def test_a_batch_becomes_rows_with_categories(world: LaneWorld) -> None:
    ended = await ingest(world, GROCER, PAY, RENT)
    assert ended.settlement == Complete()
    assert (ended.run.status, ended.run.failure_code) == (RunStatus.COMPLETED, None)
    assert ended.signals == []
    rows = await ledger(world)
    assert [(t.transaction_id, t.account_id, t.amount, t.category) for t in rows] == [
        ("t-3", CHECKING, Decimal("-1850.00"), "RENT_AND_UTILITIES"),
        ("t-1", CHECKING, Decimal("-84.12"), "FOOD_AND_DRINK"),
        ("t-2", CHECKING, Decimal("2410.00"), "INCOME"),
    ]
    assert all(0.6 <= t.category_confidence <= 1 and t.category_source for t in rows)
    assert [(s.name, s.status, s.order) for s in ended.stages] == [
        ("load_batch", StageStatus.SUCCEEDED, 1),
        ("categorise", StageStatus.SUCCEEDED, 2),
        ("match_transfers", StageStatus.SKIPPED, 3),
        ("find_income", StageStatus.SUCCEEDED, 4),
        ("write_ledger", StageStatus.SUCCEEDED, 5),
    ]
    assert ended.stage("find_income").provenance == ("t-2",)
    assert ended.stage("write_ledger").provenance == ("t-1", "t-2", "t-3")
    assert ended.stage("write_ledger").outcome_rationale == "3 inserted, 0 already there"
    # a stage is as sure as its least sure row
    assert ended.stage("categorise").confidence == min(t.category_confidence for t in rows)


async def test_the_household_becomes_active_in_the_month_of_the_ingestion(world: LaneWorld) -> None:
    await ingest(world, GROCER)
    assert [h async for h in world.stores.households.active("202611")] == [HOUSEHOLD]


async def test_a_repeated_batch_changes_nothing(world: LaneWorld) -> None:
    await ingest(world, GROCER, PAY)
    before = await ledger(world)
    world.clock.advance(86_400)
    again = await ingest(world, GROCER, PAY)
    assert await ledger(world) == before
    assert again.run.status == RunStatus.COMPLETED
    assert again.stage("write_ledger").outcome_rationale == "0 inserted, 2 already there"
    assert again.stage("write_ledger").provenance == ()


async def test_a_half_repeated_batch_adds_what_is_new(world: LaneWorld) -> None:
    await ingest(world, GROCER, PAY)
    again = await ingest(world, PAY, RENT)
    assert again.stage("write_ledger").outcome_rationale == "1 inserted, 1 already there"
    assert again.stage("write_ledger").provenance == ("t-3",)
    assert {t.transaction_id for t in await ledger(world)} == {"t-1", "t-2", "t-3"}


async def test_another_spelling_of_the_same_amount_is_the_same_row(world: LaneWorld) -> None:
    await ingest(world, {**GROCER, "amount": "-84.12"})
    again = await ingest(world, {**GROCER, "amount": "-84.1200"})
    assert again.run.status == RunStatus.COMPLETED
    assert again.stage("write_ledger").outcome_rationale == "0 inserted, 1 already there"


def torn(world: LaneWorld, rows: int | None = None) -> Stores:
    """The tables go away in the ledger, after so many rows of the batch (all of them)."""

    class Torn(MemoryLedger):
        async def insert_all(self, household_id: str, transactions: Any, *, run_id: str, batch_id: str) -> LedgerWrite:
            await world.stores.ledger.insert_all(household_id, transactions[:rows], run_id=run_id, batch_id=batch_id)
            raise StoreUnreachableError("no answer")

    return replace(world.stores, ledger=Torn(world.clock))


async def test_an_attempt_that_was_cut_off_in_the_ledger_is_gone_on_with(world: LaneWorld) -> None:
    """The tables went away half way through the batch: the next attempt writes the rest once, and tells of all that the
    run inserted."""
    body = command(world, GROCER, PAY)
    cut_off = await world.deliver(Lane.INGESTION, body, stores=torn(world, 1))
    assert isinstance(cut_off.settlement, Reschedule)
    assert (cut_off.run.status, cut_off.stages, cut_off.signals) == (RunStatus.RUNNING, [], [])
    world.clock.advance(60)
    ended = await world.deliver(Lane.INGESTION, body)
    assert ended.run.status == RunStatus.COMPLETED
    assert ended.stage("write_ledger").outcome_rationale == "2 inserted, 0 already there"
    assert ended.stage("write_ledger").provenance == ("t-1", "t-2")
    assert len(await ledger(world)) == 2


async def test_an_outage_inside_the_ledger_is_not_a_counted_attempt(world: LaneWorld) -> None:
    body = command(world, GROCER, PAY)
    for _ in range(3):
        cut_off = await world.deliver(Lane.INGESTION, body, stores=torn(world, 1))
        key = await world.stores.keys.read(cut_off.run.queue, cut_off.run.command_id)
        assert key is not None
        assert key.value.attempt - key.value.excused == 0
        world.clock.advance(600)
    ended = await world.deliver(Lane.INGESTION, body)
    key = await world.stores.keys.read(ended.run.queue, ended.run.command_id)
    assert key is not None
    assert (key.value.status, key.value.attempt - key.value.excused) == (KeyStatus.COMPLETED, 1)


async def test_the_sample_household_goes_in_whole_and_only_once(world: LaneWorld) -> None:
    sample = sample_household(date(2026, 11, 23))
    batches = [IngestionCompleted.model_validate(b.payload()) for b in sample.batches()]
    for _ in range(2):
        for payload in batches:
            ended = await world.deliver(Lane.INGESTION, world.command(CommandType.INGESTION_COMPLETED, payload))
            assert ended.run.is_final
            assert ended.run.failure_code in (None, "uncertain_category")
    rows = await ledger(world)
    assert [t.transaction_id for t in rows] == [t.transaction_id for t in sample.transactions()]
    assert all(t.category for t in rows)


# -------------------------------------------------------------------------------------------------- conflicts, reviews


async def test_other_content_under_a_known_id_is_named_and_not_written(world: LaneWorld) -> None:
    await ingest(world, GROCER, PAY)
    before = await ledger(world)
    ended = await ingest(world, {**GROCER, "amount": "-48.12"}, PAY, RENT)
    assert ended.settlement == Complete()
    assert (ended.run.status, ended.run.is_final, ended.run.failure_code) == (
        RunStatus.NEEDS_REVIEW,
        True,
        "ledger_conflict",
    )
    assert "t-1" in (ended.run.failure_rationale or "")
    assert "t-2" not in (ended.run.failure_rationale or "")
    stage = ended.stage("write_ledger")
    assert (stage.status, stage.outcome_code, stage.provenance) == (
        StageStatus.NEEDS_REVIEW,
        "ledger_conflict",
        ("t-1",),
    )
    [signal] = ended.signals
    assert (signal.signal_code, signal.severity, signal.requires_human_review, signal.is_resolved) == (
        "ledger_conflict",
        Severity.WARNING,
        True,
        False,
    )
    assert signal.signal_id == ids.review_signal_id(ended.run.run_id)
    rows = await ledger(world)
    # the row stays as it was, and the rest of the batch is written
    assert [t for t in rows if t.transaction_id != "t-3"] == before
    assert "t-3" in {t.transaction_id for t in rows}


async def test_a_conflict_does_not_hide_an_uncertain_category(world: LaneWorld) -> None:
    await ingest(world, GROCER)
    ended = await ingest(world, {**GROCER, "amount": "-48.12"}, RIDDLE)
    assert ended.run.failure_code == "ledger_conflict"
    assert "uncertain category: t-9" in (ended.run.failure_rationale or "")


async def test_many_conflicts_are_counted_and_the_first_are_named(world: LaneWorld) -> None:
    rows = [{**GROCER, "transactionId": f"{'x' * 150}{n:03}"} for n in range(60)]
    await ingest(world, *rows)
    ended = await ingest(world, *({**row, "currency": "EUR"} for row in rows))
    rationale = ended.run.failure_rationale or ""
    assert "52 more" in rationale
    assert len(rationale) <= 500
    assert len(ended.stage("write_ledger").provenance) == 60


async def test_what_the_categoriser_is_unsure_of_goes_to_review(world: LaneWorld) -> None:
    ended = await ingest(world, GROCER, RIDDLE)
    assert ended.settlement == Complete()
    assert (ended.run.status, ended.run.failure_code) == (RunStatus.NEEDS_REVIEW, "uncertain_category")
    assert "t-9" in (ended.run.failure_rationale or "")
    stage = ended.stage("categorise")
    assert (stage.status, stage.provenance) == (StageStatus.NEEDS_REVIEW, ("t-9",))
    riddle = next(t for t in await ledger(world) if t.transaction_id == "t-9")
    assert stage.confidence == riddle.category_confidence < 0.6
    assert ended.codes == ["uncertain_category"]
    key = await world.stores.keys.read(ended.run.queue, ended.run.command_id)
    assert key is not None
    assert (key.value.status, key.value.resolution_code) == (KeyStatus.COMPLETED, "needs_review")


async def test_the_threshold_is_a_setting() -> None:
    strict = LaneWorld({Lane.INGESTION: IngestionLane(review_below=1.0)})
    lenient = LaneWorld({Lane.INGESTION: IngestionLane(review_below=0.0)})
    assert (await ingest(strict, GROCER)).run.failure_code == "uncertain_category"
    assert (await ingest(lenient, RIDDLE)).run.status == RunStatus.COMPLETED


# ------------------------------------------------------------------------------------------- the same id in one batch


async def test_a_line_that_stands_twice_counts_once(world: LaneWorld) -> None:
    ended = await ingest(world, GROCER, PAY, GROCER, {**GROCER, "amount": "-84.120"})
    assert ended.run.status == RunStatus.COMPLETED
    assert ended.stage("load_batch").outcome_rationale == "2 transactions"
    assert len(await ledger(world)) == 2


async def test_one_id_with_two_contents_fails_the_batch_and_writes_nothing(world: LaneWorld) -> None:
    body = command(world, GROCER, {**GROCER, "amount": "-1.00"})
    ended = await world.deliver(Lane.INGESTION, body)
    assert (ended.run.status, ended.run.is_final, ended.run.failure_code) == (
        RunStatus.NEEDS_REVIEW,
        False,
        "batch_invalid",
    )
    assert isinstance(ended.settlement, Reschedule)
    assert ended.stage("load_batch").status == StageStatus.FAILED
    assert ended.codes == ["worker_command_failed"]
    assert await ledger(world) == []
    assert [h async for h in world.stores.households.active("202611")] == []


# --------------------------------------------------------------------------------------------------------------- blobs


async def test_a_large_batch_comes_from_its_blob(world: LaneWorld) -> None:
    rows = [{**GROCER, "transactionId": f"t-{n:05}", "amount": f"-{n}.25"} for n in range(1, 1201)]
    name = await stored(world, json_lines(*rows) + b"\n  \n")
    ended = await ingest(world, blob=name)
    assert ended.run.status == RunStatus.COMPLETED
    assert len(await ledger(world)) == 1200


async def test_a_batch_is_the_same_whether_inline_or_in_a_blob(world: LaneWorld) -> None:
    await ingest(world, GROCER, PAY)
    again = await ingest(world, blob=await stored(world, json_lines(PAY, GROCER)))
    assert again.stage("write_ledger").outcome_rationale == "0 inserted, 2 already there"


async def test_another_households_blob_is_refused_even_though_it_is_there(world: LaneWorld) -> None:
    name = await stored(world, json_lines(GROCER), OTHER_HOUSEHOLD)
    error = await failed(world, command(world, blob=name))
    assert error.code == "batch_foreign_blob"
    assert OTHER_HOUSEHOLD not in error.rationale
    assert await ledger(world) == []
    assert await ledger(world, OTHER_HOUSEHOLD) == []


async def test_a_blob_that_is_not_there(world: LaneWorld) -> None:
    error = await failed(world, command(world, blob=f"{HOUSEHOLD}/{'0' * 64}"))
    assert error.code == "batch_blob_missing"


async def test_a_blob_whose_sum_differs(world: LaneWorld) -> None:
    name = f"{HOUSEHOLD}/{hashlib.sha256(json_lines(GROCER)).hexdigest()}"
    await world.stores.blobs.put(name, json_lines({**GROCER, "amount": "-9000.00"}))
    error = await failed(world, command(world, blob=name))
    assert error.code == "batch_digest_mismatch"
    assert await ledger(world) == []


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b'{"transactionId": "t-2", "postedOn"', "line 2"),
        (b"\xff\xfe", "not UTF-8"),
        (b'{"transactionId": "t-2", "transactionId": "t-2"}', "same key twice"),
        (b'["t-2"]', "not an object"),
        (json.dumps({**PAY, "amount": "plenty"}).encode(), "amount: is not a decimal"),
        (json.dumps({**PAY, "amount": -77.5}).encode(), "amount: is not a decimal"),
        (json.dumps({**PAY, "postedOn": "0000-01-01"}).encode(), "postedOn"),
        (json.dumps({**PAY, "postedOn": "9999-12-31"}).encode(), "postedOn: is not within the years 1900 to 9998"),
        (json.dumps({**PAY, "description": "\udfff"}).encode(), "surrogate"),
        (json.dumps({**PAY, "newer": 10**60}).encode(), "too large"),
        (b'{"newer": 1e999999}', "too large"),
        (b'{"newer":' + b"[" * 20_000, "deeper"),
        (json.dumps({**PAY, "currency": "XXQ"}).encode(), "currency: is not an ISO 4217"),
        (json.dumps({**PAY, "description": "a secret " * 40}).encode(), "description"),
    ],
)
async def test_a_bad_line_is_told_by_its_number_and_never_echoed(world: LaneWorld, line: bytes, says: str) -> None:
    name = await stored(world, json_lines(GROCER) + line + b"\n" + json_lines(RENT))
    error = await failed(world, command(world, blob=name))
    assert error.code == "batch_invalid"
    assert error.rationale.startswith("line 2 of the batch: ")
    assert says in error.rationale
    for value in ("plenty", "secret", "XXQ", "77.5"):
        assert value not in error.rationale
    assert await ledger(world) == []


@pytest.mark.parametrize("data", [b"", b"\n \n"])
async def test_an_empty_blob_is_no_batch(world: LaneWorld, data: bytes) -> None:
    error = await failed(world, command(world, blob=await stored(world, data)))
    assert error.code == "batch_invalid"
    assert "no transactions" in error.rationale


async def test_reading_a_large_batch_leaves_the_event_loop_free(
    world: LaneWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seconds of parsing on the loop would hold up lease renewals, other lanes and the API."""
    threads: set[int] = set()

    def spy(line: bytes) -> dict[str, Any]:
        threads.add(threading.get_ident())
        return parse_json(line)

    monkeypatch.setattr(ingestion, "parse_json", spy)
    await ingest(world, blob=await stored(world, json_lines(GROCER, PAY)))
    assert threads
    assert threading.get_ident() not in threads


# ------------------------------------------------------------------------------------------------------ what it is not


async def test_another_lanes_payload_is_refused(world: LaneWorld) -> None:
    payload = AgentMessagePosted(
        household_id=HOUSEHOLD, conversation_id=CONVERSATION, household_user_id=USER, message="hello"
    )
    body = world.command(CommandType.AGENT_MESSAGE_POSTED, payload)
    context = world.context(Lane.CONVERSATION, body)
    with pytest.raises(LaneError) as raised:
        await IngestionLane()(context)
    assert raised.value.code == "unsupported_command_type"


class Unguarded(MemoryLedger):
    """How not to write a ledger: it looks what is there, and then writes the rest over whatever came between."""

    async def insert_all(self, household_id: str, transactions: Any, *, run_id: str, batch_id: str) -> LedgerWrite:
        there = {t.transaction_id for t in await self.between(household_id, FIRST, LAST)}
        await asyncio.sleep(0)
        new = [t for t in transactions if t.transaction_id not in there]
        for transaction in new:
            row = encode_transaction(transaction, run_id=run_id, batch_id=batch_id, recorded_at=self.clock.now())
            self.table._write((household_id, transaction.transaction_id), row)
        return LedgerWrite(tuple(t.transaction_id for t in new), (), ())


async def at_once(world: LaneWorld, delays: Sequence[int]) -> bool:
    """Three batches that share rows, each begun after so many turns of the others; whether each row was inserted by
    one of them, and the ledger holds what that one wrote."""
    bodies = [command(world, GROCER, PAY), command(world, PAY, RENT), command(world, GROCER, RENT)]

    async def later(body: bytes, turns: int) -> LaneResult:
        for _ in range(turns):
            await asyncio.sleep(0)
        return await world.attempt(Lane.INGESTION, body)

    results = await asyncio.gather(*(later(*work) for work in zip(bodies, delays, strict=True)))
    assert [r.outcome for r in results] == [AttemptOutcome.SUCCEEDED] * 3
    assert {t.transaction_id for t in await ledger(world)} == {"t-1", "t-2", "t-3"}
    return sum(int(r.rationale.split()[0]) for r in results) == 3


@pytest.fixture
def without_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which request comes first is then a matter of the turns alone, the same each time."""

    async def compute[**P, T](work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        await asyncio.sleep(0)
        return work(*args, **kwargs)

    monkeypatch.setattr(ingestion, "compute", compute)


@pytest.mark.usefixtures("without_threads")
@pytest.mark.parametrize("second", range(6))
@pytest.mark.parametrize("third", range(6))
async def test_concurrent_batches_with_the_same_rows_write_each_row_once(second: int, third: int) -> None:
    """On the ledger as it is on tables: between any two of its requests the others have theirs."""
    world = LaneWorld({Lane.INGESTION: IngestionLane()})
    world.stores = on_tables(world.clock, MemoryTables(), world.stores)
    assert await at_once(world, (0, second, third))


@pytest.mark.usefixtures("without_threads")
async def test_a_ledger_that_does_not_guard_its_writes_would_be_seen(world: LaneWorld) -> None:
    world.stores = replace(world.stores, ledger=Unguarded(world.clock))
    assert not await at_once(world, (0, 0, 0))


# ------------------------------------------------------------------------------------ a second attempt, and what stands


async def teach(world: LaneWorld, row: dict[str, str], category: str, kind: str = LEARNED) -> None:
    """A person chose a category: of the merchant, or of the row."""
    line = TransactionLine.model_validate(row)
    transaction = Transaction(
        transaction_id=line.transaction_id,
        account_id=CHECKING,
        posted_on=line.posted_on,
        amount=line.amount,
        currency=line.currency,
        description=line.description,
        merchant_name=line.merchant_name,
    )
    subject = learning_key(transaction) if kind == LEARNED else line.transaction_id
    annotation = replace(records.ANNOTATION, household_id=HOUSEHOLD, kind=kind, subject=subject, value=category)
    assert await world.stores.annotations.insert(annotation)


async def test_a_second_attempt_reviews_what_stands_and_not_what_it_would_write_now(world: LaneWorld) -> None:
    body = command(world, GROCER, RIDDLE)
    await world.deliver(Lane.INGESTION, body, stores=torn(world))
    await teach(world, RIDDLE, "ENTERTAINMENT")  # since then it would be sure
    world.clock.advance(60)
    ended = await world.deliver(Lane.INGESTION, body)
    riddle = next(t for t in await ledger(world) if t.transaction_id == "t-9")
    assert riddle.category_confidence < 0.6
    assert (ended.run.status, ended.run.failure_code) == (RunStatus.NEEDS_REVIEW, "uncertain_category")
    assert ended.run.failure_rationale == "2 inserted, 0 already there; uncertain category: t-9"
    stage = ended.stage("categorise")
    assert (stage.status, stage.confidence, stage.provenance) == (
        StageStatus.NEEDS_REVIEW,
        riddle.category_confidence,
        ("t-9",),
    )


async def test_a_second_attempt_that_would_be_unsure_now_reviews_nothing_that_stands_sure(world: LaneWorld) -> None:
    await teach(world, RIDDLE, "INCOME")
    body = command(world, RIDDLE)
    await world.deliver(Lane.INGESTION, body, stores=torn(world))
    (stored,) = await world.stores.annotations.of_household(HOUSEHOLD, LEARNED)
    there = await world.stores.annotations.read(HOUSEHOLD, LEARNED, stored.subject)
    assert there is not None
    await world.stores.annotations.update(replace(stored, value="no primary at all"), there.etag)
    world.clock.advance(60)
    ended = await world.deliver(Lane.INGESTION, body)
    assert (ended.run.status, ended.run.failure_code) == (RunStatus.COMPLETED, None)
    assert ended.stage("categorise").outcome_rationale == "1 rows, categorised"
    # income, as it was written; of what it would be now nothing is said
    assert ended.stage("find_income").provenance == ("t-9",)


TRANSFER = {
    "transactionId": "t-5",
    "postedOn": "2026-11-06",
    "amount": "-300.00",
    "currency": "USD",
    "description": "TRANSFER TO SAVINGS",
}


async def test_a_transfer_that_was_written_unmatched_is_not_told_as_matched(world: LaneWorld) -> None:
    body = command(world, TRANSFER)
    await world.deliver(Lane.INGESTION, body, stores=torn(world))
    [row] = await ledger(world)
    other_side = replace(
        row, transaction_id="other", account_id="savings", amount=Decimal("300.00"), category="TRANSFER_IN"
    )
    await world.stores.ledger.insert_all(HOUSEHOLD, [other_side], run_id="r" * 32, batch_id="savings")
    world.clock.advance(60)
    ended = await world.deliver(Lane.INGESTION, body)
    stage = ended.stage("match_transfers")
    assert stage.outcome_rationale == "1 rows, 0 matched"
    assert stage.confidence == row.category_confidence
    assert next(t for t in await ledger(world) if t.transaction_id == "t-5") == row


async def test_a_repeated_batch_is_judged_by_what_the_first_one_wrote(world: LaneWorld) -> None:
    """Another run, whose batch repeats what is there: its rows are not this run's, and stand as they are."""
    await ingest(world, GROCER, RIDDLE)
    await teach(world, RIDDLE, "ENTERTAINMENT")
    again = await ingest(world, GROCER, RIDDLE, RENT)
    assert again.stage("write_ledger").outcome_rationale == "1 inserted, 2 already there"
    assert again.stage("write_ledger").provenance == ("t-3",)
    assert again.run.failure_rationale == "1 inserted, 2 already there; uncertain category: t-9"


async def test_a_row_whose_category_a_person_chose_is_not_reviewed_again(world: LaneWorld) -> None:
    await ingest(world, GROCER, RIDDLE)
    await teach(world, RIDDLE, "ENTERTAINMENT", kind=CATEGORY)
    again = await ingest(world, GROCER, RIDDLE)
    assert (again.run.status, again.run.failure_code) == (RunStatus.COMPLETED, None)


async def test_a_category_that_was_not_written_is_not_complained_about(world: LaneWorld) -> None:
    """The ledger holds other content under the id, so nothing of the new row's category is in it."""
    await ingest(world, GROCER)
    ended = await ingest(world, {**RIDDLE, "transactionId": "t-1"}, PAY)
    assert ended.run.failure_code == "ledger_conflict"
    assert "uncertain" not in (ended.run.failure_rationale or "")
    assert ended.stage("categorise").status == StageStatus.SUCCEEDED
    assert ended.stage("find_income").provenance == ("t-2",)


@pytest.mark.parametrize("fault", ["unsent", "lost"])
@pytest.mark.parametrize("number", range(1, 6))
async def test_wherever_the_tables_go_away_all_that_is_told_stands(number: int, fault: str) -> None:
    """In any request of an ingestion of two transactions' worth of rows, some of which are another run's."""
    world, tables = LaneWorld({Lane.INGESTION: IngestionLane()}), MemoryTables()
    world.stores = on_tables(world.clock, tables, world.stores)
    riddles = [{**RIDDLE, "transactionId": f"r-{n:03}", "description": f"QZX {n % 7} W"} for n in range(110)]
    await ingest(world, *riddles[:5])
    world.stores = on_tables(world.clock, tables, world.stores)  # another process, which marks the household itself
    tables.requests.clear()
    getattr(tables, fault).add(number)
    body = command(world, *riddles, GROCER, PAY)
    cut_off = await world.deliver(Lane.INGESTION, body)
    assert isinstance(cut_off.settlement, Reschedule)
    await teach(world, riddles[6], "ENTERTAINMENT")
    tables.lost.clear()
    tables.unsent.clear()
    world.clock.advance(60)
    ended = await world.deliver(Lane.INGESTION, body)
    rows = {t.transaction_id: t for t in await ledger(world)}
    unsure = [i for i in rows if rows[i].category_confidence < 0.6]
    assert len(rows) == 112
    assert ended.stage("write_ledger").outcome_rationale == "107 inserted, 5 already there"
    assert set(ended.stage("write_ledger").provenance) == set(rows) - {f"r-{n:03}" for n in range(5)}
    assert sorted(ended.stage("categorise").provenance) == sorted(unsure)
    assert ended.stage("categorise").confidence == min(t.category_confidence for t in rows.values())


async def test_an_attempt_that_is_cut_off_leaves_no_thread_at_work(
    world: LaneWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = command(world, GROCER)
    assert await cut_off_in("mosaic_core.lanes.ingestion._categorised", monkeypatch, world, Lane.INGESTION, body)
