"""``./mosaic test``: pytest in the environment, from the checkout's root."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent

# What pytest returns → what this command line promises.
_EXIT_CODES: Final = {0: 0, 1: 1, 2: 130, 3: 1, 4: 2, 5: 1}

USAGE: Final = """Usage: ./mosaic test [--slow] [--coverage] [pytest arguments]

Runs the tests. --slow adds the long ones. --coverage measures the branches of domain, services and lanes, and fails
below pyproject.toml's figure. Everything else goes to pytest: a path, -k EXPRESSION, -x, --lf, -n 0.
All of them run in five processes, file by file; a choice of your own (a path, -k) runs in one, and so does what needs
the terminal (-s, --pdb), unless -n says otherwise."""

COVERAGE: Final = ("--cov", "--cov-config=pyproject.toml", "--cov-report=term:skip-covered")
"""What is measured, and the least that it may come to, is in pyproject.toml."""

PROCESSES: Final = 5
"""Beyond the two cores that they are meant for: tests over a stack wait half of their time. A file's tests share
a stack, so they stay together; the files keep the order of tests/conftest.py."""


_SPREAD: Final = ("-n", str(PROCESSES), "--dist", "loadfile", "--no-loadscope-reorder")


def _is_for_one_process(argument: str) -> bool:
    """A path or an option's value, which says which tests; what needs the terminal; a number of processes."""
    return not argument.startswith("-") or argument.startswith(("-s", "--capture", "--pdb", "--trace", "-n", "-k"))


def pytest_arguments(arguments: Sequence[str]) -> list[str]:
    """pytest's arguments for ours. A -m of the user's comes last and so wins over ours."""
    rest = [argument for argument in arguments if argument not in ("--slow", "--coverage")]
    everyday = [] if "--slow" in arguments else ["-m", "not slow"]
    spread = [] if any(map(_is_for_one_process, rest)) else _SPREAD
    measured = COVERAGE if "--coverage" in arguments else ()
    return [*everyday, *spread, *measured, *rest]


def main(arguments: Sequence[str]) -> int:
    """Runs pytest and returns the exit code: 0 passed, 1 failed or nothing to run, 2 usage, 130 interrupted."""
    if arguments and arguments[0] in ("--help", "-h"):
        print(USAGE)
        return 0
    argv = [sys.executable, "-m", "pytest", *pytest_arguments(arguments)]
    # without the columns of each instruction: tests of outages format tracebacks by the thousand, mostly their carets
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONNODEBUGRANGES": "1"}
    with subprocess.Popen(argv, cwd=ROOT, env=environ) as process:
        while True:
            try:
                return _EXIT_CODES.get(process.wait(), 1)
            except KeyboardInterrupt:
                # Ctrl-C reached pytest as well: it takes down its fixtures and prints its summary.
                continue
