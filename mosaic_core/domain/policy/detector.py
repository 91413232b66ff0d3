"""Texts that ask for an action in so many words: what names the impact of a request, and all that is looked for in
texts that are no commands (notes, arguments of proposals)."""

from __future__ import annotations

from mosaic_core.domain.policy import verbs
from mosaic_core.domain.policy.harmless import judged
from mosaic_core.domain.policy.impact import ImpactClass
from mosaic_core.domain.policy.kinds import Kind

__all__ = ["asked_action"]


def asked_action(text: str) -> ImpactClass | None:
    """The impact of the first action that a text in lower case asks for in words that the lexicon knows. A text without
    such words is None, whatever it may mean."""
    for sentence in judged(text):
        for found in sentence:
            if found.kind == Kind.UNKNOWN:
                impact = verbs.ordered(found.clause.words, foreign=found.language is not None)
                if impact is not None:
                    return impact
    return None
