"""The embedded stack's telemetry: spans and log records as JSON Lines under the state folder.

The app uses opentelemetry-api and stdlib logging only. In Azure the worker configures Azure Monitor behind them;
here the host configures this.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider

SPANS_FILE = "spans.jsonl"
LOGS_FILE = "logs.jsonl"

_FLUSH_SECONDS = 0.2
_MAX_BYTES = 64 * 1024 * 1024
_MAX_BUFFERED = 100_000
_RECORD_FIELDS = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
_LINE_ENDS = {ord(end): f"\\u{ord(end):04x}" for end in "\x85\u2028\u2029"}
"""What JSON leaves as it is, and some readers of lines take for a line's end."""

_JSON = json.JSONEncoder(default=str, ensure_ascii=False)  # json.dumps would make one for each line


class JsonLinesFile:
    """Appends JSON objects, one a line. ``write`` only queues; one thread encodes and writes every 0.2 s.

    At ``max_bytes`` the file becomes ``name.1`` (the former one is dropped), so two files bound the size on disk. A
    queue that grows past its bound (a disk that stands still) drops the newest and says so once it goes on."""

    def __init__(self, path: Path, max_bytes: int = _MAX_BYTES, flush_seconds: float = _FLUSH_SECONDS) -> None:
        self._path, self._max_bytes, self._flush_seconds = path, max_bytes, flush_seconds
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab")
        self._pending: list[Callable[[], Mapping[str, Any]]] = []
        self._dropped = 0
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=f"telemetry-{path.stem}", daemon=True)
        self._thread.start()

    def write(self, make: Callable[[], Mapping[str, Any]]) -> None:
        """Queues one line; ``make`` builds it on the writer's thread."""
        if len(self._pending) >= _MAX_BUFFERED:
            self._dropped += 1
        else:
            self._pending.append(make)

    def flush(self) -> None:
        with self._lock:
            pending, self._pending = self._pending, []
            dropped, self._dropped = self._dropped, 0
            if dropped:
                pending.append(
                    lambda: {"time": _now(), "level": "WARNING", "message": f"{dropped} telemetry lines dropped"}
                )
            if not pending or self._file.closed:
                return
            lines = b"".join(_encode(make) for make in pending)
            if self._file.tell() and self._file.tell() + len(lines) > self._max_bytes:
                self._file.close()
                self._path.replace(self._path.with_name(self._path.name + ".1"))
                self._file = self._path.open("ab")
            self._file.write(lines)
            self._file.flush()

    def close(self) -> None:
        """Writes what is queued and ends the thread. Safe to repeat."""
        if not self._closed:
            self._closed = True
            self._wake.set()
            self._thread.join(2.0)
            self.flush()
            self._file.close()

    def _run(self) -> None:
        while not self._wake.wait(self._flush_seconds):
            try:
                self.flush()
            except OSError as exc:
                print(f"telemetry: {self._path} cannot be written: {exc}", file=sys.stderr)


class Telemetry:
    """The process's tracer provider and root log handler, writing under ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._spans = JsonLinesFile(folder / SPANS_FILE)
        self._logs = JsonLinesFile(folder / LOGS_FILE)

    def install(self) -> None:
        """Makes them the process's own. Once per process: OpenTelemetry takes one provider."""
        provider = TracerProvider(
            resource=Resource.create({"service.name": "mosaic-embedded-host"}), shutdown_on_exit=False
        )
        provider.add_span_processor(_SpanWriter(self._spans))
        trace.set_tracer_provider(provider)
        root = logging.getLogger()
        root.handlers.clear()
        root.setLevel(logging.INFO)
        root.addHandler(_LogWriter(self._logs))
        console = logging.StreamHandler(sys.stderr)
        console.setFormatter(ConsoleFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        console.addFilter(_on_console)
        root.addHandler(console)
        logging.captureWarnings(True)
        atexit.register(self.close)

    def close(self) -> None:
        self._spans.close()
        self._logs.close()


def _on_console(record: logging.LogRecord) -> bool:
    """What the app logs, as the core tools show it; of the host's own, what a person acts on."""
    return record.levelno >= logging.WARNING or record.name == "Host.General" or not record.name.startswith("Host.")


class ConsoleFormatter(logging.Formatter):
    """A line for a person: what happened, and of which command.

    Only a record begins at a line's start: what goes on is indented. What a terminal would obey is spelt out, wherever
    in the record it stands."""

    _FIELDS = ("queue", "messageId", "commandId", "runId", "attempt", "code", "rationale")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the base class's name
        told = (f"{name}={_harmless(str(it))}" for name in self._FIELDS if (it := record.__dict__.get(name)))
        return " ".join((super().formatMessage(record), *told))

    def format(self, record: logging.LogRecord) -> str:
        return "\n    ".join(_harmless(line) for line in super().format(record).split("\n"))


def _harmless(text: str) -> str:
    """The text in one line, without control characters, changes of direction, or halves of surrogate pairs."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text) if not text.isprintable() else text


class _SpanWriter(SpanProcessor):
    def __init__(self, file: JsonLinesFile) -> None:
        self._file = file

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        pass

    def on_end(self, span: ReadableSpan) -> None:
        self._file.write(lambda: span_line(span))

    def shutdown(self) -> None:
        self._file.close()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        self._file.flush()
        return True


class _LogWriter(logging.Handler):
    def __init__(self, file: JsonLinesFile) -> None:
        super().__init__()
        self._file = file

    def emit(self, record: logging.LogRecord) -> None:
        # The trace ids are those of the moment, so they are taken now; the rest is built on the writer's thread.
        context = trace.get_current_span().get_span_context()
        self._file.write(lambda: log_line(record, context))


def span_line(span: ReadableSpan) -> dict[str, Any]:
    """One span as it stands in spans.jsonl: ids as lower-case hex, times ISO 8601 UTC, duration in milliseconds."""
    attributes = dict(span.attributes or {})
    scope = span.instrumentation_scope
    context = span.get_span_context()
    line: dict[str, Any] = {
        "name": span.name,
        "service.name": attributes.get("service.name") or (scope.name if scope else ""),
        "traceId": trace.format_trace_id(context.trace_id) if context else None,
        "spanId": trace.format_span_id(context.span_id) if context else None,
        "parentSpanId": trace.format_span_id(span.parent.span_id) if span.parent else None,
        "kind": span.kind.name,
        "startTime": _time(span.start_time),
        "endTime": _time(span.end_time),
        "durationMs": round(((span.end_time or 0) - (span.start_time or 0)) / 1e6, 3),
        "status": span.status.status_code.name,
        "attributes": attributes,
    }
    if span.status.description:
        line["statusDescription"] = span.status.description
    if span.events:
        line["events"] = [
            {"name": event.name, "time": _time(event.timestamp), "attributes": dict(event.attributes or {})}
            for event in span.events
        ]
    if span.links:
        line["links"] = [
            {
                "traceId": trace.format_trace_id(link.context.trace_id),
                "spanId": trace.format_span_id(link.context.span_id),
            }
            for link in span.links
        ]
    return line


def log_line(record: logging.LogRecord, context: trace.SpanContext | None = None) -> dict[str, Any]:
    """One log record as it stands in logs.jsonl: every ``extra`` field at the top level beside these."""
    line: dict[str, Any] = {
        "time": datetime.fromtimestamp(record.created, UTC).isoformat().replace("+00:00", "Z"),
        "level": record.levelname,
        "logger": record.name,
        "message": record.getMessage(),
        "process": os.getpid(),
    }
    line.update({key: value for key, value in record.__dict__.items() if key not in _RECORD_FIELDS})
    if context is not None and context.is_valid:
        line["traceId"] = trace.format_trace_id(context.trace_id)
        line["spanId"] = trace.format_span_id(context.span_id)
    if record.exc_info and record.exc_info[0] is not None:
        line["exception"] = logging.Formatter().formatException(record.exc_info)
    return line


def _encode(make: Callable[[], Mapping[str, Any]]) -> bytes:
    try:
        line = make()
    except Exception as exc:  # a bad format string in the app must not stop everyone's telemetry
        line = {
            "time": _now(),
            "level": "ERROR",
            "message": f"a telemetry line could not be built: {type(exc).__name__}: {exc}",
        }
    return _JSON.encode(line).translate(_LINE_ENDS).encode("utf-8", "replace") + b"\n"


def _time(nanoseconds: int | None) -> str | None:
    if nanoseconds is None:
        return None
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{rest // 1000:06}Z"


def _now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")
