"""`ServiceBusSender` against the embedded broker, through the real SDK; the broker in memory is used the same way."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
import pytest_asyncio
from azure.servicebus import ServiceBusMessage as SdkMessage
from azure.servicebus import ServiceBusReceivedMessage, ServiceBusSubQueue
from azure.servicebus.aio import ServiceBusClient, ServiceBusReceiver
from azure.servicebus.exceptions import MessageSizeExceededError

from mosaic_core.adapters.servicebus import ServiceBusSender
from mosaic_core.config import Connection
from mosaic_core.domain.body import inflate
from mosaic_core.domain.errors import QueueUnavailableError
from mosaic_core.ports import CommandSender, Finding, OutgoingMessage
from mosaic_ops.memory.messaging import MemoryBroker
from tests.contract.messaging import QUEUES, Proxy, connection

QUEUE, OTHER = QUEUES


# Opening and closing the SDK's links takes seconds, so the tests share theirs, and with them a loop.
pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    # The SDK leaves the socket of a connection that broke to the garbage collector.
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
]

type Receive = Callable[..., Awaitable[list[ServiceBusReceivedMessage]]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sender(port: int) -> AsyncIterator[ServiceBusSender]:
    sender = ServiceBusSender(connection(port))
    yield sender
    await sender.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def receivers(port: int) -> AsyncIterator[dict[str, ServiceBusReceiver]]:
    async with (
        ServiceBusClient.from_connection_string(connection(port).connection_string) as client,
        client.get_queue_receiver(QUEUE) as one,
        client.get_queue_receiver(OTHER) as other,
    ):
        yield {QUEUE: one, OTHER: other}


@pytest.fixture
def receive(receivers: dict[str, ServiceBusReceiver]) -> Receive:
    async def receive(count: int, queue: str = QUEUE, wait: float = 10) -> list[ServiceBusReceivedMessage]:
        """``count`` messages, completed; fewer where no more come within ``wait`` seconds."""
        got: list[ServiceBusReceivedMessage] = []
        until = time.monotonic() + wait
        while len(got) < count and time.monotonic() < until:
            for one in await receivers[queue].receive_messages(max_message_count=count - len(got), max_wait_time=1):
                await receivers[queue].complete_message(one)
                got.append(one)
        return got

    return receive


def message(queue: str = QUEUE, body: bytes = b'{"a": 1}', **properties: str | bool | int) -> OutgoingMessage:
    name = uuid4().hex
    return OutgoingMessage(
        queue=queue,
        body=body,
        message_id=name,
        correlation_id=f"sweep:h:20261124:{name}",
        subject="nightly_anomaly_sweep",
        properties=properties,
    )


def texts(properties: object) -> dict[str, object]:
    assert isinstance(properties, dict)
    return {
        (key.decode() if isinstance(key, bytes) else key): (value.decode() if isinstance(value, bytes) else value)
        for key, value in properties.items()
    }


async def test_everything_that_the_contract_lists_arrives(sender: ServiceBusSender, receive: Receive) -> None:
    sent = message(
        householdId="a" * 32,
        recorded=True,
        count=3,
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    )
    await sender.send(sent)
    (got,) = await receive(1)
    assert b"".join(got.body) == sent.body
    assert got.message_id == sent.message_id
    assert got.correlation_id == sent.correlation_id
    assert got.subject == sent.subject
    assert got.content_type == "application/json"
    assert texts(got.application_properties) == dict(sent.properties)


async def test_optional_properties_may_be_absent(sender: ServiceBusSender, receive: Receive) -> None:
    await sender.send(OutgoingMessage(queue=QUEUE, body=b"\xff\x00 not JSON", message_id="bare"))
    (got,) = await receive(1)
    assert b"".join(got.body) == b"\xff\x00 not JSON"
    assert (got.correlation_id, got.subject) == (None, None)
    assert not got.application_properties


async def test_a_copy_for_later_arrives_then_and_not_before(sender: ServiceBusSender, receive: Receive) -> None:
    due = datetime.now(UTC) + timedelta(seconds=2)
    later, now = message(), message()
    await sender.send(later, due=due)
    await sender.send(now)
    first, second = await receive(2)
    assert (first.message_id, second.message_id) == (now.message_id, later.message_id)
    assert second.enqueued_time_utc is not None
    assert second.enqueued_time_utc >= due - timedelta(milliseconds=5)


async def test_due_in_the_past_is_at_once(sender: ServiceBusSender, receive: Receive) -> None:
    await sender.send(message(), due=datetime.now(UTC) - timedelta(minutes=1))
    assert len(await receive(1)) == 1


async def test_many_at_once_each_arrive_once_on_their_queue(sender: ServiceBusSender, receive: Receive) -> None:
    sent = [message(QUEUE if n % 2 else OTHER) for n in range(300)]
    began = time.perf_counter()
    await asyncio.gather(*(sender.send(one) for one in sent))
    assert time.perf_counter() - began < 5
    for queue in QUEUES:
        expected = sorted(one.message_id for one in sent if one.queue == queue)
        assert sorted(str(one.message_id) for one in await receive(len(expected), queue)) == expected


async def test_large_messages_at_once_do_not_have_to_fit_together(sender: ServiceBusSender, receive: Receive) -> None:
    sent = [message(body=bytes(192 * 1024)) for _ in range(5)]
    await asyncio.gather(*(sender.send(one) for one in sent))
    assert len(await receive(5)) == 5


async def test_one_that_is_too_large_fails_alone(sender: ServiceBusSender, receive: Receive) -> None:
    huge, fine = message(body=os.urandom(2 * 1024 * 1024)), message()
    outcomes = await asyncio.gather(sender.send(huge), sender.send(fine), return_exceptions=True)
    assert isinstance(outcomes[0], QueueUnavailableError)
    assert "too large" in str(outcomes[0])
    assert outcomes[1] is None
    assert [one.message_id for one in await receive(1)] == [fine.message_id]


async def test_whatever_was_received_has_a_copy(sender: ServiceBusSender, receive: Receive, port: int) -> None:
    """The largest message that a producer gets through: its copy bears more properties, and is not refused."""
    client = ServiceBusClient.from_connection_string(connection(port).connection_string, retry_total=0)
    largest = 0
    async with client, client.get_queue_sender(QUEUE) as producer:
        for size in range(256 * 1024, 0, -32):
            body = json.dumps({"message": "x" * (size - 14)}).encode()
            try:
                await producer.send_messages(SdkMessage(body, message_id="first", content_type="application/json"))
            except MessageSizeExceededError:
                continue
            largest = len(body)
            break
    [received] = await receive(1)
    assert len(b"".join(received.body)) == largest
    marks: dict[str, str | bool | int] = {
        "firstEnqueuedAtUtc": "2026-11-24T09:00:00.123456Z",
        "storeAwaySinceUtc": "2026-11-24T09:00:00.123456Z",
        "storageEnded": " ".join(["0" * 32] * 3),
        "failedSteps": 4,
    }
    await sender.send(replace(message(body=body), properties=marks), due=datetime.now(UTC))
    [copy] = await receive(1)
    told = texts(copy.application_properties)
    whole, properties = inflate(b"".join(copy.body), told)  # type: ignore[arg-type]
    assert whole == body
    assert marks.items() <= properties.items()


@pytest.mark.parametrize("odd", [replace(message(), message_id="m" * 129), message(count=2**64)])
async def test_one_that_cannot_be_encoded_fails_alone(
    sender: ServiceBusSender, receive: Receive, odd: OutgoingMessage
) -> None:
    before, after = message(), message()
    outcomes = await asyncio.gather(*(sender.send(one) for one in (before, odd, after)), return_exceptions=True)
    assert isinstance(outcomes[1], QueueUnavailableError)
    assert (outcomes[0], outcomes[2]) == (None, None)
    assert {one.message_id for one in await receive(2)} == {before.message_id, after.message_id}


async def test_a_link_is_opened_once_and_kept(port: int, receive: Receive) -> None:
    async with Proxy(port) as proxy:
        sender = ServiceBusSender(connection(proxy.port))
        for _ in range(5):
            await sender.send(message())
        assert proxy.connections == 1
        await sender.close()
    await receive(5)


async def test_a_dropped_connection_is_opened_again(port: int, receive: Receive) -> None:
    async with Proxy(port) as proxy:
        sender = ServiceBusSender(connection(proxy.port))
        await sender.send(message())
        proxy.cut()
        again = message()
        await sender.send(again)
        await sender.close()
    assert again.message_id in {one.message_id for one in await receive(2)}


async def test_a_broker_that_is_away_is_told_in_time_and_used_again_when_back(port: int, receive: Receive) -> None:
    async with Proxy(port) as proxy:
        sender = ServiceBusSender(connection(proxy.port), timeout=6)
        await sender.send(message())
        proxy.refusing = True
        proxy.cut()
        began = time.perf_counter()
        with pytest.raises(QueueUnavailableError, match=QUEUE):
            await sender.send(message())
        assert time.perf_counter() - began < 6.5
        proxy.refusing = False
        await sender.send(message())
        await sender.close()
    assert len(await receive(2)) == 2


async def test_a_broker_that_does_not_answer_is_given_up(port: int, receive: Receive) -> None:
    async with Proxy(port) as proxy:
        sender = ServiceBusSender(connection(proxy.port), timeout=2)
        await sender.send(message())
        proxy.silent = True
        began = time.perf_counter()
        failures = await asyncio.gather(*(sender.send(message()) for _ in range(20)), return_exceptions=True)
        assert time.perf_counter() - began < 2.5
        assert all(isinstance(failure, QueueUnavailableError) for failure in failures)
        proxy.silent = False
        await sender.send(message())
        await sender.close()
    assert len(await receive(2)) == 2


async def test_a_queue_that_is_not_there(sender: ServiceBusSender, receive: Receive) -> None:
    with pytest.raises(QueueUnavailableError, match="nowhere"):
        await sender.send(message("nowhere"))
    await sender.send(message())
    assert len(await receive(1)) == 1


async def test_a_caller_that_gives_up_does_not_disturb_the_others(sender: ServiceBusSender, receive: Receive) -> None:
    tasks = [asyncio.create_task(sender.send(message())) for _ in range(10)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    tasks[5].cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [outcome for outcome in outcomes if outcome is not None and not isinstance(outcome, BaseException)] == []
    assert sum(outcome is None for outcome in outcomes) == 8
    assert len(await receive(10, wait=2)) >= 8


async def test_after_close_it_connects_anew(port: int, receive: Receive) -> None:
    sender = ServiceBusSender(connection(port))
    await sender.send(message())
    await sender.close()
    await sender.send(message())
    await sender.close()
    assert len(await receive(2)) == 2


async def test_each_event_loop_has_a_connection_of_its_own(port: int, receive: Receive) -> None:
    sender = ServiceBusSender(connection(port))

    async def once() -> None:
        await sender.send(message())
        await sender.close()

    for _ in range(2):
        await asyncio.to_thread(asyncio.run, once())
    assert len(await receive(2)) == 2


class TestLook:
    """For health: links to send and to receive by, and nothing is taken."""

    @pytest.mark.parametrize("queue", QUEUES)
    async def test_queues_that_are_there(self, sender: ServiceBusSender, queue: str) -> None:
        assert await sender.look_at(queue) == Finding()

    async def test_a_queue_that_is_not_there(self, sender: ServiceBusSender) -> None:
        assert await sender.look_at("nowhere") == Finding("down", "not_found")
        assert await sender.look_at(QUEUE) == Finding()

    async def test_no_broker(self) -> None:
        server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        server.close()
        await server.wait_closed()
        sender = ServiceBusSender(connection(port))
        assert await sender.look_at(QUEUE) == Finding("down", "unreachable")
        await sender.close()

    async def test_being_asked_often_opens_nothing_new(self, port: int, receive: Receive) -> None:
        async with Proxy(port) as proxy:
            sender = ServiceBusSender(connection(proxy.port))
            for _ in range(20):
                assert await sender.look_at(QUEUE) == Finding()
            await sender.send(message())
            assert await sender.look_at(QUEUE) == Finding()
            assert proxy.connections == 2  # to receive; and the one to send by, which is the one that is used
            await sender.close()
        await receive(1)

    async def test_messages_and_dead_letters_are_left_where_they_are(self, port: int) -> None:
        """Also their delivery counts are."""
        queue = "spare"
        client = ServiceBusClient.from_connection_string(connection(port).connection_string)
        sender = ServiceBusSender(connection(port))
        async with client, client.get_queue_receiver(queue) as receiver:
            await sender.send(message(queue))
            [dead] = await receiver.receive_messages(max_wait_time=5)
            await receiver.dead_letter_message(dead, reason="test")
            await sender.send(message(queue))
            assert await sender.look_at(queue) == Finding()
            await sender.close()  # which closes what was opened
            [waits] = await receiver.receive_messages(max_wait_time=5)
            assert waits.delivery_count == 0
            await receiver.complete_message(waits)
            async with client.get_queue_receiver(queue, sub_queue=ServiceBusSubQueue.DEAD_LETTER) as letters:
                [again] = await letters.receive_messages(max_wait_time=5)
                assert again.message_id == dead.message_id
                await letters.complete_message(again)


async def test_the_memory_broker_is_used_the_same_way(port: int, receive: Receive) -> None:
    """What is sent through either arrives alike."""

    class Now:
        def now(self) -> datetime:
            return datetime.now(UTC)

    memory = MemoryBroker(Now())
    real = ServiceBusSender(connection(port))
    sent = message(householdId="a" * 32, recorded=True)
    senders: tuple[CommandSender, ...] = (memory, real)
    for sender in senders:
        await sender.send(sent)
    await real.close()
    (got,) = await receive(1)
    held = memory.receive(QUEUE)
    assert held is not None
    assert held.body == b"".join(got.body)
    assert (held.message_id, held.correlation_id, held.subject) == (got.message_id, got.correlation_id, got.subject)
    assert dict(held.properties) == texts(got.application_properties)
    assert held.delivery_count == (got.delivery_count or 0) + 1  # the SDK counts earlier deliveries, the host this one


async def test_an_identity_is_asked_for_a_token_only_when_sending(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("IDENTITY_ENDPOINT", raising=False)
    asked: list[str] = []

    def identity(client_id: str = "") -> object:
        asked.append(client_id)
        raise RuntimeError("no identity on this machine")

    monkeypatch.setattr("mosaic_core.adapters.servicebus.app_identity", identity)
    sender = ServiceBusSender(Connection(endpoint="example.invalid", client_id="user-assigned"))
    assert asked == []
    with suppress(QueueUnavailableError):
        await sender.send(message())
    assert set(asked) == {"user-assigned"}
    await sender.close()
