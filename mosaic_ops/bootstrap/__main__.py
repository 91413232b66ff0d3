"""Started by ``./mosaic`` with a Python 3.13, the environment's own where there is one."""

import os
import sys
from collections.abc import MutableMapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[0] = str(ROOT)

from mosaic_ops.bootstrap import browser, environment, pins, scanner  # noqa: E402  (importable only from here on)
from mosaic_ops.bootstrap.jobs import SetupError, say  # noqa: E402


def keep_bytecode(root: Path, environ: MutableMapping[str, str]) -> None:
    """Where no bytecode is to be written, it goes where it lies in nobody's way: every start of a stack begins a dozen
    processes, which would all compile the same packages once more."""
    if environ.pop("PYTHONDONTWRITEBYTECODE", ""):
        environ.setdefault("PYTHONPYCACHEPREFIX", str(root / ".mosaic" / "pycache"))


def main(arguments: list[str]) -> int:
    """Makes the environment where something is missing, then runs the command line in it. Returns the exit code."""
    keep_bytecode(ROOT, os.environ)
    sys.dont_write_bytecode, sys.pycache_prefix = False, os.environ.get("PYTHONPYCACHEPREFIX")
    level, with_scanner = pins.level_for(arguments), scanner.is_needed(arguments)
    try:
        if not environment.is_ready(ROOT, level, with_scanner=with_scanner):
            environment.prepare(ROOT, level, with_scanner=with_scanner)
        if browser.is_needed(arguments) and browser.find() is None:
            environment.prepare_browser(ROOT)
    except SetupError as error:
        say(f"mosaic: {error}")
        if error.remedy:
            say(f"mosaic: {error.remedy}")
        return 3 if error.unreachable else 1
    except KeyboardInterrupt:
        say("\nmosaic: interrupted; run the command again to go on from here")
        return 130
    if Path(sys.prefix) != ROOT / ".venv":
        python = str(environment.python(ROOT))
        os.execv(python, [python, __file__, *arguments])
    from mosaic_ops.cli import main as run_command_line

    return run_command_line(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
