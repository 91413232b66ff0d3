"""From a request to the action that is proposed for it, or to what was unclear. Pure; nothing is done here.

Every action is validated as the app will validate it: what is proposed can be judged, shown and carried out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, get_args

from mosaic_core.agents.offline.answers import phrase
from mosaic_core.agents.offline.reading.narrowing import CURRENCIES
from mosaic_core.agents.offline.requests.request_reading import Request, frame
from mosaic_core.agents.offline.requests.selection import Chosen, Known, UnclearError, amounts_in, choose, finding
from mosaic_core.domain.policy import hint
from mosaic_core.domain.policy.actions import REQUEST, Cadence, InvalidProposalError, request_of, validated
from mosaic_core.domain.policy.impact import SUMMARY
from mosaic_core.ledger.categories import names as categories
from mosaic_core.ledger.recurring import recurring_series
from mosaic_core.ledger.topics import readable
from mosaic_core.ports import Json

SURE: Final = 0.95
GUESSED: Final = 0.45
"""Where a merchant's name was a slip or two away: below the policy's threshold, so a person looks at it first."""

MOST_ROWS: Final = 100
"""Rows of one action, as its schema has it; of more, the newest."""

_BUDGETS: Final = frame("of_budgets")
_CURRENCIES: Final = CURRENCIES | {"$": "USD", "€": "EUR", "£": "GBP", "¥": "JPY"}
_CADENCES: Final = get_args(Cadence.__value__)
_KEPT: Final = "weekly, biweekly, monthly, quarterly or yearly"


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


def plan(request: Request, known: Known) -> Plan | UnclearError | None:
    """None where it was said as a fact and the ledger knows nothing of it: then it may be a question all the same. One
    that fits several rows was a request."""
    try:
        found = _PLANNED[request.action](request.said, known)
        validated(found.action, found.arguments)
    except InvalidProposalError:
        return UnclearError("not_valid", "That does not fit what can be kept: say it in fewer words.")
    except UnclearError as unclear:
        return None if request.stated and unclear.code in ("unknown_merchant", "no_merchant") else unclear
    return found


def _recategorise(said: Mapping[str, str], known: Known) -> Plan:
    chosen = choose(said["what"], known, one_meant=True)
    category = _category(said["target"], chosen)
    into = f"put {_rows(chosen)} into {readable(category)}, and what comes from there in future"
    return _on_rows("recategorise", chosen, into, category=category)


def _category(target: str, chosen: Chosen) -> str:
    """The one category that goes by this name; which of the two a transfer is, its rows say."""
    found = categories.named(target)
    directions = {row.amount > 0 for row in chosen.rows}
    if found == {"TRANSFER_IN", "TRANSFER_OUT"} and len(directions) == 1:
        return "TRANSFER_IN" if directions.pop() else "TRANSFER_OUT"
    if len(found) == 1:
        return next(iter(found))
    names = ", ".join(sorted(map(readable, found or categories.NAMES)))
    if found:
        raise UnclearError("several_categories", f"{target!r} may be {names}; say which.")
    unknown = f"I know no category {target[:60]!r}" if target else "I could not tell the category"
    raise UnclearError("unknown_category", f"{unknown}. There are: {names}.")


def _mark_recurring(said: Mapping[str, str], known: Known) -> Plan:
    chosen = choose(said["what"], known, one_meant=False)
    cadence = said["cadence"] or _own_cadence(chosen)
    if not cadence:
        raise UnclearError("unknown_cadence", f"I could not tell how often {chosen.name} comes; say {_KEPT}.")
    if cadence not in _CADENCES:
        raise UnclearError("unknown_cadence", f"{cadence!r} cannot be kept; it can be {_KEPT}.")
    return _on_rows("mark_recurring", chosen, f"mark {_rows(chosen)} as recurring, {cadence}", cadence=cadence)


def _own_cadence(chosen: Chosen) -> str:
    """The rhythm that the rows have by themselves, where they have one that can be kept; else none."""
    own = {series.cadence.name for series in recurring_series(chosen.rows[:MOST_ROWS])}
    name = own.pop().replace("every two weeks", "biweekly") if len(own) == 1 else ""
    return name if name in _CADENCES else ""


def _on_rows(action: str, chosen: Chosen, said: str, **arguments: Json) -> Plan:
    ids = tuple(row.tx_id for row in chosen.rows[:MOST_ROWS])
    return Plan(
        action=action,
        arguments={"transactionIds": [*ids], **arguments},
        said=said,
        rows=ids,
        confidence=SURE if chosen.exact else GUESSED,
    )


def _rows(chosen: Chosen) -> str:
    rows = chosen.rows[:MOST_ROWS]
    if len(rows) == 1:
        return f"the row {phrase.line(rows[0])}"
    count = f"{len(rows)} rows" if rows == chosen.rows else f"the newest {len(rows)} of {len(chosen.rows)} rows"
    guess = "" if chosen.exact else " (I read the name so)"
    return f"{count} of {chosen.name}{guess} from {rows[-1].day} to {rows[0].day}"


def _dismiss(said: Mapping[str, str], known: Known) -> Plan:
    by_id = {found.signal.signal_id: found for found in known.findings}
    found = by_id.get(said["id"]) if said["id"] else finding(said["what"], known)
    signal_id = found.signal.signal_id if found else said["id"]
    there = {row.tx_id for row in known.rows}
    return Plan(
        action="dismiss_signal",
        arguments={"signalId": signal_id},
        said=f"dismiss finding {signal_id}" + (f" ({found.signal.summary.rstrip('.')})" if found else ""),
        rows=tuple(i for i in found.transaction_ids if i in there) if found else (),
    )


def _note(said: Mapping[str, str], known: Known) -> Plan:
    text = said["text"]
    arguments: dict[str, Json] = {"text": text}
    about = []
    amounts = amounts_in(text, known.as_of)[0] if _BUDGETS.search(text) else []
    if len(amounts) > 1:
        raise UnclearError("several_amounts", "The note names several amounts; keep one note for each.")
    if amounts:
        arguments["amount"] = f"{amounts[0]:f}"
        currency = _currency(text, known)
        if currency is not None:
            arguments["currency"] = currency
        about.append(phrase.money(Decimal(amounts[0]), currency) if currency else f"{amounts[0]:,f}")
    mentioned = categories.mentioned(text)
    if len(mentioned) == 1:
        (arguments["category"],) = mentioned
        about += map(readable, mentioned)
    of = f" ({', '.join(about)})" if about else ""
    return Plan(action="budget_note", arguments=arguments, said=f"keep the note “{text}”{of}")


def _currency(text: str, known: Known) -> str | None:
    """The one that is said, else the ledger's where it has only one."""
    words = re.findall(r"[a-z]+|[$€£¥]", text.casefold())
    said = {_CURRENCIES[word] for word in words if word in _CURRENCIES}
    among = said or {row.tx.currency for row in known.rows}
    return among.pop() if len(among) == 1 else None


def _draft(said: Mapping[str, str], _: Known) -> Plan:
    to, body, channel = said["to"], said["body"], said["channel"]
    if not to:
        raise UnclearError("no_recipient", "I could not tell whom the message is to; say: draft an email to … saying …")
    if not body:
        raise UnclearError("no_text", f"What should the message to {to[:60]} say? Say: … saying …")
    arguments: dict[str, Json] = {"recipient": to, "body": body, "channel": channel}
    if said["subject"]:
        arguments["subject"] = said["subject"]
    return Plan(action="draft_message", arguments=arguments, said=f"draft a message ({channel}) to {to}: “{body}”")


_PLANNED: Final[Mapping[str, Callable[[Mapping[str, str], Known], Plan]]] = {
    "recategorise": _recategorise,
    "mark_recurring": _mark_recurring,
    "dismiss_signal": _dismiss,
    "budget_note": _note,
    "draft_message": _draft,
}
