"""Every entry of the offline agent's lists says what it is there for, and is reached by its case."""

from __future__ import annotations

import re
import tomllib
from datetime import date
from itertools import pairwise
from pathlib import Path

import pytest

from mosaic_core.agents.findings import about_findings
from mosaic_core.agents.offline import lexicon
from mosaic_core.agents.offline.reading import narrowing
from mosaic_core.agents.offline.reading.marks import FILLER, Reading, Tag, lex, lists, unexplained
from mosaic_core.agents.offline.reading.question_text import tidy
from mosaic_core.agents.offline.reading.refusals import CODES, refusal_of
from mosaic_core.agents.offline.reading.respelling import corrected, known_word
from mosaic_core.domain.wordlists import patterns, phrases
from mosaic_core.ledger import date_words
from mosaic_core.ledger.date_words import mark_periods

AS_OF = date(2026, 11, 24)
FOLDER = Path(lexicon.__file__).parent
TIMES = Path(date_words.__file__).with_name("times.toml")
AMOUNTS = TIMES.with_name("amounts.toml")
FILES = [*sorted(FOLDER.glob("*.toml")), TIMES, AMOUNTS]
LOADED = {file: lexicon.load(file) for file in ("turns", "narrowing", "refusals", "findings")} | {
    file.stem: tomllib.loads(file.read_text(encoding="utf-8")) for file in (TIMES, AMOUNTS)
}
PATTERNS = [
    (file, name, pattern, case)
    for file, lists_of in LOADED.items()
    for name, entry in lists_of.items()
    if isinstance(entry, dict) and "patterns" in entry
    for pattern, case in patterns(entry["patterns"], lists_of["names"])
]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_list_has_a_comment(file: Path) -> None:
    lines = file.read_text(encoding="utf-8").splitlines()
    heads = [(before, line) for before, line in pairwise(lines) if re.fullmatch(r"\[[\w.]+\]", line)]
    assert [line for before, line in heads if not before.startswith("# ") and line != "[numbers.special]"] == []
    assert [line for line in lines if len(line) > 120] == []


@pytest.mark.parametrize(("tag", "unit", "entry"), [*lists()], ids=[f"{tag.name}-{unit}" for tag, unit, _ in lists()])
def test_every_phrase_is_marked_in_its_case(tag: Tag, unit: str | None, entry: dict[str, str]) -> None:
    missed = [phrase for phrase in phrases(entry["words"]) if not _marked(entry["case"], phrase, tag, unit)]
    assert missed == []


def _marked(case: str, phrase: str, tag: Tag, unit: str | None) -> bool:
    """Whether the phrase as a whole is marked with the tag, in the question as it is read."""
    reading = Reading(tidy(case.format(phrase)))
    lex(reading, {})
    said = tidy(phrase)
    return any(reading.of(m) == said and tag in m.tags and unit in (None, m.value) for m in reading.marks)


def test_every_filler_says_nothing() -> None:
    case = lexicon.load("filler")["filler"]["case"]
    left = [word for word in FILLER if (0, word) in [(0, w) for _, w in unexplained(_lexed(case.format(word)))]]
    assert left == []
    assert all(word == tidy(word) or re.fullmatch(r"[a-z]+'[a-z]+", word) for word in FILLER)


def _lexed(text: str) -> Reading:
    reading = Reading(tidy(text))
    lex(reading, {})
    return reading


@pytest.mark.parametrize("file", LOADED)
def test_every_pattern_is_reached_by_its_case(file: str) -> None:
    missed = [
        (name, pattern, case)
        for of, name, pattern, case in PATTERNS
        if of == file and not re.search(rf"(?<![\w$])(?:{pattern})(?!\w)", case)
    ]
    assert missed == []


def test_every_refusal_is_told_with_its_reason() -> None:
    told = {(name, case): refusal_of(case) for file, name, _, case in PATTERNS if file == "refusals"}
    assert {(name, case): found.code for (name, case), found in told.items() if found} == {k: k[0] for k in told}


def test_every_word_of_findings_brings_them() -> None:
    assert [case for file, _, _, case in PATTERNS if file == "findings" and not about_findings(case)] == []
    assert not about_findings("How much did we spend on groceries last month?")


def test_every_word_of_time_is_read() -> None:
    assert [case for file, _, _, case in PATTERNS if file == "times" and not mark_periods(case, AS_OF)] == []


def test_refusals_and_times_are_all_read() -> None:
    assert {name for file, name, *_ in PATTERNS if file == "refusals"} == set(CODES)


def test_every_turn_is_asked_for_by_a_rule() -> None:
    code = "".join(path.read_text(encoding="utf-8") for path in (FOLDER.parent / "reading").glob("*.py"))
    unused = [name for name in lexicon.load("turns") if name != "names" and f'"{name}"' not in code]
    assert unused == []


def test_every_short_form_is_spelt_out() -> None:
    for short, meant in lexicon.load("spelling")["casual"].items():
        assert tidy(f"so {short} then") == f"so {meant} then"


def test_every_contraction_is_spelt_out() -> None:
    for word, entry in lexicon.load("spelling")["contractions"].items():
        for before in entry["after"].split():
            assert tidy(f"{before}{entry['short']} up") == f"{before} {word} up"


def test_every_real_word_is_left_alone() -> None:
    words = lexicon.load("spelling")["real"]["words"].split()
    assert [word for word in words if corrected(f"the {word} credit", ()) != f"the {word} credit"] == []
    assert all(known_word(word) for word in words)


@pytest.mark.parametrize(("word", "code"), narrowing.CURRENCIES.items())
def test_every_currency_is_read(word: str, code: str) -> None:
    assert narrowing.take_currency(Reading(f"spending in {word}"), []) == code


def test_every_loose_bound_lets_the_amount_in() -> None:
    entry = LOADED["amounts"]["loose"]
    strict = [w for w in phrases(entry["words"]) if narrowing.take_bounds(Reading(entry["case"].format(w)))[2]]
    assert strict == []


def test_every_short_weekday_is_read() -> None:
    days = {"mon": 0, "tue": 1, "tues": 1, "wed": 2, "weds": 2, "thu": 3, "thur": 3, "thurs": 3, "fri": 4, "sat": 5}
    for word, day in {**days, "sun": 6}.items():
        assert narrowing.take_weekdays(Reading(f"spending every {word}")) == {day}
        assert narrowing.take_weekdays(Reading(f"spending on {word}s and {word}s")) == {day}


def test_every_kind_of_account_is_read() -> None:
    said = set(re.findall(r"[a-z]+", lexicon.load("narrowing")["account_of_a_kind"]["patterns"]))
    assert set(lexicon.load("narrowing")["accounts"]) - said == {"saving", "mastercard", "debit"} - said
