"""checkov over ``infra/``: nothing fails, everything was looked at, every skip is justified and still needed.

checkov exits 0 for a file that it cannot parse and counts it; it skips what a comment asks it to, with a reason or
without. Here each of these fails. It runs in an environment of its own (``mosaic_ops.bootstrap.scanner``).
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from mosaic_ops.bootstrap import scanner
from mosaic_ops.checks.infra.bicep import BicepFile

FEWEST_RULES: Final = 150
"""Rules that checkov 3.3.30 has for Azure's resources are some two hundred: with fewer it has not loaded them."""

_SCRIPT: Final = Path(__file__).with_name("scan.py")
_SKIP: Final = re.compile(r"checkov\s*:\s*skip\s*=\s*(?P<id>[A-Za-z0-9_,]+)\s*(?::(?P<reason>.*))?")
_SHORTEST_REASON: Final = 12


def problems(
    root: Path, files: Mapping[str, BicepFile], folder: str = "infra", *, python: Path | None = None
) -> list[str]:
    """`python`: the scanner's interpreter; by default the one that ``./mosaic check`` installed."""
    found = list(unjustified(files))
    try:
        answer = scan(root / folder, python or scanner.python(root))
    except ScanError as error:
        return [*found, f"{folder}:1: {error}"]
    return found + list(judge(answer, files, folder))


class ScanError(Exception):
    """checkov did not run, or said nothing that can be read."""


def scan(folder: Path, python: Path) -> Mapping[str, Any]:
    if not os.access(python, os.X_OK):
        raise ScanError("checkov is not installed: ./mosaic check installs it")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("BC_", "CKV_", "PYTHON"))}
    done = subprocess.run(
        [str(python), "-I", str(_SCRIPT), str(folder)],
        env=environ | {"LOG_LEVEL": "ERROR"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    try:
        answer = json.loads(done.stdout)
    except ValueError as error:
        raise ScanError(f"checkov did not run (exit code {done.returncode}): {done.stderr.strip()[-600:]}") from error
    if not isinstance(answer, dict):
        raise ScanError("checkov answered something else")
    return answer


def judge(answer: Mapping[str, Any], files: Mapping[str, BicepFile], folder: str) -> Iterator[str]:
    """What is wrong with a scan."""
    if answer["rules"] < FEWEST_RULES:
        yield f"{folder}:1: checkov loaded {answer['rules']} rules, not its {FEWEST_RULES} or more"
    for path in answer["parsing_errors"]:
        name = path if path.startswith(folder) else f"{folder}{path.partition(folder)[2]}"
        yield f"{name}:1: checkov cannot parse it, and so looked at none of it"
    for name, file in files.items():
        inside = name.removeprefix(f"{folder}/")
        seen = set(answer["resources"].get(inside, ()))
        for resource in file.resources:
            # it knows no nested resources; the other parts do
            if resource.nested_in is None and resource.name not in seen:
                yield f"{name}:{resource.line}: checkov did not see the resource {resource.name}"
    ours = sum(1 for file in files.values() for each in file.resources if each.nested_in is None)
    if answer["resource_count"] < ours:
        yield f"{folder}:1: checkov counted {answer['resource_count']} resources, not the {ours} that are there"
    for each in answer["failed"]:
        yield (
            f"{folder}/{each['path']}:{each['first']}: {each['id']}:"
            f" {each['resource'].rpartition('.')[2]}: {each['name']}"
        )
    yield from _needless(answer, files, folder)


def _comments(files: Mapping[str, BicepFile]) -> Iterator[tuple[str, int, str, str]]:
    """Path, line, id and reason of each skip."""
    for name, file in files.items():
        for number, line in enumerate(file.source.decode("utf-8", "replace").splitlines(), start=1):
            if found := _SKIP.search(line):
                for one in filter(None, found["id"].split(",")):
                    yield name, number, one, (found["reason"] or "").strip()


def unjustified(files: Mapping[str, BicepFile]) -> Iterator[str]:
    """Skips without a reason."""
    for name, line, one, reason in _comments(files):
        if len(reason) < _SHORTEST_REASON:
            yield f"{name}:{line}: {one} is skipped without a reason: checkov:skip={one}:why it does not hold here"


def _needless(answer: Mapping[str, Any], files: Mapping[str, BicepFile], folder: str) -> Iterator[str]:
    skipped = [(f"{folder}/{each['path']}", each["id"], each["first"], each["last"]) for each in answer["skipped"]]
    for name, line, one, _ in _comments(files):
        if not any(path == name and id_ == one and first <= line <= last for path, id_, first, last in skipped):
            yield f"{name}:{line}: {one} is skipped, and nothing would have failed: take the comment away"
    comments = {(name, one) for name, _, one, _ in _comments(files)}
    for path, one, first, _ in skipped:
        if (path, one) not in comments:
            yield f"{path}:{first}: {one} is skipped by no comment of this file"
