"""Periods of time: days from a first to a last one, both included, and the arithmetic of months. Pure."""

from __future__ import annotations

import calendar
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

EARLIEST: Final = date(1900, 1, 1)
"""No row is older."""


@dataclass(frozen=True, slots=True)
class Period:
    """The days ``start`` to ``end``, both included. ``label`` reads well after "in" or alone; ``explicit`` is False for
    the whole ledger, asked by saying nothing; ``parts`` are the two ends of a range of whole periods ("from March to
    May"), which a comparison takes one by one; ``alone`` is the first of them where it means another one by itself."""

    start: date
    end: date
    label: str
    explicit: bool = True
    parts: tuple[Period, ...] = ()
    alone: Period | None = None

    @property
    def days(self) -> int:
        return (self.end - self.start).days + 1

    @property
    def weekdays(self) -> frozenset[int]:
        """The days of the week that it has, Monday 0."""
        return frozenset((self.start.weekday() + day) % 7 for day in range(min(self.days, 7)))


def everything(as_of: date) -> Period:
    return Period(EARLIEST, as_of, "the whole ledger", explicit=False)


def month_bounds(year: int, month: int) -> tuple[date, date]:
    return date(year, month, 1), date(year, month, calendar.monthrange(year, month)[1])


def add_months(day: date, months: int) -> date:
    """The same day of the month ``months`` later, or that month's last; never leaves the calendar."""
    index = min(max(day.year * 12 + day.month - 1 + months, 12), 9999 * 12 + 11)
    year, month = divmod(index, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def back(day: date, days: int) -> date:
    """So many days before, not before any ledger."""
    return date.fromordinal(max(EARLIEST.toordinal(), day.toordinal() - days))


def whole_months(first: date, count: int, label: str = "") -> Period:
    """``count`` calendar months from the one of ``first``; a month, a quarter and a year have a name of their own."""
    last = add_months(first, count - 1)
    named = {3: f"Q{(first.month + 2) // 3} {first.year}", 12: f"{first.year}"}
    label = label or named.get(count, f"{calendar.month_name[first.month]} {first.year}")
    return Period(first.replace(day=1), month_bounds(last.year, last.month)[1], label)


def joined(periods: Sequence[Period]) -> Period | None:
    """Several periods as one: from the first day to the last where they touch, else the narrowest that lies in the
    others ("in May this year"); None where they leave a gap."""
    narrowest = min(periods, key=lambda p: (p.days, p.start))
    if all(p.start <= narrowest.start and narrowest.end <= p.end for p in periods):
        return narrowest
    by_day = sorted(periods, key=lambda p: p.start)
    end = by_day[0].end
    for period in by_day[1:]:
        if period.start > end + timedelta(days=1):
            return None
        end = max(end, period.end)
    return Period(by_day[0].start, end, " and ".join(p.label for p in periods))


def year_earlier(period: Period) -> Period:
    return Period(add_months(period.start, -12), add_months(period.end, -12), "a year earlier")


def just_before(period: Period) -> Period:
    """The period of the same kind just before: a month, a year or a quarter, else as many days."""
    start, end = period.start, period.end
    if start.day == 1 and (end.year, end.month) == (start.year, start.month):
        return whole_months(add_months(start, -1), 1)
    if (start.month, start.day, start.year) == (1, 1, end.year) and period.days > 92:
        return whole_months(add_months(start, -12), 12)
    if start.day == 1 and 89 <= period.days <= 92:
        start = add_months(start, -3)
        return whole_months(start, 3, f"the quarter from {start}")
    last = date.fromordinal(max(2, start.toordinal() - 1))
    first = date.fromordinal(max(1, last.toordinal() - period.days + 1))
    return Period(first, last, f"{first} to {last}")
