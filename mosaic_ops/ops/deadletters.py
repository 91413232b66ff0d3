"""`dlq`: dead letters, looked at and never taken."""

from __future__ import annotations

from collections import Counter
from typing import Annotated

import typer

from mosaic_core.domain.lanes import Lane
from mosaic_ops.ops import diagnosis, findings, queues, show
from mosaic_ops.ops.api import Json
from mosaic_ops.ops.errors import OpsError
from mosaic_ops.ops.here import Here, JsonOption, LaneOption, LimitOption, dlq
from mosaic_ops.ops.letters import Letters
from mosaic_ops.ops.queues import DeadLetter
from mosaic_ops.ops.telling import tell_findings, tell_what_now


@dlq.command("list", epilog="Example: ./mosaic ops dlq list --lane conversation --limit 20")
def dlq_list(ctx: typer.Context, lane: LaneOption = None, limit: LimitOption = 50, json: JsonOption = False) -> None:
    """Dead letters, the oldest first of each lane. Peeks: no message is received, locked or counted as delivered."""
    letters = Letters(ctx.obj).of(lane, limit)
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
    found = Letters(ctx.obj).of(lane, queues.MOST, named=asked)
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
                ("replayed as", letter.replayed_as),
                ("queue", letter.queue),
                ("sequence number", letter.sequence_number),
                ("enqueued", letter.enqueued_at_utc),
                ("sent by", letter.sent_by or "the message names nobody"),
            ]
        )
        _tell_what_now(letter)


def _tell_what_now(letter: DeadLetter) -> None:
    ids = {"message": letter.message_id, "command": letter.command_id or letter.message_id, "run": letter.run_id}
    found = diagnosis.of_letter(letter.reason, letter.failure_code, **ids, lane=letter.lane)
    tell_what_now(found, "dlq show", len("sequence number"))


@dlq.command("groups", epilog="Example: ./mosaic ops dlq groups")
def dlq_groups(ctx: typer.Context, lane: LaneOption = None, json: JsonOption = False) -> None:
    """Dead letters by lane, reason, code and exception type: two causes are two groups. What each means and what to do;
    the one whose cause looks mended is last. --json has the groups' ids."""
    here: Here = ctx.obj
    found = Letters(here).groups(lane)
    if json:
        groups = [group.json() for group in found]
        show.as_json({"groups": groups, "deadLetters": sum(group.count for group in found)})
        return
    if not found:
        show.line("none")
        return
    last = {} if (lanes := _lanes(here)) is None else {one["lane"]: one["recent"]["lastSuccessAtUtc"] for one in lanes}
    told = [findings.of_group(group, last.get(group.lane)) for group in found]
    many = f"of {len(found)} causes: mend one, replay that group alone" if len(found) > 1 else "of one cause"
    show.line(f"{sum(group.count for group in found)} dead letters {many}")
    tell_findings(finding for finding, is_over in sorted(told, key=lambda one: one[1]))


def _lanes(here: Here) -> list[Json] | None:
    try:
        lanes: list[Json] = here.api.get("/ops/lanes")["lanes"]
    except OpsError:
        return None
    return lanes


def _lane_flag(lane: Lane | None) -> str:
    return f" --lane {lane}" if lane is not None else ""
