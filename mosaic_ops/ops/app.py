"""The verbs of ``./mosaic ops``, put together."""

from __future__ import annotations

import os
from enum import StrEnum
from typing import Annotated, Final

import typer

# each registers its verbs
from mosaic_ops.ops import (  # noqa: F401
    deadletters,
    events,
    evidence,
    glance,
    households,
    members,
    replays,
    runs,
    send,
    signals,
    steering,
    told,
)
from mosaic_ops.ops.here import (
    Here,
    app,
)
from mosaic_ops.ops.main import COMPLETE
from mosaic_ops.ops.target import EmbeddedStack

__all__ = ["app", "run"]


class Shell(StrEnum):
    BASH = "bash"
    ZSH = "zsh"


def run(arguments: list[str], stack: EmbeddedStack) -> None:
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
