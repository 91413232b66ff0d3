"""What a person has to look at is told in the log where it is stored, and as often as it is stored."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from mosaic_core.adapters.memory import memory_stores
from mosaic_core.adapters.memory_messaging import ManualClock
from mosaic_core.adapters.told import ToldApprovals, ToldSignals
from mosaic_core.bootstrap import Container
from mosaic_core.config import Settings
from mosaic_core.domain import signals
from mosaic_core.domain.lifecycle import ApprovalStatus
from mosaic_core.domain.records import Approval, Signal
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
    store = ToldSignals(memory_stores(ManualClock(NOW)).signals)
    etag = await store.insert(signal())
    assert etag is not None
    await store.update(signals.resolve(signal(), by="a person", note=SECRET, now=NOW), etag)
    (raised, first), (resolved, second) = told(caplog)
    assert (raised, resolved) == ("signal raised", "signal resolved")
    for line in (first, second):
        assert (line["signalId"], line["signalCode"]) == (signal().signal_id, "command_not_sent")
        assert (line["severity"], line["reviewRequired"], line["queue"]) == ("Error", True, "q")


async def test_what_was_not_written_is_not_told(caplog: pytest.LogCaptureFixture) -> None:
    store = ToldSignals(memory_stores(ManualClock(NOW)).signals)
    await store.insert(signal())
    assert await store.insert(signal()) is None
    assert await store.update(signal(), "stale") is None
    assert [message for message, _ in told(caplog)] == ["signal raised"]
    approvals = ToldApprovals(memory_stores(ManualClock(NOW)).approvals)
    await approvals.insert(approval())
    assert await approvals.insert(approval()) is None
    assert await approvals.update(approval(), "stale") is None
    assert [message for message, _ in told(caplog)] == ["signal raised", "approval asked for"]


async def test_an_approval_is_told_with_its_status(caplog: pytest.LogCaptureFixture) -> None:
    store = ToldApprovals(memory_stores(ManualClock(NOW)).approvals)
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
        ToldSignals(memory_stores(ManualClock(NOW)).signals),
        ToldApprovals(memory_stores(ManualClock(NOW)).approvals),
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
