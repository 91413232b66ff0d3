"""Random households with known anomalies, for tuning and judging the sweep's analyses.

Independent of the product's code and of its sample household: it invents merchants, habits and noise of its own.
``TUNING_SEEDS`` may be looked at while changing thresholds; ``HOLDOUT_SEEDS`` are for the judgement only.
"""

from __future__ import annotations

import calendar
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal

from mosaic_core.domain.transactions import Finding, Transaction

TUNING_SEEDS = range(1, 61)
HOLDOUT_SEEDS = range(7001, 7061)


@dataclass(frozen=True)
class Truth:
    """One planted anomaly: the rows that may be named, the day it is about, how far a finding's day may be off."""

    kind: str
    ids: frozenset[str]
    on: date
    days: int = 6
    note: str = ""


@dataclass
class SimulatedHousehold:
    seed: int
    transactions: list[Transaction]
    truths: list[Truth]
    as_of: date
    months: int
    traps: list[str] = field(default_factory=list)


FIRST = """North Golden Blue River Maple Cedar Oak Harbor Summit Valley Pine Willow Stone Silver Copper Amber Lotus
    Jade Crescent Union Liberty Pioneer Heritage Beacon Meridian Atlas Orchid Falcon Juniper Cobalt Velvet Ivory
    Granite Prairie Lakeview Bayside Highland Emerald Cypress Magnolia""".split()
LAST = """Table Corner House Works Room Garden Street Point Hill Square Gate Lane Bridge Field Post Yard Bay Creek
    Ridge Grove""".split()
CITIES = [
    "SEATTLE WA",
    "PORTLAND OR",
    "AUSTIN TX",
    "OAKLAND CA",
    "SAN JOSE CA",
    "DENVER CO",
    "MADISON WI",
    "BROOKLYN NY",
]


class _Builder:
    def __init__(self, seed: int, months: int, end: date) -> None:
        self.rng = random.Random(seed)  # noqa: S311 - households, not secrets
        self.end = end
        first = end.year * 12 + end.month - 1 - months
        self.start = date(first // 12, first % 12 + 1, min(end.day, 28))
        self.rows: list[tuple[date, str, Decimal, str, str, str | None, str | None]] = []
        self.truths: list[tuple[str, list[int], date, int, str]] = []
        self.traps: list[str] = []
        self.names: set[str] = set()
        self.city = self.rng.choice(CITIES)
        self.noisy = self.rng.random()
        self.currency = self.rng.choice(["USD"] * 8 + ["EUR", "GBP"])
        self.scale = self.rng.choice([0.7, 1.0, 1.0, 1.3, 1.8])

    def name(self, kind: str) -> str:
        while True:
            name = f"{self.rng.choice(FIRST)} {self.rng.choice([*LAST, ''])} {kind}".replace("  ", " ").upper()
            if name not in self.names:
                self.names.add(name)
                return name

    def day(self) -> date:
        return self.start + timedelta(days=self.rng.randrange((self.end - self.start).days))

    def between(self, low: float, high: float) -> date:
        """A day between two shares of the ledger's span."""
        span = (self.end - self.start).days
        return self.start + timedelta(days=int(span * self.rng.uniform(low, high)))

    def noise(self, merchant: str) -> str:
        rng = self.rng
        if rng.random() > self.noisy:
            return merchant
        form = rng.randrange(7)
        number = rng.randrange(100, 99999)
        city = self.city
        return [
            f"SQ *{merchant} {number:04d} {city}",
            f"{merchant} #{number} {city}",
            f"POS DEBIT {rng.randrange(1, 13):02d}/{rng.randrange(1, 29):02d} {merchant} {city}",
            f"{merchant} {rng.randrange(200, 999)}-{rng.randrange(200, 999)}-{rng.randrange(1000, 9999)} {city[-2:]}",
            f"CHECKCARD {number} {merchant}",
            f"{merchant} {city}",
            f"{merchant}*{rng.choice('ABKXZ')}{number}",
        ][form]

    def add(
        self,
        on: date,
        merchant: str,
        amount: float | Decimal,
        account: str = "chk",
        *,
        plain: bool = False,
        other: str | None = None,
    ) -> int:
        value = amount if isinstance(amount, Decimal) else Decimal(f"{amount:.2f}")
        if value == 0:
            value = Decimal("-0.01")
        self.rows.append((on, account, value, merchant if plain else self.noise(merchant), self.currency, None, other))
        return len(self.rows) - 1

    def shift(self, on: date) -> date:
        """Off the weekend, as banks post."""
        if on.weekday() == 5:
            return on + timedelta(days=2 if self.rng.random() < 0.5 else -1)
        if on.weekday() == 6:
            return on + timedelta(days=1)
        return on

    def months(self) -> list[tuple[int, int]]:
        out = []
        index = self.start.year * 12 + self.start.month - 1
        while index <= self.end.year * 12 + self.end.month - 1:
            out.append((index // 12, index % 12 + 1))
            index += 1
        return out

    def on(self, year: int, month: int, dom: int) -> date:
        return date(year, month, min(dom, calendar.monthrange(year, month)[1]))

    def truth(self, kind: str, rows: list[int], on: date, days: int = 6, note: str = "") -> None:
        self.truths.append((kind, rows, on, days, note))


def simulate(
    seed: int, *, months: int = 24, end: date = date(2026, 10, 31), anomalies: float = 1.0
) -> SimulatedHousehold:
    """One household; ``anomalies`` scales how many of each kind are planted (0 = none, the crying-wolf test)."""
    b = _Builder(seed, months, end)
    rng = b.rng
    _income(b, anomalies)
    bills = _bills(b, anomalies)
    _subscriptions(b, anomalies)
    regulars = _everyday(b)
    _one_offs(b)
    _travel(b)
    _transfers(b)
    _refunds(b, regulars)
    if anomalies > 0:
        _plant_purchases(b, regulars, bills, anomalies)
    rows = []
    order = list(range(len(b.rows)))
    ids = {i: f"t{seed}-{n:05d}" for n, i in enumerate(rng.sample(order, len(order)))}
    for i, (on, account, amount, text, currency, hint, other) in enumerate(b.rows):
        if b.start <= on <= b.end:
            rows.append(
                Transaction(
                    transaction_id=ids[i],
                    account_id=account,
                    posted_on=on,
                    amount=amount,
                    currency=currency,
                    description=text[:200],
                    category_hint=hint,
                    counterparty_account_id=other,
                )
            )
    inside = {i for i, row in enumerate(b.rows) if b.start <= row[0] <= b.end}
    truths = [
        Truth(kind, frozenset(ids[i] for i in named if i in inside), on, days, note)
        for kind, named, on, days, note in b.truths
        if b.start <= on <= b.end and (not named or any(i in inside for i in named))
    ]
    rows.sort(key=lambda t: (t.posted_on, t.transaction_id))
    return SimulatedHousehold(seed, rows, truths, end, months, b.traps)


def _income(b: _Builder, anomalies: float) -> None:
    rng = b.rng
    for person in range(rng.choice([1, 1, 2])):
        employer = b.name(rng.choice(["PAYROLL", "DIRECT DEP", "INC PAYROLL PPD", "SALARY"]))
        style = rng.choice(["biweekly", "biweekly", "monthly", "semimonthly", "weekly"])
        base = (
            rng.uniform(1800, 4200)
            * b.scale
            * {"biweekly": 0.5, "monthly": 1.1, "semimonthly": 0.55, "weekly": 0.27}[style]
        )
        varied = rng.random() < 0.3
        days: list[date] = []
        if style in ("biweekly", "weekly"):
            step = 14 if style == "biweekly" else 7
            on = b.start + timedelta(days=rng.randrange(step))
            while on <= b.end:
                days.append(on - timedelta(days=1) if rng.random() < 0.04 else on)
                on += timedelta(days=step)
        else:
            doms = [rng.choice([1, 15, 25, 28, 31])] if style == "monthly" else rng.choice([[1, 15], [15, 31], [5, 20]])
            for year, month in b.months():
                for dom in doms:
                    on = b.on(year, month, dom)
                    while on.weekday() > 4:
                        on -= timedelta(days=1)
                    days.append(on)
        days = [d for d in days if b.start <= d <= b.end]
        skip = -1
        if person == 0 and len(days) > 12 and rng.random() < 0.35 * anomalies:
            skip = rng.randrange(8, len(days) - 2)
            b.truth("missed_income", [], days[skip], 6, style)
        raise_at = rng.randrange(len(days)) if rng.random() < 0.4 else None
        for i, on in enumerate(days):
            if raise_at is not None and i == raise_at:
                base *= rng.uniform(1.02, 1.08)
            if i != skip:
                b.add(on, employer, base * (rng.uniform(0.93, 1.08) if varied else 1.0), plain=rng.random() < 0.7)
        if rng.random() < 0.3:
            b.add(b.on(days[len(days) // 2].year, 12, 18), employer, base * rng.uniform(1.5, 4), plain=True)
    if rng.random() < 0.5:
        for year, month in b.months():
            b.add(b.on(year, month, 28), "INTEREST PAYMENT", rng.uniform(0.3, 9), "sav", plain=True)
    if rng.random() < 0.3:
        client = b.name("CONSULTING CLIENT PAYMENT")
        for _ in range(rng.randrange(4, 14)):
            b.add(b.day(), client, rng.uniform(150, 1500))


def _series_days(
    b: _Builder, dom: int, jitter: int, *, weekend: bool, first: float = 0.0, last: float = 1.0
) -> list[date]:
    span = (b.end - b.start).days
    low, high = b.start + timedelta(days=int(span * first)), b.start + timedelta(days=int(span * last))
    out = []
    for year, month in b.months():
        on = b.on(year, month, dom)
        if weekend:
            on = b.shift(on)
        on += timedelta(days=b.rng.randint(-jitter, jitter))
        if low <= on <= high:
            out.append(on)
    return out


def _bills(b: _Builder, anomalies: float) -> list[tuple[str, list[int]]]:
    rng = b.rng
    out: list[tuple[str, list[int]]] = []
    kinds: list[tuple[str, str, float, float]] = [
        (rng.choice(["APARTMENTS", "PROPERTY MGMT", "RENT PAYMENT"]), "fixed", 900, 2600),
        (rng.choice(["ELECTRIC", "POWER & LIGHT", "ENERGY"]), "season", 45, 160),
        (rng.choice(["NATURAL GAS", "GAS CO"]), "winter", 18, 60),
        (rng.choice(["WATER DISTRICT", "WATER DEPT"]), "usage", 30, 80),
        (rng.choice(["INTERNET", "BROADBAND", "CABLE"]), "fixed", 35, 95),
        (rng.choice(["WIRELESS", "MOBILE"]), rng.choice(["fixed", "usage", "growing"]), 30, 140),
        (rng.choice(["INSURANCE", "MUTUAL INS"]), "fixed", 60, 190),
        (rng.choice(["AUTO LOAN", "STUDENT LOAN", "MORTGAGE"]), "fixed", 150, 600),
    ]
    rng.shuffle(kinds)
    chosen = kinds[: rng.randrange(4, 9)]
    miss = rng.randrange(len(chosen)) if rng.random() < 0.4 * anomalies else -1
    rise = rng.randrange(len(chosen)) if rng.random() < 0.35 * anomalies else -1
    for index, (word, style, low, high) in enumerate(chosen):
        merchant = b.name(word)
        base = rng.uniform(low, high) * b.scale
        if style == "fixed" and rng.random() < 0.4:
            base = round(base)
        days = _series_days(b, rng.randrange(1, 32), rng.choice([0, 0, 1, 2]), weekend=rng.random() < 0.6)
        skip = rng.randrange(5, len(days) - 2) if index == miss and len(days) > 9 else -1
        if skip >= 0:
            b.truth("missed_bill", [], days[skip], 7, f"{word} {style}")
        step_at = None
        factor = 1.0
        if index == rise and style == "fixed" and index != miss and len(days) > 10:
            step_at, factor = rng.randrange(5, len(days) - 3), rng.uniform(1.13, 1.5)
        elif style == "fixed" and rng.random() < 0.4:
            step_at, factor = rng.randrange(3, len(days)), rng.uniform(1.01, 1.085)
            b.traps.append("small step")
        renamed = merchant if rng.random() > 0.15 else b.name(word)
        rename_at = rng.randrange(4, max(5, len(days) - 4))
        if renamed != merchant:
            b.traps.append("renamed bill")
        rows = []
        for i, on in enumerate(days):
            amount = base
            if style == "season":
                amount *= (
                    1
                    + 0.55 * (1 if on.month in (1, 2, 7, 8) else -0.3 if on.month in (4, 5, 10) else 0.2)
                    + rng.uniform(-0.12, 0.12)
                )
            elif style == "winter":
                amount *= {12: 3.2, 1: 3.6, 2: 3.3, 3: 2.2, 11: 2.0, 4: 1.5, 10: 1.2}.get(on.month, 0.8) * rng.uniform(
                    0.85, 1.15
                )
            elif style == "usage":
                amount *= rng.uniform(0.75, 1.35)
            elif style == "growing":
                amount *= (1 + rng.uniform(0.008, 0.012)) ** i
            if step_at is not None and i >= step_at:
                amount *= factor
            if i == skip:
                continue
            row = b.add(on, renamed if i >= rename_at else merchant, -amount, "chk")
            rows.append(row)
            if step_at is not None and i == step_at and factor > 1.1:
                b.truth("price_rise", [row], on, 3, f"{word} {factor:.2f}")
        if (style == "fixed" and renamed == merchant) or renamed == merchant:
            out.append((merchant, rows))
    if rng.random() < 0.4:
        tax = b.name("COUNTY PROPERTY TAX")
        amount = rng.uniform(700, 2500) * b.scale
        for year, month in b.months():
            if month in (4, 12):
                b.add(b.on(year, month, 10), tax, -amount)
    return out


def _subscriptions(b: _Builder, anomalies: float) -> None:
    rng = b.rng
    words = [
        "STREAMING",
        "MUSIC",
        "FITNESS CLUB",
        "CLOUD STORAGE",
        "NEWS",
        "MEAL BOX",
        "SOFTWARE",
        "GAMING",
        "AUDIO BOOKS",
        "VPN",
        "MAGAZINE",
    ]
    rng.shuffle(words)
    count = rng.randrange(3, 8)
    rises = set(rng.sample(range(count), k=min(count, _some(rng, 0.5 * anomalies))))
    for index, word in enumerate(words[:count]):
        merchant = b.name(word)
        price = Decimal(
            rng.choice(["4.99", "7.99", "9.99", "11.99", "14.99", "15.49", "17.99", "22.99", "29.00", "39.99", "54.99"])
        )
        account = rng.choice(["chk", "card", "card"])
        wobble = rng.random() < 0.12
        ends = rng.random() < 0.2 and index not in rises
        last = rng.uniform(0.3, 0.97) if ends else 1.0
        days = _series_days(b, rng.randrange(1, 32), rng.choice([0, 0, 0, 1]), weekend=rng.random() < 0.2, last=last)
        if ends:
            b.traps.append("ended subscription")
        at = rng.randrange(5, len(days) - 2) if index in rises and len(days) > 9 and not wobble else None
        factor = Decimal(str(round(rng.uniform(1.13, 1.45), 2)))
        renamed = merchant if rng.random() > 0.12 else b.name(word)
        rename_at = len(days) // 2
        if wobble:
            b.traps.append("exchange-rate wobble")
        for i, on in enumerate(days):
            charged = price * factor if at is not None and i >= at else price
            value = -float(charged) * (rng.uniform(0.97, 1.03) if wobble else 1)
            row = b.add(on, renamed if i >= rename_at else merchant, value, account)
            if at is not None and i == at:
                b.truth("price_rise", [row], on, 3, word)
    for _ in range(_some(rng, 0.7 * anomalies)):
        merchant = b.name(rng.choice(["MEMBERSHIP", "PLUS", "CLUB", "PREMIUM", "SERVICES", "APP"]))
        price = Decimal(rng.choice(["3.99", "6.99", "12.99", "19.99", "24.95", "49.00"]))
        days = _series_days(
            b,
            rng.randrange(1, 29),
            rng.choice([0, 0, 1]),
            weekend=False,
            first=rng.uniform(0.25, 0.8),
            last=rng.choice([1.0, 1.0, 0.95]),
        )
        if len(days) >= 3:
            rows = [b.add(on, merchant, -price, "card") for on in days]
            b.truth("new_recurring", rows, days[0], 95)
    if rng.random() < 0.4:
        merchant = b.name("ANNUAL MEMBERSHIP")
        on = b.day()
        amount = rng.uniform(40, 140)
        for years in (-1, 0, 1):
            b.add(b.on(on.year + years, on.month, on.day), merchant, -amount, "card")


def _some(rng: random.Random, mean: float) -> int:
    whole = int(mean)
    return whole + (rng.random() < mean - whole)


def _everyday(b: _Builder) -> list[tuple[str, list[int], str]]:
    """Habits: groceries, coffee twice a day, transit taps, fuel, restaurants, a shop with everything from 5 to 500."""
    rng = b.rng
    span = (b.end - b.start).days
    out: list[tuple[str, list[int], str]] = []

    def visits(
        merchant: str,
        per_week: float,
        amount: Callable[[date], float],
        account: str,
        tag: str,
        first: float = 0.0,
        last: float = 1.0,
    ) -> None:
        rows = []
        on = b.start + timedelta(days=int(span * first)) + timedelta(days=rng.expovariate(per_week / 7))
        while on <= b.start + timedelta(days=int(span * last)):
            value = amount(on)
            rows.append(b.add(on, merchant, -value, account))
            on += timedelta(
                days=max(1, round(rng.expovariate(per_week / 7))) if per_week < 5 else 1 if rng.random() < 0.8 else 2
            )
        out.append((merchant, rows, tag))

    def lognormal(mid: float, sigma: float) -> Callable[[date], float]:
        def value(on: date) -> float:
            december = 1.25 if on.month == 12 else 1.0
            return mid * b.scale * december * rng.lognormvariate(0, sigma)

        return value

    for _ in range(rng.randrange(1, 4)):
        visits(
            b.name(rng.choice(["MARKET", "GROCERY", "FOODS"])),
            rng.uniform(0.4, 1.6),
            lognormal(rng.uniform(30, 80), rng.uniform(0.3, 0.6)),
            rng.choice(["chk", "card"]),
            "grocery",
        )
    for _ in range(rng.randrange(2, 6)):
        visits(
            b.name(rng.choice(["GRILL", "TACOS", "SUSHI", "PIZZA", "DINER", "THAI"])),
            rng.uniform(0.1, 0.5),
            lognormal(rng.uniform(14, 40), 0.35),
            "card",
            "restaurant",
        )
    visits(
        b.name(rng.choice(["FUEL", "GAS STATION", "PETROLEUM"])),
        rng.uniform(0.4, 1.2),
        lognormal(38, 0.22),
        "card",
        "fuel",
    )
    visits(b.name("MEGASTORE"), rng.uniform(0.5, 1.4), lognormal(28, rng.uniform(0.8, 1.1)), "card", "wide")
    visits(b.name("PHARMACY"), rng.uniform(0.1, 0.4), lognormal(17, 0.6), "card", "pharmacy")
    if rng.random() < 0.7:
        prices = [rng.choice([3.25, 3.75, 4.5, 4.95, 5.25]) for _ in range(rng.randrange(1, 4))]
        cafe = b.name("COFFEE")
        rows = []
        often = rng.uniform(0.25, 0.9)
        twice = rng.uniform(0.1, 0.6)
        for day in range(span):
            on = b.start + timedelta(days=day)
            if rng.random() < often:
                rows.append(b.add(on, cafe, -rng.choice(prices), "card"))
                if rng.random() < twice:
                    rows.append(b.add(on, cafe, -rng.choice(prices), "card"))
        out.append((cafe, rows, "coffee"))
        b.traps.append("coffee twice a day")
    if rng.random() < 0.6:
        transit = b.name("TRANSIT")
        fare = rng.choice([2.5, 2.75, 2.9])
        for day in range(span):
            on = b.start + timedelta(days=day)
            if on.weekday() < 5 and rng.random() < 0.6:
                for _ in range(rng.choice([1, 2, 2, 3])):
                    b.add(on, transit, -fare, "card")
        b.traps.append("transit taps")
    if rng.random() < 0.5:
        visits(b.name("BARBER"), 0.25, lambda _: 32, "card", "barber")
    if rng.random() < 0.5:
        visits(b.name("CINEMA"), 0.3, lambda _: rng.choice([13.5, 27.0, 16.5]), "card", "cinema")
    if rng.random() < 0.4:
        visits(b.name("LUNCH BAR"), 2.5, lambda _: rng.choice([9.5, 10.5, 11.0, 12.75]), "card", "lunch")
    if rng.random() < 0.4:
        visits(b.name("PARKING"), 1.2, lambda _: rng.choice([4, 6, 8, 12]), "card", "parking")
    for _ in range(rng.randrange(0, 3)):
        visits(
            b.name(rng.choice(["BAKERY", "GRILL", "HARDWARE"])),
            rng.uniform(0.2, 0.8),
            lognormal(20, 0.5),
            "card",
            "moved",
            *rng.choice([(0.4, 1.0), (0.0, 0.6)]),
        )
    return out


def _one_offs(b: _Builder) -> None:
    rng = b.rng
    kinds = [
        "BOOKS",
        "BOUTIQUE",
        "HARDWARE",
        "BISTRO",
        "CAFE",
        "TOYS",
        "SHOES",
        "GARDEN",
        "SALON",
        "CLINIC",
        "BAR",
        "GIFTS",
        "ELECTRONICS",
        "SPORTS",
        "FLORIST",
        "AUTO REPAIR",
        "DENTAL",
        "VET",
    ]
    for _ in range(rng.randrange(25, 90)):
        on = b.day()
        merchant = b.name(rng.choice(kinds))
        for _ in range(rng.choice([1, 1, 1, 2, 3])):
            b.add(on, merchant, -min(rng.lognormvariate(3.5, 0.75), 330) * b.scale, rng.choice(["card", "card", "chk"]))
            on = on + timedelta(days=rng.randrange(5, 120))
    for year in sorted({y for y, _ in b.months()}):
        for _ in range(rng.randrange(4, 14)):
            b.add(
                date(year, 12, rng.randrange(1, 25)),
                b.name(rng.choice(["GIFTS", "TOYS", "BOUTIQUE", "JEWELRY", "ELECTRONICS"])),
                -min(rng.lognormvariate(4.0, 0.6), 330) * b.scale,
                "card",
            )


def _travel(b: _Builder) -> None:
    rng = b.rng
    for _ in range(rng.randrange(0, 4)):
        on = b.between(0.05, 0.97)
        b.add(on - timedelta(days=rng.randrange(10, 40)), b.name("AIRLINES"), -rng.uniform(150, 650) * b.scale, "card")
        hotel = b.name(rng.choice(["HOTEL", "INN", "RESORT"]))
        nights = rng.randrange(2, 8)
        b.add(on + timedelta(days=nights), hotel, -rng.uniform(90, 180) * nights * b.scale, "card")
        for day in range(nights):
            for _ in range(rng.randrange(1, 5)):
                b.add(
                    on + timedelta(days=day),
                    b.name(
                        rng.choice(["CAFE", "BISTRO", "MUSEUM", "TAXI", "BAR", "GELATO", "MARKET", "METRO", "TOURS"])
                    ),
                    -rng.lognormvariate(2.9, 0.8) * b.scale,
                    "card",
                )
        b.traps.append("travel burst")


def _transfers(b: _Builder) -> None:
    rng = b.rng
    dom = rng.randrange(1, 29)
    save = round(rng.uniform(100, 600), -1)
    for year, month in b.months():
        on = b.on(year, month, dom)
        if rng.random() < 0.9:
            b.add(on, "ONLINE TRANSFER TO SAVINGS", -save, "chk", plain=True, other="sav")
            b.add(on, "ONLINE TRANSFER FROM CHECKING", save, "sav", plain=True, other="chk")
        paid = rng.uniform(500, 2500) * b.scale
        due = b.on(year, month, 22)
        b.add(due, "CREDIT CARD PAYMENT AUTOPAY", -paid, "chk", plain=True, other="card")
        b.add(due, "PAYMENT THANK YOU", paid, "card", plain=True, other="chk")
    for _ in range(rng.randrange(0, 20)):
        b.add(b.day(), "ATM WITHDRAWAL", -rng.choice([40, 60, 80, 100]), "chk", plain=True)
    for _ in range(rng.randrange(0, 25)):
        b.add(
            b.day(), f"ZELLE TO {rng.choice(['ANNA', 'RAJ', 'LEE', 'MARIA'])}", -rng.uniform(10, 250), "chk", plain=True
        )


def _refunds(b: _Builder, regulars: list[tuple[str, list[int], str]]) -> None:
    rng = b.rng
    pool = [(merchant, rows) for merchant, rows, tag in regulars if tag in ("wide", "grocery") and rows]
    for _ in range(rng.randrange(2, 9)):
        merchant, rows = rng.choice(pool)
        on, account, amount, *_ = b.rows[rng.choice(rows)]
        b.add(on + timedelta(days=rng.randrange(2, 20)), merchant, -amount, account)
    for _ in range(rng.randrange(0, 3)):
        merchant, on, price = b.name("OUTFITTERS"), b.day(), rng.uniform(40, 200)
        b.add(on, merchant, -price, "card")
        b.add(on + timedelta(days=1), merchant, price, "card")
        b.add(on + timedelta(days=1), merchant, -price, "card")
        b.traps.append("purchase, refund, purchase")


def _plant_purchases(
    b: _Builder, regulars: list[tuple[str, list[int], str]], bills: list[tuple[str, list[int]]], anomalies: float
) -> None:
    rng = b.rng
    for _ in range(_some(rng, 1.6 * anomalies)):
        pool = [
            (m, rows)
            for m, rows, tag in regulars
            if tag in ("grocery", "restaurant", "fuel", "wide", "pharmacy", "moved") and len(rows) > 6
        ]
        pool += [(m, rows) for m, rows in bills if len(rows) > 6]
        merchant, rows = rng.choice(pool)
        row = rng.choice(rows[2:])
        on, account, amount, *_ = b.rows[row]
        copy = b.add(on + timedelta(days=rng.choice([0, 0, 1, 1, 2])), merchant, amount, account)
        b.truth("duplicate_charge", [row, copy], on, 3, merchant)
    used: set[str] = set()
    for _ in range(_some(rng, 1.3 * anomalies)):
        pool = [
            (m, rows)
            for m, rows, tag in regulars
            if tag in ("grocery", "restaurant", "fuel", "coffee", "pharmacy", "lunch")
            and len(rows) > 14
            and m not in used
        ]
        pool += [(m, rows) for m, rows in bills if len(rows) > 10 and m not in used]
        if not pool:
            break
        merchant, rows = rng.choice(pool)
        used.add(merchant)
        highest = max(-float(b.rows[r][2]) for r in rows)
        row = rng.choice(rows[8:])
        on, account, *_ = b.rows[row]
        value = max(highest * rng.uniform(3, 9), 40 * b.scale)
        index = b.add(on, merchant, -value, account)
        if merchant in {m for m, _ in bills}:
            b.rows[row] = (on, account, Decimal(f"{-value:.2f}"), b.rows[row][3], b.rows[row][4], None, None)
            b.rows[index] = (date(1, 1, 1), *b.rows[index][1:])
            index = row
        b.truth("amount_outlier", [index], on, 1, merchant)
    for _ in range(_some(rng, 1.2 * anomalies)):
        on = b.between(0.2, 1.0)
        merchant = b.name(
            rng.choice(
                [
                    "JEWELERS",
                    "ELECTRONICS",
                    "MARINE",
                    "WATCHES",
                    "FURNITURE",
                    "CAMERA",
                    "IMPORTS",
                    "GLOBAL TRADING",
                    "AUDIO",
                    "LUXURY GOODS",
                ]
            )
        )
        index = b.add(on, merchant, -rng.uniform(900, 4200) * b.scale, rng.choice(["card", "chk"]))
        b.truth("first_time_large", [index], on, 1, merchant)
    for _ in range(_some(rng, 0.5 * anomalies)):
        on = b.between(0.2, 0.98)
        rows = []
        for _ in range(rng.randrange(5, 12)):
            merchant = b.name(rng.choice(["ONLINE", "DIGITAL", "SHOP", "APPS", "MEDIA", "STORE", "GIVING"]))
            rows.append(
                b.add(
                    on + timedelta(days=rng.choice([0, 0, 1, 1, 2])), merchant, -round(rng.uniform(0.5, 2.4), 2), "card"
                )
            )
        b.truth("card_testing", rows, on, 3)


@dataclass
class Score:
    """Counts over many households."""

    found: int = 0
    true: int = 0
    planted: int = 0
    recalled: int = 0
    years: float = 0.0
    by_kind: dict[str, list[int]] = field(default_factory=dict)
    misses: list[str] = field(default_factory=list)
    false_alarms: list[str] = field(default_factory=list)

    @property
    def precision(self) -> float:
        return self.true / self.found if self.found else 1.0

    @property
    def recall(self) -> float:
        return self.recalled / self.planted if self.planted else 1.0

    @property
    def false_per_year(self) -> float:
        return (self.found - self.true) / self.years if self.years else 0.0


def judge(score: Score, household: SimulatedHousehold, findings: list[Finding]) -> None:
    """Adds one household's result. A finding is right where kind agrees, its rows are planted ones (at least half of
    them) or, for an absent row, its day is near; each planted anomaly is matched once."""
    open_truths = list(household.truths)
    by_id = {t.transaction_id: t for t in household.transactions}
    score.years += household.months / 12
    score.planted += len(open_truths)
    for truth in open_truths:
        score.by_kind.setdefault(truth.kind, [0, 0, 0])[0] += 1
    for finding in findings:
        score.found += 1
        match = next((t for t in open_truths if names_truth(t, finding)), None)
        counts = score.by_kind.setdefault(finding.kind, [0, 0, 0])
        if match is None:
            counts[2] += 1
            shown = "; ".join(
                f"{by_id[i].posted_on} {by_id[i].amount} {by_id[i].description}" for i in finding.transaction_ids[:3]
            )
            score.false_alarms.append(
                f"{household.seed} {finding.kind} {finding.date} | {finding.explanation} | {shown}"
            )
        else:
            open_truths.remove(match)
            score.true += 1
            score.recalled += 1
            counts[1] += 1
    for truth in open_truths:
        shown = "; ".join(
            f"{by_id[i].posted_on} {by_id[i].amount} {by_id[i].description}" for i in sorted(truth.ids)[:3]
        )
        score.misses.append(f"{household.seed} {truth.kind} {truth.on} {truth.note} | {shown}")


def names_truth(truth: Truth, finding: Finding) -> bool:
    """Whether the finding is of the planted kind, about its day, and names mostly its rows."""
    if truth.kind != finding.kind or abs((finding.date - truth.on).days) > truth.days:
        return False
    if not truth.ids:
        return True
    named = set(finding.transaction_ids)
    return len(named & truth.ids) * 2 >= len(named) and bool(named)
