"""A ledger's rows, each with its category, its merchant and its searchable text: the one view of a row. Pure."""

from __future__ import annotations

import calendar
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import lru_cache
from typing import Final

from mosaic_core.computing import unless_stopped
from mosaic_core.domain.transactions import Transaction
from mosaic_core.ledger.categories.categorise import categorise
from mosaic_core.ledger.descriptors import KEPT, clean_descriptor
from mosaic_core.ledger.query import Subject
from mosaic_core.ledger.resolver import Identity, resolve
from mosaic_core.ledger.spelling import unaccented
from mosaic_core.ledger.topics import TRANSFERS, Topic, card_payment

NOT_REFUND: Final = TRANSFERS | {"INCOME", "LOAN_PAYMENTS"}
NOT_SPENDING: Final = TRANSFERS | {"INCOME"}
_CARD_CATEGORIES: Final = TRANSFERS | {"LOAN_PAYMENTS"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One transaction as both agents and all analyses see it.

    ``merchant`` is equal for all rows of one merchant of the ledger, ``name`` is the merchant as a person writes it,
    ``words`` identify it, ``text`` is everything that may be searched, lower case. ``category`` is never empty;
    ``usual_category`` is what most rows of the merchant in that direction are, so that noise in one descriptor changes
    no analysis. ``own_card`` says that a credit card's bill was paid, which moves money between own accounts: what was
    bought with the card is the spending.

    For statistics: ``magnitude`` is the amount without sign as a float (0 and infinity say nothing), ``log`` its
    natural logarithm, ``ordinal`` the day's number, ``months`` the day in months, of whatever length.
    """

    tx: Transaction
    category: str
    usual_category: str
    merchant: str
    name: str
    words: tuple[str, ...]
    text: str
    own_card: bool
    magnitude: float
    log: float
    ordinal: int
    months: float

    @property
    def tx_id(self) -> str:
        return self.tx.transaction_id

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
    def incoming(self) -> bool:
        return self.tx.amount > 0

    @property
    def measurable(self) -> bool:
        """Whether the amount can be compared with others at all."""
        return 0 < self.magnitude < math.inf

    @property
    def own_transfer(self) -> bool:
        """Whether the source says that the other side is another account."""
        return bool(self.tx.counterparty_account_id) and self.tx.counterparty_account_id != self.tx.account_id

    @property
    def spending(self) -> bool:
        """Money out that is gone: not a transfer, not a card's bill, not a correction of pay."""
        return self.amount < 0 and self.category not in NOT_SPENDING and not self.own_card

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
    identities = resolve(unique.values())
    categories = {tx_id: tx.category or categorise(tx).category for tx_id, tx in unless_stopped(unique.items())}
    votes: dict[tuple[str, bool], Counter[str]] = defaultdict(Counter)
    for tx_id, tx in unique.items():
        votes[(identities[tx_id].merchant, tx.amount > 0)][categories[tx_id]] += bool(tx.amount)
    usual = {
        key: min(counted, key=lambda category: (-counted[category], category)) for key, counted in votes.items()
    }  # fmt: skip
    return [
        _row(tx, identity := identities[tx_id], categories[tx_id], usual[(identity.merchant, tx.amount > 0)])
        for tx_id, tx in unless_stopped(unique.items())
    ]


def _order(tx: Transaction) -> tuple[object, ...]:
    amount = tx.amount if tx.amount.is_finite() else Decimal(0)
    identity = (tx.posted_on, tx.transaction_id, tx.account_id, tx.currency)
    return (*identity, amount, tx.description, tx.merchant_name or "", tx.category)


def _row(tx: Transaction, identity: Identity, category: str, usual_category: str) -> Row:
    text = _text(tx.description, tx.merchant_name, identity.name, identity.words)
    magnitude = abs(float(tx.amount))
    return Row(
        tx=tx,
        category=category,
        usual_category=usual_category,
        merchant=identity.merchant,
        name=identity.name,
        words=identity.words,
        text=text,
        own_card=category in _CARD_CATEGORIES and card_payment(text),
        magnitude=magnitude,
        log=math.log(magnitude) if magnitude else -math.inf,
        ordinal=tx.posted_on.toordinal(),
        months=_in_months(tx.posted_on),
    )


def _in_months(day: date) -> float:
    return day.year * 12 + day.month - 1 + (day.day - 1) / calendar.monthrange(day.year, day.month)[1]


_LONGEST_TEXT: Final = 2_000
"""Characters that are searched of a row: more than its fields hold, unless letters stand for eighteen each."""


@lru_cache(KEPT)
def _text(description: str, merchant_name: str | None, name: str, words: tuple[str, ...]) -> str:
    told = f"{name} {merchant_name or ''} {description} {clean_descriptor(description)} {' '.join(words)}"
    return fold(told.lower())[:_LONGEST_TEXT]


def in_topic(row: Row, topic: Topic) -> bool:
    return (
        row.category in topic.categories
        and (topic.only is None or _found(topic.only, row.text))
        and (topic.without is None or not _found(topic.without, row.text))
    )


def of_topic(topic: Topic, rows: Iterable[Row]) -> Subject:
    return Subject(topic.name, "topic", frozenset(row.tx_id for row in rows if in_topic(row, topic)))


@lru_cache(maxsize=32768)
def _found(pattern: re.Pattern[str], text: str) -> bool:
    return pattern.search(text) is not None


def fold(text: str) -> str:
    """The text without accents: "caffè" and "caffe" are one."""
    return unaccented(text)


def compact(text: str) -> str:
    """Letters and digits of any script, lower case, without accents."""
    return re.sub(r"[\W_]", "", fold(text.casefold()).replace("&", "and"))
