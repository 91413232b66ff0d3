"""What narrows a question's rows: bounds of amount, currency, account, days of the week. Each marks its words. Pure."""

# ruff: noqa: E501 - patterns read worse when they are broken
from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Final

from mosaic_core.agents.offline.reading import Reading
from mosaic_core.agents.offline.words import CURRENCIES, Tag
from mosaic_core.ledger.rows import Row

type Bounds = tuple[Decimal | None, Decimal | None, bool]
"""Least, most, and whether the bounds themselves lie outside."""

_MONEY: Final = r"(?!(?:19|20)\d\d(?:-\d\d|\b(?! (?:dollars|euros|pounds|bucks|usd|eur|gbp|quid)|[.,]\d)))(?:[$€£¥]\s?)?(\d[\d,]*(?:\.\d+)?)\s?(k\b)?(?:\s?(?:dollars?|bucks|euros?|usd|eur|gbp|pounds?|quid|[$€£]))?"
_NOT_MONEY: Final = r"(?! ?(?:times|days|weeks|months|years|transactions|purchases|payments|visits|charges|trips|orders|occasions|merchants|stores|of my|percent|%))"
_OVER: Final = re.compile(
    rf"(?:\b(?:which |that )?(?:were |was |is |are |cost(?:ing|s)? |worth |of |for )*)(over|above|more than|greater than|exceed(?:s|ed|ing)?|in excess of|bigger than|larger than|higher than|topped|topping|tops|surpassed|surpassing|past(?= ?[$€£])|at least|no less than|not less than|a minimum of|minimum of|upwards of|>=?|north of|beyond|upward of|starting at) {_MONEY}{_NOT_MONEY}(?: (?:or more|each))?"
)
_OR_MORE: Final = re.compile(
    rf"(?:\b(?:of|for|worth) )?(?<![\w.,]){_MONEY} (?:or more|or over|or above|or higher|and (?:up|above|over|more)|plus|upwards)\b|(?<![\w.,]){_MONEY}\+"
)
_OR_LESS: Final = re.compile(
    rf"(?:\b(?:of|for|worth) )?(?<![\w.,]){_MONEY} (?:or less|or under|or below|or lower|and (?:below|under|less))\b"
)
_UNDER: Final = re.compile(
    rf"(?:\b(?:which |that )?(?:were |was |is |are |cost(?:ing|s)? |worth |of |for )*)(under|below|less than|smaller than|cheaper than|lower than|at most|no more than|not more than|up to|<=?|a maximum of|maximum of|not exceeding|south of) {_MONEY}{_NOT_MONEY}"
)
_BETWEEN: Final = re.compile(
    rf"(?:\b(?:of|for|costing|worth) )?\b(?:between|from(?= ?[$€£])) {_MONEY} (?:and|to) {_MONEY}(?!\d){_NOT_MONEY}(?! ?(?:st|nd|rd|th)\b)(?! ?(?:{'|'.join(('january', 'february', 'march', 'april', 'may', 'june', 'july', 'august', 'september', 'october', 'november', 'december'))}))"
)
_EXACTLY: Final = re.compile(
    r"\b(?:of|for|exactly|worth) (?:exactly )?[$€£]\s?(\d[\d,]*(?:\.\d+)?)(?![\d.])|\b(?:that|the|a|this|one) [$€£]\s?(\d[\d,]*(?:\.\d+)?)(?= (?:charge|payment|purchase|transaction|debit|order|withdrawal|bill|refund|deposit)\b)|\bexactly (\d[\d,]*(?:\.\d+)?)(?: (?:dollars|euros|pounds))?"
)
_LOOSE: Final = frozenset(
    (
        "at least",
        "no less than",
        "not less than",
        "a minimum of",
        "minimum of",
        ">=",
        "upwards of",
        "upward of",
        "starting at",
        "at most",
        "no more than",
        "not more than",
        "up to",
        "<=",
        "a maximum of",
        "maximum of",
        "not exceeding",
    )
)


def _decimal(digits: str, thousand: str | None = None) -> Decimal:
    try:
        return Decimal(digits.replace(",", "")[:20]) * (1000 if thousand else 1)
    except InvalidOperation:
        return Decimal(0)


def take_bounds(reading: Reading) -> Bounds:
    """The amounts that bound single rows, or a total."""

    def take(match: re.Match[str]) -> None:
        reading.take(*match.span(), Tag.BOUND)

    text = reading.free
    if (match := _BETWEEN.search(text)) is not None:
        low, high = _decimal(match[1], match[2]), _decimal(match[3], match[4])
        take(match)
        return min(low, high), max(low, high), False
    if (match := _OR_MORE.search(text)) is not None:
        take(match)
        return _decimal(match[1] or match[3], match[2] or match[4]), None, False
    if (match := _OR_LESS.search(text)) is not None:
        take(match)
        return None, _decimal(match[1], match[2]), False
    least: Decimal | None = None
    most: Decimal | None = None
    strictly = True
    if (match := _OVER.search(text)) is not None:
        take(match)
        least, strictly = _decimal(match[2], match[3]), match[1] not in _LOOSE and not match[0].endswith("or more")
    if (match := _UNDER.search(reading.free)) is not None:
        take(match)
        most, strictly = _decimal(match[2], match[3]), strictly and match[1] not in _LOOSE
    if least is None and most is None and (match := _EXACTLY.search(text)) is not None:
        take(match)
        least = most = _decimal(match[1] or match[2] or match[3])
        strictly = False
    return least, most, strictly


def take_currency(reading: Reading, rows: Sequence[Row]) -> str | None:
    """The currency that is named, whether the ledger has it or not. "How many euros" names none."""
    known = {row.tx.currency for row in rows}
    pattern = r"(?<!many )\b(?:in )?([a-z]{3,8})\b(?: transactions| spending| purchases| payments)?"
    for match in re.finditer(pattern, reading.free):
        word = match[1]
        code = CURRENCIES.get(word) or (word.upper() if word.upper() in known and match[0].startswith("in ") else None)
        if code is not None:
            end = match.end(1)
            reading.take(match.start(), end, Tag.OTHER)
            return code
    return None


_KINDS: Final = {
    "checking": ("check", "chk"), "current": ("current", "curr", "cur", "chk"), "savings": ("sav",), "saving": ("sav",), "joint": ("joint",), "credit": ("card", "credit", "cc"), "card": ("card", "credit", "visa", "amex"),
    "visa": ("visa",), "amex": ("amex",), "mastercard": ("mastercard", "mc"), "debit": ("debit", "chk", "check", "current"), "business": ("business", "biz"),
}  # fmt: skip
_BY_KIND: Final = re.compile(
    r"\b(?:from|on|in|with|via|using|through|by|out of) (?:my |the |our )?(checking|current|savings?|joint|credit card|card|visa|amex|mastercard|debit card|business)(?: account| card)?\b(?! (?:payments?|bills?|fees?|interest|balance|transfers?))"
)
_MOVES: Final = re.compile(
    r"\btransfer|\bmove|\bshift|\bpull|\bdr(?:aw|ew)|\bt(?:ake|ook)|\bkee?p|\btop(?:ped)? up|\bsw(?:eep|ept)|\bsiphon|\bfunnel|\bcontribut|\bput\b|\bsent\b|\bsend\b|\bpa(?:y|id) (?:off|down|towards?)\b|\binterest\b|\bwithdr|\bsaved?\b|\bsaving\b(?!s)|\bowe\b"
)


def take_account(reading: Reading, rows: Sequence[Row]) -> tuple[str | None, str | None]:
    """(an account that is named by its id, or by a kind that only one account's id carries; the words of one that is
    named and not there)."""
    accounts = sorted({row.tx.account_id for row in rows})
    for account in accounts:
        plain = account.lower()
        match = re.search(
            rf"(?:\b(?:from|on|in|with|via|using|to|by) )?(?:my |the |account )*(?<![\w-]){re.escape(plain)}(?: account| card)?(?![\w-])",
            reading.free,
        )
        if match is None or len(plain) < 3:
            continue
        said = match.group()
        if (
            any(c.isdigit() for c in plain)
            or "account" in said
            or "card" in said
            or re.match(r"(?:from|on|in|with|via|using) (?:my|the)", said)
        ):
            reading.take(*match.span(), Tag.OTHER)
            return account, None
    match = _BY_KIND.search(reading.free)
    if match is None or _MOVES.search(reading.text):
        return None, None
    stems = _KINDS[match[1].split()[0]]
    having = [account for account in accounts if any(stem in account.lower() for stem in stems)]
    if len(having) == 1:
        reading.take(*match.span(), Tag.OTHER)
        return having[0], None
    if not having and match[1] in ("card", "credit card", "debit card"):
        return None, None
    return None, match.group() if len(accounts) > 1 or "account" in match.group() else None


_WEEKDAYS: Final = "monday tuesday wednesday thursday friday saturday sunday".split()
_SHORT: Final = {
    "mon": 0,
    "tue": 1,
    "tues": 1,
    "wed": 2,
    "weds": 2,
    "thu": 3,
    "thur": 3,
    "thurs": 3,
    "fri": 4,
    "sat": 5,
    "sun": 6,
}
_SHORT_DAYS: Final = re.compile(
    rf"\b(?:on |over |at )?(?:(?:{'|'.join(_SHORT)})s? (?:and|&|or|/|\+) )+(?:{'|'.join(_SHORT)})s?\b"
    rf"|\b(?:on |over )?(?:every |each )(?:{'|'.join(_SHORT)})\b"
)
""" "Sat and Sun", "every Fri": a short name by itself may be another word."""
_DAYS: Final = re.compile(
    r"\b(?:on |over |during |at )?(?:a |an |the |each |every |any )?(weekends?|weekdays?|week ?days|work(?:ing)? ?days|(?:mon|tues|wednes|thurs|fri|satur|sun)days?)\b"
)


def take_weekdays(reading: Reading) -> frozenset[int]:
    """The days of the week that are named as such, Monday 0. "Which weekday" names none."""
    found: set[int] = set()
    for match in _SHORT_DAYS.finditer(reading.free):
        found |= {
            _SHORT[word] for part in re.findall(r"[a-z]+", match[0]) for word in (part, part[:-1]) if word in _SHORT
        }
        reading.take(*match.span(), Tag.OTHER)
    for match in _DAYS.finditer(reading.free):
        word = match[1].replace(" ", "").rstrip("s")
        if word in ("weekend", "weekday", "workday", "workingday"):
            if re.search(
                r"(?:which|what|by|per|favou?rite|busiest|expensive) (?:the )?$", reading.free[: match.start()]
            ):
                continue
            found |= {5, 6} if word == "weekend" else set(range(5))
        else:
            found.add(_WEEKDAYS.index(word))
        reading.take(*match.span(), Tag.OTHER)
    return frozenset(found)
