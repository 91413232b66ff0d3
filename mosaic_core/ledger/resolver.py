"""Which merchant each row of a ledger is of. The one place that decides it: for questions, answers, series, findings.

A row's identifying words come from its own texts (`descriptors`); what they mean follows from the whole ledger: a
descriptor that elsewhere carries the source's name takes that name, and names that differ by a place, a reference or an
abbreviation are one merchant. Names that the source itself tells apart stay apart.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from mosaic_core.computing import unless_stopped
from mosaic_core.domain.transactions import Transaction
from mosaic_core.ledger.descriptors import clean_descriptor, merchant_words
from mosaic_core.ledger.knowledge import trade_words


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose row it is. ``merchant`` is equal for all rows of one merchant of this ledger, whatever their texts;
    ``name`` is what a person calls it; ``words`` are what the row's own texts identify it by."""

    merchant: str
    name: str
    words: tuple[str, ...]


def resolve(transactions: Iterable[Transaction]) -> dict[str, Identity]:
    """The identity of each row by its transaction id. The order of the rows does not matter."""
    rows = list(transactions)
    given = {tx.transaction_id: name for tx in rows if (name := " ".join((tx.merchant_name or "").split()))}
    words_of = _words(rows, given)
    counts = Counter(words_of.values())
    from_source = {words_of[tx_id] for tx_id in given}
    canonical = _merge_names(counts, _with_references(rows, words_of), from_source)
    for words, head in _wandering_tails(counts).items():
        if words not in from_source:
            canonical[words] = canonical.get(head, "".join(head))
    names = _names(rows, given, words_of, canonical)
    found: dict[str, Identity] = {}
    for tx in rows:
        words = words_of[tx.transaction_id]
        # texts of marks alone identify nobody, and are each what they are
        name = given.get(tx.transaction_id) or (
            names[words] if words else clean_descriptor(tx.description) or "unnamed"
        )
        found[tx.transaction_id] = Identity(canonical[words] or name.casefold(), name, words)
    return found


def _words(rows: Sequence[Transaction], given: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Transaction id to identifying words: those of the source's name where this or another row of the same descriptor
    has one."""
    named: dict[tuple[str, ...], Counter[tuple[str, ...]]] = defaultdict(Counter)
    for tx in unless_stopped(rows):
        if tx.transaction_id in given and (own := merchant_words(tx.description)):
            named[own][merchant_words(tx.description, tx.merchant_name)] += 1
    usual = {own: min(known, key=lambda w: (-known[w], w)) for own, known in named.items()}
    found: dict[str, tuple[str, ...]] = {}
    for tx in unless_stopped(rows):
        if tx.transaction_id in given:
            found[tx.transaction_id] = merchant_words(tx.description, tx.merchant_name)
        else:
            own = merchant_words(tx.description)
            found[tx.transaction_id] = usual.get(own, own)
    return found


def _names(
    rows: Sequence[Transaction],
    given: Mapping[str, str],
    words_of: Mapping[str, tuple[str, ...]],
    canonical: Mapping[tuple[str, ...], str],
) -> dict[tuple[str, ...], str]:
    """What the rows without a name of their own are called: as the source calls rows of these words, else of this
    merchant, else as most of the merchant's descriptors read."""
    by_words: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
    by_merchant: dict[str, Counter[str]] = defaultdict(Counter)
    cleaned: dict[str, Counter[str]] = defaultdict(Counter)
    for tx in rows:
        words = words_of[tx.transaction_id]
        name = given.get(tx.transaction_id)
        if name is None:
            cleaned[canonical[words]][clean_descriptor(tx.description) or "unnamed"] += 1
        else:
            by_words[words][name] += 1
            by_merchant[canonical[words]][name] += 1

    def called(words: tuple[str, ...]) -> str:
        told = by_words.get(words) or by_merchant.get(canonical[words]) or cleaned[canonical[words]]
        return min(told, key=lambda name: (-told[name], len(name), name))

    return {words: called(words) for words in canonical}


def _with_references(rows: Sequence[Transaction], words_of: Mapping[str, tuple[str, ...]]) -> set[tuple[str, ...]]:
    """Names that come with something else behind them nearly each time ("ring*A21DA4", "ring*R9M0UR")."""
    texts: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for tx in rows:
        texts[words_of[tx.transaction_id]].add(tx.description)
    return {words for words, told in texts.items() if len(told) >= 3}


def _wandering_tails(counts: Mapping[tuple[str, ...], int]) -> dict[tuple[str, ...], tuple[str, ...]]:
    """Names whose first two words stay while the rest is another one nearly each time (a reference in letters)."""
    by_head: dict[tuple[str, ...], list[tuple[str, ...]]] = defaultdict(list)
    for words in counts:
        if len(words) >= 3:
            by_head[words[:2]].append(words)
    found: dict[tuple[str, ...], tuple[str, ...]] = {}
    for head, names in by_head.items():
        rare = [words for words in names if counts[words] <= 2 and trade_words().isdisjoint(words[2:])]
        if len(rare) >= 4 and len(rare) >= 0.8 * len(names):
            found.update(dict.fromkeys(rare, head))
    return found


def _skeleton(words: tuple[str, ...]) -> str:
    """Consonants of a name, doubled letters once: "blue btl" and "blue bottle" agree."""
    text = "".join(words)
    kept = text[:1] + "".join(c for c in text[1:] if c not in "aeiouy")
    return "".join(c for i, c in enumerate(kept) if i == 0 or c != kept[i - 1])


def _abbreviates(short: str, full: str) -> bool:
    """Whether the letters of ``short`` occur in ``full`` in the same order."""
    rest = iter(full)
    return all(letter in rest for letter in short)


def _merge_names(
    names: Mapping[tuple[str, ...], int], with_references: set[tuple[str, ...]], from_source: set[tuple[str, ...]]
) -> dict[tuple[str, ...], str]:
    """Name to merchant. ``names`` says how often each occurs; behind one of ``with_references`` a rare word of letters
    is a reference too; of ``from_source`` each is a name that the source tells apart from the others."""
    merging = _Merging(names, with_references)
    for words in unless_stopped(sorted(names, key=lambda words: (len("".join(words)), words))):
        merging.add(words, of_its_own=words in from_source)
    return merging.merchant_of


class _Merging:
    """Names, the shorter ones first: each is a merchant of its own, or another spelling of one that is there."""

    def __init__(self, names: Mapping[tuple[str, ...], int], with_references: set[tuple[str, ...]]) -> None:
        self.merchant_of: dict[tuple[str, ...], str] = {}
        self._names = names
        self._with_references = with_references
        self._skeletons: dict[str, tuple[str, str]] = {}
        self._compacts: dict[str, str] = {}
        self._from_source: set[str] = set()
        """Merchants that the source names."""

    def add(self, words: tuple[str, ...], *, of_its_own: bool) -> None:
        compact, skeleton = "".join(words), _skeleton(words)
        merchant = self._continued(words) or self._abbreviated(compact, skeleton) or self._cut_off(compact)
        if merchant is None or (of_its_own and merchant in self._from_source):
            merchant = compact
        if of_its_own:
            self._from_source.add(merchant)
        self.merchant_of[words] = merchant
        if len(skeleton) >= 4:
            self._skeletons.setdefault(skeleton, (compact, merchant))
        self._compacts.setdefault(compact, merchant)

    def _continued(self, words: tuple[str, ...]) -> str | None:
        """The merchant of the longest name that these words continue only with a place or a reference."""
        for cut in range(len(words) - 1, 0, -1):
            head, tail = words[:cut], words[cut:]
            if head in self.merchant_of and len(tail) <= 3 and trade_words().isdisjoint(tail):
                telling = cut >= 2 or (len(head[0]) >= 5 and head[0] not in trade_words())
                referred = head in self._with_references and len(tail) == 1 and self._names[words] <= 2
                if telling or referred:
                    return self.merchant_of[head]
        return None

    def _abbreviated(self, compact: str, skeleton: str) -> str | None:
        """The merchant of a name that is this one with letters left out."""
        alike = self._skeletons.get(skeleton) if len(compact) >= 5 else None
        return alike[1] if alike is not None and _abbreviates(alike[0], compact) else None

    def _cut_off(self, compact: str) -> str | None:
        """The merchant of the shortest name of nine letters or more that this one continues by six at most."""
        cuts = (compact[:length] for length in range(max(9, len(compact) - 6), len(compact) + 1))
        return next((self._compacts[short] for short in cuts if short in self._compacts), None)
