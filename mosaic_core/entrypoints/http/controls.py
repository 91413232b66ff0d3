"""What each route does by which an operator changes something. Who changed what is logged; the services audit it."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import azure.functions as func

from mosaic_core.domain.errors import Detail
from mosaic_core.domain.ids import clean
from mosaic_core.domain.lanes import Lane
from mosaic_core.entrypoints.http.answers import answer
from mosaic_core.entrypoints.http.bodies import PostReason
from mosaic_core.entrypoints.http.requests import JSON, MAX_BODY_BYTES, invalid

if TYPE_CHECKING:
    from mosaic_core.entrypoints.http.call import Call

log = logging.getLogger(__name__)

OPERATOR_ADMIN: Final = "Mosaic.Operator.Admin"


async def pause_lane(call: Call) -> func.HttpResponse:
    return await _set_pause(call, paused=True)


async def resume_lane(call: Call) -> func.HttpResponse:
    return await _set_pause(call, paused=False)


async def _set_pause(call: Call, *, paused: bool) -> func.HttpResponse:
    lane = _lane(call)
    body = await _reason(call)
    changed = await call.api.operators.pausing.set(lane, paused=paused, by=call.principal.subject, reason=body.reason)
    log.warning(
        "an operator %s a lane",
        "paused" if paused else "resumed",
        extra={"lane": lane.value, "isChanged": changed.is_changed, "subject": clean(call.principal.subject)},
    )
    return answer(HTTPStatus.OK, changed)


async def cancel_command(call: Call) -> func.HttpResponse:
    command_id = call.request.id("commandId")
    body = await _reason(call)
    done = await call.api.operators.cancelling.cancel(command_id, by=call.principal.subject, reason=body.reason)
    log.warning(
        "an operator cancelled a command",
        extra={"commandId": command_id, "outcome": done.outcome, "subject": clean(call.principal.subject)},
    )
    return answer(HTTPStatus.ACCEPTED if done.outcome == "requested" else HTTPStatus.OK, done)


def _lane(call: Call) -> Lane:
    try:
        return Lane(call.request.path.get("lane", ""))
    except ValueError:
        raise invalid([Detail("lane", f"is none of {', '.join(Lane)}")]) from None


async def _reason(call: Call) -> PostReason:
    call.request.media_type(JSON)
    call.request.check_size(MAX_BODY_BYTES)
    return await call.request.json(PostReason)
