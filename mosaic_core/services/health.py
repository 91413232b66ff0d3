"""Whether this instance lives and whether what it builds on answers. Names no endpoint, for anybody may ask."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from mosaic_core.concurrency import each
from mosaic_core.config import Build
from mosaic_core.ports import HealthProbe
from mosaic_core.services.views import DependencyState, Health

log = logging.getLogger(__name__)

PROBE_SECONDS: Final = 3.0
KEPT_SECONDS: Final = 2.0
"""An answer stands this long, so that anonymous callers cannot make this instance flood what it builds on."""


@dataclass(slots=True)
class HealthService:
    """``monotonic`` gives seconds."""

    build: Build
    probes: Sequence[HealthProbe]
    monotonic: Callable[[], float] = time.monotonic
    _kept: tuple[float, Health] | None = None
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock)

    def live(self, *, for_operators: bool = False) -> Health:
        return self._told(_health("live", []), for_operators)

    async def ready(self, *, for_operators: bool = False) -> Health:
        """``ready`` where every dependency answered within `PROBE_SECONDS`."""
        return self._told(await self._ready(), for_operators)

    def _told(self, health: Health, for_operators: bool) -> Health:
        """Which code this is tells an attacker what it is open to: it is for operators."""
        if not for_operators:
            return health
        build = self.build
        return health.model_copy(
            update={"version": build.version, "commit": build.commit, "package_digest": build.package_digest}
        )

    async def _ready(self) -> Health:
        async with self._asking:
            if self._kept is None or self.monotonic() - self._kept[0] >= KEPT_SECONDS:
                states = await each(self.probes, self._state)
                ready = all(state.state == "up" for state in states)
                health = _health("ready" if ready else "not_ready", states)
                self._kept = (self.monotonic(), health)
            return self._kept[1]

    async def _state(self, probe: HealthProbe) -> DependencyState:
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                up = await probe.check()
        except Exception:  # whatever it is, the dependency is of no use now
            log.warning("a dependency does not answer", extra={"dependency": probe.name}, exc_info=True)
            up = False
        return DependencyState(name=probe.name, state="up" if up else "down")


def _health(status: Literal["live", "ready", "not_ready"], states: list[DependencyState]) -> Health:
    return Health(status=status, version=None, commit=None, package_digest=None, dependencies=states)
