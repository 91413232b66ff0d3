"""2: the lane runs, its lease is renewed meanwhile, and a drain, a lost lease or an operator may end it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import timedelta

from mosaic_core import telemetry
from mosaic_core.domain import reservation
from mosaic_core.domain.envelope import iso
from mosaic_core.domain.errors import BusyError, LaneError, StoreUnreachableError
from mosaic_core.domain.settlement import Reschedule
from mosaic_core.lanes.context import LaneContext, LaneResult, StageLog, describe
from mosaic_core.ports import Stores
from mosaic_core.services.delivery.run import ended, failed, reject
from mosaic_core.services.delivery.states import (
    Admission,
    Busy,
    Conflicted,
    Draining,
    Ended,
    Known,
    LettingGo,
    Owned,
    Staged,
    StorageAway,
)
from mosaic_core.services.delivery.telling import event, later, log
from mosaic_core.services.effects_begun import EffectsBegun
from mosaic_core.services.lease import Lease
from mosaic_core.services.threads import Threads

type AfterLane = Ended | Staged | Conflicted | LettingGo | StorageAway | Reschedule


async def run_lane(at: Owned) -> AfterLane:
    """2: run the lane, unless an operator has ended the command, or this only ends it."""
    if at.known.of.closing is not None:
        return reject(at, at.run)
    if at.key.cancel_reason is not None:
        return _cancelled(at)
    return _came_to(*await _attend(at))


def _cancelled(at: Owned) -> Ended:
    """An operator wants an end: final, without its lane. The stages say how far that came."""
    result = failed(reservation.CANCELLED, at.key.cancel_reason or "")
    return Ended(*ended(at, result), at.run, result)


@dataclass(slots=True)
class _Cut:
    """Who has ended the lane's task, where it was one of ours."""

    stopped: bool = False
    cancelled: bool = False


async def _attend(at: Owned) -> tuple[Owned, Lease, asyncio.Task[LaneResult], _Cut]:
    """The lane's task once it has ended, with the key as it was renewed last."""
    known, worker = at.known, at.known.of.worker
    known = replace(known, began=at.attempt, stages=StageLog(worker.clock.now), ended=None)
    lease = Lease(
        worker.stores.keys, at.key, at.held.etag, renew_seconds=worker.limits.lease_renew, since=at.held.since
    )
    threads, effects, cut = Threads(), EffectsBegun(worker.stores), _Cut()
    with telemetry.correlated(attempt=at.attempt):
        event(known, "started", "running", at.attempt)
        waited = (worker.clock.now() - known.of.message.enqueued_at).total_seconds()
        kind = telemetry.known_type(known.envelope)
        log.info("attempt started", extra={"commandType": kind, "waitedSeconds": round(max(0.0, waited), 3)})
        task = asyncio.ensure_future(_run(known, at.attempt, threads, effects.stores))

        def stop() -> None:
            cut.stopped = True
            task.cancel()

        def cancel() -> None:
            if not effects.begun:  # never an effect half done
                cut.cancelled = True
                task.cancel()

        worker.drain.listen(stop)
        lease.hold(stop, cancel)
        try:
            await asyncio.wait({task})
            if threads.at_work and await worker.drain.pause(threads.ended(worker.limits.threads)) is False:
                log.error("threads of an attempt that has ended are still at work")
        except asyncio.CancelledError:
            task.cancel()
            raise
        finally:
            worker.drain.forget(stop)
            await lease.let_go()
    return Owned(known, lease.held, at.run), lease, task, cut


def _came_to(at: Owned, lease: Lease, task: asyncio.Task[LaneResult], cut: _Cut) -> AfterLane:
    """What becomes of the attempt whose lane's task has ended."""
    known, worker = at.known, at.known.of.worker
    if task.cancelled() and cut.stopped:
        if worker.drain.draining and not lease.lost:
            return LettingGo(known, at.held, False, Draining())
        if lease.unrenewed:
            return StorageAway.after(at)
        # never a second run of the lane under this number: another delivery, or a later attempt, goes on
        return later(known, known.of.now() + timedelta(seconds=at.key.lease_seconds), "lease_lost")
    if task.cancelled() and cut.cancelled:
        return _cancelled(at)
    if task.cancelled():
        result = failed("lane_cancelled", "what the lane awaited was cancelled, and not by the runtime")
    elif isinstance(error := task.exception(), StoreUnreachableError):
        return StorageAway.after(at)
    elif isinstance(error, BusyError):
        return LettingGo(known, at.held, False, Busy(error.wait))
    else:
        result = task.result()
    known, held = ended(at, result)
    return Conflicted(known, held) if lease.lost else Ended(known, held, at.run, result)


async def _run(known: Known, attempt: int, threads: Threads, stores: Stores) -> LaneResult:
    """The lane's result; a failed attempt is a result, too. `StoreUnreachableError` and `BusyError` pass: they are
    none."""
    threads.begin()
    of, worker, admission = known.of, known.of.worker, known.admission
    context = LaneContext(
        envelope=known.envelope,
        run_id=of.run_id,
        attempt=attempt,
        queue=of.message.queue,
        stores=stores,
        log=known.stages,
        now=worker.clock.now,
        subject=admission.subject if admission is not None else "",
    )
    try:
        await _tell_origin(known, admission)
        with telemetry.span("runtime.lane", service=telemetry.WORKER, attributes={"mosaic.lane": of.lane.value}):
            if not known.envelope.supported:
                raise LaneError(
                    f"the {of.lane.value} lane executes no such command type", code="unsupported_command_type"
                )
            async with asyncio.timeout(worker.limits.lane_deadline):
                return await worker.handlers[of.lane](context)
    except (StoreUnreachableError, BusyError):
        raise
    except TimeoutError:
        code, rationale = "lane_timeout", "the lane did not end within its deadline"
    except Exception as error:  # the attempt failed; whatever it was, the command fails closed
        code, rationale = describe(error)
        if code == "unexpected_error":
            log.exception("the lane failed unexpectedly")
    return failed(code, rationale)


async def _tell_origin(known: Known, admission: Admission | None) -> None:
    """The run says what is not as the API would have it."""
    if admission is None or not (admission.past_api or admission.moved):
        return
    said = ["sent past the API by a source that the household lists"] if admission.past_api else []
    if admission.moved:
        said.append(f"its own time is more than an hour off, and taken as {iso(known.envelope.created_at)}")
    async with known.stages.stage("receive", "runtime") as stage:
        stage.succeed("received_past_api" if admission.past_api else "time_moved", "; ".join(said))
