"""The lanes' watch: how old is the oldest message of each queue.

Service Bus has no metric for it, and the lanes themselves cannot tell: one that stands still says nothing. So a timer
asks, on an instance of its own. Its lines come as long as the app lives, whether there is work or not; that they end
is how a gap in the telemetry is seen.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from mosaic_core.concurrency import each
from mosaic_core.config import table
from mosaic_core.domain.errors import MosaicError, QueueUnavailableError
from mosaic_core.domain.lanes import Lane
from mosaic_core.ports import Clock, PauseStore, QueueBrowser

log = logging.getLogger(__name__)

LOOKED: Final = "lane looked at"
PAUSED: Final = "lane is paused"

PAGE: Final = 100
PAGES: Final = 10
"""Of a queue with very many copies in front that are not due yet the first thousand messages are looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LanesWatch:
    """``queues`` are the real names; a pause that lasts longer than ``pause_alert`` is told as overdue, which the alert
    ``paused-lane`` waits for."""

    browser: QueueBrowser
    clock: Clock
    queues: Mapping[Lane, str]
    pauses: PauseStore | None = None
    pause_alert: timedelta = timedelta(seconds=table.PAUSE_ALERT_AFTER.default)

    async def tick(self) -> dict[Lane, float | None]:
        """Seconds that the oldest message of each lane has waited or been at work; 0.0 for an empty queue, None for
        one that did not answer."""
        lanes = list(self.queues)
        ages = await each(lanes, self._age)
        return dict(zip(lanes, ages, strict=True))

    async def _age(self, lane: Lane) -> float | None:
        queue = self.queues[lane]
        told: dict[str, str | float] = {"lane": lane.value, "queue": queue}
        try:
            since = await self._oldest(queue)
        except QueueUnavailableError as error:
            log.warning("a lane could not be looked at", extra={**told, "rationale": error.rationale})
            return None
        age = max(0.0, (self.clock.now() - since).total_seconds()) if since is not None else 0.0
        log.info(LOOKED, extra={**told, "oldestSeconds": round(age)})
        await self._tell_pause(lane, told)
        return age

    async def _tell_pause(self, lane: Lane, told: Mapping[str, str | float]) -> None:
        """A warning for as long as it lasts: what waits in a paused lane is not due, so no age tells of it."""
        try:
            stored = await self.pauses.read(lane) if self.pauses is not None else None
        except MosaicError as error:
            log.warning("a lane's pause cannot be read", extra={**told, "rationale": error.rationale})
            return
        if stored is not None and stored.value.is_paused:
            lasted = self.clock.now() - stored.value.changed_at
            seconds = round(max(0.0, lasted.total_seconds()))
            log.warning(PAUSED, extra={**told, "pausedSeconds": seconds, "overdue": lasted > self.pause_alert})

    async def _oldest(self, queue: str) -> datetime | None:
        """When the oldest message was enqueued that waits or is at work now; copies that are not due yet do not count.
        Numbers are given as messages become due, so the first that is due is the oldest."""
        after = 0
        for _ in range(PAGES):
            page = await self.browser.browse(queue, after=after, limit=PAGE)
            due = next((message for message in page if message.state == "active"), None)
            if due is not None or not page:
                return due.enqueued_at if due is not None else None
            after = page[-1].sequence_number
        return None
