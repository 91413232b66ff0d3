"""Periods of time: days from a first to a last one, both included, and the arithmetic of months. Pure."""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import date
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


def everything(as_of: date) -> Period:
    return Period(EARLIEST, as_of, "the whole ledger", explicit=False)


def month_bounds(year: int, month: int) -> tuple[date, date]:
    return date(year, month, 1), date(year, month, calendar.monthrange(year, month)[1])


def add_months(day: date, months: int) -> date:
    """The same day of the month ``months`` later, or that month's last; never leaves the calendar."""
    index = min(max(day.year * 12 + day.month - 1 + months, 12), 9999 * 12 + 11)
    year, month = divmod(index, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))
