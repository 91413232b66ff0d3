"""The verbs of ``./mosaic ops``."""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from mosaic_core.domain.ids import clean, normalise_guid
from mosaic_core.domain.lanes import Lane
from mosaic_core.domain.lifecycle import ApprovalStatus, RunStatus, Severity
from mosaic_ops.ops import diagnosis, queues, show, telemetry
from mosaic_ops.ops.api import Api, Json
from mosaic_ops.ops.errors import NOT_SO, OpsError, UnreachableError
from mosaic_ops.ops.main import COMPLETE
from mosaic_ops.ops.queues import DeadLetter, Depth, Queues
from mosaic_ops.ops.target import Deployment, EmbeddedStack, Target

DUE_SECONDS: Final = 60.0
"""A worker that is up leaves no message that is due for longer."""

_POLL_SECONDS: Final = 0.5

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


class Part(StrEnum):
    WORKER = "worker"
    API = "api"


class Status(StrEnum):
    UP = "up"
    HEALTHY = "healthy"


class Shell(StrEnum):
    BASH = "bash"
    ZSH = "zsh"


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


def run(arguments: list[str], stack: EmbeddedStack) -> None:
    if COMPLETE in os.environ:
        from typer._completion_classes import completion_init

        completion_init()
    app(args=arguments, prog_name="mosaic ops", complete_var=COMPLETE, obj=Here(stack, stack))


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


# ---------------------------------------------------------------------------------------------------------- at a glance


@app.command(epilog="Example: ./mosaic ops status")
def status(ctx: typer.Context, json: JsonOption = False) -> None:
    """Lanes, dependencies, version: how it is now. Exit 1 where it is not ready."""
    here: Here = ctx.obj
    with ThreadPoolExecutor(2) as pool:
        health, lanes = pool.submit(here.api.health, "ready"), pool.submit(here.api.get, "/ops/lanes")
        (code, ready), found = health.result(), lanes.result()["lanes"]
    named = {lane["lane"]: lane["queue"] for lane in found}
    depths, unknown = _depths(here, named)
    if json:
        by_queue = {depth.queue: depth.json() for depth in depths}
        show.as_json(
            {
                "health": ready,
                "lanes": [{**lane, "depth": by_queue.get(lane["queue"])} for lane in found],
                "depthsUnknown": unknown,
            }
        )
    else:
        show.fields(
            [
                ("status", ready["status"]),
                *((dependency["name"], dependency["state"]) for dependency in ready["dependencies"]),
                ("version", ready["version"]),
                ("commit", ready["commit"]),
                ("package", ready["packageDigest"]),
            ]
        )
        show.line("")
        headings = ("lane", "active", "scheduled", "dead", "oldest due", "running", "waiting", "failed of ended")
        show.table((*headings, "last success", "open signals"), (_lane_row(lane, depths) for lane in found))
        if unknown:
            show.line(f"queue depths unknown: {unknown}", "yellow")
    if code != 200:
        raise typer.Exit(NOT_SO)


def _lane_row(lane: Json, depths: list[Depth]) -> list[object]:
    depth = next((one for one in depths if one.queue == lane["queue"]), None)
    recent, signals = lane["recent"], lane["openSignals"]
    ended = recent["completed"] + recent["needsReview"] + recent["failed"]
    counts = [depth.active, depth.scheduled, depth.dead_lettered] if depth else ["?", "?", "?"]
    more = "+" if signals["isMore"] else ""
    return [
        lane["lane"],
        *counts,
        _ago(depth.oldest_at_utc) if depth else "?",
        recent["running"],
        recent["waiting"],
        f"{recent['failed']} of {ended}",
        _ago(recent["lastSuccessAtUtc"]),
        f"{signals['error']}{more} errors, {signals['warning']}{more} warnings",
    ]


def _depths(here: Here, named: dict[str, str]) -> tuple[list[Depth], str | None]:
    """What the queues count; or why that is not known. How the lanes are is told all the same."""
    try:
        return asyncio.run(here.queues.depths(list(named.items()))), None
    except OpsError as error:
        return [], str(error)


@app.command(epilog="Example: ./mosaic ops resources")
def resources(ctx: typer.Context, json: JsonOption = False) -> None:
    """What it is made of, and the state of each: `aspire resources` of the seed. Exit 1 where a part is down."""
    here: Here = ctx.obj
    rows: list[Json] = []
    for name, process in here.target.processes.items():
        rows.append({"name": name, "kind": "process", "state": _process(process), "detail": str(process)})
    code, ready = here.api.health("ready")
    rows.append(
        {"name": "api", "kind": "app", "state": "up" if code == 200 else "down", "detail": here.target.base_url}
    )
    rows += [
        {"name": d["name"], "kind": "dependency", "state": d["state"], "detail": ""} for d in ready["dependencies"]
    ]
    if here.target.is_embedded:
        for function in here.api.functions():
            state = "disabled" if function.get("isDisabled") else "up"
            rows.append({"name": function["name"], "kind": "function", "state": state, "detail": _trigger(function)})
    lanes = here.api.get("/ops/lanes")["lanes"]
    rows += [{"name": one["queue"], "kind": "queue", "state": "", "detail": f"lane {one['lane']}"} for one in lanes]
    if json:
        show.as_json({"resources": rows})
    else:
        show.table(
            ("name", "kind", "state", "detail"), ([row[n] for n in ("name", "kind", "state", "detail")] for row in rows)
        )
    if any(row["state"] == "down" for row in rows):
        raise typer.Exit(NOT_SO)


def _trigger(function: Json) -> str:
    bindings = function.get("config", {}).get("bindings") or function.get("bindings") or []
    kinds = [str(one.get("type")) for one in bindings if str(one.get("type", "")).lower().endswith("trigger")]
    return ", ".join(kinds)


def _process(number: int) -> str:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return "down"
    except PermissionError:
        return "up"
    return "up"


@app.command(epilog="Example: ./mosaic ops wait worker --status up --timeout 180")
def wait(
    ctx: typer.Context,
    part: Annotated[Part, typer.Argument(help="Which part.")],
    status: Annotated[
        Status, typer.Option(help="worker up: triggers indexed and enabled, queues reachable, nothing due for long.")
    ] = Status.UP,
    timeout: Annotated[float, typer.Option(min=0, help="Seconds.")] = 180.0,
    json: JsonOption = False,
) -> None:
    """Wait until a part is up or healthy. Exit 1: it answers and is not so by then; 3: it does not answer."""
    here: Here = ctx.obj
    began = time.monotonic()
    while True:
        failure: OpsError | None = None
        try:
            lacking = _lacking(here, part, status)
        except UnreachableError as error:
            failure, lacking = error, str(error)
        waited = time.monotonic() - began
        if not lacking or waited >= timeout:
            break
        time.sleep(min(_POLL_SECONDS, max(0.0, timeout - waited)))
    if json:
        show.as_json(
            {"part": part, "status": status, "isSo": not lacking, "lacking": lacking, "seconds": round(waited, 1)}
        )
    elif lacking:
        show.line(f"{part} is not {status} after {waited:.0f} s: {lacking}", "red")
    else:
        show.line(f"{part} is {status} ({waited:.1f} s)", "green")
    if lacking:
        raise typer.Exit(failure.code if failure is not None else NOT_SO)


def _lacking(here: Here, part: Part, status: Status) -> str:
    """What it is not; empty where it is so."""
    if part is Part.API and status is Status.UP:
        here.api.health("live")
        return ""
    code, ready = here.api.health("ready")
    down = [one["name"] for one in ready["dependencies"] if one["state"] != "up"]
    if part is Part.API or (status is Status.HEALTHY and code != 200):
        return f"{', '.join(down) or 'it'} is down" if code != 200 else ""
    if "serviceBus" in down:
        return "its queues are not reachable"
    if here.target.is_embedded:
        triggers = [function for function in here.api.functions() if "serviceBusTrigger" in _trigger(function)]
        disabled = [str(function["name"]) for function in triggers if function.get("isDisabled")]
        if not triggers:
            return "its triggers are not indexed"
        if disabled:
            return f"disabled: {', '.join(disabled)}"
    named = {lane["lane"]: lane["queue"] for lane in here.api.get("/ops/lanes")["lanes"]}
    depths, unknown = _depths(here, named)
    if unknown and here.target.is_embedded:
        return unknown
    old = [depth.lane for depth in depths if depth.oldest_at_utc and _seconds_since(depth.oldest_at_utc) > DUE_SECONDS]
    return f"messages are due for more than {DUE_SECONDS:.0f} s on {', '.join(old)}" if old else ""


# ----------------------------------------------------------------------------------------------------------------- runs


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
        householdId=_guid(household, "--household"),
        sinceUtc=_since(since),
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
                _attempt(run),
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
    show.fields(_run_fields(run))
    if key is not None:
        show.line("")
        show.fields(_key_fields(key))
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
    _signals_table(detail["signals"], title="signals")
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
    if asked in diagnosis.steps():
        found = diagnosis.of_code(asked)
    else:
        story, letters = _story(here, asked, with_dead_letters=True)
        found = diagnosis.of_story(story, [letter.json() for letter in letters])
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
    named = _queues(here)
    lanes = [pair for pair in named if story is None or story["queue"] in (None, pair[1])]
    ids = {clean(asked), *(filter(None, (story["commandId"], story["runId"])) if story else ())}
    dead = asyncio.run(here.queues.dead_letters(lanes))
    letters = [letter for letter in dead if any(queues.is_named(letter, one) for one in ids)]
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
        or bool([s for s in story["signals"] if s["signalCode"] == "idempotency_hash_mismatch"])
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
    json: JsonOption = False,
) -> None:
    """From any id to one timeline: recorded, run, stages, signals, decisions, the end; what is missing is said."""
    here: Here = ctx.obj
    story, letters = _story(here, asked, with_dead_letters=dead_letters)
    told_of = _telemetry_of(here, story)
    if json:
        show.as_json({**story, "deadLetters": [letter.json() for letter in letters], **told_of})
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
            ("attempt", _attempt(story["run"]) if story["run"] else None),
        ]
    )
    show.line("")
    entries = [
        (e["atUtc"], e["source"], e["what"], e["attempt"], e["code"], e["rationale"] or e["ref"])
        for e in [*story["timeline"], *told_of["spans"]]
    ]
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
    for missing in [*story["missing"], *told_of["missing"]]:
        show.line(f"missing: {missing}", "yellow")
    if story["run"] is not None and story["run"]["attemptOutcome"] == "failed" and story["run"]["isFinal"]:
        show.line(f"next: ./mosaic ops next {story['commandId'] or story['id']}")


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


# -------------------------------------------------------------------------------------------------------------- signals


@app.command(epilog="Example: ./mosaic ops signals --severity Error --lane conversation")
def signals(
    ctx: typer.Context,
    everything: Annotated[bool, typer.Option("--all", help="Those that are resolved as well.")] = False,
    lane: LaneOption = None,
    code: Annotated[str | None, typer.Option(help="Only this signal code.")] = None,
    severity: Annotated[Severity | None, typer.Option(help="Only of this severity.")] = None,
    household: HouseholdOption = None,
    since: SinceOption = None,
    limit: LimitOption = 20,
    json: JsonOption = False,
) -> None:
    """What asks for a person, newest first. `next` says what to do about one."""
    here: Here = ctx.obj
    found, cursor = here.api.pages(
        "/ops/signals",
        "signals",
        limit,
        state="all" if everything else None,
        lane=lane,
        code=code,
        severity=severity,
        householdId=_guid(household, "--household"),
        sinceUtc=_since(since),
    )
    if json:
        show.as_json({"signals": found, "nextCursor": cursor})
        return
    _signals_table(found)
    if cursor is not None:
        show.line("there are more; --limit raises the number, --since and the filters narrow it")


def _signals_table(found: list[Json], *, title: str = "") -> None:
    show.table(
        ("signal", "code", "severity", "resolved", "run or message", "raised", "summary"),
        (
            (
                s["signalId"],
                s["signalCode"],
                s["severity"],
                f"by {s['resolvedBy']}: {s['resolutionNote']}" if s["isResolved"] else "no",
                s["runId"] or s["messageId"] or s["commandId"],
                s["raisedAtUtc"],
                s["summary"],
            )
            for s in found
        ),
        title=title,
    )


@app.command(epilog='Example: ./mosaic ops resolve 6a41… --note "the provider is back; sent again under a new id"')
def resolve(
    ctx: typer.Context,
    signal_id: Annotated[str, typer.Argument(metavar="SIGNAL", help="The signal's id.")],
    note: Annotated[str, typer.Option(help="Why it needs nobody any more. The household can read it.")],
    json: JsonOption = False,
) -> None:
    """Resolve a signal, in the name of the token's subject. The same again is harmless."""
    here: Here = ctx.obj
    if not note.strip():
        raise typer.BadParameter("is empty: say why it needs nobody any more", param_hint="--note")
    answer = here.api.post(f"/ops/signals/{_guid(signal_id, 'SIGNAL')}/resolve", {"note": note.strip()})
    if json:
        show.as_json(answer)
        return
    signal = answer["signal"]
    before = " before" if answer["outcome"] == "already_resolved" else ""
    show.line(f"{signal['signalCode']} was resolved{before} by {signal['resolvedBy']}: {signal['resolutionNote']}")


@app.command(epilog="Example: ./mosaic ops approvals --household a11ce000000000000000000000000001 --status pending")
def approvals(
    ctx: typer.Context,
    household: Annotated[str, typer.Option(metavar="ID", help="Whose.")],
    status: Annotated[ApprovalStatus | None, typer.Option(help="Only those in this state now.")] = None,
    json: JsonOption = False,
) -> None:
    """A household's approvals: which wait, until when. What they are about the household sees; members decide."""
    here: Here = ctx.obj
    answer = here.api.get("/ops/approvals", householdId=_guid(household, "--household"), status=status)
    if json:
        show.as_json(answer)
        return
    show.table(
        ("approval", "action", "status", "run", "expires", "decided"),
        (
            (a["approvalId"], a["actionKind"], a["status"], a["runId"], a["expiresAtUtc"], a["decidedAtUtc"])
            for a in answer["approvals"]
        ),
    )


# --------------------------------------------------------------------------------------------------------- dead letters


@dlq.command("list", epilog="Example: ./mosaic ops dlq list --lane conversation --limit 20")
def dlq_list(ctx: typer.Context, lane: LaneOption = None, limit: LimitOption = 50, json: JsonOption = False) -> None:
    """Dead letters, the oldest first of each lane. Peeks: no message is received, locked or counted as delivered."""
    letters = _letters(ctx.obj, lane, limit)
    if json:
        show.as_json({"deadLetters": [letter.json() for letter in letters]})
        return
    show.table(
        ("lane", "number", "message", "reason", "code", "attempt", "enqueued"),
        (
            (m.lane, m.sequence_number, m.message_id, m.reason, m.failure_code, m.attempt, m.enqueued_at_utc)
            for m in letters
        ),
    )
    if any(count >= limit for count in Counter(letter.lane for letter in letters).values()):
        show.line("a lane may have more; --limit raises the number")


@dlq.command("show", epilog="Example: ./mosaic ops dlq show 0f3c…")
def dlq_show(
    ctx: typer.Context,
    asked: Annotated[str, typer.Argument(metavar="ID", help="Its message, command or run id, or its sequence number.")],
    lane: LaneOption = None,
    json: JsonOption = False,
) -> None:
    """One dead letter as the runbook wants it captured. Its content is not shown."""
    found = [letter for letter in _letters(ctx.obj, lane, queues.MOST) if queues.is_named(letter, asked)]
    if not found:
        raise OpsError(f"no dead letter has this id; those that there are: ./mosaic ops dlq list{_lane_flag(lane)}")
    if json:
        show.as_json({"deadLetters": [letter.json() for letter in found]})
        return
    for place, letter in enumerate(found):
        if place:
            show.line("")
        show.fields(
            [
                ("queue lane", letter.lane),
                ("command id", letter.command_id or "unknown: it never decoded"),
                ("message id", letter.message_id),
                ("correlation id", letter.correlation_id or "unknown: it never decoded"),
                ("failure code", letter.failure_code or letter.reason),
                ("rationale", letter.rationale or "none: the broker itself gave it up"),
                ("reason", letter.reason),
                ("run id", letter.run_id),
                ("attempt", letter.attempt),
                ("queue", letter.queue),
                ("sequence number", letter.sequence_number),
                ("enqueued", letter.enqueued_at_utc),
                ("next", f"./mosaic ops next {letter.command_id or letter.message_id}"),
            ]
        )


@dlq.command("groups", epilog="Example: ./mosaic ops dlq groups")
def dlq_groups(ctx: typer.Context, lane: LaneOption = None, json: JsonOption = False) -> None:
    """Dead letters by lane, reason, code and exception type: two causes are two groups."""
    letters = _letters(ctx.obj, lane, queues.MOST)
    found = queues.groups(letters)
    if json:
        show.as_json({"groups": found, "deadLetters": len(letters)})
        return
    names = ("lane", "reason", "failureCode", "exceptionType", "count", "oldestAtUtc", "example")
    show.table(
        ("lane", "reason", "code", "exception", "count", "oldest", "example"),
        ([group[name] for name in names] for group in found),
    )


def _letters(here: Here, lane: Lane | None, limit: int) -> list[DeadLetter]:
    named = dict(_queues(here))
    return asyncio.run(here.queues.dead_letters(queues.lanes_of(lane, named), limit))


def _queues(here: Here) -> list[tuple[str, str]]:
    """The lanes' real queues; their usual names where the API cannot be asked: it may be what is down."""
    try:
        return [(lane["lane"], lane["queue"]) for lane in here.api.get("/ops/lanes")["lanes"]]
    except UnreachableError:
        return list(queues.DEFAULT_QUEUES.items())


def _lane_flag(lane: Lane | None) -> str:
    return f" --lane {lane}" if lane is not None else ""


# --------------------------------------------------------------------------------------------------- logs and telemetry


@app.command(epilog="Example: ./mosaic ops logs worker --tail 200")
def logs(
    ctx: typer.Context,
    part: Annotated[str, typer.Argument(help=f"One of {', '.join(telemetry.PARTS)}.")],
    tail: Annotated[int, typer.Option(min=1, max=100_000, help="The newest lines.")] = 200,
    json: JsonOption = False,
) -> None:
    """The newest lines of a part's log, as it wrote them."""
    here: Here = ctx.obj
    found = telemetry.log_tail(here.target.state_dir, part, tail)
    if json:
        show.as_json({"part": part, "lines": found})
        return
    for line in found:
        show.line(line)


ServiceArgument = Annotated[str, typer.Argument(help="worker or api.")]
IdOption = Annotated[str | None, typer.Option("--id", metavar="ID", help="Only what names this id.")]


@told.command("traces", epilog="Example: ./mosaic ops telemetry traces worker --limit 50")
def telemetry_traces(
    ctx: typer.Context,
    service: ServiceArgument,
    limit: LimitOption = 50,
    asked: IdOption = None,
    json: JsonOption = False,
) -> None:
    """The newest traces that a service has a part in, newest first."""
    here: Here = ctx.obj
    found = telemetry.traces(here.target.state_dir, service, limit, asked)
    if json:
        show.as_json({"traces": found})
        return
    show.table(
        ("trace", "began", "name", "services", "spans", "failed", "command"),
        (
            (t["traceId"], t["startTime"], t["name"], " ".join(t["services"]), t["spans"], t["failed"], t["commandId"])
            for t in found
        ),
    )


@told.command("logs", epilog="Example: ./mosaic ops telemetry logs worker --limit 100 --id 0f3c…")
def telemetry_logs(
    ctx: typer.Context,
    service: ServiceArgument,
    limit: LimitOption = 50,
    asked: IdOption = None,
    json: JsonOption = False,
) -> None:
    """The newest log records of a service with their fields, oldest first."""
    here: Here = ctx.obj
    found = telemetry.log_lines(here.target.state_dir, service, limit, asked)
    if json:
        show.as_json({"logs": found})
        return
    names = ("commandId", "runId", "attempt", "code", "rationale", "traceId")
    for record in found:
        more = (f"{name}={record[name]}" for name in names if record.get(name) is not None)
        show.line(" ".join((str(record["time"]), str(record["level"]), str(record["message"]), *more)))


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


# ---------------------------------------------------------------------------------------------------------------- words


def _attempt(run: Json) -> str:
    counted = run["countedAttempts"] if run["countedAttempts"] is not None else run["attempt"]
    said = f"{counted} of {run['maxAttempts']}"
    due = run["nextAttemptAtUtc"]
    return f"{said}, next at {due}" if due and not run["isFinal"] else said


def _run_fields(run: Json) -> list[tuple[str, object]]:
    return [
        ("run", run["runId"]),
        ("status", run["status"]),
        ("final", run["isFinal"]),
        ("attempt", _attempt(run)),
        ("code", run["failureCode"]),
        ("rationale", run["failureRationale"]),
        ("lane", run["lane"]),
        ("queue", run["queue"]),
        ("command", run["commandId"]),
        ("type", run["commandType"]),
        ("correlation", run["correlationId"]),
        ("household", run["householdId"]),
        ("conversation", run["conversationId"]),
        ("replay of", run["replayOfCommandId"]),
        ("policy", run["policyVersion"]),
        ("trace", run["traceId"]),
        ("created", run["createdAtUtc"]),
        ("modified", run["lastModifiedAtUtc"]),
        ("completed", run["completedAtUtc"]),
    ]


def _key_fields(key: Json) -> list[tuple[str, object]]:
    left = key["leaseSecondsLeft"]
    return [
        ("key", key["status"]),
        (
            "counted",
            f"{key['countedAttempts']} of {key['maxAttempts']} (attempt {key['attempt']}, {key['excused']} excused)",
        ),
        ("lease", f"{left:.0f} s left" if left else "none"),
        ("next attempt", key["nextAttemptAtUtc"]),
        ("finalized", key["finalizedAtUtc"]),
        ("resolution", key["resolutionCode"]),
        ("because", key["resolutionRationale"]),
        ("expires", key["expiresAtUtc"]),
    ]


_AGES: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def _since(text: str | None, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> str | None:
    """A time as the API takes it."""
    if text is None:
        return None
    age = re.fullmatch(r"(\d{1,6})([smhd])", text.strip())
    if age is not None:
        moment = now() - timedelta(seconds=int(age[1]) * _AGES[age[2]])
        return max(moment, datetime(1970, 1, 1, tzinfo=UTC)).strftime("%Y-%m-%dT%H:%M:%SZ")
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise typer.BadParameter("is neither an age such as 2h nor a time", param_hint="--since") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _guid(text: str | None, option: str) -> str | None:
    if text is None:
        return None
    try:
        return normalise_guid(text)
    except ValueError as wrong:
        raise typer.BadParameter(str(wrong), param_hint=option) from None


def _seconds_since(moment: str) -> float:
    return (datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds()


def _ago(moment: str | None) -> str:
    if moment is None:
        return "none"
    seconds = max(0.0, _seconds_since(moment))
    for unit, size in reversed(_AGES.items()):
        if seconds >= size:
            return f"{seconds // size:.0f} {unit} ago"
    return "now"
