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


@dataclass(frozen=True, slots=True)
class Counted:
    """One command, counted. ``left``: how many more the household may ask for now, None where nobody could tell.
    ``wait``: seconds until there will be one for it; 0: it may pass. ``reset``: seconds until the quota is whole again;
    with none left, until there is one."""

    left: int | None
    wait: float
    reset: float


@dataclass(slots=True, eq=False)
class _Ask:
    """One command; None until it is counted."""

    counted: Counted | None = None


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
        """`count`. Raises `RequestError` ``quota_exceeded`` where the household has used its own up."""
        counted = await self.count(household_id)
        if counted is not None and counted.wait:
            raise self.refusal(counted)

    async def count(self, household_id: str) -> Counted | None:
        """Count one command. None: there is no quota.

        Where storage does not answer in time the command passes: it cannot be recorded without storage either.
        """
        if not self.per_minute:
            return None
        line = self._lines.setdefault(household_id, _Line())
        line.present += 1
        ask = _Ask()
        line.asking.append(ask)
        try:
            async with line.counting:
                if ask.counted is None:
                    round_ = [other for other in line.asking if other is not ask]
                    line.asking.clear()
                    await self._count(household_id, [ask, *round_])
        finally:
            line.present -= 1
            if not line.present:
                del self._lines[household_id]
        assert ask.counted is not None
        if ask.counted.wait:
            seconds = whole(ask.counted.wait)
            log.info("a household's quota is used up", extra={"householdId": household_id, "retryAfter": seconds})
        return ask.counted

    def refusal(self, counted: Counted) -> RequestError:
        """What is told of a command that may not pass."""
        seconds = whole(counted.wait)
        return RequestError(
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
                ask.counted = Counted(None, 0.0, 0.0)
            return
        granted, wait = (counted.granted, counted.wait) if counted is not None else (0, _LOST_SECONDS)
        left = int(counted.allowance.left) if counted is not None else None
        missing = self.per_minute - counted.allowance.left if counted is not None else 0.0
        for place, ask in enumerate(round_):
            late = 0.0 if place < granted else wait + (place - granted) * 60.0 / self.per_minute
            ask.counted = Counted(left, late, missing * 60.0 / self.per_minute if left else late or wait)

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


def whole(seconds: float) -> int:
    """As a header says them: never less than there are, and at least one."""
    return max(1, math.ceil(seconds))
