"""What a developer of function apps trips over, one function each; used by the host's contract tests."""

import asyncio
import ctypes
import json
import logging
import multiprocessing
import os
import signal
import sys
import time
from pathlib import Path

import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
seen = Path(os.environ["TrapsSeen"])
logging.info("the app is imported")


def record(**fields: object) -> None:
    with seen.open("a") as file:
        file.write(json.dumps(fields, default=str) + "\n")


def on_sigterm(*_: object) -> None:
    """The app's own: it does not chain."""
    record(what="sigterm")
    if os.environ.get("TrapsExitOnSigterm"):
        sys.exit(0)


signal.signal(signal.SIGTERM, on_sigterm)


def crash(how: str) -> None:
    """Ends the process as a fault of the app would."""
    if how == "exit":
        multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,)).start()
        os._exit(2)
    elif how == "sysexit":
        sys.exit(2)
    elif how == "stop":
        asyncio.get_running_loop().stop()
    elif how == "segfault":
        ctypes.string_at(0)
    elif how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)


@app.route(route="", methods=["GET"])
def nameless(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("nameless")


@app.route(route="unsendable/{where}", methods=["GET"])
def unsendable(req: func.HttpRequest) -> func.HttpResponse:
    """A lone surrogate, as of a file's name that is not UTF-8."""
    if req.route_params["where"] == "body":
        return "\udcff"  # type: ignore[return-value]
    return func.HttpResponse("x", headers={"File": "\udcff"})


@app.route(route="threads", methods=["GET"])
def threads(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(os.environ.get("PYTHON_THREADPOOL_THREAD_COUNT", "unset"))


@app.route(route="echo/{number:int?}", methods=["GET", "POST"])
def echo(req: func.HttpRequest) -> func.HttpResponse:
    told = {
        "body": req.get_body().decode(),
        "query": dict(req.params),
        "headers": {name: value for name, value in req.headers.items() if name.startswith("x-")},
        "route": dict(req.route_params),
    }
    return func.HttpResponse(json.dumps(told), mimetype="application/json")


@app.route(route="order/{*rest}", methods=["GET"])
def order_catches(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("catches")


@app.route(route="order/of/names", methods=["GET"])
def order_is_specific(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("specific")


@app.route(route="crash/{how}", methods=["GET"])
async def crashes(req: func.HttpRequest) -> func.HttpResponse:
    crash(req.route_params["how"])
    return func.HttpResponse("survived")


@app.route(route="locked", methods=["GET"], auth_level=func.AuthLevel.FUNCTION)
def locked(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("open")


@app.route(route="slow", methods=["GET"])
def slow(req: func.HttpRequest) -> func.HttpResponse:
    record(what="slow")
    time.sleep(float(req.params.get("seconds", "3600")))
    return func.HttpResponse("slept")


@app.route(route="loud", methods=["GET"])
def loud(req: func.HttpRequest) -> func.HttpResponse:
    logging.debug("a debug line")
    logging.info("said by loud at info")
    return func.HttpResponse("")


@app.route(route="quiet", methods=["GET"])
async def quiet(req: func.HttpRequest) -> func.HttpResponse:
    logging.warning("said by quiet at warning")
    logging.error("said by quiet at error")
    return func.HttpResponse("")


@app.route(route="quiet-thread", methods=["GET"])
def quiet_thread(req: func.HttpRequest) -> func.HttpResponse:
    logging.getLogger("a.library").warning("said by quiet_thread at warning")
    return func.HttpResponse("")


@app.service_bus_queue_trigger(arg_name="msg", queue_name="texts", connection="ServiceBusConnection")
def texts(msg: str) -> None:
    record(what="texts", kind=type(msg).__name__, body=msg)


@app.service_bus_queue_trigger(arg_name="msg", queue_name="undeclared", connection="ServiceBusConnection")
def undeclared(msg: func.ServiceBusMessage) -> None:
    record(what="undeclared", body=msg.get_body().hex())


@app.service_bus_queue_trigger(
    arg_name="msg", queue_name="binaries", connection="ServiceBusConnection", data_type=func.DataType.BINARY
)
def binaries(msg: func.ServiceBusMessage) -> None:
    record(what="binaries", body=msg.get_body().hex())


@app.service_bus_queue_trigger(arg_name="msg", queue_name="not-there", connection="ServiceBusConnection")
def not_there(msg: func.ServiceBusMessage) -> None:
    record(what="not_there")


@app.service_bus_queue_trigger(arg_name="msg", queue_name="crashing", connection="ServiceBusConnection")
async def crashing(msg: func.ServiceBusMessage) -> None:
    record(what="crashing", deliveryCount=msg.delivery_count, messageId=msg.message_id)
    if msg.delivery_count == 1:
        crash(msg.get_body().decode())
        await asyncio.sleep(60)


@app.timer_trigger(arg_name="timer", schedule="*/2 * * * * *")
def unmonitored(timer: func.TimerRequest) -> None:
    record(what="unmonitored", status=timer.schedule_status)  # type: ignore[attr-defined]


@app.timer_trigger(arg_name="timer", schedule="30 2 * * mon-sun")
def monitored(timer: func.TimerRequest) -> None:
    record(what="monitored", status=timer.schedule_status)  # type: ignore[attr-defined]
