"""Which rows, and which findings, words are about. Pure; what is ambiguous is asked back, and nothing is guessed.

What stands around a name, and what counts rows, is in ``lexicon/requests.toml``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

from mosaic_core.agents.offline.answers import phrase
from mosaic_core.agents.offline.reading.marks import TAKEN, Reading
from mosaic_core.agents.offline.reading.narrowing import take_bounds
from mosaic_core.agents.offline.reading.question_text import tidy
from mosaic_core.agents.offline.requests.request_reading import KINDS, frame, frames
from mosaic_core.domain.errors import MosaicError
from mosaic_core.domain.records import OpenFinding
from mosaic_core.ledger.compute import bounded, select
from mosaic_core.ledger.date_words import find_periods
from mosaic_core.ledger.merchants import Merchants
from mosaic_core.ledger.periods import everything
from mosaic_core.ledger.query import UNBOUNDED, Bounds, Flow, Intent, Query
from mosaic_core.ledger.rows import Row, compact, in_topic
from mosaic_core.ledger.topics import PHRASE_TOPICS

MOST_ROWS: Final = 100
"""Rows of one action, as its schema has it."""

_SHOWN: Final = 5
_LONGEST_QUOTE: Final = 60
_EDGES, _WHICH = frames("edges"), frames("which", r"\b")
_AMOUNT, _AROUND_FINDING = frame("amount"), frame("around_finding")


class UnclearError(MosaicError):
    """What could not be told from the words: a stable code, and a sentence for the person, which says their words."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"a request is unclear: {code}")
        self.code = code
        self.text = text


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What a request is held against: the household's rows (oldest first, none after ``as_of``) and open findings."""

    rows: Sequence[Row]
    findings: Sequence[OpenFinding]
    as_of: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """``rows`` are the newest of ``total`` that fit, newest first. ``exact`` is False where the name was a guess."""

    rows: tuple[Row, ...]
    total: int
    name: str
    exact: bool

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(row.tx_id for row in self.rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Words:
    """What was said of rows: a name (may be empty), days and amounts as a query, and the word for the rows."""

    name: str
    query: Query
    noun: str

    @property
    def narrows(self) -> bool:
        return self.query.period.explicit or self.query.bounds != UNBOUNDED

    def fitting(self, rows: Sequence[Row]) -> list[Row]:
        return bounded(select(rows, self.query), self.query)

    def says(self, which: str) -> bool:
        return _WHICH[which].search(self.noun) is not None


def choose(what: str, known: Known, *, one_meant: bool) -> Chosen:
    """The rows that ``what`` names: those of a merchant, of a day or stretch of days, of an amount. ``one_meant``: "the
    charge" is a single one, and is asked back where several fit. Raises UnclearError."""
    merchants = Merchants(known.rows)
    words = _words(what, merchants, known.as_of)
    if not words.name and not words.narrows:
        raise UnclearError("no_merchant", f"I could not tell which rows {_quoted(what)} stands for; name the merchant.")
    candidates, name, exact = _named(words.name, known.rows, merchants) if words.name else (known.rows, "", True)
    newest = _newest_first(words.fitting(candidates))
    if not newest:
        of, there = (f" of {name}", _newest_first(candidates)[:3]) if name else ("", [])
        are = f" The newest are: {'; '.join(map(phrase.line, there))}." if there else ""
        raise UnclearError("no_such_row", f"The ledger has no row{of} that fits {_quoted(what)}.{are}")
    several = _merchants(newest[::-1])
    if len(several) > 1 and " and " not in name:
        raise UnclearError("several_merchants", f"{_quoted(what)} may be any of {_some(several)}; say which.")
    if words.says("newest"):
        newest = newest[:1]
    single = one_meant and words.says("single") and not words.says("plural")
    if single and len({(r.day, r.amount, r.tx.currency) for r in newest}) > 1:
        rows = _some([*map(phrase.line, newest)], "; ")
        raise UnclearError(
            "several_rows", f"{len(newest)} rows fit {_quoted(what)}: {rows}. Say the day or the amount, or say all."
        )
    return Chosen(rows=tuple(newest[:MOST_ROWS]), total=len(newest), name=name or newest[0].name, exact=exact)


def finding(what: str, known: Known) -> OpenFinding:
    """The one open finding that ``what`` describes: by its kind, its merchant, its day, its amount. Raises
    UnclearError."""
    text = tidy(what)
    kinds = {kind for kind, pattern in KINDS.items() if pattern.search(text)}
    for pattern in (*KINDS.values(), _AROUND_FINDING):
        text = pattern.sub(" ~ ", text)
    merchants = Merchants(known.rows)
    words = _words(text, merchants, known.as_of)
    merchant = merchants.find(words.name) if words.name else None
    named = merchant.ids if merchant is not None else frozenset()
    said = re.compile(rf"(?<!\w){re.escape(words.name)}(?!\w)", re.IGNORECASE)
    by_id = {row.tx_id: row for row in known.rows}

    def fits(found: OpenFinding) -> bool:
        about = [by_id[i] for i in found.transaction_ids if i in by_id]
        return (
            (not kinds or found.signal.signal_code in kinds)
            and (
                not words.name or not named.isdisjoint(found.transaction_ids) or bool(said.search(found.signal.summary))
            )
            and (not words.narrows or bool(words.fitting(about)))
        )

    fitting = [found for found in known.findings if fits(found)]
    if len(fitting) == 1:
        return fitting[0]
    among = fitting or known.findings
    listed = _some([f"{found.signal.signal_id} ({found.signal.summary[:80]})" for found in among], "; ")
    if fitting:
        raise UnclearError("several_findings", f"{len(fitting)} open findings fit: {listed}. Say which, by its id.")
    there = f"Open are: {listed}." if listed else "No finding is open."
    raise UnclearError("no_such_finding", f"I know no open finding that {_quoted(what)} fits. {there}")


def amounts_in(text: str, as_of: date) -> tuple[list[Decimal], str]:
    """The amounts that a text names apart from its dates, each once, and the text without dates and amounts."""
    _, rest = find_periods(tidy(text), as_of)
    found = [Decimal(match["digits"].replace(",", "")[:20]) for match in _AMOUNT.finditer(rest)]
    return list(dict.fromkeys(found)), _AMOUNT.sub(" ~ ", rest)


# --------------------------------------------------------------------------------------------------------------- words


def _words(what: str, merchants: Merchants, as_of: date) -> _Words:
    periods, rest = find_periods(tidy(what), as_of)
    if len(periods) > 1:
        raise UnclearError("several_dates", f"{_quoted(what)} names several dates; say one at a time.")
    reading = Reading(rest)
    bounds = take_bounds(reading)
    rest = reading.free.replace(TAKEN, " ")
    name = _stripped(rest)
    known = merchants.find(name) if name else None
    if (known is None or not known.exact) and _AMOUNT.search(rest):
        # not part of a name such as "7 Eleven": an amount
        amounts, rest = amounts_in(rest, as_of)
        if len(amounts) > 1:
            raise UnclearError("several_amounts", f"{_quoted(what)} names several amounts; say one at a time.")
        name, bounds = _stripped(rest), Bounds(amounts[0], amounts[0], strictly=False)
    query = Query(
        intent=Intent.LIST,
        flow=Flow.ANY,
        as_of=as_of,
        period=periods[0] if periods else everything(as_of),
        bounds=bounds,
    )
    return _Words(name=name, query=query, noun=rest)


def _stripped(text: str) -> str:
    """The name in a text: without what stands around it."""
    text = _EDGES["right"].sub("", _EDGES["left"].sub("", text)).strip(" \"'~,.")
    return " ".join(text.replace("~", " ").split()).removesuffix("'s")


# --------------------------------------------------------------------------------------------------------------- names


def _named(name: str, rows: Sequence[Row], merchants: Merchants) -> tuple[Sequence[Row], str, bool]:
    """The rows of a name, the name as the ledger has it, and whether it is exactly that."""
    parts = [_stripped(part) for part in re.split(r",|\band\b", name)]
    key = compact(name)
    if len(parts) > 1 and all(parts) and not any(_is_named(row, key) for row in rows):
        several = _several(parts, rows, merchants)
        if several is not None:
            return several
    merchant = merchants.find(name)
    if merchant is not None:
        return [row for row in rows if row.tx_id in merchant.ids], merchant.name, merchant.exact
    topic = PHRASE_TOPICS.get(tuple(name.split()))
    if topic is not None and (fitting := [row for row in rows if in_topic(row, topic)]):
        return fitting, topic.name, True
    raise UnclearError("unknown_merchant", f"The ledger has nothing by the name of {_quoted(name)}.")


def _is_named(row: Row, key: str) -> bool:
    return key in (compact(row.name), "".join(row.words).replace("&", "and"))


def _several(parts: Sequence[str], rows: Sequence[Row], merchants: Merchants) -> tuple[Sequence[Row], str, bool] | None:
    """Merchants that are named side by side; None where the parts are no merchants, or all of them the same one, whose
    name has an "and" in it."""
    found = {part: merchants.find(part) for part in parts}
    known = [merchant for merchant in found.values() if merchant is not None]
    if len({merchant.ids for merchant in known}) <= 1 and len(known) != 1:
        return None
    by_id = {row.tx_id: row for row in rows}
    for part, merchant in found.items():
        if merchant is None:
            raise UnclearError("unknown_merchant", f"The ledger has nothing by the name of {_quoted(part)}.")
        own = _merchants(sorted((by_id[i] for i in merchant.ids), key=lambda row: (row.day, row.tx_id)))
        if len(own) > 1:
            raise UnclearError("several_merchants", f"{_quoted(part)} may be any of {_some(own)}; say which.")
    ids = frozenset().union(*(merchant.ids for merchant in known))
    names = " and ".join(dict.fromkeys(merchant.name for merchant in known))
    return [row for row in rows if row.tx_id in ids], names, all(merchant.exact for merchant in known)


def _merchants(rows: Iterable[Row]) -> list[str]:
    """One name for each merchant among the rows."""
    names: dict[str, str] = {}
    for row in rows:
        names.setdefault(row.merchant, row.name)
    return sorted(names.values())


def _newest_first(rows: Iterable[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: (row.day, row.tx_id), reverse=True)


def _some(texts: Sequence[str], between: str = ", ") -> str:
    more = f" and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
    return between.join(texts[:_SHOWN]) + more


def _quoted(text: str) -> str:
    text = text.strip()
    return repr(text if len(text) <= _LONGEST_QUOTE else f"{text[:_LONGEST_QUOTE]}…")
