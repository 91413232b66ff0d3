"""The contract suite pointed at another back end by its settings: here, at the broker of a stack that somebody else
runs."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from azure.servicebus.management import ServiceBusAdministrationClient

from tests.support import back_end
from tests.support.atom import Admin
from tests.support.broker import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.own_broker("starts it")]

FILES = ("servicebus", "administration", "clients", "eventhubs", "hubs")
_UP_SECONDS = 60


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """What `env` tells of a stack with a queue and an event hub of its owner's."""
    folder = tmp_path_factory.mktemp("elsewhere")
    shutil.copytree(ROOT / "tests" / "support" / "apps" / "streaming", folder / "app")
    state = ["--state", str(folder / "state")]
    module = [sys.executable, "-m", "mosaic_local"]
    up = [*module, "up", "--app", str(folder / "app"), "--no-storage", "--port", "0", *state]
    process = subprocess.Popen(
        [*up, "--queue", "theirs", "--event-hub", "theirs-too:2"], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert "The embedded stack runs" in process.stdout.readline()
        told = subprocess.run([*module, "env", "--json", *state], cwd=ROOT, capture_output=True, text=True, check=True)
        yield json.loads(told.stdout)
    finally:
        process.terminate()
        process.communicate(timeout=_UP_SECONDS)


@pytest.mark.timeout(600)
def test_the_suite_runs_against_a_namespace_that_settings_name_and_leaves_nothing_there(stack: dict[str, str]) -> None:
    settings = {
        back_end.SERVICE_BUS: stack["ServiceBusConnection"],
        back_end.SERVICE_BUS_ADMIN: stack["ServiceBusAdministrationConnection"],
        back_end.EVENT_HUBS: stack["EventHubsConnection"],
        back_end.EVENT_HUBS_ADMIN: stack["ServiceBusAdministrationConnection"],
        back_end.CA_FILE: stack["CaFile"],
        back_end.LOCK: "0.3",
    }
    files = [f"tests/contract/test_broker_{name}.py" for name in FILES]
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not slow", *files],
        cwd=ROOT,
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout[-4000:]
    passed, skipped = re.search(r"(\d+) passed, (\d+) skipped", ran.stdout).groups()  # type: ignore[union-attr]
    assert int(passed) > 5 * int(skipped)
    assert "SKIPPED [1] tests/contract/test_broker_servicebus.py" in ran.stdout
    assert "needs the embedded broker: kills it" in ran.stdout
    admin = stack["ServiceBusAdministrationConnection"]
    with ServiceBusAdministrationClient.from_connection_string(admin, connection_verify=stack["CaFile"]) as client:
        assert [queue.name for queue in client.list_queues()] == ["theirs"]
    assert Admin(admin, Path(stack["CaFile"])).titles("$Resources/EventHubs") == ["theirs-too"]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({back_end.EVENT_HUBS: "Endpoint=sb://localhost:1;"}, f"{back_end.SERVICE_BUS} is not set"),
        ({back_end.SERVICE_BUS: "x=y", back_end.SERVICE_BUS_ADMIN: "none"}, f"{back_end.SERVICE_BUS_ADMIN} is none"),
    ],
)
def test_what_is_not_there_is_skipped_and_says_why(settings: dict[str, str], told: str) -> None:
    environment = {**os.environ, **settings, back_end.EVENT_HUBS_ADMIN: "none"}
    ran = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "tests/contract/test_broker_administration.py",
        ],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert told in ran.stdout, ran.stdout
    assert "passed" not in ran.stdout
