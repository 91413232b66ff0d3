"""Small hand-made ledgers for tests of the analyses: a calm household, and rows to put on top of it."""

from __future__ import annotations

import calendar
from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal

from mosaic_core.domain.transactions import Transaction

START = date(2025, 1, 1)
AS_OF = date(2026, 6, 30)
_NAMES = (
    "ALDER BIRCH CEDAR DOGWOOD ELM FIR GINKGO HAZEL IRONWOOD JUNIPER KATSURA LARCH MAPLE NUTMEG OAK PINE QUINCE ROWAN "
    "SPRUCE TEAK UPAS VIBURNUM WILLOW XYLIA YEW ZELKOVA AGATE BERYL CORAL DIAMOND EMERALD FLINT GARNET HEMATITE INDIGO "
    "JASPER KYANITE LAPIS MARBLE NEPHRITE ONYX PEARL QUARTZ RUBY SLATE TOPAZ UMBER VERDITE"
).split()


def row(
    on: date,
    description: str,
    amount: str | float | Decimal,
    *,
    tx_id: str = "",
    account: str = "card",
    currency: str = "USD",
    name: str | None = None,
    other: str | None = None,
) -> Transaction:
    """One row; without ``tx_id`` the id follows from its content."""
    value = Decimal(f"{amount:.2f}") if isinstance(amount, float) else Decimal(amount)
    return Transaction(
        transaction_id=tx_id or f"{account}:{on.isoformat()}:{description}:{value}",
        account_id=account,
        posted_on=on,
        amount=value,
        currency=currency,
        description=description,
        merchant_name=name,
        counterparty_account_id=other,
    )


def monthly(
    description: str,
    amounts: Iterable[str | float],
    *,
    day: int = 10,
    first: date = START,
    account: str = "card",
    skip: Iterable[int] = (),
) -> list[Transaction]:
    """One row a month from ``first``'s month on, one per amount; ``skip`` names the months (0 = first) left out."""
    rows = []
    skipped = set(skip)
    for index, amount in enumerate(amounts):
        at = first.year * 12 + first.month - 1 + index
        year, month = at // 12, at % 12 + 1
        if index not in skipped:
            on = date(year, month, min(day, calendar.monthrange(year, month)[1]))
            rows.append(row(on, description, amount, account=account, tx_id=f"{description}:{index}"))
    return rows


def every(
    days: int, description: str, amounts: Iterable[str | float], *, first: date = START, account: str = "card"
) -> list[Transaction]:
    """One row every ``days`` days, one per amount."""
    return [
        row(first + timedelta(days=days * index), description, amount, account=account, tx_id=f"{description}:{index}")
        for index, amount in enumerate(amounts)
    ]


def calm() -> list[Transaction]:
    """Eighteen months in which nothing is wrong: pay, rent, groceries, fuel, restaurants, small one-off purchases."""
    rows = every(14, "NORTHWIND ROBOTICS PAYROLL", ["2400.00"] * 39, account="checking")
    rows += monthly("CEDAR APARTMENTS RENT", ["-1500.00"] * 18, day=1, account="checking")
    rows += every(5, "GREENLEAF MARKET 0032", [-(38 + 31 * ((7 * i) % 13) / 13 + i % 4 * 0.13) for i in range(109)])
    rows += every(9, "SUNSET FUEL", [-(34 + 12 * ((5 * i) % 11) / 11 + i % 3 * 0.07) for i in range(60)])
    rows += every(12, "GOLDEN WOK", [-(21 + 17 * ((3 * i) % 7) / 7 + i % 5 * 0.11) for i in range(45)])
    shops = ("BOOKS", "SHOES", "FLORIST", "TOYS", "BISTRO", "HARDWARE", "SALON", "GIFTS")
    for index in range(48):
        on = START + timedelta(days=11 * index + 3)
        rows.append(row(on, f"{_NAMES[index]} {shops[index % 8]}", -(18 + 9.3 * (index * 5 % 12))))
    return [tx for tx in rows if tx.posted_on <= AS_OF]
