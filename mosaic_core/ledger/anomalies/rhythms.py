"""Findings about recurring series: prices that step up, absent occurrences, series that were not there before."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import date
from itertools import pairwise
from typing import Final

from mosaic_core.computing import unless_stopped
from mosaic_core.domain.transactions import Finding, FindingKind
from mosaic_core.ledger.anomalies.ledgerview import Evident, LedgerView, is_pay, is_payment, money, short
from mosaic_core.ledger.anomalies.ordered import Scatter
from mosaic_core.ledger.recurring import Series, median
from mosaic_core.ledger.rows import Row

_RISE: Final = 0.10
_MOVED: Final = 0.05
_HISTORY: Final = 3
_CONTRACTS: Final = frozenset({"RENT_AND_UTILITIES", "LOAN_PAYMENTS"})
_INSURANCE: Final = (
    "insurance",
    "insur",
    "assurance",
    "mutual",
    "geico",
    "allstate",
    "progressive",
    "state farm",
    " ins ",
)
_NEW_AFTER: Final = 45
_MONTH: Final = 31


def price_rises(view: LedgerView) -> Iterator[Evident]:
    """A fixed price that steps up by more than a tenth and stays: flat before, two charges or more at the new level."""
    for series in unless_stopped(view.series):
        rows = series.occurrences
        restless: bool | None = None
        if (
            series.incoming
            or not is_payment(rows[0])
            or series.cadence.days < 6
            or not _keeps_its_day(series)
            or (series.cadence.days < 27 and series.regularity < 0.9)
        ):
            continue
        for at in range(_HISTORY, len(rows) - 1):
            before = _present_level([c.log for c in rows[max(0, at - 7) : at]])
            after = [c.log for c in rows[at : at + 6]]
            if len(before) < _HISTORY:
                continue
            level, new = median(before), median(after)
            if math.exp(median(after[:2]) - level) - 1 <= _RISE + 1e-9 or math.exp(new - level) - 1 <= _RISE + 1e-9:
                continue
            flat = max(abs(value - before[-1]) for value in before[-_HISTORY:])
            wobble = (
                sorted(abs(value - level) for value in before)[max(0, len(before) - 2)] if len(before) > 3 else flat
            )
            noise = max(flat, wobble)
            step = min(after[:2]) - max(before[-_HISTORY:])
            stays = abs(after[1] - after[0])
            if noise > 0.035 or stays > 0.045 or step < max(0.09, 2.5 * noise):
                continue
            exact = max(flat, stays) <= 0.002
            if not exact:
                restless = _moves_by_itself(rows) if restless is None else restless
                if restless or len(before) < 5:
                    continue
            row = rows[at]
            old = math.exp(level)
            yield Evident(
                finding=Finding(
                    kind=FindingKind.PRICE_RISE,
                    transaction_ids=(row.tx_id,),
                    date=row.tx.posted_on,
                    severity="Warning",
                    explanation=(
                        f"{short(row.name)} rose from {money(old, series.currency)} "
                        f"to {money(row.magnitude, series.currency)} "
                        f"(+{(row.magnitude / old - 1) * 100:.0f} %) and stays there; "
                        f"{series.cadence.name}, the last {len(before)} charges were the same."
                    ),
                    confidence=0.9 if len(after) > 2 else 0.8,
                    series=series.name,
                ),
                evident_day=rows[at + 1].ordinal,
            )


def _keeps_its_day(series: Series) -> bool:
    """Whether it comes when it is due, as contracts do and habits do not."""
    return series.jitter <= max(1.6, 0.12 * series.cadence.days)


def _present_level(window: Sequence[float]) -> list[float]:
    """The end of the window since the price last moved. One charge out of all range (a finding of its own) does not
    hide that the rest is flat."""
    present = median(window[-_HISTORY:])
    level: list[float] = []
    for value in reversed(window):
        if abs(value - present) >= 0.5:
            continue
        if abs(value - present) > _MOVED:
            break
        level.append(value)
    return level[::-1]


def _moves_by_itself(rows: Sequence[Row]) -> bool:
    """Whether the amount falls too, or moves often: seasons and use, not a price."""
    moves = [b.log - a.log for a, b in pairwise(rows) if abs(b.log - a.log) < 0.9]
    falls = sum(move < -0.06 for move in moves)
    return falls >= 1 or sum(move > 0.06 for move in moves) > 1 + len(moves) / 12


def missed(view: LedgerView) -> Iterator[Evident]:
    """One expected occurrence of regular pay or of a regular bill is absent past its grace."""
    firsts = _Firsts(view)
    for series in unless_stopped(view.series):
        kind = _expected_kind(view, series)
        if kind is None:
            continue
        rows = series.occurrences
        singles = sum(step == 1 for step in series.steps)
        for at, periods in enumerate(series.steps):
            if periods == 2 and at + 1 >= _needed(series) and _was_regular(series, at, singles):
                yield _absent(view, series, kind, at, (rows[at].ordinal, rows[at + 1].ordinal))
        at = len(rows) - 1
        due = series.expected_day(at)
        grace = series.cadence.grace
        if (
            due + grace < view.horizon < series.expected_day(at, 2) + grace
            and at + 1 >= _needed(series) + 1
            and _was_regular(series, at, singles)
        ):
            if (
                not _still_fed(view, rows, due)
                or firsts.replace(series)
                or (
                    kind == FindingKind.MISSED_BILL
                    and not _is_contract(rows[-1])
                    and not _too_large_to_end(view, series)
                )
            ):
                continue
            yield _absent(view, series, kind, at, (rows[at].ordinal, view.horizon))


def _needed(series: Series) -> int:
    return 5 if series.cadence.days < 20 else 4


def _was_regular(series: Series, at: int, singles: int) -> bool:
    """Whether the series, ``singles`` of whose gaps are of one period, kept it right before and in all but few cases
    but gap ``at``."""
    recent = series.steps[max(0, at - 5) : at]
    if sum(step != 1 for step in recent) > 1:
        return False
    here = series.steps[at : at + 1]
    rest, kept = len(series.steps) - len(here), singles - here.count(1)
    return kept >= 0.85 * rest or rest - kept <= 1


def _expected_kind(view: LedgerView, series: Series) -> FindingKind | None:
    rows = series.occurrences
    if series.cadence.days > 100 or len(rows) < _needed(series) + 1:
        return None
    if not _keeps_its_day(series):
        return None
    recent = rows[-8:]
    if series.incoming:
        pay = sum(is_pay(c) for c in recent) * 2 > len(recent)
        if series.jitter > 2 and max(c.log for c in recent) - min(c.log for c in recent) > 1:
            # Neither the day nor the amount is kept: work that is paid as it comes.
            return None
        material = series.typical_size >= 2 * view.unit or series.currency != view.currency
        return FindingKind.MISSED_INCOME if pay and material and not _is_interest(rows[-1]) else None
    if not is_payment(rows[-1]) or series.cadence.days < 13:
        return None
    bill = sum(c.usual_category in _CONTRACTS or _is_contract(c) for c in recent) * 2 > len(recent)
    if series.fixed:
        return FindingKind.MISSED_BILL
    strict = len(rows) >= 8 and series.jitter <= 2.5 and sum(step != 1 for step in series.steps) <= 1
    return FindingKind.MISSED_BILL if (bill or strict) and series.cadence.days > 20 else None


def _is_contract(row: Row) -> bool:
    text = f" {row.name} {row.tx.description} ".casefold()
    return row.usual_category in _CONTRACTS or any(word in text for word in _INSURANCE)


def _too_large_to_end(view: LedgerView, series: Series) -> bool:
    """Whether so much is paid at a time that it is a rent or loan under some name, which no one cancels in passing."""
    return series.currency == view.currency and series.typical_size >= 12 * view.unit


def _is_interest(row: Row) -> bool:
    text = f" {row.tx.description} ".casefold()
    return "interest" in text or " int " in text or "dividend" in text


def _still_fed(view: LedgerView, rows: Sequence[Row], due: int) -> bool:
    """Whether the account still reports: a feed that broke off misses everything and says nothing."""
    account = rows[-1].tx.account_id
    if view.account_end[account] >= due:
        return True
    span = max(1, view.account_end[account] - view.account_start[account])
    return view.account_rows[account] / span < 0.07


class _Firsts:
    """The first row of every merchant, by direction and category: what may take the place of a series."""

    def __init__(self, view: LedgerView) -> None:
        placed: dict[tuple[bool, str], list[tuple[int, float]]] = defaultdict(list)
        self._of_merchant: dict[str, list[Row]] = defaultdict(list)
        for rows in view.merchants.values():
            if not rows[0].own_transfer:
                placed[(rows[0].incoming, rows[0].usual_category)].append((rows[0].ordinal, rows[0].log))
                self._of_merchant[rows[0].merchant].append(rows[0])
        self._placed = {kind: Scatter(points) for kind, points in placed.items()}

    def replace(self, series: Series) -> bool:
        """Whether something of the same kind and order of amount took over: another provider, another employer."""
        last = series.occurrences[-1]
        placed = self._placed.get((series.incoming, last.usual_category))
        if placed is None:
            return False
        # Pay and contracts may change in amount and day with who is behind them; anything else has to look the same.
        known = series.incoming or _is_contract(last)
        alike, earliest = (0.8, last.ordinal - 5) if known else (0.1, last.ordinal + series.cadence.days / 2)
        latest = last.ordinal + 2 * series.cadence.days
        own = sum(
            (row.incoming, row.usual_category) == (series.incoming, last.usual_category)
            and earliest <= row.ordinal <= latest
            and abs(row.log - last.log) <= alike
            for row in self._of_merchant[last.merchant]
        )
        return placed.count(earliest, latest, last.log, alike) > own


def _absent(view: LedgerView, series: Series, kind: FindingKind, at: int, between: tuple[int, int]) -> Evident:
    row = series.occurrences[at]
    due = min(max(series.expected_day(at), between[0] + 1), between[1])
    on = date.fromordinal(due)
    usual = median([c.magnitude for c in series.occurrences[max(0, at - 5) : at + 1]])
    what = "Income from" if kind == FindingKind.MISSED_INCOME else "The bill of"
    return Evident(
        finding=Finding(
            kind=kind,
            transaction_ids=(),
            date=on,
            severity="Warning",
            explanation=(
                f"{what} {short(row.name)}, {series.cadence.name}, usually {money(usual, series.currency)}, "
                f"was due about {on.isoformat()} and is absent; "
                f"last seen {row.tx.posted_on.isoformat()}."
            ),
            confidence=0.9 if series.regularity > 0.9 else 0.8,
            series=row.name,
            anchor=row.tx_id,
        ),
        evident_day=min(due + series.cadence.grace + 1, max(between[1], due)),
    )


def new_recurring(view: LedgerView) -> Iterator[Evident]:
    """A monthly charge of one amount that was not there: three occurrences, and no older series goes on in it."""
    earlier = _Earlier(view)
    for series in unless_stopped(view.series):
        rows = series.occurrences
        if (
            series.incoming
            or series.cadence.name not in ("monthly", "every four weeks")
            or not is_payment(rows[0])
            or len(rows) < _HISTORY
        ):
            continue
        # A trial at a lower price may come first.
        begin = int(len(rows) > _HISTORY and rows[0].log < rows[1].log - 0.04)
        first = rows[begin : begin + _HISTORY]
        if rows[0].ordinal < view.known_since(rows[0]) + _NEW_AFTER or any(
            step != 1 for step in series.steps[: begin + _HISTORY - 1]
        ):
            continue
        if max(c.log for c in first) - min(c.log for c in first) > 0.04:
            continue
        following = rows[begin + _HISTORY : begin + _HISTORY + 3]
        if sum(abs(c.log - first[-1].log) > 0.3 for c in following) > len(following) / 2:
            continue
        if series.jitter > 3 or earlier.has(series):
            continue
        row = first[0]
        yield Evident(
            finding=Finding(
                kind=FindingKind.NEW_RECURRING,
                transaction_ids=tuple(sorted(c.tx_id for c in first)),
                date=row.tx.posted_on,
                severity="Warning",
                explanation=(
                    f"New monthly charge: {short(row.name)}, "
                    f"{money(median([c.magnitude for c in first]), series.currency)} "
                    f"since {row.tx.posted_on.isoformat()}; "
                    f"before that there was no such charge in {row.ordinal - view.known_since(row)} days of ledger."
                ),
                confidence=0.9,
                series=series.name,
                anchor=rows[0].tx_id,
            ),
            evident_day=first[-1].ordinal,
        )


class _Earlier:
    """What was charged before, by day and amount: the rows of each merchant, the ends of monthly series, the last rows
    of merchants that were only seen early in the ledger."""

    def __init__(self, view: LedgerView) -> None:
        self._view = view
        self._rows: dict[tuple[str, str], Scatter] = {}
        ends: dict[str, list[tuple[int, float]]] = defaultdict(list)
        for series in view.series:
            last = series.occurrences[-1]
            if not series.incoming and len(series.occurrences) >= _HISTORY and 20 <= series.cadence.days <= 35:
                ends[series.currency].append((last.ordinal, last.log))
        lasts: dict[str, list[tuple[int, float]]] = defaultdict(list)
        for (_, currency, incoming), rows in view.merchants.items():
            # Too early to be of a series, it may be the charge a month before under a former name.
            if not incoming and rows[0].ordinal <= view.known_since(rows[-1]) + 2 * _MONTH:
                lasts[currency].append((rows[-1].ordinal, rows[-1].log))
        self._ends = {currency: Scatter(points) for currency, points in ends.items()}
        self._lasts = {currency: Scatter(points) for currency, points in lasts.items()}

    def has(self, series: Series) -> bool:
        """Whether the merchant charged such an amount before, or another series or a former name ended that this one
        continues. Its own rows go on later, so they are none of those ends."""
        first = series.occurrences[0]
        if self._of(first).count(-math.inf, first.ordinal - 1, first.log, 0.25):
            return True
        ends, lasts = self._ends.get(series.currency), self._lasts.get(series.currency)
        return bool(
            (ends and ends.count(first.ordinal - 48, first.ordinal - 18, first.log, 0.03))
            or (lasts and lasts.count(first.ordinal - 35, first.ordinal - 26, first.log, 0.005))
        )

    def _of(self, charge: Row) -> Scatter:
        """The money spent at the charge's merchant in its currency."""
        key = (charge.merchant, charge.tx.currency)
        if key not in self._rows:
            self._rows[key] = Scatter((c.ordinal, c.log) for c in self._view.merchants[(*key, False)])
        return self._rows[key]
