"""The runtime's own signals: derived from what they are about, and the same from whoever writes them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from mosaic_core.domain import ids, lifecycle, signals
from mosaic_core.domain.errors import IllegalTransitionError
from mosaic_core.domain.lifecycle import AttemptOutcome, RunStatus, Severity, SignalState
from mosaic_core.domain.records import Run, Signal
from tests.support.faults import Plan
from tests.support.world import RUN_ID, Work, World

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
LATER = NOW + timedelta(seconds=30)
RUN = Run(
    run_id="1" * 32,
    household_id="2" * 32,
    command_id="3" * 32,
    command_type="agent_message_posted",
    correlation_id="agent:x",
    queue="runtime-agent-message-posted",
    policy_version="p",
    request_hash="h",
    status=RunStatus.NEEDS_REVIEW,
    is_final=True,
    attempt=3,
    created_at=NOW,
    last_modified_at=LATER,
    attempt_outcome=AttemptOutcome.FAILED,
    failure_code="lane_timeout",
    failure_rationale="the lane did not end",
    completed_at=LATER,
)


def every_signal() -> list[Signal]:
    return [
        signals.command_failed(RUN, message_id="m", attempt=2, now=NOW),
        signals.recovered(RUN, message_id="m", attempt=2, now=NOW),
        signals.review(RUN),
        signals.command_rejected(queue="q", message_id="m", code="invalid_json", rationale="not JSON", now=NOW),
        signals.hash_mismatch(
            queue="q",
            command_id="c",
            message_id="m",
            correlation_id="r",
            household_id="",
            request_hash="h",
            now=NOW,
        ),
    ]


@pytest.mark.parametrize("signal", every_signal(), ids=lambda s: s.signal_code)
def test_what_holds_of_every_signal(signal: Signal) -> None:
    assert signal.severity not in (Severity.ERROR, Severity.CRITICAL) or signal.requires_human_review
    assert signal.is_resolved == (signal.resolved_at is not None)
    assert 1 <= len(signal.signal_code) <= 120
    assert 1 <= len(signal.summary) <= 200
    assert signal.household_id != ""


def test_a_failure_is_one_signal_per_run_whatever_the_attempt() -> None:
    first = signals.command_failed(RUN, message_id="m-1", attempt=1, now=NOW)
    second = signals.command_failed(RUN, message_id="m-2", attempt=2, now=LATER)
    assert first.signal_id == second.signal_id == ids.failure_signal_id(RUN.run_id)
    assert (first.signal_code, first.severity, first.requires_human_review, first.is_resolved) == (
        "worker_command_failed",
        Severity.ERROR,
        True,
        False,
    )
    # the writer's attempt, not the run's
    assert (first.attempt, second.attempt) == (1, 2)
    assert first.summary == "lane_timeout: the lane did not end"
    assert (first.run_id, first.command_id, first.household_id) == (RUN.run_id, RUN.command_id, RUN.household_id)


def test_a_recovery_is_the_failure_resolved() -> None:
    failed = signals.command_failed(RUN, message_id="m", attempt=2, now=LATER)
    assert signals.recovered(RUN, message_id="m", attempt=2, now=LATER) == replace(
        failed, is_resolved=True, resolved_at=LATER, resolved_by="runtime", resolution_note="recovered"
    )


def test_a_recovery_of_a_run_that_never_recorded_a_failure_can_be_stored() -> None:
    """Attempt 2 succeeds after attempt 1 died: there is no code to tell of."""
    run = replace(RUN, status=RunStatus.COMPLETED, failure_code=None, failure_rationale=None)
    signal = signals.recovered(run, message_id="m", attempt=2, now=NOW)
    assert (signal.summary, signal.is_resolved) == ("failed: ", True)


def test_a_review_is_derived_from_the_run() -> None:
    review = signals.review(RUN)
    assert (review.signal_id, review.raised_at, review.severity, review.attempt) == (
        ids.review_signal_id(RUN.run_id),
        RUN.last_modified_at,
        Severity.WARNING,
        RUN.attempt,
    )
    assert (review.signal_code, review.requires_human_review) == ("lane_timeout", True)
    assert review.signal_id != ids.failure_signal_id(RUN.run_id)


async def test_a_review_is_the_same_whoever_rolls_the_run_forward() -> None:
    """The worker that wrote the outcome writes it; where that one died, another does, later, with a token and a message
    of its own, from the run as it is stored."""
    whole = World(Work(["review"]))
    await whole.send(recorded=True)
    await whole.run()
    number = whole.plan.log.index("runs.update") + 1
    taken_over = World(Work(["review"]), plan=Plan({number: "crash_after"}))
    await taken_over.send(recorded=True)
    await taken_over.run()
    assert (whole.deaths, taken_over.deaths) == (0, 1)
    assert taken_over.clock.now() > whole.clock.now()
    reviews = [await world.stores.signals.read(ids.review_signal_id(RUN_ID)) for world in (whole, taken_over)]
    assert reviews[0] is not None
    assert reviews[1] is not None
    assert reviews[1].value == reviews[0].value
    assert reviews[1].value.raised_at == (await taken_over.run_row()).last_modified_at


def test_a_review_without_a_code_still_says_that_one_is_needed() -> None:
    review = signals.review(replace(RUN, failure_code=None, failure_rationale=None))
    assert (review.signal_code, review.summary) == ("needs_review", "a person must look at this run")


def test_a_refused_message_is_one_signal_per_message_and_reason() -> None:
    def refused(queue: str = "q", message_id: str = "m", code: str = "invalid_json") -> str:
        return signals.command_rejected(queue=queue, message_id=message_id, code=code, rationale="x", now=NOW).signal_id

    assert refused() == refused()
    assert len({refused(), refused(queue="r"), refused(message_id="n"), refused(code="invalid_envelope")}) == 4


def test_a_mismatch_is_one_signal_per_other_request() -> None:
    def mismatch(request_hash: str, message_id: str = "m", now: datetime = NOW) -> Signal:
        return signals.hash_mismatch(
            queue="q",
            command_id="c",
            message_id=message_id,
            correlation_id="r",
            household_id="h",
            request_hash=request_hash,
            now=now,
        )

    assert mismatch("a").signal_id == mismatch("a", "another", LATER).signal_id
    assert mismatch("a").signal_id != mismatch("b").signal_id
    assert (mismatch("a").severity, mismatch("a").signal_code) == (Severity.ERROR, "idempotency_hash_mismatch")


def test_long_texts_are_cut_to_what_their_columns_hold() -> None:
    run = replace(RUN, failure_code="c" * 120, failure_rationale="r" * 500)
    failed = signals.command_failed(run, message_id="m" * 500, attempt=1, now=NOW)
    assert (len(failed.summary), failed.message_id) == (200, ids.clean("m" * 500))
    assert len(signals.review(run).summary) == 200
    resolved = signals.resolve(failed, by="b" * 500, note="n" * 900, now=NOW)
    assert (len(resolved.resolved_by or ""), len(resolved.resolution_note or "")) == (120, 500)


def test_resolving_keeps_everything_else() -> None:
    failed = signals.command_failed(RUN, message_id="m", attempt=1, now=NOW)
    resolved = signals.resolve(failed, by="alice", note="seen", now=LATER)
    assert replace(resolved, is_resolved=False, resolved_at=None, resolved_by=None, resolution_note=None) == failed
    assert resolved.raised_at == NOW


@pytest.mark.parametrize(
    ("before", "after", "final"),
    [
        (RunStatus.COMPLETED, RunStatus.RUNNING, False),
        (RunStatus.NEEDS_REVIEW, RunStatus.RUNNING, True),
        (RunStatus.RUNNING, RunStatus.RUNNING, True),
        (RunStatus.RUNNING, RunStatus.FAILED, False),
        (None, RunStatus.COMPLETED, False),
        (lifecycle.KeyStatus.COMPLETED, lifecycle.KeyStatus.RESERVED, False),
        (lifecycle.KeyStatus.REJECTED, lifecycle.KeyStatus.COMPLETED, False),
        (lifecycle.KeyStatus.RESERVED, lifecycle.KeyStatus.EXPIRED, False),
        (None, lifecycle.KeyStatus.COMPLETED, False),
        (lifecycle.ApprovalStatus.APPROVED, lifecycle.ApprovalStatus.REJECTED, False),
        (lifecycle.ApprovalStatus.REJECTED, lifecycle.ApprovalStatus.APPROVED, False),
        (lifecycle.ApprovalStatus.REJECTED, lifecycle.ApprovalStatus.EXPIRED, False),
        (lifecycle.ApprovalStatus.APPROVED, lifecycle.ApprovalStatus.EXPIRED, False),
        (lifecycle.ApprovalStatus.EXPIRED, lifecycle.ApprovalStatus.APPROVED, False),
        (lifecycle.StageStatus.FAILED, lifecycle.StageStatus.SUCCEEDED, False),
        (None, lifecycle.StageStatus.RUNNING, False),
    ],
)
def test_what_must_never_follow(before: lifecycle.State | None, after: lifecycle.State, final: bool) -> None:
    with pytest.raises(IllegalTransitionError):
        lifecycle.check(before, after, final=final)


def test_every_state_of_the_table_is_one_of_its_kind() -> None:
    for kind, table in lifecycle.TRANSITIONS.items():
        states = {str(state) for state in kind}
        assert set(table) <= states | {lifecycle.ABSENT}
        for after in table.values():
            assert after <= states
    # nothing leads back into what is over
    assert not lifecycle.TRANSITIONS[RunStatus].get(RunStatus.COMPLETED)
    assert SignalState.OPEN in lifecycle.TRANSITIONS[SignalState][SignalState.RESOLVED]
