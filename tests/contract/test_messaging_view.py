"""`ServiceBusView` against the embedded broker, through the real SDK."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from azure.servicebus import ServiceBusMessage
from azure.servicebus.aio import ServiceBusClient

from mosaic_core.adapters import servicebus
from mosaic_core.adapters.servicebus import ServiceBusView
from mosaic_core.config import Connection
from mosaic_core.domain.errors import QueueUnavailableError
from tests.contract.messaging import QUEUES, connection, running_broker

QUEUE, OTHER = QUEUES

pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with running_broker(tmp_path_factory.mktemp("broker")) as port:
        yield port


async def test_the_oldest_that_is_due_counts_whoever_is_at_work_on_it(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = ServiceBusView(connection(port))
    assert await view.oldest(OTHER) is None
    monkeypatch.setattr(servicebus, "_PAGE", 2)  # so that the copies that are not due fill a page
    began = datetime.now(UTC)
    async with ServiceBusClient.from_connection_string(connection(port).connection_string) as client:
        async with client.get_queue_sender(QUEUE) as sender:
            later = datetime.now(UTC) + timedelta(hours=1)
            for _ in range(3):
                await sender.send_messages(
                    ServiceBusMessage(b"{}", message_id=uuid4().hex, scheduled_enqueue_time_utc=later)
                )
            assert await view.oldest(QUEUE) is None
            await sender.send_messages(ServiceBusMessage(b"{}", message_id="first"))
            await sender.send_messages(ServiceBusMessage(b"{}", message_id="second"))
        first = await view.oldest(QUEUE)
        assert first is not None
        assert began - timedelta(seconds=1) <= first <= datetime.now(UTC)
        async with client.get_queue_receiver(QUEUE) as receiver:
            (held,) = await receiver.receive_messages(max_message_count=1, max_wait_time=5)
            assert held.message_id == "first"
            assert await view.oldest(QUEUE) == first  # locked, and still the oldest
            await receiver.complete_message(held)
        second = await view.oldest(QUEUE)
        assert second is not None
        assert second >= first


async def test_a_broker_that_is_away_is_told_as_such() -> None:
    view = ServiceBusView(Connection(connection_string=connection(9).connection_string), timeout=3.0)
    with pytest.raises(QueueUnavailableError, match=f"looking at {QUEUE} failed"):
        await view.oldest(QUEUE)
