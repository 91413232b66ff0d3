"""What a benchmark comes to: rows with a value, its spread, and the goal that it is held to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Final, Literal

type Better = Literal["lower", "higher"]

DIGITS: Final = 4
"""Significant digits of what is written: more would be noise."""


@dataclass(frozen=True, slots=True)
class Goal:
    """``limit`` is met where the value is not worse than it."""

    limit: float
    better: Better = "lower"

    def met(self, value: float) -> bool:
        return value <= self.limit if self.better == "lower" else value >= self.limit

    def __str__(self) -> str:
        return f"{'≤' if self.better == 'lower' else '≥'} {number(self.limit)}"


def at_most(limit: float) -> Goal:
    return Goal(limit, "lower")


def at_least(limit: float) -> Goal:
    return Goal(limit, "higher")


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. ``spread`` is the least and the greatest of the rounds; without a ``goal`` it is told for its own
    sake, and cannot fail."""

    name: str
    value: float
    unit: str
    spread: tuple[float, float]
    goal: Goal | None = None

    @property
    def missed(self) -> bool:
        return self.goal is not None and not self.goal.met(self.value)

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "value": rounded(self.value),
            "goal": self.goal.limit if self.goal else None,
            "better": self.goal.better if self.goal else None,
            "unit": self.unit,
            "spread": [rounded(it) for it in self.spread],
        }


def typical(name: str, rounds: Sequence[float], unit: str, goal: Goal | None = None) -> Row:
    """The median of the rounds: of what a noisy machine disturbs."""
    return Row(name, median(rounds), unit, (min(rounds), max(rounds)), goal)


def worst(name: str, rounds: Sequence[float], unit: str, goal: Goal | None = None) -> Row:
    """The worst of the rounds: of what must hold every time, such as a count."""
    value = min(rounds) if goal is not None and goal.better == "higher" else max(rounds)
    return Row(name, value, unit, (min(rounds), max(rounds)), goal)


def rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def number(value: float) -> str:
    """For people: no exponent, no zeros at the end."""
    text = f"{rounded(value):f}".rstrip("0").rstrip(".")
    return text or "0"
