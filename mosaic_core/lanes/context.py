"""What a lane is given, and what it gives back. A lane never sees keys, leases or messages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from mosaic_core import telemetry
from mosaic_core.domain import lifecycle
from mosaic_core.domain.envelope import Envelope
from mosaic_core.domain.errors import MosaicError
from mosaic_core.domain.lifecycle import AttemptOutcome, StageStatus
from mosaic_core.domain.records import Stage
from mosaic_core.ports import Stores


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneResult:
    """How an attempt ended. ``code`` and ``rationale`` are those of a review or a failure (of a success: what was
    done, for the key's resolution). The agent fields tell who answered and how (at most 120, 120 and 600
    characters)."""

    outcome: AttemptOutcome
    code: str
    rationale: str
    agent_name: str | None = None
    agent_source: str | None = None
    agent_note_summary: str | None = None


def succeeded(
    code: str,
    rationale: str,
    *,
    agent_name: str | None = None,
    agent_source: str | None = None,
    note: str | None = None,
) -> LaneResult:
    return LaneResult(
        outcome=AttemptOutcome.SUCCEEDED,
        code=code,
        rationale=rationale,
        agent_name=agent_name,
        agent_source=agent_source,
        agent_note_summary=note,
    )


def needs_review(
    code: str,
    rationale: str,
    *,
    agent_name: str | None = None,
    agent_source: str | None = None,
    note: str | None = None,
) -> LaneResult:
    """The attempt succeeded, and a person must look at what it found."""
    return LaneResult(
        outcome=AttemptOutcome.SUCCEEDED_REVIEW,
        code=code,
        rationale=rationale,
        agent_name=agent_name,
        agent_source=agent_source,
        agent_note_summary=note,
    )


@dataclass(slots=True)
class StageDraft:
    """A stage under way: say how it ended with `succeed`, `review` or `skip`; an exception makes it Failed."""

    name: str
    executor: str
    order: int
    started_at: datetime
    status: StageStatus = StageStatus.SUCCEEDED
    confidence: float = 1.0
    outcome_code: str = "done"
    outcome_rationale: str = ""
    provenance: tuple[str, ...] = ()
    completed_at: datetime | None = None

    def succeed(self, code: str, rationale: str, *, confidence: float = 1.0, provenance: tuple[str, ...] = ()) -> None:
        self._end(StageStatus.SUCCEEDED, code, rationale, confidence, provenance)

    def review(self, code: str, rationale: str, *, confidence: float, provenance: tuple[str, ...] = ()) -> None:
        self._end(StageStatus.NEEDS_REVIEW, code, rationale, confidence, provenance)

    def skip(self, code: str, rationale: str) -> None:
        self._end(StageStatus.SKIPPED, code, rationale, 1.0, ())

    def _end(
        self, status: StageStatus, code: str, rationale: str, confidence: float, provenance: tuple[str, ...]
    ) -> None:
        lifecycle.check(None, status)
        self.status, self.outcome_code, self.outcome_rationale = status, code[:120], rationale[:500]
        self.confidence, self.provenance = min(1.0, max(0.0, confidence)), provenance


@dataclass(slots=True)
class StageLog:
    """The stages of one attempt, in order."""

    now: Callable[[], datetime]
    drafts: list[StageDraft] = field(default_factory=list)

    @asynccontextmanager
    async def stage(self, name: str, executor: str) -> AsyncIterator[StageDraft]:
        draft = StageDraft(name, executor, len(self.drafts) + 1, self.now())
        self.drafts.append(draft)
        with telemetry.span("runtime.stage", service=telemetry.WORKER, attributes={"mosaic.stage": name}) as span:
            try:
                yield draft
            except BaseException as error:
                code, rationale = describe(error)
                draft._end(StageStatus.FAILED, code, rationale, 0.0, ())
                raise
            finally:
                draft.completed_at = self.now()
                span.set_attribute("mosaic.outcome", draft.outcome_code)

    def rows(self, *, run_id: str, command_id: str, correlation_id: str, queue: str, attempt: int) -> list[Stage]:
        return [
            Stage(
                run_id=run_id,
                command_id=command_id,
                correlation_id=correlation_id,
                queue=queue,
                attempt=attempt,
                order=draft.order,
                name=draft.name,
                executor=draft.executor,
                status=draft.status,
                confidence=draft.confidence,
                outcome_code=draft.outcome_code,
                outcome_rationale=draft.outcome_rationale or draft.outcome_code,
                started_at=draft.started_at,
                completed_at=draft.completed_at or self.now(),
                provenance=draft.provenance,
            )
            for draft in self.drafts
        ]


def describe(error: BaseException) -> tuple[str, str]:
    """(code, rationale) of an error. An unexpected one is told by its type only: its text may hold personal data."""
    if isinstance(error, MosaicError):
        return error.code, error.rationale
    if isinstance(error, asyncio.CancelledError):
        return "cut_off", "the deadline, a drain or a lost lease ended the attempt here"
    return "unexpected_error", f"an unexpected {type(error).__name__} ended the attempt; the log has its trace"


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneContext:
    """One attempt at one command. ``attempt`` is "my attempt" for every effect that names one. ``subject`` is who asked
    for the command, by their token; empty where nobody did."""

    envelope: Envelope
    run_id: str
    attempt: int
    queue: str
    stores: Stores
    log: StageLog
    now: Callable[[], datetime]
    subject: str = ""


class LaneHandler(Protocol):
    async def __call__(self, context: LaneContext) -> LaneResult:
        """Execute one attempt. Raises `LaneError` (or anything else) for a failed attempt and `StoreUnreachableError`
        where the tables are away, which is not an attempt."""
        ...
