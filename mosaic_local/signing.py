"""The embedded issuer's key, and the tokens that it signs: without the server, for which a token does not wait.

``python -m mosaic_local.signing`` is `./mosaic token` for a tool that needs one before it can ask: without the packages
that make a command line comfortable.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from mosaic_local.errors import StackError, StateError
from mosaic_local.state import read_stack, write_private

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
        more: Mapping[str, str] | None = None,
    ) -> str:
        """A bearer token: ``sub`` is the user, ``roles`` the roles. A negative lifetime gives one that has expired.
        ``more`` are further claims."""
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
            **(more or {}),
        }
        return jwt.encode(claims, self._key, algorithm="RS256", headers={"kid": self.key_id})


def main(arguments: Sequence[str]) -> int:
    """Prints a token of the running stack. Exit code 3, and a line, where there is none."""
    parser = argparse.ArgumentParser(prog="mosaic_local.signing")
    parser.add_argument("--user", required=True)
    parser.add_argument("--role", action="append", default=[])
    parser.add_argument("--state", type=Path)
    asked = parser.parse_args(arguments)
    try:
        environment = read_stack(asked.state)["environment"]
        key = SigningKey.of(Path(environment["StateDir"]))
    except StackError as error:
        print(f"mosaic: {error}", file=sys.stderr)
        return 3
    print(key.mint(environment["Auth__Issuer"], asked.user, asked.role, environment["Auth__Audience"]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
