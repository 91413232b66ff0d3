"""The ingestion lane: a batch of transactions goes to the household's ledger, each with a category and a confidence.

Effects are inserts whose ids derive from the content: repeating a batch, wholly or in part, changes nothing. What the
lane is unsure of, and what contradicts the ledger, goes to a person.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from pydantic import ValidationError

from mosaic_core.agents.categorise import REVIEW_THRESHOLD, HouseholdContext, categorise
from mosaic_core.agents.routing import Specialist
from mosaic_core.agents.transfers import TRANSFERS, WITHIN_DAYS, confirmed, match_transfers
from mosaic_core.domain.envelope import IngestionCompleted, TransactionLine, explain, parse_json
from mosaic_core.domain.errors import InvalidJsonError, LaneError
from mosaic_core.domain.ledger import Transaction
from mosaic_core.lanes.context import LaneContext, LaneResult, StageDraft, needs_review, succeeded
from mosaic_core.lanes.household import learned_categories

EXECUTOR: Final = "ingestion-lane/2"
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
        transactions = await self._categorise(context, payload, lines)
        transactions = await self._match_transfers(context, payload.household_id, transactions)
        await _find_income(context, transactions)
        ids = tuple(t.transaction_id for t in transactions if t.category_confidence < self.review_below)
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
            also = f"; {_name('uncertain category', ids)}" if ids else ""
            return needs_review(
                "ledger_conflict", f"{_name('the ledger holds other content for', write.conflicts)}{also}"
            )
        if ids:
            return needs_review("uncertain_category", _name(f"{said}; uncertain category", ids))
        return succeeded("ingested", said)

    async def _categorise(
        self, context: LaneContext, payload: IngestionCompleted, lines: Sequence[TransactionLine]
    ) -> list[Transaction]:
        async with context.log.stage("categorise", f"{Specialist.CATEGORISATION}/{EXECUTOR}") as stage:
            household = HouseholdContext(learned=await learned_categories(context.stores, payload.household_id))
            transactions = await asyncio.to_thread(self._categorised, lines, payload.account_id, household)
            self._judge(stage, [t for t in transactions if t.category not in TRANSFERS], "categorised")
            return transactions

    async def _match_transfers(
        self, context: LaneContext, household_id: str, transactions: list[Transaction]
    ) -> list[Transaction]:
        """Transfers find their other side, in the batch or in what is already in the ledger."""
        async with context.log.stage("match_transfers", f"{Specialist.TRANSFER_MATCHING}/{EXECUTOR}") as stage:
            rows = [t for t in transactions if t.category in TRANSFERS]
            if not rows:
                stage.skip("no_transfers", "no row looks like a transfer")
                return transactions
            days, margin = sorted(t.posted_on for t in rows), timedelta(days=WITHIN_DAYS)
            ledger = await context.stores.ledger.between(household_id, days[0] - margin, days[-1] + margin)
            found = await asyncio.to_thread(match_transfers, rows, ledger)
            matched = [confirmed(t) if t.transaction_id in found else t for t in transactions]
            self._judge(stage, [t for t in matched if t.category in TRANSFERS], f"{len(found)} matched")
            return matched

    def _judge(self, stage: StageDraft, rows: Sequence[Transaction], said: str) -> None:
        """A stage is as sure as its least sure row; what is below the threshold goes to a person."""
        ids = tuple(t.transaction_id for t in rows if t.category_confidence < self.review_below)
        lowest = min((t.category_confidence for t in rows), default=1.0)
        if ids:
            stage.review("uncertain_category", _name("uncertain category", ids), confidence=lowest, provenance=ids)
        else:
            stage.succeed("categorised", f"{len(rows)} rows, {said}", confidence=lowest)

    def _categorised(
        self, lines: Sequence[TransactionLine], account_id: str, household: HouseholdContext
    ) -> list[Transaction]:
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
            found = categorise(transaction, household=household)
            out.append(
                replace(
                    transaction,
                    category=found.category,
                    category_confidence=found.confidence,
                    category_source=found.source,
                )
            )
        return out


async def _find_income(context: LaneContext, transactions: Sequence[Transaction]) -> None:
    async with context.log.stage("find_income", f"{Specialist.INCOME}/{EXECUTOR}") as stage:
        rows = [t for t in transactions if t.category == "INCOME"]
        if not rows:
            stage.skip("no_income", "no row is income")
            return
        lowest = min(t.category_confidence for t in rows)
        ids = tuple(t.transaction_id for t in rows)
        stage.succeed("income_found", f"{len(rows)} rows are income", confidence=lowest, provenance=ids)


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
