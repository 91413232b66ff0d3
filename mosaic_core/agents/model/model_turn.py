"""One turn with a model: the framework's agent over the run's tools, until an answer, proposals, or an end.

Imports the framework and the SDKs: load when first needed.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from agent_framework import Agent, Content, FunctionTool, Message
from agent_framework.exceptions import AgentException
from agent_framework.openai import OpenAIChatCompletionClient
from pydantic import ValidationError

from mosaic_core.agents.model import prompt, proposal_tools, state
from mosaic_core.agents.model.budget import Budget, BudgetSpentError, Limits
from mosaic_core.agents.model.chat_client import TokenProvider, chat_client
from mosaic_core.agents.model.grounding import Evidence, mentions, unsupported
from mosaic_core.agents.model.middleware import UNAVAILABLE, Rounds, Sleep, ToolCalls, tokens_of
from mosaic_core.agents.model.outcomes import Outcome, TurnEndedError, cannot_answer, without_answer
from mosaic_core.agents.model.proposal_tools import ACTIONS, Refused, one_line
from mosaic_core.agents.model.schemas import compact
from mosaic_core.agents.model.tools import TOOLS, LedgerTool, LedgerTools, UnknownSubjectError
from mosaic_core.computing import compute
from mosaic_core.config import AgentSettings
from mosaic_core.domain.errors import LaneError
from mosaic_core.domain.transactions import Answer
from mosaic_core.ports import AgentReply, AgentTurn, Proposal

_NAME: Final = "ledger_assistant"
_GROUNDED: Final = 0.85
_DECIDED: Final = 0.6
_WITHOUT_TOOLS: Final = 0.3
_LONGEST_RESULT: Final = 2000
_LONGEST_SHOWN: Final = 120


@dataclass(slots=True)
class _Run:
    """What one call of `Runtime` works with."""

    turn: AgentTurn
    tools: LedgerTools
    budget: Budget
    messages: list[Message] = field(default_factory=list)
    corrected: bool = False
    decided: str = ""


class Runtime:
    """Turns of one provider. Belongs to one event loop; ``now`` is a monotonic clock in seconds."""

    def __init__(
        self,
        settings: AgentSettings,
        token_provider: TokenProvider | None = None,
        *,
        sleep: Sleep = asyncio.sleep,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._client: OpenAIChatCompletionClient[Any] = chat_client(settings, token_provider)
        self._sleep = sleep
        self._now = now
        self._limits = Limits(
            rounds=settings.max_rounds,
            tool_calls=settings.max_tool_calls,
            tokens=settings.token_budget,
            seconds=settings.run_seconds,
        )

    async def close(self) -> None:
        await self._client.client.close()

    async def respond(self, turn: AgentTurn) -> AgentReply:
        run = await self._begin(turn, Evidence())
        run.messages = [Message(role, [text]) for role, text in prompt.history(turn)]
        run.messages.append(Message("user", [prompt.question(turn)]))
        return await self._within_time(run)

    async def resume(self, stored: str, results: Mapping[str, str], turn: AgentTurn) -> AgentReply:
        waiting = state.decode(stored, turn)
        if results.keys() != waiting.pending.keys():
            raise state.AgentStateError("the results are not those of the calls that wait")
        run = await self._begin(turn, waiting.evidence)
        run.budget.carry(waiting.spent)
        run.corrected = waiting.corrected
        # told by us: what the model makes of it may be anything
        run.decided = "; ".join(
            f"{summary}: {one_line(results[call], _LONGEST_SHOWN)}" for call, summary in waiting.pending.items()
        )
        try:
            run.messages = [Message.from_dict(message) for message in waiting.messages]
        except (TypeError, ValueError, KeyError):
            raise state.AgentStateError("the agent's state cannot be read") from None
        run.messages.append(_results({call: text[:_LONGEST_RESULT] for call, text in results.items()}))
        return await self._within_time(run)

    # -------------------------------------------------------------------------------------------------------- turns

    async def _begin(self, turn: AgentTurn, evidence: Evidence) -> _Run:
        tools = await compute(LedgerTools, turn.transactions, turn.as_of, evidence, turn.findings)
        return _Run(turn, tools, Budget(self._limits, self._now))

    async def _within_time(self, run: _Run) -> AgentReply:
        try:
            async with asyncio.timeout(self._limits.seconds):
                return await self._converse(run)
        except TurnEndedError as ended:
            return self._reply(run, without_answer(ended.outcome, ended.rationale))
        except BudgetSpentError as spent:
            return self._reply(run, without_answer(Outcome.BUDGET_SPENT, f"the run's {spent.what} are used up"))
        except TimeoutError:
            raise LaneError("the model's provider did not come to an end in the run's time", code=UNAVAILABLE) from None
        except AgentException as error:
            raise LaneError(f"the agent framework failed ({type(error).__name__})", code=UNAVAILABLE) from error

    async def _converse(self, run: _Run) -> AgentReply:
        agent = self._agent(run)
        household_rows = frozenset(tx.transaction_id for tx in run.turn.transactions)
        while True:
            response = await agent.run(
                run.messages,
                options={"max_tokens": self._settings.max_output_tokens, **self._kept_nowhere()},
            )
            run.messages += response.messages
            calls = _unanswered(response.messages)
            if not calls:
                return self._reply(run, await compute(self._answer, run, _said(response.messages)))
            judged = [
                proposal_tools.proposal(call.call_id or "", call.name or "", call.arguments or {}, household_rows)
                for call in calls
            ]
            refused = [entry for entry in judged if isinstance(entry, Refused)]
            proposed = [entry for entry in judged if isinstance(entry, Proposal)]
            if not refused and len(proposed) <= proposal_tools.MOST:
                return await compute(self._wait, run, proposed, _said(response.messages))
            if run.corrected:
                fault = refused[0].fault if refused else "too many at once"
                raise TurnEndedError(Outcome.PROPOSAL_INVALID, f"{len(judged)} proposals, not valid twice: {fault}")
            run.corrected = True
            run.messages.append(_results({entry.call_id: _told(entry) for entry in judged}))

    def _kept_nowhere(self) -> dict[str, Any]:
        # Azure keeps completions only where asked, and its older versions do not know the parameter
        return {"store": False} if self._settings.provider == "openai" else {}

    def _agent(self, run: _Run) -> Agent[Any]:
        settings = self._settings
        told = prompt.instructions(run.tools.span())
        tools = [*(_readable(tool, run.tools) for tool in TOOLS.values()), *_PROPOSALS]
        size = len(told) + sum(len(json.dumps(tool.to_json_schema_spec())) for tool in tools)
        rounds = Rounds(
            run.budget,
            overhead=tokens_of(size),
            max_retries=settings.max_retries,
            timeout=settings.timeout_seconds,
            sleep=self._sleep,
        )
        return Agent(self._client, told, name=_NAME, tools=tools, middleware=[rounds, ToolCalls(run.budget)])

    # ------------------------------------------------------------------------------------------------------- replies

    def _answer(self, run: _Run, text: str) -> Answer:
        """The model's text where every figure in it was computed; else why there is none."""
        text = " ".join(text.split())
        tools = run.tools
        if not text:
            return without_answer(Outcome.MALFORMED, "the model ended without a text")
        if tools.cannot and not tools.headlines:
            return cannot_answer(tools.cannot)
        missing = unsupported(text, tools.evidence, _asked(run.turn))
        if missing:
            return without_answer(
                Outcome.UNSUPPORTED_FIGURE, f"{len(missing)} figures of the model's text are of no tool's result"
            )
        rows = tuple(sorted(tools.evidence.rows))
        looked = bool(tools.evidence.rows or tools.headlines)
        headline = next((h for h in reversed(tools.headlines) if mentions(text, h.value)), None)
        return Answer(
            text=f"{run.decided}. {text}" if run.decided else text,
            value=headline.value if headline else text,
            unit=headline.unit if headline else "",
            transaction_ids=rows,
            confidence=_GROUNDED if looked else _DECIDED if run.decided else _WITHOUT_TOOLS,
            outcome_code=Outcome.ANSWERED.value,
            rationale=f"{run.budget.tool_calls} tool calls over {len(rows)} ledger rows; all figures are theirs"
            if looked
            else "the model answered without looking at the ledger",
            intent=headline.tool if headline else "",
            details=tuple((h.tool, f"{h.rows} rows") for h in tools.headlines),
        )

    def _wait(self, run: _Run, proposed: list[Proposal], text: str) -> AgentReply:
        """Proposals and the state to go on from. The model's own words come before, where their figures hold."""
        said = " ".join(text.split())
        if said and unsupported(said, run.tools.evidence, _asked(run.turn)):
            said = ""
        ours = f"Proposed, and waiting for a decision: {'; '.join(p.summary for p in proposed)}. Nothing has been done."
        answer = Answer(
            text=f"{said} {ours}".strip(),
            value=None,
            unit="",
            transaction_ids=tuple(sorted(run.tools.evidence.rows)),
            confidence=_GROUNDED,
            outcome_code=Outcome.PROPOSED.value,
            rationale=f"the model proposed {', '.join(sorted({p.action for p in proposed}))}",
        )
        waiting = state.Waiting(
            messages=[message.to_dict() for message in run.messages],
            pending={p.call_id: p.summary for p in proposed},
            evidence=run.tools.evidence,
            spent=run.budget.usage(),
            corrected=run.corrected,
        )
        return AgentReply(
            answer=answer,
            proposals=tuple(proposed),
            state=state.encode(waiting, run.turn),
            usage=run.budget.usage(),
        )

    def _reply(self, run: _Run, answer: Answer) -> AgentReply:
        return AgentReply(answer=answer, usage=run.budget.usage())


# --------------------------------------------------------------------------------------------------------------- tools

_PROPOSALS: Final = tuple(
    FunctionTool(name=name, description=" ".join((model.__doc__ or "").split()), func=None, input_model=compact(model))
    for name, model in ACTIONS.items()
)
"""Without a function: the framework cannot carry them out, whatever the model or a stored session says."""


def _readable(tool: LedgerTool, ledger: LedgerTools) -> FunctionTool:
    work = tool.work(ledger)

    async def call(**arguments: Any) -> str:
        def use() -> Mapping[str, Any]:
            try:
                return work(tool.arguments.model_validate(arguments))
            except ValidationError as error:
                return {
                    "error": "; ".join(sorted({f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()}))
                }
            except UnknownSubjectError:
                return {"error": "the ledger has nothing by that name"}

        return json.dumps(await compute(use), ensure_ascii=False)

    return FunctionTool(name=tool.name, description=tool.description, func=call, input_model=compact(tool.arguments))


# ------------------------------------------------------------------------------------------------------------ messages


def _unanswered(messages: list[Message]) -> list[Content]:
    """The calls that wait for the app. In order, since a provider may use an id again in a later round."""
    waiting: dict[str, Content] = {}
    for content in (content for message in messages for content in message.contents):
        if content.type == "function_call":
            waiting[content.call_id or ""] = content
        elif content.type == "function_result":
            waiting.pop(content.call_id or "", None)
    return list(waiting.values())


def _said(messages: list[Message]) -> str:
    """What the model said last: what it says between its calls is no answer."""
    return next((message.text for message in reversed(messages) if message.role == "assistant"), "")


def _results(texts: Mapping[str, str]) -> Message:
    return Message("tool", [Content.from_function_result(call_id=call, result=text) for call, text in texts.items()])


def _told(entry: Proposal | Refused) -> str:
    if isinstance(entry, Refused):
        return json.dumps({"not_proposed": entry.fault})
    return json.dumps({"not_proposed": "another call of the same message was not valid; call again what still holds"})


def _asked(turn: AgentTurn) -> str:
    return f"{turn.question}\n{turn.user_note or ''}"
