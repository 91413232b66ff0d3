"""A household's quota of commands, counted in storage so that it holds over every instance.

Those of a household that ask while it is being counted are counted together, in the next round: one read and one write
for all of them. A round that loses to another instance looks again; what was not written was not granted, so there are
never more than the bucket holds.
"""

from __future__ import annotations

import asyncio
import logging
import math
from dataclasses import dataclass, field
from typing import Final

from mosaic_core.domain.errors import MosaicError, RequestError
from mosaic_core.domain.quota import COMMANDS_PER_MINUTE, Grant, full, grant
from mosaic_core.ports import QuotaStore

log = logging.getLogger(__name__)

LOOKS: Final = 4
"""Rounds that may be lost to other instances; a household that loses so many is asking from everywhere at once."""

_STORAGE_SECONDS: Final = 2.0
_LOST_SECONDS: Final = 1.0


@dataclass(slots=True, eq=False)
class _Ask:
    """One command; ``wait`` is None until it is counted, 0 where it is granted."""

    wait: float | None = None


@dataclass(slots=True)
class _Line:
    """The commands of one household that wait to be counted in this process."""

    counting: asyncio.Lock = field(default_factory=asyncio.Lock)
    asking: list[_Ask] = field(default_factory=list)
    present: int = 0


@dataclass(frozen=True, slots=True)
class CommandQuota:
    """``per_minute`` 0: no quota."""

    store: QuotaStore
    per_minute: int = COMMANDS_PER_MINUTE
    _lines: dict[str, _Line] = field(default_factory=dict)

    async def take(self, household_id: str) -> None:
        """Count one command. Raises `RequestError` 429 ``quota_exceeded``, with the seconds to wait, where the
        household has used its own up.

        Where storage does not answer in time the command passes: it cannot be recorded without storage either.
        """
        if not self.per_minute:
            return
        line = self._lines.setdefault(household_id, _Line())
        line.present += 1
        ask = _Ask()
        line.asking.append(ask)
        try:
            async with line.counting:
                if ask.wait is None:
                    round_ = [other for other in line.asking if other is not ask]
                    line.asking.clear()
                    await self._count(household_id, [ask, *round_])
        finally:
            line.present -= 1
            if not line.present:
                del self._lines[household_id]
        if ask.wait:
            seconds = max(1, math.ceil(ask.wait))
            log.info("a household's quota is used up", extra={"householdId": household_id, "retryAfter": seconds})
            raise RequestError(
                429,
                "quota_exceeded",
                f"the household's quota of {self.per_minute} commands a minute is used up; try again in {seconds} s",
                retry_after=seconds,
            )

    async def _count(self, household_id: str, round_: list[_Ask]) -> None:
        try:
            async with asyncio.timeout(_STORAGE_SECONDS):
                counted = await self._granted(household_id, len(round_))
        except (TimeoutError, MosaicError) as error:
            log.warning("a household's quota cannot be counted", extra={"error": type(error).__name__})
            for ask in round_:
                ask.wait = 0.0
            return
        granted, wait = (counted.granted, counted.wait) if counted is not None else (0, _LOST_SECONDS)
        for place, ask in enumerate(round_):
            behind = (place - granted) * 60.0 / self.per_minute
            ask.wait = 0.0 if place < granted else wait + behind

    async def _granted(self, household_id: str, asked: int) -> Grant | None:
        """None: other instances were faster each time."""
        for _ in range(LOOKS):
            stored = await self.store.read(household_id)
            if stored is None:
                counted = full(household_id, asked=asked, per_minute=self.per_minute)
                etag = await self.store.insert(counted.allowance)
            else:
                counted = grant(stored.value, stored.now, asked=asked, per_minute=self.per_minute)
                if not counted.granted:
                    return counted
                etag = await self.store.update(counted.allowance, stored.etag)
            if etag is not None:
                return counted
        return None
