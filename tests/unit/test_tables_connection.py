"""Connection strings and endpoints: what is understood, and what is refused without showing a key."""

from __future__ import annotations

import pytest
from azure.core.credentials import AzureNamedKeyCredential, AzureSasCredential
from azure.core.pipeline.policies import AsyncBearerTokenCredentialPolicy, AzureSasCredentialPolicy

from mosaic_core.adapters.storage import SharedKeyPolicy, resolve
from mosaic_core.domain.errors import ConfigurationError
from tests.support.azurite import StorageConnection

KEY = "c2VjcmV0LWtleQ=="


@pytest.mark.parametrize(
    ("text", "service", "endpoint"),
    [
        (f"AccountName=acc;AccountKey={KEY}", "table", "https://acc.table.core.windows.net"),
        (f"AccountName=acc;AccountKey={KEY};", "blob", "https://acc.blob.core.windows.net"),
        (
            f"DefaultEndpointsProtocol=http;AccountName=acc;AccountKey={KEY};EndpointSuffix=core.chinacloudapi.cn",
            "table",
            "http://acc.table.core.chinacloudapi.cn",
        ),
        (f"accountname=acc;ACCOUNTKEY={KEY};TableEndpoint=http://127.0.0.1:1/acc/", "table", "http://127.0.0.1:1/acc"),
    ],
)
def test_a_connection_string_with_a_key(text: str, service: str, endpoint: str) -> None:
    account = resolve(StorageConnection(text), service)
    assert account.endpoint == endpoint
    assert isinstance(account.credential, AzureNamedKeyCredential)
    assert account.credential.named_key.key == KEY
    assert isinstance(account.authentication(), SharedKeyPolicy)


def test_a_connection_string_with_a_shared_access_signature() -> None:
    text = "TableEndpoint=https://acc.table.core.windows.net/;SharedAccessSignature=?sv=1&sig=a%3D"
    account = resolve(StorageConnection(text), "table")
    assert account.endpoint == "https://acc.table.core.windows.net"
    assert isinstance(account.credential, AzureSasCredential)
    assert account.credential.signature == "sv=1&sig=a%3D"
    assert isinstance(account.authentication(), AzureSasCredentialPolicy)


async def test_an_endpoint_is_used_by_the_apps_identity() -> None:
    account = resolve(StorageConnection(endpoint="https://acc.table.core.windows.net/", client_id="id"), "table")
    assert account.endpoint == "https://acc.table.core.windows.net"
    assert isinstance(account.authentication(), AsyncBearerTokenCredentialPolicy)
    await account.close()


@pytest.mark.parametrize(
    "connection",
    [
        StorageConnection(),
        StorageConnection("nonsense"),
        StorageConnection(f"AccountName=acc;SharedKey={KEY}"),
        StorageConnection(f"AccountKey={KEY};TableEndpoint=https://h"),
        StorageConnection(f"AccountName=acc;AccountKey={KEY};TableEndpoint=ftp://h"),
        StorageConnection(f"AccountName=acc;AccountKey={KEY};TableEndpoint=http://"),
        StorageConnection(endpoint="acc.table.core.windows.net"),
        StorageConnection(endpoint=f"https://h/?sig={KEY}"),
    ],
)
def test_what_cannot_be_used_is_named_and_never_shown(connection: StorageConnection) -> None:
    with pytest.raises(ConfigurationError, match="table") as refused:
        resolve(connection, "table")
    assert KEY not in str(refused.value)
