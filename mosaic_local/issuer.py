"""A token issuer for the embedded stack: RS256 keys, an OpenID configuration, JWKS; tokens are minted offline, or by
signing in (`mosaic_local.signin`).

For a developer's machine only: whoever can read the state folder, or reach the port, can be anyone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Final

from mosaic_local import signin
from mosaic_local.signin import Reply, SignIn
from mosaic_local.signing import AUDIENCE, SigningKey

_MAX_FORM_BYTES: Final = 16_384


class Issuer:
    """Serves its public documents and the sign-in on loopback, on a thread of its own. ``redirect_uris`` are where the
    console is, to the letter; ``audience`` is that of the tokens for the API."""

    def __init__(
        self,
        key: SigningKey,
        host: str = "127.0.0.1",
        port: int = 0,
        redirect_uris: Sequence[str] = (),
        audience: str = AUDIENCE,
    ) -> None:
        self._server = ThreadingHTTPServer((host, port), partial(_Handler, self))
        self._server.daemon_threads = True
        self.url = f"http://{host}:{self._server.server_address[1]}"
        self.jwks_uri = f"{self.url}/jwks"

        def mint(user: str, roles: Sequence[str], for_client: str | None, more: Mapping[str, str]) -> str:
            lifetime = timedelta(seconds=signin.TOKEN_SECONDS)
            return key.mint(self.url, user, roles, for_client or audience, lifetime, more=more)

        self.sign_in = SignIn(self.url, redirect_uris, mint)
        self.documents: dict[str, dict[str, Any]] = {
            "/jwks": key.jwks(),
            "/.well-known/openid-configuration": {
                "issuer": self.url,
                "jwks_uri": self.jwks_uri,
                "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/token",
                "id_token_signing_alg_values_supported": ["RS256"],
                "response_types_supported": ["code"],
                "response_modes_supported": ["query", "fragment"],
                "grant_types_supported": ["authorization_code"],
                "code_challenge_methods_supported": ["S256"],
                "token_endpoint_auth_methods_supported": ["none"],
                "authorization_response_iss_parameter_supported": True,
                "scopes_supported": ["openid"],
                "subject_types_supported": ["public"],
            },
        }
        self._thread = Thread(target=self._server.serve_forever, args=(0.1,), name="issuer", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    timeout = 10  # a client that says nothing holds its thread no longer

    def __init__(self, issuer: Issuer, *arguments: Any) -> None:
        self._issuer = issuer
        super().__init__(*arguments)

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        document = self._issuer.documents.get(path)
        if document is not None:
            self._answer(Reply(HTTPStatus.OK, json.dumps(document), "application/json"), shared=True)
        elif path == "/authorize":
            self._answer(self._issuer.sign_in.page(query))
        elif path == "/signin.css":
            self._answer(Reply(HTTPStatus.OK, signin.STYLE, "text/css; charset=utf-8"))
        else:
            self._answer(Reply(HTTPStatus.NOT_FOUND, "", "application/json"))

    def do_POST(self) -> None:
        path, _, query = self.path.partition("?")
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > _MAX_FORM_BYTES:
            self.close_connection = True
            self._answer(Reply(HTTPStatus.REQUEST_ENTITY_TOO_LARGE))
            return
        body = self.rfile.read(int(length)).decode("utf-8", "replace")
        if path == "/authorize":
            self._answer(self._issuer.sign_in.chosen(query, body))
        elif path == "/token":
            self._answer(self._issuer.sign_in.redeem(body), shared=True)
        else:
            self._answer(Reply(HTTPStatus.NOT_FOUND, "", "application/json"))

    def do_OPTIONS(self) -> None:
        more = {"Access-Control-Allow-Methods": "GET, POST", "Access-Control-Allow-Headers": "Content-Type"}
        self._answer(Reply(HTTPStatus.NO_CONTENT, headers=more), shared=True)

    def _answer(self, reply: Reply, *, shared: bool = False) -> None:
        """``shared``: with the console, whose origin is another one."""
        body = reply.body.encode()
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.media_type)
        self.send_header("Content-Length", str(len(body)))
        origin = self.headers.get("Origin", "")
        if shared:
            self.send_header("Vary", "Origin")
            if origin in self._issuer.sign_in.origins():
                self.send_header("Access-Control-Allow-Origin", origin)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        pass
