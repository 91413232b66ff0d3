"""Child processes of the stack: started, watched, ended; none outlives the supervisor.

Every child holds the read end of a pipe as its stdin and ends when that pipe does, so a supervisor that is killed
leaves nobody behind, on any platform and from whatever thread it started them.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mosaic_local import ends
from mosaic_local.ends import describe_exit, memory_kills
from mosaic_local.errors import PartError

Answer = Mapping[str, Any]
LOG_TAIL_LINES = 20
MAX_LOG_BYTES = 16 * 1024 * 1024
"""A larger log of former runs is put aside when its part starts; one such is kept."""


class Part:
    """One child process. Its stderr goes to ``log``; ``understand`` turns a line of its stdout into an answer, or
    None. ``farewell`` is a line that asks it to stop, beside SIGTERM, which an app may take away from its host."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        understand: Callable[[str], Answer | None],
        environment: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        on_exit: Callable[[Part, int], None] | None = None,
        farewell: str = "",
    ) -> None:
        self.name, self.log, self._farewell = name, log, farewell
        self._understand, self._on_exit = understand, on_exit
        self._answers: list[Answer] = []
        self._changed = threading.Condition()
        self._expected_end = False
        self._output_ended = False
        self._memory_kills = memory_kills()
        log.parent.mkdir(parents=True, exist_ok=True)
        if log.exists() and log.stat().st_size > MAX_LOG_BYTES:
            log.replace(log.with_name(log.name + ".1"))
        with log.open("ab") as errors:
            try:
                self._process = subprocess.Popen(
                    list(command),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    env={**os.environ, **(environment or {})},
                    cwd=cwd,
                    start_new_session=True,  # Ctrl-C reaches the supervisor, which ends its children in order
                    text=True,
                    encoding="utf-8",
                    errors="replace",
                )
            except FileNotFoundError as exc:
                raise PartError(
                    name, f"the program {command[0]!r} is missing; run ./mosaic up, which installs it"
                ) from exc
            except OSError as exc:
                raise PartError(name, f"the program {command[0]!r} cannot be started: {exc.strerror or exc}") from exc
        threading.Thread(target=self._read, name=f"{name}-output", daemon=True).start()
        threading.Thread(target=self._watch, name=f"{name}-watch", daemon=True).start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def out_of_memory(self) -> bool | None:
        """Whether the kernel ended a process of this machine for want of memory since this one began: it may have been
        this one. None where the kernel does not count."""
        now = memory_kills()
        return now > self._memory_kills if now is not None and self._memory_kills is not None else None

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def send(self, line: str) -> None:
        """One line to the child's stdin. A child that is gone is noticed elsewhere."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError, ValueError):
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()

    def answer(self, key: str, timeout: float) -> Answer:
        """The first answer that has ``key``. Raises PartError where it says ``error``, ends, or takes too long."""

        def found() -> Answer | None:
            return next((a for a in self._answers if key in a or "error" in a), None)

        with self._changed:
            self._changed.wait_for(lambda: found() is not None or self._output_ended, timeout)
            answer = found()
        if answer is None and self._output_ended:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(2.0)
            raise PartError(
                self.name, f"ended while starting{_how(self._process.returncode)}{self.last_words()}", self.log
            )
        if answer is None:
            raise PartError(self.name, f"was not ready within {timeout:.0f} s", self.log)
        if "error" in answer:
            raise PartError(self.name, str(answer["error"]), self.log)
        return answer

    def kill(self) -> None:
        """kill -9 of it and all that it started, as an outage would; counts as unexpected."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)  # it leads a session of its own
        self._process.wait(10)

    def stop(self, timeout: float) -> int | None:
        """SIGTERM, then after ``timeout`` seconds SIGKILL. Returns the exit code."""
        self._expected_end = True
        if self.running:
            if self._farewell:
                self.send(self._farewell)
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()
            try:
                self._process.wait(timeout)
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError):
                    self._process.kill()
                self._process.wait(10)
        self._close_stdin()
        return self._process.returncode

    def last_words(self) -> str:
        """The last line that it wrote into its log, for a one-line message."""
        with contextlib.suppress(OSError):
            tail = self.log.read_text("utf-8", "replace").splitlines()[-LOG_TAIL_LINES:]
            lines = [line for line in tail if line.strip() and ends.TELLER not in line]
            if lines:
                return f": {lines[-1].strip()}"
        return ""

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as output, self.log.open("a", encoding="utf-8") as log:
            for line in output:
                answer = self._understand(line)
                if answer is None:
                    log.write(line)
                    log.flush()
                    continue
                with self._changed:
                    self._answers.append(answer)
                    self._changed.notify_all()
        with self._changed:
            self._output_ended = True
            self._changed.notify_all()

    def _close_stdin(self) -> None:
        with contextlib.suppress(OSError):
            if self._process.stdin is not None:
                self._process.stdin.close()

    def _watch(self) -> None:
        code = self._process.wait()
        self._close_stdin()
        if not self._expected_end and self._on_exit is not None:
            self._on_exit(self, code)


def json_answers(line: str) -> Answer | None:
    """A JSON object on a line of its own."""
    if not line.startswith("{"):
        return None
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _how(code: int | None) -> str:
    return "" if code is None else f" ({describe_exit(code)})"


def python_module(module: str, *arguments: str) -> list[str]:
    """The command that runs a module of ours as a child that ends with its supervisor."""
    return [sys.executable, "-m", "mosaic_local.watched", module, *arguments]


class ReservedPort:
    """A free port on loopback that stays ours until a child listens on it.

    On Linux a socket that is bound but does not listen keeps the OS from giving the port to anyone else, and lets a
    child that sets SO_REUSEADDR listen on it; elsewhere the port is merely chosen."""

    def __init__(self, host: str, port: int, what: str) -> None:
        self._socket: socket.socket | None = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            if port:
                self._probe(host, port)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._socket.bind((host, port))
        except OSError as exc:
            self.release()
            raise PartError(what, f"port {port} on {host} is taken or not allowed ({exc.strerror or exc})") from exc
        self.port = int(self._socket.getsockname()[1])
        if sys.platform != "linux":
            self.release()

    @staticmethod
    def _probe(host: str, port: int) -> None:
        # Listening is what tells a taken port: binding alone succeeds beside another reservation.
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            probe.listen(1)

    def release(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
