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

VERSION: Final = "router/2"


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


_BILLS: Final = r"(?:bills?|prices?|costs?|fees?|premiums?|rent|charges?|rates?)"
_ACCOUNTS: Final = r"(?:savings|checking|current account|joint account|(?:other|own|second|personal) accounts?|accounts of (?:mine|ours))"
_MOVED: Final = r"(?:put|moved?|moving|shift(?:ed|ing)?|took|take|taken|came|come|comes|left|sent|went|go|goes|paid|topp?(?:ed)? up|withdr[ae]wn?)"
_BORROWED: Final = r"(?:loans?|mortgages?|overdraft|credit cards?|cards?)"

_SIGNS: Final[tuple[tuple[Specialist, float, str], ...]] = (
    (Specialist.ANOMALY, 3, r"\b(?:unusual(?:ly)?|suspicious|anomal\w+|abnormal|strange|odd|weird|fraud\w*|scams?|stolen|hacked|fishy|out of the ordinary|unexpected(?:ly)?|red flags?|don'?t recogni[sz]e|not mine|(?:isn'?t|wasn'?t) mine|unknown (?:charge|merchant)s?)\b"),
    (Specialist.ANOMALY, 3, r"\b(?:twice|double|duplicate)\b.{0,30}\b(?:charge|charged|payment|billed)\b|\b(?:charged|billed)\b.{0,40}\b(?:twice|double)\b|\bduplicates?\b|\b(?:identical|the same) (?:amounts?|charges?|payments?)\b"),
    (Specialist.ANOMALY, 2, r"\b(?:price (?:rise|increase|hike)|more expensive|overcharged)\b"),
    (Specialist.ANOMALY, 3, rf"\b{_BILLS}\b.{{0,30}}\b(?:gone up|went up|risen|rose|increased?|crept up)\b"),
    (Specialist.ANOMALY, 3, r"\bthan (?:usual|normal|expected)\b|\bnormal for (?:us|me)\b|\b(?:seems?|looks?|feels?) (?:off|wrong)\b|\b(?:by|a|some) mistake\b|\bin error\b"),
    (Specialist.ANOMALY, 3, r"\b(?:never|didn'?t|did not) (?:\w+ )?(?:been|order(?:ed)?|buy|bought|shopp?(?:ed)?|authori[sz]ed?|approved?|heard)\b|\bsome(?:one|body)\b.{0,30}\b(?:my|our) (?:card|account)\b"),
    (Specialist.ANOMALY, 3, r"\b(?:failed to|hasn'?t|has not|didn'?t|did not)\b.{0,20}\b(?:arrived?|come|show(?:n|ed)? up|appear(?:ed)?)\b|\bis missing\b|\boverdue\b"),
    (Specialist.ANOMALY, 3, r"\b(?:dismiss|ignore|disregard|false alarms?|findings?|alerts?|signals?)\b|\b(?:is|are|was|were) (?:fine|ok(?:ay)?|expected|on purpose|legit\w*)\b|\b(?:missed|missing|absent) (?:income|pay\w*|salar\w+|wages?|bills?|payments?|deposits?)\b"),
    (Specialist.RECURRING, 3, r"\b(?:subscriptions?|subscribed|recurring|recurs?|standing orders?|direct debits?|memberships?|autopay|(?:fixed|running) (?:costs?|expenses?)|regular (?:payments?|bills?|charges?|expenses?)|streaming services?)\b"),
    (Specialist.RECURRING, 3, rf"\b{_BILLS}\b.{{0,30}}\b(?:every|each|repeat\w*|on a \w+ basis)\b|\bstill pay(?:ing)? for\b|\b(?:weekly|monthly|quarterly|yearly|annual) (?:contract|plan|fee|bills?|charges?|payments?|instal?lments?)\b"),
    (Specialist.RECURRING, 2, r"\b(?:monthly bills?|due (?:next|soon|again)|next (?:payment|bill|debit|instal?lment)|renew\w*|committed|commitments?|contracts?)\b"),
    (Specialist.RECURRING, 1.5, r"\b(?:every|each) (?:week|month|quarter|year)\b"),
    (Specialist.CATEGORISATION, 4, r"\b(?:re-?)?categori[sz]\w*\b|\b(?:re-?)?classif(?:y|ied|ies)\b|\b(?:put|move|file|mark|count|tag|label)\b.{0,60}\b(?:under|as|into|in)\b.{0,30}\b(?:categor\w+|groceries|food|travel|rent|transport\w*|medical|entertainment|utilities|income|shopping|dining|fees|education|gifts?|general \w+)\b"),
    (Specialist.CATEGORISATION, 3, r"\b(?:filed?|tag(?:ged)?|label(?:led|ed)?|count(?:ed)?|treat(?:ed)?|sort(?:ed)?|book(?:ed)?|group(?:ed)?)\b.{0,40}\b(?:as|under)\b|\b(?:be|are|is|go|goes|belongs?|listed) under\b"),
    (Specialist.CATEGORISATION, 3, r"\b(?:wrong|which|what|right) (?:categor\w+|label|tag)\b|\bcategory (?:of|for)\b|\bcategory .{0,40}\bwrong\b|\bin (?:which|what) categor|\bun(?:categori[sz]ed|classified)\b"),
    (Specialist.TRANSFER_MATCHING, 3, r"\btransfers?\b.{0,40}\b(?:between|own|my accounts|savings|checking)\b|\bbetween (?:my|our|own)(?: own)? accounts\b|\bmatch\w*\b.{0,30}\btransfers?\b|\b(?:internal|own) transfers?\b"),
    (Specialist.TRANSFER_MATCHING, 3, rf"\b{_MOVED}\b.{{0,30}}\b(?:to|into|from|in|out of|off from|for)\b.{{0,20}}\b{_ACCOUNTS}\b"),
    (Specialist.TRANSFER_MATCHING, 3, r"\b(?:both|two) sides\b|\bother (?:half|side)\b|\bcounterparts?\b|\bbelong (?:together|to each other)\b"),
    (Specialist.TRANSFER_MATCHING, 1.5, r"\btransfer(?:s|red)?\b"),
    (Specialist.INCOME, 3, r"\b(?:income|salary|salaries|pay ?checks?|paydays?|pay ?day|payslips?|wages?|payroll|take-?home|employers?|earn(?:ed|ings?|s)?|get paid|got paid|(?:my|our|net|gross) pay\b|bonus(?:es)?|pensions?|benefits?|tax refund)\b"),
    (Specialist.INCOME, 3, r"\bpa(?:ys?|id) (?:to )?(?:us|me)\b|\b(?:ma[dk]e|making) from\b|\b(?:came|comes?|coming|br(?:ing|ings|ought)) in\b(?! (?:from|to) (?:savings|checking))|\b(?:money|payments?) (?:received|coming in)\b|\bincoming\b"),
    (Specialist.DEBT_QUALITY, 4, r"\bdebt.to.income\b|\bdebts?\b.{0,20}\b(?:burden|load|level|quality|ratio)\b"),
    (Specialist.DEBT_QUALITY, 3, r"\b(?:debts?|indebted\w*|over-?indebted|credit (?:score|rating|utili[sz]ation)|creditworth\w*|refinanc\w+|consolidat\w+|interest rate|apr|repay\w*|borrow\w*|ow(?:e|es|ed|ing)|pay(?:ing)? ?(?:off|down) (?:my|our|the) (?:loan|mortgage|card))\b"),
    (Specialist.DEBT_QUALITY, 3, rf"\b{_BORROWED}\b.{{0,40}}\b(?:interest|left|remaining|minimum|be paid off|afford\w*)\b|\b(?:interest|left|remaining|minimum|afford\w*)\b.{{0,30}}\b{_BORROWED}\b"),
    (Specialist.DEBT_QUALITY, 1.5, r"\b(?:loans?|mortgage|credit cards?)\b"),
    (Specialist.INVESTMENT, 3, r"\b(?:invest\w*|portfolio|stocks?|shares|equit(?:y|ies)|securities|etfs?|(?:index|mutual|hedge|pension) funds?|dividends?|crypto\w*|bitcoin|ethereum|bonds?|treasur(?:y|ies)|retirement (?:fund|account|savings)|401 ?\(?k\)?|ira|brokerage|holdings?|asset allocation|capital gains?|s&p(?: 500)?|nasdaq|dow jones)\b"),
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
