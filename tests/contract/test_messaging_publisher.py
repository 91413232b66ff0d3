"""`EventHubsPublisher` against the embedded broker, through the real SDK, and against brokers that misbehave."""

from __future__ import annotations

import asyncio
import json
import logging
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import pytest_asyncio
from azure.eventhub import EventData
from azure.eventhub.aio import EventHubConsumerClient

from mosaic_core.adapters.eventhubs import EventHubsPublisher
from mosaic_core.ports import Finding, RuntimeEvent
from tests.contract.messaging import HUB, Proxy, connection

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    # The SDK leaves the socket of a connection that broke to the garbage collector.
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
]

EVENT = RuntimeEvent(
    event_id="",
    source="MosaicMoney.Worker",
    type="mosaic.runtime.command.completed",
    subject="sweep:h:20261124:c",
    household_id="a11ce000000000000000000000000001",
    occurred_at=datetime(2026, 11, 24, 12, 0, tzinfo=UTC),
    data={"commandId": "c" * 32, "attempt": 1},
)

type Wait = Callable[[set[str]], Awaitable[list[EventData]]]


def events(prefix: str, count: int, households: int = 1) -> list[RuntimeEvent]:
    return [replace(EVENT, event_id=f"{prefix}-{n}", household_id=f"{n % households:032x}") for n in range(count)]


def ids(sent: list[RuntimeEvent]) -> set[str]:
    return {event.event_id for event in sent}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def arrived(port: int) -> AsyncIterator[Wait]:
    """Waits for events by their ids, and gives them in the order of arrival."""
    got: list[EventData] = []
    more = asyncio.Event()

    async def on_event(_: object, event: EventData | None) -> None:
        if event is not None:
            got.append(event)
            more.set()

    client = EventHubConsumerClient.from_connection_string(
        connection(port).connection_string, consumer_group="mosaic-money-runtime", eventhub_name=HUB
    )
    task = asyncio.create_task(client.receive(on_event, starting_position="-1"))

    async def wait(expected: set[str]) -> list[EventData]:
        async with asyncio.timeout(20):
            while not expected <= {json.loads(event.body_as_str())["id"] for event in got}:
                more.clear()
                await more.wait()
        return [event for event in got if json.loads(event.body_as_str())["id"] in expected]

    yield wait
    await client.close()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - the other side is a socket
            await asyncio.sleep(0.01)


async def test_events_arrive_as_cloud_events_keyed_by_household(port: int, arrived: Wait) -> None:
    publisher = EventHubsPublisher(connection(port), HUB)
    sent = events("keyed", 40, households=4)
    for event in sent:
        publisher.publish(event)
    got = await arrived(ids(sent))
    await publisher.close()
    assert len(got) == 40
    assert publisher.published == 40
    for one in got:
        body = json.loads(one.body_as_str())
        assert one.content_type == "application/cloudevents+json"
        assert one.message_id == body["id"]
        key = one.partition_key
        assert (key.decode() if isinstance(key, bytes) else key) == body["partitionkey"]
        assert body["data"] == EVENT.data
    bodies = [json.loads(one.body_as_str()) for one in got]
    numbers = [int(body["id"].split("-")[1]) for body in bodies if body["partitionkey"] == f"{0:032x}"]
    assert numbers == sorted(numbers)


async def test_an_event_without_a_household_arrives_too(port: int, arrived: Wait) -> None:
    publisher = EventHubsPublisher(connection(port), HUB)
    publisher.publish(replace(EVENT, event_id="nobody", household_id=""))
    (got,) = await arrived({"nobody"})
    assert not got.partition_key
    await publisher.close()


async def test_more_than_fits_into_one_batch(port: int, arrived: Wait) -> None:
    publisher = EventHubsPublisher(connection(port), HUB)
    sent = [replace(event, data={"commandId": "c" * 2000}) for event in events("many", 1200)]
    for event in sent:
        publisher.publish(event)
    await arrived(ids(sent))
    await publisher.close()
    assert publisher.dropped == 0


async def test_one_that_is_too_large_is_left_out_with_a_warning(
    port: int, arrived: Wait, caplog: pytest.LogCaptureFixture
) -> None:
    publisher = EventHubsPublisher(connection(port), HUB)
    publisher.publish(replace(EVENT, event_id="huge", data={"commandId": "c" * 2_000_000}))
    publisher.publish(replace(EVENT, event_id="after-huge"))
    await arrived({"after-huge"})
    await publisher.close()
    assert (publisher.dropped, publisher.published) == (1, 1)
    assert "too large or not encodable" in caplog.text


async def test_close_sends_what_is_buffered(port: int, arrived: Wait) -> None:
    publisher = EventHubsPublisher(connection(port), HUB, linger=60)
    sent = events("flushed", 5)
    for event in sent:
        publisher.publish(event)
    await asyncio.sleep(0)
    await publisher.close()
    assert publisher.published == 5
    await arrived(ids(sent))


async def test_publishing_from_a_thread(port: int, arrived: Wait) -> None:
    publisher = EventHubsPublisher(connection(port), HUB)
    publisher.publish(replace(EVENT, event_id="loop"))
    await asyncio.to_thread(publisher.publish, replace(EVENT, event_id="thread"))
    await arrived({"loop", "thread"})
    await asyncio.to_thread(publisher.publish, replace(EVENT, event_id="thread-alone"))
    await arrived({"thread-alone"})
    await publisher.close()


async def test_works_on_a_later_loop(port: int, arrived: Wait) -> None:
    """The app may be imported, and an event published, before the loop runs that the worker stays on."""
    publisher = EventHubsPublisher(connection(port), HUB)
    await asyncio.to_thread(publisher.publish, replace(EVENT, event_id="before"))

    async def elsewhere(name: str) -> None:
        publisher.publish(replace(EVENT, event_id=name))
        await publisher.close()

    await asyncio.to_thread(asyncio.run, elsewhere("first"))
    await asyncio.to_thread(asyncio.run, elsewhere("second"))
    await arrived({"before", "first", "second"})


async def test_an_outage_is_one_warning_and_loses_nothing_that_there_is_room_for(
    port: int, arrived: Wait, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with Proxy(port) as proxy:
        publisher = EventHubsPublisher(connection(proxy.port), HUB, linger=0.01, retry=(0.05, 0.1))
        proxy.refusing = True
        before = events("outage", 10)
        for event in before:
            publisher.publish(event)
            await asyncio.sleep(0.05)
        await until(lambda: proxy.connections >= 4)
        proxy.refusing = False
        await arrived(ids(before))
        proxy.cut()  # and the next outage is told again
        proxy.refusing = True
        after = events("second-outage", 1)
        publisher.publish(after[0])
        await until(lambda: len(ours(caplog, "cannot be published")) == 2)
        proxy.refusing = False
        await arrived(ids(after))
        await publisher.close()
    assert publisher.dropped == 0
    assert len(ours(caplog, "cannot be published")) == 2
    assert {record.name for record in caplog.records if record.levelno >= logging.WARNING} == {
        "mosaic_core.adapters.eventhubs"
    }


def ours(caplog: pytest.LogCaptureFixture, text: str) -> list[logging.LogRecord]:
    return [record for record in caplog.records if text in record.getMessage()]


async def test_a_full_buffer_drops_the_oldest_with_one_warning(port: int, caplog: pytest.LogCaptureFixture) -> None:
    async with Proxy(port) as proxy:
        proxy.refusing = True
        publisher = EventHubsPublisher(connection(proxy.port), HUB, capacity=20, linger=0.01, retry=(0.05, 0.1))
        for event in events("overflow", 100):
            publisher.publish(event)
        assert publisher.dropped == 80
        assert len(ours(caplog, "buffer is full")) == 1
        await until(lambda: proxy.connections >= 2)
        await publisher.close()
    assert publisher.dropped == 100  # what was still there when it was closed
    assert publisher.published == 0


async def test_fault_13_a_hub_that_never_answers_delays_nobody(port: int) -> None:
    """A black hole: it accepts connections and never says a word. The loop that commands run on is not held up."""
    async with Proxy(port, silent=True) as hole:
        publisher = EventHubsPublisher(connection(hole.port), HUB, linger=0.01, send_timeout=0.5, retry=(0.05, 0.1))
        publisher.publish(EVENT)  # loads the SDK
        await until(lambda: hole.connections >= 1)
        took, lag = [], []
        for event in events("hole", 400):
            began = time.perf_counter()
            publisher.publish(event)
            took.append(time.perf_counter() - began)
            began = time.perf_counter()
            await asyncio.sleep(0.002)
            lag.append(time.perf_counter() - began - 0.002)
        assert hole.connections >= 2  # it went on trying meanwhile
        assert statistics.median(took) < 0.001
        assert statistics.median(lag) < 0.005
        assert sorted(lag)[-5] < 0.1
        began = time.perf_counter()
        await publisher.close()
        assert time.perf_counter() - began < 5  # flushes for 2 s, then gives up the connection
    assert publisher.published == 0


class TestLook:
    """For health: whether events can be sent. Sends none."""

    async def test_a_hub_that_is_there(self, port: int) -> None:
        publisher = EventHubsPublisher(connection(port), HUB)
        assert await publisher.look() == Finding()
        assert await publisher.look() == Finding()
        assert publisher.published == 0
        await publisher.close()

    async def test_a_hub_that_is_not_there(self, port: int) -> None:
        publisher = EventHubsPublisher(connection(port), "nowhere")
        assert await publisher.look() == Finding("down", "not_found")

    async def test_no_broker(self) -> None:
        server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        server.close()
        await server.wait_closed()
        assert await EventHubsPublisher(connection(port), HUB).look() == Finding("down", "unreachable")
