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
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Final

from mosaic_core.concurrency import each
from mosaic_core.domain import ids
from mosaic_core.domain.envelope import PAYLOADS, Payload, decode
from mosaic_core.domain.errors import (
    Detail,
    PoisonError,
    RequestError,
    StoredRowError,
    StoreUnreachableError,
    invalid_request,
)
from mosaic_core.domain.ids import clean
from mosaic_core.domain.lanes import RULES, Lane
from mosaic_core.domain.lifecycle import DecisionOutcome
from mosaic_core.domain.records import Decision
from mosaic_core.domain.replay import (
    DEFAULT_RATE,
    FAILED,
    MOST_ITEMS,
    Replay,
    ReplayItem,
    ReplayState,
)
from mosaic_core.ports import (
    BrowsedMessage,
    Clock,
    DeadLetterDesk,
    QueueBrowser,
    Stored,
    Stores,
)
from mosaic_core.services.browsing import browsed
from mosaic_core.services.enqueue import EnqueueService
from mosaic_core.services.replay.dead_letter_reads import DeadLetterReads
from mosaic_core.services.replay.driving import AT_ONCE, BATCH, LEASE, Drive, ReplayStoppedError
from mosaic_core.services.replay.letter_headers import DeadLetter, letter_of
from mosaic_core.services.replay.replay_views import (
    RefusedReplay,
    ReplayPlan,
    Replays,
    ReplayView,
    SampleReplay,
)
from mosaic_core.services.replay.sending import ACTION, POLICY, TRIES, Chosen, Done, Ready, Sending
from mosaic_core.services.replay.source import Refusal

log = logging.getLogger(__name__)

PIECE_SECONDS: Final = 15.0
"""How long one request may drive an operation: well within a message's lock, and with its last batch within 20 s."""

REFUSED_SHOWN: Final = 100
SAMPLES: Final = 20
LISTED_AT_MOST: Final = 200


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
    def _sending(self) -> Sending:
        return Sending(self.stores, self.enqueue, self.clock, self.queues)

    # -------------------------------------------------------------------------------------------------------- asking

    async def plan(self, order: ReplayOrder) -> ReplayPlan:
        """What `begin` and then `advance` would do now. Nothing is written."""
        edit = _edit_of(order)
        total, refused, ready = 0, list[RefusedReplay](), list[SampleReplay]()
        changed: list[str] = []
        refused_count = 0

        async def judge(one: Chosen) -> Ready | Refusal:
            try:
                verdict = await self._sending.judge(order.lane, one, "", order.force, edit, order.requested_by)
            except StoredRowError:
                return Refusal(FAILED)
            assert not isinstance(verdict, Done), "nothing is its own before it has an id"
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
        for _ in range(TRIES):
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

    async def _choose(self, order: ReplayOrder) -> AsyncIterator[Chosen]:
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
            yield Chosen(ReplayItem(message.sequence_number, command_id), message)
            count += 1
            if count == MOST_ITEMS:
                return
        for asked in wanted.ids:
            command_id = ids.guid_or_empty(asked)
            if asked not in there and command_id and command_id not in there:
                there.add(command_id)
                yield Chosen(ReplayItem(0, command_id))

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
        drive = Drive(self._sending, self.browser, self.sleep, held, etag, now + timedelta(seconds=seconds))
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
                policy_version=POLICY,
                confidence=1.0,
                decided_at=now,
            )
        )


async def _in_tens(chosen: AsyncIterator[Chosen]) -> AsyncIterator[list[Chosen]]:
    """A few at a time: a queue's bodies are never there all at once."""
    some: list[Chosen] = []
    async for one in chosen:
        some.append(one)
        if len(some) == BATCH:
            yield some
            some = []
    if some:
        yield some


def _sample(one: Chosen, ready: Ready) -> SampleReplay:
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
