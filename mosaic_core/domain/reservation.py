"""What a key and a run mean for the delivery at hand. Pure decisions; `services.delivery` carries them out.

The words are those of the delivery protocol: K is the idempotency key, R the run, n my attempt. Each function is one
paragraph of the protocol, "first line that fits".
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from mosaic_core.domain import lifecycle
from mosaic_core.domain.envelope import Envelope
from mosaic_core.domain.errors import StoredRowError
from mosaic_core.domain.lanes import KEY_LIFETIME_DAYS, LEAST_WAIT_SECONDS, MAX_ATTEMPTS
from mosaic_core.domain.lifecycle import AttemptOutcome, KeyStatus, RunStatus
from mosaic_core.domain.reasons import DeadLetterReason
from mosaic_core.domain.records import Key, Run

DUE_SLACK: Final = timedelta(milliseconds=250)
"""A copy that the broker's clock lets out this much early is due all the same, instead of going round once more."""

LONGEST_WAIT: Final = timedelta(days=1)
"""Longer than any lease and any wait for an attempt, by any two clocks."""

ATTEMPTS_EXHAUSTED: Final = "attempts_exhausted"
"""What a run fails with of which every attempt died; the delivery that says so runs none."""

CANCELLED: Final = "cancelled_by_operator"
"""What a run fails with that an operator has ended."""

IN_COMPANY: Final = 0
SUSPECTED: Final = 1
"""The attempt before this one ended without a word, in company: whoever killed the process, it may have been another.
It does not count before this attempt, which runs by itself, has told."""

CONVICTED: Final = 2
"""The attempt before this one ended without a word although it ran by itself: it counts, and so does a suspected one
before it. This one runs by itself as well."""


# ------------------------------------------------------------------------------------------------------ the key exists


@dataclass(frozen=True, slots=True)
class HashMismatch:
    """The id was used for another request."""


@dataclass(frozen=True, slots=True)
class AlreadyCompleted:
    """A duplicate of a finished command."""


@dataclass(frozen=True, slots=True)
class AlreadyRejected:
    """The command was rejected; ``first`` where this very message was the one."""

    first: bool


@dataclass(frozen=True, slots=True)
class InProgress:
    """Another delivery owns it, or it is not yet due: look again at ``until``."""

    until: datetime
    why: str


@dataclass(frozen=True, slots=True)
class Takeable:
    """Nobody owns it: ``taken`` is the key as I take it over (If-Match). Where its `Key.solo` is set the attempt has to
    run by itself in its process."""

    taken: Key


type KeyVerdict = HashMismatch | AlreadyCompleted | AlreadyRejected | InProgress | Takeable


def judge_key(
    key: Key,
    *,
    lease_left: float,
    now: datetime,
    request_hash: str,
    owner_token: str,
    sequence_number: int,
    lease_seconds: int,
    storage_ended: Collection[str] = (),
) -> KeyVerdict:
    """The key exists: what it means for a delivery with this hash, token and sequence number.
    ``lease_left`` is in seconds on the storage service's clock. ``storage_ended`` are tokens of attempts of
    which this message knows that an outage of storage ended them."""
    if key.request_hash != request_hash:
        return HashMismatch()
    if key.status == KeyStatus.COMPLETED:
        return AlreadyCompleted()
    if key.status == KeyStatus.REJECTED:
        return AlreadyRejected(first=key.sequence_number == sequence_number)
    _check_sane(key, lease_left, now)
    if lease_left > 0:
        return InProgress(now + timedelta(seconds=lease_left), "in_progress")
    if key.next_attempt_at is not None and key.next_attempt_at > now + DUE_SLACK:
        return InProgress(key.next_attempt_at, "not_yet_due")
    return Takeable(take_over(key, owner_token, sequence_number, lease_seconds, storage_ended=storage_ended))


def _check_sane(key: Key, lease_left: float, now: datetime) -> None:
    """Raise StoredRowError for a row that nobody but a person can have left so: by its figures the command would wait
    for ever, or be tried for ever."""
    if not 0 <= key.excused <= key.attempt:
        raise StoredRowError("the key excuses attempts that there have not been: Excused")
    if lease_left > LONGEST_WAIT.total_seconds():
        raise StoredRowError("the key's lease is none that an owner takes: LeaseSeconds")
    if key.next_attempt_at is not None and key.next_attempt_at - now > LONGEST_WAIT:
        raise StoredRowError("the key's next attempt is further away than any wait: NextAttemptAtUtc")


def take_over(
    key: Key, owner_token: str, sequence_number: int, lease_seconds: int, *, storage_ended: Collection[str] = ()
) -> Key:
    """The key as its next owner writes it. An owner that was not heard of again (the lease was not released) may have
    been killed by its own lane or by a neighbour's: the next attempt runs by itself, which tells the two apart."""
    lifecycle.check(key.status, KeyStatus.RESERVED)
    excused, solo = key.excused, key.solo
    if key.lease_seconds and key.owner_token in storage_ended:
        excused += 1  # whether its lane had begun nobody knows: it acquits nobody
    elif key.lease_seconds:
        solo = CONVICTED if key.solo else SUSPECTED
    return replace(
        key,
        attempt=key.attempt + 1,
        excused=excused,
        solo=solo,
        owner_token=owner_token,
        sequence_number=sequence_number,
        lease_seconds=lease_seconds,
        next_attempt_at=None,
    )


def _acquitted(key: Key) -> Key:
    """The key of an attempt that told its end: a suspected one before it was killed by somebody else."""
    return replace(key, excused=key.excused + (key.solo == SUSPECTED), solo=IN_COMPANY)


# ---------------------------------------------------------------------------------------------------------- at the run


@dataclass(frozen=True, slots=True)
class RollForward:
    """R is final with my hash: do what is left of 5 and 6 with R's own outcome."""

    outcome: AttemptOutcome


@dataclass(frozen=True, slots=True)
class ForeignRun:
    """R is final with another hash: K becomes terminal with R's hash and outcome, this message is a mismatch."""

    outcome: AttemptOutcome


@dataclass(frozen=True, slots=True)
class ResumeFailure:
    """My own failed outcome got through although its answer did not: go on at 5."""


@dataclass(frozen=True, slots=True)
class KeepResult[E]:
    """My lane has ended in this attempt; never run it twice under one number: go on at 3 with its result."""

    ended: E


@dataclass(frozen=True, slots=True)
class Adopt:
    """R is not final and not ahead of me: it becomes mine (Running, n)."""


@dataclass(frozen=True, slots=True)
class RejectExhausted:
    """Over the limit: R becomes final ``failed`` without running."""


@dataclass(frozen=True, slots=True)
class RunAhead:
    """R.Attempt > n: someone deleted a Reserved key by hand, or I am no longer the owner. Re-read K."""


type RunVerdict[E] = RollForward | ForeignRun | ResumeFailure | KeepResult[E] | Adopt | RejectExhausted | RunAhead


def judge_run[E](
    run: Run, key: Key, *, request_hash: str, after_conflict: bool = False, ended: E | None = None
) -> RunVerdict[E]:
    """At the run, as owner of ``key``. ``after_conflict``: I am here because of a 409, a 412 or an answer that never
    came; ``ended``: what my lane has come to under this attempt number. Where there is no run it is inserted
    (Running, n)."""
    n = key.attempt
    if run.is_final:
        if run.attempt_outcome is None:
            raise ValueError(f"run {run.run_id} is final without an outcome")
        if run.request_hash != request_hash:
            return ForeignRun(run.attempt_outcome)
        return RollForward(run.attempt_outcome)
    if after_conflict and run.attempt == n and run.attempt_outcome == AttemptOutcome.FAILED:
        return ResumeFailure()
    if after_conflict and ended is not None and run.attempt == n and run.attempt_outcome is None:
        return KeepResult(ended)
    if run.attempt > n:
        return RunAhead()
    return RejectExhausted() if exhausted(key) else Adopt()


def counted(key: Key) -> int:
    """The attempts that count, this one among them; a suspected one does not yet."""
    return key.attempt - key.excused - (key.solo == SUSPECTED)


def shown(key: Key) -> int:
    """`counted` as it is told, of `MAX_ATTEMPTS`: the delivery that only rejects what is exhausted is no attempt."""
    return min(max(0, counted(key)), MAX_ATTEMPTS)


def exhausted(key: Key) -> bool:
    """Is this attempt over the limit, so that it may only be rejected?"""
    return counted(key) > MAX_ATTEMPTS


def is_last(key: Key) -> bool:
    """Is a failure of this attempt final? One that an operator wants ended is not tried again."""
    return key.cancel_reason is not None or counted(key) >= MAX_ATTEMPTS


def retry_wait(key: Key, waits: Sequence[float], jitter: float) -> timedelta:
    """After a failed attempt that is not the last: by how many have counted; the last wait repeats."""
    nth = min(max(counted(key), 1), len(waits))
    return timedelta(seconds=max(LEAST_WAIT_SECONDS, waits[nth - 1] * jitter))


def rejection_reason(*, run_was_there: bool) -> DeadLetterReason:
    """Why the broker keeps the message of a command that ends as rejected. Where K was new and R was not ("the run
    exists"), the command was rejected before, and its key purged."""
    return DeadLetterReason.IDEMPOTENCY_REJECTED if run_was_there else DeadLetterReason.PROCESSING_FAILED


# -------------------------------------------------------------------------------------------- the rows as they change


def reserve(
    *,
    queue: str,
    command_id: str,
    request_hash: str,
    run_id: str,
    correlation_id: str,
    owner_token: str,
    lease_seconds: int,
    sequence_number: int,
    now: datetime,
) -> Key:
    """1: the key of a command that nobody has worked on."""
    return Key(
        queue=queue,
        command_id=command_id,
        request_hash=request_hash,
        status=KeyStatus.RESERVED,
        run_id=run_id,
        correlation_id=correlation_id,
        attempt=1,
        excused=0,
        owner_token=owner_token,
        lease_seconds=lease_seconds,
        sequence_number=sequence_number,
        created_at=now,
        expires_at=now + timedelta(days=KEY_LIFETIME_DAYS),
    )


def begin(
    envelope: Envelope,
    *,
    run_id: str,
    queue: str,
    policy_version: str,
    attempt: int,
    trace_parent: str,
    now: datetime,
) -> Run:
    """The run of a command that has none: Running."""
    return Run(
        run_id=run_id,
        household_id=envelope.household_id,
        conversation_id=envelope.conversation_id,
        command_id=envelope.command_id,
        command_type=envelope.command_type,
        correlation_id=envelope.correlation_id,
        queue=queue,
        policy_version=policy_version,
        request_hash=envelope.request_hash,
        status=RunStatus.RUNNING,
        is_final=False,
        attempt=attempt,
        created_at=now,
        last_modified_at=now,
        replay_of_command_id=envelope.replay_of_command_id,
        trace_parent=trace_parent,
    )


def adopt(run: Run, key: Key, *, request_hash: str, now: datetime, trace_parent: str) -> Run:
    lifecycle.check(run.status, RunStatus.RUNNING, final=run.is_final)
    return replace(
        run,
        status=RunStatus.RUNNING,
        attempt=key.attempt,
        request_hash=request_hash,
        attempt_outcome=None,
        failure_code=None,
        failure_rationale=None,
        next_attempt_at=None,
        trace_parent=trace_parent,
        last_modified_at=now,
    )


def succeed(run: Run, *, now: datetime, review: tuple[str, str] | None) -> Run:
    """Final; ``review`` is (code, rationale) where a person must look at it."""
    status = RunStatus.NEEDS_REVIEW if review else RunStatus.COMPLETED
    lifecycle.check(run.status, status, final=run.is_final)
    return replace(
        run,
        status=status,
        is_final=True,
        attempt_outcome=AttemptOutcome.SUCCEEDED_REVIEW if review else AttemptOutcome.SUCCEEDED,
        failure_code=review[0] if review else None,
        failure_rationale=review[1] if review else None,
        next_attempt_at=None,
        last_modified_at=now,
        completed_at=now,
    )


def fail(run: Run, key: Key, *, code: str, rationale: str, now: datetime, next_attempt_at: datetime | None) -> Run:
    """NeedsReview with code and rationale; final where ``next_attempt_at`` is None."""
    lifecycle.check(run.status, RunStatus.NEEDS_REVIEW, final=run.is_final)
    final = next_attempt_at is None
    return replace(
        run,
        status=RunStatus.NEEDS_REVIEW,
        is_final=final,
        attempt=key.attempt,
        attempt_outcome=AttemptOutcome.FAILED,
        failure_code=code,
        failure_rationale=rationale,
        next_attempt_at=next_attempt_at,
        last_modified_at=now,
        completed_at=now if final else None,
    )


def complete(key: Key, *, now: datetime, code: str, rationale: str) -> Key:
    return _finalise(key, KeyStatus.COMPLETED, now, code, rationale)


def reject(key: Key, *, now: datetime, rationale: str) -> Key:
    return _finalise(key, KeyStatus.REJECTED, now, "failed", rationale)


def _finalise(key: Key, status: KeyStatus, now: datetime, code: str, rationale: str) -> Key:
    lifecycle.check(key.status, status)
    return replace(
        _acquitted(key),
        status=status,
        lease_seconds=0,
        next_attempt_at=None,
        finalized_at=now,
        resolution_code=code,
        resolution_rationale=rationale,
    )


def completion_code(run: Run) -> str:
    return "needs_review" if run.attempt_outcome == AttemptOutcome.SUCCEEDED_REVIEW else "completed"


def commit(key: Key, run: Run, *, now: datetime, otherwise_at: datetime | None = None) -> Key:
    """6: K as R's outcome says: Completed, Rejected, or released until the next attempt (``otherwise_at`` where R names
    no time; None: this ends the command, whatever R says of another attempt)."""
    if run.attempt_outcome != AttemptOutcome.FAILED:
        return complete(key, now=now, code=completion_code(run), rationale=run.failure_rationale or "done")
    if run.is_final or otherwise_at is None:
        return reject(key, now=now, rationale=f"{run.failure_code or 'failed'}: {run.failure_rationale or ''}"[:500])
    return await_retry(key, run.next_attempt_at or otherwise_at)


def commit_foreign(key: Key, run: Run, *, now: datetime) -> Key:
    """K as a final run of another request has it: terminal, with that request's hash."""
    key, said = replace(key, request_hash=run.request_hash), "rolled forward from the run of another request"
    if run.attempt_outcome == AttemptOutcome.FAILED:
        return reject(key, now=now, rationale=said)
    return complete(key, now=now, code=completion_code(run), rationale=said)


def await_retry(key: Key, next_attempt_at: datetime) -> Key:
    """A failure that counts: lease released, to be taken again at ``next_attempt_at``."""
    lifecycle.check(key.status, KeyStatus.RESERVED)
    return replace(_acquitted(key), lease_seconds=0, next_attempt_at=next_attempt_at)


def excuse(key: Key, *, began: bool) -> Key:
    """A drain, an outage of storage or a busy conversation ends the attempt: lease released, and it does not count.
    ``began``: its lane had begun, so that a suspected attempt before it has its alibi."""
    lifecycle.check(key.status, KeyStatus.RESERVED)
    heard = _acquitted(key) if began else key
    return replace(heard, lease_seconds=0, excused=heard.excused + 1)


def is_released(key: Key) -> bool:
    """Has its last owner given it back?"""
    return key.lease_seconds == 0
