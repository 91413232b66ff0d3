"""One delivery of one command, step by step: the delivery protocol.

Service Bus delivers at least once; this makes the effects happen once. Each method named `_step_…` is one step of the
protocol (K the key, R the run, F the failure signal) and returns the next one, or the settlement that ends the
delivery. Any step may be the last thing that this process does: they are ordered so that whoever comes next finds its
way from what is stored.

Lost races come back as values. An answer that never came is treated the same way: read what is there, then decide.

What ends an attempt without its lane's doing (an outage of storage, a drain, a busy conversation) releases the key and
excuses the attempt; where the key cannot be told, the copy says so.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from mosaic_core import telemetry
from mosaic_core.concurrency import together
from mosaic_core.domain import ids, reservation, signals
from mosaic_core.domain.envelope import Envelope, IngestionCompleted, decode, iso
from mosaic_core.domain.errors import BusyError, LaneError, StoreUnreachableError
from mosaic_core.domain.lanes import (
    KEY_LIFETIME_DAYS,
    LEAST_WAIT_SECONDS,
    MAX_ATTEMPTS,
    STORE_BACKOFF_MAX_SECONDS,
    STORE_GIVE_UP_SECONDS,
    Lane,
)
from mosaic_core.domain.lifecycle import AttemptOutcome, CommandOrigin, KeyStatus, RunStatus, StageStatus
from mosaic_core.domain.membership import lists_source, producer_subject
from mosaic_core.domain.records import Command, Key, Run, Signal, Stage
from mosaic_core.domain.settlement import (
    AWAY_SINCE,
    FAILED_STEPS,
    FIRST_ENQUEUED,
    STORAGE_ENDED,
    Abandon,
    Complete,
    DeadLetter,
    Reschedule,
    Settlement,
)
from mosaic_core.lanes.context import LaneContext, LaneHandler, LaneResult, StageLog, describe
from mosaic_core.ports import Clock, ETag, EventPublisher, IncomingMessage, RuntimeEvent, StoredKey, Stores
from mosaic_core.services.company import Place
from mosaic_core.services.drain import Drain
from mosaic_core.services.effects_begun import EffectsBegun
from mosaic_core.services.followed import follow
from mosaic_core.services.lease import Lease, owns
from mosaic_core.services.limits import DeliveryLimits
from mosaic_core.services.threads import Threads

log = logging.getLogger(__name__)

MAX_UNANSWERED: Final = 3
"""Requests of one delivery that may go unanswered before the tables count as away."""

TRIES_TO_EXCUSE: Final = 3
"""How often the key is told that an attempt does not count, before that is left to the copy."""

TRIES_TO_END: Final = 3
"""How often the end of a run that others write to meanwhile is tried."""

NOT_RECORDED: Final = "not_recorded"

TIME_SLACK: Final = timedelta(hours=1)
"""How far a command's own time may be from when it was recorded, or enqueued past the API."""

DRAINS_OF_A_MESSAGE: Final = 5
"""Deliveries of one message after which a drain sends a copy, which begins to count anew, instead of giving it back."""


class Worker(Protocol):
    """What a delivery needs of the service that executes it."""

    @property
    def stores(self) -> Stores: ...
    @property
    def publisher(self) -> EventPublisher: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def handlers(self) -> Mapping[Lane, LaneHandler]: ...
    @property
    def producers(self) -> Collection[Lane]: ...
    @property
    def policy_version(self) -> str: ...
    @property
    def limits(self) -> DeliveryLimits: ...
    @property
    def drain(self) -> Drain: ...
    @property
    def jitter(self) -> Callable[[], float]: ...
    @property
    def new_token(self) -> Callable[[], str]: ...


type Next = Callable[[], Awaitable[Next | Settlement]] | Settlement


class Delivery:
    """The state of one delivery between its steps: what it owns, and what its lane has come to."""

    def __init__(self, service: Worker, lane: Lane, message: IncomingMessage, envelope: Envelope, place: Place) -> None:
        self._service = service
        self._stores = service.stores
        self._clock = service.clock
        self._lane = lane
        self._message = message
        self._envelope = envelope
        self._place = place
        self._run_id = ids.run_id(message.queue, envelope.command_id)
        self._token = service.new_token()
        self._trace_parent = telemetry.trace_parent()
        self._lease: Lease | None = None
        self._run_row: Run | None = None
        self._run_etag: ETag | None = None
        self._stage_log = StageLog(service.clock.now)
        self._result: LaneResult | None = None
        self._result_attempt = 0
        self._outcome: AttemptOutcome | None = None
        self._record: Command | None = None
        self._claimed_at = envelope.created_at
        self._after_conflict = False
        self._run_was_there = False
        self._unanswered = 0
        self._lane_of = 0  # the attempt whose lane has begun here
        self._in_doubt = False  # may the key be mine although no answer has said so?
        self._untold = _tokens(message)
        self._giving_up = False

    async def run(self) -> Settlement:
        """Take the steps until one of them ends the delivery."""
        return await self._take_steps(self._step_gate)

    async def _take_steps(self, step: Next) -> Settlement:
        while callable(step):
            try:
                step = await step()
            except StoreUnreachableError as error:
                step = self._no_answer(error)
            except Exception as error:  # whatever fails, on any step: the limit holds
                step = await self._broken(error)
        return step

    def _now(self) -> datetime:
        """By the later of two clocks, this worker's and the broker's when it let the message out: what is to wait must
        not be over before it began."""
        return max(self._clock.now(), self._message.enqueued_at)

    def _later(self, due: datetime, why: str, **marks: str | int) -> Reschedule:
        """A copy for ``due``, a second from now at the earliest. It tells what the key does not know yet, until the key
        is read and does; a wait for that is part of the outage."""
        untold = [*self._untold, self._token] if self._in_doubt else self._untold
        if untold:
            marks[STORAGE_ENDED] = " ".join(untold[-_TOKENS_KEPT:])
            marks = {**_kept(self._message, AWAY_SINCE), **marks}
        due = max(due, self._now() + timedelta(seconds=LEAST_WAIT_SECONDS))
        return Reschedule(due, why, {**_kept(self._message, FAILED_STEPS), **marks})

    # ----------------------------------------------------------------------------------------------- tables away

    def _no_answer(self, error: StoreUnreachableError) -> Next:
        """An owner reads what is there and decides again; where that has no answer either, the tables are away."""
        self._unanswered += 1
        log.warning("a storage request had no answer", extra={"rationale": error.rationale})
        if self._giving_up:
            return self._given_up()
        if self._lease is None or self._unanswered >= MAX_UNANSWERED:
            return self._step_away
        return self._step_reread

    async def _step_away(self) -> Next:
        """Look again later, without counting an attempt; a day after the outage began give up."""
        _, away = outage(self._message, self._now())
        if away >= STORE_GIVE_UP_SECONDS:
            return await self._step_give_up()
        return await self._away()

    async def _away(self) -> Settlement:
        await self._excuse()
        now = self._now()
        since, away = outage(self._message, now)
        due = now + timedelta(seconds=outage_wait(away, self._service.jitter()))
        return self._later(due, "store_unreachable", **{AWAY_SINCE: iso(since)})

    async def _step_give_up(self) -> Next:
        """Where the key is mine its run ends, as far as storage answers: what is final is rolled forward, all else has
        failed. Then the message is a dead letter."""
        self._giving_up = True
        if self._lease is None:
            return self._given_up()
        stored = await self._stores.runs.read(self._run_id)
        if stored is None or not stored.value.is_final:
            return await self.end_as_failed("store_unreachable", _GIVEN_UP)
        self._run_row, self._run_etag, self._outcome = stored.value, stored.etag, stored.value.attempt_outcome
        return self._step_signals

    def _given_up(self) -> Settlement:
        self._event("dead_lettered", "store_unreachable")
        log.error("command rejected", extra={"code": "store_unreachable", "rationale": _GIVEN_UP})
        return self._dead_letter("store_unreachable", "store_unreachable", _GIVEN_UP)

    async def _excuse(self, *, tries: int = TRIES_TO_EXCUSE) -> None:
        """K, where it is mine ▶ lease released, the attempt does not count. No answer: read whether it landed. What K
        cannot be told the copy tells."""
        lease, self._lease = self._lease, None
        if lease is None:
            return
        key, etag = lease.key, lease.etag
        # where nothing has said yet that the key is mine, it is read first: another's is not excused
        is_mine, self._in_doubt = not self._in_doubt, True
        for _ in range(tries):
            with suppress(StoreUnreachableError):
                if (
                    is_mine
                    and await self._stores.keys.update(
                        reservation.excuse(key, began=self._lane_of == key.attempt), etag
                    )
                    is not None
                ):
                    self._in_doubt = False
                    return
            if tries == 1:
                break
            with suppress(StoreUnreachableError):
                stored = await self._stores.keys.read(key.queue, key.command_id)
                if stored is None or not owns(stored.value, self._token) or reservation.is_released(stored.value):
                    self._in_doubt = False
                    return
                key, etag, is_mine = stored.value, stored.etag, True
        log.warning("the key could not be told that storage ended the attempt; the copy says so")

    # ------------------------------------------------------------------------------------- a step that nothing excuses

    async def _broken(self, error: Exception) -> Settlement:
        """A row that cannot be read, a request that storage refuses, a bug. Counted on the message, since the rows
        cannot be relied on: the fifth ends the command as far as it can be."""
        code, rationale = describe(error)
        failed = failed_steps(self._message) + 1
        log.error("a step failed", extra={"code": code, "rationale": rationale, "failedSteps": failed}, exc_info=error)
        if failed >= MAX_ATTEMPTS:
            return await self.end_as_failed(code, rationale)
        with suppress(Exception):
            await self._excuse()
        waits = self._service.limits.retry
        wait = waits[min(failed, len(waits)) - 1] * self._service.jitter()
        return self._later(self._now() + timedelta(seconds=wait), "step_failed", **{FAILED_STEPS: failed})

    async def end_as_failed(self, code: str, rationale: str) -> Settlement:
        """The command ends here, whatever state its rows are in: F open, R final, K Rejected, each where it is this
        delivery's to write and can be written; then the dead-letter queue. None of them where the record has not let
        the message in."""
        try:
            if self._record is None and (refused := await self._refused_at_last(code, rationale)) is not None:
                return refused
            settled = await self._take_what_is_free()
            if settled is not None:
                return settled
            run = await self._end_run(code, rationale)
            message_id, now = self._message.message_id, self._clock.now()
            if run.attempt_outcome == AttemptOutcome.FAILED:
                failure = signals.command_failed(run, message_id=message_id, attempt=run.attempt, now=now)
                await _as_far_as_possible(self._write_failure(failure))
            elif self._lease is not None and (attempt := self._lease.key.attempt) > 1:
                recovered = signals.recovered(run, message_id=message_id, attempt=attempt, now=now)
                await _as_far_as_possible(self._write_failure(recovered))
            if self._lease is not None:
                await _as_far_as_possible(self._stores.keys.update(_ended_key(self._lease.key, run), self._lease.etag))
        except StoreUnreachableError as error:
            log.warning("a storage request had no answer", extra={"rationale": error.rationale})
            if self._giving_up or outage(self._message, self._now())[1] >= STORE_GIVE_UP_SECONDS:
                return self._given_up()
            return await self._away()
        self._event("dead_lettered", code)
        log.error("command rejected", extra={"code": code, "rationale": rationale})
        return self._dead_letter("store_unreachable" if self._giving_up else "processing_failed", code, rationale)

    async def _refused_at_last(self, code: str, rationale: str) -> Settlement | None:
        """The gate once more. None: the record lets the message in. Where the record cannot be read, whose message it
        is cannot be told: a signal by its id, and no other row."""
        step: Next = self._step_gate
        try:
            while callable(step) and self._record is None:
                step = await step()
        except StoreUnreachableError:
            raise
        except Exception:
            log.warning("the command's record cannot be read", exc_info=True)
            signal = signals.command_rejected(
                queue=self._message.queue,
                message_id=self._message.message_id,
                code=code,
                rationale=rationale,
                now=self._clock.now(),
            )
            await _as_far_as_possible(self._stores.signals.insert(signal))
            self._event("dead_lettered", code)
            return self._dead_letter("processing_failed", code, rationale)
        return None if callable(step) else step

    async def _take_what_is_free(self) -> Settlement | None:
        """Own K where it can be read and nobody is at work on it. A settlement where K says what becomes of the message
        without its run: it is another's now, it has ended, or it stands for another request."""
        self._lease = None
        stored = await _as_far_as_possible(self._stores.keys.read(self._message.queue, self._envelope.command_id))
        if stored is None:
            return None
        if owns(stored.value, self._token):
            self._own(stored.value, stored.etag)
            return None
        try:
            judged = self._judge_key(stored)
        except Exception:
            log.warning("the key says nothing that can follow; it is left as it is", exc_info=True)
            return None
        if not callable(judged):
            return judged
        if stored.value.request_hash != self._envelope.request_hash:
            mismatch = "the command id was used before for another request"
            return self._dead_letter(signals.HASH_MISMATCH, signals.HASH_MISMATCH, mismatch)
        taken = reservation.take_over(
            stored.value, self._token, self._message.sequence_number, self._service.limits.lease
        )
        etag = await _as_far_as_possible(self._stores.keys.update(taken, stored.etag))
        if etag is not None:
            self._own(taken, etag)
        return None

    async def _end_run(self, code: str, rationale: str) -> Run:
        """R final, where it is mine to write; otherwise what the signal is to say of it."""
        now, owned = self._clock.now(), self._lease
        attempt = owned.key.attempt if owned is not None else 1
        blank = replace(
            self._new_run(now, attempt=attempt),
            attempt_outcome=AttemptOutcome.FAILED,
            failure_code=code[:120],
            failure_rationale=rationale[:500],
        )
        for _ in range(TRIES_TO_END):
            try:
                stored = await self._stores.runs.read(self._run_id)
                if stored is not None and stored.value.is_final:
                    return stored.value if stored.value.attempt_outcome is not None else blank
                if owned is None:
                    return blank
                row = stored.value if stored is not None else self._new_run(now, attempt=attempt)
                ended = reservation.fail(
                    row, owned.key, code=code[:120], rationale=rationale[:500], now=now, next_attempt_at=None
                )
            except StoreUnreachableError:
                raise
            except Exception:
                log.warning("no end can be written to the run; it is left as it is", exc_info=True)
                return blank
            ended = replace(ended, attempt=max(row.attempt, attempt))
            writing = self._stores.runs.update(ended, stored.etag) if stored else self._stores.runs.insert(ended)
            if await _as_far_as_possible(writing) is not None:
                return ended
            # a sleeper that woke up may have written another end: what is final stays
        return ended

    # ------------------------------------------------------------------------------------------- 0 and 1: reserve

    async def _step_gate(self) -> Next:
        """0: a message is nobody's authority. What is recorded under its id decides, and only that."""
        recorded = await self._stores.commands.read(self._envelope.command_id)
        if recorded is None:
            return self._step_producer
        if recorded.queue != self._message.queue:
            return self._step_not_recorded
        if recorded.request_hash != self._envelope.request_hash:
            return self._step_mismatch
        self._admit(recorded)
        return self._step_reserve

    def _admit(self, recorded: Command) -> None:
        """Who asks, who decides and when is what the record says."""
        envelope = self._envelope
        if (body := recorded.envelope.encode()) != self._message.body:
            envelope = decode(body, self._lane)
        self._claimed_at = envelope.created_at
        first, last = recorded.recorded_at - TIME_SLACK, recorded.recorded_at + TIME_SLACK
        envelope = replace(envelope, created_at=min(max(envelope.created_at, first), last))
        if recorded.origin == CommandOrigin.PRODUCER:
            envelope = replace(envelope, replay_of_command_id=None)  # a replay is an operator's
        self._envelope, self._record = envelope, recorded

    async def _step_producer(self) -> Next:
        """Not recorded. Where the lane takes what comes past the API and the household lists its source it is recorded
        now, as a producer's; under no id that the app itself may come to use."""
        envelope, message = self._envelope, self._message
        payload = envelope.payload
        if (
            self._lane not in self._service.producers
            or not isinstance(payload, IngestionCompleted)
            or ids.is_derived(envelope.command_id)
        ):
            return self._step_not_recorded
        subject = producer_subject(payload.household_id, payload.source)
        memberships = await self._stores.members.of_subject(subject)
        if not lists_source(memberships, payload.household_id, payload.source):
            return self._step_not_recorded
        command = Command(
            command_id=envelope.command_id,
            household_id=envelope.household_id,
            queue=message.queue,
            command_type=envelope.command_type,
            request_hash=envelope.request_hash,
            envelope=message.body.decode(),
            recorded_at=message.enqueued_at,
            origin=CommandOrigin.PRODUCER,
        )
        await together(
            follow(self._stores.followed, command.queue, command.command_id, command.recorded_at),
            self._stores.commands.list_recorded(command),
        )
        if not await self._stores.commands.insert(command):
            return self._step_gate
        self._admit(command)
        return self._step_reserve

    async def _step_not_recorded(self) -> Next:
        """A signal and the dead-letter queue; no row that the command of this id, should it come, would find."""
        envelope, now = self._envelope, self._clock.now()
        log.error("the message is no recorded command's", extra={"code": signals.NOT_RECORDED})
        await self._stores.signals.insert(
            signals.not_recorded(
                queue=self._message.queue,
                command_id=envelope.command_id,
                message_id=self._message.message_id,
                household_id=envelope.household_id,
                request_hash=envelope.request_hash,
                now=now,
            )
        )
        self._publish(lambda: telemetry.message_event("dead_lettered", self._message, outcome=NOT_RECORDED, at=now))
        return self._dead_letter(NOT_RECORDED, NOT_RECORDED, "no command is recorded that this message could stand for")

    async def _step_reserve(self) -> Next:
        """1: insert K ∥ insert R."""
        now = self._clock.now()
        self._in_doubt = True
        key = Key(
            queue=self._message.queue,
            command_id=self._envelope.command_id,
            request_hash=self._envelope.request_hash,
            status=KeyStatus.RESERVED,
            run_id=self._run_id,
            correlation_id=self._envelope.correlation_id,
            attempt=1,
            excused=0,
            owner_token=self._token,
            lease_seconds=self._service.limits.lease,
            sequence_number=self._message.sequence_number,
            created_at=now,
            expires_at=now + timedelta(days=KEY_LIFETIME_DAYS),
        )
        run = self._new_run(now, attempt=1)
        key_answer, run_answer = await together(
            _answer(self._stores.keys.insert(key)), _answer(self._stores.runs.insert(run))
        )
        self._unanswered += sum(isinstance(a, StoreUnreachableError) for a in (key_answer, run_answer))
        self._in_doubt = isinstance(key_answer, StoreUnreachableError)
        self._run_row, self._run_etag = (run, run_answer) if isinstance(run_answer, str) else (None, None)
        if isinstance(key_answer, str):
            self._own(key, key_answer)
        return self._reserved() if self._lease is not None else self._step_key_exists

    def _reserved(self) -> Next:
        """K is new and mine."""
        if self._run_etag is not None:
            return self._step_lane
        self._run_was_there = True
        return self._step_run

    # --------------------------------------------------------------------------------------------- the key exists

    async def _step_key_exists(self) -> Next:
        """K was there, or its insert had no answer. With my own token it is the latter: new and mine."""
        stored = await self._stores.keys.read(self._message.queue, self._envelope.command_id)
        if stored is None:
            return self._step_reserve if self._unanswered < MAX_UNANSWERED else self._step_away
        if owns(stored.value, self._token):
            self._own(stored.value, stored.etag)
            return self._reserved()
        return self._judge_key(stored)

    async def _step_reread(self) -> Next:
        """After a 409, a 412 or no answer: is the key still mine?"""
        stored = await self._stores.keys.read(self._message.queue, self._envelope.command_id)
        if stored is None:
            self._lease = None
            return self._step_reserve
        if owns(stored.value, self._token):
            self._own(stored.value, stored.etag)
            self._after_conflict = True
            return self._step_run
        return self._judge_key(stored)

    def _judge_key(self, stored: StoredKey) -> Next:
        self._lease, self._in_doubt = None, False
        key, now = stored.value, self._now()
        self._untold = [token for token in self._untold if owns(key, token) and not reservation.is_released(key)]
        verdict = reservation.judge_key(
            key,
            lease_left=stored.lease_left,
            now=now,
            request_hash=self._envelope.request_hash,
            owner_token=self._token,
            sequence_number=self._message.sequence_number,
            lease_seconds=self._service.limits.lease,
            storage_ended=self._untold,
        )
        match verdict:
            case reservation.HashMismatch():
                return self._step_mismatch
            case reservation.AlreadyCompleted():
                self._event("duplicate", "completed", key.attempt)
                log.info("duplicate of a finished command")
                return Complete("duplicate")
            case reservation.AlreadyRejected(first):
                reason = "processing_failed" if first else "idempotency_rejected"
                log.error("dead-lettered: the command was rejected before", extra={"code": reason})
                self._event("dead_lettered", reason, key.attempt)
                return self._dead_letter(reason, reason, _why_refused(key, first=first), key.attempt)
            case reservation.InProgress(until, why):
                return self._later(until, why)
            case reservation.Free(taken) if taken.solo and not self._place.is_alone:
                return self._step_alone
            case reservation.Free(taken):
                return lambda: self._take_over(taken, stored.etag)

    async def _step_alone(self) -> Next:
        """The last owner was never heard of again: this attempt runs by itself. Nothing is owned while it waits."""
        limits = self._service.limits
        log.warning("the last attempt ended without a word; the next one runs by itself")
        if not await self._service.drain.pause(self._place.be_alone(limits.solitude)):
            if self._service.drain.draining:
                return await self._step_release()
            return self._later(self._now() + timedelta(seconds=limits.company * self._service.jitter()), "in_company")
        return self._step_key_exists

    async def _take_over(self, taken: Key, etag: ETag) -> Next:
        """5 of the key exists."""
        # owned before the answer: where none comes, what is there says whose it is
        untold = self._untold
        self._own(taken, etag)
        self._in_doubt, self._untold = True, untold
        written = await self._stores.keys.update(taken, etag)
        if written is None:
            return self._step_reread
        self._own(taken, written)
        log.info("took the command over", extra={"attempt": taken.attempt})
        return self._step_run

    def _own(self, key: Key, etag: ETag) -> None:
        self._in_doubt, self._untold = False, []
        self._lease = Lease(self._stores.keys, key, etag, renew_seconds=self._service.limits.lease_renew)

    # ------------------------------------------------------------------------------------------------- at the run

    async def _step_run(self) -> Next:
        """Owner of K with attempt n: what R says decides how to go on."""
        key = self._owned.key
        stored = await self._stores.runs.read(self._run_id)
        after_conflict, self._after_conflict = self._after_conflict, False
        self._run_row, self._run_etag = (stored.value, stored.etag) if stored else (None, None)
        verdict = reservation.judge_run(
            self._run_row,
            key,
            request_hash=self._envelope.request_hash,
            after_conflict=after_conflict,
            lane_ended=self._result is not None and self._result_attempt == key.attempt,
        )
        match verdict:
            case reservation.InsertRun():
                return self._step_insert_run
            case reservation.Adopt():
                return self._step_adopt
            case reservation.RollForward(outcome):
                self._outcome = outcome
                return self._step_signals
            case reservation.ForeignRun():
                return self._step_foreign
            case reservation.ResumeFailure():
                self._outcome = AttemptOutcome.FAILED
                return self._step_signals
            case reservation.KeepResult():
                return self._step_stages
            case reservation.RejectExhausted():
                return self._reject()
            case reservation.RunAhead():
                return self._step_ahead

    async def _step_insert_run(self) -> Next:
        run = self._new_run(self._clock.now(), attempt=self._owned.key.attempt)
        etag = await self._stores.runs.insert(run)
        if etag is None:
            return self._step_reread
        self._run_row, self._run_etag = run, etag
        return self._reject() if reservation.exhausted(self._owned.key) else self._step_lane

    async def _step_adopt(self) -> Next:
        run, etag = self._run()
        run = reservation.adopt(
            run,
            self._owned.key,
            request_hash=self._envelope.request_hash,
            now=self._clock.now(),
            trace_parent=self._trace_parent,
        )
        written = await self._stores.runs.update(run, etag)
        if written is None:
            return self._step_reread
        self._run_row, self._run_etag = run, written
        return self._step_lane

    def _reject(self) -> Next:
        """Over the limit: final `failed` without running."""
        rationale = "every attempt ended without an outcome; rejected without running again"
        self._ended(_failed("attempts_exhausted", rationale))
        return self._step_outcome

    async def _step_ahead(self) -> Next:
        """R is ahead of my key: raise the key's number above it, if the key is still mine."""
        stored = await self._stores.keys.read(self._message.queue, self._envelope.command_id)
        if stored is None:
            self._lease = None
            return self._step_reserve
        if not owns(stored.value, self._token):
            return self._judge_key(stored)
        run, _ = self._run()
        key = replace(stored.value, attempt=run.attempt + 1)
        etag = await self._stores.keys.update(key, stored.etag)
        if etag is None:
            return self._step_reread
        self._own(key, etag)
        return self._step_run

    async def _step_foreign(self) -> Next:
        """A final run of another request: the key takes its hash and outcome, this message is a mismatch."""
        run, _ = self._run()
        lease, now = self._owned, self._clock.now()
        key = replace(lease.key, request_hash=run.request_hash)
        rationale = "rolled forward from the run of another request"
        if run.attempt_outcome == AttemptOutcome.FAILED:
            key = reservation.reject(key, now=now, rationale=rationale)
        else:
            key = reservation.complete(key, now=now, code=completion_code(run), rationale=rationale)
        if await self._stores.keys.update(key, lease.etag) is None:
            return self._step_reread
        return self._step_mismatch

    # ------------------------------------------------------------------------------------------------ 2: the lane

    async def _step_lane(self) -> Next:
        lease, drain = self._owned, self._service.drain
        if lease.key.cancel_reason is not None:
            return self._cancelled()
        self._lane_of = lease.key.attempt
        self._stage_log = StageLog(self._clock.now)
        self._result = None
        stopped = cancelled = False
        threads, effects = Threads(), EffectsBegun(self._stores)
        with telemetry.correlated(attempt=lease.key.attempt):
            self._event("started", "running")
            waited = (self._clock.now() - self._message.enqueued_at).total_seconds()
            kind = telemetry.known_type(self._envelope)
            log.info("attempt started", extra={"commandType": kind, "waitedSeconds": round(max(0.0, waited), 3)})
            task = asyncio.ensure_future(self._run_lane(lease.key.attempt, threads, effects.stores))

            def stop() -> None:
                nonlocal stopped
                stopped = True
                task.cancel()

            def cancel() -> None:
                nonlocal cancelled
                if not effects.begun:  # never an effect half done
                    cancelled = True
                    task.cancel()

            drain.listen(stop)
            lease.hold(stop, cancel)
            try:
                await asyncio.wait({task})
                if threads.at_work and await drain.pause(threads.ended(self._service.limits.threads)) is False:
                    log.error("threads of an attempt that has ended are still at work")
            except asyncio.CancelledError:
                task.cancel()
                raise
            finally:
                drain.forget(stop)
                await lease.let_go()
        if task.cancelled() and stopped:
            if drain.draining and not lease.lost:
                return self._step_release
            if lease.unrenewed:
                return self._step_away
            # never a second run of the lane under this number: another delivery, or a later attempt, goes on
            self._lease = None
            return self._later(self._now() + timedelta(seconds=lease.key.lease_seconds), "lease_lost")
        if task.cancelled() and cancelled:
            return self._cancelled()
        if task.cancelled():
            self._ended(_failed("lane_cancelled", "what the lane awaited was cancelled, and not by the runtime"))
        elif isinstance(task.exception(), StoreUnreachableError):
            return self._step_away
        elif isinstance(busy := task.exception(), BusyError):
            await self._excuse()
            return self._later(self._now() + timedelta(seconds=busy.wait * self._service.jitter()), "in_progress")
        else:
            self._ended(task.result())
        return self._step_reread if lease.lost else self._step_stages

    def _cancelled(self) -> Next:
        """An operator wants an end: final, without its lane. The stages say how far that came."""
        self._ended(_failed(reservation.CANCELLED, self._owned.key.cancel_reason or ""))
        return self._step_stages

    async def _run_lane(self, attempt: int, threads: Threads, stores: Stores) -> LaneResult:
        """The lane's result; a failed attempt is a result, too. `StoreUnreachableError` and `BusyError` pass: they are
        none."""
        threads.begin()
        context = LaneContext(
            envelope=self._envelope,
            run_id=self._run_id,
            attempt=attempt,
            queue=self._message.queue,
            stores=stores,
            log=self._stage_log,
            now=self._clock.now,
            subject=self._record.subject if self._record is not None else "",
        )
        try:
            await self._tell_origin()
            with telemetry.span("runtime.lane", service=telemetry.WORKER, attributes={"mosaic.lane": self._lane.value}):
                if not self._envelope.supported:
                    raise LaneError(
                        f"the {self._lane.value} lane executes no such command type", code="unsupported_command_type"
                    )
                async with asyncio.timeout(self._service.limits.lane_deadline):
                    return await self._service.handlers[self._lane](context)
        except (StoreUnreachableError, BusyError):
            raise
        except TimeoutError:
            code, rationale = "lane_timeout", "the lane did not end within its deadline"
        except Exception as error:  # the attempt failed; whatever it was, the command fails closed
            code, rationale = describe(error)
            if code == "unexpected_error":
                log.exception("the lane failed unexpectedly")
        return _failed(code, rationale)

    async def _tell_origin(self) -> None:
        """The run says what is not as the API would have it."""
        past_api = self._record is not None and self._record.origin == CommandOrigin.PRODUCER
        moved = self._claimed_at != self._envelope.created_at
        if not past_api and not moved:
            return
        said = ["sent past the API by a source that the household lists"] if past_api else []
        if moved:
            said.append(f"its own time is more than an hour off, and taken as {iso(self._envelope.created_at)}")
        async with self._stage_log.stage("receive", "runtime") as stage:
            stage.succeed("received_past_api" if past_api else "time_moved", "; ".join(said))

    def _ended(self, result: LaneResult) -> None:
        attempt = self._owned.key.attempt
        self._result, self._result_attempt, self._outcome = result, attempt, result.outcome
        if result.outcome == AttemptOutcome.FAILED:
            told = {"attempt": attempt, "code": result.code, "rationale": result.rationale}
            log.warning("attempt failed", extra=told)

    async def _step_release(self) -> Next:
        """Drain: lease released, the attempt excused; whatever the answer, the message goes back."""
        await self._excuse(tries=1)
        if self._message.delivery_count >= DRAINS_OF_A_MESSAGE:
            return self._later(self._now(), "draining")
        return Abandon("draining")

    # ----------------------------------------------------------------------------------------------------- 3 to 6

    async def _step_stages(self) -> Next:
        """3: rows of this attempt that are there are my own: an attempt has one owner."""
        stages = self._stage_log.rows(
            run_id=self._run_id,
            command_id=self._envelope.command_id,
            correlation_id=self._envelope.correlation_id,
            queue=self._message.queue,
            attempt=self._owned.key.attempt,
        )
        await self._stores.stages.insert_all(stages or [self._dispatch_stage()])
        return self._step_outcome

    async def _step_outcome(self) -> Next:
        """4: R ▶ outcome. Once it is final, all that is left can be derived from it."""
        run, etag = self._run()
        key, result, now = self._owned.key, self._lane_result(), self._clock.now()
        match result.outcome:
            case AttemptOutcome.SUCCEEDED:
                run = reservation.succeed(run, now=now, review=None)
            case AttemptOutcome.SUCCEEDED_REVIEW:
                run = reservation.succeed(run, now=now, review=(result.code[:120], result.rationale[:500]))
            case AttemptOutcome.FAILED:
                code, rationale = result.code, result.rationale
                if key.cancel_reason is not None:  # otherwise it would have been tried again
                    code, rationale = reservation.CANCELLED, key.cancel_reason
                run = reservation.fail(
                    run,
                    key,
                    code=code[:120],
                    rationale=rationale[:500],
                    now=now,
                    next_attempt_at=None if self._is_last(key) else self._now() + self._retry_wait(key),
                )
        run = replace(
            run,
            agent_name=_cut(result.agent_name, 120),
            agent_source=_cut(result.agent_source, 120),
            agent_note_summary=_cut(result.agent_note_summary, 600),
        )
        written = await self._stores.runs.update(run, etag)
        if written is None:
            return self._step_reread
        self._run_row, self._run_etag = run, written
        return self._step_signals

    def _is_last(self, key: Key) -> bool:
        """Is a failure of this attempt final?"""
        return reservation.is_last(key)

    def _retry_wait(self, key: Key) -> timedelta:
        waits = self._service.limits.retry
        nth = min(max(reservation.counted(key), 1), len(waits))
        return timedelta(seconds=max(LEAST_WAIT_SECONDS, waits[nth - 1] * self._service.jitter()))

    async def _step_signals(self) -> Next:
        """5: F carries the writer's attempt, open and resolved alike; a plain success has none."""
        run, _ = self._run()
        attempt, now, message_id = self._owned.key.attempt, self._clock.now(), self._message.message_id
        if self._outcome == AttemptOutcome.FAILED:
            failure = signals.command_failed(run, message_id=message_id, attempt=attempt, now=now)
            written = await self._write_failure(failure)
        else:
            if self._outcome == AttemptOutcome.SUCCEEDED_REVIEW:
                await self._stores.signals.insert(signals.review(run))
            # resolved also where there is none: a late write of an earlier attempt must not open it
            written = attempt == 1 or await self._write_failure(
                signals.recovered(run, message_id=message_id, attempt=attempt, now=now)
            )
        return self._step_commit if written else self._step_reread

    async def _write_failure(self, signal: Signal) -> bool:
        """F ▶ ``signal``, never over one of the same or a later attempt that says as much. False: the race was lost."""
        if signal.attempt == 1 and await self._stores.signals.insert(signal) is not None:
            return True
        stored = await self._stores.signals.read(signal.signal_id)
        if stored is None:
            return await self._stores.signals.insert(signal) is not None
        there = stored.value
        if (there.attempt or 0) >= (signal.attempt or 0) and (not signal.is_resolved or there.is_resolved):
            return True
        summary = there.summary if signal.is_resolved else signal.summary
        signal = replace(signal, raised_at=there.raised_at, summary=summary)
        return await self._stores.signals.update(signal, stored.etag) is not None

    async def _step_commit(self) -> Next:
        """6: K, the commit point; then settle as the outcome says."""
        run, _ = self._run()
        lease, now = self._owned, self._clock.now()
        attempt = lease.key.attempt
        code, rationale = run.failure_code or "failed", run.failure_rationale or ""
        failed = self._outcome == AttemptOutcome.FAILED
        if not failed:
            key = reservation.complete(lease.key, now=now, code=completion_code(run), rationale=rationale or "done")
        elif run.is_final:
            key = reservation.reject(lease.key, now=now, rationale=f"{code}: {rationale}"[:500])
        else:
            key = reservation.await_retry(lease.key, run.next_attempt_at or self._now())
        if await self._stores.keys.update(key, lease.etag) is None:
            return self._step_reread
        if not failed:
            self._event("needs_review" if run.status == RunStatus.NEEDS_REVIEW else "completed", completion_code(run))
            outcome = run.failure_code or completion_code(run)
            told = {"attempt": attempt, "status": run.status.value, "outcomeCode": outcome}
            log.info("command completed", extra=told)
            return Complete()
        if run.is_final:
            self._event("dead_lettered", code)
            log.error("command rejected", extra={"attempt": attempt, "code": code, "rationale": rationale})
            reason = "idempotency_rejected" if self._run_was_there else "processing_failed"
            return self._dead_letter(reason, code, rationale)
        self._event("attempt_failed", code)
        return self._later(run.next_attempt_at or self._now(), "retry")

    async def _step_mismatch(self) -> Next:
        """The id stands for another request: a signal, and the dead-letter queue; nothing else is touched."""
        envelope = self._envelope
        log.error("the command id stands for another request", extra={"code": signals.HASH_MISMATCH})
        await self._stores.signals.insert(
            signals.hash_mismatch(
                queue=self._message.queue,
                command_id=envelope.command_id,
                message_id=self._message.message_id,
                correlation_id=envelope.correlation_id,
                household_id=envelope.household_id,
                request_hash=envelope.request_hash,
                now=self._clock.now(),
            )
        )
        self._event("dead_lettered", signals.HASH_MISMATCH)
        return self._dead_letter(
            signals.HASH_MISMATCH, signals.HASH_MISMATCH, "the command id was used before for another request"
        )

    # ------------------------------------------------------------------------------------------------------- parts

    @property
    def _owned(self) -> Lease:
        if self._lease is None:
            raise AssertionError("a step that needs the key was reached without owning it")
        return self._lease

    def _run(self) -> tuple[Run, ETag]:
        if self._run_row is None or self._run_etag is None:
            raise AssertionError("a step that needs the run was reached without it")
        return self._run_row, self._run_etag

    def _lane_result(self) -> LaneResult:
        if self._result is None:
            raise AssertionError("a step that needs the lane's result was reached without it")
        return self._result

    def _new_run(self, now: datetime, *, attempt: int) -> Run:
        envelope = self._envelope
        return Run(
            run_id=self._run_id,
            household_id=envelope.household_id,
            conversation_id=envelope.conversation_id,
            command_id=envelope.command_id,
            command_type=envelope.command_type,
            correlation_id=envelope.correlation_id,
            queue=self._message.queue,
            policy_version=self._service.policy_version,
            request_hash=envelope.request_hash,
            status=RunStatus.RUNNING,
            is_final=False,
            attempt=attempt,
            created_at=now,
            last_modified_at=now,
            replay_of_command_id=envelope.replay_of_command_id,
            trace_parent=self._trace_parent,
        )

    def _dispatch_stage(self) -> Stage:
        """An attempt that ended before its first stage still says where it ended."""
        result, now = self._lane_result(), self._clock.now()
        status = {
            AttemptOutcome.SUCCEEDED: StageStatus.SUCCEEDED,
            AttemptOutcome.SUCCEEDED_REVIEW: StageStatus.NEEDS_REVIEW,
            AttemptOutcome.FAILED: StageStatus.FAILED,
        }[result.outcome]
        return Stage(
            run_id=self._run_id,
            command_id=self._envelope.command_id,
            correlation_id=self._envelope.correlation_id,
            queue=self._message.queue,
            attempt=self._owned.key.attempt,
            order=1,
            name="dispatch",
            executor="runtime",
            status=status,
            confidence=0.0 if result.outcome == AttemptOutcome.FAILED else 1.0,
            outcome_code=result.code[:120],
            outcome_rationale=result.rationale[:500],
            started_at=now,
            completed_at=now,
        )

    def _dead_letter(self, reason: str, code: str, rationale: str, attempt: int | None = None) -> DeadLetter:
        number = attempt if attempt is not None else self._lease.key.attempt if self._lease else 0
        where = f"run={self._run_id}; correlation={ids.clean(self._envelope.correlation_id)}; attempt={number}"
        return DeadLetter(reason, f"{code}; {where}; {rationale}")

    def _event(self, kind: telemetry.EventKind, outcome: str, attempt: int | None = None) -> None:
        """Telemetry neither delays nor fails a command: not even a publisher that raises, or an event that cannot be
        built."""
        self._publish(
            lambda: telemetry.command_event(
                kind,
                envelope=self._envelope,
                message=self._message,
                run_id=self._run_id,
                attempt=attempt if attempt is not None else self._lease.key.attempt if self._lease else 0,
                outcome=outcome,
                at=self._clock.now(),
            )
        )

    def _publish(self, event: Callable[[], RuntimeEvent]) -> None:
        try:
            self._service.publisher.publish(event())
        except Exception:
            log.warning("an event could not be published", exc_info=True)


_TOKENS_KEPT: Final = 3
"""Attempts that a copy can tell of."""

_GIVEN_UP: Final = "storage did not answer for 24 hours"


def _why_refused(key: Key, *, first: bool) -> str:
    """What the broker's explorers show of a message of a rejected command. Who sent it again by hand reads here what to
    do instead."""
    if first:
        return key.resolution_rationale or "rejected"
    code = (key.resolution_rationale or "rejected").partition(":")[0]
    return (
        f"the command was rejected ({code}) and is never executed under this id again; "
        f"replay it under a new one: ./mosaic ops replay {key.command_id}"
    )


def _failed(code: str, rationale: str) -> LaneResult:
    return LaneResult(outcome=AttemptOutcome.FAILED, code=code, rationale=rationale)


def _ended_key(key: Key, run: Run) -> Key:
    """K as its run's end says, at the run's own time."""
    at, said = run.completed_at or run.last_modified_at, run.failure_rationale or "done"
    if run.attempt_outcome == AttemptOutcome.FAILED:
        return reservation.reject(key, now=at, rationale=f"{run.failure_code}: {said}"[:500])
    return reservation.complete(key, now=at, code=completion_code(run), rationale=said)


async def _answer[T](request: Coroutine[object, object, T]) -> T | StoreUnreachableError:
    """What a request comes to, one without an answer as a value: its siblings' answers are waited for."""
    try:
        return await request
    except StoreUnreachableError as error:
        return error


async def _as_far_as_possible[T](request: Coroutine[object, object, T]) -> T | None:
    """None where the request fails for whatever reason but storage's silence."""
    try:
        return await request
    except StoreUnreachableError:
        raise
    except Exception:
        log.warning("left as it is: it can be neither read nor written", exc_info=True)
        return None


def _kept(message: IncomingMessage, *names: str) -> dict[str, str | int]:
    return {name: message.properties[name] for name in names if name in message.properties}


def _tokens(message: IncomingMessage) -> list[str]:
    return str(message.properties.get(STORAGE_ENDED, "")).split()


def failed_steps(message: IncomingMessage) -> int:
    """How many deliveries of the message a step has failed before this one."""
    value = message.properties.get(FAILED_STEPS, 0)
    return value if isinstance(value, int) and value >= 0 else 0


def _time(message: IncomingMessage, name: str) -> datetime | None:
    """A time that a copy bears; None where it bears none that can be read."""
    text = message.properties.get(name)
    try:
        moment = datetime.fromisoformat(str(text)) if text else None
        return moment.astimezone(UTC) if moment is not None and moment.tzinfo else None
    except (ValueError, OverflowError):
        return None


def outage(message: IncomingMessage, now: datetime) -> tuple[datetime, float]:
    """When the outage that a copy waits for began (now, where it waits for none), and how many seconds ago."""
    since = min(now, _time(message, AWAY_SINCE) or now)
    return since, (now - since).total_seconds()


def outage_wait(away: float, jitter: float) -> float:
    """Seconds until storage is asked again: the longer it has been away, the longer."""
    return min(STORE_BACKOFF_MAX_SECONDS, max(LEAST_WAIT_SECONDS, away / 2) * jitter)


def first_enqueued(message: IncomingMessage) -> datetime:
    """When the command was first put on the queue, however many copies of it came since."""
    return _time(message, FIRST_ENQUEUED) or message.enqueued_at


def completion_code(run: Run) -> str:
    return "needs_review" if run.attempt_outcome == AttemptOutcome.SUCCEEDED_REVIEW else "completed"


def _cut(text: str | None, length: int) -> str | None:
    return text[:length] if text is not None else None
