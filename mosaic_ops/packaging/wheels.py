"""The dependencies that ship: one wheel for each pin, named by its hash, for the platform that runs them.

``requirements/wheels.txt`` holds the hashes, so that a build takes the very files that were tested, whatever an index
has added since, and from whichever index or cache it takes them.
"""

from __future__ import annotations

import hashlib
import json
import re
import stat
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path, PurePosixPath
from typing import Any, Final

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename

from mosaic_ops.packaging.errors import IndexUnreachableError, PackagingError

LOCK: Final = "requirements/wheels.txt"
PLAIN: Final = ("requirements.txt",)
MODEL: Final = (*PLAIN, "requirements-model.txt")
"""The flavour that can answer by a model: its clients are a third of everything."""

GLIBC: Final = (2, 28)
"""Of the machines that run the app. A wheel for a later one does not load there, whatever the building machine has."""

TARGET: Final[Mapping[str, str]] = {
    "implementation_name": "cpython",
    "implementation_version": "3.13.0",
    "os_name": "posix",
    "platform_machine": "x86_64",
    "platform_python_implementation": "CPython",
    "platform_release": "",
    "platform_system": "Linux",
    "platform_version": "",
    "python_full_version": "3.13.0",
    "python_version": "3.13",
    "sys_platform": "linux",
}

_OLD_NAMES: Final = {(2, 17): "manylinux2014", (2, 12): "manylinux2010", (2, 5): "manylinux1"}
_NETWORK_SIGNS: Final = ("connection", "max retries", "name resolution", "timed out", "proxyerror", "sslerror")


@dataclass(frozen=True, slots=True)
class Wheel:
    """One wheel as it was fetched. ``metadata`` is its METADATA."""

    name: str
    version: str
    sha256: str
    path: Path
    metadata: Message


def platforms() -> list[str]:
    """pip's names of all platforms whose wheels run there, the newest first."""
    names = []
    for minor in range(GLIBC[1], 4, -1):
        names.append(f"manylinux_2_{minor}_x86_64")
        if (2, minor) in _OLD_NAMES:
            names.append(f"{_OLD_NAMES[2, minor]}_x86_64")
    return names


def _target_arguments() -> list[str]:
    arguments = ["--only-binary=:all:", "--no-deps", "--implementation", "cp", "--python-version", "3.13"]
    for abi in ("cp313", "abi3", "none"):
        arguments += ["--abi", abi]
    for platform in platforms():
        arguments += ["--platform", platform]
    return arguments


def pins(root: Path, files: Sequence[str]) -> dict[str, str]:
    """Package → version, of those pins in ``files`` that hold where the app runs (not where it is built). Raises
    PackagingError for a line that pins nothing."""
    wanted: dict[str, str] = {}
    for file in files:
        for line in (root / file).read_text("utf-8").splitlines():
            if not line.strip() or line.startswith("#"):
                continue
            try:
                requirement = Requirement(line.partition(" #")[0])
                (specifier,) = requirement.specifier
            except (InvalidRequirement, ValueError) as error:
                raise PackagingError(f"{file}: {line!r} is no exact pin") from error
            if requirement.marker is None or requirement.marker.evaluate(dict(TARGET)):
                wanted[canonicalize_name(requirement.name)] = specifier.version
    return dict(sorted(wanted.items()))


def shipped_files(root: Path) -> list[str]:
    """Names of the pinned files of which packages ship, whatever the flavour."""
    return [name for name in MODEL if (root / name).exists()]


def read_lock(root: Path) -> dict[str, tuple[str, str]]:
    """Package → (version, SHA-256 of its wheel). Raises PackagingError for a line of another shape."""
    locked: dict[str, tuple[str, str]] = {}
    for line in (root / LOCK).read_text("utf-8").splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        found = re.fullmatch(r"([a-z0-9-]+)==(\S+) --hash=sha256:([0-9a-f]{64})", line)
        if found is None:
            raise PackagingError(f"{LOCK}: {line!r} is no pin with one hash; run ./mosaic pin")
        locked[found[1]] = (found[2], found[3])
    return locked


def lock_problems(root: Path, files: Sequence[str]) -> list[str]:
    """Where the lock and the pins in ``files`` disagree, a line each."""
    try:
        locked = {name: version for name, (version, _) in read_lock(root).items()}
        wanted = pins(root, files)
    except (OSError, PackagingError) as error:
        return [str(error)]
    return [
        f"{LOCK}: {name} {locked.get(name, 'nothing')}, but {wanted.get(name, 'nothing')} is pinned; run ./mosaic pin"
        for name in sorted(locked.keys() | wanted.keys())
        if locked.get(name) != wanted.get(name)
    ]


def write_lock(root: Path, files: Sequence[str]) -> None:
    """Asks the index which wheel each pin has for the target, and writes the lock. What is locked at the pinned version
    stays as it is. Raises PackagingError."""
    wanted = pins(root, files)
    before = read_lock(root) if (root / LOCK).exists() else {}
    kept = {name: before[name][1] for name, version in wanted.items() if before.get(name, ("",))[0] == version}
    asked = [f"{name}=={version}" for name, version in wanted.items() if name not in kept]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        if asked:
            _pip(["install", "--dry-run", "--ignore-installed", "--report", str(report)], asked, folder)
            kept |= dict(_reported(json.loads(report.read_bytes())))
    lines = [f"{name}=={version} --hash=sha256:{kept[name]}" for name, version in wanted.items()]
    header = "# The wheels that ship, for CPython 3.13 on manylinux_2_28_x86_64. Written by ./mosaic pin.\n"
    (root / LOCK).write_text(header + "\n".join(lines) + "\n", "utf-8")


def _reported(report: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for item in report["install"]:
        yield canonicalize_name(item["metadata"]["name"]), item["download_info"]["archive_info"]["hashes"]["sha256"]


def fetch(root: Path, files: Sequence[str], folder: Path) -> list[Wheel]:
    """The wheels of the pins in ``files``, sorted by name. Raises PackagingError where one is not what the lock names,
    or the lock is not what is pinned."""
    if problems := [line for line in lock_problems(root, files) if "nothing is pinned" not in line]:
        raise PackagingError("\n".join(problems))
    locked = read_lock(root)
    wanted = pins(root, files)
    lines = [f"{name}=={version} --hash=sha256:{locked[name][1]}" for name, version in wanted.items()]
    requirements = folder / "requirements.txt"
    requirements.write_text("\n".join(lines) + "\n", "utf-8")
    store = folder / "wheels"
    store.mkdir()
    _pip(["download", "--require-hashes", "--dest", str(store), "-r", str(requirements)], [], str(folder))
    wheels = sorted((open_wheel(path) for path in store.iterdir()), key=lambda wheel: wheel.name)
    found = {wheel.name: (wheel.version, wheel.sha256) for wheel in wheels}
    if found != {name: locked[name] for name in wanted}:
        # pip checks hashes itself; this is for the case that it was configured not to
        raise PackagingError("what was fetched is not what requirements/wheels.txt names")
    return wheels


def open_wheel(path: Path) -> Wheel:
    """Raises PackagingError where it has no METADATA."""
    name, version, _, _ = parse_wheel_filename(path.name)
    with zipfile.ZipFile(path) as archive:
        inside = [entry for entry in archive.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", entry)]
        if len(inside) != 1:
            raise PackagingError(f"{path.name} has {len(inside)} METADATA files")
        metadata = HeaderParser().parsestr(archive.read(inside[0]).decode("utf-8", "replace"))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Wheel(str(name), str(version), digest, path, metadata)


def contents(wheel: Wheel) -> Iterator[tuple[str, bytes]]:
    """Path below site-packages and content of each file of the wheel. Its scripts and data files are left out: nothing
    of the app starts a program. Raises PackagingError for what is no plain file or leads out of the folder."""
    with zipfile.ZipFile(wheel.path) as archive:
        for entry in archive.infolist():
            if entry.is_dir():
                continue
            kind = stat.S_IFMT(entry.external_attr >> 16)
            path = PurePosixPath(entry.filename)
            if kind not in (0, stat.S_IFREG) or path.is_absolute() or ".." in path.parts or "\\" in entry.filename:
                raise PackagingError(f"{wheel.path.name}: {entry.filename!r} is no plain file within its folder")
            if path.parts[0].endswith(".data"):
                if len(path.parts) < 3 or path.parts[1] not in ("purelib", "platlib"):
                    continue
                path = PurePosixPath(*path.parts[2:])
            if path.suffix == ".pyc":
                continue
            yield path.as_posix(), archive.read(entry)


def _pip(command: Sequence[str], requirements: Sequence[str], folder: str) -> None:
    target = ["--target", f"{folder}/target"] if command[0] == "install" else []
    argv = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input"]
    argv += [command[0], "--progress-bar", "off", *command[1:], *_target_arguments(), *target, *requirements]
    answer = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if answer.returncode == 0:
        return
    words = "\n".join(line for line in answer.stderr.splitlines() if line.startswith("ERROR:"))[-1500:]
    said = (answer.stdout + answer.stderr).lower()
    if any(sign in said for sign in _NETWORK_SIGNS) and "hashes" not in said:
        raise IndexUnreachableError(f"the package index did not answer:\n{words}")
    raise PackagingError(f"pip fetched not all of the wheels:\n{words or answer.stderr[-1500:]}")
