"""What became of a command: `runs`, `run`, `next`, `trace`."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Annotated, Any

import typer

from mosaic_core.domain.ids import clean, normalise_guid
from mosaic_core.domain.lanes import Lane
from mosaic_core.domain.lifecycle import RunStatus
from mosaic_core.domain.signals import HASH_MISMATCH
from mosaic_ops.ops import diagnosis, hints, queues, show, telemetry
from mosaic_ops.ops.api import Json
from mosaic_ops.ops.errors import OpsError
from mosaic_ops.ops.events import EventHubOption, of_story
from mosaic_ops.ops.here import (
    Here,
    HouseholdOption,
    JsonOption,
    LaneOption,
    LimitOption,
    SinceOption,
    app,
    queues_of,
)
from mosaic_ops.ops.letters import Letters
from mosaic_ops.ops.queues import DeadLetter
from mosaic_ops.ops.signals import signals_table
from mosaic_ops.ops.telling import tell_what_now
from mosaic_ops.ops.words import ago, attempt, guid, key_fields, run_fields, since_of


@app.command(epilog="Example: ./mosaic ops runs --status NeedsReview --lane conversation --since 2h")
def runs(
    ctx: typer.Context,
    status: Annotated[RunStatus | None, typer.Option(help="Only those in this state now.")] = None,
    lane: LaneOption = None,
    household: HouseholdOption = None,
    since: SinceOption = None,
    limit: LimitOption = 20,
    json: JsonOption = False,
) -> None:
    """Runs of every household, newest first. What heals by itself says when it goes on."""
    here: Here = ctx.obj
    found, cursor = here.api.pages(
        "/ops/runs",
        "runs",
        limit,
        status=status,
        lane=lane,
        householdId=guid(household, "--household"),
        sinceUtc=since_of(since),
    )
    found = list({run["runId"]: run for run in found}.values())
    if json:
        show.as_json({"runs": found, "nextCursor": cursor})
        return
    show.table(
        ("run", "lane", "type", "status", "attempt", "code", "household", "modified"),
        (
            (
                run["runId"],
                run["lane"] or run["queue"],
                run["commandType"],
                run["status"],
                attempt(run),
                run["failureCode"],
                run["householdId"],
                run["lastModifiedAtUtc"],
            )
            for run in found
        ),
    )
    if cursor is not None:
        show.line("there are more; --limit raises the number, --since and the filters narrow it")


@app.command("run", epilog="Example: ./mosaic ops run 4d2f…")
def one_run(
    ctx: typer.Context,
    run_id: Annotated[str, typer.Argument(metavar="ID", help="A run's, or any that trace takes.")],
    json: JsonOption = False,
) -> None:
    """One run: its state, key, stages, signals and decisions."""
    here: Here = ctx.obj
    detail = _run_detail(here, run_id)
    if json:
        show.as_json(detail)
        return
    run, key = detail["run"], detail["key"]
    show.fields(run_fields(run))
    if key is not None:
        show.line("")
        show.fields(key_fields(key))
    else:
        show.line("key  gone: keys live for seven days")
    show.line("")
    show.table(
        ("attempt", "stage", "status", "outcome", "rationale", "completed"),
        (
            (s["attempt"], s["name"], s["status"], s["outcomeCode"], s["outcomeRationale"], s["completedAtUtc"])
            for s in detail["stages"]
        ),
        title="stages",
    )
    signals_table(detail["signals"], title="signals")
    show.table(
        ("decided", "action", "outcome", "reason", "actor", "approval"),
        (
            (d["decidedAtUtc"], d["action"], d["outcome"], d["reasonCode"], d["actor"], d["approvalId"])
            for d in detail["decisions"]
        ),
        title="decisions",
    )


def _run_detail(here: Here, asked: str) -> Json:
    """The run of any id. Raises `OpsError` where it has none."""
    with suppress(ValueError):
        try:
            return here.api.get(f"/ops/runs/{normalise_guid(asked)}")
        except OpsError as error:
            if error.api_code != "not_found":
                raise
    story = here.api.trace(asked)
    if story["runId"] is None:
        raise OpsError(f"nothing has run under this id; its story: ./mosaic ops trace {clean(asked)}")
    return here.api.get(f"/ops/runs/{story['runId']}")


@app.command("next", epilog="Example: ./mosaic ops next invalid_json")
def next_step(
    ctx: typer.Context,
    asked: Annotated[str, typer.Argument(metavar="ID|CODE", help="Any id of a command, or a code.")],
    json: JsonOption = False,
) -> None:
    """What happened, which step of the runbook, and the safe command to type."""
    here: Here = ctx.obj
    story: Json = {"runId": None}
    if asked in diagnosis.steps():
        found = diagnosis.of_code_alone(asked)
    else:
        story, letters = _story(here, asked, with_dead_letters=True)
        found = diagnosis.of_story(story, [letter.json() for letter in letters], _how_it_ended(here, story))
        if found.heals and (story["run"] is None or not story["run"]["isFinal"]):
            found = _unless_paused(here, story, found)
        if not found.heals and story["runId"]:
            found = replace(found, command=_further(found.command, story))
    if not hints.leads_on(found.command, "next"):
        found = replace(found, command=f"./mosaic ops run {story['runId']}" if story["runId"] else hints.ANYTHING)
    if json:
        show.as_json(found.json())
    else:
        show.fields(
            [
                ("state", found.state),
                ("code", found.code),
                ("what", found.says),
                ("do", found.do),
                ("runbook", found.section),
                ("type", found.command),
                ("then", found.then),
            ]
        )


def _story(here: Here, asked: str, *, with_dead_letters: bool) -> tuple[Json, list[DeadLetter]]:
    """The trace of an id and, where it may have some, its dead letters. One that only its queue knows has a story
    too."""
    story: Json | None = None
    try:
        story = here.api.trace(asked)
    except OpsError as error:
        if error.api_code != "not_found" or not with_dead_letters:
            raise
        missing = error
    if not with_dead_letters or (story is not None and not _may_be_dead(story)):
        assert story is not None
        return story, []
    lane = None
    if story is not None and story["queue"] is not None:
        lane = next((Lane(name) for name, queue in queues_of(here) if queue == story["queue"]), None)
    # one that was sent again by hand has an id of its own, and names the command
    named = (story["commandId"] if story is not None else None) or asked
    letters = Letters(here).of(lane, queues.MOST, named=named)
    if story is None:
        if not letters:
            raise missing
        story = _of_letter(asked, letters[-1])
    return story, letters


def _may_be_dead(story: Json) -> bool:
    run = story["run"]
    return (
        run is None
        or (run["isFinal"] and run["attemptOutcome"] == "failed")
        or bool([s for s in story["signals"] if s["signalCode"] == HASH_MISMATCH])
        or (story["key"] is not None and story["key"]["status"] == "Reserved")
    )


def _of_letter(asked: str, letter: DeadLetter) -> Json:
    return {
        "id": clean(asked),
        "foundAs": ["dead letter"],
        "commandId": letter.command_id,
        "runId": letter.run_id,
        "correlationId": letter.correlation_id,
        "householdId": None,
        "queue": letter.queue,
        "traceId": None,
        "timeline": [],
        "missing": ["no table knows it: only the dead-letter queue does"],
        "run": None,
        "key": None,
        "signals": [],
    }


@app.command(epilog="Example: ./mosaic ops trace 0f3c…")
def trace(
    ctx: typer.Context,
    asked: Annotated[str, typer.Argument(metavar="ID", help="A message, command, run, signal or correlation id.")],
    dead_letters: Annotated[
        bool, typer.Option("--dead-letters", help="Look into the dead-letter queue as well.")
    ] = False,
    with_events: Annotated[bool, typer.Option("--events", help="Ask the event hub as well.")] = False,
    event_hub: EventHubOption = "",
    json: JsonOption = False,
) -> None:
    """From any id to one timeline: recorded, run, stages, signals, decisions, the end; what is missing is said."""
    here: Here = ctx.obj
    story, letters = _story(here, asked, with_dead_letters=dead_letters)
    told_of = _telemetry_of(here, story)
    heard = of_story(here, story, event_hub) if with_events else {"events": [], "missing": []}
    if json:
        whole = {**story, "deadLetters": [letter.json() for letter in letters], "spans": told_of["spans"]}
        if with_events:
            whole["events"] = heard["events"]
        whole["missing"] = [*story["missing"], *told_of["missing"], *heard["missing"]]
        show.as_json(whole)
        return
    show.fields(
        [
            ("found as", ", ".join(story["foundAs"])),
            ("command", story["commandId"]),
            ("run", story["runId"]),
            ("correlation", story["correlationId"]),
            ("household", story["householdId"]),
            ("queue", story["queue"]),
            ("trace", story["traceId"]),
            ("attempt", attempt(story["run"]) if story["run"] else None),
        ]
    )
    show.line("")
    entries = [
        (e["atUtc"], e["source"], e["what"], e["attempt"], e["code"], e["rationale"] or e["ref"])
        for e in [*story["timeline"], *told_of["spans"], *heard["events"]]
    ]
    entries += _ends_during(here, story)
    entries += [
        (
            letter.enqueued_at_utc or "",
            "dead-letter queue",
            f"dead letter: {letter.reason}",
            letter.attempt,
            letter.failure_code,
            letter.rationale,
        )
        for letter in letters
    ]
    show.table(("at", "source", "what", "attempt", "code", "more"), sorted(entries, key=lambda entry: str(entry[0])))
    for missing in [*story["missing"], *told_of["missing"], *heard["missing"]]:
        show.line(f"missing: {missing}", "yellow")
    if story["run"] is None or story["run"]["isFinal"] or letters:
        found = diagnosis.of_story(story, [letter.json() for letter in letters])
        if not found.heals:
            show.line("")
            tell_what_now(found, "trace", len("means"))


def _further(command: str, story: Json) -> str:
    """Where the same was told at a glance already, the other of the two that tell all of a run."""
    verb = hints.verb_of(command)
    if verb in hints.TOLD_AT_A_GLANCE:
        return f"./mosaic ops trace {story['commandId'] or story['runId']}"
    return f"./mosaic ops run {story['runId']}" if verb == "trace" else command


def _unless_paused(here: Here, story: Json, found: diagnosis.Diagnosis) -> diagnosis.Diagnosis:
    """Nothing goes on by itself in a lane that somebody paused."""
    lanes = here.api.get("/ops/lanes")["lanes"]
    pause, lane = next(((one.get("pause"), one["lane"]) for one in lanes if one["queue"] == story["queue"]), (None, ""))
    if not pause:
        return found
    held = diagnosis.of_code("lane_paused", lane=lane)
    state = f"{found.state}; its lane is paused by {pause['pausedBy']}, {ago(pause['pausedAtUtc'])}: {pause['reason']}"
    return replace(held, state=state, do=diagnosis.ask_who_paused(pause, lane))


def _how_it_ended(here: Here, story: Json) -> str:
    """The process of the attempt that is under way: it ended after the attempt had begun, and none has begun since."""
    run = story["run"]
    if run is None or run["status"] != "Running":
        return ""
    # the run's times are finer than an end's
    since = [
        end for end in here.target.ends if end["part"] == "worker" and end["atUtc"] >= run["lastModifiedAtUtc"][:19]
    ]
    return f"process {since[-1]['how']}, {ago(since[-1]['atUtc'])}" if since else ""


def _ends_during(here: Here, story: Json) -> list[tuple[Any, ...]]:
    """Processes of the worker that ended by themselves while this command had begun and not ended: one of them may have
    been at it."""
    run = story["run"]
    if run is None:
        return []
    until = run["completedAtUtc"] or "9999"
    return [
        (end["atUtc"], "process", f"process {end['process']} of worker {end['how']}", None, None, None)
        for end in here.target.ends
        if end["part"] == "worker" and run["createdAtUtc"] <= end["atUtc"] <= until
    ]


def _telemetry_of(here: Here, story: Json) -> Json:
    """The deliveries and the enqueueing, by their spans, where those are on this machine."""
    if not here.target.is_embedded:
        return {"spans": [], "missing": ["spans: they are in Application Insights, by the trace id"]}
    named = story["commandId"] or story["id"]
    try:
        found = telemetry.spans(here.target.state_dir, None, 200, named)
    except OpsError as error:
        return {"spans": [], "missing": [str(error)]}
    wanted = ("runtime.command.enqueue", "runtime.command.execute")
    spans = [
        {
            "atUtc": span["endTime"],
            "source": f"span of {span['service.name']}",
            "what": span["name"],
            "attempt": span["attributes"].get("attempt"),
            "code": span["attributes"].get("mosaic.settlement"),
            "rationale": None,
            "ref": span["traceId"],
        }
        for span in found
        if span["name"] in wanted
    ]
    return {"spans": spans, "missing": [] if spans else ["spans: none on this machine name it (kept for a while only)"]}
