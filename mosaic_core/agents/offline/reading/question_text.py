"""A question as plain text: one spelling of everything that can be written in several ways. Pure."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from typing import Final

from mosaic_core.agents.offline.lexicon import load
from mosaic_core.ledger.date_words import MONTH_WORDS
from mosaic_core.ledger.rows import fold

_MONTHS: Final = "|".join(MONTH_WORDS)
_SHORT_YEAR: Final = re.compile(r"(?<![\w'])'(\d\d)(?![\w'])")
_YEAR_FIRST: Final = re.compile(
    rf"\b((?:19|20)\d\d)[ ,-]*(q[1-4]|h[12]|{'|'.join(word for word in MONTH_WORDS if word != 'may')})\b"
    r"(?![ -]?\d|\.\d| (?:19|20)\d\d)"
)
""" "'24" is 2024; "2024 Q1" and "2024 March" say the year first."""
_DASH: Final = re.compile(rf"(?<=\s)-(?=\s\d|\s(?:the|{_MONTHS})\b)")
_FIRST_OF: Final = re.compile(rf"\b(?:the )?first of (?={_MONTHS})")
_HYPHEN: Final = re.compile(r"(?<=[a-z])-(?=[a-z])")
_MARKS: Final = re.compile(r"(?<=\s)-(?=\s)|[?!;:()\[\]{}=~|\\]+|\.(?=\s|$)|…")
_COMMA: Final = re.compile(r",(?=\s|$)")
_ONES: Final = "one two three four five six seven eight nine".split()
_TEN: Final = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_TENS: Final = re.compile(
    rf"\b(?:(?P<t>{'|'.join(_TEN)})(?:[ -](?P<o>{'|'.join(_ONES)}))?"
    rf"|(?P<c>a|{'|'.join(_ONES)}) (?P<z>hundred|thousand|grand))\b"
)
_SAME: Final = str.maketrans(dict.fromkeys("’‘`´", "'") | dict.fromkeys("“”«»„", '"') | dict.fromkeys("–—", " - "))
_CASUAL: Final[dict[str, str]] = load("spelling")["casual"]


_UNSPACED: Final = re.compile(
    r"(?<=[0-9a-z])(?=[\u0e00-\u0eff\u1100-\u11ff\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff])"
    r"|(?<=[\u0e00-\u0eff\u1100-\u11ff\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff])(?=[0-9a-z])"
)
"""Where a name in Latin letters stands in a script that writes its words without spaces."""
_REWRITTEN: Final = re.compile(
    rf"['’]|(?<!\w)(?:{'|'.join(map(re.escape, [*_CASUAL, *_TEN]))}|"
    rf"(?:a|{'|'.join(_ONES)}) (?:hundred|thousand|grand))(?!\w)"
)


def rewritten(name: str) -> bool:
    """Whether a name may have words that `tidy` spells out: "Where's Waldo", "Twenty One"."""
    return _REWRITTEN.search(name.lower()) is not None


def tidy(question: str) -> str:
    """Lower case, plain letters, apostrophes and spaces, contractions spelt out; no invisible characters, no pictures,
    and of marks only those that numbers and names are written with."""
    text = unicodedata.normalize("NFKC", question).lower().translate(_SAME)
    text = _UNSPACED.sub(" ", "".join(map(_plain, text)))
    for pattern, word in _contractions():
        text = pattern.sub(rf"\1 {word}", text)
    text = _SHORT_YEAR.sub(r"20\1", text)
    text = _YEAR_FIRST.sub(r"\2 \1", text)
    text = _HYPHEN.sub(" ", text)
    text = _DASH.sub("to", text)
    text = _FIRST_OF.sub("1 ", text)
    text = _TENS.sub(_digits, text)
    text = _MARKS.sub(" ", text)
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


@cache
def _contractions() -> list[tuple[re.Pattern[str], str]]:
    found = load("spelling")["contractions"].items()
    return [(re.compile(rf"\b({'|'.join(entry['after'].split())}){entry['short']}\b"), word) for word, entry in found]


def _digits(match: re.Match[str]) -> str:
    """ "Forty five" as 45, "two hundred" as 200."""
    if match["t"]:
        return str(10 * (_TEN.index(match["t"]) + 2) + (_ONES.index(match["o"]) + 1 if match["o"] else 0))
    count = 1 if match["c"] == "a" else _ONES.index(match["c"]) + 1
    return str(count * (100 if match["z"] == "hundred" else 1000))
