"""What the app does to each entity of its dependencies, seen from beneath the SDKs while the demo's commands run.

``python -m tests.support.operations`` runs the demo and writes ``mosaic_ops/checks/infra/operations.json``, which the
check of the roles reads. Each Python process of the stack loads `_WATCHER` at its start; in the worker's it notes every
HTTP request and every AMQP link that code of the app, and not the host around it, asks for.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

from mosaic_core.adapters.blobs import CONTAINER
from mosaic_ops.checks.infra.roles import OPERATIONS

ROOT: Final = Path(__file__).resolve().parents[2]

_WATCHER: Final = '''
import importlib.abc, importlib.machinery, json, os, sys

FILE = os.environ.get("MOSAIC_WATCH", "")

def ours():
    """Whether the nearest code of the project's own is the app's."""
    frame = sys._getframe(2)
    while frame is not None:
        name = frame.f_code.co_filename
        if "/mosaic_core/" in name:
            return True
        if "/mosaic_local/" in name:
            return False
        frame = frame.f_back
    return False

def note(**what):
    with open(FILE, "a", encoding="utf-8") as file:
        file.write(json.dumps(what) + "\\n")

def watch_links(module):
    before = module.Link.__init__
    def init(self, session, handle, name=None, role=True, **options):
        before(self, session, handle, name=name, role=role, **options)
        if ours():
            address = options["source_address"] if role else options["target_address"]
            address = getattr(address, "address", address)
            address = address.decode() if isinstance(address, bytes) else str(address)  # a peek's are bytes
            note(link="receiver" if role else "sender", address=address)
    module.Link.__init__ = init

def watch_requests(module):
    before = module.ClientSession._request
    async def request(self, method, url, **options):
        if ours():
            data = options.get("data")
            data = data if isinstance(data, (bytes, str)) else b""
            note(method=method, url=str(url), data=data.decode("utf-8", "replace") if isinstance(data, bytes) else data)
        return await before(self, method, url, **options)
    module.ClientSession._request = request

WATCHED = {
    "azure.servicebus._pyamqp.aio._link_async": watch_links,
    "azure.eventhub._pyamqp.aio._link_async": watch_links,
    "azure.servicebus._pyamqp.link": watch_links,
    "azure.eventhub._pyamqp.link": watch_links,
    "aiohttp.client": watch_requests,
}

class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        watch = WATCHED.get(name)
        spec = importlib.machinery.PathFinder.find_spec(name, path) if watch else None
        if spec is not None:
            execute = spec.loader.exec_module
            def exec_module(module):
                execute(module)
                watch(module)
            spec.loader.exec_module = exec_module
        return spec

if FILE and any("mosaic_local.host" in word for word in sys.orig_argv):
    sys.meta_path.insert(0, Finder())
'''

_TABLES: Final = {
    "GET": "read",
    "POST": "add",
    "PUT": "update",
    "PATCH": "update",
    "MERGE": "update",
    "DELETE": "delete",
}
_BLOBS: Final = {"GET": "read", "HEAD": "read", "PUT": "write", "DELETE": "delete"}


def count() -> dict[str, dict[str, list[str]]]:
    """Runs the demo and returns kind → entity → operations. Raises where the demo does not hold."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "sitecustomize.py").write_text(_WATCHER, "utf-8")
        noted = Path(folder) / "noted.jsonl"
        noted.touch()
        ended = subprocess.run(
            [sys.executable, "-m", "mosaic_ops.cli", "demo"],
            env={**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}", "MOSAIC_WATCH": str(noted)},
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=240,
        )
        if ended.returncode != 0:
            raise AssertionError(ended.stdout[-4000:] + ended.stderr[-2000:])
        return summary(json.loads(line) for line in noted.read_text("utf-8").splitlines())


def summary(noted: Iterable[dict[str, str]]) -> dict[str, dict[str, list[str]]]:
    found: defaultdict[str, defaultdict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for each in noted:
        for kind, entity, operation in _of_link(each) if "link" in each else _of_request(each):
            found[kind][entity].add(operation)
    return {
        kind: {entity: sorted(operations) for entity, operations in sorted(entities.items())}
        for kind, entities in sorted(found.items())
    }


def _of_link(noted: dict[str, str]) -> Iterable[tuple[str, str, str]]:
    """A link to ``$cbs`` presents a token, which takes no right; one to ``…/$management`` takes the right to listen."""
    path = urlsplit(noted["address"]).path.strip("/") if "://" in noted["address"] else noted["address"].strip("/")
    if not path or path.startswith("$"):
        return
    entity, _, rest = path.partition("/")
    kind = "hubs" if entity == "runtime-telemetry-stream" else "queues"
    if rest.lower().startswith(("$management", "$deadletterqueue", "consumergroups")) or noted["link"] == "receiver":
        # a sender names an address of its own as the source of nothing: what counts is where messages come from
        yield kind, entity, "listen"
    else:
        yield kind, entity, "send"


def _of_request(noted: dict[str, str]) -> Iterable[tuple[str, str, str]]:
    """Tables and containers are made by the template: with Stores__CreateTables off the app makes none."""
    url = urlsplit(noted["url"])
    parts = [unquote(part) for part in url.path.split("/") if part]
    if len(parts) < 2:
        return
    if parts[1] == CONTAINER:
        if "container" not in parse_qs(url.query).get("restype", []):
            yield "blobs", CONTAINER, _BLOBS[noted["method"]]
    elif parts[1] == "$batch":
        for method, table in re.findall(r"^(POST|PUT|PATCH|MERGE|DELETE) \S+/(\w+)[( ]", noted["data"], re.MULTILINE):
            yield "tables", table, _TABLES[method]
    elif parts[1] != "Tables" and re.fullmatch(r"[A-Z]\w+(\(.*\))?", parts[1]):
        yield "tables", parts[1].partition("(")[0], _TABLES[noted["method"]]


def main() -> None:
    text = json.dumps({"operations": count()}, indent=2) + "\n"
    OPERATIONS.write_text(text, "utf-8")
    print(text)


if __name__ == "__main__":
    main()
