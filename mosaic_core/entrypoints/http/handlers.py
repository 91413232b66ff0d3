"""What each route does: read the request, call the service, answer."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

import azure.functions as func

from mosaic_core.computing import compute
from mosaic_core.domain import ids
from mosaic_core.domain.lifecycle import ApprovalStatus
from mosaic_core.entrypoints.http import paging
from mosaic_core.entrypoints.http.answers import RETRY_AFTER_SECONDS, answer, json_text, waited
from mosaic_core.entrypoints.http.bodies import (
    IngestedTransaction,
    IngestionQuery,
    PostApproval,
    PostIngestion,
    PostMessage,
)
from mosaic_core.entrypoints.http.call import Call
from mosaic_core.entrypoints.http.idempotency import IdempotencyKey
from mosaic_core.entrypoints.http.request_parts import JSON, JSON_LINES, MAX_BATCH_BYTES, MAX_BODY_BYTES, json_lines
from mosaic_core.services.approval_pages import LARGEST_PAGE as APPROVALS
from mosaic_core.services.batch import Batch
from mosaic_core.services.enqueue import Enqueued
from mosaic_core.services.read_models import STREAM_RUNS
from mosaic_core.services.views import Accepted
from mosaic_core.services.waiting import MAX_WAIT_SECONDS

BASE = "/api/v1/agent"
POLL_SECONDS: Final = "1"
"""Of a 202: when to look at its Location first. A run without trouble is over by then."""
OPERATOR_READ = "Mosaic.Operator.Read"
OPERATOR_REPLAY = "Mosaic.Operator.Replay"


async def post_message(call: Call) -> func.HttpResponse:
    conversation_id = call.request.id("conversationId")
    key = IdempotencyKey.of(call.request)
    call.request.media_type(JSON)
    call.request.check_size(MAX_BODY_BYTES)
    await call.count(call.caller)
    body = await call.request.json(PostMessage)
    client_id = key.client_id(body.client_message_id, "clientMessageId")
    with key.reuse():
        enqueued = await call.api.enqueue.enqueue_message(
            call.caller, conversation_id, body.message, user_note=body.user_note, client_id=client_id
        )
    return accepted(enqueued, _stream(conversation_id))


async def post_approval(call: Call) -> func.HttpResponse:
    conversation_id, approval_id = call.request.id("conversationId"), call.request.id("approvalId")
    key = IdempotencyKey.of(call.request)
    call.request.media_type(JSON)
    call.request.check_size(MAX_BODY_BYTES)
    await call.count(call.caller)
    body = await call.request.json(PostApproval)
    client_id = key.client_id(body.client_approval_id, "clientApprovalId")
    with key.reuse():
        enqueued = await call.api.enqueue.enqueue_approval(
            call.caller, conversation_id, approval_id, body.decision, rationale=body.rationale, client_id=client_id
        )
    return accepted(enqueued, _stream(conversation_id))


async def post_ingestion(call: Call) -> func.HttpResponse:
    key = IdempotencyKey.of(call.request)
    kind = call.request.media_type(JSON, *JSON_LINES)
    call.request.check_size(MAX_BATCH_BYTES)
    await call.count(call.caller)
    head: PostIngestion | IngestionQuery
    if kind == JSON:
        head = whole = await call.request.json(PostIngestion)
        batch_id = key.batch_id(head.batch_id)
        batch = await compute(Batch.of, whole.transactions)
    else:
        head = call.request.choose(IngestionQuery)
        batch_id = key.batch_id(head.batch_id)
        # one line at a time, on a thread: a large batch is never there as objects, and holds nobody up
        batch = await compute(Batch.of, json_lines(call.request.body, IngestedTransaction))
    call.caller.check_source(head.source)
    with key.reuse():
        enqueued = await call.api.enqueue.enqueue_ingestion(call.caller, batch_id, head.source, head.account_id, batch)
    return accepted(enqueued, f"{BASE}/runs/{ids.run_id(enqueued.queue, enqueued.command_id)}")


async def get_stream(call: Call) -> func.HttpResponse:
    conversation_id, since = call.request.id("conversationId"), call.request.time("sinceUtc")
    limit = paging.limit(call.request, default=STREAM_RUNS, most=STREAM_RUNS)
    found = await call.api.read_models.stream_at_change(
        call.caller.household_id,
        conversation_id,
        since,
        seconds=_wait(call),
        seen=_seen(call),
        limit=limit,
        after=paging.cursor(call.request),
    )
    return waited(found, paging.following(call, found.written.answer))


async def get_run(call: Call) -> func.HttpResponse:
    return answer(HTTPStatus.OK, await call.api.read_models.run(call.caller.household_id, call.request.id("runId")))


async def list_approvals(call: Call) -> func.HttpResponse:
    status = call.request.choice("status", ApprovalStatus)
    limit = paging.limit(call.request, default=APPROVALS, most=APPROVALS)
    found = await call.api.read_models.approvals_at_change(
        call.caller.household_id,
        status,
        seconds=_wait(call),
        seen=_seen(call),
        limit=limit,
        after=paging.cursor(call.request),
    )
    return waited(found, paging.following(call, found.written.answer))


async def health_live(call: Call) -> func.HttpResponse:
    health = call.api.health.live(for_operators=call.may(OPERATOR_READ))
    return answer(HTTPStatus.OK, health)


async def health_ready(call: Call) -> func.HttpResponse:
    health = await call.api.health.ready(for_operators=call.may(OPERATOR_READ))
    if health.status == "ready":
        return answer(HTTPStatus.OK, health)
    return answer(HTTPStatus.SERVICE_UNAVAILABLE, health, {"Retry-After": RETRY_AFTER_SECONDS})


async def openapi(call: Call) -> func.HttpResponse:
    return json_text(HTTPStatus.OK, call.api.openapi())


async def asyncapi(call: Call) -> func.HttpResponse:
    return json_text(HTTPStatus.OK, call.api.asyncapi())


def _wait(call: Call) -> int:
    return call.request.number("waitSeconds", default=0, least=0, most=MAX_WAIT_SECONDS)


def _seen(call: Call) -> str:
    return call.request.headers.get("if-none-match", "")


def accepted(enqueued: Enqueued, location: str) -> func.HttpResponse:
    body = Accepted(
        command_id=enqueued.command_id,
        correlation_id=enqueued.correlation_id,
        conversation_id=enqueued.conversation_id,
        command_type=enqueued.command_type,
        queue=enqueued.queue,
        policy_disposition=enqueued.policy_disposition,
        queued_at_utc=enqueued.queued_at,
    )
    return answer(HTTPStatus.ACCEPTED, body, {"Location": location, "Retry-After": POLL_SECONDS})


def _stream(conversation_id: str) -> str:
    return f"{BASE}/conversations/{conversation_id}/stream"
