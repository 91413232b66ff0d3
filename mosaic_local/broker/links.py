"""The links of a connection, one class for each thing that a link can be attached to."""

from __future__ import annotations

import logging
import os
import uuid
from collections.abc import Callable
from typing import Any

from cproton import (  # type: ignore[import-untyped]
    addressof,
    pn_delivery,
    pn_delivery_remote_state,
    pn_delivery_settle,
    pn_delivery_settled,
    pn_delivery_update,
    pn_link_session,
    pn_session_outgoing_bytes,
)
from proton import Condition, Delivery, Terminus, symbol

from mosaic_local.broker import management
from mosaic_local.broker.content import MAX_EVENT, MAX_MESSAGE, Content, last_enqueued, owned, split_batch
from mosaic_local.broker.entities import HubEntity, QueueEntity
from mosaic_local.broker.errors import (
    ArgumentError,
    BrokerError,
    LinkStolenError,
    LockLostError,
    MalformedError,
    NotAllowedError,
    NotFoundError,
    NotImplementedByBrokerError,
    ResourceLimitError,
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
_NO_OUTCOME = (0, Delivery.RECEIVED)
_MOST_UNSENT = 1024 * 1024
"""Bytes that wait on a session for a client that does not take them, before nothing more is handed out on it."""

_MOST_ANSWERS = 8 * _MOST_UNSENT
_MOST_READERS = 5
"""Of one partition in one consumer group, where none of them has an owner level."""

_REQUEST_NODES = ("$cbs", "$management")


def condition_of(error: Exception) -> Condition:
    """What the client gets to see of an error; of one that is not ours, its kind only."""
    if isinstance(error, BrokerError):
        return Condition(error.condition, str(error))
    return Condition("amqp:internal-error", f"the broker failed: {type(error).__name__}")


def decoded[T](read: Callable[[], T]) -> T:
    """What `read` makes of what the client said. MalformedError where proton cannot: it raises several unrelated types
    for bad text, for maps whose keys are lists, and for what is cut off."""
    try:
        return read()
    except Exception as error:
        raise MalformedError(f"a value that cannot be decoded ({type(error).__name__})") from error


class Endpoint:
    """Our end of one link."""

    def __init__(self, connection: Peer, link: Any) -> None:
        self.connection = connection
        self.link = link
        self.refused = False
        self.dropped = 0
        """Bytes of the delivery that is coming in, which is too large to be kept."""

    def delivery(self, raw: Any) -> None:
        """Something about a delivery changed: it arrived, or the peer settled it. `raw`: proton's own object, without
        the wrapper that `Delivery(raw)` makes."""

    def whole(self, delivery: Delivery, largest: int) -> bytes | None:
        """What the client sent, once all of it is there; None before, and of what it aborted. Of what grows beyond
        `largest` bytes nothing is kept: `dropped` says how much there was."""
        if delivery.aborted:
            delivery.settle()
            self.dropped = 0
        elif delivery.readable and not delivery.partial:
            return bytes(self.link.recv(delivery.pending)) if delivery.pending else b""
        elif delivery.pending and self.dropped + delivery.pending > largest:
            self.dropped += len(self.link.recv(delivery.pending))
        return None

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

    def is_full(self) -> bool:
        """Whether nothing more is to be handed out: a client that gives credit and does not read would otherwise have
        the broker hold a copy of all that it asked for."""
        return bool(pn_session_outgoing_bytes(pn_link_session(self.link._impl)) > _MOST_UNSENT)

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
        path = path_of(decoded(lambda: link.remote_target.address))
        if path.endswith(_REQUEST_NODES):
            return Requests(connection, link, path)
        connection.authorize(path)
        return _target(connection, link, path)
    path = path_of(decoded(lambda: link.remote_source.address))
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
    found = decoded(lambda: owned(data.get_object()))
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
        if (sent := self.whole(delivery, self.max_size)) is not None:
            batch = _is_batch(delivery)
            transactional, presettled = delivery.remote_state == TRANSACTIONAL_STATE, delivery.settled
            link.advance()
            try:
                if transactional:
                    raise NotImplementedByBrokerError("transactions are not implemented by this broker")
                if self.dropped or len(sent) > self.max_size:
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
            self.dropped = 0
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
        if copies > 1:  # under one id
            contents = [content.with_message_id() for content in contents] * copies
        self.connection.entities.send(self.entity, contents)


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
        if self.is_full():
            self.connection.wait_for_room(self)
            return 0
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
        if state in _NO_OUTCOME and not pn_delivery_settled(raw):
            return
        token = self._tokens.pop(addressof(raw), None)
        if token is None:
            return
        if self.strikes(Fault.SETTLEMENT_LOST):
            self.connection.abort()
            return
        if state not in _NO_OUTCOME:
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
            properties = decoded(lambda: management.plain(remote.annotations))
            if remote.undeliverable:
                return self.queue.defer(token, now, properties)
            # Counted whether or not the client says that the delivery failed: .NET and JavaScript do not say it.
            return self.queue.abandon(token, now, properties)
        if state == Delivery.REJECTED:
            condition = decoded(lambda: remote.condition)
            info = management.plain(condition.info if condition else None)
            reason, description = info.pop("DeadLetterReason", None), info.pop("DeadLetterErrorDescription", None)
            if reason is None and condition and condition.name != "com.microsoft:dead-letter":
                reason, description = condition.name, condition.description
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
        if self.epoch is None and len(rivals) >= _MOST_READERS:
            raise ResourceLimitError(
                "Exceeded the maximum number of allowed receivers per partition in a consumer group "
                f"which is {_MOST_READERS}."
            )
        if self.epoch is not None:
            for rival in rivals:
                rival.refuse(LinkStolenError(f"a consumer with owner level {self.epoch} took the partition over"))
        entity.readers[partition.index].append(self)

    def flow(self) -> None:
        self.pump()

    def pump(self) -> None:
        link = self.link
        while (credit := link.credit) > 0:
            if self.is_full():
                self.connection.wait_for_room(self)
                break
            events = self.partition.read(self.position, min(credit, 100))
            last = b""
            if events:
                self.break_off()
            if events and self.tells_last:
                last = last_enqueued(
                    self.partition.next - 1, self.partition.last_enqueued, self.connection.entities.now()
                )
            for event in events:
                if self.is_full():
                    break
                raw = pn_delivery(link._impl, os.urandom(16))
                link.stream(event.content.for_hub(event.sequence, event.enqueued, last))
                link.advance()
                if self._settled:
                    pn_delivery_settle(raw)
                self.position = event.sequence + 1
            if not events:
                if link.drain_mode:
                    link.drained()
                break
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
        if (sent := self.whole(delivery, MAX_EVENT)) is not None:
            too_large, self.dropped = self.dropped > 0, 0
            link.advance()
            delivery.update(Delivery.ACCEPTED)
            delivery.settle()
            if link.credit < CREDIT // 2:
                link.flow(CREDIT - link.credit)
            if too_large:
                raise SizeExceededError(f"the request is larger than {MAX_EVENT} bytes")
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
        self.address = decoded(lambda: link.remote_target.address)
        management.check_node(connection.entities, path)
        connection.replies.append(self)

    def send(self, raw: bytes) -> None:
        if self.link.session.outgoing_bytes > _MOST_ANSWERS:
            raise ResourceLimitError("the answers of this session are not being read")
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
    except (UnicodeDecodeError, RuntimeError):  # a client's own tag; none
        return False


def _epoch(link: Any) -> int | None:
    properties = decoded(lambda: link.remote_properties)
    if not isinstance(properties, dict):
        return None
    value = properties.get(symbol("com.microsoft:epoch"))
    if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
        raise ArgumentError("the owner level (com.microsoft:epoch) is no whole number")
    return None if value is None else int(value)
