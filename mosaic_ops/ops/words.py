"""How things are said in tables: attempts, ages, times; and how a person may say a time."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

import typer

from mosaic_core.domain.ids import normalise_guid
from mosaic_ops.ops.api import Json
from mosaic_ops.ops.diagnosis import attempts


def attempt(run: Json) -> str:
    said = attempts(run)
    due = run["nextAttemptAtUtc"]
    return f"{said}, next at {due}" if due and not run["isFinal"] else said


def run_fields(run: Json) -> list[tuple[str, object]]:
    return [
        ("run", run["runId"]),
        ("status", run["status"]),
        ("final", run["isFinal"]),
        ("attempt", attempt(run)),
        ("code", run["failureCode"]),
        ("rationale", run["failureRationale"]),
        ("lane", run["lane"]),
        ("queue", run["queue"]),
        ("command", run["commandId"]),
        ("type", run["commandType"]),
        ("correlation", run["correlationId"]),
        ("household", run["householdId"]),
        ("conversation", run["conversationId"]),
        ("replay of", run["replayOfCommandId"]),
        ("policy", run["policyVersion"]),
        ("trace", run["traceId"]),
        ("created", run["createdAtUtc"]),
        ("modified", run["lastModifiedAtUtc"]),
        ("completed", run["completedAtUtc"]),
    ]


def key_fields(key: Json) -> list[tuple[str, object]]:
    left = key["leaseSecondsLeft"]
    return [
        ("key", key["status"]),
        (
            "counted",
            f"{key['countedAttempts']} of {key['maxAttempts']} (attempt {key['attempt']}, {key['excused']} excused)",
        ),
        ("lease", f"{left:.0f} s left" if left else "none"),
        ("next attempt", key["nextAttemptAtUtc"]),
        ("finalized", key["finalizedAtUtc"]),
        ("resolution", key["resolutionCode"]),
        ("because", key["resolutionRationale"]),
        ("expires", key["expiresAtUtc"]),
    ]


AGES: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def since_of(text: str | None, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> str | None:
    """A time as the API takes it."""
    if text is None:
        return None
    age = re.fullmatch(r"(\d{1,6})([smhd])", text.strip())
    if age is not None:
        moment = now() - timedelta(seconds=int(age[1]) * AGES[age[2]])
        return max(moment, datetime(1970, 1, 1, tzinfo=UTC)).strftime("%Y-%m-%dT%H:%M:%SZ")
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise typer.BadParameter("is neither an age such as 2h nor a time", param_hint="--since") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def guid(text: str | None, option: str) -> str | None:
    if text is None:
        return None
    try:
        return normalise_guid(text)
    except ValueError as wrong:
        raise typer.BadParameter(str(wrong), param_hint=option) from None


def at(moment: str) -> datetime:
    return datetime.fromisoformat(moment)


def seconds_since(moment: str) -> float:
    return (datetime.now(UTC) - at(moment)).total_seconds()


def ago(moment: str | None) -> str:
    if moment is None:
        return "none"
    seconds = max(0.0, seconds_since(moment))
    for unit, size in reversed(AGES.items()):
        if seconds >= size:
            return f"{seconds // size:.0f} {unit} ago"
    return "now"
