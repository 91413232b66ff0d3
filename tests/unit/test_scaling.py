"""What is computed over a ledger grows as the ledger does: twice the rows are about twice the work, whatever they are.

Work is counted (`steps`), not timed; a quadratic analysis counts four times as much for twice the rows.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from mosaic_core.domain.transactions import Transaction
from mosaic_core.ledger.anomalies import find_anomalies
from mosaic_core.ledger.categories.categorise import HouseholdContext, categorise, learning_key
from mosaic_core.ledger.recurring import recurring_series
from mosaic_core.ledger.rows import rows_of
from mosaic_core.ledger.transfers import match_transfers
from tests.support.ledgers import row
from tests.support.work import steps

END = date(2026, 6, 30)
MOST = 2.6
"""Of n log n twice the rows make 2.2 at most here, of n² four."""

type Rows = list[Transaction]


def _word(n: int) -> str:
    """A name of eight letters that no other number has."""
    letters = ""
    for _ in range(4):
        n, consonant = divmod(n * 7 + 3 if not letters else n, 15)
        letters += "BCDFGHJKLMNPRST"[consonant] + "AEIOU"[(n + consonant) % 5]
    return letters + (f"Q{_word(n)}" if n else "")


def _row(n: int, on: date, amount: float, text: str, category: str, account: str = "card") -> Transaction:
    made = row(on, text, f"{amount:.2f}", tx_id=f"t{n:07}", account=account)
    return replace(made, category=category, category_confidence=0.9)


def _days_ago(n: int, span: int = 1460) -> date:
    return END - timedelta(days=(n * 7919) % span)


def _month(start: int, n: int, day: int) -> date:
    return date((start + n) // 12, (start + n) % 12 + 1, day)


def one_merchant(n: int) -> Rows:
    return [_row(i, _days_ago(i), -1 - (i * 613) % 99991 / 100, "CORNER SHOP", "GENERAL_MERCHANDISE") for i in range(n)]


def one_merchant_all_in_pairs(n: int) -> Rows:
    """Each amount twice within a day: thousands of what might be duplicates."""
    return [_row(i, _days_ago(i // 2), -10 - i // 2 * 0.37, "CORNER SHOP", "GENERAL_MERCHANDISE") for i in range(n)]


def one_merchant_one_day_one_amount(n: int) -> Rows:
    return [_row(i, END, -12.5, "CORNER SHOP", "GENERAL_MERCHANDISE") for i in range(n)]


def one_merchant_of_many_subscriptions(n: int) -> Rows:
    return [
        _row(i, _month(2025 * 12, i % 5, 1 + i // 5 % 28), -5 * 1.005 ** (i // 5), "MEGA STORE", "ENTERTAINMENT")
        for i in range(min(n, 11_000))
    ]


def merchants_seen_once(n: int) -> Rows:
    return [
        _row(i, _days_ago(i), -1 - (i * 613) % 99991 / 100, f"{_word(i)} {_word(i + 1)}", "GENERAL_MERCHANDISE")
        for i in range(n)
    ]


def merchants_of_one_day(n: int) -> Rows:
    """Small and large first charges at once: bursts that are none."""
    return [
        _row(
            i, END if i else _days_ago(1), -(60 if i % 4 else 0.5), f"{_word(i)} X", "GENERAL_MERCHANDISE", f"a{i % 50}"
        )
        for i in range(n)
    ]


def journeys(n: int) -> Rows:
    """Large first charges: each is looked for among what came before."""
    return [
        _row(i, _days_ago(i, 700), -2000 - i % 7000, f"{_word(i)} INN", "TRAVEL")
        if i % 3 == 0
        else _row(i, _days_ago(i, 700), -1 - i % 19, f"{_word(i // 30)} CAFE", "FOOD_AND_DRINK")
        for i in range(n)
    ]


def subscriptions_that_follow_others(n: int) -> Rows:
    """Half of them end when the other half begins."""
    return [
        _row(
            i,
            _month(2025 * 12, i % 5 + (5 if i // 5 % 2 else 0), 1 + i // 5 % 28),
            -5 - (i // 5 * 613) % 90000 / 100,
            f"{_word(i // 5)} CLUB",
            "ENTERTAINMENT" if i // 5 % 3 else "RENT_AND_UTILITIES",
        )
        for i in range(n)
    ]


def bills_that_are_all_missed(n: int) -> Rows:
    rows = [
        _row(
            i,
            _month(2025 * 12, i % 8, 1 + i // 8 % 28),
            -5 - (i // 8 * 613) % 90000 / 100,
            f"{_word(i // 8)} POWER",
            "RENT_AND_UTILITIES",
        )
        for i in range(n)
    ]
    return [*rows, _row(n, date(2025, 10, 25), -20, "LAST ONE", "FOOD_AND_DRINK")]


def names_that_begin_alike(n: int) -> Rows:
    return [_row(i, _days_ago(i), -20, f"ACMEHOLDINGS{_word(i)}", "GENERAL_MERCHANDISE") for i in range(n)]


def names_for_one_descriptor(n: int) -> Rows:
    rows = [_row(i, _days_ago(i), -20, "CARD PURCHASE SHOPKEEPER", "GENERAL_MERCHANDISE") for i in range(n)]
    return [replace(t, merchant_name=_word(i)) if i % 2 else t for i, t in enumerate(rows)]


def a_century(n: int) -> Rows:
    return [
        _row(i, date(1901, 1, 1) + timedelta(days=(i * 7919) % 45000), -1 - i % 997, _word(i), "GENERAL_MERCHANDISE")
        for i in range(n)
    ]


def a_series_that_changes_its_name_each_month(n: int) -> Rows:
    return [
        _row(
            i,
            date(1901, 1, 7) + timedelta(days=7 * (i % 6000)),
            -10 - i % 6000 // 3 * 0.3,
            f"{_word(i // 3)} {_word(i // 6000)}",
            "ENTERTAINMENT",
        )
        for i in range(n)
    ]


LEDGERS: list[Callable[[int], Rows]] = [
    one_merchant,
    one_merchant_all_in_pairs,
    one_merchant_one_day_one_amount,
    one_merchant_of_many_subscriptions,
    merchants_seen_once,
    merchants_of_one_day,
    journeys,
    subscriptions_that_follow_others,
    bills_that_are_all_missed,
    names_that_begin_alike,
    names_for_one_descriptor,
    a_century,
    a_series_that_changes_its_name_each_month,
]


def growths(work: Callable[[int], Callable[[], object]], smallest: int) -> Iterator[float]:
    """What twice and four times the rows cost, each against the half of it."""
    counted = [steps(work(n)) for n in (smallest, 2 * smallest, 4 * smallest)]
    return (more / less for less, more in pairwise(counted))


@pytest.mark.parametrize("ledger", LEDGERS)
def test_detection_grows_as_the_ledger_does(ledger: Callable[[int], Rows]) -> None:
    def detect(n: int) -> Callable[[], object]:
        rows = ledger(n)
        return lambda: find_anomalies(rows, as_of=END, lookback_days=100_000)

    assert max(growths(detect, 600)) < MOST


@pytest.mark.slow  # detection rests on them; this is about them alone
@pytest.mark.parametrize("ledger", LEDGERS)
def test_recurring_series_grow_as_the_ledger_does(ledger: Callable[[int], Rows]) -> None:
    def series(n: int) -> Callable[[], object]:
        rows = ledger(n)
        return lambda: recurring_series(rows_of(rows, END))

    assert max(growths(series, 600)) < MOST


def _sides(n: int, accounts: int = 1) -> tuple[Rows, Rows]:
    """Transfers out and in of one day and amount: any could be any other's side."""
    return (
        [_row(i, END, -100, "TRANSFER", "TRANSFER_OUT", f"a{i % accounts}") for i in range(n)],
        [_row(n + i, END, 100, "TRANSFER", "TRANSFER_IN", f"b{i % accounts}") for i in range(n)],
    )


@pytest.mark.parametrize("accounts", [1, 7, 10_000])
@pytest.mark.parametrize("in_batch", [True, False])
def test_matching_transfers_grows_as_they_do(accounts: int, in_batch: bool) -> None:
    def match(n: int) -> Callable[[], object]:
        out, back = _sides(n, accounts)
        return lambda: match_transfers([*out, *back] if in_batch else out, [] if in_batch else back)

    assert max(growths(match, 1000)) < MOST


def test_transfers_of_one_account_only_are_not_looked_through_again_and_again() -> None:
    """None has a counterpart, and each finds that out at once."""

    def match(n: int) -> Callable[[], object]:
        out, back = _sides(n)
        return lambda: match_transfers([replace(t, account_id="b0") for t in out], back)

    assert max(growths(match, 1000)) < MOST


def test_categorising_grows_as_the_batch_does() -> None:
    taught = HouseholdContext(learned={learning_key(t): "TRAVEL" for t in merchants_seen_once(300)[::2]})

    def work(n: int) -> Callable[[], object]:
        rows = merchants_seen_once(n)
        return lambda: [categorise(t, household=taught) for t in rows]

    assert max(growths(work, 600)) < MOST


@pytest.mark.parametrize("text", ["coffee", "x", "visa ", "ach debit ", "*", "1", "\ufdfa", "é", "payment at "])
def test_categorising_grows_as_the_descriptor_does(text: str) -> None:
    """A letter may fold into eighteen: what is read of a descriptor is bounded."""

    def work(n: int) -> Callable[[], object]:
        made = _row(1, END, -5, (text * n)[:n], "")
        return lambda: categorise(made)

    assert max(growths(work, 400)) < MOST


@pytest.mark.slow
@pytest.mark.parametrize(
    "ledger",
    [
        pytest.param(one_merchant, id="one merchant"),
        pytest.param(
            lambda n: [replace(t, description=f"{_word(i % 20_000)} SHOP") for i, t in enumerate(one_merchant(n))],
            id="20,000 merchants",
        ),
        pytest.param(journeys, id="journeys"),
        pytest.param(subscriptions_that_follow_others, id="20,000 subscriptions"),
    ],
)
def test_detection_up_to_a_hundred_thousand_rows(ledger: Callable[[int], Rows]) -> None:
    def detect(n: int) -> Callable[[], object]:
        rows = ledger(n)
        return lambda: find_anomalies(rows, as_of=END, lookback_days=100_000)

    assert max(growths(detect, 25_000)) < MOST


# -------------------------------------------------------------------------------------------------------------- memory

_UPLOADS = """
import asyncio, hashlib, json, resource, sys
from mosaic_core.domain.envelope import IngestionCompleted
from mosaic_core.domain.lanes import CommandType, Lane
from mosaic_core.lanes.ingestion import IngestionLane
from tests.support.lanes import HOUSEHOLD, LaneWorld

async def main():
    world = LaneWorld({Lane.INGESTION: IngestionLane()})
    for account, sign in (("checking", "-"), ("savings", "")):
        rows = ({"transactionId": f"{account}-{n}", "postedOn": "2026-11-02", "amount": f"{sign}100.00",
                 "currency": "USD", "description": "TRANSFER TO OWN ACCOUNT"} for n in range(6000))
        data = b"".join(json.dumps(row).encode() + b"\\n" for row in rows)
        name = f"{HOUSEHOLD}/{hashlib.sha256(data).hexdigest()}"
        await world.stores.blobs.put(name, data)
        batch = IngestionCompleted.model_validate({"householdId": HOUSEHOLD, "batchId": account, "source": "bank",
                                                   "accountId": account, "transactionsBlob": name})
        ended = await world.deliver(Lane.INGESTION, world.command(CommandType.INGESTION_COMPLETED, batch))
        print(ended.stage("match_transfers").outcome_rationale)

asyncio.run(main())
if sys.platform == "linux":  # ru_maxrss is that of whoever started this process, where that one had more
    with open("/proc/self/status") as status:
        print(next(int(line.split()[1]) * 1024 // 2**20 for line in status if line.startswith("VmHWM")))
else:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 2**20)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="the system does not tell a process's most memory that way")
def test_two_uploads_of_six_thousand_transfers_that_all_match_take_little_memory() -> None:
    root = Path(__file__).parents[2]
    ended = subprocess.run([sys.executable, "-c", _UPLOADS], cwd=root, capture_output=True, text=True, check=True)
    *said, megabytes = ended.stdout.split("\n")[:-1]
    assert said[-1] == "6000 rows, 6000 matched"
    assert int(megabytes) < 300


def test_what_the_counting_rests_on() -> None:
    """Twice the work of a loop in a loop is four times as much, also where the inner one is a comprehension."""

    def square(n: int) -> Callable[[], object]:
        return lambda: [sum(i < j for j in range(n)) for i in range(n)]

    assert min(growths(square, 40)) > 3.5
