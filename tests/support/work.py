"""How much work a function is: loops and calls are counted, so the same input is the same figure on any machine."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import CodeType

from mosaic_core.agents.offline.reading import respelling
from mosaic_core.ledger import descriptors, rows
from mosaic_core.ledger.categories import categorise


def steps(function: Callable[[], object]) -> int:
    """Loops, calls and what generators give, while ``function`` runs. What its
    caches hold is forgotten before."""
    for cached in (
        descriptors.descriptor_words,
        descriptors._merchant_words,
        descriptors.clean_descriptor,
        descriptors.merchant_words,
        categorise._score,
        rows._text,
        rows._found,
        respelling._corrected,
    ):
        cached.cache_clear()
    count = 0
    events = sys.monitoring.events

    def counted(_code: CodeType, *_: object) -> None:
        nonlocal count
        count += 1

    tool = sys.monitoring.PROFILER_ID
    sys.monitoring.use_tool_id(tool, "steps")
    try:
        for event in (events.PY_START, events.PY_RESUME, events.JUMP):
            sys.monitoring.register_callback(tool, event, counted)
        sys.monitoring.set_events(tool, events.PY_START | events.PY_RESUME | events.JUMP)
        function()
    finally:
        sys.monitoring.free_tool_id(tool)  # with its events and callbacks
    return count
