"""Whose answers are judged: the offline rules, or the model that the app's own settings (``Agent__*``) name."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Final, Protocol

from mosaic_core.agents.runtime import OfflineAgent
from mosaic_core.config import AgentSettings
from mosaic_core.ports import ConversationAgent, LedgerAgent

OFFLINE: Final = "offline"
CONFIGURED: Final = "configured"
PROVIDERS: Final = (OFFLINE, "openai", "azure_openai", CONFIGURED)


class Judged(ConversationAgent, LedgerAgent, Protocol):
    """An agent of both kinds: it holds a conversation, and answers single questions."""


type Agents = Callable[[], AbstractAsyncContextManager[Judged]]
"""Opens an agent for one event loop, and closes it."""


@dataclass(frozen=True, slots=True)
class Provider:
    """``source`` is what stands behind the name: a rule set's version, or a model's."""

    name: str
    source: str
    agents: Agents


@asynccontextmanager
async def offline() -> AsyncIterator[Judged]:
    yield OfflineAgent()


def provider(name: str, environ: Mapping[str, str]) -> Provider:
    """One of `PROVIDERS`; ``configured`` is what Agent__Provider says. Nothing is opened yet.

    Raises `ConfigurationError` that names every setting that is missing or wrong.
    """
    if name == OFFLINE:
        return Provider(OFFLINE, OfflineAgent.source, offline)
    settings = AgentSettings.from_env(environ, None if name == CONFIGURED else name)
    if settings.provider == OFFLINE:
        return Provider(OFFLINE, OfflineAgent.source, offline)
    return Provider(settings.provider, f"{settings.provider}/{settings.model}", _model(settings))


def _model(settings: AgentSettings) -> Agents:
    @asynccontextmanager
    async def model() -> AsyncIterator[Judged]:
        from mosaic_core.adapters.credentials import AppToken
        from mosaic_core.agents.model import TOKEN_SCOPE, ModelAgent

        token = AppToken(TOKEN_SCOPE, settings.client_id) if settings.uses_identity else None
        agent = ModelAgent(settings, token)
        try:
            yield agent
        finally:
            await agent.close()
            if token is not None:
                await token.close()

    return model
