"""What one item of a replay would be sent as, and on whose authority; or why it is refused.

The record in AgentCommands is what is replayed, with who asked as it says: a dead letter only points at it. A message
that no record stands for is its producer's word, and is taken as the worker would take it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from mosaic_core.computing import INLINE_BYTES, compute_over
from mosaic_core.domain import ids
from mosaic_core.domain.body import inflate
from mosaic_core.domain.envelope import (
    AgentApprovalDue,
    AgentApprovalSubmitted,
    AgentMessagePosted,
    Envelope,
    IngestionCompleted,
    Payload,
    decode,
    payload_json,
)
from mosaic_core.domain.errors import PoisonError, StoredRowError
from mosaic_core.domain.lanes import Lane
from mosaic_core.domain.lifecycle import ApprovalStatus, AttemptOutcome, KeyStatus
from mosaic_core.domain.membership import lists_source, producer_subject
from mosaic_core.domain.policy import approval as approvals
from mosaic_core.domain.reasons import DeadLetterReason
from mosaic_core.domain.records import Command
from mosaic_core.ports import BrowsedMessage, Clock, Stores

OWN_PROPERTIES: Final = frozenset(
    {
        "householdId",
        "conversationId",
        "approvalId",
        "householdUserId",
        "policyDisposition",
        "traceparent",
        "tracestate",
        "Diagnostic-Id",
        "recorded",
        "firstEnqueuedAtUtc",
        "storeAwaySinceUtc",
        "storageEnded",
        "failedSteps",
        "bodyEncoding",
        "DeadLetterReason",
        "DeadLetterErrorDescription",
    }
)
"""Of the runtime and the broker: written anew, or of the delivery that is over. All others go along."""

_MOST_PROPERTIES: Final = 32
_LONGEST_VALUE: Final = 1024
_FIELDS_NAMED: Final = 12
_WHO: Final = ("household_id", "conversation_id", "household_user_id", "source")
"""Whose a request is: no edit changes it."""

IN_PROGRESS: Final = "command_in_progress"
COMPLETED: Final = "command_completed"
NOT_RECORDED: Final = DeadLetterReason.NOT_RECORDED.value
NOT_THERE: Final = "not_there"
OTHER_REQUEST: Final = "other_request"
NEVER_DECODED: Final = "never_decoded"
UNSUPPORTED: Final = "unsupported_command_type"
REPLAYED: Final = "already_replayed"
APPROVAL_ENDED: Final = "approval_ended"
EDIT_REFUSED: Final = "edit_refused"
UNREADABLE: Final = "record_unreadable"


@dataclass(frozen=True, slots=True)
class Refusal:
    """``code`` is stable. ``force`` says whether an operator's insistence would do."""

    code: str
    force: bool = False


@dataclass(frozen=True, slots=True)
class Source:
    """What is sent. ``properties`` are the foreign ones of the dead letter, ``trace`` all of them, for its trace
    context alone. ``changed`` are the fields that an edit changed, each with the sums of before and after."""

    payload: Payload
    subject: str
    properties: Mapping[str, str | bool | int] = field(default_factory=dict)
    trace: Mapping[str, object] = field(default_factory=dict)
    changed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sources:
    stores: Stores
    clock: Clock

    async def of(
        self,
        lane: Lane,
        queue: str,
        command_id: str,
        letter: BrowsedMessage | None,
        *,
        force: bool = False,
        edit: Payload | None = None,
        operator: str = "",
    ) -> Source | Refusal:
        """``letter`` is None where there is no dead letter (any more): then the record alone is looked at.
        ``operator`` asks for what an edit makes of a message that nobody is known to have asked for."""
        sent = await decoded(letter, lane)
        try:
            record = await self.stores.commands.read(command_id)
        except StoredRowError:
            return Refusal(UNREADABLE)
        if record is not None and record.queue != queue:
            record = None
        original: Payload | None = None
        if record is not None:
            body = record.envelope.encode()
            try:
                recorded = await compute_over(len(body), INLINE_BYTES, decode, body, lane)
            except PoisonError:
                return Refusal(UNREADABLE)
            if sent is not None and record.request_hash != sent.request_hash:
                return Refusal(OTHER_REQUEST)
            original = recorded.payload
            refusal = await self._ended(queue, record)
            if refusal is not None and not (refusal.force and force):
                return refusal
        elif letter is None:
            return Refusal(NOT_THERE)
        elif sent is not None:
            original = sent.payload
        if edit is not None:
            return await self._edited(edit, original, record, letter, operator)
        if letter is not None and sent is None:
            return Refusal(NEVER_DECODED)
        if original is None:
            return Refusal(UNSUPPORTED)
        subject = record.subject if record is not None else ""
        if record is None and not await self._may_come(command_id, original):
            return Refusal(NOT_RECORDED)
        ended = await self._approval_ended(original)
        if ended is not None:
            return ended
        return Source(original, subject, _foreign(letter), dict(letter.properties) if letter else {})

    async def _ended(self, queue: str, record: Command) -> Refusal | None:
        """None: it was rejected, and is nobody's any more."""
        try:
            key = await self.stores.keys.read(queue, record.command_id)
            if key is not None:
                match key.value.status:
                    case KeyStatus.REJECTED | KeyStatus.EXPIRED:
                        return None
                    case KeyStatus.COMPLETED:
                        return Refusal(COMPLETED)
                    case _:
                        return Refusal(IN_PROGRESS, force=True)
            run = await self.stores.runs.read(ids.run_id(queue, record.command_id))
        except StoredRowError:
            return Refusal(UNREADABLE)
        if run is None or not run.value.is_final:
            return Refusal(IN_PROGRESS, force=True)
        return None if run.value.attempt_outcome == AttemptOutcome.FAILED else Refusal(COMPLETED)

    async def _may_come(self, command_id: str, payload: Payload) -> bool:
        """Past the API: as the worker would take it, by now."""
        if not isinstance(payload, IngestionCompleted) or ids.is_derived(command_id):
            return False
        return await self._is_listed(payload)

    async def _is_listed(self, payload: IngestionCompleted) -> bool:
        memberships = await self.stores.members.of_subject(producer_subject(payload.household_id, payload.source))
        return lists_source(memberships, payload.household_id, payload.source)

    async def _approval_ended(self, payload: Payload) -> Refusal | None:
        """A decision is applied once, by its approval's row. One whose approval has ended has nothing to do, whoever
        insists; one that was approved and not carried out may go on."""
        if not isinstance(payload, AgentApprovalSubmitted):
            return None
        stored = await self.stores.approvals.read(payload.household_id, payload.approval_id)
        if stored is None:
            return Refusal(APPROVAL_ENDED)
        approval = stored.value
        match approval.status:
            case ApprovalStatus.PENDING if not approvals.is_over(approval, self.clock.now()):
                return None
            case ApprovalStatus.APPROVED if approval.carried_out_at is None and payload.decision == "Approve":
                return None
            case _:
                return Refusal(APPROVAL_ENDED)

    async def _edited(
        self,
        edit: Payload,
        original: Payload | None,
        record: Command | None,
        letter: BrowsedMessage | None,
        operator: str,
    ) -> Source | Refusal:
        """Nobody decides by an edit, nor asks in another's name."""
        decides = (AgentApprovalSubmitted, AgentApprovalDue)
        if isinstance(edit, decides) or isinstance(original, decides):
            return Refusal(EDIT_REFUSED)
        if original is not None and any(getattr(edit, who, None) != getattr(original, who, None) for who in _WHO):
            return Refusal(EDIT_REFUSED)
        if original is not None and type(edit) is not type(original):
            return Refusal(EDIT_REFUSED)
        if record is None and isinstance(edit, IngestionCompleted) and not await self._is_listed(edit):
            return Refusal(NOT_RECORDED)
        if record is None and isinstance(edit, AgentMessagePosted) and original is not None:
            return Refusal(NOT_RECORDED)  # it decodes, and is no recorded command's
        if original is not None:
            changed = _changed(payload_json(original), payload_json(edit))
        else:
            whole = letter.body if letter is not None else b""
            changed = (f"body {_sum(whole)} to {_sum(repr(payload_json(edit)).encode())}",)
        subject = record.subject if record is not None else "" if isinstance(edit, IngestionCompleted) else operator
        return Source(edit, subject, _foreign(letter), dict(letter.properties) if letter else {}, changed)


async def decoded(letter: BrowsedMessage | None, lane: Lane) -> Envelope | None:
    """None where there is none, or it never decoded."""
    if letter is None:
        return None
    body, _ = inflate(letter.body, letter.properties)
    try:
        return await compute_over(len(body), INLINE_BYTES, decode, body, lane)
    except PoisonError:
        return None


def _foreign(letter: BrowsedMessage | None) -> dict[str, str | bool | int]:
    if letter is None:
        return {}
    found = {
        name: value
        for name, value in letter.properties.items()
        if name not in OWN_PROPERTIES
        and len(name) <= 120
        and not (isinstance(value, str) and len(value) > _LONGEST_VALUE)
    }
    return dict(list(found.items())[:_MOST_PROPERTIES])


def _changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of the contract's fields, with the sums of their values: never a household's words."""
    names = sorted({name for name in {*before, *after} if before.get(name) != after.get(name)})
    return tuple(f"{name} {_value_sum(before.get(name))} to {_value_sum(after.get(name))}" for name in names)[
        :_FIELDS_NAMED
    ]


def _value_sum(value: object) -> str:
    return _sum(repr(value).encode("utf-8", "surrogatepass"))


def _sum(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:12]
