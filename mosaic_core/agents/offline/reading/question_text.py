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
_TENS: Final = re.compile(
    rf"\b(?:(?P<t>{'|'.join(_TEN)})(?:[ -](?P<o>{'|'.join(_ONES)}))?"
    rf"|(?P<c>a|{'|'.join(_ONES)}) (?P<z>hundred|thousand|grand))\b"
)
_SAME: Final = str.maketrans(dict.fromkeys("’‘`´", "'") | dict.fromkeys("“”«»„", '"') | dict.fromkeys("–—", " - "))
_CASUAL: Final[dict[str, str]] = load("spelling")["casual"]
_SHORT: Final[dict[str, dict[str, str]]] = load("spelling")["contractions"]
_REWRITTEN: Final = re.compile(
    rf"['’]|(?<!\w)(?:{'|'.join(map(re.escape, [*_CASUAL, *_TEN]))}|"
    rf"(?:a|{'|'.join(_ONES)}) (?:hundred|thousand|grand))(?!\w)"
)


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
    text = _MARKS.sub(" ", _TENS.sub(_digits, text))
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


def _digits(match: re.Match[str]) -> str:
    """ "Forty five" as 45, "two hundred" as 200."""
    if match["t"]:
        return str(10 * (_TEN.index(match["t"]) + 2) + (_ONES.index(match["o"]) + 1 if match["o"] else 0))
    count = 1 if match["c"] == "a" else _ONES.index(match["c"]) + 1
    return str(count * (100 if match["z"] == "hundred" else 1000))
