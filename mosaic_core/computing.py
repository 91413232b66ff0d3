"""Long sums beside the event loop that end when their attempt does.

A thread cannot be cut off: what it computes has to look whether anybody still waits for it. `compute` runs a function
on a thread; the function, however deep, calls `checkpoint` or goes over its rows with `unless_stopped`, which raise
`StoppedError` once the attempt is over. Outside of `compute` both do nothing, so a pure function stays one.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar, copy_context
from functools import partial
from typing import Any, Final

from mosaic_core.domain.errors import MosaicError

log = logging.getLogger(__name__)

ENDS_WITHIN: Final = 2.0
"""Seconds for which an attempt that is cut off waits for its thread to notice."""

_EVERY: Final = 256
"""Rows between two looks."""

_stopped: ContextVar[threading.Event | None] = ContextVar("stopped", default=None)


class StoppedError(MosaicError):
    """Nobody waits for what is being computed: raised on the thread, never seen by who awaits `compute`."""

    code = "computing_stopped"


def checkpoint() -> None:
    """Raises StoppedError where this runs for an attempt that is over."""
    stopped = _stopped.get()
    if stopped is not None and stopped.is_set():
        raise StoppedError("the attempt is over")


def unless_stopped[T](items: Iterable[T]) -> Iterator[T]:
    """The items, with a `checkpoint` every few hundred."""
    for number, item in enumerate(items):
        if number % _EVERY == 0:
            checkpoint()
        yield item


INLINE_CHARACTERS: Final = 160
"""Of a person's text: what is judged of a longer one may take tens of milliseconds."""

INLINE_BYTES: Final = 64 * 1024
"""Of JSON."""

INLINE_ROWS: Final = 2_000
"""Of a ledger that are only gone over."""


async def compute_over[**P, T](size: int, inline: int, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """`compute` for what is larger than ``inline``; the small is done at once, which is faster than any thread."""
    if size <= inline:
        return work(*args, **kwargs)
    return await compute(work, *args, **kwargs)


async def compute[**P, T](work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """``work(*args, **kwargs)`` on a thread, context variables included; the loop stays free.

    Where the caller is cancelled the thread is told to stop, and is waited for a moment (`ENDS_WITHIN`): a second
    attempt does not compute beside the first.
    """
    stopped = threading.Event()
    context = copy_context()
    context.run(_stopped.set, stopped)

    def begin() -> T:
        checkpoint()  # it may have waited for a thread until nobody wanted it
        return work(*args, **kwargs)

    running = asyncio.get_running_loop().run_in_executor(None, partial(context.run, begin))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        stopped.set()
        running.add_done_callback(_look_at)
        await asyncio.wait({running}, timeout=ENDS_WITHIN)
        if not running.done():
            log.warning("what was computed for an attempt that is over has not ended yet")
        raise


def _look_at(running: asyncio.Future[Any]) -> None:
    """Whatever it came to is nobody's; unread, the loop would tell of it as a fault."""
    if not running.cancelled():
        running.exception()
