"""Slips in the words of a question, mended where the word is no other word. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from mosaic_core.agents.offline.lexicon import load
from mosaic_core.agents.offline.reading.marks import FILLER, VOCABULARY
from mosaic_core.agents.offline.reading.narrowing import CURRENCIES
from mosaic_core.agents.offline.reading.refusals import REFUSAL_WORDS
from mosaic_core.domain.edits import within
from mosaic_core.ledger.brands import brand_words
from mosaic_core.ledger.date_words import NUMBER_WORDS, TIME_WORDS
from mosaic_core.ledger.topics import PHRASE_TOPICS, TOPIC_WORDS

_PLAIN: Final = frozenset({*FILLER, *CURRENCIES, *NUMBER_WORDS, *TIME_WORDS})
_KNOWN: Final = _PLAIN | TOPIC_WORDS | REFUSAL_WORDS | {word for words in VOCABULARY for word in words}
_SPELLING: Final = frozenset(word for word in _KNOWN if len(word) >= 4 and word.isalpha())
_REAL_WORDS: Final = frozenset(load("spelling")["real"]["words"].split())
_WORD: Final = re.compile(r"(?<![\w\"'&.*/-])[a-z]{4,}(?![\w\"'&*/-]|\.\w)")


def known_word(word: str) -> bool:
    """Whether the word is one of the vocabulary, by itself or in a phrase, a chain's name, or another word of
    English."""
    ways = (word, word.rstrip("s"), word.removesuffix("'s"))
    return word in _REAL_WORDS or word in brand_words() or not _KNOWN.isdisjoint(ways)


def stands_alone(text: str) -> bool:
    """Whether the text is a phrase of the vocabulary by itself: then it is a name only where a name must stand."""
    words = tuple(text.split())
    return words in VOCABULARY or words in PHRASE_TOPICS or (len(words) == 1 and text in _PLAIN)


def corrected(text: str, names: Iterable[str]) -> str:
    """The text with slips in vocabulary words mended. ``names`` are words of the ledger's merchants, left alone."""
    left_alone = frozenset(names)

    def mend(match: re.Match[str]) -> str:
        word = match.group()
        if known_word(word) or word in left_alone or word.removesuffix("'s") in left_alone:
            return word
        return _corrected(word) or word

    return _WORD.sub(mend, text)


@lru_cache(maxsize=2048)
def _corrected(word: str) -> str | None:
    """The one word of the vocabulary that is a slip away from ``word`` (two for long words)."""
    for allowed in (1, 2) if len(word) >= 8 else (1,):
        near: list[str] = [
            known for known in _SPELLING
            if word.startswith((known[0], known[1::-1])) and _may_be(known, word)
            and within(known, word, allowed) is not None
        ]  # fmt: skip
        if near:
            # a swap of neighbours is the likeliest slip, then a letter left out
            return min(near, key=lambda known: (sorted(known) != sorted(word), -len(known), known))
    return None


def _may_be(known: str, word: str) -> bool:
    """Of a short word only some slips are likely enough: another letter makes another word of it, and one that says
    nothing ("aout" is no "about") is gone without a trace."""
    if len(word) > 4 or sorted(known) == sorted(word):
        return True
    return len(known) != len(word) and known not in FILLER
