"""Whether this instance lives and whether what it builds on answers. Names no endpoint, for anybody may ask."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

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

    def live(self) -> Health:
        return Health(
            status="live",
            version=self.build.version,
            commit=self.build.commit,
            package_digest=self.build.package_digest,
            dependencies=[],
        )

    async def ready(self) -> Health:
        """``ready`` where every dependency answered within `PROBE_SECONDS`."""
        async with self._asking:
            if self._kept is None or self.monotonic() - self._kept[0] >= KEPT_SECONDS:
                states = await each(self.probes, self._state)
                ready = all(state.state == "up" for state in states)
                health = self.live().model_copy(
                    update={"status": "ready" if ready else "not_ready", "dependencies": states}
                )
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
