"""The lanes: one Service Bus queue each, and the command types that each executes (contract, section 1)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class CommandType(StrEnum):
    INGESTION_COMPLETED = "ingestion_completed"
    AGENT_MESSAGE_POSTED = "agent_message_posted"
    AGENT_APPROVAL_SUBMITTED = "agent_approval_submitted"
    AGENT_APPROVAL_DUE = "agent_approval_due"
    """The app's own timer asks for it, no caller: an approval's time is over."""
    NIGHTLY_ANOMALY_SWEEP = "nightly_anomaly_sweep"


class Lane(StrEnum):
    INGESTION = "ingestion"
    CONVERSATION = "conversation"
    SWEEP = "sweep"


@dataclass(frozen=True, slots=True)
class LaneRules:
    """What a lane accepts, and from which queue."""

    default_queue: str
    command_types: frozenset[CommandType]


RULES: Final[dict[Lane, LaneRules]] = {
    Lane.INGESTION: LaneRules("runtime-ingestion-completed", frozenset({CommandType.INGESTION_COMPLETED})),
    Lane.CONVERSATION: LaneRules(
        "runtime-agent-message-posted",
        frozenset(
            {
                CommandType.AGENT_MESSAGE_POSTED,
                CommandType.AGENT_APPROVAL_SUBMITTED,
                CommandType.AGENT_APPROVAL_DUE,
            }
        ),
    ),
    Lane.SWEEP: LaneRules("runtime-nightly-anomaly-sweep", frozenset({CommandType.NIGHTLY_ANOMALY_SWEEP})),
}

HOUSEHOLD_CONCURRENCY: Final = 4
"""Deliveries of one household that run at once in a lane and process: a quarter of the lane's."""

WAITERS: Final = 4
WAIT_SECONDS: Final = 5.0
"""How many deliveries may wait for a place in their lane within their invocation, and how long. More, or longer, and
they would outlive the host's limits for an invocation: those go back to the queue for a while. The same holds, apart,
for those that wait for their household's turn, so that of a lane's slots most are free for other households."""

COMPANY_SECONDS: Final = 5.0
SOLITUDE_SECONDS: Final = 90.0
THREADS_SECONDS: Final = 60.0
"""How long a delivery waits while a suspect works alone, a suspect waits to be alone, and an attempt waits for its own
threads."""

MAX_ATTEMPTS: Final = 5
"""Attempts that count (`reservation.counted`); the last of them rejects the command."""

RETRY_SECONDS: Final = (1, 5, 30, 120)
"""Wait after the first, second, … failed attempt; jittered by the caller."""

MAX_DELIVERIES: Final = 10
"""Deliveries of one message after which the broker dead-letters it by itself (the queues' setting)."""

LEAST_WAIT_SECONDS: Final = 1
"""What any wait takes at least, so that a clock that is wrong never makes it a loop."""

STORE_BACKOFF_MAX_SECONDS: Final = 60
STORE_GIVE_UP_SECONDS: Final = 24 * 3600
KEY_LIFETIME_DAYS: Final = 7

LOOKBACK_DAYS: Final = 180
LOOKBACK_BOUNDS: Final = (7, 730)
"""How many days a sweep looks back: where nothing is said, and at least and at most."""


def lane_of(command_type: str) -> Lane | None:
    """The lane whose queue a command type belongs on, or None for an unknown type."""
    return next((lane for lane, rules in RULES.items() if command_type in set(rules.command_types)), None)
