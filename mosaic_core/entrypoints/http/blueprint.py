"""The routes as functions of the app."""

from __future__ import annotations

import logging
import traceback
import uuid
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any

import azure.functions as func

from mosaic_core import telemetry
from mosaic_core.domain.errors import QueueUnavailableError, RequestError, StoreUnreachableError
from mosaic_core.entrypoints.http import answers
from mosaic_core.entrypoints.http.call import Api, Route, authenticate
from mosaic_core.entrypoints.http.request_parts import Request
from mosaic_core.entrypoints.http.routes import ROUTES

log = logging.getLogger(__name__)

__all__ = ["Api", "create_blueprint"]


def create_blueprint(api: Callable[[], Api], routes: Sequence[Route] = ROUTES) -> func.Blueprint:
    """One function per route. ``api`` is asked for at each request, first at the first one."""
    blueprint = func.Blueprint()
    for route in routes:
        trigger = blueprint.route(
            route=route.route, trigger_arg_name="req", methods=[route.method], auth_level=func.AuthLevel.ANONYMOUS
        )
        blueprint.function_name(route.name)(trigger(_function(route, api)))
    return blueprint


def _function(
    route: Route, api: Callable[[], Api]
) -> Callable[[func.HttpRequest], Coroutine[Any, Any, func.HttpResponse]]:
    async def handle(req: func.HttpRequest) -> func.HttpResponse:
        request = Request.of(req)
        with telemetry.span(
            f"{route.method} /api/{route.route}",
            service=telemetry.API,
            kind="server",
            stranger=request.headers,
            attributes={"http.request.method": route.method, "http.route": f"/api/{route.route}"},
        ) as span:
            more: dict[str, str] = {}
            response = await _answered(route, api, request, more)
            response.headers.update(more)
            span.set_attribute("http.response.status_code", response.status_code)
            return response

    # the worker loads functions by name
    handle.__name__ = handle.__qualname__ = route.name
    return handle


async def _answered(route: Route, api: Callable[[], Api], request: Request, more: dict[str, str]) -> func.HttpResponse:
    """The route's answer; whatever goes wrong becomes the contract's error. Its trace id is in the log line too, also
    where nothing is traced. ``more`` takes the headers that the call has for any answer."""
    trace_id = telemetry.trace_id() or uuid.uuid4().hex
    told = {"route": route.name, "traceId": trace_id}
    accept = request.headers.get("accept", "")
    try:
        call = replace(await authenticate(api(), route, request), headers=more)
        return await route.handler(call)
    except RequestError as refusal:
        log.info("request refused", extra={**told, "status": answers.CODES[refusal.code][0], "code": refusal.code})
        return answers.error(refusal, trace_id, accept)
    except QueueUnavailableError:
        log.warning("the queue did not acknowledge", extra=told, exc_info=True)
        return answers.fault(
            "queue_unavailable",
            "the queue did not acknowledge; the command may have been enqueued: repeat with the same client id",
            trace_id,
            accept,
        )
    except StoreUnreachableError:
        log.warning("storage did not answer", extra=told, exc_info=True)
        return answers.fault(
            "store_unavailable",
            "storage did not answer; repeat the request, a command with the same client id",
            trace_id,
            accept,
        )
    except Exception as unexpected:
        _log_without_values(unexpected, told)
        return answers.fault(
            "internal_error", "the request failed; the trace id finds the reason in the log", trace_id, accept
        )


def _log_without_values(error: BaseException, told: dict[str, str]) -> None:
    """Type and places, not the error's text, which may quote what the caller sent."""
    places = "".join(traceback.format_tb(error.__traceback__))
    log.error("request failed: %s\n%s", type(error).__name__, places, extra=told)
