"""`./mosaic ops send` over the API's own functions in memory, a worker at work beside it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from mosaic_core.domain import ids
from mosaic_core.domain.errors import StoreUnreachableError
from mosaic_core.domain.lanes import RULES
from mosaic_core.domain.records import Approval
from mosaic_ops import cli
from mosaic_ops.ops import send
from mosaic_ops.ops.api import Api
from mosaic_ops.ops.errors import UnreachableError, UsageError
from mosaic_ops.ops.target import Deployment, EmbeddedStack
from tests.support.api import ALICE_HOUSEHOLD, ALICE_USER
from tests.support.records import APPROVAL
from tests.support.world import CONVERSATION, Work
from tests.unit.test_ops_command import Ops, Stack, ops, stack  # noqa: F401 - fixtures

LANES = {rules.default_queue: lane for lane, rules in RULES.items()}
ADMIN = "olga+Mosaic.Operator.Read+Mosaic.Operator.Admin"
TALK = ("--conversation", CONVERSATION)
LINE = {"transactionId": "t1", "postedOn": "2026-01-05", "amount": "-4.10", "currency": "USD", "description": "BUS"}
HEAD = {"batchId": "b1", "source": "bank", "accountId": "main"}
OPTIONS = ("--batch-id", "b1", "--source", "bank", "--account-id", "main")


@pytest.fixture(autouse=True)
def worker(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:  # noqa: F811
    """Waiting lets a worker do what has been sent."""
    stack.world.enqueue = replace(stack.world.enqueue, stores=stack.work.stored)
    stack.world.read_models = replace(stack.world.read_models, stores=stack.work.stored)
    looks: list[float] = []
    asyncio.run(stack.world.add_member("alice", ALICE_HOUSEHOLD, ALICE_USER))
    monkeypatch.setattr(EmbeddedStack, "member_token", lambda _, user, *roles: "+".join([user or "alice", *roles]))

    async def work() -> None:
        broker = stack.work.broker
        for sent in stack.world.sender.sent:
            await broker.send(sent.message)
        stack.world.sender.sent.clear()
        for queue, lane in LANES.items():
            while (message := broker.receive(queue)) is not None:
                await stack.work.deliver(message, lane)
        if (change := broker.next_change()) is not None:
            stack.work.clock.advance((change - stack.work.clock.now()).total_seconds())

    def at_work(seconds: float = 0) -> None:
        looks.append(seconds)
        assert len(looks) < 50, "it never ends"
        asyncio.run(work())

    monkeypatch.setattr(send, "sleep", at_work)
    return at_work


def ends(stack: Stack, *words: str) -> None:  # noqa: F811
    stack.work.handler = Work(list(words))


def test_a_message_is_followed_to_its_end_and_its_id_stands_alone(stack: Stack, ops: Ops) -> None:  # noqa: F811
    ends(stack, "success")
    code, out, said = ops("send", "message", "How much?", *TALK, "--client-id", "m1", "--wait", "--print-id")
    assert code == 0
    command_id = out.removesuffix("\n")
    assert len(command_id) == 32
    assert said.splitlines() == [
        f"accepted: command {command_id}, agent_message_posted",
        "waits for a worker",
        "Completed, attempt 1, at its end",
    ]
    # the same reference is the same command, which has ended
    code, out, said = ops("send", "message", "How much?", *TALK, "--client-id", "m1", "--wait", "--json")
    assert (code, json.loads(out)["commandId"], json.loads(out)["run"]["status"]) == (0, command_id, "Completed")
    assert "waits" not in said


@pytest.mark.parametrize(("word", "code"), [("review", "look_at_it"), ("fail", "broken")])
def test_another_end_than_completed_is_exit_1_and_says_what_next(
    stack: Stack,  # noqa: F811
    ops: Ops,  # noqa: F811
    word: str,
    code: str,
) -> None:
    ends(stack, word)
    exit_code, out, said = ops("send", "message", "How much?", *TALK, "--wait")
    assert exit_code == 1
    assert code in out
    assert "it ended NeedsReview" in said
    assert "./mosaic ops next" in said


def test_what_has_not_ended_in_time_is_exit_1(stack: Stack, ops: Ops) -> None:  # noqa: F811
    code, out, said = ops("send", "message", "How much?", *TALK, "--wait", "--timeout", "0", "--json")
    assert (code, json.loads(out)["run"]) == (1, None)
    assert "has not ended within 0 s" in said


def test_without_waiting_it_is_accepted_and_no_more(stack: Stack, ops: Ops) -> None:  # noqa: F811
    code, out, _ = ops("send", "message", "How much?", *TALK, "--note", "food only", "--json")
    assert (code, json.loads(out)["run"], json.loads(out)["status"]) == (0, None, "queued")
    [sent] = stack.world.sender.sent
    payload = json.loads(sent.message.body)["payload"]
    assert (payload["message"], payload["userNote"]) == ("How much?", "food only")
    assert stack.asked == [f"POST /api/v1/agent/conversations/{CONVERSATION}/messages"]


def test_a_member_decides_in_their_own_name(stack: Stack, ops: Ops) -> None:  # noqa: F811
    missing = ops("send", "approval", "f" * 32, *TALK, "--decision", "Approve")
    assert missing[0] == 1
    assert "not_found" in missing[2]
    asyncio.run(stack.work.stored.approvals.insert(_approval(stack)))
    ends(stack, "success")
    decided = ("send", "approval", "{" + "A" * 32 + "}", *TALK, "--decision", "Reject", "--rationale", "not due yet")
    code, out, said = ops(*decided, "--wait")
    assert (code, "agent_approval_submitted" in out) == (0, True), said
    assert ops("send", "approval", "a" * 32, *TALK, "--decision", "approve")[0] == 2
    assert ops("send", "approval", "a" * 32, *TALK)[0] == 2
    assert ops("send", "approval", "a" * 32, *TALK, "--decision", "Approve", "--as", "bob")[0] == 2


def _approval(stack: Stack) -> Approval:  # noqa: F811
    now = stack.world.clock.now()
    return replace(
        APPROVAL,
        approval_id="a" * 32,
        household_id=ALICE_HOUSEHOLD,
        conversation_id=CONVERSATION,
        created_at=now,
        expires_at=now + timedelta(days=1),
    )


@pytest.mark.parametrize("kind", ["document", "document and options", "lines", "one line"])
def test_a_batch_is_loaded_as_json_or_as_lines(stack: Stack, ops: Ops, tmp_path: Path, kind: str) -> None:  # noqa: F811
    ends(stack, "success")
    other = LINE | {"transactionId": "t2"}
    text, options = {
        "document": (json.dumps({**HEAD, "transactions": [LINE, other]}, indent=1), ()),
        "document and options": (json.dumps({**HEAD, "source": "x", "transactions": [LINE, other]}), OPTIONS),
        "lines": (f"{json.dumps(LINE)}\n{json.dumps(other)}\n", OPTIONS),
        "one line": (json.dumps(LINE), OPTIONS),
    }[kind]
    file = tmp_path / "batch"
    file.write_text(text, "utf-8")
    code, out, said = ops("send", "ingestion", str(file), "--household", ALICE_HOUSEHOLD, *options, "--json")
    assert code == 0, said
    assert json.loads(out)["commandType"] == "ingestion_completed"
    [sent] = stack.world.sender.sent
    payload = json.loads(sent.message.body)["payload"]
    assert (payload["batchId"], payload["source"], payload["accountId"]) == ("b1", "bank", "main")
    assert [one["transactionId"] for one in payload["transactions"]] == ["t1", "t2"][: 1 if kind == "one line" else 2]
    assert ops("send", "ingestion", str(file), "--household", ALICE_HOUSEHOLD, *options, "--wait")[0] == 0


def test_what_is_wrong_with_a_batch_is_the_apis_word(stack: Stack, ops: Ops, tmp_path: Path) -> None:  # noqa: F811
    file = tmp_path / "batch.json"
    whose = ("send", "ingestion", str(file), "--household", ALICE_HOUSEHOLD)
    assert ops(*whose)[0] == 2
    # twice the same name: a copy of it would have been taken
    file.write_text(f'{{"batchId": "b0", "batchId": "b1", "transactions": [{json.dumps(LINE)}]}}', "utf-8")
    assert ops(*whose)[0] == 2
    file.write_text(json.dumps(LINE), "utf-8")
    code, _, said = ops(*whose)
    assert code == 2
    assert "accountId" in said
    file.write_bytes(b"\xff[[[")
    assert ops(*whose, *OPTIONS)[0] == 2
    assert stack.world.sender.sent == []


def test_a_producer_that_reads_nothing_is_followed_as_the_operator(
    stack: Stack,  # noqa: F811
    ops: Ops,  # noqa: F811
    tmp_path: Path,
) -> None:
    asyncio.run(stack.world.add_member("feed", ALICE_HOUSEHOLD, "f" * 32, role="Ingest", source="bank"))
    ends(stack, "success")
    file = tmp_path / "batch.json"
    file.write_text(json.dumps({**HEAD, "transactions": [LINE]}), "utf-8")
    code, out, said = ops(
        "send", "ingestion", str(file), "--household", ALICE_HOUSEHOLD, "--as", "feed", "--wait", "--json"
    )
    assert (code, json.loads(out)["run"]["status"]) == (0, "Completed"), said
    assert any(line.startswith("GET /api/v1/agent/ops/runs/") for line in stack.asked)


def test_whoever_is_no_member_sends_nothing(stack: Stack, ops: Ops) -> None:  # noqa: F811
    code, out, said = ops("send", "message", "How much?", *TALK, "--as", "mallory", "--wait", "--print-id")
    assert (code, out) == (2, "")
    assert "membership_access_denied" in said or "member_context" in said


def test_a_silence_while_waiting_leaves_the_id(
    stack: Stack,  # noqa: F811
    ops: Ops,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def away(*_: object, **__: object) -> Any:
        raise UnreachableError("http://127.0.0.1:1 does not answer (refused)")

    monkeypatch.setattr(Api, "get", away)
    code, out, said = ops("send", "message", "How much?", *TALK, "--wait", "--print-id")
    assert (code, len(out)) == (3, 33)
    assert "it was accepted and goes on" in said
    monkeypatch.setattr(Api, "post", away)
    assert ops("send", "message", "How much?", *TALK, "--print-id")[:2] == (3, "")


def test_a_moments_silence_while_waiting_is_passed_over(
    stack: Stack,  # noqa: F811
    ops: Ops,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ends(stack, "success")
    real, asked = Api.get, []

    def now_and_then(api: Api, path: str, **query: object) -> Any:
        asked.append(path)
        if len(asked) < 4:
            raise UnreachableError("away")
        return real(api, path, **query)

    monkeypatch.setattr(Api, "get", now_and_then)
    assert ops("send", "message", "How much?", *TALK, "--wait", "--print-id")[0] == 0


@pytest.mark.parametrize("arguments", [["How much?"], ["How much?", *TALK, "--print-id", "--json"]], ids=["no", "both"])
def test_a_slip_sends_nothing(stack: Stack, ops: Ops, arguments: list[str]) -> None:  # noqa: F811
    assert ops("send", "message", *arguments)[0] == 2
    assert ops("send", "message", "x", "--conversation", "no-id")[0] == 2
    assert stack.asked == []


def test_at_a_deployment_the_token_names_who_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOSAIC_TOKEN", "t")
    there = Deployment("https://app.example")
    assert there.member_token(None, "Mosaic.Ingest") == "t"
    with pytest.raises(UsageError, match="--as"):
        there.member_token("alice")


NIGHT = ("--household", ALICE_HOUSEHOLD, "--date", "2025-12-31")


def test_an_operator_asks_for_a_nights_sweep_and_it_is_audited(
    stack: Stack,  # noqa: F811
    ops: Ops,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert ops("send", "sweep", *NIGHT, "--reason", "late rows")[0] == 2  # the role is another
    monkeypatch.setattr(EmbeddedStack, "token", ADMIN)
    ends(stack, "success")
    code, out, said = ops("send", "sweep", *NIGHT, "--reason", "late rows", "--wait", "--json")
    assert code == 0, said
    answer = json.loads(out)
    assert answer["commandId"] == ids.sweep_command_id(ALICE_HOUSEHOLD, "20251231")
    [decision] = json.loads(ops("run", answer["commandId"], "--json")[1])["decisions"]
    assert (decision["action"], decision["actor"], decision["outcome"]) == ("sweep_requested", "olga", "Applied")
    again = json.loads(ops("send", "sweep", *NIGHT, "--reason", "again", "--json")[1])
    assert (again["commandId"], again["queuedAtUtc"]) == (answer["commandId"], answer["queuedAtUtc"])


def test_a_night_has_one_sweep_and_none_before_its_time(
    stack: Stack,  # noqa: F811
    ops: Ops,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(EmbeddedStack, "token", ADMIN)
    assert ops("send", "sweep", *NIGHT, "--lookback-days", "90", "--reason", "late rows")[0] == 0
    assert ops("send", "sweep", *NIGHT, "--reason", "as it is")[0] == 0
    [first, second] = stack.world.sender.sent
    assert first.message.body == second.message.body
    assert json.loads(first.message.body)["payload"]["lookbackDays"] == 90
    code, _, said = ops("send", "sweep", *NIGHT, "--lookback-days", "91", "--reason", "more")
    assert code == 1
    assert "another lookbackDays" in said
    for arguments in (
        ("--household", ALICE_HOUSEHOLD, "--date", "2031-01-01", "--reason", "early"),
        ("--household", ALICE_HOUSEHOLD, "--date", "yesterday", "--reason", "slip"),
        ("--household", ALICE_HOUSEHOLD, "--reason", " "),
        ("--household", ALICE_HOUSEHOLD, "--lookback-days", "3", "--reason", "x"),
    ):
        assert ops("send", "sweep", *arguments)[0] == 2, arguments
    assert len(stack.world.sender.sent) == 2


def test_a_rejected_nights_sweep_is_not_told_as_sent(
    stack: Stack,  # noqa: F811
    ops: Ops,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(EmbeddedStack, "token", ADMIN)
    ends(stack, "fail")
    assert ops("send", "sweep", *NIGHT, "--reason", "late rows", "--wait")[0] == 1
    code, _, said = ops("send", "sweep", *NIGHT, "--reason", "again")
    assert code == 1
    assert "replay its dead letter" in said


def test_a_sweep_whose_asking_cannot_be_kept_is_not_begun(
    stack: Stack,  # noqa: F811
    ops: Ops,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def away(*_: object) -> None:
        raise StoreUnreachableError("the audit is away")

    monkeypatch.setattr(EmbeddedStack, "token", ADMIN)
    monkeypatch.setattr(type(stack.work.stored.decisions), "insert", away)
    assert ops("send", "sweep", *NIGHT, "--reason", "late rows")[0] == 3
    assert stack.world.sender.sent == []


@pytest.mark.parametrize(
    "verb", [["send"], ["send", "message"], ["send", "approval"], ["send", "ingestion"], ["send", "sweep"]]
)
def test_every_verb_has_help_with_an_example(capsys: pytest.CaptureFixture[str], verb: list[str]) -> None:
    assert cli.main(["ops", *verb, "--help"]) == 0
    out = capsys.readouterr().out
    assert "Example: " in out or "Commands:" in out
