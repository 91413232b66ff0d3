"""The ledger as the offline agent looks at it: rows with category, merchant and searchable text. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import lru_cache
from typing import Final

from mosaic_core.domain.ledger import Transaction
from mosaic_core.ledger.categories.categorise import categorise
from mosaic_core.ledger.descriptors import clean_descriptor, merchant_words
from mosaic_core.ledger.topics import TRANSFERS, Topic, card_payment

NOT_REFUND: Final = TRANSFERS | {"INCOME", "LOAN_PAYMENTS"}
NOT_SPENDING: Final = TRANSFERS | {"INCOME"}
_CARD_CATEGORIES: Final = TRANSFERS | {"LOAN_PAYMENTS"}


@dataclass(frozen=True, slots=True)
class Row:
    """One transaction. ``name`` is the merchant as a person writes it, ``words`` identify it, ``text`` is everything
    that may be searched, lower case. ``category`` is never empty. ``own_card`` says that a credit card's bill was paid,
    which moves money between own accounts: what was bought with the card is the spending."""

    tx: Transaction
    category: str
    name: str
    words: tuple[str, ...]
    text: str
    own_card: bool = False

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
    known = _names_by_descriptor(unique.values())
    return [_row(tx, known) for tx in unique.values()]


def _order(tx: Transaction) -> tuple[object, ...]:
    amount = tx.amount if tx.amount.is_finite() else Decimal(0)
    identity = (tx.posted_on, tx.transaction_id, tx.account_id, tx.currency)
    return (*identity, amount, tx.description, tx.merchant_name or "", tx.category)


def _row(tx: Transaction, known: Mapping[tuple[str, ...], str]) -> Row:
    name, words, text = _looks(tx.description, tx.merchant_name)
    if not (tx.merchant_name or "").strip() and words in known:
        name = known[words]
        text = f"{name.lower()} {text}"
    category = tx.category or categorise(tx).category
    return Row(
        tx=tx,
        category=category,
        name=name or "unnamed",
        words=words,
        text=text,
        own_card=category in _CARD_CATEGORIES and card_payment(text),
    )


_LONGEST_TEXT: Final = 2_000
"""Characters that are searched of a row: more than its fields hold, unless letters stand for eighteen each."""


@lru_cache(maxsize=8192)
def _looks(description: str, merchant_name: str | None) -> tuple[str, tuple[str, ...], str]:
    """(name, identifying words, searchable text)"""
    name = " ".join((merchant_name or "").split()) or clean_descriptor(description)
    words = merchant_words(description, merchant_name)
    text = fold(f"{merchant_name or ''} {description} {name} {' '.join(words)}".lower())
    return name, words, text[:_LONGEST_TEXT]


def _names_by_descriptor(transactions: Iterable[Transaction]) -> dict[tuple[str, ...], str]:
    """What the source calls the merchant of a descriptor, for rows of it that came without a name."""
    named: dict[tuple[str, ...], Counter[str]] = {}
    for tx in transactions:
        name = " ".join((tx.merchant_name or "").split())
        if name:
            for words in {merchant_words(tx.description), merchant_words(tx.description, tx.merchant_name)} - {()}:
                named.setdefault(words, Counter())[name] += 1
    return {words: min(names, key=lambda n: (-names[n], n)) for words, names in named.items()}


def in_topic(row: Row, topic: Topic) -> bool:
    return (
        row.category in topic.categories
        and (topic.only is None or _found(topic.only, row.text))
        and (topic.without is None or not _found(topic.without, row.text))
    )


@lru_cache(maxsize=32768)
def _found(pattern: re.Pattern[str], text: str) -> bool:
    return pattern.search(text) is not None


def fold(text: str) -> str:
    """The text without accents: "caffè" and "caffe" are one."""
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))


def compact(text: str) -> str:
    return re.sub(r"[^0-9a-z]", "", fold(text).lower().replace("&", "and"))
