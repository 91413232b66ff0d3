"""The desk that completes dead letters, over the broker in memory and the embedded one; the store of replays, in memory
and over Azurite."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
import pytest_asyncio
from azure.servicebus import ServiceBusMessage
from azure.servicebus.aio import ServiceBusClient

from mosaic_core.adapters.deadletters import ServiceBusDesk
from mosaic_core.adapters.queue_peeking import ServiceBusBrowser
from mosaic_core.adapters.tables import open_table_stores
from mosaic_core.config import Connection
from mosaic_core.domain.lanes import Lane
from mosaic_core.domain.replay import CHUNK, Replay, ReplayClaim, ReplayItem, ReplayState
from mosaic_core.ports import BrowsedMessage, DeadLetterDesk, OutgoingMessage, QueueBrowser, ReplayStore
from mosaic_ops.memory.messaging import ManualClock, MemoryBroker
from mosaic_ops.memory.stores import memory_stores
from tests.contract.messaging import QUEUES, connection
from tests.support.azurite import Azurite

QUEUE = QUEUES[0]
NOW = datetime(2026, 11, 24, 8, tzinfo=UTC)

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
]


@dataclass
class Ends:
    desk: DeadLetterDesk
    browser: QueueBrowser
    real: Connection | None = None

    async def bury(self, count: int) -> list[BrowsedMessage]:
        """Dead letters, the only ones there are."""
        named = [uuid4().hex for _ in range(count)]
        if self.real is None:
            assert isinstance(self.browser, MemoryBroker)
            for name in named:
                await self.browser.send(OutgoingMessage(queue=QUEUE, body=b"{}", message_id=name))
                message = self.browser.receive(QUEUE)
                assert message is not None
                await self.browser.dead_letter(message, "tested", "")
            return await self.there()
        async with ServiceBusClient.from_connection_string(self.real.connection_string) as client:
            async with client.get_queue_sender(QUEUE) as sender:
                await sender.send_messages([ServiceBusMessage(b"{}", message_id=name) for name in named])
            async with client.get_queue_receiver(QUEUE) as receiver:
                for received in await receiver.receive_messages(max_message_count=count, max_wait_time=10):
                    await receiver.dead_letter_message(received, reason="tested")
        return await self.there()

    async def there(self) -> list[BrowsedMessage]:
        return await self.browser.browse(QUEUE, dead=True)


BOTH = ["memory", pytest.param("broker", marks=pytest.mark.slow)]  # its links take seconds to open and close


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=BOTH)
async def ends(request: pytest.FixtureRequest) -> AsyncIterator[Ends]:
    if request.param == "memory":
        broker = MemoryBroker(ManualClock())
        yield Ends(broker, broker)
        return
    real = connection(request.getfixturevalue("port"))
    browser = ServiceBusBrowser(real)
    yield Ends(ServiceBusDesk(real), browser, real)
    await browser.close()


async def test_only_what_is_meant_goes_and_the_rest_is_free_at_once(ends: Ends) -> None:
    letters = await ends.bury(6)
    one, two, three, four, *_ = letters
    wanted = {two.sequence_number: two.message_id, four.sequence_number: four.message_id}
    # another message under that number is none that is meant
    forged = {**wanted, one.sequence_number: "another", 10**9: "nobody"}
    async with ends.desk.session(QUEUE) as session:
        gone = await session.complete(forged, seconds=3)
    assert gone == set(wanted)
    left = await ends.there()
    assert [letter.message_id for letter in left] == [
        letter.message_id for letter in letters if letter.sequence_number not in wanted
    ]
    # none of them is locked any more: the next session has them all
    async with ends.desk.session(QUEUE) as session:
        rest = {letter.sequence_number: letter.message_id for letter in left}
        assert await session.complete(rest, seconds=5) == rest.keys()
    assert await ends.there() == []
    assert three.sequence_number in rest


async def test_a_session_that_is_asked_for_nothing_takes_nothing(ends: Ends) -> None:
    letters = await ends.bury(2)
    async with ends.desk.session(QUEUE) as session:
        assert await session.complete({}, seconds=1) == frozenset()
        everything = {letter.sequence_number: letter.message_id for letter in letters}
        assert await asyncio.wait_for(session.complete(everything, seconds=5), 20) == everything.keys()


# -------------------------------------------------------------------------------------------------------------- store


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["memory", "azurite"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[ReplayStore]:
    if request.param == "memory":
        yield memory_stores(ManualClock()).replays
        return
    azurite: Azurite = request.getfixturevalue("azurite")
    opened = open_table_stores(
        Connection(connection_string=azurite.tables.connection_string),
        Connection(connection_string=azurite.blobs.connection_string),
    )
    yield opened.stores.replays
    await opened.close()


def operation(**changes: object) -> Replay:
    made = Replay(
        replay_id=uuid4().hex,
        lane=Lane.CONVERSATION,
        queue=QUEUE,
        state=ReplayState.RUNNING,
        total=3,
        rate=20,
        force=False,
        reason="the provider is back",
        requested_by="rolf",
        created_at=NOW,
        updated_at=NOW,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


async def test_an_operation_is_written_by_its_etag(store: ReplayStore) -> None:
    made = operation(refusals=("already_replayed=2",), root_cause="it was down", paced_until=NOW)
    etag = await store.insert(made)
    assert etag is not None
    assert await store.insert(made) is None
    changed = made.after(["", "already_replayed"])
    assert await store.update(changed, etag) is not None
    assert await store.update(made, etag) is None
    stored = await store.read(made.replay_id)
    assert stored is not None
    assert stored.value == changed
    assert (changed.position, changed.replayed, changed.refused_by_code) == (2, 1, {"already_replayed": 3})
    assert await store.read(uuid4().hex) is None


async def test_operations_are_listed_newest_first(store: ReplayStore) -> None:
    made = [operation(created_at=NOW + timedelta(days=400, seconds=n)) for n in range(3)]
    for one in made:
        await store.insert(one)
    listed = [one async for one in store.listed()][:3]
    assert [one.replay_id for one in listed] == [one.replay_id for one in reversed(made)]
    after = [one.replay_id async for one in store.listed(after=listed[0].place)]
    assert after[:2] == [made[1].replay_id, made[0].replay_id]


async def test_a_plan_is_read_from_anywhere(store: ReplayStore) -> None:
    replay_id = uuid4().hex
    items = [ReplayItem(n, uuid4().hex) for n in range(2 * CHUNK + 7)]
    await store.save_items(replay_id, items)
    await store.save_items(replay_id, items)
    for first, count in ((0, 3), (CHUNK - 2, 5), (CHUNK, CHUNK), (2 * CHUNK, 50), (len(items), 5)):
        assert await store.items(replay_id, first, count) == items[first : first + count]
    assert await store.items(replay_id, 0, len(items)) == items


async def test_a_generation_is_claimed_once(store: ReplayStore) -> None:
    claim = ReplayClaim(
        queue=QUEUE, command_id=uuid4().hex, generation=1, new_command_id="n", replay_id="r", claimed_at=NOW
    )
    assert await store.claim(claim)
    assert not await store.claim(replace(claim, replay_id="another"))
    second = replace(claim, generation=2, replay_id="another")
    assert await store.claim(second)
    assert await store.claims(QUEUE, claim.command_id) == [claim, second]
    assert await store.claims("other", claim.command_id) == []
