"""Names of a question against the ledger's merchants: whole, begun, within a descriptor, or a slip away. Pure."""

# ruff: noqa: E501 - patterns and word lists read worse when they are broken
from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from mosaic_core.agents.descriptors import merchant_words
from mosaic_core.agents.lexicon import BRAND_ALIASES
from mosaic_core.agents.offline.ledgerview import Row, compact
from mosaic_core.domain.edits import distance

_WORD: Final = re.compile(r"[0-9a-z&']+")
_MOST_OF_A_NAME: Final = 3
"""Merchants: a word in the texts of more is a place or a payment's wording, and names none of them."""


@dataclass(frozen=True, slots=True)
class Merchant:
    """Rows of the ledger that a name in a question stands for. ``exact`` is False where the name was a guess."""

    name: str
    ids: frozenset[str]
    exact: bool


@dataclass(frozen=True, slots=True)
class _Known:
    """One merchant of the ledger: its keys are its names without spaces and marks."""

    name: str
    words: tuple[str, ...]
    keys: frozenset[str]
    named: bool
    rows: tuple[Row, ...]


class Merchants:
    """The ledger's merchants, indexed once for a question."""

    def __init__(self, rows: Sequence[Row]) -> None:
        groups: dict[tuple[str, tuple[str, ...]], list[Row]] = {}
        for row in rows:
            groups.setdefault((row.name, row.words), []).append(row)
        named = {row.name for row in rows if (row.tx.merchant_name or "").strip()}
        self._rows = rows
        self._known = [
            _Known(
                name,
                words,
                frozenset({compact(name), "".join(words).replace("&", "and")} - {""}),
                name in named,
                tuple(members),
            )
            for (name, words), members in groups.items()
        ]
        self._by_key: dict[str, list[_Known]] = {}
        for known in self._known:
            for key in known.keys:
                self._by_key.setdefault(key, []).append(known)

    def words(self) -> frozenset[str]:
        """Every word of the merchants' names and of the rows' texts."""
        texts = {row.text for row in self._rows}
        return frozenset(
            w for text in (*texts, *(known.name.lower() for known in self._known)) for w in _WORD.findall(text)
        )

    def whole(self, text: str) -> Merchant | None:
        """The merchant whose whole name this is; a name that only a descriptor gave does not count."""
        found = [known for known in self._by_key.get(compact(text), ()) if known.named]
        if not found and text.endswith(("'s", "s'")):
            found = [known for known in self._by_key.get(compact(text)[:-1], ()) if known.named]
        return _merchant(found, exact=True) if found else None

    def opening(self, text: str) -> Merchant | None:
        """The merchant whose name, or a descriptor's, opens with these words; two at least."""
        wanted = tuple(_WORD.findall(text.lower()))
        found = [known for known in self._known if len(wanted) >= 2 and _starts(known, wanted, "")]
        return _merchant(found, exact=True) if found else None

    def find(self, term: str, *, guess: bool = True, within: bool = True) -> Merchant | None:
        """The merchant that ``term`` names: by its whole name, by the start of it, by words ``within`` the rows' text, last
        (a ``guess``) by a name that is a slip or two away. None where the ledger knows none: no merchant is made up."""
        key = compact(term)
        if not 2 <= len(key) <= 60:
            return None
        # A chain's other spellings, of the whole term: "netflix password" is no Netflix.
        keys = {key, compact(BRAND_ALIASES.get(term, "") if " " in term else "".join(merchant_words(term)))} - {""}
        whole = [known for k in sorted(keys) for known in self._by_key.get(k, ())]
        if whole:
            return _merchant(whole, exact=True)
        wanted = tuple(_WORD.findall(term.lower()))
        starts = [known for known in self._known if len(key) >= 3 and _starts(known, wanted, key)]
        if starts:
            return _merchant(starts, exact=True)
        inside = self._within(wanted) if within and len(key) >= 3 and wanted else []
        if inside and len({row.name for row in inside}) <= _MOST_OF_A_NAME:
            return _of_rows(inside, exact=len(wanted) > 1 or len(key) >= 5)
        if key.endswith("s") and len(key) >= 5 and key[:-1] in self._by_key:
            return _merchant(self._by_key[key[:-1]], exact=True)
        return self.closest(key) if guess else None

    def _within(self, wanted: tuple[str, ...]) -> list[Row]:
        pattern = re.compile(
            r"(?<![0-9a-z])" + r"[^0-9a-z]+".join(re.escape(word) for word in wanted) + r"(?:'?s)?(?![0-9a-z])"
        )
        texts = {row.text for row in self._rows if wanted[0] in row.text}
        hits = {text for text in texts if pattern.search(text)}
        return [row for row in self._rows if row.text in hits] if hits else []

    def closest(self, key: str, *, named_only: bool = False) -> Merchant | None:
        """The merchant whose key is one slip from ``key``, two where it is long."""
        if len(key) < 4:
            return None
        allowed = 1 if len(key) <= 6 else 2
        best: tuple[int, str] | None = None
        chosen: list[_Known] = []
        for known in self._known:
            if named_only and not known.named:
                continue
            for candidate in {*known.keys, *(w for w in known.words[:1] if len(w) >= 5 and not named_only)}:
                if abs(len(candidate) - len(key)) > allowed or candidate[0] != key[0]:
                    continue
                gap = distance(key, candidate)
                if gap > allowed or (best is not None and (gap, candidate) > best):
                    continue
                chosen = [*chosen, known] if best == (gap, candidate) else [known]
                best = (gap, candidate)
        return _merchant(chosen, exact=False) if chosen else None


def find_merchant(term: str, rows: Sequence[Row]) -> Merchant | None:
    """`Merchants.find` for a single look."""
    return Merchants(rows).find(term)


def _starts(known: _Known, wanted: tuple[str, ...], key: str) -> bool:
    name = tuple(_WORD.findall(known.name.lower()))
    return (
        name[: len(wanted)] == wanted
        or known.words[: len(wanted)] == wanted
        or (len(key) >= 6 and any(k.startswith(key) for k in known.keys))
    )


def _merchant(found: Iterable[_Known], *, exact: bool) -> Merchant:
    return _of_rows([row for known in found for row in known.rows], exact=exact)


def _of_rows(rows: Sequence[Row], *, exact: bool) -> Merchant:
    names = Counter(row.name for row in rows)
    best = min(names, key=lambda n: (-names[n], n))
    return Merchant(best, frozenset(row.tx.transaction_id for row in rows), exact)
