"""A household with something of every kind, and a look at all that memory holds."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields, replace
from datetime import date, timedelta
from typing import Any

from mosaic_core.domain import ids
from mosaic_core.domain.lanes import RULES, Lane
from mosaic_core.domain.lifecycle import ApprovalStatus, KeyStatus
from mosaic_core.domain.quota import Allowance
from mosaic_core.domain.records import Membership, OutboxEntry
from mosaic_core.ports import OutgoingMessage, Stores
from mosaic_core.services.households.household_service import HouseholdService
from mosaic_ops.memory.messaging import ManualClock, MemoryBroker
from tests.support import records

QUEUE = RULES[Lane.CONVERSATION].default_queue
QUEUES = {lane: rules.default_queue for lane, rules in RULES.items()}
ONE = "a11ce000000000000000000000000001"
OTHER = "b0b00000000000000000000000000001"
CONVERSATION = "c0000000000000000000000000000009"


@dataclass
class Filled:
    """What stands for the household wherever something of it lies: its own id, its commands', its words."""

    household_id: str
    words: str
    command_ids: list[str]

    @property
    def marks(self) -> list[str]:
        runs = [ids.run_id(QUEUE, command_id) for command_id in self.command_ids]
        return [self.household_id, self.words, *self.command_ids, *runs]


def command_id(household_id: str, number: int) -> str:
    return f"{number:08x}{household_id[:24]}"


def message(household_id: str, named: str, words: str, **properties: str) -> OutgoingMessage:
    body = json.dumps({"commandId": named, "payload": {"householdId": household_id, "message": words}}).encode()
    return OutgoingMessage(queue=QUEUE, body=body, message_id=named, properties=properties)


async def fill(
    stores: Stores, broker: MemoryBroker | None, household_id: str, *, commands: int = 2, large: bool = False
) -> Filled:
    """Finished commands with all that they leave."""
    words, now = f"the secret of {household_id}", records.NOW
    named = [command_id(household_id, number) for number in range(1, commands + 1)]
    await stores.members.insert(
        Membership(
            subject=f"subject-{household_id}",
            household_id=household_id,
            household_user_id=f"{household_id[:-1]}2",
            role="Member",
            status="Active",
            created_at=now,
        )
    )
    await stores.households.mark_active(household_id, date(2026, 11, 1))
    await stores.quotas.insert(Allowance(household_id=household_id, left=3.0, counted_at=now))
    for number, one in enumerate(named, 1):
        await leave(stores, household_id, one, words, large=large and number == 1)
    turn = replace(records.CONVERSATION.turns[0], question=words)
    conversation = replace(records.CONVERSATION, household_id=household_id, conversation_id=CONVERSATION, turns=(turn,))
    await stores.conversations.insert(conversation)
    await stores.annotations.insert(replace(records.ANNOTATION, household_id=household_id, value=words))
    transactions = [
        replace(records.TRANSACTION, transaction_id=f"t-{number}", description=words) for number in range(3)
    ]
    await stores.ledger.insert_all(household_id, transactions, run_id="r", batch_id="b")
    approval = replace(
        records.APPROVAL,
        household_id=household_id,
        run_id=ids.run_id(QUEUE, named[0]),
        action_summary=words,
        status=ApprovalStatus.PENDING,
    )
    await stores.approvals.insert(approval)
    for name in (f"{household_id}/9f86", f"agent/{household_id}/turn/1/reply-0"):
        await stores.blobs.put(name, words.encode())
    edited = json.dumps({"payload": {"householdId": household_id, "message": words}})
    await stores.blobs.put(f"replays/{named[0]}", edited.encode())
    if broker is not None:
        await bury(broker, message(household_id, named[0], words))
    return Filled(household_id, words, named)


async def leave(stores: Stores, household_id: str, one: str, words: str, *, large: bool = False) -> None:
    now, run_id = records.NOW, ids.run_id(QUEUE, one)
    envelope = json.dumps(
        {"payload": {"householdId": household_id, "message": words + ("x" * 40_000 if large else "")}}
    )
    command = replace(
        records.COMMAND, command_id=one, household_id=household_id, queue=QUEUE, envelope=envelope, recorded_at=now
    )
    entry = OutboxEntry(entry_id="e", command_id=one, queue=QUEUE, announced_at=now, due_at=now + timedelta(minutes=15))
    await stores.followed.insert(entry)
    await stores.commands.insert(command)
    await stores.commands.list_recorded(command)
    await stores.commands.index_conversation(household_id, CONVERSATION, now, QUEUE, one)
    await stores.keys.insert(
        replace(records.KEY, queue=QUEUE, command_id=one, run_id=run_id, status=KeyStatus.COMPLETED)
    )
    await stores.runs.insert(
        replace(
            records.RUN, run_id=run_id, command_id=one, household_id=household_id, queue=QUEUE, agent_note_summary=words
        )
    )
    await stores.stages.insert_all([replace(records.STAGE, run_id=run_id, command_id=one, outcome_rationale=words)])
    await stores.decisions.insert(
        replace(records.DECISION, run_id=run_id, decision_id=one, household_id=household_id, rationale=words)
    )
    signal = replace(
        records.SIGNAL,
        signal_id=ids.failure_signal_id(run_id),
        run_id=run_id,
        command_id=one,
        message_id=one,
        household_id=household_id,
        queue=QUEUE,
        summary=words[:200],
        is_resolved=False,
        resolved_at=None,
        resolved_by=None,
        resolution_note=None,
    )
    await stores.signals.index_finding(household_id, signal.signal_id, day=date(2026, 11, 1), transaction_ids=["t-1"])
    await stores.signals.insert(signal)


async def bury(broker: MemoryBroker, sent: OutgoingMessage, reason: str = "processing_failed") -> None:
    await broker.send(sent)
    received = broker.receive(sent.queue)
    assert received is not None
    await broker.dead_letter(received, reason, "code; run; correlation; 5")


def service(stores: Stores, broker: MemoryBroker, clock: ManualClock, browser: Any = None) -> HouseholdService:
    return HouseholdService(stores=stores, browser=browser or broker, desk=broker, clock=clock, queues=QUEUES)


def held(stores: Stores, broker: MemoryBroker) -> list[str]:
    """Every row, blob and message that memory holds, as text. The records of what operators did apart."""
    found: list[str] = []
    for store in fields(stores):
        if store.name in {"cursors", "aged", "household_data"}:
            continue
        part: Any = getattr(stores, store.name)
        for name, table in vars(part).items():
            if type(table).__name__ == "_Table":
                found += [f"{store.name}.{name} {key} {row}" for key, row in table.under()]
    blobs: Any = stores.blobs
    found += [f"blob {name} {data!r}" for name, data in blobs._blobs.items()]
    for queue, state in broker._queues.items():
        found += [f"dead {queue} {letter}" for letter in state.dead]
        found += [f"active {queue} {entry}" for entry in (*state.active, *state.scheduled, *state.locked.values())]
    return sorted(found)
