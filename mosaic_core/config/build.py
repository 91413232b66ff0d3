"""Which code this is."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mosaic_core.config.table import COMMIT

VERSION: Final = "0.1.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """Which code this is. ``commit`` is ``unknown`` outside a deployment; ``package_digest`` is the SHA-256 of
    everything in the package, so that two instances can be told apart whatever they say of themselves."""

    version: str
    commit: str
    package_digest: str

    @classmethod
    def of(cls, environ: Mapping[str, str], root: Path | None = None) -> Build:
        """``root`` is the app's folder (with host.json). The commit is setting ``MOSAIC_COMMIT``, else that of
        ``build.json``, which packaging leaves in the root. The digest is the package's, over its dependencies as well,
        where the app's own files are those that were packaged; else a digest of these files alone."""
        root = root or Path(__file__).resolve().parents[2]
        code, packaged = _digest(root), _packaged(root)
        commit = environ.get(COMMIT.name, "").strip() or packaged.get("commit", "")
        known = re.fullmatch(r"[0-9a-fA-F]{7,64}", commit)
        digest = packaged.get("digest", "") if packaged.get("code") == code else ""
        return cls(version=VERSION, commit=commit.lower() if known else "unknown", package_digest=digest or code)


def _packaged(root: Path) -> dict[str, str]:
    """What packaging says of the app in ``root``; empty where nothing, or nothing readable, is there."""
    try:
        said = json.loads((root / "build.json").read_bytes())
    except (OSError, ValueError):
        return {}
    return {key: value for key, value in said.items() if isinstance(value, str)} if isinstance(said, dict) else {}


def _digest(root: Path) -> str:
    files = [root / name for name in ("function_app.py", "host.json", "requirements.txt")]
    files += [path for path in (root / "mosaic_core").rglob("*") if "__pycache__" not in path.parts]
    total = hashlib.sha256()
    for path in sorted(path for path in files if path.is_file()):
        total.update(f"{path.relative_to(root).as_posix()}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()
