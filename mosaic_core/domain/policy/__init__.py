"""Which messages need a person's approval before any model is asked. It fails closed.

A message is advisory only where every clause of it is recognised as harmless: a question of fact, a wish to be shown
something, a listed harmless action, something denied, small talk, or a report of what happened. Everything else, in any
wording or language, goes to a person: what nobody has thought of costs an approval, not an action.

Reading path, one noun a module:

- `readings`: the text as it stands, folded, and with what is hidden or encoded in it brought to light;
- `clauses`: cut into sentences and clauses; `kinds`: what a clause can be;
- `english` (`frames`: what is asked of the assistant; `phrases`: what is told or called up by name; `words` with
  english.toml) and `languages` (with languages.toml): a clause's kind, by closed classes of words;
- `harmless`: all clauses of a text together;
- `verbs` (with verbs.toml): the words that name an action; `impact`: its classes; `detector`: texts that ask for
  one in so many words;
- `assess`: the assessment of a message (fails closed) and of a text that accompanies one (only what is named counts).

The rules know no household, no account and no history; nothing that a model says can loosen them. Change
``POLICY_VERSION`` with every change here.
"""

from __future__ import annotations

from typing import Final

from mosaic_core.domain.envelope import PolicyDisposition as Disposition
from mosaic_core.domain.policy.assess import (
    NO_ACTION,
    Assessment,
    ProposedAction,
    assess_message,
    assess_text,
    proposed_action,
)
from mosaic_core.domain.policy.impact import ImpactClass
from mosaic_core.domain.policy.readings import normalise

__all__ = [
    "NO_ACTION",
    "POLICY_VERSION",
    "Assessment",
    "Disposition",
    "ImpactClass",
    "ProposedAction",
    "assess_message",
    "assess_text",
    "normalise",
    "proposed_action",
]

POLICY_VERSION: Final = "2026-11-28.4"
