"""`dlq`: dead letters, looked at and never taken."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Annotated

import typer

from mosaic_core.domain.lanes import Lane
from mosaic_ops.ops import queues, show
from mosaic_ops.ops.errors import OpsError
from mosaic_ops.ops.here import (
    Here,
    JsonOption,
    LaneOption,
    LimitOption,
    dlq,
    queues_of,
)
from mosaic_ops.ops.queues import DeadLetter


@dlq.command("list", epilog="Example: ./mosaic ops dlq list --lane conversation --limit 20")
def dlq_list(ctx: typer.Context, lane: LaneOption = None, limit: LimitOption = 50, json: JsonOption = False) -> None:
    """Dead letters, the oldest first of each lane. Peeks: no message is received, locked or counted as delivered."""
    letters = letters_of(ctx.obj, lane, limit)
    if json:
        show.as_json({"deadLetters": [letter.json() for letter in letters]})
        return
    show.table(
        ("lane", "number", "message", "reason", "code", "attempt", "enqueued"),
        (
            (m.lane, m.sequence_number, m.message_id, m.reason, m.failure_code, m.attempt, m.enqueued_at_utc)
            for m in letters
        ),
    )
    if any(count >= limit for count in Counter(letter.lane for letter in letters).values()):
        show.line("a lane may have more; --limit raises the number")


@dlq.command("show", epilog="Example: ./mosaic ops dlq show 0f3c…")
def dlq_show(
    ctx: typer.Context,
    asked: Annotated[str, typer.Argument(metavar="ID", help="Its message, command or run id, or its sequence number.")],
    lane: LaneOption = None,
    json: JsonOption = False,
) -> None:
    """One dead letter as the runbook wants it captured. Its content is not shown."""
    found = [letter for letter in letters_of(ctx.obj, lane, queues.MOST) if queues.is_named(letter, asked)]
    if not found:
        raise OpsError(f"no dead letter has this id; those that there are: ./mosaic ops dlq list{_lane_flag(lane)}")
    if json:
        show.as_json({"deadLetters": [letter.json() for letter in found]})
        return
    for place, letter in enumerate(found):
        if place:
            show.line("")
        show.fields(
            [
                ("queue lane", letter.lane),
                ("command id", letter.command_id or "unknown: it never decoded"),
                ("message id", letter.message_id),
                ("correlation id", letter.correlation_id or "unknown: it never decoded"),
                ("failure code", letter.failure_code or letter.reason),
                ("rationale", letter.rationale or "none: the broker itself gave it up"),
                ("reason", letter.reason),
                ("run id", letter.run_id),
                ("attempt", letter.attempt),
                ("queue", letter.queue),
                ("sequence number", letter.sequence_number),
                ("enqueued", letter.enqueued_at_utc),
                ("next", f"./mosaic ops next {letter.command_id or letter.message_id}"),
            ]
        )


@dlq.command("groups", epilog="Example: ./mosaic ops dlq groups")
def dlq_groups(ctx: typer.Context, lane: LaneOption = None, json: JsonOption = False) -> None:
    """Dead letters by lane, reason, code and exception type: two causes are two groups."""
    letters = letters_of(ctx.obj, lane, queues.MOST)
    found = queues.groups(letters)
    if json:
        show.as_json({"groups": found, "deadLetters": len(letters)})
        return
    names = ("lane", "reason", "failureCode", "exceptionType", "count", "oldestAtUtc", "example")
    show.table(
        ("lane", "reason", "code", "exception", "count", "oldest", "example"),
        ([group[name] for name in names] for group in found),
    )


def letters_of(here: Here, lane: Lane | None, limit: int) -> list[DeadLetter]:
    named = dict(queues_of(here))
    return asyncio.run(here.queues.dead_letters(queues.lanes_of(lane, named), limit))


def _lane_flag(lane: Lane | None) -> str:
    return f" --lane {lane}" if lane is not None else ""
