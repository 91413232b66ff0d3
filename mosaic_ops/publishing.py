"""``./mosaic publish``: sends the built package to a function app by the Azure CLI, again while Azure is not ready.

A role that was assigned a minute ago does not count everywhere yet, and a new app's deployment site is not up: the
first tries end with 403 or 503. Neither can be seen from outside but by trying.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from mosaic_ops.packaging.archive import sha256

EXIT_NOT_SO: Final = 1
EXIT_UNREACHABLE: Final = 3
AGAIN_SECONDS: Final = 20.0
_PASSING: Final = re.compile(
    r"\b(403|408|409|429|500|502|503|504)\b|forbidden|unavailable|bad gateway|conflict|timed? ?out"
    r"|connection (reset|aborted|refused)|name resolution|name or service not known|getaddrinfo",
    re.IGNORECASE,
)
_SIGNED_OUT: Final = re.compile(r"az login|AADSTS|no subscription|token (is|has) expired", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Tried:
    """How one call of the Azure CLI ended: its output, and what it complained of."""

    code: int
    out: str
    complaint: str

    @property
    def words(self) -> str:
        """The complaint in a line: the one that is marked as an error, else the last."""
        lines = [line.strip() for line in self.complaint.splitlines() if line.strip()]
        return next((line for line in lines if line.startswith("ERROR")), lines[-1] if lines else "")

    @property
    def passes(self) -> bool:
        """Whether waiting may help."""
        return _PASSING.search(self.complaint) is not None and not self.is_signed_out

    @property
    def is_signed_out(self) -> bool:
        return _SIGNED_OUT.search(self.complaint) is not None


def az(arguments: Sequence[str]) -> Tried:
    """Runs ``az``. Raises FileNotFoundError where there is none."""
    answer = subprocess.run(["az", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    lines = [line for line in answer.stderr.splitlines() if not line.startswith("WARNING")]
    return Tried(answer.returncode, answer.stdout, "\n".join(lines))


@dataclass(frozen=True, slots=True, kw_only=True)
class Publishing:
    """``seconds`` is how long it may take in all. ``pause`` waits, ``monotonic`` tells seconds."""

    resource_group: str
    app: str
    seconds: float
    run: Callable[[Sequence[str]], Tried] = az
    pause: Callable[[float], None] = time.sleep
    monotonic: Callable[[], float] = time.monotonic
    say: Callable[[str], None] = lambda line: print(line, file=sys.stderr, flush=True)

    def has_functions(self) -> bool:
        """Whether something is deployed. An app that cannot tell yet has nothing."""
        tried = self.run(["functionapp", "function", "list", *self._named, "--output", "json"])
        try:
            return tried.code == 0 and bool(json.loads(tried.out))
        except ValueError:
            return False

    def publish(self, zip_file: Path) -> Tried:
        """The last try: the one that went through, or the one that no other follows."""
        command = ["functionapp", "deployment", "source", "config-zip", *self._named]
        command += ["--src", str(zip_file), "--build-remote", "false", "--output", "json"]
        deadline = self.monotonic() + self.seconds
        number = 0
        while True:
            number += 1
            tried = self.run(command)
            if tried.code == 0 or not tried.passes or self.monotonic() + AGAIN_SECONDS > deadline:
                return tried
            self.say(f"mosaic publish: try {number}: {tried.words[:200]}; again in {AGAIN_SECONDS:.0f} s")
            self.pause(AGAIN_SECONDS)

    @property
    def _named(self) -> list[str]:
        return ["--resource-group", self.resource_group, "--name", self.app]


def read_package(folder: Path) -> tuple[Path, dict[str, Any]]:
    """The zip and its manifest. Raises ValueError where they are not there or not of one build."""
    try:
        manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_bytes())
        zip_file = folder / str(manifest["zip"]["name"])
        if sha256(zip_file) != manifest["zip"]["sha256"]:
            raise ValueError(f"{zip_file} is not the one that manifest.json names; build it again: ./mosaic package")
    except (OSError, KeyError, TypeError, json.JSONDecodeError):
        raise ValueError(f"there is no package in {folder}; build it: ./mosaic package") from None
    return zip_file, manifest


def main(arguments: Sequence[str]) -> int:
    """The command. Returns the exit code: 0 published (or nothing to do), 1 refused, 3 Azure is not reachable."""
    parser = argparse.ArgumentParser(
        prog="mosaic publish",
        description="Publish the built package to a function app, without a build there. Waits and repeats while Azure "
        "answers 403 or 5xx, as it does in a new app's first minutes.",
    )
    parser.add_argument("--resource-group", required=True, metavar="NAME")
    parser.add_argument("--app", required=True, metavar="NAME")
    parser.add_argument("--package", type=Path, default=Path("dist"), metavar="DIR", help="default: dist")
    parser.add_argument("--timeout", type=float, default=900.0, metavar="SECONDS", help="default: 900")
    parser.add_argument("--first", action="store_true", help="only where the app has no function yet")
    options = parser.parse_args(arguments)
    publishing = Publishing(resource_group=options.resource_group, app=options.app, seconds=options.timeout)
    try:
        zip_file, manifest = read_package(options.package)
        if options.first and publishing.has_functions():
            print(f"{options.app} has functions already: left as it is")
            return 0
        tried = publishing.publish(zip_file)
    except ValueError as error:
        print(f"mosaic publish: {error}", file=sys.stderr)
        return EXIT_NOT_SO
    except FileNotFoundError:
        print("mosaic publish: the Azure CLI (az) is not installed", file=sys.stderr)
        return EXIT_UNREACHABLE
    if tried.code == 0:
        print(f"published {zip_file.name}, package {manifest['digest']}, to {options.app}")
        return 0
    print(f"mosaic publish: {tried.words or f'az ended with {tried.code}'}", file=sys.stderr)
    if tried.is_signed_out:
        print("mosaic publish: sign in with az login, then run this again", file=sys.stderr)
    return EXIT_UNREACHABLE if tried.is_signed_out or tried.passes else EXIT_NOT_SO
