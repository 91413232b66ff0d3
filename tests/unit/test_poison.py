"""Poison end to end: whatever its bytes are, it is dead-lettered on its first delivery under its name, and a person is
told."""

from __future__ import annotations

import pytest

from mosaic_core.domain import ids
from mosaic_core.domain.lifecycle import Severity
from mosaic_core.domain.settlement import DeadLetter
from tests.support.world import QUEUE, Work, World, body

DEEP = b'{"payload":' * 50_000


@pytest.mark.parametrize(
    ("message", "code"),
    [
        pytest.param(body(createdAtUtc="9999-12-31T23:59:59-14:00"), "invalid_envelope", id="end of the calendar"),
        pytest.param(body(createdAtUtc="0001-01-01T00:00:00+14:00"), "invalid_envelope", id="its beginning"),
        pytest.param(body(commandId="0" * 32), "invalid_envelope", id="id of zeros"),
        pytest.param(body(schemaVersion=10**39), "invalid_envelope", id="huge version"),
        pytest.param(body(newer="here").replace(b'"here"', b"1e999999"), "invalid_json", id="huge exponent"),
        pytest.param(body(newer="here").replace(b'"here"', b"9" * 5000), "invalid_json", id="huge integer"),
        pytest.param(body(newer="here").replace(b"here", rb"\udfff"), "invalid_json", id="half a surrogate pair"),
        pytest.param(DEEP, "invalid_json", id="deep"),
        pytest.param(b"\xff" * 1000, "invalid_json", id="no text"),
    ],
)
async def test_poison_is_dead_lettered_at_once_with_its_reason_and_its_signal(message: bytes, code: str) -> None:
    world = World(Work(("success",)), max_deliveries=10)
    await world.send(message, message_id="m-1")
    delivered = world.broker.receive(QUEUE)
    assert delivered is not None
    settlement = await world.deliver(delivered)
    assert isinstance(settlement, DeadLetter)
    assert world.broker.receive(QUEUE) is None
    assert [dead.reason for dead in world.broker.dead_letters(QUEUE)] == [code]
    signal = await world.stores.signals.read(ids.rejected_message_signal_id(QUEUE, "m-1", code))
    assert signal is not None
    assert signal.value.severity == Severity.ERROR
    assert signal.value.requires_human_review
