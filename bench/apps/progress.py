"""What the bench apps share: a gate that holds deliveries until all are queued, and how far they have come.

The times are taken in the worker itself, right after each delivery was settled, so that nobody's polling is measured.
"""

from __future__ import annotations

import asyncio
import json
import time
from array import array

import azure.functions as func


class Progress:
    """Of one event loop. ``gate`` is open at first."""

    def __init__(self) -> None:
        self._gate = asyncio.Event()
        self._gate.set()
        self._ends = array("d")
        self._opened_cpu = 0.0

    async def entered(self) -> None:
        """Wait until deliveries may go on."""
        await self._gate.wait()

    def ended(self) -> None:
        """One delivery was settled."""
        self._ends.append(time.perf_counter())

    def create_blueprint(self) -> func.Blueprint:
        blueprint = func.Blueprint()

        async def hold(req: func.HttpRequest) -> func.HttpResponse:
            self._gate.clear()
            return self._tell()

        async def release(req: func.HttpRequest) -> func.HttpResponse:
            del self._ends[:]
            self._opened_cpu = time.process_time()
            self._gate.set()
            return self._tell()

        async def progress(req: func.HttpRequest) -> func.HttpResponse:
            return self._tell()

        for handler, method in ((hold, "POST"), (release, "POST"), (progress, "GET")):
            route = blueprint.route(route=handler.__name__, methods=[method])
            blueprint.function_name(handler.__name__)(route(handler))
        return blueprint

    def _tell(self) -> func.HttpResponse:
        """``handled`` since the gate opened, ``seconds`` from the first settlement to the last, ``cpuSeconds`` of this
        process meanwhile."""
        seconds = self._ends[-1] - self._ends[0] if self._ends else 0.0
        told = {
            "handled": len(self._ends),
            "seconds": seconds,
            "cpuSeconds": time.process_time() - self._opened_cpu,
        }
        return func.HttpResponse(json.dumps(told), mimetype="application/json")
