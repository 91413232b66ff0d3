"""What people call the ledger's sixteen categories, by ``names.toml``."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Final

from mosaic_core.domain.wordlists import phrases

_CALLED: Final[dict[str, str]] = tomllib.loads(Path(__file__).with_name("names.toml").read_text(encoding="utf-8"))

NAMES: Final = tuple(_CALLED)

_AROUND: Final = re.compile(
    r"""
    ^(?:the|a|an|my|our|under|as|category|categories|for|of)\s+
    | \s+(?:category|categories|expenses?|costs?|spending|purchases?|too|also|instead|please|now|thanks)$
    """,
    re.VERBOSE,
)
"""What stands around a name and is no part of it."""


LONGEST_NAMED: Final = 200
"""Characters of a text that may be a name and nothing else."""


def _key(text: str) -> str:
    return " ".join(re.sub(r"[^a-z]+", " ", text.casefold().replace("&", " and ")).split())


def _table() -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for category, block in _CALLED.items():
        for name in (category, *phrases(block)):
            found.setdefault(_key(name), set()).add(category)
    return {name: frozenset(categories) for name, categories in found.items()}


_TABLE: Final = _table()


def named(text: str) -> frozenset[str]:
    """The categories that go by this name: none where it is unknown, several where it is said of more than one."""
    if len(text) > LONGEST_NAMED:
        return frozenset()
    text = text.strip(" .,!'\"").casefold()
    for _ in range(6):
        found = _TABLE.get(_key(text))
        if found is not None:
            return found
        shorter = _AROUND.sub("", text, count=1).strip()
        if shorter == text:
            break
        text = shorter
    return frozenset()


def mentioned(text: str) -> frozenset[str]:
    """The categories whose names stand in a text, the longest names first: "food and drink" is no mention of drinks."""
    key, found = f" {_key(text)} ", frozenset[str]()
    for name in sorted(_TABLE, key=lambda n: (-len(n), n)):
        if f" {name} " in key:
            found |= _TABLE[name]
            key = key.replace(f" {name} ", " | ")
    return found
