"""What an approval's end leads to: an approved action is carried out, the asking run's review closed, the agent told.

It belongs to whoever finds it undone: the decision that ended the approval, the same one again, another one that comes
too late, a sibling's, or the command that time sends. Each step is idempotent, and the approval's row says when all of
them are done (``settled_at``), so that nobody looks any further.

The approvals of one reply are one set: the review is closed, and the agent told, when all of them have ended. One whose
time is over is written as expired before anybody is told so. One whose asking command was rejected is void: it ends as
expired, and nobody is told anything.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from mosaic_core.concurrency import each
from mosaic_core.domain import ids, lifecycle, signals
from mosaic_core.domain.lifecycle import ApprovalStatus, AttemptOutcome, DecisionOutcome
from mosaic_core.domain.membership import may_decide
from mosaic_core.domain.policy import approval as approvals
from mosaic_core.domain.records import Approval, Run, Signal
from mosaic_core.domain.transactions import Transaction
from mosaic_core.lanes.context import LaneContext
from mosaic_core.lanes.conversation import effects, sessions
from mosaic_core.lanes.conversation.audit import POLICY, audit
from mosaic_core.lanes.conversation.effects import Requester
from mosaic_core.lanes.conversation.exchange import Exchange
from mosaic_core.lanes.conversation.lane_setup import Rules
from mosaic_core.lanes.conversation.loop import AgentLoop, ExchangeResult
from mosaic_core.lanes.conversation.messages import LANE
from mosaic_core.lanes.conversation.proposals import APPROVAL_REQUIRED, awaits
from mosaic_core.lanes.conversation.sessions import PendingProposals
from mosaic_core.lanes.household import ledger_up_to
from mosaic_core.ports import AgentTurn

CHANGED: Final = "approval_action_changed"
EXPIRED: Final = "approval_expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """``approval`` is the row once that is done, ``said`` what the agent made of it, where this attempt told it;
    ``goes_on``: in an exchange of another run, whose the review of what it asks for is; ``changed``: the action is not
    the one that was approved, and was not done."""

    approval: Approval
    said: ExchangeResult | None = None
    goes_on: bool = False
    changed: bool = False


class Endings:
    """Those that one attempt of one command finds undone."""

    def __init__(self, rules: Rules, context: LaneContext) -> None:
        self._rules = rules
        self._context = context

    async def asking_run(self, approval: Approval) -> Run | None:
        stored = await self._context.stores.runs.read(approval.run_id)
        return stored.value if stored is not None else None

    async def is_void(self, approval: Approval) -> bool:
        """Whether the command that asked for it was rejected. A resumed exchange is anybody's to go on with."""
        return approval.turn_id is None and _is_rejected(await self.asking_run(approval))

    async def may_decide(self, subject: str, household_user_id: str) -> bool:
        """Whether who decided may, as of now. Who is not recorded may not."""
        household_id = self._context.envelope.household_id
        memberships = await self._context.stores.members.of_subject(subject) if subject else []
        return may_decide(memberships, household_id, household_user_id)

    async def expire(self, approval: Approval) -> Approval:
        """The row as it stands once nobody can decide it any more: expired, or what a person made of it in between."""
        store = self._context.stores.approvals
        while True:
            stored = await store.read(approval.household_id, approval.approval_id)
            if stored is None or stored.value.status != ApprovalStatus.PENDING:
                return stored.value if stored is not None else approval
            lifecycle.check(stored.value.status, ApprovalStatus.EXPIRED)
            expired = replace(
                stored.value,
                status=ApprovalStatus.EXPIRED,
                decided_at=self._context.now(),
                decided_by=POLICY,  # nobody decided what time did
                decision_run_id=self._context.run_id,
            )
            await store.update(expired, stored.etag)
            # whoever wrote it, the row now says what became of it

    async def finish(self, approval: Approval) -> Ending:
        """Do what is undone of an approval that has ended, and of its siblings. What this very run did before is gone
        through again, so that the same comes of it."""
        mine = approval.decision_run_id == self._context.run_id
        if approval.settled_at is not None and not mine:
            return Ending(approval=approval)
        changed = False
        if approval.status == ApprovalStatus.APPROVED:
            carried_out = await self._carry_out(approval)
            approval, changed = carried_out or approval, carried_out is None
        batch = await self._batch(approval)
        members = await self._members(approval, batch)
        if members is None:
            async with self._context.log.stage("resume", LANE) as stage:
                stage.skip("others_pending", "the agent goes on when its other proposals are decided")
            return Ending(approval=approval, changed=changed)
        for sibling in members:
            undone = sibling.status == ApprovalStatus.APPROVED and sibling.carried_out_at is None
            if undone and sibling.approval_id != approval.approval_id:
                await self._carry_out(sibling)
        await self._close_reviews(members)
        said, goes_on = None, False
        if batch is not None and batch.state and approval.batch is not None and not await self.is_void(approval):
            said, goes_on = await self._tell(approval, batch, members)
        await each(members, self._settled)
        return Ending(approval=approval, said=said, goes_on=goes_on, changed=changed)

    # ---------------------------------------------------------------------------------------------------- carrying out

    async def _carry_out(self, approval: Approval) -> Approval | None:
        """Do what was approved, or draft it for a person; the row as it then is. The action is hashed again first: None
        where it is not the one that was approved, and nothing was done."""
        context, store = self._context, self._context.stores.approvals
        async with context.log.stage("carry_out", LANE) as stage:
            while True:
                stored = await store.read(approval.household_id, approval.approval_id)
                row = stored.value if stored is not None else approval
                if row.carried_out_at is not None:
                    code = "draft_ready" if row.draft is not None else effects.code_of(row.carried_out_as)
                    stage.succeed(code, said(row))
                    return row
                action = approvals.stored_action(row)
                if stored is None or action is None:
                    rationale = "the stored action is not the one that was approved; nothing was done"
                    stage.review(CHANGED, rationale, confidence=1.0)
                    await audit(
                        context,
                        actor=row.decided_by or POLICY,
                        action=row.action_kind,
                        outcome=DecisionOutcome.REJECTED,
                        reason_code=CHANGED,
                        rationale=rationale,
                        confidence=1.0,
                        policy_version=self._rules.policy.version,
                        approval_id=row.approval_id,
                    )
                    return None
                draft = came_to = None
                if row.decided_by_subject and not await self.may_decide(row.decided_by_subject, row.decided_by or ""):
                    # decided, and who decided is gone before it was done
                    came_to = "not applied: who approved it is no member any more"
                elif approvals.is_executable(action):
                    came_to = await self._apply(row, action)
                else:
                    draft = json.dumps(approvals.draft(action, row.action_kind), ensure_ascii=False)
                done = replace(row, carried_out_at=context.now(), carried_out_as=came_to, draft=draft)
                await store.update(done, stored.etag)
                # whoever wrote it: the row is read again, and says so

    async def _apply(self, row: Approval, action: approvals.Action) -> str:
        asked_at = row.decided_at or row.created_at
        wish = Requester(set_by=row.decided_by or POLICY, asked_at=asked_at, approval_id=row.approval_id)
        named, rows = effects.rows_looked_at(action), dict[str, Transaction]()
        if named:
            rows = await self._context.stores.ledger.named(row.household_id, named)
        done = await effects.apply(self._context, row.household_id, action, wish, rows)
        return done.summary

    # --------------------------------------------------------------------------------------------------------- the set

    async def _batch(self, approval: Approval) -> PendingProposals | None:
        if approval.batch is None:
            return None
        return await sessions.get_batch(self._context.stores, approval.household_id, approval.batch)

    async def _members(self, approval: Approval, batch: PendingProposals | None) -> list[Approval] | None:
        """The approval and its siblings, all of which have ended; None where one has not, or is yet to be asked for."""
        if batch is not None:
            named = list(dict.fromkeys((*batch.waiting.values(), approval.approval_id)))
        else:
            # asked for by itself, or with others by a version that kept no list of them: the audit names them
            asked = await self._context.stores.decisions.of_run(approval.run_id)
            deferred = [d.approval_id for d in asked if d.outcome == DecisionOutcome.DEFERRED and d.approval_id]
            named = list(dict.fromkeys((*deferred, approval.approval_id)))

        async def read(approval_id: str) -> Approval | None:
            stored = await self._context.stores.approvals.read(approval.household_id, approval_id)
            return stored.value if stored is not None else None

        found = await each(named, read)
        unended = [row is None or row.status == ApprovalStatus.PENDING for row in found]
        if not any(unended):
            return [row for row in found if row is not None]
        is_void = await self.is_void(approval)
        members = []
        for row in found:
            if row is None:
                if not is_void:
                    return None
            elif row.status != ApprovalStatus.PENDING:
                members.append(row)
            elif is_void or approvals.is_over(row, self._context.now()):
                members.append(await self.expire(row))
            else:
                return None
        return members

    async def _settled(self, row: Approval) -> None:
        store = self._context.stores.approvals
        while True:
            stored = await store.read(row.household_id, row.approval_id)
            if stored is None or stored.value.settled_at is not None:
                return
            if await store.update(replace(stored.value, settled_at=self._context.now()), stored.etag) is not None:
                return

    # ------------------------------------------------------------------------------------------------------- the agent

    async def _tell(
        self, approval: Approval, batch: PendingProposals, members: Sequence[Approval]
    ) -> tuple[ExchangeResult | None, bool]:
        """What the agent made of it, and whether in an exchange that another run began."""
        assert approval.batch is not None
        context = self._context
        exchange = Exchange(
            context,
            self._rules.turnstile,
            approval.household_id,
            approval.conversation_id,
            turn_id=ids.resumed_turn_id(approval.batch),
            resumed=True,
        )
        asked: list[AgentTurn] = []
        told_before: sessions.Landed | None = None

        async def turn() -> AgentTurn:
            """Once, after all that was approved is carried out: the agent sees what that came to. What landed before is
            judged over the ledger, whichever agent is asked by now."""
            if not asked:
                whole = self._rules.agent.resumes_over_ledger or told_before is not None
                asked.append(await self._turn(approval, batch, whole=whole))
            return asked[0]

        talk = AgentLoop(
            self._rules,
            context,
            exchange,
            turn,
            executor=f"resume/{self._rules.agent.name}",
            requested_by=batch.requested_by,
            subject=batch.requested_by_subject,
        )
        async with exchange.held():
            told_before = await exchange.landed(0)
            others = told_before is not None and told_before.origin.run_id != context.run_id
            if (others and await self._is_settled(members)) or await self._told_by_earlier_version(approval, members):
                # two decisions at once: the other one's run has told the agent, and seen to what came of it
                async with context.log.stage("resume", LANE) as stage:
                    stage.skip("resumed_elsewhere", "another decision's run has told the agent already")
                return None, True
            # read again, while nobody else tells: what the agent hears is what stands
            rows = [await self._reread(row) for row in members]
            results = dict(batch.results)
            by_id = {row.approval_id: approvals.told(row) for row in rows}
            results |= {call: by_id[i] for call, i in batch.waiting.items() if i in by_id}
            said = await talk.resume(batch.state, results)
        goes_on = exchange.origin.run_id != context.run_id
        if goes_on:
            await self._review_for(exchange.origin.run_id, said)
        return said, goes_on

    async def _turn(self, approval: Approval, batch: PendingProposals, *, whole: bool) -> AgentTurn:
        as_of, transactions = self._context.envelope.created_at.date(), list[Transaction]()
        if whole:
            transactions = await ledger_up_to(self._context.stores, approval.household_id, as_of)
        return AgentTurn(
            question=batch.question,
            transactions=transactions,
            as_of=as_of,
            household_id=approval.household_id,
            conversation_id=approval.conversation_id,
            run_id=batch.run_id,
        )

    async def _told_by_earlier_version(self, approval: Approval, members: Sequence[Approval]) -> bool:
        """One that knew no ``settled_at``: the run of the last decision has told the agent unless it failed."""
        if sessions.is_of_turn(approval.batch or ""):
            return False
        last = _last(members)
        if last.decision_run_id in (None, self._context.run_id):
            return False
        stored = await self._context.stores.runs.read(last.decision_run_id or "")
        return stored is not None and stored.value.is_final and not _is_rejected(stored.value)

    async def _is_settled(self, members: Sequence[Approval]) -> bool:
        rows = [await self._reread(row) for row in members]
        return all(row.settled_at is not None for row in rows)

    async def _reread(self, row: Approval) -> Approval:
        stored = await self._context.stores.approvals.read(row.household_id, row.approval_id)
        return stored.value if stored is not None else row

    # --------------------------------------------------------------------------------------------------- the review

    async def _close_reviews(self, members: Sequence[Approval]) -> None:
        """The asking run's review signal has its answer. Where that run has not come to raise it yet (an approval can
        be decided from the moment that it is stored), it is stored resolved: the run's own insert comes too late."""
        last = _last(members)
        for run_id in dict.fromkeys(row.run_id for row in members):
            await self._close_review(run_id, members, last)

    async def _close_review(self, run_id: str, members: Sequence[Approval], last: Approval) -> None:
        store, now = self._context.stores.signals, self._context.now()
        while True:
            stored = await store.read(ids.review_signal_id(run_id))
            if stored is not None and stored.value.is_resolved:
                return
            review = stored.value if stored is not None else await self._review_to_come(run_id, members)
            if review is None:
                return
            by, note = last.decided_by or "", f"approval {last.status}"
            resolved = signals.resolve(review, by=by, note=note, now=now)
            if stored is None:
                written = await store.insert(resolved)
            else:
                written = await store.update(resolved, stored.etag)
            if written is not None:
                return

    async def _review_to_come(self, run_id: str, pending: Sequence[Approval]) -> Signal | None:
        """What the asking run is going to raise; None where there is no such run, or it was rejected."""
        stored = await self._context.stores.runs.read(run_id)
        if stored is None or _is_rejected(stored.value):
            return None
        return signals.review(replace(stored.value, failure_code=APPROVAL_REQUIRED, failure_rationale=awaits(pending)))

    async def _review_for(self, run_id: str, said: ExchangeResult) -> None:
        """The exchange is another run's, which may never come to raise the review of what it asks for. Its approvals
        name it, and so does their review."""
        pending = [s.approval for s in said.waiting if s.approval is not None]
        if not pending or all(a.status != ApprovalStatus.PENDING for a in pending):
            return
        stored = await self._context.stores.runs.read(run_id)
        if stored is not None:
            run = replace(stored.value, failure_code=APPROVAL_REQUIRED, failure_rationale=awaits(pending))
            await self._context.stores.signals.insert(signals.review(run))


def _last(members: Sequence[Approval]) -> Approval:
    return max(members, key=lambda row: (row.decided_at or row.created_at, row.approval_id))


def _is_rejected(run: Run | None) -> bool:
    return run is not None and run.is_final and run.attempt_outcome == AttemptOutcome.FAILED


def said(approval: Approval) -> str:
    """What is said of an ended approval in stages and notes."""
    match approval.status:
        case ApprovalStatus.APPROVED if approval.carried_out_as not in (None, approvals.APPLIED):
            return f"approved: {approval.action_kind}; {approval.carried_out_as}"
        case ApprovalStatus.APPROVED:
            return f"approved: {approval.action_kind}; what reaches outside is a draft for a person, nothing is sent"
        case ApprovalStatus.REJECTED:
            return f"rejected: {approval.action_kind} is not carried out"
        case _:
            return f"not decided in time: {approval.action_kind} is not carried out"
