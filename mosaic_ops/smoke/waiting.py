"""Looking again until something is so."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from mosaic_ops.smoke.errors import NotReachableError


async def until[T](
    look: Callable[[], Awaitable[T]], good: Callable[[T], object], *, seconds: float, poll_seconds: float
) -> T:
    """What is seen once it is good, or when the time is over. Raises `NotReachableError` where nobody answered by
    then."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            seen = await look()
        except NotReachableError:
            if time.monotonic() >= deadline:
                raise
        else:
            if good(seen) or time.monotonic() >= deadline:
                return seen
        await asyncio.sleep(poll_seconds)
