"""Time and faults of a broker for tests, as the real SDK's client meets them."""

from __future__ import annotations

import gc
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from azure.servicebus import ServiceBusClient, ServiceBusMessage, ServiceBusReceiveMode, ServiceBusReceiver
from azure.servicebus.exceptions import (
    MessageLockLostError,
    OperationTimeoutError,
    ServiceBusError,
    ServiceBusServerBusyError,
)

from mosaic_local.errors import StackError
from mosaic_local.namespaces import Namespace
from mosaic_local.testing import BrokerControl, Fault, Rule
from tests.support.broker import SDK_LEAVES_SOCKETS

pytest_plugins = ["mosaic_local.pytest_plugin"]
pytestmark = [
    SDK_LEAVES_SOCKETS,
    pytest.mark.own_broker("moves its time and makes it fail"),
]
Q = "orders"


@pytest.fixture
def namespace(open_namespace: Callable[..., Namespace]) -> Namespace:
    return open_namespace(queues=[Q, "others"])


@pytest.fixture
def client(namespace: Namespace) -> Iterator[ServiceBusClient]:
    connection = namespace.connection_string
    with ServiceBusClient.from_connection_string(connection, retry_backoff_factor=0.01) as client:
        yield client
    gc.collect()  # what the SDK left open is told here, and not of whatever runs next


def send(client: ServiceBusClient, *texts: str, queue: str = Q, **properties: object) -> None:
    with client.get_queue_sender(queue) as sender:
        sender.send_messages([ServiceBusMessage(text, **properties) for text in texts])  # type: ignore[arg-type]


def take_all(client: ServiceBusClient, queue: str = Q, sub_queue: str | None = None) -> list[str]:
    with client.get_queue_receiver(
        queue,
        sub_queue=sub_queue,
        receive_mode=ServiceBusReceiveMode.RECEIVE_AND_DELETE,
    ) as receiver:
        taken: list[str] = []
        while batch := receiver.receive_messages(50, max_wait_time=0.3):
            taken += map(str, batch)
        return taken


def one(receiver: ServiceBusReceiver, wait: float = 10) -> object:
    (message,) = receiver.receive_messages(1, max_wait_time=wait)
    return message


# --------------------------------------------------------------------------------------------------------- time


def test_thirty_days_of_schedules_locks_and_ends_of_life_pass_at_once(
    namespace: Namespace, client: ServiceBusClient
) -> None:
    began = time.monotonic()
    control = namespace.control
    with client.get_queue_sender(Q) as sender:
        for day in range(1, 31):
            sender.schedule_messages(ServiceBusMessage(f"day {day}"), datetime.now(UTC) + timedelta(days=day))
    send(client, "kept for an hour", queue="others", time_to_live=timedelta(hours=1))
    seen: list[str] = []
    with client.get_queue_receiver(Q, receive_mode=ServiceBusReceiveMode.RECEIVE_AND_DELETE) as receiver:
        due = control.advance(timedelta())
        while due is not None and len(seen) < 30:
            is_a_day = due - datetime.now(UTC) > timedelta(hours=2)  # the first to end is the hour
            due = control.advance(max(due - control.now(), timedelta()))
            if is_a_day:
                seen.append(str(one(receiver)))
    assert seen == [f"day {day}" for day in range(1, 31)]
    assert take_all(client, "others", "deadletter") == ["kept for an hour"]
    assert time.monotonic() - began < 30  # some two seconds where the machine does nothing else


def test_a_lock_ends_when_the_broker_s_time_says_so(namespace: Namespace, client: ServiceBusClient) -> None:
    send(client, "work")
    with client.get_queue_receiver(Q) as receiver:
        message = one(receiver)
        namespace.control.advance(timedelta(minutes=2))
        with pytest.raises(MessageLockLostError):
            receiver.complete_message(message)  # type: ignore[arg-type]
        again = one(receiver)
        assert (str(again), again.delivery_count) == ("work", 1)  # type: ignore[attr-defined]


def test_ten_deliveries_that_ran_out_are_a_dead_letter(namespace: Namespace, client: ServiceBusClient) -> None:
    send(client, "poison")
    with client.get_queue_receiver(Q) as receiver:
        for _ in range(10):
            one(receiver)
            namespace.control.advance(timedelta(minutes=2))
    with client.get_queue_receiver(Q, sub_queue="deadletter") as dead:
        assert one(dead).dead_letter_reason == "MaxDeliveryCountExceeded"  # type: ignore[attr-defined]


def test_it_is_quiet_when_nothing_is_left_that_does_not_wait_for_a_time(
    namespace: Namespace, client: ServiceBusClient
) -> None:
    quiet, soon = namespace.control.wait_until_quiet, timedelta(milliseconds=50)
    due = datetime.now(UTC) + timedelta(days=1)
    with client.get_queue_receiver(Q) as receiver, client.get_queue_sender(Q) as sender:
        sender.schedule_messages(ServiceBusMessage("later"), due)
        found = quiet(soon)
        assert found is not None
        assert abs(found - due) < timedelta(seconds=1)
        sender.send_messages(ServiceBusMessage("now"))
        message = one(receiver)
        with pytest.raises(StackError, match=f"408.*at work: {Q}"):
            quiet(soon)
        receiver.complete_message(message)  # type: ignore[arg-type]
        quiet()
    send(client, "for nobody", queue="others")
    quiet(soon)


def test_a_broker_that_is_not_for_tests_has_no_such_thing(open_namespace: Callable[..., Namespace]) -> None:
    namespace = open_namespace(sas_key="right")
    wrong = BrokerControl(namespace.administration_connection_string.replace("right", "wrong"), namespace.ca_file)
    with pytest.raises(StackError, match="401"):
        wrong.advance(timedelta(days=1))
    namespace.control.advance(timedelta(days=1))
    with pytest.raises(StackError, match="400"):
        namespace.control.advance(timedelta(days=-1))
    with pytest.raises(StackError, match=r"400.*seconds"):
        namespace.control.wait_until_quiet(timedelta(seconds=-1))


# -------------------------------------------------------------------------------------------------------- faults


@pytest.mark.slow
def test_a_send_without_an_answer_is_sent_again(namespace: Namespace, client: ServiceBusClient) -> None:
    namespace.control.fail(Rule(fault=Fault.SEND_UNANSWERED, entity=Q, times=1))
    send(client, "order", message_id="1")
    assert take_all(client) == ["order", "order"]
    assert namespace.control.struck() == {"send_unanswered": 1}


def test_a_duplicate_has_the_same_id(namespace: Namespace, client: ServiceBusClient) -> None:
    namespace.control.fail(Rule(fault=Fault.DUPLICATE, times=1))
    send(client, "order")
    with client.get_queue_receiver(Q) as receiver:
        first, second = one(receiver), one(receiver)
    assert first.message_id == second.message_id  # type: ignore[attr-defined]


@pytest.mark.slow
@pytest.mark.parametrize("fault", [Fault.CUT, Fault.HALF_CLOSED])
def test_a_connection_that_is_cut_leaves_the_lock_and_the_client_goes_on(
    namespace: Namespace, client: ServiceBusClient, fault: Fault
) -> None:
    send(client, "order")
    namespace.control.fail(Rule(fault=fault, entity=Q, times=1))
    with client.get_queue_receiver(Q) as receiver:
        with suppress(OperationTimeoutError):
            assert receiver.receive_messages(1, max_wait_time=1) == []
        namespace.control.advance(timedelta(minutes=2))
        assert one(receiver).delivery_count == 1  # type: ignore[attr-defined]


@pytest.mark.slow
def test_a_settlement_that_is_lost_lets_the_message_come_again(namespace: Namespace, client: ServiceBusClient) -> None:
    send(client, "order")
    namespace.control.fail(Rule(fault=Fault.SETTLEMENT_LOST, entity=Q, times=1))
    with client.get_queue_receiver(Q) as receiver:
        receiver.complete_message(one(receiver))  # type: ignore[arg-type]
    namespace.control.advance(timedelta(minutes=2))
    left = take_all(client)
    # The SDK settles on the link without waiting, or over management once the link is gone: then nothing is left.
    assert left in (["order"], [])
    assert namespace.control.struck() == {"settlement_lost": 1}


@pytest.mark.slow
def test_a_settlement_that_counted_without_an_answer_does_not_bring_the_message_again(
    namespace: Namespace, client: ServiceBusClient
) -> None:
    send(client, "order")
    namespace.control.fail(Rule(fault=Fault.SETTLEMENT_UNANSWERED, entity=Q, times=1))
    with client.get_queue_receiver(Q) as receiver, suppress(ServiceBusError):
        receiver.complete_message(one(receiver))  # type: ignore[arg-type]
    namespace.control.advance(timedelta(minutes=2))
    assert take_all(client) == []


def test_a_lock_that_is_lost_is_the_client_s_own_error(namespace: Namespace, client: ServiceBusClient) -> None:
    send(client, "order")
    namespace.control.fail(Rule(fault=Fault.LOCK_LOST, times=1))
    with client.get_queue_receiver(Q) as receiver:
        with pytest.raises(MessageLockLostError):
            receiver.complete_message(one(receiver))  # type: ignore[arg-type]
        receiver.complete_message(one(receiver))  # type: ignore[arg-type]
    assert take_all(client) == []


def test_a_busy_namespace_is_the_client_s_own_error_and_nothing_is_sent(namespace: Namespace) -> None:
    namespace.control.fail(Rule(fault=Fault.BUSY, entity=Q, times=2))
    due = datetime.now(UTC) + timedelta(days=1)
    connection = namespace.connection_string
    with ServiceBusClient.from_connection_string(connection, retry_total=0) as once, once.get_queue_sender(Q) as sender:
        with pytest.raises(ServiceBusServerBusyError):
            sender.send_messages(ServiceBusMessage("order"))
        with pytest.raises(ServiceBusServerBusyError):
            sender.schedule_messages(ServiceBusMessage("order"), due)
        assert namespace.control.struck() == {"busy": 2}
        assert take_all(once) == []
        sender.send_messages(ServiceBusMessage("order"))
        assert take_all(once) == ["order"]


@pytest.mark.slow
def test_a_slow_broker_is_slow_and_nothing_is_lost(namespace: Namespace, client: ServiceBusClient) -> None:
    namespace.control.fail(Rule(fault=Fault.SLOW, milliseconds=100))
    began = time.monotonic()
    send(client, "order")
    slow = time.monotonic() - began
    assert take_all(client) == ["order"]
    assert slow > 0.3  # several answers before the one to the message
    namespace.control.fail()
    assert namespace.control.struck() == {}


@pytest.mark.slow
def test_a_silent_connection_gives_nothing_and_the_next_one_does(
    namespace: Namespace, client: ServiceBusClient
) -> None:
    send(client, "order")
    namespace.control.fail(Rule(fault=Fault.SILENT, entity=Q, times=1))
    silent = client.get_queue_receiver(Q)
    assert silent.receive_messages(1, max_wait_time=1) == []
    namespace.control.advance(timedelta(minutes=2))
    with ServiceBusClient.from_connection_string(namespace.connection_string) as fresh:
        assert take_all(fresh) == ["order"]


@pytest.mark.slow
def test_one_seed_gives_one_order_of_faults(namespace: Namespace, client: ServiceBusClient) -> None:
    def counts(seed: int) -> list[int]:
        namespace.control.fail(Rule(fault=Fault.DUPLICATE, entity=Q, probability=0.5), seed=seed)
        with client.get_queue_sender(Q) as sender:
            for number in range(12):
                sender.send_messages(ServiceBusMessage(str(number)))
        found = Counter(take_all(client))
        return [found[str(number)] for number in range(12)]

    first = counts(7)
    assert first == counts(7)
    assert first != counts(8)
    assert set(first) == {1, 2}


def test_a_fault_that_there_is_not_is_refused_with_its_name(namespace: Namespace) -> None:
    with pytest.raises(StackError, match=r"400.*fault"):
        namespace.control._ask("PUT", "faults", {"rules": [{"fault": "meteor"}]})
