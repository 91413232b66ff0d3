"""What operators are shown of dead letters and replays, as pydantic models: ids and codes only."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mosaic_core.domain.lanes import Lane
from mosaic_core.services.views import Cursor, Id, UtcTime, View


class DeadLetterView(View):
    """One dead letter, as it lies in its queue: looked at, not received."""

    lane: Lane
    queue: str
    sequence_number: int
    message_id: str
    command_id: str | None = Field(description="Null where the message names none.")
    command_type: str | None
    correlation_id: str | None
    run_id: str | None
    attempt: int | None = Field(description="The last one; null where the message never was a command's attempt.")
    household_id: str | None
    dead_letter_reason: str
    code: str | None = Field(description="The failure code; null where the worker did not write the description.")
    rationale: str | None
    exception_type: str | None
    group_id: Id
    enqueued_at_utc: UtcTime | None
    dead_lettered_at_utc: UtcTime | None = Field(description="Null: the broker does not keep it.")
    delivery_count: int
    replayed_as: str | None = Field(description="The newest command that replays it, where there is one.")
    sent_by: str | None = Field(description="As the message names its sender: `name=value`; null where it names none.")


class DeadLetters(View):
    """Lane by lane, the oldest of each first."""

    as_of_utc: UtcTime
    dead_letters: list[DeadLetterView]
    looked_at: int = Field(description="Dead letters that were looked at for this page.")
    next_cursor: Cursor


class DeadLetterGroup(View):
    """Dead letters of one lane, reason, code and exception type. `groupId` stays the same from look to look."""

    group_id: Id
    lane: Lane
    reason: str
    code: str | None
    exception_type: str | None
    count: int
    oldest_at_utc: UtcTime | None
    newest_at_utc: UtcTime | None
    sample_command_ids: list[str]
    newest_message_id: str
    rationale: str | None = Field(description="Of the newest: the worker's own words.")
    sent_by: str | None = Field(description="Of the newest: as it names its sender.")


class DeadLetterGroups(View):
    as_of_utc: UtcTime
    groups: list[DeadLetterGroup]
    complete: bool = Field(description="False: a queue has more than were looked at.")


class ReplayView(View):
    """A replay operation. It goes on only while somebody asks it to advance. ``total`` messages were chosen when it was
    made; ``replayed``, ``refused`` and ``failed`` say what became of them, ``remaining`` is what is left to do.
    ``clearing``: dead-lettered copies of what was replayed that are still to be completed."""

    replay_id: Id
    state: Literal["running", "aborted", "completed"]
    lane: Lane
    total: int
    replayed: int
    refused: int
    failed: int
    remaining: int
    clearing: int
    refusals: dict[str, int] = Field(description="How many were refused, by code.")
    rate_per_second: int
    force: bool
    edited: bool
    reason: str
    root_cause: str | None
    requested_by: str
    created_at_utc: UtcTime
    updated_at_utc: UtcTime


class Replays(View):
    """Newest first."""

    as_of_utc: UtcTime
    replays: list[ReplayView]
    next_cursor: Cursor


class RefusedReplay(View):
    command_id: str
    code: str


class SampleReplay(View):
    """What would be sent for one of them."""

    command_id: str
    new_command_id: Id
    command_type: str
    household_id: str | None
    sequence_number: int | None = Field(description="Of its dead letter; null where it has none.")


class ReplayPlan(View):
    """What would happen; nothing was written."""

    dry_run: Literal[True] = True
    total: int
    will_replay: int
    refused: list[RefusedReplay] = Field(description="The first 100 of them.")
    refused_count: int
    sample: list[SampleReplay] = Field(description="The first 20 of what would be replayed.")
    changed_fields: list[str] = Field(description="Of an edit: names of the fields that differ.")
