"""A message's content as AMQP bytes, taken apart only as far as a broker needs.

Sections stay the bytes that the sender wrote; decoding and encoding every value would cost more than all else that the
broker does with a message, and would lose the sender's choice of types.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from proton import Data

from mosaic_local.broker.errors import MalformedError, NotImplementedByBrokerError

HEADER, DELIVERY_ANNOTATIONS, MESSAGE_ANNOTATIONS, PROPERTIES, APPLICATION_PROPERTIES = 0x70, 0x71, 0x72, 0x73, 0x74
DATA, SEQUENCE, VALUE, FOOTER = 0x75, 0x76, 0x77, 0x78
GROUP_ID_FIELD = 10

SCHEDULED = b"x-opt-scheduled-enqueue-time"
PARTITION_KEY = b"x-opt-partition-key"
# Annotations that the broker writes; a sender's own (as in a resubmitted dead letter) give way to them.
BROKER_OWNED = frozenset(
    (
        b"x-opt-sequence-number",
        b"x-opt-enqueued-time",
        b"x-opt-message-state",
        b"x-opt-locked-until",
        b"x-opt-offset",
    )
)


def _symbol8(name: bytes) -> bytes:
    return b"\xa3" + bytes([len(name)]) + name


_SEQUENCE_KEY = _symbol8(b"x-opt-sequence-number") + b"\x81"
_ENQUEUED_KEY = _symbol8(b"x-opt-enqueued-time") + b"\x83"
_STATE_KEY = _symbol8(b"x-opt-message-state") + b"\x71"
_LOCKED_KEY = _symbol8(b"x-opt-locked-until") + b"\x83"
_OFFSET_KEY = _symbol8(b"x-opt-offset") + b"\xa1"

_INT64 = struct.Struct(">q")
_SIZE_COUNT = struct.Struct(">II")


def skip(raw: bytes, at: int) -> int:
    """Where the AMQP value that starts at `at` ends. MalformedError where that is outside `raw`."""
    try:
        code = raw[at]
        if code == 0:
            return skip(raw, skip(raw, at + 1))
        kind = code >> 4
        if kind == 4:
            end = at + 1
        elif kind in _FIXED:
            end = at + _FIXED[kind]
        elif kind in (0xA, 0xC, 0xE):
            end = at + 2 + raw[at + 1]
        elif kind in (0xB, 0xD, 0xF):
            end = at + 5 + int.from_bytes(raw[at + 1 : at + 5], "big")
        else:
            raise MalformedError(f"unknown AMQP type code 0x{code:02x}")
    except (IndexError, RecursionError):
        raise MalformedError("an AMQP value is cut off") from None
    if end > len(raw):
        raise MalformedError("an AMQP value is cut off")
    return end


_FIXED = {5: 2, 6: 3, 7: 5, 8: 9, 9: 17}


def scalar(raw: bytes, at: int) -> int | bool | bytes | None:
    """The number, boolean, binary, string or symbol (as bytes) at `at`; None for null and for anything else."""
    code = raw[at]
    if code in (0x43, 0x44):
        return 0
    if code in (0x41, 0x42):
        return code == 0x41
    kind = code >> 4
    if kind == 0xA:
        return raw[at + 2 : at + 2 + raw[at + 1]]
    if kind == 0xB:
        return raw[at + 5 : at + 5 + int.from_bytes(raw[at + 1 : at + 5], "big")]
    if kind == 5 and code == 0x56:
        return raw[at + 1] == 1
    if kind in (5, 6, 7, 8) and code not in (0x72, 0x74, 0x73, 0x82, 0x84):
        return int.from_bytes(
            raw[at + 1 : at + _FIXED[kind]], "big", signed=code not in (0x50, 0x52, 0x53, 0x60, 0x70, 0x80)
        )
    return None


def _compound(raw: bytes, at: int) -> tuple[int, int, int]:
    """(element count, index of the first element, end) of the list or map at `at`."""
    code = raw[at]
    if code == 0x45:
        return 0, at + 1, at + 1
    end = skip(raw, at)
    if code in (0xC0, 0xC1) and end >= at + 3:
        return raw[at + 2], at + 3, end
    if code in (0xD0, 0xD1) and end >= at + 9:
        return int.from_bytes(raw[at + 5 : at + 9], "big"), at + 9, end
    raise MalformedError("a list or map was expected")


def sections(raw: bytes) -> Iterator[tuple[int, int, int, int]]:
    """(descriptor, start of the section, start of its value, end) for each section of an encoded message."""
    at, size = 0, len(raw)
    while at < size:
        head = raw[at : at + 2]
        if head == b"\x00\x53" and at + 3 < size:
            code, value = raw[at + 2], at + 3
        elif head == b"\x00\x80" and at + 10 < size:
            code, value = int.from_bytes(raw[at + 2 : at + 10], "big"), at + 10
        else:
            raise MalformedError("a message section was expected")
        if not HEADER <= code <= FOOTER:
            raise MalformedError(f"unknown message section 0x{code:x}")
        end = skip(raw, value)
        yield code, at, value, end
        at = end


def split_batch(raw: bytes) -> list[bytes]:
    """The messages in a batch (message format 0x80013700): an envelope whose data sections each hold one message."""
    found = []
    for code, _, value, _ in sections(raw):
        if code == DATA:
            one = scalar(raw, value)
            if not isinstance(one, bytes):
                raise MalformedError("a batch holds a data section that is not binary")
            found.append(one)
    if not found:
        raise MalformedError("a batch without messages")
    return found


def encode_map(values: Mapping[str, object]) -> bytes:
    """A map with string keys as AMQP bytes (through proton, which knows all types)."""
    data = Data()
    data.put_object(dict(values))
    return bytes(data.encode())


def decode_map(raw: bytes) -> dict[str, object]:
    """A map with textual keys as Python values, through proton; views into proton's memory are copied."""
    data = Data()
    data.decode(raw)
    data.rewind()
    data.next()
    decoded = data.get_object()
    if not isinstance(decoded, dict):
        raise MalformedError("a map was expected")
    return {_text(key): bytes(value) if isinstance(value, memoryview) else value for key, value in decoded.items()}


def _text(key: object) -> str:
    return bytes(key).decode(errors="replace") if isinstance(key, bytes | memoryview) else str(key)


@dataclass(slots=True, frozen=True)
class Content:
    """What the sender wrote, minus delivery annotations and what the broker says itself on delivery."""

    body: bytes
    """The body sections and the footer."""
    durable: bool = False
    ttl_ms: int | None = None
    annotations: bytes = b""
    """Keys and values of the message annotations, encoded, without the map around them."""
    annotation_count: int = 0
    """Keys and values counted singly, as AMQP does."""
    properties: bytes = b""
    """The whole section."""
    application: bytes = b""
    """The application properties: the whole section."""
    scheduled_ms: int | None = None
    """Unix time in ms; kept out of `annotations` only in so far as it is already there."""
    partition_key: bytes | None = None

    @classmethod
    def decode(cls, raw: bytes) -> Content:
        """MalformedError for what is not one AMQP message; NotImplementedByBrokerError for one of a session."""
        try:
            return cls._decode(raw)
        except IndexError:  # a count that promises more than there is
            raise MalformedError("an AMQP value is cut off") from None

    @classmethod
    def _decode(cls, raw: bytes) -> Content:
        durable, ttl, properties, application, body_at = False, None, b"", b"", -1
        annotations, count, scheduled, key = b"", 0, None, None
        for code, start, value, end in sections(raw):
            if code >= DATA:
                if body_at < 0:
                    body_at = start
            elif code == HEADER:
                durable, ttl = _header(raw, value)
            elif code == MESSAGE_ANNOTATIONS:
                annotations, count, scheduled, key = _annotations(raw, value)
            elif code == PROPERTIES:
                properties = raw[start:end]
                _refuse_session(raw, value)
            elif code == APPLICATION_PROPERTIES:
                _compound(raw, value)
                application = raw[start:end]
        if body_at < 0:
            raise MalformedError("a message without a body")
        return cls(raw[body_at:], durable, ttl, annotations, count, properties, application, scheduled, key)

    @classmethod
    def of(cls, body: bytes, **fields: object) -> Content:
        """A content with `body` as its one data section."""
        return cls(b"\x00\x53\x75\xb0" + len(body).to_bytes(4, "big") + body, **fields)  # type: ignore[arg-type]

    def with_properties(self, extra: Mapping[str, object]) -> Content:
        """The same with `extra` laid over the application properties."""
        if not extra:
            return self
        merged = self.application_properties() | dict(extra)
        return replace(self, application=b"\x00\x53\x74" + encode_map(merged))

    def application_properties(self) -> dict[str, object]:
        if not self.application:
            return {}
        _, _, value, end = next(sections(self.application))
        return decode_map(self.application[value:end])

    def encode(self) -> bytes:
        """All of it as one AMQP message, as the journal keeps it."""
        header = _encode_header(self.durable, self.ttl_ms, 0)
        notes = _annotation_section(self.annotations, self.annotation_count) if self.annotation_count else b""
        return b"".join((header, notes, self.properties, self.application, self.body))

    def for_queue(self, sequence: int, enqueued_ms: int, state: int, count: int, locked_until_ms: int | None) -> bytes:
        """As a receiver of a queue gets it. The delivery count is always written: the SDK shows None otherwise."""
        notes = (
            self.annotations
            + _SEQUENCE_KEY
            + _INT64.pack(sequence)
            + _ENQUEUED_KEY
            + _INT64.pack(enqueued_ms)
            + _STATE_KEY
            + state.to_bytes(4, "big")
        )
        items = self.annotation_count + 6
        if locked_until_ms is not None:
            notes += _LOCKED_KEY + _INT64.pack(locked_until_ms)
            items += 2
        header = _encode_header(self.durable, self.ttl_ms, count)
        return b"".join((header, _annotation_section(notes, items), self.properties, self.application, self.body))

    def for_hub(self, sequence: int, enqueued_ms: int) -> bytes:
        """As a consumer of an event hub gets it."""
        offset = b"%d" % sequence
        notes = (
            self.annotations
            + _SEQUENCE_KEY
            + _INT64.pack(sequence)
            + _OFFSET_KEY
            + bytes([len(offset)])
            + offset
            + _ENQUEUED_KEY
            + _INT64.pack(enqueued_ms)
        )
        section = _annotation_section(notes, self.annotation_count + 6)
        return b"".join((section, self.properties, self.application, self.body))

    @property
    def size(self) -> int:
        """Bytes held, roughly."""
        return len(self.body) + len(self.properties) + len(self.application) + len(self.annotations)


def _encode_header(durable: bool, ttl_ms: int | None, count: int) -> bytes:
    ttl = b"\x40" if ttl_ms is None else b"\x70" + ttl_ms.to_bytes(4, "big")
    items = (b"\x41" if durable else b"\x42") + b"\x40" + ttl + b"\x42" + b"\x70" + count.to_bytes(4, "big")
    return b"\x00\x53\x70\xc0" + bytes([len(items) + 1, 5]) + items


def _annotation_section(items: bytes, count: int) -> bytes:
    return b"\x00\x53\x72\xd1" + _SIZE_COUNT.pack(len(items) + 4, count) + items


def _header(raw: bytes, at: int) -> tuple[bool, int | None]:
    count, at, _ = _compound(raw, at)
    durable, ttl = False, None
    for index in range(min(count, 3)):
        value = scalar(raw, at)
        if index == 0:
            durable = value is True
        elif index == 2 and type(value) is int:
            ttl = value
        at = skip(raw, at)
    return durable, ttl


def _annotations(raw: bytes, at: int) -> tuple[bytes, int, int | None, bytes | None]:
    count, at, _ = _compound(raw, at)
    kept, scheduled, partition_key = [], None, None
    for _ in range(count // 2):
        value_at = skip(raw, at)
        end = skip(raw, value_at)
        name = scalar(raw, at)
        if name == SCHEDULED:
            value = scalar(raw, value_at)
            scheduled = value if type(value) is int else None
        elif name == PARTITION_KEY:
            value = scalar(raw, value_at)
            partition_key = value if isinstance(value, bytes) else None
        if name not in BROKER_OWNED:
            kept.append(raw[at:end])
        at = end
    return b"".join(kept), 2 * len(kept), scheduled, partition_key


def _refuse_session(raw: bytes, at: int) -> None:
    count, at, _ = _compound(raw, at)
    if count <= GROUP_ID_FIELD:
        return
    for _ in range(GROUP_ID_FIELD):
        at = skip(raw, at)
    if scalar(raw, at) is not None:
        raise NotImplementedByBrokerError("a message with a session id: this broker has no sessions")
