"""``./mosaic up``, ``env``, ``token``."""

from __future__ import annotations

import json
import shlex
import signal
import sys
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer

from mosaic_local.errors import NotRunningError, StackError
from mosaic_local.state import ROOT, StateFolder, read_stack

app = typer.Typer(add_completion=False, no_args_is_help=True)

EXIT_UNREACHABLE = 3

StateOption = Annotated[Path | None, typer.Option("--state", help="The stack's state folder.", file_okay=False)]
AppOption = Annotated[
    Path,
    typer.Option(
        "--app",
        help="The folder of function_app.py: this checkout, or a package, e.g. dist/app.",
        file_okay=False,
        exists=True,
        show_default=False,
    ),
]


@app.callback()
def _commands() -> None:
    """The embedded stack."""


@app.command()
def up(
    port: Annotated[int, typer.Option(help="HTTP port of the API; 0 lets the OS choose.", min=0, max=65535)] = 7071,
    state: StateOption = None,
    drill: Annotated[bool, typer.Option("--drill", help="Let commands inject failures (Drill__Enabled).")] = False,
    folder: AppOption = ROOT,
) -> None:
    """Serve API, worker and emulators until Ctrl-C. What is stored survives a restart with --state."""
    from mosaic_local.stack import Stack, StackOptions

    interrupted = False

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal interrupted
        if not interrupted:  # a second one must not break off the orderly stop
            interrupted = True
            print("mosaic: stopping", file=sys.stderr)
            raise KeyboardInterrupt

    # SIGINT too: a shell starts background jobs with it ignored.
    signal.signal(signal.SIGINT, interrupt)
    signal.signal(signal.SIGTERM, interrupt)
    settings = {"Drill__Enabled": "true"} if drill else {}
    try:
        with Stack(
            StackOptions(app=folder, state_dir=state, http_port=port, app_settings=settings, announce=True)
        ) as stack:
            print(_welcome(stack.description(), stack.start_seconds, kept=state is not None), flush=True)
            if drill:
                print("DRILLS ARE ON (Drill__Enabled): commands can be made to fail on purpose.\n", flush=True)
            stack.wait()
    except StackError as error:
        print(f"mosaic: {error}", file=sys.stderr)
        raise typer.Exit(EXIT_UNREACHABLE) from None
    except KeyboardInterrupt:
        print("mosaic: stopped", file=sys.stderr)


@app.command()
def env(
    as_json: Annotated[bool, typer.Option("--json", help="As one JSON object.")] = False,
    local_settings: Annotated[
        bool, typer.Option("--local-settings", help="As a local.settings.json for `func start`.")
    ] = False,
    state: StateOption = None,
) -> None:
    """The running stack's settings, as an app would need them, and each process's id."""
    stack = _running(state)
    if local_settings:
        print(json.dumps({"IsEncrypted": False, "Values": stack["settings"]}, indent=2))
    elif as_json:
        print(json.dumps({**stack["environment"], "Processes": stack["processes"]}, indent=2))
    else:
        for name, value in stack["environment"].items():
            print(f"{name}={shlex.quote(value)}")
        for name, process in stack["processes"].items():
            print(f"Processes__{name}={process}")


@app.command()
def token(
    user: Annotated[str, typer.Option(help="The token's subject, e.g. alice, bob, operator.")],
    role: Annotated[list[str] | None, typer.Option(help="A role, e.g. Mosaic.Operator.Read; repeatable.")] = None,
    audience: Annotated[str | None, typer.Option(help="Another audience than the API's.")] = None,
    expires_in: Annotated[
        int, typer.Option(help="Lifetime in seconds; below -30 (the leeway for clocks): expired.")
    ] = 8 * 3600,
    state: StateOption = None,
) -> None:
    """A bearer token of the running stack's issuer, and nothing else."""
    from mosaic_local.issuer import SigningKey

    stack = _running(state)
    environment = stack["environment"]
    try:
        key = SigningKey.of(Path(environment["StateDir"]))
    except StackError as error:
        print(f"mosaic: {error}", file=sys.stderr)
        raise typer.Exit(EXIT_UNREACHABLE) from None
    print(
        key.mint(
            environment["Auth__Issuer"],
            user,
            role or (),
            audience or environment["Auth__Audience"],
            timedelta(seconds=expires_in),
        )
    )


def _running(state: Path | None) -> dict[str, Any]:
    try:
        return read_stack(state)
    except NotRunningError as error:
        print(f"mosaic: {error}", file=sys.stderr)
        raise typer.Exit(EXIT_UNREACHABLE) from None


def _welcome(description: dict[str, Any], seconds: float, kept: bool) -> str:
    environment = description["environment"]
    base, folder = environment["ApiBaseUrl"], Path(environment["StateDir"])
    processes = ", ".join(f"{name} {process}" for name, process in description["processes"].items())
    conversation = "c0ffee00000000000000000000000001"
    return f"""\
The embedded stack runs (started in {seconds:.1f} s). Ctrl-C stops it.

  API        {base}/api/v1/agent
  state      {folder} ({"kept" if kept else "removed at the end; keep it with --state DIR"})
  logs       {StateFolder(folder).logs}
  telemetry  {folder / "telemetry"}
  processes  {processes}

Try, in another terminal:

  curl -s {base}/api/v1/agent/health/ready
  curl -s -X POST {base}/api/v1/agent/conversations/{conversation}/messages \\
    -H "Authorization: Bearer $(./mosaic token --user alice)" -H 'Content-Type: application/json' \\
    -d '{{"message": "What did we spend on groceries last month?"}}'
  curl -s {base}/api/v1/agent/conversations/{conversation}/stream \\
    -H "Authorization: Bearer $(./mosaic token --user alice)"
  ./mosaic env
"""


if __name__ == "__main__":
    app()
