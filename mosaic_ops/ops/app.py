"""The verbs of ``./mosaic ops``, put together."""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Final

import typer

from mosaic_ops.ops.here import Here, app
from mosaic_ops.ops.target import EmbeddedStack
from mosaic_ops.ops.verbs import ANYWHERE, COMPLETE, VERBS

__all__ = ["VERBS", "module_of", "run", "whole"]


class Shell(StrEnum):
    BASH = "bash"
    ZSH = "zsh"


def module_of(arguments: Sequence[str]) -> str | None:
    """The module of the verb that is typed. None where that is not sure: for help, completion and what is mistyped."""
    left = iter(arguments)
    for argument in left:
        if argument in ANYWHERE:
            next(left, None)
        elif argument.partition("=")[0] not in ANYWHERE:
            return next((module for module, verbs in VERBS.items() if argument in verbs), None)
    return None


def whole() -> typer.Typer:
    """With every verb."""
    for module in VERBS:
        importlib.import_module(f"mosaic_ops.ops.{module}")
    return app


def run(arguments: list[str], stack: EmbeddedStack) -> None:
    wanted = None if COMPLETE in os.environ else module_of(arguments)
    if wanted is None:
        whole()
    else:
        importlib.import_module(f"mosaic_ops.ops.{wanted}")
    if COMPLETE in os.environ:
        from typer._completion_classes import completion_init

        completion_init()
    app(args=arguments, prog_name="mosaic ops", complete_var=COMPLETE, obj=Here(stack, stack))


@app.command(epilog='Example: eval "$(./mosaic ops completion bash)"')
def completion(shell: Annotated[Shell, typer.Argument(help="Whose script.")] = Shell.BASH) -> None:
    """A script that lets the shell complete verbs and options of `./mosaic ops`."""
    if shell is Shell.ZSH:
        typer.echo("autoload -U +X bashcompinit && bashcompinit")
    typer.echo(_BASH, nl=False)


_BASH: Final = f"""\
_mosaic_ops() {{
  [[ ${{COMP_WORDS[1]}} == ops ]] || return
  local IFS=$'\\n'
  local words="$(IFS=' '; echo "mosaic ${{COMP_WORDS[*]:2}}")"
  COMPREPLY=( $( {COMPLETE}=complete_bash COMP_CWORD=$((COMP_CWORD - 1)) COMP_WORDS="$words" \\
    "${{COMP_WORDS[0]}}" ops ) )
}}
complete -o default -F _mosaic_ops mosaic
"""
