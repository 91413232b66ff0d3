"""No figure that a tool did not give: what counts as a figure, and what counts as given."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mosaic_core.agents.model.grounding import Evidence, figures, mentions, unsupported


def evidence() -> Evidence:
    return Evidence(
        amounts={Decimal("1234.56"), Decimal("187.50"), Decimal("998.70")},
        counts={Decimal(5), Decimal(0)},
        ratios={Decimal("12.4")},
        dates={date(2026, 10, 3), date(2026, 11, 24)},
        names={"7-Eleven", "24 Hour Fitness", "1,000,000 USD Lottery", "tx-00042"},
        years=(2025, 2026),
    )


@pytest.mark.parametrize(
    "text",
    [
        "You spent 1,234.56 USD in 5 transactions.",
        "You spent $1,234.56.",
        "You spent 1234.56 dollars.",
        "You spent about 1,235 USD, or 1,230 USD, or some 1,200 USD.",
        "Das sind 1.234,56 EUR.",
        "Du hast 187,50 € ausgegeben.",
        "It came to 1.23k, about 1.2 thousand.",
        "It came to 1\u202f234,56 €.".replace("1\u202f234,56", "1\u202f234.56"),
        "About 1,000 USD.",
        "That is 12.4 %, or 12 percent.",
        "Five transactions at 7-Eleven and 24 Hour Fitness (tx-00042).",
        "On 3 October 2026, October 3rd, 2026, 2026-10-03, 10/03/2026, or the 3rd of October.",
        "In October 2026, in Q4 2026, in 2025, in 2026-10.",
        "There were 0 refunds; one of them is enough.",
        "1. coffee 187.50 USD\n2. rent 1,234.56 USD",
        "Nothing at all.",
        "",
    ],
)
def test_what_was_computed_may_be_said(text: str) -> None:
    assert unsupported(text, evidence()) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("You spent 1,234.57 USD.", ["1,234.57 USD"]),
        ("You spent 2,000 USD.", ["2,000 USD"]),
        ("You spent 5 USD.", ["5 USD"]),  # a count is no amount
        ("That is 187.5 %.", ["187.5 %"]),  # an amount is no ratio
        ("You made 6 purchases.", ["6"]),
        ("You made seven purchases.", ["seven"]),
        ("You spent two thousand dollars.", ["two thousand dollars"]),
        ("You spent a hundred euros.", ["a hundred euros"]),
        ("You spent ٨٨٨ USD.", ["888 USD"]),
        ("You spent ８８８.", ["888"]),
        ("You spent 8\u200b88.", ["888"]),
        ("It is due on 4 October 2026.", ["4 October 2026"]),
        ("On 2026-02-30.", ["2026-02-30"]),
        ("In May 2019.", ["May 2019"]),
        ("In 2019.", ["2019"]),
        ("You spent 2026 USD.", ["2026 USD"]),  # a year is no amount
        ("You won 1,000,000 USD at the lottery.", ["1,000,000 USD"]),
        ("You won 1,000,000 USD Lottery", ["1,000,000 USD"]),  # a name lends its digits to no amount
        ("1. coffee\n7. tea", ["1", "7"]),
        ("It came to 3k.", ["3k"]),
        ("About 2 thousand.", ["2 thousand"]),
    ],
)
def test_what_was_not_computed_is_found(text: str, found: list[str]) -> None:
    assert unsupported(text, evidence()) == found


def test_the_question_may_be_repeated() -> None:
    question = "Did I spend more than 500 EUR on 12 May 2026, or in 2023?"
    assert unsupported("No, not more than 500 EUR on 12 May 2026 nor in 2023.", evidence(), question) == []
    assert unsupported("No, 501 EUR.", evidence(), question) == ["501 EUR"]


@given(st.decimals(min_value=0, max_value=10**9, places=2), st.integers(0, 2))
def test_a_rounding_of_what_was_computed_is_supported(amount: Decimal, places: int) -> None:
    given_ = Evidence(amounts={amount})
    assert unsupported(f"It was {amount:,.{places}f} USD.", given_) == []


@given(st.decimals(min_value=0, max_value=10**9, places=2), st.decimals(min_value=0, max_value=10**9, places=2))
def test_another_amount_is_not(amount: Decimal, other: Decimal) -> None:
    text = f"It was {other:,f} USD."
    assert bool(unsupported(text, Evidence(amounts={amount}))) == (amount != other and not _rounds(amount, other))


def _rounds(amount: Decimal, other: Decimal) -> bool:
    # "12.00" is written with two decimals: only itself
    return round(amount, 2) == other


@given(st.text())
def test_any_text_is_read(text: str) -> None:
    assert isinstance(unsupported(text, evidence(), text), list)
    list(figures(text, ["a1"]))


@pytest.mark.parametrize(
    "text", ["9" * 30, "1" + "0" * 39, "1" + "0" * 5000, "9" * 20 + " billion", "hundred " * 40, "1," * 50 + "000"]
)
def test_a_number_beyond_all_bounds_is_no_figure_of_a_tool(text: str) -> None:
    assert unsupported(f"{text} USD", evidence())
    assert unsupported("5 USD", evidence(), text) == ["5 USD"]


def test_a_value_is_mentioned_in_any_rounding() -> None:
    assert mentions("It was 1,235 USD.", Decimal("-1234.56"))
    assert not mentions("It was 1,236 USD.", Decimal("1234.56"))
    assert mentions("Mostly blue bottle.", "Blue Bottle")
