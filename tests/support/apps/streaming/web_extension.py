"""A web extension as `azurefunctions.extensions.base` lets anyone write: the worker then serves HTTP itself. On
aiohttp, so that the tests need no framework."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from azurefunctions.extensions import base  # type: ignore[import-untyped]


class Synchronizer(base.RequestSynchronizer):  # type: ignore[misc]
    def sync_route_params(self, request: web.Request, path_params: dict[str, str]) -> None:
        request["route"] = dict(path_params)


class Request(metaclass=base.RequestTrackerMeta):  # type: ignore[metaclass]
    request_type = web.Request
    synchronizer = Synchronizer()


class Response(metaclass=base.ResponseTrackerMeta):  # type: ignore[metaclass]
    label = base.ResponseLabels.STANDARD
    response_type = web.Response


class Streaming:
    """An answer that is made in parts."""

    def __init__(self, parts: Any) -> None:
        self.parts = parts


class StreamingResponse(metaclass=base.ResponseTrackerMeta):  # type: ignore[metaclass]
    label = base.ResponseLabels.STREAMING
    response_type = Streaming


class WebApp(base.WebApp):  # type: ignore[misc]
    def __init__(self) -> None:
        self.app = web.Application()

    def route(self, func: Callable[[web.Request], Awaitable[Any]]) -> Any:
        async def handle(request: web.Request) -> web.StreamResponse:
            answer = await func(request)
            if not isinstance(answer, Streaming):
                return answer  # type: ignore[no-any-return]
            begun = web.StreamResponse(headers={"X-Streamed": "yes"})
            await begun.prepare(request)
            async for part in answer.parts:
                await begun.write(part)
            await begun.write_eof()
            return begun

        self.app.router.add_route("*", "/{path:.*}", handle)
        return func

    def get_app(self) -> web.Application:
        return self.app


class WebServer(base.WebServer):  # type: ignore[misc]
    async def serve(self) -> None:
        runner = web.AppRunner(self.web_app, access_log=None, handle_signals=False)
        await runner.setup()
        await web.TCPSite(runner, self.hostname, self.port).start()
        await asyncio.Event().wait()
