"""What a household may read of its own: a conversation's stream, a run, approvals. Nothing here scans.

Another household's ids answer exactly as ids that do not exist.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from mosaic_core.concurrency import each, together
from mosaic_core.domain import ids
from mosaic_core.domain.assignment import assignee
from mosaic_core.domain.errors import RequestError
from mosaic_core.domain.lifecycle import ApprovalStatus
from mosaic_core.domain.policy import approval as approvals_of
from mosaic_core.domain.records import Approval, Decision, Run, Signal, Stage
from mosaic_core.ports import Clock, ETag, ListedCommand, Stores
from mosaic_core.services.approval_pages import AT_ONCE, LARGEST_PAGE, page_of, status_of, take
from mosaic_core.services.views import (
    ActionView,
    ApprovalList,
    ApprovalView,
    ConversationStream,
    DecisionView,
    DraftView,
    Provenance,
    RunDetail,
    RunView,
    SignalView,
    StageView,
)
from mosaic_core.services.waiting import Look, Seen, Waited, Waiting, Written

STREAM_RUNS: Final = 50
STREAM_LOOKED_AT: Final = 200
"""With ``sinceUtc``, how many of a conversation's newest commands are looked at for those modified since."""

LISTED_ROWS: Final = 50

WATCHED_RUNS: Final = 16
"""Of a conversation's runs that have not ended, how many one look of a waiting call reads: the oldest, as a
conversation's commands run one at a time."""


@dataclass(frozen=True, slots=True)
class _Listed:
    """A conversation's commands as they were looked at: the first ``ahead`` of them, the runs newest first, the ETags
    of those that have not ended, oldest last (None: a worker has not begun it), and the place to go on after."""

    head: Sequence[ListedCommand]
    ahead: int
    runs: Sequence[Run]
    open_runs: Sequence[tuple[str, ETag | None]]
    following: str | None


@dataclass(frozen=True, slots=True)
class ReadModels:
    """Raises `StoreUnreachableError` where the tables do not answer. ``require_other_person`` as in the worker."""

    stores: Stores
    clock: Clock
    require_other_person: bool = False
    waiting: Waiting = field(default_factory=Waiting)

    async def stream(
        self,
        household_id: str,
        conversation_id: str,
        since: datetime | None,
        *,
        limit: int = STREAM_RUNS,
        after: str = "",
    ) -> ConversationStream:
        """At most ``limit`` of the newest runs of the conversation that were modified at or after ``since``, of the
        next `STREAM_LOOKED_AT` commands that are listed after the place ``after``.

        Raises `RequestError` ``not_found`` where this household has no such conversation.
        """
        return (await self._see_stream(household_id, conversation_id, since, limit, after)).written.answer

    async def stream_at_change(
        self,
        household_id: str,
        conversation_id: str,
        since: datetime | None,
        *,
        seconds: int,
        seen: str,
        limit: int = STREAM_RUNS,
        after: str = "",
    ) -> Waited[ConversationStream]:
        """`stream`, once it is other than what the tag ``seen`` stands for, or ``seconds`` are over; with neither tag
        nor change to tell of at once, once anything changes. Raises as `stream` does."""
        return await self.waiting.for_change(
            household_id,
            lambda: self._see_stream(household_id, conversation_id, since, limit, after),
            seconds=seconds,
            seen=seen,
        )

    async def _see_stream(
        self, household_id: str, conversation_id: str, since: datetime | None, limit: int, after: str
    ) -> Seen[ConversationStream]:
        # taken first: what changes while the rows are read is at or after it, and in the next answer
        as_of = self.clock.now()
        undecided, listed = await together(
            self._undecided(household_id, conversation_id),
            self._runs(household_id, conversation_id, since, limit, after),
        )
        if not listed.head and not (after and await self._is_known(household_id, conversation_id)):
            raise _not_found("conversation")
        runs = listed.runs
        found = await each(runs, lambda run: self.stores.stages.of_run(run.run_id), at_once=AT_ONCE)
        stream = ConversationStream(
            conversation_id=conversation_id,
            as_of_utc=as_of,
            runs=[self._run(run, its, undecided, rows_shown=LISTED_ROWS) for run, its in zip(runs, found, strict=True)],
            pending_approvals=[
                _approval(approval, as_of) for approval in undecided if not approvals_of.is_over(approval, as_of)
            ],
            next_cursor=listed.following,
        )
        return Seen(
            Written.of(stream, without={"as_of_utc"}),
            self._look_at_stream(household_id, conversation_id, after, listed, _next_over(undecided, as_of)),
            is_news=since is not None and bool(stream.runs),
        )

    async def run(self, household_id: str, run_id: str) -> RunDetail:
        """Raises `RequestError` ``not_found`` where this household has no such run."""
        stored = await self.stores.runs.read(run_id)
        if stored is None or stored.value.household_id != household_id:
            raise _not_found("run")
        run = stored.value
        stages, signals, decisions, undecided = await together(
            self.stores.stages.of_run(run_id),
            self.stores.signals.of_run(run_id),
            self.stores.decisions.of_run(run_id),
            self._undecided(household_id, run.conversation_id) if run.conversation_id else _no_approvals(),
        )
        return RunDetail(
            run=self._run(run, stages, undecided, rows_shown=None),
            stages=[_stage(stage, None) for stage in stages if stage.attempt <= run.attempt],
            signals=[_signal(signal) for signal in signals],
            decisions=[_decision(decision) for decision in decisions],
        )

    async def approvals(
        self, household_id: str, status: ApprovalStatus | None, *, limit: int = LARGEST_PAGE, after: str = ""
    ) -> ApprovalList:
        """A page of those that are in ``status`` now; None: of all."""
        return (await self._see_approvals(household_id, status, (), limit, after)).written.answer

    async def approvals_at_change(
        self,
        household_id: str,
        status: ApprovalStatus | None,
        *,
        seconds: int,
        seen: str,
        limit: int = LARGEST_PAGE,
        after: str = "",
    ) -> Waited[ApprovalList]:
        """`approvals`, once they are other than what the tag ``seen`` stands for, or ``seconds`` are over; without a
        tag, once anything changes."""

        async def read() -> Seen[ApprovalList]:
            # before the list: what changes in between is seen by the next look
            pending = await self._pending(household_id) if seconds else []
            return await self._see_approvals(household_id, status, pending, limit, after)

        return await self.waiting.for_change(household_id, read, seconds=seconds, seen=seen)

    async def _see_approvals(
        self, household_id: str, status: ApprovalStatus | None, pending: Sequence[Approval], limit: int, after: str
    ) -> Seen[ApprovalList]:
        now = self.clock.now()
        page = await page_of(self.stores, household_id, status, now, limit=limit, after=after)
        found = ApprovalList(approvals=[_approval(one, now) for one in page.approvals], next_cursor=page.following)
        return Seen(Written.of(found), self._look_at_approvals(household_id, pending, now))

    def _run(
        self, run: Run, stages: Sequence[Stage], undecided: Sequence[Approval], *, rows_shown: int | None
    ) -> RunView:
        """Stages count through the run's attempt only: a late writer of an earlier attempt shows nothing here."""
        current = [stage for stage in stages if stage.attempt == run.attempt]
        latest = current[-1] if current else None
        telling = next((stage for stage in reversed(current) if stage.provenance), latest)
        rows = list(telling.provenance) if telling else []
        mine = [approval for approval in undecided if approval.run_id == run.run_id]
        now = self.clock.now()
        return RunView(
            run_id=run.run_id,
            conversation_id=run.conversation_id,
            command_id=run.command_id,
            command_type=run.command_type,
            correlation_id=run.correlation_id,
            queue=run.queue,
            status=run.status,
            is_final=run.is_final,
            attempt=run.attempt,
            attempt_outcome=run.attempt_outcome,
            failure_code=run.failure_code,
            failure_rationale=run.failure_rationale,
            next_attempt_at_utc=run.next_attempt_at,
            replay_of_command_id=run.replay_of_command_id,
            policy_version=run.policy_version,
            created_at_utc=run.created_at,
            last_modified_at_utc=run.last_modified_at,
            completed_at_utc=run.completed_at,
            latest_stage=_stage(latest, rows_shown) if latest else None,
            provenance=Provenance(
                agent_name=run.agent_name,
                agent_source=run.agent_source,
                note_summary=run.agent_note_summary,
                confidence=telling.confidence if telling else None,
                rows=rows[:rows_shown],
                row_count=len(rows),
            ),
            pending_approval_ids=[a.approval_id for a in mine if not approvals_of.is_over(a, now)],
            assignment_hint=assignee(
                run, has_undecided_approvals=bool(mine), require_other_person=self.require_other_person
            ),
        )

    # ------------------------------------------------------------------------------------------- whether it changed

    def _look_at_stream(
        self, household_id: str, conversation_id: str, after: str, listed: _Listed, next_over: datetime | None
    ) -> Look:
        """One range read, and a point read for each run that has not ended: a run ends last of all that a command
        changes, and a decision is a command of the conversation, too."""
        watched = listed.open_runs[-WATCHED_RUNS:]

        async def look() -> bool:
            if next_over is not None and self.clock.now() >= next_over:
                return True
            commands = self.stores.commands.in_conversation(household_id, conversation_id, after=after)
            head = [one async for one in take(commands, listed.ahead)]
            if head != list(listed.head):
                return True
            stored = await each([run_id for run_id, _ in watched], self.stores.runs.read, at_once=AT_ONCE)
            return [one.etag if one is not None else None for one in stored] != [etag for _, etag in watched]

        return look

    def _look_at_approvals(self, household_id: str, pending: Sequence[Approval], now: datetime) -> Look:
        """The list of what pends: an approval begins on it, and changes when it leaves it."""
        known, next_over = {one.approval_id for one in pending}, _next_over(pending, now)

        async def look() -> bool:
            if next_over is not None and self.clock.now() >= next_over:
                return True
            return {one.approval_id for one in await self._pending(household_id)} != known

        return look

    # ---------------------------------------------------------------------------------------------------------- reads

    async def _pending(self, household_id: str) -> list[Approval]:
        return await self.stores.approvals.of_household(household_id, ApprovalStatus.PENDING)

    async def _undecided(self, household_id: str, conversation_id: str) -> list[Approval]:
        """The conversation's approvals that nobody has decided, expired or not."""
        return [
            approval for approval in await self._pending(household_id) if approval.conversation_id == conversation_id
        ]

    async def _runs(
        self, household_id: str, conversation_id: str, since: datetime | None, limit: int, after: str
    ) -> _Listed:
        """The conversation's commands, none where it is not known, and their runs, newest command first. A command
        that no worker has begun has no run yet. One that is listed at two places (by an earlier version) has one run.
        """
        looked_at, last, is_over = 0, after, False
        first = min(max(limit, AT_ONCE), STREAM_LOOKED_AT)
        head: list[ListedCommand] | None = None
        runs: list[Run] = []
        open_runs: list[tuple[str, ETag | None]] = []
        seen: set[str] = set()
        commands = self.stores.commands.in_conversation(household_id, conversation_id, after=after)
        while len(runs) < limit and looked_at < STREAM_LOOKED_AT and not is_over:
            ahead = min(max(limit - len(runs), AT_ONCE), STREAM_LOOKED_AT - looked_at)
            listed = [one async for one in take(commands, ahead)]
            head = listed if head is None else head
            is_over = len(listed) < ahead
            run_ids = [ids.run_id(one.queue, one.command_id) for one in listed]
            found = await each(run_ids, self.stores.runs.read, at_once=AT_ONCE)
            for one, run_id, stored in zip(listed, run_ids, found, strict=True):
                if len(runs) == limit:
                    is_over = False
                    break
                looked_at, last = looked_at + 1, one.place
                if run_id in seen:
                    continue
                seen.add(run_id)
                if stored is None or not stored.value.is_final:
                    open_runs.append((run_id, stored.etag if stored is not None else None))
                if stored is None or stored.value.household_id != household_id:
                    continue
                if since is None or stored.value.last_modified_at >= since:
                    runs.append(stored.value)
        return _Listed(head or (), first, runs, open_runs, None if is_over else last)

    async def _is_known(self, household_id: str, conversation_id: str) -> bool:
        async for _ in self.stores.commands.in_conversation(household_id, conversation_id):
            return True
        return False


def _next_over(approvals: Iterable[Approval], now: datetime) -> datetime | None:
    """When the next of them is shown as expired, without anybody having written it."""
    return min((at for one in approvals if (at := approvals_of.due_at(one)) > now), default=None)


async def _no_approvals() -> list[Approval]:
    return []


def _not_found(what: str) -> RequestError:
    return RequestError("not_found", f"there is no such {what}")


# --------------------------------------------------------------------------------------------------------------- views


def _stage(stage: Stage, rows_shown: int | None) -> StageView:
    return StageView(
        attempt=stage.attempt,
        order=stage.order,
        name=stage.name,
        executor=stage.executor,
        status=stage.status,
        confidence=stage.confidence,
        outcome_code=stage.outcome_code,
        outcome_rationale=stage.outcome_rationale,
        started_at_utc=stage.started_at,
        completed_at_utc=stage.completed_at,
        provenance=list(stage.provenance[:rows_shown]),
    )


def _approval(approval: Approval, now: datetime) -> ApprovalView:
    action = approvals_of.stored_action(approval)
    return ApprovalView(
        approval_id=approval.approval_id,
        conversation_id=approval.conversation_id,
        run_id=approval.run_id,
        command_id=approval.command_id,
        requested_by=approval.requested_by,
        action_kind=approval.action_kind,
        action_summary=approval.action_summary,
        action_hash=approval.action_hash,
        policy_version=approval.policy_version,
        status=status_of(approval, now),
        created_at_utc=approval.created_at,
        expires_at_utc=approval.expires_at,
        decided_at_utc=approval.decided_at,
        decided_by=approval.decided_by,
        decision_run_id=approval.decision_run_id,
        decision_rationale=approval.decision_rationale,
        action=ActionView(name=action.name, arguments=dict(action.arguments)) if action else None,
        carried_out_at_utc=approval.carried_out_at,
        carried_out_as=approval.carried_out_as,
        draft=DraftView.model_validate(json.loads(approval.draft)) if approval.draft else None,
    )


def _signal(signal: Signal) -> SignalView:
    return SignalView(
        signal_id=signal.signal_id,
        signal_code=signal.signal_code,
        severity=signal.severity,
        summary=signal.summary,
        queue=signal.queue,
        requires_human_review=signal.requires_human_review,
        attempt=signal.attempt,
        is_resolved=signal.is_resolved,
        raised_at_utc=signal.raised_at,
        resolved_at_utc=signal.resolved_at,
        resolved_by=signal.resolved_by,
        resolution_note=signal.resolution_note,
    )


def _decision(decision: Decision) -> DecisionView:
    return DecisionView(
        decision_id=decision.decision_id,
        actor=decision.actor,
        action=decision.action,
        outcome=decision.outcome,
        reason_code=decision.reason_code,
        rationale=decision.rationale,
        policy_version=decision.policy_version,
        confidence=decision.confidence,
        decided_at_utc=decision.decided_at,
        approval_id=decision.approval_id,
    )
