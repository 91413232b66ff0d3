"""The times of a question put together: one stretch, or two that are compared. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

from mosaic_core.agents.offline.reading.facts import Facts, Meaning
from mosaic_core.agents.offline.reading.marks import Tag
from mosaic_core.ledger.periods import Period, add_months, everything
from mosaic_core.ledger.query import Intent

type Times = tuple[Period, Period | None]


def times_of(facts: Facts, meaning: Meaning, periods: Sequence[Period], as_of: date) -> Times | None:
    """The question's period and the one it is compared with; None where its times cannot be put together."""
    if meaning.intent not in (Intent.COMPARE, Intent.CHANGES) or meaning.by_subject:
        joined = _joined(periods) if periods else everything(as_of)
        return (joined, None) if joined is not None else None
    if len(periods) > 2:
        return None
    if len(periods) == 2:
        first, second = periods
    elif periods and len(periods[0].parts) == 2:
        first, second = periods[0].parts
        if facts.said("between") and not meaning.later_first:
            # No stretch from one to the other: each is the one that its name means by itself.
            first = periods[0].alone or first
    else:
        first = periods[0] if periods else Period(as_of.replace(day=1), as_of, f"this month ({as_of:%B %Y})")
        return first, _year_earlier(first) if facts.has(Tag.YEAR_EARLIER) else _before(first)
    if (meaning.later_first and second.start > first.start) or meaning.swapped:
        first, second = second, first
    return first, second


def _joined(periods: Sequence[Period]) -> Period | None:
    """Several periods in one question that does not compare: from the first day to the last where they touch, else the
    narrowest that lies in the others ("in May this year"); None where they leave a gap."""
    ordered = sorted(periods, key=lambda p: (p.days, p.start))
    if all(ordered[0].start >= p.start and ordered[0].end <= p.end for p in ordered[1:]):
        return ordered[0]
    by_day = sorted(periods, key=lambda p: p.start)
    end = by_day[0].end
    for period in by_day[1:]:
        if period.start > end + timedelta(days=1):
            return None
        end = max(end, period.end)
    return Period(by_day[0].start, end, " and ".join(p.label for p in periods))


def _year_earlier(period: Period) -> Period:
    return Period(add_months(period.start, -12), add_months(period.end, -12), "a year earlier")


def _before(period: Period) -> Period:
    """The period of the same kind just before."""
    if period.start.day == 1 and (period.end.month, period.end.year) == (period.start.month, period.start.year):
        start = add_months(period.start, -1)
        end = date.fromordinal(max(1, period.start.toordinal() - 1))
        return Period(start, end, f"{start:%B %Y}")
    if (period.start.month, period.start.day) == (1, 1) and period.end.year == period.start.year and period.days > 92:
        year = max(1, period.start.year - 1)
        return Period(date(year, 1, 1), date(year, 12, 31), str(year))
    if period.start.day == 1 and 89 <= period.days <= 92:
        start = add_months(period.start, -3)
        return Period(start, date.fromordinal(max(1, period.start.toordinal() - 1)), f"the quarter from {start}")
    last = max(2, period.start.toordinal() - 1)
    first = date.fromordinal(max(1, last - period.days + 1))
    return Period(first, date.fromordinal(last), f"{first} to {date.fromordinal(last)}")
