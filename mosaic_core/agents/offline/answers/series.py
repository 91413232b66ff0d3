"""Answers on what returns: subscriptions, bills, what they cost now and how that moved. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Final

from mosaic_core.agents.offline.answers import figures, phrase
from mosaic_core.agents.offline.answers.work import Work
from mosaic_core.domain.transactions import Answer
from mosaic_core.ledger import compute
from mosaic_core.ledger.compute import Recurring
from mosaic_core.ledger.query import Aspect, Flow
from mosaic_core.ledger.rows import Row

_NOUNS: Final = {"payments": "recurring payments", "income": "recurring income"}


def recurring(work: Work) -> Answer:
    """What recurs: its names, its number, what it costs now."""
    query = work.query
    found = _series(work)
    if query.aspect is Aspect.AMOUNT and not found and query.subjects:
        return _last_price(work)
    if query.aspect is Aspect.AMOUNT and query.period.explicit and query.per is None:
        return _paid(work, found)
    noun = _NOUNS.get(query.recurring_kind, query.recurring_kind)
    lines, rows = _listed(found), _rows(work.rows, found)
    if query.aspect is Aspect.NUMBER:
        return work.say(f"{len(found)} {noun}: {lines}.", len(found), noun, rows)
    if query.aspect is Aspect.YES_NO:
        return work.say_whether(found, f"{f'Yes: {lines}' if found else 'No'}.", rows)
    if not found:
        return work.cannot(f"The ledger shows no {noun}{work.about}.")
    if query.n is not None:
        shown = (sorted(found, key=lambda r: (r.monthly, r.name)) if query.smallest_first else found)[: query.n]
        text, rows, first = f"{_listed(shown)}.", _rows(work.rows, shown), shown[0]
        if query.aspect is Aspect.AMOUNT and len(shown) == 1:
            return work.say(text, first.amount, first.currency, rows)
        return work.say(text, first.name if query.n == 1 else [r.name for r in shown], "", rows)
    if query.aspect is Aspect.NAME:
        return work.say(f"{len(found)} {noun}: {lines}.", [r.name for r in found], "", rows)
    # One series, asked plainly, has a price; several have what they cost a month.
    single = len(found) == 1 and query.per is None
    per = "month" if query.per in (None, "transaction") else query.per
    totals, said = compute.costs(found, None if single else per), "each time" if single else f"per {per}"
    return work.say_sums(f"{phrase.sums(totals)} {said} for {len(found)} {noun}: {lines}.", totals, rows)


def _series(work: Work) -> list[Recurring]:
    query, rows, kind = work.query, work.rows, work.query.recurring_kind
    if query.subjects:
        # A named merchant or topic may be a bill rather than a subscription.
        wanted = frozenset().union(*(s.ids for s in query.subjects))
        rows = [row for row in rows if row.tx_id in wanted]
        kind = "income" if query.flow in (Flow.INCOME, Flow.MONEY_IN) else "payments"
    found = compute.recurring(rows, as_of=query.as_of, kind=kind)
    return [r for r in found if query.currency is None or r.currency == query.currency]


def _listed(found: Iterable[Recurring]) -> str:
    return "; ".join(f"{r.name} {phrase.money(r.amount, r.currency)} {r.cadence}" for r in found)


def _rows(rows: Iterable[Row], found: Iterable[Recurring]) -> list[Row]:
    ids = frozenset(i for r in found for i in r.ids)
    return [row for row in rows if row.tx_id in ids]


def _last_price(work: Work) -> Answer:
    """What was paid last, where no series was found: an irregular bill."""
    query = work.query
    if query.per is not None:
        return figures.average(work)
    one_thing = len(query.subjects) == 1 and not query.period.explicit
    return figures.last(work) if one_thing and work.chosen() else figures.total(work)


def _paid(work: Work, found: Sequence[Recurring]) -> Answer:
    """What recurring payments came to within the period that is asked about."""
    if not (rows := _rows(work.chosen(), found)):
        return work.say(f"Nothing recurring was paid {work.when}.", Decimal("0.00"), work.main_currency, ())
    totals = compute.totals(rows)
    return work.say_sums(f"{phrase.sums(totals)} in recurring payments{work.about}, {work.when}.", totals, rows)


# ---------------------------------------------------------------------------------------------------------- price moves


def price_change(work: Work) -> Answer:
    """Whether, by how much, or of which series the price moved."""
    query = work.query
    if not query.subjects:
        found = compute.recurring(work.rows, as_of=query.as_of, kind=query.recurring_kind)
        return _said_of_each(work, [(r.name, _rows(work.rows, [r])) for r in found])
    rows = [row for row in work.chosen() if row.amount < 0]
    if not rows:
        return work.cannot_nothing()
    if len(rows) < 2:
        return work.cannot("The ledger has only one payment, so nothing to compare it with.")
    if len({row.tx.currency for row in rows}) > 1:
        return work.several_currencies()
    fixed = compute.steady(work.rows, query.subjects)
    several = compute.rows_by_series(rows) if fixed else []
    if len(several) > 1:
        moved = [own for _, own in several if len({row.size for row in own}) > 1]
        if len(moved) != 1:
            return _said_of_each(work, several)
        rows = moved[0]
    before, now = compute.prices(rows) if fixed and query.n != 2 else (rows[-2], rows[-1])
    return _moved(work, rows, before, now)


def _moved(work: Work, rows: Sequence[Row], before: Row, now: Row) -> Answer:
    query, both = work.query, (before, now)
    paid = (f"{phrase.size(row)} on {phrase.day(row.day)}" for row in both)
    text = f"{', '.join(paid)}{work.about}."
    gap = now.size - before.size
    asked = -gap if query.smallest_first else gap
    if query.aspect is Aspect.YES_NO:
        return work.say_whether(asked > 0, text, both, (("difference", str(gap)),))
    if query.aspect is Aspect.DATE:
        if asked <= 0:
            return work.cannot("The ledger shows no such change of the price.")
        # the first payment at the price of now
        since = next(row for row in rows if row.day > before.day)
        return work.say_row(text, since, [before, since])
    if query.aspect is Aspect.RATIO:
        if before.size == 0:
            return work.cannot("The earlier payment is zero, so there is no change in percent.")
        return work.say(text, compute.percent(gap, before.size), "percent", both)
    return work.say(text, asked, now.tx.currency, both)


def _said_of_each(work: Work, series: Iterable[tuple[str, Sequence[Row]]]) -> Answer:
    """Of which series the price moved the way that is asked about."""
    query = work.query
    moved = compute.moved(series, down=query.smallest_first)
    lines = [f"{name} from {phrase.size(before)} to {phrase.size(now)}" for name, before, now in moved]
    text = f"{'; '.join(lines) or 'None of them'}."
    used = [row for _, *both in moved for row in both]
    if query.aspect is Aspect.YES_NO:
        return work.say_whether(moved, text, used)
    return work.say(text, [name for name, *_ in moved], "", used)
