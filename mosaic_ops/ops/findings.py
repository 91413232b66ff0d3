"""What is wrong now, the gravest first: from what the app, its tables and its queues tell, to a cause, what to do and
the safe command to type. Nothing here asks anybody.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from mosaic_core.domain.reasons import DeadLetterReason
from mosaic_core.domain.reservation import ATTEMPTS_EXHAUSTED, CANCELLED
from mosaic_core.domain.signals import COMMAND_FAILED, COMMAND_REJECTED, HASH_MISMATCH, NOT_RECORDED
from mosaic_ops.ops import diagnosis
from mosaic_ops.ops.queues import Depth, Group
from mosaic_ops.ops.words import ago, at, seconds_since

type Json = dict[str, Any]

DUE_SECONDS: Final = 60.0
"""A worker that is up leaves no message that is due for longer."""

OFTEN: Final = 3
"""So many processes that ended are graver than what is dead already."""

CROWD: Final = 50
"""So many scheduled messages of a lane are more than a few that are tried again."""

SKEW_SECONDS: Final = 60.0
"""By so much two clocks may differ until leases, tokens and ages say what is not so."""

REASONS: Final = {
    "unreachable": "does not answer",
    "no_answer": "does not answer in time",
    "not_found": "is not there",
    "forbidden": "refuses the app: its role is gone or not there yet, or its key is not valid any more",
    "no_token": "cannot be asked: the app's identity gets no token",
    "unusable": "cannot be used as it is set",
    "package_missing": "lacks a package",
    "failed": "fails",
}

REMEDIES: Final = {
    "not_found": "make it again under that name, or mend the setting that names it",
    "forbidden": "give the app its role back or, where its setting holds a key, the key that is valid now",
    "no_token": "mend the app's identity, or the setting that names it",
    "unusable": "mend the setting that is named",
    "package_missing": "deploy a package that has it",
}
"""What to do first, by the reason; a part that does not answer is restored."""

_TOLD_ELSEWHERE: Final = frozenset({COMMAND_FAILED, COMMAND_REJECTED})
"""Signals of what the runs and the dead letters tell already."""

_OF_DEAD_LETTERS: Final = {
    NOT_RECORDED: DeadLetterReason.NOT_RECORDED,
    HASH_MISMATCH: DeadLetterReason.IDEMPOTENCY_HASH_MISMATCH,
}
"""Signals that a dead letter of that reason tells already, as long as it lies there."""

SIGNAL_OF: Final[Mapping[str, str]] = {
    DeadLetterReason.PROCESSING_FAILED: COMMAND_FAILED,
    DeadLetterReason.INVALID_JSON: COMMAND_REJECTED,
    DeadLetterReason.INVALID_ENVELOPE: COMMAND_REJECTED,
    DeadLetterReason.NOT_RECORDED: NOT_RECORDED,
    DeadLetterReason.IDEMPOTENCY_HASH_MISMATCH: HASH_MISMATCH,
}
"""Of each reason of a dead letter that raises a signal, which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """``what`` is one line with the cause's code; ``said`` what the worker, or a person, wrote of it; ``which`` names
    parts, or a message: one of many is told as one of so many. ``sender`` is who sent that message, ``then`` what to
    type once the cause is mended."""

    what: str
    says: str
    do: str
    command: str
    section: str
    said: str = ""
    which: str = ""
    sender: str = ""
    then: str = ""

    def json(self) -> Json:
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was looked at; what could not be is empty. ``runs`` and ``signals`` are the newest ones."""

    health: Mapping[str, Any] | None = None
    lanes: Sequence[Json] = ()
    runs: Sequence[Json] = ()
    signals: Sequence[Json] = ()
    resolved: Sequence[Json] = ()
    """The newest signals, the resolved ones among them, of lanes with dead letters and nothing open."""
    groups: Sequence[Group] = ()
    has_letters: bool = True
    """Whether the dead letters could be looked at: what failed for good and is none of them was replayed, where nothing
    asks for a person either."""
    depths: Sequence[Depth] = ()
    clock_ahead_seconds: float = 0.0
    silent: Sequence[str] = ()
    """Lanes whose queues did not answer the tool."""
    ends: Sequence[Json] = ()
    """Of processes, lately, that nobody had told to end; oldest first."""


def of(seen: Seen) -> list[Finding]:
    """Parts that are away first, then what people did, what fails now, what failed, what is late, what else waits."""
    if seen.health is not None and seen.health["status"] == "not_started":
        return [_not_started(seen.health["dependencies"])]
    dependencies = seen.health["dependencies"] if seen.health is not None else []
    down = [one for one in dependencies if one["state"] != "up"]
    asking = {signal["runId"] for signal in seen.signals}
    failing = _failing(run for run in seen.runs if not (run["isFinal"] and seen.has_letters) or run["runId"] in asking)
    last = {lane["lane"]: lane["recent"]["lastSuccessAtUtc"] for lane in seen.lanes}
    waiting = {cause: sum(not run["isFinal"] for run in runs) for cause, runs in failing.items()}
    groups = [group for group in seen.groups if not is_noted(group, seen)]
    dead = [of_group(one, last.get(one.lane), waiting.get((one.lane, one.code), 0)) for one in groups]
    told = {(group.lane, group.code) for group in seen.groups}
    ends = seen.ends
    killers = [group for group in groups if group.code == ATTEMPTS_EXHAUSTED]
    if ends and killers:  # which command it was is told by its dead letter; how, by the end of its process
        how = how_it_ended(ends[-1])
        dead = [
            (replace(one, said=f"{one.said}; {how}") if group in killers else one, is_over)
            for group, (one, is_over) in zip(groups, dead, strict=True)
        ]
        ends = [end for end in ends if end["part"] != "worker"]
    return [
        *_of_parts([one for one in down if one["required"]]),
        *_of_silence(seen.silent, down),
        *(_of_ends(ends, seen.runs) if len(ends) >= OFTEN else ()),
        *(_of_pause(lane) for lane in seen.lanes if lane.get("pause")),
        *(_of_failing(lane, code, runs) for (lane, code), runs in failing.items() if (lane, code) not in told),
        *(finding for finding, is_over in dead if not is_over),
        *(finding for finding, is_over in dead if is_over),
        *(_of_ends(ends, seen.runs) if len(ends) < OFTEN else ()),
        *_late(seen.depths, {lane["lane"] for lane in seen.lanes if lane.get("pause")}),
        *_crowded(seen.depths),
        *_skewed(seen.clock_ahead_seconds),
        *_of_parts([one for one in down if not one["required"]]),
        *_signals(seen.signals, {code for _, code in told}),
    ]


def may_be_noted(group: Group, lanes: Iterable[Json]) -> bool:
    """Whether nothing that its messages raised is open."""
    signals = next((lane.get("openSignals") for lane in lanes if lane["lane"] == group.lane), None)
    return group.reason in SIGNAL_OF and signals is not None and not signals["error"] and not signals["isMore"]


def is_noted(group: Group, seen: Seen) -> bool:
    """Whether a person has resolved what its messages raised, and none came after: then they lie there, and ask for
    nobody."""
    queue = next((lane["queue"] for lane in seen.lanes if lane["lane"] == group.lane), None)
    resolved = [
        signal["resolvedAtUtc"]
        for signal in seen.resolved
        if signal["signalCode"] == SIGNAL_OF.get(group.reason)
        and signal["queue"] == queue
        and signal["isResolved"]
        and signal["resolvedBy"] != "runtime"
    ]
    newest = group.newest_at_utc
    return may_be_noted(group, seen.lanes) and bool(resolved) and newest is not None and at(newest) < at(max(resolved))


def _made(code: str, what: str, *, said: str = "", which: str = "", sender: str = "", **ids: str | None) -> Finding:
    step = diagnosis.of_code(code, **ids)
    return Finding(
        what=what,
        says=step.says,
        do=step.do,
        command=step.command,
        section=step.section,
        said=said,
        which=which,
        sender=sender,
    )


def _not_started(faults: Sequence[Json]) -> Finding:
    named = ", ".join(f"{one['name']} ({one['reason']})" for one in faults)
    return _made("not_started", f"the app does not start: {named}")


def _of_parts(down: Iterable[Json]) -> list[Finding]:
    """One for all that are away in the same way: a broker that is gone is not three causes."""
    alike: defaultdict[tuple[str, str, str], list[Json]] = defaultdict(list)
    for part in down:
        alike[part["name"].partition(".")[0], part["state"], part.get("reason") or ""].append(part)
    return [_of_part(code, state, reason, parts) for (code, state, reason), parts in alike.items()]


def _of_part(code: str, state: str, reason: str, parts: Sequence[Json]) -> Finding:
    which = ", ".join(dict.fromkeys(name for part in parts for name in part.get("parts") or []))
    lanes = ", ".join(part["name"].partition(".")[2] for part in parts if "." in part["name"])
    how = f"it {REASONS.get(reason, reason)} ({reason})" if reason else "it is of no use"
    need = "" if parts[0]["required"] else "; commands go on without it"
    what = f"{code} is {state}{f' for {lanes}' if lanes else ''}: {how}{need}"
    found = _made(code if code in diagnosis.steps() else "part", what, which=which)
    remedy = REMEDIES.get(reason)
    return replace(found, do=f"{remedy}; {found.do}") if remedy else found


def _of_silence(lanes: Sequence[str], down: Iterable[Json]) -> list[Finding]:
    """The app's own look may be a quarter of a minute old, and one from elsewhere."""
    if not lanes or any(part["name"].startswith("serviceBus") for part in down):
        return []
    return [_made("serviceBus", f"serviceBus does not answer this tool for {', '.join(lanes)}; the app says it is up")]


def how_it_ended(end: Json) -> str:
    return f"the process {end['process']} of {end['part']} {end['how']}, {ago(end['atUtc'])}"


def _of_ends(ends: Sequence[Json], runs: Iterable[Json]) -> list[Finding]:
    """Of each part one, however often it ended; with the commands that may have done it."""
    if not ends:
        return []
    suspects = [run["runId"] for run in runs if run["status"] == "Running" and run["attempt"] > 1]
    found: dict[str, list[Json]] = {}
    for end in ends:
        found.setdefault(end["part"], []).append(end)
    told = []
    for part, its in found.items():
        them = "it" if len(its) == 1 else "them"
        what = f"{part}: {_count(len(its), 'process', 'processes')} ended and nobody had told {them} to"
        which = f"at work more than once: {', '.join(suspects)}" if suspects and part == "worker" else ""
        found_one = _made("process_ended", what, said=how_it_ended(its[-1]), which=which)
        told.append(replace(found_one, do=_do_about(its)))
    return told


def _do_about(ends: Sequence[Json]) -> str:
    """By how the last of them ended, and whether it was one."""
    last = ends[-1]
    often = "it does not stay up: " if len(ends) >= OFTEN else ""
    is_killed = last.get("signal") == "SIGKILL"
    if is_killed and last.get("outOfMemory"):
        return f"{often}give it more memory, or find the command that takes it: what was at work before each end"
    if last.get("exitCode") is not None:
        return f"{often}it left by itself: its log's last lines before that say why"
    if is_killed and len(ends) == 1:
        return "nothing, if somebody killed it on purpose; otherwise the log before its end tells what it was at"
    return f"{often}the log's lines before each end tell what it was at: look for a command that is there each time"


def _of_pause(lane: Json) -> Finding:
    pause, name = lane["pause"], lane["lane"]
    what = f"lane {name} is paused by {pause['pausedBy']}, {ago(pause['pausedAtUtc'])}"
    found = _made("lane_paused", what, said=pause["reason"], lane=name)
    return replace(found, do=diagnosis.ask_who_paused(pause, name))


def _failing(runs: Iterable[Json]) -> dict[tuple[str, str], list[Json]]:
    """Runs whose last attempt failed, by lane and code, newest first."""
    found: defaultdict[tuple[str, str], list[Json]] = defaultdict(list)
    for run in runs:
        if run["attemptOutcome"] == "failed" and run["failureCode"] and run["failureCode"] != CANCELLED:
            found[run["lane"] or run["queue"], run["failureCode"]].append(run)
    return dict(sorted(found.items(), key=lambda item: -len(item[1])))


def _of_failing(lane: str, code: str, runs: Sequence[Json]) -> Finding:
    newest = runs[0]
    waiting = sum(not run["isFinal"] for run in runs)
    dead = len(runs) - waiting
    how = f", {waiting} of them to be tried again by itself" if waiting else " for good"
    what = f"{lane}: {_count(len(runs), 'command fails', 'commands fail')} with {code}{how}"
    ids = {"run": newest["runId"], "command": newest["commandId"], "household": newest["householdId"], "lane": lane}
    found = _made(code, what, said=newest["failureRationale"] or "", which=example(newest["runId"], len(runs)), **ids)
    then = f"./mosaic ops replay --lane {lane} --code {code} --reason WHY --dry-run"
    becomes = diagnosis.what_becomes(code, waiting=waiting, dead=dead)
    return replace(found, do=f"{found.do}; {becomes}", then=then if dead and diagnosis.can_be_replayed(code) else "")


def of_group(group: Group, last_success: str | None, waiting: int = 0) -> tuple[Finding, bool]:
    """And whether its cause looks mended: one of the surroundings, and the lane has succeeded since. ``waiting``
    commands failed alike and have attempts left."""
    code, step = group.code, diagnosis.steps().get(group.code, diagnosis.UNKNOWN)
    ids: dict[str, str | None] = {"message": group.example, "command": group.example, "lane": group.lane}
    age = f", the newest {ago(group.newest_at_utc)}" if group.newest_at_utc else ""
    exception = f" ({group.exception_type})" if group.exception_type else ""
    what = f"{group.lane}: {_count(group.count, 'dead letter', 'dead letters')} {code}{exception}{age}"
    if waiting:
        what += f"; {waiting} more to be tried again by itself"
    which = example(group.example, group.count)
    found = _made(code, what, said=group.rationale or "", which=which, sender=group.sent_by or "", **ids)
    if "{run}" in step.safe:
        found = replace(found, command=f"./mosaic ops run {group.example}")
    again = f"./mosaic ops replay --lane {group.lane} --group {group.group_id} --reason WHY --dry-run"
    since = at(last_success) if last_success else None
    newest = at(group.newest_at_utc) if group.newest_at_utc else None
    if step.shared and since and newest and since > newest:
        what = f"{what}; {group.lane} has succeeded since ({ago(last_success)}): the cause looks mended"
        do = "replay this group alone, dry run first; leave every other group until its own cause is mended"
        return replace(found, what=what, do=do, command=again), True
    if step.kind == "failure":
        becomes = diagnosis.what_becomes(code, waiting=waiting, dead=group.count)
        found = replace(found, do=f"{found.do}; {becomes}", then=again if diagnosis.can_be_replayed(code) else "")
    return found, False


def example(one: str, of: int) -> str:
    """That one, and how many it stands for."""
    return f"{one}, the newest of {of}" if one and of > 1 else one


def _late(depths: Iterable[Depth], paused: set[str]) -> list[Finding]:
    found = []
    for depth in depths:
        waited = seconds_since(depth.oldest_at_utc) if depth.oldest_at_utc else 0.0
        if waited > DUE_SECONDS and depth.lane not in paused:
            since = ago(depth.oldest_at_utc).removesuffix(" ago")
            what = f"{depth.lane}: a message is due for {since}, {depth.active} wait"
            found.append(_made("lane_late", what))
    return found


def _crowded(depths: Iterable[Depth]) -> list[Finding]:
    return [
        _made("lane_crowded", f"{depth.lane}: {depth.scheduled} messages wait for their turn", lane=depth.lane)
        for depth in depths
        if depth.scheduled >= CROWD
    ]


def _skewed(ahead: float) -> list[Finding]:
    if abs(ahead) <= SKEW_SECONDS:
        return []
    way = "ahead of" if ahead > 0 else "behind"
    return [_made("clock_skewed", f"the app's clock is {abs(ahead):.0f} s {way} this machine's")]


def _signals(signals: Iterable[Json], dead: Collection[str]) -> list[Finding]:
    """Of each code that nothing else tells of, one."""
    found: defaultdict[str, list[Json]] = defaultdict(list)
    for signal in signals:
        code = signal["signalCode"]
        if signal["severity"] != "Warning" and code not in _TOLD_ELSEWHERE and _OF_DEAD_LETTERS.get(code) not in dead:
            found[code].append(signal)
    return [of_signals(code, members) for code, members in found.items()]


def of_signals(code: str, members: Sequence[Json]) -> Finding:
    """``members`` are of that code, newest first."""
    newest = members[0]
    what = f"{_count(len(members), 'open signal', 'open signals')} {code}, the newest {ago(newest['raisedAtUtc'])}"
    ids = {"run": newest["runId"], "command": newest["commandId"] or newest["messageId"]}
    ids |= {"message": newest["messageId"] or newest["commandId"], "household": newest["householdId"]}
    which = example(newest["runId"] or newest["messageId"] or newest["commandId"] or "", len(members))
    return _made(code, what, said=newest["summary"] or "", which=which, **ids)


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
