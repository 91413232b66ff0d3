"""Figures in words. Every number that is written here comes in as an argument."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Final

from mosaic_core.ledger.compute import Sum, rounded
from mosaic_core.ledger.query import Flow, Subject
from mosaic_core.ledger.rows import Row

_COMES_FROM: Final = (Flow.INCOME, Flow.REFUNDS, Flow.MONEY_IN, Flow.TRANSFERS_IN)


def money(amount: Decimal, currency: str) -> str:
    return f"{rounded(amount, currency):,f} {currency}"


def sums(totals: Sequence[Sum]) -> str:
    return " and ".join(money(total.amount, total.currency) for total in totals) or "nothing"


def day(value: date) -> str:
    return f"{value.day} {value:%B %Y}"


def about(subjects: Sequence[Subject], flow: Flow) -> str:
    if not subjects:
        return ""
    word = "from" if flow in _COMES_FROM else "at" if all(s.kind == "merchant" for s in subjects) else "on"
    return f" {word} {' and '.join(s.name for s in subjects)}"


def size(row: Row) -> str:
    return money(row.size, row.tx.currency)


def line(row: Row) -> str:
    return f"{row.day.isoformat()} {row.name} {size(row)}"


def where_and_when(row: Row) -> str:
    return f"{size(row)} at {row.name} on {day(row.day)}"
