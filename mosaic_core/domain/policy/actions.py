"""The actions that an agent can propose: one class each, with its arguments, its impact, and how it is said.

This is the only table of them: the model's tools, the offline agent's proposals, the rules and the lane go by it. An
action that is not here keeps its name and its arguments, and only a draft for a person can come of it. Arguments are
validated and brought to one spelling before anybody sees, hashes or approves them: what a person reads is what the hash
binds.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from mosaic_core.domain.currency import CURRENCIES
from mosaic_core.domain.errors import MosaicError
from mosaic_core.domain.policy.impact import ImpactClass
from mosaic_core.domain.policy.text import normalise

LONGEST_ARGUMENTS: Final = 8 * 1024
"""Characters of an action's canonical JSON; a larger one is refused, nobody could read it."""

REQUEST: Final = "request"
"""The action of a message that orders something in words: there is no call, only the exact text."""

_DEEPEST: Final = 6
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,59}", re.ASCII)

type _Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
type _Rows = Annotated[list[_Name], Field(min_length=1, max_length=100)]
type _Amount = Annotated[str, StringConstraints(pattern=r"^\d{1,12}(\.\d{1,4})?$")]
type _Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
type _Reference = Annotated[str, StringConstraints(max_length=140)]
type _Reason = Annotated[str, StringConstraints(max_length=200)]
type Cadence = Literal["weekly", "biweekly", "monthly", "quarterly", "yearly"]
type Channel = Literal["email", "text", "letter"]
type Category = Literal[
    "INCOME",
    "TRANSFER_IN",
    "TRANSFER_OUT",
    "LOAN_PAYMENTS",
    "BANK_FEES",
    "ENTERTAINMENT",
    "FOOD_AND_DRINK",
    "GENERAL_MERCHANDISE",
    "HOME_IMPROVEMENT",
    "MEDICAL",
    "PERSONAL_CARE",
    "GENERAL_SERVICES",
    "GOVERNMENT_AND_NON_PROFIT",
    "TRANSPORTATION",
    "TRAVEL",
    "RENT_AND_UTILITIES",
]


class InvalidProposalError(MosaicError):
    """A proposal that nobody has to look at: its arguments are not those of its action. Names fields, no values."""

    code = "proposal_invalid"


class Arguments(BaseModel):
    """The arguments of one action, in camelCase; its docstring is what a model is told of it. ``impact`` is the least
    that it counts as; ``executable``: the app has code for it, all else becomes a draft for a person."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", strict=True, str_strip_whitespace=True
    )
    impact: ClassVar[ImpactClass]
    executable: ClassVar[bool] = False

    @model_validator(mode="after")
    def _is_listed(self) -> Arguments:
        currency = getattr(self, "currency", None)
        if currency is not None and currency not in CURRENCIES:
            raise ValueError("currency is no ISO 4217 code")
        return self

    def rows(self) -> list[str]:
        """The ledger's rows that it touches."""
        return list(getattr(self, "transaction_ids", ()))

    def summary(self) -> str:
        """What it comes to, made from the arguments alone: never a model's own words about them."""
        raise NotImplementedError


class _Annotation(Arguments):
    """What the app has code for: it annotates the household's own rows, and reaches nothing outside."""

    impact = ImpactClass.PROPOSAL
    executable = True


class Recategorise(_Annotation):
    """Put transactions of this household into another category."""

    transaction_ids: _Rows
    category: Category

    def summary(self) -> str:
        return f"put {_counted(self.transaction_ids)} into {self.category}"


class MarkRecurring(_Annotation):
    """Mark transactions of this household as occurrences of one recurring series."""

    transaction_ids: _Rows
    cadence: Cadence = "monthly"

    def summary(self) -> str:
        return f"mark {_counted(self.transaction_ids)} as recurring, {self.cadence}"


class DismissSignal(_Annotation):
    """Dismiss a finding of the nightly sweep that the household knows about."""

    signal_id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
    note: _Reason | None = None

    def summary(self) -> str:
        return f"dismiss signal {self.signal_id}"


class BudgetNote(_Annotation):
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

    impact = ImpactClass.EXTERNAL_MESSAGE

    recipient: _Name
    body: Annotated[str, StringConstraints(min_length=1, max_length=2000)]
    subject: Annotated[str, StringConstraints(max_length=200)] | None = None
    channel: Channel = "email"

    def summary(self) -> str:
        return f"draft a message ({self.channel}) to {self.recipient}: {self.subject or self.body}"


class SendMessage(DraftMessage):
    """Ask that a message be sent to somebody outside. A person decides and sends."""

    def summary(self) -> str:
        return f"send a message ({self.channel}) to {self.recipient}: {self.subject or self.body}"


class Transfer(Arguments):
    """Ask that money be transferred. A person decides and carries it out."""

    impact = ImpactClass.MONEY_MOVEMENT

    amount: _Amount
    currency: _Currency
    to: _Name
    from_account: _Name | None = None
    reference: _Reference | None = None

    def summary(self) -> str:
        return f"transfer {self.amount} {self.currency} to {self.to}"


class Pay(Arguments):
    """Ask that a bill or payee be paid. A person decides and carries it out."""

    impact = ImpactClass.MONEY_MOVEMENT

    payee: _Name
    amount: _Amount
    currency: _Currency
    reference: _Reference | None = None

    def summary(self) -> str:
        return f"pay {self.amount} {self.currency} to {self.payee}"


class CancelSubscription(Arguments):
    """Ask that a subscription or contract be cancelled. A person decides and carries it out."""

    impact = ImpactClass.SUBSCRIPTION_CHANGE

    merchant: _Name
    reason: _Reason | None = None

    def summary(self) -> str:
        return f"cancel the subscription at {self.merchant}"


class DeleteTransactions(Arguments):
    """Ask that transactions of this household be deleted. A person decides."""

    impact = ImpactClass.DELETION

    transaction_ids: _Rows

    def summary(self) -> str:
        return f"delete {_counted(self.transaction_ids)}"


class ChangePayee(Arguments):
    """Ask that a payee or its bank details be changed. A person decides and carries it out."""

    impact = ImpactClass.PAYEE_CHANGE

    payee: _Name
    change: Annotated[str, StringConstraints(min_length=1, max_length=200)]

    def summary(self) -> str:
        return f"change payee {self.payee}: {self.change}"


class CloseAccount(Arguments):
    """Ask that an account or card be closed. A person decides and carries it out."""

    impact = ImpactClass.ACCOUNT_CLOSURE

    account: _Name

    def summary(self) -> str:
        return f"close account {self.account}"


class Request(Arguments):
    """A member's own words, which order something: exactly the message, and the note beside it."""

    impact = ImpactClass.UNLISTED_ACTION

    # as long as what the door lets in can grow in its normal form
    message: Annotated[str, StringConstraints(min_length=1, max_length=4000)]
    note: Annotated[str, StringConstraints(min_length=1, max_length=1200)] | None = None

    def summary(self) -> str:
        return self.message


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
    REQUEST: Request,
}

EXECUTABLE: Final = frozenset(name for name, model in ACTIONS.items() if model.executable)
"""What the app has code for."""


def request_of(message: str, note: str | None) -> dict[str, Any]:
    """The arguments of a `Request`: the words as they are hashed and approved."""
    words = {"message": normalise(message), "note": normalise(note or "")}
    return {key: text for key, text in words.items() if text}


def name_of(action: str) -> str:
    """The action's name in one spelling; what is no name at all is ``unnamed``. A name that only looks like a listed
    one (look-alike letters) stays another name."""
    name = re.sub(r"[\s\-.]+", "_", unicodedata.normalize("NFKC", action).strip().casefold())
    return name if _NAME.fullmatch(name) else "unnamed"


def parsed(action: str, arguments: object) -> Arguments:
    """The arguments of one of `ACTIONS`. Raises InvalidProposalError, which names the fields that do not fit."""
    try:
        return ACTIONS[action].model_validate(_clean(arguments, 0))
    except ValidationError as error:
        faults = {f"{'.'.join(map(str, e['loc'])) or 'arguments'}: {e['msg']}" for e in error.errors()}
        raise InvalidProposalError(
            f"the arguments of {action} are not valid: {_plain('; '.join(sorted(faults)))[:300]}"
        ) from None


def validated(action: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments as they are judged, shown, hashed and executed. ``action`` is from `name_of`.

    Raises InvalidProposalError.
    """
    if action in ACTIONS:
        clean = parsed(action, arguments).model_dump(mode="json", by_alias=True, exclude_none=True)
        if "transactionIds" in clean:
            clean["transactionIds"] = sorted(set(clean["transactionIds"]))
    else:
        clean = _clean(arguments, 0)
    if len(canonical(action, clean)) > LONGEST_ARGUMENTS:
        raise InvalidProposalError(f"the arguments of {action} are longer than anybody would read")
    return dict(clean)


def canonical(action: str, arguments: Mapping[str, Any]) -> str:
    """The exact action as one text: sorted keys, no spaces. Raises InvalidProposalError for what is no JSON."""
    try:
        return json.dumps(
            {"action": action, "arguments": arguments},
            sort_keys=True,
            separators=(",", ":"),
            ensure_ascii=False,
            allow_nan=False,
        )
    except (TypeError, ValueError, RecursionError):
        raise InvalidProposalError(f"the arguments of {action} are no JSON") from None


def texts(value: Any) -> Iterator[str]:
    """Every text within arguments."""
    match value:
        case str():
            yield value
        case Mapping():
            for item in value.values():
                yield from texts(item)
        case list() | tuple():
            for item in value:
                yield from texts(item)


def rows_of(action: str, arguments: Mapping[str, Any]) -> list[str]:
    """The ledger rows that a validated action names; of an unlisted one nobody knows."""
    return list(arguments.get("transactionIds", ())) if action in ACTIONS else []


def amounts(arguments: Mapping[str, Any]) -> list[Decimal]:
    """Every figure that stands under a name that means money, as absolute values."""
    found = []
    for key, value in arguments.items():
        if isinstance(value, Mapping):
            found += amounts(value)
        elif re.search(r"amount|sum|total|price|value|limit", key, re.IGNORECASE) and not isinstance(value, bool):
            digits = re.sub(r"[^\d.]", "", str(value))
            if digits.count(".") <= 1 and digits.strip("."):
                found.append(abs(Decimal(digits)))
    return found


def _clean(value: Any, depth: int) -> Any:
    if depth > _DEEPEST:
        raise InvalidProposalError("the arguments are nested too deeply")
    match value:
        case str():
            return normalise(value)
        case Mapping():
            return {normalise(str(key)): _clean(item, depth + 1) for key, item in value.items()}
        case list() | tuple():
            return [_clean(item, depth + 1) for item in value]
        case _:
            return value


def _counted(ids: list[str]) -> str:
    return f"transaction {ids[0]}" if len(ids) == 1 else f"{len(ids)} transactions"


def _plain(text: str) -> str:
    return re.sub(r"[^\w ,.;:'-]", "?", text, flags=re.ASCII)
