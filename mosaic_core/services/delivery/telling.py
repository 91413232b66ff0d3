"""What a delivery says: events, dead letters, copies."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from mosaic_core import telemetry
from mosaic_core.domain import dead_letters
from mosaic_core.domain.lanes import LEAST_WAIT_SECONDS
from mosaic_core.domain.reasons import DeadLetterReason
from mosaic_core.domain.settlement import AWAY_SINCE, FAILED_STEPS, STORAGE_ENDED, DeadLetter, Reschedule
from mosaic_core.ports import IncomingMessage, RuntimeEvent
from mosaic_core.services.delivery.states import Delivery, Known, State

log = logging.getLogger(__package__)

_TOKENS_KEPT: Final = 3
"""Attempts that a copy can tell of."""


def later(known: Known, due: datetime, why: str, *, in_doubt: bool = False, **marks: str | int) -> Reschedule:
    """A copy for ``due``, a second from now at the earliest. It tells what the key does not know yet, until the key is
    read and does; a wait for that is part of the outage."""
    message, untold = known.of.message, known.untold
    if in_doubt:
        untold = (*untold, known.of.token)
    if untold:
        marks[STORAGE_ENDED] = " ".join(untold[-_TOKENS_KEPT:])
        marks = {**_kept(message, AWAY_SINCE), **marks}
    due = max(due, known.of.now() + timedelta(seconds=LEAST_WAIT_SECONDS))
    return Reschedule(due, why, {**_kept(message, FAILED_STEPS), **marks})


def _kept(message: IncomingMessage, name: str) -> dict[str, str | int]:
    return {name: message.properties[name]} if name in message.properties else {}


def dead_letter(known: Known, reason: DeadLetterReason, code: str, rationale: str, attempt: int) -> DeadLetter:
    return DeadLetter(
        reason.value,
        dead_letters.of_command(
            code, rationale, run_id=known.of.run_id, correlation_id=known.envelope.correlation_id, attempt=attempt
        ),
    )


def event(known: Known, kind: telemetry.EventKind, outcome: str, attempt: int) -> None:
    of = known.of
    publish(
        of,
        lambda: telemetry.command_event(
            kind,
            envelope=known.envelope,
            message=of.message,
            run_id=of.run_id,
            attempt=attempt,
            outcome=outcome,
            at=of.worker.clock.now(),
        ),
    )


def publish(of: Delivery, build: Callable[[], RuntimeEvent]) -> None:
    """Telemetry neither delays nor fails a command: not even a publisher that raises, or an event that cannot be
    built."""
    try:
        of.worker.publisher.publish(build())
    except Exception:
        log.warning("an event could not be published", exc_info=True)


def rejected(at: State, reason: DeadLetterReason, code: str, rationale: str) -> DeadLetter:
    """The command ends as a dead letter."""
    event(at.known, "dead_lettered", code, at.attempt)
    log.error("command rejected", extra={"attempt": at.attempt, "code": code, "rationale": rationale})
    return dead_letter(at.known, reason, code, rationale, at.attempt)
