"""The ends that no lane brings about: storage is away, a step fails, 24 hours are over, no delivery is left."""

from __future__ import annotations

from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

from mosaic_core.domain import dead_letters, reservation, signals
from mosaic_core.domain.envelope import iso
from mosaic_core.domain.errors import StoreUnreachableError
from mosaic_core.domain.lanes import MAX_ATTEMPTS, STORE_GIVE_UP_SECONDS
from mosaic_core.domain.lifecycle import AttemptOutcome
from mosaic_core.domain.reasons import DeadLetterReason
from mosaic_core.domain.records import Run
from mosaic_core.domain.settlement import (
    AWAY_SINCE,
    FAILED_STEPS,
    Abandon,
    Reschedule,
    Settlement,
    failed_steps,
    outage,
    outage_wait,
    step_wait,
)
from mosaic_core.lanes.context import describe
from mosaic_core.services.delivery.finish import write_failure
from mosaic_core.services.delivery.gate import gate, mismatch, producer
from mosaic_core.services.delivery.reserve import LEFT, judged, new_run, settled_by_key, untold_of
from mosaic_core.services.delivery.states import (
    Admitted,
    Busy,
    Conflicted,
    Draining,
    Final,
    GivingUp,
    KeyRead,
    Known,
    LettingGo,
    Loose,
    Mismatched,
    Outage,
    Received,
    Reserved,
    State,
    StorageAway,
    Unrecorded,
    held,
)
from mosaic_core.services.delivery.telling import dead_letter, event, later, log, rejected
from mosaic_core.services.lease import Held, owns
from mosaic_core.services.limits import DRAINS_OF_A_MESSAGE, MAX_UNANSWERED, TRIES_TO_END

# --------------------------------------------------------------------------------------------------------- storage away


def no_answer(at: State, error: StoreUnreachableError) -> Conflicted | StorageAway | Settlement:
    """An owner reads what is there and decides again; where that has no answer either, storage is away."""
    known = replace(at.known, unanswered=at.known.unanswered + 1)
    log.warning("a storage request had no answer", extra={"rationale": error.rationale})
    if known.giving_up:
        return _given_up(at)
    if at.owned is None or known.unanswered >= MAX_UNANSWERED:
        return StorageAway(known, at.owned, at.in_doubt)
    return Conflicted(known, at.owned)


async def storage_away(at: StorageAway) -> GivingUp | LettingGo:
    """Look again later, without counting an attempt; 24 hours after the outage began give up."""
    if _is_over(at):
        return GivingUp(replace(at.known, giving_up=True), at.by, at.doubt)
    return LettingGo(at.known, at.by, at.doubt, Outage())


def _is_over(at: State) -> bool:
    of = at.known.of
    return outage(of.message.properties, of.now())[1] >= STORE_GIVE_UP_SECONDS


async def let_go(at: LettingGo) -> Settlement:
    """K ▶ released, excused; then a copy, or the message goes back."""
    in_doubt = await _excused(at, at.by, doubt=at.doubt, tries=at.why.tries)
    known, of = at.known, at.known.of
    match at.why:
        case Outage():
            return _away(known, in_doubt=in_doubt)
        case Busy(wait):
            due = of.now() + timedelta(seconds=wait * of.worker.jitter())
            return later(known, due, "in_progress", in_doubt=in_doubt)
        case Draining() if of.message.delivery_count >= DRAINS_OF_A_MESSAGE:
            return later(known, of.now(), "draining", in_doubt=in_doubt)
        case Draining():
            return Abandon("draining")


def _away(known: Known, *, in_doubt: bool) -> Reschedule:
    of, now = known.of, known.of.now()
    since, away = outage(of.message.properties, now)
    due = now + timedelta(seconds=outage_wait(away, of.worker.jitter()))
    return later(known, due, StoreUnreachableError.code, in_doubt=in_doubt, **{AWAY_SINCE: iso(since)})


async def _excused(at: State, by: Held | None, *, doubt: bool, tries: int = Outage.tries) -> bool:
    """K, where it is mine ▶ lease released, the attempt does not count. No answer: read whether it landed. True: K
    could not be told, and the copy has to."""
    if by is None:
        return doubt
    known, of, keys = at.known, at.known.of, at.known.of.worker.stores.keys
    # where nothing has said yet that the key is mine, it is read first: another's is not excused
    key, etag, is_mine = by.key, by.etag, by.sure
    for _ in range(tries):
        with suppress(StoreUnreachableError):
            if is_mine:
                excused = reservation.excuse(key, began=known.began == key.attempt)
                if await keys.update(excused, etag) is not None:
                    return False
        if tries == 1:
            break
        with suppress(StoreUnreachableError):
            stored = await keys.read(key.queue, key.command_id)
            if stored is None or not owns(stored.value, of.token) or reservation.is_released(stored.value):
                return False
            key, etag, is_mine = stored.value, stored.etag, True
    log.warning("the key could not be told that storage ended the attempt; the copy says so")
    return True


async def give_up(at: GivingUp) -> Final | Settlement:
    """Where K is mine its run ends, as far as storage answers: what is final is rolled forward, all else has failed.
    Then the message is a dead letter."""
    if at.by is None:
        return _given_up(at)
    stored = await at.known.of.worker.stores.runs.read(at.known.of.run_id)
    if stored is None or not stored.value.is_final:
        return await close(at, StoreUnreachableError.code, dead_letters.GIVEN_UP)
    return Final(at.known, at.by, stored.value)


def _given_up(at: State) -> Settlement:
    return rejected(at, DeadLetterReason.STORE_UNREACHABLE, StoreUnreachableError.code, dead_letters.GIVEN_UP)


# ------------------------------------------------------------------------------------------ a step that nothing excuses


async def broken(at: State, error: Exception) -> Settlement:
    """A row that cannot be read, a request that storage refuses, a bug. Counted on the message, since the rows cannot
    be relied on: the fifth ends the command as far as it can be. Who only ends the command does so at once."""
    of, (code, rationale) = at.known.of, describe(error)
    if of.closing is not None:
        log.error("a step of the reconciler failed", extra={"code": code, "rationale": rationale}, exc_info=error)
        return LEFT if at.owned is None else await close(at, code, rationale)
    failed = failed_steps(of.message.properties) + 1
    log.error("a step failed", extra={"code": code, "rationale": rationale, "failedSteps": failed}, exc_info=error)
    if failed >= MAX_ATTEMPTS:
        return await close(at, code, rationale)
    in_doubt = at.in_doubt or at.owned is not None
    with suppress(Exception):
        in_doubt = await _excused(at, at.owned, doubt=at.in_doubt)
    wait = step_wait(failed, of.worker.limits.retry, of.worker.jitter())
    due = of.now() + timedelta(seconds=wait)
    return later(at.known, due, "step_failed", in_doubt=in_doubt, **{FAILED_STEPS: failed})


async def close(at: State, code: str, rationale: str) -> Settlement:
    """The command ends here, whatever state its rows are in: F open, R final, K Rejected, each where it is this
    delivery's to write and can be written; then the dead-letter queue. None of them where C has not let the message
    in."""
    closing = await _at_what_is_free(at, code, rationale)
    if not isinstance(closing, State):
        return closing
    try:
        await _write_end(closing, code, rationale)
    except StoreUnreachableError as error:
        return await _cut_off(closing, error)
    reason = DeadLetterReason.STORE_UNREACHABLE if at.known.giving_up else DeadLetterReason.PROCESSING_FAILED
    return rejected(closing, reason, code, rationale)


async def _cut_off(at: State, error: StoreUnreachableError) -> Settlement:
    """An outage while the command is ended is an outage, its day included."""
    log.warning("a storage request had no answer", extra={"rationale": error.rationale})
    if at.known.giving_up or _is_over(at):
        return _given_up(at)
    return _away(at.known, in_doubt=await _excused(at, at.owned, doubt=at.in_doubt))


async def _at_what_is_free(at: State, code: str, rationale: str) -> Reserved | Loose | Settlement:
    """K, owned where it can be read and nobody is at work on it; nothing where not. A settlement where C or K says what
    becomes of the message without its run: it is nobody's or another's, it has ended, or it stands for another
    request."""
    try:
        if at.known.admission is None:
            let_in = await _let_in_at_last(at.known, code, rationale)
            if not isinstance(let_in, Admitted):
                return let_in
            at = Loose(let_in.known, None, at.in_doubt)
        if at.known.of.closing is not None:
            return await _still_mine(at)
        # whatever was held
        at = Loose(at.known, None, at.in_doubt)
        read = await _read_key(at)
        if not isinstance(read, KeyRead):
            return read
        at = Loose(read.known, None, doubt=False)
        return await _taken_where_free(read)
    except StoreUnreachableError as error:
        return await _cut_off(at, error)


async def _let_in_at_last(known: Known, code: str, rationale: str) -> Admitted | Settlement:
    """The gate once more. Where C cannot be read, whose message it is cannot be told: a signal by its id, and no other
    row."""
    of = known.of
    at: Received | Unrecorded | Admitted | Mismatched | Settlement = Received(known)
    try:
        while isinstance(at, Received | Unrecorded):
            at = await (gate(at) if isinstance(at, Received) else producer(at))
        return await mismatch(at) if isinstance(at, Mismatched) else at
    except StoreUnreachableError:
        raise
    except Exception:
        log.warning("the command's record cannot be read", exc_info=True)
        message = of.message
        signal = signals.command_rejected(
            queue=message.queue,
            message_id=message.message_id,
            code=code,
            rationale=rationale,
            now=of.worker.clock.now(),
        )
        await _as_far_as_possible(of.worker.stores.signals.insert(signal))
        event(known, "dead_lettered", code, 0)
        return dead_letter(known, DeadLetterReason.PROCESSING_FAILED, code, rationale, 0)


async def _still_mine(at: State) -> Reserved | Settlement:
    """Who only ends the command takes nothing but what is its own already."""
    known, of = at.known, at.known.of
    stored = await of.worker.stores.keys.read(of.message.queue, known.envelope.command_id)
    if stored is None or not owns(stored.value, of.token):
        return LEFT
    return Reserved(*held(known, stored.value, stored.etag))


async def _read_key(at: Loose) -> Reserved | KeyRead | Loose:
    known, of = at.known, at.known.of
    stored = await _as_far_as_possible(of.worker.stores.keys.read(of.message.queue, known.envelope.command_id))
    if stored is None:
        return at
    if owns(stored.value, of.token):
        return Reserved(*held(known, stored.value, stored.etag))
    return KeyRead(*untold_of(known, stored))


async def _taken_where_free(at: KeyRead) -> Reserved | Loose | Settlement:
    known, of, stored = at.known, at.known.of, at.stored
    loose = Loose(known, None, doubt=False)
    try:
        verdict = judged(at)
    except Exception:
        log.warning("the key says nothing that can follow; it is left as it is", exc_info=True)
        return loose
    if isinstance(verdict, reservation.HashMismatch):
        reason = DeadLetterReason.IDEMPOTENCY_HASH_MISMATCH
        return dead_letter(known, reason, signals.HASH_MISMATCH, dead_letters.MISMATCH, 0)
    if not isinstance(verdict, reservation.Takeable):
        return settled_by_key(at, verdict)
    taken = reservation.take_over(stored.value, of.token, of.message.sequence_number, of.worker.limits.lease)
    etag = await _as_far_as_possible(of.worker.stores.keys.update(taken, stored.etag))
    return loose if etag is None else Reserved(*held(known, taken, etag))


async def _write_end(at: Reserved | Loose, code: str, rationale: str) -> None:
    """R final, F and K as R says, as far as each can be written."""
    of, stores, key = at.known.of, at.known.of.worker.stores, at.owned
    run = await _end_run(at, code, rationale)
    failure = signals.failure_after(
        run, attempt=at.attempt, message_id=of.message.message_id, now=of.worker.clock.now()
    )
    if failure is not None:
        await _as_far_as_possible(write_failure(stores.signals, failure))
    if key is not None:
        ended = reservation.commit(key.key, run, now=run.completed_at or run.last_modified_at)
        await _as_far_as_possible(stores.keys.update(ended, key.etag))


async def _end_run(at: Reserved | Loose, code: str, rationale: str) -> Run:
    """R final, where it is mine to write; otherwise what the signal is to say of it."""
    of, runs, now, owned = at.known.of, at.known.of.worker.stores.runs, at.known.of.worker.clock.now(), at.owned
    attempt = owned.key.attempt if owned is not None else 1
    new = new_run(at.known, attempt=attempt)
    blank = replace(
        new, attempt_outcome=AttemptOutcome.FAILED, failure_code=code[:120], failure_rationale=rationale[:500]
    )
    for _ in range(TRIES_TO_END):
        try:
            stored = await runs.read(of.run_id)
            if stored is not None and stored.value.is_final:
                return stored.value if stored.value.attempt_outcome is not None else blank
            if owned is None:
                return blank
            row = stored.value if stored is not None else new
            ended = reservation.fail(
                row, owned.key, code=code[:120], rationale=rationale[:500], now=now, next_attempt_at=None
            )
        except StoreUnreachableError:
            raise
        except Exception:
            log.warning("no end can be written to the run; it is left as it is", exc_info=True)
            return blank
        ended = replace(ended, attempt=max(row.attempt, attempt))
        writing = runs.update(ended, stored.etag) if stored else runs.insert(ended)
        if await _as_far_as_possible(writing) is not None:
            return ended
        # a sleeper that woke up may have written another end: what is final stays
    return ended


async def _as_far_as_possible[T](request: Coroutine[object, object, T]) -> T | None:
    """None where the request fails for whatever reason but storage's silence."""
    try:
        return await request
    except StoreUnreachableError:
        raise
    except Exception:
        log.warning("left as it is: it can be neither read nor written", exc_info=True)
        return None
