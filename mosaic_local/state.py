"""The state folder: what survives a restart of the stack, and who is using it now."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import secrets
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from mosaic_local import ends
from mosaic_local.errors import NotRunningError, StateError

STATE_VERSION = 1
ROOT = Path(__file__).resolve().parent.parent
_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
_CHECKOUT = (ROOT / "mosaic").is_file()
UP = "./mosaic up" if _CHECKOUT else "python -m mosaic_local up"
"""What starts a stack here, for a message."""
WORK = ROOT / ".mosaic" if _CHECKOUT else _CACHE / "mosaic-local"
"""What is installed and kept between runs: the checkout's, or the user's where this package is installed by itself."""
POINTER = WORK / "running.json"
"""Says where the stack that ``up`` started last keeps its state."""


@dataclass(frozen=True, slots=True)
class Secrets:
    """Made once per state folder. ``storage_key`` and ``sas_key`` are base64."""

    storage_account: str
    storage_key: str
    sas_key_name: str
    sas_key: str


class StateFolder:
    """A folder that one stack at a time uses. ``open`` takes it, ``close`` gives it back.

    ::

        state.json    version            secrets.json   keys (mode 0600)      stack.json   the running stack
        azurite/ broker/ issuer/ timers/ tls/            logs/  telemetry/      lock
    """

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self._lock: TextIO | None = None

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def stack_file(self) -> Path:
        return self.path / "stack.json"

    def open(self) -> Secrets:
        """Takes the folder, making it where it is missing. Raises StateError: in use, newer version, not a state
        folder."""
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = (self.path / "lock").open("a+")
        except OSError as exc:
            raise StateError(f"the state folder {self.path} cannot be used: {exc.strerror or exc}") from exc
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            raise StateError(f"the state folder {self.path} is in use by another stack{_whose(self.path)}") from None
        self._lock = lock
        try:
            self._check_version()
            return self._secrets()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Gives the folder back. Safe to repeat."""
        if self._lock is not None:
            with contextlib.suppress(FileNotFoundError):
                self.stack_file.unlink()
            self._lock.close()
            self._lock = None

    def write_stack(self, description: Mapping[str, Any]) -> None:
        """Replaces stack.json (mode 0600), which ``read_stack`` of another process reads."""
        write_private(self.stack_file, json.dumps(description, indent=2))

    def _check_version(self) -> None:
        file = self.path / "state.json"
        try:
            version = json.loads(file.read_text("utf-8"))["version"]
        except FileNotFoundError:
            strangers = sorted(p.name for p in self.path.iterdir() if p.name != "lock")
            if strangers:
                raise StateError(
                    f"{self.path} is not empty and no state folder of the stack (it has {strangers[0]!r}); name another"
                ) from None
            write_private(file, json.dumps({"version": STATE_VERSION}))
            return
        except (ValueError, KeyError, TypeError, OSError) as exc:
            raise StateError(f"{file} is not readable ({type(exc).__name__}); name another state folder") from exc
        if not isinstance(version, int) or version > STATE_VERSION:
            raise StateError(
                f"the state folder {self.path} has version {version}, this release knows up to {STATE_VERSION}; "
                "use a newer release or another folder"
            )

    def _secrets(self) -> Secrets:
        file = self.path / "secrets.json"
        try:
            return Secrets(**json.loads(file.read_text("utf-8")))
        except FileNotFoundError:
            made = Secrets(
                storage_account=f"mosaic{secrets.token_hex(6)}",
                storage_key=base64.b64encode(secrets.token_bytes(64)).decode(),
                sas_key_name="RootManageSharedAccessKey",
                sas_key=base64.b64encode(secrets.token_bytes(32)).decode(),
            )
            write_private(file, json.dumps({name: getattr(made, name) for name in Secrets.__slots__}))
            return made
        except (ValueError, TypeError, OSError) as exc:
            raise StateError(f"{file} is not readable ({type(exc).__name__}); name another state folder") from exc


def write_private(path: Path, text: str) -> None:
    """Writes a file that only its owner can read, whole or not at all."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    temporary.replace(path)


def read_stack(state_dir: Path | None = None) -> dict[str, Any]:
    """The running stack's description: of that state folder, else of the one that ``up`` started last in this checkout.

    Raises NotRunningError, which says what is there instead."""
    folder = state_dir or _pointed_at()
    if folder is None:
        raise NotRunningError(f"no stack is running here; start one with {UP}, or name its --state")
    if not _in_use(folder):
        raise NotRunningError(_what_is_there(folder, is_named=state_dir is not None))
    try:
        description: dict[str, Any] = json.loads((folder / "stack.json").read_text("utf-8"))
    except (OSError, ValueError):
        raise NotRunningError(f"the stack on {folder} is still starting or stopping; try again") from None
    return description


def _pointed_at() -> Path | None:
    try:
        return Path(json.loads(POINTER.read_text("utf-8"))["stateDir"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _what_is_there(folder: Path, *, is_named: bool) -> str:
    """Where no stack runs. To start one is advised where one can be started, and nowhere else."""
    whole, held = folder.resolve(), _held(folder)
    if held is None:
        what = f"there is no folder {whole}" if not folder.exists() else f"{whole} is not a folder that can be read"
    elif not held:
        what = f"{whole} is an empty folder"
    elif "state.json" not in held:
        more = ", …" if len(held) > 3 else ""
        what = f"{whole} is no state folder of a stack: it holds {', '.join(held[:3])}{more}"
    else:
        return f"no stack is running on {whole}{_how_it_ended(folder)}; start it again with {UP} --state {whole}"
    if not is_named:
        return f"no stack is running here; start one with {UP}, or name its --state"
    running = _pointed_at()
    if running is not None and _in_use(running):
        return f"{what}; the stack that runs has its state in {running}: leave --state out, or name that folder"
    return f"{what}; --state takes the folder that {UP} --state was given, and none is running here without it"


def _held(folder: Path) -> list[str] | None:
    """Names, what is hidden last; None where it cannot be read."""
    try:
        return sorted((entry.name for entry in folder.iterdir()), key=lambda name: (name.startswith("."), name))
    except OSError:
        return None


def _how_it_ended(folder: Path) -> str:
    last = ends.last(folder / "logs")
    if last is not None and last.get("isStackOver"):
        return (
            f": it ended at {last['atUtc']} with its {last['part']}, whose process {last['how']} (log: {last['log']})"
        )
    if (folder / "stack.json").exists():
        return ": its own process is gone and could not say why (kill -9, or the machine was restarted)"
    return ": it was stopped"


def point_to(state_dir: Path) -> None:
    """Makes this stack the one that other commands of the checkout find."""
    POINTER.parent.mkdir(parents=True, exist_ok=True)
    write_private(POINTER, json.dumps({"stateDir": str(state_dir)}))


def unpoint(state_dir: Path) -> None:
    """Takes that back, unless another stack has done the same since."""
    with contextlib.suppress(OSError, ValueError, KeyError):
        if json.loads(POINTER.read_text("utf-8"))["stateDir"] == str(state_dir):
            POINTER.unlink()


def _in_use(path: Path) -> bool:
    try:
        with (path / "lock").open("r") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _whose(path: Path) -> str:
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        return f" (process {json.loads((path / 'stack.json').read_text('utf-8'))['processes']['supervisor']})"
    return ""


def main(arguments: Sequence[str]) -> int:
    """Prints why no stack runs on that folder (or here), for whoever found none. Exit code 0: one does run."""
    try:
        read_stack(Path(arguments[0]) if arguments else None)
    except NotRunningError as error:
        print(error)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
