"""How old the oldest message of each lane is, told every few minutes."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

import pytest

from mosaic_core.domain.errors import QueueUnavailableError
from mosaic_core.domain.lanes import Lane
from mosaic_core.ports import BrowsedMessage
from mosaic_core.services.lanes_watch import LanesWatch
from mosaic_ops.memory.messaging import ManualClock

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
QUEUES = {Lane.INGESTION: "in", Lane.CONVERSATION: "talk", Lane.SWEEP: "sweep"}


class Browser:
    """Each queue holds one message, enqueued then, or none, or does not answer."""

    def __init__(self, answers: dict[str, datetime | Exception | None]) -> None:
        self.answers = answers

    async def browse(self, queue: str, *, dead: bool = False, after: int = 0, limit: int = 100) -> list[BrowsedMessage]:
        answer = self.answers[queue]
        if isinstance(answer, Exception):
            raise answer
        if answer is None or after:
            return []
        return [BrowsedMessage(queue=queue, body=b"", message_id="m", sequence_number=1, enqueued_at=answer)]


async def test_every_lane_is_told_with_its_age_and_an_empty_one_too(caplog: pytest.LogCaptureFixture) -> None:
    browser = Browser({"in": NOW - timedelta(seconds=90.4), "talk": None, "sweep": NOW + timedelta(seconds=1)})
    with caplog.at_level(logging.INFO):
        ages = await LanesWatch(browser=browser, clock=ManualClock(NOW), queues=QUEUES).tick()
    assert ages == {Lane.INGESTION: 90.4, Lane.CONVERSATION: 0.0, Lane.SWEEP: 0.0}
    lines = {(r.__dict__["lane"], r.__dict__["queue"], r.__dict__["oldestSeconds"]) for r in caplog.records}
    assert lines == {("ingestion", "in", 90), ("conversation", "talk", 0), ("sweep", "sweep", 0)}
    assert {r.getMessage() for r in caplog.records} == {"lane looked at"}


async def test_a_queue_that_does_not_answer_hides_no_other(caplog: pytest.LogCaptureFixture) -> None:
    browser = Browser({"in": QueueUnavailableError("looking at in failed: X"), "talk": NOW, "sweep": None})
    with caplog.at_level(logging.INFO):
        ages = await LanesWatch(browser=browser, clock=ManualClock(NOW), queues=QUEUES).tick()
    assert ages == {Lane.INGESTION: None, Lane.CONVERSATION: 0.0, Lane.SWEEP: 0.0}
    said = {(r.getMessage(), r.__dict__["queue"]) for r in caplog.records}
    assert ("a lane could not be looked at", "in") in said
    assert ("lane looked at", "in") not in said
    assert len(said) == 3
