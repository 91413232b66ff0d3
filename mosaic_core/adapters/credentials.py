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
