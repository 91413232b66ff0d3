"""The links of a connection, one class for each thing that a link can be attached to."""

from __future__ import annotations

import logging
import os
import uuid
from typing import Any

from cproton import (  # type: ignore[import-untyped]
    addressof,
    pn_delivery,
    pn_delivery_remote_state,
    pn_delivery_settle,
    pn_delivery_settled,
    pn_delivery_update,
)
from proton import Condition, Delivery, Terminus, symbol

from mosaic_local.broker import management
from mosaic_local.broker.content import MAX_EVENT, MAX_MESSAGE, Content, last_enqueued, owned, split_batch
from mosaic_local.broker.entities import HubEntity, QueueEntity
from mosaic_local.broker.errors import (
    BrokerError,
    LinkStolenError,
    LockLostError,
    MalformedError,
    NotAllowedError,
    NotFoundError,
    NotImplementedByBrokerError,
    ServerBusyError,
    SizeExceededError,
)
from mosaic_local.broker.eventhub import Partition
from mosaic_local.broker.faults import BUSY, Fault
from mosaic_local.broker.paths import path_of
from mosaic_local.broker.peer import Peer
from mosaic_local.broker.queue import Message, Queue
from mosaic_local.broker.wire import BATCH_TAG

log = logging.getLogger("mosaic.broker")

CREDIT = 500
TRANSACTIONAL_STATE = 0x34
SETTLED = 1
_REQUEST_NODES = ("$cbs", "$management")


def condition_of(error: Exception) -> Condition:
    """What the client gets to see of an error; of one that is not ours, its kind only."""
    if isinstance(error, BrokerError):
        return Condition(error.condition, str(error))
    return Condition("amqp:internal-error", f"the broker failed: {type(error).__name__}")


class Endpoint:
    """Our end of one link."""

    def __init__(self, connection: Peer, link: Any) -> None:
        self.connection = connection
        self.link = link
        self.refused = False

    def delivery(self, raw: Any) -> None:
        """Something about a delivery changed: it arrived, or the peer settled it. `raw`: proton's own object, without
        the wrapper that `Delivery(raw)` makes."""

    def flow(self) -> None:
        """The peer changed the link's credit."""

    def closed(self) -> None:
        """The link or its connection is gone."""

    def refuse(self, error: Exception) -> None:
        """Detaches the link with this error."""
        self.closed()
        self.refused = True
        self.link.condition = condition_of(error)
        self.link.close()
        self.connection.changed()


class EntityEndpoint(Endpoint):
    """Of a link to a queue or an event hub, where faults strike (`broker/faults.py`)."""

    def __init__(self, connection: Peer, link: Any, entity: QueueEntity | HubEntity) -> None:
        super().__init__(connection, link)
        self._where = entity.name

    def strikes(self, fault: Fault) -> bool:
        return self.connection.entities.faults.strikes(fault, self._where)

    def break_off(self) -> None:
        """What a network does to a connection while something is on its way to a receiver."""
        if self.strikes(Fault.CUT):
            self.connection.abort()
        elif self.strikes(Fault.SILENT):
            self.connection.fall_silent()
        elif self.strikes(Fault.HALF_CLOSED):
            self.connection.half_close()


def attach(connection: Peer, link: Any) -> Endpoint:
    """The endpoint for a link that the client asks for; BrokerError where it cannot have it."""
    if link.is_receiver:
        if link.remote_target.type == Terminus.COORDINATOR:
            raise NotImplementedByBrokerError("transactions are not implemented by this broker")
        path = path_of(link.remote_target.address)
        if path.endswith(_REQUEST_NODES):
            return Requests(connection, link, path)
        connection.authorize(path)
        return _target(connection, link, path)
    path = path_of(link.remote_source.address)
    if path.endswith(_REQUEST_NODES):
        return Replies(connection, link, path)
    connection.authorize(path)
    return _source(connection, link, path)


def _target(connection: Peer, link: Any, path: str) -> Endpoint:
    hub_name, _, partition = path.partition("/partitions/")
    if hub_name in connection.entities.hubs:
        entity = connection.entities.hubs[hub_name]
        return HubTarget(connection, link, entity, entity.hub.partition(partition) if partition else None)
    queue_entity, queue = connection.entities.queue(path)
    if queue is queue_entity.dead:
        raise NotAllowedError("nothing can be sent to a dead-letter queue")
    queue_entity.check_send()
    return QueueTarget(connection, link, queue_entity)


def _source(connection: Peer, link: Any, path: str) -> Endpoint:
    hub_name, found, rest = path.partition("/consumergroups/")
    if found or path in connection.entities.hubs:
        group, separator, number = rest.partition("/partitions/")
        hub = connection.entities.hub(hub_name)
        if not separator:
            raise NotAllowedError("events are received from hub/ConsumerGroups/group/Partitions/number")
        if group not in hub.hub.groups:
            raise NotFoundError(f"The messaging entity '{path[:300]}' could not be found: there is no such group.")
        return HubSource(connection, link, hub, hub.hub.partition(number), group)
    filters = _filters(link)
    if any("session-filter" in name for name in filters):
        raise NotImplementedByBrokerError("sessions are not implemented by this broker")
    entity, queue = connection.entities.queue(path)
    entity.check_receive(queue)
    return QueueSource(connection, link, entity, queue)


def _filters(link: Any) -> dict[str, object]:
    """The source's filter set: name → described value."""
    data = link.remote_source.filter
    data.rewind()
    if not data.next():
        return {}
    found = owned(data.get_object())
    return {str(name): value for name, value in found.items()} if isinstance(found, dict) else {}


class Target(EntityEndpoint):
    """A link that the client sends on; grants it credit and checks what comes in."""

    max_size = MAX_MESSAGE

    def __init__(self, connection: Peer, link: Any, entity: QueueEntity | HubEntity, name: str) -> None:
        super().__init__(connection, link, entity)
        self.name = name
        self._targets = entity.targets
        self._targets.append(self)

    def delivery(self, raw: Any) -> None:
        link, delivery = self.link, Delivery(raw)
        if delivery.aborted:
            delivery.settle()
        elif delivery.readable and not delivery.partial:
            batch = _is_batch(delivery)
            sent = bytes(link.recv(delivery.pending))
            transactional, presettled = delivery.remote_state == TRANSACTIONAL_STATE, delivery.settled
            link.advance()
            try:
                if transactional:
                    raise NotImplementedByBrokerError("transactions are not implemented by this broker")
                if len(sent) > self.max_size:
                    raise SizeExceededError(f"the message is larger than {self.max_size} bytes")
                self.accept(sent, batch)
            except BrokerError as error:
                if presettled:
                    log.warning("%s: what was sent presettled is refused, and lost: %s", self.name, error)
                delivery.local.condition = condition_of(error)
                delivery.update(Delivery.REJECTED)
            else:
                delivery.update(Delivery.ACCEPTED)
            delivery.settle()
        if link.credit < CREDIT // 2:
            link.flow(CREDIT - link.credit)
        self.connection.changed()

    def accept(self, raw: bytes, batch: bool) -> None:
        """Takes in what was sent. BrokerError refuses it."""
        contents = [Content.decode(one) for one in (split_batch(raw) if batch else (raw,))]
        if self.strikes(Fault.BUSY):
            raise ServerBusyError(BUSY)
        self.take(contents, copies=2 if self.strikes(Fault.DUPLICATE) else 1)
        if self.strikes(Fault.SEND_UNANSWERED):
            self.connection.abort()

    def take(self, contents: list[Content], copies: int) -> None:
        """Stores them, all together or none. BrokerError refuses them."""
        raise NotImplementedError

    def closed(self) -> None:
        if self in self._targets:
            self._targets.remove(self)


class QueueTarget(Target):
    """Sends to a queue."""

    def __init__(self, connection: Peer, link: Any, entity: QueueEntity) -> None:
        super().__init__(connection, link, entity, f"queue {entity.shown}")
        self.entity = entity

    def take(self, contents: list[Content], copies: int) -> None:
        self.connection.entities.send(self.entity, [content.with_message_id() for content in contents] * copies)


class HubTarget(Target):
    """Sends to an event hub, or to one partition of it. A batch stays together."""

    max_size = MAX_EVENT

    def __init__(self, connection: Peer, link: Any, entity: HubEntity, partition: Partition | None) -> None:
        super().__init__(connection, link, entity, f"event hub {entity.hub.name}")
        self.entity = entity
        self.partition = partition

    def take(self, contents: list[Content], copies: int) -> None:
        partition = self.partition or self.entity.hub.choose(contents[0].partition_key)
        self.connection.entities.publish(self.entity, partition, contents * copies)


class QueueSource(EntityEndpoint):
    """A receiver of a queue."""

    def __init__(self, connection: Peer, link: Any, entity: QueueEntity, queue: Queue) -> None:
        super().__init__(connection, link, entity)
        self.entity = entity
        self.queue = queue
        self.destructive = link.remote_snd_settle_mode == SETTLED
        self._tokens: dict[int, bytes] = {}
        """Of the deliveries that are not settled, by the address of proton's object: it stays until we settle it."""
        entity.sources[queue].append(self)

    @property
    def credit(self) -> int:
        return int(self.link.credit)

    def flow(self) -> None:
        self.connection.entities.touch(self.entity)

    def send(self, message: Message) -> None:
        self.break_off()
        token = message.token or os.urandom(16)
        raw = pn_delivery(self.link._impl, token)
        self.link.stream(message.encode())
        self.link.advance()
        if self.destructive:
            pn_delivery_settle(raw)
        else:
            self._tokens[addressof(raw)] = token
        self.connection.changed()

    def drain(self) -> None:
        if self.link.drain_mode and self.link.credit > 0:
            self.link.drained()
            self.connection.changed()

    def delivery(self, raw: Any) -> None:
        """The client settles. Its lock may be gone, though the link is the same."""
        state = pn_delivery_remote_state(raw)
        if not (state or pn_delivery_settled(raw)):
            return
        token = self._tokens.pop(addressof(raw), None)
        if token is None:
            return
        if self.strikes(Fault.SETTLEMENT_LOST):
            self.connection.abort()
            return
        if state:
            try:
                if self.strikes(Fault.LOCK_LOST):
                    self.queue.lose(token, self.connection.entities.now())
                if not self._settle(token, state, raw):
                    raise LockLostError("the lock supplied is invalid: it ran out, or the message was settled before")
                pn_delivery_update(raw, state)
            except BrokerError as error:
                delivery = Delivery(raw)
                delivery.local.condition = condition_of(error)
                delivery.update(Delivery.REJECTED)
        pn_delivery_settle(raw)
        if self.strikes(Fault.SETTLEMENT_UNANSWERED):
            self.connection.abort()
        self.connection.entities.touch(self.entity)
        self.connection.changed()

    def _settle(self, token: bytes, state: int, raw: Any) -> bool:
        now = self.connection.entities.now()
        if state == Delivery.ACCEPTED:
            return self.queue.complete(token, now)
        if state == Delivery.RELEASED:
            return self.queue.release(token, now)
        remote = Delivery(raw).remote
        if state == Delivery.MODIFIED:
            properties = management.plain(remote.annotations)
            if remote.undeliverable:
                return self.queue.defer(token, now, properties)
            # Counted whether or not the client says that the delivery failed: .NET and JavaScript do not say it.
            return self.queue.abandon(token, now, properties)
        if state == Delivery.REJECTED:
            info = management.plain(remote.condition.info if remote.condition else None)
            reason, description = info.pop("DeadLetterReason", None), info.pop("DeadLetterErrorDescription", None)
            if reason is None and remote.condition and remote.condition.name != "com.microsoft:dead-letter":
                reason, description = remote.condition.name, remote.condition.description
            return self.queue.dead_letter(token, now, management.text(reason), management.text(description), info)
        if state == TRANSACTIONAL_STATE:
            raise NotImplementedByBrokerError("transactions are not implemented by this broker")
        raise MalformedError(f"a delivery state that is no outcome: 0x{int(state):x}")

    def closed(self) -> None:
        if self in self.entity.sources[self.queue]:
            self.entity.sources[self.queue].remove(self)


class HubSource(EntityEndpoint):
    """A consumer of one partition."""

    def __init__(self, connection: Peer, link: Any, entity: HubEntity, partition: Partition, group: str) -> None:
        super().__init__(connection, link, entity)
        self.entity = entity
        self.partition = partition
        self.group = group
        selector = " ".join(str(getattr(value, "value", value)) for value in _filters(link).values())
        self.position = partition.position(selector)
        self.epoch = _epoch(link)
        self.tells_last = connection.asks_for_last(link)
        self._settled = link.remote_snd_settle_mode == SETTLED
        rivals = [one for one in entity.readers[partition.index] if one.group == group]
        highest = max((one.epoch for one in rivals if one.epoch is not None), default=None)
        if highest is not None and (self.epoch is None or self.epoch < highest):
            raise LinkStolenError(f"a consumer with owner level {highest} reads this partition")
        if self.epoch is not None:
            for rival in rivals:
                rival.refuse(LinkStolenError(f"a consumer with owner level {self.epoch} took the partition over"))
        entity.readers[partition.index].append(self)

    def flow(self) -> None:
        self.pump()

    def pump(self) -> None:
        link = self.link
        while (credit := link.credit) > 0:
            events = self.partition.read(self.position, min(credit, 100))
            last = b""
            if events:
                self.break_off()
            if events and self.tells_last:
                last = last_enqueued(
                    self.partition.next - 1, self.partition.last_enqueued, self.connection.entities.now()
                )
            for event in events:
                raw = pn_delivery(link._impl, os.urandom(16))
                link.stream(event.content.for_hub(event.sequence, event.enqueued, last))
                link.advance()
                if self._settled:
                    pn_delivery_settle(raw)
                self.position = event.sequence + 1
            if not events:
                break
        if link.drain_mode and link.credit > 0:
            link.drained()
        self.connection.changed()

    def delivery(self, raw: Any) -> None:
        """Events are not taken away by reading: any outcome will do."""
        state = pn_delivery_remote_state(raw)
        if state or pn_delivery_settled(raw):
            if state:
                pn_delivery_update(raw, state)
            pn_delivery_settle(raw)
            self.connection.changed()

    def closed(self) -> None:
        readers = self.entity.readers[self.partition.index]
        if self in readers:
            readers.remove(self)


class Requests(Endpoint):
    """Requests to `$cbs` or to an entity's `$management`."""

    def __init__(self, connection: Peer, link: Any, path: str) -> None:
        super().__init__(connection, link)
        self.path = path
        management.check_node(connection.entities, path)

    def delivery(self, raw: Any) -> None:
        link, delivery = self.link, Delivery(raw)
        if delivery.readable and not delivery.partial:
            sent = bytes(link.recv(delivery.pending))
            link.advance()
            delivery.update(Delivery.ACCEPTED)
            delivery.settle()
            if link.credit < CREDIT // 2:
                link.flow(CREDIT - link.credit)
            request = management.Request.decode(sent)
            answer = management.answer(self.connection, self.path, request)
            replies = self.connection.replies_for(self.path, request.reply_to)
            if replies is None:
                raise NotFoundError("there is no link to send the answer on: attach a receiver to this node first")
            replies.send(answer)
        self.connection.changed()


class Replies(Endpoint):
    """Where the answers of a request node go."""

    def __init__(self, connection: Peer, link: Any, path: str) -> None:
        super().__init__(connection, link)
        self.path = path
        self.address = link.remote_target.address
        management.check_node(connection.entities, path)
        connection.replies.append(self)

    def send(self, raw: bytes) -> None:
        delivery = self.link.delivery(uuid.uuid4().bytes)
        self.link.stream(raw)
        self.link.advance()
        delivery.settle()

    def closed(self) -> None:
        if self in self.connection.replies:
            self.connection.replies.remove(self)


def _is_batch(delivery: Any) -> bool:
    try:
        return bool(delivery.tag == BATCH_TAG.decode())
    except UnicodeDecodeError:  # a client's own tag
        return False


def _epoch(link: Any) -> int | None:
    properties = link.remote_properties
    if not isinstance(properties, dict):
        return None
    value = properties.get(symbol("com.microsoft:epoch"))
    return None if value is None else int(value)
