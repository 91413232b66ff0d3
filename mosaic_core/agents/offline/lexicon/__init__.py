"""The words of the offline agent: which say what, how they are written, and what no ledger can answer. Text, no code.

Every list has a comment that says what its words mean, and a case. ``words`` are phrases and ``patterns`` are patterns
as `mosaic_core.domain.wordlists` reads them; a list's ``case`` is a question that each of its phrases reaches in the
place of "{}". `tests/unit/test_offline_lexicon.py` sends every entry's case through.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from mosaic_core.domain.wordlists import one_of, patterns

__all__ = ["load", "one_of", "patterns", "turn"]


@cache
def load(name: str) -> Mapping[str, Any]:
    """The lists of one file, as they are written."""
    return tomllib.loads(Path(__file__).with_name(f"{name}.toml").read_text(encoding="utf-8"))


@cache
def turn(name: str, file: str = "turns") -> re.Pattern[str]:
    """A list of patterns by its name, by default a turn of phrase that a rule asks for."""
    lists = load(file)
    return one_of(patterns(lists[name]["patterns"], lists["names"]))
