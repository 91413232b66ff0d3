"""A question as marks: which of its words say what, and which nothing has explained. Pure."""

# ruff: noqa: E501 - patterns and word lists read worse when they are broken
from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from mosaic_core.agents.offline.periods import MONTH_WORDS, NUMBER_WORDS, TIME_WORDS, number
from mosaic_core.agents.offline.realwords import REAL_WORDS
from mosaic_core.agents.offline.refusals import REFUSAL_WORDS
from mosaic_core.agents.offline.words import CURRENCIES, FILLER, GROUPS, MADE, PER, PHRASES, Tag
from mosaic_core.domain.edits import distance
from mosaic_core.ledger.brands import brand_words
from mosaic_core.ledger.rows import fold
from mosaic_core.ledger.topics import PHRASE_TOPICS, TOPIC_WORDS

TAKEN: Final = "\x00"
"""What stands in place of a letter that has been explained."""
_TOKEN: Final = re.compile(r"[0-9a-z&+%'][0-9a-z&+'./*%_]*(?:-[0-9a-z]+)*")
_LONGEST: Final = 8
_CASUAL: Final = {
    "hw": "how", "hows": "how is", "whats": "what is", "wats": "what is", "wat": "what", "wht": "what", "wots": "what is", "wot": "what", "wheres": "where is", "whens": "when is", "whos": "who is", "whose": "who", "ive": "i have", "weve": "we have",
    "im": "i am", "u": "you", "n": "and", "nd": "and", "b4": "before", "tot": "tot", "avg.": "average", "approx.": "approx", "no.": "number", "qty": "quantity", "yr": "year", "yrs": "years", "mth": "month", "mths": "months", "wk": "week", "wks": "weeks", "mo": "month", "thru": "through", "w/o": "without", "w/": "with", "lst": "last", "tx": "transaction", "txs": "transactions", "#": "number",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Mark:
    """A stretch of the question and what it says. ``value`` is the unit, group, number or subject that it names."""

    start: int
    end: int
    tags: frozenset[Tag]
    value: object = None


@dataclass(slots=True)
class Reading:
    """A question under reading: ``text`` as it stands, ``free`` with explained letters blanked, the marks so far."""

    text: str
    free: str = ""
    marks: list[Mark] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.free = self.free or self.text

    def take(self, start: int, end: int, *tags: Tag, value: object = None) -> None:
        self.free = self.free[:start] + TAKEN * (end - start) + self.free[end:]
        self.marks.append(Mark(start, end, frozenset(tags), value))

    def in_order(self) -> list[Mark]:
        return sorted(self.marks, key=lambda mark: mark.start)

    @property
    def shape(self) -> str:
        """The tags in the question's order; several of one phrase are joined by "+"."""
        return " ".join("+".join(sorted(mark.tags)) for mark in self.in_order())


def tidy(question: str) -> str:
    """Lower case, plain letters, apostrophes and spaces, contractions spelt out, no invisible characters."""
    text = unicodedata.normalize("NFKC", question)
    text = "".join(c for c in text if unicodedata.category(c) not in ("Cf", "Cs", "Cn"))
    text = fold(re.sub(r"[’‘`´]", "'", text.lower()))
    text = re.sub(r"[“”«»]", '"', text)
    text = re.sub(r"[–—]", " - ", text)
    text = re.sub(r"\b(what|how|where|who|when|that|there|it)'s\b", r"\1 is", text)
    text = re.sub(r"\b(what|how|where|who|when)'d\b", r"\1 did", text)
    text = _SHORT_YEAR.sub(r"20\1", text)
    text = _YEAR_FIRST.sub(r"\2 \1", text)
    text = re.sub(r"\b(i|we|you|they)'ve\b", r"\1 have", text)
    text = re.sub(r"\b(we|you|they)'re\b", r"\1 are", text)
    text = re.sub(r"\b(i|we|you)'m\b", r"\1 am", text)
    text = re.sub(r"\b(i|we|you|he|she|they)'d\b", r"\1 would", text)
    text = re.sub(r"\b(do|did|does|has|have|was|were|is|are)n't\b", r"\1 not", text)
    text = re.sub(r"(?<=[a-z])-(?=[a-z])", " ", text)
    text = re.sub(r"(?<=\s)-(?=\s\d|\s(?:the|" + "|".join(MONTH_WORDS) + r")\b)", "to", text)
    text = re.sub(r"\b(?:the )?first of (?=" + "|".join(MONTH_WORDS) + r")", "1 ", text)
    text = _TENS.sub(_digits, text)
    text = re.sub(r"(?<=\s)-(?=\s)|[?!;:()\[\]{}=~|\\]+|\.(?=\s|$)|…", " ", text)
    return " ".join(_CASUAL.get(word, word) for word in re.sub(r",(?=\s|$)", " ,", text).split())


_SHORT_YEAR: Final = re.compile(r"(?<![\w'])'(\d\d)(?![\w'])")
_YEAR_FIRST: Final = re.compile(
    rf"\b((?:19|20)\d\d)[ ,-]*(q[1-4]|h[12]|{'|'.join(word for word in MONTH_WORDS if word != 'may')})\b(?![ -]?\d|\.\d| (?:19|20)\d\d)"
)
""" "'24" is 2024; "2024 Q1" and "2024 March" say the year first."""
_ONES: Final = "one two three four five six seven eight nine".split()
_TEN: Final = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_TENS: Final = re.compile(
    rf"\b(?:(?P<t>{'|'.join(_TEN)})(?:[ -](?P<o>{'|'.join(_ONES)}))?|(?P<c>a|{'|'.join(_ONES)}) (?P<z>hundred|thousand|grand))\b"
)


def _digits(match: re.Match[str]) -> str:
    """ "Forty five" as 45, "two hundred" as 200."""
    if match["t"]:
        return str(10 * (_TEN.index(match["t"]) + 2) + (_ONES.index(match["o"]) + 1 if match["o"] else 0))
    count = 1 if match["c"] == "a" else _ONES.index(match["c"]) + 1
    return str(count * (100 if match["z"] == "hundred" else 1000))


def _split(block: str) -> list[tuple[str, ...]]:
    return [tuple(phrase.split()) for phrase in block.split(";") if phrase.strip()]


def _lexicon() -> dict[tuple[str, ...], tuple[frozenset[Tag], object]]:
    table: dict[tuple[str, ...], tuple[frozenset[Tag], object]] = {}
    for tag, block in (*PHRASES.items(), *MADE.items()):
        for words in _split(block):
            known = table.get(words, (frozenset(), None))[0]
            table[words] = (known | {tag}, None)
    for tag, blocks in ((Tag.GROUP, GROUPS), (Tag.PER, PER)):
        for value, block in blocks.items():
            for words in _split(block):
                known = table.get(words, (frozenset(), None))[0]
                table[words] = (known | {tag}, value)
    return table


_LEXICON: Final = _lexicon()
_SPELLING: Final = frozenset(
    word
    for word in {
        *(word for words in _LEXICON for word in words), *FILLER, *CURRENCIES, *NUMBER_WORDS, *TIME_WORDS, *TOPIC_WORDS, *REFUSAL_WORDS,
    }
    if len(word) >= 4 and word.isalpha()
)  # fmt: skip
_KNOWN: Final = frozenset(
    {*FILLER, *CURRENCIES, *NUMBER_WORDS, *TIME_WORDS, *TOPIC_WORDS, *REFUSAL_WORDS, *(w for p in _LEXICON for w in p)}
)


_PLAIN: Final = frozenset({*FILLER, *CURRENCIES, *NUMBER_WORDS, *TIME_WORDS})


def known_word(word: str) -> bool:
    """Whether the word is one of the vocabulary, by itself or in a phrase, a chain's name, or another word of
    English."""
    return (
        word in REAL_WORDS
        or word in _KNOWN
        or word.rstrip("s") in _KNOWN
        or word.removesuffix("'s") in _KNOWN
        or word in brand_words()
    )


def stands_alone(text: str) -> bool:
    """Whether the text is a phrase of the vocabulary by itself, and so names a merchant only where a name must stand."""
    words = tuple(text.split())
    return words in _LEXICON or words in PHRASE_TOPICS or (len(words) == 1 and text in _PLAIN)


@lru_cache(maxsize=2048)
def _corrected(word: str) -> str | None:
    """The one word of the vocabulary that is a slip away from ``word`` (two for long words)."""
    for allowed in (1, 2) if len(word) >= 8 else (1,):
        near: list[str] = [
            known for known in _SPELLING
            if abs(len(known) - len(word)) <= allowed and _opens_alike(known, word) and distance(known, word) <= allowed
        ]  # fmt: skip
        if near:
            # a swap of neighbours is the likeliest slip, then a letter left out
            near.sort(key=lambda known: (sorted(known) != sorted(word), -len(known), known))
            return near[0]
    return None


def _opens_alike(known: str, word: str) -> bool:
    return known[0] == word[0] or known[:2] == word[1::-1]


def corrected(text: str, names: Iterable[str]) -> str:
    """The text with slips in vocabulary words mended. ``names`` are words of the ledger's merchants, left alone."""
    left_alone = frozenset(names)

    def mend(match: re.Match[str]) -> str:
        word = match.group()
        if len(word) < 4 or known_word(word) or word in left_alone or word.removesuffix("'s") in left_alone:
            return word
        return _corrected(word) or word

    return re.sub(r"(?<![\w\"'&.*/-])[a-z]+(?![\w\"'&*/-]|\.\w)", mend, text)


def lex(reading: Reading, extra: Mapping[tuple[str, ...], tuple[frozenset[Tag], object]] | None = None) -> None:
    """Mark every phrase of the vocabulary in what is still free, longest first at each place; then numbers."""
    table = _LEXICON if extra is None else {**_LEXICON, **extra}
    tokens = [(m.group().strip("'."), m.start(), m.end()) for m in _TOKEN.finditer(reading.free)]
    i = 0
    while i < len(tokens):
        for length in range(min(_LONGEST, len(tokens) - i), 0, -1):
            start, end = tokens[i][1], tokens[i + length - 1][2]
            if TAKEN in reading.free[start:end] or "," in reading.free[start:end]:
                continue
            words = tuple(
                word.removesuffix("'s") if word not in FILLER else word for word, _, _ in tokens[i : i + length]
            )
            hit = table.get(words)
            if hit is None:
                continue
            tags, value = hit
            reading.take(start, end, *tags, value=value)
            i += length - 1
            break
        else:
            word, start, end = tokens[i]
            count = number(word) if word not in ("a", "an") else None
            if count is not None and word not in FILLER:
                reading.take(start, end, Tag.NUMBER, value=count)
        i += 1


_MINUS: Final = frozenset({"minus", "less", "take away"})


def take_minus(reading: Reading) -> None:
    """ "A minus B", of two merchants, two topics or two times, is their difference and leaves nothing out."""
    marks = reading.in_order()
    for i, mark in enumerate(marks[1:-1], 1):
        if reading.text[mark.start : mark.end] not in _MINUS:
            continue
        before, after = marks[i - 1], marks[i + 1]
        times = any(Tag.PERIOD in m.tags for m in marks[:i]) and Tag.PERIOD in after.tags
        sides = Tag.SUBJECT in before.tags & after.tags and type(before.value) is type(after.value)
        if times or sides:
            reading.marks[reading.marks.index(mark)] = Mark(mark.start, mark.end, frozenset({Tag.DIFFERENCE}))


def unexplained(reading: Reading) -> list[tuple[int, str]]:
    """The words that nothing has explained and that are not filler, with their places."""
    return [
        (m.start(), m.group())
        for m in _TOKEN.finditer(reading.free)
        if (word := m.group().strip("'.*/")) and word not in FILLER and word.removesuffix("'s") not in FILLER
        and not (len(word) == 1 and not word.isdigit())
    ]  # fmt: skip
