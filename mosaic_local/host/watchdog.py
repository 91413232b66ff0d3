"""Notices that an event loop of this process no longer turns: an app that blocks it, or a fault that never yields."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any, Protocol


class Loop(Protocol):
    def call_soon_threadsafe(self, callback: Callable[..., object], /, *args: Any) -> object: ...


class Watchdog:
    """Asks each loop for a sign of life once a second. ``limit``: how many may be missing in a row.

    Seconds are counted by its own turns and not by a clock, so that a process that was suspended is not blamed for it.
    """

    def __init__(self, loops: Mapping[str, Loop], limit: int) -> None:
        self._loops, self._limit = loops, limit
        self._missing = dict.fromkeys(loops, 0)

    def turn(self) -> str | None:
        """Once a second: the name of a loop that stands still, None where all turn."""
        for name, loop in self._loops.items():
            if self._missing[name] >= self._limit:
                return name
            self._missing[name] += 1
            try:
                loop.call_soon_threadsafe(self._alive, name)
            except RuntimeError:  # closed: the process is ending
                self._missing[name] = 0
        return None

    def _alive(self, name: str) -> None:
        self._missing[name] = 0

    def start(self, stalled: Callable[[str], None]) -> None:
        """Watches from a thread of its own; ``stalled`` is called there, once."""

        def watch() -> None:
            while (name := self.turn()) is None:
                pause.wait(1.0)
            stalled(name)

        pause = threading.Event()
        threading.Thread(target=watch, name="watchdog", daemon=True).start()
