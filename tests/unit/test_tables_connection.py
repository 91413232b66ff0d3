"""Connection strings and endpoints: what the SDKs make of them, and that a refusal shows no key."""

from __future__ import annotations

from typing import Any

import pytest
from azure.core.credentials import AzureNamedKeyCredential, AzureSasCredential
from azure.data.tables.aio import TableClient
from azure.storage.blob.aio import ContainerClient

from mosaic_core.adapters.storage import Transport, resolve
from mosaic_core.domain.errors import ConfigurationError
from tests.support.azurite import StorageConnection

KEY = "c2VjcmV0LWtleQ=="
CLIENTS: dict[str, Any] = {"table": TableClient, "blob": ContainerClient}


def client(connection: StorageConnection, service: str) -> Any:
    return resolve(connection, service).client(CLIENTS[service], "Name", Transport())


@pytest.mark.parametrize(
    ("text", "service", "address"),
    [
        (f"AccountName=example;AccountKey={KEY}", "table", "https://example.table.core.windows.net"),
        (f"AccountName=example;AccountKey={KEY};", "blob", "https://example.blob.core.windows.net/Name"),
        (
            f"DefaultEndpointsProtocol=http;AccountName=example;AccountKey={KEY};EndpointSuffix=core.chinacloudapi.cn",
            "table",
            "http://example.table.core.chinacloudapi.cn",
        ),
        (
            f"AccountName=example;AccountKey={KEY};TableEndpoint=http://127.0.0.1:1/acc/",
            "table",
            "http://127.0.0.1:1/acc",
        ),
        (
            f"AccountName=example;AccountKey={KEY};BlobEndpoint=http://127.0.0.1:1/a",
            "blob",
            "http://127.0.0.1:1/a/Name",
        ),
        ("UseDevelopmentStorage=true", "table", "http://127.0.0.1:10002/devstoreaccount1"),
        ("UseDevelopmentStorage=true", "blob", "http://127.0.0.1:10000/devstoreaccount1/Name"),
    ],
)
def test_a_connection_string_with_a_key(text: str, service: str, address: str) -> None:
    assert client(StorageConnection(text), service).url == address


def test_a_connection_string_with_a_shared_access_signature() -> None:
    text = "TableEndpoint=https://example.table.core.windows.net/;SharedAccessSignature=sv=1&sig=a%3D"
    table = client(StorageConnection(text), "table")
    assert isinstance(table.credential, AzureSasCredential)
    assert table.credential.signature == "sv=1&sig=a%3D"


def test_the_key_signs() -> None:
    table = client(StorageConnection(f"AccountName=example;AccountKey={KEY}"), "table")
    assert isinstance(table.credential, AzureNamedKeyCredential)
    assert table.credential.named_key == ("example", KEY)


@pytest.mark.parametrize("service", ["table", "blob"])
async def test_an_endpoint_is_used_by_the_apps_identity(service: str) -> None:
    endpoint = f"https://example.{service}.core.windows.net"
    account = resolve(StorageConnection(endpoint=f"{endpoint}/", client_id="id"), service)
    opened = account.client(CLIENTS[service], "Name", Transport())
    assert opened.url.removesuffix("/Name") == endpoint
    assert opened.credential is account.credential
    await account.close()


@pytest.mark.parametrize("service", ["table", "blob"])
@pytest.mark.parametrize(
    "connection",
    [
        StorageConnection(),
        StorageConnection("nonsense"),
        StorageConnection(f"AccountKey={KEY}"),
        StorageConnection(endpoint="example.table.core.windows.net"),
        StorageConnection(endpoint="http://example.table.core.windows.net"),
        StorageConnection(endpoint=f"https://h/?sig={KEY}"),
    ],
)
def test_what_cannot_be_used_is_named_and_never_shown(connection: StorageConnection, service: str) -> None:
    with pytest.raises(ConfigurationError, match=service) as refused:
        client(connection, service)
    assert KEY not in str(refused.value)
    assert refused.value.__cause__ is None
