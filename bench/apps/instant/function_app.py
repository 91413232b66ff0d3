"""The product's conversation lane with a handler that does nothing: what is left is delivery itself."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cached_property

import azure.functions as func

from bench.apps.progress import Progress
from mosaic_core.bootstrap import Container
from mosaic_core.config import Settings
from mosaic_core.domain.lanes import Lane
from mosaic_core.entrypoints.queues import incoming
from mosaic_core.lanes.context import LaneContext, LaneHandler, LaneResult, succeeded


async def instant(context: LaneContext) -> LaneResult:
    return succeeded("done", "did nothing")


class InstantContainer(Container):
    @cached_property
    def handlers(self) -> Mapping[Lane, LaneHandler]:
        return dict.fromkeys(Lane, instant)


settings = Settings.from_env(os.environ)
container = InstantContainer(settings)
progress = Progress()
app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
app.register_functions(progress.create_blueprint())


@app.function_name("conversation_lane")
@app.service_bus_queue_trigger(
    arg_name="msg", queue_name="%ConversationQueue%", connection="ServiceBusConnection", auto_complete_messages=False
)
async def conversation_lane(msg: func.ServiceBusMessage) -> None:
    await progress.entered()
    await container.delivery.deliver(Lane.CONVERSATION, incoming(msg, settings.queues[Lane.CONVERSATION]))
    progress.ended()
