"""The OpenAPI document says what the API does: schemathesis calls every operation through the app's own functions and
holds each answer against the document."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.parameters import ParameterLocation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from mosaic_core.entrypoints.http.answers import CODES
from mosaic_core.entrypoints.http.call import Route
from mosaic_core.entrypoints.http.routes import ROUTES
from mosaic_core.entrypoints.openapi import document, document_text
from mosaic_core.services.callers import CHOICE_HEADER
from tests.support.api import ALICE_HOUSEHOLD, BASE, ApiWorld
from tests.support.examples import examples

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def api(runner: asyncio.Runner) -> Any:
    world = runner.run(ApiWorld().with_members())
    return schemathesis.openapi.from_wsgi(f"{BASE}/openapi.json", world.wsgi(runner))


def _body_is_wrong(case: Case[Any]) -> bool:
    """By the document. JSON Lines are texts to it, so that it cannot tell; other parameters may be anything."""
    body = case.meta.components.get(ParameterLocation.BODY) if case.meta else None
    return body is not None and body.mode == GenerationMode.NEGATIVE and case.media_type == "application/json"


# what has neither body nor parameters cannot be called wrongly
TOKEN = "alice+Mosaic.Ingest+Mosaic.Operator.Read+Mosaic.Operator.Replay+Mosaic.Operator.Admin"
REQUESTS = [(route, GenerationMode.POSITIVE) for route in ROUTES] + [
    (route, GenerationMode.NEGATIVE) for route in ROUTES if route.body or route.query or "{" in route.path
]


@pytest.mark.parametrize(("route", "mode"), REQUESTS, ids=[f"{route.name}-{mode.value}" for route, mode in REQUESTS])
def test_every_answer_is_as_documented(api: Any, route: Route, mode: GenerationMode) -> None:
    """With requests that follow the document, and with ones that do not."""
    operation = api[f"/api/{route.route}"][route.method]
    answered: set[int] = set()

    @settings(
        max_examples=examples(5, slow=30),
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def call(case: Case[Any]) -> None:
        if "householdId" in case.path_parameters and mode == GenerationMode.POSITIVE:
            case.path_parameters["householdId"] = ALICE_HOUSEHOLD
        case.headers.pop(CHOICE_HEADER, None)
        response = case.call(headers={"Authorization": f"Bearer {TOKEN}"})
        answered.add(response.status_code)
        checks = [*CHECKS, negative_data_rejection] if _body_is_wrong(case) else CHECKS
        case.validate_response(response, checks=checks)

    call()
    if mode == GenerationMode.POSITIVE:
        assert answered & {route.status, 404}


# ------------------------------------------------------------------------------------------------------- the document


def test_the_document_names_every_route_of_the_contract() -> None:
    found = {(method.upper(), path) for path, methods in document()["paths"].items() for method in methods}
    assert found == {
        ("POST", f"{BASE}/conversations/{{conversationId}}/messages"),
        ("POST", f"{BASE}/conversations/{{conversationId}}/approvals/{{approvalId}}"),
        ("GET", f"{BASE}/conversations/{{conversationId}}/stream"),
        ("GET", f"{BASE}/runs/{{runId}}"),
        ("GET", f"{BASE}/approvals"),
        ("GET", f"{BASE}/ops/commands/{{commandId}}"),
        ("GET", f"{BASE}/ops/lanes"),
        ("GET", f"{BASE}/ops/runs"),
        ("GET", f"{BASE}/ops/runs/{{runId}}"),
        ("GET", f"{BASE}/ops/signals"),
        ("POST", f"{BASE}/ops/signals/{{signalId}}/resolve"),
        ("GET", f"{BASE}/ops/approvals"),
        ("POST", f"{BASE}/ops/commands/{{commandId}}/cancel"),
        ("POST", f"{BASE}/ops/sweeps"),
        ("POST", f"{BASE}/ops/households/{{householdId}}/erase"),
        ("POST", f"{BASE}/ops/households/{{householdId}}/export"),
        ("GET", f"{BASE}/ops/members"),
        ("PUT", f"{BASE}/ops/members"),
        ("DELETE", f"{BASE}/ops/members"),
        ("POST", f"{BASE}/ops/lanes/{{lane}}/pause"),
        ("POST", f"{BASE}/ops/lanes/{{lane}}/resume"),
        ("GET", f"{BASE}/ops/trace/{{id}}"),
        ("GET", f"{BASE}/ops/dead-letters"),
        ("GET", f"{BASE}/ops/dead-letters/groups"),
        ("GET", f"{BASE}/ops/replays"),
        ("POST", f"{BASE}/ops/replays"),
        ("GET", f"{BASE}/ops/replays/{{replayId}}"),
        ("POST", f"{BASE}/ops/replays/{{replayId}}/advance"),
        ("POST", f"{BASE}/ops/replays/{{replayId}}/abort"),
        ("POST", f"{BASE}/ops/replays/{{replayId}}/resume"),
        ("POST", f"{BASE}/households/{{householdId}}/ingestions"),
        ("GET", f"{BASE}/health/live"),
        ("GET", f"{BASE}/health/ready"),
        ("GET", f"{BASE}/openapi.json"),
        ("GET", f"{BASE}/asyncapi.json"),
    }


def test_every_reference_leads_somewhere() -> None:
    schemas = document()["components"]["schemas"]
    referred = set(re.findall(r'"#/components/schemas/([^"]+)"', document_text()))
    assert referred
    assert referred <= set(schemas)


def test_the_document_is_the_same_each_time() -> None:
    assert json.loads(document_text()) == document()


def test_every_error_that_a_route_names_is_one_of_the_api() -> None:
    for route in ROUTES:
        assert set(route.codes) <= set(CODES)


def test_guarded_routes_say_so() -> None:
    for path, methods in document()["paths"].items():
        for operation in methods.values():
            shows_more = path.endswith(("/health/live", "/health/ready"))
            open_to_all = shows_more or path.endswith(("/openapi.json", "/asyncapi.json"))
            guarded: list[dict[str, list[str]]] = [{"bearer": []}]
            assert operation["security"] == ([{}, *guarded] if shows_more else [] if open_to_all else guarded)
            assert open_to_all or {"401", "403", "503"} <= set(operation["responses"])
