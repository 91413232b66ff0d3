"""The actions that an agent can propose, with their arguments, their impact, and how they are said: ``actions.toml``.

This is the only table of them: the model's tools, the offline agent's proposals, the rules and the lane go by it. An
action that is not there keeps its name and its arguments, and only a draft for a person can come of it. Arguments are
validated and brought to one spelling before anybody sees, hashes or approves them: what a person reads is what the hash
binds.
"""

from __future__ import annotations

import json
import re
import tomllib
import unicodedata
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, create_model
from pydantic.alias_generators import to_camel, to_pascal

from mosaic_core.domain.currency import CURRENCIES
from mosaic_core.domain.errors import MosaicError
from mosaic_core.domain.policy.impact import ImpactClass
from mosaic_core.domain.text import normalise
from mosaic_core.domain.transactions import Category

EXECUTABLE: Final = frozenset(("recategorise", "mark_recurring", "dismiss_signal", "budget_note"))
"""What the app has code for: it annotates the household's own rows, and reaches nothing outside."""

LONGEST_ARGUMENTS: Final = 8 * 1024
"""Characters of an action's canonical JSON; a larger one is refused, nobody could read it."""

REQUEST: Final = "request"
"""The action of a message that orders something in words: there is no call, only the exact text."""

_DEEPEST: Final = 6
_MONEY: Final = re.compile(r"amount|sum|total|price|value|limit", re.IGNORECASE)
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,59}", re.ASCII)

type _Id = Annotated[str, StringConstraints(min_length=1, max_length=200)]
type Cadence = Literal["weekly", "biweekly", "monthly", "quarterly", "yearly"]
type Channel = Literal["email", "text", "letter"]


class InvalidProposalError(MosaicError):
    """A proposal that nobody has to look at: its arguments are not those of its action. Names fields, no values."""

    code = "proposal_invalid"


class Arguments(BaseModel):
    """The arguments of one action, in camelCase; its docstring is what a model is told of it. ``impact`` is the least
    that it counts as."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", strict=True, str_strip_whitespace=True
    )
    impact: ClassVar[ImpactClass]
    said: ClassVar[str]

    def summary(self) -> str:
        """What it comes to, made from the arguments alone: never a model's own words about them."""
        values = {name: value for name in type(self).model_fields if (value := getattr(self, name))}
        if ids := values.get("transaction_ids"):
            values["rows"] = f"transaction {ids[0]}" if len(ids) == 1 else f"{len(ids)} transactions"
        said = _PART.sub(lambda part: part["part"] if part["name"] in values else "", self.said)
        return said.format_map(values)


_PART: Final = re.compile(r"\[(?P<part>[^\]]*\{(?P<name>\w+)\}[^\]]*)\]")


def _listed(currency: str) -> str:
    if currency not in CURRENCIES:
        raise ValueError("is no ISO 4217 code")
    return currency


_TOLD: Final = tomllib.loads(Path(__file__).with_name("actions.toml").read_text("utf-8"))
_KINDS: Final[Mapping[str, Any]] = {
    "rows": Annotated[list[_Id], Field(min_length=1, max_length=100)],
    "currency": Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$"), AfterValidator(_listed)],
    "category": Category,
    "cadence": Cadence,
    "channel": Channel,
} | {kind: Annotated[str, StringConstraints(**told)] for kind, told in _TOLD.pop("texts").items()}


def _field(written: str) -> tuple[Any, Any]:
    kind, _, default = written.partition(" = ")
    if kind.endswith("?"):
        return _KINDS[kind.removesuffix("?")] | None, None
    return _KINDS[kind], default or ...


def _action(name: str, told: Mapping[str, Any]) -> type[Arguments]:
    fields: Any = {argument: _field(written) for argument, written in told["arguments"].items()}
    model = create_model(to_pascal(name), __base__=Arguments, __doc__=told["told"], **fields)
    model.impact, model.said = ImpactClass(told["impact"]), told["said"]
    return model


ACTIONS: Final[Mapping[str, type[Arguments]]] = {name: _action(name, told) for name, told in _TOLD.items()}


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
        said = re.sub(r"[^\w ,.;:'-]", "?", "; ".join(sorted(faults)), flags=re.ASCII)[:300]
        raise InvalidProposalError(f"the arguments of {action} are not valid: {said}") from None


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


def texts(arguments: Mapping[str, Any]) -> Iterator[str]:
    """Every text within arguments."""
    return (value for _, value in _values(arguments) if isinstance(value, str))


def amounts(arguments: Mapping[str, Any]) -> Iterator[Decimal]:
    """Every figure that stands under a name that means money, as absolute values."""
    for name, value in _values(arguments):
        digits = "" if isinstance(value, bool) else re.sub(r"[^\d.]", "", str(value))
        if _MONEY.search(name) and digits.count(".") <= 1 and digits.strip("."):
            yield Decimal(digits)


def _values(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Every value within arguments, with the name that it stands under."""
    match value:
        case Mapping():
            for own, item in value.items():
                yield from _values(item, own)
        case list() | tuple():
            for item in value:
                yield from _values(item, name)
        case _:
            yield name, value


def rows_of(action: str, arguments: Mapping[str, Any]) -> list[str]:
    """The ledger rows that a validated action names; of an unlisted one nobody knows."""
    return list(arguments.get("transactionIds", ())) if action in ACTIONS else []


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
