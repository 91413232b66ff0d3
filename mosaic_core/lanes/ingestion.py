"""The ingestion lane: a batch of transactions goes to the household's ledger, each with a category and a confidence.

Effects are inserts whose ids derive from the content: repeating a batch, wholly or in part, changes nothing. What the
lane is unsure of, and what contradicts the ledger, goes to a person.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from pydantic import ValidationError

from mosaic_core.agents.categorise import REVIEW_THRESHOLD, categorise
from mosaic_core.domain.envelope import IngestionCompleted, TransactionLine, explain, parse_json
from mosaic_core.domain.errors import InvalidJsonError, LaneError
from mosaic_core.domain.ledger import Transaction
from mosaic_core.lanes.context import LaneContext, LaneResult, needs_review, succeeded

EXECUTOR: Final = "ingestion-lane/1"
_NAMED: Final = 8
"""How many ids a rationale spells out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestionLane:
    """``review_below`` is the confidence under which a category goes to a person."""

    review_below: float = REVIEW_THRESHOLD

    async def __call__(self, context: LaneContext) -> LaneResult:
        payload = context.envelope.payload
        if not isinstance(payload, IngestionCompleted):
            raise LaneError("the ingestion lane was given another command", code="unsupported_command_type")
        async with context.log.stage("load_batch", EXECUTOR) as stage:
            lines = await load(context, payload)
            stage.succeed("loaded", f"{len(lines)} transactions")
        async with context.log.stage("categorise", EXECUTOR) as stage:
            transactions = await asyncio.to_thread(self._categorised, lines, payload.account_id)
            unsure = [t for t in transactions if t.category_confidence < self.review_below]
            lowest = min((t.category_confidence for t in transactions), default=1.0)
            ids = tuple(t.transaction_id for t in unsure)
            if unsure:
                stage.review("uncertain_category", _name("uncertain category", ids), confidence=lowest, provenance=ids)
            else:
                stage.succeed("categorised", f"{len(transactions)} categories", confidence=lowest)
        async with context.log.stage("write_ledger", EXECUTOR) as stage:
            write = await context.stores.ledger.insert_all(
                payload.household_id, transactions, run_id=context.run_id, batch_id=payload.batch_id
            )
            await context.stores.households.mark_active(payload.household_id, context.now().date())
            said = f"{len(write.inserted)} inserted, {len(write.present)} already there"
            if write.conflicts:
                stage.review(
                    "ledger_conflict",
                    f"{said}; {_name('left as they are', write.conflicts)}",
                    confidence=1.0,
                    provenance=write.conflicts,
                )
            else:
                stage.succeed("written", said, provenance=write.inserted)
        if write.conflicts:
            also = f"; {_name('uncertain category', ids)}" if unsure else ""
            return needs_review(
                "ledger_conflict", f"{_name('the ledger holds other content for', write.conflicts)}{also}"
            )
        if unsure:
            return needs_review("uncertain_category", _name(f"{said}; uncertain category", ids))
        return succeeded("ingested", said)

    def _categorised(self, lines: Sequence[TransactionLine], account_id: str) -> list[Transaction]:
        out = []
        for line in lines:
            transaction = Transaction(
                transaction_id=line.transaction_id,
                account_id=account_id,
                posted_on=line.posted_on,
                amount=line.amount,
                currency=line.currency,
                description=line.description,
                merchant_name=line.merchant_name,
                category_hint=line.category_hint,
                counterparty_account_id=line.counterparty_account_id,
            )
            found = categorise(transaction)
            out.append(
                replace(
                    transaction,
                    category=found.category,
                    category_confidence=found.confidence,
                    category_source=found.source,
                )
            )
        return out


async def load(context: LaneContext, payload: IngestionCompleted) -> list[TransactionLine]:
    """The batch's transactions, inline or from the household's own blob. Each id counts once: a repeated line that says
    the same is dropped, one that says something else is an error of the batch."""
    lines = payload.transactions
    if lines is None:
        # a thread: seconds of parsing must not hold up lease renewals and the other deliveries of this worker
        lines = await asyncio.to_thread(_parse, await _blob(context, payload))
    by_id: dict[str, TransactionLine] = {}
    for line in lines:
        if by_id.setdefault(line.transaction_id, line) != line:
            raise LaneError("one transaction id stands twice in the batch with other content", code="batch_invalid")
    return list(by_id.values())


async def _blob(context: LaneContext, payload: IngestionCompleted) -> bytes:
    name = payload.transactions_blob or ""
    prefix, _, digest = name.partition("/")
    if prefix != payload.household_id:
        raise LaneError("the batch's blob belongs to another household", code="batch_foreign_blob")
    data = await context.stores.blobs.get(name)
    if data is None:
        raise LaneError("the batch's blob is not there", code="batch_blob_missing")
    if hashlib.sha256(data).hexdigest() != digest:
        raise LaneError("the batch's blob is not what its name says", code="batch_digest_mismatch")
    return data


def _parse(data: bytes) -> list[TransactionLine]:
    lines = []
    for number, line in enumerate(data.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            lines.append(TransactionLine.model_validate(parse_json(line)))
        except InvalidJsonError as error:
            raise LaneError(f"line {number} of the batch: {error.rationale}", code="batch_invalid") from None
        except ValidationError as error:
            raise LaneError(f"line {number} of the batch: {explain(error)}", code="batch_invalid") from None
    if not lines:
        raise LaneError("the batch holds no transactions", code="batch_invalid")
    return lines


def _name(what: str, ids: Sequence[str]) -> str:
    """``what``: the first few ids, and how many more."""
    more = f" and {len(ids) - _NAMED} more" if len(ids) > _NAMED else ""
    return f"{what}: {', '.join(i[:40] for i in ids[:_NAMED])}{more}"
