"""A small process beside the host's, for what the platform's host does after its worker crashed: whoever waits for an
answer by HTTP gets a 500, and which messages were in hand is written down, for the next host to abandon.

The host's process tells it what is in flight. It is forked before anything is loaded, and ends with that process. An
outage of the whole instance takes both, and then locks run out by themselves.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

_REQUEST, _ANSWERED, _FILE = b"R", b"A", b"F"
_MAX_RECORD = 4096
_SLOTS, _SLOT_BYTES = 4096, 512
_ANSWER = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_FILE_NAME = "in-hand.json"


class InHand:
    """Records in memory that both processes see: one is put and taken back without a word to the other."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _SLOTS * _SLOT_BYTES)
        self._free = list(range(_SLOTS))

    def put(self, record: bytes) -> int | None:
        """Its slot; None where there is no room, and nothing is kept."""
        if not self._free or len(record) > _SLOT_BYTES - 2:
            return None
        slot = self._free.pop()
        at = slot * _SLOT_BYTES
        self._memory[at + 2 : at + 2 + len(record)] = record
        self._memory[at : at + 2] = len(record).to_bytes(2, "big")  # last: from now on it counts
        return slot

    def take_back(self, slot: int) -> None:
        self._memory[slot * _SLOT_BYTES : slot * _SLOT_BYTES + 2] = b"\0\0"
        self._free.append(slot)

    def records(self) -> list[bytes]:
        memory = self._memory
        starts = range(0, _SLOTS * _SLOT_BYTES, _SLOT_BYTES)
        sizes = ((at + 2, int.from_bytes(memory[at : at + 2], "big")) for at in starts)
        return [memory[at : at + size] for at, size in sizes if size]


class Guard:
    """The host's side. Without the other (not on Linux, or it is gone) nothing is told, and nothing fails."""

    def __init__(self, channel: socket.socket | None = None, in_hand: InHand | None = None) -> None:
        self._channel, self._in_hand = channel, in_hand
        self._requests = 0

    @contextlib.contextmanager
    def request(self, connection: socket.socket | None) -> Iterator[Answering]:
        """While a request is answered on this connection."""
        self._requests += 1
        answering = Answering(self, self._requests.to_bytes(8, "big"))
        if self._channel is not None and connection is not None and connection.fileno() >= 0:
            self._tell(_REQUEST + answering.number, connection.fileno())
        try:
            yield answering
        finally:
            answering.begins()

    @contextlib.contextmanager
    def held(self, queue: str, token: str) -> Iterator[None]:
        """While this message is in hand."""
        slot = self._in_hand.put(json.dumps([queue, token]).encode()) if self._in_hand is not None else None
        try:
            yield
        finally:
            if slot is not None and self._in_hand is not None:
                self._in_hand.take_back(slot)

    def writes_to(self, state_dir: Path) -> None:
        self._tell(_FILE + str(state_dir / _FILE_NAME).encode())

    def _tell(self, record: bytes, descriptor: int | None = None) -> None:
        if self._channel is None:
            return
        try:
            if descriptor is None:
                self._channel.send(record)
            else:
                socket.send_fds(self._channel, [record], [descriptor])
        except OSError:
            self._channel = None


class Answering:
    """One request. ``begins`` before the first byte of its answer: from then on nobody else may write."""

    def __init__(self, guard: Guard, number: bytes) -> None:
        self._guard, self.number = guard, number
        self.begun = False

    def begins(self) -> None:
        if not self.begun:
            self.begun = True
            self._guard._tell(_ANSWERED + self.number)


def left_in_hand(state_dir: Path) -> list[tuple[str, str]]:
    """Queue and lock token of each message that a crash left behind; told once."""
    path = state_dir / _FILE_NAME
    try:
        found = json.loads(path.read_text("utf-8"))
        return [(str(queue), str(token)) for queue, token in found]
    except (OSError, ValueError):
        return []
    finally:
        with contextlib.suppress(OSError):
            path.unlink()


def start() -> Guard:
    """Before any thread is there. Returns in the host's process only."""
    if sys.platform != "linux":  # no sockets with records there
        return Guard()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    in_hand = InHand()
    host = os.getpid()
    if os.fork() == 0:
        ours.close()
        _stand_by(theirs, in_hand, host)
    theirs.close()
    # A process that the app forks must not keep the channel open after this one has crashed.
    os.register_at_fork(after_in_child=ours.close)
    return Guard(ours, in_hand)


def _stand_by(channel: socket.socket, in_hand: InHand, host: int) -> NoReturn:
    try:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        nothing = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1):  # whoever reads the host's output must see its end
            os.dup2(nothing, descriptor)
        _watch(channel, in_hand)
        if os.getsid(0) == os.getpgrp() == host:
            # What the app forked has the host's sockets: its port would stay taken, and the broker would give messages
            # to links that nobody reads. Only in a session of the host's own, as the supervisor starts it.
            os.killpg(host, signal.SIGKILL)
    finally:
        os._exit(0)


def _watch(channel: socket.socket, in_hand: InHand) -> None:
    waiting: dict[bytes, int] = {}
    file: Path | None = None
    while True:
        record, descriptors, _, _ = socket.recv_fds(channel, _MAX_RECORD, 1)
        kind, rest = record[:1], record[1:]
        if not record:
            break
        if kind == _REQUEST and descriptors:
            waiting[rest] = descriptors[0]
        elif kind == _ANSWERED and rest in waiting:
            os.close(waiting.pop(rest))
        elif kind == _FILE:
            file = Path(os.fsdecode(rest))
    if file is not None and (left := in_hand.records()):
        with contextlib.suppress(OSError):
            file.write_bytes(b"[" + b",".join(left) + b"]")
    for descriptor in waiting.values():
        with contextlib.suppress(OSError), socket.socket(fileno=descriptor) as connection:
            connection.send(_ANSWER)
            connection.shutdown(socket.SHUT_WR)
