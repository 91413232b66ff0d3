"""What stands in a question, for the rules to look at, and what a rule makes of it. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from functools import lru_cache
from typing import Any

from mosaic_core.agents.offline.lexicon import turn
from mosaic_core.agents.offline.reading.marks import Mark, Reading, Tag
from mosaic_core.ledger.periods import Period
from mosaic_core.ledger.query import Asked, Aspect, Group, Intent, Subject

_T = Tag
SPENT = (_T.SPEND, _T.PAY, _T.EXPENSES, _T.MONEY_OUT)
EARNT = (_T.INCOME, _T.EARN, _T.PAID_ME, _T.MONEY_IN)
ROWS = (_T.ONE, _T.TRANSACTION, _T.EXPENSES)
"""Tags of words for rows."""


def tags(names: str) -> frozenset[Tag]:
    return frozenset(Tag[name] for name in names.split())


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning(Asked):
    """What a rule makes of a question. ``also`` are tags that it makes something of here, beyond those that it always
    honours; ``unread``: what is asked is nothing that the ledger's figures can be put together to. Of two times,
    ``later_first`` and ``swapped`` say which is asked about, ``by_subject`` that not they are compared."""

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

    def means(self, intent: Intent, aspect: Aspect = Aspect.AMOUNT, **otherwise: Any) -> Meaning:
        """The intent with the group, unit and number that the words say, where ``otherwise`` says nothing else."""
        plainly = Meaning(intent=intent, aspect=aspect, group=self.group, per=self.per, n=self.n)
        return replace(plainly, **otherwise) if otherwise else plainly


class Weight(IntEnum):
    """How much of a question a rule's words pin down: nothing but what it is about; rows, their number, or whether
    there are any; which of the rows, or how they are put together; figures against each other, an amount or today; one
    kind of figure and no other, as a price's change, a share, or what is left over."""

    PLAIN = 0
    ROWS = 1
    SHAPE = 2
    RELATION = 3
    FIGURE = 4


type Reads = Callable[[Facts], Meaning | None]


@dataclass(frozen=True, slots=True)
class Rule:
    """``reads`` says what it makes of a question, None where it does not hold. ``honours`` is what it makes something
    of; ``over`` is the rule of its weight that it comes before, and with it before those that this one does."""

    reads: Reads
    weight: Weight
    honours: frozenset[Tag]
    over: str

    @property
    def name(self) -> str:
        return self.reads.__name__


def rule(weight: Weight, honours: str, over: str = "") -> Callable[[Reads], Rule]:
    return lambda reads: Rule(reads, weight, tags(honours), over)


@lru_cache(maxsize=256)
def sequence(pattern: str) -> re.Pattern[str]:
    return re.compile(
        re.sub(r"[A-Z]{2,}", lambda m: rf"(?<![A-Z+])(?:[A-Z]+\+)*{m[0]}(?:\+[A-Z]+)*(?![A-Z+])", pattern)
    )


def facts_of(
    reading: Reading, subjects: tuple[Subject, ...], periods: Sequence[Period], *, bounded: bool, fixed_series: bool
) -> Facts:
    marks = tuple(reading.in_order())
    said = frozenset(tag for mark in marks for tag in mark.tags)
    if _T.CHANGE in said and all(_T.TRANSFER in mark.tags for mark in marks if _T.CHANGE in mark.tags):
        # "Shifted into savings" moves money, "how has it shifted" does not.
        said -= {_T.CHANGE} if _T.TARGET in said else {_T.TRANSFER}
    # A verb opens a question on "whether", after a time or "compared with August" too.
    opening = reading.without(lambda mark: bool(mark.tags & {_T.PERIOD, _T.COMPARE, _T.THAN}))
    numbers = [mark.value for mark in marks if _T.NUMBER in mark.tags and isinstance(mark.value, int)]
    return Facts(
        text=reading.without(lambda mark: _T.SUBJECT in mark.tags and isinstance(mark.value, Subject)),
        shape=reading.shape,
        tags=said,
        marks=marks,
        subjects=subjects,
        periods=len(periods),
        ranges=sum(len(period.parts) == 2 for period in periods),
        bounded=bounded,
        yes_no=bool(turn("opens_with_a_verb").match(opening) or turn("whether").search(reading.text)),
        fixed_series=fixed_series,
        group=_group(reading, marks, said),
        per=next((str(mark.value) for mark in marks if _T.PER in mark.tags), None),
        n=max(1, min(numbers[0], 100)) if numbers else None,
    )


def _group(reading: Reading, marks: tuple[Mark, ...], said: frozenset[Tag]) -> Group | None:
    # "How many times did I shop at" names no shop.
    counting = not said.isdisjoint({_T.TIMES, _T.HOW_MANY, _T.HOW_OFTEN, _T.LAST, _T.FIRST})
    for mark in marks:
        verb = counting and _T.BUY in mark.tags
        if _T.GROUP in mark.tags and not (verb and not turn("asked_for").search(reading.text[: mark.start])):
            return Group(str(mark.value))
    return None
