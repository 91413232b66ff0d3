"""Approvals whose time is over: a command for each that is not settled, so that it ends without a late decision.

What is due is a list, in which each approval moves on: enqueued, it is looked at again later, and leaves the list once
it is settled. Each command's id derives from the approval and how often it was looked at, so two ticks at once, or one
that died, do no harm. One that cannot be enqueued is put off and told of, and stops nobody else's.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final, Protocol

from mosaic_core.concurrency import each
from mosaic_core.domain import ids
from mosaic_core.domain.errors import TransientError
from mosaic_core.domain.lifecycle import Severity
from mosaic_core.domain.records import Signal
from mosaic_core.ports import ApprovalStore, Clock, DueApproval, SignalStore

log = logging.getLogger(__name__)

LIMIT: Final = 400
"""Approvals that one tick looks at."""

FIRST_LOOK_AGAIN: Final = timedelta(hours=1)
"""Doubled each time: a command that was rejected has a successor, as long as there is hope."""

GENERATIONS: Final = 8
"""After these, ten days on, it is left to the failure signals of its commands."""

PUT_OFF: Final = timedelta(minutes=30)
OLDER_HOUSEHOLDS: Final = 20
"""Households of an earlier version whose approvals one tick lists."""

NOT_ENQUEUED: Final = "approval_due_not_enqueued"


class DueEnqueuer(Protocol):
    async def enqueue_approval_due(
        self, household_id: str, conversation_id: str, approval_id: str, generation: int
    ) -> object: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DueReport:
    """How many commands a tick enqueued, how many approvals had ended by themselves, and how many failed."""

    enqueued: int = 0
    ended: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalsDue:
    """``queue`` is the conversation lane's real name."""

    approvals: ApprovalStore
    signals: SignalStore
    enqueuer: DueEnqueuer
    clock: Clock
    queue: str
    limit: int = LIMIT

    async def tick(self) -> DueReport:
        """Raises `StoreUnreachableError` where the list itself cannot be read."""
        found = await self.approvals.due(self.clock.now(), self.limit)
        outcomes = await each(found, self._look)
        await self.approvals.list_older(OLDER_HOUSEHOLDS)
        return DueReport(
            enqueued=outcomes.count("enqueued"), ended=outcomes.count("ended"), failed=outcomes.count("failed")
        )

    async def _look(self, due: DueApproval) -> str:
        try:
            return await self._end(due)
        except TransientError as error:
            # it stays where it is: the next tick looks again
            log.warning("an approval that is due could not be enqueued", extra=_fields(due) | {"code": error.code})
        except Exception:
            log.exception("an approval that is due could not be enqueued", extra=_fields(due))
            await self._tell(due)
        return "failed"

    async def _end(self, due: DueApproval) -> str:
        stored = await self.approvals.read(due.household_id, due.approval_id)
        if stored is None or stored.value.settled_at is not None:
            await self.approvals.forget(due)
            return "ended"
        if due.generation >= GENERATIONS:
            log.error("an approval could not be ended; see its commands", extra=_fields(due))
            await self.approvals.forget(due)
            return "failed"
        approval = stored.value
        await self.enqueuer.enqueue_approval_due(
            approval.household_id, approval.conversation_id, approval.approval_id, due.generation
        )
        wait = FIRST_LOOK_AGAIN * 2**due.generation
        later = replace(due, due_at=self.clock.now() + wait, generation=due.generation + 1)
        await self.approvals.postpone(due, later)
        return "enqueued"

    async def _tell(self, due: DueApproval) -> None:
        """A signal for a person, and out of the others' way for a while."""
        now = self.clock.now()
        signal = Signal(
            signal_id=ids.approval_due_signal_id(due.approval_id),
            queue=self.queue,
            signal_code=NOT_ENQUEUED,
            severity=Severity.ERROR,
            summary=f"approval {due.approval_id} is over and cannot be ended",
            requires_human_review=True,
            raised_at=now,
            household_id=due.household_id,
        )
        try:
            await self.signals.insert(signal)
            await self.approvals.postpone(due, replace(due, due_at=now + PUT_OFF))
        except TransientError:
            log.warning("what could not be enqueued could not be told of either", extra=_fields(due))


def _fields(due: DueApproval) -> dict[str, str | int]:
    return {"householdId": due.household_id, "approvalId": due.approval_id, "generation": due.generation}
