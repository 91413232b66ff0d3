"""What stands between the framework's loop and the provider, and between the loop and the tools.

`Rounds` lets each request through within the run's budget, retries what may pass, and ends the turn on what is no
answer. `ToolCalls` counts. Neither decides on actions: what the model proposes never comes here.
"""

from __future__ import annotations

import asyncio
import email.utils
import json
import math
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Final

import httpx2
import openai
from agent_framework import (
    ChatContext,
    ChatMiddleware,
    ChatResponse,
    FunctionInvocationContext,
    FunctionMiddleware,
    Message,
)
from agent_framework.exceptions import ChatClientContentFilterException, ChatClientException

from mosaic_core.agents.model.budget import Budget
from mosaic_core.agents.model.chat_client import CutShortError, IdentityError
from mosaic_core.agents.model.outcomes import Outcome, TurnEndedError
from mosaic_core.domain.errors import LaneError

UNAVAILABLE: Final = "agent_runtime_unavailable"
REQUEST_REFUSED: Final = "agent_request_refused"

_FIRST_WAIT: Final = 0.5
_LONGEST_WAIT: Final = 20.0
_CHARACTERS_PER_TOKEN: Final = 3
_PASSING: Final = frozenset({408, 409, 425, 429})

type Sleep = Callable[[float], Awaitable[None]]


class Rounds(ChatMiddleware):
    """One per run. ``overhead`` are the tokens that every request carries beside its messages."""

    def __init__(self, budget: Budget, *, overhead: int, max_retries: int, timeout: float, sleep: Sleep) -> None:
        self._budget = budget
        self._overhead = overhead
        self._max_retries = max_retries
        self._timeout = timeout
        self._sleep = sleep

    async def process(self, context: ChatContext, call_next: Callable[[], Awaitable[None]]) -> None:
        """Raises BudgetSpentError, TurnEndedError, or LaneError where the provider does not answer."""
        expected = self._overhead + _estimate(context.messages)
        self._budget.before_round(expected)
        if self._budget.last_round:
            context.options = {**(context.options or {}), "tool_choice": "none"}
        await self._call(call_next)
        response = context.result
        if not isinstance(response, ChatResponse):
            raise TurnEndedError(Outcome.MALFORMED, "the provider's answer was no chat completion")
        usage = response.usage_details or {}
        self._budget.after_round(
            int(usage.get("input_token_count") or expected),
            int(usage.get("output_token_count") or _estimate(response.messages)),
        )
        _check(response)

    async def _call(self, call_next: Callable[[], Awaitable[None]]) -> None:
        for tried in range(self._max_retries + 1):
            try:
                async with asyncio.timeout(self._timeout):
                    await call_next()
                return
            except (ChatClientException, TimeoutError) as error:
                wait = _wait_after(error, tried)
                if tried == self._max_retries or wait > min(_LONGEST_WAIT, self._budget.seconds_left):
                    raise LaneError(
                        f"the model's provider did not answer ({_told(error)}), asked {_times(tried + 1)}",
                        code=UNAVAILABLE,
                    ) from error
                self._budget.retries += 1
                await self._sleep(wait)


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"


class ToolCalls(FunctionMiddleware):
    """One per run. Past the budget a tool is not run; the model is told to answer with what it has."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget

    async def process(self, context: FunctionInvocationContext, call_next: Callable[[], Awaitable[None]]) -> None:
        if not self._budget.tool_call():
            context.result = json.dumps({"error": "no tool call is left: answer with the results that you have"})
            return
        await call_next()


# ------------------------------------------------------------------------------------------------------------- answers


def _check(response: ChatResponse) -> None:
    """Raises TurnEndedError for a completion that is no answer."""
    contents = [content for message in response.messages for content in message.contents]
    if any((c.additional_properties or {}).get("core", {}).get("model_output_kind") == "refusal" for c in contents):
        raise TurnEndedError(Outcome.REFUSED, "the model declined")
    match response.finish_reason:
        case "content_filter":
            raise TurnEndedError(Outcome.CONTENT_FILTERED, "the provider's content filter cut the answer off")
        case "length":
            raise TurnEndedError(Outcome.TRUNCATED, "the answer was longer than Agent__MaxOutputTokens")
    calls = [c for c in contents if c.type == "function_call"]
    if len({c.call_id for c in calls}) != len(calls) or not all(c.call_id and c.name for c in calls):
        raise TurnEndedError(Outcome.MALFORMED, "the model's calls have no ids of their own")
    if not calls and not any(c.type == "text" and (c.text or "").strip() for c in contents):
        raise TurnEndedError(Outcome.MALFORMED, "the completion had neither text nor calls")


def _estimate(messages: object) -> int:
    """Tokens, from characters: for a provider that does not say, and before it has said."""
    size = 0
    for message in messages if isinstance(messages, list) else ():
        if isinstance(message, Message):
            for c in message.contents:
                size += len(c.text or "") + len(str(c.arguments or "")) + len(str(c.result or "")) + 12
    return tokens_of(size)


def tokens_of(characters: int) -> int:
    return characters // _CHARACTERS_PER_TOKEN


# -------------------------------------------------------------------------------------------------------------- errors


def _wait_after(error: Exception, tried: int) -> float:
    """Seconds until the request may be tried again.

    Raises what ends it instead: TurnEndedError for a filter or output that cannot be read, LaneError where the provider
    refuses the request itself."""
    if isinstance(error, ChatClientContentFilterException):
        raise TurnEndedError(Outcome.CONTENT_FILTERED, "the provider's content filter refused the request") from error
    cause = error.__cause__ if isinstance(error, ChatClientException) else error
    backoff = _FIRST_WAIT * 2.0**tried
    if isinstance(cause, openai.APIStatusError):
        status = cause.status_code
        if status >= 500 or (status in _PASSING and cause.code != "insufficient_quota"):
            asked = _retry_after(cause)
            return backoff if asked is None else asked
        code = UNAVAILABLE if status in (401, 403, 404, 429) else REQUEST_REFUSED
        raise LaneError(f"the model's provider refused the request ({_told(error)})", code=code) from error
    if isinstance(
        cause, openai.APIConnectionError | httpx2.TransportError | TimeoutError | CutShortError | IdentityError
    ):
        return backoff
    if isinstance(cause, openai.OpenAIError) and not isinstance(cause, openai.APIResponseValidationError):
        raise LaneError(f"the model's client failed ({_told(error)})", code=UNAVAILABLE) from error
    raise TurnEndedError(Outcome.MALFORMED, f"the provider's answer cannot be read ({_told(error)})") from error


def _told(error: Exception) -> str:
    """What happened, without the provider's text: it may quote the request."""
    cause = error.__cause__ if isinstance(error, ChatClientException) and error.__cause__ else error
    if isinstance(cause, openai.APIStatusError):
        return f"HTTP {cause.status_code}"
    if isinstance(cause, openai.APITimeoutError | TimeoutError):
        return "timed out"
    return type(cause).__name__


def _retry_after(error: openai.APIStatusError) -> float | None:
    """Seconds that the provider asks to wait; None where it does not say."""
    headers = error.response.headers
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        text = headers.get(name, "")
        try:
            seconds = float(text) * unit
        except ValueError:
            continue
        if math.isfinite(seconds) and seconds >= 0:
            return seconds
    try:
        when = email.utils.parsedate_to_datetime(headers.get("retry-after", ""))
    except ValueError:
        return None
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return max(0.0, (when - datetime.now(UTC)).total_seconds())
