"""From a question in plain English to a `Query`, or to the reason why the ledger cannot answer it. Pure.

Names, times, amounts and phrases are marked in the question one after another, the marks are composed to a query by the
rules. A word that none of them explains is a refusal: an answer to half a question is a wrong answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from datetime import date
from typing import Final

from mosaic_core.agents.offline.lexicon import turn
from mosaic_core.agents.offline.reading.facts import EARNT, Facts, Meaning, facts_of, tags
from mosaic_core.agents.offline.reading.marks import Reading, Tag, lex, take_minus
from mosaic_core.agents.offline.reading.name_reading import read_names, take_partial_names
from mosaic_core.agents.offline.reading.narrowing import narrow
from mosaic_core.agents.offline.reading.reading_rules import decide
from mosaic_core.agents.offline.reading.refusals import not_understood
from mosaic_core.agents.offline.reading.subjects import TOPICS, part_of, subjects_of
from mosaic_core.ledger.compute import flow_there, steady
from mosaic_core.ledger.merchants import Merchants
from mosaic_core.ledger.periods import Period, everything, joined, just_before, year_earlier
from mosaic_core.ledger.query import Asked, Flow, Group, Intent, Query, Refusal, Subject
from mosaic_core.ledger.rows import Row
from mosaic_core.ledger.topics import WHOLE_CATEGORIES

_LEAST_CONTENT: Final = frozenset(Tag) - tags(
    "PERIOD OTHER YES_NO NUMBER WHAT WHICH WHO WHERE WHEN AND OR LIST GROUP HOW_MANY TIMES LAST FIRST THAN MONEY VISIT"
    " START STOP AGO SINGLE PER"
)
"""Tags that make a question one on money; others alone may be a question on anything."""


def understand(question: str, rows: Sequence[Row], *, as_of: date) -> Query | Refusal:
    """The question as a query on ``rows`` (oldest first, none after ``as_of``), or a refusal."""
    merchants = Merchants(rows)
    reading = read_names(question, merchants)
    if isinstance(reading, Refusal):
        return reading
    query, periods, no_account = narrow(reading, rows, as_of)
    for match in turn("going_out").finditer(reading.free):
        reading.take(*match.span(), Tag.MONEY_OUT)
    lex(reading, TOPICS)
    take_minus(reading)
    unread, doubt = take_partial_names(reading, merchants)
    if unread is not None:
        return unread
    if no_account is not None:
        return Refusal("unknown_account", f"The ledger does not tell which account is meant by {no_account.strip()!r}.")
    asked, without, flow = subjects_of(reading, rows)
    query = replace(query, subjects=asked, without=without, doubt=min(doubt, 0.5))
    if (not_there := _not_there(query, reading, rows)) is not None:
        return not_there
    fixed = bool(asked) and steady(rows, asked)
    facts = facts_of(reading, asked, periods, bounded=query.bounds.given, fixed_series=fixed)
    meaning, left = decide(facts)
    if left:
        return not_understood(reading.of(min(left, key=lambda mark: mark.start)))
    return _query(query, facts, meaning, periods, flow, rows)


def _not_there(query: Query, reading: Reading, rows: Sequence[Row]) -> Refusal | None:
    """What is asked about and is not in the ledger. Of a category that has no rows, nothing was spent; a kind of
    merchant without rows may only be unknown to us."""
    if query.currency is not None and all(row.tx.currency != query.currency for row in rows):
        return Refusal("unknown_currency", f"The ledger has nothing in {query.currency}.")
    for subject in (*query.subjects, *query.without):
        if not subject.ids and subject.name not in WHOLE_CATEGORIES:
            return Refusal("no_such_rows", f"The ledger has no rows that I can tell to be {subject.name}.")
    if not any(mark.tags & _LEAST_CONTENT for mark in reading.marks):
        return Refusal("not_understood", "I could not tell what about the ledger was asked.")
    return None


def _query(
    query: Query, facts: Facts, meaning: Meaning, periods: Sequence[Period], topic_flow: Flow | None,
    rows: Sequence[Row],
) -> Query | Refusal:  # fmt: skip
    """The query with what the rules made of the question."""
    asked = query.subjects
    whole: tuple[Subject, ...] = ()
    if meaning.intent is Intent.SHARE and len(asked) == 2:
        parts = part_of(facts, asked)
        if parts is None:
            return not_understood(" and ".join(subject.name for subject in asked))
        asked, whole = parts
    times = _times(facts, meaning, periods, query.as_of)
    if times is None:
        return not_understood(" and ".join(period.label for period in periods))
    if query.weekdays and query.weekdays.isdisjoint(times[0].weekdays):
        return not_understood(times[0].label)  # "on Monday and Tuesday": of one Monday, no Tuesday
    flow = _flow(facts, meaning, topic_flow, named=bool(asked))
    if asked and meaning.intent is not Intent.SHARE:
        there = flow_there(flow, asked, rows)
        if there is None:
            return Refusal("no_such_rows", f"The ledger has no {flow.value} that I can tell to be of {asked[0].name}.")
        flow = there
    income = "income" if facts.has(*EARNT) else "payments"
    return replace(
        query,
        **{field.name: getattr(meaning, field.name) for field in fields(Asked)},
        flow=flow,
        period=times[0],
        other_period=times[1],
        subjects=asked,
        whole=whole,
        net_of_refunds=facts.has(Tag.NET_OF_REFUNDS),
        recurring_kind="subscriptions" if facts.has(Tag.SUBSCRIPTION) else income,
    )


# ---------------------------------------------------------------------------------------- which times and which money


def _times(
    facts: Facts, meaning: Meaning, periods: Sequence[Period], as_of: date
) -> tuple[Period, Period | None] | None:
    """The question's period and the one it is compared with; None where its times cannot be put together."""
    if meaning.intent not in (Intent.COMPARE, Intent.CHANGES) or meaning.by_subject:
        whole = joined(periods) if periods else everything(as_of)
        return (whole, None) if whole is not None else None
    if len(periods) > 2:
        return None
    if len(periods) == 2:
        first, second = periods
    elif periods and len(periods[0].parts) == 2:
        first, second = periods[0].parts
        if facts.said("between") and not meaning.later_first:
            # No stretch from one to the other: each is the one that its name means by itself.
            first = periods[0].alone or first
    else:
        first = periods[0] if periods else Period(as_of.replace(day=1), as_of, f"this month ({as_of:%B %Y})")
        return first, year_earlier(first) if facts.has(Tag.YEAR_EARLIER) else just_before(first)
    if (meaning.later_first and second.start > first.start) or meaning.swapped:
        first, second = second, first
    return first, second


_MEASURES: Final = frozenset(
    {Intent.AVERAGE, Intent.LARGEST, Intent.SMALLEST, Intent.RANKING, Intent.TOTAL, Intent.COMPARE, Intent.BREAKDOWN}
)


def _flow(facts: Facts, meaning: Meaning, topic_flow: Flow | None, *, named: bool) -> Flow:
    """The flow that the question's words ask for."""
    has = facts.has
    if meaning.intent is Intent.SHARE and (has(Tag.INCOME) or topic_flow is Flow.INCOME):
        return Flow.INCOME
    if topic_flow is not None:
        # "What was spent since payday", "spent on benefits": no rows are both.
        spent = has(Tag.SPEND, Tag.BUY) and not has(Tag.INCOME, Tag.EARN, Tag.PAID_ME, Tag.MONEY_IN)
        return Flow.SPENDING if topic_flow is Flow.INCOME and spent else topic_flow
    if has(Tag.REFUND) and not has(Tag.NET_OF_REFUNDS):
        return Flow.REFUNDS
    if has(Tag.TARGET) or (has(Tag.TRANSFER) and not has(Tag.EXPENSES)):
        if facts.said("coming"):
            return Flow.TRANSFERS_IN
        # Of what was moved, one side is summed: both together are nothing.
        out = has(Tag.TARGET) or facts.said("going") or meaning.intent in (*_MEASURES, Intent.CHANGES)
        return Flow.TRANSFERS_OUT if out else Flow.TRANSFERS
    sold = facts.said("made") and has(Tag.ONE, Tag.TRANSACTION, Tag.VISIT, Tag.BUY)
    if has(Tag.INCOME, Tag.PAID_ME) or (has(Tag.EARN) and not sold):
        return Flow.INCOME
    mine = facts.said("my_money") and meaning.group is Group.MERCHANT
    if has(Tag.MONEY_IN) and not has(Tag.SPEND, Tag.BUY) and not mine:
        return Flow.MONEY_IN if named else Flow.INCOME
    spends = has(Tag.SPEND, Tag.PAY, Tag.EXPENSES, Tag.BUY, Tag.VISIT, Tag.MONEY_OUT) or facts.said("purchase")
    plain = has(Tag.TRANSACTION) and not (spends or named or facts.bounded)
    # The largest or the average "transaction", or one "over $100", means what was spent; all of them, or their number,
    # means all.
    return Flow.ANY if plain and meaning.intent not in _MEASURES else Flow.SPENDING
