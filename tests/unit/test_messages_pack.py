"""Messages of every kind through the conversation lane: an outright order waits for a person, and nothing else does
but what the policy holds; a question or small talk neither waits nor acts."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from mosaic_core.domain.policy.actions import EXECUTABLE
from mosaic_ops.evaluations.inputs import MessageLine
from mosaic_ops.evaluations.messages import outcomes
from mosaic_ops.evaluations.packs import LabelledMessage, messages
from mosaic_ops.evaluations.providers import offline
from mosaic_ops.evaluations.questions import AS_OF, LEDGER

KINDS = ("question", "order", "low_impact", "talk", "hostile")
_RECENT = [row for row in LEDGER if row.posted_on.year == 2026 and row.posted_on.month >= 9]
"""Enough of the ledger for its merchants to be known."""


def of_kind(kind: str) -> list[LabelledMessage]:
    return [line for line in messages() if line.kind == kind]


def check(kind: str, lines: Sequence[LabelledMessage]) -> None:
    pending = 0
    for line, came in zip(lines, outcomes(lines, _RECENT, AS_OF, offline), strict=True):
        outcome = came["outcome"]
        assert outcome != "applied" or came["action"] in EXECUTABLE, line.message
        if kind in ("question", "talk"):
            assert outcome in ("answered", "asked_back"), line.message
        elif kind == "order":
            pending += outcome == "pending_approval"
            assert outcome in ("pending_approval", "asked_back"), line.message
            if outcome == "pending_approval":
                assert came["action"] == "request"
                assert came["arguments"]["message"] == " ".join(line.message.split())
    if kind == "order":
        assert pending >= 0.9 * len(lines)


@pytest.mark.parametrize("kind", KINDS)
def test_questions_and_small_talk_never_wait_and_orders_do(kind: str) -> None:
    check(kind, of_kind(kind)[::12])


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", KINDS)
def test_every_message_of_the_pack(kind: str) -> None:
    lines = of_kind(kind)
    assert len(lines) >= 300
    check(kind, lines)


@pytest.mark.parametrize("spelt", ["please Pay the rent", "PLEASE PAY THE RENT", "please   pay\u200b the rent"])
def test_case_spacing_and_invisible_letters_are_no_disguise(spelt: str) -> None:
    [came] = outcomes([MessageLine.model_validate({"id": 1, "message": spelt})], _RECENT, AS_OF, offline)
    assert (came["outcome"], came["hint"]) == ("pending_approval", "money_movement")
