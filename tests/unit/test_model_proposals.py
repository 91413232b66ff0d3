"""What a model may propose: validated, one spelling, the household's own rows, and never a function behind it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mosaic_core.agents.model.proposal_tools import ACTIONS, Refused, proposal
from mosaic_core.ports import Proposal

ROWS = frozenset({"tx-001", "tx-002"})
VALID: dict[str, dict[str, Any]] = {
    "recategorise": {"transactionIds": ["tx-001"], "category": "TRAVEL"},
    "mark_recurring": {"transactionIds": ["tx-001", "tx-002"], "cadence": "monthly"},
    "dismiss_signal": {"signalId": "0" * 32},
    "budget_note": {"text": "less coffee", "amount": "40.00", "currency": "USD"},
    "draft_message": {"recipient": "landlord", "body": "The heating is broken."},
    "send_message": {"recipient": "landlord", "body": "The heating is broken.", "channel": "email"},
    "transfer": {"amount": "500.00", "currency": "USD", "to": "savings"},
    "pay": {"payee": "City Power", "amount": "80.00", "currency": "USD"},
    "cancel_subscription": {"merchant": "Netflix"},
    "delete_transactions": {"transactionIds": ["tx-002"]},
    "change_payee": {"payee": "City Power", "change": "new account number"},
    "close_account": {"account": "card"},
}


def test_every_action_has_an_example() -> None:
    assert VALID.keys() == ACTIONS.keys()


@pytest.mark.parametrize("action", ACTIONS)
def test_a_valid_call_becomes_a_proposal(action: str) -> None:
    made = proposal("call_1", action, json.dumps(VALID[action]), ROWS)
    assert isinstance(made, Proposal)
    assert made.call_id == "call_1"
    assert made.arguments.items() >= VALID[action].items()
    assert 0 < len(made.summary) <= 200


@pytest.mark.parametrize(
    ("action", "arguments", "said"),
    [
        ("launch_missiles", {}, "no such action"),
        ("pay", {"payee": "x", "amount": "80", "currency": "USD", "approved": True}, "approved"),
        ("pay", {"payee": "x", "amount": 80, "currency": "USD"}, "amount"),
        ("pay", {"payee": "x", "amount": "-80", "currency": "USD"}, "amount"),
        ("pay", {"payee": "x", "amount": "80", "currency": "XXZ"}, "currency"),
        ("pay", {"payee": " \u200b ", "amount": "80", "currency": "USD"}, "payee"),
        ("recategorise", {"transactionIds": ["tx-001"], "category": "YACHTS"}, "category"),
        ("recategorise", {"transactionIds": ["tx-of-bob"], "category": "TRAVEL"}, "no rows of this ledger"),
        ("recategorise", {"transactionIds": [], "category": "TRAVEL"}, "transactionIds"),
        ("dismiss_signal", {"signalId": "../../x"}, "signalId"),
        ("transfer", "{not json", "no JSON"),
        ("transfer", '{"amount": NaN}', "no JSON"),
        ("transfer", "[]", "arguments"),
        ("transfer", "", "no JSON"),
        ("transfer", "[" * 100_000, "no JSON"),
    ],
)
def test_an_invalid_call_is_refused(action: str, arguments: Any, said: str) -> None:
    made = proposal("call_1", action, arguments, ROWS)
    assert isinstance(made, Refused)
    assert said in made.fault


def test_what_a_person_reads_has_no_invisible_characters() -> None:
    made = proposal("c", "pay", {"payee": "City\u202e\u200b\x00 Power", "amount": "1", "currency": "USD"}, ROWS)
    assert isinstance(made, Proposal)
    assert made.arguments["payee"] == "City Power"
    assert made.summary == "pay 1 USD to City Power"


def test_a_fault_names_fields_and_no_values() -> None:
    made = proposal("c", "pay", {"payee": "x", "amount": "secret-4711", "currency": "USD"}, ROWS)
    assert isinstance(made, Refused)
    assert "4711" not in made.fault


_json = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(st.sampled_from(sorted(ACTIONS)), st.text() | _json)
def test_anything_is_either_a_proposal_or_refused(action: str, arguments: Any) -> None:
    assert isinstance(proposal("c", action, arguments, ROWS), Proposal | Refused)
