"""What each route on a household's data as a whole does. Who asked for what is kept with it, and logged."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

import azure.functions as func

from mosaic_core.domain.errors import Detail
from mosaic_core.domain.ids import guid_or_empty
from mosaic_core.entrypoints.http.answers import answer
from mosaic_core.entrypoints.http.bodies import PostErasure, PostExport
from mosaic_core.entrypoints.http.call import Call
from mosaic_core.entrypoints.http.request_parts import JSON, MAX_BODY_BYTES, invalid

OPERATOR_ADMIN: Final = "Mosaic.Operator.Admin"


async def erase_household(call: Call) -> func.HttpResponse:
    household_id = call.request.id("householdId")
    call.request.media_type(JSON)
    call.request.check_size(MAX_BODY_BYTES)
    body = await call.request.json(PostErasure)
    households, subject = call.api.households, call.principal.subject
    if body.dry_run:
        return answer(HTTPStatus.OK, await households.dry_run(household_id, subject, body.reason))
    if guid_or_empty(body.confirm_household) != household_id:
        raise invalid([Detail("confirmHousehold", "is not the household that the path names")])
    return answer(HTTPStatus.OK, await households.advance(household_id, subject, body.reason))


async def export_household(call: Call) -> func.HttpResponse:
    household_id = call.request.id("householdId")
    call.request.media_type(JSON)
    call.request.check_size(MAX_BODY_BYTES)
    body = await call.request.json(PostExport)
    page = await call.api.households.export(household_id, body.kind, body.cursor, call.principal.subject, body.reason)
    return answer(HTTPStatus.OK, page)
