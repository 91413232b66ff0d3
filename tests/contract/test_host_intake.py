"""The embedded host's HTTP door: sizes, times, and how much comes in at once. Over loopback, with an app that waits."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import datetime
from types import SimpleNamespace
from typing import Any, cast

import psutil  # type: ignore[import-untyped]  # its stubs are a package of their own
import pytest

from mosaic_core.config import LARGEST_BODY_BYTES
from mosaic_local.host.errors import HostConfigurationError
from mosaic_local.host.functions import Function, HttpTrigger
from mosaic_local.host.http import HttpServer
from mosaic_local.host.intake import PLATFORM_BODY_BYTES, SIZE_SETTING, Bounds, body_bytes
from mosaic_local.host.routes import RouteTemplate
from mosaic_local.stack import REQUEST_BODY_BYTES

MB = 2**20


class App:
    """The host's functions and its worker: one route, which is at work until it is let go."""

    state = "Running"

    def __init__(self) -> None:
        trigger = HttpTrigger("req", RouteTemplate.parse("api/x"), frozenset())
        self.functions: Iterable[Function] = [
            cast("Any", SimpleNamespace(name="x", trigger=trigger, disabled=False, kind="httpTrigger"))
        ]
        self.counts: dict[str, Any] = {}
        self.go = asyncio.Event()
        self.go.set()
        self.entered = asyncio.Semaphore(0)
        self.at_work = self.most = 0
        self.sizes: list[int] = []

    def is_listening(self, function: Function) -> bool:
        return True

    def run_timer(self, function: Function) -> None:
        raise AssertionError

    async def catch_up(self) -> dict[str, datetime]:
        raise AssertionError

    async def run(self, function: Function, data: Any, **_: Any) -> Any:
        self.at_work += 1
        self.most = max(self.most, self.at_work)
        self.sizes.append(len(data.http.body.bytes))
        self.entered.release()
        try:
            await self.go.wait()
        finally:
            self.at_work -= 1
        return SimpleNamespace(succeeded=True, return_value=None)


@asynccontextmanager
async def serving(bounds: Bounds) -> AsyncIterator[tuple[App, int]]:
    app = App()
    server = HttpServer(app, cast("Any", app), "api", bounds)
    port = await server.start("127.0.0.1", 0)
    server.serve(app.functions)
    try:
        yield app, port
    finally:
        app.go.set()
        await server.stop()


async def post(port: int, *, size: int, declared: bool = True, sent: int | None = None) -> int:
    """The answer's status; 0 where the connection ended without one. ``sent`` fewer bytes than were promised come."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    length = f"Content-Length: {size}" if declared else "Transfer-Encoding: chunked"
    writer.write(f"POST /api/x HTTP/1.1\r\nHost: h\r\n{length}\r\n\r\n".encode())
    answer = asyncio.ensure_future(reader.read(4096))
    try:
        left, part = size if sent is None else sent, b"x" * 65536
        while left > 0 and not answer.done():
            piece = part[:left]
            writer.write(piece if declared else b"%x\r\n%s\r\n" % (len(piece), piece))
            await writer.drain()
            left -= len(piece)
        if not declared and sent is None:
            writer.write(b"0\r\n\r\n")
    except ConnectionError:
        pass
    try:
        found = await answer
    except ConnectionError:
        return 0
    finally:
        writer.close()
    return int(found.split()[1]) if found else 0


async def test_a_flood_of_large_bodies_does_not_grow_the_hosts_memory() -> None:
    """Six times 90 MB, once with their sizes told and once not, whoever sends them."""
    process = psutil.Process()
    async with serving(Bounds(body_bytes=REQUEST_BODY_BYTES)) as (app, port), asyncio.timeout(60):
        assert await post(port, size=10) == 204
        before, most, done = process.memory_info().rss, 0, asyncio.Event()

        async def watch() -> None:
            nonlocal most
            while not done.is_set():
                most = max(most, process.memory_info().rss)
                await asyncio.sleep(0.005)

        watching = asyncio.create_task(watch())
        told = await asyncio.gather(*(post(port, size=90 * MB) for _ in range(6)))
        assert set(told) <= {413, 0}
        assert most - before < 40 * MB
        untold = await asyncio.gather(*(post(port, size=90 * MB, declared=False) for _ in range(6)))
        assert set(untold) <= {413, 429, 0}
        done.set()
        await watching
        # four are read at once, each up to the limit, and the allocator may hold twice that: not six times 90 MB
        assert most - before < 2.5 * 4 * REQUEST_BODY_BYTES
        assert app.sizes == [10]


async def test_a_body_at_the_limit_passes_and_one_beyond_it_does_not() -> None:
    async with serving(Bounds(body_bytes=MB)) as (app, port), asyncio.timeout(20):
        for declared in (True, False):
            assert await post(port, size=MB, declared=declared) == 204
            assert await post(port, size=MB + 1, declared=declared) in (413, 0)
        assert app.sizes == [MB, 0]  # without Content-Length the function is given none of it, as on the platform


async def test_large_bodies_are_in_memory_a_few_at_a_time_and_small_ones_pass_them() -> None:
    bounds = Bounds(large_bytes=1000, large_bodies=2, large_wait_seconds=0.05)
    async with serving(bounds) as (app, port), asyncio.timeout(20):
        app.go.clear()
        large = [asyncio.create_task(post(port, size=2000)) for _ in range(2)]
        for _ in large:
            await app.entered.acquire()
        assert await post(port, size=2000) == 429
        assert await post(port, size=2000, declared=False) == 429
        small = asyncio.create_task(post(port, size=1000))
        await app.entered.acquire()
        app.go.set()
        assert await asyncio.gather(*large, small) == [204] * 3
        assert await post(port, size=2000) == 204


async def test_requests_at_work_are_bounded_and_so_is_the_line_behind_them() -> None:
    async with serving(Bounds(concurrent=2, outstanding=5)) as (app, port), asyncio.timeout(20):
        app.go.clear()
        calls = [asyncio.create_task(post(port, size=0)) for _ in range(9)]
        ended: asyncio.Queue[asyncio.Task[int]] = asyncio.Queue()
        for call in calls:
            call.add_done_callback(ended.put_nowait)
        assert [(await ended.get()).result() for _ in range(4)] == [429] * 4
        app.go.set()
        assert sorted(await asyncio.gather(*calls)) == [204] * 5 + [429] * 4
        assert app.most == 2


async def test_who_sends_slowly_takes_no_place_from_anybody_and_is_ended() -> None:
    """As many slow clients as may be outstanding, and more: others are answered; the slow ones are told, or cut off."""
    bounds = Bounds(concurrent=2, outstanding=4, body_seconds=0.3, head_seconds=0.3)
    async with serving(bounds) as (app, port), asyncio.timeout(20):
        slow = [asyncio.create_task(post(port, size=1000, sent=10)) for _ in range(10)]
        headless = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        for _, writer in headless[1:]:
            writer.write(b"POST /api/x HTTP/1.1\r\nHos")
        assert await post(port, size=10) == 204
        assert set(await asyncio.gather(*slow)) == {408}
        for reader, writer in headless:
            assert await reader.read() == b""
            writer.close()
        assert app.sizes == [10]


async def test_a_client_that_goes_away_leaves_its_place() -> None:
    async with serving(Bounds(large_bytes=1000, large_bodies=1, large_wait_seconds=5)) as (_, port):
        async with asyncio.timeout(20):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"POST /api/x HTTP/1.1\r\nHost: h\r\nContent-Length: 5000\r\n\r\n" + b"x" * 2000)
            await writer.drain()
            writer.transport.abort()
            assert await post(port, size=5000) == 204


def test_the_size_is_the_platforms_setting() -> None:
    assert body_bytes({}) == body_bytes({SIZE_SETTING: " "}) == PLATFORM_BODY_BYTES
    assert body_bytes({SIZE_SETTING: "1000"}) == 1000
    for wrong in ("0", "-1", "1e6", "20 MB", "٣", "9" * 20):
        with pytest.raises(HostConfigurationError, match=SIZE_SETTING):
            body_bytes({SIZE_SETTING: wrong})


def test_the_stack_and_the_sample_let_the_largest_ingestion_through() -> None:
    from mosaic_local.state import ROOT

    sample = json.loads((ROOT / "local.settings.sample.json").read_text("utf-8"))["Values"]
    assert int(sample[SIZE_SETTING]) == REQUEST_BODY_BYTES
    assert LARGEST_BODY_BYTES < REQUEST_BODY_BYTES < 2 * LARGEST_BODY_BYTES
