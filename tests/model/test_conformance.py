"""Every change that the real code makes to the rows and the queue is one that the model allows (protocol.py).

A life of a command is recorded: after each request of a delivery, or of an operator who ends it, what it has made of
the key, the run, the failure signal, the stages and the messages. The model follows: from every state that it may be in
by then, by steps of that delivery and by time passing, to those states that look the same. Where there is none the real
code did what the protocol does not have.

What the model's alphabet lacks is not looked at: reads (a write that needs one is only possible after it), lists,
review signals, events, the lanes' own effects (with which of them a mark may still stop the lane is a matter of
tests/unit/test_cancelling.py), the lengths of waits and leases, marks on copies, and everything before the gate. The
gate itself is one step with the receipt.
"""

from __future__ import annotations

import asyncio
import inspect
import itertools
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from typing import Any, Final

import pytest

from mosaic_core.domain import ids
from mosaic_core.domain.errors import RequestError, StoreUnreachableError
from mosaic_core.domain.lanes import Lane
from mosaic_core.domain.reservation import CANCELLED
from mosaic_core.lanes.context import LaneContext, LaneHandler, LaneResult, succeeded
from mosaic_core.ports import Stores
from mosaic_core.services.deliver import DeliveryService
from mosaic_core.services.limits import DeliveryLimits
from mosaic_core.services.operators.cancelling import Cancelling
from tests.model import protocol
from tests.model.protocol import Model, Scenario
from tests.support import records
from tests.support.faults import KINDS, Kind, Plan, ProcessDied, faulty_stores
from tests.support.world import COMMAND_ID, QUEUE, RUN_ID, Work, World, each_operation

BUDGET = 99
SCENARIO = Scenario(
    "recorded",
    "a life of the real code",
    messages=("a",),
    workers=2,
    faults="crash lost unsent lock lease outage early cancel",
    budget=BUDGET,
    operators=1,
    outcomes=("succeeded", "succeeded_review", "failed"),
    limit=5,
)
LIVES: dict[str, tuple[str, ...]] = {
    "success": ("success",),
    "review": ("review",),
    "recovery": ("fail", "success"),
    "exhaustion": ("fail",),
}

type Looks = tuple[object, ...]
type At = tuple[protocol.State, tuple[tuple[int, int], ...]]


@dataclass(frozen=True)
class Seen:
    """What one delivery did: ``received``, ``died``, or a request, with what there is afterwards. An operator, too,
    whose request has ``asked`` and is ``answered``. ``doubt``: an answer has been lost by then."""

    worker: int
    what: str
    looks: Looks
    doubt: bool = False


# ------------------------------------------------------------------------------------------------------ how it looks


def of_model(s: protocol.State) -> Looks:
    return looks(
        s.k and (s.k.status, s.k.attempt, s.k.excused, s.k.solo, s.k.released, bool(s.k.mark)),
        s.r and (s.r.attempt, s.r.outcome, s.r.final, s.r.cancelled),
        s.f and (s.f.open, s.f.attempt),
        {attempt for attempt, _ in s.stages},
        [m.where == "dead" for m in s.msgs],
    )


def of_world(world: World) -> Looks:
    stored: Any = world.stored
    key, run, failure = (
        _at_once(read)
        for read in (
            stored.keys.read(QUEUE, COMMAND_ID),
            stored.runs.read(RUN_ID),
            stored.signals.read(ids.failure_signal_id(RUN_ID)),
        )
    )
    k, r, f = (row.value if row else None for row in (key, run, failure))
    dead = len(world.broker.dead_letters(QUEUE))
    return looks(
        k and (k.status.value, k.attempt, k.excused, k.solo, not k.lease_seconds, k.cancel_reason is not None),
        r
        and (r.attempt, r.attempt_outcome.value if r.attempt_outcome else "", r.is_final, r.failure_code == CANCELLED),
        f and (not f.is_resolved, f.attempt),
        {stage.attempt for stage in _at_once(stored.stages.of_run(RUN_ID))},
        [False] * sum(world.broker.count(QUEUE)) + [True] * dead,
    )


def looks(key: Any, run: Any, failure: Any, stages: set[int], dead: list[bool]) -> Looks:
    """Of a key at its end the status only, and of the stages those of the run's attempt: the model forgets the rest."""
    key = key[:1] if key and key[0] != "Reserved" else key
    return key, run, failure, bool(run and run[0] in stages), dead.count(False), dead.count(True)


def _at_once(work: Any) -> Any:
    try:
        work.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("it waited")


# --------------------------------------------------------------------------------------------------------- recording


class Watched:
    """A port of which every call is noted once it has done, or not done, what it does."""

    def __init__(self, port: object, note: Any) -> None:
        self._port, self._note = port, note

    def __getattr__(self, operation: str) -> Any:
        target = getattr(self._port, operation)
        if not inspect.iscoroutinefunction(target):
            return target

        async def call(*args: Any, **kwargs: Any) -> Any:
            try:
                return await target(*args, **kwargs)
            finally:
                self._note(operation)

        return call


OPERATOR: Final = 0
"""Deliveries are counted from 1."""


class Recorded(World):
    """A world that notes what its deliveries do, and who ends a command."""

    def __init__(self, handler: LaneHandler, plan: Plan) -> None:
        super().__init__(handler, plan=plan)
        self.seen: list[Seen] = []
        self._worker = 0
        self.limits: DeliveryLimits | None = None
        self.moved = asyncio.Event()

    def service(self, handler: Any = None) -> DeliveryService:
        worker, service = self._worker, super().service(handler)

        note = self._noting(worker, self.plan)
        sender: Any = Watched(service.sender, note)
        settler: Any = Watched(service.settler, note)
        stores, limits = _watched(service.stores, note), self.limits or service.limits
        return replace(service, stores=stores, sender=sender, settler=settler, limits=limits)

    def _noting(self, worker: int, plan: Plan) -> Callable[[str], None]:
        def note(operation: str) -> None:
            at = len(plan.log)
            doubt = any(n <= at and kind in ("lost", "unsent") for n, kind in plan.faults.items())
            self.seen.append(Seen(worker, operation, of_world(self), doubt))
            self.moved.set()

        return note

    async def cancel(self, plan: Plan | None = None) -> str:
        """An operator's request: its outcome, the code of its refusal, or how it was cut off."""
        plan = plan or Plan()
        self.seen.append(Seen(OPERATOR, "asked", of_world(self)))
        service = Cancelling(
            stores=_watched(faulty_stores(self.stored, plan), self._noting(OPERATOR, plan)),
            publisher=self.publisher,
            clock=self.clock,
            queues={Lane.CONVERSATION: QUEUE},
            policy_version="test",
            jitter=lambda: 1.0,
            sleep=self._look_later,
        )
        outcome, end = "cut off", "died"
        with suppress(ProcessDied, StoreUnreachableError):
            try:
                outcome, end = (await service.cancel(COMMAND_ID, by="rolf", reason="a mistake")).outcome, "answered"
            except RequestError as refusal:
                outcome, end = refusal.code, "answered"
        self.seen.append(Seen(OPERATOR, end, of_world(self)))
        return outcome

    async def _look_later(self, seconds: float) -> None:
        self.clock.advance(seconds)
        await asyncio.sleep(0)

    async def deliver(self, message: Any, *args: Any) -> Any:
        self._worker += 1
        worker = self._worker
        self.seen.append(Seen(worker, "received", of_world(self)))
        settlement = await super().deliver(message, *args)
        if settlement is None:
            self.seen.append(Seen(worker, "died", of_world(self)))
        return settlement


def _watched(stores: Stores, note: Callable[[str], None]) -> Stores:
    watched: dict[str, Any] = {f.name: Watched(getattr(stores, f.name), note) for f in fields(Stores)}
    return Stores(**watched)


# --------------------------------------------------------------------------------------------------------- following


BEGINS: Final = {"received": "receives", "asked": "an operator asks"}
ENDS_OR_BEGINS: Final = (*BEGINS, "died", "answered")


class Follower:
    """The states that the model may be in, each with which of its processes is which delivery."""

    def __init__(self) -> None:
        self.model = Model(SCENARIO, BUDGET)
        self.states: set[At] = {(self.model.start(), ())}
        self.last: Seen | None = None

    def follow(self, seen: Seen) -> None:
        if self.last and seen.what not in ENDS_OR_BEGINS and seen == replace(self.last, what=seen.what):
            return  # a further request that has changed nothing leaves where the first has led
        self.last = seen if seen.what not in ENDS_OR_BEGINS else None
        before = self._passing(seen)
        self.states = {at for at in self._after(before, seen) if of_model(at[0]) == seen.looks}

    def _after(self, before: set[At], seen: Seen) -> Iterator[At]:
        if seen.what not in ENDS_OR_BEGINS:
            yield from before
        for state, who in before:
            if seen.what in ("died", "answered") and state.procs[dict(who)[seen.worker]].at == "idle":
                # its message is settled: in the model a delivery ends with that; an operator's request with its answer
                yield state, _without(who, seen.worker)
            for process, label, then, is_fault in self.model.steps(state):
                is_mine = dict(who).get(seen.worker) == process
                if label.startswith(BEGINS.get(seen.what, "\0")):
                    yield _whole(then), (*who, (seen.worker, process))
                elif seen.what == "died":
                    if is_mine and label == "dies":
                        yield _whole(then), _without(who, seen.worker)
                elif is_mine and _may(label, is_fault, seen):
                    yield _whole(then), who

    def _passing(self, seen: Seen) -> set[At]:
        """Time passes, and this delivery does what changes nothing that is looked at."""
        reached, left = set(self.states), list(self.states)
        while left:
            state, who = left.pop()
            looks = of_model(state)
            for process, label, then, is_fault in self.model.steps(state):
                is_mine = dict(who).get(seen.worker) == process and _may(label, is_fault, seen)
                if (process == -1 or is_mine) and of_model(then) == looks:
                    at = (_whole(then), who)
                    if at not in reached:
                        reached.add(at)
                        left.append(at)
        return reached


def _whole(state: protocol.State) -> protocol.State:
    """Faults are what the recording says, and not counted."""
    return state._replace(left=BUDGET)


def _without(who: tuple[tuple[int, int], ...], worker: int) -> tuple[tuple[int, int], ...]:
    return tuple(pair for pair in who if pair[0] != worker)


def _may(label: str, is_fault: bool, seen: Seen) -> bool:
    """A fault of the model's is none of this delivery's unless an answer of its was lost."""
    return (not is_fault or seen.doubt) and label not in ("dies", "an operator asks for the end")


def follow(life: Sequence[Seen]) -> None:
    follower = Follower()
    for at, seen in enumerate(life):
        was = [protocol.show(state) for state, _ in follower.states]
        follower.follow(seen)
        assert follower.states, f"{at}: {seen} is none of the model's steps\nfrom {was[:3]}"


async def lived(life: str, faults: dict[int, Kind]) -> Recorded:
    world = Recorded(Work(LIVES[life]), Plan(faults=faults))
    await world.send()
    await world.run()
    return world


@pytest.mark.parametrize("life", LIVES)
def test_an_undisturbed_life_is_one_of_the_model_s(life: str) -> None:
    follow(asyncio.run(lived(life, {})).seen)


def test_a_life_with_a_step_left_out_is_none_of_the_model_s() -> None:
    """What is written later shows at once with what was to be written before it: the order is held."""
    seen = asyncio.run(lived("recovery", {})).seen
    changes = [at for at in range(1, len(seen)) if seen[at].looks[:4] != seen[at - 1].looks[:4]]
    assert len(changes) == 12
    for at, following in itertools.pairwise(changes):
        with pytest.raises(AssertionError, match="the model"):
            follow(seen[:at] + seen[following:])


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("life", ["success", "review", "recovery"])
def test_whatever_goes_wrong_once_the_life_is_one_of_the_model_s(life: str, kind: Kind) -> None:
    for at in range(1, len(each_operation(lambda: Work(LIVES[life]))) + 1):
        try:
            follow(asyncio.run(lived(life, {at: kind})).seen)
        except BaseException as error:
            error.add_note(f"{kind} at operation {at} of {life}")
            raise


# ------------------------------------------------------------------------------------------------------- cancellations


async def ended_while_paused(life: str, place: int, *, waits: float = 0, plan: Plan | None = None) -> Recorded:
    """An operator ends the command while its delivery stands still before its request number ``place``, ``waits``
    seconds after that; then it wakes up and goes on, and the same is asked once more."""
    world = Recorded(Work(LIVES[life]), Plan({place: "pause"}))
    await world.send()
    sleeper = await world._until_paused()
    world.clock.advance(waits)
    await world.cancel(plan)
    world.plan.gate.set()
    await sleeper
    await world.run()
    await world.cancel()
    await world.run()
    return world


async def ended_before_receipt(life: str, plan: Plan | None = None) -> Recorded:
    world = Recorded(Work(LIVES[life]), Plan())
    await world.send()
    await world.cancel(plan)
    await world.run()
    await world.cancel()
    return world


async def ended_at_its_end(life: str) -> Recorded:
    world = await lived(life, {})
    assert await world.cancel() == "command_already_ended"
    return world


async def ended_under_a_second_owner(place: int) -> Recorded:
    """The first stands still, its lease is over, a second is at work; both wake up after the operator has asked."""
    world = Recorded(Work(LIVES["success"]), Plan({place: "pause", place + 8: "pause"}))
    await world.send()
    first = await world._until_paused()
    world.clock.advance(120)
    world.plan.paused.clear()
    second = await world._until_paused()
    assert await world.cancel() == "requested"
    world.plan.gate.set()
    await asyncio.gather(first, second)
    await world.run()
    return world


async def ended_after_its_owner_died(place: int) -> Recorded:
    """The mark is found by whoever takes the key over."""
    world = Recorded(Work(LIVES["success"]), Plan({place: "crash_before"}))
    await world.send()
    message = world._next()
    assert message is not None
    assert await world.deliver(message) is None
    assert await world.cancel() == "requested"
    await world.run()
    assert (await world.run_row()).failure_code == CANCELLED
    return world


class StandsStill:
    """A lane that waits until it is told to go on; the lease is renewed all the while."""

    def __init__(self, *, writes: bool, fails: bool) -> None:
        self.writes, self.fails = writes, fails
        self.entered, self.go_on = asyncio.Event(), asyncio.Event()

    async def __call__(self, context: LaneContext) -> LaneResult:
        if self.writes:
            await context.stores.signals.insert(replace(records.SIGNAL, signal_id="5" * 32))
        self.entered.set()
        await self.go_on.wait()
        if self.fails:
            raise ValueError("told to fail")
        return succeeded("worked", "done")


async def ended_at_work(*, writes: bool, fails: bool = False) -> Recorded:
    """A renewal finds the mark: the lane is stopped before its first effect, and left alone after it; a failure is not
    tried again."""
    lane = StandsStill(writes=writes, fails=fails)
    world = Recorded(lane, Plan())
    world.limits = DeliveryLimits(lease=30, lease_renew=0.01)
    await world.send()
    message = world._next()
    assert message is not None
    delivery = asyncio.create_task(world.deliver(message))
    await lane.entered.wait()
    # the operator's patience is of this clock, the renewal of the machine's: on a slow one the request stands alone
    assert await world.cancel() in ({"requested"} if writes else {"cancelled", "requested"})
    renewed = len(world.seen)
    while writes and len(world.seen) < renewed + 3:
        world.moved.clear()
        await world.moved.wait()
    if writes:
        lane.go_on.set()
    await delivery
    run = await world.run_row()
    assert (run.attempt, run.is_final, run.failure_code == CANCELLED) == (1, True, fails or not writes)
    await world.cancel()
    return world


CANCELLED_LIVES: dict[str, Callable[[], Coroutine[Any, Any, Recorded]]] = {
    "before receipt": lambda: ended_before_receipt("success"),
    "reserved": lambda: ended_while_paused("success", 4),
    "owned": lambda: ended_while_paused("success", 5),
    "between stages and outcome": lambda: ended_while_paused("success", 6),
    "between attempts": lambda: ended_while_paused("recovery", 9),
    "after its end": lambda: ended_at_its_end("success"),
    "a dead owner": lambda: ended_after_its_owner_died(5),
    "a second owner": lambda: ended_under_a_second_owner(4),
    "at work": lambda: ended_at_work(writes=False),
    "after an effect": lambda: ended_at_work(writes=True),
    "failed after an effect": lambda: ended_at_work(writes=True, fails=True),
}


@pytest.mark.parametrize("life", CANCELLED_LIVES)
def test_wherever_an_operator_ends_it_the_life_is_one_of_the_model_s(life: str) -> None:
    follow(asyncio.run(CANCELLED_LIVES[life]()).seen)


def _places(life: str) -> range:
    return range(1, len(each_operation(lambda: Work(LIVES[life]))) + 1)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("waits", [0, 120], ids=["lease live", "lease over"])
@pytest.mark.parametrize("life", ["success", "review", "recovery"])
def test_beside_whatever_request_an_operator_ends_it_the_life_is_one_of_the_model_s(life: str, waits: float) -> None:
    for place in _places(life):
        try:
            follow(asyncio.run(ended_while_paused(life, place, waits=waits)).seen)
        except BaseException as error:
            error.add_note(f"before operation {place} of {life}")
            raise


MOST_REQUESTS: Final = 24
"""What an operator asks after these while it waits for a command's owner is the same again."""


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("place", [None, 5, 9], ids=["before receipt", "owned", "between attempts"])
def test_whatever_goes_wrong_with_an_operator_s_request_the_life_is_one_of_the_model_s(
    place: int | None, kind: Kind
) -> None:
    def life(plan: Plan) -> Recorded:
        ends = (
            ended_before_receipt("recovery", plan)
            if place is None
            else ended_while_paused("recovery", place, plan=plan)
        )
        return asyncio.run(ends)

    undisturbed = Plan()
    life(undisturbed)
    for at in range(1, min(len(undisturbed.log), MOST_REQUESTS) + 1):
        try:
            follow(life(Plan({at: kind})).seen)
        except BaseException as error:
            error.add_note(f"{kind} at request {at} of the operator's")
            raise
