"""Names of chains that people ask for, from the categoriser's lexicon. Data.

A chain that the ledger lacks is an unknown name, whatever its words mean by themselves ("Best Buy", "Old Navy").
"""

from __future__ import annotations

from typing import Final

from mosaic_core.agents.lexicon import CHAINS

BRANDS: Final = frozenset(tuple(name.split()) for block in CHAINS.values() for name in block.split(",") if name.strip())
BRAND_WORDS: Final = frozenset(words[0] for words in BRANDS if len(words) == 1)
LONGEST_BRAND: Final = max(len(words) for words in BRANDS)
