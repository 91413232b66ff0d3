"""The sample household: the same bytes everywhere, in the contract's shape, with exactly what its manifest says."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from datetime import date, timedelta
from decimal import Decimal

import pytest

from mosaic_core.domain.transactions import Finding
from mosaic_core.ledger.anomalies import KINDS, find_anomalies
from mosaic_local.sample import ACCOUNTS, HOUSEHOLD_ID, Planted, sample_household

END = date(2026, 10, 31)
ENDS = [
    END,
    date(2026, 11, 24),
    date(2027, 1, 1),
    date(2026, 2, 28),
    date(2028, 2, 29),
    date(2025, 12, 31),
    date(2026, 6, 15),
    date(2026, 9, 8),
]
DIGEST = "5c3261a291e400548f7781ab3b0bf1845c6b28b16c53fed7f75620c7e7abeb02"


def test_same_bytes_on_every_machine() -> None:
    assert hashlib.sha256(sample_household(END).to_json().encode()).hexdigest() == DIGEST


def test_same_bytes_under_another_hash_seed() -> None:
    code = (
        "import hashlib,datetime;from mosaic_local.sample import sample_household;"
        "print(hashlib.sha256(sample_household(datetime.date(2026,10,31)).to_json().encode()).hexdigest())"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "4242"}
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert shown.stdout.strip() == DIGEST


def test_two_years_of_a_plausible_size() -> None:
    household = sample_household(END)
    rows = household.transactions()
    assert 1500 <= len(rows) <= 2500
    assert rows[0].posted_on >= date(2024, 11, 1)
    assert rows[0].posted_on <= date(2024, 11, 8)
    assert rows[-1].posted_on <= END
    assert {tx.account_id for tx in rows} == set(ACCOUNTS)
    assert len({tx.transaction_id for tx in rows}) == len(rows)


def test_batches_are_ingestion_payloads() -> None:
    household = sample_household(END)
    batches = household.batches(500)
    assert sum(len(batch.transactions) for batch in batches) == len(household.transactions())
    assert len({batch.batch_id for batch in batches}) == len(batches)
    allowed = {
        "transactionId",
        "postedOn",
        "amount",
        "currency",
        "description",
        "merchantName",
        "categoryHint",
        "counterpartyAccountId",
    }
    for batch in batches:
        payload = batch.payload()
        assert payload["householdId"] == HOUSEHOLD_ID
        assert 1 <= len(batch.transactions) <= 500
        for line in batch.transactions:
            assert set(line) <= allowed
            assert len(line["description"]) <= 200
            assert str(Decimal(line["amount"])) == line["amount"]
            assert line["description"].strip() == line["description"] != ""


@pytest.mark.parametrize("size", [0, 501])
def test_a_batch_of_another_size_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="1 to 500"):
        sample_household(END).batches(size)


def test_every_kind_is_planted() -> None:
    assert {planted.kind for planted in sample_household(END).planted} == set(KINDS)


def _agrees(planted: Planted, finding: Finding) -> bool:
    return (
        planted.kind == finding.kind
        and planted.transaction_ids == finding.transaction_ids
        and abs(planted.date - finding.date) <= timedelta(days=3)
    )


@pytest.mark.parametrize("end", ENDS)
def test_the_sweep_finds_what_is_planted_and_nothing_else(end: date) -> None:
    household = sample_household(end)
    findings = find_anomalies(household.transactions(), as_of=end, lookback_days=730)
    unexplained = [f for f in findings if not any(_agrees(p, f) for p in household.planted)]
    unfound = [p for p in household.planted if not any(_agrees(p, f) for f in findings)]
    assert (unexplained, unfound) == ([], [])
    assert len(findings) == len(household.planted)


def test_most_of_it_lies_within_the_default_lookback() -> None:
    household = sample_household(END)
    findings = find_anomalies(household.transactions(), as_of=END, lookback_days=180)
    assert {f.kind for f in findings} == set(KINDS)


def test_the_shortest_ledger_does_not_break() -> None:
    assert sample_household(date(4, 1, 31)).end == date(4, 1, 31)
