"""The operators' console at ``/api/console``: a page and its files, as they are in `mosaic_core/console`.

The page holds no data, so it is for anybody; whatever it shows it asks the API for, with the caller's token. It is a
page and no part of the API, hence not in the OpenAPI document.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import azure.functions as func

from mosaic_core.config import ConsoleSettings
from mosaic_core.services.waiting import is_same_tag

FOLDER: Final = Path(__file__).resolve().parent.parent / "console"
PAGE: Final = "index.html"
CONFIG: Final = "config.json"
ROUTES: Final[Mapping[str, str]] = {"console": "console", "console_asset": "console/{asset}"}
"""The functions and their routes, all of them GET, below host.json's ``routePrefix``."""

_TYPES: Final[Mapping[str, str]] = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}

_HEADERS: Final[Mapping[str, str]] = {
    "Cache-Control": "no-cache",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """One file as it is served. ``etag`` is quoted."""

    content: bytes
    media_type: str
    etag: str

    @classmethod
    def of(cls, content: bytes, media_type: str) -> Asset:
        return cls(content, media_type, f'"{hashlib.sha256(content).hexdigest()[:32]}"')


def create_blueprint(settings: ConsoleSettings) -> func.Blueprint:
    """The page's two functions."""
    blueprint = func.Blueprint()
    for name, route in ROUTES.items():
        trigger = blueprint.route(
            route=route, trigger_arg_name="req", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS
        )
        blueprint.function_name(name)(trigger(_function(name, settings)))
    return blueprint


def _function(name: str, settings: ConsoleSettings) -> Callable[[func.HttpRequest], Coroutine[Any, Any, Any]]:
    headers = {**_HEADERS, "Content-Security-Policy": policy(settings)}
    config = Asset.of(json.dumps(public(settings), separators=(",", ":")).encode(), "application/json")

    async def handle(req: func.HttpRequest) -> func.HttpResponse:
        wanted = req.route_params.get("asset", PAGE)
        asset = config if wanted == CONFIG else assets().get(wanted)
        if asset is None:
            return func.HttpResponse("not found\n", status_code=HTTPStatus.NOT_FOUND, headers=headers)
        answered = {**headers, "ETag": asset.etag}
        if is_same_tag(req.headers.get("if-none-match", ""), asset.etag):
            return func.HttpResponse(status_code=HTTPStatus.NOT_MODIFIED, headers=answered)
        return func.HttpResponse(asset.content, headers=answered, mimetype=asset.media_type, charset="utf-8")

    # the worker loads functions by name
    handle.__name__ = handle.__qualname__ = name
    return handle


@cache
def assets() -> Mapping[str, Asset]:
    """The files by name. Nothing but these is ever read by a request."""
    return {
        path.name: Asset.of(path.read_bytes(), _TYPES[path.suffix])
        for path in sorted(FOLDER.iterdir())
        if path.suffix in _TYPES
    }


def policy(settings: ConsoleSettings) -> str:
    """The Content-Security-Policy: the app's own files, and of other origins the sign-in's alone, for requests."""
    connect = "'self'"
    if settings.authority:
        parts = urlsplit(settings.authority)
        connect += f" {parts.scheme}://{parts.netloc}"
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self'",
            f"connect-src {connect}",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
    )


def public(settings: ConsoleSettings) -> dict[str, Any]:
    """What the page has to know before anybody has signed in: public facts of the sign-in, nothing of the app's."""
    return {
        "configured": bool(settings.client_id),
        "authority": settings.authority,
        "clientId": settings.client_id,
        "scope": settings.scope,
    }
