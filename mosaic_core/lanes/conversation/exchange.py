"""One run's exchange with the agent, and how it lands in the conversation's state.

A reply has effects only after it has landed: its blob is named in the conversation's row, If-Match. Whatever attempt
comes later goes on from the replies that landed, so a run proposes one set of actions, however often it is tried. Who
loses the race to write re-reads, and asks the agent again with what was said meanwhile.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from mosaic_core.domain import conversation
from mosaic_core.domain.conversation import Landing
from mosaic_core.domain.errors import LaneError, LeaseLostError, MosaicError
from mosaic_core.domain.records import Conversation, Turn
from mosaic_core.lanes.context import LaneContext
from mosaic_core.lanes.conversation import sessions
from mosaic_core.ports import AgentReply, Stored

TRIES: Final = 10
"""How often a lost race is answered by another try; each one lost is another message's progress."""

type History = tuple[tuple[str, str], ...]


class TakenError(MosaicError):
    """Another run has given this exchange its outcome."""

    code = "resumed_elsewhere"


class Exchange:
    """``turn_id`` is the run's id, or that of the decided proposals. ``question`` is empty where nobody asked."""

    def __init__(
        self, context: LaneContext, household_id: str, conversation_id: str, *, turn_id: str, question: str
    ) -> None:
        self._context = context
        self._household_id = household_id
        self._conversation_id = conversation_id
        self._turn_id = turn_id
        self._question = question
        self._state: Stored[Conversation] | None = None
        self._is_read = False

    async def reply(
        self, number: int, ask: Callable[[History], Awaitable[AgentReply]], *, depends_on_history: bool
    ) -> AgentReply:
        """The agent's reply of that number (from 0): the one that landed, or a new one, once it has.

        Raises LeaseLostError where a later attempt was here, TakenError where another run was, LaneError
        ``conversation_contended`` after `TRIES` lost races, and what ``ask`` raises.
        """
        reply: AgentReply | None = None
        for _ in range(TRIES):
            own = await self._own()
            if own is not None and len(own.replies) > number:
                return await sessions.get_reply(self._context.stores, self._household_id, own.replies[number])
            if reply is None or depends_on_history:
                reply = await ask(self._history())
            replies = own.replies[:number] if own is not None else ()
            if reply.proposals or reply.state:
                name = await sessions.put_reply(self._context.stores, self._household_id, reply)
                replies = (*replies, name)
            if await self._land(reply.answer.text, replies):
                return reply
        raise LaneError("other messages of this conversation came in between", code="conversation_contended")

    async def say(self, answer: str) -> None:
        """Land an answer that no agent gave."""
        for _ in range(TRIES):
            own = await self._own()
            if await self._land(answer, own.replies if own is not None else ()):
                return
        raise LaneError("other messages of this conversation came in between", code="conversation_contended")

    async def _own(self) -> Turn | None:
        if not self._is_read:
            self._state = await self._context.stores.conversations.read(self._household_id, self._conversation_id)
            self._is_read = True
        own = conversation.own_turn(self._state.value if self._state else None, self._turn_id)
        if own is not None and own.run_id != self._context.run_id:
            raise TakenError("another decision's run has told the agent already")
        if own is not None and own.attempt > self._context.attempt:
            raise LeaseLostError("a later attempt of this run has written the conversation's state")
        return own

    def _history(self) -> History:
        envelope = self._context.envelope
        state = self._state.value if self._state else None
        return conversation.history(state, envelope.created_at, envelope.command_id)

    async def _land(self, answer: str, replies: tuple[str, ...]) -> bool:
        """False: the race was lost; what is there is read again."""
        context, stores = self._context, self._context.stores
        landing, changed = conversation.land(
            self._state.value if self._state else None,
            Turn(
                turn_id=self._turn_id,
                run_id=context.run_id,
                attempt=context.attempt,
                command_id=context.envelope.command_id,
                created_at=context.envelope.created_at,
                question=self._question,
                answer=answer,
                replies=replies,
            ),
            household_id=self._household_id,
            conversation_id=self._conversation_id,
            now=context.now(),
        )
        if landing == Landing.UNCHANGED:
            return True
        assert changed is not None, "what stands against it was looked at when the state was read"
        if self._state is None:
            etag = await stores.conversations.insert(changed)
        else:
            etag = await stores.conversations.update(changed, self._state.etag)
        if etag is None:
            self._is_read = False
            return False
        self._state = Stored(changed, etag)
        return True
