"""Which money a question is about: spending, income, refunds, transfers. Pure."""

# ruff: noqa: E501 - patterns read worse when they are broken
from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from mosaic_core.agents.offline.sense import Sense
from mosaic_core.agents.offline.words import Tag
from mosaic_core.ledger.query import Flow, Group, Intent, Subject
from mosaic_core.ledger.rows import Row

_MEASURES: Final = frozenset(
    {Intent.AVERAGE, Intent.LARGEST, Intent.SMALLEST, Intent.RANKING, Intent.TOTAL, Intent.COMPARE, Intent.BREAKDOWN}
)
_COMING: Final = re.compile(
    r"\btransfer(?:s|red)? in(?:$| from| to)|\bincoming\b|\breceiv|\btransferred (?:to me|back)|\bfrom (?:my )?savings\b|\binto (?:my )?(?:checking|current)\b|\binbound\b|\btransfers? from\b|\bcame (?:in|from)\b|\bget from\b|\bgot from\b|\bout of (?:my )?savings\b|\bsen[dt] (?:me|us)\b"
)
_GOING: Final = re.compile(
    r"\btransfers? out\b|\boutgoing\b|\bsent\b|\bsend\b|\bto\b|\bmoved?\b|\bmoving\b|\bdid (?:i|we) transfer\b|\b(?:i|we)(?: have)? transfer|\binto\b|\bput\b|\baway\b|\baside\b|\boutbound\b|\bin my savings\b|\bsaved?\b"
)


def flow_of(sense: Sense, subjects: Sequence[Subject], topic_flow: Flow | None, rows: Sequence[Row]) -> Flow:
    """The flow that the question's words ask for; where its subjects have no such rows at all, the one that they have."""
    flow = _asked(sense, topic_flow, bool(subjects))
    if not subjects or flow not in (Flow.SPENDING, Flow.INCOME) or sense.intent is Intent.SHARE:
        return flow
    ids = frozenset().union(*(subject.ids for subject in subjects))
    chosen = [row for row in rows if row.tx.transaction_id in ids]
    if flow is Flow.SPENDING and chosen and not any(row.spending for row in chosen):
        # A payee that only transfers went to, or that only ever paid in.
        return Flow.MONEY_OUT if any(row.amount < 0 for row in chosen) else Flow.MONEY_IN
    if flow is Flow.INCOME and chosen and not any(row.income for row in chosen):
        return Flow.MONEY_IN
    return flow


def _asked(sense: Sense, topic_flow: Flow | None, named: bool) -> Flow:
    has = sense.has
    if sense.intent is Intent.SHARE and (has(Tag.INCOME) or topic_flow is Flow.INCOME):
        return Flow.INCOME
    if topic_flow is not None:
        if (
            topic_flow is Flow.INCOME
            and has(Tag.SPEND, Tag.BUY)
            and not has(Tag.INCOME, Tag.EARN, Tag.PAID_ME, Tag.MONEY_IN)
        ):
            # "What was spent since payday", "spent on benefits": no rows are both.
            return Flow.SPENDING
        return topic_flow
    if has(Tag.REFUND) and not has(Tag.NET_OF_REFUNDS):
        return Flow.REFUNDS
    if has(Tag.TARGET) or (has(Tag.TRANSFER) and not has(Tag.EXPENSES)):
        if _COMING.search(sense.text):
            return Flow.TRANSFERS_IN
        return Flow.TRANSFERS_OUT if _GOING.search(sense.text) or has(Tag.TARGET) else Flow.TRANSFERS
    made = sense.said(r"\b(?:make|made|makes|making|gross|grossed)\b")
    if has(Tag.INCOME, Tag.PAID_ME) or (
        has(Tag.EARN) and not (made and has(Tag.ONE, Tag.TRANSACTION, Tag.VISIT, Tag.BUY))
    ):
        return Flow.INCOME
    mine = sense.said(r"\b(?:my|our) money\b|\bfrom me\b") and sense.group is Group.MERCHANT
    if has(Tag.MONEY_IN) and not has(Tag.SPEND, Tag.BUY) and not mine:
        return Flow.MONEY_IN if named else Flow.INCOME
    spends = has(Tag.SPEND, Tag.PAY, Tag.EXPENSES, Tag.BUY, Tag.VISIT, Tag.MONEY_OUT) or sense.said(r"\bpurchas")
    if has(Tag.TRANSACTION) and not spends and not named and not sense.bounded and sense.intent not in _MEASURES:
        # The largest or the average "transaction", or one "over $100", means what was spent; all of them, or their
        # number, means all.
        return Flow.ANY
    return Flow.SPENDING
