"""HTTP triggers and the admin endpoints, on one listener as on the platform."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from email.utils import formatdate
from typing import Any, Protocol

import aiohttp
from aiohttp import web
from yarl import URL

from mosaic_local.host.clock import MovableClock
from mosaic_local.host.cors import Cors
from mosaic_local.host.forwarding import Forwarder
from mosaic_local.host.functions import Function, HttpTrigger, TimerTrigger
from mosaic_local.host.guard import Answering, Guard
from mosaic_local.host.intake import Bounds, Intake, RefusedError
from mosaic_local.host.invocations import Counts, Invoker, new_id
from mosaic_local.host.messages import InvocationResponse, RpcHttp, RpcHttpCookie, RpcTraceContext, TypedData
from mosaic_local.host.worker import WorkerExitedError

log = logging.getLogger("Host.Triggers.Http")

_ADMIN_BODY_BYTES = 64 * 1024
_LINGER_SECONDS = 5.0
_HOP_BY_HOP = frozenset({"content-length", "transfer-encoding", "connection", "keep-alive"})


class HostState(Protocol):
    """What the admin endpoints tell about the host."""

    @property
    def functions(self) -> Iterable[Function]: ...
    @property
    def state(self) -> str: ...
    def is_listening(self, function: Function) -> bool: ...
    def run_timer(self, function: Function) -> None: ...
    async def catch_up(self) -> Mapping[str, datetime]: ...


class HttpServer:
    """Routes requests to functions: the first, by name, whose template matches and that takes the method; else a bare
    404."""

    def __init__(
        self,
        host: HostState,
        invoker: Invoker,
        route_prefix: str,
        bounds: Bounds | None = None,
        cors: Cors | None = None,
        guard: Guard | None = None,
        clock: MovableClock | None = None,
    ) -> None:
        """``clock``: in a host for tests, what ``/admin/testing`` moves."""
        self._guard, self._clock = guard or Guard(), clock
        self._host, self._invoker, self._prefix = host, invoker, route_prefix
        self._cors = cors
        self._bounds = bounds or Bounds()
        self._intake = Intake(self._bounds)
        self._routes: list[tuple[HttpTrigger, Function]] = []
        self._forwarder: Forwarder | None = None
        self._runner: web.AppRunner | None = None
        self._began = time.monotonic()

    async def start(self, host: str, port: int) -> int:
        """Listens; returns the port. Raises OSError where it is taken. Requests get 503 until ``serve``."""
        app = web.Application(client_max_size=_ADMIN_BODY_BYTES)
        if self._cors is not None:
            self._cors.install(app)
        app.router.add_get("/admin/functions", self._list_functions)
        app.router.add_post("/admin/functions/{name}", self._run_function)
        app.router.add_get("/admin/host/status", self._status)
        app.router.add_get("/admin/host/ping", self._ping)
        if self._clock is not None:
            # No simple request of a browser: a page of somebody else's must not move time.
            app.router.add_put("/admin/testing/clock", self._move_clock)
            app.router.add_put("/admin/testing/timers", self._catch_up)
        app.router.add_route("*", "/{path:.*}", self._dispatch)
        # bodies reach the function as they came, as on the platform
        self._runner = web.AppRunner(
            app,
            access_log=None,
            handle_signals=False,
            auto_decompress=False,
            # counted from the connection's beginning, and from the end of the request before: the head has to be
            # there by then
            keepalive_timeout=self._bounds.head_seconds,
            lingering_time=_LINGER_SECONDS,
            shutdown_timeout=1.0,
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port, reuse_address=True)
        await site.start()
        return int(self._runner.addresses[0][1])

    def serve(self, functions: Iterable[Function]) -> None:
        """From now on requests reach these functions."""
        self._routes = [(f.trigger, f) for f in functions if isinstance(f.trigger, HttpTrigger) and not f.disabled]

    async def forward_to(self, address: str) -> None:
        """Requests are answered by the worker's own web server. Raises TimeoutError where that does not come up."""
        self._forwarder = Forwarder(address, self._bounds)
        await self._forwarder.open()

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
        if self._forwarder is not None:
            await self._forwarder.close()

    async def _dispatch(self, request: web.Request) -> web.StreamResponse:
        if self._host.state != "Running":
            return web.Response(status=503, text="Function host is not running.")
        path = request.rel_url.raw_path
        for trigger, function in self._routes:
            if trigger.methods and request.method not in trigger.methods:
                continue
            params = trigger.route.match(path)
            if params is not None:
                return await self._invoke(request, function, params)
        if path == "/":
            return _home()
        return web.Response(status=404)

    async def _invoke(self, request: web.Request, function: Function, params: dict[str, str]) -> web.StreamResponse:
        connection = request.transport.get_extra_info("socket") if request.transport is not None else None
        try:
            if self._forwarder is not None:
                async with self._intake.place():
                    with self._guard.request(connection) as answering:
                        return await self._stream(self._forwarder, request, function, params, answering)
            async with self._intake.taken(request) as body:
                with self._guard.request(connection):
                    return await self._run(request, function, params, body)
        except RefusedError as refused:
            return refused.answer()

    async def _run(
        self, request: web.Request, function: Function, params: dict[str, str], body: bytes
    ) -> web.StreamResponse:
        if body and request.content_length is None:
            log.warning(
                "function %s: a request body of %d bytes without Content-Length is not handed to the function, as on "
                "the platform",
                function.name,
                len(body),
            )
            body = b""
        http = RpcHttp(
            method=request.method,
            url=str(request.url),
            headers=_joined((name.lower(), value) for name, value in request.headers.items()),
            params=params,
            # the worker does not say that it takes empty ones, so the platform leaves them out
            query={name: value for name, value in _joined(request.query.items()).items() if value},
            body=TypedData(bytes=body),
        )
        trace = RpcTraceContext(request.headers.get("traceparent", ""), request.headers.get("tracestate", ""))
        try:
            response = await self._invoker.run(function, TypedData(http=http), trace=trace)
        except WorkerExitedError:
            return web.Response(status=500)
        try:
            return _answer(response)
        except ValueError as exc:  # a lone surrogate, which the platform's protocol does not carry either
            log.error("function %s: its answer cannot be sent: %s: %s", function.name, type(exc).__name__, exc)
            return web.Response(status=500)

    async def _stream(
        self,
        forwarder: Forwarder,
        request: web.Request,
        function: Function,
        params: dict[str, str],
        answering: Answering,
    ) -> web.StreamResponse:
        """The request goes to the worker's web server, which waits for the invocation, and its answer back."""
        invocation_id = new_id()
        trace = RpcTraceContext(request.headers.get("traceparent", ""), request.headers.get("tracestate", ""))
        data = TypedData(http=RpcHttp(params=params))
        running = asyncio.create_task(self._invoker.run(function, data, trace=trace, invocation_id=invocation_id))
        try:
            answer = await forwarder.forward(request, invocation_id, answering)
        except BaseException as exc:
            running.cancel()  # it may wait for a request that never gets there
            if not isinstance(exc, aiohttp.ClientError | TimeoutError | ConnectionError):
                raise
            there = request.transport
            if there is None or there.is_closing():  # who asked has gone
                return web.Response(status=500)
            log.error("function %s: its answer did not come to an end: %s: %s", function.name, type(exc).__name__, exc)
            if answering.begun:
                there.abort()  # what was begun must not look like the whole
            return web.Response(status=500)
        finally:
            await asyncio.gather(running, return_exceptions=True)
        return answer

    async def _list_functions(self, request: web.Request) -> web.Response:
        return web.json_response([self._describe(request.url, function) for function in self._host.functions])

    def _describe(self, url: URL, function: Function) -> dict[str, Any]:
        described: dict[str, Any] = {
            "name": function.name,
            "language": "python",
            "isDisabled": function.disabled,
            "config": {"name": function.name, "bindings": list(function.bindings)},
            "href": str(url.origin() / "admin" / "functions" / function.name),
        }
        if isinstance(function.trigger, HttpTrigger):
            described["invoke_url_template"] = f"{url.origin()}/{function.trigger.route.text}"
        return described

    async def _status(self, request: web.Request) -> web.Response:
        counts = self._invoker.counts
        functions = {}
        for function in self._host.functions:
            count = counts.get(function.name, Counts())
            functions[function.name] = {
                "trigger": function.kind,
                "isDisabled": function.disabled,
                "listening": self._host.is_listening(function),
                "started": count.started,
                "succeeded": count.succeeded,
                "failed": count.failed,
                "inFlight": count.in_flight,
            }
        return web.json_response(
            {
                "id": "mosaic-embedded-host",
                "state": self._host.state,
                "version": "4.0.0-embedded",
                "processUptime": int((time.monotonic() - self._began) * 1000),
                "functions": functions,
            }
        )

    async def _ping(self, request: web.Request) -> web.Response:
        return web.Response(status=200)

    async def _move_clock(self, request: web.Request) -> web.Response:
        """``{"advanceSeconds": 1.5}``, above zero; the timers wait for ``/admin/testing/timers``."""
        assert self._clock is not None
        try:
            by = timedelta(seconds=float((await request.json())["advanceSeconds"]))
        except (ValueError, KeyError, TypeError, OverflowError):
            return web.Response(status=400, text='The body must be JSON such as {"advanceSeconds": 1.5}.')
        if by < timedelta():
            return web.Response(status=400, text="Time goes forward only.")
        if by:
            self._clock.advance(by)
        return web.json_response({"now": time.time_ns() // 1_000_000})

    async def _catch_up(self, request: web.Request) -> web.Response:
        """Answers when what fell due has run: ``{"due": {function: milliseconds since 1970}}``."""
        due = await self._host.catch_up()
        return web.json_response({"due": {name: round(at.timestamp() * 1000) for name, at in due.items()}})

    async def _run_function(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        function = next((f for f in self._host.functions if f.name.lower() == name.lower()), None)
        if function is None:
            return web.Response(status=404)
        if not isinstance(function.trigger, TimerTrigger):
            return web.Response(status=400, text="The embedded host runs only timer triggers by hand.")
        if request.can_read_body:
            try:
                body = await request.json()
            except ValueError:
                body = None
            if not isinstance(body, dict):
                return web.Response(status=400, text='The body must be JSON such as {"input": ""}.')
        self._host.run_timer(function)
        return web.Response(status=202)


def _joined(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Repeated names, whatever their case, become one value: what is not empty, joined by commas, as on the
    platform."""
    joined: dict[str, str] = {}
    spelt: dict[str, str] = {}
    for name, value in pairs:
        first = spelt.setdefault(name.lower(), name)
        joined[first] = ",".join(filter(None, (joined.get(first), value)))
    return joined


def _home() -> web.Response:
    """What the platform answers at its root where no function does; whoever waits for a host asks there."""
    if os.environ.get("AzureWebJobsDisableHomepage", "").lower() == "true":
        return web.Response(status=204)
    return web.Response(
        text="<!DOCTYPE html><title>Functions</title><p>The function app runs.", content_type="text/html"
    )


def _answer(response: InvocationResponse) -> web.Response:
    if not response.succeeded:
        return web.Response(status=500)
    value = response.return_value
    kind = value.WhichOneof("data") if value is not None else None
    if value is None or kind is None:
        return web.Response(status=204)
    if kind != "http":
        content = value.string if kind == "string" else value.json if kind == "json" else value.bytes
        return web.Response(text=content if isinstance(content, str) else bytes(content or b"").decode())
    http: RpcHttp = value.http
    body = http.body.bytes if http.body.WhichOneof("data") == "bytes" else str(http.body.string or "").encode()
    answer = web.Response(status=int(http.status_code), body=body)
    for name, header in http.headers.items():
        if name.lower() not in _HOP_BY_HOP:
            header.encode()  # here it is the function's failure; when it is written, the connection's
            answer.headers[name] = header
    for cookie in http.cookies or ():
        answer.headers.add("Set-Cookie", _set_cookie(cookie))
    return answer


def _set_cookie(cookie: RpcHttpCookie) -> str:
    parts = [f"{cookie.name}={cookie.value}"]
    if cookie.expires is not None:
        parts.append(f"Expires={formatdate(cookie.expires.value.seconds, usegmt=True)}")
    if cookie.max_age is not None:
        parts.append(f"Max-Age={int(cookie.max_age.value)}")
    if cookie.domain is not None and cookie.domain.value:
        parts.append(f"Domain={cookie.domain.value}")
    if cookie.path is not None and cookie.path.value:
        parts.append(f"Path={cookie.path.value}")
    if cookie.secure is not None and cookie.secure.value:
        parts.append("Secure")
    if cookie.http_only is not None and cookie.http_only.value:
        parts.append("HttpOnly")
    if cookie.same_site:
        parts.append(f"SameSite={'None' if cookie.same_site.name == 'ExplicitNone' else cookie.same_site.name}")
    return "; ".join(parts)
