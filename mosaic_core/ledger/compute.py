"""The figures: exact sums, counts, averages and rankings over a household's rows. Pure functions, no words.

Each takes rows (`ledgerview.rows_of`) and gives a value with the rows that it came from, so that a model-driven agent
can call them as tools. Amounts are without sign where rows have one direction; currencies are never added together.
"""

from __future__ import annotations

import calendar
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

from mosaic_core.ledger.periods import Period
from mosaic_core.ledger.query import Flow, Group, Query, Subject
from mosaic_core.ledger.recurring import Series, ended, recurring_series
from mosaic_core.ledger.rows import Row
from mosaic_core.ledger.topics import TRANSFERS, insurer

_WHOLE_CURRENCIES: Final = frozenset("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF".split())

_FLOWS: Final[dict[Flow, Callable[[Row], bool]]] = {
    Flow.SPENDING: lambda row: row.spending,
    Flow.INCOME: lambda row: row.income,
    Flow.REFUNDS: lambda row: row.refund,
    Flow.TRANSFERS: lambda row: row.category in TRANSFERS,
    Flow.TRANSFERS_IN: lambda row: row.category in TRANSFERS and row.amount > 0,
    Flow.TRANSFERS_OUT: lambda row: row.category in TRANSFERS and row.amount < 0,
    Flow.MONEY_IN: lambda row: row.amount > 0,
    Flow.MONEY_OUT: lambda row: row.amount < 0,
    Flow.WITHOUT_TRANSFERS: lambda row: row.category not in TRANSFERS and not row.own_card,
    Flow.ANY: lambda row: True,
}


@dataclass(frozen=True, slots=True)
class Sum:
    """An amount in one currency and the rows behind it."""

    currency: str
    amount: Decimal
    rows: tuple[Row, ...]


def select(
    rows: Sequence[Row], query: Query, *, period: Period | None = None, subject: Subject | None = None
) -> list[Row]:
    """The rows that the query is about, oldest first: its flow, period, subjects, bounds, currency and account.
    ``period`` and ``subject`` take the place of the query's own."""
    span = period or query.period
    subjects = (subject,) if subject is not None else query.subjects
    ids = frozenset().union(*(s.ids for s in subjects)) if subjects else None
    without: frozenset[str] = frozenset().union(*(s.ids for s in query.without)) if query.without else frozenset()
    wanted = _FLOWS[query.flow]
    found = []
    for row in rows:
        if not span.start <= row.day <= span.end or (ids is not None and row.tx.transaction_id not in ids):
            continue
        if row.tx.transaction_id in without or not (wanted(row) or (query.net_of_refunds and row.refund)):
            continue
        if query.currency is not None and row.tx.currency != query.currency:
            continue
        if query.account_id is not None and row.tx.account_id != query.account_id:
            continue
        if query.weekdays and row.day.weekday() not in query.weekdays:
            continue
        found.append(row)
    return found


def flow_there(flow: Flow, subjects: Sequence[Subject], rows: Sequence[Row]) -> Flow | None:
    """The flow, or where the subjects have no spending or income at all, the direction that their rows have: a payee
    that only transfers went to, or that only ever paid in. What was "sent" to a merchant that no transfer went to is
    what was paid there. None where transfers name an own account, and none of that direction: which side a row is of is
    not told then."""
    if flow not in (Flow.SPENDING, Flow.INCOME, Flow.TRANSFERS_OUT, Flow.TRANSFERS_IN):
        return flow
    ids = frozenset[str]().union(*(subject.ids for subject in subjects))
    chosen = [row for row in rows if row.tx.transaction_id in ids]
    if not chosen or any(map(_FLOWS[flow], chosen)):
        return flow
    if flow in (Flow.TRANSFERS_OUT, Flow.TRANSFERS_IN):
        # nothing is sent to a fee: "transfer fees" are some of all fees
        if flow is Flow.TRANSFERS_OUT and any(row.spending and row.category != "BANK_FEES" for row in chosen):
            return Flow.SPENDING
        return flow if all(subject.kind == "merchant" for subject in subjects) else None
    return Flow.MONEY_OUT if flow is Flow.SPENDING and any(row.amount < 0 for row in chosen) else Flow.MONEY_IN


def bounded(rows: Iterable[Row], query: Query) -> list[Row]:
    """The rows whose amount keeps the query's bounds."""
    return [row for row in rows if query.bounds.keep(row.size)]


def totals(rows: Iterable[Row], *, signed: bool = False) -> list[Sum]:
    """One sum per currency, by code. Unsigned, money out counts positive and money back among it negative."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.tx.currency, []).append(row)
    result = []
    for currency in sorted(groups):
        members = groups[currency]
        amount = sum((row.amount for row in members), Decimal(0))
        if not signed and (any(row.amount < 0 for row in members)):
            amount = -amount
        result.append(Sum(currency, amount, tuple(members)))
    return result


def part_and_whole(rows: Sequence[Row], query: Query) -> tuple[list[Row], list[Row]]:
    """The rows of a share, and those that it is a share of: all spending, or all income where the query is of
    income, within the query's time and currency; both within the query's ``whole`` where it has one."""
    income = query.flow is Flow.INCOME
    everything = Query(
        intent=query.intent,
        flow=Flow.INCOME if income else Flow.SPENDING,
        as_of=query.as_of,
        period=query.period,
        subjects=query.whole,
        currency=query.currency,
    )
    part = select(rows, replace(query, flow=Flow.SPENDING) if income else query)
    of_it = frozenset[str]().union(*(subject.ids for subject in query.whole))
    return [row for row in part if not query.whole or row.tx_id in of_it], select(rows, everything)


def amount_in(rows: Iterable[Row], currency: str) -> Decimal:
    """The sum in that currency."""
    return next((total.amount for total in totals(rows) if total.currency == currency), Decimal("0.00"))


def averages(rows: Iterable[Row], units: Decimal | None) -> list[Sum]:
    """One average per currency, over so many ``units`` of time or over the currency's rows."""
    return [
        Sum(t.currency, rounded(t.amount / (len(t.rows) if units is None else units), t.currency), t.rows)
        for t in totals(rows)
    ]


def percent(part: Decimal, whole: Decimal) -> Decimal:
    """In percent with one digit; what is too large for that as it is."""
    found = part * 100 / whole
    return found.quantize(Decimal("0.1")) if abs(found) < Decimal(10) ** 20 else found


def usual_currency(rows: Iterable[Row]) -> str:
    """The currency of most rows."""
    counts = Counter(row.tx.currency for row in rows)
    return min(counts, key=lambda currency: (-counts[currency], currency))


def usual_day(rows: Sequence[Row]) -> tuple[int, int] | None:
    """The day of the month on which most of the rows stand, and how many do; None where no day has most of them."""
    day, count = Counter(row.day.day for row in rows).most_common(1)[0]
    return (day, count) if 2 * count > len(rows) else None


def changes(before: Sequence[Row], now: Sequence[Row], group: Group) -> list[tuple[str, Sum]]:
    """What groups moved by, the largest change first, each currency by itself."""
    then, since = grouped(before, group), grouped(now, group)
    found = []
    for currency in sorted({row.tx.currency for row in (*before, *now)}):
        for key in sorted({*then, *since}):
            gap = amount_in(since.get(key, ()), currency) - amount_in(then.get(key, ()), currency)
            if gap:
                found.append((key, Sum(currency, gap, ())))
    return sorted(found, key=lambda change: (-abs(change[1].amount), change[0], change[1].currency))


def largest(rows: Sequence[Row], n: int = 1, *, smallest: bool = False) -> list[Row]:
    """The ``n`` rows of the largest (smallest) amount per currency, equal ones by day and id."""
    found = []
    for group in totals(rows, signed=True):
        found += sorted(
            group.rows, key=lambda r: (r.size if smallest else -r.size, r.day, r.tx.transaction_id)
        )[:n]  # fmt: skip
    return found


def latest(rows: Sequence[Row], n: int = 1, *, first: bool = False) -> list[Row]:
    """The ``n`` last (first) rows by day, latest (earliest) first."""
    ordered = sorted(rows, key=lambda r: (r.day, r.tx.transaction_id), reverse=not first)
    return ordered[:n]


def group_key(row: Row, group: Group) -> str:
    """What the row counts under: a merchant's name, a category, "2026-03", an ISO day, "2026-W09", a weekday."""
    match group:
        case Group.MERCHANT:
            return row.name
        case Group.CATEGORY:
            return row.category
        case Group.MONTH:
            return f"{row.day:%Y-%m}"
        case Group.QUARTER:
            return f"{row.day.year}-Q{(row.day.month - 1) // 3 + 1}"
        case Group.YEAR:
            return f"{row.day.year}"
        case Group.WEEK:
            year, week, _ = row.day.isocalendar()
            return f"{year}-W{week:02}"
        case Group.DAY:
            return row.day.isoformat()
        case Group.WEEKDAY:
            return calendar.day_name[row.day.weekday()]


def grouped(rows: Iterable[Row], group: Group) -> dict[str, list[Row]]:
    """Rows by merchant, category, month and so on. Merchants whose names differ only in case are one."""
    found: dict[str, list[Row]] = {}
    folded: dict[str, str] = {}
    for row in rows:
        key = group_key(row, group)
        key = folded.setdefault(key.casefold(), key)
        found.setdefault(key, []).append(row)
    return found


def rank(
    rows: Sequence[Row], group: Group, *, by_count: bool = False, ascending: bool = False
) -> list[tuple[str, Sum]]:
    """Groups by their amount (or number of rows), largest first, each currency by itself."""
    entries = [(key, total) for key, members in grouped(rows, group).items() for total in totals(members)]
    sign = 1 if ascending else -1

    def order(entry: tuple[str, Sum]) -> tuple[str, Decimal | int, Decimal, str]:
        key, total = entry
        size = len(total.rows) if by_count else total.amount
        return total.currency, sign * size, sign * total.amount, key

    return sorted(entries, key=order)


def units_in(period: Period, per: str, first: date, last: date) -> Decimal:
    """How many days, weeks or calendar months the period has within the ledger's days; quarters and years by these
    months, at least one: twelve months are a year wherever they begin."""
    start, end = max(period.start, first), min(period.end, last)
    if end < start:
        return Decimal(1)
    months = (end.year - start.year) * 12 + end.month - start.month + 1
    match per:
        case "day":
            return Decimal((end - start).days + 1)
        case "week":
            return Decimal((end - start).days + 1) / 7
        case "quarter":
            return max(Decimal(1), Decimal(months) / 3)
        case "year":
            return max(Decimal(1), Decimal(months) / 12)
        case _:
            return Decimal(months)


def rounded(amount: Decimal, currency: str) -> Decimal:
    """The amount in the currency's smallest unit, half up. Amounts of rows are exact already and stay as they are."""
    exponent = Decimal(1) if currency in _WHOLE_CURRENCIES else Decimal("0.01")
    try:
        return amount.quantize(exponent, ROUND_HALF_UP)
    except ArithmeticError:
        return amount


# ----------------------------------------------------------------------------------------------------------- recurring


@dataclass(frozen=True, slots=True)
class Recurring:
    """A payment that returns: ``amount`` is what it costs now, ``monthly`` the same spread over months."""

    name: str
    amount: Decimal
    currency: str
    cadence: str
    monthly: Decimal
    last: date
    ids: tuple[str, ...]


_MOST_OF_A_BILL: Final = 150
"""Rows: what has more is no bill, and need not be looked at for a rhythm."""
_NOT_SUBSCRIPTION: Final = TRANSFERS | {
    "LOAN_PAYMENTS", "RENT_AND_UTILITIES", "INCOME", "BANK_FEES", "GOVERNMENT_AND_NON_PROFIT",
}  # fmt: skip


def recurring(rows: Iterable[Row], *, as_of: date, kind: str = "subscriptions") -> list[Recurring]:
    """What recurs and has not ended: ``subscriptions`` (fixed prices; neither rent, loans and taxes nor insurance),
    ``payments`` (all that goes out), ``income``; dearest per month first."""
    found = []
    for series in recurring_series(rows):
        if series.incoming != (kind == "income") or ended(series, as_of):
            continue
        newest = series.occurrences[-1]
        if newest.usual_category in TRANSFERS:
            continue
        if kind == "subscriptions" and (
            newest.usual_category in _NOT_SUBSCRIPTION
            or not series.fixed
            or insurer(f"{newest.name} {newest.tx.description}")
        ):
            continue
        if kind == "payments" and not series.fixed and series.cadence.days < 25:
            continue
        found.append(_recurring(series))
    return sorted(found, key=lambda r: (-r.monthly, r.name))


_PER_MONTH: Final = {
    "year": Decimal(12),
    "quarter": Decimal(3),
    "month": Decimal(1),
    "week": Decimal(12) / Decimal(52),
    "day": Decimal(12) / Decimal(365),
}


def costs(found: Iterable[Recurring], per: str | None = "month") -> list[Sum]:
    """What the series cost together now, one sum per currency: in a month, in another unit, or each time (None)."""
    sums: dict[str, Decimal] = {}
    for series in found:
        share = series.amount if per is None else series.monthly * _PER_MONTH[per]
        sums[series.currency] = sums.get(series.currency, Decimal(0)) + share
    return [Sum(currency, rounded(amount, currency), ()) for currency, amount in sorted(sums.items())]


def steady(rows: Sequence[Row], subjects: Sequence[Subject]) -> bool:
    """Whether the subjects are bills of a fixed price that go on: most of their rows belong to one such series each."""
    wanted = frozenset().union(*(subject.ids for subject in subjects)) if subjects else frozenset()
    own = [row for row in rows if row.tx_id in wanted and row.amount < 0]
    if len(own) < 3 or len(own) > _MOST_OF_A_BILL:
        return False
    found = [series for series in recurring_series(own) if series.fixed]
    members = sum(len(series.occurrences) for series in found if series.cadence.days >= 25)
    return members >= 0.7 * len(own)


def prices(rows: Sequence[Row]) -> tuple[Row, Row]:
    """The last row of a series and the last one before it at another price; the first row where it never moved."""
    now = rows[-1]
    return next((row for row in reversed(rows) if row.size != now.size), rows[0]), now


def moved(series: Iterable[tuple[str, Sequence[Row]]], *, down: bool) -> list[tuple[str, Row, Row]]:
    """Those of the series whose price last went up (down): the name, and the rows of the `prices`."""
    found = [(name, *prices(rows)) for name, rows in series]
    way = -1 if down else 1
    return [(name, before, now) for name, before, now in found if way * (now.size - before.size) > 0]


def rows_by_series(rows: Sequence[Row]) -> list[tuple[str, list[Row]]]:
    """The rows of each recurring series among them, oldest first, with the series' name."""
    return [(series.name, list(series.occurrences)) for series in recurring_series(rows)]


def _recurring(series: Series) -> Recurring:
    newest = series.occurrences[-1].tx
    amount = abs(newest.amount)
    cadence = series.cadence
    step = Decimal(str(cadence.step))
    per_month = amount / step if cadence.monthly else amount * 365 / (12 * step)
    return Recurring(
        name=series.name,
        amount=amount,
        currency=newest.currency,
        cadence=cadence.name,
        monthly=rounded(per_month, newest.currency),
        last=newest.posted_on,
        ids=tuple(sorted(charge.tx_id for charge in series.occurrences)),
    )
