"""`./mosaic ops replay` on a running stack: a command that failed for good is done under a new id, and its dead letter
goes; one that somebody resubmitted by hand says what to do instead."""

from __future__ import annotations

from typing import Any

import pytest

from mosaic_core.domain import ids
from tests.e2e.test_ops import failed, ops
from tests.support.live import CONVERSATION, Live

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]


async def test_a_dead_letter_resubmitted_by_hand_says_what_to_do_and_its_replay_is_done_once(running: Live) -> None:
    original = await failed(running)
    new = ids.replay_command_id(CONVERSATION, original, 1)

    async def lies_there() -> list[Any]:
        listed = (await ops(running, "dlq", "list", "--lane", "conversation", "--limit", "2000", "--json")).json
        return [letter for letter in listed["deadLetters"] if letter["commandId"] == original]

    # as an explorer's resubmit does it: the same body, under the same id
    [(_, letter)] = [one for one in await running.doors.dead_letters() if one[1].message_id == original]
    await running.doors.send(CONVERSATION, b"".join(letter.body), message_id=original)
    letters = await running.until(lies_there, lambda found: len(found) == 2)
    resubmitted = next(one for one in letters if one["reason"] == "idempotency_rejected")
    assert f"./mosaic ops replay {original}" in resubmitted["rationale"]

    why = ("--lane", "conversation", "--reason", "the drill is over", "--root-cause", "a drill")
    plan = (await ops(running, "replay", original, *why, "--dry-run", "--json")).json
    assert (plan["total"], plan["willReplay"], plan["sample"][0]["newCommandId"]) == (2, 2, new)
    assert len(await lies_there()) == 2
    done = (await ops(running, "replay", original, *why, "--confirm", "conversation", "--json")).json
    assert (done["state"], done["replayed"], done["clearing"]) == ("completed", 2, 0)
    assert await lies_there() == []

    async def run() -> Any:
        answer = await ops(running, "run", ids.run_id(CONVERSATION, new), "--json")
        return answer.json["run"] if answer.code == 0 else None

    ended = await running.until(run, lambda found: found is not None and found["isFinal"])
    assert (ended["status"], ended["replayOfCommandId"], ended["attempt"]) == ("Completed", original, 1)
    story = (await ops(running, "trace", original, "--json")).json
    audits = [entry for entry in story["timeline"] if entry["source"] == "AgentDecisionAudit"]
    assert [entry["code"] for entry in audits] == ["replayed"]
    again = await ops(running, "replay", original, *why)
    assert (again.code, "already_replayed" in again.out) == (1, True)
