"""Answers: JSON with the headers that all of them carry, and an error in one of its two shapes: the contract's, and
RFC 9457's for who prefers that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Final

import azure.functions as func
from pydantic import BaseModel
from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from mosaic_core.domain.errors import Detail, RequestError
from mosaic_core.entrypoints.http.bodies import ErrorAnswer, ErrorDetail, Problem, ProblemDetails
from mosaic_core.services.waiting import Waited

JSON: Final = "application/json"
PROBLEM_JSON: Final = "application/problem+json"
PROBLEM_TYPES: Final = "/api/v1/agent/openapi.json#/components/x-problem-types/"
"""Where a problem's type is described: below it, by its code. An absolute path, so that it means the same whichever
request it is resolved against."""

HEADERS: Final[Mapping[str, str]] = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}

CODES: Final[Mapping[str, tuple[int, str]]] = {
    "validation_failed": (400, "A field of the request is missing, unknown or wrong; details name it."),
    "member_context_required": (401, "There is no bearer token."),
    "member_context_invalid": (401, "The token, or the choice of a membership, does not hold."),
    "member_context_ambiguous": (401, "The caller has several memberships and chose none."),
    "membership_access_denied": (403, "The caller is no active member of such a household."),
    "role_required": (403, "The caller's token lacks the role, or their membership does not allow this."),
    "not_found": (404, "It is not there, or belongs to another household."),
    "client_reference_conflict": (409, "The client's reference already names another request."),
    "command_rejected": (409, "The client's reference names a command that was rejected; details name its run."),
    "command_already_ended": (409, "The command has come to another end; the details say to which."),
    "command_already_cancelled": (409, "Somebody has cancelled the command with another word, which stands."),
    "last_member": (409, "Nobody would be left who can decide for the household: add another member first."),
    "member_source_invalid": (409, "The role Ingest, and no other, has a source."),
    "member_elsewhere": (409, "The subject has this user id in another household: choose another user id."),
    "signal_already_resolved": (409, "Somebody has resolved the signal with another word, which stands."),
    "stored_row_invalid": (409, "The stored row cannot be read by this version; details name it."),
    "payload_too_large": (413, "The body is too large."),
    "unsupported_media_type": (415, "The body is of a type that this route does not take."),
    "idempotency_key_reused": (422, "The Idempotency-Key already names another request."),
    "quota_exceeded": (429, "The household's quota of commands is used up; Retry-After says for how long."),
    "internal_error": (500, "A fault of the service; the trace id finds it in the log."),
    "queue_unavailable": (503, "The queue did not acknowledge; repeat with the same client id."),
    "store_unavailable": (503, "Storage did not answer; repeat with the same client id."),
    "identity_unavailable": (503, "The keys to check the token with cannot be fetched."),
}
"""Every error code of the API with its status and what it means."""

RETRY_AFTER_SECONDS: Final = "5"
"""Of a 503."""


def answer(status: int, body: BaseModel, headers: Mapping[str, str] | None = None) -> func.HttpResponse:
    return json_text(status, body.model_dump_json(by_alias=True), headers)


def waited[T: BaseModel](found: Waited[T], headers: Mapping[str, str] | None = None) -> func.HttpResponse:
    """200 with what there is, or 304 where it is what the caller has seen; its ``ETag`` is for the next call's
    ``If-None-Match``."""
    headers = {**(headers or {}), "ETag": found.written.tag}
    if found.retry_after is not None:
        headers["Retry-After"] = str(found.retry_after)
    if found.is_known:
        return func.HttpResponse(status_code=HTTPStatus.NOT_MODIFIED, headers={**HEADERS, **headers})
    return json_text(HTTPStatus.OK, found.written.text, headers)


def json_text(
    status: int, text: str, headers: Mapping[str, str] | None = None, mimetype: str = JSON
) -> func.HttpResponse:
    return func.HttpResponse(text, status_code=status, headers={**HEADERS, **(headers or {})}, mimetype=mimetype)


def error(problem: RequestError, trace_id: str, accept: str = "") -> func.HttpResponse:
    """``accept`` is the request's header of that name."""
    answered = _error(problem.code, problem.rationale, problem.details, trace_id, accept)
    if problem.retry_after is not None:
        answered.headers["Retry-After"] = str(problem.retry_after)
    return answered


def fault(code: str, message: str, trace_id: str, accept: str = "") -> func.HttpResponse:
    return _error(code, message, (), trace_id, accept)


def prefers_problem(accept: str) -> bool:
    """Whether RFC 9457's shape is the one to answer with: the contract's stays wherever the two are wanted alike and
    RFC 9457's is not named, and where neither is wanted. Parameters of a media type say nothing here."""
    wanted = MIMEAccept([(kind.partition(";")[0].strip(), q) for kind, q in parse_accept_header(accept, MIMEAccept)])
    problem, plain = wanted.quality(PROBLEM_JSON), wanted.quality(JSON)
    is_named = any(kind.lower() == PROBLEM_JSON for kind, _ in wanted)
    return problem > plain or (is_named and problem == plain > 0)


def _error(code: str, message: str, details: Sequence[Detail], trace_id: str, accept: str) -> func.HttpResponse:
    status, meaning = CODES[code]
    headers = {"Vary": "Accept"}
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Bearer error="invalid_token"' if code == "member_context_invalid" else "Bearer"
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = RETRY_AFTER_SECONDS
    fields = [ErrorDetail(field=detail.field, issue=detail.issue) for detail in details]
    if prefers_problem(accept):
        problem = ProblemDetails(
            type=PROBLEM_TYPES + code,
            title=meaning,
            status=status,
            detail=message,
            code=code,
            trace_id=trace_id,
            errors=fields,
        )
        return json_text(status, problem.model_dump_json(by_alias=True), headers, PROBLEM_JSON)
    return answer(
        status,
        ErrorAnswer(error=Problem(code=code, message=message, trace_id=trace_id, details=fields)),
        headers,
    )
