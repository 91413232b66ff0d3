"""What is held of one household, by kind: what an erasure removes and an export hands over."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from mosaic_core.domain.ids import guid_or_empty


class HouseholdKind(StrEnum):
    """In the order in which they are erased: who may ask goes first, and what names the rest of a thing with it."""

    MEMBERS = "members"
    MARKS = "activity_marks"
    APPROVALS = "approvals"
    COMMANDS = "commands"
    RUNS = "runs"
    SIGNALS = "signals"
    CONVERSATIONS = "conversations"
    ANNOTATIONS = "annotations"
    LEDGER = "ledger_transactions"
    HOUSEHOLDS = "households"
    LISTS = "list_rows"
    BLOBS = "blobs"
    DEAD_LETTERS = "dead_letters"
    DECISIONS = "decisions"


ERASED: Final = "erased"
"""The rationale of a decision whose household was erased: the record stays, the words do not."""

EDITS: Final = "replays/"
"""Begins the names of blobs that hold an envelope which an operator edited: whose it is, it says itself."""

QUIET: Final = "quiet"
"""The step of an erasure that looks whether anything is still at work."""

STEPS: Final = (
    HouseholdKind.MEMBERS.value,
    HouseholdKind.MARKS.value,
    QUIET,
    *(kind.value for kind in HouseholdKind if kind not in {HouseholdKind.MEMBERS, HouseholdKind.MARKS}),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """How far the erasure of one household has come: in the ``step``-th of `STEPS`, at ``cursor``. ``removed`` counts
    by kind as ``kind=number``, ``in_round`` what this round has found: one that finds nothing is the last. Ids, counts
    and the operator's reason only: it is what stays as the record."""

    household_id: str
    requested_by: str
    reason: str
    started_at: datetime
    step: int = 0
    cursor: str = ""
    rounds: int = 0
    in_round: int = 0
    removed: tuple[str, ...] = ()
    completed_at: datetime | None = None

    @property
    def counts(self) -> dict[str, int]:
        pairs = (one.rpartition("=") for one in self.removed)
        return {kind: int(number) for kind, _, number in pairs}


def counted(found: dict[str, int]) -> tuple[str, ...]:
    return tuple(f"{kind}={number}" for kind, number in found.items() if number)


def is_about(text: str | bytes, household_id: str) -> bool:
    """Whether that is an envelope whose payload names the household."""
    try:
        named: Any = json.loads(text)["payload"]["householdId"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return False
    return guid_or_empty(named) == household_id


@dataclass(frozen=True, slots=True)
class Waiting:
    """What is at work for a household: commands that have not ended, messages that wait in a queue."""

    commands: int = 0
    messages: int = 0

    def __bool__(self) -> bool:
        return bool(self.commands or self.messages)


@dataclass(frozen=True, slots=True, kw_only=True)
class HouseholdRow:
    """One thing that is held of a household. ``place`` is where it lies, for whoever removes it; ``content`` is plain
    JSON, and with it what is a part of it (a run's stages, a command's keys)."""

    kind: HouseholdKind
    place: tuple[str, ...]
    content: dict[str, object] = field(default_factory=dict)
