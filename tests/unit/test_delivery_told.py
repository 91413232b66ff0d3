"""What a delivery tells in the log and in spans, as the alerts and the workbook read it."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from mosaic_core import telemetry
from mosaic_core.domain.errors import LaneError, MosaicError, StoredRowError, StoreUnreachableError
from mosaic_core.lanes.context import StageLog
from tests.support.world import COMMAND_ID, QUEUE, Work, World

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


async def told(caplog: pytest.LogCaptureFixture, *ends: str, waited: float = 0.0) -> list[dict[str, object]]:
    world = World(Work(ends))
    with caplog.at_level(logging.INFO):
        await world.send()
        world.clock.advance(waited)
        await world.run()
    return [record.__dict__ for record in caplog.records if record.name == "mosaic_core.services.delivery"]


async def test_every_attempt_that_starts_is_told_and_has_an_end(caplog: pytest.LogCaptureFixture) -> None:
    telemetry.correlate_handlers()
    lines = await told(caplog, "fail", "success", waited=12.5)
    started = [line for line in lines if line["msg"] == "attempt started"]
    assert [line["waitedSeconds"] for line in started] == [12.5, 0.0]
    assert {line["commandType"] for line in started} == {"agent_message_posted"}
    (failed,) = [line for line in lines if line["msg"] == "attempt failed"]
    (ended,) = [line for line in lines if line["msg"] == "command completed"]
    assert (ended["status"], ended["outcomeCode"]) == ("Completed", "completed")
    for number, line in enumerate(started, start=1):
        assert (line["commandId"], line["queue"], line["lane"], line["attempt"]) == (
            COMMAND_ID,
            QUEUE,
            "conversation",
            number,
        )
    assert (failed["attempt"], failed["code"]) == (1, "broken")


async def test_a_command_for_review_says_why(caplog: pytest.LogCaptureFixture) -> None:
    (ended,) = [line for line in await told(caplog, "review") if line["msg"] == "command completed"]
    assert ended["status"] == "NeedsReview"
    assert ended["outcomeCode"] == "look_at_it"


async def test_a_stage_is_a_span_with_its_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(telemetry, "_tracer", provider.get_tracer)
    log = StageLog(lambda: NOW)
    with telemetry.span("runtime.lane", service=telemetry.WORKER):
        async with log.stage("answer", "offline/1") as stage:
            stage.succeed("answered", "groceries, 12.50")
        with pytest.raises(LaneError):
            async with log.stage("write_ledger", "ingestion/1"):
                raise LaneError("for Alice", code="ledger_conflict")
    answer, write, lane = exporter.get_finished_spans()
    assert [span.name for span in (answer, write)] == ["runtime.stage"] * 2
    assert [dict(span.attributes or {})["mosaic.stage"] for span in (answer, write)] == ["answer", "write_ledger"]
    assert [dict(span.attributes or {})["mosaic.outcome"] for span in (answer, write)] == [
        "answered",
        "ledger_conflict",
    ]
    assert (answer.status.status_code, write.status.status_code) == (StatusCode.UNSET, StatusCode.ERROR)
    assert lane.context is not None
    assert answer.parent is not None
    assert answer.parent.span_id == lane.context.span_id
    assert "12.50" not in answer.to_json()
    assert "Alice" not in write.to_json()


@pytest.mark.parametrize(
    "error", [StoreUnreachableError("storage is away"), StoredRowError("a row of another version")]
)
async def test_a_command_that_storage_ends_is_told_as_rejected(
    caplog: pytest.LogCaptureFixture, error: MosaicError
) -> None:
    world = World(Work(("success",)))

    async def fails(*_: object) -> None:
        raise error

    await world.send()
    world.stores.runs.insert = fails  # type: ignore[method-assign, assignment]
    world.stores.runs.read = fails  # type: ignore[method-assign, assignment]
    with caplog.at_level(logging.INFO):
        await world.run(most=2000)
    rejected = [r.__dict__ for r in caplog.records if r.getMessage() == "command rejected"]
    assert [line["code"] for line in rejected] == [error.code]
    assert rejected[0]["commandId"] == COMMAND_ID
