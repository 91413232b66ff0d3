"""What waits for a decision: read back whole by its own run, refused by any other and when it is not whole."""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mosaic_core.agents.model.grounding import Evidence
from mosaic_core.agents.model.state import AgentStateError, Waiting, decode, encode
from mosaic_core.ports import AgentTurn

TURN = AgentTurn(
    question="q", transactions=(), as_of=date(2026, 11, 24), household_id="h1", conversation_id="c1", run_id="r1"
)
WAITING = Waiting(
    messages=[{"type": "message", "role": "user", "contents": [{"type": "text", "text": "Größe \ud83d\ude00"}]}],
    pending={"call_2": "pay 1 USD", "call_1": "close account x"},
    evidence=Evidence(
        amounts={Decimal("12.50")},
        counts={Decimal(2)},
        ratios={Decimal("0.5")},
        dates={date(2026, 1, 2)},
        names={"7-Eleven"},
        rows={"tx-1"},
        years=(2025, 2026),
    ),
    spent={"rounds": 2, "tool_calls": 1},
    corrected=True,
)


def test_it_comes_back_as_it_was() -> None:
    assert decode(encode(WAITING, TURN), TURN) == WAITING
    assert encode(WAITING, TURN) == encode(WAITING, TURN)


@pytest.mark.parametrize("other", [{"run_id": "r2"}, {"household_id": "h2"}, {"conversation_id": "c2"}])
def test_another_run_is_refused(other: dict[str, str]) -> None:
    with pytest.raises(AgentStateError, match="another run") as caught:
        decode(encode(WAITING, TURN), replace(TURN, **other))  # type: ignore[arg-type]
    assert caught.value.code == "agent_state_invalid"


@given(st.data())
def test_any_change_is_found(data: st.DataObject) -> None:
    state = encode(WAITING, TURN)
    at = data.draw(st.integers(0, len(state) - 1))
    letter = data.draw(st.characters().filter(lambda c: c != state[at]))
    with pytest.raises(AgentStateError):
        decode(state[:at] + letter + state[at + 1 :], TURN)


def test_half_a_surrogate_pair_is_damage_like_any_other() -> None:
    with pytest.raises(AgentStateError, match="damaged"):
        decode(encode(WAITING, TURN)[:-1] + "\ud800", TURN)


@given(st.text())
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(AgentStateError):
        decode(text, TURN)


def _signed(data: bytes) -> str:
    packed = base64.b64encode(data).decode()
    return f"mosaic-agent/1.{hashlib.sha256(f'mosaic-agent/1.{packed}'.encode()).hexdigest()}.{packed}"


@pytest.mark.parametrize(
    "data",
    [
        b"no zlib",
        zlib.compress(b"no json"),
        zlib.compress(b"[]"),
        zlib.compress(b"{}"),
        zlib.compress(b"\xff"),
        zlib.compress(json.dumps({"run": "r1", "household": "h1", "conversation": "c1"}).encode()),
    ],
)
def test_a_digest_alone_makes_no_state(data: bytes) -> None:
    with pytest.raises(AgentStateError):
        decode(_signed(data), TURN)


def test_a_state_that_would_fill_the_memory_is_refused() -> None:
    with pytest.raises(AgentStateError, match="too large"):
        decode(_signed(zlib.compress(b" " * (9 * 1024 * 1024))), TURN)


def test_another_version_is_refused() -> None:
    with pytest.raises(AgentStateError, match="version"):
        decode(encode(WAITING, TURN).replace("agent/1", "agent/2"), TURN)
