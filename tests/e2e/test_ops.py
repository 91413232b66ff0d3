"""`./mosaic ops` on a running stack: from only a message id to the story, the dead letters left where they are, the
runbook's next step for each, and the exit codes."""

from __future__ import annotations

import asyncio
import io
import json
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from mosaic_core.domain import ids
from mosaic_ops import cli
from tests.support.live import ALICE, CONVERSATION, INGESTION, Live, guid, message

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    said: str

    @property
    def json(self) -> Any:
        assert self.code == 0, self.said
        return json.loads(self.out)


async def ops(running: Live, *arguments: str) -> Answer:
    """The verb in this process, which has its imports already."""
    out, said = io.StringIO(), io.StringIO()

    def run() -> int:
        with redirect_stdout(out), redirect_stderr(said):
            return cli.main(["ops", *arguments, "--state", str(running.stack.state_dir)])

    return Answer(await asyncio.to_thread(run), out.getvalue(), said.getvalue())


async def typed(running: Live, *arguments: str) -> Answer:
    """As a person types it, in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "mosaic_ops.cli", "ops", *arguments, "--state", str(running.stack.state_dir)),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, said = await process.communicate()
    assert process.returncode is not None
    return Answer(process.returncode, out.decode(), said.decode())


async def failed(running: Live) -> str:
    """A member's message, by the API, that fails for good: its message id."""
    path, reference = f"/conversations/{guid()}/messages", f"drill-fail-always-{guid()}"
    status, accepted = await running.doors.call("POST", path, body={"message": "hello", "clientMessageId": reference})
    assert status == 202
    message_id: str = accepted["commandId"]
    assert await running.reason(message_id) == "processing_failed"
    return message_id


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def dead(running: Live) -> str:
    """The message id of a command that failed for good, which no test changes."""
    return await failed(running)


async def test_from_only_a_message_id_of_a_failed_command_to_the_whole_story(running: Live, dead: str) -> None:
    message_id = dead
    story = (await typed(running, "trace", message_id, "--json")).json
    told = [(entry["source"], entry["what"]) for entry in story["timeline"]]
    assert told[0] == ("AgentCommands", "recorded, and enqueued after")
    assert [entry["attempt"] for entry in story["timeline"] if entry["what"] == "stage drill Failed"] == [1, 2, 3, 4, 5]
    assert ("AgentSignals", "signal raised, Error") in told
    assert told[-1] == ("IdempotencyKeys", "Rejected; then the message is a dead letter")
    assert story["missing"] == []
    assert story["runId"] == ids.run_id(CONVERSATION, message_id)

    async def with_spans() -> Any:
        return (await ops(running, "trace", message_id, "--json")).json["spans"]

    # spans are written a moment after they end
    spans = await running.until(with_spans, lambda found: len(found) >= 6)
    assert spans[0]["what"] == "runtime.command.enqueue"
    assert [span["code"] for span in spans[1:]] == ["Reschedule"] * 4 + ["DeadLetter"]
    table = await ops(running, "trace", message_id)
    assert table.code == 0
    assert f"then   ./mosaic ops replay {message_id} --reason WHY --dry-run" in table.out
    for other in (story["runId"], story["correlationId"]):
        again = (await ops(running, "trace", other, "--json")).json
        assert again["timeline"] == story["timeline"]


async def test_looking_at_dead_letters_leaves_the_queue_as_it_was(running: Live, dead: str) -> None:
    message_id = dead

    async def there() -> list[tuple[Any, ...]]:
        letters = await running.doors.dead_letters()
        return [(queue, m.message_id, m.sequence_number, m.delivery_count, m.locked_until_utc) for queue, m in letters]

    before = await there()
    listed = (await ops(running, "dlq", "list", "--limit", "2000", "--json")).json["deadLetters"]
    assert len(listed) == len(before)
    shown = await ops(running, "dlq", "show", message_id)
    captured = dict(line.split("  ", 1) for line in shown.out.splitlines())
    for name, value in (
        ("queue lane", "conversation"),
        ("command id", message_id),
        ("message id", message_id),
        ("failure code", "drill_failure"),
        ("rationale", "a drill made this attempt fail"),
    ):
        assert captured[name].strip() == value
    assert captured["correlation id"].strip().startswith(f"agent:{ALICE}:")
    groups = (await ops(running, "dlq", "groups", "--json")).json["groups"]
    assert sum(group["count"] for group in groups) == len(before)
    assert await there() == before


@pytest.mark.slow
async def test_next_names_the_step_for_each_dead_letter_reason(running: Live, dead: str) -> None:
    message_id = dead
    told = (await ops(running, "next", message_id, "--json")).json
    assert (told["state"], told["code"]) == ("dead letter processing_failed", "drill_failure")
    assert told["section"] == "docs/runbook.md#codes-and-what-to-do"

    bad, empty = f"bad-{guid()}", f"empty-{guid()}"
    await running.doors.send(INGESTION, b"{not json", message_id=bad)
    await running.doors.send(INGESTION, b"{}", message_id=empty)
    stranger = await running.send(CONVERSATION, message(), recorded=False)
    value = message()
    first = await running.send(CONVERSATION, value)
    await running.finish(first)
    other = json.dumps(value | {"payload": value["payload"] | {"message": "another"}}).encode()
    await running.doors.send(CONVERSATION, other, message_id=f"twice-{first.command_id}")
    again = [m for _, m in await running.doors.dead_letters() if m.message_id == message_id]
    await running.doors.send(CONVERSATION, b"".join(again[0].body), message_id=f"again-{message_id}")

    for asked, reason, anchor in (
        (bad, "invalid_json", "common-failure-modes"),
        (empty, "invalid_envelope", "common-failure-modes"),
        (stranger.command_id, "not_recorded", "codes-and-what-to-do"),
        (f"twice-{first.command_id}", "idempotency_hash_mismatch", "common-failure-modes"),
        (f"again-{message_id}", "idempotency_rejected", "common-failure-modes"),
    ):
        assert await running.reason(asked) == reason
        told = (await ops(running, "next", asked, "--json")).json
        assert (told["code"], told["section"]) == (reason, f"docs/runbook.md#{anchor}")
        assert told["heals"] is False
        assert (await ops(running, *told["command"].split()[2:])).code == 0


async def test_nobody_is_told_to_chase_what_heals_itself(running: Live) -> None:
    sent = await running.send(CONVERSATION, message(clientReferenceId=f"drill-fail-1-{guid()}"))
    await running.finish(sent)
    told = (await ops(running, "next", sent.command_id, "--json")).json
    assert (told["heals"], told["state"]) == (True, "Completed")


@pytest.mark.slow
async def test_a_signal_is_resolved_in_the_operators_name(running: Live) -> None:
    run_id = ids.run_id(CONVERSATION, await failed(running))
    signal_id = ids.failure_signal_id(run_id)
    listed = (await ops(running, "signals", "--severity", "Error", "--limit", "200", "--json")).json["signals"]
    assert signal_id in [signal["signalId"] for signal in listed]
    assert (await ops(running, "resolve", signal_id, "--note", "a drill")).code == 0
    stored = await running.stores.signals.read(signal_id)
    assert stored is not None
    assert (stored.value.resolved_by, stored.value.resolution_note) == ("operator", "a drill")
    listed = (await ops(running, "signals", "--limit", "200", "--json")).json["signals"]
    assert signal_id not in [signal["signalId"] for signal in listed]
    runs = (await ops(running, "runs", "--status", "NeedsReview", "--limit", "200", "--json")).json["runs"]
    assert run_id in [run["runId"] for run in runs]


@pytest.mark.slow
async def test_how_it_is_at_a_glance(running: Live) -> None:
    sent = await running.send(CONVERSATION, message())
    await running.finish(sent)
    glance = await ops(running, "status", "--json")
    found = json.loads(glance.out)
    assert found["health"]["status"] == "ready"
    # an app that is ready, and what failed for good before: not well
    assert (glance.code, found["isWell"]) == (int(bool(found["findings"])), not found["findings"])
    assert found["depthsUnknown"] is None
    [lane] = [one for one in found["lanes"] if one["lane"] == "conversation"]
    letters = [m for queue, m in await running.doors.dead_letters() if queue == CONVERSATION]
    assert lane["depth"]["deadLettered"] == len(letters)
    assert lane["recent"]["lastSuccessAtUtc"] is not None
    parts = {row["name"]: row["state"] for row in (await ops(running, "resources", "--json")).json["resources"]}
    assert (parts["worker"], parts["tables"], parts["conversation_lane"]) == ("up", "up", "up")
    for waiting in (("worker", "--status", "up"), ("worker", "--status", "healthy"), ("api", "--status", "healthy")):
        assert (await ops(running, "wait", *waiting, "--timeout", "30")).code == 0
    assert (await ops(running, "logs", "worker", "--tail", "5")).code == 0
    traces = (await ops(running, "telemetry", "traces", "worker", "--limit", "5", "--json")).json["traces"]
    assert len(traces) == 5
    logged = (await ops(running, "telemetry", "logs", "worker", "--id", sent.command_id, "--json")).json["logs"]
    assert "command completed" in [line["message"] for line in logged]


async def test_by_an_address_and_a_token_command_as_a_deployment_is(running: Live) -> None:
    """What the token may not do is not done, whatever the tool is asked."""
    token = f"{sys.executable} -m mosaic_local.cli token --user olga --role Mosaic.Operator.Read --state"
    where = ("--url", running.stack.api_base_url, "--token-command", f"{token} {running.stack.state_dir}")

    async def at(*arguments: str) -> Answer:
        out, said = io.StringIO(), io.StringIO()

        def run() -> int:
            with redirect_stdout(out), redirect_stderr(said):
                return cli.main(["ops", *arguments, *where])

        return Answer(await asyncio.to_thread(run), out.getvalue(), said.getvalue())

    assert (await at("runs", "--json")).json["runs"]
    letters = (await ops(running, "dlq", "list", "--json")).json["deadLetters"]
    status = await at("status", "--json")
    assert status.code in (0, 1)
    assert "--service-bus" in json.loads(status.out)["depthsUnknown"]
    refused = await at("resolve", guid(), "--note", "x")
    assert refused.code == 2
    assert "Mosaic.Operator.Replay" in refused.said
    # dead letters are the API's to tell: no right on the queues is needed
    assert (await at("dlq", "list", "--json")).json["deadLetters"] == letters
    assert (await at("logs", "worker")).code == 2


async def test_exit_codes(running: Live, tmp_path: Path) -> None:
    assert (await ops(running, "trace", guid())).code == 1
    assert (await ops(running, "dlq", "show", guid())).code == 1
    assert (await ops(running, "resolve", guid(), "--note", "x")).code == 1
    assert (await typed(running, "runs", "--status", "Ready")).code == 2
    assert (await ops(running, "no-such-verb")).code == 2
    absent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "mosaic_ops.cli", "ops", "status", "--state", str(tmp_path)),
        cwd=ROOT,
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await absent.communicate()
    assert absent.returncode == 3
    assert f"{tmp_path} is an empty folder".encode() in said


@pytest.mark.slow
async def test_a_member_asks_follows_it_to_its_end_and_reads_its_events(running: Live) -> None:
    asked = ("send", "message", "What did we spend last month?", "--conversation", guid())
    sent = await ops(running, *asked, "--wait", "--print-id", "--timeout", "60")
    assert sent.code == 0, sent.said
    command_id = sent.out.strip()
    assert len(command_id) == 32
    assert "Completed" in sent.said

    async def story() -> Any:
        return (await ops(running, "trace", command_id, "--events", "--json")).json

    # events are sent a moment after they are told
    found = await running.until(story, lambda one: len(one["events"]) >= 3)
    assert [event["what"] for event in found["events"]] == ["enqueued", "started", "completed"]
    assert [one for one in found["missing"] if "event" in one] == []
    listed = (await ops(running, "events", "--command", command_id, "--type", "completed", "--json")).json
    assert ([event["runId"] for event in listed["events"]], listed["complete"]) == ([found["runId"]], True)
    followed = await ops(running, "events", "--follow", "--since", "10m", "--command", command_id, "--limit", "3")
    assert (followed.code, len(followed.out.splitlines())) == (0, 3)
    assert (await ops(running, *asked, "--as", "mallory")).code == 2


@pytest.mark.slow
async def test_a_batch_and_a_nights_sweep_are_sent_and_followed(running: Live, tmp_path: Path) -> None:
    line = {"transactionId": guid(), "postedOn": "2026-01-05", "amount": "-4.10", "currency": "USD"}
    file = tmp_path / "batch.jsonl"
    file.write_text(json.dumps(line | {"description": "BUS"}), "utf-8")
    batch = ("--batch-id", guid(), "--source", "my-bank", "--account-id", "checking", "--household", ALICE)
    sent = await ops(running, "send", "ingestion", str(file), *batch, "--wait", "--timeout", "60", "--json")
    assert sent.json["run"]["status"] == "Completed"
    night = ("--household", ALICE, "--date", "2026-01-31", "--reason", "its rows came late")
    sent = await ops(running, "send", "sweep", *night, "--wait", "--timeout", "60", "--json")
    decisions = (await ops(running, "run", sent.json["commandId"], "--json")).json["decisions"]
    assert ("sweep_requested", "operator") in [(one["action"], one["actor"]) for one in decisions]
