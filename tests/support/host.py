"""Starts the embedded host as the stack does: a process of its own, with an app, beside whatever broker there is."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).resolve().parents[2]
APPS = ROOT / "tests" / "support" / "apps"


def until[T](look: Callable[[], T | None], timeout: float = 20.0) -> T:
    """What ``look`` finds; fails where that stays nothing."""
    deadline = time.monotonic() + timeout
    while not (found := look()):
        assert time.monotonic() < deadline, f"nothing within {timeout} s"
        time.sleep(0.05)
    return found


class HostProcess:
    """One process. ``log``: what it and its app print and log, for a person."""

    def __init__(
        self, app: Path, state: Path, settings: Mapping[str, str], packages: Path | None = None, **config: Any
    ) -> None:
        """``packages``: a folder of what the app imports and this environment lacks."""
        state.mkdir(exist_ok=True)
        self.state, self.log = state, state / "worker.log"
        with self.log.open("ab") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "mosaic_local.host", "--config", "-"],
                cwd=ROOT,
                text=True,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
                env={**os.environ, **({"PYTHONPATH": f"{ROOT}{os.pathsep}{packages}"} if packages else {})},
            )
        told = {"app": str(app), "stateDir": str(state), "settings": dict(settings), **config}
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(told) + "\n")
        self.process.stdin.flush()
        self.port = 0

    def ready(self) -> Self:
        """Returns once it is; fails where it refuses."""
        answer = self.answer()
        assert "httpPort" in answer, answer
        self.port = int(answer["httpPort"])
        return self

    def answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        found: dict[str, Any] = json.loads(line) if line else {}
        return found

    def told(self) -> str:
        return self.log.read_text("utf-8", "replace")

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)

    def ask(
        self, path: str, method: str = "GET", body: Any = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Status and body; an iterable body goes in chunks."""
        connection = self.connect()
        try:
            connection.request(method, path, body, dict(headers or {}), encode_chunked=headers is not None)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


@contextmanager
def running_host(
    app: Path, state: Path, settings: Mapping[str, str], packages: Path | None = None, **config: Any
) -> Iterator[HostProcess]:
    host = HostProcess(app, state, settings, packages, **config)
    try:
        yield host.ready()
    finally:
        host.end()
