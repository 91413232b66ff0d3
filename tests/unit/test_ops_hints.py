"""What a verb tells to type leads on: never to the verb itself, nor in a circle, whatever is wrong."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable

import pytest

from mosaic_ops.ops import diagnosis, hints
from tests.support.world import COMMAND_ID, RUN_ID, body
from tests.unit.test_ops_command import Ops, Stack, letter, ops, stack

__all__ = ["ops", "stack"]

STARTS = [
    ["status"],
    ["signals"],
    ["dlq", "groups"],
    ["dlq", "list"],
    ["dlq", "show", COMMAND_ID],
    ["runs"],
    ["run", COMMAND_ID],
    ["next", COMMAND_ID],
    ["trace", COMMAND_ID],
    ["trace", COMMAND_ID, "--dead-letters"],
    ["replay", COMMAND_ID, "--reason", "tried", "--dry-run"],
]


def suggested(text: str) -> list[str]:
    """Every command of ours in it, up to where words of another kind begin."""
    found = re.findall(r"\./mosaic ops (?:[\w:…-]+(?: |$))+", text.replace("\n", " \n"))
    return [one.strip() for one in found]


def dead(stack: Stack) -> None:
    stack.fail()


def trying(stack: Stack) -> None:
    async def work() -> None:
        await stack.work.send()
        message = stack.work._next()
        assert message is not None
        await stack.work.deliver(message)

    asyncio.run(work())


def waiting(stack: Stack) -> None:
    asyncio.run(stack.work.send())


def never_decoded(stack: Stack) -> None:
    async def work() -> None:
        await stack.work.send(b"{", recorded=False, message_id=COMMAND_ID)
        await stack.work.run()

    asyncio.run(work())


def of_another_request(stack: Stack) -> None:
    async def work() -> None:
        await stack.work.send()
        await stack.work.run()
        await stack.work.send(body(message="another"), message_id="second")
        await stack.work.run()

    asyncio.run(work())


def only_in_the_queue(stack: Stack) -> None:
    stack.letters = [letter(run_id=None, reason="TTLExpiredException", failure_code=None)]


CASES: list[Callable[[Stack], None]] = [dead, trying, waiting, never_decoded, of_another_request, only_in_the_queue]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_whoever_types_what_is_told_never_comes_back(stack: Stack, ops: Ops, case: Callable[[Stack], None]) -> None:
    case(stack)
    told: dict[str, list[str]] = {}

    def follow(command: str, path: tuple[str, ...]) -> None:
        assert command not in path, f"{' -> '.join(path)} -> {command}"
        if command not in told:
            _, out, said = ops(*command.split()[2:])
            told[command] = suggested(out + said)
        for one in told[command]:
            if "replay" not in one and "wait" not in one and "logs" not in one and "…" not in one:
                follow(one, (*path, command))

    for start in STARTS:
        follow(f"./mosaic ops {' '.join(start)}", ())
    assert any(told.values())


def test_next_of_a_code_and_a_glance_at_it_send_on(stack: Stack, ops: Ops) -> None:
    own = []
    for code in diagnosis.steps():
        step = diagnosis.of_code(code, run=RUN_ID, command=COMMAND_ID, message="m-1", lane="sweep")
        for glance in ("status", "signals", "dlq groups"):
            assert hints.leads_on(step.command, glance), f"{glance} would tell {step.command}"
        if not hints.leads_on(step.command, "next"):
            own.append(code)
    for code in own:
        assert "./mosaic ops next" not in ops("next", code)[1]
    assert own


@pytest.mark.parametrize("case", [dead, of_another_request], ids=lambda case: case.__name__)
def test_next_does_not_repeat_what_a_glance_at_the_same_said(
    stack: Stack, ops: Ops, case: Callable[[Stack], None]
) -> None:
    case(stack)
    glances = {one for glance in (["status"], ["dlq", "groups"]) for one in suggested(ops(*glance)[1])}
    assert glances
    after = [one for one in suggested(ops("next", COMMAND_ID)[1]) if "replay" not in one]
    assert after
    assert not glances & set(after)


def test_a_circle_would_be_seen() -> None:
    assert hints.leads_on("./mosaic ops dlq show m-1", "next")
    assert not hints.leads_on("./mosaic ops dlq show m-1", "dlq show")
    assert not hints.leads_on("./mosaic ops next m-1", "trace")
    assert not hints.leads_on("./mosaic ops status", "status")
    assert hints.leads_on("date -u", "status")
