"""Which specialist a question is for."""

from __future__ import annotations

import pytest

from mosaic_core.agents.routing import SEAMS, Specialist, route_payload, route_question
from mosaic_core.domain.lanes import CommandType


@pytest.mark.parametrize(
    ("question", "specialist"),
    [
        ("How much did we spend on groceries last month?", Specialist.LEDGER_QUESTION),
        ("What was our largest expense?", Specialist.LEDGER_QUESTION),
        ("Compare May with June", Specialist.LEDGER_QUESTION),
        ("Is there anything suspicious on my card?", Specialist.ANOMALY),
        ("Was I charged twice by the garage?", Specialist.ANOMALY),
        ("I don't recognise this charge from ZORB", Specialist.ANOMALY),
        ("Dismiss signal 0123456789abcdef0123456789abcdef", Specialist.ANOMALY),
        ("The missing paycheck is expected", Specialist.ANOMALY),
        ("Which subscriptions do we have?", Specialist.RECURRING),
        ("How much do we pay for memberships every month?", Specialist.RECURRING),
        ("Please recategorise the pharmacy as medical", Specialist.CATEGORISATION),
        ("Put the Zorblat charges under groceries", Specialist.CATEGORISATION),
        ("The gym is in the wrong category", Specialist.CATEGORISATION),
        ("What did we transfer between our own accounts?", Specialist.TRANSFER_MATCHING),
        ("How much was moved to savings this year?", Specialist.TRANSFER_MATCHING),
        ("When did I get paid last?", Specialist.INCOME),
        ("How much did we earn in March?", Specialist.INCOME),
        ("What is our debt to income ratio?", Specialist.DEBT_QUALITY),
        ("Should we refinance?", Specialist.DEBT_QUALITY),
        ("How is my portfolio doing?", Specialist.INVESTMENT),
        ("Hello", Specialist.LEDGER_QUESTION),
        ("", Specialist.LEDGER_QUESTION),
    ],
)
def test_a_question_finds_its_specialist(question: str, specialist: Specialist) -> None:
    route = route_question(question)
    assert route.specialist == specialist
    assert 0 <= route.confidence <= 1
    assert route.is_seam == (specialist in SEAMS)


def test_what_says_nothing_is_routed_with_little_confidence() -> None:
    assert route_question("hm").confidence < 0.5 <= route_question("How much did we spend?").confidence


def test_a_question_for_two_names_both() -> None:
    route = route_question("Is any of our subscriptions suspicious?")
    assert {route.specialist, *route.others} == {Specialist.ANOMALY, Specialist.RECURRING}
    assert route.confidence < 0.6


def test_a_seam_says_so() -> None:
    route = route_question("Should we buy stocks?")
    assert (route.outcome_code, "seam" in route.rationale) == ("specialist_not_available", True)


def test_payloads_have_their_specialists() -> None:
    assert route_payload(CommandType.INGESTION_COMPLETED) == (
        Specialist.CATEGORISATION,
        Specialist.TRANSFER_MATCHING,
        Specialist.INCOME,
    )
    assert Specialist.ANOMALY in route_payload(CommandType.NIGHTLY_ANOMALY_SWEEP)
    assert route_payload("something_else") == ()


def test_a_long_text_is_routed_in_no_time() -> None:
    assert route_question("charged " * 100_000).specialist in Specialist
