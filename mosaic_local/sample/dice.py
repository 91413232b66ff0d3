"""Chance without state: the same label gives the same number on every machine, in every order of asking."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from decimal import Decimal

SEED = "mosaic sample household 1"


def number(label: str, low: int, high: int) -> int:
    """An integer from ``low`` to ``high``, both included, evenly spread."""
    digest = hashlib.sha256(f"{SEED}|{label}".encode()).digest()
    return low + int.from_bytes(digest[:8]) % (high - low + 1)


def bell(label: str, low: int, high: int) -> int:
    """An integer from ``low`` to ``high``, the middle more often than the ends (mean of three)."""
    return sum(number(f"{label}|{part}", low, high) for part in range(3)) // 3


def chance(label: str, per_mille: int) -> bool:
    """True in ``per_mille`` of a thousand labels."""
    return number(label, 0, 999) < per_mille


def choose[T](label: str, items: Sequence[T]) -> T:
    """One of the items."""
    return items[number(label, 0, len(items) - 1)]


def cents(value: int) -> Decimal:
    """A whole number of cents as money."""
    return Decimal(value).scaleb(-2)
