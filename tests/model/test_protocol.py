"""The protocol explored without a violation; every rule of it missed where it is removed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.model import protocol

ROOT = Path(__file__).resolve().parents[2]
QUICK_SCENARIOS = ("killer", "busy", "forger")
QUICK_BREAKS = ("gate-skipped", "outage-counts")


EVERYDAY = [scenario.name for scenario in protocol.SCENARIOS if not scenario.deep_only]


def explore(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", protocol.__name__, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", QUICK_SCENARIOS)
def test_a_small_scenario_has_no_violation(name: str) -> None:
    done = explore("--scenario", name)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", QUICK_BREAKS)
def test_a_rule_that_is_removed_ends_in_a_violation(name: str) -> None:
    first, _ = protocol.BREAKS[name]
    done = explore("--break", name, "--scenario", first)
    assert done.returncode == 1, done.stdout
    assert "gave up" not in done.stdout


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", EVERYDAY)
def test_every_interleaving_keeps_what_is_promised(name: str) -> None:
    done = explore("--scenario", name)
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_every_deliberate_break_is_caught() -> None:
    done = explore("--all-breaks")
    assert done.returncode == 0, done.stdout
    assert done.stdout.count(" caught in ") == len(protocol.BREAKS)
