"""From any id to one command's story, as the tables tell it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from mosaic_core.concurrency import each, together
from mosaic_core.domain import ids
from mosaic_core.domain.errors import RequestError, StoredRowError
from mosaic_core.domain.ids import clean, normalise_guid
from mosaic_core.domain.lifecycle import CommandOrigin, KeyStatus, StageStatus
from mosaic_core.domain.records import Command, Decision, Run, Signal, Stage
from mosaic_core.domain.reservation import ATTEMPTS_EXHAUSTED
from mosaic_core.ports import StoredKey, Stores
from mosaic_core.services.operators import record_views
from mosaic_core.services.operators.operator_views import Trace, TraceEntry
from mosaic_core.services.operators.runs import AT_ONCE, RunReads, take

SEARCHED: Final = 200
"""Of the newest commands, so many are looked at for a correlation id that names no command."""

_COMMAND_OF: Final = re.compile(r"(?:.*:)?([0-9a-fA-F-]{32,36})", re.ASCII)


@dataclass
class _Story:
    """What was found of one command, and what the id that was asked for turned out to be."""

    found_as: list[str] = field(default_factory=list)
    command: Command | None = None
    command_id: str | None = None
    queue: str | None = None
    run: Run | None = None
    key: StoredKey | None = None
    stages: Sequence[Stage] = ()
    decisions: Sequence[Decision] = ()
    signals: dict[str, Signal] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)

    def add(self, signals: Iterable[Signal]) -> None:
        self.signals.update({signal.signal_id: signal for signal in signals})


@dataclass(frozen=True, slots=True)
class TraceReads:
    stores: Stores
    runs: RunReads

    async def of(self, asked: str) -> Trace:
        """Raises `RequestError` ``not_found`` where no table knows the id."""
        story = await self._find(asked)
        if not story.found_as:
            raise RequestError(
                "not_found",
                "no table knows this id, as a command's, a message's, a run's, a signal's or a correlation id of one "
                f"of the newest {SEARCHED} commands",
            )
        await self._complete(story)
        return self._told(asked, story)

    # ------------------------------------------------------------------------------------------------------- finding

    async def _find(self, asked: str) -> _Story:
        story = _Story()
        try:
            guid = normalise_guid(asked)
        except ValueError:
            guid = ""
        if guid:
            await self._by_guid(guid, story)
        elif (found := _COMMAND_OF.fullmatch(asked)) is not None:
            with suppress(ValueError):
                await self._by_guid(normalise_guid(found[1]), story)
            if story.found_as:
                story.found_as = ["correlation"]
        told = await self.stores.signals.about(guid or asked)
        if told:
            story.found_as.append("message" if any(_names(signal, guid or asked) for signal in told) else "command")
            story.add(told)
            self._from_signals(story, told)
        if not story.found_as:
            await self._search(asked, story)
        story.found_as = list(dict.fromkeys(story.found_as))
        return story

    async def _by_guid(self, guid: str, story: _Story) -> None:
        """A command, a run or a signal: each a point read, all at once."""
        queues = list(self.runs.queues.values())
        command, run, signal, of_queues = await together(
            self._command(guid),
            self._run(guid, story),
            self.stores.signals.read(guid),
            each(queues, lambda queue: self.runs.key(queue, guid), at_once=AT_ONCE),
        )
        if command is not None:
            story.found_as += ["command", "message"]
            story.command, story.command_id, story.queue = command, command.command_id, command.queue
        elif (key := next((key for key in of_queues if key is not None), None)) is not None:
            story.found_as += ["command", "message"]
            story.command_id, story.queue = key.value.command_id, key.value.queue
        elif run is not None:
            story.found_as.append("run")
            story.run, story.command_id, story.queue = run, run.command_id, run.queue
        elif signal is not None:
            story.found_as.append("signal")
            story.add([signal.value])
            self._from_signals(story, [signal.value])

    def _from_signals(self, story: _Story, told: Sequence[Signal]) -> None:
        """The command that they are about, unless it is known."""
        for signal in told:
            if story.command_id is None and signal.command_id is not None:
                story.command_id, story.queue = signal.command_id, signal.queue
            if story.queue is None:
                story.queue = signal.queue

    async def _search(self, asked: str, story: _Story) -> None:
        """A correlation id of a producer's own: among the newest commands, and no further."""
        listed = self.stores.commands.listed(list(self.runs.queues.values()))
        newest = [command async for command in take(listed, SEARCHED)]
        runs = [ids.run_id(command.queue, command.command_id) for command in newest]
        for run in await each(runs, lambda run_id: self._run(run_id, _Story()), at_once=AT_ONCE):
            if run is not None and asked in (run.correlation_id, clean(run.correlation_id)):
                story.found_as.append("correlation")
                story.run, story.command_id, story.queue = run, run.command_id, run.queue
                return

    async def _run(self, run_id: str, story: _Story) -> Run | None:
        try:
            stored = await self.stores.runs.read(run_id)
        except StoredRowError as error:
            story.missing.append(f"run {run_id} cannot be read by this version: {error.rationale}")
            return None
        return stored.value if stored is not None else None

    async def _command(self, command_id: str) -> Command | None:
        try:
            return await self.stores.commands.read(command_id)
        except StoredRowError:  # its envelope is gone; the rest of the story is not
            return None

    # ---------------------------------------------------------------------------------------------------- completing

    async def _complete(self, story: _Story) -> None:
        if story.command_id is None or story.queue is None:
            return
        run_id = ids.run_id(story.queue, story.command_id)
        if story.command is None:
            story.command = await self._command(story.command_id)
        key, run, about = await together(
            self.runs.key(story.queue, story.command_id),
            self._run(run_id, story),
            self.stores.signals.about(story.command_id),
        )
        story.key, story.run = key, run or story.run
        story.stages, signals, story.decisions = await together(
            self.stores.stages.of_run(run_id),
            self.stores.signals.of_run(run_id),
            self.stores.decisions.of_run(run_id),
        )
        story.add(about)
        story.add(signals)
        story.missing = [*story.missing, *_missing(story)]

    # ------------------------------------------------------------------------------------------------------- telling

    def _told(self, asked: str, story: _Story) -> Trace:
        run, command = story.run, story.command
        signals = sorted(story.signals.values(), key=lambda signal: (signal.raised_at, signal.signal_id))
        told = self.runs.told(run, story.key) if run is not None else None
        correlations = (run.correlation_id if run else None, *(signal.correlation_id for signal in signals))
        households = (
            command.household_id if command else None,
            run.household_id if run else None,
            *(signal.household_id for signal in signals),
        )
        return Trace(
            id=clean(asked),
            found_as=story.found_as,
            command_id=clean(story.command_id) if story.command_id else None,
            run_id=run.run_id if run is not None else None,
            correlation_id=next((clean(one) for one in correlations if one), None),
            household_id=next(filter(None, households), None),
            conversation_id=run.conversation_id if run is not None else None,
            queue=story.queue,
            trace_id=told.trace_id if told is not None else None,
            timeline=sorted(_timeline(story, signals), key=lambda entry: entry.at_utc),
            missing=story.missing,
            run=told,
            key=record_views.key_of(story.key) if story.key is not None else None,
            signals=[record_views.signal_of(signal) for signal in signals],
        )


def _names(signal: Signal, told: str) -> bool:
    return signal.message_id is not None and clean(signal.message_id) == clean(told)


def _timeline(story: _Story, signals: Sequence[Signal]) -> Iterable[TraceEntry]:
    command, run, key = story.command, story.run, story.key
    if command is not None:
        past_api = command.origin == CommandOrigin.PRODUCER
        what = "sent past the API by a listed producer" if past_api else "recorded, and enqueued after"
        yield TraceEntry(
            at_utc=command.recorded_at, source="AgentCommands", what=what, code=clean(command.command_type)
        )
    if key is not None:
        yield TraceEntry(at_utc=key.value.created_at, source="IdempotencyKeys", what="reserved by the first delivery")
    if run is not None:
        yield TraceEntry(at_utc=run.created_at, source="AgentRuns", what="run begun", attempt=1)
    for stage in story.stages:
        yield TraceEntry(
            at_utc=stage.started_at, source="AgentRunStages", what=f"stage {stage.name} begun", attempt=stage.attempt
        )
        yield TraceEntry(
            at_utc=stage.completed_at,
            source="AgentRunStages",
            what=f"stage {stage.name} {stage.status.value}",
            attempt=stage.attempt,
            code=stage.outcome_code,
            rationale=stage.outcome_rationale if stage.status == StageStatus.FAILED else None,
        )
    for decision in story.decisions:
        yield TraceEntry(
            at_utc=decision.decided_at,
            source="AgentDecisionAudit",
            what=f"{clean(decision.action)}: {decision.outcome.value}",
            code=decision.reason_code,
            ref=decision.decision_id,
        )
    for signal in signals:
        shown = record_views.signal_of(signal)
        yield TraceEntry(
            at_utc=signal.raised_at,
            source="AgentSignals",
            what=f"signal raised, {signal.severity.value}",  # of whichever attempt: later ones write it again
            code=signal.signal_code,
            rationale=shown.summary,
            ref=signal.signal_id,
        )
        if signal.resolved_at is not None:
            yield TraceEntry(
                at_utc=signal.resolved_at,
                source="AgentSignals",
                what=f"signal resolved by {clean(signal.resolved_by or '')}",
                attempt=signal.attempt,
                code=signal.signal_code,
                ref=signal.signal_id,
            )
    if run is not None and not run.is_final and run.next_attempt_at is not None:
        yield TraceEntry(
            at_utc=run.next_attempt_at,
            source="AgentRuns",
            what="the next attempt is due",
            attempt=run.attempt + 1,
            code=run.failure_code,
        )
    if run is not None and run.completed_at is not None:
        shown_run = record_views.run_of(run, {}, None)
        yield TraceEntry(
            at_utc=run.completed_at,
            source="AgentRuns",
            what=f"run {run.status.value}, final" + (", without another attempt" if _is_exhausted(run) else ""),
            attempt=None if _is_exhausted(run) else run.attempt,
            code=run.failure_code,
            rationale=shown_run.failure_rationale,
        )
    if key is not None and key.value.finalized_at is not None:
        end = "the message is a dead letter" if key.value.status == KeyStatus.REJECTED else "the message is completed"
        yield TraceEntry(
            at_utc=key.value.finalized_at,
            source="IdempotencyKeys",
            what=f"{key.value.status.value}; then {end}",
            attempt=None if run is not None and _is_exhausted(run) else key.value.attempt,
            code=key.value.resolution_code,
        )


def _is_exhausted(run: Run) -> bool:
    return run.failure_code == ATTEMPTS_EXHAUSTED


def _missing(story: _Story) -> list[str]:
    """In words for a person: what should be there, is not, and what that means."""
    command, run, key = story.command, story.run, story.key
    found = []
    if command is None:
        found.append(
            "no record in AgentCommands: the message was sent past the API, or its record was removed; what is not "
            "recorded is dead-lettered not_recorded"
        )
    if key is None and run is None and command is not None:
        found.append("no key and no run: no worker has begun it; it waits in its queue, or was never sent")
    elif key is None and run is not None:
        found.append("no key in IdempotencyKeys: removed after seven days, or by hand")
    elif key is not None and run is None:
        found.append("no run in AgentRuns: a process died between the two; the next delivery writes it")
    if run is None:
        return found
    stages = {stage.attempt for stage in story.stages}
    # the delivery that rejects what is exhausted is none
    ran = run.attempt - 1 if _is_exhausted(run) else run.attempt
    lacking = [str(n) for n in range(1, ran + (run.attempt_outcome is not None)) if n not in stages]
    if lacking:
        found.append(
            f"no stages of attempt {', '.join(lacking)}: a process died, or an outage, a drain or a busy conversation "
            "ended it"
        )
    if key is not None and run.is_final and key.value.status == KeyStatus.RESERVED:
        found.append("the run is final and its key is Reserved: a process died between; the next delivery settles it")
    if run.is_final and run.status.value == "NeedsReview" and not story.signals:
        found.append("no signal of a run that needs review")
    return found
