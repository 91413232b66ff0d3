"""What the figures were measured on, without a name or a path of the machine."""

from __future__ import annotations

import json
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import psutil  # type: ignore[import-untyped]  # its stubs are a package of their own

from mosaic_core.config import VERSION

PACKAGES: Final = (
    "aiohttp",
    "azure-data-tables",
    "azure-eventhub",
    "azure-functions",
    "azure-functions-runtime",
    "azure-servicebus",
    "grpcio",
    "opentelemetry-sdk",
    "pydantic",
    "python-qpid-proton-wheel",
)


def describe(root: Path) -> dict[str, Any]:
    """Cores, memory, load at the start, interpreter, and the versions that the figures depend on."""
    return {
        "system": platform.system(),
        "architecture": platform.machine(),
        "cores": os.cpu_count(),
        "memoryMb": round(psutil.virtual_memory().total / 2**20),
        "loadAtStart": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "python": platform.python_version(),
        "version": VERSION,
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
        "azurite": _azurite(root),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except ModuleNotFoundError:
        return None


def _azurite(root: Path) -> str | None:
    manifest = root / ".mosaic" / "azurite" / "node_modules" / "azurite" / "package.json"
    try:
        return str(json.loads(manifest.read_text("utf-8"))["version"])
    except (OSError, ValueError, KeyError):
        return None
