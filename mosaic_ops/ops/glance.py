"""How it is now: `status`, `resources`, `wait`."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Final

import typer

from mosaic_ops.ops import diagnosis, findings, queues, show
from mosaic_ops.ops.api import Json
from mosaic_ops.ops.errors import NOT_SO, UNREACHABLE, OpsError, UnreachableError
from mosaic_ops.ops.here import (
    Here,
    JsonOption,
    app,
    count_depths,
    queues_of,
)
from mosaic_ops.ops.letters import Letters
from mosaic_ops.ops.queues import Depth
from mosaic_ops.ops.target import is_alive
from mosaic_ops.ops.telling import tell_findings
from mosaic_ops.ops.words import ago, at, seconds_since

NEWEST: Final = 20
"""Runs and signals that are looked at for what fails now."""

LISTED: Final = 100
"""Signals that are looked at for whether somebody took note of a lane's dead letters."""

ENDS_SECONDS: Final = 900.0
"""For so long a process that ended by itself is a finding."""

LONG: Final = (
    "lane",
    "active",
    "scheduled",
    "dead",
    "oldest due",
    "state",
    "running",
    "waiting",
    "failed of ended",
    "last success",
    "open signals",
)
SHORT: Final = ("lane", "state", "active", "later", "dead", "oldest", "failed", "success", "errors")
WIDE: Final = 140
"""Columns of a terminal that `LONG` needs."""

_POLL_SECONDS: Final = 0.5
_STANDS_SECONDS: Final = 2.2
"""Longer than an app lets a bad finding of its health stand."""


class Part(StrEnum):
    WORKER = "worker"
    API = "api"


class Status(StrEnum):
    UP = "up"
    HEALTHY = "healthy"


@app.command(epilog="Example: ./mosaic ops status")
def status(ctx: typer.Context, json: JsonOption = False) -> None:
    """What is wrong, the gravest first; then lanes, dependencies, version. Exit 0 only where all was
    looked at and nothing found, 1 otherwise (also where the app itself is ready), 3 where the app does not answer."""
    here: Here = ctx.obj
    look = _look(here)
    found = findings.of(look.seen)
    if look.away is not None:
        found = [_away(here, look.away), *(one for one in found if not one.what.startswith("worker: "))]
    if json:
        _as_json(look, found)
    else:
        _tell(look, found)
    if look.away is not None:
        raise typer.Exit(UNREACHABLE)
    if not look.is_well(found):
        raise typer.Exit(NOT_SO)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """``untold`` says why the tables' part is not known, ``unknown`` why the depths are not, ``unread`` why the dead
    letters are not."""

    code: int
    seen: findings.Seen
    away: UnreachableError | None
    untold: str | None
    unknown: str | None
    unread: str | None

    def is_well(self, found: Sequence[findings.Finding]) -> bool:
        """Whether all was looked at and nothing found. How deep the queues are is no part of it."""
        return self.code == 200 and not (found or self.untold or self.unread)


def _look(here: Here) -> _Look:
    """Everything that can be asked, side by side: what is away must not hide the rest."""
    with ThreadPoolExecutor(6) as pool:
        health = pool.submit(_health, here)
        lanes, runs, signals, groups = (
            pool.submit(_asked, ask)
            for ask in (
                lambda: here.api.get("/ops/lanes"),
                lambda: here.api.get("/ops/runs", limit=NEWEST)["runs"],
                lambda: here.api.get("/ops/signals", limit=NEWEST)["signals"],
                lambda: [queues.group_of_api(group) for group in Letters(here).api_groups()],
            )
        )
        (found, untold), asked_at = lanes.result(), datetime.now(UTC)
        told = found["lanes"] if found else []
        named = {lane["lane"]: lane["queue"] for lane in told} or dict(queues.DEFAULT_QUEUES)
        depths = pool.submit(count_depths, here, named).result()
        away: UnreachableError | None = None
        code, ready = 0, None
        try:
            code, ready = health.result()
        except UnreachableError as error:
            away = error
        dead, unread = groups.result()
        noted = {group.lane for group in dead or [] if findings.may_be_noted(group, told)}
        seen = findings.Seen(
            resolved=[signal for lane in sorted(noted) for signal in _resolved(here, lane)],
            health=ready,
            lanes=told,
            runs=runs.result()[0] or [],
            signals=signals.result()[0] or [],
            groups=dead or [],
            has_letters=unread is None,
            depths=depths.known,
            silent=depths.silent,
            clock_ahead_seconds=(
                (at(found["asOfUtc"]) - asked_at).total_seconds() if found else here.target.clock_ahead_seconds
            ),
            ends=[end for end in here.target.ends if seconds_since(end["atUtc"]) < ENDS_SECONDS],
        )
    return _Look(code=code, seen=seen, away=away, untold=untold, unknown=depths.unknown, unread=unread)


def _resolved(here: Here, lane: str) -> list[Json]:
    found, _ = _asked(lambda: here.api.get("/ops/signals", state="all", lane=lane, limit=LISTED)["signals"])
    return found or []


def _health(here: Here) -> tuple[int, Json]:
    """Asked once more where a part did not answer in time: one that is busy, or just started, is not away."""
    found = here.api.health("ready")
    if any(part.get("reason") == "no_answer" for part in found[1]["dependencies"]):
        time.sleep(_STANDS_SECONDS)
        found = here.api.health("ready")
    return found


def _asked[T](ask: Callable[[], T]) -> tuple[T | None, str | None]:
    """The answer; or why there is none: storage, the queues or a role may be what is missing."""
    try:
        return ask(), None
    except OpsError as error:
        return None, str(error)


def _away(here: Here, error: UnreachableError) -> findings.Finding:
    dead = [name for name, number in here.target.processes.items() if _process(number) == "down"]
    what = f"the app does not answer; its process is down: {', '.join(dead)}" if dead else "the app does not answer"
    step = diagnosis.of_code("app_away")
    ends = here.target.ends
    how = f"; {findings.how_it_ended(ends[-1])}" if ends else ""
    return findings.Finding(
        what=what, says=step.says, do=step.do, command=step.command, section=step.section, said=f"{error}{how}"
    )


def _as_json(look: _Look, found: list[findings.Finding]) -> None:
    seen = look.seen
    by_queue = {depth.queue: depth.json() for depth in seen.depths}
    show.as_json(
        {
            "isWell": look.is_well(found),
            "findings": [one.json() for one in found],
            "health": seen.health,
            "lanes": [{**lane, "depth": by_queue.get(lane["queue"])} for lane in seen.lanes],
            "depths": [depth.json() for depth in seen.depths],
            "deadLetterGroups": [group.json() for group in seen.groups],
            "lanesUnknown": look.untold,
            "depthsUnknown": look.unknown,
            "deadLettersUnknown": look.unread,
        }
    )


def _tell(look: _Look, found: list[findings.Finding]) -> None:
    ready = look.seen.health
    show.fields([("status", _first_line(look, found))])
    tell_findings(found)
    show.line("")
    _tell_lanes(look)
    noted = sum(group.count for group in look.seen.groups if findings.is_noted(group, look.seen))
    if noted:
        show.prose(f"{noted} dead letters are no finding: what they raised was resolved (./mosaic ops signals --all)")
    for what, why in (("queue depths", look.unknown), ("dead letters", look.unread)):
        if why:
            show.prose(f"{what} unknown: {_why(look, why)}", style="yellow")
    if ready is not None:
        show.line("")
        show.fields(
            [
                *((part["name"], _part_state(part)) for part in ready["dependencies"]),
                ("version", ready["version"]),
                ("commit", ready["commit"]),
                ("package", ready["packageDigest"]),
            ]
        )


def _why(look: _Look, why: str) -> str:
    """Not over again what a finding said."""
    return "the app does not answer" if look.away is not None and why == str(look.away) else why


def _first_line(look: _Look, found: Sequence[findings.Finding]) -> str:
    """Whoever reads no further must not take an app that is ready for one with which all is well."""
    ready = look.seen.health
    how = f"the app itself is {ready['status']}" if ready is not None else "the app does not answer"
    if found:
        return f"NOT WELL; {len(found)} finding{'s, gravest first' if len(found) > 1 else ''}; {how}"
    hidden = [
        what
        for what, why in (("runs and signals", look.untold), ("queues", look.unknown), ("dead letters", look.unread))
        if why
    ]
    state = ready["status"] if ready is not None else "unknown"
    if hidden:
        known = state if hidden == ["queues"] else f"NOT KNOWN; the app itself is {state}"
        return f"{known}; nothing is wrong in what could be seen: {', '.join(hidden)} could not"
    return f"{state}; nothing is wrong"


def _part_state(part: Json) -> str:
    return f"{part['state']} ({part['reason']})" if part.get("reason") else str(part["state"])


def _tell_lanes(look: _Look) -> None:
    seen = look.seen
    if look.untold:
        headings = ("lane", "active", "scheduled", "dead", "oldest due")
        show.table(headings, (_depth_row(depth) for depth in seen.depths))
        show.prose(f"runs and signals unknown: {_why(look, look.untold)}", style="yellow")
        return
    there = show.width()
    if there is not None and there < WIDE:
        show.table(SHORT, (_short_row(lane, seen.depths) for lane in seen.lanes))
    else:
        show.table(LONG, (_lane_row(lane, seen.depths) for lane in seen.lanes))


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


def _short_row(lane: Json, depths: Sequence[Depth]) -> list[object]:
    """Of the columns of `_lane_row` those that a narrow terminal has room for."""
    name, *counts, state, _, _, failed, success, signals = _lane_row(lane, depths)
    held = "paused" if lane.get("pause") else state
    return [name, held, *counts, str(failed).replace(" of ", "/"), success, str(signals).partition(" ")[0]]


def _lane_row(lane: Json, depths: Sequence[Depth]) -> list[object]:
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
    ended = {end["part"]: end for end in here.target.ends}
    for name, process in here.target.processes.items():
        before = f", the one before {ended[name]['how']}, {ago(ended[name]['atUtc'])}" if name in ended else ""
        rows.append({"name": name, "kind": "process", "state": _process(process), "detail": f"{process}{before}"})
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
    return "up" if is_alive(number) else "down"


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
    began, told = time.monotonic(), ""
    while True:
        failure: OpsError | None = None
        try:
            lacking = lacking_of(here, part, status)
        except UnreachableError as error:
            failure, lacking = error, str(error)
        waited = time.monotonic() - began
        if not lacking or waited >= timeout:
            break
        if lacking != told and not json:
            show.aside(f"not yet: {lacking}")
            told = lacking
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
    down = [one["name"] for one in ready["dependencies"] if one["state"] != "up" and one["required"]]
    if part is Part.API or (status is Status.HEALTHY and code != 200):
        return _down(down or ["it"]) if code != 200 else ""
    if queue_parts := [name for name in down if name.startswith("serviceBus")]:
        return f"its queues are not reachable: {_down(queue_parts)}"
    if here.target.is_embedded:
        triggers = [function for function in here.api.functions() if "serviceBusTrigger" in _trigger(function)]
        disabled = [str(function["name"]) for function in triggers if function.get("isDisabled")]
        if not triggers:
            return "its triggers are not indexed"
        if disabled:
            return f"disabled: {', '.join(disabled)}"
    if paused := paused_lanes(here):
        return paused
    depths = count_depths(here, dict(queues_of(here)))
    if depths.unknown and here.target.is_embedded:
        return depths.unknown
    late = findings.DUE_SECONDS
    old = [depth.lane for depth in depths.known if depth.oldest_at_utc and seconds_since(depth.oldest_at_utc) > late]
    return f"messages are due for more than {late:.0f} s on {', '.join(old)}" if old else ""


def _down(names: Sequence[str]) -> str:
    return f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} down"
