"""The host: listeners, settlement and HTTP on its own loop; the worker on the main thread's."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta

from mosaic_local.host.clock import MovableClock
from mosaic_local.host.config import HostConfig, HostJson
from mosaic_local.host.cors import Cors
from mosaic_local.host.errors import HostError
from mosaic_local.host.functions import Function, ServiceBusTrigger, TimerTrigger, read_functions
from mosaic_local.host.guard import Guard, left_in_hand
from mosaic_local.host.http import HttpServer
from mosaic_local.host.intake import Bounds, body_bytes
from mosaic_local.host.invocations import Invoker
from mosaic_local.host.servicebus import ServiceBusListener
from mosaic_local.host.settlement import Settlement
from mosaic_local.host.timers import TIMERS, TimerListener
from mosaic_local.host.worker import Worker

log = logging.getLogger("Host.General")

EXIT_DRAINED = 0
EXIT_REFUSED = 2
"""The configuration or the app is at fault: starting again would change nothing."""
EXIT_TIMEOUT = 70
"""An invocation outlived functionTimeout: the process ends with all that is in flight, as the platform kills its
worker."""
EXIT_STALLED = 71
"""An event loop stood still: the process ends as after a crash, and is started again."""
EXIT_CRASHED = 72
"""The app ended the process; it is started again."""

ABANDON_SECONDS = 3.0
_DEBUG_SETTING = "PYTHON_ENABLE_DEBUG_LOGGING"


class Host:
    """Runs one function app. All methods but ``request_stop`` belong to the host's loop.

    ``on_end`` is called once, with the exit code, when the process should end."""

    def __init__(
        self,
        config: HostConfig,
        worker_loop: asyncio.AbstractEventLoop,
        on_end: Callable[[int], None],
        guard: Guard | None = None,
    ) -> None:
        self._config, self._worker_loop, self._on_end = config, worker_loop, on_end
        self._guard = guard or Guard()
        self._guard.writes_to(config.state_dir)
        self._loop = asyncio.get_running_loop()
        self._worker = Worker(config.app, worker_loop)
        self._settlement = Settlement()
        self._functions: list[Function] = []
        self._queues: dict[str, ServiceBusListener] = {}
        self._timers: dict[str, TimerListener] = {}
        self._ending = False
        self.state = "Initializing"
        self._host_json = HostJson.load(config.app / "host.json", os.environ)
        timeout = self._host_json.function_timeout
        self._invoker = Invoker(
            self._worker,
            timeout.total_seconds() if timeout else None,
            self._host_json.log_results,
            self._timed_out,
        )
        bounds = Bounds(
            body_bytes=body_bytes(os.environ),
            concurrent=self._host_json.max_concurrent_requests,
            outstanding=self._host_json.max_outstanding_requests,
        )
        cors = Cors.parse(config.cors, config.cors_credentials)
        clock = MovableClock(timedelta(seconds=config.ahead_seconds)) if config.testing else None
        self._http = HttpServer(self, self._invoker, self._host_json.route_prefix, bounds, cors, self._guard, clock)
        self.http_port = 0
        self.settlement_port = 0

    # -- what the admin endpoints see ----------------------------------------------------------------------------

    @property
    def functions(self) -> Iterable[Function]:
        return self._functions

    def is_listening(self, function: Function) -> bool:
        if function.disabled or self.state != "Running":
            return False
        listener = self._queues.get(function.name) or self._timers.get(function.name)
        return listener.listening if listener is not None else True

    async def catch_up(self) -> Mapping[str, datetime]:
        """Lets the timers run that fell due when time was moved; returns when each is due next, by function."""
        await asyncio.gather(*(timer.catch_up() for timer in self._timers.values()))
        return {name: due for name, timer in self._timers.items() if (due := timer.due) is not None}

    def run_timer(self, function: Function) -> None:
        listener = self._timers.get(function.name)
        if listener is None:  # disabled: the platform runs it by hand all the same
            assert isinstance(function.trigger, TimerTrigger)
            listener = TimerListener(function, function.trigger, self._config.state_dir, self._invoker)
        listener.run_now()

    # -- life ----------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Loads the app and opens everything, without firing a trigger. Raises HostError."""
        self._set_log_levels()
        try:
            self.http_port = await self._http.start(self._config.http_host, self._config.http_port)
        except OSError as exc:
            raise HostError(
                f"HTTP port {self._config.http_port} on {self._config.http_host} cannot be used: {exc.strerror or exc}"
            ) from exc
        self.settlement_port = await self._settlement.start(self._config.http_host)
        load = asyncio.run_coroutine_threadsafe(
            self._worker.load(self._config.http_host, self.settlement_port), self._worker_loop
        )
        metadata = await asyncio.wrap_future(load)
        self._functions = read_functions(metadata, self._host_json, os.environ)
        if self._worker.http_uri:
            try:
                await self._http.forward_to(self._worker.http_uri)
            except TimeoutError:
                raise HostError(
                    f"the web server of the app's HTTP extension does not answer at {self._worker.http_uri}"
                ) from None
        for function in self._functions:
            if function.disabled:
                log.warning("function %s is disabled by an app setting", function.name)
            elif isinstance(function.trigger, ServiceBusTrigger):
                self._queues[function.name] = ServiceBusListener(
                    function, function.trigger, self._host_json, self._invoker, self._settlement, self._guard
                )
            elif isinstance(function.trigger, TimerTrigger):
                self._timers[function.name] = TimerListener(
                    function, function.trigger, self._config.state_dir, self._invoker, self._guard
                )
        await asyncio.gather(*(listener.open() for listener in self._queues.values()))

    def _set_log_levels(self) -> None:
        """host.json filters what the worker's root logger lets through, which is INFO and above as on the platform."""
        levels = [self._host_json.log_level(""), *self._host_json.log_levels.values()]
        debug = os.environ.get(_DEBUG_SETTING, "").lower() in ("1", "true", "t", "yes", "y")
        root = max(min(levels), logging.DEBUG if debug else logging.INFO)
        logging.getLogger().setLevel(root)
        if any(level > root for level in levels):
            for handler in logging.getLogger().handlers:
                handler.addFilter(self._wanted)

    def _wanted(self, record: logging.LogRecord) -> bool:
        """Whether its category's level lets a record through: what a function logs has ``Function.<name>.User``."""
        category = record.name
        if not category.startswith("Host."):
            function = self._worker.current_function()
            category = f"Function.{function}.User" if function else category
        return record.levelno >= self._host_json.log_level(category)

    def go(self) -> None:
        """Lets every trigger fire."""
        self.state = "Running"
        left = left_in_hand(self._config.state_dir)
        self._abandoning = asyncio.create_task(self._abandon_left(left))
        self._http.serve(self._functions)
        for queue in self._queues.values():
            queue.start()
        for name, timer in self._timers.items():
            timer.start(crashed=(TIMERS, name) in left)
        log.info("host running: %d functions, HTTP on port %d", len(self._functions), self.http_port)

    async def _abandon_left(self, left: list[tuple[str, str]]) -> None:
        """The messages that the process before this one had in hand when it crashed."""
        for queue in self._queues.values():
            tokens = [token for name, token in left if name == queue.name]
            if tokens:
                await queue.abandon(tokens)

    def request_stop(self) -> None:
        """From any thread or signal handler: drain, then end with 0."""
        self._loop.call_soon_threadsafe(self._begin_stop)

    def _begin_stop(self) -> None:
        if not self._ending:
            self._ending = True
            self._stopping = asyncio.create_task(self._stop())

    async def _stop(self) -> None:
        """Receives nothing more, gives what is in flight its time, hands the rest back."""
        self.state = "Stopping"
        log.info("host stopping: %d invocations in flight", self._invoker.in_flight)
        try:
            async with asyncio.timeout(self._config.drain_seconds):
                await asyncio.gather(
                    *(queue.stop() for queue in self._queues.values()),
                    *(timer.stop() for timer in self._timers.values()),
                )
                while self._invoker.in_flight:  # noqa: ASYNC110 - counted on the host's loop only
                    await asyncio.sleep(0.02)
                await self._http.stop()  # last: a request in flight keeps its connection, a new one gets 503
        except TimeoutError:
            log.warning(
                "%d invocations did not end within %.0f s; their messages are handed back",
                self._invoker.in_flight,
                self._config.drain_seconds,
            )
            await self._abandon()
        await self._settlement.stop()
        self._on_end(EXIT_DRAINED)

    def _timed_out(self, function: str, invocation_id: str) -> None:
        if self._ending:
            return
        self._ending = True
        self.state = "Error"
        log.error(
            "Timeout value of %s exceeded by function 'Functions.%s' (Id: '%s'). "
            "The worker is ended with all that is in flight.",
            self._host_json.function_timeout,
            function,
            invocation_id,
        )
        self._stopping = asyncio.create_task(self._kill(EXIT_TIMEOUT))

    def worker_stalled(self) -> None:
        """From any thread: the worker's loop stands still. Hands back what is in flight, then ends with 71."""
        self._loop.call_soon_threadsafe(self._begin_kill)

    def worker_exited(self) -> None:
        """From the worker's thread: its loop ended. Fails what is in flight, hands it back, then ends with 72."""
        self._loop.call_soon_threadsafe(self._begin_exit)

    def _begin_exit(self) -> None:
        self._ending = True
        self.state = "Error"
        self._stopping = asyncio.create_task(self._fail_all())

    async def _fail_all(self) -> None:
        try:
            async with asyncio.timeout(ABANDON_SECONDS):
                self._worker.fail_all()
                await asyncio.gather(*(queue.halt() for queue in self._queues.values()))
                while self._invoker.in_flight:  # noqa: ASYNC110 - counted on this loop only
                    await asyncio.sleep(0.02)
                await self._settlement.abandon_all()
                await self._http.stop()
        except TimeoutError:
            log.warning("not every message in flight could be handed back; their locks run out by themselves")
        self._on_end(EXIT_CRASHED)

    def _begin_kill(self) -> None:
        if not self._ending:
            self._ending = True
            self.state = "Error"
            self._stopping = asyncio.create_task(self._kill(EXIT_STALLED))

    async def _kill(self, code: int) -> None:
        # Nothing more comes in before all is handed back, or this dying process would be given it again.
        await self._abandon()
        self._on_end(code)

    async def _abandon(self) -> None:
        try:
            async with asyncio.timeout(ABANDON_SECONDS):
                await asyncio.gather(*(queue.halt() for queue in self._queues.values()))
                await self._settlement.abandon_all()
        except TimeoutError:
            log.warning("not every message in flight could be handed back; their locks run out by themselves")
