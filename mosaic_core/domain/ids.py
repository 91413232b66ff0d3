"""Ids: GUIDs as 32 lower-case hex digits, and the ids that are derived so that a repeated step writes the same row."""

from __future__ import annotations

import re
import uuid
from typing import Final

from mosaic_core.domain.reasons import DeadLetterReason

_NAMESPACE: Final = uuid.UUID("6d6f7361-6963-5d6f-8e65-792d776f726b")
_GUID: Final = re.compile(
    r"(?:urn:uuid:)?(?:\{(?P<braced>[^}]*)\}|\((?P<round>[^)]*)\)|(?P<bare>.*))", re.IGNORECASE | re.DOTALL
)
_DIGITS: Final = re.compile(
    r"[0-9a-fA-F]{32}|[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}", re.ASCII
)
_PLAIN: Final = re.compile(r"[A-Za-z0-9:._-]{1,128}", re.ASCII)


def normalise_guid(text: str) -> str:
    """32 lower-case hex digits from any usual spelling (plain, hyphens, braces, parentheses, urn:uuid:).

    Raises ValueError where the text is no GUID, or the one of zeros only, which is how some clients spell "none".
    """
    found = _GUID.fullmatch(text.strip()) if len(text) <= 64 else None
    digits = next((g for g in found.groups() if g is not None), "") if found else ""
    if not _DIGITS.fullmatch(digits):
        raise ValueError("is not a GUID")
    guid = digits.replace("-", "").lower()
    if not guid.strip("0"):
        raise ValueError("is the empty GUID")
    return guid


def guid_or_empty(value: object) -> str:
    """`normalise_guid` of it; empty where it is none."""
    try:
        return normalise_guid(value) if isinstance(value, str) else ""
    except ValueError:
        return ""


def message_id(given: str | None, sequence_number: int) -> str:
    """A message's id as everything that looks at a queue tells it: one that has none goes by its number."""
    return given or f"seq-{sequence_number}"


def is_empty_guid(text: str) -> bool:
    """Whether it spells the GUID of zeros, in any usual spelling."""
    return len(text) <= 64 and text.count("0") == 32 and not re.sub(r"urn:uuid:|[-{}()\s0]", "", text.lower())


def clean(text: str) -> str:
    """An id as it may be told: in a log line, a span, an event, a signal, a dead-letter description.

    Ids of messages and correlations are whatever their producer set: line breaks, escape sequences, a person's words.
    What has the shape of an id (1 to 128 ASCII letters, digits, ``:``, ``.``, ``_``, ``-``) stays, and so does the
    empty text; anything else is told apart by what is derived from it. Cleaned twice is cleaned once."""
    return text if not text or _PLAIN.fullmatch(text) else derive("opaque", text)


def derive(*parts: str) -> str:
    """A UUIDv5 of the parts as 32 hex digits. Each part is length-prefixed, so no two lists of parts collide."""
    name = "".join(f"{len(part)}:{part}" for part in parts)
    # half of a surrogate pair has no UTF-8, and a message's id may hold one
    return uuid.uuid5(_NAMESPACE, name.encode("utf-8", "surrogatepass")).hex


def is_derived(guid: str) -> bool:
    """Whether it is of the kind that `derive` makes: such command ids are the app's own (a client's reference, a night,
    an approval's end), and who computes one must not be able to take it."""
    return uuid.UUID(hex=guid).version == 5


def run_id(queue: str, command_id: str) -> str:
    return derive("run", queue, command_id)


def client_command_id(household_id: str, scope_id: str, client_id: str) -> str:
    """The command id of a client's own reference: the same reference is the same command, however often it is sent.
    ``scope_id`` is the conversation (or, for an ingestion, the word ``ingestion``)."""
    return derive("command", household_id, scope_id, client_id)


def sweep_command_id(household_id: str, sweep_date: str) -> str:
    return derive("sweep", household_id, sweep_date)


def approval_due_command_id(household_id: str, approval_id: str, generation: int) -> str:
    """The command that ends an approval whose time is over; a later ``generation`` looks again."""
    return derive("approval-due", household_id, approval_id, str(generation))


def replay_command_id(queue: str, command_id: str, generation: int) -> str:
    """The command that replays another: whoever asks for it, the first replay of one command is one command. A later
    ``generation`` (from 1) is another."""
    return derive("replay", queue, command_id, str(generation))


def failure_signal_id(run: str) -> str:
    return derive("signal", run, "worker_command_failed")


def stalled_signal_id(run: str) -> str:
    return derive("signal", run, "command_stalled")


def unsent_signal_id(queue: str, command_id: str) -> str:
    return derive("signal", queue, command_id, "command_not_sent")


def sweep_enqueue_signal_id(household_id: str, night: str) -> str:
    return derive("signal", household_id, night, "sweep_enqueue_failed")


def review_signal_id(run: str) -> str:
    return derive("signal", run, "review")


def rejected_message_signal_id(queue: str, message_id: str, code: str) -> str:
    return derive("signal", queue, "message", message_id, code)


def mismatch_signal_id(queue: str, command_id: str, request_hash: str) -> str:
    return derive("signal", queue, command_id, DeadLetterReason.IDEMPOTENCY_HASH_MISMATCH.value, request_hash)


def unrecorded_signal_id(queue: str, command_id: str, request_hash: str) -> str:
    return derive("signal", queue, command_id, "command_not_recorded", request_hash)


def finding_signal_id(household_id: str, finding_key: str) -> str:
    """Derived from what was found, not from the run: a second sweep does not raise it again."""
    return derive("signal", household_id, "finding", finding_key)


def approval_id(turn: str, action_hash: str) -> str:
    """``turn`` is the exchange that asks: a message's is its run, one after a decision is the same whoever it tells."""
    return derive("approval", turn, action_hash)


def resumed_turn_id(batch: str) -> str:
    """The exchange in which an agent is told what became of a batch of proposals: one, whoever tells it."""
    return derive("resume", batch)


def approval_due_signal_id(approval: str) -> str:
    return derive("signal", approval, "approval_due_not_enqueued")


def approval_undone_signal_id(approval: str) -> str:
    return derive("signal", approval, "approval_not_carried_out")


def outbox_shard(command_id: str) -> str:
    """One of 16, by a hexadecimal digit: so many partitions do a queue's outbox entries spread over."""
    return derive("outbox", command_id)[0]
