"""``./mosaic check``: runs the parts, two at a time, prints a line each, and what is wrong."""

import argparse
import os
import subprocess
import sys
import sysconfig
import time
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

from mosaic_ops.checks import advisories, concurrency, infra, leaks, pins, platforms, tracked
from mosaic_ops.checks.infra import bicep, checkov
from mosaic_ops.checks.sources import tracked_files

ROOT: Final = Path(__file__).resolve().parent.parent.parent
SAMPLE: Final = "docs/samples/notifications"
TYPED: Final = (
    "mosaic_core",
    "mosaic_ops",
    "mosaic_local",
    "bench",
    "tests",
    "function_app.py",
    f"{SAMPLE}/notifications.py",
)


@dataclass(frozen=True)
class Part:
    """One check. `look` returns what is wrong, empty where nothing is; `warn` what it could not see, which fails
    nothing and is told all the same."""

    name: str
    look: Callable[[], str]
    warn: Callable[[], str] = str


@dataclass(frozen=True)
class Result:
    name: str
    wrong: str
    seconds: float
    warning: str = ""


def parts(*, with_platforms: bool) -> list[Part]:
    """In the order in which they are reported; the slow ones come first, so that they start first."""
    listed = [
        Part("types", lambda: _program("mypy", "--strict", *(path for path in TYPED if (ROOT / path).exists()))),
        Part("infra scanner", lambda: "\n".join(checkov.problems(ROOT, bicep.load(ROOT)))),
        Part("layers", lambda: _program("lint-imports", "--no-logo")),
        Part("format", lambda: _program("ruff", "format", "--check", "--output-format", "concise", ".")),
        Part("lint", lambda: _program("ruff", "check", "--output-format", "concise", ".")),
        Part("concurrency", lambda: "\n".join(concurrency.problems(ROOT))),
        Part("leaks", lambda: "\n".join(leaks.find(tracked_files(ROOT)))),
        Part("tracked files", lambda: "\n".join(tracked.problems(ROOT, tracked_files(ROOT)))),
        *(Part(name, partial(_infra, name)) for name in infra.PARTS),
        Part("pins", lambda: "\n".join(pins.problems(ROOT))),
        Part(
            "advisories",
            lambda: "\n".join(advisories.problems(ROOT)),
            lambda: "\n".join(advisories.warnings(ROOT, datetime.now(UTC).date())),
        ),
    ]
    if with_platforms:
        listed.append(Part("platforms", lambda: "\n".join(platforms.problems(ROOT))))
    return listed


def _infra(name: str) -> str:
    return "\n".join(infra.look(name, ROOT))


def _program(name: str, *arguments: str) -> str:
    """The output of one of the environment's programs where it fails."""
    argv = [str(Path(sysconfig.get_path("scripts")) / name), *arguments]
    environ = {**os.environ, "NO_COLOR": "1", "PYTHONPATH": str(ROOT)}
    answer = subprocess.run(
        argv,
        cwd=ROOT,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return "" if answer.returncode == 0 else answer.stdout.strip() or f"exit code {answer.returncode}"


def _carry_out(part: Part) -> Result:
    begun = time.monotonic()
    warning = ""
    try:
        wrong, warning = part.look(), part.warn()
    except Exception:  # a check that breaks has not passed, and the others are still worth running
        wrong = traceback.format_exc()
    return Result(part.name, wrong, time.monotonic() - begun, warning)


def main(arguments: Sequence[str]) -> int:
    """Returns 0 where every part found nothing, 1 otherwise, 2 for a part that does not exist."""
    known = [part.name for part in parts(with_platforms=True)]
    parser = argparse.ArgumentParser(prog="mosaic check", description="Everything that can be said without running it.")
    parser.add_argument("--only", action="append", choices=known, help="only this part; may be repeated")
    parser.add_argument("--fix", action="store_true", help="first let ruff format and mend what it can")
    parser.add_argument(
        "--platforms",
        action="store_true",
        help="also: every pin has a wheel for each platform (asks the package index)",
    )
    options = parser.parse_args(arguments)
    if options.fix:
        for command in (["check", "--fix", "--quiet", "."], ["format", "--quiet", "."]):
            _program("ruff", *command)
    chosen = parts(with_platforms=options.platforms or "platforms" in (options.only or ()))
    if options.only:
        chosen = [part for part in chosen if part.name in options.only]
    begun = time.monotonic()
    failed, warned = [], []
    with ThreadPoolExecutor(max_workers=2) as pool:
        for result in pool.map(_carry_out, chosen):
            print(f"{'✗' if result.wrong else '✓'} {result.name:<14} {result.seconds:6.1f} s", flush=True)
            if result.wrong:
                failed.append(result.name)
                print("\n".join(f"    {line}" for line in result.wrong.splitlines()), flush=True)
            warned += [f"{result.name}: {line}" for line in result.warning.splitlines()]
    for line in warned:
        # last, and where errors go: it is not lost among what passed
        print(f"check: WARNING: {line}", file=sys.stderr)
    took = f"{time.monotonic() - begun:.1f} s"
    if failed:
        print(f"check: {len(failed)} of {len(chosen)} failed in {took}: {', '.join(failed)}", file=sys.stderr)
        return 1
    print(f"check: all {len(chosen)} passed in {took}")
    return 0
