"""Anything may happen to a command, in any order: what the delivery protocol promises holds after every step.

The real `DeliveryService` on memory stores and broker, with the queues' own limit of deliveries. Every request of every
worker, renewals of its lease and waits of its own among them, waits until the machine lets it go, so workers interleave
request by request, stand still as long as the machine likes (locks and leases run out meanwhile), lose answers, drain
and die. Storage, broker and each worker go by clocks of their own, up to five minutes apart. Once faults stop, the
command must come to an end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, get_args

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from mosaic_core.domain import ids
from mosaic_core.domain.envelope import decode
from mosaic_core.domain.errors import QueueUnavailableError, StoreUnreachableError
from mosaic_core.domain.lanes import MAX_ATTEMPTS, MAX_DELIVERIES, Lane
from mosaic_core.domain.lifecycle import AttemptOutcome, DecisionOutcome, KeyStatus, RunStatus
from mosaic_core.domain.records import Command, Decision, Key, Run, Signal
from mosaic_core.domain.reservation import IN_COMPANY
from mosaic_core.domain.settlement import Settlement
from mosaic_core.lanes.context import LaneContext, LaneResult, needs_review, succeeded
from mosaic_core.ports import IncomingMessage, Stores
from mosaic_core.services.deliver import DeliveryService
from mosaic_core.services.drain import Drain
from mosaic_core.services.limits import DeliveryLimits
from mosaic_core.services.reconciler import Reconciler
from mosaic_ops.memory.messaging import MAX_DELIVERIES_EXCEEDED
from tests.support.examples import examples
from tests.support.faults import ProcessDied, awaited
from tests.support.world import COMMAND_ID, HOUSEHOLD, QUEUE, RUN_ID, Skewed, World, body

type Go = Literal["on", "lost", "unsent", "die_after"]
type Fate = Literal["pause", "drain", "die", "die_after", "lost", "unsent"]
type Then = Literal["usual"] | Fate
type End = Literal["success", "review", "fail", "raise"]

FIRST, OTHER = body(), body(message="Another request under the same id")
TO_THE_END, LEASE = 60, 29
QUIET = 60
"""Rounds of the event loop after which nothing moves any more: no step of a delivery awaits more often in a row."""


@dataclass(frozen=True, slots=True)
class Work:
    """A delivery, the next message's (for which time passes where it must) or one that stood still. It goes on for so
    many requests, or ``until`` the next of that name, and ``then`` that befalls it. ``request`` is which of those under
    way at the same time; ``lands``: what is in flight when a lane is cut off still lands."""

    new: bool
    which: int
    lands: bool
    steps: int
    request: int
    then: Then
    skew: float


@dataclass(frozen=True, slots=True)
class Sending:
    """A duplicate, or another request under the same id."""

    recorded: bool
    other: bool


@dataclass(frozen=True, slots=True)
class Time:
    """It passes; the broker may restart meanwhile, and every lock is void."""

    seconds: float
    restart: bool


SKEWS = st.sampled_from((0.0, -300.0, 300.0))
WORK = st.builds(
    Work,
    new=st.booleans(),
    which=st.integers(0, 3),
    lands=st.booleans(),
    steps=st.one_of(st.integers(0, 14), st.just(TO_THE_END)),
    request=st.integers(0, 2),
    then=st.sampled_from(("usual", "usual", "usual", "pause", "drain", "die", "die_after", "lost", "unsent")),
    skew=SKEWS,
)
SENDING = st.builds(Sending, recorded=st.booleans(), other=st.sampled_from((False, False, True)))
TIME = st.builds(
    Time, seconds=st.sampled_from((0.5, 1, 5, 29, 31, 61, 130)), restart=st.sampled_from((False, False, True))
)


@dataclass(eq=False)
class Request:
    """One request of a worker, held back."""

    what: str
    go: asyncio.Future[Go]


@dataclass(eq=False)
class Worker:
    """One delivery by a process of its own. ``lands``: what is in flight when its lane is cut off still lands."""

    lands: bool
    skew: float = 0.0
    drain: Drain = field(default_factory=Drain)
    waiting: list[Request] = field(default_factory=list)
    dead: bool = False
    task: asyncio.Task[Settlement] | None = None

    async def request(self, what: str, perform: Callable[[], Awaitable[Any]], error: type[Exception]) -> Any:
        if self.dead:
            raise ProcessDied(what)
        request = Request(what, asyncio.get_running_loop().create_future())
        self.waiting.append(request)
        try:
            go = await request.go
        except asyncio.CancelledError:
            if self.lands and not self.dead:
                await perform()
            raise
        finally:
            self.waiting.remove(request)
        if go == "unsent":
            raise error(f"no answer: {what}")
        answer = await perform()
        if go == "lost":
            raise error(f"answer lost: {what}")
        if go == "die_after":
            self.dead = True
            raise ProcessDied(what)
        return answer

    def sleep(self, advance: Callable[[float], None]) -> Callable[[float], Awaitable[None]]:
        """A wait of the delivery's own, which the machine lets go like a request; nothing can go wrong with it."""

        async def sleep(seconds: float) -> None:
            async def pass_by() -> None:
                advance(seconds)

            with suppress(QueueUnavailableError):
                await self.request("sleep", pass_by, QueueUnavailableError)

        return sleep

    @property
    def running(self) -> bool:
        return self.task is not None and not self.task.done()


class Held:
    """A port whose awaited calls wait for the machine."""

    def __init__(self, port: object, name: str, worker: Worker, error: type[Exception]) -> None:
        self._port, self._name, self._worker, self._error = port, name, worker, error

    def __getattr__(self, attribute: str) -> Any:
        target = getattr(self._port, attribute)
        if not awaited(target):
            return target

        async def call(*args: Any, **kwargs: Any) -> Any:
            return await self._worker.request(f"{self._name}.{attribute}", lambda: target(*args, **kwargs), self._error)

        return call


@dataclass
class TwoStepLane:
    """Each attempt stores an effect of kind 1, then ends as its number says (the last word repeats). ``alone`` are
    those that began while the key suspected an earlier one."""

    ends: tuple[End, ...]
    key: Callable[[], Key | None]
    began: list[int] = field(default_factory=list)
    alone: list[int] = field(default_factory=list)

    def end_of(self, attempt: int) -> End:
        return self.ends[min(attempt, len(self.ends)) - 1]

    async def __call__(self, context: LaneContext) -> LaneResult:
        self.began.append(context.attempt)
        key = self.key()
        if key is not None and key.solo != IN_COMPANY:
            self.alone.append(context.attempt)
        async with context.log.stage("work", "test") as stage:
            await context.stores.decisions.insert(effect(context))
            stage.succeed("worked", f"attempt {context.attempt}")
        match self.end_of(context.attempt):
            case "success":
                return succeeded("worked", "done", note=f"attempt {context.attempt}")
            case "review":
                return needs_review("look_at_it", "told to", note=f"attempt {context.attempt}")
            case "fail":
                return LaneResult(outcome=AttemptOutcome.FAILED, code="broken", rationale="told to fail")
            case "raise":
                raise RuntimeError("something of which the lane knew nothing")


def effect(context: LaneContext) -> Decision:
    """Its id derives from the run, its content from the attempt: the first to land wins."""
    return Decision(
        decision_id=ids.derive("effect", context.run_id),
        run_id=context.run_id,
        household_id=HOUSEHOLD,
        actor="lane",
        action="work",
        outcome=DecisionOutcome.APPLIED,
        reason_code="worked",
        rationale=f"attempt {context.attempt}",
        policy_version="test",
        confidence=1.0,
        decided_at=context.now(),
    )


def at_once[T](work: Coroutine[Any, Any, T]) -> T:
    """The result of what never waits: the world's own stores and broker, without a worker in between."""
    try:
        work.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    raise AssertionError("it waited")


class Lifecycle(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.workers: list[Worker] = []
        self.sent = 0
        self.terminal_key: Key | None = None
        self.final_run: Run | None = None
        self.attempt = self.excused = self.run_attempt = 0
        self.effects: list[Decision] = []
        self.ended_early = 0
        """What may excuse an attempt has happened so often: drains, requests without answer, deaths, locks lost."""

    @initialize(
        ends=st.lists(st.sampled_from(("success", "review", "fail", "fail", "raise")), min_size=1, max_size=6),
        recorded=st.booleans(),
        usual=st.sampled_from(get_args(Fate.__value__)),
        storage=SKEWS,
        broker=SKEWS,
    )
    def begin(self, ends: list[End], recorded: bool, usual: Fate, storage: float, broker: float) -> None:
        """``usual`` is what most often befalls this life's deliveries: five crashes in a row are rare by chance."""
        self.usual = usual
        self.lane = TwoStepLane(tuple(ends), self._key)
        self.world = World(self.lane, max_deliveries=MAX_DELIVERIES, storage_skew=storage, broker_skew=broker)
        self._send(FIRST, recorded)

    # ----------------------------------------------------------------------------------------------------- the rules

    @rule(what=st.one_of(WORK, WORK, WORK, SENDING, TIME))
    def happens(self, what: Work | Sending | Time) -> None:
        """One rule, since the machine leaves out rules at random, and without work nothing else matters."""
        match what:
            case Work():
                self.loop.run_until_complete(self._work(what))
            case Sending(recorded, other):
                if self.sent < 5:
                    self._send(OTHER if other else FIRST, recorded)
            case Time(seconds, restart):
                if restart:
                    self.world.broker.restart()
                if restart or seconds >= LEASE:
                    self.ended_early += len(self._running())
                self.world.clock.advance(seconds)

    # --------------------------------------------------------------------------------------------- what always holds

    @invariant()
    def what_is_final_never_changes(self) -> None:
        key, run = self._key(), self._run()
        if self.terminal_key is not None:
            assert key == self.terminal_key
        if self.final_run is not None:
            assert run == self.final_run
        if key is not None and key.status != KeyStatus.RESERVED:
            self.terminal_key = key
        if run is not None and run.is_final:
            self.final_run = run

    @invariant()
    def what_nobody_recorded_leaves_no_row(self) -> None:
        if hasattr(self, "world") and not self._is_recorded():
            assert (self._key(), self._run(), self._failure(), self.lane.began) == (None, None, None, [])

    @invariant()
    def a_terminal_key_and_its_run_agree(self) -> None:
        key, run, failure = self._key(), self._run(), self._failure()
        if key is None or key.status == KeyStatus.RESERVED:
            return
        assert run is not None
        assert run.is_final
        assert run.request_hash == key.request_hash
        if key.status == KeyStatus.COMPLETED:
            assert run.attempt_outcome in (AttemptOutcome.SUCCEEDED, AttemptOutcome.SUCCEEDED_REVIEW)
            assert failure is None or failure.is_resolved
            if run.attempt_outcome == AttemptOutcome.SUCCEEDED_REVIEW:
                assert self._signal(ids.review_signal_id(RUN_ID)) is not None
        else:
            assert run.attempt_outcome == AttemptOutcome.FAILED
            assert failure is not None
            assert not failure.is_resolved

    @invariant()
    def a_success_is_that_of_its_own_attempt(self) -> None:
        run = self._run()
        if run is None or run.attempt_outcome not in (AttemptOutcome.SUCCEEDED, AttemptOutcome.SUCCEEDED_REVIEW):
            return
        end = "success" if run.attempt_outcome == AttemptOutcome.SUCCEEDED else "review"
        assert self.lane.end_of(run.attempt) == end
        assert run.agent_note_summary == f"attempt {run.attempt}"
        stages = at_once(self.world.stores.stages.of_run(RUN_ID))
        assert [s.outcome_rationale for s in stages if s.attempt == run.attempt] == [f"attempt {run.attempt}"]
        assert at_once(self.world.stores.decisions.of_run(RUN_ID))

    @invariant()
    def attempts_are_counted_and_bounded(self) -> None:
        key, run = self._key(), self._run()
        assert len(set(self.lane.began)) == len(self.lane.began), "a lane ran twice under one number"
        if key is not None:
            assert key.attempt >= self.attempt
            assert key.excused >= self.excused
            self.attempt, self.excused = key.attempt, key.excused
            # a sixth only by itself, beside one that was not heard of any more: it died, or stands still
            assert len(self.lane.began) - key.excused <= MAX_ATTEMPTS + bool(self.lane.alone)
            assert key.excused <= self.ended_early, "nothing excused this attempt"
        if run is not None:
            assert run.attempt >= self.run_attempt
            self.run_attempt = run.attempt

    @invariant()
    def an_effect_that_landed_stays(self) -> None:
        effects = at_once(self.world.stores.decisions.of_run(RUN_ID))
        assert len(effects) <= 1
        if self.effects:
            assert effects == self.effects
        self.effects = effects

    @invariant()
    def no_row_is_in_an_illegal_state(self) -> None:
        key, run, failure = self._key(), self._run(), self._failure()
        if key is not None:
            assert (key.finalized_at is None) == (key.status == KeyStatus.RESERVED)
        if run is not None:
            assert (run.completed_at is not None) == run.is_final
            assert not (run.is_final and run.status == RunStatus.RUNNING)
            assert (run.status == RunStatus.NEEDS_REVIEW) == bool(run.failure_code and run.failure_rationale)
        if failure is not None:
            assert failure.is_resolved == (failure.resolved_at is not None)
            assert failure.requires_human_review

    def teardown(self) -> None:
        try:
            if hasattr(self, "world"):
                if not self._is_recorded():
                    self._send(FIRST, recorded=True)  # the API comes to it at last, whoever was there before
                self.loop.run_until_complete(self._once_faults_stop())
                self.loop.run_until_complete(self._reconcile())
                for check in (
                    self.what_is_final_never_changes,
                    self.a_terminal_key_and_its_run_agree,
                    self.a_success_is_that_of_its_own_attempt,
                    self.attempts_are_counted_and_bounded,
                    self.an_effect_that_landed_stays,
                    self.no_row_is_in_an_illegal_state,
                ):
                    check()
                self.everything_has_ended()
        finally:
            self.loop.close()

    def everything_has_ended(self) -> None:
        key, run = self._key(), self._run()
        assert self.world.broker.count(QUEUE) == (0, 0, 0)
        assert key is not None
        assert key.status in (KeyStatus.COMPLETED, KeyStatus.REJECTED)
        assert run is not None
        assert run.is_final
        by_reason: dict[str, set[bytes]] = {}
        for dead in self.world.broker.dead_letters(QUEUE):
            by_reason.setdefault(dead.reason, set()).add(dead.message.body)
        # what somebody sent before the API had recorded it
        by_reason.pop("not_recorded", None)
        if self._given_up():
            # the broker's own end: only where that many deliveries of one message were cut off
            assert self.ended_early >= MAX_DELIVERIES
            return
        assert key.request_hash == self._recorded_hash()
        # the requests that lost the id to another are told so, and only they
        owner, stranger = (FIRST, OTHER) if self._command(FIRST).request_hash == key.request_hash else (OTHER, FIRST)
        assert by_reason.pop("idempotency_hash_mismatch", set()) <= {stranger}
        if key.status == KeyStatus.REJECTED:
            assert by_reason
            assert set(by_reason) <= {"processing_failed", "idempotency_rejected"}
            assert set().union(*by_reason.values()) == {owner}
        else:
            assert by_reason == {}

    # --------------------------------------------------------------------------------------------------- how it is done

    async def _reconcile(self) -> None:
        """What the broker gave up is the reconciler's to end; where it gave up nothing, it changes nothing."""
        before = await self.world.key(), await self.world.run_row()
        for _ in range(2):
            self.world.clock.advance(800)
            await Reconciler(
                stores=self.world.stored,
                browser=self.world.broker,
                publisher=self.world.publisher,
                clock=self.world.clock,
                queues={Lane.CONVERSATION: QUEUE},
                policy_version="test",
            ).tick()
        if not self._given_up():
            assert (await self.world.key(), await self.world.run_row()) == before

    def _send(self, payload: bytes, recorded: bool) -> None:
        """``recorded``: by the API, which records it first and refuses another request under the same id."""
        self.sent += 1
        if recorded:
            at_once(self.world.stores.commands.insert(self._command(payload)))
            there = at_once(self.world.stores.commands.read(COMMAND_ID))
            assert there is not None
            if there.request_hash != self._command(payload).request_hash:
                return
        at_once(self.world.send(payload, recorded=recorded))

    def _is_recorded(self) -> bool:
        return at_once(self.world.stored.commands.read(COMMAND_ID)) is not None

    def _recorded_hash(self) -> str:
        recorded = at_once(self.world.stored.commands.read(COMMAND_ID))
        assert recorded is not None
        return recorded.request_hash

    def _command(self, payload: bytes) -> Command:
        envelope = decode(payload, Lane.CONVERSATION)
        return Command(
            command_id=COMMAND_ID,
            household_id=HOUSEHOLD,
            queue=QUEUE,
            command_type=envelope.command_type,
            request_hash=envelope.request_hash,
            envelope=payload.decode(),
            recorded_at=self.world.clock.now(),
        )

    def _running(self) -> list[Worker]:
        return [w for w in self.workers if w.running]

    def _next_message(self) -> IncomingMessage | None:
        """None: the broker itself gave up the last one that was locked, which was delivered for the last time."""
        message = self.world._next()
        assert message is not None or self._given_up(), "a message is neither active, locked nor scheduled"
        return message

    def _given_up(self) -> bool:
        return any(dead.reason == MAX_DELIVERIES_EXCEEDED for dead in self.world.broker.dead_letters(QUEUE))

    async def _start(self, message: IncomingMessage, lands: bool, skew: float) -> Worker:
        worker = Worker(lands, skew)
        worker.task = asyncio.ensure_future(self._service(worker).deliver(Lane.CONVERSATION, message))
        self.workers.append(worker)
        await self._settle_down()
        return worker

    def _service(self, worker: Worker) -> DeliveryService:
        world = self.world
        held: dict[str, Any] = {
            f.name: Held(getattr(world.stores, f.name), f.name, worker, StoreUnreachableError) for f in fields(Stores)
        }
        broker: Any = Held(world.broker, "broker", worker, QueueUnavailableError)
        return replace(
            world.service(),
            stores=Stores(**held),
            sender=broker,
            settler=broker,
            drain=worker.drain,
            clock=Skewed(world.clock, worker.skew),
            sleep=worker.sleep(world.clock.advance),
            # renewed without end, each time as a request that the machine lets go
            limits=DeliveryLimits(lease=world.lease, lease_renew=0),
        )

    async def _settle_down(self) -> None:
        for _ in range(QUIET):
            await asyncio.sleep(0)
        for worker in self.workers:
            if worker.task is not None and worker.task.done() and not worker.task.cancelled() and not worker.dead:
                error = worker.task.exception()
                if error is not None and not isinstance(error, ProcessDied):
                    raise error

    async def _work(self, work: Work) -> None:
        running, left = self._running(), any(self.world.broker.count(QUEUE))
        if left and (not running or (work.new and len(running) < 4)):
            if (message := self._next_message()) is None:
                return
            worker = await self._start(message, work.lands, work.skew)
            await self._go_on(worker, work.steps, work.request, work.then)
        elif running:
            await self._go_on(running[work.which % len(running)], work.steps, work.request, work.then)

    async def _go_on(self, worker: Worker, steps: int, request: int, then: Then) -> None:
        for _ in range(steps):
            await self._let_go(worker, request, "on")
        fate = self.usual if then == "usual" else then
        match fate:
            case "pause":
                self.ended_early += 1
            case "drain":
                self.ended_early += 1
                worker.drain.begin()
                await self._settle_down()
            case "die":
                await self._kill(worker)
            case "die_after":
                await self._let_go(worker, request, "die_after")
                await self._kill(worker)
            case _:
                await self._let_go(worker, request, fate)

    async def _let_go(self, worker: Worker, request: int, go: Go) -> None:
        if not worker.waiting:
            return
        self.ended_early += go != "on"
        before = await self.world.stores.keys.read(QUEUE, COMMAND_ID)
        worker.waiting[request % len(worker.waiting)].go.set_result(go)
        await self._settle_down()
        after = await self.world.stores.keys.read(QUEUE, COMMAND_ID)
        if before is None or after is None:
            return
        if before.value.owner_token != after.value.owner_token:
            assert before.lease_left == 0, "a live owner was replaced"
        assert after.value.excused - before.value.excused in {0, 1, 2}, "one attempt, and the suspect before it"

    async def _kill(self, worker: Worker) -> None:
        worker.dead = True
        self.ended_early += 1
        if worker.task is not None and not worker.task.done():
            worker.task.cancel()
            while not worker.task.done():
                for request in worker.waiting:
                    request.go.cancel()  # a dead process waits for nothing
                await asyncio.sleep(0)
            if not worker.task.cancelled():
                worker.task.exception()  # ProcessDied: nobody is left to hear it
        await self._settle_down()

    async def _finish(self, worker: Worker) -> None:
        for _ in range(200):
            if not worker.running:
                return
            assert worker.waiting, "a delivery waits for nothing"
            worker.waiting[0].go.set_result("on")
            await self._settle_down()
        raise AssertionError("a delivery does not end")

    async def _once_faults_stop(self) -> None:
        for worker in self._running():
            await self._finish(worker)
        await self.world.run(most=400)

    def _key(self) -> Key | None:
        found: Key | None = at_once(self.world.key())
        return found

    def _run(self) -> Run | None:
        found: Run | None = at_once(self.world.run_row())
        return found

    def _failure(self) -> Signal | None:
        return self._signal(ids.failure_signal_id(RUN_ID))

    def _signal(self, signal_id: str) -> Signal | None:
        stored = at_once(self.world.stores.signals.read(signal_id))
        return stored.value if stored else None


def lives(count: int) -> None:
    run_state_machine_as_test(
        Lifecycle,
        settings=settings(
            max_examples=count,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )


def test_what_the_protocol_promises_holds_whatever_happens() -> None:
    lives(examples(50, slow=150))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_what_the_protocol_promises_holds_in_many_lives() -> None:
    lives(3000)
