"""1: the key and the run are inserted; the key exists; taking it over; reading it again after a lost race."""

from __future__ import annotations

from collections.abc import Coroutine
from dataclasses import replace
from datetime import timedelta
from typing import Final

from mosaic_core.concurrency import together
from mosaic_core.domain import dead_letters, reservation
from mosaic_core.domain.errors import StoreUnreachableError
from mosaic_core.domain.reasons import DeadLetterReason
from mosaic_core.domain.records import Run
from mosaic_core.domain.settlement import Abandon, Complete, Reschedule, Settlement
from mosaic_core.ports import Stored, StoredKey
from mosaic_core.services.delivery.states import (
    Admitted,
    Conflicted,
    Draining,
    KeyRead,
    KeyThere,
    Known,
    LettingGo,
    Mismatched,
    Owned,
    Reserved,
    StorageAway,
    Suspected,
    Taking,
    held,
)
from mosaic_core.services.delivery.telling import dead_letter, event, later, log
from mosaic_core.services.lease import Held, owns
from mosaic_core.services.limits import MAX_UNANSWERED

LEFT: Final = Abandon("left")
"""Of a command that is only to be ended: it is somebody else's, or has ended meanwhile. Nothing was done."""


async def reserve(at: Admitted) -> Reserved | Owned | KeyThere:
    """1: insert K ∥ insert R."""
    known, of, envelope = at.known, at.known.of, at.known.envelope
    now = of.worker.clock.now()
    key = reservation.reserve(
        queue=of.message.queue,
        command_id=envelope.command_id,
        request_hash=envelope.request_hash,
        run_id=of.run_id,
        correlation_id=envelope.correlation_id,
        owner_token=of.token,
        lease_seconds=of.worker.limits.lease,
        sequence_number=of.message.sequence_number,
        now=now,
    )
    run = new_run(known, attempt=1)
    key_answer, run_answer = await together(
        _answer(of.worker.stores.keys.insert(key)), _answer(of.worker.stores.runs.insert(run))
    )
    silent = sum(isinstance(answer, StoreUnreachableError) for answer in (key_answer, run_answer))
    known = replace(known, unanswered=known.unanswered + silent)
    inserted = Stored(run, run_answer) if isinstance(run_answer, str) else None
    if isinstance(key_answer, str):
        return _reserved(*held(known, key, key_answer), inserted)
    return KeyThere(known, inserted, isinstance(key_answer, StoreUnreachableError))


def new_run(known: Known, *, attempt: int) -> Run:
    of = known.of
    return reservation.begin(
        known.envelope,
        run_id=of.run_id,
        queue=of.message.queue,
        policy_version=of.worker.policy_version,
        attempt=attempt,
        trace_parent=of.trace_parent,
        now=of.worker.clock.now(),
    )


def _reserved(known: Known, key: Held, inserted: Stored[Run] | None) -> Reserved | Owned:
    """K is new and mine; where R was there: "the run exists"."""
    if inserted is not None:
        return Owned(known, key, inserted)
    return Reserved(replace(known, run_was_there=True), key)


async def key_there(at: KeyThere) -> Admitted | Reserved | Owned | KeyRead | StorageAway:
    """1: K was there, or its insert had no answer. With my own token it is the latter: new and mine."""
    known, of = at.known, at.known.of
    stored = await of.worker.stores.keys.read(of.message.queue, known.envelope.command_id)
    if stored is None:
        return Admitted(known) if known.unanswered < MAX_UNANSWERED else StorageAway.after(at)
    if owns(stored.value, of.token):
        return _reserved(*held(known, stored.value, stored.etag), at.inserted)
    return KeyRead(*untold_of(known, stored), at.inserted)


async def reread(at: Conflicted) -> Admitted | Reserved | KeyRead | Settlement:
    """After a 409, a 412 or no answer: is K still mine? Gone ▶ from 1; mine ▶ at the run; else the key exists."""
    known, of = at.known, at.known.of
    stored = await of.worker.stores.keys.read(of.message.queue, known.envelope.command_id)
    if stored is not None and owns(stored.value, of.token):
        known, key = held(known, stored.value, stored.etag)
        return Reserved(known, key, after_conflict=True)
    return not_mine(known, stored)


def not_mine(known: Known, stored: StoredKey | None) -> Admitted | KeyRead | Settlement:
    """K was mine: gone ▶ from 1, another's ▶ the key exists. Who only ends the command leaves it."""
    if known.of.closing is not None:
        return LEFT
    return Admitted(known) if stored is None else KeyRead(*untold_of(known, stored))


async def key_read(at: KeyRead) -> Mismatched | Suspected | Taking | Settlement:
    """The key exists, and is not mine: the first line of the protocol that fits."""
    of = at.known.of
    if of.closing is not None:
        return LEFT
    match judged(at):
        case reservation.HashMismatch():
            return Mismatched(at.known)
        case reservation.Takeable(taken) if taken.solo and not of.place.is_alone:
            return Suspected(at.known, at.inserted)
        case reservation.Takeable(taken):
            return Taking(at.known, Held(taken, at.stored.etag, sure=False))
        case verdict:
            return settled_by_key(at, verdict)


def settled_by_key(
    at: KeyRead, verdict: reservation.AlreadyCompleted | reservation.AlreadyRejected | reservation.InProgress
) -> Settlement:
    """What becomes of a message whose command has ended, or is at work, or not yet due."""
    key = at.stored.value
    match verdict:
        case reservation.AlreadyCompleted():
            event(at.known, "duplicate", "completed", key.attempt)
            log.info("duplicate of a finished command")
            return Complete("duplicate")
        case reservation.AlreadyRejected(first):
            reason = DeadLetterReason.PROCESSING_FAILED if first else DeadLetterReason.IDEMPOTENCY_REJECTED
            log.error("dead-lettered: the command was rejected before", extra={"code": reason.value})
            event(at.known, "dead_lettered", reason.value, key.attempt)
            return dead_letter(at.known, reason, reason.value, dead_letters.why_refused(key, first=first), key.attempt)
        case reservation.InProgress(until, why):
            return later(at.known, until, why)


def judged(at: KeyRead) -> reservation.KeyVerdict:
    known, of = at.known, at.known.of
    return reservation.judge_key(
        at.stored.value,
        lease_left=at.stored.lease_left,
        now=of.now(),
        request_hash=known.envelope.request_hash,
        owner_token=of.token,
        sequence_number=of.message.sequence_number,
        lease_seconds=of.worker.limits.lease,
        storage_ended=known.untold,
    )


def untold_of(known: Known, stored: StoredKey) -> tuple[Known, StoredKey]:
    """What copies tell of K's owners, as far as K may still come to name them."""
    key = stored.value
    untold = tuple(t for t in known.untold if owns(key, t) and not reservation.is_released(key))
    return replace(known, untold=untold), stored


async def alone(at: Suspected) -> KeyThere | LettingGo | Reschedule:
    """The last owner was never heard of again: this attempt runs by itself. Nothing is owned while it waits."""
    of, worker = at.known.of, at.known.of.worker
    log.warning("the last attempt ended without a word; the next one runs by itself")
    if await worker.drain.pause(of.place.be_alone(worker.limits.solitude)):
        return KeyThere(at.known, at.inserted, doubt=False)
    if worker.drain.draining:
        return LettingGo(at.known, None, False, Draining())
    return later(at.known, of.now() + timedelta(seconds=worker.limits.company * worker.jitter()), "in_company")


async def take_over(at: Taking) -> Reserved | Conflicted:
    """5 of the key exists: K ▶ mine, with the next number."""
    written = await at.known.of.worker.stores.keys.update(at.key, at.held.etag)
    if written is None:
        return Conflicted(at.known, at.held)
    log.info("took the command over", extra={"attempt": at.key.attempt})
    return Reserved(*held(at.known, at.key, written))


async def _answer[T](request: Coroutine[object, object, T]) -> T | StoreUnreachableError:
    """What a request comes to, one without an answer as a value: its siblings' answers are waited for."""
    try:
        return await request
    except StoreUnreachableError as error:
        return error
