"""One question's work: its query, its rows, and how an answer is said. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from mosaic_core.agents.offline.answers import phrase
from mosaic_core.domain.transactions import Answer
from mosaic_core.ledger import compute
from mosaic_core.ledger.compute import Sum
from mosaic_core.ledger.periods import Period
from mosaic_core.ledger.query import Aspect, Flow, Query, Refusal, Subject
from mosaic_core.ledger.rows import Row

MOST_LISTED: Final = 50
_SAYS_ITS_WORDS: Final = frozenset({"unknown_merchant", "not_understood", "unknown_account"})
"""Refusals whose text repeats words of the question; a rationale is kept and shown elsewhere, so it says the code."""

_MANY: Final = {
    Flow.SPENDING: "payments", Flow.INCOME: "income payments", Flow.MONEY_IN: "deposits", Flow.MONEY_OUT: "payments out"
}  # fmt: skip

type Value = Decimal | int | str | list[str] | None
type Details = Iterable[tuple[str, str]]


def refused(refusal: Refusal, intent: str = "") -> Answer:
    return Answer(
        text=refusal.text,
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

    def chosen(self, *, period: Period | None = None, subject: Subject | None = None) -> list[Row]:
        return compute.bounded(compute.select(self.rows, self.query, period=period, subject=subject), self.query)

    @property
    def when(self) -> str:
        """The days that the figure covers, as they fall within the ledger."""
        period = self.query.period
        start, end = max(period.start, self.rows[0].day), min(period.end, self.query.as_of)
        days = phrase.day(start) if start == end else f"{phrase.day(start)} to {phrase.day(end)}"
        return f"{period.label} ({days})" if period.explicit else days

    @property
    def about(self) -> str:
        return phrase.about(self.query.subjects, self.query.flow)

    def counted(self, rows: Sequence[Row]) -> str:
        """How many payments, refunds and so on they are."""
        many = _MANY.get(self.query.flow, self.query.flow.value)
        return f"{len(rows)} {many if len(rows) != 1 else re.sub(r's\b', '', many)}"

    def say(self, text: str, value: Value, unit: str, rows: Iterable[Row], details: Details = ()) -> Answer:
        query = self.query
        ids = tuple(sorted({row.tx_id for row in rows}))
        inexact = any(not s.exact for s in query.subjects)
        return Answer(
            text=f"{text} (I read the name as {query.subjects[0].name}.)" if inexact else text,
            value=value,
            unit=unit,
            transaction_ids=ids,
            confidence=round(max(0.3, 0.95 - query.doubt - (0.1 if inexact else 0.0)), 2),
            outcome_code="answered",
            rationale=f"{query.intent.value} of {query.flow.value} over {len(ids)} ledger rows, {query.period.label}",
            intent=query.intent.value,
            details=tuple(details),
        )

    def say_sums(self, text: str, totals: Sequence[Sum], rows: Iterable[Row], details: Details = ()) -> Answer:
        """One currency: its amount and code. Several: one text each, never added up."""
        if len(totals) == 1:
            return self.say(text, totals[0].amount, totals[0].currency, rows, details)
        return self.say(text, [phrase.money(t.amount, t.currency) for t in totals], "", rows, details)

    def say_row(self, text: str, row: Row, rows: Iterable[Row], details: Details = ()) -> Answer:
        """What of one row is wanted: its merchant, its day or its money."""
        if self.query.aspect is Aspect.NAME:
            return self.say(text, row.name, "", rows, details)
        if self.query.aspect is Aspect.DATE:
            return self.say(text, row.day.isoformat(), "date", rows, details)
        return self.say(text, row.size, row.tx.currency, rows, details)

    def say_whether(self, holds: object, text: str, rows: Iterable[Row], details: Details = ()) -> Answer:
        return self.say(text, "yes" if holds else "no", "", rows, details)

    def nothing(self, value: Value = None, unit: str = "") -> Answer:
        """That there are no such rows: zero of the main currency, or ``value``."""
        query = self.query
        known = ""
        if any(s.ids for s in query.subjects):
            named = " and ".join(s.name for s in query.subjects)
            known = f" The ledger knows {named}, but not in that time."
        text = f"Nothing: the ledger has no {query.flow.value}{self.about} {self.when}.{known}"
        if value is None:
            value, unit = Decimal("0.00"), self.main_currency
        return self.say(text, value, unit, ())

    @property
    def main_currency(self) -> str:
        """The unit of a zero: the currency of most rows asked about, else of the ledger."""
        ids = frozenset[str]().union(*(s.ids for s in self.query.subjects))
        return self.query.currency or compute.usual_currency([r for r in self.rows if r.tx_id in ids] or self.rows)

    def cannot(self, text: str, code: str = "no_such_rows") -> Answer:
        return refused(Refusal(code, text), self.query.intent.value)

    def cannot_nothing(self) -> Answer:
        return self.cannot(f"The ledger has no {self.query.flow.value}{self.about} {self.when}.")

    def several_currencies(self) -> Answer:
        return self.cannot(
            "That is in several currencies, which are not added together; name one.", "several_currencies"
        )
