"""What Azure Monitor would hold of a stack's work: its spans and log lines, turned into envelopes by the exporter that
the deployed app uses, and these into rows as Log Analytics stores them.

``python -m tests.support.exported`` runs the app and writes infra/monitoring/emitted.json, which the check of the
queries reads.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from azure.data.tables import UpdateMode
from azure.data.tables.aio import TableServiceClient
from azure.monitor.opentelemetry.exporter.export.logs._exporter import _convert_log_to_envelope
from azure.monitor.opentelemetry.exporter.export.trace._exporter import _convert_span_to_envelope
from opentelemetry import trace
from opentelemetry.context import attach, detach
from opentelemetry.instrumentation.logging.handler import LoggingHandler
from opentelemetry.sdk._logs import LoggerProvider, ReadableLogRecord
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from mosaic_core import telemetry
from mosaic_core.domain import ids
from mosaic_local.demo.journey import Sent, ended
from mosaic_local.stack import Stack, StackOptions
from mosaic_ops.checks.infra.kql import EMITTED, ENUMERATED
from tests.support.live import CONVERSATION, INGESTION, SWEEP, Live, batch, guid, live, message

ROOT: Final = Path(__file__).resolve().parents[2]

SETTINGS: Final = {
    "Drill__Enabled": "true",
    "Retry__Seconds": "0.1,0.1,0.2,0.2",
    "Lease__Seconds": "3",
    "Lease__RenewSeconds": "1",
}

_RESOURCE: Final = Resource({"service.name": "app", "service.instance.id": "1"})
"""In Azure the worker's resource detector says which app and instance it is."""

_OF_TAGS: Final = {
    "ai.operation.id": "OperationId",
    "ai.operation.parentId": "ParentId",
    "ai.operation.name": "OperationName",
    "ai.cloud.role": "AppRoleName",
    "ai.cloud.roleInstance": "AppRoleInstance",
    "ai.internal.sdkVersion": "SDKVersion",
}
_OF_DATA: Final = {
    "RequestData": (
        "AppRequests",
        {
            "id": "Id",
            "name": "Name",
            "duration": "DurationMs",
            "responseCode": "ResultCode",
            "success": "Success",
            "url": "Url",
            "source": "Source",
        },
    ),
    "RemoteDependencyData": (
        "AppDependencies",
        {
            "id": "Id",
            "name": "Name",
            "duration": "DurationMs",
            "resultCode": "ResultCode",
            "success": "Success",
            "target": "Target",
            "type": "DependencyType",
            "data": "Data",
        },
    ),
    "MessageData": ("AppTraces", {"message": "Message", "severityLevel": "SeverityLevel"}),
    "ExceptionData": ("AppExceptions", {"severityLevel": "SeverityLevel"}),
}
"""Where the ingestion puts what an envelope holds: the documented columns of the four tables."""


@dataclass(frozen=True, slots=True)
class Row:
    table: str
    columns: Mapping[str, object]
    properties: Mapping[str, str]

    @property
    def name(self) -> str:
        """What the row is of: a span's name, a line's message."""
        return str(self.columns.get("Name") or self.columns.get("Message") or self.columns.get("OuterMessage"))


def rows_of(folder: Path) -> list[Row]:
    """The rows of what the app, and not the host around it, wrote into ``folder`` (a stack's telemetry folder)."""
    envelopes = [_convert_span_to_envelope(span) for line in _lines(folder, "spans") if (span := _span(line))]
    envelopes += [_convert_log_to_envelope(record) for record in _records(_lines(folder, "logs"))]
    return [_row(envelope.as_dict()) for envelope in envelopes]


def summary(rows: Iterable[Row]) -> dict[str, Any]:
    """The shape of infra/monitoring/emitted.json."""
    columns: defaultdict[str, set[str]] = defaultdict(set)
    keys: defaultdict[str, defaultdict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    values: defaultdict[str, set[str]] = defaultdict(set)
    for row in rows:
        columns[row.table] |= row.columns.keys()
        keys[row.table][row.name] |= row.properties.keys()
        for name in ENUMERATED & row.properties.keys():
            values[name].add(row.properties[name])
    return {
        "tables": {
            table: {
                "columns": sorted(columns[table]),
                "rows": {name: sorted(found) for name, found in sorted(keys[table].items())},
            }
            for table in sorted(columns)
        },
        "values": {name: sorted(found) for name, found in sorted(values.items())},
    }


def _row(envelope: Mapping[str, Any]) -> Row:
    data = envelope["data"]["baseData"]
    table, names = _OF_DATA[envelope["data"]["baseType"]]
    columns: dict[str, object] = {"TimeGenerated": envelope["time"], "Properties": None, "ItemCount": 1}
    columns.update({column: envelope["tags"][tag] for tag, column in _OF_TAGS.items() if envelope["tags"].get(tag)})
    columns.update({column: data[name] for name, column in names.items() if data.get(name) is not None})
    if table == "AppExceptions":
        (told,) = data["exceptions"]
        columns |= {"ExceptionType": told["typeName"], "OuterMessage": told["message"], "Details": None}
    return Row(table, columns, data["properties"])


def _lines(folder: Path, what: str) -> list[dict[str, Any]]:
    found = sorted(folder.glob(f"{what}*.jsonl*"))
    return [json.loads(line) for file in found for line in file.read_text("utf-8").splitlines()]


def _span(line: dict[str, Any]) -> ReadableSpan | None:
    if line.get("service.name") not in (telemetry.API, telemetry.WORKER):
        return None
    return ReadableSpan(
        name=line["name"],
        context=_context(line["traceId"], line["spanId"]),
        parent=_context(line["traceId"], line["parentSpanId"]) if line["parentSpanId"] else None,
        resource=_RESOURCE,
        attributes=line["attributes"],
        links=[Link(_context(link["traceId"], link["spanId"])) for link in line.get("links", [])],
        kind=SpanKind[line["kind"]],
        status=Status(StatusCode[line["status"]], line.get("statusDescription")),
        start_time=_nanoseconds(line["startTime"]),
        end_time=_nanoseconds(line["endTime"]),
        instrumentation_scope=InstrumentationScope(line["service.name"]),
    )


_NOT_EXTRA: Final = frozenset({"time", "level", "logger", "message", "process", "traceId", "spanId", "exception"})


def _records(lines: Iterable[dict[str, Any]]) -> list[ReadableLogRecord]:
    """By the handler that the worker hangs on the root logger."""
    exporter = InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]
    provider = LoggerProvider(resource=_RESOURCE, shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    handler = LoggingHandler(logger_provider=provider)
    for line in lines:
        if not str(line.get("logger", "")).startswith("mosaic_core"):
            continue
        said = {"name": line["logger"], "msg": line["message"], "levelname": line["level"]}
        record = logging.makeLogRecord(
            {**said, "levelno": logging.getLevelNamesMapping()[line["level"]]}
            | {name: value for name, value in line.items() if name not in _NOT_EXTRA}
        )
        if "exception" in line:
            record.exc_info = (RuntimeError, RuntimeError(), None)
        traced = (line["traceId"], line["spanId"]) if "traceId" in line else None
        token = attach(trace.set_span_in_context(NonRecordingSpan(_context(*traced)))) if traced else None
        try:
            handler.emit(record)
        finally:
            if token is not None:
                detach(token)
    return list(exporter.get_finished_logs())


def _context(trace_id: str, span_id: str) -> SpanContext:
    return SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=False, trace_flags=TraceFlags(1))


def _nanoseconds(time: str) -> int:
    return round(datetime.fromisoformat(time).timestamp() * 1e9)


# -------------------------------------------------------------------------------------------------------- the scenario


@dataclass(slots=True)
class Play:
    """Lets the app do, once each, what the alerts, the workbook and the saved queries speak of."""

    running: Live
    conversation: str = field(default_factory=guid)

    async def all(self) -> None:
        # what fails again and again takes longest: first
        unreadable, doomed, flaky, question, request = await asyncio.gather(
            self._unreadable(),
            self._ask("What did we spend in May?", "drill-fail-always-told"),
            self._ask("What are our largest expenses?", "drill-fail-1-told"),
            self._ask("What did we spend last month?", "a-question"),
            self._ask("Please wire 500 dollars to our landlord today.", "a-request"),
        )
        doors, running = self.running.doors, self.running
        fed = await running.send(INGESTION, batch(guid(), source="told"))
        await doors.send(CONVERSATION, b'{"commandId": "1', message_id=guid())
        await running.send(CONVERSATION, message(), recorded=False)
        await ended(running.stores, [request, question, flaky, fed], seconds=30)
        await self._approve(request)
        await self._again(question)
        other = message("Something else?", commandId=question.command_id)
        await doors.send(CONVERSATION, json.dumps(other).encode(), message_id=question.command_id)
        await asyncio.gather(doors.run_timer("nightly_sweep_timer"), self._paused_and_looked_at())
        assert await doors.call("GET", "/health/ready")
        await ended(running.stores, [doomed], seconds=30)
        await self._again(doomed)
        assert await running.reason(unreadable) == "processing_failed"
        await self._told()

    async def _paused_and_looked_at(self) -> None:
        """The lanes' watch, while one that has nothing to do is paused."""
        token = self.running.stack.token("olga", "Mosaic.Operator.Admin")

        async def say(word: str) -> None:
            status, answer = await self.running.doors.call(
                "POST",
                f"/ops/lanes/ingestion/{word}",
                body={"reason": "a drill"},
                user=None,
                headers={"Authorization": f"Bearer {token}"},
            )
            assert status == 200, answer

        await say("pause")
        await self.running.doors.run_timer("lanes_watch_timer")
        await self._until_told("lane is paused")
        await say("resume")

    async def _again(self, sent: Sent) -> None:
        """The same message once more."""
        command = await self.running.stores.commands.read(sent.command_id)
        assert command is not None
        body, recorded = command.envelope.encode(), {"recorded": True}
        await self.running.doors.send(sent.queue, body, message_id=guid(), properties=recorded)

    async def _ask(self, text: str, client_id: str) -> Sent:
        status, answer = await self.running.doors.call(
            "POST",
            f"/conversations/{self.conversation}/messages",
            body={"message": text, "clientMessageId": f"{client_id}-{self.conversation}"},
        )
        assert status == 202, answer
        return Sent(step=client_id, queue=answer["queue"], command_id=answer["commandId"])

    async def _approve(self, request: Sent) -> None:
        run = ids.run_id(request.queue, request.command_id)
        _, listed = await self.running.doors.call("GET", "/approvals?status=pending")
        (approval,) = [it["approvalId"] for it in listed["approvals"] if it["runId"] == run]
        status, answer = await self.running.doors.call(
            "POST", f"/conversations/{self.conversation}/approvals/{approval}", body={"decision": "Approve"}
        )
        assert status == 202, answer
        await self.running.finish(Sent(step="approve", queue=answer["queue"], command_id=answer["commandId"]))

    async def _unreadable(self) -> str:
        """A command whose record is of no version that this one can read: each delivery of it is told with a trace."""
        command = message()
        await self.running.record(CONVERSATION, command)
        service = TableServiceClient.from_connection_string(self.running.stack.settings["TablesConnection"])
        async with service, service.get_table_client("AgentCommands") as table:
            found = table.query_entities(f"PartitionKey eq '{command['commandId']}'")
            rows = [row async for row in found if "RequestHash" in row]
            assert rows
            for row in rows:
                await table.update_entity({**row, "RecordedAtUtc": "no time"}, mode=UpdateMode.REPLACE)
        body, message_id = json.dumps(command).encode(), str(command["commandId"])
        await self.running.doors.send(CONVERSATION, body, message_id=message_id, properties={"recorded": True})
        return message_id

    async def _told(self) -> None:
        """Until the last of it stands in the files: messages settled without a key, and what the timers began."""
        last = {
            "lane looked at",
            "nightly sweeps enqueued",
            "duplicate of a finished command",
            "message refused",
            "the message is no recorded command's",
            "the command id stands for another request",
            "dead-lettered: the command was rejected before",
            "signal resolved",
        }

        def enough(found: list[dict[str, Any]]) -> bool:
            said = {line["message"] for line in found}
            return said >= last and any(
                line["message"] == "command completed" and line.get("queue") == SWEEP for line in found
            )

        await self.running.until(self._log_lines, enough, seconds=30)

    async def _log_lines(self) -> list[dict[str, Any]]:
        return _lines(self.running.stack.state_dir / "telemetry", "logs")

    async def _until_told(self, message: str) -> None:
        def told(found: list[dict[str, Any]]) -> bool:
            return message in {line["message"] for line in found}

        await self.running.until(self._log_lines, told, seconds=30)


async def _played(stack: Stack) -> None:
    async with live(stack) as running:
        await Play(running).all()


def main() -> int:
    with Stack(StackOptions(app_settings=SETTINGS)) as stack:
        asyncio.run(_played(stack))
        found = summary(rows_of(stack.state_dir / "telemetry"))
    (ROOT / EMITTED).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    tables = found["tables"]
    print(f"{EMITTED}: {', '.join(f'{name} {len(tables[name]["rows"])}' for name in tables)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
