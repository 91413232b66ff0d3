"""Where a question names merchants of the ledger, and what it names that the ledger lacks. Pure.

A name of several words is a name wherever it stands, whatever its words mean in a question ("Best Buy", "First Watch").
A name of one word that means something in a question ("Next", "Three") is one where a name must stand, or where it
alone is written with a capital.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from mosaic_core.agents.offline.lexicon import load, turn
from mosaic_core.agents.offline.reading.marks import TAKEN, VOCABULARY, Reading, Tag, unexplained
from mosaic_core.agents.offline.reading.question_text import accented, rewritten, tidy
from mosaic_core.agents.offline.reading.respelling import corrected, known_word, stands_alone
from mosaic_core.computing import checkpoint
from mosaic_core.ledger.brands import LONGEST_BRAND, brands
from mosaic_core.ledger.date_words import TIME_WORDS
from mosaic_core.ledger.descriptors import FUNCTION_WORDS, NOISE_WORDS
from mosaic_core.ledger.merchants import Merchant, Merchants
from mosaic_core.ledger.query import Subject
from mosaic_core.ledger.rows import compact, fold
from mosaic_core.ledger.topics import PHRASE_TOPICS
from mosaic_core.ledger.wordlists import phrases

_WORD: Final = re.compile(r"(?:[0-9a-z&+]|[^\x00-\x7f$€£¥])(?:[0-9a-z&+'./*-]|[^\x00-\x7f$€£¥])*")
_QUOTED: Final = re.compile(r'"([^"]{2,60})"')
_LONGEST_NAME: Final = 6
_SAYS_NOTHING: Final = NOISE_WORDS | FUNCTION_WORDS
_LEAVES: Final = frozenset(phrases(load("turns")["go_out"]["words"]))
_BOUNDING: Final = frozenset({Tag.MORE, Tag.LESS, Tag.THAN, Tag.UP, Tag.DOWN})

type Span = tuple[int, int, Merchant | None]


@dataclass(frozen=True, slots=True)
class Names:
    """Where a question names merchants, quoted names that the ledger does not know among them as None."""

    text: str
    spans: tuple[Span, ...]


def capitals(question: str) -> frozenset[str]:
    """The words, as `tidy` has them, that are written with a capital where none is due; none of a question that has
    capitals throughout. Months and days have theirs of their own."""
    words = [word for word in re.findall(r"[^\W\d_][\w'.&-]*", question) if len(word) > 1]
    if all(word[0].isupper() for word in words):
        return frozenset()
    due = {m.end() for m in re.finditer(r"(?:^|[.!?:;\"“(]\s*)(?=\S)", question)}
    found = [m for m in re.finditer(r"[^\W\d_][\w'.&-]*", question) if m.start() not in due]
    large = {tidy(m.group()) for m in found if m.group()[0].isupper()}
    small = {tidy(m.group()) for m in found if not m.group()[0].isupper()}
    return frozenset(large - small - TIME_WORDS)


def find_names(text: str, merchants: Merchants, question: str) -> Names:
    """The merchants whose whole name stands in the tidied text, longest first, or a slip away from it; the text with
    the slips of its other words mended, and the places in that text. ``question`` is as it was written."""
    proper = capitals(question)
    spans: list[Span] = [(m.start(), m.end(), merchants.find(m[1])) for m in _QUOTED.finditer(text)]
    tokens = [(m.start(), m.end()) for m in _WORD.finditer(text)]
    aliases = {compact(tidy(name)): name for name in merchants.names if rewritten(name)}
    free = text
    for start, end, _ in spans:
        free = free[:start] + TAKEN * (end - start) + free[end:]
    for look in (_whole, _slip):
        for length in range(min(_LONGEST_NAME, len(tokens)), 0, -1):
            for i in range(len(tokens) - length + 1):
                checkpoint()
                start, end = tokens[i][0], tokens[i + length - 1][1]
                if TAKEN in free[start:end] or "," in text[start:end]:
                    continue
                if (hit := look(_Place(text, start, end, proper, aliases), merchants)) is not None:
                    spans.append((start, end, hit))
                    free = free[:start] + TAKEN * (end - start) + free[end:]
    return _mended(text, sorted(spans, key=lambda span: span[0]), merchants.words() | accented(question))


@dataclass(frozen=True, slots=True)
class _Place:
    """Words that may be a name, where they stand."""

    text: str
    start: int
    end: int
    proper: frozenset[str]
    aliases: Mapping[str, str]

    @property
    def words(self) -> str:
        return self.text[self.start : self.end]

    @property
    def before(self) -> str:
        return self.text[: self.start].rstrip()

    @property
    def after(self) -> str:
        return self.text[self.end :].lstrip()

    @property
    def large(self) -> bool:
        """Whether each of them has a capital."""
        return self.proper.issuperset(self.words.split())

    @property
    def must_be_a_name(self) -> bool:
        return not self.before or turn("before_a_name").search(self.before) is not None

    @property
    def at(self) -> bool:
        return turn("at").search(self.before) is not None


def _whole(place: _Place, merchants: Merchants) -> Merchant | None:
    raw = place.words
    if len(compact(raw)) < 2:
        return None
    hit = _of_that_name(place, merchants)
    if hit is None or not (place.large or _reads_as_a_name(place)):
        return None
    return None if tuple(raw.split()) in PHRASE_TOPICS and not (place.at or place.large) else hit


def _of_that_name(place: _Place, merchants: Merchants) -> Merchant | None:
    """The merchant of that name, one that only a descriptor gave included."""
    raw = place.aliases.get(compact(place.words), place.words)
    hit = merchants.whole(raw)
    if hit is not None and not _all_of_it(raw, hit, merchants):
        hit = None
    if hit is None and not all(known_word(word) for word in raw.split()):
        hit = merchants.opening(raw)
    return hit


def _all_of_it(raw: str, hit: Merchant, merchants: Merchants) -> bool:
    """Whether the first and the last word belong to the name, which is looked for without words that say nothing:
    "pay for" is no part of the name in "pay for Netflix"."""
    words = raw.split()
    if len(words) == 1 or compact(hit.name) == compact(raw):
        return True
    shorter = [part for part, end in ((words[1:], words[0]), (words[:-1], words[-1])) if end in _SAYS_NOTHING]
    found = (merchants.whole(" ".join(part)) for part in shorter)
    return all(other is None or other.ids != hit.ids for other in found)


def _reads_as_a_name(place: _Place) -> bool:
    """Whether words that mean something in a question are meant as the name that they are as well."""
    raw, after = place.words, place.after
    if raw in _LEAVES and turn("out").match(after):
        # "Shell out", "fork out"
        return False
    if " " in raw and not stands_alone(raw) and not stands_alone(raw.removeprefix("the ")):
        tags = VOCABULARY.get((raw.split()[-1],), (frozenset[Tag](), None))[0]
        return not (tags & _BOUNDING and re.match(r"[$€£¥]?\d", after))
    core = raw.removeprefix("the ")
    if core in TIME_WORDS:
        # "For the week", "on friday"
        return place.at
    if not stands_alone(raw):
        return not _in_a_phrase(place)
    # "target" names a shop wherever it stands, "three" and "next" only after "at", "to" and the like; "three" after
    # "at" names a network, "at three places" does not
    return place.must_be_a_name and not _in_a_phrase(place) and turn("counted_things").match(after) is None


def _in_a_phrase(place: _Place) -> bool:
    """Whether the word makes a phrase of a question with the word before or after it."""
    before, after = place.before.split()[-1:], place.after.split()[:1]
    return any(
        stands_alone(f"{a} {b}") for a, b in (*((w, place.words) for w in before), *((place.words, w) for w in after))
    )


def _slip(place: _Place, merchants: Merchants) -> Merchant | None:
    words = place.words.split()
    unknown = [word for word in words if not known_word(word)]
    if not unknown or (known_word(words[0]) and len(words) > 1 and len(words[0]) < 4):
        return None
    if any(word not in merchants.name_words for word in words if word not in unknown):
        return None  # no name has that word, so none is meant
    if len(words) == 1 and corrected(words[0], ()) != words[0] and not place.at:
        return None
    hit = merchants.closest(compact(place.words), named_only=True)
    own = set(fold(hit.name).lower().replace("'", "").split()) if hit else set()
    return hit if all(word in own for word in words if word not in unknown) else None


def _mended(text: str, spans: Sequence[Span], names: frozenset[str]) -> Names:
    out, at = "", 0
    moved: list[Span] = []
    for start, end, merchant in spans:
        out += corrected(text[at:start], names)
        moved.append((len(out), len(out) + end - start, merchant))
        out += text[start:end]
        at = end
    return Names(out + corrected(text[at:], names), tuple(moved))


def unknown_brand(reading: Reading) -> str | None:
    """The name of a chain in what is still free whose words would otherwise be read as plain words."""
    words = [(m.group(), m.start(), m.end()) for m in _WORD.finditer(reading.free)]
    for i in range(len(words)):
        for length in range(min(LONGEST_BRAND, len(words) - i), 1, -1):
            start, end = words[i][1], words[i + length - 1][2]
            phrase = reading.free[start:end]
            rest = (*phrase.removeprefix("the ").split(), *(word for word, _, _ in words[i + length : i + length + 1]))
            # "The general services payees" names no insurer.
            if rest not in PHRASE_TOPICS and tuple(phrase.split()) in brands() and not stands_alone(phrase):
                return phrase
    return None


def of_merchant(merchant: Merchant) -> Subject:
    return Subject(merchant.name, "merchant", merchant.ids, merchant.exact)


def take_partial_names(reading: Reading, merchants: Merchants) -> tuple[str | None, str | None, float]:
    """Mark what is left of the question and names a merchant by a part of its name. Gives (a name that the ledger does
    not know, other words that nothing explains, doubt)."""
    doubt = 0.0
    for start, run in _runs(reading):
        # "Spend on bread" does not mean Panera Bread; "send to Marco" means a row's text. A real word is no slip.
        within = turn("before_a_payee").search(reading.text[:start].rstrip()) is not None or " " in run
        guess = not all(known_word(word) for word in run.split())
        merchant = merchants.find(run, guess=guess, within=within)
        if merchant is None and run.endswith("'s"):
            merchant = merchants.find(run[:-2], guess=guess, within=within)
        if merchant is None or (len(compact(run)) < 4 and not merchant.exact and not within):
            continue
        reading.take(start, start + len(run), Tag.SUBJECT, value=of_merchant(merchant))
        doubt += 0.0 if merchant.exact else 0.15
    left = _runs(reading)
    for start, run in left:
        if turn("before_something").search(reading.text[:start].rstrip()):
            return run, None, doubt
    return None, left[0][1] if left else None, doubt


def _runs(reading: Reading) -> list[tuple[int, str]]:
    """Neighbouring words that nothing has explained, joined, with their places."""
    runs: list[tuple[int, str]] = []
    for start, word in unexplained(reading):
        if runs and reading.free[runs[-1][0] + len(runs[-1][1]) : start] == " ":
            runs[-1] = (runs[-1][0], f"{runs[-1][1]} {word}")
        else:
            runs.append((start, word))
    return runs
