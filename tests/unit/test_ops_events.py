"""`./mosaic ops events`, and `trace --events`, over a hub in memory."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.eventhub import EventData
from azure.eventhub.exceptions import AuthenticationError, ConnectError

from mosaic_core.adapters.eventhubs import cloud_event
from mosaic_core.ports import RuntimeEvent
from mosaic_ops.ops import hub
from mosaic_ops.ops.errors import UsageError
from mosaic_ops.ops.events import expected
from mosaic_ops.ops.hub import Hub, of_event
from mosaic_ops.ops.target import Deployment, EmbeddedStack
from tests.support.world import COMMAND_ID, RUN_ID
from tests.unit.test_ops_command import Ops, Stack, ops, stack  # noqa: F401 - fixtures

HOUSEHOLD = "a11ce000000000000000000000000001"
NOW = datetime.now(UTC)


@pytest.fixture(autouse=True)
def _now() -> None:
    """The tool looks at the last minutes before it was asked, and a run of all tests takes some itself."""
    global NOW
    NOW = datetime.now(UTC)


def told(kind: str, at: datetime | None = None, **data: Any) -> str:
    at = at or NOW
    said = {"commandId": COMMAND_ID, "runId": RUN_ID, "attempt": 1, "outcomeCode": kind, **data}
    event = RuntimeEvent(
        event_id=f"{kind}-{at.timestamp()}",
        source="MosaicMoney.Worker",
        type=f"mosaic.runtime.command.{kind}",
        subject="agent:h:c:1",
        household_id=HOUSEHOLD,
        occurred_at=at,
        data=said,
    )
    return json.dumps(cloud_event(event))


@dataclass
class Received:
    """As the SDK gives it, as far as it is looked at."""

    body: str
    sequence_number: int
    enqueued_time: datetime

    def body_as_str(self) -> str:
        return EventData(self.body).body_as_str()


@dataclass
class Partitions:
    """A hub. ``silent``: a partition that has more than it gives. ``asked`` are the options of each receive."""

    held: dict[str, list[Received]] = field(default_factory=lambda: {"0": [], "1": []})
    later: list[Received] = field(default_factory=list)
    silent: str = ""
    away: Exception | None = None
    fails: Exception | None = None
    asked: list[dict[str, Any]] = field(default_factory=list)

    def tell(self, body: str, partition: str = "0", at: datetime | None = None) -> None:
        self.held[partition].append(Received(body, len(self.held[partition]), at or NOW))

    async def get_partition_ids(self) -> list[str]:
        if self.away is not None:
            raise self.away
        return list(self.held)

    async def get_partition_properties(self, partition: str) -> dict[str, Any]:
        held = self.held[partition]
        return {
            "id": partition,
            "is_empty": not held,
            "last_enqueued_sequence_number": len(held) - 1,
            "last_enqueued_time_utc": held[-1].enqueued_time if held else datetime(1970, 1, 1, tzinfo=UTC),
        }

    async def receive(self, *, on_event: Any, on_error: Any, partition_id: str, **options: Any) -> None:
        self.asked.append({"partition_id": partition_id, **options})
        if self.fails is not None:
            await on_error(None, self.fails)
        else:
            for event in self.held[partition_id]:
                if event.enqueued_time >= options["starting_position"] and partition_id != self.silent:
                    await on_event(None, event)
            if options["max_wait_time"] is not None:
                await on_event(None, None)
            elif partition_id == "0":
                for event in self.later:
                    await on_event(None, event)
        await asyncio.Event().wait()


@pytest.fixture
def partitions(monkeypatch: pytest.MonkeyPatch) -> Partitions:
    there = Partitions()

    @asynccontextmanager
    async def client(_: Hub) -> AsyncIterator[Partitions]:
        yield there

    monkeypatch.setattr(Hub, "_client", client)
    monkeypatch.setattr(EmbeddedStack, "hub", lambda *_: Hub(connection="c"))
    return there


def test_what_was_told_lately_oldest_first_and_as_asked_for(
    stack: Stack,  # noqa: F811
    ops: Ops,  # noqa: F811
    partitions: Partitions,
) -> None:
    early, old = NOW - timedelta(minutes=1), NOW - timedelta(hours=2)
    partitions.tell(told("started"), "1")
    partitions.tell(told("enqueued", early), "0", early)
    partitions.tell(told("completed", commandId="b" * 32, runId=None), "0")
    partitions.held["0"].insert(0, Received(told("replayed", old), -1, old))

    def kinds(*arguments: str) -> list[str]:
        code, out, said = ops("events", *arguments, "--json")
        assert (code, said) == (0, "")
        assert json.loads(out)["complete"] is True
        return [hub.kind(one) for one in json.loads(out)["events"]]

    assert kinds() == ["enqueued", "completed", "started"]
    assert kinds("--since", "1d") == ["replayed", "enqueued", "completed", "started"]
    assert kinds("--limit", "1") == ["started"]
    assert kinds("--command", COMMAND_ID) == ["enqueued", "started"]
    assert kinds("--run", RUN_ID.upper(), "--type", "started") == ["started"]
    assert kinds("--type", "mosaic.runtime.command.completed") == ["completed"]
    assert kinds("--household", "f" * 32) == []
    code, out, _ = ops("events")
    assert code == 0
    assert [line.split()[1] for line in out.splitlines()] == ["type", "enqueued", "completed", "started"]
    # nobody else's reading is touched: no owner level, no checkpoint
    assert {name for options in partitions.asked for name in options} == {
        "partition_id",
        "starting_position",
        "starting_position_inclusive",
        "max_wait_time",
    }


def test_what_comes_is_followed_as_json_lines(stack: Stack, ops: Ops, partitions: Partitions) -> None:  # noqa: F811
    partitions.tell(told("enqueued", NOW - timedelta(hours=1)), "0", NOW - timedelta(hours=1))
    later = NOW + timedelta(minutes=1)
    partitions.later = [Received(told(kind, later), 9, later) for kind in ("started", "duplicate", "completed")]
    code, out, _ = ops("events", "--follow", "--limit", "2", "--json")
    assert code == 0
    assert [hub.kind(json.loads(line)) for line in out.splitlines()] == ["started", "duplicate"]
    out = ops("events", "--follow", "--type", "completed", "--limit", "1", "--since", "2h")[1]
    assert out.split()[1:3] == ["completed", COMMAND_ID]


@pytest.mark.parametrize(
    ("away", "fails"),
    [
        (ConnectError("no route to secret-host"), None),
        (OSError("refused"), None),
        (None, AuthenticationError("unauthorised")),
    ],
)
@pytest.mark.parametrize("verb", [("events",), ("events", "--follow", "--limit", "1")])
def test_a_hub_that_does_not_answer_is_exit_3(
    stack: Stack,  # noqa: F811
    ops: Ops,  # noqa: F811
    partitions: Partitions,
    away: Exception | None,
    fails: Exception | None,
    verb: tuple[str, ...],
) -> None:
    partitions.tell(told("started"))
    partitions.away, partitions.fails = away, fails
    code, out, said = ops(*verb)
    assert (code, out) == (3, "")
    assert "Azure Event Hubs Data Receiver" in said
    assert "secret-host" not in said


def test_more_than_is_read_in_time_is_said(
    stack: Stack,  # noqa: F811
    ops: Ops,  # noqa: F811
    partitions: Partitions,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def stuck(**_: Any) -> None:
        await asyncio.Event().wait()

    partitions.tell(told("started"))
    monkeypatch.setattr(partitions, "receive", stuck)
    monkeypatch.setattr(hub, "_SECONDS", 0.05)
    code, out, said = ops("events", "--json")
    assert (code, json.loads(out)) == (0, {"events": [], "complete": False})
    assert "there is more" in said


@pytest.mark.parametrize("body", ["", "{", "[]", "3", "{}", '{"type": 3}'])
def test_what_is_none_of_ours_is_passed_over(body: str) -> None:
    assert of_event(body, NOW) is None


def test_ids_and_codes_come_through_and_nothing_else() -> None:
    event = json.loads(told("completed")) | {"data": {"commandId": ["x"], "message": "private", "attempt": 2}}
    found = of_event(json.dumps(event), NOW)
    assert found is not None
    assert (found["commandId"], found["attempt"]) == (None, 2)
    assert "private" not in json.dumps(found)


def test_a_trace_has_the_hubs_events_and_names_those_that_are_missing(
    stack: Stack,  # noqa: F811
    ops: Ops,  # noqa: F811
    partitions: Partitions,
) -> None:
    stack.fail()
    at = stack.world.clock.now()
    for kind in ("enqueued", "started"):
        partitions.tell(told(kind, at), "0", at)
    partitions.tell(told("completed", at, commandId="b" * 32), "1", at)
    story = json.loads(ops("trace", COMMAND_ID, "--events", "--json")[1])
    assert [event["what"] for event in story["events"]] == ["enqueued", "started"]
    assert [one for one in story["missing"] if one.startswith("event ")] == [
        "event dead_lettered: the hub holds none of it (it keeps events for a while only)"
    ]
    partitions.tell(told("dead_lettered", at), "1", at)
    out = ops("trace", COMMAND_ID, "--events")[1]
    assert "dead_lettered" in out
    assert "missing: event " not in out
    assert "events" not in json.loads(ops("trace", COMMAND_ID, "--json")[1])


def test_a_trace_without_a_hub_is_the_trace_all_the_same(
    stack: Stack,  # noqa: F811
    ops: Ops,  # noqa: F811
    partitions: Partitions,
) -> None:
    stack.fail()
    partitions.away = OSError("refused")
    code, out, _ = ops("trace", COMMAND_ID, "--events")
    assert code == 0
    assert "missing: events: the hub cannot be read" in out


def _story(**run: Any) -> dict[str, Any]:
    whole = {"attemptOutcome": None, "isFinal": False, "status": "Running"} | run
    return {"timeline": [{"what": "recorded, and enqueued after"}], "run": whole}


@pytest.mark.parametrize(
    ("story", "names"),
    [
        ({"timeline": [], "run": None}, []),
        (_story(), ["enqueued", "started"]),
        (_story(attemptOutcome="failed", status="NeedsReview"), ["enqueued", "started", "attempt_failed"]),
        (_story(attemptOutcome="failed", status="NeedsReview", isFinal=True), ["enqueued", "started", "dead_lettered"]),
        (_story(status="NeedsReview", isFinal=True), ["enqueued", "started", "needs_review"]),
        (_story(status="Completed", isFinal=True), ["enqueued", "started", "completed"]),
    ],
)
def test_which_events_a_command_has_told_of(story: dict[str, Any], names: list[str]) -> None:
    assert expected(story) == names


def test_a_deployments_hub_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    there = Deployment("https://app.example")
    assert there.hub("ns.example") == Hub(namespace="ns.example")
    with pytest.raises(UsageError, match="Data Receiver"):
        there.hub("")


def test_the_embedded_stack_has_its_own(stack: Stack, ops: Ops) -> None:  # noqa: F811
    code, _, said = ops("events", "--event-hub", "ns.example")
    assert code == 2
    assert "embedded stack has its own" in said
    for slip in (("--since", "soon"), ("--run", "x"), ("--limit", "0")):
        assert ops("events", *slip)[0] == 2


def test_help_has_an_example(ops: Ops) -> None:  # noqa: F811
    assert "Example: " in ops("events", "--help")[1]
