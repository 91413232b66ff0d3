"""The model-driven agent as the lanes see it. Light: the framework is loaded with the first turn."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Final

from mosaic_core.config import AgentSettings
from mosaic_core.domain.transactions import Answer, Transaction
from mosaic_core.ports import AgentReply, AgentTurn

if TYPE_CHECKING:
    from mosaic_core.agents.model.model_turn import Runtime


VERSION: Final = "model-agent/1"
"""Of instructions, tools and checks together; change it with them."""

TOKEN_SCOPE: Final = "https://cognitiveservices.azure.com/.default"  # noqa: S105 - a scope, no secret
"""What tokens of the app's identity are asked for."""


class ModelAgent:
    """A `ports.ConversationAgent`, and a `ports.LedgerAgent` for single questions.

    ``token_provider`` gives bearer tokens of the app's identity where `AgentSettings.uses_identity`. One instance
    serves one event loop. Nothing is executed here: proposals come back as values.
    """

    resumes_over_ledger = True

    def __init__(self, settings: AgentSettings, token_provider: Callable[[], Awaitable[str]] | None = None) -> None:
        self._settings = settings
        self._token_provider = token_provider
        self._loading: asyncio.Task[Runtime] | None = None

    @property
    def name(self) -> str:
        return self._settings.provider

    @property
    def source(self) -> str:
        return f"{self._settings.provider}/{self._settings.model}; {VERSION}"

    async def respond(self, turn: AgentTurn) -> AgentReply:
        """Raises `LaneError` ``agent_runtime_unavailable`` where the provider does not answer, and
        ``agent_request_refused`` where it refuses the request itself."""
        return await (await self._runtime()).respond(turn)

    async def resume(self, state: str, results: Mapping[str, str], turn: AgentTurn) -> AgentReply:
        """As `respond`; ``turn`` is of the run that ``state`` came from, and ``results`` has one text for each of its
        proposals. Raises `LaneError` ``agent_state_invalid`` where either does not hold."""
        return await (await self._runtime()).resume(state, results, turn)

    async def answer(self, question: str, transactions: Sequence[Transaction], *, as_of: date) -> Answer:
        """One question outside of any conversation."""
        return (await self.respond(AgentTurn.alone(question, transactions, as_of))).answer

    async def close(self) -> None:
        if self._loading is not None:
            await (await self._loading).close()

    async def _runtime(self) -> Runtime:
        if self._loading is None:
            self._loading = asyncio.create_task(self._load())
        try:
            return await asyncio.shield(self._loading)
        except Exception:
            self._loading = None  # the next turn tries again
            raise

    async def _load(self) -> Runtime:
        def load() -> type[Runtime]:
            from mosaic_core.agents.model.model_turn import Runtime

            return Runtime

        # more than a second of imports, on a thread: deliveries under way renew their leases meanwhile
        runtime = await asyncio.to_thread(load)
        return runtime(self._settings, self._token_provider)
