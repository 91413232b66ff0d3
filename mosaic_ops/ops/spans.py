"""Spans of the traces that a command is in: from the embedded stack's files, or from the Log Analytics workspace."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mosaic_ops.ops import telemetry
from mosaic_ops.ops.errors import OpsError
from mosaic_ops.smoke.workspace import rows_of

if TYPE_CHECKING:
    from azure.monitor.query.aio import LogsQueryClient

type Span = dict[str, Any]

MOST: Final = 2_000
BACK: Final = timedelta(hours=4)
LANE: Final = "runtime.lane"
POLL_SECONDS: Final = 15.0

QUERY: Final = """\
let traces = union AppRequests, AppDependencies
  | where tostring(Properties.commandId) == '{command_id}' | distinct OperationId;
union AppRequests, AppDependencies
| where OperationId in (traces)
| project TimeGenerated, DurationMs, Name, OperationId, Id, ParentId, Success, Properties
| order by TimeGenerated asc
| take {most}
"""


@dataclass(frozen=True, slots=True)
class OfFiles:
    """The embedded stack writes a span a moment after it ended."""

    state: Path
    seconds: float = 3.0

    async def __call__(self, command_id: str) -> list[Span]:
        return await _until_lane(lambda: asyncio.to_thread(self._read, command_id), self.seconds, 0.2)

    def _read(self, command_id: str) -> list[Span]:
        try:
            named = telemetry.spans(self.state, None, MOST, command_id)
            found = {str(span["spanId"]): span for span in named}
            for trace_id in {str(span["traceId"]) for span in named}:
                found |= {str(span["spanId"]): span for span in telemetry.spans(self.state, None, MOST, trace_id)}
        except OpsError:  # there is no telemetry yet
            return []
        return sorted(found.values(), key=lambda span: (str(span["startTime"]), str(span["spanId"])))


@dataclass(frozen=True, slots=True)
class OfWorkspace:
    """Azure Monitor takes minutes to show what it has been sent. ``client`` belongs to whoever opened it."""

    client: LogsQueryClient
    workspace_id: str
    seconds: float

    async def __call__(self, command_id: str) -> list[Span]:
        return await _until_lane(lambda: self._ask(command_id), self.seconds, POLL_SECONDS)

    async def _ask(self, command_id: str) -> list[Span]:
        query = QUERY.format(command_id=command_id, most=MOST)
        return [span_of(row) for row in await rows_of(self.client, self.workspace_id, query, BACK)]


def span_of(row: Any) -> Span:
    """A row of Application Insights in the words of the embedded stack's files."""
    said = row["Properties"]
    attributes = json.loads(said) if isinstance(said, str) else dict(said or {})
    took = float(row["DurationMs"] or 0)
    return {
        "name": str(row["Name"]),
        "service.name": str(attributes.get("service.name", "")),
        "traceId": str(row["OperationId"]),
        "spanId": str(row["Id"]),
        "parentSpanId": str(row["ParentId"] or "") or None,
        "startTime": row["TimeGenerated"].isoformat().replace("+00:00", "Z"),
        "endTime": (row["TimeGenerated"] + timedelta(milliseconds=took)).isoformat().replace("+00:00", "Z"),
        "durationMs": took,
        "status": "ERROR" if row["Success"] is False else "UNSET",
        "attributes": attributes,
    }


async def _until_lane(look: Callable[[], Awaitable[list[Span]]], seconds: float, poll: float) -> list[Span]:
    """Until a worker's span of the command's work is there: the API's came before it."""
    deadline = time.monotonic() + seconds
    while True:
        found = await look()
        if any(span["name"] == LANE for span in found) or time.monotonic() >= deadline:
            return found
        await asyncio.sleep(poll)
