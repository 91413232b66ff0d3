"""How far two words are apart."""

from __future__ import annotations


def within(a: str, b: str, most: int) -> int | None:
    """Edits between two words, a swap of neighbours counting one (optimal string alignment), where they are at most
    ``most``, else None; a few steps where the words are far apart."""
    if abs(len(a) - len(b)) > most:
        return None
    start, end = 0, min(len(a), len(b))
    while start < end and a[start] == b[start]:
        start += 1
    a, b = a[start:], b[start:]
    while a and b and a[-1] == b[-1]:
        a, b = a[:-1], b[:-1]
    far = most + 1
    before, last = [far] * (len(b) + 1), [j if j <= most else far for j in range(len(b) + 1)]
    for i, x in enumerate(a, 1):
        low, high = max(1, i - most), min(len(b), i + most)
        row = [far] * (len(b) + 1)
        row[0] = min(i, far)
        for j in range(low, high + 1):
            y = b[j - 1]
            best = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                best = min(best, before[j - 2] + 1)
            row[j] = min(best, far)
        if min(row) > most and min(last) > most:
            return None
        before, last = last, row
    return last[-1] if last[-1] <= most else None
