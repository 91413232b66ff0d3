"""How a storage account is reached: its SDK clients, their credential, and one pool of connections for everything in
it."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import urlsplit

import aiohttp
from azure.core.exceptions import ServiceRequestTimeoutError, ServiceResponseTimeoutError
from azure.core.pipeline.transport import AioHttpTransport

from mosaic_core.adapters.credentials import app_identity
from mosaic_core.domain.errors import ConfigurationError, Fault

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential

CONNECTIONS: Final = 64
CONNECT_SECONDS: Final = 2.0
READ_SECONDS: Final = 5.0

SHARED: Final[dict[str, Any]] = {
    "http_logging_level": logging.DEBUG,  # a line per request and one per answer is nothing that the app's log needs
    "permit_redirects": False,
}


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
    """One service of a storage account, "table" or "blob": a connection string, or an endpoint and its credential."""

    service: str
    connection_string: str = ""
    endpoint: str = ""
    credential: AsyncTokenCredential | None = None

    def client[C](self, kind: type[C], name: str, transport: Transport, **options: Any) -> C:
        """The SDK's TableClient or ContainerClient of ``name``; not to be closed, since the transport is shared.

        Raises ConfigurationError where the SDK cannot use the connection; never shows a key."""
        sdk: Any = kind  # both are made alike, which neither says in its types
        options |= {"transport": transport, **SHARED}
        try:
            if self.connection_string:
                client: C = sdk.from_connection_string(self.connection_string, name, **options)
            else:
                client = sdk(self.endpoint, name, credential=self.credential, **options)
        except ValueError:
            raise _fault(
                self.service, "cannot be used", f"copy the storage account's, with its {self.service} endpoint"
            ) from None
        return client

    async def close(self) -> None:
        if self.credential is not None:
            await self.credential.close()


def resolve(connection: Connection, service: str) -> Account:
    """The account's ``service``, "table" or "blob". Raises ConfigurationError where the connection names nothing."""
    if connection.connection_string:
        return Account(service, connection.connection_string)
    if not connection.endpoint:
        raise _fault(service, "has neither a connection string nor an endpoint", "set one of the two")
    address = urlsplit(connection.endpoint)
    if address.scheme != "https" or not address.hostname or address.query:
        raise _fault(service, "has an endpoint that is not an https URL", "set it to the account's")
    return Account(service, endpoint=connection.endpoint, credential=app_identity(connection.client_id or ""))


def _fault(service: str, wrong: str, remedy: str) -> ConfigurationError:
    return ConfigurationError([Fault(f"{service.capitalize()}sConnection", f"({service} storage) {wrong}", remedy)])


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


def silence(error: BaseException) -> str:
    """Why no answer came, for health: `no_answer` (not in time), or `unreachable`."""
    in_time = (TimeoutError, ServiceRequestTimeoutError, ServiceResponseTimeoutError)
    return "no_answer" if isinstance(error, in_time) else "unreachable"
