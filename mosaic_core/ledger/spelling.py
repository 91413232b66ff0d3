"""One spelling for all ways to write a word: case, accents, apostrophes, the letters that banks transcribe."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_APOSTROPHES: Final = re.compile(r"[’'`´]")
# Letters that do not come apart into a letter and an accent.
_LETTERS: Final = str.maketrans({"ø": "o", "æ": "ae", "œ": "oe", "ł": "l", "đ": "d", "ð": "d", "þ": "th"})
_GERMAN: Final = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue"})
_NORDIC: Final = str.maketrans({"ä": "ae", "ö": "oe", "å": "aa", "ø": "oe"})


def unaccented(text: str) -> str:
    """The text in compatibility form without accents. Marks that are letters of their script stay: Thai and Indian
    vowels, Japanese voicing, Hangul as a whole.

    >>> unaccented("Ｃafé Žižkov คาเฟ่ ガスト")
    'Cafe Zizkov คาเฟ่ ガスト'
    """
    apart = unicodedata.normalize("NFKD", text)
    return unicodedata.normalize("NFC", "".join(c for c in apart if not "\u0300" <= c <= "\u036f"))


def fold(text: str) -> str:
    """Lower case, accents and compatibility forms folded, control characters as spaces, no apostrophes.

    >>> fold("Café  MØBLER")
    'cafe mobler'
    """
    text = text.casefold()
    if not text.isascii():
        text = unaccented(text.translate(_LETTERS))
    if not text.isprintable():
        text = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(_APOSTROPHES.sub("", text).split())


def spellings(text: str) -> frozenset[str]:
    """All that ``fold`` may make of what a bank prints for ``text``.

    >>> sorted(spellings("bäckerei"))
    ['backerei', 'baeckerei']
    """
    if text.isascii():
        return frozenset((text,))
    return frozenset((fold(text), fold(text.translate(_GERMAN)), fold(text.translate(_NORDIC))))
