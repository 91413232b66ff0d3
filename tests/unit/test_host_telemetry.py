"""Spans and logs as JSON Lines: bounded, with every field, never in the way."""

import json
import logging
import sys
from functools import partial
from pathlib import Path

from aiohttp.http_exceptions import LineTooLong
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.trace import SpanKind

from mosaic_local.host.__main__ import without_contents
from mosaic_local.telemetry import ConsoleFormatter, JsonLinesFile, log_line, span_line


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def finished_span(scope: str, attributes: dict[str, str]) -> ReadableSpan:
    span = (
        TracerProvider(shutdown_on_exit=False)
        .get_tracer(scope)
        .start_span("handle", kind=SpanKind.CONSUMER, attributes=attributes)
    )
    span.end()
    assert isinstance(span, ReadableSpan)
    return span


def test_a_spans_service_is_its_attribute_else_its_scope() -> None:
    named = span_line(finished_span("scope", {"service.name": "MosaicMoney.Worker"}))
    unnamed = span_line(finished_span("scope", {}))
    assert named["service.name"] == "MosaicMoney.Worker"
    assert unnamed["service.name"] == "scope"
    assert named["kind"] == "CONSUMER"
    assert named["parentSpanId"] is None
    assert len(str(named["traceId"])) == 32
    assert str(named["startTime"]).endswith("Z")


def test_a_line_for_a_person_says_of_which_command() -> None:
    record = logging.makeLogRecord(
        {
            "name": "a",
            "levelname": "ERROR",
            "msg": "message refused",
            "code": "invalid_json",
            "messageId": "m-1",
            "queue": "",
        }
    )
    assert ConsoleFormatter("%(levelname)s %(message)s").format(record) == (
        "ERROR message refused messageId=m-1 code=invalid_json"
    )


def test_what_is_no_http_is_not_quoted() -> None:
    try:
        raise LineTooLong(b"Authorization: Bearer secret")
    except LineTooLong:
        record = logging.makeLogRecord({"msg": "Error handling request", "exc_info": sys.exc_info()})
    assert without_contents(record)
    assert "secret" not in json.dumps(log_line(record))
    other = logging.makeLogRecord({"msg": "Error handling request", "exc_info": (ValueError, ValueError("x"), None)})
    assert without_contents(other)
    assert other.exc_info


def test_a_log_line_carries_every_extra_field() -> None:
    record = logging.makeLogRecord(
        {"name": "n", "levelname": "INFO", "msg": "did %s", "args": ("it",), "commandId": "c1", "attempt": 2}
    )
    line = log_line(record)
    assert line["message"] == "did it"
    assert line["commandId"] == "c1"
    assert line["attempt"] == 2
    assert "args" not in line


def test_what_is_queued_is_written_at_the_end(tmp_path: Path) -> None:
    file = JsonLinesFile(tmp_path / "x.jsonl", flush_seconds=3600)
    for number in range(3):
        file.write(partial(dict, n=number))
    assert (tmp_path / "x.jsonl").read_bytes() == b""
    file.close()
    file.close()
    assert lines(tmp_path / "x.jsonl") == [{"n": 0}, {"n": 1}, {"n": 2}]


def test_a_line_that_cannot_be_built_does_not_stop_the_others(tmp_path: Path) -> None:
    file = JsonLinesFile(tmp_path / "x.jsonl", flush_seconds=3600)
    broken = logging.makeLogRecord({"msg": "%d", "args": ("not a number",)})
    file.write(lambda: log_line(broken))
    file.write(lambda: {"n": 1, "odd": object})
    file.close()
    first, second = lines(tmp_path / "x.jsonl")
    assert "could not be built" in str(first["message"])
    assert second["n"] == 1


def test_two_files_bound_the_size(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    file = JsonLinesFile(path, max_bytes=1000, flush_seconds=3600)
    for number in range(100):
        file.write(partial(dict, n=number, fill="x" * 50))
        file.flush()
    file.close()
    older = path.with_name("x.jsonl.1")
    assert path.stat().st_size <= 1000
    assert older.stat().st_size <= 1000
    assert lines(path)[-1]["n"] == 99
    assert int(str(lines(older)[-1]["n"])) + 1 == lines(path)[0]["n"]
