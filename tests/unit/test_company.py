"""Who works beside whom: lanes in company, a suspect by itself."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from mosaic_core.services.company import Company

SOON, AT_ONCE = 60.0, 0.0


async def turns(times: int = 20) -> None:
    for _ in range(times):
        await asyncio.sleep(0)


async def test_company_is_free_while_nobody_has_to_be_alone() -> None:
    company = Company()
    async with company.place() as one, company.place() as other:
        assert await one.take(AT_ONCE)
        assert await other.take(AT_ONCE)


async def test_a_suspect_waits_until_the_others_have_left_and_lets_nobody_in() -> None:
    company = Company()
    async with company.place() as suspect, company.place() as late:
        async with company.place() as neighbour:
            assert await neighbour.take(SOON)
            assert await suspect.take(SOON)
            alone = asyncio.create_task(suspect.be_alone(SOON))
            await turns()
            assert not alone.done()
            assert not await late.take(0.001)
        assert await alone
        assert suspect.is_alone
        entering = asyncio.create_task(late.take(SOON))
        await turns()
        assert not entering.done()
        suspect.leave()
        assert await entering


async def test_a_suspect_that_gives_up_waiting_opens_the_door_again() -> None:
    company = Company()
    async with company.place() as neighbour, company.place() as suspect, company.place() as late:
        assert await neighbour.take(SOON)
        assert not await suspect.be_alone(0.001)
        assert await late.take(AT_ONCE)


async def test_a_suspect_that_is_cancelled_opens_the_door_again() -> None:
    company = Company()
    async with company.place() as neighbour, company.place() as suspect, company.place() as late:
        assert await neighbour.take(SOON)
        alone = asyncio.create_task(suspect.be_alone(SOON))
        await turns()
        alone.cancel()
        await asyncio.wait({alone})
        assert await late.take(AT_ONCE)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=12))
def test_whoever_is_alone_is_alone_and_everybody_gets_a_turn(work: list[tuple[bool, int, int]]) -> None:
    async def life() -> None:
        company, inside, ended = Company(), 0, 0

        async def one(suspect: bool, before: int, long: int) -> None:
            nonlocal inside, ended
            await turns(before)
            async with company.place() as place:
                assert await place.take(SOON)
                if suspect:
                    assert await place.be_alone(SOON)
                    assert inside == 0
                inside += 1
                for _ in range(long):
                    await asyncio.sleep(0)
                    assert not suspect or inside == 1
                inside -= 1
            ended += 1

        await asyncio.gather(*(one(*w) for w in work))
        assert ended == len(work)

    asyncio.run(life())
