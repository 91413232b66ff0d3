"""The ledger as the offline agent looks at it: rows with category, merchant and searchable text. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from mosaic_core.agents.categorise import categorise
from mosaic_core.agents.descriptors import clean_descriptor, merchant_words
from mosaic_core.agents.offline.vocabulary import TRANSFERS, Topic
from mosaic_core.domain.ledger import Transaction

NOT_REFUND = TRANSFERS | {"INCOME", "LOAN_PAYMENTS"}


@dataclass(frozen=True, slots=True)
class Row:
    """One transaction. ``name`` is the merchant as a person writes it, ``words`` identify it, ``text`` is everything
    that may be searched, lower case. ``category`` is never empty."""

    tx: Transaction
    category: str
    name: str
    words: tuple[str, ...]
    text: str

    @property
    def amount(self) -> Decimal:
        return self.tx.amount

    @property
    def size(self) -> Decimal:
        return abs(self.tx.amount)

    @property
    def day(self) -> date:
        return self.tx.posted_on

    @property
    def spending(self) -> bool:
        """Money out that is gone: not a transfer, not a correction of pay."""
        return self.amount < 0 and self.category not in TRANSFERS and self.category != "INCOME"

    @property
    def income(self) -> bool:
        return self.amount > 0 and self.category == "INCOME"

    @property
    def refund(self) -> bool:
        return self.amount > 0 and self.category not in NOT_REFUND


def rows_of(transactions: Iterable[Transaction], as_of: date) -> list[Row]:
    """The rows up to ``as_of``, oldest first; a repeated transaction id counts once, an amount that is no number not at
    all. The order of the input does not matter."""
    unique: dict[str, Transaction] = {}
    for tx in sorted(transactions, key=_order):
        if tx.posted_on <= as_of and tx.amount.is_finite():
            unique.setdefault(tx.transaction_id, tx)
    return [_row(tx) for tx in unique.values()]


def _order(tx: Transaction) -> tuple[object, ...]:
    amount = tx.amount if tx.amount.is_finite() else Decimal(0)
    identity = (tx.posted_on, tx.transaction_id, tx.account_id, tx.currency)
    return (*identity, amount, tx.description, tx.merchant_name or "", tx.category)


def _row(tx: Transaction) -> Row:
    name = " ".join((tx.merchant_name or "").split()) or clean_descriptor(tx.description)
    words = merchant_words(tx.description, tx.merchant_name)
    text = f"{tx.merchant_name or ''} {tx.description} {name} {' '.join(words)}".lower()
    return Row(tx=tx, category=tx.category or categorise(tx).category, name=name or "unnamed", words=words, text=text)


def in_topic(row: Row, topic: Topic) -> bool:
    return (
        row.category in topic.categories
        and (topic.only is None or topic.only.search(row.text) is not None)
        and (topic.without is None or topic.without.search(row.text) is None)
    )


# ----------------------------------------------------------------------------------------------------------- merchants


@dataclass(frozen=True, slots=True)
class Merchant:
    """Rows of the ledger that a name in a question stands for. ``exact`` is False where the name was a guess."""

    name: str
    ids: frozenset[str]
    exact: bool


def compact(text: str) -> str:
    return re.sub(r"[^0-9a-z]", "", text.lower().replace("&", "and"))


def find_merchant(term: str, rows: Sequence[Row]) -> Merchant | None:
    """The merchant that ``term`` names: by its whole name, by the start of it, by words in the rows' text, last by a
    name that is a slip or two away. None where the ledger knows none: no merchant is made up."""
    key = compact(term)
    if not 2 <= len(key) <= 60:
        return None
    aliased = compact("".join(merchant_words(term)))
    keys = {key, aliased} - {""}
    whole = [row for row in rows if keys & _keys(row)]
    if whole:
        return _merchant(whole, exact=True)
    wanted = tuple(re.findall(r"[0-9a-z&']+", term.lower()))
    starts = [row for row in rows if len(key) >= 3 and _starts(row, wanted, key)]
    if starts:
        return _merchant(starts, exact=True)
    pattern = re.compile(
        r"(?<![0-9a-z])" + r"[^0-9a-z]+".join(re.escape(word) for word in wanted) + r"(?:'?s)?(?![0-9a-z])"
    )
    within = [row for row in rows if len(key) >= 3 and wanted and pattern.search(row.text)]
    if within:
        return _merchant(within, exact=len(wanted) > 1 or len(key) >= 5)
    if key.endswith("s") and len(key) >= 5:
        singular = find_exact(key[:-1], rows)
        if singular:
            return _merchant(singular, exact=True)
    return _closest(key, rows)


def find_exact(key: str, rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if key in _keys(row)]


def _keys(row: Row) -> set[str]:
    return {compact(row.name), "".join(row.words).replace("&", "and")} - {""}


def _starts(row: Row, wanted: tuple[str, ...], key: str) -> bool:
    name = tuple(re.findall(r"[0-9a-z&']+", row.name.lower()))
    return name[: len(wanted)] == wanted or row.words[: len(wanted)] == wanted or (
        len(key) >= 6 and any(k.startswith(key) for k in _keys(row))
    )  # fmt: skip


def _merchant(rows: Sequence[Row], *, exact: bool) -> Merchant:
    names: dict[str, int] = {}
    for row in rows:
        names[row.name] = names.get(row.name, 0) + 1
    best = min(names, key=lambda n: (-names[n], n))
    return Merchant(best, frozenset(row.tx.transaction_id for row in rows), exact)


def _closest(key: str, rows: Sequence[Row]) -> Merchant | None:
    if len(key) < 4:
        return None
    allowed = 1 if len(key) <= 6 else 2
    best: tuple[int, str] | None = None
    candidates: dict[str, None] = {}
    for row in rows:
        for candidate in (*_keys(row), *(w for w in row.words[:1] if len(w) >= 5)):
            candidates[candidate] = None
    for candidate in sorted(candidates):
        if abs(len(candidate) - len(key)) > allowed or candidate[0] != key[0]:
            continue
        gap = distance(key, candidate)
        if gap <= allowed and (best is None or (gap, candidate) < best):
            best = (gap, candidate)
    if best is None:
        return None
    chosen = best[1]
    return _merchant([row for row in rows if chosen in _keys(row) or row.words[:1] == (chosen,)], exact=False)


def distance(a: str, b: str) -> int:
    """Edits between two words, a swap of neighbours counting one."""
    rows = [list(range(len(b) + 1))]
    for i, x in enumerate(a, 1):
        row = [i]
        for j, y in enumerate(b, 1):
            best = min(rows[-1][j] + 1, row[j - 1] + 1, rows[-1][j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                best = min(best, rows[-2][j - 2] + 1)
            row.append(best)
        rows.append(row)
    return rows[-1][-1]
