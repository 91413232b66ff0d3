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
from mosaic_core.domain.errors import ConfigurationError, StoreUnreachableError
from mosaic_core.ports import Finding, HealthProbe
from mosaic_core.services.views import DependencyState, Health

log = logging.getLogger(__name__)

PROBE_SECONDS: Final = 3.5
"""What one look at all dependencies takes at most, whatever any of them does."""

GOOD_SECONDS: Final = 10.0
BAD_SECONDS: Final = 2.0
"""A finding stands this long, so that anonymous callers cannot make this instance flood what it builds on."""


@dataclass(slots=True)
class HealthService:
    """``monotonic`` gives seconds."""

    build: Build
    probes: Sequence[HealthProbe]
    monotonic: Callable[[], float] = time.monotonic
    _kept: dict[str, tuple[float, Finding]] = field(default_factory=dict)
    _looking: dict[str, asyncio.Task[Finding]] = field(default_factory=dict)
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock)

    def live(self, *, for_operators: bool = False) -> Health:
        return self._told(_health("live", []), for_operators)

    async def ready(self, *, for_operators: bool = False) -> Health:
        """``ready`` where every dependency that is required is of use. Answers within `PROBE_SECONDS`."""
        async with self._asking:
            findings = await each(self.probes, self._finding, at_once=max(1, len(self.probes)))
        states = [
            DependencyState(
                name=probe.name,
                state=found.state,
                required=probe.required,
                reason=found.reason,
                parts=list(found.parts),
            )
            for probe, found in zip(self.probes, findings, strict=True)
        ]
        ready = all(state.state != "down" for state in states if state.required)
        return self._told(_health("ready" if ready else "not_ready", states), for_operators)

    def _told(self, health: Health, for_operators: bool) -> Health:
        """Which code this is tells an attacker what it is open to: it is for operators."""
        if not for_operators:
            return health
        build = self.build
        return health.model_copy(
            update={"version": build.version, "commit": build.commit, "package_digest": build.package_digest}
        )

    async def _finding(self, probe: HealthProbe) -> Finding:
        until, found = self._kept.get(probe.name, (float("-inf"), Finding()))
        if self.monotonic() >= until:
            found = await self._look(probe)
            good = found.state == "up"
            self._kept[probe.name] = self.monotonic() + (GOOD_SECONDS if good else BAD_SECONDS), found
            if not good:
                log.warning(
                    "a dependency is of no use",
                    extra={"dependency": probe.name, "reason": found.reason, "parts": ",".join(found.parts)},
                )
        return found

    async def _look(self, probe: HealthProbe) -> Finding:
        """The probe's word within `PROBE_SECONDS`. One that does not end even when it is cut off is not begun a second
        time: nobody waits for it any longer than that."""
        task = self._looking.get(probe.name)
        if task is None or task.done():
            task = self._looking[probe.name] = asyncio.create_task(_found(probe))
        await asyncio.wait({task}, timeout=PROBE_SECONDS)
        if task.done() and not task.cancelled():
            return task.result()
        task.cancel()
        return Finding("down", "no_answer")


async def _found(probe: HealthProbe) -> Finding:
    try:
        return await probe.check()
    except ConfigurationError as error:
        return Finding("down", "unusable", tuple(fault.name for fault in error.problems))
    except StoreUnreachableError as error:
        return Finding("down", error.reason)
    except ImportError as error:
        return Finding("down", "package_missing", (error.name,) if error.name else ())
    except (TimeoutError, OSError):
        return Finding("down", "unreachable")
    except (asyncio.CancelledError, KeyboardInterrupt):
        raise
    except BaseException as error:  # whatever it is, the dependency is of no use now
        log.warning("a probe failed", extra={"dependency": probe.name, "error": type(error).__name__})
        return Finding("down", "failed")


def _health(status: Literal["live", "ready", "not_ready"], states: list[DependencyState]) -> Health:
    return Health(status=status, version=None, commit=None, package_digest=None, dependencies=states)
