"""checkov's own environment, ``.mosaic/scanner``: it pins versions that the project's packages cannot live with.

Only ``./mosaic check`` needs it. It is made in place; its record is written last, and one without a record is made
afresh.
"""

import itertools
import json
import os
import sys
from pathlib import Path
from typing import Final

from mosaic_ops.bootstrap import pins

FILE: Final = "requirements-scanner.txt"
_COMMANDS: Final = frozenset({"check"})


def is_needed(arguments: list[str]) -> bool:
    """Whether the command runs the scanner. Parts that are chosen by name need it where it is among them."""
    words = [word for word in arguments if not word.startswith("-")]
    if not words or words[0] not in _COMMANDS:
        return False
    chosen = [word for flag, word in itertools.pairwise(arguments) if flag == "--only"]
    chosen += [word.removeprefix("--only=") for word in arguments if word.startswith("--only=")]
    return not chosen or "infra scanner" in chosen


def folder(root: Path) -> Path:
    return root / ".mosaic" / "scanner"


def python(root: Path) -> Path:
    return folder(root) / "bin" / "python"


def is_installed(root: Path) -> bool:
    """Reads two small files."""
    try:
        record = json.loads((folder(root) / "installed.json").read_bytes())
        return bool(record == _record(root)) and os.access(python(root), os.X_OK)
    except (OSError, ValueError):
        return False


def write_record(root: Path) -> None:
    """States that what is pinned is installed. Atomic."""
    path = folder(root) / "installed.json"
    draft = path.with_name(f"installed.json.{os.getpid()}")
    draft.write_text(json.dumps(_record(root)) + "\n", encoding="utf-8")
    draft.replace(path)


def _record(root: Path) -> dict[str, str]:
    return {"digest": pins.digest_of(root, (FILE,)), "python": f"{sys.version_info[0]}.{sys.version_info[1]}"}
