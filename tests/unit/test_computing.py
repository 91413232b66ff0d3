"""What runs beside the loop ends when its attempt does."""

from __future__ import annotations

import asyncio
import contextvars
import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date

import pytest

from mosaic_core import computing
from mosaic_core.computing import StoppedError, checkpoint, compute, unless_stopped
from mosaic_core.domain.envelope import TransactionLine
from mosaic_core.domain.lanes import Lane
from mosaic_core.domain.transactions import Transaction
from mosaic_core.lanes import ingestion
from mosaic_core.lanes.context import LaneContext, LaneResult, succeeded
from mosaic_core.ledger.anomalies import find_anomalies
from mosaic_core.ledger.categories.categorise import HouseholdContext
from mosaic_core.ledger.transfers import match_transfers
from mosaic_core.services.limits import DeliveryLimits
from tests.support.ledgers import row
from tests.support.world import World
from tests.unit.test_scaling import merchants_seen_once

_name: contextvars.ContextVar[str] = contextvars.ContextVar("name", default="")


class Grinding:
    """A computation whose own end is far off (a thread without any would keep the process from ending), and what is
    known of it from outside."""

    def __init__(self) -> None:
        self.began = threading.Event()
        self.ended = threading.Event()

    def __call__(self) -> None:
        self.began.set()
        own_end = time.monotonic() + 3 * computing.ENDS_WITHIN
        try:
            while time.monotonic() < own_end:
                for _ in unless_stopped(range(1000)):
                    pass
        finally:
            self.ended.set()


async def until(event: threading.Event) -> None:
    assert await asyncio.get_running_loop().run_in_executor(None, event.wait, 10)


async def test_it_gives_what_the_function_gives() -> None:
    def work(a: int, *, b: int) -> tuple[int, str, bool]:
        return a + b, _name.get(), threading.current_thread() is threading.main_thread()

    _name.set("here")
    assert await compute(work, 1, b=2) == (3, "here", False)


async def test_it_raises_what_the_function_raises() -> None:
    def work() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await compute(work)


async def test_a_cancelled_attempts_thread_ends_with_it() -> None:
    grinding = Grinding()
    attempt = asyncio.create_task(compute(grinding))
    await until(grinding.began)
    attempt.cancel()
    with pytest.raises(asyncio.CancelledError):
        await attempt
    assert grinding.ended.is_set(), "the attempt was over before its thread"


async def test_an_attempt_does_not_wait_for_ever_for_a_thread_that_does_not_look(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(computing, "ENDS_WITHIN", 0.01)
    began, go_on = threading.Event(), threading.Event()

    def deaf() -> None:
        began.set()
        go_on.wait(10)
        raise ValueError("nobody listens")

    attempt = asyncio.create_task(compute(deaf))
    await until(began)
    attempt.cancel()
    with pytest.raises(asyncio.CancelledError):
        await attempt
    assert "has not ended yet" in caplog.text
    go_on.set()


async def test_what_waits_for_a_thread_never_begins_once_nobody_wants_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(computing, "ENDS_WITHIN", 0.01)
    loop, began = asyncio.get_running_loop(), asyncio.Event()
    go_on, ran = threading.Event(), list[str]()

    def first() -> None:
        loop.call_soon_threadsafe(began.set)
        go_on.wait(10)

    with ThreadPoolExecutor(1) as one_thread:
        loop.set_default_executor(one_thread)
        busy = asyncio.create_task(compute(first))
        await began.wait()
        waiting = asyncio.create_task(compute(ran.append, "ran"))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        go_on.set()
        await busy
    assert ran == []


def test_outside_of_an_attempt_nothing_is_stopped() -> None:
    checkpoint()
    assert list(unless_stopped(range(600))) == list(range(600))


async def test_one_attempts_end_is_not_anothers() -> None:
    grinding, steps = Grinding(), threading.Event()

    def work() -> int:
        steps.wait(10)
        return sum(1 for _ in unless_stopped(range(600)))

    other = asyncio.create_task(compute(work))
    attempt = asyncio.create_task(compute(grinding))
    await until(grinding.began)
    attempt.cancel()
    with pytest.raises(asyncio.CancelledError):
        await attempt
    steps.set()
    assert await other == 600


class Looks(threading.Event):
    """Never set; counts how often it is looked at."""

    looks = 0

    def is_set(self) -> bool:
        self.looks += 1
        return False


def _lines(n: int) -> list[TransactionLine]:
    return [TransactionLine.model_validate_json(line) for line in _data(n).splitlines()]


def _data(n: int) -> bytes:
    rows = (
        {"transactionId": f"t{i}", "postedOn": "2026-06-01", "amount": "-5", "currency": "USD", "description": f"D {i}"}
        for i in range(n)
    )
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def _transfers(n: int) -> list[Transaction]:
    return [
        replace(row(date(2026, 6, 1), "TRANSFER", "-5", tx_id=f"t{i}", account="a"), category="TRANSFER_OUT")
        for i in range(n)
    ]


@pytest.mark.parametrize(
    "work",
    [
        pytest.param(lambda: ingestion._parse(_data(3000)), id="a batch is read"),
        pytest.param(lambda: ingestion._categorised(_lines(3000), "a", HouseholdContext()), id="categorised"),
        pytest.param(lambda: match_transfers(_transfers(3000), []), id="transfers"),
        pytest.param(
            lambda: find_anomalies(merchants_seen_once(3000), as_of=date(2026, 6, 30), lookback_days=180), id="sweep"
        ),
    ],
)
def test_every_long_computation_looks_every_few_hundred_rows(work: Callable[[], object]) -> None:
    looks, context = Looks(), contextvars.copy_context()
    context.run(computing._stopped.set, looks)
    context.run(work)
    assert looks.looks >= 3000 // 256


def test_who_computes_is_told_by_an_error_of_its_own() -> None:
    def work() -> None:
        stopped = threading.Event()
        computing._stopped.set(stopped)
        stopped.set()
        checkpoint()

    with pytest.raises(StoppedError):
        contextvars.copy_context().run(work)


async def test_a_lane_over_its_deadline_leaves_no_thread_behind() -> None:
    """Five attempts are cut off; at no time do two of them compute, and at the end none does."""
    at_work, most = 0, 0
    lock = threading.Lock()

    def grind() -> None:
        nonlocal at_work, most
        with lock:
            at_work += 1
            most = max(most, at_work)
        try:
            while True:
                checkpoint()
        finally:
            with lock:
                at_work -= 1

    async def lane(context: LaneContext) -> LaneResult:
        await compute(grind)
        return succeeded("never", "never")

    world = World(lane, max_deliveries=20)
    await world.send(recorded=True)
    while (message := world._next()) is not None:
        limits = DeliveryLimits(lane_deadline=0.05)
        await replace(world.service(), limits=limits).deliver(Lane.CONVERSATION, message)
    assert (await world.run_row()).failure_code == "lane_timeout"
    assert (at_work, most) == (0, 1)
