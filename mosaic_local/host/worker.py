"""Drives the real Python worker library on the main thread's event loop."""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import azure_functions_runtime as runtime
from azure_functions_runtime.otel import otel_manager, update_opentelemetry_status
from azure_functions_runtime.utils.executor import invocation_id_cv

from mosaic_local.host.errors import AppLoadError
from mosaic_local.host.messages import (
    PROTOS,
    FunctionLoadRequest,
    InvocationRequest,
    InvocationResponse,
    ParameterBinding,
    RpcFunctionMetadata,
    RpcTraceContext,
    StatusResult,
    TypedData,
    WorkerInitRequest,
)

_HOST_VERSION = "4.0.0"
_MAX_MESSAGE_BYTES = 2**31 - 1


class WorkerExitedError(Exception):
    """The app ended its process while a function ran."""

    def __init__(self) -> None:
        super().__init__("the worker's process ended")


class Worker:
    """The worker library and the app that it loaded. ``load`` and the app run on ``loop``; ``invoke`` is called from
    the host's."""

    def __init__(self, app: Path, loop: asyncio.AbstractEventLoop) -> None:
        self._app, self._loop = app, loop
        self._tasks: set[asyncio.Task[None]] = set()
        self._request_ids = itertools.count(1)
        self._names: dict[str, str] = {}
        self._invoked: dict[str, str] = {}
        self._answers: set[asyncio.Future[InvocationResponse]] = set()
        self._exited = False
        self.http_uri = ""
        """Where an extension's web server takes HTTP requests; "": they come as invocations."""

    def current_function(self) -> str | None:
        """The function that the caller's code runs in, on whatever thread; None outside of one."""
        invocation_id = invocation_id_cv.get()
        return self._invoked.get(invocation_id) if invocation_id else None

    async def load(self, settlement_host: str, settlement_port: int) -> list[RpcFunctionMetadata]:
        """Imports function_app.py and indexes it; on the worker's loop. Raises AppLoadError."""
        # What an app that settles by gRPC reads; the platform's worker is started with the same arguments.
        sys.argv[1:] = [
            "--host",
            settlement_host,
            "--port",
            str(settlement_port),
            "--functions-grpc-max-message-length",
            str(_MAX_MESSAGE_BYTES),
        ]
        sys.path.insert(0, str(self._app))
        os.chdir(self._app)
        runtime.start_threadpool_executor()
        # As on the platform with the worker's own telemetry on: the invocation's trace context is current while the
        # function runs.
        otel_manager.set_otel_libs_available(True)
        update_opentelemetry_status()
        init = await runtime.worker_init_request(
            self._wrap(worker_init_request=WorkerInitRequest(_HOST_VERSION, str(self._app)))
        )
        self._check(init.result)
        self.http_uri = str(init.capabilities.get("HttpUri", ""))
        found = await runtime.functions_metadata_request(self._wrap())
        self._check(found.result)
        functions: list[RpcFunctionMetadata] = list(found.function_metadata_results or ())
        if not functions:
            raise AppLoadError(without_functions(self._app))
        for function in functions:
            loaded = await runtime.function_load_request(
                self._wrap(function_load_request=FunctionLoadRequest(function.function_id, function))
            )
            self._check(loaded.result)
        self._names = {function.function_id: function.name for function in functions}
        return functions

    async def invoke(
        self,
        invocation_id: str,
        function_id: str,
        parameter: str,
        data: TypedData,
        trigger_metadata: dict[str, TypedData] | None = None,
        trace: RpcTraceContext | None = None,
    ) -> InvocationResponse:
        """Runs one function and returns what the worker answers. Raises WorkerExitedError, and nothing for what the
        function does else. Cancelled, it cancels the function."""
        if self._exited:
            raise WorkerExitedError
        request = InvocationRequest(
            invocation_id=invocation_id,
            function_id=function_id,
            input_data=[ParameterBinding(parameter, data)],
            trigger_metadata=trigger_metadata or {},
            trace_context=trace or RpcTraceContext(),
        )
        home = asyncio.get_running_loop()
        answer: asyncio.Future[InvocationResponse] = home.create_future()
        self._answers.add(answer)
        answer.add_done_callback(self._answers.discard)

        begun: list[asyncio.Task[None]] = []

        def start() -> None:
            # A task of its own per invocation: the worker attaches the trace context to it.
            task = self._loop.create_task(run())
            begun.append(task)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        async def run() -> None:
            # The library sets it for functions on threads only.
            invocation_id_cv.set(invocation_id)
            self._invoked[invocation_id] = self._names.get(function_id, "")
            try:
                response = await runtime.invocation_request(self._wrap(invocation_request=request))
                home.call_soon_threadsafe(_resolve, answer, response, None)
            except Exception as exc:
                home.call_soon_threadsafe(_resolve, answer, None, exc)
            except BaseException:  # it ends this loop, and with it whatever else is in flight
                home.call_soon_threadsafe(_resolve, answer, None, WorkerExitedError())
                raise
            finally:
                self._invoked.pop(invocation_id, None)

        self._loop.call_soon_threadsafe(start)
        try:
            return await answer
        except asyncio.CancelledError:
            self._loop.call_soon_threadsafe(lambda: [task.cancel() for task in begun])
            raise

    def fail_all(self) -> None:
        """On the host's loop: the worker's has ended; no invocation comes to an end by itself."""
        self._exited = True
        for answer in list(self._answers):
            _resolve(answer, None, WorkerExitedError())

    def _wrap(self, **message: Any) -> SimpleNamespace:
        return SimpleNamespace(
            request=SimpleNamespace(request_id=str(next(self._request_ids)), **message),
            properties={"host": "127.0.0.1", "protos": PROTOS},
        )

    def _check(self, result: StatusResult) -> None:
        if result.status is not StatusResult.Success:
            told = does_not_load(self._app, result.exception.message, result.exception.stack_trace)
            raise AppLoadError(told, result.exception.stack_trace)


def without_functions(app: Path) -> str:
    """Why an app that loads has no functions, in one line."""
    script = os.environ.get("PYTHON_SCRIPT_FILE_NAME") or "function_app.py"
    if (app / script).is_file():
        return f"{app / script} has no functions: those of a blueprint need app.register_functions"
    if any(app.glob("*/function.json")):
        return (
            f"the functions in {app} are described by function.json, the v1 model, which is not imitated by the "
            "embedded host: decorate them in a function_app.py, the v2 model"
        )
    return f"there is no {script} in {app}"


def does_not_load(app: Path, message: str, trace: str) -> str:
    """An exception at import, in one line: with where in the app it was raised, and what to do about a module that is
    not there."""
    # The library appends advice about the cloud and its whole sys.path; the log has them.
    message = message.partition(" Cannot find module. Please check")[0].removesuffix(".")
    places = re.findall(rf'File "{re.escape(str(app))}/([^"\n]+)", line (\d+)', trace)
    place = f" ({places[-1][0]}, line {places[-1][1]})" if places and "line " not in message else ""
    install = (
        "; what the app's requirements.txt names has to be installed where the stack runs, or in its "
        ".python_packages/lib/site-packages"
        if message.startswith("ModuleNotFoundError")
        else ""
    )
    return f"the function app does not load: {message}{place}{install}"


def _resolve(
    answer: asyncio.Future[InvocationResponse], response: InvocationResponse | None, error: BaseException | None
) -> None:
    if answer.done():  # the host gave it up
        return
    if response is not None:
        answer.set_result(response)
    else:
        answer.set_exception(error or RuntimeError("the worker gave no answer"))
