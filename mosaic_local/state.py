"""The state folder: what survives a restart of the stack, and who is using it now."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

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

    Raises NotRunningError."""
    if state_dir is None:
        try:
            state_dir = Path(json.loads(POINTER.read_text("utf-8"))["stateDir"])
        except (OSError, ValueError, KeyError, TypeError):
            raise NotRunningError(f"no running stack here; start one with {UP}, or name its --state") from None
    if not _in_use(state_dir):
        raise NotRunningError(f"no stack is running on {state_dir}; start one with {UP}")
    try:
        description: dict[str, Any] = json.loads((state_dir / "stack.json").read_text("utf-8"))
    except (OSError, ValueError):
        raise NotRunningError(f"the stack on {state_dir} is still starting or stopping; try again") from None
    return description


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
