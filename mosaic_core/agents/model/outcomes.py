"""How a turn can end, beside an answer: codes that an answer carries, and what the person is told. Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from mosaic_core.domain.errors import MosaicError
from mosaic_core.domain.transactions import Answer


class Outcome(StrEnum):
    """``outcome_code`` of an answer. The first three are as they should be."""

    ANSWERED = "answered"
    CANNOT_ANSWER = "cannot_answer"
    PROPOSED = "proposed"
    """Actions are proposed and wait for a decision."""
    UNSUPPORTED_FIGURE = "unsupported_figure"
    """The text had a figure that no tool gave; it is not shown."""
    PROPOSAL_INVALID = "proposal_invalid"
    """The model proposed what no schema knows, twice."""
    REFUSED = "agent_refused"
    CONTENT_FILTERED = "agent_content_filtered"
    MALFORMED = "agent_output_malformed"
    TRUNCATED = "agent_output_truncated"
    BUDGET_SPENT = "agent_budget_spent"


_TEXTS: Final = {
    Outcome.UNSUPPORTED_FIGURE: "I could not back every figure of my answer with your ledger, so I do not give it.",
    Outcome.PROPOSAL_INVALID: "I could not put that request into a form that could be decided on. Nothing was done.",
    Outcome.REFUSED: "The model declined to answer that.",
    Outcome.CONTENT_FILTERED: "The provider's content filter stopped that.",
    Outcome.MALFORMED: "The model's output could not be read, so there is no answer.",
    Outcome.TRUNCATED: "The model's answer was cut off, so it is not given.",
    Outcome.BUDGET_SPENT: "Answering that took more steps than allowed, so there is no answer.",
}
_REASONS: Final = {
    "not_in_ledger": "The ledger does not hold that.",
    "future": "The ledger records what has happened; it cannot tell the future.",
    "advice": "That asks for advice or a judgement; the ledger only holds what was paid and received.",
    "other_people": "The ledger is this household's own; it says nothing of other people.",
    "not_about_the_ledger": "That is not something that a ledger of transactions can answer.",
    "not_understood": "I could not tell what about the ledger was asked.",
}


class TurnEndedError(MosaicError):
    """The turn ends here, with this outcome. ``rationale`` is for a person who looks into it: no text of the model."""

    code = "turn_ended"

    def __init__(self, outcome: Outcome, rationale: str) -> None:
        super().__init__(rationale)
        self.outcome = outcome


def without_answer(outcome: Outcome, rationale: str) -> Answer:
    """An answer that says why there is none. Its confidence is low, so that a person looks at it."""
    return Answer(
        text=_TEXTS[outcome],
        value=None,
        unit="",
        transaction_ids=(),
        confidence=0.1,
        outcome_code=outcome.value,
        rationale=rationale[:500],
    )


def cannot_answer(reason: str) -> Answer:
    return Answer(
        text=_REASONS[reason],
        value=None,
        unit="",
        transaction_ids=(),
        confidence=0.8,
        outcome_code=Outcome.CANNOT_ANSWER.value,
        rationale=f"the model found that the ledger cannot answer: {reason}",
        details=(("reason", reason),),
    )
