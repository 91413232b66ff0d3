"""What each route does by which an operator changes something. Who changed what is logged; the services audit it."""

from __future__ import annotations

import logging
import re
from http import HTTPStatus
from typing import Final

import azure.functions as func
from pydantic import BaseModel

from mosaic_core.domain import ids
from mosaic_core.domain.errors import Detail
from mosaic_core.domain.ids import clean
from mosaic_core.domain.lanes import Lane
from mosaic_core.domain.membership import Role
from mosaic_core.entrypoints.http.answers import answer
from mosaic_core.entrypoints.http.bodies import PostReason, PostSweep, PutMember
from mosaic_core.entrypoints.http.call import Call
from mosaic_core.entrypoints.http.handlers import BASE, accepted
from mosaic_core.entrypoints.http.request_parts import JSON, MAX_BODY_BYTES, invalid
from mosaic_core.services.operators.members import membership
from mosaic_core.services.operators.operator_views import ChangedMember
from mosaic_core.services.operators.sweeping import Sweeping

log = logging.getLogger(__name__)

OPERATOR_ADMIN: Final = "Mosaic.Operator.Admin"

_LINE: Final = re.compile(r"[^\x00-\x1f\x7f]{1,120}")


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


async def post_sweep(call: Call) -> func.HttpResponse:
    body = await _body(call, PostSweep)
    sweeping = Sweeping(call.api.enqueue, call.api.operators.sweep_lookback_days)
    enqueued = await sweeping.sweep(
        body.household_id, body.sweep_date, body.lookback_days, by=call.principal.subject, reason=body.reason
    )
    log.warning(
        "an operator asked for a sweep",
        extra={
            "householdId": body.household_id,
            "commandId": enqueued.command_id,
            "subject": clean(call.principal.subject),
        },
    )
    return accepted(enqueued, f"{BASE}/ops/runs/{ids.run_id(enqueued.queue, enqueued.command_id)}")


def _lane(call: Call) -> Lane:
    try:
        return Lane(call.request.path.get("lane", ""))
    except ValueError:
        raise invalid([Detail("lane", f"is none of {', '.join(Lane)}")]) from None


async def _reason(call: Call) -> PostReason:
    return await _body(call, PostReason)


async def _body[M: BaseModel](call: Call, model: type[M]) -> M:
    call.request.media_type(JSON)
    call.request.check_size(MAX_BODY_BYTES)
    return await call.request.json(model)


async def list_members(call: Call) -> func.HttpResponse:
    household_id = call.request.query_id("householdId")
    if household_id is None:
        raise invalid([Detail("householdId", "is required")])
    log.info(
        "an operator looked at a household's members",
        extra={"householdId": household_id, "subject": clean(call.principal.subject)},
    )
    return answer(HTTPStatus.OK, await call.api.operators.members.all(household_id))


async def put_member(call: Call) -> func.HttpResponse:
    body = await _body(call, PutMember)
    members = call.api.operators.members
    wanted = membership(
        household_id=body.household_id,
        household_user_id=body.household_user_id,
        subject=body.subject,
        role=Role(body.role),
        source=body.source or "",
        clock=members.clock,
    )
    changed = await members.put(wanted, by=call.principal.subject, reason=body.reason)
    return _told(call, "put", changed)


async def remove_member(call: Call) -> func.HttpResponse:
    request = call.request
    household_id, user_id = request.query_id("householdId"), request.query_id("householdUserId")
    subject, reason = (
        None if (text := request.query.get(name)) is None else text.strip() for name in ("subject", "reason")
    )
    given = {"householdId": household_id, "householdUserId": user_id, "subject": subject, "reason": reason}
    wrong = [Detail(name, "is required") for name, value in given.items() if value is None]
    wrong += [
        Detail(name, "is not 1 to 120 printable characters")
        for name, value in (("subject", subject), ("reason", reason))
        if value is not None and not _LINE.fullmatch(value)
    ]
    if wrong or household_id is None or user_id is None or subject is None or reason is None:
        raise invalid(wrong)
    changed = await call.api.operators.members.remove(
        household_id, user_id, subject, by=call.principal.subject, reason=reason
    )
    return _told(call, "removed", changed)


def _told(call: Call, what: str, changed: ChangedMember) -> func.HttpResponse:
    log.warning(
        "an operator %s a member",
        what,
        extra={
            "householdId": changed.member.household_id,
            "householdUserId": changed.member.household_user_id,
            "isChanged": changed.is_changed,
            "subject": clean(call.principal.subject),
        },
    )
    return answer(HTTPStatus.OK, changed)
