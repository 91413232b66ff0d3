"""Precision, recall and F1 per class, each with a 95 % interval. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

_Z: Final = 1.959964


@dataclass(frozen=True, slots=True)
class Measure:
    """A share from 0 to 1 and the interval that it may lie in, given how few cases there are."""

    value: float
    low: float
    high: float

    def plain(self) -> dict[str, float]:
        return {"value": round(self.value, 4), "low": round(self.low, 4), "high": round(self.high, 4)}


def wilson(hits: int, cases: int) -> Measure:
    """The Wilson score interval of ``hits`` of ``cases``. Of no cases nothing is known: 1.0, from 0 to 1."""
    if cases == 0:
        return Measure(1.0, 0.0, 1.0)
    share = hits / cases
    square = _Z * _Z
    centre = (share + square / (2 * cases)) / (1 + square / cases)
    reach = _Z / (1 + square / cases) * math.sqrt(share * (1 - share) / cases + square / (4 * cases * cases))
    return Measure(share, min(share, max(0.0, centre - reach)), max(share, min(1.0, centre + reach)))


@dataclass(slots=True)
class Counts:
    """What became of one class's cases."""

    true_positives: int = 0
    false_positives: int = 0
    false_negatives: int = 0

    @property
    def precision(self) -> Measure:
        return wilson(self.true_positives, self.true_positives + self.false_positives)

    @property
    def recall(self) -> Measure:
        return wilson(self.true_positives, self.true_positives + self.false_negatives)

    @property
    def f1(self) -> Measure:
        """F1 is 2j / (1 + j) of the share j of hits among all that was expected or said, and so is its interval."""
        overlap = wilson(self.true_positives, self.true_positives + self.false_positives + self.false_negatives)
        return Measure(*(2 * j / (1 + j) for j in (overlap.value, overlap.low, overlap.high)))

    def plain(self) -> dict[str, Any]:
        return {
            "truePositives": self.true_positives,
            "falsePositives": self.false_positives,
            "falseNegatives": self.false_negatives,
            "precision": self.precision.plain(),
            "recall": self.recall.plain(),
            "f1": self.f1.plain(),
        }


def confusion(pairs: Iterable[tuple[str, str]]) -> dict[str, Counts]:
    """The counts of each class, expected or predicted, from (expected, predicted); in alphabetical order."""
    classes: dict[str, Counts] = {}
    for expected, predicted in pairs:
        wanted = classes.setdefault(expected, Counts())
        if expected == predicted:
            wanted.true_positives += 1
        else:
            wanted.false_negatives += 1
            classes.setdefault(predicted, Counts()).false_positives += 1
    return dict(sorted(classes.items()))


def macro_f1(classes: dict[str, Counts]) -> float:
    """The unweighted mean of F1 over the classes that have cases."""
    expected = [counts for counts in classes.values() if counts.true_positives + counts.false_negatives]
    return sum(counts.f1.value for counts in expected) / len(expected) if expected else 1.0
