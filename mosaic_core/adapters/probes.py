"""Health probes of what the app builds on."""

from __future__ import annotations

from mosaic_core.domain.errors import StoreUnreachableError
from mosaic_core.ports import KeyStore


class TablesProbe:
    """Tables answer: one point read of a key that nobody has."""

    name = "tables"

    def __init__(self, keys: KeyStore) -> None:
        self._keys = keys

    async def check(self) -> bool:
        try:
            await self._keys.read("health", "0" * 32)
        except StoreUnreachableError:
            return False
        return True
