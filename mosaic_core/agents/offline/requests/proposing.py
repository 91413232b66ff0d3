"""From a request to the action that is proposed for it, or to what was unclear. Pure; nothing is done here.

Every action is validated as the app will validate it: what is proposed can be judged, shown and carried out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

from mosaic_core.agents.offline.answers import phrase
from mosaic_core.agents.offline.requests.request_reading import (
    Dismiss,
    Draft,
    MarkRecurring,
    Note,
    Recategorise,
    Request,
)
from mosaic_core.agents.offline.requests.selection import Chosen, Unclear, amounts_in, choose, finding
from mosaic_core.domain.policy import hint
from mosaic_core.domain.policy.actions import REQUEST, Cadence, InvalidProposalError, request_of, validated
from mosaic_core.domain.policy.impact import SUMMARY
from mosaic_core.domain.records import OpenFinding
from mosaic_core.ledger.categories import names as categories
from mosaic_core.ledger.recurring import recurring_series
from mosaic_core.ledger.rows import Row
from mosaic_core.ledger.topics import readable
from mosaic_core.ports import Json

SURE: Final = 0.95
GUESSED: Final = 0.45
"""Where a merchant's name was a slip or two away: below the policy's threshold, so a person looks at it first."""

_BUDGETS: Final = re.compile(r"\b(?:budget|limit|cap|allowance|spend|at most|no more than|up to)\b", re.IGNORECASE)
_CURRENCIES: Final = (
    ("USD", r"\$|\b(?:usd|dollars?|bucks)\b"),
    ("EUR", r"€|\b(?:eur|euros?)\b"),
    ("GBP", r"£|\b(?:gbp|pounds?|quid)\b"),
    ("JPY", r"¥|\b(?:jpy|yen)\b"),
)
_KEPT_CADENCES: Final[Mapping[str, Cadence]] = {
    "weekly": "weekly",
    "every two weeks": "biweekly",
    "monthly": "monthly",
    "quarterly": "quarterly",
    "yearly": "yearly",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What a request is held against: the household's rows (oldest first, none after ``as_of``) and open findings."""

    rows: Sequence[Row]
    findings: Sequence[OpenFinding]
    as_of: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One action to propose. ``said`` reads after "Proposed:" and "Done:"; ``rows`` are the ledger rows behind it."""

    action: str
    arguments: Mapping[str, Json]
    said: str
    rows: tuple[str, ...] = ()
    confidence: float = SURE


def ordered(message: str, note: str | None) -> Plan | None:
    """A member's own words as the action, where they order what the app has no code for. It is never applied: a person
    approves exactly these words, and carries them out."""
    impact = hint(message, note or "")
    if impact is None:
        return None
    return Plan(action=REQUEST, arguments={**request_of(message, note)}, said=f"what you asked for ({SUMMARY[impact]})")


def plan(request: Request, known: Known) -> Plan | Unclear | None:
    """None where it was said as a fact and the ledger knows nothing of it: then it may be a question all the same."""
    match request:
        case Recategorise():
            found = _recategorise(request, known)
        case MarkRecurring():
            found = _mark_recurring(request, known)
        case Dismiss():
            found = _dismiss(request, known)
        case Note():
            found = _note(request, known)
        case Draft():
            found = _draft(request)
    if not isinstance(found, Plan):
        return found
    try:
        validated(found.action, found.arguments)
    except InvalidProposalError:
        return Unclear("not_valid", "That does not fit what can be kept: say it in fewer words.")
    return found


def _recategorise(request: Recategorise, known: Known) -> Plan | Unclear | None:
    chosen = choose(request.what, known.rows, as_of=known.as_of, one_meant=True)
    if isinstance(chosen, Unclear):
        return _unless_stated(chosen, stated=request.stated)
    category = _one_category(request, chosen)
    if isinstance(category, Unclear):
        return category
    return Plan(
        action="recategorise",
        arguments={"transactionIds": [*_ids(chosen)], "category": category},
        said=f"put {_rows(chosen)} into {readable(category)}, and what comes from there in future",
        rows=_ids(chosen),
        confidence=SURE if chosen.exact else GUESSED,
    )


def _one_category(request: Recategorise, chosen: Chosen) -> str | Unclear:
    found = request.categories
    if found == {"TRANSFER_IN", "TRANSFER_OUT"}:
        # which of the two a transfer is, its rows say
        directions = {row.amount > 0 for row in chosen.rows}
        if len(directions) == 1:
            return "TRANSFER_IN" if directions.pop() else "TRANSFER_OUT"
    if len(found) == 1:
        return next(iter(found))
    names = ", ".join(sorted(map(readable, found or categories.NAMES)))
    if found:
        return Unclear("several_categories", f"{request.target!r} may be {names}; say which.")
    said = f"I know no category {request.target[:60]!r}" if request.target else "I could not tell the category"
    return Unclear("unknown_category", f"{said}. There are: {names}.")


def _mark_recurring(request: MarkRecurring, known: Known) -> Plan | Unclear | None:
    chosen = choose(request.what, known.rows, as_of=known.as_of, one_meant=False)
    if isinstance(chosen, Unclear):
        return _unless_stated(chosen, stated=request.stated)
    kept = "weekly, biweekly, monthly, quarterly or yearly"
    if request.unknown:
        return Unclear("unknown_cadence", f"{request.unknown!r} cannot be kept; it can be {kept}.")
    cadence = request.cadence or _own_cadence(chosen, known)
    if cadence is None:
        return Unclear("unknown_cadence", f"I could not tell how often {chosen.name} comes; say {kept}.")
    return Plan(
        action="mark_recurring",
        arguments={"transactionIds": [*_ids(chosen)], "cadence": cadence},
        said=f"mark {_rows(chosen)} as recurring, {cadence}",
        rows=_ids(chosen),
        confidence=SURE if chosen.exact else GUESSED,
    )


def _own_cadence(chosen: Chosen, known: Known) -> Cadence | None:
    """The rhythm that the rows have by themselves, where they have one that can be kept."""
    found = {_KEPT_CADENCES.get(s.cadence.name) for s in recurring_series(chosen.rows)}
    return found.pop() if len(found) == 1 else None


def _dismiss(request: Dismiss, known: Known) -> Plan | Unclear:
    if request.signal_id:
        found = next((f for f in known.findings if f.signal.signal_id == request.signal_id), None)
    else:
        match finding(request.what, known.findings, known.rows, as_of=known.as_of):
            case Unclear() as unclear:
                return unclear
            case OpenFinding() as found:
                pass
    signal_id = found.signal.signal_id if found else request.signal_id
    there = {row.tx.transaction_id for row in known.rows}
    return Plan(
        action="dismiss_signal",
        arguments={"signalId": signal_id},
        said=f"dismiss finding {signal_id}" + (f" ({found.signal.summary.rstrip('.')})" if found else ""),
        rows=tuple(i for i in found.transaction_ids if i in there) if found else (),
    )


def _note(request: Note, known: Known) -> Plan | Unclear:
    arguments: dict[str, Json] = {"text": request.text}
    mentioned = categories.mentioned(request.text)
    if len(mentioned) == 1:
        arguments["category"] = next(iter(mentioned))
    if _BUDGETS.search(request.text):
        amounts, _ = amounts_in(request.text, known.as_of)
        if len(amounts) > 1:
            return Unclear("several_amounts", "The note names several amounts; keep one note for each.")
        if amounts:
            arguments["amount"] = f"{amounts[0]:f}"
            currency = _currency(request.text, known.rows)
            if currency is not None:
                arguments["currency"] = currency
    parts = [_money(arguments), readable(str(arguments["category"])) if "category" in arguments else ""]
    about = ", ".join(part for part in parts if part)
    return Plan(
        action="budget_note",
        arguments=arguments,
        said=f"keep the note “{request.text}”" + (f" ({about})" if about else ""),
    )


def _money(arguments: Mapping[str, Json]) -> str:
    if "amount" not in arguments:
        return ""
    amount, currency = Decimal(str(arguments["amount"])), arguments.get("currency")
    return phrase.money(amount, str(currency)) if currency else f"{amount:,f}"


def _currency(text: str, rows: Sequence[Row]) -> str | None:
    """The one that is said, else the ledger's where it has only one."""
    said = [code for code, pattern in _CURRENCIES if re.search(pattern, text, re.IGNORECASE)]
    held = {row.tx.currency for row in rows}
    return said[0] if len(said) == 1 else held.pop() if not said and len(held) == 1 else None


def _draft(request: Draft) -> Plan | Unclear:
    if not request.recipient:
        return Unclear("no_recipient", "I could not tell whom the message is to; say: draft an email to … saying …")
    if not request.body:
        return Unclear("no_text", f"What should the message to {request.recipient[:60]} say? Say: … saying …")
    arguments: dict[str, Json] = {
        "recipient": request.recipient,
        "body": request.body,
        "channel": request.channel,
    }
    if request.subject:
        arguments["subject"] = request.subject
    return Plan(
        action="draft_message",
        arguments=arguments,
        said=f"draft a message ({request.channel}) to {request.recipient}: “{request.body}”",
    )


# --------------------------------------------------------------------------------------------------------------- words


def _unless_stated(unclear: Unclear, *, stated: bool) -> Unclear | None:
    """Of a fact that fits no row nobody can tell whether it was a request; one that fits several rows was."""
    return None if stated and unclear.code in ("unknown_merchant", "no_merchant") else unclear


def _ids(chosen: Chosen) -> tuple[str, ...]:
    return tuple(row.tx.transaction_id for row in chosen.rows)


def _rows(chosen: Chosen) -> str:
    if len(chosen.rows) == 1:
        return f"the row {phrase.line(chosen.rows[0])}"
    first, last = chosen.rows[-1].day, chosen.rows[0].day
    count = (
        f"{len(chosen.rows)} rows"
        if chosen.total == len(chosen.rows)
        else f"the newest {len(chosen.rows)} of {chosen.total} rows"
    )
    guess = "" if chosen.exact else " (I read the name so)"
    return f"{count} of {chosen.name}{guess} from {first.isoformat()} to {last.isoformat()}"
