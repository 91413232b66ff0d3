"""A household's data as a whole: `erase`, `export`."""

from __future__ import annotations

import hashlib
import json as jsonlib
import time
from pathlib import Path
from typing import Annotated, Final

import typer

from mosaic_ops.ops import show
from mosaic_ops.ops.api import Json
from mosaic_ops.ops.errors import OpsError
from mosaic_ops.ops.here import Here, JsonOption, app
from mosaic_ops.ops.words import guid

WAIT_SECONDS: Final = 5.0

HouseholdArgument = Annotated[str, typer.Option("--household", metavar="ID", help="Whose.")]
ReasonOption = Annotated[str, typer.Option(help="Why. It stays as the record: name no person.")]


@app.command(
    epilog='Example: ./mosaic ops erase --household a11ce000000000000000000000000001 --reason "request 4711" --dry-run'
)
def erase(
    ctx: typer.Context,
    household: HouseholdArgument,
    reason: ReasonOption,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count, and change nothing.")] = False,
    confirm: Annotated[
        str | None, typer.Option(metavar="ID", help="The household's id once more, instead of typing it.")
    ] = None,
    wait: Annotated[int, typer.Option(min=0, help="Seconds to wait for what is at work for the household.")] = 60,
    json: JsonOption = False,
) -> None:
    """Remove what is held of a household: tables, blobs, dead letters. The same again goes on where it stopped."""
    here: Here = ctx.obj
    household_id = guid(household, "--household") or ""
    path, body = f"/ops/households/{household_id}/erase", {"reason": reason.strip(), "dryRun": dry_run}
    if dry_run:
        _told(here.api.post(path, body), json=json)
        return
    typed = confirm if confirm is not None else typer.prompt("This cannot be undone. Type the household's id", err=True)
    if guid(typed, "--confirm") != household_id:
        raise typer.BadParameter("is another household's id: nothing was done", param_hint="--confirm")
    ends = time.monotonic() + wait
    while True:
        answer = here.api.post(path, {**body, "confirmHousehold": household_id})
        if answer["state"] == "waiting" and time.monotonic() < ends:
            time.sleep(WAIT_SECONDS)
        elif answer["state"] != "running":
            break
    _told(answer, json=json)
    if answer["state"] == "waiting":
        raise OpsError("the household is not erased yet: run the same again when what is at work has ended")


def _told(answer: Json, *, json: bool) -> None:
    if json:
        show.as_json(answer)
        return
    title = {
        "dry_run": "would be removed" if answer["countedAll"] else "would be removed (counted in part)",
        "waiting": "removed until now",
    }.get(answer["state"], "removed")
    show.table(("kind", title), sorted(answer["counts"].items()))
    waiting = answer["waitingFor"]
    if waiting:
        show.line(
            f"at work for the household: {waiting['commands']} commands, {waiting['messages']} messages. "
            "Nothing new is accepted once the erasure has begun; they end by themselves."
        )
    show.line("What stays:")
    for one in answer["stays"]:
        show.line(f"  {one}")


@app.command(
    epilog="Example: ./mosaic ops export --household a11ce000000000000000000000000001 "
    '--reason "request 4711" --out export'
)
def export(
    ctx: typer.Context,
    household: HouseholdArgument,
    reason: ReasonOption,
    out: Annotated[Path, typer.Option(file_okay=False, help="A folder that is empty, or not there yet.")],
    json: JsonOption = False,
) -> None:
    """Everything that is held of a household, as JSON Lines by kind, with a manifest."""
    here: Here = ctx.obj
    household_id = guid(household, "--household") or ""
    if out.exists() and any(out.iterdir()):
        raise typer.BadParameter("is not empty", param_hint="--out")
    out.mkdir(parents=True, exist_ok=True, mode=0o700)
    counts: dict[str, int] = {}
    kind: str | None = None
    cursor: str | None = None
    while True:
        asked = {"kind": kind, "cursor": cursor or ""} if kind is not None else {}
        page = here.api.post(f"/ops/households/{household_id}/export", {"reason": reason.strip(), **asked})
        if page["rows"]:
            with (out / f"{page['kind']}.jsonl").open("a", encoding="utf-8") as file:
                file.writelines(jsonlib.dumps(row, ensure_ascii=False) + "\n" for row in page["rows"])
        counts[page["kind"]] = counts.get(page["kind"], 0) + len(page["rows"])
        kind, cursor = page["nextKind"], page["nextCursor"]
        if kind is None:
            break
    files = {
        file.name: {"sha256": hashlib.sha256(file.read_bytes()).hexdigest(), "rows": counts[file.stem]}
        for file in sorted(out.glob("*.jsonl"))
    }
    manifest = {"householdId": household_id, "reason": reason.strip(), "files": files}
    # last: an export without it is not whole
    (out / "manifest.json").write_text(jsonlib.dumps(manifest, indent=2) + "\n", "utf-8")
    if json:
        show.as_json(manifest)
        return
    show.table(("kind", "rows"), sorted(counts.items()))
    show.line(f"written to {out}; it is personal data: keep it as such")
