"""What the product tells about its work: correlated log lines, spans, and the events of a command.

Only ids, codes and counts go in; never a message text, a name or an amount. An id that others set (a message's, a
correlation's) goes through `ids.clean` here, whatever the caller hands over.

Errors  `hold_texts_back`: of an exception a log line tells type and places; a text only where it is ours.
Logs    ``with correlated(commandId=…)``: every log line until the end of the block, by whatever logger, carries the
        fields as attributes of the record (`FIELDS` lists them).
Spans   ``with span("runtime.lane", service=WORKER)``: opentelemetry-api only. Without a configured SDK they cost next
        to nothing and still pass a caller's trace context on.
Events  `command_event`, `message_event`, `enqueued_event`: the contract's section 6, with deterministic ids.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from contextvars import ContextVar, Token
from datetime import datetime
from functools import cache
from types import MappingProxyType, TracebackType
from typing import Any, Final, Literal, TypedDict, Unpack

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from mosaic_core.domain.envelope import Envelope, iso
from mosaic_core.domain.errors import MosaicError
from mosaic_core.domain.ids import clean, derive, guid_or_empty
from mosaic_core.domain.lanes import lane_of
from mosaic_core.domain.lifecycle import RunStatus
from mosaic_core.ports import IncomingMessage, RuntimeEvent

API: Final = "MosaicMoney.Api"
WORKER: Final = "MosaicMoney.Worker"
EVENT_TYPE_PREFIX: Final = "mosaic.runtime.command."

type Service = Literal["MosaicMoney.Api", "MosaicMoney.Worker"]
type Kind = Literal["internal", "server", "client", "producer", "consumer"]
type EventKind = Literal[
    "enqueued", "started", "completed", "needs_review", "attempt_failed", "dead_lettered", "duplicate", "replayed"
]
type AttributeValue = str | bool | int | float


# ---------------------------------------------------------------------------------------------------------------- logs


class Correlation(TypedDict, total=False):
    """The fields of a correlated log line, and the attributes of a span, spelt as they are written."""

    commandId: str
    messageId: str
    correlationId: str
    runId: str
    queue: str
    attempt: int
    householdId: str
    lane: str


FIELDS: Final = tuple(Correlation.__annotations__)
_OURS: Final = frozenset({"queue", "lane", "attempt"})
"""Fields that settings and code give; the others may be what a producer chose."""

_NONE: Final[Mapping[str, str | int]] = MappingProxyType({})
_correlation: ContextVar[Mapping[str, str | int]] = ContextVar("mosaic_correlation", default=_NONE)


class _Fields(logging.Filter):
    """Puts the fields on the record. A value that the log call itself gave (``extra``) stays.

    A filter of handlers rather than a record factory: `logging` refuses an ``extra`` of the same name as an attribute
    that the factory has set, so that a plain ``log.info(…, extra={"attempt": 2})`` would raise."""

    def filter(self, record: logging.LogRecord) -> bool:
        attributes = record.__dict__
        for name, value in _correlation.get().items():
            attributes.setdefault(name, value)
        return True


_FIELDS_FILTER: Final = _Fields()


_LOGGERS: Final = (logging.getLogger(), logging.getLogger(__package__))
"""Where hosts and exporters hang their handlers: the root, or (where a setting says so) this package's logger."""


def correlate_handlers() -> None:
    """Make the handlers write the fields. `correlated` does this by itself; call it for handlers that were added since,
    within a block."""
    for logger in _LOGGERS:
        for handler in logger.handlers:
            if _FIELDS_FILTER not in handler.filters:
                handler.addFilter(_FIELDS_FILTER)


class correlated:  # noqa: N801 - a context manager, named as it reads
    """Within the block, log lines and new spans carry these fields besides those of the blocks around it.

    Holds across ``await`` and in tasks and ``asyncio.to_thread`` calls begun inside. Empty values are left out, ids are
    cleaned."""

    __slots__ = ("_fields", "_token")

    def __init__(self, **fields: Unpack[Correlation]) -> None:
        self._fields = {
            name: clean(it) if isinstance(it, str) and name not in _OURS else it
            for name, it in fields.items()
            if isinstance(it, str | int) and it != ""
        }
        self._token: Token[Mapping[str, str | int]] | None = None

    def __enter__(self) -> None:
        correlate_handlers()
        self._token = _correlation.set({**_correlation.get(), **self._fields})

    def __exit__(self, *_: object) -> None:
        if self._token is not None:
            _correlation.reset(self._token)


def correlation() -> Mapping[str, str | int]:
    """The fields that hold here, by name."""
    return _correlation.get()


def told_of(error: BaseException) -> BaseException:
    """The exception as it may leave the process: the same types at the same places. The texts of our own are codes and
    field names; any other's may quote what a household said (a key that is missing, a value that does not parse)."""
    return _told_of(error, {})


def _told_of(error: BaseException, known: dict[int, BaseException]) -> BaseException:
    if id(error) in known:
        return known[id(error)]
    kind = type(error)
    words = str(error) if isinstance(error, MosaicError) else "(its text is not told)"
    if isinstance(error, BaseExceptionGroup):
        words = ", ".join(sorted({type(one).__name__ for one in error.exceptions}))
    told = known[id(error)] = _alike(kind.__name__, kind.__qualname__, kind.__module__)(words)
    told.__traceback__ = error.__traceback__
    if error.__cause__ is not None:
        told.__cause__ = _told_of(error.__cause__, known)
    if error.__context__ is not None:
        told.__context__ = _told_of(error.__context__, known)
    told.__suppress_context__ = error.__suppress_context__
    return told


@cache
def _alike(name: str, qualified: str, module: str) -> type[Exception]:
    """A class of the same name, so that a log groups by it as before; none of the real one's code runs in it."""
    return type(name, (Exception,), {"__module__": module, "__qualname__": qualified})


def hold_texts_back() -> None:
    """From now on no log record of this process holds an exception's own text, whoever logs it and wherever it is
    exported to. The factory of records is the one place that every handler comes after."""
    make = logging.getLogRecordFactory()
    if getattr(make, "holds_texts_back", False):
        return

    def record(*args: Any, **more: Any) -> logging.LogRecord:
        made = make(*args, **more)
        if made.exc_info and made.exc_info[1] is not None:
            told = told_of(made.exc_info[1])
            made.exc_info = (type(told), told, told.__traceback__)
        return made

    record.holds_texts_back = True  # type: ignore[attr-defined]
    logging.setLogRecordFactory(record)


# --------------------------------------------------------------------------------------------------------------- spans

_KINDS: Final[dict[str, SpanKind]] = {kind.name.lower(): kind for kind in SpanKind}
_W3C: Final = TraceContextTextMapPropagator()
_PROPERTIES: Final = ("traceparent", "tracestate")


@cache
def _tracer(service: str) -> Tracer:
    return trace.get_tracer(service)


class span:  # noqa: N801 - a context manager, named as it reads
    """A span of ``service``, current within the block; ``with span(…) as it: it.set_attribute(…)``.

    ``parent`` is a mapping with ``traceparent`` (a message's properties, a request's headers with lower-case names);
    the span then belongs to that trace, and links to the span that is current here. Without one it is a child of the
    current span.

    ``stranger`` is such a mapping of somebody who may write any trace id: the span then begins a trace of its own,
    whatever the host has made current by that same mapping, and links to theirs.

    An exception that leaves the block marks the span as failed with the error's code or type; its text, which may
    quote a caller, is not recorded."""

    __slots__ = ("_attributes", "_current", "_kind", "_name", "_parent", "_service", "_span", "_stranger")

    def __init__(
        self,
        name: str,
        *,
        service: Service,
        kind: Kind = "internal",
        parent: Mapping[str, object] | None = None,
        stranger: Mapping[str, object] | None = None,
        attributes: Mapping[str, AttributeValue] | None = None,
    ) -> None:
        self._name = name
        self._service = service
        self._kind = kind
        self._parent = parent
        self._stranger = stranger
        self._attributes = attributes

    def __enter__(self) -> Span:
        context, links = self._begins()
        attributes: dict[str, AttributeValue] = {"service.name": self._service}
        attributes.update(_correlation.get())
        attributes.update(self._attributes or {})
        self._span = _tracer(self._service).start_span(
            self._name, context=context, kind=_KINDS[self._kind], attributes=attributes, links=links
        )
        self._current = trace.use_span(
            self._span, end_on_exit=True, record_exception=False, set_status_on_exception=False
        )
        return self._current.__enter__()

    def _begins(self) -> tuple[Context | None, list[Link]]:
        """The context that the span is begun in (None: the current one), and what it links to."""
        here = trace.get_current_span().get_span_context()
        if self._stranger is not None:
            theirs = extract(self._stranger)
            told = [] if theirs is None else [trace.get_current_span(theirs).get_span_context()]
            known = {context.span_id for context in told}
            return Context(), [Link(c) for c in (*told, *([here] if here.span_id not in known else [])) if c.is_valid]
        context = extract(self._parent) if self._parent is not None else None
        return context, [Link(here)] if context is not None and here.is_valid else []

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None and isinstance(error, Exception):
            what = error.code if isinstance(error, MosaicError) else type(error).__name__
            self._span.set_attribute("error.type", what)
            self._span.set_status(Status(StatusCode.ERROR, what))
        self._current.__exit__(kind, error, traceback)


def inject() -> dict[str, str]:
    """``traceparent`` and ``tracestate`` of the current span, as a message's properties carry them; empty outside a
    trace."""
    carrier: dict[str, str] = {}
    _W3C.inject(carrier)
    return carrier


def extract(properties: Mapping[str, object]) -> Context | None:
    """The trace context that properties or headers carry; None where there is none, or it is malformed."""
    carrier = {name: value for name in _PROPERTIES if isinstance(value := properties.get(name), str)}
    if "traceparent" not in carrier:
        return None
    context = _W3C.extract(carrier, context=Context())
    return context if trace.get_current_span(context).get_span_context().is_valid else None


def trace_parent() -> str:
    """The current span's W3C ``traceparent``, or an empty text outside a trace."""
    return inject().get("traceparent", "")


def trace_id() -> str:
    """The current trace's id as 32 hex digits, or an empty text outside a trace."""
    context = trace.get_current_span().get_span_context()
    return trace.format_trace_id(context.trace_id) if context.is_valid else ""


def storage_request(service: Service, operation: str, table: str, seconds: float, status: int | None) -> None:
    """Record a storage request that just ended as a child span. ``status`` is the HTTP status, None where no answer
    came. A 404, 409 or 412 is an answer that the protocol asks for, not an error."""
    if not trace.get_current_span().is_recording():
        return
    end = time.time_ns()
    attributes: dict[str, AttributeValue] = {
        "service.name": service,
        "db.system.name": "azure.tables",
        "db.operation.name": operation,
        "db.collection.name": table,
        **({"http.response.status_code": status} if status is not None else {}),
    }
    it = _tracer(service).start_span(
        f"{operation} {table}", kind=SpanKind.CLIENT, attributes=attributes, start_time=end - int(seconds * 1e9)
    )
    if status is None or status >= 500 or status == 429:
        it.set_status(Status(StatusCode.ERROR, "no_answer" if status is None else str(status)))
    it.end(end)


# -------------------------------------------------------------------------------------------------------------- events

_STATES: Final[dict[str, RunStatus]] = {
    "enqueued": RunStatus.PENDING,
    "replayed": RunStatus.PENDING,
    "started": RunStatus.RUNNING,
    "completed": RunStatus.COMPLETED,
    "needs_review": RunStatus.NEEDS_REVIEW,
    "attempt_failed": RunStatus.NEEDS_REVIEW,
}
_OF_A_MESSAGE: Final = ("dead_lettered", "duplicate")


def command_event(
    kind: EventKind,
    *,
    envelope: Envelope,
    message: IncomingMessage,
    run_id: str,
    attempt: int,
    outcome: str,
    at: datetime,
    state: RunStatus | None = None,
) -> RuntimeEvent:
    """What a delivery did with a command. ``attempt`` is 0 where the delivery owned nothing; ``state`` is the run's
    status after it, by default the one that ``kind`` implies."""
    return _event(
        kind,
        source=WORKER,
        command_id=envelope.command_id,
        message_id=message.message_id,
        correlation_id=envelope.correlation_id,
        command_type=known_type(envelope),
        queue=message.queue,
        household_id=envelope.household_id,
        run_id=run_id,
        attempt=attempt,
        outcome=outcome,
        state=state,
        at=at,
        sequence_number=message.sequence_number,
    )


def known_type(envelope: Envelope) -> str:
    """The command type where it is one of ours. Any other is a text that somebody wrote."""
    return envelope.command_type if lane_of(envelope.command_type) else "unsupported"


def message_event(kind: EventKind, message: IncomingMessage, *, outcome: str, at: datetime) -> RuntimeEvent:
    """What became of a message that never decoded: only what its properties say, and of these only what has the shape
    of an id."""
    return _event(
        kind,
        source=WORKER,
        command_id=None,
        message_id=message.message_id,
        correlation_id=message.correlation_id,
        command_type=None,
        queue=message.queue,
        household_id=guid_or_empty(message.properties.get("householdId")),
        run_id=None,
        attempt=0,
        outcome=outcome,
        state=None,
        at=at,
        sequence_number=message.sequence_number,
    )


def enqueued_event(
    *,
    command_id: str,
    correlation_id: str,
    command_type: str,
    queue: str,
    household_id: str,
    at: datetime,
    source: Service = API,
    kind: EventKind = "enqueued",
    outcome: str = "queued",
) -> RuntimeEvent:
    """A command was sent to its queue; ``kind`` is ``replayed`` where it replays another. Sending the same command
    again is the same event."""
    return _event(
        kind,
        source=source,
        command_id=command_id,
        message_id=command_id,
        correlation_id=correlation_id,
        command_type=command_type,
        queue=queue,
        household_id=household_id,
        run_id=None,
        attempt=0,
        outcome=outcome,
        state=None,
        at=at,
        sequence_number=0,
    )


def _event(
    kind: EventKind,
    *,
    source: Service,
    command_id: str | None,
    message_id: str,
    correlation_id: str,
    command_type: str | None,
    queue: str,
    household_id: str,
    run_id: str | None,
    attempt: int,
    outcome: str,
    state: RunStatus | None,
    at: datetime,
    sequence_number: int,
) -> RuntimeEvent:
    message_id, correlation_id = clean(message_id), clean(correlation_id)
    # Most kinds tell of a command's attempt, whichever of its messages brought it about; these two of one message, so
    # that a redelivery of it is the same event and another copy is another.
    which = (str(sequence_number), outcome) if kind in _OF_A_MESSAGE else ()
    status = state or _STATES.get(kind)
    return RuntimeEvent(
        event_id=derive("event", kind, queue, command_id or message_id, str(attempt), *which),
        source=source,
        type=EVENT_TYPE_PREFIX + kind,
        subject=correlation_id or message_id or queue,
        household_id=household_id,
        occurred_at=at,
        data={
            "commandId": command_id,
            "messageId": message_id,
            "correlationId": correlation_id or None,
            "commandType": command_type,
            "queue": queue,
            "runId": run_id,
            "attempt": attempt,
            "state": status.value if status is not None else None,
            "outcomeCode": outcome,
            "occurredAtUtc": iso(at),
        },
        trace_parent=trace_parent(),
    )
