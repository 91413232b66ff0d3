"""The figures that the delivery protocol runs by."""

from __future__ import annotations

from dataclasses import dataclass

from mosaic_core.domain.lanes import RETRY_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryLimits:
    """All in seconds. A lease is renewed every ``lease_renew``; ``retry`` are the waits after failed attempts."""

    lease: int = 30
    lease_renew: float = 10.0
    lane_deadline: float = 240.0
    retry: tuple[float, ...] = tuple(float(s) for s in RETRY_SECONDS)
