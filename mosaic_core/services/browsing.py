"""A queue from one end to the other, looked at and not received."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Final

from mosaic_core.ports import BrowsedMessage, QueueBrowser

PAGE: Final = 250


async def browsed(
    browser: QueueBrowser, queue: str, *, dead: bool = False, after: int = 0, size: int = PAGE
) -> AsyncIterator[BrowsedMessage]:
    """Every message beyond ``after``, by its number, page by page as they are asked for; ``dead`` are its dead
    letters."""
    while True:
        page: Sequence[BrowsedMessage] = await browser.browse(queue, dead=dead, after=after, limit=min(size, PAGE))
        if not page:
            return
        for message in page:
            yield message
        after = page[-1].sequence_number
