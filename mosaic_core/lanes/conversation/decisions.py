"""A person's decision on an approval: judged and recorded once. What it leads to is in `endings`.

The approval's status is the single use (If-Match): the first decision stands. One that comes after its time ends well
and changes nothing; one on what a rejected command asked for is refused.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from mosaic_core.domain import lifecycle
from mosaic_core.domain.envelope import AgentApprovalDue, AgentApprovalSubmitted
from mosaic_core.domain.lifecycle import ApprovalStatus, AttemptOutcome, DecisionOutcome
from mosaic_core.domain.policy import approval as approvals
from mosaic_core.domain.records import Approval
from mosaic_core.lanes.context import LaneContext, LaneResult, needs_review, succeeded
from mosaic_core.lanes.conversation.audit import POLICY, audit
from mosaic_core.lanes.conversation.endings import CHANGED, EXPIRED, Ending, Endings, said
from mosaic_core.lanes.conversation.lane_setup import Rules
from mosaic_core.lanes.conversation.messages import result_of
from mosaic_core.ports import Stored

NO_MEMBER: Final = "approval_member_gone"

HARMLESS: Final = frozenset({"approval_repeated", EXPIRED})
"""Codes of decisions that change nothing, and that nobody has to look at."""


_NO_MEMBER: Final = "who decided is no member any more that may; nothing is carried out"


@dataclass(frozen=True, slots=True)
class _Verdict:
    outcome: DecisionOutcome
    code: str
    rationale: str
    approval: Approval | None = None

    @property
    def is_harmless(self) -> bool:
        return self.outcome == DecisionOutcome.APPLIED or self.code in HARMLESS


class Decisions:
    """One attempt at one decision."""

    def __init__(self, rules: Rules, context: LaneContext, decision: AgentApprovalSubmitted) -> None:
        self._rules = rules
        self._context = context
        self._decision = decision
        self._endings = Endings(rules, context)
        self._policy = f"policy/{rules.policy.version}"

    async def execute(self) -> LaneResult:
        async with self._context.log.stage("decide", self._policy) as stage:
            verdict = await self._decide()
            await self._audit(verdict)
            if verdict.is_harmless:
                stage.succeed(verdict.code, verdict.rationale)
            else:
                stage.review(verdict.code, verdict.rationale, confidence=1.0)
        approval, result = verdict.approval, self._of(verdict)
        if approval is None or approval.status == ApprovalStatus.PENDING:
            return result
        # whatever this decision comes to: what the approval's end leads to may have been left undone
        ending = await self._endings.finish(approval)
        if verdict.outcome == DecisionOutcome.APPLIED:
            result = self._of(replace(verdict, rationale=said(ending.approval)))
        return ended(self._rules, result, ending, source=f"run {approval.run_id}")

    def _of(self, verdict: _Verdict) -> LaneResult:
        if not verdict.is_harmless:
            return needs_review(verdict.code, verdict.rationale, agent_name=self._policy, note=verdict.rationale)
        source = f"run {verdict.approval.run_id}" if verdict.approval is not None else None
        return succeeded(
            verdict.code, verdict.rationale, agent_name=self._policy, agent_source=source, note=verdict.rationale
        )

    # --------------------------------------------------------------------------------------------------- the decision

    async def _decide(self) -> _Verdict:
        decision, context = self._decision, self._context
        wanted = ApprovalStatus.APPROVED if decision.decision == "Approve" else ApprovalStatus.REJECTED
        void, is_member = False, await self._endings.may_decide(context.subject, decision.household_user_id)
        while True:
            stored = await context.stores.approvals.read(decision.household_id, decision.approval_id)
            if stored is None:
                return _refused("approval_not_found", "there is no such approval here")
            approval = stored.value
            if approval.conversation_id != decision.conversation_id:
                return _refused("approval_other_conversation", "the approval belongs to another conversation")
            if approval.status != ApprovalStatus.PENDING:
                undone = approval.status == ApprovalStatus.APPROVED and approval.carried_out_at is None
                if undone and approval.decision_run_id == context.run_id and not is_member:
                    return _refused(NO_MEMBER, _NO_MEMBER, approval)
                return self._decided_before(approval, wanted, void=void)
            void = await self._endings.is_void(approval)
            if void or approvals.is_over(approval, context.envelope.created_at):
                await self._endings.expire(approval)
                continue
            if not is_member:
                return _refused(NO_MEMBER, _NO_MEMBER, approval)
            approves = wanted == ApprovalStatus.APPROVED
            if approves and approvals.stored_action(approval) is None:
                return _refused(CHANGED, "the stored action is not the one that was asked for; ask again", approval)
            if approves and self._rules.require_other_person and self._is_who_asked(approval):
                return _refused("approval_same_person", "another person than who asked has to approve this", approval)
            await context.stores.approvals.update(self._decided(stored, wanted), stored.etag)
            # whoever wrote it, the row now says what became of it

    def _is_who_asked(self, approval: Approval) -> bool:
        """By the tokens' subjects: one person may be two users of a household."""
        if approval.requested_by_subject:
            return self._context.subject == approval.requested_by_subject
        return self._decision.household_user_id == approval.requested_by

    def _decided_before(self, approval: Approval, wanted: ApprovalStatus, *, void: bool) -> _Verdict:
        mine = approval.decision_run_id == self._context.run_id
        if approval.status == ApprovalStatus.EXPIRED:
            if void or (mine and not approvals.is_over(approval, self._context.envelope.created_at)):
                return _refused("approval_void", "the command that asked for it was rejected; ask again", approval)
            return _refused("approval_expired", "the approval had expired", approval)
        if approval.status != wanted:
            rationale = f"the approval is already {approval.status}; the first decision stands"
            return _refused("approval_contradicted", rationale, approval)
        if mine:
            return _Verdict(DecisionOutcome.APPLIED, f"approval_{wanted}", said(approval), approval)
        rationale = f"already decided so in run {approval.decision_run_id}; nothing is done twice"
        return _Verdict(DecisionOutcome.REJECTED, "approval_repeated", rationale, approval)

    def _decided(self, stored: Stored[Approval], status: ApprovalStatus) -> Approval:
        lifecycle.check(stored.value.status, status)
        return replace(
            stored.value,
            status=status,
            # when the person decided, however long it waited: a later choice than that stands
            decided_at=min(self._context.envelope.created_at, self._context.now()),
            decided_by=self._decision.household_user_id,
            decided_by_subject=self._context.subject,
            decision_run_id=self._context.run_id,
            decision_rationale=self._decision.rationale,
        )

    async def _audit(self, verdict: _Verdict) -> None:
        decision, approval = self._decision, verdict.approval
        await audit(
            self._context,
            actor=decision.household_user_id,
            action=approval.action_kind if approval else "unknown",
            outcome=verdict.outcome,
            reason_code=verdict.code,
            rationale=decision.rationale or verdict.rationale,
            confidence=1.0,
            policy_version=self._rules.policy.version,
            approval_id=decision.approval_id,
        )


class DueApprovals:
    """One attempt at ending an approval whose time is over. Nobody decides anything by it."""

    def __init__(self, rules: Rules, context: LaneContext, due: AgentApprovalDue) -> None:
        self._rules = rules
        self._context = context
        self._due = due
        self._policy = f"policy/{rules.policy.version}"

    async def execute(self) -> LaneResult:
        due, context = self._due, self._context
        endings = Endings(self._rules, context)
        async with context.log.stage("expire", self._policy) as stage:
            stored = await context.stores.approvals.read(due.household_id, due.approval_id)
            approval = stored.value if stored is not None else None
            if approval is None or approval.conversation_id != due.conversation_id:
                stage.skip("approval_not_found", "there is no such approval here")
                return succeeded("approval_not_found", "there is no such approval here", agent_name=self._policy)
            if approval.status == ApprovalStatus.PENDING and (
                approvals.is_over(approval, context.now()) or await endings.is_void(approval)
            ):
                approval = await endings.expire(approval)
            if approval.status == ApprovalStatus.PENDING:
                stage.skip("approval_not_due", "there is time left to decide")
                return succeeded("approval_not_due", "there is time left to decide", agent_name=self._policy)
            if approval.status == ApprovalStatus.EXPIRED and approval.decision_run_id == context.run_id:
                await audit(
                    context,
                    actor=POLICY,
                    action=approval.action_kind,
                    outcome=DecisionOutcome.REJECTED,
                    reason_code=EXPIRED,
                    rationale=said(approval),
                    confidence=1.0,
                    policy_version=self._rules.policy.version,
                    approval_id=approval.approval_id,
                )
            stage.succeed(f"approval_{approval.status}", said(approval))
        ending = await endings.finish(approval)
        rationale, source = said(ending.approval), f"run {approval.run_id}"
        result = succeeded(
            f"approval_{approval.status}", rationale, agent_name=self._policy, agent_source=source, note=rationale
        )
        return ended(self._rules, result, ending, source=source)


def ended(rules: Rules, result: LaneResult, ending: Ending, *, source: str) -> LaneResult:
    """The command's own outcome, unless the action was changed, or the agent that was told asks for something new."""
    succeeds = result.outcome == AttemptOutcome.SUCCEEDED
    if ending.changed and succeeds:
        rationale = "the stored action is not the one that was approved; nothing was done"
        return needs_review(CHANGED, rationale, agent_name=result.agent_name, note=rationale)
    if ending.said is None:
        return result
    told = result_of(rules, ending.said, said_of="what the agent adds")
    if ending.goes_on or told.outcome == AttemptOutcome.SUCCEEDED:
        note = f"{result.rationale}. {ending.said.reply.answer.text}"
        if not succeeds:
            return replace(result, agent_note_summary=note)
        return replace(
            result,
            agent_name=rules.agent.name,
            agent_source=f"{rules.agent.source}; {source}",
            agent_note_summary=note,
        )
    return replace(told, agent_note_summary=f"{result.rationale}. {told.agent_note_summary}")


def _refused(code: str, rationale: str, approval: Approval | None = None) -> _Verdict:
    return _Verdict(DecisionOutcome.REJECTED, code, rationale, approval)
