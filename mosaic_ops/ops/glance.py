"""How it is now: `status`, `resources`, `wait`."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from typing import Annotated, Final

import typer

from mosaic_ops.ops import queues, show
from mosaic_ops.ops.api import Json
from mosaic_ops.ops.errors import NOT_SO, OpsError, UnreachableError
from mosaic_ops.ops.here import (
    Here,
    JsonOption,
    app,
    count_depths,
    queues_of,
)
from mosaic_ops.ops.queues import Depth
from mosaic_ops.ops.words import ago, seconds_since

DUE_SECONDS: Final = 60.0
"""A worker that is up leaves no message that is due for longer."""

_POLL_SECONDS: Final = 0.5


class Part(StrEnum):
    WORKER = "worker"
    API = "api"


class Status(StrEnum):
    UP = "up"
    HEALTHY = "healthy"


@app.command(epilog="Example: ./mosaic ops status")
def status(ctx: typer.Context, json: JsonOption = False) -> None:
    """Lanes, dependencies, version: how it is now. Exit 1 where it is not ready."""
    here: Here = ctx.obj
    with ThreadPoolExecutor(2) as pool:
        health, lanes = pool.submit(here.api.health, "ready"), pool.submit(_lanes, here)
        (code, ready), (found, untold) = health.result(), lanes.result()
    named = {lane["lane"]: lane["queue"] for lane in found} or dict(queues.DEFAULT_QUEUES)
    depths, unknown = count_depths(here, named)
    if json:
        by_queue = {depth.queue: depth.json() for depth in depths}
        show.as_json(
            {
                "health": ready,
                "lanes": [{**lane, "depth": by_queue.get(lane["queue"])} for lane in found],
                "depths": [depth.json() for depth in depths],
                "lanesUnknown": untold,
                "depthsUnknown": unknown,
            }
        )
    else:
        show.fields(
            [
                ("status", ready["status"]),
                *((dependency["name"], dependency["state"]) for dependency in ready["dependencies"]),
                ("version", ready["version"]),
                ("commit", ready["commit"]),
                ("package", ready["packageDigest"]),
            ]
        )
        show.line("")
        headings = (
            "lane",
            "active",
            "scheduled",
            "dead",
            "oldest due",
            "state",
            "running",
            "waiting",
            "failed of ended",
        )
        if untold:
            show.table(headings[:5], (_depth_row(depth) for depth in depths))
            show.line(f"runs and signals unknown: {untold}", "yellow")
        else:
            show.table((*headings, "last success", "open signals"), (_lane_row(lane, depths) for lane in found))
        if unknown:
            show.line(f"queue depths unknown: {unknown}", "yellow")
    if code != 200:
        raise typer.Exit(NOT_SO)


def _lanes(here: Here) -> tuple[list[Json], str | None]:
    """The lanes as the tables have them; or why that is not known: storage may be what is down."""
    try:
        lanes: list[Json] = here.api.get("/ops/lanes")["lanes"]
    except UnreachableError as error:
        return [], str(error)
    return lanes, None


def _state(lane: Json) -> str:
    pause = lane.get("pause")  # an app of an earlier version knows none
    return f"paused by {pause['pausedBy']} ({ago(pause['pausedAtUtc'])}): {pause['reason']}" if pause else "at work"


def paused_lanes(here: Here) -> str:
    """What is paused, and by whom; empty where nothing is, or where nobody can be asked."""
    try:
        found = here.api.get("/ops/lanes")["lanes"]
    except UnreachableError:
        return ""
    return "; ".join(f"{lane['lane']} is {_state(lane)}" for lane in found if lane.get("pause"))


def _depth_row(depth: Depth) -> list[object]:
    return [depth.lane, depth.active, depth.scheduled, depth.dead_lettered, ago(depth.oldest_at_utc)]


def _lane_row(lane: Json, depths: list[Depth]) -> list[object]:
    depth = next((one for one in depths if one.queue == lane["queue"]), None)
    recent, signals = lane["recent"], lane["openSignals"]
    ended = recent["completed"] + recent["needsReview"] + recent["failed"]
    counts = _depth_row(depth)[1:] if depth else ["?", "?", "?", "?"]
    more = "+" if signals["isMore"] else ""
    return [
        lane["lane"],
        *counts,
        _state(lane),
        recent["running"],
        recent["waiting"],
        f"{recent['failed']} of {ended}",
        ago(recent["lastSuccessAtUtc"]),
        f"{signals['error']}{more} errors, {signals['warning']}{more} warnings",
    ]


@app.command(epilog="Example: ./mosaic ops resources")
def resources(ctx: typer.Context, json: JsonOption = False) -> None:
    """What it is made of, and the state of each: `aspire resources` of the seed. Exit 1 where a part is down."""
    here: Here = ctx.obj
    rows: list[Json] = []
    for name, process in here.target.processes.items():
        rows.append({"name": name, "kind": "process", "state": _process(process), "detail": str(process)})
    failure: UnreachableError | None = None
    try:
        rows += _of_the_app(here)
    except UnreachableError as error:
        failure = error
        rows.append({"name": "api", "kind": "app", "state": "down", "detail": here.target.base_url})
    if json:
        show.as_json({"resources": rows})
    else:
        show.table(
            ("name", "kind", "state", "detail"), ([row[n] for n in ("name", "kind", "state", "detail")] for row in rows)
        )
    if failure is not None:
        raise failure
    if any(row["state"] == "down" for row in rows):
        raise typer.Exit(NOT_SO)


def _of_the_app(here: Here) -> list[Json]:
    code, ready = here.api.health("ready")
    state = "up" if code == 200 else "down"
    rows = [{"name": "api", "kind": "app", "state": state, "detail": here.target.base_url}]
    rows += [
        {"name": d["name"], "kind": "dependency", "state": d["state"], "detail": ""} for d in ready["dependencies"]
    ]
    if here.target.is_embedded:
        for function in here.api.functions():
            state = "disabled" if function.get("isDisabled") else "up"
            rows.append({"name": function["name"], "kind": "function", "state": state, "detail": _trigger(function)})
    rows += [{"name": q, "kind": "queue", "state": "", "detail": f"lane {lane}"} for lane, q in queues_of(here)]
    return rows


def _trigger(function: Json) -> str:
    bindings = function.get("config", {}).get("bindings") or function.get("bindings") or []
    kinds = [str(one.get("type")) for one in bindings if str(one.get("type", "")).lower().endswith("trigger")]
    return ", ".join(kinds)


def _process(number: int) -> str:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return "down"
    except PermissionError:
        return "up"
    return "up"


@app.command(epilog="Example: ./mosaic ops wait worker --status up --timeout 180")
def wait(
    ctx: typer.Context,
    part: Annotated[Part, typer.Argument(help="Which part.")],
    status: Annotated[
        Status, typer.Option(help="worker up: triggers indexed and enabled, queues reachable, nothing due for long.")
    ] = Status.UP,
    timeout: Annotated[float, typer.Option(min=0, help="Seconds.")] = 180.0,
    json: JsonOption = False,
) -> None:
    """Wait until a part is up or healthy. Exit 1: it answers and is not so by then; 3: it does not answer."""
    here: Here = ctx.obj
    began = time.monotonic()
    while True:
        failure: OpsError | None = None
        try:
            lacking = lacking_of(here, part, status)
        except UnreachableError as error:
            failure, lacking = error, str(error)
        waited = time.monotonic() - began
        if not lacking or waited >= timeout:
            break
        time.sleep(min(_POLL_SECONDS, max(0.0, timeout - waited)))
    if json:
        show.as_json(
            {"part": part, "status": status, "isSo": not lacking, "lacking": lacking, "seconds": round(waited, 1)}
        )
    elif lacking:
        show.line(f"{part} is not {status} after {waited:.0f} s: {lacking}", "red")
    else:
        show.line(f"{part} is {status} ({waited:.1f} s)", "green")
    if lacking:
        raise typer.Exit(failure.code if failure is not None else NOT_SO)


def lacking_of(here: Here, part: Part, status: Status) -> str:
    """What it is not; empty where it is so."""
    if part is Part.API and status is Status.UP:
        here.api.health("live")
        return ""
    code, ready = here.api.health("ready")
    down = [one["name"] for one in ready["dependencies"] if one["state"] != "up"]
    if part is Part.API or (status is Status.HEALTHY and code != 200):
        return f"{', '.join(down) or 'it'} is down" if code != 200 else ""
    if "serviceBus" in down:
        return "its queues are not reachable"
    if here.target.is_embedded:
        triggers = [function for function in here.api.functions() if "serviceBusTrigger" in _trigger(function)]
        disabled = [str(function["name"]) for function in triggers if function.get("isDisabled")]
        if not triggers:
            return "its triggers are not indexed"
        if disabled:
            return f"disabled: {', '.join(disabled)}"
    if paused := paused_lanes(here):
        return paused
    depths, unknown = count_depths(here, dict(queues_of(here)))
    if unknown and here.target.is_embedded:
        return unknown
    old = [depth.lane for depth in depths if depth.oldest_at_utc and seconds_since(depth.oldest_at_utc) > DUE_SECONDS]
    return f"messages are due for more than {DUE_SECONDS:.0f} s on {', '.join(old)}" if old else ""
