"""What the table stores ask of Table Storage: in which order, how often, and what is left where a request fails."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mosaic_core.adapters import record_rows
from mosaic_core.adapters.tables import stores as table_stores
from mosaic_core.adapters.tables.keys import encode, join
from mosaic_core.adapters.tables.stores import (
    INDEX,
    LEDGER,
    SIGNALS,
    TableApprovals,
    TableCommands,
    TableHouseholds,
    TableLedger,
    TableSignals,
)
from mosaic_core.domain.errors import StoreUnreachableError
from mosaic_core.domain.lifecycle import ApprovalStatus
from mosaic_core.domain.policy.approval import due_at
from mosaic_core.domain.records import Signal
from mosaic_ops.memory.stores import MemoryBlobs
from tests.support import records
from tests.support.records import NOW, new_id
from tests.support.tables import MemoryTables, service

DAY = date(2026, 11, 24)


@pytest.fixture
def tables() -> MemoryTables:
    return MemoryTables()


def signal(**changes: object) -> Signal:
    return replace(records.SIGNAL, signal_id=new_id(), is_resolved=False, **changes)  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------------------------------- signals


@pytest.mark.parametrize("fault", ["unsent", "lost"])
@pytest.mark.parametrize("number", [1, 2, 3, 4, 5])
async def test_a_signals_index_rows_come_before_the_row(tables: MemoryTables, number: int, fault: str) -> None:
    """Whichever request fails: a signal that is there is found with its run, and on the lists."""
    getattr(tables, fault).add(number)
    store, raised = TableSignals(service(tables)), signal(message_id="another")

    async def is_found() -> bool:
        lists = [[s.signal_id async for s in store.listed([raised.queue], open_only=o)] for o in (True, False)]
        return lists == [[raised.signal_id]] * 2 and await store.about("another") == [raised]

    with pytest.raises(StoreUnreachableError):
        await store.insert(raised)
    assert raised.run_id is not None
    if await store.read(raised.signal_id) is not None:
        assert await store.of_run(raised.run_id) == [raised]
        assert await is_found()
    assert [table for _, table, _ in tables.requests[:number]] == [*[INDEX] * 4, SIGNALS][:number]
    await store.insert(raised)
    assert await store.of_run(raised.run_id) == [raised]
    assert await is_found()


@pytest.mark.parametrize("fault", ["unsent", "lost"])
@pytest.mark.parametrize("number", range(1, 5))
@pytest.mark.parametrize("reopened", [False, True])
async def test_wherever_an_update_is_cut_off_an_open_signal_is_listed(
    tables: MemoryTables, number: int, fault: str, reopened: bool
) -> None:
    store, raised = TableSignals(service(tables)), signal(run_id=None)
    await store.insert(raised)
    resolved = replace(raised, is_resolved=True)
    if reopened:
        stored = await store.read(raised.signal_id)
        assert stored is not None
        await store.update(resolved, stored.etag)
    stored = await store.read(raised.signal_id)
    assert stored is not None
    getattr(tables, fault).add(len(tables.requests) + number)
    with suppress(StoreUnreachableError):
        await store.update(raised if reopened else resolved, stored.etag)
    getattr(tables, fault).clear()
    stored = await store.read(raised.signal_id)
    assert stored is not None
    if not stored.value.is_resolved:
        assert [s.signal_id async for s in store.listed([raised.queue], open_only=True)] == [raised.signal_id]


async def test_who_resolves_and_who_reopens_at_once_leave_an_open_signal_listed(tables: MemoryTables) -> None:
    """Every way in which the requests of the two come in between each other."""
    for steps in range(12):
        store, raised = TableSignals(service(tables)), signal(run_id=None)
        await store.insert(raised)
        stored = await store.read(raised.signal_id)
        assert stored is not None
        resolving = asyncio.ensure_future(store.update(replace(raised, is_resolved=True), stored.etag))
        for _ in range(steps):
            await asyncio.sleep(0)
        there = await store.read(raised.signal_id)
        assert there is not None
        reopened = await store.update(replace(raised, attempt=9), there.etag)
        await resolving
        there = await store.read(raised.signal_id)
        assert there is not None
        listed = [s.signal_id async for s in store.listed([raised.queue], open_only=True)]
        assert (raised.signal_id in listed) is not there.value.is_resolved
        assert reopened is None or not there.value.is_resolved


async def test_who_takes_a_row_off_the_list_looks_whether_the_signal_was_opened_meanwhile(
    tables: MemoryTables, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, raised = TableSignals(service(tables)), signal(run_id=None)
    await store.insert(raised)
    stored = await store.read(raised.signal_id)
    assert stored is not None
    delete, late = tables.delete, [True]

    async def deleting(*row: Any) -> bool:
        if late.pop():  # all of the opening comes before the removal of the row
            late.append(False)
            there = await store.read(raised.signal_id)
            assert there is not None
            assert await store.update(replace(raised, attempt=9), there.etag)
        return await delete(*row)

    monkeypatch.setattr(tables, "delete", deleting)
    await store.update(replace(raised, is_resolved=True), stored.etag)
    assert [s.signal_id async for s in store.listed([raised.queue], open_only=True)] == [raised.signal_id]


async def test_a_signal_that_is_raised_again_at_another_time_leaves_no_row_on_the_list(tables: MemoryTables) -> None:
    store, raised = TableSignals(service(tables)), signal()
    await store.insert(raised)
    for minutes in range(1, 4):
        assert await store.insert(replace(raised, raised_at=NOW + timedelta(minutes=minutes))) is None
    assert len([s async for s in store.listed([raised.queue], open_only=True)]) == 1
    stored = await store.read(raised.signal_id)
    assert stored is not None
    await store.update(replace(raised, is_resolved=True), stored.etag)
    assert await store.insert(raised) is None
    assert [s async for s in store.listed([raised.queue], open_only=True)] == []


# ------------------------------------------------------------------------------------------------- lists of commands


async def test_a_queues_commands_are_read_day_by_day_and_only_as_far_as_they_are_asked_for(
    tables: MemoryTables,
) -> None:
    store = TableCommands(service(tables), MemoryBlobs())
    for days in (0, 1, 400):
        for n in range(3):
            at = NOW - timedelta(days=days, seconds=n)
            await store.list_recorded(replace(records.COMMAND, command_id=f"{days:03}-{n}", recorded_at=at))
    tables.requests.clear()
    found = [c.command_id async for c in store.listed([records.COMMAND.queue])]
    assert found == ["000-0", "000-1", "000-2", "001-0", "001-1", "001-2", "400-0", "400-1", "400-2"]
    # one range over all of the queue's days
    assert [kind for kind, _, _ in tables.requests] == ["query"]
    tables.requests.clear()
    since = [c.command_id async for c in store.listed([records.COMMAND.queue], since=NOW - timedelta(days=1))]
    assert since == found[:4]
    assert {kind for kind, _, _ in tables.requests} == {"query"}
    assert len(tables.requests) <= 2
    tables.requests.clear()
    async for one in store.listed([records.COMMAND.queue]):
        if one.command_id == "000-1":
            rest = [c.command_id async for c in store.listed([records.COMMAND.queue], after=one.place)]
            break
    assert rest == found[2:]


async def test_findings_that_older_versions_listed_under_many_days_hide_no_others(tables: MemoryTables) -> None:
    store, household = TableSignals(service(tables)), new_id()
    moved, other = signal(household_id=household), signal(household_id=household)
    for one in (moved, other):
        await store.insert(one)
    await store.index_finding(household, other.signal_id, day=DAY - timedelta(days=400), transaction_ids=["t/1"])
    for n in range(300):
        await store.index_finding(household, moved.signal_id, day=DAY - timedelta(days=n), transaction_ids=[str(n)])
    found = await store.open_findings(household)
    assert [(f.signal, f.transaction_ids) for f in found] == [(moved, ("0",)), (other, ("t/1",))]
    listed = await store.listed_findings(household)
    assert listed == {moved.signal_id: {str(n) for n in range(300)}, other.signal_id: {"t/1"}}


async def test_a_finding_that_is_listed_without_end_costs_ten_pages(tables: MemoryTables) -> None:
    store, household = TableSignals(service(tables)), new_id()
    for n in range(1200):
        await store.index_finding(household, "s", day=DAY - timedelta(days=n), transaction_ids=[])
    tables.requests.clear()
    assert await store.open_findings(household) == []
    assert [kind for kind, _, _ in tables.requests] == ["query"] * 10 + ["read"]


# ----------------------------------------------------------------------------------------------------------- approvals


@pytest.mark.parametrize("fault", ["unsent", "lost"])
@pytest.mark.parametrize("number", [1, 2, 3])
async def test_an_approval_that_is_there_is_listed_and_will_be_due(
    tables: MemoryTables, number: int, fault: str
) -> None:
    """Whichever request fails: what a person can decide is shown to them, and time ends it."""
    store, asked = (
        TableApprovals(service(tables), lambda: NOW),
        replace(records.APPROVAL, status=ApprovalStatus.PENDING),
    )
    household = asked.household_id

    async def is_found() -> bool:
        listed = [await store.of_household(household, status) for status in (ApprovalStatus.PENDING, None)]
        due = await store.due(due_at(asked) + timedelta(days=1), 400)
        return listed == [[asked], [asked]] and due == [record_rows.first_due(asked)]

    assert not await is_found()  # from here on nothing looks for approvals that an earlier version did not list
    getattr(tables, fault).add(len(tables.requests) + number)
    with pytest.raises(StoreUnreachableError):
        await store.insert(asked)
    assert await is_found() or await store.read(household, asked.approval_id) is None
    await store.insert(asked)
    assert await is_found()


@pytest.mark.parametrize("fault", ["unsent", "lost"])
@pytest.mark.parametrize("number", [1, 2, 3])
async def test_what_is_put_off_is_due_whichever_request_fails(tables: MemoryTables, number: int, fault: str) -> None:
    store = TableApprovals(service(tables), lambda: NOW)
    await store.insert(replace(records.APPROVAL, approval_id="a", expires_at=NOW))
    (first,) = await store.due(NOW + timedelta(days=1), 400)
    later = replace(first, due_at=NOW + timedelta(days=2), generation=1)
    getattr(tables, fault).add(len(tables.requests) + number)
    with pytest.raises(StoreUnreachableError):
        await store.postpone(first, later)
    assert {due.approval_id for due in await store.due(NOW + timedelta(days=3), 400)} == {"a"}
    await store.postpone(first, later)
    assert await store.due(NOW + timedelta(days=3), 400) == [later]


# -------------------------------------------------------------------------------------------------------------- ledger


async def test_a_first_attempt_reads_nothing_back(tables: MemoryTables) -> None:
    ledger = TableLedger(service(tables), lambda: NOW)
    batch = [replace(records.TRANSACTION, transaction_id=f"t{n:03}") for n in range(150)]
    write = await ledger.insert_all("h", batch, run_id="r", batch_id="b")
    assert (len(write.inserted), write.standing) == (150, {})
    assert tables.requests == [("transaction", LEDGER, "h")] * 2


async def test_what_stands_is_read_back_with_what_it_was_stored_with(tables: MemoryTables) -> None:
    ledger = TableLedger(service(tables), lambda: NOW)
    batch = [replace(records.TRANSACTION, transaction_id=f"t{n:03}", category="TRAVEL") for n in range(150)]
    await ledger.insert_all("h", batch[:120], run_id="first", batch_id="b")
    tables.requests.clear()
    later = [replace(t, category="INCOME", category_confidence=0.1, category_source="later") for t in batch]
    write = await ledger.insert_all("h", later, run_id="second", batch_id="b")
    assert write.inserted == tuple(t.transaction_id for t in batch[120:])
    assert write.present == tuple(write.standing) == tuple(t.transaction_id for t in batch[:120])
    assert [row.transaction for row in write.standing.values()] == batch[:120]
    assert {row.run_id for row in write.standing.values()} == {"first"}
    # a refused transaction and the range that it spans, twice; then what is left
    assert [kind for kind, _, _ in tables.requests] == ["transaction", "query", "transaction", "query", "transaction"]


@pytest.mark.parametrize("among", [0, 3000])
async def test_what_stands_is_found_among_many_others(tables: MemoryTables, among: int) -> None:
    ledger = TableLedger(service(tables), lambda: NOW)
    row = record_rows.encode_transaction(records.TRANSACTION, run_id="x", batch_id="x", recorded_at=NOW)
    for n in range(among):
        tables.rows[(LEDGER, "h", f"t{n:05}-other")] = (row, "e")
    batch = [replace(records.TRANSACTION, transaction_id=f"t{n * 300:05}", category="TRAVEL") for n in range(10)]
    await ledger.insert_all("h", batch, run_id="first", batch_id="b")
    tables.requests.clear()
    write = await ledger.insert_all("h", batch, run_id="second", batch_id="b")
    assert [row.transaction for row in write.standing.values()] == batch
    assert len(tables.requests) <= 1 + 2 + len(batch)


@pytest.mark.parametrize("named", [1, 16, 40])
async def test_rows_are_read_by_their_ids_at_the_cost_of_what_is_named(tables: MemoryTables, named: int) -> None:
    """However large the ledger is: a few by a request each, all at once; more by at most one page beside."""
    ledger = TableLedger(service(tables), lambda: NOW)
    row = record_rows.encode_transaction(records.TRANSACTION, run_id="x", batch_id="x", recorded_at=NOW)
    for n in range(3000):
        tables.rows[(LEDGER, "h", f"t{n:05}-other")] = (row, "e")
    batch = [replace(records.TRANSACTION, transaction_id=f"t{n * 70:05}") for n in range(named)]
    await ledger.insert_all("h", batch, run_id="first", batch_id="b")
    tables.requests.clear()
    found = await ledger.named("h", [*(t.transaction_id for t in batch), "not-there"])
    assert found == {t.transaction_id: t for t in batch}
    kinds = [kind for kind, _, _ in tables.requests]
    assert set(kinds) <= {"read", "query"}
    assert len(kinds) <= named + 2
    assert "query" not in kinds or named >= 16
    tables.requests.clear()
    assert await ledger.named("h", []) == {}
    assert tables.requests == []


async def test_a_row_of_a_version_that_did_not_keep_all_of_it_still_stands(tables: MemoryTables) -> None:
    ledger = TableLedger(service(tables), lambda: NOW)
    await ledger.insert_all("h", [records.TRANSACTION], run_id="r", batch_id="b")
    (key,) = tables.rows
    kept = {"ContentHash": tables.rows[key][0]["ContentHash"], "Category": "TRAVEL"}
    tables.rows[key] = (kept, "e")
    write = await ledger.insert_all("h", [records.TRANSACTION], run_id="r", batch_id="b")
    (stands,) = write.standing.values()
    assert (stands.transaction.category, stands.transaction.category_confidence, stands.run_id) == ("TRAVEL", 0.0, "")


# ---------------------------------------------------------------------------------------------------------- households


async def test_marks_of_one_month_do_not_queue_at_one_partition(tables: MemoryTables) -> None:
    households = TableHouseholds(service(tables))
    for n in range(400):
        await households.mark_active(f"a11ce{n:027x}", DAY)
    partitions = {partition for partition, _ in tables.keys(INDEX)}
    assert len(partitions) == 16
    busiest = max(sum(at == partition for at, _ in tables.keys(INDEX)) for partition in partitions)
    assert busiest < 60


async def test_a_household_is_marked_once_in_a_month_by_a_process(tables: MemoryTables) -> None:
    households, household = TableHouseholds(service(tables)), new_id()
    for day in (DAY, DAY + timedelta(days=1), DAY, DAY + timedelta(days=30)):
        await households.mark_active(household, day)
    assert [kind for kind, _, _ in tables.requests] == ["insert"] * 2
    # another process does not know, and changes nothing
    await TableHouseholds(service(tables)).mark_active(household, DAY)
    assert len(tables.requests) == 3
    assert len(tables.keys(INDEX)) == 2


async def test_a_mark_without_an_answer_is_made_again(tables: MemoryTables) -> None:
    tables.unsent.add(1)
    households, household = TableHouseholds(service(tables)), new_id()
    with pytest.raises(StoreUnreachableError):
        await households.mark_active(household, DAY)
    await households.mark_active(household, DAY)
    assert [h async for h in households.active("202611")] == [household]


async def test_what_a_process_remembers_is_bounded(tables: MemoryTables, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_stores, "MARKS_REMEMBERED", 2)
    households = TableHouseholds(service(tables))
    for household in ("a", "b", "a", "c", "a", "b"):
        await households.mark_active(household, DAY)
    # "b" was the one not asked for longest
    assert len(tables.requests) == 4


@settings(max_examples=60, deadline=None)
@given(
    marked=st.sets(st.integers(0, 400), max_size=80),
    of_older_versions=st.sets(st.integers(0, 400), max_size=80),
    after=st.integers(-1, 401),
)
async def test_active_households_are_ascending_and_exact_over_old_and_new_marks(
    marked: set[int], of_older_versions: set[int], after: int
) -> None:
    tables = MemoryTables()
    households = TableHouseholds(service(tables))
    for n in marked:
        await households.mark_active(f"{n:032x}", DAY)
    for n in of_older_versions:
        place = (INDEX, join("active", "202611"), encode(f"{n:032x}"))
        tables.rows[place] = ({"HouseholdId": f"{n:032x}"}, "e")
    expected = [f"{n:032x}" for n in sorted(marked | of_older_versions)]
    assert [h async for h in households.active("202611")] == expected
    cursor = f"{after:032x}" if after >= 0 else ""
    assert [h async for h in households.active("202611", cursor)] == [h for h in expected if h > cursor]
    assert [h async for h in households.active("202612")] == []


async def test_active_households_are_read_as_they_are_asked_for(tables: MemoryTables) -> None:
    households = TableHouseholds(service(tables))
    for n in range(5000):
        household = f"{n:032x}"
        tables.rows[(INDEX, join("active", "202611"), household)] = ({"HouseholdId": household}, "e")
    async for household in households.active("202611"):
        if household == f"{250:032x}":
            break
    assert len(tables.requests) == 17 + 2
