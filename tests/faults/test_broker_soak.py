"""The broker with its state on disk under all kinds of work, by connections that come and go: its memory stays flat.

`MOSAIC_TEST_BROKER_SOAK_SECONDS` says how long (60). What it held is printed (`-s` shows it).
"""

from __future__ import annotations

import asyncio
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import psutil  # type: ignore[import-untyped]  # its stubs are a package of their own
import pytest
from azure.eventhub import EventData
from azure.eventhub.aio import EventHubConsumerClient, EventHubProducerClient
from azure.servicebus import ServiceBusMessage, ServiceBusReceivedMessage, ServiceBusReceiveMode, ServiceBusSubQueue
from azure.servicebus.aio import ServiceBusClient, ServiceBusReceiver, ServiceBusSender

from tests.support.broker import SDK_LEAVES_SOCKETS, RunningBroker, running_broker

SECONDS: Final = float(os.environ.get("MOSAIC_TEST_BROKER_SOAK_SECONDS", "60"))
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(SECONDS + 300),
    SDK_LEAVES_SOCKETS,
]

MESSAGES: Final = 500
BURSTS: Final = 2
BODY: Final = b"x" * 1000
QUEUES: Final = ("one", "two", "three", "four")
HUB: Final = "readings"
MAX_GROWTH_MB: Final = 4.0
"""From the first half of the time to its last quarter. A connection that is kept costs 0.1 MB."""


async def test_memory_stays_flat_under_everything_at_once(tmp_path: Path) -> None:
    hubs = [{"name": HUB, "partitions": 2, "retentionEvents": 1000}]
    queues = [{"name": name, "maxDeliveryCount": 5} for name in QUEUES]
    with running_broker(tmp_path, queues=queues, eventHubs=hubs, stateDir=str(tmp_path / "state")) as broker:
        sizes: list[float] = []
        process, ends = psutil.Process(broker.process.pid), time.monotonic() + SECONDS

        async def look() -> None:
            while time.monotonic() < ends:
                await asyncio.sleep(1)
                sizes.append(process.memory_info().rss / 2**20)

        async def work(queue: str) -> int:
            rounds = 0
            while time.monotonic() < ends:
                await one_round(broker, queue)
                rounds += 1
            return rounds

        looking = asyncio.create_task(look())
        rounds = sum(await asyncio.gather(*(work(queue) for queue in QUEUES)))
        await looking
    for minute, size in enumerate(sizes[::60]):
        print(f"{minute:2} min  {size:.1f} MB")
    print(f"at the end {sizes[-1]:.1f} MB; {rounds} rounds of {BURSTS * MESSAGES} messages")
    assert max(sizes[-(len(sizes) // 4) :]) - max(sizes[: len(sizes) // 2]) < MAX_GROWTH_MB


async def one_round(broker: RunningBroker, queue: str) -> None:
    """Connections are opened and closed each time; nothing is left in the queue."""
    async with (
        ServiceBusClient.from_connection_string(broker.connection()) as client,
        client.get_queue_sender(queue) as sender,
        client.get_queue_receiver(queue, prefetch_count=MESSAGES) as receiver,
    ):
        await sender.cancel_scheduled_messages(
            await sender.schedule_messages([ServiceBusMessage(BODY)] * 3, datetime.now(UTC) + timedelta(hours=1))
        )
        for _ in range(BURSTS):
            await send(sender)
            await settle_all(receiver)
        await receiver.peek_messages(max_message_count=50)
        async with client.get_queue_receiver(
            queue, sub_queue=ServiceBusSubQueue.DEAD_LETTER, receive_mode=ServiceBusReceiveMode.RECEIVE_AND_DELETE
        ) as dead:
            while await dead.receive_messages(max_message_count=MESSAGES, max_wait_time=0.3):
                pass
    await events(broker)


async def send(sender: ServiceBusSender) -> None:
    batch = await sender.create_message_batch()
    for number in range(MESSAGES):
        try:
            batch.add_message(ServiceBusMessage(BODY, message_id=str(number)))
        except ValueError:
            await sender.send_messages(batch)
            batch = await sender.create_message_batch()
            batch.add_message(ServiceBusMessage(BODY, message_id=str(number)))
    await sender.send_messages(batch)


async def settle_all(receiver: ServiceBusReceiver) -> None:
    """Of twenty: one dead letter, one abandoned once, one deferred and fetched again, the others completed."""
    left = MESSAGES
    while left:
        found = await receiver.receive_messages(max_message_count=MESSAGES, max_wait_time=5)
        assert found, f"{left} messages did not come"
        left -= sum(await asyncio.gather(*(settled(receiver, one) for one in found)))
        if deferred := [one.sequence_number or 0 for one in found if kind(one) == 2]:
            fetched = await receiver.receive_deferred_messages(deferred)
            await asyncio.gather(*(receiver.complete_message(one) for one in fetched))


def kind(one: ServiceBusReceivedMessage) -> int:
    return int(one.message_id or 0) % 20


async def settled(receiver: ServiceBusReceiver, one: ServiceBusReceivedMessage) -> bool:
    """Whether the message will not come again."""
    if kind(one) == 0:
        await receiver.dead_letter_message(one, reason="worn")
    elif kind(one) == 1 and not one.delivery_count:
        await receiver.abandon_message(one)
        return False
    elif kind(one) == 2:
        await receiver.defer_message(one)
    else:
        await receiver.complete_message(one)
    return True


async def events(broker: RunningBroker) -> None:
    async with EventHubProducerClient.from_connection_string(broker.connection(), eventhub_name=HUB) as producer:
        await producer.send_batch([EventData(BODY) for _ in range(100)], partition_id="0")
    heard = asyncio.Event()

    async def take(_: object, batch: list[EventData]) -> None:
        heard.set()

    async with EventHubConsumerClient.from_connection_string(
        broker.connection(), consumer_group="$Default", eventhub_name=HUB
    ) as consumer:
        reading = asyncio.create_task(
            consumer.receive_batch(take, partition_id="0", starting_position="-1", max_wait_time=1)
        )
        await asyncio.wait_for(heard.wait(), 30)
        reading.cancel()
        await asyncio.wait({reading})
