"""Names of chains that people ask for, from the categoriser's lexicon. Data.

A chain that the ledger lacks is an unknown name, whatever its words mean by themselves ("Best Buy", "Old Navy").
"""

from __future__ import annotations

from typing import Final

from mosaic_core.agents.lexicon import read

_ENGLISH: Final = ("any", "us", "ca", "uk", "au")
_NO_MERCHANTS: Final = frozenset({"INCOME", "TRANSFER_IN", "TRANSFER_OUT", "LOAN_PAYMENTS", "BANK_FEES"})
"""Their chains are kinds of rows as well ("foreign transaction fee"), which are asked for as such."""

_COMMON: Final = frozenset("more than less any every day all the best one next of for to in my".split())
"""A chain of nothing but these is what people say of other things ("More Than", an insurer)."""

BRANDS: Final = frozenset(
    tuple(words)
    for primary, lists in read("chains").items()
    if primary not in _NO_MERCHANTS
    for place in _ENGLISH
    for name in lists.get(place, "").replace("\n", " ").split(",")
    if (words := name.split()) and not words[-1].endswith("?") and not _COMMON.issuperset(words)
)
BRAND_WORDS: Final = frozenset(words[0] for words in BRANDS if len(words) == 1)
LONGEST_BRAND: Final = max(len(words) for words in BRANDS)
