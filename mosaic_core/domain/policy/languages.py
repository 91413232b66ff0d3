"""Clauses of other languages that are harmless, by the closed classes in languages.toml: interrogatives, auxiliaries of
yes-no questions, verbs of showing, negations. One procedure for all; what it does not recognise is `Kind.UNKNOWN`."""

# ruff: noqa: E501 - patterns and word lists read worse when they are broken
from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Final

from mosaic_core.domain.policy.clauses import Clause, Sentence, is_amount
from mosaic_core.domain.policy.kinds import Kind
from mosaic_core.domain.policy.readings import fold, lower
from mosaic_core.domain.policy.verbs import foreign_act, foreign_changes, joined_at

__all__ = ["Language", "candidates", "judge"]

_RAW: Final = ("fact", "past")
_NO_WORDS: Final = ("script", "joined", "letters", "last", "past")
_SCRIPTS: Final = {
    "japanese": re.compile(r"[\u3040-\u30ff]"),
    "hangul": re.compile(r"[\uac00-\ud7af\u1100-\u11ff\u3130-\u318f]"),
    "han": re.compile(r"[\u3400-\u9fff]"),
    "thai": re.compile(r"[\u0e00-\u0e7f]"),
    "devanagari": re.compile(r"[\u0900-\u097f]"),
    "bengali": re.compile(r"[\u0980-\u09ff]"),
    "arabic": re.compile(r"[\u0600-\u06ff]"),
    "hebrew": re.compile(r"[\u0590-\u05ff]"),
    "greek": re.compile(r"[\u0370-\u03ff\u1f00-\u1fff]"),
    "cyrillic": re.compile(r"[\u0400-\u04ff]"),
}
# What is filed under a category, or marked as recurring: the listed harmless actions.
_FILED: Final = re.compile(
    r"categor|kategor|катего|カテゴリ|分类|分類|카테고리| (?:como|als|comme|come|jako|как|som|ca|olarak) (?:\S+ ){0,2}(?:recurr|recorren|ricorren|wiederkehr|terugkerend|aterkom|tilbagevend|повторя|регуляр|opakov|cyklicz|duzenli|toistuv)"
)


@dataclass(frozen=True, eq=False)
class Language:
    """One language's closed classes. A list becomes a pattern over a line of words between spaces when it is first asked
    for: few of the languages are ever met."""

    name: str
    lists: dict[str, str]

    @property
    def script(self) -> str:
        return self.lists.get("script", "latin")

    @property
    def joined(self) -> bool:
        """Written without spaces."""
        return bool(self.lists.get("joined"))

    @property
    def last(self) -> bool:
        """Its verbs stand at the end."""
        return bool(self.lists.get("last"))

    @property
    def inverts(self) -> bool:
        """Its yes-no questions begin with the verb."""
        return "open" in self.lists

    @cached_property
    def vocabulary(self) -> frozenset[str]:
        """The single words of its lists, folded."""
        kept = (text for mark, text in self.lists.items() if mark not in _NO_WORDS)
        words = fold(" ".join(kept)).split()
        return frozenset(word for word in words if "_" not in word and "*" not in word)

    @cached_property
    def conjunctions(self) -> re.Pattern[str] | None:
        text = self.lists.get("and")
        if text is None or self.joined:
            return self._pattern("and")
        words = "|".join(lower(item).replace("_", " ") for item in text.split())
        return re.compile(rf"(?<=\s)(?:{words})(?=\s)")

    def has(self, mark: str, line: str) -> re.Match[str] | None:
        pattern = self._pattern(mark)
        return pattern.search(line) if pattern is not None else None

    def without(self, mark: str, line: str) -> str:
        pattern = self._pattern(mark)
        return line if pattern is None else pattern.sub("", line)

    def _pattern(self, mark: str) -> re.Pattern[str] | None:
        if mark not in self._patterns:
            self._patterns[mark] = self._compiled(mark, self.lists.get(mark, ""))
        return self._patterns[mark]

    @cached_property
    def _patterns(self) -> dict[str, re.Pattern[str] | None]:
        return {}

    def _compiled(self, mark: str, text: str) -> re.Pattern[str] | None:
        if not text:
            return None
        if self.joined or mark == "letters":
            return re.compile("|".join(text.split()) if self.joined else f"[{text}]")
        if mark == "past":
            return re.compile(rf" (?:{text})(?= )")
        spell = lower if mark in _RAW else fold
        items = (re.escape(spell(item).replace("_", " ")) for item in text.split())
        spelt = (i.replace(r"\*", r"\S*").replace(r"\ \$", "(?= $)").replace(r"\ ", " ") for i in items)
        return re.compile(rf"(?<= )(?:{'|'.join(spelt)})(?= )")


@cache
def _languages() -> tuple[Language, ...]:
    data = tomllib.loads(Path(__file__).with_name("languages.toml").read_text("utf-8"))
    return tuple(Language(name, lists) for name, lists in data.items())


@cache
def _speakers() -> dict[str, tuple[Language, ...]]:
    """Word → the languages in Latin letters or Cyrillic that have it among their closed classes."""
    found: dict[str, tuple[Language, ...]] = {}
    for language in _languages():
        for word in language.vocabulary:
            found[word] = (*found.get(word, ()), language)
    return found


def candidates(words: Sequence[str], raw: str, english: frozenset[str]) -> list[Language | None]:
    """The languages that the words may be of, by how many of their closed classes and letters occur; None is English.
    Empty where nothing tells."""
    script = next((name for name, pattern in _SCRIPTS.items() if pattern.search(raw)), "latin")
    within = [language for language in _languages() if language.script == script]
    if script not in ("latin", "cyrillic", "arabic"):
        return list(within)
    scores: dict[Language | None, int] = {None: sum(word in english for word in words)} if script == "latin" else {}
    speakers = _speakers()
    for word in words:
        for language in speakers.get(word, ()):
            if language.script == script:
                scores[language] = scores.get(language, 0) + 1
    for language in within:
        if language.has("letters", raw):
            scores[language] = scores.get(language, 0) + 2
    best = max(scores.values(), default=0)
    if not best:
        return [] if script == "latin" else list(within)
    tied = [language for language, score in scores.items() if score == best]
    return [None] if None in tied else tied


def judge(language: Language, clause: Clause, sentence: Sentence) -> Kind:
    """What the clause is."""
    line = re.sub(r"\s+", "", clause.line) if language.joined else clause.line
    raw = re.sub(r"\s+", "", clause.raw) if language.joined else clause.raw
    if not _rest(language, line).strip():
        return Kind.TALK
    act = _first_act(language, clause, line)
    told = _past(language, raw) or language.has("fact", raw)
    asked = language.has("wh", line) or _opens(language, clause, sentence, line, told=told is not None)
    shows = language.has("show", line) or (language.has("tell", line) if asked or language.has("yes", line) else None)
    if _FILED.search(line) and not _sums(clause) and (act is None or foreign_changes(clause.words)):
        return Kind.ASKS
    if language.has("you", line):
        return Kind.ASKS if shows and _leads(shows, act, language) else Kind.UNKNOWN
    if language.has("wish", line):
        return Kind.ASKS if (shows and _leads(shows, act, language)) or (asked and act is None) else Kind.UNKNOWN
    denied = language.has("no", line)
    if denied and not language.has("void", line) and not asked and not sentence.asked:
        if told:
            return Kind.TOLD
        before = _rest(language, line[: denied.start()]).split()
        if (
            language.joined
            or language.last
            or (len(before) <= 1 and _closed(language, before))
            or (language.inverts and not _closed(language, clause.words[:1]))
        ):
            return Kind.ASKS
    when = _at_head(language, "when", line)
    if when and (sentence.asked or told) and act is None:
        return Kind.ASKS
    if language.has("yes", line) and (act is None or language.joined):
        return Kind.ASKS
    if (_at_head(language, "if", line) and not asked) or when:
        return Kind.TOLD if act is None or sentence.asked else Kind.UNKNOWN
    if asked and (act is None or asked.start() < act):
        return Kind.ASKS
    if _at_head(language, "open", line) or (sentence.asked and told and (act is None or told.start() < act)):
        return Kind.ASKS
    if shows and _leads(shows, act, language) and (language.joined or _near_head(language, line, shows.start())):
        return Kind.ASKS
    if act is None and not _sums(clause):
        if language.has("nouns", line) and (
            language.joined or _closed(language, line[: _start(language, "nouns", line)].split())
        ):
            return Kind.ASKS
        report = _past(language, raw)
        if report and (language.joined or _closed(language, raw[: report.start()].split())):
            return Kind.TOLD
        if _fragment(language, clause, line):
            return Kind.FRAGMENT
    return Kind.UNKNOWN


def _past(language: Language, raw: str) -> re.Match[str] | None:
    """A past form; at the end of the clause in languages that put their verbs there."""
    match = language.has("past", raw)
    if match is not None and language.last and not language.joined and match.end() < len(raw) - 1:
        return None
    return match


def _rest(language: Language, line: str) -> str:
    return re.sub(r"\W+", " ", language.without("talk", line))


def _first_act(language: Language, clause: Clause, line: str) -> int | None:
    """Where the first word stands that names an action, if one does."""
    if language.joined:
        return (
            joined_at(line)
            if not language.has("past", line) and not language.has("wh", line) and not language.has("yes", line)
            else None
        )
    at = 1
    past = {fold(w) for w in clause.raw.split() if language.has("past", f" {w} ")}
    for word in clause.words:
        if (
            word not in past
            and foreign_act(word) is not None
            and not language.has("show", f" {word} ")
            and not language.has("words", f" {word} ")
            and not language.has("nouns", f" {word} ")
        ):
            return at
        at += len(word) + 1
    return None


def _leads(shows: re.Match[str], act: int | None, language: Language) -> bool:
    """Whether the verb of showing governs the clause rather than an action: it comes first, or last where the language
    puts its verbs at the end."""
    return act is None or (shows.start() > act if language.last else shows.start() <= act)


def _at_head(language: Language, mark: str, line: str) -> re.Match[str] | None:
    """The mark where it opens the clause, after at most a few function words."""
    match = language.has(mark, line)
    if match is None:
        return None
    before = _rest(language, line[: match.start()]).split()
    allowed = (mark in ("if", "when", "head") and 1) or 2
    if len(before) <= allowed and _closed(language, before):
        return match
    return None


def _opens(language: Language, clause: Clause, sentence: Sentence, line: str, *, told: bool) -> re.Match[str] | None:
    """An interrogative that is also a conjunction: in a question, before a past, or where verbs are inverted."""
    match = _at_head(language, "head", line)
    if match is None or language.inverts or language.last or sentence.asked or told:
        return match
    return match if match.group() not in clause.raw else None


def _near_head(language: Language, line: str, start: int) -> bool:
    before = _rest(language, line[:start]).split()
    return len(before) <= 3 and (
        _closed(language, before) or language.script != "latin" or not line[start:].strip().count(" ")
    )


def _closed(language: Language, words: Iterable[str]) -> bool:
    return all(fold(word) in language.vocabulary for word in words)


def _start(language: Language, mark: str, line: str) -> int:
    match = language.has(mark, line)
    return match.start() if match is not None else 0


def _sums(clause: Clause) -> bool:
    return (
        any(is_amount(word) for word in clause.words)
        or re.search(r"\d+(?:元|块|円|원|만|บาท)", clause.line) is not None
    )


def _fragment(language: Language, clause: Clause, line: str) -> bool:
    """A name, a place or a time that may stand beside a question: one word, or such as open with a function word."""
    if language.joined:
        return len(line) <= 12 and not re.search(r"\d", line)
    words = _rest(language, line).split()
    return len(clause.words) == 1 or (0 < len(words) <= 6 and words[0] in language.vocabulary)
