"""The model-driven agent with streamed answers: what comes in pieces is checked and kept as a whole."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mosaic_core.agents.model.model_turn import Runtime
from mosaic_core.domain.errors import LaneError
from tests.contract.test_model_agent import RECURRING, TOTAL, TURN, reply, runtime, settings
from tests.support import provider as model
from tests.support.provider import Provider, Reply, calls, completion, fails, says


async def test_an_answer_and_its_tools_come_in_pieces() -> None:
    script = (calls(TOTAL), says("You spent 29.75 USD in 3 transactions."))
    async with runtime(*script, streaming=True) as (agent, server):
        streamed = await agent.respond(TURN)
    assert [request.body["stream"] for request in server.requests] == [True, True]
    assert streamed == await reply(*script)
    assert streamed.usage == {"rounds": 2, "tool_calls": 1, "input_tokens": 200, "output_tokens": 40, "retries": 0}


async def test_several_calls_in_one_streamed_answer_are_told_apart() -> None:
    async with runtime(calls(TOTAL, RECURRING), says("Marked."), streaming=True) as (agent, server):
        got = await agent.respond(TURN)
        [proposal] = got.proposals
        assert (proposal.action, proposal.arguments) == RECURRING
        done = await agent.resume(got.state, {proposal.call_id: "approved and applied"}, TURN)
    assert done.answer.outcome_code == "answered"
    assert server.requests[1].messages[-1]["tool_call_id"] == proposal.call_id


@pytest.mark.parametrize("breaks", [False, True])
@pytest.mark.parametrize("pieces", [0, 1, 3])
async def test_a_stream_that_ends_early_is_tried_again(pieces: int, breaks: bool) -> None:
    cut = replace(says("You asked how much."), pieces=pieces, breaks=breaks)
    got = await reply(cut, calls(TOTAL), says("29.75 USD"), streaming=True)
    assert (got.answer.text, got.usage["retries"]) == ("29.75 USD", 1)


async def test_a_call_that_was_cut_off_proposes_nothing() -> None:
    cut = replace(calls(RECURRING), pieces=4)
    async with Provider(cut, forever=True) as server:
        agent = Runtime(settings(server, streaming=True, max_retries=1), sleep=_at_once)
        with pytest.raises(LaneError) as caught:
            await agent.respond(TURN)
        await agent.close()
    assert caught.value.code == "agent_runtime_unavailable"
    assert len(server.requests) == 2


async def test_retry_after_counts_before_a_stream_begins() -> None:
    async with runtime(fails(429, retry_after="3"), calls(TOTAL), says("29.75 USD"), streaming=True) as (agent, _):
        assert (await agent.respond(TURN)).usage["retries"] == 1


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (model.refuses("I will not."), "agent_refused"),
        (model.filters(), "agent_content_filtered"),
        (completion({"content": "You sp"}, "content_filter"), "agent_content_filtered"),
        (completion({"content": "You spent 29.75"}, "length"), "agent_output_truncated"),
        (completion({"content": ""}), "agent_output_malformed"),
        (Reply("data: {not json\n\n", content_type="text/event-stream"), "agent_output_malformed"),
    ],
)
async def test_what_is_no_answer_has_its_own_code(answer: Reply, code: str) -> None:
    assert (await reply(answer, streaming=True)).answer.outcome_code == code


async def _at_once(_seconds: float) -> None:
    return None
