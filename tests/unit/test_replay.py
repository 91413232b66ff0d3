"""Replays over the memory broker: what is sent, what is refused, and that nothing is lost or sent twice."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from mosaic_core.domain import ids, signals
from mosaic_core.domain.envelope import decode
from mosaic_core.domain.errors import StoreUnreachableError
from mosaic_core.domain.lanes import Lane
from mosaic_core.domain.lifecycle import ApprovalStatus, KeyStatus
from mosaic_core.services.replay import driving
from tests.support import records
from tests.support.api import ApiWorld
from tests.support.dead import HOUSEHOLD, QUEUES, TALK, USER, Graves, command_id, message_body

OPERATOR = "rolf+Mosaic.Operator.Replay+Mosaic.Operator.Read"
QUEUE = QUEUES[Lane.CONVERSATION]
SECRET = "What did I spend"
DECIDES = "agent_approval_submitted"


@pytest.fixture
def world() -> ApiWorld:
    return ApiWorld()


@pytest.fixture
def graves(world: ApiWorld) -> Graves:
    return Graves(world.stores, world.broker)


def order(select: Any, **changes: Any) -> dict[str, Any]:
    asked = {
        "lane": "conversation",
        "select": select,
        "reason": "the provider is back",
        "rootCause": "it was down",
        "confirmLane": "conversation",
        "dryRun": False,
        "ratePerSecond": 500,
    }
    return asked | changes


async def post(world: ApiWorld, path: str, body: object | None = None, *, status: int = 200) -> Any:
    answer = await world.post(f"/ops/replays{path}", body or {}, token=OPERATOR)
    assert answer.status == status, answer.body
    assert SECRET.encode() not in answer.body
    return answer.json


async def replayed(world: ApiWorld, select: Any, **changes: Any) -> Any:
    """The operation, driven to its end."""
    begun = await post(world, "", order(select, **changes), status=202)
    for _ in range(50):
        found = await post(world, f"/{begun['replayId']}/advance")
        if found["state"] != "running":
            return found
        world.clock.advance(61)
    raise AssertionError(found)


def sent(world: ApiWorld, queue: str = QUEUE) -> list[dict[str, Any]]:
    return [json.loads(message.body) for message in world.broker.peek(queue)]


def left(world: ApiWorld, queue: str = QUEUE) -> list[str]:
    return [letter.message.message_id for letter in world.broker.dead_letters(queue)]


ALL = {"filter": {"reason": "processing_failed"}}


# ----------------------------------------------------------------------------------------------------------- the replay


async def test_a_replay_is_the_same_request_under_a_new_id_of_who_asked_first(world: ApiWorld, graves: Graves) -> None:
    foreign: dict[str, str | bool | int] = {
        "recorded": True,
        "failedSteps": 3,
        "tenant": "north",
        "traceparent": f"00-{'1' * 32}-{'2' * 16}-01",
    }
    original = await graves.dead(1, properties=foreign, subject="alice")
    found = await replayed(world, {"commandIds": [original]}, rootCause=None, confirmLane=None)
    assert (found["replayed"], found["refused"], found["remaining"], found["clearing"]) == (1, 0, 0, 0)
    [envelope] = sent(world)
    new = ids.replay_command_id(QUEUE, original, 1)
    first = json.loads(message_body(1))
    assert envelope["commandId"] == new
    assert envelope["replayOfCommandId"] == original
    assert envelope["payload"] == first["payload"]
    assert envelope["correlationId"] == f"agent:{HOUSEHOLD}:{TALK}:{new}"
    assert "clientReferenceId" not in envelope
    record = await world.stores.commands.read(new)
    assert record is not None
    assert (record.subject, record.household_id) == ("alice", HOUSEHOLD)
    assert record.request_hash == decode(message_body(1), Lane.CONVERSATION).request_hash
    [message] = world.broker.peek(QUEUE)
    assert (message.message_id, message.correlation_id) == (new, envelope["correlationId"])
    assert message.properties["tenant"] == "north"
    assert message.properties["householdUserId"] == USER
    assert "failedSteps" not in message.properties
    assert message.properties.get("traceparent") != foreign["traceparent"]
    assert left(world) == []
    assert world.publisher.kinds() == ["replayed"]
    [audit] = await world.stores.decisions.of_run(ids.run_id(QUEUE, original))
    assert (audit.actor, audit.action, audit.reason_code) == ("rolf", "replay", "replayed")
    assert new in audit.rationale
    assert "the provider is back" in audit.rationale
    whole = await world.stores.decisions.of_run(found["replayId"])
    assert [row.reason_code for row in whole] == ["replay_begun"]
    assert world.stores.followed is not None
    assert await world.stores.followed.lists(QUEUE, new)


async def test_what_asked_for_a_person_because_the_original_failed_asks_no_more(
    world: ApiWorld, graves: Graves
) -> None:
    """In the name of who replayed it, once it is sent; whoever had a word on it before keeps theirs."""
    first, second, other = [await graves.dead(number) for number in (1, 2, 3)]
    for command in (first, second, other):
        run = replace(records.RUN, run_id=ids.run_id(QUEUE, command), command_id=command, queue=QUEUE)
        raised = signals.command_failed(run, message_id=command, attempt=5, now=world.clock.now())
        if command == second:
            raised = signals.resolve(raised, by="olga", note="seen", now=world.clock.now())
        await world.stores.signals.insert(raised)
    assert (await replayed(world, {"commandIds": [first, second]}))["replayed"] == 2
    said = []
    for command in (first, second, other):
        stored = await world.stores.signals.read(ids.failure_signal_id(ids.run_id(QUEUE, command)))
        assert stored is not None
        said.append((stored.value.resolved_by, stored.value.resolution_note))
    new = ids.replay_command_id(QUEUE, first, 1)
    assert said == [("rolf", f"replayed as {new}: the provider is back"), ("olga", "seen"), (None, None)]


async def test_a_signal_that_was_left_by_a_death_is_closed_when_the_operation_goes_on(
    world: ApiWorld, graves: Graves, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = await graves.dead(1)
    run = replace(records.RUN, run_id=ids.run_id(QUEUE, original), command_id=original, queue=QUEUE)
    await world.stores.signals.insert(
        signals.command_failed(run, message_id=original, attempt=5, now=world.clock.now())
    )
    read = world.stores.signals.read

    async def dies(_: str) -> Any:
        raise StoreUnreachableError("died after it was sent")

    begun = await post(world, "", order({"commandIds": [original]}), status=202)
    with monkeypatch.context() as dying:
        dying.setattr(world.stores.signals, "read", dies)
        await post(world, f"/{begun['replayId']}/advance", status=503)
    assert len(sent(world)) == 1
    found = await post(world, f"/{begun['replayId']}/advance")
    assert (found["state"], found["replayed"]) == ("completed", 1)
    stored = await read(ids.failure_signal_id(run.run_id))
    assert stored is not None
    assert stored.value.resolved_by == "rolf"
    assert {one["commandId"] for one in sent(world)} == {ids.replay_command_id(QUEUE, original, 1)}


async def test_a_group_is_replayed_and_others_are_left_where_they_lie(world: ApiWorld, graves: Graves) -> None:
    meant = []
    for number in range(1, 9):
        code = "drill_failure" if number % 2 else "agent_runtime_unavailable"
        named = await graves.dead(number, code=code)
        meant += [named] if number % 2 else []
    answer = await world.get("/ops/dead-letters/groups", token=OPERATOR)
    groups = {group["code"]: group for group in answer.json["groups"]}
    assert [groups[code]["count"] for code in ("drill_failure", "agent_runtime_unavailable")] == [4, 4]
    assert answer.json["complete"] is True
    found = await replayed(world, {"groupId": groups["drill_failure"]["groupId"]})
    assert (found["total"], found["replayed"], found["state"]) == (4, 4, "completed")
    assert {envelope["replayOfCommandId"] for envelope in sent(world)} == set(meant)
    assert left(world) == [command_id(number) for number in (2, 4, 6, 8)]
    # and they are free: another may take them at once
    assert world.broker.take_dead(QUEUE) is not None


async def test_a_dry_run_says_what_happens_and_writes_nothing(world: ApiWorld, graves: Graves) -> None:
    ready, running = await graves.dead(1), await graves.dead(2, status=KeyStatus.RESERVED)
    before = {name: len(world.stores.replays.table.under(name)) for name in ("list", "claim")}  # type: ignore[attr-defined]
    plan = await post(world, "", order(ALL, dryRun=True, rootCause=None, confirmLane=None))
    assert (plan["dryRun"], plan["total"], plan["willReplay"]) == (True, 2, 1)
    assert plan["refused"] == [{"commandId": running, "code": "command_in_progress"}]
    assert [one["newCommandId"] for one in plan["sample"]] == [ids.replay_command_id(QUEUE, ready, 1)]
    assert before == {name: len(world.stores.replays.table.under(name)) for name in ("list", "claim")}  # type: ignore[attr-defined]
    assert sent(world) == []
    assert len(left(world)) == 2
    found = await replayed(world, ALL)
    assert (found["replayed"], found["refused"]) == (plan["willReplay"], len(plan["refused"]))
    assert found["refusals"] == {"command_in_progress": 1}
    assert [envelope["commandId"] for envelope in sent(world)] == [one["newCommandId"] for one in plan["sample"]]
    assert left(world) == [running]


async def test_what_was_replayed_is_not_replayed_again_without_force(world: ApiWorld, graves: Graves) -> None:
    original = await graves.dead(1)
    await replayed(world, {"commandIds": [original]})
    again = await replayed(world, {"commandIds": [original]})
    assert again["refusals"] == {"already_replayed": 1}
    insists = await replayed(world, {"commandIds": [original]}, force=True)
    assert insists["replayed"] == 1
    assert [one["commandId"] for one in sent(world)] == [ids.replay_command_id(QUEUE, original, n) for n in (1, 2)]
    codes = [row.reason_code for row in await world.stores.decisions.of_run(ids.run_id(QUEUE, original))]
    assert sorted(codes) == ["already_replayed", "replayed", "replayed"]


async def test_two_operations_at_once_replay_a_command_once(world: ApiWorld, graves: Graves) -> None:
    original = await graves.dead(1)
    first, second = [await post(world, "", order({"commandIds": [original]}), status=202) for _ in range(2)]
    await post(world, f"/{first['replayId']}/advance")
    await post(world, f"/{second['replayId']}/advance")
    assert len({envelope["commandId"] for envelope in sent(world)}) == 1


@pytest.mark.parametrize("code", ["command_completed"])
async def test_what_has_succeeded_is_never_replayed(world: ApiWorld, graves: Graves, code: str) -> None:
    original = await graves.dead(1, status=KeyStatus.COMPLETED)
    found = await replayed(world, {"commandIds": [original]}, force=True)
    assert found["refusals"] == {code: 1}
    assert sent(world) == []
    assert left(world) == [original]


async def test_force_replays_what_nobody_has_ended(world: ApiWorld, graves: Graves) -> None:
    original = await graves.dead(1, status=KeyStatus.RESERVED)
    assert (await replayed(world, {"commandIds": [original]}))["refusals"] == {"command_in_progress": 1}
    assert (await replayed(world, {"commandIds": [original]}, force=True))["replayed"] == 1


async def test_a_purged_dead_letter_is_replayed_from_its_record(world: ApiWorld, graves: Graves) -> None:
    """An explorer's purge, or receive-and-delete, loses nothing: before the operation, and in its middle."""
    first, second = await graves.dead(1), await graves.dead(2)
    begun = await post(world, "", order(ALL), status=202)
    world.broker.purge_dead(QUEUE)
    found = await post(world, f"/{begun['replayId']}/advance")
    assert (found["state"], found["replayed"]) == ("completed", 2)
    third = await graves.dead(3)
    world.broker.purge_dead(QUEUE)
    assert (await replayed(world, {"commandIds": [third]}))["replayed"] == 1
    assert {one["replayOfCommandId"] for one in sent(world)} == {first, second, third}


async def test_a_dead_letter_that_somebody_resubmitted_goes_with_its_first_copy(
    world: ApiWorld, graves: Graves
) -> None:
    original = await graves.dead(1)
    await graves.bury(message_body(1), reason="idempotency_rejected", code="idempotency_rejected")
    found = await replayed(world, {"commandIds": [original]})
    assert (found["total"], found["replayed"]) == (2, 2)
    assert {one["commandId"] for one in sent(world)} == {ids.replay_command_id(QUEUE, original, 1)}
    assert left(world) == []


async def test_another_request_under_a_commands_id_is_no_copy_of_it(world: ApiWorld, graves: Graves) -> None:
    original = await graves.dead(1)
    forged = json.loads(message_body(1))
    forged["payload"]["message"] = "pay my landlord"
    await graves.bury(json.dumps(forged).encode(), reason="idempotency_hash_mismatch")
    found = await replayed(world, {"commandIds": [original]})
    assert (found["replayed"], found["refusals"]) == (1, {"other_request": 1})
    assert "landlord" not in json.dumps(sent(world))
    assert [letter.reason for letter in world.broker.dead_letters(QUEUE)] == ["idempotency_hash_mismatch"]


async def test_what_nobody_recorded_is_replayed_only_for_a_source_that_is_listed(
    world: ApiWorld, graves: Graves
) -> None:
    unknown = await graves.dead(1, recorded=False, reason="not_recorded")
    assert (await replayed(world, {"commandIds": [unknown]}, force=True))["refusals"] == {"not_recorded": 1}
    batch = await graves.dead(2, Lane.INGESTION, recorded=False, reason="not_recorded")
    asked = {"lane": "ingestion", "confirmLane": "ingestion"}
    assert (await replayed(world, {"commandIds": [batch]}, **asked))["refusals"] == {"not_recorded": 1}
    subject = f"source:{HOUSEHOLD}:bank"
    await world.add_member(subject, HOUSEHOLD, USER, role="Ingest", source="bank")
    assert (await replayed(world, {"commandIds": [batch]}, **asked))["replayed"] == 1


# ------------------------------------------------------------------------------------------------------------ approvals


async def an_approval(world: ApiWorld, **changes: Any) -> str:
    approval = replace(
        records.APPROVAL,
        household_id=HOUSEHOLD,
        conversation_id=TALK,
        **{
            "status": ApprovalStatus.PENDING,
            "decided_at": None,
            "carried_out_at": None,
            "expires_at": world.clock.now().replace(year=2027),
            **changes,
        },
    )
    await world.stores.approvals.insert(approval)
    return approval.approval_id


def decision(approval_id: str, word: str = "Approve") -> dict[str, Any]:
    return {"approvalId": approval_id, "decision": word}


@pytest.mark.parametrize(
    ("state", "word", "replays"),
    [
        ({}, "Approve", True),
        ({"status": ApprovalStatus.APPROVED}, "Approve", True),
        ({"status": ApprovalStatus.APPROVED, "carried_out_at": records.NOW}, "Approve", False),
        ({"status": ApprovalStatus.APPROVED}, "Reject", False),
        ({"status": ApprovalStatus.REJECTED}, "Approve", False),
        ({"status": ApprovalStatus.EXPIRED}, "Approve", False),
        ({"expires_at": records.NOW.replace(year=2025)}, "Approve", False),
    ],
)
async def test_a_decision_is_replayed_only_while_its_approval_has_something_left_to_do(
    world: ApiWorld, graves: Graves, state: dict[str, Any], word: str, replays: bool
) -> None:
    approval_id = await an_approval(world, **state)
    payload = decision(approval_id, word)
    original = await graves.dead(1, kind=DECIDES, payload=payload, subject="alice")
    found = await replayed(world, {"commandIds": [original]}, force=True)
    assert found["replayed"] == replays
    assert found["refusals"] == ({} if replays else {"approval_ended": 1})
    if replays:
        record = await world.stores.commands.read(ids.replay_command_id(QUEUE, original, 1))
        assert record is not None
        assert record.subject == "alice", "who decided is who decided then"


async def test_nobody_decides_by_an_edit(world: ApiWorld, graves: Graves) -> None:
    approval_id = await an_approval(world)
    original = await graves.dead(1, kind=DECIDES, payload=decision(approval_id, "Reject"))
    asks = await graves.dead(2)
    approves = json.loads(message_body(1, kind=DECIDES, payload=decision(approval_id)))
    for named in (original, asks):
        edit = {"envelope": approves}
        found = await replayed(world, {"commandIds": [named]}, edit=edit, force=True)
        assert found["refusals"] == {"edit_refused": 1}
    assert sent(world) == []


# ---------------------------------------------------------------------------------------------------------------- edits


async def test_an_edit_is_validated_and_its_difference_is_recorded_without_words(
    world: ApiWorld, graves: Graves
) -> None:
    original = await graves.dead(1)
    envelope = json.loads(message_body(1, payload={"message": "How much for food?"}))
    plan = await post(world, "", order({"commandIds": [original]}, dryRun=True, edit={"envelope": envelope}))
    assert [one.split()[0] for one in plan["changedFields"]] == ["message"]
    found = await replayed(world, {"commandIds": [original]}, edit={"envelope": envelope})
    assert (found["replayed"], found["edited"]) == (1, True)
    assert [one["payload"]["message"] for one in sent(world)] == ["How much for food?"]
    [audit] = await world.stores.decisions.of_run(ids.run_id(QUEUE, original))
    assert "edited: message" in audit.rationale
    assert "food" not in audit.rationale
    assert left(world) == []


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"commandType": "ingestion_completed"}, "edit.commandType"),
        ({"commandType": None}, "edit.commandType"),
        ({"commandId": "x"}, "edit.commandId"),
        ({"payload": {}}, "edit.payload.householdId"),
        ({"payload": "words"}, "edit.payload"),
    ],
)
async def test_an_edit_that_the_contract_does_not_know_is_refused_by_its_field(
    world: ApiWorld, graves: Graves, change: dict[str, Any], field: str
) -> None:
    original = await graves.dead(1)
    body = order({"commandIds": [original]}, edit={"envelope": json.loads(message_body(1)) | change})
    answer = await world.post("/ops/replays", body, token=OPERATOR)
    assert (answer.status, answer.code) == (400, "validation_failed")
    assert answer.fields[0] == field


@pytest.mark.parametrize("who", ["householdId", "conversationId", "householdUserId"])
async def test_an_edit_asks_in_nobody_elses_name(world: ApiWorld, graves: Graves, who: str) -> None:
    original = await graves.dead(1)
    envelope = json.loads(message_body(1, payload={who: "b0b00000000000000000000000000009"}))
    found = await replayed(world, {"commandIds": [original]}, edit={"envelope": envelope})
    assert found["refusals"] == {"edit_refused": 1}
    assert left(world) == [original]


async def test_what_never_decoded_is_replayed_by_an_edit_alone(world: ApiWorld, graves: Graves) -> None:
    await graves.bury(b'{"commandId": "', message_id="order-17", reason="invalid_json", code="invalid_json")
    answer = await world.get("/ops/dead-letters", token=OPERATOR)
    [letter] = answer.json["deadLetters"]
    assert (letter["messageId"], letter["commandId"]) == ("order-17", None)
    raised = signals.command_rejected(
        queue=QUEUE, message_id="order-17", code="invalid_json", rationale="not JSON", now=world.clock.now()
    )
    signal_id = raised.signal_id
    await world.stores.signals.insert(raised)
    found = await replayed(world, {"commandIds": ["order-17"]})
    assert found["refusals"] == {"never_decoded": 1}
    signal = await world.stores.signals.read(signal_id)
    assert signal is not None
    assert not signal.value.is_resolved, "nothing was replayed"
    found = await replayed(world, {"commandIds": ["order-17"]}, edit={"envelope": json.loads(message_body(5))})
    assert found["replayed"] == 1
    assert left(world) == []
    record = await world.stores.commands.read(sent(world)[0]["commandId"])
    assert record is not None
    assert record.subject == "rolf", "nobody else is known to have asked"
    signal = await world.stores.signals.read(signal_id)
    assert signal is not None
    assert signal.value.resolution_note == f"replayed as {record.command_id}: the provider is back"


# ------------------------------------------------------------------------------------------------------- abort and rate


async def test_an_abort_stops_between_batches_and_a_resume_goes_on(
    world: ApiWorld, graves: Graves, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driving, "BATCH", 3)
    for number in range(1, 11):
        await graves.dead(number)
    begun = await post(world, "", order(ALL), status=202)
    path = f"/{begun['replayId']}"
    sending, sends = world.replays.enqueue.sender.send, 0

    async def send(*message: Any, **how: Any) -> None:
        nonlocal sends
        sends += 1
        if sends == 4:
            aborted = await post(world, f"{path}/abort")
            assert aborted["state"] == "aborted"
        await sending(*message, **how)

    monkeypatch.setattr(world.broker, "send", send)
    stopped = await post(world, f"{path}/advance")
    assert (stopped["state"], stopped["replayed"], stopped["remaining"]) == ("aborted", 6, 4)
    assert (await post(world, f"{path}/advance"))["replayed"] == 6
    assert len(left(world)) == 4
    assert (await post(world, f"{path}/resume"))["state"] == "running"
    done = await post(world, f"{path}/advance")
    assert (done["state"], done["replayed"]) == ("completed", 10)
    assert (await post(world, f"{path}/abort"))["state"] == "completed"
    codes = [row.reason_code for row in await world.stores.decisions.of_run(begun["replayId"])]
    assert sorted(codes) == ["replay_aborted", "replay_begun", "replay_resumed"]
    assert sorted(envelope["replayOfCommandId"] for envelope in sent(world)) == [command_id(n) for n in range(1, 11)]


async def test_the_rate_holds_over_every_caller_and_a_piece_ends(world: ApiWorld, graves: Graves) -> None:
    for number in range(1, 91):
        await graves.dead(number)
    begun = await post(world, "", order(ALL, ratePerSecond=2), status=202)
    started = world.clock.now()
    pieces = [await post(world, f"/{begun['replayId']}/advance") for _ in range(5)]
    spent = (world.clock.now() - started).total_seconds()
    assert [piece["state"] for piece in pieces][-1] == "completed"
    assert all(piece["replayed"] <= 42 for piece in pieces[:1])
    assert spent >= 90 / 2 - 1.5
    assert len(sent(world)) == 90


async def test_a_second_driver_does_nothing_while_the_first_is_alive(
    world: ApiWorld, graves: Graves, monkeypatch: pytest.MonkeyPatch
) -> None:
    await graves.dead(1)
    begun = await post(world, "", order(ALL), status=202)
    seen = []
    claim = world.stores.replays.claim

    async def slow(one: Any) -> bool:
        seen.append(await post(world, f"/{begun['replayId']}/advance"))
        return await claim(one)

    monkeypatch.setattr(world.stores.replays, "claim", slow)
    done = await post(world, f"/{begun['replayId']}/advance")
    assert [one["replayed"] for one in seen] == [0]
    assert done["replayed"] == 1


async def test_a_broker_that_does_not_answer_is_told_and_the_same_again_goes_on(
    world: ApiWorld, graves: Graves
) -> None:
    await graves.dead(1)
    begun = await post(world, "", order(ALL), status=202)
    world.broker.fault = lambda operation, _: "refused" if operation == "send" else None
    answer = await world.post(f"/ops/replays/{begun['replayId']}/advance", {}, token=OPERATOR)
    assert (answer.status, answer.code) == (503, "queue_unavailable")
    assert len(left(world)) == 1, "not completed before it is acknowledged"
    world.broker.fault = lambda _, __: None
    done = await post(world, f"/{begun['replayId']}/advance")
    assert (done["state"], done["replayed"]) == ("completed", 1)
    assert (len({one["commandId"] for one in sent(world)}), left(world)) == (1, [])


# -------------------------------------------------------------------------------------------------------- hostile input


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"rootCause": None}, "rootCause"),
        ({"confirmLane": None}, "confirmLane"),
        ({"confirmLane": "sweep"}, "confirmLane"),
        ({"reason": ""}, "reason"),
        ({"reason": "  "}, "reason"),
        ({"reason": "x" * 501}, "reason"),
        ({"reason": "fine\x1b[2Jfine"}, "reason"),
        ({"reason": "two\nlines"}, "reason"),
        ({"reason": "turned \u202e round"}, "reason"),
        ({"rootCause": "nul\x00"}, "rootCause"),
        ({"lane": "everything"}, "lane"),
        ({"ratePerSecond": 0}, "ratePerSecond"),
        ({"ratePerSecond": 501}, "ratePerSecond"),
        ({"dryRun": "yes"}, "dryRun"),
        ({"select": {}}, "select"),
        ({"select": {"filter": {}}}, "select.filter"),
        ({"select": {"filter": {"code": None}}}, "select.filter.code"),
        ({"select": {"filter": {"reason": "x'; drop"}}}, "select.filter.reason"),
        ({"select": {"commandIds": []}}, "select.commandIds"),
        ({"select": {"commandIds": ["a b"]}}, "select.commandIds.0"),
        ({"select": {"commandIds": ["a"] * 101}}, "select.commandIds"),
        ({"select": {"groupId": "x"}}, "select.groupId"),
        ({"select": {"groupId": "1" * 32, "commandIds": ["a"]}}, "select"),
        ({"everything": True}, "everything"),
        ({"edit": {"envelope": {}}}, "edit.commandType"),
    ],
)
async def test_a_request_that_does_not_hold_names_its_field_and_does_nothing(
    world: ApiWorld, graves: Graves, change: dict[str, Any], field: str
) -> None:
    await graves.dead(1)
    await graves.dead(2)
    answer = await world.post("/ops/replays", order(ALL) | change, token=OPERATOR)
    assert (answer.status, answer.code) == (400, "validation_failed"), answer.body
    assert field in answer.fields
    assert sent(world) == []
    listed = await world.get("/ops/replays", token=OPERATOR)
    assert listed.json["replays"] == []


async def test_an_edit_is_of_one_message(world: ApiWorld, graves: Graves) -> None:
    await graves.dead(1)
    await graves.dead(2)
    body = order(ALL, edit={"envelope": json.loads(message_body(1))})
    answer = await world.post("/ops/replays", body, token=OPERATOR)
    assert (answer.status, answer.fields) == (400, ["edit"])


async def test_nothing_meant_is_not_found(world: ApiWorld) -> None:
    await post(world, "", order({"groupId": "1" * 32}), status=404)
    gone = await replayed(world, {"commandIds": [command_id(7)]})
    assert gone["refusals"] == {"not_there": 1}
    await post(world, f"/{'9' * 32}/advance", status=404)


@pytest.mark.parametrize(
    "query",
    ["cursor=1", "cursor=1!other", "cursor=99999999999999999999!sweep", "cursor=9223372036854775808!sweep",
     "cursor=-1!sweep", "cursor=1!sweep!x", "cursor=", "lane=x", "limit=0", "limit=101", "code=a b", "reason=%00"],
)  # fmt: skip
async def test_a_forged_cursor_or_filter_is_refused(world: ApiWorld, query: str) -> None:
    answer = await world.get(f"/ops/dead-letters?{query}", token=OPERATOR)
    assert (answer.status, answer.code) == (400, "validation_failed"), answer.body


async def test_a_cursor_of_another_lane_is_refused_and_pages_go_on(world: ApiWorld, graves: Graves) -> None:
    for number in range(1, 6):
        await graves.dead(number)
    await graves.dead(6, Lane.SWEEP)
    seen: list[str] = []
    query = "limit=2"
    while True:
        page = (await world.get(f"/ops/dead-letters?{query}", token=OPERATOR)).json
        seen += [letter["commandId"] for letter in page["deadLetters"]]
        if page["nextCursor"] is None:
            break
        query = f"limit=2&cursor={page['nextCursor']}"
    assert sorted(seen) == [command_id(number) for number in range(1, 7)]
    answer = await world.get("/ops/dead-letters?lane=ingestion&cursor=1!sweep", token=OPERATOR)
    assert answer.status == 400


async def test_what_was_replayed_says_so_in_the_list(world: ApiWorld, graves: Graves) -> None:
    original = await graves.dead(1)
    world.broker.fault = lambda operation, _: "refused" if operation == "complete" else None
    begun = await post(world, "", order(ALL), status=202)
    stays = await post(world, f"/{begun['replayId']}/advance")
    assert (stays["state"], stays["remaining"], stays["clearing"]) == ("running", 0, 1)
    [letter] = (await world.get("/ops/dead-letters", token=OPERATOR)).json["deadLetters"]
    assert letter["replayedAs"] == ids.replay_command_id(QUEUE, original, 1)
    world.broker.fault = lambda _, __: None
    world.clock.advance(61)
    assert (await post(world, f"/{begun['replayId']}/advance"))["state"] == "completed"
    assert left(world) == []


async def test_copies_that_a_dead_process_left_are_in_nobodys_way(
    world: ApiWorld, graves: Graves, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They lie at the head of the queue, before all that is to come, and more of them than a handful."""
    monkeypatch.setattr(driving, "BATCH", 4)
    monkeypatch.setattr(driving, "CLEARED_AT_ONCE", 3)
    for number in range(1, 13):
        await graves.dead(number, status=KeyStatus.RESERVED if number <= 5 else KeyStatus.REJECTED)
    begun = await post(world, "", order(ALL, ratePerSecond=4), status=202)
    world.broker.fault = lambda operation, _: "refused" if operation == "complete" else None
    stays = await post(world, f"/{begun['replayId']}/advance")
    assert (stays["state"], stays["replayed"], stays["refused"]) == ("running", 7, 5)
    assert len(left(world)) == 12
    world.broker.fault = lambda _, __: None
    world.clock.advance(61)
    done = await post(world, f"/{begun['replayId']}/advance")
    assert (done["state"], done["clearing"]) == ("completed", 0)
    assert left(world) == [command_id(number) for number in range(1, 6)]


async def test_without_the_role_nothing_is_replayed(world: ApiWorld, graves: Graves) -> None:
    original = await graves.dead(1)
    for token in ("alice", "rolf+Mosaic.Operator.Read", "rolf+Mosaic.Operator.Admin"):
        answer = await world.post("/ops/replays", order({"commandIds": [original]}), token=token)
        assert (answer.status, answer.code) == (403, "role_required")
        for word in ("advance", "abort", "resume"):
            answer = await world.post(f"/ops/replays/{'1' * 32}/{word}", {}, token=token)
            assert (answer.status, answer.code) == (403, "role_required")
    assert left(world) == [original]


async def test_the_words_of_a_dead_letter_that_others_wrote_are_not_repeated(world: ApiWorld, graves: Graves) -> None:
    await graves.bury(
        message_body(1), message_id="id with words", reason="what Alice said\x1b[2J", code="no code; Alice said"
    )
    answer = await world.get("/ops/dead-letters", token=OPERATOR)
    assert b"Alice" not in answer.body
    assert b"with words" not in answer.body
    assert b"\\u001b" not in answer.body
