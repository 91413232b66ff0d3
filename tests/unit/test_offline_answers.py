"""Single promises of the offline agent that a table of questions does not show."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from mosaic_core.agents.offline.answering import answer
from mosaic_core.agents.runtime import OfflineAgent
from mosaic_core.domain.transactions import Transaction

AS_OF = date(2026, 11, 24)


def row(identity: str, day: date, amount: str, name: str, category: str, currency: str = "USD") -> Transaction:
    return Transaction(
        transaction_id=identity,
        account_id="a",
        posted_on=day,
        amount=Decimal(amount),
        currency=currency,
        description=name.upper(),
        merchant_name=name,
        category=category,
    )


LEDGER = [
    row("1", date(2026, 9, 3), "-20.00", "Cafe Rio", "FOOD_AND_DRINK"),
    row("2", date(2026, 10, 4), "-30.50", "Cafe Rio", "FOOD_AND_DRINK"),
    row("3", date(2026, 10, 5), "-44.00", "Bistro Lyon", "FOOD_AND_DRINK", "EUR"),
    row("4", date(2026, 10, 6), "-500.00", "Savings Transfer", "TRANSFER_OUT"),
    row("5", date(2026, 10, 7), "10.50", "Cafe Rio", "FOOD_AND_DRINK"),
    row("6", date(2026, 10, 1), "2000.00", "Acme", "INCOME"),
    row("7", date(2026, 12, 1), "-999.00", "Cafe Rio", "FOOD_AND_DRINK"),
]


def test_each_currency_is_answered_by_itself() -> None:
    got = answer("How much did I spend on food last month?", LEDGER, as_of=AS_OF)
    assert got.value == ["44.00 EUR", "30.50 USD"]
    assert got.unit == ""
    assert set(got.transaction_ids) == {"2", "3"}


def test_a_named_currency_is_answered_alone() -> None:
    got = answer("How much did I spend on food last month in euros?", LEDGER, as_of=AS_OF)
    assert (got.value, got.unit, got.transaction_ids) == (Decimal("44.00"), "EUR", ("3",))


@pytest.mark.parametrize(
    ("question", "value"),
    [
        ("How much did I spend at Cafe Rio in October?", Decimal("30.50")),
        ("How much did I spend at Cafe Rio in October net of refunds?", Decimal("20.00")),
        ("How much was refunded by Cafe Rio in October?", Decimal("10.50")),
    ],
)
def test_refunds_are_deducted_only_where_asked(question: str, value: Decimal) -> None:
    assert answer(question, LEDGER, as_of=AS_OF).value == value


def test_what_lies_after_today_is_not_looked_at() -> None:
    assert answer("How much have I spent at Cafe Rio?", LEDGER, as_of=AS_OF).value == Decimal("50.50")


def test_the_share_of_income_compares_spending_with_income() -> None:
    dollars = [t for t in LEDGER if t.currency == "USD"]
    got = answer("What percentage of my income did I spend in October?", dollars, as_of=AS_OF)
    assert (got.value, got.unit) == (Decimal("1.5"), "percent")


def test_a_misspelt_merchant_is_said_and_trusted_less() -> None:
    exact = answer("How much did I spend at Bistro Lyon?", LEDGER, as_of=AS_OF)
    guessed = answer("How much did I spend at Bistro Lyno?", LEDGER, as_of=AS_OF)
    assert guessed.value == exact.value
    assert guessed.confidence < exact.confidence
    assert "Bistro Lyon" in guessed.text


def test_an_unknown_merchant_is_not_made_up() -> None:
    got = answer("How much did I spend at Zorblax?", LEDGER, as_of=AS_OF)
    assert (got.outcome_code, got.value, got.transaction_ids) == ("cannot_answer", None, ())
    assert "zorblax" not in got.rationale.lower()


async def test_the_agent_answers_as_the_function_does() -> None:
    question = "How much did I spend in October?"
    agent = OfflineAgent()
    assert agent.name == "offline"
    assert await agent.answer(question, LEDGER, as_of=AS_OF) == answer(question, LEDGER, as_of=AS_OF)


_WEEKDAYS = [row(f"d{day}", date(2026, 10, day), f"-{day}.00", "Cafe Rio", "FOOD_AND_DRINK") for day in range(1, 32)]
"""The n-th of October costs n dollars; 3 October 2026 is a Saturday."""


@pytest.mark.parametrize(
    ("question", "value"),
    [
        ("How much did I spend on Saturday in October?", 3 + 10 + 17 + 24 + 31),
        ("In October, how much did I spend on Saturday and Sunday?", 3 + 10 + 17 + 24 + 31 + 4 + 11 + 18 + 25),
        ("How much did I spend on Saturday?", 31),
        ("How much did I spend on Saturday and Sunday?", None),
        ("How much did I spend on Saturday last week?", 24),
    ],
)
def test_a_day_of_the_week_within_a_longer_time_is_each_of_them(question: str, value: int | None) -> None:
    got = answer(question, _WEEKDAYS, as_of=date(2026, 10, 31))
    assert got.value == (None if value is None else Decimal(value))


_MOVED = [
    row("pay", date(2026, 10, 1), "2000.00", "Acme", "INCOME"),
    row("shop", date(2026, 10, 2), "-30.00", "Cafe Rio", "FOOD_AND_DRINK"),
    row("bill", date(2026, 10, 3), "-300.00", "Card Payment Thank You", "LOAN_PAYMENTS"),
    row("bob", date(2026, 10, 4), "-75.00", "Zelle To Bob Stone", "TRANSFER_OUT"),
    row("out", date(2026, 10, 5), "-400.00", "Transfer To Savings", "TRANSFER_OUT"),
    replace(row("in", date(2026, 10, 5), "400.00", "Transfer From Checking", "TRANSFER_IN"), account_id="card"),
]


@pytest.mark.parametrize(
    ("question", "value"),
    [
        ("How much did I send to Cafe Rio?", 30),
        ("How much did I transfer to Cafe Rio in October?", 30),
        ("How much did I send to Bob Stone?", 75),
        ("How much did I send to Acme?", 0),
        ("How much did I move to savings?", 400),
        # each is there twice, in and out
        ("What is the total of my transfers in October?", 475),
        ("How many transfers were there in October?", 3),
        ("How much was transferred in in October?", 400),
        ("How much was transferred from Bob Stone?", 0),
        # the row that names checking is the other account's
        ("How much did I move to checking?", None),
        ("How much was transferred into checking?", None),
        ("What came in from savings?", None),
        ("How much did I move from checking to savings?", 400),
        ("How much did I pay off my card?", 300),
        # what was bought with the card is spent already
        ("Net cash flow in October", 1970),
        ("How much did I save in October?", 1970),
        ("How much of my income went to Cafe Rio?", 30),
        ("How much of my income was from Acme?", 2000),
        ("What came into checking in October?", None),
    ],
)
def test_what_was_sent_to_a_merchant_was_paid_and_a_cards_bill_counts_once(question: str, value: int | None) -> None:
    got = answer(question, _MOVED, as_of=AS_OF)
    assert got.value == (None if value is None else Decimal(value))


@pytest.mark.parametrize(
    "message",
    [
        "the Cafe Rio charge on October 4 was a work expense, put it under travel",
        "move the Cafe Rio charge from October to household",
        "refund the Cafe Rio charge from October 4",
        "Cafe Rio is coffee, not groceries",
        "The bank says: Your payment of $30.50 was sent to Cafe Rio.",
        "If I paid off my card today, how much would be left in checking?",
        "what would happen if I spent $50 at Cafe Rio?",
        "How much would I have saved without Cafe Rio?",
        "remind me to pay Cafe Rio",
        "Transfer fees this year?",
        "Suppose I spent $10 at Cafe Rio each month",
        "How much was the trip to Seattle?",
    ],
)
def test_what_asks_for_no_figure_of_the_ledger_gets_none(message: str) -> None:
    seattle = row("8", date(2026, 10, 8), "-288.00", "Hotel Seattle", "TRAVEL")
    fee = row("9", date(2026, 10, 9), "-3.50", "ATM Fee", "BANK_FEES")
    assert answer(message, [*LEDGER, seattle, fee], as_of=AS_OF).outcome_code == "cannot_answer"


def test_twelve_months_are_a_year_wherever_they_begin() -> None:
    monthly = [
        row(f"m{month}", date(2025 + (month > 12), (month - 1) % 12 + 1, 1), "-10.00", "Cafe Rio", "FOOD_AND_DRINK")
        for month in range(11, 23)
    ]
    for per, value in (("year", 120), ("quarter", 30), ("month", 10)):
        got = answer(f"How much do I spend at Cafe Rio on average per {per}?", monthly, as_of=date(2026, 10, 31))
        assert got.value == Decimal(value), per
