"""What becomes of an agent's proposals: each is validated, judged by the policy, and applied, refused or left to a
person.

Nothing that a model says counts here but the action's name and its arguments: not its summary, not its claim that
somebody has approved already.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mosaic_core.domain import approval as approvals
from mosaic_core.domain import ids
from mosaic_core.domain.approval import Action
from mosaic_core.domain.ledger import Transaction
from mosaic_core.domain.lifecycle import ApprovalStatus, DecisionOutcome, Severity
from mosaic_core.domain.policy import ImpactClass
from mosaic_core.domain.policy_actions import InvalidProposalError, name_of, row_count, validated
from mosaic_core.domain.policy_engine import Proposed, Ruling, Verdict
from mosaic_core.domain.records import Approval
from mosaic_core.lanes.context import LaneContext
from mosaic_core.lanes.conversation import effects, sessions
from mosaic_core.lanes.conversation.audit import POLICY, audit
from mosaic_core.lanes.conversation.effects import Wish
from mosaic_core.lanes.conversation.rules import Rules
from mosaic_core.lanes.conversation.sessions import Batch
from mosaic_core.ports import AgentReply, AgentTurn, Proposal

MOST: Final = 10
"""Proposals of one reply that are looked at; the rest are refused."""

APPROVAL_REQUIRED: Final = "approval_required"
TOO_MANY: Final = "too_many_proposals"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What became of one proposal: ``told`` is what the agent hears, ``approval`` what it waits for, if anything."""

    call_id: str
    action: str
    reason_code: str
    told: str
    refused: bool = False
    approval: Approval | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judged:
    proposal: Proposal
    action: Action
    ruling: Ruling


class Proposals:
    """Those of one run. ``requested_by`` is the person whose message they answer."""

    def __init__(self, rules: Rules, context: LaneContext, turn: AgentTurn, *, requested_by: str) -> None:
        self._rules = rules
        self._context = context
        self._turn = turn
        self._requested_by = requested_by
        self._ledger: Mapping[str, Transaction] = {t.transaction_id: t for t in turn.transactions}

    async def settle(self, reply: AgentReply, question: str) -> list[Settled]:
        """Apply, refuse, or ask a person. Repeating it for the same reply changes nothing."""
        settled: list[Settled] = []
        waiting: list[_Judged] = []
        for number, proposal in enumerate(reply.proposals):
            try:
                if number >= MOST:
                    raise InvalidProposalError(f"a reply may propose {MOST} actions", code=TOO_MANY)
                judged = await self._judge(proposal, reply.answer.confidence)
            except InvalidProposalError as error:
                settled.append(await self._refused(proposal, name_of(proposal.action), error.code, error.rationale))
                continue
            match judged.ruling.verdict:
                case Verdict.APPLY:
                    settled.append(await self._apply(judged))
                case Verdict.REFUSE:
                    ruling = judged.ruling
                    settled.append(
                        await self._refused(proposal, judged.action.name, ruling.reason_code, ruling.rationale, ruling)
                    )
                case Verdict.APPROVE:
                    waiting.append(judged)
        return settled + await self._ask(reply, question, waiting, settled)

    async def _judge(self, proposal: Proposal, confidence: float) -> _Judged:
        name = name_of(proposal.action)
        if name == "unnamed":
            raise InvalidProposalError("what was proposed has no action's name")
        arguments = validated(name, proposal.arguments)
        rows, severity = await self._scope(name, arguments)
        ruling = self._rules.policy.evaluate(
            Proposed(action=name, arguments=arguments, confidence=confidence, rows=rows, severity=severity)
        )
        return _Judged(proposal=proposal, action=Action(name, arguments), ruling=ruling)

    async def _scope(self, name: str, arguments: Mapping[str, Any]) -> tuple[int, Severity | None]:
        """How many rows, of which signal. What is not the household's own is not there."""
        rows = row_count(name, arguments)
        if rows and not all(i in self._ledger for i in arguments["transactionIds"]):
            raise InvalidProposalError("it names rows that the household's ledger does not hold")
        if name == "dismiss_signal":
            signal = await effects.finding(self._context, self._turn.household_id, arguments["signalId"])
            if signal is None:
                raise InvalidProposalError("it names a signal that is no finding of this household")
            return rows, signal.severity
        return rows, None

    async def _apply(self, judged: _Judged) -> Settled:
        action, ruling = judged.action, judged.ruling
        wish = Wish(set_by=self._requested_by, asked_at=self._context.envelope.created_at)
        done = await effects.apply(self._context, self._turn.household_id, action, wish, self._ledger)
        await self._audit(action.name, DecisionOutcome.APPLIED, ruling.reason_code, ruling.rationale, action.hash)
        return Settled(
            call_id=judged.proposal.call_id,
            action=action.name,
            reason_code=ruling.reason_code,
            told=f"applied: {done}",
        )

    async def _refused(
        self, proposal: Proposal, name: str, code: str, rationale: str, ruling: Ruling | None = None
    ) -> Settled:
        await self._audit(name, DecisionOutcome.REJECTED, code, rationale, proposal.call_id)
        return Settled(
            call_id=proposal.call_id, action=name, reason_code=code, told=f"refused: {rationale}", refused=True
        )

    async def _ask(
        self, reply: AgentReply, question: str, waiting: Sequence[_Judged], settled: Sequence[Settled]
    ) -> list[Settled]:
        """A pending approval for each; effects of kind 1. The batch is stored first: an approval never points at
        nothing."""
        if not waiting:
            return []
        household_id = self._turn.household_id
        batch = None
        if reply.state:
            batch = await sessions.put_batch(
                self._context.stores,
                household_id,
                Batch(
                    state=reply.state,
                    run_id=self._turn.run_id,
                    question=question,
                    requested_by=self._requested_by,
                    results={s.call_id: s.told for s in settled},
                    waiting={j.proposal.call_id: ids.approval_id(self._context.run_id, j.action.hash) for j in waiting},
                ),
            )
        asked = []
        for judged in waiting:
            approval = await request_approval(
                self._rules,
                self._context,
                judged.action,
                conversation_id=self._turn.conversation_id,
                requested_by=self._requested_by,
                impact=judged.ruling.impact,
                summary=approvals.summary(judged.action, judged.ruling.impact),
                reason_code=judged.ruling.reason_code,
                rationale=judged.ruling.rationale,
                confidence=reply.answer.confidence,
                batch=batch,
            )
            asked.append(
                Settled(
                    call_id=judged.proposal.call_id,
                    action=judged.action.name,
                    reason_code=judged.ruling.reason_code,
                    told="a person has to approve this first",
                    approval=approval,
                )
            )
        return asked

    async def _audit(
        self, action: str, outcome: DecisionOutcome, reason_code: str, rationale: str, subject: str
    ) -> None:
        await audit(
            self._context,
            actor=POLICY,
            action=action,
            outcome=outcome,
            reason_code=reason_code,
            rationale=rationale,
            confidence=1.0,
            policy_version=self._rules.policy.version,
            subject=subject,
        )


async def request_approval(
    rules: Rules,
    context: LaneContext,
    action: Action,
    *,
    conversation_id: str,
    requested_by: str,
    impact: ImpactClass,
    summary: str,
    reason_code: str,
    rationale: str,
    confidence: float,
    batch: str | None = None,
) -> Approval:
    """A pending approval of the exact action, and its audit row. The same again is the same row."""
    now = context.now()
    approval = Approval(
        approval_id=ids.approval_id(context.run_id, action.hash),
        household_id=context.envelope.household_id,
        conversation_id=conversation_id,
        run_id=context.run_id,
        command_id=context.envelope.command_id,
        requested_by=requested_by,
        action_kind=impact.value,
        action_summary=summary,
        action_hash=action.hash,
        policy_version=rules.policy.version,
        status=ApprovalStatus.PENDING,
        created_at=now,
        expires_at=now + rules.approval_expiry,
        action_json=action.json,
        batch=batch,
    )
    await context.stores.approvals.insert(approval)
    await audit(
        context,
        actor=POLICY,
        action=impact.value,
        outcome=DecisionOutcome.DEFERRED,
        reason_code=reason_code,
        rationale=rationale,
        confidence=confidence,
        policy_version=rules.policy.version,
        approval_id=approval.approval_id,
    )
    return approval


def awaits(pending: Sequence[Approval]) -> str:
    """What a run that asked says of what it waits for: ids and kinds."""
    if len(pending) == 1:
        return f"approval {pending[0].approval_id} was asked for ({pending[0].action_kind}); nothing is done without it"
    named = ", ".join(f"{a.approval_id} ({a.action_kind})" for a in pending[:8])
    return f"{len(pending)} approvals were asked for, nothing is done without them: {named}"
