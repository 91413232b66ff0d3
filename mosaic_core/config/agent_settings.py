"""Who answers conversations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mosaic_core.config import table
from mosaic_core.config.reader import Reader
from mosaic_core.domain.errors import ConfigurationError


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSettings:
    """Which model answers conversations. ``provider`` is ``offline`` (rules, no model), ``openai`` or ``azure_openai``;
    ``endpoint`` is the provider's base URL or the Azure resource's, ``model`` the model's or the deployment's name. The
    key is never shown; without one, Azure is reached by the app's identity (``client_id``: a user-assigned one).

    ``timeout_seconds`` is for one request, ``run_seconds`` for all of one turn; rounds, tool calls and tokens are of
    one run, resumptions included. ``streaming``: answers come in pieces.
    """

    provider: str = table.AGENT_PROVIDER.default
    endpoint: str = ""
    model: str = ""
    api_version: str = ""
    api_key: str = field(default="", repr=False)
    client_id: str = ""
    timeout_seconds: int = table.AGENT_TIMEOUT_SECONDS.default
    run_seconds: int = table.AGENT_RUN_SECONDS.default
    max_retries: int = table.AGENT_MAX_RETRIES.default
    max_tool_calls: int = table.AGENT_MAX_TOOL_CALLS.default
    max_rounds: int = table.AGENT_MAX_ROUNDS.default
    max_output_tokens: int = table.AGENT_MAX_OUTPUT_TOKENS.default
    token_budget: int = table.AGENT_TOKEN_BUDGET.default
    streaming: bool = table.AGENT_STREAMING.default

    @property
    def uses_identity(self) -> bool:
        return self.provider == "azure_openai" and not self.api_key

    @classmethod
    def from_env(cls, environ: Mapping[str, str], provider: str | None = None) -> AgentSettings:
        """The settings of the agent alone, as `Settings.from_env` reads them; ``provider`` stands in for
        Agent__Provider. Raises `ConfigurationError` that names every fault."""
        name = table.AGENT_PROVIDER.name
        env = Reader({**environ, name: provider} if provider is not None else environ)
        settings = read(env)
        env.report_unknown()
        if env.faults:
            raise ConfigurationError(env.faults)
        return settings


def read(env: Reader) -> AgentSettings:
    faults = len(env.faults)
    provider = env.value(table.AGENT_PROVIDER)
    if len(env.faults) == faults:
        _report_names(env, provider)
    endpoint = env.value(table.AGENT_ENDPOINT)
    api_key, client_id = env.value(table.AGENT_API_KEY), env.value(table.AGENT_CLIENT_ID)
    if api_key and client_id and provider == "azure_openai":
        env.contradicts(
            table.AGENT_API_KEY.name, "contradicts Agent__ClientId", "set the key or the identity, not both"
        )
    model, deployment = env.value(table.AGENT_MODEL), env.value(table.AGENT_DEPLOYMENT)
    settings = AgentSettings(
        provider=provider,
        endpoint=endpoint,
        model=model or deployment,
        api_version=env.value(table.AGENT_API_VERSION),
        api_key=api_key,
        client_id=client_id,
        timeout_seconds=env.value(table.AGENT_TIMEOUT_SECONDS),
        run_seconds=env.value(table.AGENT_RUN_SECONDS),
        max_retries=env.value(table.AGENT_MAX_RETRIES),
        max_tool_calls=env.value(table.AGENT_MAX_TOOL_CALLS),
        max_rounds=env.value(table.AGENT_MAX_ROUNDS),
        max_output_tokens=env.value(table.AGENT_MAX_OUTPUT_TOKENS),
        token_budget=env.value(table.AGENT_TOKEN_BUDGET),
        streaming=env.value(table.AGENT_STREAMING),
    )
    if settings.timeout_seconds > settings.run_seconds:
        env.contradicts(
            table.AGENT_TIMEOUT_SECONDS.name, "is above Agent__RunSeconds", "lower the one or raise the other"
        )
    return settings


def _report_names(env: Reader, provider: str) -> None:
    """What the provider needs is there, and nothing that belongs to another one."""
    needed, allowed = table.PROVIDERS[provider]
    for setting in table.TABLE[table.MODEL]:
        text = env.text(setting.name)
        if setting in needed and not text:
            env.missing(setting, f" (Agent__Provider is {provider})")
        elif text and setting not in needed and setting not in allowed:
            env.contradicts(
                setting.name,
                f"contradicts Agent__Provider, which is {provider}",
                "remove the one or change the other",
            )
