"""Periods of time in plain English: from "last month" or "between 3 March and May 2026" to first and last day. Pure."""

# ruff: noqa: E501 - patterns and word lists read worse when they are broken
from __future__ import annotations

import calendar
import re
from collections.abc import Callable
from datetime import date, timedelta
from typing import Final

from mosaic_core.ledger.periods import EARLIEST, Period, add_months, month_bounds

_MONTHS: Final = {name.lower(): i for i, name in enumerate(calendar.month_name) if name} | {
    name.lower(): i for i, name in enumerate(calendar.month_abbr) if name
} | {"sept": 9}  # fmt: skip
_WEEKDAYS: Final = tuple(name.lower() for name in calendar.day_name)
_SEASONS: Final = {"spring": 3, "summer": 6, "autumn": 9, "fall": 9, "winter": 12}
_NUMBERS: Final = {
    word: i
    for i, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
        " eighteen nineteen twenty".split()
    )
} | {"a": 1, "an": 1, "couple": 2, "couple of": 2, "few": 3, "thirty": 30, "sixty": 60, "ninety": 90, "half a": 0, "dozen": 12}  # fmt: skip


def number(text: str) -> int | None:
    """ "3", "three" or "a couple of" as a number; None for anything else."""
    text = " ".join(text.split())
    if text.isdecimal() and text.isascii():
        return int(text[:9])
    return _NUMBERS.get(text)


_MONTH: Final = (
    r"(?:january|february|march|april|may|june|july|august|september|october|november|december|jan|feb|mar|apr|jun|jul"
    r"|aug|sept|sep|oct|nov|dec)\b\.?"
)
_YEAR: Final = r"(?:19|20)\d\d"
_N: Final = r"(?:\d{1,4}|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|fourteen|fifteen|thirty|sixty|ninety|twenty|(?:a )?couple(?: of)?|(?:a )?few|a|an)"
_DAY: Final = rf"(?:{_YEAR}-\d\d-\d\d|{_YEAR}/\d\d/\d\d|\d{{1,2}}/\d{{1,2}}/{_YEAR}|{_MONTH} (?:the )?\d{{1,2}}(?:st|nd|rd|th)?(?!\d)(?: ?,? {_YEAR})?|(?:the )?\d{{1,2}}(?:st|nd|rd|th)?(?: of)? {_MONTH}(?:,? {_YEAR})?)"
_UNIT: Final = r"(?:days?|weeks?|months?|quarters?|years?)"
_NAMED: Final = rf"(?:{_MONTH}(?: of)?,? (?:{_YEAR}|last year|this year|the previous year)|{_YEAR}-\d\d(?!-?\d)|\d{{1,2}}/{_YEAR}|last {_MONTH}|this {_MONTH}|{_MONTH})"
_POINT: Final = (
    rf"(?:{_DAY}|{_NAMED}|q[1-4](?: (?:of )?(?:{_YEAR}|last year|this year))?|{_YEAR}|yesterday|today|now|(?:the )?(?:start|beginning|end) of (?:the )?(?:year|month|{_NAMED}|{_YEAR})"
    rf"|(?:last|this|the previous|the) {_UNIT}(?: before last)?|new year|christmas|{_N} {_UNIT} ago)"
)

type _Reader = Callable[[re.Match[str], date], Period | None]


def _day(text: str, as_of: date) -> date | None:
    text = text.replace(".", "")
    iso = re.fullmatch(rf"({_YEAR})[-/](\d\d)[-/](\d\d)", text)
    american = re.fullmatch(rf"(\d{{1,2}})/(\d{{1,2}})/({_YEAR})", text)
    try:
        if iso:
            return date(int(iso[1]), int(iso[2]), int(iso[3]))
        if american:
            first, second = int(american[1]), int(american[2])
            return date(int(american[3]), first if first <= 12 else second, second if first <= 12 else first)
        name = re.search(_MONTH, text)
        day = re.search(r"\b(\d{1,2})(?:st|nd|rd|th)?\b(?!\d)", text)
        if name is None or day is None:
            return None
        month, year = _MONTHS[name.group().rstrip(".")], re.search(_YEAR, text)
        if year:
            return date(int(year.group()), month, int(day[1]))
        guess = date(as_of.year, month, int(day[1]))
        return guess if guess <= as_of else date(as_of.year - 1, month, int(day[1]))
    except ValueError:
        return None


def _named_month(text: str, as_of: date) -> Period | None:
    text = text.replace(".", "").replace(",", "").strip()
    numeric = re.fullmatch(rf"({_YEAR})-(\d\d)", text) or re.fullmatch(rf"(\d{{1,2}})/({_YEAR})", text)
    if numeric:
        a, b = int(numeric[1]), int(numeric[2])
        year, month = (a, b) if a > 12 else (b, a)
        if not 1 <= month <= 12:
            return None
    else:
        name = re.search(_MONTH, text)
        if name is None:
            return None
        month = _MONTHS[name.group().rstrip(".")]
        given = re.search(_YEAR, text)
        if given:
            year = int(given.group())
        elif re.search(r"last year|previous year", text):
            year = as_of.year - 1
        elif re.match(r"this\b", text) or "this year" in text:
            year = as_of.year
        elif text.startswith("last ") and month == as_of.month:
            year = as_of.year - 1
        else:
            year = as_of.year if month <= as_of.month else as_of.year - 1
    start, end = month_bounds(year, month)
    return Period(start, end, f"{calendar.month_name[month]} {year}")


def _rolling(count: int, unit: str, as_of: date) -> Period:
    """The last ``count`` units up to and including today."""
    if unit.startswith("day"):
        start = _back(as_of, count - 1)
    elif unit.startswith("week"):
        start = _back(as_of, 7 * count - 1)
    else:
        months = count * {"m": 1, "q": 3, "y": 12}[unit[0]]
        start = add_months(as_of, -months) + timedelta(days=1)
    return Period(
        min(start, as_of), as_of, f"the last {count} {unit}" if count != 1 else f"the last {unit.rstrip('s')}"
    )


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
    edge = re.fullmatch(r"(?:the )?(start|beginning|end) of (?:the )?(.+)", text)
    if edge:
        whole = _calendar(edge[2], 0, as_of) if edge[2] in ("year", "month") else _point(edge[2], as_of)
        if whole is None:
            return None
        day = whole.end if edge[1] == "end" else whole.start
        return Period(day, day, text)
    if text in ("today", "now"):
        return Period(as_of, as_of, "today")
    if text in ("new year", "christmas"):
        year = as_of.year if text == "new year" or (as_of.month, as_of.day) >= (12, 25) else as_of.year - 1
        day = date(year, 1, 1) if text == "new year" else date(year, 12, 25)
        return Period(day, day, text)
    ago = re.fullmatch(rf"({_N}) ({_UNIT}) ago", text)
    if ago:
        count = number(ago[1]) or 1
        unit = ago[2]
        day = _back(as_of, count * (7 if unit[0] == "w" else 1)) if unit[0] in "dw" else add_months(as_of, -count * {"m": 1, "q": 3, "y": 12}[unit[0]])  # fmt: skip
        return Period(day, day, text)
    if re.fullmatch(_DAY, text):
        found = _day(text, as_of)
        return Period(found, found, found.isoformat()) if found else None
    for pattern, reader in _READERS:
        match = re.fullmatch(pattern, text)
        if match:
            return reader(match, as_of)
    return None


def _range(first: str, last: str, as_of: date) -> Period | None:
    a, b = _point(first, as_of), _point(last, as_of)
    if a is None or b is None:
        # "June 3 to 10": the month is said once.
        bare = re.fullmatch(r"(?:the )?(\d{1,2})(?:st|nd|rd|th)?", last.strip())
        if a is not None and bare and a.days == 1 and 1 <= int(bare[1]) <= calendar.monthrange(*_ym(a.start))[1]:
            end = a.start.replace(day=int(bare[1]))
            return Period(a.start, end, f"{a.start} to {end}") if end >= a.start else None
        return None
    if re.search(_YEAR, last) and not re.search(rf"{_YEAR}|last|this|ago|year|today|now", first):
        # "March to May 2025": the year belongs to both.
        shifted = _point(f"{first} {re.search(_YEAR, last).group()}", as_of)  # type: ignore[union-attr]
        a = shifted or a
    alone = a
    if (
        a.start > b.end
        and re.match(rf"(?:the )?(?:{_MONTH}|\d{{1,2}}(?:st|nd|rd|th)? |q[1-4])", first)
        and not re.search(_YEAR, first)
    ):
        # "November to July 2025": the November before.
        a = Period(add_months(a.start, -12), add_months(a.end, -12), f"{a.label.rsplit(' ', 1)[0]} {a.start.year - 1}")
    if a.start > b.end:
        return None
    return Period(a.start, b.end, f"{a.label} to {b.label}", parts=(a, b), alone=alone)


def _since(match: re.Match[str], as_of: date) -> Period | None:
    point = _point(match["p"] or match["f"], as_of)
    if point is None:
        return None
    word = match["w"] or "since"
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
        year = as_of.year if (as_of.month >= month) else as_of.year - 1
        if (
            match["l"] == "last"
            and year == as_of.year
            and as_of <= month_bounds(*_ym(add_months(date(year, month, 1), 2)))[1]
        ):
            year -= 1
    start = date(year, month, 1)
    return Period(start, month_bounds(*_ym(add_months(start, 2)))[1], f"{match['s']} {year}")


def _quarter_named(match: re.Match[str], as_of: date) -> Period:
    ordinal = match["q"]
    quarter = int(ordinal[1]) if ordinal.startswith("q") else "first second third fourth".split().index(ordinal.replace("1st", "first").replace("2nd", "second").replace("3rd", "third").replace("4th", "fourth").replace("last", "fourth").replace("final", "fourth")) + 1  # fmt: skip
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
    count = number(match["n"] or "1")
    if whole is None or not count:
        return None
    if match["u"].startswith("month"):
        if match["w"] in ("first", "opening"):
            return Period(whole.start, min(whole.end, _back(add_months(whole.start, count), 1)), match.group())
        return Period(max(whole.start, add_months(whole.end + timedelta(days=1), -count)), whole.end, match.group())
    size = min(count * (7 if match["u"].startswith("week") else 1) - 1, 400)
    if match["w"] in ("first", "opening"):
        return Period(whole.start, min(whole.end, whole.start + timedelta(days=size)), match.group())
    return Period(max(whole.start, whole.end - timedelta(days=size)), whole.end, match.group())


# Each pattern with its reader; the earliest and longest match in a question wins.
_READERS: Final[tuple[tuple[str, _Reader], ...]] = (
    (rf"(?:(?:in|over|during|for|within) )?(?:the |these )?(?:last |past |previous )?(?P<n>{_N}) (?P<u>{_UNIT}) (?:up to|up until|leading up to|running up to|to|until|till|through|ending|ending on)(?: and including)? (?:today|now|this day)", _last_n),
    (r"(?:on )?(?:the )?day before yesterday", lambda _, d: _calendar("day", -2, d)),
    (rf"(?:between|from|for|in|during)? ?(?P<a>{_POINT}) (?:and|to|through|thru|until|till|up to|-|–) (?P<b>{_POINT}|(?:the )?\d{{1,2}}(?:st|nd|rd|th)?(?![\d.]))", lambda m, d: _range(m["a"], m["b"], d) if not (" and " in m.group() and not m.group().startswith("between")) else None),
    (rf"(?:between |from |on )?(?:the )?(?P<a>\d{{1,2}})(?:st|nd|rd|th)? (?:and|to|through|thru|until|till) (?P<b>(?:the )?\d{{1,2}}(?:st|nd|rd|th)?(?: of)? {_MONTH}(?:,? {_YEAR})?)", lambda m, d: _within_month(m, d)),
    (rf"(?P<w>since|starting|after) (?P<p>{_POINT})(?: on(?:wards?)?)?|from (?P<f>{_POINT}) on(?:wards?)?\b", _since),
    (rf"(?P<w>before|until|till|up to|through|prior to|up until) (?P<p>{_POINT})", _until),
    (rf"(?:in |during |over )?(?:the )?(?P<w>first|last|final|opening)(?: (?P<n>{_N}))? (?P<u>days?|weeks?|months?) (?:of|in) (?P<p>(?:the |this |last )?year|{_POINT})", _first_days),
    (rf"(?:(?:in|over|during|for|within) )?(?:the )?(?:last|past|previous|prior) (?P<n>{_N}) (?:full|complete|calendar|whole) months", _full_months),
    (rf"(?:(?:in|over|during|for|within) )?(?:the |these |my )?(?:last|past|previous|prior|recent) (?P<n>{_N}) (?P<u>{_UNIT})", _last_n),
    (r"(?:(?:in|over|during|for|within) )?the past (?P<u>week|month|quarter|year)|(?:(?:in|over|during|within) )past (?P<v>week|month|quarter|year)", lambda m, d: _rolling(1, m["u"] or m["v"], d)),
    (rf"(?:in )?(?:the )?(?P<u>week|month|quarter|year) before last(?! {_UNIT})", lambda m, d: _calendar(m["u"], -2, d)),
    (r"(?:the )?same (?P<u>month|quarter|week) (?:of )?last year|this time last year", lambda m, d: _calendar(m["u"] or "month", 0, add_months(d, -12))),
    (r"(?:in |during |for )?(?:the )?(?P<h>first|second|1st|2nd) half(?: of)? (?P<y>(?:19|20)\d\d|this year|last year|the year)|(?P<k>h[12]) ?(?P<z>(?:19|20)\d\d)?", lambda m, d: _half_of(m, d)),
    (rf"(?:in |during )?(?P<l>last|this|the)? ?(?P<s>spring|summer|autumn|fall(?! (?:on|under|in|into|within|off|short|by|from|to|between)\b)|winter)(?: (?:of )?(?P<y>{_YEAR}|last year|this year))?", _season),
    (rf"(?:in |during |for |over |across |throughout )?(?:the )?(?P<q>q[1-4]|(?:first|second|third|fourth|final|1st|2nd|3rd|4th)(?= quarter)|last(?= quarter of))(?: quarter)?(?:,? (?:of )?(?P<y>{_YEAR}|last year|this year))?", _quarter_named),
    (rf"(?:on |in )?(?P<d>{_DAY})", lambda m, d: _single_day(m["d"], d)),
    (rf"(?:in |during |for |of |over |across |throughout |this past )?(?:(?:the )?(?:whole|all|entirety) of |all (?:of )?)?(?:(?:the )?(?:whole |entire |calendar )?month of )?(?P<m>{_NAMED})(?:'s)?", lambda m, d: _named_month(m["m"], d)),
    (r"(?:in |during |for )?(?:the )?(?:last|previous|prior) (?:calendar )?(?P<u>week|month|quarter|year)(?:'?s)?", lambda m, d: _calendar(m["u"], -1, d)),
    (r"(?:in |during |for )?(?:this|the current|the running) (?:calendar )?(?P<u>week|month|quarter|year)(?:'?s)?(?: so far| to date)?", lambda m, d: _to_date(_calendar(m["u"], 0, d), d)),
    (r"year[- ]to[- ]date|ytd|so far this year", lambda _, d: _to_date(_calendar("year", 0, d), d)),
    (r"month[- ]to[- ]date|mtd|so far this month", lambda _, d: _to_date(_calendar("month", 0, d), d)),
    (r"quarter[- ]to[- ]date|qtd", lambda _, d: _to_date(_calendar("quarter", 0, d), d)),
    (r"(?:on |over |at )?(?:christmas|xmas)(?: day)?|on new year(?:'s)?(?: day)?", lambda m, d: _point("new year" if "new" in m.group() else "christmas", d)),
    (r"(?:(?:in|over|during|for|within) )?(?:the |this )?(?:last|past|previous) fortnight", lambda _, d: _rolling(2, "weeks", d)),
    (r"(?:on |over |at )?(?:the |this )?(?P<l>last|past|this|previous) weekend", lambda m, d: _weekend(m["l"], d)),
    (rf"(?P<l>on|last|this past|past) (?P<w>{'|'.join(_WEEKDAYS)})", lambda m, d: _weekday_before(m["w"], d, today=m["l"] == "on")),
    (rf"(?P<n>{_N}) (?P<u>days|weeks|months|years) ago", lambda m, d: _units_ago(m, d)),
    (r"yesterday", lambda _, d: _calendar("day", -1, d)),
    (r"(?<!as of )today", lambda _, d: _calendar("day", 0, d)),
    (r"next (?P<u>week|month|quarter|year)|(?:the )?(?:coming|upcoming) (?P<v>week|month|quarter|year)", lambda m, d: _calendar(m["u"] or m["v"], 1, d)),
    (r"tomorrow", lambda _, d: _calendar("day", 1, d)),
    (rf"(?:in |during |for |of |throughout |over |across )(?:the year |(?:the )?(?:whole|all|entirety) of |(?:the )?(?:whole|entire|full) year |(?:the )?calendar year |all |all through )?(?P<y>{_YEAR})\b|(?<![\d$€£.,])(?P<z>{_YEAR})(?:'s)?(?![\d.,-]|\s?(?:usd|eur|dollars|euros|bucks))", lambda m, d: Period(date(int(m["y"] or m["z"]), 1, 1), date(int(m["y"] or m["z"]), 12, 31), m["y"] or m["z"])),
)  # fmt: skip


def _half_of(match: re.Match[str], as_of: date) -> Period:
    first = (match["h"] or match["k"]) in ("first", "1st", "h1")
    year = _year_of(match["y"] or match["z"], as_of) or as_of.year
    if first:
        return Period(date(year, 1, 1), date(year, 6, 30), f"the first half of {year}")
    return Period(date(year, 7, 1), date(year, 12, 31), f"the second half of {year}")


def _within_month(match: re.Match[str], as_of: date) -> Period | None:
    """ "3 to 17 March": the month is said once."""
    end = _day(match["b"], as_of)
    if end is None or not 1 <= int(match["a"]) <= end.day:
        return None
    start = end.replace(day=int(match["a"]))
    return Period(start, end, f"{start} to {end}")


def _weekend(word: str, as_of: date) -> Period:
    """The weekend of the running week, or the last one that is over."""
    saturday = _back(as_of, (as_of.weekday() - 5) % 7)
    if word != "this" and as_of.weekday() >= 5:
        saturday = _back(saturday, 7)
    return Period(saturday, saturday + timedelta(days=1), f"the weekend of {saturday}")


def _weekday_before(name: str, as_of: date, *, today: bool) -> Period:
    back = (as_of.weekday() - _WEEKDAYS.index(name)) % 7
    day = _back(as_of, back if back or today else 7)
    return Period(day, day, f"{name} {day}")


def _units_ago(match: re.Match[str], as_of: date) -> Period | None:
    """ "3 days ago" is that day; "2 months ago" the calendar month that was, as weeks and years are."""
    count = number(match["n"])
    return _calendar(match["u"], -count, as_of) if count else None


def _single_day(text: str, as_of: date) -> Period | None:
    found = _day(text, as_of)
    return Period(found, found, found.isoformat()) if found else None


def _to_date(period: Period, as_of: date) -> Period:
    return Period(period.start, min(period.end, as_of), period.label)


_COMPILED: Final = tuple((re.compile(rf"(?<![\w$€£]){pattern}(?![\w])"), reader) for pattern, reader in _READERS)


TIME_WORDS: Final = frozenset(
    f"""{" ".join(_MONTHS)} {" ".join(_SEASONS)} {" ".join(_WEEKDAYS)} weekend weekends weekday weekdays day days week weeks month months quarter quarters
    year years today yesterday last past previous prior this since until till before after between during from through half first second
    third fourth ago start beginning end date christmas fortnight recent whole full calendar current running tomorrow""".split()
)
MONTH_WORDS: Final = tuple(_MONTHS)
NUMBER_WORDS: Final = frozenset(word for word in _NUMBERS if " " not in word)


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
            if start == end or any(taken[start:end]):
                continue
            # "may" is a month only where it stands like one.
            if match.group().strip() == "may" and not re.search(r"(?:\b(?:vs|versus|and|to|than|or|,)\s*$)", question[:start]) and re.match(r"\s+(?:i|we|be|have|you)\b", question[end:]):  # fmt: skip
                continue
            try:
                period = reader(match, as_of)
            except (ValueError, OverflowError):
                period = None
            if period is not None:
                found.append((start, end, period))
                taken[start:end] = b"\x01" * (end - start)
    return sorted(found, key=lambda item: item[0])
