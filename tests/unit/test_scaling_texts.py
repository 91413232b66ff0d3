"""What is computed of a message grows as the message does, and as the ledger that it is asked about: twice as much of
either is about twice the work, whatever they are. Counted, not timed (`test_scaling`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from decimal import Decimal
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mosaic_core.agents.findings import about_findings
from mosaic_core.agents.model.grounding import Evidence, unsupported
from mosaic_core.agents.offline import one_message, requests
from mosaic_core.agents.offline.reading.understand import understand
from mosaic_core.agents.offline.requests.selection import _stripped
from mosaic_core.domain.edits import within
from mosaic_core.domain.policy import hint
from mosaic_core.lanes.household import corrected
from mosaic_core.ledger.merchants import _MOST_LOOKED_FOR, Merchants
from mosaic_core.ledger.rows import rows_of
from mosaic_core.ports import AgentTurn
from tests.support.examples import examples
from tests.unit.test_scaling import (
    END,
    MOST,
    Rows,
    _days_ago,
    _row,
    _word,
    growths,
    merchants_seen_once,
    names_that_begin_alike,
    one_merchant,
)

WORDS = [_word(n).lower() for n in range(400)]


def named_alike(n: int) -> Rows:
    """Names that are two letters apart from one another, each of its own shape."""
    rows = [_row(i, _days_ago(i), -20, f"X{_word(i)}", "FOOD_AND_DRINK") for i in range(n)]
    return [replace(t, merchant_name=f"Acmeholdings {_word(i)[:5]}{i % 7}") for i, t in enumerate(rows)]


def of_common_words(n: int) -> Rows:
    rows = [_row(i, _days_ago(i), -20, f"PAYMENT CARD {_word(i)} SHOP", "FOOD_AND_DRINK") for i in range(n)]
    return [replace(t, merchant_name=f"{_word(i)} Shop") for i, t in enumerate(rows)]


LEDGERS = [
    pytest.param(named_alike, id="named alike"),
    pytest.param(of_common_words, id="of common words", marks=pytest.mark.slow),
    pytest.param(one_merchant, id="one merchant", marks=pytest.mark.slow),
    pytest.param(merchants_seen_once, id="seen once", marks=pytest.mark.slow),
    pytest.param(names_that_begin_alike, id="begin alike", marks=pytest.mark.slow),
]

QUESTIONS = {
    "total": "how much did I spend last month",
    "merchant": "how much did I spend at corner shop",
    "unknown merchant": "how much did I spend at xyzzyx",
    "topic": "how much did I spend on food and drink",
    "count": "how many transactions did I have this year",
    "how often": "how often do I go to corner shop",
    "average": "what do I spend on average per month",
    "largest": "what were my 5 largest purchases",
    "ranking": "which merchants did I spend most at",
    "breakdown": "break down my spending by merchant",
    "list": "list my transactions over 5 dollars",
    "last": "when did I last go to corner shop",
    "exists": "did I go to corner shop this year",
    "share": "what percentage of my spending was food and drink",
    "compare": "how does my spending in June 2026 compare with May 2026",
    "changes": "what changed compared to last month",
    "recurring": "what are my subscriptions",
    "price": "did the price of corner shop go up",
    "net": "how much more did I earn than spend this year",
    "recategorise": "Categorise corner shop as travel",
    "mark": "Mark corner shop as recurring",
    "note": "Note: the food budget is 400 dollars",
    "many unknown": f"how much did I spend at {' '.join(WORDS)}"[:2000],
    "many slips": f"how much did I spend at {' '.join('acmeholdings' + w[:5] for w in WORDS)}"[:2000],
    "many in texts": f"how much did I spend at {' of '.join('shop ' + w[:3] for w in WORDS)}"[:2000],
    "many common": ("how much did I spend at " + " and ".join(["card shop", "shop payment", "payment card"] * 99))[
        :2000
    ],
    "many quoted": ("how much at " + '"corner shop" ' * 140)[:2000],
    "many topics": ("how much did I spend on " + " and ".join(["groceries", "coffee", "rent", "travel"] * 60))[:2000],
    "many merchants": f"Categorise {', '.join(WORDS)}"[:1980] + " as travel",
    "the same merchants": "Categorise " + ", ".join(["corner shop"] * 150) + " as travel",
}


def asked(question: str, rows: Rows) -> Callable[[], object]:
    turn = AgentTurn(
        question=question, transactions=rows, as_of=END, household_id="h", conversation_id="c", run_id="r", findings=[]
    )
    return lambda: one_message.respond(turn)


@pytest.mark.parametrize("ledger", LEDGERS)
@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
def test_answering_grows_as_the_ledger_does(question: str, ledger: Callable[[int], Rows]) -> None:
    # with the slow ones each name of the longest question is in the smallest ledger: one that is not is asked back
    assert max(growths(lambda n: asked(question, ledger(n)), examples(75, slow=300))) < MOST


@pytest.mark.slow
@pytest.mark.parametrize(
    "question", ["merchant", "ranking", "recurring", "many unknown", "many slips", "many merchants"]
)
@pytest.mark.parametrize(
    "ledger",
    [
        pytest.param(
            lambda n: [replace(t, description=f"{_word(i % 20_000)} SHOP") for i, t in enumerate(one_merchant(n))],
            id="20,000 merchants",
        ),
        pytest.param(one_merchant, id="one merchant"),
    ],
)
def test_answering_up_to_a_hundred_thousand_rows(question: str, ledger: Callable[[int], Rows]) -> None:
    assert max(growths(lambda n: asked(QUESTIONS[question], ledger(n)), 25_000)) < MOST


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("ledger", [named_alike, merchants_seen_once])
def test_words_and_merchants_together_are_no_product(ledger: Callable[[int], Rows], named: bool) -> None:
    """Twice the words of a question against twice the merchants is twice the work, not four times."""

    def work(n: int) -> Callable[[], object]:
        words = WORDS[: n // 3]
        said = ["acmeholdings" + word[:5] for word in words] if named else words
        return asked(f"how much did I spend at {' '.join(said)}", ledger(n))

    assert max(growths(work, examples(100, slow=200))) < MOST


# ---------------------------------------------------------------------------------------------------------- characters

UNITS = {
    "words": "zyxwv ",
    "filler": "of ",
    "joined": "1 and ",
    "known": "the rent ",
    "spelt out": "s e ",
    "paragraphs": "a\n",
    "brackets": "(a",
    "amounts": "$1,",
    "periods": "last month ",
    "months": "jan ",
    "dates": "2026-01-01 ",
    "orders": "move x to y ",
    "sentences": "put a into b. ",
    "states": "x is monthly ",
    "drafts": "draft an email to x saying ",
    "notes": "note: ",
    "without": "except rent ",
    "minus": "rent minus ",
    "quoted": '"ab" ',
    "dashes": "a-",
    "base64": "c2VuZCBtb25leSB0byBib2IgcGxlYXNl ",
    "hexadecimal": "73656e64 ",
    "percent": "%20a",
    "entities": "&#65;",
    "escapes": "\\u0041",
    "emoji": "\U0001f4b8",
    "foreign": "envia dinero ",
    "no spaces": "你好",
    "no end": "x",
    "apostrophes": "x's ",
    "pay": "pay ",
}
READERS: dict[str, Callable[[str], object]] = {
    "hints": hint,
    "findings": about_findings,
    "requests": requests.read,
    "understanding": lambda text: understand(text, rows_of(one_merchant(20), END), as_of=END),
}


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
@pytest.mark.parametrize("unit", UNITS.values(), ids=UNITS)
def test_reading_grows_as_the_text_does(unit: str, read: Callable[[str], object]) -> None:
    read("what did I spend")  # loads what it needs

    def work(n: int) -> Callable[[], object]:
        text = unit * (n // len(unit))
        return lambda: read(text)

    assert max(growths(work, 500)) < MOST


@pytest.mark.parametrize("sign", [",", ", ", "~", "- ", '"', "."])
@pytest.mark.parametrize("request_", ["Categorise x{}x as food", "Mark x{}x as monthly", "Dismiss the alert x{}x"])
def test_a_run_of_signs_inside_a_name_is_read_at_once(request_: str, sign: str) -> None:
    """What a pattern could part in many ways holds the whole process up: within a pattern no steps are counted."""
    read = asked(request_.format(sign * 31), one_merchant(20))
    began = process_time()
    read()
    assert process_time() - began < 1


@pytest.mark.parametrize("word", ["a ", "an a ", "the ~ "])
def test_what_is_no_part_of_a_name_is_taken_off_as_its_length_grows(word: str) -> None:
    """As long a name as a message has; a search that begins anew at every word of it takes half a second."""
    name = f"x {word * (4000 // len(word))}x"
    began = process_time()
    assert _stripped(name)
    assert process_time() - began < 0.2


# -------------------------------------------------------------------------------------------------------------- others


def test_what_people_chose_is_put_in_place_as_the_ledger_grows() -> None:
    def work(n: int) -> Callable[[], object]:
        rows = merchants_seen_once(n)
        chosen = {t.transaction_id: "TRAVEL" for t in rows[::2]}
        return lambda: corrected(rows, chosen)

    assert max(growths(work, 2000)) < MOST


def _evidence(n: int) -> Evidence:
    evidence = Evidence()
    for i in range(n):
        evidence.amounts.add(Decimal(i) + Decimal("0.37"))
        evidence.dates.add(date.fromordinal(700_000 + i))
        evidence.names.add(f"{_word(i)} {i}")
    return evidence


def test_grounding_grows_as_the_evidence_does() -> None:
    text = " ".join(f"{n}.11 USD" for n in range(60))

    def work(n: int) -> Callable[[], object]:
        evidence = _evidence(n)
        return lambda: unsupported(text, evidence)

    assert max(growths(work, 200)) < MOST


def test_grounding_grows_as_the_text_does() -> None:
    evidence = _evidence(100)
    assert max(growths(lambda n: lambda: unsupported("1,234.56 USD on 3 May, " * n, evidence), 50)) < MOST


# ------------------------------------------------------------------------------------------------- the same as before


def distance(a: str, b: str) -> int:
    """Edits between two words, a swap of neighbours counting one (optimal string alignment)."""
    rows = [list(range(len(b) + 1))]
    for i, x in enumerate(a, 1):
        row = [i]
        for j, y in enumerate(b, 1):
            best = min(rows[-1][j] + 1, row[j - 1] + 1, rows[-1][j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                best = min(best, rows[-2][j - 2] + 1)
            row.append(best)
        rows.append(row)
    return rows[-1][-1]


@given(st.text("ab", max_size=8), st.text("ab", max_size=8), st.integers(0, 3))
def test_edits_up_to_a_bound_are_the_edits(a: str, b: str, most: int) -> None:
    gap = distance(a, b)
    assert within(a, b, most) == (gap if gap <= most else None)


_NAMES = st.text("abcx '&", min_size=1, max_size=9).filter(lambda text: text.strip() != "")


@given(st.lists(st.tuples(_NAMES, st.booleans()), min_size=1, max_size=12), _NAMES)
def test_the_closest_name_is_the_one_that_going_through_all_of_them_finds(
    names: list[tuple[str, bool]], wanted: str
) -> None:
    rows = [
        replace(_row(i, END, -5, text.upper() + " 12", "TRAVEL"), merchant_name=text if named else None)
        for i, (text, named) in enumerate(names)
    ]
    known = Merchants(rows_of(rows, END))
    for named_only in (True, False):
        gaps = [
            (distance(wanted, key), key)
            for one in known._known
            if one.named or not named_only
            for key in (one.keys if named_only else one.keys | one.heads)
            if key[0] == wanted[0] and distance(wanted, key) <= (1 if len(wanted) <= 6 else 2)
        ]
        found = known.closest(wanted, named_only=named_only)
        assert (found is None) == (not gaps or len(wanted) < 4)
        if found is not None:
            _, key = min(gaps)
            ids = {
                row.tx.transaction_id
                for one in known._known
                if (one.named or not named_only) and key in (one.keys if named_only else one.keys | one.heads)
                for row in one.rows
            }
            assert found.ids == ids


def test_terms_that_are_looked_for_in_all_names_are_bounded() -> None:
    known = Merchants(rows_of(of_common_words(10), END))
    for n in range(2 * _MOST_LOOKED_FOR):
        known.find(f"{_word(n)} nowhere")
    assert len(known._looked_for) == _MOST_LOOKED_FOR
    assert known.find("payment card fobababa") is None
    assert known.whole(f"{_word(3)} Shop") is not None, "whole names are found all the same"
