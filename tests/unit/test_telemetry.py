"""Correlated logs, spans and events, with the real logging module and the OpenTelemetry SDK in memory."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from opentelemetry import trace
from opentelemetry.instrumentation.logging.handler import LoggingHandler
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from mosaic_core import telemetry
from mosaic_core.domain.envelope import Envelope
from mosaic_core.domain.errors import LaneError, StoreUnreachableError
from mosaic_core.lanes.context import LaneContext, LaneResult
from mosaic_core.ports import IncomingMessage, RuntimeEvent
from mosaic_core.services.replay import driving, replay_service, sending
from tests.support.world import World

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
PARENT = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "tracestate": "vendor=1"}
COMMAND = "c0000000000000000000000000000001"
HOUSEHOLD = "a11ce000000000000000000000000001"

log = logging.getLogger("tests.telemetry")


class Collect(logging.Handler):
    """Keeps what a handler that copies ``record.__dict__`` would write, as the OpenTelemetry handler does."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[dict[str, object]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(dict(record.__dict__))


@pytest.fixture
def lines() -> Iterator[list[dict[str, object]]]:
    handler = Collect()
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield handler.lines
    root.removeHandler(handler)
    root.setLevel(level)


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """A tracer provider of this test's own: OpenTelemetry lets a process set one only once."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(telemetry, "_tracer", provider.get_tracer)
    return exporter


def only(exporter: InMemorySpanExporter) -> ReadableSpan:
    (span,) = exporter.get_finished_spans()
    return span


def attributes(span: ReadableSpan) -> dict[str, object]:
    return dict(span.attributes or {})


class TestLogs:
    def test_lines_of_any_logger_carry_the_fields(self, lines: list[dict[str, object]]) -> None:
        with telemetry.correlated(commandId=COMMAND, queue="q", attempt=2):
            log.info("ours")
            logging.getLogger("azure.servicebus.somewhere").warning("theirs")
        for line in lines:
            assert (line["commandId"], line["queue"], line["attempt"]) == (COMMAND, "q", 2)
        assert len(lines) == 2

    def test_no_fields_outside_the_block(self, lines: list[dict[str, object]]) -> None:
        with telemetry.correlated(commandId=COMMAND):
            pass
        log.info("after")
        assert not set(telemetry.FIELDS) & lines[0].keys()

    def test_inner_blocks_add_and_replace(self, lines: list[dict[str, object]]) -> None:
        with telemetry.correlated(queue="q", attempt=1):
            with telemetry.correlated(attempt=2, runId="r"):
                log.info("inner")
            log.info("outer")
        assert (lines[0]["queue"], lines[0]["attempt"], lines[0]["runId"]) == ("q", 2, "r")
        assert lines[1]["attempt"] == 1
        assert "runId" not in lines[1]

    def test_a_log_calls_own_field_wins_and_does_not_raise(self, lines: list[dict[str, object]]) -> None:
        with telemetry.correlated(attempt=1):
            log.info("taken over", extra={"attempt": 7})
        assert lines[0]["attempt"] == 7

    def test_empty_values_are_left_out(self, lines: list[dict[str, object]]) -> None:
        with telemetry.correlated(messageId="", attempt=0):
            log.info("line")
        assert "messageId" not in lines[0]
        assert lines[0]["attempt"] == 0

    def test_a_handler_added_later_is_reached_from_the_next_block_on(self, lines: list[dict[str, object]]) -> None:
        late = Collect()
        with telemetry.correlated(queue="q"):
            logging.getLogger().addHandler(late)
            try:
                with telemetry.correlated(attempt=1):
                    log.info("line")
            finally:
                logging.getLogger().removeHandler(late)
        assert late.lines[0]["queue"] == "q"

    @pytest.mark.parametrize("logger", ["", "mosaic_core"])
    def test_the_handler_of_azure_monitor_exports_them(self, logger: str) -> None:
        exporter = InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]
        provider = LoggerProvider(shutdown_on_exit=False)
        provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
        handler = LoggingHandler(logger_provider=provider)
        logging.getLogger(logger).addHandler(handler)
        try:
            with telemetry.correlated(commandId=COMMAND, attempt=2):
                logging.getLogger("mosaic_core.services.deliver").warning("line", extra={"code": "lane_timeout"})
        finally:
            logging.getLogger(logger).removeHandler(handler)
        (exported,) = exporter.get_finished_logs()
        found = dict(exported.log_record.attributes or {})
        assert (found["commandId"], found["attempt"], found["code"]) == (COMMAND, 2, "lane_timeout")

    async def test_concurrent_deliveries_do_not_mix(self, lines: list[dict[str, object]]) -> None:
        both_inside = asyncio.Barrier(2)

        async def deliver(command: str) -> None:
            with telemetry.correlated(commandId=command):
                await both_inside.wait()
                log.info(command)
                await asyncio.to_thread(log.info, command)

        await asyncio.gather(deliver("one"), deliver("two"))
        assert len(lines) == 4
        assert all(line["commandId"] == line["msg"] for line in lines)


SAID = "Alice owes the landlord 4711"


class FromOutsideError(Exception):
    """Whose text is computed, and quotes."""

    def __str__(self) -> str:
        return SAID


def quoting() -> Iterator[BaseException]:
    """Exceptions as lanes and libraries raise them, each with a household's words somewhere in it."""
    try:
        dict[str, str]()[SAID]
    except KeyError as error:
        yield error
        try:
            raise RuntimeError("while it was handled") from error
        except RuntimeError as outer:
            yield outer
        try:
            raise StoreUnreachableError("AgentRuns: 503") from error
        except StoreUnreachableError as ours:
            yield ours
    try:
        try:
            raise ValueError(SAID)
        except ValueError:
            raise TypeError("another") from None
    except TypeError as error:
        yield error
    try:
        raise ExceptionGroup(SAID, [ValueError(SAID), FromOutsideError()])
    except ExceptionGroup as group:
        yield group
    noted = FromOutsideError()
    noted.add_note(SAID)
    yield noted


class TestTextsOfExceptions:
    @pytest.fixture(autouse=True)
    def _held_back(self) -> Iterator[None]:
        before = logging.getLogRecordFactory()
        telemetry.hold_texts_back()
        telemetry.hold_texts_back()
        yield
        logging.setLogRecordFactory(before)

    @pytest.mark.parametrize("error", list(quoting()), ids=lambda error: type(error).__name__)
    def test_no_log_record_holds_an_exceptions_own_text(self, error: BaseException) -> None:
        """As every handler formats it, and as the exporter of a deployment takes it apart."""
        written, exported = io.StringIO(), InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]
        provider = LoggerProvider()
        provider.add_log_record_processor(SimpleLogRecordProcessor(exported))
        logger = logging.Logger("of.a.lane")
        logger.addHandler(logging.StreamHandler(written))
        logger.addHandler(LoggingHandler(logger_provider=provider))
        logger.error("the lane failed unexpectedly", exc_info=error)
        [record] = exported.get_finished_logs()
        told = dict(record.log_record.attributes or {})
        assert told["exception.type"] == type(error).__name__
        assert type(error).__name__ in written.getvalue()
        assert SAID not in written.getvalue()
        assert SAID not in json.dumps({name: str(value) for name, value in told.items()})

    def test_our_own_say_what_they_are_and_every_place_is_told(self) -> None:
        written = io.StringIO()
        logger = logging.Logger("ours")
        logger.addHandler(logging.StreamHandler(written))

        def where_it_was() -> None:
            raise StoreUnreachableError("AgentRuns: 503")

        try:
            where_it_was()
        except StoreUnreachableError:
            logger.exception("storage did not answer")
        assert "in where_it_was" in written.getvalue()
        assert "StoreUnreachableError" in written.getvalue()
        assert "AgentRuns: 503" in written.getvalue()

    async def test_a_lane_that_fails_with_a_households_words_tells_none_of_them(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def quotes(context: LaneContext) -> LaneResult:
            raise ValueError(SAID)

        world = World(quotes)
        await world.send()
        await world.run()
        assert SAID not in caplog.text
        run = await world.run_row()
        assert run.failure_code == "unexpected_error"
        assert SAID not in (run.failure_rationale or "")


class TestSpans:
    def test_has_service_kind_and_correlation(self, spans: InMemorySpanExporter) -> None:
        with (
            telemetry.correlated(commandId=COMMAND, attempt=1),
            telemetry.span("work", service=telemetry.WORKER, kind="consumer", attributes={"mosaic.lane": "sweep"}),
        ):
            pass
        span = only(spans)
        assert span.kind is trace.SpanKind.CONSUMER
        assert span.instrumentation_scope is not None
        assert span.instrumentation_scope.name == "MosaicMoney.Worker"
        assert attributes(span) == {
            "service.name": "MosaicMoney.Worker",
            "commandId": COMMAND,
            "attempt": 1,
            "mosaic.lane": "sweep",
        }

    def test_continues_a_messages_trace_and_links_to_the_hosts_span(self, spans: InMemorySpanExporter) -> None:
        with (
            telemetry.span("host invocation", service=telemetry.WORKER) as host,
            telemetry.span("execute", service=telemetry.WORKER, parent=PARENT),
        ):
            assert telemetry.trace_id() == "0af7651916cd43dd8448eb211c80319c"
        execute = spans.get_finished_spans()[0]
        assert execute.parent is not None
        assert trace.format_span_id(execute.parent.span_id) == "b7ad6b7169203331"
        assert [link.context.span_id for link in execute.links] == [host.get_span_context().span_id]

    @pytest.mark.parametrize("parent", [{}, {"traceparent": "nonsense"}, {"traceparent": 7}, {"tracestate": "a=1"}])
    def test_without_a_usable_parent_it_is_a_child_of_the_current_span(
        self, spans: InMemorySpanExporter, parent: dict[str, object]
    ) -> None:
        with (
            telemetry.span("outer", service=telemetry.API) as outer,
            telemetry.span("inner", service=telemetry.API, parent=parent),
        ):
            pass
        inner = spans.get_finished_spans()[0]
        assert inner.parent is not None
        assert inner.parent.span_id == outer.get_span_context().span_id

    @pytest.mark.parametrize("headers", [PARENT, {}, {"traceparent": "nonsense"}, {"traceparent": 7}])
    def test_a_stranger_s_trace_is_linked_and_ours_begins_anew(
        self, spans: InMemorySpanExporter, headers: dict[str, object]
    ) -> None:
        with (
            telemetry.span("host invocation", service=telemetry.API, parent=headers) as host,
            telemetry.span("request", service=telemetry.API, stranger=headers) as request,
            telemetry.span("enqueue", service=telemetry.API),
        ):
            properties = telemetry.inject()
        enqueue, *_ = spans.get_finished_spans()
        ours = request.get_span_context()
        linked = {trace.format_span_id(link.context.span_id) for link in spans.get_finished_spans()[1].links}
        theirs = {"b7ad6b7169203331"} if headers == PARENT else set()
        assert linked == {trace.format_span_id(host.get_span_context().span_id), *theirs}
        assert ours.trace_id != host.get_span_context().trace_id
        assert enqueue.context is not None
        assert enqueue.context.trace_id == ours.trace_id
        assert "tracestate" not in properties
        assert trace.format_trace_id(ours.trace_id) in properties["traceparent"]

    def test_a_stranger_s_trace_goes_no_further_where_no_sdk_is_configured(self) -> None:
        with telemetry.span("request", service=telemetry.API, stranger=PARENT):
            assert telemetry.inject() == {}

    def test_a_sent_context_arrives(self, spans: InMemorySpanExporter) -> None:
        with telemetry.span("enqueue", service=telemetry.API, parent=PARENT):
            properties = telemetry.inject()
        with telemetry.span("execute", service=telemetry.WORKER, parent=properties):
            pass
        enqueue, execute = spans.get_finished_spans()
        assert execute.parent is not None
        assert enqueue.context is not None
        assert execute.parent.span_id == enqueue.context.span_id
        assert properties["tracestate"] == "vendor=1"

    def test_a_trace_passes_through_where_no_sdk_is_configured(self) -> None:
        with telemetry.span("execute", service=telemetry.WORKER, parent=PARENT):
            assert telemetry.trace_parent() == PARENT["traceparent"]
        assert telemetry.trace_parent() == ""
        assert telemetry.inject() == {}

    def test_an_error_is_told_by_its_code_never_by_its_text(self, spans: InMemorySpanExporter) -> None:
        secret = "groceries for Alice, 12.50"
        with pytest.raises(LaneError), telemetry.span("known", service=telemetry.WORKER):
            raise LaneError(secret, code="ledger_conflict")
        with pytest.raises(ZeroDivisionError), telemetry.span("unknown", service=telemetry.WORKER):
            raise ZeroDivisionError(secret)
        known, unknown = spans.get_finished_spans()
        assert (known.status.status_code, known.status.description) == (StatusCode.ERROR, "ledger_conflict")
        assert attributes(unknown)["error.type"] == "ZeroDivisionError"
        assert secret not in known.to_json() + unknown.to_json()

    @pytest.mark.parametrize(("status", "expected"), [(201, StatusCode.UNSET), (412, StatusCode.UNSET)])
    def test_storage_answers_are_children(self, spans: InMemorySpanExporter, status: int, expected: StatusCode) -> None:
        with telemetry.span("step", service=telemetry.WORKER) as step:
            telemetry.storage_request(telemetry.WORKER, "insert", "AgentRuns", 0.25, status)
        child = spans.get_finished_spans()[0]
        assert child.parent is not None
        assert child.parent.span_id == step.get_span_context().span_id
        assert child.status.status_code is expected
        assert child.start_time is not None
        assert child.end_time is not None
        assert child.end_time - child.start_time == 250_000_000

    @pytest.mark.parametrize("status", [None, 429, 503])
    def test_storage_without_a_usable_answer_is_an_error(self, spans: InMemorySpanExporter, status: int | None) -> None:
        with telemetry.span("step", service=telemetry.WORKER):
            telemetry.storage_request(telemetry.WORKER, "update", "IdempotencyKeys", 0.1, status)
        assert spans.get_finished_spans()[0].status.status_code is StatusCode.ERROR

    def test_storage_outside_a_recorded_span_is_not_told(self, spans: InMemorySpanExporter) -> None:
        telemetry.storage_request(telemetry.WORKER, "read", "AgentRuns", 0.1, 200)
        assert spans.get_finished_spans() == ()


ENVELOPE = Envelope(
    command_id=COMMAND,
    correlation_id=f"sweep:{HOUSEHOLD}:20261124:{COMMAND}",
    command_type="nightly_anomaly_sweep",
    created_at=NOW,
    client_reference_id=None,
    replay_of_command_id=None,
    payload=None,
    household_id=HOUSEHOLD,
    conversation_id=None,
    request_hash="0" * 64,
)
MESSAGE = IncomingMessage(
    queue="runtime-nightly-anomaly-sweep",
    body=b"{}",
    lock_token="t",
    message_id=COMMAND,
    sequence_number=41,
    delivery_count=1,
    enqueued_at=NOW,
)


def event(
    kind: telemetry.EventKind = "completed",
    *,
    message: IncomingMessage = MESSAGE,
    attempt: int = 1,
    outcome: str = "completed",
) -> RuntimeEvent:
    return telemetry.command_event(
        kind, envelope=ENVELOPE, message=message, run_id="r" * 32, attempt=attempt, outcome=outcome, at=NOW
    )


class TestEvents:
    def test_says_what_the_contract_lists(self) -> None:
        made = event("attempt_failed", attempt=3, outcome="lane_timeout")
        assert made.type == "mosaic.runtime.command.attempt_failed"
        assert (made.source, made.subject) == ("MosaicMoney.Worker", ENVELOPE.correlation_id)
        assert made.household_id == HOUSEHOLD
        assert made.data == {
            "commandId": COMMAND,
            "messageId": COMMAND,
            "correlationId": ENVELOPE.correlation_id,
            "commandType": "nightly_anomaly_sweep",
            "queue": "runtime-nightly-anomaly-sweep",
            "runId": "r" * 32,
            "attempt": 3,
            "state": "NeedsReview",
            "outcomeCode": "lane_timeout",
            "occurredAtUtc": "2026-11-24T12:00:00Z",
        }

    def test_a_type_that_is_none_of_ours_is_not_shown(self) -> None:
        written = replace(ENVELOPE, command_type="please call me at 555 0100")
        made = telemetry.command_event(
            "started", envelope=written, message=MESSAGE, run_id="r" * 32, attempt=1, outcome="running", at=NOW
        )
        assert made.data["commandType"] == "unsupported"
        assert "555" not in repr(made)

    def test_an_attempts_event_has_one_id_whichever_message_brought_it_about(self) -> None:
        redelivered = replace(MESSAGE, sequence_number=99, delivery_count=2)
        assert event().event_id == event(message=redelivered).event_id
        ids = {event().event_id, event("started").event_id, event(attempt=2).event_id}
        assert len(ids) == 3

    def test_a_messages_event_has_one_id_for_each_message(self) -> None:
        again, copy = replace(MESSAGE, delivery_count=2), replace(MESSAGE, sequence_number=99)
        assert event("duplicate").event_id == event("duplicate", message=again).event_id
        assert event("duplicate").event_id != event("duplicate", message=copy).event_id
        by_code = {event("dead_lettered", outcome=code).event_id for code in ("lane_timeout", "idempotency_rejected")}
        assert len(by_code) == 2

    def test_an_undecodable_message_shows_only_what_looks_like_an_id(self) -> None:
        message = replace(
            MESSAGE,
            message_id="mail from Alice <a@b.example>",
            correlation_id="12.50 EUR for groceries",
            properties={"householdId": "A11CE000-0000-0000-0000-000000000001"},
        )
        made = telemetry.message_event("dead_lettered", message, outcome="invalid_json", at=NOW)
        assert made.household_id == HOUSEHOLD
        assert made.data["commandId"] is None
        assert made.data["state"] is None
        assert "Alice" not in repr(made)
        assert "groceries" not in repr(made)
        assert made.subject

    def test_an_undecodable_message_without_properties_still_has_a_subject(self) -> None:
        made = telemetry.message_event("dead_lettered", MESSAGE, outcome="invalid_json", at=NOW)
        assert (made.subject, made.household_id) == (COMMAND, "")

    def test_the_same_enqueueing_is_the_same_event(self) -> None:
        def enqueued(at: datetime) -> RuntimeEvent:
            return telemetry.enqueued_event(
                command_id=COMMAND,
                correlation_id=ENVELOPE.correlation_id,
                command_type=ENVELOPE.command_type,
                queue=MESSAGE.queue,
                household_id=HOUSEHOLD,
                at=at,
            )

        first, again = enqueued(NOW), enqueued(datetime(2026, 11, 24, 12, 5, tzinfo=UTC))
        assert first.event_id == again.event_id
        assert (first.source, first.type) == ("MosaicMoney.Api", "mosaic.runtime.command.enqueued")

    def test_carries_the_trace(self, spans: InMemorySpanExporter) -> None:
        with telemetry.span("execute", service=telemetry.WORKER, parent=PARENT):
            made = event()
        assert made.trace_parent.split("-")[1] == "0af7651916cd43dd8448eb211c80319c"


def test_whoever_logs_logs_in_its_own_name() -> None:
    """A module's records are found, filtered and set to a level by the module's name: none borrows another's."""
    root = Path(telemetry.__file__).parent
    borrowed = [
        f"{file.relative_to(root)}: {name}"
        for file in root.rglob("*.py")
        for name in re.findall(r"getLogger\(\s*[\"'](mosaic_core\.[^\"']*)", file.read_text("utf-8"))
    ]
    assert borrowed == []


def test_a_replays_records_are_the_modules_that_write_them() -> None:
    assert {driving.log.name, sending.log.name, replay_service.log.name} == {
        f"mosaic_core.services.replay.{name}" for name in ("driving", "sending", "replay_service")
    }
