"""The actions that an agent can propose, and the shape of their arguments.

What is listed here the app has code for; anything else is an unlisted action, of which only a draft for a person can
come. Arguments are validated and brought to one spelling (no invisible characters) before anybody sees, hashes or
approves them: what a person reads is what the hash binds.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic.alias_generators import to_camel

from mosaic_core.domain.currency import CURRENCIES
from mosaic_core.domain.errors import MosaicError
from mosaic_core.domain.policy import normalise

LONGEST_ARGUMENTS: Final = 8 * 1024
"""Characters of an action's canonical JSON; a larger one is refused, nobody could read it."""

_OF_ROWS: Final = frozenset({"recategorise", "mark_recurring"})
_DEEPEST: Final = 6
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,59}", re.ASCII)

type _Id = Annotated[str, StringConstraints(min_length=1, max_length=200)]
type _Rows = Annotated[list[_Id], Field(min_length=1, max_length=100)]
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


class _Arguments(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", strict=True, str_strip_whitespace=True
    )


class Recategorise(_Arguments):
    """These rows belong to ``category``, and rows like them from now on."""

    transaction_ids: _Rows
    category: Category


class MarkRecurring(_Arguments):
    """These rows are occurrences of one recurring series."""

    transaction_ids: _Rows
    cadence: Literal["weekly", "biweekly", "monthly", "quarterly", "yearly"] = "monthly"


class DismissSignal(_Arguments):
    """A finding of the sweep that the household knows about."""

    signal_id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
    note: Annotated[str, StringConstraints(max_length=200)] | None = None


class BudgetNote(_Arguments):
    """A note on the household's budget; ``amount`` is decimal text in ``currency``."""

    text: Annotated[str, StringConstraints(min_length=1, max_length=300)]
    category: Category | None = None
    amount: Annotated[str, StringConstraints(pattern=r"^\d{1,12}(\.\d{1,4})?$")] | None = None
    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")] | None = None


class DraftMessage(_Arguments):
    """A message to somebody outside. It is never sent by the system."""

    recipient: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    body: Annotated[str, StringConstraints(min_length=1, max_length=2000)]
    subject: Annotated[str, StringConstraints(max_length=200)] | None = None
    channel: Literal["email", "text", "letter"] = "email"


ACTIONS: Final[Mapping[str, type[_Arguments]]] = {
    "recategorise": Recategorise,
    "mark_recurring": MarkRecurring,
    "dismiss_signal": DismissSignal,
    "budget_note": BudgetNote,
    "draft_message": DraftMessage,
}

EXECUTABLE: Final = frozenset({"recategorise", "mark_recurring", "dismiss_signal", "budget_note"})
"""What the app has code for. All of it annotates the household's own rows; none of it reaches outside."""


def name_of(action: str) -> str:
    """The action's name in one spelling; what is no name at all is ``unnamed``. A name that only looks like a listed
    one (look-alike letters) stays another name."""
    name = re.sub(r"[\s\-.]+", "_", unicodedata.normalize("NFKC", action).strip().casefold())
    return name if _NAME.fullmatch(name) else "unnamed"


def validated(action: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments as they are judged, shown, hashed and executed. ``action`` is from `name_of`.

    Raises InvalidProposalError.
    """
    clean = _clean(arguments, 0)
    model = ACTIONS.get(action)
    if model is not None:
        try:
            clean = model.model_validate(clean).model_dump(by_alias=True, exclude_none=True)
        except ValidationError as error:
            fields = ", ".join(sorted({".".join(map(str, e["loc"][:1])) or "arguments" for e in error.errors()}))
            raise InvalidProposalError(f"the arguments of {action} are not valid: {_plain(fields)[:200]}") from None
        if "transactionIds" in clean:
            clean["transactionIds"] = sorted(set(clean["transactionIds"]))
        if clean.get("currency", "USD") not in CURRENCIES:
            raise InvalidProposalError(f"the arguments of {action} are not valid: currency")
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


def row_count(action: str, arguments: Mapping[str, Any]) -> int:
    """How many ledger rows a validated action touches."""
    return len(arguments["transactionIds"]) if action in _OF_ROWS else 0


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
    return re.sub(r"[^\w ,.]", "?", text, flags=re.ASCII)
