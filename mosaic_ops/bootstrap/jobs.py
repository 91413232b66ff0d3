"""Runs the programs that install things, side by side where asked, and shows how far they are.

Everything goes to standard error: standard output belongs to the command that the user typed.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

_NETWORK_SIGNS = (
    "dns error",
    "name or service not known",
    "temporary failure in name resolution",
    "nodename nor servname",
    "enotfound",
    "eai_again",
    "econnrefused",
    "econnreset",
    "etimedout",
    "network is unreachable",
    "error sending request",
    "connection refused",
    "connection timed out",
    "failed to establish a new connection",
    "network connectivity is disabled",
    "tunnel connection failed",
)


class SetupError(Exception):
    """The environment could not be made.

    `remedy` says what to do; `unreachable` that a package index did not answer.
    """

    def __init__(self, message: str, *, remedy: str = "", unreachable: bool = False) -> None:
        super().__init__(message)
        self.remedy = remedy
        self.unreachable = unreachable


@dataclass
class Job:
    """One program to run. Its output goes to `log`, and is shown only where it fails."""

    title: str
    argv: Sequence[str]
    log: Path
    environ: dict[str, str] = field(default_factory=dict)
    cwd: Path | None = None

    def failure(self, code: int) -> SetupError:
        try:
            text = self.log.read_text(encoding="utf-8", errors="replace")
        except OSError:
            text = ""
        tail = "\n".join(f"    {line}" for line in text.strip().splitlines()[-15:])
        unreachable = any(sign in text.lower() for sign in _NETWORK_SIGNS)
        remedy = (
            "A package index did not answer. Check the network (and proxy settings), then run the command again; what"
            " has been downloaded is kept."
            if unreachable
            else f"The full output is in {self.log}. Run the command again once the cause is gone."
        )
        return SetupError(f"{self.title}: exit code {code}\n{tail}", remedy=remedy, unreachable=unreachable)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class Progress:
    """A line when something starts and one when it ends; meanwhile a clock on a terminal, elsewhere a sign of life."""

    def __init__(self) -> None:
        self._tty = sys.stderr.isatty()
        self._next_sign = time.monotonic() + 20

    def started(self, title: str) -> None:
        if not self._tty:
            say(f"  … {title}")

    def tick(self, running: dict[str, float]) -> None:
        now = time.monotonic()
        text = " · ".join(f"{title} {now - since:.0f} s" for title, since in running.items())
        if self._tty:
            print(f"\r\x1b[2K  … {text}", end="", file=sys.stderr, flush=True)
        elif now >= self._next_sign:
            self._next_sign = now + 20
            say(f"  … still at it: {text}")

    def ended(self, title: str, seconds: float, *, good: bool) -> None:
        clear = "\r\x1b[2K" if self._tty else ""
        say(f"{clear}  {'✓' if good else '✗'} {title} ({seconds:.1f} s)")


def run(jobs: Sequence[Job], *, keep_open: int) -> None:
    """As `failures`, and raises the first of them."""
    for error in failures(jobs, keep_open=keep_open).values():
        raise error


def failures(jobs: Sequence[Job], *, keep_open: int) -> dict[str, SetupError]:
    """Runs `jobs` side by side and waits for all of them, also where one fails: what the others fetched is kept.

    `keep_open` is the lock's file descriptor. The programs inherit it, so that the lock outlives a bootstrap that was
    killed while they still change the environment.

    Returns what failed by the job's title. Raises KeyboardInterrupt after having ended all of them.
    """
    progress = Progress()
    running: dict[str, tuple[Job, subprocess.Popen[bytes], float]] = {}
    failed: dict[str, SetupError] = {}
    with _Interrupts() as interrupts:
        try:
            for job in jobs:
                job.log.parent.mkdir(parents=True, exist_ok=True)
                progress.started(job.title)
                with interrupts.held():  # a program that runs and is not listed yet would be left behind
                    running[job.title] = (job, _start(job, keep_open), time.monotonic())
            while running:
                time.sleep(0.1)
                for title, (job, process, since) in list(running.items()):
                    code = process.poll()
                    if code is None:
                        continue
                    del running[title]
                    progress.ended(title, time.monotonic() - since, good=code == 0)
                    if code != 0:
                        failed[title] = job.failure(code)
                if running:
                    progress.tick({title: since for title, (_, _, since) in running.items()})
        finally:
            for _, process, _ in running.values():
                _end(process)
    return failed


def _start(job: Job, keep_open: int) -> subprocess.Popen[bytes]:
    with job.log.open("wb") as log:
        try:
            # A group of its own: Ctrl-C reaches the program once, from us, and its children with it.
            return subprocess.Popen(
                list(job.argv),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **job.environ},
                cwd=job.cwd,
                pass_fds=(keep_open,),
                start_new_session=True,
            )
        except OSError as error:
            raise SetupError(f"{job.title}: {job.argv[0]} could not be started: {error}") from error


def _end(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            continue
        return


class _Interrupts:
    """SIGTERM and SIGHUP end the programs as Ctrl-C does, instead of leaving them behind."""

    def __init__(self) -> None:
        self._before: dict[int, Any] = {}
        self._holding = False
        self._came = False

    def __enter__(self) -> Self:
        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        self._before = {number: signal.signal(number, self._interrupt) for number in numbers}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """What comes meanwhile interrupts at the end. (A mask would do as well, but the programs would inherit it.)"""
        self._holding = True
        try:
            yield
        finally:
            self._holding = False
        if self._came:
            raise KeyboardInterrupt

    def _interrupt(self, _number: int, _frame: object) -> None:
        self._came = True
        if not self._holding:
            raise KeyboardInterrupt
