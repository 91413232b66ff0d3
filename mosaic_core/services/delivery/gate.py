"""0: whose command is it? A message is nobody's authority; what is recorded under its id decides, and only that."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Final

from mosaic_core import telemetry
from mosaic_core.concurrency import together
from mosaic_core.domain import dead_letters, ids, signals
from mosaic_core.domain.envelope import IngestionCompleted, decode
from mosaic_core.domain.lifecycle import CommandOrigin
from mosaic_core.domain.membership import lists_source, producer_subject
from mosaic_core.domain.reasons import DeadLetterReason
from mosaic_core.domain.records import Command
from mosaic_core.domain.settlement import DeadLetter
from mosaic_core.services.delivery.states import Admission, Admitted, Known, Mismatched, Received, Unrecorded
from mosaic_core.services.delivery.telling import dead_letter, event, log, publish
from mosaic_core.services.followed import follow

TIME_SLACK: Final = timedelta(hours=1)
"""How far a command's own time may be from when it was recorded, or enqueued past the API."""


async def gate(at: Received) -> Admitted | Unrecorded | Mismatched | DeadLetter:
    """0: read C. Absent ▶ is it a producer's? another queue's ▶ not_recorded; another hash ▶ a mismatch; else 1."""
    known, envelope = at.known, at.known.envelope
    recorded = await known.of.worker.stores.commands.read(envelope.command_id)
    if recorded is None:
        return Unrecorded(known)
    if recorded.queue != known.of.message.queue:
        return await not_recorded(known)
    if recorded.request_hash != envelope.request_hash:
        return Mismatched(known)
    return Admitted(admit(known, recorded))


def admit(known: Known, recorded: Command) -> Known:
    """Who asks, who decides and when is what the record says."""
    envelope = known.envelope
    if (body := recorded.envelope.encode()) != known.of.message.body:
        envelope = decode(body, known.of.lane)
    claimed_at = envelope.created_at
    first, last = recorded.recorded_at - TIME_SLACK, recorded.recorded_at + TIME_SLACK
    envelope = replace(envelope, created_at=min(max(claimed_at, first), last))
    past_api = recorded.origin == CommandOrigin.PRODUCER
    if past_api:
        envelope = replace(envelope, replay_of_command_id=None)  # a replay is an operator's
    moved = claimed_at != envelope.created_at
    return replace(
        known, envelope=envelope, admission=Admission(subject=recorded.subject, past_api=past_api, moved=moved)
    )


async def producer(at: Unrecorded) -> Admitted | Received | DeadLetter:
    """0: there is no C. Where the lane takes what comes past the API and the household lists its source it is recorded
    now, as a producer's; under no id that the app itself may come to use."""
    known, envelope, message = at.known, at.known.envelope, at.known.of.message
    stores, payload = known.of.worker.stores, envelope.payload
    if (
        known.of.lane not in known.of.worker.producers
        or not isinstance(payload, IngestionCompleted)
        or ids.is_derived(envelope.command_id)
    ):
        return await not_recorded(known)
    subject = producer_subject(payload.household_id, payload.source)
    memberships = await stores.members.of_subject(subject)
    if not lists_source(memberships, payload.household_id, payload.source):
        return await not_recorded(known)
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
        follow(stores.followed, command.queue, command.command_id, command.recorded_at),
        stores.commands.list_recorded(command),
    )
    if not await stores.commands.insert(command):
        return Received(known)
    return Admitted(admit(known, command))


async def not_recorded(known: Known) -> DeadLetter:
    """A signal and the dead-letter queue; no row that the command of this id, should it come, would find."""
    of, envelope, now = known.of, known.envelope, known.of.worker.clock.now()
    log.error("the message is no recorded command's", extra={"code": signals.NOT_RECORDED})
    await of.worker.stores.signals.insert(
        signals.not_recorded(
            queue=of.message.queue,
            command_id=envelope.command_id,
            message_id=of.message.message_id,
            household_id=envelope.household_id,
            request_hash=envelope.request_hash,
            now=now,
        )
    )
    reason = DeadLetterReason.NOT_RECORDED
    publish(of, lambda: telemetry.message_event("dead_lettered", of.message, outcome=reason.value, at=now))
    return dead_letter(known, reason, reason.value, dead_letters.UNRECORDED, 0)


async def mismatch(at: Mismatched) -> DeadLetter:
    """The id stands for another request: a signal, and the dead-letter queue; nothing else is touched."""
    known, of, envelope = at.known, at.known.of, at.known.envelope
    log.error("the command id stands for another request", extra={"code": signals.HASH_MISMATCH})
    await of.worker.stores.signals.insert(
        signals.hash_mismatch(
            queue=of.message.queue,
            command_id=envelope.command_id,
            message_id=of.message.message_id,
            correlation_id=envelope.correlation_id,
            household_id=envelope.household_id,
            request_hash=envelope.request_hash,
            now=of.worker.clock.now(),
        )
    )
    event(known, "dead_lettered", signals.HASH_MISMATCH, at.attempt)
    reason = DeadLetterReason.IDEMPOTENCY_HASH_MISMATCH
    return dead_letter(known, reason, signals.HASH_MISMATCH, dead_letters.MISMATCH, at.attempt)
