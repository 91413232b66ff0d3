"""A turn of the broker over a state on disk: what is answered is written, and what is written is what there is."""

from __future__ import annotations

import asyncio
import gc
import sqlite3
import weakref
from pathlib import Path
from typing import Any
from unittest.mock import Mock

from mosaic_local.broker.config import BrokerConfig
from mosaic_local.broker.connection import Connection
from mosaic_local.broker.content import Content
from mosaic_local.broker.entities import Entities
from mosaic_local.broker.journal import Journal


class Disk(Journal):
    """Tells `seen` of its commits, and is full for as long as `full` says."""

    def __init__(self, folder: Path, seen: list[str]) -> None:
        super().__init__(folder)
        self.seen = seen
        self.full = False

    def commit(self) -> None:
        if self.full and self._db is not None:
            self._db.set_authorizer(lambda *_: sqlite3.SQLITE_DENY)
        try:
            super().commit()
        finally:
            if self._db is not None:
                self._db.set_authorizer(None)
        self.seen.append("committed")


class Client:
    """One connection that waits for its answers."""

    def __init__(self, seen: list[str]) -> None:
        self.seen = seen

    def flush(self) -> None:
        self.seen.append("answered")

    def abort(self) -> None:
        self.seen.append("cut")


def opened(folder: Path, seen: list[str] | None = None) -> tuple[Entities, Disk]:
    disk = Disk(folder, seen if seen is not None else [])
    config = BrokerConfig.model_validate({"queues": [{"name": "q"}]})
    return Entities(config, disk), disk


async def turn(entities: Entities, client: Any, body: bytes) -> None:
    entities.start(asyncio.get_running_loop())
    entities.send(entities.queues["q"], [Content.of(body)])
    entities.unsent(client)
    await asyncio.sleep(0)


def bodies(entities: Entities) -> list[bytes]:
    return [message.content.body[8:] for message in entities.queues["q"].main.messages()]


async def test_what_is_answered_is_committed_first(tmp_path: Path) -> None:
    seen: list[str] = []
    entities, disk = opened(tmp_path, seen)
    await turn(entities, Client(seen), b"a")
    assert seen == ["committed", "answered"]
    disk.close()


async def test_what_cannot_be_written_is_not_acknowledged_and_written_with_the_next_turn(tmp_path: Path) -> None:
    seen: list[str] = []
    entities, disk = opened(tmp_path, seen)
    disk.full = True
    await turn(entities, Client(seen), b"a")
    assert seen == ["cut"]
    disk.full = False
    await turn(entities, Client(seen), b"b")
    assert seen == ["cut", "committed", "answered"]
    disk.close()
    again, disk = opened(tmp_path)
    assert bodies(again) == [b"a", b"b"]
    disk.close()


def test_what_is_completed_does_not_come_back(tmp_path: Path) -> None:
    entities, disk = opened(tmp_path)
    queue = entities.queues["q"].main
    for body in (b"at once", b"after a restart", b"stays"):
        queue.put(Content.of(body), 0)
    disk.commit()
    assert queue.receive(b"1", 0) is not None
    assert queue.complete(b"1", 0)
    disk.close()
    entities, disk = opened(tmp_path)
    assert bodies(entities) == [b"after a restart", b"stays"]
    queue = entities.queues["q"].main
    assert queue.receive(b"1", 0) is not None
    assert queue.complete(b"1", 0)
    disk.close()
    entities, disk = opened(tmp_path)
    assert bodies(entities) == [b"stays"]
    disk.close()


def test_no_sequence_number_is_given_twice_whatever_was_removed_meanwhile(tmp_path: Path) -> None:
    entities, disk = opened(tmp_path)
    queue = entities.queues["q"].main
    queue.put(Content.of(b"gone"), 0)
    disk.commit()
    assert queue.take(0) is not None
    disk.close()
    entities, disk = opened(tmp_path)
    assert entities.queues["q"].main.put(Content.of(b"next"), 0).sequence == 2
    disk.close()


def test_a_connection_that_is_lost_goes_at_once_with_its_buffers() -> None:
    """Not when the garbage collector comes by: it counts objects, and the buffers are proton's."""
    entities = Entities(BrokerConfig.model_validate({"queues": [{"name": "q"}]}), Journal(None))
    connection = Connection(entities, set())
    connection.connection_made(Mock(spec=asyncio.Transport))
    connection.data_received(b"AMQP\x00\x01\x00\x00")
    gone = weakref.ref(connection)
    gc.disable()
    try:
        connection.connection_lost(None)
        entities._unsent.clear()
        del connection
        assert gone() is None
    finally:
        gc.enable()
