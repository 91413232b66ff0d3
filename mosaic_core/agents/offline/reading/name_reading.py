"""Where a question names merchants of the ledger, and what it names that the ledger lacks. Pure.

A name of several words is a name wherever it stands, whatever its words mean in a question ("Best Buy", "First Watch").
A name of one word that means something in a question ("Next", "Three") is one where a name must stand, or where it
alone is written with a capital.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from mosaic_core.agents.offline.lexicon import load, turn
from mosaic_core.agents.offline.reading.marks import TAKEN, TOKEN, VOCABULARY, Mark, Reading, Tag, unexplained
from mosaic_core.agents.offline.reading.question_text import accented, rewritten, tidy
from mosaic_core.agents.offline.reading.refusals import not_understood, refusal_of, unknown
from mosaic_core.agents.offline.reading.respelling import corrected, known_word, stands_alone
from mosaic_core.computing import checkpoint
from mosaic_core.domain.wordlists import phrases
from mosaic_core.ledger.brands import LONGEST_BRAND, brands
from mosaic_core.ledger.date_words import TIME_WORDS
from mosaic_core.ledger.merchants import Merchants
from mosaic_core.ledger.query import Refusal, Subject
from mosaic_core.ledger.rows import compact, fold
from mosaic_core.ledger.topics import PHRASE_TOPICS

_WORD: Final = re.compile(r"(?:[0-9a-z&+]|[^\x00-\x7f$€£¥])(?:[0-9a-z&+'./*-]|[^\x00-\x7f$€£¥])*")
_LETTER: Final = re.compile(r"[^\W\d_]")
_WRITTEN: Final = re.compile(r"[^\W\d_][\w'.&-]*")
_QUOTED: Final = re.compile(r'"([^"]{2,60})"')
_LONGEST_NAME: Final = 6
_LEAVES: Final = frozenset(phrases(load("turns")["go_out"]["words"]))
_BOUNDING: Final = frozenset({Tag.MORE, Tag.LESS, Tag.THAN, Tag.UP, Tag.DOWN})


def read_names(question: str, merchants: Merchants) -> Reading | Refusal:
    """The question with its merchants marked, by their whole names or a slip away from them, and the slips in its other
    words mended; a refusal where it names an unknown one, or what no ledger can answer."""
    text = tidy(question)
    # a stray Latin letter is no word
    if not any(_LETTER.search(m[0]) and (len(m[0]) > 1 or not m[0].isascii()) for m in TOKEN.finditer(text)):
        return Refusal("not_understood", "I could not read a question on the ledger in that.")
    found = _found(text, capitals(question), merchants)
    reading = _mended(found, merchants.words() | accented(question))
    for mark in reading.in_order():
        if mark.value is None:
            return unknown(reading.of(mark).strip('"'))
    refusal = refusal_of(reading.free.replace(TAKEN, " "))
    if refusal is not None:
        return refusal
    brand = _unknown_brand(reading)
    return reading if brand is None or merchants.find(brand, guess=False) is not None else unknown(brand)


def capitals(question: str) -> frozenset[str]:
    """The words, as `tidy` has them, that are written with a capital where none is due; none of a question that has
    capitals throughout. Months and days have theirs of their own."""
    words = [*_WRITTEN.finditer(question)]
    if all(word.group()[0].isupper() for word in words if len(word.group()) > 1):
        return frozenset()
    due = {m.end() for m in re.finditer(r"(?:^|[.!?:;\"“(]\s*)(?=\S)", question)}
    large, small = (
        {tidy(m.group()) for m in words if m.start() not in due and m.group()[0].isupper() is upper}
        for upper in (True, False)
    )
    return frozenset(large - small - TIME_WORDS)


def _found(text: str, proper: frozenset[str], merchants: Merchants) -> Reading:
    """The merchants in the text, longest names first; what stands in quotation marks and is none is marked without a
    value."""
    reading = Reading(text)
    for match in _QUOTED.finditer(text):
        reading.take(*match.span(), Tag.SUBJECT, value=merchants.find(match[1]))
    tokens = [match.span() for match in _WORD.finditer(text)]
    aliases = {compact(tidy(name)): name for name in merchants.names if rewritten(name)}
    for look in (_whole, _slip):
        for length in range(min(_LONGEST_NAME, len(tokens)), 0, -1):
            for (start, _), (_, end) in zip(tokens, tokens[length - 1 :], strict=False):
                checkpoint()
                if TAKEN in reading.free[start:end] or "," in text[start:end]:
                    continue
                place = _Place(text[start:end], text[:start].rstrip(), text[end:].lstrip(), proper, aliases)
                if (hit := look(place, merchants)) is not None:
                    reading.take(start, end, Tag.SUBJECT, value=hit)
    return reading


def _mended(found: Reading, names: frozenset[str]) -> Reading:
    text, at = "", 0
    moved: list[Mark] = []
    for mark in found.in_order():
        text += corrected(found.text[at : mark.start], names)
        moved.append(replace(mark, start=len(text), end=len(text) + mark.end - mark.start))
        text += found.of(mark)
        at = mark.end
    reading = Reading(text + corrected(found.text[at:], names))
    for mark in moved:
        reading.take(mark.start, mark.end, *mark.tags, value=mark.value)
    return reading


# --------------------------------------------------------------------------------------------------------- whole names


@dataclass(frozen=True, slots=True)
class _Place:
    """Words that may be a name, and what stands before and after them. ``proper`` are the question's words with a
    capital, ``aliases`` the names that tidying rewrites."""

    words: str
    before: str
    after: str
    proper: frozenset[str]
    aliases: Mapping[str, str]

    @property
    def large(self) -> bool:
        """Whether each of them has a capital."""
        return self.proper.issuperset(self.words.split())

    @property
    def at(self) -> bool:
        return turn("at").search(self.before) is not None

    @property
    def in_a_phrase(self) -> bool:
        """Whether the words make a phrase of a question with the word before or after them."""
        before = (f"{word} {self.words}" for word in self.before.split()[-1:])
        after = (f"{self.words} {word}" for word in self.after.split()[:1])
        return any(map(stands_alone, (*before, *after)))


def _whole(place: _Place, merchants: Merchants) -> Subject | None:
    """The merchant of that name, one that only a descriptor gave included."""
    said = place.words
    if len(compact(said)) < 2:
        return None
    name = place.aliases.get(compact(said), said)
    hit = merchants.named(name)
    if hit is None and not all(known_word(word) for word in name.split()):
        hit = merchants.opening(name)
    if hit is None or not (place.large or _reads_as_a_name(place)):
        return None
    return None if tuple(said.split()) in PHRASE_TOPICS and not (place.at or place.large) else hit


def _reads_as_a_name(place: _Place) -> bool:
    """Whether words that mean something in a question are meant as the name that they are as well."""
    said, after = place.words, place.after
    core = said.removeprefix("the ")
    if said in _LEAVES and turn("out").match(after):
        # "Shell out", "fork out"
        return False
    if " " in said and not stands_alone(said) and not stands_alone(core):
        tags = VOCABULARY.get((said.split()[-1],), (frozenset[Tag](), None))[0]
        return not (tags & _BOUNDING and re.match(r"[$€£¥]?\d", after))
    if core in TIME_WORDS:
        # "For the week", "on friday"
        return place.at
    # "target" names a shop wherever it stands, "three" and "next" only after "at", "to" and the like; "three" after
    # "at" names a network, "at three places" does not
    must_be = not place.before or turn("before_a_name").search(place.before) is not None
    anywhere = not stands_alone(said)
    return not place.in_a_phrase and (anywhere or (must_be and turn("counted_things").match(after) is None))


def _slip(place: _Place, merchants: Merchants) -> Subject | None:
    words = place.words.split()
    known = [word for word in words if known_word(word)]
    if len(known) == len(words) or (words[0] in known and len(words[0]) < 4):
        return None
    if not merchants.name_words.issuperset(known):
        return None  # no name has that word, so none is meant
    if len(words) == 1 and corrected(words[0], ()) != words[0] and not place.at:
        return None
    hit = merchants.closest(compact(place.words), named_only=True)
    own = fold(hit.name).lower().replace("'", "").split() if hit else []
    return hit if set(own).issuperset(known) else None


def _unknown_brand(reading: Reading) -> str | None:
    """The name of a chain in what is still free whose words would otherwise be read as plain words."""
    words = [*_WORD.finditer(reading.free)]
    for i, first in enumerate(words):
        for length in range(min(LONGEST_BRAND, len(words) - i), 1, -1):
            phrase = reading.free[first.start() : words[i + length - 1].end()]
            following = [word.group() for word in words[i + length : i + length + 1]]
            # "The general services payees" names no insurer.
            a_topic = (*phrase.removeprefix("the ").split(), *following) in PHRASE_TOPICS
            if not a_topic and tuple(phrase.split()) in brands() and not stands_alone(phrase):
                return phrase
    return None


# ------------------------------------------------------------------------------------------------------ parts of names


def take_partial_names(reading: Reading, merchants: Merchants) -> tuple[Refusal | None, float]:
    """Mark what is left of the question and names a merchant by a part of its name. Gives (why the question is not
    read: a name that the ledger does not know, or words that nothing explains; doubt)."""
    doubt = 0.0
    for start, run in _runs(reading):
        # "Spend on bread" does not mean Panera Bread; "send to Marco" means a row's text. A real word is no slip.
        within = turn("before_a_payee").search(reading.text[:start].rstrip()) is not None or " " in run
        guess = not all(known_word(word) for word in run.split())
        merchant = merchants.find(run, guess=guess, within=within)
        if merchant is None and run.endswith("'s"):
            merchant = merchants.find(run[:-2], guess=guess, within=within)
        if merchant is None or (len(compact(run)) < 4 and not merchant.exact and not within):
            continue
        reading.take(start, start + len(run), Tag.SUBJECT, value=merchant)
        doubt += 0.0 if merchant.exact else 0.15
    left = _runs(reading)
    for start, run in left:
        if turn("before_something").search(reading.text[:start].rstrip()):
            return unknown(run), doubt
    return not_understood(left[0][1]) if left else None, doubt


def _runs(reading: Reading) -> list[tuple[int, str]]:
    """Neighbouring words that nothing has explained, joined, with their places."""
    runs: list[tuple[int, str]] = []
    for start, word in unexplained(reading):
        if runs and reading.free[runs[-1][0] + len(runs[-1][1]) : start] == " ":
            runs[-1] = (runs[-1][0], f"{runs[-1][1]} {word}")
        else:
            runs.append((start, word))
    return runs
