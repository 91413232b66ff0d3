"""A conversation's state: what was said so far, and how a run's exchange lands in it. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from mosaic_core.domain.records import Conversation, Turn

KEPT_TURNS: Final = 20
"""Exchanges that are kept, newest first."""

HISTORY_TURNS: Final = 8
"""Exchanges that an agent is shown."""

_KEPT_UNITS: Final = 24_000
_LONGEST: Final = 600


class Landing(StrEnum):
    LANDED = "landed"
    UNCHANGED = "unchanged"
    """This very exchange is already there."""
    SUPERSEDED = "superseded"
    """A higher attempt of the same run was here: this one stops."""
    TAKEN = "taken"
    """Another run has given this exchange its outcome."""


@dataclass(frozen=True, slots=True)
class Holder:
    """The attempt at a command that works on a conversation."""

    queue: str
    command_id: str
    attempt: int


def holder(state: Conversation | None) -> Holder | None:
    if state is None or not state.holder_command_id:
        return None
    return Holder(state.holder_queue, state.holder_command_id, state.holder_attempt)


def held(state: Conversation, by: Holder | None) -> Conversation:
    """The state as ``by`` holds it; None: as nobody does."""
    if by is None:
        return replace(state, holder_queue="", holder_command_id="", holder_attempt=0)
    return replace(state, holder_queue=by.queue, holder_command_id=by.command_id, holder_attempt=by.attempt)


def empty(household_id: str, conversation_id: str, *, run_id: str, attempt: int, now: datetime) -> Conversation:
    """A conversation in which nothing has been said yet."""
    return Conversation(
        household_id=household_id,
        conversation_id=conversation_id,
        turns=(),
        run_id=run_id,
        attempt=attempt,
        last_modified_at=now,
    )


def own_turn(state: Conversation | None, turn_id: str) -> Turn | None:
    return next((t for t in state.turns if t.turn_id == turn_id), None) if state is not None else None


def history(state: Conversation | None, before: datetime, command_id: str) -> tuple[tuple[str, str], ...]:
    """(role, text) of the exchanges that came before a command, oldest first, at most `HISTORY_TURNS` of them."""
    if state is None:
        return ()
    earlier = [t for t in state.turns if (t.created_at, t.command_id) < (before, command_id) and t.answer]
    return tuple(
        said
        for turn in earlier[-HISTORY_TURNS:]
        for said in (("user", turn.question), ("assistant", turn.answer))
        if said[1]
    )


def land(
    state: Conversation | None, turn: Turn, *, household_id: str, conversation_id: str, now: datetime
) -> tuple[Landing, Conversation | None]:
    """The state with ``turn`` in its place and its holder as it was, or why the turn does not belong there."""
    turn = replace(turn, question=_cut(turn.question), answer=_cut(turn.answer))
    there = own_turn(state, turn.turn_id)
    if there is not None and there.run_id != turn.run_id:
        return Landing.TAKEN, None
    if there is not None and there.attempt > turn.attempt:
        return Landing.SUPERSEDED, None
    if there == turn:
        return Landing.UNCHANGED, None
    before = state or empty(household_id, conversation_id, run_id=turn.run_id, attempt=turn.attempt, now=now)
    others = [t for t in before.turns if t.turn_id != turn.turn_id]
    return Landing.LANDED, replace(
        before,
        turns=_bounded([*others, turn], turn.turn_id),
        run_id=turn.run_id,
        attempt=turn.attempt,
        last_modified_at=now,
    )


def _bounded(turns: list[Turn], kept: str) -> tuple[Turn, ...]:
    """Ordered by time, without the oldest where there are too many; never without ``kept``, which is in flight."""
    turns = sorted(turns, key=lambda t: (t.created_at, t.command_id, t.turn_id))
    while len(turns) > KEPT_TURNS or sum(map(_units, turns)) > _KEPT_UNITS:
        oldest = next((t for t in turns if t.turn_id != kept), None)
        if oldest is None:
            break
        turns.remove(oldest)
    return tuple(turns)


def _units(turn: Turn) -> int:
    """UTF-16 units that the turn takes in its row: JSON, in a list of JSON texts."""
    text = json.dumps(json.dumps([turn.question, turn.answer, turn.replies], ensure_ascii=False), ensure_ascii=False)
    return 500 + len(text.encode("utf-16-le", "surrogatepass")) // 2


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
