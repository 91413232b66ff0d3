"""The rules as a table: what each makes something of, and which of several counts. Pure.

Every rule looks at the whole question. Of those that hold, the one of the highest `Weight` counts; of two with one
weight, the one that names the other in ``over``. The table's own order means nothing: where two hold and neither is put
over the other, the question may mean either, and is not read.

What a rule honours is what it makes something of. A mark with nothing that the chosen rule honours speaks against it:
"largest" in a question that was read as a sum means that it was misread, and the question is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from mosaic_core.agents.offline.reading import relations, shapes
from mosaic_core.agents.offline.reading.facts import Facts, Meaning
from mosaic_core.agents.offline.reading.marks import Mark, Tag


class Weight(IntEnum):
    """How much of a question its words pin down."""

    PLAIN = 0
    """Nothing is said but what it is about."""
    ROWS = 1
    """Rows, their number, or whether there are any."""
    SHAPE = 2
    """Which of the rows, or how they are put together."""
    RELATION = 3
    """Figures against each other, or against an amount or today."""
    FIGURE = 4
    """A word that stands for one kind of figure and no other: a price's change, a share, what is left over."""


@dataclass(frozen=True, slots=True)
class Rule:
    """``reads`` says what it makes of a question, None where it does not hold; ``over`` are names of rules."""

    reads: Callable[[Facts], Meaning | None]
    weight: Weight
    honours: frozenset[Tag]
    over: str = ""

    @property
    def name(self) -> str:
        return self.reads.__name__


def _tags(names: str) -> frozenset[Tag]:
    return frozenset(Tag[name] for name in names.split())


ANYWHERE: Final = _tags(
    "PERIOD BOUND SUBJECT AND MONEY SPEND PAY EXPENSES BUY VISIT ONE TRANSACTION INCOME EARN PAID_ME MONEY_IN MONEY_OUT"
    " REFUND TRANSFER TARGET SAVE WHAT YES_NO OTHER NET_OF_REFUNDS TOTAL"
)
"""What narrows the rows, or says which money is meant: every rule makes something of it."""

_PLACES: Final = _tags("WHERE WHO WHICH GROUP")
_MOVES: Final = _tags("MORE LESS THAN UP DOWN CHANGE BEFORE")
_SIDES: Final = _MOVES | _tags("OR VERSUS DIFFERENCE COMPARE YEAR_EARLIER")
_COMPARED: Final = _SIDES | _PLACES | _tags("HOW_MUCH HOW_MANY HOW_OFTEN TIMES OFTEN MOST LEAST PERCENT MAX MIN SINGLE")
_SERIES: Final = _tags("RECURRING SUBSCRIPTION PRICE")
_COST: Final = _SERIES | _tags("HOW_MUCH HOW_MANY LIST WHICH WHERE MAX MIN MOST LEAST PER GROUP NUMBER TOP")
_ONE_ROW: Final = _PLACES | _tags("TOP NUMBER HOW_MUCH SINGLE WHEN LIST LAST")
_DATED: Final = _PLACES | _tags("WHEN HOW_MUCH NUMBER LIST SUBSCRIPTION RECURRING TIMES")
_LISTED: Final = _PLACES | _tags("LIST NUMBER LAST SINGLE TOP HOW_MUCH")

TABLE: Final[tuple[Rule, ...]] = (
    Rule(
        shapes.how_high,
        Weight.FIGURE,
        _ONE_ROW,
        over="price_change series_ends still_paid recurring change_in_percent share net",
    ),
    Rule(
        relations.price_change,
        Weight.FIGURE,
        _MOVES | _SERIES | _tags("LAST HOW_MUCH PERCENT WHICH LIST"),
        over="series_ends still_paid recurring share net",
    ),
    Rule(relations.series_ends, Weight.FIGURE, _DATED, over="still_paid recurring change_in_percent share net"),
    Rule(relations.still_paid, Weight.FIGURE, _COST, over="recurring share net"),
    Rule(relations.recurring, Weight.FIGURE, _COST, over="share change_in_percent net"),
    Rule(relations.change_in_percent, Weight.FIGURE, _COMPARED, over="share net"),
    Rule(relations.share, Weight.FIGURE, _tags("PERCENT HOW_MUCH WHICH GROUP MAX"), over="net"),
    Rule(
        relations.net,
        Weight.FIGURE,
        _tags("NET OVERSPENT EXCEPT MORE LESS THAN VERSUS HOW_MUCH COMPARE DIFFERENCE UP DOWN"),
    ),
    Rule(
        relations.what_changed,
        Weight.RELATION,
        _SIDES | _tags("WHICH GROUP HOW_MUCH MOST LIST WHERE"),
        over="compare days_since exceeds",
    ),
    Rule(relations.compare, Weight.RELATION, _COMPARED, over="days_since exceeds"),
    Rule(shapes.days_since, Weight.RELATION, _DATED | shapes.LATEST, over="exceeds"),
    Rule(relations.exceeds, Weight.RELATION, _tags("MORE LESS THAN LIST")),
    Rule(
        shapes.ranking,
        Weight.SHAPE,
        _ONE_ROW - {Tag.LAST} | _tags("MAX MIN MOST LEAST OFTEN TIMES BREAKDOWN PER MORE"),
        over="extreme first_or_last how_often breakdown price_of_each average",
    ),
    Rule(
        shapes.extreme,
        Weight.SHAPE,
        _ONE_ROW,
        over="first_or_last how_often breakdown price_of_each average",
    ),
    Rule(shapes.first_or_last, Weight.SHAPE, _DATED, over="how_often breakdown price_of_each average"),
    Rule(
        shapes.how_often,
        Weight.SHAPE,
        _tags("HOW_OFTEN TIMES SINGLE HOW_MANY"),
        over="breakdown price_of_each average",
    ),
    Rule(
        shapes.breakdown,
        Weight.SHAPE,
        _tags("BREAKDOWN GROUP PER HOW_MUCH LIST WHERE"),
        over="price_of_each average",
    ),
    Rule(shapes.price_of_each, Weight.SHAPE, _COST, over="average"),
    Rule(
        shapes.average,
        Weight.SHAPE,
        _tags("AVERAGE PER HOW_MUCH HOW_MANY TIMES PRICE SUBSCRIPTION SINGLE RECURRING"),
    ),
    Rule(
        shapes.count,
        Weight.ROWS,
        _tags("HOW_MANY TIMES GROUP SINGLE OFTEN SUBSCRIPTION LIST"),
        over="not_of_rows names rows exists",
    ),
    Rule(shapes.not_of_rows, Weight.ROWS, _LISTED, over="names rows exists"),
    Rule(shapes.names, Weight.ROWS, _LISTED, over="rows exists"),
    Rule(shapes.rows, Weight.ROWS, _LISTED, over="exists"),
    Rule(shapes.exists, Weight.ROWS, _tags("LIST SINGLE TIMES SUBSCRIPTION")),
    Rule(relations.price_now, Weight.PLAIN, _COST, over="total"),
    Rule(shapes.total, Weight.PLAIN, _tags("HOW_MUCH LIST WHICH PRICE SINGLE RECURRING SUBSCRIPTION")),
)


def counting(facts: Facts, table: Sequence[Rule] = TABLE) -> list[tuple[Rule, Meaning]]:
    """The rule that counts, and what it makes of the question; several where none of them is put over the others."""
    found = [(rule, meaning) for rule in table if (meaning := rule.reads(facts)) is not None]
    weight = max(rule.weight for rule, _ in found)
    heaviest = [(rule, meaning) for rule, meaning in found if rule.weight is weight]
    beaten = {name for rule, _ in heaviest for name in rule.over.split()}
    return [(rule, meaning) for rule, meaning in heaviest if rule.name not in beaten]


def decide(facts: Facts, table: Sequence[Rule] = TABLE) -> tuple[Meaning, list[Mark]]:
    """What the question means, and the marks that this makes nothing of; all marks where it is not read at all."""
    (rule, meaning), *others = counting(facts, table)
    if others or meaning.unread or _may_be_either(facts):
        return meaning, list(facts.marks)
    honoured = ANYWHERE | rule.honours | meaning.also
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
