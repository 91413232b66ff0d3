"""The agents that a lane can be given."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from mosaic_core.domain.ledger import Answer, Transaction
from mosaic_core.ports import AgentReply, AgentTurn, LedgerAgent

OFFLINE_VERSION: Final = "offline-rules/2"

_NOT_OURS: Final = Answer(
    text="The decision is recorded. The agent that asked for it is not in use any more, so it adds nothing.",
    value=None,
    unit="",
    transaction_ids=(),
    confidence=1.0,
    outcome_code="cannot_answer",
    rationale="the session belongs to another agent than the one that is configured",
)


@dataclass(frozen=True, slots=True)
class AnsweringAgent:
    """A `LedgerAgent` as a `ConversationAgent`: it answers, proposes nothing and keeps no session."""

    ledger_agent: LedgerAgent

    @property
    def name(self) -> str:
        return self.ledger_agent.name

    @property
    def source(self) -> str:
        return self.ledger_agent.source

    async def respond(self, turn: AgentTurn) -> AgentReply:
        return AgentReply(answer=await self.ledger_agent.answer(turn.question, turn.transactions, as_of=turn.as_of))

    async def resume(self, state: str, results: Mapping[str, str], turn: AgentTurn) -> AgentReply:
        """There is no session of its own to go on with: one was left by an agent that was configured before."""
        return AgentReply(answer=_NOT_OURS)


class OfflineAgent:
    """Rules over the household's ledger: no model, no network. A `LedgerAgent`."""

    name = "offline"
    source = OFFLINE_VERSION

    async def answer(self, question: str, transactions: Sequence[Transaction], *, as_of: date) -> Answer:
        # loaded when first asked, and on a thread: its rules are much text and its sums take their time
        def work() -> Answer:
            from mosaic_core.agents import offline

            return offline.answer(question, transactions, as_of=as_of)

        return await asyncio.to_thread(work)


def offline_agent() -> AnsweringAgent:
    """The offline agent as the conversation lane takes it."""
    return AnsweringAgent(OfflineAgent())
