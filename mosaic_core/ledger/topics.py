"""What everyday words mean in terms of the ledger: categories, and words in a row's own text that narrow them, by
``topics.toml``."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from mosaic_core.domain.wordlists import phrases
from mosaic_core.ledger.query import Flow

TRANSFERS: Final = frozenset({"TRANSFER_IN", "TRANSFER_OUT"})
_ALL_SPEND: Final = frozenset(
    """LOAN_PAYMENTS BANK_FEES ENTERTAINMENT FOOD_AND_DRINK GENERAL_MERCHANDISE HOME_IMPROVEMENT MEDICAL PERSONAL_CARE
    GENERAL_SERVICES GOVERNMENT_AND_NON_PROFIT TRANSPORTATION TRAVEL RENT_AND_UTILITIES""".split()
)


@dataclass(frozen=True, slots=True)
class Topic:
    """A thing that money goes to or comes from: rows of ``categories`` whose text has one of ``only`` (where given) and
    none of ``without``. ``flow`` is the money that it is about where that is not spending."""

    name: str
    categories: frozenset[str]
    only: re.Pattern[str] | None = None
    without: re.Pattern[str] | None = None
    flow: Flow | None = None


def _any(words: str) -> re.Pattern[str]:
    """Whatever begins with one of the words, as it stands."""
    return re.compile("|".join(rf"\b{' '.join(word.split())}" for word in words.split(";")), re.IGNORECASE)


def _narrowing(words: str | None, lists: Mapping[str, str]) -> re.Pattern[str] | None:
    if words is None:
        return None
    return _any(lists[words[1:-1]] if words.startswith("{") else words)


def _topic(told: Mapping[str, Any], lists: Mapping[str, str]) -> Topic:
    return Topic(
        name=told["name"],
        categories=frozenset(told["categories"]) if "categories" in told else _ALL_SPEND,
        only=_narrowing(told.get("only"), lists),
        without=_narrowing(told.get("without"), lists),
        flow=Flow(told["flow"]) if "flow" in told else None,
    )


_TEXT: Final = tomllib.loads(Path(__file__).with_name("topics.toml").read_text(encoding="utf-8"))
_LISTS: Final[Mapping[str, str]] = _TEXT["lists"]
_CALLED: Final = [(phrases(told["called"]), _topic(told, _LISTS)) for told in _TEXT["topics"]]

TOPICS: Final = tuple(topic for _, topic in _CALLED)
PHRASE_TOPICS: Final = {tuple(phrase.split()): topic for called, topic in _CALLED for phrase in called}
"""Each phrase's words, as `reading.tidy` leaves them, and what it means."""
TOPIC_WORDS: Final = frozenset(word for phrase in PHRASE_TOPICS for word in phrase)

WHOLE_CATEGORIES: Final = frozenset(topic.name for _, topic in _CALLED if topic.only is None and topic.without is None)
"""Topics that are a category of the ledger, no part of one."""

_CARD: Final = _any(_LISTS["card_payment"])
_INSURERS: Final = _any(_LISTS["insurers"])


def card_payment(text: str) -> bool:
    """Whether a row's text says that a credit card's bill was paid: the purchases on the card were the spending."""
    return _CARD.search(text) is not None


def insurer(text: str) -> bool:
    """Whether a row's text names an insurer."""
    return _INSURERS.search(text) is not None


READABLE: Final = {
    "GOVERNMENT_AND_NON_PROFIT": "government and non-profit",
    "GENERAL_MERCHANDISE": "general merchandise (shopping)",
}


def readable(category: str) -> str:
    """A category's name in plain words."""
    return READABLE.get(category) or category.replace("_", " ").lower() or "uncategorised"
