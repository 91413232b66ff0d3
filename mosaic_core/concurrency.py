"""Several awaitables at once, structured: nothing of them runs on once the caller has its answer.

`asyncio.gather` lets the siblings of a failed one go on writing after the attempt that they belong to is over. Here the
first failure cancels the others, waits until they have ended, and is raised as it is (not in a group).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, Final, overload

AT_ONCE: Final = 8
"""How many requests one step of one command has under way, where nothing else is said."""


@overload
async def together[A, B](first: Coroutine[Any, Any, A], second: Coroutine[Any, Any, B], /) -> tuple[A, B]: ...
@overload
async def together[A, B, C](
    first: Coroutine[Any, Any, A], second: Coroutine[Any, Any, B], third: Coroutine[Any, Any, C], /
) -> tuple[A, B, C]: ...
@overload
async def together[A, B, C, D](
    first: Coroutine[Any, Any, A],
    second: Coroutine[Any, Any, B],
    third: Coroutine[Any, Any, C],
    fourth: Coroutine[Any, Any, D],
    /,
) -> tuple[A, B, C, D]: ...
async def together(*work: Coroutine[Any, Any, Any]) -> tuple[Any, ...]:
    """Their results, in order. The first error of any of them is raised once all have ended."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one) for one in work]
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from failed.exceptions[0].__cause__
    return tuple(task.result() for task in tasks)


async def each[T, R](items: Iterable[T], work: Callable[[T], Awaitable[R]], *, at_once: int = AT_ONCE) -> list[R]:
    """``work`` of every item, at most ``at_once`` under way; results in the items' order. Fails as `together` does."""
    gate = asyncio.Semaphore(at_once)

    async def one(item: T) -> R:
        async with gate:
            return await work(item)

    return list(await together(*(one(item) for item in items)))
