"""Whatever state commands are in, whatever goes wrong at which request: nothing live is touched, and what is over
goes."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from mosaic_core.domain import ids, signals
from mosaic_core.domain.errors import StoreUnreachableError
from mosaic_core.domain.lifecycle import AttemptOutcome, KeyStatus
from mosaic_core.services.retention import Ages, Retention
from mosaic_ops.memory.messaging import ManualClock
from mosaic_ops.memory.stores import memory_stores
from tests.support import records
from tests.support.examples import examples
from tests.support.faults import KINDS, Kind, Plan, ProcessDied, faulty_stores
from tests.unit.test_retention import QUEUE, leave

COMMAND_AGE = timedelta(days=90)


@dataclass(frozen=True)
class State:
    """One command. ``resolved``: its failure signal, where it failed."""

    age_days: int
    outcome: AttemptOutcome
    final: bool
    reserved: bool
    resolved: bool

    @property
    def is_over(self) -> bool:
        seen_to = self.outcome != AttemptOutcome.FAILED or self.resolved
        return self.age_days > 90 and self.final and not self.reserved and seen_to


STATES = st.builds(
    State,
    age_days=st.sampled_from([0, 5, 8, 60, 89, 91, 120, 500]),
    outcome=st.sampled_from([AttemptOutcome.SUCCEEDED, AttemptOutcome.FAILED]),
    final=st.booleans(),
    reserved=st.booleans(),
    resolved=st.booleans(),
)
FAULTS = st.dictionaries(st.integers(1, 150), st.sampled_from(KINDS), max_size=3)


@settings(max_examples=examples(70, slow=200), deadline=None)
@given(states=st.lists(STATES, min_size=1, max_size=8), faults=st.lists(FAULTS, max_size=3))
def test_nothing_live_is_touched_and_what_is_over_goes(states: list[State], faults: list[dict[int, Kind]]) -> None:
    asyncio.run(story(states, faults))


async def story(states: list[State], faults: list[dict[int, Kind]]) -> None:
    clock = ManualClock(records.NOW)
    stores = memory_stores(clock)
    for number, state in enumerate(states, 1):
        key = KeyStatus.RESERVED if state.reserved else None
        at = clock.now() - timedelta(days=state.age_days)
        await leave(stores, number, at, outcome=state.outcome, key=key, final=state.final)
        failure = await stores.signals.read(ids.failure_signal_id(ids.run_id(QUEUE, f"{number:032x}")))
        if failure is not None and state.resolved:
            resolved = signals.resolve(failure.value, by="operator", note="seen", now=at)
            await stores.signals.update(resolved, failure.etag)

    async def everything_of(number: int) -> list[object]:
        command_id = f"{number:032x}"
        run_id = ids.run_id(QUEUE, command_id)
        return [
            await stores.commands.read(command_id),
            await stores.runs.read(run_id),
            await stores.stages.of_run(run_id),
            await stores.signals.of_run(run_id),
        ]

    async def key_is_there(number: int) -> bool:
        return await stores.keys.read(QUEUE, f"{number:032x}") is not None

    before = [await everything_of(number) for number in range(1, len(states) + 1)]
    ages = Ages(commands=COMMAND_AGE)
    for plan in faults:
        with suppress(ProcessDied, StoreUnreachableError, BaseExceptionGroup):
            await Retention(stores=faulty_stores(stores, Plan(plan)), clock=clock, ages=ages).tick()
    for _ in range(3):
        await Retention(stores=stores, clock=clock, ages=ages).tick()
    for number, state in enumerate(states, 1):
        after = await everything_of(number)
        if state.is_over:
            assert after == [None, None, [], []], state
            assert not await key_is_there(number)
        else:
            assert after == before[number - 1], state
            # a key that has expired is none that anybody asks for
            assert await key_is_there(number) == (state.reserved or state.age_days < 8), state
        assert len(await stores.decisions.of_run(ids.run_id(QUEUE, f"{number:032x}"))) == 1
