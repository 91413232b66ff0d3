"""Which pinned files a command needs, and the record of what has been installed of them.

The record, ``.venv/mosaic.json``, is written only after everything that it names is in place. Whoever changes the
environment deletes it first, so that an interrupted installation is never mistaken for a finished one.
"""

import hashlib
import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final, Literal

type Level = Literal["ops", "local", "dev"]

LEVELS: Final[tuple[Level, ...]] = ("ops", "local", "dev")
"""Each level contains the ones before it."""

FILES: Final[dict[Level, tuple[str, ...]]] = {
    "ops": ("requirements-bootstrap.txt", "requirements-ops.txt"),
    "local": (
        "requirements-bootstrap.txt",
        "requirements-ops.txt",
        "requirements.txt",
        "requirements-model.txt",
        "requirements-local.txt",
    ),
    "dev": (
        "requirements-bootstrap.txt",
        "requirements-ops.txt",
        "requirements.txt",
        "requirements-model.txt",
        "requirements-local.txt",
        "requirements-dev.txt",
    ),
}

NODE_FILE: Final = "requirements-node.txt"

_LOCAL_COMMANDS: Final = frozenset({"demo", "up", "env", "token", "issuer", "backup", "bench", "eval", "chaos"})
_DEV_COMMANDS: Final = frozenset({"test", "check", "pin"})


def level_for(arguments: list[str]) -> Level:
    """The least that the command in `arguments` needs. Help, versions and mistyped commands need the least."""
    command = next((word for word in arguments if not word.startswith("-")), "")
    if command in _DEV_COMMANDS:
        return "dev"
    return "local" if command in _LOCAL_COMMANDS else "ops"


def needs_azurite(level: Level) -> bool:
    return level != "ops"


def digest(root: Path, level: Level) -> str:
    """SHA-256 over the pins of `level`."""
    return digest_of(root, FILES[level])


def digest_of(root: Path, names: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for name in names:
        digest.update(name.encode() + b"\0" + (root / name).read_bytes() + b"\0")
    return digest.hexdigest()


def pinned_version(root: Path, file: str, package: str) -> str:
    """The version that `file` pins `package` to. Raises LookupError where it pins none."""
    for line in (root / file).read_text(encoding="utf-8").splitlines():
        name, separator, version = line.split("#")[0].partition("==")
        if separator and name.strip() == package:
            return version.split(";")[0].strip()
    raise LookupError(f"{file} pins no {package}")


def record_path(root: Path) -> Path:
    return root / ".venv" / "mosaic.json"


def read_record(root: Path) -> dict[str, str]:
    """`root`, `python`, and level → digest of what is installed; empty where nothing is, or it cannot be read."""
    try:
        record = json.loads(record_path(root).read_bytes())
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def write_record(root: Path, level: Level) -> None:
    """States that `level` and the levels that it contains are installed. Atomic."""
    contained = LEVELS[: LEVELS.index(level) + 1]
    restore_record(root, _place(root) | {name: digest(root, name) for name in contained})


def restore_record(root: Path, record: dict[str, str]) -> None:
    """Writes a record as `read_record` returned it. Atomic."""
    path = record_path(root)
    draft = path.with_name(f"mosaic.json.{os.getpid()}")
    draft.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    draft.replace(path)


def is_installed(root: Path, level: Level) -> bool:
    record = read_record(root)
    return record.get(level) == digest(root, level) and belongs_here(root, record)


def belongs_here(root: Path, record: dict[str, str]) -> bool:
    """False after the checkout was moved: the environment's scripts name their interpreter by its full path."""
    return {name: record.get(name) for name in ("root", "python")} == _place(root)


def _place(root: Path) -> dict[str, str]:
    return {"root": str(root), "python": f"{sys.version_info[0]}.{sys.version_info[1]}"}


def level_to_install(root: Path, level: Level) -> Level:
    """`level`, or the higher one that was installed before: a changed pin must not take the tests' packages away."""
    before = [name for name in LEVELS if name in read_record(root)]
    return max([level, *before], key=LEVELS.index)
