"""An approval's whole life with a model behind the agent: the real clients, a provider on this machine, the process
that asked killed before the decision, and a provider that fails when the session is first gone on with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import pytest
import pytest_asyncio

from mosaic_core.domain import ids
from mosaic_core.domain.lifecycle import ApprovalStatus, RunStatus
from mosaic_local.demo.journey import Journey, Sent
from mosaic_local.stack import Stack, StackOptions
from tests.e2e.conftest import FAST
from tests.support.live import ALICE, CONVERSATION, Live, guid, live
from tests.support.provider import KEY, Provider, Reply, Request, calls, fails, says

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

LETTER = {"recipient": "Iron Gym", "subject": "Membership", "body": "I leave on 1 January.", "channel": "letter"}
QUESTION = "What have we spent on the gym?"


@dataclass(frozen=True, slots=True)
class World:
    live: Live
    provider: Provider

    async def ask(self, conversation: str) -> Journey:
        return await self._post(f"/conversations/{conversation}/messages", {"message": QUESTION})

    async def decide(self, conversation: str, approval: str, decision: str) -> Journey:
        return await self._post(f"/conversations/{conversation}/approvals/{approval}", {"decision": decision})

    async def _post(self, path: str, body: dict[str, str]) -> Journey:
        status, answer = await self.live.doors.call("POST", path, body=body)
        assert status == 202, answer
        return await self.live.finish(Sent(step="test", queue=CONVERSATION, command_id=answer["commandId"]), seconds=60)

    def script(self, *replies: Reply | Callable[[Request], Reply]) -> None:
        self.provider.requests.clear()
        self.provider.replace(*replies)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world() -> AsyncIterator[World]:
    async with Provider() as provider:
        settings = {
            "Agent__Provider": "openai",
            "Agent__Endpoint": f"{provider.url}/v1",
            "Agent__Model": "scripted",
            "Agent__ApiKey": KEY,
            "Agent__MaxRetries": "0",
        }
        options = StackOptions(app_settings={**FAST, **settings}, lock_seconds=5)
        async with Stack(options) as stack, live(stack) as it:
            yield World(it, provider)
        assert provider.faults == []


async def test_the_session_goes_on_in_another_process_after_the_decision(world: World) -> None:
    conversation = guid()
    world.script(
        calls(("draft_message", LETTER)),
        fails(503),
        lambda request: says(f"The gym: {request.results()[0].split(':')[0]}."),
    )
    asked = await world.ask(conversation)
    assert asked.run is not None
    assert (asked.run.status, asked.run.failure_code) == (RunStatus.NEEDS_REVIEW, "approval_required")
    [approval] = await world.live.stores.approvals.of_household(ALICE, ApprovalStatus.PENDING)
    assert (approval.run_id, approval.draft) == (asked.run.run_id, None)

    before = world.live.stack.pids["worker"]
    await asyncio.to_thread(world.live.stack.kill_worker)
    await asyncio.to_thread(world.live.stack.wait_worker)
    assert world.live.stack.pids["worker"] != before

    decided = await world.decide(conversation, approval.approval_id, "Approve")
    assert decided.run is not None
    # the provider failed the first time: the same session was gone on with by the second attempt
    assert (decided.run.status, decided.run.attempt) == (RunStatus.COMPLETED, 2)
    assert "The gym: approved" in (decided.run.agent_note_summary or "")
    first, second = world.provider.requests[1:]
    assert first.messages == second.messages
    stored = await world.live.stores.approvals.read(ALICE, approval.approval_id)
    assert stored is not None
    assert stored.value.decision_run_id == decided.run.run_id != asked.run.run_id
    assert (stored.value.draft or "").count("I leave on 1 January.") == 1
    assert [d.outcome for d in decided.decisions if d.approval_id == approval.approval_id] == ["Applied"]

    again = await world.decide(conversation, approval.approval_id, "Approve")
    assert again.run is not None
    assert [s.outcome_code for s in again.stages] == ["approval_repeated"]
    opposite = await world.decide(conversation, approval.approval_id, "Reject")
    assert opposite.run is not None
    assert (opposite.run.status, opposite.run.failure_code) == (RunStatus.NEEDS_REVIEW, "approval_contradicted")
    assert len(world.provider.requests) == 3, "the model hears of a decision once"
    after = await world.live.stores.approvals.read(ALICE, approval.approval_id)
    assert after is not None
    assert (after.value.status, after.value.draft) == (ApprovalStatus.APPROVED, stored.value.draft)


async def test_a_rejected_proposal_is_told_and_the_conversation_goes_on(world: World) -> None:
    conversation = guid()
    world.script(calls(("draft_message", LETTER)), says("Then I leave it."), says("Nothing was spent there."))
    asked = await world.ask(conversation)
    run_id = asked.run.run_id if asked.run else ""
    pending = await world.live.stores.approvals.of_household(ALICE, ApprovalStatus.PENDING)
    [approval] = [a for a in pending if a.run_id == run_id]
    decided = await world.decide(conversation, approval.approval_id, "Reject")
    assert decided.run is not None
    assert decided.run.status == RunStatus.COMPLETED
    [told] = world.provider.requests[1].results()
    assert told.startswith("rejected by a person")
    review = await world.live.stores.signals.read(ids.review_signal_id(run_id))
    assert review is not None
    assert review.value.is_resolved
    stored = await world.live.stores.approvals.read(ALICE, approval.approval_id)
    assert stored is not None
    assert (stored.value.status, stored.value.draft) == (ApprovalStatus.REJECTED, None)
    await world.ask(conversation)
    history = [m["content"] for m in world.provider.requests[2].messages if m["role"] == "assistant"]
    assert any("Then I leave it." in text for text in history)


async def test_what_the_model_proposes_after_a_decision_needs_one_as_well(world: World) -> None:
    """Three runs, one session: asked in the first, gone on with in the second and in the third."""
    conversation = guid()
    world.script(
        calls(("draft_message", LETTER)),
        calls(("draft_message", {**LETTER, "recipient": "My bank", "channel": "email"})),
        says("Both are drafted."),
    )
    runs = [await world.ask(conversation)]
    for _ in range(2):
        pending = await world.live.stores.approvals.of_household(ALICE, ApprovalStatus.PENDING)
        [approval] = [a for a in pending if a.conversation_id == conversation]
        assert approval.run_id == (runs[-1].run.run_id if runs[-1].run else "")
        runs.append(await world.decide(conversation, approval.approval_id, "Approve"))
    assert [r.run and (r.run.status, r.run.failure_code) for r in runs] == [
        (RunStatus.NEEDS_REVIEW, "approval_required"),
        (RunStatus.NEEDS_REVIEW, "approval_required"),
        (RunStatus.COMPLETED, None),
    ]
