"""Answers that are one figure or one list of the rows asked about: sums, counts, averages, extremes, ranks. Pure."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Final

from mosaic_core.agents.offline.answers import phrase
from mosaic_core.agents.offline.answers.work import MOST_LISTED, Work, cannot_nothing, main_currency, nothing, valued
from mosaic_core.domain.transactions import Answer
from mosaic_core.ledger import compute
from mosaic_core.ledger.compute import Sum
from mosaic_core.ledger.query import Aspect, Flow, Group, Intent
from mosaic_core.ledger.rows import Row
from mosaic_core.ledger.topics import readable


def total(work: Work) -> Answer:
    rows = work.chosen()
    query = work.query
    if not rows:
        return nothing(work, Decimal("0.00"), main_currency(work))
    totals = compute.totals(rows)
    value, unit = valued(totals, "")
    text = f"{phrase.verb(query.flow)} {phrase.sums(totals)}{work.about}, {work.when}, in {work.counted(rows)}."
    details = [("rows", str(len(rows)))]
    if query.flow is Flow.SPENDING and not query.net_of_refunds:
        back = compute.totals(compute.select(work.rows, compute.widen(query, Flow.REFUNDS)))
        if back:
            text += f" Refunds of {phrase.sums(back)} are not deducted."
            details.append(("refunds", phrase.sums(back)))
    return work.say(text, value, unit, rows, details)


def count(work: Work) -> Answer:
    rows = work.chosen()
    query = work.query
    if query.group is not None:
        names = sorted(compute.grouped(rows, query.group))
        noun = {Group.CATEGORY: "categories", Group.MERCHANT: "merchants"}.get(query.group, f"{query.group.value}s")
        return work.say(
            f"{len(names)} {noun}{work.about}, {work.when}.",
            len(names),
            noun,
            rows,
            (("names", ", ".join(names[:MOST_LISTED])),),
        )
    text = f"{work.counted(rows)}{work.about}, {work.when}"
    text += f", {phrase.sums(compute.totals(rows))} in all." if rows else "."
    return work.say(text, len(rows), "transactions", rows)


def how_often(work: Work) -> Answer:
    rows = work.chosen()
    if not rows:
        return nothing(work, 0, "transactions")
    months = compute.units_in(work.query.period, "month", work.first, work.query.as_of)
    rate = (Decimal(len(rows)) / months).quantize(Decimal("0.1"))
    text = f"{work.counted(rows)}{work.about}, {work.when}: about {rate} a month."
    return work.say(text, len(rows), "transactions", rows, (("per_month", str(rate)),))


def average(work: Work) -> Answer:
    query = work.query
    rows = work.chosen()
    per = query.per or "transaction"
    if not rows:
        return nothing(work, Decimal("0.00"), main_currency(work))
    units = compute.units_in(query.period, per, work.first, query.as_of)
    if query.aspect is Aspect.NUMBER:
        rate = (Decimal(len(rows)) / units).quantize(Decimal("0.01"))
        return work.say(
            f"{rate} {query.flow.value} rows per {per}{work.about}, {work.when}.", rate, "transactions", rows
        )
    averages = []
    for total in compute.totals(rows):
        over = Decimal(len(total.rows)) if per == "transaction" else units
        averages.append(Sum(total.currency, compute.rounded(total.amount / over, total.currency), total.rows))
    value, unit = valued(averages, "")
    text = f"On average {phrase.sums(averages)} per {per}{work.about}, {work.when} ({work.counted(rows)})."
    return work.say(text, value, unit, rows, (("per", per), ("units", str(units.quantize(Decimal("0.01"))))))


def net(work: Work) -> Answer:
    query = compute.widen(work.query, Flow.WITHOUT_TRANSFERS)
    rows = compute.select(work.rows, query)
    if not rows:
        return nothing(work, Decimal("0.00"), main_currency(work))
    totals = compute.totals(rows, signed=True)
    value, unit = valued(totals, "")
    came = compute.totals(row for row in rows if row.amount > 0)
    went = compute.totals(row for row in rows if row.amount < 0)
    text = (
        f"Net {phrase.sums(totals)}, {work.when}: {phrase.sums(came)} in, {phrase.sums(went)} out, transfers left out."
    )
    if query.aspect is Aspect.YES_NO and len(totals) == 1:
        holds = totals[0].amount < 0 if query.deficit else totals[0].amount > 0
        return work.say(text, "yes" if holds else "no", "", rows, (("net", str(totals[0].amount)),))
    return work.say(text, value, unit, rows)


def extreme(work: Work) -> Answer:
    query = work.query
    rows = work.chosen()
    if not rows:
        return cannot_nothing(work)
    smallest = query.intent is Intent.SMALLEST
    top = compute.largest(rows, query.n or 1, smallest=smallest)
    word = "smallest" if smallest else "largest"
    lines = [phrase.line(row) for row in top]
    if (query.n or 1) == 1 and len(top) == 1:
        row = top[0]
        text = f"The {word}{work.about}, {work.when}: {phrase.where_and_when(row)}."
        if query.aspect is Aspect.NAME:
            return work.say(text, row.name, "", top)
        if query.aspect is Aspect.DATE:
            return work.say(text, row.day.isoformat(), "date", top)
        return work.say(text, row.size, row.tx.currency, top, (("merchant", row.name), ("date", row.day.isoformat())))
    return work.say(f"The {word} {len(lines)}{work.about}, {work.when}: " + "; ".join(lines) + ".", lines, "", top)


def ranking(work: Work) -> Answer:
    query = work.query
    rows = work.chosen()
    if not rows:
        return cannot_nothing(work)
    group = query.group or Group.MERCHANT
    by_count = query.by_count
    ranked = compute.rank(rows, group, by_count=by_count, ascending=query.smallest_first)
    currencies = {total.currency for _, total in ranked}
    top = [
        entry
        for currency in sorted(currencies)
        for entry in [e for e in ranked if e[1].currency == currency][: query.n or 1]
    ]
    named = [row for _, total in top for row in total.rows]
    lines = [f"{_label(key, group)}: {phrase.money(t.amount, t.currency)} in {len(t.rows)} rows" for key, t in top]
    details = [(key, phrase.money(t.amount, t.currency)) for key, t in top]
    text = f"{'; '.join(lines)} ({work.when.strip()})."
    if len(top) == 1:
        return work.say(text, top[0][0], "", named, details)
    return work.say(text, [key for key, _ in top], "", named, details)


def _label(key: str, group: Group) -> str:
    return readable(key).capitalize() if group is Group.CATEGORY else key


def breakdown(work: Work) -> Answer:
    query = work.query
    rows = work.chosen()
    if not rows:
        return cannot_nothing(work)
    group = query.group or Group.CATEGORY
    ranked = compute.rank(rows, group)
    if group in (Group.MONTH, Group.WEEK, Group.DAY, Group.YEAR, Group.QUARTER):
        ranked.sort(key=lambda entry: (entry[0], entry[1].currency))
    lines = [f"{key}: {phrase.money(t.amount, t.currency)}" for key, t in ranked][:MOST_LISTED]
    return work.say(f"{work.when}{work.about}: " + "; ".join(lines) + ".", lines, "", rows)


def listing(work: Work) -> Answer:
    query = work.query
    rows = work.chosen()
    if not rows:
        return nothing(work, [], "")
    if query.group in (Group.MERCHANT, Group.CATEGORY):
        names = [key for key, _ in compute.rank(rows, query.group)]
        names = list(dict.fromkeys(names))
        return work.say(f"{len(names)} in all, {work.when}: {', '.join(names[:MOST_LISTED])}.", names, "", rows)
    newest = sorted(rows, key=lambda r: (r.day, r.tx.transaction_id), reverse=True)
    if query.n:
        newest = newest[: query.n]
    lines = [phrase.line(row) for row in newest]
    more = f" and {len(lines) - 10} more" if len(lines) > 10 else ""
    text = f"{work.counted(newest)}{work.about}, {work.when}: {'; '.join(lines[:10])}{more}."
    return work.say(text, lines, "", newest, (("total", phrase.sums(compute.totals(newest))),))


def last(work: Work) -> Answer:
    query = work.query
    rows = work.chosen()
    if not rows:
        return cannot_nothing(work)
    found = compute.latest(rows, query.n or 1, first=query.intent is Intent.FIRST)
    row = found[0]
    word = "first" if query.intent is Intent.FIRST else "last"
    text = f"The {word}{work.about}: {phrase.where_and_when(row)}."
    details = (
        ("date", row.day.isoformat()),
        ("amount", phrase.size(row)),
        ("merchant", row.name),
    )
    if query.aspect is Aspect.DAYS:
        days = compute.days_between(row.day, query.as_of)
        return work.say(f"{days} days ago. {text}", days, "days", found, details)
    if len(found) > 1:
        lines = [phrase.line(r) for r in found]
        return work.say(f"The {word} {len(found)}{work.about}: " + "; ".join(lines) + ".", lines, "", found)
    if query.aspect is Aspect.MONTH_DAY:
        return _month_day(work, rows)
    if query.aspect is Aspect.DATE:
        return work.say(text, row.day.isoformat(), "date", found, details)
    if query.aspect is Aspect.NAME:
        return work.say(text, row.name, "", found, details)
    return work.say(text, row.size, row.tx.currency, found, details)


_MOST_MONTHS: Final = 12


def _month_day(work: Work, rows: list[Row]) -> Answer:
    """The day of the month on which most of the last year's rows stand, where most of them share one."""
    newest = compute.latest(rows, _MOST_MONTHS)
    day, count = Counter(row.day.day for row in newest).most_common(1)[0]
    if 2 * count <= len(newest):
        return work.cannot("no_such_rows", "They stand on no one day of the month.")
    text = f"Day {day} of the month in {count} of the last {len(newest)}{work.about}."
    return work.say(text, day, "day of the month", newest)


def exists(work: Work) -> Answer:
    rows = work.chosen()
    if not rows:
        return work.say(f"No: the ledger has no {work.query.flow.value}{work.about} {work.when}.", "no", "", ())
    newest = compute.latest(rows)[0]
    text = f"Yes, {work.counted(rows)}{work.about}, {work.when}, the latest {phrase.line(newest)}."
    return work.say(text, "yes", "", rows, (("total", phrase.sums(compute.totals(rows))),))


def exceeds(work: Work) -> Answer:
    query = work.query
    rows = compute.select(work.rows, query)
    totals = compute.totals(rows)
    if len(totals) > 1:
        return work.several_currencies()
    amount = totals[0].amount if totals else Decimal(0)
    low, high = query.at_least, query.at_most
    holds = (low is None or amount > low or (not query.strictly and amount == low)) and (
        high is None or amount < high or (not query.strictly and amount == high)
    )
    currency = totals[0].currency if totals else main_currency(work)
    text = f"{'Yes' if holds else 'No'}: it was {phrase.money(amount, currency)}{work.about}, {work.when}."
    return work.say(text, "yes" if holds else "no", "", rows, (("total", phrase.money(amount, currency)),))
