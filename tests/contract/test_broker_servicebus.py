"""Service Bus queues by the real azure-servicebus client: over a broker process, or whatever back end is named."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.servicebus import (
    ServiceBusClient,
    ServiceBusMessage,
    ServiceBusMessageState,
    ServiceBusReceivedMessage,
    ServiceBusReceiveMode,
    ServiceBusReceiver,
    ServiceBusSender,
    ServiceBusSubQueue,
)
from azure.servicebus._pyamqp.management_link import ManagementLink
from azure.servicebus.aio import ServiceBusClient as AsyncServiceBusClient
from azure.servicebus.exceptions import (
    MessageLockLostError,
    MessageNotFoundError,
    MessageSizeExceededError,
    ServiceBusAuthenticationError,
    ServiceBusError,
)

from tests.support.back_end import SHORTEST_LOCK, BackEnd, Entity, back_end

WAIT = 5.0 + SHORTEST_LOCK
BRIEF = max(0.3, SHORTEST_LOCK)
"""Seconds that a lock of the queue of that name lasts."""


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BackEnd]:
    queues: list[Entity] = [
        {"name": "Work"},
        {"name": "brief", "lockSeconds": BRIEF, "maxDeliveryCount": 2},
        {"name": "held", "lockSeconds": 1.5},
        {"name": "peeks"},
        {"name": "later"},
        {"name": "busy"},
    ]
    with back_end(tmp_path_factory.mktemp("broker"), queues) as running:
        yield running


@pytest.fixture(scope="module")
def client(broker: BackEnd) -> Iterator[ServiceBusClient]:
    with ServiceBusClient.from_connection_string(broker.service_bus, retry_total=0) as client:
        yield client


class Ends:
    """A sender and receivers of one queue, opened once: a link costs the SDK half a second, which is no part of the
    wait for a message that is not there."""

    def __init__(self, client: ServiceBusClient, queue: str) -> None:
        self._client, self._queue = client, queue
        self.sender: ServiceBusSender = client.get_queue_sender(queue)
        self.receiver: ServiceBusReceiver = client.get_queue_receiver(queue).__enter__()
        self.dead: ServiceBusReceiver = client.get_queue_receiver(queue, sub_queue=ServiceBusSubQueue.DEAD_LETTER)

    def send(self, *bodies: str) -> None:
        self.sender.send_messages([ServiceBusMessage(body) for body in bodies])

    def one(self, receiver: ServiceBusReceiver | None = None) -> ServiceBusReceivedMessage:
        found = (receiver or self.receiver).receive_messages(max_message_count=1, max_wait_time=WAIT)
        assert found, "no message came"
        return found[0]

    def none(self) -> bool:
        return not self.receiver.receive_messages(max_message_count=1, max_wait_time=0.3)

    def close(self) -> None:
        for end in (self.sender, self.receiver, self.dead):
            end.close()


@pytest.fixture(scope="module")
def work(client: ServiceBusClient, broker: BackEnd) -> Iterator[Ends]:
    ends = Ends(client, broker.named("work"))
    yield ends
    ends.close()


@pytest.fixture(scope="module")
def brief(client: ServiceBusClient, broker: BackEnd) -> Iterator[Ends]:
    ends = Ends(client, broker.named("BRIEF"))
    yield ends
    ends.close()


def until(condition: Callable[[], bool], seconds: float = WAIT) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)


# -- send and receive ------------------------------------------------------------------------------------------------


def test_what_a_sender_says_arrives_as_it_was(work: Ends) -> None:
    work.sender.send_messages(
        ServiceBusMessage(
            b"\x00\xffbody",
            message_id="m-1",
            correlation_id="c-1",
            subject="agent_message_posted",
            content_type="application/json",
            reply_to="r",
            to="t",
            partition_key="p",
            time_to_live=timedelta(minutes=5),
            application_properties={"text": "ä", "number": 7, "yes": True, "real": 1.5, "id": uuid.UUID(int=5)},
        )
    )
    before = datetime.now(UTC)
    message = work.one()
    assert b"".join(message.body) == b"\x00\xffbody"
    assert (message.message_id, message.correlation_id, message.subject) == ("m-1", "c-1", "agent_message_posted")
    assert (message.content_type, message.reply_to, message.to, message.partition_key) == (
        "application/json",
        "r",
        "t",
        "p",
    )
    assert message.time_to_live == timedelta(minutes=5)
    assert message.application_properties == {
        b"text": b"\xc3\xa4",
        b"number": 7,
        b"yes": True,
        b"real": 1.5,
        b"id": uuid.UUID(int=5),
    }
    assert message.delivery_count == 0
    assert message.state == ServiceBusMessageState.ACTIVE
    assert message.sequence_number is not None
    assert message.sequence_number > 0
    assert message.enqueued_time_utc is not None
    assert abs(before - message.enqueued_time_utc) < timedelta(seconds=10)
    assert message.locked_until_utc is not None
    assert timedelta(seconds=50) < message.locked_until_utc - before < timedelta(seconds=70)
    work.receiver.complete_message(message)


def test_batches_and_lists_are_single_messages_in_order(work: Ends) -> None:
    batch = work.sender.create_message_batch()
    for body in ("b1", "b2"):
        batch.add_message(ServiceBusMessage(body))
    work.sender.send_messages(batch)
    work.send("l1", "l2")
    bodies: list[str] = []
    sequences: list[int] = []
    for _ in range(4):
        message = work.one()
        bodies.append(str(message))
        sequences.append(message.sequence_number or 0)
        work.receiver.complete_message(message)
    assert bodies == ["b1", "b2", "l1", "l2"]
    assert sequences == sorted(set(sequences))


def test_a_body_that_is_itself_an_amqp_message_is_no_batch(work: Ends) -> None:
    inner = bytes.fromhex("005375a00568656c6c6f")
    work.sender.send_messages(ServiceBusMessage(inner))
    message = work.one()
    work.receiver.complete_message(message)
    assert b"".join(message.body) == inner


def test_receive_and_delete(client: ServiceBusClient, broker: BackEnd, work: Ends) -> None:
    work.send("gone")
    mode = ServiceBusReceiveMode.RECEIVE_AND_DELETE
    with client.get_queue_receiver(broker.named("work"), receive_mode=mode) as receiver:
        gone = work.one(receiver)
        assert str(gone) == "gone"
    assert gone.sequence_number is not None
    # a look shows what is locked as well
    assert work.receiver.peek_messages(sequence_number=gone.sequence_number) == []


def test_a_message_just_under_the_limit_passes_and_one_over_it_is_refused(work: Ends) -> None:
    work.sender.send_messages(ServiceBusMessage(b"x" * (255 * 1024)))
    message = work.one()
    work.receiver.complete_message(message)
    assert len(b"".join(message.body)) == 255 * 1024
    with pytest.raises(MessageSizeExceededError):
        work.sender.send_messages(ServiceBusMessage(b"x" * (257 * 1024)))
    work.send("the link lives on")
    work.receiver.complete_message(work.one())


async def test_an_entity_that_is_not_there(broker: BackEnd, client: ServiceBusClient) -> None:
    """As Microsoft's own test of it has it: it is told to the token, which the SDK calls an authentication error."""
    nowhere = broker.named("nowhere")
    with pytest.raises(ServiceBusAuthenticationError), client.get_queue_sender(nowhere) as sender:
        sender.send_messages(ServiceBusMessage("x"))
    with pytest.raises(ServiceBusAuthenticationError), client.get_queue_receiver(nowhere) as receiver:
        receiver.receive_messages(max_wait_time=1)
    async with AsyncServiceBusClient.from_connection_string(broker.service_bus, retry_total=0) as client_async:
        with pytest.raises(ServiceBusAuthenticationError):
            await client_async.get_queue_sender(nowhere).__aenter__()


# -- settlement ------------------------------------------------------------------------------------------------------


def test_abandon_counts_a_delivery(work: Ends) -> None:
    work.send("again")
    counts = []
    for _ in range(3):
        message = work.one()
        counts.append(message.delivery_count)
        work.receiver.abandon_message(message)
    message = work.one()
    work.receiver.complete_message(message)
    assert [*counts, message.delivery_count] == [0, 1, 2, 3]


def test_dead_letter_with_reason_and_resubmit(work: Ends) -> None:
    work.send("bad")
    message = work.one()
    work.receiver.dead_letter_message(message, reason="invalid_json", error_description="line 1")
    dead = work.one(work.dead)
    assert (str(dead), dead.dead_letter_reason, dead.dead_letter_error_description) == ("bad", "invalid_json", "line 1")
    assert dead.sequence_number == message.sequence_number
    work.sender.send_messages(ServiceBusMessage(str(dead)))
    work.dead.complete_message(dead)
    again = work.one()
    work.receiver.complete_message(again)
    assert str(again) == "bad"
    assert again.dead_letter_reason is None
    assert not work.dead.peek_messages(max_message_count=10, sequence_number=1)


def test_deferred_messages_come_by_their_number_only(work: Ends) -> None:
    work.send("wait")
    message = work.one()
    work.receiver.defer_message(message)
    assert work.none()
    number = message.sequence_number
    assert number is not None
    peeked = work.receiver.peek_messages(max_message_count=1, sequence_number=number)
    assert [(str(one), one.state) for one in peeked] == [("wait", ServiceBusMessageState.DEFERRED)]
    (deferred,) = work.receiver.receive_deferred_messages([number])
    assert (str(deferred), deferred.delivery_count) == ("wait", 1)
    with pytest.raises(MessageNotFoundError):
        work.receiver.receive_deferred_messages([number])  # locked
    work.receiver.abandon_message(deferred)
    (deferred,) = work.receiver.receive_deferred_messages([number])
    work.receiver.dead_letter_message(deferred, reason="r", error_description="d")  # by $management
    dead = work.one(work.dead)
    work.dead.complete_message(dead)
    assert (dead.dead_letter_reason, dead.dead_letter_error_description) == ("r", "d")
    with pytest.raises(MessageNotFoundError):
        work.receiver.receive_deferred_messages([number])


def test_a_lock_that_ran_out_counts_and_its_settlement_is_refused(brief: Ends) -> None:
    brief.send("slow")
    first = brief.one()
    second = brief.one()
    assert (first.delivery_count, second.delivery_count) == (0, 1)
    assert second.sequence_number == first.sequence_number
    with pytest.raises(MessageLockLostError):
        brief.receiver.complete_message(first)
    brief.receiver.complete_message(second)
    assert brief.none()


def test_the_maximum_delivery_count_dead_letters(brief: Ends) -> None:
    brief.send("hopeless")
    brief.receiver.abandon_message(brief.one())
    brief.one()  # and its lock runs out
    dead = brief.one(brief.dead)
    brief.dead.complete_message(dead)
    assert (str(dead), dead.dead_letter_reason) == ("hopeless", "MaxDeliveryCountExceeded")
    assert dead.delivery_count == 2


def test_a_renewed_lock_holds(brief: Ends) -> None:
    brief.send("long")
    message = brief.one()
    taken = message.locked_until_utc
    assert taken is not None
    end = time.monotonic() + 2.3 * BRIEF
    while time.monotonic() < end:
        brief.receiver.renew_message_lock(message)
        time.sleep(BRIEF / 3)
    assert message.locked_until_utc is not None
    assert message.locked_until_utc - taken > timedelta(seconds=1.3 * BRIEF)
    brief.receiver.complete_message(message)
    assert brief.none()


def test_time_to_live_ends_in_the_dead_letter_queue(brief: Ends) -> None:
    brief.sender.send_messages(ServiceBusMessage("old", time_to_live=timedelta(milliseconds=50)))
    dead = brief.one(brief.dead)
    brief.dead.complete_message(dead)
    assert (str(dead), dead.dead_letter_reason, dead.delivery_count) == ("old", "TTLExpiredException", 0)


def test_a_closed_receivers_message_stays_locked_until_the_lock_runs_out(
    client: ServiceBusClient, broker: BackEnd
) -> None:
    ends = Ends(client, broker.named("held"))
    ends.send("held")
    with client.get_queue_receiver(broker.named("held")) as other:
        held = ends.one(other)
        until_utc = held.locked_until_utc
    again = ends.one()
    assert until_utc is not None
    assert datetime.now(UTC) >= until_utc
    assert (again.sequence_number, again.delivery_count) == (held.sequence_number, 1)
    ends.receiver.complete_message(again)
    ends.close()


# -- peek and schedule -----------------------------------------------------------------------------------------------


def test_peek_shows_every_state_and_pages(client: ServiceBusClient, broker: BackEnd) -> None:
    ends = Ends(client, broker.named("peeks"))
    ends.send("locked", "deferred", "dead", "active")
    ends.sender.schedule_messages(ServiceBusMessage("scheduled"), datetime.now(UTC) + timedelta(hours=1))
    for action in ("lock", "defer", "bury"):
        message = ends.one()
        if action == "defer":
            ends.receiver.defer_message(message)
        elif action == "bury":
            ends.receiver.dead_letter_message(message)
    seen: list[tuple[str, ServiceBusMessageState]] = []
    position = 1
    while page := ends.receiver.peek_messages(max_message_count=2, sequence_number=position):
        assert len(page) <= 2
        seen += [(str(one), one.state) for one in page]
        assert page[-1].sequence_number is not None
        position = page[-1].sequence_number + 1
    active, deferred, scheduled = (
        ServiceBusMessageState.ACTIVE,
        ServiceBusMessageState.DEFERRED,
        ServiceBusMessageState.SCHEDULED,
    )
    assert seen == [("locked", active), ("deferred", deferred), ("active", active), ("scheduled", scheduled)]
    assert [str(one) for one in ends.dead.peek_messages(max_message_count=5)] == ["dead"]
    ends.close()


@pytest.fixture
def registered_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK sends a request and only then notes that it waits for an answer. An answer that another thread reads in
    between is thrown away, and who asked waits for ever: under load about one request in a hundred. Its documentation
    says that a receiver is not safe for threads. Here whoever reads an answer waits until it is asked for."""
    deliver = ManagementLink._on_message_received

    def deliver_when_awaited(self: ManagementLink, frame: object, message: Any) -> None:
        asked = message.properties[5]
        until(lambda: any(one.message.properties.message_id == asked for one in self._pending_operations))
        deliver(self, frame, message)  # type: ignore[no-untyped-call]

    monkeypatch.setattr(ManagementLink, "_on_message_received", deliver_when_awaited)


@pytest.mark.usefixtures("registered_in_time")
def test_concurrent_peeks_on_one_receiver(client: ServiceBusClient, broker: BackEnd) -> None:
    """Threads and tasks that share a management link repeat delivery-ids; each must get its own answer."""
    with client.get_queue_sender(broker.named("busy")) as sender:
        sender.send_messages([ServiceBusMessage(f"{number}" * 50) for number in range(60)])
    with client.get_queue_receiver(broker.named("busy")) as receiver, ThreadPoolExecutor(8) as pool:

        def peek(start: int) -> list[int]:
            found = receiver.peek_messages(max_message_count=10, sequence_number=start, timeout=WAIT)
            return [one.sequence_number or 0 for one in found]

        starts = [1 + number % 40 for number in range(80)]
        assert list(pool.map(peek, starts)) == [list(range(start, start + 10)) for start in starts]
        assert receiver.receive_messages(max_message_count=1, max_wait_time=WAIT)


async def test_concurrent_peeks_and_settlements_on_one_asynchronous_receiver(broker: BackEnd) -> None:
    async with (
        AsyncServiceBusClient.from_connection_string(broker.service_bus, retry_total=0) as client,
        client.get_queue_sender(broker.named("later")) as sender,
        client.get_queue_receiver(broker.named("later")) as receiver,
    ):
        await sender.send_messages([ServiceBusMessage(str(number)) for number in range(20)])
        messages: list[ServiceBusReceivedMessage] = []
        while len(messages) < 10:
            messages += await receiver.receive_messages(max_message_count=10 - len(messages), max_wait_time=WAIT)
        first = messages[0].sequence_number or 0

        async def peek() -> list[int]:
            found = await receiver.peek_messages(max_message_count=20, sequence_number=first)
            return [one.sequence_number or 0 for one in found]

        pages = await asyncio.gather(*(peek() for _ in range(10)), *(sender_peek(sender) for _ in range(5)))
        assert pages[:10] == [list(range(first, first + 20))] * 10
        for message in messages:
            await receiver.complete_message(message)
        left = await receiver.peek_messages(max_message_count=30, sequence_number=first)
        active = [one for one in left if one.state == ServiceBusMessageState.ACTIVE]
        assert [str(one) for one in active] == [str(number) for number in range(10, 20)]


async def sender_peek(sender: object) -> list[int]:
    """Concurrent management requests on the sender's link as well: each schedules one message."""
    schedule = sender.schedule_messages  # type: ignore[attr-defined]
    return list(await schedule(ServiceBusMessage("scheduled"), datetime.now(UTC) + timedelta(hours=1)))


def test_scheduled_messages_come_when_they_are_due_under_a_new_number(work: Ends) -> None:
    due = datetime.now(UTC) + timedelta(seconds=0.5)
    (number,) = work.sender.schedule_messages(ServiceBusMessage("by request"), due)
    work.sender.send_messages(ServiceBusMessage("by property", scheduled_enqueue_time_utc=due))
    (peeked,) = work.receiver.peek_messages(max_message_count=1, sequence_number=number)
    assert peeked.state == ServiceBusMessageState.SCHEDULED
    messages = [work.one(), work.one()]
    assert datetime.now(UTC) >= due
    for message in messages:
        work.receiver.complete_message(message)
        assert (message.sequence_number or 0) > number
        assert message.enqueued_time_utc is not None
        assert message.enqueued_time_utc >= due - timedelta(milliseconds=1)
    assert sorted(str(message) for message in messages) == ["by property", "by request"]


def test_a_cancelled_message_never_comes(work: Ends) -> None:
    due = datetime.now(UTC) + timedelta(seconds=0.3)
    numbers = work.sender.schedule_messages([ServiceBusMessage("a"), ServiceBusMessage("b")], due)
    work.sender.cancel_scheduled_messages(numbers[0])
    with pytest.raises(ServiceBusError):
        work.sender.cancel_scheduled_messages(numbers[0])
    message = work.one()
    work.receiver.complete_message(message)
    assert str(message) == "b"
    assert work.none()


# -- refused ---------------------------------------------------------------------------------------------------------


def test_a_session_id_on_a_queue_without_sessions_is_one_more_property(work: Ends) -> None:
    work.sender.send_messages(ServiceBusMessage("x", session_id="s"))
    message = work.one()
    work.receiver.complete_message(message)
    assert message.session_id == "s"


@pytest.mark.own_broker("others have sessions")
def test_session_receivers_are_refused_by_name(client: ServiceBusClient) -> None:
    with (
        pytest.raises(ServiceBusError, match="session"),
        client.get_queue_receiver("work", session_id="s", max_wait_time=1) as receiver,
    ):
        receiver.receive_messages(max_wait_time=1)


def test_concurrent_receivers_share_a_queue_and_lock_nothing_twice(
    client: ServiceBusClient, broker: BackEnd, work: Ends
) -> None:
    work.send(*(str(number) for number in range(40)))
    with client.get_queue_receiver(broker.named("work"), prefetch_count=5) as other:
        seen: list[str] = []
        while len(seen) < 40:
            for receiver in (work.receiver, other):
                for message in receiver.receive_messages(max_message_count=4, max_wait_time=0.5):
                    seen.append(str(message))
                    receiver.complete_message(message)
    assert sorted(seen, key=int) == [str(number) for number in range(40)]
