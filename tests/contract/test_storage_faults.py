"""Faults and time of storage for tests, as the real SDK's clients meet them."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
from azure.core.exceptions import (
    AzureError,
    HttpResponseError,
    ResourceExistsError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.data.tables import TableClient, TableServiceClient
from azure.storage.blob import BlobServiceClient

from mosaic_local.errors import StackError
from mosaic_local.testing import StorageControl, StorageFault, StorageRule
from tests.support.azurite import Azurite, running_azurite
from tests.support.broker import SDK_LEAVES_SOCKETS

ONCE: dict[str, Any] = {"retry_total": 0}
pytestmark = SDK_LEAVES_SOCKETS


@pytest.fixture(scope="module")
def faulty() -> Iterator[Azurite]:
    with running_azurite(testing=True) as service:
        yield service


@pytest.fixture
def control(faulty: Azurite) -> Iterator[StorageControl]:
    control = StorageControl(faulty.tables.connection_string)
    yield control
    control.fail()


@pytest.fixture
def table(faulty: Azurite) -> Iterator[Callable[..., TableClient]]:
    """Opens a client of one new table."""
    name = f"Orders{uuid.uuid4().hex[:8]}"
    connection = faulty.tables.connection_string
    clients: list[TableClient] = []

    def opened(**options: Any) -> TableClient:
        clients.append(TableClient.from_connection_string(connection, name, **options))
        return clients[-1]

    opened().create_table()
    yield opened
    for client in clients:
        client.close()


def order(number: int = 1) -> dict[str, Any]:
    return {"PartitionKey": "shop", "RowKey": f"{number:03}", "Price": number}


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (StorageFault.BUSY, 503, "ServerBusy"),
        (StorageFault.THROTTLED, 429, "TooManyRequests"),
        (StorageFault.TIMED_OUT, 500, "OperationTimedOut"),
    ],
)
def test_a_refusal_is_azure_s_to_both_clients_and_nothing_is_done(
    faulty: Azurite,
    table: Callable[..., TableClient],
    control: StorageControl,
    fault: StorageFault,
    status: int,
    code: str,
) -> None:
    control.fail(StorageRule(fault=fault, retry_after_seconds=7))
    with pytest.raises(HttpResponseError) as refused:
        table(**ONCE).create_entity(order())
    with (
        BlobServiceClient.from_connection_string(faulty.blobs.connection_string, **ONCE) as blobs,
        pytest.raises(HttpResponseError) as refused_too,
    ):
        blobs.get_container_client("receipts").create_container()
    for error in (refused.value, refused_too.value):
        headers: Any = getattr(error.response, "headers", {})
        assert (error.status_code, headers["x-ms-error-code"], headers["Retry-After"]) == (status, code, "7")
        assert code in str(error)
        assert headers["x-ms-request-id"] in str(error)
    assert control.struck() == {fault: 2}
    control.fail()
    assert list(table().list_entities()) == []


def test_the_sdk_gets_over_a_busy_service_by_itself(table: Callable[..., TableClient], control: StorageControl) -> None:
    control.fail(StorageRule(fault=StorageFault.BUSY, times=2, retry_after_seconds=0))
    client = table(retry_backoff_factor=0)
    client.upsert_entity(order())
    assert [row["Price"] for row in client.list_entities()] == [1]
    assert control.struck() == {"busy": 2}


def test_a_write_whose_answer_is_lost_is_met_again_by_its_repetition(
    table: Callable[..., TableClient], control: StorageControl
) -> None:
    control.fail(StorageRule(fault=StorageFault.UNANSWERED, method="POST", times=1))
    with pytest.raises(ServiceResponseError):
        table(**ONCE).create_entity(order())
    with pytest.raises(ResourceExistsError):
        table().create_entity(order())


@pytest.mark.parametrize("fault", [StorageFault.HALF_ANSWERED, StorageFault.CUT])
def test_a_connection_that_ends_too_early(
    faulty: Azurite, table: Callable[..., TableClient], control: StorageControl, fault: StorageFault
) -> None:
    control.fail(StorageRule(fault=fault))
    is_done = fault is StorageFault.HALF_ANSWERED
    for ask in (lambda: table(**ONCE).create_entity(order()), lambda: list(table(**ONCE).list_entities())):
        with pytest.raises((AzureError, AttributeError)):  # the SDK stumbles over an answer that it has no whole of
            ask()
    with (
        BlobServiceClient.from_connection_string(faulty.blobs.connection_string, **ONCE) as blobs,
        pytest.raises((ServiceRequestError, ServiceResponseError)),
    ):
        blobs.get_container_client(f"c{fault.replace('_', '')}").create_container()
    control.fail()
    assert len(list(table().list_entities())) == is_done
    with BlobServiceClient.from_connection_string(faulty.blobs.connection_string) as blobs:
        assert blobs.get_container_client(f"c{fault.replace('_', '')}").exists() == is_done


def test_one_that_never_answers_and_one_that_is_slow(
    table: Callable[..., TableClient], control: StorageControl
) -> None:
    control.fail(
        StorageRule(fault=StorageFault.SILENT, method="POST"),
        StorageRule(fault=StorageFault.SLOW, method="GET", milliseconds=400),
    )
    with pytest.raises(ServiceResponseError):
        table(read_timeout=0.1, **ONCE).create_entity(order())
    with pytest.raises(ServiceResponseError):
        list(table(read_timeout=0.1, **ONCE).list_entities())
    assert list(table(read_timeout=10, **ONCE).list_entities()) == []
    assert control.struck() == {"silent": 1, "slow": 2}


def test_a_rule_meets_its_service_operation_entity_and_path_alone(
    faulty: Azurite, table: Callable[..., TableClient], control: StorageControl
) -> None:
    client = table(**ONCE)
    name, blobs = client.table_name, BlobServiceClient.from_connection_string(faulty.blobs.connection_string, **ONCE)
    container = blobs.get_container_client(f"c{name.lower()}")
    container.create_container()
    busy = StorageFault.BUSY
    control.fail(
        StorageRule(fault=busy, service="table", method="PATCH"),
        StorageRule(fault=busy, entity="others"),
        StorageRule(fault=busy, path=f"{name}(*RowKey='002')"),
        StorageRule(fault=busy, path=f"{container.container_name}/2026 *.txt"),
    )
    client.create_entity(order(1))
    client.create_entity(order(2))
    client.get_entity("shop", "001")
    container.upload_blob("2025 a.txt", b"1")
    assert control.struck() == {}
    refused: list[Callable[[], object]] = [
        lambda: client.update_entity(order(1)),
        lambda: client.get_entity("shop", "002"),
        lambda: container.upload_blob("2026 a.TXT", b"1"),
    ]
    for ask in refused:
        with pytest.raises(HttpResponseError, match="ServerBusy"):
            ask()
    with TableServiceClient.from_connection_string(faulty.tables.connection_string, **ONCE) as service:
        others = service.get_table_client("Others")
        with pytest.raises(HttpResponseError, match="ServerBusy"):
            list(others.list_entities())
    blobs.close()


def test_a_transaction_is_met_by_what_is_in_it(table: Callable[..., TableClient], control: StorageControl) -> None:
    client = table(**ONCE)
    control.fail(StorageRule(fault=StorageFault.UNANSWERED, entity=client.table_name, method="PUT", times=1))
    client.submit_transaction([("create", order(1)), ("create", order(2))])  # two POSTs
    with pytest.raises(ServiceResponseError):
        client.submit_transaction([("create", order(3)), ("update", order(2), {"mode": "replace"})])
    assert [row["RowKey"] for row in table().list_entities()] == ["001", "002", "003"]


def test_rows_age_by_a_clock_that_is_moved(table: Callable[..., TableClient], control: StorageControl) -> None:
    client = table()
    answers: list[Any] = []
    client.create_entity(order())
    control.advance(timedelta(days=30))
    row = client.get_entity("shop", "001", raw_response_hook=answers.append)
    date = parsedate_to_datetime(answers[0].http_response.headers["Date"])
    created = row.metadata["timestamp"]
    assert created is not None
    assert timedelta(days=30) <= date - created + timedelta(seconds=1) < timedelta(days=30, minutes=1)
    client.update_entity(order())
    written = client.get_entity("shop", "001").metadata["timestamp"]
    assert written is not None
    assert abs(written - date) < timedelta(minutes=1)


def test_one_seed_is_one_order_of_faults(table: Callable[..., TableClient], control: StorageControl) -> None:
    client = table(**ONCE)

    def outcomes(seed: int) -> list[bool]:
        control.fail(StorageRule(fault=StorageFault.BUSY, probability=0.5), seed=seed)
        answered = []
        for _ in range(12):
            try:
                list(client.list_entities())
            except HttpResponseError:
                answered.append(False)
            else:
                answered.append(True)
        return answered

    first = outcomes(1)
    assert first == outcomes(1) != outcomes(2)
    assert 2 < sum(first) < 10


def test_who_has_not_the_account_s_key_is_refused(faulty: Azurite) -> None:
    stranger = StorageControl(faulty.tables.connection_string.replace(faulty.keys.storage_key, "b3RoZXI="))
    with pytest.raises(StackError, match="401"):
        stranger.struck()
