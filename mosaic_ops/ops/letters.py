"""Dead letters as the API tells them; by a look into the queues themselves where the API cannot be asked, or does not
let the caller. Neither receives."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from mosaic_core.domain.ids import clean
from mosaic_core.domain.lanes import Lane
from mosaic_ops.ops import queues
from mosaic_ops.ops.api import Json
from mosaic_ops.ops.errors import OpsError, UnreachableError, UsageError
from mosaic_ops.ops.here import Here, queues_of
from mosaic_ops.ops.queues import DeadLetter, Group

DENIED = "role_required"


@dataclass(frozen=True, slots=True)
class Letters:
    here: Here

    def of(self, lane: Lane | None, limit: int, *, named: str | None = None) -> list[DeadLetter]:
        """The oldest ``limit`` of each lane, oldest first; of them those that an id names, where one is given."""

        def told(one: Lane) -> list[DeadLetter]:
            asked = clean(named) if named is not None else None
            rows, _ = self.here.api.pages("/ops/dead-letters", "deadLetters", limit, lane=one, id=asked)
            return [queues.of_api(row) for row in rows]

        def by_api() -> list[DeadLetter]:
            lanes = [lane] if lane is not None else list(Lane)
            with ThreadPoolExecutor(len(lanes)) as pool:
                return [letter for found in pool.map(told, lanes) for letter in found]

        def by_peeking() -> list[DeadLetter]:
            found = self._peeked(lane, limit if named is None else queues.MOST)
            return found if named is None else [letter for letter in found if queues.is_named(letter, named)]

        return self._either(by_api, by_peeking)

    def groups(self, lane: Lane | None) -> list[Group]:
        """The largest first."""
        return self._either(
            lambda: [queues.group_of_api(group) for group in self.api_groups(lane)],
            lambda: queues.groups(self._peeked(lane, queues.MOST)),
        )

    def api_groups(self, lane: Lane | None = None) -> list[Json]:
        found: list[Json] = self.here.api.get("/ops/dead-letters/groups", lane=lane)["groups"]
        return found

    def _peeked(self, lane: Lane | None, limit: int) -> list[DeadLetter]:
        named = dict(queues_of(self.here))
        return asyncio.run(self.here.queues.dead_letters(queues.lanes_of(lane, named), limit))

    def _either[T](self, by_api: Callable[[], T], by_peeking: Callable[[], T]) -> T:
        try:
            return by_api()
        except OpsError as refused:
            if not isinstance(refused, UnreachableError) and refused.api_code != DENIED:
                raise
            try:
                return by_peeking()
            except UsageError:
                raise refused from None
