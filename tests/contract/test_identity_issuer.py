"""Fetching an issuer's key set over HTTP, from the embedded stack's issuer and from ones that misbehave."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from mosaic_core.adapters.identity import JwtVerifier, KeysUnavailableError, fetch_by_http
from mosaic_core.domain.errors import RequestError
from mosaic_local.issuer import Issuer
from mosaic_local.signing import AUDIENCE, SigningKey

type Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
type Serve = Callable[[Handler], Awaitable[str]]


@pytest.fixture
def key(tmp_path: Path) -> SigningKey:
    return SigningKey.of(tmp_path)


@pytest.fixture
def issuer(key: SigningKey) -> Iterator[Issuer]:
    issuer = Issuer(key)
    yield issuer
    issuer.stop()


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    runners: list[web.AppRunner] = []

    async def start(handler: Handler) -> str:
        app = web.Application()
        app.router.add_get("/{path:.*}", handler)
        runner = web.AppRunner(app)
        runners.append(runner)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{runner.addresses[0][1]}/keys"

    yield start
    for runner in runners:
        await runner.cleanup()


async def test_a_token_of_the_embedded_issuer_holds(key: SigningKey, issuer: Issuer) -> None:
    verifier = JwtVerifier(issuer=issuer.url, audience=AUDIENCE, fetch=fetch_by_http(issuer.jwks_uri))
    principal = await verifier.verify(key.mint(issuer.url, "alice", ["Mosaic.Ingest"]))
    assert (principal.subject, principal.roles) == ("alice", frozenset({"Mosaic.Ingest"}))


async def test_a_token_of_another_issuer_s_key_does_not(issuer: Issuer, tmp_path: Path) -> None:
    verifier = JwtVerifier(issuer=issuer.url, audience=AUDIENCE, fetch=fetch_by_http(issuer.jwks_uri))
    stranger = SigningKey.of(tmp_path / "another")
    with pytest.raises(RequestError) as refused:
        await verifier.verify(stranger.mint(issuer.url, "alice"))
    assert refused.value.code == "member_context_invalid"


async def test_an_issuer_that_is_not_there_is_503(key: SigningKey, issuer: Issuer) -> None:
    verifier = JwtVerifier(issuer=issuer.url, audience=AUDIENCE, fetch=fetch_by_http(issuer.jwks_uri))
    issuer.stop()
    with pytest.raises(RequestError) as refused:
        await verifier.verify(key.mint(issuer.url, "alice"))
    assert refused.value.code == "identity_unavailable"


async def _error(_: web.Request) -> web.StreamResponse:
    return web.json_response({"keys": []}, status=500)


async def _elsewhere(_: web.Request) -> web.StreamResponse:
    raise web.HTTPFound("/elsewhere")


async def _no_json(_: web.Request) -> web.StreamResponse:
    return web.Response(body=b"\xff<html>")


async def _list(_: web.Request) -> web.StreamResponse:
    return web.json_response([])


async def _huge(_: web.Request) -> web.StreamResponse:
    return web.Response(body=b'{"keys": []}' + b" " * (2 * 1024 * 1024))


@pytest.mark.parametrize("handler", [_error, _elsewhere, _no_json, _list, _huge])
async def test_a_key_set_that_cannot_be_used_is_no_key_set(serve: Serve, handler: Handler) -> None:
    with pytest.raises(KeysUnavailableError):
        await fetch_by_http(await serve(handler))()


async def test_a_key_set_in_several_pieces_is_read_whole(serve: Serve) -> None:
    async def pieces(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for piece in (b'{"ke', b'ys": [', b"1]}"):
            await response.write(piece)
        return response

    assert await fetch_by_http(await serve(pieces))() == {"keys": [1]}


async def test_only_the_console_s_origin_may_redeem_codes(key: SigningKey) -> None:
    served = Issuer(key, redirect_uris=("http://127.0.0.1:7071/api/console",))
    try:
        async with aiohttp.ClientSession() as session:
            for origin, let_in in (("http://127.0.0.1:7071", True), ("http://evil.example", False), ("null", False)):
                async with session.post(
                    f"{served.url}/token", data={"code": "x"}, headers={"Origin": origin}
                ) as answer:
                    assert answer.status == 400
                    assert (answer.headers.get("Access-Control-Allow-Origin") == origin) is let_in
            async with session.get(f"{served.url}/.well-known/openid-configuration") as answer:
                found = await answer.json()
            assert found["code_challenge_methods_supported"] == ["S256"]
            async with session.get(found["authorization_endpoint"]) as answer:
                assert answer.status == 400
            async with session.post(f"{served.url}/token", data="x" * 20_000) as answer:
                assert answer.status == 413
    finally:
        served.stop()
