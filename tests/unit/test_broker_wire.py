"""The broker's handling of bytes: frames, messages, tokens, partitions, journal. No sockets."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st
from proton import Array, Data, Described, Message, char, decimal128, symbol

from mosaic_local.broker.content import Content, owned, split_batch
from mosaic_local.broker.errors import (
    ArgumentError,
    MalformedError,
    OutOfRangeError,
    StartError,
    UnauthorizedError,
)
from mosaic_local.broker.eventhub import EventHub, Partition, Retention
from mosaic_local.broker.journal import Journal, StoredQueue
from mosaic_local.broker.management import Request
from mosaic_local.broker.paths import entities_of, path_of
from mosaic_local.broker.queue import DEAD_LETTERS, Queue, Settings, State
from mosaic_local.broker.sas import Verifier
from mosaic_local.broker.sasl import Layer
from mosaic_local.broker.wire import BATCH_FORMAT, BATCH_TAG, Wire

HEADER = b"AMQP\x00\x01\x00\x00"


def encoded(**fields: object) -> bytes:
    message = Message(**fields)
    message.inferred = True
    return bytes(message.encode())


def frame(performative: int, *values: bytes, channel: int = 1, payload: bytes = b"") -> bytes:
    """A frame with one encoded value for each field."""
    items = b"".join(values)
    body = b"\x00\x53" + bytes([performative, 0xC0, len(items) + 1, len(values)]) + items + payload
    return (8 + len(body)).to_bytes(4, "big") + b"\x02\x00" + channel.to_bytes(2, "big") + body


def uint(number: int) -> bytes:
    return b"\x70" + number.to_bytes(4, "big")


def transfer(handle: int, number: int, tag: bytes = b"t", code: int = 0, more: bool = False) -> bytes:
    fields = (
        uint(handle),
        uint(number),
        b"\xa0" + bytes([len(tag)]) + tag,
        uint(code),
        b"\x42",
        b"\x41" if more else b"\x42",
    )
    return frame(0x14, *fields, payload=b"payload")


def fields_of(raw: bytes) -> list[object]:
    """The fields of a frame's performative."""
    data = Data()
    data.decode(raw[8:])
    data.rewind()
    data.next()
    value = data.get_object()
    return [bytes(one) if isinstance(one, memoryview) else one for one in value.value]


# -- frames ----------------------------------------------------------------------------------------------------------


def test_repeated_delivery_ids_are_renumbered_and_answered_under_their_own() -> None:
    wire = Wire()
    sent = b"".join(transfer(handle, number) for handle, number in ((0, 7), (1, 7), (0, 8)))
    ours, at = [], 0
    passed = wire.incoming(HEADER + sent)[8:]
    while at < len(passed):
        size = int.from_bytes(passed[at : at + 4], "big")
        ours.append(fields_of(passed[at : at + size])[1])
        at += size
    assert ours == [7, 8, 9]
    begin = frame(0x11, b"\x60\x00\x01", uint(0), uint(1), uint(1), channel=5)
    wire.outgoing(begin)
    answer = wire.outgoing(frame(0x15, b"\x41", uint(7), uint(9), b"\x41", b"\x00\x53\x24\x45", channel=5))
    answered, at = [], 0
    while at < len(answer):
        size = int.from_bytes(answer[at : at + 4], "big")
        answered.append(fields_of(answer[at : at + size])[1:3])
        at += size
    assert answered == [[7, 7], [7, 7], [8, 8]]


@pytest.mark.parametrize("role", [b"\x41", b"\x42"], ids=["receiver", "sender"])
def test_each_delivery_is_answered_in_a_frame_of_its_own(role: bytes) -> None:
    """azure-servicebus waits for a frame for each settlement, and 0.2 s for one that does not come."""
    answer = Wire().outgoing(frame(0x15, role, uint(4), uint(6), b"\x41", b"\x00\x53\x24\x45"))
    answered = []
    while answer:
        size = int.from_bytes(answer[:4], "big")
        answered.append(fields_of(answer[:size])[:4])
        answer = answer[size:]
    assert answered == [[role == b"\x41", number, number, True] for number in (4, 5, 6)]


def test_parts_of_one_delivery_keep_one_id_though_others_come_between() -> None:
    wire = Wire()
    parts = [transfer(0, 3, more=True), transfer(1, 3), transfer(0, 3)]
    assert [fields_of(wire.incoming(part))[1] for part in parts] == [3, 4, 3]


def test_a_batch_is_marked_and_nothing_else_is_touched() -> None:
    wire = Wire()
    plain = transfer(0, 0, tag=b"\x00\x00\x00\x01")
    assert wire.incoming(plain) == plain
    marked = wire.incoming(transfer(0, 1, code=BATCH_FORMAT))
    assert fields_of(marked)[2] == BATCH_TAG
    assert marked.endswith(b"payload")


def test_frames_on_an_ended_channel_are_dropped_until_it_begins_again() -> None:
    wire = Wire()
    detach, end = frame(0x16, uint(0), b"\x41"), frame(0x17)
    assert wire.incoming(end) == end
    assert wire.incoming(detach) == b""
    begin = frame(0x11, b"\x40", uint(0), uint(1), uint(1))
    assert wire.incoming(begin + detach) == begin + detach


def test_performatives_and_errors_get_all_their_fields() -> None:
    error = b"\x00\x53\x1d\xc0\x0f\x01\xa3\x0camqp:unknown"
    rejected = b"\x00\x53\x25\xc0" + bytes([len(error) + 1, 1]) + error
    out = Wire().outgoing(frame(0x15, b"\x41", uint(1), b"\x40", b"\x41", rejected))
    fields = fields_of(out)
    assert len(fields) == 6
    state = fields[4]
    assert state.value[0].value == [symbol("amqp:unknown"), None, None]  # type: ignore[attr-defined]
    assert len(fields_of(Wire().outgoing(frame(0x12, b"\xa1\x01n", uint(0), b"\x41")))) == 14


@given(st.lists(st.integers(1, 40), min_size=1), st.booleans())
def test_frames_pass_whole_however_the_bytes_come(cuts: list[int], outgoing: bool) -> None:
    sent = HEADER + frame(0x10, b"\xa1\x01c") + transfer(0, 0) + b"\x00\x00\x00\x08\x02\x00\x00\x00" + transfer(0, 1)
    whole, pieces = Wire(), Wire()
    feed = (whole.outgoing, pieces.outgoing) if outgoing else (whole.incoming, pieces.incoming)
    got, at = b"", 0
    for size in cuts:
        got += feed[1](sent[at : at + size])
        at += size
    got += feed[1](sent[at:])
    assert got == feed[0](sent)


@given(st.binary(max_size=300))
def test_bytes_that_are_no_frames_raise_nothing_but_what_the_connection_expects(raw: bytes) -> None:
    with contextlib.suppress(MalformedError, IndexError):
        Wire().incoming(HEADER + raw)


@pytest.mark.parametrize(("allowed", "told"), [(32_768, 32_736), (65_536, 65_504), (512, 512), (2**32 - 1, 2**32 - 33)])
def test_proton_is_told_of_smaller_frames_than_the_client_allows(allowed: int, told: int) -> None:
    """For padding makes a full one larger."""
    opened = Wire().incoming(HEADER + frame(0x10, b"\xa1\x01c", b"\x40", uint(allowed), b"\x60\x00\xff"))
    assert fields_of(opened[8:]) == ["c", None, told, 255]
    short = HEADER + frame(0x10, b"\xa1\x01c")
    assert Wire().incoming(short) == short


@pytest.mark.parametrize("state", [b"", b"\x40"])
def test_a_delivery_of_ours_is_not_settled_without_an_outcome(state: bytes) -> None:
    """proton does so with each that is unsettled on a link that its client closed."""
    fields = (b"\x42", uint(1), uint(1), b"\x41") + ((state,) if state else ())
    assert Wire().outgoing(frame(0x15, *fields)) == b""
    said = frame(0x15, b"\x42", uint(1), uint(1), b"\x41", b"\x00\x53\x24\x45")
    assert fields_of(Wire().outgoing(said))[1] == 1
    theirs = frame(0x15, b"\x41", uint(1), uint(1), b"\x41")
    assert fields_of(Wire().outgoing(theirs))[1] == 1


# -- the security layer ----------------------------------------------------------------------------------------------


SASL = b"AMQP\x03\x01\x00\x00"


def init(mechanism: bytes, response: bytes | None = None) -> bytes:
    given = b"" if response is None else b"\xa0" + bytes([len(response)]) + response
    items = b"\xa3" + bytes([len(mechanism)]) + mechanism + given
    body = b"\x00\x53\x41\xc0" + bytes([len(items) + 1, 1 + (response is not None)]) + items
    return (len(body) + 8).to_bytes(4, "big") + b"\x02\x01\x00\x00" + body


def layer() -> Layer:
    return Layer(lambda name, key: (name, key) == ("n", "k"))


@pytest.mark.parametrize(
    ("mechanism", "response", "taken"),
    [
        (b"ANONYMOUS", None, True),
        (b"ANONYMOUS", b"trace", True),
        (b"MSSBCBS", None, True),
        (b"PLAIN", b"\x00n\x00k", True),
        (b"PLAIN", b"as\x00n\x00k", True),
        (b"PLAIN", b"\x00n\x00", False),
        (b"PLAIN", b"\x00\x00k", False),
        (b"PLAIN", b"n\x00k", False),
        (b"PLAIN", b"\x00n\x00k\x00", False),
        (b"PLAIN", b"\xff\x00\xff\x00\xff", False),
        (b"PLAIN", None, False),
        (b"EXTERNAL", b"", False),
    ],
)
def test_who_may_come_in(mechanism: bytes, response: bytes | None, taken: bool) -> None:
    door = layer()
    answer, rest = door.incoming(SASL + init(mechanism, response) + b"AMQP")
    assert answer.startswith(SASL)
    assert mechanism == b"EXTERNAL" or mechanism in answer  # uAMQP takes none that is not offered
    assert (door.done, door.refused, rest) == (True, not taken, b"AMQP")
    assert answer.endswith(b"\x50" + bytes([not taken]) + b"\x40")


def test_the_door_opens_however_the_bytes_come_and_for_those_who_do_not_knock() -> None:
    door = layer()
    for byte in SASL + init(b"PLAIN", b"\x00n\x00k"):
        assert not door.done
        assert door.incoming(bytes([byte]))[1] == b""
    assert (door.done, door.refused) == (True, False)
    plain = layer()
    assert plain.incoming(HEADER) == (b"", HEADER)
    assert plain.done


@given(st.binary(max_size=100))
def test_bytes_that_are_no_sasl_raise_nothing_but_what_the_connection_expects(raw: bytes) -> None:
    door = layer()
    with contextlib.suppress(MalformedError, IndexError):
        door.incoming(SASL + raw)
        assert door.refused or not door.done


# -- messages --------------------------------------------------------------------------------------------------------


def test_a_message_keeps_its_sections_and_gains_the_brokers_annotations() -> None:
    raw = encoded(
        body=b"hello",
        id="m",
        durable=True,
        ttl=12.5,
        annotations={symbol("x-opt-partition-key"): "p", symbol("x-opt-sequence-number"): 99},
        properties={"a": 1},
    )
    content = Content.decode(raw)
    assert (content.durable, content.ttl_ms, content.partition_key) == (True, 12_500, b"p")
    delivered = content.for_queue(5, 1_000, 1, 0, 2_000)
    assert delivered.count(b"x-opt-sequence-number") == 1  # a map with one key twice is none, and decoders differ
    seen = Message()
    seen.decode(delivered)
    assert bytes(seen.body) == b"hello"
    assert (seen.id, seen.durable, seen.ttl, seen.properties) == ("m", True, 12.5, {"a": 1})
    assert {str(key): value for key, value in seen.annotations.items()} == {
        "x-opt-partition-key": "p",
        "x-opt-sequence-number": 5,
        "x-opt-enqueued-time": 1_000,
        "x-opt-message-state": 1,
        "x-opt-locked-until": 2_000,
    }
    assert Content.decode(content.encode()) == content


def test_the_delivery_count_is_written_even_where_it_is_nought() -> None:
    raw = Content.of(b"x").for_queue(1, 0, 0, 0, None)
    data = Data()
    data.decode(raw)
    data.rewind()
    data.next()
    assert data.get_object().value[4] == 0


def test_properties_are_laid_over() -> None:
    content = Content.decode(encoded(body="text", properties={"a": 1, "b": "old"}))
    changed = content.with_properties({"b": "new", "c": True})
    assert changed.application_properties() == {"a": 1, "b": "new", "c": True}
    assert content.application_properties() == {"a": 1, "b": "old"}
    assert changed.body == content.body


def test_batches_come_apart() -> None:
    inner = [encoded(body=b"one"), encoded(body=b"x" * 500)]
    envelope = b"".join(b"\x00\x53\x75\xb0" + len(one).to_bytes(4, "big") + one for one in inner)
    assert split_batch(envelope) == inner
    with pytest.raises(MalformedError):
        split_batch(encoded(id="no data"))


@given(st.binary(max_size=200))
def test_bytes_that_are_no_message_are_called_malformed(raw: bytes) -> None:
    for candidate in (raw, b"\x00\x53\x75" + raw, b"\x00\x53\x70\xc0" + raw, b"\x00\x53\x72\xc1" + raw):
        try:
            content = Content.decode(candidate)
        except MalformedError:
            continue
        assert Content.decode(content.encode()).body == content.body


def test_properties_are_laid_over_by_bytes_and_the_senders_types_stay() -> None:
    sent = {"letter": char("x"), "amount": decimal128(bytes(16)), "changed": "old"}
    changed = Content.decode(encoded(body=b"x", properties=sent)).with_properties({"changed": 1, "more": b"b"})
    seen = Message()
    seen.decode(changed.encode())
    assert seen.properties is not None
    assert {name: bytes(v) if isinstance(v, memoryview) else v for name, v in seen.properties.items()} == {
        **sent,
        "changed": 1,
        "more": b"b",
    }
    assert type(seen.properties["letter"]) is char


def test_a_message_id_is_given_where_there_is_none_and_all_else_stays() -> None:
    given = Content.decode(encoded(body=b"x", subject="s", user_id=b"u")).with_message_id()
    seen = Message()
    seen.decode(given.encode())
    assert (len(str(seen.id)), seen.subject, bytes(seen.user_id)) == (32, "s", b"u")
    assert given.with_message_id() is given
    assert len(str(uuid.UUID(hex=str(seen.id)))) == 36
    bare = Content.decode(b"\x00\x53\x75\xa0\x01x").with_message_id()
    assert bare.with_message_id() is bare
    empty = Content.decode(b"\x00\x53\x73\x45\x00\x53\x75\xa0\x01x").with_message_id()
    assert empty.with_message_id() is empty


def test_a_message_without_a_body_is_a_message_and_nothing_is_none() -> None:
    content = Content.decode(b"\x00\x53\x73\xc0\x04\x01\xa1\x01m")
    assert content.body == b""
    assert Content.decode(content.encode()) == content
    with pytest.raises(MalformedError):
        Content.decode(b"")


def test_the_lock_token_is_in_the_delivery_annotations_as_the_tag_has_it() -> None:
    lock = uuid.uuid4()
    seen = Message()
    seen.decode(Content.of(b"x").for_queue(1, 0, 0, 0, 5, lock.bytes_le))
    assert seen.instructions == {symbol("x-opt-lock-token"): lock}


def test_what_is_decoded_owns_its_bytes_at_any_depth() -> None:
    """A view of proton's memory that outlives its message reads what others wrote there since."""
    message = Message()
    nested = {"messages": [{"message": b"payload", "list": [b"inner", (b"deeper",)]}], "described": Described(1, b"d")}
    raw = bytes(Message(body=nested, id=b"binary id", properties={"p": b"property"}).encode())
    message.decode(raw)
    request = Request.decode(raw)
    for value in (owned(message.body), request.body, request.value, request.id, request.properties):
        assert not list(views(value))
    assert list(views(message.body))  # as proton hands it out
    assert request.body["messages"][0]["message"] == b"payload"


def views(value: object) -> Iterator[memoryview]:
    if isinstance(value, memoryview):
        yield value
    elif isinstance(value, dict):
        for key, one in value.items():
            yield from (*views(key), *views(one))
    elif isinstance(value, list | tuple):
        for one in value:
            yield from views(one)
    elif isinstance(value, Array):
        yield from views(value.elements)
    elif isinstance(value, Described):
        yield from (*views(value.descriptor), *views(value.value))


def test_deep_nesting_is_malformed() -> None:
    with pytest.raises(MalformedError):
        Content.decode(b"\x00\x53\x77" + b"\x00" * 100_000)


def test_paths() -> None:
    assert path_of("amqps://localhost:5671/Orders/$DeadLetterQueue") == "orders/$deadletterqueue"
    assert path_of("sb://localhost:5671/") == ""
    assert path_of(None) == ""


@pytest.mark.parametrize(
    ("path", "queue", "hub"),
    [
        ("orders/$deadletterqueue/$management", "orders", "orders"),
        ("a/partitions/b/$management", "a/partitions/b", "a"),
        ("hub/consumergroups/$default/partitions/0", "hub/consumergroups", "hub"),
        ("hub/partitions/0", "hub/partitions/0", "hub"),
        ("partitions", "partitions", "partitions"),
        ("$cbs", "", ""),
        ("", "", ""),
    ],
)
def test_what_a_path_is_a_part_of(path: str, queue: str, hub: str) -> None:
    assert entities_of(path) == (queue, hub)


# -- tokens ----------------------------------------------------------------------------------------------------------


def token(key: str = "k", name: str = "n", resource: str = "sb://localhost:1/Q", expires: int = 1_000) -> str:
    quoted = quote_plus(resource)
    signature = base64.b64encode(hmac.new(key.encode(), f"{quoted}\n{expires}".encode(), hashlib.sha256).digest())
    return f"SharedAccessSignature sr={quoted}&sig={quote_plus(signature)}&se={expires}&skn={name}"


def test_a_good_token_opens_its_entity_until_it_expires() -> None:
    grant = Verifier("n", "k").verify(token(), 999)
    assert grant.covers("q", 999)
    assert grant.covers("q/$deadletterqueue", 999)
    assert not grant.covers("q", 1_000)
    assert not grant.covers("queue", 999)
    assert Verifier("n", "k").verify(token(resource="sb://localhost:1/"), 1).covers("anything", 1)


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (token(key="other"), "signature"),
        (token(name="other"), "SharedAccessKeyName"),
        (token(expires=5), "expired"),
        (token().replace("se=1000", "se=2000"), "signature"),
        (token().replace("Q", "R"), "signature"),
        ("SharedAccessSignature sr=x", "lacks"),
        (token().replace("se=1000", "se=" + quote_plus("²")), "lacks"),
        (token().replace("se=1000", f"se={'9' * 5000}"), "lacks"),
        (token().replace("sr=", "s%72="), "lacks"),
        ("Bearer x", "SharedAccessSignature"),
        ("", "SharedAccessSignature"),
    ],
)
def test_bad_tokens_are_refused_by_reason(bad: str, why: str) -> None:
    with pytest.raises(UnauthorizedError, match=why):
        Verifier("n", "k").verify(bad, 10)


# -- event hubs ------------------------------------------------------------------------------------------------------


def filled(count: int, retention: Retention | None = None) -> Partition:
    partition = Partition("h", 0, retention or Retention())
    for number in range(count):
        partition.append(Content.of(b"x" * 10), 100 + number * 10)
    return partition


@pytest.mark.parametrize(
    ("selector", "position"),
    [
        ("", 0),
        ("amqp.annotation.x-opt-offset > '-1'", 0),
        ("amqp.annotation.x-opt-offset > '@latest'", 5),
        ("amqp.annotation.x-opt-offset > '2'", 3),
        ("amqp.annotation.x-opt-offset >= '2'", 2),
        ("amqp.annotation.x-opt-sequence-number > '4'", 5),
        ("amqp.annotation.x-opt-sequence-number > '-1'", 0),
        ("amqp.annotation.x-opt-sequence-number >= '0'", 0),
        ("amqp.annotation.x-opt-enqueued-time > '110'", 2),
        ("amqp.annotation.x-opt-enqueued-time >= '110'", 1),
        ("amqp.annotation.x-opt-enqueued-time > '5'", 0),
    ],
)
def test_positions(selector: str, position: int) -> None:
    assert filled(5).position(selector) == position


def test_a_filter_that_is_not_understood_is_refused() -> None:
    for filter_ in ("body LIKE 'x'", f"amqp.annotation.x-opt-offset > '{'9' * 5000}'"):
        with pytest.raises(ArgumentError, match="not understood"):
            filled(1).position(filter_)


@pytest.mark.parametrize(("name", "what"), [("offset", "offset"), ("sequence-number", "sequence number")])
def test_an_event_that_has_not_come_yet_is_no_place_to_start_at(name: str, what: str) -> None:
    """What a checkpoint means that is older than its hub."""
    for held, number, comparison in ((5, 99, ">"), (5, 5, ">="), (0, 0, ">")):
        said = f"The supplied {what} '{number}' is invalid. The last {what} in the system is '{held - 1}'"
        with pytest.raises(ArgumentError, match=said):
            filled(held).position(f"amqp.annotation.x-opt-{name} {comparison} '{number}'")
    assert filled(0).position(f"amqp.annotation.x-opt-{name} > '-1'") == 0


def test_retention_drops_the_oldest_and_readers_go_on_at_the_oldest_kept() -> None:
    partition = filled(1_000, Retention(events=100))
    assert 100 <= len(partition.events) <= 103
    assert partition.next == 1_000
    assert partition.read(0, 1)[0].sequence == partition.first
    assert partition.bytes_held == sum(event.content.size for event in partition.events)
    by_size = filled(1_000, Retention(bytes=1_500))
    assert by_size.bytes_held <= 1_500
    assert by_size.next == 1_000


def test_keys_are_stable_and_partitions_are_named_by_number() -> None:
    hub = EventHub("H", 4, ["Group"], 0)
    assert {hub.choose(b"household").index for _ in range(5)} == {hub.choose(b"household").index}
    assert [hub.choose(None).index for _ in range(4)] == [0, 1, 2, 3]
    assert set(hub.groups) == {"$default", "group"}
    for wrong in ("4", "-1", "", "x", "¹", "9" * 5000):
        with pytest.raises(OutOfRangeError, match="between 0 and 3"):
            hub.partition(wrong)


# -- journal ---------------------------------------------------------------------------------------------------------


def open_queue(journal: Journal, *, create: bool = False) -> Queue:
    if create:
        journal.write_queue(StoredQueue("Q", Settings(), 1, 1, 0))
    stored = journal.queues()["q"]
    dead = Queue("q" + DEAD_LETTERS, stored.settings, recorder=journal)
    queue = Queue("q", stored.settings, dead=dead, recorder=journal)
    queue.last_sequence = stored.last_sequence
    journal.restore_messages({"q": queue})
    return queue


def test_the_journal_brings_back_every_state(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    queue = open_queue(journal, create=True)
    for body in (b"gone", b"deferred", b"dead", b"locked"):
        queue.put(Content.of(body), 10)
    for name in (b"gone", b"deferred", b"dead", b"locked"):
        queue.receive(name, 10)
    queue.complete(b"gone", 11)
    journal.commit()
    queue.defer(b"deferred", 11)
    queue.dead_letter(b"dead", 11, "r", "d")
    queue.put(Content(b"\x00\x53\x77\x40", scheduled_ms=500), 12)
    queue.put(Content.of(b"never stored"), 12)
    queue.receive_deferred([5], None, 12)
    journal.close()

    journal = Journal(tmp_path)
    again = open_queue(journal)
    assert again.last_sequence == queue.last_sequence
    assert {one.sequence: (one.state, one.count) for one in again.messages()} == {
        2: (State.DEFERRED, 1),
        4: (State.ACTIVE, 0),
        5: (State.SCHEDULED, 0),
        6: (State.ACTIVE, 0),
    }
    assert again.dead is not None
    (dead,) = again.dead.messages()
    assert (dead.sequence, dead.content.application_properties()) == (
        3,
        {"DeadLetterReason": "r", "DeadLetterErrorDescription": "d"},
    )
    assert again.receive(b"x", 12) is not None
    journal.close()


def test_what_was_not_committed_is_not_there(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    queue = open_queue(journal, create=True)
    queue.put(Content.of(b"a"), 0)
    journal.commit()
    queue.put(Content.of(b"b"), 0)
    assert journal._db is not None
    journal._db.close()  # as a killed process leaves it
    journal = Journal(tmp_path)
    assert [one.sequence for one in open_queue(journal).messages()] == [1]
    journal.close()


def test_events_and_their_retention_come_back(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    partition = Partition("h", 0, Retention(events=10), journal)
    for number in range(50):
        partition.append(Content.of(b"%d" % number), number)
        journal.commit()
    journal.close()
    journal = Journal(tmp_path)
    again = Partition("h", 0, Retention(events=10), journal)
    journal.restore_events(again)
    assert (again.first, again.next) == (partition.first, 50)
    assert again.events == partition.events
    journal.close()


def test_one_folder_serves_one_broker(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    with pytest.raises(StartError, match="in use"):
        Journal(tmp_path)
    journal.close()
    Journal(tmp_path).close()


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StartError, match="state folder"):
        Journal(tmp_path / "file")


@pytest.mark.parametrize("raw", ["005370c00305", "005372c10102", "005373c0010d", "005370c0", "0053"])
def test_counts_that_promise_more_than_there_is_are_malformed(raw: str) -> None:
    with pytest.raises(MalformedError):
        Content.decode(bytes.fromhex(raw))
