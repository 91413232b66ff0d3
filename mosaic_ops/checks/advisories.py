"""Known vulnerabilities of what is pinned, by a committed snapshot: an audit that needs no network.

``requirements/advisories.json`` holds what the package index said of the pins, and when (``./mosaic pin --advisories``
takes it anew)::

    {"takenOn": "2026-01-31",                     a day, or null: none was taken yet
     "asked": {"package": "1.2.3", …},            each pin that the index was asked about
     "advisories": [{"id", "summary", "aliases", "affected": [
         {"package": {"ecosystem", "name"}, "versions": […],
          "ranges": [{"type", "events": [{"introduced"}, {"fixed"}, {"last_affected"}]}]}]}]}

An advisory has the shape of OSV's, so that one can be put in by hand, for npm's packages as well. A pin that one of
them affects fails the check. What the snapshot says nothing about, and a snapshot that is old, is told aloud and fails
nothing: a clone without a network has to be able to pass.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

FILE: Final = "requirements/advisories.json"
PINNED: Final = ("constraints.txt", "requirements-bootstrap.txt", "requirements-node.txt")
OLDEST_DAYS: Final = 60

type Pins = dict[tuple[str, str], str]
"""(ecosystem, name) → version. The ecosystems are OSV's: PyPI and npm."""

_PIN: Final = re.compile(r"(?P<name>[A-Za-z0-9._-]+)(?:\[[^\]]*\])?==(?P<version>[^\s;]+)")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the file says. ``asked`` is by canonical name."""

    taken_on: date | None
    asked: Mapping[str, str]
    advisories: Sequence[Mapping[str, Any]]


class SnapshotError(Exception):
    """The snapshot is not there, or is not what it has to be."""


def problems(root: Path) -> list[str]:
    """A line for each pin that an advisory of the snapshot affects; one where there is no snapshot that can be read."""
    try:
        snapshot = read(root)
        return [line for advisory in snapshot.advisories for line in _affected(advisory, pins(root))]
    except SnapshotError as error:
        return [f"{FILE}: {error}"]


def warnings(root: Path, today: date) -> list[str]:
    """What the audit does not cover, in words for a person."""
    try:
        snapshot = read(root)
    except SnapshotError:
        return []
    again = "take it anew where there is a network: ./mosaic pin --advisories"
    if snapshot.taken_on is None:
        return [f"NOT AUDITED: no snapshot of advisories was taken yet; {again}"]
    found = []
    if (age := (today - snapshot.taken_on).days) > OLDEST_DAYS:
        found.append(f"the snapshot of advisories is {age} days old, from {snapshot.taken_on.isoformat()}; {again}")
    python = {name: version for (ecosystem, name), version in pins(root).items() if ecosystem == "PyPI"}
    missing = sorted(name for name, version in python.items() if snapshot.asked.get(name) != version)
    if missing:
        named = ", ".join(missing[:8]) + (", …" if len(missing) > 8 else "")
        found.append(f"NOT AUDITED: {len(missing)} of {len(python)} Python pins ({named}); {again}")
    return found


def pins(root: Path) -> Pins:
    """Every pinned package, npm's among them."""
    found: Pins = {}
    for file in PINNED:
        for line in (root / file).read_text(encoding="utf-8").splitlines():
            if match := _PIN.match(line.strip()):
                found["PyPI", canonicalize_name(match["name"])] = match["version"]
    for path, package in json.loads((root / "package-lock.json").read_bytes())["packages"].items():
        if path:
            found["npm", path.rpartition("node_modules/")[2]] = str(package.get("version", ""))
    return found


def read(root: Path) -> Snapshot:
    """Raises SnapshotError."""
    try:
        document = json.loads((root / FILE).read_bytes())
        taken = document["takenOn"]
        snapshot = Snapshot(
            taken_on=None if taken is None else date.fromisoformat(taken),
            asked={canonicalize_name(name): str(version) for name, version in document["asked"].items()},
            advisories=document["advisories"],
        )
        for advisory in snapshot.advisories:
            if not isinstance(advisory["id"], str) or not advisory["affected"]:
                raise ValueError("an advisory without an id, or that affects nothing")
            for affected in advisory["affected"]:
                _ = affected["package"]["ecosystem"] + affected["package"]["name"]
                if not affected.get("versions") and not affected.get("ranges"):
                    raise ValueError(f"{advisory['id']} names neither versions nor ranges")
    except OSError as error:
        raise SnapshotError(f"cannot be read ({error.strerror}): nothing was audited") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SnapshotError(f"is no snapshot of advisories ({type(error).__name__}: {error})") from None
    return snapshot


def _affected(advisory: Mapping[str, Any], pinned: Pins) -> Iterator[str]:
    for affected in advisory["affected"]:
        ecosystem, name = affected["package"]["ecosystem"], affected["package"]["name"]
        key = (ecosystem, canonicalize_name(name) if ecosystem == "PyPI" else name)
        version = pinned.get(key)
        if version is not None and is_affected(version, affected):
            fixed = ", ".join(event["fixed"] for event in _events(affected) if "fixed" in event)
            remedy = f"fixed in {fixed}" if fixed else "no fixed version is named"
            yield f"{key[1]} {version}: {advisory['id']}: {advisory.get('summary') or 'no summary'} ({remedy})"


def is_affected(version: str, affected: Mapping[str, Any]) -> bool:
    """Whether the version is among those that are named, or within a range. One that cannot be compared is."""
    if version in affected.get("versions", ()):
        return True
    try:
        here = Version(version)
        return any(_within(here, entry["events"]) for entry in _ranges(affected))
    except InvalidVersion:
        return bool(_ranges(affected))


def _ranges(affected: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    # those of commits say nothing of a version
    return [entry for entry in affected.get("ranges", ()) if entry.get("type") != "GIT"]


def _events(affected: Mapping[str, Any]) -> Iterator[Mapping[str, str]]:
    for entry in _ranges(affected):
        yield from entry["events"]


def _within(here: Version, events: Sequence[Mapping[str, str]]) -> bool:
    """By the events in the order of their versions, as OSV has it."""

    def at(event: Mapping[str, str]) -> Version:
        (version,) = (event[kind] for kind in ("introduced", "fixed", "last_affected") if kind in event)
        return Version(version)

    inside = False
    for event in sorted(events, key=at):
        if "introduced" in event and here >= at(event):
            inside = True
        elif ("fixed" in event and here >= at(event)) or ("last_affected" in event and here > at(event)):
            inside = False
    return inside
