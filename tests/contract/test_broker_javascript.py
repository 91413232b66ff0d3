"""The broker by Microsoft's JavaScript clients, unmodified. They are installed for these tests and by them alone."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

from mosaic_ops.bootstrap import azurite
from tests.support.amqp import KEY, KEY_NAME
from tests.support.broker import ROOT, RunningBroker, running_broker

pytestmark = pytest.mark.slow

SCRIPTS = ROOT / "tests" / "support" / "javascript"
CASES = [
    "send and receive",
    "values and sequences",
    "subscribe",
    "abandon",
    "dead letter",
    "defer",
    "schedule",
    "peek first",
    "schedule first",
    "lost lock",
    "closed receiver",
    "sessions",
    "refusals",
    "administration",
    "event hubs",
]
_CASE_SECONDS = 60


@pytest.fixture(scope="module")
def node() -> azurite.Node:
    found = azurite.machine_node() or azurite.wheel_node(Path(sysconfig.get_path("purelib")))
    assert found is not None, "there is no Node here; ./mosaic up brings one"
    return found


@pytest.fixture(scope="module")
def scripts(node: azurite.Node, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scripts, with the pinned packages beside them."""
    folder = tmp_path_factory.mktemp("javascript")
    for name in ("package.json", "package-lock.json", "contract.mjs"):
        shutil.copyfile(SCRIPTS / name, folder / name)
    shutil.copyfile(ROOT / ".npmrc", folder / ".npmrc")
    path = {"PATH": f"{Path(node.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        azurite.install_arguments(node), cwd=folder, env={**os.environ, **path}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return folder


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBroker]:
    hubs = [{"name": "readings", "partitions": 2}]
    keys = {"sasKeyName": KEY_NAME, "sasKey": KEY}
    with running_broker(tmp_path_factory.mktemp("broker"), eventHubs=hubs, **keys) as running:
        yield running


def test_every_case_of_the_script_is_run() -> None:
    written = re.findall(r'^  (?:"([\w ]+)"|(\w+)): (?:async )?\(\) =>', (SCRIPTS / "contract.mjs").read_text(), re.M)
    assert [quoted or bare for quoted, bare in written] == CASES


@pytest.mark.parametrize("case", CASES)
def test_what_azure_promises_holds(case: str, node: azurite.Node, scripts: Path, broker: RunningBroker) -> None:
    settings = {
        "SERVICE_BUS": broker.connection(KEY),
        "ADMINISTRATION": broker.administration(KEY),
        "EVENT_HUBS": broker.connection(KEY),
        "NODE_EXTRA_CA_CERTS": str(broker.ca_file),
        "NO_PROXY": "localhost",
    }
    done = subprocess.run(
        [node.executable, "contract.mjs", case],
        cwd=scripts,
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        timeout=_CASE_SECONDS,
    )
    assert done.returncode == 0, done.stderr[-3000:]
