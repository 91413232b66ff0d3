"""Plain questions on a ledger: at least 90 % have to be exactly right, value and rows.

What the ledger cannot answer has to be refused, all of it, and few of the others may be answered wrongly. The questions
are those of `./mosaic eval`.
"""

# ruff: noqa: E501

from __future__ import annotations

from decimal import Decimal

import pytest

from mosaic_core.agents.offline.answering import answer
from mosaic_ops.evaluations.questions import AS_OF, CANNOT, HELD_OUT, LEDGER, QUESTIONS, Case, Expected, Rows
from mosaic_ops.evaluations.unseen import UNSEEN, UNSEEN_CANNOT


def _right(question: str, expected: Expected, found: Rows | None) -> tuple[bool, str]:
    got = answer(question, LEDGER, as_of=AS_OF)
    value = got.value
    if isinstance(expected, list) and isinstance(value, list):
        same = sorted(value) == sorted(expected) if "subscriptions" in question else value == expected
    elif expected == "rows":
        same = isinstance(value, list) and len(value) == len(found or [])
    elif isinstance(expected, str):
        same = isinstance(value, str) and value.casefold() == expected.casefold()
    else:
        same = isinstance(value, Decimal | int) and value == expected
    named = found is None or set(got.transaction_ids) == {t.transaction_id for t in found}
    return (
        same and named,
        f"{question} -> {str(value)[:80]!r} ({got.intent}; {got.rationale[:60]}), expected {str(expected)[:80]!r}{'' if named else f', rows {len(got.transaction_ids)} of {len(found or [])}'}",
    )


@pytest.mark.slow  # every day `test_evaluations.py` asks the same ones, and is stricter
@pytest.mark.parametrize(("kind", "cases"), [("tuned", QUESTIONS), ("held out", HELD_OUT), ("unseen", UNSEEN)])
def test_most_plain_questions_are_answered_exactly(kind: str, cases: list[Case]) -> None:
    results = [_right(*case) for case in cases]
    wrong = [told for right, told in results if not right]
    share = 1 - len(wrong) / len(results)
    print(f"\n{kind}: {len(results)} questions, exactly right {share:.3f}\n" + "\n".join(wrong))
    assert len(results) >= 60
    assert share >= 0.9


_DETAILS = [
    "What is the APR on my Toyota loan?",
    "What size were the shoes from Amazon?",
    "Who drove me in the Uber?",
    "What time does Safeway close?",
    "How high is my overdraft limit?",
]


@pytest.mark.parametrize("question", [*CANNOT, *UNSEEN_CANNOT, *_DETAILS])
def test_what_the_ledger_cannot_answer_is_refused(question: str) -> None:
    got = answer(question, LEDGER, as_of=AS_OF)
    assert got.outcome_code == "cannot_answer", got
    assert got.value is None
    assert got.transaction_ids == ()
    assert got.rationale


def test_a_months_spending_is_the_households_own() -> None:
    got = answer("What percentage of last month's spending was groceries?", LEDGER, as_of=AS_OF)
    assert got.outcome_code == "answered"
    assert answer("What was Bob's spending last month?", LEDGER, as_of=AS_OF).outcome_code == "cannot_answer"
