"""Processes of the stack that ended and were not told to: how, and when, for whoever looks later.

``logs/ends.jsonl`` has one line for each: ``part``, ``process``, ``atUtc``, ``how`` in words, ``signal`` (its name, or
null), ``exitCode`` (or null), ``outOfMemory``: whether the machine was so meanwhile (or null: nobody knows),
``isStackOver``: whether the stack ended with it, and ``log``.
"""

from __future__ import annotations

import contextlib
import json
import signal
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

FILE: Final = "ends.jsonl"
TELLER: Final = " Stack.Supervisor: "
"""In whose name a part's log is told of its end."""

_KEPT: Final = 200


def describe_exit(code: int, *, out_of_memory: bool | None = None) -> str:
    """How a process ended, in words, and what such an end comes of. ``out_of_memory``: whether the machine was so
    meanwhile; None: nobody knows."""
    if code >= 0:
        return f"ended with exit code {code}"
    name = _signal(code) or f"signal {-code}"
    return f"was ended by {name}{_usually(name, out_of_memory)}"


def note(
    logs: Path, part: str, process: int, code: int, log: Path, *, out_of_memory: bool | None, over: str = ""
) -> str:
    """Keeps it, tells the part's own log of it as well, and returns how it ended. ``over`` is why the stack ends with
    it; empty where the part is started again."""
    how, now = describe_exit(code, out_of_memory=out_of_memory), datetime.now(UTC)
    line = {
        "part": part,
        "process": process,
        "atUtc": now.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "how": how,
        "signal": _signal(code),
        "exitCode": code if code >= 0 else None,
        "outOfMemory": out_of_memory,
        "isStackOver": bool(over),
        "log": str(log),
    }
    with contextlib.suppress(OSError):  # a full disk must not keep a worker from being started again
        kept = (logs / FILE).read_text("utf-8").splitlines()[1 - _KEPT :] if (logs / FILE).is_file() else []
        (logs / FILE).write_text("\n".join([*kept, json.dumps(line)]) + "\n", "utf-8")
        with log.open("a", encoding="utf-8") as told:
            when = now.astimezone().strftime("%Y-%m-%d %H:%M:%S,%f")[:-3]
            then = over or "it is started again"
            told.write(f"{when} ERROR{TELLER}the process {process} of {part} {how}; {then}\n")
    return how


def last(logs: Path) -> dict[str, Any] | None:
    """The newest of them."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        found = json.loads((logs / FILE).read_text("utf-8").splitlines()[-1])
        return found if isinstance(found, dict) else None
    return None


def forget(logs: Path) -> None:
    """What ended before this stack began is no reason for anything now; the parts' logs keep it."""
    with contextlib.suppress(OSError):
        (logs / FILE).unlink()


def memory_kills(vmstat: Path = Path("/proc/vmstat")) -> int | None:
    """How many processes of this machine the kernel has ended for want of memory; None where it does not say."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        lines = vmstat.read_text("ascii").splitlines()
        return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), None)
    return None


def _signal(code: int) -> str | None:
    if code >= 0:
        return None
    try:
        return signal.Signals(-code).name
    except ValueError:
        return None


def _usually(name: str, out_of_memory: bool | None) -> str:
    if name == "SIGKILL" and out_of_memory is None:
        return " (kill -9, or the system for want of memory)"
    if name == "SIGKILL":
        return " (the machine ran out of memory meanwhile)" if out_of_memory else " (kill -9; memory was not short)"
    return " (a native library crashed)" if name in {"SIGSEGV", "SIGABRT", "SIGBUS", "SIGILL", "SIGFPE"} else ""
