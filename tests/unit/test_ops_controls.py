"""The operators' controls by `./mosaic ops`, over the API's own functions in memory."""

from __future__ import annotations

import asyncio
import json

import pytest

from mosaic_core.domain.lanes import Lane
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


@pytest.mark.parametrize("arguments", [["nowhere", "--reason", "x"], ["sweep", "--reason", "  "], ["sweep"]])
def test_a_slip_pauses_nothing(stack: Stack, ops: Ops, arguments: list[str]) -> None:  # noqa: F811
    assert ops("lane", "pause", *arguments)[0] == 2
    assert stack.asked == []
    assert asyncio.run(stack.world.stores.pauses.read(Lane.SWEEP)) is None


@pytest.mark.parametrize("verb", [["lane"], ["lane", "pause"], ["lane", "resume"]], ids=" ".join)
def test_every_verb_has_help_with_an_example(ops: Ops, verb: list[str]) -> None:  # noqa: F811
    code, out, said = ops(*verb, "--help")
    assert (code, said) == (0, "")
    assert "Example: " in out or "Commands:" in out
