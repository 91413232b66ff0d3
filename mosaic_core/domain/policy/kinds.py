"""What a clause can be."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Kind"]


class Kind(StrEnum):
    """``ASKS``, ``TALK`` and ``REPORT`` are harmless by themselves; ``TOLD`` and ``FRAGMENT`` only beside such."""

    ASKS = "asks"
    """A question of fact, a wish to be shown something, a listed harmless action, something denied."""
    TALK = "talk"
    REPORT = "report"
    """What happened, and is over."""
    TOLD = "told"
    """A condition, or how things stand."""
    FRAGMENT = "fragment"
    """Part of a question, cut off from it."""
    UNKNOWN = "unknown"
