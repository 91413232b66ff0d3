"""The protocol's lines in their order, and what becomes of one that gets no answer or fails."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from mosaic_core import telemetry
from mosaic_core.domain import ids, reservation
from mosaic_core.domain.envelope import Envelope
from mosaic_core.domain.errors import StoreUnreachableError
from mosaic_core.domain.lanes import Lane
from mosaic_core.domain.records import Command
from mosaic_core.domain.settlement import Settlement
from mosaic_core.lanes.context import LaneResult
from mosaic_core.ports import IncomingMessage, StoredKey
from mosaic_core.services.company import Company, Place
from mosaic_core.services.delivery import ending, finish, gate, lane, reserve, run
from mosaic_core.services.delivery.states import (
    Admitted,
    Conflicted,
    Delivery,
    Ended,
    Final,
    GivingUp,
    KeyRead,
    KeyThere,
    Known,
    LettingGo,
    Mismatched,
    Owned,
    Received,
    Reserved,
    RunAhead,
    RunForeign,
    RunMissing,
    RunThere,
    Staged,
    State,
    StorageAway,
    Suspected,
    Taking,
    Told,
    Unrecorded,
)
from mosaic_core.services.lease import Held
from mosaic_core.services.worker import Worker

type Next = State | Settlement
type Step = Callable[[Any], Awaitable[Next]]


def _line[S: State](state: type[S], step: Callable[[S], Awaitable[Next]]) -> tuple[type[State], Step]:
    """A step takes the state that it stands beside."""
    return state, step


STEPS: dict[type[State], Step] = dict(
    (
        # 0
        _line(Received, gate.gate),
        _line(Unrecorded, gate.producer),
        _line(Mismatched, gate.mismatch),
        # 1
        _line(Admitted, reserve.reserve),
        _line(KeyThere, reserve.key_there),
        _line(KeyRead, reserve.key_read),
        _line(Suspected, reserve.alone),
        _line(Taking, reserve.take_over),
        _line(Conflicted, reserve.reread),
        # at the run
        _line(Reserved, run.at_the_run),
        _line(RunMissing, run.insert_run),
        _line(RunThere, run.adopt),
        _line(RunAhead, run.ahead),
        _line(RunForeign, run.foreign),
        # 2
        _line(Owned, lane.run_lane),
        # 3 to 6
        _line(Ended, finish.stages),
        _line(Staged, finish.outcome),
        _line(Final, finish.tell),
        _line(Told, finish.commit),
        # the ends
        _line(StorageAway, ending.storage_away),
        _line(LettingGo, ending.let_go),
        _line(GivingUp, ending.give_up),
    )
)


async def _take(at: Next) -> Settlement:
    """One line after the other until one of them ends the delivery. Any may be the last."""
    while isinstance(at, State):
        before = at
        try:
            at = await STEPS[type(before)](before)
        except StoreUnreachableError as error:
            at = ending.no_answer(before, error)
        except Exception as error:  # whatever fails, on any step: the limit holds
            at = await ending.broken(before, error)
    return at


def _received(
    worker: Worker,
    of: Lane,
    message: IncomingMessage,
    envelope: Envelope,
    place: Place,
    *,
    closing: LaneResult | None = None,
) -> Received:
    delivery = Delivery(
        worker=worker,
        lane=of,
        message=message,
        place=place,
        run_id=ids.run_id(message.queue, envelope.command_id),
        token=worker.new_token(),
        trace_parent=telemetry.trace_parent(),
        closing=closing,
    )
    return Received(Known.of_message(delivery, envelope))


async def deliver(worker: Worker, of: Lane, message: IncomingMessage, envelope: Envelope, place: Place) -> Settlement:
    """One delivery of a command, from the beginning to its settlement."""
    return await _take(_received(worker, of, message, envelope, place))


async def end_at_last(
    worker: Worker, of: Lane, message: IncomingMessage, envelope: Envelope, place: Place, *, code: str, rationale: str
) -> Settlement:
    """The last delivery that the broker allows: the command ends here, as far as it can. A `Reschedule` says that it
    cannot."""
    return await ending.close(_received(worker, of, message, envelope, place), code, rationale)


async def end(
    worker: Worker,
    of: Lane,
    message: IncomingMessage,
    envelope: Envelope,
    recorded: Command,
    stored: StoredKey | None,
    *,
    result: LaneResult,
) -> Settlement:
    """End a command that no delivery will: the same lines without the lane. ``message`` is what is left of its message,
    its body the record's; ``result`` is what its run comes to where it has no end yet. Begins at the key as it was
    read: None reserves it, otherwise it is taken over.

    Returns `Complete` or `DeadLetter`, as a delivery would have settled, though there is nothing to settle; anything
    else: the command is left as it is. Where storage does not answer the key is released as far as that goes.
    """
    known = _received(worker, of, message, envelope, Place(Company()), closing=result).known
    known = gate.admit(known, recorded)
    if stored is None:
        return await _take(Admitted(known))
    taken = reservation.take_over(stored.value, known.of.token, message.sequence_number, worker.limits.lease)
    return await _take(Taking(known, Held(taken, stored.etag, sure=False)))
