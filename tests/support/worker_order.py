"""The app in the platform's start order: two folders of packages, the worker's and the app's, in one process.

The worker's own packages come from the package index, in the versions that the 3.13 worker ships; the worker itself is
on no index, and `worker_process` stands in for it."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import grpc
from google.protobuf.wrappers_pb2 import StringValue

from mosaic_local.host import messages
from mosaic_ops.groups import uv

ROOT: Final = Path(__file__).resolve().parents[2]
PLATFORM_LIBRARY: Final = "1.1.1"
"""The worker library that the platform brings: what an app without a pin of its own runs on."""

WORKER_PACKAGES: Final = (
    f"azure-functions-runtime=={PLATFORM_LIBRARY}",
    "azure-functions>=2.3,<3",
    "grpcio~=1.70.0",
    "protobuf~=5.29.0",
)


def install(folder: Path, *wanted: str) -> Path:
    """Packages into a folder of their own, from the package index or its cache."""
    command = [uv(), "pip", "install", "--quiet", "--python", sys.executable, "--target", str(folder), *wanted]
    subprocess.run(command, cwd=ROOT, check=True)
    return folder


def without(folder: Path, *names: str) -> None:
    """The packages' modules and records are gone from the folder."""
    for name in names:
        found = [folder / name, *folder.glob(f"{name.replace('/', '_')}-*.dist-info")]
        assert any(path.exists() for path in found), name
        for path in found:
            shutil.rmtree(path, ignore_errors=True)


def deployed(root: Path) -> Path:
    """The app as a package, with its dependencies. The folder."""
    root.mkdir()
    for name in ("function_app.py", "host.json", "requirements.txt"):
        shutil.copy(ROOT / name, root)
    shutil.copytree(ROOT / "mosaic_core", root / "mosaic_core", ignore=shutil.ignore_patterns("__pycache__"))
    install(packages_of(root), "--requirements", "requirements.txt")
    return root


def packages_of(root: Path) -> Path:
    return root / ".python_packages" / "lib" / "site-packages"


@dataclass(frozen=True, slots=True)
class Ended:
    """What the worker process told, its exit code (negative: the signal that killed it), stderr, and which messages it
    had settled, as (operation, texts of the request)."""

    told: Mapping[str, Any]
    code: int
    stderr: str
    settled: Sequence[tuple[str, list[str]]]


async def run(
    root: Path, worker: Path, settings: Mapping[str, str], *, placeholder: bool, invoke: Sequence[str] = ()
) -> Ended:
    """Start the worker with the host's arguments and its Settlement service, invoke the functions one after the
    other."""
    settled: list[tuple[str, list[str]]] = []
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((_settlement(settled),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    plan = {
        "worker": str(worker),
        "packages": str(packages_of(root)),
        "root": str(root),
        "messages": messages.__file__,
        "placeholder": placeholder,
        "settings": {"PATH": os.environ["PATH"], "AzureWebJobsScriptRoot": str(root), **settings},
        "invoke": list(invoke),
    }
    arguments = {
        "--host": "127.0.0.1",
        "--port": str(port),
        "--workerId": "w",
        "--requestId": "r",
        "--grpcMaxMessageLength": "2147483647",
        "--functions-uri": f"http://127.0.0.1:{port}/",
        "--functions-worker-id": "w",
        "--functions-request-id": "r",
        "--functions-grpc-max-message-length": "2147483647",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-I", "-S", "-X", "no_debug_ranges", str(Path(__file__).with_name("worker_process.py"))),
        *(part for pair in arguments.items() for part in pair),
        env={"PATH": os.environ["PATH"], "WORKER_ORDER": json.dumps(plan)},
        cwd=root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(90):
            said, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        await server.stop(None)
    assert process.returncode is not None
    return Ended(json.loads(said or b"{}"), process.returncode, errors.decode(), settled)


def _settlement(settled: list[tuple[str, list[str]]]) -> grpc.GenericRpcHandler:
    def handler(operation: str) -> grpc.RpcMethodHandler:
        async def settle(request: bytes, _: object) -> bytes:
            settled.append((operation, _texts(request)))
            return b""

        return grpc.unary_unary_rpc_method_handler(settle)

    methods = {operation: handler(operation) for operation in ("Complete", "Abandon", "Deadletter")}
    return grpc.method_handlers_generic_handler("Settlement", methods)


def _texts(request: bytes) -> list[str]:
    """The request's fields as texts: the first is a string, the others are StringValues. Short ones only."""
    texts, at = [], 0
    while at < len(request):
        number, size = request[at] >> 3, request[at + 1]
        assert size < 128, "a longer text has a longer size"
        content = request[at + 2 : at + 2 + size]
        texts.append(content.decode() if number == 1 else StringValue.FromString(content).value)
        at += 2 + size
    return texts
