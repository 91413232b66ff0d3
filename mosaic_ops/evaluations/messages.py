"""What becomes of a member's message, by the conversation lane itself over stores in memory. No files here."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Any, Final

from mosaic_core.domain import ids
from mosaic_core.domain.envelope import AgentMessagePosted, decode, encode
from mosaic_core.domain.lanes import RULES, CommandType, Lane
from mosaic_core.domain.lifecycle import DecisionOutcome
from mosaic_core.domain.policy import hint
from mosaic_core.domain.transactions import Transaction
from mosaic_core.lanes.context import LaneContext, StageLog
from mosaic_core.lanes.conversation import ConversationLane
from mosaic_core.ports import ConversationAgent, Stores
from mosaic_ops.evaluations.inputs import MessageLine
from mosaic_ops.evaluations.providers import Agents
from mosaic_ops.memory.messaging import ManualClock
from mosaic_ops.memory.stores import memory_stores

_HOUSEHOLD: Final = ids.derive("evaluation", "household")
_USER: Final = ids.derive("evaluation", "user")
_QUEUE: Final = RULES[Lane.CONVERSATION].default_queue
_BATCH: Final = 500


class Outcome(StrEnum):
    """``ANSWERED``: with what the ledger holds; ``ASKED_BACK``: told that it was not read, is unclear, or that the
    ledger does not hold it. Nothing came of either."""

    ANSWERED = "answered"
    ASKED_BACK = "asked_back"
    PENDING_APPROVAL = "pending_approval"
    APPLIED = "applied"


def outcomes(
    lines: Iterable[MessageLine], transactions: Sequence[Transaction], as_of: date, agents: Agents
) -> Iterator[dict[str, Any]]:
    """{id, outcome, hint, action?, arguments?} of each message, each of them the first of a conversation over the same
    ledger: ``hint`` is the impact that its text names outright, or null; ``action`` what waits for a person or was
    applied (the first, where there are several), ``arguments`` exactly those that wait. Raises `LaneError` where the
    agent's provider does not answer."""
    with asyncio.Runner() as runner:
        opened = AsyncExitStack()
        try:
            agent = runner.run(opened.enter_async_context(agents()))
            clock = ManualClock(datetime.combine(as_of, time(12), UTC))
            ledger = runner.run(_ledger(clock, transactions, as_of))
            for number, line in enumerate(lines):
                yield {"id": line.id, **runner.run(_outcome(agent, ledger, clock, line, number))}
        finally:
            runner.run(opened.aclose())


async def _ledger(clock: ManualClock, transactions: Sequence[Transaction], as_of: date) -> Stores:
    stores = memory_stores(clock)
    upto = [transaction for transaction in transactions if transaction.posted_on <= as_of]
    for start in range(0, len(upto), _BATCH):
        await stores.ledger.insert_all(
            _HOUSEHOLD, upto[start : start + _BATCH], run_id=ids.derive("evaluation", "run"), batch_id=str(start)
        )
    return stores


async def _outcome(
    agent: ConversationAgent, ledger: Stores, clock: ManualClock, line: MessageLine, number: int
) -> dict[str, Any]:
    # nothing of an earlier message is there but the ledger
    stores = replace(memory_stores(clock), ledger=ledger.ledger)
    payload = AgentMessagePosted(
        household_id=_HOUSEHOLD,
        conversation_id=ids.derive("evaluation", "conversation"),
        household_user_id=_USER,
        message=line.message,
        user_note=line.user_note,
    )
    command_id = ids.derive("evaluation", "message", str(number))
    body = encode(
        command_id=command_id,
        correlation_id=f"evaluation:{number}",
        command_type=CommandType.AGENT_MESSAGE_POSTED,
        created_at=clock.now(),
        payload=payload,
        client_reference_id=None,
    )
    context = LaneContext(
        envelope=decode(body.encode(), Lane.CONVERSATION),
        run_id=ids.run_id(_QUEUE, command_id),
        attempt=1,
        queue=_QUEUE,
        stores=stores,
        log=StageLog(clock.now),
        now=clock.now,
        subject="evaluation",
    )
    await ConversationLane(agent=agent, approval_expiry=timedelta(hours=72))(context)
    return {**await _came_of_it(stores, context), "hint": hint(line.message, line.user_note or "")}


async def _came_of_it(stores: Stores, context: LaneContext) -> dict[str, Any]:
    pending = await stores.approvals.of_household(_HOUSEHOLD, None)
    if pending:
        action = json.loads(pending[0].action_json or "{}")
        return {"outcome": Outcome.PENDING_APPROVAL, **action}
    decided = await stores.decisions.of_run(context.run_id)
    applied = [decision.action for decision in decided if decision.outcome == DecisionOutcome.APPLIED]
    if applied:
        return {"outcome": Outcome.APPLIED, "action": applied[0]}
    answers = [draft.outcome_code for draft in context.log.drafts if draft.name == "answer"]
    answered = bool(answers) and answers[-1] == "answered"
    return {"outcome": Outcome.ANSWERED if answered else Outcome.ASKED_BACK}
