"""The delivery service: decode a message, execute its command by the protocol, and settle it.

The protocol's lines are in `delivery`; this is what stands around them.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, TypedDict

from mosaic_core import telemetry
from mosaic_core.computing import INLINE_BYTES, compute_over
from mosaic_core.domain import dead_letters, ids, signals
from mosaic_core.domain.envelope import Envelope, decode, iso
from mosaic_core.domain.errors import PoisonError, StoreUnreachableError
from mosaic_core.domain.lanes import LEAST_WAIT_SECONDS, MAX_ATTEMPTS, STORE_GIVE_UP_SECONDS, Lane
from mosaic_core.domain.reasons import DeadLetterReason
from mosaic_core.domain.records import LanePause
from mosaic_core.domain.settlement import (
    AWAY_SINCE,
    FAILED_STEPS,
    FIRST_ENQUEUED,
    PASSING,
    Abandon,
    Complete,
    DeadLetter,
    Reschedule,
    Settlement,
    failed_steps,
    first_enqueued,
    outage,
    outage_wait,
    step_wait,
)
from mosaic_core.lanes.context import describe
from mosaic_core.ports import CommandSender, IncomingMessage, OutgoingMessage, Settler
from mosaic_core.services import delivery
from mosaic_core.services.company import Company
from mosaic_core.services.limits import DRAINS_OF_A_MESSAGE, MAX_UNANSWERED
from mosaic_core.services.pauses import Pauses, wait_of
from mosaic_core.services.worker import Worker

log = logging.getLogger(__name__)

DESCRIPTION_LENGTH: Final = 1024

_SEND_AGAIN_SECONDS: Final = 10.0
"""After how long a copy that could not be sent is tried again while its message is held; then twice as long each time,
since one whose answer alone was lost is there, and each of those is a copy more."""

_CROWDED_SECONDS: Final = (2.0, 30.0)
"""The first wait of a delivery that finds its lane full, and the longest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryService(Worker):
    """Executes deliveries. Stateless: one for all lanes, any number of deliveries at once."""

    sender: CommandSender
    settler: Settler
    pauses: Pauses | None = None
    company: Company = field(default_factory=Company)
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep

    async def deliver(self, lane: Lane, message: IncomingMessage) -> Settlement:
        """Execute one delivery and settle it.

        Returns the settlement that was decided. Where carrying it out failed, the broker delivers the message again,
        which the protocol makes harmless.
        """
        hold = _Hold(time.monotonic())
        with (
            self.drain.delivery(),
            telemetry.correlated(messageId=message.message_id, queue=message.queue, lane=lane.value),
        ):
            settlement = await self._decide(lane, message)
            while isinstance(settlement, Reschedule) and not await self._copied(message, settlement, hold):
                if self._goes_on(hold):
                    # due, and still no copy: this delivery goes on as the copy would have
                    message = _as_copied(message, settlement)
                    settlement = await self._decide(lane, message)
                elif message.delivery_count < self.limits.max_deliveries or self.drain.draining:
                    settlement = Abandon(settlement.why)
                else:
                    settlement = await self._guarded(self._end, lane, message)
                    if isinstance(settlement, Reschedule):
                        # not this delivery's to end now, and completed without a copy it would be lost
                        settlement = Abandon(settlement.why)
            await self._settle(message, settlement)
            return settlement

    async def _decide(self, lane: Lane, message: IncomingMessage) -> Settlement:
        return await self._guarded(self._begin, lane, message)

    async def _guarded(
        self, decide: Callable[[Lane, IncomingMessage], Awaitable[Settlement]], lane: Lane, message: IncomingMessage
    ) -> Settlement:
        """What fails around the steps, or while a command is ended, counts as a step that fails. Raised, it would make
        the host give the message back at once, ten times in an instant."""
        try:
            return await decide(lane, message)
        except Exception as error:
            failed = failed_steps(message.properties) + 1
            log.exception("a delivery failed", extra={"failedSteps": failed})
            code, rationale = describe(error)
            if failed >= MAX_ATTEMPTS:
                return await self._refuse(
                    message, PoisonError(f"{code}: {rationale}", code=DeadLetterReason.PROCESSING_FAILED.value)
                )
            wait = step_wait(failed, self.limits.retry, self.jitter())
            later = self._untouched(message, wait, "step_failed")
            return replace(later, marks={**later.marks, FAILED_STEPS: failed})

    async def _begin(self, lane: Lane, message: IncomingMessage) -> Settlement:
        if self.drain.draining:
            if message.delivery_count >= DRAINS_OF_A_MESSAGE:
                return self._untouched(message, LEAST_WAIT_SECONDS, "draining")
            return Abandon("draining")
        if self.pauses is not None and (pause := await self.pauses.of(lane)) is not None:
            return self._put_off(message, pause)
        if message.crowded:
            wait = max(message.crowded_seconds, self._crowded_wait(message))
            return self._untouched(message, wait, "lane_full")
        try:
            envelope = await compute_over(len(message.body), INLINE_BYTES, decode, message.body, lane)
        except PoisonError as poison:
            return await self._refuse(message, poison)
        return await self._execute(lane, message, envelope)

    async def _execute(self, lane: Lane, message: IncomingMessage, envelope: Envelope) -> Settlement:
        run_id = ids.run_id(message.queue, envelope.command_id)
        with (
            telemetry.correlated(commandId=envelope.command_id, correlationId=envelope.correlation_id, runId=run_id),
            telemetry.span(
                "runtime.command.execute",
                service=telemetry.WORKER,
                kind="consumer",
                **_trace_of(message),
                attributes={
                    "messaging.destination.name": message.queue,
                    "mosaic.command.type": telemetry.known_type(envelope),
                },
            ) as span,
        ):
            async with self.company.place() as place:
                if place.enter() or await self.drain.pause(place.take(self.limits.company)):
                    settlement = await delivery.deliver(self, lane, message, envelope, place)
                else:
                    settlement = self._untouched(message, self._crowded_wait(message), "suspect_at_work")
            span.set_attribute("mosaic.settlement", type(settlement).__name__)
            return settlement

    async def _end(self, lane: Lane, message: IncomingMessage) -> Settlement:
        """The last delivery that the broker allows, and no copy can be sent: the command ends here, told, rather than
        as the broker's own dead letter with its key Reserved."""
        log.error("no copy could be sent in any delivery of the message")
        try:
            envelope = await compute_over(len(message.body), INLINE_BYTES, decode, message.body, lane)
        except PoisonError as poison:
            return _refused(message, poison)
        async with self.company.place() as place:
            code, rationale = "queue_unavailable", "its retry could not be sent in any delivery"
            return await delivery.end_at_last(self, lane, message, envelope, place, code=code, rationale=rationale)

    async def _refuse(self, message: IncomingMessage, poison: PoisonError) -> Settlement:
        """A message that never decodes: a signal for a person, and the dead-letter queue on the first delivery."""
        log.error("message refused", extra={"code": poison.code, "rationale": poison.rationale})
        now = self.clock.now()
        signal = signals.command_rejected(
            queue=message.queue,
            message_id=message.message_id,
            code=poison.code,
            rationale=poison.rationale,
            now=now,
        )
        for _ in range(MAX_UNANSWERED):
            try:
                await self.stores.signals.insert(signal)
                break
            except StoreUnreachableError:
                continue
            except Exception:
                # the message itself is kept in the dead-letter queue with its reason; only the list of signals lacks it
                log.exception("the signal of a refused message cannot be stored")
                break
        else:
            since, away = outage(message.properties, self._after(message, 0.0))
            if away < STORE_GIVE_UP_SECONDS:
                due = self._after(message, outage_wait(away, self.jitter()))
                return Reschedule(due, StoreUnreachableError.code, {AWAY_SINCE: iso(since)})
            log.error("the signal of a refused message could not be stored within a day")
        try:
            self.publisher.publish(telemetry.message_event("dead_lettered", message, outcome=poison.code, at=now))
        except Exception:
            log.warning("an event could not be published", exc_info=True)
        return _refused(message, poison)

    # -------------------------------------------------------------------------------------------------------- settling

    async def _settle(self, message: IncomingMessage, settlement: Settlement) -> None:
        try:
            match settlement:
                case Complete() | Reschedule():
                    await self.settler.complete(message)
                case DeadLetter(reason, description):
                    await self.settler.dead_letter(message, reason, description[:DESCRIPTION_LENGTH])
                case Abandon():
                    await self.settler.abandon(message)
        except Exception as error:
            # its lock runs out and it is delivered again; raised, the host would give it back at once
            code, rationale = describe(error)
            log.warning(
                "settlement failed",
                extra={"settlement": type(settlement).__name__, "code": code, "rationale": rationale},
            )

    async def _copied(self, message: IncomingMessage, settlement: Reschedule, hold: _Hold) -> bool:
        """A retry is a scheduled copy, sent before the original is completed: waiting holds no slot, and a crash
        between the two leaves two copies, which the key makes harmless.

        Where it cannot be sent the message is held, and the send tried again, until the copy would have been due; given
        back at once, ten deliveries would be spent in an instant. False: it could not be sent all that time.
        """
        copy = OutgoingMessage(
            queue=message.queue,
            body=message.body,
            message_id=message.message_id,
            correlation_id=message.correlation_id,
            subject=message.subject,
            properties=_properties(message, settlement),
        )
        wait = (settlement.due - self._after(message, 0.0)).total_seconds()
        again = _SEND_AGAIN_SECONDS
        while True:
            try:
                await self.sender.send(copy, due=settlement.due)
            except Exception:  # whatever the reason
                log.warning("a copy could not be sent", exc_info=True, extra={"why": settlement.why})
            else:
                return True
            nap = min(wait, self._room(hold), again)
            if nap <= 0:
                return False
            await self.drain.pause(self.sleep(nap))
            hold.held += nap
            wait -= nap
            again *= 2

    def _room(self, hold: _Hold) -> float:
        """Seconds for which a message may still be held; 0 while draining."""
        if self.drain.draining:
            return 0.0
        return min(self.limits.hold - hold.held, self.limits.delivery - (time.monotonic() - hold.began))

    def _goes_on(self, hold: _Hold) -> bool:
        """May another attempt begin within this delivery? Where it would outlive the host's limit for an invocation,
        the host would kill the process, and everybody in it."""
        limits = self.limits
        longest = limits.company + limits.solitude + limits.lane_deadline + limits.threads
        return self._room(hold) > 0 and time.monotonic() - hold.began + longest < limits.invocation

    def _untouched(self, message: IncomingMessage, wait: float, why: str) -> Reschedule:
        """The message as it is, later: nothing of it has been looked at."""
        marks = {name: value for name, value in message.properties.items() if name in PASSING}
        return Reschedule(self._after(message, wait), why, marks)

    def _put_off(self, message: IncomingMessage, pause: LanePause) -> Reschedule:
        """An outage that this message waited for does not go on through a pause: nobody asks storage meanwhile."""
        later = self._untouched(message, wait_of(pause, self._after(message, 0.0), self.jitter()), "lane_paused")
        return replace(later, marks={name: value for name, value in later.marks.items() if name != AWAY_SINCE})

    def _crowded_wait(self, message: IncomingMessage) -> float:
        """The longer it has waited, the longer it waits: those that are at work have to end first."""
        least, most = _CROWDED_SECONDS
        waited = (self._after(message, 0.0) - first_enqueued(message.properties, message.enqueued_at)).total_seconds()
        return min(most, max(least, waited / 4)) * self.jitter()

    def _after(self, message: IncomingMessage, seconds: float) -> datetime:
        """By the later of this worker's clock and the broker's."""
        return max(self.clock.now(), message.enqueued_at) + timedelta(seconds=seconds)


class _TraceOf(TypedDict, total=False):
    parent: Mapping[str, object]
    stranger: Mapping[str, object]


@dataclass(slots=True)
class _Hold:
    """When a delivery began (monotonic), and for how long it has held its message since."""

    began: float
    held: float = 0.0


def _as_copied(message: IncomingMessage, settlement: Reschedule) -> IncomingMessage:
    """The message as its copy would come, enqueued when it would have been due."""
    enqueued_at = max(message.enqueued_at, settlement.due)
    return replace(message, properties=_properties(message, settlement), enqueued_at=enqueued_at)


def _properties(message: IncomingMessage, settlement: Reschedule) -> dict[str, str | bool | int]:
    """A copy's: the original's, without what held only for this delivery, and the marks."""
    kept = {name: value for name, value in message.properties.items() if name not in PASSING}
    return {FIRST_ENQUEUED: iso(message.enqueued_at), **kept, **settlement.marks}


def _trace_of(message: IncomingMessage) -> _TraceOf:
    """The API's messages go on in the trace that it began; any other producer's trace is linked."""
    ours = message.properties.get("recorded") is True
    return {"parent": message.properties} if ours else {"stranger": message.properties}


def _refused(message: IncomingMessage, poison: PoisonError) -> DeadLetter:
    said = dead_letters.of_message(poison.code, poison.rationale, message_id=message.message_id)
    return DeadLetter(poison.code, said)
