"""Route constraints, as ASP.NET Core has them: which values of a route parameter a template takes.

Numbers, truth values and dates are read as .NET reads them in its invariant culture, with white space around them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

Test = Callable[[str], bool]

_INTEGER = re.compile(r"[+-]?[0-9]+")
_NUMBER = re.compile(r"[+-]?(?=[0-9.])[0-9,]*(?:\.[0-9]*)?(?<=[0-9.])[+-]?")
_FLOAT = re.compile(r"[+-]?(?=\.?[0-9])[0-9][0-9,]*\.?[0-9]*(?:[eE][+-]?[0-9]+)?|[+-]?\.[0-9]+(?:[eE][+-]?[0-9]+)?")
_FLOAT_NAMES: Final = frozenset({"nan", "-nan", "+nan", "infinity", "-infinity", "+infinity", "∞", "-∞", "+∞"})
_GUID = re.compile(
    r"[0-9a-f]{32}|(?P<brace>\{)?(?P<paren>\()?[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?(brace)\})(?(paren)\))",
    re.I,
)
_DECIMAL_MAX: Final = Decimal(2**96 - 1)

_MONTHS: Final = "jan feb mar apr may jun jul aug sep oct nov dec".split()
_MONTH = (
    r"(?P<name>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sep(?:tember)?|"
    r"oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
_WEEKDAY = r"(?:(?:mon(?:day)?|tue(?:sday)?|wed(?:nesday)?|thu(?:rsday)?|fri(?:day)?|sat(?:urday)?|sun(?:day)?),?\s*)?"
_GAP = r"(?:\s*[-/.,]\s*|\s+)"
_TIME = (
    r"(?P<hour>\d{1,2})(?::(?P<minute>\d{1,2})(?::(?P<second>\d{1,2})(?:\.\d{1,7})?)?)?\s*(?P<half>[ap]m?)?"
    r"(?:\s*(?:z|gmt|[+-]\d{1,2}(?::?\d{2})?))?"
)
_DATES = tuple(
    re.compile(f"{_WEEKDAY}{date}(?:(?:t|\\s+){_TIME})?", re.I | re.A)
    for date in (
        r"(?P<year>\d{4})[-/.](?P<month>\d{1,2})(?:[-/.](?P<day>\d{1,2}))?",
        r"(?P<month>\d{1,2})[-/.](?P<day>\d{1,2})(?:[-/.](?P<year>\d{4}|\d{1,2}))?",
        r"(?P<month>\d{1,2})[-/.](?P<year>\d{4})",
        rf"(?P<day>\d{{1,2}}){_GAP}{_MONTH}(?:{_GAP}(?P<year>\d{{4}}|\d{{1,2}}))?",
        rf"{_MONTH}{_GAP}(?P<day>\d{{1,2}})(?:{_GAP}(?P<year>\d{{4}}|\d{{1,2}}))?",
        rf"{_MONTH}{_GAP}(?P<year>\d{{4}})",
        rf"(?P<year>\d{{4}}){_GAP}{_MONTH}(?:{_GAP}(?P<day>\d{{1,2}}))?",
    )
)
_TIME_ALONE = re.compile(_TIME, re.I | re.A)


def constraint(name: str, argument: str | None) -> Test:
    """The test that ``name`` or ``name(argument)`` stands for. Raises ValueError where there is no such constraint."""
    simple = _SIMPLE.get(name.lower())
    if simple is not None and argument is None:
        return simple
    made = _WITH_ARGUMENT.get(name.lower())
    if made is not None and argument is not None:
        return made(argument)
    shown = name if argument is None else f"{name}({argument})"
    raise ValueError(f"the route constraint {shown!r} is not one that the embedded host knows")


def _integer(bits: int) -> Test:
    def test(value: str) -> bool:
        number = _whole(value)
        return number is not None and -(2 ** (bits - 1)) <= number < 2 ** (bits - 1)

    return test


def _whole(value: str) -> int | None:
    text = value.strip()
    return int(text) if _INTEGER.fullmatch(text) and len(text) < 40 else None


def _decimal(value: str) -> bool:
    text = value.strip()
    if not _NUMBER.fullmatch(text) or not any(c.isdigit() for c in text) or (text[0] in "+-" and text[-1] in "+-"):
        return False
    return Decimal(text.strip("+-").replace(",", "")) <= _DECIMAL_MAX


def _floating(value: str) -> bool:
    text = value.strip()
    return _FLOAT.fullmatch(text) is not None or text.lower() in _FLOAT_NAMES


def _date(value: str) -> bool:
    text = value.strip()
    for form in _DATES:
        match = form.fullmatch(text)
        if match is not None and _is_date(match.groupdict()) and _is_time(match.groupdict()):
            return True
    match = _TIME_ALONE.fullmatch(text)
    return match is not None and (":" in text or match["half"] is not None) and _is_time(match.groupdict())


def _is_date(found: Mapping[str, str | None]) -> bool:
    name, year = found.get("name"), found.get("year")
    month = _MONTHS.index(name[:3].lower()) + 1 if name else int(found.get("month") or 1)
    try:
        datetime(_year(year), month, int(found.get("day") or 1), tzinfo=UTC)
    except ValueError:
        return False
    return True


def _year(text: str | None) -> int:
    """Two figures end at 2049; none is this year."""
    if text is None:
        return datetime.now(UTC).year
    return int(text) if len(text) > 2 else int(text) + (2000 if int(text) < 50 else 1900)


def _is_time(found: Mapping[str, str | None]) -> bool:
    hour = found.get("hour")
    if hour is None:
        return True
    if int(hour) > (12 if found.get("half") else 23) or (not found.get("half") and found.get("minute") is None):
        return False
    return int(found.get("minute") or 0) < 60 and int(found.get("second") or 0) < 60


def _number(argument: str) -> int:
    number = _whole(argument)
    if number is None:
        raise ValueError(f"the route constraint's argument {argument!r} is no whole number")
    return number


def _length(argument: str) -> Test:
    low, comma, high = argument.partition(",")
    least, most = _number(low), _number(high if comma else low)
    return lambda value: least <= len(value) <= most


def _at_least(argument: str) -> Test:
    least = _number(argument)
    return lambda value: len(value) >= least


def _at_most(argument: str) -> Test:
    most = _number(argument)
    return lambda value: len(value) <= most


def _range(argument: str) -> Test:
    low, comma, high = argument.partition(",")
    if not comma:
        raise ValueError(f"the route constraint range({argument}) needs two numbers")
    return _between(_number(low), _number(high))


def _between(low: int, high: int) -> Test:
    is_long = _integer(64)

    def test(value: str) -> bool:
        return is_long(value) and low <= int(value) <= high

    return test


def _regex(argument: str) -> Test:
    try:
        pattern = re.compile(argument, re.IGNORECASE)
    except re.error as exc:
        raise ValueError(f"the route constraint regex({argument}) is not understood: {exc}") from None
    return lambda value: pattern.search(value) is not None


def _is_file(value: str) -> bool:
    """A last segment with a dot that is not its end."""
    last = value.rpartition("/")[2]
    dot = last.rfind(".")
    return 0 <= dot < len(last) - 1


_SIMPLE: Final[Mapping[str, Test]] = {
    "int": _integer(32),
    "long": _integer(64),
    "bool": lambda value: value.strip(" \t\r\n\0").lower() in ("true", "false"),
    "datetime": _date,
    "decimal": _decimal,
    "double": _floating,
    "float": _floating,
    "guid": lambda value: _GUID.fullmatch(value.strip()) is not None,
    "alpha": lambda value: re.fullmatch(r"[A-Za-z]*", value) is not None,
    "required": bool,
    "file": _is_file,
    "nonfile": lambda value: not _is_file(value),
}
_WITH_ARGUMENT: Final[Mapping[str, Callable[[str], Test]]] = {
    "minlength": _at_least,
    "maxlength": _at_most,
    "length": _length,
    "min": lambda argument: _between(_number(argument), 2**63 - 1),
    "max": lambda argument: _between(-(2**63), _number(argument)),
    "range": _range,
    "regex": _regex,
}
