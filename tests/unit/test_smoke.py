"""The smoke test says what is not so, and nothing good of what it has not seen."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mosaic_core.domain import ids
from mosaic_core.domain.envelope import decode
from mosaic_core.domain.lanes import RULES, Lane
from mosaic_core.domain.lifecycle import Severity
from mosaic_core.domain.records import Membership, Signal
from mosaic_core.ports import Stores
from mosaic_ops import running
from mosaic_ops.memory.messaging import ManualClock
from mosaic_ops.memory.stores import memory_stores
from mosaic_ops.smoke import command, parts, target
from mosaic_ops.smoke.doors import Answer
from mosaic_ops.smoke.errors import NotReachableError
from mosaic_ops.smoke.parts import Expected, Finding, Smoke
from mosaic_ops.smoke.target import Azure, Embedded, Listed
from mosaic_ops.smoke.workspace import Arrived, LogAnalytics

NAMES = frozenset({"health_live", "health_ready", "sweep_lane"})
HOUSEHOLD = "5a0ce000000000000000000000000001"
DIGEST = "d" * 64
INGESTION = RULES[Lane.INGESTION].default_queue
SWEEP = RULES[Lane.SWEEP].default_queue


def token(subject: str = "smoke") -> str:
    claims = base64.urlsafe_b64encode(json.dumps({"sub": subject}).encode()).decode().rstrip("=")
    return f"e30.{claims}.x"


@dataclass
class Deployment:
    """A deployment in memory that does what it should, but for what a test takes from it."""

    stores: Stores
    listed: list[Listed] = field(default_factory=lambda: [Listed(name, False) for name in NAMES])
    health: Answer = field(
        default_factory=lambda: Answer(200, {"status": "ready", "dependencies": [{"name": "tables", "state": "up"}]})
    )
    live: dict[str, Any] = field(
        default_factory=lambda: {"version": "0.1.0", "commit": "a" * 40, "packageDigest": DIGEST}
    )
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    ends: dict[Lane, Mapping[str, Any]] = field(default_factory=dict)
    """How a lane's runs look, where not completed; empty: no worker begins them."""
    reason: str | None = "invalid_json"
    raises_signal: bool = True
    tells: bool = True
    refused: dict[str, Answer] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    traced: dict[str, str] = field(default_factory=dict)

    async def functions(self) -> list[Listed]:
        return self.listed

    async def call(
        self, method: str, path: str, *, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        self.asked.append(f"{method} {path}")
        if path == "/health/ready":
            return self.health
        if path == "/health/live":
            return Answer(200, self.live)
        if path.startswith("/runs/"):
            run = self.runs.get(path.removeprefix("/runs/"))
            return Answer(200, {"run": run}) if run else Answer(404, {"error": {"code": "not_found"}})
        kind = path.rpartition("/")[2]
        if kind in self.refused:
            return self.refused[kind]
        if kind == "ingestions":
            assert HOUSEHOLD in path
        lane = Lane.INGESTION if kind == "ingestions" else Lane.CONVERSATION
        self.traced |= headers or {}
        return Answer(202, self.execute(lane, ids.derive("test", path, json.dumps(body))))

    def execute(self, lane: Lane, command_id: str) -> dict[str, Any]:
        queue = RULES[lane].default_queue
        run = {"isFinal": True, "status": "Completed", "failureCode": None, **self.ends.get(lane, {})}
        if lane not in self.ends or self.ends[lane]:
            self.runs[ids.run_id(queue, command_id)] = run
        return {"queue": queue, "commandId": command_id}

    async def send_unsent(self) -> None:
        """As the app's timer does: what is recorded and due is sent."""
        now = datetime.now(UTC)
        async for shard in self.stores.outbox.shards():
            for entry in await self.stores.outbox.due(shard, now, 10):
                recorded = await self.stores.commands.read(entry.value.command_id)
                assert recorded is not None
                envelope = decode(recorded.envelope.encode(), Lane.SWEEP)
                assert (envelope.request_hash, recorded.queue) == (recorded.request_hash, SWEEP)
                self.execute(Lane.SWEEP, recorded.command_id)

    async def send(self, queue: str, body: bytes, message_id: str) -> None:
        assert queue == INGESTION
        if self.raises_signal:
            signal = Signal(
                signal_id=ids.rejected_message_signal_id(queue, message_id, "invalid_json"),
                queue=queue,
                signal_code="command_rejected",
                severity=Severity.ERROR,
                summary="no JSON",
                requires_human_review=True,
                raised_at=datetime.now(UTC),
                message_id=message_id,
            )
            await self.stores.signals.insert(signal)

    async def dead_letter(self, queue: str, message_id: str) -> str | None:
        return self.reason

    async def remove_dead_letter(self, queue: str, message_id: str) -> bool:
        self.removed.append(message_id)
        return True

    async def events(self, command_id: str) -> list[str]:
        return ["mosaic.runtime.command.enqueued", *(["mosaic.runtime.command.completed"] if self.tells else [])]


@dataclass
class Telemetry:
    seen: Arrived = field(default_factory=lambda: Arrived(1, 1, 1))
    asked: list[tuple[str, str]] = field(default_factory=list)

    async def arrived(self, trace_id: str, command_id: str) -> Arrived:
        self.asked.append((trace_id, command_id))
        return self.seen


@pytest.fixture
async def deployment() -> Deployment:
    stores = memory_stores(ManualClock())
    membership = Membership(
        subject="smoke",
        household_id=HOUSEHOLD,
        household_user_id="5a0ce000000000000000000000000002",
        role="Member",
        status="Active",
        created_at=datetime.now(UTC),
    )
    assert await stores.members.insert(membership)
    return Deployment(stores)


async def smoke(
    deployment: Deployment,
    *names: str,
    expected: Expected | None = None,
    bearer: str = "",
    telemetry: Any = None,
    seconds: float = 0.02,
) -> dict[str, Finding]:
    async def stores() -> Stores:
        return deployment.stores

    async def queues() -> Mapping[Lane, str]:
        return {lane: rules.default_queue for lane, rules in RULES.items()}

    told: list[Finding] = []
    it = Smoke(
        doors=deployment,
        expected=expected or Expected(functions=NAMES, digest=DIGEST),
        token=bearer or token(),
        stores=stores,
        queues=queues,
        workspace=telemetry or Telemetry(),
        seconds=seconds,
        poll_seconds=0.005,
        say=told.append,
    )
    findings = await it.run(names or parts.PARTS)
    assert sorted(told, key=str) == sorted(findings, key=str)
    return {finding.name: finding for finding in findings}


def wrong(findings: Mapping[str, Finding]) -> set[str]:
    return {name for name, finding in findings.items() if not finding.good}


async def test_all_is_so(deployment: Deployment) -> None:
    telemetry = Telemetry()
    findings = await smoke(deployment, telemetry=telemetry)
    assert wrong(findings) == set()
    assert set(findings) == set(parts.PARTS)
    (asked,) = telemetry.asked
    assert deployment.traced["traceparent"].split("-")[1] == asked[0]


async def test_its_own_bad_message_leaves_no_alert_behind(deployment: Deployment) -> None:
    await smoke(deployment, "functions", "rejected")
    (message_id,) = deployment.removed
    stored = await deployment.stores.signals.read(ids.rejected_message_signal_id(INGESTION, message_id, "invalid_json"))
    assert stored is not None
    assert (stored.value.is_resolved, stored.value.resolved_by) == (True, "mosaic smoke")


def lose(name: str) -> Callable[[Deployment], None]:
    def change(it: Deployment) -> None:
        it.listed = [function for function in it.listed if function.name != name]

    return change


def _set(**changes: Any) -> Callable[[Deployment], None]:
    def change(it: Deployment) -> None:
        for name, value in changes.items():
            setattr(it, name, value)

    return change


AFTER_FIRST = set(parts.PARTS) - set(parts.FIRST)
BUS_DOWN = {"name": "service_bus", "state": "down", "required": True, "reason": "no_permission"}
DOWN = Answer(503, {"dependencies": [{"name": "tables", "state": "up"}, BUS_DOWN]})


@pytest.mark.parametrize(
    ("change", "names", "said"),
    [
        pytest.param(lose("sweep_lane"), {"functions", *AFTER_FIRST}, "missing sweep_lane", id="a function is missing"),
        pytest.param(_set(listed=[]), {"functions", *AFTER_FIRST}, "0 of 3 functions", id="no function at all"),
        pytest.param(
            lambda it: it.listed.append(Listed("old_lane", False)),
            {"functions", *AFTER_FIRST},
            "unexpected old_lane",
            id="a function too many",
        ),
        pytest.param(
            lambda it: it.listed.__setitem__(0, replace(it.listed[0], is_disabled=True)),
            {"functions", *AFTER_FIRST},
            "disabled ",
            id="a function is disabled",
        ),
        pytest.param(
            _set(health=DOWN),
            {"health", *AFTER_FIRST},
            "503 after 0 s: service_bus down no_permission",
            id="health 503",
        ),
        pytest.param(
            _set(health=Answer(503, {})),
            {"health", *AFTER_FIRST},
            "no dependency named",
            id="health 503 of the platform",
        ),
        pytest.param(
            lambda it: it.live.update(packageDigest="e" * 64), {"build"}, "package eeee", id="another package runs"
        ),
        pytest.param(
            lambda it: it.live.update(packageDigest=None), {"build"}, "Mosaic.Operator.Read", id="not an operator"
        ),
        pytest.param(
            lambda it: it.ends.update({Lane.SWEEP: {}}), {"sweep"}, "no worker began it", id="nobody begins the sweep"
        ),
        pytest.param(
            lambda it: it.ends.update({Lane.INGESTION: {"isFinal": False, "status": "Running"}}),
            {"ingestion"},
            "still Running after",
            id="the ingestion does not end",
        ),
        pytest.param(
            lambda it: it.ends.update(
                {Lane.INGESTION: {"isFinal": False, "status": "NeedsReview", "failureCode": "lane_failed"}}
            ),
            {"ingestion"},
            "still NeedsReview (lane_failed)",
            id="the ingestion waits for another attempt",
        ),
        pytest.param(
            lambda it: it.ends.update({Lane.SWEEP: {"status": "NeedsReview", "failureCode": "attempts_exhausted"}}),
            {"sweep"},
            "ended as NeedsReview, attempts_exhausted",
            id="the sweep fails",
        ),
        pytest.param(
            lambda it: it.ends.update({Lane.CONVERSATION: {}}),
            {"conversation", "events", "workspace"},
            "no worker began it",
            id="the conversation is not answered, so nothing is told of it",
        ),
        pytest.param(
            lambda it: it.refused.update(ingestions=Answer(403, {"error": {"code": "role_required"}})),
            {"ingestion"},
            "403 role_required",
            id="ingesting is refused",
        ),
        pytest.param(_set(reason=None), {"rejected"}, "not dead-lettered within", id="no dead letter"),
        pytest.param(
            _set(reason="MaxDeliveryCountExceeded"), {"rejected"}, "MaxDeliveryCountExceeded", id="another reason"
        ),
        pytest.param(_set(raises_signal=False), {"rejected"}, "no signal within", id="no signal for the bad one"),
        pytest.param(_set(tells=False), {"events"}, "none of its completion", id="no event"),
    ],
)
async def test_what_is_not_so_is_named_and_the_rest_still_looked_at(
    deployment: Deployment, change: Callable[[Deployment], None], names: set[str], said: str
) -> None:
    change(deployment)
    findings = await smoke(deployment)
    assert wrong(findings) == names
    assert any(said in finding.detail for finding in findings.values()), findings
    assert not any(finding.unreachable for finding in findings.values())


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (Arrived(0, 1, 1), "no requests of trace"),
        (Arrived(1, 0, 1), "no span of the app of trace"),
        (Arrived(1, 1, 0), "no log line of the command of trace"),
    ],
)
async def test_telemetry_that_has_not_arrived_is_named(deployment: Deployment, seen: Arrived, said: str) -> None:
    findings = await smoke(deployment, telemetry=Telemetry(seen))
    assert wrong(findings) == {"workspace"}
    assert said in findings["workspace"].detail


async def test_what_readiness_does_without_is_told(deployment: Deployment) -> None:
    hub = {"name": "telemetry_hub", "state": "down", "required": False, "reason": "unreachable"}
    deployment.health = Answer(200, {"dependencies": [{"name": "tables", "state": "up"}, hub]})
    findings = await smoke(deployment, "health")
    assert findings["health"].good
    assert findings["health"].detail == "ready, 1 dependencies up; telemetry_hub down unreachable"


async def test_nothing_is_sent_to_an_app_that_is_not_ready(deployment: Deployment) -> None:
    deployment.listed = []
    await smoke(deployment)
    assert not [line for line in deployment.asked if line.startswith("POST")]


async def test_another_commit_is_told(deployment: Deployment) -> None:
    findings = await smoke(deployment, "build", expected=Expected(functions=NAMES, commit="b" * 40))
    assert f"{'b' * 40} is expected" in findings["build"].detail
    assert findings["build"].good is False


@pytest.mark.parametrize(
    "bearer", ["no-token", "a.b.c", f"e30.{base64.urlsafe_b64encode(b'[]').decode()}.x", token("x")]
)
async def test_a_token_of_nobody_s_is_told(deployment: Deployment, bearer: str) -> None:
    findings = await smoke(deployment, "ingestion", bearer=bearer)
    assert "token" in findings["ingestion"].detail
    assert findings["ingestion"].good is False


async def test_a_part_that_breaks_hides_no_other(deployment: Deployment) -> None:
    async def broken(queue: str, body: bytes, message_id: str) -> None:
        raise RuntimeError("boom")

    deployment.send = broken  # type: ignore[method-assign]
    findings = await smoke(deployment)
    assert wrong(findings) == {"rejected"}
    assert "RuntimeError: boom" in findings["rejected"].detail


async def test_who_does_not_answer_in_time_is_not_reachable(deployment: Deployment) -> None:
    async def nobody() -> list[Listed]:
        raise NotReachableError("nobody there")

    deployment.functions = nobody  # type: ignore[method-assign]
    findings = await smoke(deployment, "functions")
    assert (findings["functions"].good, findings["functions"].unreachable) == (False, True)


async def test_who_answers_late_is_waited_for(deployment: Deployment) -> None:
    calls: list[int] = []
    later = deployment.functions

    async def late() -> list[Listed]:
        calls.append(1)
        if len(calls) < 2:
            raise NotReachableError("not yet")
        return await later()

    deployment.functions = late  # type: ignore[method-assign]
    assert (await smoke(deployment, "functions", seconds=60))["functions"].good


# ------------------------------------------------------------------------------------------------------- command line


@pytest.mark.parametrize(
    "arguments",
    [
        ["--only", "nonsense"],
        ["--skip", ",".join(parts.PARTS)],
        ["--app", "a", "--url", "https://a.example"],
        ["--resource-group", "g"],
        ["--app", "a", "--resource-group", "g"],
        ["--app", "a", "--resource-group", "g", "--url", "https://a.example"],
        ["--url", "a.example"],
        ["--only", "events"],
        ["--only", "workspace"],
        ["--timeout", "-1"],
        ["--timeout", "soon"],
        ["--token", "a", "--token-command", "b"],
        ["--manifest", "/no/such/file"],
    ],
)
def test_a_command_line_that_makes_no_sense_is_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        command.main(arguments)
    assert caught.value.code == 2
    assert capsys.readouterr().err


def test_what_is_expected_comes_from_the_package(tmp_path: Path) -> None:
    manifest = tmp_path / "manifest.json"
    manifest.write_text(json.dumps({"functions": ["a"], "digest": "1", "commit": "c" * 40}))
    parser = command._parser()
    expected = command._expected(parser, parser.parse_args(["--manifest", str(manifest)]))
    assert expected == Expected(functions=frozenset({"a"}), digest="1", commit="c" * 40)
    assert command._expected(parser, parser.parse_args(["--expect-digest", "2"])).digest == "2"


def _ends(monkeypatch: pytest.MonkeyPatch, *findings: Finding, arguments: tuple[str, ...] = ()) -> Callable[[], int]:
    async def run(*_: object) -> list[Finding]:
        await asyncio.sleep(0)
        return list(findings)

    monkeypatch.setattr(command, "_run", run)
    azure = ("--app", "a", "--resource-group", "g", "--url", "https://a.example", "--token", "t")
    return lambda: command.main([*azure, *arguments])


GOOD = Finding("health", True, "ready")


@pytest.mark.parametrize(
    ("findings", "code"),
    [
        ((GOOD,), 0),
        ((GOOD, Finding("sweep", False, "x")), 1),
        ((Finding("functions", False, "x", unreachable=True), Finding("sweep", None, "not tried")), 3),
        ((Finding("functions", False, "x", unreachable=True), Finding("health", False, "503")), 1),
    ],
)
def test_exit_codes(monkeypatch: pytest.MonkeyPatch, findings: tuple[Finding, ...], code: int) -> None:
    assert _ends(monkeypatch, *findings)() == code


def test_findings_as_json(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert _ends(monkeypatch, GOOD, Finding("sweep", False, "late", 1.5), arguments=("--json",))() == 1
    said = json.loads(capsys.readouterr().out)
    assert said["good"] is False
    assert said["checks"][1] == {"name": "sweep", "good": False, "unreachable": False, "detail": "late", "seconds": 1.5}


def test_a_token_command_that_fails_is_not_reachable(capsys: pytest.CaptureFixture[str]) -> None:
    azure = ["--app", "a", "--resource-group", "g", "--url", "https://a.example"]
    assert command.main([*azure, "--token-command", "false"]) == 3
    assert "token command" in capsys.readouterr().err


# -------------------------------------------------------------------------------------------------------------- Azure

APP_SETTINGS = {
    "AzureWebJobsStorage__accountName": "st",
    "AZURE_CLIENT_ID": "11111111-1111-1111-1111-111111111111",
    "ServiceBusConnection__fullyQualifiedNamespace": "sb-x.servicebus.example",
    "ServiceBusConnection__clientId": "11111111-1111-1111-1111-111111111111",
    "ServiceBusConnection__credential": "managedidentity",
    "EventHubsConnection__fullyQualifiedNamespace": "eh-x.servicebus.example",
    "EventHubsConnection__clientId": "11111111-1111-1111-1111-111111111111",
    "EventHubsConnection__credential": "managedidentity",
    "TablesConnection__endpoint": "https://stx.table.example",
    "TablesConnection__clientId": "11111111-1111-1111-1111-111111111111",
    "BlobsConnection__endpoint": "https://stx.blob.example",
    "BlobsConnection__clientId": "11111111-1111-1111-1111-111111111111",
    "Auth__Issuer": "https://login.example/t/v2.0",
    "Auth__Audience": "api://mosaic",
    "Auth__JwksUri": "https://login.example/t/keys",
    "SweepQueue": "another-sweep",
}
"""As az lists them; the values are null in no case."""


@pytest.fixture
def az(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Puts a program named az on PATH; returns the file of the command lines that it was given."""

    def put(script: str) -> Path:
        program, asked = tmp_path / "bin" / "az", tmp_path / "asked"
        program.parent.mkdir(exist_ok=True)
        program.write_text(f'#!/bin/sh\necho "$@" >> "{asked}"\n{script}\n')
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
        return asked

    return put


AZURE = Azure("https://func-x.sites.example", "rg-x", "func-x")


def test_another_address_than_the_stack_s_gets_none_of_its_queues(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "environment", lambda state: {"ApiBaseUrl": "http://127.0.0.1:7071"})
    with pytest.raises(NotReachableError, match="is not the running embedded stack"):
        Embedded.of("https://func-x.sites.example", None).settings()


async def test_functions_are_listed_by_az(az: Callable[[str], Path]) -> None:
    listed = [{"name": "func-x/sweep_lane", "isDisabled": False}, {"name": "func-x/old", "isDisabled": True}]
    asked = az(f"echo '{json.dumps(listed)}'")
    assert await AZURE.functions() == [Listed("sweep_lane", False), Listed("old", True)]
    assert asked.read_text() == "functionapp function list --resource-group rg-x --name func-x --output json\n"


def test_settings_are_the_app_s_with_the_caller_s_own_identity(az: Callable[[str], Path]) -> None:
    az(f"echo '{json.dumps([{'name': name, 'value': value} for name, value in APP_SETTINGS.items()])}'")
    settings = AZURE.settings()
    assert settings.queues[Lane.SWEEP] == "another-sweep"
    assert settings.service_bus.endpoint == "sb-x.servicebus.example"
    for connection in (settings.service_bus, settings.event_hubs, settings.tables, settings.blobs):
        assert (connection.uses_identity, connection.client_id) == (True, "")


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo 'ERROR: Please run az login' >&2; exit 1", "Please run az login"),
        ("echo nonsense", "answered no JSON"),
        ("echo '[]'", "do not hold"),
    ],
)
def test_an_az_that_cannot_tell_is_not_reachable(az: Callable[[str], Path], script: str, said: str) -> None:
    az(script)
    with pytest.raises(NotReachableError, match=said):
        AZURE.settings()


def test_without_az_it_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotReachableError, match="az"):
        target.az(["account", "show"])


@dataclass
class Client:
    """What a LogsQueryClient answers."""

    tables: list[Any]
    asked: list[str] = field(default_factory=list)

    async def query_workspace(self, workspace_id: str, query: str, *, timespan: Any) -> Any:
        self.asked.append(query)
        return self


@dataclass
class Table:
    rows: list[dict[str, Any]]


async def test_the_workspace_s_rows_are_counted() -> None:
    client = Client([Table([{"What": "requests", "Count": 2}, {"What": "spans", "Count": 1}])])
    seen = await LogAnalytics(client, "w").arrived("t" * 32, "c" * 32)  # type: ignore[arg-type]
    assert seen == Arrived(2, 1, 0)
    assert seen.missing == ["log line of the command"]
    assert "t" * 32 in client.asked[0]
    assert "c" * 32 in client.asked[0]


async def test_a_partial_answer_of_the_workspace_is_none() -> None:
    with pytest.raises(NotReachableError):
        await LogAnalytics(Client([]), "w").arrived("t", "c")  # type: ignore[arg-type]
