"""A newcomer with docs/runbook.md alone, on a stack with one planted fault: its first section's commands, in their
order and as a person types them, name the cause and the safe next step, and change nothing."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import re
import shlex
import struct
import subprocess
import sys
import termios
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from azure.data.tables.aio import TableServiceClient

from tests.support import planted_faults
from tests.support.documents import blocks, read
from tests.support.live import Live
from tests.support.planted_faults import Fault, Planted

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(400), pytest.mark.asyncio(loop_scope="session")]

ROOT = Path(__file__).resolve().parents[2]
RUNBOOK = "docs/runbook.md"
HEADING = "## Three Commands At Night"
COLUMNS = 80
HARM = {"resolve", "replay", "cancel", "pause", "resume", "erase", "send", "add", "remove"}


@dataclass(frozen=True, slots=True)
class Told:
    """``cause`` and ``step`` are what a newcomer has to be able to report; ``within`` commands."""

    fault: Fault
    cause: tuple[str, ...]
    step: tuple[str, ...]
    within: int = 1
    wrong: int = 1


SEVEN = {
    "bad producer": Told(
        planted_faults.bad_producer,
        ("ingestion: 3 dead letters invalid_envelope", "createdAtUtc: field required", "a producer sends envelopes"),
        ("fix the producer", "./mosaic ops dlq show feed-2"),
    ),
    "dead model endpoint": Told(
        planted_faults.dead_model,
        ("conversation: 2 dead letters agent_runtime_unavailable", "the model's provider did not answer"),
        ("look at the provider's state", "./mosaic ops telemetry logs worker --id"),
    ),
    "tables away": Told(
        planted_faults.tables_away,
        ("tables is down: it does not answer", "no command can go on, none is lost"),
        ("restore storage", "replay nothing", "./mosaic ops wait api --status healthy"),
    ),
    "poison that kills the worker": Told(
        planted_faults.poison,
        ("conversation: 1 dead letter attempts_exhausted", "this command kills its worker"),
        ("do not replay it before the crash is mended", "./mosaic ops logs worker --tail 50 --level warning"),
    ),
    "hub gone": Told(
        planted_faults.hub_gone,
        ("eventHub is down: it does not answer", "commands go on without it", "events are lost, and nothing else"),
        ("restore the hub", "nothing is to be sent again"),
    ),
    "paused lane": Told(
        planted_faults.paused_lane,
        ("lane conversation is paused by olga", "the new model is looked at"),
        ("ask olga whether it may go on", "./mosaic ops lane resume conversation"),
    ),
    "two failure groups, one fixed": Told(
        planted_faults.two_groups,
        (
            "1. ingestion: 1 dead letter invalid_json",
            "2. conversation: 1 dead letter agent_runtime_unavailable",
            "conversation has succeeded since",
            "the cause looks mended",
        ),
        (
            "fix the producer",
            "replay this group alone, dry run first",
            "./mosaic ops replay --lane conversation --group",
        ),
        wrong=2,
    ),
}
OTHERS = {
    "a stranger sends": Told(
        planted_faults.stranger_sends,
        ("conversation: 1 dead letter not_recorded", "somebody sent past the API"),
        ("find out who may send to the queue",),
    ),
    "a queue is missing": Told(
        planted_faults.queue_missing,
        ("serviceBus is down for sweep: it is not there (not_found)",),
        ("the queue of that name",),
    ),
    "the issuer is unreachable": Told(
        planted_faults.issuer_gone, ("issuerKeys is down: it does not answer",), ("restore the issuer",)
    ),
    "the hub has another name": Told(
        planted_faults.hub_of_another_name,
        ("eventHub is down: it is not there (not_found)", "commands go on without it"),
        ("`TelemetryHub`",),
    ),
    "storage is slow": Told(
        planted_faults.tables_slow, ("tables is down: it does not answer in time",), ("restore storage",)
    ),
    "a setting is wrong": Told(
        planted_faults.setting_wrong,
        ("the app does not start: Lane__DeadlineSeconds (setting_invalid)",),
        ("mend what is named", "./mosaic ops logs worker --tail 50"),
    ),
    "the worker is gone": Told(
        planted_faults.worker_gone,
        ("the app does not answer; its process is down: worker",),
        ("./mosaic ops logs worker --tail 50",),
    ),
}


def commands() -> list[list[str]]:
    """Of the runbook's section for the night, as they are written there."""
    start = read(RUNBOOK)[: read(RUNBOOK).index(HEADING)].count("\n")
    first = next(block for block in blocks(RUNBOOK) if block.is_commands and block.line > start)
    return [shlex.split(line) for line in first.text.splitlines()]


def typed(running: Live, command: list[str]) -> str:
    """What a terminal of `COLUMNS` columns shows, in one line, without its colours."""
    program, tool, *words = command
    assert (program, tool) == ("./mosaic", "ops")
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, COLUMNS, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    argv = [sys.executable, "-m", "mosaic_ops.cli", "ops", *words, "--state", str(running.stack.state_dir)]
    environment["TERM"] = "xterm"
    with subprocess.Popen(argv, cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs, env=environment):
        os.close(theirs)
        shown = b""
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # the other end is closed
                break
            if not part:
                break
            shown += part
    os.close(ours)
    lines = re.sub(r"\x1b\[[0-9;]*m", "", shown.decode()).splitlines()
    print(f"$ {shlex.join(command)}", *lines, sep="\n")
    assert "Traceback" not in shown.decode()
    assert [line for line in lines if line.startswith(("   said", "   means", "   do")) and len(line) >= COLUMNS] == []
    return " ".join(shown_line.strip() for shown_line in lines)


async def standing(planted: Planted) -> dict[str, Any]:
    """Every row with its ETag, and what lies in which queue. Where copies come and go, of those their ids alone."""
    running = planted.live
    found: dict[str, Any] = {}
    connection = running.stack.settings["TablesConnection"]
    async with TableServiceClient.from_connection_string(connection) as service:
        async for table in service.list_tables():
            rows = service.get_table_client(table.name).list_entities()
            found[table.name] = sorted(
                [(row["PartitionKey"], row["RowKey"], row.metadata["etag"]) async for row in rows]
            )
    if planted.has_queues:
        dead = await running.doors.dead_letters()
        found["dead letters"] = [(q, m.message_id, m.sequence_number, m.delivery_count) for q, m in dead]
        waiting = await running.doors.waiting()
        found["waiting"] = Counter((q, m.message_id, m.sequence_number if planted.settled else 0) for q, m in waiting)
    assert sum(map(len, found.values()))
    return found


@pytest.mark.parametrize("name", [*SEVEN, *OTHERS])
async def test_a_newcomer_names_the_cause_and_does_no_harm(name: str, tmp_path: Path) -> None:
    expected = (SEVEN | OTHERS)[name]
    listed = commands()
    assert len(listed) <= 3
    async with expected.fault(tmp_path) as planted:
        before = await standing(planted)
        told = [await asyncio.to_thread(typed, planted.live, command) for command in listed]
        assert await standing(planted) == before
    seen = "  ".join(told[: expected.within])
    for words in (*expected.cause, *expected.step):
        assert words in seen, f"{words!r} is not told:\n{seen}"
    # the cause is the first thing that is read, and nothing else is blamed
    assert f"; {expected.wrong} finding" in seen
    assert 0 <= seen.find(f"1. {expected.cause[0].removeprefix('1. ')}") < 200
    types = re.findall(r" type +(\./mosaic ops .*?)(?:  |$)", seen)
    assert len(types) == expected.wrong
    assert not [command for command in types if HARM & set(shlex.split(command)) and "--dry-run" not in command]
