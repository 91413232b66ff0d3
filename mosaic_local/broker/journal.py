"""The broker's state on disk: one SQLite database in WAL mode.

Changes are collected and committed once a turn of the event loop, before anything that follows from them is sent. A
commit reaches the operating system, so it survives a kill of the process; nothing is ever forced to the disk (that
would stall every client), so a power cut may cost the state. A message that comes and goes within one turn leaves no
trace.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from mosaic_local.broker.content import Content
from mosaic_local.broker.errors import StartError
from mosaic_local.broker.eventhub import Event, EventHub, Group, HubSettings, Partition
from mosaic_local.broker.queue import DEAD_LETTERS, Message, Queue, Settings, State, Status

VERSION = 1
_MAX_DELETES = 500
_SCHEMA = """
CREATE TABLE queues (name TEXT PRIMARY KEY, shown TEXT NOT NULL, settings TEXT NOT NULL, created INTEGER NOT NULL,
                     updated INTEGER NOT NULL, last_sequence INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE messages (id INTEGER PRIMARY KEY, queue TEXT NOT NULL, dead INTEGER NOT NULL, sequence INTEGER NOT NULL,
                       state INTEGER NOT NULL, count INTEGER NOT NULL, enqueued INTEGER NOT NULL, due INTEGER NOT NULL,
                       expires INTEGER, content BLOB NOT NULL);
CREATE TABLE hubs (name TEXT PRIMARY KEY, created INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE events (hub TEXT NOT NULL, partition INTEGER NOT NULL, sequence INTEGER NOT NULL,
                     enqueued INTEGER NOT NULL, content BLOB NOT NULL,
                     PRIMARY KEY (hub, partition, sequence)) WITHOUT ROWID;
"""
# Of hubs that an administrator made or changed. Beside the schema: an earlier version's state has no such table, and an
# earlier version does not miss it.
_ADDED = "CREATE TABLE IF NOT EXISTS hub_definitions (name TEXT PRIMARY KEY, definition TEXT NOT NULL) WITHOUT ROWID;"


@dataclass(slots=True)
class StoredQueue:
    """`created`, `updated`: ms since 1970."""

    shown: str
    settings: Settings
    created: int
    updated: int
    last_sequence: int


@dataclass(slots=True)
class StoredHub:
    """What an administrator chose. `updated`: ms since 1970."""

    shown: str
    updated: int
    settings: HubSettings
    groups: list[Group]


class Journal:
    """Records nothing at all where `folder` is None.

    StartError where the folder cannot be used: not writable, held by another broker, or written by a newer version.
    """

    def __init__(self, folder: Path | None) -> None:
        self._saved: dict[int, tuple[Queue, Message]] = {}
        self._removed: set[int] = set()
        self._stored: set[int] = set()
        self._events: list[tuple[str, int, int, int, bytes]] = []
        self._trims: dict[tuple[str, int], int] = {}
        self._touched: dict[str, Queue] = {}
        self._db = None if folder is None else _open(folder)

    # -- recording -------------------------------------------------------------------------------------------------

    def save(self, queue: Queue, message: Message) -> None:
        if self._db is not None:
            self._saved[message.id] = (queue, message)
            self._removed.discard(message.id)
            self._touched[queue.name] = queue

    def remove(self, message: Message) -> None:
        if self._db is not None:
            self._saved.pop(message.id, None)
            self._removed.add(message.id)

    def append(self, hub: str, partition: int, event: Event) -> None:
        if self._db is not None:
            self._events.append((hub, partition, event.sequence, event.enqueued, event.content.encode()))

    def trim(self, hub: str, partition: int, first_kept: int) -> None:
        if self._db is not None:
            self._trims[hub, partition] = first_kept

    def commit(self) -> None:
        """Makes what is recorded so far durable. sqlite3.Error where it cannot: it then waits for the next call."""
        db = self._db
        if db is None or not (self._saved or self._removed or self._events or self._trims):
            return
        gone = [(key,) for key in self._removed if key in self._stored]
        rows = [_row(queue, message) for queue, message in self._saved.values()]
        sequences = [(queue.last_sequence, name) for name, queue in self._touched.items() if queue.dead is not None]
        with db:
            if rows:
                db.executemany("INSERT OR REPLACE INTO messages VALUES (?,?,?,?,?,?,?,?,?,?)", rows)
            if gone:
                db.executemany("DELETE FROM messages WHERE id = ?", gone)
            if sequences:
                db.executemany("UPDATE queues SET last_sequence = ? WHERE name = ?", sequences)
            if self._events:
                db.executemany("INSERT INTO events VALUES (?,?,?,?,?)", self._events)
            for (hub, partition), first in self._trims.items():
                db.execute(
                    "DELETE FROM events WHERE hub = ? AND partition = ? AND sequence < ?", (hub, partition, first)
                )
        self._stored.difference_update(self._removed)
        self._stored.update(self._saved)
        self._saved.clear()
        self._removed.clear()
        self._events.clear()
        self._trims.clear()
        self._touched.clear()

    # -- entities: written at once ---------------------------------------------------------------------------------

    def write_queue(self, stored: StoredQueue) -> None:
        if self._db is None:
            return
        row = (
            stored.shown.lower(),
            stored.shown,
            _dump(stored.settings),
            stored.created,
            stored.updated,
            stored.last_sequence,
        )
        with self._db:
            self._db.execute("INSERT OR REPLACE INTO queues VALUES (?,?,?,?,?,?)", row)

    def delete_queue(self, name: str) -> None:
        """The queue with all its messages."""
        if self._db is None:
            return
        self.commit()
        with self._db:
            self._db.execute("DELETE FROM queues WHERE name = ?", (name,))
            self._db.execute("DELETE FROM messages WHERE queue = ?", (name,))

    def write_hub(self, name: str, created: int) -> None:
        if self._db is not None:
            with self._db:
                self._db.execute("INSERT OR IGNORE INTO hubs VALUES (?,?)", (name, created))

    def write_hub_definition(self, hub: EventHub) -> None:
        if self._db is None:
            return
        definition = {
            "shown": hub.name,
            "updated": hub.updated,
            "settings": asdict(hub.settings),
            "groups": [asdict(group) for group in hub.groups.values()],
        }
        with self._db:
            row = (hub.name.lower(), json.dumps(definition))
            self._db.execute("INSERT OR REPLACE INTO hub_definitions VALUES (?,?)", row)

    def delete_hub(self, name: str) -> None:
        """The event hub with all its events."""
        if self._db is None:
            return
        self.commit()
        with self._db:
            self._db.execute("DELETE FROM hub_definitions WHERE name = ?", (name,))
            self._db.execute("DELETE FROM hubs WHERE name = ?", (name,))
            self._db.execute("DELETE FROM events WHERE hub = ?", (name,))

    # -- reading, at the start -------------------------------------------------------------------------------------

    def queues(self) -> dict[str, StoredQueue]:
        """By lower-case name."""
        if self._db is None:
            return {}
        rows = self._db.execute("SELECT name, shown, settings, created, updated, last_sequence FROM queues")
        return {name: StoredQueue(shown, _load(text), c, u, seq) for name, shown, text, c, u, seq in rows}

    def restore_messages(self, queues: dict[str, Queue]) -> int:
        """Puts the messages into their queues, unlocked; the highest id in use."""
        highest = 0
        if self._db is None:
            return highest
        columns = "id, queue, dead, sequence, state, count, enqueued, due, expires, content"
        for row in self._db.execute(f"SELECT {columns} FROM messages ORDER BY sequence"):  # noqa: S608 - constants
            key, name, dead, sequence, state, count, enqueued, due, expires, content = row
            highest = max(highest, key)
            queue = queues.get(name)
            if queue is None:
                continue
            message = Message(key, sequence, Content.decode(content), enqueued, State(state), count, due, expires)
            home = queue.dead if dead and queue.dead is not None else queue
            home.adopt(message, stored=True)
            self._stored.add(key)
        return highest

    def hub_created(self, name: str) -> int | None:
        if self._db is None:
            return None
        row = self._db.execute("SELECT created FROM hubs WHERE name = ?", (name,)).fetchone()
        return None if row is None else int(row[0])

    def hub_definitions(self) -> dict[str, StoredHub]:
        """By lower-case name."""
        if self._db is None:
            return {}
        rows = self._db.execute("SELECT name, definition FROM hub_definitions")
        return {name: _load_hub(text) for name, text in rows}

    def restore_events(self, partition: Partition) -> None:
        if self._db is None:
            return
        wanted = (partition.hub, partition.index)
        query = "SELECT sequence, enqueued, content FROM events WHERE hub = ? AND partition = ? ORDER BY sequence"
        rows: Iterator[tuple[int, int, bytes]] = self._db.execute(query, wanted)
        for sequence, enqueued, content in rows:
            partition.restore(Event(sequence, enqueued, Content.decode(content)))

    def close(self) -> None:
        if self._db is not None:
            self.commit()
            self._db.close()
            self._db = None


def _row(queue: Queue, message: Message) -> tuple[object, ...]:
    return (
        message.id,
        queue.name.removesuffix(DEAD_LETTERS),
        int(queue.dead is None),
        message.sequence,
        int(message.state),
        message.count,
        message.enqueued,
        message.due,
        message.expires,
        message.content.encode(),
    )


def _dump(settings: Settings) -> str:
    return json.dumps(
        {
            "lockMs": settings.lock_ms,
            "maxDeliveryCount": settings.max_delivery_count,
            "ttlMs": settings.ttl_ms,
            "deadLetterOnExpiration": settings.dead_letter_on_expiration,
            "status": settings.status.value,
            "maxSizeMb": settings.max_size_mb,
            "batchedOperations": settings.batched_operations,
            "userMetadata": settings.user_metadata,
        }
    )


def _load(text: str) -> Settings:
    raw = json.loads(text)
    status = Status(raw["status"])
    return Settings(
        raw["lockMs"],
        raw["maxDeliveryCount"],
        raw["ttlMs"],
        raw["deadLetterOnExpiration"],
        status,
        raw.get("maxSizeMb", 1024),  # not in a state that an earlier version wrote
        raw.get("batchedOperations", True),
        raw.get("userMetadata"),
    )


def _load_hub(text: str) -> StoredHub:
    raw = json.loads(text)
    groups = [Group(**group) for group in raw["groups"]]
    return StoredHub(raw["shown"], raw["updated"], HubSettings(**raw["settings"]), groups)


def _open(folder: Path) -> sqlite3.Connection:
    path = folder / "broker.sqlite3"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(path, timeout=1.0, isolation_level="IMMEDIATE", check_same_thread=False)
    except (OSError, sqlite3.Error) as error:
        raise StartError(f"cannot use the state folder {folder}: {error}") from None
    try:
        # Exclusive: a second broker on the same folder must fail at once, not corrupt the first one's view.
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = OFF")
        version = int(db.execute("PRAGMA user_version").fetchone()[0])
        if version > VERSION:
            raise StartError(
                f"the state in {path} is of version {version}, newer than this broker's {VERSION}: "
                "use the newer program, or another state folder"
            )
        if version == 0:
            with db:
                db.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {VERSION}; COMMIT;")
        else:
            with db:
                db.execute("UPDATE queues SET name = name WHERE 0")
        with db:
            db.execute(_ADDED)
    except StartError:
        db.close()
        raise
    except sqlite3.OperationalError as error:
        db.close()
        if "locked" in str(error):
            raise StartError(
                f"the state folder {folder} is in use by another broker: stop it, or use another folder"
            ) from None
        raise StartError(f"cannot use the state in {path}: {error}") from None
    except sqlite3.DatabaseError as error:
        db.close()
        raise StartError(f"the state in {path} is not a broker's database ({error}): move it away") from None
    return db
