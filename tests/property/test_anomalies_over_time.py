"""What a household is told when its ledger grows and is swept again and again: each anomaly once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mosaic_core.domain.transactions import Finding, Transaction
from mosaic_core.ledger.anomalies import find_anomalies, finding_key
from mosaic_ops.evaluations.households import SimulatedHousehold, Truth, names_truth, simulate
from tests.support.examples import examples
from tests.support.ledgers import calm, monthly, row

HOUSEHOLD = "a11ce000000000000000000000000001"
CALM = calm()


def _raised(rows: Sequence[Transaction], nights: Iterable[date]) -> dict[str, Finding]:
    """What sweeps with the default lookback raise, by identity: the signals that a person gets to see."""
    raised: dict[str, Finding] = {}
    for night in nights:
        for finding in find_anomalies(rows, as_of=night, lookback_days=180):
            raised.setdefault(finding_key(HOUSEHOLD, finding), finding)
    return raised


def _nights(first: date, last: date, step: int) -> list[date]:
    return [first + timedelta(days=offset) for offset in range(0, (last - first).days + 1, step)]


def _identities(household: SimulatedHousehold, raised: dict[str, Finding]) -> tuple[Counter[Truth], list[Finding]]:
    """How many identities each planted anomaly got, and what was raised beside them."""
    counts: Counter[Truth] = Counter()
    beside: list[Finding] = []
    for finding in raised.values():
        truth = next((t for t in household.truths if names_truth(t, finding)), None)
        if truth is None:
            beside.append(finding)
        else:
            counts[truth] += 1
    return counts, beside


@settings(max_examples=examples(2, slow=5), deadline=None)
@given(seed=st.integers(1, 60), step=st.integers(9, 24), late=st.integers(0, 8))
def test_a_planted_anomaly_keeps_one_identity(seed: int, step: int, late: int) -> None:
    household = simulate(seed, months=14)
    start = household.transactions[0].posted_on + timedelta(days=60 + late)
    counts, _ = _identities(household, _raised(household.transactions, _nights(start, household.as_of, step)))
    assert all(count == 1 for count in counts.values()), counts


@pytest.mark.slow
def test_a_year_of_nights_raises_what_is_planted_and_little_else() -> None:
    """Also what only some nights would raise counts: a person has seen it."""
    planted = found = 0
    alarms: list[Finding] = []
    years = 0.0
    for seed in range(7101, 7105):
        household = simulate(seed, months=14)
        start = household.transactions[0].posted_on + timedelta(days=60)
        nights = _nights(start, household.as_of, 7)
        counts, beside = _identities(household, _raised(household.transactions, [*nights, household.as_of]))
        assert all(count == 1 for count in counts.values()), counts
        planted += len(household.truths)
        found += len(counts)
        alarms += beside
        years += household.months / 12
    assert found >= 0.9 * planted
    assert len(alarms) <= years, [(f.kind, f.explanation) for f in alarms]


@pytest.mark.slow
@settings(max_examples=12, deadline=None)
@given(
    delays=st.lists(st.integers(0, 7), min_size=14, max_size=14), day=st.integers(1, 28), since=st.integers(200, 250)
)
def test_a_few_days_late_raises_nothing_on_any_night(delays: list[int], day: int, since: int) -> None:
    usual = monthly("VALLEY INTERNET", ["-49.00"] * 14, day=day, account="checking")
    bill = [
        row(
            tx.posted_on + timedelta(days=delay if index % 4 == 3 else 0), tx.description, tx.amount, account="checking"
        )
        for index, (tx, delay) in enumerate(zip(usual, delays, strict=True))
    ]
    first = date(2025, 1, 1) + timedelta(days=since)
    rows = [tx for tx in [*CALM, *bill] if tx.posted_on <= date(2026, 2, 20)]
    assert _raised(rows, _nights(first, date(2026, 2, 20), 2)) == {}


@pytest.mark.slow
@settings(max_examples=10, deadline=None)
@given(late=st.integers(10, 24), day=st.integers(1, 28))
def test_a_bill_found_weeks_late_was_raised_at_most_once(late: int, day: int) -> None:
    """Past its grace the bill is absent, and saying so is right whatever comes later: the signal stays, and the payment
    raises nothing of its own."""
    bill = monthly("VALLEY INTERNET", ["-49.00"] * 14, day=day, account="checking", skip=[10])
    due = date(2025, 11, day)
    paid = row(due + timedelta(days=late), "VALLEY INTERNET", "-49.00", account="checking")
    raised = _raised([*CALM, *bill, paid], _nights(date(2025, 10, 1), date(2026, 2, 20), 1))
    assert [f.kind for f in raised.values()] in ([], ["missed_bill"])
    assert all(abs((f.date - due).days) <= 2 for f in raised.values())


@settings(max_examples=examples(4, slow=8), deadline=None)
@given(gap=st.integers(0, 2), extra=st.integers(0, 40))
def test_what_is_added_later_does_not_rename_a_burst(gap: int, extra: int) -> None:
    """What is tiny follows from the spending before the burst: purchases after it change neither rows nor identity."""
    names = ("QX DIGITAL", "ZED APPS", "HLP GIVING", "VORTEX MEDIA", "BITBYTE SHOP", "ORB TOOLS")
    tiny = [row(date(2026, 1, 5 + i * gap // 5), name, -(0.5 + 0.4 * i)) for i, name in enumerate(names)]
    later = [row(date(2026, 1, 9 + i % 20), f"{name} STALL {i}", -9.0 - i) for i, name in enumerate(names * 7)][:extra]
    raised = _raised([*CALM, *tiny, *later], _nights(date(2026, 1, 5 + gap), date(2026, 3, 1), 3))
    assert [f.kind for f in raised.values() if f.kind == "card_testing"] == ["card_testing"]
