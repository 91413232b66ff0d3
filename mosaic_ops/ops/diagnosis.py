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

    @property
    def anchor(self) -> str:
        """The section's link in the runbook."""
        slug = re.sub(r"[^a-z0-9 -]", "", self.section.lower()).replace(" ", "-")
        return f"{RUNBOOK}#{slug}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """``heals``: nothing is to be done but to wait. ``command`` is safe to type: it reads, or says what it changes."""

    state: str
    code: str | None
    says: str
    do: str
    section: str
    command: str
    heals: bool

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
)


def of_code(code: str, **ids: str | None) -> Diagnosis:
    step = steps().get(code, UNKNOWN)
    return _from(step, code=code, state=step.kind, **ids)


def of_story(story: Json, dead: list[Json]) -> Diagnosis:
    """``story`` is the answer of the trace, ``dead`` are the command's dead letters, oldest first."""
    ids = _ids(story, dead)
    run, key = story.get("run"), story.get("key")
    reason = dead[-1]["reason"] if dead else None
    if run is not None and not run["isFinal"] and reason is None:
        return _unfinished(run, key, ids)
    if reason == DeadLetterReason.PROCESSING_FAILED and run is not None and run["failureCode"]:
        found = of_code(run["failureCode"], **ids)
        cause = steps()[DeadLetterReason.PROCESSING_FAILED]
        return _with(found, state="dead letter processing_failed", do=f"{found.do}. {_sentence(cause.do)}")
    if reason is not None:
        found = of_code(reason, **ids)
        return _with(found, state=f"dead letter {reason}")
    if run is not None and run["attemptOutcome"] == "failed":
        found = of_code(run["failureCode"] or "unknown", **ids)
        return _with(found, state="failed for good; its dead letter is gone from the queue, or was not looked at")
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


def _unfinished(run: Json, key: Json | None, ids: dict[str, str | None]) -> Diagnosis:
    counted = run["countedAttempts"] if run["countedAttempts"] is not None else run["attempt"]
    nth = f"attempt {counted} of {run['maxAttempts']}"
    again = f"./mosaic ops next {ids['run']}"
    section = "Queue Retry And Dead-Letter Workflow"
    if run["status"] == "Running":
        held = key is not None and key["leaseSecondsLeft"] > 0
        why = "a worker is at it" if held else "no worker holds it now: the next delivery goes on within a minute"
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
    names = ("run", "command", "message", "household")
    return template.format(**{name: ids.get(name) or f"{name.upper()}_ID" for name in names})


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _ids(story: Json, dead: list[Json]) -> dict[str, str | None]:
    messages = [letter["messageId"] for letter in dead] or [s["messageId"] for s in story["signals"] if s["messageId"]]
    return {
        "run": story["runId"],
        "command": story["commandId"] or (messages[-1] if messages else None),
        "message": (messages[-1] if messages else None) or story["commandId"],
        "household": story["householdId"],
    }
