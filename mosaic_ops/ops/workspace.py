"""A deployment's log lines and traces, from its Log Analytics workspace, in the words of the embedded stack's files."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from mosaic_ops.ops import telemetry
from mosaic_ops.ops.errors import UnreachableError, UsageError
from mosaic_ops.ops.spans import span_of
from mosaic_ops.ops.telemetry import Line
from mosaic_ops.smoke.errors import NotReachableError
from mosaic_ops.smoke.workspace import rows_of

if TYPE_CHECKING:
    from azure.monitor.query.aio import LogsQueryClient

BACK: Final = timedelta(days=1)
MOST_SPANS: Final = 10_000

_ID: Final = re.compile(r"[A-Za-z0-9:._-]{1,128}")
"""What goes into a query's text ends no string of it."""

_LEVELS: Final = ("VERBOSE", "INFO", "WARNING", "ERROR", "CRITICAL")
"""Application Insights' severity levels, by number."""

_IDS: Final = """\
| extend commandId = tostring(Properties.commandId), messageId = tostring(Properties.messageId)
| extend runId = tostring(Properties.runId), correlationId = tostring(Properties.correlationId)
| where "{asked}" in (commandId, messageId, runId, correlationId, OperationId)
"""
_OF_API: Final = " or ".join(f'logger startswith "{name}"' for name in telemetry.API_LOGGERS)


def logs_query(service: str | None, count: int, asked: str | None) -> str:
    """The newest log lines, newest first; ``service`` None: of the whole app."""
    of_service = f"({_OF_API})" if service == "api" else f"not({_OF_API})"
    return (
        "AppTraces\n"
        + "| extend logger = tostring(Properties.logger_name)\n"
        + (f"| where {of_service}\n" if service is not None else "")
        + _named(asked)
        + "| project TimeGenerated, SeverityLevel, Message, OperationId, Properties\n"
        + "| order by TimeGenerated desc\n"
        + f"| take {count}\n"
    )


def traces_query(service: str, count: int, asked: str | None) -> str:
    """Every span of the newest traces that the service has a part in."""
    return (
        "let newest = AppRequests\n"
        + "| union AppDependencies\n"
        + f'| where tostring(Properties["service.name"]) == "{telemetry.SERVICES[service]}"\n'
        + _named(asked)
        + "| summarize seen = max(TimeGenerated) by OperationId\n"
        + "| order by seen desc\n"
        + f"| take {count}\n"
        + "| project OperationId;\n"
        + "newest\n"
        + "| join kind=inner (AppRequests | union AppDependencies) on OperationId\n"
        + "| project TimeGenerated, DurationMs, Name, OperationId, Id, ParentId, Success, Properties\n"
        + "| order by TimeGenerated desc\n"
        + f"| take {MOST_SPANS}\n"
    )


def _named(asked: str | None) -> str:
    if asked is None:
        return ""
    if not _ID.fullmatch(asked):
        raise UsageError("--id is no id: letters, digits, and : . _ - alone")
    return _IDS.format(asked=asked)


@dataclass(frozen=True, slots=True)
class Workspace:
    """Of the last day. Raises `UnreachableError` where it does not answer, or the caller may not read it. ``client``
    belongs to whoever opened it."""

    client: LogsQueryClient
    workspace_id: str

    async def log_lines(self, service: str | None, count: int, asked: str | None = None) -> list[Line]:
        """The newest, oldest first."""
        rows = await self._ask(logs_query(service, count, asked))
        return [_line(row) for row in reversed(rows)]

    async def traces(self, service: str, count: int, asked: str | None = None) -> list[Line]:
        """The newest first, as `telemetry.traces` has them."""
        found: dict[str, list[Line]] = {}
        for row in await self._ask(traces_query(service, count, asked)):
            span = span_of(row)
            found.setdefault(span["traceId"], []).append(span)
        told = [telemetry.trace_of(trace_id, its) for trace_id, its in found.items()]
        return sorted(told, key=lambda trace: str(trace["startTime"]), reverse=True)[:count]

    async def _ask(self, query: str) -> list[Any]:
        try:
            return await rows_of(self.client, self.workspace_id, query, BACK)
        except NotReachableError as error:
            raise UnreachableError(str(error)) from None


def _line(row: Any) -> Line:
    said = row["Properties"]
    fields = json.loads(said) if isinstance(said, str) and said else dict(said or {})
    logger = fields.pop("logger_name", None)
    level = row["SeverityLevel"]
    return {
        **fields,
        "time": row["TimeGenerated"].isoformat().replace("+00:00", "Z"),
        "level": _LEVELS[level] if isinstance(level, int) and 0 <= level < len(_LEVELS) else str(level),
        "logger": logger,
        "message": str(row["Message"]),
        "traceId": str(row["OperationId"] or "") or None,
    }


@asynccontextmanager
async def opened(workspace_id: str) -> AsyncIterator[Workspace]:
    from azure.identity.aio import DefaultAzureCredential
    from azure.monitor.query.aio import LogsQueryClient

    async with DefaultAzureCredential() as credential, LogsQueryClient(credential) as client:
        yield Workspace(client, workspace_id)


def ask[T](workspace_id: str, question: Callable[[Workspace], Awaitable[T]]) -> T:
    async def run() -> T:
        async with opened(workspace_id) as workspace:
            return await question(workspace)

    return asyncio.run(run())
