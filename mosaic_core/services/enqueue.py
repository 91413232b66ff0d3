"""Enqueue a command: record it, list it in its conversation, send it. What the caller is told is true only when all of
them have been acknowledged.

A command is announced in the outbox before it is recorded and withdrawn once it is sent, so a timer finds what was
recorded and not sent. One that is already recorded under the same id is sent again as it was recorded: the delivery
protocol makes the second message harmless, and a client that never saw its answer gets the same one. Only what was
rejected is not sent again.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Final, Literal

from mosaic_core.computing import INLINE_BYTES as INLINE_WORK
from mosaic_core.computing import INLINE_CHARACTERS, compute_over
from mosaic_core.concurrency import together
from mosaic_core.domain import ids
from mosaic_core.domain.envelope import (
    AgentApprovalDue,
    AgentApprovalSubmitted,
    AgentMessagePosted,
    IngestionCompleted,
    NightlyAnomalySweep,
    Payload,
    PolicyDisposition,
    encode,
    normal_length,
    request_hash,
)
from mosaic_core.domain.errors import Detail, MosaicError, RequestError, StoredRowError, StoreUnreachableError
from mosaic_core.domain.lanes import CommandType, Lane, lane_of
from mosaic_core.domain.lifecycle import KeyStatus
from mosaic_core.domain.policy import hint
from mosaic_core.domain.records import Command, Key, OutboxEntry
from mosaic_core.ports import Clock, CommandSender, EventPublisher, Stored, Stores
from mosaic_core.services.batch import Batch
from mosaic_core.services.callers import Caller
from mosaic_core.services.dispatch import Recorded, dispatch, enqueueing
from mosaic_core.services.followed import follow

log = logging.getLogger(__name__)

INLINE_BYTES: Final = 190 * 1024
"""A larger envelope would come near the broker's 256 KB: its transactions go to a blob."""

OUTBOX_GRACE: Final = timedelta(minutes=2)
"""How long the API has for a command before the timer looks. Clocks that are further apart than this cost a message
more, which is harmless."""

_WITHDRAW_SECONDS: Final = 1.0

type Decision = Literal["Approve", "Reject"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Enqueued:
    """A command that is recorded and acknowledged by the broker. ``queued_at`` is when it was first recorded."""

    command_id: str
    correlation_id: str
    command_type: str
    queue: str
    queued_at: datetime
    conversation_id: str | None = None
    policy_disposition: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EnqueueService:
    """Raises `StoreUnreachableError` and `QueueUnavailableError` where the command may or may not have been enqueued;
    what was recorded by then is sent by the outbox's timer.

    ``queues`` are the lanes' real names.
    """

    stores: Stores
    sender: CommandSender
    publisher: EventPublisher
    clock: Clock
    queues: Mapping[Lane, str]
    new_id: Callable[[], str] = lambda: uuid.uuid4().hex

    async def enqueue_message(
        self,
        caller: Caller,
        conversation_id: str,
        message: str,
        *,
        user_note: str | None = None,
        client_id: str | None = None,
    ) -> Enqueued:
        """Raises `RequestError`: ``client_reference_conflict`` where ``client_id`` already names another request,
        ``command_rejected`` where it names one that was rejected."""
        size = normal_length(message) + normal_length(user_note or "")
        named = await compute_over(size, INLINE_CHARACTERS, hint, message, user_note or "")
        payload = AgentMessagePosted(
            household_id=caller.household_id,
            conversation_id=conversation_id,
            household_user_id=caller.household_user_id,
            message=message,
            user_note=user_note,
            policy_disposition=PolicyDisposition.APPROVAL_REQUIRED if named else PolicyDisposition.ADVISORY_ONLY,
        )
        return await self._of_conversation(CommandType.AGENT_MESSAGE_POSTED, payload, caller, client_id)

    async def enqueue_approval(
        self,
        caller: Caller,
        conversation_id: str,
        approval_id: str,
        decision: Decision,
        *,
        rationale: str | None = None,
        client_id: str | None = None,
    ) -> Enqueued:
        """An approval that is already decided is enqueued all the same: the worker knows what that means.

        Raises `RequestError`: ``not_found`` where this household's conversation has no such approval, and as
        `enqueue_message`.
        """
        stored = await self.stores.approvals.read(caller.household_id, approval_id)
        if stored is None or stored.value.conversation_id != conversation_id:
            raise RequestError("not_found", "there is no such approval in this conversation")
        approved = decision == "Approve"
        payload = AgentApprovalSubmitted(
            household_id=caller.household_id,
            conversation_id=conversation_id,
            household_user_id=caller.household_user_id,
            approval_id=approval_id,
            decision=decision,
            rationale=rationale,
            policy_disposition=(
                PolicyDisposition.APPROVED_BY_HUMAN if approved else PolicyDisposition.REJECTED_BY_HUMAN
            ),
        )
        return await self._of_conversation(CommandType.AGENT_APPROVAL_SUBMITTED, payload, caller, client_id)

    async def enqueue_approval_due(
        self, household_id: str, conversation_id: str, approval_id: str, generation: int
    ) -> Enqueued:
        """An approval's time is over: nobody asks for it but the app's timer. The same ``generation`` again is the same
        command."""
        command_id = ids.approval_due_command_id(household_id, approval_id, generation)
        draft = _Draft(
            command_id=command_id,
            correlation_id=f"agent:{household_id}:{conversation_id}:{command_id}",
            command_type=CommandType.AGENT_APPROVAL_DUE,
            client_id=None,
            household_id=household_id,
            conversation_id=conversation_id,
        )
        payload = AgentApprovalDue(household_id=household_id, conversation_id=conversation_id, approval_id=approval_id)
        now = self.clock.now()
        return await self._enqueue(draft, payload, draft.envelope(payload, now), now)

    async def enqueue_ingestion(
        self,
        caller: Caller,
        batch_id: str,
        source: str,
        account_id: str,
        batch: Batch,
    ) -> Enqueued:
        """The transactions travel in the message where they are few and small, else in a blob; which of the two depends
        on nothing but the batch itself. The batch id is the client's reference: the same batch again is the same
        command. Raises `RequestError` as `enqueue_message`.
        """
        command_id = ids.client_command_id(caller.household_id, "ingestion", batch_id)
        draft = _Draft(
            command_id=command_id,
            correlation_id=f"ingestion:{caller.household_id}:{batch_id}:{command_id}",
            command_type=CommandType.INGESTION_COMPLETED,
            client_id=batch_id,
            household_id=caller.household_id,
            subject=caller.principal.subject,
        )
        now = self.clock.now()
        if batch.few is not None:
            payload = IngestionCompleted(
                household_id=caller.household_id,
                batch_id=batch_id,
                source=source,
                account_id=account_id,
                transactions=list(batch.few),
            )
            envelope = await compute_over(len(batch.json_lines), INLINE_WORK, draft.envelope, payload, now)
            if len(envelope.encode()) <= INLINE_BYTES:
                return await self._enqueue(draft, payload, envelope, now)
        digest = await compute_over(len(batch.json_lines), INLINE_BYTES, hashlib.sha256, batch.json_lines)
        name = f"{caller.household_id}/{digest.hexdigest()}"
        await self.stores.blobs.put(name, batch.json_lines)
        payload = IngestionCompleted(
            household_id=caller.household_id,
            batch_id=batch_id,
            source=source,
            account_id=account_id,
            transactions_blob=name,
        )
        return await self._enqueue(draft, payload, draft.envelope(payload, now), now)

    async def enqueue_sweep(
        self, household_id: str, sweep_date: date, lookback_days: int, *, first_request_stands: bool = True
    ) -> Enqueued:
        """The household's sweep of one night. The same night again sends what was first recorded, whatever
        ``lookback_days`` says by then; nothing where that was rejected. Without ``first_request_stands`` whoever asks
        is told of either: `RequestError` as `enqueue_message`."""
        night = f"{sweep_date:%Y%m%d}"
        command_id = ids.sweep_command_id(household_id, night)
        draft = _Draft(
            command_id=command_id,
            correlation_id=f"sweep:{household_id}:{night}:{command_id}",
            command_type=CommandType.NIGHTLY_ANOMALY_SWEEP,
            client_id=None,
            household_id=household_id,
            first_request_stands=first_request_stands,
        )
        payload = NightlyAnomalySweep.model_validate(
            {"householdId": household_id, "sweepDate": sweep_date.isoformat(), "lookbackDays": lookback_days}
        )
        now = self.clock.now()
        return await self._enqueue(draft, payload, draft.envelope(payload, now), now)

    async def enqueue_replay(
        self,
        command_id: str,
        replay_of: str,
        payload: Payload,
        *,
        subject: str,
        properties: Mapping[str, str | bool | int] | None = None,
    ) -> Enqueued:
        """A request once more, under an id of its own. ``subject`` is whoever asked for it the first time.
        ``properties`` go along with the message. The same again is the same command; one that has been rejected
        meanwhile stays so. A client's reference names the first command, and stays with it.
        """
        kind, correlation_id = _as_replayed(payload, command_id)
        draft = _Draft(
            command_id=command_id,
            correlation_id=correlation_id,
            command_type=kind,
            client_id=None,
            household_id=payload.household_id,
            conversation_id=getattr(payload, "conversation_id", None),
            subject=subject,
            first_request_stands=True,
            replay_of=replay_of,
            properties=properties or {},
        )
        now = self.clock.now()
        envelope = await compute_over(payload_size(payload), INLINE_WORK, draft.envelope, payload, now)
        return await self._enqueue(draft, payload, envelope, now)

    async def send_again(self, command: Command) -> None:
        """A recorded command, once more as it is recorded: nothing where it was rejected meanwhile."""
        if await self._rejected(command) is None:
            recorded = Recorded.of(command)
            with enqueueing(command, recorded.correlation_id):
                await dispatch(recorded, stores=self.stores, sender=self.sender, publisher=self.publisher)

    # ------------------------------------------------------------------------------------------------------ the steps

    async def _of_conversation(
        self,
        kind: CommandType,
        payload: AgentMessagePosted | AgentApprovalSubmitted,
        caller: Caller,
        client_id: str | None,
    ) -> Enqueued:
        household, conversation = payload.household_id, payload.conversation_id
        command_id = ids.client_command_id(household, conversation, client_id) if client_id else self.new_id()
        draft = _Draft(
            command_id=command_id,
            correlation_id=f"agent:{household}:{conversation}:{command_id}",
            command_type=kind,
            client_id=client_id,
            household_id=household,
            conversation_id=conversation,
            subject=caller.principal.subject,
        )
        now = self.clock.now()
        return await self._enqueue(draft, payload, draft.envelope(payload, now), now)

    async def _enqueue(self, draft: _Draft, payload: Payload, envelope: str, now: datetime) -> Enqueued:
        """Announce, record, list, send, withdraw. Whatever ends this in between, the outbox's timer finds the command
        by what was announced first."""
        lane = lane_of(draft.command_type)
        assert lane is not None
        command = Command(
            command_id=draft.command_id,
            household_id=draft.household_id,
            queue=self.queues[lane],
            command_type=draft.command_type,
            request_hash=await compute_over(len(envelope), INLINE_WORK, request_hash, draft.command_type, payload),
            envelope=envelope,
            recorded_at=now,
            subject=draft.subject,
        )
        with enqueueing(command, draft.correlation_id):
            announced = await self._announce(command)
            if not await self.stores.commands.insert(command):
                there = await self._recorded(command)
                if there.recorded_at != command.recorded_at:
                    # whoever recorded it has announced it: a client that repeats itself all through an outage leaves
                    # no trail. The same time is this very insert, whose answer was lost
                    await self._withdraw(announced)
                    announced = None
                if there.request_hash != command.request_hash and not draft.first_request_stands:
                    raise RequestError(
                        "client_reference_conflict", "this client reference already names another request"
                    )
                command = there
                rejected = await self._rejected(command)
                if rejected is not None:
                    return self._repeated(draft, command, rejected)
                log.info("command sent again as it was recorded")
            recorded = Recorded.of(command)
            await dispatch(
                recorded,
                stores=self.stores,
                sender=self.sender,
                publisher=self.publisher,
                properties=draft.properties,
            )
            log.info("command enqueued", extra={"commandType": command.command_type})
            await self._withdraw(announced)
            return _enqueued(recorded)

    async def _announce(self, command: Command) -> Stored[OutboxEntry] | None:
        """From here on the timers know of the command: the outbox's until it is sent, the reconciler's until it has
        ended. None: they do, and the answer that says so was lost."""
        entry = OutboxEntry(
            entry_id=uuid.uuid4().hex,
            command_id=command.command_id,
            queue=command.queue,
            announced_at=command.recorded_at,
            due_at=command.recorded_at + OUTBOX_GRACE,
        )
        etag, _ = await together(
            self.stores.outbox.insert(entry),
            follow(self.stores.followed, command.queue, command.command_id, command.recorded_at),
        )
        return Stored(entry, etag) if etag is not None else None

    async def _withdraw(self, announced: Stored[OutboxEntry] | None) -> None:
        """As far as it can be done in a moment: an entry that stays costs the timer a look, the caller nothing."""
        if announced is None:
            return
        try:
            async with asyncio.timeout(_WITHDRAW_SECONDS):
                await self.stores.outbox.remove(announced.value, announced.etag)
        except (TimeoutError, MosaicError) as error:
            log.info("an outbox entry is left to the timer", extra={"error": type(error).__name__})

    async def _recorded(self, command: Command) -> Command:
        recorded = await self.stores.commands.read(command.command_id)
        if recorded is None:
            raise StoreUnreachableError("the command is said to be recorded, and is not there")
        return recorded

    async def _rejected(self, command: Command) -> Key | None:
        """The command's key where it says that the command was rejected. Where it cannot be read the command is sent
        again: the worker knows better, and what it makes of it is at worst a dead letter."""
        try:
            stored = await self.stores.keys.read(command.queue, command.command_id)
        except (StoreUnreachableError, StoredRowError) as error:
            log.warning("whether a repeated command was rejected cannot be told", extra={"rationale": error.rationale})
            return None
        return stored.value if stored is not None and stored.value.status == KeyStatus.REJECTED else None

    def _repeated(self, draft: _Draft, command: Command, rejected: Key) -> Enqueued:
        """A command that was rejected is not sent again. A night's sweep that ended so is done; a client is told."""
        log.info("a repeated command was rejected before", extra={"runId": rejected.run_id})
        if draft.first_request_stands:
            return _enqueued(Recorded.of(command))
        raise RequestError(
            "command_rejected",
            f"the command of this client reference was rejected; run {rejected.run_id} says why, and another reference "
            "is another command",
            [Detail("runId", rejected.run_id)],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Draft:
    """A command before it is recorded. ``subject`` is the verified caller's, empty where a timer asks;
    ``first_request_stands``: another request under this id is no conflict."""

    command_id: str
    correlation_id: str
    command_type: CommandType
    client_id: str | None
    household_id: str
    conversation_id: str | None = None
    subject: str = ""
    first_request_stands: bool = False
    replay_of: str | None = None
    properties: Mapping[str, str | bool | int] = field(default_factory=dict)

    def envelope(self, payload: Payload, now: datetime) -> str:
        return encode(
            command_id=self.command_id,
            correlation_id=self.correlation_id,
            command_type=self.command_type,
            created_at=now,
            payload=payload,
            client_reference_id=self.client_id,
            replay_of_command_id=self.replay_of,
        )


def payload_size(payload: Payload) -> int:
    """Characters of it, roughly: whether to encode it on a thread."""
    rows = payload.transactions if isinstance(payload, IngestionCompleted) else None
    return 400 * len(rows or ())


def _as_replayed(payload: Payload, command_id: str) -> tuple[CommandType, str]:
    """Its type, and a correlation id as the lane has them."""
    match payload:
        case IngestionCompleted():
            correlation_id = f"ingestion:{payload.household_id}:{payload.batch_id}:{command_id}"
            return CommandType.INGESTION_COMPLETED, correlation_id
        case NightlyAnomalySweep():
            night = f"{payload.sweep_date:%Y%m%d}"
            return CommandType.NIGHTLY_ANOMALY_SWEEP, f"sweep:{payload.household_id}:{night}:{command_id}"
        case AgentMessagePosted():
            kind = CommandType.AGENT_MESSAGE_POSTED
        case AgentApprovalSubmitted():
            kind = CommandType.AGENT_APPROVAL_SUBMITTED
        case AgentApprovalDue():
            kind = CommandType.AGENT_APPROVAL_DUE
    return kind, f"agent:{payload.household_id}:{payload.conversation_id}:{command_id}"


def _enqueued(recorded: Recorded) -> Enqueued:
    """The answer, out of the command as it is recorded."""
    command = recorded.command
    return Enqueued(
        command_id=command.command_id,
        correlation_id=recorded.correlation_id,
        command_type=command.command_type,
        queue=command.queue,
        queued_at=command.recorded_at,
        conversation_id=recorded.conversation_id,
        policy_disposition=recorded.policy_disposition,
    )
