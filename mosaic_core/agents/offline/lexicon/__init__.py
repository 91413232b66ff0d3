"""The words of the offline agent: which say what, how they are written, and what no ledger can answer. Text, no code.

Every list has a comment that says what its words mean, and a case. ``words`` are phrases as
`mosaic_core.ledger.wordlists` reads them; the list's ``case`` is a question that each of them reaches in the
place of "{}". ``patterns`` are regular expressions over the tidied question, one a line with its own case after "<-": a
group captures nothing, both ends are ends of words, "{people}" is the list of that name (made of those above it), and a
line that ends in "|" goes on in the next. `tests/unit/test_offline_lexicon.py` sends every entry's case through.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

_ARROW: Final = " <- "


@cache
def load(name: str) -> Mapping[str, Any]:
    """The lists of one file, as they are written."""
    return tomllib.loads(Path(__file__).with_name(f"{name}.toml").read_text(encoding="utf-8"))


def patterns(block: str, names: Mapping[str, str] | None = None) -> Iterator[tuple[str, str]]:
    """Each pattern of a list as a regular expression, with its case."""
    for line in block.replace("|\n", "|").splitlines():
        written, _, case = line.partition(_ARROW)
        for name, alternatives in reversed([*(names or {}).items()]):
            written = written.replace(f"{{{name}}}", alternatives.replace("|\n", "|"))
        yield re.sub(r"(?<!\\)\((?!\?)", "(?:", written), case


def one_of(found: Iterator[tuple[str, str]]) -> re.Pattern[str]:
    """All patterns of a list as one."""
    return re.compile(rf"(?<!\w)(?:{'|'.join(pattern for pattern, _ in found)})(?!\w)")


@cache
def turn(name: str) -> re.Pattern[str]:
    """A turn of phrase (``turns.toml``) that a rule asks for by its name."""
    file = load("turns")
    return one_of(patterns(file[name]["patterns"], file["names"]))
