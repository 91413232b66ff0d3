"""One exchange with the agent, and how it lands in the conversation's state.

Whoever asks the agent holds the conversation meanwhile: within a process by the turnstile, across processes by the
conversation's row, which names the holder (If-Match). A holder counts while its key is reserved for that very attempt
and its lease runs; one that died is taken over.

A reply has effects only after it has landed: as a blob of its turn, written once, and in the conversation's row.
Whatever attempt or run comes later goes on from what landed, so a turn proposes one set of actions, however often it is
tried, and an agent is told once.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

from mosaic_core.domain import conversation
from mosaic_core.domain.conversation import Holder, Landing
from mosaic_core.domain.errors import LaneError, LeaseLostError, StoreUnreachableError
from mosaic_core.domain.lifecycle import KeyStatus
from mosaic_core.domain.records import Conversation, Turn
from mosaic_core.domain.transactions import Answer
from mosaic_core.lanes.context import LaneContext
from mosaic_core.lanes.conversation import sessions
from mosaic_core.lanes.conversation.sessions import Landed, Origin
from mosaic_core.lanes.conversation.turnstile import Turnstile, busy
from mosaic_core.ports import AgentReply, ETag, Stored

log = logging.getLogger(__name__)

TRIES: Final = 10
"""How often a lost race is answered by another try; each one lost is another message's progress."""

type History = tuple[tuple[str, str], ...]


class Exchange:
    """``turn_id`` is the run's id, or that of the decided proposals, which any run may go on with (``resumed``).
    ``question`` is empty where nobody asked."""

    def __init__(
        self,
        context: LaneContext,
        turnstile: Turnstile,
        household_id: str,
        conversation_id: str,
        *,
        turn_id: str,
        question: str = "",
        resumed: bool = False,
    ) -> None:
        self._context = context
        self._turnstile = turnstile
        self._household_id = household_id
        self._conversation_id = conversation_id
        self.turn_id = turn_id
        self._question = question
        self._resumed = resumed
        self._me = Holder(context.queue, context.envelope.command_id, context.attempt)
        self._state: Stored[Conversation] | None = None
        self._may_have_landed = resumed or context.attempt > 1
        self.goes_on = False
        """Whether the last reply had landed before: what came of it may be there as well."""
        self.origin = Origin(
            run_id=context.run_id,
            command_id=context.envelope.command_id,
            created_at=context.envelope.created_at,
        )
        """Mine, until a reply of this turn is found that landed before."""

    # ------------------------------------------------------------------------------------------------- one at a time

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """The conversation is this attempt's to ask the agent about. Raises BusyError where it is another's,
        LeaseLostError where a later attempt of this run was here."""
        async with self._turnstile.one_at_a_time(self._household_id, self._conversation_id):
            await self._acquire()
            try:
                yield
            except Exception:
                # not where the attempt was cut off: then nothing is written any more, and the lease tells
                try:
                    await self._release()
                except StoreUnreachableError:
                    log.warning("the conversation could not be let go; its holder's lease runs out by itself")
                raise
            await self._release()

    async def _acquire(self) -> None:
        for _ in range(TRIES):
            await self._read()
            state = self._state.value if self._state else None
            there = conversation.holder(state)
            if there == self._me:
                return
            if there is not None:
                await self._stand_back_for(there)
            if await self._write(conversation.held(state or self._empty(), self._me)):
                return
        raise _contended()

    async def _stand_back_for(self, there: Holder) -> None:
        """Returns where that holder is gone."""
        if (there.queue, there.command_id) == (self._me.queue, self._me.command_id):
            if there.attempt > self._me.attempt:
                raise LeaseLostError("a later attempt of this run works on the conversation")
            return
        stored = await self._context.stores.keys.read(there.queue, there.command_id)
        if stored is None or stored.value.status != KeyStatus.RESERVED or stored.value.attempt != there.attempt:
            return
        if stored.lease_left > 0:
            raise busy()

    async def _release(self) -> None:
        for _ in range(TRIES):
            state = self._state.value if self._state else None
            if state is None or conversation.holder(state) != self._me:
                return
            if await self._write(conversation.held(state, None)):
                return
            await self._read()
        # whoever writes in between sees a holder that its key tells is finished

    # -------------------------------------------------------------------------------------------------------- landing

    async def landed(self, number: int) -> Landed | None:
        """The turn's reply of that number, if one has landed."""
        own = conversation.own_turn(self._state.value if self._state else None, self.turn_id)
        stores, household_id = self._context.stores, self._household_id
        landed = None
        if self._may_have_landed or (own is not None and own.replies):
            landed = await sessions.landed_reply(stores, household_id, self.turn_id, number)
        if landed is None and own is not None:
            # of an earlier version, which kept them by the row alone
            origin = Origin(run_id=own.run_id, command_id=own.command_id, created_at=own.created_at)
            if len(own.replies) > number:
                landed = Landed(await sessions.get_reply(stores, household_id, own.replies[number]), origin)
            elif self._resumed and number == 0:
                landed = Landed(AgentReply(answer=_answer_of(own)), origin)
        if landed is not None and number == 0:
            self.origin = landed.origin
        return landed

    async def reply(self, number: int, ask: Callable[[History], Awaitable[AgentReply]]) -> AgentReply:
        """The agent's reply of that number (from 0): the one that landed, or a new one, once it has. While `held`.

        Raises LeaseLostError where a later attempt was here, BusyError where the hold was lost to another, LaneError
        ``conversation_contended`` after `TRIES` lost races, and what ``ask`` raises.
        """
        for _ in range(TRIES):
            landed = await self.landed(number)
            self.goes_on = landed is not None
            reply = landed.reply if landed is not None else await ask(self._history())
            # what has effects is told once whoever asks; a plain answer does no harm twice
            if landed is None and (self._may_have_landed or reply.proposals or reply.state):
                self._may_have_landed = True
                mine = Landed(reply, self.origin)
                landed = await sessions.land_reply(self._context.stores, self._household_id, self.turn_id, number, mine)
                reply = landed.reply
                self.goes_on = landed.origin != mine.origin
                if number == 0:
                    self.origin = landed.origin
            if await self._land(reply, number, is_last=not reply.proposals):
                return reply
            # taken over: what was said meanwhile belongs to the history
            await self._acquire()
        raise _contended()

    async def _land(self, reply: AgentReply, number: int, *, is_last: bool) -> bool:
        """False: the hold was lost. A last reply gives it back in the same write."""
        # what led to proposals, in order: a plain answer after them leaves them listed
        kept = number + bool(reply.proposals or reply.state)
        names = tuple(sessions.turn_blob(self._household_id, self.turn_id, f"reply-{n}") for n in range(kept))
        mine = self.origin.run_id == self._context.run_id
        for _ in range(TRIES):
            if conversation.holder(self._state.value if self._state else None) != self._me:
                return False
            # another run's turn that I go on with stays under that run's name
            attempt = self._context.attempt if mine else 0
            if await self._write_turn(reply.answer.text, names, attempt, release=is_last):
                return True
            await self._read()
        raise _contended()

    async def _write_turn(self, answer: str, replies: tuple[str, ...], attempt: int, *, release: bool) -> bool:
        """False: the race was lost; the state is to be read again."""
        origin, state = self.origin, self._state.value if self._state else None
        landing, changed = conversation.land(
            state,
            Turn(
                turn_id=self.turn_id,
                run_id=origin.run_id,
                attempt=attempt,
                command_id=origin.command_id,
                created_at=origin.created_at,
                question=self._question,
                answer=answer,
                replies=replies,
            ),
            household_id=self._household_id,
            conversation_id=self._conversation_id,
            now=self._context.now(),
        )
        changed = changed or state
        if changed is None or (landing != Landing.LANDED and not release):
            return True
        return await self._write(conversation.held(changed, None) if release else changed)

    # ---------------------------------------------------------------------------------------------------------- parts

    def _empty(self) -> Conversation:
        context = self._context
        return conversation.empty(
            self._household_id,
            self._conversation_id,
            run_id=context.run_id,
            attempt=context.attempt,
            now=context.now(),
        )

    async def _read(self) -> None:
        """Raises LeaseLostError where a later attempt of this run has written the turn."""
        self._state = await self._context.stores.conversations.read(self._household_id, self._conversation_id)
        own = conversation.own_turn(self._state.value if self._state else None, self.turn_id)
        if own is not None and own.run_id == self._context.run_id and own.attempt > self._context.attempt:
            raise LeaseLostError("a later attempt of this run has written the conversation's state")

    async def _write(self, changed: Conversation) -> bool:
        """False: somebody else wrote; the state is to be read again."""
        etag: ETag | None
        if self._state is None:
            etag = await self._context.stores.conversations.insert(changed)
        else:
            etag = await self._context.stores.conversations.update(changed, self._state.etag)
        if etag is None:
            return False
        self._state = Stored(changed, etag)
        return True

    def _history(self) -> History:
        envelope = self._context.envelope
        state = self._state.value if self._state else None
        return conversation.history(state, envelope.created_at, envelope.command_id)


def _answer_of(turn: Turn) -> Answer:
    """What a conversation's row knows of a plain answer."""
    return Answer(
        text=turn.answer,
        value=None,
        unit="",
        transaction_ids=(),
        confidence=1.0,
        outcome_code="answered",
        rationale="said before",
    )


def _contended() -> LaneError:
    return LaneError("other messages of this conversation came in between", code="conversation_contended")
