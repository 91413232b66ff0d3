"""An attempt is over when its threads are.

A thread cannot be cut off: a lane that is cancelled leaves what it gave to `asyncio.to_thread` running, beside the next
attempt. So threads are counted by the attempt that began them, and it does not end before they have.
"""

from __future__ import annotations

import asyncio
import contextvars
import os
import weakref
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final

_OF_ATTEMPT: Final[contextvars.ContextVar[set[Future[Any]] | None]] = contextvars.ContextVar("threads", default=None)
_INSTALLED: Final[weakref.WeakSet[asyncio.AbstractEventLoop]] = weakref.WeakSet()


class _Counting(ThreadPoolExecutor):
    def submit[**P, T](self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future = super().submit(fn, *args, **kwargs)
        begun = _OF_ATTEMPT.get()
        if begun is not None:
            begun.add(future)
            future.add_done_callback(begun.discard)
        return future


class Threads:
    """Those of one attempt. `begin` is called in the task that begins them."""

    def __init__(self) -> None:
        self._begun: set[Future[Any]] = set()

    def begin(self) -> None:
        """From here on the current task's calls to `asyncio.to_thread` are this attempt's."""
        loop = asyncio.get_running_loop()
        if loop not in _INSTALLED:
            # what asyncio would make by itself, but counting
            loop.set_default_executor(_Counting(min(32, (os.process_cpu_count() or 1) + 4), "attempt"))
            _INSTALLED.add(loop)
        _OF_ATTEMPT.set(self._begun)

    @property
    def at_work(self) -> bool:
        return bool(self._begun)

    async def ended(self, seconds: float) -> bool:
        """Wait for them, so long at most. False: some are still at work."""
        left = {asyncio.wrap_future(future) for future in tuple(self._begun)}
        if not left:
            return True
        _, running = await asyncio.wait(left, timeout=seconds)
        return not running
