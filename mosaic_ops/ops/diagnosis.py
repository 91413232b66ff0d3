"""From what is known of a command to what happened, the runbook's section and the next safe command.

The table is ``steps.toml``; this chooses the entry. Whatever heals by itself is said to, before any code is.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from mosaic_core.domain.reasons import DeadLetterReason
from mosaic_core.domain.reservation import CANCELLED

STEPS: Final = Path(__file__).with_name("steps.toml")
RUNBOOK: Final = "docs/runbook.md"

type Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    kind: str
    section: str
    says: str
    do: str
    safe: str
    shared: bool = False
    """Its cause lies in the surroundings: where a later command succeeded, it is mended."""
    again: bool = False
    """Once it is mended a replay can succeed; so it is of whatever is ``shared``."""

    @property
    def anchor(self) -> str:
        """The section's link in the runbook."""
        slug = re.sub(r"[^a-z0-9 -]", "", self.section.lower()).replace(" ", "-")
        return f"{RUNBOOK}#{slug}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """``heals``: nothing is to be done but to wait. ``command`` is safe to type: it reads, or says what it changes.
    ``then`` is what to type once the cause is mended; empty where nothing is."""

    state: str
    code: str | None
    says: str
    do: str
    section: str
    command: str
    heals: bool
    then: str = ""

    def json(self) -> Json:
        return asdict(self)


@cache
def steps() -> Mapping[str, Step]:
    return {code: Step(**entry) for code, entry in tomllib.loads(STEPS.read_text("utf-8")).items()}


UNKNOWN: Final = Step(
    kind="failure",
    section="Codes And What To Do",
    says="a code that this version of the tool does not know",
    do="look into the run and its log lines; use the tool of the version that is deployed",
    safe="./mosaic ops trace {command}",
    again=True,
)


def of_code(code: str, **ids: str | None) -> Diagnosis:
    step = steps().get(code, UNKNOWN)
    return _from(step, code=code, state=step.kind, **ids)


def of_letter(reason: str, failure_code: str | None, **ids: str | None) -> Diagnosis:
    """Of one dead letter, by itself."""
    if reason == DeadLetterReason.PROCESSING_FAILED and failure_code:
        return _dead(failure_code, ids, f"dead letter {reason}")
    return _with(of_code(reason, **ids), state=f"dead letter {reason}")


def ask_who_paused(pause: Json, lane: str) -> str:
    """What to do about a lane that is paused, with the name of whoever did it."""
    return steps()["lane_paused"].do.replace("whoever paused it", pause["pausedBy"]).replace("LANE", lane)


def of_code_alone(code: str) -> Diagnosis:
    """Where no command is named: what holds while attempts are left, and what after the last one."""
    found, step = of_code(code), steps().get(code, UNKNOWN)
    if step.kind != "failure":
        return found
    after = "what ran out of them is dead" + (": once it is mended, replay it (dry run first)" if step.again else "")
    return _with(found, do=f"{found.do}; a command with attempts left is tried again by itself, {after}")


def what_becomes(code: str, *, waiting: int, dead: int) -> str:
    """Of commands that failed with this code, so many of them with attempts left: what is to be said beside the cause's
    own remedy."""
    said = []
    if waiting:
        itself = "itself" if waiting == 1 else "themselves"
        said.append(f"{_they(waiting, dead)} tried again by {itself}: replay nothing")
    if dead:
        it = "it" if dead == 1 else "them"
        said.append(f"{_they(dead, waiting)} dead, and nothing runs {it} again")
        if can_be_replayed(code):
            said.append(f"once the cause is mended, replay {it}")
    return "; ".join(said)


def can_be_replayed(code: str) -> bool:
    step = steps().get(code, UNKNOWN)
    return step.again or step.shared


def _they(number: int, others: int) -> str:
    if others:
        return f"{number} {'is' if number == 1 else 'are'}"
    return "it is" if number == 1 else "they are"


def of_story(story: Json, dead: list[Json], ended: str = "") -> Diagnosis:
    """``story`` is the answer of the trace, ``dead`` are the command's dead letters, oldest first; ``ended`` is how the
    process of the attempt that had begun ended, where it is known to have."""
    ids = _ids(story, dead)
    run, key = story.get("run"), story.get("key")
    reason = dead[-1]["reason"] if dead else None
    if run is not None and not run["isFinal"] and reason is None:
        return _unfinished(run, key, ids, ended)
    if reason == DeadLetterReason.PROCESSING_FAILED and run is not None and run["failureCode"]:
        return of_letter(reason, run["failureCode"], **ids)
    if reason is not None:
        return of_letter(reason, None, **ids)
    if run is not None and run["attemptOutcome"] == "failed":
        state = "failed for good; its dead letter is gone from the queue, or was not looked at"
        return _dead(run["failureCode"] or "unknown", ids, state)
    if run is not None and run["status"] == "NeedsReview":
        return _with(of_code(run["failureCode"] or "unknown", **ids), state="waits for a person; no incident")
    if run is not None and key is not None and key["status"] == "Reserved":
        return _waits(
            "final, and its key still Reserved",
            "a process died between the two; the next delivery settles it within a minute",
            "Queue Retry And Dead-Letter Workflow",
            f"./mosaic ops trace {ids['command']}",
        )
    if run is not None:
        return _waits(
            run["status"], "nothing is wrong with it", "Common Failure Modes", f"./mosaic ops run {ids['run']}"
        )
    told = [signal["signalCode"] for signal in story["signals"] if not signal["isResolved"]]
    if told:
        return of_code(told[-1], **ids)
    return _waits(
        "no worker has begun it",
        "it waits in its queue, or is still to be sent by the outbox's timer",
        "Prerequisites",
        "./mosaic ops wait worker --status up",
    )


def _dead(code: str, ids: dict[str, str | None], state: str) -> Diagnosis:
    found = of_code(code, **ids)
    if code == CANCELLED:
        return _with(found, state=state)
    then = f"./mosaic ops replay {ids['command']} --reason WHY --dry-run" if can_be_replayed(code) else ""
    return _with(found, state=state, do=f"{found.do}; {what_becomes(code, waiting=0, dead=1)}", then=then)


def _unfinished(run: Json, key: Json | None, ids: dict[str, str | None], ended: str) -> Diagnosis:
    nth = f"attempt {attempts(run)}"
    again = f"./mosaic ops run {ids['run']}"
    section = "Queue Retry And Dead-Letter Workflow"
    if run["status"] == "Running":
        left = key["leaseSecondsLeft"] if key is not None else 0.0
        why = "no worker holds it now: the next delivery goes on within a minute"
        if left > 0 and ended:
            why = f"its {ended}; another worker goes on when the lease is over, in {left:.0f} s"
        elif left > 0:
            why = f"a worker holds it, for {left:.0f} s more; it renews that as long as it lives"
        elif ended:
            why = f"its {ended}; the next delivery goes on within a minute"
        return _waits(f"running, {nth}", why, section, again)
    due = run["nextAttemptAtUtc"]
    when = f", next at {due}" if due else ""
    code = run["failureCode"]
    says = steps().get(code, UNKNOWN).says if code else "an attempt failed"
    return Diagnosis(
        state=f"{nth}{when}",
        code=code,
        says=f"{says}; another attempt comes by itself",
        do="wait until then before you judge",
        section=f"{RUNBOOK}#queue-retry-and-dead-letter-workflow",
        command=again,
        heals=True,
    )


def _waits(state: str, says: str, section: str, command: str) -> Diagnosis:
    anchor = Step(kind="", section=section, says="", do="", safe="").anchor
    return Diagnosis(state=state, code=None, says=says, do="nothing to do", section=anchor, command=command, heals=True)


def _from(step: Step, *, code: str | None, state: str, **ids: str | None) -> Diagnosis:
    return Diagnosis(
        state=state,
        code=code,
        says=step.says,
        do=step.do,
        section=step.anchor,
        command=_filled(step.safe, ids),
        heals=False,
    )


def _with(found: Diagnosis, **changes: Any) -> Diagnosis:
    return Diagnosis(**{**asdict(found), **changes})


def _filled(template: str, ids: Mapping[str, str | None]) -> str:
    """With the ids that are known; what is not known stays as a word to replace."""
    names = ("run", "command", "message", "household", "lane")
    missing = {name: name.upper() if name == "lane" else f"{name.upper()}_ID" for name in names}
    return template.format(**{name: ids.get(name) or missing[name] for name in names})


def attempts(run: Json) -> str:
    """How many of the most that count. Where that is not known of a number above it, that number as what it is."""
    counted, number, most = run["countedAttempts"], run["attempt"], run["maxAttempts"]
    if counted is not None:
        return f"{min(counted, most)} of {most}"
    return f"{number} of {most}" if number <= most else f"number {number}, of which at most {most} count"


def _ids(story: Json, dead: list[Json]) -> dict[str, str | None]:
    messages = [letter["messageId"] for letter in dead] or [s["messageId"] for s in story["signals"] if s["messageId"]]
    return {
        "run": story["runId"],
        "command": story["commandId"] or (messages[-1] if messages else None),
        "message": (messages[-1] if messages else None) or story["commandId"],
        "household": story["householdId"],
        "lane": run["lane"] if (run := story.get("run")) else None,
    }
