"""What the operator is told to do next: the table against the runbook, and the choice of the entry."""

from __future__ import annotations

import re
import shlex
from typing import Any

import pytest
import typer

from mosaic_core.domain.lifecycle import RunStatus
from mosaic_ops.ops import app, diagnosis
from tests.support.api import ApiWorld
from tests.support.documents import read
from tests.support.world import COMMAND_ID, RUN_ID, Work, World, body

RUNBOOK = read("docs/runbook.md")
STEPS = diagnosis.steps()


def table(first: str) -> set[str]:
    """The codes in the first column of the table that follows a line."""
    rows = RUNBOOK[RUNBOOK.index(first) :].split("\n\n")[1].splitlines()[2:]
    return {code for row in rows for code in re.findall(r"`(\w+)`", row.split("|")[1])}


def dead_letter_reasons() -> set[str]:
    text = RUNBOOK[RUNBOOK.index("## Common Failure Modes") : RUNBOOK.index("## Codes And What To Do")]
    named = re.findall(r"dead letter ((?:`\w+`(?: or )?)+)", text)
    return {code for found in named for code in re.findall(r"`(\w+)`", found)}


def test_each_code_of_the_runbook_has_its_step() -> None:
    kinds = {
        "review": table("Codes of a run that waits for a person"),
        "failure": table("Codes of a failed attempt"),
        "signal": table("Signals of the timers"),
        "part": table("What `./mosaic ops status` finds"),
        "dead-letter": dead_letter_reasons() | {"not_recorded", "MaxDeliveryCountExceeded"},
    }
    assert all(len(codes) >= 4 for codes in kinds.values()), kinds
    for kind, codes in kinds.items():
        for code in codes:
            assert code in STEPS, f"{code} of the runbook has no step"
            assert STEPS[code].kind == kind, code


def test_each_step_is_the_runbooks() -> None:
    headings = set(re.findall(r"^## (.+)$", RUNBOOK, re.MULTILINE))
    for code, step in STEPS.items():
        assert step.section in headings, code
        assert f"`{code}`" in RUNBOOK or code == "TTLExpiredException", f"the runbook does not speak of {code}"
        assert step.kind in {"dead-letter", "failure", "review", "signal", "part"}
        assert step.says
        assert step.do


def parsed(command: str) -> None:
    """Raises where the tool does not take the command."""
    if command == "date -u":
        return
    program, tool, *words = shlex.split(command)
    assert (program, tool) == ("./mosaic", "ops")
    group: Any = typer.main.get_command(app.whole())
    while hasattr(group, "commands"):
        name, *words = words
        group = group.commands[name]
    group.make_context(group.name, words, obj=None)


@pytest.mark.parametrize("code", STEPS)
def test_the_safe_command_is_one_and_changes_nothing(code: str) -> None:
    ids = {"run": "a" * 32, "command": "b" * 32, "message": "m-1", "household": "c" * 32, "lane": "sweep"}
    found = diagnosis.of_code(code, **ids)
    parsed(found.command)
    assert "{" not in found.command
    assert not {"resolve", "replay", "cancel", "pause"} & set(shlex.split(found.command))


def test_what_is_not_known_is_a_word_to_replace() -> None:
    assert diagnosis.of_code("invalid_json").command == "./mosaic ops dlq show MESSAGE_ID"
    assert diagnosis.of_code("of_another_version").says.startswith("a code that this version")


HEALS = re.compile(r"by (?:it|them)sel(?:f|ves)|tried again|recovers?\b|wait until", re.IGNORECASE)
DEAD = re.compile(r"\bdead\b|nothing runs (?:it|them) again")
FAILURES = [code for code, step in STEPS.items() if step.kind == "failure" and code != "cancelled_by_operator"]


@pytest.mark.parametrize("code", [*FAILURES, "a_code_of_tomorrow"])
def test_what_is_dead_is_never_said_to_heal_and_what_heals_is_never_said_to_be_dead(code: str) -> None:
    step = STEPS.get(code, diagnosis.UNKNOWN)
    assert not HEALS.search(f"{step.says}; {step.do}"), "what becomes of it is said of that very command"
    dead = diagnosis.of_letter("processing_failed", code, command="b" * 32)
    assert DEAD.search(dead.do)
    assert not HEALS.search(f"{dead.says}; {dead.do}")
    run = {"isFinal": False, "status": "NeedsReview", "failureCode": code, "countedAttempts": 2, "attempt": 2}
    run |= {"maxAttempts": 5, "nextAttemptAtUtc": "2026-01-01T00:00:00Z", "lane": "sweep", "attemptOutcome": "failed"}
    story: dict[str, Any] = {
        "run": run,
        "key": None,
        "signals": [],
        "runId": RUN_ID,
        "commandId": COMMAND_ID,
        "householdId": None,
    }
    trying = diagnosis.of_story(story, [])
    assert trying.heals
    assert HEALS.search(trying.says)
    assert not DEAD.search(f"{trying.says}; {trying.do}")
    both = diagnosis.what_becomes(code, waiting=2, dead=1)
    assert both.startswith("2 are tried again by themselves: replay nothing; 1 is dead, and nothing runs it again")
    assert ("replay it" in both) is bool(dead.then) is (step.again or step.shared)
    alone = diagnosis.of_code_alone(code)
    assert "with attempts left is tried again by itself" in alone.do or code not in STEPS


@pytest.mark.parametrize(
    ("left", "ended", "said"),
    [
        (24.0, "", "a worker holds it, for 24 s more; it renews that as long as it lives"),
        (12.4, "process was ended by SIGKILL, 9 s ago", "another worker goes on when the lease is over, in 12 s"),
        (0.0, "process was ended by SIGKILL, 40 s ago", "SIGKILL, 40 s ago; the next delivery goes on within a minute"),
        (0.0, "", "no worker holds it now: the next delivery goes on within a minute"),
    ],
)
def test_nobody_is_said_to_be_at_what_its_dead_process_held(left: float, ended: str, said: str) -> None:
    run = {"isFinal": False, "status": "Running", "countedAttempts": 1, "attempt": 1, "maxAttempts": 5, "lane": "sweep"}
    story: dict[str, Any] = {"run": run, "key": {"leaseSecondsLeft": left}, "signals": [], "runId": RUN_ID}
    story |= {"commandId": COMMAND_ID, "householdId": None}
    assert said in diagnosis.of_story(story, [], ended).says


@pytest.mark.parametrize(
    ("counted", "number", "said"),
    [
        (5, 6, "5 of 5"),
        (6, 6, "5 of 5"),
        (2, 7, "2 of 5"),
        (None, 4, "4 of 5"),
        (None, 6, "number 6, of which at most 5 count"),
    ],
)
def test_no_attempt_is_the_sixth_of_five(counted: int | None, number: int, said: str) -> None:
    assert diagnosis.attempts({"countedAttempts": counted, "attempt": number, "maxAttempts": 5}) == said


# ----------------------------------------------------------------------------------------------------- a real story


class Told:
    def __init__(self, work: World) -> None:
        self.work = work
        self.world = ApiWorld(clock=work.clock)
        self.world.stores = work.stored

    async def next(self, asked: str = COMMAND_ID, dead: list[dict[str, Any]] | None = None) -> diagnosis.Diagnosis:
        answer = await self.world.get(f"/ops/trace/{asked}", token="olga+Mosaic.Operator.Read")
        assert answer.status == 200, answer.body
        found = diagnosis.of_story(answer.json, dead or [])
        parsed(found.command)
        return found

    async def deliver(self) -> None:
        message = self.work._next()
        assert message is not None
        await self.work.deliver(message)


def letter(reason: str, message_id: str = COMMAND_ID) -> dict[str, Any]:
    return {"reason": reason, "messageId": message_id}


async def test_nobody_chases_what_heals_itself() -> None:
    work = World(Work(["fail", "fail", "success"]))
    told = Told(work)
    await work.send()
    found = await told.next()
    assert (found.heals, found.state) == (True, "no worker has begun it")
    for nth in (1, 2):
        await told.deliver()
        found = await told.next()
        run = await work.run_row()
        assert found.heals
        assert found.state.startswith(f"attempt {nth} of 5, next at {run.next_attempt_at:%Y-%m-%dT%H:%M:%S}")
        assert found.command == f"./mosaic ops run {RUN_ID}"
    await work.run()
    found = await told.next()
    assert (found.heals, found.state) == (True, "Completed")


async def test_a_rejected_command_is_told_by_its_failure_code() -> None:
    work = World(Work(["fail"]))
    told = Told(work)
    await work.send()
    await work.run()
    found = await told.next(dead=[letter("processing_failed")])
    assert (found.heals, found.code, found.state) == (False, "broken", "dead letter processing_failed")
    replay = f"./mosaic ops replay {COMMAND_ID} --reason WHY --dry-run"
    assert (found.then, found.do.endswith("replay it")) == (replay, True)
    gone = await told.next()
    assert (gone.heals, gone.code) == (False, "broken")
    assert gone.then == replay
    again = await told.next(dead=[letter("processing_failed"), letter("idempotency_rejected")])
    assert again.code == "idempotency_rejected"
    assert again.command == f"./mosaic ops trace {COMMAND_ID}"


async def test_a_review_is_no_incident() -> None:
    work = World(Work(["review"]))
    told = Told(work)
    await work.send()
    await work.run()
    found = await told.next()
    assert (found.heals, found.code) == (False, "look_at_it")
    assert found.state == "waits for a person; no incident"


async def test_a_message_that_never_decoded() -> None:
    work = World(Work(["success"]))
    told = Told(work)
    await work.send(b"{", recorded=False, message_id="m-1")
    await work.run()
    assert (await told.next("m-1")).code == "command_rejected"
    found = await told.next("m-1", [letter("invalid_json", "m-1")])
    assert (found.code, found.command) == ("invalid_json", "./mosaic ops dlq show m-1")


async def test_what_is_not_recorded_and_what_is_another_request() -> None:
    work = World(Work(["success"]))
    told = Told(work)
    await work.send(recorded=False)
    await work.run()
    assert (await told.next()).code == "command_not_recorded"
    assert (await told.next(dead=[letter("not_recorded")])).code == "not_recorded"
    work = World(Work(["success"]))
    told = Told(work)
    await work.send()
    await work.run()
    await work.send(body(message="another"), message_id="second")
    await work.run()
    found = await told.next("second", [letter("idempotency_hash_mismatch", "second")])
    assert found.code == "idempotency_hash_mismatch"


async def test_a_run_that_the_broker_gave_up_is_told_so() -> None:
    """Its run still says Running: the dead letter knows better."""
    work = World(Work(["fail", "success"]))
    told = Told(work)
    await work.send()
    await told.deliver()
    run = await work.stored.runs.read(RUN_ID)
    assert run is not None
    assert run.value.status == RunStatus.NEEDS_REVIEW
    found = await told.next(dead=[letter("MaxDeliveryCountExceeded")])
    assert (found.heals, found.code) == (False, "MaxDeliveryCountExceeded")
