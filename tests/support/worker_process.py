"""A stand-in for the platform's Python worker, in its start order: run with the arguments that the host gives.

The real one is a proxy that comes with packages of its own (gRPC, protobuf, the worker library) and lets go of them
once it knows the app: their modules are forgotten, the app's folder comes first from then on, and the worker library is
imported anew, from wherever it is found first. What is native code and loaded stays loaded. In a placeholder the worker
is started before there is an app; its settings and folder come later, in a reload.

``WORKER_ORDER`` is the plan as JSON: ``worker`` and ``packages`` (folders), ``root`` (the app's), ``placeholder``,
``settings``, ``invoke`` (names of functions: an HTTP one gets a GET, a queue's a text that is no JSON). Prints one line
of JSON. Imports nothing of this checkout but one file by its path.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import json
import os
import sys
import tempfile
import uuid
from types import ModuleType, SimpleNamespace
from typing import Any

PLAN = json.loads(os.environ.pop("WORKER_ORDER"))
REPORT = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # what the app prints is no part of the report


def messages() -> ModuleType:
    spec = importlib.util.spec_from_file_location("worker_messages", PLAN["messages"])
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["worker_messages"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def forget(folder: str) -> None:
    """As the worker does: the folder is on the path no more, and what was imported from it is as if it had not been."""
    sys.path[:] = [entry for entry in sys.path if entry != folder]
    sys.path_importer_cache.pop(folder, None)
    # all of their places first: a namespace package's are told by its parent
    places = {
        name: [getattr(module, "__file__", None), *(getattr(module, "__path__", None) or ())]
        for name, module in list(sys.modules.items())
    }
    for name, found in places.items():
        if any(isinstance(place, str) and place.startswith(folder) for place in found):
            del sys.modules[name]


def put_the_app_first() -> ModuleType:
    worker, packages, root = PLAN["worker"], PLAN["packages"], PLAN["root"]
    forget(worker)
    sys.path.insert(0, worker)
    forget(packages)
    sys.path.insert(0, packages)
    sys.path.append(root)
    return importlib.import_module("azure_functions_runtime")


class Reload:
    """FunctionEnvironmentReloadRequest and its response."""

    def __init__(self, **fields: Any) -> None:
        self.capabilities: dict[str, str] = {}
        self.__dict__.update(fields)


async def main() -> None:
    worker, packages, root = PLAN["worker"], PLAN["packages"], PLAN["root"]
    for folder in (packages, root):
        forget(folder)
    forget(worker)
    sys.path.insert(0, worker)
    grpc: Any = importlib.import_module("grpc")
    own: Any = importlib.import_module("google.protobuf.struct_pb2")
    kept = own.Struct(fields={"of": own.Value(string_value="the worker")})
    arguments = dict(zip(sys.argv[1::2], sys.argv[2::2], strict=True))
    channel = grpc.insecure_channel(f"{arguments['--host']}:{arguments['--port']}")
    grpc.channel_ready_future(channel).result(timeout=10)
    found: Any = messages()
    protos = found.PROTOS
    protos.FunctionEnvironmentReloadResponse = Reload

    def wrap(**message: Any) -> Any:
        request = SimpleNamespace(request_id=uuid.uuid4().hex, **message)
        return SimpleNamespace(request=request, properties={"host": "127.0.0.1", "protos": protos})

    def succeeded(result: Any) -> None:
        if result.status is not found.StatusResult.Success:
            raise RuntimeError(f"{result.exception.message[:2000]}\n{result.exception.stack_trace[-2000:]}")

    if PLAN["placeholder"]:
        library: Any = importlib.import_module("azure_functions_runtime")
        library.start_threadpool_executor()
        init = found.WorkerInitRequest("4.0", tempfile.mkdtemp())
        succeeded((await library.worker_init_request(wrap(worker_init_request=init))).result)
        library = put_the_app_first()
        library.start_threadpool_executor()
        reload = Reload(environment_variables=PLAN["settings"], function_app_directory=root)
        answer = await library.function_environment_reload_request(wrap(function_environment_reload_request=reload))
    else:
        os.environ.update(PLAN["settings"])
        library = put_the_app_first()
        library.start_threadpool_executor()
        answer = await library.worker_init_request(wrap(worker_init_request=found.WorkerInitRequest("4.0", root)))
    succeeded(answer.result)
    listed = await library.functions_metadata_request(wrap())
    succeeded(listed.result)
    functions = {function.name: function for function in listed.function_metadata_results}
    for function in functions.values():
        load = found.FunctionLoadRequest(function.function_id, function)
        succeeded((await library.function_load_request(wrap(function_load_request=load))).result)
    told = []
    for name in PLAN["invoke"]:
        told.append([name, *await invoked(library, wrap, found, functions[name])])
    texts: Any = importlib.import_module("google.protobuf")
    # an app's package that speaks protobuf; the worker goes on with the messages that it had
    new: Any = importlib.import_module("google.protobuf.struct_pb2")
    new.Struct(fields={"of": new.Value(string_value="the app")}).SerializeToString()
    again = own.Struct.FromString(kept.SerializeToString())
    again.fields["more"].list_value.values.add().string_value = "x"
    assert again.fields["of"].string_value == "the worker"
    assert [value.WhichOneof("kind") for value in again.fields.values()]
    again.CopyFrom(kept)
    print(
        json.dumps(
            {
                "library": importlib.import_module("azure_functions_runtime.version").VERSION,
                "functions": sorted(functions),
                "told": told,
                "grpc": importlib.import_module("grpc").__version__,
                "protobuf": texts.__version__,
                "own": [grpc.__version__, own.__file__],
            }
        ),
        file=REPORT,
        flush=True,
    )
    os._exit(0)


async def invoked(library: Any, wrap: Any, found: Any, function: Any) -> tuple[bool, str]:
    """Whether it succeeded; the answer's status and body, or the exception."""
    [trigger] = [binding for raw in function.raw_bindings if (binding := json.loads(raw))["type"].endswith("Trigger")]
    metadata = {}
    if trigger["type"] == "httpTrigger":
        data = found.TypedData(
            http=found.RpcHttp(method="GET", url="http://localhost/", body=found.TypedData(bytes=b""))
        )
    else:
        data = found.TypedData(string="this is no JSON")
        fields = {"MessageId": "m-1", "DeliveryCount": 1, "SequenceNumber": 5, "EnqueuedTimeUtc": "2026-11-29T10:00:00"}
        fields |= {"ApplicationProperties": {}, "UserProperties": {}}
        metadata = {name: found.TypedData(json=json.dumps(value)) for name, value in fields.items()}
        metadata["LockToken"] = found.TypedData(string=str(uuid.uuid4()))
    request = found.InvocationRequest(
        invocation_id=uuid.uuid4().hex,
        function_id=function.function_id,
        input_data=[found.ParameterBinding(trigger["name"], data)],
        trigger_metadata=metadata,
        trace_context=found.RpcTraceContext(trace_parent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    )
    response = await library.invocation_request(wrap(invocation_request=request))
    if response.result.status is not found.StatusResult.Success:
        return False, response.result.exception.message
    value = response.return_value
    return True, f"{value.http.status_code} {value.http.body.bytes.decode()}" if value is not None else ""


asyncio.run(main())
