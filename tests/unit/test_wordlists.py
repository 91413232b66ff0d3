"""Lists of words: a group stands for each of its alternatives, and what the topics are called is read as it stands."""

import pytest

from mosaic_core.domain.wordlists import phrases
from mosaic_core.ledger.topics import _CALLED, PHRASE_TOPICS, TOPICS


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ("coffee; cafe", ["coffee", "cafe"]),
        (" coffee ;\n coffee\n shop;", ["coffee", "coffee shop"]),
        ("take (out|) cash", ["take out cash", "take cash"]),
        ("(pull|\ndraw) from the (bank|atm)", ["pull from the bank", "pull from the atm", "draw from the bank",
                                             "draw from the atm"]),
        ("", []),
    ],
)  # fmt: skip
def test_phrases(block: str, expected: list[str]) -> None:
    assert phrases(block) == expected


def test_each_phrase_is_of_one_topic_alone() -> None:
    assert len(PHRASE_TOPICS) == sum(len(called) for called, _ in _CALLED)


def test_topics_are_told_apart_by_their_names() -> None:
    names = [topic.name for topic in TOPICS]
    assert len(names) == len(set(names))
