"""Whatever a message, a ledger and its findings say, the offline agent proposes six kinds of actions and no others,
each as the app takes it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mosaic_core.agents.offline import one_message
from mosaic_core.domain.policy.actions import name_of, validated
from mosaic_core.domain.records import OpenFinding
from mosaic_core.domain.transactions import Transaction
from mosaic_core.ports import AgentReply, AgentTurn
from tests.support import records
from tests.support.examples import examples
from tests.support.injections import Injection, injections

AS_OF = date(2026, 11, 24)
ACTIONS = {"recategorise", "mark_recurring", "dismiss_signal", "budget_note", "draft_message", "request"}
_WORDS = """categorise put mark note: that draft an email to my landlord saying dismiss ignore the duplicate charge at
    as under is was monthly recurring every six months food and drink travel gas Netflix Blue Bottle amazon on 3 May
    last of $5 12.50 budget 600 please thanks . ; ? : , all it Delta 0123456789abcdef0123456789abcdef false alarm fine
    category from set change remember over between send pay Bob 500 wire delete everything""".split()

_messages = st.text(max_size=300) | st.lists(st.sampled_from(_WORDS), max_size=16).map(" ".join)
_ids = st.text(min_size=1, max_size=200)
_rows = st.builds(
    Transaction,
    transaction_id=_ids,
    account_id=st.just("a"),
    posted_on=st.integers(0, 800).map(lambda n: AS_OF - timedelta(days=n - 20)),
    amount=st.decimals("-5000", "5000", places=2),
    currency=st.sampled_from(["USD", "EUR", "XXX"]),
    description=st.sampled_from(["AMZN MKTP US*2K4", "NETFLIX.COM", "SQ *BLUE BTL", ""]) | _messages,
    merchant_name=st.none() | st.sampled_from(["Amazon", "Netflix", "Blue Bottle", "Delta Air", "Delta"]) | _messages,
)  # fmt: skip
_findings = st.builds(
    lambda i, code, summary, rows: OpenFinding(
        signal=replace(records.SIGNAL, signal_id=f"{i:032x}", signal_code=code, summary=summary),
        transaction_ids=tuple(rows),
    ),
    st.integers(0, 16**32 - 1),
    st.sampled_from(["duplicate_charge", "price_rise", "worker_command_failed"]),
    _messages,
    st.lists(_ids, max_size=3),
)


def respond(message: str, ledger: list[Transaction], findings: list[OpenFinding]) -> AgentReply:
    turn = AgentTurn(
        question=message,
        transactions=ledger,
        as_of=AS_OF,
        household_id="h",
        conversation_id="c",
        run_id="r",
        findings=findings,
    )
    return one_message.respond(turn)


def check(reply: AgentReply, ledger: list[Transaction]) -> None:
    there = {t.transaction_id for t in ledger if t.posted_on <= AS_OF}
    for proposal in reply.proposals:
        assert proposal.action in ACTIONS
        assert name_of(proposal.action) == proposal.action
        arguments = validated(proposal.action, proposal.arguments)
        assert set(arguments.get("transactionIds", ())) <= there
        assert len(proposal.summary) <= 200
    assert set(reply.answer.transaction_ids) <= there
    assert (reply.answer.outcome_code == "proposed") == bool(reply.proposals) == bool(reply.state)
    assert len({p.call_id for p in reply.proposals}) == len(reply.proposals) <= 5
    if reply.state:
        json.dumps(reply.state).encode()
        told = one_message.resume(reply.state, {p.call_id: "refused: no" for p in reply.proposals})
        assert told is not None
        assert "Done:" not in told.text.replace("Not done:", "") or "Done:" in reply.answer.text


@given(_messages, st.lists(_rows, max_size=12, unique_by=lambda t: t.transaction_id), st.lists(_findings, max_size=4))
@settings(max_examples=examples(120, slow=400), deadline=None)
def test_no_message_makes_it_propose_anything_else(
    message: str, ledger: list[Transaction], findings: list[OpenFinding]
) -> None:
    check(respond(message, ledger, findings), ledger)


@pytest.mark.parametrize("attack", list(injections()), ids=lambda attack: attack.name)
def test_no_known_attack_makes_it_propose_anything_else(attack: Injection) -> None:
    """The agent by itself, as if no policy had looked at the message first."""
    name = attack.merchant or "Netflix"
    ledger = [
        Transaction(
            transaction_id="t",
            account_id="a",
            posted_on=AS_OF,
            amount=records.TRANSACTION.amount,
            currency="USD",
            description=name,
            merchant_name=name,
        )
    ]
    for message in attack.messages:
        check(respond(message, ledger, []), ledger)


@given(
    st.sampled_from(
        ["categorise {} as travel", "mark {} as monthly", "{} was travel", "note: {}", "draft a text to {}: hi"]
    ),
    _messages,
)
@settings(max_examples=examples(100, slow=200), deadline=None)
def test_a_request_about_anything_is_proposed_soundly_or_asked_back(frame: str, words: str) -> None:
    ledger = [replace(records.TRANSACTION, transaction_id="t", posted_on=AS_OF, merchant_name=words or None)]
    check(respond(frame.format(words), ledger, []), ledger)
