"""Ids that a producer chose, wherever the runtime tells of them: no sink gets more than what has the shape of an id.

A message's id and a correlation id may hold line breaks, escape sequences, halves of surrogate pairs, a person's words.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from mosaic_core import telemetry
from mosaic_core.domain import ids
from mosaic_core.domain.errors import QueueUnavailableError
from mosaic_core.domain.settlement import DeadLetter
from mosaic_core.ports import IncomingMessage
from mosaic_local.telemetry import ConsoleFormatter
from tests.support.world import COMMAND_ID, QUEUE, RUN_ID, Work, World, body

SHAPE = re.compile(r"[A-Za-z0-9:._-]{0,128}", re.ASCII)
FORGED = "m-1\n2026-01-01 00:00:00,000 ERROR mosaic_core: nothing to see"

any_text = st.text(st.characters(codec=None, exclude_categories=()), min_size=1, max_size=200)
hostile = any_text.filter(lambda text: not SHAPE.fullmatch(text))
correlations = st.text(
    st.sampled_from("\x80\x85\x9b\u2028\u2029\u202e\u200b é\U0001f600ab:"), min_size=1, max_size=120
).filter(lambda text: bool(text.strip()) and not SHAPE.fullmatch(text.strip()))


class Collect(logging.Handler):
    """What a handler that copies a record, or formats it, would write."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        fields = {name: str(value) for name, value in record.__dict__.items() if name not in ("exc_info", "args")}
        self.told += [logging.Formatter().format(record), *fields.values()]
        self.lines.append(ConsoleFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s").format(record))


@contextmanager
def listening() -> Iterator[tuple[Collect, InMemorySpanExporter]]:
    handler, exporter = Collect(), InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    root, level, tracer = logging.getLogger(), logging.getLogger().level, telemetry._tracer
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    telemetry._tracer = provider.get_tracer  # type: ignore[assignment]
    try:
        yield handler, exporter
    finally:
        telemetry._tracer = tracer
        root.removeHandler(handler)
        root.setLevel(level)


async def everything_told(message_id: str, correlation_id: str) -> tuple[World, list[str], list[str]]:
    """What is said of a command that fails five times, of a second request under its id, of a message that is no JSON,
    and of one that cannot be settled; and the console's lines."""
    with listening() as (handler, exporter):
        world = World(Work(("fail",)))
        await world.send(body(correlationId=correlation_id), message_id=message_id)
        await world.run()
        await world.send(body(correlationId=correlation_id, message="another"), message_id=message_id)
        await world.send(b"no json", message_id=message_id)
        await world.run()
        await world.send(b"no json", message_id=message_id)
        lost = world.broker.receive(QUEUE)
        assert lost is not None
        world.clock.advance(61)
        assert isinstance(await world.deliver(lost), DeadLetter)
    told = handler.told
    for span in exporter.get_finished_spans():
        told += [str(value) for value in (span.attributes or {}).values()]
    for event in world.publisher.events:
        told += [event.subject, json.dumps(dict(event.data), ensure_ascii=False)]
    told += [dead.description for dead in world.broker.dead_letters(QUEUE)]
    codes = ("invalid_json", "invalid_envelope")
    signal_ids = [
        ids.failure_signal_id(RUN_ID),
        *(ids.rejected_message_signal_id(QUEUE, message_id, code) for code in codes),
    ]
    for signal_id in signal_ids:
        stored = await world.stored.signals.read(signal_id)
        if stored is not None:
            signal = stored.value
            for told_id in (signal.message_id, signal.correlation_id):
                assert told_id is None or SHAPE.fullmatch(told_id)
            told += [signal.summary]
    return world, told, handler.lines


def check(message_id: str, correlation_id: str) -> None:
    world, told, lines = asyncio.run(everything_told(message_id, correlation_id))
    assert len(told) > 50
    for text in told:
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202e\ud800-\udfff]", text), repr(text)
        if len(message_id) > 8:
            assert message_id not in text
        if len(correlation_id) > 8:
            assert correlation_id not in text
    assert all(re.match(r"    |\d{4}-\d\d-\d\d ", line) for text in lines for line in text.split("\n"))
    # the broker's copy keeps what its producer set: only what is told of it is cleaned
    assert {dead.message.message_id for dead in world.broker.dead_letters(QUEUE)} == {message_id}
    # whoever reads a log line finds the signal and the dead letter by the same text
    known = ids.clean(message_id)
    assert any(known in dead.description for dead in world.broker.dead_letters(QUEUE))


@settings(max_examples=25, deadline=None)
@given(hostile, correlations)
@example(FORGED, "agent:\x9b31m:\u2028x" * 6)
@example("\x1b[2J\x1b]0;owned\x07", "a b")
@example("\ud800", "\u202e")
@example("m" * 129, "c" * 119 + "é")
def test_no_sink_gets_more_of_a_producer_s_id_than_the_shape_of_an_id(message_id: str, correlation_id: str) -> None:
    check(message_id, correlation_id)


@given(any_text)
def test_the_cleaner_leaves_ids_alone_tells_the_others_apart_and_is_idempotent(text: str) -> None:
    cleaned = ids.clean(text)
    assert SHAPE.fullmatch(cleaned)
    assert ids.clean(cleaned) == cleaned
    assert (cleaned == text) == bool(SHAPE.fullmatch(text))
    assert ids.clean(text + "\n") != cleaned
    assert ids.clean("") == ""


def test_an_id_of_ours_is_told_as_it_is() -> None:
    for ours in (COMMAND_ID, "seq-17", f"agent:{COMMAND_ID}:{COMMAND_ID}:{COMMAND_ID}", "sweep:a_b:20260101:c.d"):
        assert ids.clean(ours) == ours


@given(any_text)
def test_the_console_s_lines_cannot_be_forged(text: str) -> None:
    """Whatever a record holds, in its message, its fields or its error."""
    try:
        raise QueueUnavailableError(text)
    except QueueUnavailableError as error:
        exc_info = (type(error), error, error.__traceback__)
    fields: dict[str, Any] = {"messageId": text, "code": text, "rationale": text}
    record = logging.makeLogRecord({"name": "n", "levelname": "INFO", "msg": text, "exc_info": exc_info, **fields})
    first, *more = ConsoleFormatter("%(levelname)s %(message)s").format(record).split("\n")
    assert first.startswith("INFO ")
    assert all(line.startswith("    ") for line in more)
    assert all(line.isprintable() for line in (first, *more))


@pytest.mark.parametrize("field", ["messageId", "commandId", "correlationId", "runId", "householdId"])
def test_every_field_of_a_correlated_line_is_cleaned(field: str) -> None:
    with telemetry.correlated(**{field: FORGED}):  # type: ignore[arg-type]
        assert telemetry.correlation()[field] == ids.clean(FORGED)


def test_an_event_of_a_message_that_decoded_shows_no_foreign_text() -> None:
    message = IncomingMessage(
        queue=QUEUE,
        body=b"",
        lock_token="",
        message_id=FORGED,
        sequence_number=1,
        delivery_count=1,
        enqueued_at=World(Work(("fail",))).clock.now(),
        correlation_id="mail from Alice",
    )
    made = telemetry.message_event("dead_lettered", message, outcome="invalid_json", at=message.enqueued_at)
    assert SHAPE.fullmatch(made.subject)
    assert (
        made.event_id
        != telemetry.message_event(
            "dead_lettered", replace(message, message_id="other\n"), outcome="invalid_json", at=message.enqueued_at
        ).event_id
    )
