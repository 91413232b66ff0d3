"""Several at once: all have ended when the caller has its answer, whichever way it went."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from mosaic_core.concurrency import each, together
from mosaic_core.domain.errors import StoreUnreachableError
from tests.support.faults import ProcessDied


class Writer:
    """Writes in steps, until it is cut off; says when it has really ended."""

    def __init__(self) -> None:
        self.began = asyncio.Event()
        self.writes = 0
        self.ended = False

    async def __call__(self, *, tidying: int = 3) -> None:
        self.began.set()
        try:
            while True:
                self.writes += 1
                await asyncio.sleep(0)
        finally:
            for _ in range(tidying):  # a write under way takes its time to end
                await asyncio.sleep(0)
            self.ended = True


async def fails(after: Writer, error: BaseException) -> None:
    await after.began.wait()
    raise error


async def value[T](of: T, steps: int) -> T:
    for _ in range(steps):
        await asyncio.sleep(0)
    return of


type Several = Callable[..., Awaitable[Any]]


async def by_each(*work: Awaitable[Any]) -> list[Any]:
    async def itself(one: Awaitable[Any]) -> Any:
        return await one

    return await each(work, itself)


BOTH = pytest.mark.parametrize("several", [together, by_each])


@BOTH
async def test_results_come_in_order_whoever_ends_first(several: Several) -> None:
    assert list(await several(value("slow", 9), value("quick", 0), value("middling", 3))) == [
        "slow",
        "quick",
        "middling",
    ]


@BOTH
@pytest.mark.parametrize(
    "error", [StoreUnreachableError("away"), ValueError("wrong"), ProcessDied("here")], ids=lambda e: type(e).__name__
)
async def test_the_first_error_is_raised_as_it_is_and_nothing_is_written_after_it(
    several: Several, error: BaseException
) -> None:
    writer = Writer()
    with pytest.raises(type(error)) as caught:
        await several(writer(), fails(writer, error))
    assert caught.value is error
    assert writer.ended
    written = writer.writes
    await value(None, 20)
    assert writer.writes == written


@BOTH
async def test_the_cause_of_an_error_is_kept(several: Several) -> None:
    async def wrapped() -> None:
        try:
            raise OSError("the wire")
        except OSError as error:
            raise StoreUnreachableError("away") from error

    with pytest.raises(StoreUnreachableError) as caught:
        await several(wrapped(), value(1, 1))
    assert isinstance(caught.value.__cause__, OSError)


@BOTH
async def test_the_first_of_several_errors_counts(several: Several) -> None:
    async def fails_when_cut_off() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise ValueError("while ending")

    writer = Writer()
    with pytest.raises(StoreUnreachableError):
        await several(fails_when_cut_off(), writer(), fails(writer, StoreUnreachableError("away")))


@BOTH
async def test_cut_off_from_outside_all_have_ended_before_the_caller_goes_on(several: Several) -> None:
    one, other = Writer(), Writer()
    task = asyncio.ensure_future(several(one(), other()))
    await one.began.wait()
    await other.began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert one.ended
    assert other.ended


@BOTH
async def test_one_that_was_cut_off_by_somebody_else_is_no_result(several: Several) -> None:
    async def cut_off() -> None:
        raise asyncio.CancelledError

    ended: list[str] = []

    async def ends() -> None:
        await value(None, 5)
        ended.append("the other")

    with pytest.raises(asyncio.CancelledError):
        await several(cut_off(), ends())
    assert ended == ["the other"]


async def test_no_more_than_so_many_are_under_way() -> None:
    running, most = 0, 0

    async def work(item: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await value(None, item % 3)
        running -= 1
        return item * 2

    assert await each(range(20), work, at_once=3) == [item * 2 for item in range(20)]
    assert most == 3


async def test_what_had_not_begun_when_one_failed_never_begins() -> None:
    begun: list[int] = []

    async def work(item: int) -> None:
        begun.append(item)
        await asyncio.sleep(0)
        if item == 1:
            raise StoreUnreachableError("away")

    with pytest.raises(StoreUnreachableError):
        await each(range(100), work, at_once=2)
    assert max(begun) < 6


async def test_nothing_at_once_is_nothing() -> None:
    assert await each(list[int](), lambda item: value(item, 0)) == []
