"""Order statistics over many rows, none of which looks at all rows for each row. Pure."""

from __future__ import annotations

import heapq
import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import overload


def quantile(ordered: Sequence[float], share: float) -> float:
    """Linear interpolation between the values of a sorted sequence."""
    position = share * (len(ordered) - 1)
    low = math.floor(position)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (position - low)


def robust_spread(ordered: Sequence[float], floor: float) -> tuple[float, float]:
    """(median, spread) of sorted values: the larger of what MAD and upper decile say of a standard deviation, at least
    ``floor``. Looks at a few of the values only."""
    centre = quantile(ordered, 0.5)
    middle = len(ordered) // 2
    deviation = _distance(ordered, centre, middle)
    if len(ordered) % 2 == 0:
        deviation = (_distance(ordered, centre, middle - 1) + deviation) / 2
    upper = (quantile(ordered, 0.9) - centre) / 1.2816
    return centre, max(1.4826 * deviation, upper, floor)


def _distance(ordered: Sequence[float], centre: float, place: int) -> float:
    """The distance from ``centre`` that comes at ``place`` (from 0) when all distances are sorted: the nearest
    ``place + 1`` values lie side by side."""
    low, high = 0, len(ordered) - place - 1
    while low < high:
        middle = (low + high) // 2
        if centre - ordered[middle] > ordered[middle + place + 1] - centre:
            low = middle + 1
        else:
            high = middle
    return max(abs(ordered[low] - centre), abs(ordered[low + place] - centre))


class Without(Sequence[float]):
    """A sorted sequence without its values from ``start`` to ``stop`` and without all but the first ``length`` of what
    is left: a view, nothing is copied."""

    def __init__(self, ordered: Sequence[float], start: int, stop: int, length: int) -> None:
        self._ordered, self._start, self._skipped, self._length = ordered, start, stop - start, length

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, place: int) -> float: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[float]: ...
    def __getitem__(self, place: int | slice) -> float | Sequence[float]:
        if isinstance(place, slice):
            return [self[i] for i in range(*place.indices(self._length))]
        if place < 0:
            place += self._length
        if not 0 <= place < self._length:
            raise IndexError(place)
        return self._ordered[place if place < self._start else place + self._skipped]


class RunningMedian:
    """The median of values that come and go; each step takes the logarithm of their number."""

    def __init__(self) -> None:
        self._low: list[float] = []  # the smaller half, negated: a heap has its least in front
        self._high: list[float] = []
        self._gone: tuple[Counter[float], Counter[float]] = (Counter(), Counter())
        self._lows = self._highs = 0

    def __len__(self) -> int:
        return self._lows + self._highs

    def add(self, value: float) -> None:
        if self._lows and value > -self._low[0]:
            heapq.heappush(self._high, value)
            self._highs += 1
        else:
            heapq.heappush(self._low, -value)
            self._lows += 1
        self._balance()

    def remove(self, value: float) -> None:
        """One of the values that were added."""
        if value <= -self._low[0]:
            self._gone[0][value] += 1
            self._lows -= 1
        else:
            self._gone[1][value] += 1
            self._highs -= 1
        self._balance()

    def value(self) -> float:
        """Of one value or more."""
        return -self._low[0] if self._lows > self._highs else (-self._low[0] + self._high[0]) / 2

    def _balance(self) -> None:
        """The lower half has as many as the upper one, or one more; in front of either is a value that is there."""
        self._drop()
        while self._lows > self._highs + 1:
            heapq.heappush(self._high, -heapq.heappop(self._low))
            self._lows, self._highs = self._lows - 1, self._highs + 1
            self._drop()
        while self._highs > self._lows:
            heapq.heappush(self._low, -heapq.heappop(self._high))
            self._lows, self._highs = self._lows + 1, self._highs - 1
            self._drop()

    def _drop(self) -> None:
        gone_low, gone_high = self._gone
        while self._low and gone_low[-self._low[0]]:
            gone_low[-heapq.heappop(self._low)] -= 1
        while self._high and gone_high[self._high[0]]:
            gone_high[heapq.heappop(self._high)] -= 1


class Scatter:
    """Points of a day and a value: how many lie in a span of days and near a value.

    A tree over the days, of which every node has its values sorted: built in the time of a sort, and each count looks
    at a few nodes.
    """

    def __init__(self, points: Iterable[tuple[int, float]]) -> None:
        placed = sorted(points)
        self._days = [day for day, _ in placed]
        leaves = [[value] for _, value in placed]
        self._nodes: list[list[float]] = [[] for _ in leaves] + leaves
        for place in range(len(leaves) - 1, 0, -1):
            self._nodes[place] = sorted(self._nodes[2 * place] + self._nodes[2 * place + 1])

    def count(self, first: float, last: float, value: float, reach: float) -> int:
        """Points from day ``first`` to ``last`` whose value differs from ``value`` by ``reach`` at most."""
        low = bisect_left(self._days, first) + len(self._days)
        high = bisect_right(self._days, last) + len(self._days)
        found = 0
        while low < high:
            if low % 2:
                found += _near(self._nodes[low], value, reach)
                low += 1
            if high % 2:
                high -= 1
                found += _near(self._nodes[high], value, reach)
            low, high = low // 2, high // 2
        return found


def _near(ordered: Sequence[float], value: float, reach: float) -> int:
    # by differences, as who compares two rows would: a sum of value and reach rounds otherwise
    return bisect_right(ordered, reach, key=lambda it: it - value) - bisect_left(
        ordered, -reach, key=lambda it: it - value
    )


def has_near(ordered: Sequence[float], value: float, reach: float) -> bool:
    """Whether one of the sorted values differs from ``value`` by ``reach`` at most."""
    place = bisect_left(ordered, value)
    return any(abs(value - it) <= reach for it in ordered[max(0, place - 1) : place + 1])
