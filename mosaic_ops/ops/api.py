"""The operators' routes, asked with the caller's token."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from typing import Any, Final
from urllib.parse import quote, urlencode

from mosaic_core.domain.ids import clean, normalise_guid
from mosaic_ops.ops.errors import OpsError, UnreachableError, UsageError
from mosaic_ops.ops.target import Target

PREFIX: Final = "/api/v1/agent"
SECONDS: Final = 30.0
MOST_PAGES: Final = 20
"""Of one list, so many pages are read before the caller is told to go on by itself."""

type Json = dict[str, Any]


@dataclass(frozen=True)
class Api:
    """``token`` is whose word it is; empty: the target's own."""

    target: Target
    token: str = field(default="", repr=False)

    def get(self, path: str, **query: object) -> Json:
        """Raises `OpsError` 1 where it is not there, 2 where the caller may not, 3 where nothing usable answers."""
        return self._ask("GET", path, query)

    def post(self, path: str, body: Mapping[str, Any]) -> Json:
        return self._ask("POST", path, {}, body)

    def post_lines(self, path: str, lines: bytes, **query: object) -> Json:
        """JSON Lines as they are."""
        return self._send("POST", path, query, lines, kind="application/x-ndjson")[1]

    def post_document(self, path: str, document: bytes) -> Json:
        """A JSON text as it is."""
        return self._send("POST", path, {}, document)[1]

    def put(self, path: str, body: Mapping[str, Any]) -> Json:
        return self._ask("PUT", path, {}, body)

    def delete(self, path: str, **query: object) -> Json:
        return self._ask("DELETE", path, query)

    def health(self, kind: str) -> tuple[int, Json]:
        """``live`` or ``ready``: 503 is an answer."""
        return self._send("GET", f"/health/{kind}", {}, None, also=(503,))

    def pages(self, path: str, rows: str, wanted: int, **query: object) -> tuple[list[Json], str | None]:
        """At most ``wanted`` rows over as many pages as it takes; and where to go on, where there may be more."""
        found: list[Json] = []
        cursor: str | None = None
        for _ in range(MOST_PAGES):
            page = self.get(path, **query, limit=min(100, wanted - len(found)), cursor=cursor)
            found += page[rows]
            cursor = page["nextCursor"]
            if cursor is None or len(found) >= wanted:
                break
        return found, cursor

    def trace(self, asked: str) -> Json:
        try:
            named = normalise_guid(asked)
        except ValueError:
            named = clean(asked.strip()) or "-"
        return self.get(f"/ops/trace/{quote(named, safe='')}")

    def functions(self) -> list[Json]:
        """What the embedded host has indexed; a deployment's own door to that needs a master key, which nobody has."""
        status, answer = self._raw("GET", f"{self.target.base_url}/admin/functions", None, {})
        found = json.loads(answer) if status == 200 else []
        return [one for one in found if isinstance(one, dict)]

    def _ask(self, method: str, path: str, query: Mapping[str, object], body: Mapping[str, Any] | None = None) -> Json:
        return self._send(method, path, query, body)[1]

    def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, object],
        body: Mapping[str, Any] | bytes | None,
        also: tuple[int, ...] = (),
        kind: str = "application/json",
    ) -> tuple[int, Json]:
        given = {name: value for name, value in query.items() if value is not None}
        url = f"{self.target.base_url}{PREFIX}{path}" + (f"?{urlencode(given)}" if given else "")
        data = json.dumps(body).encode() if isinstance(body, Mapping) else body
        headers = {"Authorization": f"Bearer {self.token or self.target.token}"}
        if data is not None:
            headers["Content-Type"] = kind
        status, text = self._raw(method, url, data, headers)
        try:
            answer = json.loads(text)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            if status == 404:
                raise OpsError("there is no such route at that address: is it an older version, or another app?")
            raise UnreachableError(
                f"{self.target.base_url} answered {status}, and not as the app does: it is away or starts, or "
                "something else stands there"
            )
        if status < 300 or status in also:
            return status, answer
        raise _refusal(status, answer, is_read=method == "GET")

    def _raw(self, method: str, url: str, data: bytes | None, headers: dict[str, str]) -> tuple[int, bytes]:
        request = urllib.request.Request(url, data=data, headers=headers, method=method)  # noqa: S310 - http(s) only
        # the stack's own addresses are on this machine: no proxy is asked
        proxies = [urllib.request.ProxyHandler({})] if self.target.is_embedded else []
        try:
            with urllib.request.build_opener(*proxies, _NoRedirect()).open(request, timeout=SECONDS) as answer:
                self._compare_clocks(answer.headers.get("Date"))
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                self._compare_clocks(error.headers.get("Date"))
                return error.code, error.read()
        except (OSError, HTTPException, ssl.SSLError) as error:
            reason = getattr(error, "reason", error)
            said = reason.strerror if isinstance(reason, OSError) and reason.strerror else type(reason).__name__
            raise UnreachableError(f"{self.target.base_url} does not answer ({said})") from None

    def _compare_clocks(self, said: str | None) -> None:
        """By what every answer says, also one that refuses a token because of the clocks."""
        with suppress(ValueError, TypeError):
            there = parsedate_to_datetime(said or "")
            self.target.clock_ahead_seconds = (there - datetime.now(UTC)).total_seconds()


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A token goes where it was meant to go."""

    def redirect_request(self, *_: Any) -> None:
        return None


_READ: Final = {
    "store_unavailable": "storage did not answer the app",
    "queue_unavailable": "the queues did not answer the app, or refused it",
}
"""What the API tells of a part that is away speaks to whoever sends a command."""


def _refusal(status: int, answer: Json, *, is_read: bool) -> OpsError:
    error = answer.get("error")
    told = error if isinstance(error, dict) else {}
    code, message = str(told.get("code", "")), str(told.get("message", f"the API answered {status}"))
    message = _READ.get(code, message) if is_read else message
    details = [f"{d.get('field')}: {d.get('issue')}" for d in told.get("details", []) if isinstance(d, dict)]
    said = "; ".join([message, *details])
    if status == 401:
        said += (
            "; the token may be old (--token-command), this machine's clock wrong, or a stack's key replaced as it ran "
            "(start it again)"
        )
    if status in (400, 401, 403):
        return UsageError(f"{said} ({code})", api_code=code)
    if status >= 500 or status == 429:
        return UnreachableError(f"{said} ({code}, trace {told.get('traceId', 'unknown')})", api_code=code)
    return OpsError(f"{said} ({code})", api_code=code)


def each_line(rows: list[Json], *names: str) -> Iterator[list[str]]:
    """Cells of a table; what is not there is empty."""
    for row in rows:
        yield ["" if row.get(name) is None else str(row[name]) for name in names]
