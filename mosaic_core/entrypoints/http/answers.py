"""Answers: JSON with the headers that all of them carry, and the one shape of an error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Final

import azure.functions as func
from pydantic import BaseModel

from mosaic_core.domain.errors import Detail, RequestError
from mosaic_core.entrypoints.http.bodies import ErrorAnswer, ErrorDetail, Problem
from mosaic_core.services.waiting import Waited

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
    "signal_already_resolved": (409, "Somebody has resolved the signal with another word, which stands."),
    "stored_row_invalid": (409, "The stored row cannot be read by this version; details name it."),
    "payload_too_large": (413, "The body is too large."),
    "unsupported_media_type": (415, "The body is of a type that this route does not take."),
    "quota_exceeded": (429, "The household's quota of commands is used up; Retry-After says for how long."),
    "internal_error": (500, "A fault of the service; the trace id finds it in the log."),
    "queue_unavailable": (503, "The queue did not acknowledge; repeat with the same client id."),
    "store_unavailable": (503, "Storage did not answer; repeat with the same client id."),
    "identity_unavailable": (503, "The keys to check the token with cannot be fetched."),
}
"""Every error code of the API with its status and what it means."""

_RETRY_AFTER_SECONDS: Final = "5"


def answer(status: int, body: BaseModel, headers: Mapping[str, str] | None = None) -> func.HttpResponse:
    return json_text(status, body.model_dump_json(by_alias=True), headers)


def waited[T: BaseModel](found: Waited[T]) -> func.HttpResponse:
    """200 with what there is, or 304 where it is what the caller has seen; its ``ETag`` is for the next call's
    ``If-None-Match``."""
    headers = {"ETag": found.tag}
    if found.retry_after is not None:
        headers["Retry-After"] = str(found.retry_after)
    if found.is_known:
        return func.HttpResponse(status_code=HTTPStatus.NOT_MODIFIED, headers={**HEADERS, **headers})
    return answer(HTTPStatus.OK, found.answer, headers)


def json_text(status: int, text: str, headers: Mapping[str, str] | None = None) -> func.HttpResponse:
    return func.HttpResponse(
        text, status_code=status, headers={**HEADERS, **(headers or {})}, mimetype="application/json"
    )


def error(problem: RequestError, trace_id: str) -> func.HttpResponse:
    answered = _error(problem.status, problem.code, problem.rationale, problem.details, trace_id)
    if problem.retry_after is not None:
        answered.headers["Retry-After"] = str(problem.retry_after)
    return answered


def fault(code: str, message: str, trace_id: str) -> func.HttpResponse:
    return _error(CODES[code][0], code, message, (), trace_id)


def refused(code: str, message: str, details: Sequence[Detail] = ()) -> RequestError:
    """The error of that code, to be raised."""
    return RequestError(CODES[code][0], code, message, details)


def _error(status: int, code: str, message: str, details: Sequence[Detail], trace_id: str) -> func.HttpResponse:
    headers: dict[str, str] = {}
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Bearer error="invalid_token"' if code == "member_context_invalid" else "Bearer"
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = _RETRY_AFTER_SECONDS
    problem = Problem(
        code=code,
        message=message,
        trace_id=trace_id,
        details=[ErrorDetail(field=detail.field, issue=detail.issue) for detail in details],
    )
    return answer(status, ErrorAnswer(error=problem), headers)
