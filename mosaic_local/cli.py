"""``./mosaic up``, ``env``, ``token``, ``issuer``."""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from contextlib import closing, suppress
from datetime import timedelta
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import FrameType
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer

from mosaic_local.command import (
    EXIT_USAGE,
    JsonOption,
    StateOption,
    TestingOption,
    end,
    end_on_signals,
    running,
    serve,
    tell_environment,
)
from mosaic_local.errors import StackError
from mosaic_local.state import ROOT, StateFolder

app = typer.Typer(add_completion=False, no_args_is_help=True)

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
    cors: Annotated[
        str | None,
        typer.Option(
            help="Origins whose pages may ask, separated by commas; without it Host.CORS of the app's "
            "local.settings.json.",
            show_default=False,
        ),
    ] = None,
    cors_credentials: Annotated[
        bool, typer.Option("--cors-credentials", help="Those pages may send cookies (Host.CORSCredentials).")
    ] = False,
    event_hub: Annotated[
        list[str] | None,
        typer.Option(
            envvar="MOSAIC_EVENT_HUBS",
            metavar="NAME[:PARTITIONS[:GROUP,...]]",
            help="One more event hub; repeatable, in the setting separated by blanks.",
        ),
    ] = None,
    testing: TestingOption = False,
    folder: AppOption = ROOT,
) -> None:
    """Serve API, worker and emulators until Ctrl-C, and show what the worker logs. With --state, what is stored
    survives a restart."""
    from mosaic_local.anyapp import cors_of
    from mosaic_local.hubs import declared
    from mosaic_local.stack import Stack, StackOptions

    end_on_signals()
    settings = {"Drill__Enabled": "true"} if drill else {}
    try:
        hubs = tuple(declared(text) for text in event_hub or ())
    except ValueError as error:
        end(error, EXIT_USAGE)
    if cors is None:
        try:
            cors, cors_credentials = cors_of(folder)
        except StackError as error:
            end(error, EXIT_USAGE)
    options = StackOptions(
        app=folder,
        state_dir=state,
        http_port=port,
        app_settings=settings,
        event_hubs=hubs,
        testing=testing,
        cors=cors,
        cors_credentials=cors_credentials,
        announce=True,
    )
    stack = Stack(options)

    def welcome() -> None:
        _wait_until_ready(stack.api_base_url)
        print(_welcome(stack.description(), stack.start_seconds, kept=state is not None), flush=True)
        if drill:
            print("DRILLS ARE ON (Drill__Enabled): commands can be made to fail on purpose.\n", flush=True)

    serve(stack, welcome)


@app.command()
def env(
    as_json: JsonOption = False,
    local_settings: Annotated[
        bool, typer.Option("--local-settings", help="As a local.settings.json for `func start`.")
    ] = False,
    state: StateOption = None,
) -> None:
    """The running stack's settings, as an app would need them, and each process's id."""
    stack = running(state)
    if local_settings:
        print(json.dumps({"IsEncrypted": False, "Values": stack["settings"]}, indent=2))
    else:
        tell_environment(stack, as_json=as_json)


@app.command()
def token(
    user: Annotated[str, typer.Option(help="The token's subject, e.g. alice, bob, operator.")],
    role: Annotated[list[str] | None, typer.Option(help="A role, e.g. Mosaic.Operator.Read; repeatable.")] = None,
    audience: Annotated[str | None, typer.Option(help="Another audience than the API's.")] = None,
    expires_in: Annotated[
        int, typer.Option(help="Lifetime in seconds; below -30 (the leeway for clocks): expired.")
    ] = 8 * 3600,
    state: StateOption = None,
    settings: Annotated[
        Path | None,
        typer.Option(help="A local.settings.json: the token is `mosaic issuer`'s, not the stack's.", dir_okay=False),
    ] = None,
) -> None:
    """A bearer token of the running stack's issuer (or, with --settings, of `mosaic issuer`), and nothing else."""
    from mosaic_local.signing import SigningKey

    try:
        if settings is not None:
            from mosaic_local import beside

            local = beside.LocalSettings.read(settings)
            issued_by, issued_for, folder = local.issuer, local.audience, state or beside.STATE
        else:
            environment = running(state)["environment"]
            issued_by, issued_for = environment["Auth__Issuer"], environment["Auth__Audience"]
            folder = Path(environment["StateDir"])
        key = SigningKey.of(folder)
    except StackError as error:
        end(error)
    print(key.mint(issued_by, user, role or (), audience or issued_for, timedelta(seconds=expires_in)))


@app.command()
def issuer(
    settings: Annotated[Path, typer.Option(help="The settings that `func start` reads.", dir_okay=False)] = Path(
        "local.settings.json"
    ),
    state: Annotated[Path | None, typer.Option(help="Where the issuer's key is kept.", file_okay=False)] = None,
) -> None:
    """For `func start`: serve the issuer that local.settings.json names, and make tables and sample members in the
    Azurite that it names. Until Ctrl-C."""
    from mosaic_core.domain.errors import MosaicError
    from mosaic_local import beside, seed

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    try:
        local = beside.LocalSettings.read(settings)
        serving = beside.serve(local, state or beside.STATE)
        try:
            seed.prepare_emulated_storage(local.tables, local.blobs)
            print(f"The issuer runs at {local.issuer}; the sample members are alice and bob. Ctrl-C stops it.")
            print(f"Tokens: ./mosaic token --settings {settings} --user alice", flush=True)
            threading.Event().wait()
        finally:
            serving.stop()
    except (StackError, MosaicError) as error:
        end(error)
    except KeyboardInterrupt:
        print("mosaic: stopped", file=sys.stderr)


def _wait_until_ready(base: str, within: float = 15.0) -> None:
    """The app's first look at what it builds on imports and connects, which a busy machine does not do in the time of
    one answer. What is not ready after ``within`` seconds says so itself: ``health/ready`` names it."""
    until = time.monotonic() + within
    while time.monotonic() < until:
        connection = HTTPConnection(urlsplit(base).netloc, timeout=within)
        with suppress(OSError, HTTPException), closing(connection):
            connection.request("GET", "/api/v1/agent/health/ready")
            if connection.getresponse().status != HTTPStatus.SERVICE_UNAVAILABLE:
                return
        time.sleep(0.5)


def _welcome(description: dict[str, Any], seconds: float, kept: bool) -> str:
    environment = description["environment"]
    base, folder = environment["ApiBaseUrl"], Path(environment["StateDir"])
    processes = ", ".join(f"{name} {process}" for name, process in description["processes"].items())
    conversation = "c0ffee00000000000000000000000001"
    return f"""\
The embedded stack runs (started in {seconds:.1f} s). Ctrl-C stops it.

  API        {base}/api/v1/agent
  console    {base}/api/console
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
