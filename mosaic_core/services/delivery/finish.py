"""3 to 6: stages, outcome, signals, the commit. Once R is final, all that is left can be derived from it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from mosaic_core.domain import reservation, signals
from mosaic_core.domain.lifecycle import AttemptOutcome, RunStatus, StageStatus
from mosaic_core.domain.records import Key, Run, Signal, Stage
from mosaic_core.domain.settlement import Complete, Settlement
from mosaic_core.ports import SignalStore
from mosaic_core.services.delivery.states import Conflicted, Delivery, Ended, Final, Staged, Told
from mosaic_core.services.delivery.telling import event, later, log, rejected

_STAGE_OF: dict[AttemptOutcome, StageStatus] = {
    AttemptOutcome.SUCCEEDED: StageStatus.SUCCEEDED,
    AttemptOutcome.SUCCEEDED_REVIEW: StageStatus.NEEDS_REVIEW,
    AttemptOutcome.FAILED: StageStatus.FAILED,
}


async def stages(at: Ended) -> Staged:
    """3: rows of this attempt that are there are my own: an attempt has one owner."""
    known, of = at.known, at.known.of
    rows = known.stages.rows(
        run_id=of.run_id,
        command_id=known.envelope.command_id,
        correlation_id=known.envelope.correlation_id,
        queue=of.message.queue,
        attempt=at.attempt,
    )
    await of.worker.stores.stages.insert_all(rows or [_dispatch_stage(at)])
    return Staged(known, at.held, at.run, at.result)


def _dispatch_stage(at: Ended) -> Stage:
    """An attempt that ended before its first stage still says where it ended."""
    known, of, result, now = at.known, at.known.of, at.result, at.known.of.worker.clock.now()
    return Stage(
        run_id=of.run_id,
        command_id=known.envelope.command_id,
        correlation_id=known.envelope.correlation_id,
        queue=of.message.queue,
        attempt=at.attempt,
        order=1,
        name="dispatch",
        executor="runtime",
        status=_STAGE_OF[result.outcome],
        confidence=0.0 if result.outcome == AttemptOutcome.FAILED else 1.0,
        outcome_code=result.code[:120],
        outcome_rationale=result.rationale[:500],
        started_at=now,
        completed_at=now,
    )


async def outcome(at: Staged) -> Final | Conflicted:
    """4: R ▶ outcome."""
    run = _with_outcome(at)
    if await at.known.of.worker.stores.runs.update(run, at.run.etag) is None:
        return Conflicted(at.known, at.held)
    return Final(at.known, at.held, run)


def _with_outcome(at: Staged) -> Run:
    of, key, result = at.known.of, at.key, at.result
    now = of.worker.clock.now()
    match result.outcome:
        case AttemptOutcome.SUCCEEDED:
            run = reservation.succeed(at.run.value, now=now, review=None)
        case AttemptOutcome.SUCCEEDED_REVIEW:
            run = reservation.succeed(at.run.value, now=now, review=(result.code[:120], result.rationale[:500]))
        case AttemptOutcome.FAILED:
            code, rationale = result.code, result.rationale
            if key.cancel_reason is not None:  # otherwise it would have been tried again
                code, rationale = reservation.CANCELLED, key.cancel_reason
            is_last = reservation.is_last(key) or of.closing is not None
            run = reservation.fail(
                at.run.value,
                key,
                code=code[:120],
                rationale=rationale[:500],
                now=now,
                next_attempt_at=None if is_last else of.now() + _until_retry(of, key),
            )
    return replace(
        run,
        agent_name=_cut(result.agent_name, 120),
        agent_source=_cut(result.agent_source, 120),
        agent_note_summary=_cut(result.agent_note_summary, 600),
    )


def _until_retry(of: Delivery, key: Key) -> timedelta:
    return reservation.retry_wait(key, of.worker.limits.retry, of.worker.jitter())


def _cut(text: str | None, length: int) -> str | None:
    return text[:length] if text is not None else None


async def tell(at: Final) -> Told | Conflicted:
    """5: F carries the writer's attempt, open and resolved alike; a plain success has none."""
    known, of, store = at.known, at.known.of, at.known.of.worker.stores.signals
    failure = signals.failure_after(
        at.run, attempt=at.attempt, message_id=of.message.message_id, now=of.worker.clock.now()
    )
    if at.run.attempt_outcome == AttemptOutcome.SUCCEEDED_REVIEW:
        await store.insert(signals.review(at.run))
    if failure is not None and not await write_failure(store, failure):
        return Conflicted(known, at.held)
    return Told(known, at.held, at.run)


async def write_failure(store: SignalStore, signal: Signal) -> bool:
    """F ▶ ``signal``, never over one of the same or a later attempt that says as much. False: the race was lost."""
    if signal.attempt == 1 and await store.insert(signal) is not None:
        return True
    stored = await store.read(signal.signal_id)
    if stored is None:
        return await store.insert(signal) is not None
    written = signals.over(stored.value, signal)
    return written is None or await store.update(written, stored.etag) is not None


async def commit(at: Told) -> Conflicted | Settlement:
    """6: K, the commit point; then settle as the outcome says."""
    known, of, run = at.known, at.known.of, at.run
    key = reservation.commit(at.key, run, now=of.worker.clock.now(), otherwise_at=of.now())
    if await of.worker.stores.keys.update(key, at.held.etag) is None:
        return Conflicted(known, at.held)
    code, rationale = run.failure_code or "failed", run.failure_rationale or ""
    if run.attempt_outcome != AttemptOutcome.FAILED:
        done = reservation.completion_code(run)
        event(known, "needs_review" if run.status == RunStatus.NEEDS_REVIEW else "completed", done, at.attempt)
        told = {"attempt": at.attempt, "status": run.status.value, "outcomeCode": run.failure_code or done}
        log.info("command completed", extra=told)
        return Complete()
    if run.is_final:
        return rejected(at, reservation.rejection_reason(run_was_there=known.run_was_there), code, rationale)
    event(known, "attempt_failed", code, at.attempt)
    return later(known, run.next_attempt_at or of.now(), "retry")
