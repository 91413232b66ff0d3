"""The sample household: 24 months of an invented family's ledger, with anomalies planted on purpose.

Everything derives from ``end`` and a fixed seed; there is no clock and no machine in it. ``docs/sample-household.md``
describes the family and what is planted.
"""

from __future__ import annotations

import calendar
import json
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Final

from mosaic_core.domain.transactions import Transaction
from mosaic_local.sample.dice import bell, cents, chance, choose, number

HOUSEHOLD_ID: Final = "a11ce000000000000000000000000001"
CHECKING: Final = "alice-checking"
SAVINGS: Final = "alice-savings"
CARD: Final = "alice-card"
ACCOUNTS: Final = (CHECKING, SAVINGS, CARD)
SOURCE: Final = "sample-bank"
MONTHS: Final = 24
_BATCH_NAMESPACE: Final = uuid.UUID("6f0c2d0e-6c1b-5a2f-9b1a-1a2b3c4d5e6f")

type Payload = dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """One anomaly put in on purpose: its kind, the rows that it is about (none where a row is absent), and its day."""

    kind: str
    transaction_ids: tuple[str, ...]
    date: date
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One ingestion of at most 500 rows of one account, oldest first."""

    batch_id: str
    account_id: str
    transactions: tuple[Payload, ...]

    def payload(self) -> dict[str, object]:
        """The ``ingestion_completed`` payload of the contract."""
        return {
            "householdId": HOUSEHOLD_ID,
            "batchId": self.batch_id,
            "source": SOURCE,
            "accountId": self.account_id,
            "transactions": [dict(row) for row in self.transactions],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleHousehold:
    """The ledger by account, each row in the contract's shape, oldest first, and what was planted in it."""

    end: date
    accounts: Mapping[str, tuple[Payload, ...]]
    planted: tuple[Planted, ...]

    def batches(self, size: int = 500) -> list[Batch]:
        """The rows in batches of at most ``size`` (1 to 500), account by account, oldest first."""
        if not 1 <= size <= 500:
            raise ValueError("a batch holds 1 to 500 transactions")
        found = []
        for account_id, rows in self.accounts.items():
            for start in range(0, len(rows), size):
                part = rows[start : start + size]
                name = f"{account_id}|{part[0]['transactionId']}|{part[-1]['transactionId']}|{len(part)}"
                found.append(
                    Batch(batch_id=uuid.uuid5(_BATCH_NAMESPACE, name).hex, account_id=account_id, transactions=part)
                )
        return found

    def transactions(self) -> list[Transaction]:
        """The same rows as the ledger's values, oldest first."""
        rows = [
            Transaction(
                transaction_id=row["transactionId"],
                account_id=account_id,
                posted_on=date.fromisoformat(row["postedOn"]),
                amount=Decimal(row["amount"]),
                currency=row["currency"],
                description=row["description"],
                merchant_name=row.get("merchantName"),
                category_hint=row.get("categoryHint"),
                counterparty_account_id=row.get("counterpartyAccountId"),
            )
            for account_id, part in self.accounts.items()
            for row in part
        ]
        return sorted(rows, key=lambda tx: (tx.posted_on, tx.transaction_id))

    def to_json(self) -> str:
        """Everything as canonical JSON, for a comparison byte by byte."""
        planted = [
            {"kind": p.kind, "transactionIds": p.transaction_ids, "date": p.date.isoformat(), "note": p.note}
            for p in self.planted
        ]
        return json.dumps(
            {"end": self.end.isoformat(), "accounts": self.accounts, "planted": planted},
            sort_keys=True,
            separators=(",", ":"),
        )


def sample_household(end: date) -> SampleHousehold:
    """The household's ledger for the 24 months up to and including ``end`` (which must be after the year 3)."""
    return _Ledger(end).finish()


@dataclass(slots=True)
class _Row:
    on: date
    account: str
    amount: Decimal
    description: str
    merchant: str | None = None
    hint: str | None = None
    counterparty: str | None = None
    tag: str = ""


class _Ledger:
    """Collects rows; ``tag`` marks those that the manifest names, until the ids are known."""

    def __init__(self, end: date) -> None:
        self.end = end
        first_of_end = end.year * 12 + end.month - 1 - MONTHS
        start_of = date(first_of_end // 12, first_of_end % 12 + 1, 1)
        self.start = min(
            start_of.replace(day=min(end.day, calendar.monthrange(start_of.year, start_of.month)[1]))
            + timedelta(days=1),
            end,
        )
        self.rows: list[_Row] = []
        self.plants: list[tuple[str, str, date, str]] = []

    def finish(self) -> SampleHousehold:
        _pay(self)
        _bills(self)
        _subscriptions(self)
        _transfers(self)
        _everyday(self)
        _occasions(self)
        _plant(self)
        inside = sorted(
            (r for r in self.rows if self.start <= r.on <= self.end),
            key=lambda r: (r.account, r.on, r.description, r.amount),
        )
        accounts: dict[str, tuple[Payload, ...]] = {}
        tagged: dict[str, list[str]] = {}
        for account in ACCOUNTS:
            part: list[Payload] = []
            counts: dict[date, int] = {}
            for row in inside:
                if row.account != account:
                    continue
                counts[row.on] = counts.get(row.on, 0) + 1
                tx_id = f"{account}-{row.on:%Y%m%d}-{counts[row.on]:02d}"
                if row.tag:
                    tagged.setdefault(row.tag, []).append(tx_id)
                payload: Payload = {
                    "transactionId": tx_id,
                    "postedOn": row.on.isoformat(),
                    "amount": f"{row.amount:.2f}",
                    "currency": "USD",
                    "description": row.description,
                }
                if row.merchant:
                    payload["merchantName"] = row.merchant
                if row.hint:
                    payload["categoryHint"] = row.hint
                if row.counterparty:
                    payload["counterpartyAccountId"] = row.counterparty
                part.append(payload)
            accounts[account] = tuple(part)
        planted = tuple(
            Planted(kind=kind, transaction_ids=tuple(tagged.get(tag, ())), date=on, note=note)
            for kind, tag, on, note in sorted(self.plants, key=lambda p: (p[2], p[0], p[1]))
        )
        return SampleHousehold(end=self.end, accounts=accounts, planted=planted)

    def add(
        self,
        on: date,
        account: str,
        value: int,
        description: str,
        *,
        merchant: str | None = None,
        hint: str | None = None,
        counterparty: str | None = None,
        tag: str = "",
    ) -> None:
        """A row of ``value`` cents, negative = out."""
        self.rows.append(_Row(on, account, cents(value), description, merchant, hint, counterparty, tag))

    def card(self, on: date, value: int, merchant: str, label: str, *, tag: str = "") -> None:
        """A card purchase as a bank writes it; two of three carry the merchant's clean name."""
        named = merchant.title() if chance(f"{label}|named", 640) else None
        self.rows.append(_Row(on, CARD, cents(-value), _noisy(merchant, label), named, tag=tag))

    def months(self) -> Iterator[tuple[int, int]]:
        """Year and month of each month that the ledger touches."""
        index, last = self.start.year * 12 + self.start.month - 1, self.end.year * 12 + self.end.month - 1
        for at in range(index, last + 1):
            yield at // 12, at % 12 + 1

    def days(self) -> Iterator[date]:
        """Each day of the ledger."""
        for offset in range((self.end - self.start).days + 1):
            yield self.start + timedelta(days=offset)

    def before_end(self, months: int, day: int) -> date:
        """A day of the month that lies ``months`` before the end's month."""
        at = self.end.year * 12 + self.end.month - 1 - months
        return _on(at // 12, at % 12 + 1, day)


def _on(year: int, month: int, day: int) -> date:
    return date(year, month, min(day, calendar.monthrange(year, month)[1]))


def _business(on: date, *, forward: bool) -> date:
    """Off the weekend, as banks post: bills on the Monday, pay on the Friday."""
    while on.weekday() > 4:
        on += timedelta(days=1 if forward else -1)
    return on


_PLACES: Final = ("PORTLAND OR", "BEAVERTON OR", "VANCOUVER WA", "LAKE OSWEGO OR")


def _noisy(merchant: str, label: str) -> str:
    store = number(f"{label}|store", 100, 9899)
    place = choose(f"{label}|place", _PLACES)
    forms = (
        f"{merchant} {place}",
        f"{merchant} #{store} {place}",
        f"POS DEBIT {merchant} {store:04d} {place}",
        f"SQ *{merchant} {store:04d} {place}",
        f"{merchant}",
        f"CHECKCARD {store:04d} {merchant} {place}",
    )
    # A merchant's terminal writes one form; now and then the processor's shows through.
    usual = number(f"{merchant}|form", 0, len(forms) - 1)
    return forms[usual] if chance(f"{label}|usual", 800) else choose(f"{label}|form", forms)


# --- regular ----------------------------------------------------------------------------------------------------------


def _pay(led: _Ledger) -> None:
    """Alice every second Friday, her partner twice a month."""
    friday = date(2020, 1, 3)
    raise_on = led.before_end(10, 1)
    skipped = led.before_end(3, 15)
    skipped += timedelta(days=-((skipped - friday).days % 14))
    on = friday + timedelta(days=((led.start - friday).days // 14 + 1) * 14)
    if (led.start - friday).days % 14 == 0:
        on = led.start
    while on <= led.end:
        if on == skipped:
            led.plants.append(("missed_income", "", on, "Alice's pay of this Friday never arrived"))
        else:
            led.add(
                on, CHECKING, 243117 if on < raise_on else 251626, "NORTHWIND ROBOTICS DES:PAYROLL PPD ID: 9111345678"
            )
        on += timedelta(days=14)
    for year, month in led.months():
        for day in (15, 31):
            led.add(
                _business(_on(year, month, day), forward=False),
                CHECKING,
                164250,
                "TUALATIN SCHOOL DISTRICT DIRECT DEP PPD",
                hint="INCOME",
            )
        led.add(_on(year, month, 31), SAVINGS, bell(f"interest|{year}-{month}", 1180, 1490), "INTEREST PAYMENT")


def _bills(led: _Ledger) -> None:
    missed = led.before_end(2, 17)
    internet_from = led.before_end(5, 1)
    for index, (year, month) in enumerate(led.months()):
        label = f"{year}-{month}"
        led.add(
            _business(_on(year, month, 1), forward=True),
            CHECKING,
            -184500,
            "CEDAR RIDGE APARTMENTS WEB PMTS RENT",
            hint="RENT_AND_UTILITIES",
        )
        winter = {12: 168, 1: 182, 2: 165, 3: 128, 11: 124, 7: 118, 8: 122}.get(month, 84)
        led.add(
            _business(_on(year, month, 9), forward=True),
            CHECKING,
            -winter * bell(f"power|{label}", 92, 108),
            "PORTLAND GENERAL ELECTRIC BILL PAY",
        )
        heat = {12: 71, 1: 84, 2: 76, 3: 55, 4: 38, 10: 33, 11: 52}.get(month, 17)
        led.add(
            _business(_on(year, month, 12), forward=True),
            CHECKING,
            -heat * bell(f"gas|{label}", 90, 110),
            "NW NATURAL GAS CO ACH DEBIT",
        )
        water = _business(_on(year, month, 17), forward=True)
        if water == _business(missed, forward=True):
            led.plants.append(("missed_bill", "", water, "the water bill of this month was not paid"))
        else:
            led.add(
                water, CHECKING, -bell(f"water|{label}", 5400, 7300), "TUALATIN VALLEY WATER DISTRICT PPD ID: 4400117"
            )
        price = 5999 if _on(year, month, 21) < internet_from else 7499
        first_new = _on(year, month, 21) >= internet_from and led.before_end(5, 21) == _on(year, month, 21)
        led.add(
            _on(year, month, 21),
            CHECKING,
            -price,
            "COMCAST XFINITY 800-266-2278 OR",
            tag="internet" if first_new else "",
        )
        if first_new:
            led.plants.append(("price_rise", "internet", _on(year, month, 21), "internet from 59.99 to 74.99"))
        led.add(
            _on(year, month, 24),
            CARD,
            -(8540 + 43 * index),
            f"T-MOBILE PCS SVC {number(f'tm|{label}', 1000000, 9999999)} 800-937-8997 WA",
            merchant="T-Mobile",
        )
        led.add(
            _business(_on(year, month, 5), forward=True),
            CHECKING,
            -31284,
            "TOYOTA FINANCIAL SVCS AUTO LOAN PPD ID: 9953000123",
        )
        led.add(
            _business(_on(year, month, 27), forward=True),
            CHECKING,
            -13462 if led.before_end(13, 1) > _on(year, month, 27) else -14120,
            "GEICO INSURANCE PREM WEB ID: 1530075853",
        )


def _subscriptions(led: _Ledger) -> None:
    rise = led.before_end(4, 6)
    ended = led.before_end(9, 1)
    renamed = led.before_end(12, 1)
    for index, (year, month) in enumerate(led.months()):
        label = f"{year}-{month}"
        on = _on(year, month, 6)
        led.add(
            on,
            CARD,
            -(1549 if on < rise else 1799),
            "NETFLIX.COM 866-579-7172 CA",
            merchant="Netflix",
            tag="netflix" if on == rise else "",
        )
        if on == rise:
            led.plants.append(("price_rise", "netflix", on, "Netflix from 15.49 to 17.99"))
        on = _on(year, month, 14)
        led.add(
            on,
            CARD,
            -1199,
            "PAYPAL *SPOTIFY 402-935-7733" if chance(f"spot|{label}", 300) else "SPOTIFY USA 877-7781161 NY",
            merchant="Spotify",
        )
        on = _on(year, month, 3)
        if on < ended:
            led.add(on, CARD, -1699, "OREGONIAN DIGITAL NEWS 503-221-8327")
        on = _on(year, month, 11)
        led.add(
            on,
            CARD,
            -4900,
            "RIVERSIDE FITNESS CLUB PORTLAND OR" if on < renamed else "ABC*RSF HEALTH CLUB 888-827-9262 AR",
        )
        # Billed in euros: the exchange rate shows.
        led.add(
            _on(year, month, 19), CARD, -(1080 + number(f"fx|{label}", -24, 24)), "LINGOHAUS BERLIN DEU LANGUAGE APP"
        )
        led.add(_on(year, month, 2), CARD, -299, "APPLE.COM/BILL 866-712-7753 CA", merchant="Apple iCloud")
        if month == number("prime-month", 3, 5):
            led.add(
                _on(year, month, 8),
                CARD,
                -13900,
                "AMAZON PRIME*ANNUAL MEMBERSHIP AMZN.COM/BILL WA",
                merchant="Amazon Prime",
            )
        if index % 3 == 0:
            led.add(_on(year, month, 26), CHECKING, -6400, "EVERGREEN PEST CONTROL QUARTERLY SERVICE")


def _transfers(led: _Ledger) -> None:
    for year, month in led.months():
        label = f"{year}-{month}"
        on = _on(year, month, 4)
        save = 40000 if month != 12 else 15000
        led.add(on, CHECKING, -save, "ONLINE TRANSFER TO SAV XXXXX4417", counterparty=SAVINGS)
        led.add(on, SAVINGS, save, "ONLINE TRANSFER FROM CHK XXXXX9032", counterparty=CHECKING)
        paid = bell(f"cardpay|{label}", 142000, 268000)
        on = _business(_on(year, month, 23), forward=True)
        led.add(on, CHECKING, -paid, "CASCADE CARD SERVICES CREDIT CARD AUTOPAY", counterparty=CARD)
        led.add(on, CARD, paid, "AUTOPAY PAYMENT - THANK YOU", counterparty=CHECKING)
        if chance(f"atm|{label}", 700):
            led.add(
                _on(year, month, number(f"atmday|{label}", 1, 28)),
                CHECKING,
                -choose(f"atmsum|{label}", (4000, 6000, 8000, 10000)),
                "ATM WITHDRAWAL 000417 SW BROADWAY PORTLAND OR",
            )
        if chance(f"venmo|{label}", 600):
            led.add(
                _on(year, month, number(f"venmoday|{label}", 1, 28)),
                CHECKING,
                -100 * number(f"venmosum|{label}", 12, 90),
                "VENMO PAYMENT 1029384756",
            )


# --- everyday ---------------------------------------------------------------------------------------------------------

_GROCERS: Final = (("TRADER JOES", 2600, 9400), ("NEW SEASONS MARKET", 1800, 12800), ("SAFEWAY", 1500, 10600))
_RESTAURANTS: Final = (
    ("LUIGIS TRATTORIA", 3600, 8200),
    ("GOLDEN WOK", 2200, 4600),
    ("TAQUERIA EL SOL", 1400, 3900),
    ("PINE STREET DINER", 1700, 4200),
    ("HANAMI SUSHI", 3100, 7900),
    ("BRIDGETOWN BREWING", 1900, 5300),
)
_ONE_OFF: Final = (
    "ALDER STREET BOOKS",
    "HAWTHORNE SHOES",
    "MISSISSIPPI RECORDS",
    "PEARL DISTRICT FLORIST",
    "FOREST PARK OUTFITTERS",
    "MULTNOMAH TOYS",
    "SELLWOOD ANTIQUES",
    "BELMONT BICYCLES",
    "LAURELHURST CINEMA",
    "DIVISION STREET HARDWARE",
    "NOB HILL PHARMACY",
    "KENTON BAKERY",
    "STUMPTOWN OPTICAL",
    "ALBERTA CERAMICS",
    "OMSI SCIENCE MUSEUM",
    "WILLAMETTE DENTAL",
    "ROSE CITY VETERINARY",
    "SLABTOWN BISTRO",
    "FREMONT STATIONERS",
    "MONTAVILLA FABRICS",
    "GLISAN GARDEN CENTER",
    "MT TABOR YOGA",
    "BURNSIDE TICKETS",
    "FOSTER AUTO REPAIR",
    "CULLY FARM STAND",
    "OVERLOOK TAILORS",
    "RALEIGH HILLS CLEANERS",
    "GOOSE HOLLOW GRILL",
    "WOODSTOCK PET SUPPLY",
    "IRVINGTON GIFTS",
    "ST JOHNS COMICS",
    "CATHEDRAL COFFEE",
    "SWAN ISLAND BOOTS",
    "LLOYD BOWLING",
    "SULLIVAN ICE CREAM",
    "ROCKY BUTTE CAMERA",
    "TRYON CREEK NURSERY",
    "HILLSDALE BAGELS",
    "LENTS BARBECUE",
    "BROOKLYN STREET YARN",
)


def _everyday(led: _Ledger) -> None:
    coffee = (475, 525, 395)
    for on in led.days():
        label = on.isoformat()
        weekday = on.weekday()
        if weekday < 5 and chance(f"coffee|{label}", 480):
            led.card(on, choose(f"cup|{label}", coffee), "BLUE HERON COFFEE", f"coffee|{label}")
            if chance(f"second|{label}", 380):
                led.card(on, choose(f"cup2|{label}", coffee), "BLUE HERON COFFEE", f"second|{label}")
        if weekday < 5 and chance(f"train|{label}", 420):
            for tap in range(2):
                led.add(
                    on,
                    CARD,
                    -280,
                    f"TRIMET HOP FASTPASS TAP {number(f'tap|{label}|{tap}', 100000, 999999)}",
                    merchant="TriMet",
                )
        for name, low, high in _GROCERS:
            if chance(f"{name}|{label}", {5: 330, 6: 200}.get(weekday, 90)):
                led.card(on, bell(f"{name}|sum|{label}", low, high), name, f"{name}|{label}")
        for name, low, high in _RESTAURANTS:
            if chance(f"{name}|{label}", 62 if weekday >= 4 else 18):
                led.card(on, bell(f"{name}|sum|{label}", low, high), name, f"{name}|{label}")
        if chance(f"fuel|{label}", 110):
            led.card(on, bell(f"fuel|sum|{label}", 2900, 5900), "SHELL OIL", f"fuel|{label}")
        if chance(f"pharmacy|{label}", 40):
            led.card(on, bell(f"pharmacy|sum|{label}", 600, 4100), "WALGREENS", f"pharmacy|{label}")
        if chance(f"shop|{label}", 190 if on.month == 12 else 130):
            low, high = ((700, 3900), (1500, 8900), (3000, 19900))[
                number(f"shoprange|{label}", 0, 9) // 4 if chance(f"small|{label}", 850) else 2
            ]
            led.add(
                on,
                CARD,
                -number(f"shop|sum|{label}", low, high),
                f"AMZN MKTP US*{number(f'shop|code|{label}', 10, 99)}K{number(f'shop|tail|{label}', 100, 999)} "
                "AMZN.COM/BILL WA",
                merchant="Amazon",
                hint="GENERAL_MERCHANDISE",
            )
            if chance(f"back|{label}", 70):
                led.add(
                    on + timedelta(days=9),
                    CARD,
                    number(f"shop|sum|{label}", low, high),
                    "AMZN MKTP US REFUND AMZN.COM/BILL WA",
                    merchant="Amazon",
                    hint="GENERAL_MERCHANDISE",
                )
        if on.day == 20 and on.month % 2 == 0:
            led.card(on, 6200, "HAIR BY MARISOL SALON", f"hair|{label}")


def _occasions(led: _Ledger) -> None:
    """One-off purchases, December, a summer trip, a purchase that was taken back."""
    for on in led.days():
        label = on.isoformat()
        if chance(f"oneoff|{label}", 105):
            led.card(
                on, bell(f"oneoff|sum|{label}", 900, 11800), choose(f"oneoff|who|{label}", _ONE_OFF), f"oneoff|{label}"
            )
        if on.month == 12 and on.day < 24 and chance(f"gift|{label}", 330):
            shop = choose(
                f"gift|who|{label}",
                (
                    "IRVINGTON GIFTS",
                    "MULTNOMAH TOYS",
                    "ALDER STREET BOOKS",
                    "CASCADE JEWELERS",
                    "PEARL CANDLE CO",
                    "NORTHWEST WOOLENS",
                ),
            )
            led.card(on, bell(f"gift|sum|{label}", 2400, 16500), shop, f"gift|{label}")
    for year in range(led.start.year, led.end.year + 1):
        leave = date(year, 8, number(f"trip|{year}", 3, 12))
        led.add(
            leave - timedelta(days=34),
            CARD,
            -bell(f"fly|{year}", 38000, 52000),
            "ALASKA AIR 0272134567890 SEATTLE WA",
            merchant="Alaska Airlines",
            hint="TRAVEL",
        )
        led.add(
            leave + timedelta(days=5),
            CARD,
            -bell(f"stay|{year}", 61000, 84000),
            choose(f"hotel|{year}", ("HARBORVIEW INN SAN DIEGO CA", "LA JOLLA SHORES HOTEL LA JOLLA CA")),
            hint="TRAVEL",
        )
        for day in range(6):
            for part, (word, low, high) in enumerate(
                (("CAFE", 600, 1900), ("TACOS", 1100, 3600), ("MUSEUM", 1800, 4600), ("GRILL", 3200, 8900))
            ):
                if chance(f"trip|{year}|{day}|{part}", 550):
                    who = choose(
                        f"trip|who|{year}|{day}|{part}",
                        ("PACIFIC", "CORONADO", "BALBOA", "MISSION BAY", "GASLAMP", "POINT LOMA", "SUNSET CLIFFS"),
                    )
                    led.add(
                        leave + timedelta(days=day),
                        CARD,
                        -number(f"trip|sum|{year}|{day}|{part}", low, high),
                        f"SQ *{who} {word} SAN DIEGO CA",
                    )
    bought = led.before_end(7, 11)
    led.card(bought, 18499, "FOREST PARK OUTFITTERS", "jacket")
    led.add(bought + timedelta(days=1), CARD, 18499, "FOREST PARK OUTFITTERS PORTLAND OR RETURN")
    led.card(bought + timedelta(days=2), 18499, "FOREST PARK OUTFITTERS", "jacket again")


# --- planted ----------------------------------------------------------------------------------------------------------


def _plant(led: _Ledger) -> None:
    """What a sweep has to find. Two thirds lie within the sweep's default lookback of 180 days before ``end``."""

    def plant(kind: str, tag: str, on: date, note: str) -> None:
        led.plants.append((kind, tag, on, note))

    on = led.before_end(1, 9)
    led.card(on, 8467, "NEW SEASONS MARKET", "duplicate one", tag="duplicate-1")
    led.card(on + timedelta(days=1), 8467, "NEW SEASONS MARKET", "duplicate two", tag="duplicate-1")
    plant("duplicate_charge", "duplicate-1", on + timedelta(days=1), "the same groceries charged again a day later")

    on = led.before_end(16, 13)
    led.card(on, 6135, "HANAMI SUSHI", "duplicate three", tag="duplicate-2")
    led.card(on, 6135, "HANAMI SUSHI", "duplicate four", tag="duplicate-2")
    plant("duplicate_charge", "duplicate-2", on, "one dinner charged twice on one day")

    on = led.before_end(2, 4)
    led.card(on, 41280, "SHELL OIL", "outlier fuel", tag="outlier-1")
    plant("amount_outlier", "outlier-1", on, "412.80 at a fuel station that never took 60")

    on = led.before_end(14, 22)
    led.card(on, 61200, "GOLDEN WOK", "outlier dinner", tag="outlier-2")
    plant("amount_outlier", "outlier-2", on, "612.00 at a restaurant that never took 50")

    on = led.before_end(3, 25)
    led.add(on, CARD, -248900, "ULTRAVOLT ELECTRONICS 0091 MIAMI FL", tag="first-1")
    plant("first_time_large", "first-1", on, "2,489.00 at a shop never seen before")

    on = led.before_end(11, 7)
    led.add(on, CARD, -172500, "MERIDIAN WATCH EXCHANGE NEW YORK NY", tag="first-2")
    plant("first_time_large", "first-2", on, "1,725.00 at a shop never seen before")

    first = led.before_end(4, 16)
    for months in range(4, -1, -1):
        led.add(
            led.before_end(months, 16),
            CARD,
            -2995,
            "PPL*MINDSPARK PLUS 844-555-0117",
            tag="new-1" if months > 1 else "",
        )
    plant("new_recurring", "new-1", first, "29.95 a month that was not there before")

    on = led.before_end(1, 18)
    for index, (name, value) in enumerate(
        (
            ("QX DIGITAL", 100),
            ("ZED APPS 88", 137),
            ("HLP GIVING", 50),
            ("VORTEX MEDIA", 199),
            ("KLM2 SHOP", 100),
            ("BITBYTE GAMES", 149),
        )
    ):
        led.add(
            on + timedelta(days=index // 4),
            CARD,
            -value,
            f"{name} {number(f'test|{index}', 1000, 9999)} CYP",
            tag="testing-1",
        )
    plant("card_testing", "testing-1", on, "six charges of up to 1.99 at unknown merchants within two days")
