"""A household's erasure and export over Table and Blob Storage: every row of every table is looked at."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime

import pytest

from mosaic_core.adapters.tables import TABLES, TableStores
from mosaic_core.domain.errors import RequestError, StoreUnreachableError
from mosaic_core.domain.households import HouseholdKind
from mosaic_core.services.households import sources
from mosaic_ops.memory.messaging import ManualClock, MemoryBroker
from tests.support.faults import Plan, ProcessDied, faulty_stores
from tests.support.households import ONE, OTHER, Filled, fill, service


async def everything(opened: TableStores) -> list[str]:
    """Every row, with its time of writing left out, and every blob. The records of what operators did apart."""
    found = []
    for table in TABLES:
        token = ""
        while True:
            rows, token = await opened.tables.page(table, [], select=None, size=1000, token=token)
            found += [f"{table} {sorted(row.items(), key=str)} {etag}" for row, etag in rows]
            if not token:
                break
    names, _ = await opened.blobs.below("", "", 1000)
    found += [f"blob {name} {await opened.blobs.get(name)!r}" for name, _ in names]
    return sorted(one for one in found if not one.startswith("AgentIndex [('Cursor'"))


def of(found: list[str], one: Filled) -> list[str]:
    return [text for text in found if any(mark in text for mark in one.marks)]


async def test_of_an_erased_household_only_decisions_without_words_stay(
    opened: TableStores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "EXPORTED", 3)
    clock = ManualClock(datetime.now(UTC))
    broker, stores = MemoryBroker(clock), opened.stores
    one = await fill(stores, broker, ONE, commands=4, large=True)
    other = await fill(stores, broker, OTHER, commands=2, large=True)
    before = await everything(opened)
    others = of(before, other)
    tables = {text.split()[0] for text in of(before, one)}
    assert tables == {*TABLES, "blob"} - {"Households"}

    kept, kind, cursor = dict[str, list[dict[str, object]]](), None, ""
    while True:
        page = await service(stores, broker, clock).export(ONE, kind, cursor, "ada", "request 1")
        kept.setdefault(page.kind, []).extend(page.rows)
        kind, cursor = page.next_kind, page.next_cursor or ""
        if kind is None:
            break
    assert {name for name, rows in kept.items() if rows} == {kind.value for kind in HouseholdKind} - {"households"}
    assert other.words not in str(kept)
    assert OTHER[:24] not in str(kept)
    assert [len(row["Keys"]) for row in kept["commands"]] == [1] * 4  # type: ignore[arg-type]
    assert all(one.words in str(row["Envelope"]) for row in kept["commands"])
    assert sum(len(str(row["Envelope"])) > 30_000 for row in kept["commands"]) == 1
    assert await everything(opened) == before

    dry = await service(stores, broker, clock).dry_run(ONE, "ada", "request 1")
    assert dry.counts["commands"] == 4
    # dies on its way, twice
    for operation in (9, 23):
        with suppress(ProcessDied, StoreUnreachableError, BaseExceptionGroup):
            plan = Plan({operation: "crash_after"})
            await service(faulty_stores(stores, plan), broker, clock).advance(ONE, "ada", "request 1")
    answer = await service(stores, broker, clock).advance(ONE, "ada", "request 1")
    assert answer.state == "completed"
    after = await everything(opened)
    assert of(after, other) == others
    left = of(after, one)
    assert len(left) == 4
    assert all(text.startswith("AgentDecisionAudit") and "('Rationale', 'erased')" in text for text in left), left
    assert one.words not in str(after)

    members = HouseholdKind.MEMBERS
    for cursor in ("nonsense", "99 ", "0 {", "-1 ", "0 1", '0 ["x"]'):
        with pytest.raises(RequestError):
            await service(opened.stores, MemoryBroker(clock), clock).export(ONE, members, cursor, "ada", "r")
