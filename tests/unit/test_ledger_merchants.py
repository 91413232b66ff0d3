"""One resolver: what a question, a ranking, a request and the sweep take for one merchant is one merchant."""

from __future__ import annotations

from datetime import date

import pytest

from mosaic_core.agents.offline.answering import answer
from mosaic_core.domain.transactions import Transaction
from mosaic_core.ledger import compute
from mosaic_core.ledger.anomalies import find_anomalies
from mosaic_core.ledger.merchants import Merchants, find_merchant
from mosaic_core.ledger.query import Group
from mosaic_core.ledger.recurring import recurring_series
from mosaic_core.ledger.rows import rows_of
from tests.support.ledgers import row

AS_OF = date(2026, 6, 30)


def monthly(
    description: str, amount: str, *, name: str | None = None, months: range = range(1, 7), day: int = 5
) -> list[Transaction]:
    return [row(date(2026, month, day), description, amount, name=name) for month in months]


RENAMED = [
    *monthly("BLUE BOTTLE COFFEE 12", "-9.50", name="Blue Bottle", months=range(1, 4)),
    *monthly("SQ *BLUE BTL 0423 SF CA", "-9.50", months=range(4, 6)),
    *monthly("BLUE BOTTLE OAKLAND CA", "-9.50", months=range(6, 7)),
]
"""The sweep always took these for one merchant; a ranking and a question took them for three."""


def test_questions_rankings_and_series_mean_the_same_rows() -> None:
    rows = rows_of(RENAMED, AS_OF)
    everything = {r.tx_id for r in rows}
    assert {r.name for r in rows} == {"Blue Bottle"}
    assert [key for key, _ in compute.rank(rows, Group.MERCHANT)] == ["Blue Bottle"]
    (series,) = recurring_series(rows)
    assert {c.tx_id for c in series.occurrences} == everything
    found = find_merchant("blue bottle", rows)
    assert found is not None
    assert found.ids == everything
    assert answer("how much at blue bottle?", RENAMED, as_of=AS_OF).transaction_ids == tuple(sorted(everything))


def test_names_that_the_source_tells_apart_stay_apart() -> None:
    ledger = [
        *monthly("AMZN MKTP US*2K4", "-31.00", name="Amazon"),
        *monthly("AMAZON PRIME*RT5", "-14.99", name="Amazon Prime", day=12),
        *monthly("UBER *TRIP", "-18.00", name="Uber", day=3),
        *monthly("UBER *EATS", "-25.00", name="Uber Eats", day=9),
    ]
    rows = rows_of(ledger, AS_OF)
    assert len({r.merchant for r in rows}) == 4
    for name in ("Amazon", "Amazon Prime", "Uber", "Uber Eats"):
        found = find_merchant(name, rows)
        assert found is not None
        assert found.ids == {r.tx_id for r in rows if r.tx.merchant_name == name}
    assert len(recurring_series(rows)) == 4


def test_a_descriptor_takes_the_name_that_the_source_gives_it_elsewhere() -> None:
    ledger = [
        *monthly("WEB PMT PACIFIC GAS 881", "-80.00", name="PG&E", months=range(1, 5)),
        *monthly("WEB PMT PACIFIC GAS 912", "-82.00", months=range(5, 7)),
    ]
    rows = rows_of(ledger, AS_OF)
    assert {(r.name, r.merchant, r.words) for r in rows} == {("PG&E", rows[0].merchant, rows[0].words)}


def test_rows_that_say_nothing_are_no_merchant_together() -> None:
    ledger = [row(date(2026, 1, 2), "***", "-1.00"), row(date(2026, 1, 3), "---", "-2.00")]
    assert len({r.merchant for r in rows_of(ledger, AS_OF)}) == 2


@pytest.mark.parametrize(
    ("description", "name", "asked"),
    [
        ("PYATEROCHKA 1234", "Пятёрочка", "пятёрочка"),
        ("ПЯТЕРОЧКА 1234 MOSCOW", None, "Пятёрочка"),
        ("SQ *寿司屋 0423", None, "寿司屋"),
        ("ΑΒ ΒΑΣΙΛΟΠΟΥΛΟΣ 12", None, "αβ βασιλόπουλος"),
        ("مطعم السلام 12", None, "مطعم السلام"),
        ("คาเฟ่อเมซอน 12", None, "คาเฟ่อเมซอน"),
        ("스타벅스 강남 12", None, "스타벅스"),
        ("चाय की दुकान", None, "चाय की दुकान"),
        ("CAFÉ ÜBERWALD", None, "cafe uberwald"),
    ],
)
def test_a_name_of_any_script_is_found(description: str, name: str | None, asked: str) -> None:
    ledger = [*monthly(description, "-7.00", name=name), *monthly("SAFEWAY 12", "-40.00", name="Safeway", day=9)]
    found = Merchants(rows_of(ledger, AS_OF)).find(asked)
    assert found is not None
    assert found.ids == {t.transaction_id for t in ledger[:6]}


def test_findings_speak_of_merchants_by_the_names_that_answers_use() -> None:
    price_rise = [
        *monthly("BLUE BOTTLE CLUB 12", "-20.00", name="Blue Bottle Club", months=range(1, 5)),
        *monthly("BLUE BOTTLE CLUB 99", "-26.00", months=range(5, 7)),
    ]
    found = [f for f in find_anomalies(price_rise, as_of=AS_OF, lookback_days=200) if f.kind == "price_rise"]
    assert [f.series for f in found] == ["Blue Bottle Club"]


# -------------------------------------------------------------------------------- names that are made of question words

PLAIN_NAMES = (
    "Best Buy; Whole Foods; Five Guys; Dollar Tree; First Watch; Next; Ross Dress for Less; Monday.com; May Company;"
    " Forever 21; Old Navy; Three; Bed Bath & Beyond; Total Wine & More; Family Dollar; Five Below; Big Lots; Target;"
    " Express; Public Storage; Second Cup; Two Men and a Truck; Half Price Books; Save A Lot; More Than;"
    " Four Seasons; Year One; Last Call; Any Mountain; Never Too Late"
).split("; ")


@pytest.mark.parametrize("by_source", [True, False], ids=["named", "descriptor"])
@pytest.mark.parametrize("name", PLAIN_NAMES)
def test_a_name_of_question_words_is_a_name(name: str, by_source: bool) -> None:
    own = monthly(f"{name.upper()} 0123", "-21.10", name=name if by_source else None)
    ledger = [*own, *monthly("SAFEWAY 12", "-80.00", name="Safeway", day=9)]
    merchants = Merchants(rows_of(ledger, AS_OF))
    for said in (name.lower(), f"{name.lower()}'s"):
        found = merchants.whole(said)
        assert found is not None, said
        assert found.ids == {t.transaction_id for t in own}
    for question in (f"How much did I spend at {name}?", f"how often did i go to {name.lower()} since march"):
        said_of = set(answer(question, ledger, as_of=AS_OF).transaction_ids)
        assert said_of, question
        assert said_of <= {t.transaction_id for t in own}


@pytest.mark.parametrize("day", ["monday", "may"])
def test_a_day_is_no_shop_on_the_web(day: str) -> None:
    ledger = [*monthly(f"{day.upper()}.COM 12", "-20.00", name=f"{day.title()}.com")]
    merchants = Merchants(rows_of(ledger, AS_OF))
    assert merchants.whole(day) is None
    assert merchants.whole(f"{day}.com") is not None


@pytest.mark.parametrize(
    ("description", "amount", "said"),
    [
        ("INTEREST PAID", "3.10", "interest"),
        ("ATM WITHDRAWAL FEE", "-3.50", "fee"),
        ("ACME PAYROLL PPD", "2400.00", "payroll"),
        ("ONLINE TRANSFER TO SAVINGS", "-400.00", "transfer"),
    ],
)
def test_what_a_descriptor_calls_a_payment_is_no_name(description: str, amount: str, said: str) -> None:
    assert Merchants(rows_of(monthly(description, amount), AS_OF)).whole(said) is None
