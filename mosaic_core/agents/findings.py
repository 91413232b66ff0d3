"""Whether a message may be about what the sweep found: then the household's open findings go to the agent with it.

A message that says nothing of the kind does not pay for reading them. Pure.
"""

from __future__ import annotations

from typing import Final

from mosaic_core.agents.offline.lexicon import load
from mosaic_core.domain.wordlists import one_of, patterns

_FILE: Final = load("findings")
_ABOUT: Final = one_of(patterns(_FILE["about_findings"]["patterns"], _FILE["names"]))
_LONGEST: Final = 4000
"""Characters of a message that are looked at: as many as one may have."""


def about_findings(message: str) -> bool:
    """Whether its words speak of findings, or of what is one: a charge that is odd, doubled, dearer or missing."""
    return _ABOUT.search(message[:_LONGEST].lower().replace("’", "'")) is not None
