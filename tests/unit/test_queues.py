"""The queue entrypoint: what the host hands out becomes what the services know, one lane's share of it at a time."""

from __future__ import annotations

import asyncio
import contextlib
import json
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import azure.functions as func
import pytest
from azure.functions.meta import Datum
from azure.functions.servicebus import ServiceBusMessageInConverter

from mosaic_core.config import Settings
from mosaic_core.domain.body import deflate
from mosaic_core.domain.lanes import HOUSEHOLD_CONCURRENCY, RULES, WAIT_SECONDS, WAITERS, Lane
from mosaic_core.domain.settlement import Complete, Settlement
from mosaic_core.entrypoints import queues
from mosaic_core.entrypoints.queues import create_blueprint, incoming
from mosaic_core.ports import IncomingMessage
from tests.unit.test_config import MINIMAL, ROOT

QUEUES = {lane: f"real-{lane.value}" for lane in Lane}


def message(body: bytes = b"{}", properties: dict[str, Any] | None = None, **metadata: Any) -> func.ServiceBusMessage:
    """As the worker library makes it out of what the host sends: texts as strings, all else as JSON."""
    known: dict[str, Any] = {
        "MessageId": "m-1",
        "LockToken": "7d1f6a1e-0000-4000-8000-000000000001",
        "DeliveryCount": 2,
        "SequenceNumber": 9_007_199_254_740_993,
        "CorrelationId": "corr",
        "Subject": "agent_message_posted",
        "EnqueuedTimeUtc": "2026-11-24T09:30:15.1234567Z",
    }
    datums = {
        name: Datum(value, "string") if isinstance(value, str) else Datum(json.dumps(value), "json")
        for name, value in (known | metadata).items()
        if value is not None
    }
    datums["UserProperties"] = datums["ApplicationProperties"] = Datum(json.dumps(properties or {}), "json")
    decoded = ServiceBusMessageInConverter.decode(Datum(body, "bytes"), trigger_metadata=datums)
    assert isinstance(decoded, func.ServiceBusMessage)
    return decoded


# ---------------------------------------------------------------------------------------------------------- translation


def test_a_message_is_translated_whole() -> None:
    body = '{"unicode": "Zoë ☕"}'.encode()
    assert incoming(message(body), "the-queue") == IncomingMessage(
        queue="the-queue",
        body=body,
        lock_token="7d1f6a1e-0000-4000-8000-000000000001",
        message_id="m-1",
        sequence_number=9_007_199_254_740_993,
        delivery_count=2,
        enqueued_at=datetime(2026, 11, 24, 9, 30, 15, 123456, tzinfo=UTC),
        correlation_id="corr",
        subject="agent_message_posted",
        properties={},
    )


@pytest.mark.parametrize("body", [b"", b"\xff\xfe\x00", b"not json"])
def test_bytes_that_are_no_text_pass_as_they_are(body: bytes) -> None:
    assert incoming(message(body), "q").body == body


def test_a_message_without_a_body_is_empty() -> None:
    metadata = {"UserProperties": Datum("{}", "json")}
    decoded = ServiceBusMessageInConverter.decode(None, trigger_metadata=metadata)  # type: ignore[arg-type]
    assert isinstance(decoded, func.ServiceBusMessage)
    assert incoming(decoded, "q").body == b""


@pytest.mark.parametrize("missing", [None, ""])
def test_a_message_without_an_id_is_known_by_its_sequence_number(missing: str | None) -> None:
    assert incoming(message(MessageId=missing, SequenceNumber=41), "q").message_id == "seq-41"


def test_what_the_sender_left_out_is_empty() -> None:
    found = incoming(message(CorrelationId=None, Subject=None, DeliveryCount=None), "q")
    assert (found.correlation_id, found.subject, found.delivery_count) == ("", "", 1)


def test_a_label_is_a_subject_by_its_old_name() -> None:
    assert incoming(message(Subject=None, Label="sweep"), "q").subject == "sweep"


def test_properties_keep_their_types() -> None:
    sent = {
        "recorded": True,
        "householdId": "a11ce000000000000000000000000001",
        "firstEnqueuedAtUtc": "2026-11-24T09:30:00Z",
        "count": 3,
        "big": 2**53 + 1,
        "off": False,
        "empty": "",
    }
    found = incoming(message(properties=sent), "q").properties
    assert found == sent
    assert {name: type(value) for name, value in found.items()} == {name: type(value) for name, value in sent.items()}
    # a text or a number that looks like yes is none
    for lookalike in ("true", "True", 1):
        assert incoming(message(properties={"recorded": lookalike}), "q").properties["recorded"] is not True


def test_properties_of_other_types_are_left_out() -> None:
    sent = {"a": 1.5, "b": None, "c": ["x"], "d": {"e": 1}, "keep": "this"}
    assert incoming(message(properties=sent), "q").properties == {"keep": "this"}


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-24T09:30:15Z", datetime(2026, 11, 24, 9, 30, 15, tzinfo=UTC)),
        ("2026-11-24T09:30:15+00:00", datetime(2026, 11, 24, 9, 30, 15, tzinfo=UTC)),
        ("2026-11-24T09:30:15.5", datetime(2026, 11, 24, 9, 30, 15, 500_000, tzinfo=UTC)),
        ("2026-11-24T09:30:15", datetime(2026, 11, 24, 9, 30, 15, tzinfo=UTC)),
    ],
)
def test_a_time_without_a_zone_is_utc(text: str, moment: datetime) -> None:
    found = incoming(message(EnqueuedTimeUtc=text), "q").enqueued_at
    assert found == moment
    assert found.tzinfo is not None


def test_a_message_that_does_not_say_when_it_came_came_now() -> None:
    before = datetime.now(UTC)
    assert before <= incoming(message(EnqueuedTimeUtc=None), "q").enqueued_at <= datetime.now(UTC)


# ------------------------------------------------------------------------------------------------------- the functions


@dataclass
class Service:
    """Holds every delivery until it is let go; knows how many were held at once."""

    delivered: list[tuple[Lane, IncomingMessage]] = field(default_factory=list)
    held: dict[Lane, int] = field(default_factory=dict)
    most: dict[Lane, int] = field(default_factory=dict)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    error: Exception | None = None

    async def deliver(self, lane: Lane, message: IncomingMessage) -> Settlement:
        self.held[lane] = self.held.get(lane, 0) + 1
        self.most[lane] = max(self.most.get(lane, 0), self.held[lane])
        try:
            await self.gate.wait()
            if self.error is not None:
                raise self.error
            self.delivered.append((lane, message))
            return Complete()
        finally:
            self.held[lane] -= 1


type Handler = Callable[[func.ServiceBusMessage], Awaitable[None]]


def functions(service: Any, **concurrency: int) -> dict[str, Any]:
    """The app's functions by name, as the worker indexes them."""
    limits = {lane: concurrency.get(lane.value, 16) for lane in Lane}
    app = func.FunctionApp()
    app.register_functions(create_blueprint(lambda: service, queues=QUEUES, concurrency=limits))
    return {str(f.get_function_name()): f for f in app.get_functions()}


def handlers(service: Service, **concurrency: int) -> dict[Lane, Handler]:
    found = functions(service, **concurrency)
    return {lane: found[f"{lane.value}_lane"].get_user_function() for lane in Lane}


@pytest.fixture
def no_queue_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("IngestionQueue", "ConversationQueue", "SweepQueue"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("no_queue_settings")
def test_each_lane_is_a_function_of_its_own_that_settles_by_itself() -> None:
    found = functions(Service())
    assert sorted(found) == ["conversation_lane", "ingestion_lane", "sweep_lane"]
    for lane in Lane:
        trigger = found[f"{lane.value}_lane"].get_trigger().get_dict_repr()
        assert trigger["type"] == "serviceBusTrigger"
        assert trigger["queueName"] == RULES[lane].default_queue
        assert trigger["connection"] == "ServiceBusConnection"
        assert trigger["autoCompleteMessages"] is False
        assert str(trigger.get("isSessionsEnabled", False)) != "True"


@pytest.mark.usefixtures("no_queue_settings")
def test_a_queues_name_comes_from_its_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    """The host resolves it, so that the host's and the app's reading cannot differ."""
    monkeypatch.setenv("SweepQueue", "another-queue")
    found = functions(Service())
    names = {n: f.get_trigger().get_dict_repr()["queueName"] for n, f in found.items()}
    assert names["sweep_lane"] == "%SweepQueue%"
    assert names["ingestion_lane"] == "runtime-ingestion-completed"


async def test_a_message_reaches_its_lane_under_the_queues_real_name() -> None:
    service = Service()
    service.gate.set()
    for lane, handler in handlers(service).items():
        await handler(message(b"body", MessageId=lane.value))
    assert [(lane, m.queue, m.message_id, m.body) for lane, m in service.delivered] == [
        (lane, f"real-{lane.value}", lane.value, b"body") for lane in Lane
    ]


async def test_a_lane_runs_no_more_at_once_than_it_may_and_holds_up_no_other() -> None:
    service = Service()
    by_lane = handlers(service, sweep=1, conversation=2)
    tasks = [
        asyncio.ensure_future(by_lane[lane](message(MessageId=f"{lane.value}-{n}"))) for lane in Lane for n in range(4)
    ]
    for _ in range(10):
        await asyncio.sleep(0)
    assert service.held == {Lane.SWEEP: 1, Lane.CONVERSATION: 2, Lane.INGESTION: 4}
    service.gate.set()
    await asyncio.gather(*tasks)
    assert service.most == {Lane.SWEEP: 1, Lane.CONVERSATION: 2, Lane.INGESTION: 4}
    # each came through, in the order of its arrival
    sweeps = [m.message_id for lane, m in service.delivered if lane is Lane.SWEEP]
    assert sweeps == [f"sweep-{n}" for n in range(4)]


async def test_a_delivery_that_ends_in_an_error_or_is_cut_off_gives_its_place_back() -> None:
    service = Service(error=RuntimeError("broken"))
    handler = handlers(service, sweep=1)[Lane.SWEEP]
    cut_off = asyncio.ensure_future(handler(message()))
    await asyncio.sleep(0)
    cut_off.cancel()
    await asyncio.gather(cut_off, return_exceptions=True)
    service.gate.set()
    # the host is told, so that it gives the message back
    with pytest.raises(RuntimeError, match="broken"):
        await handler(message())
    service.error = None
    await asyncio.wait_for(handler(message(MessageId="next")), 1)
    assert [m.message_id for _, m in service.delivered] == ["next"]


async def test_the_service_is_built_at_the_first_message_and_not_before() -> None:
    built: list[Service] = []

    def service() -> Any:
        built.append(Service())
        built[-1].gate.set()
        return built[-1]

    app = func.FunctionApp()
    app.register_functions(create_blueprint(service, queues=QUEUES, concurrency=dict.fromkeys(Lane, 1)))
    [handler] = [f.get_user_function() for f in app.get_functions() if f.get_function_name() == "sweep_lane"]
    assert built == []
    await handler(message())
    assert len(built) == 1


async def test_what_would_wait_too_long_within_its_invocation_goes_back_to_the_queue() -> None:
    """32 slow deliveries and one place: a few wait for it, the others are told that there is none."""
    go, crowded, at_work = asyncio.Event(), list[IncomingMessage](), 0

    class Slow:
        async def deliver(self, lane: Lane, message: IncomingMessage) -> Settlement:
            nonlocal at_work
            if message.crowded:
                crowded.append(message)
                return Complete()
            at_work += 1
            assert at_work == 1
            await go.wait()
            at_work -= 1
            return Complete()

    sweep = functions(Slow(), sweep=1)["sweep_lane"].get_user_function()
    work = [asyncio.create_task(sweep(message(MessageId=f"m-{n}"))) for n in range(32)]
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(crowded) == 32 - 1 - WAITERS
    assert sum(task.done() for task in work) == len(crowded)
    go.set()
    await asyncio.gather(*work)
    assert len(crowded) == 32 - 1 - WAITERS


class Hours(asyncio.SelectorEventLoop):
    """A loop whose clock jumps to the next thing that is due."""

    def __init__(self) -> None:
        super().__init__()
        self.now, select = 0.0, self._selector.select  # type: ignore[attr-defined]

        def jump(timeout: float | None) -> Any:
            self.now += timeout or 0.0
            return select(0)

        self._selector.select = jump  # type: ignore[attr-defined]

    def time(self) -> float:
        return self.now


def test_32_sweeps_that_take_their_whole_deadline_end_within_the_host_s_limit() -> None:
    """As the host hands them out: sixteen invocations at once, one place in the lane. None outlives functionTimeout,
    which would kill the process; each sweep is done, and none waits within its invocation for others to end."""
    host = json.loads((ROOT / "host.json").read_text())
    settings = Settings.from_env(MINIMAL, host)
    took: list[float] = []
    done: list[str] = []

    async def night() -> None:
        loop, ready = asyncio.get_running_loop(), asyncio.Queue[int]()

        class Slow:
            async def deliver(self, lane: Lane, message: IncomingMessage) -> Settlement:
                if message.crowded:
                    loop.call_later(30, ready.put_nowait, int(message.message_id))  # the copy
                else:
                    await asyncio.sleep(settings.lane_deadline_seconds)
                    done.append(message.message_id)
                return Complete()

        sweep = functions(Slow(), sweep=settings.lane_concurrency[Lane.SWEEP])["sweep_lane"].get_user_function()
        calls = asyncio.Semaphore(host["extensions"]["serviceBus"]["maxConcurrentCalls"])

        async def invocation(number: int) -> None:
            began = loop.time()
            await sweep(message(MessageId=str(number)))
            took.append(loop.time() - began)
            calls.release()

        for number in range(32):
            ready.put_nowait(number)
        async with asyncio.TaskGroup() as group:
            while len(done) < 32:
                await calls.acquire()
                with contextlib.suppress(TimeoutError):
                    group.create_task(invocation(await asyncio.wait_for(ready.get(), 60)))
                    continue
                calls.release()

    with asyncio.Runner(loop_factory=Hours) as runner:
        runner.run(night())
    assert sorted(done, key=int) == [str(number) for number in range(32)]
    assert max(took) <= settings.lane_deadline_seconds + 2 * WAIT_SECONDS
    assert max(took) < settings.function_timeout_seconds


async def test_a_wait_for_a_place_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mosaic_core.entrypoints.queues.WAIT_SECONDS", 0.001)
    go, crowded = asyncio.Event(), asyncio.Event()

    class Slow:
        async def deliver(self, lane: Lane, message: IncomingMessage) -> Settlement:
            if message.crowded:
                crowded.set()
            else:
                await go.wait()
            return Complete()

    sweep = functions(Slow(), sweep=1)["sweep_lane"].get_user_function()
    first, second = asyncio.create_task(sweep(message())), asyncio.create_task(sweep(message(MessageId="m-2")))
    await crowded.wait()
    await second
    go.set()
    await first
    await sweep(message(MessageId="m-3"))


def test_a_deflated_body_is_inflated() -> None:
    body, properties = deflate(b'{"a": 1}' * 100, {"recorded": True})
    got = incoming(message(body, properties), "q")
    assert (got.body, got.properties) == (b'{"a": 1}' * 100, {"recorded": True})


# ----------------------------------------------------------------------------------------------------- fair turns

ALICE, BOB = "a11ce000000000000000000000000001", "b0b00000000000000000000000000001"


class Flooded:
    """Holds what is at work until it is let go; what finds no place is told apart."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.at_work: list[str] = []
        self.crowded: list[str] = []
        self.most = 0

    async def deliver(self, lane: Lane, message: IncomingMessage) -> Settlement:
        if message.crowded:
            self.crowded.append(message.message_id)
            return Complete()
        self.at_work.append(message.message_id)
        self.most = max(self.most, len(self.at_work))
        await self.go.wait()
        self.at_work.remove(message.message_id)
        return Complete()


def of(household: object, number: int) -> func.ServiceBusMessage:
    return message(MessageId=f"{household}-{number}", properties={"householdId": household} if household else {})


async def turns() -> None:
    for _ in range(30):
        await asyncio.sleep(0)


async def test_one_household_never_takes_more_than_its_share_of_a_lane() -> None:
    """A flood of sixteen, as many as the lane has places: four work, four wait, eight places are free for others."""
    service = Flooded()
    lane = functions(service)["conversation_lane"].get_user_function()
    flood = [asyncio.create_task(lane(of(ALICE, n))) for n in range(16)]
    await turns()
    assert len(service.at_work) == HOUSEHOLD_CONCURRENCY
    assert len(service.crowded) == 16 - HOUSEHOLD_CONCURRENCY - WAITERS
    assert sum(task.done() for task in flood) == 16 - HOUSEHOLD_CONCURRENCY - WAITERS
    other = asyncio.create_task(lane(of(BOB, 0)))
    await turns()
    assert f"{BOB}-0" in service.at_work
    service.go.set()
    await asyncio.gather(other, *flood)
    assert service.most == HOUSEHOLD_CONCURRENCY + 1
    assert len(service.crowded) == 16 - HOUSEHOLD_CONCURRENCY - WAITERS


async def test_several_floods_wait_in_no_more_places_than_one() -> None:
    service = Flooded()
    lane = functions(service)["ingestion_lane"].get_user_function()
    named = [f"{n:032x}" for n in range(1, 4)]
    floods = [asyncio.create_task(lane(of(household, n))) for n in range(10) for household in named]
    await turns()
    assert len(service.at_work) == 3 * HOUSEHOLD_CONCURRENCY
    assert len(service.crowded) == 3 * 10 - 3 * HOUSEHOLD_CONCURRENCY - WAITERS
    service.go.set()
    await asyncio.gather(*floods)


@pytest.mark.parametrize("nobody", [None, "", "not a household", "0" * 32, 7, "x" * 5000])
async def test_messages_that_name_no_household_share_the_turns_of_one(nobody: object) -> None:
    service = Flooded()
    lane = functions(service)["conversation_lane"].get_user_function()
    foreign = [asyncio.create_task(lane(of(nobody if n % 2 else None, n))) for n in range(12)]
    await turns()
    assert len(service.at_work) == HOUSEHOLD_CONCURRENCY
    service.go.set()
    await asyncio.gather(*foreign)


async def test_a_household_in_another_spelling_is_the_same_one() -> None:
    service = Flooded()
    lane = functions(service)["conversation_lane"].get_user_function()
    spellings = [ALICE, ALICE.upper(), str(uuid.UUID(ALICE)), f"{{{uuid.UUID(ALICE)}}}"]
    flood = [asyncio.create_task(lane(of(spelling, n))) for n in range(3) for spelling in spellings]
    await turns()
    assert len(service.at_work) == HOUSEHOLD_CONCURRENCY
    service.go.set()
    await asyncio.gather(*flood)


async def test_a_household_whose_delivery_ends_anyhow_gets_its_turn_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ended by an error, cut off at work, cut off or out of patience while it waited: no turn is lost, no household
    remembered."""
    turns_of = queues._Turns(1)
    assert await turns_of.take(ALICE)
    cut_off = asyncio.create_task(turns_of.take(ALICE))
    await asyncio.sleep(0)
    cut_off.cancel()
    await asyncio.gather(cut_off, return_exceptions=True)
    monkeypatch.setattr(queues, "WAIT_SECONDS", 0.001)
    assert not await turns_of.take(ALICE)
    turns_of.give_back(ALICE)
    assert turns_of._present == {}
    assert turns_of._waiting == 0
    service = Service(error=RuntimeError("broken"))
    service.gate.set()
    lane = functions(service)["conversation_lane"].get_user_function()
    for n in range(2 * HOUSEHOLD_CONCURRENCY):
        with pytest.raises(RuntimeError, match="broken"):
            await lane(of(ALICE, n))


async def test_a_turn_that_is_waited_for_comes_in_the_order_of_arrival() -> None:
    service = Flooded()
    lane = functions(service)["conversation_lane"].get_user_function()
    flood = [asyncio.create_task(lane(of(ALICE, n))) for n in range(HOUSEHOLD_CONCURRENCY + WAITERS)]
    await turns()
    assert service.at_work == [f"{ALICE}-{n}" for n in range(HOUSEHOLD_CONCURRENCY)]
    service.go.set()
    await asyncio.gather(*flood)
    assert service.crowded == []


async def test_what_is_sent_back_comes_again_one_after_the_other() -> None:
    """At the pace at which its household gets through its work, and within a bound; another household has a line of its
    own."""
    now = 100.0
    turns_of = queues._Turns(4, lambda: now)
    assert turns_of.line_up(ALICE) == 0.0
    for _ in range(100):
        assert await turns_of.take(ALICE)
        turns_of.give_back(ALICE, 2.0)
    waits = [turns_of.line_up(ALICE) for _ in range(400)]
    assert waits[:3] == pytest.approx([0.5, 1.0, 1.5], rel=0.01)
    assert waits == sorted(waits)
    assert waits[-1] == queues.LINE_SECONDS
    assert turns_of.line_up(BOB) == pytest.approx(0.5, rel=0.01)
    now += 1000
    assert turns_of.line_up(ALICE) == pytest.approx(0.5, rel=0.01)
    for n in range(3 * queues._LINES):
        now += 1
        turns_of.line_up(f"{n:032x}")
    assert len(turns_of._line_ends) <= queues._LINES


async def test_a_delivery_without_a_turn_is_told_how_long_the_line_is() -> None:
    told: list[float] = []

    class Busy(Flooded):
        async def deliver(self, lane: Lane, message: IncomingMessage) -> Settlement:
            if message.crowded:
                told.append(message.crowded_seconds)
            return await super().deliver(lane, message)

    service = Busy()
    lane = functions(service)["conversation_lane"].get_user_function()
    flood = [asyncio.create_task(lane(of(ALICE, n))) for n in range(16)]
    await turns()
    assert len(told) == 16 - HOUSEHOLD_CONCURRENCY - WAITERS
    assert told == sorted(told)
    service.go.set()
    await asyncio.gather(*flood)
