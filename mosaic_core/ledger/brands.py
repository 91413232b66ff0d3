"""Names of chains that people ask for, from the categoriser's lexicon. Data.

A chain that the ledger lacks is an unknown name, whatever its words mean by themselves ("Best Buy", "Old Navy").
"""

from __future__ import annotations

from functools import cache
from typing import Final

from mosaic_core.ledger.knowledge import read

_ENGLISH: Final = ("any", "us", "ca", "uk", "au")
_NO_MERCHANTS: Final = frozenset({"INCOME", "TRANSFER_IN", "TRANSFER_OUT", "LOAN_PAYMENTS", "BANK_FEES"})
"""Their chains are kinds of rows as well ("foreign transaction fee"), which are asked for as such."""

_COMMON: Final = frozenset("more than less any every day all the best one next of for to in my".split())
"""A chain of nothing but these is what people say of other things ("More Than", an insurer)."""

LONGEST_BRAND: Final = 6
"""Words."""


@cache
def brands() -> frozenset[tuple[str, ...]]:
    """The chains by the words of their names. Read when first asked for: most questions name none that is unknown."""
    return frozenset(
        tuple(words)
        for primary, lists in read("chains").items()
        if primary not in _NO_MERCHANTS
        for place in _ENGLISH
        for name in lists.get(place, "").replace("\n", " ").split(",")
        if (words := name.split()) and not words[-1].endswith("?") and not _COMMON.issuperset(words)
    )


@cache
def brand_words() -> frozenset[str]:
    """The names of one word."""
    return frozenset(words[0] for words in brands() if len(words) == 1)
