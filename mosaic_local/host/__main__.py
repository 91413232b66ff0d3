"""``python -m mosaic_local.host --config FILE`` (``-``: the first line of stdin).

Prints one JSON line on stdout: ``{"ready": true, "httpPort", "settlementPort", "functions"}`` or ``{"error": "one
line"}``. Ends when stdin reaches its end (whoever started it is gone), on SIGTERM (drained, 0), on a refusal (2), on
functionTimeout (70), where an event loop stands still (71), where the app ends its process (72).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import faulthandler
import json
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, TextIO

_BEGAN = time.monotonic()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m mosaic_local.host")
    parser.add_argument("--config", required=True, help="a JSON file, or - for the first line of stdin")
    arguments = parser.parse_args()
    from mosaic_local.host.guard import start

    guard = start()
    # The app's own prints must not mix with what the supervisor reads: they go to the log, this channel stays ours.
    report = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    orders = _own_stdin()

    from mosaic_local.host.config import HostConfig
    from mosaic_local.host.errors import HostError
    from mosaic_local.host.host import EXIT_REFUSED  # heavy imports, while the supervisor starts the other parts

    try:
        text = orders.readline() if arguments.config == "-" else Path(arguments.config).read_text("utf-8")
        config = HostConfig.from_json(text)
    except (HostError, OSError) as exc:
        return _refuse(report, str(exc), EXIT_REFUSED)
    return _Process(config, report, guard, orders).run()


def _own_stdin() -> TextIO:
    """What the supervisor writes. The app's stdin is empty: it would take our lines, and a process that it forks waits
    for ever for the lock of a stdin that a thread of ours reads (multiprocessing closes it first)."""
    orders = os.fdopen(os.dup(0), encoding="utf-8")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return orders


def _refuse(report: TextIO, message: str, code: int, details: str = "") -> int:
    print(f"host: {message}", file=sys.stderr)
    if details:
        print(details, file=sys.stderr)
    with contextlib.suppress(OSError):
        print(json.dumps({"error": message}), file=report)
    return code


class _Process:
    """The process around the host: its two loops, signals, and end."""

    def __init__(self, config: Any, report: TextIO, guard: Any, orders: TextIO) -> None:
        self._config, self._report, self._guard, self._orders = config, report, guard, orders
        self._worker_loop = asyncio.new_event_loop()
        self._host_loop = asyncio.new_event_loop()
        self._host: Any = None
        self._exit = 0
        self._process_id = os.getpid()
        self._stop_requested = False
        self._ended = threading.Event()
        self._wakeup: tuple[socket.socket, socket.socket] | None = None

    def run(self) -> int:
        from mosaic_local.telemetry import Telemetry

        # A developer's own shell must not send what runs here to a real Application Insights.
        os.environ.pop("PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY", None)
        os.environ.update(self._config.settings)
        os.environ.setdefault("AZURE_FUNCTIONS_ENVIRONMENT", "Development")
        telemetry = Telemetry(self._config.state_dir / "telemetry")
        telemetry.install()
        _quieten()
        asyncio.set_event_loop(self._worker_loop)
        # Set before the app loads: a handler that the app installs may chain to this one, and need not.
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)
        self._guard_forks()
        thread = threading.Thread(target=self._run_host, name="host", daemon=True)
        thread.start()
        try:
            self._worker_loop.run_forever()
            if not self._ended.is_set():
                self._worker_exited(RuntimeError("the app stopped the event loop"))
        except (SystemExit, KeyboardInterrupt) as exc:  # the app's, in a function or a signal's handler
            self._worker_exited(exc)
        telemetry.close()
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        # Not sys.exit: threads of the app or an SDK must not hold up a process that has nothing left to do.
        os._exit(self._exit)

    def _worker_exited(self, exc: BaseException) -> None:
        """The app ends the process that it runs in; on the platform that is the worker's alone."""
        from mosaic_local.host.host import ABANDON_SECONDS, EXIT_CRASHED

        if self._host is None:
            os._exit(EXIT_CRASHED)
        logging.getLogger("Host.General").error("The app ended its process: %s: %s", type(exc).__name__, exc)
        self._host.worker_exited()
        self._ended.wait(ABANDON_SECONDS + 1)
        self._exit = self._exit or EXIT_CRASHED

    def _guard_forks(self) -> None:
        """What ends a process that the app forked (multiprocessing ends its pools so) must not stop the host by the
        wake-up socket that the two share: not even between the fork and the child's first line."""
        ours, held = (signal.SIGTERM, signal.SIGINT), threading.local()

        def hold() -> None:
            held.mask = signal.pthread_sigmask(signal.SIG_BLOCK, ours)

        def let_go() -> None:
            signal.pthread_sigmask(signal.SIG_SETMASK, held.mask)

        def in_child() -> None:
            self._leave_signals()
            let_go()

        os.register_at_fork(before=hold, after_in_parent=let_go, after_in_child=in_child)

    def _leave_signals(self) -> None:
        """In the child: its end must not wait for a handler of Python's either, which is not called while a lock is
        waited for."""
        signal.set_wakeup_fd(-1)
        for number, default in ((signal.SIGTERM, signal.SIG_DFL), (signal.SIGINT, signal.default_int_handler)):
            if signal.getsignal(number) == self._on_signal:  # and not the app's own
                signal.signal(number, default)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() == self._process_id:
            self._request_stop()
            return
        signal.signal(number, signal.SIG_DFL)  # a process that the app forked, by a handler of its own
        os.kill(os.getpid(), number)

    def _request_stop(self) -> None:
        self._stop_requested = True
        if self._host is not None:
            self._host.request_stop()

    def _watch_signals(self) -> None:
        """The host stops on SIGTERM whatever handler the app has put in the place of ours: the interpreter writes each
        signal's number to a socket before any handler runs."""
        ours, theirs = self._wakeup = socket.socketpair()
        for end in (ours, theirs):
            end.setblocking(False)
        before: list[int] = []

        def arrived() -> None:
            numbers = ours.recv(64)
            if before[0] >= 0:  # an event loop's, for handlers that were added to it
                os.write(before[0], numbers)
            if signal.SIGTERM in numbers or signal.SIGINT in numbers:
                self._request_stop()

        def install() -> None:
            before.append(signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False))
            self._host_loop.call_soon_threadsafe(self._host_loop.add_reader, ours, arrived)

        self._worker_loop.call_soon_threadsafe(install)  # on the main thread

    def _run_host(self) -> None:
        asyncio.set_event_loop(self._host_loop)
        self._host_loop.create_task(self._main())
        self._host_loop.run_forever()

    async def _main(self) -> None:
        from mosaic_local.host.errors import AppLoadError, HostError
        from mosaic_local.host.host import EXIT_REFUSED, Host
        from mosaic_local.host.watchdog import Watchdog

        lines = _lines(self._orders, self._host_loop, self._request_stop)
        try:
            host = Host(self._config, self._worker_loop, self._end, self._guard)
            self._host = host
            await host.start()
        except HostError as exc:
            details = exc.details if isinstance(exc, AppLoadError) else ""
            self._end(_refuse(self._report, str(exc), EXIT_REFUSED, details))
            return
        except Exception as exc:
            logging.getLogger("Host.Startup").exception("the host could not start")
            self._end(_refuse(self._report, f"{type(exc).__name__}: {exc}", 1))
            return
        if self._config.await_go:
            print(json.dumps({"loaded": True}), file=self._report)
            if await lines.get() is None:
                return
        host.go()
        self._watch_signals()
        if self._stop_requested:
            host.request_stop()
        ready = {
            "ready": True,
            "httpPort": host.http_port,
            "settlementPort": host.settlement_port,
            "functions": [function.name for function in host.functions],
            "seconds": round(time.monotonic() - _BEGAN, 3),
        }
        print(json.dumps(ready), file=self._report)
        loops = {"worker": self._worker_loop, "host": self._host_loop}
        Watchdog(loops, self._config.stall_seconds).start(self._stalled)

    def _stalled(self, name: str) -> None:
        """On the watchdog's thread."""
        from mosaic_local.host.host import ABANDON_SECONDS, EXIT_STALLED

        # Before the log: what stands still may hold the log's lock.
        end = threading.Timer(ABANDON_SECONDS + 1 if name == "worker" else 1.0, os._exit, (EXIT_STALLED,))
        end.daemon = True
        end.start()
        logging.getLogger("Host.General").error(
            "The event loop of the %s has stood still for %d s. The process ends with all that is in flight.",
            name,
            self._config.stall_seconds,
        )
        faulthandler.dump_traceback(sys.stderr)  # says where it stands
        self._host.worker_stalled()

    def _end(self, code: int) -> None:
        self._exit = code
        self._ended.set()
        self._worker_loop.call_soon_threadsafe(self._worker_loop.stop)
        # An app that blocks its loop must not keep the process alive.
        self._host_loop.call_later(2.0, os._exit, code)


def _lines(orders: TextIO, loop: asyncio.AbstractEventLoop, stop: Callable[[], None]) -> asyncio.Queue[str | None]:
    """The supervisor's lines but for ``stop``, which asks for that. Their end means that whoever started this process
    is gone: then so are we, at once."""
    lines: asyncio.Queue[str | None] = asyncio.Queue()

    def read() -> None:
        for line in orders:
            if line.strip() == "stop":
                stop()
            else:
                loop.call_soon_threadsafe(lines.put_nowait, line.strip())
        os._exit(3)

    if not orders.isatty():
        threading.Thread(target=read, name="stdin", daemon=True).start()
    return lines


def _quieten() -> None:
    """Libraries that log each frame, request or invocation at INFO."""
    for name in ("azure.servicebus", "azure.eventhub", "azure.core", "azure.functions", "aiohttp", "grpc", "asyncio"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("aiohttp.server").addFilter(without_contents)


def without_contents(record: logging.LogRecord) -> bool:
    """aiohttp refuses what is no HTTP with a traceback that quotes it: perhaps a part of somebody's token."""
    from aiohttp.http_exceptions import HttpProcessingError

    if record.exc_info and isinstance(record.exc_info[1], HttpProcessingError):
        record.levelno, record.levelname = logging.WARNING, "WARNING"
        record.msg, record.args, record.exc_info = "a request that is no HTTP was refused", (), None
    return True


if __name__ == "__main__":
    sys.exit(main())
