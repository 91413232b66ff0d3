"""Immutable blobs on Blob Storage: large envelopes and large batches."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import TYPE_CHECKING, Final

from azure.core import MatchConditions
from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)

from mosaic_core.adapters.storage import Account, Transport, silence
from mosaic_core.domain.errors import StoreRefusedError, StoreUnreachableError

if TYPE_CHECKING:
    from azure.storage.blob.aio import ContainerClient

CONTAINER: Final = "runtime-payloads"
OPERATION_SECONDS: Final = 30.0
"""What one operation may take in all: 20 MB are allowed for."""

_ROLE: Final = "the app's identity needs the role Storage Blob Data Contributor"


class AzureBlobs:
    """Blobs of one container. The SDK is imported by the first blob: few commands carry one."""

    def __init__(
        self, account: Account, transport: Transport, *, retries: int = 2, operation_seconds: float = OPERATION_SECONDS
    ) -> None:
        self._account = account
        self._transport = transport
        self._retries = retries
        self._seconds = operation_seconds
        self._container: ContainerClient | None = None

    async def put(self, name: str, data: bytes) -> None:
        """Write once. Raises StoreUnreachableError or StoreRefusedError."""
        container = self._client()
        try:
            async with asyncio.timeout(self._seconds):
                try:
                    await container.upload_blob(name, data, overwrite=False)
                except ResourceExistsError:
                    # as if put now: who names it today is not to lose it for its age
                    await container.get_blob_client(name).set_blob_metadata({})
        except ResourceNotFoundError as error:
            if _code(error) == "ContainerNotFound":
                raise _mapped(error) from error
            raise StoreUnreachableError("blobs: one that was there went away; the same again puts it") from error
        except (AzureError, OSError) as error:
            raise _mapped(error) from error

    async def get(self, name: str) -> bytes | None:
        """Raises StoreUnreachableError or StoreRefusedError."""
        container = self._client()
        try:
            async with asyncio.timeout(self._seconds):
                return await (await container.download_blob(name)).readall()
        except ResourceNotFoundError as error:
            if _code(error) == "ContainerNotFound":
                raise _mapped(error) from error
            return None
        except (AzureError, OSError) as error:
            raise _mapped(error) from error

    async def older(self, before: datetime, cursor: str, limit: int) -> tuple[list[tuple[str, str]], str]:
        """(name, ETag) of the blobs among the next ``limit`` that were last put before that moment, and where the next
        begin (empty: nowhere). One request."""
        container = self._client()
        try:
            async with asyncio.timeout(self._seconds):
                pages = container.list_blobs(results_per_page=limit).by_page(cursor or None)
                page = await anext(pages, None)
                found = [blob async for blob in page] if page is not None else []
        except (AzureError, OSError) as error:
            raise _mapped(error) from error
        following = getattr(pages, "continuation_token", None)
        return [(blob.name, blob.etag) for blob in found if blob.last_modified < before], following or ""

    async def below(self, prefix: str, cursor: str, limit: int) -> tuple[list[tuple[str, str]], str]:
        """(name, ETag) of the next ``limit`` blobs whose name begins so, and where the next begin (empty: nowhere)."""
        container = self._client()
        try:
            async with asyncio.timeout(self._seconds):
                pages = container.list_blobs(name_starts_with=prefix, results_per_page=limit).by_page(cursor or None)
                page = await anext(pages, None)
                found = [(blob.name, blob.etag) async for blob in page] if page is not None else []
        except (AzureError, OSError) as error:
            raise _mapped(error) from error
        return found, getattr(pages, "continuation_token", None) or ""

    async def remove(self, name: str, etag: str | None) -> bool:
        """False: it was put again since ``etag``, or somebody else has removed it. Without an ETag one that is gone is
        as good as removed."""
        container = self._client()
        try:
            async with asyncio.timeout(self._seconds):
                if etag is None:
                    await container.delete_blob(name)
                else:
                    await container.delete_blob(name, etag=etag, match_condition=MatchConditions.IfNotModified)
        except ResourceNotFoundError as error:
            if _code(error) == "ContainerNotFound":
                raise _mapped(error) from error
            return True
        except ResourceModifiedError:
            return False
        except (AzureError, OSError) as error:
            raise _mapped(error) from error
        return True

    async def touch(self, name: str) -> None:
        """As if put now; one that is gone stays gone."""
        container = self._client()
        try:
            async with asyncio.timeout(self._seconds):
                await container.get_blob_client(name).set_blob_metadata({})
        except ResourceNotFoundError as error:
            if _code(error) == "ContainerNotFound":
                raise _mapped(error) from error
        except (AzureError, OSError) as error:
            raise _mapped(error) from error

    async def create_container(self) -> None:
        """Create the container; one that is there stays as it is."""
        container = self._client()
        try:
            async with asyncio.timeout(self._seconds):
                await container.create_container()
        except ResourceExistsError:
            return
        except (AzureError, OSError) as error:
            raise _mapped(error) from error

    def _client(self) -> ContainerClient:
        if self._container is None:
            from azure.storage.blob.aio import ContainerClient, LinearRetry

            self._container = self._account.client(
                ContainerClient,
                CONTAINER,
                self._transport,
                retry_policy=LinearRetry(backoff=0, retry_total=self._retries, random_jitter_range=1),
            )
        return self._container


def _code(error: BaseException) -> str:
    return str(getattr(error, "error_code", None) or "")


def _mapped(error: Exception) -> Exception:
    status = error.status_code or 0 if isinstance(error, HttpResponseError) else 0
    said = f"blobs: {status} {_code(error)}".rstrip() if status else f"blobs: no answer ({type(error).__name__})"
    if status in {401, 403} or isinstance(error, ClientAuthenticationError):
        return StoreUnreachableError(f"{said}; {_ROLE}", reason="forbidden" if status else "no_token")
    if _code(error) == "ContainerNotFound":
        return StoreUnreachableError(f"{said}; the deployment creates the container {CONTAINER}", reason="not_found")
    if not status:
        return StoreUnreachableError(said, reason=silence(error))
    if status in {408, 429} or status >= 500:
        return StoreUnreachableError(said)
    return StoreRefusedError(said)
