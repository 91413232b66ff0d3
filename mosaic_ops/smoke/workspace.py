"""What of a command has arrived in the Log Analytics workspace."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol

from mosaic_ops.smoke.errors import NotReachableError

if TYPE_CHECKING:
    from azure.monitor.query.aio import LogsQueryClient

BACK: Final = timedelta(hours=2)
LANE_SPAN: Final = "runtime.lane"

QUERY: Final = """\
let trace = '{trace_id}';
let command = '{command_id}';
union
  (AppRequests | where OperationId == trace | summarize Count = count()
    | extend What = 'requests'),
  (AppDependencies | where OperationId == trace and Name == '{span}' | summarize Count = count()
    | extend What = 'spans'),
  (AppTraces | where tostring(Properties.commandId) == command | summarize Count = count()
    | extend What = 'logs')
| project What, Count
"""


@dataclass(frozen=True, slots=True)
class Arrived:
    """Rows about one command: requests of its trace, the app's own spans, its log lines."""

    requests: int = 0
    spans: int = 0
    logs: int = 0

    @property
    def missing(self) -> list[str]:
        named = {"requests": self.requests, "span of the app": self.spans, "log line of the command": self.logs}
        return [name for name, count in named.items() if not count]


class Workspace(Protocol):
    async def arrived(self, trace_id: str, command_id: str) -> Arrived:
        """Raises `NotReachableError`."""
        ...


async def rows_of(client: LogsQueryClient, workspace_id: str, query: str, back: timedelta) -> list[Any]:
    """The rows of the query's one table. Raises `NotReachableError`."""
    from azure.core.exceptions import AzureError

    try:
        result: Any = await client.query_workspace(workspace_id, query, timespan=back)
    except AzureError as error:
        raise NotReachableError(f"the workspace: {type(error).__name__}; it needs Log Analytics Reader") from error
    tables = getattr(result, "tables", None)
    if not tables:  # a partial answer is none
        raise NotReachableError("the workspace gave a partial answer")
    return list(tables[0].rows)


@dataclass(frozen=True, slots=True)
class LogAnalytics:
    """``client`` belongs to whoever opened it."""

    client: LogsQueryClient
    workspace_id: str

    async def arrived(self, trace_id: str, command_id: str) -> Arrived:
        query = QUERY.format(trace_id=trace_id, command_id=command_id, span=LANE_SPAN)
        rows = await rows_of(self.client, self.workspace_id, query, BACK)
        counts = {str(row["What"]): int(row["Count"]) for row in rows}
        return Arrived(counts.get("requests", 0), counts.get("spans", 0), counts.get("logs", 0))
