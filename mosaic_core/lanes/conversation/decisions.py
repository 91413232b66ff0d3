"""A person's decision on an approval: judged, recorded once, carried out, and told to the agent that waits.

Each step finds what an earlier attempt, or nobody, left: the approval's status is the single use (If-Match), what is
carried out is keyed by the approval, and the agent goes on from its stored session.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Final

from mosaic_core.domain import approval as approvals
from mosaic_core.domain import ids, lifecycle, signals
from mosaic_core.domain.envelope import AgentApprovalSubmitted
from mosaic_core.domain.lifecycle import ApprovalStatus, AttemptOutcome, DecisionOutcome
from mosaic_core.domain.records import Approval, Signal
from mosaic_core.lanes.context import LaneContext, LaneResult, needs_review, succeeded
from mosaic_core.lanes.conversation import effects, sessions
from mosaic_core.lanes.conversation.audit import POLICY, audit
from mosaic_core.lanes.conversation.effects import Wish
from mosaic_core.lanes.conversation.exchange import Exchange, TakenError
from mosaic_core.lanes.conversation.messages import LANE, result_of
from mosaic_core.lanes.conversation.proposals import APPROVAL_REQUIRED, awaits
from mosaic_core.lanes.conversation.rules import Rules
from mosaic_core.lanes.conversation.sessions import Batch
from mosaic_core.lanes.conversation.talk import Said, Talk
from mosaic_core.lanes.household import ledger_up_to
from mosaic_core.ports import AgentTurn, Stored

CHANGED: Final = "approval_action_changed"


@dataclass(frozen=True, slots=True)
class _Verdict:
    """``mine``: this run's decision stands, and what it leads to is this run's to do."""

    outcome: DecisionOutcome
    code: str
    rationale: str
    approval: Approval | None = None
    mine: bool = False


class Decisions:
    """One attempt at one decision."""

    def __init__(self, rules: Rules, context: LaneContext, decision: AgentApprovalSubmitted) -> None:
        self._rules = rules
        self._context = context
        self._decision = decision
        self._policy = f"policy/{rules.policy.version}"

    async def execute(self) -> LaneResult:
        async with self._context.log.stage("decide", self._policy) as stage:
            verdict = await self._decide()
            await self._audit(verdict)
            harmless = verdict.outcome == DecisionOutcome.APPLIED or verdict.code == "approval_repeated"
            if harmless:
                stage.succeed(verdict.code, verdict.rationale)
            else:
                stage.review(verdict.code, verdict.rationale, confidence=1.0)
        approval = verdict.approval
        if not harmless or approval is None:
            return needs_review(verdict.code, verdict.rationale, agent_name=self._policy, note=verdict.rationale)
        said: Said | None = None
        if verdict.mine:
            if approval.status == ApprovalStatus.APPROVED:
                changed = await self._carry_out(approval)
                if changed is not None:
                    return changed
            batch = await self._batch(approval)
            decided = await self._all_decided(approval, batch)
            if decided is not None:
                await self._close_review(approval)
            said = await self._resume(approval, batch, decided)
        return self._result(verdict, approval, said)

    def _result(self, verdict: _Verdict, approval: Approval, said: Said | None) -> LaneResult:
        """The decision's own outcome, unless the agent that was told asks for something new."""
        source = f"run {approval.run_id}"
        if said is None:
            return succeeded(
                verdict.code, verdict.rationale, agent_name=self._policy, agent_source=source, note=verdict.rationale
            )
        result = result_of(self._rules, said, said_of="what the agent adds")
        note = f"{verdict.rationale}. {said.reply.answer.text}"
        if result.outcome == AttemptOutcome.SUCCEEDED:
            return succeeded(
                verdict.code,
                verdict.rationale,
                agent_name=self._rules.agent.name,
                agent_source=f"{self._rules.agent.source}; {source}",
                note=note,
            )
        return replace(result, agent_note_summary=f"{verdict.rationale}. {result.agent_note_summary}")

    # --------------------------------------------------------------------------------------------------- the decision

    async def _decide(self) -> _Verdict:
        """The decision on the approval's row, If-Match: the first one stands, the same again is harmless, the opposite
        is refused."""
        decision, context = self._decision, self._context
        wanted = ApprovalStatus.APPROVED if decision.decision == "Approve" else ApprovalStatus.REJECTED
        while True:
            stored = await context.stores.approvals.read(decision.household_id, decision.approval_id)
            if stored is None:
                return _refused("approval_not_found", "there is no such approval here")
            approval = stored.value
            if approval.conversation_id != decision.conversation_id:
                return _refused("approval_other_conversation", "the approval belongs to another conversation")
            if approval.status != ApprovalStatus.PENDING:
                return await self._decided_before(approval, wanted)
            if context.envelope.created_at >= approval.expires_at:
                wanted_now = ApprovalStatus.EXPIRED
            elif wanted == ApprovalStatus.APPROVED and approvals.stored_action(approval) is None:
                return _refused(CHANGED, "the stored action is not the one that was asked for; ask again", approval)
            elif (
                wanted == ApprovalStatus.APPROVED
                and self._rules.require_other_person
                and decision.household_user_id == approval.requested_by
            ):
                return _refused("approval_same_person", "another person than who asked has to approve this", approval)
            else:
                wanted_now = wanted
            await context.stores.approvals.update(self._decided(stored, wanted_now), stored.etag)
            # whoever wrote it, the row now says what became of it

    async def _decided_before(self, approval: Approval, wanted: ApprovalStatus) -> _Verdict:
        if approval.status == ApprovalStatus.EXPIRED:
            return _refused("approval_expired", "the approval had expired", approval)
        if approval.status != wanted:
            rationale = f"the approval is already {approval.status}; the first decision stands"
            return _refused("approval_contradicted", rationale, approval)
        mine = approval.decision_run_id == self._context.run_id
        if mine or await self._left_undone(approval):
            return _Verdict(DecisionOutcome.APPLIED, f"approval_{wanted}", _said(approval), approval, mine=True)
        rationale = f"already decided so in run {approval.decision_run_id}; nothing is done twice"
        return _Verdict(DecisionOutcome.REJECTED, "approval_repeated", rationale, approval)

    async def _left_undone(self, approval: Approval) -> bool:
        """The run that approved has failed for good before it carried the action out: this one takes it over."""
        if approval.status != ApprovalStatus.APPROVED or approval.carried_out_at or not approval.decision_run_id:
            return False
        run = await self._context.stores.runs.read(approval.decision_run_id)
        return run is not None and run.value.is_final and run.value.attempt_outcome == AttemptOutcome.FAILED

    def _decided(self, stored: Stored[Approval], status: ApprovalStatus) -> Approval:
        lifecycle.check(stored.value.status, status)
        # nobody decided what time did
        late = status == ApprovalStatus.EXPIRED
        return replace(
            stored.value,
            status=status,
            decided_at=self._context.now(),
            decided_by=POLICY if late else self._decision.household_user_id,
            decision_run_id=self._context.run_id,
            decision_rationale=None if late else self._decision.rationale,
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

    # -------------------------------------------------------------------------------------------------- carrying out

    async def _carry_out(self, approval: Approval) -> LaneResult | None:
        """Do what was approved, or draft it for a person; None once it is done. The action is hashed again first."""
        context = self._context
        async with context.log.stage("carry_out", LANE) as stage:
            while True:
                stored = await context.stores.approvals.read(approval.household_id, approval.approval_id)
                row = stored.value if stored is not None else approval
                if row.carried_out_at is not None:
                    stage.succeed("draft_ready" if row.draft else "action_applied", _said(row))
                    return None
                action = approvals.stored_action(row)
                if stored is None or action is None:
                    rationale = "the stored action is not the one that was approved; nothing was done"
                    stage.review(CHANGED, rationale, confidence=1.0)
                    await self._audit(_refused(CHANGED, rationale, approval))
                    return needs_review(CHANGED, rationale, agent_name=self._policy, note=rationale)
                draft = None
                if approvals.is_executable(action):
                    wish = Wish(set_by=row.decided_by or POLICY, asked_at=row.created_at, approval_id=row.approval_id)
                    as_of = context.envelope.created_at.date()
                    ledger = {t.transaction_id: t for t in await ledger_up_to(context.stores, row.household_id, as_of)}
                    await effects.apply(context, row.household_id, action, wish, ledger)
                else:
                    draft = json.dumps(approvals.draft(action, row.action_kind), ensure_ascii=False)
                done = replace(row, carried_out_at=context.now(), draft=draft)
                await context.stores.approvals.update(done, stored.etag)
                # whoever wrote it: the row is read again, and says so

    # ------------------------------------------------------------------------------------------------------ resuming

    async def _batch(self, approval: Approval) -> Batch | None:
        if approval.batch is None:
            return None
        return await sessions.get_batch(self._context.stores, approval.household_id, approval.batch)

    async def _all_decided(self, approval: Approval, batch: Batch | None) -> dict[str, str] | None:
        """What the agent is to be told, by call id, once everything that it waits for is decided or past its time;
        None before."""
        if batch is None:
            return {}
        results = dict(batch.results)
        for call_id, approval_id in batch.waiting.items():
            stored = await self._context.stores.approvals.read(approval.household_id, approval_id)
            row = stored.value if stored is not None else None
            if row is None or (row.status == ApprovalStatus.PENDING and row.expires_at > self._context.now()):
                return None
            results[call_id] = approvals.told(row)
        return results

    async def _resume(self, approval: Approval, batch: Batch | None, results: dict[str, str] | None) -> Said | None:
        if batch is None or approval.batch is None:
            return None
        context = self._context
        if results is None:
            async with context.log.stage("resume", LANE) as stage:
                stage.skip("others_pending", "the agent goes on when its other proposals are decided")
            return None
        as_of = context.envelope.created_at.date()
        turn = AgentTurn(
            question=batch.question,
            transactions=await ledger_up_to(context.stores, approval.household_id, as_of),
            as_of=as_of,
            household_id=approval.household_id,
            conversation_id=approval.conversation_id,
            run_id=batch.run_id,
        )
        exchange = Exchange(
            context,
            approval.household_id,
            approval.conversation_id,
            turn_id=ids.derive("resume", approval.batch),
            question="",
        )
        talk = Talk(
            self._rules,
            context,
            exchange,
            turn,
            executor=f"resume/{self._rules.agent.name}",
            requested_by=batch.requested_by,
        )
        try:
            return await talk.resume(batch.state, results)
        except TakenError as taken:
            # two decisions at once: the other one's run was first to tell the agent
            context.log.drafts[-1].skip(taken.code, taken.rationale)
            return None

    # ------------------------------------------------------------------------------------------------- the review

    async def _close_review(self, approval: Approval) -> None:
        """The asking run's review signal has its answer. Where that run has not come to raise it yet (an approval can
        be decided from the moment that it is stored), it is stored resolved: the run's own insert comes too late."""
        store, now = self._context.stores.signals, self._context.now()
        while True:
            stored = await store.read(ids.review_signal_id(approval.run_id))
            if stored is not None and stored.value.is_resolved:
                return
            review = stored.value if stored is not None else await self._review_to_come(approval)
            if review is None:
                return
            by, note = approval.decided_by or "", f"approval {approval.status}"
            resolved = signals.resolve(review, by=by, note=note, now=now)
            if stored is None:
                written = await store.insert(resolved)
            else:
                written = await store.update(resolved, stored.etag)
            if written is not None:
                return

    async def _review_to_come(self, approval: Approval) -> Signal | None:
        """What the asking run is going to raise; None where there is no such run."""
        run = await self._context.stores.runs.read(approval.run_id)
        if run is None:
            return None
        return signals.review(replace(run.value, failure_code=APPROVAL_REQUIRED, failure_rationale=awaits([approval])))


def _refused(code: str, rationale: str, approval: Approval | None = None) -> _Verdict:
    return _Verdict(DecisionOutcome.REJECTED, code, rationale, approval)


def _said(approval: Approval) -> str:
    if approval.status == ApprovalStatus.APPROVED:
        return f"approved: {approval.action_kind}; what reaches outside is a draft for a person, nothing is sent"
    return f"rejected: {approval.action_kind} is not carried out"
