"""What the app itself does: annotations of the household's own rows. Nothing here reaches outside.

Each is an effect of kind 3 (a shared row, If-Match, naming the run and attempt) or, for a note, of kind 1.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from mosaic_core.agents.categorise import learning_key
from mosaic_core.domain import ids, signals
from mosaic_core.domain.approval import Action
from mosaic_core.domain.errors import LaneError
from mosaic_core.domain.ledger import Transaction
from mosaic_core.domain.records import Annotation, Signal
from mosaic_core.lanes.context import LaneContext
from mosaic_core.lanes.household import CATEGORY, LEARNED, NOTE, RECURRING

FINDINGS: Final = frozenset(
    "duplicate_charge amount_outlier first_time_large price_rise missed_income missed_bill new_recurring "
    "card_testing".split()
)
"""Signals of the sweep. The runtime's own (a failed command, a waiting approval) are not the household's to dismiss."""

_AT_ONCE: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """Who wants an action, since when, and by which approval (None: the policy let it pass)."""

    set_by: str
    asked_at: datetime
    approval_id: str | None = None


async def finding(context: LaneContext, household_id: str, signal_id: str) -> Signal | None:
    """The household's finding of that id; None for any other signal."""
    stored = await context.stores.signals.read(signal_id)
    signal = stored.value if stored is not None else None
    ours = signal is not None and signal.household_id == household_id and signal.signal_code in FINDINGS
    return signal if ours else None


async def apply(
    context: LaneContext, household_id: str, action: Action, wish: Wish, ledger: Mapping[str, Transaction]
) -> str:
    """Carry out an executable action; what was done, in a sentence. ``ledger`` are the household's transactions by id.
    Repeating it changes nothing. Raises LaneError for an action that there is no code for."""
    arguments = action.arguments
    match action.name:
        case "recategorise":
            rows = [str(i) for i in arguments["transactionIds"]]
            category = str(arguments["category"])
            learned = sorted({learning_key(ledger[i]) for i in rows if i in ledger})
            await _annotate_all(
                context,
                household_id,
                wish,
                [(CATEGORY, i, category) for i in rows] + [(LEARNED, key, category) for key in learned],
            )
            return f"{len(rows)} rows are {category} now, and {len(learned)} merchants from now on"
        case "mark_recurring":
            rows = [str(i) for i in arguments["transactionIds"]]
            cadence = str(arguments["cadence"])
            await _annotate_all(context, household_id, wish, [(RECURRING, i, cadence) for i in rows])
            return f"{len(rows)} rows are marked as {cadence}"
        case "budget_note":
            # keyed by the approval where there is one: whoever carries it out writes the same row
            subject = ids.derive("note", wish.approval_id or context.run_id, action.hash)
            await _annotate(context, household_id, wish, NOTE, subject, action.json)
            return "the note is kept"
        case "dismiss_signal":
            return await _dismiss(context, household_id, str(arguments["signalId"]), wish)
    raise LaneError("there is no code for the action", code="action_not_executable")


async def _annotate_all(
    context: LaneContext, household_id: str, wish: Wish, wanted: list[tuple[str, str, str]]
) -> None:
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(kind: str, subject: str, value: str) -> None:
        async with gate:
            await _annotate(context, household_id, wish, kind, subject, value)

    await asyncio.gather(*(one(*entry) for entry in wanted))


async def _annotate(context: LaneContext, household_id: str, wish: Wish, kind: str, subject: str, value: str) -> None:
    """The row says ``value``, unless a later request, or a later attempt of this one, has said something since."""
    new = Annotation(
        household_id=household_id,
        kind=kind,
        subject=subject,
        value=value,
        set_by=wish.set_by,
        run_id=context.run_id,
        attempt=context.attempt,
        asked_at=wish.asked_at,
        created_at=context.now(),
        approval_id=wish.approval_id,
    )
    while True:
        stored = await context.stores.annotations.read(household_id, kind, subject)
        if stored is None:
            if await context.stores.annotations.insert(new) is not None:
                return
            continue
        there = stored.value
        if there.run_id == new.run_id:
            if there.attempt > new.attempt or (there.attempt == new.attempt and there.value == new.value):
                return
        elif (there.asked_at, there.run_id) > (new.asked_at, new.run_id):
            return
        if await context.stores.annotations.update(new, stored.etag) is not None:
            return


async def _dismiss(context: LaneContext, household_id: str, signal_id: str, wish: Wish) -> str:
    while True:
        if await finding(context, household_id, signal_id) is None:
            raise LaneError("the signal is not one of the household's findings", code="signal_not_found")
        stored = await context.stores.signals.read(signal_id)
        if stored is None or stored.value.is_resolved:
            return "the signal was resolved already"
        note = f"dismissed in run {context.run_id}"
        resolved = signals.resolve(stored.value, by=wish.set_by, note=note, now=context.now())
        if await context.stores.signals.update(resolved, stored.etag) is not None:
            return "the signal is dismissed"
