"""What everything that takes the delivery protocol's steps works with: one record, which the bootstrap fills once."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from mosaic_core.domain.lanes import Lane
from mosaic_core.lanes.context import LaneHandler
from mosaic_core.ports import Clock, EventPublisher, Stores
from mosaic_core.services.drain import Drain
from mosaic_core.services.limits import DeliveryLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """``limits`` are the settings', ``drain`` is the process's: whoever takes a key over takes it for as long as
    everybody else, and lets go when the process ends. ``handlers`` execute the lanes; ``producers`` are the lanes that
    take what comes past the API. ``jitter`` (about 1) spreads waits, ``new_token`` names an owner."""

    stores: Stores
    publisher: EventPublisher
    clock: Clock
    policy_version: str
    handlers: Mapping[Lane, LaneHandler] = field(default_factory=dict)
    producers: Collection[Lane] = frozenset()
    limits: DeliveryLimits = field(default_factory=DeliveryLimits)
    drain: Drain = field(default_factory=Drain)
    jitter: Callable[[], float] = lambda: random.uniform(0.8, 1.2)  # noqa: S311 - spreads load, guards nothing
    new_token: Callable[[], str] = lambda: uuid.uuid4().hex

    def parts(self) -> dict[str, Any]:
        """Every part by its name, for a service that is a worker and has parts of its own beside."""
        return {part.name: getattr(self, part.name) for part in fields(Worker)}
