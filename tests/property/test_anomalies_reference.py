"""The analyses find what their plain, quadratic forms find: nothing is traded for their speed."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mosaic_core.domain.transactions import Finding, Transaction
from mosaic_core.ledger.anomalies import KINDS, find_anomalies
from mosaic_core.ledger.anomalies.ordered import RunningMedian, Scatter, Without, has_near, quantile, robust_spread
from mosaic_core.ledger.recurring import Series, median, recurring_series
from mosaic_core.ledger.rows import rows_of
from mosaic_core.ledger.transfers import match_transfers
from mosaic_local.sample.household import sample_household
from mosaic_ops.evaluations.households import simulate
from tests.support import quadratic
from tests.support.examples import examples
from tests.support.ledgers import row

AS_OF = date(2026, 3, 15)
_NAMES = (
    "ALPHA;ALPHA BETA;ALPHABETA;ALPHABETAGA;BLUE BOTTLE;BLUE BTL;GAMMA;DELTA CORP;EPSILON SHOP;HOTEL MIRA;RENTCO;"
    "PAYROLL ACME;ALPHA BETA SHOP;ALPHA BETA DELTA;ZETA INSURANCE"
).split(";")
_CATEGORIES = (
    "FOOD_AND_DRINK GENERAL_MERCHANDISE TRAVEL RENT_AND_UTILITIES INCOME ENTERTAINMENT TRANSFER_OUT TRANSPORTATION"
).split()


def both(rows: Sequence[Transaction], as_of: date) -> tuple[list[Finding], list[Series]]:
    """What the product finds, once it is what the plain form finds."""
    found = find_anomalies(rows, as_of=as_of, lookback_days=100_000), recurring_series(rows_of(rows, as_of))
    with quadratic.plainly():
        plain = find_anomalies(rows, as_of=as_of, lookback_days=100_000), recurring_series(rows_of(rows, as_of))
    assert found == plain
    return found


def crowded(seed: int) -> list[Transaction]:
    """A ledger in which everything happens: series that move, pause, change their names and prices, single charges,
    refunds, bursts, several accounts and currencies."""
    rng, rows, start = random.Random(seed), list[Transaction](), date(2024, 1, 1)

    def add(on: date, amount: float, text: str, category: str, account: str, currency: str = "USD") -> None:
        made = row(on, text, f"{amount:.2f}", tx_id=f"{len(rows):05}", account=account, currency=currency)
        rows.append(_in_category(made, category))

    for _ in range(rng.randrange(2, 14)):
        period = rng.choice([7, 14, 28, 30.4, 30.4, 30.4, 15.2, 61])
        amount, category, account = rng.choice([9.99, 15, 50, 120, 1500]), rng.choice(_CATEGORIES), rng.choice("ab")
        name, first, after = rng.choice(_NAMES), start + timedelta(days=rng.randrange(300)), 0.0
        sign = 1 if category == "INCOME" else -1
        for _ in range(rng.randrange(3, 24)):
            after += period * rng.choice([1] * 12 + [2])
            on = first + timedelta(days=round(after) + rng.choice([0, 0, 0, 1, -1]))
            amount *= rng.choice([1] * 30 + [1.15])
            name = rng.choice([name] * 30 + [rng.choice(_NAMES)])
            add(on, sign * amount * rng.choice([1, 1, 1.01]), name, category, account)
            if rng.random() < 0.05:
                add(on + timedelta(days=rng.randrange(3)), sign * amount, name, category, account)
    for _ in range(rng.randrange(5, 160)):
        category = rng.choice(_CATEGORIES)
        name = rng.choice(_NAMES) if rng.random() < 0.3 else f"{_word(rng)} {rng.choice(['SHOP', 'BAR', 'INN', ''])}"
        size = rng.choice([0.3, 0.5, 4, 12.5, 12.5, 40, 60, 300, rng.randrange(1, 2000), 2500])
        sign = 1 if category == "INCOME" or rng.random() < 0.06 else -1
        on = start + timedelta(days=rng.randrange(800))
        add(on, sign * size, name, category, rng.choice("ab"), rng.choice(["USD"] * 6 + ["EUR"]))
    burst = start + timedelta(days=rng.randrange(400, 800))
    for _ in range(rng.choice([0, 3, 5, 9])):
        on = burst + timedelta(days=rng.randrange(4))
        add(on, -rng.choice([0.2, 0.5, 1, 1.5, 30]), _word(rng), "GENERAL_MERCHANDISE", rng.choice("ab"))
    return rows


def _word(rng: random.Random) -> str:
    return "".join(rng.choice("BDFGKLMNPRST") + rng.choice("AEIOU") for _ in range(4))


def _in_category(made: Transaction, category: str) -> Transaction:
    return replace(made, category=category, category_confidence=0.9)


@pytest.mark.parametrize("months_ago", [0, 6, 12])
def test_the_sample_household(months_ago: int) -> None:
    end = date(2026, 11, 23) - timedelta(days=30 * months_ago)
    findings, series = both(list(sample_household(date(2026, 11, 23)).transactions()), end)
    assert findings
    assert series


@pytest.mark.parametrize("seed", [1, 2, 8001])
def test_generated_households(seed: int) -> None:
    household = simulate(seed, months=20)
    findings, series = both(household.transactions, household.as_of)
    assert findings
    assert series


def test_ledgers_in_which_everything_happens() -> None:
    kinds: Counter[str] = Counter()
    for seed in range(40):
        findings, _ = both(crowded(seed), AS_OF - timedelta(days=seed % 60))
        kinds.update(f.kind for f in findings)
    assert set(kinds) == set(KINDS), "a kind that never comes up is not compared"


@pytest.mark.slow
@settings(max_examples=400, deadline=None)
@given(seed=st.integers(0, 10**6), days=st.integers(0, 400))
def test_any_ledger_in_which_everything_happens(seed: int, days: int) -> None:
    both(crowded(seed), AS_OF - timedelta(days=days))


# ------------------------------------------------------------------------------------------------------------ transfers

_TRANSFER = st.tuples(
    st.sampled_from(["10", "-10", "10.00", "-10.0", "5", "-5", "0"]),
    st.sampled_from(["TRANSFER_IN", "TRANSFER_OUT", "TRANSFER_OUT", "INCOME"]),
    st.sampled_from("abc"),
    st.integers(0, 8),
    st.sampled_from(["USD", "USD", "EUR"]),
)


@settings(max_examples=examples(130, slow=400), deadline=None)
@given(
    ledger=st.dictionaries(st.integers(0, 99), _TRANSFER, max_size=24),
    in_batch=st.sets(st.integers(0, 99), max_size=60),
    again=st.sets(st.integers(0, 99), max_size=20),
)
def test_transfers_are_paired_as_if_all_pairs_were_listed(
    ledger: dict[int, tuple[str, str, str, int, str]], in_batch: set[int], again: set[int]
) -> None:
    """The nearest in time first, then by the ids; also where some of the batch is in the ledger already."""
    rows = {
        n: _in_category(
            row(AS_OF + timedelta(days=day), "TRANSFER", amount, tx_id=f"{n}", account=account, currency=currency),
            category,
        )
        for n, (amount, category, account, day, currency) in ledger.items()
    }
    batch = [t for n, t in rows.items() if n in in_batch]
    known = [t for n, t in rows.items() if n not in in_batch or n in again]
    assert match_transfers(batch, known) == quadratic.match_transfers(batch, known)


def test_transfers_at_the_edges_of_the_calendar() -> None:
    for day in (date.min, date.max):
        out = _in_category(row(day, "TRANSFER", "-5", tx_id="a", account="x"), "TRANSFER_OUT")
        back = _in_category(row(day, "TRANSFER", "5", tx_id="b", account="y"), "TRANSFER_IN")
        assert match_transfers([out], [back]) == {"a": "b"}


# ---------------------------------------------------------------------------------------------------- order statistics

_VALUES = st.floats(-50, 50) | st.sampled_from([0.0, 1.0, 1.5, 2.0])


@given(st.lists(_VALUES, min_size=1, max_size=40))
def test_a_spread_of_few_looks_is_the_spread_of_all(values: list[float]) -> None:
    assert robust_spread(sorted(values), 0.01) == quadratic.robust_spread(values, 0.01)


@given(st.lists(_VALUES, min_size=2, max_size=40), st.data())
def test_a_view_is_the_list_without_what_it_leaves_out(values: list[float], data: st.DataObject) -> None:
    ordered = sorted(values)
    start = data.draw(st.integers(0, len(ordered) - 1))
    stop = data.draw(st.integers(start, len(ordered) - 1))
    rest = ordered[:start] + ordered[stop:]
    length = data.draw(st.integers(1, len(rest)))
    view = Without(ordered, start, stop, length)
    assert list(view) == rest[:length]
    assert (view[-1], view[1:], len(view)) == (rest[length - 1], rest[1:length], length)
    assert quantile(view, 0.9) == quantile(rest[:length], 0.9)
    assert robust_spread(view, 0.5) == quadratic.robust_spread(rest[:length], 0.5)
    with pytest.raises(IndexError):
        view[length]


@given(st.lists(st.tuples(_VALUES, st.booleans()), min_size=1, max_size=60))
def test_a_running_median_is_the_median(steps: list[tuple[float, bool]]) -> None:
    running, values = RunningMedian(), list[float]()
    for value, leaves in steps:
        if leaves and len(values) > 1:
            running.remove(values.pop(len(values) // 2))
        else:
            running.add(value)
            values.append(value)
        assert (running.value(), len(running)) == (median(values), len(values))


@given(
    points=st.lists(st.tuples(st.integers(0, 30), _VALUES), max_size=60),
    first=st.integers(-2, 30) | st.floats(0, 30),
    days=st.integers(0, 20),
    value=_VALUES,
    reach=st.sampled_from([0.0, 0.005, 0.5, 3.0]),
)
def test_a_scatter_counts_what_is_near(
    points: list[tuple[int, float]], first: float, days: int, value: float, reach: float
) -> None:
    expected = sum(first <= day <= first + days and abs(it - value) <= reach for day, it in points)
    assert Scatter(points).count(first, first + days, value, reach) == expected
    ordered = sorted(it for _, it in points)
    assert has_near(ordered, value, reach) == any(abs(it - value) <= reach for it in ordered)


def test_amounts_are_compared_as_two_rows_are() -> None:
    """At the rim a sum rounds otherwise than a difference."""
    third = 0.1 + 0.2
    assert third - 0.1 > 0.2
    assert Scatter([(1, third)]).count(1, 1, 0.1, 0.2) == 0
