"""Whether every clause of a text is recognised as harmless. The default is that it is not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from mosaic_core.domain.policy import english, languages
from mosaic_core.domain.policy.clauses import Clause, Sentence, sentences
from mosaic_core.domain.policy.kinds import Kind
from mosaic_core.domain.policy.words import vocabulary

__all__ = ["Judged", "first_unrecognised", "judged"]

_LONGEST: Final = 400
"""Words of a sentence; a longer one is nobody's question, and is not gone through."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A clause, what it is, and the language in which it was read, None for English."""

    clause: Clause
    kind: Kind
    language: languages.Language | None


def judged(text: str) -> Iterator[list[Judged]]:
    """The clauses of each sentence of a text in lower case, in the language in which most of them are recognised."""
    spoken: list[languages.Language | None] = [None]
    for sentence in sentences(text):
        whole = sentence.clauses(None)
        words = [word for clause in whole for word in clause.words][:_LONGEST]
        if not words:
            continue
        spoken = languages.candidates(words, sentence.text, vocabulary()) or spoken
        readings = [_judge(sentence, language) for language in spoken]
        yield max(readings, key=_doubt) if len(readings) > 1 else readings[0]


def first_unrecognised(text: str) -> Judged | None:
    """The first clause that is not recognised as harmless; None where all are."""
    beside, alone, fragments = None, False, None
    asks_before = False
    for found in judged(text):
        asks = any(j.kind == Kind.ASKS for j in found)
        for j in found:
            if j.kind == Kind.UNKNOWN:
                return j
            if j.kind == Kind.TOLD:
                beside = beside or j
            if j.kind == Kind.FRAGMENT and not asks and not (asks_before and _follows_up(j)):
                fragments = fragments or j
        asks_before = asks_before or asks
        alone = alone or any(j.kind in (Kind.TALK, Kind.REPORT) for j in found)
    if fragments is not None:
        return fragments
    return beside if not asks_before else None


def _follows_up(found: Judged) -> bool:
    """A few words of English after a question, that open with a function word: "In July only."."""
    return found.language is None and len(found.clause.words) <= 4 and found.clause.words[0] in vocabulary()


def _doubt(found: list[Judged]) -> tuple[bool, bool]:
    kinds = {j.kind for j in found}
    return Kind.UNKNOWN in kinds, Kind.ASKS not in kinds


def _judge(sentence: Sentence, language: languages.Language | None) -> list[Judged]:
    found: list[Judged] = []
    context: Kind | None = None
    helped = False
    clauses = sentence.clauses(english.CONJUNCTIONS if language is None else language.conjunctions)
    for clause in clauses:
        if language is None:
            kind = english.judge(clause, sentence, context, helped=helped)
            helped = helped or (kind == Kind.ASKS and english.is_helped(clause.words))
            if len(clauses) > 1 or kind == Kind.FRAGMENT:
                kind = _of_another_language(clause, sentence) or kind
            if kind == Kind.FRAGMENT and sentence.asked and len(clauses) == 1 and _is_name(clause):
                kind = Kind.ASKS
        else:
            kind = languages.judge(language, clause, sentence)
        found.append(Judged(clause, kind, language))
        context = kind
    return found


def _is_name(clause: Clause) -> bool:
    """What is asked for by a name alone: "Netflix?", "and the groceries?"."""
    words = clause.words
    return len(words) == 1 or (len(words) <= 5 and not vocabulary().isdisjoint(words))


def _of_another_language(clause: Clause, sentence: Sentence) -> Kind | None:
    """What a part of an English sentence is that is in no English, where it is not harmless."""
    others = languages.candidates(clause.words, clause.raw, vocabulary())
    if not others or None in others:
        return None
    kinds = [languages.judge(other, clause, sentence) for other in others if other is not None]
    return next((kind for kind in kinds if kind in (Kind.UNKNOWN, Kind.FRAGMENT)), None) and (
        Kind.UNKNOWN if len(clause.words) > 1 else None
    )
