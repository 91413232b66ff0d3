"""Which rows, and which findings, words are about. Pure; what is ambiguous comes back as a question, not a guess."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

from mosaic_core.agents.offline.answers import phrase
from mosaic_core.agents.offline.reading.date_words import find_periods
from mosaic_core.agents.offline.reading.marks import TAKEN, Reading
from mosaic_core.agents.offline.reading.narrowing import take_bounds
from mosaic_core.agents.offline.reading.question_text import tidy
from mosaic_core.agents.offline.requests.request_reading import KINDS
from mosaic_core.domain.records import OpenFinding
from mosaic_core.ledger.merchants import Merchants
from mosaic_core.ledger.periods import Period
from mosaic_core.ledger.rows import Row, compact, in_topic
from mosaic_core.ledger.topics import PHRASE_TOPICS

MOST_ROWS: Final = 100
"""Rows of one action, as its schema has it."""

_SHOWN: Final = 5
_LONGEST_QUOTE: Final = 60


@dataclass(frozen=True, slots=True)
class Unclear:
    """What could not be told from the words: a stable code, and a sentence for the person."""

    code: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """``rows`` are the newest of ``total`` that fit, newest first. ``exact`` is False where the name was a guess;
    ``narrowed``: a day or an amount was said."""

    rows: tuple[Row, ...]
    total: int
    name: str
    exact: bool
    narrowed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Words:
    """What was said of rows: a name (may be empty), days, an amount or bounds, which of several."""

    name: str
    period: Period | None
    keeps: Callable[[Decimal], bool] | None
    newest: bool
    single: bool


_NOUNS: Final = "|".join(
    """charges? purchases? payments? transactions? orders? rows? bills? spending spend stuff things? items? entries
    entry transfers? deposits? refunds? subscriptions? costs? expenses? visits? ones? debits? credits? salary salaries
    wages? pay paychecks? income memberships?""".split()
)
_EDGE: Final = (
    "(?:all|every|each|both|any|my|our|the|that|this|these|those|of|from|to|at|with|on|for|in|by|and|~|,|last|latest"
    f"|newest|most recent|recent|everything|anything|whole|entire|a|an|it|them|{_NOUNS})"
)
_LEFT: Final = re.compile(rf"^[\s\"',.:-]*(?:{_EDGE}(?![\w'&])[\s\"',.:-]*)+")
_RIGHT: Final = re.compile(rf"(?:[\s\"',.:-]+{_EDGE}|~)+[\s\"',.:-]*$|[\s\"',.:-]+$")
_SINGLE: Final = re.compile(r"\b(?:charge|purchase|payment|transaction|order|row|entry|transfer|deposit|refund|one)\b")
_PLURAL: Final = re.compile(r"\b(?:all|every|each|both|charges|purchases|payments|transactions|orders|rows|entries)\b")
_NEWEST: Final = re.compile(r"\b(?:last|latest|newest|most recent)\b")
_AMOUNT: Final = re.compile(
    r"(?<![\w.])(?:[$€£¥]\s?)?(\d[\d,]*(?:\.\d{1,2})?)(?![\w.]*\d)(?:\s?(?:dollars?|bucks|euros?|usd|eur|gbp|pounds?|[$€£])(?!\w))?(?!\w)"
)


def choose(what: str, rows: Sequence[Row], *, as_of: date, one_meant: bool) -> Chosen | Unclear:
    """The rows that ``what`` names: those of a merchant, of a day or stretch of days, of an amount. ``one_meant``: "the
    charge" is a single one, and is asked back where several fit."""
    merchants = Merchants(rows)
    words = _words(what, merchants, as_of)
    if isinstance(words, Unclear):
        return words
    if words.name:
        found = _named(words.name, rows, merchants)
        if isinstance(found, Unclear):
            return found
        candidates, name, exact = found
    elif words.period is not None or words.keeps is not None:
        candidates, name, exact = list(rows), "", True
    else:
        return Unclear("no_merchant", f"I could not tell which rows {_quoted(what)} stands for; name the merchant.")
    fitting = [row for row in candidates if _fits(row, words)]
    if not fitting:
        return Unclear(
            "no_such_row", f"The ledger has no row{_of(name)} that fits {_quoted(what)}.{_newest(name, candidates)}"
        )
    several = _merchants(fitting)
    if len(several) > 1 and " and " not in name:
        return Unclear("several_merchants", f"{_quoted(what)} may be any of {_listed(several)}; say which.")
    newest = sorted(fitting, key=lambda r: (r.day, r.tx.transaction_id), reverse=True)
    if words.newest:
        newest = newest[:1]
    if one_meant and words.single and len({(r.day, r.amount, r.tx.currency) for r in newest}) > 1:
        some = "; ".join(phrase.line(row) for row in newest[:_SHOWN])
        more = f" and {len(newest) - _SHOWN} more" if len(newest) > _SHOWN else ""
        return Unclear(
            "several_rows",
            f"{len(newest)} rows fit {_quoted(what)}: {some}{more}. Say the day or the amount, or say all.",
        )
    return Chosen(
        rows=tuple(newest[:MOST_ROWS]),
        total=len(newest),
        name=name or newest[0].name,
        exact=exact,
        narrowed=words.newest or words.period is not None or words.keeps is not None,
    )


def finding(what: str, findings: Sequence[OpenFinding], rows: Sequence[Row], *, as_of: date) -> OpenFinding | Unclear:
    """The one open finding that ``what`` describes: by its kind, its merchant, its day, its amount."""
    text = tidy(what)
    kinds = {kind for kind, pattern in KINDS if re.search(rf"\b(?:{pattern})\b", text)}
    for _, pattern in KINDS:
        text = re.sub(rf"\b(?:{pattern})\b", " ~ ", text)
    text = re.sub(
        r"\b(?:findings?|signals?|alerts?|warnings?|anomal(?:y|ies)|flags?|notifications?|about|is|are|was|were)\b",
        " ~ ",
        text,
    )
    merchants = Merchants(rows)
    words = _words(text, merchants, as_of)
    if isinstance(words, Unclear):
        return words
    by_id = {row.tx.transaction_id: row for row in rows}
    merchant = merchants.find(words.name) if words.name else None
    named = merchant.ids if merchant is not None else frozenset()
    said = re.compile(rf"(?<!\w){re.escape(words.name)}(?!\w)", re.IGNORECASE)

    def fits(found: OpenFinding) -> bool:
        about = [by_id[i] for i in found.transaction_ids if i in by_id]
        if kinds and found.signal.signal_code not in kinds:
            return False
        if words.name and named.isdisjoint(found.transaction_ids) and not said.search(found.signal.summary):
            return False
        return (words.period is None and words.keeps is None) or any(_fits(row, words) for row in about)

    fitting = [found for found in findings if fits(found)]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        return Unclear(
            "several_findings", f"{len(fitting)} open findings fit: {_findings(fitting)}. Say which, by its id."
        )
    there = f" Open are: {_findings(findings)}." if findings else " No finding is open."
    return Unclear("no_such_finding", f"I know no open finding that {_quoted(what)} fits.{there}")


def amounts_in(text: str, as_of: date) -> tuple[list[Decimal], str]:
    """The amounts that a text names apart from its dates, each once, and the text without dates and amounts."""
    _, rest = find_periods(tidy(text), as_of)
    found = [_decimal(match[1]) for match in _AMOUNT.finditer(rest)]
    return list(dict.fromkeys(found)), _AMOUNT.sub(" ~ ", rest)


# --------------------------------------------------------------------------------------------------------------- words


def _words(what: str, merchants: Merchants, as_of: date) -> _Words | Unclear:
    text = tidy(what)
    periods, rest = find_periods(text, as_of)
    if len(periods) > 1:
        return Unclear("several_dates", f"{_quoted(what)} names several dates; say one at a time.")
    reading = Reading(rest)
    low, high, strictly = take_bounds(reading)
    rest = reading.free.replace(TAKEN, " ")
    name, keeps = _stripped(rest), _within(low, high, strictly)
    known = merchants.find(name) if name else None
    if (known is None or not known.exact) and _AMOUNT.search(rest):
        # not part of a name such as "7 Eleven": an amount
        amounts, rest = amounts_in(rest, as_of)
        if len(amounts) > 1:
            return Unclear("several_amounts", f"{_quoted(what)} names several amounts; say one at a time.")
        name, keeps = _stripped(rest), _within(amounts[0], amounts[0], strictly=False)
    return _Words(
        name=name,
        period=periods[0] if periods else None,
        keeps=keeps,
        newest=_NEWEST.search(rest) is not None,
        single=_SINGLE.search(rest) is not None and _PLURAL.search(rest) is None,
    )


def _stripped(text: str) -> str:
    text = _RIGHT.sub("", _LEFT.sub("", text)).strip(" \"'~,.")
    return re.sub(r"'s$", "", " ".join(text.replace("~", " ").split()))


def _within(low: Decimal | None, high: Decimal | None, strictly: bool) -> Callable[[Decimal], bool] | None:
    if low is None and high is None:
        return None

    def keeps(size: Decimal) -> bool:
        over = low is None or (size > low if strictly else size >= low)
        return over and (high is None or (size < high if strictly else size <= high))

    return keeps


def _fits(row: Row, words: _Words) -> bool:
    in_time = words.period is None or words.period.start <= row.day <= words.period.end
    return in_time and (words.keeps is None or words.keeps(row.size))


def _decimal(digits: str) -> Decimal:
    return Decimal(digits.replace(",", "")[:20])


# --------------------------------------------------------------------------------------------------------------- names


def _named(name: str, rows: Sequence[Row], merchants: Merchants) -> tuple[list[Row], str, bool] | Unclear:
    parts = [_stripped(part) for part in re.split(r",|\band\b", name)]
    key = compact(name)
    if len(parts) > 1 and all(parts) and not any(_is_named(row, key) for row in rows):
        several = _several(parts, rows, merchants)
        if several is not None:
            return several
    merchant = merchants.find(name)
    if merchant is not None:
        return [row for row in rows if row.tx.transaction_id in merchant.ids], merchant.name, merchant.exact
    topic = PHRASE_TOPICS.get(tuple(name.split()))
    if topic is not None and (fitting := [row for row in rows if in_topic(row, topic)]):
        return fitting, topic.name, True
    return Unclear("unknown_merchant", f"The ledger has nothing by the name of {_quoted(name)}.")


def _is_named(row: Row, key: str) -> bool:
    return key in (compact(row.name), "".join(row.words).replace("&", "and"))


def _several(
    parts: Sequence[str], rows: Sequence[Row], merchants: Merchants
) -> tuple[list[Row], str, bool] | Unclear | None:
    """Merchants that are named side by side; None where the parts are no merchants, or all of them the same one, whose
    name has an "and" in it."""
    found = [merchants.find(part) for part in parts]
    known = [merchant for merchant in found if merchant is not None]
    if len({merchant.ids for merchant in known}) <= 1 and len(known) != 1:
        return None
    places = {row.tx.transaction_id: place for place, row in enumerate(rows)}
    looked_at: set[str] = set()
    for part, merchant in zip(parts, found, strict=True):
        if merchant is None:
            return Unclear("unknown_merchant", f"The ledger has nothing by the name of {_quoted(part)}.")
        if part in looked_at:
            continue
        looked_at.add(part)
        own = _merchants(rows[place] for place in sorted(places[i] for i in merchant.ids))
        if len(own) > 1:
            return Unclear("several_merchants", f"{_quoted(part)} may be any of {_listed(own)}; say which.")
    ids = frozenset().union(*dict.fromkeys(merchant.ids for merchant in known))
    names = " and ".join(dict.fromkeys(merchant.name for merchant in known))
    return [row for row in rows if row.tx.transaction_id in ids], names, all(merchant.exact for merchant in known)


def _merchants(rows: Iterable[Row]) -> list[str]:
    """One name for each merchant among the rows."""
    names: dict[str, str] = {}
    for row in rows:
        names.setdefault(row.merchant, row.name)
    return sorted(names.values())


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _findings(found: Sequence[OpenFinding]) -> str:
    more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return "; ".join(f"{f.signal.signal_id} ({f.signal.summary[:80]})" for f in found[:_SHOWN]) + more


def _of(name: str) -> str:
    return f" of {name}" if name else ""


def _newest(name: str, rows: Sequence[Row]) -> str:
    if not name or not rows:
        return ""
    newest = sorted(rows, key=lambda r: (r.day, r.tx.transaction_id), reverse=True)[:3]
    return f" The newest are: {'; '.join(map(phrase.line, newest))}."


def _quoted(text: str) -> str:
    text = text.strip()
    return repr(text if len(text) <= _LONGEST_QUOTE else f"{text[:_LONGEST_QUOTE]}…")
