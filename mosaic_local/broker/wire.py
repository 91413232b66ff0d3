"""What has to be set right between proton and the Azure SDKs, frame by frame, outside of proton.

Incoming: azure-servicebus repeats a delivery-id where several tasks share one management link (it reads its session's
counter, awaits, and only then increments). Service Bus bears with that; proton drops the connection. So repeated ids
are renumbered on their way in, and dispositions are translated back on their way out. And a delivery in batch format
(message format 0x80013700, which proton's Python API does not show) gets BATCH_TAG as its delivery tag, which nobody
else reads: dispositions name deliveries by id. Frames on a channel that the client has ended, which azure-eventhub
sends while it closes, are dropped; proton would call them an error. What a link leaves unfinished ends with it, and
with an abort: the delivery that comes next on its handle is another. A performative whose code is written in eight
bytes, as AMQP allows and no SDK of Microsoft's does, is read as one in a single byte.

Outgoing: proton settles what is unsettled on a link that is freed, which is done when its client has closed it. To the
client that would mean that its message is settled; in Azure the lock stands, and the message can still be settled by
`$management`. Such dispositions, which have no outcome, are not sent; with every other one the broker says an outcome.
proton also joins dispositions to ranges. azure-servicebus waits for one frame for each settlement that it awaits: of a
range it notices one at once and the others when a read times out, 0.2 s later. So each delivery gets its own.
And proton leaves trailing nulls of a performative away, as AMQP allows; azure-eventhub 5.15.1 indexes the fields
without a check and fails with "list index out of range"; both SDKs do so with errors. So each performative, and each
error, is padded to its full number of fields. So that a full frame does not outgrow what its receiver allows, proton is
told of a little less in the receiver's open; where that allows so little that there is no less, a full frame stays as
proton wrote it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field

from mosaic_local.broker.content import scalar, skip

BATCH_TAG = b"btch"
"""As long as the tags of the SDKs (a 32-bit counter, which never comes to this one): a frame that is full stays so."""
BATCH_FORMAT = 0x80013700
MAX_FRAME = 65_536
METRIC = b"com.microsoft:enable-receiver-runtime-metric"

OPEN, BEGIN, ATTACH, FLOW, TRANSFER, DISPOSITION, DETACH, END, CLOSE = range(0x10, 0x19)
_FIELDS = {OPEN: 10, BEGIN: 8, ATTACH: 14, FLOW: 11, TRANSFER: 11, DISPOSITION: 6, DETACH: 3, END: 1, CLOSE: 1}
_REMEMBERED = 4096
_MAX_FRAME_FIELD = 2
_ABORTED_FIELD = 9
_LONG_CODE = b"\x00\x80" + bytes(7)
_SMALLEST_FRAME = 512
_ROOM = 32
_NO_LIMIT = 2**32


@dataclass(slots=True)
class _Channel:
    """Delivery ids of one incoming session. `unfinished`: link handle → our id of the delivery that continues there."""

    following: int | None = None
    unfinished: dict[int, int] = field(default_factory=dict)
    original: OrderedDict[int, int] = field(default_factory=OrderedDict)


class Wire:
    """Both directions of one connection. Feed it bytes; it hands on whole frames."""

    def __init__(self) -> None:
        self._in = bytearray()
        self._out = bytearray()
        self._channels: dict[int, _Channel] = {}
        self._remote_channel: dict[int, int] = {}
        self._ended: set[int] = set()
        self._largest = _NO_LIMIT
        """Bytes of the largest frame that the client takes."""
        self.metric_links: set[str] = set()
        """Names of the links that asked for the last enqueued event of their partition; proton does not show it."""

    # -- in --------------------------------------------------------------------------------------------------------

    def incoming(self, data: bytes) -> bytes:
        """What to hand to proton. What cannot be AMQP is handed on as it is, for proton to refuse."""
        self._in += data
        frames = []
        for frame in _cut(self._in, 2 * MAX_FRAME):
            if len(frame) > 11 and frame[5] == 0 and frame[:4] != b"AMQP":
                start = frame[4] * 4
                if frame[start : start + 9] == _LONG_CODE:
                    frame = _in_short(frame, start)
                if frame[start : start + 2] == b"\x00\x53":
                    code, channel = frame[start + 2], int.from_bytes(frame[6:8], "big")
                    if code == TRANSFER:
                        frame = self._transfer(frame, start)
                    elif code == OPEN:
                        frame = self._opened(frame, start)
                    elif code in (ATTACH, DETACH) and channel not in self._ended:
                        self._other_link(frame, start + 3, code, channel)
                    elif code in (BEGIN, END):
                        self._channels.pop(channel, None)
                        self._ended.discard(channel)
                        if code == END:
                            self._ended.add(channel)
                    elif channel in self._ended and code != CLOSE:
                        continue
            frames.append(frame)
        return b"".join(frames)

    def _opened(self, frame: bytes, start: int) -> bytes:
        frame, largest = _with_room(frame, start)
        self._largest = largest or _NO_LIMIT
        return frame

    def _other_link(self, frame: bytes, listed: int, code: int, channel: int) -> None:
        """A link comes or goes on a handle."""
        first = listed + (3 if frame[listed] == 0xC0 else 9)
        handle = scalar(frame, skip(frame, first) if code == ATTACH else first)
        if channel in self._channels and type(handle) is int:
            self._channels[channel].unfinished.pop(handle, None)
        name = scalar(frame, first)
        if code == ATTACH and isinstance(name, bytes):
            (self.metric_links.add if METRIC in frame else self.metric_links.discard)(name.decode(errors="replace"))

    def _transfer(self, frame: bytes, start: int) -> bytes:
        listed = start + 3
        code = frame[listed]
        if code == 0xC0:
            count, at = frame[listed + 2], listed + 3
        elif code == 0xD0:
            count, at = int.from_bytes(frame[listed + 5 : listed + 9], "big"), listed + 9
        else:
            return frame
        end = skip(frame, listed)
        bounds = [at]
        for _ in range(count):
            bounds.append(skip(frame, bounds[-1]))
        values = [scalar(frame, bounds[index]) if index < count else None for index in range(6)]
        handle, delivery_id, _, message_format, _, more = values
        aborted = count > _ABORTED_FIELD and scalar(frame, bounds[_ABORTED_FIELD]) is True
        channel = self._channels.setdefault(int.from_bytes(frame[6:8], "big"), _Channel())
        if type(handle) is not int:
            return frame
        ours = channel.unfinished.get(handle)
        fresh = ours is None
        if ours is None:
            if type(delivery_id) is not int:
                return frame
            ours = delivery_id if channel.following is None else channel.following
            channel.following = (ours + 1) & 0xFFFFFFFF
            if ours != delivery_id:
                channel.original[ours] = delivery_id
                if len(channel.original) > _REMEMBERED:
                    channel.original.popitem(last=False)
        if more is True and not aborted:
            channel.unfinished[handle] = ours
        else:
            channel.unfinished.pop(handle, None)
        batch = fresh and message_format == BATCH_FORMAT
        renumber = delivery_id is not None and delivery_id != ours
        if not batch and not renumber:
            return frame
        parts = [frame[bounds[index] : bounds[index + 1]] for index in range(count)]
        if renumber:
            parts[1] = b"\x70" + ours.to_bytes(4, "big")
        if batch:
            parts[2] = b"\xa0" + bytes([len(BATCH_TAG)]) + BATCH_TAG
        return _frame(frame[4:8], frame[8:start], TRANSFER, count, b"".join(parts), frame[end:])

    # -- out -------------------------------------------------------------------------------------------------------

    def outgoing(self, data: bytes) -> bytes:
        """What to send of what proton has written."""
        self._out += data
        frames: list[bytes] = []
        for frame in _cut(self._out, _NO_LIMIT):
            if len(frame) > 11 and frame[5] == 0 and frame[:4] != b"AMQP":
                frames.extend(self._rewritten(frame))
            else:
                frames.append(frame)
        return b"".join(frames)

    def _rewritten(self, frame: bytes) -> list[bytes]:
        start = frame[4] * 4
        code = frame[start + 2]
        want = _FIELDS.get(code)
        if frame[start : start + 2] != b"\x00\x53" or want is None:
            return [frame]
        listed = start + 3
        end = skip(frame, listed)
        form = frame[listed]
        if form == 0x45:
            count, at = 0, end
        elif form == 0xC0:
            count, at = frame[listed + 2], listed + 3
        else:
            count, at = int.from_bytes(frame[listed + 5 : listed + 9], "big"), listed + 9
        items = frame[at:end]
        if b"\x00\x53\x1d" in items:
            items = b"".join(_padded_error(value) for value in _values(items, count))
        if code == BEGIN and count:
            remote = scalar(items, 0)
            if type(remote) is int:
                self._remote_channel[int.from_bytes(frame[6:8], "big")] = remote
        if count < want:
            items += b"\x40" * (want - count)
        rest = frame[end:]
        if code == DISPOSITION:
            if _settles_without_outcome(items, count):
                return []
            channel = self._channels.get(self._remote_channel.get(int.from_bytes(frame[6:8], "big"), -1))
            return _each(frame, channel.original if channel is not None else {}, start, items, rest)
        padded = _frame(frame[4:8], frame[8:start], code, max(want, count), items, rest)
        return [frame if len(frame) <= self._largest < len(padded) else padded]


def _each(frame: bytes, original: Mapping[int, int], start: int, items: bytes, rest: bytes) -> list[bytes]:
    """A disposition of ours, one for each delivery; as the receiver under the ids that the client used."""
    first_at = skip(items, 0)
    last_at = skip(items, first_at)
    tail_at = skip(items, last_at)
    role, first, last = scalar(items, 0), scalar(items, first_at), scalar(items, last_at)
    if type(first) is not int:
        return [_frame(frame[4:8], frame[8:start], DISPOSITION, 6, items, rest)]
    frames = []
    after = ((last if type(last) is int else first) - first) % 2**32  # the numbers of deliveries wrap
    for ours in ((first + step) % 2**32 for step in range(after + 1)):
        number = original.get(ours, ours) if role is True else ours
        theirs = b"\x70" + number.to_bytes(4, "big")
        one = items[:first_at] + theirs + theirs + items[tail_at:]
        frames.append(_frame(frame[4:8], frame[8:start], DISPOSITION, 6, one, rest))
    return frames


def _in_short(frame: bytes, start: int) -> bytes:
    """The same frame with its performative's code in one byte."""
    body = b"\x00\x53" + frame[start + 9 :]
    return (start + len(body)).to_bytes(4, "big") + frame[4:start] + body


def _with_room(frame: bytes, start: int) -> tuple[bytes, int | None]:
    """An open that allows frames smaller by what padding adds to a full one on its way out, and what it allowed."""
    listed = start + 3
    end = skip(frame, listed)
    if frame[listed] not in (0xC0, 0xD0):
        return frame, None
    if frame[listed] == 0xC0:
        count, at = frame[listed + 2], listed + 3
    else:
        count, at = int.from_bytes(frame[listed + 5 : listed + 9], "big"), listed + 9
    fields = _values(frame[at:end], count)
    largest = scalar(fields[_MAX_FRAME_FIELD], 0) if count > _MAX_FRAME_FIELD else None
    if type(largest) is not int:
        return frame, None
    if largest < _SMALLEST_FRAME + _ROOM:
        return frame, largest
    fields[_MAX_FRAME_FIELD] = b"\x70" + (largest - _ROOM).to_bytes(4, "big")
    return _frame(frame[4:8], frame[8:start], OPEN, count, b"".join(fields), frame[end:]), largest


def _settles_without_outcome(items: bytes, count: int) -> bool:
    """Whether this is a disposition of a delivery of ours that settles it and says no more."""
    fields = _values(items, count)
    return fields[0] == b"\x42" and (count < 5 or fields[4] == b"\x40")


def _values(items: bytes, count: int) -> list[bytes]:
    values, at = [], 0
    for _ in range(count):
        end = skip(items, at)
        values.append(items[at:end])
        at = end
    return values


def _padded_error(value: bytes) -> bytes:
    """An error, or a rejection with one, with all three fields: condition, description, info."""
    wanted = {b"\x00\x53\x1d": 3, b"\x00\x53\x25": 1}.get(value[:3])
    if wanted is None or value[3] not in (0xC0, 0xD0):
        return value
    count, items = (value[5], value[6:]) if value[3] == 0xC0 else (int.from_bytes(value[8:12], "big"), value[12:])
    inner = b"".join(_padded_error(one) for one in _values(items, count)) + b"\x40" * (wanted - count)
    size = (len(inner) + 4).to_bytes(4, "big")
    return value[:3] + b"\xd0" + size + max(wanted, count).to_bytes(4, "big") + inner


def _cut(buffer: bytearray, limit: int) -> list[bytes]:
    """Removes the whole frames from the front of `buffer`; what is no frame of at most `limit` bytes, all at once."""
    frames, at, size = [], 0, len(buffer)
    while size - at >= 8:
        if buffer[at : at + 4] == b"AMQP":
            length = 8
        else:
            length = int.from_bytes(buffer[at : at + 4], "big")
            if not 8 <= length <= limit or not 2 <= buffer[at + 4] <= length // 4:
                length = size - at  # not AMQP
        if size - at < length:
            break
        frames.append(bytes(buffer[at : at + length]))
        at += length
    del buffer[:at]
    return frames


def _frame(head: bytes, extended: bytes, code: int, count: int, items: bytes, rest: bytes) -> bytes:
    """`head`: data offset, type and channel, as in the frame that this one replaces. The short form of a list wherever
    it does, as the SDKs write it: a frame as large as allowed must not grow."""
    if len(items) < 255:
        listed = bytes([0xC0, len(items) + 1, count])
    else:
        listed = b"\xd0" + (len(items) + 4).to_bytes(4, "big") + count.to_bytes(4, "big")
    body = b"\x00\x53" + bytes([code]) + listed + items + rest
    return (4 + len(head) + len(extended) + len(body)).to_bytes(4, "big") + head + extended + body
