"""README's first command, as a newcomer types it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.support.documents import ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


def test_the_demo_holds() -> None:
    """It exits 0 only where every promise held."""
    ended = subprocess.run(
        [sys.executable, "-m", "mosaic_ops.cli", "demo"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert ended.returncode == 0, ended.stdout[-4000:] + ended.stderr[-2000:]
    assert "promises held" in ended.stdout
