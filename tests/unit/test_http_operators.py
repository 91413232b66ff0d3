"""The operators' routes: what they show, to whom, and what they never show."""

from __future__ import annotations

import json
import logging
from dataclasses import replace

import pytest

from mosaic_core.domain import ids
from mosaic_core.domain.envelope import decode
from mosaic_core.domain.lanes import RULES, Lane
from mosaic_core.domain.lifecycle import CommandOrigin
from mosaic_core.domain.records import Command
from tests.support.api import ALICE_HOUSEHOLD, CONVERSATION, ApiWorld
from tests.support.live import batch

OPERATOR = "olga+Mosaic.Operator.Read"
QUEUE = RULES[Lane.INGESTION].default_queue


def of_a_producer(world: ApiWorld, body: bytes) -> Command:
    envelope = decode(body, Lane.INGESTION)
    return Command(
        command_id=envelope.command_id,
        household_id=envelope.household_id,
        queue=QUEUE,
        command_type=envelope.command_type,
        request_hash=envelope.request_hash,
        envelope=body.decode(),
        recorded_at=world.clock.now(),
        origin=CommandOrigin.PRODUCER,
    )


async def test_an_operator_sees_what_a_producer_sent_past_the_api(caplog: pytest.LogCaptureFixture) -> None:
    world = ApiWorld()
    body = json.dumps(
        batch(*(f"t-{n}" for n in range(60)), correlationId="pay Bob, he said", createdAtUtc="9998-01-01T00:00:00Z")
    ).encode()
    command = of_a_producer(world, body)
    await world.stores.commands.insert(command)
    with caplog.at_level(logging.INFO):
        answer = await world.call("GET", f"/api/v1/agent/ops/commands/{command.command_id}", token=OPERATOR)
    assert answer.status == 200, answer.body
    shown = answer.json
    assert (shown["origin"], shown["subject"], shown["householdId"]) == ("producer", None, ALICE_HOUSEHOLD)
    assert shown["runId"] == ids.run_id(QUEUE, command.command_id)
    assert shown["recordedAtUtc"] == "2026-03-01T08:00:00Z"
    sent = shown["sent"]
    assert (sent["source"], sent["accountId"], sent["transactionCount"]) == ("test", "checking", 60)
    assert [row["transactionId"] for row in sent["transactions"]] == [f"t-{n}" for n in range(50)]
    assert sent["transactions"][0]["amount"] == "-12.50"
    assert "Bob" not in sent["correlationId"]
    assert any(getattr(r, "subject", "") == "olga" and r.getMessage().startswith("an operator") for r in caplog.records)


async def test_what_a_member_said_is_not_shown() -> None:
    world = await ApiWorld().with_members()
    posted = await world.post(f"/conversations/{CONVERSATION}/messages", {"message": "my secret words"})
    url = f"/api/v1/agent/ops/commands/{posted.json['commandId']}"
    answer = await world.call("GET", url, token=OPERATOR)
    assert answer.status == 200, answer.body
    assert (answer.json["origin"], answer.json["subject"], answer.json["sent"]) == ("app", "alice", None)
    assert b"secret" not in answer.body


async def test_a_batch_in_a_blob_and_a_record_that_cannot_be_read() -> None:
    world = ApiWorld()
    value = batch("t")
    value["payload"] |= {"transactionsBlob": f"{ALICE_HOUSEHOLD}/{'a' * 64}"}
    del value["payload"]["transactions"]
    command = of_a_producer(world, json.dumps(value).encode())
    await world.stores.commands.insert(command)
    unread = replace(command, command_id="9" * 32, envelope='{"of": "another version"}')
    await world.stores.commands.insert(unread)
    answer = await world.call("GET", f"/api/v1/agent/ops/commands/{command.command_id}", token=OPERATOR)
    assert (answer.json["sent"]["transactionCount"], answer.json["sent"]["transactions"]) == (None, [])
    assert answer.json["sent"]["transactionsBlob"] == f"{ALICE_HOUSEHOLD}/{'a' * 64}"
    answer = await world.call("GET", f"/api/v1/agent/ops/commands/{'9' * 32}", token=OPERATOR)
    assert (answer.status, answer.json["sent"]) == (200, None)


@pytest.mark.parametrize(
    ("command_id", "token", "status", "code"),
    [
        ("f" * 32, OPERATOR, 404, "not_found"),
        ("nonsense", OPERATOR, 400, "validation_failed"),
        ("f" * 32, "alice", 403, "role_required"),
        ("f" * 32, "alice+Mosaic.Ingest", 403, "role_required"),
        ("f" * 32, "olga+Mosaic.Operator.Replay", 403, "role_required"),
        ("f" * 32, None, 401, "member_context_required"),
    ],
)
async def test_for_operators_only(command_id: str, token: str | None, status: int, code: str) -> None:
    world = await ApiWorld().with_members()
    answer = await world.call("GET", f"/api/v1/agent/ops/commands/{command_id}", token=token)
    assert (answer.status, answer.code) == (status, code)
