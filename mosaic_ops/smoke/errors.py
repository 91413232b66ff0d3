"""How a check can end other than well."""

from __future__ import annotations


class NotSoError(Exception):
    """What was looked for is not so. ``str()`` says what is, in one line."""


class NotReachableError(ConnectionError):
    """Something did not answer, or would not let us in. ``str()`` names it and says what to do."""
