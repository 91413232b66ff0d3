"""A function app of somebody else: takes orders by HTTP and from a queue, and knows nothing of this project."""

import logging
import os

import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
_taken: list[str] = []


@app.route("orders", methods=["GET"])
def orders(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("\n".join(_taken), headers={"Shop": os.environ["Shop"]})


@app.service_bus_queue_trigger("message", queue_name="%OrdersQueue%", connection="Bus")
def take(message: func.ServiceBusMessage) -> None:
    logging.info("an order")
    _taken.append(message.get_body().decode())
