"""What a text names outright: a hint, which decides nothing about safety.

A text is data. Whether it orders something is of use to a person (the disposition of the 202, the audit, an approval's
title) and to the offline agent, which proposes the exact words where it finds an order. The words are in hints.toml.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from mosaic_core.domain import wordlists
from mosaic_core.domain.policy.impact import ImpactClass
from mosaic_core.domain.text import normalise

HINTS_FILE: Final = Path(__file__).with_name("hints.toml")

_FILE: Final[dict[str, Any]] = tomllib.loads(HINTS_FILE.read_text("utf-8"))
_IMPACTS: Final = {entry: ImpactClass(impact) for impact, entries in _FILE["impacts"].items() for entry in entries}
_VERBS: Final = frozenset(entry.partition(" ")[0] for entry in _IMPACTS)
_WORDS: Final[dict[str, list[str]]] = _FILE["words"] | {"verbs": [*_VERBS]}
_NOUNS, _OBJECTS, _NEVER = (frozenset(_WORDS[name]) for name in ("nouns", "objects", "never"))


_LISTS: Final = {
    name: f"({'|'.join(sorted(map(re.escape, words), key=len, reverse=True))})" for name, words in _WORDS.items()
}
"""Longest first, as alternatives."""


def patterns(name: str) -> Iterator[tuple[str, str]]:
    """The alternatives of one of the file's patterns, each with its case."""
    return wordlists.patterns(_FILE["patterns"][name].replace("\n    ", ""), _LISTS)


def _pattern(name: str) -> re.Pattern[str]:
    return re.compile("|".join(alternative for alternative, _ in patterns(name)), re.IGNORECASE)


_SENTENCES, _CLAUSES, _PARTED, _TAG, _ASKS, _PASSIVE, _WHEN, _SUBJECT, _AND, _CLAUSED, _AMOUNT, _NUMBER = map(
    _pattern, "sentences clauses parted tag asks passive when subject and claused amount number".split()
)
_OPENINGS, _POLITE, _WISHES, _NOT_OWN = map(_pattern, ("openings", "polite", "wishes", "not_own"))
_YEAR: Final = re.compile(r"(?:19|20)\d\d")
_LEADS: Final = 10
"""Openings that are taken off one clause."""


def _phrase(entry: str) -> re.Pattern[str]:
    words = (
        re.escape(entry).replace("…\\ ", r"(?:\S+ ){0,5}").replace("\\#", f"(?:{_AMOUNT.pattern}|{_NUMBER.pattern})")
    )
    return re.compile(words + r"(?!\S)")


_PHRASES: Final = [
    (_phrase(entry), entry) for entry in sorted(_IMPACTS, key=lambda entry: -len(entry.split())) if " " in entry
]
"""Entries of several words, the longest first."""


def hint(*texts: str) -> ImpactClass | None:
    """The impact of the first order in one of the texts; None where none names one outright. A question is no order,
    unless it asks politely. Never raises."""
    return next((impact for text in texts for impact in _orders(text)), None)


def _orders(text: str) -> Iterator[ImpactClass]:
    sentences = [
        _PARTED.sub(r"\g<verb> ", re.sub("[\u2019\u2018`\u00b4]", "'", sentence))
        for line in _NOT_OWN.sub(" ", text).splitlines()
        for sentence in _SENTENCES.split(normalise(line))
    ]
    asks = [_asks(sentence) for sentence in sentences]
    for sentence, is_question in zip(sentences, asks, strict=True):
        yield from filter(None, _ordered(sentence, is_question=is_question, any_question=any(asks)))


def _asks(sentence: str) -> bool:
    """Whether it is a question, politely asking or not."""
    return _TAG.sub("", sentence).endswith("?") or _ASKS.match(_opened(sentence, _OPENINGS)) is not None


def _opened(clause: str, *leads: re.Pattern[str]) -> str:
    for _ in range(_LEADS):
        clause = clause.lstrip(" ,.!'\"-")
        match = next((m for m in (lead.match(clause) for lead in leads) if m is not None), None)
        if match is None:
            break
        clause = clause[match.end() :]
    return clause.lstrip()


def _ordered(sentence: str, *, is_question: bool, any_question: bool) -> Iterator[ImpactClass | None]:
    """Each clause by itself. ``asked``: an earlier clause of the sentence has asked politely, and nothing since has
    asked a question; then what "and" adds to it is asked as well. ``told``: it says how things are, and "and" goes on
    with that."""
    asked, told = False, False
    for clause in _CLAUSES.split(sentence):
        bare = _opened(clause, _OPENINGS)
        bare = bare if _CLAUSED.search(bare) else _WHEN.sub("", bare)
        led = _opened(bare, _OPENINGS, _POLITE, _WISHES)
        is_polite = _POLITE.match(bare) is not None
        if is_polite or (asked and not _ASKS.match(bare)):
            yield _named(led, capability=is_question, polite=is_polite)
            yield _passive(led)
        elif led != bare:
            yield None if any_question else _named(led)
        elif not is_question and not (told and _AND.match(clause)):
            yield _named(bare)
            yield None if any_question else _passive(bare)
        told = _SUBJECT.match(bare) is not None
        asked = (asked or is_polite) and not _CLAUSED.search(led)


def _passive(clause: str) -> ImpactClass | None:
    """What is to be had done: "I want my subscription cancelled"."""
    done = _PASSIVE.match(clause)
    return _IMPACTS.get(_base(done["done"].casefold())) if done is not None else None


def _base(word: str) -> str:
    """The verb of "paying", "cancelled", "paid"."""
    ended = re.fullmatch(r"(\w+)(?:ing|ed)", word)
    stem = ended[1] if ended is not None else word
    regular = (stem, stem[:-1], f"{stem}e") if ended is not None else ()
    return _FILE["forms"].get(word) or next((verb for verb in regular if verb in _VERBS), word)


def _named(clause: str, *, capability: bool = False, polite: bool = False) -> ImpactClass | None:
    """What the clause names at its head, if anything. ``capability``: it is a question, in which a bare plural ("can
    you pay bills?") asks what one is able to do. ``polite``: "please cancel" needs nothing to follow."""
    cased = [word for said in clause.split()[:40] if (word := said.strip("'\".,!?;"))]
    if not cased:
        return None
    first, *rest = (word.casefold() for word in cased)
    first = _FILE["slips"].get(first, first)
    verb = _base(first) if polite else first
    if verb not in _VERBS:
        return None
    said = " ".join([verb, *rest])
    for pattern, entry in _PHRASES:
        match = pattern.match(said)
        if match is not None and (match.end() < len(said) or not entry.endswith((" my", " our", " the"))):
            return _IMPACTS[entry]
    impact = _IMPACTS.get(verb)
    if impact is None:
        return None
    if not rest:
        return impact if polite and not capability and verb not in _NOUNS else None
    return impact if _has_object(verb, cased[1:], impact, capability=capability) else None


def _has_object(verb: str, rest: Sequence[str], impact: ImpactClass, *, capability: bool) -> bool:
    """Whether what follows the verb is what it is done to, and somebody or something in particular."""
    word = rest[0].casefold()
    amounts = {at: said for at, said in enumerate(rest[:8]) if _AMOUNT.fullmatch(said)}
    # a year is no amount, unless it is what the verb is about
    has_amount = any(at == 0 or not _YEAR.fullmatch(said) for at, said in amounts.items())
    moves = impact is ImpactClass.MONEY_MOVEMENT and has_amount
    # "send me $50", but not "send me the 10 largest"
    signed = moves and not all(said[0].isdigit() for said in amounts.values())
    to_me = signed or (moves and 1 in amounts)
    # "delete last month's rows", but not "pay last month"
    its = any(said.endswith("'s") for said in rest[1:3])
    excepted = {"from": moves, "for": signed, "me": to_me, "us": to_me, "last": its, "next": its}
    if impact is ImpactClass.SUBSCRIPTION_CHANGE:
        excepted |= {"me": True, "us": True}
    if word in _NEVER and not excepted.get(word):
        return False
    is_object = word in _OBJECTS or has_amount or rest[0][:1].isupper()
    if verb in _NOUNS and not is_object:
        return False
    plural = word in ("money", "funds") or (word.endswith("s") and not is_object)
    return not (capability and plural and not has_amount and "to" not in map(str.casefold, rest))
