"""Which money a question is about: spending, income, refunds, transfers. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from mosaic_core.agents.offline.reading.facts import Facts, Meaning
from mosaic_core.agents.offline.reading.marks import Tag
from mosaic_core.ledger.query import Flow, Group, Intent, Subject
from mosaic_core.ledger.rows import Row

_MEASURES: Final = frozenset(
    {Intent.AVERAGE, Intent.LARGEST, Intent.SMALLEST, Intent.RANKING, Intent.TOTAL, Intent.COMPARE, Intent.BREAKDOWN}
)


def flow_of(
    facts: Facts, meaning: Meaning, subjects: Sequence[Subject], topic_flow: Flow | None, rows: Sequence[Row]
) -> Flow:
    """The flow that the question's words ask for; where its subjects have no such rows at all, the one that they
    have."""
    flow = _asked(facts, meaning, topic_flow, named=bool(subjects))
    if not subjects or flow not in (Flow.SPENDING, Flow.INCOME) or meaning.intent is Intent.SHARE:
        return flow
    ids = frozenset().union(*(subject.ids for subject in subjects))
    chosen = [row for row in rows if row.tx.transaction_id in ids]
    if flow is Flow.SPENDING and chosen and not any(row.spending for row in chosen):
        # A payee that only transfers went to, or that only ever paid in.
        return Flow.MONEY_OUT if any(row.amount < 0 for row in chosen) else Flow.MONEY_IN
    if flow is Flow.INCOME and chosen and not any(row.income for row in chosen):
        return Flow.MONEY_IN
    return flow


def _asked(facts: Facts, meaning: Meaning, topic_flow: Flow | None, *, named: bool) -> Flow:
    has = facts.has
    if meaning.intent is Intent.SHARE and (has(Tag.INCOME) or topic_flow is Flow.INCOME):
        return Flow.INCOME
    if topic_flow is not None:
        # "What was spent since payday", "spent on benefits": no rows are both.
        spent = has(Tag.SPEND, Tag.BUY) and not has(Tag.INCOME, Tag.EARN, Tag.PAID_ME, Tag.MONEY_IN)
        return Flow.SPENDING if topic_flow is Flow.INCOME and spent else topic_flow
    if has(Tag.REFUND) and not has(Tag.NET_OF_REFUNDS):
        return Flow.REFUNDS
    if has(Tag.TARGET) or (has(Tag.TRANSFER) and not has(Tag.EXPENSES)):
        if facts.said("coming"):
            return Flow.TRANSFERS_IN
        return Flow.TRANSFERS_OUT if has(Tag.TARGET) or facts.said("going") else Flow.TRANSFERS
    sold = facts.said("made") and has(Tag.ONE, Tag.TRANSACTION, Tag.VISIT, Tag.BUY)
    if has(Tag.INCOME, Tag.PAID_ME) or (has(Tag.EARN) and not sold):
        return Flow.INCOME
    mine = facts.said("my_money") and meaning.group is Group.MERCHANT
    if has(Tag.MONEY_IN) and not has(Tag.SPEND, Tag.BUY) and not mine:
        return Flow.MONEY_IN if named else Flow.INCOME
    spends = has(Tag.SPEND, Tag.PAY, Tag.EXPENSES, Tag.BUY, Tag.VISIT, Tag.MONEY_OUT) or facts.said("purchase")
    plain = has(Tag.TRANSACTION) and not (spends or named or facts.bounded)
    # The largest or the average "transaction", or one "over $100", means what was spent; all of them, or their number,
    # means all.
    return Flow.ANY if plain and meaning.intent not in _MEASURES else Flow.SPENDING
