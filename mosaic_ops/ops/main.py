"""The first thing that runs of ``./mosaic ops``: options that hold for every verb may stand anywhere."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

from mosaic_ops.ops.errors import OpsError
from mosaic_ops.ops.target import EmbeddedStack
from mosaic_ops.ops.verbs import ANYWHERE, COMPLETE, VERBS

_TOLD_BY_STATUS: Final = {
    "store_unavailable": "what is away",
    "queue_unavailable": "what is away",
    "member_context_invalid": "whether the clocks differ",
}
_ASKS_NOTHING_AS_OPERATOR: Final = frozenset({"events", "logs", "send", "telemetry"})
"""Verbs that do without the operator's token, or take a member's."""


def main(arguments: list[str]) -> int:
    """Returns the exit code: 0 fine, 1 not so. A usage error leaves by SystemExit 2, as typer has it."""
    arguments = hoisted(arguments)
    stack = EmbeddedStack(_value(arguments, "--state"))
    try:
        if _will_ask(arguments):
            stack.ask_for_token()  # beside the imports that follow
        from mosaic_ops.ops import app

        app.run(arguments, stack)
    except OpsError as error:
        # whoever asks for one thing is sent to where all parts, and the clocks, are told of
        more = _TOLD_BY_STATUS.get(error.api_code, "") if "status" not in arguments else ""
        print(f"mosaic: {error}{f'; {more}: ./mosaic ops status' if more else ''}", file=sys.stderr)
        return error.code
    finally:
        stack.close()
    return 0


def hoisted(arguments: list[str]) -> list[str]:
    """The options of every verb first, the rest as it was."""
    first: list[str] = []
    rest: list[str] = []
    left = iter(arguments)
    for argument in left:
        if argument == "--":
            rest += [argument, *left]
        elif argument in ANYWHERE:
            value = next(left, None)
            first += [argument] if value is None else [argument, value]
        elif argument.partition("=")[0] in ANYWHERE:
            first.append(argument)
        else:
            rest.append(argument)
    return [*first, *rest]


def _value(arguments: list[str], option: str) -> Path | None:
    for place, argument in enumerate(arguments):
        if argument == option and place + 1 < len(arguments):
            return Path(arguments[place + 1])
        if argument.startswith(f"{option}="):
            return Path(argument.partition("=")[2])
    return None


def _will_ask(arguments: list[str]) -> bool:
    """Whether the embedded stack's token is going to be needed."""
    asking = {verb for verbs in VERBS.values() for verb in verbs} - _ASKS_NOTHING_AS_OPERATOR
    return (
        COMPLETE not in os.environ
        and not {"--help", "--url", "-h", "verify"} & set(arguments)
        and not any(argument.startswith("--url=") for argument in arguments)
        and bool(asking & set(arguments))
    )
