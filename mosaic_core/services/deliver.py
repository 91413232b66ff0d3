"""The delivery service: decode a message, execute its command by the protocol, and settle it.

The protocol's steps are in `delivery`; this is what stands around them.
"""

from __future__ import annotations

import logging
import random
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from mosaic_core import telemetry
from mosaic_core.domain import ids, signals
from mosaic_core.domain.envelope import Envelope, decode, iso
from mosaic_core.domain.errors import PoisonError, QueueUnavailableError, StoreUnreachableError
from mosaic_core.domain.lanes import Lane
from mosaic_core.domain.settlement import Abandon, Complete, DeadLetter, Reschedule, Settlement
from mosaic_core.lanes.context import LaneHandler
from mosaic_core.ports import Clock, CommandSender, EventPublisher, IncomingMessage, OutgoingMessage, Settler, Stores
from mosaic_core.services.delivery import Delivery
from mosaic_core.services.drain import Drain
from mosaic_core.services.limits import DeliveryLimits

log = logging.getLogger(__name__)

DESCRIPTION_LENGTH: Final = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryService:
    """Executes deliveries. Stateless: one for all lanes, any number of deliveries at once."""

    stores: Stores
    sender: CommandSender
    settler: Settler
    publisher: EventPublisher
    clock: Clock
    handlers: Mapping[Lane, LaneHandler]
    policy_version: str
    limits: DeliveryLimits = field(default_factory=DeliveryLimits)
    drain: Drain = field(default_factory=Drain)
    jitter: Callable[[], float] = lambda: random.uniform(0.8, 1.2)  # noqa: S311 - spreads load, guards nothing
    new_token: Callable[[], str] = lambda: uuid.uuid4().hex

    async def deliver(self, lane: Lane, message: IncomingMessage) -> Settlement:
        """Execute one delivery and settle it.

        Returns the settlement that was decided. Where carrying it out failed, the broker delivers the message again,
        which the protocol makes harmless.
        """
        with (
            self.drain.delivery(),
            telemetry.correlated(messageId=message.message_id, queue=message.queue, lane=lane.value),
        ):
            settlement = await self._decide(lane, message)
            await self._settle(message, settlement)
            return settlement

    async def _decide(self, lane: Lane, message: IncomingMessage) -> Settlement:
        if self.drain.draining:
            return Abandon("draining")
        try:
            envelope = decode(message.body, lane)
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
                parent=message.properties,
                attributes={
                    "messaging.destination.name": message.queue,
                    "mosaic.command.type": telemetry.known_type(envelope),
                },
            ) as span,
        ):
            settlement = await Delivery(self, lane, message, envelope).run()
            span.set_attribute("mosaic.settlement", type(settlement).__name__)
            return settlement

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
        try:
            await self.stores.signals.insert(signal)
        except StoreUnreachableError:
            # the message itself is kept in the dead-letter queue with its reason; only the list of signals lacks it
            log.exception("the signal of a refused message could not be stored")
        self.publisher.publish(telemetry.message_event("dead_lettered", message, outcome=poison.code, at=now))
        return DeadLetter(poison.code, f"{poison.code}; message={message.message_id[:120]}; {poison.rationale}")

    async def _settle(self, message: IncomingMessage, settlement: Settlement) -> None:
        try:
            match settlement:
                case Complete():
                    await self.settler.complete(message)
                case DeadLetter(reason, description):
                    await self.settler.dead_letter(message, reason, description[:DESCRIPTION_LENGTH])
                case Abandon():
                    await self.settler.abandon(message)
                case Reschedule(due):
                    await self._send_copy(message, due)
        except QueueUnavailableError as error:
            log.warning("settlement failed", extra={"settlement": type(settlement).__name__, "rationale": str(error)})

    async def _send_copy(self, message: IncomingMessage, due: datetime) -> None:
        """A retry is a scheduled copy, sent before the original is completed: waiting holds no slot, and a crash
        between the two leaves two copies, which the key makes harmless."""
        first = message.properties.get("firstEnqueuedAtUtc") or iso(message.enqueued_at)
        copy = OutgoingMessage(
            queue=message.queue,
            body=message.body,
            message_id=message.message_id,
            correlation_id=message.correlation_id,
            subject=message.subject,
            properties={**message.properties, "firstEnqueuedAtUtc": first},
        )
        try:
            await self.sender.send(copy, due=due)
        except QueueUnavailableError:
            log.warning("a copy could not be sent; the message goes back", exc_info=True)
            await self.settler.abandon(message)
        else:
            await self.settler.complete(message)
