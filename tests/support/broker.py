"""Starts the embedded broker as the stack does: a process of its own, on ports that the operating system chooses."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme

ROOT = Path(__file__).resolve().parents[2]

SDK_LEAVES_SOCKETS = pytest.mark.filterwarnings(
    "ignore:unclosed:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
"""The SDKs do not close the socket of a connection that was cut; the garbage collector does, now and then."""


@dataclass(frozen=True)
class RunningBroker:
    process: subprocess.Popen[str]
    amqp_port: int
    admin_port: int | None
    ca_file: Path

    def connection(self, key: str = "unchecked", name: str = "RootManageSharedAccessKey") -> str:
        return (
            f"Endpoint=sb://localhost:{self.amqp_port};SharedAccessKeyName={name};SharedAccessKey={key};"
            "UseDevelopmentEmulator=true;"
        )

    def administration(self, key: str = "unchecked", name: str = "RootManageSharedAccessKey") -> str:
        return self.connection(key, name).replace(f":{self.amqp_port};", f":{self.admin_port};")

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        self.process.terminate()
        return self.process.wait(10)

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.wait(10)


def write_config(folder: Path, **config: Any) -> Path:
    path = folder / "broker.json"
    path.write_text(json.dumps(config))
    return path


def launch(config: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "mosaic_local.broker", "--config", str(config)]
    return subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@contextmanager
def running_broker(folder: Path, **config: Any) -> Iterator[RunningBroker]:
    """A broker with this configuration and a certificate of its own; stopped at the end, whatever happened to it."""
    ca = trustme.CA()
    certificate = ca.issue_cert("localhost", "127.0.0.1")
    ca_file, cert_file, key_file = folder / "ca.pem", folder / "cert.pem", folder / "key.pem"
    ca.cert_pem.write_to_path(str(ca_file))
    key_file.write_bytes(certificate.private_key_pem.bytes())
    cert_file.write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    path = write_config(folder, **{"certFile": str(cert_file), "keyFile": str(key_file), **config})
    process = launch(path)
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        line = process.stdout.readline()
        if not line:
            raise AssertionError(f"the broker did not start: {process.stderr.read()}")
        ready = json.loads(line)
        assert ready["ready"] is True
        yield RunningBroker(process, ready["amqpPort"], ready["adminPort"], ca_file)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(10)
        process.stdout.close()
        process.stderr.close()
