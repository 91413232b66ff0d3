"""What may be done, by which rule or by whose approval.

Text is data: only a listed, structured action acts, and only by a rule or by a recorded approval of exactly that
action.

Reading path, one noun a module:

- `actions` with actions.toml: every action, its arguments, its impact and how it is said; the only table of them;
- `impact`: the classes of what an action touches;
- `rules` with rules.toml: what becomes of a proposal; what no rule fits goes to a person;
- `approval`: what an approval is bound to, and what comes of one;
- `hints` with hints.toml: what a text names outright, for people to read. `domain.text` brings it to one spelling.

To change what the app may do by itself, edit rules.toml (`./mosaic policy dry-run` shows what would become of it). To
add an action, add it to actions.toml and, where the app carries it out, its effect to `lanes.conversation.effects`.
"""

from __future__ import annotations

from typing import Final

from mosaic_core.domain.policy.hints import hint
from mosaic_core.domain.policy.impact import ImpactClass
from mosaic_core.domain.policy.rules import default_policy

__all__ = ["POLICY_VERSION", "ImpactClass", "hint"]

POLICY_VERSION: Final = default_policy().version
"""Of this release's rules.toml."""
