"""An operator ends one command that waits or runs: final, with its reason, and never an effect half done.

One that nobody is at work on is ended as the reconciler would end it: its key is taken over, its run rejected. One that
is at work is only asked, by a mark in its key: its owner sees it at its next write of the key, stops the lane where no
effect is written yet, and lets it go on to its end where one is. What arrives of it later finds its key at its end.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from mosaic_core.computing import INLINE_BYTES, compute_over
from mosaic_core.domain import ids, lifecycle, reservation, signals
from mosaic_core.domain.envelope import Envelope, decode
from mosaic_core.domain.errors import Detail, PoisonError, RequestError, StoredRowError, StoreUnreachableError
from mosaic_core.domain.lanes import Lane
from mosaic_core.domain.lifecycle import ApprovalStatus, DecisionOutcome, KeyStatus
from mosaic_core.domain.records import Command, Decision, Run
from mosaic_core.domain.reservation import CANCELLED
from mosaic_core.domain.settlement import DeadLetter
from mosaic_core.ports import StoredKey
from mosaic_core.services.operators.auditing import record
from mosaic_core.services.operators.operator_views import CancelledCommand
from mosaic_core.services.reconciliation import end_command
from mosaic_core.services.worker import Worker

log = logging.getLogger(__name__)

PATIENCE: Final = timedelta(seconds=15)
"""How long a request waits for the owner of a command to see the mark: longer than between two renewals."""

_LOOK_SECONDS: Final = 0.5
_ROUNDS: Final = 8
_TRIES: Final = 5
_REQUESTED: Final = "command_cancel_requested"
_DONE: Final = "command_cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancelling(Worker):
    """``queues`` are the lanes' real names."""

    queues: Mapping[Lane, str]
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep

    async def cancel(self, command_id: str, *, by: str, reason: str) -> CancelledCommand:
        """The command has ended as cancelled when this returns, but for ``requested``: its owner has not come to see
        the mark yet, and the same request again tells.

        Raises `RequestError`: ``not_found``; ``command_already_ended`` with what it came to,
        ``command_already_cancelled`` where somebody has cancelled it with another word, which stands, and
        ``stored_row_invalid`` where its rows are none that this can end.
        """
        by, reason = by[:120], reason[:500]
        command = await self.stores.commands.read(command_id)
        if command is None:
            raise RequestError("not_found", "nothing is recorded under this id")
        lane = next((lane for lane, name in self.queues.items() if name == command.queue), None)
        envelope = await _envelope(command, lane)
        run_id = ids.run_id(command.queue, command_id)
        until, is_mine = self.clock.now() + PATIENCE, False
        rounds = 0
        while True:
            key, run = await self._state(command, run_id)
            if key is not None and key.value.status != KeyStatus.RESERVED:
                return await self._ended(command, run, by, reason, is_mine=is_mine)
            if key is None and run is not None and run.is_final:
                return await self._ended(command, run, by, reason, is_mine=is_mine)
            if key is not None and key.value.request_hash != command.request_hash:
                raise _unusable("the key stands for another request")
            await self._ask(command, run_id, by, reason)
            first = (key.value.cancel_reason if key is not None else None) or reason
            if rounds >= _ROUNDS:
                raise StoreUnreachableError("the command is written to without end; repeat the request")
            if key is None or _is_free(key):
                rounds += 1
                assert lane is not None
                is_mine |= await self._end(lane, command, envelope, key, first)
                continue
            if key.value.cancel_reason is None:
                marked = replace(key.value, cancel_reason=reason)
                if await self.stores.keys.update(marked, key.etag) is None:
                    rounds += 1  # renewed, taken over or ended meanwhile: nobody is told of a mark that is not there
                    continue
                is_mine = True
            if self.clock.now() >= until:
                return CancelledCommand(
                    outcome="requested", command_id=command_id, run_id=run_id, cancelled_by=by, reason=first
                )
            await self.sleep(_LOOK_SECONDS)

    async def _state(self, command: Command, run_id: str) -> tuple[StoredKey | None, Run | None]:
        try:
            key = await self.stores.keys.read(command.queue, command.command_id)
            run = await self.stores.runs.read(run_id)
        except StoredRowError as error:
            raise _unusable(error.rationale) from error
        return key, run.value if run is not None else None

    async def _ask(self, command: Command, run_id: str, by: str, reason: str) -> None:
        """Who wants it and why, before anything is done: a crash must not leave a cancelled command without a name."""
        asked = await self.stores.decisions.of_run(run_id)
        if any((d.action, d.actor, d.rationale) == (_REQUESTED, by, reason) for d in asked):
            return
        await record(
            self.stores.decisions,
            about=run_id,
            household_id=command.household_id,
            by=by,
            action=_REQUESTED,
            reason=reason,
            at=self.clock.now(),
            outcome=DecisionOutcome.DEFERRED,
        )

    async def _end(self, lane: Lane, command: Command, envelope: Envelope, key: StoredKey | None, reason: str) -> bool:
        """Whether this made an end of it. Otherwise somebody else owns it now, or has ended it."""
        settled = await end_command(
            self,
            lane,
            command.queue,
            command,
            envelope,
            key,
            message_id=command.command_id,
            sequence_number=key.value.sequence_number if key is not None else 0,
            code=CANCELLED,
            rationale=reason,
        )
        return isinstance(settled, DeadLetter)

    # ----------------------------------------------------------------------------------------------------- it has ended

    async def _ended(
        self, command: Command, run: Run | None, by: str, reason: str, *, is_mine: bool
    ) -> CancelledCommand:
        if run is None or not run.is_final or run.failure_code != CANCELLED:
            raise _ended_otherwise(run)
        word = run.failure_rationale or ""
        first = await self._first(command, run, word, by)
        approvals = await self._close_approvals(command, run, first)
        resolved = await self._close_signals(run, first, word)
        if (first, word) != (by, reason):
            raise RequestError("command_already_cancelled", "the command was cancelled before, and that word stands")
        return CancelledCommand(
            outcome="cancelled" if is_mine else "already_cancelled",
            command_id=command.command_id,
            run_id=run.run_id,
            cancelled_by=first,
            reason=word,
            closed_approvals=approvals,
            resolved_signals=resolved,
        )

    async def _first(self, command: Command, run: Run, word: str, by: str) -> str:
        """Whose word ended it: of those that asked with it the first, and one row says so."""
        asked = await self.stores.decisions.of_run(run.run_id)
        done = [d.actor for d in asked if d.action == _DONE]
        if done:
            return done[0]
        first = next(
            (d.actor for d in sorted(asked, key=_asked_at) if (d.action, d.rationale) == (_REQUESTED, word)), by
        )
        at = run.completed_at or run.last_modified_at
        await record(
            self.stores.decisions,
            about=run.run_id,
            household_id=command.household_id,
            by=first,
            action=_DONE,
            reason=word,
            at=at,
        )
        return first

    async def _close_approvals(self, command: Command, run: Run, by: str) -> list[str]:
        """What the command asked for is void. One that a resumed exchange asked for is not this command's alone."""
        closed: list[str] = []
        if not command.household_id:
            return closed
        store = self.stores.approvals
        for approval in await store.of_household(command.household_id, ApprovalStatus.PENDING):
            if approval.run_id != run.run_id or approval.turn_id is not None:
                continue
            for _ in range(_TRIES):
                stored = await store.read(approval.household_id, approval.approval_id)
                if stored is None or stored.value.status != ApprovalStatus.PENDING:
                    break
                lifecycle.check(stored.value.status, ApprovalStatus.EXPIRED)
                now = self.clock.now()
                void = replace(
                    stored.value,
                    status=ApprovalStatus.EXPIRED,
                    decided_at=now,
                    decided_by=f"operator/{by}"[:120],
                    decision_rationale="the command that asked for it was cancelled",
                    settled_at=now,
                )
                if await store.update(void, stored.etag) is not None:
                    closed.append(approval.approval_id)
                    break
        return closed

    async def _close_signals(self, run: Run, by: str, word: str) -> list[str]:
        resolved: list[str] = []
        derived = (ids.failure_signal_id, ids.review_signal_id, ids.stalled_signal_id)
        for signal_id in (derive(run.run_id) for derive in derived):
            for _ in range(_TRIES):
                stored = await self.stores.signals.read(signal_id)
                if stored is None or stored.value.is_resolved:
                    break
                note = f"cancelled by an operator: {word}"
                done = signals.resolve(stored.value, by=by, note=note, now=self.clock.now())
                if await self.stores.signals.update(done, stored.etag) is not None:
                    resolved.append(signal_id)
                    break
        return resolved


async def _envelope(command: Command, lane: Lane | None) -> Envelope:
    if lane is None:
        raise _unusable("no lane of these settings has its queue")
    try:
        return await compute_over(len(command.envelope), INLINE_BYTES, decode, command.envelope.encode(), lane)
    except PoisonError as error:
        raise _unusable("its envelope cannot be read") from error


def _is_free(key: StoredKey) -> bool:
    """A lease of more than a day is none that an owner takes."""
    return key.lease_left <= 0 or key.lease_left > reservation.LONGEST_WAIT.total_seconds()


def _asked_at(decision: Decision) -> tuple[str, str]:
    return decision.decided_at.isoformat(), decision.decision_id


def _unusable(why: str) -> RequestError:
    return RequestError("stored_row_invalid", f"the command cannot be ended: {why}")


def _ended_otherwise(run: Run | None) -> RequestError:
    if run is None:
        return RequestError("command_already_ended", "the command has ended, and its run is gone")
    details = [Detail("status", str(run.status)), Detail("attempt", str(run.attempt))]
    if run.failure_code:
        details.append(Detail("failureCode", run.failure_code))
    return RequestError("command_already_ended", "the command had ended, or came to its end first", details)
