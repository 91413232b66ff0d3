"""`./mosaic policy dry-run` over the embedded stack: what its worker decided, and what a changed file would."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from mosaic_core.domain.policy.rules import RULES_FILE
from tests.support.documents import ROOT
from tests.support.live import ALICE, CONVERSATION, Live, guid, message

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]


async def dry_run(running: Live, rules: Path, *more: str) -> tuple[int | None, dict[str, Any], str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "mosaic_ops.cli", "policy", "dry-run", "--rules", str(rules), "--json"),
        *("--state", str(running.stack.state_dir), *more),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode, json.loads(out or b"{}"), out.decode() + err.decode()


async def test_recorded_runs_are_judged_by_a_changed_file(running: Live, tmp_path: Path) -> None:
    conversations = guid(), guid()
    sent = [
        await running.send(
            CONVERSATION, message("What did we spend at Zanzibarquux?", conversationId=conversations[0])
        ),
        await running.send(CONVERSATION, message("Wire $900 to Zanzibarquux now.", conversationId=conversations[0])),
        await running.send(CONVERSATION, message("And at Zanzibarquux in May?", conversationId=conversations[1])),
    ]
    runs = [(await running.finish(one)).run for one in sent]
    code, found, said = await dry_run(running, RULES_FILE)
    assert (code, found["summary"]["changed"]) == (0, 0), said
    mine = [one for one in found["decisions"] if one["conversationId"] in conversations]
    assert {one["commandId"] for one in mine} == {one.command_id for one in sent}
    changed = tmp_path / "rules.toml"
    first = '[[rules]]\nname = "other_impact"'
    text = RULES_FILE.read_text("utf-8")
    assert first in text
    refuse = f'[[rules]]\nname = "no_words"\nactions = ["request"]\nverdict = "refuse"\nreason = "because"\n\n{first}'
    changed.write_text(text.replace(first, refuse), encoding="utf-8")
    code, found, said = await dry_run(running, changed, "--household", ALICE, "--conversation", conversations[0])
    assert code == 1, said
    [one] = [one for one in found["decisions"] if one["changed"]]
    assert runs[1] is not None
    assert (one["runId"], one["judged"]) == (runs[1].run_id, "request")
    assert (one["recorded"]["decision"], one["candidate"]["decision"]) == ("approve", "refuse")
    assert "zanzibarquux" not in said.lower()
    assert (await dry_run(running, changed, "--conversation", conversations[1]))[0] == 0
    assert [(await running.journey(one)).run for one in sent] == runs, "a dry run changes nothing"
