"""Periods of time in plain English: from "last month" or "between 3 March and May 2026" to first and last day. Pure.

The words are those of `lexicon/times.toml`; each list there has its reader here, by its name.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable
from datetime import date, timedelta
from typing import Final

from mosaic_core.agents.offline.lexicon import load, patterns
from mosaic_core.ledger.periods import EARLIEST, Period, add_months, month_bounds

_TIMES: Final = load("times")
_NAMES: Final[dict[str, str]] = _TIMES["names"]
_MONTHS: Final = {name.lower(): i for i, name in enumerate(calendar.month_name) if name} | {
    name.lower(): i for i, name in enumerate(calendar.month_abbr) if name
} | {"sept": 9}  # fmt: skip
_WEEKDAYS: Final = tuple(name.lower() for name in calendar.day_name)
_SEASONS: Final = {"spring": 3, "summer": 6, "autumn": 9, "fall": 9, "winter": 12}
_NUMBERS: Final[dict[str, int]] = {
    word: i for i, word in enumerate(_TIMES["numbers"]["words"].split())
} | _TIMES["numbers"]["special"]  # fmt: skip
MONTH_WORDS: Final = tuple(_MONTHS)
NUMBER_WORDS: Final = frozenset(word for word in _NUMBERS if " " not in word)
TIME_WORDS: Final = frozenset({*_MONTHS, *_SEASONS, *_WEEKDAYS, *_TIMES["words"]["words"].split()})

type _Reader = Callable[[re.Match[str], date], Period | None]


def number(text: str) -> int | None:
    """ "3", "three" or "a couple of" as a number; None for anything else."""
    text = " ".join(text.split())
    if text.isdecimal() and text.isascii():
        return int(text[:9])
    return _NUMBERS.get(text)


def _named(name: str) -> re.Pattern[str]:
    """One of the parts that the patterns are made of."""
    ((written, _),) = patterns(f"{{{name}}}", _NAMES)
    return re.compile(written)


_MONTH: Final = _named("month")
_YEAR: Final = _named("year")
_DAY: Final = _named("day")
_AGO: Final = _named("ago")


def find_periods(question: str, as_of: date) -> tuple[list[Period], str]:
    """The periods that a question names, in its order, and the question without them (a gap is left as " ~ ")."""
    rest, at = "", 0
    found = mark_periods(question, as_of)
    for start, end, _ in found:
        rest += question[at:start] + " ~ "
        at = end
    return [period for _, _, period in found], " ".join((rest + question[at:]).split())


def mark_periods(question: str, as_of: date) -> list[tuple[int, int, Period]]:
    """The periods that a question names, each with where it stands, in its order."""
    found: list[tuple[int, int, Period]] = []
    taken = bytearray(len(question))
    for pattern, reader in _COMPILED:
        for match in pattern.finditer(question):
            start, end = match.span()
            if start == end or any(taken[start:end]) or _is_the_verb(match, question):
                continue
            try:
                period = reader(match, as_of)
            except (ValueError, OverflowError):
                period = None
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


# ------------------------------------------------------------------------------------------------------ single times


_ISO_DAY: Final = re.compile(r"(\d{4})[-/](\d\d)[-/](\d\d)")
_SLASHED_DAY: Final = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})")
_NUMERIC_MONTH: Final = re.compile(r"\d{4}-\d\d|\d{1,2}/\d{4}")
_NTH: Final = re.compile(r"\b(\d{1,2})(?:st|nd|rd|th)?\b(?!\d)")
_BARE_DAY: Final = re.compile(r"(?:the )?(\d{1,2})(?:st|nd|rd|th)?")
_EDGE: Final = re.compile(r"(?:the )?(start|beginning|end) of (?:the )?(.+)")
_YEAR_SAID: Final = re.compile(rf"{_YEAR.pattern}|last|this|ago|year|today|now")
_OPENS_IN_A_YEAR: Final = re.compile(rf"(?:the )?(?:{_MONTH.pattern}|\d{{1,2}}(?:st|nd|rd|th)? |q[1-4])")
_IN_MONTHS: Final = {"m": 1, "q": 3, "y": 12}
_QUARTERS: Final = {
    name: quarter
    for quarter, names in enumerate(("q1 first 1st", "q2 second 2nd", "q3 third 3rd", "q4 fourth 4th last final"), 1)
    for name in names.split()
}


def _day(text: str, as_of: date) -> date | None:
    text = text.replace(".", "")
    try:
        if match := _ISO_DAY.fullmatch(text):
            return date(*map(int, match.groups()))
        if match := _SLASHED_DAY.fullmatch(text):
            first, second, year = map(int, match.groups())
            return date(year, first, second) if first <= 12 else date(year, second, first)
        name, day, said = _MONTH.search(text), _NTH.search(text), _YEAR.search(text)
        if name is None or day is None:
            return None
        guess = date(int(said.group()) if said else as_of.year, _MONTHS[name.group()], int(day[1]))
        return guess if said or guess <= as_of else guess.replace(year=guess.year - 1)
    except ValueError:
        return None


def _named_month(text: str, as_of: date) -> Period | None:
    text = text.replace(".", "").replace(",", "").strip()
    name = _MONTH.search(text)
    if _NUMERIC_MONTH.fullmatch(text):
        a, b = map(int, re.split("[-/]", text))
        year, month = (a, b) if a > 12 else (b, a)
        if not 1 <= month <= 12:
            return None
    elif name is None:
        return None
    else:
        month = _MONTHS[name.group()]
        said = _YEAR.search(text)
        year = int(said.group()) if said else as_of.year - _years_ago(text, month, as_of)
    return Period(*month_bounds(year, month), f"{calendar.month_name[month]} {year}")


def _years_ago(text: str, month: int, as_of: date) -> int:
    """How many years ago a month is meant whose year is not said."""
    if "last year" in text or "previous year" in text:
        return 1
    if text.startswith("this ") or "this year" in text:
        return 0
    return int(month > as_of.month or (text.startswith("last ") and month == as_of.month))


def _rolling(count: int, unit: str, as_of: date) -> Period:
    """The last ``count`` units up to and including today."""
    start = _before(as_of, count, unit) + timedelta(days=1)
    label = f"the last {count} {unit}" if count != 1 else f"the last {unit.rstrip('s')}"
    return Period(min(start, as_of), as_of, label)


def _before(day: date, count: int, unit: str) -> date:
    """The day so many units before."""
    days = {"d": 1, "w": 7}.get(unit[0])
    return _back(day, days * count) if days else add_months(day, -count * _IN_MONTHS[unit[0]])


def _back(day: date, days: int) -> date:
    return date.fromordinal(max(EARLIEST.toordinal(), day.toordinal() - days))


def _calendar(unit: str, offset: int, as_of: date) -> Period:
    """The calendar day, week (Monday to Sunday), month, quarter or year ``offset`` units from the running one."""
    unit = unit.rstrip("s")
    word = {0: "this ", -1: "last "}.get(offset, f"{-offset} {unit}s ago, the ")
    if unit == "week":
        monday = _back(as_of, as_of.weekday()) + timedelta(days=7 * offset)
        return Period(monday, monday + timedelta(days=6), word + "week")
    if unit == "day":
        day = as_of + timedelta(days=offset)
        return Period(day, day, {0: "today", -1: "yesterday"}.get(offset, day.isoformat()))
    if unit == "month":
        start, end = month_bounds(*_ym(add_months(as_of.replace(day=1), offset)))
        return Period(start, end, f"{word}month ({calendar.month_name[start.month]} {start.year})")
    if unit == "quarter":
        first = add_months(as_of.replace(day=1, month=3 * ((as_of.month - 1) // 3) + 1), 3 * offset)
        return _quarter((first.month - 1) // 3 + 1, first.year)
    year = max(1, as_of.year + offset)
    return Period(date(year, 1, 1), date(year, 12, 31), f"{year}")


def _ym(day: date) -> tuple[int, int]:
    return day.year, day.month


def _quarter(quarter: int, year: int) -> Period:
    start = date(year, 3 * quarter - 2, 1)
    return Period(start, month_bounds(year, 3 * quarter)[1], f"Q{quarter} {year}")


def _year_of(text: str | None, as_of: date) -> int | None:
    if not text:
        return None
    if text.strip().isdigit():
        return int(text)
    return as_of.year - 1 if "last" in text else as_of.year


def _point(text: str, as_of: date) -> Period | None:
    """A single named stretch, as one end of a range."""
    text = text.strip()
    if edge := _EDGE.fullmatch(text):
        whole = _calendar(edge[2], 0, as_of) if edge[2] in ("year", "month") else _point(edge[2], as_of)
        day = None if whole is None else whole.end if edge[1] == "end" else whole.start
        return Period(day, day, text) if day else None
    if text in ("today", "now"):
        return Period(as_of, as_of, "today")
    if text in ("new year", "christmas"):
        year = as_of.year if text == "new year" or (as_of.month, as_of.day) >= (12, 25) else as_of.year - 1
        day = date(year, 1, 1) if text == "new year" else date(year, 12, 25)
        return Period(day, day, text)
    if ago := _AGO.fullmatch(text):
        day = _before(as_of, number(ago["n"]) or 1, ago["u"])
        return Period(day, day, text)
    if _DAY.fullmatch(text):
        return _single_day(text, as_of)
    for pattern, reader in _READERS:
        if (match := pattern.fullmatch(text)) is not None:
            return reader(match, as_of)
    return None


def _range(match: re.Match[str], as_of: date) -> Period | None:
    if " and " in match.group() and not match.group().startswith("between"):
        return None
    first, last = match["a"], match["b"]
    a, b = _point(first, as_of), _point(last, as_of)
    if a is None or b is None:
        # "June 3 to 10": the month is said once.
        bare = _BARE_DAY.fullmatch(last.strip())
        if a is not None and bare and a.days == 1 and 1 <= int(bare[1]) <= calendar.monthrange(*_ym(a.start))[1]:
            end = a.start.replace(day=int(bare[1]))
            return Period(a.start, end, f"{a.start} to {end}") if end >= a.start else None
        return None
    year = _YEAR.search(last)
    if year and not _YEAR_SAID.search(first):
        # "March to May 2025": the year belongs to both.
        a = _point(f"{first} {year.group()}", as_of) or a
    alone = a
    if a.start > b.end and _OPENS_IN_A_YEAR.match(first) and not _YEAR.search(first):
        # "November to July 2025": the November before.
        a = Period(add_months(a.start, -12), add_months(a.end, -12), f"{a.label.rsplit(' ', 1)[0]} {a.start.year - 1}")
    if a.start > b.end:
        return None
    return Period(a.start, b.end, f"{a.label} to {b.label}", parts=(a, b), alone=alone)


def _since(match: re.Match[str], as_of: date) -> Period | None:
    point = _point(match["p"], as_of)
    if point is None:
        return None
    word = match.groupdict().get("w") or "since"
    start = point.end + timedelta(days=1) if word == "after" else point.start
    return Period(start, max(start, as_of), f"{word} {point.label}")


def _until(match: re.Match[str], as_of: date) -> Period | None:
    point = _point(match["p"], as_of)
    if point is None:
        return None
    inclusive = match["w"] not in ("before", "prior to")
    end = point.end if inclusive else _back(point.start, 1)
    return Period(EARLIEST, end, f"{match['w']} {point.label}")


def _season(match: re.Match[str], as_of: date) -> Period:
    month = _SEASONS[match["s"]]
    year = _year_of(match["y"], as_of)
    if year is None:
        year = as_of.year - (as_of.month < month)
        if match["l"] == "last" and year == as_of.year and as_of < add_months(date(year, month, 1), 3):
            year -= 1
    start = date(year, month, 1)
    return Period(start, _back(add_months(start, 3), 1), f"{match['s']} {year}")


def _quarter_named(match: re.Match[str], as_of: date) -> Period:
    quarter = _QUARTERS[match["q"]]
    year = _year_of(match["y"], as_of)
    if year is None:
        year = as_of.year if date(as_of.year, 3 * quarter - 2, 1) <= as_of else as_of.year - 1
    return _quarter(quarter, year)


def _full_months(match: re.Match[str], as_of: date) -> Period | None:
    count = number(match["n"])
    if not count:
        return None
    end = _back(as_of.replace(day=1), 1)
    return Period(add_months(end.replace(day=1), 1 - count), end, f"the last {count} full months")


def _last_n(match: re.Match[str], as_of: date) -> Period | None:
    count = number(match["n"])
    return _rolling(count, match["u"], as_of) if count else None


def _first_days(match: re.Match[str], as_of: date) -> Period | None:
    """ "The first two weeks of May", "the last three months of 2025"."""
    named = match["p"]
    whole = _calendar("year", -1 if "last" in named else 0, as_of) if named.endswith("year") else _point(named, as_of)
    count = min(number(match["n"] or "1") or 0, 400)
    if whole is None or not count:
        return None
    if match["w"] in ("first", "opening"):
        end = _back(_before(whole.start, -count, match["u"]), 1)
        return Period(whole.start, min(whole.end, end), match.group())
    start = _before(whole.end + timedelta(days=1), count, match["u"])
    return Period(max(whole.start, start), whole.end, match.group())


def _half_of(match: re.Match[str], as_of: date) -> Period:
    year = _year_of(match["y"], as_of) or as_of.year
    if match["h"] in ("first", "1st", "h1"):
        return Period(date(year, 1, 1), date(year, 6, 30), f"the first half of {year}")
    return Period(date(year, 7, 1), date(year, 12, 31), f"the second half of {year}")


def _within_month(match: re.Match[str], as_of: date) -> Period | None:
    """ "3 to 17 March": the month is said once."""
    end = _day(match["b"], as_of)
    if end is None or not 1 <= int(match["a"]) <= end.day:
        return None
    start = end.replace(day=int(match["a"]))
    return Period(start, end, f"{start} to {end}")


def _weekend(match: re.Match[str], as_of: date) -> Period:
    """The weekend of the running week, or the last one that is over."""
    saturday = _back(as_of, (as_of.weekday() - 5) % 7)
    if match["l"] != "this" and as_of.weekday() >= 5:
        saturday = _back(saturday, 7)
    return Period(saturday, saturday + timedelta(days=1), f"the weekend of {saturday}")


def _weekday_before(match: re.Match[str], as_of: date) -> Period:
    back = (as_of.weekday() - _WEEKDAYS.index(match["w"])) % 7
    day = _back(as_of, back if back or match["l"] == "on" else 7)
    return Period(day, day, f"{match['w']} {day}")


def _units_ago(match: re.Match[str], as_of: date) -> Period | None:
    """ "3 days ago" is that day; "2 months ago" the calendar month that was, as weeks and years are."""
    count = number(match["n"])
    return _calendar(match["u"], -count, as_of) if count else None


def _single_day(text: str, as_of: date) -> Period | None:
    found = _day(text, as_of)
    return Period(found, found, found.isoformat()) if found else None


def _to_date(period: Period, as_of: date) -> Period:
    return Period(period.start, min(period.end, as_of), period.label)


def _christmas_or_new_year(match: re.Match[str], as_of: date) -> Period | None:
    return _point("new year" if "new" in match.group() else "christmas", as_of)


def _whole_year(match: re.Match[str], as_of: date) -> Period:
    year = int(match["y"])
    return Period(date(year, 1, 1), date(year, 12, 31), match["y"])


def _running(match: re.Match[str], as_of: date) -> Period:
    unit = {"y": "year", "q": "quarter", "m": "month"}.get(match["u"], match["u"])
    return _to_date(_calendar(unit, 0, as_of), as_of)


_BY_NAME: Final[dict[str, _Reader]] = {
    "last_n_until_today": _last_n,
    "day_before_yesterday": lambda _, as_of: _calendar("day", -2, as_of),
    "range": _range,
    "within_month": _within_month,
    "since": _since,
    "until": _until,
    "first_days": _first_days,
    "full_months": _full_months,
    "last_n": _last_n,
    "past_one": lambda match, as_of: _rolling(1, match["u"], as_of),
    "before_last": lambda match, as_of: _calendar(match["u"], -2, as_of),
    "same_last_year": lambda match, as_of: _calendar(match["u"] or "month", 0, add_months(as_of, -12)),
    "half": _half_of,
    "season": _season,
    "quarter_named": _quarter_named,
    "single_day": lambda match, as_of: _single_day(match["d"], as_of),
    "month_named": lambda match, as_of: _named_month(match["m"], as_of),
    "last_one": lambda match, as_of: _calendar(match["u"], -1, as_of),
    "this_one": _running,
    "feast": _christmas_or_new_year,
    "fortnight": lambda _, as_of: _rolling(2, "weeks", as_of),
    "weekend": _weekend,
    "weekday": _weekday_before,
    "units_ago": _units_ago,
    "yesterday": lambda _, as_of: _calendar("day", -1, as_of),
    "today": lambda _, as_of: _calendar("day", 0, as_of),
    "next_one": lambda match, as_of: _calendar(match["u"], 1, as_of),
    "tomorrow": lambda _, as_of: _calendar("day", 1, as_of),
    "year": _whole_year,
}
_READERS: Final = tuple(
    (re.compile(written), _BY_NAME[name])
    for name, entry in _TIMES.items()
    if "patterns" in entry
    for written, _ in patterns(entry["patterns"], _NAMES)
)
_COMPILED: Final = tuple((re.compile(rf"(?<![\w$€£])(?:{p.pattern})(?!\w)"), reader) for p, reader in _READERS)
