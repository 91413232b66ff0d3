"""What each part of the project imports is among the pins that are installed where that part runs."""

import ast
import importlib.metadata
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from mosaic_core.bootstrap import MODEL_PACKAGES

ROOT = Path(__file__).resolve().parents[2]
OURS = {"mosaic_core", "mosaic_local", "mosaic_ops", "bench", "tests", "function_app"}
MODEL = "mosaic_core/agents/model"
distributions = cache(importlib.metadata.packages_distributions)


def imported_modules(files: Iterable[Path]) -> dict[str, Path]:
    """Every module of others that the files import, also inside functions, with a file that does."""
    found: dict[str, Path] = {}
    for path in files:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            for name in names:
                if name.split(".")[0] not in OURS | sys.stdlib_module_names:
                    found.setdefault(name, path.relative_to(ROOT))
    return found


@cache
def files_of(distribution: str) -> list[str]:
    return [str(file) for file in importlib.metadata.files(distribution) or ()]


@cache
def distributions_of(module: str) -> set[str]:
    """The distributions that hold `module`. For shared names such as `azure` those that have the longest part of it."""
    candidates: set[str] = {canonicalize_name(name) for name in distributions().get(module.split(".")[0], ())}
    if len(candidates) < 2:
        return candidates
    parts = module.split(".")
    for length in range(len(parts), 1, -1):
        stem = "/".join(parts[:length])
        holders: set[str] = {
            name
            for name in candidates
            if any(file == f"{stem}.py" or file.startswith(f"{stem}/") for file in files_of(name))
        }
        if holders:
            return holders
    return set()


def pinned(*names: str) -> set[str]:
    found: set[str] = set()
    for name in names:
        for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
            if line and not line.startswith("#"):
                found.add(canonicalize_name(Requirement(line).name))
    return found


def python_files(*places: str, but: tuple[str, ...] = ()) -> list[Path]:
    files: list[Path] = []
    for place in places:
        path = ROOT / place
        files += [path] if path.is_file() else sorted(path.rglob("*.py"))
    return [path for path in files if not any(path.is_relative_to(ROOT / other) for other in but)]


@pytest.mark.parametrize(
    ("files", "requirements"),
    [
        pytest.param(
            python_files("mosaic_core", "function_app.py", but=(MODEL,)), ("requirements.txt",), id="deployed app"
        ),
        pytest.param(python_files(MODEL), ("requirements.txt", "requirements-model.txt"), id="deployed with a model"),
        pytest.param(
            python_files("mosaic_ops", but=("mosaic_ops/bootstrap", "mosaic_ops/checks", "mosaic_ops/reference.py")),
            ("requirements-ops.txt",),
            id="operations",
        ),
        pytest.param(
            python_files("mosaic_local", "bench", but=("mosaic_local/pytest_plugin.py",)),
            ("requirements.txt", "requirements-model.txt", "requirements-ops.txt", "requirements-local.txt"),
            id="embedded stack",
        ),
        pytest.param(
            [ROOT / "mosaic_local" / "pytest_plugin.py"], ("requirements-dev.txt",), id="embedded stack's pytest plugin"
        ),
    ],
)
def test_imports_are_pinned_where_they_run(files: list[Path], requirements: tuple[str, ...]) -> None:
    allowed = pinned(*requirements)
    missing = {
        module: f"{path} imports it; it comes with {', '.join(sorted(distributions_of(module))) or 'nothing installed'}"
        for module, path in imported_modules(files).items()
        if not distributions_of(module) & allowed
    }
    assert missing == {}


def asked_for(group: str) -> set[str]:
    """What a group's file asks for by name, with how it asks."""
    lines = (ROOT / "requirements" / f"{group}.in").read_text(encoding="utf-8").splitlines()
    return {str(Requirement(line.partition("#")[0].strip())) for line in lines if line.partition("#")[0].strip()}


def test_grpcio_and_protobuf_ship_with_the_app() -> None:
    """The worker brings others of its own (3.13: grpcio 1.70, protobuf 5.29). What imports protobuf in an app that
    ships none mixes two versions in one process, which dies of a segmentation fault."""
    for name in ("grpcio", "protobuf"):
        assert name in pinned("requirements.txt")
        assert any(Requirement(it).name == name for it in asked_for("app")), "by its own name, whoever else wants it"


def test_the_worker_library_is_the_one_that_the_tests_run() -> None:
    """Unpinned, the platform's own counts, which is another one."""
    [asked] = [it for it in asked_for("app") if Requirement(it).name == "azure-functions-runtime"]
    version = importlib.metadata.version("azure-functions-runtime")
    assert asked == f"azure-functions-runtime=={version}"
    for name in ("requirements.txt", "requirements-local.txt"):
        assert f"azure-functions-runtime=={version}" in (ROOT / name).read_text(encoding="utf-8").splitlines()


def test_what_tests_alone_and_a_model_alone_need_is_not_deployed() -> None:
    deployed = pinned("requirements.txt")
    assert not deployed & {"cloudevents", "agent-framework-core", "agent-framework-openai", "httpx2", "openai"}
    # what the app's start asks for is what the model's file brings
    brought = {canonicalize_name(name) for name in pinned("requirements-model.txt")}
    for package in MODEL_PACKAGES:
        assert distributions_of(package) & brought - deployed


def test_the_bootstrap_needs_the_standard_library_alone() -> None:
    assert imported_modules(python_files("mosaic_ops/bootstrap", "mosaic_ops/__init__.py")) == {}


def test_the_domain_needs_the_standard_library_and_pydantic_alone() -> None:
    imported = imported_modules(python_files("mosaic_core/domain"))
    assert {module.split(".")[0] for module in imported} <= {"pydantic"}


def test_the_bootstrap_imports_nothing_of_ours_but_itself_and_the_command_line() -> None:
    for path in python_files("mosaic_ops/bootstrap"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in OURS:
                assert node.module.startswith("mosaic_ops.bootstrap") or node.module == "mosaic_ops.cli", path
