"""The tools that a model can call on the household's ledger. Read-only; over the rows of the run and no others.

Arguments are typed and validated; none of them names a household, an account holder or a run. Every figure in a result
is entered as evidence when it is given out, with the rows that it was computed from: what is not entered here no answer
may say. Texts of the ledger (merchants' names) are data for the model and never a source of figures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mosaic_core.agents.model.grounding import Evidence
from mosaic_core.domain.errors import MosaicError
from mosaic_core.domain.records import OpenFinding
from mosaic_core.domain.transactions import Transaction
from mosaic_core.ledger import compute
from mosaic_core.ledger.compute import Sum
from mosaic_core.ledger.knowledge import PRIMARIES
from mosaic_core.ledger.merchants import find_merchant
from mosaic_core.ledger.periods import Period
from mosaic_core.ledger.query import Bounds, Flow, Group, Intent, Query, Subject
from mosaic_core.ledger.rows import Row, of_topic, rows_of
from mosaic_core.ledger.topics import PHRASE_TOPICS
from mosaic_core.ports import Json

MOST_LISTED: Final = 30
_FIRST_DAY: Final = date(1900, 1, 1)
_LONGEST_NAME: Final = 60
_NAMED_ROWS: Final = 12

type Result = dict[str, Json]
type _Flow = Literal[
    "spending", "income", "refunds", "transfers", "transfers in", "transfers out", "money in", "money out",
    "money in and out", "transactions",
]  # fmt: skip
type _Group = Literal["merchant", "category", "month", "week", "day", "weekday", "year", "quarter"]
type _Many = Annotated[int, Field(ge=1, le=MOST_LISTED)]


class _Arguments(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Scope(_Arguments):
    """Which rows. Everything is optional; days are included. ``about`` is a merchant's name or a topic such as
    "groceries" or "rent". Amounts are without sign."""

    flow: _Flow = "spending"
    first_day: date | None = None
    last_day: date | None = None
    about: Annotated[str, Field(max_length=80)] | None = None
    category: Annotated[str, Field(max_length=40)] | None = None
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] | None = None
    at_least: Annotated[float, Field(ge=0, le=1e12)] | None = None
    at_most: Annotated[float, Field(ge=0, le=1e12)] | None = None

    @model_validator(mode="after")
    def _sound(self) -> Scope:
        if self.first_day and self.last_day and self.first_day > self.last_day:
            raise ValueError("first_day is after last_day")
        if self.category is not None and self.category not in PRIMARIES:
            raise ValueError("category is not one of the ledger's")
        return self


class Average(Scope):
    per: Literal["transaction", "day", "week", "month", "quarter", "year"] = "month"


class Ranked(Scope):
    n: _Many = 5
    smallest: bool = False


class Listed(Scope):
    n: _Many = 10
    oldest_first: bool = False


class Grouped(Scope):
    group: _Group = "category"
    n: _Many = 12


class Compared(Scope):
    """The scope's days are the first side, ``other_first_day`` to ``other_last_day`` the second."""

    first_day: date
    last_day: date
    other_first_day: date
    other_last_day: date

    @model_validator(mode="after")
    def _other(self) -> Compared:
        if self.other_first_day > self.other_last_day:
            raise ValueError("other_first_day is after other_last_day")
        return self


class Recurring(_Arguments):
    kind: Literal["subscriptions", "payments", "income"] = "subscriptions"


class OpenFindings(_Arguments):
    n: Annotated[int, Field(ge=1, le=20)] = 10


class CannotAnswer(_Arguments):
    reason: Literal["not_in_ledger", "future", "advice", "other_people", "not_about_the_ledger", "not_understood"]


class UnknownSubjectError(MosaicError):
    """The ledger knows nothing by that name."""

    code = "subject_unknown"


@dataclass(slots=True)
class Headline:
    """The one value that a result is about, for who wants the answer without its sentence."""

    tool: str
    value: Decimal | int | str | list[str]
    unit: str
    rows: int


@dataclass(slots=True)
class LedgerTools:
    """The tools of one run. ``evidence`` gathers what they gave, ``headlines`` what they were about, in order;
    ``cannot`` is the reason once the model has said that the ledger cannot answer."""

    transactions: Sequence[Transaction]
    as_of: date
    evidence: Evidence
    findings: Sequence[OpenFinding] = ()
    headlines: list[Headline] = field(default_factory=list)
    cannot: str = ""
    rows: list[Row] = field(init=False)

    def __post_init__(self) -> None:
        self.rows = rows_of(self.transactions, self.as_of)
        self.evidence.dates.add(self.as_of)
        first = self.rows[0].day if self.rows else self.as_of
        self.evidence.years = (first.year, self.as_of.year)

    def span(self) -> Result:
        """What the ledger covers, for the instructions."""
        if not self.rows:
            return {"today": self.as_of.isoformat(), "transactions": 0}
        return {
            "today": self.as_of.isoformat(),
            "first_day": self._day(self.rows[0].day),
            "last_day": self._day(self.rows[-1].day),
            "transactions": self._count(len(self.rows)),
            "currencies": [*sorted({row.tx.currency for row in self.rows})],
        }

    # ------------------------------------------------------------------------------------------------------- tools

    def total(self, scope: Scope) -> Result:
        rows = self._rows(scope)
        totals = self._totals(rows)
        self._about("total", totals, len(rows))
        return self._result(rows, totals=self._sums(totals))

    def count(self, scope: Scope) -> Result:
        rows = self._rows(scope)
        self.headlines.append(Headline("count", len(rows), "transactions", len(rows)))
        return self._result(rows, count=self._count(len(rows)))

    def average(self, scope: Average) -> Result:
        rows = self._rows(scope)
        units = compute.units_in(self._period(scope), scope.per, self._first, self.as_of)
        averages = compute.averages(rows, None if scope.per == "transaction" else units)
        self._about("average", averages, len(rows))
        result = self._result(rows, averages=self._sums(averages), per=scope.per)
        if scope.per != "transaction":
            result["number_of_units"] = self._ratio(units.quantize(Decimal("0.01")))
            result["transactions_per_unit"] = self._ratio((len(rows) / units).quantize(Decimal("0.01")))
        return result

    def largest(self, scope: Ranked) -> Result:
        rows = compute.largest(self._rows(scope), scope.n, smallest=scope.smallest)
        if rows:
            self.headlines.append(Headline("largest", rows[0].size, rows[0].tx.currency, len(rows)))
        return self._result(rows, transactions=self._lines(rows))

    def transactions_of(self, scope: Listed) -> Result:
        found = self._rows(scope)
        rows = compute.latest(found, scope.n, first=scope.oldest_first)
        if rows:
            self.headlines.append(Headline("list", rows[0].size, rows[0].tx.currency, len(rows)))
        return self._result(rows, transactions=self._lines(rows), found_in_all=self._count(len(found)))

    def breakdown(self, scope: Grouped) -> Result:
        rows = self._rows(scope)
        ranked = compute.rank(rows, Group(scope.group))
        self._count(len(ranked))
        shown: list[Json] = [
            {"group": _name(key), **self._sum(total)} for key, total in ranked[: scope.n]
        ]  # fmt: skip
        self.evidence.names.update(key for key, _ in ranked[: scope.n])
        if ranked:
            self.headlines.append(Headline("breakdown", ranked[0][0], "", len(rows)))
        return self._result(rows, groups=shown, groups_in_all=len(ranked))

    def compare(self, scope: Compared) -> Result:
        other = scope.model_copy(update={"first_day": scope.other_first_day, "last_day": scope.other_last_day})
        sides = [self._rows(scope), self._rows(other)]
        self._count(2)
        compared: list[Json] = []
        for currency in sorted({row.tx.currency for side in sides for row in side}):
            first, second = (compute.amount_in(side, currency) for side in sides)
            line: dict[str, Json] = {
                "currency": currency,
                "first": self._money(first),
                "second": self._money(second),
                "first_minus_second": self._money(first - second),
            }
            if second:
                change = ((first - second) * 100 / abs(second)).quantize(Decimal("0.1"))
                line["change_percent"] = self._ratio(change)
            compared.append(line)
            self.headlines.append(Headline("compare", first - second, currency, sum(map(len, sides))))
        for day in (scope.first_day, scope.last_day, scope.other_first_day, scope.other_last_day):
            self._day(day)
        return self._result(
            [*sides[0], *sides[1]],
            compared=compared,
            first_count=self._count(len(sides[0])),
            second_count=self._count(len(sides[1])),
        )

    def share(self, scope: Scope) -> Result:
        part = self._rows(scope)
        whole = self._rows(scope.model_copy(update={"about": None, "category": None}))
        shares: list[Json] = []
        for total in compute.totals(whole):
            mine = compute.amount_in(part, total.currency)
            if total.amount:
                percent = (mine * 100 / total.amount).quantize(Decimal("0.1"))
                shares.append(
                    {
                        "currency": total.currency,
                        "part": self._money(mine),
                        "whole": self._money(total.amount),
                        "percent": self._ratio(percent),
                    }
                )
                self.headlines.append(Headline("share", percent, "percent", len(whole)))
        return self._result([*part, *whole], shares=shares)

    def open_findings(self, scope: OpenFindings) -> Result:
        """The newest ones, each with the rows that it is about: what they say is computed from these, not quoted."""
        by_id = {row.tx.transaction_id: row for row in self.rows}
        shown: list[Json] = []
        about: list[Row] = []
        for finding in self.findings[: scope.n]:
            signal = finding.signal
            rows = [by_id[i] for i in finding.transaction_ids if i in by_id]
            about += rows
            self.evidence.names.add(signal.signal_id)
            shown.append(
                {
                    "signal_id": signal.signal_id,
                    "kind": signal.signal_code,
                    "severity": signal.severity,
                    "raised": self._day(signal.raised_at.date()),
                    "transactions": self._lines(rows[:_NAMED_ROWS]),
                }
            )
        self.headlines.append(Headline("open_findings", len(self.findings), "findings", len(about)))
        return self._result(about, findings=shown, findings_in_all=self._count(len(self.findings)))

    def net(self, scope: Scope) -> Result:
        rows = self._rows(scope.model_copy(update={"flow": "money in and out"}))
        nets = compute.totals(rows, signed=True)
        self._about("net", nets, len(rows))
        return self._result(
            rows,
            net=self._sums(nets),
            money_in=self._sums(self._totals(row for row in rows if row.amount > 0)),
            money_out=self._sums(self._totals(row for row in rows if row.amount < 0)),
        )

    def recurring(self, scope: Recurring) -> Result:
        found = compute.recurring(self.rows, as_of=self.as_of, kind=scope.kind)
        lines: list[Json] = []
        for series in found:
            self.evidence.names.add(series.name)
            self.evidence.rows.update(series.ids)
            lines.append(
                {
                    "name": _name(series.name),
                    "amount": self._money(series.amount),
                    "currency": series.currency,
                    "cadence": series.cadence,
                    "per_month": self._money(series.monthly),
                    "last": self._day(series.last),
                }
            )
        per_month = compute.costs(found)
        self._about("recurring", per_month, len(found))
        in_all: list[Json] = [
            {"currency": s.currency, "per_month": self._money(s.amount), "per_year": self._money(s.amount * 12)}
            for s in per_month
        ]
        return {"recurring": lines[:MOST_LISTED], "number": self._count(len(found)), "in_all": in_all}

    def cannot_answer(self, arguments: CannotAnswer) -> Result:
        self.cannot = arguments.reason
        return {"recorded": True}

    # ------------------------------------------------------------------------------------------------------- parts

    @property
    def _first(self) -> date:
        return self.rows[0].day if self.rows else self.as_of

    def _period(self, scope: Scope) -> Period:
        return Period(scope.first_day or _FIRST_DAY, min(scope.last_day or self.as_of, self.as_of), "")

    def _rows(self, scope: Scope) -> list[Row]:
        """Raises `UnknownSubjectError`."""
        for day in (scope.first_day, scope.last_day):
            if day is not None:
                self._day(day)
        query = Query(
            intent=Intent.TOTAL,
            flow=Flow(scope.flow),
            as_of=self.as_of,
            period=self._period(scope),
            subjects=(self._subject(scope.about),) if scope.about else (),
            bounds=Bounds(
                at_least=None if scope.at_least is None else Decimal(str(scope.at_least)),
                at_most=None if scope.at_most is None else Decimal(str(scope.at_most)),
                strictly=False,
            ),
            currency=scope.currency,
        )
        rows = compute.bounded(compute.select(self.rows, query), query)
        return [row for row in rows if scope.category is None or row.category == scope.category]

    def _subject(self, about: str) -> Subject:
        term = " ".join(about.lower().split())
        topic = PHRASE_TOPICS.get(tuple(term.split()))
        if topic is not None:
            return of_topic(topic, self.rows)
        merchant = find_merchant(about, self.rows)
        if merchant is None:
            raise UnknownSubjectError("the ledger knows nothing by that name")
        self.evidence.names.add(merchant.name)
        return merchant

    def _result(self, rows: Iterable[Row], **parts: Json) -> Result:
        """The result with the number of rows behind it and the ids of the first few; all of them are provenance."""
        ids = sorted({row.tx.transaction_id for row in rows})
        self.evidence.rows.update(ids)
        named: list[Json] = [*ids[:_NAMED_ROWS]]
        return {**parts, "rows": self._count(len(ids)), "transaction_ids": named}

    def _lines(self, rows: Iterable[Row]) -> list[Json]:
        lines: list[Json] = []
        for row in rows:
            self.evidence.names.update((row.name, row.tx.transaction_id))
            lines.append(
                {
                    "transaction_id": row.tx.transaction_id,
                    "date": self._day(row.day),
                    "merchant": _name(row.name),
                    "amount": self._money(row.size),
                    "currency": row.tx.currency,
                    "money": "in" if row.amount > 0 else "out",
                    "category": row.category,
                }
            )
        return lines

    def _about(self, tool: str, totals: Sequence[Sum], rows: int) -> None:
        for total in totals:
            self.headlines.append(Headline(tool, total.amount, total.currency, rows))

    def _totals(self, rows: Iterable[Row]) -> list[Sum]:
        return compute.totals(rows)

    def _sums(self, totals: Iterable[Sum]) -> list[Json]:
        return [self._sum(total) for total in totals]

    def _sum(self, total: Sum) -> dict[str, Json]:
        return {
            "amount": self._money(total.amount),
            "currency": total.currency,
            "transactions": self._count(len(total.rows)),
        }

    def _money(self, amount: Decimal) -> str:
        self.evidence.amounts.add(abs(amount))
        return f"{amount:f}"

    def _count(self, number: int) -> int:
        self.evidence.counts.add(Decimal(number))
        return number

    def _ratio(self, number: Decimal) -> str:
        self.evidence.ratios.add(abs(number))
        return f"{number:f}"

    def _day(self, day: date) -> str:
        self.evidence.dates.add(day)
        return day.isoformat()


@dataclass(frozen=True, slots=True)
class LedgerTool:
    """One tool as the model sees it, and what carries it out."""

    name: str
    description: str
    arguments: type[BaseModel]
    work: Callable[[LedgerTools], Callable[..., Result]]


TOOLS: Final[Mapping[str, LedgerTool]] = {
    tool.name: tool
    for tool in (
        LedgerTool("ledger_total", "Sum of the rows in scope, one per currency.", Scope, lambda t: t.total),
        LedgerTool("ledger_count", "Number of rows in scope.", Scope, lambda t: t.count),
        LedgerTool("ledger_average", "Average amount per transaction, day, week, month.", Average, lambda t: t.average),
        LedgerTool("ledger_largest", "The largest (or smallest) rows in scope.", Ranked, lambda t: t.largest),
        LedgerTool("ledger_list", "The newest (or oldest) rows in scope.", Listed, lambda t: t.transactions_of),
        LedgerTool("ledger_breakdown", "Sums by merchant, category, month and so on.", Grouped, lambda t: t.breakdown),
        LedgerTool("ledger_compare", "Two periods against each other: sums, difference, percent.", Compared,
                   lambda t: t.compare),
        LedgerTool("ledger_share", "What part of the flow the merchant, topic or category is, in percent.", Scope,
                   lambda t: t.share),
        LedgerTool("ledger_net", "Money in less money out, transfers left out.", Scope, lambda t: t.net),
        LedgerTool("ledger_recurring", "What recurs: subscriptions, all payments, or income.", Recurring,
                   lambda t: t.recurring),
        LedgerTool("open_findings", "What the nightly sweep found and nobody has dismissed.", OpenFindings,
                   lambda t: t.open_findings),
        LedgerTool("cannot_answer", "Say that the ledger cannot answer the question, and why.", CannotAnswer,
                   lambda t: t.cannot_answer),
    )
}  # fmt: skip


def _name(text: str) -> str:
    """A text of the ledger as one line of bounded length."""
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST_NAME else f"{text[: _LONGEST_NAME - 1]}…"
