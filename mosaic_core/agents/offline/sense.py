"""What was understood of a question so far, and which of its words each intent can honour. Pure.

What an intent does nothing with speaks against it: "largest" in a question that was read as a sum means that it was
misread, and the question is refused.
"""

# ruff: noqa: E501 - patterns and word lists read worse when they are broken
from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from mosaic_core.agents.offline.reading import Mark
from mosaic_core.agents.offline.words import Tag
from mosaic_core.ledger.query import Aspect, Group, Intent, Subject

_T = Tag

_ANYWHERE: Final = frozenset(
    {
        _T.PERIOD, _T.BOUND, _T.SUBJECT, _T.AND, _T.MONEY, _T.SPEND, _T.PAY, _T.EXPENSES, _T.BUY, _T.VISIT, _T.ONE,
        _T.TRANSACTION, _T.INCOME, _T.EARN, _T.PAID_ME, _T.MONEY_IN, _T.MONEY_OUT, _T.REFUND, _T.TRANSFER, _T.TARGET, _T.SAVE,
        _T.WHAT, _T.YES_NO, _T.OTHER, _T.NET_OF_REFUNDS, _T.TOTAL,
    }
)  # fmt: skip
_SERIES: Final = frozenset({_T.RECURRING, _T.SUBSCRIPTION, _T.PRICE})
_COMPARING: Final = frozenset(
    {_T.MORE, _T.LESS, _T.THAN, _T.OR, _T.VERSUS, _T.DIFFERENCE, _T.COMPARE, _T.UP, _T.DOWN, _T.CHANGE, _T.BEFORE, _T.YEAR_EARLIER}
)  # fmt: skip
_HONOURED: Final[dict[Intent, frozenset[Tag]]] = {
    Intent.TOTAL: frozenset({_T.HOW_MUCH, _T.LIST, _T.WHICH, _T.PRICE, _T.SINGLE, _T.RECURRING, _T.SUBSCRIPTION}),
    Intent.COUNT: frozenset({_T.HOW_MANY, _T.TIMES, _T.GROUP, _T.SINGLE, _T.OFTEN, _T.SUBSCRIPTION, _T.LIST}),
    Intent.HOW_OFTEN: frozenset({_T.HOW_OFTEN, _T.TIMES, _T.SINGLE, _T.HOW_MANY}),
    Intent.AVERAGE: frozenset(
        {_T.AVERAGE, _T.PER, _T.HOW_MUCH, _T.HOW_MANY, _T.TIMES, _T.PRICE, _T.SUBSCRIPTION, _T.SINGLE, _T.RECURRING}
    ),
    Intent.LARGEST: frozenset(
        {_T.MAX, _T.MOST, _T.TOP, _T.NUMBER, _T.HOW_MUCH, _T.SINGLE, _T.WHERE, _T.WHO, _T.WHICH, _T.WHEN, _T.GROUP, _T.LIST, _T.LAST}
    ),
    Intent.RANKING: frozenset(
        {_T.MAX, _T.MIN, _T.MOST, _T.LEAST, _T.OFTEN, _T.TOP, _T.NUMBER, _T.GROUP, _T.WHERE, _T.WHO, _T.WHICH, _T.HOW_MUCH, _T.LIST, _T.SINGLE, _T.WHEN, _T.TIMES, _T.BREAKDOWN, _T.PER, _T.MORE}
    ),
    Intent.BREAKDOWN: frozenset({_T.BREAKDOWN, _T.GROUP, _T.PER, _T.HOW_MUCH, _T.LIST, _T.WHERE}),
    Intent.LIST: frozenset(
        {_T.LIST, _T.WHICH, _T.WHERE, _T.WHO, _T.GROUP, _T.NUMBER, _T.LAST, _T.SINGLE, _T.TOP, _T.HOW_MUCH}
    ),
    Intent.COMPARE: _COMPARING | {
        _T.HOW_MUCH, _T.HOW_MANY, _T.TIMES, _T.OFTEN, _T.MOST, _T.LEAST, _T.WHICH, _T.WHERE, _T.WHO, _T.GROUP, _T.PERCENT, _T.MAX, _T.MIN, _T.SINGLE, _T.HOW_OFTEN,
    },
    Intent.CHANGES: _COMPARING | {_T.WHICH, _T.GROUP, _T.HOW_MUCH, _T.MOST, _T.LIST, _T.WHERE},
    Intent.SHARE: frozenset({_T.PERCENT, _T.HOW_MUCH, _T.WHICH, _T.GROUP, _T.MAX}),
    Intent.EXISTS: frozenset({_T.LIST, _T.SINGLE, _T.TIMES, _T.SUBSCRIPTION}),
    Intent.EXCEEDS: frozenset({_T.MORE, _T.LESS, _T.THAN, _T.LIST}),
    Intent.LAST: frozenset(
        {_T.LAST, _T.WHEN, _T.WHERE, _T.WHO, _T.WHICH, _T.AGO, _T.HOW_MUCH, _T.NUMBER, _T.LIST, _T.STOP, _T.SUBSCRIPTION, _T.RECURRING, _T.GROUP, _T.SINGLE, _T.TIMES, _T.HOW_MANY}
    ),
    Intent.FIRST: frozenset(
        {_T.FIRST, _T.WHEN, _T.WHERE, _T.WHO, _T.WHICH, _T.HOW_MUCH, _T.NUMBER, _T.LIST, _T.START, _T.SUBSCRIPTION, _T.RECURRING, _T.GROUP, _T.TIMES}
    ),
    Intent.RECURRING: _SERIES | {
        _T.HOW_MUCH, _T.HOW_MANY, _T.LIST, _T.WHICH, _T.WHERE, _T.MAX, _T.MIN, _T.MOST, _T.LEAST, _T.PER, _T.GROUP, _T.NUMBER, _T.TOP,
    },
    Intent.NET: frozenset(
        {_T.NET, _T.OVERSPENT, _T.EXCEPT, _T.MORE, _T.LESS, _T.THAN, _T.VERSUS, _T.HOW_MUCH, _T.COMPARE, _T.DIFFERENCE, _T.UP, _T.DOWN}
    ),
    Intent.PRICE_CHANGE: _SERIES | {
        _T.UP, _T.DOWN, _T.CHANGE, _T.BEFORE, _T.LAST, _T.HOW_MUCH, _T.PERCENT, _T.WHICH, _T.LIST, _T.MORE, _T.LESS, _T.THAN,
    },
}  # fmt: skip
_HONOURED[Intent.SMALLEST] = (_HONOURED[Intent.LARGEST] - {_T.MAX, _T.MOST}) | {_T.MIN, _T.LEAST}


@lru_cache(maxsize=256)
def sequence(pattern: str) -> re.Pattern[str]:
    return re.compile(
        re.sub(r"[A-Z]{2,}", lambda m: rf"(?<![A-Z+])(?:[A-Z]+\+)*{m[0]}(?:\+[A-Z]+)*(?![A-Z+])", pattern)
    )


@dataclass(slots=True)
class Sense:
    """What was understood so far. ``sides`` is how many things there are to compare."""

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
    intent: Intent = Intent.TOTAL
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
    extra: set[Tag] = field(default_factory=set)

    def has(self, *tags: Tag) -> bool:
        return not self.tags.isdisjoint(tags)

    def runs(self, pattern: str) -> bool:
        return sequence(pattern).search(self.shape) is not None

    def said(self, pattern: str) -> bool:
        return re.search(pattern, self.text) is not None

    def is_(self, intent: Intent, aspect: Aspect = Aspect.AMOUNT) -> None:
        self.intent, self.aspect = intent, aspect

    def dishonoured(self) -> list[Mark]:
        """The marks that the chosen intent does nothing with."""
        if self.unread:
            return list(self.marks)
        honoured = _ANYWHERE | _HONOURED[self.intent] | self.extra
        return [mark for mark in self.marks if mark.tags.isdisjoint(honoured)]
