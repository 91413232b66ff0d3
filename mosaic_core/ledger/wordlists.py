"""Lists of words and phrases as they stand in the TOML files beside the code that uses them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import product
from typing import Final

_GROUP: Final = re.compile(r"\(([^()]*)\)")


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
