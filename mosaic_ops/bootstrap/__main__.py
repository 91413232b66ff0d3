"""Started by ``./mosaic`` with a Python 3.13, the environment's own where there is one."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[0] = str(ROOT)

from mosaic_ops.bootstrap import environment, pins, scanner  # noqa: E402  (importable only from here on)
from mosaic_ops.bootstrap.jobs import SetupError, say  # noqa: E402


def main(arguments: list[str]) -> int:
    """Makes the environment where something is missing, then runs the command line in it. Returns the exit code."""
    level, with_scanner = pins.level_for(arguments), scanner.is_needed(arguments)
    try:
        if not environment.is_ready(ROOT, level, with_scanner=with_scanner):
            environment.prepare(ROOT, level, with_scanner=with_scanner)
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
