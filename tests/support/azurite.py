"""One Azurite in memory, on ports that the operating system chooses."""

from __future__ import annotations

import base64
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from mosaic_local import azurite
from mosaic_local.errors import PartError
from mosaic_local.state import Secrets


@dataclass(frozen=True, slots=True)
class StorageConnection:
    connection_string: str = ""
    endpoint: str = ""
    client_id: str = ""


@dataclass(frozen=True, slots=True)
class Azurite:
    tables: StorageConnection
    blobs: StorageConnection
    table_port: int
    keys: Secrets
    log: Path

    def tables_behind(self, port: int) -> StorageConnection:
        """The same tables by another port, for a proxy."""
        return StorageConnection(azurite.connection_string(self.keys, 0, port, "Table"))


@contextmanager
def running_azurite(
    location: Path | None = None, *, prepared: bool = True, rows: Path | None = None, testing: bool = False
) -> Iterator[Azurite]:
    """In memory unless it has a ``location``; with the file's ``rows`` from the start.

    Where Azurite is not installed the tests that need it are skipped, and fail in CI."""
    keys = Secrets("mosaictests", base64.b64encode(secrets.token_bytes(32)).decode(), "", "")
    with tempfile.TemporaryDirectory() as folder:
        try:
            log = Path(folder) / "azurite.log"
            part = azurite.start(
                location, 0, 0, keys, log, lambda _part, _code: None, prepared=prepared, rows=rows, testing=testing
            )
        except PartError as missing:
            if os.environ.get("CI"):
                raise
            pytest.skip(str(missing))
        try:
            table, blob = (int(part.answer(name, azurite.READY_SECONDS)[name]) for name in ("table", "blob"))
            yield Azurite(
                tables=StorageConnection(azurite.connection_string(keys, blob, table, "Table")),
                blobs=StorageConnection(azurite.connection_string(keys, blob, table, "Blob")),
                table_port=table,
                keys=keys,
                log=log,
            )
        finally:
            part.stop(azurite.STOP_SECONDS)
