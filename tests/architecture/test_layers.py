"""The import contracts of pyproject.toml forbid what the architecture forbids: each is broken once, in a small copy."""

import re
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("adapters", "agents", "agents/model", "agents/offline", "domain", "entrypoints", "lanes", "ledger", "services")
MODULES = ("bootstrap", "computing", "concurrency", "config", "notices", "ports", "telemetry")


def rooms(folder: Path) -> Path:
    """The rooms, empty, with the project's contracts."""
    shutil.copy(ROOT / "pyproject.toml", folder)
    for package in ("mosaic_core", "mosaic_ops", "mosaic_local", "bench", *(f"mosaic_core/{room}" for room in ROOMS)):
        (folder / package).mkdir()
        (folder / package / "__init__.py").touch()
    for module in MODULES:
        (folder / "mosaic_core" / f"{module}.py").touch()
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return rooms(tmp_path)


def lint(project: Path) -> "subprocess.CompletedProcess[str]":
    program = Path(sysconfig.get_path("scripts")) / "lint-imports"
    argv = [str(program), "--no-logo", "--no-cache"]
    return subprocess.run(
        argv, cwd=project, env={"PYTHONPATH": str(project), "PATH": "/usr/bin:/bin"}, capture_output=True, text=True
    )


def test_the_empty_rooms_keep_the_contracts(project: Path) -> None:
    answer = lint(project)
    assert answer.returncode == 0, answer.stdout + answer.stderr


AGAINST = [
    ("mosaic_core/domain/lanes.py", "from mosaic_core import ports", "mosaic_core.domain.lanes -> mosaic_core.ports"),
    ("mosaic_core/domain/lanes.py", "from mosaic_core import ledger", "mosaic_core.domain.lanes -> mosaic_core.ledger"),
    ("mosaic_core/ledger/rows.py", "from mosaic_core import agents", "mosaic_core.ledger.rows -> mosaic_core.agents"),
    ("mosaic_core/ledger/rows.py", "from mosaic_core import ports", "mosaic_core.ledger.rows -> mosaic_core.ports"),
    (
        "mosaic_core/services/deliver.py",
        "from mosaic_core import entrypoints",
        "mosaic_core.services.deliver -> mosaic_core.entrypoints",
    ),
    (
        "mosaic_core/lanes/sweep.py",
        "from mosaic_core import services",
        "mosaic_core.lanes.sweep -> mosaic_core.services",
    ),
    (
        "mosaic_core/agents/offline/answering.py",
        "from mosaic_core import services",
        "mosaic_core.agents.offline.answering -> mosaic_core.services",
    ),
    (
        "mosaic_core/agents/model/tools.py",
        "from mosaic_core.agents import offline",
        "mosaic_core.agents.model.tools -> mosaic_core.agents.offline",
    ),
    (
        "mosaic_core/agents/offline/answering.py",
        "from mosaic_core.agents import model",
        "mosaic_core.agents.offline.answering -> mosaic_core.agents.model",
    ),
    (
        "mosaic_core/adapters/tables.py",
        "from mosaic_core import services",
        "mosaic_core.adapters.tables -> mosaic_core.services",
    ),
    (
        "mosaic_core/services/deliver.py",
        "from mosaic_core import adapters",
        "mosaic_core.services.deliver -> mosaic_core.adapters",
    ),
    (
        "mosaic_core/entrypoints/http.py",
        "from mosaic_core import adapters",
        "mosaic_core.entrypoints.http -> mosaic_core.adapters",
    ),
    ("mosaic_core/services/deliver.py", "import azure.servicebus", "mosaic_core.services.deliver -> azure"),
    ("mosaic_core/bootstrap.py", "import azure.identity", "mosaic_core.bootstrap -> azure"),
    (
        "mosaic_core/telemetry.py",
        "from azure.monitor.opentelemetry import configure_azure_monitor",
        "mosaic_core.telemetry -> azure",
    ),
    ("mosaic_core/domain/lanes.py", "from azure.data.tables import TableClient", "mosaic_core.domain.lanes -> azure"),
    ("mosaic_core/adapters/tables.py", "import mosaic_local", "mosaic_core.adapters.tables -> mosaic_local"),
    ("mosaic_core/bootstrap.py", "import mosaic_ops", "mosaic_core.bootstrap -> mosaic_ops"),
    ("mosaic_ops/ops.py", "import mosaic_local", "mosaic_ops.ops -> mosaic_local"),
    (
        "mosaic_core/agents/offline.py",
        "from mosaic_core import lanes",
        "mosaic_core.agents.offline -> mosaic_core.lanes",
    ),
    ("mosaic_core/ports.py", "from mosaic_core import config", "mosaic_core.ports -> mosaic_core.config"),
    ("mosaic_core/forecasts.py", "", "mosaic_core.forecasts"),  # a module that nobody has placed
]
"""A file, what it imports, and how that is told."""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Of a project in which each of them stands."""
    project = rooms(tmp_path_factory.mktemp("against"))
    for importer, line, _ in AGAINST:
        with (project / importer).open("a", encoding="utf-8") as file:
            file.write(line + "\n")
    answer = lint(project)
    assert answer.returncode == 1, answer.stdout + answer.stderr
    return answer.stdout


@pytest.mark.parametrize("edge", [edge for _, _, edge in AGAINST])
def test_an_import_against_the_direction_is_found(told: str, edge: str) -> None:
    assert re.search(rf"^-\s+{re.escape(edge)}( \(l\.\d+\))?$", told, re.MULTILINE), told


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
    (services / "outbox.py").write_text(back + "\n", encoding="utf-8")
    answer = lint(project)
    assert answer.returncode == 1, answer.stdout + answer.stderr
    assert "BROKEN" in answer.stdout


def test_imports_in_the_direction_are_allowed(project: Path) -> None:
    for importer, line in (
        ("adapters/tables.py", "from azure.data.tables import TableClient\nfrom mosaic_core import ports, domain"),
        ("entrypoints/http.py", "import azure.functions\nfrom mosaic_core import services"),
        ("services/deliver.py", "from mosaic_core import lanes, agents, ports, domain"),
        ("bootstrap.py", "from mosaic_core import adapters, entrypoints, services"),
        ("../mosaic_local/stack.py", "import mosaic_core.domain"),
    ):
        (project / "mosaic_core" / importer).write_text(line + "\n", encoding="utf-8")
    answer = lint(project)
    assert answer.returncode == 0, answer.stdout + answer.stderr
