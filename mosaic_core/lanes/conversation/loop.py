"""The rounds of one exchange: the agent replies, its proposals are settled, and it is told, until it has nothing to ask
or a person has to decide. All of it while the exchange is held."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final

from mosaic_core.lanes.context import LaneContext
from mosaic_core.lanes.conversation.exchange import Exchange, History
from mosaic_core.lanes.conversation.lane_setup import Rules
from mosaic_core.lanes.conversation.proposals import ProposalOutcome, Proposals
from mosaic_core.ports import AgentReply, AgentTurn

ROUNDS: Final = 3
"""How often one run tells the agent what became of its proposals."""


@dataclass(frozen=True, slots=True)
class ExchangeResult:
    """The last reply, and what became of every proposal on the way."""

    reply: AgentReply
    settled: tuple[ProposalOutcome, ...]

    @property
    def waiting(self) -> list[ProposalOutcome]:
        return [s for s in self.settled if s.approval is not None]

    @property
    def refused(self) -> list[ProposalOutcome]:
        return [s for s in self.settled if s.refused]


type TurnSource = Callable[[], Awaitable[AgentTurn]]


class AgentLoop:
    """``executor`` names the work and the agent that does it; ``turn`` is asked for only where it is needed, since
    it holds the ledger."""

    def __init__(
        self,
        rules: Rules,
        context: LaneContext,
        exchange: Exchange,
        turn: TurnSource,
        *,
        executor: str,
        requested_by: str,
        subject: str,
    ) -> None:
        self._rules = rules
        self._context = context
        self._exchange = exchange
        self._turn = turn
        self._executor = executor
        self._proposals = Proposals(rules, context, exchange, turn, requested_by=requested_by, subject=subject)

    async def respond(self) -> ExchangeResult:
        async def ask(history: History) -> AgentReply:
            return await self._rules.agent.respond(replace(await self._turn(), history=history))

        return await self._rounds(ask)

    async def resume(self, state: str, results: dict[str, str]) -> ExchangeResult:
        async def ask(history: History) -> AgentReply:
            return await self._rules.agent.resume(state, results, replace(await self._turn(), history=history))

        return await self._rounds(ask)

    async def _rounds(self, ask: Callable[[History], Awaitable[AgentReply]]) -> ExchangeResult:
        settled: list[ProposalOutcome] = []
        for number in range(ROUNDS):
            reply = await self._reply(number, ask)
            if not reply.proposals:
                break
            new = await self._settle(reply, number)
            settled += new
            if not reply.state or any(s.approval for s in new) or number == ROUNDS - 1:
                break
            results, state = {s.call_id: s.told for s in new}, reply.state

            async def ask(history: History, state: str = state, results: dict[str, str] = results) -> AgentReply:
                return await self._rules.agent.resume(state, results, replace(await self._turn(), history=history))

        return ExchangeResult(reply, tuple(settled))

    async def _reply(self, number: int, ask: Callable[[History], Awaitable[AgentReply]]) -> AgentReply:
        async with self._context.log.stage("answer", self._executor) as stage:
            reply = await self._exchange.reply(number, ask)
            answer = reply.answer
            end = stage.review if is_unsure(self._rules, reply) else stage.succeed
            end(answer.outcome_code, answer.rationale, confidence=answer.confidence, provenance=answer.transaction_ids)
            return reply

    async def _settle(self, reply: AgentReply, number: int) -> list[ProposalOutcome]:
        async with self._context.log.stage("proposals", f"policy/{self._rules.policy.version}") as stage:
            settled = await self._proposals.settle(reply, number)
            said = "; ".join(f"{s.action}: {_fate(s)}" for s in settled)
            if any(s.approval for s in settled):
                stage.review("approval_required", said, confidence=reply.answer.confidence)
            elif any(s.refused for s in settled):
                stage.review("proposal_refused", said, confidence=reply.answer.confidence)
            elif any(s.kept for s in settled):
                stage.succeed("proposals_not_all_applied", said, confidence=reply.answer.confidence)
            else:
                stage.succeed("proposals_applied", said, confidence=reply.answer.confidence)
            return settled


def is_unsure(rules: Rules, reply: AgentReply) -> bool:
    """Whether a person must look at it: a low confidence, whether in an answer or in what became of asking for one
    (a model's refusal, a figure that no row supports, a budget that was spent)."""
    return reply.answer.confidence < rules.policy.answer_threshold


def _fate(settled: ProposalOutcome) -> str:
    if settled.approval is not None:
        return f"waits for approval {settled.approval.approval_id}"
    return f"refused ({settled.reason_code})" if settled.refused else settled.told
