"""The operators' controls by `./mosaic ops`, over the API's own functions in memory."""

from __future__ import annotations

import asyncio
import json
import re

import pytest

from mosaic_core.domain.lanes import Lane
from mosaic_ops.ops import steering
from mosaic_ops.ops.api import Api
from tests.support.api import ALICE_HOUSEHOLD, ALICE_USER
from tests.support.world import COMMAND_ID, RUN_ID
from tests.unit import test_ops_command
from tests.unit.test_ops_command import Ops, Stack, ops, stack  # noqa: F401 - fixtures

TOKEN = "olga+Mosaic.Operator.Read+Mosaic.Operator.Replay+Mosaic.Operator.Admin"


@pytest.fixture(autouse=True)
def of_an_admin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(test_ops_command, "TOKEN", TOKEN)


def test_a_paused_lane_is_told_of_everywhere(stack: Stack, ops: Ops) -> None:  # noqa: F811
    assert ops("wait", "worker", "--timeout", "0")[0] == 0
    code, out, said = ops("lane", "pause", "sweep", "--reason", "a bad deploy")
    assert (code, said) == (0, "")
    assert "sweep was paused by olga at" in out
    code, out, _ = ops("lane", "pause", "sweep", "--reason", "another word", "--json")
    assert (code, json.loads(out)["isChanged"], json.loads(out)["pause"]["reason"]) == (0, False, "a bad deploy")
    assert "paused by olga" in ops("status")[1]
    found = json.loads(ops("status", "--json")[1])
    assert {lane["lane"]: lane["pause"] and lane["pause"]["reason"] for lane in found["lanes"]} == {
        "ingestion": None,
        "conversation": None,
        "sweep": "a bad deploy",
    }
    code, out, _ = ops("wait", "worker", "--timeout", "0")
    assert code == 1
    assert "sweep is paused by olga" in out
    assert ops("wait", "api", "--timeout", "0")[0] == 0
    assert "sweep is at work\n" in ops("lane", "resume", "sweep", "--reason", "mended")[1]
    assert "at work, and was before" in ops("lane", "resume", "sweep", "--reason", "mended")[1]
    assert ops("wait", "worker", "--timeout", "0")[0] == 0


def test_nothing_of_a_paused_lane_is_said_to_go_on_by_itself(stack: Stack, ops: Ops) -> None:  # noqa: F811
    stack.set_clock()
    asyncio.run(stack.work.send())
    assert "nothing to do" in ops("next", COMMAND_ID)[1]
    ops("lane", "pause", "conversation", "--reason", "a bad deploy")
    _, out, _ = ops("next", COMMAND_ID)
    assert re.search(r"^state    no worker has begun it; its lane is paused by olga, \S.*: a bad deploy$", out, re.M)
    assert "ask olga whether it may go on; then ./mosaic ops lane resume conversation" in out
    assert "nothing to do" not in out


@pytest.mark.parametrize("arguments", [["nowhere", "--reason", "x"], ["sweep", "--reason", "  "], ["sweep"]])
def test_a_slip_pauses_nothing(stack: Stack, ops: Ops, arguments: list[str]) -> None:  # noqa: F811
    assert ops("lane", "pause", *arguments)[0] == 2
    assert stack.asked == []
    assert asyncio.run(stack.world.stores.pauses.read(Lane.SWEEP)) is None


def test_a_command_is_cancelled_and_the_same_again_says_so(stack: Stack, ops: Ops) -> None:  # noqa: F811
    asyncio.run(stack.work.send())
    code, out, said = ops("cancel", f"{{{COMMAND_ID.upper()}}}", "--reason", " sent twice ")
    assert (code, said) == (0, "")
    assert f"cancelled by olga: sent twice; run {RUN_ID}" in out
    code, out, _ = ops("cancel", COMMAND_ID, "--reason", "sent twice", "--json")
    assert (code, json.loads(out)["outcome"]) == (0, "already_cancelled")
    assert "cancelled_by_operator" in ops("next", COMMAND_ID)[1]


def test_what_has_ended_is_not_cancelled_and_says_what_it_came_to(stack: Stack, ops: Ops) -> None:  # noqa: F811
    stack.fail()
    code, out, said = ops("cancel", COMMAND_ID, "--reason", "late")
    assert (code, out) == (1, "")
    assert "failureCode: broken" in said
    assert "command_already_ended" in said
    assert ops("cancel", "f" * 32, "--reason", "x")[0] == 1
    assert ops("cancel", "no-id", "--reason", "x")[0] == 2
    assert ops("cancel", COMMAND_ID, "--reason", " ")[0] == 2


def test_one_that_is_at_work_is_asked_again_until_it_lets_go(
    stack: Stack,  # noqa: F811
    ops: Ops,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answer = {"commandId": COMMAND_ID, "runId": RUN_ID, "cancelledBy": "olga", "reason": "x"}
    answer |= {"closedApprovals": ["a"], "resolvedSignals": []}  # type: ignore[dict-item]
    outcomes = ["requested", "requested", "cancelled"]
    monkeypatch.setattr(Api, "post", lambda *_: {**answer, "outcome": outcomes.pop(0)})
    monkeypatch.setattr(steering, "_AGAIN_SECONDS", 0.0)
    code, out, _ = ops("cancel", COMMAND_ID, "--reason", "x")
    assert (code, outcomes) == (0, [])
    assert "closed approvals: a" in out
    outcomes = ["requested"]
    code, out, _ = ops("cancel", COMMAND_ID, "--reason", "x", "--timeout", "0")
    assert code == 1
    assert "the request stands" in out


def test_members_come_and_go_by_the_tool(stack: Stack, ops: Ops) -> None:  # noqa: F811
    whose = ("--household", ALICE_HOUSEHOLD, "--user", ALICE_USER, "--subject", "alice", "--reason", "tried")
    assert "alice is Member of" in ops("members", "add", *whose)[1]
    assert "and was before" in ops("members", "add", *whose)[1]
    code, out, _ = ops("members", "list", "--household", ALICE_HOUSEHOLD, "--json")
    assert (code, [one["subject"] for one in json.loads(out)["members"]]) == (0, ["alice"])
    code, _, said = ops("members", "remove", *whose)
    assert code == 1
    assert "last member who can decide" in said
    other = ("--household", ALICE_HOUSEHOLD, "--user", "1" * 32, "--subject", "carol", "--reason", "tried")
    assert json.loads(ops("members", "add", *other, "--json")[1])["isChanged"] is True
    assert "removed" in ops("members", "remove", *whose)[1]
    assert "removed" in ops("members", "list", "--household", ALICE_HOUSEHOLD)[1]
    assert ops("members", "add", *other, "--role", "Ingest")[0] == 1
    assert ops("members", "remove", "--household", "x", "--user", "y", "--subject", "z", "--reason", "r")[0] == 2


@pytest.mark.parametrize(
    "verb",
    [
        ["lane"],
        ["lane", "pause"],
        ["lane", "resume"],
        ["cancel"],
        ["members"],
        ["members", "list"],
        ["members", "add"],
        ["members", "remove"],
    ],
    ids=" ".join,
)
def test_every_verb_has_help_with_an_example(ops: Ops, verb: list[str]) -> None:  # noqa: F811
    code, out, said = ops(*verb, "--help")
    assert (code, said) == (0, "")
    assert "Example: " in out or "Commands:" in out
