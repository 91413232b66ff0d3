"""Pages of a list: how much of it, from where on, and where the next page is (RFC 8288)."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Final
from urllib.parse import quote, urlencode

import azure.functions as func
from pydantic import BaseModel

from mosaic_core.entrypoints.http import schema_rules
from mosaic_core.entrypoints.http.answers import answer
from mosaic_core.entrypoints.http.call import Call
from mosaic_core.entrypoints.http.request_parts import Request

PAGE: Final = 20
LARGEST_PAGE: Final = 100

_CURSOR: Final = re.compile(schema_rules.CURSOR["pattern"].strip("^$"), re.ASCII)


def cursor(request: Request) -> str:
    """Where to go on; empty: at the beginning. Raises `RequestError` 400 for what no answer has said."""
    return request.text("cursor", _CURSOR, "cursor of an answer") or ""


def limit(request: Request, *, default: int = PAGE, most: int = LARGEST_PAGE) -> int:
    return request.number("limit", default=default, most=most)


def page[B: BaseModel](call: Call, body: B) -> func.HttpResponse:
    """200 with the page, and a ``Link`` to the next one where there is one."""
    return answer(HTTPStatus.OK, body, following(call, body))


def following(call: Call, body: BaseModel) -> dict[str, str]:
    """The header that says where the page after this one is; none on the last page."""
    next_cursor = getattr(body, "next_cursor", None)
    return {"Link": f'<{_after(call, next_cursor)}>; rel="next"'} if next_cursor else {}


def _after(call: Call, cursor: str) -> str:
    """The same request from there on, as an absolute path: only what the route reads, as it was asked for."""
    path = f"/api/{call.route.route}"
    for name in re.findall(r"{(\w+)}", path):
        path = path.replace(f"{{{name}}}", call.request.id(name))
    kept = {p.name: call.request.query[p.name] for p in call.route.query if p.name in call.request.query}
    return f"{path}?{urlencode({**kept, 'cursor': cursor}, quote_via=quote)}"
