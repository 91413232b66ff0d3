"""What narrows a question's rows: bounds of amount, currency, account, days of the week. Each marks its words. Pure."""

from __future__ import annotations

import calendar
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Final

from mosaic_core.agents.offline.lexicon import load, turn
from mosaic_core.agents.offline.reading.marks import Reading, Tag
from mosaic_core.ledger.amount_words import mark_bounds
from mosaic_core.ledger.date_words import mark_periods
from mosaic_core.ledger.periods import Period
from mosaic_core.ledger.query import Bounds, Query, every_row
from mosaic_core.ledger.rows import Row

_FILE: Final = load("narrowing")


def narrow(reading: Reading, rows: Sequence[Row], as_of: date) -> tuple[Query, list[Period], str | None]:
    """(all rows that are within what narrows them; the times that are named; the words of an account that is not
    there). A number is an amount before it may be a time."""
    bounds, periods, currency = take_bounds(reading), take_periods(reading, as_of), take_currency(reading, rows)
    account, no_account = take_account(reading, rows)
    query = replace(every_row(as_of), bounds=bounds, currency=currency, account_id=account)
    return replace(query, weekdays=take_weekdays(reading)), periods, no_account


def take_bounds(reading: Reading) -> Bounds:
    """The amounts that bound single rows, or a total."""
    bounds, spans = mark_bounds(reading.free)
    for span in spans:
        reading.take(*span, Tag.BOUND)
    return bounds


def take_periods(reading: Reading, as_of: date) -> list[Period]:
    found = mark_periods(reading.free, as_of)
    if any(period.days >= len(_DAY_NUMBERS) for _, _, period in found):  # then "on Saturday" is any Saturday of it
        found = [each for each in found if not turn("on_a_day", "narrowing").fullmatch(reading.free[slice(*each[:2])])]
    for start, end, _ in found:
        # "What came in last month": the word before a time may belong to a verb.
        lead = turn("before_a_time").match(reading.free[start:end])
        reading.take(start + (lead.end() + 1 if lead else 0), end, Tag.PERIOD)
    return [period for _, _, period in found]


# --------------------------------------------------------------------------------------------------------- currencies

CURRENCIES: Final = {word: code for code, words in _FILE["currencies"].items() for word in words.split()}
_CURRENCY: Final = re.compile(r"(?<!many )\b(?:in )?([a-z]{3,8})\b")


def take_currency(reading: Reading, rows: Sequence[Row]) -> str | None:
    """The currency that is named, whether the ledger has it or not. "How many euros" names none."""
    known = {row.tx.currency for row in rows}
    for match in _CURRENCY.finditer(reading.free):
        word = match[1]
        code = CURRENCIES.get(word) or (word.upper() if word.upper() in known and match[0].startswith("in ") else None)
        if code is not None:
            reading.take(*match.span(), Tag.OTHER)
            return code
    return None


# ----------------------------------------------------------------------------------------------------------- accounts


def take_account(reading: Reading, rows: Sequence[Row]) -> tuple[str | None, str | None]:
    """(an account that is named by its id, or by a kind that only one account's id carries; the words of one that is
    named and not there)."""
    accounts = sorted({row.tx.account_id for row in rows})
    for account in accounts:
        match = _by_id(account.lower(), reading.free)
        if match is not None:
            reading.take(*match.span(), Tag.OTHER)
            return account, None
    match = turn("account_of_a_kind", "narrowing").search(reading.free)
    if match is None or turn("moves", "narrowing").search(reading.text):
        return None, None
    kind = match["kind"]
    stems = _FILE["accounts"][kind.split()[0]].split()
    having = [account for account in accounts if any(stem in account.lower() for stem in stems)]
    if len(having) == 1:
        reading.take(*match.span(), Tag.OTHER)
        return having[0], None
    if not having and kind in ("card", "credit card", "debit card"):
        return None, None
    return None, match.group() if len(accounts) > 1 or "account" in match.group() else None


def _by_id(account: str, text: str) -> re.Match[str] | None:
    """Where an account's id stands as such: with a digit in it, as an account or card, or after "on my"."""
    if len(account) < 3 or account not in text:
        return None
    match = re.search(
        r"(?:\b(?:from|on|in|with|via|using|to|by) )?(?:my |the |account )*"
        rf"(?<![\w-]){re.escape(account)}(?: account| card)?(?![\w-])",
        text,
    )
    if match is None:
        return None
    said = match.group().replace(account, "~")
    told = "account" in said or "card" in said or re.match(r"(?:from|on|in|with|via|using) (?:my|the)", said)
    return match if told or any(c.isdigit() for c in account) else None


# ----------------------------------------------------------------------------------------------------------- weekdays

_DAY_NUMBERS: Final = {name.lower(): number for number, name in enumerate(calendar.day_abbr)}


def take_weekdays(reading: Reading) -> frozenset[int]:
    """The days of the week that are named as such, Monday 0. "Which weekday" names none."""
    found: set[int] = set()
    for name in ("short_weekdays", "weekdays"):
        for match in turn(name, "narrowing").finditer(reading.free):
            opening = (word[:3] for word in re.findall(r"[a-z]+", match.group()))
            named = {_DAY_NUMBERS[word] for word in opening if word in _DAY_NUMBERS}
            if not named and turn("asked_by_weekday", "narrowing").search(reading.free[: match.start()].rstrip()):
                continue
            found |= named or ({5, 6} if "weekend" in match.group() else {0, 1, 2, 3, 4})
            reading.take(*match.span(), Tag.OTHER)
    return frozenset(found)
