"""``./mosaic issuer`` as a process: tokens that the app's own verifier takes, a member that its own stores find."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mosaic_core.adapters.identity import JwtVerifier, fetch_by_http
from mosaic_core.adapters.tables import open_table_stores
from mosaic_core.config import Connection
from mosaic_core.domain.membership import Right
from mosaic_core.services.callers import MembershipService
from mosaic_local import cli
from mosaic_local.seed import SAMPLE
from tests.support.azurite import Azurite, running_azurite
from tests.support.documents import ROOT


@pytest.fixture(scope="module")
def azurite() -> Iterator[Azurite]:
    with running_azurite() as it:
        yield it


def settings(folder: Path, azurite: Azurite, port: int, **changes: str) -> Path:
    values = json.loads((ROOT / "local.settings.sample.json").read_text())["Values"]
    issuer = f"http://127.0.0.1:{port}"
    values |= {
        "TablesConnection": azurite.tables.connection_string,
        "BlobsConnection": azurite.blobs.connection_string,
        "Auth__Issuer": issuer,
        "Auth__JwksUri": f"{issuer}/jwks",
    }
    file = folder / "local.settings.json"
    file.write_text(json.dumps({"IsEncrypted": False, "Values": values | changes}))
    return file


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def issuer(file: Path, state: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "mosaic_ops.cli", "issuer", "--settings", str(file), "--state", str(state)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def token(file: Path, state: Path, *more: str) -> str:
    answer = CliRunner().invoke(cli.app, ["token", "--settings", str(file), "--state", str(state), *more])
    assert answer.exit_code == 0, answer.stderr
    assert answer.stdout.count("\n") == 1
    return answer.stdout.strip()


async def test_a_token_of_the_issuer_opens_a_sample_household(tmp_path: Path, azurite: Azurite) -> None:
    file, state = settings(tmp_path, azurite, free_port()), tmp_path / "state"
    values = json.loads(file.read_text())["Values"]
    with issuer(file, state) as process:
        assert process.stdout is not None
        assert "The issuer runs at" in process.stdout.readline()
        verifier = JwtVerifier(
            issuer=values["Auth__Issuer"],
            audience=values["Auth__Audience"],
            fetch=fetch_by_http(values["Auth__JwksUri"]),
        )
        principal = await verifier.verify(token(file, state, "--user", "alice", "--role", "Mosaic.Ingest"))
        assert (principal.subject, set(principal.roles)) == ("alice", {"Mosaic.Ingest"})
        stores = open_table_stores(
            Connection(connection_string=azurite.tables.connection_string),
            Connection(connection_string=azurite.blobs.connection_string),
        )
        try:
            caller = await MembershipService(stores.stores.members).caller(principal, Right.ASK)
        finally:
            await stores.close()
        assert caller.household_id == SAMPLE[0].household_id

        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def test_what_cannot_be_served_is_one_line_and_exit_3(tmp_path: Path, azurite: Azurite) -> None:
    away = "DefaultEndpointsProtocol=http;AccountName=a;AccountKey=a2V5;TableEndpoint=http://127.0.0.1:1/a;"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        for file, said in (
            (settings(tmp_path, azurite, taken.getsockname()[1]), "cannot be used"),
            (tmp_path / "none.json", "is missing"),
        ):
            with issuer(file, tmp_path / "state") as process:
                _, told = process.communicate(timeout=30)
            assert (process.returncode, told.count("\n")) == (3, 1), told
            assert said in told
    with issuer(settings(tmp_path, azurite, free_port(), TablesConnection=away), tmp_path / "state") as process:
        _, told = process.communicate(timeout=60)
    assert process.returncode == 3, told
    assert told.startswith("mosaic: ")
    assert "Traceback" not in told
