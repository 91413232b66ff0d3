"""Names of a question against the ledger's merchants: whole, begun, within a descriptor, or a slip away. Pure."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from mosaic_core.computing import unless_stopped
from mosaic_core.domain.edits import within as edits_within
from mosaic_core.ledger.brands import brands
from mosaic_core.ledger.categories.evidence import MONEY
from mosaic_core.ledger.descriptors import CALENDAR_WORDS, FUNCTION_WORDS, MOST_WORDS, NOISE_WORDS, merchant_words
from mosaic_core.ledger.knowledge import BRAND_ALIASES
from mosaic_core.ledger.query import Subject
from mosaic_core.ledger.rows import Row, compact, fold

_WORD: Final = re.compile(r"(?:[^\W_]|[&'])+")
_TOKEN: Final = re.compile(r"[^\W_]+")
"""Words of any script."""
_AFTER_ALL: Final = "\U0010ffff"
_MOST_LOOKED_FOR: Final = 160
"""Different terms of one question that are looked for in all names and texts; nobody's question has as many words that
are none of the vocabulary. Of more, whole names and openings are found."""

_SAYS_NOTHING: Final = NOISE_WORDS | FUNCTION_WORDS
_LONGEST_OPENING: Final = 6
"""Words."""
_MOST_OF_A_NAME: Final = 3
"""Merchants: a word in the texts of more is a place or a payment's wording, and names none of them."""


@dataclass(frozen=True, slots=True)
class _Known:
    """One merchant of the ledger. ``openings`` are its names as words, ``keys`` the same without spaces and marks,
    ``heads`` the long first words. ``named``: the source gave a name. ``proper``: what it is called is a name, as a
    descriptor's "Interest paid" is not."""

    names: frozenset[str]
    openings: frozenset[tuple[str, ...]]
    keys: frozenset[str]
    heads: frozenset[str]
    named: bool
    proper: bool
    rows: tuple[Row, ...]

    @staticmethod
    def of(rows: Sequence[Row]) -> _Known:
        looks = {(row.name, row.words) for row in rows}
        openings = {w for name, words in looks for w in (words, tuple(_WORD.findall(name.lower())))}
        keys = {compact(name) for name, _ in looks}
        # "Monday.com" is identified by a word that means something else in a question
        keys |= {key for _, words in looks if (key := compact("".join(words))) not in CALENDAR_WORDS}
        named = any((row.tx.merchant_name or "").strip() for row in rows)
        return _Known(
            names=frozenset(name for name, _ in looks),
            openings=frozenset(openings),
            keys=frozenset(keys - {""}),
            heads=frozenset(words[0] for _, words in looks if words and len(words[0]) >= 5),
            named=named,
            proper=named or _is_payee(rows),
            rows=tuple(rows),
        )


def _is_payee(rows: Sequence[Row]) -> bool:
    """Whether descriptors alone say that money goes to somebody: to a chain, or for no interest, pay or transfer."""
    return any(row.words in brands() for row in rows) or not MONEY.issuperset(row.usual_category for row in rows)


class Merchants:
    """The ledger's merchants, indexed once for a question. A look costs what it finds, whatever else there is; the few
    that go over all names (a slip, a word within a text) are bounded in number."""

    def __init__(self, rows: Sequence[Row]) -> None:
        groups: dict[str, list[Row]] = {}
        for row in unless_stopped(rows):
            groups.setdefault(row.merchant, []).append(row)
        self._rows = rows
        self._known = [_Known.of(members) for members in unless_stopped(groups.values())]
        self._by_key: dict[str, list[_Known]] = {}
        for known in self._known:
            for key in known.keys:
                self._by_key.setdefault(key, []).append(known)
        self._told: dict[tuple[object, ...], Subject | None] = {}
        self._looked_for: set[object] = set()

    @cached_property
    def _all_words(self) -> frozenset[str]:
        texts = {row.text for row in self._rows}
        return frozenset(
            w
            for text in (*texts, *(name.lower() for known in self._known for name in known.names))
            for w in _WORD.findall(text)
        )

    def words(self) -> frozenset[str]:
        """Every word of the merchants' names and of the rows' texts."""
        return self._all_words

    @cached_property
    def name_words(self) -> frozenset[str]:
        """Every word of the merchants' names, without accents and apostrophes."""
        return frozenset(
            w for known in self._known for name in known.names for w in fold(name).lower().replace("'", "").split()
        )

    @cached_property
    def names(self) -> frozenset[str]:
        return frozenset(name for known in self._known for name in known.names)

    def whole(self, text: str) -> Subject | None:
        """The merchant whose whole name this is, of whatever words it is made: by a name of the source, by a cleaned
        descriptor, by a chain's name, by how its descriptors open ("99 Cents Only"). What a descriptor calls a payment
        or a fee is no name."""

        def look() -> Subject | None:
            for key in _ways(text):
                if found := [known for known in self._by_key.get(key, ()) if known.proper]:
                    return _merchant(found, exact=True)
            words = tuple(_WORD.findall(text.lower()))
            if len(words) < 2:
                return None
            found = self._starting(words, "") if words in brands() else []
            found = found or [self._known[number] for number in self._descriptors.get(words, ())]
            return _merchant(found, exact=True) if found else None

        return self._once(("whole", text), look)

    def named(self, text: str) -> Subject | None:
        """The merchant of that whole name, where the first and the last word belong to it. A name is looked for without
        words that say nothing: "pay for" is no part of the name in "pay for Netflix"."""
        hit, words = self.whole(text), text.split()
        if hit is None or len(words) == 1 or compact(hit.name) == compact(text):
            return hit
        shorter = [part for part, end in ((words[1:], words[0]), (words[:-1], words[-1])) if end in _SAYS_NOTHING]
        found = (self.whole(" ".join(part)) for part in shorter)
        return hit if all(other is None or other.ids != hit.ids for other in found) else None

    @cached_property
    def _descriptors(self) -> dict[tuple[str, ...], list[int]]:
        """The openings of the descriptors of merchants without a name, as far as they hold all words that identify the
        merchant, and whose they are."""
        found: dict[tuple[str, ...], list[int]] = {}
        for number, known in enumerate(unless_stopped(self._known)):
            if known.named or not known.proper:
                continue
            looks = {
                (tuple(_WORD.findall(row.tx.description.lower()))[:_LONGEST_OPENING], row.words) for row in known.rows
            }
            openings = {
                told[:length]
                for told, words in looks
                for length in range(2, len(told) + 1)
                if words and set(words).issubset(told[:length])
            }
            for opening in openings:
                found.setdefault(opening, []).append(number)
        return found

    def opening(self, text: str) -> Subject | None:
        """The merchant whose name, or a descriptor's, opens with these words; two at least."""
        wanted = tuple(_WORD.findall(text.lower()))
        if len(wanted) < 2:
            return None

        def look() -> Subject | None:
            found = self._starting(wanted, "")
            return _merchant(found, exact=True) if found else None

        return self._once(("opening", wanted), look)

    def find(self, term: str, *, guess: bool = True, within: bool = True) -> Subject | None:
        """The merchant that ``term`` names: by its whole name, by the start of it, by words ``within`` the rows' text,
        last (a ``guess``) by a name that is a slip or two away. None where the ledger knows none: none is made up."""
        return self._once(("find", term, guess, within), lambda: self._find(term, guess=guess, within=within))

    def _find(self, term: str, *, guess: bool, within: bool) -> Subject | None:
        key = compact(term)
        if not 2 <= len(key) <= 60:
            return None
        # A chain's other spellings, of the whole term: "netflix password" is no Netflix.
        other = BRAND_ALIASES.get(term, "") if " " in term else "".join(merchant_words(term) if term.isascii() else ())
        keys = {key, compact(other)} - {""}
        whole = [known for k in sorted(keys) for known in self._by_key.get(k, ())]
        if whole:
            return _merchant(whole, exact=True)
        wanted = tuple(_WORD.findall(term.lower()))
        starts = self._starting(wanted, key) if len(key) >= 3 else []
        if starts:
            return _merchant(starts, exact=True)
        inside = self._within(wanted) if within and len(key) >= 3 and wanted else []
        if inside and len({row.name for row in inside}) <= _MOST_OF_A_NAME:
            return _of_rows(inside, exact=len(wanted) > 1 or len(key) >= 5)
        if key.endswith("s") and len(key) >= 5 and key[:-1] in self._by_key:
            return _merchant(self._by_key[key[:-1]], exact=True)
        return self.closest(key) if guess else None

    def _once(self, asked: tuple[object, ...], look: Callable[[], Subject | None]) -> Subject | None:
        """A question says the same name again and again: it is looked up once."""
        if asked not in self._told:
            self._told[asked] = look()
        return self._told[asked]

    def _may_look_for(self, what: object) -> bool:
        """Whether to go over all names or texts once more."""
        if what not in self._looked_for and len(self._looked_for) >= _MOST_LOOKED_FOR:
            return False
        self._looked_for.add(what)
        return True

    @cached_property
    def _openings(self) -> tuple[list[tuple[str, ...]], list[int]]:
        """The words of all names, sorted, and whose they are."""
        pairs = sorted({(words, number) for number, known in enumerate(self._known) for words in known.openings})
        return [words for words, _ in pairs], [number for _, number in pairs]

    @cached_property
    def _keys(self) -> tuple[list[str], list[int]]:
        pairs = sorted((key, number) for number, known in enumerate(self._known) for key in known.keys)
        return [key for key, _ in pairs], [number for _, number in pairs]

    def _starting(self, wanted: tuple[str, ...], key: str) -> list[_Known]:
        """Those whose name, or descriptor, opens with ``wanted``, or whose key with a long ``key``."""
        openings, numbers = self._openings
        end = (*wanted[:-1], wanted[-1] + "\0") if wanted else (_AFTER_ALL,)
        found = set(numbers[bisect_left(openings, wanted) : bisect_left(openings, end)])
        if len(key) >= 6:
            keys, numbers = self._keys
            found.update(numbers[bisect_left(keys, key) : bisect_left(keys, key + _AFTER_ALL)])
        return [self._known[number] for number in sorted(found)]

    @cached_property
    def _texts(self) -> tuple[dict[str, list[Row]], dict[str, list[str]]]:
        """The rows of each text, and the texts that each run of letters and digits stands in."""
        by_text: dict[str, list[Row]] = {}
        for row in self._rows:
            by_text.setdefault(row.text, []).append(row)
        by_token: dict[str, list[str]] = {}
        for text in unless_stopped(by_text):
            for token in set(_TOKEN.findall(text)):
                by_token.setdefault(token, []).append(text)
        return by_text, by_token

    def _within(self, wanted: tuple[str, ...]) -> list[Row]:
        """The rows in whose text these words stand; of more than `_MOST_OF_A_NAME` merchants the rows of some."""
        by_text, by_token = self._texts
        # a text in which they stand has each of their runs of letters, the last one perhaps with an "s" after it
        runs = [run for word in wanted for run in _TOKEN.findall(word)]
        candidates = [(by_token.get(run, []), by_token.get(f"{run}s", [])) for run in runs]
        fewest = min(candidates, key=lambda found: sum(map(len, found)), default=(list(by_text), []))
        few = dict.fromkeys((*fewest[0], *fewest[1]))
        if not few or not self._may_look_for(wanted):
            return []
        pattern = re.compile(
            r"(?<![^\W_])" + r"[\W_]+".join(re.escape(word) for word in wanted) + r"(?:'?s)?(?![^\W_])"
        )
        hits: list[Row] = []
        names: set[str] = set()
        for text in unless_stopped(few):
            if pattern.search(text):
                hits += by_text[text]
                names.update(row.name for row in by_text[text])
                if len(names) > _MOST_OF_A_NAME:
                    break
        return hits

    @cached_property
    def _named_shapes(self) -> _Shapes:
        return _shapes((key, number) for number, known in enumerate(self._known) if known.named for key in known.keys)

    @cached_property
    def _all_shapes(self) -> _Shapes:
        return _shapes((key, number) for number, known in enumerate(self._known) for key in known.keys | known.heads)

    def closest(self, key: str, *, named_only: bool = False) -> Subject | None:
        """The merchant whose key is one slip from ``key``, two where it is long."""
        if len(key) < 4 or not self._may_look_for((key, named_only)):
            return None
        return self._once(("closest", key, named_only), lambda: self._closest(key, named_only=named_only))

    def _closest(self, key: str, *, named_only: bool) -> Subject | None:
        allowed = 1 if len(key) <= 6 else 2
        shapes = self._named_shapes if named_only else self._all_shapes
        letters = _letters(key)
        best: tuple[int, str] | None = None
        chosen: frozenset[int] = frozenset()
        for length in range(len(key) - allowed, len(key) + allowed + 1):
            for candidate, (own, numbers) in unless_stopped(shapes.get((key[0], length), {}).items()):
                # a slip changes two letters at most
                if (letters ^ own).bit_count() > 2 * allowed:
                    continue
                gap = edits_within(key, candidate, allowed if best is None else best[0])
                if gap is not None and (best is None or (gap, candidate) < best):
                    best, chosen = (gap, candidate), frozenset(numbers)
        return _merchant([self._known[number] for number in sorted(chosen)], exact=False) if chosen else None


type _Shapes = dict[tuple[str, int], dict[str, tuple[int, list[int]]]]
"""Keys by their first letter and length, each with the letters that it has and whose it is."""


def _shapes(keys: Iterable[tuple[str, int]]) -> _Shapes:
    found: _Shapes = {}
    for key, number in unless_stopped(keys):
        of_shape = found.setdefault((key[0], len(key)), {})
        of_shape.setdefault(key, (_letters(key), []))[1].append(number)
    return found


def _letters(key: str) -> int:
    """A bit for each letter that stands in the key."""
    letters = 0
    for letter in set(key):
        letters |= 1 << (ord(letter) & 127)
    return letters


def find_merchant(term: str, rows: Sequence[Row]) -> Subject | None:
    """`Merchants.find` for a single look."""
    return Merchants(rows).find(term)


def _ways(text: str) -> Iterator[str]:
    """The keys that a name may stand under: as it is, without a genitive's "s", without what descriptors lose
    ("ross dress for less", "forever 21")."""
    bare = text.removesuffix("'s") if text.endswith("'s") else text.removesuffix("'")
    yield compact(text)
    yield compact(bare)
    words = bare.split()
    if tuple(words) in brands():
        yield compact("".join(merchant_words(bare)))
    kept = [word for word in words if word not in NOISE_WORDS | FUNCTION_WORDS]
    if 1 < len(kept) < len(words):
        yield compact("".join(kept[:MOST_WORDS]))


def _merchant(found: Iterable[_Known], *, exact: bool) -> Subject:
    return _of_rows([row for known in found for row in known.rows], exact=exact)


def _of_rows(rows: Sequence[Row], *, exact: bool) -> Subject:
    names = Counter(row.name for row in rows)
    best = min(names, key=lambda n: (-names[n], n))
    return Subject(best, "merchant", frozenset(row.tx_id for row in rows), exact)
