"""Erases and exports what is held of one household.

An erasure is driven by its caller, a bounded piece a request, and goes on from its row: whoever drives it may die, and
repeat. Who may ask goes first, so nothing new is accepted; then it waits until what is at work has ended; then it
removes kind by kind, in rounds, until one whole round finds nothing.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from mosaic_core.concurrency import each
from mosaic_core.domain import ids
from mosaic_core.domain.errors import Detail, RequestError, StoredRowError, StoreRefusedError
from mosaic_core.domain.households import QUIET, STEPS, Erasure, HouseholdKind, HouseholdRow, Waiting, counted
from mosaic_core.domain.lanes import Lane
from mosaic_core.domain.lifecycle import KeyStatus
from mosaic_core.ports import Clock, DeadLetterDesk, ETag, QueueBrowser, Stored, Stores
from mosaic_core.services.households.household_letters import HouseholdLetters
from mosaic_core.services.households.household_views import HouseholdErasure, HouseholdPage, WaitingFor
from mosaic_core.services.households.sources import PAGE, Source, source_of

log = logging.getLogger(__name__)

SECONDS: Final = 15.0
"""After these a request answers how far it has come."""

PIECES: Final = 400
_AT_ONCE: Final = 16

STAYS: Final = (
    "decisions: ids, kinds, outcomes and codes, as the record of what was decided; their words are removed",
    "this erasure: the household's id, who asked for it, when and why, and the counts",
    "replays: ids and codes of commands that were replayed",
    "signals of messages that nobody could decode: message ids and codes",
    "telemetry, events and logs: ids and codes, until the date of their own retention",
    "removed blobs: as long as the storage account's soft delete keeps them, where it is on",
    "backups: until they are deleted; erase again after one is restored",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class HouseholdService:
    """``queues`` are the lanes' real names. Raises `StoreUnreachableError` and `QueueUnavailableError` where what it
    needs does not answer; the same request again goes on."""

    stores: Stores
    browser: QueueBrowser
    desk: DeadLetterDesk
    clock: Clock
    queues: Mapping[Lane, str]

    @property
    def letters(self) -> HouseholdLetters:
        return HouseholdLetters(self.browser, self.desk, list(self.queues.values()))

    def _source(self, kind: HouseholdKind) -> Source:
        return source_of(kind, self.stores.household_data, self.letters)

    # ------------------------------------------------------------------------------------------------------- erasing

    async def dry_run(self, household_id: str, by: str, reason: str) -> HouseholdErasure:
        """How many of each kind there are, without their parts. Nothing is changed."""
        started = self.clock.now()
        found: dict[str, int] = {}
        complete = True
        for kind in HouseholdKind:
            cursor = ""
            while complete:
                number, cursor = await self._source(kind).count(household_id, cursor)
                found[kind] = found.get(kind, 0) + number
                complete = self.clock.now() - started < timedelta(seconds=SECONDS)
                if not cursor:
                    break
        order = Erasure(household_id=household_id, requested_by=by, reason=reason, started_at=started)
        waiting, _ = await self._at_work(household_id, "")
        there = {kind: number for kind, number in found.items() if number}
        return _view(order, "dry_run", there, complete=complete, waiting=waiting)

    async def advance(self, household_id: str, by: str, reason: str) -> HouseholdErasure:
        """Begin the household's erasure, or go on with it. One that was completed looks through everything once more.

        Who asked first, and why, stands."""
        stored = await self._read(household_id)
        if stored is None or stored.value.completed_at is not None:
            stored = await self._begin(household_id, by, reason, stored)
        order, etag = stored.value, stored.etag
        began, pieces = self.clock.now(), 0
        while order.completed_at is None and pieces < PIECES:
            waiting, order = await self._piece(order)
            saved = await self._save(order, etag)
            if saved is None:
                # another request goes on with it
                current = await self._read(household_id)
                return _view(current.value if current else order, "running")
            etag, pieces = saved, pieces + 1
            if waiting:
                return _view(order, "waiting", waiting=waiting)
            if (self.clock.now() - began).total_seconds() > SECONDS:
                break
        return _view(order, "running" if order.completed_at is None else "completed")

    async def _begin(self, household_id: str, by: str, reason: str, before: Stored[Erasure] | None) -> Stored[Erasure]:
        now = self.clock.now()
        if before is None:
            order = Erasure(household_id=household_id, requested_by=by, reason=reason, started_at=now)
        else:
            order = replace(before.value, step=0, cursor="", in_round=0, completed_at=None)
        log.warning("a household is being erased", extra={"householdId": household_id, "subject": ids.clean(by)})
        etag = await self._save(order, before.etag if before else None)
        if etag is not None:
            return Stored(order, etag)
        stored = await self._read(household_id)
        if stored is None:
            raise StoredRowError("an erasure that somebody else began is not there")
        return stored

    async def _piece(self, order: Erasure) -> tuple[Waiting, Erasure]:
        """What is at work, where the piece was to look for it; and the order as it is after it."""
        step = STEPS[order.step]
        if step == QUIET:
            waiting, cursor = await self._at_work(order.household_id, order.cursor)
            if waiting:
                return waiting, replace(order, cursor="")
            return waiting, self._next(order, cursor, {})
        kind = HouseholdKind(step)
        found, gone, cursor = await self._source(kind).remove(order.household_id, order.cursor)
        # what was found and could not be taken is looked for again in the next round
        return Waiting(), self._next(order, cursor, {kind: gone}, found=found)

    def _next(self, order: Erasure, cursor: str, removed: Mapping[str, int], *, found: int = 0) -> Erasure:
        counts = order.counts
        for kind, number in removed.items():
            counts[kind] = counts.get(kind, 0) + number
        order = replace(order, cursor=cursor, in_round=order.in_round + found, removed=counted(counts))
        if cursor:
            return order
        if order.step + 1 < len(STEPS):
            return replace(order, step=order.step + 1)
        if order.in_round:
            return replace(order, step=0, in_round=0, rounds=order.rounds + 1)
        log.warning("a household is erased", extra={"householdId": order.household_id, "rounds": order.rounds})
        return replace(order, completed_at=self.clock.now())

    async def _at_work(self, household_id: str, cursor: str) -> tuple[Waiting, str]:
        """Of one page of commands those that have not ended; of the last, messages in the queues as well."""
        data = self.stores.household_data
        page = await data.page(HouseholdKind.COMMANDS, household_id, cursor, PAGE, whole=True)
        busy = sum(await each(page.items, lambda one: self._is_at_work(one.value), at_once=_AT_ONCE))
        messages = 0 if page.cursor else await self.letters.waiting(household_id)
        return Waiting(busy, messages), page.cursor

    async def _is_at_work(self, row: HouseholdRow) -> bool:
        content: dict[str, Any] = dict(row.content)
        keys = content["Keys"]
        if keys:
            return any(key["Status"] == KeyStatus.RESERVED for key in keys)
        queue, command_id = str(content["Queue"]), str(content["CommandId"])
        try:
            run = await self.stores.runs.read(ids.run_id(queue, command_id))
        except StoredRowError:
            run = None
        if run is not None:
            return not run.value.is_final
        # without key and run: not begun, where anything still follows it
        return await self.stores.outbox.lists(queue, command_id) or await self.stores.followed.lists(queue, command_id)

    # ----------------------------------------------------------------------------------------------------- exporting

    async def export(
        self, household_id: str, kind: HouseholdKind | None, cursor: str, by: str, reason: str
    ) -> HouseholdPage:
        """A page of everything. Raises `RequestError` ``validation_failed`` where the cursor is none."""
        if kind is None:
            log.warning("a household is being exported", extra={"householdId": household_id, "subject": ids.clean(by)})
            await self._note_export(household_id, by, reason)
        kind = kind or next(iter(HouseholdKind))
        try:
            rows, following = await self._source(kind).rows(household_id, cursor)
        except (ValueError, TypeError, AttributeError, StoreRefusedError) as error:
            raise RequestError(
                "validation_failed", "the request does not hold", [Detail("cursor", "is no cursor of an answer")]
            ) from error
        kinds = list(HouseholdKind)
        later = kinds[kinds.index(kind) + 1 :]
        return HouseholdPage(
            household_id=household_id,
            kind=kind,
            rows=rows,
            next_kind=kind if following else (later[0] if later else None),
            next_cursor=following or None,
        )

    async def _note_export(self, household_id: str, by: str, reason: str) -> None:
        name, cursors = f"export {household_id}", self.stores.cursors
        there = await cursors.read(name)
        note = json.dumps({"requestedBy": by, "reason": reason, "atUtc": self.clock.now().isoformat()})
        await cursors.save(name, note, there.etag if there else None)

    # ----------------------------------------------------------------------------------------------------------- rows

    async def _read(self, household_id: str) -> Stored[Erasure] | None:
        stored = await self.stores.cursors.read(f"erase {household_id}")
        return Stored(_decoded(stored.value), stored.etag) if stored else None

    async def _save(self, order: Erasure, etag: ETag | None) -> ETag | None:
        text = json.dumps(asdict(order), default=datetime.isoformat)
        return await self.stores.cursors.save(f"erase {order.household_id}", text, etag)


def _decoded(text: str) -> Erasure:
    try:
        row: dict[str, Any] = json.loads(text)
        completed = row["completed_at"]
        times = {
            "started_at": datetime.fromisoformat(row["started_at"]),
            "completed_at": datetime.fromisoformat(completed) if completed else None,
        }
        return Erasure(**{**row, **times, "removed": tuple(row["removed"])})
    except (ValueError, TypeError, KeyError) as error:
        raise StoredRowError("the row of an erasure cannot be read") from error


def _view(
    order: Erasure,
    state: Any,
    counts: Mapping[str, int] | None = None,
    *,
    complete: bool = True,
    waiting: Waiting | None = None,
) -> HouseholdErasure:
    return HouseholdErasure(
        household_id=order.household_id,
        state=state,
        counts=dict(order.counts if counts is None else counts),
        counted_all=complete,
        waiting_for=WaitingFor(commands=waiting.commands, messages=waiting.messages) if waiting else None,
        stays=list(STAYS),
        requested_by=order.requested_by,
        reason=order.reason,
        started_at_utc=order.started_at,
        completed_at_utc=order.completed_at,
    )
