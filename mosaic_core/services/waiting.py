"""Long polls: a request that waits for a change, without holding anything but its place in the process.

Between two looks a waiting call is a timer of the event loop: no thread, no connection, no lock. It waits by the
process's own monotonic clock, ends when the worker drains, and where its task is cancelled its place is free at once.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Set
from dataclasses import dataclass, field
from typing import Final, Self

from pydantic import BaseModel

from mosaic_core.services.drain import Drain

MAX_WAIT_SECONDS: Final = 25
"""What a call may ask for: far below the 230 s after which the platform's front end gives a request up."""

MOST_WAITING: Final = 8
"""Calls of one instance that wait at once. Each takes one of the HTTP requests that the platform lets an instance have
(16 by the infrastructure's default), so that half of them are left for those who do not wait."""

MOST_OF_ONE_HOUSEHOLD: Final = 4

FIRST_LOOK_SECONDS: Final = 0.25
LONGEST_PAUSE_SECONDS: Final = 2.0
_GROWTH: Final = 1.5

RETRY_AFTER_SECONDS: Final = 5
"""For who finds no place to wait in."""


type Look = Callable[[], Awaitable[bool]]
"""A cheap look at what an answer was made of: whether it may have changed since."""


@dataclass(frozen=True, slots=True)
class Written[T: BaseModel]:
    """An answer with its JSON text, and what stands for its content: an entity tag."""

    answer: T
    text: str
    tag: str

    @classmethod
    def of(cls, answer: T, *, without: Set[str] = frozenset()) -> Self:
        """Written once, for both: a weak tag of the content but for the fields that are another's in each answer."""
        content = answer.model_dump_json(by_alias=True, exclude=set(without))
        tag = f'W/"{hashlib.sha256(content.encode()).hexdigest()[:32]}"'
        own = answer.model_dump_json(by_alias=True, include=set(without)) if without else "{}"
        parts = [part for part in (own[1:-1], content[1:-1]) if part]
        return cls(answer, f"{{{','.join(parts)}}}", tag)


@dataclass(frozen=True, slots=True)
class Seen[T: BaseModel]:
    """An answer, and how to look whether it has changed since. ``is_news``: it holds what changed since a time that
    the caller named, so there is nothing to wait for."""

    written: Written[T]
    look: Look
    is_news: bool = False


@dataclass(frozen=True, slots=True)
class Waited[T: BaseModel]:
    """What there is after a wait. ``is_known``: the caller has seen just that. ``retry_after``: seconds to stay away,
    where there was no place to wait in."""

    written: Written[T]
    is_known: bool = False
    retry_after: int | None = None


def is_same_tag(seen: str, tag: str) -> bool:
    """Whether ``If-None-Match`` names the tag, in the weak comparison (RFC 9110, 13.1.2)."""
    names = {name.strip().removeprefix("W/") for name in seen.split(",")}
    return "*" in names or tag.removeprefix("W/") in names


@dataclass(slots=True)
class Waiting:
    """The places in which calls of this instance wait. ``monotonic`` and ``sleep`` are the event loop's time. Not
    thread-safe: use it on the worker's event loop."""

    drain: Drain = field(default_factory=Drain)
    most: int = MOST_WAITING
    most_of_one: int = MOST_OF_ONE_HOUSEHOLD
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    _taken: Counter[str] = field(default_factory=Counter)

    @property
    def count(self) -> int:
        """How many wait now."""
        return self._taken.total()

    async def for_change[T: BaseModel](
        self, household_id: str, read: Callable[[], Awaitable[Seen[T]]], *, seconds: int, seen: str
    ) -> Waited[T]:
        """What ``read`` finds, at the first change; at the end of the wait (0: at once) whatever there is then.

        ``seen`` is the tag that the caller has (empty: none): where it stands for something else than what there is,
        that is the change. Without one it is what changes from this call on, unless the answer is news already.
        """
        found = await read()
        first = found.written.tag
        news = not is_same_tag(seen, first) if seen else found.is_news
        if news or not seconds or self.drain.draining:
            return self._waited(found, seen)
        if self.count >= self.most or self._taken[household_id] >= self.most_of_one:
            return self._waited(found, seen, RETRY_AFTER_SECONDS)
        self._taken[household_id] += 1
        try:
            end, pause = self.monotonic() + seconds, FIRST_LOOK_SECONDS
            while found.written.tag == first and not self.drain.draining and (left := end - self.monotonic()) > 0:
                await self.drain.pause(self.sleep(min(pause, left)))
                pause = min(pause * _GROWTH, LONGEST_PAUSE_SECONDS)
                over = self.monotonic() >= end or self.drain.draining
                # at the end all of it is read again: the look is cheap, and sees less
                if over or await found.look():
                    found = await read()
        finally:
            self._taken[household_id] -= 1
            if not self._taken[household_id]:
                del self._taken[household_id]
        return self._waited(found, seen)

    def _waited[T: BaseModel](self, found: Seen[T], seen: str, retry_after: int | None = None) -> Waited[T]:
        known = bool(seen) and is_same_tag(seen, found.written.tag)
        return Waited(found.written, is_known=known, retry_after=retry_after)
