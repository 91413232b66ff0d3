"""What one household, or one client, does to everybody else: their p95 under it, as a multiple of their idle one.

For each kind of load a stack of its own: first idle, then under the load, the same probes are sent at the same pace. A
probe is another household's message (from its POST to the run that is over), another lane's ingestion, and
``/health/live``. Ratios alone have goals; the machine's other work is in both halves.
"""

from __future__ import annotations

import asyncio
import json
import math
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from statistics import median
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
from azure.servicebus import ServiceBusMessage
from azure.servicebus.aio import ServiceBusClient

from bench import load
from bench.results import Goal, Row, at_most
from mosaic_core.concurrency import each, together
from mosaic_core.domain.envelope import iso
from mosaic_local.seed import SAMPLE
from mosaic_local.stack import Stack, StackOptions

LOADS: Final = {
    "flood": "one household's flood",
    "poison": "messages that are none",
    "unknown_types": "commands of unknown types",
    "slow_client": "slow clients",
}
ROWS: Final = tuple(
    f"{name}_{what}" for name in LOADS for what in ("household_ratio", "lane_ratio", "health_ratio", "health_live_p99")
)

FLOOD: Final = 2000
POISON: Final = 500
SLOW: Final = 150
PROBE_SECONDS: Final = 12.0
PACE_SECONDS: Final = 0.25
_LOOK_SECONDS: Final = 0.02
_WAIT_SECONDS: Final = 40.0
_WARM_UP: Final = 48

_FLOODING, _OTHER = SAMPLE


@dataclass(slots=True)
class Probes:
    """Seconds of each probe by kind."""

    household: list[float] = field(default_factory=list)
    lane: list[float] = field(default_factory=list)
    health: list[float] = field(default_factory=list)


class World:
    """A running stack with the sample's two households: one does the harm, the other one asks."""

    def __init__(self, stack: Stack, http: aiohttp.ClientSession, bus: ServiceBusClient) -> None:
        self.stack, self.http, self.bus = stack, http, bus
        self.tokens = {it.subject: stack.token(it.subject, "Mosaic.Ingest") for it in SAMPLE}

    async def post(self, who: str, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {self.tokens[who]}"}
        async with self.http.post(f"/api/v1/agent{path}", json=body, headers=headers) as answer:
            return answer.status, await answer.json()

    async def get(self, who: str, path: str) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {self.tokens[who]}"}
        async with self.http.get(f"/api/v1/agent{path}", headers=headers) as answer:
            return answer.status, await answer.json()

    async def probe_household(self) -> float:
        conversation = uuid.uuid4().hex
        began = time.perf_counter()
        status, _ = await self.post(
            _OTHER.subject, f"/conversations/{conversation}/messages", {"message": "What did we spend on groceries?"}
        )
        if status != 202:
            raise AssertionError(f"the other household's message was not accepted: {status}")
        return await self._over(f"/conversations/{conversation}/stream", began, _is_final_in_stream)

    async def probe_lane(self) -> float:
        body = {
            "batchId": uuid.uuid4().hex,
            "source": "bench",
            "accountId": "checking",
            "transactions": [
                {
                    "transactionId": uuid.uuid4().hex,
                    "postedOn": "2026-06-01",
                    "amount": "-12.50",
                    "currency": "USD",
                    "description": "STARBUCKS STORE 1234",
                }
            ],
        }
        began = time.perf_counter()
        async with self.http.post(
            f"/api/v1/agent/households/{_OTHER.household_id}/ingestions",
            json=body,
            headers={"Authorization": f"Bearer {self.tokens[_OTHER.subject]}"},
        ) as answer:
            if answer.status != 202:
                raise AssertionError(f"the other household's batch was not accepted: {answer.status}")
            path = answer.headers["Location"].removeprefix("/api/v1/agent")
        return await self._over(path, began, _is_final)

    async def probe_health(self) -> float:
        began = time.perf_counter()
        async with self.http.get("/api/v1/agent/health/live") as answer:
            await answer.read()
            if answer.status != 200:
                raise AssertionError(f"/health/live answered {answer.status}")
        return time.perf_counter() - began

    async def warm_up(self) -> None:
        """Imports, connections, and all of the host's receivers of both lanes, which it opens under load only."""
        await each(range(_WARM_UP), lambda _: self.probe_household(), at_once=_WARM_UP)
        await each(range(_WARM_UP), lambda _: self.probe_lane(), at_once=_WARM_UP)

    async def _over(self, path: str, began: float, is_final: Callable[[Any], bool]) -> float:
        """Until the run is over, looked for the less often the longer it takes. One that takes longer than anybody
        would wait counts as that long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_WAIT_SECONDS):
                while True:
                    status, found = await self.get(_OTHER.subject, path)
                    if status == 200 and is_final(found):
                        break
                    await asyncio.sleep(max(_LOOK_SECONDS, (time.perf_counter() - began) / 10))
        return time.perf_counter() - began


def _is_final_in_stream(found: Any) -> bool:
    return bool(found["runs"]) and bool(found["runs"][0]["isFinal"])


def _is_final(found: Any) -> bool:
    return bool(found["run"]["isFinal"])


async def measure(name: str, quick: bool) -> list[Row]:
    seconds = PROBE_SECONDS / 3 if quick else PROBE_SECONDS
    share = 5 if quick else 1
    async with _world() as world:
        await world.warm_up()
        idle = await _probed(world, seconds)
        async with _under(_HARM[name], world, share):
            hard = await _probed(world, seconds)
    return _rows(name, idle, hard)


def _rows(name: str, idle: Probes, hard: Probes) -> list[Row]:
    def ratio(
        what: str, before: Sequence[float], under: Sequence[float], share: float, goal: Goal | None = None
    ) -> Row:
        value = quantile(under, share) / quantile(before, share)
        typical = median(under) / median(before)
        return Row(f"{name}_{what}", value, "ratio", (min(value, typical), max(value, typical)), goal)

    live = [quantile(hard.health, share) * 1000 for share in (0.5, 0.99, 1.0)]
    return [
        ratio("household_ratio", idle.household, hard.household, 0.95, at_most(2)),
        ratio("lane_ratio", idle.lane, hard.lane, 0.95, at_most(2)),
        ratio("health_ratio", idle.health, hard.health, 0.99),
        Row(f"{name}_health_live_p99", live[1], "ms", (live[0], live[2]), at_most(100)),
    ]


def quantile(values: Sequence[float], share: float) -> float:
    """The least value that is not exceeded by that share of them."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


async def _probed(world: World, seconds: float) -> Probes:
    """Each kind of probe at its pace for so long; those that are under way at the end are waited for."""
    found = Probes()

    async def paced(probe: Callable[[], Awaitable[float]], into: list[float], pace: float) -> None:
        until = time.perf_counter() + seconds

        async def once() -> None:
            into.append(await probe())

        async with asyncio.TaskGroup() as probes:
            while time.perf_counter() < until:
                probes.create_task(once())
                await asyncio.sleep(pace)

    await together(
        paced(world.probe_household, found.household, PACE_SECONDS * 2),
        paced(world.probe_lane, found.lane, PACE_SECONDS * 2),
        paced(world.probe_health, found.health, PACE_SECONDS / 2),
    )
    return found


# ----------------------------------------------------------------------------------------------------------------- harm


async def _flood(world: World, share: int) -> None:
    """2,000 messages of one household, as fast as the API takes them; what it refuses is not repeated."""
    left = FLOOD // share

    async def client() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            status, _ = await world.post(
                _FLOODING.subject,
                f"/conversations/{uuid.uuid4().hex}/messages",
                {"message": "What did we spend on groceries last month?"},
            )
            if status not in (202, 429):
                raise AssertionError(f"a message of the flood was answered {status}")

    await together(*(client() for _ in range(8)))


async def _poison(world: World, share: int) -> None:
    await _send(world, [b"{" for _ in range(POISON // share)])


async def _unknown_types(world: World, share: int) -> None:
    await _send(world, [_unknown() for _ in range(POISON // share)])


def _unknown() -> bytes:
    command_id = uuid.uuid4().hex
    return json.dumps(
        {
            "commandId": command_id,
            "correlationId": f"bench:{command_id}",
            "commandType": "of_tomorrow",
            "createdAtUtc": iso(datetime.now(UTC)),
            "schemaVersion": 1,
            "payload": {"householdId": _FLOODING.household_id},
        }
    ).encode()


async def _send(world: World, bodies: list[bytes]) -> None:
    """To the conversation queue, past the API."""
    async with world.bus.get_queue_sender(load.QUEUE) as sender:
        for start in range(0, len(bodies), 100):
            messages = [ServiceBusMessage(body, message_id=uuid.uuid4().hex) for body in bodies[start : start + 100]]
            await sender.send_messages(messages)


async def _slow_client(world: World, share: int) -> None:
    """Clients that promise a body and send it byte by byte, until they are cut off."""
    address = urlsplit(world.stack.api_base_url)

    async def client() -> None:
        _, writer = await asyncio.open_connection(address.hostname, address.port)
        try:
            token = world.tokens[_FLOODING.subject]
            head = (
                f"POST /api/v1/agent/conversations/{uuid.uuid4().hex}/messages HTTP/1.1\r\nHost: h\r\n"
                f"Authorization: Bearer {token}\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n"
            )
            writer.write(head.encode())
            while True:
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.5)
        except ConnectionError:
            return
        finally:
            writer.close()

    await together(*(client() for _ in range(SLOW // share)))


_HARM: Final[dict[str, Callable[[World, int], Awaitable[None]]]] = {
    "flood": _flood,
    "poison": _poison,
    "unknown_types": _unknown_types,
    "slow_client": _slow_client,
}


@asynccontextmanager
async def _under(harm: Callable[[World, int], Awaitable[None]], world: World, share: int) -> AsyncIterator[None]:
    """The load begins a moment before the probes, and ends with them at the latest."""

    async def work() -> None:
        await harm(world, share)

    doing = asyncio.create_task(work())
    await asyncio.sleep(0.2)
    try:
        yield
    finally:
        if not doing.done():
            doing.cancel()
        with suppress(asyncio.CancelledError):
            await doing


@asynccontextmanager
async def _world() -> AsyncIterator[World]:
    async with (
        Stack(StackOptions()) as stack,
        aiohttp.ClientSession(stack.api_base_url, trust_env=False, connector=aiohttp.TCPConnector(limit=0)) as http,
        ServiceBusClient.from_connection_string(stack.settings["ServiceBusConnection"]) as bus,
    ):
        yield World(stack, http, bus)


def of(name: str) -> Callable[[bool], Awaitable[list[Row]]]:
    """The measurement of one kind of load."""

    async def run(quick: bool) -> list[Row]:
        return await measure(name, quick)

    return run


def rows_of(name: str) -> tuple[str, ...]:
    return tuple(row for row in ROWS if row.startswith(f"{name}_"))
