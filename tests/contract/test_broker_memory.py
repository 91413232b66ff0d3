"""The broker's tests over a broker whose freed memory is overwritten: a view that outlives its owner fails."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.support.broker import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.own_broker("runs it with its memory overwritten")]

FILES = ("test_broker_servicebus.py", "test_broker_clients.py", "test_broker_eventhubs.py")


@pytest.mark.timeout(400)
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="MALLOC_PERTURB_ is of glibc")
@pytest.mark.parametrize("file", FILES)
def test_nothing_reads_memory_that_is_freed(file: str) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"tests/contract/{file}"]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "MALLOC_PERTURB_": "165"}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-4000:]
