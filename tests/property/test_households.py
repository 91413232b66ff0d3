"""Whatever households hold, and wherever an erasure dies: the other's is as it was, the erased one's is gone."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from mosaic_core.domain.errors import QueueUnavailableError, StoreUnreachableError
from tests.support.faults import KINDS, Kind, Plan, ProcessDied, faulty_messaging, faulty_stores
from tests.support.households import ONE, OTHER, bury, fill, held, message, service
from tests.unit.test_households import Two

FAULTS = st.dictionaries(st.integers(1, 60), st.sampled_from(KINDS), max_size=2)


@settings(max_examples=40, deadline=None)
@given(
    mine=st.integers(1, 4),
    others=st.integers(1, 3),
    letters=st.lists(st.sampled_from([ONE, OTHER]), max_size=6),
    faults=st.lists(FAULTS, max_size=3),
    away=st.dictionaries(st.integers(1, 6), st.sampled_from(["unsent", "lost"]), max_size=2),
)
def test_the_other_household_is_untouched_and_nothing_of_the_erased_one_stays(
    mine: int, others: int, letters: list[str], faults: list[dict[int, Kind]], away: dict[int, Kind]
) -> None:
    asyncio.run(story(mine, others, letters, faults, away))


async def story(
    mine: int, others: int, letters: list[str], faults: list[dict[int, Kind]], away: dict[int, Kind]
) -> None:
    two = Two()
    one = await fill(two.stores, two.broker, ONE, commands=mine)
    await fill(two.stores, two.broker, OTHER, commands=others)
    for number, household_id in enumerate(letters):
        await bury(two.broker, message(household_id, f"{number:08x}{household_id[:24]}", one.words[:10]))
    other = [text for text in held(two.stores, two.broker) if OTHER[:24] in text]
    for plan in faults:
        browser = faulty_messaging(two.broker, "browser", Plan(dict(away)))
        with suppress(ProcessDied, StoreUnreachableError, QueueUnavailableError, BaseExceptionGroup):
            stores = faulty_stores(two.stores, Plan(plan))
            await service(stores, two.broker, two.clock, browser).advance(ONE, "ada", "r")
    assert await two.erase() == "completed"
    two.check(one, other)
