"""./mosaic test: what pytest is given, and what comes back."""

import re
import tomllib
from pathlib import Path

import pytest

from mosaic_ops import testing
from mosaic_ops.bootstrap.__main__ import keep_bytecode
from tests.conftest import SHARED_STACK


@pytest.mark.parametrize(
    ("ours", "pytests"),
    [
        ([], ["-m", "not slow", "-n", "5", "--dist", "loadfile", "--no-loadscope-reorder"]),
        (["--slow"], ["-n", "5", "--dist", "loadfile", "--no-loadscope-reorder"]),
        (["-x", "--durations=9"], ["-m", "not slow", *testing._SPREAD, "-x", "--durations=9"]),
        (["-s"], ["-m", "not slow", "-s"]),
        (["--pdb"], ["-m", "not slow", "--pdb"]),
        (["-n", "0"], ["-m", "not slow", "-n", "0"]),
        (["-n3"], ["-m", "not slow", "-n3"]),
        (["tests/unit"], ["-m", "not slow", "tests/unit"]),
        (["-k", "kill_burst", "--slow", "-x"], ["-k", "kill_burst", "-x"]),
        (["-m", "e2e"], ["-m", "not slow", "-m", "e2e"]),
        (
            ["--coverage"],
            ["-m", "not slow", "-n", "5", "--dist", "loadfile", "--no-loadscope-reorder", *testing.COVERAGE],
        ),
        (["--coverage", "tests/unit"], ["-m", "not slow", *testing.COVERAGE, "tests/unit"]),
    ],
)
def test_slow_tests_only_run_where_asked(ours: list[str], pytests: list[str]) -> None:
    assert testing.pytest_arguments(ours) == pytests


def test_the_files_of_the_shared_stack_are_those_that_use_it() -> None:
    asked, own = (re.compile(p, re.MULTILINE) for p in (r"\b(running: Live|stack: Stack)\b", r"^def stack\("))
    texts = {path: path.read_text("utf-8") for path in (testing.ROOT / "tests/e2e").glob("test_*.py")}
    using = {path.name for path, text in texts.items() if asked.search(text) and not own.search(text)}
    helped = {"test_monitoring_fields.py"}  # its helper is given one that the test starts
    assert {f"tests/e2e/{name}" for name in using - helped} == SHARED_STACK


def test_the_gate_measures_branches_of_the_rooms_that_decide_and_has_one_figure() -> None:
    coverage = tomllib.loads((testing.ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["coverage"]
    assert coverage["run"]["branch"] is True
    assert set(coverage["run"]["source"]) == {f"mosaic_core/{room}" for room in ("domain", "services", "lanes")}
    assert 80 <= coverage["report"]["fail_under"] <= 100
    assert "./mosaic test --coverage" in (testing.ROOT / ".ci" / "run").read_text("utf-8")


def test_an_unknown_option_is_a_usage_error(capfd: pytest.CaptureFixture[str]) -> None:
    assert testing.main(["--no-such-option"]) == 2
    assert "--no-such-option" in capfd.readouterr().err


def test_nothing_to_run_is_not_a_success(capfd: pytest.CaptureFixture[str]) -> None:
    assert testing.main(["tests/unit/test_testing.py", "-k", "no_test_is_called_this", "-q"]) == 1
    assert "deselected" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("environ", "then"),
    [
        ({}, {}),
        ({"PYTHONDONTWRITEBYTECODE": ""}, {}),
        ({"PYTHONDONTWRITEBYTECODE": "1"}, {"PYTHONPYCACHEPREFIX": "/checkout/.mosaic/pycache"}),
        ({"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPYCACHEPREFIX": "/mine"}, {"PYTHONPYCACHEPREFIX": "/mine"}),
    ],
)
def test_bytecode_is_kept_out_of_the_way_and_not_done_without(environ: dict[str, str], then: dict[str, str]) -> None:
    keep_bytecode(Path("/checkout"), environ)
    assert environ == then
