"""A small function app that shows what the host handed to it; used by the host's contract tests."""

import asyncio
import json
import logging
import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType

import azure.functions as func
import grpc.aio
from google.protobuf import wrappers_pb2
from opentelemetry import trace

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
log = logging.getLogger("echo")
tracer = trace.get_tracer("echo")
seen = Path(os.environ["EchoSeen"])
_channel: list[grpc.aio.Channel] = []
_chained = signal.getsignal(signal.SIGTERM)


def record(**fields: object) -> None:
    """Appends one line that the tests wait for."""
    with seen.open("a") as file:
        file.write(json.dumps(fields, default=str) + "\n")


def on_sigterm(number: int, frame: FrameType | None) -> None:
    record(what="sigterm")
    if callable(_chained):
        _chained(number, frame)


signal.signal(signal.SIGTERM, on_sigterm)


def _field(number: int, value: bytes) -> bytes:
    size, length = bytearray(), len(value)
    while length > 127:
        size.append((length & 127) | 128)
        length >>= 7
    return bytes([(number << 3) | 2]) + bytes(size) + bytes([length]) + value


async def settle(operation: str, token: str | None, reason: str = "", description: str = "") -> None:
    if not _channel:
        arguments = sys.argv
        host, port = arguments[arguments.index("--host") + 1], arguments[arguments.index("--port") + 1]
        _channel.append(grpc.aio.insecure_channel(f"{host}:{port}"))
    body = _field(1, (token or "").encode())
    if reason:
        body += _field(3, wrappers_pb2.StringValue(value=reason).SerializeToString())
    if description:
        body += _field(4, wrappers_pb2.StringValue(value=description).SerializeToString())
    await _channel[0].unary_unary(f"/Settlement/{operation}")(body)


@app.function_name("work")
@app.service_bus_queue_trigger(
    arg_name="msg", queue_name="%WorkQueue%", connection="ServiceBusConnection", auto_complete_messages=False
)
async def work(msg: func.ServiceBusMessage) -> None:
    """The body says what to do; anything unknown is completed."""
    body = msg.get_body()
    what = json.loads(body)["do"]
    record(
        what=what,
        messageId=msg.message_id,
        deliveryCount=msg.delivery_count,
        sequenceNumber=msg.sequence_number,
        enqueuedTimeUtc=msg.enqueued_time_utc,
        contentType=msg.content_type,
        correlationId=msg.correlation_id,
        subject=msg.subject,
        label=msg.label,
        properties=msg.application_properties,
        userProperties=msg.user_properties,
        lockToken=msg.lock_token,
    )
    with tracer.start_as_current_span("work", attributes={"service.name": "Echo.Worker"}):
        log.info("worked", extra={"commandId": msg.message_id})
    if what == "deadletter":
        await settle("Deadletter", msg.lock_token, "invalid_json", "line 1")
    elif what == "abandon":
        await settle("Abandon", msg.lock_token)
    elif what == "raise":
        raise RuntimeError("boom")
    elif what == "unknown":
        try:
            await settle("Complete", "00000000-0000-0000-0000-000000000000")
        except grpc.aio.AioRpcError as exc:
            record(what="rpc-error", code=exc.code().name, detail=exc.details())
        await settle("Complete", msg.lock_token)
    elif what == "twice":
        await settle("Complete", msg.lock_token)
        try:
            await settle("Complete", msg.lock_token)
        except grpc.aio.AioRpcError as exc:
            record(what="rpc-error", code=exc.code().name, detail=exc.details())
    elif what == "hang" and msg.delivery_count == 1:
        await asyncio.sleep(3600)
    elif what == "crash" and msg.delivery_count == 1:
        os._exit(2)
    elif what == "slow":
        await asyncio.sleep(json.loads(body)["seconds"])
        await settle("Complete", msg.lock_token)
        record(what="slow-done")
    elif what == "block":
        time.sleep(json.loads(body)["seconds"])  # noqa: ASYNC251 - what an app must not do
        await settle("Complete", msg.lock_token)
        record(what="block-done")
    elif what == "renew":
        await settle("RenewMessageLock", msg.lock_token)
        await settle("Complete", msg.lock_token)
        record(what="renewed")
    elif what != "nothing":
        await settle("Complete", msg.lock_token)


@app.function_name("noop")
@app.service_bus_queue_trigger(
    arg_name="msg", queue_name="noop", connection="ServiceBusConnection", auto_complete_messages=False
)
async def noop(msg: func.ServiceBusMessage) -> None:
    await settle("Complete", msg.lock_token)


@app.function_name("automatic")
@app.service_bus_queue_trigger(
    arg_name="msg", queue_name="automatic", connection="ServiceBusConnection", auto_complete_messages=True
)
def automatic(msg: func.ServiceBusMessage) -> None:
    record(what="automatic", deliveryCount=msg.delivery_count)
    if msg.get_body() == b"fail":
        raise RuntimeError("boom")


@app.function_name("item")
@app.route(route="v1/items/{itemId}/parts/{partId:int}", methods=["GET", "POST"])
async def item(req: func.HttpRequest) -> func.HttpResponse:
    """Echoes the request."""
    return func.HttpResponse(
        json.dumps(
            {
                "method": req.method,
                "url": req.url,
                "route": dict(req.route_params),
                "query": dict(req.params),
                "header": req.headers.get("X-Test"),
                "size": len(req.get_body()),
                "trace": trace.format_trace_id(trace.get_current_span().get_span_context().trace_id),
            }
        ),
        status_code=202,
        mimetype="application/json",
        headers={"Location": "/somewhere"},
    )


@app.function_name("A_special_item")
@app.route(route="v1/items/special/parts/7", methods=["GET"])
async def a_special_item(req: func.HttpRequest) -> func.HttpResponse:
    response = func.HttpResponse("special", mimetype="text/plain")
    response.headers.add("Set-Cookie", "a=1; Path=/; HttpOnly; SameSite=Lax")
    response.headers.add("Set-Cookie", "b=2; Secure")
    return response


@app.function_name("broken")
@app.route(route="broken", methods=["GET"])
def broken(req: func.HttpRequest) -> func.HttpResponse:
    raise RuntimeError("a secret of the app")


@app.function_name("tick")
@app.timer_trigger(arg_name="timer", schedule="%TickSchedule%", run_on_startup=False)
def tick(timer: func.TimerRequest) -> None:
    record(what="tick", pastDue=timer.past_due)
