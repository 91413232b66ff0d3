"""Why a token was refused: by what the SDK logged of it in the same task, and by nothing older."""

from __future__ import annotations

import asyncio
import logging

import pytest
from azure.servicebus._pyamqp.error import ErrorCondition, TokenAuthFailure, TokenExpired

from mosaic_core.adapters import refused_tokens

SDK = "tests.refused_tokens.cbs"


def refused(condition: bytes) -> None:
    """As the SDK tells it."""
    logging.getLogger(SDK).info("CBS Put token error: %r", condition, extra={"amqpConnection": "c"})


def failure(status: int | None = None) -> Exception:
    return TokenAuthFailure(status, None)  # type: ignore[no-untyped-call]


async def test_two_openings_at_once_are_told_apart() -> None:
    refused_tokens.listen_to(SDK)
    here = asyncio.Barrier(2)

    async def opening(condition: bytes) -> bool:
        refused(condition)
        await here.wait()
        return refused_tokens.is_for_nothing(failure())

    found = await asyncio.gather(opening(b"amqp:not-found"), opening(b"amqp:unauthorized-access"))
    assert [*found] == [True, False]
    assert not refused_tokens.is_for_nothing(failure())


@pytest.mark.parametrize("status", [0, 202, 401])
async def test_a_status_says_more_than_the_log(status: int) -> None:
    refused_tokens.listen_to(SDK)
    refused(b"amqp:not-found")
    assert not refused_tokens.is_for_nothing(failure(status))
    assert refused_tokens.is_for_nothing(failure(404))


async def test_what_is_about_no_refusal_is_not_taken_for_an_older_one() -> None:
    refused_tokens.listen_to(SDK)
    refused(b"amqp:not-found")
    expired = TokenExpired(condition=ErrorCondition.InternalError, description="CBS Authentication Expired.")
    assert not refused_tokens.is_for_nothing(expired)
    assert not refused_tokens.is_for_nothing(None)


def test_what_is_listened_to_reaches_no_log(caplog: pytest.LogCaptureFixture) -> None:
    refused_tokens.listen_to(SDK)
    refused_tokens.listen_to(SDK)
    assert len(logging.getLogger(SDK).filters) == 1
    refused(b"amqp:not-found")
    logging.getLogger(SDK).warning("worth telling")
    assert [record.message for record in caplog.records] == ["worth telling"]
