"""What every verb is given, and the options that several take."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mosaic_core.domain.lanes import Lane
from mosaic_ops.ops import queues
from mosaic_ops.ops.api import Api
from mosaic_ops.ops.errors import OpsError, UnreachableError
from mosaic_ops.ops.queues import Depth, Queues
from mosaic_ops.ops.target import Deployment, EmbeddedStack, Target

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help=(
        "Operate the embedded stack, or a deployment. Reading verbs change nothing: dead letters are looked at, never "
        "received. What changes something goes through the API, as whoever the token names.\n\n"
        "Exit codes: 0 fine, 1 the thing looked for is not so, 2 usage, 3 not reachable."
    ),
)
dlq = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Dead letters, looked at and never taken.")
told = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Spans and log records, as the seed names them.")
app.add_typer(dlq, name="dlq")
app.add_typer(told, name="telemetry")


class Kind(StrEnum):
    EMBEDDED = "embedded"
    AZURE = "azure"


@dataclass
class Here:
    """What every verb is given."""

    stack: EmbeddedStack
    target: Target

    @property
    def api(self) -> Api:
        return Api(self.target)

    @property
    def queues(self) -> Queues:
        return Queues(self.target.bus)


@dataclass(frozen=True, slots=True)
class Depths:
    """``unknown`` says why some, or all, could not be counted; ``silent`` are the lanes whose queues did not answer."""

    known: list[Depth]
    unknown: str | None = None
    silent: tuple[str, ...] = ()


def count_depths(here: Here, named: dict[str, str]) -> Depths:
    """What the queues count; or why that is not known. How the lanes are is told all the same."""
    try:
        found = asyncio.run(here.queues.depths(list(named.items())))
    except UnreachableError as error:
        return Depths([], str(error), tuple(named) if error.is_silence else ())
    except OpsError as error:
        return Depths([], str(error))
    untold = [(lane, one) for lane, one in zip(named, found, strict=True) if isinstance(one, UnreachableError)]
    said = dict.fromkeys(str(one) for _, one in untold)
    silent = tuple(lane for lane, one in untold if one.is_silence)
    return Depths([one for one in found if isinstance(one, Depth)], "; ".join(said) or None, silent)


def queues_of(here: Here) -> list[tuple[str, str]]:
    """The lanes' real queues; their usual names where the API cannot be asked: it may be what is down."""
    try:
        return [(lane["lane"], lane["queue"]) for lane in here.api.get("/ops/lanes")["lanes"]]
    except OpsError as error:
        if not isinstance(error, UnreachableError) and error.api_code != "role_required":
            raise
        return list(queues.DEFAULT_QUEUES.items())


JsonOption = Annotated[bool, typer.Option("--json", help="As one JSON object.")]
LimitOption = Annotated[int, typer.Option(min=1, max=2000, help="How many at most.")]
LaneOption = Annotated[Lane | None, typer.Option(help="Only this lane.")]
HouseholdOption = Annotated[str | None, typer.Option(metavar="ID", help="Only this household.")]
SinceOption = Annotated[
    str | None, typer.Option(metavar="TIME", help="Only from then on: 30m, 2h, 7d ago, or 2026-01-31T08:00:00Z.")
]


@app.callback()
def _where(
    ctx: typer.Context,
    target: Annotated[Kind | None, typer.Option(help="Which kind; azure needs --url.")] = None,
    state: Annotated[Path | None, typer.Option(file_okay=False, help="The embedded stack's state folder.")] = None,
    url: Annotated[
        str | None, typer.Option(envvar="MOSAIC_URL", help="A deployment's address, https://<app>.azurewebsites.net.")
    ] = None,
    token_command: Annotated[
        str, typer.Option(envvar="MOSAIC_TOKEN_COMMAND", help="A command that prints a bearer token for --url.")
    ] = "",
    service_bus: Annotated[
        str, typer.Option(envvar="MOSAIC_SERVICE_BUS", help="A deployment's Service Bus namespace, by host name.")
    ] = "",
) -> None:
    here: Here = ctx.obj
    if url is None:
        if target is Kind.AZURE:
            raise typer.BadParameter("azure needs --url, the app's address", param_hint="--target")
        return
    if target is Kind.EMBEDDED or state is not None:
        raise typer.BadParameter(
            "names a deployment; --state and --target embedded an embedded stack", param_hint="--url"
        )
    here.target = Deployment(url, token_command, service_bus)
