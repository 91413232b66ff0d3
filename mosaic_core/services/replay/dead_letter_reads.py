"""Dead letters as operators look for them: a page by filters, and groups. Queues are browsed, never received from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from mosaic_core.concurrency import each
from mosaic_core.domain.errors import Detail, invalid_request
from mosaic_core.domain.lanes import Lane
from mosaic_core.ports import Clock, QueueBrowser, Stores
from mosaic_core.services.browsing import browsed
from mosaic_core.services.operators.runs import AT_ONCE
from mosaic_core.services.replay import letter_headers
from mosaic_core.services.replay.letter_headers import DeadLetter, letter_of
from mosaic_core.services.replay.replay_views import DeadLetterGroup, DeadLetterGroups, DeadLetters, DeadLetterView

LOOKED_AT: Final = 2_000
"""Dead letters that are looked at for one page."""

GROUPED: Final = 20_000
"""Dead letters of a queue that are looked at for groups."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterFilter:
    """None of a field: any. ``after`` is (lane, sequence number) of where the page before ended."""

    lane: Lane | None = None
    code: str | None = None
    reason: str | None = None
    named: str | None = None
    after: tuple[Lane, int] | None = None

    def takes(self, letter: DeadLetter) -> bool:
        return (
            self.code in (None, letter.code)
            and self.reason in (None, letter.reason)
            and (self.named is None or letter.is_named(self.named))
        )


@dataclass(frozen=True, slots=True)
class DeadLetterReads:
    """Raises `QueueUnavailableError` where the broker does not answer. ``queues`` are the lanes' real names."""

    stores: Stores
    browser: QueueBrowser
    clock: Clock
    queues: Mapping[Lane, str]

    async def page(self, wanted: LetterFilter, limit: int) -> DeadLetters:
        """At most ``limit``, of the next `LOOKED_AT`."""
        lanes = [lane for lane in self.queues if wanted.lane in (None, lane)]
        after = 0
        if wanted.after is not None:
            lane, after = wanted.after
            if lane not in lanes:
                raise invalid_request(Detail("cursor", "is of another lane"))
            lanes = lanes[lanes.index(lane) :]
        found: list[DeadLetter] = []
        looked_at, cursor = 0, None
        for place, lane in enumerate(lanes):
            async for message in browsed(self.browser, self.queues[lane], dead=True, after=after if place == 0 else 0):
                letter = letter_of(lane, message)
                looked_at += 1
                if wanted.takes(letter):
                    found.append(letter)
                if len(found) == limit or looked_at == LOOKED_AT:
                    cursor = f"{letter.sequence_number}!{lane}"
                    break
            if cursor is not None:
                break
        return DeadLetters(
            as_of_utc=self.clock.now(),
            dead_letters=await each(found, self._told, at_once=AT_ONCE),
            looked_at=looked_at,
            next_cursor=cursor,
        )

    async def groups(self, lane: Lane | None) -> DeadLetterGroups:
        found: list[DeadLetter] = []
        complete = True
        for one in self.queues:
            if lane not in (None, one):
                continue
            count = 0
            async for message in browsed(self.browser, self.queues[one], dead=True):
                if count == GROUPED:
                    complete = False
                    break
                found.append(letter_of(one, message))
                count += 1
        groups = [
            DeadLetterGroup(
                group_id=group.group_id,
                lane=group.lane,
                reason=group.reason,
                code=group.code,
                exception_type=group.exception_type,
                count=group.count,
                oldest_at_utc=group.oldest_at,
                newest_at_utc=group.newest_at,
                sample_command_ids=list(group.sample_command_ids),
                newest_message_id=group.newest_message_id,
                rationale=group.rationale,
                sent_by=group.sent_by,
            )
            for group in letter_headers.grouped(found)
        ]
        return DeadLetterGroups(as_of_utc=self.clock.now(), groups=groups, complete=complete)

    async def _told(self, letter: DeadLetter) -> DeadLetterView:
        claims = await self.stores.replays.claims(letter.queue, letter.command_id) if letter.command_id else []
        return DeadLetterView(
            lane=letter.lane,
            queue=letter.queue,
            sequence_number=letter.sequence_number,
            message_id=letter.message_id,
            command_id=letter.command_id,
            command_type=letter.command_type,
            correlation_id=letter.correlation_id,
            run_id=letter.run_id,
            attempt=letter.attempt,
            household_id=letter.household_id,
            dead_letter_reason=letter.reason,
            code=letter.code,
            rationale=letter.rationale,
            exception_type=letter.exception_type,
            group_id=letter.group_id,
            enqueued_at_utc=letter.enqueued_at,
            dead_lettered_at_utc=None,
            delivery_count=letter.delivery_count,
            replayed_as=claims[-1].new_command_id if claims else None,
            sent_by=letter.sent_by,
        )
