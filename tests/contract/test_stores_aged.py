"""What is old and its removal, on Table and Blob Storage: whole walks, a page at a time, and nothing left behind."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from mosaic_core.adapters.record_rows import Row
from mosaic_core.adapters.tables import TableStores
from mosaic_core.adapters.tables.stores import (
    COMMANDS,
    DECISIONS,
    INDEX,
    KEYS,
    RUNS,
    SIGNALS,
    STAGES,
    TABLES,
    lists_of_signal,
)
from mosaic_core.domain import ids
from mosaic_core.domain.lanes import Lane
from mosaic_core.domain.lifecycle import AttemptOutcome, KeyStatus
from mosaic_core.services import reconciler as reconciler_module
from mosaic_core.services.reconciler import Reconciler
from mosaic_core.services.retention import Ages, Retention
from mosaic_ops.memory.messaging import ManualClock, MemoryBroker, MemoryPublisher
from tests.support import records
from tests.unit.test_retention import CONVERSATION, HOUSEHOLD, QUEUE, leave


async def counted(opened: TableStores) -> dict[str, int]:
    async def count(table: str) -> int:
        rows, token, total = await opened.tables.page(table, [], select=["PartitionKey"], size=1000, token=""), "", 0
        while True:
            total += len(rows[0])
            token = rows[1]
            if not token:
                return total
            rows = await opened.tables.page(table, [], select=["PartitionKey"], size=1000, token=token)

    return {table: await count(table) for table in TABLES}


@pytest.mark.slow
async def test_hundreds_of_expired_commands_are_levelled_and_nothing_live_is_touched(opened: TableStores) -> None:
    stores, now = opened.stores, datetime.now(UTC)
    numbers = range(1, 261)
    old, young = now - timedelta(days=100), now - timedelta(days=3)
    gate = asyncio.Semaphore(8)

    async def one(number: int, at: datetime, outcome: AttemptOutcome = AttemptOutcome.SUCCEEDED) -> None:
        async with gate:
            await leave(stores, number, at, outcome=outcome)

    await asyncio.gather(*(one(number, old) for number in numbers))
    await asyncio.gather(*(one(number, young) for number in range(1001, 1011)))
    await one(2001, old, AttemptOutcome.FAILED)  # nobody has seen to it
    await stores.households.mark_active(HOUSEHOLD, date(2024, 1, 1))
    clock = ManualClock(now)
    retention = Retention(stores=stores, clock=clock, ages=Ages())
    reports = [await retention.tick() for _ in range(3)]
    assert reports[0].removed >= 260
    assert reports[-1].removed == 0
    left = await counted(opened)
    # the cursors are rows of the index; the failed one has its listing and its signal's
    live = {COMMANDS: 11, RUNS: 11, STAGES: 22, KEYS: 10, SIGNALS: 1, DECISIONS: 271}
    assert {table: left[table] for table in live} == live
    listed = [c async for _, c in stores.commands.conversation(HOUSEHOLD, CONVERSATION)]
    assert len(listed) == 11
    partitions = [p async for p in opened.tables.partitions(INDEX, "active!")]
    assert partitions == []
    for household_id in (HOUSEHOLD, None):
        assert len([c async for c in stores.commands.listed([QUEUE], household_id=household_id)]) == 11
    assert await stores.keys.read(QUEUE, f"{2001:032x}") is None
    assert await stores.runs.read(ids.run_id(QUEUE, f"{2001:032x}")) is not None


async def test_a_walk_is_cut_into_pages_and_passes_what_is_young(opened: TableStores) -> None:
    stores, now = opened.stores, datetime.now(UTC)
    for number in range(1, 26):
        at = now - timedelta(days=100 if number % 2 else 1)
        await stores.commands.insert(replace(records.COMMAND, command_id=f"{number:032x}", recorded_at=at))
    found, cursor, pages = list[str](), "", 0
    while True:
        page = await stores.aged.commands(now - timedelta(days=90), cursor, 4)
        assert len(page.items) <= 4
        found += [stored.value.command_id for stored in page.items]
        # what was removed meanwhile moves no page
        for stored in page.items:
            assert await stores.aged.remove_command(stored.value, stored.etag)
        cursor, pages = page.cursor, pages + 1
        if not cursor:
            break
    assert found == [f"{number:032x}" for number in range(1, 26, 2)]
    assert pages >= 4


async def test_envelopes_and_blobs_go_and_what_is_put_again_counts_as_new(opened: TableStores) -> None:
    stores = opened.stores
    large = replace(records.COMMAND, command_id=f"{1:032x}", envelope='{"payload": {}, "x": "' + "y" * 40_000 + '"}')
    await stores.commands.insert(large)
    later = datetime.now(UTC) + timedelta(days=1000)
    page = await stores.aged.commands(later, "", 100)
    [stored] = [s for s in page.items if s.value.command_id == large.command_id]
    assert await stores.blobs.get(stored.value.envelope_blob) is not None
    assert not await stores.aged.remove_command(stored.value, "W/\"datetime'2020-01-01T00%3A00%3A00.0000000Z'\"")
    assert await stores.blobs.get(stored.value.envelope_blob) is not None
    assert await stores.aged.remove_command(stored.value, stored.etag)
    assert await stores.blobs.get(stored.value.envelope_blob) is None
    assert await stores.commands.read(large.command_id) is None

    for number in range(5):
        await stores.blobs.put(f"agent/h/turn/{number}", b"x")
    first = await stores.aged.blobs(later, "", 3)
    second = await stores.aged.blobs(later, first.cursor, 3)
    names = [stored.value for stored in (*first.items, *second.items)]
    assert names == [f"agent/h/turn/{number}" for number in range(5)]
    assert (len(first.items), second.cursor) == (3, "")
    assert (await stores.aged.blobs(datetime(2020, 1, 1, tzinfo=UTC), "", 100)).items == []
    etags = {stored.value: stored.etag for stored in (*first.items, *second.items)}
    await stores.blobs.put(names[0], b"other")
    assert await stores.blobs.get(names[0]) == b"x"
    await stores.aged.keep_blob(names[1])
    await stores.aged.keep_blob("agent/none")
    assert [await stores.aged.remove_blob(name, etags[name]) for name in names[:3]] == [False, False, True]
    assert [await stores.blobs.get(name) is not None for name in names[:3]] == [True, True, False]


async def test_signals_keys_and_conversations_go_with_what_lists_them(opened: TableStores) -> None:
    stores, at = opened.stores, datetime(2025, 1, 1, tzinfo=UTC)
    signal = replace(records.SIGNAL, raised_at=at)
    for day in (date(2024, 12, 1), date(2024, 12, 2)):
        await stores.signals.index_finding(
            signal.household_id or "", signal.signal_id, day=day, transaction_ids=["a/b'c"]
        )
    other = replace(signal, signal_id="other", raised_at=datetime.now(UTC))
    await stores.signals.index_finding(
        other.household_id or "", other.signal_id, day=date(2024, 12, 3), transaction_ids=[]
    )
    for one in (signal, other):
        await stores.signals.insert(one)
    [stored] = (await stores.aged.signals(at + timedelta(days=1), "", 10)).items
    assert stored.value == signal
    assert await stores.aged.remove_signal(stored.value, stored.etag)
    assert list(await stores.signals.listed_findings(signal.household_id or "")) == ["other"]
    assert await stores.signals.of_run(signal.run_id or "") == [other]

    for name, status in (("final", KeyStatus.REJECTED), ("held", KeyStatus.RESERVED)):
        key = replace(records.KEY, command_id=name, status=status, expires_at=at, finalized_at=at)
        await stores.keys.insert(key)
    unexpired = replace(
        records.KEY, command_id="young", finalized_at=at, expires_at=datetime.now(UTC) + timedelta(hours=1)
    )
    await stores.keys.insert(unexpired)
    keys = (await stores.aged.keys(datetime.now(UTC), "", 10)).items
    assert [one.value.command_id for one in keys] == ["final"]
    assert await stores.aged.remove_key(keys[0].value, keys[0].etag)
    assert await stores.keys.read(keys[0].value.queue, "final") is None

    await stores.conversations.insert(replace(records.CONVERSATION, last_modified_at=at))
    [found] = (await stores.aged.conversations(at + timedelta(days=1), "", 10)).items
    assert (found.value.conversation_id, found.value.turns) == (records.CONVERSATION.conversation_id, ())
    assert await stores.aged.remove_conversation(found.value, found.etag)
    assert (await stores.aged.conversations(at + timedelta(days=1), "", 10)).items == []


async def places(opened: TableStores) -> set[tuple[str, str]]:
    """Rows of the operators' lists, by kind and what they name."""
    rows, token = await opened.tables.page(
        INDEX, [], select=["PartitionKey", "RowKey", "SignalId", "CommandId"], size=1000, token=""
    )
    assert not token
    found = set()
    for row, _ in rows:
        kind = str(row["PartitionKey"]).partition("!")[0]
        of_kind = f" {str(row['RowKey']).partition('!')[0]}" if kind == "signals" else ""
        if kind in {"about", "commands", "recent", "signals"}:
            found.add((kind + of_kind, str(row.get("SignalId") or row.get("CommandId"))))
    return found


async def test_the_operators_lists_go_with_what_they_name(opened: TableStores) -> None:
    stores, at = opened.stores, datetime(2025, 1, 1, tzinfo=UTC)
    gone = replace(records.SIGNAL, signal_id="gone", raised_at=at, message_id="m-1")
    kept = replace(records.SIGNAL, signal_id="kept", raised_at=at, message_id="m-1", is_resolved=False)
    kept = replace(kept, resolved_at=None, resolved_by=None, resolution_note=None)
    for signal in (gone, kept):
        await stores.signals.insert(signal)
    commands = [replace(records.COMMAND, command_id=f"{n:032x}", recorded_at=at) for n in (1, 2)]
    for command in commands:
        await stores.commands.insert(command)
        await stores.commands.list_recorded(command)
    removed = {s.value.signal_id: s for s in (await stores.aged.signals(datetime.now(UTC), "", 10)).items}
    assert not await stores.aged.remove_signal(removed["kept"].value, removed["gone"].etag), "written since"
    assert await stores.aged.remove_signal(removed["gone"].value, removed["gone"].etag)
    for stored in (await stores.aged.commands(datetime.now(UTC), "", 1)).items:
        assert await stores.aged.remove_command(stored.value, stored.etag)
    assert await places(opened) == {
        ("signals all", "kept"),
        ("signals open", "kept"),
        ("about", "kept"),
        ("commands", f"{2:032x}"),
        ("recent", f"{2:032x}"),
    }


async def test_rows_of_lists_that_name_nothing_go_when_they_are_old(opened: TableStores) -> None:
    stores, now = opened.stores, datetime.now(UTC)
    at = now - timedelta(days=1)
    command = replace(records.COMMAND, recorded_at=at)
    signal = replace(records.SIGNAL, raised_at=at, is_resolved=False, resolved_at=None, resolved_by=None)
    await stores.commands.insert(command)
    await stores.signals.insert(signal)
    await stores.commands.list_recorded(command)
    wanted = await places(opened)
    # listed, and never written; listed at another time
    await stores.commands.list_recorded(replace(command, command_id=f"{9:032x}"))
    await stores.commands.list_recorded(replace(command, recorded_at=at - timedelta(days=1)))
    never = replace(signal, signal_id="never", message_id="m-9")
    earlier = replace(signal, raised_at=at - timedelta(hours=1))
    for listed in (never, earlier):
        for partition, row_key in lists_of_signal(listed):
            await opened.tables.insert(INDEX, partition, row_key, {"SignalId": listed.signal_id})
    assert len(await places(opened)) > len(wanted)
    young = Retention(stores=stores, clock=ManualClock(now), ages=Ages())
    assert (await young.tick()).removed == 0
    ages = Ages(commands=timedelta(days=90), keys=None, conversations=None, blobs=None)
    later = Retention(stores=stores, clock=ManualClock(now + timedelta(days=88)), ages=ages)
    assert (await later.tick()).removed == 0, "the rows are young, whatever they name"
    ages = replace(ages, commands=timedelta(days=-1), signals=None)
    page = await stores.aged.listings(now + timedelta(days=1), "", 2)
    walked = list(page.items)
    while page.cursor:
        page = await stores.aged.listings(now + timedelta(days=1), page.cursor, 2)
        assert len(page.items) <= 2
        walked += page.items
    assert len(walked) == len({(one.value.partition, one.value.row_key) for one in walked})
    retention = Retention(stores=stores, clock=ManualClock(now), ages=ages)
    for stored in walked:
        await retention._listing(stored, now)
    assert await places(opened) == wanted
    assert [s.signal_id async for s in stores.signals.listed([signal.queue], open_only=True)] == [signal.signal_id]
    assert len([c async for c in stores.commands.listed([QUEUE])]) == 1


async def test_the_reconciler_takes_off_what_is_not_open_any_more(opened: TableStores) -> None:
    stores, now = opened.stores, datetime.now(UTC)
    clock = ManualClock(now)
    broker = MemoryBroker(clock)
    reconciler = Reconciler(
        stores=stores, browser=broker, publisher=MemoryPublisher(), clock=clock, queues={Lane.CONVERSATION: QUEUE},
        policy_version="1",
    )  # fmt: skip
    at = now - timedelta(hours=2)
    there = replace(records.SIGNAL, queue=QUEUE, raised_at=at, is_resolved=False, resolved_at=None, resolved_by=None)
    for name, raised_at in (("open", at), ("young", now)):
        await stores.signals.insert(replace(there, signal_id=name, raised_at=raised_at))
    resolved = replace(there, signal_id="resolved", is_resolved=True, resolved_at=now, resolved_by="o")
    await stores.signals.insert(resolved)
    cut_off = [
        resolved,
        replace(there, signal_id="gone"),
        replace(there, signal_id="open", raised_at=at - timedelta(1)),
    ]
    to_come = replace(there, signal_id="to come", raised_at=now)
    for signal in (*cut_off, to_come):
        [_, place, *_] = lists_of_signal(signal)
        row: Row = {"SignalId": signal.signal_id, "Severity": "Error", "SignalCode": "x", "HouseholdId": ""}
        await opened.tables.insert(INDEX, *place, row)
    await reconciler.tick()
    listed = [(s.signal_id, s.raised_at) async for s in stores.signals.listed([QUEUE], open_only=True)]
    assert sorted(listed) == sorted([("open", at), ("young", now), ("to come", now)])


async def test_the_list_of_open_signals_is_looked_through_a_piece_a_tick(
    opened: TableStores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconciler_module, "OPEN_SIGNALS", 2)
    stores, now = opened.stores, datetime.now(UTC)
    clock = ManualClock(now)
    reconciler = Reconciler(
        stores=stores, browser=MemoryBroker(clock), publisher=MemoryPublisher(), clock=clock,
        queues={Lane.CONVERSATION: QUEUE}, policy_version="1",
    )  # fmt: skip
    for number in range(5):
        signal = replace(
            records.SIGNAL, queue=QUEUE, signal_id=f"s{number}", raised_at=now - timedelta(hours=9 - number)
        )
        is_open = number > 1  # the oldest two are not
        await opened.tables.insert(INDEX, *lists_of_signal(signal)[1], {"SignalId": f"s{number}", "Severity": "Error"})
        if is_open:
            await stores.signals.insert(replace(signal, is_resolved=False, resolved_at=None, resolved_by=None))

    async def listed() -> list[str]:
        return [s.signal_id async for s in stores.signals.listed([QUEUE], open_only=True)]

    counts = []
    for _ in range(4):
        await reconciler.tick()
        counts.append(len(await listed()))
    assert (counts[0], counts[-1]) == (5, 3)
    assert await listed() == ["s4", "s3", "s2"]
