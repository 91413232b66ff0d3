"""How the offline agent reads a question: every word counts, and what it does not understand it does not answer."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from mosaic_core.agents.offline.answering import answer
from mosaic_core.agents.offline.reading.question_text import tidy
from mosaic_core.agents.offline.reading.respelling import corrected
from mosaic_core.agents.offline.reading.understand import understand
from mosaic_core.domain.transactions import Transaction
from mosaic_core.ledger.date_words import find_periods
from mosaic_core.ledger.query import Query
from mosaic_core.ledger.rows import rows_of

AS_OF = date(2026, 11, 24)


def row(
    day: date, amount: str, name: str | None, category: str, text: str = "", account: str = "acc_chk_1"
) -> Transaction:
    return Transaction(
        transaction_id=f"{day}-{amount}-{name}-{text}",
        account_id=account,
        posted_on=day,
        amount=Decimal(amount),
        currency="USD",
        description=text or (name or "").upper(),
        merchant_name=name,
        category=category,
    )


def monthly(amounts: list[str], name: str, category: str, day: int = 6) -> list[Transaction]:
    """One row a month up to November 2026, the last amount last."""
    months = range(12 - len(amounts), 12)
    return [row(date(2026, m, day), a, name, category) for m, a in zip(months, amounts, strict=True)]


LEDGER = [
    *monthly(["-10.00"] * 5 + ["-12.50"] * 3, "Streamly", "ENTERTAINMENT"),
    *monthly(["-40.00", "-52.00", "-47.00"], "Borealis Electric", "RENT_AND_UTILITIES", 9),
    row(date(2026, 9, 3), "-20.00", "Caffè Nero", "FOOD_AND_DRINK", "CAFFE NERO 12"),
    row(date(2026, 10, 4), "-30.50", None, "FOOD_AND_DRINK", "CAFFE NERO 77"),
    row(date(2026, 10, 7), "-60.00", "Three", "RENT_AND_UTILITIES", "THREE MOBILE PHONE"),
    row(date(2026, 10, 9), "-90.00", "Panera Bread", "FOOD_AND_DRINK"),
    row(date(2026, 10, 12), "-700.00", None, "LOAN_PAYMENTS", "CHASE CREDIT CRD AUTOPAY"),
    row(date(2026, 10, 12), "700.00", None, "LOAN_PAYMENTS", "PAYMENT RECEIVED - THANK YOU", "acc_card_2"),
    row(date(2026, 10, 14), "-80.00", None, "TRANSFER_OUT", "ATM WITHDRAWAL DENVER CO 1"),
    row(date(2026, 10, 15), "-150.00", None, "TRANSFER_OUT", "ONLINE TRANSFER TO SAV ...4821"),
    row(date(2026, 10, 16), "2000.00", "Acme", "INCOME", "ACME PAYROLL"),
    row(date(2026, 10, 30), "4.20", None, "INCOME", "INTEREST PAYMENT"),
]


def said(question: str) -> object:
    return answer(question, LEDGER, as_of=AS_OF).value


@pytest.mark.parametrize(
    ("question", "value"),
    [
        ("what did caffe nero come to in october", Decimal("30.50")),
        ("total spending in October", Decimal("245.00")),
        ("how much did I pay off my credit card in October", Decimal("700.00")),
        ("what cash did I take out of ATMs in October", Decimal("80.00")),
        ("how much went into savings in October", Decimal("150.00")),
        ("how much salary came in during October", Decimal("2000.00")),
        ("what interest did I earn in October", Decimal("4.20")),
        ("has Streamly put its price up?", "yes"),
        ("by how much did Streamly go up", Decimal("2.50")),
        ("did my electricity bill go up", "no"),
        ("how much is Streamly a year", Decimal("150.00")),
        ("which subscriptions got more expensive", ["Streamly"]),
        ("when did I start paying for Streamly", "2026-04-06"),
        ("how much did I spend at Three in October", Decimal("60.00")),
        ("what were my three largest purchases in October", 3),
        ("did I live within my means in October", "yes"),
        ("did more go out than came in during September", "yes"),
        ("Three or Caffe Nero: which cost more in October", "Three"),
        ("how much did I spend on travel", Decimal("0.00")),
        ("when did Streamly put its fee up", "2026-09-06"),
        ("in October '26, was more going out than coming in", "no"),
        ("Three minus Caffe Nero in October", Decimal("29.50")),
        ("what percentage of our food and drink in October was Panera Bread", Decimal("74.7")),
        ("how high has the Streamly bill got", Decimal("12.50")),
        ("how much was shifted from checking into savings in October", Decimal("150.00")),
        ("what day of the month does Streamly come out", 6),
        ("2026 Q4: what did Three charge us", Decimal("60.00")),
        ("how much did we pull out of the ATM in October", Decimal("80.00")),
    ],
)
def test_sums_follow_from_words_anywhere_in_the_sentence(question: str, value: object) -> None:
    got = said(question)
    assert (len(got) if isinstance(got, list) and isinstance(value, int) else got) == value


def test_a_card_s_bill_is_no_spending_and_its_purchases_are() -> None:
    rows = rows_of(LEDGER, AS_OF)
    assert [r.tx.description for r in rows if r.own_card] == [
        "CHASE CREDIT CRD AUTOPAY",
        "PAYMENT RECEIVED - THANK YOU",
    ]
    assert not any(r.spending or r.refund for r in rows if r.own_card)


def test_a_row_without_a_name_takes_the_one_that_its_descriptor_has_elsewhere() -> None:
    names = {r.name for r in rows_of(LEDGER, AS_OF) if "NERO" in r.tx.description}
    assert names == {"Caffè Nero"}


@pytest.mark.parametrize(
    ("question", "code"),
    [
        ("how much did I spend in October on zarquon", "unknown_merchant"),
        ("how much did I frobnicate in October", "not_understood"),
        ("how much did I spend at Best Buy", "unknown_merchant"),
        ("how much did I spend on bread", "unknown_merchant"),
        ("what is my balance", "balances_not_in_ledger"),
        ("how much will I spend at Panera Bread in 2027", "future_not_in_ledger"),
        ("why did I spend so much in October", "reasons_not_in_ledger"),
        ("how many calories were in my last Panera Bread order", "items_not_in_ledger"),
        ("what does my boss earn", "other_people_not_in_ledger"),
        ("how much did I spend in 2019", "period_not_in_ledger"),
        ("how much did I spend at the vet", "no_such_rows"),
        ("how much did I spend in March and May", "not_understood"),
        ("in how many months did I spend over 3000", "not_understood"),
        ("average of my three largest purchases", "not_understood"),
        ("how much did I spend in yen", "unknown_currency"),
        ("since payday how much have I spent", "not_understood"),
        ("net savings transfers this year", "not_understood"),
        ("how much did I pull out in October", "not_understood"),
        ("how much did I keep in savings", "not_understood"),
        ("what's the bottom line on Three for October", "not_understood"),
        ("how much money is in savings right now", "balances_not_in_ledger"),
        ("what did Panera Bread use my money for", "reasons_not_in_ledger"),
    ],
)
def test_what_is_not_understood_is_refused_with_its_reason(question: str, code: str) -> None:
    got = answer(question, LEDGER, as_of=AS_OF)
    assert (got.value, got.transaction_ids, dict(got.details)["reason"]) == (None, (), code)


def test_a_refusal_names_the_words_to_the_person_and_not_in_its_rationale() -> None:
    got = answer("how much did I frobnicate in October", LEDGER, as_of=AS_OF)
    assert "frobnicate" in got.text
    assert "frobnicate" not in got.rationale


@pytest.mark.parametrize(
    ("question", "mended"),
    [
        ("avearge mothly grocry spnd", "average monthly grocery spend"),
        ("what is my crdeit limit", "what is my credit limit"),
        ("who is my employee", "who is my employee"),
        ("the credit score", "the credit score"),
    ],
)
def test_slips_are_mended_and_real_words_are_not(question: str, mended: str) -> None:
    assert corrected(tidy(question), ()) == mended


@pytest.mark.parametrize(
    ("words", "start", "end"),
    [
        ("the day before yesterday", date(2026, 11, 22), date(2026, 11, 22)),
        ("in the last fortnight", date(2026, 11, 11), date(2026, 11, 24)),
        ("in the last three months of 2025", date(2025, 10, 1), date(2025, 12, 31)),
        ("from 3 to 17 march", date(2026, 3, 3), date(2026, 3, 17)),
        ("last weekend", date(2026, 11, 21), date(2026, 11, 22)),
        ("on friday", date(2026, 11, 20), date(2026, 11, 20)),
        ("last tuesday", date(2026, 11, 17), date(2026, 11, 17)),
        ("in the second quarter", date(2026, 4, 1), date(2026, 6, 30)),
        ("2 months ago", date(2026, 9, 1), date(2026, 9, 30)),
        ("between november and july 2026", date(2025, 11, 1), date(2026, 7, 31)),
    ],
)
def test_more_words_of_time(words: str, start: date, end: date) -> None:
    (period,), _ = find_periods(words, AS_OF)
    assert (period.start, period.end) == (start, end)


def test_a_range_of_two_whole_periods_is_compared_end_with_end() -> None:
    query = understand("difference in spending between September and October", rows_of(LEDGER, AS_OF), as_of=AS_OF)
    assert isinstance(query, Query)
    assert query.other_period is not None
    assert (query.period.start.month, query.other_period.start.month) == (9, 10)
