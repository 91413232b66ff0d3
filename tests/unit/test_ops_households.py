"""`./mosaic ops erase` and `export` over the API's own functions in memory."""

from __future__ import annotations

import asyncio
import hashlib
import json
from pathlib import Path

import pytest

from mosaic_ops import cli
from mosaic_ops.memory.stores import memory_stores
from tests.support.api import ALICE_HOUSEHOLD, BOB_HOUSEHOLD
from tests.support.households import fill, held, message
from tests.unit import test_ops_command
from tests.unit.test_ops_command import Stack

REASON = ("--reason", "request 4711")


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Stack:
    monkeypatch.setattr(test_ops_command, "TOKEN", "ada+Mosaic.Operator.Admin")
    made = Stack(monkeypatch, tmp_path / "state")
    made.world.stores = memory_stores(made.world.clock)
    return made


async def run(stack: Stack, *arguments: str) -> int:
    return await asyncio.to_thread(cli.main, ["ops", *arguments, "--state", str(stack.state)])


async def test_a_household_is_counted_and_then_erased(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    one = await fill(stack.world.stores, stack.world.broker, ALICE_HOUSEHOLD)
    before = held(stack.world.stores, stack.world.broker)
    order = ("erase", "--household", ALICE_HOUSEHOLD, *REASON)
    assert await run(stack, *order, "--dry-run") == 0
    assert held(stack.world.stores, stack.world.broker) == before
    assert "ledger_transactions" in capsys.readouterr().out
    assert await run(stack, *order, "--confirm", BOB_HOUSEHOLD) == 2
    assert held(stack.world.stores, stack.world.broker) == before
    capsys.readouterr()
    assert await run(stack, *order, "--confirm", ALICE_HOUSEHOLD, "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["state"], answer["requestedBy"], answer["counts"]["dead_letters"]) == ("completed", "ada", 1)
    assert not any(one.words in text for text in held(stack.world.stores, stack.world.broker))


async def test_one_that_waits_exits_with_1(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    await fill(stack.world.stores, stack.world.broker, ALICE_HOUSEHOLD)
    await stack.world.broker.send(message(ALICE_HOUSEHOLD, "1" * 32, "x"))
    order = ("erase", "--household", ALICE_HOUSEHOLD, *REASON, "--confirm", ALICE_HOUSEHOLD, "--wait", "0")
    assert await run(stack, *order) == 1
    out, said = capsys.readouterr()
    assert "1 messages" in out
    assert "not erased yet" in said


async def test_an_export_is_json_lines_with_sums(
    stack: Stack, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = await fill(stack.world.stores, stack.world.broker, ALICE_HOUSEHOLD)
    await fill(stack.world.stores, stack.world.broker, BOB_HOUSEHOLD)
    out = tmp_path / "out"
    assert await run(stack, "export", "--household", ALICE_HOUSEHOLD, *REASON, "--out", str(out)) == 0
    manifest = json.loads((out / "manifest.json").read_text("utf-8"))
    assert set(manifest["files"]) == {path.name for path in out.glob("*.jsonl")}
    text = ""
    for name, described in manifest["files"].items():
        data = (out / name).read_bytes()
        assert described == {"sha256": hashlib.sha256(data).hexdigest(), "rows": len(data.splitlines())}
        text += data.decode()
    assert one.words in text
    assert BOB_HOUSEHOLD[:24] not in text
    assert await run(stack, "export", "--household", ALICE_HOUSEHOLD, *REASON, "--out", str(out)) == 2
