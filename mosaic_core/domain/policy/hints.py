"""What a text names outright: a hint, which decides nothing about safety.

A text is data. Whether it orders something is of use to a person (the disposition of the 202, the audit, an approval's
title) and to the offline agent, which proposes the exact words where it finds an order. The words are in hints.toml.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from mosaic_core.domain.policy.impact import ImpactClass
from mosaic_core.domain.policy.text import normalise

__all__ = ["hint"]

_SENTENCES: Final = re.compile(r"(?<=[.!?;])[\"')\]]*\s+")
_CLAUSES: Final = re.compile(
    r"(?:[,:](?!\d)|[()\[\]{}<>|\"*]|\s[-\u2013\u2014/]+\s)+|\s(?=(?:and|then|but|so(?! (?:kind|good))|plus|also)\s)",
    re.IGNORECASE,
)
_TAG: Final = re.compile(
    r",?\s*(?:ok|okay|alright|please|thanks|right|(?:can|could|would|will|won't) (?:you|ya)(?: please)?)\s*\?+$",
    re.IGNORECASE,
)
_ASKS: Final = re.compile(
    r"(?:(?:what|which|who|whom|whose|where|why|how)(?:'?s|'re|'d|'ll)?"
    r"|when(?:'?s| (?:is|are|was|were|do|does|did|has|have|had|will|can|could|should|would))"
    r"|(?:is|are|was|were|am|does|did|has|have|had|should|may|might|can|could|would|will|shall|must)(?:n't)?"
    r"|do(?:n't)? (?:i|we|you|they|he|she|my|our|any|these|those))\b",
    re.IGNORECASE,
)
_POLITE: Final = re.compile(
    r"(?:(?:is there )?any (?:chance|way) )?(?:can|could|would|will|might|won't|wouldn't|couldn't|can't)"
    r" (?:you|u|ya|we|someone|somebody)\b(?: be so kind as to| be willing to| be able to| care to)?"
    r"|are you able to"
    r"|(?:is there )?any (?:chance|way) (?:that )?(?:you|u) (?:can|could|would)|if you (?:could|would)|i wish you would"
    r"|(?:i|we)(?:'d| would|'m| am|'ll| will|'re| are)?(?: really| just| also| now| hereby| going to)*"
    r" (?:want|need|like|love|prefer|ask|asking|order|instruct|authori[sz]e|expect|require|request|telling)(?: for)?"
    r" you(?: guys)? to"
    r"|(?:i|we)(?:'d| would) (?:really )?(?:appreciate|love|like) it if you(?: could| would)?"
    r"|(?:i|we)(?:'m| am| was|'re| were)? ?(?:just )?(?:wonder|wondering|hoping|hope) (?:if |that )?you"
    r" (?:could|can|would|might)"
    r"|(?:i|we)(?:'d| would) be (?:very |so )?(?:grateful|glad|happy|thankful) if you(?: could| would)?"
    r"|it(?:'d| would) be (?:really )?(?:great|nice|good|lovely|helpful|awesome) if you (?:could|would|can)"
    r"|(?:i think |i believe |maybe |perhaps )?you (?:should|must|can|may|need to|have to|ought to)",
    re.IGNORECASE,
)
_MINDING: Final = re.compile(
    r"(?:(?:(?:would|do) you )?mind|take care of|see to|(?:start|begin) (?:by|with))(?: please)?\s+(?=\w+ing\b)",
    re.IGNORECASE,
)
_PASSIVE: Final = re.compile(
    r"(?:(?:i|we)(?:'d like| would like| want| need)|get|have|make sure(?: that)?)"
    r" (?!.{1,80}?\b(?:totals?|amounts?|sums?|lists?|numbers?|dates?|details|history|payments?|transactions?)\b)"
    r"(?:(?:my|our|the|this|that|these|those|all)\b|[$€£¥]?\d).{1,80}?"
    r"\b(?:to be |gets? |is )?(?P<done>paid|sent|transferred|wired|cancell?ed|deleted|removed|closed)\b"
    r"(?: off)?(?: (?:please|now|today|asap|immediately|tomorrow|tonight|right away|(?:by|before|to|from) .+))?[.!]*$",
    re.IGNORECASE,
)
_DONE: Final = {"paid": "pay", "sent": "send", "wired": "wire", "canceled": "cancel", "cancelled": "cancel",
                "transferred": "transfer", "deleted": "delete", "removed": "remove", "closed": "cancel"}  # fmt: skip
_AMOUNT: Final = re.compile(r"(?:[$€£¥]|usd|eur|gbp)?\d[\d,.]*k?(?:[$€£¥]|usd|eur|gbp)?", re.IGNORECASE)
_SUBJECT: Final = re.compile(
    r"(?:i|we|you|he|she|they|it|my|our|his|her|their|the|this|that|there)(?:'\w+)?\s", re.IGNORECASE
)
_AND: Final = re.compile(r"\s*(?:and|but|plus|also)\s", re.IGNORECASE)
_WHEN: Final = frozenset(("after", "at", "before", "by", "each", "every", "in", "on", "starting"))
_CLAUSED: Final = re.compile(r"\b(?:if|whether|what|how|which|when|why|who|not|never)\b", re.IGNORECASE)
"""Words of which a clause is no bare order, nor what "and" adds to it."""

_YEAR: Final = re.compile(r"(?:19|20)\d\d")
_GAP: Final = 5
_LEADS: Final = 10
"""Openings that are taken off one clause."""


@dataclass(frozen=True, slots=True)
class _Entry:
    words: tuple[str, ...]
    impact: ImpactClass


@dataclass(frozen=True, slots=True)
class _Lexicon:
    """``entries`` by their first word, the longest first."""

    entries: dict[str, list[_Entry]]
    nouns: frozenset[str]
    objects: frozenset[str]
    never: frozenset[str]
    openings: re.Pattern[str]
    requests: re.Pattern[str]
    wishes: re.Pattern[str]


@cache
def _lexicon() -> _Lexicon:
    data = tomllib.loads(Path(__file__).with_name("hints.toml").read_text("utf-8"))
    entries: dict[str, list[_Entry]] = {}
    for impact, phrases in data["impacts"].items():
        for phrase in phrases:
            words = tuple(phrase.split())
            entries.setdefault(words[0], []).append(_Entry(words, ImpactClass(impact)))
    for found in entries.values():
        found.sort(key=lambda entry: -len(entry.words))
    words = data["words"]
    return _Lexicon(
        entries=entries,
        nouns=frozenset(words["nouns"]),
        objects=frozenset(words["objects"]),
        never=frozenset(words["never"]),
        openings=_any_of(words["openings"]),
        requests=_any_of(words["requests"]),
        wishes=_any_of(words["wishes"]),
    )


def _any_of(phrases: Iterable[str]) -> re.Pattern[str]:
    longest_first = sorted(phrases, key=len, reverse=True)
    return re.compile(rf"(?:{'|'.join(map(re.escape, longest_first))})(?![\w'])", re.IGNORECASE)


def hint(*texts: str) -> ImpactClass | None:
    """The impact of the first order in one of the texts; None where none names one outright. A question is no order,
    unless it asks politely. Never raises."""
    return next((impact for text in texts for impact in _orders(text)), None)


def _orders(text: str) -> Iterator[ImpactClass]:
    sentences = [
        re.sub("[\u2019\u2018`\u00b4]", "'", sentence)
        for line in text.splitlines()
        for sentence in _SENTENCES.split(normalise(line))
    ]
    asks = [_asks(sentence) for sentence in sentences]
    for sentence, is_question in zip(sentences, asks, strict=True):
        yield from _ordered(sentence, is_question=is_question, any_question=any(asks))


def _asks(sentence: str) -> bool:
    """Whether it is a question, politely asking or not."""
    bare = _opened(sentence, _lexicon().openings)
    return _TAG.sub("", sentence).endswith("?") or _ASKS.match(bare) is not None


def _opened(clause: str, *leads: re.Pattern[str]) -> str:
    for _ in range(_LEADS):
        clause = clause.lstrip(" ,.!'\"-")
        match = next((m for m in (lead.match(clause) for lead in leads) if m is not None), None)
        if match is None:
            break
        clause = clause[match.end() :]
    return clause.lstrip()


def _ordered(sentence: str, *, is_question: bool, any_question: bool) -> Iterator[ImpactClass]:
    """Each clause by itself. ``asked``: an earlier clause of the sentence has asked politely, and nothing since has
    asked a question; then what "and" adds to it is asked as well."""
    words = _lexicon()
    asked, told = False, False
    for clause in _CLAUSES.split(sentence):
        bare = _opened(clause, words.openings)
        polite = _opened(bare, words.openings, words.requests, _POLITE)
        is_polite = polite != bare
        wish = _opened(bare, words.openings, words.wishes)
        minding = _MINDING.match(polite)
        if minding is not None:
            yield from _named(_ungerund(polite[minding.end() :]), capability=False)
        elif is_polite:
            first, *rest = polite.split() or [""]
            yield from _named([_DONE.get(first.casefold(), first), *rest], capability=is_question, polite=True)
            yield from _passive(polite)
        elif asked and not _ASKS.match(bare):
            yield from _named(bare.split(), capability=is_question)
        elif wish != bare:
            yield from () if any_question else _named(wish.split(), capability=False)
        elif not is_question and not (told and _AND.match(clause)):
            yield from _named(_timeless(bare.split()), capability=False)
            yield from () if any_question else _passive(bare)
        told = _SUBJECT.match(bare) is not None
        asked = (asked or is_polite) and not _CLAUSED.search(polite)


def _passive(clause: str) -> Iterator[ImpactClass]:
    """What is to be had done: "I want my subscription cancelled"."""
    done = _PASSIVE.match(clause)
    if done is not None:
        yield from _named([_DONE[done["done"].casefold()], "it"], capability=False)


def _timeless(clause: list[str]) -> list[str]:
    """Without "on the first of every month", where a verb follows it and no subject."""
    if not clause or clause[0].casefold() not in _WHEN or _CLAUSED.search(" ".join(clause)):
        return clause
    words = _lexicon()
    for at in range(2, min(len(clause), 9)):
        before, verb = clause[at - 1].casefold(), clause[at].casefold()
        if (
            verb in words.entries
            and before not in words.objects
            and before not in ("i", "we", "you", "they", "to", "of")
        ):
            return clause[at:]
    return clause


def _named(clause: Sequence[str], *, capability: bool, polite: bool = False) -> Iterator[ImpactClass]:
    """What the clause names at its head, if anything. ``capability``: it is a question, in which a bare plural ("can
    you pay bills?") asks what one is able to do. ``polite``: "please cancel" needs nothing to follow."""
    words = _lexicon()
    cased = [word.strip("'\".,!?;") for word in clause[:40]]
    folded = [word.casefold() for word in cased]
    for entry in words.entries.get(folded[0], ()) if folded else ():
        end = _end(entry.words, folded)
        if end is None:
            continue
        rest, named = folded[end:], entry.words[0]
        if len(entry.words) > 1:
            if rest or entry.words[-1] not in ("my", "our", "the"):
                yield entry.impact
                return
            continue
        if not any(rest):
            if polite and not capability and named not in words.nouns:
                yield entry.impact
                return
            continue
        # a year is no amount, unless it is what the verb is about
        has_amount = any(_AMOUNT.fullmatch(w) for w in (rest[0], *(w for w in rest[1:8] if not _YEAR.fullmatch(w))))
        if rest[0] in words.never and not _is_object(entry.impact, rest[0], has_amount=has_amount):
            continue
        is_name = cased[end][:1].isupper()
        is_object = rest[0] in words.objects or has_amount or is_name
        if named in words.nouns and not is_object:
            continue
        if capability and _is_bare(rest, is_object=is_object, has_amount=has_amount):
            continue
        yield entry.impact
        return


def _is_bare(rest: Sequence[str], *, is_object: bool, has_amount: bool) -> bool:
    """Whether what follows is a plural or "money", and nobody and nothing in particular."""
    plural = rest[0] in ("money", "funds") or (rest[0].endswith("s") and not is_object)
    return plural and not has_amount and "to" not in rest


def _is_object(impact: ImpactClass, word: str, *, has_amount: bool) -> bool:
    """Whether one of the words that are no objects is one here: "send me $50", "transfer from … to …", "sign us up"."""
    if impact is ImpactClass.SUBSCRIPTION_CHANGE:
        return word in ("me", "us")
    return impact is ImpactClass.MONEY_MOVEMENT and has_amount and word in ("me", "us", "from")


def _end(entry: Sequence[str], clause: Sequence[str]) -> int | None:
    """Where the entry ends, if the clause begins with it."""
    at = 0
    for place, word in enumerate(entry):
        if word == "\u2026":
            wanted = entry[place + 1 :]
            for gap in range(1, _GAP + 1):
                end = _end(wanted, clause[at + gap :])
                if end is not None:
                    return at + gap + end
            return None
        if at >= len(clause):
            return None
        fits = _AMOUNT.fullmatch(clause[at]) is not None if word == "#" else clause[at] == word
        if not fits:
            return None
        at += 1
    return at


def _ungerund(clause: str) -> list[str]:
    """ "paying the rent" as "pay the rent"."""
    first, *rest = clause.split() or [""]
    stem = first.casefold().removesuffix("ing")
    known = _lexicon().entries
    verb = next((v for v in (stem, stem[:-1], f"{stem}e") if v in known), first)
    return [verb, *rest]
