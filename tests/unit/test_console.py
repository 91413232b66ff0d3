"""The console's page and files: for anybody, with nothing of anybody's in them, under a strict policy."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

import azure.functions as func
import pytest

from mosaic_core.config import ConsoleSettings
from mosaic_core.entrypoints import console

SETTINGS = ConsoleSettings(client_id="the-console", scope="openid x", authority="https://login.example/tenant/v2.0")


async def ask(
    asset: str | None = None, settings: ConsoleSettings = SETTINGS, headers: Mapping[str, str] | None = None
) -> tuple[int, dict[str, str], bytes]:
    app = func.FunctionApp()
    app.register_functions(console.create_blueprint(settings))
    functions = {function.get_function_name(): function.get_user_function() for function in app.get_functions()}
    assert set(functions) == set(console.ROUTES)
    request = func.HttpRequest(
        "GET", "/", headers=headers or {}, route_params={} if asset is None else {"asset": asset}, body=b""
    )
    answer = await functions["console" if asset is None else "console_asset"](request)
    return answer.status_code, {name.lower(): value for name, value in answer.headers.items()}, answer.get_body()


def directives(headers: dict[str, str]) -> dict[str, str]:
    pairs = (part.strip().partition(" ") for part in headers["content-security-policy"].split(";"))
    return {name: value for name, _, value in pairs}


async def test_every_answer_carries_the_strict_policy() -> None:
    for asset in (None, "app.js", "console.css", "config.json", "nothing.js"):
        _, headers, _ = await ask(asset)
        policy = directives(headers)
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["img-src"] == "'self'"
        assert policy["connect-src"] == "'self' https://login.example"
        assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
        assert policy["require-trusted-types-for"] == "'script'"
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "no-cache"


def test_the_files_keep_to_the_policy() -> None:
    """No inline script, style or handler, no other origin, nothing that makes markup of text, nothing kept for good."""
    files = console.assets()
    assert {"index.html", "app.js", "console.css", "icon.svg"} <= set(files)
    page = files["index.html"].content.decode()
    assert re.findall(r"<script(?![^>]*\bsrc=)|<style|\son\w+=|\sstyle=", page) == []
    namespace = "http://www.w3.org/2000/svg"
    for name, asset in files.items():
        text = asset.content.decode().replace(namespace, "")
        assert re.findall(r"https?://|\b//[a-z]", text) == [], name
        assert re.findall(r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b|localStorage", text) == [], name
    for linked in re.findall(r'(?:src|href)="/api/console/([^"]+)"', page):
        assert linked in files
    for name, asset in files.items():
        if name.endswith(".js"):
            for imported in re.findall(r'from "\./([^"]+)"', asset.content.decode()):
                assert imported in files, f"{name} imports {imported}"


async def test_the_page_is_the_same_for_everybody_and_asked_for_anew_by_its_etag() -> None:
    status, headers, body = await ask()
    assert (status, headers["etag"][0]) == (200, '"')
    assert await ask(headers={"Authorization": "Bearer forged"}) == (status, headers, body)
    for known in (headers["etag"], f"W/{headers['etag']}", f'"other", {headers["etag"]}', "*"):
        again, same, nothing = await ask(headers={"If-None-Match": known})
        assert (again, nothing, same["etag"]) == (304, b"", headers["etag"])
    assert (await ask(headers={"If-None-Match": '"other"'}))[0] == 200


@pytest.mark.parametrize(
    "asset", ["../config.py", "..", "", "console.py", "index.html/", "%2e%2e", "APP.JS", "/etc/passwd"]
)
async def test_nothing_but_its_files_is_served(asset: str) -> None:
    status, _, body = await ask(asset)
    assert (status, body) == (404, b"not found\n")


async def test_the_page_is_told_how_to_sign_in_and_nothing_else() -> None:
    _, _, body = await ask("config.json")
    assert json.loads(body) == {
        "configured": True,
        "authority": "https://login.example/tenant/v2.0",
        "clientId": "the-console",
        "scope": "openid x",
    }
    _, headers, body = await ask("config.json", ConsoleSettings())
    assert json.loads(body)["configured"] is False
    assert directives(headers)["connect-src"] == "'self'"
