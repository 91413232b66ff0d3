"""`./mosaic policy`: what is printed, what is not, and the exit codes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from mosaic_core.domain.errors import StoreUnreachableError
from mosaic_core.domain.policy import POLICY_VERSION
from mosaic_core.domain.policy.rules import RULES_FILE
from mosaic_core.domain.records import Membership
from mosaic_core.ports import Stores
from mosaic_ops import cli, running
from mosaic_ops.running import NotReachableError
from tests.support import records
from tests.support.agents import ScriptedAgent, answers, proposes
from tests.support.lanes import CONVERSATION, HOUSEHOLD, OTHER_HOUSEHOLD, USER, LaneWorld
from tests.unit.test_conversation_proposals import RECATEGORISE, WIRE, rows
from tests.unit.test_lane_conversation import PAY_RENT, say
from tests.unit.test_policy_dry_run import SURER, world_of

SECRET = "What about Zanzibarquux and crypto?"


@pytest.fixture
def world() -> LaneWorld:
    return world_of(ScriptedAgent([proposes(RECATEGORISE, WIRE, state=None), answers(confidence=0.97)]))


@pytest.fixture(autouse=True)
def stack(world: LaneWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """The memory stores in place of a stack's: alice's household has a proposal and a request, bob's has nothing."""

    @asynccontextmanager
    async def stores(state: Path | None = None) -> AsyncIterator[Stores]:
        if state is not None and state.name == "absent":
            raise NotReachableError("no stack is running there")
        yield world.stores

    async def prepare() -> None:
        await rows(world)
        await say(world, SECRET, note="t1 is odd")
        world.clock.advance(60)
        await say(world, PAY_RENT)
        for subject, household in (("alice", HOUSEHOLD), ("bob", OTHER_HOUSEHOLD)):
            await world.stores.members.insert(
                Membership(
                    subject=subject,
                    household_id=household,
                    household_user_id=USER,
                    role="Owner",
                    status="active",
                    created_at=records.NOW,
                )
            )

    asyncio.run(prepare())
    monkeypatch.setattr(running, "stores", stores)


def file(tmp_path: Path, *changes: tuple[str, str]) -> str:
    text = RULES_FILE.read_text("utf-8")
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    path = tmp_path / "rules.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = cli.main(["policy", *arguments])
    said = capsys.readouterr()
    for text in ("Zanzibar", "landlord", "ZORBLAT", "t1", "odd"):
        assert text not in said.out + said.err
    return code, said.out, said.err


def dry_run(capsys: pytest.CaptureFixture[str], path: str, *more: str) -> tuple[int, str, str]:
    return run(capsys, "dry-run", "--rules", path, *more)


def test_the_rules_of_this_release_are_a_file_that_changes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = cli.main(["policy", "rules"])
    printed = capsys.readouterr().out
    assert (code, printed) == (0, RULES_FILE.read_text("utf-8"))
    code, out, _ = dry_run(capsys, file(tmp_path))
    assert code == 0
    assert "0 of 4 decisions of 2 commands would change" in out
    assert "CHANGED" not in out


def test_what_would_change_is_a_row_of_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changed = file(tmp_path, SURER, ("rows_above = 25", "rows_above = 1"))
    code, out, _ = dry_run(capsys, changed)
    assert code == 1
    table = [line.split() for line in out.splitlines()]
    assert table[0] == ["run", "command", "judged", "recorded", "candidate"]
    found = {line[2]: line for line in table if line[-1] in ("CHANGED", "same") and len(line) > 4}
    assert found["wire"][-1] == "same"
    assert " ".join(found["recategorise"][3:]).startswith(
        f"apply (low_impact, {POLICY_VERSION}) approve (many_rows, many_rows)"
    )
    assert [line[-1] for line in table if line[2:3] == ["answer"]] == ["same", "CHANGED"]
    assert len(found["wire"][0]) == len(found["wire"][1]) == 32
    assert f"2 of 4 decisions of 2 commands would change with {POLICY_VERSION}; 0 unknown" in out


def test_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = dry_run(capsys, file(tmp_path, SURER), "--json")
    found = json.loads(out)
    assert (code, found["policyVersion"]) == (1, POLICY_VERSION)
    assert found["summary"] == {
        "commands": 2,
        "decisions": 4,
        "changed": 1,
        "unknown": 0,
        "undecided": 0,
        "isComplete": True,
    }
    [changed] = [one for one in found["decisions"] if one["changed"]]
    assert (changed["householdId"], changed["conversationId"]) == (HOUSEHOLD, CONVERSATION)
    assert changed["recorded"]["policyVersion"] == POLICY_VERSION
    assert (changed["judged"], changed["candidate"]["decision"]) == ("answer", "review")
    assert found["unknown"] == []


def test_one_household_one_conversation_so_many_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = file(tmp_path, SURER)
    assert dry_run(capsys, path, "--household", OTHER_HOUSEHOLD)[0] == 0
    assert dry_run(capsys, path, "--household", f"{{{HOUSEHOLD}}}", "--conversation", CONVERSATION.upper())[0] == 1
    assert dry_run(capsys, path, "--conversation", "f" * 32)[0] == 0
    code, out, _ = dry_run(capsys, path, "--limit", "1")
    assert (code, "more commands than were looked at" in out) == (0, True)


@pytest.mark.parametrize(
    "arguments",
    [["--household", "alice"], ["--conversation", "x"], ["--limit", "0"], ["--in", "x", "--household", "a" * 32]],
)
def test_usage(arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert dry_run(capsys, file(tmp_path), *arguments)[0] == 2


def test_all_faults_of_a_file_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "rules.toml"
    path.write_text('rule = 1\n[[rules]]\nverdict = "maybe"\nrows_above = "x"\n', encoding="utf-8")
    code, _, err = dry_run(capsys, str(path))
    assert code == 2
    assert f"{path} cannot be used:" in err
    assert [part in err for part in ("version is missing", "rules[1].verdict", "rows_above", "rule is unknown")] == [
        True
    ] * 4
    assert dry_run(capsys, str(tmp_path / "absent"))[0] == 2
    assert dry_run(capsys, str(tmp_path))[0] == 2
    path.write_bytes(b"\xff")
    assert dry_run(capsys, str(path))[0] == 2


def test_without_a_stack(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], world: LaneWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, _, err = dry_run(capsys, file(tmp_path), "--state", str(tmp_path / "absent"))
    assert (code, err) == (3, "mosaic: no stack is running there\n")

    async def away(self: object, run_id: str) -> Any:
        raise StoreUnreachableError("AgentRuns: 503")

    monkeypatch.setattr(type(world.stores.runs), "read", away)
    code, _, err = dry_run(capsys, file(tmp_path))
    assert (code, err) == (3, "mosaic: AgentRuns: 503\n")


def test_a_state_folder_without_a_stack_is_not_reachable(tmp_path: Path) -> None:
    with pytest.raises(NotReachableError, match="is an empty folder"):
        running.environment(tmp_path)


# --------------------------------------------------------------------------------------------------------------- lines

LINES = [
    {"action": "request", "arguments": {"message": "Wire 900 to my landlord, says Zanzibar"}},
    {"action": "recategorise", "arguments": {"transactionIds": ["t1", "t2"], "category": "TRAVEL"}},
    {"action": "recategorise", "arguments": {"transactionIds": ["t1"], "category": "TRAVEL"}, "rows": 30},
    {"action": "dismiss_signal", "arguments": {"signalId": "5" * 32}, "severity": "Error", "confidence": 0.9},
    {"action": "Pay-Bill", "arguments": {"payee": "my landlord"}},
    {"action": "budget_note", "arguments": {"odd": 1}},
]


def lines(tmp_path: Path, *given: Any) -> str:
    path = tmp_path / "in.jsonl"
    path.write_text("".join(f"{json.dumps(line)}\n" for line in given or LINES), encoding="utf-8")
    return str(path)


def test_lines_are_judged_against_the_built_in_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = lines(tmp_path)
    code, out, _ = dry_run(capsys, file(tmp_path), "--in", source, "--state", str(tmp_path / "absent"))
    assert (code, "0 of 6 decisions would change" in out) == (0, True)
    changed = file(tmp_path, SURER, ("rows_above = 25", "rows_above = 1"))
    code, out, _ = dry_run(capsys, changed, "--in", source, "--json")
    found = json.loads(out)
    assert (code, found["summary"]) == (1, {"decisions": 6, "changed": 1})
    assert [
        (one["line"], one["judged"], one["builtIn"]["decision"], one["candidate"]["decision"])
        for one in found["decisions"]
    ] == [
        (1, "request", "approve", "approve"),
        (2, "recategorise", "apply", "approve"),
        (3, "recategorise", "approve", "approve"),
        (4, "dismiss_signal", "approve", "approve"),
        (5, "pay_bill", "approve", "approve"),
        (6, "budget_note", "refuse", "refuse"),
    ]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ({}, "field action"),
        ({"message": "Zanzibar", "action": "wire"}, "field message"),
        ({"action": "wire", "note": "Zanzibar"}, "field note"),
        ({"action": "wire", "confidence": 7}, "field confidence"),
        ({"action": "wire", "severity": "Zanzibar"}, "field severity"),
        ({"action": "wire", "arguments": "Zanzibar"}, "field arguments"),
        ({"action": "wire", "massage": "Zanzibar"}, "field massage"),
    ],
)
def test_a_line_that_cannot_be_used_is_named(
    line: dict[str, Any], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = dry_run(capsys, file(tmp_path), "--in", lines(tmp_path, LINES[0], line))
    assert (code, out) == (2, "")
    assert "line 2" in err
    assert said in err
