"""A message's content as AMQP bytes, taken apart only as far as a broker needs.

Sections stay the bytes that the sender wrote; decoding and encoding every value would cost more than all else that the
broker does with a message, and would lose the sender's choice of types.
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from proton import Array, Data, Described

from mosaic_local.broker.errors import ArgumentError, MalformedError

HEADER, DELIVERY_ANNOTATIONS, MESSAGE_ANNOTATIONS, PROPERTIES, APPLICATION_PROPERTIES = 0x70, 0x71, 0x72, 0x73, 0x74
DATA, SEQUENCE, VALUE, FOOTER = 0x75, 0x76, 0x77, 0x78
EXPIRY_FIELD = 8
MAX_MESSAGE = 256 * 1024
"""Bytes of a queue's message, as the Standard tier has it."""

MAX_EVENT = 1024 * 1024
"""Bytes of an event hub's event or batch."""

MAX_PROPERTIES = 64 * 1024

LAST_MOMENT = 253_402_300_799_999
"""The end of the year 9999, ms since 1970: .NET knows no later time, and SQLite no number of 64 bits without a sign."""

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
_TOKEN_KEY = _symbol8(b"x-opt-lock-token") + b"\x98"
_LOCK_SECTION = b"\x00\x53\x71\xc1" + bytes([len(_TOKEN_KEY) + 17, 2]) + _TOKEN_KEY
"""The delivery annotations, up to the sixteen bytes of the token."""

_INT64 = struct.Struct(">q")
_SIZE_COUNT = struct.Struct(">II")
_UINT_LIMIT = 2**32


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


def owned(value: Any) -> Any:
    """The same value with nothing in it that points into proton's memory, at any depth. Binaries that proton decodes
    are views of what it decoded, and are freed with it."""
    if isinstance(value, memoryview):
        return bytes(value)
    if isinstance(value, dict):
        return {owned(key): owned(one) for key, one in value.items()}
    if isinstance(value, Array):
        return Array(owned(value.descriptor), value.type, *(owned(one) for one in value.elements))
    if isinstance(value, Described):
        return Described(owned(value.descriptor), owned(value.value))
    if isinstance(value, list | tuple):
        return type(value)(owned(one) for one in value)
    return value


def encode_map(values: Mapping[str, object]) -> bytes:
    """A map with string keys as AMQP bytes (through proton, which knows all types). ArgumentError."""
    data = Data()
    try:
        data.put_object(dict(values))
        return bytes(data.encode())
    except Exception as error:  # proton raises several unrelated types
        raise ArgumentError(f"a property that AMQP cannot carry ({type(error).__name__})") from error


def decode_map(raw: bytes) -> dict[str, object]:
    """A map with textual keys as Python values, through proton. MalformedError."""
    data = Data()
    try:
        data.decode(raw)
        data.rewind()
        data.next()
        decoded = owned(data.get_object())
    except Exception as error:  # proton raises several unrelated types
        raise MalformedError("a map that cannot be decoded") from error
    if not isinstance(decoded, dict):
        raise MalformedError("a map was expected")
    return {_text(key): value for key, value in decoded.items()}


def _text(key: object) -> str:
    return key.decode(errors="replace") if isinstance(key, bytes) else str(key)


@dataclass(slots=True, frozen=True)
class Content:
    """What the sender wrote, minus delivery annotations and what the broker says itself on delivery."""

    body: bytes
    """The body sections and the footer; empty where there are none."""
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
    priority: int | None = None
    has_id: bool = False
    """Whether `properties` has a message id."""

    @classmethod
    def decode(cls, raw: bytes) -> Content:
        """MalformedError for what is not one AMQP message."""
        try:
            return cls._decode(raw)
        except IndexError:  # a count that promises more than there is
            raise MalformedError("an AMQP value is cut off") from None

    @classmethod
    def _decode(cls, raw: bytes) -> Content:
        durable, priority, ttl, properties, application, body_at = False, None, None, b"", b"", -1
        has_id = False
        annotations, count, scheduled, key = b"", 0, None, None
        for code, start, value, end in sections(raw):
            if code >= DATA:
                if body_at < 0:
                    body_at = start
            elif code == HEADER:
                durable, priority, ttl = _header(raw, value)
            elif code == MESSAGE_ANNOTATIONS:
                annotations, count, scheduled, key = _annotations(raw, value)
            elif code == PROPERTIES:
                has_id = _has_id(raw, value)
                properties = raw[start:end]
            elif code == APPLICATION_PROPERTIES:
                _compound(raw, value)
                application = raw[start:end]
        if not raw:
            raise MalformedError("a message without sections")
        body = raw[body_at:] if body_at >= 0 else b""
        return cls(body, durable, ttl, annotations, count, properties, application, scheduled, key, priority, has_id)

    @classmethod
    def of(cls, body: bytes, **fields: object) -> Content:
        """A content with `body` as its one data section."""
        return cls(b"\x00\x53\x75\xb0" + len(body).to_bytes(4, "big") + body, **fields)  # type: ignore[arg-type]

    def with_properties(self, extra: Mapping[str, object]) -> Content:
        """The same with `extra` laid over the application properties; the sender's own keep their bytes."""
        if not extra:
            return self
        added = encode_map(extra)
        replaced = {key.encode() for key in extra}
        kept = [key + value for key, value in self._pairs() if scalar(key, 0) not in replaced]
        _, start, end = _compound(added, 0)
        items = b"".join(kept) + added[start:end]
        head = b"\x00\x53\x74\xd1" + _SIZE_COUNT.pack(len(items) + 4, 2 * (len(kept) + len(extra)))
        return replace(self, application=head + items)

    def _pairs(self) -> list[tuple[bytes, bytes]]:
        """Keys and values of the application properties; none where the sender's map is not one."""
        raw = self.application
        if not raw:
            return []
        try:
            _, _, value, _ = next(sections(raw))
            count, at, _ = _compound(raw, value)
            found = _elements(raw, at, count)
        except (MalformedError, IndexError):
            return []
        return list(zip(found[::2], found[1::2], strict=False))

    def with_message_id(self) -> Content:
        """The same, with a message id of the broker's where the sender set none."""
        if self.has_id:
            return self
        fresh = b"\xa1\x20" + uuid.uuid4().hex.encode()
        fields: list[bytes] = []
        if self.properties:
            _, _, value, _ = next(sections(self.properties))
            count, at, _ = _compound(self.properties, value)
            fields = _elements(self.properties, at, count)
        return replace(self, properties=_properties_section([fresh, *fields[1:]]), has_id=True)

    def with_expiry(self, ends_ms: int) -> Content:
        """The same, with this absolute expiry time where the sender set one."""
        if not self.properties:
            return self
        _, _, value, _ = next(sections(self.properties))
        count, at, _ = _compound(self.properties, value)
        fields = _elements(self.properties, at, count)
        if count <= EXPIRY_FIELD or fields[EXPIRY_FIELD] == b"\x40":
            return self
        fields[EXPIRY_FIELD] = b"\x83" + _INT64.pack(ends_ms)
        return replace(self, properties=_properties_section(fields))

    def has_property(self, name: str) -> bool:
        """Whether the application properties have this one."""
        return any(scalar(key, 0) == name.encode() for key, _ in self._pairs())

    def application_properties(self) -> dict[str, object]:
        if not self.application:
            return {}
        _, _, value, end = next(sections(self.application))
        return decode_map(self.application[value:end])

    def encode(self) -> bytes:
        """All of it as one AMQP message, as the journal keeps it."""
        header = _encode_header(self.durable, self.priority, self.ttl_ms, 0)
        notes = _annotation_section(self.annotations, self.annotation_count) if self.annotation_count else b""
        return b"".join((header, notes, self.properties, self.application, self.body))

    def for_queue(
        self,
        sequence: int,
        enqueued_ms: int,
        state: int,
        count: int,
        locked_until_ms: int | None,
        token: bytes | None = None,
        ttl_ms: int | None = None,
    ) -> bytes:
        """As a receiver of a queue gets it. The delivery count is always written: the SDK shows None otherwise.

        `token`: the lock's, a GUID as .NET writes it; `ttl_ms`: as the queue has it.
        """
        ttl = self.ttl_ms if ttl_ms is None else ttl_ms if ttl_ms < _UINT_LIMIT else None
        properties = self.properties
        if self.ttl_ms is not None and ttl is not None and ttl < self.ttl_ms:
            properties = self.with_expiry(enqueued_ms + ttl).properties
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
        header = _encode_header(self.durable, self.priority, ttl, count)
        if token is not None:
            header += _LOCK_SECTION + token[3::-1] + token[5:3:-1] + token[7:5:-1] + token[8:]
        section = _annotation_section(notes, items)
        return b"".join((header, section, properties, self.application, self.body))

    def for_hub(self, sequence: int, enqueued_ms: int, last: bytes = b"") -> bytes:
        """As a consumer of an event hub gets it; `last`: what `last_enqueued` made, for a consumer that asked."""
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
        header = b"" if self.priority is None else _encode_header(self.durable, self.priority, self.ttl_ms, 0)
        return b"".join((header, last, section, self.properties, self.application, self.body))

    @property
    def size(self) -> int:
        """Bytes held, roughly."""
        return len(self.body) + len(self.properties) + len(self.application) + len(self.annotations)


def last_enqueued(sequence: int, enqueued_ms: int, now_ms: int) -> bytes:
    """The delivery annotations that tell a consumer how far its partition has got."""
    values = (
        (b"last_enqueued_sequence_number", b"\x81" + _INT64.pack(sequence)),
        (b"last_enqueued_offset", b"\xa1" + bytes([len(b"%d" % sequence)]) + b"%d" % sequence),
        (b"last_enqueued_time_utc", b"\x83" + _INT64.pack(enqueued_ms)),
        (b"runtime_info_retrieval_time_utc", b"\x83" + _INT64.pack(now_ms)),
    )
    items = b"".join(_symbol8(name) + value for name, value in values)
    return b"\x00\x53\x71\xd1" + _SIZE_COUNT.pack(len(items) + 4, 2 * len(values)) + items


def _has_id(raw: bytes, at: int) -> bool:
    """Whether the properties at `at` begin with a message id. MalformedError where there are fewer than they say."""
    count, first, end = _compound(raw, at)
    at = first
    for _ in range(count):
        at = at + 1 if raw[at] == 0x40 else skip(raw, at)  # most of the thirteen are null
    if at > end:
        raise MalformedError("an AMQP value is cut off")
    return count > 0 and raw[first] != 0x40


def _elements(raw: bytes, at: int, count: int) -> list[bytes]:
    found = []
    for _ in range(count):
        end = skip(raw, at)
        found.append(raw[at:end])
        at = end
    return found


def _properties_section(fields: list[bytes]) -> bytes:
    items = b"".join(fields)
    return b"\x00\x53\x73\xd0" + _SIZE_COUNT.pack(len(items) + 4, len(fields)) + items


def _encode_header(durable: bool, priority: int | None, ttl_ms: int | None, count: int) -> bytes:
    ttl = b"\x40" if ttl_ms is None else b"\x70" + ttl_ms.to_bytes(4, "big")
    rank = b"\x40" if priority is None else b"\x50" + bytes([priority])
    items = (b"\x41" if durable else b"\x42") + rank + ttl + b"\x42" + b"\x70" + count.to_bytes(4, "big")
    return b"\x00\x53\x70\xc0" + bytes([len(items) + 1, 5]) + items


def _annotation_section(items: bytes, count: int) -> bytes:
    return b"\x00\x53\x72\xd1" + _SIZE_COUNT.pack(len(items) + 4, count) + items


def _header(raw: bytes, at: int) -> tuple[bool, int | None, int | None]:
    count, at, _ = _compound(raw, at)
    durable, priority, ttl = False, None, None
    for index in range(min(count, 3)):
        value = scalar(raw, at)
        if index == 0:
            durable = value is True
        elif index == 1 and type(value) is int and 0 <= value < 256:
            priority = value
        elif index == 2 and type(value) is int and 0 <= value < _UINT_LIMIT:
            ttl = value
        at = skip(raw, at)
    return durable, priority, ttl


def _annotations(raw: bytes, at: int) -> tuple[bytes, int, int | None, bytes | None]:
    count, at, end_of_map = _compound(raw, at)
    kept, scheduled, partition_key = [], None, None
    for _ in range(count // 2):
        value_at = skip(raw, at)
        end = skip(raw, value_at)
        name = scalar(raw, at)
        if name == SCHEDULED:
            value = scalar(raw, value_at)
            scheduled = min(value, LAST_MOMENT) if type(value) is int else None
        elif name == PARTITION_KEY:
            value = scalar(raw, value_at)
            partition_key = value if isinstance(value, bytes) else None
        if name not in BROKER_OWNED:
            kept.append(raw[at:end])
        at = end
    if at > end_of_map:
        raise MalformedError("an AMQP value is cut off")
    return b"".join(kept), 2 * len(kept), scheduled, partition_key
