"""The broker, or whatever back end is named, by Microsoft's JavaScript clients, unmodified. They are installed for
these tests and by them alone."""

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
from tests.support.back_end import SHORTEST_LOCK, BackEnd, back_end
from tests.support.broker import ROOT

pytestmark = pytest.mark.slow

SCRIPTS = ROOT / "tests" / "support" / "javascript"
FILES = ("contract.mjs", "shared.mjs", "queues.mjs", "administration.mjs", "hubs.mjs")
CASES = [
    # queues.mjs
    "send and receive",
    "one message",
    "a full batch",
    "values and sequences",
    "annotated messages",
    "receive and delete",
    "iterator",
    "subscribe",
    "subscribe and fail",
    "subscribe and settle",
    "abandon",
    "dead letter",
    "dead-letter queue",
    "defer",
    "deferred and settled",
    "schedule",
    "schedule by property",
    "peek",
    "peek first",
    "schedule first",
    "lost lock",
    "renewed lock",
    "renewed while processed",
    "time to live",
    "closed receiver",
    "two receivers",
    "sessions",
    "refusals",
    "disabled queue",
    # administration.mjs
    "administration",
    "queue options",
    "runtime properties",
    "pages of queues",
    "bad names",
    "unknown queue",
    # hubs.mjs
    "event hubs",
    "hub properties",
    "event batches",
    "annotated events",
    "positions",
    "latest",
    "consumer groups",
    "last enqueued",
    "owner levels",
    "checkpoints",
    "buffered producer",
    "hub refusals",
]
OWN = {"sessions": "others have sessions", "queue options": "others take what it refuses"}
HUB, GROUP = "readings", "second"
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
    for name in ("package.json", "package-lock.json", *FILES):
        shutil.copyfile(SCRIPTS / name, folder / name)
    shutil.copyfile(ROOT / ".npmrc", folder / ".npmrc")
    path = {"PATH": f"{Path(node.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        azurite.install_arguments(node), cwd=folder, env={**os.environ, **path}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return folder


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BackEnd]:
    hubs = [{"name": HUB, "partitions": 2, "consumerGroups": [GROUP]}]
    with back_end(tmp_path_factory.mktemp("broker"), event_hubs=hubs) as running:
        yield running


def test_every_case_of_the_scripts_is_run() -> None:
    written = "".join((SCRIPTS / name).read_text() for name in FILES[2:])
    found = re.findall(r'^  (?:"([\w -]+)"|(\w+)): (?:async )?\(\) =>', written, re.M)
    assert [quoted or bare for quoted, bare in found] == CASES


def _marked(case: str) -> object:
    return pytest.param(case, marks=pytest.mark.own_broker(OWN[case])) if case in OWN else case


@pytest.mark.parametrize("case", [_marked(case) for case in CASES])
def test_what_azure_promises_holds(case: str, node: azurite.Node, scripts: Path, broker: BackEnd) -> None:
    of_hubs = CASES.index(case) >= CASES.index("event hubs")
    settings = {
        "SERVICE_BUS": "" if of_hubs else broker.service_bus,
        "ADMINISTRATION": "" if of_hubs else broker.administration,
        "EVENT_HUBS": broker.event_hubs if of_hubs else "",
        "HUB": broker.named(HUB),
        "GROUP": GROUP,
        "PREFIX": f"{broker.prefix}js",
        "SHORTEST_LOCK": str(SHORTEST_LOCK or 1),
        "NO_PROXY": "localhost",
    } | ({"NODE_EXTRA_CA_CERTS": str(broker.ca_file)} if broker.ca_file else {})
    done = subprocess.run(
        [node.executable, "contract.mjs", case],
        cwd=scripts,
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        timeout=_CASE_SECONDS + 5 * SHORTEST_LOCK,
    )
    assert done.returncode == 0, done.stderr[-3000:]
