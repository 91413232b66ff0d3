"""A household's dead letters, and what waits for it, over the embedded broker through the real SDK."""

from __future__ import annotations

import pytest
from azure.servicebus.aio import ServiceBusClient

from mosaic_core.adapters.deadletters import ServiceBusDesk
from mosaic_core.adapters.queue_peeking import ServiceBusBrowser
from mosaic_core.adapters.servicebus import ServiceBusSender
from mosaic_core.ports import OutgoingMessage
from mosaic_core.services.households.household_letters import HouseholdLetters
from tests.contract.messaging import QUEUES, connection
from tests.support.households import ONE, OTHER, message

QUEUE, _ = QUEUES

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")]


async def test_only_the_household_s_dead_letters_go(port: int) -> None:
    real = connection(port)
    sender, browser = ServiceBusSender(real), ServiceBusBrowser(real)
    letters = HouseholdLetters(browser, ServiceBusDesk(real), QUEUES)
    for number, household_id in enumerate((OTHER, ONE, OTHER, ONE, OTHER)):
        sent = message(household_id, f"{number:032x}", "x")
        await sender.send(
            OutgoingMessage(queue=QUEUE, body=sent.body, message_id=sent.message_id, properties=sent.properties)
        )
    assert await letters.waiting(ONE) == 2
    async with (
        ServiceBusClient.from_connection_string(real.connection_string) as client,
        client.get_queue_receiver(QUEUE) as receiver,
    ):
        taken = 0
        while taken < 5:
            for found in await receiver.receive_messages(max_message_count=5, max_wait_time=5):
                await receiver.dead_letter_message(found, reason="processing_failed")
                taken += 1
    assert await letters.waiting(ONE) == 0
    mine, cursor = await letters.dead(ONE, "")
    assert len(mine) == 2
    assert await letters.remove(mine) == 2
    left = [one.message_id for one in await browser.browse(QUEUE, dead=True)]
    assert left == [f"{number:032x}" for number in (0, 2, 4)]
    walked = 0
    while cursor:
        again, cursor = await letters.dead(ONE, cursor)
        walked += 1
        assert again == []
    assert walked >= len(QUEUES)
    await browser.close()
    await sender.close()
