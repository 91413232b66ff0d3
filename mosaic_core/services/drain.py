"""The worker's end: once it drains, no delivery begins and every lane that runs is ended without counting."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress


class Drain:
    """A one-way switch that running deliveries listen to. Not thread-safe: switch it on the worker's event loop."""

    def __init__(self) -> None:
        self.draining = False
        self._listeners: list[Callable[[], object]] = []

    def begin(self) -> None:
        if not self.draining:
            self.draining = True
            for listener in tuple(self._listeners):
                listener()

    def listen(self, listener: Callable[[], object]) -> None:
        """Call ``listener`` when the drain begins; at once where it has begun: a delivery that was let in before may
        come to its lane only now."""
        if self.draining:
            listener()
        else:
            self._listeners.append(listener)

    def forget(self, listener: Callable[[], object]) -> None:
        with suppress(ValueError):
            self._listeners.remove(listener)
