"""Installs Python 3.13 into the checkout by uv: ``python install_python.py ROOT``, with any Python from 3.9 on.

uv comes from the package index, where it is not there already. Python itself comes from where uv gets it: the releases
of python-build-standalone, or ``UV_PYTHON_INSTALL_MIRROR``. No package index has it.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import List, Optional  # noqa: UP035 - 3.9 and later

VERSION = "3.13"
FOLDER = Path(".mosaic") / "python"
TOOL = Path(".mosaic") / "uv"


def main(arguments: List[str]) -> int:  # noqa: UP006
    """Returns the exit code: 0 installed, 3 where something that it takes cannot be had."""
    root = Path(arguments[0])
    uv = shutil.which("uv") or installed_uv(root)
    if uv is None:
        say("uv could not be installed from the package index (set PIP_INDEX_URL where yours is another one)")
        return 3
    argv = [uv, "python", "install", VERSION, "--install-dir", str(root / FOLDER), "--no-bin", "--no-config"]
    if subprocess.run(argv, stdout=sys.stderr, check=False).returncode != 0:
        say(
            f"uv could not fetch Python {VERSION}: it comes from GitHub's releases, and no package index has it. "
            "Where a mirror of python-build-standalone is within reach, set UV_PYTHON_INSTALL_MIRROR to it"
        )
        return 3
    return 0


def installed_uv(root: Path) -> Optional[str]:  # noqa: UP045
    """The pinned uv in an environment of its own; None where it cannot be had. A Python that its distribution ships
    without venv may still have pip."""
    folder, pins = root / TOOL, str(root / "requirements-bootstrap.txt")
    uv = folder / "bin" / "uv"
    install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", pins]
    ways = (
        [[sys.executable, "-m", "venv", str(folder)], [str(folder / "bin" / "python"), *install]],
        [[sys.executable, *install, "--target", str(folder)]],
    )
    for way in ways:
        if os.access(uv, os.X_OK):
            break
        shutil.rmtree(folder, ignore_errors=True)
        all(subprocess.run(argv, stdout=sys.stderr, check=False).returncode == 0 for argv in way)
    return str(uv) if os.access(uv, os.X_OK) else None


def say(line: str) -> None:
    sys.stderr.write(f"mosaic: {line}\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
