"""`LanesWatch` over the embedded broker, through the real SDK, and over the broker in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
import pytest_asyncio
from azure.servicebus.aio import ServiceBusClient

from mosaic_core.adapters.queue_peeking import ServiceBusBrowser
from mosaic_core.adapters.servicebus import ServiceBusSender
from mosaic_core.bootstrap import SystemClock
from mosaic_core.config import Connection
from mosaic_core.domain.lanes import Lane
from mosaic_core.ports import Clock, CommandSender, OutgoingMessage
from mosaic_core.services import lanes_watch
from mosaic_core.services.lanes_watch import LanesWatch
from mosaic_ops.memory.messaging import ManualClock, MemoryBroker
from tests.contract.messaging import QUEUES, connection

QUEUE, OTHER = QUEUES
LANES = {Lane.INGESTION: QUEUE, Lane.SWEEP: OTHER}

pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")


@dataclass
class Ends:
    sender: CommandSender
    watch: LanesWatch
    clock: Clock
    real: Connection | None = None

    async def send(self, *, due: datetime | None = None) -> None:
        await self.sender.send(OutgoingMessage(queue=QUEUE, body=b"{}", message_id=uuid4().hex), due=due)

    async def since(self) -> datetime:
        """When the oldest message was enqueued, as the watch tells its age."""
        ages = await self.watch.tick()
        age = ages[Lane.INGESTION]
        assert age is not None
        return self.clock.now() - timedelta(seconds=age)

    async def take_one(self) -> None:
        """Receive the first, look while it is locked, complete it."""
        if self.real is None:
            assert isinstance(self.sender, MemoryBroker)
            message = self.sender.receive(QUEUE)
            assert message is not None
            before = await self.since()
            assert before < self.clock.now()
            await self.sender.complete(message)
            return
        async with (
            ServiceBusClient.from_connection_string(self.real.connection_string) as client,
            client.get_queue_receiver(QUEUE) as receiver,
        ):
            before = await self.since()
            [held] = await receiver.receive_messages(max_message_count=1, max_wait_time=5)
            assert abs(await self.since() - before) < timedelta(seconds=0.5), "locked, and still the oldest"
            await receiver.complete_message(held)


@pytest_asyncio.fixture(params=["memory", "broker"])
async def ends(request: pytest.FixtureRequest) -> AsyncIterator[Ends]:
    if request.param == "memory":
        clock = ManualClock(datetime(2026, 11, 24, 12, tzinfo=UTC))
        broker = MemoryBroker(clock)
        yield Ends(broker, LanesWatch(browser=broker, clock=clock, queues=LANES), clock)
        return
    real, now = connection(request.getfixturevalue("port")), SystemClock()
    sender, browser = ServiceBusSender(real), ServiceBusBrowser(real)
    yield Ends(sender, LanesWatch(browser=browser, clock=now, queues=LANES), now, real)
    await browser.close()
    await sender.close()


async def test_the_oldest_that_is_due_counts_whoever_is_at_work_on_it(
    ends: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await ends.watch.tick() == {Lane.INGESTION: 0.0, Lane.SWEEP: 0.0}
    monkeypatch.setattr(lanes_watch, "PAGE", 2)  # so that the copies that are not due fill a page
    later = ends.clock.now() + timedelta(hours=1)
    for _ in range(3):
        await ends.send(due=later)
    assert (await ends.watch.tick())[Lane.INGESTION] == 0.0
    began = ends.clock.now()
    await ends.send()
    if isinstance(ends.clock, ManualClock):
        ends.clock.advance(20)
    first = await ends.since()
    # a broker's time is cut to the second, or less
    assert began - timedelta(seconds=1.1) <= first <= ends.clock.now()
    await ends.send()
    await ends.take_one()
    assert await ends.since() >= first


async def test_a_broker_that_is_away_is_told_as_such() -> None:
    browser = ServiceBusBrowser(Connection(connection_string=connection(9).connection_string), timeout=3.0)
    ages = await LanesWatch(browser=browser, clock=SystemClock(), queues=LANES).tick()
    assert ages == {Lane.INGESTION: None, Lane.SWEEP: None}
    await browser.close()
