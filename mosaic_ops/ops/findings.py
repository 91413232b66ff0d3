"""What is wrong now, the gravest first: from what the app, its tables and its queues tell, to a cause, what to do and
the safe command to type. Nothing here asks anybody.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from mosaic_core.domain.reasons import DeadLetterReason
from mosaic_core.domain.signals import HASH_MISMATCH, NOT_RECORDED
from mosaic_ops.ops import diagnosis
from mosaic_ops.ops.queues import Depth, Group
from mosaic_ops.ops.words import ago, at, seconds_since

type Json = dict[str, Any]

DUE_SECONDS: Final = 60.0
"""A worker that is up leaves no message that is due for longer."""

SKEW_SECONDS: Final = 60.0
"""By so much two clocks may differ until leases, tokens and ages say what is not so."""

REASONS: Final = {
    "unreachable": "does not answer",
    "no_answer": "does not answer in time",
    "not_found": "is not there",
    "forbidden": "refuses the app: its role is gone, or not there yet",
    "no_token": "cannot be asked: the app's identity gets no token",
    "unusable": "cannot be used as it is set",
    "package_missing": "lacks a package",
    "failed": "fails",
}

_TOLD_ELSEWHERE: Final = frozenset({"worker_command_failed", "command_rejected"})
"""Signals of what the runs and the dead letters tell already."""

_OF_DEAD_LETTERS: Final = {
    NOT_RECORDED: DeadLetterReason.NOT_RECORDED,
    HASH_MISMATCH: DeadLetterReason.IDEMPOTENCY_HASH_MISMATCH,
}
"""Signals that a dead letter of that reason tells already, as long as it lies there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """``what`` is one line with the cause's code; ``said`` what the worker, or a person, wrote of it; ``which`` names
    parts, or one message of many."""

    what: str
    says: str
    do: str
    command: str
    section: str
    said: str = ""
    which: str = ""

    def json(self) -> Json:
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was looked at; what could not be is empty. ``runs`` and ``signals`` are the newest ones."""

    health: Mapping[str, Any] | None = None
    lanes: Sequence[Json] = ()
    runs: Sequence[Json] = ()
    signals: Sequence[Json] = ()
    groups: Sequence[Group] = ()
    depths: Sequence[Depth] = ()
    clock_ahead_seconds: float = 0.0


def of(seen: Seen) -> list[Finding]:
    """Parts that are away first, then what people did, what fails now, what failed, what is late, what else waits."""
    if seen.health is not None and seen.health["status"] == "not_started":
        return [_not_started(seen.health["dependencies"])]
    dependencies = seen.health["dependencies"] if seen.health is not None else []
    down = [one for one in dependencies if one["state"] != "up"]
    failing = _failing(seen.runs)
    last = {lane["lane"]: lane["recent"]["lastSuccessAtUtc"] for lane in seen.lanes}
    dead = [of_group(group, last.get(group.lane)) for group in seen.groups]
    told = {(group.lane, group.code) for group in seen.groups}
    return [
        *_of_parts([one for one in down if one["required"]]),
        *(_of_pause(lane) for lane in seen.lanes if lane.get("pause")),
        *(_of_failing(lane, code, runs) for (lane, code), runs in failing.items() if (lane, code) not in told),
        *(finding for finding, is_over in dead if not is_over),
        *(finding for finding, is_over in dead if is_over),
        *_late(seen.depths, {lane["lane"] for lane in seen.lanes if lane.get("pause")}),
        *_skewed(seen.clock_ahead_seconds),
        *_of_parts([one for one in down if not one["required"]]),
        *_signals(seen.signals, {code for _, code in told}),
    ]


def _made(code: str, what: str, *, said: str = "", which: str = "", **ids: str | None) -> Finding:
    step = diagnosis.of_code(code, **ids)
    return Finding(
        what=what, says=step.says, do=step.do, command=step.command, section=step.section, said=said, which=which
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
    which = ", ".join(name for part in parts for name in part.get("parts") or [])
    lanes = ", ".join(part["name"].partition(".")[2] for part in parts if "." in part["name"])
    how = f"it {REASONS.get(reason, reason)} ({reason})" if reason else "it is of no use"
    need = "" if parts[0]["required"] else "; commands go on without it"
    what = f"{code} is {state}{f' for {lanes}' if lanes else ''}: {how}{need}"
    return _made(code if code in diagnosis.steps() else "part", what, which=which)


def _of_pause(lane: Json) -> Finding:
    pause, name = lane["pause"], lane["lane"]
    found = _made("lane_paused", f"lane {name} is paused by {pause['pausedBy']}, {ago(pause['pausedAtUtc'])}")
    do = found.do.replace("whoever paused it", pause["pausedBy"]).replace("LANE", name)
    return Finding(**{**found.json(), "said": pause["reason"], "do": do})


def _failing(runs: Iterable[Json]) -> dict[tuple[str, str], list[Json]]:
    """Runs whose last attempt failed, by lane and code, newest first."""
    found: defaultdict[tuple[str, str], list[Json]] = defaultdict(list)
    for run in runs:
        if run["attemptOutcome"] == "failed" and run["failureCode"] and run["failureCode"] != "cancelled_by_operator":
            found[run["lane"] or run["queue"], run["failureCode"]].append(run)
    return dict(sorted(found.items(), key=lambda item: -len(item[1])))


def _of_failing(lane: str, code: str, runs: Sequence[Json]) -> Finding:
    newest = runs[0]
    waiting = sum(not run["isFinal"] for run in runs)
    how = f", {waiting} of them to be tried again by itself" if waiting else ""
    what = f"{lane}: {_count(len(runs), 'command fails', 'commands fail')} with {code}{how}"
    ids = {"run": newest["runId"], "command": newest["commandId"], "household": newest["householdId"]}
    return _made(code, what, said=newest["failureRationale"] or "", which=newest["runId"], **ids)


def of_group(group: Group, last_success: str | None) -> tuple[Finding, bool]:
    """And whether its cause looks mended: one of the surroundings, and the lane has succeeded since."""
    ids: dict[str, str | None] = {"message": group.example, "command": group.example}
    code = group.code
    age = f", the newest {ago(group.newest_at_utc)}" if group.newest_at_utc else ""
    exception = f" ({group.exception_type})" if group.exception_type else ""
    what = f"{group.lane}: {_count(group.count, 'dead letter', 'dead letters')} {code}{exception}{age}"
    found = _made(code, what, said=group.rationale or "", which=group.example, **ids)
    if "{run}" in diagnosis.steps().get(code, diagnosis.UNKNOWN).safe:
        found = Finding(**{**found.json(), "command": f"./mosaic ops run {group.example}"})
    step = diagnosis.steps().get(code)
    since = at(last_success) if last_success else None
    newest = at(group.newest_at_utc) if group.newest_at_utc else None
    is_over = bool(step is not None and step.shared and since and newest and since > newest)
    if not is_over:
        return found, False
    again = f"./mosaic ops replay --lane {group.lane} --group {group.group_id} --reason WHY --dry-run"
    mended = {
        "what": f"{what}; {group.lane} has succeeded since ({ago(last_success)}): the cause looks mended",
        "do": "replay this group alone, dry run first; leave every other group until its own cause is mended",
        "command": again,
    }
    return Finding(**{**found.json(), **mended}), True


def _late(depths: Iterable[Depth], paused: set[str]) -> list[Finding]:
    found = []
    for depth in depths:
        waited = seconds_since(depth.oldest_at_utc) if depth.oldest_at_utc else 0.0
        if waited > DUE_SECONDS and depth.lane not in paused:
            since = ago(depth.oldest_at_utc).removesuffix(" ago")
            what = f"{depth.lane}: a message is due for {since}, {depth.active} wait"
            found.append(_made("lane_late", what))
    return found


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
    which = newest["runId"] or newest["messageId"] or newest["commandId"] or ""
    return _made(code, what, said=newest["summary"] or "", which=which, **ids)


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
