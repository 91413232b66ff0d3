"""Storage requests of one command, and how many of them in sequence: the real delivery service on real tables.

The protocol's own requests are held to the goals; what the lane asks for itself, and index rows, are counted apart.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final

from bench import load, requests
from bench.requests import Request
from bench.results import Row, at_most, worst
from mosaic_core.adapters.tables import open_table_stores
from mosaic_core.agents.runtime import offline_agent
from mosaic_core.config import Connection
from mosaic_core.domain.lanes import RULES, CommandType, Lane
from mosaic_core.domain.membership import producer_subject
from mosaic_core.domain.records import Membership
from mosaic_core.domain.settlement import Complete
from mosaic_core.lanes.context import LaneContext, LaneHandler, LaneResult, needs_review, succeeded
from mosaic_core.lanes.conversation import ConversationLane
from mosaic_core.lanes.ingestion import IngestionLane
from mosaic_core.lanes.sweep import sweep_lane
from mosaic_core.ports import IncomingMessage, Stores
from mosaic_core.services.deliver import DeliveryService
from mosaic_local.recording import record
from mosaic_local.sample import sample_household
from mosaic_local.seed import SAMPLE
from mosaic_local.stack import Stack, StackOptions
from mosaic_ops.memory.messaging import MemoryPublisher, MemorySender, MemorySettler

ROUNDS: Final = 5
END: Final = date(2026, 6, 30)
SWEEP_MONTHS_FROM: Final = "2026-01-01"
"""The sweep's ledger: half a year is enough for findings, and small enough to be read in one page."""


@dataclass(frozen=True, slots=True)
class Case:
    """One way through a delivery. ``requests`` and ``levels`` are the goals, None where there is none."""

    name: str
    run: Callable[[Bench], Awaitable[list[Request]]]
    requests: int | None
    levels: int | None


class Bench:
    """A delivery service on real tables, with handlers that mark their requests as the lane's."""

    def __init__(self, stores: Stores) -> None:
        self.stores = stores

    def service(self, handlers: Mapping[Lane, LaneHandler]) -> DeliveryService:
        return DeliveryService(
            stores=self.stores,
            sender=MemorySender(),
            settler=MemorySettler(),
            publisher=MemoryPublisher(),
            clock=_Clock(),
            handlers={lane: _marked(handler) for lane, handler in handlers.items()},
            producers={Lane.INGESTION},
            policy_version="bench",
        )

    async def deliver(
        self,
        lane: Lane,
        value: dict[str, Any],
        handlers: Mapping[Lane, LaneHandler],
        *,
        is_recorded: bool = True,
    ) -> list[Request]:
        """The requests of one delivery. Raises AssertionError where it did not end as it should."""
        message = IncomingMessage(
            queue=RULES[lane].default_queue,
            body=json.dumps(value).encode(),
            lock_token=uuid.uuid4().hex,
            message_id=value["commandId"],
            sequence_number=1,
            delivery_count=1,
            enqueued_at=datetime.now(UTC),
            properties={"recorded": True} if is_recorded else {},
        )
        if is_recorded:
            await record(self.stores, lane, message.queue, message.body, subject=SAMPLE[0].subject)
        with requests.recorded() as sent:
            settlement = await self.service(handlers).deliver(lane, message)
        if not isinstance(settlement, Complete):
            raise AssertionError(f"the delivery ended with {settlement}")
        return sent


async def measure(quick: bool) -> list[Row]:
    rounds = 2 if quick else ROUNDS
    rows: list[Row] = []
    async with _bench() as bench:
        for case in CASES:
            await case.run(bench)  # opens the connections
            rows += _rows(case, [await case.run(bench) for _ in range(rounds)])
    return rows


def _rows(case: Case, rounds: list[list[Request]]) -> list[Row]:
    parts = {part: [[r for r in sent if r.part == part] for sent in rounds] for part in ("protocol", "lane", "index")}
    protocol = parts["protocol"]
    levels = [requests.levels(sent) for sent in protocol]
    rows = [
        worst(f"requests_{case.name}", _sizes(protocol), "requests", _goal(case.requests)),
        worst(f"levels_{case.name}", levels, "levels", _goal(case.levels)),
    ]
    rows += [
        worst(f"requests_{case.name}_{part}", _sizes(parts[part]), "requests")
        for part in ("lane", "index")
        if any(parts[part])
    ]
    if "duplicate" in case.name:
        landed = [sum(r.write_landed for r in sent) for sent in rounds]
        rows.append(worst(f"writes_{case.name}", landed, "requests", at_most(0)))
    return rows


def _sizes(rounds: list[list[Request]]) -> list[int]:
    return [len(sent) for sent in rounds]


def _goal(limit: int | None) -> Any:
    return None if limit is None else at_most(limit)


# ---------------------------------------------------------------------------------------------------------------- cases


async def _instant(context: LaneContext) -> LaneResult:
    return succeeded("done", "did nothing")


async def _reviewed(context: LaneContext) -> LaneResult:
    return needs_review("look_at_it", "did nothing, and wants to be looked at")


def _all(handler: LaneHandler) -> Mapping[Lane, LaneHandler]:
    return dict.fromkeys(Lane, handler)


async def _success(bench: Bench) -> list[Request]:
    return await bench.deliver(Lane.CONVERSATION, load.question_envelope(), _all(_instant))


async def _unrecorded(bench: Bench) -> list[Request]:
    return await bench.deliver(Lane.INGESTION, await _past_the_api(bench), _all(_instant), is_recorded=False)


async def _past_the_api(bench: Bench) -> dict[str, Any]:
    """A batch of a source that its household lets send past the API."""
    household = uuid.uuid4().hex
    row = {"transactionId": "t", "postedOn": "2026-06-01", "amount": "-1", "currency": "EUR", "description": "d"}
    payload = ingestion_payload(household, [row])
    await bench.stores.members.insert(
        Membership(
            subject=producer_subject(household, payload["source"]),
            household_id=household,
            household_user_id=uuid.uuid4().hex,
            role="Ingest",
            status="Active",
            created_at=datetime.now(UTC),
            source=payload["source"],
        )
    )
    return load.envelope(CommandType.INGESTION_COMPLETED, payload)


async def _signals(bench: Bench) -> list[Request]:
    return await bench.deliver(Lane.CONVERSATION, load.question_envelope(), _all(_reviewed))


async def _duplicate(bench: Bench) -> list[Request]:
    value = load.question_envelope()
    await bench.deliver(Lane.CONVERSATION, value, _all(_instant))
    return await bench.deliver(Lane.CONVERSATION, value, _all(_instant))


async def _duplicate_unrecorded(bench: Bench) -> list[Request]:
    value = await _past_the_api(bench)
    await bench.deliver(Lane.INGESTION, value, _all(_instant), is_recorded=False)
    return await bench.deliver(Lane.INGESTION, value, _all(_instant), is_recorded=False)


async def _question(bench: Bench) -> list[Request]:
    return await bench.deliver(Lane.CONVERSATION, load.question_envelope(), LANES)


async def _request(bench: Bench) -> list[Request]:
    value = load.question_envelope("Please wire 500 dollars to our landlord today.")
    return await bench.deliver(Lane.CONVERSATION, value, LANES)


async def _approval(bench: Bench) -> list[Request]:
    asked = load.question_envelope("Please wire 500 dollars to our landlord today.")
    await bench.deliver(Lane.CONVERSATION, asked, LANES)
    payload = asked["payload"]
    pending = await bench.stores.approvals.of_household(payload["householdId"], None)
    approval = next(it for it in pending if it.conversation_id == payload["conversationId"])
    decision = {
        "householdId": payload["householdId"],
        "conversationId": payload["conversationId"],
        "householdUserId": payload["householdUserId"],
        "approvalId": approval.approval_id,
        "decision": "Approve",
        "policyDisposition": "approved_by_human",
    }
    return await bench.deliver(Lane.CONVERSATION, load.envelope(CommandType.AGENT_APPROVAL_SUBMITTED, decision), LANES)


async def _ingestion(bench: Bench) -> list[Request]:
    rows = [
        {
            "transactionId": uuid.uuid4().hex,
            "postedOn": "2026-06-01",
            "amount": "-12.50",
            "currency": "USD",
            "description": "STARBUCKS STORE 1234",
        }
        for _ in range(100)
    ]
    payload = ingestion_payload(uuid.uuid4().hex, rows)
    return await bench.deliver(Lane.INGESTION, load.envelope(CommandType.INGESTION_COMPLETED, payload), LANES)


async def _sweep(bench: Bench) -> list[Request]:
    """Of a household that was never swept: each finding is new."""
    household = uuid.uuid4().hex
    for account, part in sample_household(END).accounts.items():
        rows = [dict(row) for row in part if row["postedOn"] >= SWEEP_MONTHS_FROM]
        for start in range(0, len(rows), 500):
            payload = ingestion_payload(household, rows[start : start + 500], account=account)
            await bench.deliver(Lane.INGESTION, load.envelope(CommandType.INGESTION_COMPLETED, payload), LANES)
    payload = {"householdId": household, "sweepDate": END.isoformat(), "lookbackDays": 180}
    return await bench.deliver(Lane.SWEEP, load.envelope(CommandType.NIGHTLY_ANOMALY_SWEEP, payload), LANES)


def ingestion_payload(household: str, rows: list[dict[str, str]], *, account: str = "checking") -> dict[str, Any]:
    return {
        "householdId": household,
        "batchId": uuid.uuid4().hex,
        "source": "bench",
        "accountId": account,
        "transactions": rows,
    }


LANES: Final[Mapping[Lane, LaneHandler]] = {
    Lane.INGESTION: IngestionLane(),
    Lane.CONVERSATION: ConversationLane(agent=offline_agent()),
    Lane.SWEEP: sweep_lane,
}

# A signal takes one request and one level more; what comes past the API also the source's listing and the recording.
CASES: Final = (
    Case("success", _success, 6, 5),
    Case("success_unrecorded", _unrecorded, 8, 7),
    Case("success_signals", _signals, 7, 6),
    Case("duplicate", _duplicate, 4, 3),
    Case("duplicate_unrecorded", _duplicate_unrecorded, None, None),
    Case("question", _question, 6, 5),
    Case("request", _request, 7, 6),
    Case("approval", _approval, 6, 5),
    Case("ingestion", _ingestion, 6, 5),
    Case("sweep", _sweep, 6, 5),
)

ROWS: Final = tuple(f"{what}_{case.name}" for case in CASES for what in ("requests", "levels"))


# ---------------------------------------------------------------------------------------------------------------- parts


class _Clock:
    def now(self) -> datetime:
        return datetime.now(UTC)


def _marked(handler: LaneHandler) -> LaneHandler:
    """The handler; what is requested while it runs is the lane's."""

    async def run(context: LaneContext) -> LaneResult:
        token = requests.phase.set("lane")
        try:
            return await handler(context)
        finally:
            requests.phase.reset(token)

    return run


@asynccontextmanager
async def _bench() -> AsyncIterator[Bench]:
    async with Stack(StackOptions(with_worker=False)) as stack:
        tables = open_table_stores(
            Connection(connection_string=stack.settings["TablesConnection"]),
            Connection(connection_string=stack.settings["BlobsConnection"]),
        )
        try:
            yield Bench(tables.stores)
        finally:
            await tables.close()
