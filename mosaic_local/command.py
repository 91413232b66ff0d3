"""``python -m mosaic_local up --app DIR``: the stack with a function app that is not the product's.

What is here needs nothing but this package and what it is installed with; `mosaic_local.cli` is the product's.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from mosaic_local.errors import NotRunningError, StackError
from mosaic_local.state import StateFolder, read_stack

if TYPE_CHECKING:
    from mosaic_local.embedded import EmbeddedStack

app = typer.Typer(add_completion=False, no_args_is_help=True)

EXIT_USAGE, EXIT_UNREACHABLE = 2, 3

StateOption = Annotated[Path | None, typer.Option("--state", help="The stack's state folder.", file_okay=False)]
TestingOption = Annotated[
    bool, typer.Option("--testing", help="Let tests move time and make faults (mosaic_local.testing.StackControl).")
]


JsonOption = Annotated[bool, typer.Option("--json", help="As one JSON object.")]


@app.callback()
def _commands() -> None:
    """Service Bus, Event Hubs, storage and the Functions host on this machine, without containers or an account."""


@app.command()
def up(
    folder: Annotated[Path, typer.Option("--app", help="The folder of function_app.py and host.json.", exists=True)],
    queue: Annotated[list[str] | None, typer.Option(help="A queue that the app uses; repeatable.")] = None,
    event_hub: Annotated[
        list[str] | None, typer.Option(metavar="NAME[:PARTITIONS[:GROUP,...]]", help="An event hub; repeatable.")
    ] = None,
    emulator: Annotated[
        list[Path] | None,
        typer.Option(help="A Config.json of Microsoft's Service Bus or Event Hubs emulator; repeatable.", exists=True),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(help="HTTP port; 0 lets the OS choose. [default: Host.LocalHttpPort, or 7071]", min=0, max=65535),
    ] = None,
    state: StateOption = None,
    storage: Annotated[bool, typer.Option(help="With Azurite.")] = True,
    testing: TestingOption = False,
) -> None:
    """Serve the function app until Ctrl-C. Its settings are those of its local.settings.json; the emulators that they
    name are this stack's."""
    from mosaic_local.anyapp import AnyApp
    from mosaic_local.embedded import EmbeddedStack, Options
    from mosaic_local.hubs import declared

    end_on_signals()
    try:
        hubs = [declared(text) for text in event_hub or ()]
        any_app = AnyApp.read(folder, queue or (), hubs, emulator or (), os.environ)
    except (StackError, ValueError) as error:
        end(error, EXIT_USAGE)
    options = Options(
        app=folder,
        state_dir=state,
        http_port=any_app.http_port if port is None else port,
        with_storage=storage,
        testing=testing,
        cors=any_app.cors,
        cors_credentials=any_app.cors_credentials,
        announce=True,
    )
    if any_app.overridden:
        names = ", ".join(any_app.overridden)
        print(f"mosaic: set in this environment, which local.settings.json gives way to: {names}", file=sys.stderr)
    stack = EmbeddedStack(options, any_app)

    def welcome() -> None:
        print(
            f"The embedded stack runs (started in {stack.start_seconds:.1f} s). Ctrl-C stops it.\n\n"
            f"  HTTP     {stack.api_base_url}\n"
            f"  queues   {', '.join(each.name for each in any_app.declared_queues) or 'none'}\n"
            f"  hubs     {', '.join(each.name for each in any_app.declared_hubs) or 'none'}\n"
            f"  logs     {StateFolder(stack.state_dir).logs}\n\n"
            "For clients: python -m mosaic_local env",
            flush=True,
        )

    serve(stack, welcome)


@app.command()
def env(as_json: JsonOption = False, state: StateOption = None) -> None:
    """The running stack's connection strings and process ids."""
    tell_environment(running(state), as_json=as_json)


@app.command()
def install() -> None:
    """Install Azurite (tables and blobs) into the user's cache, by npm."""
    from mosaic_local import azurite

    try:
        print(f"Azurite {azurite.VERSION} is in {azurite.install()}.")
    except StackError as error:
        end(error)


def running(state: Path | None) -> dict[str, Any]:
    """The running stack's description; ends with what is there instead where none runs."""
    try:
        return read_stack(state)
    except NotRunningError as error:
        end(error)


def tell_environment(stack: Mapping[str, Any], *, as_json: bool) -> None:
    """What clients need, and each process's id: for a shell's ``eval``, or as one JSON object."""
    if as_json:
        print(json.dumps({**stack["environment"], "Processes": stack["processes"]}, indent=2))
        return
    for name, value in stack["environment"].items():
        print(f"{name}={shlex.quote(value)}")
    for name, process in stack["processes"].items():
        print(f"Processes__{name}={process}")


def serve(stack: EmbeddedStack, welcome: Callable[[], None]) -> None:
    """Runs the stack until Ctrl-C or its failure; ``welcome`` once it is there. What the worker logs from then on is on
    stderr."""
    from mosaic_local.following import Following, size

    state = stack.options.state_dir
    begin = size(StateFolder(state).logs / "worker.log") if state is not None else 0
    try:
        with stack:
            welcome()
            with Following(StateFolder(stack.state_dir).logs / "worker.log", begin, sys.stderr):
                stack.wait()
    except StackError as error:
        end(error)
    except KeyboardInterrupt:
        print("mosaic: stopped", file=sys.stderr)


def end_on_signals() -> None:
    """SIGINT and SIGTERM raise KeyboardInterrupt, once: a second one must not break off the orderly stop."""
    interrupted = False

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal interrupted
        if not interrupted:
            interrupted = True
            print("mosaic: stopping", file=sys.stderr)
            raise KeyboardInterrupt

    # SIGINT too: a shell starts background jobs with it ignored.
    signal.signal(signal.SIGINT, interrupt)
    signal.signal(signal.SIGTERM, interrupt)


def end(error: Exception, code: int = EXIT_UNREACHABLE) -> NoReturn:
    """Tells the error in one line and exits."""
    print(f"mosaic: {error}", file=sys.stderr)
    raise typer.Exit(code) from None
