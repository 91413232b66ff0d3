"""Who calls: JSON Web Tokens checked against the issuer's keys, and the platform's own word where it is to be trusted.

A token holds where it is signed by RS256 with a key of the issuer's key set, names our issuer and audience, has begun
and not expired, and has a subject. Nothing else decides: a function key opens nothing, and no other algorithm is tried.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
import jwt
from jwt.algorithms import RSAAlgorithm

from mosaic_core.domain.errors import RequestError, TransientError
from mosaic_core.domain.ids import is_empty_guid
from mosaic_core.ports import Finding, Principal

log = logging.getLogger(__name__)

ALGORITHMS: Final = ["RS256"]
LEEWAY_SECONDS: Final = 30
MAX_TOKEN_LENGTH: Final = 16 * 1024
MAX_SUBJECT_LENGTH: Final = 255

KEYS_FRESH_SECONDS: Final = 600.0
KEYS_USABLE_SECONDS: Final = 24 * 3600.0
"""How long keys are used while the issuer is away."""
REFETCH_SECONDS: Final = 30.0
"""At most one fetch in this time once there are keys: unknown key ids must not make us flood the issuer."""
RETRY_SECONDS: Final = 1.0
"""The same while there are none."""

_FETCH_TIMEOUT: Final = aiohttp.ClientTimeout(total=5)
_MAX_KEY_SET: Final = 1024 * 1024
_SUBJECT_CLAIMS: Final = ("sub", "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier")
_ROLE_CLAIMS: Final = ("roles", "http://schemas.microsoft.com/ws/2008/06/identity/claims/role")

type FetchKeys = Callable[[], Awaitable[Mapping[str, Any]]]


class KeysUnavailableError(TransientError):
    """The issuer's keys could not be fetched. ``reason``, for health: unreachable, unusable."""

    code = "identity_unavailable"

    def __init__(self, what: str, *, reason: str = "unreachable") -> None:
        super().__init__(what)
        self.reason = reason


class JwtVerifier:
    """A `TokenVerifier`. ``fetch`` gives the key set as parsed JSON and raises `KeysUnavailableError`; ``monotonic``
    gives seconds."""

    def __init__(
        self, *, issuer: str, audience: str, fetch: FetchKeys, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._issuer = issuer
        self._audience = audience
        self.keys = KeySet(fetch, monotonic)

    async def verify(self, token: str) -> Principal:
        """Raises `RequestError`: ``member_context_invalid``, ``identity_unavailable``."""
        if len(token) > MAX_TOKEN_LENGTH:
            raise _invalid("is too long")
        try:
            header = jwt.get_unverified_header(token)
        except (jwt.PyJWTError, ValueError, RecursionError):
            raise _invalid("is no JSON Web Token") from None
        key_id = header.get("kid")
        if header.get("alg") not in ALGORITHMS or not isinstance(key_id, str):
            raise _invalid("is not signed as it has to be (RS256, with a key id)")
        key = await self.keys.find(key_id)
        if key is None:
            raise _invalid("is signed with a key that the issuer does not have")
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=ALGORITHMS,
                issuer=self._issuer,
                audience=self._audience,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except jwt.ExpiredSignatureError:
            raise _invalid("has expired") from None
        except (jwt.InvalidIssuerError, jwt.InvalidAudienceError):
            raise _invalid("is not for this API") from None
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError):
            raise _invalid("does not hold") from None
        return Principal(_subject(claims["sub"]), _roles(claims.get("roles", [])))


class KeySet:
    """The issuer's public keys by id. Fresh keys cost nothing; older ones are used while they are fetched anew."""

    def __init__(self, fetch: FetchKeys, monotonic: Callable[[], float]) -> None:
        self._fetch = fetch
        self._monotonic = monotonic
        self._keys: dict[str, Any] = {}
        self._fetched_at = float("-inf")
        self._tried_at = float("-inf")
        self._fetching: asyncio.Task[None] | None = None
        self._trouble: str | None = None

    async def find(self, key_id: str) -> Any | None:
        """The key, or None where the issuer has none of this id. Raises `RequestError` without usable keys."""
        age = self._monotonic() - self._fetched_at
        if age > KEYS_USABLE_SECONDS:
            self._keys = {}
        refresh = self._refresh() if age > KEYS_FRESH_SECONDS or key_id not in self._keys else None
        # a known key is good enough while the fetch is under way
        if refresh is not None and key_id not in self._keys:
            await asyncio.shield(refresh)
        if not self._keys:
            raise RequestError("identity_unavailable", "the issuer's keys cannot be fetched; try again later")
        return self._keys.get(key_id)

    async def look(self) -> Finding:
        """Fetch the keys, where the last fetch was not too short a while ago: degraded while the issuer is away and
        keys are known."""
        refresh = self._refresh()
        if refresh is not None:
            await asyncio.shield(refresh)
        usable = bool(self._keys) and self._monotonic() - self._fetched_at <= KEYS_USABLE_SECONDS
        if usable and self._trouble is None:
            return Finding()
        return Finding("degraded" if usable else "down", self._trouble or "unreachable")

    def _refresh(self) -> asyncio.Task[None] | None:
        """The fetch under way, or a new one; None where the last one was too short a while ago."""
        if self._fetching is not None and not self._fetching.done():
            # a task belongs to the loop that it was begun on
            return self._fetching
        wait = REFETCH_SECONDS if self._keys else RETRY_SECONDS
        if self._monotonic() - self._tried_at < wait:
            return None
        self._tried_at = self._monotonic()
        self._fetching = asyncio.create_task(self._load())
        return self._fetching

    async def _load(self) -> None:
        try:
            keys = _rsa_keys(await self._fetch())
        except KeysUnavailableError as error:
            log.warning("the issuer's keys could not be fetched", extra={"reason": str(error)})
            self._trouble = error.reason
            return
        if not keys:
            log.warning("the issuer's key set has no usable key")
            self._trouble = "unusable"
            return
        self._keys, self._fetched_at, self._trouble = keys, self._monotonic(), None


def fetch_by_http(uri: str) -> FetchKeys:
    """A fetch of the key set over HTTP. ``uri`` is the setting Auth__JwksUri."""

    async def fetch() -> Mapping[str, Any]:
        try:
            async with (
                aiohttp.ClientSession(timeout=_FETCH_TIMEOUT) as session,
                session.get(uri, allow_redirects=False) as response,
            ):
                if response.status != 200:
                    reason = "unusable" if response.status < 500 else "unreachable"
                    raise KeysUnavailableError(f"status {response.status}", reason=reason)
                body = await response.content.read(_MAX_KEY_SET + 1)
                while len(body) <= _MAX_KEY_SET and (more := await response.content.read(_MAX_KEY_SET)):
                    body += more
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise KeysUnavailableError(type(error).__name__) from None
        try:
            document = json.loads(body) if len(body) <= _MAX_KEY_SET else None
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise KeysUnavailableError("no JSON object of a usual size", reason="unusable")
        return document

    return fetch


def _rsa_keys(document: Mapping[str, Any]) -> dict[str, Any]:
    """The set's RSA signature keys by id; others are not for us."""
    keys: dict[str, Any] = {}
    listed = document.get("keys")
    for entry in listed if isinstance(listed, list) else []:
        if (
            not isinstance(entry, dict)
            or entry.get("kty") != "RSA"
            or entry.get("use", "sig") != "sig"
            or entry.get("alg", "RS256") not in ALGORITHMS
            or not isinstance(entry.get("kid"), str)
            or "d" in entry
        ):
            continue
        try:
            key = RSAAlgorithm.from_jwk(entry)
        except (jwt.PyJWTError, ValueError, TypeError, KeyError):
            log.warning("a key of the issuer's key set is malformed")
            continue
        if key.key_size >= 2048:
            keys[entry["kid"]] = key
    return keys


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformPrincipals:
    """Callers by ``X-MS-CLIENT-PRINCIPAL`` (base64 of JSON). Only for where the platform itself authenticates callers
    and so overwrites what they send.

    The platform may let in what any of its identity providers vouches for, and tokens that were issued for other apps:
    which provider, issuer and audience count here, the settings say, as they do for tokens."""

    provider: str
    issuer: str
    audience: str

    def __call__(self, header: str) -> Principal:
        """Raises `RequestError` ``member_context_invalid``, and nothing else whatever the header is."""
        provider, claims, role_claims = _platform_claims(header)
        if provider != self.provider:
            raise _invalid("(the platform's) is of another identity provider")

        def values(*kinds: str) -> set[str]:
            return {value for kind, value in claims if kind in kinds}

        if values("iss") != {self.issuer} or self.audience not in values("aud"):
            raise _invalid("(the platform's) is not for this API")
        subjects = values(*_SUBJECT_CLAIMS)
        return Principal(
            _subject(subjects.pop() if len(subjects) == 1 else None),
            _roles(sorted(values(*_ROLE_CLAIMS, *role_claims))),
        )


def _platform_claims(header: str) -> tuple[str, list[tuple[str, str]], list[str]]:
    """The provider's name, the claims, and what a role's claim is called besides its usual names: each of its type."""
    malformed = _invalid("(the platform's) is malformed")
    if len(header) > MAX_TOKEN_LENGTH:
        raise malformed
    try:
        document = json.loads(base64.b64decode(header, validate=True))
    except (ValueError, RecursionError):
        raise malformed from None
    listed = document.get("claims") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        raise malformed

    def text(value: object) -> str:
        if not isinstance(value, str):
            raise malformed
        return value

    role_type = document.get("role_typ")
    claims = [claim if isinstance(claim, dict) else {} for claim in listed]
    return (
        text(document.get("auth_typ")),
        [(text(claim.get("typ")), text(claim.get("val"))) for claim in claims],
        [text(role_type)] if role_type is not None else [],
    )


def _subject(value: object) -> str:
    """Who it is. Control characters and halves of surrogate pairs are in nobody's name; a GUID of zeros is no name."""
    if not isinstance(value, str) or not value.strip() or len(value) > MAX_SUBJECT_LENGTH:
        raise _invalid("has no usable subject")
    if not value.isprintable() or is_empty_guid(value):
        raise _invalid("has no usable subject")
    return value


def _roles(value: object) -> frozenset[str]:
    roles = [value] if isinstance(value, str) else value
    if not isinstance(roles, list) or not all(isinstance(role, str) for role in roles):
        raise _invalid("has roles that are no list of texts")
    return frozenset(roles)


def _invalid(what: str) -> RequestError:
    return RequestError("member_context_invalid", f"the caller's token {what}")
