"""The embedded stack: broker, Azurite, issuer and worker, started together, supervised, stopped in order.

What the app is, `mosaic_local.application` tells: any function app, or the product's own (`mosaic_local.stack`).

::

    with EmbeddedStack(Options(app=folder), AnyApp.read(folder, queues=("orders",))) as stack:
        stack.settings["ServiceBusConnection"], stack.api_base_url
        stack.kill_worker()
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

from mosaic_local import azurite, ends, tls
from mosaic_local.application import Application, Places
from mosaic_local.errors import PartError, StackError
from mosaic_local.issuer import Issuer
from mosaic_local.process import Part, ReservedPort, json_answers, python_module
from mosaic_local.signing import AUDIENCE, SigningKey
from mosaic_local.state import ROOT, Secrets, StateFolder, point_to, unpoint, write_private
from mosaic_local.testing import BrokerControl, StackControl, StorageControl

HOST = "127.0.0.1"
ENVIRONMENT = (
    "ServiceBusConnection",
    "ServiceBusAdministrationConnection",
    "EventHubsConnection",
    "TablesConnection",
    "BlobsConnection",
    "ApiBaseUrl",
    "Auth__Issuer",
    "Auth__Audience",
    "Auth__JwksUri",
    "StateDir",
    "CaFile",
)
"""What ``./mosaic env`` shows, in this order."""

_START_SECONDS = 30.0
_STOP_SECONDS = 5.0
_MAX_RESTARTS = 5
_RESTART_WINDOW_SECONDS = 60.0
_WORKER_REFUSED = 2


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


@dataclass(frozen=True, slots=True)
class Options:
    """How to run a stack. ``state_dir`` None: a temporary folder, removed at the end, with storage in memory."""

    app: Path
    """The folder of function_app.py and host.json."""
    state_dir: Path | None = None
    http_port: int = 0
    """0: the OS chooses."""
    app_settings: Mapping[str, str] = field(default_factory=dict)
    """Added to the settings that the stack makes; where a name is the same, these win."""
    with_worker: bool = True
    """False: broker, storage and issuer only, until ``start_worker``."""
    with_storage: bool = True
    """False: without Azurite, for an app that stores nothing."""
    drain_seconds: float = 20.0
    testing: bool = False
    """Whether ``control`` moves time and makes faults."""
    stall_seconds: int = 30
    """For how long the worker may stand still until that counts as a crash."""
    cors: str = ""
    """Origins whose pages may ask the API, separated by commas; ``cors_credentials``: with cookies."""
    cors_credentials: bool = False
    announce: bool = False
    """Whether ``./mosaic env`` and ``token`` find this stack without ``--state``."""
    say: Callable[[str], None] = _say
    """Gets one line for each thing that a person should know."""


class EmbeddedStack:
    """One running stack. A context manager, plain or ``async``; also ``start`` and ``stop``. Methods are thread-safe.

    ``failure`` is set when a part other than the worker ends by itself, or the worker too often; ``wait`` raises it."""

    def __init__(self, options: Options, application: Application) -> None:
        self.options = options
        self.application = application
        self.settings: dict[str, str] = {}
        """What the app is given, with its connection strings."""
        self.failure: StackError | None = None
        self.start_seconds = 0.0
        self._temporary = self.options.state_dir is None
        self._folder: StateFolder | None = None
        self._parts: dict[str, Part] = {}
        self._ports: dict[str, ReservedPort] = {}
        self._issuer: Issuer | None = None
        self._places: Places | None = None
        self._ended = threading.Event()
        self._started = False
        self._failed = False
        self._stopping = False
        self._worker_wanted = False
        self._worker_lock = threading.RLock()
        self._worker_ready = threading.Event()
        self._restarts: deque[float] = deque()
        self._ca_file = Path()

    # -- life ----------------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self.start)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await asyncio.to_thread(self.stop)

    def start(self) -> None:
        """Starts every part; returns when the worker handles messages and requests. Raises StackError, with nothing
        left running."""
        began = time.monotonic()
        try:
            self._start()
        except BaseException as error:
            self._failed = isinstance(error, PartError)
            self.stop()
            raise
        self.start_seconds = time.monotonic() - began

    def stop(self) -> None:
        """Worker first (it drains), then broker and Azurite. Safe to repeat."""
        self._stopping = True
        self._worker_wanted = False
        with self._worker_lock:
            self._stop_parts("worker", seconds=self.options.drain_seconds + _STOP_SECONDS)
        self._stop_parts("broker", "azurite", seconds=azurite.STOP_SECONDS)
        if self._issuer is not None:
            self._issuer.stop()
            self._issuer = None
        for port in self._ports.values():
            port.release()
        self._ports.clear()
        if self._folder is not None:
            if not self._failed:  # where it ended is where the reason is
                unpoint(self._folder.path)
            self._folder.close()
            if self._temporary:
                self._remove(self._folder)
            self._folder = None
        self._ended.set()

    def wait(self, timeout: float | None = None) -> None:
        """Until the stack ends. Raises its failure, and TimeoutError when ``timeout`` seconds passed."""
        if not self._ended.wait(timeout):
            raise TimeoutError
        if self.failure is not None:
            raise self.failure

    # -- what it is ----------------------------------------------------------------------------------------------

    @property
    def state_dir(self) -> Path:
        assert self._folder is not None, "the stack is not running"
        return self._folder.path

    @property
    def api_base_url(self) -> str:
        """Scheme, host and port: ``http://127.0.0.1:7071``."""
        return f"http://{HOST}:{self._ports['http'].port}"

    @property
    def ca_file(self) -> Path:
        """The certificate authority of the broker's administration endpoint, PEM."""
        return self._ca_file

    @property
    def pids(self) -> dict[str, int]:
        """Process ids by part; ``supervisor`` is this process (the issuer lives in it)."""
        return {"supervisor": os.getpid()} | {name: part.pid for name, part in self._parts.items() if part.running}

    @property
    def control(self) -> StackControl:
        """Its time and faults, in a stack for ``testing``."""
        assert self._places is not None, "the stack is not running"
        return StackControl(
            BrokerControl(self._places.administration, self._ca_file),
            StorageControl(self._places.storage) if self.options.with_storage else None,
            self.api_base_url if self._worker_wanted else None,
        )

    def token(self, user: str, *roles: str) -> str:
        """A bearer token of this stack's issuer."""
        assert self._issuer is not None, "the stack is not running"
        return SigningKey.of(self.state_dir).mint(
            self._issuer.url, user, roles, now=time.time() + self._ahead().total_seconds()
        )

    def description(self) -> dict[str, Any]:
        """What stack.json says: ``settings`` for an app, ``environment`` for outside clients, ``processes``."""
        assert self._places is not None, "the stack is not running"
        outside = {**self._places.environment(), **self.settings, "CaFile": str(self._ca_file)}
        return {
            "settings": self.settings,
            "environment": {name: outside[name] for name in ENVIRONMENT},
            "processes": self.pids,
        }

    def _ahead(self) -> timedelta:
        """By how much its time was moved. The broker knows: it lives as long as the stack, and anybody may move it."""
        if not (self.options.testing and self._started):
            return timedelta()
        return self.control.broker.ahead()

    # -- the worker ----------------------------------------------------------------------------------------------

    def kill_worker(self, restart: bool = True) -> None:
        """kill -9, as an outage would. With ``restart`` the supervisor starts it again, as it does after a crash."""
        self._worker_wanted = restart
        self._worker_ready.clear()
        part = self._parts.get("worker")
        if part is not None:
            part.kill()

    def stop_worker(self) -> None:
        """SIGTERM: it drains and ends. Broker and storage go on."""
        self._worker_wanted = False
        self._worker_ready.clear()
        with self._worker_lock:
            self._stop_parts("worker", seconds=self.options.drain_seconds + _STOP_SECONDS)
            self._describe()

    def start_worker(self, app_settings: Mapping[str, str] | None = None) -> None:
        """Starts it where it is not running; ``app_settings`` are added for good. Raises PartError."""
        with self._worker_lock:
            self.settings.update(app_settings or {})
            part = self._parts.get("worker")
            if part is not None and part.running:
                return
            self._worker_wanted = True
            self._launch_worker()
            self._await_worker()

    def restart_worker(self, app_settings: Mapping[str, str] | None = None) -> None:
        """Drains and ends it, then starts it."""
        with self._worker_lock:
            self.stop_worker()
            self.start_worker(app_settings)

    def wait_worker(self, timeout: float = 30.0) -> None:
        """Until the worker handles messages (again). Raises TimeoutError, or the stack's failure."""
        deadline = time.monotonic() + timeout
        while not self._worker_ready.wait(0.1):
            if self.failure is not None:
                raise self.failure
            if time.monotonic() > deadline:
                raise TimeoutError(f"the worker was not ready within {timeout:.0f} s")

    # -- starting ------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        options = self.options
        path = options.state_dir or Path(tempfile.mkdtemp(prefix="mosaic-stack-"))
        folder = StateFolder(path)
        secrets = folder.open()
        self._folder = folder
        ends.forget(folder.logs)
        storage_ports = (("blob", "azurite"), ("table", "azurite")) if options.with_storage else ()
        for name, part in (("http", "worker"), *storage_ports, ("amqp", "broker"), ("admin", "broker")):
            self._ports[name] = ReservedPort(HOST, options.http_port if name == "http" else 0, part)
        # Azurite takes longest, then the worker's imports: both start before anything else is prepared.
        if options.with_storage:
            self._parts["azurite"] = azurite.start(
                None if self._temporary else folder.path / "azurite",
                self._ports["blob"].port,
                self._ports["table"].port,
                secrets,
                folder.logs / "azurite.log",
                self._part_ended,
                testing=options.testing,
            )
        if options.with_worker:
            self._worker_wanted = True
            self._parts["worker"] = self._spawn_worker()
        self._ca_file, certificate, key = tls.ensure(folder.path / "tls")
        console = f"http://{HOST}:{self._ports['http'].port}/api/console"
        # a person may type either name of this machine
        self._issuer = Issuer(
            SigningKey.of(folder.path), redirect_uris=(console, console.replace(HOST, "localhost", 1))
        )
        self._places = self._where(secrets, self._issuer)
        self.settings = {
            "FUNCTIONS_WORKER_RUNTIME": "python",
            **self.application.settings(self._places),
            **options.app_settings,
        }
        self._parts["broker"] = self._spawn_broker(secrets, certificate, key)
        with ThreadPoolExecutor(2) as pool:
            # Azurite answers while the worker loads the app; whichever fails first is told.
            storage = pool.submit(self._prepare)
            self._parts["broker"].answer("ready", _START_SECONDS)
            if options.with_worker:
                self._parts["worker"].send(self._worker_config())
            storage.result()
        if options.with_worker:
            self._parts["worker"].send("go")
            self._await_worker()
        for started in self._parts.values():
            if not started.running:
                raise PartError(started.name, "ended while the stack was starting", started.log)
        self._started = True
        self._describe()
        if options.announce:
            point_to(folder.path)

    def _where(self, secrets: Secrets, issuer: Issuer) -> Places:
        def service_bus(port: str) -> str:
            sas = f"SharedAccessKeyName={secrets.sas_key_name};SharedAccessKey={secrets.sas_key}"
            return f"Endpoint=sb://localhost:{self._ports[port].port};{sas};UseDevelopmentEmulator=true;"

        def storage(*services: str) -> str:
            if not self.options.with_storage:
                return ""
            blob, table = self._ports["blob"].port, self._ports["table"].port
            return azurite.connection_string(secrets, blob, table, *services)

        return Places(
            state_dir=self.state_dir,
            app=self.options.app,
            messaging=service_bus("amqp"),
            administration=service_bus("admin"),
            storage=storage("Blob", "Table"),
            tables=storage("Table"),
            blobs=storage("Blob"),
            api_base_url=self.api_base_url,
            issuer=issuer.url,
            audience=AUDIENCE,
            jwks_uri=issuer.jwks_uri,
        )

    def _spawn_broker(self, secrets: Secrets, certificate: Path, key: Path) -> Part:
        folder = self._folder
        assert folder is not None
        config = {
            "host": HOST,
            "amqpPort": self._ports["amqp"].port,
            "adminPort": self._ports["admin"].port,
            "stateDir": None if self._temporary else str(folder.path / "broker"),
            "certFile": str(certificate),
            "keyFile": str(key),
            "sasKeyName": secrets.sas_key_name,
            "sasKey": secrets.sas_key,
            "testing": self.options.testing,
            "queues": [queue.model_dump(by_alias=True) for queue in self.application.queues(self.settings)],
            "eventHubs": [hub.model_dump(by_alias=True) for hub in self.application.event_hubs()],
        }
        file = folder.path / "broker.json"
        write_private(file, json.dumps(config))
        command = python_module("mosaic_local.broker", "--config", str(file))
        return Part("broker", command, folder.logs / "broker.log", json_answers, None, ROOT, self._part_ended)

    def _prepare(self) -> None:
        self.application.load()
        if self.options.with_storage:
            part = self._parts["azurite"]
            part.answer("table", azurite.READY_SECONDS)
            part.answer("blob", azurite.READY_SECONDS)
        self.application.prepare(self.settings, self.state_dir)

    def _spawn_worker(self) -> Part:
        assert self._folder is not None
        no_proxy = ",".join(
            filter(None, [os.environ.get("NO_PROXY", os.environ.get("no_proxy", "")), "localhost", HOST])
        )
        environment = {"NO_PROXY": no_proxy, "no_proxy": no_proxy}
        command = [sys.executable, "-m", "mosaic_local.host", "--config", "-"]
        app = self.options.app.resolve()
        packages = app / ".python_packages" / "lib" / "site-packages"
        if packages.is_dir():
            # A package runs on what it brings, before anything of this checkout or its environment.
            environment["PYTHONPATH"] = os.pathsep.join(map(str, (packages, app, ROOT)))
            command.insert(1, "-P")
        log = self._folder.logs / "worker.log"
        return Part("worker", command, log, json_answers, environment, ROOT, self._part_ended, farewell="stop")

    def _worker_config(self) -> str:
        return json.dumps(
            {
                "app": str(self.options.app.resolve()),
                "stateDir": str(self.state_dir),
                "settings": self.settings,
                "httpHost": HOST,
                "httpPort": self._ports["http"].port,
                "awaitGo": True,
                "drainSeconds": self.options.drain_seconds,
                "stallSeconds": self.options.stall_seconds,
                "cors": self.options.cors,
                "corsCredentials": self.options.cors_credentials,
                "testing": self.options.testing,
                "aheadSeconds": self._ahead().total_seconds(),
            }
        )

    def _launch_worker(self) -> None:
        part = self._parts["worker"] = self._spawn_worker()
        part.send(self._worker_config())
        part.send("go")

    def _await_worker(self) -> None:
        self._parts["worker"].answer("ready", _START_SECONDS)
        self._worker_ready.set()
        self._describe()

    def _describe(self) -> None:
        if self._folder is not None and not self._stopping:
            self._folder.write_stack(self.description())

    # -- supervising ---------------------------------------------------------------------------------------------

    def _part_ended(self, part: Part, code: int) -> None:
        """On the watching thread of a part that ended by itself."""
        if self._stopping or not self._started:  # while starting, whoever waits for the part is told
            return
        if part.name != "worker":
            how = self._note_end(part, code, "the stack ends: nothing works without it")
            self._fail(PartError(part.name, how, part.log))
            return
        self._worker_ready.clear()
        if not self._worker_wanted:
            return
        refused = False  # it ran: an app may end its process with any code
        with self._worker_lock:
            while self._worker_wanted and not self._stopping and self._parts.get("worker") is part:
                if refused or not self._may_restart():
                    often = "" if refused else f", {_MAX_RESTARTS} times within a minute"
                    words = part.last_words()
                    how = self._note_end(part, code, "the stack ends: it would not stay up")
                    self._fail(PartError("worker", f"{how}{often}{words}", part.log))
                    return
                how = self._note_end(part, code)
                self.options.say(f"worker: {how}; starting it again (log: {part.log})")
                self._launch_worker()
                part = self._parts["worker"]
                try:
                    self._await_worker()
                except PartError as error:
                    self.options.say(str(error))
                    code = part.stop(1.0) or 0
                    refused = code == _WORKER_REFUSED
                else:
                    self.options.say(f"worker: running again, process {part.pid}")
                    return

    def _note_end(self, part: Part, code: int, over: str = "") -> str:
        assert self._folder is not None
        memory = part.out_of_memory
        return ends.note(self._folder.logs, part.name, part.pid, code, part.log, out_of_memory=memory, over=over)

    def _remove(self, folder: StateFolder) -> None:
        """Removes a temporary folder; after a failure its logs stay, since the message names them."""
        if not self._failed:
            shutil.rmtree(folder.path, ignore_errors=True)
            return
        for entry in folder.path.iterdir():
            if entry == folder.logs:
                continue
            if entry.is_dir():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink(missing_ok=True)

    def _may_restart(self) -> bool:
        now = time.monotonic()
        while self._restarts and now - self._restarts[0] > _RESTART_WINDOW_SECONDS:
            self._restarts.popleft()
        self._restarts.append(now)
        return len(self._restarts) <= _MAX_RESTARTS

    def _fail(self, failure: StackError) -> None:
        if self.failure is None and not self._stopping:
            self.failure = failure
            self._failed = True
            self._ended.set()

    def _stop_parts(self, *names: str, seconds: float) -> None:
        parts = [self._parts.pop(name) for name in names if name in self._parts]
        if parts:
            with ThreadPoolExecutor(len(parts)) as pool:
                list(pool.map(lambda part: part.stop(seconds), parts))
