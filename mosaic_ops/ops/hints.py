"""Which verb may send to which: a suggestion never leads back to the verb that made it, nor to one that sends there."""

from __future__ import annotations

import shlex
from typing import Final

_GLANCES: Final = frozenset({"status", "signals", "dlq groups", "dlq list", "send"})
_STORIES: Final = frozenset({"trace", "dlq show"})
_GROUPS: Final = frozenset({"dlq", "telemetry", "lane", "members", "evidence"})
TOLD_AT_A_GLANCE: Final = frozenset({"logs", "run", "telemetry logs", "telemetry traces"})
"""What a finding sends to. Whoever asks `next` after that has been there: the whole story is what is left."""

ANYTHING: Final = "./mosaic ops runs --limit 5"


def verb_of(command: str) -> str:
    """``dlq show`` of ``./mosaic ops dlq show 0f3c…``; what is no verb of ours is itself."""
    words = shlex.split(command)
    if words[:2] != ["./mosaic", "ops"]:
        return command
    return " ".join(words[2:4] if words[2] in _GROUPS else words[2:3])


def leads_on(command: str, verb: str) -> bool:
    """Whether ``verb`` may suggest it: from a glance to `next`, from there to a story, from a story to what tells or
    does one thing and suggests nothing."""
    return _depth(verb_of(command)) > _depth(verb)


def _depth(verb: str) -> int:
    if verb in _GLANCES:
        return 0
    if verb == "next":
        return 1
    return 2 if verb in _STORIES else 3
