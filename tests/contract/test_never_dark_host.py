"""Never dark, in the worker library under the embedded host: what is indexed, and what health answers there."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from socket import socket
from typing import Any

import pytest

from mosaic_local.stack import Stack, StackOptions
from mosaic_local.state import ROOT

pytestmark = pytest.mark.e2e

HEALTH = ["health_live", "health_ready"]
ALL = len(json.loads((ROOT / "docs/reference/functions.json").read_text()))
SLOW = pytest.mark.slow


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack(StackOptions(with_seed=False)) as stack:
        yield stack


def get(stack: Stack, path: str) -> tuple[int, Any]:
    try:
        with urllib.request.urlopen(stack.api_base_url + path, timeout=10) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, json.loads(refused.read())


def health(stack: Stack, which: str) -> tuple[int, Any]:
    return get(stack, f"/api/v1/agent/health/{which}")


def ready(stack: Stack) -> tuple[int, Any]:
    """Each answer within five seconds. A worker that has just started on a busy machine may not have reached all of its
    dependencies in that time; what it names then is asked for again."""
    for _ in range(20):
        began = time.monotonic()
        found, body = health(stack, "ready")
        assert time.monotonic() - began < 5
        if "no_answer" not in down(body).values():
            break
    return found, body


def indexed(stack: Stack) -> list[str]:
    _, functions = get(stack, "/admin/functions")
    return sorted(function["name"] for function in functions)


def down(body: Mapping[str, Any]) -> dict[str, str]:
    return {d["name"]: d["reason"] for d in body["dependencies"] if d["state"] == "down"}


@pytest.fixture(scope="module")
def restarted(stack: Stack) -> Callable[[Mapping[str, str]], None]:
    """Starts the worker anew, with the stack's settings and these changes; an empty one is a missing one."""
    usual = dict(stack.settings)

    def restart(changes: Mapping[str, str]) -> None:
        stack.settings.clear()
        stack.settings.update(usual)
        stack.restart_worker(changes)

    return restart


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"Auth__Audience": ""}, {"Auth__Audience": "setting_missing"}),
        pytest.param({"ServiceBusConnection": ""}, {"ServiceBusConnection": "setting_missing"}, marks=SLOW),
        pytest.param({"Lease__Second": "30"}, {"Lease__Second": "setting_unknown"}, marks=SLOW),
        pytest.param({"Sweep__Schedule": "every night"}, {"Sweep__Schedule": "setting_invalid"}, marks=SLOW),
        ({"PYTHON_ENABLE_OPENTELEMETRY": "true"}, {"PYTHON_ENABLE_OPENTELEMETRY": "setting_forbidden"}),
        pytest.param(
            {"TablesConnection__endpoint": "https://t.example"},
            {"TablesConnection": "setting_contradicts"},
            marks=SLOW,
        ),
    ],
)
def test_a_setting_that_is_wrong_leaves_the_two_health_functions(
    stack: Stack, restarted: Callable[[Mapping[str, str]], None], changes: dict[str, str], named: dict[str, str]
) -> None:
    restarted(changes)
    assert indexed(stack) == HEALTH
    for which in ("live", "ready"):
        status, body = health(stack, which)
        assert (status, body["status"], down(body)) == (503, "not_started", named)
    log = (stack.state_dir / "logs" / "worker.log").read_text("utf-8")
    assert all(f"the app does not start: {name} " in log for name in named)


def nowhere() -> int:
    """A port that nobody listens on."""
    with closing(socket()) as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.mark.parametrize(
    ("setting", "value", "named", "status"),
    [
        pytest.param("TelemetryHub", "no-such-hub", {"eventHub": "not_found"}, 200, marks=SLOW),
        pytest.param(
            "Auth__JwksUri",
            "http://127.0.0.1:{nowhere}/jwks",
            {"issuerKeys": "unreachable"},
            503,
            marks=SLOW,
        ),
        pytest.param("Auth__JwksUri", "{api}/admin/host/status", {"issuerKeys": "unusable"}, 503, marks=SLOW),
        ("TablesConnection", "{tables_nowhere}", {"tables": "unreachable"}, 503),
        pytest.param("BlobsConnection", "{blobs_nowhere}", {"blobs": "unreachable"}, 503, marks=SLOW),
    ],
)
def test_a_dependency_that_is_away_is_named_and_everything_is_indexed(
    stack: Stack,
    restarted: Callable[[Mapping[str, str]], None],
    setting: str,
    value: str,
    named: dict[str, str],
    status: int,
) -> None:
    port = nowhere()
    account = "DefaultEndpointsProtocol=http;AccountName=a;AccountKey=a2V5;"
    value = value.format(
        nowhere=port,
        api=stack.api_base_url,
        tables_nowhere=f"{account}TableEndpoint=http://127.0.0.1:{port}/a;",
        blobs_nowhere=f"{account}BlobEndpoint=http://127.0.0.1:{port}/a;",
    )
    restarted({setting: value, "Stores__CreateTables": "false"})
    assert len(indexed(stack)) == ALL
    found, body = ready(stack)
    assert (found, down(body)) == (status, named)
    assert health(stack, "live")[0] == 200


def test_with_everything_there_it_is_ready(stack: Stack, restarted: Callable[[Mapping[str, str]], None]) -> None:
    restarted({})
    assert len(indexed(stack)) == ALL
    status, body = ready(stack)
    assert (status, body["status"], down(body)) == (200, "ready", {})
    assert (body["version"], body["commit"], body["packageDigest"]) == (None, None, None)
