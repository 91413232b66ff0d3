"""Which specialist a command is for: by its payload, and of a message by what it asks. Pure rules, no model.

Debt quality and investment are seams: they are recognised, and the general agent answers what the ledger holds on them.
"""

# ruff: noqa: E501 - patterns read worse when they are broken
from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from mosaic_core.domain.lanes import CommandType

VERSION: Final = "router/1"


class Specialist(StrEnum):
    LEDGER_QUESTION = "ledger_question"
    ANOMALY = "anomaly"
    RECURRING = "recurring"
    CATEGORISATION = "categorisation"
    TRANSFER_MATCHING = "transfer_matching"
    INCOME = "income"
    DEBT_QUALITY = "debt_quality"
    INVESTMENT = "investment"


SEAMS: Final = frozenset({Specialist.DEBT_QUALITY, Specialist.INVESTMENT})
BY_PAYLOAD: Final[Mapping[str, tuple[Specialist, ...]]] = {
    CommandType.INGESTION_COMPLETED: (Specialist.CATEGORISATION, Specialist.TRANSFER_MATCHING, Specialist.INCOME),
    CommandType.NIGHTLY_ANOMALY_SWEEP: (Specialist.ANOMALY, Specialist.RECURRING),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """``confidence`` is 0 to 1; ``others`` are specialists that the question fits as well, best first."""

    specialist: Specialist
    confidence: float
    outcome_code: str
    rationale: str
    others: tuple[Specialist, ...] = ()

    @property
    def is_seam(self) -> bool:
        return self.specialist in SEAMS


_SIGNS: Final[tuple[tuple[Specialist, float, str], ...]] = (
    (Specialist.ANOMALY, 3, r"\b(?:unusual|suspicious|anomal\w+|strange|odd|weird|fraud\w*|fishy|out of the ordinary|unexpected(?:ly)?|don'?t recogni[sz]e|not mine|unknown (?:charge|merchant)s?)\b"),
    (Specialist.ANOMALY, 3, r"\b(?:twice|double|duplicate)\b.{0,30}\b(?:charge|charged|payment|billed)\b|\b(?:charged|billed)\b.{0,40}\b(?:twice|double)\b|\bduplicates?\b"),
    (Specialist.ANOMALY, 2, r"\b(?:price (?:rise|increase|hike)|went up|more expensive|overcharged)\b"),
    (Specialist.RECURRING, 3, r"\b(?:subscriptions?|recurring|standing orders?|direct debits?|memberships?|regular (?:payments?|bills?|charges?))\b"),
    (Specialist.RECURRING, 2, r"\b(?:every (?:month|week|year)|monthly bills?|due next|next (?:payment|bill)|renew\w*)\b"),
    (Specialist.CATEGORISATION, 4, r"\b(?:re-?)?categori[sz]\w*\b|\bre-?classif\w*\b|\b(?:put|move|file|mark|count|tag|label)\b.{0,60}\b(?:under|as|into|in)\b.{0,30}\b(?:categor\w+|groceries|food|travel|rent|transport\w*|medical|entertainment|utilities|income|shopping|dining|fees)\b"),
    (Specialist.CATEGORISATION, 3, r"\b(?:wrong|which|what|right) categor\w+\b|\buncategori[sz]ed\b"),
    (Specialist.TRANSFER_MATCHING, 3, r"\btransfers?\b.{0,40}\b(?:between|own|my accounts|savings|checking)\b|\bbetween (?:my|our|own) accounts\b|\bmatch\w*\b.{0,30}\btransfers?\b|\bmoved (?:to|into|from)\b.{0,20}\b(?:savings|checking)\b"),
    (Specialist.TRANSFER_MATCHING, 1.5, r"\btransfer(?:s|red)?\b"),
    (Specialist.INCOME, 3, r"\b(?:income|salary|salaries|pay ?checks?|paydays?|pay ?day|wages?|payroll|earn(?:ed|ings?|s)?|get paid|got paid|my pay\b|bonus)\b"),
    (Specialist.DEBT_QUALITY, 4, r"\bdebt.to.income\b"),
    (Specialist.DEBT_QUALITY, 3, r"\b(?:debts?|credit score|refinanc\w+|consolidat\w+|interest rate|apr|over-?indebted|pay ?off (?:my|our|the) (?:loan|mortgage|card))\b"),
    (Specialist.DEBT_QUALITY, 1.5, r"\b(?:loans?|mortgage|credit cards?)\b"),
    (Specialist.INVESTMENT, 3, r"\b(?:invest\w*|portfolio|stocks?|shares|etfs?|index funds?|dividends?|crypto|bitcoin|bonds?|retirement fund|401 ?k|brokerage)\b"),
    (Specialist.LEDGER_QUESTION, 2.5, r"\b(?:how much|how many|total|average|largest|biggest|smallest|most|least|sum|compare\w*|spen[dt]\w*|cost|list|show|when did|which (?:month|merchant|shop))\b"),
)  # fmt: skip
_COMPILED: Final = tuple((who, weight, re.compile(pattern, re.IGNORECASE)) for who, weight, pattern in _SIGNS)
_FLOOR: Final = 1.0
"""What speaks for a plain question on the ledger before anything is read."""


def route_question(text: str) -> Route:
    """Whose question this is. Confidence is the best one's share of everything that was found; a text that says
    nothing goes to the ledger agent with little confidence. Never raises."""
    scores = dict.fromkeys(Specialist, 0.0)
    scores[Specialist.LEDGER_QUESTION] = _FLOOR
    for who, weight, pattern in _COMPILED:
        if pattern.search(text[:4000]):
            scores[who] += weight
    # "how much did I spend on subscriptions" is about subscriptions: a topic outweighs the asking words
    topics = [who for who in Specialist if who is not Specialist.LEDGER_QUESTION and scores[who] >= 2]
    if topics:
        scores[Specialist.LEDGER_QUESTION] = min(scores[Specialist.LEDGER_QUESTION], 1.5)
    ranked = sorted(Specialist, key=lambda who: -scores[who])
    best, total = ranked[0], sum(scores.values())
    others = tuple(who for who in ranked[1:] if scores[who] >= 2)
    confidence = round(scores[best] / total, 2) if total > _FLOOR else 0.4
    seam = "; a seam: the ledger agent answers" if best in SEAMS else ""
    also = f"; also {', '.join(others)}" if others else ""
    return Route(
        specialist=best,
        confidence=confidence,
        outcome_code="specialist_not_available" if best in SEAMS else f"routed_{best}",
        rationale=f"the question is for {best}{also}{seam}",
        others=others,
    )


def route_payload(command_type: str) -> tuple[Specialist, ...]:
    """The specialists of a command that asks nothing, in the order in which they work; () for an unknown one."""
    return BY_PAYLOAD.get(command_type, ())
