"""``python -m bench.discarding``: a broker that keeps nothing, to see what a client could do at most.

What is sent is accepted and forgotten; whoever gives credit gets one and the same message again and again, and every
settlement is accepted. One line of stdout says the port. As much of AMQP 1.0 as the Service Bus client needs for that,
by hand: a library's engine would cost more than what is left to do.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from dataclasses import dataclass

from mosaic_local.broker.content import PROPERTIES, Content, scalar, sections, skip
from mosaic_local.broker.sasl import Layer

OPEN, BEGIN, ATTACH, FLOW, TRANSFER, DISPOSITION, DETACH, END, CLOSE = range(0x10, 0x19)
NULL, TRUE, FALSE = b"\x40", b"\x41", b"\x42"
ACCEPTED = b"\x00\x53\x24\x45"
HEADER = b"AMQP\x00\x01\x00\x00"
MAX_FRAME = 65_536
CREDIT = 1000
BODY = b"x" * 200
_CBS = b"$cbs"


def uint(value: int) -> bytes:
    return b"\x70" + value.to_bytes(4, "big")


def binary(value: bytes) -> bytes:
    return b"\xa0" + bytes([len(value)]) + value


def text(value: bytes) -> bytes:
    return b"\xa1" + bytes([len(value)]) + value


def ushort(value: int) -> bytes:
    return b"\x60" + value.to_bytes(2, "big")


def frame(channel: int, code: int, fields: list[bytes], payload: bytes = b"") -> bytes:
    """Whole, with all fields: the client indexes them without a look."""
    items = b"".join(fields)
    listed = b"\xd0" + (len(items) + 4).to_bytes(4, "big") + len(fields).to_bytes(4, "big")
    body = b"\x02\x00" + channel.to_bytes(2, "big") + b"\x00\x53" + bytes([code]) + listed + items + payload
    return (len(body) + 4).to_bytes(4, "big") + body


def fields_of(raw: bytes, at: int) -> tuple[list[bytes], int]:
    """(the encoded fields, where the payload begins) of the list at `at`."""
    if raw[at] == 0x45:
        return [], at + 1
    count, first = (raw[at + 2], at + 3) if raw[at] == 0xC0 else (int.from_bytes(raw[at + 5 : at + 9], "big"), at + 9)
    found = []
    for _ in range(count):
        end = skip(raw, first)
        found.append(raw[first:end])
        first = end
    return found, first


def number(field: bytes) -> int:
    value = scalar(field, 0)
    return value if isinstance(value, int) else 0


def yes(field: bytes) -> bool:
    return scalar(field, 0) is True


@dataclass(slots=True)
class Link:
    """`ours`: we send on it. `count`: deliveries so far."""

    handle: bytes
    ours: bool
    cbs: bool
    count: int = 0
    granted: int = 0


class Discarding(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        self._layer: Layer | None = Layer(lambda name, key: True)
        self._in = b""
        self._links: dict[tuple[int, int], Link] = {}
        self._out: list[bytes] = []
        self._next_id = 0
        self._socket: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._socket = transport

    def data_received(self, data: bytes) -> None:
        assert self._socket is not None
        if self._layer is not None:
            answer, data = self._layer.incoming(data)
            self._out.append(answer)
            if self._layer.done:
                self._layer = None
        raw, at = self._in + data, 0
        whole: list[tuple[int, int]] = []
        while len(raw) - at >= 8:
            if raw[at : at + 4] == b"AMQP":
                self._out.append(HEADER)
                at += 8
                continue
            size = int.from_bytes(raw[at : at + 4], "big")
            if len(raw) - at < size:
                break
            one, at = raw[at : at + size], at + size
            if size > 8:
                start = one[4] * 4
                channel = int.from_bytes(one[6:8], "big")
                fields, payload = fields_of(one, start + 3)
                if one[start + 2] == TRANSFER:
                    if self._transfer(channel, fields, one[payload:]):
                        whole.append((channel, number(fields[1])))
                else:
                    self._performative(channel, one[start + 2], fields)
        self._in = raw[at:]
        for channel, key in whole:
            self._out.append(frame(channel, DISPOSITION, [TRUE, uint(key), uint(key), TRUE, ACCEPTED, NULL]))
        self._socket.write(b"".join(self._out))
        self._out.clear()

    def _transfer(self, channel: int, fields: list[bytes], payload: bytes) -> bool:
        """Whether a delivery ends with it."""
        link = self._links[channel, number(fields[0])]
        if len(fields) > 5 and yes(fields[5]):
            return False
        link.count += 1
        if link.count > link.granted - CREDIT // 2:
            self._grant(channel, link)
        if link.cbs:
            self._put_token(channel, payload)
        return True

    def _performative(self, channel: int, code: int, fields: list[bytes]) -> None:
        if code == OPEN:
            self._out.append(frame(0, OPEN, [text(b"discarding"), NULL, uint(MAX_FRAME), ushort(99), *[NULL] * 6]))
        elif code == BEGIN:
            window = uint(2**31 - 1)
            self._out.append(frame(channel, BEGIN, [ushort(channel), uint(0), window, window, uint(255), *[NULL] * 3]))
        elif code == ATTACH:
            self._attach(channel, fields)
        elif code == FLOW:
            if len(fields) > 6 and fields[4] != NULL:
                self._give(channel, self._links[channel, number(fields[4])], number(fields[5]) + number(fields[6]))
        elif code == DISPOSITION:
            last = fields[2] if len(fields) > 2 and fields[2] != NULL else fields[1]
            state = fields[4] if len(fields) > 4 else ACCEPTED
            if yes(fields[0]):
                self._out.append(frame(channel, DISPOSITION, [FALSE, fields[1], last, TRUE, state, NULL]))
        elif code == DETACH:
            self._out.append(frame(channel, DETACH, [fields[0], TRUE, NULL]))
        elif code in (END, CLOSE):
            self._out.append(frame(channel, code, [NULL]))

    def _attach(self, channel: int, fields: list[bytes]) -> None:
        theirs = not yes(fields[2])  # they send
        link = Link(fields[1], not theirs, _CBS in fields[5] + fields[6])
        self._links[channel, number(link.handle)] = link
        role, begun = (TRUE, NULL) if theirs else (FALSE, uint(0))
        limit = b"\x80" + (1024 * 1024).to_bytes(8, "big")
        answer = [fields[0], link.handle, role, NULL, NULL, fields[5], fields[6], NULL, NULL, begun, limit, *[NULL] * 3]
        self._out.append(frame(channel, ATTACH, answer))
        if theirs:
            self._grant(channel, link)

    def _grant(self, channel: int, link: Link) -> None:
        link.granted = link.count + CREDIT
        window = uint(2**31 - 1)
        credit = [uint(0), window, uint(self._next_id), window, link.handle, uint(link.count), uint(CREDIT)]
        self._out.append(frame(channel, FLOW, [*credit, *[NULL] * 4]))

    def _give(self, channel: int, link: Link, limit: int) -> None:
        """Messages up to this delivery count."""
        if link.cbs or not link.ours:
            return
        now = time.time_ns() // 1_000_000
        payload = Content.of(BODY).for_queue(1, now, 0, 0, now + 60_000)
        for _ in range(limit - link.count):
            self._send(channel, link, payload, FALSE)

    def _send(self, channel: int, link: Link, payload: bytes, settled: bytes) -> None:
        identity = [link.handle, uint(self._next_id), binary(os.urandom(16)), uint(0), settled]
        self._out.append(frame(channel, TRANSFER, [*identity, *[NULL] * 6], payload))
        self._next_id += 1
        link.count += 1

    def _put_token(self, channel: int, request: bytes) -> None:
        """Every token is good."""
        key = next(fields_of(request, value)[0][0] for code, _, value, _ in sections(request) if code == PROPERTIES)
        properties = b"".join((*[NULL] * 5, key))
        status = text(b"status-code") + b"\x71" + (200).to_bytes(4, "big")
        answer = (
            *(b"\x00\x53\x73\xc0", bytes([len(properties) + 1, 6]), properties),
            *(b"\x00\x53\x74\xc1", bytes([len(status) + 1, 2]), status),
            b"\x00\x53\x77\x40",
        )
        for (where, _), link in self._links.items():
            if where == channel and link.ours and link.cbs:
                self._send(channel, link, b"".join(answer), TRUE)


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(Discarding, "127.0.0.1", 0)
    print(json.dumps({"amqpPort": server.sockets[0].getsockname()[1]}), flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve())
