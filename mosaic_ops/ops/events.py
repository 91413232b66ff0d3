"""What the event hub tells: `events`; and of one command, for `trace --events`."""

from __future__ import annotations

import asyncio
import json as json_module
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

import typer

from mosaic_core.domain.ids import clean
from mosaic_ops.ops import hub, show
from mosaic_ops.ops.api import Json
from mosaic_ops.ops.errors import OpsError
from mosaic_ops.ops.here import Here, HouseholdOption, JsonOption, SinceOption, app
from mosaic_ops.ops.hub import Hub
from mosaic_ops.ops.words import guid, since_of

_BACK: Final = "10m"
_CLOCKS: Final = timedelta(minutes=2)

EventHubOption = Annotated[
    str,
    typer.Option(
        "--event-hub",
        envvar="MOSAIC_EVENT_HUB",
        metavar="NAMESPACE",
        help="A deployment's Event Hubs namespace, by host name.",
    ),
]


@app.command(epilog="Example: ./mosaic ops events --follow --type dead_lettered")
def events(
    ctx: typer.Context,
    follow: Annotated[bool, typer.Option("--follow", help="Go on with what comes, until Ctrl-C.")] = False,
    since: SinceOption = None,
    household: HouseholdOption = None,
    run: Annotated[str | None, typer.Option(metavar="ID", help="Only of this run.")] = None,
    command: Annotated[str | None, typer.Option(metavar="ID", help="Only of this command.")] = None,
    kind: Annotated[
        str | None, typer.Option("--type", help="Only of this type: completed, dead_lettered, approval_requested, ….")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, max=100_000, help="How many at most; the newest.")] = None,
    event_hub: EventHubOption = "",
    json: JsonOption = False,
) -> None:
    """The runtime's events: those of the last ten minutes, or since a time. With --follow those that come, one JSON
    object a line with --json. Reads beside every other consumer and moves none."""
    here: Here = ctx.obj
    wanted = {"householdId": guid(household, "--household"), "runId": guid(run, "--run")}
    wanted |= {"commandId": clean(command) if command is not None else None, "type": kind}
    moment = _moment(since_of(since) if since or follow is False else None, follow=follow)
    source = here.target.hub(event_hub)
    if follow:
        with suppress(KeyboardInterrupt):
            asyncio.run(_follow(source, moment, wanted, limit, json=json))
        return
    found, complete = asyncio.run(source.since(moment))
    found = [one for one in found if is_wanted(one, wanted)][-(limit or 200) :]
    if json:
        show.as_json({"events": found, "complete": complete})
    else:
        _table(found)
    if not complete:
        show.aside("there is more than was read in a minute: --since a later time")


def _moment(since: str | None, *, follow: bool) -> datetime:
    if since is None and follow:
        return datetime.now(UTC)
    return datetime.fromisoformat(since or str(since_of(_BACK)))


async def _follow(source: Hub, moment: datetime, wanted: Mapping[str, Any], limit: int | None, *, json: bool) -> None:
    told, enough = 0, asyncio.Event()

    def tell(event: Json) -> None:
        nonlocal told
        if enough.is_set() or not is_wanted(event, wanted):
            return
        if json:
            print(json_module.dumps(event, ensure_ascii=False), flush=True)
        else:
            show.line("  ".join(_said(event)))
        told += 1
        if told == limit:
            enough.set()

    reading = asyncio.ensure_future(source.follow(moment, tell))
    waiting = asyncio.ensure_future(enough.wait())
    try:
        await asyncio.wait([reading, waiting], return_when=asyncio.FIRST_COMPLETED)
        if reading.done():
            reading.result()
    finally:
        for task in (reading, waiting):
            task.cancel()
        await asyncio.gather(reading, waiting, return_exceptions=True)


def is_wanted(event: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Every filter that is given holds; of the type its last word is enough."""
    for name, value in wanted.items():
        if value is None:
            continue
        if name == "type":
            if value not in (event["type"], hub.kind(event)):
                return False
        elif event[name] != value:
            return False
    return True


def _said(event: Json) -> list[str]:
    about = event["commandId"] or event["approvalId"] or event["signalId"]
    code = event["outcomeCode"] or event["signalCode"]
    cells = (event["atUtc"], hub.kind(event), about, event["runId"], event["attempt"], code, event["householdId"])
    return ["-" if cell is None else str(cell) for cell in cells]


def _table(found: list[Json]) -> None:
    show.table(("at", "type", "command", "run", "attempt", "code", "household"), map(_said, found))


def of_story(here: Here, story: Json, event_hub: str) -> Json:
    """The hub's events of the story's command, as entries of its timeline; and which of them are missing."""
    times = [datetime.fromisoformat(entry["atUtc"]) for entry in story["timeline"] if entry["atUtc"]]
    if story["commandId"] is None or not times:
        return {"events": [], "missing": ["events: no command that one could be looked for by"]}
    try:
        told, complete = asyncio.run(here.target.hub(event_hub).since(min(times) - _CLOCKS))
    except OpsError as error:
        return {"events": [], "missing": [f"events: {error}"]}
    found = [event for event in told if event["commandId"] == story["commandId"]]
    there = {hub.kind(event) for event in found}
    missing = [
        f"event {name}: the hub holds none of it (it keeps events for a while only)"
        for name in expected(story)
        if name not in there
    ]
    if not complete:
        missing.append("events: there are more than were read in a minute")
    entries = [
        {
            "atUtc": event["atUtc"],
            "source": "event hub",
            "what": hub.kind(event),
            "attempt": event["attempt"],
            "code": event["outcomeCode"] or event["signalCode"],
            "rationale": None,
            "ref": event["id"],
        }
        for event in found
    ]
    return {"events": entries, "missing": missing}


def expected(story: Json) -> list[str]:
    """The events that a command told of on its way, as far as the tables say how far it is."""
    run = story["run"]
    names = [] if all("enqueued" not in entry["what"] for entry in story["timeline"]) else ["enqueued"]
    if run is None:
        return names
    names.append("started")
    if run["attemptOutcome"] == "failed":
        names.append("dead_lettered" if run["isFinal"] else "attempt_failed")
    elif run["isFinal"]:
        names.append("needs_review" if run["status"] == "NeedsReview" else "completed")
    return names
