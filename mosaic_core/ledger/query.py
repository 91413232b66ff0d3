"""What a question asks, as a typed value: the seam between understanding words and computing figures."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Final, NamedTuple

from mosaic_core.ledger.periods import Period, everything


class Intent(StrEnum):
    TOTAL = "total"
    COUNT = "count"
    AVERAGE = "average"
    LARGEST = "largest"
    SMALLEST = "smallest"
    RANKING = "ranking"
    BREAKDOWN = "breakdown"
    LIST = "list"
    COMPARE = "compare"
    CHANGES = "changes"
    SHARE = "share"
    EXISTS = "exists"
    EXCEEDS = "exceeds"
    LAST = "last"
    FIRST = "first"
    HOW_OFTEN = "how_often"
    RECURRING = "recurring"
    NET = "net"
    PRICE_CHANGE = "price change"


class Flow(StrEnum):
    """Which rows a figure is about. Transfers between accounts are neither spending nor income."""

    SPENDING = "spending"
    INCOME = "income"
    REFUNDS = "refunds"
    TRANSFERS = "transfers"
    TRANSFERS_IN = "transfers in"
    TRANSFERS_OUT = "transfers out"
    MONEY_IN = "money in"
    MONEY_OUT = "money out"
    WITHOUT_TRANSFERS = "money in and out"
    ANY = "transactions"


class Group(StrEnum):
    MERCHANT = "merchant"
    CATEGORY = "category"
    MONTH = "month"
    WEEK = "week"
    DAY = "day"
    WEEKDAY = "weekday"
    YEAR = "year"
    QUARTER = "quarter"


TIMES: Final = (Group.DAY, Group.WEEK, Group.MONTH, Group.QUARTER, Group.YEAR)
"""Groups that have an order of their own."""


class Aspect(StrEnum):
    """What of the found rows is wanted: their money, their number, their day, their merchant, the days gone since."""

    AMOUNT = "amount"
    NUMBER = "number"
    DATE = "date"
    MONTH_DAY = "day of the month"
    NAME = "name"
    DAYS = "days"
    YES_NO = "yes or no"
    RATIO = "ratio"


@dataclass(frozen=True, slots=True)
class Subject:
    """What money went to: ``ids`` are the ledger's rows of it over all time. ``kind`` is merchant or topic. ``exact``:
    the name was no guess."""

    name: str
    kind: str
    ids: frozenset[str]
    exact: bool = True


class Bounds(NamedTuple):
    """The amounts between which a row or a sum lies, without sign. ``strictly``: the bounds themselves lie outside."""

    at_least: Decimal | None = None
    at_most: Decimal | None = None
    strictly: bool = True

    @property
    def given(self) -> bool:
        return self.at_least is not None or self.at_most is not None

    def keep(self, amount: Decimal) -> bool:
        if self.strictly and amount in (self.at_least, self.at_most):
            return False
        above = self.at_least is None or amount >= self.at_least
        return above and (self.at_most is None or amount <= self.at_most)


UNBOUNDED: Final = Bounds()


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is to be said of the rows. ``by_count`` compares and ranks by numbers of rows; ``deficit`` asks whether more
    was spent than came in, not less."""

    intent: Intent
    aspect: Aspect = Aspect.AMOUNT
    group: Group | None = None
    per: str | None = None
    n: int | None = None
    smallest_first: bool = False
    by_count: bool = False
    deficit: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Query(Asked):
    """A question understood. ``subjects`` are united (compared, for `Intent.COMPARE`); none means everything. ``whole``
    is what a share is of, where it is not all. ``doubt`` (0 to 1) is how much of the question was guessed."""

    flow: Flow
    as_of: date
    period: Period
    other_period: Period | None = None
    subjects: tuple[Subject, ...] = ()
    without: tuple[Subject, ...] = ()
    whole: tuple[Subject, ...] = ()
    bounds: Bounds = UNBOUNDED
    currency: str | None = None
    account_id: str | None = None
    weekdays: frozenset[int] = frozenset()
    net_of_refunds: bool = False
    recurring_kind: str = "subscriptions"
    doubt: float = 0.0

    @property
    def narrows(self) -> bool:
        """Whether days or amounts are named."""
        return self.period.explicit or self.bounds.given


def every_row(as_of: date) -> Query:
    """All rows up to a day, for what narrows them to take from."""
    return Query(intent=Intent.LIST, flow=Flow.ANY, as_of=as_of, period=everything(as_of))


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the ledger cannot answer: a stable code, and a sentence for the person."""

    code: str
    text: str
    details: tuple[tuple[str, str], ...] = field(default=())
