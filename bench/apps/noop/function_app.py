"""A function that does nothing but settle, as every function on this host has to."""

from __future__ import annotations

import os

import azure.functions as func

from bench.apps.progress import Progress
from mosaic_core.adapters.host_settlement import HostSettler
from mosaic_core.entrypoints.queues import incoming

settler = HostSettler()
queue = os.environ["ConversationQueue"]
progress = Progress()
app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
app.register_functions(progress.create_blueprint())


@app.function_name("conversation_lane")
@app.service_bus_queue_trigger(
    arg_name="msg", queue_name="%ConversationQueue%", connection="ServiceBusConnection", auto_complete_messages=False
)
async def conversation_lane(msg: func.ServiceBusMessage) -> None:
    await progress.entered()
    await settler.complete(incoming(msg, queue))
    progress.ended()
