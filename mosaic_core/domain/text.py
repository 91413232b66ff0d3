"""The product's one normaliser of texts: how a text is hashed, judged, shown and approved."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

__all__ = ["normalise"]

_SPACES: Final = re.compile(r"\s+")
_DROPPED: Final = frozenset(("Cf", "Cs", "Cn", "Co"))
_BLANK: Final = "\u115f\u1160\u3164\u034f\u17b4\u17b5"
"""Letters and marks that show nothing, whatever their category says."""


def normalise(text: str) -> str:
    """NFKC, no invisible or control characters, single spaces, trimmed. Case is kept, since names and codes carry
    meaning in it. What a person reads is then what is there."""
    return _SPACES.sub(" ", "".join(map(_visible, unicodedata.normalize("NFKC", text)))).strip()


def _visible(c: str) -> str:
    if c.isascii():
        return c if c.isprintable() else " "
    category = unicodedata.category(c)
    if category in _DROPPED or c in _BLANK or 0xFE00 <= ord(c) <= 0xFE0F:
        return ""
    return " " if category in ("Cc", "Zs", "Zl", "Zp") else c
