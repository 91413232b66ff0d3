"""Answers that are one figure or one list of the rows asked about: sums, counts, averages, extremes, ranks. Pure."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from itertools import groupby, islice
from typing import Final

from mosaic_core.agents.offline.answers import phrase
from mosaic_core.agents.offline.answers.work import MOST_LISTED, Work
from mosaic_core.domain.transactions import Answer
from mosaic_core.ledger import compute
from mosaic_core.ledger.compute import Sum
from mosaic_core.ledger.query import Aspect, Flow, Group, Intent
from mosaic_core.ledger.rows import Row
from mosaic_core.ledger.topics import readable

_CAME_TO: Final = {Flow.SPENDING: "You spent", Flow.INCOME: "Your income was", Flow.ANY: "It came to"}
_NOUNS: Final = {Group.CATEGORY: "categories"}
_IN_ORDER: Final = (Group.MONTH, Group.WEEK, Group.DAY, Group.YEAR, Group.QUARTER)
_MOST_SAID: Final = 10
_MOST_MONTHS: Final = 12


def total(work: Work) -> Answer:
    query = work.query
    if not (rows := work.chosen()):
        return work.nothing()
    totals = compute.totals(rows)
    came_to = _CAME_TO.get(query.flow, f"{query.flow.value.capitalize()} came to")
    text = f"{came_to} {phrase.sums(totals)}{work.about}, {work.when}, in {work.counted(rows)}."
    details = [("rows", str(len(rows)))]
    if query.flow is Flow.SPENDING and not query.net_of_refunds:
        back = compute.totals(compute.select(work.rows, replace(query, flow=Flow.REFUNDS)))
        if back:
            text += f" Refunds of {phrase.sums(back)} are not deducted."
            details.append(("refunds", phrase.sums(back)))
    return work.say_sums(text, totals, rows, details)


def count(work: Work) -> Answer:
    rows, group = work.chosen(), work.query.group
    if group is not None:
        names = sorted(compute.grouped(rows, group))
        noun = _NOUNS.get(group, f"{group.value}s")
        details = (("names", ", ".join(names[:MOST_LISTED])),)
        return work.say(f"{len(names)} {noun}{work.about}, {work.when}.", len(names), noun, rows, details)
    total = f", {phrase.sums(compute.totals(rows))} in all" if rows else ""
    return work.say(f"{work.counted(rows)}{work.about}, {work.when}{total}.", len(rows), "transactions", rows)


def how_often(work: Work) -> Answer:
    if not (rows := work.chosen()):
        return work.nothing(0, "transactions")
    months = compute.units_in(work.query.period, "month", work.rows[0].day, work.query.as_of)
    rate = (Decimal(len(rows)) / months).quantize(Decimal("0.1"))
    text = f"{work.counted(rows)}{work.about}, {work.when}: about {rate} a month."
    return work.say(text, len(rows), "transactions", rows, (("per_month", str(rate)),))


def average(work: Work) -> Answer:
    query = work.query
    if not (rows := work.chosen()):
        return work.nothing()
    per = query.per or "transaction"
    units = compute.units_in(query.period, per, work.rows[0].day, query.as_of)
    if query.aspect is Aspect.NUMBER:
        rate = (Decimal(len(rows)) / units).quantize(Decimal("0.01"))
        text = f"{rate} {query.flow.value} rows per {per}{work.about}, {work.when}."
        return work.say(text, rate, "transactions", rows)
    averages = compute.averages(rows, None if per == "transaction" else units)
    text = f"On average {phrase.sums(averages)} per {per}{work.about}, {work.when} ({work.counted(rows)})."
    return work.say_sums(text, averages, rows, (("per", per), ("units", str(units.quantize(Decimal("0.01"))))))


def net(work: Work) -> Answer:
    query = work.query
    if not (rows := compute.select(work.rows, replace(query, flow=Flow.WITHOUT_TRANSFERS))):
        return work.nothing()
    totals = compute.totals(rows, signed=True)
    came = phrase.sums(compute.totals(row for row in rows if row.amount > 0))
    went = phrase.sums(compute.totals(row for row in rows if row.amount < 0))
    text = f"Net {phrase.sums(totals)}, {work.when}: {came} in, {went} out, transfers left out."
    if query.aspect is Aspect.YES_NO and len(totals) == 1:
        amount = totals[0].amount
        return work.say_whether(amount < 0 if query.deficit else amount > 0, text, rows, (("net", str(amount)),))
    return work.say_sums(text, totals, rows)


def extreme(work: Work) -> Answer:
    query = work.query
    if not (rows := work.chosen()):
        return work.cannot_nothing()
    word = query.intent.value
    top = compute.largest(rows, query.n or 1, smallest=query.intent is Intent.SMALLEST)
    if query.n not in (None, 1) or len(top) > 1:
        return _listed(work, f"The {word} {len(top)}{work.about}, {work.when}", top)
    (row,) = top
    details = (("merchant", row.name), ("date", row.day.isoformat())) if query.aspect is Aspect.AMOUNT else ()
    return work.say_row(f"The {word}{work.about}, {work.when}: {phrase.where_and_when(row)}.", row, top, details)


def _listed(work: Work, head: str, rows: list[Row]) -> Answer:
    lines = [phrase.line(row) for row in rows]
    return work.say(f"{head}: {'; '.join(lines)}.", lines, "", rows)


def ranking(work: Work) -> Answer:
    query = work.query
    if not (rows := work.chosen()):
        return work.cannot_nothing()
    group = query.group or Group.MERCHANT
    ranked = compute.rank(rows, group, by_count=query.by_count, ascending=query.smallest_first)
    by_currency = groupby(ranked, key=lambda entry: entry[1].currency)
    top = [entry for _, entries in by_currency for entry in islice(entries, query.n or 1)]
    details = [(key, phrase.money(t.amount, t.currency)) for key, t in top]
    lines = [
        f"{readable(key).capitalize() if group is Group.CATEGORY else key}: {size} in {len(t.rows)} rows"
        for (key, t), (_, size) in zip(top, details, strict=True)
    ]
    names = [key for key, _ in top]
    named = [row for _, total in top for row in total.rows]
    text = f"{'; '.join(lines)} ({work.when.strip()})."
    return work.say(text, names[0] if len(names) == 1 else names, "", named, details)


def breakdown(work: Work) -> Answer:
    if not (rows := work.chosen()):
        return work.cannot_nothing()
    group = work.query.group or Group.CATEGORY
    ranked = compute.rank(rows, group)
    if group in _IN_ORDER:
        ranked.sort(key=lambda entry: (entry[0], entry[1].currency))
    lines = [f"{key}: {phrase.money(t.amount, t.currency)}" for key, t in ranked][:MOST_LISTED]
    return work.say(f"{work.when}{work.about}: " + "; ".join(lines) + ".", lines, "", rows)


def listing(work: Work) -> Answer:
    query = work.query
    if not (rows := work.chosen()):
        return work.nothing([])
    if query.group in (Group.MERCHANT, Group.CATEGORY):
        names = list(dict.fromkeys(key for key, _ in compute.rank(rows, query.group)))
        return work.say(f"{len(names)} in all, {work.when}: {', '.join(names[:MOST_LISTED])}.", names, "", rows)
    newest = compute.latest(rows, query.n or len(rows))
    lines = [phrase.line(row) for row in newest]
    more = f" and {len(lines) - _MOST_SAID} more" if len(lines) > _MOST_SAID else ""
    text = f"{work.counted(newest)}{work.about}, {work.when}: {'; '.join(lines[:_MOST_SAID])}{more}."
    return work.say(text, lines, "", newest, (("total", phrase.sums(compute.totals(newest))),))


def last(work: Work) -> Answer:
    query = work.query
    if not (rows := work.chosen()):
        return work.cannot_nothing()
    first = query.intent is Intent.FIRST
    word = "first" if first else "last"
    found = compute.latest(rows, query.n or 1, first=first)
    row = found[0]
    text = f"The {word}{work.about}: {phrase.where_and_when(row)}."
    details = (("date", row.day.isoformat()), ("amount", phrase.size(row)), ("merchant", row.name))
    if query.aspect is Aspect.DAYS:
        days = (query.as_of - row.day).days
        return work.say(f"{days} days ago. {text}", days, "days", found, details)
    if len(found) > 1:
        return _listed(work, f"The {word} {len(found)}{work.about}", found)
    if query.aspect is Aspect.MONTH_DAY:
        # the day on which most of the last year's rows stand
        newest = compute.latest(rows, _MOST_MONTHS)
        usual = compute.usual_day(newest)
        if usual is None:
            return work.cannot("They stand on no one day of the month.")
        text = f"Day {usual[0]} of the month in {usual[1]} of the last {len(newest)}{work.about}."
        return work.say(text, usual[0], "day of the month", newest)
    return work.say_row(text, row, found, details)


def exists(work: Work) -> Answer:
    if not (rows := work.chosen()):
        return work.say_whether(False, f"No: the ledger has no {work.query.flow.value}{work.about} {work.when}.", ())
    newest = compute.latest(rows)[0]
    text = f"Yes, {work.counted(rows)}{work.about}, {work.when}, the latest {phrase.line(newest)}."
    return work.say_whether(True, text, rows, (("total", phrase.sums(compute.totals(rows))),))


def exceeds(work: Work) -> Answer:
    rows = compute.select(work.rows, work.query)
    totals = compute.totals(rows) or [Sum(work.main_currency, Decimal(0), ())]
    if len(totals) > 1:
        return work.several_currencies()
    holds, amount = work.query.bounds.keep(totals[0].amount), phrase.sums(totals)
    text = f"{'Yes' if holds else 'No'}: it was {amount}{work.about}, {work.when}."
    return work.say_whether(holds, text, rows, (("total", amount),))
