"""Whether an attempt has begun to write its effects: from then on a cancellation lets it go on to its end.

An effect is a row that the household, or whoever works through its review queue, comes to see by itself. What is only
shown through the run (stages, an exchange's turns) is none: cut off, it is an attempt that came to nothing.
"""

from __future__ import annotations

import inspect
from dataclasses import replace
from typing import Any, Final, cast

from mosaic_core.ports import Stores

_EFFECTS: Final = ("ledger", "approvals", "annotations", "decisions", "signals")
_READS: Final = frozenset(
    {"read", "named", "of_run", "of_household", "between", "about", "listed_findings", "open_findings", "due"}
)


class EffectsBegun:
    """``stores`` are those of the lane: the first call of theirs that writes an effect is noted before it is made."""

    def __init__(self, stores: Stores) -> None:
        self.begun = False
        noted = {name: _Noting(getattr(stores, name), self) for name in _EFFECTS}
        self.stores = replace(stores, **cast("Any", noted))


class _Noting:
    def __init__(self, store: object, effects: EffectsBegun) -> None:
        self._store, self._effects = store, effects

    def __getattr__(self, name: str) -> Any:
        target = getattr(self._store, name)
        if name in _READS or not inspect.iscoroutinefunction(target):
            return target

        async def write(*args: Any, **kwargs: Any) -> Any:
            self._effects.begun = True
            return await target(*args, **kwargs)

        return write
