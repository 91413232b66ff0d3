"""At the run: owner of the key with attempt n, what R says decides how to go on."""

from __future__ import annotations

from dataclasses import replace

from mosaic_core.domain import dead_letters, reservation
from mosaic_core.domain.lifecycle import AttemptOutcome
from mosaic_core.domain.records import Run
from mosaic_core.domain.settlement import Settlement
from mosaic_core.lanes.context import LaneResult
from mosaic_core.ports import Stored
from mosaic_core.services.delivery.reserve import new_run, not_mine
from mosaic_core.services.delivery.states import (
    Admitted,
    Conflicted,
    Ended,
    Final,
    KeyRead,
    Known,
    Mismatched,
    Owned,
    Owner,
    Reserved,
    RunAhead,
    RunForeign,
    RunMissing,
    RunThere,
    Staged,
    held,
)
from mosaic_core.services.delivery.telling import log
from mosaic_core.services.lease import Held, owns


async def at_the_run(at: Reserved) -> RunMissing | RunThere | RunAhead | RunForeign | Ended | Staged | Final:
    """Read R: missing, final, mine already, another's, ahead of me, or over the limit."""
    known, key = at.known, at.held
    stored = await known.of.worker.stores.runs.read(known.of.run_id)
    if stored is None:
        return RunMissing(known, key)
    run = Stored(stored.value, stored.etag)
    verdict = reservation.judge_run(
        run.value,
        key.key,
        request_hash=known.envelope.request_hash,
        after_conflict=at.after_conflict,
        ended=known.result_of(key.key.attempt),
    )
    match verdict:
        case reservation.Adopt():
            return RunThere(known, key, run)
        case reservation.RollForward() | reservation.ResumeFailure():
            return Final(known, key, run.value)
        case reservation.ForeignRun():
            return RunForeign(known, key, run)
        case reservation.KeepResult(result):
            return Ended(known, key, run, result)
        case reservation.RejectExhausted():
            return reject(at, run)
        case reservation.RunAhead():
            return RunAhead(known, key, run)


async def insert_run(at: RunMissing) -> Owned | Staged | Conflicted:
    """Missing ▶ insert it (Running, n), then as adopted."""
    run = new_run(at.known, attempt=at.key.attempt)
    etag = await at.known.of.worker.stores.runs.insert(run)
    if etag is None:
        return Conflicted(at.known, at.held)
    inserted = Stored(run, etag)
    return reject(at, inserted) if reservation.exhausted(at.key) else Owned(at.known, at.held, inserted)


async def adopt(at: RunThere) -> Owned | Staged | Conflicted:
    """Not final, and not ahead of me ▶ mine (Running, n). Who only ends the command rejects it as it is."""
    known, of = at.known, at.known.of
    if of.closing is not None:
        return reject(at, at.run)
    run = reservation.adopt(
        at.run.value,
        at.key,
        request_hash=known.envelope.request_hash,
        now=of.worker.clock.now(),
        trace_parent=of.trace_parent,
    )
    written = await of.worker.stores.runs.update(run, at.run.etag)
    return Conflicted(known, at.held) if written is None else Owned(known, at.held, Stored(run, written))


def reject(at: Owner, run: Stored[Run]) -> Staged:
    """Over the limit, or only to be ended: 4 as final `failed`, without running."""
    result = at.known.of.closing or failed(reservation.ATTEMPTS_EXHAUSTED, dead_letters.EXHAUSTED)
    return Staged(*ended(at, result), run, result)


def ended(at: Owner, result: LaneResult) -> tuple[Known, Held]:
    """The attempt has come to ``result``."""
    if result.outcome == AttemptOutcome.FAILED:
        told = {"attempt": at.attempt, "code": result.code, "rationale": result.rationale}
        log.warning("attempt failed", extra=told)
    return at.known.ended_as(at.attempt, result), at.held


def failed(code: str, rationale: str) -> LaneResult:
    return LaneResult(outcome=AttemptOutcome.FAILED, code=code, rationale=rationale)


async def ahead(at: RunAhead) -> Admitted | Reserved | Conflicted | KeyRead | Settlement:
    """R's attempt is higher than mine: re-read K. No longer mine ▶ the key exists; still mine (somebody deleted a
    Reserved key by hand) ▶ its number goes above R's, again."""
    known, of = at.known, at.known.of
    keys = of.worker.stores.keys
    stored = await keys.read(of.message.queue, known.envelope.command_id)
    if stored is None or not owns(stored.value, of.token):
        return not_mine(known, stored)
    key = replace(stored.value, attempt=at.run.value.attempt + 1)
    etag = await keys.update(key, stored.etag)
    if etag is None:
        return Conflicted(known, at.held)
    return Reserved(*held(known, key, etag))


async def foreign(at: RunForeign) -> Mismatched | Conflicted:
    """A final run of another request: K takes its hash and outcome, this message is a mismatch."""
    worker = at.known.of.worker
    key = reservation.commit_foreign(at.key, at.run.value, now=worker.clock.now())
    if await worker.stores.keys.update(key, at.held.etag) is None:
        return Conflicted(at.known, at.held)
    return Mismatched(at.known, at.held)
