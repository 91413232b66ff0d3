"""The host's and the app's time in a stack for tests: one offset, laid over everything in this process that asks.

Nothing in an app knows of it: what Python's own clocks say is moved (time.time, datetime.now and their like; not
time.monotonic, which event loops and timeouts go by). AMQP links keep the machine's time, as the broker's end of them
does: a client whose tokens and heartbeats were thirty days old would do nothing but connect anew.
"""

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from mosaic_local.host.errors import HostConfigurationError

_PACKAGES = ("azure.servicebus", "azure.eventhub")
_CLIENTS = tuple(f"{package}.aio" for package in _PACKAGES)
_LINKS = ("._pyamqp", "._transport")
"""In the names of the SDK's modules that look after connections, links and their tokens."""


class MovableClock:
    """Stands where the machine's clock does until it is moved, and is not there before: only then is anything laid
    over Python's. One a process."""

    def __init__(self, ahead: timedelta = timedelta()) -> None:
        """``ahead``: by how much the stack's time was moved before this process began. Raises
        HostConfigurationError."""
        if importlib.util.find_spec("time_machine") is None:
            raise HostConfigurationError("a stack for tests needs the package time-machine, which is missing")
        self._moved: Any = None
        if ahead:
            self.advance(ahead)

    def advance(self, by: timedelta) -> None:
        """Safe on any thread."""
        if self._moved is None:
            import time_machine  # and with it pytest, where that is installed: not at each start

            _leave_links(time_machine.escape_hatch.time.time)
            self._moved = time_machine.travel(time.time(), tick=True).start()
            time.time()  # the first who asks sets it going
        self._moved.shift(by)


def _leave_links(real: Callable[[], float]) -> None:
    """The SDK's links go by the machine's time: from the first on, since those of two times would wait for weeks."""
    for client in _CLIENTS:  # an app may import its own late
        with suppress(ImportError):
            importlib.import_module(client)
    clock = SimpleNamespace(**{**vars(time), "time": real})
    for name, module in list(sys.modules.items()):
        if name.startswith(_PACKAGES) and any(part in name for part in _LINKS):
            if vars(module).get("time") is time:
                setattr(module, "time", clock)  # noqa: B010 - a module's, which has no such attribute for mypy
            if hasattr(module, "utc_now"):
                setattr(module, "utc_now", lambda: datetime.fromtimestamp(real(), UTC))  # noqa: B010
