"""What holds of the offline agent for every ledger: figures are the rows' own, and the rows' order does not matter."""

# ruff: noqa: E501 - sample rows, one a line
from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mosaic_core.agents.offline.answering import answer
from mosaic_core.domain.transactions import Transaction
from mosaic_core.ledger import compute
from mosaic_core.ledger.date_words import find_periods
from mosaic_core.ledger.query import Group
from mosaic_core.ledger.rows import rows_of
from tests.support.examples import examples

AS_OF = date(2026, 11, 24)
_CATEGORIES = (
    "INCOME TRANSFER_IN TRANSFER_OUT LOAN_PAYMENTS BANK_FEES ENTERTAINMENT FOOD_AND_DRINK GENERAL_MERCHANDISE MEDICAL"
    " RENT_AND_UTILITIES TRANSPORTATION"
).split()
_QUESTIONS = (
    "How much did I spend last month?",
    "What did I spend on food this year?",
    "How many transactions did I have in 2026?",
    "What is my largest purchase?",
    "What subscriptions do I have?",
    "Compare this month and last month",
    "What changed this month?",
    "top 3 merchants",
    "average spending per month",
    "net cash flow this year",
    "How much did I spend at Amazon since June?",
    "when did I last pay Netflix",
    "What percentage of my spending is food?",
    "breakdown by category",
    "What's my balance?",
)

_rows = st.builds(
    Transaction,
    transaction_id=st.uuids().map(str),
    account_id=st.sampled_from(["a-1", "a-2"]),
    posted_on=st.integers(0, 800).map(lambda n: AS_OF - timedelta(days=n - 20)),
    amount=st.decimals("-5000", "5000", places=2),
    currency=st.sampled_from(["USD", "USD", "USD", "EUR", "JPY"]),
    description=st.sampled_from(
        ["AMZN MKTP US*2K4", "NETFLIX.COM", "SQ *BLUE BTL", "TRANSFER TO SAVINGS", "", "ÄÖÜ 漢字"]
    ),
    merchant_name=st.none() | st.sampled_from(["Amazon", "Netflix", "Blue Bottle", "amazon"]) | st.text(max_size=8),
    category=st.sampled_from(_CATEGORIES),
)
_ledgers = st.lists(_rows, max_size=25, unique_by=lambda t: t.transaction_id)


@given(st.text(max_size=200), _ledgers)
@settings(max_examples=examples(40, slow=120), deadline=None)
def test_never_raises_and_names_only_rows_of_the_ledger(question: str, ledger: list[Transaction]) -> None:
    got = answer(question, ledger, as_of=AS_OF)
    assert set(got.transaction_ids) <= {t.transaction_id for t in ledger if t.posted_on <= AS_OF}
    assert (got.outcome_code == "cannot_answer") == (got.value is None)


_vocabulary = (
    " ".join(_QUESTIONS).lower().replace("?", "").split()
    + (
        'between and may march 2025 first half q2 over $100 least vs than ago 3 weeks before refunds since netflix "amazon" 31 february'
    ).split()
)


@given(st.lists(st.sampled_from(_vocabulary), max_size=14).map(" ".join), _ledgers)
@settings(max_examples=examples(66, slow=200), deadline=None)
def test_never_raises_on_questions_of_its_own_words(question: str, ledger: list[Transaction]) -> None:
    got = answer(question, ledger, as_of=AS_OF)
    assert (got.outcome_code == "cannot_answer") == (got.value is None)


@given(
    st.sampled_from([*_QUESTIONS, "average coffee purchase in May", "did I spend more on food or rent this year"]),
    st.sampled_from(["frobnicated", "zyxwv", "quuxes", "blargh", "flibbert"]),
    st.integers(0, 8),
    _ledgers,
)
@settings(max_examples=examples(33, slow=100), deadline=None)
def test_a_word_that_nothing_explains_is_never_answered_over(
    question: str, word: str, place: int, ledger: list[Transaction]
) -> None:
    words = question.split()
    words.insert(min(place, len(words)), word)
    assert answer(" ".join(words), ledger, as_of=AS_OF).outcome_code == "cannot_answer"


@pytest.mark.parametrize("as_of", [date(1, 1, 1), date(1900, 1, 1), date(2024, 2, 29), date(9999, 12, 31)])
@pytest.mark.parametrize(
    "question",
    [*_QUESTIONS, "next month", "last 9999 years", "the week before last", "in 1900-02", "9999 months ago to now"],
)
def test_any_day_of_the_calendar_may_be_today(question: str, as_of: date) -> None:
    row = Transaction(
        transaction_id="t", account_id="a", posted_on=as_of, amount=Decimal("-1.00"), currency="USD", description="x", category="TRAVEL"
    )  # fmt: skip
    assert answer(question, [row], as_of=as_of).outcome_code in ("answered", "cannot_answer")


@given(_ledgers, st.sampled_from(_QUESTIONS), st.randoms(use_true_random=False))
@settings(max_examples=examples(33, slow=100), deadline=None)
def test_the_order_of_the_ledger_does_not_matter(ledger: list[Transaction], question: str, rng: object) -> None:
    import random

    assert isinstance(rng, random.Random)
    shuffled = list(ledger)
    rng.shuffle(shuffled)
    assert answer(question, ledger, as_of=AS_OF) == answer(question, shuffled, as_of=AS_OF)


@given(_ledgers)
@settings(max_examples=examples(33, slow=100), deadline=None)
def test_spending_equals_a_plain_loop_and_its_categories_add_up_to_it(ledger: list[Transaction]) -> None:
    expected: dict[str, Decimal] = {}
    for t in ledger:
        if t.posted_on <= AS_OF and t.amount < 0 and t.category not in ("INCOME", "TRANSFER_IN", "TRANSFER_OUT"):
            expected[t.currency] = expected.get(t.currency, Decimal(0)) - t.amount
    rows = rows_of(ledger, AS_OF)
    found = compute.totals(r for r in rows if r.spending)
    assert {s.currency: s.amount for s in found} == expected
    for group in Group:
        parts: dict[str, Decimal] = {}
        for _, total in compute.rank([r for r in rows if r.spending], group):
            parts[total.currency] = parts.get(total.currency, Decimal(0)) + total.amount
        assert parts == expected


@given(_ledgers, st.sampled_from(["USD", "EUR"]))
@settings(max_examples=60, deadline=None)
def test_currencies_are_never_added_together(ledger: list[Transaction], currency: str) -> None:
    words = {"USD": "dollars", "EUR": "euros"}[currency]
    got = answer(f"How much did I spend this year in {words}?", ledger, as_of=AS_OF)
    if got.outcome_code == "answered":
        named = [t for t in ledger if t.transaction_id in got.transaction_ids]
        assert {t.currency for t in named} <= {currency}
        assert got.value == -sum((t.amount for t in named), Decimal(0))
        assert got.unit == currency


@given(st.dates(date(1995, 1, 1), date(2050, 12, 31)), st.integers(1, 36))
@settings(max_examples=examples(33, slow=100), deadline=None)
def test_periods_lie_where_their_words_say(as_of: date, count: int) -> None:
    (last_month,), _ = find_periods("spending last month", as_of)
    assert (last_month.end + timedelta(days=1)) == as_of.replace(day=1)
    assert last_month.start.day == 1
    (rolling,), _ = find_periods(f"in the last {count} days", as_of)
    assert rolling.days == count
    assert rolling.end == as_of
    (named,), rest = find_periods("coffee in march", as_of)
    assert (named.start.month, named.start.day, named.end.day) == (3, 1, 31)
    assert named.start <= as_of
    assert (as_of - named.start).days < 400
    assert rest.split() == ["coffee", "~"]
