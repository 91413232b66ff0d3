"""A bare clone becomes a working checkout. Fetches packages, so it only runs with --slow."""

import os
import subprocess
import time
from pathlib import Path

import pytest

from mosaic_ops.checks import platforms

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.slow


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone of the last commit, without anything that is not tracked."""
    subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", str(ROOT), str(tmp_path / "clone")], check=True)
    return tmp_path / "clone"


def mosaic(clone: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environ = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    return subprocess.run(
        [str(clone / "mosaic"), *arguments],
        cwd=clone.parent,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
    )


@pytest.mark.timeout(600)
def test_a_bare_clone_answers(clone: Path) -> None:
    first = mosaic(clone, "--version")
    assert first.returncode == 0, first.stderr
    assert first.stdout.startswith("mosaic ")
    assert not (clone / ".mosaic" / "azurite").exists(), "only the embedded stack needs Azurite"

    begun = time.monotonic()
    warm = mosaic(clone, "--version")
    took = time.monotonic() - begun
    assert (warm.returncode, warm.stdout, warm.stderr) == (0, first.stdout, "")
    assert took < 1.0, "the warm start reads a few files and imports no package"

    status = subprocess.run(["git", "status", "--porcelain"], cwd=clone, capture_output=True, text=True, check=True)
    assert status.stdout == "", "whatever ./mosaic makes is ignored by git"


@pytest.mark.timeout(600)
def test_a_bare_clone_gets_azurite(clone: Path) -> None:
    answer = mosaic(clone, "token", "--help")
    assert answer.returncode == 0, answer.stderr
    program = "from mosaic_ops.bootstrap import azurite; from pathlib import Path; import sys;"
    program += "print(*azurite.command(Path(sys.argv[1])), sep='\\n')"
    python = str(clone / ".venv" / "bin" / "python")
    command = subprocess.run([python, "-c", program, str(clone)], capture_output=True, text=True, check=True)
    version = subprocess.run([*command.stdout.splitlines(), "--version"], capture_output=True, text=True, check=True)
    assert version.stdout.strip() == "3.37.0"


@pytest.mark.timeout(300)
def test_every_pin_has_a_wheel_for_each_promised_platform() -> None:
    assert platforms.problems(ROOT) == []
