"""What a question is about, and what it leaves out: merchants, topics, own accounts. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise, takewhile
from typing import Final

from mosaic_core.agents.offline.lexicon import turn
from mosaic_core.agents.offline.reading.facts import Facts
from mosaic_core.agents.offline.reading.marks import Mark, Phrases, Reading, Tag, blanked
from mosaic_core.ledger.query import Flow, Subject
from mosaic_core.ledger.rows import Row, of_topic
from mosaic_core.ledger.topics import PHRASE_TOPICS, TRANSFERS, Topic

TOPICS: Final[Phrases] = {words: (frozenset({Tag.SUBJECT}), topic) for words, topic in PHRASE_TOPICS.items()}
_SALARY: Final = PHRASE_TOPICS[("salary",)]
_INTEREST_PAID: Final = PHRASE_TOPICS[("interest", "charges")]
_DAILY: Final = frozenset({"checking", "current", "joint"})
_BANK: Final = frozenset({"bank", "my bank"})


def subjects_of(
    reading: Reading, rows: Sequence[Row]
) -> tuple[tuple[Subject, ...], tuple[Subject, ...], Flow | None]:  # fmt: skip
    """(what is asked about, what is left out, the flow that a topic brings). Marks of what is left out are dropped from
    the reading."""
    excluded = _drop_excluded(reading)
    pays = reading.has(Tag.PAY)
    asked = _without_loose([mark for mark in reading.in_order() if Tag.SUBJECT in mark.tags], reading)
    topics = [mark.value for mark in asked if isinstance(mark.value, Topic)]
    subjects = _named(asked, rows, pays_interest=pays)
    if not subjects and reading.has(Tag.TARGET):
        subjects = (_own_account(reading, rows),)
    if not subjects and reading.has(Tag.PAID_ME) and (salary := of_topic(_SALARY, rows)).ids:
        subjects, topics = (salary,), [*topics, _SALARY]
    flows = {topic.flow for topic in topics if topic.flow is not None and not (topic.name == "interest" and pays)}
    flow = flows.pop() if len(flows) == 1 and subjects else None
    return subjects if reading.has(Tag.PERCENT) else _narrowed(subjects, reading), _named(excluded, rows), flow


def _own_account(reading: Reading, rows: Sequence[Row]) -> Subject:
    """The own account that money is said to go to or come from, where rows of transfers name it as that. "From checking
    to savings": what is put away goes by the name of the other account."""
    targets = [mark for mark in reading.in_order() if Tag.TARGET in mark.tags]
    words = [reading.of(mark).removeprefix("my ").split()[0] for mark in targets]
    word = next((word for word in words if word not in _DAILY), words[0])
    other = "to" if re.search(rf"\bfrom (my |our |the )?{re.escape(word)}", reading.text) else "from"
    stem = re.compile(rf"(?<!\b{other} )\b{re.escape(word[:3])}")
    ids = frozenset(row.tx.transaction_id for row in rows if row.category in TRANSFERS and stem.search(row.text))
    return Subject(word, "topic", ids)


def _named(marks: Sequence[Mark], rows: Sequence[Row], *, pays_interest: bool = False) -> tuple[Subject, ...]:
    """The subjects of the marks, each once."""
    found: dict[str, Subject] = {}
    for value in {id(mark.value): mark.value for mark in marks}.values():
        if isinstance(value, Topic):
            value = of_topic(_INTEREST_PAID if pays_interest and value.name == "interest" else value, rows)
        if isinstance(value, Subject):
            found.setdefault(value.name, value)
    return tuple(found.values())


def _without_loose(asked: list[Mark], reading: Reading) -> list[Mark]:
    """Without topics that only look like one: "how much cash has Uber had" is no question on a cash machine, "services
    that I subscribe to" none on the category, and a bank none where something else is named."""
    loose = reading.has(Tag.TARGET) or (
        turn("loose_cash").search(reading.text) is not None and reading.has(Tag.SPEND, Tag.PAY, Tag.EARN)
    )
    kept = [mark for mark in asked if reading.of(mark) not in _BANK] or asked
    names = [mark.value.name if isinstance(mark.value, Topic) else "" for mark in kept]
    gone = {"services"} if reading.has(Tag.SUBSCRIPTION) else set()
    gone |= {"cash withdrawals"} if loose or set(names) != {"cash withdrawals"} else set()
    return [mark for mark, name in zip(kept, names, strict=True) if name not in gone]


def _drop_excluded(reading: Reading) -> list[Mark]:
    """The subjects that follow "excluding" and the like, as far as they are joined by "and"; their marks are taken
    out."""
    marks = reading.in_order()
    gone: list[Mark] = []
    for i, mark in enumerate(marks):
        if Tag.EXCEPT in mark.tags:
            dropped = [*takewhile(lambda following: following.tags & _JOINED, marks[i + 1 :])]
            while dropped and Tag.AND in dropped[-1].tags:
                dropped.pop()
            if any(m.tags & {Tag.SUBJECT, Tag.REFUND, Tag.TRANSFER} for m in dropped):
                gone += [mark, *dropped]
    reading.marks = [mark for mark in reading.marks if mark not in gone]
    return [mark for mark in gone if Tag.SUBJECT in mark.tags]


_JOINED: Final = frozenset({Tag.SUBJECT, Tag.REFUND, Tag.TRANSFER, Tag.TARGET, Tag.AND, Tag.ONE, Tag.PAY})


def _narrowed(subjects: tuple[Subject, ...], reading: Reading) -> tuple[Subject, ...]:
    """ "Coffee at Luigi's" is what both have in common; "coffee and Luigi's" is both."""
    named = [mark for mark in reading.in_order() if Tag.SUBJECT in mark.tags]
    if len(subjects) != 2 or (named and turn("joined").search(reading.text[named[0].end : named[-1].start])):
        return subjects
    first, second = sorted(subjects, key=lambda subject: subject.kind == "topic")
    both = first.ids & second.ids
    if {first.kind, second.kind} == {"merchant", "topic"}:
        if first.ids <= second.ids:
            return (first,)
        return (Subject(f"{second.name} at {first.name}", "merchant", both, first.exact),)
    if first.kind == second.kind == "topic" and both and both in (first.ids, second.ids):
        # "the streaming subscription", "food delivery restaurants": the narrower of the two
        return (min(first, second, key=lambda subject: len(subject.ids)),)
    return subjects


def part_of(facts: Facts, subjects: tuple[Subject, ...]) -> tuple[tuple[Subject, ...], tuple[Subject, ...]] | None:
    """(the part, the whole) of a share that names two things: "what percentage of our food spending was DoorDash",
    "Aldi's share of groceries". Two things joined are one part of all; None where it cannot be told."""
    if facts.runs("SUBJECT AND SUBJECT"):
        return subjects, ()
    marks = [mark for mark in facts.marks if Tag.SUBJECT in mark.tags or Tag.PERCENT in mark.tags]
    if len(marks) != 3:
        return None
    text = blanked(facts.text, (mark for mark in facts.marks if Tag.PERIOD in mark.tags))
    of_it = [turn("of_the_whole").search(text[a.end : b.start].rstrip()) is not None for a, b in pairwise(marks)]
    percent = [Tag.PERCENT in mark.tags for mark in marks]
    if percent == [True, False, False] and of_it[0] != of_it[1]:
        return (subjects[1:], subjects[:1]) if of_it[0] else (subjects[:1], subjects[1:])
    if percent == [False, True, False] and of_it[1]:
        return subjects[:1], subjects[1:]
    return None
