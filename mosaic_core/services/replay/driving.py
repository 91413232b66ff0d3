"""One caller's piece of a replay: some of an operation is sent, and its dead-lettered copies are completed."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from mosaic_core.concurrency import each
from mosaic_core.domain.envelope import Payload
from mosaic_core.domain.errors import (
    MosaicError,
    QueueUnavailableError,
    StoredRowError,
    StoreUnreachableError,
    TransientError,
)
from mosaic_core.domain.replay import Replay, ReplayItem, ReplayState
from mosaic_core.ports import BrowsedMessage, DeadLetterSession, ETag, QueueBrowser
from mosaic_core.services.browsing import PAGE, browsed
from mosaic_core.services.replay.sending import TRIES, Chosen, Sending

log = logging.getLogger(__name__)

LEASE: Final = timedelta(seconds=10)
"""How long whoever drives is taken for alive after the last word of theirs."""

BATCH: Final = 50
_FEWEST: Final = 50
AT_ONCE: Final = 8

CLEARED_AT_ONCE: Final = 200
"""Copies of a handful: each is looked at in three requests before it goes."""

LEFT_AFTER: Final = timedelta(minutes=7)
"""Beyond the longest lock that a queue can have: where none could be completed for so long they are left, and told."""

_CLEAR_SECONDS: Final = 2.0
_CLEAR_UP_SECONDS: Final = 4.0


class ReplayStoppedError(MosaicError):
    """Somebody else has the operation now, or it runs no more."""

    code = "replay_stopped"


class Drive:
    """One caller's piece of an operation. ``etag`` is of the operation as this drive wrote it last."""

    session: DeadLetterSession

    def __init__(
        self,
        sending: Sending,
        browser: QueueBrowser,
        sleep: Callable[[float], Awaitable[object]],
        held: Replay,
        etag: ETag,
        until: datetime,
    ) -> None:
        self._sending, self._browser, self._sleep = sending, browser, sleep
        self._stores = sending.stores
        self._now = sending.clock.now
        self._replay, self._etag, self._until = held, etag, until
        self._planned: dict[int, str] | None = None
        self._looked_at: set[int] = set()
        self._refused: set[int] = set()

    async def run(self) -> None:
        edit = await self._sending.edit_of(self._replay)
        while self._replay.position < self._replay.total:
            if not await self._pace():
                return
            await self._batch(edit)
        await self._clear_up()

    async def let_go(self) -> None:
        """The next caller need not wait. Where that fails, the lease ends by itself."""
        try:
            await self._save(lambda there: replace(there, held_until=None, holder=""))
        except (ReplayStoppedError, TransientError):
            log.debug("a replay's lease ends by itself")

    # ------------------------------------------------------------------------------------------------------- sending

    async def _pace(self) -> bool:
        """Wait until the rate allows more. False: that is not within this piece."""
        now = self._now()
        paced = self._replay.paced_until
        if paced is not None and now < paced <= now + timedelta(seconds=60):
            if paced >= self._until:
                return False
            await self._sleep((paced - now).total_seconds())
        return self._now() < self._until

    async def _batch(self, edit: Payload | None) -> None:
        replay_of, began = self._replay, self._now()
        count = max(1, min(BATCH, replay_of.rate))
        items = await self._stores.replays.items(replay_of.replay_id, replay_of.position, count)
        if not items:
            raise StoredRowError("the plan of this replay lacks a piece")
        letters = await self._letters(items)
        chosen = [Chosen(item, letters.get(item.sequence_number)) for item in items]
        # one command's copies one after the other, or both would find that nobody has replayed it yet
        first = {one.item.command_id: one for one in reversed(chosen)}
        verdicts: dict[ReplayItem, str] = {}

        async def send(one: Chosen) -> None:
            verdicts[one.item] = await self._sending.send(replay_of, one, edit)

        await each(first.values(), send, at_once=AT_ONCE)
        for one in chosen:
            if one.item not in verdicts:
                await send(one)
        paced = began + timedelta(seconds=len(items) / replay_of.rate)
        told = [verdicts[item] for item in items]
        now = self._now()
        await self._save(
            lambda there: replace(
                there.after(told),
                paced_until=paced,
                updated_at=now,
                sent_at=now,
                held_until=now + LEASE,
            )
        )
        gone = {
            one.letter.sequence_number: one.letter.message_id
            for one in chosen
            if one.letter is not None and not verdicts[one.item]
        }
        await self._complete(gone)
        await self._complete_held()
        if self._replay.state != ReplayState.RUNNING:
            raise ReplayStoppedError("somebody else has the replay now, or it runs no more")

    def _dead(self, *, after: int, size: int = PAGE) -> AsyncIterator[BrowsedMessage]:
        return browsed(self._browser, self._replay.queue, dead=True, after=after, size=size)

    async def _letters(self, items: Sequence[ReplayItem]) -> dict[int, BrowsedMessage]:
        """Those of the items that are still there. Somebody may have taken one meanwhile: then its record is what is
        left, and enough."""
        wanted = {item.sequence_number for item in items if item.sequence_number}
        found: dict[int, BrowsedMessage] = {}
        if not wanted:
            return found
        size = max(len(wanted), _FEWEST)
        async for message in self._dead(after=min(wanted) - 1, size=size):
            if message.sequence_number in wanted:
                found[message.sequence_number] = message
            if message.sequence_number >= max(wanted):
                break
        return found

    async def _complete_held(self) -> None:
        """Copies that a process left which died lie before those of the batches to come, and would be in their way."""
        held = self.session.held
        if not held:
            return
        planned = await self._plan()
        numbers = [n for n in held if n in planned and n not in self._looked_at][:CLEARED_AT_ONCE]
        self._looked_at.update(numbers)
        letters = await self._letters([ReplayItem(number, planned[number]) for number in numbers])
        await self._complete(await self._replayed_of(list(letters.values()), planned))

    async def _complete(self, wanted: Mapping[int, str], seconds: float = _CLEAR_SECONDS) -> frozenset[int]:
        if not wanted:
            return frozenset()
        try:
            return await self.session.complete(wanted, seconds=seconds)
        except QueueUnavailableError as error:
            log.warning("dead-lettered copies are left for now", extra={"rationale": error.rationale})
            return frozenset()

    # ------------------------------------------------------------------------------------------------------ clearing

    async def _clear_up(self) -> None:
        """What was replayed goes from the dead-letter queue; copies that a dead process holds, when their lock ends."""
        while True:
            left = await self._left()
            gone = await self._complete(left, seconds=_CLEAR_UP_SECONDS)
            remaining = len(left.keys() - gone)
            now = self._now()
            sent = self._replay.sent_at or self._replay.created_at
            is_over = not remaining or now - sent > LEFT_AFTER
            if remaining and is_over:
                log.error("copies of replayed messages stay", extra={"replayId": self._replay.replay_id})
            # a full handful says nothing about what is behind it
            done = is_over and (len(left) < CLEARED_AT_ONCE or now - sent > LEFT_AFTER)
            await self._save(
                lambda there, remaining=remaining, done=done, now=now, moved=bool(gone): replace(  # type: ignore[misc]
                    there,
                    sent_at=now if moved else there.sent_at,
                    clearing=remaining,
                    state=ReplayState.COMPLETED if done else there.state,
                    held_until=now + LEASE,
                    updated_at=now,
                )
            )
            if done or self._replay.state != ReplayState.RUNNING or now >= self._until or not gone:
                return

    async def _left(self) -> dict[int, str]:
        """Dead letters of the plan that are replayed and still there: a handful, the first of them."""
        planned = await self._plan()
        left: dict[int, str] = {}
        some: list[BrowsedMessage] = []
        last = max(planned, default=0)
        async for message in self._dead(after=min(planned, default=0) - 1):
            if message.sequence_number > last or len(left) >= CLEARED_AT_ONCE:
                break
            if message.sequence_number in planned and message.sequence_number not in self._refused:
                some.append(message)
            if len(some) == BATCH:
                left |= await self._sorted(some)
                some = []
        return left | await self._sorted(some)

    async def _sorted(self, some: Sequence[BrowsedMessage]) -> dict[int, str]:
        """Those that are replayed; the others need no second look."""
        replayed = await self._replayed_of(some, await self._plan())
        self._refused.update(one.sequence_number for one in some if one.sequence_number not in replayed)
        return replayed

    async def _plan(self) -> dict[int, str]:
        """Command ids by the numbers of the dead letters that were chosen."""
        if self._planned is None:
            items = await self._stores.replays.items(self._replay.replay_id, 0, self._replay.total)
            self._planned = {item.sequence_number: item.command_id for item in items if item.sequence_number}
        return self._planned

    async def _replayed_of(self, letters: Sequence[BrowsedMessage], planned: Mapping[int, str]) -> dict[int, str]:
        """Those of them whose command is replayed, with their message ids."""

        async def is_replayed(message: BrowsedMessage) -> bool:
            return await self._is_replayed(planned[message.sequence_number], message)

        replayed = await each(letters, is_replayed, at_once=AT_ONCE)
        return {
            message.sequence_number: message.message_id
            for message, is_one in zip(letters, replayed, strict=True)
            if is_one
        }

    async def _is_replayed(self, command_id: str, message: BrowsedMessage) -> bool:
        """Whoever replayed it, as long as that is recorded; and it is that command's message, not another's under its
        id."""
        claims = await self._stores.replays.claims(self._replay.queue, command_id)
        for claim in claims:
            if await self._stores.commands.read(claim.new_command_id) is not None:
                break
        else:
            return False
        return bool(self._replay.edit_blob) or await self._sending.is_of_its_record(
            self._replay.lane, command_id, message
        )

    # -------------------------------------------------------------------------------------------------------- saving

    async def _save(self, change: Callable[[Replay], Replay]) -> None:
        """Write on top of what is there, as long as this drive holds it: an abort in between stands."""
        for _ in range(TRIES):
            changed = change(self._replay)
            etag = await self._stores.replays.update(changed, self._etag)
            if etag is not None:
                self._replay, self._etag = changed, etag
                return
            stored = await self._stores.replays.read(self._replay.replay_id)
            if stored is None or stored.value.holder != self._replay.holder:
                raise ReplayStoppedError("somebody else has the replay now, or it runs no more")
            if stored.value == changed:
                self._replay, self._etag = changed, stored.etag  # my own write, whose answer was lost
                return
            self._replay, self._etag = stored.value, stored.etag
        raise StoreUnreachableError("the operation is written to without end")
