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

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic.alias_generators import to_camel, to_snake

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


def _listed(currency: str) -> str:
    if currency not in CURRENCIES:
        raise ValueError("is no ISO 4217 code")
    return currency


type _Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
type _Amount = Annotated[str, StringConstraints(pattern=r"^\d{1,12}(\.\d{1,4})?$")]
type _Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$"), AfterValidator(_listed)]
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
    """The arguments of one action, in camelCase; its docstring is what a model is told of it.

    ``impact`` is the least that it counts as; ``said`` how it reads, with the arguments put in; ``executable``: the app
    has code for it, all else becomes a draft for a person.
    """

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", strict=True, str_strip_whitespace=True
    )
    impact: ClassVar[ImpactClass]
    said: ClassVar[str]
    executable: ClassVar[bool] = False

    def summary(self) -> str:
        """What it comes to, made from the arguments alone: never a model's own words about them."""
        return self.said.format_map(self._put_in())

    def _put_in(self) -> dict[str, object]:
        return {name: getattr(self, name) for name in type(self).model_fields}


class _OnRows(Arguments):
    """Touches rows of the ledger."""

    transaction_ids: Annotated[list[_Name], Field(min_length=1, max_length=100)]

    def _put_in(self) -> dict[str, object]:
        count = len(self.transaction_ids)
        rows = f"transaction {self.transaction_ids[0]}" if count == 1 else f"{count} transactions"
        return super()._put_in() | {"rows": rows}


class _Annotation(Arguments):
    """What the app has code for: it annotates the household's own rows, and reaches nothing outside."""

    impact = ImpactClass.PROPOSAL
    executable = True


class Recategorise(_Annotation, _OnRows):
    """Put transactions of this household into another category."""

    said = "put {rows} into {category}"
    category: Category


class MarkRecurring(_Annotation, _OnRows):
    """Mark transactions of this household as occurrences of one recurring series."""

    said = "mark {rows} as recurring, {cadence}"
    cadence: Cadence = "monthly"


class DismissSignal(_Annotation):
    """Dismiss a finding of the nightly sweep that the household knows about."""

    said = "dismiss signal {signal_id}"
    signal_id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
    note: _Reason | None = None


class BudgetNote(_Annotation):
    """Write a note on the household's own budget. ``amount`` is decimal text in ``currency``."""

    said = "note on the budget{money}{about}: {text}"
    text: Annotated[str, StringConstraints(min_length=1, max_length=300)]
    category: Category | None = None
    amount: _Amount | None = None
    currency: _Currency | None = None

    def _put_in(self) -> dict[str, object]:
        money = f" of {self.amount} {self.currency or ''}".rstrip() if self.amount else ""
        return super()._put_in() | {"money": money, "about": f" for {self.category}" if self.category else ""}


class DraftMessage(Arguments):
    """Draft a message to somebody outside for a person to send."""

    impact = ImpactClass.EXTERNAL_MESSAGE
    said = "draft a message ({channel}) to {recipient}: {about}"
    recipient: _Name
    body: Annotated[str, StringConstraints(min_length=1, max_length=2000)]
    subject: Annotated[str, StringConstraints(max_length=200)] | None = None
    channel: Channel = "email"

    def _put_in(self) -> dict[str, object]:
        return super()._put_in() | {"about": self.subject or self.body}


class SendMessage(DraftMessage):
    """Ask that a message be sent to somebody outside. A person decides and sends."""

    said = "send a message ({channel}) to {recipient}: {about}"


class Transfer(Arguments):
    """Ask that money be transferred. A person decides and carries it out."""

    impact = ImpactClass.MONEY_MOVEMENT
    said = "transfer {amount} {currency} to {to}"
    amount: _Amount
    currency: _Currency
    to: _Name
    from_account: _Name | None = None
    reference: _Reference | None = None


class Pay(Arguments):
    """Ask that a bill or payee be paid. A person decides and carries it out."""

    impact = ImpactClass.MONEY_MOVEMENT
    said = "pay {amount} {currency} to {payee}"
    payee: _Name
    amount: _Amount
    currency: _Currency
    reference: _Reference | None = None


class CancelSubscription(Arguments):
    """Ask that a subscription or contract be cancelled. A person decides and carries it out."""

    impact = ImpactClass.SUBSCRIPTION_CHANGE
    said = "cancel the subscription at {merchant}"
    merchant: _Name
    reason: _Reason | None = None


class DeleteTransactions(_OnRows):
    """Ask that transactions of this household be deleted. A person decides."""

    impact = ImpactClass.DELETION
    said = "delete {rows}"


class ChangePayee(Arguments):
    """Ask that a payee or its bank details be changed. A person decides and carries it out."""

    impact = ImpactClass.PAYEE_CHANGE
    said = "change payee {payee}: {change}"
    payee: _Name
    change: Annotated[str, StringConstraints(min_length=1, max_length=200)]


class CloseAccount(Arguments):
    """Ask that an account or card be closed. A person decides and carries it out."""

    impact = ImpactClass.ACCOUNT_CLOSURE
    said = "close account {account}"
    account: _Name


class Request(Arguments):
    """A member's own words, which order something: exactly the message, and the note beside it."""

    impact = ImpactClass.UNLISTED_ACTION
    said = "{message}"
    # as long as what the door lets in can grow in its normal form
    message: Annotated[str, StringConstraints(min_length=1, max_length=4000)]
    note: Annotated[str, StringConstraints(min_length=1, max_length=1200)] | None = None


_LISTED: Final = (Recategorise, MarkRecurring, DismissSignal, BudgetNote, DraftMessage, SendMessage, Transfer, Pay,
                  CancelSubscription, DeleteTransactions, ChangePayee, CloseAccount, Request)  # fmt: skip
ACTIONS: Final[Mapping[str, type[Arguments]]] = {to_snake(model.__name__): model for model in _LISTED}
"""Each by its class's name, which is stored, audited and approved."""

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


def _plain(text: str) -> str:
    return re.sub(r"[^\w ,.;:'-]", "?", text, flags=re.ASCII)
