"""Stands in for ./mosaic: takes a command's arguments as the command does, prints them, runs nothing."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from mosaic_ops.cli import main


class _TakenError(Exception):
    """The command line was understood."""


def _take(self: argparse.ArgumentParser, args: Any = None, namespace: Any = None) -> argparse.Namespace:
    taken, rest = self.parse_known_args(args, namespace)
    if rest:
        self.error(f"unrecognized arguments: {' '.join(rest)}")
    raise _TakenError(vars(taken))


if __name__ == "__main__":
    argparse.ArgumentParser.parse_args = _take  # type: ignore[assignment,method-assign]
    try:
        sys.exit(main(sys.argv[1:]))
    except _TakenError as taken:
        print(json.dumps({"command": sys.argv[1], "arguments": {k: str(v) for k, v in taken.args[0].items()}}))
