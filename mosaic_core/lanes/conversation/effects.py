"""What the app itself does: annotations of the household's own rows. Nothing here reaches outside.

Each is an effect of kind 3 (a shared row, If-Match, naming the run and attempt, or the approval) or, for a note, of
kind 1. What is said of it is what is there afterwards, not what was wanted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from mosaic_core.concurrency import each
from mosaic_core.domain import ids, signals
from mosaic_core.domain.errors import LaneError
from mosaic_core.domain.policy.approval import APPLIED, Action
from mosaic_core.domain.records import Annotation, Signal
from mosaic_core.domain.signals import FINDINGS
from mosaic_core.domain.transactions import Transaction
from mosaic_core.lanes.context import LaneContext
from mosaic_core.lanes.household import CATEGORY, LEARNED, NOTE, RECURRING
from mosaic_core.ledger.categories.categorise import learning_key


@dataclass(frozen=True, slots=True, kw_only=True)
class Requester:
    """Who wants an action, since when, by which approval (None: the policy let it pass), and else in which exchange.
    What a person approved is wanted since they approved it."""

    set_by: str
    asked_at: datetime
    approval_id: str | None = None
    turn_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What came of an action: ``text`` in words, ``landed`` how much of it stands, ``kept`` how much does not, since a
    later choice does, or there is nothing to do it to. ``says`` is what was set, by kind and subject."""

    text: str
    landed: int = 1
    kept: int = 0
    says: Mapping[tuple[str, str], str] = field(default_factory=dict)

    def but_for(self, later: Mapping[tuple[str, str], str]) -> Done:
        """As it stands after another action of the same reply that said ``later``."""
        lost = sum(later.get(subject, value) != value for subject, value in self.says.items())
        if not lost:
            return self
        landed, changed = self.landed - lost, f"{lost} of them have what was asked for later in the same message"
        text = f"{self.text}; {changed}" if landed else changed
        return replace(self, text=text, landed=landed, kept=self.kept + lost)

    @property
    def summary(self) -> str:
        """``applied``, ``partly applied: …`` or ``not applied: …``."""
        if not self.kept:
            return APPLIED
        return f"{'partly' if self.landed else 'not'} applied: {self.text}"


def code_of(summary: str | None) -> str:
    """An outcome code of a stage, for a `Done.summary` (None: of an earlier version, which took all for applied)."""
    if summary is None or summary == APPLIED:
        return "action_applied"
    return "action_partly_applied" if summary.startswith("partly") else "action_not_applied"


async def finding(context: LaneContext, household_id: str, signal_id: str) -> Signal | None:
    """The household's finding of that id; None for any other signal."""
    stored = await context.stores.signals.read(signal_id)
    return stored.value if stored is not None and _is_finding(stored.value, household_id) else None


def _is_finding(signal: Signal, household_id: str) -> bool:
    return signal.household_id == household_id and signal.signal_code in FINDINGS


def rows_looked_at(action: Action) -> list[str]:
    """The ledger's rows that carrying the action out looks at, by id."""
    return [str(i) for i in action.arguments["transactionIds"]] if action.name == "recategorise" else []


async def apply(
    context: LaneContext, household_id: str, action: Action, wish: Requester, ledger: Mapping[str, Transaction]
) -> Done:
    """Carry out an executable action. ``ledger`` are the household's transactions by id, `rows_looked_at` at least.
    Repeating it changes nothing. Raises LaneError for an action that there is no code for."""
    arguments = action.arguments
    match action.name:
        case "recategorise":
            named = list(dict.fromkeys(str(i) for i in arguments["transactionIds"]))
            rows = [i for i in named if i in ledger]
            missing = len(named) - len(rows)
            category = str(arguments["category"])
            learned = sorted({learning_key(ledger[i]) for i in rows})
            wanted = [(CATEGORY, i, category) for i in rows] + [(LEARNED, key, category) for key in learned]
            stands = await _annotate_all(context, household_id, wish, wanted)
            set_rows = [i for i, landed in zip(rows, stands, strict=False) if landed]
            merchants = sum(stands[len(rows) :])
            return Done(
                text=_said(
                    f"{len(set_rows)} rows are {category} now, and {merchants} merchants from now on",
                    stands,
                    f"{len(rows) - len(set_rows)} rows and {len(learned) - merchants} merchants",
                )
                + (f"; {missing} rows are not in the ledger" if missing else ""),
                landed=sum(stands),
                kept=len(stands) - sum(stands) + missing,
                says=_stood(wanted, stands),
            )
        case "mark_recurring":
            rows = list(dict.fromkeys(str(i) for i in arguments["transactionIds"]))
            cadence = str(arguments["cadence"])
            wanted = [(RECURRING, i, cadence) for i in rows]
            stands = await _annotate_all(context, household_id, wish, wanted)
            landed, kept = sum(stands), len(rows) - sum(stands)
            text = _said(f"{landed} rows are marked as {cadence}", stands, f"{kept} rows")
            return Done(text=text, landed=landed, kept=kept, says=_stood(wanted, stands))
        case "budget_note":
            # keyed by what asked for it: whoever carries it out writes the same row
            subject = ids.derive("note", wish.approval_id or wish.turn_id or context.run_id, action.hash)
            await _annotate(context, household_id, wish, NOTE, subject, action.json)
            return Done(text="the note is kept")
        case "dismiss_signal":
            said, dismissed = await _dismiss(context, household_id, str(arguments["signalId"]), wish)
            return Done(text=said, landed=int(dismissed), kept=int(not dismissed))
    raise LaneError("there is no code for the action", code="action_not_executable")


def _stood(wanted: Sequence[tuple[str, str, str]], stands: Sequence[bool]) -> dict[tuple[str, str], str]:
    return {(kind, subject): value for (kind, subject, value), landed in zip(wanted, stands, strict=True) if landed}


def _said(done: str, stands: Sequence[bool], kept: str) -> str:
    if all(stands):
        return done
    return f"{done}; {kept} keep a later choice" if any(stands) else f"{kept} keep a later choice"


async def _annotate_all(
    context: LaneContext, household_id: str, wish: Requester, wanted: Sequence[tuple[str, str, str]]
) -> list[bool]:
    async def one(entry: tuple[str, str, str]) -> bool:
        return await _annotate(context, household_id, wish, *entry)

    return await each(wanted, one)


async def _annotate(
    context: LaneContext, household_id: str, wish: Requester, kind: str, subject: str, value: str
) -> bool:
    """Whether the row says ``value`` by this wish now. False: a later request, or a later attempt of this one, has said
    something since, and that stands."""
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
                return True
            continue
        if _stands_against(stored.value, new):
            return stored.value.value == value
        if await context.stores.annotations.update(new, stored.etag) is not None:
            return True


def _stands_against(there: Annotation, new: Annotation) -> bool:
    """Whether ``there`` is this wish already, or a later one."""
    if there.approval_id is not None and there.approval_id == new.approval_id:
        # carried out by whoever found it undone: not an attempt of anybody's, done once
        return there.value == new.value
    if there.approval_id is None and new.approval_id is None and there.run_id == new.run_id:
        return there.attempt > new.attempt or (there.attempt == new.attempt and there.value == new.value)
    return (there.asked_at, there.approval_id or there.run_id) > (new.asked_at, new.approval_id or new.run_id)


async def _dismiss(context: LaneContext, household_id: str, signal_id: str, wish: Requester) -> tuple[str, bool]:
    """In words, and whether it was this wish that dismissed it."""
    note = f"dismissed by approval {wish.approval_id}" if wish.approval_id else f"dismissed in run {context.run_id}"
    while True:
        stored = await context.stores.signals.read(signal_id)
        if stored is None or not _is_finding(stored.value, household_id):
            return "the signal is not one of the household's findings", False
        if stored.value.is_resolved:
            mine = stored.value.resolution_note == note
            return ("the signal is dismissed", True) if mine else ("the signal was resolved already", False)
        resolved = signals.resolve(stored.value, by=wish.set_by, note=note, now=context.now())
        if await context.stores.signals.update(resolved, stored.etag) is not None:
            return "the signal is dismissed", True
