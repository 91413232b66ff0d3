"""Tokens: what holds, what does not, and how the issuer's keys are kept."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st

from mosaic_core.adapters.identity import (
    KEYS_FRESH_SECONDS,
    KEYS_USABLE_SECONDS,
    REFETCH_SECONDS,
    JwtVerifier,
    KeysUnavailableError,
    PlatformPrincipals,
)
from mosaic_core.domain.errors import RequestError
from mosaic_core.ports import Principal

ISSUER = "https://issuer.example/v2.0"
AUDIENCE = "api://mosaic-runtime"
KEY = rsa.generate_private_key(65537, 2048)
OTHER_KEY = rsa.generate_private_key(65537, 2048)


def jwk(key: rsa.RSAPrivateKey = KEY, kid: str = "k1", **changes: Any) -> dict[str, Any]:
    public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key()))
    return {**public, "kid": kid, "use": "sig", "alg": "RS256", **changes}


class Issuer:
    """The issuer's key set, counted; ``away`` makes it unreachable, ``gate`` slow."""

    def __init__(self, *keys: dict[str, Any]) -> None:
        self.keys = list(keys or (jwk(),))
        self.away = False
        self.fetches = 0
        self.gate: asyncio.Event | None = None

    async def fetch(self) -> Mapping[str, Any]:
        self.fetches += 1
        if self.gate is not None:
            await self.gate.wait()
        if self.away:
            raise KeysUnavailableError("away")
        return {"keys": self.keys}


class Ticks:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture
def ticks() -> Ticks:
    return Ticks()


@pytest.fixture
def verifier(issuer: Issuer, ticks: Ticks) -> JwtVerifier:
    return JwtVerifier(issuer=ISSUER, audience=AUDIENCE, fetch=issuer.fetch, monotonic=ticks)


def claims(**changes: Any) -> dict[str, Any]:
    now = datetime.now(UTC)
    value = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "alice",
        "roles": ["Mosaic.Ingest"],
        "nbf": now - timedelta(minutes=1),
        "exp": now + timedelta(minutes=5),
    }
    return {name: it for name, it in (value | changes).items() if it is not None}


def token(key: rsa.RSAPrivateKey = KEY, kid: str | None = "k1", **changes: Any) -> str:
    return jwt.encode(claims(**changes), key, algorithm="RS256", headers={"kid": kid} if kid else None)


async def refusal(verifier: JwtVerifier, text: str) -> RequestError:
    with pytest.raises(RequestError) as caught:
        await verifier.verify(text)
    return caught.value


def segment(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


async def test_a_token_that_holds(verifier: JwtVerifier) -> None:
    principal = await verifier.verify(token())
    assert principal.subject == "alice"
    assert principal.roles == {"Mosaic.Ingest"}


@pytest.mark.parametrize(("roles", "expected"), [(None, set()), ("One", {"One"}), ([], set())])
async def test_roles_are_optional(verifier: JwtVerifier, roles: object, expected: set[str]) -> None:
    assert (await verifier.verify(token(roles=roles))).roles == expected


async def test_clocks_may_differ_a_little(verifier: JwtVerifier) -> None:
    now = datetime.now(UTC)
    await verifier.verify(token(exp=now - timedelta(seconds=10)))
    await verifier.verify(token(nbf=now + timedelta(seconds=10)))


def unsigned() -> str:
    body = segment(claims(nbf=0, exp=int(time.time()) + 300))
    return f"{segment({'alg': 'none', 'kid': 'k1'})}.{body}."


def signed_with_the_public_key_as_secret() -> str:
    """The classic swap: the public key, which everybody has, as an HMAC secret."""
    pem = KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    head = segment({"alg": "HS256", "typ": "JWT", "kid": "k1"})
    body = segment(claims(nbf=0, exp=int(time.time()) + 300))
    mac = hmac.new(pem, f"{head}.{body}".encode(), hashlib.sha256).digest()
    return f"{head}.{body}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def with_another_header() -> str:
    """A good signature over a header that names another algorithm."""
    _, body, signature = token().split(".")
    return f"{segment({'alg': 'RS512', 'kid': 'k1'})}.{body}.{signature}"


def with_other_claims() -> str:
    head, _, signature = token().split(".")
    return f"{head}.{segment(claims(sub='bob', nbf=0, exp=int(time.time()) + 300))}.{signature}"


FORGED: dict[str, Callable[[], str]] = {
    "unsigned": unsigned,
    "hmac by the public key": signed_with_the_public_key_as_secret,
    "another algorithm in the header": with_another_header,
    "other claims": with_other_claims,
    "another key": lambda: token(OTHER_KEY),
    "PS256": lambda: jwt.encode(claims(), KEY, algorithm="PS256", headers={"kid": "k1"}),
    "ES256": lambda: jwt.encode(
        claims(), ec.generate_private_key(ec.SECP256R1()), algorithm="ES256", headers={"kid": "k1"}
    ),
    "its own key inside": lambda: jwt.encode(
        claims(), OTHER_KEY, algorithm="RS256", headers={"kid": "k2", "jwk": jwk(OTHER_KEY, "k2")}
    ),
    "no key id": lambda: token(kid=None),
    "unknown key id": lambda: token(kid="k9"),
    "expired": lambda: token(exp=datetime.now(UTC) - timedelta(minutes=2)),
    "not yet": lambda: token(nbf=datetime.now(UTC) + timedelta(minutes=2)),
    "never expires": lambda: token(exp=None),
    "wrong audience": lambda: token(aud="api://another"),
    "no audience": lambda: token(aud=None),
    "wrong issuer": lambda: token(iss="https://evil.example"),
    "no issuer": lambda: token(iss=None),
    "no subject": lambda: token(sub=None),
    "empty subject": lambda: token(sub=" "),
    "number as subject": lambda: token(sub=7),
    "long subject": lambda: token(sub="x" * 256),
    "roles that are no list": lambda: token(roles={"Mosaic.Ingest": True}),
    "roles that are no texts": lambda: token(roles=[1]),
    "no token": lambda: "alice",
    "dots": lambda: "..",
    "empty": lambda: "",
    "bad base64": lambda: "a.b.c",
    "long": lambda: "x" * 20_000,
    "not ascii": lambda: "é.é.é",
}


@pytest.mark.parametrize("forge", FORGED.values(), ids=list(FORGED))
async def test_what_does_not_hold_is_401(verifier: JwtVerifier, forge: Callable[[], str]) -> None:
    refused = await refusal(verifier, forge())
    assert refused.code == "member_context_invalid"


async def test_a_refusal_does_not_quote_the_token(verifier: JwtVerifier) -> None:
    forged = token(OTHER_KEY, sub="somebody")
    assert forged[:20] not in str(await refusal(verifier, forged))


# ---------------------------------------------------------------------------------------------------------------- keys


@pytest.mark.parametrize(
    "key",
    [
        {"kty": "oct", "k": "c2VjcmV0", "kid": "k1"},
        jwk(use="enc"),
        jwk(alg="RS512"),
        jwk(n="AQAB"),
        jwk(n=7),
        {**jwk(), "kid": 5},
        jwk(rsa.generate_private_key(65537, 1024)),
        json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(KEY)) | {"kid": "k1"},
        "text",
    ],
    ids=["symmetric", "for encryption", "another algorithm", "tiny", "malformed", "odd id", "short", "private", "text"],
)
async def test_unsuitable_keys_are_not_used(key: Any, ticks: Ticks) -> None:
    issuer = Issuer(key, jwk(OTHER_KEY, "k2"))
    verifier = JwtVerifier(issuer=ISSUER, audience=AUDIENCE, fetch=issuer.fetch, monotonic=ticks)
    assert (await refusal(verifier, token())).code == "member_context_invalid"
    await verifier.verify(token(OTHER_KEY, "k2"))


async def test_keys_are_fetched_once_while_fresh(verifier: JwtVerifier, issuer: Issuer) -> None:
    await asyncio.gather(*(verifier.verify(token()) for _ in range(5)))
    await verifier.verify(token())
    assert issuer.fetches == 1


async def test_a_new_key_is_found_and_unknown_ones_do_not_flood(
    verifier: JwtVerifier, issuer: Issuer, ticks: Ticks
) -> None:
    await verifier.verify(token())
    issuer.keys.append(jwk(OTHER_KEY, "k2"))
    for _ in range(20):
        await refusal(verifier, token(OTHER_KEY, "k2"))
    assert issuer.fetches == 1
    ticks.now += REFETCH_SECONDS
    await verifier.verify(token(OTHER_KEY, "k2"))
    for _ in range(20):
        await refusal(verifier, token(kid="k9"))
    assert issuer.fetches == 2


async def test_a_withdrawn_key_is_forgotten(verifier: JwtVerifier, issuer: Issuer, ticks: Ticks) -> None:
    await verifier.verify(token())
    issuer.keys[:] = [jwk(OTHER_KEY, "k2")]
    ticks.now += KEYS_FRESH_SECONDS + 1
    await verifier.verify(token())  # good enough while the fetch is under way
    await asyncio.sleep(0)
    assert (await refusal(verifier, token())).code == "member_context_invalid"


async def test_stale_keys_serve_while_the_issuer_is_away_for_a_while(
    verifier: JwtVerifier, issuer: Issuer, ticks: Ticks
) -> None:
    await verifier.verify(token())
    issuer.away = True
    ticks.now += KEYS_USABLE_SECONDS - 1
    await verifier.verify(token())
    await asyncio.sleep(0)
    assert issuer.fetches == 2
    ticks.now += 40
    refused = await refusal(verifier, token())
    assert refused.code == "identity_unavailable"


async def test_a_slow_issuer_holds_up_nobody_whose_key_is_known(
    verifier: JwtVerifier, issuer: Issuer, ticks: Ticks
) -> None:
    await verifier.verify(token())
    issuer.gate = asyncio.Event()
    ticks.now += KEYS_FRESH_SECONDS + 1
    for _ in range(3):
        await asyncio.wait_for(verifier.verify(token()), 1)
        await asyncio.sleep(0)
    assert issuer.fetches == 2
    issuer.gate.set()


async def test_without_any_keys_it_is_503_and_soon_tried_again(
    verifier: JwtVerifier, issuer: Issuer, ticks: Ticks
) -> None:
    issuer.away = True
    assert (await refusal(verifier, token())).code == "identity_unavailable"
    issuer.away = False
    ticks.now += 1
    await verifier.verify(token())


# ------------------------------------------------------------------------------------------------------------ platform


PLATFORM = PlatformPrincipals(provider="aad", issuer=ISSUER, audience=AUDIENCE)
SUBJECT = {"typ": "sub", "val": "alice"}
OURS = [{"typ": "iss", "val": ISSUER}, {"typ": "aud", "val": AUDIENCE}]
NAME_IDENTIFIER = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier"


def header(document: object) -> str:
    return base64.b64encode(json.dumps(document).encode()).decode()


def claimed(*claims: object, **more: object) -> str:
    return header({"auth_typ": "aad", "claims": [*OURS, *claims], **more})


def test_the_platform_s_principal() -> None:
    principal = PLATFORM(
        claimed(
            {"typ": NAME_IDENTIFIER, "val": "alice"},
            {"typ": "roles", "val": "Mosaic.Ingest"},
            {"typ": "custom", "val": "Mosaic.Operator.Read"},
            {"typ": "name", "val": "Mosaic.Operator.Admin"},
            name_typ="name",
            role_typ="custom",
        )
    )
    assert principal == Principal("alice", frozenset({"Mosaic.Ingest", "Mosaic.Operator.Read"}))


def test_the_platform_s_claims_may_name_several_audiences_and_a_subject_twice() -> None:
    also = {"typ": "aud", "val": "another-app"}
    assert PLATFORM(claimed(SUBJECT, {"typ": NAME_IDENTIFIER, "val": "alice"}, also)).subject == "alice"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not base64!",
        "é",
        "\ud800",
        "/w==",
        base64.b64encode(b"[" * 10_000).decode(),
        base64.b64encode(b'{"claims": 1' + b"0" * 5000 + b"}").decode(),
        header([]),
        header("text"),
        header({}),
        header({"auth_typ": "aad", "claims": None}),
        header({"auth_typ": "aad", "claims": {}}),
        header({"auth_typ": "aad", "claims": "sub"}),
        claimed({}),
        claimed("sub"),
        claimed(["sub", "alice"]),
        claimed(),
        claimed({"typ": "sub"}),
        claimed({"typ": "sub", "val": ""}),
        claimed({"typ": "sub", "val": 5}),
        claimed({"typ": "sub", "val": None}),
        claimed({"typ": "sub", "val": ["alice"]}),
        claimed({"typ": ["sub"], "val": "alice"}),
        claimed({"typ": {}, "val": "x"}, SUBJECT),
        claimed({"typ": "roles", "val": ["Mosaic.Operator.Admin"]}, SUBJECT),
        claimed(SUBJECT, {"typ": "sub", "val": "bob"}),
        claimed({"typ": "sub", "val": "a" * 256}),
        claimed({"typ": "sub", "val": "alice\n"}),
        claimed({"typ": "sub", "val": "\ud800"}),
        claimed({"typ": "sub", "val": "0" * 32}),
        claimed({"typ": "sub", "val": "{00000000-0000-0000-0000-000000000000}"}),
        claimed(SUBJECT, role_typ=[]),
        claimed(SUBJECT, role_typ={"roles": 1}),
        claimed(SUBJECT, {"typ": "name", "val": "x" * 20_000}),
        claimed(SUBJECT, auth_typ=None),
        claimed(SUBJECT, auth_typ=["aad"]),
        claimed(SUBJECT, auth_typ=""),
    ],
)
def test_a_malformed_platform_principal_is_401(text: str) -> None:
    with pytest.raises(RequestError) as caught:
        PLATFORM(text)
    assert caught.value.code == "member_context_invalid"


@pytest.mark.parametrize(
    "document",
    [
        {"auth_typ": "google", "claims": [*OURS, SUBJECT]},
        {"auth_typ": "AAD ", "claims": [*OURS, SUBJECT]},
        {"auth_typ": "aad", "claims": [SUBJECT]},
        {"auth_typ": "aad", "claims": [OURS[0], SUBJECT]},
        {"auth_typ": "aad", "claims": [OURS[1], SUBJECT]},
        {"auth_typ": "aad", "claims": [OURS[0], {"typ": "aud", "val": "another-app"}, SUBJECT]},
        {"auth_typ": "aad", "claims": [OURS[1], {"typ": "iss", "val": f"{ISSUER}/"}, SUBJECT]},
        {"auth_typ": "aad", "claims": [*OURS, {"typ": "iss", "val": "https://elsewhere.example"}, SUBJECT]},
    ],
    ids=[
        "another provider",
        "nearly ours",
        "neither",
        "no audience",
        "no issuer",
        "another app's",
        "another issuer's",
        "two issuers",
    ],
)
def test_the_platform_s_word_is_for_our_provider_issuer_and_audience(document: object) -> None:
    with pytest.raises(RequestError) as caught:
        PLATFORM(header(document))
    assert caught.value.code == "member_context_invalid"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["sub", "aad"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["typ", "val", "claims", "auth_typ", "role_typ"]), inner, max_size=5)
    ),
    max_leaves=20,
)


@given(json_values | st.builds(lambda claims: {"auth_typ": "aad", "claims": [*OURS, *claims]}, st.lists(json_values)))
def test_whatever_the_platform_s_header_holds_it_is_a_principal_or_401(document: object) -> None:
    code = ""
    try:
        found = PLATFORM(header(document))
    except RequestError as refused:
        code = refused.code
    else:
        assert found.subject
        assert all(isinstance(role, str) for role in found.roles)
    assert code in ("", "member_context_invalid")


# ------------------------------------------------------------------------------------------------------- odd tokens


@pytest.mark.parametrize("sub", ["0" * 32, "00000000-0000-0000-0000-000000000000", "a\nb", "\ud800", "\x1b[1m"])
async def test_a_subject_that_nobody_has_is_401(verifier: JwtVerifier, sub: str) -> None:
    assert (await refusal(verifier, token(sub=sub))).code == "member_context_invalid"


@pytest.mark.parametrize("part", [0, 1])
async def test_a_token_that_is_too_deep_is_401(verifier: JwtVerifier, part: int) -> None:
    deep = base64.urlsafe_b64encode(b'{"alg":"RS256","kid":"k1","x":' + b"[" * 6000).decode().rstrip("=")
    if part == 0:
        odd = f"{deep}.e30.c2ln"
    else:
        odd = jwt.api_jws.PyJWS().encode(b'{"x":' + b"[" * 6000, KEY, "RS256", headers={"kid": "k1"})
    assert (await refusal(verifier, odd)).code == "member_context_invalid"
