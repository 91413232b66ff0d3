"""The end of a command that no delivery will bring to its end: the delivery's own steps, without its lane.

The key is taken over first, as by any owner; then, at the run, what is final is rolled forward and all else is
rejected. Nothing is settled, for there is no message; and where the key is somebody else's after all, it is left.
"""

from __future__ import annotations

import logging
from typing import Final

from mosaic_core.domain import reservation
from mosaic_core.domain.envelope import Envelope
from mosaic_core.domain.lanes import Lane
from mosaic_core.domain.lifecycle import AttemptOutcome
from mosaic_core.domain.records import Command, Key
from mosaic_core.domain.settlement import Abandon, Settlement
from mosaic_core.lanes.context import LaneResult, describe
from mosaic_core.ports import IncomingMessage, StoredKey
from mosaic_core.services.company import Company, Place
from mosaic_core.services.delivery import Delivery, Next, Worker
from mosaic_core.services.lease import owns

log = logging.getLogger(__name__)

LEFT: Final = Abandon("left")
"""The command is somebody else's, or has ended meanwhile: nothing was done."""


class Reconciliation(Delivery):
    """Ends one command. ``message`` is what is left of its message, its body the record's; ``code`` and ``rationale``
    are what its run fails with where it has no end yet."""

    def __init__(
        self,
        service: Worker,
        lane: Lane,
        message: IncomingMessage,
        envelope: Envelope,
        record: Command,
        *,
        code: str,
        rationale: str,
    ) -> None:
        super().__init__(service, lane, message, envelope, Place(Company()))
        self._admit(record)
        self._code, self._rationale = code, rationale

    async def end(self, stored: StoredKey | None) -> Settlement:
        """Beginning at the key as it was read: ``None`` reserves it, otherwise it is taken over.

        Returns `Complete` or `DeadLetter`, as a delivery would have settled; anything else: the command is left as it
        is, and the next tick looks again. Where storage does not answer the key is released as far as that goes."""
        if stored is None:
            return await self._take_steps(self._step_reserve)
        taken = reservation.take_over(
            stored.value, self._token, self._message.sequence_number, self._service.limits.lease
        )
        return await self._take_steps(lambda: self._take_over(taken, stored.etag))

    # --------------------------------------------------------------------------------------------- what differs

    async def _step_lane(self) -> Next:
        return self._reject()

    async def _step_adopt(self) -> Next:
        return self._reject()

    def _reject(self) -> Next:
        self._ended(LaneResult(outcome=AttemptOutcome.FAILED, code=self._code, rationale=self._rationale))
        return self._step_outcome

    def _is_last(self, key: Key) -> bool:
        return True

    def _judge_key(self, stored: StoredKey) -> Next:
        """Asked only where the key turned out not to be mine."""
        self._lease, self._in_doubt = None, False
        return LEFT

    async def _step_reread(self) -> Next:
        stored = await self._stores.keys.read(self._message.queue, self._envelope.command_id)
        if stored is None or not owns(stored.value, self._token):
            return LEFT
        self._own(stored.value, stored.etag)
        self._after_conflict = True
        return self._step_run

    async def _step_ahead(self) -> Next:
        stored = await self._stores.keys.read(self._message.queue, self._envelope.command_id)
        return LEFT if stored is None or not owns(stored.value, self._token) else await super()._step_ahead()

    async def _broken(self, error: Exception) -> Settlement:
        """A row that cannot be read, and will not be the next time either: ended without it."""
        code, rationale = describe(error)
        log.error("a step of the reconciler failed", extra={"code": code, "rationale": rationale}, exc_info=error)
        if self._lease is None:
            return LEFT
        return await self.end_as_failed(code, rationale)

    async def _take_what_is_free(self) -> Settlement | None:
        """Only what is mine already."""
        stored = await self._stores.keys.read(self._message.queue, self._envelope.command_id)
        if stored is None or not owns(stored.value, self._token):
            return LEFT
        self._own(stored.value, stored.etag)
        return None
