"""The agents that a lane can be given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final

from mosaic_core.computing import compute
from mosaic_core.domain.transactions import Answer, Transaction
from mosaic_core.ports import AgentReply, AgentTurn

OFFLINE_VERSION: Final = "offline-rules/3"

_NOT_OURS: Final = Answer(
    text="The decision is recorded. The agent that asked for it is not in use any more, so it adds nothing.",
    value=None,
    unit="",
    transaction_ids=(),
    confidence=1.0,
    outcome_code="cannot_answer",
    rationale="the session belongs to another agent than the one that is configured",
)


class OfflineAgent:
    """Rules over the household's ledger: no model, no network. A `ConversationAgent`, and a `LedgerAgent` for single
    questions."""

    name = "offline"
    source = OFFLINE_VERSION
    resumes_over_ledger = False

    # its rules are loaded when first asked, and on a thread: they are much text, and its sums take their time

    async def respond(self, turn: AgentTurn) -> AgentReply:
        def work() -> AgentReply:
            from mosaic_core.agents.offline import one_message

            return one_message.respond(turn)

        return await compute(work)

    async def resume(self, state: str, results: Mapping[str, str], turn: AgentTurn) -> AgentReply:
        """A session that an agent configured before has left is not gone on with; the answer says so."""

        def work() -> Answer | None:
            from mosaic_core.agents.offline import one_message

            return one_message.resume(state, results)

        said = await compute(work)
        return AgentReply(answer=said or _NOT_OURS)

    async def answer(self, question: str, transactions: Sequence[Transaction], *, as_of: date) -> Answer:
        """One question outside of any conversation; to an order the answer is what would be proposed."""
        return (await self.respond(AgentTurn.alone(question, transactions, as_of))).answer


def offline_agent() -> OfflineAgent:
    """The offline agent as the conversation lane takes it."""
    return OfflineAgent()
