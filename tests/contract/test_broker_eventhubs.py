"""Event hubs by the real azure-eventhub client: over a broker process, or whatever back end is named."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from azure.eventhub import EventData, EventHubConsumerClient, EventHubProducerClient
from azure.eventhub.exceptions import AuthenticationError, EventHubError

from tests.support.back_end import BackEnd, back_end

HUB = "runtime-telemetry-stream"
GROUP = "mosaic-money-runtime"


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BackEnd]:
    hubs = [{"name": HUB, "partitions": 4, "consumerGroups": [GROUP]}]
    with back_end(tmp_path_factory.mktemp("broker"), event_hubs=hubs) as running:
        yield running


@pytest.fixture(scope="module")
def producer(broker: BackEnd) -> Iterator[EventHubProducerClient]:
    hub = broker.named(HUB)
    with EventHubProducerClient.from_connection_string(broker.event_hubs, eventhub_name=hub, retry_total=0) as client:
        yield client


class Reader:
    """A consumer in a thread, until it has seen `wanted` events."""

    def __init__(self, broker: BackEnd, wanted: int, group: str = GROUP, **receive: Any) -> None:
        self.events: list[tuple[str, str]] = []
        self.raw: list[EventData] = []
        self.ready = threading.Event()
        self._full = threading.Event()
        self._wanted = wanted
        self._client = EventHubConsumerClient.from_connection_string(
            broker.event_hubs, consumer_group=group, eventhub_name=broker.named(HUB), retry_total=0
        )
        self._thread = threading.Thread(target=self._client.receive, args=(self._seen,), kwargs=receive)
        self._thread.start()

    def _seen(self, context: Any, event: EventData | None) -> None:
        if event is not None:
            self.events.append((context.partition_id, event.body_as_str()))
            self.raw.append(event)
            if len(self.events) >= self._wanted:
                self._full.set()

    def finish(self, seconds: float = 15) -> list[tuple[str, str]]:
        complete = self._full.wait(seconds)
        self._client.close()
        self._thread.join(15)
        assert complete, f"{len(self.events)} of {self._wanted} events came: {self.events}"
        return self.events


def test_properties(broker: BackEnd, producer: EventHubProducerClient) -> None:
    properties = producer.get_eventhub_properties()
    assert properties["eventhub_name"] == broker.named(HUB)
    assert properties["partition_ids"] == ["0", "1", "2", "3"]
    assert abs((datetime.now(UTC) - properties["created_at"]).total_seconds()) < 60


def test_events_of_a_batch_stay_in_order_on_the_partition_of_their_key(
    broker: BackEnd, producer: EventHubProducerClient
) -> None:
    before = producer.get_partition_properties("2")["last_enqueued_sequence_number"]
    for key in ("household-a", "household-b", "household-a"):
        batch = producer.create_batch(partition_key=key)
        for number in range(3):
            event = EventData(f"{key} {number}")
            event.properties = {"traceparent": "00-1"}
            batch.add(event)
        producer.send_batch(batch)
    producer.send_batch([EventData("to partition 2")], partition_id="2")
    producer.send_event(EventData("alone"), partition_id="2")
    first = Reader(broker, 11, starting_position="-1")
    second = Reader(broker, 11, group="$Default", starting_position="-1")
    seen = first.finish()
    assert sorted(second.finish()) == sorted(seen)
    for key in ("household-a", "household-b"):
        mine = [(partition, body) for partition, body in seen if body.startswith(key)]
        assert len({partition for partition, _ in mine}) == 1
        assert [body for _, body in mine] == [f"{key} {n}" for n in range(3)] * (len(mine) // 3)
    assert [body for partition, body in seen if partition == "2"][-2:] == ["to partition 2", "alone"]
    keyed = next(event for event in first.raw if event.body_as_str() == "household-a 0")
    assert keyed.partition_key == b"household-a"
    assert keyed.properties == {b"traceparent": b"00-1"}
    assert keyed.offset == str(keyed.sequence_number)
    assert keyed.enqueued_time is not None
    after = producer.get_partition_properties("2")
    assert after["last_enqueued_sequence_number"] >= before + 2
    assert after["last_enqueued_offset"] == str(after["last_enqueued_sequence_number"])
    assert after["is_empty"] is False


def test_a_consumer_starts_where_it_asks_to(broker: BackEnd, producer: EventHubProducerClient) -> None:
    producer.send_batch([EventData("one"), EventData("two"), EventData("three")], partition_id="3")
    last = producer.get_partition_properties("3")["last_enqueued_sequence_number"]
    on = {"partition_id": "3"}
    one = Reader(broker, 1, starting_position=last - 2, starting_position_inclusive=True, **on)
    after = Reader(broker, 1, starting_position=str(last - 1), **on)  # an offset
    every = Reader(broker, 1, starting_position=datetime(2020, 1, 1, tzinfo=UTC), **on)
    assert next(body for _, body in one.finish()) == "one"
    assert next(body for _, body in after.finish()) == "three"
    every.finish()


def test_latest_means_only_what_comes_later(broker: BackEnd, producer: EventHubProducerClient) -> None:
    producer.send_batch([EventData("before")], partition_id="0")
    reader = Reader(broker, 1, starting_position="@latest", partition_id="0")
    late = threading.Event()

    def keep_sending() -> None:
        # Not faster: the SDK hands nothing out while a batch is still growing.
        while not late.wait(0.8):
            producer.send_batch([EventData("after")], partition_id="0")

    sending = threading.Thread(target=keep_sending)
    sending.start()
    try:
        assert reader.finish()[0] == ("0", "after")
    finally:
        late.set()
        sending.join()


def test_a_higher_owner_level_takes_the_partition_over(broker: BackEnd, producer: EventHubProducerClient) -> None:
    producer.send_batch([EventData("owned")], partition_id="1")
    errors: list[Exception] = []
    lost = threading.Event()

    def failed(_: Any, error: Exception) -> None:
        errors.append(error)
        lost.set()

    options = {"partition_id": "1", "starting_position": "-1"}
    low = Reader(broker, 1, owner_level=1, on_error=failed, **options)
    low._full.wait(10)
    high = Reader(broker, 1, owner_level=2, **options)
    assert lost.wait(10)
    assert isinstance(errors[0], EventHubError)
    low.finish()
    high.finish()


def test_what_is_not_there_is_said(broker: BackEnd, producer: EventHubProducerClient) -> None:
    with (
        EventHubProducerClient.from_connection_string(
            broker.event_hubs, eventhub_name=broker.named("nowhere"), retry_total=0
        ) as client,
        pytest.raises(AuthenticationError),
    ):
        client.send_batch([EventData("x")])
    with pytest.raises(EventHubError):
        producer.get_partition_properties("9")
