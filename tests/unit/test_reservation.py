"""The protocol's decisions, line by line: what a key and a run mean for a delivery."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mosaic_core.domain import lifecycle, reservation
from mosaic_core.domain.errors import IllegalTransitionError
from mosaic_core.domain.lifecycle import AttemptOutcome, KeyStatus, RunStatus, SignalState, StageStatus
from mosaic_core.domain.records import Key, Run

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)

KEY = Key(
    queue="q",
    command_id="c",
    request_hash="a",
    status=KeyStatus.RESERVED,
    run_id="r",
    correlation_id="x",
    attempt=1,
    excused=0,
    owner_token="other",
    lease_seconds=30,
    sequence_number=7,
    created_at=NOW,
    expires_at=NOW + timedelta(days=7),
)

RUN = Run(
    run_id="r",
    household_id="h",
    command_id="c",
    command_type="t",
    correlation_id="x",
    queue="q",
    policy_version="1",
    request_hash="a",
    status=RunStatus.RUNNING,
    is_final=False,
    attempt=1,
    created_at=NOW,
    last_modified_at=NOW,
)
DONE = replace(RUN, status=RunStatus.COMPLETED, is_final=True, attempt_outcome=AttemptOutcome.SUCCEEDED)
FAILED = replace(RUN, status=RunStatus.NEEDS_REVIEW, attempt_outcome=AttemptOutcome.FAILED, failure_code="x")


def judge(key: Key, *, lease_left: float = 0, request_hash: str = "a", seq: int = 9) -> reservation.KeyVerdict:
    return reservation.judge_key(
        key,
        lease_left=lease_left,
        now=NOW,
        request_hash=request_hash,
        owner_token="mine",
        sequence_number=seq,
        lease_seconds=30,
    )


@pytest.mark.parametrize("status", [KeyStatus.RESERVED, KeyStatus.COMPLETED, KeyStatus.REJECTED])
def test_another_hash_is_a_mismatch_whatever_the_status(status: KeyStatus) -> None:
    assert judge(replace(KEY, status=status), request_hash="b") == reservation.HashMismatch()


def test_completed_is_a_duplicate() -> None:
    assert judge(replace(KEY, status=KeyStatus.COMPLETED), lease_left=9) == reservation.AlreadyCompleted()


def test_rejected_knows_its_own_message() -> None:
    rejected = replace(KEY, status=KeyStatus.REJECTED)
    assert judge(rejected, seq=7) == reservation.AlreadyRejected(first=True)
    assert judge(rejected, seq=8) == reservation.AlreadyRejected(first=False)


def test_a_live_lease_is_waited_for() -> None:
    assert judge(KEY, lease_left=12.5) == reservation.InProgress(NOW + timedelta(seconds=12.5), "in_progress")


def test_what_is_not_yet_due_is_waited_for() -> None:
    due = NOW + timedelta(seconds=30)
    assert judge(replace(KEY, next_attempt_at=due)) == reservation.InProgress(due, "not_yet_due")


def test_a_copy_that_comes_a_moment_early_is_due() -> None:
    assert isinstance(judge(replace(KEY, next_attempt_at=NOW + timedelta(milliseconds=200))), reservation.Takeable)


def test_a_free_key_is_taken_over_with_the_next_number() -> None:
    verdict = judge(replace(KEY, attempt=3, excused=1, next_attempt_at=NOW))
    assert isinstance(verdict, reservation.Takeable)
    taken = verdict.taken
    assert (taken.attempt, taken.excused, taken.owner_token, taken.sequence_number) == (4, 1, "mine", 9)
    assert (taken.lease_seconds, taken.next_attempt_at) == (30, None)


@pytest.mark.parametrize(
    ("run", "key", "keywords", "verdict"),
    [
        (DONE, KEY, {}, reservation.RollForward(AttemptOutcome.SUCCEEDED)),
        (replace(DONE, request_hash="b"), KEY, {}, reservation.ForeignRun(AttemptOutcome.SUCCEEDED)),
        (replace(FAILED, is_final=True), KEY, {}, reservation.RollForward(AttemptOutcome.FAILED)),
        (RUN, KEY, {}, reservation.Adopt()),
        (RUN, replace(KEY, attempt=2), {}, reservation.Adopt()),
        (replace(RUN, request_hash="b"), KEY, {}, reservation.Adopt()),
        (FAILED, replace(KEY, attempt=2), {}, reservation.Adopt()),
        (FAILED, KEY, {"after_conflict": True}, reservation.ResumeFailure()),
        (FAILED, replace(KEY, attempt=2), {"after_conflict": True}, reservation.Adopt()),
        (RUN, KEY, {"after_conflict": True, "ended": "its result"}, reservation.KeepResult("its result")),
        (RUN, KEY, {"after_conflict": True}, reservation.Adopt()),
        (replace(RUN, attempt=2), KEY, {}, reservation.RunAhead()),
        (RUN, replace(KEY, attempt=6), {}, reservation.RejectExhausted()),
        (RUN, replace(KEY, attempt=6, excused=1), {}, reservation.Adopt()),
    ],
)
def test_at_the_run(run: Run, key: Key, keywords: dict[str, Any], verdict: reservation.RunVerdict[str]) -> None:
    assert reservation.judge_run(run, key, request_hash="a", **keywords) == verdict


def test_the_fifth_counted_attempt_is_the_last() -> None:
    assert [reservation.is_last(replace(KEY, attempt=n)) for n in (4, 5, 6)] == [False, True, True]
    assert not reservation.is_last(replace(KEY, attempt=7, excused=3))


@pytest.mark.parametrize("status", [RunStatus.COMPLETED, RunStatus.NEEDS_REVIEW])
def test_nothing_follows_a_final_run(status: RunStatus) -> None:
    final = replace(DONE, status=status)
    with pytest.raises(IllegalTransitionError):
        reservation.adopt(final, KEY, request_hash="a", now=NOW, trace_parent="")
    with pytest.raises(IllegalTransitionError):
        reservation.succeed(final, now=NOW, review=None)
    with pytest.raises(IllegalTransitionError):
        reservation.fail(final, KEY, code="x", rationale="y", now=NOW, next_attempt_at=None)


@pytest.mark.parametrize("status", [KeyStatus.COMPLETED, KeyStatus.REJECTED])
def test_nothing_follows_a_final_key(status: KeyStatus) -> None:
    final = replace(KEY, status=status)
    with pytest.raises(IllegalTransitionError):
        reservation.complete(final, now=NOW, code="c", rationale="")
    with pytest.raises(IllegalTransitionError):
        reservation.reject(final, now=NOW, rationale="")
    with pytest.raises(IllegalTransitionError):
        reservation.await_retry(final, NOW)
    with pytest.raises(IllegalTransitionError):
        reservation.excuse(final, began=True)
    with pytest.raises(IllegalTransitionError):
        reservation.take_over(final, "t", 1, 30)


def test_rows_keep_the_contracts_invariants() -> None:
    failed = reservation.fail(RUN, KEY, code="x", rationale="y", now=NOW, next_attempt_at=NOW)
    assert (failed.is_final, failed.completed_at, failed.failure_code) == (False, None, "x")
    ended = reservation.fail(failed, KEY, code="x", rationale="y", now=NOW, next_attempt_at=None)
    assert (ended.is_final, ended.completed_at, ended.status) == (True, NOW, RunStatus.NEEDS_REVIEW)
    again = reservation.adopt(failed, replace(KEY, attempt=2), request_hash="a", now=NOW, trace_parent="")
    assert (again.status, again.attempt_outcome, again.failure_code) == (RunStatus.RUNNING, None, None)
    review = reservation.succeed(again, now=NOW, review=("code", "why"))
    assert (review.status, review.is_final, review.failure_code) == (RunStatus.NEEDS_REVIEW, True, "code")
    key = reservation.complete(KEY, now=NOW, code="completed", rationale="")
    assert (key.finalized_at, key.lease_seconds) == (NOW, 0)
    assert reservation.await_retry(KEY, NOW).finalized_at is None


def test_reserved_states_have_no_way_in() -> None:
    for state in (RunStatus.PENDING, RunStatus.FAILED, RunStatus.CANCELLED):
        for before in (None, RunStatus.RUNNING, RunStatus.NEEDS_REVIEW):
            with pytest.raises(IllegalTransitionError):
                lifecycle.check(before, state)
    for stage in (StageStatus.PENDING, StageStatus.RUNNING):
        with pytest.raises(IllegalTransitionError):
            lifecycle.check(None, stage)
    lifecycle.check(SignalState.OPEN, SignalState.RESOLVED)
