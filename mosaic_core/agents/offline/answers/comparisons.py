"""Answers that set figures against each other: shares, differences, what changed. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from mosaic_core.agents.offline.answers import figures, phrase
from mosaic_core.agents.offline.answers.work import Work
from mosaic_core.domain.transactions import Answer
from mosaic_core.ledger import compute
from mosaic_core.ledger.query import Aspect, Flow, Group


def share(work: Work) -> Answer:
    query = work.query
    of_income = query.flow is Flow.INCOME
    if not query.subjects and not query.weekdays and not of_income:
        if query.group:
            return figures.ranking(work)
        return work.cannot("I could not tell the share of what was asked.", "not_understood")
    numerator, whole = compute.part_and_whole(work.rows, query)
    if len({row.tx.currency for row in (*numerator, *whole)}) > 1:
        return work.several_currencies()
    total = compute.totals(whole)
    if not total or total[0].amount == 0:
        return work.cannot_nothing()
    share = compute.percent(sum((row.size for row in numerator), Decimal(0)), total[0].amount)
    mine, all_of_it = phrase.sums(compute.totals(numerator)), phrase.sums(total)
    about, of = (phrase.about(subjects, Flow.SPENDING) for subjects in (query.subjects, query.whole))
    flow = (Flow.INCOME if of_income else Flow.SPENDING).value
    text = f"{share} % of {flow}: {mine}{about} of {all_of_it}{of}, {work.when}."
    return work.say(text, share, "percent", [*numerator, *whole], (("part", mine), ("whole", all_of_it)))


def compare(work: Work) -> Answer:
    query = work.query
    if query.other_period is not None:
        sides = [(period.label, work.chosen(period=period)) for period in (query.period, query.other_period)]
    else:
        sides = [(subject.name, work.chosen(subject=subject)) for subject in query.subjects]
    if len(sides) < 2:
        return work.cannot("I could not tell what to compare.", "not_understood")
    rows = [row for _, found in sides for row in found]
    currencies = sorted({row.tx.currency for row in rows}) or [work.main_currency]
    counted = query.by_count or query.aspect is Aspect.NUMBER
    if len(currencies) > 1 and not counted:
        return work.several_currencies()
    sizes: Sequence[Decimal]
    if counted:
        unit, sizes = "transactions", [Decimal(len(found)) for _, found in sides]
        written = [str(size) for size in sizes]
    else:
        unit, sizes = currencies[0], [compute.amount_in(found, currencies[0]) for _, found in sides]
        written = [phrase.money(size, unit) for size in sizes]
    lines = [f"{name}: {size}" for (name, _), size in zip(sides, written, strict=True)]
    text = f"{'; '.join(lines)}{work.about if query.other_period and not counted else ''}."
    details = [] if counted else [(name, phrase.sums(compute.totals(found))) for name, found in sides]
    # "Less than" is asked the other way round.
    gap = sizes[1] - sizes[0] if query.smallest_first else sizes[0] - sizes[1]
    if query.aspect is Aspect.NAME:
        best = min(sizes) if query.smallest_first else max(sizes)
        names = [name for (name, _), size in zip(sides, sizes, strict=True) if size == best]
        return work.say(text, names[0] if len(names) == 1 else "equal", "", rows, details)
    if query.aspect is Aspect.YES_NO:
        return work.say_whether(gap > 0, text, rows, details if counted else [*details, ("difference", str(gap))])
    if counted:
        return work.say(text, int(gap), unit, rows)
    if query.aspect is Aspect.RATIO:
        if len(sides) > 2 or sizes[1] == 0:
            return work.cannot("One of the two figures is zero, so there is no change in percent.")
        change = compute.percent(sizes[0] - sizes[1], sizes[1])
        return work.say(f"{text} That is a change of {change} %.", change, "percent", rows)
    if len(sides) > 2:
        return work.say(text, lines, "", rows, details)
    which = f", {'more' if sizes[0] > sizes[1] else 'less'} in the first" if gap else ""
    return work.say(f"{text} The difference is {phrase.money(abs(gap), unit)}{which}.", gap, unit, rows, details)


def changes(work: Work) -> Answer:
    query = work.query
    if query.other_period is None:
        return work.cannot("I could not tell which times to compare.", "not_understood")
    before, current = sorted((query.other_period, query.period), key=lambda period: period.start)
    now, then = work.chosen(period=current), work.chosen(period=before)
    moved = compute.changes(then, now, query.group or Group.CATEGORY)
    if not moved:
        return work.say(f"Nothing changed between {before.label} and {current.label}.", [], "", [*now, *then])
    lines = [
        f"{key}: {'+' if gap.amount > 0 else '-'}{phrase.money(abs(gap.amount), gap.currency)}" for key, gap in moved
    ]
    text = f"{current.label} against {before.label}: {'; '.join(lines[:8])}."
    return work.say(text, lines, "", [*now, *then])
