"""Signing in at the embedded issuer: authorization code with PKCE (RFC 6749, 7636, 9207; OpenID Connect), for a public
client whose redirect URIs are known. The page asks who one would like to be: there are no passwords here.

For a developer's machine only: whoever reaches the issuer's loopback port can be anyone.
"""

from __future__ import annotations

import base64
import hmac
import json
import re
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from html import escape
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit

CLIENT_ID: Final = "mosaic-console"
CODE_SECONDS: Final = 60.0
TOKEN_SECONDS: Final = 3600
MAX_CODES: Final = 100
"""Codes that wait to be redeemed; more, and the oldest goes."""

USERS: Final[Mapping[str, str]] = {
    "alice": "member of a sample household",
    "bob": "member of the other sample household",
    "operator": "member of no household",
}
ROLES: Final[Mapping[str, tuple[str, bool]]] = {
    "Mosaic.Operator.Read": ("see lanes, runs, signals, dead letters", True),
    "Mosaic.Operator.Replay": ("resolve signals, replay dead letters", True),
    "Mosaic.Operator.Admin": ("pause lanes, change members", False),
    "Mosaic.Ingest": ("send a household's transactions", False),
}
"""Each with what it opens, and whether it is ticked at first."""

_VERIFIER: Final = re.compile(r"[A-Za-z0-9._~-]{43,128}", re.ASCII)
_CHALLENGE: Final = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}", re.ASCII)
_ONCE: Final = (
    "client_id",
    "redirect_uri",
    "response_type",
    "response_mode",
    "scope",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
)

STYLE: Final = """\
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif }
body { margin: 0; padding: 2rem 1rem; display: grid; place-items: start center }
main { width: min(100%, 26rem) }
h1 { font-size: 1.4rem; margin: 0 0 .25rem }
fieldset { border: 1px solid GrayText; border-radius: .5rem; margin: 1.25rem 0; padding: .5rem 1rem 1rem }
legend { padding: 0 .4rem; font-weight: 600 }
label { display: grid; grid-template-columns: auto 1fr; gap: 0 .6rem; padding: .45rem 0; align-items: baseline }
label small { grid-column: 2 }
input { width: 1.15rem; height: 1.15rem; margin: 0; align-self: center }
button { font: inherit; font-weight: 600; padding: .7rem 1.4rem; border: 0; border-radius: .5rem; cursor: pointer;
  background: #1d4ed8; color: #fff }
:focus-visible { outline: 3px solid #3b82f6; outline-offset: 2px }
"""


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    body: str = ""
    media_type: str = "text/html; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Granted:
    """What a code stands for, until ``over`` (monotonic)."""

    redirect_uri: str
    challenge: str
    nonce: str
    scope: str
    user: str
    roles: tuple[str, ...]
    over: float


class SignIn:
    """The authorization and the token endpoint. ``mint`` makes a token from issuer's own claims: ``(user, roles,
    audience or None for the API's, further claims)``. Methods are thread-safe."""

    def __init__(
        self,
        issuer: str,
        redirect_uris: Sequence[str],
        mint: Callable[[str, Sequence[str], str | None, Mapping[str, str]], str],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.issuer = issuer
        self.redirect_uris = tuple(redirect_uris)
        self._mint = mint
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._codes: dict[str, _Granted] = {}

    # ------------------------------------------------------------------------------------------------- authorization

    def page(self, query: str) -> Reply:
        """The sign-in page for an authorization request; what is wrong with the request goes back to the client as far
        as it is known to be the client."""
        asked, wrong = self._asked(query)
        return wrong if wrong is not None else self._form(asked)

    def chosen(self, query: str, body: str) -> Reply:
        """Whom the person chose to be: back to the client with a code."""
        asked, wrong = self._asked(query)
        if wrong is not None:
            return wrong
        form = parse_qsl(body)
        user = next((value for name, value in form if name == "user"), "")
        roles = tuple(role for role in ROLES if ("role", role) in form)
        if ("cancel", "1") in form:
            return self._back(asked, error="access_denied")
        if not _NAME.fullmatch(user):
            return self._form(asked, "Choose who you would like to be.")
        code = secrets.token_urlsafe(32)
        granted = _Granted(
            redirect_uri=asked["redirect_uri"],
            challenge=asked["code_challenge"],
            nonce=asked.get("nonce", ""),
            scope=asked.get("scope", ""),
            user=user,
            roles=roles,
            over=self._monotonic() + CODE_SECONDS,
        )
        with self._lock:
            while len(self._codes) >= MAX_CODES:
                self._codes.pop(next(iter(self._codes)))
            self._codes[code] = granted
        return self._back(asked, code=code)

    def _asked(self, query: str) -> tuple[dict[str, str], Reply | None]:
        pairs = parse_qsl(query, keep_blank_values=True)
        asked = dict(pairs)
        twice = any(sum(name == once for name, _ in pairs) > 1 for once in _ONCE)
        # an unknown client, or an address that is not to the letter one of its own, is never redirected to
        if twice or asked.get("client_id") != CLIENT_ID or asked.get("redirect_uri") not in self.redirect_uris:
            return asked, _refused_page(
                "This sign-in is for the console of this stack, at the address that the stack serves it."
            )
        if asked.get("response_mode", "query") not in ("query", "fragment"):
            asked.pop("response_mode")
            return asked, self._back(asked, error="invalid_request")
        if asked.get("response_type") != "code":
            return asked, self._back(asked, error="unsupported_response_type")
        if asked.get("code_challenge_method") != "S256" or not _CHALLENGE.fullmatch(asked.get("code_challenge", "")):
            return asked, self._back(asked, error="invalid_request")
        if "openid" not in asked.get("scope", "").split():
            return asked, self._back(asked, error="invalid_scope")
        return asked, None

    def _back(self, asked: Mapping[str, str], **said: str) -> Reply:
        told = {**said, "iss": self.issuer} | ({"state": asked["state"]} if "state" in asked else {})
        separator = "#" if asked.get("response_mode") == "fragment" else "?"
        location = f"{asked['redirect_uri']}{separator}{urlencode(told)}"
        return Reply(HTTPStatus.SEE_OTHER, headers={"Location": location, "Cache-Control": "no-store"})

    def _form(self, asked: Mapping[str, str], problem: str = "") -> Reply:
        users = "".join(
            f'<label><input type="radio" name="user" value="{escape(name)}"{" checked" if not index else ""}>'
            f"<span>{escape(name)}</span><small>{escape(what)}</small></label>"
            for index, (name, what) in enumerate(USERS.items())
        )
        roles = "".join(
            f'<label><input type="checkbox" name="role" value="{escape(name)}"{" checked" if ticked else ""}>'
            f"<span>{escape(name)}</span><small>{escape(what)}</small></label>"
            for name, (what, ticked) in ROLES.items()
        )
        told = f'<p role="alert">{escape(problem)}</p>' if problem else ""
        body = (
            "<h1>Sign in to the embedded stack</h1>"
            f"<p>There are no passwords here: choose who you would like to be.</p>{told}"
            '<form method="post">'
            f"<fieldset><legend>Who</legend>{users}</fieldset>"
            f"<fieldset><legend>Roles of the token</legend>{roles}</fieldset>"
            '<button type="submit">Sign in</button></form>'
        )
        back = urlsplit(asked["redirect_uri"])
        # browsers hold a form's redirect to the same rule
        return _page(HTTPStatus.OK, body, f"'self' {back.scheme}://{back.netloc}")

    # ------------------------------------------------------------------------------------------------------- redeeming

    def redeem(self, body: str) -> Reply:
        """A code for its tokens, once. Errors as RFC 6749, section 5.2, has them."""
        pairs = parse_qsl(body, keep_blank_values=True)
        form = dict(pairs)
        if len(form) != len(pairs):
            return _token_error("invalid_request")
        if form.get("grant_type") != "authorization_code":
            return _token_error("unsupported_grant_type")
        if form.get("client_id") != CLIENT_ID:
            return _token_error("invalid_client")
        with self._lock:
            granted = self._codes.pop(form.get("code", ""), None)  # gone, whatever comes of this try
        verifier = form.get("code_verifier", "")
        if (
            granted is None
            or granted.over < self._monotonic()
            or form.get("redirect_uri") != granted.redirect_uri
            or not _VERIFIER.fullmatch(verifier)
            or not hmac.compare_digest(challenge_of(verifier), granted.challenge)
        ):
            return _token_error("invalid_grant")
        nonce = {"nonce": granted.nonce} if granted.nonce else {}
        answer = {
            "token_type": "Bearer",
            "expires_in": TOKEN_SECONDS,
            "scope": granted.scope,
            "access_token": self._mint(granted.user, granted.roles, None, {}),
            "id_token": self._mint(granted.user, granted.roles, CLIENT_ID, nonce),
        }
        return _json(HTTPStatus.OK, answer)

    def origins(self) -> frozenset[str]:
        """Of the pages that may redeem codes."""
        return frozenset(f"{uri.scheme}://{uri.netloc}" for uri in map(urlsplit, self.redirect_uris))


def challenge_of(verifier: str) -> str:
    """S256: BASE64URL(SHA256(verifier))."""
    return base64.urlsafe_b64encode(sha256(verifier.encode("ascii")).digest()).rstrip(b"=").decode("ascii")


def _json(status: int, value: Mapping[str, object]) -> Reply:
    return Reply(status, json.dumps(value), "application/json", {"Cache-Control": "no-store"})


def _token_error(code: str) -> Reply:
    return _json(HTTPStatus.BAD_REQUEST, {"error": code})


def _refused_page(what: str) -> Reply:
    return _page(HTTPStatus.BAD_REQUEST, f"<h1>Not this way</h1><p>{escape(what)}</p>", "'none'")


def _page(status: int, body: str, form_action: str) -> Reply:
    text = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Sign in: embedded stack</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<link rel="stylesheet" href="/signin.css"></head><body><main>{body}</main></body></html>'
    )
    policy = f"default-src 'none'; style-src 'self'; form-action {form_action}; base-uri 'none'; frame-ancestors 'none'"
    return Reply(
        status,
        text,
        headers={
            "Content-Security-Policy": policy,
            "Cache-Control": "no-store",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        },
    )
