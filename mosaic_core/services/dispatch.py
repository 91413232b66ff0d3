"""A recorded command on its way to its queue: listed, then sent, then told of.

In this order, always: what was sent may run at once, and what runs must be found by who asked. Each step is idempotent,
so whoever finds a command half way (a client that repeats itself, the outbox's timer) does all of them again. Message,
listing and event are those of the command as it is recorded, whoever sends it and whenever.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Self

from mosaic_core import telemetry
from mosaic_core.concurrency import together
from mosaic_core.domain.errors import StoredRowError
from mosaic_core.domain.records import Command
from mosaic_core.ports import CommandSender, EventPublisher, OutgoingMessage, Stores

log = logging.getLogger(__name__)

_IN_PROPERTIES: Final = ("conversationId", "householdUserId", "approvalId", "policyDisposition")


@dataclass(frozen=True, slots=True)
class Recorded:
    """A command with what its envelope says: the correlation id, the payload as JSON values, and whether it replays
    another."""

    command: Command
    correlation_id: str
    payload: Mapping[str, Any]
    replays: bool = False

    @classmethod
    def of(cls, command: Command) -> Self:
        """Raises `StoredRowError` where the envelope is none that the API writes."""
        try:
            envelope = json.loads(command.envelope)
            correlation_id, payload = envelope["correlationId"], envelope["payload"]
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise StoredRowError(f"the envelope of command {command.command_id[:64]} cannot be read") from error
        if not isinstance(correlation_id, str) or not isinstance(payload, dict):
            raise StoredRowError(f"the envelope of command {command.command_id[:64]} cannot be read")
        return cls(command, correlation_id, payload, envelope.get("replayOfCommandId") is not None)

    @property
    def conversation_id(self) -> str | None:
        return self._text("conversationId")

    @property
    def policy_disposition(self) -> str | None:
        return self._text("policyDisposition")

    def message(self, others: Mapping[str, str | bool | int] | None = None) -> OutgoingMessage:
        """``recorded`` tells the worker that the command is in AgentCommands already; ``others`` are properties that
        mean nothing here, and give way."""
        properties = {name: text for name in _IN_PROPERTIES if (text := self._text(name))}
        return OutgoingMessage(
            queue=self.command.queue,
            body=self.command.envelope.encode(),
            message_id=self.command.command_id,
            correlation_id=self.correlation_id,
            subject=self.command.command_type,
            properties={
                **(others or {}),
                "recorded": True,
                "householdId": self.command.household_id,
                **properties,
                **telemetry.inject(),
            },
        )

    def _text(self, name: str) -> str | None:
        found = self.payload.get(name)
        return found if isinstance(found, str) else None


async def dispatch(
    recorded: Recorded,
    *,
    stores: Stores,
    sender: CommandSender,
    publisher: EventPublisher,
    properties: Mapping[str, str | bool | int] | None = None,
) -> None:
    """List the command, send it, tell of it. ``properties`` go along with the message, beside its own.

    Raises `StoreUnreachableError` where it could not be listed: then it was not sent. Raises `QueueUnavailableError`
    where the broker did not acknowledge it: it may have been sent.
    """
    command, conversation_id = recorded.command, recorded.conversation_id
    # by the recorded time, so that however often this is done each list has one row
    listing = stores.commands.list_recorded(command)
    if conversation_id is None:
        await listing
    else:
        in_conversation = stores.commands.index_conversation(
            command.household_id, conversation_id, command.recorded_at, command.queue, command.command_id
        )
        await together(listing, in_conversation)
    await sender.send(recorded.message(properties))
    _tell(recorded, publisher)


def _tell(recorded: Recorded, publisher: EventPublisher) -> None:
    command = recorded.command
    try:
        publisher.publish(
            telemetry.enqueued_event(
                command_id=command.command_id,
                correlation_id=recorded.correlation_id,
                command_type=command.command_type,
                queue=command.queue,
                household_id=command.household_id,
                at=command.recorded_at,
                kind="replayed" if recorded.replays else "enqueued",
            )
        )
    except Exception as error:  # the command is sent: telemetry must not make a failure of it
        log.warning("an event could not be told", extra={"error": type(error).__name__})


@contextmanager
def enqueueing(command: Command, correlation_id: str) -> Iterator[None]:
    """Log lines within carry the command's ids, and its enqueueing is one span."""
    with (
        telemetry.correlated(
            commandId=command.command_id,
            messageId=command.command_id,
            correlationId=correlation_id,
            householdId=command.household_id,
            queue=command.queue,
        ),
        telemetry.span(
            "runtime.command.enqueue",
            service=telemetry.API,
            kind="producer",
            attributes={
                "messaging.destination.name": command.queue,
                "mosaic.command.type": command.command_type,
            },
        ),
    ):
        yield
