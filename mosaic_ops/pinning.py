"""``./mosaic pin``: compiles ``requirements/*.in`` into the pinned files.

All groups are resolved together into ``constraints.txt`` first, so that a package has one version whichever groups are
installed; each group's file is then the part of it that the group needs. Versions stay as they are unless a
``.in`` file asks for another, or ``--upgrade`` is given. Nothing written names a package index. Last, the wheels that
ship are looked up, and their hashes written to ``requirements/wheels.txt`` (mosaic_ops/packaging/wheels.py).
"""

import argparse
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import Final

GROUPS: Final = {
    "app": "requirements.txt",
    "model": "requirements-model.txt",
    "ops": "requirements-ops.txt",
    "local": "requirements-local.txt",
    "dev": "requirements-dev.txt",
}

ALONE: Final = {"scanner": "requirements-scanner.txt", "agentdojo": "requirements-agentdojo.txt"}
"""Groups that are installed into an environment of their own, and so are resolved by themselves."""


def uv() -> str:
    """The environment's uv."""
    return str(Path(sysconfig.get_path("scripts")) / "uv")


def sources(root: Path) -> list[Path]:
    return [root / "requirements" / f"{group}.in" for group in GROUPS]


def compile_pins(root: Path, *, upgrade: bool) -> None:
    """Writes ``constraints.txt`` and each group's file. Raises CalledProcessError where nothing satisfies them all."""
    constraints = root / "constraints.txt"
    before = [] if upgrade or not constraints.exists() else ["--constraints", str(constraints)]
    inputs = [str(path) for path in sources(root)]
    try:
        text = _compile(root, [*inputs, *before])
    except subprocess.CalledProcessError:
        if not before:
            raise
        # A .in file now asks for something that the old pins exclude: resolve it with what still fits.
        text = _compile(root, inputs)
    constraints.write_text("# Every package of every group. Written by ./mosaic pin.\n" + text, encoding="utf-8")
    for group, name in GROUPS.items():
        source = root / "requirements" / f"{group}.in"
        pins = _compile(root, [str(source), "--constraints", str(constraints)])
        header = f"# Compiled from requirements/{group}.in by ./mosaic pin.\n"
        (root / name).write_text(header + pins, encoding="utf-8")
    for group, name in ALONE.items():
        source, file = root / "requirements" / f"{group}.in", root / name
        before = [] if upgrade or not file.exists() else ["--constraints", str(file)]
        try:
            pins = _compile(root, [str(source), *before])
        except subprocess.CalledProcessError:
            pins = _compile(root, [str(source)])
        header = f"# Compiled from requirements/{group}.in by ./mosaic pin.\n"
        file.write_text(header + pins, encoding="utf-8")


def _compile(root: Path, arguments: Sequence[str]) -> str:
    argv = [uv(), "pip", "compile", "--quiet", "--universal", "--python", sys.executable]
    argv += ["--no-header", "--no-annotate", "--no-emit-index-url", *arguments]
    return subprocess.run(argv, cwd=root, check=True, stdout=subprocess.PIPE, text=True).stdout


def main(arguments: Sequence[str]) -> int:
    """The command. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="mosaic pin", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions that the .in files allow")
    parser.add_argument(
        "--advisories", action="store_true", help="ask the package index for what it knows of the pins; pins nothing"
    )
    options = parser.parse_args(arguments)
    root = Path(__file__).resolve().parent.parent
    if options.advisories:
        from mosaic_ops import advising

        return advising.take(root)
    from mosaic_ops.packaging import wheels
    from mosaic_ops.packaging.errors import PackagingError

    try:
        compile_pins(root, upgrade=options.upgrade)
        wheels.write_lock(root, wheels.shipped_files(root))
    except subprocess.CalledProcessError as error:
        print(f"mosaic pin: uv found no set of versions (exit code {error.returncode})", file=sys.stderr)
        return 1
    except PackagingError as error:
        print(f"mosaic pin: {error}", file=sys.stderr)
        return 1
    print(f"Written: constraints.txt, {', '.join([*GROUPS.values(), *ALONE.values()])}, {wheels.LOCK}")
    return 0
