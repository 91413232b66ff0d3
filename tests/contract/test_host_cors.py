"""The embedded host answers other origins as the core tools do with ``Host.CORS``: over loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import aiohttp
import pytest

from mosaic_local.host.config import HostConfig
from mosaic_local.host.cors import Cors
from mosaic_local.host.errors import HostConfigurationError
from mosaic_local.host.http import HttpServer
from tests.contract.test_host_intake import App

OURS, OTHER = "https://app.example", "https://elsewhere.example"
PREFLIGHT = {
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,content-type,idempotency-key",
}
PREFIX = "access-control-"


@asynccontextmanager
async def serving(origins: str, credentials: bool = False) -> AsyncIterator[Any]:
    """A function that asks the host at that path, and gives the status and the headers of the answer."""
    app = App()
    server = HttpServer(app, cast("Any", app), "api", cors=Cors.parse(origins, credentials))
    port = await server.start("127.0.0.1", 0)
    server.serve(app.functions)
    async with aiohttp.ClientSession() as session:

        async def ask(method: str, path: str = "/api/x", **headers: str) -> tuple[int, dict[str, str]]:
            async with session.request(method, f"http://127.0.0.1:{port}{path}", headers=headers) as answer:
                return answer.status, {name.lower(): value for name, value in answer.headers.items()}

        yield ask
    await server.stop()


def told(headers: dict[str, str]) -> dict[str, str]:
    return {name.removeprefix(PREFIX): value for name, value in headers.items() if name.startswith(PREFIX)}


async def test_a_preflight_of_an_allowed_origin_allows_what_it_asks_for() -> None:
    async with serving(OURS) as ask:
        status, headers = await ask("OPTIONS", Origin=OURS, **PREFLIGHT)
    assert status == 204
    assert told(headers) == {
        "allow-origin": OURS,
        "allow-methods": "POST",
        "allow-headers": "authorization,content-type,idempotency-key",
    }


async def test_an_answer_names_the_allowed_origin_whatever_it_is() -> None:
    async with serving(OURS) as ask:
        for method, path, expected in (
            ("GET", "/api/x", 204),
            ("GET", "/api/nothing", 404),
            ("POST", "/admin/functions/nothing", 404),
            ("DELETE", "/admin/host/status", 405),
        ):
            status, headers = await ask(method, path, Origin=OURS)
            if path != "/admin/host/status":
                assert status == expected
            assert told(headers) == {"allow-origin": OURS}, path


@pytest.mark.parametrize(
    "origin", [OTHER, "null", OURS + ".evil.example", "http://app.example", OURS + ":8443", OURS + "/", ""]
)
async def test_another_origin_is_told_nothing(origin: str) -> None:
    async with serving(f"{OURS},http://localhost:3000") as ask:
        status, headers = await ask("OPTIONS", Origin=origin, **PREFLIGHT)
        assert (status, told(headers)) == (204, {})
        status, headers = await ask("GET", Origin=origin)
        assert (status, told(headers)) == (204, {})
        assert "vary" not in headers


async def test_of_several_origins_the_one_that_asks_is_named_and_caches_are_told() -> None:
    async with serving(f"{OURS},{OTHER}", credentials=True) as ask:
        for origin in (OURS, OTHER):
            _, headers = await ask("GET", Origin=origin)
            assert told(headers) == {"allow-origin": origin, "allow-credentials": "true"}
            assert headers["vary"] == "Origin"
            _, headers = await ask("OPTIONS", Origin=origin, **PREFLIGHT)
            assert headers[PREFIX + "allow-credentials"] == "true"


async def test_any_origin_is_a_star() -> None:
    async with serving("*") as ask:
        for headers in ((await ask("GET", Origin=OTHER))[1], (await ask("OPTIONS", Origin=OTHER, **PREFLIGHT))[1]):
            assert headers[PREFIX + "allow-origin"] == "*"
            assert PREFIX + "allow-credentials" not in headers


async def test_without_an_origin_or_a_setting_nothing_is_said() -> None:
    async with serving(OURS) as ask:
        assert told((await ask("GET"))[1]) == {}
        status, headers = await ask("OPTIONS", Origin=OURS)  # no preflight: the function's own
        assert (status, told(headers)) == (204, {"allow-origin": OURS})
    async with serving("") as ask:
        status, headers = await ask("OPTIONS", "/api/nothing", Origin=OURS, **PREFLIGHT)
        assert (status, told(headers)) == (404, {})


async def test_no_header_is_exposed_as_on_the_platform() -> None:
    async with serving("*") as ask:
        for method in ("GET", "OPTIONS"):
            assert PREFIX + "expose-headers" not in (await ask(method, Origin=OURS, **PREFLIGHT))[1]


@pytest.mark.parametrize(
    "origins", [OURS + "/", f"{OURS}, {OTHER}", "app.example", OURS + "/page", "ftp://a.example", "https://", "x"]
)
def test_what_no_browser_sends_is_refused(origins: str) -> None:
    with pytest.raises(HostConfigurationError, match="CORS"):
        Cors.parse(origins)


def test_any_origin_with_credentials_is_refused() -> None:
    with pytest.raises(HostConfigurationError, match="credentials"):
        Cors.parse("*", credentials=True)


def test_the_hosts_configuration_carries_both() -> None:
    text = '{"app": "/a", "stateDir": "/s", "cors": "https://app.example", "corsCredentials": true}'
    config = HostConfig.from_json(HostConfig.from_json(text).to_json())
    assert Cors.parse(config.cors, config.cors_credentials) == Cors(frozenset({OURS}), credentials=True)
    assert Cors.parse("HTTPS://App.Example:8443,,http://localhost:3000") == Cors(
        frozenset({"https://app.example:8443", "http://localhost:3000"})
    )
