"""The security layer of a connection, ahead of proton: ANONYMOUS, MSSBCBS, and PLAIN with a key's name and the key.

proton's own server side has no PLAIN without Cyrus and its files. A client that begins without this layer passes
through untouched.
"""

from __future__ import annotations

from collections.abc import Callable

from mosaic_local.broker.content import scalar, skip
from mosaic_local.broker.errors import MalformedError

HEADER = b"AMQP\x03\x01\x00\x00"
_BY_TOKEN = (b"ANONYMOUS", b"MSSBCBS")
"""Who comes in so may do nothing until a token is put. The second is Azure's own name for it, and the only one that
uAMQP asks for (azure-servicebus before 7.10, azure-eventhub before 5.11, and the C SDKs)."""

_MECHANISMS = (*_BY_TOKEN, b"PLAIN")
_INIT = b"\x00\x53\x41"
_MAX_FRAME = 4096
_OK, _AUTH_FAILED = 0, 1


class Layer:
    """One connection's. Feed it until `done`; then what is left belongs to AMQP.

    `check` is asked about a key's name and the key, and says whether they are right.
    """

    def __init__(self, check: Callable[[str, str], bool]) -> None:
        self.done = False
        self.refused = False
        self._check = check
        self._in = b""
        self._begun = False

    def incoming(self, data: bytes) -> tuple[bytes, bytes]:
        """(what to send at once, what AMQP gets). MalformedError."""
        self._in += data
        out = b""
        if not self._begun:
            if self._in[: len(HEADER)] != HEADER[: len(self._in)]:
                return out, self._rest()
            if len(self._in) < len(HEADER):
                return out, b""
            self._in = self._in[len(HEADER) :]
            self._begun = True
            out = HEADER + _mechanisms()
        if len(self._in) < 4:
            return out, b""
        size = int.from_bytes(self._in[:4], "big")
        if not 8 <= size <= _MAX_FRAME:
            raise MalformedError("a SASL frame was expected")
        if len(self._in) < size:
            return out, b""
        frame, self._in = self._in[:size], self._in[size:]
        self.refused = not self._accepts(frame)
        out += _outcome(_AUTH_FAILED if self.refused else _OK)
        return out, self._rest()

    def _rest(self) -> bytes:
        self.done = True
        rest, self._in = self._in, b""
        return rest

    def _accepts(self, frame: bytes) -> bool:
        start = frame[4] * 4
        if frame[5] != 1 or frame[start : start + 3] != _INIT:
            raise MalformedError("a sasl-init was expected")
        at = start + 3
        end = skip(frame, at)
        code = frame[at]
        if code not in (0xC0, 0xD0) or end - at < 4:
            raise MalformedError("a sasl-init without a mechanism")
        count, at = (frame[at + 2], at + 3) if code == 0xC0 else (int.from_bytes(frame[at + 5 : at + 9], "big"), at + 9)
        if count < 1 or at >= end:
            raise MalformedError("a sasl-init without a mechanism")
        mechanism = scalar(frame, at)
        if mechanism in _BY_TOKEN:
            return True
        if mechanism != b"PLAIN" or count < 2:
            return False
        response = scalar(frame, skip(frame, at))
        parts = response.split(b"\x00") if isinstance(response, bytes) else []
        if len(parts) != 3:
            return False
        return self._check(parts[1].decode(errors="replace"), parts[2].decode(errors="replace"))


def _mechanisms() -> bytes:
    names = b"".join(bytes([len(name)]) + name for name in _MECHANISMS)
    array = b"\xe0" + bytes([len(names) + 2, len(_MECHANISMS)]) + b"\xa3" + names
    return _frame(b"\x00\x53\x40\xc0" + bytes([len(array) + 1, 1]) + array)


def _outcome(code: int) -> bytes:
    # Both fields, as azure-servicebus wants every list whole.
    return _frame(b"\x00\x53\x44\xc0\x04\x02\x50" + bytes([code]) + b"\x40")


def _frame(body: bytes) -> bytes:
    return (len(body) + 8).to_bytes(4, "big") + b"\x02\x01\x00\x00" + body
