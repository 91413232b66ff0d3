"""Which of Plaid's sixteen primaries a transaction belongs to, how sure that is, and why. Pure; no model."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from mosaic_core.domain.transactions import REVIEW_BELOW, Categorisation, Transaction
from mosaic_core.ledger.categories.evidence import (
    CHAIN,
    COMPOUND,
    DECISIVE,
    MONEY,
    PHRASE,
    STRONG,
    Saying,
    of_phrase,
    tables,
)
from mosaic_core.ledger.descriptors import NOISE_WORDS, descriptor_words, merchant_key, merchant_words
from mosaic_core.ledger.knowledge import PRIMARIES

REVIEW_THRESHOLD: Final = REVIEW_BELOW
"""A categorisation with less confidence goes to a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HouseholdContext:
    """What is known of the household beyond the row: its own accounts, and what a person taught.

    ``learned`` maps a merchant key (``descriptors.merchant_key``), with ``+`` in front where the correction was made on
    money coming in, to the primary that a person chose for it.
    """

    account_ids: frozenset[str] = frozenset()
    learned: Mapping[str, str] = field(default_factory=dict)


def learning_key(tx: Transaction) -> str:
    """The key under which a person's recategorisation of this row is kept for rows like it."""
    key = merchant_key(tx.description, tx.merchant_name)
    return "+" + key if tx.amount > 0 else key


def categorise(tx: Transaction, *, household: HouseholdContext | None = None) -> Categorisation:
    """The row's category. Confidence is calibrated: of rows with 0.8, about four in five are right.

    Order of evidence: what a person taught, own accounts, then words of the descriptor, the merchant's name and the
    source's hint, weighed by sign and amount. Never raises; a row that says nothing gets a low confidence.
    """
    if household is not None and household.learned:
        taught = household.learned.get(learning_key(tx))
        if taught in PRIMARIES:
            return Categorisation(
                category=taught,
                confidence=0.98,
                source="household_correction",
                rationale="A person chose this category for this merchant.",
            )
    incoming = tx.amount > 0
    scores, source, reason = _score(
        tx.description, tx.merchant_name or "", tx.category_hint or "", incoming, tx.currency
    )
    if tx.counterparty_account_id and tx.counterparty_account_id != tx.account_id:
        own = household is None or not household.account_ids or tx.counterparty_account_id in household.account_ids
        if own:
            card = scores["LOAN_PAYMENTS"] >= STRONG
            return Categorisation(
                category="LOAN_PAYMENTS" if card else ("TRANSFER_IN" if incoming else "TRANSFER_OUT"),
                confidence=0.9 if card else 0.97,
                source="own_accounts",
                rationale="The counterparty is an account of this household.",
            )
        scores = {
            **scores,
            ("TRANSFER_IN" if incoming else "TRANSFER_OUT"): scores["TRANSFER_IN" if incoming else "TRANSFER_OUT"]
            + 1.5,
        }
    category, confidence = _decide(scores)
    if incoming and category not in ("INCOME", "TRANSFER_IN", "LOAN_PAYMENTS"):
        source, reason = "refund", f"Money back: {reason}"
    return Categorisation(category=category, confidence=round(confidence, 3), source=source, rationale=reason)


# --- evidence -------------------------------------------------------------------------------------------------------

# How common each primary is before anything is read (natural logarithm of a share), by direction.
_PRIOR_OUT: Final = {
    "INCOME": -7.0,
    "TRANSFER_IN": -7.0,
    "TRANSFER_OUT": -2.6,
    "LOAN_PAYMENTS": -3.2,
    "BANK_FEES": -3.4,
    "ENTERTAINMENT": -2.4,
    "FOOD_AND_DRINK": -1.3,
    "GENERAL_MERCHANDISE": -1.2,
    "HOME_IMPROVEMENT": -2.8,
    "MEDICAL": -2.8,
    "PERSONAL_CARE": -2.8,
    "GENERAL_SERVICES": -2.2,
    "GOVERNMENT_AND_NON_PROFIT": -3.0,
    "TRANSPORTATION": -2.3,
    "TRAVEL": -2.8,
    "RENT_AND_UTILITIES": -2.5,
}
_PRIOR_IN: Final = {
    "INCOME": -0.7,
    "TRANSFER_IN": -1.2,
    "TRANSFER_OUT": -6.0,
    "LOAN_PAYMENTS": -4.5,
    "BANK_FEES": -5.0,
    "ENTERTAINMENT": -3.6,
    "FOOD_AND_DRINK": -3.2,
    "GENERAL_MERCHANDISE": -2.4,
    "HOME_IMPROVEMENT": -3.6,
    "MEDICAL": -3.8,
    "PERSONAL_CARE": -3.8,
    "GENERAL_SERVICES": -3.6,
    "GOVERNMENT_AND_NON_PROFIT": -4.2,
    "TRANSPORTATION": -3.8,
    "TRAVEL": -3.4,
    "RENT_AND_UTILITIES": -3.8,
}

_REFUND_WORDS: Final = frozenset(
    "refund refunded return returned reversal credit rfnd reversed chargeback adjustment".split()
)
_WRAPPER_WORDS: Final = frozenset(
    """sq tst sp pp paypal pypl pos ach ppd ccd web tel id des indn ref conf purchase debit card dbt checkcard
    chkcard visa mc mastercard recurring authorized auth pending
    contactless withdrawal online mobile payment pymt pmt bill billpay autopay preauthorized preauth pin sig
    trace inc llc ltd corp co the of and at in on for to com www apple google
    prlv sepa cb carte compra tarj tarjeta recibo adeudo incasso kaartbetaling betaling betaalverzoek factuur
    lastschrift kartenzahlung ec girocard einkauf zahlung kortkop kop kortbetaling kort dankort betalingsservice
    autogiro avtalegiro visakop varekjop varekop addebito pagamento pos prelevement paiement achat facture pago
    swish vipps mobilepay twint domiciliacion debito klarna zip direct dd bpay eftpos so fpo fpi
    pay stripe toast clover sumup zettle credit crd st ave rd blvd street avenue drive""".split()
)
# Words that name no merchant but say what the row is; a cleaned name lacks them.
_NOT_NAMES: Final = NOISE_WORDS | frozenset(
    "fee fees payroll transfer xfer deposit withdrawal atm interest refund loan rent".split()
)
_BRAND_STARS: Final = re.compile(
    r"^(?:sq|tst|sp|pp|paypal|pypl|sumup|zettle|toast|clover|stripe|ic|in|ckg|fs|py|ppl)\s?\*", re.IGNORECASE
)

_TRANSFER_SHAPED: Final = re.compile(r"\b(?:transfer|xfer|zelle|venmo|cash ?app|wire|tfr)\b")
_CARD_PAYMENT: Final = re.compile(
    r"\b(?:credit|cr|visa|mastercard|amex|discover|citi|chase|barclay\w*|capital one|synchrony|cc)\s*(?:card|crd|cd)?\b"
    r".*\b(?:autopay|e-?pay(?:ment)?|epay|pmt|pymt|payment|pay)\b"
    r"|\bpayment\b.*\bthank ?you|\bthank ?you\b.*\bpayment|\bautomatic payment\b"
)


@lru_cache(maxsize=8192)
def _score(
    description: str, merchant_name: str, hint: str, incoming: bool, currency: str
) -> tuple[dict[str, float], str, str]:
    scores = dict(_PRIOR_IN if incoming else _PRIOR_OUT)
    words = descriptor_words(description)
    reading = _Reading(scores, incoming, currency)
    source, reason = reading.read(words, description)
    if merchant_name.strip():
        name_words = descriptor_words(merchant_name)
        if not set(name_words) <= set(words) or not words:
            name_source, name_reason = reading.read(name_words, merchant_name)
            if source == "no_evidence":
                source, reason = name_source, name_reason
    if hint.strip():
        source, reason = _read_hint(hint, reading, source, reason)
    _direct_transfers(scores, incoming)
    return scores, source, reason


def _direct_transfers(scores: dict[str, float], incoming: bool) -> None:
    """What says "transfer" says in which direction less well than the sign of the amount does."""
    prior = _PRIOR_IN if incoming else _PRIOR_OUT
    said = [scores[c] - prior[c] for c in ("TRANSFER_IN", "TRANSFER_OUT")]
    here, there = ("TRANSFER_IN", "TRANSFER_OUT") if incoming else ("TRANSFER_OUT", "TRANSFER_IN")
    scores[here] = prior[here] + (max(said) if max(said) > 0 else min(said))
    scores[there] = prior[there]


_TOLD: Final = {
    "known_merchant": "a known merchant",
    "phrase": "words that belong together",
    "word": "a word that names the trade",
    "stem": "part of a word",
}


class _Reading:
    """Adds to ``scores`` what descriptors of one row say."""

    def __init__(self, scores: dict[str, float], incoming: bool, currency: str) -> None:
        self._scores = scores
        self._incoming = incoming
        self._currency = currency
        self._tables = tables()

    def read(self, words: tuple[str, ...], raw: str, factor: float = 1.0) -> tuple[str, str]:
        """Adds what ``words`` say, ``factor`` times; the kind of the best evidence, and a sentence on it."""
        before = dict(self._scores)
        named = frozenset(merchant_words(raw))
        lead = next((i for i, w in enumerate(words) if w not in _WRAPPER_WORDS and not w.isdigit()), 0)
        source, used = self._names(words, lead, factor)
        kind, specific = self._single_words(words, used, named, factor)
        if source == "no_evidence" or (kind == "known_merchant" and source == "phrase"):
            source = kind
        if not specific and source in ("no_evidence", "word"):
            source = self._general(words, used, factor) or source
        self._shape(words, raw, source, before, factor)
        if source == "no_evidence":
            return source, "The descriptor says nothing about the kind of merchant."
        best = max(self._scores, key=lambda c: self._scores[c] - before[c])
        return source, f"The descriptor has {_TOLD[source]} of {best}."

    def is_said(self, category: str) -> None:
        """The source itself names the primary."""
        self._scores[category] += 3.5

    def _names(self, words: tuple[str, ...], lead: int, factor: float) -> tuple[str, set[int]]:
        """Chains and phrases; the kind found and the places of their words."""
        used: set[int] = set()
        source = "no_evidence"
        for index in range(len(words)):
            for table, kind in ((self._tables.chains, "known_merchant"), (self._tables.phrases, "phrase")):
                for length, entry in table.at(words, index):
                    end = index + length
                    said = of_phrase(entry, self._currency)
                    if length == 1 and index != lead:
                        said = tuple(s for s in said if not s.ordinary)
                    if not said or not used.isdisjoint(range(index, end)):
                        continue
                    for saying in said:
                        weight = saying.weight
                        if kind == "known_merchant":
                            weight = self._of_chain(saying, words, index, end, lead)
                        self._scores[saying.category] += weight * factor
                    used.update(range(index, end))
                    if source in ("no_evidence", "phrase"):
                        source = kind
                    break
        return source, used

    def _names_a_trade(self, words: tuple[str, ...], category: str) -> bool:
        """Whether words after a name make it another business: "Delta Dental", "Shell Beach Motel"."""
        for word in words:
            said = self._tables.word(word, self._currency) if word not in _WRAPPER_WORDS else None
            strong = [s.category for s in said or () if s.weight >= STRONG and not s.general]
            if strong and category not in strong and MONEY.isdisjoint(strong):
                return True
        return False

    def _of_chain(self, saying: Saying, words: tuple[str, ...], index: int, end: int, lead: int) -> float:
        """What a chain's name weighs, with what stands before and after it."""
        if (
            end < len(words)
            and words[end] in _DEPARTMENTS
            and self._names_a_trade(words[end : end + 1], saying.category)
        ):
            return 2.0
        if end - index > 1:
            return saying.weight
        abroad = saying.home is not None and self._currency not in saying.home
        if (saying.ordinary or abroad) and self._names_a_trade(words[end : end + 2], saying.category):
            return 2.0
        return saying.weight if index == lead else saying.weight - 2.2

    def _single_words(
        self, words: tuple[str, ...], used: set[int], named: frozenset[str], factor: float
    ) -> tuple[str, bool]:
        """Words outside of chains and phrases; the kind found, and whether any names more than "a shop"."""
        source, specific = "no_evidence", bool(used)
        rest = [i for i in range(len(words)) if i not in used]
        told = {i: said for i in rest if (said := self._tables.word(words[i], self._currency)) is not None}
        trades = [i for i in told if words[i] not in _WRAPPER_WORDS and (words[i] in named or not named)]
        last = max(trades, default=-1)
        for index in rest:
            word = words[index]
            if index in told:
                said = tuple(s for s in told[index] if not s.general)
                share = 1.0 if len({s.category for s in said}) == 1 else 0.85
                # English names end with the trade: "Coffee Roasters Supply", "Garden Cafe".
                place = 1.15 if index == last else 0.8
                elsewhere = bool(named) and word not in named and word not in _NOT_NAMES
                best: dict[str, float] = {}
                for saying in said:
                    # A street, a town: "park city", "market st". What says how money moved may stand anywhere.
                    where = 0.35 if elsewhere and saying.category not in MONEY else place
                    best[saying.category] = max(best.get(saying.category, 0.0), saying.weight * share * where)
                    specific = specific or (saying.weight >= STRONG and where > 0.35)
                for category, weight in best.items():
                    self._scores[category] += weight * factor
                if said and word not in _WRAPPER_WORDS and source == "no_evidence":
                    source = "word"
                continue
            if len(word) < 5:
                continue
            brand = self._tables.brand_in(word)
            if brand is not None:
                self._scores[brand] += CHAIN * factor
                source, specific = "known_merchant", True
                continue
            if self._parts(word, factor):
                specific = True
                if source == "no_evidence":
                    source = "stem"
        return source, specific

    def _parts(self, word: str, factor: float) -> bool:
        compound = self._tables.compound_of(word, self._currency)
        if compound:
            categories = {s.category: s.weight for s in compound}
            for category, weight in categories.items():
                self._scores[category] += weight * (1.0 if len(categories) == 1 else 0.8) * factor
            return True
        hits = self._tables.stems_in(word) if len(word) >= 6 else {}
        for category, end in hits.items():
            self._scores[category] += (COMPOUND if end == max(hits.values()) else 1.5) * factor
        return bool(hits)

    def _general(self, words: tuple[str, ...], used: set[int], factor: float) -> str | None:
        """Words for any shop or service, where nothing more is said."""
        found = None
        for index, word in enumerate(words):
            for saying in self._tables.word(word, self._currency) or () if index not in used else ():
                if saying.general:
                    self._scores[saying.category] += saying.weight * factor
                    found = "word"
        return found

    def _shape(self, words: tuple[str, ...], raw: str, source: str, before: dict[str, float], factor: float) -> None:
        """What the row as a whole is: a card payment, a transfer, a terminal, a fee, pay, money back."""
        scores, text = self._scores, " ".join(words)
        fee = scores["BANK_FEES"] - before["BANK_FEES"] >= STRONG
        if _CARD_PAYMENT.search(text):
            scores["LOAN_PAYMENTS"] += 4.0 * factor
        elif _TRANSFER_SHAPED.search(text) and not fee and "fee" not in words:
            scores["TRANSFER_IN" if self._incoming else "TRANSFER_OUT"] += 2.5 * factor
        if _BRAND_STARS.match(raw):
            # A card terminal of a small merchant: neither pay nor a utility.
            for category, weight in (
                ("FOOD_AND_DRINK", 0.9),
                ("PERSONAL_CARE", 0.3),
                ("GENERAL_MERCHANDISE", 0.3),
                ("INCOME", -2.0),
                ("TRANSFER_OUT", -1.5),
                ("TRANSFER_IN", -2.0),
                ("RENT_AND_UTILITIES", -1.0),
            ):
                scores[category] += weight * factor
        if not self._incoming:
            if fee:
                # What the fee is for: "ATM withdrawal fee", "wire transfer fee".
                for category in ("TRANSFER_OUT", "TRANSFER_IN"):
                    scores[category] -= 3.0
                scores["LOAN_PAYMENTS"] -= 1.5
                if not _BANK_WORDS.isdisjoint(words):
                    scores["BANK_FEES"] += 3.0
            return
        if self._pays(words, scores["INCOME"] - before["INCOME"]):
            scores["INCOME"] += 4.0
            scores["TRANSFER_IN"] -= 2.5
        elif not _REFUND_WORDS.isdisjoint(words):
            if "tax" not in words and scores["INCOME"] - before["INCOME"] < STRONG:
                scores["INCOME"] -= 3.0
            if scores["TRANSFER_IN"] - before["TRANSFER_IN"] < STRONG:
                scores["TRANSFER_IN"] -= 3.0
        elif source == "known_merchant":
            # Money from a shop is a refund, whatever else the descriptor says.
            scores["INCOME"] -= 1.0
            scores["TRANSFER_IN"] -= 0.5

    def _pays(self, words: tuple[str, ...], said: float) -> bool:
        """Whether a word says that this is pay, a pension or a benefit."""
        if said >= PHRASE or any(pair in _DIRECT_DEPOSIT for pair in itertools.pairwise(words)):
            return True
        return any(
            s.category == "INCOME" and s.weight >= DECISIVE
            for word in words
            for s in self._tables.word(word, self._currency) or ()
        )


# A shop's name before one of these is one of its departments: "Kroger Pharmacy", "Walmart Fuel".
_DEPARTMENTS: Final = frozenset(
    "pharmacy pharmacie opticians optical optician gas gasoline fuel petrol insurance mobile funeralcare tyres".split()
)
_BANK_WORDS: Final = frozenset("bank banking acct account konto compte cuenta conto rekening fcu".split())
_DIRECT_DEPOSIT: Final = frozenset({("direct", "dep"), ("dir", "dep"), ("direct", "deposit")})


def _read_hint(hint: str, reading: _Reading, source: str, reason: str) -> tuple[str, str]:
    normal = re.sub(r"[^A-Z]+", "_", hint.upper()).strip("_")
    named = next(
        (c for c in sorted(PRIMARIES, key=len, reverse=True) if normal == c or normal.startswith(c + "_")), None
    )
    if named is not None:
        reading.is_said(named)
        if source == "no_evidence":
            return "category_hint", f"The source says {named}."
        return source, reason
    hint_source, hint_reason = reading.read(descriptor_words(hint), "", 0.6)
    if source == "no_evidence" and hint_source != "no_evidence":
        return "category_hint", hint_reason
    return source, reason


def _decide(scores: Mapping[str, float]) -> tuple[str, float]:
    top = max(scores.values())
    total = sum(math.exp(value - top) for value in scores.values())
    best = min((c for c in PRIMARIES if scores[c] == top), key=PRIMARIES.index)
    return best, min(0.99, 1.0 / total)
