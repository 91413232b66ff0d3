"""The `QueueBrowser` of a deployment against the embedded broker, through the real SDK, and the broker in memory:
queues are looked at, and nothing of them is changed by it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio
from azure.servicebus.aio import ServiceBusClient

from mosaic_core.adapters.queue_peeking import ServiceBusBrowser
from mosaic_core.adapters.servicebus import ServiceBusSender
from mosaic_core.config import Connection
from mosaic_core.domain.errors import QueueUnavailableError
from mosaic_core.ports import BrowsedMessage, CommandSender, OutgoingMessage, QueueBrowser
from mosaic_ops.memory.messaging import ManualClock, MemoryBroker
from tests.contract.messaging import QUEUES, Proxy, connection

QUEUE, OTHER = QUEUES

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
]


@dataclass
class Ends:
    """A broker's sender and browser; `take` receives one message and, where told so, dead-letters it."""

    sender: CommandSender
    browser: QueueBrowser
    real: Connection | None = None

    async def take(self, queue: str, *, bury: tuple[str, str] | None = None) -> int:
        """Its delivery count."""
        if self.real is None:
            assert isinstance(self.sender, MemoryBroker)
            message = self.sender.receive(queue)
            assert message is not None
            if bury:
                await self.sender.dead_letter(message, *bury)
            return message.delivery_count
        async with (
            ServiceBusClient.from_connection_string(self.real.connection_string) as client,
            client.get_queue_receiver(queue) as receiver,
        ):
            [found] = await receiver.receive_messages(max_message_count=1, max_wait_time=10)
            if bury:
                await receiver.dead_letter_message(found, reason=bury[0], error_description=bury[1])
            return (found.delivery_count or 0) + 1


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["memory", "broker"])
async def ends(request: pytest.FixtureRequest) -> AsyncIterator[Ends]:
    if request.param == "memory":
        broker = MemoryBroker(ManualClock())
        yield Ends(broker, broker)
        return
    real = connection(request.getfixturevalue("port"))
    sender, browser = ServiceBusSender(real), ServiceBusBrowser(real)
    yield Ends(sender, browser, real)
    await browser.close()
    await sender.close()


def message(queue: str, **properties: str | bool | int) -> OutgoingMessage:
    name = uuid4().hex
    return OutgoingMessage(
        queue=queue,
        body=f'{{"name": "{name}"}}'.encode(),
        message_id=name,
        correlation_id=f"correlation {name}",
        subject="agent_message_posted",
        properties=properties,
    )


async def all_of(browser: QueueBrowser, queue: str, *, dead: bool = False, page: int = 2) -> list[BrowsedMessage]:
    found: list[BrowsedMessage] = []
    while some := await browser.browse(queue, dead=dead, after=found[-1].sequence_number if found else 0, limit=page):
        assert len(some) <= page
        found += some
    return found


async def test_a_queue_is_shown_whatever_state_its_messages_are_in(ends: Ends) -> None:
    sent = [message(QUEUE, householdId="a" * 32, recorded=True, failedSteps=2) for _ in range(5)]
    for one in sent[:4]:
        await ends.sender.send(one)
    due = (datetime.now(UTC) if ends.real else datetime(2026, 1, 1, tzinfo=UTC)) + timedelta(hours=1)
    await ends.sender.send(sent[4], due=due)
    assert await ends.take(QUEUE) == 1  # and holds it: where its link ends the broker may give it back
    found = await all_of(ends.browser, QUEUE)
    assert {one.message_id for one in found} == {one.message_id for one in sent}
    assert [one.sequence_number for one in found] == sorted({one.sequence_number for one in found})
    by_id = {one.message_id: one for one in found}
    first = by_id[sent[1].message_id]
    assert (first.body, first.correlation_id, first.subject) == (sent[1].body, sent[1].correlation_id, sent[1].subject)
    assert dict(first.properties) == {"householdId": "a" * 32, "recorded": True, "failedSteps": 2}
    assert (first.state, by_id[sent[4].message_id].state) == ("active", "scheduled")
    assert first.reason == ""


async def test_dead_letters_are_shown_with_why(ends: Ends) -> None:
    sent = [message(OTHER, traceparent="00-x") for _ in range(3)]
    for one in sent:
        await ends.sender.send(one)
        await ends.take(OTHER, bury=("processing_failed", f"of {one.message_id}"))
    found = await all_of(ends.browser, OTHER, dead=True)
    assert [(one.message_id, one.reason, one.description) for one in found] == [
        (one.message_id, "processing_failed", f"of {one.message_id}") for one in sent
    ]
    assert dict(found[0].properties).get("traceparent") == "00-x"
    assert await all_of(ends.browser, OTHER) == []
    assert found == await all_of(ends.browser, OTHER, dead=True)


async def test_looking_changes_nothing(ends: Ends) -> None:
    one = message("spare")
    await ends.sender.send(one)
    for _ in range(12):
        [found] = await ends.browser.browse("spare")
        assert (found.message_id, found.state) == (one.message_id, "active")
        assert await ends.browser.browse("spare", dead=True) == []
    assert await ends.take("spare") == 1, "as if nobody had looked"


async def test_looks_at_once_do_not_get_in_each_other_s_way(ends: Ends) -> None:
    alone = await ends.browser.browse(OTHER, dead=True)
    found = await asyncio.gather(*(ends.browser.browse(OTHER, dead=True) for _ in range(8)))
    assert all(one == alone for one in found)


async def test_a_broken_connection_is_opened_again_and_an_absent_broker_is_told(port: int, tmp_path: Path) -> None:
    async with Proxy(port) as proxy:
        browser = ServiceBusBrowser(connection(proxy.port), timeout=5)
        before = await browser.browse(OTHER, dead=True)
        proxy.cut()
        assert await browser.browse(OTHER, dead=True) == before
        proxy.refusing = True
        proxy.cut()
        with pytest.raises(QueueUnavailableError, match=OTHER):
            await browser.browse(OTHER, dead=True)
        await browser.close()


async def test_an_absent_queue_is_told(port: int) -> None:
    browser = ServiceBusBrowser(connection(port), timeout=5)
    with pytest.raises(QueueUnavailableError, match="nowhere"):
        await browser.browse("nowhere", dead=True)
    await browser.close()


def is_the_port(browser: ServiceBusBrowser, broker: MemoryBroker) -> tuple[QueueBrowser, QueueBrowser]:
    return browser, broker
