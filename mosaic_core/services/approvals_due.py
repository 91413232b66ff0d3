"""Approvals whose time is over: a command for each that is not settled, so that it ends without a late decision.

Before, a quarter of its life before its end, whoever has to decide it is told that its time is soon over
(`approval_expiring`): by the same list, which then has it until it is due.

What is due is a list, in which each approval moves on: enqueued, it is looked at again later, and leaves the list once
it is settled. Each command's id derives from the approval and how often it was looked at, so two ticks at once, or one
that died, do no harm. One that cannot be enqueued is put off and told of, and stops nobody else's.

Where none of its commands could end it (its agent's session cannot be read any more, its conversation's commands are
all rejected) the timer itself does in the end what needs no agent: nobody can decide it any more, its review waits for
nobody, and what was approved and never done is told to a person.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final, Protocol

from mosaic_core import notices
from mosaic_core.concurrency import each
from mosaic_core.domain import ids, lifecycle, signals
from mosaic_core.domain.errors import TransientError
from mosaic_core.domain.lifecycle import ApprovalStatus, DecisionOutcome, Severity
from mosaic_core.domain.policy import POLICY_VERSION
from mosaic_core.domain.policy.approval import due_at
from mosaic_core.domain.records import Approval, Signal
from mosaic_core.ports import (
    EXPIRING,
    ApprovalStore,
    Clock,
    ConfirmingPublisher,
    DecisionStore,
    DueApproval,
    RuntimeEvent,
    SignalStore,
    Stored,
)

log = logging.getLogger(__name__)

LIMIT: Final = 400
"""Approvals that one tick looks at."""

FIRST_LOOK_AGAIN: Final = timedelta(hours=1)
"""Doubled each time: a command that was rejected has a successor, as long as there is hope."""

GENERATIONS: Final = 8
"""After these, ten days on, it is ended without a command."""

CONFIRM_SECONDS: Final = 5.0
"""How long a tick waits for the hub to take that an approval is soon over. Once it did not, the tick waits
no more."""

TELL_AGAIN: Final = timedelta(minutes=10)
"""Until its time is over, what did not get through is told again so often: the same event, at most once in a tick."""

PUT_OFF: Final = timedelta(minutes=30)
OLDER_HOUSEHOLDS: Final = 20
"""Households of an earlier version whose approvals one tick lists."""

NOT_ENQUEUED: Final = "approval_due_not_enqueued"
NOT_CARRIED_OUT: Final = "approval_not_carried_out"


class DueEnqueuer(Protocol):
    async def enqueue_approval_due(
        self, household_id: str, conversation_id: str, approval_id: str, generation: int
    ) -> object: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DueReport:
    """How many commands a tick enqueued, of how many approvals it told that they are soon over and how many times the
    hub did not take that, how many approvals had ended by themselves, and how many failed."""

    enqueued: int = 0
    told: int = 0
    untold: int = 0
    ended: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalsDue:
    """``queue`` is the conversation lane's real name."""

    approvals: ApprovalStore
    signals: SignalStore
    decisions: DecisionStore
    enqueuer: DueEnqueuer
    publisher: ConfirmingPublisher
    clock: Clock
    queue: str
    limit: int = LIMIT

    async def tick(self) -> DueReport:
        """Raises `StoreUnreachableError` where the list itself cannot be read."""
        found = await self.approvals.due(self.clock.now(), self.limit)
        hub = _Hub(self.publisher)
        outcomes = await each(found, lambda due: self._look(due, hub))
        await self.approvals.list_older(OLDER_HOUSEHOLDS)
        return DueReport(
            enqueued=outcomes.count("enqueued"),
            told=outcomes.count("told"),
            untold=outcomes.count("untold"),
            ended=outcomes.count("ended"),
            failed=outcomes.count("failed"),
        )

    async def _look(self, due: DueApproval, hub: _Hub) -> str:
        try:
            return await self._end(due, hub)
        except TransientError as error:
            # it stays where it is: the next tick looks again
            log.warning("an approval that is due could not be enqueued", extra=_fields(due) | {"code": error.code})
        except Exception:
            log.exception("an approval that is due could not be enqueued", extra=_fields(due))
            await self._tell(due)
        return "failed"

    async def _end(self, due: DueApproval, hub: _Hub) -> str:
        stored = await self.approvals.read(due.household_id, due.approval_id)
        if stored is None or stored.value.settled_at is not None:
            await self.approvals.forget(due)
            return "ended"
        if due.generation == EXPIRING and self.clock.now() < due_at(stored.value):
            return await self._tell_expiring(due, stored.value, hub)
        if due.generation >= GENERATIONS:
            log.error("no command could end an approval; it is ended without", extra=_fields(due))
            await self._end_without_command(due, stored)
            return "failed"
        approval = stored.value
        generation = max(due.generation, 0)
        await self.enqueuer.enqueue_approval_due(
            approval.household_id, approval.conversation_id, approval.approval_id, generation
        )
        wait = FIRST_LOOK_AGAIN * 2**generation
        later = replace(due, due_at=self.clock.now() + wait, generation=generation + 1)
        await self.approvals.postpone(due, later)
        return "enqueued"

    async def _tell_expiring(self, due: DueApproval, approval: Approval, hub: _Hub) -> str:
        """Told, or nothing to tell any more: listed for its end. Otherwise it is told again, as long as there is
        time."""
        now = self.clock.now()
        ends = replace(due, due_at=due_at(approval), generation=0)
        if approval.status != ApprovalStatus.PENDING or now >= approval.expires_at:
            outcome, later = "listed", ends
        elif await hub.takes(notices.approval_expiring(approval)):
            outcome, later = "told", ends
        else:
            log.warning("the hub did not take that an approval is soon over", extra=_fields(due))
            outcome, later = "untold", replace(due, due_at=min(now + TELL_AGAIN, ends.due_at))
        await self.approvals.postpone(due, later)
        return outcome

    # ------------------------------------------------------------------------------------------- without a command

    async def _end_without_command(self, due: DueApproval, stored: Stored[Approval] | None) -> None:
        """Expired where nobody has decided; its review closed once its siblings have ended, too; settled, unless it was
        approved and never done: that is a person's to see to, and stays so."""
        now = self.clock.now()
        while stored is not None and stored.value.status == ApprovalStatus.PENDING:
            lifecycle.check(stored.value.status, ApprovalStatus.EXPIRED)
            expired = replace(
                stored.value, status=ApprovalStatus.EXPIRED, decided_at=now, decided_by=f"policy/{POLICY_VERSION}"
            )
            await self.approvals.update(expired, stored.etag)
            # whoever wrote it, the row now says what became of it
            stored = await self.approvals.read(due.household_id, due.approval_id)
        if stored is None:
            await self.approvals.forget(due)
            return
        approval = stored.value
        if await self._siblings_have_ended(approval):
            await self._close_review(approval)
        if approval.status == ApprovalStatus.APPROVED and approval.carried_out_at is None:
            summary = f"approval {approval.approval_id} was given and could not be carried out"
            await self.signals.insert(self._signal(due, NOT_CARRIED_OUT, summary))
        elif await self.approvals.update(replace(approval, settled_at=now), stored.etag) is None:
            return  # somebody is at it: the next tick looks again
        await self.approvals.forget(due)

    async def _siblings_have_ended(self, approval: Approval) -> bool:
        """As far as the audit names them: all that the asking run has left to a person."""
        asked = await self.decisions.of_run(approval.run_id)
        named = {d.approval_id for d in asked if d.outcome == DecisionOutcome.DEFERRED and d.approval_id}
        found = [await self.approvals.read(approval.household_id, one) for one in named - {approval.approval_id}]
        return all(row is None or row.value.status != ApprovalStatus.PENDING for row in found)

    async def _close_review(self, approval: Approval) -> None:
        there = await self.signals.read(ids.review_signal_id(approval.run_id))
        if there is not None and not there.value.is_resolved:
            note = f"approval {approval.status}; its agent could not be told"
            resolved = signals.resolve(there.value, by=approval.decided_by or "", note=note, now=self.clock.now())
            await self.signals.update(resolved, there.etag)  # a lost race is another's resolution

    # ------------------------------------------------------------------------------------------------------- signals

    def _signal(self, due: DueApproval, code: str, summary: str) -> Signal:
        not_enqueued = code == NOT_ENQUEUED
        derive = ids.approval_due_signal_id if not_enqueued else ids.approval_undone_signal_id
        return Signal(
            signal_id=derive(due.approval_id),
            queue=self.queue,
            signal_code=code,
            severity=Severity.ERROR,
            summary=summary,
            requires_human_review=True,
            raised_at=self.clock.now(),
            household_id=due.household_id,
        )

    async def _tell(self, due: DueApproval) -> None:
        """A signal for a person, and out of the others' way for a while."""
        now = self.clock.now()
        try:
            summary = f"approval {due.approval_id} is over and cannot be ended"
            await self.signals.insert(self._signal(due, NOT_ENQUEUED, summary))
            await self.approvals.postpone(due, replace(due, due_at=now + PUT_OFF))
        except TransientError:
            log.warning("what could not be enqueued could not be told of either", extra=_fields(due))


class _Hub:
    """The hub in one tick: asked in vain once, it is not waited for again."""

    def __init__(self, publisher: ConfirmingPublisher) -> None:
        self._publisher = publisher
        self._is_away = False

    async def takes(self, event: RuntimeEvent) -> bool:
        """Whether the hub is known to have the event, which is handed over in any case."""
        if self._is_away:
            self._publisher.publish(event)
            return False
        taken = await self._publisher.confirm(event, CONFIRM_SECONDS)
        self._is_away = self._is_away or not taken
        return taken


def _fields(due: DueApproval) -> dict[str, str | int]:
    return {"householdId": due.household_id, "approvalId": due.approval_id, "generation": due.generation}
