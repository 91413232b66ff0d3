"""Chromium, for the tests that drive the console: the machine's own, or Debian's by apt.

Only ``./mosaic test --slow``, and a choice that names the console's tests, needs it. No wheel or npm package carries a
browser; playwright's own are on a host that is no package registry.
"""

import os
import shutil
from pathlib import Path
from typing import Final

from mosaic_ops.bootstrap.jobs import Job, SetupError, run

SETTING: Final = "MOSAIC_CHROMIUM"
"""Names the executable where it is none of `NAMES`."""

NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_TESTS: Final = "test_console"


def is_needed(arguments: list[str]) -> bool:
    """Whether the command drives a browser."""
    words = [word for word in arguments if word != "--slow"]
    if not words or words[0] != "test":
        return False
    return "--slow" in arguments or any(_TESTS in word for word in words)


def find() -> str | None:
    """The executable, or None."""
    named = os.environ.get(SETTING, "").strip()
    return next((path for name in ((named,) if named else NAMES) if (path := shutil.which(name))), None)


def install(root: Path, *, keep_open: int) -> None:
    """By apt, which needs root. Raises SetupError where this machine has neither."""
    remedy = f"Install Chromium (Debian: apt-get install chromium), or name it by {SETTING}."
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        raise SetupError("the console's tests need Chromium, which is not installed", remedy=remedy)
    log = root / ".mosaic" / "logs" / "chromium.log"
    quiet = ["apt-get", "-q", "-y", "-o", "DPkg::Lock::Timeout=120"]
    run([Job("package lists", [*quiet, "update"], log)], keep_open=keep_open)
    packages = ["chromium", "fonts-liberation"]
    run([Job("Chromium", [*quiet, "install", "--no-install-recommends", *packages], log)], keep_open=keep_open)
    if find() is None:
        raise SetupError("apt installed Chromium, and it is not on PATH", remedy=remedy)
