"""A batch of transactions on its way in: read once, line by line, kept in its one canonical spelling."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from mosaic_core.domain.envelope import TransactionLine, payload_json
from mosaic_core.domain.errors import Detail, RequestError

INLINE_TRANSACTIONS: Final = 500
MOST_TRANSACTIONS: Final = 100_000
"""What one run can write within its attempts, each of which goes on where the one before was cut off. 20 MB of ordinary
lines are fewer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """``json_lines`` is all of it, the same bytes for the same batch however it was sent; ``few`` are its transactions
    where there are at most `INLINE_TRANSACTIONS`, else None (a large batch is not kept as objects)."""

    count: int
    few: tuple[TransactionLine, ...] | None
    json_lines: bytes

    @classmethod
    def of(cls, transactions: Iterable[TransactionLine]) -> Batch:
        """Raises `RequestError` ``validation_failed`` for an empty batch, for one of more than `MOST_TRANSACTIONS`,
        and for one that says two things of one transaction id."""
        few: list[TransactionLine] = []
        data = bytearray()
        said: dict[str, int] = {}
        count = 0
        for line in transactions:
            count += 1
            if count > MOST_TRANSACTIONS:
                raise _refused("transactions", f"has more than {MOST_TRANSACTIONS} transactions: split it")
            if count <= INLINE_TRANSACTIONS:
                few.append(line)
            text = json.dumps(payload_json(line), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
            if said.setdefault(line.transaction_id, hash(text)) != hash(text):
                raise _refused("transactions", f"number {count} has the id of an earlier one, and other content")
            data += text.encode()
            data += b"\n"
        if count == 0:
            raise _refused("transactions", "is empty")
        return cls(count=count, few=tuple(few) if count <= INLINE_TRANSACTIONS else None, json_lines=bytes(data))


def _refused(field: str, issue: str) -> RequestError:
    return RequestError("validation_failed", "the batch cannot be used", [Detail(field, issue)])
