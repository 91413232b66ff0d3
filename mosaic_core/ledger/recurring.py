"""Recurring series in a ledger: pay, rent, bills and subscriptions, told from habits by their rhythm. Pure.

Dates are compared in two clocks: days for weekly rhythms, and months (a month is 1, whatever its length) for monthly
ones, so that the 31st, February and a weekend's shift stay small deviations instead of becoming other rhythms.
"""

from __future__ import annotations

import calendar
import heapq
import itertools
import math
from bisect import insort
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from mosaic_core.computing import unless_stopped
from mosaic_core.domain.ledger import Transaction
from mosaic_core.ledger.categories.categorise import categorise
from mosaic_core.ledger.descriptors import clean_descriptor, merchant_words
from mosaic_core.ledger.knowledge import trade_words


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """One row as the analyses see it: ``size`` is the amount without its sign (> 0), ``day`` the date's ordinal."""

    tx: Transaction
    size: float
    log: float
    day: int
    month: float
    incoming: bool
    merchant: str
    name: str
    category: str
    own_transfer: bool

    @property
    def tx_id(self) -> str:
        return self.tx.transaction_id


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
    occurrences: tuple[Charge, ...]
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
        return median([c.size for c in self.occurrences[-6:]])

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


def _month_clock(day: date) -> float:
    return day.year * 12 + day.month - 1 + (day.day - 1) / calendar.monthrange(day.year, day.month)[1]


def _advance(charge: Charge, cadence: Cadence, periods: int, anchor: int) -> int:
    if not cadence.monthly:
        return charge.day + round(cadence.step * periods)
    if cadence.step < 1:
        return charge.day + round(cadence.days * periods)
    index = charge.tx.posted_on.year * 12 + charge.tx.posted_on.month - 1
    # A charge on the 1st with an anchor at the 30th belongs to the month before, and the other way round.
    if charge.tx.posted_on.day - anchor > 15:
        index += 1
    elif anchor - charge.tx.posted_on.day > 15:
        index -= 1
    index += round(cadence.step) * periods
    year, month = divmod(index, 12)
    if not 1 <= year <= 9999:
        return charge.day + round(cadence.days * periods)
    return date(year, month + 1, min(anchor, calendar.monthrange(year, month + 1)[1])).toordinal()


def charges(transactions: Iterable[Transaction], *, as_of: date | None = None) -> list[Charge]:
    """The rows up to ``as_of``, oldest first, each with its merchant resolved within this ledger and its category (the
    row's own where it has one). Rows of amount zero say nothing and are left out; a repeated transaction id counts
    once."""
    rows: dict[str, Transaction] = {}
    told = [tx for tx in transactions if tx.amount.is_finite() and (as_of is None or tx.posted_on <= as_of)]
    for tx in sorted(told, key=lambda t: (t.posted_on, t.transaction_id, t.account_id, t.description, t.amount)):
        if 0 < abs(float(tx.amount)) < math.inf:
            rows.setdefault(tx.transaction_id, tx)
    merchants = resolve_merchants(rows.values())
    decided: dict[tuple[str, bool], Counter[str]] = defaultdict(Counter)
    for tx in unless_stopped(rows.values()):
        decided[(merchants[tx.transaction_id], tx.amount > 0)][tx.category or categorise(tx).category] += 1
    result = []
    for tx in unless_stopped(rows.values()):
        size = abs(float(tx.amount))
        # What most of a merchant's rows are, all are: noise in one descriptor changes no analysis.
        votes = decided[(merchants[tx.transaction_id], tx.amount > 0)]
        result.append(
            Charge(
                tx=tx,
                size=size,
                log=math.log(size),
                day=tx.posted_on.toordinal(),
                month=_month_clock(tx.posted_on),
                incoming=tx.amount > 0,
                merchant=merchants[tx.transaction_id],
                name=_name(tx),
                category=min(votes, key=lambda category: (-votes[category], category)),
                own_transfer=bool(tx.counterparty_account_id) and tx.counterparty_account_id != tx.account_id,
            )
        )
    return result


def _name(tx: Transaction) -> str:
    return (tx.merchant_name or "").strip() or clean_descriptor(tx.description) or "unnamed"


def resolve_merchants(transactions: Iterable[Transaction]) -> dict[str, str]:
    """Transaction id to merchant key, made consistent within one ledger.

    A descriptor that elsewhere carries the source's merchant name takes that name; a name that another continues only
    with a place ("blue bottle", "blue bottle oakland") or cuts off is the same merchant.
    """
    rows = list(transactions)
    named: dict[tuple[str, ...], dict[tuple[str, ...], int]] = defaultdict(lambda: defaultdict(int))
    for tx in unless_stopped(rows):
        if tx.merchant_name and tx.merchant_name.strip():
            named[merchant_words(tx.description)][merchant_words(tx.description, tx.merchant_name)] += 1
    usual = {own: min(known, key=lambda w: (-known[w], w)) for own, known in named.items()}
    words_of: dict[str, tuple[str, ...]] = {}
    for tx in unless_stopped(rows):
        if tx.merchant_name and tx.merchant_name.strip():
            words_of[tx.transaction_id] = merchant_words(tx.description, tx.merchant_name)
        else:
            own = merchant_words(tx.description)
            words_of[tx.transaction_id] = usual.get(own, own)
    counts = Counter(words_of.values())
    canonical = _merge_names(counts, _with_references(rows, words_of))
    for words, head in _wandering_tails(counts).items():
        canonical[words] = canonical.get(head, "".join(head))
    return {tx_id: canonical[words] for tx_id, words in words_of.items()}


def _with_references(rows: Sequence[Transaction], words_of: Mapping[str, tuple[str, ...]]) -> set[tuple[str, ...]]:
    """Names that come with something else behind them nearly each time ("ring*A21DA4", "ring*R9M0UR")."""
    texts: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for tx in rows:
        texts[words_of[tx.transaction_id]].add(tx.description)
    return {words for words, told in texts.items() if len(told) >= 3}


def _wandering_tails(counts: Mapping[tuple[str, ...], int]) -> dict[tuple[str, ...], tuple[str, ...]]:
    """Names whose first two words stay while the rest is another one nearly each time (a reference in letters)."""
    by_head: dict[tuple[str, ...], list[tuple[str, ...]]] = defaultdict(list)
    for words in counts:
        if len(words) >= 3:
            by_head[words[:2]].append(words)
    found: dict[tuple[str, ...], tuple[str, ...]] = {}
    for head, names in by_head.items():
        rare = [words for words in names if counts[words] <= 2 and trade_words().isdisjoint(words[2:])]
        if len(rare) >= 4 and len(rare) >= 0.8 * len(names):
            found.update(dict.fromkeys(rare, head))
    return found


def _skeleton(words: tuple[str, ...]) -> str:
    """Consonants of a name, doubled letters once: "blue btl" and "blue bottle" agree."""
    text = "".join(words)
    kept = text[:1] + "".join(c for c in text[1:] if c not in "aeiouy")
    return "".join(c for i, c in enumerate(kept) if i == 0 or c != kept[i - 1])


def _abbreviates(short: str, full: str) -> bool:
    """Whether the letters of ``short`` occur in ``full`` in the same order."""
    rest = iter(full)
    return all(letter in rest for letter in short)


def _merge_names(
    names: Mapping[tuple[str, ...], int], with_references: set[tuple[str, ...]]
) -> dict[tuple[str, ...], str]:
    """Name to key. ``names`` says how often each occurs; behind one of ``with_references`` a rare word of letters is a
    reference too."""
    ordered = sorted(names, key=lambda words: (len("".join(words)), words))
    canonical: dict[tuple[str, ...], str] = {}
    exact: dict[tuple[str, ...], str] = {}
    skeletons: dict[str, tuple[str, str]] = {}
    compacts: dict[str, str] = {}
    for words in unless_stopped(ordered):
        compact = "".join(words)
        key = None
        for cut in range(len(words) - 1, 0, -1):
            head, tail = words[:cut], words[cut:]
            if (
                head in exact
                and (
                    cut >= 2
                    or (len(head[0]) >= 5 and head[0] not in trade_words())
                    or (head in with_references and len(tail) == 1 and names[words] <= 2)
                )
                and trade_words().isdisjoint(tail)
                and len(tail) <= 3
            ):
                key = exact[head]
                break
        if key is None and len(compact) >= 5:
            alike = skeletons.get(_skeleton(words))
            key = alike[1] if alike is not None and _abbreviates(alike[0], compact) else None
        if key is None:
            # the shortest name of nine letters or more that this one continues by six at most
            cuts = (compact[:length] for length in range(max(9, len(compact) - 6), len(compact) + 1))
            key = next((compacts[short] for short in cuts if short in compacts), compact)
        canonical[words] = key
        exact[words] = key
        if len(_skeleton(words)) >= 4:
            skeletons.setdefault(_skeleton(words), (compact, key))
        compacts.setdefault(compact, key)
    return canonical


# --- rhythm ---------------------------------------------------------------------------------------------------------


def _collapse(rows: Sequence[Charge], within: int = 2) -> list[Charge]:
    """One row per occurrence: rows within two days of the first of them are a double charge, not a rhythm."""
    kept: list[Charge] = []
    for row in rows:
        if not kept or row.day - kept[-1].day > within:
            kept.append(row)
    return kept


def _gap(before: Charge, after: Charge, cadence: Cadence) -> tuple[int, float]:
    """How many periods lie between the two (0: no whole number of them), and the deviation from that in periods."""
    gap = (after.month - before.month if cadence.monthly else float(after.day - before.day)) / cadence.step
    periods = max(1, round(gap))
    deviation = abs(gap - periods)
    # Longer silences may drift further, by nothing more than a period's own tolerance.
    return (0 if deviation > cadence.tolerance else periods), deviation


def _fit(rows: Sequence[Charge], cadence: Cadence) -> tuple[float, float, tuple[int, ...]] | None:
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


def _best_fit(rows: Sequence[Charge], *, least: float, cadences: Sequence[Cadence] = CADENCES) -> Series | None:
    kept = _collapse(rows)
    if len(kept) < 3:
        return None
    span = kept[-1].day - kept[0].day
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


def _amount_clusters(rows: Sequence[Charge], width: float) -> list[list[Charge]]:
    """Rows whose amounts chain together within ``width`` (natural logarithm), each cluster oldest first."""
    clusters: list[list[Charge]] = []
    for row in sorted(rows, key=lambda c: (c.log, c.day, c.tx_id)):
        if clusters and row.log - clusters[-1][-1].log <= width:
            clusters[-1].append(row)
        else:
            clusters.append([row])
    return [sorted(cluster, key=lambda c: (c.day, c.tx_id)) for cluster in clusters]


def find_series(rows: Sequence[Charge]) -> list[Series]:
    """All recurring series among the charges, by merchant, currency and direction; each row in one series at most.

    A merchant's rows are tried together first, then by account, then by amount (a subscription at a shop where one also
    buys). Own transfers are left out.
    """
    groups: dict[tuple[str, str, bool], list[Charge]] = defaultdict(list)
    for row in rows:
        if not row.own_transfer:
            groups[(row.merchant, row.tx.currency, row.incoming)].append(row)
    found: list[Series] = []
    for key in unless_stopped(sorted(groups)):
        group = groups[key]
        if len(group) >= 3:
            found.extend(_series_of(group))
    return _link(found)


def _series_of(group: list[Charge]) -> list[Series]:
    whole = _best_fit(group, least=0.8)
    if whole is not None:
        return [_without_strays(whole)]
    # Among many rows some fall into a rhythm by chance, so a part must keep it the more strictly the looser it was cut.
    splits: list[tuple[int, list[list[Charge]]]] = [
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


def _by_account(group: list[Charge]) -> list[list[Charge]]:
    parts: dict[str, list[Charge]] = defaultdict(list)
    for row in group:
        parts[row.tx.account_id].append(row)
    return [parts[account] for account in sorted(parts)]


def _without_extras(group: list[Charge]) -> Series | None:
    """A rhythm with a few rows beside it (a bonus next to the pay): the longest chain of rows that keep a period."""
    kept = _collapse(group)
    if not 5 <= len(kept) <= 160:
        return None
    best: list[Charge] = []
    for cadence in CADENCES[1:5]:
        lengths = [1] * len(kept)
        previous = [-1] * len(kept)
        for i, row in enumerate(kept):
            for j in range(i - 1, -1, -1):
                gap = (row.month - kept[j].month if cadence.monthly else float(row.day - kept[j].day)) / cadence.step
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
    for series in unless_stopped(sorted(found, key=lambda s: (s.occurrences[0].day, s.occurrences[0].tx_id))):
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
    def last(self) -> Charge:
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
        mean_gap = (later.occurrences[-1].day - self.occurrences[0].day) / steps
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
        heapq.heappush(self._going_on, (self._chains[place].last.day, place))

    def first(self, later: Series) -> int | None:
        """The place of the first that ``later`` continues, taken out; `add` it again."""
        day, length = later.occurrences[0].day, later.cadence.days
        while self._going_on and (day - self._going_on[0][0]) / length >= _SILENT_FOR[0]:
            insort(self._silent, heapq.heappop(self._going_on)[1])
        at = 0
        while at < min(len(self._silent), _LOOKED_AT):
            chain = self._chains[self._silent[at]]
            if (day - chain.last.day) / length > _SILENT_FOR[1]:
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
    if last.category != first.category:
        return max(moves) <= 0.012
    usual = max(0.012, 1.5 * _spread([c.log for c in earlier.occurrences[-12:]]))
    return min(moves) <= min(usual, 0.35)


def _spread(logs: Sequence[float]) -> float:
    centre = median(logs)
    return 1.4826 * median([abs(value - centre) for value in logs])


def recurring_series(transactions: Iterable[Transaction], *, as_of: date) -> list[Series]:
    """The ledger's recurring series as of a day, largest typical amount first."""
    found = find_series(charges(transactions, as_of=as_of))
    return sorted(found, key=lambda s: (-s.typical_size, s.name, s.occurrences[0].tx_id))


def ended(series: Series, as_of: date) -> bool:
    """Whether more than one occurrence in a row is absent at the end: it was given up, not missed."""
    last = series.occurrences[-1]
    return as_of.toordinal() > last.day + 2 * series.cadence.days + series.cadence.grace


def by_merchant(rows: Iterable[Charge]) -> Mapping[tuple[str, str, bool], list[Charge]]:
    """Rows by merchant, currency and direction, oldest first."""
    groups: dict[tuple[str, str, bool], list[Charge]] = defaultdict(list)
    for row in rows:
        groups[(row.merchant, row.tx.currency, row.incoming)].append(row)
    return groups
