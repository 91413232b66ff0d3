"""Periods of time in plain English: from "last month" or "between 3 March and May 2026" to first and last day. Pure.

The words are those of ``times.toml``. Each list there names its reader, which takes the named groups of the pattern and
what else the list gives.
"""

from __future__ import annotations

import calendar
import re
import tomllib
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

from mosaic_core.domain.wordlists import patterns
from mosaic_core.ledger.periods import EARLIEST, Period, add_months, back, whole_months

_TIMES: Final = tomllib.loads(Path(__file__).with_name("times.toml").read_text(encoding="utf-8"))
_MONTHS: Final = {name.lower(): i for i, name in enumerate(calendar.month_name) if name} | {
    name.lower(): i for i, name in enumerate(calendar.month_abbr) if name
} | {"sept": 9}  # fmt: skip
_WEEKDAYS: Final = tuple(name.lower() for name in calendar.day_name)
_SEASONS: Final[dict[str, int]] = _TIMES["seasons"]
_ORDINALS: Final[dict[str, int]] = _TIMES["ordinals"]
_NUMBERS: Final[dict[str, int]] = {
    word: i for i, word in enumerate(_TIMES["numbers"]["words"].split())
} | _TIMES["numbers"]["special"]  # fmt: skip
MONTH_WORDS: Final = tuple(_MONTHS)
NUMBER_WORDS: Final = frozenset(word for word in _NUMBERS if " " not in word)
TIME_WORDS: Final = frozenset({*_MONTHS, *_SEASONS, *_WEEKDAYS, *_TIMES["words"]["words"].split()})

type _Said = Mapping[str, Any]
"""What is said of a time: the pattern's groups by their names, what the list gives, and the ``text`` as it stands."""
type _Reader = Callable[[_Said, date], Period | None]


def number(text: str) -> int | None:
    """ "3", "three" or "a couple of" as a number; None for anything else."""
    text = " ".join(text.split())
    if text.isdecimal() and text.isascii():
        return int(text[:9])
    return _NUMBERS.get(text)


def find_periods(question: str, as_of: date) -> tuple[list[Period], str]:
    """The periods that a question names, in its order, and the question without them (a gap is left as " ~ ")."""
    found = mark_periods(question, as_of)
    rest = question
    for start, end, _ in reversed(found):
        rest = f"{rest[:start]} ~ {rest[end:]}"
    return [period for _, _, period in found], " ".join(rest.split())


def mark_periods(question: str, as_of: date) -> list[tuple[int, int, Period]]:
    """The periods that a question names, each with where it stands, in its order."""
    found: list[tuple[int, int, Period]] = []
    taken = bytearray(len(question))
    for pattern, entry in _ANYWHERE:
        for match in pattern.finditer(question):
            start, end = match.span()
            if start == end or any(taken[start:end]) or _is_the_verb(match, question):
                continue
            try:
                period = _read(match, entry, as_of)
            except (ValueError, OverflowError):
                continue
            if period is not None:
                found.append((start, end, period))
                taken[start:end] = b"\x01" * (end - start)
    return sorted(found, key=lambda item: item[0])


_BEFORE_MAY: Final = re.compile(r"(?:\b(?:vs|versus|and|to|than|or)|,)\s*$")
_AFTER_MAY: Final = re.compile(r"\s+(?:i|we|be|have|you)\b")


def _is_the_verb(match: re.Match[str], question: str) -> bool:
    """ "May" is a month only where it stands like one."""
    if match.group().strip() != "may" or _BEFORE_MAY.search(question[: match.start()]):
        return False
    return _AFTER_MAY.match(question, match.end()) is not None


# ------------------------------------------------------------------------------------------------ parts of the readers


_MONTH: Final = re.compile(r"\b(?:" + "|".join(sorted(_MONTHS, key=len, reverse=True)) + r")\b")
_YEAR: Final = re.compile(r"(?:19|20)\d\d")
_NUMERIC: Final = re.compile(r"[\d/-]+")
_BARE_DAY: Final = re.compile(r"(?:the )?(\d{1,2})(?:st|nd|rd|th)?")
_YEAR_SAID: Final = re.compile(rf"{_YEAR.pattern}|last|this|ago|year|today|now")
_OPENS_IN_A_YEAR: Final = re.compile(rf"(?:the )?(?:{_MONTH.pattern}|\d{{1,2}}(?:st|nd|rd|th)? |q[1-4])")
_UNITS: Final = {"d": "day", "w": "week", "m": "month", "q": "quarter", "y": "year"}
_IN_DAYS: Final = {"d": 1, "w": 7}
_IN_MONTHS: Final = {"m": 1, "q": 3, "y": 12}


def _point(text: str, as_of: date) -> Period:
    """A single named stretch, as one end of a range. Raises ValueError where it names none."""
    for pattern, entry in _LISTS:
        match = pattern.fullmatch(text.strip())
        period = _read(match, entry, as_of) if match else None
        if period is not None:
            return period
    raise ValueError("no time is named")


def _count(said: _Said) -> int:
    """How many units; raises ValueError where none is meant."""
    count: int | None = said["n"] if isinstance(said["n"], int) else number(said["n"]) or None
    if count is None:
        raise ValueError("no number")
    return count


def _before(day: date, count: int, unit: str) -> date:
    """The day so many units before."""
    days = _IN_DAYS.get(unit[0])
    return back(day, days * count) if days else add_months(day, -count * _IN_MONTHS[unit[0]])


def _year(said: str, as_of: date, month: int, months: int = 1) -> int:
    """The year of a stretch that opens with the month: as it is said, else the latest in which it has begun; where the
    last one is asked for, the latest in which it is over."""
    if digits := _YEAR.search(said):
        return int(digits[0])
    if "last year" in said or "previous year" in said:
        return as_of.year - 1
    if "this" in said:
        return as_of.year
    year = as_of.year - (as_of.month < month)
    running = year == as_of.year and as_of < add_months(date(year, month, 1), months)
    return year - ("last" in said and running)


def _day(text: str, as_of: date) -> date:
    """A day by its date. Without a year it is the latest that has come."""
    numbers = [int(digits) for digits in re.findall(r"\d+", text)]
    if _NUMERIC.fullmatch(text):
        first, second, third = numbers
        if first > 31:
            return date(*numbers)
        return date(third, first, second) if first <= 12 else date(third, second, first)
    month = _month_in(text)
    day, *years = numbers
    guess = date(years[0] if years else as_of.year, month, day)
    return guess if years or guess <= as_of else guess.replace(year=guess.year - 1)


def _month_in(text: str) -> int:
    return next(_MONTHS[name] for name in _MONTH.findall(text))


def _days(start: date, end: date) -> Period | None:
    return Period(start, end, f"{start} to {end}") if start <= end else None


# ---------------------------------------------------------------------------------------------------------- the readers


def _rolling(said: _Said, as_of: date) -> Period:
    """The last so many units up to and including today."""
    count, unit = _count(said), said["u"]
    start = _before(as_of, count, unit) + timedelta(days=1)
    label = f"the last {count} {unit}" if count != 1 else f"the last {unit.rstrip('s')}"
    return Period(min(start, as_of), as_of, label)


def _calendar(said: _Said, as_of: date) -> Period:
    """The calendar day, week (Monday to Sunday), month, quarter or year so many before the running one; ``so_far`` ends
    with today, ``year_before`` is the one of a year ago."""
    today = add_months(as_of, -12) if "year_before" in said else as_of
    ago, unit = _count(said), said["u"][0]
    which = {0: "this", 1: "last"}.get(ago, f"{ago} {_UNITS[unit]}s ago, the")
    if unit in _IN_DAYS:
        step = _IN_DAYS[unit]
        start = back(today, today.weekday() % step) - timedelta(days=step * ago)
        label = f"{which} week" if step == 7 else {0: "today", 1: "yesterday"}.get(ago, start.isoformat())
        period = Period(start, start + timedelta(days=step - 1), label)
    else:
        months = _IN_MONTHS[unit]
        running = today.replace(day=1, month=today.month - (today.month - 1) % months)
        period = whole_months(add_months(running, -months * ago), months)
        if months == 1:
            period = Period(period.start, period.end, f"{which} month ({period.label})")
    return Period(period.start, min(period.end, as_of), period.label) if "so_far" in said else period


def _range(said: _Said, as_of: date) -> Period | None:
    """From one time to another."""
    if " and " in said["text"] and not said["text"].startswith("between"):
        return None
    first, last = said["a"], said["b"]
    a = _point(first, as_of)
    if bare := _BARE_DAY.fullmatch(last):
        # "June 3 to 10": the month is said once.
        return _days(a.start, a.start.replace(day=int(bare[1]))) if a.days == 1 else None
    b = _point(last, as_of)
    year = _YEAR.search(last)
    if year and not _YEAR_SAID.search(first):
        # "March to May 2025": the year belongs to both.
        with suppress(ValueError):
            a = _point(f"{first} {year.group()}", as_of)
    alone = a
    if a.start > b.end and _OPENS_IN_A_YEAR.match(first) and not _YEAR.search(first):
        # "November to July 2025": the November before.
        a = Period(add_months(a.start, -12), add_months(a.end, -12), f"{a.label.rsplit(' ', 1)[0]} {a.start.year - 1}")
    return Period(a.start, b.end, f"{a.label} to {b.label}", parts=(a, b), alone=alone) if a.start <= b.end else None


def _within_month(said: _Said, as_of: date) -> Period | None:
    """ "3 to 17 March": the month is said once."""
    end = _day(said["b"], as_of)
    return _days(end.replace(day=int(said["a"])), end)


def _since(said: _Said, as_of: date) -> Period:
    point = _point(said["p"], as_of)
    start = point.end + timedelta(days=1) if said["w"] == "after" else point.start
    return Period(start, max(start, as_of), f"{said['w']} {point.label}")


def _until(said: _Said, as_of: date) -> Period:
    point = _point(said["p"], as_of)
    end = back(point.start, 1) if said["w"] in ("before", "prior to") else point.end
    return Period(EARLIEST, end, f"{said['w']} {point.label}")


def _whole(text: str, as_of: date) -> Period:
    """What something is the first or the last of: the running year or month to its end, else what is named."""
    running = re.fullmatch(r"(?:(?:the|this|new) )?(year)|(month)", text)
    return _calendar({"u": running[1] or running[2], "n": 0}, as_of) if running else _point(text, as_of)


def _edge(said: _Said, as_of: date) -> Period:
    whole = _whole(said["p"], as_of)
    day = whole.end if said["e"] == "end" else whole.start
    return Period(day, day, said["text"])


def _first_days(said: _Said, as_of: date) -> Period:
    """ "The first two weeks of May", "the last three months of 2025"."""
    whole = _whole(said["p"], as_of)
    count = min(_count(said), 400)
    if said["w"] in ("first", "opening"):
        end = back(_before(whole.start, -count, said["u"]), 1)
        return Period(whole.start, min(whole.end, end), said["text"])
    start = _before(whole.end + timedelta(days=1), count, said["u"])
    return Period(max(whole.start, start), whole.end, said["text"])


def _full_months(said: _Said, as_of: date) -> Period:
    count = _count(said)
    return whole_months(add_months(as_of, -count), count, f"the last {count} full months")


def _half(said: _Said, as_of: date) -> Period:
    year, half = _year(said.get("y", ""), as_of, month=1), _ORDINALS[said["h"]]
    return whole_months(date(year, 6 * half - 5, 1), 6, f"the {'first' if half == 1 else 'second'} half of {year}")


def _season(said: _Said, as_of: date) -> Period:
    month = _SEASONS[said["s"]]
    year = _year(said.get("y") or ("last" if said.get("l") == "last" else ""), as_of, month, months=3)
    return whole_months(date(year, month, 1), 3, f"{said['s']} {year}")


def _quarter(said: _Said, as_of: date) -> Period:
    month = 3 * _ORDINALS[said["q"]] - 2
    return whole_months(date(_year(said.get("y", ""), as_of, month), month, 1), 3)


def _month(said: _Said, as_of: date) -> Period:
    text = said["m"]
    if _NUMERIC.fullmatch(text):
        year, month = sorted(map(int, re.split("[-/]", text)), reverse=True)
    else:
        month = _month_in(text)
        year = _year(text, as_of, month)
    return whole_months(date(year, month, 1), 1)


def _year_named(said: _Said, as_of: date) -> Period:
    return whole_months(date(int(said["y"]), 1, 1), 12)


def _single_day(said: _Said, as_of: date) -> Period:
    day = _day(said["d"], as_of)
    return Period(day, day, said.get("label", day.isoformat()))


def _day_ago(said: _Said, as_of: date) -> Period:
    day = _before(as_of, _count(said), said["u"])
    return Period(day, day, said["text"])


def _weekend(said: _Said, as_of: date) -> Period:
    """The weekend of the running week, or the last one that is over."""
    saturday = back(as_of, (as_of.weekday() - 5) % 7)
    if said["l"] != "this" and as_of.weekday() >= 5:
        saturday = back(saturday, 7)
    return Period(saturday, saturday + timedelta(days=1), f"the weekend of {saturday}")


def _weekday(said: _Said, as_of: date) -> Period:
    days = (as_of.weekday() - _WEEKDAYS.index(said["w"])) % 7
    day = back(as_of, days if days or said["l"] == "on" else 7)
    return Period(day, day, f"{said['w']} {day}")


_BY_NAME: Final[Mapping[str, _Reader]] = {
    reader.__name__.removeprefix("_"): reader
    for reader in (
        *(_rolling, _calendar, _range, _within_month, _since, _until, _edge, _first_days, _full_months, _half, _season),
        *(_quarter, _month, _year_named, _single_day, _day_ago, _weekend, _weekday),
    )
}


def _read(match: re.Match[str], entry: Mapping[str, Any], as_of: date) -> Period | None:
    groups = {name: words for name, words in match.groupdict().items() if words is not None}
    return _BY_NAME[entry["reader"]]({**entry, "text": match.group().strip(), **groups}, as_of)


_LISTS: Final = [
    (re.compile(rf"(?<![\w$€£])(?:{written})(?!\w)"), entry)
    for entry in _TIMES.values()
    if "reader" in entry
    for written, _ in patterns(entry["patterns"], _TIMES["names"])
]
_ANYWHERE: Final = [(pattern, entry) for pattern, entry in _LISTS if "only_as_an_end" not in entry]
