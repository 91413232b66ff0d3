"""The import contracts of pyproject.toml forbid what the architecture forbids: each is broken once, in a small copy."""

import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("adapters", "agents", "agents/model", "agents/offline", "domain", "entrypoints", "lanes", "ledger", "services")
MODULES = ("bootstrap", "computing", "concurrency", "config", "notices", "ports", "telemetry")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The rooms, empty, with the project's contracts."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for package in ("mosaic_core", "mosaic_ops", "mosaic_local", "bench", *(f"mosaic_core/{room}" for room in ROOMS)):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").touch()
    for module in MODULES:
        (tmp_path / "mosaic_core" / f"{module}.py").touch()
    return tmp_path


def lint(project: Path) -> "subprocess.CompletedProcess[str]":
    program = Path(sysconfig.get_path("scripts")) / "lint-imports"
    argv = [str(program), "--no-logo", "--no-cache"]
    return subprocess.run(
        argv, cwd=project, env={"PYTHONPATH": str(project), "PATH": "/usr/bin:/bin"}, capture_output=True, text=True
    )


def test_the_empty_rooms_keep_the_contracts(project: Path) -> None:
    answer = lint(project)
    assert answer.returncode == 0, answer.stdout + answer.stderr


@pytest.mark.parametrize(
    ("importer", "line"),
    [
        ("mosaic_core/domain/lanes.py", "from mosaic_core import ports"),
        ("mosaic_core/domain/lanes.py", "from mosaic_core import ledger"),
        ("mosaic_core/ledger/rows.py", "from mosaic_core import agents"),
        ("mosaic_core/ledger/rows.py", "from mosaic_core import ports"),
        ("mosaic_core/services/deliver.py", "from mosaic_core import entrypoints"),
        ("mosaic_core/lanes/sweep.py", "from mosaic_core import services"),
        ("mosaic_core/agents/offline/answering.py", "from mosaic_core import services"),
        ("mosaic_core/agents/model/tools.py", "from mosaic_core.agents import offline"),
        ("mosaic_core/agents/offline/answering.py", "from mosaic_core.agents import model"),
        ("mosaic_core/adapters/tables.py", "from mosaic_core import services"),
        ("mosaic_core/services/deliver.py", "from mosaic_core import adapters"),
        ("mosaic_core/entrypoints/http.py", "from mosaic_core import adapters"),
        ("mosaic_core/services/deliver.py", "import azure.servicebus"),
        ("mosaic_core/bootstrap.py", "import azure.identity"),
        ("mosaic_core/telemetry.py", "from azure.monitor.opentelemetry import configure_azure_monitor"),
        ("mosaic_core/domain/lanes.py", "from azure.data.tables import TableClient"),
        ("mosaic_core/adapters/tables.py", "import mosaic_local"),
        ("mosaic_core/bootstrap.py", "import mosaic_ops"),
        ("mosaic_ops/ops.py", "import mosaic_local"),
        ("mosaic_core/agents/offline.py", "from mosaic_core import lanes"),
        ("mosaic_core/ports.py", "from mosaic_core import config"),
        ("mosaic_core/forecasts.py", ""),  # a module that nobody has placed
    ],
)
def test_an_import_against_the_direction_is_found(project: Path, importer: str, line: str) -> None:
    (project / importer).write_text(line + "\n", encoding="utf-8")
    answer = lint(project)
    assert answer.returncode == 1, answer.stdout + answer.stderr
    assert "BROKEN" in answer.stdout


@pytest.mark.parametrize(
    "back",
    [
        "from mosaic_core.services import enqueue",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from mosaic_core.services import enqueue",
        "def late() -> None:\n    from mosaic_core.services import enqueue",
    ],
    ids=["plain", "type-only", "late"],
)
def test_a_circle_between_neighbours_is_found(project: Path, back: str) -> None:
    services = project / "mosaic_core" / "services"
    (services / "enqueue.py").write_text("from mosaic_core.services import outbox\n", encoding="utf-8")
    (services / "outbox.py").touch()
    assert lint(project).returncode == 0
    (services / "outbox.py").write_text(back + "\n", encoding="utf-8")
    answer = lint(project)
    assert answer.returncode == 1, answer.stdout + answer.stderr
    assert "BROKEN" in answer.stdout


@pytest.mark.parametrize(
    ("importer", "line"),
    [
        (
            "mosaic_core/adapters/tables.py",
            "from azure.data.tables import TableClient\nfrom mosaic_core import ports, domain",
        ),
        ("mosaic_core/entrypoints/http.py", "import azure.functions\nfrom mosaic_core import services"),
        ("mosaic_core/services/deliver.py", "from mosaic_core import lanes, agents, ports, domain"),
        ("mosaic_core/bootstrap.py", "from mosaic_core import adapters, entrypoints, services"),
        ("mosaic_local/stack.py", "import mosaic_core.domain"),
    ],
)
def test_an_import_in_the_direction_is_allowed(project: Path, importer: str, line: str) -> None:
    (project / importer).write_text(line + "\n", encoding="utf-8")
    answer = lint(project)
    assert answer.returncode == 0, answer.stdout + answer.stderr
