"""The end of a command that no delivery will bring to its end: the delivery's own lines, without its lane.

The key is taken over first, as by any owner; then, at the run, what is final is rolled forward and all else is
rejected. Nothing is settled, for there is no message; and where the key is somebody else's after all, it is left.
"""

from __future__ import annotations

from mosaic_core.domain.envelope import Envelope
from mosaic_core.domain.lanes import Lane
from mosaic_core.domain.lifecycle import AttemptOutcome
from mosaic_core.domain.records import Command
from mosaic_core.domain.settlement import Settlement
from mosaic_core.lanes.context import LaneResult
from mosaic_core.ports import IncomingMessage, StoredKey
from mosaic_core.services import delivery
from mosaic_core.services.worker import Worker


async def end_command(
    worker: Worker,
    lane: Lane,
    queue: str,
    recorded: Command,
    envelope: Envelope,
    key: StoredKey | None,
    *,
    message_id: str,
    sequence_number: int,
    code: str,
    rationale: str,
) -> Settlement:
    """End one command; ``key`` as it was read. ``message_id`` and ``sequence_number`` are of what is left of its
    message; ``code`` and ``rationale`` are what its run fails with where it has no end yet.

    Returns `Complete` where it was rolled forward and `DeadLetter` where it is rejected; anything else: it is left as
    it is.
    """
    message = IncomingMessage(
        queue=queue,
        body=recorded.envelope.encode(),
        lock_token="",
        message_id=message_id,
        sequence_number=sequence_number,
        delivery_count=1,
        enqueued_at=worker.clock.now(),
        correlation_id=envelope.correlation_id,
    )
    result = LaneResult(outcome=AttemptOutcome.FAILED, code=code, rationale=rationale)
    return await delivery.end(worker, lane, message, envelope, recorded, key, result=result)
