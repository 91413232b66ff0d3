"""Answers on what returns: subscriptions, bills, what they cost now and how that moved. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from mosaic_core.agents.offline.answers import figures, phrase
from mosaic_core.agents.offline.answers.work import Work, cannot_nothing, main_currency, valued
from mosaic_core.domain.transactions import Answer
from mosaic_core.ledger import compute
from mosaic_core.ledger.compute import Recurring, Sum
from mosaic_core.ledger.query import Aspect, Flow
from mosaic_core.ledger.rows import Row

_PER_MONTH: Final = {
    "year": Decimal(12),
    "quarter": Decimal(3),
    "week": Decimal(12) / Decimal(52),
    "day": Decimal(12) / Decimal(365),
}


def recurring(work: Work) -> Answer:
    """What recurs: its names, its number, what it costs now."""
    query = work.query
    found = _series(work)
    ids = tuple(sorted({i for r in found for i in r.ids}))
    if not found and query.subjects and query.aspect is Aspect.AMOUNT:
        return _last_price(work)
    if query.period.explicit and query.aspect is Aspect.AMOUNT and query.per is None:
        return _paid(work, found)
    noun = {"subscriptions": "subscriptions", "income": "recurring income"}.get(
        query.recurring_kind, "recurring payments"
    )
    lines = [f"{r.name} {phrase.money(r.amount, r.currency)} {r.cadence}" for r in found]
    if query.aspect is Aspect.NUMBER:
        return work.say_ids(f"{len(found)} {noun}: {'; '.join(lines)}.", len(found), noun, ids)
    if query.aspect is Aspect.YES_NO:
        return work.say_ids(f"{'Yes: ' + '; '.join(lines) if found else 'No'}.", "yes" if found else "no", "", ids)
    if not found:
        return work.cannot("no_such_rows", f"The ledger shows no {noun}{work.about}.")
    if query.n is not None:
        shown = (sorted(found, key=lambda r: (r.monthly, r.name)) if query.smallest_first else found)[: query.n]
        ids = tuple(sorted({i for r in shown for i in r.ids}))
        text = "; ".join(f"{r.name} {phrase.money(r.amount, r.currency)} {r.cadence}" for r in shown) + "."
        if query.aspect is Aspect.AMOUNT and len(shown) == 1:
            return work.say_ids(text, shown[0].amount, shown[0].currency, ids)
        return work.say_ids(text, shown[0].name if query.n == 1 else [r.name for r in shown], "", ids)
    if query.aspect is Aspect.NAME:
        return work.say_ids(f"{len(found)} {noun}: {'; '.join(lines)}.", [r.name for r in found], "", ids)
    return _cost(work, found, lines, noun, ids)


def _series(work: Work) -> list[Recurring]:
    query = work.query
    if query.subjects:
        # A named merchant or topic may be a bill rather than a subscription.
        wanted = frozenset().union(*(s.ids for s in query.subjects))
        own = [row for row in work.rows if row.tx_id in wanted]
        kind = "income" if query.flow in (Flow.INCOME, Flow.MONEY_IN) else "payments"
        found = compute.recurring(own, as_of=query.as_of, kind=kind)
    else:
        found = compute.recurring(work.rows, as_of=query.as_of, kind=query.recurring_kind)
    return [r for r in found if query.currency is None or r.currency == query.currency]


def _cost(work: Work, found: Sequence[Recurring], lines: Sequence[str], noun: str, ids: tuple[str, ...]) -> Answer:
    """What the series cost together now, per month where nothing else is asked."""
    query = work.query
    single = len(found) == 1 and query.per is None
    per = query.per if query.per in _PER_MONTH else "month"
    factor = _PER_MONTH.get(per or "month", Decimal(1))
    sums: dict[str, Decimal] = {}
    for r in found:
        # One series, asked plainly, has a price; several have what they cost a month.
        share = r.amount if single else r.monthly * factor
        sums[r.currency] = sums.get(r.currency, Decimal(0)) + share
    totals = [Sum(currency, compute.rounded(amount, currency), ()) for currency, amount in sorted(sums.items())]
    amount, unit = valued(totals, "")
    said = "each time" if single else f"per {per}"
    return work.say_ids(f"{phrase.sums(totals)} {said} for {len(found)} {noun}: {'; '.join(lines)}.", amount, unit, ids)


def _last_price(work: Work) -> Answer:
    """What was paid last, where no series was found: an irregular bill."""
    if work.query.per is not None:
        return figures.average(work)
    rows = work.chosen()
    return figures.total(work) if not rows or not work.named_once else figures.last(work)


def _paid(work: Work, found: Sequence[Recurring]) -> Answer:
    """What recurring payments came to within the period that is asked about."""
    ids = frozenset(i for r in found for i in r.ids)
    rows = [row for row in work.chosen() if row.tx.transaction_id in ids]
    if not rows:
        return work.say(f"Nothing recurring was paid {work.when}.", Decimal("0.00"), main_currency(work), ())
    totals = compute.totals(rows)
    amount, unit = valued(totals, "")
    return work.say(f"{phrase.sums(totals)} in recurring payments{work.about}, {work.when}.", amount, unit, rows)


# ---------------------------------------------------------------------------------------------------------- price moves


def price_change(work: Work) -> Answer:
    """Whether, by how much, or of which series the price moved."""
    query = work.query
    if not query.subjects:
        return _moved(work)
    rows = [row for row in work.chosen() if row.amount < 0]
    if len(rows) < 2:
        return (
            cannot_nothing(work)
            if not rows
            else work.cannot("no_such_rows", "The ledger has only one payment, so nothing to compare it with.")
        )
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
    gap = now.size - before.size
    text = (
        f"{phrase.size(before)} on {phrase.day(before.day)}, {phrase.size(now)} on {phrase.day(now.day)}{work.about}."
    )
    if query.aspect is Aspect.YES_NO:
        holds = gap < 0 if query.smallest_first else gap > 0
        return work.say(text, "yes" if holds else "no", "", [before, now], (("difference", str(gap)),))
    if query.aspect is Aspect.DATE:
        return _moved_on(work, rows, before, now, text)
    if query.aspect is Aspect.RATIO:
        if before.size == 0:
            return work.cannot("no_such_rows", "The earlier payment is zero, so there is no change in percent.")
        return work.say(text, (gap * 100 / before.size).quantize(Decimal("0.1")), "percent", [before, now])
    return work.say(text, -gap if query.smallest_first else gap, now.tx.currency, [before, now])


def _moved_on(work: Work, rows: Sequence[Row], before: Row, now: Row, text: str) -> Answer:
    """The day of the first payment at the price of now, where it moved the way that is asked about."""
    if (now.size >= before.size) if work.query.smallest_first else (now.size <= before.size):
        return work.cannot("no_such_rows", "The ledger shows no such change of the price.")
    since = next(row for row in rows if row.day > before.day)
    return work.say(text, since.day.isoformat(), "date", [before, since])


def _moved(work: Work) -> Answer:
    query = work.query
    by_id = {row.tx.transaction_id: row for row in work.rows}
    found = compute.recurring(work.rows, as_of=query.as_of, kind=query.recurring_kind)
    series = [
        (r.name, sorted((by_id[i] for i in r.ids if i in by_id), key=lambda row: (row.day, row.tx_id))) for r in found
    ]
    return _said_of_each(work, series)


def _said_of_each(work: Work, series: Sequence[tuple[str, Sequence[Row]]]) -> Answer:
    """Of which series the price moved the way that is asked about."""
    query = work.query
    moved: list[tuple[str, Row, Row]] = []
    for name, rows in series:
        if len(rows) < 2:
            continue
        before, now = compute.prices(rows)
        if (now.size < before.size) if query.smallest_first else (now.size > before.size):
            moved.append((name, before, now))
    used = [row for _, before, now in moved for row in (before, now)]
    lines = [f"{name} from {phrase.size(before)} to {phrase.size(now)}" for name, before, now in moved]
    text = "; ".join(lines) + "." if lines else "None of them."
    if query.aspect is Aspect.YES_NO:
        return work.say(text, "yes" if moved else "no", "", used)
    return work.say(text, [name for name, _, _ in moved], "", used)
