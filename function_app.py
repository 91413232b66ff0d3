"""The Functions app. Composition only: parts from `mosaic_core.bootstrap`, functions from the entrypoints.

An app that raises while it is imported has no functions, and often leaves no trace. This one never does: where it
cannot be built, the two health functions alone are registered, and answer 503 with the names of what is wrong. Nothing
of ours is imported for them.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import traceback
from collections.abc import Mapping

import azure.functions as func


def composed(environ: Mapping[str, str]) -> func.FunctionApp:
    """The app. Raises whatever keeps it from being built."""
    from mosaic_core.bootstrap import build
    from mosaic_core.entrypoints import console, http, queues, timers

    container = build(environ)
    functions = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
    functions.register_functions(http.create_blueprint(lambda: container.api))
    functions.register_functions(console.create_blueprint(container.settings.console))
    functions.register_functions(
        queues.create_blueprint(
            lambda: container.delivering,
            queues=container.settings.queues,
            concurrency=container.settings.lane_concurrency,
            household_concurrency=container.settings.lane_household_concurrency,
        )
    )
    functions.register_functions(
        timers.create_blueprint(
            lambda: container.nightly,
            lambda: container.unsent,
            lambda: container.approvals_due,
            lambda: container.lanes_watch,
            lambda: container.reconciler,
            lambda: container.retention,
        )
    )
    return functions


def health_alone(error: BaseException) -> func.FunctionApp:
    """The two health functions, which answer 503 and name what is wrong: names and codes, never a value, no stack."""
    body = json.dumps(
        {
            "status": "not_started",
            "version": None,
            "commit": None,
            "packageDigest": None,
            "dependencies": [
                {"name": name, "state": "down", "required": True, "reason": reason, "parts": []}
                for name, reason, _ in problems(error)
            ],
        }
    )
    functions = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
    for name in ("live", "ready"):

        async def answer(req: func.HttpRequest) -> func.HttpResponse:
            return func.HttpResponse(
                body, status_code=503, mimetype="application/json", headers={"Cache-Control": "no-store"}
            )

        answer.__name__ = answer.__qualname__ = f"health_{name}"  # the worker loads functions by name
        route = functions.route(route=f"v1/agent/health/{name}", trigger_arg_name="req", methods=["GET"])
        functions.function_name(f"health_{name}")(route(answer))
    return functions


def problems(error: BaseException) -> list[tuple[str, str, str]]:
    """Name, code and a line for each thing that is wrong. An error that is none of ours tells its type and its places:
    its text may quote anything."""
    faults = getattr(error, "problems", None)
    if isinstance(faults, tuple) and faults:
        return [(fault.name, fault.reason, str(fault)) for fault in faults]
    places = [f"{frame.filename}:{frame.lineno} in {frame.name}" for frame in traceback.extract_tb(error.__traceback__)]
    where = "; ".join(places[-6:])
    if isinstance(error, ImportError) and error.name:
        return [(error.name, "package_missing", f"{error.name} cannot be imported ({type(error).__name__}): {where}")]
    return [(type(error).__name__, "start_failed", f"{type(error).__name__}: {where}")]


try:
    app = composed(os.environ)
except KeyboardInterrupt:
    raise
except BaseException as failure:  # also what a library ends its process by
    for *_, line in problems(failure):
        sys.stderr.write(f"mosaic: the app does not start: {line}\n")
        if logging.getLogger().hasHandlers():  # the platform's, to its log
            logging.getLogger("mosaic").critical("the app does not start: %s", line)
    app = health_alone(failure)
