"""The broker's entities and the one place that changes them: queues, event hubs, and what a turn does with them.

A turn: the event loop hands us what came in from sockets and timers, handlers change queues and mark them with
`touch`; then, once, messages are handed to receivers, everything is committed, and only then anything is sent.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import sqlite3
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from mosaic_local.broker.config import BrokerConfig, EventHubConfig, QueueConfig
from mosaic_local.broker.content import MAX_PROPERTIES, Content
from mosaic_local.broker.errors import EntityDisabledError, NotFoundError, SizeExceededError
from mosaic_local.broker.eventhub import EventHub, Group, HubSettings, Partition, Retention
from mosaic_local.broker.faults import Faults
from mosaic_local.broker.journal import Journal, StoredHub, StoredQueue
from mosaic_local.broker.queue import DEAD_LETTERS, Message, Queue, Settings
from mosaic_local.broker.sas import Verifier

log = logging.getLogger("mosaic.broker")


class Refusable(Protocol):
    """A link on an entity."""

    def refuse(self, error: Exception) -> None:
        """Detaches the link with this error."""


class QueueConsumer(Refusable, Protocol):
    """A link that a queue's messages go out on. `destructive`: it receives and deletes."""

    @property
    def credit(self) -> int: ...

    @property
    def destructive(self) -> bool: ...

    def send(self, message: Message) -> None: ...

    def drain(self) -> None:
        """There is nothing more to send: gives back the credit where the receiver asked for that."""


class HubConsumer(Refusable, Protocol):
    """A link that events go out on. `epoch`: its owner level, None without one."""

    group: str
    epoch: int | None

    def pump(self) -> None: ...


class Flushable(Protocol):
    def flush(self) -> None: ...

    def abort(self) -> None: ...


class QueueEntity:
    """A queue, its dead-letter queue, and the links on them. `created`, `updated`: ms since 1970."""

    def __init__(self, stored: StoredQueue, journal: Journal, next_id: Callable[[], int]) -> None:
        self.shown = stored.shown
        self.created, self.updated = stored.created, stored.updated
        name, settings = stored.shown.lower(), stored.settings
        self.dead = Queue(name + DEAD_LETTERS, settings, recorder=journal, next_id=next_id)
        self.main = Queue(name, settings, dead=self.dead, recorder=journal, next_id=next_id)
        self.main.last_sequence = stored.last_sequence
        self.sources: dict[Queue, list[QueueConsumer]] = {self.main: [], self.dead: []}
        self.targets: list[Refusable] = []
        self._next = 0
        self.timer: asyncio.TimerHandle | None = None
        self.timer_at = 0

    @property
    def name(self) -> str:
        return self.main.name

    @property
    def settings(self) -> Settings:
        return self.main.settings

    @settings.setter
    def settings(self, settings: Settings) -> None:
        self.main.settings = self.dead.settings = settings

    def stored(self) -> StoredQueue:
        return StoredQueue(self.shown, self.settings, self.created, self.updated, self.main.last_sequence)

    def next_deadline(self) -> int | None:
        deadlines = [d for d in (self.main.next_deadline(), self.dead.next_deadline()) if d is not None]
        return min(deadlines, default=None)

    def deliver(self, queue: Queue, now: int) -> None:
        """One message to each link in turn, while there are messages and credit is left."""
        links = list(self.sources[queue])
        without_credit = 0
        while queue.has_ready and without_credit < len(links):
            link = links[self._next % len(links)]
            self._next += 1
            if link.credit <= 0:
                without_credit += 1
                continue
            without_credit = 0
            message = queue.take(now) if link.destructive else queue.receive(os.urandom(16), now)
            if message is None:
                break
            try:
                link.send(message)
            except Exception as error:  # one link's fault must not end the turn of the others
                log.exception("queue %s: a link failed while a message went out", self.shown)
                link.refuse(error)
                links.remove(link)
        if not queue.has_ready:
            for link in links:
                link.drain()

    def check_receive(self, queue: Queue) -> None:
        status = self.settings.status
        if not status.receives and (queue is self.main or not status.sends):
            raise EntityDisabledError(f"queue {self.shown} is {status.value}: receiving is switched off")

    def check_send(self) -> None:
        if not self.settings.status.sends:
            raise EntityDisabledError(f"queue {self.shown} is {self.settings.status.value}: sending is switched off")


class HubEntity:
    """An event hub, its readers by partition, and the links that events come in on."""

    def __init__(self, hub: EventHub) -> None:
        self.hub = hub
        self.name = hub.name.lower()
        self.readers: dict[int, list[HubConsumer]] = {partition.index: [] for partition in hub.partitions}
        self.targets: list[Refusable] = []


class Entities:
    """All entities by lower-case name. Lives on one event loop; nothing here is for other threads."""

    def __init__(self, config: BrokerConfig, journal: Journal) -> None:
        self.journal = journal
        self.verifier = Verifier(config.sas_key_name, config.sas_key or "") if config.sas_key_name else None
        self.queues: dict[str, QueueEntity] = {}
        self.hubs: dict[str, HubEntity] = {}
        self.testing = config.testing
        self.faults = Faults()
        self.ahead = 0
        """By how many milliseconds its time was moved."""
        self._ids = itertools.count(1)
        self._touched: dict[QueueEntity, None] = {}
        self._written: dict[tuple[HubEntity, int], None] = {}
        self._unsent: dict[Flushable, None] = {}
        self._turn_due = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._restore(config)

    def now(self) -> int:
        """The broker's time, milliseconds since 1970."""
        return time.time_ns() // 1_000_000 + self.ahead

    def advance(self, milliseconds: int) -> None:
        """Time jumps forward: what falls due meanwhile (locks, schedules, times to live) is due at once. Connections,
        their heartbeats and their tokens go by the machine's clock as before."""
        self.ahead += milliseconds
        for entity in self.queues.values():
            if entity.timer is not None:
                entity.timer.cancel()
            self._due(entity)

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        for entity in self.queues.values():
            self.touch(entity)

    # -- look-up ---------------------------------------------------------------------------------------------------

    def queue(self, path: str) -> tuple[QueueEntity, Queue]:
        """The queue at this path, or its dead-letter queue. NotFoundError."""
        name, _, rest = path.partition("/$")
        entity = self.queues.get(name)
        if entity is None or rest not in ("", "deadletterqueue"):
            raise NotFoundError(f"The messaging entity '{path[:300]}' could not be found.")
        return entity, entity.dead if rest else entity.main

    def hub(self, name: str) -> HubEntity:
        entity = self.hubs.get(name)
        if entity is None:
            raise NotFoundError(f"The messaging entity '{name[:300]}' could not be found: there is no such event hub.")
        return entity

    # -- changes ---------------------------------------------------------------------------------------------------

    def create_queue(self, shown: str, settings: Settings) -> QueueEntity:
        now = self.now()
        entity = QueueEntity(StoredQueue(shown, settings, now, now, 0), self.journal, self._next_id)
        self.journal.write_queue(entity.stored())
        self.queues[entity.name] = entity
        return entity

    def update_queue(self, entity: QueueEntity, settings: Settings) -> None:
        """New settings; links that they no longer allow are detached."""
        self.journal.commit()
        entity.settings, entity.updated = settings, self.now()
        self.journal.write_queue(entity.stored())
        refused = EntityDisabledError(f"queue {entity.shown} is {settings.status.value}")
        for queue, sources in entity.sources.items():
            try:
                entity.check_receive(queue)
            except EntityDisabledError:
                for source in list(sources):
                    source.refuse(refused)
        if not settings.status.sends:
            for target in list(entity.targets):
                target.refuse(refused)
        self.touch(entity)

    def delete_queue(self, entity: QueueEntity) -> None:
        self.journal.delete_queue(entity.name)
        del self.queues[entity.name]
        if entity.timer is not None:
            entity.timer.cancel()
        gone = NotFoundError(f"The messaging entity '{entity.shown}' could not be found: it was deleted.")
        links: list[Refusable] = [*entity.sources[entity.main], *entity.sources[entity.dead], *entity.targets]
        for link in links:
            link.refuse(gone)

    def create_hub(self, shown: str, settings: HubSettings) -> HubEntity:
        now = self.now()
        self.journal.write_hub(shown.lower(), now)
        hub = EventHub(shown, settings.partitions, (), now, recorder=self.journal)
        hub.settings = settings
        self.journal.write_hub_definition(hub)
        entity = self.hubs[shown.lower()] = HubEntity(hub)
        return entity

    def update_hub(self, entity: HubEntity, settings: HubSettings) -> None:
        """The number of partitions stays."""
        entity.hub.settings, entity.hub.updated = settings, self.now()
        self.journal.write_hub_definition(entity.hub)

    def delete_hub(self, entity: HubEntity) -> None:
        """With its events; its links are detached."""
        self.journal.delete_hub(entity.name)
        del self.hubs[entity.name]
        self._refuse_readers(
            entity, None, f"The messaging entity '{entity.hub.name}' could not be found: it was deleted."
        )

    def put_group(self, entity: HubEntity, shown: str, metadata: str | None) -> Group:
        """Makes a consumer group, or changes the one of this name."""
        now = self.now()
        group = entity.hub.groups.setdefault(shown.lower(), Group(shown, now, now))
        group.metadata, group.updated = metadata, now
        self.journal.write_hub_definition(entity.hub)
        return group

    def delete_group(self, entity: HubEntity, group: Group) -> None:
        """Its consumers are detached."""
        del entity.hub.groups[group.shown.lower()]
        self.journal.write_hub_definition(entity.hub)
        path = f"{entity.hub.name}/consumergroups/{group.shown}"
        gone = f"The messaging entity '{path}' could not be found: it was deleted."
        self._refuse_readers(entity, group.shown.lower(), gone)

    def _refuse_readers(self, entity: HubEntity, group: str | None, why: str) -> None:
        """Those of one group, or all with whatever sends."""
        readers = [reader for readers in entity.readers.values() for reader in readers if group in (None, reader.group)]
        links: list[Refusable] = [*readers, *(entity.targets if group is None else ())]
        for link in links:
            link.refuse(NotFoundError(why))

    def send(self, entity: QueueEntity, contents: list[Content]) -> list[int]:
        """Stores the messages, each with a message id; their sequence numbers. None of them at SizeExceededError."""
        for content in contents:
            if len(content.application) + len(content.properties) > MAX_PROPERTIES:
                raise SizeExceededError(f"the properties of a message are larger than {MAX_PROPERTIES} bytes")
        now = self.now()
        sequences = [entity.main.put(content.with_message_id(), now).sequence for content in contents]
        self.touch(entity)
        return sequences

    def publish(self, entity: HubEntity, partition: Partition, contents: list[Content]) -> None:
        now = self.now()
        for content in contents:
            partition.append(content, now)
        self._written[entity, partition.index] = None
        self._schedule()

    # -- turns -----------------------------------------------------------------------------------------------------

    def touch(self, entity: QueueEntity) -> None:
        """Something about this queue changed: at the end of the turn its messages go to whoever has credit."""
        self._touched[entity] = None
        self._schedule()

    def unsent(self, connection: Flushable) -> None:
        """This connection may have something to send, once the turn is committed."""
        self._unsent[connection] = None
        self._schedule()

    def _schedule(self) -> None:
        if not self._turn_due and self._loop is not None:
            self._turn_due = True
            self._loop.call_soon(self._run_turn)

    def _run_turn(self) -> None:
        self._turn_due = False
        touched, self._touched = list(self._touched), {}
        written, self._written = list(self._written), {}
        for entity in touched:
            for queue, sources in entity.sources.items():
                if sources:
                    entity.deliver(queue, self.now())
        for hub, index in written:
            for reader in list(hub.readers[index]):
                _guarded(reader)
        try:
            self.journal.commit()
        except sqlite3.Error as error:
            # What was not made durable must not be acknowledged: those clients see a broken connection and try again.
            log.error("cannot write the state (%s); dropping %d connections", error, len(self._unsent))
            unsent, self._unsent = list(self._unsent), {}
            for connection in unsent:
                connection.abort()
            return
        unsent, self._unsent = list(self._unsent), {}
        for connection in unsent:
            connection.flush()
        for entity in touched:
            self._arm(entity)

    def _arm(self, entity: QueueEntity) -> None:
        deadline = entity.next_deadline()
        if deadline is None or self._loop is None or self.queues.get(entity.name) is not entity:
            return
        if entity.timer is not None:
            if entity.timer_at <= deadline:
                return
            entity.timer.cancel()
        delay = max(deadline - self.now(), 0) / 1000 + 0.001
        entity.timer, entity.timer_at = self._loop.call_later(delay, self._due, entity), deadline

    def _due(self, entity: QueueEntity) -> None:
        entity.timer = None
        now = self.now()
        entity.main.tick(now)
        entity.dead.tick(now)
        self.touch(entity)

    # -- start -----------------------------------------------------------------------------------------------------

    def _next_id(self) -> int:
        return next(self._ids)

    def _restore(self, config: BrokerConfig) -> None:
        stored = self.journal.queues()
        now = self.now()
        for queue in config.queues:
            old = stored.get(queue.name.lower())
            settings = _settings(queue)
            if old is None:
                stored[queue.name.lower()] = StoredQueue(queue.name, settings, now, now, 0)
            else:  # the config decides, except for what an operator switched off meanwhile
                old.shown, old.settings = queue.name, replace(settings, status=old.settings.status)
        for name, one in stored.items():
            self.queues[name] = QueueEntity(one, self.journal, self._next_id)
            self.journal.write_queue(one)
        highest = self.journal.restore_messages({name: entity.main for name, entity in self.queues.items()})
        self._ids = itertools.count(highest + 1)
        for entity in self.queues.values():
            entity.main.last_sequence = max(entity.main.last_sequence, entity.dead.last_sequence)
        made = self.journal.hub_definitions()
        configured = {hub.name.lower(): hub for hub in config.event_hubs}
        for name, definition in made.items():
            if name not in configured and name not in self.queues:
                partitions = definition.settings.partitions
                configured[name] = EventHubConfig(name=definition.shown, partitions=partitions)
        for name, hub in configured.items():
            self.hubs[name] = self._restore_hub(hub, made.get(name), now)

    def _restore_hub(self, config: EventHubConfig, made: StoredHub | None, now: int) -> HubEntity:
        """As the config has it, with the consumer groups that an administrator added."""
        self.journal.write_hub(config.name.lower(), now)
        created = self.journal.hub_created(config.name.lower())
        keep = Retention(config.retention_events, config.retention_bytes)
        hub = EventHub(config.name, config.partitions, config.consumer_groups, created or now, keep, self.journal)
        if made is not None:
            hub.settings, hub.updated = replace(made.settings, partitions=config.partitions), made.updated
            hub.groups |= {group.shown.lower(): group for group in made.groups}
        for partition in hub.partitions:
            self.journal.restore_events(partition)
        return HubEntity(hub)


def _settings(config: QueueConfig) -> Settings:
    return Settings(
        round(config.lock_seconds * 1000),
        config.max_delivery_count,
        round(config.ttl_seconds * 1000),
        config.dead_lettering_on_expiration,
    )


def _guarded(consumer: HubConsumer) -> None:
    try:
        consumer.pump()
    except Exception as error:  # one link's fault must not end the turn of the others
        log.exception("a link failed while messages went out")
        consumer.refuse(error)
