"""The broker, or whatever back end is named, by clients other than azure-servicebus: Apache Qpid Proton, and what one
client sends that another reads.

Each of these was a fault that such a client met.
"""

from __future__ import annotations

import json
import os
import select
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from azure.eventhub import EventData, EventHubConsumerClient, EventHubProducerClient
from azure.servicebus import ServiceBusClient, ServiceBusReceivedMessage, ServiceBusSubQueue
from proton import (
    Array,
    ConnectionException,
    Data,
    Delivery,
    Link,
    Message,
    char,
    decimal128,
    symbol,
    timestamp,
    uint,
    ulong,
)
from proton.reactor import LinkOption
from proton.utils import LinkDetached, SendException

from tests.support.amqp import Client, lock_token
from tests.support.back_end import SHORTEST_LOCK, BackEnd, Entity, back_end
from tests.support.broker import launch, running_broker, write_config

WAIT = 5.0 + SHORTEST_LOCK
HUB = "readings"


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BackEnd]:
    queues: list[Entity] = [
        {"name": "plain", "maxDeliveryCount": 3},
        {"name": "bodies"},
        {"name": "stale", "lockSeconds": 1},
        {"name": "short", "ttlSeconds": 60},
        {"name": "shared"},
        {"name": "later"},
    ]
    hubs = [{"name": HUB, "partitions": 2}]
    with back_end(tmp_path_factory.mktemp("broker"), queues, hubs) as running:
        yield running


@pytest.fixture
def client(broker: BackEnd) -> Iterator[Client]:
    with broker.proton() as connected:
        yield connected


@pytest.fixture
def reader(broker: BackEnd) -> Iterator[Client]:
    """Of event hubs, which may be in a namespace of their own."""
    with broker.proton_of_hubs() as connected:
        yield connected


@pytest.fixture(scope="module")
def sdk(broker: BackEnd) -> Iterator[ServiceBusClient]:
    with ServiceBusClient.from_connection_string(broker.service_bus, retry_total=0) as client:
        yield client


def received(sdk: ServiceBusClient, queue: str, count: int = 1) -> list[ServiceBusReceivedMessage]:
    """So many messages by the Python SDK, completed."""
    found: list[ServiceBusReceivedMessage] = []
    with sdk.get_queue_receiver(queue) as receiver:
        while len(found) < count:
            got = receiver.receive_messages(max_message_count=count - len(found), max_wait_time=WAIT)
            assert got, f"{len(found)} of {count} messages came"
            for message in got:
                receiver.complete_message(message)
            found.extend(got)
    return found


def latest(receiver: Any) -> Delivery:
    delivery: Delivery = receiver.fetcher.unsettled[-1]
    return delivery


# -- user and password, tokens ---------------------------------------------------------------------------------------


def test_the_keys_name_and_the_key_open_every_entity(client: Client) -> None:
    client.send("plain", Message(body=b"x"))
    receiver = client.receiver("plain")
    receiver.receive(timeout=WAIT)
    receiver.accept()


@pytest.mark.parametrize("wrong", [{"key": "wrong"}, {"name": "somebody"}])
def test_a_wrong_name_or_key_is_refused_at_the_door(broker: BackEnd, wrong: dict[str, Any]) -> None:
    with pytest.raises(ConnectionException, match="Authentication failed"):
        broker.proton(**wrong)


@pytest.mark.parametrize("path", ["plain", "plain/$deadletterqueue"])
def test_a_token_for_management_opens_management_and_nothing_else(broker: BackEnd, path: str) -> None:
    with broker.proton(plain=False) as client:
        assert client.peek(path)[0] == 401
        assert client.put_token(f"{path}/$management") == 200
        assert client.peek(path)[0] in (200, 204)
        with pytest.raises(LinkDetached, match="no valid token"):
            client.receiver(path)
        assert client.peek("bodies")[0] == 401


def test_a_token_for_a_hubs_management_opens_its_properties(broker: BackEnd) -> None:
    with broker.proton_of_hubs(plain=False) as client:
        hub = broker.named(HUB)
        assert client.put_token(f"{HUB}/$management") == 200
        status, told = client.manage(HUB, "READ", name=hub, type="com.microsoft:eventhub")
        assert (status, told["name"]) == (200, hub)
        with pytest.raises(LinkDetached, match="no valid token"):
            client.send(HUB, Message(body=b"x"))


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("nowhere", 404),
        ("nowhere/$management", 404),
        ("nowhere/$deadletterqueue", 404),
        ("nowhere/ConsumerGroups/$Default/Partitions/0", 404),
        ("plain/subscriptions/some", 404),
        ("PLAIN/$DeadLetterQueue/$management", 200),
        (f"{HUB}/ConsumerGroups/$Default/Partitions/0", 200),
        (f"{HUB}/Partitions/0", 200),
    ],
)
def test_a_token_for_what_is_not_there_is_answered_as_such(broker: BackEnd, path: str, status: int) -> None:
    with broker.proton(plain=False) as client:
        assert client.put_token(path) == status


@pytest.mark.parametrize("path", ["", "$management"])
def test_a_token_for_the_whole_namespace_is_taken(broker: BackEnd, path: str) -> None:
    with replace(broker, prefix="").proton(plain=False) as client:
        assert client.put_token(path) == 200


def test_who_has_no_right_is_not_told_what_is_there(broker: BackEnd) -> None:
    with broker.proton(plain=False) as client:
        assert client.put_token("nowhere", key="wrong") == client.put_token("plain", key="wrong") == 401


# -- settlement ------------------------------------------------------------------------------------------------------


def test_modified_counts_a_delivery_and_keeps_properties_though_no_failure_is_said(client: Client) -> None:
    """As .NET and JavaScript abandon."""
    client.send("plain", Message(body=b"x", id="m", properties={"kept": "k", "changed": 0}))
    receiver = client.receiver("plain")
    for attempt in range(3):
        message = receiver.receive(timeout=WAIT)
        assert message.delivery_count == attempt
        assert message.properties == {"kept": "k", "changed": attempt}
        delivery = latest(receiver)
        delivery.local.annotations = {symbol("changed"): attempt + 1}
        receiver.settle(Delivery.MODIFIED)
    dead = client.receiver("plain/$deadletterqueue").receive(timeout=WAIT)
    assert (dead.id, dead.properties["DeadLetterReason"]) == ("m", "MaxDeliveryCountExceeded")
    assert dead.properties["changed"] == 3


def test_closing_a_receiver_settles_nothing_and_management_still_can(client: Client) -> None:
    client.send("plain", Message(body=b"x", id="open"))
    receiver = client.receiver("plain")
    lock = lock_token(receiver.receive(timeout=WAIT))
    delivery = latest(receiver)
    receiver.close()
    status, told = client.peek("plain")  # a round trip: what the broker had to say to the closing has come
    assert (status, len(told["messages"])) == (200, 1)
    assert not delivery.settled
    assert client.settle("plain", "completed", lock) == 200
    assert client.settle("plain", "completed", lock) == 410


def test_a_stale_settlement_is_refused_on_the_link(client: Client) -> None:
    client.send("stale", Message(body=b"x"))
    receiver = client.receiver("stale")
    receiver.receive(timeout=WAIT)
    delivery = latest(receiver)
    again = client.receiver("stale")
    again.receive(timeout=WAIT)  # so the first lock is over
    delivery.update(Delivery.ACCEPTED)
    client.connection.wait(lambda: delivery.settled, timeout=WAIT)
    assert delivery.remote_state == Delivery.REJECTED
    assert delivery.remote.condition.name == "com.microsoft:message-lock-lost"
    again.accept()
    assert client.peek("stale")[0] == 204


def test_a_stale_settlement_is_refused_over_management(client: Client) -> None:
    """Without the SDK, whose own clock would refuse it first."""
    client.send("stale", Message(body=b"x"))
    receiver, again = client.receiver("stale"), client.receiver("stale")
    stale = lock_token(receiver.receive(timeout=WAIT))
    fresh = lock_token(again.receive(timeout=WAIT))
    for status in ("completed", "abandoned", "suspended", "defered"):
        assert client.settle("stale", status, stale) == 410
    assert client.manage("stale", "com.microsoft:renew-lock", {"lock-tokens": _uuids(stale)})[0] == 410
    while client.settle("stale", "completed", fresh) == 410:  # its own lock may be over by now, on a busy machine
        fresh = lock_token(again.receive(timeout=WAIT))
    assert client.peek("stale")[0] == 204


def _uuids(*values: object) -> Array:
    return Array(None, Data.UUID, *values)


def test_every_settlement_over_management_keeps_the_properties_to_modify(client: Client) -> None:
    client.send("plain", Message(body=b"x", id="m", properties={"kept": "k"}))
    receiver = client.receiver("plain")

    def settle(status: str, message: Message, **changed: str) -> None:
        locks: dict[str, Any] = {"disposition-status": status, "lock-tokens": [lock_token(message)]}
        body = locks | {"properties-to-modify": changed}
        assert client.manage("plain", "com.microsoft:update-disposition", body)[0] == 200

    settle("abandoned", receiver.receive(timeout=WAIT), abandoned="a")
    again = receiver.receive(timeout=WAIT)
    assert again.properties == {"kept": "k", "abandoned": "a"}
    settle("defered", again, deferred="d")
    number = (again.annotations or {})[symbol("x-opt-sequence-number")]
    asked = {"sequence-numbers": Array(None, Data.LONG, number), "receiver-settle-mode": uint(1)}
    status, told = client.manage("plain", "com.microsoft:receive-by-sequence-number", asked)
    assert status == 200
    (one,) = told["messages"]
    deferred = Message()
    deferred.decode(bytes(one["message"]))
    assert deferred.properties == {"kept": "k", "abandoned": "a", "deferred": "d"}
    body = {"disposition-status": "suspended", "lock-tokens": [one["lock-token"]], "properties-to-modify": {"dead": 1}}
    assert client.manage("plain", "com.microsoft:update-disposition", body)[0] == 200
    dead = client.receiver("plain/$deadletterqueue")
    assert dead.receive(timeout=WAIT).properties == {"kept": "k", "abandoned": "a", "deferred": "d", "dead": 1}
    dead.accept()


def test_what_is_released_comes_again_and_counts_nothing(client: Client) -> None:
    client.send("plain", Message(body=b"x", id="m"))
    receiver = client.receiver("plain")
    for _ in range(4):  # the queue allows three deliveries
        assert receiver.receive(timeout=WAIT).delivery_count == 0
        receiver.settle(Delivery.RELEASED)
    receiver.receive(timeout=WAIT)
    receiver.accept()


def _queued(receiver: Any) -> list[Any]:
    """The ids of what has come on this link, completed."""
    seen = []
    while receiver.fetcher.has_message:
        seen.append(receiver.receive(timeout=0).id)
        receiver.accept()
    return seen


def test_no_message_goes_to_a_link_without_credit(client: Client) -> None:
    receiver = client.receiver("shared", credit=1)
    client.send("shared", Message(body=b"x", id="first"), Message(body=b"x", id="second"))
    status, told = client.peek("shared")  # a round trip: what was on its way has come
    assert (status, len(told["messages"])) == (200, 2)
    assert len(receiver.fetcher.incoming) == 1
    assert _queued(receiver) == ["first"]
    rest = client.receiver("shared", credit=1)
    assert rest.receive(timeout=WAIT).id == "second"
    rest.accept()


def test_links_with_credit_take_turns(client: Client) -> None:
    ends = [client.receiver("shared", credit=10) for _ in range(2)]
    client.send("shared", *(Message(body=b"x", id=str(number)) for number in range(10)))
    client.peek("shared")
    assert [len(_queued(end)) for end in ends] == [5, 5]


def test_nothing_can_be_sent_to_a_dead_letter_queue(client: Client) -> None:
    with pytest.raises(LinkDetached, match="nothing can be sent to a dead-letter queue"):
        client.send("plain/$deadletterqueue", Message(body=b"x"))
    assert client.peek("plain")[0] == 204


def test_no_message_is_on_two_links_at_once(broker: BackEnd, client: Client) -> None:
    numbers = [str(number) for number in range(20)]
    with broker.proton() as other:
        ends = [one.receiver("shared", credit=15) for one in (client, client, other)]
        client.send("shared", *(Message(body=number.encode(), id=number) for number in numbers))
        client.peek("shared")
        other.peek("shared")  # round trips: everything that was on its way has come
        seen = []
        for end in ends:
            while end.fetcher.has_message:
                seen.append(end.receive(timeout=0).id)
                end.accept()
    assert sorted(seen, key=int) == numbers


# -- what is sent and what is read -----------------------------------------------------------------------------------


def test_a_message_id_is_assigned_on_intake_where_none_was_set(
    broker: BackEnd, client: Client, sdk: ServiceBusClient
) -> None:
    client.send("bodies", Message(body=b"no properties"), Message(body=b"a subject", subject="s"))
    client.send("bodies", Message(body=b"a number", id=ulong(7)), Message(body=b"an id", id="own"))
    without, subject, number, own = received(sdk, broker.named("bodies"), 4)
    assert len({without.message_id, subject.message_id}) == 2
    assert all(len(str(one.message_id)) == 32 for one in (without, subject))
    assert subject.subject == "s"
    assert [number.message_id, own.message_id] == [7, "own"]


def test_an_assigned_message_id_stays_through_deliveries_and_dead_lettering(client: Client) -> None:
    client.send("plain", Message(body=b"x"))
    receiver = client.receiver("plain")
    first = receiver.receive(timeout=WAIT)
    receiver.settle(Delivery.MODIFIED)
    second = receiver.receive(timeout=WAIT)
    receiver.reject()
    dead = client.receiver("plain/$deadletterqueue")
    assert first.id == second.id == dead.receive(timeout=WAIT).id
    dead.accept()


def test_the_header_and_every_kind_of_body_come_as_they_were_sent(
    broker: BackEnd, client: Client, sdk: ServiceBusClient
) -> None:
    empty = Message(id="null")
    client.send(
        "bodies",
        Message(body=b"d", inferred=True, priority=9, durable=True, id="data"),
        Message(body="text", id="text"),
        Message(body={"a": 1}, id="map"),
        Message(body=[1, 2], id="list"),
        empty,
    )
    data, text, mapped, listed, null = received(sdk, broker.named("bodies"), 5)
    header = data.raw_amqp_message.header
    assert header is not None
    assert (header.priority, header.durable) == (9, True)
    assert b"".join(data.body) == b"d"
    assert (text.body, mapped.body, listed.body, null.body) == (b"text", {b"a": 1}, [1, 2], None)


def test_what_the_python_sdk_cannot_decode_passes_through_untouched(client: Client) -> None:
    sent = {"amount": decimal128(bytes(15) + b"\x07"), "letter": char("x")}
    client.send("bodies", Message(body=b"x", properties=sent))
    receiver = client.receiver("bodies")
    receiver.receive(timeout=WAIT)
    latest(receiver).local.annotations = {symbol("more"): 1}
    receiver.settle(Delivery.MODIFIED)
    assert receiver.receive(timeout=WAIT).properties == {**sent, "more": 1}
    receiver.accept()


def test_scheduled_messages_keep_their_bytes(client: Client) -> None:
    """They come in the body of a request, whose memory is freed while they are in use; see test_broker_memory.py."""
    due = {symbol("x-opt-scheduled-enqueue-time"): timestamp(int((time.time() + 3600) * 1000))}
    sent = [f"{number} " * 200 for number in range(60)]
    for body in sent:
        raw = Message(body=body.encode(), inferred=True, annotations=due).encode()
        status, told = client.manage("later", "com.microsoft:schedule-message", {"messages": [{"message": raw}]})
        assert status == 200
        assert len(list(told["sequence-numbers"].elements)) == 1
    peeked = client.peek("later")[1]["messages"]
    seen = [Message() for _ in peeked]
    for message, one in zip(seen, peeked, strict=True):
        message.decode(bytes(one["message"]))
    assert [bytes(message.body).decode() for message in seen] == sent


def test_properties_above_64_kb_are_refused(client: Client) -> None:
    with pytest.raises(SendException) as refused:
        client.send("bodies", Message(body=b"x", properties={"large": "x" * 65_536}))
    assert refused.value.state == Delivery.REJECTED
    assert client.peek("bodies")[0] == 204


def test_the_time_to_live_and_the_expiry_are_the_queues_where_those_are_shorter(client: Client) -> None:
    client.send(
        "short",
        Message(body=b"none"),
        Message(body=b"long", ttl=3600, expiry_time=time.time() + 3600, id="long"),
        Message(body=b"brief", ttl=5, expiry_time=1.0, id="brief"),
    )
    receiver = client.receiver("short", credit=3)
    none, long, brief = (receiver.receive(timeout=WAIT) for _ in range(3))
    assert (none.ttl, long.ttl, brief.ttl) == (60.0, 60.0, 5.0)
    enqueued = (long.annotations or {})[symbol("x-opt-enqueued-time")] / 1000
    assert long.expiry_time == pytest.approx(enqueued + 60, abs=0.01)
    assert (none.expiry_time, brief.expiry_time) == (0.0, 1.0)


def test_the_first_dead_lettering_says_why(broker: BackEnd, client: Client, sdk: ServiceBusClient) -> None:
    client.send("bodies", Message(body=b"x"))
    with sdk.get_queue_receiver(broker.named("bodies")) as receiver:
        (message,) = receiver.receive_messages(max_wait_time=WAIT)
        receiver.dead_letter_message(message, reason="first", error_description="because")
    with sdk.get_queue_receiver(broker.named("bodies"), sub_queue=ServiceBusSubQueue.DEAD_LETTER) as dead:
        (message,) = dead.receive_messages(max_wait_time=WAIT)
        dead.dead_letter_message(message, reason="second")
        (message,) = dead.receive_messages(max_wait_time=WAIT)
        dead.complete_message(message)
    assert (message.dead_letter_reason, message.dead_letter_error_description) == ("first", "because")


class _Presettled(LinkOption):  # type: ignore[misc]
    def apply(self, link: Link) -> None:
        link.snd_settle_mode = Link.SND_SETTLED


@pytest.mark.own_broker("reads its log")
def test_a_presettled_message_that_is_refused_is_said_in_the_log(broker: BackEnd, client: Client) -> None:
    sender = client.connection.create_sender("bodies", options=_Presettled())
    sender.link.send(Message(body=b"x", properties={"large": "y" * 65_536}))
    client.peek("bodies")
    told, errors = b"", broker.own and broker.own.process.stderr
    assert errors
    while b"queue bodies: what was sent presettled is refused" not in told:
        assert select.select([errors], [], [], WAIT)[0], f"nothing of it in the log: {told!r}"
        told += os.read(errors.fileno(), 65_536)


def test_what_is_not_there_is_said_in_the_words_that_clients_look_for(client: Client, reader: Client) -> None:
    not_found = r"The messaging entity '.*{}' could not be found"
    with pytest.raises(LinkDetached, match=not_found.format("nowhere")):
        client.receiver("nowhere")
    with pytest.raises(LinkDetached, match=not_found.format("consumergroups/nobodys/partitions/0")):
        reader.receiver(f"{HUB}/consumergroups/nobodys/partitions/0")
    with pytest.raises(LinkDetached, match=r"argument-out-of-range.*It should be between 0 and 1"):
        reader.send(f"{HUB}/partitions/7", Message(body=b"x"))


# -- event hubs ------------------------------------------------------------------------------------------------------


class _Epoch(LinkOption):  # type: ignore[misc]
    def __init__(self, level: int) -> None:
        self.level = level

    def apply(self, link: Link) -> None:
        link.properties = {symbol("com.microsoft:epoch"): self.level}


def test_a_lower_owner_level_is_refused(reader: Client) -> None:
    path = f"{HUB}/consumergroups/$default/partitions/0"
    owner = reader.receiver(path, options=_Epoch(2))
    # In these words: were the owner's own link taken away, its end would be told here as well.
    with pytest.raises(LinkDetached, match=r"link:stolen.*owner level 2 reads this partition"):
        reader.receiver(path, options=_Epoch(1))
    with pytest.raises(LinkDetached, match=r"link:stolen.*owner level 2 reads this partition"):
        reader.receiver(path)
    reader.send(f"{HUB}/partitions/0", Message(body=b"x", id="for the owner"))
    assert owner.receive(timeout=WAIT).id == "for the owner"


def test_a_consumer_that_asks_is_told_the_last_event_of_its_partition(broker: BackEnd) -> None:
    named: dict[str, Any] = {"eventhub_name": broker.named(HUB), "retry_total": 0}
    with EventHubProducerClient.from_connection_string(broker.event_hubs, **named) as producer:
        producer.send_batch([EventData(str(number)) for number in range(3)], partition_id="1")
    told: list[dict[str, Any]] = []
    consumer = EventHubConsumerClient.from_connection_string(broker.event_hubs, "$Default", **named)

    def seen(context: Any, event: EventData | None) -> None:
        told.append(context.last_enqueued_event_properties)
        consumer.close()

    consumer.receive(seen, partition_id="1", starting_position="-1", track_last_enqueued_event_properties=True)
    assert (told[0]["sequence_number"], told[0]["offset"]) == (2, "2")
    assert told[0]["enqueued_time"] is not None


# -- durability ------------------------------------------------------------------------------------------------------


@pytest.mark.own_broker("kills it")
def test_what_was_acknowledged_is_there_after_a_kill_at_once(tmp_path: Path) -> None:
    """One message and nothing after it: the turn itself has to commit it."""
    config: dict[str, Any] = {"queues": [{"name": "kept"}], "stateDir": str(tmp_path / "state")}
    with running_broker(tmp_path, **config) as first:
        client = Client(first.amqp_port)
        client.connection.create_sender("kept").send(Message(body=b"x", id="acknowledged"))
        first.kill()
    process = launch(write_config(tmp_path, **config))
    try:
        assert process.stdout is not None
        with Client(json.loads(process.stdout.readline())["amqpPort"]) as client:
            assert client.receiver("kept").receive(timeout=WAIT).id == "acknowledged"
    finally:
        process.terminate()
        process.communicate(timeout=10)
