"""The gate before every lane: what is recorded under a message's id decides, and only that."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from mosaic_core.domain import ids, signals
from mosaic_core.domain.envelope import PAYLOADS, decode
from mosaic_core.domain.errors import QueueUnavailableError, StoreUnreachableError
from mosaic_core.domain.lanes import RULES, CommandType, Lane, lane_of
from mosaic_core.domain.lifecycle import CommandOrigin
from mosaic_core.domain.membership import producer_subject
from mosaic_core.domain.records import Command, Membership
from mosaic_core.domain.settlement import Abandon, Complete, DeadLetter, Reschedule, Settlement
from mosaic_core.lanes.context import LaneContext, LaneResult, succeeded
from mosaic_core.ports import IncomingMessage, Stores
from mosaic_core.services.limits import DeliveryLimits
from tests.support.world import CONVERSATION, HOUSEHOLD, USER, World, record

ID = "11111111222243334444555555555555"
SOURCE = "bank"
LATER = "2026-01-01T00:00:00Z"

PAYLOAD_OF: dict[CommandType, dict[str, Any]] = {
    CommandType.AGENT_MESSAGE_POSTED: {"householdUserId": USER, "conversationId": CONVERSATION, "message": "How much?"},
    CommandType.AGENT_APPROVAL_SUBMITTED: {
        "householdUserId": USER,
        "conversationId": CONVERSATION,
        "approvalId": "b" * 32,
        "decision": "Approve",
    },
    CommandType.AGENT_APPROVAL_DUE: {"conversationId": CONVERSATION, "approvalId": "b" * 32},
    CommandType.INGESTION_COMPLETED: {
        "batchId": "november",
        "source": SOURCE,
        "accountId": "checking",
        "transactions": [
            {"transactionId": "t", "postedOn": "2026-01-01", "amount": "-1", "currency": "EUR", "description": "d"}
        ],
    },
    CommandType.NIGHTLY_ANOMALY_SWEEP: {"sweepDate": "2025-12-31", "lookbackDays": 30},
}
FORGED_OF: dict[CommandType, dict[str, Any]] = {
    CommandType.AGENT_MESSAGE_POSTED: {"householdUserId": "9" * 32},
    CommandType.AGENT_APPROVAL_SUBMITTED: {"householdUserId": "9" * 32},
    CommandType.AGENT_APPROVAL_DUE: {"approvalId": "d" * 32},
    CommandType.INGESTION_COMPLETED: {"batchId": "december"},
    CommandType.NIGHTLY_ANOMALY_SWEEP: {"sweepDate": "2025-12-30"},
}
"""What a forger says otherwise: user, approval, night."""


def command(kind: CommandType, *, command_id: str = ID, created: str = LATER, **changes: Any) -> bytes:
    return json.dumps(
        {
            "commandId": command_id,
            "correlationId": f"c:{command_id}",
            "commandType": kind.value,
            "createdAtUtc": created,
            "payload": {"householdId": HOUSEHOLD, **PAYLOAD_OF[kind], **changes},
        }
    ).encode()


class Gate:
    """A worker whose lanes note what reaches them, and how many rows there are."""

    def __init__(self, *, producers: bool = True) -> None:
        self.begun: list[LaneContext] = []
        self.world = World(self.lane)
        self.producers = frozenset({Lane.INGESTION} if producers else ())
        self._sequence = 0

    async def lane(self, context: LaneContext) -> LaneResult:
        self.begun.append(context)
        return succeeded("done", "done")

    @property
    def stores(self) -> Stores:
        return self.world.stored

    async def list_source(self, household: str = HOUSEHOLD, source: str = SOURCE, **changes: Any) -> None:
        membership = Membership(
            subject=producer_subject(household, source),
            household_id=household,
            household_user_id="f" * 32,
            role="Ingest",
            status="Active",
            created_at=self.world.clock.now(),
            source=source,
        )
        await self.stores.members.insert(replace(membership, **changes))

    async def record(self, lane: Lane, body: bytes, subject: str = "alice") -> None:
        await record(self.stores, RULES[lane].default_queue, lane, body, self.world.clock.now(), subject=subject)

    async def deliver(self, lane: Lane, body: bytes, **properties: str | bool | int) -> Settlement:
        self._sequence += 1
        message = IncomingMessage(
            queue=RULES[lane].default_queue,
            body=body,
            lock_token=f"lock-{self._sequence}",
            message_id=str(json.loads(body)["commandId"]),
            sequence_number=self._sequence,
            delivery_count=1,
            enqueued_at=self.world.clock.now(),
            properties=properties,
        )
        service = replace(self.world.service(), producers=self.producers, settler=self)
        return await service.deliver(lane, message)

    async def deliver_last(self, body: bytes, stores: Stores) -> Settlement:
        """The tenth delivery, into a full lane, while no copy can be sent."""
        message = IncomingMessage(
            queue=RULES[Lane.CONVERSATION].default_queue,
            body=body,
            lock_token="lock",
            message_id=ID,
            sequence_number=1,
            delivery_count=10,
            enqueued_at=self.world.clock.now(),
            crowded=True,
        )
        self.world.stores = stores
        service = replace(self.world.service(), settler=self, sender=NoCopies(), limits=DeliveryLimits(hold=0.0))
        return await service.deliver(Lane.CONVERSATION, message)

    async def complete(self, message: IncomingMessage) -> None: ...
    async def abandon(self, message: IncomingMessage) -> None: ...
    async def dead_letter(self, message: IncomingMessage, reason: str, description: str) -> None: ...

    async def untouched(self, lane: Lane, command_id: str = ID) -> bool:
        queue = RULES[lane].default_queue
        run = ids.run_id(queue, command_id)
        rows = [
            await self.stores.keys.read(queue, command_id),
            await self.stores.runs.read(run),
            await self.stores.signals.read(ids.failure_signal_id(run)),
        ]
        listed = [entry async for entry in self.stores.commands.conversation(HOUSEHOLD, CONVERSATION)]
        active = [h async for h in self.stores.households.active("202601")]
        return not any(rows) and not active and (not listed or await self.stores.commands.read(command_id) is not None)

    async def told(self, lane: Lane, body: bytes) -> str:
        """The code of the signal that says so, where it asks for a person."""
        envelope, queue = decode(body, lane), RULES[lane].default_queue
        for signal_id in (
            ids.unrecorded_signal_id(queue, envelope.command_id, envelope.request_hash),
            ids.mismatch_signal_id(queue, envelope.command_id, envelope.request_hash),
        ):
            stored = await self.stores.signals.read(signal_id)
            if stored is not None and stored.value.requires_human_review:
                return stored.value.signal_code
        return ""


def test_every_command_type_has_a_rule() -> None:
    assert set(PAYLOAD_OF) == set(FORGED_OF) == set(CommandType) == set(PAYLOADS)


def reason(settlement: Settlement) -> str:
    return settlement.reason if isinstance(settlement, DeadLetter) else type(settlement).__name__


@pytest.mark.parametrize("claims", [{}, {"recorded": True}], ids=["says nothing", "says recorded"])
@pytest.mark.parametrize("lane", Lane)
@pytest.mark.parametrize("kind", CommandType)
async def test_what_nobody_recorded_is_refused_and_leaves_the_id_to_the_command(
    kind: CommandType, lane: Lane, claims: dict[str, bool]
) -> None:
    """Queues × command types, with and without the word `recorded`; the household lists no source."""
    gate = Gate()
    forged = command(kind)
    settlement = await gate.deliver(lane, forged, **claims)
    assert reason(settlement) == "not_recorded"
    assert gate.begun == []
    assert await gate.told(lane, forged) == signals.NOT_RECORDED
    assert await gate.untouched(lane)
    assert await gate.stores.commands.read(ID) is None
    # and the command itself, recorded a moment later, runs
    own = lane_of(kind)
    assert own is not None
    await gate.record(own, forged)
    assert await gate.deliver(own, forged) == Complete()
    assert len(gate.begun) == 1
    # its message on another lane's queue is nobody's
    for other in set(Lane) - {own}:
        assert reason(await gate.deliver(other, forged, recorded=True)) == "not_recorded"
    assert len(gate.begun) == 1


@pytest.mark.parametrize("claims", [{}, {"recorded": True}], ids=["says nothing", "says recorded"])
@pytest.mark.parametrize("kind", CommandType)
async def test_another_request_under_a_recorded_id_is_refused_whichever_comes_first(
    kind: CommandType, claims: dict[str, bool]
) -> None:
    lane = lane_of(kind)
    assert lane is not None
    for first in ("forged", "real"):
        gate = Gate()
        await gate.list_source()
        real, forged = command(kind), command(kind, **FORGED_OF[kind])
        await gate.record(lane, real)
        if first == "real":
            assert await gate.deliver(lane, real) == Complete()
        assert reason(await gate.deliver(lane, forged, **claims)) == "idempotency_hash_mismatch"
        assert await gate.told(lane, forged) == signals.HASH_MISMATCH
        if first == "forged":
            assert await gate.untouched(lane)
            assert await gate.deliver(lane, real) == Complete()
        assert [c.envelope.request_hash for c in gate.begun] == [decode(real, lane).request_hash]


@pytest.mark.parametrize("kind", CommandType)
async def test_who_when_and_as_what_are_the_record_s(kind: CommandType) -> None:
    """The same request, and all that its hash does not cover told otherwise."""
    lane = lane_of(kind)
    assert lane is not None
    gate = Gate()
    real = command(kind)
    await gate.record(lane, real, subject="alice")
    told = json.loads(command(kind, created="9998-12-30T00:00:00Z"))
    told |= {"correlationId": "forged", "clientReferenceId": "forged", "replayOfCommandId": "7" * 32}
    assert await gate.deliver(lane, json.dumps(told).encode(), recorded=False, householdUserId="9" * 32) == Complete()
    [context] = gate.begun
    assert context.envelope == decode(real, lane)
    assert context.subject == "alice"
    run = await gate.stores.runs.read(context.run_id)
    assert run is not None
    assert (run.value.correlation_id, run.value.replay_of_command_id) == (f"c:{ID}", None)


async def test_storage_away_at_the_record_is_no_attempt_and_no_refusal() -> None:
    gate = Gate()
    real = command(CommandType.AGENT_MESSAGE_POSTED)
    await gate.record(Lane.CONVERSATION, real)

    class Away:
        async def read(self, command_id: str) -> None:
            raise StoreUnreachableError("commands: 503")

    gate.world.stores = replace(gate.stores, commands=Away())  # type: ignore[arg-type]
    settlement = await gate.deliver(Lane.CONVERSATION, real)
    assert isinstance(settlement, Reschedule)
    assert settlement.why == "store_unreachable"
    assert await gate.untouched(Lane.CONVERSATION)
    gate.world.stores = gate.stores
    assert await gate.deliver(Lane.CONVERSATION, real) == Complete()


# --------------------------------------------------------------------------------------------------------- producers

INGESTION = CommandType.INGESTION_COMPLETED


async def test_a_listed_source_sends_past_the_api_and_the_run_says_so() -> None:
    gate = Gate()
    await gate.list_source()
    body = command(INGESTION)
    for _ in range(2):
        assert isinstance(await gate.deliver(Lane.INGESTION, body), Complete)
    [context] = gate.begun
    recorded = await gate.stores.commands.read(ID)
    assert recorded is not None
    assert (recorded.origin, recorded.subject, recorded.envelope) == (CommandOrigin.PRODUCER, "", body.decode())
    [stage] = await gate.stores.stages.of_run(context.run_id)
    assert (stage.name, stage.outcome_code) == ("receive", "received_past_api")


@pytest.mark.parametrize("same", [True, False])
async def test_what_the_api_records_beside_a_producer_stands_and_the_producer_s_is_judged_by_it(same: bool) -> None:
    """Between its reading that nothing is recorded and its own insert: the insert loses, and what stands is read."""
    gate = Gate()
    await gate.list_source()
    body = command(INGESTION)
    commands = gate.stores.commands

    class Raced:
        def __getattr__(self, operation: str) -> Any:
            return getattr(commands, operation)

        async def insert(self, recorded: Command) -> bool:
            theirs = recorded.envelope if same else command(INGESTION, batchId="another").decode()
            hash_ = decode(theirs.encode(), Lane.INGESTION).request_hash
            api_s = replace(recorded, envelope=theirs, request_hash=hash_, origin=CommandOrigin.APP, subject="alice")
            assert await commands.insert(api_s)
            return await commands.insert(recorded)

    gate.world.stores = replace(gate.stores, commands=Raced())
    settlement = await gate.deliver(Lane.INGESTION, body)
    if same:
        assert settlement == Complete()
        assert [context.subject for context in gate.begun] == ["alice"]
    else:
        assert reason(settlement) == "idempotency_hash_mismatch"
        assert gate.begun == []
        assert await gate.untouched(Lane.INGESTION)


@pytest.mark.parametrize(
    ("listed", "producers", "changes"),
    [
        ({"source": "another"}, True, {}),
        ({"role": "Member"}, True, {}),
        ({"role": "Viewer"}, True, {}),
        ({"role": "Owner"}, True, {}),
        ({"status": "removed"}, True, {}),
        ({"household_id": "b0b00000000000000000000000000001"}, True, {}),
        ({"subject": "a-feed-with-a-token"}, True, {}),
        ({}, True, {"householdId": "b0b00000000000000000000000000001"}),
        ({}, True, {"source": "Bank"}),
        ({}, True, {"source": ""}),
        ({}, False, {}),
    ],
)
async def test_a_source_that_the_household_does_not_list_is_refused(
    listed: dict[str, str], producers: bool, changes: dict[str, str]
) -> None:
    gate = Gate(producers=producers)
    await gate.list_source(**listed)
    body = command(INGESTION, **changes)
    assert reason(await gate.deliver(Lane.INGESTION, body)) in {"not_recorded", "invalid_envelope"}
    assert gate.begun == []
    assert await gate.untouched(Lane.INGESTION)


async def test_a_producer_cannot_take_an_id_that_the_app_will_use() -> None:
    """A client's batch, a night, an approval's end: their ids can be computed by anybody."""
    gate = Gate()
    await gate.list_source()
    for taken in (
        ids.client_command_id(HOUSEHOLD, "ingestion", "november"),
        ids.client_command_id(HOUSEHOLD, CONVERSATION, "client-1"),
        ids.sweep_command_id(HOUSEHOLD, f"{date(2026, 1, 1):%Y%m%d}"),
        ids.approval_due_command_id(HOUSEHOLD, "b" * 32, 0),
    ):
        body = command(INGESTION, command_id=taken)
        assert reason(await gate.deliver(Lane.INGESTION, body)) == "not_recorded"
        assert await gate.stores.commands.read(taken) is None


@pytest.mark.parametrize("created", ["9998-12-30T00:00:00Z", "1970-01-02T00:00:00Z", "2020-01-01T00:00:00Z"])
async def test_a_producer_s_time_is_held_to_when_the_broker_took_it(created: str) -> None:
    gate = Gate()
    await gate.list_source()
    now = gate.world.clock.now()
    body = command(INGESTION, created=created)
    assert await gate.deliver(Lane.INGESTION, body) == Complete()
    [context] = gate.begun
    assert abs(context.envelope.created_at - now) == timedelta(hours=1)
    [stage] = await gate.stores.stages.of_run(context.run_id)
    assert "its own time is more than an hour off" in stage.outcome_rationale


async def test_a_recorded_time_is_held_to_its_record() -> None:
    """One that an earlier version recorded as it came."""
    gate = Gate()
    body = command(CommandType.AGENT_MESSAGE_POSTED, created="9998-12-30T00:00:00Z")
    await gate.record(Lane.CONVERSATION, body)
    assert await gate.deliver(Lane.CONVERSATION, body) == Complete()
    [context] = gate.begun
    assert context.envelope.created_at == gate.world.clock.now() + timedelta(hours=1)
    [stage] = await gate.stores.stages.of_run(context.run_id)
    assert stage.outcome_code == "time_moved"


async def test_a_message_that_only_fails_ends_without_a_row_of_the_command() -> None:
    """The last delivery that the broker allows, or the fifth failed step, of what nobody recorded."""
    gate = Gate()
    forged = command(CommandType.AGENT_MESSAGE_POSTED)

    class Broken:
        async def insert(self, signal: object) -> None:
            raise ValueError("a bug")

    gate.world.stores = replace(gate.stores, signals=Broken())  # type: ignore[arg-type]
    settlement = await gate.deliver(Lane.CONVERSATION, forged, failedSteps=4)
    assert reason(settlement) == "processing_failed"
    assert await gate.untouched(Lane.CONVERSATION)


class NoCopies:
    async def send(self, message: object, *, due: object = None) -> None:
        raise QueueUnavailableError("sends are refused")


@pytest.mark.parametrize("recorded", [False, True])
async def test_the_last_delivery_of_a_forged_message_touches_no_row(recorded: bool) -> None:
    """No copy could be sent in any delivery, and the lane is full: the command is ended by the worker itself, where it
    is a command's message."""
    gate = Gate()
    body = command(CommandType.AGENT_MESSAGE_POSTED)
    if recorded:
        await gate.record(Lane.CONVERSATION, body)
    settlement = await gate.deliver_last(body, gate.stores)
    assert reason(settlement) == ("processing_failed" if recorded else "not_recorded")
    assert await gate.untouched(Lane.CONVERSATION) is not recorded


async def test_a_last_delivery_without_storage_is_not_completed_unseen() -> None:
    gate = Gate()

    class Away:
        async def read(self, command_id: str) -> None:
            raise StoreUnreachableError("commands: 503")

    stores = replace(gate.stores, commands=Away())  # type: ignore[arg-type]
    settlement = await gate.deliver_last(command(CommandType.AGENT_MESSAGE_POSTED), stores)
    assert isinstance(settlement, Abandon)
