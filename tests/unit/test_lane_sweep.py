"""The sweep: what is unusual in a household's ledger becomes one signal, however many nights look at it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from functools import cache

import pytest

from mosaic_core.adapters.tables.stores import INDEX, SIGNALS, TableSignals
from mosaic_core.domain import ids
from mosaic_core.domain.envelope import AgentMessagePosted, IngestionCompleted, NightlyAnomalySweep
from mosaic_core.domain.errors import LaneError, StoreUnreachableError
from mosaic_core.domain.lanes import CommandType, Lane
from mosaic_core.domain.lifecycle import RunStatus, Severity, StageStatus
from mosaic_core.domain.records import Signal
from mosaic_core.domain.settlement import Complete, Reschedule
from mosaic_core.domain.transactions import Finding, FindingKind, Transaction
from mosaic_core.lanes import sweep as sweep_module
from mosaic_core.lanes.ingestion import IngestionLane
from mosaic_core.lanes.sweep import sweep_lane
from mosaic_core.ledger.anomalies import KINDS, find_anomalies, finding_key
from mosaic_core.ledger.categories.categorise import categorise
from mosaic_core.ports import ETag
from mosaic_local.sample.household import sample_household
from mosaic_ops.memory.stores import MemorySignals
from tests.support.lanes import CONVERSATION, HOUSEHOLD, OTHER_HOUSEHOLD, USER, Ended, LaneWorld, cut_off_in
from tests.support.tables import MemoryTables, service

END = date(2026, 11, 23)
NIGHT = date(2026, 11, 24)
SAMPLE = sample_household(END)


@pytest.fixture
def world() -> LaneWorld:
    return LaneWorld({Lane.INGESTION: IngestionLane(), Lane.SWEEP: sweep_lane})


def command(world: LaneWorld, night: date, *, lookback: int = 180, household: str = HOUSEHOLD) -> bytes:
    payload = NightlyAnomalySweep.model_validate(
        {"householdId": household, "sweepDate": night.isoformat(), "lookbackDays": lookback}
    )
    command_id = ids.sweep_command_id(household, f"{night:%Y%m%d}")
    return world.command(CommandType.NIGHTLY_ANOMALY_SWEEP, payload, command_id=command_id)


async def sweep(world: LaneWorld, night: date, *, lookback: int = 180, household: str = HOUSEHOLD) -> Ended:
    return await world.deliver(Lane.SWEEP, command(world, night, lookback=lookback, household=household))


async def ingest(world: LaneWorld, rows: list[dict[str, str]], account: str = "alice-card") -> None:
    for start in range(0, len(rows), 500):
        part = rows[start : start + 500]
        payload = IngestionCompleted.model_validate(
            {
                "householdId": HOUSEHOLD,
                "batchId": f"{account}-{part[0]['transactionId'][:20]}",
                "source": "bank",
                "accountId": account,
                "transactions": part,
            }
        )
        ended = await world.deliver(Lane.INGESTION, world.command(CommandType.INGESTION_COMPLETED, payload))
        assert ended.run.is_final


@cache
def categorised() -> tuple[Transaction, ...]:
    """The sample's rows as the ingestion lane stores them."""
    rows = []
    for row in SAMPLE.transactions():
        found = categorise(row)
        rows.append(
            replace(row, category=found.category, category_confidence=found.confidence, category_source=found.source)
        )
    return tuple(rows)


async def with_sample(world: LaneWorld, *, until: date = END) -> None:
    rows = [row for row in categorised() if row.posted_on <= until]
    await world.stores.ledger.insert_all(HOUSEHOLD, rows, run_id="r" * 32, batch_id="sample")


async def ledger(world: LaneWorld) -> list[Transaction]:
    return await world.stores.ledger.between(HOUSEHOLD, date(2000, 1, 1), date(2100, 1, 1))


def coffee(n: int, day: date, amount: str = "-4.50") -> dict[str, str]:
    return {
        "transactionId": f"coffee-{n}",
        "postedOn": day.isoformat(),
        "amount": amount,
        "currency": "USD",
        "description": "BLUE BOTTLE COFFEE",
        "merchantName": "Blue Bottle Coffee",
    }


# -------------------------------------------------------------------------------------------------------- what it finds


async def test_every_finding_is_raised_as_a_signal_of_its_own(world: LaneWorld) -> None:
    await with_sample(world)
    found = find_anomalies(await ledger(world), as_of=NIGHT, lookback_days=730)
    assert {f.kind for f in found} >= {"duplicate_charge", "amount_outlier", "first_time_large", "price_rise"}
    ended = await sweep(world, NIGHT, lookback=730)
    # findings are what a sweep is for: it succeeded, and each finding is an item of its own
    assert (ended.settlement, ended.run.status, ended.run.failure_code) == (Complete(), RunStatus.COMPLETED, None)
    assert {s.signal_id for s in ended.signals} == {
        ids.finding_signal_id(HOUSEHOLD, finding_key(HOUSEHOLD, f)) for f in found
    }
    assert Counter(ended.codes) == Counter(f.kind for f in found)
    by_id = {s.signal_id: s for s in ended.signals}
    for finding in found:
        signal = by_id[ids.finding_signal_id(HOUSEHOLD, finding_key(HOUSEHOLD, finding))]
        assert (signal.severity, signal.summary) == (Severity(finding.severity), finding.explanation[:200])
        assert (signal.requires_human_review, signal.is_resolved) == (True, False)
        assert (signal.household_id, signal.command_id, signal.run_id) == (
            HOUSEHOLD,
            ended.run.command_id,
            ended.run.run_id,
        )
    assert [(s.name, s.status) for s in ended.stages] == [
        ("load_ledger", StageStatus.SUCCEEDED),
        ("detect", StageStatus.SUCCEEDED),
        ("raise_signals", StageStatus.SUCCEEDED),
    ]
    detect = ended.stage("detect")
    assert set(detect.provenance) == {i for f in found for i in f.transaction_ids}
    assert detect.confidence == min(f.confidence for f in found)
    assert all(f"{n} {kind}" in detect.outcome_rationale for kind, n in Counter(ended.codes).items())


async def test_what_was_planted_in_the_sample_is_raised(world: LaneWorld) -> None:
    await with_sample(world)
    ended = await sweep(world, NIGHT, lookback=730)
    planted = Counter(p.kind for p in SAMPLE.planted if p.kind in KINDS)
    raised = Counter(ended.codes)
    assert planted
    assert all(raised[kind] >= n for kind, n in planted.items()), (planted, raised)


async def test_only_what_the_lookback_reaches_is_raised(world: LaneWorld) -> None:
    await with_sample(world)
    short = await sweep(world, NIGHT, lookback=7)
    found = find_anomalies(await ledger(world), as_of=NIGHT, lookback_days=7)
    assert len(short.signals) == len(found) < len(find_anomalies(await ledger(world), as_of=NIGHT, lookback_days=730))


async def test_rows_after_the_night_are_left_for_their_own_night(world: LaneWorld) -> None:
    await with_sample(world)
    night = NIGHT - timedelta(days=200)
    ended = await sweep(world, night)
    expected = find_anomalies([t for t in await ledger(world) if t.posted_on <= night], as_of=night, lookback_days=180)
    assert len(ended.signals) == len(expected)
    assert ended.stage("load_ledger").outcome_rationale.endswith(f"up to {night}")


# --------------------------------------------------------------------------------------------------- once, for all time


async def test_a_second_sweep_raises_nothing_again(world: LaneWorld) -> None:
    await with_sample(world)
    first = await sweep(world, NIGHT)
    assert first.signals
    world.clock.advance(86_400)
    second = await sweep(world, NIGHT + timedelta(days=1))
    # the findings are still there to be seen, and none of their signals is new
    assert second.run.status == RunStatus.COMPLETED
    assert second.signals == []
    assert second.stage("raise_signals").outcome_rationale == f"0 new of {len(first.signals)} findings"
    assert (await world.stores.signals.of_run(first.run.run_id)) == first.signals


async def test_a_finding_that_a_person_resolved_is_not_opened_again(world: LaneWorld) -> None:
    await with_sample(world)
    first = await sweep(world, NIGHT)
    stored = await world.stores.signals.read(first.signals[0].signal_id)
    assert stored is not None
    resolved = replace(stored.value, is_resolved=True, resolved_at=world.clock.now(), resolved_by="alice")
    await world.stores.signals.update(resolved, stored.etag)
    await sweep(world, NIGHT + timedelta(days=1))
    again = await world.stores.signals.read(resolved.signal_id)
    assert again is not None
    assert again.value == resolved


async def test_the_household_lists_its_findings_until_they_are_resolved(world: LaneWorld) -> None:
    await with_sample(world)
    first = await sweep(world, NIGHT)
    listed = await world.stores.signals.open_findings(HOUSEHOLD)
    assert {f.signal.signal_id: f.signal for f in listed} == {s.signal_id: s for s in first.signals}
    found = find_anomalies(await ledger(world), as_of=NIGHT, lookback_days=180)
    rows = {ids.finding_signal_id(HOUSEHOLD, finding_key(HOUSEHOLD, f)): f.transaction_ids for f in found}
    assert {f.signal.signal_id: f.transaction_ids for f in listed} == rows
    stored = await world.stores.signals.read(listed[0].signal.signal_id)
    assert stored is not None
    resolved = replace(stored.value, is_resolved=True, resolved_at=world.clock.now(), resolved_by="alice")
    await world.stores.signals.update(resolved, stored.etag)
    await sweep(world, NIGHT + timedelta(days=1))
    assert await world.stores.signals.open_findings(HOUSEHOLD) == listed[1:]
    assert await world.stores.signals.open_findings(OTHER_HOUSEHOLD) == []


async def test_a_later_night_raises_what_is_new_and_nothing_else(world: LaneWorld) -> None:
    await with_sample(world)
    await sweep(world, NIGHT)
    day = NIGHT
    await ingest(world, [coffee(1, day, "-64.20"), coffee(2, day, "-64.20")])
    world.clock.advance(86_400)
    second = await sweep(world, NIGHT + timedelta(days=1))
    assert second.codes == ["duplicate_charge"]
    # a third charge of the same: the finding keeps its identity
    await ingest(world, [coffee(3, day, "-64.20")])
    world.clock.advance(86_400)
    assert (await sweep(world, NIGHT + timedelta(days=2))).signals == []


@pytest.mark.parametrize("nights", [10, pytest.param(60, marks=pytest.mark.slow)])
async def test_night_after_night_with_data_arriving_no_row_is_complained_about_twice(
    world: LaneWorld, nights: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sample's last nights, one after the other, each with the rows of its own day."""
    seen: list[Finding] = []

    def spy(rows: Sequence[Transaction], *, as_of: date, lookback_days: int) -> list[Finding]:
        seen[:] = find_anomalies(rows, as_of=as_of, lookback_days=lookback_days)
        return list(seen)

    monkeypatch.setattr("mosaic_core.lanes.sweep.find_anomalies", spy)
    first = END - timedelta(days=nights)
    await with_sample(world, until=first)
    raised: list[Signal] = []
    explained: Counter[tuple[str, str]] = Counter()
    for n in range(1, nights + 1):
        night = first + timedelta(days=n)
        for account, rows in SAMPLE.accounts.items():
            await ingest(world, [dict(r) for r in rows if r["postedOn"] == night.isoformat()], account)
        ended = await sweep(world, night)
        new = {s.signal_id for s in ended.signals}
        for f in seen:
            if ids.finding_signal_id(HOUSEHOLD, finding_key(HOUSEHOLD, f)) in new:
                explained.update((f.kind, i) for i in f.transaction_ids)
        raised += ended.signals
    assert raised
    assert len({s.signal_id for s in raised}) == len(raised)
    assert [row for row, n in explained.items() if n > 1] == []


# ------------------------------------------------------------------------------------------------ listed, and only once


@pytest.fixture
def tables(world: LaneWorld) -> MemoryTables:
    """Signals and their indexes as they are on tables."""
    tables = MemoryTables()
    world.stores = replace(world.stores, signals=TableSignals(service(tables)))
    return tables


async def test_a_night_that_finds_what_is_known_writes_nothing(world: LaneWorld, tables: MemoryTables) -> None:
    """Neither a signal nor a row that points at one, however many nights it is found again."""
    await with_sample(world)
    first = await sweep(world, NIGHT)
    assert first.signals
    for n in range(1, 4):
        world.clock.advance(86_400)
        before = dict(tables.rows)
        tables.requests.clear()
        again = await sweep(world, NIGHT + timedelta(days=n))
        assert again.stage("raise_signals").outcome_rationale.startswith("0 new of ")
        assert tables.rows == before
        assert {kind for kind, _, _ in tables.requests} == {"query", "read"}


def a_missed_bill(day: date, rows: tuple[str, ...] = ()) -> Finding:
    return Finding(
        kind=FindingKind.MISSED_BILL,
        transaction_ids=rows,
        date=day,
        severity="Warning",
        explanation=f"as of {day}",
        confidence=0.9,
        series="POWER",
        anchor="bill-7",
    )


async def test_a_finding_whose_day_moves_each_night_is_listed_once(
    world: LaneWorld, tables: MemoryTables, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep_module, "find_anomalies", lambda _rows, *, as_of, lookback_days: [a_missed_bill(as_of)])
    for n in range(5):
        await sweep(world, NIGHT + timedelta(days=n))
        world.clock.advance(86_400)
    kinds = [partition.partition("!")[0] for partition, _ in tables.keys(INDEX)]
    assert kinds == ["finding", "run", "signals", "signals"]
    [listed] = await world.stores.signals.open_findings(HOUSEHOLD)
    assert listed.signal.summary == f"as of {NIGHT}"


async def test_a_finding_that_grew_is_listed_with_its_rows(
    world: LaneWorld, tables: MemoryTables, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = ["t-1"]
    monkeypatch.setattr(
        sweep_module, "find_anomalies", lambda _rows, *, as_of, lookback_days: [a_missed_bill(as_of, tuple(rows))]
    )
    for n in range(6):
        if n == 3:
            rows.append("t-2")
        await sweep(world, NIGHT + timedelta(days=n))
        world.clock.advance(86_400)
    assert len([key for key in tables.keys(INDEX) if key[0].startswith("finding")]) == 2
    [listed] = await world.stores.signals.open_findings(HOUSEHOLD)
    assert listed.transaction_ids == ("t-1", "t-2")


async def test_what_an_older_version_raised_without_listing_it_is_listed_by_the_next_sweep(
    world: LaneWorld, tables: MemoryTables
) -> None:
    await with_sample(world)
    first = await sweep(world, NIGHT)
    for key in [key for key in tables.rows if key[1].startswith("finding")]:
        del tables.rows[key]
    assert await world.stores.signals.open_findings(HOUSEHOLD) == []
    again = await sweep(world, NIGHT + timedelta(days=1))
    assert again.signals == []
    listed = await world.stores.signals.open_findings(HOUSEHOLD)
    assert {f.signal.signal_id for f in listed} == {s.signal_id for s in first.signals}


@pytest.mark.parametrize("fault", ["unsent", "lost"])
async def test_wherever_a_sweep_is_cut_off_no_signal_is_without_its_listing(
    world: LaneWorld, tables: MemoryTables, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A finding's index row comes before its signal; what a second attempt adds is what is missing, and no row more."""
    found = [replace(a_missed_bill(NIGHT), anchor=f"bill-{n}") for n in range(4)]
    monkeypatch.setattr(sweep_module, "find_anomalies", lambda _rows, *, as_of, lookback_days: found)
    await world.attempt(Lane.SWEEP, command(world, NIGHT))
    whole, requests = set(tables.rows), len(tables.requests)
    assert requests > 4 * 3
    for number in range(1, requests + 1):
        tables = MemoryTables()
        getattr(tables, fault).add(number)
        world.stores = replace(world.stores, signals=TableSignals(service(tables)))
        body = command(world, NIGHT)
        with pytest.raises(StoreUnreachableError):
            await world.attempt(Lane.SWEEP, body)
        listed = await world.stores.signals.listed_findings(HOUSEHOLD)
        for row in [row for (table, _, _), (row, _) in tables.rows.items() if table == SIGNALS]:
            assert row["SignalId"] in listed
            assert (INDEX, f"run!{row['RunId']}", row["SignalId"]) in tables.rows
        await world.attempt(Lane.SWEEP, body)
        assert set(tables.rows) == whole


async def test_a_sweep_that_is_cut_off_leaves_no_thread_at_work(
    world: LaneWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = command(world, NIGHT)
    assert await cut_off_in("mosaic_core.lanes.sweep.find_anomalies", monkeypatch, world, Lane.SWEEP, body)


async def test_after_a_write_that_failed_no_other_finding_is_written(world: LaneWorld, tables: MemoryTables) -> None:
    """The siblings of the one whose request had no answer are over before the attempt is."""
    await with_sample(world)
    tables.unsent.add(5)
    with pytest.raises(StoreUnreachableError):
        await world.attempt(Lane.SWEEP, command(world, NIGHT))
    written, requests = dict(tables.rows), len(tables.requests)
    for _ in range(50):
        await asyncio.sleep(0)
    assert (tables.rows, len(tables.requests)) == (written, requests)


async def test_a_sweep_that_was_cut_off_raises_the_rest_once(world: LaneWorld) -> None:
    await with_sample(world)
    signals = world.stores.signals

    class Torn(MemorySignals):
        landed = 0

        async def insert(self, signal: Signal) -> ETag | None:
            if self.landed == 2:
                raise StoreUnreachableError("no answer")
            self.landed += 1
            return await signals.insert(signal)

    body = command(world, NIGHT)
    torn = await world.deliver(Lane.SWEEP, body, stores=replace(world.stores, signals=Torn(world.clock)))
    assert isinstance(torn.settlement, Reschedule)
    assert len(torn.signals) == 2
    world.clock.advance(60)
    ended = await world.deliver(Lane.SWEEP, body)
    assert (ended.run.status, ended.run.attempt) == (RunStatus.COMPLETED, 2)
    found = find_anomalies(await ledger(world), as_of=NIGHT, lookback_days=180)
    findings = [s for s in ended.signals if s.signal_code != "worker_command_failed"]
    assert len(findings) == len(found) > 2


# ------------------------------------------------------------------------------------------------------ nothing to find


async def test_an_ordinary_ledger_has_nothing_to_find(world: LaneWorld) -> None:
    await ingest(world, [coffee(n, NIGHT - timedelta(days=3 * n + n % 2), f"-4.{40 + n % 30}") for n in range(1, 40)])
    ended = await sweep(world, NIGHT)
    assert (ended.run.status, ended.signals) == (RunStatus.COMPLETED, [])
    assert ended.stage("detect").outcome_rationale == "nothing unusual"
    assert ended.stage("raise_signals").outcome_rationale == "0 new of 0 findings"


async def test_an_empty_ledger_is_swept(world: LaneWorld) -> None:
    ended = await sweep(world, NIGHT)
    assert (ended.settlement, ended.run.status, ended.signals) == (Complete(), RunStatus.COMPLETED, [])
    assert ended.stage("load_ledger").outcome_rationale == f"0 transactions up to {NIGHT}"


async def test_another_households_ledger_is_not_looked_at(world: LaneWorld) -> None:
    await with_sample(world)
    ended = await sweep(world, NIGHT, household=OTHER_HOUSEHOLD)
    assert (ended.signals, ended.stage("detect").provenance) == ([], ())


async def test_another_lanes_command_is_refused(world: LaneWorld) -> None:
    payload = AgentMessagePosted(
        household_id=HOUSEHOLD, conversation_id=CONVERSATION, household_user_id=USER, message="hello"
    )
    body = world.command(CommandType.AGENT_MESSAGE_POSTED, payload)
    with pytest.raises(LaneError) as raised:
        await sweep_lane(world.context(Lane.CONVERSATION, body))
    assert raised.value.code == "unsupported_command_type"
