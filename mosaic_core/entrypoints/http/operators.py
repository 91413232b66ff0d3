"""What each operators' route does. Who looked at what is logged: operators see every household."""

from __future__ import annotations

import logging
import re
from http import HTTPStatus
from typing import Final

import azure.functions as func

from mosaic_core.domain.errors import Detail, RequestError
from mosaic_core.domain.ids import clean
from mosaic_core.domain.lanes import Lane
from mosaic_core.domain.lifecycle import ApprovalStatus, RunStatus, Severity
from mosaic_core.entrypoints.http import paging, schema_rules
from mosaic_core.entrypoints.http.answers import answer
from mosaic_core.entrypoints.http.bodies import PostResolution
from mosaic_core.entrypoints.http.call import Call
from mosaic_core.entrypoints.http.request_parts import JSON, MAX_BODY_BYTES, invalid
from mosaic_core.services.approval_pages import LARGEST_PAGE as APPROVALS
from mosaic_core.services.operators.review_queue import Shown, SignalFilter
from mosaic_core.services.operators.runs import RunFilter

log = logging.getLogger(__name__)

_CODE: Final = re.compile(schema_rules.CODE["pattern"].strip("^$"), re.ASCII)
_ID: Final = re.compile(schema_rules.ID["pattern"].strip("^$"), re.ASCII)


async def get_command(call: Call) -> func.HttpResponse:
    command_id = call.request.id("commandId")
    return answer(HTTPStatus.OK, await call.api.operators.commands.one(command_id, call.principal.subject))


async def list_runs(call: Call) -> func.HttpResponse:
    request = call.request
    wanted = RunFilter(
        status=request.choice("status", RunStatus),
        lane=request.choice("lane", Lane),
        household_id=request.query_id("householdId"),
        since=request.time("sinceUtc"),
        after=paging.cursor(request),
    )
    limit = paging.limit(request)
    looked(call, "runs", household=wanted.household_id)
    return paging.page(call, await call.api.operators.runs.page(wanted, limit))


async def get_run(call: Call) -> func.HttpResponse:
    run_id = call.request.id("runId")
    looked(call, "a run", run_id)
    return answer(HTTPStatus.OK, await call.api.operators.runs.one(run_id))


async def list_signals(call: Call) -> func.HttpResponse:
    request = call.request
    wanted = SignalFilter(
        open_only=request.choice("state", Shown) != Shown.ALL,
        lane=request.choice("lane", Lane),
        code=request.text("code", _CODE, "signal code"),
        severity=request.choice("severity", Severity),
        household_id=request.query_id("householdId"),
        since=request.time("sinceUtc"),
        after=paging.cursor(request),
    )
    limit = paging.limit(request)
    looked(call, "signals", household=wanted.household_id)
    return paging.page(call, await call.api.operators.signals.page(wanted, limit))


async def resolve_signal(call: Call) -> func.HttpResponse:
    signal_id = call.request.id("signalId")
    call.request.media_type(JSON)
    call.request.check_size(MAX_BODY_BYTES)
    body = await call.request.json(PostResolution)
    resolved = await call.api.operators.signals.resolve(signal_id, by=call.principal.subject, note=body.note)
    log.info(
        "an operator resolved a signal",
        extra={"signalId": signal_id, "outcome": resolved.outcome, "subject": clean(call.principal.subject)},
    )
    return answer(HTTPStatus.OK, resolved)


async def list_approvals(call: Call) -> func.HttpResponse:
    household_id = call.request.query_id("householdId")
    if household_id is None:
        raise invalid([Detail("householdId", "is required")])
    status = call.request.choice("status", ApprovalStatus)
    limit = paging.limit(call.request, default=APPROVALS, most=APPROVALS)
    looked(call, "approvals", household=household_id)
    found = await call.api.operators.approvals(household_id, status, limit=limit, after=paging.cursor(call.request))
    return paging.page(call, found)


async def get_trace(call: Call) -> func.HttpResponse:
    asked = call.request.text("id", _ID, "id")
    if asked is None:
        raise RequestError("not_found", "there is no such route")
    looked(call, "a trace", asked)
    return answer(HTTPStatus.OK, await call.api.operators.traces.of(asked))


async def list_lanes(call: Call) -> func.HttpResponse:
    looked(call, "the lanes")
    return answer(HTTPStatus.OK, await call.api.operators.lanes.all())


def looked(call: Call, what: str, named: str = "", household: str | None = None) -> None:
    told = {"asked": named} if named else {}
    of_household = {"householdId": household} if household else {}
    log.info("an operator looked at %s", what, extra={**told, **of_household, "subject": clean(call.principal.subject)})
