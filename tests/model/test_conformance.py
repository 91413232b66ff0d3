"""Every change that the real code makes to the rows and the queue is one that the model allows (protocol.py).

A life of a command is recorded: after each request of a delivery, what it has made of the key, the run, the failure
signal, the stages and the messages. The model follows: from every state that it may be in by then, by steps of that
delivery and by time passing, to those states that look the same. Where there is none the real code did what the
protocol does not have.

What the model's alphabet lacks is not looked at: reads (a write that needs one is only possible after it), lists,
review signals, events, the lanes' own effects, the lengths of waits and leases, marks on copies, and everything before
the gate. The gate itself is one step with the receipt.
"""

from __future__ import annotations

import asyncio
import inspect
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import pytest

from mosaic_core.domain import ids
from mosaic_core.ports import Stores
from mosaic_core.services.deliver import DeliveryService
from tests.model import protocol
from tests.model.protocol import Model, Scenario
from tests.support.faults import KINDS, Kind, Plan
from tests.support.world import COMMAND_ID, QUEUE, RUN_ID, Work, World, each_operation

BUDGET = 99
SCENARIO = Scenario(
    "recorded",
    "a life of the real code",
    messages=("a",),
    workers=2,
    faults="crash lost unsent lock lease outage early",
    budget=BUDGET,
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
    """What one delivery did: ``received``, ``died``, or a request, with what there is afterwards. ``doubt``: an answer
    has been lost by then."""

    worker: int
    what: str
    looks: Looks
    doubt: bool = False


# ------------------------------------------------------------------------------------------------------ how it looks


def of_model(s: protocol.State) -> Looks:
    return looks(
        s.k and (s.k.status, s.k.attempt, s.k.excused, s.k.solo, s.k.released),
        s.r and (s.r.attempt, s.r.outcome, s.r.final),
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
        k and (k.status.value, k.attempt, k.excused, k.solo, not k.lease_seconds),
        r and (r.attempt, r.attempt_outcome.value if r.attempt_outcome else "", r.is_final),
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


class Recorded(World):
    """A world that notes what its deliveries do."""

    def __init__(self, work: Work, plan: Plan) -> None:
        super().__init__(work, plan=plan)
        self.seen: list[Seen] = []
        self._worker = 0

    def service(self, handler: Any = None) -> DeliveryService:
        worker, service = self._worker, super().service(handler)

        def note(operation: str) -> None:
            at = len(self.plan.log)
            doubt = any(n <= at and kind in ("lost", "unsent") for n, kind in self.plan.faults.items())
            self.seen.append(Seen(worker, operation, of_world(self), doubt))

        stores: dict[str, Any] = {f.name: Watched(getattr(service.stores, f.name), note) for f in fields(Stores)}
        sender: Any = Watched(service.sender, note)
        settler: Any = Watched(service.settler, note)
        return replace(service, stores=Stores(**stores), sender=sender, settler=settler)

    async def deliver(self, message: Any, *args: Any) -> Any:
        self._worker += 1
        worker = self._worker
        self.seen.append(Seen(worker, "received", of_world(self)))
        settlement = await super().deliver(message, *args)
        if settlement is None:
            self.seen.append(Seen(worker, "died", of_world(self)))
        return settlement


# --------------------------------------------------------------------------------------------------------- following


class Follower:
    """The states that the model may be in, each with which of its processes is which delivery."""

    def __init__(self) -> None:
        self.model = Model(SCENARIO, BUDGET)
        self.states: set[At] = {(self.model.start(), ())}

    def follow(self, seen: Seen) -> None:
        before = self._passing(seen)
        self.states = {at for at in self._after(before, seen) if of_model(at[0]) == seen.looks}

    def _after(self, before: set[At], seen: Seen) -> Iterator[At]:
        if seen.what not in ("received", "died"):
            yield from before
        for state, who in before:
            if seen.what == "died" and state.procs[dict(who)[seen.worker]].at == "idle":
                # its message is settled: in the model a delivery ends with that
                yield state, _without(who, seen.worker)
            for process, label, then, is_fault in self.model.steps(state):
                is_mine = dict(who).get(seen.worker) == process
                if seen.what == "received" and label.startswith("receives"):
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
    return (not is_fault or seen.doubt) and label != "dies"


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


def every_fault(life: str, kind: Kind) -> None:
    for at in range(1, len(each_operation(lambda: Work(LIVES[life]))) + 1):
        try:
            follow(asyncio.run(lived(life, {at: kind})).seen)
        except BaseException as error:
            error.add_note(f"{kind} at operation {at} of {life}")
            raise


def test_whatever_answer_is_lost_a_success_is_one_of_the_model_s() -> None:
    every_fault("success", "lost")


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("life", ["success", "review", "recovery"])
def test_whatever_goes_wrong_once_the_life_is_one_of_the_model_s(life: str, kind: Kind) -> None:
    every_fault(life, kind)
