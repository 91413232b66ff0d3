"""One question's work: its query, its rows, and how an answer is said. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

from mosaic_core.agents.offline.answers import phrase
from mosaic_core.domain.transactions import Answer, Transaction
from mosaic_core.ledger import compute
from mosaic_core.ledger.compute import Sum
from mosaic_core.ledger.periods import Period
from mosaic_core.ledger.query import Query, Refusal, Subject
from mosaic_core.ledger.rows import Row

MOST_LISTED: Final = 50
_SAYS_ITS_WORDS: Final = frozenset({"unknown_merchant", "not_understood", "unknown_account"})
"""Refusals whose text repeats words of the question; a rationale is kept and shown elsewhere, so it says the code."""

type Value = Decimal | int | str | list[str] | None


def refused(refusal: Refusal, intent: str = "") -> Answer:
    return Answer(
        text=refusal.text,
        value=None,
        unit="",
        transaction_ids=(),
        confidence=0.8,
        outcome_code="cannot_answer",
        rationale=refusal.code if refusal.code in _SAYS_ITS_WORDS else f"{refusal.code}: {refusal.text}",
        intent=intent,
        details=(("reason", refusal.code), *refusal.details),
    )


@dataclass(frozen=True, slots=True)
class Work:
    query: Query
    rows: Sequence[Row]
    transactions: Sequence[Transaction]

    @property
    def first(self) -> date:
        return self.rows[0].day

    def chosen(self, *, period: Period | None = None, subject: Subject | None = None) -> list[Row]:
        return compute.bounded(compute.select(self.rows, self.query, period=period, subject=subject), self.query)

    @property
    def when(self) -> str:
        return phrase.span(self.query.period, self.first, self.query.as_of)

    @property
    def about(self) -> str:
        return phrase.about(self.query.subjects, self.query.flow)

    @property
    def named_once(self) -> bool:
        """Whether one thing is asked about, over all time."""
        return len(self.query.subjects) == 1 and not self.query.period.explicit

    def say(
        self, text: str, value: Value, unit: str, rows: Iterable[Row], details: Iterable[tuple[str, str]] = ()
    ) -> Answer:
        named = tuple(sorted({row.tx.transaction_id for row in rows}))
        return self.say_ids(text, value, unit, named, details)

    def say_ids(
        self, text: str, value: Value, unit: str, ids: tuple[str, ...], details: Iterable[tuple[str, str]] = ()
    ) -> Answer:
        query = self.query
        inexact = any(not s.exact for s in query.subjects)
        read_as = f" (I read the name as {query.subjects[0].name}.)" if inexact and query.subjects else ""
        return Answer(
            text=text + read_as,
            value=value,
            unit=unit,
            transaction_ids=ids,
            confidence=round(max(0.3, 0.95 - query.doubt - (0.1 if inexact else 0.0)), 2),
            outcome_code="answered",
            rationale=f"{query.intent.value} of {query.flow.value} over {len(ids)} ledger rows, {query.period.label}",
            intent=query.intent.value,
            details=tuple(details),
        )

    def counted(self, rows: Sequence[Row]) -> str:
        return phrase.rows_noun(self.query.flow, len(rows))

    def cannot(self, code: str, text: str) -> Answer:
        return refused(Refusal(code, text), self.query.intent.value)

    def several_currencies(self) -> Answer:
        text = "That is in several currencies, which are not added together; name one."
        return self.cannot("several_currencies", text)


def valued(totals: Sequence[Sum], empty_currency: str) -> tuple[Value, str]:
    """One currency: its amount and code. Several: one text each, never added up."""
    if not totals:
        return Decimal("0.00"), empty_currency
    if len(totals) == 1:
        return totals[0].amount, totals[0].currency
    return [phrase.money(t.amount, t.currency) for t in totals], ""


def main_currency(work: Work) -> str:
    """The unit of a zero: the currency of most rows asked about, else of the ledger."""
    ids = frozenset().union(*(s.ids for s in work.query.subjects)) if work.query.subjects else frozenset()
    rows = [row for row in work.rows if row.tx.transaction_id in ids] or work.rows
    counts: dict[str, int] = {}
    for row in rows:
        counts[row.tx.currency] = counts.get(row.tx.currency, 0) + 1
    return work.query.currency or min(counts, key=lambda c: (-counts[c], c))


def nothing(work: Work, value: Value, unit: str) -> Answer:
    query = work.query
    known = ""
    if any(s.ids for s in query.subjects):
        named = " and ".join(s.name for s in query.subjects)
        known = f" The ledger knows {named}, but not in that time."
    return work.say(f"Nothing: the ledger has no {query.flow.value}{work.about} {work.when}.{known}", value, unit, ())


def cannot_nothing(work: Work) -> Answer:
    return work.cannot("no_such_rows", f"The ledger has no {work.query.flow.value}{work.about} {work.when}.")
