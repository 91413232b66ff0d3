"""From a question in plain English to a `Query`, or to the reason why the ledger cannot answer it. Pure.

Names, times, amounts and phrases are marked in the question one after another (`reading`), the marks are composed to a
query (`sense`). A word that none of them explains is a refusal: an answer to half a question is a wrong answer.
"""

# ruff: noqa: E501 - patterns and word lists read worse when they are broken
from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Final

from mosaic_core.agents.offline.flows import flow_of
from mosaic_core.agents.offline.periods import mark_periods
from mosaic_core.agents.offline.qualifiers import take_account, take_bounds, take_currency, take_weekdays
from mosaic_core.agents.offline.reading import Mark, Reading, lex, take_minus, tidy
from mosaic_core.agents.offline.refusals import REFUSALS
from mosaic_core.agents.offline.rules import sense_of
from mosaic_core.agents.offline.sense import Sense
from mosaic_core.agents.offline.subjects import (
    TOPICS,
    blank,
    find_names,
    of_merchant,
    of_topic,
    take_partial_names,
    transfer_target,
    unknown_brand,
)
from mosaic_core.agents.offline.words import Tag
from mosaic_core.ledger.compute import steady
from mosaic_core.ledger.merchants import Merchants
from mosaic_core.ledger.periods import Period, add_months, everything
from mosaic_core.ledger.query import Flow, Intent, Query, Refusal, Subject
from mosaic_core.ledger.rows import Row
from mosaic_core.ledger.topics import WHOLE_CATEGORIES, Topic

_LEAST_CONTENT: Final = frozenset(Tag) - {
    Tag.PERIOD, Tag.OTHER, Tag.YES_NO, Tag.NUMBER, Tag.WHAT, Tag.WHICH, Tag.WHO, Tag.WHERE, Tag.WHEN, Tag.AND, Tag.OR, Tag.LIST, Tag.GROUP,
    Tag.HOW_MANY, Tag.TIMES, Tag.LAST, Tag.FIRST, Tag.THAN, Tag.MONEY, Tag.VISIT, Tag.START, Tag.STOP, Tag.AGO, Tag.SINGLE, Tag.PER,
}  # fmt: skip
"""Tags that make a question one on money; others alone may be a question on anything."""


_BOTH_WAYS: Final = re.compile(
    r"\bgoing out(?= (?:than|vs|versus|and|or|against) (?:is |was )?coming in)|(?<=coming in than )going out\b"
)
"""Money that goes out, as against an evening out."""
_PREPOSITION: Final = re.compile(r"(?:in|on|over|at|for|of|during) ")


def understand(question: str, rows: Sequence[Row], *, as_of: date) -> Query | Refusal:
    """The question as a query on ``rows`` (oldest first, none after ``as_of``), or a refusal."""
    text = tidy(question)
    if not re.search(r"[a-z]{2}", text):
        return Refusal("not_understood", "I could not read a question on the ledger in that.")
    merchants = Merchants(rows)
    names = find_names(text, merchants)
    reading = Reading(names.text)
    for start, end, merchant in names.spans:
        if merchant is None:
            return _unknown(names.text[start:end].strip('"'))
        reading.take(start, end, Tag.SUBJECT, value=of_merchant(merchant))
    for pattern, refusal in REFUSALS:
        if pattern.search(blank(reading.free)):
            return refusal
    brand = unknown_brand(reading)
    if brand is not None and merchants.find(brand, guess=False) is None:
        return _unknown(brand)
    bounds = take_bounds(reading)
    periods: list[Period] = []
    for start, end, period in mark_periods(reading.free, as_of):
        # "What came in last month": the word before a time may belong to a verb.
        lead = _PREPOSITION.match(reading.free[start:end])
        reading.take(start + (lead.end() if lead else 0), end, Tag.PERIOD)
        periods.append(period)
    currency = take_currency(reading, rows)
    account, no_account = take_account(reading, rows)
    weekdays = take_weekdays(reading)
    for match in _BOTH_WAYS.finditer(reading.free):
        reading.take(*match.span(), Tag.MONEY_OUT)
    lex(reading, TOPICS)
    take_minus(reading)
    unknown, unread, doubt = take_partial_names(reading, merchants)
    if unknown is not None:
        return _unknown(unknown)
    if unread is not None:
        return _not_understood(unread)
    if no_account is not None:
        return Refusal("unknown_account", f"The ledger does not tell which account is meant by {no_account.strip()!r}.")
    if currency is not None and all(row.tx.currency != currency for row in rows):
        return Refusal("unknown_currency", f"The ledger has nothing in {currency}.")
    subjects, without, topic_flow = _subjects(reading, rows)
    # Of a category that has no rows, nothing was spent; a kind of merchant without rows may only be unknown to us.
    empty = next((s for s in (*subjects, *without) if not s.ids and s.name not in WHOLE_CATEGORIES), None)
    if empty is not None:
        return Refusal("no_such_rows", f"The ledger has no rows that I can tell to be {empty.name}.")
    if not any(mark.tags & _LEAST_CONTENT for mark in reading.marks):
        return Refusal("not_understood", "I could not tell what about the ledger was asked.")
    sense = sense_of(
        reading,
        subjects,
        periods=len(periods),
        ranges=sum(len(period.parts) == 2 for period in periods),
        bounded=bounds[:2] != (None, None),
        fixed_series=bool(subjects) and steady(rows, subjects, as_of=as_of),
    )
    left = sense.dishonoured()
    if left:
        return _not_understood(reading.text[left[0].start : left[0].end])
    whole: tuple[Subject, ...] = ()
    if sense.intent is Intent.SHARE and len(subjects) == 2:
        part = _part_of(sense, subjects)
        if part is None:
            return _not_understood(" and ".join(subject.name for subject in subjects))
        subjects, whole = part
    times = _times(sense, periods, as_of)
    if times is None:
        return _not_understood(" and ".join(period.label for period in periods))
    return Query(
        intent=sense.intent,
        flow=flow_of(sense, subjects, topic_flow, rows),
        as_of=as_of,
        period=times[0],
        other_period=times[1],
        subjects=subjects,
        without=without,
        whole=whole,
        group=sense.group,
        per=sense.per,
        aspect=sense.aspect,
        n=sense.n,
        at_least=bounds[0],
        at_most=bounds[1],
        strictly=bounds[2],
        currency=currency,
        account_id=account,
        weekdays=weekdays,
        net_of_refunds=sense.has(Tag.NET_OF_REFUNDS),
        recurring_kind=_recurring_kind(sense),
        smallest_first=sense.smallest,
        by_count=sense.by_count,
        deficit=sense.deficit,
        doubt=min(doubt, 0.5),
    )


def _unknown(name: str) -> Refusal:
    return Refusal("unknown_merchant", f"The ledger has nothing by the name of {name!r}.", (("unknown", name),))


def _not_understood(words: str) -> Refusal:
    text = f"I did not understand {words!r} in that, so I give no figure."
    return Refusal("not_understood", text, (("not_understood", words),))


def _recurring_kind(sense: Sense) -> str:
    if sense.has(Tag.SUBSCRIPTION):
        return "subscriptions"
    return "income" if sense.has(Tag.INCOME, Tag.EARN, Tag.PAID_ME, Tag.MONEY_IN) else "payments"


# ------------------------------------------------------------------------------------------------------------ subjects


def _subjects(reading: Reading, rows: Sequence[Row]) -> tuple[tuple[Subject, ...], tuple[Subject, ...], Flow | None]:
    """(what is asked about, what is excluded, the flow that a topic brings). Marks of what is excluded are dropped."""
    marks = reading.in_order()
    _drop_excluded(marks, reading)
    left = set(map(id, reading.marks))
    excluded = [mark for mark in marks if id(mark) not in left and Tag.SUBJECT in mark.tags]
    asked = [mark for mark in reading.in_order() if Tag.SUBJECT in mark.tags]
    topics = [mark.value for mark in asked if isinstance(mark.value, Topic)]
    topics, asked = _without_loose(asked, topics, reading)
    pays = any(Tag.PAY in mark.tags for mark in reading.marks)
    named: dict[str, Subject] = {}
    for mark in _once_each(asked):
        subject = _subject(mark, rows, pays_interest=pays)
        named.setdefault(subject.name, subject)
    subjects = list(named.values())
    if any(Tag.TARGET in mark.tags for mark in reading.marks) and not subjects:
        words = [
            reading.text[mark.start : mark.end].removeprefix("my ").split()[0]
            for mark in reading.in_order()
            if Tag.TARGET in mark.tags
        ]
        # "From checking to savings": what is put away goes by the name of the other account.
        word = next((word for word in words if word not in _DAILY), words[0])
        subjects.append(transfer_target(word, rows))
    if any(Tag.PAID_ME in mark.tags for mark in reading.marks) and not subjects:
        salary = TOPICS[("salary",)][1]
        assert isinstance(salary, Topic)
        subjects += [subject for subject in (of_topic(salary, rows),) if subject.ids]
        topics += [salary] * len(subjects)
    flows = {topic.flow for topic in topics if topic.flow is not None and not (topic.name == "interest" and pays)}
    flow = next(iter(flows)) if len(flows) == 1 and subjects else None
    if not any(Tag.PERCENT in mark.tags for mark in reading.marks):
        subjects = list(_narrowed(subjects, reading))
    return tuple(subjects), tuple(_subject(mark, rows) for mark in _once_each(excluded)), flow


def _once_each(marks: Sequence[Mark]) -> list[Mark]:
    """Marks without those that name again what an earlier one does."""
    found: dict[object, Mark] = {}
    for mark in marks:
        found.setdefault(id(mark.value), mark)
    return list(found.values())


_DAILY: Final = frozenset({"checking", "current", "joint"})
_BANK: Final = frozenset({"bank", "my bank"})
_LOOSE_CASH: Final = re.compile(r"\bmuch cash\b(?!.*\b(?:take|took|taken|get|got|out of|from an?|atm)\b)")


def _without_loose(asked: list[Mark], topics: list[Topic], reading: Reading) -> tuple[list[Topic], list[Mark]]:
    """Without topics that only look like one: "how much cash has Uber had" is no question on a cash machine, "services
    that I subscribe to" none on the category."""
    tags = {tag for mark in reading.marks for tag in mark.tags}
    loose = _LOOSE_CASH.search(reading.text) is not None and bool(tags & {Tag.SPEND, Tag.PAY, Tag.EARN})
    loose = loose or Tag.TARGET in tags
    banks = [mark for mark in asked if reading.text[mark.start : mark.end] in _BANK]
    others = [mark for mark in asked if reading.text[mark.start : mark.end] not in _BANK]
    banks = banks if others else []
    not_all_cash = any(not _is_cash(other) for other in others or asked)
    dropped = banks + [
        mark for mark in others or asked
        if (_is_cash(mark) and (loose or not_all_cash))
        or (isinstance(mark.value, Topic) and mark.value.name == "services" and Tag.SUBSCRIPTION in tags)
    ]  # fmt: skip
    gone, values = set(map(id, dropped)), {id(mark.value) for mark in dropped}
    return [topic for topic in topics if id(topic) not in values], [mark for mark in asked if id(mark) not in gone]


def _is_cash(mark: Mark) -> bool:
    return isinstance(mark.value, Topic) and mark.value.name == "cash withdrawals"


def _subject(mark: Mark, rows: Sequence[Row], *, pays_interest: bool = False) -> Subject:
    if isinstance(mark.value, Subject):
        return mark.value
    topic = mark.value
    assert isinstance(topic, Topic)
    if topic.name == "interest" and pays_interest:
        topic = TOPICS[("interest", "charges")][1]
        assert isinstance(topic, Topic)
    return of_topic(topic, rows)


def _drop_excluded(marks: Sequence[Mark], reading: Reading) -> None:
    """Take out what follows "excluding" and the like, as far as it is joined by "and"."""
    gone: set[int] = set()
    for i, mark in enumerate(marks):
        if Tag.EXCEPT not in mark.tags:
            continue
        dropped: list[Mark] = []
        for following in marks[i + 1 :]:
            if following.tags & {Tag.SUBJECT, Tag.REFUND, Tag.TRANSFER, Tag.TARGET, Tag.AND, Tag.ONE, Tag.PAY}:
                dropped.append(following)
            else:
                break
        while dropped and Tag.AND in dropped[-1].tags:
            dropped.pop()
        if any(m.tags & {Tag.SUBJECT, Tag.REFUND, Tag.TRANSFER} for m in dropped):
            gone.update(map(id, (mark, *dropped)))
    if gone:
        reading.marks = [m for m in reading.marks if id(m) not in gone]


def _narrowed(subjects: Sequence[Subject], reading: Reading) -> tuple[Subject, ...]:
    """ "Coffee at Luigi's" is what both have in common; "coffee and Luigi's" is both."""
    if len(subjects) == 2 and not re.search(
        r"\b(?:and|or|vs|versus|than|plus|with)\b|[,+&]", _between_subjects(reading)
    ):
        first, second = sorted(subjects, key=lambda subject: subject.kind == "topic")
        both = first.ids & second.ids
        if {first.kind, second.kind} == {"merchant", "topic"}:
            if first.ids <= second.ids:
                return (first,)
            return (Subject(f"{second.name} at {first.name}", "merchant", both, first.exact),)
        if first.kind == second.kind == "topic" and both:
            # "the streaming subscription", "food delivery restaurants": the narrower of the two
            return (
                (min(first, second, key=lambda subject: len(subject.ids)),)
                if both in (first.ids, second.ids)
                else tuple(subjects)
            )
    return tuple(subjects)


def _between_subjects(reading: Reading) -> str:
    found = [mark for mark in reading.in_order() if Tag.SUBJECT in mark.tags]
    return reading.text[found[0].end : found[-1].start] if found else ""


_OF: Final = re.compile(r"\b(?:of|from) (?:(?:my|our|the|all|total|overall|~+) )*$")


def _part_of(sense: Sense, subjects: tuple[Subject, ...]) -> tuple[tuple[Subject, ...], tuple[Subject, ...]] | None:
    """(the part, the whole) of a share that names two things: "what percentage of our food spending was DoorDash", "Aldi's
    share of groceries". Two things joined are one part of all; None where it cannot be told."""
    if sense.runs("SUBJ AND SUBJ"):
        return subjects, ()
    marks = [mark for mark in sense.marks if Tag.SUBJECT in mark.tags or Tag.PERCENT in mark.tags]
    if len(marks) != 3:
        return None
    text = sense.text
    for mark in sense.marks:
        if Tag.PERIOD in mark.tags:
            text = text[: mark.start] + "~" * (mark.end - mark.start) + text[mark.end :]
    kinds = ["%" if Tag.PERCENT in mark.tags else "s" for mark in marks]
    after = {i: _OF.search(text[marks[i - 1].end : marks[i].start]) for i in (1, 2)}
    if kinds == ["%", "s", "s"]:
        first_is_whole = after[1] is not None and after[2] is None
        if not first_is_whole and not (after[2] is not None and after[1] is None):
            return None
        return (subjects[1:], subjects[:1]) if first_is_whole else (subjects[:1], subjects[1:])
    if kinds == ["s", "%", "s"] and after[2] is not None:
        return subjects[:1], subjects[1:]
    return None


# --------------------------------------------------------------------------------------------------------------- times


def _times(sense: Sense, periods: Sequence[Period], as_of: date) -> tuple[Period, Period | None] | None:
    """The question's period and the one it is compared with; None where its times cannot be put together."""
    if sense.intent not in (Intent.COMPARE, Intent.CHANGES) or sense.by_subject:
        joined = _joined(periods) if periods else everything(as_of)
        return (joined, None) if joined is not None else None
    if len(periods) > 2:
        return None
    if len(periods) == 2:
        first, second = periods
    elif periods and len(periods[0].parts) == 2:
        first, second = periods[0].parts
        if sense.said(r"\bbetween\b") and not sense.later_first:
            # No stretch from one to the other: each is the one that its name means by itself.
            first = periods[0].alone or first
    else:
        first = periods[0] if periods else Period(as_of.replace(day=1), as_of, f"this month ({as_of:%B %Y})")
        second = _year_earlier(first) if sense.has(Tag.YEAR_EARLIER) else _before(first)
        return first, second
    if (sense.later_first and second.start > first.start) or sense.swapped:
        first, second = second, first
    return first, second


def _joined(periods: Sequence[Period]) -> Period | None:
    """Several periods in one question that does not compare: from the first day to the last where they touch, else the
    narrowest that lies in the others ("in May this year"); None where they leave a gap."""
    ordered = sorted(periods, key=lambda p: (p.days, p.start))
    if all(ordered[0].start >= p.start and ordered[0].end <= p.end for p in ordered[1:]):
        return ordered[0]
    by_day = sorted(periods, key=lambda p: p.start)
    end = by_day[0].end
    for period in by_day[1:]:
        if period.start > end + timedelta(days=1):
            return None
        end = max(end, period.end)
    return Period(by_day[0].start, end, " and ".join(p.label for p in periods))


def _year_earlier(period: Period) -> Period:
    return Period(add_months(period.start, -12), add_months(period.end, -12), "a year earlier")


def _before(period: Period) -> Period:
    """The period of the same kind just before."""
    if period.start.day == 1 and (period.end.month, period.end.year) == (period.start.month, period.start.year):
        start = add_months(period.start, -1)
        end = date.fromordinal(max(1, period.start.toordinal() - 1))
        return Period(start, end, f"{start:%B %Y}")
    if (period.start.month, period.start.day) == (1, 1) and period.end.year == period.start.year and period.days > 92:
        year = max(1, period.start.year - 1)
        return Period(date(year, 1, 1), date(year, 12, 31), str(year))
    if period.start.day == 1 and 89 <= period.days <= 92:
        start = add_months(period.start, -3)
        return Period(start, date.fromordinal(max(1, period.start.toordinal() - 1)), f"the quarter from {start}")
    last = max(2, period.start.toordinal() - 1)
    first = date.fromordinal(max(1, last - period.days + 1))
    return Period(first, date.fromordinal(last), f"{first} to {date.fromordinal(last)}")
