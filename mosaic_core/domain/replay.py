"""A replay: the operation that an operator asked for, what it chose, and which command replays which."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from mosaic_core.domain.lanes import Lane

CHUNK: Final = 500
"""Items of one stored piece of a plan."""

MOST_ITEMS: Final = 20_000
"""Messages of one operation."""


DEFAULT_RATE: Final = 20
HIGHEST_RATE: Final = 500
"""Messages a second."""


class ReplayState(StrEnum):
    RUNNING = "running"
    ABORTED = "aborted"
    COMPLETED = "completed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """One operation. ``position`` items of its plan are done. ``refusals`` count as ``code=number``. ``edit_blob``
    names the envelope that is sent instead of the original's, empty where nothing is edited. ``clearing`` are
    dead-lettered copies of what was replayed that were still there at the last look.

    ``holder`` drives it until ``held_until``, and nobody sends before ``paced_until``; neither is what makes it
    correct, only what keeps two drivers out of each other's way.
    """

    replay_id: str
    lane: Lane
    queue: str
    state: ReplayState
    total: int
    rate: int
    force: bool
    reason: str
    requested_by: str
    created_at: datetime
    updated_at: datetime
    root_cause: str | None = None
    edit_blob: str = ""
    position: int = 0
    replayed: int = 0
    refused: int = 0
    failed: int = 0
    clearing: int = 0
    refusals: tuple[str, ...] = ()
    sent_at: datetime | None = None
    holder: str = ""
    held_until: datetime | None = None
    paced_until: datetime | None = None

    @property
    def remaining(self) -> int:
        return self.total - self.position

    @property
    def refused_by_code(self) -> dict[str, int]:
        return {code: int(count) for code, _, count in (one.partition("=") for one in self.refusals)}

    def after(self, verdicts: Iterable[str]) -> Replay:
        """With one more item done for each of them: empty where it was replayed, ``failed``, or the code of its
        refusal."""
        done = Counter(verdicts)
        refusals = Counter(self.refused_by_code)
        refusals.update({code: count for code, count in done.items() if code not in ("", FAILED)})
        return replace(
            self,
            position=self.position + done.total(),
            replayed=self.replayed + done[""],
            failed=self.failed + done[FAILED],
            refused=refusals.total(),
            refusals=tuple(f"{code}={count}" for code, count in sorted(refusals.items())),
        )


FAILED: Final = "failed"


@dataclass(frozen=True, slots=True)
class ReplayItem:
    """One dead letter, by its sequence number (0: there is none, the command alone is meant)."""

    sequence_number: int
    command_id: str

    def __str__(self) -> str:
        return f"{self.sequence_number}:{self.command_id}"

    @classmethod
    def parse(cls, text: str) -> ReplayItem:
        """Raises ValueError."""
        number, _, command_id = text.partition(":")
        return cls(int(number), command_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayClaim:
    """Which command replays which: the ``generation``-th (from 1) of one command of one queue. Whoever claimed it first
    is ``replay_id``; the id of the new command depends on the original and the generation alone, so that two who come
    at once send the same command."""

    queue: str
    command_id: str
    generation: int
    new_command_id: str
    replay_id: str
    claimed_at: datetime
