"""`evidence`: the release checklist's four drills carried out, and the bundle that proves them; `evidence verify`: a
bundle checked again, without a network."""

from __future__ import annotations

import asyncio
import platform
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from mosaic_core.domain.errors import MosaicError
from mosaic_ops.ops import show
from mosaic_ops.ops.errors import OpsError, UnreachableError, UsageError
from mosaic_ops.ops.here import Here, JsonOption, app

if TYPE_CHECKING:
    from mosaic_ops.evidence.drills import Drills, Kept
    from mosaic_ops.smoke.target import Target

EMBEDDED_SECONDS: Final = 60.0
AZURE_SECONDS: Final = 300.0
_TOOLS: Final = ("azure-servicebus", "azure-eventhub", "azure-data-tables", "azure-storage-blob")

evidence = typer.Typer(
    rich_markup_mode=None,
    help=(
        "The release checklist's four drills (retry with recovery, dead letter, replay with a duplicate, trace from "
        "API to tables), carried out with a household of their own; and a bundle that proves them. Without a verb: "
        "carries them out. Exit code 1 names what is not proven."
    ),
)
app.add_typer(evidence, name="evidence")


@evidence.callback(
    invoke_without_command=True,
    epilog="Example: ./mosaic ops evidence --out release",
)
def make(
    ctx: typer.Context,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", file_okay=False, help="Where the bundle goes: a folder and a zip.")
    ] = None,
    environment: Annotated[str, typer.Option(metavar="NAME", help="What the bundle calls it; default: the app.")] = "",
    resource_group: Annotated[str, typer.Option(metavar="NAME", help="A deployment's.")] = "",
    app_name: Annotated[str, typer.Option("--app", metavar="NAME", help="A deployment's function app.")] = "",
    workspace_id: Annotated[
        str, typer.Option(metavar="GUID", help="A deployment's Log Analytics workspace, where its spans are.")
    ] = "",
    timeout: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="For each thing waited for; default 60, a deployment 300.")
    ] = 0.0,
    json: JsonOption = False,
) -> None:
    """Carries out the drills and writes the bundle."""
    if ctx.invoked_subcommand is not None:
        return
    here: Here = ctx.obj
    if out is None:
        raise UsageError("--out names where the bundle goes; a bundle is checked by ./mosaic ops evidence verify")
    if not here.target.is_embedded and not (resource_group and app_name and workspace_id):
        raise UsageError("a deployment needs --resource-group, --app and --workspace-id besides --url")
    from mosaic_ops.evidence import bundle
    from mosaic_ops.evidence.document import AZURE, EMBEDDED, document
    from mosaic_ops.smoke import target as targets
    from mosaic_ops.smoke.errors import NotReachableError, NotSoError

    seconds = timeout or (EMBEDDED_SECONDS if here.target.is_embedded else AZURE_SECONDS)
    try:
        where: Target
        if here.target.is_embedded:
            where = targets.Embedded.of(here.target.base_url, here.target.state_dir)
        else:
            where = targets.Azure(here.target.base_url, resource_group, app_name)
        asked = _Asked(
            where=where,
            token=here.target.token,
            environment=environment or app_name or EMBEDDED,
            kind=EMBEDDED if here.target.is_embedded else AZURE,
            state=here.target.state_dir if here.target.is_embedded else None,
            workspace_id=workspace_id,
            seconds=seconds,
        )
        with _progress(quiet=json) as say:
            records = asyncio.run(_carried_out(asked, say))
    except (NotReachableError, MosaicError) as error:
        raise UnreachableError(str(error)) from None
    except NotSoError as error:
        raise UsageError(str(error)) from None
    try:
        folder, packed = bundle.write(out, records)
    except OSError as error:
        raise UsageError(
            f"the bundle cannot be written below {out} ({error.strerror or type(error).__name__})"
        ) from None
    said = document(records)
    if json:
        show.as_json({**said, "folder": str(folder), "zip": str(packed)})
    else:
        _tell(said)
        show.line(f"bundle: {packed}")
        show.line(f"report: {folder / bundle.REPORT}")
    _end(said["claims"])


@evidence.command(epilog="Example: ./mosaic ops evidence verify release/mosaic-evidence-20260131T080000Z-embedded.zip")
def verify(
    bundle_path: Annotated[Path, typer.Argument(metavar="BUNDLE", help="The zip, or the folder.")],
    require_deployment: Annotated[
        bool, typer.Option("--require-deployment", help="One of the embedded stack does not pass.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Checks a bundle without a network: its files by their sums, each claim from its raw records alone."""
    from mosaic_ops.evidence import bundle

    try:
        checked = bundle.check(bundle_path)
    except (bundle.NoBundleError, OSError) as error:
        raise UsageError(f"this is no bundle: {error}") from None
    findings = [{"proof": it.proof, "why": it.why} for it in checked.findings]
    if require_deployment and checked.said.get("stamp"):
        findings.append({"proof": "stamp", "why": f"it is stamped {checked.said['stamp']}"})
    if json:
        show.as_json({"good": not findings, "findings": findings, "said": dict(checked.said)})
    elif checked.said:
        _tell(checked.said)
    if findings:
        raise OpsError("not so: " + "; ".join(f"{it['proof']} ({it['why']})" for it in findings))
    if not json:
        show.line("the sums are right, and each claim was made again from the raw records")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    where: Target
    token: str
    environment: str
    kind: str
    state: Path | None
    workspace_id: str
    seconds: float


async def _carried_out(asked: _Asked, say: Say) -> list[dict[str, Any]]:
    """The records of the drills, and of how they were made."""
    from mosaic_core.domain.envelope import iso
    from mosaic_ops.evidence import settings as allowed
    from mosaic_ops.evidence.drills import Drills
    from mosaic_ops.smoke import doors as ways
    from mosaic_ops.smoke.parts import subject_of

    began, subject = iso(datetime.now(UTC)), subject_of(asked.token)
    async with AsyncExitStack() as stack:
        doors = await stack.enter_async_context(ways.opened(asked.where, asked.token))
        say("", "looking at the app's settings")
        known = await doors.settings()
        told = allowed.told(await asyncio.to_thread(asked.where.app_settings))
        opened = await stack.enter_async_context(_tables(known))
        spans = await stack.enter_async_context(_spans(asked))
        await doors.listen()
        drills = Drills(
            doors=doors,
            opened=opened,
            queues=known.queues,
            subject=subject,
            spans=spans,
            seconds=asked.seconds,
            event_seconds=min(asked.seconds, 15.0 if asked.where.is_embedded else 60.0),
            poll_seconds=0.1 if asked.where.is_embedded else 0.5,
            say=say,
        )
        kept = await drills.run()
        _made(kept, drills, asked, subject=subject, began=began, settings=told)
        return kept.records


def _made(kept: Kept, drills: Drills, asked: _Asked, *, subject: str, began: str, settings: dict[str, str]) -> None:
    from importlib.metadata import version

    from mosaic_core.config import VERSION
    from mosaic_core.domain.envelope import iso

    kept.add(
        "made",
        "",
        target=asked.kind,
        environment=asked.environment,
        subject=subject,
        householdId=drills.household_id,
        startedAtUtc=began,
        endedAtUtc=iso(datetime.now(UTC)),
        settings=settings,
        leftBehind=drills.left,
        tools={
            "mosaic": VERSION,
            "python": platform.python_version(),
            **{name: version(name) for name in _TOOLS},
        },
    )


@asynccontextmanager
async def _tables(known: Any) -> AsyncIterator[Any]:
    from mosaic_core.adapters.tables import open_table_stores

    opened = open_table_stores(known.tables, known.blobs)
    try:
        yield opened
    finally:
        await opened.close()


@asynccontextmanager
async def _spans(asked: _Asked) -> AsyncIterator[Any]:
    from mosaic_ops.ops.spans import OfFiles, OfWorkspace

    if asked.state is not None:
        yield OfFiles(asked.state)
        return
    from azure.identity.aio import DefaultAzureCredential
    from azure.monitor.query.aio import LogsQueryClient

    async with DefaultAzureCredential() as credential, LogsQueryClient(credential) as client:
        yield OfWorkspace(client, asked.workspace_id, asked.seconds)


type Say = Any


@contextmanager
def _progress(*, quiet: bool) -> Iterator[Say]:
    """What each drill is at: a line each that changes where there is a terminal, else a line for each change."""
    if quiet:
        yield lambda drill, said: None
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console(file=sys.stderr)
    if not console.is_terminal:
        yield lambda drill, said: print(f"{drill or 'evidence'}: {said}", file=sys.stderr, flush=True)
        return
    columns = SpinnerColumn(), TextColumn("{task.fields[drill]:<12} {task.description}"), TimeElapsedColumn()
    with Progress(*columns, console=console) as progress:
        tasks: dict[str, Any] = {}

        def say(drill: str, said: str) -> None:
            if drill not in tasks:
                tasks[drill] = progress.add_task(said, total=None, drill=drill or "evidence")
            progress.update(tasks[drill], description=said)

        yield say


def _tell(said: Any) -> None:
    if said["stamp"]:
        show.line(f"{said['stamp']}: made on the embedded stack", style="bold red")
    show.fields(
        [
            ("environment", said["environment"]),
            ("version", said["version"]),
            ("commit", said["commit"]),
            ("package", said["packageDigest"]),
            ("asked by", said["subject"]),
            ("ended", said["endedAtUtc"]),
            ("left behind", "; ".join(map(str, said["leftBehind"]))),
        ]
    )
    for item in said["checklist"]:
        own = [claim for claim in said["claims"] if claim["drill"] == item["drill"]]
        holding = sum(claim["holds"] for claim in own)
        mark, style = ("✓", "green") if item["holds"] else ("✗", "red")
        show.line(f"{mark} {item['says']}: {holding} of {len(own)} proofs", style=style)


def _end(claims: Sequence[dict[str, Any]]) -> None:
    wrong = [claim for claim in claims if not claim["holds"]]
    if wrong:
        raise OpsError("not proven: " + "; ".join(f"{claim['proof']} ({claim['why']})" for claim in wrong))
