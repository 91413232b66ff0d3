"""From a question to an answer: understanding, computing and phrasing put together. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from typing import Final

from mosaic_core.agents.offline.answers import comparisons, figures, phrase, series
from mosaic_core.agents.offline.answers.work import Work, refused
from mosaic_core.agents.offline.reading.understand import understand
from mosaic_core.domain.transactions import Answer, Transaction
from mosaic_core.ledger.query import Intent, Query, Refusal
from mosaic_core.ledger.rows import Row, rows_of

_COMPUTED: Final[dict[Intent, Callable[[Work], Answer]]] = {
    Intent.TOTAL: figures.total,
    Intent.COUNT: figures.count,
    Intent.HOW_OFTEN: figures.how_often,
    Intent.AVERAGE: figures.average,
    Intent.NET: figures.net,
    Intent.LARGEST: figures.extreme,
    Intent.SMALLEST: figures.extreme,
    Intent.RANKING: figures.ranking,
    Intent.BREAKDOWN: figures.breakdown,
    Intent.LIST: figures.listing,
    Intent.LAST: figures.last,
    Intent.FIRST: figures.last,
    Intent.EXISTS: figures.exists,
    Intent.EXCEEDS: figures.exceeds,
    Intent.SHARE: comparisons.share,
    Intent.COMPARE: comparisons.compare,
    Intent.CHANGES: comparisons.changes,
    Intent.RECURRING: series.recurring,
    Intent.PRICE_CHANGE: series.price_change,
}


def answer(question: str, transactions: Sequence[Transaction], *, as_of: date) -> Answer:
    """The answer as of a day; rows after it are not looked at. Never raises, whatever the question or the ledger.

    ``outcome_code`` is ``cannot_answer`` where the ledger does not hold what was asked; ``value`` is None then and no
    row is named. Sums of several currencies come as a list of texts, one per currency.
    """
    rows = rows_of(transactions, as_of)
    if not rows:
        return refused(Refusal("empty_ledger", f"The ledger has no transactions up to {phrase.day(as_of)}."))
    query = understand(question, rows, as_of=as_of)
    if isinstance(query, Refusal):
        return refused(query)
    outside = _outside(query, rows)
    return refused(outside, query.intent.value) if outside else _COMPUTED[query.intent](Work(query, rows))


def _outside(query: Query, rows: Sequence[Row]) -> Refusal | None:
    """Why no row can be there: the period lies outside the ledger."""
    first, last = rows[0].day, query.as_of
    for period in (query.period, query.other_period or query.period):
        if period.start > last:
            text = f"That lies after {phrase.day(last)}; the ledger holds only the past."
            return Refusal("future_not_in_ledger", text)
        if period.end < first:
            edge = f"starts on {phrase.day(first)}"
        elif period.start > rows[-1].day and period.end < last:
            edge = f"ends on {phrase.day(rows[-1].day)}"
        else:
            continue
        return Refusal("period_not_in_ledger", f"The ledger {edge}; it holds nothing of {period.label}.")
    return None
