"""Replays: what an operator chooses is sent again under new command ids, once each, whoever dies in between.

For each message, in this order: its replay is claimed, audited, recorded, sent and acknowledged; then it counts; then
its dead-lettered copy is completed. The new id depends on the original and the generation alone, so that each of these
steps may be repeated. An operation goes on only while somebody asks it to advance: who stops asking stops it, and
nothing else.
"""

from __future__ import annotations

import asyncio
import json
import logging
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Final

from mosaic_core import telemetry
from mosaic_core.concurrency import each
from mosaic_core.domain import ids, signals
from mosaic_core.domain.envelope import PAYLOADS, Payload, decode
from mosaic_core.domain.errors import (
    Detail,
    MosaicError,
    PoisonError,
    QueueUnavailableError,
    RequestError,
    StoredRowError,
    StoreUnreachableError,
    TransientError,
    invalid_request,
)
from mosaic_core.domain.ids import clean
from mosaic_core.domain.lanes import RULES, Lane
from mosaic_core.domain.lifecycle import DecisionOutcome
from mosaic_core.domain.records import Command, Decision
from mosaic_core.domain.replay import (
    DEFAULT_RATE,
    FAILED,
    MOST_ITEMS,
    Replay,
    ReplayClaim,
    ReplayItem,
    ReplayState,
)
from mosaic_core.ports import (
    BrowsedMessage,
    Clock,
    DeadLetterDesk,
    DeadLetterSession,
    ETag,
    QueueBrowser,
    Stored,
    Stores,
)
from mosaic_core.services.browsing import PAGE, browsed
from mosaic_core.services.enqueue import EnqueueService
from mosaic_core.services.replay.letters import DeadLetter, letter_of
from mosaic_core.services.replay.reads import DeadLetterReads
from mosaic_core.services.replay.source import OTHER_REQUEST, REPLAYED, Refusal, Source, Sources, decoded
from mosaic_core.services.replay.views import (
    RefusedReplay,
    ReplayPlan,
    Replays,
    ReplayView,
    SampleReplay,
)

log = logging.getLogger(__name__)

PIECE_SECONDS: Final = 15.0
"""How long one request may drive an operation: well within a message's lock, and with its last batch within 20 s."""

LEASE: Final = timedelta(seconds=10)
"""How long whoever drives is taken for alive after the last word of theirs."""

BATCH: Final = 50
_FEWEST: Final = 50
AT_ONCE: Final = 8

CLEARED_AT_ONCE: Final = 200
"""Copies of a handful: each is looked at in three requests before it goes."""

LEFT_AFTER: Final = timedelta(minutes=7)
"""Beyond the longest lock that a queue can have: where none could be completed for so long they are left, and told."""

REFUSED_SHOWN: Final = 100
SAMPLES: Final = 20
LISTED_AT_MOST: Final = 200
_TRIES: Final = 8
_CLEAR_SECONDS: Final = 2.0
_CLEAR_UP_SECONDS: Final = 4.0
_POLICY: Final = "replay/1"
ACTION: Final = "replay"


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """One of three: ids (of commands, or of messages that never decoded), a group, or a filter. None of the filter's
    fields: any."""

    ids: tuple[str, ...] = ()
    group_id: str | None = None
    code: str | None = None
    reason: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    household_id: str | None = None

    def takes(self, letter: DeadLetter) -> bool:
        if self.ids:
            return bool({letter.command_id, letter.message_id} & set(self.ids))
        if self.group_id is not None:
            return letter.group_id == self.group_id
        return (
            self.code in (None, letter.code)
            and self.reason in (None, letter.reason)
            and self.household_id in (None, letter.household_id)
            and (self.since is None or (letter.enqueued_at is not None and letter.enqueued_at >= self.since))
            and (self.until is None or (letter.enqueued_at is not None and letter.enqueued_at <= self.until))
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayOrder:
    """What an operator asks for, and who: the token's subject. ``edit`` is an envelope as a JSON object."""

    lane: Lane
    selection: Selection
    reason: str
    requested_by: str
    root_cause: str | None = None
    confirm_lane: str | None = None
    force: bool = False
    rate: int = DEFAULT_RATE
    edit: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class _Chosen:
    """An item with its dead letter, where there is one."""

    item: ReplayItem
    letter: BrowsedMessage | None = None


@dataclass(frozen=True, slots=True)
class _Ready:
    """What is to be sent, as which command, of which generation."""

    source: Source
    command_id: str
    generation: int


@dataclass(frozen=True, slots=True)
class _Done:
    """Recorded by this very operation, before it died or lost an answer."""

    command: Command


class ReplayStoppedError(MosaicError):
    """Somebody else has the operation now, or it runs no more."""

    code = "replay_stopped"


@dataclass(frozen=True)
class ReplayService:
    """Raises `StoreUnreachableError` and `QueueUnavailableError` where one of them does not answer: what was done by
    then stays done, and the same again goes on. ``queues`` are the lanes' real names."""

    stores: Stores
    browser: QueueBrowser
    desk: DeadLetterDesk
    enqueue: EnqueueService
    clock: Clock
    queues: Mapping[Lane, str]
    new_id: Callable[[], str] = lambda: uuid.uuid4().hex
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep

    @cached_property
    def letters(self) -> DeadLetterReads:
        return DeadLetterReads(self.stores, self.browser, self.clock, self.queues)

    @cached_property
    def _sources(self) -> Sources:
        return Sources(self.stores, self.clock)

    # -------------------------------------------------------------------------------------------------------- asking

    async def plan(self, order: ReplayOrder) -> ReplayPlan:
        """What `begin` and then `advance` would do now. Nothing is written."""
        edit = _edit_of(order)
        total, refused, ready = 0, list[RefusedReplay](), list[SampleReplay]()
        changed: list[str] = []
        refused_count = 0

        async def judge(one: _Chosen) -> _Ready | Refusal:
            try:
                verdict = await self._judge(order.lane, one, "", order.force, edit, order.requested_by)
            except StoredRowError:
                return Refusal(FAILED)
            assert not isinstance(verdict, _Done), "nothing is its own before it has an id"
            return verdict

        will_replay = 0
        async for some in _in_tens(self._choose(order)):
            total += len(some)
            verdicts = await each(some, judge, at_once=AT_ONCE)
            for one, verdict in zip(some, verdicts, strict=True):
                if isinstance(verdict, Refusal):
                    refused_count += 1
                    if len(refused) < REFUSED_SHOWN:
                        refused.append(RefusedReplay(command_id=one.item.command_id, code=verdict.code))
                    continue
                will_replay += 1
                changed += verdict.source.changed
                if len(ready) < SAMPLES:
                    ready.append(_sample(one, verdict))
        _check_edit(order, total)
        return ReplayPlan(
            total=total,
            will_replay=will_replay,
            refused=refused,
            refused_count=refused_count,
            sample=ready,
            changed_fields=changed,
        )

    async def begin(self, order: ReplayOrder) -> ReplayView:
        """Write down what was chosen; nothing is sent before somebody asks it to advance.

        Raises `RequestError`: ``validation_failed`` where more than one message is meant and ``root_cause`` or the
        lane's own name in ``confirm_lane`` is missing, or an edit does not hold; ``not_found`` where nothing is
        meant."""
        edit = _edit_of(order)
        chosen = [one.item async for one in self._choose(order)]
        _check_edit(order, len(chosen))
        if not chosen:
            raise RequestError("not_found", "no dead letter of this lane, and no command of it, is meant by that")
        if len(chosen) > 1:
            _check_many(order)
        now, replay_id = self.clock.now(), self.new_id()
        blob = ""
        if edit is not None:
            blob = f"replays/{replay_id}"
            await self.stores.blobs.put(blob, json.dumps(order.edit, ensure_ascii=False).encode())
        replay_of = Replay(
            replay_id=replay_id,
            lane=order.lane,
            queue=self.queues[order.lane],
            state=ReplayState.RUNNING,
            total=len(chosen),
            rate=order.rate,
            force=order.force,
            reason=order.reason,
            root_cause=order.root_cause,
            requested_by=order.requested_by[:120],
            edit_blob=blob,
            created_at=now,
            updated_at=now,
        )
        await self.stores.replays.save_items(replay_id, chosen)
        await self._audit_operation(replay_of, "replay_begun", order.requested_by, now)
        if await self.stores.replays.insert(replay_of) is None:
            # its own insert, whose answer was lost
            return view_of((await self._read(replay_id)).value)
        log.info("a replay was asked for", extra={"replayId": replay_id, "subject": clean(order.requested_by)})
        return view_of(replay_of)

    async def one(self, replay_id: str) -> ReplayView:
        return view_of((await self._read(replay_id)).value)

    async def page(self, state: ReplayState | None, limit: int, after: str) -> Replays:
        found: list[Replay] = []
        looked_at, cursor = 0, None
        async for listed in self.stores.replays.listed(after=after):
            looked_at += 1
            stored = await self.stores.replays.read(listed.replay_id)
            if stored is not None and state in (None, stored.value.state):
                found.append(stored.value)
            if len(found) == limit or looked_at == LISTED_AT_MOST:
                cursor = listed.place
                break
        return Replays(as_of_utc=self.clock.now(), replays=[view_of(one) for one in found], next_cursor=cursor)

    async def abort(self, replay_id: str, operator: str) -> ReplayView:
        """No batch begins any more. One that is completed stays so."""
        return await self._turn(replay_id, ReplayState.RUNNING, ReplayState.ABORTED, operator)

    async def resume(self, replay_id: str, operator: str) -> ReplayView:
        return await self._turn(replay_id, ReplayState.ABORTED, ReplayState.RUNNING, operator)

    async def _turn(self, replay_id: str, before: ReplayState, after: ReplayState, operator: str) -> ReplayView:
        for _ in range(_TRIES):
            stored = await self._read(replay_id)
            if stored.value.state != before:
                return view_of(stored.value)
            now = self.clock.now()
            turned = replace(stored.value, state=after, updated_at=now)
            code = "replay_aborted" if after == ReplayState.ABORTED else "replay_resumed"
            await self._audit_operation(turned, code, operator, now)
            if await self.stores.replays.update(turned, stored.etag) is not None:
                log.info(
                    "a replay was turned", extra={"replayId": replay_id, "state": after, "subject": clean(operator)}
                )
                return view_of(turned)
        raise StoreUnreachableError("the operation is written to without end; repeat the request")

    async def _read(self, replay_id: str) -> Stored[Replay]:
        stored = await self.stores.replays.read(replay_id)
        if stored is None:
            raise RequestError("not_found", "there is no such replay")
        return stored

    # ------------------------------------------------------------------------------------------------------ choosing

    async def _choose(self, order: ReplayOrder) -> AsyncIterator[_Chosen]:
        """What is meant, in the order of the queue; then commands that have no dead letter, by their ids alone. A
        command that lies there twice is meant twice: both its copies go."""
        queue, wanted = self.queues[order.lane], order.selection
        there: set[str] = set()
        count = 0
        async for message in browsed(self.browser, queue, dead=True):
            letter = letter_of(order.lane, message)
            if not wanted.takes(letter):
                continue
            command_id = letter.command_id or nameless_id(queue, message)
            if wanted.ids:
                there |= {command_id, letter.message_id}
            yield _Chosen(ReplayItem(message.sequence_number, command_id), message)
            count += 1
            if count == MOST_ITEMS:
                return
        for asked in wanted.ids:
            command_id = ids.guid_or_empty(asked)
            if asked not in there and command_id and command_id not in there:
                there.add(command_id)
                yield _Chosen(ReplayItem(0, command_id))

    async def _judge(
        self,
        lane: Lane,
        one: _Chosen,
        replay_id: str,
        force: bool,
        edit: Payload | None,
        operator: str,
    ) -> _Ready | Refusal | _Done:
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
            return _Done(recorded)
        source = await self._sources.of(lane, queue, command_id, one.letter, force=force, edit=edit, operator=operator)
        if isinstance(source, Refusal):
            return source
        if mine is not None:
            return _Ready(source, mine.new_command_id, mine.generation)
        if newest is None:
            return _Ready(source, ids.replay_command_id(queue, command_id, 1), 1)
        if await self.stores.commands.read(newest.new_command_id) is None:
            # claimed by an operation that died before it recorded anything: the same command, by this one
            return _Ready(source, newest.new_command_id, newest.generation)
        if not force:
            return Refusal(REPLAYED, force=True)
        generation = newest.generation + 1
        return _Ready(source, ids.replay_command_id(queue, command_id, generation), generation)

    # --------------------------------------------------------------------------------------------------- advancing

    async def advance(self, replay_id: str, *, seconds: float = PIECE_SECONDS) -> ReplayView:
        """Do a bounded piece. Where it runs no more, or somebody else drives it, nothing is done."""
        stored = await self._read(replay_id)
        there, now = stored.value, self.clock.now()
        is_held = there.held_until is not None and now < there.held_until <= now + LEASE
        if there.state != ReplayState.RUNNING or is_held:
            return view_of(there)
        held = replace(there, holder=self.new_id(), held_until=now + LEASE)
        etag = await self.stores.replays.update(held, stored.etag)
        if etag is None:
            return view_of((await self._read(replay_id)).value)
        drive = _Drive(self, held, etag, now + timedelta(seconds=seconds))
        async with AsyncExitStack() as parts:
            drive.session = await parts.enter_async_context(self.desk.session(held.queue))
            try:
                await drive.run()
            except ReplayStoppedError:
                pass
            except Exception:
                await drive.let_go()
                raise
            await drive.let_go()
        return view_of((await self._read(replay_id)).value)

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

    async def send(self, replay_of: Replay, one: _Chosen, edit: Payload | None) -> str:
        """Replay one item. Returns its verdict: empty where its replay is recorded and acknowledged, else why not."""
        try:
            verdict = await self._judge(
                replay_of.lane, one, replay_of.replay_id, replay_of.force, edit, replay_of.requested_by
            )
            if isinstance(verdict, Refusal):
                return await self._refuse(replay_of, one, verdict.code)
            if isinstance(verdict, _Done):
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
        except (ReplayStoppedError, TransientError):
            raise
        except (MosaicError, ValueError) as error:
            code = error.code if isinstance(error, MosaicError) else type(error).__name__
            log.exception("a message cannot be replayed", extra={"commandId": one.item.command_id, "code": code})
            return await self._refuse(replay_of, one, FAILED)

    async def _send(self, replay_of: Replay, one: _Chosen, ready: _Ready) -> None:
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

    async def _close_signals(self, replay_of: Replay, one: _Chosen, new_command_id: str) -> None:
        """What asked for a person because the original failed asks for nobody any more: the new command speaks for
        itself. Once it is sent, and not before; whose word was first stands."""
        run_id = ids.run_id(replay_of.queue, one.item.command_id)
        about = [ids.failure_signal_id(run_id), ids.stalled_signal_id(run_id)]
        if one.letter is not None:
            letter = letter_of(replay_of.lane, one.letter)
            about.append(ids.rejected_message_signal_id(replay_of.queue, one.letter.message_id, letter.reason))
        note = f"replayed as {new_command_id}: {replay_of.reason}"
        for signal_id in about:
            for _ in range(_TRIES):
                stored = await self.stores.signals.read(signal_id)
                if stored is None or stored.value.is_resolved:
                    break
                done = signals.resolve(stored.value, by=replay_of.requested_by, note=note, now=self.clock.now())
                if await self.stores.signals.update(done, stored.etag) is not None:
                    break

    # ------------------------------------------------------------------------------------------------------ auditing

    async def _audit(self, replay_of: Replay, one: _Chosen, ready: _Ready) -> None:
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
                policy_version=_POLICY,
                confidence=1.0,
                decided_at=self.clock.now(),
            )
        )

    async def _refuse(self, replay_of: Replay, one: _Chosen, code: str) -> str:
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
                policy_version=_POLICY,
                confidence=1.0,
                decided_at=self.clock.now(),
            )
        )
        return code

    async def _audit_operation(self, replay_of: Replay, code: str, operator: str, now: datetime) -> None:
        """Each word on an operation is a row of its own, beside the operation's id."""
        scope = f"; cause: {replay_of.root_cause}" if replay_of.root_cause else ""
        first = code == "replay_begun"
        await self.stores.decisions.insert(
            Decision(
                decision_id=ids.derive("decision", replay_of.replay_id, code, "" if first else now.isoformat()),
                run_id=replay_of.replay_id,
                household_id="",
                actor=operator[:120],
                action=ACTION,
                outcome=DecisionOutcome.APPLIED,
                reason_code=code,
                rationale=f"{replay_of.lane}, {replay_of.total} messages: {replay_of.reason}{scope}"[:500],
                policy_version=_POLICY,
                confidence=1.0,
                decided_at=now,
            )
        )


class _Drive:
    """One caller's piece of an operation. ``etag`` is of the operation as this drive wrote it last."""

    session: DeadLetterSession

    def __init__(self, service: ReplayService, held: Replay, etag: ETag, until: datetime) -> None:
        self._service = service
        self._stores = service.stores
        self._now = service.clock.now
        self._replay, self._etag, self._until = held, etag, until
        self._planned: dict[int, str] | None = None
        self._looked_at: set[int] = set()
        self._refused: set[int] = set()

    async def run(self) -> None:
        edit = await self._service.edit_of(self._replay)
        while self._replay.position < self._replay.total:
            if not await self._pace():
                return
            await self._batch(edit)
        await self._clear_up()

    async def let_go(self) -> None:
        """The next caller need not wait. Where that fails, the lease ends by itself."""
        try:
            await self._save(lambda there: replace(there, held_until=None, holder=""))
        except (ReplayStoppedError, TransientError):
            log.debug("a replay's lease ends by itself")

    # ------------------------------------------------------------------------------------------------------- sending

    async def _pace(self) -> bool:
        """Wait until the rate allows more. False: that is not within this piece."""
        now = self._now()
        paced = self._replay.paced_until
        if paced is not None and now < paced <= now + timedelta(seconds=60):
            if paced >= self._until:
                return False
            await self._service.sleep((paced - now).total_seconds())
        return self._now() < self._until

    async def _batch(self, edit: Payload | None) -> None:
        replay_of, began = self._replay, self._now()
        count = max(1, min(BATCH, replay_of.rate))
        items = await self._stores.replays.items(replay_of.replay_id, replay_of.position, count)
        if not items:
            raise StoredRowError("the plan of this replay lacks a piece")
        letters = await self._letters(items)
        chosen = [_Chosen(item, letters.get(item.sequence_number)) for item in items]
        # one command's copies one after the other, or both would find that nobody has replayed it yet
        first = {one.item.command_id: one for one in reversed(chosen)}
        verdicts: dict[ReplayItem, str] = {}

        async def send(one: _Chosen) -> None:
            verdicts[one.item] = await self._service.send(replay_of, one, edit)

        await each(first.values(), send, at_once=AT_ONCE)
        for one in chosen:
            if one.item not in verdicts:
                await send(one)
        paced = began + timedelta(seconds=len(items) / replay_of.rate)
        told = [verdicts[item] for item in items]
        now = self._now()
        await self._save(
            lambda there: replace(
                there.after(told),
                paced_until=paced,
                updated_at=now,
                sent_at=now,
                held_until=now + LEASE,
            )
        )
        gone = {
            one.letter.sequence_number: one.letter.message_id
            for one in chosen
            if one.letter is not None and not verdicts[one.item]
        }
        await self._complete(gone)
        await self._complete_held()
        if self._replay.state != ReplayState.RUNNING:
            raise ReplayStoppedError("somebody else has the replay now, or it runs no more")

    def _dead(self, *, after: int, size: int = PAGE) -> AsyncIterator[BrowsedMessage]:
        return browsed(self._service.browser, self._replay.queue, dead=True, after=after, size=size)

    async def _letters(self, items: Sequence[ReplayItem]) -> dict[int, BrowsedMessage]:
        """Those of the items that are still there. Somebody may have taken one meanwhile: then its record is what is
        left, and enough."""
        wanted = {item.sequence_number for item in items if item.sequence_number}
        found: dict[int, BrowsedMessage] = {}
        if not wanted:
            return found
        size = max(len(wanted), _FEWEST)
        async for message in self._dead(after=min(wanted) - 1, size=size):
            if message.sequence_number in wanted:
                found[message.sequence_number] = message
            if message.sequence_number >= max(wanted):
                break
        return found

    async def _complete_held(self) -> None:
        """Copies that a process left which died lie before those of the batches to come, and would be in their way."""
        held = self.session.held
        if not held:
            return
        planned = await self._plan()
        numbers = [n for n in held if n in planned and n not in self._looked_at][:CLEARED_AT_ONCE]
        self._looked_at.update(numbers)
        letters = await self._letters([ReplayItem(number, planned[number]) for number in numbers])
        await self._complete(await self._replayed_of(list(letters.values()), planned))

    async def _complete(self, wanted: Mapping[int, str], seconds: float = _CLEAR_SECONDS) -> frozenset[int]:
        if not wanted:
            return frozenset()
        try:
            return await self.session.complete(wanted, seconds=seconds)
        except QueueUnavailableError as error:
            log.warning("dead-lettered copies are left for now", extra={"rationale": error.rationale})
            return frozenset()

    # ------------------------------------------------------------------------------------------------------ clearing

    async def _clear_up(self) -> None:
        """What was replayed goes from the dead-letter queue; copies that a dead process holds, when their lock ends."""
        while True:
            left = await self._left()
            gone = await self._complete(left, seconds=_CLEAR_UP_SECONDS)
            remaining = len(left.keys() - gone)
            now = self._now()
            sent = self._replay.sent_at or self._replay.created_at
            is_over = not remaining or now - sent > LEFT_AFTER
            if remaining and is_over:
                log.error("copies of replayed messages stay", extra={"replayId": self._replay.replay_id})
            # a full handful says nothing about what is behind it
            done = is_over and (len(left) < CLEARED_AT_ONCE or now - sent > LEFT_AFTER)
            await self._save(
                lambda there, remaining=remaining, done=done, now=now, moved=bool(gone): replace(  # type: ignore[misc]
                    there,
                    sent_at=now if moved else there.sent_at,
                    clearing=remaining,
                    state=ReplayState.COMPLETED if done else there.state,
                    held_until=now + LEASE,
                    updated_at=now,
                )
            )
            if done or self._replay.state != ReplayState.RUNNING or now >= self._until or not gone:
                return

    async def _left(self) -> dict[int, str]:
        """Dead letters of the plan that are replayed and still there: a handful, the first of them."""
        planned = await self._plan()
        left: dict[int, str] = {}
        some: list[BrowsedMessage] = []
        last = max(planned, default=0)
        async for message in self._dead(after=min(planned, default=0) - 1):
            if message.sequence_number > last or len(left) >= CLEARED_AT_ONCE:
                break
            if message.sequence_number in planned and message.sequence_number not in self._refused:
                some.append(message)
            if len(some) == BATCH:
                left |= await self._sorted(some)
                some = []
        return left | await self._sorted(some)

    async def _sorted(self, some: Sequence[BrowsedMessage]) -> dict[int, str]:
        """Those that are replayed; the others need no second look."""
        replayed = await self._replayed_of(some, await self._plan())
        self._refused.update(one.sequence_number for one in some if one.sequence_number not in replayed)
        return replayed

    async def _plan(self) -> dict[int, str]:
        """Command ids by the numbers of the dead letters that were chosen."""
        if self._planned is None:
            items = await self._stores.replays.items(self._replay.replay_id, 0, self._replay.total)
            self._planned = {item.sequence_number: item.command_id for item in items if item.sequence_number}
        return self._planned

    async def _replayed_of(self, letters: Sequence[BrowsedMessage], planned: Mapping[int, str]) -> dict[int, str]:
        """Those of them whose command is replayed, with their message ids."""

        async def is_replayed(message: BrowsedMessage) -> bool:
            return await self._is_replayed(planned[message.sequence_number], message)

        replayed = await each(letters, is_replayed, at_once=AT_ONCE)
        return {
            message.sequence_number: message.message_id
            for message, is_one in zip(letters, replayed, strict=True)
            if is_one
        }

    async def _is_replayed(self, command_id: str, message: BrowsedMessage) -> bool:
        """Whoever replayed it, as long as that is recorded; and it is that command's message, not another's under its
        id."""
        claims = await self._stores.replays.claims(self._replay.queue, command_id)
        for claim in claims:
            if await self._stores.commands.read(claim.new_command_id) is not None:
                break
        else:
            return False
        return bool(self._replay.edit_blob) or await self._service.is_of_its_record(
            self._replay.lane, command_id, message
        )

    # -------------------------------------------------------------------------------------------------------- saving

    async def _save(self, change: Callable[[Replay], Replay]) -> None:
        """Write on top of what is there, as long as this drive holds it: an abort in between stands."""
        for _ in range(_TRIES):
            changed = change(self._replay)
            etag = await self._stores.replays.update(changed, self._etag)
            if etag is not None:
                self._replay, self._etag = changed, etag
                return
            stored = await self._stores.replays.read(self._replay.replay_id)
            if stored is None or stored.value.holder != self._replay.holder:
                raise ReplayStoppedError("somebody else has the replay now, or it runs no more")
            if stored.value == changed:
                self._replay, self._etag = changed, stored.etag  # my own write, whose answer was lost
                return
            self._replay, self._etag = stored.value, stored.etag
        raise StoreUnreachableError("the operation is written to without end")


async def _in_tens(chosen: AsyncIterator[_Chosen]) -> AsyncIterator[list[_Chosen]]:
    """A few at a time: a queue's bodies are never there all at once."""
    some: list[_Chosen] = []
    async for one in chosen:
        some.append(one)
        if len(some) == BATCH:
            yield some
            some = []
    if some:
        yield some


def _sample(one: _Chosen, ready: _Ready) -> SampleReplay:
    return SampleReplay(
        command_id=one.item.command_id,
        new_command_id=ready.command_id,
        command_type=_type_of(ready.source.payload),
        household_id=ready.source.payload.household_id,
        sequence_number=one.item.sequence_number or None,
    )


def view_of(replay_of: Replay) -> ReplayView:
    return ReplayView(
        replay_id=replay_of.replay_id,
        state=replay_of.state.value,
        lane=replay_of.lane,
        total=replay_of.total,
        replayed=replay_of.replayed,
        refused=replay_of.refused,
        failed=replay_of.failed,
        remaining=replay_of.remaining,
        clearing=replay_of.clearing,
        refusals=replay_of.refused_by_code,
        rate_per_second=replay_of.rate,
        force=replay_of.force,
        edited=bool(replay_of.edit_blob),
        reason=replay_of.reason,
        root_cause=replay_of.root_cause,
        requested_by=clean(replay_of.requested_by),
        created_at_utc=replay_of.created_at,
        updated_at_utc=replay_of.updated_at,
    )


def nameless_id(queue: str, message: BrowsedMessage) -> str:
    """Stands for the command of a message that names none."""
    return ids.derive("nameless", queue, message.message_id, str(message.sequence_number))


def _type_of(payload: Payload) -> str:
    return next(kind for kind, model in PAYLOADS.items() if type(payload) is model)


def _check_many(order: ReplayOrder) -> None:
    missing = []
    if not order.root_cause:
        missing.append(Detail("rootCause", "is required where more than one message is replayed"))
    if order.confirm_lane != order.lane:
        missing.append(Detail("confirmLane", "has to be the lane's name where more than one message is replayed"))
    if missing:
        raise invalid_request(*missing)


def _check_edit(order: ReplayOrder, total: int) -> None:
    if order.edit is not None and total > 1:
        raise invalid_request(Detail("edit", "is of one message, and more are meant"))


def _edit_of(order: ReplayOrder) -> Payload | None:
    """The payload of the edited envelope, as the contract has it. Raises `RequestError` that names the field."""
    if order.edit is None:
        return None
    kind = order.edit.get("commandType")
    if kind not in set(RULES[order.lane].command_types):
        raise invalid_request(Detail("edit.commandType", "is none of the lane's"))
    try:
        envelope = decode(json.dumps(order.edit, ensure_ascii=False).encode("utf-8", "replace"), order.lane)
    except PoisonError as error:
        field, _, issue = error.rationale.partition(": ")
        raise invalid_request(Detail(f"edit.{field}" if issue else "edit", issue or error.rationale)) from None
    assert envelope.payload is not None
    return envelope.payload
