"""The analyses as they are meant, each row looked at for each row: what the product's faster ones are held against.

Nothing here is clever, and nothing of it is for a ledger of more than some hundred rows.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from itertools import pairwise
from unittest.mock import patch

from mosaic_core.domain.transactions import Finding, FindingKind, Transaction
from mosaic_core.ledger import anomalies, recurring, resolver
from mosaic_core.ledger.anomalies import purchases
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
from mosaic_core.ledger.anomalies.ordered import quantile
from mosaic_core.ledger.anomalies.purchases import (
    _DUPLICATE_WITHIN,
    _SERIOUS,
    _SMALL_CHANGE,
    _SMALL_HABITS,
    _TINY,
    _WARM_UP,
    _YOUNG,
    _YOUNG_MARGIN,
    _apart_from,
    _first_days,
    _paid_back,
    _refunded,
    _regular_later,
    _same_amount_clusters,
    _span,
    _times,
)
from mosaic_core.ledger.anomalies.rhythms import (
    _HISTORY,
    _MONTH,
    _NEW_AFTER,
    _absent,
    _expected_kind,
    _is_contract,
    _needed,
    _still_fed,
    _too_large_to_end,
)
from mosaic_core.ledger.knowledge import trade_words
from mosaic_core.ledger.recurring import Series, _best_fit, _fit, _spread, median
from mosaic_core.ledger.resolver import _abbreviates, _skeleton
from mosaic_core.ledger.rows import Row
from mosaic_core.ledger.transfers import TRANSFERS, WITHIN_DAYS


@contextmanager
def plainly() -> Iterator[None]:
    """`find_anomalies` and `recurring_series` by what is below."""
    with (
        patch.object(resolver, "_merge_names", _merge_names),
        patch.multiple(recurring, _without_strays=_without_strays, _link=_link),
        patch.multiple(
            anomalies,
            duplicate_charges=duplicate_charges,
            first_time_large=first_time_large,
            card_testing=card_testing,
            missed=missed,
            new_recurring=new_recurring,
        ),
        patch.object(purchases, "robust_spread", robust_spread),
    ):
        yield


def _merge_names(
    names: Mapping[tuple[str, ...], int], with_references: set[tuple[str, ...]], from_source: set[tuple[str, ...]]
) -> dict[tuple[str, ...], str]:
    """Name to key. ``names`` says how often each occurs; behind one of ``with_references`` a rare word of letters is a
    reference too; of ``from_source`` each is a name of its own."""
    of_source: set[str] = set()
    ordered = sorted(names, key=lambda words: (len("".join(words)), words))
    canonical: dict[tuple[str, ...], str] = {}
    exact: dict[tuple[str, ...], str] = {}
    skeletons: dict[str, tuple[str, str]] = {}
    compacts: list[tuple[str, str]] = []
    for words in ordered:
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
            key = next(
                (
                    known
                    for short, known in compacts
                    if len(short) >= 9 and compact.startswith(short) and len(compact) - len(short) <= 6
                ),
                None,
            )
        if key is None or (words in from_source and key in of_source):
            key = compact
        if words in from_source:
            of_source.add(key)
        canonical[words] = key
        exact[words] = key
        if len(_skeleton(words)) >= 4:
            skeletons.setdefault(_skeleton(words), (compact, key))
        compacts.append((compact, key))
    return canonical


def _without_strays(series: Series) -> Series:
    """The series without rows that lie out of step between two occurrences one period apart: a bonus beside the pay."""
    kept = list(series.occurrences)
    at = 1
    while at < len(kept) - 1:
        alone = _fit([kept[at - 1], kept[at + 1]], series.cadence)
        beside = _fit(kept[at - 1 : at + 2], series.cadence)
        if alone is not None and alone[2] == (1,) and (beside is None or 0 in beside[2]):
            del kept[at]
        else:
            at += 1
    if len(kept) == len(series.occurrences):
        return series
    return _best_fit(kept, least=0.8, cadences=(series.cadence,)) or series


def _link(found: list[Series]) -> list[Series]:
    """Joins series of which one continues the other: a price that changed, a descriptor that was renamed."""
    pending = sorted(found, key=lambda s: (s.occurrences[0].ordinal, s.occurrences[0].tx_id))
    linked: list[Series] = []
    for series in pending:
        match = next((i for i, earlier in enumerate(linked) if _continues(earlier, series)), None)
        if match is None:
            linked.append(series)
            continue
        earlier = linked[match]
        joined = _best_fit([*earlier.occurrences, *series.occurrences], least=0.75, cadences=(earlier.cadence,))
        if joined is None or 0 in joined.steps[len(earlier.occurrences) - 2 : len(earlier.occurrences) + 1]:
            linked.append(series)
        else:
            linked[match] = joined
    return linked


def _continues(earlier: Series, later: Series) -> bool:
    if (
        earlier.incoming != later.incoming
        or earlier.currency != later.currency
        or earlier.cadence.name != later.cadence.name
    ):
        return False
    last, first = earlier.occurrences[-1], later.occurrences[0]
    silence = (first.ordinal - last.ordinal) / earlier.cadence.days
    if not 0.5 <= silence <= 2.3:
        return False
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


def duplicate_charges(view: LedgerView) -> Iterator[Evident]:
    """Same account, merchant, amount within two days, where that is no habit there and nothing was refunded."""
    for key in sorted(view.merchants):
        rows = view.merchants[key]
        if key[2] or len(rows) < 2 or not is_payment(rows[0]):
            continue
        refunds = view.merchants.get((key[0], key[1], True), [])
        clusters = [cluster for part in grouped(rows).values() for cluster in _same_amount_clusters(part)]
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
    if others >= 3 or (others >= 2 and len(rest) < 60) or (others and paired * 2 > len(rest)):
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
    for row in comparable:
        if row.ordinal < view.known_since(row) + _WARM_UP or row.usual_category == "GOVERNMENT_AND_NON_PROFIT":
            continue
        rest = [c.log for c in comparable if c.tx_id != row.tx_id and c.usual_category != "TRAVEL"]
        # A household that hardly ever buys anywhere new is compared with all that it buys.
        rest = sorted(rest if len(rest) >= 12 else rest + [value for value in everyday if value != row.log])
        if len(rest) < 12:
            continue
        # Other purchases of this kind are what is looked for, not what it is compared with.
        rest = rest[: len(rest) - min(3, max(1, len(rest) // 10))]
        centre, spread = robust_spread(rest, floor=0.5)
        limit = max(
            min(centre + 2.8 * spread, rest[-1] + math.log(2.4)),
            quantile(everyday, 0.985) + 0.25 if len(everyday) >= 30 else 0.0,
            quantile(rest, 0.97) + 0.6,
            math.log(9 * view.unit),
        )
        crowd = sum(abs(c.ordinal - row.ordinal) <= 6 and c.tx_id != row.tx_id for c in comparable)
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
            or _known_otherwise(view, row)
            or _regular_later(view, row)
            or _continues_series(view, row)
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


def _known_otherwise(view: LedgerView, row: Row) -> bool:
    """Whether an earlier merchant, by name only slightly different, already charged amounts of this order."""
    words = row.name.casefold().split()
    if len("".join(words[:2])) < 6:
        return False
    return any(
        c.ordinal < row.ordinal
        and not c.incoming
        and c.magnitude * 2 >= row.magnitude
        and c.merchant != row.merchant
        and c.name.casefold().split()[:2] == words[:2]
        for c in view.rows
    )


def _continues_series(view: LedgerView, row: Row) -> bool:
    """Whether the amount is what a series was about to charge whose next occurrence is absent: a renamed descriptor."""
    for series in view.series:
        earlier = [c for c in series.occurrences if c.ordinal < row.ordinal]
        if series.incoming or len(earlier) < 3 or any(c.tx_id == row.tx_id for c in series.occurrences):
            continue
        silence = row.ordinal - earlier[-1].ordinal
        near = abs(row.log - earlier[-1].log) <= (0.12 if row.usual_category == earlier[-1].usual_category else 0.02)
        if near and 0.5 * series.cadence.days <= silence <= 1.6 * series.cadence.days:
            following = [c for c in series.occurrences if c.ordinal > row.ordinal]
            if not following or following[0].ordinal - earlier[-1].ordinal > 1.5 * series.cadence.days:
                return True
    return False


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
    index = 0
    while index < len(tiny):
        burst = [c for c in tiny[index:] if c.ordinal - tiny[index].ordinal <= 2]
        accounts = {c.tx.account_id for c in burst}
        around = [
            c
            for c in strangers
            if burst[0].ordinal - 2 <= c.ordinal <= burst[-1].ordinal + 2 and c.tx.account_id in accounts
        ]
        merchants = {c.merchant for c in burst}
        if len(burst) < 4 or len(merchants) < 3 or len(burst) * 2 < len(around):
            index += 1
            continue
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
        index += len(burst)


def _units_by_month(view: LedgerView, rows: Sequence[Row]) -> Mapping[date, float]:
    """The everyday purchase as it was known when each of the rows' months (by its first day) began."""
    units: dict[date, float] = {}
    for month in sorted({row.tx.posted_on.replace(day=1) for row in rows}):
        visited: dict[str, list[float]] = defaultdict(list)
        for c in view.rows:
            if c.tx.posted_on >= month and visited:
                break
            if is_purchase(c) and c.tx.currency == view.currency:
                visited[c.merchant].append(c.magnitude)
        units[month] = median([median(sizes) for sizes in visited.values()]) if visited else view.unit
    return units


def missed(view: LedgerView) -> Iterator[Evident]:
    """One expected occurrence of regular pay or of a regular bill is absent past its grace."""
    for series in view.series:
        kind = _expected_kind(view, series)
        if kind is None:
            continue
        rows = series.occurrences
        for at, periods in enumerate(series.steps):
            if periods == 2 and at + 1 >= _needed(series) and _was_regular(series, at):
                yield _absent(view, series, kind, at, (rows[at].ordinal, rows[at + 1].ordinal))
        at = len(rows) - 1
        due = series.expected_day(at)
        grace = series.cadence.grace
        if (
            due + grace < view.horizon < series.expected_day(at, 2) + grace
            and at + 1 >= _needed(series) + 1
            and _was_regular(series, at)
        ):
            if (
                not _still_fed(view, rows, due)
                or _replaced(view, series)
                or (kind == "missed_bill" and not _is_contract(rows[-1]) and not _too_large_to_end(view, series))
            ):
                continue
            yield _absent(view, series, kind, at, (rows[at].ordinal, view.horizon))


def _was_regular(series: Series, at: int) -> bool:
    """Whether the series kept its period right before and in all but few cases."""
    recent = series.steps[max(0, at - 5) : at]
    if sum(step != 1 for step in recent) > 1:
        return False
    rest = [step for index, step in enumerate(series.steps) if index != at]
    return not rest or sum(step == 1 for step in rest) >= 0.85 * len(rest) or sum(step != 1 for step in rest) <= 1


def _replaced(view: LedgerView, series: Series) -> bool:
    """Whether something of the same kind and order of amount took over: another provider, another employer."""
    last = series.occurrences[-1]
    for row in view.rows:
        if (
            row.incoming != series.incoming
            or row.own_transfer
            or row.merchant == last.merchant
            or row.usual_category != last.usual_category
        ):
            continue
        first = view.merchants[(row.merchant, row.tx.currency, row.incoming)][0]
        # Pay and contracts may change in amount and day with who is behind them; anything else has to look the same.
        known = series.incoming or _is_contract(last)
        alike, earliest = (0.8, last.ordinal - 5) if known else (0.1, last.ordinal + series.cadence.days / 2)
        if (
            first.tx_id == row.tx_id
            and earliest <= row.ordinal <= last.ordinal + 2 * series.cadence.days
            and abs(row.log - last.log) <= alike
        ):
            return True
    return False


def new_recurring(view: LedgerView) -> Iterator[Evident]:
    """A monthly charge of one amount that was not there: three occurrences, and no older series goes on in it."""
    for series in view.series:
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
        if series.jitter > 3 or _was_there(view, series):
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


def _was_there(view: LedgerView, series: Series) -> bool:
    """Whether the merchant charged such an amount before, or another series ended that this one continues."""
    first = series.occurrences[0]
    own = [c for c in view.merchants[(first.merchant, first.tx.currency, False)] if c.ordinal < first.ordinal]
    if any(abs(c.log - first.log) <= 0.25 for c in own):
        return True
    for other in view.series:
        last = other.occurrences[-1]
        if other is series or other.incoming or other.currency != series.currency or len(other.occurrences) < _HISTORY:
            continue
        silence = first.ordinal - last.ordinal
        if 18 <= silence <= 48 and abs(last.log - first.log) <= 0.03 and 20 <= other.cadence.days <= 35:
            return True
    return any(_renamed_early(view, c, first) for c in view.rows)


def _renamed_early(view: LedgerView, row: Row, first: Row) -> bool:
    """Whether the row, too early in the ledger to be of a series, is the charge a month before under a former name."""
    if row.incoming or row.tx.currency != first.tx.currency or row.merchant == first.merchant:
        return False
    if not (26 <= first.ordinal - row.ordinal <= 35 and abs(row.log - first.log) <= 0.005):
        return False
    former = view.merchants[(row.merchant, row.tx.currency, False)]
    return former[-1].tx_id == row.tx_id and former[0].ordinal <= view.known_since(row) + 2 * _MONTH


def robust_spread(logs: Sequence[float], floor: float) -> tuple[float, float]:
    """(median, spread): the larger of what MAD and upper decile say of a standard deviation, at least ``floor``."""
    ordered = sorted(logs)
    centre = quantile(ordered, 0.5)
    mad = 1.4826 * median([abs(value - centre) for value in ordered])
    upper = (quantile(ordered, 0.9) - centre) / 1.2816
    return centre, max(mad, upper, floor)


def match_transfers(rows: Sequence[Transaction], ledger: Iterable[Transaction]) -> dict[str, str]:
    """Counterparts by transaction id, of those ``rows`` that look like transfers: the opposite amount in another
    account, posted within `WITHIN_DAYS` days, itself a transfer by its category. Each counterpart serves one row, the
    nearest in time."""
    others: dict[tuple[str, Decimal], dict[str, Transaction]] = {}
    for t in [*ledger, *rows]:
        if t.category in TRANSFERS:
            others.setdefault((t.currency, t.amount), {})[t.transaction_id] = t
    candidates = sorted(
        (abs((a.posted_on - b.posted_on).days), a.transaction_id, b.transaction_id)
        for a in rows
        if a.category in TRANSFERS
        for b in others.get((a.currency, -a.amount), {}).values()
        if a.account_id != b.account_id and abs((a.posted_on - b.posted_on).days) <= WITHIN_DAYS
    )
    found: dict[str, str] = {}
    taken: dict[str, str] = {}
    for _, row, counterpart in candidates:
        # of two rows of the batch each is the other's counterpart
        if taken.get(row, counterpart) == counterpart and taken.get(counterpart, row) == row and row not in found:
            found[row] = counterpart
            taken[row], taken[counterpart] = counterpart, row
    return found
