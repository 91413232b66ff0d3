"""Queues by the real administration client, and wrong keys: of the broker, or of whatever back end is named."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.servicebus import ServiceBusClient, ServiceBusMessage, ServiceBusReceiver
from azure.servicebus.exceptions import (
    MessagingEntityDisabledError,
    MessagingEntityNotFoundError,
    ServiceBusAuthenticationError,
    ServiceBusError,
)
from azure.servicebus.management import EntityStatus, QueueProperties, ServiceBusAdministrationClient

from tests.support.back_end import SHORTEST_LOCK, BackEnd, Entity, back_end, with_key

WAIT = 5.0 + SHORTEST_LOCK
ELSEWHERE = pytest.mark.own_broker("others have it")


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BackEnd]:
    queues: list[Entity] = [{"name": "Orders", "lockSeconds": 30}, {"name": "paused"}]
    with back_end(tmp_path_factory.mktemp("broker"), queues) as running:
        yield running


@pytest.fixture(scope="module")
def admin(broker: BackEnd) -> Iterator[ServiceBusAdministrationClient]:
    with broker.administration_client() as client:
        yield client


def clients(broker: BackEnd, key: str | None = None) -> ServiceBusClient:
    return ServiceBusClient.from_connection_string(with_key(broker.service_bus, key), retry_total=0)


# -- tokens ----------------------------------------------------------------------------------------------------------


def test_a_wrong_key_is_refused(broker: BackEnd) -> None:
    with (
        clients(broker, "wrong") as client,
        pytest.raises(ServiceBusAuthenticationError),
        client.get_queue_sender(broker.named("orders")) as sender,
    ):
        sender.send_messages(ServiceBusMessage("x"))
    with broker.administration_client("wrong") as admin, pytest.raises(HttpResponseError) as caught:
        admin.get_queue(broker.named("orders"))
    assert caught.value.status_code == 401


# -- administration --------------------------------------------------------------------------------------------------


def test_queues_are_created_listed_changed_and_deleted(broker: BackEnd, admin: ServiceBusAdministrationClient) -> None:
    made = admin.create_queue(broker.named("Fresh"), lock_duration=timedelta(seconds=20), max_delivery_count=4)
    assert (made.lock_duration, made.max_delivery_count) == (timedelta(seconds=20), 4)
    assert {queue.name for queue in admin.list_queues()} >= set(map(broker.named, ("Fresh", "Orders", "paused")))
    with pytest.raises(ResourceExistsError):
        admin.create_queue(broker.named("fresh"))
    made.default_message_time_to_live = timedelta(days=1)
    admin.update_queue(made)
    again = admin.get_queue(broker.named("fresh"))
    assert again.default_message_time_to_live == timedelta(days=1)
    assert (again.requires_session, again.requires_duplicate_detection) == (False, False)
    admin.delete_queue(broker.named("FRESH"))
    with pytest.raises(ResourceNotFoundError):
        admin.get_queue(broker.named("fresh"))
    with pytest.raises(ResourceNotFoundError):
        admin.delete_queue(broker.named("fresh"))
    with pytest.raises(ResourceNotFoundError):
        admin.update_queue(QueueProperties(broker.named("fresh"), **dict.fromkeys(_FIELDS)))


_FIELDS = (
    "authorization_rules",
    "auto_delete_on_idle",
    "dead_lettering_on_message_expiration",
    "default_message_time_to_live",
    "duplicate_detection_history_time_window",
    "availability_status",
    "enable_batched_operations",
    "enable_express",
    "enable_partitioning",
    "lock_duration",
    "max_delivery_count",
    "max_size_in_megabytes",
    "requires_duplicate_detection",
    "requires_session",
    "status",
    "forward_to",
    "user_metadata",
    "forward_dead_lettered_messages_to",
    "max_message_size_in_kilobytes",
)


def test_long_lists_come_in_pages(broker: BackEnd, admin: ServiceBusAdministrationClient) -> None:
    names = [broker.named(f"page-{number:03}") for number in range(105)]
    for name in names:
        admin.create_queue(name)
    assert [queue.name for queue in admin.list_queues() if queue.name in names] == names
    for name in names:
        admin.delete_queue(name)


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"requires_session": True}, marks=ELSEWHERE),
        pytest.param({"requires_duplicate_detection": True}, marks=ELSEWHERE),
        pytest.param({"forward_to": "Orders"}, marks=ELSEWHERE),
        pytest.param({"enable_partitioning": True}, marks=ELSEWHERE),
        pytest.param({"auto_delete_on_idle": timedelta(minutes=5)}, marks=ELSEWHERE),
        {"lock_duration": timedelta(minutes=6)},
        {"max_delivery_count": 0},
    ],
)
def test_what_is_not_imitated_is_refused(
    broker: BackEnd, admin: ServiceBusAdministrationClient, options: dict[str, Any]
) -> None:
    with pytest.raises(HttpResponseError) as caught:
        admin.create_queue(broker.named("special"), **options)
    assert caught.value.status_code == 400
    with pytest.raises(ResourceNotFoundError):
        admin.get_queue(broker.named("special"))


def test_counts_of_every_state(broker: BackEnd, admin: ServiceBusAdministrationClient) -> None:
    admin.create_queue(broker.named("counted"))
    with (
        clients(broker) as client,
        client.get_queue_sender(broker.named("counted")) as sender,
        client.get_queue_receiver(broker.named("counted")) as receiver,
    ):
        sender.send_messages([ServiceBusMessage(f"{number}") for number in range(5)])
        sender.schedule_messages([ServiceBusMessage("s")] * 2, datetime.now(UTC) + timedelta(hours=1))
        receiver.dead_letter_message(receiver.receive_messages(max_wait_time=WAIT)[0])
        receiver.receive_messages(max_wait_time=WAIT)  # locked is active
        counts = admin.get_queue_runtime_properties(broker.named("counted"))
    assert (counts.active_message_count, counts.scheduled_message_count) == (4, 2)
    assert (counts.dead_letter_message_count, counts.total_message_count) == (1, 7)
    assert counts.size_in_bytes is not None
    assert counts.size_in_bytes > 0
    admin.delete_queue(broker.named("counted"))


def test_a_paused_queue_takes_messages_and_gives_none(broker: BackEnd, admin: ServiceBusAdministrationClient) -> None:
    with (
        clients(broker) as client,
        client.get_queue_sender(broker.named("paused")) as sender,
        client.get_queue_receiver(broker.named("paused")) as receiver,
    ):
        sender.send_messages([ServiceBusMessage("first"), ServiceBusMessage("second")])
        (held,) = receiver.receive_messages(max_wait_time=WAIT)
        admin.update_queue(admin.get_queue(broker.named("paused")), status=EntityStatus.RECEIVE_DISABLED)
        with pytest.raises(MessagingEntityDisabledError):
            drain(receiver)
        sender.send_messages(ServiceBusMessage("third"))
        assert held is not None
        assert admin.get_queue_runtime_properties(broker.named("paused")).active_message_count == 3
        admin.update_queue(admin.get_queue(broker.named("paused")), status=EntityStatus.SEND_DISABLED)
        with pytest.raises(ServiceBusError):
            sender.send_messages(ServiceBusMessage("refused"))
        bodies = []
        with client.get_queue_receiver(broker.named("paused")) as fresh:
            while found := fresh.receive_messages(max_message_count=5, max_wait_time=1):
                bodies += [str(one) for one in found]
        assert "third" in bodies
        assert "refused" not in bodies
        admin.update_queue(admin.get_queue(broker.named("paused")), status=EntityStatus.ACTIVE)


def drain(receiver: ServiceBusReceiver) -> None:
    while receiver.receive_messages(max_wait_time=1):
        pass


def test_a_deleted_queue_is_gone_for_its_links(broker: BackEnd, admin: ServiceBusAdministrationClient) -> None:
    admin.create_queue(broker.named("doomed"))
    with clients(broker) as client, client.get_queue_sender(broker.named("doomed")) as sender:
        sender.send_messages(ServiceBusMessage("x"))
        admin.delete_queue(broker.named("doomed"))
        with pytest.raises((MessagingEntityNotFoundError, ServiceBusError)):
            sender.send_messages(ServiceBusMessage("y"))
