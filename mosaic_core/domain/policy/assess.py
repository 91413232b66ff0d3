"""What the policy makes of a message, and of a text that only accompanies one."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from mosaic_core.domain.envelope import PolicyDisposition as Disposition
from mosaic_core.domain.policy import verbs
from mosaic_core.domain.policy.clauses import AMOUNT
from mosaic_core.domain.policy.detector import asked_action
from mosaic_core.domain.policy.harmless import first_unrecognised
from mosaic_core.domain.policy.impact import SUMMARY, ImpactClass
from mosaic_core.domain.policy.readings import PLAIN, fold, lower, normalise, readings

__all__ = ["NO_ACTION", "Assessment", "ProposedAction", "assess_message", "assess_text", "proposed_action"]

NOT_RECOGNISED: Final = "not_recognised_as_harmless"


NO_ACTION: Final = "no_high_impact_action"
"""The reason of an advisory message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """What the policy makes of a text: ``action`` is the impact class that it asks for, None where it asks for none;
    ``confidence`` 0 to 1; ``rationale`` one sentence without anything of the text itself."""

    disposition: Disposition
    action: str | None
    reason_code: str
    rationale: str
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposedAction:
    """The action that an approval would be about: ``kind`` is its impact class, ``summary`` (at most 200 characters)
    says it without raw text, ``action_hash`` is the SHA-256 (hex) of the exact text that was asked."""

    kind: str
    summary: str
    action_hash: str


def assess_message(message: str, user_note: str | None = None) -> Assessment:
    """Whether a message has to be approved: it does unless all of it is recognised as harmless. Its note is context,
    judged as by `assess_text`. Never raises; the same for any case, spacing or invisible characters."""
    for where, text in (("message", message), ("note", user_note or "")):
        found = _explicit(text, where)
        if found is not None:
            return found
    return _unrecognised(message) or _ADVISORY


def assess_text(text: str) -> Assessment:
    """Whether a text that is no command by itself (a note, an argument of a proposal) asks for a high-impact action in
    so many words. Never raises."""
    return _explicit(text, "text") or _ADVISORY


def proposed_action(message: str, assessment: Assessment, user_note: str | None = None) -> ProposedAction:
    """The exact action to approve. Raises ValueError for an assessment that asks for none."""
    if assessment.action is None:
        raise ValueError("an advisory message proposes no action")
    impact = ImpactClass(assessment.action)
    text = normalise(message)
    if user_note:
        text += "\n\n" + normalise(user_note)
    summary = f"Asked in the conversation: {SUMMARY[impact]}"
    amounts = len(AMOUNT.findall(fold(text)))
    if amounts and impact is ImpactClass.MONEY_MOVEMENT:
        summary += f"; {amounts} amount{'s' if amounts > 1 else ''} named"
    return ProposedAction(
        kind=impact.value,
        summary=summary[:200],
        action_hash=hashlib.sha256(text.encode("utf-8", "replace")).hexdigest(),
    )


_ADVISORY: Final = Assessment(
    disposition=Disposition.ADVISORY_ONLY,
    action=None,
    reason_code=NO_ACTION,
    rationale="nothing in the text asks for an action with effects outside",
    confidence=0.9,
)


def _explicit(text: str, where: str) -> Assessment | None:
    """An action that is named, in any reading of the text."""
    for reading, how in readings(text):
        impact = asked_action(lower(text) if how == PLAIN else reading)
        if impact is not None:
            plain = how == PLAIN
            return _held(
                impact,
                f"asks_{impact.value}" if plain else "disguised_action",
                f"the {where} asks to {SUMMARY[impact]}" + ("" if plain else f", read as {how}"),
                0.95 if plain else 0.8,
            )
    return None


def _unrecognised(message: str) -> Assessment | None:
    """What nothing names outright, in a message that is not harmless throughout."""
    found = first_unrecognised(lower(message))
    if found is None:
        return None
    impact = verbs.named(found.clause.words)
    if impact is None:
        return _held(
            ImpactClass.UNLISTED_ACTION,
            NOT_RECOGNISED,
            "a part of the message is not recognised as a question, a listed harmless action or small talk",
            0.5,
        )
    return _held(impact, f"asks_{impact.value}", f"the message seems to ask to {SUMMARY[impact]}", 0.7)


def _held(impact: ImpactClass, reason_code: str, rationale: str, confidence: float) -> Assessment:
    return Assessment(
        disposition=Disposition.APPROVAL_REQUIRED,
        action=impact.value,
        reason_code=reason_code,
        rationale=rationale,
        confidence=confidence,
    )
