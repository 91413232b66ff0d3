"""What a person has to look at is told in the log where it is stored, and as often as it is stored."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from mosaic_core import notices
from mosaic_core.adapters.eventhubs import cloud_event
from mosaic_core.adapters.told import ToldApprovals, ToldSignals
from mosaic_core.bootstrap import Container
from mosaic_core.config import Settings
from mosaic_core.domain import signals
from mosaic_core.domain.errors import StoreUnreachableError
from mosaic_core.domain.lifecycle import ApprovalStatus, Severity
from mosaic_core.domain.records import Approval, Signal
from mosaic_core.ledger.anomalies import KINDS
from mosaic_core.ports import ApprovalStore, RuntimeEvent, SignalStore
from mosaic_ops.memory.messaging import ManualClock, MemoryPublisher
from mosaic_ops.memory.stores import memory_stores
from tests.unit.test_config import MINIMAL

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
HOUSEHOLD = "a11ce000000000000000000000000001"
SECRET = "the rent of Marigold Street"


def told(caplog: pytest.LogCaptureFixture) -> list[tuple[str, dict[str, object]]]:
    return [(r.getMessage(), r.__dict__) for r in caplog.records if r.name == "mosaic_core.adapters.told"]


@pytest.fixture(autouse=True)
def info(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


def signal(why: str = SECRET) -> Signal:
    return signals.command_not_sent(queue="q", command_id="c" * 32, household_id=HOUSEHOLD, why=why, now=NOW)


def approval() -> Approval:
    return Approval(
        approval_id="ab" * 16,
        household_id=HOUSEHOLD,
        conversation_id="c" * 32,
        run_id="d" * 32,
        command_id="e" * 32,
        requested_by="alice",
        action_kind="money_movement",
        action_summary=SECRET,
        action_hash="0" * 64,
        policy_version="1",
        status=ApprovalStatus.PENDING,
        created_at=NOW,
        expires_at=NOW + timedelta(hours=72),
    )


async def test_a_signal_is_told_when_it_is_raised_and_when_it_is_resolved(caplog: pytest.LogCaptureFixture) -> None:
    store = ToldSignals(memory_stores(ManualClock(NOW)).signals, MemoryPublisher())
    etag = await store.insert(signal())
    assert etag is not None
    await store.update(signals.resolve(signal(), by="a person", note=SECRET, now=NOW), etag)
    (raised, first), (resolved, second) = told(caplog)
    assert (raised, resolved) == ("signal raised", "signal resolved")
    for line in (first, second):
        assert (line["signalId"], line["signalCode"]) == (signal().signal_id, "command_not_sent")
        assert (line["severity"], line["reviewRequired"], line["queue"]) == ("Error", True, "q")


async def test_what_was_not_written_is_not_told(caplog: pytest.LogCaptureFixture) -> None:
    store = ToldSignals(memory_stores(ManualClock(NOW)).signals, MemoryPublisher())
    await store.insert(signal())
    assert await store.insert(signal()) is None
    assert await store.update(signal(), "stale") is None
    assert [message for message, _ in told(caplog)] == ["signal raised"]
    approvals = ToldApprovals(memory_stores(ManualClock(NOW)).approvals, MemoryPublisher())
    await approvals.insert(approval())
    assert await approvals.insert(approval()) is None
    assert await approvals.update(approval(), "stale") is None
    assert [message for message, _ in told(caplog)] == ["signal raised", "approval asked for"]


async def test_an_approval_is_told_with_its_status(caplog: pytest.LogCaptureFixture) -> None:
    store = ToldApprovals(memory_stores(ManualClock(NOW)).approvals, MemoryPublisher())
    etag = await store.insert(approval())
    assert etag is not None
    await store.update(replace(approval(), status=ApprovalStatus.APPROVED, decided_at=NOW), etag)
    lines = [(m, line["approvalId"], line["approvalStatus"], line["expiresAtUtc"]) for m, line in told(caplog)]
    expires = "2026-11-27T12:00:00Z"
    assert lines == [
        ("approval asked for", "ab" * 16, "pending", expires),
        ("approval changed", "ab" * 16, "approved", expires),
    ]


async def test_no_text_of_a_row_is_told(caplog: pytest.LogCaptureFixture) -> None:
    store, approvals = (
        ToldSignals(memory_stores(ManualClock(NOW)).signals, MemoryPublisher()),
        ToldApprovals(memory_stores(ManualClock(NOW)).approvals, MemoryPublisher()),
    )
    await store.insert(signal())
    await approvals.insert(approval())
    assert len(told(caplog)) == 2
    assert SECRET not in repr([line for _, line in told(caplog)])
    assert "alice" not in repr([line for _, line in told(caplog)])


async def test_the_app_s_stores_tell() -> None:
    stores = Container(Settings.from_env(MINIMAL)).stores
    assert isinstance(stores.signals, ToldSignals)
    assert isinstance(stores.approvals, ToldApprovals)


# ------------------------------------------------------------------------------------------------------------- events


def finding() -> Signal:
    return replace(
        signal(), signal_id="f" * 32, signal_code="duplicate_charge", severity=Severity.WARNING, run_id="d" * 32
    )


async def test_an_approval_that_is_asked_for_is_an_event_once_by_its_id() -> None:
    publisher = MemoryPublisher()
    store = ToldApprovals(memory_stores(ManualClock(NOW)).approvals, publisher)
    etag = await store.insert(approval())
    assert etag is not None
    # as whoever rolls a dead process's work forward does
    assert await store.insert(approval()) is None
    await store.update(replace(approval(), status=ApprovalStatus.APPROVED, decided_at=NOW), etag)
    first, again = publisher.events
    assert first == again
    assert (first.type, first.household_id) == ("mosaic.runtime.approval_requested", HOUSEHOLD)
    assert first.data["approvalId"] == approval().approval_id


async def test_a_finding_and_its_review_are_two_events() -> None:
    publisher = MemoryPublisher()
    store = ToldSignals(memory_stores(ManualClock(NOW)).signals, publisher)
    etag = await store.insert(finding())
    assert etag is not None
    await store.update(signals.resolve(finding(), by="a person", note="seen", now=NOW), etag)
    assert [event.type for event in publisher.events] == [
        "mosaic.runtime.finding_raised",
        "mosaic.runtime.review_opened",
    ]
    assert len({event.event_id for event in publisher.events}) == 2
    assert all(event.data["signalCode"] == "duplicate_charge" for event in publisher.events)


@pytest.mark.parametrize(
    ("changes", "kinds"),
    [
        ({}, ["review_opened"]),
        ({"requires_human_review": False, "severity": Severity.WARNING}, []),
        ({"is_resolved": True, "resolved_at": NOW, "resolved_by": "runtime"}, []),
        ({"household_id": None}, ["review_opened"]),
        *(({"signal_code": kind}, ["finding_raised", "review_opened"]) for kind in KINDS),
    ],
)
async def test_an_event_is_told_of_what_waits_for_a_person(changes: dict[str, Any], kinds: list[str]) -> None:
    publisher = MemoryPublisher()
    await ToldSignals(memory_stores(ManualClock(NOW)).signals, publisher).insert(replace(signal(), **changes))
    assert publisher.kinds() == [f"{kind}" for kind in kinds]


async def test_an_event_is_told_after_the_row_and_not_where_it_could_not_be_written() -> None:
    stores = memory_stores(ManualClock(NOW))

    class Publisher(MemoryPublisher):
        def publish(self, event: RuntimeEvent) -> None:
            assert stores.approvals.table.read((HOUSEHOLD, "ab" * 16)) is not None  # type: ignore[attr-defined]
            super().publish(event)

    class Away:
        async def insert(self, _: object) -> None:
            raise StoreUnreachableError("away")

    publisher = Publisher()
    await ToldApprovals(stores.approvals, publisher).insert(approval())
    assert publisher.kinds() == ["approval_requested"]
    silent = MemoryPublisher()
    for store in (ToldApprovals(cast(ApprovalStore, Away()), silent), ToldSignals(cast(SignalStore, Away()), silent)):
        with pytest.raises(StoreUnreachableError):
            await store.insert(cast(Any, approval()))
    assert silent.events == []


async def test_an_event_that_cannot_be_told_fails_nothing(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(MemoryPublisher):
        def publish(self, event: RuntimeEvent) -> None:
            raise RuntimeError("telemetry")

    store = ToldApprovals(memory_stores(ManualClock(NOW)).approvals, Broken())
    assert await store.insert(approval()) is not None
    assert "an event could not be told" in caplog.text


async def test_an_event_holds_ids_and_codes_alone() -> None:
    events = [
        notices.approval_requested(approval()),
        notices.approval_expiring(approval()),
        *notices.of_signal(finding()),
    ]
    assert {event.type.removeprefix(notices.TYPE_PREFIX) for event in events} == set(notices.NOTICES)
    for event in events:
        text = json.dumps(cloud_event(event))
        assert SECRET not in text
        assert "alice" not in text
        assert "money_movement" not in text


def test_the_findings_are_those_of_the_sweep() -> None:
    assert set(KINDS) == signals.FINDINGS
