"""The groups of packages that are pinned, each with its pinned file, and the program that pins them."""

import sysconfig
from pathlib import Path
from typing import Final

GROUPS: Final = {
    "app": "requirements.txt",
    "model": "requirements-model.txt",
    "ops": "requirements-ops.txt",
    "local": "requirements-local.txt",
    "dev": "requirements-dev.txt",
}

ALONE: Final = {"scanner": "requirements-scanner.txt", "agentdojo": "requirements-agentdojo.txt"}
"""Groups that are installed into an environment of their own, and so are resolved by themselves."""


def uv() -> str:
    """The environment's uv."""
    return str(Path(sysconfig.get_path("scripts")) / "uv")
