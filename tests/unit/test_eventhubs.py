"""Events as CloudEvents, read back by the CloudEvents SDK; and a hub that takes some of them only."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, cast

import pytest
from azure.eventhub import EventData
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


# ---------------------------------------------------------------------------------------- a hub that takes some of them


@dataclass
class Hub:
    """What stands in for the SDK's producer: every household that it does not take fails or never answers."""

    refused: set[str] = field(default_factory=set)
    silent: set[str] = field(default_factory=set)
    away: bool = False
    sent: list[str] = field(default_factory=list)
    tries: list[str] = field(default_factory=list)
    connections: int = 0

    def ids(self, household: str) -> list[str]:
        return [event_id for event_id in self.sent if event_id.startswith(f"{household}-")]


@dataclass
class Batch:
    household: str | None
    events: list[EventData] = field(default_factory=list)
    size: int = 0

    def add(self, event: EventData) -> None:
        size = len(event.body_as_str())
        if self.size + size > 100_000:
            raise ValueError("the batch is full")
        self.size += size
        self.events.append(event)


class Producer:
    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        hub.connections += 1

    async def create_batch(self, *, partition_key: str | None) -> Batch:
        return Batch(partition_key)

    async def send_batch(self, batch: Batch) -> None:
        household = batch.household or ""
        self.hub.tries.append(household)
        await asyncio.sleep(0)
        if household in self.hub.silent:
            await asyncio.Event().wait()
        if self.hub.away or household in self.hub.refused:
            raise OSError("the partition does not take it")
        self.hub.sent += [str(event.message_id) for event in batch.events]

    async def close(self) -> None: ...


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Hub:
    hub = Hub()

    class Client:
        @staticmethod
        def from_connection_string(*_: object, **__: object) -> Producer:
            return Producer(hub)

    monkeypatch.setattr("mosaic_core.adapters.eventhubs._import_sdk", lambda: Client)
    return hub


def opened(**options: Any) -> EventHubsPublisher:
    wanted: dict[str, Any] = {"linger": 0.001, "send_timeout": 0.05, "retry": (0.01, 0.04)} | options
    return EventHubsPublisher(Connection(connection_string="Endpoint=sb://nowhere"), "hub", **wanted)


def event(household: str, number: int = 0, **changes: Any) -> RuntimeEvent:
    return replace(EVENT, event_id=f"{household}-{number}", household_id=household, **changes)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - the publisher's own task has no other sign
            await asyncio.sleep(0.001)


def warned(caplog: pytest.LogCaptureFixture, text: str) -> int:
    return sum(text in record.getMessage() for record in caplog.records if record.levelno == logging.WARNING)


@pytest.mark.parametrize("how", ["refused", "silent"])
@pytest.mark.parametrize("place", [0, 3, 7])
async def test_one_household_s_partition_stops_no_other_s_events(
    hub: Hub, caplog: pytest.LogCaptureFixture, how: str, place: int
) -> None:
    households = [f"h{n}" for n in range(8)]
    sick, others = households[place], [h for n, h in enumerate(households) if n != place]
    getattr(hub, how).add(sick)
    publisher = opened()
    for number in range(20):
        for household in households:
            publisher.publish(event(household, number))
        await until(lambda number=number: all(f"{h}-{number}" in hub.sent for h in others))  # type: ignore[misc]
    assert warned(caplog, "one household's events") == 1
    assert warned(caplog, "events cannot be published; keeping") <= 1
    # and what is its own is kept, in order, until its partition is back
    getattr(hub, how).clear()
    await until(lambda: len(hub.ids(sick)) == 20)
    assert hub.ids(sick) == [f"{sick}-{n}" for n in range(20)]
    assert publisher.dropped == 0
    await publisher.close()


async def test_several_households_of_one_partition_stop_no_other_s_events(hub: Hub) -> None:
    """A partition of four that is away takes a quarter of the households along, in any order."""
    households = [f"h{n:02}" for n in range(40)]
    hub.refused |= {h for n, h in enumerate(households) if n % 4 < 2}
    publisher = opened()
    for number in range(5):
        for household in households:
            publisher.publish(event(household, number))
    well = [h for h in households if h not in hub.refused]
    await until(lambda: all(len(hub.ids(h)) == 5 for h in well))
    await publisher.close()
    assert publisher.published == 100
    assert publisher.dropped == 100


async def test_a_household_s_events_are_held_for_a_bounded_time_and_in_bounded_number(
    hub: Hub, caplog: pytest.LogCaptureFixture
) -> None:
    hub.refused.add("sick")
    publisher = opened(capacity=50, held_seconds=0.1)
    publisher.publish(event("well"))
    for number in range(30):
        publisher.publish(event("sick", number))
    await until(lambda: warned(caplog, "for too long") == 1)
    assert publisher.dropped == 30
    # the next ones have another chance
    hub.refused.clear()
    publisher.publish(event("sick", 99))
    await until(lambda: "sick-99" in hub.sent)
    await publisher.close()


async def test_a_held_household_is_tried_rarely_and_behind_the_others(hub: Hub) -> None:
    hub.silent.add("sick")
    publisher = opened(send_timeout=0.02, retry=(0.01, 0.08))
    began = asyncio.get_running_loop().time()
    for number in range(100):
        publisher.publish(event("sick", number))
        publisher.publish(event("well", number))
        await until(lambda number=number: f"well-{number}" in hub.sent)  # type: ignore[misc]
    took = asyncio.get_running_loop().time() - began
    assert hub.tries.count("sick") <= 4 + took / 0.08
    await publisher.close()


async def test_a_hub_that_is_away_keeps_everybody_s_events_and_holds_nobody(
    hub: Hub, caplog: pytest.LogCaptureFixture
) -> None:
    hub.away = True
    publisher = opened()
    households = [f"h{n}" for n in range(10)]
    for household in households:
        publisher.publish(event(household))
    await until(lambda: len(hub.tries) >= 20)
    assert len(set(hub.tries)) == 10  # not the same two again and again
    assert warned(caplog, "events cannot be published; keeping") == 1
    assert warned(caplog, "one household's events") == 0
    hub.away = False
    await until(lambda: len(hub.sent) == 10)
    assert publisher.dropped == 0
    await publisher.close()


async def test_an_outage_that_begins_in_the_middle_of_a_round_costs_two_tries(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two at a time, not a timeout for each of the households behind."""
    publisher = opened()

    class Ends(Producer):
        async def send_batch(self, batch: Batch) -> None:
            await super().send_batch(batch)
            hub.away = True

    monkeypatch.setattr(publisher, "_connected", lambda: asyncio.sleep(0, Ends(hub)))
    for n in range(50):
        publisher.publish(event(f"h{n}"))
    await until(lambda: len(hub.tries) >= 3)
    assert len(hub.sent) == 1
    assert hub.tries[:3] == ["h0", "h1", "h2"]
    await until(lambda: len(hub.tries) >= 5)
    assert hub.tries[3:5] == ["h3", "h4"]
    hub.away = False
    monkeypatch.setattr(publisher, "_connected", lambda: asyncio.sleep(0, Producer(hub)))
    await until(lambda: len(hub.sent) == 50)
    assert publisher.dropped == 0
    await publisher.close()


async def test_an_event_wakes_a_publisher_that_waits_for_a_held_household(hub: Hub) -> None:
    hub.refused.add("sick")
    publisher = opened(retry=(30.0, 60.0))
    publisher.publish(event("well"))
    publisher.publish(event("sick"))
    await until(lambda: "sick" in hub.tries)
    publisher.publish(event("well", 1))
    await until(lambda: "well-1" in hub.sent)
    await asyncio.to_thread(publisher.publish, event("well", 2))
    await until(lambda: "well-2" in hub.sent)
    await publisher.close()


async def test_closing_tries_what_is_held_once_more(hub: Hub) -> None:
    hub.refused.add("sick")
    publisher = opened(retry=(30.0, 60.0))
    publisher.publish(event("well"))
    publisher.publish(event("sick"))
    await until(lambda: "sick" in hub.tries)
    hub.refused.clear()
    await publisher.close()
    assert "sick-0" in hub.sent
    assert publisher.dropped == 0


async def test_closing_counts_what_is_held_and_does_not_go(hub: Hub, caplog: pytest.LogCaptureFixture) -> None:
    hub.refused.add("sick")
    publisher = opened(retry=(30.0, 60.0))
    publisher.publish(event("well"))
    publisher.publish(event("sick"))
    await until(lambda: "sick" in hub.tries)
    await publisher.close()
    assert (publisher.published, publisher.dropped) == (1, 1)
    assert warned(caplog, "closed with events") == 1


class Unprintable:
    def __repr__(self) -> str:
        raise RuntimeError("not even shown")


def deep(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(levels):
        value = {"in": value}
    return value


class Explodes:
    def keys(self) -> Any:
        raise RuntimeError("the publisher's own error")


NO_EVENTS: list[Any] = [
    None,
    "an event",
    object(),
    event("h", occurred_at="yesterday"),
    event("h", occurred_at=datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14)))),
    event("h", data=None),
    event("h", data={"x": object()}),
    event("h", data={"x": Unprintable()}),
    event("h", data={"x": "\ud800"}),
    event("h", data={object(): 1}),
    event("h", data=deep(100_000)),
    event("h", data=Explodes()),
    event("h", subject=b"bytes"),
    event("h", data={"x": "y" * 200_000}),
    event("\ud800"),
    event("h" * 500),
    event(cast("str", ["a", "list"])),
    event(cast("str", 17)),
    replace(EVENT, event_id="\ud800"),
]


@pytest.mark.parametrize("number", range(len(NO_EVENTS)))
async def test_whatever_is_published_raises_nothing_and_stops_no_other_event(
    hub: Hub, caplog: pytest.LogCaptureFixture, number: int
) -> None:
    publisher = opened()
    publisher.publish(event("h", 1))
    publisher.publish(NO_EVENTS[number])
    publisher.publish(event("h", 2))
    publisher.publish(event("other", 3))
    await until(lambda: {"h-1", "h-2", "other-3"} <= set(hub.sent))
    assert publisher.dropped == 1
    assert warned(caplog, "too large or not encodable") == 1
    await publisher.close()
    assert (publisher.published, publisher.dropped) == (3, 1)


def test_a_publisher_that_cannot_even_take_the_event_says_so_and_raises_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> None:
        raise RuntimeError("no loop, no threads, nothing")

    publisher = opened()
    monkeypatch.setattr(publisher, "_wake", broken)
    publisher.publish(EVENT)
    assert warned(caplog, "could not be handed over") == 1


async def test_a_backlog_is_sent_without_holding_the_loop_up(hub: Hub) -> None:
    hub.away = True
    publisher = opened(retry=(0.05, 0.05))
    for n in range(10_000):
        publisher.publish(event(f"h{n % 100}", n))
    hub.away = False
    loop, longest = asyncio.get_running_loop(), 0.0
    async with asyncio.timeout(30):
        while len(hub.sent) < 10_000:
            before = loop.time()
            await asyncio.sleep(0)
            longest = max(longest, loop.time() - before)
    assert longest < 0.5
    await publisher.close()


# --------------------------------------------------------------------------------------- one that is waited for


async def test_what_the_hub_took_is_confirmed(hub: Hub) -> None:
    publisher = opened()
    publisher.publish(event("h1", 1))
    assert await publisher.confirm(event("h1", 2), 5) is True
    assert await asyncio.gather(*(publisher.confirm(event("h1", 3), 5) for _ in range(2))) == [True, True]
    assert hub.ids("h1") == ["h1-1", "h1-2", "h1-3", "h1-3"]
    await publisher.close()


@pytest.mark.parametrize("how", ["refused", "silent"])
async def test_what_it_did_not_take_is_not_confirmed_and_may_come_yet(hub: Hub, how: str) -> None:
    getattr(hub, how).add("h1")
    publisher = opened()
    assert await publisher.confirm(event("h1", 1), 0.05) is False
    getattr(hub, how).clear()
    await until(lambda: hub.ids("h1") == ["h1-1"])
    assert publisher._awaited == {}
    await publisher.close()
