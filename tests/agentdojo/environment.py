"""agentdojo's own environment, ``.mosaic/agentdojo``: made from requirements-agentdojo.txt when the slow tests first
need it, and afresh where that file has changed."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from mosaic_ops.pinning import ALONE, uv
from tests.support.documents import ROOT

PINS: Final = ROOT / ALONE["agentdojo"]
FOLDER: Final = ROOT / ".mosaic" / "agentdojo"
_EXPORT: Final = Path(__file__).with_name("export.py")


def banking() -> dict[str, Any]:
    """The suite as `export` prints it. Skips where the packages cannot be had, but not in CI."""
    record, digest = FOLDER / "installed", hashlib.sha256(PINS.read_bytes()).hexdigest()
    if not record.exists() or record.read_text(encoding="utf-8") != digest:
        try:
            _run([uv(), "venv", "--quiet", "--clear", "--python", sys.executable, str(FOLDER)])
            _run([uv(), "pip", "sync", "--quiet", "--python", str(FOLDER / "bin" / "python"), str(PINS)])
        except subprocess.CalledProcessError as error:
            if os.environ.get("CI"):
                raise
            pytest.skip(f"agentdojo cannot be installed: {error.stderr[-200:]}")
        record.write_text(digest, encoding="utf-8")
    found: dict[str, Any] = json.loads(_run([str(FOLDER / "bin" / "python"), str(_EXPORT)]))
    return found


def _run(argv: list[str]) -> str:
    done = subprocess.run(argv, check=True, capture_output=True, text=True, cwd=FOLDER.parent.parent, timeout=600)
    return done.stdout
