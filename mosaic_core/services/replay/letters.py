"""A dead letter as its headers, its description and its ids tell it; never its content."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from mosaic_core.domain.body import inflate
from mosaic_core.domain.ids import clean, derive, normalise_guid
from mosaic_core.domain.lanes import Lane
from mosaic_core.ports import BrowsedMessage

GROUP_SAMPLES: Final = 3
NO_REASON: Final = "none_given"

_CODE: Final = re.compile(r"[A-Za-z0-9_]{1,120}", re.ASCII)
_UNEXPECTED: Final = re.compile(r"an unexpected (\w{1,100}) ended", re.ASCII)
_NAMED: Final = frozenset({"run", "correlation", "attempt", "message"})


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
    household_id: str | None
    reason: str
    code: str | None
    rationale: str | None
    exception_type: str | None
    enqueued_at: datetime | None
    delivery_count: int

    @property
    def group_id(self) -> str:
        """The same for every dead letter of one lane, reason, code and exception type, whenever it is asked for."""
        return derive("dead-letters", self.lane, self.reason, self.code or "", self.exception_type or "")


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


def letter_of(lane: Lane, message: BrowsedMessage) -> DeadLetter:
    """Whatever somebody wrote into it: what has not the shape of an id or a code is told apart by what is derived."""
    head = _head(message)
    said = _description(message.description)
    rationale = said.get("rationale")
    exception = _UNEXPECTED.search(rationale or "")
    correlation = said.get("correlation") or head.get("correlationId") or message.correlation_id
    return DeadLetter(
        lane=lane,
        queue=message.queue,
        sequence_number=message.sequence_number,
        message_id=clean(message.message_id),
        command_id=head.get("commandId") or _guid(message.message_id),
        command_type=clean(head["commandType"]) if "commandType" in head else None,
        correlation_id=clean(correlation) if correlation else None,
        run_id=_guid(said.get("run")),
        household_id=head.get("householdId") or _guid(message.properties.get("householdId")),
        reason=_told(message.reason) or NO_REASON,
        code=said.get("code"),
        rationale=rationale[:500] if rationale else None,
        exception_type=exception[1] if exception else None,
        enqueued_at=message.enqueued_at,
        delivery_count=message.delivery_count,
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
    )


def _description(text: str) -> dict[str, str]:
    """``code; run=…; correlation=…; attempt=…; rationale``, as the worker writes it. Another's words are none of ours
    to show."""
    code, *rest = text.split("; ")
    if not _CODE.fullmatch(code) or not rest:
        return {}
    said = {"code": code}
    words: list[str] = []
    for part in rest:
        name, is_one, value = part.partition("=")
        if is_one and name in _NAMED and not words:
            said[name] = value
        else:
            words.append(part)
    # only what begins as the worker's own does is its own
    if words and ("run" in said or "message" in said):
        said["rationale"] = "".join(c if c.isprintable() else " " for c in "; ".join(words))
    return said


def _head(message: BrowsedMessage) -> dict[str, str]:
    """The ids of the envelope, where there is one."""
    whole, _ = inflate(message.body, message.properties)
    try:
        envelope = json.loads(whole)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(envelope, dict):
        return {}
    found = {name: envelope[name] for name in ("correlationId", "commandType") if isinstance(envelope.get(name), str)}
    payload = envelope.get("payload")
    household = _guid(payload.get("householdId")) if isinstance(payload, Mapping) else None
    command_id = _guid(envelope.get("commandId"))
    return {
        **found,
        **({"commandId": command_id} if command_id else {}),
        **({"householdId": household} if household else {}),
    }


def _told(reason: str) -> str:
    return reason if _CODE.fullmatch(reason) else clean(reason)


def _guid(text: object) -> str | None:
    try:
        return normalise_guid(text) if isinstance(text, str) else None
    except ValueError:
        return None
