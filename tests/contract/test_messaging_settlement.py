"""`HostSettler` against a gRPC server that answers as the Functions host's Settlement service does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import grpc
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, wrappers_pb2

from mosaic_core.adapters.host_settlement import MAX_TEXT, HostSettler
from mosaic_core.domain.errors import QueueUnavailableError
from mosaic_core.ports import IncomingMessage

TOKEN = "1f80f45b-f996-4e47-bc9f-9fc437033c2c"


def _deadletter_request() -> Any:
    """The service's own definition of the message; `Complete` and `Abandon` use its first two fields."""
    kind = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name="settlement_as_the_host_has_it.proto", syntax="proto3", dependency=[wrappers_pb2.DESCRIPTOR.name]
    )
    request = file.message_type.add(name="HostDeadletterRequest")
    request.field.add(name="locktoken", number=1, type=kind.TYPE_STRING, label=kind.LABEL_OPTIONAL)
    request.field.add(name="propertiesToModify", number=2, type=kind.TYPE_BYTES, label=kind.LABEL_OPTIONAL)
    for number, name in ((3, "deadletterReason"), (4, "deadletterErrorDescription")):
        request.field.add(
            name=name,
            number=number,
            type=kind.TYPE_MESSAGE,
            type_name=".google.protobuf.StringValue",
            label=kind.LABEL_OPTIONAL,
        )
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("HostDeadletterRequest"))


REQUEST: Any = _deadletter_request()


@dataclass
class Host:
    """Settles the messages in ``in_flight`` once each, as the real service does."""

    in_flight: set[str] = field(default_factory=lambda: {TOKEN})
    calls: list[tuple[str, Any]] = field(default_factory=list)
    broken: bool = False
    hanging: bool = False
    port: int = 0

    async def serve(self) -> grpc.aio.Server:
        server = grpc.aio.server()
        handlers = {
            name: grpc.unary_unary_rpc_method_handler(self._handler(name))
            for name in ("Complete", "Abandon", "Deadletter", "Defer", "RenewMessageLock")
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("Settlement", handlers),))
        self.port = server.add_insecure_port(f"127.0.0.1:{self.port}")
        await server.start()
        return server

    def _handler(self, name: str) -> Any:
        async def handle(raw: bytes, context: Any) -> bytes:
            request = REQUEST.FromString(raw)
            self.calls.append((name, request))
            if self.hanging:
                await asyncio.Event().wait()
            if self.broken:
                await context.abort(grpc.StatusCode.UNKNOWN, "ServiceBusException: the link is gone")
            if request.locktoken not in self.in_flight:
                await context.abort(grpc.StatusCode.FAILED_PRECONDITION, f"LockToken {request.locktoken} not found.")
            self.in_flight.discard(request.locktoken)
            return b""

        return handle


@pytest.fixture
async def host() -> AsyncIterator[Host]:
    host = Host()
    server = await host.serve()
    yield host
    await server.stop(grace=None)


@pytest.fixture
async def settler(host: Host) -> AsyncIterator[HostSettler]:
    settler = HostSettler(f"127.0.0.1:{host.port}")
    yield settler
    await settler.close()


MESSAGE = IncomingMessage(
    queue="runtime-agent-message-posted",
    body=b"{}",
    lock_token=TOKEN,
    message_id="m1",
    sequence_number=1,
    delivery_count=1,
    enqueued_at=datetime(2026, 11, 24, tzinfo=UTC),
)


async def test_complete(host: Host, settler: HostSettler) -> None:
    await settler.complete(MESSAGE)
    ((name, request),) = host.calls
    assert (name, request.locktoken, request.propertiesToModify) == ("Complete", TOKEN, b"")


async def test_abandon_changes_no_property(host: Host, settler: HostSettler) -> None:
    await settler.abandon(MESSAGE)
    ((name, request),) = host.calls
    assert (name, request.locktoken, request.propertiesToModify) == ("Abandon", TOKEN, b"")


async def test_dead_letter_gives_reason_and_description(host: Host, settler: HostSettler) -> None:
    await settler.dead_letter(MESSAGE, "invalid_json", "invalid_json; müßig; ☕")
    ((name, request),) = host.calls
    assert (name, request.locktoken) == ("Deadletter", TOKEN)
    assert request.deadletterReason.value == "invalid_json"
    assert request.deadletterErrorDescription.value == "invalid_json; müßig; ☕"


async def test_dead_letter_texts_are_cut_to_what_service_bus_takes(host: Host, settler: HostSettler) -> None:
    await settler.dead_letter(MESSAGE, "r" * 5000, "é" * 5000)
    request = host.calls[0][1]
    assert request.deadletterReason.value == "r" * MAX_TEXT
    assert request.deadletterErrorDescription.value == "é" * MAX_TEXT


async def test_an_empty_description_is_left_out(host: Host, settler: HostSettler) -> None:
    await settler.dead_letter(MESSAGE, "invalid_json", "")
    assert not host.calls[0][1].HasField("deadletterErrorDescription")


async def test_a_lost_lock_is_a_transient_error_with_the_codes_name(host: Host, settler: HostSettler) -> None:
    await settler.complete(MESSAGE)
    with pytest.raises(QueueUnavailableError, match="FAILED_PRECONDITION"):
        await settler.complete(MESSAGE)


async def test_a_failing_broker_is_a_transient_error(host: Host, settler: HostSettler) -> None:
    host.broken = True
    with pytest.raises(QueueUnavailableError, match=r"Deadletter of message m1 .* UNKNOWN"):
        await settler.dead_letter(MESSAGE, "invalid_json", "d")


async def test_a_host_that_does_not_answer_is_given_up(host: Host) -> None:
    host.hanging = True
    settler = HostSettler(f"127.0.0.1:{host.port}", timeout=0.2)
    with pytest.raises(QueueUnavailableError, match="DEADLINE_EXCEEDED"):
        await settler.complete(MESSAGE)
    await settler.close()


async def test_a_host_that_is_gone_and_comes_back() -> None:
    host = Host()
    server = await host.serve()
    settler = HostSettler(f"127.0.0.1:{host.port}")
    await settler.complete(MESSAGE)
    await server.stop(grace=None)
    with pytest.raises(QueueUnavailableError, match="UNAVAILABLE"):
        await settler.complete(MESSAGE)
    host.in_flight.add(TOKEN)
    server = await host.serve()
    async with asyncio.timeout(30):
        while host.in_flight:
            try:
                await settler.complete(MESSAGE)
            except QueueUnavailableError:
                await asyncio.sleep(0.05)  # gRPC reconnects with a backoff of its own
    await settler.close()
    await server.stop(grace=None)


async def test_many_at_once(host: Host, settler: HostSettler) -> None:
    tokens = [f"{n:032x}" for n in range(200)]
    host.in_flight.update(tokens)
    await asyncio.gather(*(settler.complete(replace(MESSAGE, lock_token=token)) for token in tokens))
    assert host.in_flight == {TOKEN}


def test_each_event_loop_has_a_channel_of_its_own() -> None:
    """The worker may import the app on one loop and settle on another."""
    host = Host()
    settlers: list[HostSettler] = []

    async def settle_one() -> None:
        host.in_flight.add(TOKEN)
        server = await host.serve()
        settlers.append(settlers[0] if settlers else HostSettler(f"127.0.0.1:{host.port}"))
        await settlers[-1].complete(MESSAGE)
        await server.stop(grace=None)

    asyncio.run(settle_one())
    asyncio.run(settle_one())
    assert settlers[0] is settlers[1]
    assert [name for name, _ in host.calls] == ["Complete", "Complete"]
