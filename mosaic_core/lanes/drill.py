"""Drills: failures on purpose, only where the setting ``Drill__Enabled`` is on.

A command asks for one by its client reference (a message's clientMessageId, an ingestion's batchId), no part of
the request: ``drill-fail-2-…`` fails the first two attempts, ``drill-fail-always-…`` every one, ``drill-sleep-500-…``
holds each attempt for that many milliseconds.
"""

from __future__ import annotations

import asyncio
import logging
import re
from dataclasses import dataclass
from typing import Final

from mosaic_core.domain.errors import LaneError
from mosaic_core.lanes.context import LaneContext, LaneHandler, LaneResult

log = logging.getLogger(__name__)

_ORDER: Final = re.compile(r"drill-(?P<what>fail|sleep)-(?P<value>\d{1,5}|always)(-|$)")


@dataclass(frozen=True, slots=True)
class Drilled:
    """A lane that obeys drill orders before it does its work."""

    handler: LaneHandler

    async def __call__(self, context: LaneContext) -> LaneResult:
        order = _ORDER.match(context.envelope.client_reference_id or "")
        if order is None:
            return await self.handler(context)
        log.warning("DRILL: a failure on purpose was asked for", extra={"drill": order[0]})
        if order["what"] == "sleep" and order["value"] != "always":
            await asyncio.sleep(int(order["value"]) / 1000)
        elif order["what"] == "fail" and (order["value"] == "always" or context.attempt <= int(order["value"])):
            async with context.log.stage("drill", "drill/1"):
                raise LaneError("a drill made this attempt fail", code="drill_failure")
        return await self.handler(context)
