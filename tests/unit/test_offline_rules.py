"""The offline agent's rules: a table whose own order means nothing, each row of which is reached."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import partial
from graphlib import TopologicalSorter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mosaic_core.agents.offline.reading import understand as understanding
from mosaic_core.agents.offline.reading.facts import Facts, Rule
from mosaic_core.agents.offline.reading.marks import Mark, Reading, Tag
from mosaic_core.agents.offline.reading.reading_rules import TABLE, counting, decide
from mosaic_core.agents.offline.reading.understand import understand
from mosaic_core.ledger.query import Group, Subject
from mosaic_core.ledger.rows import rows_of
from mosaic_ops.evaluations.questions import AS_OF, HELD_OUT, LEDGER, QUESTIONS
from mosaic_ops.evaluations.unseen import UNSEEN

ROWS = rows_of(LEDGER, AS_OF)
SHUFFLED = random.Random(12).sample(TABLE, len(TABLE))
ASKED = [question for question, *_ in (*QUESTIONS, *HELD_OUT, *UNSEEN)][::3]


def test_a_rule_is_put_over_one_of_its_weight_and_never_in_a_circle() -> None:
    weights = {rule.name: rule.weight for rule in TABLE}
    assert len(weights) == len(TABLE)
    assert all(weights[rule.over] == rule.weight for rule in TABLE if rule.over)
    assert len([*TopologicalSorter({rule.name: rule.over.split() for rule in TABLE}).static_order()]) == len(TABLE)


@pytest.mark.parametrize("table", [SHUFFLED, TABLE[::-1]], ids=["shuffled", "reversed"])
def test_the_order_of_the_table_means_nothing(table: Sequence[Rule], monkeypatch: pytest.MonkeyPatch) -> None:
    expected = [understand(question, ROWS, as_of=AS_OF) for question in ASKED]
    monkeypatch.setattr(understanding, "decide", partial(decide, table=table))
    assert [understand(question, ROWS, as_of=AS_OF) for question in ASKED] == expected


SUBJECTS = (Subject("Netflix", "merchant", frozenset({"1"})), Subject("groceries", "topic", frozenset({"2"})))


@st.composite
def facts(draw: st.DrawFn) -> Facts:
    tags = draw(st.lists(st.sampled_from([*Tag]), min_size=1, max_size=8))
    reading = Reading(" ".join(tag.name.lower() for tag in tags))
    at = 0
    for tag in tags:
        reading.take(at, at + len(tag.name), tag)
        at += len(tag.name) + 1
    return Facts(
        text=reading.text,
        shape=reading.shape,
        tags=frozenset(tags),
        marks=tuple(reading.in_order()),
        subjects=draw(st.sampled_from([(), SUBJECTS[:1], SUBJECTS[1:], SUBJECTS])),
        periods=draw(st.integers(0, 2)),
        ranges=draw(st.integers(0, 1)),
        bounded=draw(st.booleans()),
        yes_no=draw(st.booleans()),
        fixed_series=draw(st.booleans()),
        group=draw(st.none() | st.sampled_from([*Group])),
        per=draw(st.none() | st.sampled_from(["month", "transaction"])),
        n=draw(st.none() | st.integers(1, 5)),
    )


@given(facts())
def test_of_all_rules_that_hold_one_counts(found: Facts) -> None:
    ((rule, meaning),) = counting(found)
    assert counting(found, SHUFFLED) == [(rule, meaning)]
    assert decide(found, SHUFFLED) == decide(found)


CASES = {
    "how_high": "how high has the PG&E bill got",
    "price_change": "has Netflix gone up",
    "series_ends": "when did I start paying for Netflix",
    "still_paid": "do I still pay for Netflix",
    "recurring": "which subscriptions do I have",
    "change_in_percent": "percentage change in grocery spending between August and September",
    "share": "what share of my spending was groceries",
    "net": "did I earn more than I spent in October",
    "what_changed": "what changed this month",
    "compare": "did I spend more in October than in September",
    "days_since": "how many days ago did I last pay Netflix",
    "exceeds": "did I spend over 2000 dollars in October",
    "ranking": "which merchant did I spend the most at",
    "extreme": "largest purchase in October",
    "first_or_last": "when did I last go to Target",
    "how_often": "how often do I shop at Target",
    "breakdown": "break down my spending by month",
    "price_of_each": "how much is Netflix a month",
    "average": "average Starbucks purchase",
    "count": "how many Uber rides did I take",
    "not_of_rows": "where did Uber take me",
    "names": "which restaurants did I go to in October",
    "rows": "list my Amazon purchases",
    "exists": "did I pay rent in October",
    "price_now": "how much is Netflix",
    "total": "how much did I spend on groceries in October",
}


def test_every_rule_has_a_case() -> None:
    assert set(CASES) == {rule.name for rule in TABLE}


@pytest.mark.parametrize(("name", "question"), CASES.items())
def test_every_rule_is_reached(name: str, question: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def noted(found: Facts) -> tuple[object, list[Mark]]:
        seen.extend(rule.name for rule, _ in counting(found))
        return decide(found)

    monkeypatch.setattr(understanding, "decide", noted)
    understand(question, ROWS, as_of=AS_OF)
    assert seen == [name]
