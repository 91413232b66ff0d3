"""The pinned files: exact, of one mind, and what their ``.in`` files ask for."""

import json
from pathlib import Path
from typing import Final

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from mosaic_ops.bootstrap.pins import NODE_FILE
from mosaic_ops.groups import ALONE, GROUPS
from mosaic_ops.packaging import wheels

_BY_HAND: Final = ("requirements-bootstrap.txt", NODE_FILE)


def problems(root: Path) -> list[str]:
    """All that is wrong with the pins, a line each."""
    found: list[str] = []
    together = _read_pins(root, "constraints.txt", found)
    for group, name in GROUPS.items():
        pinned = _read_pins(root, name, found)
        for package, version in pinned.items():
            if together.get(package) != version:
                found.append(f"{name}: {package} {version}, but constraints.txt has {together.get(package)}")
        found += _unsatisfied(root, f"requirements/{group}.in", name, pinned)
    for group, name in ALONE.items():
        found += _unsatisfied(root, f"requirements/{group}.in", name, _read_pins(root, name, found))
    for name in _BY_HAND:
        _read_pins(root, name, found)
    found += wheels.lock_problems(root, wheels.shipped_files(root))
    return found + _npm(root)


def _requirements(root: Path, name: str) -> list[str]:
    lines = (root / name).read_text(encoding="utf-8").splitlines()
    return [line.partition(" #")[0].strip() for line in lines if line.strip() and not line.startswith("#")]


def _read_pins(root: Path, name: str, found: list[str]) -> dict[str, str]:
    """Package → version. Lines that are no exact pins are added to `found`."""
    pinned: dict[str, str] = {}
    for line in _requirements(root, name):
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            found.append(f"{name}: {line!r} is no requirement")
            continue
        (specifier, *more) = requirement.specifier or [None]
        if specifier is None or more or specifier.operator != "==" or "*" in specifier.version or requirement.url:
            found.append(f"{name}: {line!r} is no exact pin")
            continue
        pinned[canonicalize_name(requirement.name)] = specifier.version
    return pinned


def _unsatisfied(root: Path, source: str, name: str, pinned: dict[str, str]) -> list[str]:
    found = []
    for line in _requirements(root, source):
        requirement = Requirement(line)
        version = pinned.get(canonicalize_name(requirement.name))
        if version is None or not requirement.specifier.contains(version, prereleases=True):
            found.append(f"{name}: {version or 'nothing'} pinned for {source}'s {line!r}; run ./mosaic pin")
    return found


def _npm(root: Path) -> list[str]:
    wanted = json.loads((root / "package.json").read_bytes())["dependencies"]
    packages = json.loads((root / "package-lock.json").read_bytes())["packages"]
    found = [
        f"package-lock.json: {name} is not locked at package.json's {version}"
        for name, version in wanted.items()
        if packages.get(f"node_modules/{name}", {}).get("version") != version
    ]
    found += [
        f"package-lock.json: {path} carries no integrity hash"
        for path, package in packages.items()
        if path and "integrity" not in package and not package.get("link") and not package.get("inBundle")
    ]
    return found
