"""Each kind of finding, what it names and says, and that it is raised once."""

from __future__ import annotations

import calendar
import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest

from mosaic_core.domain.transactions import Finding, Transaction
from mosaic_core.ledger.anomalies import KINDS, find_anomalies, finding_key
from tests.support.ledgers import AS_OF, START, calm, every, monthly, row

HOUSEHOLD = "a11ce000000000000000000000000001"


def sweep(rows: Sequence[Transaction], *, as_of: date = AS_OF, lookback_days: int = 730) -> list[Finding]:
    return find_anomalies(rows, as_of=as_of, lookback_days=lookback_days)


def only(rows: Sequence[Transaction], kind: str, *, as_of: date = AS_OF) -> Finding:
    findings = sweep(rows, as_of=as_of)
    assert [f.kind for f in findings] == [kind]
    return findings[0]


def test_calm_household_has_no_findings() -> None:
    assert sweep(calm()) == []


def test_duplicate_charge_names_both_rows_and_the_amount() -> None:
    twice = [
        row(date(2026, 3, 3), "LANTERN GRILL", "-48.20", tx_id="one"),
        row(date(2026, 3, 4), "SQ *LANTERN GRILL 0423", "-48.20", tx_id="two"),
    ]
    finding = only([*calm(), row(date(2026, 1, 9), "LANTERN GRILL", "-31.10"), *twice], "duplicate_charge")
    assert finding.transaction_ids == ("one", "two")
    assert finding.severity == "Warning"
    assert "48.20 USD twice" in finding.explanation
    assert "its one other charge was 31.10 USD, never two alike within two days" in finding.explanation
    assert finding.date == date(2026, 3, 4)


def test_large_duplicate_is_an_error() -> None:
    again = row(date(2026, 3, 2), "CEDAR APARTMENTS RENT", "-1500.00", account="checking")
    finding = only([*calm(), again], "duplicate_charge")
    assert finding.severity == "Error"
    assert "its 17 other charges were 1,500.00 USD, never two alike within two days" in finding.explanation


def test_a_bill_charged_twice_in_two_months_is_two_findings() -> None:
    again = [row(date(2026, month, 2), "CEDAR APARTMENTS RENT", "-1500.00", account="checking") for month in (2, 5)]
    assert [(f.kind, f.date) for f in sweep([*calm(), *again])] == [
        ("duplicate_charge", date(2026, 2, 2)),
        ("duplicate_charge", date(2026, 5, 2)),
    ]


def test_two_memberships_are_questioned_once() -> None:
    """The first month looks like a double charge; the second shows that it is a habit."""
    paid = [
        row(date(2026, month, 11), "WESRIC LEISURE", "-35.00", tx_id=f"{month}-{n}")
        for month in (3, 4)
        for n in range(2)
    ]
    finding = only([*calm(), *paid[:2]], "duplicate_charge")
    assert "one charge was to be expected" in finding.explanation
    assert sweep([*calm(), *paid]) == []


def test_duplicate_needs_the_same_account() -> None:
    twice = [
        row(date(2026, 3, 3), "LANTERN GRILL", "-48.20"),
        row(date(2026, 3, 4), "LANTERN GRILL", "-48.20", account="checking"),
    ]
    assert sweep([*calm(), *twice]) == []


def test_duplicate_needs_two_days() -> None:
    twice = [row(date(2026, 3, 3), "LANTERN GRILL", "-48.20"), row(date(2026, 3, 6), "LANTERN GRILL", "-48.20")]
    assert sweep([*calm(), *twice]) == []


def test_amount_outlier_says_the_usual_range() -> None:
    finding = only([*calm(), row(date(2026, 2, 2), "SUNSET FUEL", "-390.00", tx_id="far")], "amount_outlier")
    assert finding.transaction_ids == ("far",)
    assert "390.00 USD" in finding.explanation
    assert "between 34" in finding.explanation


def test_amount_outlier_needs_a_history() -> None:
    few = every(9, "CORNER DELI", ["-12.00", "-14.00", "-11.50", "-95.00"], first=date(2026, 2, 1))
    assert sweep([*calm(), *few]) == []


@pytest.mark.parametrize("history", [5, 8])
def test_amount_outlier_with_a_short_history(history: int) -> None:
    meals = every(17, "LITTLE THAI", [-(20.0 + 5 * (i * 3 % 4)) for i in range(history)], first=date(2025, 9, 1))
    finding = only([*calm(), *meals, row(date(2026, 4, 3), "LITTLE THAI", "-240.00")], "amount_outlier")
    assert f"its other {history} charges were between 20.00 USD and 35.00 USD" in finding.explanation


def test_twice_the_highest_of_a_short_history_is_no_outlier() -> None:
    meals = every(17, "LITTLE THAI", [-(20.0 + 5 * (i * 3 % 4)) for i in range(6)], first=date(2025, 9, 1))
    assert sweep([*calm(), *meals, row(date(2026, 4, 3), "LITTLE THAI", "-75.00")]) == []


def test_outlier_of_a_bill_that_follows_the_seasons() -> None:
    winter = [95.0, 90, 70, 45, 25, 20, 18, 19, 22, 40, 65, 88]
    bill = [-winter[i % 12] for i in range(18)]
    bill[7] = -480.0
    assert only([*calm(), *monthly("NORTHLAND NATURAL GAS", bill, day=12)], "amount_outlier").date == date(2025, 8, 12)


def test_first_time_large_compares_with_other_first_purchases() -> None:
    finding = only(
        [*calm(), row(date(2026, 4, 4), "ULTRAVOLT ELECTRONICS MIAMI FL", "-1890.00", tx_id="big")], "first_time_large"
    )
    assert finding.transaction_ids == ("big",)
    assert "19 of 20 first purchases" in finding.explanation


def test_large_purchases_in_the_first_weeks_of_a_ledger_are_not_first_ever() -> None:
    assert sweep([*calm(), row(START + timedelta(days=20), "ULTRAVOLT ELECTRONICS", "-1890.00")]) == []


def test_large_purchases_need_more_while_the_ledger_is_young() -> None:
    furniture = row(date(2025, 3, 20), "ELGATE FURNITURE", "-800.00")
    assert sweep([*calm(), furniture], as_of=date(2025, 4, 1)) == []
    assert only([*calm(), furniture], "first_time_large")


def test_two_rises_of_one_price() -> None:
    findings = sweep([*calm(), *monthly("STREAMBOX TV", ["-9.99"] * 6 + ["-11.99"] * 3 + ["-14.99"] * 9)])
    assert [(f.kind, f.date) for f in findings] == [
        ("price_rise", date(2025, 7, 10)),
        ("price_rise", date(2025, 10, 10)),
    ]


def test_rise_of_a_quarterly_bill() -> None:
    bill = [tx for i, tx in enumerate(monthly("WATER COOP", ["-60.00"] * 9 + ["-75.00"] * 9)) if i % 3 == 0]
    assert only([*calm(), *bill], "price_rise").date == date(2025, 10, 10)


def test_price_rise_names_the_first_charge_at_the_new_price() -> None:
    finding = only([*calm(), *monthly("STREAMBOX TV", ["-12.99"] * 12 + ["-14.99"] * 6)], "price_rise")
    assert finding.transaction_ids == ("STREAMBOX TV:12",)
    assert "12.99 USD to 14.99 USD (+15 %)" in finding.explanation
    assert finding.date == date(2026, 1, 10)


@pytest.mark.parametrize(
    ("before", "after", "raised"),
    [("-100.00", "-110.00", False), ("-100.00", "-110.50", True), ("-100.00", "-109.00", False)],
)
def test_price_rise_begins_above_a_tenth(before: str, after: str, *, raised: bool) -> None:
    findings = sweep([*calm(), *monthly("PULSE BROADBAND", [before] * 10 + [after] * 8)])
    assert [f.kind for f in findings] == (["price_rise"] if raised else [])


def test_price_that_does_not_stay_is_no_rise() -> None:
    assert sweep([*calm(), *monthly("PULSE BROADBAND", ["-60.00"] * 10 + ["-69.00"] + ["-60.00"] * 7)]) == []


def _friday(on: date) -> date:
    return on - timedelta(days=max(0, on.weekday() - 4))


PAYDAYS = {
    "every four weeks": [START + timedelta(days=28 * i + 2) for i in range(19)],
    "the 15th and the last": [
        _friday(date(2025 + m // 12, m % 12 + 1, calendar.monthrange(2025 + m // 12, m % 12 + 1)[1] if last else 15))
        for m in range(18)
        for last in (False, True)
    ],
    "the last working day": [
        _friday(date(2025 + m // 12, m % 12 + 1, calendar.monthrange(2025 + m // 12, m % 12 + 1)[1])) for m in range(18)
    ],
}


@pytest.mark.parametrize("rhythm", sorted(PAYDAYS))
@pytest.mark.parametrize("employer", ["ACME SALARY", "NHS TRUST", "KESTREL RETAIL PLC"])
def test_missed_income_whatever_the_rhythm_and_the_trade(rhythm: str, employer: str) -> None:
    days = PAYDAYS[rhythm]
    rows = [tx for tx in calm() if "PAYROLL" not in tx.description]
    pay = [row(day, employer, "1900.00", account="checking", tx_id=f"pay{i}") for i, day in enumerate(days)]
    assert sweep([*rows, *pay]) == []
    for absent in (7, len(days) // 2, len(days) - 2):
        finding = only([*rows, *pay[:absent], *pay[absent + 1 :]], "missed_income")
        assert abs(finding.date - days[absent]) <= timedelta(days=4)


@pytest.mark.parametrize("seed", range(8))
def test_work_that_is_paid_as_it_comes_is_not_missed(seed: int) -> None:
    rng = random.Random(seed)
    rows, on = calm(), START
    while (on := on + timedelta(days=rng.randrange(5, 70))) <= AS_OF:
        rows.append(row(on, "STUDIO CLIENT PAYMENT", rng.uniform(200, 3000), account="checking"))
    assert sweep(rows) == []


def test_missed_income_names_no_row_but_the_series_and_the_day() -> None:
    rows = [tx for tx in calm() if tx.transaction_id != "NORTHWIND ROBOTICS PAYROLL:20"]
    finding = only(rows, "missed_income")
    assert finding.transaction_ids == ()
    assert finding.series is not None
    assert finding.date == START + timedelta(days=280)
    assert "2,400.00 USD" in finding.explanation


@pytest.mark.parametrize("day", [1, 5, 15, 28, 31])
def test_missed_bill_in_the_midst_of_a_series(day: int) -> None:
    finding = only(
        [*calm(), *monthly("VALLEY POWER & LIGHT", [-(70 + 3 * (i % 5)) for i in range(18)], day=day, skip=[9])],
        "missed_bill",
    )
    assert abs(finding.date - date(2025, 10, day)) <= timedelta(days=2)


def test_missed_bill_at_the_end_only_after_its_grace() -> None:
    bill = monthly("VALLEY WATER DISTRICT", ["-45.00"] * 17, day=5)
    assert sweep([*calm(), *bill], as_of=date(2026, 6, 12)) == []
    assert only([*calm(), *bill], "missed_bill").date == date(2026, 6, 5)


def test_missed_pay_beside_a_bonus() -> None:
    pay = monthly("SUMMIT SALARY", ["4900.00"] * 13, day=1, account="checking", first=date(2025, 6, 1), skip=[9])
    bonus = row(date(2025, 9, 22), "SUMMIT SALARY", "4812.50", account="checking")
    assert only([*calm(), *pay, bonus], "missed_income").date == date(2026, 3, 1)


def test_missed_rent_at_the_end_whatever_its_name() -> None:
    rent = monthly("HUNTERS & CO", ["-1900.00"] * 17, day=3, account="checking")
    assert only([*calm(), *rent], "missed_bill").date == date(2026, 6, 3)


def test_new_recurring_after_a_trial() -> None:
    prices = ["-1.00", "-29.95", "-29.95", "-29.95"]
    finding = only([*calm(), *monthly("MINDSPARK PLUS", prices, day=16, first=date(2026, 2, 1))], "new_recurring")
    assert finding.date == date(2026, 3, 16)


def test_new_recurring_names_the_charges_that_establish_it() -> None:
    finding = only(
        [*calm(), *monthly("MINDSPARK PLUS", ["-29.95"] * 5, day=16, first=date(2026, 2, 1))], "new_recurring"
    )
    assert finding.transaction_ids == ("MINDSPARK PLUS:0", "MINDSPARK PLUS:1", "MINDSPARK PLUS:2")
    assert finding.date == date(2026, 2, 16)


def test_card_testing_is_an_error_and_names_the_burst() -> None:
    names = ("QX DIGITAL", "ZED APPS", "HLP GIVING", "VORTEX MEDIA", "BITBYTE SHOP")
    tiny = [row(date(2026, 5, 5 + i // 3), name, -(0.5 + 0.3 * i), tx_id=f"t{i}") for i, name in enumerate(names)]
    finding = only([*calm(), *tiny], "card_testing")
    assert finding.transaction_ids == ("t0", "t1", "t2", "t3", "t4")
    assert finding.severity == "Error"


def test_card_testing_over_several_accounts() -> None:
    habits = [
        tx
        for account in ("checking", "spare")
        for tx in every(6, f"{account.upper()} DELI", [-(11.0 + i % 4) for i in range(80)], account=account)
    ]
    names = ("QX DIGITAL", "ZED APPS", "HLP GIVING", "VORTEX MEDIA", "BITBYTE SHOP", "ORB TOOLS")
    tiny = [
        row(date(2026, 5, 5 + i // 3), name, -(0.5 + 0.2 * i), account=("card", "checking", "spare")[i % 3])
        for i, name in enumerate(names)
    ]
    finding = only([*calm(), *habits, *tiny], "card_testing")
    assert len(finding.transaction_ids) == 6


# --- must not cry wolf ------------------------------------------------------------------------------------------------


def _coffees() -> list[Transaction]:
    return [
        row(START + timedelta(days=d), "BLUE HERON COFFEE", "-4.75", tx_id=f"c{d}-{n}")
        for d in range(545)
        for n in range(2 if d % 3 == 0 else d % 2)
    ]


def _taps() -> list[Transaction]:
    return [
        row(START + timedelta(days=d), f"METRO TRANSIT TAP {7000 + d}", "-2.75", tx_id=f"m{d}-{n}")
        for d in range(0, 545, 2)
        for n in range(2)
    ]


def _refund() -> list[Transaction]:
    day = date(2026, 3, 3)
    return [
        row(day, "FOREST OUTFITTERS", "-180.00", tx_id="buy"),
        row(day + timedelta(days=1), "FOREST OUTFITTERS RETURN", "180.00", tx_id="back"),
        row(day + timedelta(days=2), "FOREST OUTFITTERS", "-180.00", tx_id="again"),
    ]


def _seasons() -> list[Transaction]:
    winter = [95, 90, 70, 45, 25, 20, 18, 19, 22, 40, 65, 88]
    return monthly("NORTHLAND NATURAL GAS", [-(winter[i % 12] * (1 + 0.03 * (i % 4))) for i in range(18)], day=12)


def _december() -> list[Transaction]:
    return [
        row(
            date(2025, 12, 1 + i),
            f"{'NORTH SOUTH EAST WEST UPPER LOWER INNER OUTER OLD NEW'.split()[i]}GATE GIFTS",
            -(45 + 17.5 * i),
        )
        for i in range(10)
    ]


def _travel() -> list[Transaction]:
    rows = [
        row(date(2026, 2, 1), "SKYLARK AIRLINES 0162233", "-420.00"),
        row(date(2026, 3, 9), "HARBORVIEW HOTEL SAN DIEGO CA", "-790.00"),
    ]
    for day in range(6):
        for part, kind in enumerate(("CAFE", "TACOS", "MUSEUM", "TAXI")):
            rows.append(
                row(
                    date(2026, 3, 3 + day),
                    f"{'PACIFIC CORONADO BALBOA MISSION GASLAMP SUNSET'.split()[day]} {kind} SAN DIEGO CA",
                    -(6 + 11.1 * part + day),
                )
            )
    return rows


CALM_CASES: dict[str, list[Transaction]] = {
    "two coffees a day": _coffees(),
    "transit taps": _taps(),
    "purchase, refund, purchase": _refund(),
    "seasonal utility": _seasons(),
    "December": _december(),
    "travel burst": _travel(),
    "usage-based bill": monthly("PULSE MOBILE", [-(42 + 19 * ((i * 7) % 9) / 9) for i in range(18)], day=20),
    "slowly growing bill": monthly("PULSE WIRELESS", [-(60 * 1.012**i) for i in range(18)], day=20),
    "small steps each year": monthly("GUARDIAN INSURANCE", ["-90.00"] * 8 + ["-97.00"] * 10, day=20),
    "exchange-rate wobble": monthly(
        "LINGOHAUS BERLIN", [-(10.8 * (1 + 0.03 * ((i * 5) % 7 - 3) / 3)) for i in range(18)], day=19
    ),
    "renamed descriptor": [
        *monthly("RIVERSIDE FITNESS CLUB", ["-49.00"] * 9, day=11),
        *monthly("ABC*RSF HEALTH CLUB", ["-49.00"] * 9, day=11, first=date(2025, 10, 1)),
    ],
    "renamed in the first months": [
        *monthly("RIVER HOUSE STREAMING", ["-4.99"] * 2, day=20),
        *monthly("COPPER BAY MEDIA", ["-4.99"] * 16, day=20, first=date(2025, 3, 1)),
    ],
    "renamed rent": [
        *monthly("OLD MILL PROPERTY MGMT", ["-1480.00"] * 12, day=3, account="checking"),
        *monthly("RENTPORTAL 88 WEB PMT", ["-1480.00"] * 6, day=3, first=date(2026, 1, 1), account="checking"),
    ],
    "wide-range merchant": every(6, "EVERYTHING MEGASTORE", [-(5 * 1.09 ** ((i * 17) % 43)) for i in range(90)]),
    "ended subscription": monthly("OREGONIAN DIGITAL NEWS", ["-16.99"] * 11, day=3),
    "just ended subscription": monthly("OREGONIAN DIGITAL NEWS", ["-16.99"] * 17, day=3),
    "own transfers": [
        row(
            date(2026, 3, d),
            "ONLINE TRANSFER TO SAVINGS",
            "-900.00",
            tx_id=f"s{d}",
            account="checking",
            other="savings",
        )
        for d in (1, 2, 3)
    ],
    "pay on the 15th and the last": [
        tx
        for day in (15, 31)
        for tx in (
            replace(t, transaction_id=f"{t.transaction_id}:{day}")
            for t in monthly("TUALATIN SCHOOL DIRECT DEP", ["1640.00"] * 18, day=day)
        )
    ],
    "references in letters": [
        row(date(2025 + i // 12, i % 12 + 1, 8), f"RING*{code}", "-7.99")
        for i, code in enumerate(
            "A21DA4 R9M0URYB 034VGJ GBX7T9 K2WRT1 A45LXF 1EDLBRT Q0KZ62 T0GVD1 N7STAM J7LMY4 FN28DC "
            "T8DEEB SXPBTE 0E8JYF U3MM32 N9RQBJ AXL4PK".split()
        )
    ],
    "bonus beside the pay": [
        *monthly("SUMMIT MANUFACTURING SALARY", ["4900.00"] * 18, day=1, account="checking"),
        row(date(2025, 7, 22), "SUMMIT MANUFACTURING SALARY", "4812.50", account="checking"),
    ],
    "purchase, refund under the bank's words, purchase": [
        row(date(2026, 3, 3), "CARD PAYMENT TO LINWORTH OPTICAL ON 03 MAR", "-180.00"),
        row(date(2026, 3, 4), "REFUND CARD PAYMENT TO LINWORTH OPTICAL ON 04 MAR", "180.00"),
        row(date(2026, 3, 4), "CARD PAYMENT TO LINWORTH OPTICAL ON 04 MAR", "-180.00"),
    ],
    "yearly membership": [row(date(y, 5, 4), "WAREHOUSE CLUB ANNUAL", "-60.00") for y in (2025, 2026)],
}


@pytest.mark.parametrize("case", sorted(CALM_CASES))
def test_does_not_cry_wolf(case: str) -> None:
    rows = [*calm(), *CALM_CASES[case]]
    assert [(f.kind, f.explanation) for f in sweep(rows)] == []


def test_a_feed_that_broke_off_is_not_many_missed_bills() -> None:
    broken = [tx for tx in calm() if tx.account_id != "checking" or tx.posted_on < date(2026, 5, 20)]
    assert sweep(broken) == []


# --- once, within the lookback ----------------------------------------------------------------------------------------


def _eventful() -> list[Transaction]:
    names = ("QX DIGITAL", "ZED APPS", "HLP GIVING", "VORTEX MEDIA", "BITBYTE SHOP")
    return [
        *(tx for tx in calm() if tx.transaction_id != "NORTHWIND ROBOTICS PAYROLL:20"),
        row(date(2025, 9, 3), "GREENLEAF MARKET 0032", "-77.77", tx_id="d1"),
        row(date(2025, 9, 4), "GREENLEAF MARKET 0032", "-77.77", tx_id="d2"),
        row(date(2025, 9, 12), "SUNSET FUEL", "-390.00"),
        row(date(2025, 10, 4), "ULTRAVOLT ELECTRONICS", "-1890.00"),
        *monthly("STREAMBOX TV", ["-12.99"] * 9 + ["-14.99"] * 9),
        *monthly("VALLEY POWER & LIGHT", [-(70 + 3 * (i % 5)) for i in range(18)], day=20, skip=[9]),
        *monthly("MINDSPARK PLUS", ["-29.95"] * 10, day=16, first=date(2025, 9, 1)),
        *(row(date(2025, 11, 5 + i // 3), name, -(0.5 + 0.3 * i)) for i, name in enumerate(names)),
    ]


def test_all_eight_kinds_at_once() -> None:
    assert sorted(f.kind for f in sweep(_eventful())) == sorted(KINDS)


def test_a_later_sweep_gives_the_same_identities() -> None:
    rows = _eventful()
    early = {finding_key(HOUSEHOLD, f): f.kind for f in sweep(rows, as_of=date(2025, 12, 20))}
    late = {finding_key(HOUSEHOLD, f): f.kind for f in sweep(rows)}
    assert sorted(early.values()) == sorted(KINDS)
    assert early == late


def test_sweeping_every_night_raises_each_finding_once() -> None:
    rows = _eventful()
    raised: dict[str, str] = {}
    for offset in range(0, 240, 5):
        for finding in sweep(rows, as_of=date(2025, 9, 1) + timedelta(days=offset), lookback_days=60):
            raised.setdefault(finding_key(HOUSEHOLD, finding), finding.kind)
    assert sorted(raised.values()) == sorted(KINDS)


def test_identity_depends_on_household_and_kind() -> None:
    findings = sweep(_eventful())
    keys = {
        finding_key(household, f) for f in findings for household in (HOUSEHOLD, "b0b00000000000000000000000000001")
    }
    assert len(keys) == 2 * len(findings)


def test_lookback_leaves_out_what_was_evident_before() -> None:
    rows = _eventful()
    assert sweep(rows, lookback_days=30) == []
    assert len(sweep(rows, lookback_days=720)) == 8


def test_rows_after_the_day_of_the_sweep_do_not_matter() -> None:
    rows = _eventful()
    as_of = date(2025, 10, 1)
    assert sweep(rows, as_of=as_of) == sweep([tx for tx in rows if tx.posted_on <= as_of], as_of=as_of)


def test_explanations_fit_a_signals_summary() -> None:
    long_name = "THE EXTRAORDINARILY LONG NAMED EMPORIUM OF ELECTRONIC DEVICES AND SUNDRY IMPORTED GOODS"
    findings = sweep([*_eventful(), row(date(2026, 4, 4), long_name, "-2890.00")])
    assert len(findings) == 9
    assert all(len(f.explanation) <= 200 for f in findings), [
        f.explanation for f in findings if len(f.explanation) > 200
    ]


def test_amounts_of_another_currency_are_not_compared() -> None:
    yen = [
        row(date(2026, 3, 3), "SUNSET FUEL", "-5200", currency="JPY"),
        row(date(2026, 3, 4), "TOKYO RAMEN", "-1900", currency="JPY"),
    ]
    assert sweep([*calm(), *yen]) == []


def test_confidence_is_a_probability() -> None:
    assert all(Decimal(0) < Decimal(str(f.confidence)) <= 1 for f in sweep(_eventful()))


def test_a_shop_that_sells_everything_may_charge_four_times_its_highest() -> None:
    wide = every(6, "EVERYTHING MEGASTORE", [-(8 * 1.06 ** ((i * 17) % 43)) for i in range(80)])
    assert sweep([*calm(), *wide, row(date(2026, 2, 2), "EVERYTHING MEGASTORE", "-205.00")]) == []
    assert [f.kind for f in sweep([*calm(), *wide, row(date(2026, 2, 2), "EVERYTHING MEGASTORE", "-1900.00")])] == [
        "amount_outlier"
    ]


def test_large_first_payment_to_an_exchange_is_seen_and_a_transfer_is_not() -> None:
    assert only([*calm(), row(date(2026, 4, 4), "BITNEST CRYPTO EXCHANGE", "-2400.00")], "first_time_large")
    assert sweep([*calm(), row(date(2026, 4, 4), "WIRE TRANSFER TO OFFSHORE HOLDINGS", "-2400.00")]) == []
