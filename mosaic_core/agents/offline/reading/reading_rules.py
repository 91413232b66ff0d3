"""Which of the rules counts, and what it leaves unexplained. Pure.

Every rule looks at the whole question. Of those that hold, the one of the highest `Weight` counts; of two with one
weight, the one that is put ``over`` the other. The table's own order means nothing: where two hold and neither is put
over the other, the question may mean either, and is not read.

A mark with nothing that the chosen rule honours speaks against it: "largest" in a question that was read as a sum means
that it was misread, and the question is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from mosaic_core.agents.offline.reading import relations, shapes
from mosaic_core.agents.offline.reading.facts import Facts, Meaning, Rule, Weight, tags
from mosaic_core.agents.offline.reading.marks import Mark, Tag

TABLE: Final = tuple(
    rule for module in (relations, shapes) for rule in vars(module).values() if isinstance(rule, Rule)
)  # fmt: skip
_ANYWHERE: Final = tags(
    "PERIOD BOUND SUBJECT AND MONEY SPEND PAY EXPENSES BUY VISIT ONE TRANSACTION INCOME EARN PAID_ME MONEY_IN MONEY_OUT"
    " REFUND TRANSFER TARGET SAVE WHAT YES_NO OTHER NET_OF_REFUNDS TOTAL"
)
"""What narrows the rows, or says which money is meant: every rule makes something of it."""


def counting(facts: Facts, table: Sequence[Rule] = TABLE) -> list[tuple[Rule, Meaning]]:
    """The rule that counts, and what it makes of the question; several where none of them is put over the others."""
    found = [(rule, meaning) for rule in table if (meaning := rule.reads(facts)) is not None]
    weight = max(rule.weight for rule, _ in found)
    heaviest = [(rule, meaning) for rule, meaning in found if rule.weight is weight]
    over = {rule.name: rule.over for rule in table}
    beaten: set[str] = set()
    for rule, _ in heaviest:
        below = rule.over
        while below and below not in beaten:
            beaten.add(below)
            below = over[below]
    return [(rule, meaning) for rule, meaning in heaviest if rule.name not in beaten]


def decide(facts: Facts, table: Sequence[Rule] = TABLE) -> tuple[Meaning, list[Mark]]:
    """What the question means, and the marks that this makes nothing of; all marks where it is not read at all."""
    (rule, meaning), *others = counting(facts, table)
    if others or meaning.unread or _may_be_either(facts):
        return meaning, list(facts.marks)
    honoured = _ANYWHERE | rule.honours | meaning.also
    if rule.weight <= Weight.SHAPE and facts.said("done_by_merchants"):
        honoured |= {Tag.GROUP}
    return meaning, [mark for mark in facts.marks if mark.tags.isdisjoint(honoured)]


def _may_be_either(f: Facts) -> bool:
    """Words that may mean one thing or another: what was drawn is cash only where cash, a bank or savings are named;
    "how much pay" is no "how much did I pay". Two counts ("the 3 largest of the 90 days") cannot both be how many are
    wanted."""
    named = f.has(Tag.TARGET) or any(subject.name in ("cash withdrawals", "salary") for subject in f.subjects)
    counts = sum(Tag.NUMBER in mark.tags for mark in f.marks)
    return counts > 1 or (not named and f.said("drawn", "how_much_pay"))
