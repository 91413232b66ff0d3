"""What is told of an erasure, and a page of an export."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mosaic_core.domain.households import HouseholdKind
from mosaic_core.services.views import UtcTime, View


class WaitingFor(View):
    commands: int = Field(description="Of the household, that have not ended.")
    messages: int = Field(description="Of the household, that wait in a queue.")


class HouseholdErasure(View):
    """``running``: repeat the request, which goes on where the last one ended. ``waiting``: nothing new is accepted
    for the household any more, and what is at work has to end first; repeat later."""

    household_id: str
    state: Literal["dry_run", "running", "waiting", "completed"]
    counts: dict[str, int] = Field(
        description="By kind, what was removed until now (of a dry run: would be). What a request that died removed "
        "may be in no count."
    )
    counted_all: bool = Field(description="False of a dry run that there was no time to finish.")
    waiting_for: WaitingFor | None
    stays: list[str] = Field(description="What is not removed, and why.")
    requested_by: str
    reason: str
    started_at_utc: UtcTime
    completed_at_utc: UtcTime | None


class HouseholdPage(View):
    """Some of what is held of one household. Ask again with ``nextKind`` and ``nextCursor`` for what comes after."""

    household_id: str
    kind: HouseholdKind
    rows: list[dict[str, object]] = Field(description="As they are stored, with what is a part of them.")
    next_kind: HouseholdKind | None
    next_cursor: str | None
