"""Requests to `$cbs` and to an entity's `$management` node, and their answers."""

from __future__ import annotations

import logging
import os
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from proton import UNDESCRIBED, Array, Data, Message, int32, symbol, timestamp

from mosaic_local.broker.content import MAX_MESSAGE, Content, owned
from mosaic_local.broker.entities import Entities, QueueEntity
from mosaic_local.broker.errors import (
    ArgumentError,
    BrokerError,
    LockLostError,
    MalformedError,
    MessageNotFoundError,
    NotFoundError,
    NotImplementedByBrokerError,
    ServerBusyError,
    SizeExceededError,
)
from mosaic_local.broker.faults import BUSY, Fault
from mosaic_local.broker.paths import entities_of, path_of
from mosaic_local.broker.peer import Peer
from mosaic_local.broker.queue import Queue

log = logging.getLogger("mosaic.broker")

_VENDOR = "com.microsoft:"
_NODE = "/$management"
_MAX_PEEK_BYTES = 1024 * 1024
_DISPOSITIONS = ("completed", "abandoned", "defered", "deferred", "suspended", "dead-lettered")
type Body = dict[str, Any]


@dataclass(slots=True, frozen=True)
class Request:
    """A request with its values as plain Python ones; `body` is empty where it is not a map."""

    id: Any
    reply_to: str | None
    properties: dict[str, Any]
    body: Body
    value: Any

    @classmethod
    def decode(cls, raw: bytes) -> Request:
        message = Message()
        try:
            message.decode(raw)
            # All of it is copied before `message`, whose memory it may point into, goes out of use.
            body, properties, key = owned(message.body), owned(message.properties), owned(message.id)
            reply_to = message.reply_to
        except Exception as error:  # proton raises several unrelated types for bad bytes
            raise MalformedError("a request that is no AMQP message") from error
        return cls(key, reply_to, plain(properties), plain(body), body)


def plain(values: Any) -> dict[str, Any]:
    """A decoded map with textual keys and nothing of proton's memory in it; of anything else, an empty one."""
    if not isinstance(values, Mapping):
        return {}
    return {str(key): owned(value) for key, value in values.items()}


def text(value: Any) -> str | None:
    if value is None:
        return None
    return bytes(value).decode(errors="replace") if isinstance(value, bytes | memoryview) else str(value)


def check_node(entities: Entities, path: str) -> None:
    """NotFoundError where no entity has this node."""
    name = path.removesuffix(_NODE)
    if path not in ("$cbs", "$management") and name not in entities.hubs:
        entities.queue(name)


def answer(connection: Peer, path: str, request: Request) -> bytes:
    """The encoded answer; a request that fails is answered with its status and condition."""
    status, condition, note = 200, None, "OK"
    body: Any = None
    try:
        if path == "$cbs":
            _put_token(connection, request)
        else:
            body = _execute(connection, path, request)
            if isinstance(body, int):
                status, body = body, None
    except BrokerError as error:
        status, condition, note = error.status, error.condition, str(error)
    except Exception as error:  # one request's fault must not end the node's other requests
        log.exception("%s: a request failed", path)
        status, condition, note = 500, BrokerError.condition, f"the broker failed: {type(error).__name__}"
    reply = Message(body={} if body is None else body, correlation_id=request.id)
    # The SDKs disagree on the names: Service Bus reads one spelling, $cbs and Event Hubs the other.
    reply.properties = {
        "status-code": int32(status),
        "statusCode": int32(status),
        "status-description": note,
        "statusDescription": note,
    }
    if condition is not None:
        reply.properties["errorCondition"] = symbol(condition)
        reply.properties["error-condition"] = symbol(condition)
    return bytes(reply.encode())


def _put_token(connection: Peer, request: Request) -> None:
    if request.properties.get("operation") != "put-token":
        raise NotImplementedByBrokerError(
            f"$cbs knows put-token only, not '{str(request.properties.get('operation'))[:100]}'"
        )
    entities = connection.entities
    grant = None if entities.verifier is None else entities.verifier.verify(text(request.value) or "", time.time())
    # Only then, as Azure: who may not come in is not told what is there.
    address = text(request.properties.get("name")) or ""
    queue, hub = entities_of(path_of(address))
    if queue and queue not in entities.queues and hub not in entities.hubs:
        raise NotFoundError(f"The messaging entity '{address[:300]}' could not be found.")
    if grant is not None:
        connection.admit(grant)


def _execute(connection: Peer, path: str, request: Request) -> Any:
    """The answer's body, or a status (an int) where there is none."""
    operation = text(request.properties.get("operation")) or ""
    name = path.removesuffix(_NODE)
    if operation == "READ":
        return _read_hub(connection, request)
    connection.authorize(name, path)
    entity, queue = connection.entities.queue(name)
    _refuse_if_busy(connection, entity.name)
    handler = _OPERATIONS.get(operation.removeprefix(_VENDOR))
    if handler is None:
        raise NotImplementedByBrokerError(f"the operation '{operation[:100]}' is not implemented by this broker")
    try:
        return handler(connection.entities, entity, queue, request.body)
    except ArgumentError as error:
        raise ArgumentError(f"{operation}: {error}"[:300]) from error
    finally:
        connection.entities.touch(entity)


def _number(value: Any, field: str) -> int:
    """ArgumentError where this is no whole number (a date is none, nor is a truth value)."""
    if not isinstance(value, int) or isinstance(value, bool | timestamp):
        raise ArgumentError(f"'{field}' is missing, or no whole number")
    return int(value)


def _listed(body: Body, field: str) -> list[Any]:
    """The elements of a list or an array. ArgumentError."""
    value = body.get(field)
    if isinstance(value, Array):
        return list(value.elements)
    if not isinstance(value, list):
        raise ArgumentError(f"'{field}' is missing, or no list")
    return value


def _numbers(body: Body) -> list[int]:
    return [_number(one, "sequence-numbers") for one in _listed(body, "sequence-numbers")]


def _tokens(body: Body) -> list[bytes]:
    """All are read before anything is done with the first."""
    return [_token(one) for one in _listed(body, "lock-tokens")]


def _renew(entities: Entities, _: QueueEntity, queue: Queue, body: Body) -> Any:
    now = entities.now()
    until = [queue.renew(token, now) for token in _tokens(body)]
    if None in until:
        raise LockLostError("the lock supplied is invalid: it ran out, or the message was settled before")
    return {"expirations": Array(UNDESCRIBED, Data.TIMESTAMP, *(timestamp(one) for one in until))}


def _dispose(entities: Entities, entity: QueueEntity, queue: Queue, body: Body) -> Any:
    if body.get("session-id"):
        raise NotImplementedByBrokerError("sessions are not implemented by this broker")
    now, status = entities.now(), text(body.get("disposition-status")) or ""
    if status not in _DISPOSITIONS:
        raise ArgumentError(f"disposition-status '{status[:100]}' is not known")
    properties = plain(body.get("properties-to-modify"))
    reason, description = text(body.get("deadletter-reason")), text(body.get("deadletter-description"))
    settled = True
    for token in _tokens(body):
        if entities.faults.strikes(Fault.LOCK_LOST, entity.name):
            queue.lose(token, now)
        if status == "completed":
            settled &= queue.complete(token, now)
        elif status == "abandoned":
            settled &= queue.abandon(token, now, properties)
        elif status in ("defered", "deferred"):  # the protocol's own spelling is the first
            settled &= queue.defer(token, now, properties)
        else:
            settled &= queue.dead_letter(token, now, reason, description, properties)
    if not settled:
        raise LockLostError("the lock supplied is invalid: it ran out, or the message was settled before")
    return 200


def _peek(_: Entities, __: QueueEntity, queue: Queue, body: Body) -> Any:
    if body.get("session-id"):
        raise NotImplementedByBrokerError("sessions are not implemented by this broker")
    first, count = (_number(body.get(name), name) for name in ("from-sequence-number", "message-count"))
    found: list[Body] = []
    size = 0
    for message in queue.peek(first, count):
        raw = message.shown()
        size += len(raw)
        if found and size > _MAX_PEEK_BYTES:  # the rest comes with the next page
            break
        found.append({"message": raw})
    return {"messages": found} if found else 204


def _receive_deferred(entities: Entities, entity: QueueEntity, queue: Queue, body: Body) -> Any:
    entity.check_receive(queue)
    sequences = _numbers(body)
    lock = _number(body.get("receiver-settle-mode"), "receiver-settle-mode") == 1
    tokens = [os.urandom(16) for _ in sequences] if lock else None
    found = queue.receive_deferred(sequences, tokens, entities.now())
    if found is None:
        raise MessageNotFoundError("a message with this sequence number is not there, not deferred, or locked")
    return {
        "messages": [
            {"message": one.encode(), "lock-token": uuid.UUID(bytes_le=one.token)}
            if one.token
            else {"message": one.encode()}
            for one in found
        ]
    }


def _schedule(entities: Entities, entity: QueueEntity, queue: Queue, body: Body) -> Any:
    if queue is entity.dead:
        raise NotFoundError("nothing can be sent to a dead-letter queue")
    entity.check_send()
    raws: list[bytes] = []
    for one in _listed(body, "messages"):
        raw = one.get("message") if isinstance(one, dict) else None
        if not isinstance(raw, bytes):
            raise ArgumentError("'messages' has one without a binary 'message'")
        raws.append(raw)
    if any(len(raw) > MAX_MESSAGE for raw in raws):
        raise SizeExceededError(f"the message is larger than {MAX_MESSAGE} bytes")
    sequences = entities.send(entity, [Content.decode(raw) for raw in raws])
    return {"sequence-numbers": Array(UNDESCRIBED, Data.LONG, *sequences)}


def _cancel(_: Entities, __: QueueEntity, queue: Queue, body: Body) -> Any:
    if not queue.cancel(_numbers(body)):
        raise MessageNotFoundError("a message with this sequence number is not there, or not scheduled")
    return 200


_OPERATIONS = {
    "renew-lock": _renew,
    "update-disposition": _dispose,
    "peek-message": _peek,
    "receive-by-sequence-number": _receive_deferred,
    "schedule-message": _schedule,
    "cancel-scheduled-message": _cancel,
}


def _token(value: Any) -> bytes:
    try:
        return value.bytes_le if isinstance(value, uuid.UUID) else uuid.UUID(text(value) or "").bytes_le
    except ValueError:
        raise ArgumentError("'lock-tokens' has one that is no UUID") from None


def _refuse_if_busy(connection: Peer, where: str) -> None:
    if connection.entities.faults.strikes(Fault.BUSY, where):
        raise ServerBusyError(BUSY)


def _read_hub(connection: Peer, request: Request) -> Body:
    name = text(request.properties.get("name")) or ""
    connection.authorize(name.lower(), name.lower() + _NODE)
    hub = connection.entities.hub(name.lower()).hub
    _refuse_if_busy(connection, name.lower())
    kind = text(request.properties.get("type"))
    if kind == "com.microsoft:eventhub":
        ids = [str(partition.index) for partition in hub.partitions]
        return {
            "name": hub.name,
            "type": kind,
            "created_at": timestamp(hub.created),
            "partition_count": int32(len(ids)),
            "partition_ids": Array(UNDESCRIBED, Data.STRING, *ids),
            "georeplication_factor": int32(1),
        }
    if kind == "com.microsoft:partition":
        partition = hub.partition(text(request.properties.get("partition")) or "")
        return {
            "name": hub.name,
            "type": kind,
            "partition": str(partition.index),
            "begin_sequence_number": partition.first,
            "last_enqueued_sequence_number": partition.next - 1,
            "last_enqueued_offset": str(partition.next - 1),
            "last_enqueued_time_utc": timestamp(partition.last_enqueued),
            "is_partition_empty": not partition.events,
        }
    raise NotImplementedByBrokerError(f"READ of '{(kind or '')[:100]}' is not implemented by this broker")
