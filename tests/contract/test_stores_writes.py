"""A single row's write is the SDK's own but for its cost: the same row, the same answers, by every credential. So is
what is read."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest
from azure.core.credentials import AccessToken, AzureNamedKeyCredential
from azure.core.exceptions import ClientAuthenticationError
from azure.core.pipeline.transport import AsyncHttpTransport
from azure.data.tables import (
    AccountSasPermissions,
    EdmType,
    EntityProperty,
    ResourceTypes,
    UpdateMode,
    generate_account_sas,
)
from azure.data.tables.aio import TableClient

from mosaic_core.adapters.record_rows import INT64, Row, encode_run
from mosaic_core.adapters.storage import Account, Transport, resolve
from mosaic_core.adapters.tables.keys import encode
from mosaic_core.adapters.tables.table_client import Observation, TableService
from mosaic_core.domain.errors import ConfigurationError, StoreUnreachableError
from tests.support import records
from tests.support.azurite import Azurite, StorageConnection
from tests.support.records import new_id

TABLE = "AgentIndex"
(WIDE,) = INT64
ROWS: dict[str, Row] = {
    "a record": encode_run(records.RUN),
    "no property": {},
    "texts": {
        "Empty": "",
        "Quotes": "\"'\\",
        "Wide": "é漢😀",
        "Controls": "\t\n\r\x01\x7f\x85\u2028",
        "Typed": "2026-11-24",
    },
    "long text": {"Long": "é" * 32_000},
    "half a pair": {"Half": "\ud83d"},
    "truths": {"Yes": True, "No": False},
    "32 bits": {"Zero": 0, "Least": -(2**31), "Most": 2**31 - 1},
    "64 bits": {WIDE: 7, "Below": -(2**31) - 1, "Above": 2**31, "Least": -(2**63), "Most": 2**63 - 1},
    "doubles": {"Whole": 1.0, "Tenth": 0.1, "Least": 5e-324, "Most": -1.7976931348623157e308, "Zero": -0.0},
    "times": {
        "Whole": datetime(2026, 11, 24, tzinfo=UTC),
        "Micros": records.NOW,
        "Early": datetime(1601, 1, 1, tzinfo=UTC),
        "Late": datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        "Elsewhere": datetime(2026, 11, 24, 8, 30, 15, 5, tzinfo=timezone(timedelta(hours=-3, minutes=-30))),
    },
}


@pytest.fixture
async def tables(azurite: Azurite) -> AsyncIterator[TableService]:
    async with Transport() as transport:
        yield TableService(resolve(azurite.tables, "table"), transport)


@pytest.fixture
async def sdk(azurite: Azurite) -> AsyncIterator[TableClient]:
    async with TableClient.from_connection_string(azurite.tables.connection_string, TABLE) as client:
        yield client


def entity(partition: str, row_key: str, row: Row) -> dict[str, Any]:
    """The row as the SDK's own client takes it."""
    wide = {
        name: EntityProperty(value, EdmType.INT64)
        for name, value in row.items()
        if type(value) is int and (name == WIDE or not -(2**31) <= value < 2**31)
    }
    return {"PartitionKey": partition, "RowKey": row_key, **row, **wide}


async def stored(sdk: TableClient, partition: str, row_key: str) -> dict[str, Any]:
    """The row as the service sends it, types included, without its keys and what the service adds."""
    answers: list[dict[str, Any]] = []
    await sdk.get_entity(partition, row_key, raw_response_hook=lambda it: answers.append(it.http_response.json()))
    (row,) = answers
    return {
        name: it for name, it in row.items() if not name.startswith(("odata.", "Timestamp", "PartitionKey", "RowKey"))
    }


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
async def test_a_row_is_stored_as_the_sdk_stores_it(sdk: TableClient, tables: TableService, row: Row) -> None:
    partition = new_id()
    await sdk.create_entity(entity(partition, "theirs", row))
    assert await tables.insert(TABLE, partition, "ours", row) is not None
    assert await stored(sdk, partition, "ours") == await stored(sdk, partition, "theirs")


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
async def test_a_row_is_read_as_the_sdk_reads_it(sdk: TableClient, tables: TableService, row: Row) -> None:
    """By itself, within a range, and of it the columns that are asked for: values, types, ETag and time."""
    partition, row_key = new_id(), encode("a key!with 'quotes' & \U0001f600")
    await sdk.create_entity(entity(partition, row_key, row))
    theirs = await sdk.get_entity(partition, row_key)
    values = {name: it.value if isinstance(it, EntityProperty) else it for name, it in theirs.items()}
    ours = await tables.read(TABLE, partition, row_key)
    assert ours is not None
    assert (ours.row, ours.etag, ours.written_at) == (values, theirs.metadata["etag"], theirs.metadata["timestamp"])
    assert {name: type(it) for name, it in ours.row.items() if not isinstance(it, datetime)} == {
        name: type(it) for name, it in values.items() if not isinstance(it, datetime)
    }
    columns = ("RowKey", *row)
    chosen = {name: values[name] for name in columns}
    in_range = [it async for it in tables.query_with_etags(TABLE, partition, select=columns)]
    assert in_range == [(chosen, ours.etag)]
    alone = await tables.read(TABLE, partition, row_key, *columns)
    assert alone is not None
    assert (alone.row, alone.etag) == (chosen, ours.etag)


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
async def test_a_row_is_replaced_as_the_sdk_replaces_it(sdk: TableClient, tables: TableService, row: Row) -> None:
    partition = new_id()
    before: Row = {"Former": "x"}
    await sdk.create_entity(entity(partition, "theirs", before))
    await sdk.update_entity(entity(partition, "theirs", row), UpdateMode.REPLACE)
    etag = await tables.insert(TABLE, partition, "ours", before)
    assert etag is not None
    assert await tables.update(TABLE, partition, "ours", row, etag) not in (None, etag)
    assert await stored(sdk, partition, "ours") == await stored(sdk, partition, "theirs")


async def test_an_etag_is_the_one_that_a_read_tells(sdk: TableClient, tables: TableService) -> None:
    partition = new_id()
    inserted = await tables.insert(TABLE, partition, "r", {"A": 1})
    assert inserted is not None
    assert (await sdk.get_entity(partition, "r")).metadata["etag"] == inserted
    updated = await tables.update(TABLE, partition, "r", {"A": 2}, inserted)
    assert (await sdk.get_entity(partition, "r")).metadata["etag"] == updated
    assert await tables.update(TABLE, partition, "r", {"A": 3}, inserted) is None


@pytest.mark.parametrize(
    "text", ["a/b\\c#d?e", "x' or RowKey ge '", "%2F%27", "ünïcode 😀", "a b+c", "..", "", "k" * 300]
)
async def test_an_encoded_key_reaches_the_row_that_the_sdk_reaches(
    sdk: TableClient, tables: TableService, text: str
) -> None:
    partition, row_key = f"{new_id()}!{encode(text)}", encode(text)
    etag = await tables.insert(TABLE, partition, row_key, {"A": 1})
    assert etag is not None
    assert await tables.update(TABLE, partition, row_key, {"A": 2}, etag) is not None
    assert (await sdk.get_entity(partition, row_key))["A"] == 2


async def test_a_shared_access_signature_writes(azurite: Azurite, sdk: TableClient) -> None:
    signature = generate_account_sas(
        AzureNamedKeyCredential(azurite.keys.storage_account, azurite.keys.storage_key),
        resource_types=ResourceTypes(object=True),
        permission=AccountSasPermissions(add=True, update=True),
        expiry=datetime.now(UTC) + timedelta(minutes=5),
    )
    connection = StorageConnection(f"TableEndpoint={sdk.url};SharedAccessSignature={signature}")
    partition, seen = new_id(), list[Observation]()
    async with Transport() as transport:
        tables = TableService(resolve(connection, "table"), transport, observer=seen.append)
        etag = await tables.insert(TABLE, partition, "r", {"A": 1})
        assert etag is not None
        assert await tables.update(TABLE, partition, "r", {"A": 2}, etag) is not None
    assert (await sdk.get_entity(partition, "r"))["A"] == 2
    assert [(it.kind, it.status) for it in seen] == [("insert", 204), ("update", 204)]


async def test_a_wrong_key_is_refused_and_named_by_no_one(azurite: Azurite, sdk: TableClient) -> None:
    connection = StorageConnection(
        f"AccountName={azurite.keys.storage_account};AccountKey=bm90IGl0;TableEndpoint={sdk.url}"
    )
    async with Transport() as transport:
        tables = TableService(resolve(connection, "table"), transport)
        with pytest.raises(StoreUnreachableError, match="Storage Table Data Contributor") as refused:
            await tables.insert(TABLE, new_id(), "r", {})
    assert "bm90IGl0" not in str(refused.value)


def test_a_key_that_is_none_is_told_at_the_start() -> None:
    account = resolve(StorageConnection("AccountName=example;AccountKey=bm90IGl0Z"), "table")
    with pytest.raises(ConfigurationError, match="base64") as refused:
        TableService(account, Transport())
    assert "bm90IGl0Z" not in str(refused.value)
    assert refused.value.__cause__ is None


# -------------------------------------------------------------------------------------------------------------- tokens


class Tokens:
    """The app's identity, or one that gets no token."""

    def __init__(self, *, refused: bool = False) -> None:
        self.asked: list[tuple[str, ...]] = []
        self.refused = refused

    async def get_token(self, *scopes: str, **_options: Any) -> AccessToken:
        self.asked.append(scopes)
        if self.refused:
            raise ClientAuthenticationError("no identity here")
        return AccessToken("a-token", 2**33)

    async def close(self) -> None: ...
    async def __aenter__(self) -> Tokens:
        return self

    async def __aexit__(self, *_: object) -> None: ...


class Wire(AsyncHttpTransport[Any, Any]):
    """Answers that the row was written, and keeps what was sent."""

    def __init__(self) -> None:
        self.sent: list[Any] = []

    async def send(self, request: Any, **_options: Any) -> Any:
        self.sent.append(request)
        return SimpleNamespace(status_code=204, headers={"ETag": "e"}, request=request, content=b"")

    async def open(self) -> None: ...
    async def close(self) -> None: ...
    async def __aexit__(self, *_: object) -> None: ...


def by_identity(wire: Wire, tokens: Tokens, **options: Any) -> TableService:
    account = Account("table", endpoint="https://example.table.core.windows.net", credential=tokens)
    transport: Any = wire
    return TableService(account, transport, **options)


async def test_the_apps_identity_writes_with_a_token_for_storage() -> None:
    wire, tokens = Wire(), Tokens()
    tables = by_identity(wire, tokens)
    assert await tables.insert(TABLE, "p", "r", {}) == "e"
    assert await tables.update(TABLE, "p", "r", {}, 'W/"1"') == "e"
    insert, update = wire.sent
    assert insert.url == "https://example.table.core.windows.net/AgentIndex"
    assert update.url == "https://example.table.core.windows.net/AgentIndex(PartitionKey='p',RowKey='r')"
    assert update.headers["If-Match"] == 'W/"1"'
    assert [it.headers["Authorization"] for it in wire.sent] == ["Bearer a-token"] * 2
    assert len({it.headers["x-ms-client-request-id"] for it in wire.sent}) == 2
    assert tokens.asked == [("https://storage.azure.com/.default",)]


async def test_no_token_is_no_request() -> None:
    wire, seen = Wire(), list[Observation]()
    tables = by_identity(wire, Tokens(refused=True), observer=seen.append)
    with pytest.raises(StoreUnreachableError, match="no token for storage"):
        await tables.insert(TABLE, "p", "r", {})
    assert (wire.sent, seen) == ([], [])
