"""What the runbook and the contract promise, held against what was stored. Each check says what it looked at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mosaic_core.domain.ids import failure_signal_id
from mosaic_core.domain.lifecycle import KeyStatus, RunStatus, StageStatus
from mosaic_local.demo.journey import Journey


@dataclass(frozen=True, slots=True)
class Check:
    """``promise`` in the runbook's words; ``seen`` is what was there instead where it does not hold."""

    promise: str
    holds: bool
    seen: str = ""


def same(promise: str, seen: object, wanted: object) -> Check:
    return Check(promise, seen == wanted, f"{seen!r} instead of {wanted!r}")


def completed(journey: Journey) -> list[Check]:
    """`AgentRuns` Running → Completed, a terminal stage, the key Completed and finalised, the message completed."""
    step, run, key = journey.sent.step, journey.run, journey.key
    return [
        same(f"{step}: AgentRuns.Status is Completed", run and run.status, RunStatus.COMPLETED),
        *_ended_well(journey),
        same(f"{step}: IdempotencyKeys.ResolutionCode", key and key.resolution_code, "completed"),
    ]


def for_review(journey: Journey, code: str) -> list[Check]:
    """The attempt succeeded and a person is asked: NeedsReview with a code, a Warning signal, the key Completed."""
    step, run, signal = journey.sent.step, journey.run, journey.signal(code)
    return [
        same(f"{step}: AgentRuns.Status is NeedsReview", run and run.status, RunStatus.NEEDS_REVIEW),
        same(f"{step}: the run says why", run and run.failure_code, code),
        *_ended_well(journey),
        same(f"{step}: a signal asks for a person", signal and signal.requires_human_review, True),
    ]


def _ended_well(journey: Journey) -> list[Check]:
    step, run, key = journey.sent.step, journey.run, journey.key
    last = [s for s in journey.stages if run and s.attempt == run.attempt]
    failure = journey.failure
    return [
        same(f"{step}: the run is final with CompletedAtUtc", bool(run and run.is_final and run.completed_at), True),
        Check(
            f"{step}: terminal stages carry outcome code and rationale",
            bool(last) and all(s.outcome_code and s.outcome_rationale and s.status != StageStatus.FAILED for s in last),
            str(last),
        ),
        same(f"{step}: IdempotencyKeys is Completed", key and key.status, KeyStatus.COMPLETED),
        same(f"{step}: FinalizedAtUtc is set", bool(key and key.finalized_at), True),
        same(f"{step}: the message was completed", journey.settlement, "completed"),
        same(f"{step}: no failure signal is open", failure is None or failure.is_resolved, True),
    ]


def recovered(journey: Journey, attempts: int) -> list[Check]:
    """Queue retry with recovery: the failed attempt is on record, its signal is resolved."""
    step, run, failure = journey.sent.step, journey.run, journey.failure
    return [
        *completed(journey),
        same(f"{step}: it took {attempts} attempts", run and run.attempt, attempts),
        same(
            f"{step}: each attempt left its stages",
            sorted({s.attempt for s in journey.stages}),
            [*range(1, attempts + 1)],
        ),
        same(
            f"{step}: worker_command_failed was raised and resolved as recovered",
            failure and (failure.is_resolved, failure.resolution_note),
            (True, "recovered"),
        ),
    ]


def exhausted(journey: Journey) -> list[Check]:
    """Five failed attempts: fail closed, a person is asked, nothing is lost."""
    step, run, key, failure = journey.sent.step, journey.run, journey.key, journey.failure
    return [
        same(
            f"{step}: AgentRuns.Status is NeedsReview, final", run and (run.status, run.is_final), ("NeedsReview", True)
        ),
        Check(f"{step}: the run says code and rationale", bool(run and run.failure_code and run.failure_rationale)),
        same(f"{step}: five attempts", run and run.attempt, 5),
        same(
            f"{step}: IdempotencyKeys is Rejected",
            key and (key.status, key.resolution_code),
            (KeyStatus.REJECTED, "failed"),
        ),
        same(f"{step}: dead-lettered processing_failed", journey.settlement, "dead-lettered: processing_failed"),
        Check(
            f"{step}: the dead letter names run, correlation and attempt",
            all(part in journey.description for part in ("run=", "correlation=", "attempt=5")),
            journey.description,
        ),
        same(
            f"{step}: AgentSignals worker_command_failed is open and asks for a person",
            failure and (failure.signal_id == failure_signal_id(run.run_id if run else ""), failure.is_resolved),
            (True, False),
        ),
        same(f"{step}: RequiresHumanReview", failure and failure.requires_human_review, True),
    ]


def untouched(journey: Journey, before: Journey) -> list[Check]:
    """A duplicate command id completes without reprocessing."""
    step = journey.sent.step
    return [
        same(f"{step}: the run is as it was", journey.run, before.run),
        same(f"{step}: the key is as it was", journey.key, before.key),
        same(f"{step}: no stage was added", len(journey.stages), len(before.stages)),
        same(f"{step}: the message was completed", journey.settlement, "completed"),
    ]


def findings(signals: Iterable[str], planted: Iterable[str]) -> Check:
    """The sweep found what is planted in the sample, and nothing else."""
    found, wanted = Counter(signals), Counter(planted)
    said = ", ".join(f"{count} {kind}" for kind, count in sorted(wanted.items()))
    return Check(f"sweep: raises a signal for each planted anomaly ({said})", found == wanted, str(dict(found)))


def events(journey: Journey, told: Sequence[Mapping[str, Any]], kinds: Sequence[str]) -> Check:
    """The Event Hubs lane tells of the command, by its correlation id."""
    correlation = journey.key.correlation_id if journey.key else ""
    seen = [e["type"].rpartition(".")[2] for e in told if e.get("subject") == correlation]
    return Check(
        f"{journey.sent.step}: runtime-telemetry-stream tells {', '.join(kinds)}", set(kinds) <= set(seen), str(seen)
    )


def trace(journey: Journey, spans: Sequence[Mapping[str, Any]], tables: Sequence[str]) -> list[Check]:
    """One trace from the API through the message to the worker and the tables."""
    parent = journey.run.trace_parent if journey.run else ""
    trace_id = parent.split("-")[1] if parent.count("-") == 3 else "none"
    mine = [span for span in spans if span.get("traceId") == trace_id]
    services = {span.get("service.name") for span in mine}
    stored = {span.get("attributes", {}).get("db.collection.name") for span in mine}
    return [
        same(
            f"{journey.sent.step}: one trace holds API enqueue and worker handling",
            services >= {"MosaicMoney.Api", "MosaicMoney.Worker"},
            True,
        ),
        Check(f"{journey.sent.step}: the trace reaches {', '.join(tables)}", set(tables) <= stored, str(stored)),
    ]
