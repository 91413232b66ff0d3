"""The routes that enqueue: what a 202 says, and what is refused, by name and without a trace of the values."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from mosaic_core.domain import ids
from mosaic_core.domain.envelope import AgentMessagePosted, IngestionCompleted, TransactionLine, decode
from mosaic_core.domain.errors import RequestError, StoreUnreachableError
from mosaic_core.domain.lanes import Lane
from mosaic_core.domain.lifecycle import ApprovalStatus, KeyStatus
from mosaic_core.domain.records import Approval
from mosaic_core.services.batch import MOST_TRANSACTIONS, Batch
from tests.support import records
from tests.support.api import ALICE_HOUSEHOLD, ALICE_USER, BASE, BOB_HOUSEHOLD, CONVERSATION, Answer, ApiWorld
from tests.support.faults import Plan, faulty_stores

MESSAGES = f"/conversations/{CONVERSATION}/messages"
INGEST = "alice+Mosaic.Ingest"
INGESTIONS = f"/households/{ALICE_HOUSEHOLD}/ingestions"
APPROVAL = "a0000000000000000000000000000001"


@pytest.fixture
async def world() -> ApiWorld:
    return await ApiWorld().with_members()


def transaction(number: int = 1, **changes: object) -> dict[str, Any]:
    value: dict[str, Any] = {
        "transactionId": f"tx-{number}",
        "postedOn": "2026-02-01",
        "amount": "-12.50",
        "currency": "EUR",
        "description": "COFFEE",
    }
    return value | changes


def batch(count: int = 1, **changes: object) -> dict[str, Any]:
    value: dict[str, Any] = {
        "batchId": "batch-1",
        "source": "bank",
        "accountId": "account-1",
        "transactions": [transaction(n) for n in range(count)],
    }
    return value | changes


def lines(transactions: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(t).encode() + b"\n" for t in transactions)


# ------------------------------------------------------------------------------------------------------------ messages


async def test_a_message_is_recorded_sent_and_answered_to_the_letter(world: ApiWorld) -> None:
    answer = await world.post(MESSAGES, {"message": "  What did I spend?  ", "userNote": "last month"})

    assert answer.status == 202
    body = answer.json
    command_id = body["commandId"]
    correlation_id = f"agent:{ALICE_HOUSEHOLD}:{CONVERSATION}:{command_id}"
    assert body == {
        "commandId": command_id,
        "correlationId": correlation_id,
        "conversationId": CONVERSATION,
        "commandType": "agent_message_posted",
        "queue": "runtime-agent-message-posted",
        "policyDisposition": "advisory_only",
        "queuedAtUtc": "2026-03-01T08:00:00Z",
        "status": "queued",
    }
    assert answer.headers["Location"] == f"{BASE}/conversations/{CONVERSATION}/stream"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Type"] == "application/json"

    (sent,) = [s.message for s in world.sender.sent]
    envelope = decode(sent.body, Lane.CONVERSATION)
    assert isinstance(envelope.payload, AgentMessagePosted)
    assert envelope.payload.message == "What did I spend?"
    assert envelope.payload.user_note == "last month"
    assert envelope.payload.household_user_id == ALICE_USER
    assert (sent.message_id, sent.correlation_id, sent.subject) == (command_id, correlation_id, "agent_message_posted")
    assert {k: v for k, v in sent.properties.items() if k not in ("traceparent", "tracestate")} == {
        "recorded": True,
        "householdId": ALICE_HOUSEHOLD,
        "conversationId": CONVERSATION,
        "householdUserId": ALICE_USER,
        "policyDisposition": "advisory_only",
    }
    command = await world.stores.commands.read(command_id)
    assert command is not None
    assert command.envelope.encode() == sent.body
    assert command.request_hash == envelope.request_hash
    (event,) = world.publisher.events
    assert (event.source, event.type) == ("MosaicMoney.Api", "mosaic.runtime.command.enqueued")
    assert event.subject == correlation_id


async def test_a_high_impact_request_is_marked_for_approval(world: ApiWorld) -> None:
    answer = await world.post(MESSAGES, {"message": "Please transfer 500 euros to my landlord"})
    assert answer.json["policyDisposition"] == "approval_required"


async def test_the_same_client_id_is_the_same_command_and_the_same_answer(world: ApiWorld) -> None:
    body = {"message": "What did I spend?", "clientMessageId": "c-1"}
    first = await world.post(MESSAGES, body)
    world.clock.advance(60)
    again = await world.post(MESSAGES, body)

    assert again.status == 202
    assert again.json == first.json
    assert first.json["commandId"] == ids.client_command_id(ALICE_HOUSEHOLD, CONVERSATION, "c-1")
    assert len({s.message.body for s in world.sender.sent}) == 1
    assert len(world.sender.sent) == 2
    assert len({event.event_id for event in world.publisher.events}) == 1
    listed = [one async for one in world.stores.commands.conversation(ALICE_HOUSEHOLD, CONVERSATION)]
    assert listed == [(first.json["queue"], first.json["commandId"])]


@pytest.mark.parametrize("change", [{"message": "Another question"}, {"userNote": "with a note"}])
async def test_a_client_id_for_another_request_is_a_conflict(world: ApiWorld, change: dict[str, str]) -> None:
    body = {"message": "What did I spend?", "clientMessageId": "c-1"}
    await world.post(MESSAGES, body)
    answer = await world.post(MESSAGES, body | change)
    assert answer.code == "client_reference_conflict"
    assert len(world.sender.sent) == 1


async def test_a_repetition_of_a_rejected_command_is_a_409_that_names_its_run(world: ApiWorld) -> None:
    body = {"message": "What did I spend?", "clientMessageId": "c-1"}
    first = (await world.post(MESSAGES, body)).json
    run = ids.run_id(first["queue"], first["commandId"])
    key = replace(
        records.KEY, command_id=first["commandId"], queue=first["queue"], run_id=run, status=KeyStatus.REJECTED
    )
    await world.stores.keys.insert(key)
    for _ in range(3):
        answer = await world.post(MESSAGES, body)
        assert answer.code == "command_rejected"
        assert answer.json["error"]["details"] == [{"field": "runId", "issue": run}]
        assert run in answer.json["error"]["message"]
    assert len(world.sender.sent) == 1
    # and a new reference is a new command
    assert (await world.post(MESSAGES, body | {"clientMessageId": "c-2"})).status == 202


async def test_client_ids_of_two_households_do_not_meet(world: ApiWorld) -> None:
    body = {"message": "What did I spend?", "clientMessageId": "c-1"}
    first = await world.post(MESSAGES, body)
    other = await world.post(MESSAGES, body, token="bob")
    assert other.status == 202
    assert other.json["commandId"] != first.json["commandId"]


async def test_an_unacknowledged_send_is_503_and_heals_by_the_same_client_id(world: ApiWorld) -> None:
    body = {"message": "What did I spend?", "clientMessageId": "c-1"}
    world.sender.failing = world.sender.landing = True
    failed = await world.post(MESSAGES, body)
    assert failed.code == "queue_unavailable"
    assert int(failed.headers["Retry-After"]) > 0
    assert world.publisher.events == []
    world.sender.failing = False
    world.clock.advance(5)
    healed = await world.post(MESSAGES, body)
    assert healed.status == 202
    assert healed.json["queuedAtUtc"] == "2026-03-01T08:00:00Z"
    assert len({s.message.body for s in world.sender.sent}) == 1


async def test_tables_that_do_not_answer_are_503_and_nothing_is_sent(
    world: ApiWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> bool:
        raise StoreUnreachableError("no answer from https://secret-account.example")

    monkeypatch.setattr(world.stores.commands, "insert", away)
    answer = await world.post(MESSAGES, {"message": "Hello"})
    assert answer.code == "store_unavailable"
    assert b"secret-account" not in answer.body
    assert world.sender.sent == []


async def test_an_index_that_cannot_be_written_is_no_202(world: ApiWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: object) -> None:
        raise StoreUnreachableError("no answer")

    monkeypatch.setattr(world.stores.commands, "index_conversation", away)
    assert (await world.post(MESSAGES, {"message": "Hello"})).code == "store_unavailable"
    assert world.sender.sent == []


async def test_what_nobody_expected_is_500_without_internals(
    world: ApiWorld, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    text = "the message and a password"

    async def broken(*_: object) -> bool:
        raise KeyError(text)

    monkeypatch.setattr(world.stores.commands, "insert", broken)
    answer = await world.post(MESSAGES, {"message": "Hello"})
    assert answer.code == "internal_error"
    assert b"password" not in answer.body
    (line,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert line.__dict__["traceId"] == answer.json["error"]["traceId"]
    assert "KeyError" in line.getMessage()
    assert "password" not in line.getMessage()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "message"),
        ({"message": ""}, "message"),
        ({"message": " \n "}, "message"),
        ({"message": "x" * 2001}, "message"),
        ({"message": 5}, "message"),
        ({"message": None}, "message"),
        ({"message": "a\u0000b"}, "message"),
        ({"message": "hi", "userNote": "x" * 601}, "userNote"),
        ({"message": "hi", "clientMessageId": "x" * 121}, "clientMessageId"),
        ({"message": "hi", "clientMessageId": ""}, "clientMessageId"),
        ({"message": "hi", "clientMessageId": "a\nb"}, "clientMessageId"),
        ({"message": "hi", "householdId": BOB_HOUSEHOLD}, "householdId"),
        ({"message": "hi", "policyDisposition": "approved_by_human"}, "policyDisposition"),
        ({"message": "hi", "status": "Completed"}, "status"),
        ({"message": "hi", "user_note": "x"}, "user_note"),
        ([{"message": "hi"}], "body"),
        (b"", "body"),
        (b"{", "body"),
        (b'{"message": "hi", "message": "ho"}', "body"),
        (b'{"message": NaN}', "body"),
        (b'{"message": "\xff"}', "body"),
        (b'\xef\xbb\xbf{"message": "hi"}', "body"),
        (b'{"message": "\\ud800"}', "body"),
        (b'{"message": ' + b"[" * 100 + b"]" * 100 + b"}", "body"),
        (b'{"message": ' + b"[" * 90_000 + b"}", "body"),
    ],
)
async def test_a_bad_message_is_400_and_names_the_field(world: ApiWorld, body: object, field: str) -> None:
    answer = await world.post(MESSAGES, body)
    assert answer.code == "validation_failed"
    assert any(name.startswith(field) for name in answer.fields)
    assert world.sender.sent == []


async def test_a_refusal_never_echoes_the_value(world: ApiWorld) -> None:
    answer = await world.post(MESSAGES, {"message": {"secret": "hunter2"}, "clientMessageId": "hunter2\n"})
    assert answer.status == 400
    assert b"hunter2" not in answer.body


@pytest.mark.parametrize(
    "text", ["x" * 2000, "  " + "é" * 2000 + "\n", "emoji \U0001f468\u200d\U0001f469\tand\nlines", "' or 1 eq 1"]
)
async def test_any_text_within_the_limits_is_taken(world: ApiWorld, text: str) -> None:
    assert (await world.post(MESSAGES, {"message": text})).status == 202


async def test_a_body_of_more_than_192_kib_is_413(world: ApiWorld) -> None:
    body = json.dumps({"message": "hi"}).encode()
    fits = await world.post(MESSAGES, body + b" " * (192 * 1024 - len(body)))
    assert fits.status == 202
    answer = await world.post(MESSAGES, body + b" " * (192 * 1024 - len(body) + 1))
    assert answer.code == "payload_too_large"
    assert len(world.sender.sent) == 1


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": "application/json; charset=utf-8"}, 202),
        ({"Content-Type": 'Application/JSON;charset="UTF-8"'}, 202),
        ({"Content-Type": "application/json; charset=latin-1"}, 415),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-ndjson"}, 415),
        ({"Content-Type": ""}, 415),
        ({"Content-Encoding": "gzip"}, 415),
    ],
)
async def test_the_media_type_is_json_in_utf8(world: ApiWorld, headers: dict[str, str], status: int) -> None:
    answer = await world.post(MESSAGES, {"message": "hi"}, headers=headers)
    assert answer.status == status
    assert status == 202 or answer.code == "unsupported_media_type"


@pytest.mark.parametrize(
    "spelt",
    [
        "C0000000000000000000000000000001",
        "c0000000-0000-0000-0000-000000000001",
        "%7Bc0000000-0000-0000-0000-000000000001%7D",
    ],
)
async def test_a_guid_is_taken_in_any_usual_spelling(world: ApiWorld, spelt: str) -> None:
    answer = await world.post(f"/conversations/{spelt}/messages", {"message": "hi"})
    assert answer.json["conversationId"] == CONVERSATION


@pytest.mark.parametrize(
    "bad", ["1", "x" * 1024, "c000000000000000000000000000000g", "%00", "a%27%20or%201%20eq%201", "0" * 32]
)
async def test_a_bad_guid_is_400(world: ApiWorld, bad: str) -> None:
    answer = await world.post(f"/conversations/{bad}/messages", {"message": "hi"})
    assert (answer.status, answer.code, answer.fields) == (400, "validation_failed", ["conversationId"])


# ----------------------------------------------------------------------------------------------------------- approvals


async def with_approval(world: ApiWorld, **changes: Any) -> Approval:
    now = world.clock.now()
    approval = Approval(
        approval_id=APPROVAL,
        household_id=ALICE_HOUSEHOLD,
        conversation_id=CONVERSATION,
        run_id="e0000000000000000000000000000001",
        command_id="d0000000000000000000000000000001",
        requested_by=ALICE_USER,
        action_kind="transfer",
        action_summary="transfer money",
        action_hash="0" * 64,
        policy_version="1",
        status=ApprovalStatus.PENDING,
        created_at=now,
        expires_at=now + timedelta(hours=72),
    )
    approval = replace(approval, **changes)
    await world.stores.approvals.insert(approval)
    return approval


@pytest.mark.parametrize(
    ("decision", "disposition"), [("Approve", "approved_by_human"), ("Reject", "rejected_by_human")]
)
async def test_a_decision_is_enqueued(world: ApiWorld, decision: str, disposition: str) -> None:
    await with_approval(world)
    answer = await world.post(
        f"/conversations/{CONVERSATION}/approvals/{APPROVAL}", {"decision": decision, "rationale": "it is due"}
    )
    assert answer.status == 202
    assert answer.json["commandType"] == "agent_approval_submitted"
    assert answer.json["policyDisposition"] == disposition
    assert answer.headers["Location"].endswith(f"/conversations/{CONVERSATION}/stream")
    (sent,) = [s.message for s in world.sender.sent]
    assert sent.properties["approvalId"] == APPROVAL
    payload = json.loads(sent.body)["payload"]
    assert (payload["decision"], payload["rationale"]) == (decision, "it is due")


async def test_a_decided_approval_is_the_worker_s_business(world: ApiWorld) -> None:
    await with_approval(world, status=ApprovalStatus.APPROVED)
    answer = await world.post(f"/conversations/{CONVERSATION}/approvals/{APPROVAL}", {"decision": "Reject"})
    assert answer.status == 202


async def test_the_opposite_decision_under_one_client_id_is_a_conflict(world: ApiWorld) -> None:
    await with_approval(world)
    path = f"/conversations/{CONVERSATION}/approvals/{APPROVAL}"
    assert (await world.post(path, {"decision": "Approve", "clientApprovalId": "1"})).status == 202
    assert (await world.post(path, {"decision": "Approve", "clientApprovalId": "1"})).status == 202
    assert (await world.post(path, {"decision": "Reject", "clientApprovalId": "1"})).status == 409


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "decision"),
        ({"rationale": "yes"}, "decision"),
        ({"decision": "approve"}, "decision"),
        ({"decision": True}, "decision"),
        ({"decision": "Approve", "rationale": "x" * 501}, "rationale"),
        ({"decision": "Approve", "householdUserId": ALICE_USER}, "householdUserId"),
    ],
)
async def test_an_approval_needs_its_decision(world: ApiWorld, body: object, field: str) -> None:
    await with_approval(world)
    answer = await world.post(f"/conversations/{CONVERSATION}/approvals/{APPROVAL}", body)
    assert answer.code == "validation_failed"
    assert answer.fields == [field]


async def test_absent_foreign_and_misplaced_approvals_look_alike(world: ApiWorld) -> None:
    await with_approval(world)
    elsewhere = "c0000000000000000000000000000002"
    answers: list[Answer] = [
        await world.post(f"/conversations/{CONVERSATION}/approvals/{'f' * 32}", {"decision": "Approve"}),
        await world.post(f"/conversations/{CONVERSATION}/approvals/{APPROVAL}", {"decision": "Approve"}, token="bob"),
        await world.post(f"/conversations/{elsewhere}/approvals/{APPROVAL}", {"decision": "Approve"}),
    ]
    for answer in answers:
        answer.json["error"].pop("traceId")
        assert answer.code == "not_found"
    assert len({answer.json["error"]["message"] for answer in answers}) == 1
    assert world.sender.sent == []


# ---------------------------------------------------------------------------------------------------------- ingestions


async def test_a_batch_is_enqueued_inline(world: ApiWorld) -> None:
    answer = await world.post(INGESTIONS, batch(500), token=INGEST)
    assert answer.status == 202
    body = answer.json
    command_id = ids.client_command_id(ALICE_HOUSEHOLD, "ingestion", "batch-1")
    assert body == {
        "commandId": command_id,
        "correlationId": f"ingestion:{ALICE_HOUSEHOLD}:batch-1:{command_id}",
        "conversationId": None,
        "commandType": "ingestion_completed",
        "queue": "runtime-ingestion-completed",
        "policyDisposition": None,
        "queuedAtUtc": "2026-03-01T08:00:00Z",
        "status": "queued",
    }
    run_id = ids.run_id("runtime-ingestion-completed", command_id)
    assert answer.headers["Location"] == f"{BASE}/runs/{run_id}"
    (sent,) = [s.message for s in world.sender.sent]
    payload = decode(sent.body, Lane.INGESTION).payload
    assert isinstance(payload, IngestionCompleted)
    assert payload.transactions is not None
    assert len(payload.transactions) == 500


async def test_json_and_json_lines_of_the_same_batch_are_the_same_command(world: ApiWorld) -> None:
    first = await world.post(INGESTIONS, batch(3), token=INGEST)
    body = b"\n" + lines(batch(3)["transactions"]).replace(b"\n", b"\r\n\r\n")
    for kind in ("application/x-ndjson", "application/jsonl; charset=utf-8"):
        again = await world.post(
            f"{INGESTIONS}?batchId=batch-1&source=bank&accountId=account-1",
            body,
            token=INGEST,
            headers={"Content-Type": kind},
        )
        assert (again.status, again.json) == (202, first.json)


async def test_a_large_batch_goes_by_blob(world: ApiWorld) -> None:
    rows = [transaction(n) for n in range(501)]
    answer = await world.post(
        f"{INGESTIONS}?batchId=B0000000-0000-0000-0000-000000000001&source=bank&accountId=account-1",
        lines(rows),
        token=INGEST,
        headers={"Content-Type": "application/x-ndjson"},
    )
    assert answer.status == 202
    assert answer.json["correlationId"].split(":")[2] == "b0000000000000000000000000000001"
    payload = decode(world.sender.sent[0].message.body, Lane.INGESTION).payload
    assert isinstance(payload, IngestionCompleted)
    assert payload.transactions is None
    assert payload.transactions_blob is not None
    stored = await world.stores.blobs.get(payload.transactions_blob)
    assert stored is not None
    assert len(stored.splitlines()) == 501
    assert json.loads(stored.splitlines()[0]) == rows[0] | {"amount": "-12.5"}


async def test_few_but_long_transactions_go_by_blob_too(world: ApiWorld) -> None:
    rows = [transaction(n, description="é" * 200, merchantName="x" * 200) for n in range(400)]
    answer = await world.post(INGESTIONS, batch(transactions=rows), token=INGEST)
    assert answer.status == 202
    body = world.sender.sent[0].message.body
    assert b"transactionsBlob" in body
    assert len(body) < 1024


async def test_the_same_batch_id_with_other_content_is_a_conflict(world: ApiWorld) -> None:
    await world.post(INGESTIONS, batch(2), token=INGEST)
    assert (await world.post(INGESTIONS, batch(2), token=INGEST)).status == 202
    answer = await world.post(INGESTIONS, batch(3), token=INGEST)
    assert answer.code == "client_reference_conflict"


async def test_501_transactions_are_told_to_use_json_lines(world: ApiWorld) -> None:
    answer = await world.post(INGESTIONS, batch(501), token=INGEST)
    assert (answer.status, answer.code, answer.fields) == (400, "validation_failed", ["transactions"])
    assert "JSON Lines" in answer.json["error"]["details"][0]["issue"]


def test_a_batch_that_no_run_could_write_is_refused() -> None:
    line = TransactionLine.model_validate(
        {"transactionId": "1", "postedOn": "2026-01-01", "amount": "1", "currency": "USD", "description": "x"}
    )
    assert Batch.of([line] * 3).count == 3
    with pytest.raises(RequestError) as caught:
        Batch.of(itertools.repeat(line, MOST_TRANSACTIONS + 1))
    assert (caught.value.code, [d.field for d in caught.value.details]) == ("validation_failed", ["transactions"])


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"amount": 12.5}, "transactions.0.amount"),
        ({"amount": "twelve"}, "transactions.0.amount"),
        ({"amount": "NaN"}, "transactions.0.amount"),
        ({"amount": "1e5"}, "transactions.0.amount"),
        ({"amount": None}, "transactions.0.amount"),
        ({"postedOn": "0000-01-01"}, "transactions.0.postedOn"),
        ({"postedOn": "2026-02-30"}, "transactions.0.postedOn"),
        ({"postedOn": "1700-01-01"}, "transactions.0.postedOn"),
        ({"postedOn": "9999-12-31"}, "transactions.0.postedOn"),
        ({"currency": "XYZ"}, "transactions.0.currency"),
        ({"transactionId": ""}, "transactions.0.transactionId"),
        ({"description": "x" * 201}, "transactions.0.description"),
        ({"category": "FOOD"}, "transactions.0.category"),
        ({"posted_on": "2026-01-01"}, "transactions.0.posted_on"),
    ],
)
async def test_a_bad_transaction_is_named(world: ApiWorld, change: dict[str, object], field: str) -> None:
    answer = await world.post(INGESTIONS, batch(transactions=[transaction(**change)]), token=INGEST)  # type: ignore[arg-type]
    assert (answer.status, answer.code, answer.fields) == (400, "validation_failed", [field])
    query = f"{INGESTIONS}?batchId=batch-1&source=bank&accountId=account-1"
    answer = await world.post(
        query,
        lines([transaction(1), transaction(2) | change]),
        token=INGEST,
        headers={"Content-Type": "application/x-ndjson"},
    )
    assert answer.fields == [field.replace("transactions.0.", "line 2: ")]
    assert world.sender.sent == []


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"batchId": "a:b"}, "batchId"),
        ({"batchId": "x" * 45}, "batchId"),
        ({"source": ""}, "source"),
        ({"accountId": "x" * 121}, "accountId"),
        ({"transactions": []}, "transactions"),
        ({"transactionsBlob": f"{BOB_HOUSEHOLD}/{'0' * 64}"}, "transactionsBlob"),
        ({"householdId": BOB_HOUSEHOLD}, "householdId"),
    ],
)
async def test_a_bad_batch_is_named(world: ApiWorld, change: dict[str, object], field: str) -> None:
    answer = await world.post(INGESTIONS, batch(**change), token=INGEST)  # type: ignore[arg-type]
    assert (answer.status, answer.code, answer.fields) == (400, "validation_failed", [field])


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"", "transactions"),
        (b"\n\n", "transactions"),
        (b"{}\nnonsense\n", "line 2"),
        (b"[]\n", "line 1"),
        (lines([transaction(1), transaction(1, amount="1")]), "transactions"),
        (b" " * 70_000 + b"{}\n", "line 1"),
        (b'{"transactionId": "\\udfff"}\n', "line 1"),
        (b'{"\\ud800": 1}\n', "line 1"),
        (b'{"amount": 1e999999}\n', "line 1"),
        (b'{"amount": ' + b"9" * 5000 + b"}\n", "line 1"),
        (b'{"a":' * 5_000 + b"\n", "line 1"),
    ],
)
async def test_bad_lines_are_named(world: ApiWorld, body: bytes, field: str) -> None:
    answer = await world.post(
        f"{INGESTIONS}?batchId=1&source=bank&accountId=2",
        body,
        token=INGEST,
        headers={"Content-Type": "application/x-ndjson"},
    )
    assert answer.code == "validation_failed"
    assert field in answer.fields


async def test_a_repeated_line_is_no_contradiction(world: ApiWorld) -> None:
    rows = [transaction(1), transaction(1, amount="-12.5000")]
    assert (await world.post(INGESTIONS, batch(transactions=rows), token=INGEST)).status == 202


async def test_many_bad_lines_are_told_up_to_a_bound(world: ApiWorld) -> None:
    answer = await world.post(
        f"{INGESTIONS}?batchId=1&source=bank&accountId=2",
        b"{}\n" * 100_000,
        token=INGEST,
        headers={"Content-Type": "application/x-ndjson"},
    )
    assert answer.status == 400
    assert len(answer.fields) == 20


async def test_json_lines_need_their_query(world: ApiWorld) -> None:
    answer = await world.post(
        f"{INGESTIONS}?batchId=", lines([transaction()]), token=INGEST, headers={"Content-Type": "application/jsonl"}
    )
    assert answer.fields == ["batchId", "source", "accountId"]


async def test_more_than_20_mib_is_413(world: ApiWorld) -> None:
    answer = await world.post(INGESTIONS, b" " * (20 * 1024 * 1024 + 1), token=INGEST)
    assert answer.code == "payload_too_large"


async def test_a_body_of_nothing_but_brackets_is_refused_unparsed(world: ApiWorld) -> None:
    answer = await world.post(INGESTIONS, b'{"transactions": [' + b"[]," * 1_000_000 + b"[]]}", token=INGEST)
    assert (answer.status, answer.fields) == (400, ["body"])


async def test_ingesting_needs_the_role_and_the_household(world: ApiWorld) -> None:
    assert (await world.post(INGESTIONS, batch())).code == "role_required"
    foreign = await world.post(f"/households/{BOB_HOUSEHOLD}/ingestions", batch(), token=INGEST)
    absent = await world.post(f"/households/{'f' * 32}/ingestions", batch(), token=INGEST)
    assert foreign.code == "not_found"
    assert (absent.status, absent.json["error"]["message"]) == (404, foreign.json["error"]["message"])
    stranger = await world.post(INGESTIONS, batch(), token="stranger+Mosaic.Ingest")
    assert stranger.code == "membership_access_denied"
    assert world.sender.sent == []


# --------------------------------------------------------------------------------------------------------------- quota


async def test_a_household_that_has_used_its_quota_up_is_told_when_to_come_back(world: ApiWorld) -> None:
    world.commands_per_minute = 4
    for _ in range(4):
        assert (await world.post(MESSAGES, {"message": "hello"})).status == 202
    refused = await world.post(MESSAGES, {"message": "hello"})
    assert refused.code == "quota_exceeded"
    assert refused.headers["Retry-After"] == "15"
    assert len(world.sender.sent) == 4
    # of this household, whatever it asks for; of no other
    assert (await world.post(INGESTIONS, batch(), token=INGEST)).status == 429
    elsewhere = f"/conversations/{BOB_HOUSEHOLD}/messages"
    assert (await world.post(elsewhere, {"message": "hello"}, token="bob")).status == 202
    world.clock.advance(15)
    assert (await world.post(INGESTIONS, batch(), token=INGEST)).status == 202
    # what only reads is not counted
    assert (await world.get("/approvals")).status == 200


async def test_nothing_of_a_body_is_looked_at_before_the_quota(world: ApiWorld) -> None:
    world.commands_per_minute = 1
    assert (await world.post(MESSAGES, b"{")).status == 400
    assert (await world.post(MESSAGES, b"{")).status == 429


async def test_the_quota_does_not_stand_in_for_storage(world: ApiWorld) -> None:
    """Where it cannot be counted the request goes on, and finds by itself that nothing can be recorded."""
    world.commands_per_minute = 4
    world.stores = replace(world.stores, quotas=faulty_stores(world.stores, Plan({1: "unsent"})).quotas)
    assert (await world.post(MESSAGES, {"message": "hello"})).status == 202
