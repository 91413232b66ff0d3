"""From a question to an answer: understanding, computing and phrasing put together. Pure."""

# ruff: noqa: E501 - patterns and word lists read worse when they are broken
from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

from mosaic_core.agents.offline import compute, phrase
from mosaic_core.agents.offline.compute import Sum
from mosaic_core.agents.offline.ledgerview import Row, rows_of
from mosaic_core.agents.offline.periods import Period
from mosaic_core.agents.offline.query import Aspect, Flow, Group, Intent, Query, Refusal, Subject
from mosaic_core.agents.offline.understand import understand
from mosaic_core.agents.offline.vocabulary import readable
from mosaic_core.domain.ledger import Answer, Transaction

VERSION: Final = "offline/2"
_MAX_LISTED: Final = 50

type _Value = Decimal | int | str | list[str] | None


@dataclass(frozen=True, slots=True)
class OfflineAgent:
    """The rules as a `ports.LedgerAgent`."""

    name: str = "offline"
    source: str = VERSION

    async def answer(self, question: str, transactions: Sequence[Transaction], *, as_of: date) -> Answer:
        return answer(question, transactions, as_of=as_of)


def answer(question: str, transactions: Sequence[Transaction], *, as_of: date) -> Answer:
    """The answer as of a day; rows after it are not looked at. Never raises, whatever the question or the ledger.

    ``outcome_code`` is ``cannot_answer`` where the ledger does not hold what was asked; ``value`` is None then and no
    row is named. Sums of several currencies come as a list of texts, one per currency.
    """
    rows = rows_of(transactions, as_of)
    if not rows:
        return _refused(Refusal("empty_ledger", f"The ledger has no transactions up to {phrase.day(as_of)}."))
    query = understand(question, rows, as_of=as_of)
    if isinstance(query, Refusal):
        return _refused(query)
    outside = _outside(query, rows)
    if outside is not None:
        return _refused(outside, query.intent.value)
    work = _Work(query, rows, [row.tx for row in rows])
    return _COMPUTED[query.intent](work)


def _refused(refusal: Refusal, intent: str = "") -> Answer:
    return Answer(
        text=refusal.text,
        value=None,
        unit="",
        transaction_ids=(),
        confidence=0.8,
        outcome_code="cannot_answer",
        rationale=f"{refusal.code}: {refusal.text}" if refusal.code != "unknown_merchant" else "unknown_merchant",
        intent=intent,
        details=(("reason", refusal.code), *refusal.details),
    )


def _outside(query: Query, rows: Sequence[Row]) -> Refusal | None:
    """Why no row can be there: the period lies outside the ledger."""
    first, last = rows[0].day, query.as_of
    if query.intent is Intent.RECURRING:
        return None
    for period in (query.period, *((query.other_period,) if query.other_period else ())):
        if period.start > last:
            return Refusal(
                "future_not_in_ledger", f"That lies after {phrase.day(last)}; the ledger holds only the past."
            )
        if period.end < first:
            text = f"The ledger starts on {phrase.day(first)}; it holds nothing of {period.label}."
            return Refusal("period_not_in_ledger", text)
        if period.start > rows[-1].day and period.end < last:
            text = f"The ledger ends on {phrase.day(rows[-1].day)}; it holds nothing of {period.label}."
            return Refusal("period_not_in_ledger", text)
    return None


@dataclass(frozen=True, slots=True)
class _Work:
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

    def say(
        self, text: str, value: _Value, unit: str, rows: Iterable[Row], details: Iterable[tuple[str, str]] = ()
    ) -> Answer:
        named = tuple(sorted({row.tx.transaction_id for row in rows}))
        return self.say_ids(text, value, unit, named, details)

    def say_ids(
        self, text: str, value: _Value, unit: str, ids: tuple[str, ...], details: Iterable[tuple[str, str]] = ()
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

    def cannot(self, code: str, text: str) -> Answer:
        return _refused(Refusal(code, text), self.query.intent.value)


def _value(totals: Sequence[Sum], empty_currency: str) -> tuple[_Value, str]:
    """One currency: its amount and code. Several: one text each, never added up."""
    if not totals:
        return Decimal("0.00"), empty_currency
    if len(totals) == 1:
        return totals[0].amount, totals[0].currency
    return [phrase.money(t.amount, t.currency) for t in totals], ""


def _main_currency(work: _Work) -> str:
    """The unit of a zero: the currency of most rows asked about, else of the ledger."""
    ids = frozenset().union(*(s.ids for s in work.query.subjects)) if work.query.subjects else frozenset()
    rows = [row for row in work.rows if row.tx.transaction_id in ids] or work.rows
    counts: dict[str, int] = {}
    for row in rows:
        counts[row.tx.currency] = counts.get(row.tx.currency, 0) + 1
    return work.query.currency or min(counts, key=lambda c: (-counts[c], c))


# ------------------------------------------------------------------------------------------------------------- totals


def _total(work: _Work) -> Answer:
    rows = work.chosen()
    query = work.query
    if not rows:
        return _nothing(work, Decimal("0.00"), _main_currency(work))
    totals = compute.totals(rows)
    value, unit = _value(totals, "")
    text = f"{phrase.verb(query.flow)} {phrase.sums(totals)}{work.about}, {work.when}, in {phrase.rows_noun(query.flow, len(rows))}."
    details = [("rows", str(len(rows)))]
    if query.flow is Flow.SPENDING and not query.net_of_refunds:
        back = compute.totals(compute.select(work.rows, compute.widen(query, Flow.REFUNDS)))
        if back:
            text += f" Refunds of {phrase.sums(back)} are not deducted."
            details.append(("refunds", phrase.sums(back)))
    return work.say(text, value, unit, rows, details)


def _nothing(work: _Work, value: _Value, unit: str) -> Answer:
    query = work.query
    known = (
        f" The ledger knows{work.about.replace(' at ', ' ').replace(' on ', ' ').replace(' from ', ' ')}, but not in that time."
        if query.subjects and any(s.ids for s in query.subjects)
        else ""
    )
    return work.say(f"Nothing: the ledger has no {query.flow.value}{work.about} {work.when}.{known}", value, unit, ())


def _count(work: _Work) -> Answer:
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
            (("names", ", ".join(names[:_MAX_LISTED])),),
        )
    text = f"{phrase.rows_noun(query.flow, len(rows))}{work.about}, {work.when}"
    text += f", {phrase.sums(compute.totals(rows))} in all." if rows else "."
    return work.say(text, len(rows), "transactions", rows)


def _how_often(work: _Work) -> Answer:
    rows = work.chosen()
    if not rows:
        return _nothing(work, 0, "transactions")
    months = compute.units_in(work.query.period, "month", work.first, work.query.as_of)
    rate = (Decimal(len(rows)) / months).quantize(Decimal("0.1"))
    text = f"{phrase.rows_noun(work.query.flow, len(rows))}{work.about}, {work.when}: about {rate} a month."
    return work.say(text, len(rows), "transactions", rows, (("per_month", str(rate)),))


def _average(work: _Work) -> Answer:
    query = work.query
    rows = work.chosen()
    per = query.per or "transaction"
    if not rows:
        return _nothing(work, Decimal("0.00"), _main_currency(work))
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
    value, unit = _value(averages, "")
    text = f"On average {phrase.sums(averages)} per {per}{work.about}, {work.when} ({phrase.rows_noun(query.flow, len(rows))})."
    return work.say(text, value, unit, rows, (("per", per), ("units", str(units.quantize(Decimal("0.01"))))))


def _net(work: _Work) -> Answer:
    query = compute.widen(work.query, Flow.WITHOUT_TRANSFERS)
    rows = compute.select(work.rows, query)
    if not rows:
        return _nothing(work, Decimal("0.00"), _main_currency(work))
    totals = compute.totals(rows, signed=True)
    value, unit = _value(totals, "")
    came = compute.totals(row for row in rows if row.amount > 0)
    went = compute.totals(row for row in rows if row.amount < 0)
    text = (
        f"Net {phrase.sums(totals)}, {work.when}: {phrase.sums(came)} in, {phrase.sums(went)} out, transfers left out."
    )
    if query.aspect is Aspect.YES_NO and len(totals) == 1:
        return work.say(text, "yes" if (totals[0].amount < 0) else "no", "", rows, (("net", str(totals[0].amount)),))
    return work.say(text, value, unit, rows)


# ------------------------------------------------------------------------------------------------- single rows, ranks


def _extreme(work: _Work) -> Answer:
    query = work.query
    rows = work.chosen()
    if not rows:
        return _cannot_nothing(work)
    smallest = query.intent is Intent.SMALLEST
    top = compute.largest(rows, query.n or 1, smallest=smallest)
    word = "smallest" if smallest else "largest"
    lines = [phrase.line(row) for row in top]
    if (query.n or 1) == 1 and len(top) == 1:
        row = top[0]
        text = f"The {word}{work.about}, {work.when}: {phrase.money(row.size, row.tx.currency)} at {row.name} on {phrase.day(row.day)}."
        if query.aspect is Aspect.NAME:
            return work.say(text, row.name, "", top)
        if query.aspect is Aspect.DATE:
            return work.say(text, row.day.isoformat(), "date", top)
        return work.say(text, row.size, row.tx.currency, top, (("merchant", row.name), ("date", row.day.isoformat())))
    return work.say(f"The {word} {len(lines)}{work.about}, {work.when}: " + "; ".join(lines) + ".", lines, "", top)


def _cannot_nothing(work: _Work) -> Answer:
    return work.cannot("no_such_rows", f"The ledger has no {work.query.flow.value}{work.about} {work.when}.")


def _ranking(work: _Work) -> Answer:
    query = work.query
    rows = work.chosen()
    if not rows:
        return _cannot_nothing(work)
    group = query.group or Group.MERCHANT
    by_count = query.aspect is Aspect.NUMBER
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


def _breakdown(work: _Work) -> Answer:
    query = work.query
    rows = work.chosen()
    if not rows:
        return _cannot_nothing(work)
    group = query.group or Group.CATEGORY
    ranked = compute.rank(rows, group)
    if group in (Group.MONTH, Group.WEEK, Group.DAY, Group.YEAR, Group.QUARTER):
        ranked.sort(key=lambda entry: (entry[0], entry[1].currency))
    lines = [f"{key}: {phrase.money(t.amount, t.currency)}" for key, t in ranked][:_MAX_LISTED]
    return work.say(f"{work.when}{work.about}: " + "; ".join(lines) + ".", lines, "", rows)


def _list(work: _Work) -> Answer:
    query = work.query
    rows = work.chosen()
    if not rows:
        return _nothing(work, [], "")
    if query.group in (Group.MERCHANT, Group.CATEGORY):
        names = [key for key, _ in compute.rank(rows, query.group)]
        names = list(dict.fromkeys(names))
        return work.say(f"{len(names)} in all, {work.when}: {', '.join(names[:_MAX_LISTED])}.", names, "", rows)
    newest = sorted(rows, key=lambda r: (r.day, r.tx.transaction_id), reverse=True)
    if query.n:
        newest = newest[: query.n]
    lines = [phrase.line(row) for row in newest]
    more = f" and {len(lines) - 10} more" if len(lines) > 10 else ""
    text = f"{phrase.rows_noun(query.flow, len(newest))}{work.about}, {work.when}: {'; '.join(lines[:10])}{more}."
    return work.say(text, lines, "", newest, (("total", phrase.sums(compute.totals(newest))),))


def _last(work: _Work) -> Answer:
    query = work.query
    rows = work.chosen()
    if not rows:
        return _cannot_nothing(work)
    found = compute.latest(rows, query.n or 1, first=query.intent is Intent.FIRST)
    row = found[0]
    word = "first" if query.intent is Intent.FIRST else "last"
    text = f"The {word}{work.about}: {phrase.money(row.size, row.tx.currency)} at {row.name} on {phrase.day(row.day)}."
    details = (
        ("date", row.day.isoformat()),
        ("amount", phrase.money(row.size, row.tx.currency)),
        ("merchant", row.name),
    )
    if query.aspect is Aspect.DAYS:
        days = compute.days_between(row.day, query.as_of)
        return work.say(f"{days} days ago. {text}", days, "days", found, details)
    if len(found) > 1:
        lines = [phrase.line(r) for r in found]
        return work.say(f"The {word} {len(found)}{work.about}: " + "; ".join(lines) + ".", lines, "", found)
    if query.aspect is Aspect.DATE:
        return work.say(text, row.day.isoformat(), "date", found, details)
    if query.aspect is Aspect.NAME:
        return work.say(text, row.name, "", found, details)
    return work.say(text, row.size, row.tx.currency, found, details)


def _exists(work: _Work) -> Answer:
    rows = work.chosen()
    if not rows:
        return work.say(f"No: the ledger has no {work.query.flow.value}{work.about} {work.when}.", "no", "", ())
    newest = compute.latest(rows)[0]
    text = f"Yes, {phrase.rows_noun(work.query.flow, len(rows))}{work.about}, {work.when}, the latest {phrase.line(newest)}."
    return work.say(text, "yes", "", rows, (("total", phrase.sums(compute.totals(rows))),))


def _exceeds(work: _Work) -> Answer:
    query = work.query
    rows = compute.select(work.rows, query)
    totals = compute.totals(rows)
    if len(totals) > 1:
        return work.cannot(
            "several_currencies", "That is in several currencies, which are not added together; name one."
        )
    amount = totals[0].amount if totals else Decimal(0)
    low, high = query.at_least, query.at_most
    holds = (low is None or amount > low or (not query.strictly and amount == low)) and (
        high is None or amount < high or (not query.strictly and amount == high)
    )
    currency = totals[0].currency if totals else _main_currency(work)
    text = f"{'Yes' if holds else 'No'}: it was {phrase.money(amount, currency)}{work.about}, {work.when}."
    return work.say(text, "yes" if holds else "no", "", rows, (("total", phrase.money(amount, currency)),))


# -------------------------------------------------------------------------------------------------------- comparisons


def _share(work: _Work) -> Answer:
    query = work.query
    if not query.subjects and not query.weekdays and query.flow is not Flow.INCOME:
        return (
            _ranking(work)
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
    currencies = {row.tx.currency for row in (*numerator, *whole)}
    if len(currencies) > 1:
        return work.cannot(
            "several_currencies", "That is in several currencies, which are not added together; name one."
        )
    total = compute.totals(whole)
    if not total or total[0].amount == 0:
        return _cannot_nothing(work)
    share = sum((row.size for row in numerator), Decimal(0)) * 100 / total[0].amount
    percent = share.quantize(Decimal("0.1")) if abs(share) < Decimal(10) ** 20 else share
    mine = phrase.sums(compute.totals(numerator))
    text = f"{percent} % of {flow.value}: {mine}{phrase.about(query.subjects, Flow.SPENDING)} of {phrase.sums(total)}, {work.when}."
    return work.say(text, percent, "percent", [*numerator, *whole], (("part", mine), ("whole", phrase.sums(total))))


def _compare(work: _Work) -> Answer:
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
    if query.aspect is Aspect.NUMBER:
        counts = [len(found) for _, found in sides]
        text = "; ".join(f"{name}: {count}" for (name, _), count in zip(sides, counts, strict=True))
        return work.say(text + ".", counts[0] - counts[1], "transactions", rows)
    currencies = sorted({row.tx.currency for row in rows}) or [_main_currency(work)]
    lines, differences = [], []
    for currency in currencies:
        amounts = [_amount_in(found, currency) for _, found in sides]
        lines += [f"{name}: {phrase.money(a, currency)}" for (name, _), a in zip(sides, amounts, strict=True)]
        differences.append((currency, amounts))
    text = f"{'; '.join(lines)}{work.about if query.other_period else ''}."
    details = [(name, phrase.sums(compute.totals(found))) for name, found in sides]
    if len(differences) > 1:
        return work.say(text + " The currencies are not added together.", lines, "", rows, details)
    currency, amounts = differences[0]
    order = sorted(range(len(sides)), key=lambda i: (-amounts[i], i))
    # "Less than" is asked the other way round.
    gap = amounts[1] - amounts[0] if query.smallest_first else amounts[0] - amounts[1]
    if query.aspect is Aspect.NAME:
        least = query.smallest_first
        return work.say(text, sides[order[-1] if least else order[0]][0], "", rows, details)
    if query.aspect is Aspect.YES_NO:
        return work.say(text, "yes" if gap > 0 else "no", "", rows, [*details, ("difference", str(gap))])
    if len(sides) > 2:
        return work.say(text, lines, "", rows, details)
    text += f" The difference is {phrase.money(abs(gap), currency)}" + (
        f", {'more' if amounts[0] > amounts[1] else 'less'} in the first." if gap else "."
    )
    return work.say(text, gap, currency, rows, details)


def _amount_in(rows: Iterable[Row], currency: str) -> Decimal:
    found = [total for total in compute.totals(rows) if total.currency == currency]
    return found[0].amount if found else Decimal("0.00")


def _changes(work: _Work) -> Answer:
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


# ---------------------------------------------------------------------------------------------------------- recurring


def _recurring(work: _Work) -> Answer:
    query = work.query
    found = compute.recurring(work.transactions, as_of=query.as_of, kind=query.recurring_kind)
    if query.subjects:
        # A named merchant or topic may be a bill rather than a subscription.
        wanted = frozenset().union(*(s.ids for s in query.subjects))
        found = [
            r for r in compute.recurring(work.transactions, as_of=query.as_of, kind="payments") if wanted & set(r.ids)
        ]
    if query.currency is not None:
        found = [r for r in found if r.currency == query.currency]
    ids = tuple(sorted({i for r in found for i in r.ids}))
    if not found and query.subjects and query.aspect is Aspect.AMOUNT:
        return _total(work)
    noun = {"subscriptions": "subscriptions", "income": "recurring income"}.get(
        query.recurring_kind, "recurring payments"
    )
    lines = [f"{r.name} {phrase.money(r.amount, r.currency)} {r.cadence}" for r in found]
    if query.aspect is Aspect.NUMBER:
        return work.say_ids(f"{len(found)} {noun}: {'; '.join(lines)}.", len(found), noun, ids)
    if query.aspect is Aspect.YES_NO:
        return work.say_ids(f"{'Yes: ' + '; '.join(lines) if found else 'No'}.", "yes" if found else "no", "", ids)
    if not found:
        text = f"The ledger shows no {noun}{work.about}."
        return work.say_ids(
            text,
            [] if query.aspect is Aspect.NAME else Decimal("0.00"),
            "" if query.aspect is Aspect.NAME else _main_currency(work),
            (),
        )
    if query.aspect is Aspect.NAME:
        shown = sorted(found, key=lambda r: (r.monthly, r.name)) if query.smallest_first else found
        if query.n:
            shown = shown[: query.n]
        ids = tuple(sorted({i for r in shown for i in r.ids}))
        text = "; ".join(f"{r.name} {phrase.money(r.amount, r.currency)} {r.cadence}" for r in shown)
        return work.say_ids(
            f"{len(shown)} {noun}: {text}.", shown[0].name if query.n == 1 else [r.name for r in shown], "", ids
        )
    factor = {"year": Decimal(12), "week": Decimal(12) / Decimal(52), "day": Decimal(12) / Decimal(365)}.get(
        query.per or "month", Decimal(1)
    )
    per = query.per if query.per in ("year", "week", "day") else "month"
    sums: dict[str, Decimal] = {}
    for r in found:
        sums[r.currency] = sums.get(r.currency, Decimal(0)) + r.monthly
    totals = [
        Sum(currency, compute.rounded(amount * factor, currency), ()) for currency, amount in sorted(sums.items())
    ]
    value, unit = _value(totals, "")
    return work.say_ids(
        f"{phrase.sums(totals)} per {per} for {len(found)} {noun}: {'; '.join(lines)}.", value, unit, ids
    )


_COMPUTED: Final[dict[Intent, Callable[[_Work], Answer]]] = {
    Intent.TOTAL: _total,
    Intent.COUNT: _count,
    Intent.HOW_OFTEN: _how_often,
    Intent.AVERAGE: _average,
    Intent.NET: _net,
    Intent.LARGEST: _extreme,
    Intent.SMALLEST: _extreme,
    Intent.RANKING: _ranking,
    Intent.BREAKDOWN: _breakdown,
    Intent.LIST: _list,
    Intent.LAST: _last,
    Intent.FIRST: _last,
    Intent.EXISTS: _exists,
    Intent.EXCEEDS: _exceeds,
    Intent.SHARE: _share,
    Intent.COMPARE: _compare,
    Intent.CHANGES: _changes,
    Intent.RECURRING: _recurring,
}
