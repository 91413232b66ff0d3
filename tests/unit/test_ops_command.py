"""`./mosaic ops` over the API's own functions in memory: what is printed, what is asked, and the exit codes."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest

from mosaic_core.domain import ids
from mosaic_core.domain.errors import StoreUnreachableError
from mosaic_core.domain.lifecycle import RunStatus
from mosaic_ops import cli
from mosaic_ops.ops import glance, queues, telemetry, verbs
from mosaic_ops.ops.api import Api
from mosaic_ops.ops.errors import OpsError, UnreachableError, UsageError
from mosaic_ops.ops.main import hoisted
from mosaic_ops.ops.queues import DeadLetter, Depth, Queues, groups, is_named
from mosaic_ops.ops.target import Bus, Deployment, EmbeddedStack
from tests.support.api import ALICE_HOUSEHOLD, ApiWorld
from tests.support.world import COMMAND_ID, QUEUE, RUN_ID, Work, World

TOKEN = "olga+Mosaic.Operator.Read+Mosaic.Operator.Replay"


class Stack:
    """A stack in memory behind the tool."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, state: Path) -> None:
        self.work = World(Work(["fail"]))
        self.world = ApiWorld(clock=self.work.clock)
        self.world.stores = self.work.stored
        self.world.replays = replace(self.world.replays, stores=self.work.stored, browser=self.work.broker)
        self.state = state
        self.letters: list[DeadLetter] = []
        """What a look into the queues shows: then the API does not know the dead letters."""
        self.depth = 0
        self.asked: list[str] = []
        self.functions = [
            {"name": "conversation_lane", "isDisabled": False, "config": {"bindings": [{"type": "serviceBusTrigger"}]}}
        ]
        (state / "telemetry").mkdir(parents=True)
        (state / "logs").mkdir()
        environment = {
            "ApiBaseUrl": "http://127.0.0.1:1",
            "ServiceBusConnection": "c",
            "ServiceBusAdministrationConnection": "a",
            "CaFile": "ca.pem",
            "StateDir": str(state),
        }
        described = {"environment": environment, "processes": {}}
        (state / "stack.json").write_text(json.dumps(described), "utf-8")
        monkeypatch.setattr(EmbeddedStack, "ask_for_token", lambda _: None)
        monkeypatch.setattr(EmbeddedStack, "token", TOKEN)
        monkeypatch.setattr(Api, "_raw", lambda api, *call: self.raw(*call))
        stack = self

        async def dead_letters(_: Queues, lanes: Any, most: int = queues.MOST) -> list[DeadLetter]:
            return [one for one in stack.letters if (one.lane, one.queue) in lanes]

        async def depths(_: Queues, lanes: Any) -> list[Depth]:
            old = (datetime.now(UTC) - timedelta(hours=1)).isoformat() if stack.depth else None
            counts = {"active": stack.depth, "scheduled": 2, "dead_lettered": len(stack.letters), "oldest_at_utc": old}
            return [Depth(lane=lane, queue=queue, **counts) for lane, queue in lanes]  # type: ignore[arg-type]

        monkeypatch.setattr(Queues, "dead_letters", dead_letters)
        monkeypatch.setattr(Queues, "depths", depths)

    def raw(self, method: str, url: str, data: bytes | None, headers: dict[str, str]) -> tuple[int, bytes]:
        parts = urlsplit(url)
        self.asked.append(f"{method} {parts.path}" + (f"?{parts.query}" if parts.query else ""))
        if parts.path == "/admin/functions":
            return 200, json.dumps(self.functions).encode()
        if self.letters and parts.path.startswith("/api/v1/agent/ops/dead-letters"):
            return 503, json.dumps({"error": {"code": "queue_unavailable", "message": "the queue is away"}}).encode()
        more = {name: value for name, value in headers.items() if name != "Authorization"}
        token = headers["Authorization"].removeprefix("Bearer ")
        url = parts.path + (f"?{parts.query}" if parts.query else "")
        answer = asyncio.run(self.world.call(method, url, token=token, body=data or b"", headers=more))
        return answer.status, answer.body

    def set_clock(self) -> None:
        """To this machine's."""
        self.work.clock.advance((datetime.now(UTC) - self.work.clock.now()).total_seconds())

    def fail(self, count: int = 1) -> None:
        async def work() -> None:
            await self.work.send()
            await self.work.run()

        asyncio.run(work())


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Stack:
    for name in ("MOSAIC_URL", "MOSAIC_TOKEN", "MOSAIC_TOKEN_COMMAND", "MOSAIC_SERVICE_BUS"):
        monkeypatch.delenv(name, raising=False)
    return Stack(monkeypatch, tmp_path / "state")


@pytest.fixture
def ops(stack: Stack, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def run(*arguments: str) -> tuple[int, str, str]:
        code = cli.main(["ops", *arguments, "--state", str(stack.state)])
        out, said = capsys.readouterr()
        return code, out, said

    return run


type Ops = Callable[..., tuple[int, str, str]]


def letter(**changes: Any) -> DeadLetter:
    whole: dict[str, Any] = {
        "lane": "conversation",
        "queue": QUEUE,
        "sequence_number": 7,
        "message_id": COMMAND_ID,
        "command_id": COMMAND_ID,
        "correlation_id": "agent:h:c:1",
        "command_type": "agent_message_posted",
        "reason": "processing_failed",
        "failure_code": "broken",
        "rationale": "told to fail",
        "run_id": RUN_ID,
        "attempt": 5,
        "exception_type": None,
        "delivery_count": 1,
        "enqueued_at_utc": "2026-01-01T00:00:00Z",
    }
    return DeadLetter(**{**whole, **changes})


# --------------------------------------------------------------------------------------------------------- every verb

VERBS = [
    ["status"],
    ["resources"],
    ["wait", "worker"],
    ["wait", "api", "--status", "healthy"],
    ["runs"],
    ["run", COMMAND_ID],
    ["next", COMMAND_ID],
    ["trace", COMMAND_ID],
    ["trace", COMMAND_ID, "--dead-letters"],
    ["signals"],
    ["signals", "--all"],
    ["approvals", "--household", ALICE_HOUSEHOLD],
    ["dlq", "list"],
    ["dlq", "show", COMMAND_ID],
    ["dlq", "groups"],
    ["logs", "worker"],
    ["telemetry", "traces", "worker"],
    ["telemetry", "logs", "worker"],
]


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_every_verb_has_a_table_and_json_and_changes_nothing(stack: Stack, ops: Ops, verb: list[str]) -> None:
    stack.fail()
    stack.letters = [letter()]
    (stack.state / "logs" / "worker.log").write_text("a line\n", "utf-8")
    span = {"traceId": "t", "name": "runtime.command.execute", "service.name": "MosaicMoney.Worker", "attributes": {}}
    span |= {"startTime": "2026-01-01T00:00:00Z", "endTime": "2026-01-01T00:00:01Z", "commandId": COMMAND_ID}
    (stack.state / "telemetry" / "spans.jsonl").write_text(json.dumps(span) + "\n", "utf-8")
    record = {"time": "2026-01-01T00:00:00Z", "level": "INFO", "message": "command completed"}
    (stack.state / "telemetry" / "logs.jsonl").write_text(json.dumps(record) + "\n", "utf-8")
    code, out, said = ops(*verb)
    assert (code, said) == (verb == ["status"], ""), said  # a status that found something is not well
    assert out.strip()
    code, out, said = ops(*verb, "--json")
    assert (code, said) == (verb == ["status"], "")
    assert isinstance(json.loads(out), dict)
    assert all(asked.startswith("GET ") for asked in stack.asked)


@pytest.mark.parametrize(
    "verb",
    [*{v[0]: v[:1] for v in VERBS}.values(), ["dlq", "list"], ["telemetry", "logs"], ["resolve"], ["completion"]],
)
def test_every_verb_has_help_with_an_example(ops: Ops, verb: list[str]) -> None:
    code, out, said = ops(*verb, "--help")
    assert (code, said) == (0, "")
    assert "Example: " in out or "Commands:" in out


# ------------------------------------------------------------------------------------------------------------- reading


def test_status_tells_the_lanes_and_what_is_down(stack: Stack, ops: Ops) -> None:
    stack.fail()
    stack.depth = 3
    code, out, _ = ops("status", "--json")
    found = json.loads(out)
    assert (code, found["isWell"]) == (1, False)
    [lane] = [one for one in found["lanes"] if one["lane"] == "conversation"]
    assert (lane["depth"]["active"], lane["depth"]["scheduled"], lane["recent"]["failed"]) == (3, 2, 1)
    assert found["health"]["version"] == "9.9.9"
    stack.world.clock.advance(60)
    stack.world.probes[0].up = False
    code, out, _ = ops("status")
    assert code == 1
    assert out.startswith("status  NOT WELL; 6 findings, gravest first; the app itself is not_ready")
    assert "1. tables is down" in out


def test_nothing_found_is_exit_0_and_ready_never_stands_beside_a_finding(stack: Stack, ops: Ops) -> None:
    stack.set_clock()
    code, out, _ = ops("status")
    assert (code, out.splitlines()[0]) == (0, "status  ready; nothing is wrong")
    assert json.loads(ops("status", "--json")[1])["isWell"] is True
    stack.fail()
    stack.set_clock()
    code, out, _ = ops("status")
    assert (code, out.splitlines()[0]) == (1, "status  NOT WELL; 1 finding; the app itself is ready")


def test_status_without_the_queues_says_why_it_does_not_count(
    stack: Stack, ops: Ops, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack.set_clock()

    async def away(*_: object) -> list[Depth]:
        raise UnreachableError("queue x cannot be looked at")

    monkeypatch.setattr(Queues, "depths", away)
    code, out, _ = ops("status")
    assert code == 0
    assert out.startswith("status  ready; nothing is wrong in what could be seen: queues could not")
    assert "queue depths unknown: queue x cannot be looked at" in out


def test_with_storage_away_status_and_resources_tell_what_is_known(
    stack: Stack, ops: Ops, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Away:
        def __aiter__(self) -> Away:
            return self

        async def __anext__(self) -> None:
            raise StoreUnreachableError("AgentIndex: 503")

    monkeypatch.setattr(stack.work.stored.commands, "listed", lambda *_, **__: Away())
    stack.world.probes[0].up = False
    code, out, said = ops("status")
    assert (code, said) == (1, "")
    assert "runs and signals unknown: storage did not answer" in out
    lines = [line.split() for line in out.splitlines()]
    assert ["conversation", "0", "2"] in [line[:3] for line in lines]
    assert "1. tables is down" in out
    code, out, said = ops("status", "--json")
    assert (code, json.loads(out)["lanes"], len(json.loads(out)["depths"])) == (1, [], 3)
    code, out, said = ops("resources")
    assert (code, said) == (1, "")
    assert QUEUE in out
    assert ops("dlq", "list")[0] == 0


def test_with_the_app_away_resources_show_what_runs(stack: Stack, ops: Ops, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> tuple[int, bytes]:
        raise UnreachableError("http://127.0.0.1:1 does not answer (Connection refused)")

    monkeypatch.setattr(Api, "_raw", away)
    monkeypatch.setattr(EmbeddedStack, "processes", {"broker": os.getpid(), "worker": 2**22 + 1})
    code, out, said = ops("resources")
    assert code == 3
    assert "does not answer" in said
    states = {line.split()[0]: line.split()[2] for line in out.splitlines()[1:]}
    assert states == {"broker": "up", "worker": "down", "api": "down"}


def end(seconds: float, how: str = "was ended by SIGKILL (kill -9; memory was not short)") -> str:
    at = (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat()
    return json.dumps({"part": "worker", "process": 4711, "atUtc": at, "how": how, "isStackOver": False})


def test_a_process_that_was_killed_is_a_finding_with_its_signal(stack: Stack, ops: Ops) -> None:
    stack.set_clock()
    kept = stack.state / "logs" / "ends.jsonl"
    kept.write_text(end(7200) + "\n")
    assert ops("status")[0] == 0, "two hours ago is no finding"
    kept.write_text(f"{end(90, 'ended with exit code 1')}\n{end(60)}\n")
    code, out, _ = ops("status")
    assert code == 1
    assert "1. worker: 2 processes ended and nobody had told them to" in out
    assert "the process 4711 of worker was ended by SIGKILL (kill -9; memory was not short), 1 m ago" in out


def test_next_and_trace_tell_of_the_process_that_ended_under_an_attempt(stack: Stack, ops: Ops) -> None:
    async def begun() -> None:
        await stack.work.send()
        message = stack.work._next()
        assert message is not None
        await stack.work.deliver(message)
        run = await stack.work.stored.runs.read(RUN_ID)
        assert run is not None
        await stack.work.stored.runs.update(replace(run.value, status=RunStatus.RUNNING), run.etag)

    stack.set_clock()
    asyncio.run(begun())
    kept = stack.state / "logs" / "ends.jsonl"
    kept.write_text(end(-5) + "\n")  # a moment after the attempt began
    assert "its process was ended by SIGKILL (kill -9; memory was not short), now; " in ops("next", RUN_ID)[1]
    assert "process 4711 of worker was ended by SIGKILL" in ops("trace", RUN_ID)[1]
    kept.write_text(end(3600) + "\n")
    assert "SIGKILL" not in ops("next", RUN_ID)[1] + ops("trace", RUN_ID)[1]


def test_what_could_not_be_seen_is_not_well(stack: Stack, ops: Ops, monkeypatch: pytest.MonkeyPatch) -> None:
    stack.set_clock()
    monkeypatch.setattr(EmbeddedStack, "token", "olga")
    code, out, _ = ops("status")
    assert (code, out.partition(";")[0]) == (1, "status  NOT KNOWN")
    assert out.splitlines()[0].endswith("in what could be seen: runs and signals, dead letters could not")


def test_a_clock_that_makes_tokens_be_refused_is_found_all_the_same(
    stack: Stack, ops: Ops, monkeypatch: pytest.MonkeyPatch
) -> None:
    def raw(api: Api, *call: Any) -> tuple[int, bytes]:
        api._compare_clocks((datetime.now(UTC) - timedelta(seconds=300)).strftime("%a, %d %b %Y %H:%M:%S GMT"))
        return stack.raw(*call)

    monkeypatch.setattr(Api, "_raw", raw)
    monkeypatch.setattr(EmbeddedStack, "token", "")
    code, out, _ = ops("status")
    assert code == 1
    assert out.startswith("status  NOT WELL; 1 finding")
    assert re.search(r"1\. the app's clock is (299|300|301) s behind this machine's", out)
    assert "./mosaic ops status" not in out
    code, _, said = ops("runs")
    assert code == 2
    assert "this machine's clock wrong" in said
    assert said.endswith("; whether the clocks differ: ./mosaic ops status\n")


def test_a_clock_is_not_made_up_where_an_answer_says_none(stack: Stack) -> None:
    target = EmbeddedStack(stack.state)
    for said in (None, "", "yesterday"):
        Api(target)._compare_clocks(said)
    assert target.clock_ahead_seconds == 0.0


def test_an_app_that_is_away_says_how_its_process_ended(
    stack: Stack, ops: Ops, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> tuple[int, bytes]:
        raise UnreachableError("http://127.0.0.1:1 does not answer (Connection refused)")

    monkeypatch.setattr(Api, "_raw", away)
    (stack.state / "logs" / "ends.jsonl").write_text(end(30) + "\n")
    code, out, _ = ops("status")
    assert code == 3
    assert "(Connection refused); the process 4711 of worker was ended by SIGKILL" in out


def test_runs_say_when_they_go_on_and_pass_the_filters(stack: Stack, ops: Ops) -> None:
    async def once() -> None:
        await stack.work.send()
        message = stack.work._next()
        assert message is not None
        await stack.work.deliver(message)

    asyncio.run(once())
    code, out, _ = ops("runs", "--lane", "conversation", "--since", "2026-01-01T00:00:00Z", "--limit", "5")
    assert code == 0
    assert "1 of 5, next at 2026-01-01T00:00:0" in out
    asked = stack.asked[-1]
    assert "lane=conversation" in asked
    assert "limit=5" in asked
    assert "sinceUtc=2026-01-01T00%3A00%3A00Z" in asked
    assert ops("runs", "--status", "Completed")[1].strip() == "none"


def test_a_list_goes_on_over_pages_and_says_where_it_stopped(
    stack: Stack, ops: Ops, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages: list[dict[str, Any]] = [
        {"runs": [], "nextCursor": "1"},
        {"runs": [], "nextCursor": "2"},
        {"runs": [], "nextCursor": None},
    ]
    cursors: list[object] = []

    def get(_: Api, path: str, **query: object) -> dict[str, Any]:
        cursors.append(query["cursor"])
        return pages[len(cursors) - 1]

    monkeypatch.setattr(Api, "get", get)
    assert Api(EmbeddedStack(stack.state)).pages("/ops/runs", "runs", 10) == ([], None)
    assert cursors == [None, "1", "2"]


@pytest.mark.parametrize("asked", [COMMAND_ID, RUN_ID, ids.failure_signal_id(RUN_ID), f"{{{COMMAND_ID.upper()}}}"])
def test_the_story_of_a_failed_command_from_any_id(stack: Stack, ops: Ops, asked: str) -> None:
    stack.fail()
    code, out, _ = ops("trace", asked)
    assert code == 0
    told = [line for line in out.splitlines() if "AgentRunStages" in line and "Failed" in line]
    assert len(told) == 5
    assert "Rejected; then the message is a dead letter" in out
    assert "do     look into the run and its log lines" in out
    assert "missing: there is no telemetry yet" in out


def test_an_id_that_nobody_knows_is_exit_1(stack: Stack, ops: Ops) -> None:
    for verb in ("trace", "run", "next"):
        code, out, said = ops(verb, "f" * 32)
        assert (code, out) == (1, "")
        assert "no table knows this id" in said


def test_a_dead_letter_that_no_table_knows_has_a_next_step(stack: Stack, ops: Ops) -> None:
    stack.letters = [letter(message_id="m-9", command_id=None, run_id=None, reason="TTLExpiredException")]
    code, out, _ = ops("next", "m-9", "--json")
    assert code == 0
    assert json.loads(out)["code"] == "TTLExpiredException"
    assert ops("trace", "m-9")[0] == 1
    code, out, _ = ops("trace", "m-9", "--dead-letters")
    assert code == 0
    assert "only the dead-letter queue does" in out


def test_next_of_a_code_asks_nobody(stack: Stack, ops: Ops) -> None:
    code, out, _ = ops("next", "idempotency_rejected")
    assert code == 0
    assert "docs/runbook.md#common-failure-modes" in out
    assert stack.asked == []


def test_a_signal_is_resolved_with_a_note(stack: Stack, ops: Ops) -> None:
    stack.fail()
    signal_id = ids.failure_signal_id(RUN_ID)
    assert ops("resolve", signal_id)[0] == 2
    assert ops("resolve", signal_id, "--note", " ")[0] == 2
    assert ops("resolve", "x", "--note", "seen")[0] == 2
    assert not [asked for asked in stack.asked if asked.startswith("POST")]
    code, out, _ = ops("resolve", signal_id, "--note", "seen")
    assert (code, out.strip()) == (0, "worker_command_failed was resolved by olga: seen")
    assert ops("resolve", signal_id, "--note", "seen")[0] == 0
    code, _, said = ops("resolve", signal_id, "--note", "other")
    assert code == 1
    assert "that resolution stands" in said
    assert ops("signals")[1].strip() == "none"
    assert ops("resolve", "f" * 32, "--note", "seen")[0] == 1


# ---------------------------------------------------------------------------------------------------------------- wait


def test_a_worker_is_up_where_its_triggers_run_and_nothing_waits_for_long(stack: Stack, ops: Ops) -> None:
    now = ("--timeout", "0")
    assert ops("wait", "worker", *now)[0] == 0
    stack.depth = 1
    code, out, _ = ops("wait", "worker", *now)
    assert code == 1
    assert "due for more than 60 s" in out
    stack.depth = 0
    stack.functions[0]["isDisabled"] = True
    assert "disabled: conversation_lane" in ops("wait", "worker", *now)[1]
    stack.functions.clear()
    assert "not indexed" in ops("wait", "worker", *now)[1]


def test_an_api_is_healthy_where_what_it_builds_on_answers(stack: Stack, ops: Ops) -> None:
    stack.world.probes[1].up = False
    code, out, _ = ops("wait", "api", "--status", "healthy", "--timeout", "0", "--json")
    assert code == 1
    assert json.loads(out)["lacking"] == "queues is down"
    assert ops("wait", "api", "--status", "up", "--timeout", "0")[0] == 0


def test_what_does_not_answer_is_exit_3(stack: Stack, ops: Ops, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> tuple[int, bytes]:
        raise UnreachableError("http://127.0.0.1:1 does not answer (Connection refused)")

    monkeypatch.setattr(Api, "_raw", away)
    for verb in VERBS:
        if verb[0] not in {"dlq", "logs", "telemetry"}:
            more = ["--timeout", "0"] if verb[0] == "wait" else []
            assert ops(*verb, *more)[0] == 3, verb


def test_waiting_goes_on_until_it_is_so(stack: Stack, ops: Ops, monkeypatch: pytest.MonkeyPatch) -> None:
    found = iter(["not yet", "not yet", ""])
    slept: list[float] = []
    monkeypatch.setattr(glance, "lacking_of", lambda *_: next(found))
    monkeypatch.setattr(time, "sleep", slept.append)
    assert ops("wait", "api")[0] == 0
    assert len(slept) == 2


# -------------------------------------------------------------------------------------------------------- dead letters


def test_a_dead_letter_is_captured_as_the_runbook_says(stack: Stack, ops: Ops) -> None:
    stack.letters = [letter(), letter(lane="ingestion", queue="runtime-ingestion-completed", message_id="m-2")]
    code, out, _ = ops("dlq", "show", RUN_ID)
    assert code == 0
    captured = ["queue lane", "command id", "message id", "correlation id", "failure code", "rationale"]
    assert [line.split("  ")[0] for line in out.splitlines()][:6] == captured
    for asked in (COMMAND_ID, "7"):
        assert ops("dlq", "show", asked, "--lane", "conversation")[0] == 0
    code, _, said = ops("dlq", "show", "8", "--lane", "sweep")
    assert code == 1
    assert "./mosaic ops dlq list --lane sweep" in said


def test_two_causes_are_two_groups() -> None:
    found = groups(
        [
            letter(),
            letter(message_id="b", sequence_number=9),
            letter(failure_code="unexpected_error", exception_type="KeyError"),
            letter(failure_code="unexpected_error", exception_type="TypeError"),
            letter(reason="invalid_json", failure_code="invalid_json"),
        ]
    )
    assert [(g.code, g.exception_type, g.count, g.example) for g in found] == [
        ("broken", None, 2, "b"),
        ("invalid_json", None, 1, COMMAND_ID),
        ("unexpected_error", "KeyError", 1, COMMAND_ID),
        ("unexpected_error", "TypeError", 1, COMMAND_ID),
    ]


def peeked(body: bytes, description: str | None, **changes: Any) -> Any:
    whole: dict[str, Any] = {
        "body": [body],
        "application_properties": {},
        "message_id": "m-1",
        "correlation_id": None,
        "subject": None,
        "sequence_number": 3,
        "delivery_count": 2,
        "state": 0,
        "dead_letter_reason": "processing_failed",
        "dead_letter_error_description": description,
        "enqueued_time_utc": datetime(2026, 1, 1, tzinfo=UTC),
        "raw_amqp_message": SimpleNamespace(properties=None),
    }
    return SimpleNamespace(**{**whole, **changes})


ENVELOPE = json.dumps(
    {"commandId": COMMAND_ID, "correlationId": "agent:h:c:1", "commandType": "x", "payload": {"message": "secret"}}
).encode()


def test_a_look_into_the_queue_tells_what_the_api_tells(stack: Stack, ops: Ops) -> None:
    """One reading: the same dead letter by either way is the same, and its content is in neither."""
    stack.fail()
    code, by_api, _ = ops("dlq", "show", COMMAND_ID, "--json")
    assert code == 0
    [told] = json.loads(by_api)["deadLetters"]
    [dead] = stack.work.broker.dead_letters(QUEUE)
    message = dead.message
    seen = queues._told(
        "conversation",
        QUEUE,
        peeked(
            message.body,
            dead.description,
            message_id=message.message_id,
            correlation_id=message.correlation_id,
            application_properties=dict(message.properties),
            dead_letter_reason=dead.reason,
        ),
    ).json()
    for name in set(told) - {"sequenceNumber", "deliveryCount", "enqueuedAtUtc"}:
        assert seen[name] == told[name], name
    assert told["attempt"] == 5
    sent = zlib.compress(ENVELOPE)
    never = queues._told("sweep", "q", peeked(sent, None, application_properties={b"bodyEncoding": "deflate"}))
    assert never.command_id == COMMAND_ID
    assert "secret" not in json.dumps(never.json())


def test_the_words_of_others_are_not_repeated() -> None:
    by_broker = peeked(ENVELOPE, "Message could not be consumed", dead_letter_reason="MaxDeliveryCountExceeded")
    told = queues._told("sweep", "q", by_broker)
    assert (told.reason, told.failure_code, told.rationale) == ("MaxDeliveryCountExceeded", None, None)
    by_hand = peeked(ENVELOPE, "Alice said so", dead_letter_reason="ask Alice", message_id="Alice's\x1b[2J")
    told = queues._told("sweep", "q", by_hand)
    assert "Alice" not in json.dumps(told.json())
    assert is_named(told, "Alice's\x1b[2J")


@pytest.mark.parametrize(
    ("body", "properties", "user", "said"),
    [
        (b"{", {b"Producer-Name": b"acme-feed"}, None, "Producer-Name=acme-feed"),
        (b"{", {"User-Agent": "feed/2.1 (linux; python)"}, None, "User-Agent=feed/2.1 (linux; python)"),
        (b'{"source": "acme", "payload": {"sender": "s-1"}}', {"appId": "a"}, None, "appId=a; source=acme; sender=s-1"),
        (b'{"payload": {"source": "sample-bank"}}', {}, b"svc", "source=sample-bank; user-id=svc"),
        (b"{", {"householdId": "h", "recorded": True, "source": 7}, None, None),
        (b"[]", {}, b"jms", "user-id=jms"),
    ],
)
def test_a_dead_letter_says_who_sent_it_where_the_message_does(
    stack: Stack, ops: Ops, body: bytes, properties: Any, user: bytes | None, said: str | None
) -> None:
    raw = SimpleNamespace(properties=SimpleNamespace(user_id=user))
    found = queues._told(
        "ingestion",
        "runtime-ingestion-completed",
        peeked(body, None, application_properties=properties, raw_amqp_message=raw),
    )
    assert found.sent_by == said
    stack.letters = [found]
    assert f"sent by          {said or 'the message names nobody'}" in ops("dlq", "show", "m-1")[1]
    groups_told = ops("dlq", "groups")[1]
    assert (f"from   {said}" in groups_told) is (said is not None)


def test_a_sender_that_is_a_persons_words_is_told_apart_and_not_told() -> None:
    for words in ("alice@example.org", "Alice\x1b[2J", "Алиса", "a" * 200):
        told = queues._told("sweep", "q", peeked(b"{", None, application_properties={"sender": words}))
        assert told.sent_by == f"sender={ids.clean(words)}" != f"sender={words}"


@pytest.mark.parametrize("verb", [["list"], ["show", COMMAND_ID], ["groups"]], ids=" ".join)
def test_dead_letters_are_the_apis_and_no_queue_is_opened(
    stack: Stack, ops: Ops, monkeypatch: pytest.MonkeyPatch, verb: list[str]
) -> None:
    async def opened(*_: object) -> list[DeadLetter]:
        raise AssertionError("a queue was looked into")

    stack.fail()
    monkeypatch.setattr(Queues, "dead_letters", opened)
    code, out, said = ops("dlq", *verb)
    assert (code, said) == (0, "")
    assert "processing_failed" in out or "broken" in out


def test_without_the_role_or_the_api_the_queues_themselves_are_looked_into(
    stack: Stack, ops: Ops, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack.letters = [letter()]
    assert COMMAND_ID in ops("dlq", "list")[1]
    stack.letters = []
    asked: list[Any] = []

    async def opened(_: Queues, lanes: Any, most: int = queues.MOST) -> list[DeadLetter]:
        asked.append(lanes)
        return [letter()]

    monkeypatch.setattr(Queues, "dead_letters", opened)
    monkeypatch.setattr(EmbeddedStack, "token", "olga")
    assert COMMAND_ID in ops("dlq", "list")[1]
    assert len(asked) == 1
    # a deployment whose queues nobody named: what the API said stands
    monkeypatch.setattr(EmbeddedStack, "bus", property(lambda _: (_ for _ in ()).throw(UsageError("--service-bus"))))
    code, _, said = ops("dlq", "list")
    assert code == 2
    assert "Mosaic.Operator.Read" in said


# ------------------------------------------------------------------------------------------------ logs and telemetry


def test_a_log_without_ones_own_looks_at_it(stack: Stack, ops: Ops) -> None:
    lines = [
        "2026-01-01 00:00:00,000 INFO a: an operator looked at runs",
        "2026-01-01 00:00:01,000 ERROR a: it failed",
        "Traceback (most recent call last):",
        "ValueError: x",
        "2026-01-01 00:00:02,000 INFO a: begun",
        "Fatal Python error: Segmentation fault",
        "2026-01-01 00:00:03,000 INFO a: an operator looked at runs",
    ]
    (stack.state / "logs" / "worker.log").write_text("\n".join(lines) + "\n", "utf-8")
    assert ops("logs", "worker", "--level", "warning")[1].splitlines() == lines[1:6]
    assert ops("logs", "worker", "--level", "warning", "--tail", "2")[1].splitlines() == lines[4:6]
    assert ops("logs", "worker")[1].splitlines() == lines
    assert ops("logs", "worker", "--level", "loud")[0] == 2


async def test_a_broker_that_stands_still_keeps_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    never = asyncio.Event()

    async def stands_still() -> None:
        try:
            await never.wait()
        finally:
            await asyncio.sleep(0.05)  # its link does not close at once either

    monkeypatch.setattr(queues, "_SECONDS", 0.01)
    with pytest.raises(UnreachableError, match=r"queue q cannot be looked at \(TimeoutError\)") as caught:
        await Queues(Bus())._guarded("q", stands_still())
    assert caught.value.is_silence


def test_a_part_that_is_away_is_told_to_a_reader_as_to_a_reader(
    stack: Stack, ops: Ops, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = {"code": "queue_unavailable", "message": "repeat with the same client id", "traceId": "t"}
    monkeypatch.setattr(Api, "_raw", lambda *_: (503, json.dumps({"error": said}).encode()))
    code, _, told = ops("runs")
    assert code == 3
    assert told == (
        "mosaic: the queues did not answer the app, or refused it (queue_unavailable, trace t); what is away: "
        "./mosaic ops status\n"
    )


def test_logs_are_read_from_their_end(stack: Stack, ops: Ops) -> None:
    lines = [f"line {n} {'x' * 50} ü" for n in range(5000)]
    (stack.state / "logs" / "worker.log").write_text("\n".join(lines) + "\n", "utf-8")
    assert ops("logs", "api", "--tail", "1500")[1].splitlines() == lines[-1500:]
    assert ops("logs", "worker", "--tail", "10000")[1].splitlines() == lines
    code, _, said = ops("logs", "nobody")
    assert code == 2
    assert "worker, api, broker, azurite" in said
    assert ops("logs", "broker")[0] == 1


def test_telemetry_of_a_service_and_of_an_id(stack: Stack, ops: Ops) -> None:
    folder = stack.state / "telemetry"

    def span(n: int, service: str, trace: str, **more: Any) -> str:
        times = {"startTime": f"2026-01-01T00:00:{n:02}Z", "endTime": f"2026-01-01T00:00:{n:02}.5Z"}
        return json.dumps(
            {"name": f"span {n}", "service.name": service, "traceId": trace, "status": "OK", "attributes": {}, **times}
            | more
        )

    older = [span(1, "MosaicMoney.Api", "t1", attributes={"commandId": "c-1"})]
    newer = [
        span(2, "MosaicMoney.Worker", "t1", status="ERROR"),
        span(3, "MosaicMoney.Api", "t2"),
        span(4, "MosaicMoney.Worker", "t3"),
    ]
    (folder / "spans.jsonl.1").write_text("\n".join(older) + "\n", "utf-8")
    (folder / "spans.jsonl").write_text("\n".join(newer) + '\n{"half a li', "utf-8")
    code, out, _ = ops("telemetry", "traces", "worker", "--json")
    assert code == 0
    found = json.loads(out)["traces"]
    assert [(t["traceId"], t["spans"], t["failed"], t["commandId"]) for t in found] == [
        ("t3", 1, 0, None),
        ("t1", 2, 1, "c-1"),
    ]
    assert [
        t["traceId"] for t in json.loads(ops("telemetry", "traces", "worker", "--limit", "1", "--json")[1])["traces"]
    ] == ["t3"]
    assert [
        t["traceId"] for t in json.loads(ops("telemetry", "traces", "worker", "--id", "c-1", "--json")[1])["traces"]
    ] == ["t1"]
    records = [
        {"time": "1", "level": "INFO", "message": "request refused", "route": "x"},
        {"time": "2", "level": "INFO", "message": "command completed", "commandId": "c-1"},
    ]
    (folder / "logs.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records), "utf-8")
    assert "command completed commandId=c-1" in ops("telemetry", "logs", "worker")[1]
    assert "request refused" in ops("telemetry", "logs", "api")[1]
    assert ops("telemetry", "logs", "worker", "--id", "c-2")[1] == ""
    assert ops("telemetry", "logs", "nobody")[0] == 2


def test_a_terminals_own_commands_in_a_log_are_spelt_out(stack: Stack, ops: Ops) -> None:
    (stack.state / "logs" / "worker.log").write_text("a \x1b[2J line [bold]\n", "utf-8")
    assert ops("logs", "worker")[1].strip() == r"a \x1b[2J line [bold]"


# --------------------------------------------------------------------------------------------------------------- where


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["runs", "--url", "u", "--json"], ["--url", "u", "runs", "--json"]),
        (["dlq", "list", "--state=s"], ["--state=s", "dlq", "list"]),
        (["--state", "a", "run", "x"], ["--state", "a", "run", "x"]),
        (["run", "--", "--url"], ["run", "--", "--url"]),
        (["runs", "--url"], ["--url", "runs"]),
        (["runs", "--status", "Running"], ["runs", "--status", "Running"]),
    ],
)
def test_the_options_of_every_verb_may_stand_anywhere(given: list[str], expected: list[str]) -> None:
    assert hoisted(given) == expected


def test_no_stack_is_exit_3_and_says_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(EmbeddedStack, "ask_for_token", lambda _: None)
    assert cli.main(["ops", "dlq", "list", "--state", str(tmp_path / "absent")]) == 3
    said = capsys.readouterr().err
    assert f"there is no folder {tmp_path / 'absent'}; --state takes the folder that" in said
    assert "start one" not in said
    (tmp_path / "stack.json").write_text("{half", "utf-8")
    assert cli.main(["ops", "logs", "worker", "--state", str(tmp_path)]) == 3


def test_a_stack_whose_supervisor_is_gone_is_not_believed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(EmbeddedStack, "ask_for_token", lambda _: None)
    (tmp_path / "state.json").write_text('{"version": 1}', "utf-8")
    left = {"environment": {"StateDir": str(tmp_path)}, "processes": {"supervisor": 2**22 + 1}}
    (tmp_path / "stack.json").write_text(json.dumps(left), "utf-8")
    assert cli.main(["ops", "resources", "--state", str(tmp_path)]) == 3
    assert "its own process is gone and could not say why" in capsys.readouterr().err


def test_a_token_is_asked_for_again_where_the_stack_was_not_up_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [(3, "", "mosaic: no stack is running"), (0, "a-token\n", "")]
    asked: list[list[str]] = []

    class Child:
        def __init__(self, command: list[str], **_: Any) -> None:
            asked.append(command)
            self.returncode, self.out, self.said = answers.pop(0)

        def communicate(self, timeout: float | None = None) -> tuple[str, str]:
            return self.out, self.said

    monkeypatch.setattr(subprocess, "Popen", Child)
    stack = EmbeddedStack(tmp_path)
    stack.ask_for_token()
    with pytest.raises(UnreachableError, match="no stack is running"):
        _ = stack.token
    assert stack.token == stack.token == "a-token"
    assert len(asked) == 2
    assert asked[0][asked[0].index("--user") + 1] == "operator"
    stack.close()


@pytest.mark.parametrize(
    "url", ["http://app.example", "app.example", "ftp://app.example", "https://", "file:///etc/passwd"]
)
def test_a_token_goes_to_https_only(url: str) -> None:
    with pytest.raises(UsageError, match="no https address"):
        Deployment(url)
    assert Deployment("http://localhost:7071/x").base_url == "http://localhost:7071"
    assert Deployment("https://app.example/api/v1").base_url == "https://app.example"


def test_a_deployments_token_is_what_the_command_prints(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MOSAIC_TOKEN", raising=False)
    python = sys.executable
    assert Deployment("https://a.example", f"{python} -c 'print(\"abc\")'").token == "abc"
    for command in (
        f"{python} -c 'raise SystemExit(4)'",
        f"{python} -c 'print(\"two words\")'",
        "no-such-program-here",
        "'",
    ):
        with pytest.raises(UsageError, match="token"):
            _ = Deployment("https://a.example", command).token
    with pytest.raises(UsageError, match="--token-command"):
        _ = Deployment("https://a.example").token
    monkeypatch.setenv("MOSAIC_TOKEN", " def ")
    assert Deployment("https://a.example").token == "def"


def test_a_deployment_says_what_it_needs_and_where_its_telemetry_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["ops", "logs", "worker", "--url", "https://a.example"]) == 2
    assert "Application Insights" in capsys.readouterr().err
    with pytest.raises(UsageError, match="--service-bus"):
        _ = Deployment("https://a.example").bus
    assert Deployment("https://a.example", namespace="n.example").bus == Bus(namespace="n.example")
    assert cli.main(["ops", "runs", "--target", "azure"]) == 2
    assert cli.main(["ops", "runs", "--url", "https://a.example", "--state", "x"]) == 2


@pytest.mark.parametrize(
    ("status", "body_sent", "error", "words"),
    [
        (401, {"error": {"code": "member_context_invalid", "message": "no", "details": []}}, UsageError, "no"),
        (403, {"error": {"code": "role_required", "message": "the role X is required"}}, UsageError, "role X"),
        (404, {"error": {"code": "not_found", "message": "there is none"}}, OpsError, "there is none"),
        (429, {"error": {"code": "quota_exceeded", "message": "later"}}, UnreachableError, "later"),
        (
            503,
            {"error": {"code": "store_unavailable", "message": "m", "traceId": "t-1"}},
            UnreachableError,
            "trace t-1",
        ),
        (404, None, OpsError, "older version"),
        (302, None, UnreachableError, "not as the app does"),
        (200, None, UnreachableError, "not as the app does"),
    ],
)
def test_what_an_answer_means(
    monkeypatch: pytest.MonkeyPatch, status: int, body_sent: Any, error: type[OpsError], words: str
) -> None:
    monkeypatch.setenv("MOSAIC_TOKEN", "x")
    text = json.dumps(body_sent).encode() if body_sent is not None else b"<html>"
    monkeypatch.setattr(Api, "_raw", lambda *_: (status, text))
    with pytest.raises(error, match=words) as caught:
        Api(Deployment("https://a.example")).get("/ops/lanes")
    assert type(caught.value) is error


# ---------------------------------------------------------------------------------------------------------- completion


def test_the_shell_completes_verbs_and_choices(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(verbs.COMPLETE, "complete_bash")
    for words, place, expected in (
        ("mosaic dlq sh", "2", {"show"}),
        ("mosaic runs --status ", "3", {"Running", "NeedsReview"}),
    ):
        monkeypatch.setenv("COMP_WORDS", words)
        monkeypatch.setenv("COMP_CWORD", place)
        assert cli.main(["ops"]) == 0
        assert expected <= set(capsys.readouterr().out.split())
    monkeypatch.delenv(verbs.COMPLETE)
    assert cli.main(["ops", "completion", "bash"]) == 0
    assert "complete -o default -F _mosaic_ops mosaic" in capsys.readouterr().out


def test_telemetry_is_read_without_a_stack(tmp_path: Path) -> None:
    with pytest.raises(OpsError, match="no telemetry yet"):
        telemetry.log_lines(tmp_path, "worker", 5)
