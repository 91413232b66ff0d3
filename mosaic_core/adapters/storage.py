"""How a storage account is reached: address, credential, and one pool of connections for everything in it."""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass
from email.utils import formatdate
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import urlsplit

import aiohttp
from azure.core.credentials import AzureNamedKeyCredential, AzureSasCredential
from azure.core.pipeline import PipelineRequest
from azure.core.pipeline.policies import AsyncBearerTokenCredentialPolicy, AzureSasCredentialPolicy, SansIOHTTPPolicy
from azure.core.pipeline.transport import AioHttpTransport
from azure.core.rest import HttpRequest

from mosaic_core.adapters.credentials import app_identity
from mosaic_core.domain.errors import ConfigurationError

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential

CONNECTIONS: Final = 64
CONNECT_SECONDS: Final = 2.0
READ_SECONDS: Final = 5.0
SCOPE: Final = "https://storage.azure.com/.default"


class Connection(Protocol):
    """A connection string (embedded stack, emulators), or an endpoint that a managed identity may use (Azure)."""

    @property
    def connection_string(self) -> str | None: ...
    @property
    def endpoint(self) -> str | None: ...
    @property
    def client_id(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Account:
    """One service of a storage account. ``endpoint`` is a URL without a slash at its end."""

    endpoint: str
    credential: AzureNamedKeyCredential | AzureSasCredential | AsyncTokenCredential

    async def close(self) -> None:
        if not isinstance(self.credential, AzureNamedKeyCredential | AzureSasCredential):
            await self.credential.close()

    def authentication(self) -> Any:
        """The pipeline policy that signs requests to Table Storage."""
        if isinstance(self.credential, AzureNamedKeyCredential):
            return SharedKeyPolicy(self.credential)
        if isinstance(self.credential, AzureSasCredential):
            return AzureSasCredentialPolicy(self.credential)
        return AsyncBearerTokenCredentialPolicy(self.credential, SCOPE)


def resolve(connection: Connection, service: str) -> Account:
    """The account's ``service``, "table" or "blob". Raises ConfigurationError; never shows a key."""
    if connection.connection_string:
        return _from_string(connection.connection_string, service)
    if not connection.endpoint:
        raise ConfigurationError([f"{service} storage has neither a connection string nor an endpoint"])
    return Account(_address(connection.endpoint, service), app_identity(connection.client_id or ""))


def _from_string(text: str, service: str) -> Account:
    parts = {name.strip().lower(): value for name, _, value in (part.partition("=") for part in text.split(";"))}
    name, key, signature = (parts.get(part) for part in ("accountname", "accountkey", "sharedaccesssignature"))
    endpoint = parts.get(f"{service}endpoint")
    if not endpoint and name:
        suffix = parts.get("endpointsuffix") or "core.windows.net"
        endpoint = f"{parts.get('defaultendpointsprotocol') or 'https'}://{name}.{service}.{suffix}"
    if not endpoint or not (signature or (name and key)):
        raise ConfigurationError(
            [
                f"the connection string of {service} storage needs AccountName and AccountKey"
                f" (or {service.title()}Endpoint and SharedAccessSignature)"
            ]
        )
    if name and key:
        return Account(_address(endpoint, service), AzureNamedKeyCredential(name, key))
    return Account(_address(endpoint, service), AzureSasCredential((signature or "").lstrip("?")))


def _address(endpoint: str, service: str) -> str:
    address = urlsplit(endpoint)
    if address.scheme not in {"http", "https"} or not address.hostname or address.query:
        raise ConfigurationError([f"the endpoint of {service} storage is not an http or https URL"])
    return endpoint.rstrip("/")


class SharedKeyPolicy(SansIOHTTPPolicy[HttpRequest, Any]):
    """Signs with the account's key, as Table Storage asks (emulators and development; Azure uses an identity)."""

    def __init__(self, credential: AzureNamedKeyCredential) -> None:
        super().__init__()
        named = credential.named_key
        self._account = named.name
        self._hmac = hmac.new(base64.b64decode(named.key), digestmod=hashlib.sha256)

    def on_request(self, request: PipelineRequest[HttpRequest]) -> None:
        sent = request.http_request
        headers = sent.headers
        date = headers["x-ms-date"] = formatdate(usegmt=True)
        path = urlsplit(sent.url).path
        signed = self._hmac.copy()
        signed.update(
            f"{sent.method}\n\n{headers.get('Content-Type', '')}\n{date}\n/{self._account}{path}".encode(),
        )
        headers["Authorization"] = f"SharedKey {self._account}:{base64.b64encode(signed.digest()).decode()}"


class Transport(AioHttpTransport):  # type: ignore[misc]  # azure.core loads it lazily, which hides its type
    """azure-core's transport on one session sized for the worker. It looks at no proxy variables and no ``.netrc``,
    which would cost file reads and a thread hop per request."""

    session: aiohttp.ClientSession | None

    def __init__(self) -> None:
        super().__init__(
            use_env_settings=False, connection_timeout=CONNECT_SECONDS, read_timeout=READ_SECONDS, session_owner=True
        )

    async def open(self) -> None:
        if self.session is None and not self._has_been_opened:
            self.session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=CONNECTIONS, keepalive_timeout=60),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                auto_decompress=False,
            )
        await super().open()
