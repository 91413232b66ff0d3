"""A token issuer for the embedded stack: RS256 keys, an OpenID configuration, JWKS; tokens are minted offline.

For a developer's machine only: whoever can read the state folder can be anyone.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from hashlib import sha256
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from mosaic_local.errors import StateError
from mosaic_local.state import write_private

AUDIENCE = "api://mosaic-runtime"
DEFAULT_LIFETIME = timedelta(hours=8)
_KEY_BITS = 2048


class SigningKey:
    """The state folder's RSA key."""

    def __init__(self, key: rsa.RSAPrivateKey) -> None:
        self._key = key
        public = key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self.key_id = sha256(public).hexdigest()[:16]

    @classmethod
    def of(cls, state_dir: Path) -> SigningKey:
        """Reads the key, making it where it is missing. Raises StateError where it is not readable."""
        file = state_dir / "issuer" / "key.pem"
        try:
            key = serialization.load_pem_private_key(file.read_bytes(), None)
        except FileNotFoundError:
            made = rsa.generate_private_key(65537, _KEY_BITS)
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            pem = made.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            write_private(file, pem.decode())
            return cls(made)
        except (OSError, ValueError) as exc:
            raise StateError(f"{file} is not readable ({type(exc).__name__}); remove it for a new key") from exc
        if not isinstance(key, rsa.RSAPrivateKey):
            raise StateError(f"{file} is not an RSA key; remove it for a new one")
        return cls(key)

    def jwks(self) -> dict[str, Any]:
        """The public key as a JSON Web Key Set."""
        key = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self._key.public_key()))
        return {"keys": [{**key, "kid": self.key_id, "use": "sig", "alg": "RS256"}]}

    def mint(
        self,
        issuer: str,
        user: str,
        roles: Sequence[str] = (),
        audience: str = AUDIENCE,
        lifetime: timedelta = DEFAULT_LIFETIME,
        now: float | None = None,
    ) -> str:
        """A bearer token: ``sub`` is the user, ``roles`` the roles. A negative lifetime gives one that has expired."""
        issued = int(time.time() if now is None else now)
        claims = {
            "iss": issuer,
            "aud": audience,
            "sub": user,
            "name": user,
            "roles": list(roles),
            "iat": issued,
            "nbf": min(issued, issued + int(lifetime.total_seconds())),
            "exp": issued + int(lifetime.total_seconds()),
            "jti": uuid.uuid4().hex,
        }
        return jwt.encode(claims, self._key, algorithm="RS256", headers={"kid": self.key_id})


class Issuer:
    """Serves the two public documents on loopback, on a thread of its own."""

    def __init__(self, key: SigningKey, host: str = "127.0.0.1", port: int = 0) -> None:
        self._server = ThreadingHTTPServer((host, port), partial(_Handler, self))
        self._server.daemon_threads = True
        self.url = f"http://{host}:{self._server.server_address[1]}"
        self.jwks_uri = f"{self.url}/jwks"
        self.documents: dict[str, dict[str, Any]] = {
            "/jwks": key.jwks(),
            "/.well-known/openid-configuration": {
                "issuer": self.url,
                "jwks_uri": self.jwks_uri,
                "id_token_signing_alg_values_supported": ["RS256"],
                "response_types_supported": ["token"],
                "subject_types_supported": ["public"],
            },
        }
        self._thread = Thread(target=self._server.serve_forever, args=(0.1,), name="issuer", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, issuer: Issuer, *arguments: Any) -> None:
        self._issuer = issuer
        super().__init__(*arguments)

    def do_GET(self) -> None:
        document = self._issuer.documents.get(self.path.partition("?")[0])
        body = b"" if document is None else json.dumps(document).encode()
        self.send_response(HTTPStatus.NOT_FOUND if document is None else HTTPStatus.OK)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        pass
