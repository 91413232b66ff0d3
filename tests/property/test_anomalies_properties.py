"""What holds of the sweep's analyses for any ledger."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mosaic_core.domain.transactions import Transaction
from mosaic_core.ledger.anomalies import KINDS, find_anomalies, finding_key
from mosaic_core.ledger.categories.categorise import categorise
from mosaic_core.ledger.descriptors import clean_descriptor, merchant_key
from mosaic_core.ledger.knowledge import PRIMARIES
from mosaic_ops.evaluations.households import simulate
from tests.support.examples import examples

_DAYS = st.one_of(
    st.dates(min_value=date(2024, 1, 1), max_value=date(2026, 1, 1)),
    st.sampled_from([date(1, 1, 1), date(1, 1, 31), date(9999, 12, 31), date(9999, 11, 30), date(2024, 2, 29)]),
)
_AMOUNTS = st.one_of(
    st.decimals(min_value=-5000, max_value=5000, places=2),
    st.sampled_from(
        [
            Decimal(0),
            Decimal("0.01"),
            Decimal("-1e18"),
            Decimal("1e400"),
            Decimal("-0.0000001"),
            Decimal("NaN"),
            Decimal("Infinity"),
        ]
    ),
    st.sampled_from([Decimal("-9.99"), Decimal("-50"), Decimal("1500")]),
)
_TEXTS = st.one_of(
    st.sampled_from(
        [
            "NETFLIX.COM",
            "SQ *BLUE BTL 0423 SF CA",
            "ACME PAYROLL",
            "",
            "***",
            "42",
            "GRILL CA",
            "PAYPAL *",
            "CITY OF",
            "A",
        ]
    ),
    st.text(max_size=60),
)
_ROWS = st.lists(
    st.builds(
        Transaction,
        transaction_id=st.text(min_size=1, max_size=8),
        account_id=st.sampled_from(["a", "b"]),
        posted_on=_DAYS,
        amount=_AMOUNTS,
        currency=st.sampled_from(["USD", "JPY"]),
        description=_TEXTS,
        merchant_name=st.one_of(st.none(), _TEXTS),
        category_hint=st.one_of(st.none(), _TEXTS),
        counterparty_account_id=st.one_of(st.none(), st.sampled_from(["a", "b", "c"])),
    ),
    max_size=40,
)


@settings(max_examples=examples(50, slow=150), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rows=_ROWS, as_of=_DAYS, lookback=st.integers(7, 730))
def test_no_input_breaks_it(rows: list[Transaction], as_of: date, lookback: int) -> None:
    known = {tx.transaction_id for tx in rows}
    for finding in find_anomalies(rows, as_of=as_of, lookback_days=lookback):
        assert finding.kind in KINDS
        assert set(finding.transaction_ids) <= known
        assert finding.transaction_ids == tuple(sorted(finding.transaction_ids))
        assert finding.transaction_ids or finding.series
        assert finding.date <= as_of
        assert 0 < finding.confidence <= 1
        assert len(finding.explanation) <= 200


@settings(max_examples=40, deadline=None)
@given(
    gaps=st.lists(st.integers(0, 40), min_size=1, max_size=60),
    seed=st.integers(0, 99),
    start=st.sampled_from([date(1, 1, 1), date(2024, 1, 31), date(9990, 1, 1)]),
)
def test_any_rhythm_of_one_merchant(gaps: list[int], seed: int, start: date) -> None:
    rng = random.Random(seed)
    rows, on = [], start
    for index, gap in enumerate(gaps):
        on += timedelta(days=gap)
        amount = Decimal(rng.choice(["-10.00", "-12.00", "-50.00", "900.00"]))
        rows.append(
            Transaction(
                transaction_id=f"t{index}",
                account_id="a",
                posted_on=on,
                amount=amount,
                currency="USD",
                description="STREAMBOX",
            )
        )
    findings = find_anomalies(rows, as_of=on, lookback_days=10_000)
    assert len({finding_key("h", f) for f in findings}) == len(findings)


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(1, 30), shuffle=st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(seed: int, shuffle: random.Random) -> None:
    household = simulate(seed, months=14)
    rows = list(household.transactions)
    expected = find_anomalies(rows, as_of=household.as_of, lookback_days=500)
    shuffle.shuffle(rows)
    assert find_anomalies(rows, as_of=household.as_of, lookback_days=500) == expected


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(1, 30), factor=st.sampled_from([2, 10, 128]))
def test_another_unit_of_money_gives_the_same_findings(seed: int, factor: int) -> None:
    household = simulate(seed, months=14)
    scaled = [replace(tx, amount=tx.amount * factor) for tx in household.transactions]
    found = [
        (f.kind, f.transaction_ids, f.date)
        for f in find_anomalies(household.transactions, as_of=household.as_of, lookback_days=500)
    ]
    assert [
        (f.kind, f.transaction_ids, f.date) for f in find_anomalies(scaled, as_of=household.as_of, lookback_days=500)
    ] == found


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(1, 30))
def test_repeated_delivery_of_the_same_rows_changes_nothing(seed: int) -> None:
    household = simulate(seed, months=10)
    once = find_anomalies(household.transactions, as_of=household.as_of, lookback_days=400)
    assert find_anomalies(household.transactions * 2, as_of=household.as_of, lookback_days=400) == once


@settings(max_examples=examples(100, slow=300), deadline=None)
@given(text=_TEXTS, name=st.one_of(st.none(), _TEXTS), hint=st.one_of(st.none(), _TEXTS), amount=_AMOUNTS)
def test_every_descriptor_gets_a_category(text: str, name: str | None, hint: str | None, amount: Decimal) -> None:
    if amount.is_nan():
        amount = Decimal(0)
    decided = categorise(
        Transaction(
            transaction_id="1",
            account_id="a",
            posted_on=date(2026, 1, 1),
            amount=amount,
            currency="USD",
            description=text,
            merchant_name=name,
            category_hint=hint,
        )
    )
    assert decided.category in PRIMARIES
    assert 0 < decided.confidence <= 1
    assert merchant_key(text) == merchant_key(text.upper()) or not text.isascii()
    assert bool(clean_descriptor(text)) == bool(text.strip()) or not text.isprintable()
