"""Findings about single charges: duplicates, amounts out of all range, large first charges, bursts of tiny ones."""

from __future__ import annotations

import heapq
import math
from bisect import bisect_left, bisect_right, insort
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from itertools import pairwise
from typing import Final

from mosaic_core.computing import unless_stopped
from mosaic_core.domain.transactions import Finding, FindingKind
from mosaic_core.ledger.anomalies.ledgerview import (
    Evident,
    LedgerView,
    grouped,
    is_one_off,
    is_payment,
    is_purchase,
    money,
    short,
)
from mosaic_core.ledger.anomalies.ordered import RunningMedian, Without, has_near, quantile, robust_spread
from mosaic_core.ledger.recurring import Series
from mosaic_core.ledger.rows import Row

_DUPLICATE_WITHIN: Final = 2
_REFUND_WITHIN: Final = 12
_HABITS: Final = 3
"""More groups of equal amounts in quick succession than these are how one pays there, whatever else is bought."""

_WARM_UP: Final = 45
_YOUNG: Final = 150
_YOUNG_MARGIN: Final = 0.5
_SMALL_CHANGE: Final = 0.35
_SMALL_HABITS: Final = frozenset({"TRANSPORTATION", "FOOD_AND_DRINK", "ENTERTAINMENT"})
_USUAL_SPREAD: Final = 0.45
_WIDE_SPREAD: Final = 0.8
_WIDE_RANGE: Final = frozenset({"GENERAL_MERCHANDISE"})
_PRIOR_CHARGES: Final = 5
_TINY: Final = 0.13
_SERIOUS: Final = 20
"""From so many everyday purchases on, money charged by mistake is an error that should not wait."""


def duplicate_charges(view: LedgerView) -> Iterator[Evident]:
    """Same account, merchant, amount within two days, where that is no habit there and nothing was refunded."""
    for key in unless_stopped(sorted(view.merchants)):
        rows = view.merchants[key]
        if key[2] or len(rows) < 2 or not is_payment(rows[0]):
            continue
        clusters = [cluster for part in grouped(rows).values() for cluster in _same_amount_clusters(part)]
        if len(clusters) > _HABITS:
            continue
        refunds = view.merchants.get((key[0], key[1], True), [])
        for cluster in clusters:
            if not is_payment(cluster[0]) or len(cluster) > 3:
                continue
            if _has_habit(view, rows, cluster, clusters) or _refunded(cluster, refunds):
                continue
            first, last = cluster[0], cluster[-1]
            mine = {c.tx_id for c in cluster}
            others = [c for c in rows if c.tx_id not in mine]
            yield Evident(
                finding=Finding(
                    kind=FindingKind.DUPLICATE_CHARGE,
                    transaction_ids=tuple(sorted(c.tx_id for c in cluster)),
                    date=last.tx.posted_on,
                    severity="Error"
                    if key[1] == view.currency and first.magnitude >= _SERIOUS * view.unit
                    else "Warning",
                    explanation=(
                        f"{short(first.name)} charged {money(first.magnitude, key[1])} {_times(len(cluster))} "
                        f"within {_span(last.ordinal - first.ordinal)}; "
                        f"{_apart_from(others, len(clusters) - 1, key[1])}."
                    ),
                    confidence=0.9 if len(others) >= 3 else 0.75,
                    anchor=first.tx_id,
                ),
                evident_day=last.ordinal,
            )


def _apart_from(others: Sequence[Row], pairs: int, currency: str) -> str:
    if not others:
        return "nothing else was bought there, so one charge was to be expected"
    told = "its one other charge was" if len(others) == 1 else f"its {len(others)} other charges were"
    alike = "once" if pairs == 1 else _times(pairs) if pairs else "never"
    return f"{told} {_reach(others, currency)}, {alike} two alike within two days"


def _reach(charges: Sequence[Row], currency: str) -> str:
    low, high = min(c.magnitude for c in charges), max(c.magnitude for c in charges)
    return money(low, currency) if low == high else f"between {money(low, currency)} and {money(high, currency)}"


def _times(count: int) -> str:
    return "twice" if count == 2 else f"{count} times"


def _span(days: int) -> str:
    return "one day" if days <= 1 else f"{days} days"


def _same_amount_clusters(rows: Sequence[Row]) -> list[list[Row]]:
    by_amount: dict[float, list[Row]] = defaultdict(list)
    for row in rows:
        by_amount[row.magnitude].append(row)
    clusters: list[list[Row]] = []
    for amount in sorted(by_amount):
        current: list[Row] = []
        for row in by_amount[amount]:
            if current and row.ordinal - current[-1].ordinal > _DUPLICATE_WITHIN:
                if len(current) > 1:
                    clusters.append(current)
                current = []
            current.append(row)
        if len(current) > 1:
            clusters.append(current)
    return clusters


def _has_habit(
    view: LedgerView, rows: Sequence[Row], cluster: Sequence[Row], clusters: Sequence[Sequence[Row]]
) -> bool:
    """Whether equal amounts in quick succession are ordinary at this merchant.

    Counted on the merchant's other rows: how often a visit follows another within two days, times how often two visits
    cost the same, is the number of such coincidences to expect.
    """
    mine = {c.tx_id for c in cluster}
    rest = [c for c in rows if c.tx_id not in mine]
    others = len(clusters) - 1
    small = cluster[0].magnitude <= 0.6 * view.unit and cluster[0].usual_category in _SMALL_HABITS
    paired = sum(len(other) for other in clusters) - len(cluster)
    if others >= _HABITS or (others >= 2 and len(rest) < 60) or (others and paired * 2 > len(rest)):
        return True
    if len(rest) < 4:
        return small and cluster[0].magnitude <= _SMALL_CHANGE * view.unit
    if not small and sum(c.tx_id in view.in_series for c in rest) >= 0.7 * len(rest):
        # What comes when it is due comes once, even where it was charged twice before.
        return False
    counts = Counter(c.magnitude for c in rest)
    total = len(rest) + 1
    counts[cluster[0].magnitude] += 1
    same = sum(n * (n - 1) for n in counts.values()) / (total * (total - 1))
    gaps = [b.ordinal - a.ordinal for a, b in pairwise(rest)]
    quick = float(sum(gap <= _DUPLICATE_WITHIN for gap in gaps))
    if min(gaps) <= 6:
        # Visits at random: some fall close together even where none has so far.
        span = max(1, rest[-1].ordinal - rest[0].ordinal)
        quick = max(quick, len(rest) * (1 - math.exp(-(_DUPLICATE_WITHIN + 0.5) * len(rest) / span)))
    return quick * same >= (0.25 if small else 0.5)


def _refunded(cluster: Sequence[Row], refunds: Sequence[Row]) -> bool:
    first, last = cluster[0].ordinal, cluster[-1].ordinal
    return any(r.magnitude == cluster[0].magnitude and first <= r.ordinal <= last + _REFUND_WITHIN for r in refunds)


def amount_outliers(view: LedgerView) -> Iterator[Evident]:
    """A charge far above all that a merchant with a history ever charged."""
    for key in unless_stopped(sorted(view.merchants)):
        rows = view.merchants[key]
        if key[2] or len(rows) < 6 or not is_payment(rows[-1]):
            continue
        for row, others in _tops(rows):
            if not is_payment(row):
                continue
            centre, spread = robust_spread([c.log for c in others], 0.12)
            highest = others[-1].log
            count = len(others)
            regular = view.in_series.issuperset(c.tx_id for c in others)
            if not regular:
                spread = _spread_so_far(spread, count, row.usual_category)
            score = (row.log - centre) / spread
            gap = row.log - highest
            # The largest of n values of a wide-range merchant stands off the rest by chance; the more so the wider.
            by_chance = max(3.2 * spread / math.sqrt(2 * math.log(count + 1)), 2.6 * _tail([c.log for c in others]))
            if not regular:
                # Few charges have not shown yet how far they reach.
                by_chance *= 1 + 3 / count
            needed = max(math.log(1.8), by_chance)
            if len(rows) - count > 1 and spread > 0.6:
                # What happens twice at a shop that sells everything is the less out of the ordinary.
                needed *= 1.25
            if _seasonal_bill(others) and count < 13:
                needed = max(needed, math.log(2.5))
            earlier = [c for c in others if c.ordinal <= row.ordinal]
            if regular and count >= 12:
                # A bill that follows the seasons: its range is wide, its moves from one to the next are not.
                moves = sorted(b.log - a.log for a, b in pairwise(sorted(others, key=lambda c: c.ordinal)))
                _, move = robust_spread(moves, 0.12)
                by_season = gap >= max(math.log(2.5), 3 * move)
            else:
                by_season = False
            beyond = (
                by_season
                or (score >= 4.0 and gap >= needed)
                or (score >= 2.8 and gap >= max(math.log(2.5), 1.5 * needed))
            )
            if not beyond or len(earlier) < 4:
                continue
            if row.tx.currency == view.currency and row.magnitude < 0.8 * view.unit:
                continue
            yield Evident(
                finding=Finding(
                    kind=FindingKind.AMOUNT_OUTLIER,
                    transaction_ids=(row.tx_id,),
                    date=row.tx.posted_on,
                    severity="Error" if gap > math.log(10) and row.magnitude > _SERIOUS * view.unit else "Warning",
                    explanation=(
                        f"{short(row.name)} charged {money(row.magnitude, key[1])}; "
                        f"its other {count} charges were {_reach(others, key[1])}."
                    ),
                    confidence=round(min(0.97, 0.7 + 0.05 * (gap / needed)), 2),
                ),
                evident_day=row.ordinal,
            )


def _spread_so_far(seen: float, count: int, category: str) -> float:
    """The spread to reckon with when only ``count`` charges are known: what was seen, and what is usual elsewhere."""
    usual = _WIDE_SPREAD if category in _WIDE_RANGE else _USUAL_SPREAD
    return math.sqrt((count * seen**2 + _PRIOR_CHARGES * usual**2) / (count + _PRIOR_CHARGES))


def _tail(ordered: Sequence[float]) -> float:
    """How far the upper quarter reaches beyond its quartile, on average: much where a merchant sells everything."""
    if len(ordered) < 12:
        return 0.0
    quartile = quantile(ordered, 0.75)
    beyond = [value - quartile for value in ordered if value > quartile]
    return sum(beyond) / len(beyond) if beyond else 0.0


def _tops(rows: Sequence[Row]) -> Iterator[tuple[Row, list[Row]]]:
    """The charges that may be out of range, each with the rows it is compared with (sorted by amount): the highest, and
    with a long history the second and third highest too, where they stand off together."""
    ordered = sorted(rows, key=lambda c: (c.log, c.ordinal, c.tx_id))
    most = 3 if len(ordered) >= 20 else 2 if len(ordered) >= 10 else 1
    for top in range(most, 0, -1):
        base, heads = ordered[:-top], ordered[-top:]
        if heads[0].log - base[-1].log >= math.log(1.8) and (top == 1 or heads[0].magnitude != heads[-1].magnitude):
            for head in heads:
                yield head, base
            return


def _seasonal_bill(rows: Sequence[Row]) -> bool:
    return sum(c.usual_category == "RENT_AND_UTILITIES" for c in rows) * 2 > len(rows)


def first_time_large(view: LedgerView) -> Iterator[Evident]:
    """The first charge ever at a merchant, large in itself and against the household's one-off purchases."""
    firsts: list[Row] = []
    for key in sorted(view.merchants):
        rows = view.merchants[key]
        if not key[2] and key[1] == view.currency and is_one_off(rows[0]):
            firsts.append(rows[0])
    firsts.sort(key=lambda c: (c.ordinal, c.tx_id))
    comparable = [c for c in firsts if c.tx_id not in view.in_series]
    apart = view.in_series | {c.tx_id for c in firsts}
    everyday = sorted(
        c.log
        for c in view.rows
        if is_purchase(c) and c.tx.currency == view.currency and c.usual_category != "TRAVEL" and c.tx_id not in apart
    )
    days = [c.ordinal for c in comparable]
    alike = sorted(c.log for c in comparable if c.usual_category != "TRAVEL")
    everything = sorted(alike + everyday)
    names, absences = _Names(view), _Absences(view.series)
    for row in unless_stopped(comparable):
        if row.ordinal < view.known_since(row) + _WARM_UP or row.usual_category == "GOVERNMENT_AND_NON_PROFIT":
            continue
        own = int(row.usual_category != "TRAVEL")
        compared = alike
        if len(alike) - own < 12:
            # A household that hardly ever buys anywhere new is compared with all that it buys.
            compared = everything
            own += bisect_right(everyday, row.log) - bisect_left(everyday, row.log)
        count = len(compared) - own
        if count < 12:
            continue
        place = bisect_left(compared, row.log)
        # Other purchases of this kind are what is looked for, not what it is compared with.
        rest = Without(compared, place, place + own, count - min(3, max(1, count // 10)))
        centre, spread = robust_spread(rest, 0.5)
        limit = max(
            min(centre + 2.8 * spread, rest[-1] + math.log(2.4)),
            quantile(everyday, 0.985) + 0.25 if len(everyday) >= 30 else 0.0,
            quantile(rest, 0.97) + 0.6,
            math.log(9 * view.unit),
        )
        crowd = bisect_right(days, row.ordinal + 6) - bisect_left(days, row.ordinal - 6) - 1
        if row.usual_category == "TRAVEL":
            # Hotels and flights are large by nature: only far beyond any trip, and not in the midst of one.
            limit += 2.0 if crowd >= 3 else 1.1
        elif crowd >= 4:
            limit += 0.4
        elif row.tx.posted_on.month == 12 or (row.tx.posted_on.month == 11 and row.tx.posted_on.day >= 20):
            limit += 0.2
        # In its first months a ledger has not yet shown how much the household spends at once.
        limit += _YOUNG_MARGIN * max(0.0, 1 - (view.horizon - view.known_since(row)) / _YOUNG)
        if (
            row.log < limit
            or names.known(row)
            or _regular_later(view, row)
            or absences.filled_by(row)
            or _paid_back(view, row)
        ):
            continue
        usual = math.exp(quantile(rest, 0.95))
        yield Evident(
            finding=Finding(
                kind=FindingKind.FIRST_TIME_LARGE,
                transaction_ids=(row.tx_id,),
                date=row.tx.posted_on,
                severity="Error" if row.log > limit + math.log(6) else "Warning",
                explanation=(
                    f"First charge ever at {short(row.name)}: {money(row.magnitude, view.currency)}; "
                    f"19 of 20 first purchases elsewhere were at most {money(usual, view.currency)}."
                ),
                confidence=round(min(0.95, 0.75 + 0.1 * (row.log - limit)), 2),
            ),
            evident_day=row.ordinal,
        )


class _Names:
    """Merchants by the first two words of their names, with the largest amounts that they charged. Asked by day."""

    def __init__(self, view: LedgerView) -> None:
        self._rows = view.rows
        self._read = 0
        self._largest: dict[tuple[str, ...], list[tuple[float, str]]] = {}

    def known(self, row: Row) -> bool:
        """Whether an earlier merchant, by name only slightly different, already charged amounts of this order."""
        words = _first_words(row)
        if len("".join(words)) < 6:
            return False
        while self._read < len(self._rows) and self._rows[self._read].ordinal < row.ordinal:
            self._learn(self._rows[self._read])
            self._read += 1
        return any(
            merchant != row.merchant and size * 2 >= row.magnitude for size, merchant in self._largest.get(words, ())
        )

    def _learn(self, charge: Row) -> None:
        """The two largest amounts of each name are kept, of two merchants: one of them is another than who asks."""
        if charge.incoming:
            return
        largest = self._largest.setdefault(_first_words(charge), [])
        best = dict[str, float]()
        for size, merchant in [*largest, (charge.magnitude, charge.merchant)]:
            best[merchant] = max(size, best.get(merchant, size))
        largest[:] = sorted(((size, merchant) for merchant, size in best.items()), reverse=True)[:2]


def _first_words(charge: Row) -> tuple[str, ...]:
    return tuple(charge.name.casefold().split()[:2])


def _regular_later(view: LedgerView, row: Row) -> bool:
    """Whether the merchant charged a similar amount again, at least a month later: a bill, not a one-off."""
    later = view.merchants[(row.merchant, row.tx.currency, False)]
    return any(c.ordinal - row.ordinal >= 25 and abs(c.log - row.log) <= 0.3 for c in later)


class _Absences:
    """Series whose next occurrence is absent: on which days it may come under another name, and with what amount. Asked
    by day."""

    def __init__(self, found: Sequence[Series]) -> None:
        self._coming = sorted(
            (absence for series in found if not series.incoming for absence in _absences(series)), reverse=True
        )
        self._ending: list[tuple[int, float, str]] = []
        self._logs: list[float] = []
        self._of_category: dict[str, list[float]] = defaultdict(list)

    def filled_by(self, row: Row) -> bool:
        """Whether the amount is what a series was about to charge whose next occurrence is absent: a renamed
        descriptor."""
        while self._coming and self._coming[-1][0] <= row.ordinal:
            _, last_day, log, category = self._coming.pop()
            heapq.heappush(self._ending, (last_day, log, category))
            insort(self._logs, log)
            insort(self._of_category[category], log)
        while self._ending and self._ending[0][0] < row.ordinal:
            _, log, category = heapq.heappop(self._ending)
            for logs in (self._logs, self._of_category[category]):
                del logs[bisect_left(logs, log)]
        return has_near(self._logs, row.log, 0.02) or has_near(self._of_category[row.usual_category], row.log, 0.12)


def _absences(series: Series) -> Iterator[tuple[int, int, float, str]]:
    """(first day, last day, amount's logarithm, category): after three occurrences or more, where none follows within
    one and a half periods, the days from half a period on to 1.6 of them, up to the next occurrence."""
    rows = series.occurrences
    soon, late = math.ceil(0.5 * series.cadence.days), math.floor(1.6 * series.cadence.days)
    for at in range(2, len(rows)):
        day = rows[at].ordinal
        first, last = day + soon, day + late
        # On the day of an occurrence only what comes after it follows.
        following = [row.ordinal for row in rows[at + 1 : at + 3]]
        if following and following[0] - day > 1.5 * series.cadence.days:
            last = min(last, following[0])
        elif following:
            if len(following) > 1 and following[1] - day <= 1.5 * series.cadence.days:
                continue
            first, last = max(first, following[0]), min(last, following[0])
        if first <= last:
            yield first, last, rows[at].log, rows[at].usual_category


def _paid_back(view: LedgerView, row: Row) -> bool:
    refunds = view.merchants.get((row.merchant, row.tx.currency, True), [])
    return any(r.magnitude >= 0.95 * row.magnitude and 0 <= r.ordinal - row.ordinal <= 45 for r in refunds)


def card_testing(view: LedgerView) -> Iterator[Evident]:
    """Many tiny charges at merchants never seen before, within two days, on one account or on several.

    What is tiny follows from what the household had spent before, which no later row changes.
    """
    first_seen = {row.tx_id for key, rows in view.merchants.items() if not key[2] for row in _first_days(rows)}
    strangers = [
        c
        for c in view.rows
        if c.tx_id in first_seen
        and not c.incoming
        and not c.own_transfer
        and c.tx.currency == view.currency
        and c.ordinal >= view.known_since(c) + 30
    ]
    units = _units_by_month(view, strangers)
    tiny = [c for c in strangers if c.magnitude <= _TINY * units[c.tx.posted_on.replace(day=1)]]
    for burst in _bursts(tiny, strangers):
        merchants = {c.merchant for c in burst}
        yield Evident(
            finding=Finding(
                kind=FindingKind.CARD_TESTING,
                transaction_ids=tuple(sorted(c.tx_id for c in burst)),
                date=burst[0].tx.posted_on,
                severity="Error",
                explanation=(
                    f"{len(burst)} charges of at most {money(max(c.magnitude for c in burst), view.currency)} at "
                    f"{len(merchants)} merchants never seen before in {_span(burst[-1].ordinal - burst[0].ordinal)}; "
                    f"a usual purchase is {money(view.unit, view.currency)}."
                ),
                confidence=0.9,
                anchor=burst[0].tx_id,
            ),
            evident_day=burst[-1].ordinal,
        )


def _bursts(tiny: Sequence[Row], strangers: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """Four tiny charges or more at three merchants or more, from the first of them over two days; at least half of what
    is new on their accounts in those days and two around them. Both sequences by day."""
    days = [c.ordinal for c in tiny]
    on_account: dict[str, list[int]] = defaultdict(list)
    for c in strangers:
        on_account[c.tx.account_id].append(c.ordinal)
    index = 0
    while index < len(tiny):
        day, end = days[index], bisect_right(days, days[index] + 2)
        begin = None
        accounts, merchants, around = set[str](), set[str](), 0
        # from the end, so that each row is counted in once for each day that a burst may begin on
        for at in range(end - 1, index - 1, -1):
            account = tiny[at].tx.account_id
            merchants.add(tiny[at].merchant)
            if account not in accounts:
                accounts.add(account)
                known = on_account[account]
                around += bisect_right(known, days[end - 1] + 2) - bisect_left(known, day - 2)
            if days[at] == day and end - at >= 4 and len(merchants) >= 3 and (end - at) * 2 >= around:
                begin = at
        if begin is None:
            index = bisect_right(days, day)
        else:
            yield tiny[begin:end]
            index = end


def _units_by_month(view: LedgerView, rows: Sequence[Row]) -> Mapping[date, float]:
    """The everyday purchase as it was known when each of the rows' months (by its first day) began, or by the first
    purchase of all."""
    bought = [c for c in view.rows if is_purchase(c) and c.tx.currency == view.currency]
    units: dict[date, float] = {}
    visited: dict[str, RunningMedian] = defaultdict(RunningMedian)
    everyday = RunningMedian()
    read = 0
    for month in unless_stopped(sorted({row.tx.posted_on.replace(day=1) for row in rows})):
        while read < len(bought) and (not read or bought[read].tx.posted_on < month):
            sizes = visited[bought[read].merchant]
            if len(sizes):
                everyday.remove(sizes.value())
            sizes.add(bought[read].magnitude)
            everyday.add(sizes.value())
            read += 1
        units[month] = everyday.value() if read else view.unit
    return units


def _first_days(rows: Sequence[Row]) -> list[Row]:
    """The merchant's first charge, and those within the two days after it."""
    return [c for c in rows if c.ordinal - rows[0].ordinal <= 2]
