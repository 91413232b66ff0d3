"""What a dead letter says of itself: the worker's description, and the ids of its envelope; never its content."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from mosaic_core.domain.body import inflate
from mosaic_core.domain.ids import clean, guid_or_empty
from mosaic_core.domain.records import Key

_CODE: Final = re.compile(r"[A-Za-z0-9_]{1,120}", re.ASCII)
_UNEXPECTED: Final = re.compile(r"an unexpected (\w{1,100}) ended", re.ASCII)
_NAMED: Final = frozenset({"run", "correlation", "attempt", "message"})


MISMATCH: Final = "the command id was used before for another request"
UNRECORDED: Final = "no command is recorded that this message could stand for"
GIVEN_UP: Final = "storage did not answer for 24 hours"
EXHAUSTED: Final = "every attempt ended without an outcome; rejected without running again"


def of_command(code: str, rationale: str, *, run_id: str, correlation_id: str, attempt: int) -> str:
    """The description of a command's dead letter."""
    return f"{code}; run={run_id}; correlation={clean(correlation_id)}; attempt={attempt}; {rationale}"


def of_message(code: str, rationale: str, *, message_id: str) -> str:
    """The description of a dead letter that never decoded."""
    return f"{code}; message={clean(message_id)}; {rationale}"


def why_refused(key: Key, *, first: bool) -> str:
    """What the broker's explorers show of a message of a rejected command. Who sent it again by hand reads here what to
    do instead."""
    if first:
        return key.resolution_rationale or "rejected"
    code = (key.resolution_rationale or "rejected").partition(":")[0]
    return (
        f"the command was rejected ({code}) and is never executed under this id again; "
        f"replay it under a new one: ./mosaic ops replay {key.command_id}"
    )


def said(description: str) -> dict[str, str]:
    """``code; run=…; correlation=…; attempt=…; rationale``, as the worker writes it. Another's words are none of ours
    to show: the broker's own are the reason said again."""
    code, *rest = description.split("; ")
    if not _CODE.fullmatch(code) or not rest:
        return {}
    found = {"code": code}
    words: list[str] = []
    for part in rest:
        name, is_one, value = part.partition("=")
        if is_one and name in _NAMED and not words:
            found[name] = value
        else:
            words.append(part)
    if words:
        found["rationale"] = "; ".join(words)
    return found


def envelope(body: bytes, properties: Mapping[str, Any]) -> Mapping[str, Any]:
    """As it stands there, whatever it lacks; empty where the body is no JSON object."""
    whole, _ = inflate(body, properties)
    try:
        found = json.loads(whole)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def head_of(there: Mapping[str, Any]) -> dict[str, str]:
    """The ids of an envelope: ``correlationId`` and ``commandType`` as they stand there, ``commandId`` and
    ``householdId`` where they are GUIDs."""
    found = {name: there[name] for name in ("correlationId", "commandType") if isinstance(there.get(name), str)}
    payload = there.get("payload")
    named = {
        "commandId": guid_or_empty(there.get("commandId")),
        "householdId": guid_or_empty(payload.get("householdId")) if isinstance(payload, Mapping) else "",
    }
    return found | {name: guid for name, guid in named.items() if guid}


def reason_of(text: str) -> str:
    """A reason as it may be told: as it is where it has the shape of a code."""
    return text if _CODE.fullmatch(text) else clean(text)


def exception_of(rationale: str | None) -> str | None:
    """The type of the exception that a rationale tells of."""
    found = _UNEXPECTED.search(rationale or "")
    return found[1] if found else None
