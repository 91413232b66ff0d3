"""What git holds: nothing generated, local or huge; everything that a newcomer looks for; files that tools can read."""

import json
import re
import tomllib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Final

import yaml

from mosaic_ops.checks.sources import TrackedFile

REQUIRED: Final = (
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "docs/runbook.md",
    "function_app.py",
    "host.json",
    "local.settings.sample.json",
    "mosaic",
    ".ci/run",
)
EXECUTABLE: Final = frozenset({"mosaic", ".ci/run"})
LARGEST: Final = 1 << 20  # bytes

_FORBIDDEN_FOLDERS: Final = frozenset(
    {".venv", "venv", ".mosaic", "node_modules", "__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache"}
    | {".hypothesis", ".python_packages", ".azure", "htmlcov"}
)
_FORBIDDEN_NAMES: Final = re.compile(
    r"local\.settings\.json|\.env(\..*)?|bench\.json|\.coverage.*|\.DS_Store|.*\.(pyc|pyo|pem|key|pfx|p12|sqlite3?|db|log)"
)


def problems(root: Path, files: Sequence[TrackedFile]) -> list[str]:
    """All that is wrong with the set of tracked files, a line each."""
    paths = {file.path for file in files}
    found = [f"{path}: missing" for path in REQUIRED if path not in paths]
    found += [f"{file.path}: {what}" for file in files for what in _wrong_with(file)]
    found += _differ_in_case_only(paths)
    found += _changelog(root)
    return found


def _wrong_with(file: TrackedFile) -> list[str]:
    path = PurePosixPath(file.path)
    found = []
    if _FORBIDDEN_FOLDERS.intersection(path.parts[:-1]) or _FORBIDDEN_NAMES.fullmatch(path.name):
        found.append("must not be tracked (generated, local or secret)")
    if file.mode == "120000":
        return [*found, "symbolic links do not survive every checkout"]
    if len(file.content) > LARGEST:
        found.append(f"{len(file.content) >> 10} KiB; at most {LARGEST >> 10} KiB")
    if file.path in EXECUTABLE and file.mode != "100755":
        found.append("must be executable (git update-index --chmod=+x)")
    if file.text is None:
        return found
    if "\r" in file.text:
        found.append("carriage returns; lines end with LF")
    if file.text and not file.text.endswith("\n"):
        found.append("no newline at its end")
    if re.search(r"^(<{7}|>{7}) ", file.text, re.MULTILINE):
        found.append("an unfinished merge")
    parse = _PARSERS.get(path.suffix)
    if parse is not None:
        try:
            parse(file.text)
        except (ValueError, yaml.YAMLError) as error:
            found.append(f"cannot be parsed: {str(error).splitlines()[0]}")
    return found


_PARSERS: Final[dict[str, Callable[[str], object]]] = {
    ".json": json.loads,
    ".toml": tomllib.loads,
    ".yaml": lambda text: list(yaml.safe_load_all(text)),
    ".yml": lambda text: list(yaml.safe_load_all(text)),
}


def _differ_in_case_only(paths: Iterable[str]) -> list[str]:
    seen: dict[str, str] = {}
    found = []
    for path in sorted(paths):
        other = seen.setdefault(path.lower(), path)
        if other != path:
            found.append(f"{path}: differs from {other} in case only, which macOS and Windows cannot hold")
    return found


def _changelog(root: Path) -> list[str]:
    try:
        text = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    except OSError:
        return []
    version = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    if re.search(rf"^## .*({re.escape(version)}|Unreleased)", text, re.MULTILINE):
        return []
    return [f"CHANGELOG.md: no heading for {version}, nor one for what is unreleased"]
