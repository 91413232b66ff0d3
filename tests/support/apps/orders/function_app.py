"""A function app of somebody else: takes orders by HTTP and from a queue, and knows nothing of this project."""

import asyncio
import json
import logging
import multiprocessing
import os
import sys
from datetime import UTC, datetime, timedelta
from functools import cache

import azure.functions as func
from azure.servicebus import ServiceBusMessage
from azure.servicebus.aio import ServiceBusClient, ServiceBusSender

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
_taken: list[str] = []
_days: list[str] = []


@cache
def sender() -> ServiceBusSender:
    """Opened by its first use, and kept."""
    client = ServiceBusClient.from_connection_string(os.environ["Bus"])
    return client.get_queue_sender(os.environ["OrdersQueue"])


@app.route("orders", methods=["GET"])
def orders(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("\n".join(_taken), headers={"Shop": os.environ["Shop"]})


@app.route("lengths", methods=["GET"])
def lengths(req: func.HttpRequest) -> func.HttpResponse:
    """Counted by other processes, which share what is open here."""
    with multiprocessing.get_context("fork").Pool(2) as pool:
        return func.HttpResponse("\n".join(map(str, pool.map(len, ["rye", "bread"]))) + sys.stdin.read())


@app.service_bus_queue_trigger("message", queue_name="%OrdersQueue%", connection="Bus")
async def take(message: func.ServiceBusMessage) -> None:
    """An order that is no longer on its shelf is asked for again, each time after twice as long."""
    logging.info("an order")
    text = message.get_body().decode()
    if not text.startswith("{"):
        _taken.append(text)
        return
    order = json.loads(text)
    await asyncio.sleep(order.get("seconds", 0))
    now = datetime.now(UTC)
    _taken.append(f"{order['name']} {now.isoformat()}")
    wait = timedelta(minutes=order["minutes"])
    if now + wait < datetime.fromisoformat(order["until"]):
        again = json.dumps({**order, "minutes": 2 * order["minutes"]})
        await sender().schedule_messages(ServiceBusMessage(again), now + wait)


@app.timer_trigger("timer", schedule="0 30 2 * * *", run_on_startup=False)
async def close_the_day(timer: func.TimerRequest) -> None:
    _days.append(datetime.now(UTC).isoformat())


@app.route("days", methods=["GET"])
def days(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("\n".join(_days))
