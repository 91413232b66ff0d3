"""Azurite: Table and Blob Storage of the embedded stack, a Node process."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from mosaic_local.errors import PartError
from mosaic_local.process import Answer, Part
from mosaic_local.state import UP, WORK, Secrets

READY_SECONDS = 30.0
STOP_SECONDS = 8.0
VERSION = "3.37.0"
"""As package.json pins it; a test holds the two together."""
_MINIMUM_NODE = 22
INSTALL = f"run {UP}" if UP.startswith("./") else "run python -m mosaic_local install"
# Ends Azurite as SIGTERM would when its supervisor is gone, so that it still writes its state.
_FOLLOW_SUPERVISOR = (
    "process.stdin.on('close', () => { process.kill(process.pid, 'SIGTERM');"
    " setTimeout(() => process.exit(3), 5000).unref(); }).resume().unref();"
    " require(process.argv[1]);"
)
_PREPARE = Path(__file__).with_name("azurite_start.cjs")
_TESTING = Path(__file__).with_name("azurite_testing.cjs")
_LISTENING = re.compile(r"Azurite (Blob|Table) service is successfully listening at http://[^:]+:(\d+)")


def locate() -> tuple[str, Path]:
    """Node, and Azurite's start script, as ``./mosaic`` or ``python -m mosaic_local install`` installed them. Raises
    PartError."""
    folder = WORK / "azurite"
    script = folder / "node_modules" / "azurite" / "dist" / "src" / "azurite.js"
    if not script.is_file():
        raise PartError("azurite", f"is not installed; {INSTALL}, which installs it")
    try:
        node: str | None = str(json.loads((folder / "installed.json").read_text("utf-8"))["node"])
    except (OSError, ValueError, KeyError, TypeError):
        node = shutil.which("node")
    if node is None or shutil.which(node) is None:
        raise PartError("azurite", f"Node is missing; {INSTALL}, which installs it")
    return node, script


def install() -> Path:
    """Puts Azurite into the user's cache, by npm. No package's install script runs. Returns the folder. Raises
    PartError where Node or npm is missing or too old, and where npm fails."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise PartError("azurite", f"needs Node {_MINIMUM_NODE} or later with npm; install it, then repeat this")
    told = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=20, check=False).stdout.strip()
    if not told.startswith("v") or int(told[1:].split(".")[0]) < _MINIMUM_NODE:
        raise PartError("azurite", f"needs Node {_MINIMUM_NODE} or later; this machine's is {told or 'not usable'}")
    folder = WORK / "azurite"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "package.json").write_text(json.dumps({"private": True, "dependencies": {"azurite": VERSION}}), "utf-8")
    options = ("--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=warn")
    done = subprocess.run([npm, "install", *options], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
        raise PartError("azurite", f"npm could not install azurite {VERSION}: {''.join(last)}")
    (folder / "installed.json").write_text(json.dumps({"node": node, "version": VERSION}), "utf-8")
    return folder


def start(
    folder: Path | None,
    blob_port: int,
    table_port: int,
    secrets: Secrets,
    log: Path,
    on_exit: Callable[[Part, int], None],
    *,
    prepared: bool = True,
    rows: Path | None = None,
    testing: bool = False,
) -> Part:
    """Starts it; data in ``folder``, or in memory where that is None. Ready when it answers ``table`` and ``blob``.

    ``prepared``: by ``azurite_start.cjs``, so that it looks rows up as Table Storage does; else it is as it comes, and
    looks through whole tables. ``rows``: what its tables hold from the start, as ``azurite_rows.cjs`` has it.
    ``testing``: whether a `StorageControl` moves its clock and makes faults."""
    node, script = locate()
    prepare = f"require({json.dumps(str(_PREPARE))})(process.argv[1]);" if prepared else ""
    if testing:
        beside = "(name) => require(require('node:path').join(require('node:path').dirname(process.argv[1]), name))"
        prepare = f"require({json.dumps(str(_TESTING))})({beside});" + prepare
    place = ["--location", str(folder)] if folder is not None else ["--inMemoryPersistence"]
    if folder is not None:
        folder.mkdir(exist_ok=True)
    command = [
        node,
        "-e",
        prepare + _FOLLOW_SUPERVISOR,
        "--",
        str(script),
        "--silent",
        "--skipApiVersionCheck",
        "--disableTelemetry",
    ]
    command += ["--blobPort", str(blob_port), "--tablePort", str(table_port), "--queuePort", "0", *place]
    environment = {
        "AZURITE_ACCOUNTS": f"{secrets.storage_account}:{secrets.storage_key}",
        "NODE_COMPILE_CACHE": str(WORK / "cache" / "node"),  # Node 22 and later; ignored by older ones
    }
    if rows is not None:
        environment["MOSAIC_AZURITE_ROWS"] = str(rows)
    return Part("azurite", command, log, understand, environment, log.parent, on_exit)


def understand(line: str) -> Answer | None:
    """``{"table": port}`` or ``{"blob": port}`` once that service listens."""
    match = _LISTENING.search(line)
    return {match[1].lower(): int(match[2])} if match else None


def connection_string(secrets: Secrets, blob_port: int, table_port: int, *services: str) -> str:
    """For ``services`` of "Blob" and "Table"."""
    ports = {"Blob": blob_port, "Table": table_port}
    endpoints = "".join(
        f"{service}Endpoint=http://127.0.0.1:{ports[service]}/{secrets.storage_account};" for service in services
    )
    return (
        f"DefaultEndpointsProtocol=http;AccountName={secrets.storage_account};"
        f"AccountKey={secrets.storage_key};{endpoints}"
    )
