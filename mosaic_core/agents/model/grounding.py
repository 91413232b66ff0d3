"""Whether every figure of a text was computed: numbers and dates in it against what the tools gave. Pure.

A figure that no tool gave is made up, however plausible. What counts as given: amounts, counts and ratios of tool
results (or a rounding of them), dates of rows and periods, and what the person's own question says. Figures are told
apart by what stands next to them: "7 USD" must be an amount, not a count that happens to be 7.

What it cannot see: figures in words of other languages than English, and words such as "twice" or "half".
"""

from __future__ import annotations

import calendar
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Final

from mosaic_core.domain.currency import CURRENCIES


@dataclass(slots=True)
class Evidence:
    """What the tools of one run gave. Amounts, counts and ratios are without sign; ``names`` are merchants and ids as
    they stand in the household's rows, whose digits are no figures; ``rows`` are the rows behind it all; ``years`` are
    those that the ledger covers."""

    amounts: set[Decimal] = field(default_factory=set)
    counts: set[Decimal] = field(default_factory=set)
    ratios: set[Decimal] = field(default_factory=set)
    dates: set[date] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    rows: set[str] = field(default_factory=set)
    years: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class Figure:
    """A number as a text has it: its possible readings, each with the number of its decimals and the power of ten that
    a word multiplies it by. ``kind`` is "amount", "ratio" or "" where nothing next to it tells."""

    text: str
    readings: tuple[tuple[Decimal, int, int], ...]
    kind: str


_MONTHS: Final = {name.lower(): i for i, name in enumerate(calendar.month_name) if name} | {
    name.lower(): i for i, name in enumerate(calendar.month_abbr) if name
} | {"sept": 9}  # fmt: skip
_MONTH: Final = r"(?:" + "|".join(sorted(_MONTHS, key=len, reverse=True)) + r")\b\.?"
_ORDINAL: Final = r"(?:st|nd|rd|th)?"
_YEAR: Final = r"(?:19|20)\d\d"
_DATES: Final = re.compile(
    rf"""(?<![\d.,])(?:
      (?P<iso>{_YEAR}-\d\d-\d\d)(?!\d)
    | (?P<ym>{_YEAR}-\d\d)(?![\d-])
    | (?P<week>{_YEAR})-?W\d\d(?!\d)
    | (?P<slash>\d{{1,2}}[/.]\d{{1,2}}[/.]{_YEAR})(?!\d)
    | (?P<d1>\d{{1,2}}){_ORDINAL}(?:\s+of)?\s+(?P<m1>{_MONTH})(?:,?\s+(?P<y1>{_YEAR}))?(?!\d)
    )
    | \b(?P<m2>{_MONTH})\s+(?:the\s+)?(?P<d2>\d{{1,2}}){_ORDINAL}(?![\d.,]\d|\d)(?:,?\s+(?P<y2>{_YEAR}))?(?!\d)
    | \b(?P<m3>{_MONTH}),?\s+(?:of\s+)?(?P<y3>{_YEAR})(?!\d)
    | \bQ(?P<q>[1-4])\s+(?:of\s+)?(?P<y4>{_YEAR})(?!\d)
    """,
    re.IGNORECASE | re.VERBOSE,
)
_SYMBOL: Final = (
    r"(?:US|A|C|NZ|HK|S)?\$|[€£¥₹₩₽₺]|\b(?:" + "|".join(sorted(CURRENCIES - {"ALL", "TOP", "TRY"})) + r")\b"
)
_MONEY_WORD: Final = r"(?:dollars?|euros?|pounds?|bucks|cents|francs?|yen|pesos?|rupees?|kron[ae]r?|zloty|quid)\b"
_NUMBER: Final = re.compile(
    rf"""(?P<before>(?:{_SYMBOL})\s?[-−]?)?
    (?P<digits>\d{{1,3}}(?:[,'’]\d{{3}})+(?:\.\d+)?|\d{{1,3}}(?:\.\d{{3}})+,\d+|\d{{1,3}}(?:\.\d{{3}}){{2,}}|\d+(?:[.,]\d+)?)
    (?:\s?(?P<scale>k|thousand|mn?|million|bn|billion)\b)?
    (?:\s?(?P<after>%|percent\b|per\ cent\b|{_SYMBOL}|{_MONEY_WORD}))?""",
    re.VERBOSE,
)
_SCALES: Final = {"k": 3, "thousand": 3, "m": 6, "mn": 6, "million": 6, "bn": 9, "billion": 9}
_LARGEST: Final = Decimal(10) ** 24
"""Beyond it nothing is rounded; no ledger holds such a number."""

_LISTED: Final = re.compile(r"(?m)^\s*(?:[-*•]\s*)?(\d{1,2})[.)](?=\s)")

_UNITS: Final = {
    word: i
    for i, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"
        " seventeen eighteen nineteen".split()
    )
}
_TENS: Final = {
    word: 10 * i for i, word in enumerate("twenty thirty forty fifty sixty seventy eighty ninety".split(), start=2)
}
_POWERS: Final = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9, "dozen": 12}
_WORD: Final = "|".join((*_UNITS, *_TENS, *_POWERS))
_IN_WORDS: Final = re.compile(
    rf"\b(?P<words>(?:(?:a|an)\s+(?=(?:{'|'.join(_POWERS)})\b))?(?:{_WORD})s?\b(?:(?:[\s-]+|\s+and\s+)(?:{_WORD})\b)*)"
    rf"(?:\s+(?P<after>percent|per\ cent|{_MONEY_WORD}))?",
    re.IGNORECASE,
)


def unsupported(text: str, evidence: Evidence, question: str = "") -> list[str]:
    """The figures of ``text`` that neither the evidence nor the question has, as they stand in it."""
    text, question = _plain(text), _plain(question)
    asked = [value for figure in figures(question) for value, _, _ in figure.readings]
    asked_days = [day for day, _ in _dates(question) if day is not None]
    amounts = {*evidence.amounts, *asked}
    ratios = {*evidence.ratios, *asked}
    pools = {"amount": amounts, "ratio": ratios, "": {*amounts, *ratios, *evidence.counts}}
    given = evidence.dates.union(*(day.days for day in asked_days))
    years = {*range(evidence.years[0], evidence.years[1] + 1), *(day.year for day in given)}
    years |= {int(year) for year in re.findall(rf"(?<!\d){_YEAR}(?!\d)", question)}
    missing = [written for day, written in _dates(text) if day is None or not _known(day, given, asked_days, years)]
    for figure in figures(text, evidence.names):
        if figure.kind == "" and re.fullmatch(_YEAR, figure.text) and int(figure.text) in years:
            continue
        if not any(_fits(reading, pools[figure.kind]) for reading in figure.readings):
            missing.append(figure.text)
    return missing


def mentions(text: str, value: Decimal | int | str | list[str]) -> bool:
    """Whether the text says the value, a number in whatever rounding."""
    if isinstance(value, Decimal | int):
        wanted = [abs(Decimal(value))]
        return any(_fits(reading, wanted) for figure in figures(text) for reading in figure.readings)
    return all(item.casefold() in text.casefold() for item in ([value] if isinstance(value, str) else value))


def figures(text: str, names: Iterable[str] = ()) -> Iterator[Figure]:
    """The numbers of a text, without its dates, its list markers, and what stands within a name and is no money."""
    text = _plain(text)
    named = _spans(text, names)
    text = _without_dates(text)
    text = _without_markers(text)
    for match in _NUMBER.finditer(text):
        kind = _kind(match["before"], match["after"])
        start, end = match.span("digits")
        if kind == "" and any(a <= start and end <= b for a, b in named):
            continue
        power = _SCALES.get((match["scale"] or "").lower(), 0)
        readings = tuple(_readings(match["digits"], power))
        yield Figure(match.group().strip() if kind or power else match["digits"], readings, kind)
    for match in _IN_WORDS.finditer(text):
        words = [w for w in re.split(r"[\s-]+", match["words"].lower()) if w not in ("and", "a", "an")]
        value = _of_words(words)
        start, end = match.span()
        if value is None or value <= 1 or any(a <= start and end <= b for a, b in named):
            continue  # "one of them" is no figure
        yield Figure(match.group(), ((Decimal(value), 0, 0),), _kind(None, match["after"]))


# --------------------------------------------------------------------------------------------------------------- parts


def _plain(text: str) -> str:
    """Compatibility forms resolved, invisible characters gone, spaces within numbers as commas. Same length rules do
    not matter: everything is judged on this form."""
    text = re.sub(r"(?<=\d)[\u00a0\u202f\u2009](?=\d{3})", ",", text)
    text = unicodedata.normalize("NFKC", text)
    text = "".join(c for c in text if unicodedata.category(c) not in ("Cf", "Cs", "Cn"))
    # every script's digits are digits
    return "".join(str(unicodedata.decimal(c)) if not c.isascii() and c.isdecimal() else c for c in text)


def _spans(text: str, names: Iterable[str]) -> list[tuple[int, int]]:
    """Where names stand in a text, those that have a digit."""
    found = []
    folded = text.casefold()
    if len(folded) != len(text):
        folded = text
    for name in names:
        name = _plain(name).casefold()
        if not re.search(r"\d", name) or not re.search(r"[^\W\d]", name):
            continue
        pattern = rf"(?<![\w.,]){re.escape(name)}(?![\w]|[.,]\d)"
        found += [match.span() for match in re.finditer(pattern, folded)]
    return found


def _without_dates(text: str) -> str:
    return _DATES.sub(lambda match: " " * len(match.group()), text)


def _without_markers(text: str) -> str:
    """The text without "1." "2." "3." at the starts of its lines, where they count up from one."""
    markers = list(_LISTED.finditer(text))
    if [int(marker[1]) for marker in markers] != list(range(1, len(markers) + 1)):
        return text
    for marker in markers:
        start, end = marker.span(1)
        text = text[:start] + " " * (end - start) + text[end:]
    return text


def _kind(before: str | None, after: str | None) -> str:
    if after and (after == "%" or after.lower().startswith("per")):
        return "ratio"
    return "amount" if before or after else ""


def _readings(digits: str, power: int) -> Iterator[tuple[Decimal, int, int]]:
    """ "1,234.5" has one reading; "1.234" and "1,234" have two, for whoever writes the comma the other way round."""
    forms = {re.sub(r"[,'’]", "", digits)}
    if re.fullmatch(r"\d{1,3}(?:\.\d{3})+(?:,\d+)?", digits) or re.fullmatch(r"\d+,\d{1,2}", digits):
        forms.add(digits.replace(".", "").replace(",", "."))
    if re.fullmatch(r"\d+,\d{1,2}", digits):
        forms.discard(digits.replace(",", ""))
    for form in sorted(forms) if len(digits) <= 40 else ():
        try:
            value = Decimal(form)
        except InvalidOperation:
            continue
        yield value.scaleb(power), len(form.partition(".")[2]), power


def _fits(reading: tuple[Decimal, int, int], given: Iterable[Decimal]) -> bool:
    """Whether the reading is one of the given numbers, or one rounded to the places that it is written with: decimals,
    or trailing zeros as long as two digits are left."""
    value, decimals, power = reading
    if value >= _LARGEST:
        return value in given
    steps = [Decimal(1).scaleb(power - decimals)]
    if decimals == 0:
        step = steps[0] * 10
        while value and value % step == 0 and value / step >= 10:
            steps.append(step)
            step *= 10
    if power and value / steps[0] < 10:
        steps = []
    for number in given:
        if number == value:
            return True
        for step in steps:
            try:
                scaled = number / step
                if any(scaled.quantize(Decimal(1), r) * step == value for r in (ROUND_HALF_UP, ROUND_HALF_EVEN)):
                    return True
            except InvalidOperation:
                continue
    return False


def _of_words(words: list[str]) -> int | None:
    total, current = 0, 0
    for word in words:
        word = word[:-1] if word.endswith("s") and word[:-1] in _POWERS else word
        if word in _UNITS:
            current += _UNITS[word]
        elif word in _TENS:
            current += _TENS[word]
        elif word in ("hundred", "dozen"):
            current = (current or 1) * _POWERS[word]
        elif word in _POWERS:
            total += (current or 1) * _POWERS[word]
            current = 0
        else:
            return None
    return total + current


# --------------------------------------------------------------------------------------------------------------- dates


@dataclass(frozen=True, slots=True)
class _Day:
    """A date as written: the days that it may mean, or a year (with or without a month), or a day of no year."""

    days: frozenset[date] = frozenset()
    year: int | None = None
    of_month: tuple[int, int] | None = None


def _dates(text: str) -> Iterator[tuple[_Day | None, str]]:
    """(what it means, as it stands) for every date of a text; None for a day that no calendar has."""
    for match in _DATES.finditer(text):
        try:
            yield _meaning(match), match.group().strip()
        except ValueError:
            yield None, match.group().strip()


def _meaning(match: re.Match[str]) -> _Day:
    """Raises ValueError for what is no date."""
    if match["iso"]:
        return _Day(frozenset({date.fromisoformat(match["iso"])}))
    if match["ym"]:
        year, month = map(int, match["ym"].split("-"))
        return _Day(year=date(year, month, 1).year)
    if match["slash"]:
        first, second, year = map(int, re.split(r"[/.]", match["slash"]))
        pairs = [pair for pair in ((first, second), (second, first)) if pair[0] <= 12]
        return _Day(frozenset(date(year, month, day) for month, day in pairs))
    if match["week"] or match["q"] or match["m3"]:
        return _Day(year=int(match["week"] or match["y4"] or match["y3"]))
    month = _MONTHS[(match["m1"] or match["m2"]).lower().rstrip(".")]
    day, year_text = int(match["d1"] or match["d2"]), match["y1"] or match["y2"]
    if year_text:
        return _Day(frozenset({date(int(year_text), month, day)}))
    date(2024, month, day)
    return _Day(of_month=(month, day))


def _known(day: _Day, given: set[date], asked: list[_Day], years: set[int]) -> bool:
    if day.year is not None:
        return day.year in years
    if day.of_month is not None:
        return any((d.month, d.day) == day.of_month for d in given) or any(a.of_month == day.of_month for a in asked)
    return bool(day.days & given)
