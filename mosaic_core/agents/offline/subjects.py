"""What a question is about: merchants and topics of the ledger, and what it excludes. Pure."""

# ruff: noqa: E501 - patterns read worse when they are broken
from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mosaic_core.agents.offline.reading import TAKEN, Reading, corrected, known_word, stands_alone, unexplained
from mosaic_core.agents.offline.words import Tag
from mosaic_core.computing import checkpoint
from mosaic_core.ledger.brands import LONGEST_BRAND, brands
from mosaic_core.ledger.merchants import Merchant, Merchants
from mosaic_core.ledger.query import Subject
from mosaic_core.ledger.rows import Row, compact, fold, in_topic
from mosaic_core.ledger.topics import PHRASE_TOPICS, TRANSFERS, Topic

_TOKEN: Final = re.compile(r"[0-9a-z&+][0-9a-z&+'./*-]*")
_LONGEST_NAME: Final = 6
_BEFORE_A_NAME: Final = re.compile(
    r"(?:^|\b(?:at|from|with|to|by|did|does|do|has|have|is|paid|pay|paying|pays|in|on|for|and|or|vs|versus|than|of|give|gave|given|my|last|via|using|refunded|both)|[,+&])\s*$"
)
_NAMES_SOMETHING: Final = re.compile(
    r"\b(?:at|on|for|to|from|with|by|of|did|does|has|have|pay|paid|paying|visit|visited|versus|vs|or|than)(?: (?:the|my|a|an))?\s*$"
)

_PAYEE: Final = re.compile(
    r"\b(?:at|to|from|with|by|pay|paid|paying|visit|visited|did|does|has|have|give|gave|given)(?: the| my)? $"
)

TOPICS: Final[dict[tuple[str, ...], tuple[frozenset[Tag], object]]] = {
    words: (frozenset({Tag.SUBJECT}), topic) for words, topic in PHRASE_TOPICS.items()
}


@dataclass(frozen=True, slots=True)
class Names:
    """Where a question names merchants, quoted names that the ledger does not know among them as None."""

    text: str
    spans: tuple[tuple[int, int, Merchant | None], ...]


def find_names(text: str, merchants: Merchants) -> Names:
    """The merchants whose whole name stands in the text, longest first, or a slip away from it; the text with the
    slips of its other words mended, and the places in that text."""
    spans: list[tuple[int, int, Merchant | None]] = [
        (quoted.start(), quoted.end(), merchants.find(quoted[1])) for quoted in re.finditer(r'"([^"]{2,60})"', text)
    ]
    tokens = [(m.group(), m.start(), m.end()) for m in _TOKEN.finditer(text)]
    free = text
    for start, end, _ in spans:
        free = free[:start] + TAKEN * (end - start) + free[end:]
    for exact in (True, False):
        for length in range(min(_LONGEST_NAME, len(tokens)), 0, -1):
            for i in range(len(tokens) - length + 1):
                checkpoint()
                start, end = tokens[i][1], tokens[i + length - 1][2]
                if TAKEN in free[start:end] or "," in text[start:end]:
                    continue
                hit = _whole(text, start, end, merchants) if exact else _slip(text, start, end, merchants)
                if hit is not None:
                    spans.append((start, end, hit))
                    free = free[:start] + TAKEN * (end - start) + free[end:]
    return _mended(text, sorted(spans, key=lambda span: span[0]), merchants)


def _whole(text: str, start: int, end: int, merchants: Merchants) -> Merchant | None:
    raw = text[start:end]
    if len(compact(raw)) < 2:
        return None
    hit = merchants.whole(raw)
    if hit is None and not all(known_word(word) for word in raw.split()):
        hit = merchants.opening(raw)
    if hit is None or (raw in ("shell", "fork", "splash") and re.match(r" (?:ed )?out\b", text[end:])):
        return None
    if stands_alone(raw) and not _BEFORE_A_NAME.search(text[:start]):
        # "target" names a shop wherever it stands, "three" and "next" only after "at", "to" and the like
        return None
    before, after = text[:start].split()[-1:], text[end:].split()[:1]
    if any(stands_alone(" ".join(pair)) for pair in ((*before, raw), (raw, *after)) if len(pair) == 2):
        return None
    # "three" after "at" names a network; "at three places" does not
    if stands_alone(raw) and re.match(
        r" (?:days?|weeks?|months?|years?|times|largest|biggest|most|highest|merchants|places|stores|purchases|categories)\b",
        text[end:],
    ):
        return None
    return None if tuple(raw.split()) in PHRASE_TOPICS and not re.search(r"\bat $", text[:start]) else hit


def _slip(text: str, start: int, end: int, merchants: Merchants) -> Merchant | None:
    words = text[start:end].split()
    unknown = [word for word in words if not known_word(word)]
    if not unknown or (known_word(words[0]) and len(words) > 1 and len(words[0]) < 4):
        return None
    if any(word not in merchants.name_words for word in words if word not in unknown):
        return None  # no name has that word, so none is meant
    if len(words) == 1 and corrected(words[0], ()) != words[0] and not re.search(r"\bat $", text[:start]):
        return None
    hit = merchants.closest(compact(" ".join(words)), named_only=True)
    own = set(fold(hit.name).lower().replace("'", "").split()) if hit else set()
    return hit if all(word in own for word in words if word not in unknown) else None


def _mended(text: str, spans: Sequence[tuple[int, int, Merchant | None]], merchants: Merchants) -> Names:
    names = merchants.words()
    out, at = "", 0
    moved: list[tuple[int, int, Merchant | None]] = []
    for start, end, merchant in spans:
        out += corrected(text[at:start], names)
        moved.append((len(out), len(out) + end - start, merchant))
        out += text[start:end]
        at = end
    return Names(out + corrected(text[at:], names), tuple(moved))


def unknown_brand(reading: Reading) -> str | None:
    """The name of a chain in what is still free whose words would otherwise be read as plain words."""
    words = [(m.group(), m.start(), m.end()) for m in _TOKEN.finditer(reading.free)]
    for i in range(len(words)):
        for length in range(min(LONGEST_BRAND, len(words) - i), 1, -1):
            start, end = words[i][1], words[i + length - 1][2]
            phrase = reading.free[start:end]
            rest = (*phrase.removeprefix("the ").split(), *(word for word, _, _ in words[i + length : i + length + 1]))
            if rest in PHRASE_TOPICS:
                # "The general services payees" names no insurer.
                continue
            if tuple(phrase.split()) in brands() and not stands_alone(phrase):
                return phrase
    return None


def of_merchant(merchant: Merchant) -> Subject:
    return Subject(merchant.name, "merchant", merchant.ids, merchant.exact)


def of_topic(topic: Topic, rows: Sequence[Row]) -> Subject:
    return Subject(topic.name, "topic", frozenset(row.tx.transaction_id for row in rows if in_topic(row, topic)))


def take_partial_names(reading: Reading, merchants: Merchants) -> tuple[str | None, str | None, float]:
    """Mark what is left of the question and names a merchant by a part of its name. Gives (a name that the ledger does not
    know, other words that nothing explains, doubt)."""
    doubt = 0.0
    for start, run in _runs(reading):
        # "Spend on bread" does not mean Panera Bread; "send to Marco" means a row's text. A real word is no slip.
        within = _PAYEE.search(reading.text[:start]) is not None or " " in run
        guess = not all(known_word(word) for word in run.split())
        merchant = merchants.find(run, guess=guess, within=within)
        if merchant is None and run.endswith("'s"):
            merchant = merchants.find(run[:-2], guess=guess, within=within)
        if merchant is None or (len(compact(run)) < 4 and not merchant.exact and not within):
            continue
        reading.take(start, start + len(run), Tag.SUBJECT, value=of_merchant(merchant))
        doubt += 0.0 if merchant.exact else 0.15
    left = _runs(reading)
    if not left:
        return None, None, doubt
    for start, run in left:
        if _NAMES_SOMETHING.search(reading.text[:start]):
            return run, None, doubt
    return None, left[0][1], doubt


def _runs(reading: Reading) -> list[tuple[int, str]]:
    """Neighbouring words that nothing has explained, joined, with their places."""
    runs: list[tuple[int, str]] = []
    for start, word in unexplained(reading):
        if runs and reading.free[runs[-1][0] + len(runs[-1][1]) : start] == " ":
            runs[-1] = (runs[-1][0], f"{runs[-1][1]} {word}")
        else:
            runs.append((start, word))
    return runs


def transfer_target(word: str, rows: Sequence[Row]) -> Subject:
    """The own account that transfers are said to go to or come from, where rows of transfers name it."""
    stem = re.compile(rf"\b{re.escape(word[:3])}")
    ids = frozenset(row.tx.transaction_id for row in rows if row.category in TRANSFERS and stem.search(row.text))
    return Subject(word, "topic", ids)


def blank(text: str) -> str:
    """The text with explained letters as spaces."""
    return text.replace(TAKEN, " ")
