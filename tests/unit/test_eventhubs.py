"""Events as CloudEvents, read back by the CloudEvents SDK."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from mosaic_core.adapters.eventhubs import EventHubsPublisher, cloud_event
from mosaic_core.config import Connection
from mosaic_core.ports import RuntimeEvent

EVENT = RuntimeEvent(
    event_id="e" * 32,
    source="MosaicMoney.Worker",
    type="mosaic.runtime.command.completed",
    subject="sweep:h:20261124:c",
    household_id="a11ce000000000000000000000000001",
    occurred_at=datetime(2026, 11, 24, 12, 0, 0, 250_000, tzinfo=UTC),
    data={"commandId": "c" * 32, "runId": None, "attempt": 1, "outcomeCode": "completed"},
    trace_parent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
)


def read(event: RuntimeEvent) -> CloudEvent:
    read = JSONFormat().read(CloudEvent, json.dumps(cloud_event(event)).encode())
    assert isinstance(read, CloudEvent)
    return read


def test_is_a_cloud_event() -> None:
    event = read(EVENT)
    assert (event.get_id(), event.get_source(), event.get_type()) == (EVENT.event_id, EVENT.source, EVENT.type)
    assert event.get_specversion() == "1.0"
    assert event.get_subject() == EVENT.subject
    assert event.get_time() == EVENT.occurred_at
    assert event.get_datacontenttype() == "application/json"
    assert event.get_extension("partitionkey") == EVENT.household_id
    assert event.get_extension("traceparent") == EVENT.trace_parent
    assert event.get_data() == dict(EVENT.data)


def test_without_household_and_trace() -> None:
    event = read(replace(EVENT, household_id="", trace_parent=""))
    assert event.get_extension("partitionkey") is None
    assert event.get_extension("traceparent") is None


def test_publishing_before_any_loop_runs_keeps_the_event_and_connects_to_nothing() -> None:
    publisher = EventHubsPublisher(Connection(endpoint="example.invalid"), "hub", capacity=2)
    for _ in range(3):
        publisher.publish(EVENT)
    assert publisher.dropped == 1
