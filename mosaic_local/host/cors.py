"""Cross-origin requests, as the core tools answer them with ``Host.CORS`` and ``Host.CORSCredentials`` of
local.settings.json: ASP.NET Core's policy with any header and any method, and no exposed header."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from aiohttp import web
from aiohttp.typedefs import Handler
from yarl import URL

from mosaic_local.host.errors import HostConfigurationError

ANY = "*"


@dataclass(frozen=True, slots=True)
class Cors:
    """``origins`` as browsers spell them, or `ANY` alone."""

    origins: frozenset[str]
    credentials: bool = False

    @classmethod
    def parse(cls, origins: str, credentials: bool = False) -> Self | None:
        """``origins`` are separated by commas; None: there are none, and the host knows nothing of origins.

        Raises HostConfigurationError for one that no browser sends, which the core tools take and never match, and for
        any origin with credentials, which they refuse as well.
        """
        wanted = [origin for origin in origins.split(",") if origin]
        if not wanted:
            return None
        faults = [origin for origin in wanted if origin != ANY and not _is_origin(origin.lower())]
        if faults:
            raise HostConfigurationError(
                f"CORS: no browser sends these as an origin (scheme, host and port, nothing else): {', '.join(faults)}"
            )
        if ANY in wanted and credentials:
            raise HostConfigurationError("CORS: any origin (*) with credentials is not allowed; name the origins")
        return cls(frozenset({ANY} if ANY in wanted else {origin.lower() for origin in wanted}), credentials)

    def install(self, app: web.Application) -> None:
        """For all that the host answers, its own endpoints, errors and streams included."""

        @web.middleware
        async def preflight(request: web.Request, handler: Handler) -> web.StreamResponse:
            if not _is_preflight(request):
                return await handler(request)
            answer = web.Response(status=204)
            self._allow(request.headers["Origin"], answer, request)
            return answer

        async def prepare(request: web.Request, answer: web.StreamResponse) -> None:
            if "Origin" in request.headers and not _is_preflight(request):
                self._allow(request.headers["Origin"], answer)

        app.middlewares.append(preflight)
        app.on_response_prepare.append(prepare)

    def _allow(self, origin: str, answer: web.StreamResponse, preflight: web.Request | None = None) -> None:
        """Nothing is said to an origin that is not allowed: its browser keeps the answer from the page."""
        if ANY not in self.origins and origin not in self.origins:
            return
        answer.headers["Access-Control-Allow-Origin"] = ANY if ANY in self.origins else origin
        if len(self.origins) > 1:
            answer.headers.add("Vary", "Origin")
        if self.credentials:
            answer.headers["Access-Control-Allow-Credentials"] = "true"
        if preflight is not None:
            if wanted := preflight.headers.get("Access-Control-Request-Headers"):
                answer.headers["Access-Control-Allow-Headers"] = wanted
            answer.headers["Access-Control-Allow-Methods"] = preflight.headers["Access-Control-Request-Method"]


def _is_preflight(request: web.BaseRequest) -> bool:
    headers = request.headers
    return request.method == "OPTIONS" and "Origin" in headers and "Access-Control-Request-Method" in headers


def _is_origin(text: str) -> bool:
    try:
        url = URL(text)
        return url.scheme in ("http", "https") and bool(url.host) and str(url.origin()) == text
    except ValueError:
        return False
