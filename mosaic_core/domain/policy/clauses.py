"""A text cut into sentences, and a sentence into clauses: each is judged by itself, and all of them have to be harmless."""

# ruff: noqa: E501 - patterns and word lists read worse when they are broken
from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from mosaic_core.domain.policy.readings import unaccented

__all__ = ["AMOUNT", "Clause", "Sentence", "is_amount", "sentences"]

_END: Final = re.compile(
    r"(?<=[^\W\d_]{2})(?<!\bmr)(?<!\bdr)(?<!\bst)(?<!\bmrs)\.(?=\s|$)|(?<=\bi)\.(?=\s|$)|(?<=[\d)%\"”»'}\]\s])\.(?=\s|$)|[!?。！？؟।…՞]+|\.{2,}|\n+|;"
)
_PAUSE: Final = re.compile(
    r",(?!\d)|[，、،]|:(?=\s|$)|：|[()\[\]{}\"“”«»„¡¿]|<(?=[\w/|])|(?<=[\w/|])>|\s[-–—]+(?=\s)|—|(?<=\w)[-–] | [/|] |->|→"
)
_EDGES: Final = ".'*_#~^|\\/&=+-–·•`"
_GREEK: Final = re.compile(r"[\u0370-\u03ff]")

AMOUNT: Final = re.compile(r"(?:[$€£¥]\s?)?\b\d[\d,.]*\b")
_FIGURE: Final = re.compile(r"[$€£¥₹₩₽]?\d[\d.,]*(?:k|m|€|\$|£|¥|%|eur|usd|gbp|円|元|块|원)?")
_YEAR: Final = re.compile(r"199\d|20(?:0[1-9]|[1-4]\d)")
_NUMBER_WORDS: Final = frozenset(
    """ten twenty thirty forty fifty sixty seventy eighty ninety hundred thousand grand tenner
    fiver""".split()
)


@dataclass(frozen=True, slots=True)
class Clause:
    """``words`` without accents, ``line`` the same between single spaces, ``raw`` with accents, ``lead`` what separates
    it from the clause before."""

    words: tuple[str, ...]
    raw: str
    lead: str

    @property
    def line(self) -> str:
        return f" {' '.join(self.words)} "


@dataclass(frozen=True, slots=True)
class Sentence:
    """``text`` with accents; ``asked`` where it ends in a question mark."""

    text: str
    asked: bool

    def clauses(self, conjunctions: re.Pattern[str] | None) -> list[Clause]:
        """Cut at pauses and at the language's conjunctions."""
        found, start, lead = [], 0, ""
        marks = [(m.start(), m.end(), m.group().strip()) for m in _PAUSE.finditer(self.text)]
        if conjunctions is not None:
            marks += [(m.start(), m.end(), m.group().strip()) for m in conjunctions.finditer(self.text)]
        for begin, end, mark in [*sorted(marks), (len(self.text), len(self.text), "")]:
            if begin < start:
                continue
            clause = _clause(self.text[start:begin], lead)
            if clause is not None:
                found.append(clause)
                lead = mark
            else:
                lead = mark if mark.isalpha() or not lead else lead
            start = end
        return found


def sentences(text: str) -> Iterator[Sentence]:
    """The sentences of a text in lower case."""
    start = 0
    for match in [*_END.finditer(text), None]:
        part = text[start : match.start() if match else len(text)]
        end = match.group() if match else ""
        start = match.end() if match else len(text)
        if re.search(r"\w", part):
            asked = (
                "?" in end or "؟" in end or "¿" in part or ("？" in end) or (end == ";" and bool(_GREEK.search(part)))
            )
            yield Sentence(part.strip(), asked)


def is_amount(word: str) -> bool:
    """A sum rather than a year."""
    return (_FIGURE.fullmatch(word) is not None and not _YEAR.fullmatch(word)) or word in _NUMBER_WORDS


def _clause(text: str, lead: str) -> Clause | None:
    raw = [w for w in (word.strip(_EDGES) for word in text.replace("_", " ").split()) if w]
    words = tuple(w for word in raw for w in unaccented(word).split())
    return Clause(words, f" {' '.join(raw)} ", lead) if words else None
