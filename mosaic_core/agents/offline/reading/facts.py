"""What stands in a question, for the rules to look at, and what a rule makes of it. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from mosaic_core.agents.offline.lexicon import turn
from mosaic_core.agents.offline.reading.marks import Mark, Reading, Tag
from mosaic_core.ledger.query import Aspect, Group, Intent, Subject

_T = Tag
SPENT = (_T.SPEND, _T.PAY, _T.EXPENSES, _T.MONEY_OUT)
EARNT = (_T.INCOME, _T.EARN, _T.PAID_ME, _T.MONEY_IN)
ROWS = (_T.ONE, _T.TRANSACTION, _T.EXPENSES)
"""Tags of words for rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """What a rule makes of a question. ``also`` are tags that it makes something of here, beyond those of the table;
    ``unread``: what is asked is nothing that the ledger's figures can be put together to."""

    intent: Intent
    aspect: Aspect = Aspect.AMOUNT
    group: Group | None = None
    per: str | None = None
    n: int | None = None
    smallest: bool = False
    by_count: bool = False
    deficit: bool = False
    later_first: bool = False
    swapped: bool = False
    by_subject: bool = False
    unread: bool = False
    also: frozenset[Tag] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """``text`` has the names of merchants blanked: "at the UPS Store" says nothing of stores. ``shape`` are the tags in
    the question's order. ``periods`` and ``ranges`` count the times and those of them that have two ends, ``bounded``:
    an amount bounds the rows; ``fixed_series``: the subjects are bills of a fixed price. ``group``, ``per`` and ``n``
    are as the words say them."""

    text: str
    shape: str
    tags: frozenset[Tag]
    marks: tuple[Mark, ...]
    subjects: tuple[Subject, ...]
    periods: int
    ranges: int
    bounded: bool
    yes_no: bool
    fixed_series: bool
    group: Group | None
    per: str | None
    n: int | None

    def has(self, *tags: Tag) -> bool:
        return not self.tags.isdisjoint(tags)

    def runs(self, pattern: str) -> bool:
        """Whether the shape has such a run of tags."""
        return sequence(pattern).search(self.shape) is not None

    def said(self, *turns: str) -> bool:
        """Whether one of these turns of phrase stands in the question."""
        return any(turn(name).search(self.text) is not None for name in turns)

    def all_are(self, kind: str) -> bool:
        """Whether every subject is of that kind, "merchant" or "topic"; True without subjects."""
        return all(subject.kind == kind for subject in self.subjects)


@lru_cache(maxsize=256)
def sequence(pattern: str) -> re.Pattern[str]:
    return re.compile(
        re.sub(r"[A-Z]{2,}", lambda m: rf"(?<![A-Z+])(?:[A-Z]+\+)*{m[0]}(?:\+[A-Z]+)*(?![A-Z+])", pattern)
    )


def facts_of(
    reading: Reading, subjects: tuple[Subject, ...], *, periods: int, ranges: int, bounded: bool, fixed_series: bool
) -> Facts:
    marks = tuple(reading.in_order())
    tags = frozenset(tag for mark in marks for tag in mark.tags)
    moves = [mark for mark in marks if _T.CHANGE in mark.tags]
    if moves and all(_T.TRANSFER in mark.tags for mark in moves):
        # "Shifted into savings" moves money, "how has it shifted" does not.
        tags -= {_T.CHANGE} if _T.TARGET in tags else {_T.TRANSFER}
    numbers = [mark.value for mark in marks if _T.NUMBER in mark.tags and isinstance(mark.value, int)]
    return Facts(
        text=reading.without(lambda mark: _T.SUBJECT in mark.tags and isinstance(mark.value, Subject)),
        shape=reading.shape,
        tags=tags,
        marks=marks,
        subjects=subjects,
        periods=periods,
        ranges=ranges,
        bounded=bounded,
        yes_no=_asks_whether(reading),
        fixed_series=fixed_series,
        group=_group(reading, marks, tags),
        per=next((str(mark.value) for mark in marks if _T.PER in mark.tags), None),
        n=max(1, min(numbers[0], 100)) if numbers else None,
    )


def _asks_whether(reading: Reading) -> bool:
    """A verb opens the question, after a time or "compared with August" too; or it is asked "whether"."""
    text = reading.without(lambda mark: bool(mark.tags & {_T.PERIOD, _T.COMPARE, _T.THAN}))
    return turn("opens_with_a_verb").match(text) is not None or turn("whether").search(reading.text) is not None


def _group(reading: Reading, marks: tuple[Mark, ...], tags: frozenset[Tag]) -> Group | None:
    # "How many times did I shop at" names no shop.
    counting = not tags.isdisjoint({_T.TIMES, _T.HOW_MANY, _T.HOW_OFTEN, _T.LAST, _T.FIRST})
    for mark in marks:
        verb = counting and _T.BUY in mark.tags
        if _T.GROUP in mark.tags and not (verb and not turn("asked_for").search(reading.text[: mark.start])):
            return Group(str(mark.value))
    return None
