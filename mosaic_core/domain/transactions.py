"""The household's ledger: what a transaction is, and what the lanes' analyses say of it. Pure values."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Final, Literal

REVIEW_BELOW: Final = 0.6
"""Below this confidence a category goes to a person."""

type Category = Literal[
    "INCOME",
    "TRANSFER_IN",
    "TRANSFER_OUT",
    "LOAN_PAYMENTS",
    "BANK_FEES",
    "ENTERTAINMENT",
    "FOOD_AND_DRINK",
    "GENERAL_MERCHANDISE",
    "HOME_IMPROVEMENT",
    "MEDICAL",
    "PERSONAL_CARE",
    "GENERAL_SERVICES",
    "GOVERNMENT_AND_NON_PROFIT",
    "TRANSPORTATION",
    "TRAVEL",
    "RENT_AND_UTILITIES",
]
"""The primaries of Plaid's Personal Finance Categories."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """One posted transaction of a household's account.

    ``amount`` is signed, negative = money out, in ``currency`` (ISO 4217). ``merchant_name``, ``category_hint`` and
    ``counterparty_account_id`` are what the source claims and may be missing. ``category`` is what the ingestion lane
    decided (empty before), with ``category_confidence`` from 0 to 1 and ``category_source`` naming what decided.
    """

    transaction_id: str
    account_id: str
    posted_on: date
    amount: Decimal
    currency: str
    description: str
    merchant_name: str | None = None
    category_hint: str | None = None
    counterparty_account_id: str | None = None
    category: str = ""
    category_confidence: float = 0.0
    category_source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Categorisation:
    """A category for one transaction: ``category`` is a Plaid Personal Finance Category primary, ``confidence`` 0 to 1,
    ``source`` the rule or model that decided, ``rationale`` one sentence without personal data."""

    category: str
    confidence: float
    source: str
    rationale: str


class FindingKind(StrEnum):
    """What a finding is about. Findings of one day are told in this order."""

    DUPLICATE_CHARGE = "duplicate_charge"
    AMOUNT_OUTLIER = "amount_outlier"
    FIRST_TIME_LARGE = "first_time_large"
    PRICE_RISE = "price_rise"
    MISSED_INCOME = "missed_income"
    MISSED_BILL = "missed_bill"
    NEW_RECURRING = "new_recurring"
    CARD_TESTING = "card_testing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something in the ledger that a person should look at.

    ``transaction_ids`` are the rows complained about (not the history that they are compared with), sorted; together
    with ``kind`` they are the finding's identity, so that a second sweep does not raise it again. ``series`` names a
    recurring series where the finding is about an absent row. ``severity`` is one of the contract's (Info, Warning,
    Error, Critical); ``explanation`` says the usual range and what was seen; ``date`` is the day it is about.
    ``anchor`` is the row that the identity rests on where the rows named may grow or are absent (the first of a burst,
    the last before a gap), so that the same finding keeps its identity when more data has arrived.
    """

    kind: FindingKind
    transaction_ids: tuple[str, ...]
    date: date
    severity: str
    explanation: str
    confidence: float
    series: str | None = None
    anchor: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer to a question on the ledger, every figure of it computed from ``transaction_ids``.

    ``value`` is a number (Decimal or int), a text, a list of texts, or None where the ledger cannot answer;
    ``unit`` is an ISO 4217 code, "transactions", "days" and the like, or "". ``text`` is the sentence for a person,
    ``outcome_code`` is ``answered`` or ``cannot_answer``, ``rationale`` says how it was computed or why it was refused.
    Of a request it is ``proposed``, or ``asked_back`` where something of it was unclear; ``value`` is None then.
    """

    text: str
    value: Decimal | int | str | list[str] | None = None
    unit: str = ""
    transaction_ids: tuple[str, ...] = ()
    confidence: float
    outcome_code: str
    rationale: str
    intent: str = ""
    details: tuple[tuple[str, str], ...] = field(default=())
