"""Answers that set figures against each other: shares, differences, what changed. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

from mosaic_core.agents.offline.answers import figures, phrase
from mosaic_core.agents.offline.answers.work import Work, cannot_nothing, main_currency
from mosaic_core.domain.transactions import Answer
from mosaic_core.ledger import compute
from mosaic_core.ledger.query import Aspect, Flow, Group
from mosaic_core.ledger.rows import Row


def share(work: Work) -> Answer:
    query = work.query
    if not query.subjects and not query.weekdays and query.flow is not Flow.INCOME:
        return (
            figures.ranking(work)
            if query.group
            else work.cannot("not_understood", "I could not tell the share of what was asked.")
        )
    of_income = query.flow is Flow.INCOME
    part = compute.select(work.rows, query)
    flow = Flow.INCOME if of_income else Flow.SPENDING
    numerator = part if not of_income else compute.select(work.rows, compute.widen(query, Flow.SPENDING))
    whole = [
        row for row in work.rows
        if query.period.start <= row.day <= query.period.end and (row.income if of_income else row.spending)
        and (query.currency is None or row.tx.currency == query.currency)
    ]  # fmt: skip
    if query.whole:
        ids = frozenset().union(*(subject.ids for subject in query.whole))
        whole, numerator = ([row for row in rows if row.tx.transaction_id in ids] for rows in (whole, numerator))
    currencies = {row.tx.currency for row in (*numerator, *whole)}
    if len(currencies) > 1:
        return work.several_currencies()
    total = compute.totals(whole)
    if not total or total[0].amount == 0:
        return cannot_nothing(work)
    share = sum((row.size for row in numerator), Decimal(0)) * 100 / total[0].amount
    percent = share.quantize(Decimal("0.1")) if abs(share) < Decimal(10) ** 20 else share
    mine = phrase.sums(compute.totals(numerator))
    about, of = (phrase.about(subjects, Flow.SPENDING) for subjects in (query.subjects, query.whole))
    text = f"{percent} % of {flow.value}: {mine}{about} of {phrase.sums(total)}{of}, {work.when}."
    return work.say(text, percent, "percent", [*numerator, *whole], (("part", mine), ("whole", phrase.sums(total))))


def compare(work: Work) -> Answer:
    query = work.query
    if query.other_period is None and len(query.subjects) >= 2:
        sides = [(s.name, work.chosen(subject=s)) for s in query.subjects]
    elif query.other_period is not None:
        sides = [
            (query.period.label, work.chosen()),
            (query.other_period.label, work.chosen(period=query.other_period)),
        ]
    else:
        return work.cannot("not_understood", "I could not tell what to compare.")
    rows = [row for _, found in sides for row in found]
    if query.by_count or query.aspect is Aspect.NUMBER:
        return _compared_counts(work, sides, rows)
    currencies = sorted({row.tx.currency for row in rows}) or [main_currency(work)]
    if len(currencies) > 1:
        return work.several_currencies()
    currency = currencies[0]
    amounts = [_amount_in(found, currency) for _, found in sides]
    text = "; ".join(f"{name}: {phrase.money(a, currency)}" for (name, _), a in zip(sides, amounts, strict=True))
    text += f"{work.about if query.other_period else ''}."
    details = [(name, phrase.sums(compute.totals(found))) for name, found in sides]
    # "Less than" is asked the other way round.
    gap = amounts[1] - amounts[0] if query.smallest_first else amounts[0] - amounts[1]
    if query.aspect is Aspect.NAME:
        return work.say(text, _chosen(sides, amounts, least=query.smallest_first), "", rows, details)
    if query.aspect is Aspect.YES_NO:
        return work.say(text, "yes" if gap > 0 else "no", "", rows, [*details, ("difference", str(gap))])
    if query.aspect is Aspect.RATIO:
        return _ratio(work, text, amounts, rows)
    if len(sides) > 2:
        lines = [f"{name}: {phrase.money(a, currency)}" for (name, _), a in zip(sides, amounts, strict=True)]
        return work.say(text, lines, "", rows, details)
    text += f" The difference is {phrase.money(abs(gap), currency)}" + (
        f", {'more' if amounts[0] > amounts[1] else 'less'} in the first." if gap else "."
    )
    return work.say(text, gap, currency, rows, details)


def _chosen(sides: Sequence[tuple[str, list[Row]]], sizes: Sequence[Decimal | int], *, least: bool) -> str:
    """The name of the largest (least) side; "equal" where there is no one such."""
    best = min(sizes) if least else max(sizes)
    names = [name for (name, _), size in zip(sides, sizes, strict=True) if size == best]
    return names[0] if len(names) == 1 else "equal"


def _compared_counts(work: Work, sides: Sequence[tuple[str, list[Row]]], rows: list[Row]) -> Answer:
    query = work.query
    counts = [len(found) for _, found in sides]
    text = "; ".join(f"{name}: {count}" for (name, _), count in zip(sides, counts, strict=True)) + "."
    if query.aspect is Aspect.NAME:
        return work.say(text, _chosen(sides, counts, least=query.smallest_first), "", rows)
    gap = counts[1] - counts[0] if query.smallest_first else counts[0] - counts[1]
    if query.aspect is Aspect.YES_NO:
        return work.say(text, "yes" if gap > 0 else "no", "", rows)
    return work.say(text, gap, "transactions", rows)


def _ratio(work: Work, text: str, amounts: Sequence[Decimal], rows: list[Row]) -> Answer:
    """The first figure's change against the second, in percent of the second."""
    if len(amounts) != 2 or amounts[1] == 0:
        return work.cannot("no_such_rows", "One of the two figures is zero, so there is no change in percent.")
    change = (amounts[0] - amounts[1]) * 100 / amounts[1]
    percent = change.quantize(Decimal("0.1")) if abs(change) < Decimal(10) ** 20 else change
    return work.say(f"{text} That is a change of {percent} %.", percent, "percent", rows)


def _amount_in(rows: Iterable[Row], currency: str) -> Decimal:
    found = [total for total in compute.totals(rows) if total.currency == currency]
    return found[0].amount if found else Decimal("0.00")


def changes(work: Work) -> Answer:
    query = work.query
    if query.other_period is None:
        return work.cannot("not_understood", "I could not tell which times to compare.")
    current, before = query.period, query.other_period
    if current.start < before.start:
        current, before = before, current
    now, then = work.chosen(period=current), work.chosen(period=before)
    group = query.group or Group.CATEGORY
    changes: list[tuple[Decimal, str, str]] = []
    currencies = sorted({row.tx.currency for row in (*now, *then)})
    for currency in currencies:
        for key in sorted({*compute.grouped(now, group), *compute.grouped(then, group)}):
            a = _amount_in(compute.grouped(now, group).get(key, ()), currency)
            b = _amount_in(compute.grouped(then, group).get(key, ()), currency)
            if a != b:
                changes.append((a - b, key, currency))
    if not changes:
        return work.say(f"Nothing changed between {before.label} and {current.label}.", [], "", [*now, *then])
    changes.sort(key=lambda change: (-abs(change[0]), change[1], change[2]))
    lines = [f"{key}: {'+' if gap > 0 else '-'}{phrase.money(abs(gap), currency)}" for gap, key, currency in changes]
    text = f"{current.label} against {before.label}: {'; '.join(lines[:8])}."
    return work.say(text, lines, "", [*now, *then])
