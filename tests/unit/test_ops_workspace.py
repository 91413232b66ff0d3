"""A deployment's logs and traces, by the real LogsQueryClient over a transport that answers as is documented."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from azure.core.credentials import AccessToken
from azure.core.pipeline.transport import AsyncHttpTransport
from azure.core.rest._http_response_impl_async import AsyncHttpResponseImpl
from azure.monitor.query.aio import LogsQueryClient

from mosaic_ops import cli
from mosaic_ops.checks.infra.kql import EMITTED, Emitted, Query
from mosaic_ops.ops import workspace
from mosaic_ops.ops.errors import UsageError
from mosaic_ops.ops.workspace import Workspace, logs_query, traces_query

ROOT = Path(__file__).resolve().parents[2]
COMMAND = "c" * 32
GUID = "0a1b2c3d-0000-4000-8000-00000000000f"
WHERE = ("--url", "https://app.example", "--workspace", GUID)


class Tokens:
    async def get_token(self, *_: str, **__: Any) -> AccessToken:
        return AccessToken("t", int(time.time()) + 3600)

    async def close(self) -> None: ...
    async def __aenter__(self) -> Tokens:
        return self

    async def __aexit__(self, *_: object) -> None: ...


class Wire(AsyncHttpTransport[Any, Any]):
    """Answers each query with one body, and keeps what was asked."""

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        self.status, self.body = status, body
        self.asked: list[dict[str, Any]] = []
        self.urls: list[str] = []

    async def send(self, request: Any, **_: Any) -> Any:
        self.urls.append(request.url)
        self.asked.append(json.loads(request.content))
        data = json.dumps(self.body).encode()
        response = AsyncHttpResponseImpl(
            request=request,
            internal_response=None,
            status_code=self.status,
            headers={"Content-Type": "application/json"},
            reason="",
            content_type="application/json",
            stream_download_generator=_none,
        )
        response._content = data
        return response

    async def open(self) -> None: ...
    async def close(self) -> None: ...
    async def __aexit__(self, *_: object) -> None: ...


def _none(*_: object, **__: object) -> AsyncIterator[bytes]:
    raise AssertionError("the body is there already")


def answer(columns: dict[str, str], *rows: list[Any]) -> dict[str, Any]:
    """As the Logs query API answers."""
    named = [{"name": name, "type": kind} for name, kind in columns.items()]
    return {"tables": [{"name": "PrimaryResult", "columns": named, "rows": list(rows)}]}


LINES = answer(
    {
        "TimeGenerated": "datetime",
        "SeverityLevel": "int",
        "Message": "string",
        "OperationId": "string",
        "Properties": "dynamic",
    },
    [
        "2026-01-31T08:00:02Z",
        2,
        "attempt failed",
        "t1",
        json.dumps({"logger_name": "mosaic_core.services.delivery", "commandId": COMMAND, "code": "lane_failed"}),
    ],
    ["2026-01-31T08:00:01Z", 1, "attempt started", "", None],
)
SPANS = answer(
    {
        "TimeGenerated": "datetime",
        "DurationMs": "real",
        "Name": "string",
        "OperationId": "string",
        "Id": "string",
        "ParentId": "string",
        "Success": "bool",
        "Properties": "dynamic",
    },
    *(
        [f"2026-01-31T08:00:0{second}Z", 1500.0, name, trace, f"s{second}", "", success, json.dumps(properties)]
        for second, name, trace, success, properties in (
            (3, "runtime.lane", "t2", True, {"service.name": "MosaicMoney.Worker"}),
            (2, "runtime.lane", "t1", False, {"service.name": "MosaicMoney.Worker", "commandId": COMMAND}),
            (1, "POST /messages", "t1", True, {"service.name": "MosaicMoney.Api"}),
        )
    ),
)


@pytest.fixture
def ops(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def run(wire: Wire, *arguments: str) -> tuple[int, str, str]:
        @asynccontextmanager
        async def opened(workspace_id: str) -> AsyncIterator[Workspace]:
            transport: Any = wire
            tokens: Any = Tokens()
            async with LogsQueryClient(tokens, transport=transport, retry_total=0) as client:
                yield Workspace(client, workspace_id)

        monkeypatch.setattr(workspace, "opened", opened)
        code = cli.main(["ops", *arguments, *WHERE])
        return code, *capsys.readouterr()

    return run


def test_log_lines_are_told_as_the_embedded_stacks_are(ops: Any) -> None:
    wire = Wire(200, LINES)
    code, out, said = ops(wire, "telemetry", "logs", "worker", "--id", COMMAND, "--limit", "7", "--json")
    assert (code, said) == (0, "")
    first, second = json.loads(out)["logs"]
    assert (first["message"], first["level"], first["traceId"]) == ("attempt started", "INFO", None)
    assert (second["level"], second["code"], second["logger"]) == (
        "WARNING",
        "lane_failed",
        "mosaic_core.services.delivery",
    )
    assert second["time"] == "2026-01-31T08:00:02Z"
    [asked] = wire.asked
    assert asked["query"] == logs_query("worker", 7, COMMAND)
    assert asked["timespan"] == "PT86400.0S"
    assert GUID in wire.urls[0]
    assert "lane_failed" in ops(wire, "telemetry", "logs", "worker")[1]


def test_logs_of_the_app_are_lines(ops: Any) -> None:
    code, out, _ = ops(Wire(200, LINES), "logs", "worker", "--tail", "5")
    assert code == 0
    assert out.splitlines()[1] == "2026-01-31T08:00:02Z WARNING mosaic_core.services.delivery: attempt failed"
    assert ops(Wire(200, LINES), "logs", "broker")[0] == 2


def test_traces_are_put_together_from_their_spans(ops: Any) -> None:
    code, out, _ = ops(Wire(200, SPANS), "telemetry", "traces", "worker", "--json")
    assert code == 0
    newest, older = json.loads(out)["traces"]
    assert (newest["traceId"], newest["spans"], newest["failed"]) == ("t2", 1, 0)
    assert (older["traceId"], older["spans"], older["failed"], older["name"]) == ("t1", 2, 1, "POST /messages")
    assert older["services"] == ["MosaicMoney.Api", "MosaicMoney.Worker"]
    assert (older["endTime"], older["commandId"]) == ("2026-01-31T08:00:03.500000Z", COMMAND)
    assert "t2" in ops(Wire(200, SPANS), "telemetry", "traces", "worker")[1]


@pytest.mark.parametrize(
    "wire",
    [
        Wire(403, {"error": {"code": "InsufficientAccessError", "message": "no"}}),
        Wire(400, {"error": {"code": "BadArgumentError", "message": "no"}}),
        Wire(200, {**LINES, "error": {"code": "PartialError", "message": "half"}}),
        Wire(200, {"tables": []}),
    ],
    ids=["forbidden", "refused", "partial", "none"],
)
@pytest.mark.parametrize("verb", [("logs", "worker"), ("telemetry", "logs", "api"), ("telemetry", "traces", "api")])
def test_a_workspace_that_does_not_answer_in_full_is_exit_3(ops: Any, wire: Wire, verb: tuple[str, ...]) -> None:
    code, out, said = ops(wire, *verb)
    assert (code, out) == (3, "")
    assert "the workspace" in said


@pytest.mark.parametrize("service", ["worker", "api", None])
@pytest.mark.parametrize("asked", [None, COMMAND])
def test_every_name_of_a_query_is_one_that_the_app_emits(service: str | None, asked: str | None) -> None:
    emitted = Emitted.of(json.loads((ROOT / EMITTED).read_text("utf-8")))
    assert Query(emitted, logs_query(service, 5, asked)).read() == []
    if service is not None:
        assert Query(emitted, traces_query(service, 5, asked)).read() == []


def test_an_id_ends_no_string_of_a_query(ops: Any) -> None:
    for hostile in ('x" or true //', "x\\", "x\ny", ""):
        with pytest.raises(UsageError):
            logs_query("worker", 5, hostile)
        wire = Wire(200, LINES)
        assert ops(wire, "telemetry", "logs", "worker", "--id", hostile)[0] == 2
        assert wire.asked == []


def test_a_deployment_without_a_workspace_says_what_to_give(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["ops", "logs", "worker", "--url", "https://app.example"]) == 2
    assert "--workspace" in capsys.readouterr().err
    assert cli.main(["ops", "telemetry", "logs", "worker", "--workspace", GUID]) == 2
    assert "--url" in capsys.readouterr().err


def test_a_service_or_workspace_that_is_none(ops: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert ops(Wire(200, LINES), "telemetry", "traces", "nobody")[0] == 2
    assert cli.main(["ops", "logs", "worker", "--url", "https://app.example", "--workspace", "mine"]) == 2


def test_the_client_is_closed_and_asked_once() -> None:
    wire = Wire(200, LINES)

    async def ask() -> int:
        transport: Any = wire
        tokens: Any = Tokens()
        async with LogsQueryClient(tokens, transport=transport) as client:
            return len(await Workspace(client, GUID).log_lines(None, 5))

    assert (asyncio.run(ask()), len(wire.asked)) == (2, 1)
