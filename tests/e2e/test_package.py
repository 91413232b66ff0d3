"""The package as it is deployed: built twice, unpacked into an empty folder, run in the platform's start order and
under the embedded host."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from mosaic_core.adapters.tables import ensure_tables
from mosaic_local.stack import Stack, StackOptions
from mosaic_ops.packaging import command
from mosaic_ops.packaging.staging import SITE_PACKAGES
from tests.contract.test_worker_order import SETTINGS
from tests.support.azurite import running_azurite
from tests.support.packages import bill_faults
from tests.support.worker_order import WORKER_PACKAGES, install, run

pytestmark = [pytest.mark.slow, pytest.mark.e2e, pytest.mark.timeout(400)]

ROOT = Path(__file__).resolve().parents[2]
FUNCTIONS = json.loads((ROOT / "docs" / "reference" / "functions.json").read_text())
# an interpreter without the environment's packages: what the package lacks is then missing
BARE = str(getattr(sys, "_base_executable", sys.executable))

LAZY = (
    "azure.identity.aio",
    "azure.eventhub.aio",
    "azure.servicebus.aio",
    "azure.monitor.opentelemetry",
    "azure.storage.blob",
    "mosaic_core.adapters.tables",
    "mosaic_core.agents.offline.answering",
    "aiohttp",
    "grpc.aio",
    "jwt",
)
"""What the app imports when it first needs it."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> command.Package:
    return command.build(ROOT, tmp_path_factory.mktemp("built"))


@pytest.fixture(scope="module")
def unpacked(built: command.Package, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unpacked") / "wwwroot"
    with zipfile.ZipFile(built.zip) as archive:
        archive.extractall(folder)
    return folder


def program(code: str, *arguments: str, cwd: Path) -> Any:
    """What a bare interpreter prints, as JSON."""
    environ = {"PATH": os.environ["PATH"], **SETTINGS}
    argv = [BARE, "-I", "-X", "no_debug_ranges", "-c", code, *arguments]
    answer = subprocess.run(argv, cwd=cwd, env=environ, capture_output=True, text=True, timeout=120)
    assert answer.returncode == 0, answer.stderr[-3000:]
    return json.loads(answer.stdout.splitlines()[-1])


def test_two_builds_have_one_digest(built: command.Package, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In another folder, for another user, in another place, without pip's cache."""
    other = tmp_path / "another folder" / "checkout"
    shutil.copytree(
        ROOT, other, ignore=shutil.ignore_patterns(".git", ".venv", ".mosaic", "node_modules", "dist", "__pycache__")
    )
    for name, value in {"LC_ALL": "C", "TZ": "Asia/Tokyo", "PYTHONHASHSEED": "3", "PIP_NO_CACHE_DIR": "1"}.items():
        monkeypatch.setenv(name, value)
    before = os.umask(0o077)
    try:
        again = command.build(other, tmp_path / "dist")
    finally:
        os.umask(before)
    assert again.manifest["digest"] == built.manifest["digest"]
    assert contents(again) == contents(built)


def contents(package: command.Package) -> dict[str, str]:
    """Hash by path; build.json apart, for one of the two has no git to name its commit by."""
    return {file["path"]: file["sha256"] for file in package.manifest["files"] if file["path"] != "build.json"}


def test_its_bill_of_materials_is_valid_and_whole(built: command.Package) -> None:
    bill = json.loads((built.folder.parent / "sbom.cdx.json").read_text())
    assert bill_faults(bill) == []
    shipped = {path.name for path in (built.folder / SITE_PACKAGES).glob("*.dist-info")}
    assert len(bill["components"]) == len(shipped) > 50
    assert all(component["licenses"] for component in bill["components"])


def test_no_file_names_the_building_machine(built: command.Package) -> None:
    names = {str(built.folder).encode(), str(ROOT).encode()}
    named = [
        file["path"]
        for file in built.manifest["files"]
        if any(name in (built.folder / file["path"]).read_bytes() for name in names)
    ]
    assert named == []


def test_everything_that_is_imported_comes_with_the_package(unpacked: Path) -> None:
    code = f"""
import importlib, json, sys
root = sys.argv[1]
sys.path[:] = [root + "/{SITE_PACKAGES}", *(p for p in sys.path if "site-packages" not in p), root]
import function_app
for name in {LAZY!r}:
    importlib.import_module(name)
files = {{name: getattr(module, "__file__", None) or "" for name, module in sys.modules.items()}}
outside = sorted(name for name, file in files.items() if "site-packages" in file and not file.startswith(root))
stale = sorted(name for name, module in sys.modules.items()
    if files[name].startswith(root) and files[name].endswith(".py")
    and not (getattr(module, "__cached__", None) or "").startswith(root))
print(json.dumps([sorted(f.get_function_name() for f in function_app.app.get_functions()), outside, stale]))
"""
    before = sorted(unpacked.rglob("*.pyc"))
    functions, outside, stale = program(code, str(unpacked), cwd=unpacked)
    assert functions == FUNCTIONS
    assert (outside, stale) == ([], [])
    # nothing had to be compiled
    assert sorted(unpacked.rglob("*.pyc")) == before


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install(tmp_path_factory.mktemp("worker") / "packages", *WORKER_PACKAGES)


@pytest.fixture(scope="module")
def storage() -> Iterator[dict[str, str]]:
    """The settings of tables and blobs that answer: a message is settled once its signal is written."""
    with running_azurite() as service:
        with ThreadPoolExecutor(1) as thread:  # the test that asks is on a running loop
            thread.submit(lambda: asyncio.run(ensure_tables(service.tables, service.blobs))).result()
        yield {
            "TablesConnection": service.tables.connection_string,
            "BlobsConnection": service.blobs.connection_string,
        }


@pytest.mark.parametrize("placeholder", [True, False], ids=["placeholder", "direct"])
async def test_it_runs_in_the_platform_s_start_order(
    unpacked: Path, worker: Path, storage: dict[str, str], placeholder: bool
) -> None:
    invoke = ["health_live", "ingestion_lane", "conversation_lane", "sweep_lane", "health_live"]
    ended = await run(unpacked, worker, {**SETTINGS, **storage}, placeholder=placeholder, invoke=invoke)
    assert ended.code == 0, ended.stderr[-3000:]
    assert sorted(ended.told["functions"]) == FUNCTIONS
    assert [(name, succeeded) for name, succeeded, _ in ended.told["told"]] == [(name, True) for name in invoke]
    assert [(operation, texts[1]) for operation, texts in ended.settled] == [("Deadletter", "invalid_json")] * 3


def mosaic(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mosaic_ops.cli", *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_the_smoke_test_passes_on_it(built: command.Package, unpacked: Path) -> None:
    with Stack(StackOptions(app=unpacked)) as stack:
        manifest = built.folder.parent / "manifest.json"
        ended = mosaic("smoke", "--json", "--state", str(stack.state_dir), "--manifest", str(manifest))
        findings = {it["name"]: it for it in json.loads(ended.stdout)["checks"]}
        assert ended.returncode == 0, findings
        assert built.manifest["digest"][:12] in findings["build"]["detail"]


def test_the_demo_holds_on_it(unpacked: Path) -> None:
    ended = mosaic("demo", "--app", str(unpacked))
    assert ended.returncode == 0, ended.stdout[-4000:] + ended.stderr[-2000:]
    assert "promises held" in ended.stdout
