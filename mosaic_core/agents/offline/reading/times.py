"""The times of a question put together: one stretch, or two that are compared. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from mosaic_core.agents.offline.reading.facts import Facts, Meaning
from mosaic_core.agents.offline.reading.marks import Tag
from mosaic_core.ledger.periods import Period, everything, joined, just_before, year_earlier
from mosaic_core.ledger.query import Intent

type Times = tuple[Period, Period | None]


def times_of(facts: Facts, meaning: Meaning, periods: Sequence[Period], as_of: date) -> Times | None:
    """The question's period and the one it is compared with; None where its times cannot be put together."""
    if meaning.intent not in (Intent.COMPARE, Intent.CHANGES) or meaning.by_subject:
        whole = joined(periods) if periods else everything(as_of)
        return (whole, None) if whole is not None else None
    if len(periods) > 2:
        return None
    if len(periods) == 2:
        first, second = periods
    elif periods and len(periods[0].parts) == 2:
        first, second = periods[0].parts
        if facts.said("between") and not meaning.later_first:
            # No stretch from one to the other: each is the one that its name means by itself.
            first = periods[0].alone or first
    else:
        first = periods[0] if periods else Period(as_of.replace(day=1), as_of, f"this month ({as_of:%B %Y})")
        return first, year_earlier(first) if facts.has(Tag.YEAR_EARLIER) else just_before(first)
    if (meaning.later_first and second.start > first.start) or meaning.swapped:
        first, second = second, first
    return first, second
