"""The ingestion lane: a batch of transactions goes to the household's ledger, each with a category and a confidence.

Effects are inserts whose ids derive from the content: repeating a batch, wholly or in part, changes nothing. What the
ledger is unsure of, and what contradicts it, goes to a person: of a row that was there already, by this run's attempt
before or by another's, that is what was stored with it, whatever would be decided today.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from pydantic import ValidationError

from mosaic_core.computing import INLINE_BYTES, compute, compute_over, unless_stopped
from mosaic_core.domain.envelope import IngestionCompleted, TransactionLine, explain, parse_json
from mosaic_core.domain.errors import InvalidJsonError, LaneError
from mosaic_core.domain.transactions import Transaction
from mosaic_core.lanes.context import LaneContext, LaneResult, StageDraft, needs_review, succeeded
from mosaic_core.lanes.household import categories_chosen, corrected, learned_categories
from mosaic_core.ledger.categories.categorise import REVIEW_THRESHOLD, HouseholdContext, categorise
from mosaic_core.ledger.transfers import MATCHED, TRANSFERS, WITHIN_DAYS, confirmed, match_transfers
from mosaic_core.ports import LedgerWrite, Stores

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
        decided, categorised = await self._categorise(context, payload, lines)
        decided, matched = await self._match_transfers(context, payload.household_id, decided)
        async with context.log.stage("find_income", f"income/{EXECUTOR}") as income:
            _tell_income(income, decided)
        async with context.log.stage("write_ledger", EXECUTOR) as stage:
            write = await context.stores.ledger.insert_all(
                payload.household_id, decided, run_id=context.run_id, batch_id=payload.batch_id
            )
            await context.stores.households.mark_active(payload.household_id, context.now().date())
            stands = decided
            if write.standing or write.conflicts:
                # what was there stays as it is, so that is what a person is told of, not what was decided just now
                stands = await _as_it_stands(context.stores, payload.household_id, decided, write)
                self._tell_categories(categorised, stands)
                self._tell_transfers(matched, stands)
                _tell_income(income, stands)
            own = _of_this_run(context.run_id, decided, write)
            said = f"{len(own)} inserted, {len(write.inserted) + len(write.present) - len(own)} already there"
            if write.conflicts:
                stage.review(
                    "ledger_conflict",
                    f"{said}; {_name('left as they are', write.conflicts)}",
                    confidence=1.0,
                    provenance=write.conflicts,
                )
            else:
                stage.succeed("written", said, provenance=own)
        ids = tuple(t.transaction_id for t in stands if t.category_confidence < self.review_below)
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
    ) -> tuple[list[Transaction], StageDraft]:
        async with context.log.stage("categorise", f"categorisation/{EXECUTOR}") as stage:
            household = HouseholdContext(learned=await learned_categories(context.stores, payload.household_id))
            transactions = await compute(_categorised, lines, payload.account_id, household)
            self._tell_categories(stage, transactions)
            return transactions, stage

    async def _match_transfers(
        self, context: LaneContext, household_id: str, transactions: list[Transaction]
    ) -> tuple[list[Transaction], StageDraft]:
        """Transfers find their other side, in the batch or in what is already in the ledger."""
        async with context.log.stage("match_transfers", f"transfer_matching/{EXECUTOR}") as stage:
            rows = [t for t in transactions if t.category in TRANSFERS]
            if rows:
                days, margin = sorted(t.posted_on for t in rows), timedelta(days=WITHIN_DAYS)
                ledger = await context.stores.ledger.between(household_id, days[0] - margin, days[-1] + margin)
                transactions = await compute(_matched, transactions, rows, ledger)
            self._tell_transfers(stage, transactions)
            return transactions, stage

    def _tell_categories(self, stage: StageDraft, transactions: Sequence[Transaction]) -> None:
        self._judge(stage, [t for t in transactions if t.category not in TRANSFERS], "categorised")

    def _tell_transfers(self, stage: StageDraft, transactions: Sequence[Transaction]) -> None:
        rows = [t for t in transactions if t.category in TRANSFERS]
        if rows:
            self._judge(stage, rows, f"{sum(t.category_source == MATCHED for t in rows)} matched")
        else:
            stage.skip("no_transfers", "no row looks like a transfer")

    def _judge(self, stage: StageDraft, rows: Sequence[Transaction], said: str) -> None:
        """A stage is as sure as its least sure row; what is below the threshold goes to a person."""
        ids = tuple(t.transaction_id for t in rows if t.category_confidence < self.review_below)
        lowest = min((t.category_confidence for t in rows), default=1.0)
        if ids:
            stage.review("uncertain_category", _name("uncertain category", ids), confidence=lowest, provenance=ids)
        else:
            stage.succeed("categorised", f"{len(rows)} rows, {said}", confidence=lowest)


def _categorised(lines: Sequence[TransactionLine], account_id: str, household: HouseholdContext) -> list[Transaction]:
    out = []
    for line in unless_stopped(lines):
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
                transaction, category=found.category, category_confidence=found.confidence, category_source=found.source
            )
        )
    return out


def _matched(
    transactions: Sequence[Transaction], rows: Sequence[Transaction], ledger: Sequence[Transaction]
) -> list[Transaction]:
    found = match_transfers(rows, ledger)
    return [confirmed(t) if t.transaction_id in found else t for t in transactions]


def _tell_income(stage: StageDraft, transactions: Sequence[Transaction]) -> None:
    rows = [t for t in transactions if t.category == "INCOME"]
    if not rows:
        stage.skip("no_income", "no row is income")
        return
    lowest = min(t.category_confidence for t in rows)
    ids = tuple(t.transaction_id for t in rows)
    stage.succeed("income_found", f"{len(rows)} rows are income", confidence=lowest, provenance=ids)


async def _as_it_stands(
    stores: Stores, household_id: str, decided: Sequence[Transaction], write: LedgerWrite
) -> list[Transaction]:
    """The batch as it is in the ledger now: what was there as it was stored, with the categories that people chose
    since; without what the ledger holds other content for."""
    conflicts = frozenset(write.conflicts)
    chosen = await categories_chosen(stores, household_id) if write.standing else {}
    stands = [
        write.standing[t.transaction_id].transaction if t.transaction_id in write.standing else t
        for t in decided
        if t.transaction_id not in conflicts
    ]
    return corrected(stands, chosen)


def _of_this_run(run_id: str, decided: Sequence[Transaction], write: LedgerWrite) -> tuple[str, ...]:
    """What this run inserted, in this attempt or in one that was cut off."""
    if not any(row.run_id == run_id for row in write.standing.values()):
        return write.inserted
    own = {*write.inserted, *(i for i, row in write.standing.items() if row.run_id == run_id)}
    return tuple(t.transaction_id for t in decided if t.transaction_id in own)


async def load(context: LaneContext, payload: IngestionCompleted) -> list[TransactionLine]:
    """The batch's transactions, inline or from the household's own blob. Each id counts once: a repeated line that says
    the same is dropped, one that says something else is an error of the batch."""
    if payload.transactions is not None:
        return _one_of_each(payload.transactions)
    # a thread: seconds of parsing must not hold up lease renewals and the other deliveries of this worker
    return await compute(_parse, await _blob(context, payload))


def _one_of_each(lines: Sequence[TransactionLine]) -> list[TransactionLine]:
    by_id: dict[str, TransactionLine] = {}
    for line in lines:
        there = by_id.setdefault(line.transaction_id, line)
        if there is not line and there != line:
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
    if (await compute_over(len(data), INLINE_BYTES, hashlib.sha256, data)).hexdigest() != digest:
        raise LaneError("the batch's blob is not what its name says", code="batch_digest_mismatch")
    return data


def _parse(data: bytes) -> list[TransactionLine]:
    lines = []
    for number, line in enumerate(unless_stopped(data.splitlines()), start=1):
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
    return _one_of_each(lines)


def _name(what: str, ids: Sequence[str]) -> str:
    """``what``: the first few ids, and how many more."""
    more = f" and {len(ids) - _NAMED} more" if len(ids) > _NAMED else ""
    return f"{what}: {', '.join(i[:40] for i in ids[:_NAMED])}{more}"
