"""A question as marks: which of its words say what, and which nothing has explained. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from mosaic_core.agents.offline.lexicon import load
from mosaic_core.domain.wordlists import phrases
from mosaic_core.ledger.date_words import number

Tag = StrEnum(
    "Tag",
    # what is asked
    "HOW_MUCH HOW_MANY HOW_OFTEN TIMES TOTAL AVERAGE PER MAX MIN MOST LEAST OFTEN TOP FIRST LAST WHEN WHERE WHO WHAT"
    " WHICH AGO LIST BREAKDOWN GROUP"
    # how things relate
    " MORE LESS THAN OR AND VERSUS DIFFERENCE COMPARE UP DOWN CHANGE PERCENT EXCEPT BEFORE YEAR_EARLIER NET"
    " NET_OF_REFUNDS OVERSPENT SINGLE"
    # which money, and what of it returns
    " SPEND PAY EXPENSES BUY VISIT ONE TRANSACTION INCOME EARN PAID_ME MONEY_IN MONEY_OUT REFUND TRANSFER SAVE MONEY"
    " RECURRING SUBSCRIPTION PRICE START STOP"
    # found by other means
    " TARGET SUBJECT PERIOD BOUND NUMBER YES_NO OTHER",
)
"""What a phrase says. The names, in lower case, are those of the lists in `lexicon`, which say what each stands for."""

TAKEN: Final = "\x00"
"""What stands in place of a letter that has been explained."""
TOKEN: Final = re.compile(
    r"(?:[0-9a-z&+%']|[^\x00-\x7f$€£¥])(?:[0-9a-z&+'./*%_]|[^\x00-\x7f$€£¥])*(?:-(?:[0-9a-z]|[^\x00-\x7f$€£¥])+)*"
)
"""A word, of whatever script, a number, or what a name is written with."""
_LONGEST: Final = 8
"""Words of a phrase."""

type Said = tuple[frozenset[Tag], object]
"""The tags of a phrase, and the unit, group or topic that it names."""
type Phrases = Mapping[tuple[str, ...], Said]


@dataclass(frozen=True, slots=True)
class Mark:
    """A stretch of the question and what it says. ``value`` is the unit, group, number or subject that it names."""

    start: int
    end: int
    tags: frozenset[Tag]
    value: object = None


def blanked(text: str, marks: Iterable[Mark]) -> str:
    for mark in marks:
        text = text[: mark.start] + "~" * (mark.end - mark.start) + text[mark.end :]
    return text


@dataclass(slots=True)
class Reading:
    """A question under reading: ``text`` as it stands, ``free`` with explained letters blanked, the marks so far."""

    text: str
    free: str = ""
    marks: list[Mark] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.free = self.free or self.text

    def take(self, start: int, end: int, *tags: Tag, value: object = None) -> None:
        self.free = self.free[:start] + TAKEN * (end - start) + self.free[end:]
        self.marks.append(Mark(start, end, frozenset(tags), value))

    def in_order(self) -> list[Mark]:
        return sorted(self.marks, key=lambda mark: mark.start)

    def has(self, *tags: Tag) -> bool:
        return any(not mark.tags.isdisjoint(tags) for mark in self.marks)

    def of(self, mark: Mark) -> str:
        """The words of a mark."""
        return self.text[mark.start : mark.end]

    def without(self, which: Callable[[Mark], bool]) -> str:
        """The text with the words of such marks blanked."""
        return blanked(self.text, filter(which, self.marks))

    @property
    def shape(self) -> str:
        """The tags in the question's order, in one word each; several of one phrase are joined by "+"."""
        return " ".join("+".join(sorted(tag.name.replace("_", "") for tag in mark.tags)) for mark in self.in_order())


def lists() -> Iterator[tuple[Tag, str | None, Mapping[str, str]]]:
    """The lists of phrases, each with what its phrases say and the unit or group that they name."""
    for file in ("asking", "relating", "money"):
        yield from ((Tag[name.upper()], None, entry) for name, entry in load(file).items())
    for tag in (Tag.GROUP, Tag.PER):
        yield from ((tag, unit, entry) for unit, entry in load("units")[tag.name.lower()].items())


def _vocabulary() -> Phrases:
    table: dict[tuple[str, ...], Said] = {}
    for tag, unit, entry in lists():
        for phrase in phrases(entry["words"]):
            tags, other = table.get(words := tuple(phrase.split()), (frozenset(), None))
            table[words] = (tags | {tag}, unit or other)
    return table


VOCABULARY: Final = _vocabulary()
"""Each phrase of the lists by its words. What is in none of them, names no merchant and no topic, and is no time or
amount, was not understood, and a question with such a word is not answered."""
FILLER: Final = frozenset(load("filler")["filler"]["words"].split())


def lex(reading: Reading, topics: Phrases) -> None:
    """Mark every phrase of the vocabulary, and of ``topics``, in what is still free, longest first at each place; then
    numbers."""
    tokens = [*TOKEN.finditer(reading.free)]
    bare = [m.group().strip("'.") for m in tokens]
    words = [word if word in FILLER else word.removesuffix("'s") for word in bare]
    for i, first in enumerate(tokens):
        for length in range(min(_LONGEST, len(tokens) - i), 0, -1):
            start, end = first.start(), tokens[i + length - 1].end()
            said = tuple(words[i : i + length])
            hit = topics.get(said) or VOCABULARY.get(said)
            if hit is not None and TAKEN not in reading.free[start:end] and "," not in reading.free[start:end]:
                reading.take(start, end, *hit[0], value=hit[1])
                break
        else:
            count = number(bare[i]) if bare[i] not in FILLER else None
            if count is not None and TAKEN not in reading.free[first.start() : first.end()]:
                reading.take(*first.span(), Tag.NUMBER, value=count)


_MINUS: Final = frozenset({"minus", "less", "take away"})


def take_minus(reading: Reading) -> None:
    """ "A minus B", of two merchants, two topics or two times, is their difference and leaves nothing out."""
    marks = reading.in_order()
    for i, mark in enumerate(marks[1:-1], 1):
        if reading.of(mark) not in _MINUS:
            continue
        before, after = marks[i - 1], marks[i + 1]
        times = any(Tag.PERIOD in m.tags for m in marks[:i]) and Tag.PERIOD in after.tags
        sides = Tag.SUBJECT in before.tags & after.tags and type(before.value) is type(after.value)
        if times or sides:
            reading.marks[reading.marks.index(mark)] = Mark(mark.start, mark.end, frozenset({Tag.DIFFERENCE}))


def unexplained(reading: Reading) -> list[tuple[int, str]]:
    """The words that nothing has explained and that are not filler, with their places. A single letter is one only of
    another script: "を" says something, "a" or a stray "s" nothing."""
    return [
        (m.start(), m.group())
        for m in TOKEN.finditer(reading.free)
        if (word := m.group().strip("'.*/")) and word not in FILLER and word.removesuffix("'s") not in FILLER
        and not (len(word) == 1 and word.isascii() and not word.isdigit())
    ]  # fmt: skip
