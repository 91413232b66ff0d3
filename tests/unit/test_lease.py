"""A lease is renewed while its lane runs, its ETag followed; storage that is away for a while does not end it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from mosaic_core.domain.errors import StoreRefusedError, StoreUnreachableError
from mosaic_core.domain.records import Key
from mosaic_core.services.lease import Lease
from tests.support.world import QUEUE, Work, World


class Keys:
    """The key's row as the tables keep it. ``fate`` says of each renewal, counted from 1, what becomes of it."""

    def __init__(self, key: Key, fate: Callable[[int], str] = lambda _: "on") -> None:
        self.row, self.etag, self.fate = key, "1", fate
        self.renewals = 0

    async def update(self, key: Key, etag: str) -> str | None:
        self.renewals += 1
        fate = self.fate(self.renewals)
        if fate == "unsent":
            raise StoreUnreachableError("keys: 503")
        if fate == "refused":
            raise StoreRefusedError("keys: 403")
        if etag != self.etag:
            return None
        self.row, self.etag = key, str(int(self.etag) + 1)
        if fate == "lost":
            raise StoreUnreachableError("keys: the answer was lost")
        return self.etag

    async def read(self, queue: str, command_id: str) -> Any:
        return SimpleNamespace(value=self.row, etag=self.etag)

    async def insert(self, key: Key) -> str | None:
        raise AssertionError


async def a_key() -> Key:
    world = World(Work(("success",)))
    await world.send(recorded=True)
    message = world.broker.receive(QUEUE)
    assert message is not None
    await world.deliver(message)
    key: Key = await world.key()
    return replace(key, status=type(key.status)("Reserved"), lease_seconds=30)


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(20_000):  # nobody announces a renewal
        if condition():
            return
        await asyncio.sleep(0.0005)
    raise AssertionError("it does not come to that")


async def held(keys: Keys, key: Key, renewals: int) -> tuple[Lease, list[bool]]:
    """The lease after so many renewals, and whether its owner was told to stop."""
    lease, stopped = Lease(keys, key, keys.etag, renew_seconds=0.0001), list[bool]()
    lease.hold(lambda: stopped.append(True))
    await until(lambda: keys.renewals >= renewals or bool(stopped))
    await lease.let_go()
    return lease, stopped


async def test_the_etag_of_every_renewal_is_followed() -> None:
    """What the owner writes next carries it; with another it would lose the race against itself."""
    key = await a_key()
    keys = Keys(key)
    lease, stopped = await held(keys, key, 5)
    assert not stopped
    assert lease.etag == keys.etag
    assert await keys.update(lease.key, lease.etag) is not None


@pytest.mark.parametrize("fate", ["unsent", "lost", "refused"])
@pytest.mark.parametrize("away", [1, 3])
async def test_a_renewal_that_finds_the_tables_away_is_tried_again_and_kills_nothing(fate: str, away: int) -> None:
    key = await a_key()
    keys = Keys(key, lambda nth: fate if 2 <= nth < 2 + away else "on")
    lease, stopped = await held(keys, key, 2 + away + 3)
    assert not stopped
    assert not lease.lost
    assert keys.renewals >= 2 + away + 3
    assert lease.etag == keys.etag


async def test_a_lease_that_storage_never_renews_is_lost_when_it_has_run_out_and_not_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    key = await a_key()
    now = 0.0
    monkeypatch.setattr("mosaic_core.services.lease.time", SimpleNamespace(monotonic=lambda: now))
    keys = Keys(key, lambda _: "unsent")
    lease, stopped = Lease(keys, key, keys.etag, renew_seconds=0.0001), list[bool]()
    lease.hold(lambda: stopped.append(True))
    now = 29.9
    await until(lambda: keys.renewals >= 5)
    assert not stopped
    now = 30.1
    await until(lambda: bool(stopped))
    assert (lease.lost, lease.unrenewed) == (True, True)
    await lease.let_go()


async def test_a_key_that_another_took_ends_the_lane_once() -> None:
    key = await a_key()
    keys = Keys(key)
    lease, stopped = Lease(keys, key, keys.etag, renew_seconds=0.0001), list[bool]()
    lease.hold(lambda: stopped.append(True))
    await until(lambda: keys.renewals >= 2)
    keys.row, keys.etag = replace(key, owner_token="another"), "900"
    await until(lambda: bool(stopped))
    await lease.let_go()
    assert stopped == [True]
    assert (lease.lost, lease.unrenewed) == (True, False)
    assert keys.row.owner_token == "another"
