"""The app's identity towards Azure services."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential


def app_identity(client_id: str = "") -> AsyncTokenCredential:
    """The managed identity where the platform offers one (``client_id``: a user-assigned one), else whatever a
    developer's machine is signed in with. Belongs to the event loop that it is first used on; close it after use.

    Imports 0.1 s of SDK: call it when a connection is opened, not at start."""
    from azure.identity.aio import DefaultAzureCredential, ManagedIdentityCredential

    if "IDENTITY_ENDPOINT" in os.environ:
        return ManagedIdentityCredential(client_id=client_id) if client_id else ManagedIdentityCredential()
    return DefaultAzureCredential(managed_identity_client_id=client_id or None)


class AppToken:
    """Bearer tokens of the app's identity for one scope: ``await token()``. The identity is opened with the first one
    and belongs to that event loop; close it after use."""

    def __init__(self, scope: str, client_id: str = "") -> None:
        self._scope = scope
        self._client_id = client_id
        self._identity: AsyncTokenCredential | None = None

    async def __call__(self) -> str:
        if self._identity is None:
            self._identity = app_identity(self._client_id)
        return (await self._identity.get_token(self._scope)).token

    async def close(self) -> None:
        if self._identity is not None:
            await self._identity.close()
