"""The Functions app. Composition only: parts from `mosaic_core.bootstrap`, functions from the entrypoints."""

from __future__ import annotations

import os

import azure.functions as func

from mosaic_core.bootstrap import build
from mosaic_core.entrypoints import http, queues, timers

container = build(os.environ)

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
app.register_functions(http.create_blueprint(lambda: container.api))
app.register_functions(
    queues.create_blueprint(
        lambda: container.delivery,
        queues=container.settings.queues,
        concurrency=container.settings.lane_concurrency,
        household_concurrency=container.settings.lane_household_concurrency,
    )
)
app.register_functions(
    timers.create_blueprint(
        lambda: container.nightly,
        lambda: container.unsent,
        lambda: container.approvals_due,
        lambda: container.reconciler,
        lambda: container.retention,
    )
)
