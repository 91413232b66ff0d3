"""A question as plain text: one spelling of everything that can be written in several ways. Pure."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from mosaic_core.agents.offline.lexicon import load
from mosaic_core.ledger.date_words import MONTH_WORDS
from mosaic_core.ledger.rows import fold

_ONES: Final = "one two three four five six seven eight nine".split()
_TEN: Final = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_NUMBERS: Final = {
    f"{ten} {one}".strip(): 10 * tens + ones
    for tens, ten in enumerate(_TEN, 2)
    for ones, one in enumerate(("", *_ONES))
} | {
    f"{word} {size}": count * times
    for count, word in ((1, "a"), *enumerate(_ONES, 1))
    for size, times in (("hundred", 100), ("thousand", 1000), ("grand", 1000))
}
"""Numbers that are written out in two words, and the tens."""
_SPELT_NUMBER: Final = re.compile(rf"\b(?:{'|'.join(sorted(_NUMBERS, key=len, reverse=True))})\b")
_SAME: Final = str.maketrans(dict.fromkeys("’‘`´", "'") | dict.fromkeys("“”«»„", '"') | dict.fromkeys("–—", " - "))
_CASUAL: Final[dict[str, str]] = load("spelling")["casual"]
_SHORT: Final[dict[str, dict[str, str]]] = load("spelling")["contractions"]
_REWRITTEN: Final = re.compile(rf"['’]|(?<!\w)(?:{'|'.join(map(re.escape, (*_CASUAL, *_NUMBERS)))})(?!\w)")


def rewritten(name: str) -> bool:
    """Whether a name may have words that `tidy` spells out: "Where's Waldo", "Twenty One"."""
    return _REWRITTEN.search(name.lower()) is not None


_MONTHS: Final = "|".join(MONTH_WORDS)
_NO_SPACES: Final = r"[\u0e00-\u0eff\u1100-\u11ff\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff]"
_STEPS: Final = (
    # A name in Latin letters stands apart from a script that writes its words without spaces.
    (rf"(?<=[0-9a-z])(?={_NO_SPACES})|(?<={_NO_SPACES})(?=[0-9a-z])", " "),
    *((rf"\b({'|'.join(entry['after'].split())}){entry['short']}\b", rf"\1 {word}") for word, entry in _SHORT.items()),
    # "'24" is 2024; "2024 Q1" and "2024 March" say the year first.
    (r"(?<![\w'])'(\d\d)(?![\w'])", r"20\1"),
    (
        rf"\b((?:19|20)\d\d)[ ,-]*(q[1-4]|h[12]|{'|'.join(word for word in MONTH_WORDS if word != 'may')})\b"
        r"(?![ -]?\d|\.\d| (?:19|20)\d\d)",
        r"\2 \1",
    ),
    (r"(?<=[a-z])-(?=[a-z])", " "),
    (rf"(?<=\s)-(?=\s\d|\s(?:the|{_MONTHS})\b)", "to"),
    (rf"\b(?:the )?first of (?={_MONTHS})", "1 "),
)
_SPELT: Final = [(re.compile(pattern), written) for pattern, written in _STEPS]
_MARKS: Final = re.compile(r"(?<=\s)-(?=\s)|[?!;:()\[\]{}=~|\\]+|\.(?=\s|$)|…")
_COMMA: Final = re.compile(r",(?=\s|$)")


def tidy(question: str) -> str:
    """Lower case, plain letters, apostrophes and spaces, contractions spelt out; no invisible characters, no pictures,
    and of marks only those that numbers and names are written with."""
    text = "".join(map(_plain, unicodedata.normalize("NFKC", question).lower().translate(_SAME)))
    for pattern, written in _SPELT:
        text = pattern.sub(written, text)
    text = _MARKS.sub(" ", _SPELT_NUMBER.sub(lambda number: str(_NUMBERS[number.group()]), text))
    return " ".join(_CASUAL.get(word, word) for word in _COMMA.sub(" ,", text).split())


def accented(question: str) -> frozenset[str]:
    """The words, as `tidy` has them, that are written with an accent: no slips of English ones."""
    words = unicodedata.normalize("NFKC", question).lower().split()
    return frozenset(tidy(word) for word in words if fold(word) != word)


_INDIAN: Final = "\u0900"
"""From here on a mark on a letter makes another letter of it."""


def _plain(c: str) -> str:
    """The character without accents; a space for a mark or picture that is none of ASCII's, nothing for what cannot be
    seen."""
    if c.isascii():
        return c
    category = unicodedata.category(c)
    if category in ("Cf", "Cs", "Cn", "Co"):
        return ""
    if category[0] in "LMN" or category == "Sc":
        return fold(c) if c < _INDIAN else c
    return " "
