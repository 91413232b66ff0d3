"""Whether every pinned package has a wheel for each platform that the project promises. Asks the package index."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Final

from mosaic_ops.bootstrap.pins import FILES, NODE_FILE
from mosaic_ops.groups import uv

PLATFORMS: Final = {
    "Linux x86-64": "x86_64-manylinux_2_28",
    "Linux arm64": "aarch64-manylinux_2_28",
    "macOS arm64": "aarch64-apple-darwin",
}
_WITHOUT_WHEEL = re.compile(r"([A-Za-z0-9_.-]+)==\S+ has no (?:usable )?wheels")


def problems(root: Path) -> list[str]:
    """A line for each platform and package without a wheel, and for each platform that does not resolve at all."""
    return [f"{name}: {what}" for name, platform in PLATFORMS.items() for what in _missing(root, platform)]


def _missing(root: Path, platform: str) -> list[str]:
    files = [root / name for name in (*FILES["dev"], NODE_FILE)]
    found: list[str] = []
    sdist_allowed: list[str] = []
    while True:
        argv = [uv(), "pip", "compile", "--quiet", "--python", sys.executable, "--python-platform", platform]
        argv += ["--only-binary", ":all:", *sdist_allowed, *map(str, files)]
        answer = subprocess.run(argv, cwd=root, capture_output=True, text=True)
        if answer.returncode == 0:
            return found
        # uv names one at a time: let that one be built from source, and ask for the next.
        match = _WITHOUT_WHEEL.search(answer.stderr)
        if match is None or match[1] in sdist_allowed:
            return [*found, f"does not resolve:\n{answer.stderr.strip()}"]
        found.append(f"{match[1]} has no wheel")
        sdist_allowed += ["--no-binary", match[1]]
