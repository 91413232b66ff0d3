"""Lists of words, phrases and patterns as they stand in the TOML files beside the code that uses them.

A list of phrases is separated by semicolons. A list of patterns has one a line with its own case after "<-": a regular
expression in which a group captures nothing, "{people}" is the list of that name (made of those above it), and a line
that ends in "|" goes on in the next.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import product
from typing import Final

_GROUP: Final = re.compile(r"\(([^()]*)\)")
_ARROW: Final = " <- "


def phrases(block: str) -> list[str]:
    """The phrases of a list that semicolons separate, in its order.

    A group in parentheses stands for each of its alternatives, an empty one included.

    >>> phrases("cash; take (out|) (the|my)\\n cash")
    ['cash', 'take out the cash', 'take out my cash', 'take the cash', 'take my cash']
    """
    return [phrase for item in block.split(";") for phrase in _combinations(item) if phrase]


def _combinations(item: str) -> Iterator[str]:
    # every other part of the split is a group
    parts = [part.split("|") if i % 2 else [part] for i, part in enumerate(_GROUP.split(item))]
    for chosen in product(*parts):
        yield " ".join(" ".join(chosen).split())


def patterns(block: str, names: Mapping[str, str] | None = None) -> Iterator[tuple[str, str]]:
    """Each pattern of a list as a regular expression, with its case."""
    for line in block.replace("|\n", "|").splitlines():
        written, _, case = line.partition(_ARROW)
        for name, alternatives in reversed([*(names or {}).items()]):
            written = written.replace(f"{{{name}}}", alternatives.replace("|\n", "|"))
        yield re.sub(r"(?<!\\)\((?!\?)", "(?:", written), case


def one_of(found: Iterator[tuple[str, str]]) -> re.Pattern[str]:
    """All patterns of a list as one, which begins and ends with a word."""
    return re.compile(rf"(?<!\w)(?:{'|'.join(pattern for pattern, _ in found)})(?!\w)")
