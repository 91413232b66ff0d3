"""Transfers between own accounts find their other side."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

from mosaic_core.domain.transactions import Transaction
from mosaic_core.ledger.transfers import MATCHED, confirmed, match_transfers
from tests.support.ledgers import row

DAY = date(2026, 3, 2)


def transfer(tx_id: str, amount: str, account: str, *, days: int = 0, **more: Any) -> Transaction:
    made = row(DAY + timedelta(days=days), "TRANSFER", amount, tx_id=tx_id, account=account)
    return replace(made, category="TRANSFER_OUT" if made.amount < 0 else "TRANSFER_IN", **more)


def test_the_two_sides_of_a_transfer_are_each_others_counterpart() -> None:
    out, back = transfer("a", "-200", "checking"), transfer("b", "200", "savings", days=1)
    assert match_transfers([out, back], []) == {"a": "b", "b": "a"}
    assert match_transfers([out], [back]) == {"a": "b"}
    assert match_transfers([out], [out, back]) == {"a": "b"}


def test_what_differs_is_no_counterpart() -> None:
    out = transfer("a", "-200", "checking")
    for other in (
        transfer("b", "200.01", "savings"),
        transfer("b", "200", "checking"),
        transfer("b", "-200", "savings"),
        transfer("b", "200", "savings", days=4),
        transfer("b", "200", "savings", currency="EUR"),
        replace(transfer("b", "200", "savings"), category="INCOME"),
    ):
        assert match_transfers([out], [other]) == {}


def test_each_counterpart_serves_one_row_the_nearest() -> None:
    rows = [transfer("a", "-50", "checking"), transfer("b", "-50", "checking", days=2)]
    ledger = [transfer("c", "50", "savings", days=2)]
    assert match_transfers(rows, ledger) == {"b": "c"}
    ledger.append(transfer("d", "50", "savings", days=-1))
    assert match_transfers(rows, ledger) == {"a": "d", "b": "c"}


def test_many_equal_transfers_are_matched_one_to_one() -> None:
    rows = [transfer(f"o{n}", "-10", "checking", days=n % 3) for n in range(40)]
    ledger = [transfer(f"i{n}", "10", "savings", days=n % 3) for n in range(30)]
    found = match_transfers(rows, ledger)
    assert len(found) == len(set(found.values())) == 30


def test_a_counterpart_makes_the_category_certain() -> None:
    unsure = replace(transfer("a", "-200", "checking"), category_confidence=0.4)
    assert (confirmed(unsure).category_confidence, confirmed(unsure).category_source) == (0.95, MATCHED)
    assert confirmed(replace(unsure, category_confidence=0.99)).category_confidence == 0.99
