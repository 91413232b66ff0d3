"""`Idempotency-Key`: the client's id of a command as a header, on every route that enqueues."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from mosaic_core.domain import ids
from mosaic_core.domain.lifecycle import ApprovalStatus
from mosaic_core.entrypoints.http.routes import ROUTES
from tests.support import records
from tests.support.api import ALICE_HOUSEHOLD, CONVERSATION, Answer, ApiWorld

MESSAGES = f"/conversations/{CONVERSATION}/messages"
APPROVAL = "a0000000000000000000000000000001"
APPROVALS = f"/conversations/{CONVERSATION}/approvals/{APPROVAL}"
INGESTIONS = f"/households/{ALICE_HOUSEHOLD}/ingestions"
LINE = {"transactionId": "t", "postedOn": "2026-02-01", "amount": "-1", "currency": "EUR", "description": "d"}
BATCH = {"source": "bank", "accountId": "giro", "transactions": [LINE]}
LINES = "application/x-ndjson"

CALLS: dict[str, tuple[str, dict[str, Any], str, dict[str, Any]]] = {
    "post_message": (MESSAGES, {"message": "hi"}, "clientMessageId", {"message": "ho"}),
    "post_approval": (APPROVALS, {"decision": "Approve"}, "clientApprovalId", {"decision": "Reject"}),
    "post_ingestion": (INGESTIONS, BATCH, "batchId", BATCH | {"accountId": "savings"}),
}
"""Each route's path, a body, the field that the key stands for, and another body."""


@pytest.fixture
async def world() -> ApiWorld:
    world = await ApiWorld().with_members()
    asked = replace(
        records.APPROVAL,
        approval_id=APPROVAL,
        household_id=ALICE_HOUSEHOLD,
        conversation_id=CONVERSATION,
        status=ApprovalStatus.PENDING,
    )
    await world.stores.approvals.insert(asked)
    return world


async def post(world: ApiWorld, path: str, body: object, key: str | None = None, **headers: str) -> Answer:
    sent = headers if key is None else {**headers, "Idempotency-Key": key}
    return await world.post(path, body, token="alice+Mosaic.Ingest", headers=sent)


def test_every_route_that_enqueues_takes_a_key() -> None:
    assert {route.name for route in ROUTES if route.takes_key} == set(CALLS)
    of_members = [route for route in ROUTES if not route.path.startswith("/ops/")]
    assert {route.name for route in of_members if "queue_unavailable" in route.codes} == set(CALLS)


@pytest.mark.parametrize("name", CALLS)
async def test_a_key_is_the_client_id_and_its_repetition_the_same_command(world: ApiWorld, name: str) -> None:
    path, body, field, _ = CALLS[name]
    answers = [
        await post(world, path, body, '"key-1"'),
        await post(world, path, body, "key-1"),
        await post(world, path, body | {field: "key-1"}, '"key-1";v=1'),
        await post(world, path, body | {field: " key-1 "}),
    ]
    assert [answer.status for answer in answers] == [202] * 4, [answer.body for answer in answers]
    assert len({answer.body for answer in answers}) == 1
    scope = "ingestion" if name == "post_ingestion" else CONVERSATION
    assert answers[0].json["commandId"] == ids.client_command_id(ALICE_HOUSEHOLD, scope, "key-1")
    assert len({sent.message.body for sent in world.sender.sent}) == 1


@pytest.mark.parametrize("name", CALLS)
async def test_another_request_under_a_key_is_422_and_under_the_field_409(world: ApiWorld, name: str) -> None:
    path, body, field, other = CALLS[name]
    assert (await post(world, path, body, "key-1")).status == 202
    for answer in (
        await post(world, path, other, "key-1"),
        await post(world, path, other | {field: "key-1"}, '"key-1"'),
    ):
        assert (answer.status, answer.code) == (422, "idempotency_key_reused")
    answer = await post(world, path, other | {field: "key-1"})
    assert (answer.status, answer.code) == (409, "client_reference_conflict")
    assert len(world.sender.sent) == 1


@pytest.mark.parametrize("name", CALLS)
async def test_a_key_and_a_field_that_differ_are_refused(world: ApiWorld, name: str) -> None:
    path, body, field, _ = CALLS[name]
    answer = await post(world, path, body | {field: "other"}, "key-1")
    assert (answer.status, answer.fields) == (400, ["Idempotency-Key"])
    assert world.sender.sent == []


WRONG = [
    "",
    " ",
    '""',
    '" "',
    '"',
    '"a',
    'a"',
    '"a"b',
    '"a", "b"',
    "a,b",
    "a b",
    "a;b",
    "\\",
    r'"a\b"',
    '"é"',
    "é",
    "\x7f",
]
WRONG += ["x" * 121, f'"{"x" * 121}"', '"a";', '"a";B=1', '"a\nb"']


@pytest.mark.parametrize("key", WRONG)
@pytest.mark.parametrize("name", CALLS)
async def test_what_is_no_key_is_refused_by_name_and_not_repeated(world: ApiWorld, name: str, key: str) -> None:
    path, body, _, _ = CALLS[name]
    answer = await post(world, path, body, key)
    assert (answer.status, answer.code, answer.fields) == (400, "validation_failed", ["Idempotency-Key"])
    assert len(key) < 100 or key not in answer.body.decode()
    assert world.sender.sent == []


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("x" * 120, "x" * 120),
        (f'"{"x" * 120}"', "x" * 120),
        (r'"a\"b\\c"', r'a"b\c'),
        ('"a b,c;d"', "a b,c;d"),
        ("a/b+c==:d~(e)", "a/b+c==:d~(e)"),
        ('\t"key" ', "key"),
        ('"key"; a; b=?1;c="d;e";f=1.5', "key"),
    ],
)
async def test_the_spellings_of_a_structured_string(world: ApiWorld, key: str, text: str) -> None:
    answer = await post(world, MESSAGES, {"message": "hi"}, key)
    assert answer.status == 202, answer.body
    assert answer.json["commandId"] == ids.client_command_id(ALICE_HOUSEHOLD, CONVERSATION, text)


@pytest.mark.parametrize("name", CALLS)
async def test_first_requests_at_once_are_one_command(world: ApiWorld, name: str) -> None:
    path, body, _, other = CALLS[name]
    answers = await asyncio.gather(*(post(world, path, body, "key-1") for _ in range(8)))
    assert {answer.status for answer in answers} == {202}
    assert len({answer.body for answer in answers}) == 1
    assert len({sent.message.body for sent in world.sender.sent}) == 1
    answers = await asyncio.gather(*(post(world, path, one, "key-2") for one in (body, other, body, other)))
    assert sorted(answer.status for answer in answers) == [202, 202, 422, 422]
    assert len({answer.body for answer in answers if answer.status == 202}) == 1


async def test_a_batch_s_key_keeps_a_batch_id_s_rules(world: ApiWorld) -> None:
    guid = "8E03978E-40d5-43dd-bc93-6894a57f9324"
    first = await post(world, INGESTIONS, BATCH, f'"{guid}"')
    again = await post(world, INGESTIONS, BATCH | {"batchId": guid.replace("-", "")}, guid.lower())
    assert (first.status, first.body) == (again.status, again.body)
    assert guid.replace("-", "").lower() in first.json["correlationId"]
    for key in ("x" * 45, "a/b", '"a b"'):
        answer = await post(world, INGESTIONS, BATCH, key)
        assert (answer.status, answer.fields) == (400, ["Idempotency-Key"])
    for missing in (BATCH, BATCH | {"batchId": None}, BATCH | {"batchId": ""}):
        answer = await post(world, INGESTIONS, missing)
        assert (answer.status, answer.fields) == (400, ["batchId"])
    answer = await post(world, INGESTIONS, BATCH | {"batchId": None}, "key")
    assert (answer.status, answer.fields) == (400, ["batchId"])


async def test_a_batch_in_lines_takes_the_key_as_well(world: ApiWorld) -> None:
    query, line = "?source=bank&accountId=giro", json.dumps(LINE).encode()
    kind = {"Content-Type": LINES}
    first = await post(world, INGESTIONS + query, line, "key-1", **kind)
    again = await post(world, INGESTIONS + query + "&batchId=key-1", line, **kind)
    assert (first.status, first.body) == (202, again.body)
    other = await post(world, INGESTIONS + query.replace("giro", "savings"), line, "key-1", **kind)
    assert other.status == 422
    differs = await post(world, INGESTIONS + query + "&batchId=key-2", line, "key-1", **kind)
    assert (differs.status, differs.fields) == (400, ["Idempotency-Key"])
    missing = await post(world, INGESTIONS + query, line, **kind)
    assert (missing.status, missing.fields) == (400, ["batchId"])


async def test_a_key_is_another_command_in_another_conversation_and_nobody_else_s(world: ApiWorld) -> None:
    first = await post(world, MESSAGES, {"message": "hi"}, "key-1")
    other = await post(world, MESSAGES.replace(CONVERSATION, "c" * 32), {"message": "ho"}, "key-1")
    bob = await world.post(MESSAGES, {"message": "hi"}, token="bob", headers={"Idempotency-Key": "key-1"})
    assert len({answer.json["commandId"] for answer in (first, other, bob)}) == 3
