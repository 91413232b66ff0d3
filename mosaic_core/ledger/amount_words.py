"""Amounts that bound rows, in plain English: from "between 50 and 100 dollars" to `Bounds`. Pure.

The words are those of ``amounts.toml``.
"""

from __future__ import annotations

import re
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Final

from mosaic_core.domain.wordlists import one_of, patterns, phrases
from mosaic_core.ledger.query import Bounds

_WORDS: Final = tomllib.loads(Path(__file__).with_name("amounts.toml").read_text(encoding="utf-8"))
_PATTERNS: Final = {
    name: one_of(patterns(entry["patterns"], _WORDS["names"])) for name, entry in _WORDS.items() if "patterns" in entry
}
_LOOSE: Final = frozenset(phrases(_WORDS["loose"]["words"]))
_AMOUNT: Final = re.compile(r"(\d[\d,]*(?:\.\d+)?)\s?(k\b)?")


def mark_bounds(question: str) -> tuple[Bounds, list[tuple[int, int]]]:
    """The amounts that bound single rows, or a total, and where they stand."""
    spans: list[tuple[int, int]] = []

    def take(name: str) -> re.Match[str] | None:
        free = question
        for start, end in spans:
            free = free[:start] + "\0" * (end - start) + free[end:]
        if (match := _PATTERNS[name].search(free)) is not None:
            spans.append(match.span())
        return match

    if (match := take("between")) is not None:
        low, high = sorted(_amounts(match))
        return Bounds(low, high, strictly=False), spans
    if (match := take("or_more")) is not None:
        return Bounds(at_least=_amounts(match)[0], strictly=False), spans
    if (match := take("or_less")) is not None:
        return Bounds(at_most=_amounts(match)[0], strictly=False), spans
    over, under = take("over"), take("under")
    if over is None and under is None and (match := take("exactly")) is not None:
        (amount,) = _amounts(match)
        return Bounds(amount, amount, strictly=False), spans
    loose = any(match is not None and match["w"] in _LOOSE for match in (over, under))
    loose = loose or (over is not None and over.group().endswith("or more"))
    at_least, at_most = (_amounts(match)[0] if match is not None else None for match in (over, under))
    return Bounds(at_least, at_most, strictly=not loose), spans


def _amounts(match: re.Match[str]) -> list[Decimal]:
    return [Decimal(m[1].replace(",", "")[:20]) * (1000 if m[2] else 1) for m in _AMOUNT.finditer(match.group())]
