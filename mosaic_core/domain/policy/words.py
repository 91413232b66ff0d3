"""English words: the closed classes of english.toml, and what may be stripped from a clause before it is judged."""

# ruff: noqa: E501 - patterns and word lists read worse when they are broken
from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Final

from mosaic_core.domain.policy.verbs import acts

__all__ = ["lists", "opened", "vocabulary"]


@cache
def lists() -> dict[str, frozenset[str]]:
    data = tomllib.loads(Path(__file__).with_name("english.toml").read_text("utf-8"))
    return {name: frozenset(text.split()) for name, text in data.items()}


@cache
def vocabulary() -> frozenset[str]:
    """The closed classes, by which a sentence is known to be English."""
    names = (
        "wh",
        "aux",
        "filler",
        "common",
        "pronouns",
        "determiners",
        "prepositions",
        "periods",
        "ledger",
        "present",
        "past",
    )
    return frozenset[str]().union(*(lists()[name] for name in names)) | {
        "me",
        "not",
        "if",
        "tell",
        "show",
        "give",
        "to",
    }


@cache
def _slips() -> dict[str, str]:
    """Misspellings of the words that open a question: a letter left out or doubled, or two exchanged."""
    found: dict[str, str] = {}
    words = "what which who where when why how whats much many did does have show list tell give find total average compare spent spend check explain transfers payments".split()
    for word in words:
        for i in range(1, len(word)):
            for slip in (
                word[:i] + word[i + 1 :],
                word[:i] + word[i] + word[i:],
                word[:i] + word[i : i + 2][::-1] + word[i + 2 :],
            ):
                if len(slip) > 1 and slip not in words and slip not in _NO_SLIP and not acts(slip):
                    found.setdefault(slip, word)
    return found


_NO_SLIP: Final = frozenset(
    "he hoe hose sow shoe lit fin ho sent sped doe does payment transfer have here were hat wat wo woe".split()
) - {"wat"}


def opened(words: tuple[str, ...]) -> tuple[str, ...]:
    """Without what merely opens a clause, and with slips in the words that open a question mended."""
    words = tuple(_slips().get(word, word) if i < 5 else word for i, word in enumerate(words))
    filler = lists()["filler"]
    while words:
        pair = " ".join(words[:2])
        if pair in (
            "if so",
            "if not",
            "if yes",
            "if possible",
            "of course",
            "by the",
            "thank you",
            "go on",
            "come on",
            "one more",
            "last thing",
            "after that",
            "after this",
            "at it",
            "while youre",
            "while you're",
            "while ur",
            "youre at",
            "ur at",
            "once done",
            "when done",
            "first of",
            "no worries",
            "good morning",
            "good evening",
            "quick question",
        ):
            words = words[2:]
        elif (
            words[0] in filler
            and pair
            not in (
                "next month",
                "next week",
                "next year",
                "about my",
                "very first",
                "right now",
                "so far",
                "still to",
                "look at",
                "look up",
                "look into",
                "look for",
                "look through",
                "look back",
                "first half",
                "first quarter",
                "only if",
            )
        ) or (words[0] == "no" and len(words) > 1 and words[1] not in ("need", "more", "longer", "one", "reason")):
            words = words[1:]
        else:
            break
    return words
