"""The actions that a model can propose. None of them does anything: a proposal is arguments and a sentence.

The model sees these as tools without a function behind them. What it passes is validated here before anybody sees it;
rows that it names must be the household's own. What becomes of a proposal the policy and a person decide, elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from mosaic_core.domain.policy.actions import ACTIONS as LISTED
from mosaic_core.domain.policy.actions import REQUEST, Arguments, InvalidProposalError, parsed, rows_of
from mosaic_core.ports import Json, Proposal

MOST: Final = 8
"""Proposals of one answer: more than a person reads is not asked for in good faith."""

_LONGEST_SUMMARY: Final = 200

ACTIONS: Final[Mapping[str, type[Arguments]]] = {name: of for name, of in LISTED.items() if name != REQUEST}
"""All but a member's own words: those no model may put down."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A call that nobody has to look at. ``fault`` names fields and no values: the model is told it."""

    call_id: str
    action: str
    fault: str


def proposal(call_id: str, action: str, arguments: object, household_rows: Collection[str]) -> Proposal | Refused:
    """What a call of the model proposes. ``arguments`` are JSON text or an object, as the provider gave them."""
    if action not in ACTIONS:
        return Refused(call_id, action[:60], "there is no such action")
    try:
        raw = json.loads(arguments, parse_constant=_no_constant) if isinstance(arguments, str) else arguments
    except (ValueError, RecursionError):
        return Refused(call_id, action, "the arguments are no JSON object")
    try:
        found = parsed(action, raw)
    except InvalidProposalError as error:
        return Refused(call_id, action, one_line(error.rationale, 300))
    shown: dict[str, Json] = found.model_dump(mode="json", by_alias=True, exclude_none=True)
    if foreign := [row for row in rows_of(action, shown) if row not in household_rows]:
        return Refused(call_id, action, f"{len(foreign)} of transactionIds are no rows of this ledger")
    return Proposal(
        call_id=call_id, action=action, arguments=shown, summary=one_line(found.summary(), _LONGEST_SUMMARY)
    )


def _no_constant(name: str) -> object:
    raise ValueError(name)


def one_line(text: str, longest: int) -> str:
    """The text without line breaks, cut to a length."""
    text = " ".join(text.split())
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
