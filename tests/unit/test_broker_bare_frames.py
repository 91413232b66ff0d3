"""The broker by a client that writes its own frames: what AMQP allows and no SDK does, and what it does not allow.

No sockets: the client hands its bytes to a connection and gets back what the broker would send.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from proton import UNDESCRIBED, Array, Data, Described, Message, int32, symbol, timestamp, uint, ulong

from mosaic_local.broker.config import BrokerConfig
from mosaic_local.broker.connection import Connection
from mosaic_local.broker.content import Content, owned
from mosaic_local.broker.entities import Entities
from mosaic_local.broker.journal import Journal
from mosaic_local.broker.queue import Queue
from mosaic_local.broker.wire import ATTACH, BEGIN, CLOSE, DETACH, DISPOSITION, END, FLOW, OPEN, TRANSFER

PEEK = "com.microsoft:peek-message"
SCHEDULED = symbol("x-opt-scheduled-enqueue-time")
ACCEPTED, RECEIVED = Described(ulong(0x24), []), Described(ulong(0x23), [uint(0), ulong(0)])


@dataclass(frozen=True)
class Frame:
    code: int
    fields: list[Any]
    payload: bytes
    size: int


def encoded(value: object) -> bytes:
    data = Data()
    data.put_object(value)
    return bytes(data.encode())


def message(**fields: Any) -> bytes:
    made = Message(**{"body": b"x", **fields})
    made.inferred = isinstance(made.body, bytes)
    return bytes(made.encode())


class Bare:
    """One connection with one session."""

    def __init__(self, entities: Entities, *, largest: int = 65_536, next_id: int = 0, code: bytes = b"\x53") -> None:
        self.code = code
        self.sent = 0
        self.out = bytearray()
        self.socket = Mock(spec=asyncio.Transport)
        self.socket.write.side_effect = self.out.extend
        self.connection = Connection(entities, set())
        self.connection.connection_made(self.socket)
        self.connection.data_received(b"AMQP\x00\x01\x00\x00")
        self.say(OPEN, "bare", None, uint(largest))
        self.say(BEGIN, None, uint(next_id), uint(5000), uint(5000))
        self.connection.flush()  # before this the client may send nothing on its session

    def say(self, code: int, *fields: object, payload: bytes = b"") -> None:
        named = bytes([code]) if self.code == b"\x53" else code.to_bytes(8, "big")
        self.raw(b"\x00" + self.code + named + encoded(list(fields)) + payload)

    def raw(self, body: bytes) -> None:
        self.connection.data_received((8 + len(body)).to_bytes(4, "big") + b"\x02\x00\x00\x00" + body)

    def attach(self, name: str, handle: int, path: str, *, receives: bool = False) -> None:
        source, target = ([path], ["bare"]) if receives else (["bare"], [path])
        ends = (Described(ulong(0x28), source), Described(ulong(0x29), target))
        self.say(ATTACH, name, uint(handle), receives, None, None, *ends, None, None, None if receives else uint(0))

    def credit(self, handle: int, credit: int) -> None:
        self.say(FLOW, uint(0), uint(5000), uint(0), uint(5000), uint(handle), uint(0), uint(credit))

    def transfer(self, handle: int, number: int, payload: bytes, *, more: bool = False, aborted: bool = False) -> None:
        fields = (uint(handle), uint(number), b"%d" % number, uint(0), False, more, None, None, None, aborted)
        self.say(TRANSFER, *fields, payload=payload)

    def settle(self, number: int, state: Described, *, settled: bool = True) -> None:
        self.say(DISPOSITION, True, uint(number), None, settled, state)

    async def heard(self, *codes: int) -> list[Frame]:
        """What the broker has said since, of these kinds."""
        for _ in range(3):
            await asyncio.sleep(0)
        frames, raw = [], bytes(self.out)
        self.out.clear()
        while raw:
            if raw.startswith(b"AMQP"):
                raw = raw[8:]
                continue
            size = int.from_bytes(raw[:4], "big")
            one, raw = raw[:size], raw[size:]
            if size > 8:
                data = Data()
                used = data.decode(one[8:])
                data.rewind()
                data.next()
                told = owned(data.get_object())
                frames.append(Frame(int(told.descriptor), told.value, one[8 + used :], size))
        return [frame for frame in frames if not codes or frame.code in codes]

    async def outcomes(self) -> list[tuple[int, int]]:
        """(delivery, outcome) of what it sent."""
        said = [frame.fields for frame in await self.heard(DISPOSITION) if frame.fields[4] is not None]
        return [(int(fields[1]), int(fields[4].descriptor)) for fields in said]

    async def ask(self, path: str, operation: str, body: object) -> tuple[int, Any, str]:
        """(status, body, description) of a request; all of one client's go to one entity."""
        if not self.sent:
            self.attach("asks", 0, f"{path}/$management")
            self.attach("hears", 1, f"{path}/$management", receives=True)
            self.credit(1, 1000)
            await self.heard()
        self.sent += 1
        asked = Message(id="1", reply_to="bare", properties={"operation": operation}, body=body)
        self.transfer(0, self.sent - 1, bytes(asked.encode()))
        frames = await self.heard(TRANSFER, DETACH)
        assert [frame.code for frame in frames] == [TRANSFER], frames
        answer = Message()
        answer.decode(frames[0].payload)
        told = answer.properties
        assert told is not None
        return int(told["status-code"]), owned(answer.body), str(told["status-description"])


@pytest.fixture
async def entities(tmp_path: Path) -> Any:
    """One queue, one event hub, with a state on disk."""
    journal = Journal(tmp_path)
    config = {"queues": [{"name": "q"}], "eventHubs": [{"name": "hub", "partitions": 1}]}
    made = Entities(BrokerConfig.model_validate(config), journal)
    made.start(asyncio.get_running_loop())
    yield made
    journal.close()


def main(entities: Entities) -> Queue:
    return entities.queues["q"].main


# -- deliveries and links ----------------------------------------------------------------------------------------------


async def test_the_numbers_of_deliveries_wrap(entities: Entities) -> None:
    """AMQP.Net Lite begins three before the end of them. proton joins what it says of several to one range."""
    client = Bare(entities, next_id=2**32 - 2)
    client.attach("a", 0, "q")
    numbers = [(2**32 - 2 + step) % 2**32 for step in range(4)]
    for number in numbers:
        client.transfer(0, number, message())
    assert await client.outcomes() == [(number, 0x24) for number in numbers]


async def test_a_delivery_needs_no_tag(entities: Entities) -> None:
    """Of a presettled one nobody has to speak again."""
    client = Bare(entities)
    client.attach("a", 0, "q")
    for number, tag in enumerate((b"", None)):
        client.say(TRANSFER, uint(0), uint(number), tag, uint(0), True, payload=message())
    assert await client.heard(DETACH) == []
    assert len(main(entities).messages()) == 2


async def test_a_link_that_ends_in_the_middle_of_a_delivery_leaves_its_handle_to_another(entities: Entities) -> None:
    client = Bare(entities)
    client.attach("a", 0, "q")
    client.transfer(0, 0, message()[:3], more=True)
    client.say(DETACH, uint(0), True)
    client.attach("b", 0, "q")
    client.transfer(0, 1, message())
    assert await client.outcomes() == [(1, 0x24)]
    assert len(main(entities).messages()) == 1


@pytest.mark.parametrize("more", [True, False])
@pytest.mark.parametrize("path", ["q", "q/$management"])
async def test_what_is_aborted_is_forgotten_and_the_next_is_taken(entities: Entities, path: str, more: bool) -> None:
    client = Bare(entities)
    client.attach("a", 0, path)
    client.attach("answers", 1, path, receives=True)
    client.credit(1, 1)
    asked = Message(id="1", properties={"operation": PEEK}, body={"from-sequence-number": 0, "message-count": 1})
    sent = message() if path == "q" else bytes(asked.encode())
    client.transfer(0, 0, sent[:3], more=True)
    client.transfer(0, 0, b"", more=more, aborted=True)
    client.transfer(0, 1, sent)
    assert await client.outcomes() == [(1, 0x24)]


@pytest.mark.parametrize("largest", [512, 543, 1000])
async def test_no_frame_is_larger_than_the_client_allows(entities: Entities, largest: int) -> None:
    """proton itself, told of so little, refuses a larger one and ends the connection."""
    client = Bare(entities, largest=largest)
    main(entities).put(Content.of(bytes(5000)), entities.now())
    client.attach("a", 0, "q", receives=True)
    client.credit(0, 1)
    frames = await client.heard()
    assert [frame for frame in frames if frame.code == TRANSFER]
    assert max(frame.size for frame in frames) <= largest
    assert sum(len(frame.payload) for frame in frames) > 5000


async def test_a_client_that_writes_its_codes_in_eight_bytes_is_understood(entities: Entities) -> None:
    client = Bare(entities, code=b"\x80")
    client.attach("a", 0, "q")
    for _ in range(2):  # a number twice, as azure-servicebus does
        client.transfer(0, 0, message())
    assert await client.outcomes() == [(0, 0x24), (0, 0x24)]


async def test_a_state_that_is_no_outcome_settles_nothing(entities: Entities) -> None:
    """A receiver of the second settle mode may say first how much it has got."""
    queue, client = main(entities), Bare(entities)
    queue.put(Content.of(b"x"), entities.now())
    client.attach("a", 0, "q", receives=True)
    client.credit(0, 1)
    await client.heard()
    client.settle(0, RECEIVED, settled=False)
    assert await client.heard(DISPOSITION) == []
    assert len(queue.messages()) == 1
    client.settle(0, ACCEPTED, settled=False)
    assert await client.outcomes() == [(0, 0x24)]
    assert queue.messages() == []


@pytest.mark.parametrize("closed", [True, False])
async def test_a_detach_is_answered_by_its_own_kind(entities: Entities, closed: bool) -> None:
    """An answer that closes means to a client that its link, which it wanted to come back to, was ended."""
    client = Bare(entities)
    client.attach("a", 0, "q", receives=True)
    client.say(DETACH, uint(0), closed)
    (answer,) = await client.heard(DETACH)
    assert bool(answer.fields[1]) is closed
    client.attach("a", 0, "q", receives=True)
    assert len(await client.heard(ATTACH)) == 1


# -- memory ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("path", "refused"), [("q", False), ("hub", False), ("q/$management", True), ("no", True)])
async def test_of_a_delivery_without_end_nothing_is_kept(entities: Entities, path: str, refused: bool) -> None:
    client = Bare(entities)
    client.attach("a", 0, path)
    await client.heard()
    part = bytes(60_000)
    for _ in range(60):
        client.transfer(0, 0, part, more=True)
        session = client.connection._proton.session_head(0)
        assert session.incoming_bytes <= 1024 * 1024
    client.transfer(0, 0, b"")
    client.attach("b", 1, "q")
    client.transfer(1, 1, message())
    frames = await client.heard(DISPOSITION)
    assert (1, 0x24) in [(frame.fields[1], frame.fields[4].descriptor) for frame in frames if frame.fields[4]]
    if not refused:
        rejected = frames[0].fields[4].value[0].value
        assert rejected[0] == symbol("amqp:link:message-size-exceeded")


@pytest.mark.parametrize("path", ["q", "hub/ConsumerGroups/$Default/Partitions/0"])
async def test_a_reader_that_does_not_read_is_handed_a_little_and_in_the_end_all(entities: Entities, path: str) -> None:
    big, count = Content.of(bytes(200_000)), 40
    for _ in range(count):
        if path == "q":
            main(entities).put(big, entities.now())
        else:
            hub = entities.hubs["hub"]
            entities.publish(hub, hub.hub.partitions[0], [big])
    client = Bare(entities)
    client.attach("a", 0, path, receives=True)
    client.connection.pause_writing()
    client.credit(0, 1000)
    await client.heard()
    client.socket.pause_reading.assert_called_once_with()
    assert 1_000_000 < client.connection._proton.session_head(0).outgoing_bytes < 1_500_000
    client.connection.resume_writing()
    client.socket.resume_reading.assert_called_once_with()
    seen = 0
    while seen < count:
        frames = await client.heard(TRANSFER)
        assert frames
        seen += sum(not frame.fields[5] for frame in frames)
    assert seen == count


async def test_answers_that_nobody_takes_end_the_asking(entities: Entities) -> None:
    for _ in range(5):
        main(entities).put(Content.of(bytes(200_000)), entities.now())
    client = Bare(entities)
    client.attach("a", 0, "q/$management")
    client.attach("b", 1, "q/$management", receives=True)
    await client.heard()
    body = {"from-sequence-number": 0, "message-count": 5}
    asked = bytes(Message(id="1", properties={"operation": PEEK}, body=body).encode())
    for number in range(20):
        client.transfer(0, number, asked)
    (detached,) = await client.heard(DETACH)
    assert detached.fields[2].value[0] == symbol("amqp:resource-limit-exceeded")


async def test_sessions_and_links_that_come_and_go_leave_nothing(entities: Entities) -> None:
    client = Bare(entities)
    for _ in range(5):
        client.attach("a", 0, "q", receives=True)
        client.say(END)
        client.say(BEGIN, None, uint(0), uint(5000), uint(5000))
        await client.heard()
    assert len(list(sessions(client.connection._proton))) == 1
    assert entities.queues["q"].sources[main(entities)] == []


def sessions(connection: Any) -> Iterator[Any]:
    session = connection.session_head(0)
    while session is not None:
        yield session
        session = session.next(0)


# -- values that nobody sends ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("when", [ulong(2**64 - 1), timestamp(2**63 - 1), timestamp(-(2**63)), "soon", None])
async def test_no_time_that_a_message_names_keeps_the_state_from_being_written(entities: Entities, when: Any) -> None:
    """One number too large for the disk, and nothing was ever written or acknowledged again."""
    client = Bare(entities)
    client.attach("a", 0, "q")
    client.transfer(0, 0, message(annotations={SCHEDULED: when}))
    client.transfer(0, 1, message())
    assert await client.outcomes() == [(0, 0x24), (1, 0x24)]


WRONG: tuple[Any, ...] = (
    None,
    True,
    1.5,
    float("inf"),
    float("nan"),
    "7",
    b"7",
    {},
    [[1]],
    ["7"],
    [b"7"],
    [None],
    uuid.UUID(int=7),
    timestamp(7),
    Array(UNDESCRIBED, Data.STRING, "7"),
)
"""None of these is a whole number, a list of such, or a list of lock tokens."""


@pytest.mark.parametrize(
    ("operation", "body"),
    [
        (PEEK, lambda wrong: {"from-sequence-number": wrong, "message-count": int32(1)}),
        (PEEK, lambda wrong: {"from-sequence-number": 0, "message-count": wrong}),
        (PEEK, lambda wrong: wrong),
        ("com.microsoft:renew-lock", lambda wrong: {"lock-tokens": wrong}),
        ("com.microsoft:update-disposition", lambda wrong: {"lock-tokens": wrong, "disposition-status": "completed"}),
        ("com.microsoft:update-disposition", lambda wrong: {"lock-tokens": [], "disposition-status": wrong}),
        ("com.microsoft:receive-by-sequence-number", lambda wrong: {"sequence-numbers": wrong}),
        (
            "com.microsoft:receive-by-sequence-number",
            lambda wrong: {"sequence-numbers": [1], "receiver-settle-mode": wrong},
        ),
        ("com.microsoft:cancel-scheduled-message", lambda wrong: {"sequence-numbers": wrong}),
        ("com.microsoft:schedule-message", lambda wrong: {"messages": wrong}),
        ("com.microsoft:schedule-message", lambda wrong: {"messages": [{"message": wrong}]}),
    ],
)
async def test_a_field_of_the_wrong_type_is_said_and_costs_that_request_alone(
    entities: Entities, operation: str, body: Callable[[object], object]
) -> None:
    client = Bare(entities)
    for wrong in WRONG:
        status, told, why = await client.ask("q", operation, body(wrong))
        assert (status, told) == (400, {}), wrong
        assert "int()" not in why


async def test_a_number_for_a_message_is_not_that_many_bytes(entities: Entities) -> None:
    asked = {"messages": [{"message": 2**31 - 1}]}
    status, _, why = await Bare(entities).ask("q", "com.microsoft:schedule-message", asked)
    assert (status, why) == (
        400,
        "com.microsoft:schedule-message: 'messages' has one without a binary 'message'",
    )


async def test_nothing_is_settled_where_one_of_the_tokens_is_none(entities: Entities) -> None:
    queue, client = main(entities), Bare(entities)
    queue.put(Content.of(b"x"), entities.now())
    lock = uuid.uuid4()
    queue.receive(lock.bytes_le, entities.now())
    body: dict[str, Any] = {"disposition-status": "completed", "lock-tokens": [lock, "nonsense"]}
    assert (await client.ask("q", "com.microsoft:update-disposition", body))[0] == 400
    body["lock-tokens"] = [lock]
    assert (await client.ask("q", "com.microsoft:update-disposition", body))[0] == 200
    assert queue.messages() == []


async def test_a_fault_of_ours_costs_one_request_alone(entities: Entities, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Queue, "peek", Mock(side_effect=RuntimeError("secret")))
    client = Bare(entities)
    body = {"from-sequence-number": 0, "message-count": 1}
    assert await client.ask("q", PEEK, body) == (500, {}, "the broker failed: RuntimeError")
    assert (await client.ask("q", "com.microsoft:renew-lock", {"lock-tokens": []}))[0] == 200


async def test_a_connection_ends_in_good_order(entities: Entities) -> None:
    client = Bare(entities)
    client.attach("a", 0, "q")
    client.say(CLOSE)
    assert len(await client.heard(CLOSE)) == 1


BAD_TEXT = b"\xa1\x02\xff\xff"


async def test_what_cannot_be_decoded_is_called_so(entities: Entities, caplog: pytest.LogCaptureFixture) -> None:
    """In an attach (its name, its address, its filter, its properties) and in a settlement; nobody's fault but its
    own, so without a traceback."""
    key_is_a_list = b"\xc1\x03\x02\x45\x45"
    good = {"name": b"\xa1\x01n", "address": b"\xa1\x01q", "filter": b"\x40", "properties": b"\x40"}
    hub = b"\xa1\x28hub/ConsumerGroups/$Default/Partitions/0"
    wrong = ({"address": BAD_TEXT}, {"filter": key_is_a_list}, {"address": hub, "properties": key_is_a_list})
    for bad in wrong:
        client = Bare(entities)
        said = good | bad
        source = _listed(0x28, said["address"], *[b"\x40"] * 6, said["filter"])
        ends = (source, _listed(0x29, b"\x40"))
        fields = (said["name"], b"\x43", b"\x41", b"\x40", b"\x40", *ends, *[b"\x40"] * 6, said["properties"])
        client.raw(_listed(ATTACH, *fields))
        (detached,) = await client.heard(DETACH)
        assert detached.fields[2].value[0] == symbol("amqp:decode-error"), bad
    queue, client = main(entities), Bare(entities)
    queue.put(Content.of(b"x"), entities.now())
    client.attach("a", 0, "q", receives=True)
    client.credit(0, 1)
    await client.heard()
    modified = _listed(0x26, b"\x41", b"\x40", b"\xc1" + bytes([len(BAD_TEXT) + 2, 2]) + BAD_TEXT + b"\x40")
    client.raw(_listed(DISPOSITION, b"\x41", b"\x43", b"\x40", b"\x41", modified))
    assert await client.heard(DETACH) == []
    assert len(queue.messages()) == 1
    assert not [record for record in caplog.records if record.exc_info]


def _listed(code: int, *values: bytes) -> bytes:
    items = b"".join(values)
    size = (len(items) + 4).to_bytes(4, "big")
    return b"\x00\x53" + bytes([code]) + b"\xd0" + size + len(values).to_bytes(4, "big") + items


async def test_a_partition_has_five_readers_of_a_group_and_no_sixth(entities: Entities) -> None:
    client = Bare(entities)
    for number in range(6):
        client.attach(f"reader {number}", number, "hub/ConsumerGroups/$Default/Partitions/0", receives=True)
    (detached,) = await client.heard(DETACH)
    assert int(detached.fields[0]) == 5
    assert detached.fields[2].value[0] == symbol("amqp:resource-limit-exceeded")
    client.say(DETACH, uint(5), True)
    client.say(DETACH, uint(0), True)
    client.attach("another", 0, "hub/ConsumerGroups/$Default/Partitions/0", receives=True)
    await client.heard()
    assert len(entities.hubs["hub"].readers[0]) == 5


async def test_an_owner_level_that_is_no_number_is_refused(entities: Entities) -> None:
    for wrong in ("7", 1.5, True, [7]):
        client = Bare(entities)
        path = "hub/ConsumerGroups/$Default/Partitions/0"
        ends = (Described(ulong(0x28), [path]), Described(ulong(0x29), ["bare"]))
        properties = {symbol("com.microsoft:epoch"): wrong}
        client.say(ATTACH, "n", uint(0), True, None, None, *ends, None, None, None, None, None, None, properties)
        (detached,) = await client.heard(DETACH)
        assert detached.fields[2].value[0] == symbol("com.microsoft:argument-error"), wrong
