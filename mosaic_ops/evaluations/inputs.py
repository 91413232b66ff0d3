"""What the prediction command reads: one model per kind of line. Fields that are not listed are ignored."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import BeforeValidator, Field

from mosaic_core.domain.envelope import Amount, Currency, Line, Model, TransactionLine


def _amount(value: object) -> object:
    """A JSON number is welcome beside the contract's decimal text: it stands for what the file spells."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return format(Decimal(repr(value)), "f")
    return value


def _id(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError("is neither a text nor a whole number")
    if value == "":
        raise ValueError("is empty")
    return value


type Id = Annotated[str | int, BeforeValidator(_id)]
type LooseAmount = Annotated[Amount, BeforeValidator(_amount)]


class LedgerLine(TransactionLine):
    """The contract's transaction and the account that it is on; its category, where one was decided already."""

    account_id: Line
    amount: LooseAmount
    category: Annotated[str, Field(max_length=120)] | None = None


class DescriptorLine(Model):
    """One transaction to categorise. ``account_id`` matters only beside ``counterparty_account_id``."""

    id: Id
    description: Annotated[str, Field(max_length=200)]
    amount: LooseAmount
    currency: Currency
    merchant_name: Annotated[str, Field(max_length=200)] | None = None
    category_hint: Annotated[str, Field(max_length=120)] | None = None
    counterparty_account_id: Annotated[str, Field(max_length=120)] | None = None
    account_id: Annotated[str, Field(max_length=120)] = ""


class MessageLine(Model):
    """One message of a member, with the note beside it."""

    id: Id
    message: Annotated[str, Field(min_length=1, max_length=2000)]
    user_note: Annotated[str, Field(max_length=600)] | None = None


class QuestionLine(Model):
    """One question on the ledger."""

    id: Id
    question: Annotated[str, Field(min_length=1, max_length=2000)]
