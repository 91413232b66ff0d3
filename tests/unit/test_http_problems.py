"""Errors in RFC 9457's shape for whoever prefers it, in the contract's for everybody else."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest

from mosaic_core.domain.errors import QueueUnavailableError, RequestError, StoreUnreachableError
from mosaic_core.entrypoints.http import answers
from mosaic_core.entrypoints.http.answers import CODES, prefers_problem
from mosaic_core.entrypoints.http.call import Access, Route
from mosaic_core.entrypoints.http.routes import ROUTES
from mosaic_core.entrypoints.openapi import document
from tests.support.api import CONVERSATION, ApiWorld
from tests.unit.test_access_matrix import url

CODE = Path(__file__).resolve().parents[2] / "mosaic_core"
JSON, PROBLEM = "application/json", "application/problem+json"


@pytest.mark.parametrize(
    ("accept", "prefers"),
    [
        ("", False),
        ("*/*", False),
        (JSON, False),
        ("application/*", False),
        ("text/html", False),
        ("text/html, */*;q=0.1", False),
        (PROBLEM, True),
        ("Application/Problem+JSON", True),
        (f"{PROBLEM};charset=utf-8", True),
        (f"{JSON}, {PROBLEM}", True),
        (f"{PROBLEM}, {JSON}", True),
        (f"{PROBLEM}, */*", True),
        (f"{JSON};q=0.5, {PROBLEM};q=0.9", True),
        (f"{JSON}; q=0.9 , {PROBLEM} ; q=0.8", False),
        (f"{JSON}, {PROBLEM};q=0.999", False),
        (f"{PROBLEM};q=0", False),
        (f"{PROBLEM};q=0, {JSON};q=0", False),
        (f"{PROBLEM};q=0.001", True),
        (f"{PROBLEM};q=0.1, */*", False),
        (f"{PROBLEM};q=0.1, */*;q=0.1", True),
        (f"{JSON};q=0.5, */*", True),
        (f"{JSON};q=0, application/*", True),
        (f"{PROBLEM};q=2", False),
        (f"{PROBLEM};q=abc", False),
        (f'text/plain;x="a,{PROBLEM}"', False),
        (",,;;q=,", False),
        (f"{'a/b,' * 2000}{PROBLEM}", True),
    ],
)
def test_the_shape_is_the_preferred_one(accept: str, prefers: bool) -> None:
    assert prefers_problem(accept) is prefers


async def problem_of(world: ApiWorld, method: str, where: str, status: int, **more: Any) -> dict[str, Any]:
    """The same error in both shapes, which say the same; its problem."""
    headers = more.pop("headers", {})
    plain = await world.call(method, where, headers=headers, **more)
    told = await world.call(method, where, headers={**headers, "Accept": f"{JSON}, {PROBLEM}"}, **more)
    assert (plain.status, told.status) == (status, status), (plain.body, told.body)
    assert (plain.headers["Content-Type"], told.headers["Content-Type"]) == (JSON, PROBLEM)
    assert plain.headers["Vary"] == told.headers["Vary"] == "Accept"
    assert {**plain.headers, "Content-Type": ""} == {**told.headers, "Content-Type": ""}
    error = plain.json["error"]
    problem: dict[str, Any] = json.loads(told.body)
    assert problem == {
        "type": answers.PROBLEM_TYPES + error["code"],
        "title": CODES[error["code"]][1],
        "status": status,
        "detail": error["message"],
        "code": error["code"],
        "traceId": problem["traceId"],
        "errors": error["details"],
    }
    assert len(problem["traceId"]) == 32
    return problem


@pytest.mark.parametrize("route", [r for r in ROUTES if r.access != Access.ANYBODY], ids=lambda route: route.name)
async def test_every_guarded_route_has_both_shapes(route: Route) -> None:
    world = ApiWorld()
    assert (await problem_of(world, route.method, url(route), 401, token=None))["code"] == "member_context_required"
    assert (await problem_of(world, route.method, url(route), 401, token="forged"))["code"] == "member_context_invalid"
    assert (await problem_of(world, route.method, url(route), 403))["code"] in (
        "role_required",
        "membership_access_denied",
    )


@pytest.mark.parametrize(
    ("raised", "status"),
    [(QueueUnavailableError("x"), 503), (StoreUnreachableError("x"), 503), (ValueError("secret"), 500)],
)
@pytest.mark.parametrize("route", [r for r in ROUTES if r.access == Access.ANYBODY], ids=lambda route: route.name)
async def test_what_goes_wrong_has_both_shapes(
    monkeypatch: pytest.MonkeyPatch, route: Route, raised: Exception, status: int
) -> None:
    async def fails(*_: object) -> None:
        raise raised

    world = ApiWorld()
    monkeypatch.setattr("mosaic_core.entrypoints.http.blueprint.authenticate", fails)
    problem = await problem_of(world, route.method, url(route), status, token=None)
    assert "secret" not in json.dumps(problem)


async def test_details_and_waits_are_told_in_both_shapes() -> None:
    world = await ApiWorld(commands_per_minute=1).with_members()
    path = f"/api/v1/agent/conversations/{CONVERSATION}/messages"
    kind = {"Content-Type": JSON}
    world.clock.advance(120)
    refused = await problem_of(world, "POST", path.replace(CONVERSATION, "x"), 400, body=b"{}", headers=kind)
    assert refused["errors"] == [{"field": "conversationId", "issue": "is not a GUID"}]
    await world.call("POST", path, body=b'{"message": "hi"}', headers=kind)
    await problem_of(world, "POST", path, 429, body=b"{}", headers=kind)
    await problem_of(world, "POST", path, 415, body=b"{}")


def test_every_type_leads_to_its_description() -> None:
    types = document()["components"]["x-problem-types"]
    assert set(types) == set(CODES)
    pointer = answers.PROBLEM_TYPES.partition("#")[2]
    assert pointer == "/components/x-problem-types/"
    for code, (status, meaning) in CODES.items():
        assert types[code] == {"title": meaning, "status": status}
        assert answers.error(RequestError(code, ""), "0" * 32).status_code == status


def test_every_code_that_is_raised_has_its_status_in_the_one_table() -> None:
    """A code that the table lacks would have no status to be answered with."""
    raised = {
        (str(path.relative_to(CODE)), node.args[0].value)
        for path in CODE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "RequestError"
        and isinstance(node.args[0], ast.Constant)
    }
    assert len(raised) >= 20
    assert {(file, code) for file, code in raised if code not in CODES} == set()


@pytest.mark.parametrize("room", ["domain", "services", "lanes", "agents"])
def test_http_statuses_are_the_entrypoints_own(room: str) -> None:
    for path in (CODE / room).rglob("*.py"):
        assert not re.search(r"HTTPStatus|^(?:from|import) http\b", path.read_text("utf-8"), re.MULTILINE), path
