"""Rows as Table Storage tells of them: their values, and ranges page by page."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote
from uuid import UUID

import pytest
from azure.core.exceptions import DeserializationError

from mosaic_core.adapters.storage import Account, Transport
from mosaic_core.adapters.tables.reads import answered, literal
from mosaic_core.adapters.tables.stores import TableCommands, lists_of_command
from mosaic_core.adapters.tables.table_client import TableService
from mosaic_core.adapters.tables.writes import Requests
from mosaic_core.domain.errors import StoreUnreachableError
from mosaic_ops.memory.stores import MemoryBlobs

CONNECTION = "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=a2V5;TableEndpoint=https://a.table.example"


class Told:
    """An answer of the service."""

    def __init__(self, body: object, **headers: str) -> None:
        self.status_code = 200
        self.content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


def service(monkeypatch: pytest.MonkeyPatch, answers: Sequence[Told]) -> tuple[TableService, list[str]]:
    """Tables that answer so, one after the other, and the addresses that are asked."""
    left, asked = iter(answers), list[str]()

    async def send(_: Requests, method: str, address: str, headers: dict[str, str], **_more: Any) -> Told:
        assert (method, headers) == ("GET", {"Accept": "application/json;odata=minimalmetadata"})
        asked.append(address)
        return next(left)

    monkeypatch.setattr(Requests, "send", send)
    return TableService(Account("table", CONNECTION), Transport()), asked


def test_values_are_of_the_types_that_are_named_beside_them() -> None:
    found = answered(
        {
            "odata.metadata": "https://a.table.example/$metadata#T/@Element",
            "odata.etag": 'W/"1"',
            "PartitionKey": "p",
            "RowKey": "r",
            "Timestamp": "2026-01-31T08:00:00.1234567Z",
            "Text": "2026-01-31T08:00:00Z",
            "Number": 7,
            "Yes": True,
            "Share": 0.5,
            "Whole@odata.type": "Edm.Double",
            "Whole": "1",
            "Big@odata.type": "Edm.Int64",
            "Big": "9007199254740993",
            "At@odata.type": "Edm.DateTime",
            "At": "2026-01-31T08:00:00Z",
            "Bare": "2026-01-31T08:00:00.5",
            "Bare@odata.type": "Edm.DateTime",
            "Id@odata.type": "Edm.Guid",
            "Id": "c9da6455-213d-42c9-9a79-3e9149a57833",
            "Bytes@odata.type": "Edm.Binary",
            "Bytes": "AQI=",
            "Absent": None,
            "Later@odata.type": "Edm.OfALaterVersion",
            "Later": "x",
        }
    )
    at = datetime(2026, 1, 31, 8, tzinfo=UTC)
    assert found.row == {
        "PartitionKey": "p",
        "RowKey": "r",
        "Text": "2026-01-31T08:00:00Z",
        "Number": 7,
        "Yes": True,
        "Share": 0.5,
        "Whole": 1.0,
        "Big": 2**53 + 1,
        "At": at,
        "Bare": at.replace(microsecond=500_000),
        "Id": UUID("c9da6455-213d-42c9-9a79-3e9149a57833"),
        "Bytes": b"\x01\x02",
        "Absent": None,
        "Later": "x",
    }
    assert (found.etag, found.written_at) == ('W/"1"', at.replace(microsecond=123456))


@pytest.mark.parametrize(
    ("kind", "value"),
    [("Edm.DateTime", "soon"), ("Edm.DateTime", 5), ("Edm.Int64", "1.5"), ("Edm.Guid", "x"), ("Edm.Double", [])],
)
def test_a_value_that_is_not_of_its_type_is_no_answer(kind: str, value: object) -> None:
    with pytest.raises(DeserializationError):
        answered({"A@odata.type": kind, "A": value})


def test_a_text_stays_within_its_quotes() -> None:
    assert literal("x' or PartitionKey ne '") == "'x'' or PartitionKey ne '''"


async def test_a_range_goes_on_over_a_page_that_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    """The service may end a page where it likes; a key with what a URL means something by is quoted."""
    following = {"x_ms_continuation_NextPartitionKey": "1!a&b=", "x_ms_continuation_NextRowKey": "1!#"}
    tables, asked = service(
        monkeypatch,
        [
            Told({"value": [{"RowKey": "1", "odata.etag": "e1"}]}, **following),
            Told({"value": []}, **following),
            Told({"value": [{"RowKey": "2", "odata.etag": "e2"}]}),
        ],
    )
    found = [it async for it in tables.query_with_etags("T", "p&'", select=("RowKey",), page=1)]
    assert found == [({"RowKey": "1"}, "e1"), ({"RowKey": "2"}, "e2")]
    first = "()?$filter=PartitionKey%20eq%20%27p%26%27%27%27&$top=1&$select=RowKey"
    then = f"{first}&NextPartitionKey=1%21a%26b%3D&NextRowKey=1%21%23"
    assert asked == [first, then, then]


async def test_a_page_is_asked_for_when_its_first_row_is(monkeypatch: pytest.MonkeyPatch) -> None:
    tables, asked = service(
        monkeypatch, [Told({"value": [{"RowKey": "1"}]}, x_ms_continuation_NextPartitionKey="1!a"), Told(b"")]
    )
    rows = tables.query("T", "p", select=("RowKey",))
    assert await anext(rows) == {"RowKey": "1"}
    assert len(asked) == 1
    with pytest.raises(StoreUnreachableError):
        await anext(rows)


@pytest.mark.parametrize("body", [b"<html>", b"\xff", b"[]", {"value": {}}, {"value": [1]}, {}], ids=str)
async def test_an_answer_that_is_no_range_says_nothing(monkeypatch: pytest.MonkeyPatch, body: object) -> None:
    tables, _ = service(monkeypatch, [Told(body)])
    with pytest.raises(StoreUnreachableError):
        _ = [row async for row in tables.query("T", "p", select=("RowKey",))]


async def test_a_row_has_its_age_on_the_services_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    row = {"RowKey": "r", "Timestamp": "2026-01-31T08:00:00.5Z"}
    told = Told(row, Date="Sat, 31 Jan 2026 08:00:03 GMT", ETag='W/"7"')
    tables, asked = service(monkeypatch, [told, told])
    found = await tables.read("T", "p", "r", "A", "B")
    assert found is not None
    assert (found.row, found.etag) == ({"RowKey": "r"}, 'W/"7"')
    assert found.age_seconds == pytest.approx(2.499999)
    assert asked == ["(PartitionKey='p',RowKey='r')?$select=A,B,Timestamp"]
    assert await tables.read("T", "p", "r") == found
    assert asked[1:] == ["(PartitionKey='p',RowKey='r')"]


async def test_the_newest_of_a_queue_are_one_request_however_many_days_they_span(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Only where the list begins or ends within a day is that day a range of its own."""
    newest = datetime(2026, 1, 31, 8, tzinfo=UTC)
    listed = [
        {"RowKey": lists_of_command("", "q", f"{day}", newest - timedelta(days=day))[0][1], "CommandId": str(day)}
        for day in range(3)
    ]
    whole = [{"Queue": "q", "HouseholdId": "", **row} for row in listed]
    tables, asked = service(monkeypatch, [Told({"value": whole}), Told({"value": []}), Told({"value": whole[2:]})])
    commands = TableCommands(tables, MemoryBlobs())
    assert [one.command_id async for one in commands.listed(["q"], ahead=20)] == ["0", "1", "2"]
    assert len(asked) == 1
    place = str(listed[1]["RowKey"])
    assert [one.command_id async for one in commands.listed(["q"], after=place, ahead=20)] == ["2"]
    assert [("RowKey gt" in unquote(address), "PartitionKey ge" in unquote(address)) for address in asked[1:]] == [
        (True, False),
        (False, True),
    ]
