"""What no ledger of transactions can answer, told by a question's words before anything else is read. Pure."""

from __future__ import annotations

import re
from typing import Final

from mosaic_core.agents.offline.lexicon import load, patterns, turn
from mosaic_core.ledger.query import Refusal

_FILE: Final = load("refusals")
CODES: Final = tuple(code for code in _FILE if code != "names")

REFUSALS: Final = tuple((turn(code, "refusals"), Refusal(code, _FILE[code]["says"])) for code in CODES)
"""Each reason with what tells it; the first that fits is told."""
REFUSAL_WORDS: Final = frozenset(
    word
    for code in CODES
    for pattern, _ in patterns(_FILE[code]["patterns"], _FILE["names"])
    for word in re.findall(r"(?<![a-z\\])[a-z]{4,}(?![a-z?])", pattern)
)
"""Whole words of the patterns, so that a slip in one is mended too."""


def refusal_of(text: str) -> Refusal | None:
    return next((refusal for pattern, refusal in REFUSALS if pattern.search(text)), None)


def unknown(name: str) -> Refusal:
    return Refusal("unknown_merchant", f"The ledger has nothing by the name of {name!r}.", (("unknown", name),))


def not_understood(words: str) -> Refusal:
    text = f"I did not understand {words!r} in that, so I give no figure."
    return Refusal("not_understood", text, (("not_understood", words),))
