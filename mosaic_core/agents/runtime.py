"""The agents that a lane can be given."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import date
from typing import Final

from mosaic_core.domain.ledger import Answer, Transaction

OFFLINE_VERSION: Final = "offline-rules/1"


class OfflineAgent:
    """Rules over the household's ledger: no model, no network. A `LedgerAgent`."""

    name = "offline"
    source = OFFLINE_VERSION

    async def answer(self, question: str, transactions: Sequence[Transaction], *, as_of: date) -> Answer:
        # loaded when first asked, and on a thread: its rules are much text and its sums take their time
        def work() -> Answer:
            from mosaic_core.agents import offline

            return offline.answer(question, transactions, as_of=as_of)

        return await asyncio.to_thread(work)
