"""The lexicon made ready to be looked up: what a word, a phrase or a part of a word says, and how strongly.

Weights are natural logarithms of odds. Built when first asked for, once a process.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Final

from mosaic_core.ledger.knowledge import Kind, read
from mosaic_core.ledger.spelling import spellings

CHAIN: Final = 7.5
PHRASE: Final = 6.0
DECISIVE: Final = 4.6
STRONG: Final = 3.2
HINT: Final = 1.3
COMPOUND: Final = 3.6

MONEY: Final = frozenset({"INCOME", "TRANSFER_IN", "TRANSFER_OUT", "LOAN_PAYMENTS", "BANK_FEES"})
"""Primaries that say what a row is; the others say what the merchant is."""

# The currencies in which rows of a country, or in a language, are booked. What is not listed is known everywhere.
_CURRENCIES: Final = {
    "us": frozenset({"USD"}),
    "ca": frozenset({"CAD"}),
    "uk": frozenset({"GBP", "EUR"}),
    "au": frozenset({"AUD", "NZD"}),
    "de": frozenset({"EUR", "CHF"}),
    "fr": frozenset({"EUR", "CHF", "CAD"}),
    "nl": frozenset({"EUR"}),
    "es": frozenset({"EUR", "MXN", "ARS", "CLP", "COP", "PEN", "UYU"}),
    "it": frozenset({"EUR", "CHF"}),
    "nordic": frozenset({"SEK", "NOK", "DKK", "ISK", "EUR"}),
}
_NORDIC_KRONA: Final = frozenset({"SEK", "NOK", "DKK", "ISK"})
_COMPOUNDING: Final = frozenset({"de", "nl", "nordic"})
_ENGLISH: Final = frozenset({"USD", "GBP", "CAD", "AUD", "NZD"})
_SHORTEST_PART: Final = 5
_SHORTEST_ABROAD: Final = 7
"""A word of another language than the currency's counts from this length on: shorter ones are often another word."""


@dataclass(frozen=True, slots=True)
class Saying:
    """What an entry of the lexicon says. ``ordinary``: the name is an ordinary word too. ``general``: any shop or
    service. ``home``: the currencies of its country or language, none where it is known everywhere."""

    category: str
    weight: float
    home: frozenset[str] | None = None
    ordinary: bool = False
    general: bool = False


@dataclass(frozen=True, slots=True)
class Phrases:
    """What runs of words say: ``said`` by the words with blanks between them; ``longest`` run by its first word."""

    said: dict[str, tuple[Saying, ...]]
    longest: dict[str, int]

    def at(self, words: tuple[str, ...], index: int) -> Iterator[tuple[int, tuple[Saying, ...]]]:
        """The runs that start at ``index``, longest first, each with the number of its words."""
        for length in range(min(self.longest.get(words[index], 0), len(words) - index), 0, -1):
            said = self.said.get(" ".join(words[index : index + length]))
            if said is not None:
                yield length, said


@dataclass(frozen=True, slots=True)
class Tables:
    """The lexicon by what is looked up: ``chains`` and ``phrases``; ``words``; ``compounds`` by the part of a word;
    ``brands`` written as one word, ``stems`` anywhere in a word."""

    chains: Phrases
    phrases: Phrases
    words: dict[str, tuple[Saying, ...]]
    compounds: dict[str, tuple[Saying, ...]]
    brands: dict[str, str]
    stems: dict[str, str]

    def brand_in(self, word: str) -> str | None:
        """The primary of the chain that ``word`` is or, for a long name, opens with."""
        for length in range(len(word), 5, -1):
            category = self.brands.get(word[:length])
            if category is not None and (length == len(word) or length >= 7):
                return category
        return None

    def stems_in(self, word: str) -> dict[str, int]:
        """The primaries of the stems in ``word``, each with the place where its last stem ends."""
        hits: dict[str, int] = {}
        for start in range(len(word) - 2):
            for end in range(start + 3, min(len(word), start + 12) + 1):
                category = self.stems.get(word[start:end])
                if category is not None:
                    hits[category] = max(hits.get(category, 0), end)
        return hits

    def compound_of(self, word: str, currency: str) -> tuple[Saying, ...]:
        """What the last part of a compound says, or its first part where the last names any shop or nothing."""
        if currency in _ENGLISH:
            return ()
        last: tuple[Saying, ...] = ()
        for start in range(2, len(word) - _SHORTEST_PART + 1):
            last = _fitting(self.compounds.get(word[start:], ()), currency)
            if last:
                break
        if last and not last[0].general:
            return last
        for end in range(len(word) - 2, _SHORTEST_PART - 1, -1):
            first = _fitting(self.compounds.get(word[:end], ()), currency)
            if first and not first[0].general:
                return tuple(Saying(s.category, s.weight if last else s.weight - 1.0, s.home) for s in first)
        return last

    def word(self, word: str, currency: str) -> tuple[Saying, ...] | None:
        """What a word says in rows of that currency; none where the lexicon does not have it."""
        found = self.words.get(word)
        if found is None and len(word) > 4 and word.endswith("s"):
            found = self.words.get(word[:-1])
        if found is None:
            return None
        return (
            tuple(
                s
                for s in found
                if s.home is None
                or currency in s.home
                or (len(word) >= _SHORTEST_ABROAD and s.weight >= DECISIVE and not any(o.home is None for o in found))
            )
            or None
        )


def _fitting(said: tuple[Saying, ...], currency: str) -> tuple[Saying, ...]:
    return tuple(s for s in said if s.home is None or currency in s.home)


def of_phrase(said: tuple[Saying, ...], currency: str) -> tuple[Saying, ...]:
    """Of several countries' chains of one name, those at home in the row's currency and those known everywhere; where
    none is at home, all that are no ordinary words there. One a primary."""
    best: dict[str, Saying] = {}
    for saying in _of_countries(said, currency):
        if saying.category not in best or best[saying.category].ordinary:
            best[saying.category] = saying
    return tuple(best.values())


def _of_countries(said: tuple[Saying, ...], currency: str) -> tuple[Saying, ...]:
    at_home = tuple(s for s in said if s.home is not None and currency in s.home)
    if at_home:
        return at_home + tuple(s for s in said if s.home is None and not s.ordinary)
    return tuple(s for s in said if s.home is None or not s.ordinary)


def _entries(kind: Kind) -> Iterator[tuple[str, str, list[str]]]:
    """(primary, country or language, entries) of a file whose entries commas separate."""
    for category, lists in read(kind).items():
        for place, block in lists.items():
            yield category, place, [entry for item in block.replace("\n", " ").split(",") if (entry := item.strip())]


_ODD: Final = re.compile(r"[^a-z& ]|\b[dl] | s\b")
_ELIDED: Final = re.compile(r"\b([dl]) (\w\w)")
_GENITIVE: Final = re.compile(r"(\w\w) s\b")
_LONG_NUMBER: Final = re.compile(r" \d{3,}\b|\b\d{3,} ")


def _ways(entry: str) -> set[str]:
    """An entry in each spelling, and with what an apostrophe parts or joins: "macy s", "l occitane"."""
    ways = set()
    for spelling in spellings(entry):
        ways.add(spelling)
        ways.add(_ELIDED.sub(r"\1\2", _GENITIVE.sub(r"\1s", spelling)))
        # A descriptor keeps no number of three digits or more.
        ways.add(_LONG_NUMBER.sub("", spelling))
    return {way for way in ways if len(way) >= 4 or way == entry}


def _phrases(kind: Kind, weight: float) -> Phrases:
    found: dict[str, tuple[Saying, ...]] = {}
    longest: dict[str, int] = {}
    for category, place, entries in _entries(kind):
        home = _CURRENCIES.get(place) if kind == "chains" else None
        sure = (Saying(category, weight, home),)
        marked = (Saying(category, weight, home, ordinary=True) if kind == "chains" else Saying(category, STRONG),)
        for entry in entries:
            name = entry.rstrip("?")
            for way in (name,) if not _ODD.search(name) else _ways(name):
                # What is left of "coop 365" or "optic 2000" is an ordinary word.
                shortened = kind == "chains" and " " in name and " " not in way
                said = marked if shortened or name != entry else sure
                found[way] = found[way] + said if way in found else said
                first, _, rest = way.partition(" ")
                length = rest.count(" ") + 2 if rest else 1
                if longest.get(first, 0) < length:
                    longest[first] = length
    return Phrases(found, longest)


def _brands(chains: Phrases) -> dict[str, str]:
    """Chains of six letters or more, written as one word."""
    found: dict[str, str] = {}
    for name, said in chains.said.items():
        if len(name) >= 6 and not said[0].ordinary:
            found.setdefault(name.replace(" ", "").replace("&", ""), said[0].category)
    return found


def _words() -> tuple[dict[str, tuple[Saying, ...]], dict[str, tuple[Saying, ...]]]:
    """Words, and the parts that compounds are made of."""
    words: dict[str, tuple[Saying, ...]] = {}
    parts: dict[str, tuple[Saying, ...]] = {}
    strengths = {"!": DECISIVE, "?": HINT}
    for category, lists in read("words").items():
        for language, block in lists.items():
            home = None if language == "en" else _CURRENCIES[language]
            short = _NORDIC_KRONA if language == "nordic" else home
            sayings = {
                mark: (
                    Saying(category, strengths.get(mark, STRONG), home, general=mark == "~"),
                    Saying(category, strengths.get(mark, STRONG), short, general=mark == "~"),
                    Saying(category, COMPOUND, home, general=mark == "~"),
                )
                for mark in ("!", "", "?", "~")
            }
            for item in block.split():
                plain = item.rstrip("!?~")
                usual, of_short, part = sayings[item[len(plain) :]]
                for word in (plain,) if plain.isascii() else spellings(plain):
                    words[word] = (*words.get(word, ()), usual if len(word) > 4 else of_short)
                    if language in _COMPOUNDING and len(word) >= _SHORTEST_PART and not item.endswith("?"):
                        parts[word] = (*parts.get(word, ()), part)
    return words, parts


@cache
def tables() -> Tables:
    """The lexicon, ready."""
    words, parts = _words()
    chains = _phrases("chains", CHAIN)
    return Tables(
        chains=chains,
        phrases=_phrases("phrases", PHRASE),
        words=words,
        compounds=parts,
        brands=_brands(chains),
        stems={stem: c for c, lists in read("stems").items() for block in lists.values() for stem in block.split()},
    )
