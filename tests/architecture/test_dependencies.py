"""What each part of the project imports is among the pins that are installed where that part runs."""

import ast
import importlib.metadata
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
OURS = {"mosaic_core", "mosaic_local", "mosaic_ops", "bench", "tests", "function_app"}
DISTRIBUTIONS = importlib.metadata.packages_distributions()


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


def distributions_of(module: str) -> set[str]:
    """The distributions that hold `module`. For shared names such as `azure` those that have the longest part of it."""
    candidates: set[str] = {canonicalize_name(name) for name in DISTRIBUTIONS.get(module.split(".")[0], ())}
    if len(candidates) < 2:
        return candidates
    parts = module.split(".")
    for length in range(len(parts), 1, -1):
        stem = "/".join(parts[:length])
        holders: set[str] = {
            name
            for name in candidates
            if any(
                str(file) == f"{stem}.py" or str(file).startswith(f"{stem}/")
                for file in importlib.metadata.files(name) or ()
            )
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
        pytest.param(python_files("mosaic_core", "function_app.py"), ("requirements.txt",), id="deployed app"),
        pytest.param(
            python_files("mosaic_ops", but=("mosaic_ops/bootstrap", "mosaic_ops/checks", "mosaic_ops/reference.py")),
            ("requirements-ops.txt",),
            id="operations",
        ),
        pytest.param(
            python_files("mosaic_local", "bench"),
            ("requirements.txt", "requirements-ops.txt", "requirements-local.txt"),
            id="embedded stack",
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
