"""The zip, the digest, the manifest: of the same files always the same."""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

TIME: Final = datetime(2000, 1, 1, tzinfo=UTC)
"""Of every file, in the folder and in the zip, which knows no time before 1980 and no time zone."""

FILE_MODE: Final = 0o644
FOLDER_MODE: Final = 0o755
_UNDIGESTED: Final = "build.json"
"""It carries the digest."""


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest(folder: Path, files: Iterable[str]) -> str:
    """SHA-256 over path and content of every file but build.json: of what runs, not of when, where or from which
    commit it was built."""
    total = hashlib.sha256()
    for path in sorted(files):
        if path != _UNDIGESTED:
            total.update(f"{path}\0{sha256(folder / path)}\n".encode())
    return total.hexdigest()


def settle(folder: Path) -> None:
    """Gives every file and folder the fixed mode and time."""
    for path in sorted(folder.rglob("*"), reverse=True):
        path.chmod(FOLDER_MODE if path.is_dir() else FILE_MODE)
        os.utime(path, (TIME.timestamp(), TIME.timestamp()))
    folder.chmod(FOLDER_MODE)


def write_zip(folder: Path, files: Iterable[str], target: Path) -> None:
    """Sorted, one time, one mode, no entries for folders."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for path in sorted(files):
            entry = zipfile.ZipInfo(path, TIME.timetuple()[:6])
            entry.create_system = 3  # Unix, so that the mode counts
            entry.external_attr = (0o100000 | FILE_MODE) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, (folder / path).read_bytes(), compresslevel=6)


def listing(folder: Path, files: Iterable[str]) -> list[dict[str, Any]]:
    """For the manifest: path, size in bytes and SHA-256 of each file."""
    return [
        {"path": path, "size": (folder / path).stat().st_size, "sha256": sha256(folder / path)}
        for path in sorted(files)
    ]
