"""The administration endpoint (ATOM over HTTPS)."""

from __future__ import annotations

import contextlib
import ssl

from mosaic_local.broker.entities import Entities


async def start_admin(
    entities: Entities, stack: contextlib.AsyncExitStack, host: str, port: int, context: ssl.SSLContext
) -> int | None:
    return None
