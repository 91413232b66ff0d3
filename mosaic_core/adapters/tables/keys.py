"""Any text as a PartitionKey or RowKey, so that two different texts never share a row."""

from __future__ import annotations

import hashlib
import re
from typing import Final
from urllib.parse import quote

SEPARATOR: Final = "!"
"""Stands between the parts of a key; no encoded part contains it."""

LONGEST: Final = 250
"""Characters of one encoded part. A key holds 512 (1 KiB of UTF-16), and a key is at most two long parts."""

_KEPT: Final = 160
_PLAIN: Final = re.compile(rf"[A-Za-z0-9_.:-]{{1,{LONGEST}}}", re.ASCII)


def encode(text: str) -> str:
    """ASCII letters, digits and ``_ . : -`` stay; each other byte of the UTF-8 form becomes ``~`` and two hex digits.

    What gets too long keeps its head, and ``~~`` and the SHA-256 of the whole for a tail. The empty text is ``~``.
    The result needs no quoting in a URL's path and holds no quote, so it cannot leave an OData literal either.
    """
    if _PLAIN.fullmatch(text):
        return text
    if not text:
        return "~"
    whole = text.encode("utf-8", "surrogatepass")
    # `quote` leaves "~" alone, which is the escape here
    escaped = quote(whole, safe=":").replace("~", "%7E").replace("%", "~")
    if len(escaped) <= LONGEST:
        return escaped
    return f"{escaped[:_KEPT]}~~{hashlib.sha256(whole).hexdigest()}"


def join(*parts: str) -> str:
    """One key of several texts; different lists of as many parts give different keys."""
    return SEPARATOR.join(map(encode, parts))
