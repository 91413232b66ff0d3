"""What each route of dead letters and replays does. Who looked, and who asked for what, is logged."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Final

import azure.functions as func

from mosaic_core.domain.errors import Detail
from mosaic_core.domain.lanes import Lane
from mosaic_core.domain.replay import ReplayState
from mosaic_core.entrypoints.http import paging, schema_rules
from mosaic_core.entrypoints.http.answers import answer
from mosaic_core.entrypoints.http.bodies import PostReplay
from mosaic_core.entrypoints.http.call import Call
from mosaic_core.entrypoints.http.operators import looked
from mosaic_core.entrypoints.http.request_parts import JSON, MAX_BODY_BYTES, Request, invalid
from mosaic_core.services.replay.dead_letter_reads import LetterFilter
from mosaic_core.services.replay.replay_service import ReplayOrder, Selection

_BASE: Final = "/api/v1/agent"
_REASON: Final = re.compile(schema_rules.REASON["pattern"].strip("^$"), re.ASCII)
_ID: Final = re.compile(schema_rules.ID["pattern"].strip("^$"), re.ASCII)
_PLACE: Final = re.compile(schema_rules.LETTER_CURSOR["pattern"].strip("^$"), re.ASCII)


async def list_dead_letters(call: Call) -> func.HttpResponse:
    request = call.request
    wanted = LetterFilter(
        lane=request.choice("lane", Lane),
        code=request.text("code", _REASON, "failure code"),
        reason=request.text("reason", _REASON, "reason of a dead letter"),
        named=request.text("id", _ID, "id"),
        after=_place(request),
    )
    limit = paging.limit(request)
    looked(call, "dead letters")
    return paging.page(call, await call.api.replays.letters.page(wanted, limit))


async def list_groups(call: Call) -> func.HttpResponse:
    lane = call.request.choice("lane", Lane)
    looked(call, "dead-letter groups")
    return answer(HTTPStatus.OK, await call.api.replays.letters.groups(lane))


async def post_replay(call: Call) -> func.HttpResponse:
    call.request.media_type(JSON)
    call.request.check_size(MAX_BODY_BYTES)
    body = await call.request.json(PostReplay)
    asked = body.select.filter
    order = ReplayOrder(
        lane=body.lane,
        selection=Selection(
            ids=tuple(body.select.command_ids),
            group_id=body.select.group_id or None,
            code=asked.code or None,
            reason=asked.reason or None,
            since=asked.since_utc if "since_utc" in asked.model_fields_set else None,
            until=asked.until_utc if "until_utc" in asked.model_fields_set else None,
            household_id=asked.household_id or None,
        ),
        reason=body.reason,
        requested_by=call.principal.subject,
        root_cause=body.root_cause,
        confirm_lane=body.confirm_lane,
        force=body.force,
        rate=body.rate_per_second,
        edit=body.edit.envelope if body.edit is not None else None,
    )
    if body.dry_run:
        return answer(HTTPStatus.OK, await call.api.replays.plan(order))
    begun = await call.api.replays.begin(order)
    return answer(HTTPStatus.ACCEPTED, begun, {"Location": f"{_BASE}/ops/replays/{begun.replay_id}"})


async def list_replays(call: Call) -> func.HttpResponse:
    state = call.request.choice("state", ReplayState)
    limit = paging.limit(call.request)
    looked(call, "replays")
    return paging.page(call, await call.api.replays.page(state, limit, paging.cursor(call.request)))


async def get_replay(call: Call) -> func.HttpResponse:
    replay_id = call.request.id("replayId")
    looked(call, "a replay", replay_id)
    return answer(HTTPStatus.OK, await call.api.replays.one(replay_id))


async def advance_replay(call: Call) -> func.HttpResponse:
    return answer(HTTPStatus.OK, await call.api.replays.advance(call.request.id("replayId")))


async def abort_replay(call: Call) -> func.HttpResponse:
    replay_id = call.request.id("replayId")
    return answer(HTTPStatus.OK, await call.api.replays.abort(replay_id, call.principal.subject))


async def resume_replay(call: Call) -> func.HttpResponse:
    replay_id = call.request.id("replayId")
    return answer(HTTPStatus.OK, await call.api.replays.resume(replay_id, call.principal.subject))


def _place(request: Request) -> tuple[Lane, int] | None:
    text = request.text("cursor", _PLACE, "cursor of an answer")
    if text is None:
        return None
    number, _, lane = text.partition("!")
    if int(number) >= 2**63:
        raise invalid([Detail("cursor", "is no cursor of an answer")])
    return Lane(lane), int(number)
