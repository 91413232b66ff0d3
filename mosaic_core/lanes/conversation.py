"""The conversation lane: questions on the ledger, requests for actions, and people's decisions on those.

The worker decides again by itself what a message asks for; the API's disposition is a hint. A request for a high-impact
action gives no action but a pending approval, and an approval gives no action to the outside either: a person acts.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Final

from mosaic_core.domain import ids, lifecycle, signals
from mosaic_core.domain.envelope import AgentApprovalSubmitted, AgentMessagePosted, PolicyDisposition
from mosaic_core.domain.errors import LaneError
from mosaic_core.domain.lifecycle import ApprovalStatus, DecisionOutcome
from mosaic_core.domain.policy import POLICY_VERSION, Assessment, assess_message, proposed_action
from mosaic_core.domain.records import Approval, Decision, Signal
from mosaic_core.lanes.context import LaneContext, LaneResult, needs_review, succeeded
from mosaic_core.ports import LedgerAgent, Stored

POLICY: Final = f"policy/{POLICY_VERSION}"
_EARLIEST: Final = date(1900, 1, 1)
_UNSURE_BELOW: Final = 0.5
_APPROVAL_REQUIRED: Final = "approval_required"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationLane:
    """``approval_expiry`` is how long an approval may be decided."""

    agent: LedgerAgent
    approval_expiry: timedelta = timedelta(hours=72)

    async def __call__(self, context: LaneContext) -> LaneResult:
        match context.envelope.payload:
            case AgentMessagePosted() as message:
                return await self._message(context, message)
            case AgentApprovalSubmitted() as decision:
                return await self._decision(context, decision)
        raise LaneError("the conversation lane was given another command", code="unsupported_command_type")

    # ---------------------------------------------------------------------------------------------------- messages

    async def _message(self, context: LaneContext, message: AgentMessagePosted) -> LaneResult:
        async with context.log.stage("policy", POLICY) as stage:
            assessment = assess_message(message.message, message.user_note)
            stage.succeed(assessment.reason_code, assessment.rationale, confidence=assessment.confidence)
        if assessment.disposition == PolicyDisposition.APPROVAL_REQUIRED:
            return await self._propose(context, message, assessment)
        return await self._answer(context, message)

    async def _answer(self, context: LaneContext, message: AgentMessagePosted) -> LaneResult:
        as_of = context.envelope.created_at.date()
        async with context.log.stage("load_ledger", "conversation-lane/1") as stage:
            transactions = await context.stores.ledger.between(message.household_id, _EARLIEST, as_of)
            stage.succeed("loaded", f"{len(transactions)} transactions up to {as_of}")
        async with context.log.stage("answer", self.agent.name) as stage:
            answer = await self.agent.answer(message.message, transactions, as_of=as_of)
            unsure = answer.outcome_code == "answered" and answer.confidence < _UNSURE_BELOW
            end = stage.review if unsure else stage.succeed
            end(
                answer.outcome_code,
                answer.rationale,
                confidence=answer.confidence,
                provenance=answer.transaction_ids,
            )
        result = needs_review if unsure else succeeded
        return result(
            "uncertain_answer" if unsure else answer.outcome_code,
            answer.rationale,
            agent_name=self.agent.name,
            agent_source=f"{self.agent.source}; {len(answer.transaction_ids)} ledger rows",
            note=answer.text,
        )

    async def _propose(self, context: LaneContext, message: AgentMessagePosted, assessment: Assessment) -> LaneResult:
        """An approval that names the exact action; nothing is done."""
        action = proposed_action(message.message, assessment, message.user_note)
        now = context.now()
        approval = Approval(
            approval_id=ids.approval_id(context.run_id, action.action_hash),
            household_id=message.household_id,
            conversation_id=message.conversation_id,
            run_id=context.run_id,
            command_id=context.envelope.command_id,
            requested_by=message.household_user_id,
            action_kind=action.kind,
            action_summary=action.summary,
            action_hash=action.action_hash,
            policy_version=POLICY_VERSION,
            status=ApprovalStatus.PENDING,
            created_at=now,
            expires_at=now + self.approval_expiry,
        )
        async with context.log.stage("request_approval", POLICY) as stage:
            await context.stores.approvals.insert(approval)
            await self._audit(
                context,
                actor=POLICY,
                action=action.kind,
                outcome=DecisionOutcome.DEFERRED,
                reason_code=assessment.reason_code,
                rationale=assessment.rationale,
                confidence=assessment.confidence,
                approval_id=approval.approval_id,
            )
            stage.review(_APPROVAL_REQUIRED, action.summary, confidence=assessment.confidence)
        return needs_review(
            _APPROVAL_REQUIRED,
            _awaits(approval),
            agent_name=POLICY,
            agent_source=assessment.reason_code,
            note=f"This needs a person's approval first: {action.summary}. Nothing has been done.",
        )

    # --------------------------------------------------------------------------------------------------- decisions

    async def _decision(self, context: LaneContext, decision: AgentApprovalSubmitted) -> LaneResult:
        async with context.log.stage("decide", POLICY) as stage:
            outcome, code, rationale, approval = await self._apply(context, decision)
            await self._audit(
                context,
                actor=decision.household_user_id,
                action=approval.action_kind if approval else "unknown",
                outcome=outcome,
                reason_code=code,
                rationale=decision.rationale or rationale,
                confidence=1.0,
                approval_id=decision.approval_id,
            )
            if outcome == DecisionOutcome.APPLIED:
                stage.succeed(code, rationale)
            else:
                stage.review(code, rationale, confidence=1.0)
        if outcome != DecisionOutcome.APPLIED or approval is None:
            return needs_review(code, rationale, agent_name=POLICY, note=rationale)
        await self._close_review(context, approval)
        return succeeded(code, rationale, agent_name=POLICY, agent_source=f"run {approval.run_id}", note=rationale)

    async def _apply(
        self, context: LaneContext, decision: AgentApprovalSubmitted
    ) -> tuple[DecisionOutcome, str, str, Approval | None]:
        """The decision on the approval's row, If-Match: the first decision stands, the same again is harmless, the
        opposite is refused."""
        wanted = ApprovalStatus.APPROVED if decision.decision == "Approve" else ApprovalStatus.REJECTED
        while True:
            stored = await context.stores.approvals.read(decision.household_id, decision.approval_id)
            if stored is None or stored.value.conversation_id != decision.conversation_id:
                return DecisionOutcome.REJECTED, "approval_not_found", "there is no such approval here", None
            approval = stored.value
            if approval.status == wanted:
                said = "applied" if approval.decision_run_id == context.run_id else "already decided so"
                return DecisionOutcome.APPLIED, f"approval_{wanted}", _said(approval, said), approval
            if approval.status == ApprovalStatus.EXPIRED:
                return DecisionOutcome.REJECTED, "approval_expired", "the approval had expired", approval
            if approval.status != ApprovalStatus.PENDING:
                rationale = f"the approval is already {approval.status}; the first decision stands"
                return DecisionOutcome.REJECTED, "approval_contradicted", rationale, approval
            expired = context.envelope.created_at >= approval.expires_at
            changed = self._decided(context, stored, ApprovalStatus.EXPIRED if expired else wanted, decision)
            await context.stores.approvals.update(changed, stored.etag)
            # whoever wrote it, the row now says what became of it

    @staticmethod
    def _decided(
        context: LaneContext, stored: Stored[Approval], status: ApprovalStatus, decision: AgentApprovalSubmitted
    ) -> Approval:
        lifecycle.check(stored.value.status, status)
        # nobody decided what time did
        late = status == ApprovalStatus.EXPIRED
        return replace(
            stored.value,
            status=status,
            decided_at=context.now(),
            decided_by=POLICY if late else decision.household_user_id,
            decision_run_id=context.run_id,
            decision_rationale=None if late else decision.rationale,
        )

    async def _close_review(self, context: LaneContext, approval: Approval) -> None:
        """The asking run's review signal has its answer. Where that run has not come to raise it yet (an approval can
        be decided from the moment that it is stored), it is stored resolved: the run's own insert comes too late."""
        while True:
            stored = await context.stores.signals.read(ids.review_signal_id(approval.run_id))
            if stored is not None and stored.value.is_resolved:
                return
            review = stored.value if stored is not None else await self._review_to_come(context, approval)
            if review is None:
                return
            by, note = approval.decided_by or "", f"approval {approval.status}"
            resolved = signals.resolve(review, by=by, note=note, now=context.now())
            if stored is None:
                written = await context.stores.signals.insert(resolved)
            else:
                written = await context.stores.signals.update(resolved, stored.etag)
            if written is not None:
                return

    @staticmethod
    async def _review_to_come(context: LaneContext, approval: Approval) -> Signal | None:
        """What the asking run is going to raise; None where there is no such run."""
        run = await context.stores.runs.read(approval.run_id)
        if run is None:
            return None
        return signals.review(replace(run.value, failure_code=_APPROVAL_REQUIRED, failure_rationale=_awaits(approval)))

    async def _audit(
        self,
        context: LaneContext,
        *,
        actor: str,
        action: str,
        outcome: DecisionOutcome,
        reason_code: str,
        rationale: str,
        confidence: float,
        approval_id: str,
    ) -> None:
        digest = hashlib.sha256("\n".join((actor, action, outcome, reason_code, approval_id)).encode()).hexdigest()
        await context.stores.decisions.insert(
            Decision(
                decision_id=ids.derive("decision", context.run_id, digest),
                run_id=context.run_id,
                household_id=context.envelope.household_id,
                actor=actor,
                action=action,
                outcome=outcome,
                reason_code=reason_code,
                rationale=rationale[:500],
                policy_version=POLICY_VERSION,
                confidence=confidence,
                decided_at=context.now(),
                approval_id=approval_id,
            )
        )


def _awaits(approval: Approval) -> str:
    return f"approval {approval.approval_id} is pending for {approval.action_kind}; nothing was done"


def _said(approval: Approval, how: str) -> str:
    if approval.status == ApprovalStatus.APPROVED:
        return f"approved ({how}): {approval.action_kind} is handed to a person; the system itself sends nothing"
    return f"rejected ({how}): {approval.action_kind} is not carried out"
