"""Which rows, and which findings, words are about. Pure; what is ambiguous is asked back, and nothing is guessed.

What stands around a name, and what counts rows, is in ``lexicon/requests.toml``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
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
from mosaic_core.ledger.query import Bounds, Flow, Query, Subject, every_row
from mosaic_core.ledger.rows import Row, compact, of_topic
from mosaic_core.ledger.topics import PHRASE_TOPICS

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


@dataclass(frozen=True, slots=True)
class Chosen:
    """Rows, newest first, by a name: as the ledger has it, and whether it is exactly that or a guess."""

    rows: Sequence[Row]
    name: str
    exact: bool


def choose(what: str, known: Known, *, one_meant: bool) -> Chosen:
    """The rows that ``what`` names, newest first: those of a merchant, of a day or stretch of days, of an amount.
    ``one_meant``: "the charge" is a single one, and is asked back where several fit. Raises UnclearError."""
    merchants = Merchants(known.rows)
    name, noun, query = _words(what, merchants, known.as_of)
    if not name and not query.narrows:
        raise UnclearError("no_merchant", f"I could not tell which rows {_quoted(what)} stands for; name the merchant.")
    sides = _sides(name, known.rows, merchants)
    found: dict[str, Row] = {}
    for said, side in sides.items():
        fitting = bounded(select(known.rows, query, subject=side), query)
        several = sorted({row.merchant: row.name for row in reversed(fitting)}.values())
        if len(several) > 1:
            of = what if len(sides) == 1 else said
            raise UnclearError("several_merchants", f"{_quoted(of)} may be any of {_some(several)}; say which.")
        found |= {row.tx_id: row for row in fitting}
    newest = _newest_first(found.values())
    named = [side for side in sides.values() if side is not None]
    name = " and ".join(dict.fromkeys(side.name for side in named))
    if not newest:
        there = _newest_first(row for row in known.rows if any(row.tx_id in side.ids for side in named))[:3]
        are = f" The newest are: {'; '.join(map(phrase.line, there))}." if there else ""
        of = f" of {name}" if name else ""
        raise UnclearError("no_such_row", f"The ledger has no row{of} that fits {_quoted(what)}.{are}")
    says = {which for which, pattern in _WHICH.items() if pattern.search(noun)}
    if "newest" in says:
        newest = newest[:1]
    alike = len({(row.day, row.amount, row.tx.currency) for row in newest}) == 1
    if one_meant and "single" in says and "plural" not in says and not alike:
        rows = _some([*map(phrase.line, newest)], "; ")
        raise UnclearError(
            "several_rows", f"{len(newest)} rows fit {_quoted(what)}: {rows}. Say the day or the amount, or say all."
        )
    return Chosen(newest, name or newest[0].name, exact=all(side.exact for side in named))


def finding(what: str, known: Known) -> OpenFinding:
    """The one open finding that ``what`` describes: by its kind, its merchant, its day, its amount. Raises
    UnclearError."""
    text = tidy(what)
    kinds = {kind for kind, pattern in KINDS.items() if pattern.search(text)}
    for pattern in (*KINDS.values(), _AROUND_FINDING):
        text = pattern.sub(" ~ ", text)
    merchants = Merchants(known.rows)
    name, _, query = _words(text, merchants, known.as_of)
    merchant = merchants.find(name) if name else None
    named = merchant.ids if merchant is not None else frozenset()
    said = re.compile(rf"(?<!\w){re.escape(name)}(?!\w)", re.IGNORECASE)
    by_id = {row.tx_id: row for row in known.rows}

    def fits(found: OpenFinding) -> bool:
        about = [by_id[i] for i in found.transaction_ids if i in by_id]
        return (
            (not kinds or found.signal.signal_code in kinds)
            and (not name or not named.isdisjoint(found.transaction_ids) or bool(said.search(found.signal.summary)))
            and (not query.narrows or bool(bounded(select(about, query), query)))
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


def _words(what: str, merchants: Merchants, as_of: date) -> tuple[str, str, Query]:
    """(the name that is said, may be empty; the words for the rows; days and amounts as a query)."""
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
    query = replace(every_row(as_of), bounds=bounds)
    if _WHICH["refunds"].search(rest.replace(name, " ") if name else rest):
        query = replace(query, flow=Flow.MONEY_IN)  # a payment is no refund, and is not to be filed as one
    return name, rest, replace(query, period=periods[0]) if periods else query


def _stripped(text: str) -> str:
    """The name in a text: without what stands around it."""
    text = _EDGES["left"].sub("", text)
    for run in _EDGES["right"].finditer(text):  # each once: a search for the one at the end begins at every word
        if run.end() == len(text):
            text = text[: run.start()]
    text = text.strip(" \"'~,.")
    return " ".join(text.replace("~", " ").split()).removesuffix("'s")


# --------------------------------------------------------------------------------------------------------------- names


def _sides(name: str, rows: Sequence[Row], merchants: Merchants) -> dict[str, Subject | None]:
    """What a name stands for (None: no name, all rows), or each of those that "and" joins, by what was said. It is one
    name where the ledger has it so, where its parts are no merchants, and where all of them are the same one."""
    if not name:
        return {"": None}
    parts = {part: merchants.find(part) for part in map(_stripped, re.split(r",|\band\b", name))}
    key = compact(name)
    known = [merchant.ids for merchant in parts.values() if merchant is not None]
    whole = "" in parts or any(key in (compact(row.name), "".join(row.words).replace("&", "and")) for row in rows)
    apart = not whole and (len(set(known)) > 1 or len(known) == 1)
    found: dict[str, Subject | None] = {}
    for part, merchant in (parts if apart else {name: merchants.find(name)}).items():
        topic = PHRASE_TOPICS.get(tuple(part.split())) if merchant is None else None
        found[part] = of_topic(topic, rows) if topic is not None else merchant
        if (side := found[part]) is None or not side.ids:
            raise UnclearError("unknown_merchant", f"The ledger has nothing by the name of {_quoted(part)}.")
    return found


def _newest_first(rows: Iterable[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: (row.day, row.tx_id), reverse=True)


def _some(texts: Sequence[str], between: str = ", ") -> str:
    more = f" and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
    return between.join(texts[:_SHOWN]) + more


def _quoted(text: str) -> str:
    text = text.strip()
    return repr(text if len(text) <= _LONGEST_QUOTE else f"{text[:_LONGEST_QUOTE]}…")
