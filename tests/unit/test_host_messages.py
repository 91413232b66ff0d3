"""What the embedded host makes of a message, and how it notices that a loop stands still. No sockets."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from azure.functions.meta import Datum
from azure.functions.servicebus import ServiceBusMessage, ServiceBusMessageInConverter
from azure.servicebus import ServiceBusReceivedMessage
from proton import Message, symbol, timestamp, ulong

from mosaic_local.host.servicebus import UnreadableBodyError, body_of, plain, trigger_metadata
from mosaic_local.host.watchdog import Watchdog


def received(raw: bytes) -> ServiceBusReceivedMessage:
    return ServiceBusReceivedMessage.from_bytes(raw)


def encoded(**fields: Any) -> bytes:
    message = Message(**fields)
    message.inferred = isinstance(fields.get("body"), bytes)
    return bytes(message.encode())


@pytest.mark.parametrize(
    ("raw", "body"),
    [
        (encoded(body=b"data"), b"data"),
        (encoded(body="a text, as JMS sends it"), b"a text, as JMS sends it"),
        (encoded(body="ä€"), "ä€".encode()),
        (b"\x00\x53\x77\xa0\x03raw", b"raw"),
        (b"\x00\x53\x75\xa0\x01a\x00\x53\x75\xa0\x01b", b"ab"),
        (b"\x00\x53\x75\xa0\x00", b""),
        (b"\x00\x53\x77\x40", b""),
        (b"\x00\x53\x73\xc0\x04\x01\xa1\x01m", b""),
    ],
)
def test_text_and_data_reach_the_function(raw: bytes, body: bytes) -> None:
    assert body_of(received(raw)) == body


def test_a_body_of_nets_data_contract_stays_as_it_came() -> None:
    """The platform would unwrap the text in it: ``@``, the type's name, the length, the text."""
    written = b"@\x06string\x083http://schemas.microsoft.com/2003/10/Serialization/\x99\x02hi\x01"
    assert body_of(received(encoded(body=written))) == written


@pytest.mark.parametrize(
    "raw",
    [
        encoded(body={"a": 1}),
        encoded(body=[1, 2]),
        encoded(body=7),
        encoded(body=True),
        encoded(body=uuid.UUID(int=1)),
        b"\x00\x53\x76\xc0\x04\x01\xa1\x01x",
        b"\x00\x53\x76\x45",
    ],
)
def test_other_bodies_fail_with_a_word_on_what_they_are(raw: bytes) -> None:
    with pytest.raises(UnreadableBodyError, match=r"its body is an AMQP (value of type|sequence)"):
        body_of(received(raw))


@pytest.mark.parametrize("message_id", ["text", ulong(7), uuid.UUID(int=1), b"\xff\x00"])
def test_every_kind_of_property_becomes_metadata(message_id: object) -> None:
    nested = {"map": {"k": [b"b", {"deep": "x"}]}, "uuid": uuid.UUID(int=2), "big": 2**40, "null": None}
    message = received(encoded(body=b"x", id=message_id, correlation_id=message_id, properties=nested))
    properties = plain(message.application_properties or {})
    metadata = trigger_metadata(message, properties)
    assert isinstance(metadata["MessageId"].string, str)
    assert json.loads(metadata["ApplicationProperties"].json)["map"] == {"k": ["b", {"deep": "x"}]}


def test_a_date_among_the_properties_is_a_number_of_milliseconds() -> None:
    """Not ISO 8601 as on the platform: the SDK that the host receives by does not tell one from a number."""
    message = received(encoded(body=b"x", properties={"when": timestamp(1_767_225_600_000)}))
    assert plain(message.application_properties) == {"when": 1_767_225_600_000}


@pytest.mark.parametrize(
    ("ttl", "expires"),
    [({"ttl": 60.0}, datetime(2026, 11, 30, 12, 1, 0, 250_000, UTC)), ({}, datetime.max.replace(tzinfo=UTC))],
)
def test_a_message_says_when_it_came_and_when_it_ends(ttl: dict[str, float], expires: datetime) -> None:
    enqueued = datetime(2026, 11, 30, 12, 0, 0, 250_000, UTC)
    at = timestamp(int(enqueued.timestamp() * 1000))
    told = {symbol("x-opt-enqueued-time"): at, symbol("x-opt-sequence-number"): 1}
    metadata = trigger_metadata(received(encoded(body=b"x", annotations=told, **ttl)), {})
    datums = {name: Datum(data.string or data.json, data.WhichOneof("data")) for name, data in metadata.items()}
    decoded = ServiceBusMessageInConverter.decode(Datum(b"x", "bytes"), trigger_metadata=datums)
    assert isinstance(decoded, ServiceBusMessage)
    for name, moment in (("EnqueuedTime", enqueued), ("ExpiresAt", expires)):
        assert datetime.fromisoformat(json.loads(metadata[name].json)) == moment
    naive = (decoded.enqueued_time_utc, decoded.expires_at_utc)  # as on the platform
    assert naive == (enqueued.replace(tzinfo=None), expires.replace(tzinfo=None))


class _Loop:
    """`standing`: it takes calls and runs none."""

    def __init__(self, standing: bool = False) -> None:
        self.standing = standing

    def call_soon_threadsafe(self, callback: Callable[..., object], /, *args: Any) -> None:
        if not self.standing:
            callback(*args)


def test_a_loop_that_gives_no_sign_of_life_for_the_whole_limit_is_named() -> None:
    loops = {"worker": _Loop(), "host": _Loop()}
    dog = Watchdog(loops, limit=30)
    assert {dog.turn() for _ in range(100)} == {None}
    loops["host"].standing = True
    assert [dog.turn() for _ in range(31)] == [None] * 30 + ["host"]


def test_a_loop_that_is_slow_or_closed_is_not() -> None:
    class Closed:
        def call_soon_threadsafe(self, callback: Callable[..., object], /, *args: Any) -> None:
            raise RuntimeError("Event loop is closed")

    slow = _Loop()
    dog = Watchdog({"slow": slow, "closed": Closed()}, limit=30)
    for turn in range(300):
        slow.standing = turn % 30 != 0
        assert dog.turn() is None
