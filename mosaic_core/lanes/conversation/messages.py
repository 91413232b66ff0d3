"""A message: it goes to the agent as data. What it names outright is noted for people to read; then the agent's answer,
and its proposals, which the policy judges."""

from __future__ import annotations

from typing import Final

from mosaic_core.agents.findings import about_findings
from mosaic_core.computing import INLINE_CHARACTERS, compute_over
from mosaic_core.domain.envelope import AgentMessagePosted, normal_length
from mosaic_core.domain.policy import hint
from mosaic_core.domain.records import OpenFinding
from mosaic_core.lanes.context import LaneContext, LaneResult, needs_review, succeeded
from mosaic_core.lanes.conversation.exchange import Exchange
from mosaic_core.lanes.conversation.lane_setup import Rules
from mosaic_core.lanes.conversation.loop import AgentLoop, ExchangeResult, is_unsure
from mosaic_core.lanes.conversation.proposals import APPROVAL_REQUIRED, awaits
from mosaic_core.lanes.household import ledger_up_to
from mosaic_core.ports import AgentTurn

LANE = "conversation-lane/3"
NOTHING_NAMED: Final = "names_no_action"
"""The outcome of the stage ``policy`` where the text names no action outright."""
_ANSWERED_AS: Final = "ledger_question"
"""How the records of an answer's stage name its work, before the name of the agent."""


class Messages:
    """One attempt at one message."""

    def __init__(self, rules: Rules, context: LaneContext, message: AgentMessagePosted) -> None:
        self._rules = rules
        self._context = context
        self._message = message
        self._policy = f"policy/{rules.policy.version}"
        self._size = normal_length(message.message) + normal_length(message.user_note or "")
        self._exchange = Exchange(
            context,
            rules.turnstile,
            message.household_id,
            message.conversation_id,
            turn_id=context.run_id,
            question=message.message,
        )

    async def execute(self) -> LaneResult:
        message = self._message
        async with self._context.log.stage("policy", self._policy) as stage:
            named = await compute_over(self._size, INLINE_CHARACTERS, hint, message.message, message.user_note or "")
            if named is None:
                stage.succeed(NOTHING_NAMED, "the text names no action of high impact; a hint, which decides nothing")
            else:
                stage.succeed(f"names_{named}", f"the text names {named}; a hint, which decides nothing")
        async with self._exchange.held():
            return await self._answer()

    # ---------------------------------------------------------------------------------------------------- answers

    async def _answer(self) -> LaneResult:
        message, context = self._message, self._context
        # a message that waited is about the day on which it was sent
        as_of = context.envelope.created_at.date()
        async with context.log.stage("load_ledger", LANE) as stage:
            transactions = await ledger_up_to(context.stores, message.household_id, as_of)
            said = f"{len(transactions)} transactions up to {as_of}"
            findings: list[OpenFinding] = []
            if await compute_over(self._size, INLINE_CHARACTERS, about_findings, message.message):
                findings = await context.stores.signals.open_findings(message.household_id)
                said = f"{len(findings)} open findings, {said}"
            stage.succeed("loaded", said)
        turn = AgentTurn(
            question=message.message,
            user_note=message.user_note,
            transactions=transactions,
            as_of=as_of,
            household_id=message.household_id,
            conversation_id=message.conversation_id,
            run_id=context.run_id,
            findings=findings,
        )

        async def its_turn() -> AgentTurn:
            return turn

        talk = AgentLoop(
            self._rules,
            context,
            self._exchange,
            its_turn,
            executor=f"{_ANSWERED_AS}/{self._rules.agent.name}",
            requested_by=message.household_user_id,
            subject=context.subject,
        )
        return result_of(self._rules, await talk.respond(), said_of="the answer")


def result_of(rules: Rules, said: ExchangeResult, *, said_of: str) -> LaneResult:
    """How an exchange ends: what waits for a person first, then what was refused, then what was unsure."""
    answer = said.reply.answer
    pending = [s.approval for s in said.waiting if s.approval is not None]
    note = answer.text
    if pending:
        kinds = ", ".join(sorted({a.action_kind for a in pending}))
        note = f"Waiting for a person's approval: {kinds}. Nothing of it has been done. {note}"
    if kept := [f"{s.action}: {s.told}" for s in said.settled if s.kept]:
        note = f"Not done as asked: {'; '.join(kept)}. {note}"
    agent = {
        "agent_name": rules.agent.name,
        "agent_source": f"{rules.agent.source}; {len(answer.transaction_ids)} ledger rows",
        "note": note,
    }
    if pending:
        return needs_review(APPROVAL_REQUIRED, awaits(pending), **agent)
    if said.refused:
        refused = ", ".join(f"{s.action} ({s.reason_code})" for s in said.refused[:8])
        return needs_review("proposal_refused", f"refused of what the agent proposed: {refused}", **agent)
    if is_unsure(rules, said.reply):
        return needs_review(
            "uncertain_answer", f"{said_of} has confidence {answer.confidence:.2f}: {answer.rationale}", **agent
        )
    return succeeded(answer.outcome_code, answer.rationale, **agent)
