"""`./mosaic ops replay` over the API's own functions in memory: what it asks before it does anything, and how it goes
on."""

from __future__ import annotations

import asyncio
import inspect
import json
from pathlib import Path
from typing import Any

import pytest

from mosaic_core.adapters import deadletters
from mosaic_core.domain import ids
from mosaic_core.domain.lanes import Lane
from mosaic_core.domain.lifecycle import KeyStatus
from mosaic_ops import cli
from mosaic_ops.ops import deadletters as verbs
from mosaic_ops.ops import here, replays
from tests.support.api import ApiWorld
from tests.support.dead import QUEUES, Graves, command_id, message_body
from tests.unit.test_ops_command import Stack

QUEUE = QUEUES[Lane.CONVERSATION]
WHY = ("--reason", "the provider is back")
MANY = ("--lane", "conversation", "--code", "drill_failure", *WHY, "--root-cause", "it was down")


class Queue:
    """A stack with dead letters behind the tool."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], state: Path) -> None:
        stack = Stack(monkeypatch, state)
        self.world = stack.world = ApiWorld()
        self.graves = Graves(self.world.stores, self.world.broker)
        self.state, self.capsys = state, capsys
        monkeypatch.setattr(replays, "sleep", lambda seconds: self.world.clock.advance(seconds * 10))

    def dead(self, *numbers: int, **how: Any) -> None:
        for number in numbers:
            asyncio.run(self.graves.dead(number, **how))

    def ops(self, *arguments: str) -> tuple[int, str, str]:
        try:
            code = cli.main(["ops", "replay", *arguments, "--state", str(self.state)])
        except SystemExit as left:
            code = int(str(left.code))
        said = self.capsys.readouterr()
        return code, said.out, said.err

    @property
    def sent(self) -> list[str]:
        return [message.message_id for message in self.world.broker.peek(QUEUE)]


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Queue:
    return Queue(monkeypatch, capsys, tmp_path)


def test_one_by_its_id_needs_a_reason_and_nothing_else(queue: Queue) -> None:
    queue.dead(1, 2)
    assert queue.ops(command_id(1))[0] == 2
    code, out, _ = queue.ops(command_id(1), *WHY)
    assert code == 0
    assert "1 of 1" in out
    assert queue.sent == [ids.replay_command_id(QUEUE, command_id(1), 1)]


def test_a_dry_run_shows_it_and_writes_nothing(queue: Queue) -> None:
    queue.dead(1)
    queue.dead(2, status=KeyStatus.RESERVED)
    code, out, _ = queue.ops(*MANY, "--dry-run", "--json")
    plan = json.loads(out)
    assert (code, plan["total"], plan["willReplay"], plan["refused"][0]["code"]) == (0, 2, 1, "command_in_progress")
    code, out, _ = queue.ops(*MANY, "--dry-run")
    assert ids.replay_command_id(QUEUE, command_id(1), 1) in out
    assert queue.sent == []


@pytest.mark.parametrize("arguments", [(*MANY, "--confirm", "sweep"), (*MANY[:-2], "--confirm", "conversation")])
def test_more_than_one_needs_a_root_cause_and_the_lanes_name(queue: Queue, arguments: tuple[str, ...]) -> None:
    queue.dead(1, 2)
    assert queue.ops(*arguments)[0] == 2
    assert queue.sent == []


def test_the_lanes_name_is_typed(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    queue.dead(1, 2, 3)
    asked: list[str] = []

    def prompt(text: str, **_: Any) -> str:
        asked.append(text)
        return "conversation"

    monkeypatch.setattr("typer.prompt", prompt)
    code, out, said = queue.ops(*MANY)
    assert code == 0, said
    assert asked == ["3 messages; type the lane's name"]
    assert "3 of 3" in out
    assert len(queue.sent) == 3


def test_what_is_refused_is_told_by_the_exit_code(queue: Queue) -> None:
    queue.dead(1)
    queue.dead(2, status=KeyStatus.RESERVED)
    code, _, said = queue.ops(*MANY, "--confirm", "conversation")
    assert (code, "1 refused" in said) == (1, True)
    code, _, said = queue.ops(command_id(2), *WHY)
    assert (code, "nothing of it would be replayed" in said) == (1, True)


def test_an_operation_is_stopped_looked_at_and_gone_on_with(queue: Queue) -> None:
    queue.dead(1, 2)
    body = {
        "lane": "conversation",
        "select": {"filter": {"code": "drill_failure"}},
        "reason": "r",
        "rootCause": "c",
        "confirmLane": "conversation",
        "dryRun": False,
    }
    begun = asyncio.run(queue.world.post("/ops/replays", body, token="olga+Mosaic.Operator.Replay")).json["replayId"]
    code, out, _ = queue.ops("--abort", begun, "--json")
    assert (code, json.loads(out)["state"]) == (0, "aborted")
    code, out, _ = queue.ops("--status", begun)
    assert (code, "0 of 2" in out) == (0, True)
    code, out, _ = queue.ops("--resume", begun, "--json")
    assert (code, json.loads(out)["state"], json.loads(out)["replayed"]) == (0, "completed", 2)
    assert queue.ops("--resume", begun, "--abort", begun)[0] == 2
    assert queue.ops("--status", "1" * 32)[0] == 1


def test_a_file_is_sent_instead_and_must_be_one_envelope(queue: Queue, tmp_path: Path) -> None:
    queue.dead(1)
    edited = tmp_path / "edited.json"
    edited.write_text("[1]")
    assert queue.ops(command_id(1), *WHY, "--edit", str(edited))[0] == 2
    edited.write_text("{}")
    assert queue.ops(command_id(1), *WHY, "--edit", str(edited))[0] == 2
    edited.write_bytes(message_body(1, payload={"message": "How much for food?"}))
    assert queue.ops(command_id(1), *WHY, "--edit", str(edited))[0] == 0
    assert b"food" in queue.world.broker.peek(QUEUE)[0].body


def test_no_verb_takes_a_dead_letter_away_without_a_replay() -> None:
    """An explorer's buttons that lose messages: receive, purge, resubmit, delete."""
    assert {command.callback for command in here.dlq.registered_commands} >= {verbs.dlq_list}
    assert {
        command.name or command.callback.__name__ for command in here.dlq.registered_commands if command.callback
    } == {
        "list",
        "show",
        "groups",
    }
    source = inspect.getsource(deadletters)
    assert "RECEIVE_AND_DELETE" not in source.upper()
    assert "purge" not in source


def test_one_way_to_choose_is_taken(queue: Queue) -> None:
    assert queue.ops("--lane", "conversation", *WHY)[0] == 2
    assert queue.ops(command_id(1), "--lane", "conversation", "--code", "x", *WHY)[0] == 2
    assert queue.ops("--code", "x", *WHY)[0] == 2
