"""One message to the offline agent: a request becomes proposals, anything else is a question. Pure.

The agent does nothing itself. It says what it proposes, leaves a session behind, and when it hears what became of the
proposals it says that: "Done" stands only where the app has said so.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Final

from mosaic_core.agents.offline import requests
from mosaic_core.agents.offline.answering import answer
from mosaic_core.agents.offline.requests.proposing import Plan, ordered, plan
from mosaic_core.agents.offline.requests.selection import Known, UnclearError
from mosaic_core.domain.transactions import Answer
from mosaic_core.ledger.rows import rows_of
from mosaic_core.ports import AgentReply, AgentTurn, Proposal

SESSION: Final = "offline-session/1"
_SUMMARY: Final = 200


def respond(turn: AgentTurn) -> AgentReply:
    """Never raises, whatever the message or the ledger.

    Of what it asks to be done, a note's or a draft's own words are its text; else an order beyond the app's reach comes
    first, since it is asked for with all of the message's words.
    """
    order = ordered(turn.question, turn.user_note)
    asked = requests.read(turn.question)
    if asked is None:
        return _proposed([order]) if order else _asked_back([UnclearError("mixed", _ONE_AT_A_TIME)])
    rows = rows_of(turn.transactions, turn.as_of) if asked else ()
    known = Known(rows=rows, findings=turn.findings, as_of=turn.as_of)
    found = [plan(request, known) for request in asked]
    plans = [each for each in found if isinstance(each, Plan)]
    if found and len(plans) == len(found) and (order is None or requests.is_free(asked)):
        return _proposed(plans)
    if order is not None:
        return _proposed([order])
    unclear = [each for each in found if isinstance(each, UnclearError)]
    if unclear:
        return _asked_back(unclear)
    return AgentReply(answer=answer(turn.question, turn.transactions, as_of=turn.as_of))


def resume(state: str, results: Mapping[str, str]) -> Answer | None:
    """What became of the proposals, in words; None for a session of another agent."""
    try:
        session = json.loads(state)
        if session["session"] != SESSION:
            return None
        said: dict[str, str] = {str(call): str(text) for call, text in session["said"].items()}
        rows = tuple(map(str, session["rows"]))
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    return Answer(
        text=" ".join(_became(text, results.get(call, "")) for call, text in said.items()),
        transaction_ids=rows,
        confidence=1.0,
        outcome_code="answered",
        rationale=f"says what became of {len(said)} proposals",
    )


_ONE_AT_A_TIME: Final = (
    f"That asks for something to be done and for more besides. Ask for one kind of thing at a time, and for at most"
    f" {requests.MOST} things at once; nothing was done."
)


def _proposed(plans: Sequence[Plan]) -> AgentReply:
    rows = tuple(sorted({row for p in plans for row in p.rows}))
    calls = {f"offline-{number}": p for number, p in enumerate(plans, start=1)}
    session = {"session": SESSION, "said": {call: p.said for call, p in calls.items()}, "rows": rows}
    return AgentReply(
        answer=Answer(
            text=" ".join(f"Proposed: {p.said}." for p in plans),
            transaction_ids=rows,
            confidence=min(p.confidence for p in plans),
            outcome_code="proposed",
            rationale=f"proposes {', '.join(p.action for p in plans)} over {len(rows)} ledger rows",
        ),
        proposals=tuple(
            Proposal(call_id=call, action=p.action, arguments=p.arguments, summary=p.said[:_SUMMARY])
            for call, p in calls.items()
        ),
        state=json.dumps(session),
    )


def _asked_back(unclear: Sequence[UnclearError]) -> AgentReply:
    answer = Answer(
        text=" ".join(u.text for u in unclear),
        confidence=0.8,
        outcome_code="asked_back",
        rationale=f"unclear: {', '.join(u.code for u in unclear)}; nothing was proposed",
        details=tuple(("reason", u.code) for u in unclear),
    )
    return AgentReply(answer=answer)


def _became(said: str, told: str) -> str:
    """``told`` is what the app says of a proposal (`lanes.conversation.proposals`, `domain.policy.approval.told`)."""
    if told.startswith(("applied", "approved and applied")):
        return f"Done: {said}."
    if told.startswith(("partly applied", "approved, partly applied")):
        return f"Done in part: {said} ({told})."
    if told.startswith("approved: a draft"):
        return f"Approved: {said}. The draft is there for you to act on; nothing was done, and nothing was sent."
    return f"Not done: {said} ({told or 'nothing was said of it'})."
