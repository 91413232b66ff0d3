"""The actions that a model can propose. None of them does anything: a proposal is arguments and a sentence.

The model sees these as tools without a function behind them. What it passes is validated here before anybody sees it;
rows that it names must be the household's own. What becomes of a proposal the policy and a person decide, elsewhere.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from mosaic_core.domain.currency import CURRENCIES
from mosaic_core.ledger.knowledge import PRIMARIES
from mosaic_core.ports import Json, Proposal

MOST: Final = 8
"""Proposals of one answer: more than a person reads is not asked for in good faith."""

_LONGEST_SUMMARY: Final = 200

type Category = Annotated[str, StringConstraints(max_length=40)]
type _Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
type _Rows = Annotated[list[_Name], Field(min_length=1, max_length=100)]
type _Amount = Annotated[str, StringConstraints(pattern=r"^\d{1,12}(\.\d{1,4})?$")]
type _Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]


class Arguments(BaseModel):
    """Arguments of one action, in camelCase. ``summary`` is what a person reads: of arguments, never of the model's
    own words about them."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", strict=True, str_strip_whitespace=True
    )

    def summary(self) -> str:
        raise NotImplementedError

    def rows(self) -> list[str]:
        return list(getattr(self, "transaction_ids", ()))

    @model_validator(mode="after")
    def _listed(self) -> Arguments:
        category, currency = getattr(self, "category", None), getattr(self, "currency", None)
        if category is not None and category not in PRIMARIES:
            raise ValueError("category is not one of the ledger's")
        if currency is not None and currency not in CURRENCIES:
            raise ValueError("currency is no ISO 4217 code")
        return self


class Recategorise(Arguments):
    """Put transactions of this household into another category."""

    transaction_ids: _Rows
    category: Category

    def summary(self) -> str:
        return f"put {_rows(self.transaction_ids)} into {self.category}"


class MarkRecurring(Arguments):
    """Mark transactions of this household as occurrences of one recurring series."""

    transaction_ids: _Rows
    cadence: Literal["weekly", "biweekly", "monthly", "quarterly", "yearly"] = "monthly"

    def summary(self) -> str:
        return f"mark {_rows(self.transaction_ids)} as recurring, {self.cadence}"


class DismissSignal(Arguments):
    """Dismiss a finding of the nightly sweep that the household knows about."""

    signal_id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
    note: Annotated[str, StringConstraints(max_length=200)] | None = None

    def summary(self) -> str:
        return f"dismiss signal {self.signal_id}"


class BudgetNote(Arguments):
    """Write a note on the household's own budget. ``amount`` is decimal text in ``currency``."""

    text: Annotated[str, StringConstraints(min_length=1, max_length=300)]
    category: Category | None = None
    amount: _Amount | None = None
    currency: _Currency | None = None

    def summary(self) -> str:
        money = f" of {self.amount} {self.currency or ''}".rstrip() if self.amount else ""
        return f"note on the budget{money}{f' for {self.category}' if self.category else ''}: {self.text}"


class DraftMessage(Arguments):
    """Draft a message to somebody outside for a person to send."""

    recipient: _Name
    body: Annotated[str, StringConstraints(min_length=1, max_length=2000)]
    subject: Annotated[str, StringConstraints(max_length=200)] | None = None
    channel: Literal["email", "text", "letter"] = "email"

    def summary(self) -> str:
        return f"draft a message ({self.channel}) to {self.recipient}: {self.subject or self.body}"


class SendMessage(DraftMessage):
    """Ask that a message be sent to somebody outside. A person decides and sends."""

    def summary(self) -> str:
        return f"send a message ({self.channel}) to {self.recipient}: {self.subject or self.body}"


class Transfer(Arguments):
    """Ask that money be transferred. A person decides and carries it out."""

    amount: _Amount
    currency: _Currency
    to: _Name
    from_account: _Name | None = None
    reference: Annotated[str, StringConstraints(max_length=140)] | None = None

    def summary(self) -> str:
        return f"transfer {self.amount} {self.currency} to {self.to}"


class Pay(Arguments):
    """Ask that a bill or payee be paid. A person decides and carries it out."""

    payee: _Name
    amount: _Amount
    currency: _Currency
    reference: Annotated[str, StringConstraints(max_length=140)] | None = None

    def summary(self) -> str:
        return f"pay {self.amount} {self.currency} to {self.payee}"


class CancelSubscription(Arguments):
    """Ask that a subscription or contract be cancelled. A person decides and carries it out."""

    merchant: _Name
    reason: Annotated[str, StringConstraints(max_length=200)] | None = None

    def summary(self) -> str:
        return f"cancel the subscription at {self.merchant}"


class DeleteTransactions(Arguments):
    """Ask that transactions of this household be deleted. A person decides."""

    transaction_ids: _Rows

    def summary(self) -> str:
        return f"delete {_rows(self.transaction_ids)}"


class ChangePayee(Arguments):
    """Ask that a payee or its bank details be changed. A person decides and carries it out."""

    payee: _Name
    change: Annotated[str, StringConstraints(min_length=1, max_length=200)]

    def summary(self) -> str:
        return f"change payee {self.payee}: {self.change}"


class CloseAccount(Arguments):
    """Ask that an account or card be closed. A person decides and carries it out."""

    account: _Name

    def summary(self) -> str:
        return f"close account {self.account}"


ACTIONS: Final[Mapping[str, type[Arguments]]] = {
    "recategorise": Recategorise,
    "mark_recurring": MarkRecurring,
    "dismiss_signal": DismissSignal,
    "budget_note": BudgetNote,
    "draft_message": DraftMessage,
    "send_message": SendMessage,
    "transfer": Transfer,
    "pay": Pay,
    "cancel_subscription": CancelSubscription,
    "delete_transactions": DeleteTransactions,
    "change_payee": ChangePayee,
    "close_account": CloseAccount,
}


@dataclass(frozen=True, slots=True)
class Refused:
    """A call that nobody has to look at. ``fault`` names fields and no values: the model is told it."""

    call_id: str
    action: str
    fault: str


def proposal(call_id: str, action: str, arguments: object, household_rows: Collection[str]) -> Proposal | Refused:
    """What a call of the model proposes. ``arguments`` are JSON text or an object, as the provider gave them."""
    model = ACTIONS.get(action)
    if model is None:
        return Refused(call_id, action[:60], "there is no such action")
    try:
        raw = json.loads(arguments, parse_constant=_no_constant) if isinstance(arguments, str) else arguments
        parsed = model.model_validate(_clean(raw))
    except ValidationError as error:
        fields = sorted({f"{'.'.join(map(str, e['loc'])) or 'arguments'}: {e['msg']}" for e in error.errors()})
        return Refused(call_id, action, one_line("; ".join(fields), 300))
    except (ValueError, RecursionError):
        return Refused(call_id, action, "the arguments are no JSON object")
    if foreign := [row for row in parsed.rows() if row not in household_rows]:
        return Refused(call_id, action, f"{len(foreign)} of transactionIds are no rows of this ledger")
    shown: dict[str, Json] = parsed.model_dump(mode="json", by_alias=True, exclude_none=True)
    return Proposal(
        call_id=call_id, action=action, arguments=shown, summary=one_line(parsed.summary(), _LONGEST_SUMMARY)
    )


def _clean(value: Any) -> Any:
    """Texts without invisible and control characters (line breaks stay): what a person reads is what is there."""
    match value:
        case str():
            text = unicodedata.normalize("NFKC", value)
            return "".join(
                c for c in text if c == "\n" or unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Cn", "Co")
            )
        case Mapping():
            return {str(key): _clean(item) for key, item in value.items()}
        case list():
            return [_clean(item) for item in value]
        case _:
            return value


def _no_constant(name: str) -> object:
    raise ValueError(name)


def _rows(ids: list[str]) -> str:
    return f"transaction {ids[0]}" if len(ids) == 1 else f"{len(ids)} transactions"


def one_line(text: str, longest: int) -> str:
    """The text without line breaks, cut to a length."""
    text = " ".join(text.split())
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
