"""Two series at one payee are two, and one series is one: what each costs, and which of them went up."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from mosaic_core.agents.offline.answering import answer
from mosaic_core.domain.transactions import Transaction
from mosaic_core.ledger import compute
from mosaic_core.ledger.recurring import recurring_series
from mosaic_core.ledger.rows import rows_of
from tests.support.ledgers import every, monthly, row

AS_OF = date(2025, 12, 20)
FIRST = date(2025, 1, 1)


def at_apple(amounts: list[str], *, day: int, of: str) -> list[Transaction]:
    return [
        row(t.posted_on, "APPLE.COM/BILL 866-712", t.amount, tx_id=f"{of}-{i}", name="Apple")
        for i, t in enumerate(monthly("x", [f"-{amount}" for amount in amounts], day=day, first=FIRST))
    ]


def found(ledger: list[Transaction]) -> list[tuple[str, list[str]]]:
    """Each series' cadence and amounts, the first occurrence's id first."""
    series = recurring_series(rows_of(ledger, AS_OF))
    return [(s.cadence.name, sorted({str(-c.amount) for c in s.occurrences})) for s in series]


@pytest.mark.parametrize("other_day", [18, 4, 3, 10, 28])
def test_two_subscriptions_at_one_payee_are_two(other_day: int) -> None:
    ledger = [*at_apple(["10.99"] * 12, day=3, of="music"), *at_apple(["2.99"] * 12, day=other_day, of="cloud")]
    assert found(ledger) == [("monthly", ["10.99"]), ("monthly", ["2.99"])]
    bills = compute.recurring(rows_of(ledger, AS_OF), as_of=AS_OF)
    assert sum((bill.monthly for bill in bills), Decimal(0)) == Decimal("13.98")
    said = answer("how much do my subscriptions cost me a month?", ledger, as_of=AS_OF)
    assert said.value == Decimal("13.98")


def test_three_at_one_payee_are_three() -> None:
    ledger = [
        *at_apple(["10.99"] * 12, day=3, of="music"),
        *at_apple(["2.99"] * 12, day=3, of="cloud"),
        *at_apple(["6.99"] * 12, day=14, of="tv"),
    ]
    assert found(ledger) == [("monthly", ["10.99"]), ("monthly", ["6.99"]), ("monthly", ["2.99"])]


def test_two_of_one_price_are_two() -> None:
    ledger = [*at_apple(["2.99"] * 12, day=3, of="his"), *at_apple(["2.99"] * 12, day=3, of="hers")]
    assert found(ledger) == [("monthly", ["2.99"]), ("monthly", ["2.99"])]


def test_one_of_two_that_goes_up_stays_one() -> None:
    ledger = [
        *at_apple(["10.99"] * 7 + ["12.99"] * 5, day=3, of="music"),
        *at_apple(["2.99"] * 12, day=18, of="cloud"),
    ]
    assert found(ledger) == [("monthly", ["10.99", "12.99"]), ("monthly", ["2.99"])]
    said = answer("did apple put its price up?", ledger, as_of=AS_OF)
    assert (said.value, set(said.transaction_ids)) == ("yes", {"music-6", "music-11"})
    assert answer("by how much did apple go up?", ledger, as_of=AS_OF).value == Decimal("2.00")
    assert answer("when did apple raise its price?", ledger, as_of=AS_OF).value == "2025-08-03"
    assert answer("how much is apple a month?", ledger, as_of=AS_OF).value == Decimal("15.98")


def test_no_price_moves_where_two_are_paid_in_turn() -> None:
    ledger = [*at_apple(["10.99"] * 12, day=3, of="music"), *at_apple(["2.99"] * 12, day=18, of="cloud")]
    assert answer("did apple put its price up?", ledger, as_of=AS_OF).value == "no"


@pytest.mark.parametrize(
    ("ledger", "expected"),
    [
        (at_apple(["9.99"] * 6 + ["11.99"] * 6, day=3, of="new price"), [("monthly", ["11.99", "9.99"])]),
        (at_apple(["50.00", "55.00"] * 6, day=3, of="in turn"), [("monthly", ["50.00", "55.00"])]),
        (
            [
                *at_apple(["9.99"] * 12, day=3, of="once"),
                row(date(2025, 6, 4), "APPLE.COM/BILL 866-712", "-9.99", tx_id="again", name="Apple"),
            ],
            [("monthly", ["9.99"])],
        ),
        (every(14, "ACME PAYROLL", ["2000.00"] * 24, first=FIRST), [("every two weeks", ["-2000.00"])]),
        (
            [
                *monthly("ACME PAYROLL", ["2000.00"] * 12, day=8, first=FIRST),
                *[
                    row(t.posted_on, t.description, t.amount, tx_id=f"mid-{t.transaction_id}")
                    for t in monthly("ACME PAYROLL", ["2000.00"] * 12, day=23, first=FIRST)
                ],
            ],
            [("twice a month", ["-2000.00"])],
        ),
        (every(7, "COFFEE CORNER", ["-4.50", "-4.50", "-5.25"] * 12, first=FIRST), [("weekly", ["4.50", "5.25"])]),
    ],
    ids=["a new price", "two amounts in turn", "charged twice once", "fortnightly pay", "pay twice a month", "a habit"],
)
def test_one_series_is_one(ledger: list[Transaction], expected: list[tuple[str, list[str]]]) -> None:
    assert found(ledger) == expected
