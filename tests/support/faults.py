"""Faults at a chosen operation: every port's calls are counted, and one of them goes wrong.

``crash_before`` / ``crash_after``: the process dies; `ProcessDied` is what that looks like from inside. ``lost``: the
operation happens, its answer does not arrive. ``unsent``: it does not happen, and no answer arrives either. ``pause``:
the process stands still before it, until the plan's gate opens, and then goes on as if nothing had been.
"""

from __future__ import annotations

import asyncio
import inspect
from dataclasses import dataclass, field, fields
from typing import Any, Literal, cast

from mosaic_core.domain.errors import QueueUnavailableError, StoreUnreachableError
from mosaic_core.ports import Stores

type Kind = Literal["crash_before", "crash_after", "lost", "unsent", "pause"]
KINDS: tuple[Kind, ...] = ("crash_before", "crash_after", "lost", "unsent")


class ProcessDied(BaseException):
    """Not an Exception: nothing in the product may catch it, as nothing can catch a kill -9."""


@dataclass(slots=True)
class Plan:
    """Which operation (counted from 1 over all ports) goes wrong, and how. ``log`` names each operation that ran."""

    faults: dict[int, Kind] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    paused: asyncio.Event = field(default_factory=asyncio.Event)


def awaited(target: object) -> bool:
    """Whether a function or method is a coroutine's, by its code: `inspect` looks for much that no port has, and
    a single test may ask a hundred thousand times."""
    return bool(getattr(getattr(target, "__code__", None), "co_flags", 0) & inspect.CO_COROUTINE)


class Faulty:
    """A port whose awaited calls follow a plan. Plain calls (publish) and async iterators pass."""

    def __init__(self, port: object, name: str, plan: Plan, error: type[Exception]) -> None:
        self._port, self._name, self._plan, self._error = port, name, plan, error

    def __getattr__(self, attribute: str) -> Any:
        target = getattr(self._port, attribute)
        if not awaited(target):
            return target

        async def call(*args: Any, **kwargs: Any) -> Any:
            plan, what = self._plan, f"{self._name}.{attribute}"
            plan.log.append(what)
            fault = plan.faults.get(len(plan.log))
            if fault == "crash_before":
                raise ProcessDied(what)
            if fault == "unsent":
                raise self._error(f"no answer: {what}")
            if fault == "pause":
                plan.paused.set()
                await plan.gate.wait()
            answer = await target(*args, **kwargs)
            if fault == "crash_after":
                raise ProcessDied(what)
            if fault == "lost":
                raise self._error(f"answer lost: {what}")
            return answer

        return call


def faulty_stores(stores: Stores, plan: Plan) -> Stores:
    wrapped = {f.name: Faulty(getattr(stores, f.name), f.name, plan, StoreUnreachableError) for f in fields(stores)}
    return Stores(**cast("Any", wrapped))


def faulty_messaging[T](port: T, name: str, plan: Plan) -> T:
    return cast("T", Faulty(port, name, plan, QueueUnavailableError))
