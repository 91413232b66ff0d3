"""Why Service Bus or Event Hubs refused a token.

They answer a token for a queue or hub that is not there with `amqp:not-found`, before any link is asked for. The SDKs
tell this in their log alone: the error that they raise has no status and no description, as it has none for a token
that is not good.
"""

from __future__ import annotations

import logging
from contextvars import ContextVar
from typing import Final

NOT_FOUND: Final = "amqp:not-found"
_condition: ContextVar[str] = ContextVar("refused_token_condition", default="")


def listen_to(logger: str) -> None:
    """``logger`` is of the SDK's module that puts tokens. What it says at INFO goes no further."""
    source = logging.getLogger(logger)
    if not any(isinstance(one, _Listener) for one in source.filters):
        source.setLevel(logging.INFO)
        source.addFilter(_Listener())


def is_for_nothing(refusal: BaseException | None) -> bool:
    """Whether the token of this task was refused because there is no such entity. ``refusal``: the SDK's own error;
    one that is about no answer to a token (that it expired, that the connection failed) says nothing of that."""
    if refusal is None or not hasattr(refusal, "status_code"):
        return False
    status = refusal.status_code
    return _condition.get() == NOT_FOUND if status is None else status == 404


class _Listener(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        if "put token error" in str(record.msg).lower() and isinstance(record.args, tuple) and record.args:
            condition = record.args[0]
            _condition.set(condition.decode(errors="replace") if isinstance(condition, bytes) else str(condition))
        return record.levelno > logging.INFO
