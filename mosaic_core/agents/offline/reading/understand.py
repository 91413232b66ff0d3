"""From a question in plain English to a `Query`, or to the reason why the ledger cannot answer it. Pure.

Names, times, amounts and phrases are marked in the question one after another, the marks are composed to a query by the
rules. A word that none of them explains is a refusal: an answer to half a question is a wrong answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import fields
from datetime import date
from typing import Final

from mosaic_core.agents.offline.lexicon import turn
from mosaic_core.agents.offline.reading.facts import EARNT, Facts, Meaning, facts_of
from mosaic_core.agents.offline.reading.flows import flow_of
from mosaic_core.agents.offline.reading.marks import TAKEN, TOKEN, Reading, Tag, lex, take_minus
from mosaic_core.agents.offline.reading.name_reading import find_names, of_merchant, take_partial_names, unknown_brand
from mosaic_core.agents.offline.reading.narrowing import Narrowed, narrow
from mosaic_core.agents.offline.reading.question_text import tidy
from mosaic_core.agents.offline.reading.reading_rules import decide
from mosaic_core.agents.offline.reading.refusals import refusal_of
from mosaic_core.agents.offline.reading.subjects import TOPICS, Subjects, part_of, subjects_of
from mosaic_core.agents.offline.reading.times import times_of
from mosaic_core.ledger.compute import steady
from mosaic_core.ledger.merchants import Merchants
from mosaic_core.ledger.query import Asked, Intent, Query, Refusal, Subject
from mosaic_core.ledger.rows import Row
from mosaic_core.ledger.topics import WHOLE_CATEGORIES

_LETTER: Final = re.compile(r"[^\W\d_]")
_LEAST_CONTENT: Final = frozenset(Tag) - {
    Tag.PERIOD, Tag.OTHER, Tag.YES_NO, Tag.NUMBER, Tag.WHAT, Tag.WHICH, Tag.WHO, Tag.WHERE, Tag.WHEN, Tag.AND, Tag.OR,
    Tag.LIST, Tag.GROUP, Tag.HOW_MANY, Tag.TIMES, Tag.LAST, Tag.FIRST, Tag.THAN, Tag.MONEY, Tag.VISIT, Tag.START,
    Tag.STOP, Tag.AGO, Tag.SINGLE, Tag.PER,
}  # fmt: skip
"""Tags that make a question one on money; others alone may be a question on anything."""


def understand(question: str, rows: Sequence[Row], *, as_of: date) -> Query | Refusal:
    """The question as a query on ``rows`` (oldest first, none after ``as_of``), or a refusal."""
    text = tidy(question)
    if not _says_something(text):
        return Refusal("not_understood", "I could not read a question on the ledger in that.")
    merchants = Merchants(rows)
    reading = _with_names(text, question, merchants)
    if isinstance(reading, Refusal):
        return reading
    narrowed = narrow(reading, rows, as_of)
    for match in turn("going_out").finditer(reading.free):
        reading.take(*match.span(), Tag.MONEY_OUT)
    lex(reading, TOPICS)
    take_minus(reading)
    unknown, unread, doubt = take_partial_names(reading, merchants)
    if unknown is not None:
        return _unknown(unknown)
    if unread is not None:
        return _not_understood(unread)
    subjects = subjects_of(reading, rows)
    if (not_there := _not_there(narrowed, subjects, reading, rows)) is not None:
        return not_there
    facts = facts_of(
        reading,
        subjects.asked,
        narrowed.periods,
        bounded=narrowed.bounds[:2] != (None, None),
        fixed_series=bool(subjects.asked) and steady(rows, subjects.asked),
    )
    meaning, left = decide(facts)
    if left:
        return _not_understood(reading.of(min(left, key=lambda mark: mark.start)))
    return _query(facts, meaning, subjects, narrowed, rows, as_of=as_of, doubt=doubt)


def _says_something(text: str) -> bool:
    """Whether there is a word; a stray Latin letter is none."""
    words = (m.group() for m in TOKEN.finditer(text))
    return any(_LETTER.search(word) and (len(word) > 1 or not word.isascii()) for word in words)


def _with_names(text: str, question: str, merchants: Merchants) -> Reading | Refusal:
    """The reading with its merchants marked; a refusal where it names an unknown one, or what no ledger can answer."""
    names = find_names(text, merchants, question)
    reading = Reading(names.text)
    for start, end, merchant in names.spans:
        if merchant is None:
            return _unknown(names.text[start:end].strip('"'))
        reading.take(start, end, Tag.SUBJECT, value=of_merchant(merchant))
    refusal = refusal_of(reading.free.replace(TAKEN, " "))
    if refusal is not None:
        return refusal
    brand = unknown_brand(reading)
    return reading if brand is None or merchants.find(brand, guess=False) is not None else _unknown(brand)


def _not_there(narrowed: Narrowed, subjects: Subjects, reading: Reading, rows: Sequence[Row]) -> Refusal | None:
    """What is asked about and is not in the ledger. Of a category that has no rows, nothing was spent; a kind of
    merchant without rows may only be unknown to us."""
    if narrowed.no_account is not None:
        said = narrowed.no_account.strip()
        return Refusal("unknown_account", f"The ledger does not tell which account is meant by {said!r}.")
    if narrowed.currency is not None and all(row.tx.currency != narrowed.currency for row in rows):
        return Refusal("unknown_currency", f"The ledger has nothing in {narrowed.currency}.")
    for subject in (*subjects.asked, *subjects.without):
        if not subject.ids and subject.name not in WHOLE_CATEGORIES:
            return Refusal("no_such_rows", f"The ledger has no rows that I can tell to be {subject.name}.")
    if not any(mark.tags & _LEAST_CONTENT for mark in reading.marks):
        return Refusal("not_understood", "I could not tell what about the ledger was asked.")
    return None


def _query(
    facts: Facts,
    meaning: Meaning,
    subjects: Subjects,
    narrowed: Narrowed,
    rows: Sequence[Row],
    *,
    as_of: date,
    doubt: float,
) -> Query | Refusal:
    asked = subjects.asked
    whole: tuple[Subject, ...] = ()
    if meaning.intent is Intent.SHARE and len(asked) == 2:
        parts = part_of(facts, asked)
        if parts is None:
            return _not_understood(_listed(subject.name for subject in asked))
        asked, whole = parts
    times = times_of(facts, meaning, narrowed.periods, as_of)
    if times is None:
        return _not_understood(_listed(period.label for period in narrowed.periods))
    income = "income" if facts.has(*EARNT) else "payments"
    return Query(
        **{field.name: getattr(meaning, field.name) for field in fields(Asked)},
        flow=flow_of(facts, meaning, asked, subjects.flow, rows),
        as_of=as_of,
        period=times[0],
        other_period=times[1],
        subjects=asked,
        without=subjects.without,
        whole=whole,
        bounds=narrowed.bounds,
        currency=narrowed.currency,
        account_id=narrowed.account,
        weekdays=narrowed.weekdays,
        net_of_refunds=facts.has(Tag.NET_OF_REFUNDS),
        recurring_kind="subscriptions" if facts.has(Tag.SUBSCRIPTION) else income,
        doubt=min(doubt, 0.5),
    )


def _listed(names: Iterable[str]) -> str:
    return " and ".join(names)


def _unknown(name: str) -> Refusal:
    return Refusal("unknown_merchant", f"The ledger has nothing by the name of {name!r}.", (("unknown", name),))


def _not_understood(words: str) -> Refusal:
    text = f"I did not understand {words!r} in that, so I give no figure."
    return Refusal("not_understood", text, (("not_understood", words),))
