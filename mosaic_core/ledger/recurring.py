"""Recurring series in a ledger: pay, rent, bills and subscriptions, told from habits by their rhythm. Pure.

Dates are compared in two clocks: days for weekly rhythms, and months (a month is 1, whatever its length) for monthly
ones, so that the 31st, February and a weekend's shift stay small deviations instead of becoming other rhythms.
"""

from __future__ import annotations

import calendar
import heapq
import itertools
from bisect import insort
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from mosaic_core.computing import unless_stopped
from mosaic_core.ledger.rows import Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Cadence:
    """A rhythm: its period in days, the same on its own clock, and how late an occurrence may be (days)."""

    name: str
    days: float
    step: float
    monthly: bool
    tolerance: float
    grace: int


CADENCES: Final = (
    Cadence(name="weekly", days=7, step=7, monthly=False, tolerance=0.29, grace=4),
    Cadence(name="every two weeks", days=14, step=14, monthly=False, tolerance=0.25, grace=5),
    Cadence(name="twice a month", days=15.2, step=0.5, monthly=True, tolerance=0.25, grace=5),
    Cadence(name="every four weeks", days=28, step=28, monthly=False, tolerance=0.11, grace=8),
    Cadence(name="monthly", days=30.4, step=1.0, monthly=True, tolerance=0.3, grace=9),
    Cadence(name="every two months", days=60.9, step=2.0, monthly=True, tolerance=0.16, grace=14),
    Cadence(name="quarterly", days=91.3, step=3.0, monthly=True, tolerance=0.14, grace=18),
    Cadence(name="twice a year", days=182.6, step=6.0, monthly=True, tolerance=0.1, grace=25),
    Cadence(name="yearly", days=365.2, step=12.0, monthly=True, tolerance=0.06, grace=30),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Occurrences of one recurring payment or income, oldest first; ``merchants`` has several where it was renamed.

    ``occurrences`` holds one row per occurrence (a double charge within two days is one); ``steps`` says for each gap
    how many periods it spans (1 = none absent). ``regularity`` is the share of gaps that span exactly one period,
    ``jitter`` the typical deviation in days.
    """

    cadence: Cadence
    occurrences: tuple[Row, ...]
    steps: tuple[int, ...]
    regularity: float
    jitter: float
    merchants: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.occurrences[-1].name

    @property
    def incoming(self) -> bool:
        return self.occurrences[0].incoming

    @property
    def currency(self) -> str:
        return self.occurrences[0].tx.currency

    @property
    def typical_size(self) -> float:
        """The median of the last six amounts."""
        return median([c.magnitude for c in self.occurrences[-6:]])

    @property
    def fixed(self) -> bool:
        """Whether nearly every amount equals the one before it, within a hundredth or two (an exchange rate's wobble
        of up to 3 % included)."""
        moves = [abs(b.log - a.log) for a, b in zip(self.occurrences, self.occurrences[1:], strict=False)]
        return sum(move <= 0.03 for move in moves) >= 0.75 * len(moves)

    def expected_day(self, after: int, periods: int = 1) -> int:
        """The ordinal of the day on which the occurrence ``periods`` after occurrence number ``after`` was due."""
        return _advance(self.occurrences[after], self.cadence, periods, self._anchor(after))

    def _anchor(self, after: int) -> int:
        """The day of the month that recent occurrences keep to; robust against single shifts."""
        days = [c.tx.posted_on.day for c in self.occurrences[max(0, after - 5) : after + 1]]
        if max(days) - min(days) > 15:
            return self.occurrences[after].tx.posted_on.day
        return int(median([float(d) for d in days]))


def median(values: Sequence[float]) -> float:
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def _advance(charge: Row, cadence: Cadence, periods: int, anchor: int) -> int:
    if not cadence.monthly:
        return charge.ordinal + round(cadence.step * periods)
    if cadence.step < 1:
        return charge.ordinal + round(cadence.days * periods)
    index = charge.tx.posted_on.year * 12 + charge.tx.posted_on.month - 1
    # A charge on the 1st with an anchor at the 30th belongs to the month before, and the other way round.
    if charge.tx.posted_on.day - anchor > 15:
        index += 1
    elif anchor - charge.tx.posted_on.day > 15:
        index -= 1
    index += round(cadence.step) * periods
    year, month = divmod(index, 12)
    if not 1 <= year <= 9999:
        return charge.ordinal + round(cadence.days * periods)
    return date(year, month + 1, min(anchor, calendar.monthrange(year, month + 1)[1])).toordinal()


# --- rhythm ---------------------------------------------------------------------------------------------------------


def _collapse(rows: Sequence[Row], within: int = 2) -> list[Row]:
    """One row per occurrence: rows within two days of the first of them are a double charge, not a rhythm."""
    kept: list[Row] = []
    for row in rows:
        if not kept or row.ordinal - kept[-1].ordinal > within:
            kept.append(row)
    return kept


def _periods(before: Row, after: Row, cadence: Cadence) -> float:
    return (after.months - before.months if cadence.monthly else float(after.ordinal - before.ordinal)) / cadence.step


def _gap(before: Row, after: Row, cadence: Cadence) -> tuple[int, float]:
    """How many periods lie between the two (0: no whole number of them), and the deviation from that in periods."""
    gap = _periods(before, after, cadence)
    periods = max(1, round(gap))
    deviation = abs(gap - periods)
    # Longer silences may drift further, by nothing more than a period's own tolerance.
    return (0 if deviation > cadence.tolerance else periods), deviation


def _fit(rows: Sequence[Row], cadence: Cadence) -> tuple[float, float, tuple[int, ...]] | None:
    """(share of gaps of exactly one period, typical deviation in days, periods per gap), or None without a fit."""
    steps: list[int] = []
    deviations: list[float] = []
    for before, after in itertools.pairwise(rows):
        periods, deviation = _gap(before, after, cadence)
        if periods:
            deviations.append(deviation * cadence.days)
        steps.append(periods)
    if not steps or not deviations:
        return None
    single = sum(step == 1 for step in steps) / len(steps)
    return single, median(deviations), tuple(steps)


def _may_keep(cadence: Cadence, mean_gap: float) -> bool:
    return 0.6 * cadence.days <= mean_gap <= 1.9 * cadence.days


def _best_fit(rows: Sequence[Row], *, least: float, cadences: Sequence[Cadence] = CADENCES) -> Series | None:
    kept = _collapse(rows)
    if len(kept) < 3:
        return None
    span = kept[-1].ordinal - kept[0].ordinal
    mean_gap = span / (len(kept) - 1)
    best: tuple[tuple[float, float], Series] | None = None
    for cadence in cadences:
        if not _may_keep(cadence, mean_gap):
            continue
        fit = _fit(kept, cadence)
        if fit is None:
            continue
        single, jitter, steps = fit
        regular = sum(step in (1, 2) for step in steps) / len(steps)
        if regular < least or single < 0.5:
            continue
        series = Series(
            cadence=cadence,
            occurrences=tuple(kept),
            steps=steps,
            regularity=single,
            jitter=jitter,
            merchants=tuple(dict.fromkeys(c.merchant for c in kept)),
        )
        rank = (-round(single, 2), jitter / cadence.days)
        if best is None or rank < best[0]:
            best = (rank, series)
    return best[1] if best else None


def _amount_clusters(rows: Sequence[Row], width: float) -> list[list[Row]]:
    """Rows whose amounts chain together within ``width`` (natural logarithm), each cluster oldest first."""
    clusters: list[list[Row]] = []
    for row in sorted(rows, key=lambda c: (c.log, c.ordinal, c.tx_id)):
        if clusters and row.log - clusters[-1][-1].log <= width:
            clusters[-1].append(row)
        else:
            clusters.append([row])
    return [sorted(cluster, key=lambda c: (c.ordinal, c.tx_id)) for cluster in clusters]


def find_series(rows: Sequence[Row]) -> list[Series]:
    """All recurring series among the charges, by merchant, currency and direction; each row in one series at most.

    A merchant's rows are tried together first, then by account, then by amount (a subscription at a shop where one also
    buys). Own transfers are left out.
    """
    groups: dict[tuple[str, str, bool], list[Row]] = defaultdict(list)
    for row in rows:
        if not row.own_transfer:
            groups[(row.merchant, row.tx.currency, row.incoming)].append(row)
    found: list[Series] = []
    for key in unless_stopped(sorted(groups)):
        group = groups[key]
        if len(group) >= 3:
            found.extend(_series_of(group))
    return _link(found)


def _series_of(group: list[Row]) -> list[Series]:
    whole = _best_fit(group, least=0.8)
    if whole is not None:
        return _side_by_side(group, whole) or [_without_strays(whole)]
    # Among many rows some fall into a rhythm by chance, so a part must keep it the more strictly the looser it was cut.
    splits: list[tuple[int, list[list[Row]]]] = [
        (3, _by_account(group)),
        (3, _amount_clusters(group, 0.004)),
        (5, _amount_clusters(group, 0.03)),
        (6, _amount_clusters(group, 0.12)),
    ]
    best: list[Series] = []
    covered = 0
    for least, parts in splits:
        if len(parts) < 2:
            continue
        fits = [
            fit
            for part in parts
            if len(part) >= least and (fit := _best_fit(part, least=0.9, cadences=CADENCES[1:5])) is not None
        ]
        total = sum(len(fit.occurrences) for fit in fits)
        if total > covered:
            best, covered = fits, total
    if best:
        return best
    trimmed = _without_extras(group)
    if trimmed is not None:
        return [trimmed]
    return []


_AT_LEAST_MONTHLY: Final = tuple(c for c in CADENCES if c.days >= 25 and c.name != "every two months")
"""What a price is asked in. A bill of two amounts in turn is one bill, and no two of every other month."""


def _side_by_side(group: Sequence[Row], whole: Series) -> list[Series]:
    """The series of a merchant that asks for several prices at the same time, as a shop for two subscriptions does:
    together they look like one in a quicker rhythm, or like one that is charged twice. Empty where it is one series."""
    doubled = len(group) - len(whole.occurrences)
    if whole.cadence.days >= 25 and doubled < 0.5 * len(whole.occurrences):
        return []
    for width in (0.004, 0.03):
        parts = [lane for cluster in _amount_clusters(group, width) for lane in _lanes(cluster)]
        fits = [
            fit
            for part in parts
            if len(part) >= 3 and (fit := _best_fit(part, least=0.9, cadences=_AT_LEAST_MONTHLY)) is not None
        ]
        if sum(len(fit.occurrences) for fit in fits) >= 0.9 * len(group) and _at_the_same_time(fits):
            return fits
    return []


def _lanes(cluster: Sequence[Row]) -> list[list[Row]]:
    """Rows of one amount that come in pairs, or threes, each time: the first ones, the second ones, and so on."""
    times = [[first] for first in _collapse(cluster)]
    starts = {first.tx_id for (first,) in times}
    at = -1
    for row in cluster:
        if row.tx_id in starts:
            at += 1
        else:
            times[at].append(row)
    if len({len(rows) for rows in times}) > 1:
        return [list(cluster)]
    return [list(lane) for lane in zip(*times, strict=True)]


def _at_the_same_time(fits: Sequence[Series]) -> bool:
    """Whether two of them go on beside each other for two periods at least: a new price follows the old one."""
    spans = sorted((fit.occurrences[0].ordinal, fit.occurrences[-1].ordinal, fit.cadence.days) for fit in fits)
    return any(
        min(end, later_end) - later_start >= 1.5 * min(days, later_days)
        for (_, end, days), (later_start, later_end, later_days) in itertools.pairwise(spans)
    )


def _without_strays(series: Series) -> Series:
    """The series without rows that lie out of step between two occurrences one period apart: a bonus beside the pay."""
    kept = [series.occurrences[0]]
    for row, following in itertools.pairwise(series.occurrences[1:]):
        alone = _fit([kept[-1], following], series.cadence)
        beside = _fit([kept[-1], row, following], series.cadence)
        if alone is None or alone[2] != (1,) or (beside is not None and 0 not in beside[2]):
            kept.append(row)
    kept.append(series.occurrences[-1])
    if len(kept) == len(series.occurrences):
        return series
    return _best_fit(kept, least=0.8, cadences=(series.cadence,)) or series


def _by_account(group: list[Row]) -> list[list[Row]]:
    parts: dict[str, list[Row]] = defaultdict(list)
    for row in group:
        parts[row.tx.account_id].append(row)
    return [parts[account] for account in sorted(parts)]


def _without_extras(group: list[Row]) -> Series | None:
    """A rhythm with a few rows beside it (a bonus next to the pay): the longest chain of rows that keep a period."""
    kept = _collapse(group)
    if not 5 <= len(kept) <= 160:
        return None
    best: list[Row] = []
    for cadence in CADENCES[1:5]:
        lengths = [1] * len(kept)
        previous = [-1] * len(kept)
        for i, row in enumerate(kept):
            for j in range(i - 1, -1, -1):
                gap = _periods(kept[j], row, cadence)
                if gap > 2.3:
                    break
                if (
                    abs(gap - 1) <= cadence.tolerance / 2
                    and abs(row.log - kept[j].log) < 0.5
                    and lengths[j] + 1 > lengths[i]
                ):
                    lengths[i], previous[i] = lengths[j] + 1, j
                elif (
                    abs(gap - 2) <= cadence.tolerance / 2
                    and abs(row.log - kept[j].log) < 0.2
                    and lengths[j] + 0 > lengths[i]
                ):
                    lengths[i], previous[i] = lengths[j], j
        end = max(range(len(kept)), key=lambda i: lengths[i])
        chain = []
        while end >= 0:
            chain.append(kept[end])
            end = previous[end]
        if len(chain) > len(best):
            best = chain[::-1]
    if len(best) >= max(5, 0.6 * len(kept)):
        return _best_fit(best, least=0.85)
    return None


def _link(found: list[Series]) -> list[Series]:
    """Joins series of which one continues the other: a price that changed, a descriptor that was renamed."""
    chains: list[_Chain] = []
    waiting: dict[tuple[bool, str, str], _Waiting] = defaultdict(lambda: _Waiting(chains))
    for series in unless_stopped(sorted(found, key=lambda s: (s.occurrences[0].ordinal, s.occurrences[0].tx_id))):
        of_its_kind = waiting[(series.incoming, series.currency, series.cadence.name)]
        earlier = of_its_kind.first(series)
        if earlier is None or not chains[earlier].extend(series):
            chains.append(_Chain(series))
            of_its_kind.add(len(chains) - 1)
        if earlier is not None:
            of_its_kind.add(earlier)
    return [chain.series() for chain in chains]


_JOINED: Final = 0.75
_LOOKED_AT: Final = 64
"""Series that are looked at for the one that another continues. No household gives up so many at once; a ledger that is
made up of thousands of series costs no more than this for each."""


class _Chain:
    """A series, and those that continue it."""

    def __init__(self, series: Series) -> None:
        self.cadence = series.cadence
        self.occurrences = list(series.occurrences)
        self._alone: Series | None = series
        self._last_step = series.steps[-1]
        self._singles, self._regular = _counts(series)

    @property
    def last(self) -> Row:
        return self.occurrences[-1]

    def extend(self, later: Series) -> bool:
        """Join them where both keep one rhythm, at least 0.75 regular, and nothing breaks where they meet. What it
        costs depends on ``later`` alone."""
        gap, _ = _gap(self.last, later.occurrences[0], self.cadence)
        if 0 in (self._last_step, gap, later.steps[0]):
            return False
        singles, regular = _counts(later)
        singles, regular = self._singles + singles + (gap == 1), self._regular + regular + (gap in (1, 2))
        steps = len(self.occurrences) + len(later.occurrences) - 1
        mean_gap = (later.occurrences[-1].ordinal - self.occurrences[0].ordinal) / steps
        if not _may_keep(self.cadence, mean_gap) or regular / steps < _JOINED or singles / steps < 0.5:
            return False
        self.occurrences += later.occurrences
        self._alone, self._last_step = None, later.steps[-1]
        self._singles, self._regular = singles, regular
        return True

    def series(self) -> Series:
        joined = self._alone or _best_fit(self.occurrences, least=_JOINED, cadences=(self.cadence,))
        if joined is None:
            raise AssertionError("series were joined that keep no rhythm together")
        return joined


def _counts(series: Series) -> tuple[int, int]:
    """Gaps of one period, and of one or two."""
    return sum(step == 1 for step in series.steps), sum(step in (1, 2) for step in series.steps)


class _Waiting:
    """Series of one direction, currency and cadence that a later one may continue, the first found first.

    Questions come in the order of the days: a series is silent for long enough once its heap says so, and for too long
    ever after.
    """

    def __init__(self, chains: Sequence[_Chain]) -> None:
        self._chains = chains
        self._going_on: list[tuple[int, int]] = []
        self._silent: list[int] = []

    def add(self, place: int) -> None:
        heapq.heappush(self._going_on, (self._chains[place].last.ordinal, place))

    def first(self, later: Series) -> int | None:
        """The place of the first that ``later`` continues, taken out; `add` it again."""
        day, length = later.occurrences[0].ordinal, later.cadence.days
        while self._going_on and (day - self._going_on[0][0]) / length >= _SILENT_FOR[0]:
            insort(self._silent, heapq.heappop(self._going_on)[1])
        at = 0
        while at < min(len(self._silent), _LOOKED_AT):
            chain = self._chains[self._silent[at]]
            if (day - chain.last.ordinal) / length > _SILENT_FOR[1]:
                del self._silent[at]
            elif _continues(chain, later):
                return self._silent.pop(at)
            else:
                at += 1
        return None


_SILENT_FOR: Final = (0.5, 2.3)
"""Periods between the last occurrence of a series and the first of the one that continues it."""


def _continues(earlier: _Chain, later: Series) -> bool:
    """Of one direction, currency and cadence, and silent for the right time: whether the amounts say so too."""
    last, first = earlier.last, later.occurrences[0]
    moves = (
        abs(first.log - last.log),
        abs(median([c.log for c in later.occurrences[:3]]) - median([c.log for c in earlier.occurrences[-3:]])),
    )
    if last.merchant == first.merchant:
        return min(moves) < 0.9
    if last.usual_category != first.usual_category:
        return max(moves) <= 0.012
    usual = max(0.012, 1.5 * _spread([c.log for c in earlier.occurrences[-12:]]))
    return min(moves) <= min(usual, 0.35)


def _spread(logs: Sequence[float]) -> float:
    centre = median(logs)
    return 1.4826 * median([abs(value - centre) for value in logs])


def recurring_series(rows: Iterable[Row]) -> list[Series]:
    """The recurring series among the rows, in whatever order these come; largest typical amount first."""
    in_order = sorted((row for row in rows if row.measurable), key=lambda row: (row.ordinal, row.tx_id))
    found = find_series(in_order)
    return sorted(found, key=lambda s: (-s.typical_size, s.name, s.occurrences[0].tx_id))


def ended(series: Series, as_of: date) -> bool:
    """Whether more than one occurrence in a row is absent at the end: it was given up, not missed."""
    last = series.occurrences[-1]
    return as_of.toordinal() > last.ordinal + 2 * series.cadence.days + series.cadence.grace


def by_merchant(rows: Iterable[Row]) -> Mapping[tuple[str, str, bool], list[Row]]:
    """Rows by merchant, currency and direction, oldest first."""
    groups: dict[tuple[str, str, bool], list[Row]] = defaultdict(list)
    for row in rows:
        groups[(row.merchant, row.tx.currency, row.incoming)].append(row)
    return groups
