"""What a test does to its own broker: time and faults, on the administration endpoint, where the config says `testing`.

``PUT /$testing/faults`` (a `Plan`), ``GET /$testing/faults``: {"struck": {fault: times}}. ``POST /$testing/clock``
{"advanceSeconds"}: {"now": ms since 1970, "ahead": ms, by which time was moved, "nextDeadline": ms or null}. ``GET
/$testing/quiet?seconds=…``: the same, when each queue that somebody receives from is empty; 408 names those that are
not by then.
"""

from __future__ import annotations

import asyncio

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mosaic_local.broker.entities import Entities
from mosaic_local.broker.faults import Plan

_LOOK_SECONDS = 0.004


class Advance(BaseModel):
    model_config = ConfigDict(extra="forbid")

    advanceSeconds: float = Field(ge=0, le=10 * 366 * 86_400)  # noqa: N815 - as it is written


class Quiet(BaseModel):
    seconds: float = Field(default=30, ge=0)


def add_routes(app: web.Application, entities: Entities) -> None:
    async def plan(request: web.Request) -> web.Response:
        try:
            entities.faults.follow(Plan.model_validate_json(await request.read()))
        except ValidationError as error:
            return refused(error)
        return struck_so_far()

    async def struck(_: web.Request) -> web.Response:
        return struck_so_far()

    def struck_so_far() -> web.Response:
        return web.json_response({"struck": entities.faults.struck})

    async def clock(request: web.Request) -> web.Response:
        try:
            asked = Advance.model_validate_json(await request.read())
        except ValidationError as error:
            return refused(error)
        entities.advance(round(asked.advanceSeconds * 1000))
        return time_now()

    async def quiet(request: web.Request) -> web.Response:
        loop = asyncio.get_running_loop()
        try:
            asked = Quiet.model_validate(dict(request.query))
        except ValidationError as error:
            return refused(error)
        until = loop.time() + min(asked.seconds, 600)
        while names := [e.shown for e in entities.queues.values() if e.sources[e.main] and e.main.is_at_work]:
            if loop.time() > until:
                return web.json_response({"error": f"at work: {', '.join(names)}"}, status=408)
            await asyncio.sleep(_LOOK_SECONDS)
        return time_now()

    def time_now() -> web.Response:
        deadlines = [at for entity in entities.queues.values() if (at := entity.next_deadline()) is not None]
        return web.json_response(
            {"now": entities.now(), "ahead": entities.ahead, "nextDeadline": min(deadlines, default=None)}
        )

    def refused(error: ValidationError) -> web.Response:
        faults = (f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        return web.json_response({"error": "; ".join(faults)}, status=400)

    app.router.add_put("/$testing/faults", plan)
    app.router.add_get("/$testing/faults", struck)
    app.router.add_post("/$testing/clock", clock)
    app.router.add_get("/$testing/quiet", quiet)
