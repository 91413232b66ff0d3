"""The lease of one delivery on its key: renewed while the lane runs, and the one holder of the key's ETag."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from mosaic_core.domain.errors import StoreUnreachableError
from mosaic_core.domain.lifecycle import KeyStatus
from mosaic_core.domain.records import Key
from mosaic_core.ports import ETag, KeyStore

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Held:
    """A key that this delivery owns, with the ETag to write it by. ``sure``: an answer has said so; otherwise it may be
    another's. ``since`` is on the monotonic clock."""

    key: Key
    etag: ETag
    sure: bool = True
    since: float = field(default_factory=lambda: time.monotonic(), compare=False)


class Lease:
    """Keeps a key that this delivery owns, and follows its ETag.

    `hold` renews it in the background. A renewal that loses the race re-reads the key: still this delivery's ▶ take its
    ETag and go on; another's ▶ ``on_lost`` is called, once. An unreachable store is tried again until the lease has
    run out unrenewed; then the owner must stop, too. Correctness does not depend on any of it: every write carries
    its ETag.
    """

    def __init__(
        self, keys: KeyStore, key: Key, etag: ETag, *, renew_seconds: float, since: float | None = None
    ) -> None:
        self._keys = keys
        self._renew_seconds = renew_seconds
        self._taken = time.monotonic() if since is None else since
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.key = key
        self.etag = etag
        self.lost = False
        self.unrenewed = False
        """Lost because storage did not answer, as far as is known to nobody else."""
        self.cancelled = False

    @property
    def held(self) -> Held:
        """As it was renewed last."""
        return Held(self.key, self.etag, since=self._taken)

    def hold(self, on_lost: Callable[[], object], on_cancelled: Callable[[], object] = lambda: None) -> None:
        """Begin to renew; costs nothing for a lane that ends before the first renewal. ``on_cancelled`` is called,
        once, where a renewal finds that an operator wants an end: the lease is held on to all the same."""
        loop = asyncio.get_running_loop()

        def start() -> None:
            self._task = loop.create_task(self._renew_for_ever(on_lost, on_cancelled))

        self._timer = loop.call_later(self._renew_seconds, start)

    async def let_go(self) -> None:
        """Stop renewing. A renewal under way ends first, so that its ETag is known."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._task is not None:
            task, self._task = self._task, None
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _renew_for_ever(self, on_lost: Callable[[], object], on_cancelled: Callable[[], object]) -> None:
        while True:
            # shielded: cut off in the middle, a write would leave its ETag unknown
            renewal = asyncio.ensure_future(self._renew())
            try:
                await asyncio.shield(renewal)
            except asyncio.CancelledError:
                await renewal
                raise
            if self.lost:
                on_lost()
                return
            if self.key.cancel_reason is not None and not self.cancelled:
                self.cancelled = True
                on_cancelled()
            await asyncio.sleep(self._renew_seconds)

    async def _renew(self) -> None:
        try:
            etag = await self._keys.update(self.key, self.etag)
            if etag is None:
                stored = await self._keys.read(self.key.queue, self.key.command_id)
                if stored is None or not owns(stored.value, self.key.owner_token):
                    self.lost = True
                    return
                # my own write whose answer was lost, or one of a step that I have forgotten: it is mine all the same
                self.key, etag = stored.value, stored.etag
            self.etag, self._taken = etag, time.monotonic()
        except Exception as error:
            # refused, or a row that cannot be read: as good as no answer, and never the lane's end at once
            if not isinstance(error, StoreUnreachableError):
                log.warning("a lease was not renewed", exc_info=True)
            if time.monotonic() - self._taken > self.key.lease_seconds:
                self.lost = self.unrenewed = True


def owns(key: Key, owner_token: str) -> bool:
    """Is the key Reserved by this very delivery?"""
    return key.status == KeyStatus.RESERVED and key.owner_token == owner_token
