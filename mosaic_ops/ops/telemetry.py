"""The embedded stack's logs and telemetry, as it keeps them: files that are read from their end."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from mosaic_ops.ops.errors import OpsError, UsageError

PARTS: Final = {"worker": "worker", "api": "worker", "broker": "broker", "azurite": "azurite"}
"""Whose log is in which file: API and worker are one process there, as on a deployment they are one app."""

SERVICES: Final = {"worker": "MosaicMoney.Worker", "api": "MosaicMoney.Api"}
API_LOGGERS: Final = (
    "mosaic_core.entrypoints.http",
    "mosaic_core.services.enqueue",
    "mosaic_core.services.operators",
    "mosaic_core.services.replay",
)
_RECORD: Final = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} ([A-Z]+) ")
"""How a line begins that is a record of its own."""

_BLOCK: Final = 64 * 1024

type Line = dict[str, Any]


def log_tail(state: Path, part: str, count: int, level: str = "DEBUG") -> list[str]:
    """The newest lines of a part's log of a level or above, oldest first; with each what belongs to it, such as a stack
    trace."""
    if part not in PARTS:
        raise UsageError(f"no part is called {part!r}; there are {', '.join(PARTS)}")
    file = state / "logs" / f"{PARTS[part]}.log"
    if not file.is_file():
        raise OpsError(f"{part} has no log yet ({file})")
    return list(reversed([line for line, _ in zip(_of_level(_backwards(file), level), range(count), strict=False)]))


def is_of_level(said: str, level: str) -> bool:
    """Whether a record's level is that or above it. One that nobody knows is shown."""
    found = logging.getLevelNamesMapping().get(said.upper(), logging.CRITICAL)
    return found >= logging.getLevelNamesMapping()[level]


def _of_level(lines: Iterable[str], level: str) -> Iterator[str]:
    """``lines`` come newest first. What is no record of its own belongs to the one before it, and is always shown: a
    crash writes past the logging."""
    belonging: list[str] = []
    for line in lines:
        belonging.append(line)
        begun = _RECORD.match(line)
        if begun is None:
            continue
        if len(belonging) > 1 or is_of_level(begun[1], level):
            yield from belonging
        belonging = []
    yield from belonging


def log_lines(state: Path, service: str, count: int, asked: str | None = None) -> list[Line]:
    """The newest log records of a service, oldest first; those that name the id, where one is asked for."""
    known(service)
    return _newest(state, "logs.jsonl", count, asked, lambda line: _is_of(line, service))


def spans(state: Path, service: str | None, count: int, asked: str | None = None) -> list[Line]:
    """The newest spans of a service (None: of any), oldest first."""
    wanted = SERVICES[known(service)] if service is not None else None
    return _newest(
        state, "spans.jsonl", count, asked, lambda line: wanted is None or line.get("service.name") == wanted
    )


def traces(state: Path, service: str, count: int, asked: str | None = None) -> list[Line]:
    """The newest traces that the service has a part in, newest first: each with what began it, its services, spans,
    duration and whether any of it failed."""
    wanted = SERVICES[known(service)]
    found: dict[str, list[Line]] = {}
    ids = {str(line["traceId"]) for line in spans(state, None, 10_000, asked)} if asked else None
    for line in _lines(state, "spans.jsonl"):
        trace_id = str(line.get("traceId"))
        if ids is None or trace_id in ids:
            found.setdefault(trace_id, []).append(line)
            # a trace's spans end close together: a few more than are asked for hold all of the newest
            if len(found) > 2 * count + 50:
                break
    told = [trace_of(trace_id, its) for trace_id, its in found.items() if any(s["service.name"] == wanted for s in its)]
    told.sort(key=lambda trace: str(trace["startTime"]), reverse=True)
    return told[:count]


def trace_of(trace_id: str, its: list[Line]) -> Line:
    ordered = sorted(its, key=lambda span: str(span["startTime"]))
    named = {name: value for span in reversed(ordered) for name, value in span.get("attributes", {}).items()}
    return {
        "traceId": trace_id,
        "name": ordered[0]["name"],
        "services": sorted({str(span["service.name"]) for span in ordered}),
        "startTime": ordered[0]["startTime"],
        "endTime": max(str(span["endTime"]) for span in ordered),
        "spans": len(ordered),
        "failed": sum(span.get("status") == "ERROR" for span in ordered),
        "commandId": named.get("commandId"),
        "runId": named.get("runId"),
    }


def known(service: str) -> str:
    if service not in SERVICES:
        raise UsageError(f"no service is called {service!r}; there are {', '.join(SERVICES)}")
    return service


def _is_of(line: Line, service: str) -> bool:
    """A log record names no service: the API's are those of a request."""
    of_api = "route" in line or str(line.get("logger", "")).startswith(API_LOGGERS)
    return of_api == (service == "api")


def _newest(state: Path, name: str, count: int, asked: str | None, keep: Callable[[Line], bool]) -> list[Line]:
    found = []
    for line in _lines(state, name, asked):
        if keep(line):
            found.append(line)
            if len(found) == count:
                break
    return found[::-1]


def _lines(state: Path, name: str, asked: str | None = None) -> Iterator[Line]:
    """JSON Lines, newest first, over the file and the one before it."""
    folder = state / "telemetry"
    if not (folder / name).is_file():
        raise OpsError(f"there is no telemetry yet ({folder / name})")
    for file in (folder / name, folder / f"{name}.1"):
        if not file.is_file():
            continue
        for text in _backwards(file):
            if asked is not None and asked not in text:
                continue
            try:
                line = json.loads(text)
            except ValueError:  # being written
                continue
            if isinstance(line, dict):
                yield line


def _backwards(file: Path) -> Iterator[str]:
    """A file's lines from its end, a block at a time: the newest of a large one cost no more than of a small one."""
    with file.open("rb") as opened:
        position = opened.seek(0, 2)
        rest = b""
        while position > 0:
            size = min(_BLOCK, position)
            position -= size
            opened.seek(position)
            first, *lines = (opened.read(size) + rest).split(b"\n")
            for line in reversed(lines):
                if line.strip():
                    yield line.decode("utf-8", "replace")
            rest = first
        if rest.strip():
            yield rest.decode("utf-8", "replace")
