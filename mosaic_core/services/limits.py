"""The figures that the delivery protocol runs by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mosaic_core.config import table
from mosaic_core.domain.lanes import (
    COMPANY_SECONDS,
    MAX_DELIVERIES,
    SOLITUDE_SECONDS,
    THREADS_SECONDS,
)

MAX_UNANSWERED: Final = 3
"""Requests of one delivery that may go unanswered before the tables count as away."""

TRIES_TO_EXCUSE: Final = 3
"""How often the key is told that an attempt does not count, before that is left to the copy."""

TRIES_TO_END: Final = 3
"""How often the end of a run that others write to meanwhile is tried."""

DRAINS_OF_A_MESSAGE: Final = 5
"""Deliveries of one message after which a drain sends a copy, which begins to count anew, instead of giving it back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryLimits:
    """All in seconds, but ``max_deliveries``.

    A lease is renewed every ``lease_renew``; ``retry`` are the waits after failed attempts. ``hold``: how long a
    message may be held where its copy cannot be sent, and ``delivery``: at most so long after its beginning (below the
    host's lock renewal). An attempt begins in place only where it ends within ``invocation`` (below the host's limit,
    past which it kills the process). ``company``: how long a delivery waits while a suspect works alone, ``solitude``:
    how long a suspect waits to be alone. ``threads``: how long an attempt waits for its own threads.
    ``max_deliveries`` is the queues' setting.
    """

    lease: int = table.LEASE_SECONDS.default
    lease_renew: float = table.LEASE_RENEW_SECONDS.default
    lane_deadline: float = table.LANE_DEADLINE_SECONDS.default
    retry: tuple[float, ...] = table.RETRY_SECONDS.default
    hold: float = 120.0
    delivery: float = 450.0
    invocation: float = 570.0
    company: float = COMPANY_SECONDS
    solitude: float = SOLITUDE_SECONDS
    threads: float = THREADS_SECONDS
    max_deliveries: int = MAX_DELIVERIES
