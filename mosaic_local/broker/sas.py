"""Shared access signatures, as `$cbs` put-token carries them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote_plus, unquote_plus

from mosaic_local.broker.errors import UnauthorizedError
from mosaic_local.broker.paths import path_of

_SECONDS = re.compile(r"[0-9]{1,19}")
_PREFIX = "SharedAccessSignature "


@dataclass(slots=True, frozen=True)
class Grant:
    """What a token opens: every entity at or below `path`, until `expires` (seconds since 1970)."""

    path: str
    expires: float

    def covers(self, path: str, now_s: float) -> bool:
        inside = self.path in ("", path) or path.startswith(self.path + "/")
        return inside and now_s < self.expires


def signature(key: str, resource: str, expires: str) -> bytes:
    """Base64, of the resource (quoted, as the token has it) and its end (seconds since 1970)."""
    signed = f"{resource}\n{expires}".encode()
    return base64.b64encode(hmac.new(key.encode(), signed, hashlib.sha256).digest())


def token(key_name: str, key: str, resource: str, expires: int) -> str:
    """What opens ``resource`` and all below it until ``expires`` (seconds since 1970)."""
    quoted = quote_plus(resource)
    signed = quote_plus(signature(key, quoted, str(expires)))
    return f"{_PREFIX}sr={quoted}&sig={signed}&se={expires}&skn={key_name}"


@dataclass(slots=True, frozen=True)
class Verifier:
    key_name: str
    key: str

    def matches(self, name: str, key: str) -> bool:
        """Whether these are the key's name and the key, as SASL PLAIN has them."""
        right = hmac.compare_digest(name.encode(), self.key_name.encode())
        return hmac.compare_digest(key.encode(), self.key.encode()) and right

    def verify(self, token: str, now_s: float) -> Grant:
        """UnauthorizedError says what is wrong with the token, without repeating it."""
        if not token.startswith(_PREFIX):
            raise UnauthorizedError("put-token: a SharedAccessSignature is expected")
        # The signature covers the resource as it is written in the token, so that one stays quoted.
        raw = dict(part.split("=", 1) for part in token[len(_PREFIX) :].split("&") if "=" in part)
        fields = dict(parse_qsl(token[len(_PREFIX) :]))
        named = {"sr", "sig", "se", "skn"} <= fields.keys() and {"sr", "se"} <= raw.keys()
        if not named or _SECONDS.fullmatch(fields.get("se", "")) is None:
            raise UnauthorizedError("put-token: the token lacks one of sr, sig, se, skn")
        if not hmac.compare_digest(fields["skn"].encode(), self.key_name.encode()):
            raise UnauthorizedError("put-token: unknown SharedAccessKeyName")
        if not hmac.compare_digest(signature(self.key, raw["sr"], raw["se"]), fields["sig"].encode()):
            raise UnauthorizedError("put-token: the signature does not match; check SharedAccessKey")
        expires = int(fields["se"])
        if expires <= now_s:
            raise UnauthorizedError("put-token: the token has expired")
        return Grant(path_of(unquote_plus(raw["sr"])), expires)
