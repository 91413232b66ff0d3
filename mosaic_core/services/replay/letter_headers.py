"""A dead letter as its headers, its description and its ids tell it; never its content."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from mosaic_core.domain import dead_letters
from mosaic_core.domain.ids import clean, derive, guid_or_empty
from mosaic_core.domain.lanes import Lane
from mosaic_core.ports import BrowsedMessage

GROUP_SAMPLES: Final = 3
NO_REASON: Final = "none_given"
_SENDERS: Final = (
    "producer",
    "producername",
    "producerid",
    "publisher",
    "source",
    "sender",
    "senderid",
    "sentby",
    "origin",
    "originator",
    "application",
    "applicationname",
    "appname",
    "appid",
    "service",
    "servicename",
    "client",
    "clientname",
    "useragent",
    "hostname",
)
"""Properties and fields by which producers name themselves, in lower case and without what separates words."""

_SENDERS_TOLD: Final = 3
_TECHNICAL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._:/+()\-;,]{0,99}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """``code`` and ``rationale`` are the worker's own words, None where somebody else moved the message. ``command_id``
    is None where the message names none. ``decodes`` says no more than that there is an object with a command id."""

    lane: Lane
    queue: str
    sequence_number: int
    message_id: str
    command_id: str | None
    command_type: str | None
    correlation_id: str | None
    run_id: str | None
    attempt: int | None
    household_id: str | None
    reason: str
    code: str | None
    rationale: str | None
    exception_type: str | None
    enqueued_at: datetime | None
    delivery_count: int
    sent_by: str | None
    """``name=value`` as the message has it, several separated by ``; ``; None where it names nobody."""

    @property
    def group_id(self) -> str:
        """The same for every dead letter of one lane, reason, code and exception type, whenever it is asked for."""
        return derive("dead-letters", self.lane, self.reason, self.code or "", self.exception_type or "")

    def is_named(self, asked: str) -> bool:
        """Whether ``asked`` is one of its ids, or its sequence number."""
        ids = {self.message_id, self.command_id, self.run_id, self.correlation_id, str(self.sequence_number)}
        return bool(ids & {asked, clean(asked), guid_or_empty(asked) or asked})


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    group_id: str
    lane: Lane
    reason: str
    code: str | None
    exception_type: str | None
    count: int
    oldest_at: datetime | None
    newest_at: datetime | None
    sample_command_ids: tuple[str, ...]
    newest_message_id: str
    rationale: str | None
    sent_by: str | None
    """Of the newest."""


def letter_of(lane: Lane, message: BrowsedMessage) -> DeadLetter:
    """Whatever somebody wrote into it: what has not the shape of an id or a code is told apart by what is derived."""
    envelope = dead_letters.envelope(message.body, message.properties)
    head = dead_letters.head_of(envelope)
    said = dead_letters.said(message.description)
    rationale = _rationale(said)
    correlation = said.get("correlation") or head.get("correlationId") or message.correlation_id
    return DeadLetter(
        lane=lane,
        queue=message.queue,
        sequence_number=message.sequence_number,
        message_id=clean(message.message_id),
        command_id=head.get("commandId") or guid_or_empty(message.message_id) or None,
        command_type=clean(head["commandType"]) if "commandType" in head else None,
        correlation_id=clean(correlation) if correlation else None,
        run_id=guid_or_empty(said.get("run")) or None,
        attempt=_attempt(said),
        household_id=head.get("householdId") or guid_or_empty(message.properties.get("householdId")) or None,
        reason=dead_letters.reason_of(message.reason) or NO_REASON,
        code=said.get("code"),
        rationale=rationale[:500] if rationale else None,
        exception_type=dead_letters.exception_of(rationale),
        enqueued_at=message.enqueued_at,
        delivery_count=message.delivery_count,
        sent_by=_sender(message, envelope),
    )


def grouped(letters: Iterable[DeadLetter]) -> list[Group]:
    """The largest first; two causes are two groups."""
    found: dict[str, list[DeadLetter]] = {}
    for letter in letters:
        found.setdefault(letter.group_id, []).append(letter)
    groups = [_group(members) for members in found.values()]
    return sorted(groups, key=lambda group: (-group.count, group.lane, group.reason, group.group_id))


def _group(members: list[DeadLetter]) -> Group:
    first = members[0]
    times = [letter.enqueued_at for letter in members if letter.enqueued_at is not None]
    named = dict.fromkeys(letter.command_id for letter in members if letter.command_id is not None)
    newest = max(members, key=lambda letter: letter.sequence_number)
    return Group(
        group_id=first.group_id,
        lane=first.lane,
        reason=first.reason,
        code=first.code,
        exception_type=first.exception_type,
        count=len(members),
        oldest_at=min(times, default=None),
        newest_at=max(times, default=None),
        sample_command_ids=tuple(named)[:GROUP_SAMPLES],
        newest_message_id=newest.message_id,
        rationale=newest.rationale,
        sent_by=newest.sent_by,
    )


def _sender(message: BrowsedMessage, envelope: Mapping[str, Any]) -> str | None:
    """By the message's properties, then by its envelope, then by its payload. What has not the shape of a program's or
    a feed's name may be a person's words: it is told apart and not told."""
    payload = envelope.get("payload")
    found: dict[str, str] = {}
    for fields in (message.properties, envelope, payload if isinstance(payload, Mapping) else {}):
        for name, value in sorted(fields.items(), key=lambda field: str(field[0])):
            plain = re.sub(r"[^a-z]", "", name.lower())
            if plain in _SENDERS and isinstance(value, str) and value:
                found.setdefault(plain, f"{clean(name)}={_technical(value)}")
    if message.user_id:
        found.setdefault("userid", f"user-id={_technical(message.user_id)}")
    return "; ".join(list(found.values())[:_SENDERS_TOLD]) or None


def _technical(text: str) -> str:
    return text if _TECHNICAL.fullmatch(text) else clean(text)


def _rationale(said: Mapping[str, str]) -> str | None:
    """Only what begins as the worker's own does is its own."""
    words = said.get("rationale") if "run" in said or "message" in said else None
    return "".join(c if c.isprintable() else " " for c in words) if words else None


def _attempt(said: Mapping[str, str]) -> int | None:
    """None where the worker named none."""
    text = said.get("attempt", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 and int(text) else None
