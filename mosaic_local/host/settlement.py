"""The host's gRPC ``Settlement`` service: a function settles the message that it was handed, by lock token.

Served on the host's loop, never the worker's, so that a settlement gets through while the app blocks its own loop.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import grpc
from azure.servicebus import ServiceBusReceivedMessage
from azure.servicebus.aio import ServiceBusReceiver
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, wrappers_pb2
from google.protobuf.message import Message

log = logging.getLogger("Host.Settlement")


def _request_class() -> type[Message]:
    """One message for all operations: their requests share the numbers 1 to 4. Built at run time, so that no
    generated code ties the host to a protobuf version."""
    kind = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name="mosaic_local/settlement.proto", syntax="proto3", dependency=[wrappers_pb2.DESCRIPTOR.name]
    )
    message = file.message_type.add(name="MosaicSettlementRequest")
    message.field.add(name="locktoken", number=1, type=kind.TYPE_STRING, label=kind.LABEL_OPTIONAL)
    message.field.add(name="properties_to_modify", number=2, type=kind.TYPE_BYTES, label=kind.LABEL_OPTIONAL)
    for name, number in (("reason", 3), ("description", 4)):
        message.field.add(
            name=name,
            number=number,
            type=kind.TYPE_MESSAGE,
            type_name=".google.protobuf.StringValue",
            label=kind.LABEL_OPTIONAL,
        )
    pool = descriptor_pool.Default()
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("MosaicSettlementRequest"))


_Request: Any = _request_class()


@dataclass(slots=True)
class InFlight:
    """A message that a function has in hand."""

    receiver: ServiceBusReceiver
    message: ServiceBusReceivedMessage
    settled: bool = False
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    """One operation at a time on a receiver: settlement, renewal."""


class Settlement:
    """The messages in flight, and the service that settles them."""

    def __init__(self) -> None:
        self.in_flight: dict[str, InFlight] = {}
        self._server: grpc.aio.Server | None = None

    async def start(self, host: str) -> int:
        """Serves on ``host``; returns the port that the OS chose."""
        server = grpc.aio.server()
        operations: dict[str, Callable[[bytes, Any], Awaitable[bytes]]] = {
            "Complete": self._complete,
            "Abandon": self._abandon,
            "Deadletter": self._dead_letter,
            "Defer": self._defer,
            "RenewMessageLock": self._renew,
        }
        handlers = {name: grpc.unary_unary_rpc_method_handler(method) for name, method in operations.items()}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("Settlement", handlers),))
        port = server.add_insecure_port(f"{host}:0")
        await server.start()
        self._server = server
        return int(port)

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.stop(grace=0.2)

    async def abandon_all(self) -> None:
        """Hands back every message still in flight: what the real host does when its worker dies."""

        async def abandon(entry: InFlight) -> None:
            try:
                async with entry.lock:
                    if not entry.settled:
                        entry.settled = True
                        await entry.receiver.abandon_message(entry.message)
            except Exception as exc:  # its lock runs out by itself
                log.warning("could not abandon a message in flight: %s: %s", type(exc).__name__, exc)

        await asyncio.gather(*(abandon(entry) for entry in list(self.in_flight.values())))

    async def _complete(self, raw: bytes, context: Any) -> bytes:
        return await self._settle(raw, context, lambda entry, request: entry.receiver.complete_message(entry.message))

    async def _abandon(self, raw: bytes, context: Any) -> bytes:
        return await self._settle(raw, context, lambda entry, request: entry.receiver.abandon_message(entry.message))

    async def _defer(self, raw: bytes, context: Any) -> bytes:
        return await self._settle(raw, context, lambda entry, request: entry.receiver.defer_message(entry.message))

    async def _dead_letter(self, raw: bytes, context: Any) -> bytes:
        return await self._settle(
            raw,
            context,
            lambda entry, request: entry.receiver.dead_letter_message(
                entry.message,
                reason=request.reason.value if request.HasField("reason") else None,
                error_description=request.description.value if request.HasField("description") else None,
            ),
        )

    async def _renew(self, raw: bytes, context: Any) -> bytes:
        return await self._settle(
            raw, context, lambda entry, request: entry.receiver.renew_message_lock(entry.message), settles=False
        )

    async def _settle(
        self,
        raw: bytes,
        context: Any,
        act: Callable[[InFlight, Any], Awaitable[Any]],
        settles: bool = True,
    ) -> bytes:
        request = _Request.FromString(raw)
        entry = self.in_flight.get(request.locktoken)
        if entry is None:
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, f"LockToken {request.locktoken} not found.")
            raise AssertionError("abort does not return")
        if request.properties_to_modify:
            await context.abort(
                grpc.StatusCode.UNIMPLEMENTED, "Properties to modify are not imitated by the embedded host."
            )
        try:
            async with entry.lock:
                await act(entry, request)
                entry.settled = entry.settled or settles
        except Exception as exc:
            await context.abort(grpc.StatusCode.UNKNOWN, f"{type(exc).__name__}: {exc}")
        return b""  # google.protobuf.Empty
