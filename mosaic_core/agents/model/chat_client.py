"""The provider's chat client, made of settings alone. Imports the SDKs: load when first needed.

Chat Completions, since it keeps nothing at the provider: each request carries the whole conversation. Nothing is read
from the environment: keys, endpoints, organisations, extra headers and proxies that it names are not ours.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import openai
from agent_framework import ChatResponse, ChatResponseUpdate, Message, ResponseStream
from agent_framework.exceptions import ChatClientException
from agent_framework.observability import enable_instrumentation
from agent_framework.openai import OpenAIChatCompletionClient

from mosaic_core.config import AgentSettings
from mosaic_core.domain.errors import MosaicError

type TokenProvider = Callable[[], Awaitable[str]]
"""Gives a bearer token for the provider, fresh enough for one request."""


class IdentityError(MosaicError):
    """The app's identity gave no token."""

    code = "identity_refused"


class CutShortError(MosaicError):
    """A streamed answer ended before it said that it was finished."""

    code = "answer_cut_short"


class StreamedChatClient(OpenAIChatCompletionClient[Any]):
    """Asks for each answer in pieces and hands on the whole: for providers and gateways between that drop a connection
    on which nothing comes for long."""

    def _inner_get_response(
        self, *, messages: Sequence[Message], options: Mapping[str, Any], stream: bool = False, **kwargs: Any
    ) -> Awaitable[ChatResponse] | ResponseStream[ChatResponseUpdate, ChatResponse]:
        pieces = super()._inner_get_response(messages=messages, options=options, stream=True, **kwargs)
        assert isinstance(pieces, ResponseStream), "asked for a stream"
        return pieces if stream else _whole(pieces)


async def _whole(pieces: ResponseStream[ChatResponseUpdate, ChatResponse]) -> ChatResponse:
    response = await pieces.get_final_response()
    if response.finish_reason is None:
        raise ChatClientException("the stream ended early") from CutShortError("the stream ended early")
    return response


def chat_client(settings: AgentSettings, token_provider: TokenProvider | None) -> OpenAIChatCompletionClient[Any]:
    """Belongs to the event loop that it is first used on. Close it with ``await client.client.close()``.

    Raises ValueError where neither a key nor a token provider is there."""
    enable_instrumentation(enable_sensitive_data=False, enable_message_events=False)
    rounds = settings.max_rounds
    kind: type[OpenAIChatCompletionClient[Any]] = (
        StreamedChatClient if settings.streaming else OpenAIChatCompletionClient
    )
    return kind(
        model=settings.model,
        async_client=_sdk_client(settings, token_provider),
        function_invocation_configuration={
            "max_iterations": rounds + 1,  # our own budget ends it first
            "max_consecutive_errors_per_request": rounds,
            "allow_concurrent_invocation": False,
        },
    )


def _sdk_client(settings: AgentSettings, token_provider: TokenProvider | None) -> openai.AsyncOpenAI:
    common: dict[str, Any] = {
        "max_retries": 0,  # ours, bounded by the run's time
        "timeout": float(settings.timeout_seconds),
        "http_client": openai.DefaultAsyncHttpxClient(trust_env=False, follow_redirects=False),
        # given so that the SDK does not look for them in the environment
        "organization": "",
        "project": "",
        "webhook_secret": "",
        "admin_api_key": "",
    }
    client: openai.AsyncOpenAI
    if settings.provider == "azure_openai":
        auth: dict[str, Any] = (
            {"api_key": settings.api_key} if settings.api_key else {"azure_ad_token_provider": _guarded(token_provider)}
        )
        client = openai.AsyncAzureOpenAI(
            azure_endpoint=settings.endpoint, api_version=settings.api_version, **auth, **common
        )
    else:
        client = openai.AsyncOpenAI(base_url=settings.endpoint, api_key=settings.api_key, **common)
    client.organization = client.project = None  # no empty headers
    client._custom_headers = {}  # OPENAI_CUSTOM_HEADERS cannot be declined by an argument
    return client


def _guarded(token_provider: TokenProvider | None) -> TokenProvider:
    """What fails within it is told apart from an answer that cannot be read."""
    if token_provider is None:
        raise ValueError("the app's identity is needed where no Agent__ApiKey is set")

    async def token() -> str:
        try:
            return await token_provider()
        except Exception as error:
            raise IdentityError("the app's identity gave no token") from error

    return token
