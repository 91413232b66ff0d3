"""Functions that the worker's own web server answers; used by the host's contract tests."""

import asyncio
import json
import os
from collections.abc import AsyncIterator

import azure.functions as func
from aiohttp import web
from web_extension import Streaming  # type: ignore[import-not-found]

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
_go = asyncio.Event()


@app.route(route="parts/{count:int}", methods=["GET"])
async def parts(req: web.Request) -> Streaming:
    """The first part at once, the others when somebody says so."""

    async def made() -> AsyncIterator[bytes]:
        for number in range(int(req["route"]["count"])):
            yield f"part {number}\n".encode()
            await _go.wait()

    return Streaming(made())


@app.route(route="go", methods=["POST"])
async def go(req: web.Request) -> web.Response:
    _go.set()
    return web.Response(text="gone")


@app.route(route="upload", methods=["POST"])
async def upload(req: web.Request) -> web.Response:
    size = 0
    async for part in req.content.iter_any():
        size += len(part)
    told = {"size": size, "query": dict(req.query), "host": req.headers["Host"], "route": req["route"]}
    return web.Response(text=json.dumps(told), headers={"Set-Cookie": "a=1"})


@app.route(route="fails", methods=["GET"])
async def fails(req: web.Request) -> web.Response:
    raise RuntimeError("a secret of the app")


@app.route(route="crash/{when}", methods=["GET"])
async def crash(req: web.Request) -> Streaming:
    async def made() -> AsyncIterator[bytes]:
        yield b"begun\n"
        await asyncio.sleep(0.2)  # until the host has passed it on
        os._exit(3)

    if req["route"]["when"] == "before":
        os._exit(3)
    return Streaming(made())
