"""Work in the background of the app: none without a reason that is written here.

What runs beside its caller may go on writing after the caller is done, has failed, or was cut off. So several things at
once are `mosaic_core.concurrency`'s `together` and `each`, which end all of them before they return, and each other way
to begin or leave work is found here, unless `ALLOWED` says why it does no harm.
"""

import ast
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

FOLDER: Final = "mosaic_core"

_CALLS: Final[Mapping[str, str]] = {
    "gather": "leaves the siblings of a failed one running: use together or each",
    "create_task": "begins a task that may outlive its caller",
    "ensure_future": "begins a task that may outlive its caller",
    "run_coroutine_threadsafe": "begins a task that may outlive its caller",
    "shield": "leaves its work running where the caller is cut off",
    "as_completed": "leaves running what is not waited for",
}
_WAIT: Final = "leaves running what is not waited for, where it returns with the first"
_RENAMED: Final = "asyncio under another name"

_WHY: Final = {
    **_CALLS,
    "wait": _WAIT,
    "Task": _CALLS["create_task"],
    _RENAMED: "hides from this check what is called: import asyncio as itself",
}

ALLOWED: Final[Mapping[tuple[str, str, str], str]] = {
    ("mosaic_core/concurrency.py", "together", "create_task"): "of a task group, which ends them all",
    ("mosaic_core/bootstrap.py", "Container.finish", "gather"): (
        "with return_exceptions it waits for all: each link is closed whatever becomes of the others"
    ),
    ("mosaic_core/bootstrap.py", "drain_on_terminate.begin", "create_task"): (
        "the process ends: it waits for the last delivery and closes the links"
    ),
    ("mosaic_core/bootstrap.py", "drain_at_exit", "run_coroutine_threadsafe"): (
        "the interpreter ends: it waits for the last delivery and closes the links"
    ),
    ("mosaic_core/services/delivery/lane.py", "_attend", "ensure_future"): (
        "the lane's own task, so that a drain or a lost lease ends the lane and not the delivery; waited for there"
    ),
    ("mosaic_core/computing.py", "compute", "shield"): "a thread cannot be cut off: it is told to stop, and waited for",
    ("mosaic_core/services/drain.py", "Drain.pause", "ensure_future"): "waited for, both of them, before it returns",
    ("mosaic_core/services/drain.py", "Drain.pause", "wait"): "what is left is cancelled and waited for",
    ("mosaic_core/services/lease.py", "Lease.hold.start", "create_task"): (
        "renews beside the lane; let_go ends it before the delivery goes on"
    ),
    ("mosaic_core/services/lease.py", "Lease._renew_for_ever", "ensure_future"): (
        "a renewal that is cut off leaves its ETag unknown; waited for there"
    ),
    ("mosaic_core/services/lease.py", "Lease._renew_for_ever", "shield"): "as above",
    ("mosaic_core/agents/model/model_agent.py", "ModelAgent._runtime", "create_task"): (
        "loads the model's client once for all turns; writes nothing"
    ),
    ("mosaic_core/agents/model/model_agent.py", "ModelAgent._runtime", "shield"): (
        "one turn that is cut off does not end the loading for the others"
    ),
    ("mosaic_core/adapters/identity.py", "KeySet.find", "shield"): "one caller that leaves does not end the fetch",
    ("mosaic_core/adapters/identity.py", "KeySet.look", "shield"): "as above",
    ("mosaic_core/services/health.py", "HealthService._look", "create_task"): (
        "a probe that does not end when it is cut off may not hold up the answer; it only reads, and is not begun twice"
    ),
    ("mosaic_core/services/pauses.py", "Pauses.of", "create_task"): (
        "one read of a lane's pause for all deliveries; they wait a second for it at most, and it writes nothing"
    ),
    ("mosaic_core/adapters/identity.py", "KeySet._refresh", "create_task"): (
        "one fetch of the issuer's keys for all callers; writes nothing"
    ),
    ("mosaic_core/adapters/servicebus.py", "_Namespace.start", "create_task"): (
        "one send for all that wait on the link, and closing what was given up; close waits for both"
    ),
    ("mosaic_core/adapters/eventhubs.py", "EventHubsPublisher._start", "create_task"): (
        "telemetry delays no command; close ends it"
    ),
}
"""(file, place within it, call) → why. Each is there: one that is not any more is a finding as well."""


def problems(root: Path, allowed: Mapping[tuple[str, str, str], str] = ALLOWED) -> list[str]:
    """One line for each call that nothing allows, and for each permission that nothing uses."""
    files = sorted((root / FOLDER).rglob("*.py"))
    found: list[str] = []
    used: set[tuple[str, str, str]] = set()
    for path in files:
        name = path.relative_to(root).as_posix()
        for line, place, call in in_source(path.read_text(encoding="utf-8")):
            if (name, place, call) in allowed:
                used.add((name, place, call))
            else:
                where = f" in {place}" if place else ""
                found.append(f"{name}:{line}: {call}{where}: {_WHY[call]}")
    found += [
        f"{file}: {place} has no {call} any more: drop its permission" for file, place, call in allowed.keys() - used
    ]
    return found


def in_source(text: str) -> Iterator[tuple[int, str, str]]:
    """Line number, place (``Class.method.inner``, empty at the top) and call, of each way to begin or leave work."""
    yield from _within(ast.parse(text).body, "")


def _within(nodes: Iterable[ast.AST], place: str) -> Iterator[tuple[int, str, str]]:
    for node in nodes:
        inner = place
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                inner = f"{place}.{node.name}".lstrip(".")
            case ast.ImportFrom(module="asyncio"):
                # under a name of its own it could not be told from anybody's function
                yield from ((node.lineno, place, alias.name) for alias in node.names if alias.name in _WHY)
            case ast.Import(names=names) if any(alias.name == "asyncio" and alias.asname for alias in names):
                yield node.lineno, place, _RENAMED
            case ast.Call(func=ast.Attribute(attr="Task", value=ast.Name(id="asyncio"))):
                yield node.lineno, place, "Task"
            case ast.Attribute(attr=attribute) if attribute in _CALLS and _is_asyncio(node):
                yield node.lineno, place, attribute
            case ast.Call(func=ast.Attribute(attr="wait"), keywords=keywords) if any(map(_returns_early, keywords)):
                yield node.lineno, place, "wait"
            case _:
                pass
        yield from _within(ast.iter_child_nodes(node), inner)


def _is_asyncio(node: ast.Attribute) -> bool:
    """A task is made by loops and by the module; the other words are the module's alone."""
    if node.attr in ("create_task", "ensure_future"):
        return True
    return isinstance(node.value, ast.Name) and node.value.id == "asyncio"


def _returns_early(keyword: ast.keyword) -> bool:
    return keyword.arg == "return_when" and not ast.unparse(keyword.value).endswith("ALL_COMPLETED")
