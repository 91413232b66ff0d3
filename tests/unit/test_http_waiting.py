"""What an answer says of waiting: when to come back, and how much of the household's quota is left."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace

from mosaic_core.domain.errors import QueueUnavailableError
from mosaic_core.services.quota_buckets import CommandQuota, whole
from tests.support.api import ALICE_HOUSEHOLD, CONVERSATION, Answer, ApiWorld
from tests.support.faults import Plan, faulty_stores
from tests.unit.test_quota import Slow

MESSAGES = f"/conversations/{CONVERSATION}/messages"
LIMIT = re.compile(r'"household-commands";r=(\d+);t=(\d+)')


async def ask(world: ApiWorld, body: object = None) -> Answer:
    return await world.post(MESSAGES, body or {"message": "hi"})


def left(answer: Answer) -> tuple[int, int]:
    found = LIMIT.fullmatch(answer.headers["RateLimit"])
    assert found is not None
    return int(found[1]), int(found[2])


async def test_a_202_says_when_to_look_at_its_location() -> None:
    answer = await ask(await ApiWorld().with_members())
    assert (answer.status, answer.headers["Retry-After"]) == (202, "1")
    assert "RateLimit" not in answer.headers  # there is no quota
    assert "RateLimit-Policy" not in answer.headers


async def test_the_quota_s_state_is_on_every_answer_that_was_counted() -> None:
    world = await ApiWorld(commands_per_minute=4).with_members()
    answers = [await ask(world), await ask(world, {"nonsense": 1}), await ask(world), await ask(world)]
    assert [answer.status for answer in answers] == [202, 400, 202, 202]
    assert {answer.headers["RateLimit-Policy"] for answer in answers} == {'"household-commands";q=4;w=60'}
    assert [left(answer) for answer in answers] == [(3, 15), (2, 30), (1, 45), (0, 15)]
    refused = await ask(world)
    assert (refused.status, refused.headers["Retry-After"], left(refused)) == (429, "15", (0, 15))
    assert refused.headers["RateLimit-Policy"] == '"household-commands";q=4;w=60'
    world.clock.advance(6)
    refused = await ask(world)
    assert (refused.status, refused.headers["Retry-After"], left(refused)) == (429, "9", (0, 9))
    world.clock.advance(9)
    assert (await ask(world)).status == 202, "what Retry-After says is enough"
    world.clock.advance(60)
    assert left(await ask(world)) == (3, 15)


async def test_what_was_never_counted_says_nothing_of_a_quota() -> None:
    world = await ApiWorld(commands_per_minute=4).with_members()
    for answer in (
        await world.post(MESSAGES, {"message": "hi"}, token=None),
        await world.post(MESSAGES, {"message": "hi"}, headers={"Idempotency-Key": "a,b"}),
        await world.get("/approvals"),
    ):
        assert not {"RateLimit", "RateLimit-Policy"} & set(answer.headers)


async def test_one_household_s_quota_is_nobody_else_s() -> None:
    world = await ApiWorld(commands_per_minute=4).with_members()
    await asyncio.gather(*(ask(world) for _ in range(3)))
    assert left(await world.post(MESSAGES, {"message": "hi"}, token="bob"))[0] == 3


async def test_at_once_nobody_is_told_of_more_than_there_is() -> None:
    world = await ApiWorld(commands_per_minute=10).with_members()
    world.stores = replace(world.stores, quotas=Slow(world.stores.quotas))
    quota = CommandQuota(world.stores.quotas, 10)
    world.quota = lambda: quota  # type: ignore[method-assign]
    answers = await asyncio.gather(*(ask(world) for _ in range(14)))
    assert sorted(answer.status for answer in answers) == [202] * 10 + [429] * 4
    told = [left(answer)[0] for answer in answers if answer.status == 202]
    for granted, remaining in enumerate(sorted(told, reverse=True), start=1):
        assert remaining <= 10 - granted
    waits = [int(answer.headers["Retry-After"]) for answer in answers if answer.status == 429]
    assert sorted(waits) == [6, 12, 18, 24], "one after the other"
    assert all(left(answer) == (0, int(answer.headers["Retry-After"])) for answer in answers if answer.status == 429)


async def test_over_two_instances_as_well() -> None:
    world = await ApiWorld(commands_per_minute=10).with_members()
    here, there = (CommandQuota(world.stores.quotas, 10) for _ in range(2))
    counted = await asyncio.gather(*(one.count(ALICE_HOUSEHOLD) for one in (here, there) * 5))
    told = sorted((one.left for one in counted if one is not None and one.left is not None), reverse=True)
    assert len(told) == 10
    assert all(remaining <= 10 - granted for granted, remaining in enumerate(told, start=1))


async def test_where_storage_cannot_count_only_the_policy_is_told() -> None:
    world = await ApiWorld(commands_per_minute=4).with_members()
    world.stores = replace(world.stores, quotas=faulty_stores(world.stores, Plan({1: "unsent"})).quotas)
    answer = await ask(world)
    assert answer.status == 202
    assert answer.headers["RateLimit-Policy"] == '"household-commands";q=4;w=60'
    assert "RateLimit" not in answer.headers


async def test_every_503_says_when_to_come_back() -> None:
    world = await ApiWorld().with_members()

    async def refuses(*_: object, **__: object) -> None:
        raise QueueUnavailableError("no acknowledgement")

    world.sender.send = refuses  # type: ignore[method-assign]
    answer = await ask(world)
    assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
    world.probes[0].up = False
    answer = await world.get("/health/ready", token=None)
    assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
    assert "Retry-After" not in (await world.get("/health/live", token=None)).headers


def test_a_wait_is_never_told_shorter_than_it_is() -> None:
    assert [whole(seconds) for seconds in (0.0, 0.2, 1.0, 1.01, 59.5)] == [1, 1, 1, 2, 60]
