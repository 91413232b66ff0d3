"""One item of a replay: judged, audited, recorded, sent. Each of these may be repeated; the new id depends on the
original and the generation alone."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from mosaic_core import telemetry
from mosaic_core.domain import ids, signals
from mosaic_core.domain.envelope import Payload, decode
from mosaic_core.domain.errors import MosaicError, StoredRowError, TransientError
from mosaic_core.domain.lanes import Lane
from mosaic_core.domain.lifecycle import DecisionOutcome
from mosaic_core.domain.records import Command, Decision
from mosaic_core.domain.replay import FAILED, Replay, ReplayClaim, ReplayItem
from mosaic_core.ports import BrowsedMessage, Clock, Stores
from mosaic_core.services.enqueue import EnqueueService
from mosaic_core.services.replay.letter_headers import letter_of
from mosaic_core.services.replay.source import OTHER_REQUEST, REPLAYED, Refusal, Source, Sources, decoded

log = logging.getLogger(__name__)

POLICY: Final = "replay/1"
ACTION: Final = "replay"

TRIES: Final = 8
"""Of a write that others may be ahead of."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """An item with its dead letter, where there is one."""

    item: ReplayItem
    letter: BrowsedMessage | None = None


@dataclass(frozen=True, slots=True)
class Ready:
    """What is to be sent, as which command, of which generation."""

    source: Source
    command_id: str
    generation: int


@dataclass(frozen=True, slots=True)
class Done:
    """Recorded by this very operation, before it died or lost an answer."""

    command: Command


@dataclass(frozen=True)
class Sending:
    """Raises `StoreUnreachableError` and `QueueUnavailableError` where one of them does not answer: what was done by
    then stays done, and the same again goes on."""

    stores: Stores
    enqueue: EnqueueService
    clock: Clock
    queues: Mapping[Lane, str]

    @cached_property
    def _sources(self) -> Sources:
        return Sources(self.stores, self.clock)

    async def judge(
        self,
        lane: Lane,
        one: Chosen,
        replay_id: str,
        force: bool,
        edit: Payload | None,
        operator: str,
    ) -> Ready | Refusal | Done:
        """``replay_id``: a claim of that operation is its own. Nothing is written."""
        queue, command_id = self.queues[lane], one.item.command_id
        claims = await self.stores.replays.claims(queue, command_id)
        newest = claims[-1] if claims else None
        mine = next((claim for claim in claims if claim.replay_id == replay_id), None)
        if mine is not None and (recorded := await self.stores.commands.read(mine.new_command_id)) is not None:
            if (
                edit is None
                and one.letter is not None
                and not await self.is_of_its_record(lane, command_id, one.letter)
            ):
                return Refusal(OTHER_REQUEST)
            return Done(recorded)
        source = await self._sources.of(lane, queue, command_id, one.letter, force=force, edit=edit, operator=operator)
        if isinstance(source, Refusal):
            return source
        if mine is not None:
            return Ready(source, mine.new_command_id, mine.generation)
        if newest is None:
            return Ready(source, ids.replay_command_id(queue, command_id, 1), 1)
        if await self.stores.commands.read(newest.new_command_id) is None:
            # claimed by an operation that died before it recorded anything: the same command, by this one
            return Ready(source, newest.new_command_id, newest.generation)
        if not force:
            return Refusal(REPLAYED, force=True)
        generation = newest.generation + 1
        return Ready(source, ids.replay_command_id(queue, command_id, generation), generation)

    async def edit_of(self, replay_of: Replay) -> Payload | None:
        if not replay_of.edit_blob:
            return None
        data = await self.stores.blobs.get(replay_of.edit_blob)
        if data is None:
            raise StoredRowError("the envelope that this replay was asked to send is gone")
        return decode(data, replay_of.lane).payload

    async def is_of_its_record(self, lane: Lane, command_id: str, message: BrowsedMessage) -> bool:
        sent = await decoded(message, lane)
        if sent is None:
            return False
        record = await self.stores.commands.read(command_id)
        return record is None or record.request_hash == sent.request_hash

    async def send(self, replay_of: Replay, one: Chosen, edit: Payload | None) -> str:
        """Replay one item. Returns its verdict: empty where its replay is recorded and acknowledged, else why not."""
        try:
            verdict = await self.judge(
                replay_of.lane, one, replay_of.replay_id, replay_of.force, edit, replay_of.requested_by
            )
            if isinstance(verdict, Refusal):
                return await self._refuse(replay_of, one, verdict.code)
            if isinstance(verdict, Done):
                await self.enqueue.send_again(verdict.command)
                await self._close_signals(replay_of, one, verdict.command.command_id)
                return ""
            # one that is claimed before: by me, by one that died, or by another at the same moment. It is the same
            # command then, whoever sends it
            await self.stores.replays.claim(
                ReplayClaim(
                    queue=replay_of.queue,
                    command_id=one.item.command_id,
                    generation=verdict.generation,
                    new_command_id=verdict.command_id,
                    replay_id=replay_of.replay_id,
                    claimed_at=self.clock.now(),
                )
            )
            await self._send(replay_of, one, verdict)
            await self._close_signals(replay_of, one, verdict.command_id)
            return ""
        except TransientError:
            raise
        except (MosaicError, ValueError) as error:
            code = error.code if isinstance(error, MosaicError) else type(error).__name__
            log.exception("a message cannot be replayed", extra={"commandId": one.item.command_id, "code": code})
            return await self._refuse(replay_of, one, FAILED)

    async def _send(self, replay_of: Replay, one: Chosen, ready: Ready) -> None:
        source, original = ready.source, one.item.command_id
        with telemetry.span(
            "runtime.command.replay",
            service=telemetry.API,
            stranger=source.trace,
            attributes={"mosaic.replay.of": original, "mosaic.replay.id": replay_of.replay_id},
        ):
            await self._audit(replay_of, one, ready)
            await self.enqueue.enqueue_replay(
                ready.command_id,
                original,
                source.payload,
                subject=source.subject,
                properties=source.properties,
            )

    async def _close_signals(self, replay_of: Replay, one: Chosen, new_command_id: str) -> None:
        """What asked for a person because the original failed asks for nobody any more: the new command speaks for
        itself. Once it is sent, and not before; whose word was first stands."""
        run_id = ids.run_id(replay_of.queue, one.item.command_id)
        about = [ids.failure_signal_id(run_id), ids.stalled_signal_id(run_id)]
        if one.letter is not None:
            letter = letter_of(replay_of.lane, one.letter)
            about.append(ids.rejected_message_signal_id(replay_of.queue, one.letter.message_id, letter.reason))
        note = f"replayed as {new_command_id}: {replay_of.reason}"
        for signal_id in about:
            for _ in range(TRIES):
                stored = await self.stores.signals.read(signal_id)
                if stored is None or stored.value.is_resolved:
                    break
                done = signals.resolve(stored.value, by=replay_of.requested_by, note=note, now=self.clock.now())
                if await self.stores.signals.update(done, stored.etag) is not None:
                    break

    # ------------------------------------------------------------------------------------------------------ auditing

    async def _audit(self, replay_of: Replay, one: Chosen, ready: Ready) -> None:
        """Before anything is sent; by the new command, so that it is there once however often this is done."""
        changed = f"; edited: {', '.join(ready.source.changed)}" if replay_of.edit_blob else ""
        run_id = ids.run_id(replay_of.queue, one.item.command_id)
        await self.stores.decisions.insert(
            Decision(
                decision_id=ids.derive("decision", run_id, ACTION, ready.command_id),
                run_id=run_id,
                household_id=ready.source.payload.household_id,
                actor=replay_of.requested_by[:120],
                action=ACTION,
                outcome=DecisionOutcome.APPLIED,
                reason_code="replayed",
                rationale=f"as {ready.command_id} by {replay_of.replay_id}{changed}; {replay_of.reason}"[:500],
                policy_version=POLICY,
                confidence=1.0,
                decided_at=self.clock.now(),
            )
        )

    async def _refuse(self, replay_of: Replay, one: Chosen, code: str) -> str:
        run_id = ids.run_id(replay_of.queue, one.item.command_id)
        await self.stores.decisions.insert(
            Decision(
                decision_id=ids.derive("decision", run_id, ACTION, replay_of.replay_id, str(one.item), code),
                run_id=run_id,
                household_id="",
                actor=replay_of.requested_by[:120],
                action=ACTION,
                outcome=DecisionOutcome.REJECTED,
                reason_code=code,
                rationale=f"not replayed by {replay_of.replay_id}; {replay_of.reason}"[:500],
                policy_version=POLICY,
                confidence=1.0,
                decided_at=self.clock.now(),
            )
        )
        return code
