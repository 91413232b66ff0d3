"""The table requests that are sent are those of Microsoft's own client: azure-data-tables is the oracle.

Both send the same operation through a transport that only records. Azurite forgives much that Azure does not, so what
counts (method, address, signature, headers that mean something, body) is compared with the generated client's.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

import pytest
from azure.core import MatchConditions
from azure.core.exceptions import AzureError, ServiceRequestError
from azure.core.pipeline.transport import AsyncHttpTransport
from azure.core.rest import HttpRequest
from azure.data.tables import EdmType, UpdateMode
from azure.data.tables.aio import TableClient
from yarl import URL

from mosaic_core.adapters.rows import Row
from mosaic_core.adapters.storage import resolve
from mosaic_core.adapters.tables.client import TableService
from mosaic_core.domain.errors import MosaicError
from tests.support.azurite import StorageConnection

CONNECTION = "AccountName=acc;AccountKey=bm90IGEgc2VjcmV0;TableEndpoint=http://127.0.0.1:10002/acc"
AT = datetime(2026, 11, 24, 8, 30, 15, 123456, tzinfo=UTC)
ROW: Row = {"Text": "ü'\x00", "Yes": True, "Count": -3, "SequenceNumber": 5, "Big": 2**40, "Share": 1.0, "AtUtc": AT}
SDK_ROW = {**ROW, "SequenceNumber": (5, EdmType.INT64), "Big": (2**40, EdmType.INT64)}
MEANINGFUL = ("accept", "content-type", "if-match", "x-ms-version", "dataserviceversion", "prefer", "authorization")


class Recorder(AsyncHttpTransport[HttpRequest, Any]):
    """Keeps what would be sent, and is not reachable."""

    def __init__(self) -> None:
        self.sent: list[HttpRequest] = []

    async def send(self, request: HttpRequest, **_kwargs: Any) -> Any:
        if request.method == "POST" and request.url.endswith("$batch") and not isinstance(request.content, bytes):
            request.prepare_multipart_body()  # as azure-core's transports do
        self.sent.append(request)
        raise ServiceRequestError("recorded")

    async def open(self) -> None: ...
    async def close(self) -> None: ...
    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None: ...


def as_sent(request: HttpRequest) -> dict[str, Any]:
    """What of a request means something to the service, in one form."""
    url = urlsplit(str(URL(request.url)))  # aiohttp sends it in this form
    headers = {name.lower(): value for name, value in request.headers.items() if name.lower() in MEANINGFUL}
    headers["dataserviceversion"] = headers.get("dataserviceversion", "3.0").rstrip(";")
    headers.pop("prefer", None)  # ours asks for no echo, the generated client does not
    for name in ("accept", "content-type"):
        if name in headers:  # how much metadata an answer without a body would have had
            headers[name] = headers[name].partition(";")[0]
    return {
        "method": request.method,
        "path": url.path,
        "query": sorted((n, v) for n, v in parse_qsl(url.query) if n not in {"$format", "$top"}),
        "headers": headers,
        "body": entity(request.content) if request.content else None,
    }


def entity(body: Any) -> dict[str, Any]:
    """Without the type of a text, which is the default."""
    return {name: value for name, value in json.loads(body).items() if value != EdmType.STRING.value}


@pytest.fixture
def ours() -> tuple[Recorder, TableService]:
    recorder = Recorder()
    account = resolve(StorageConnection(CONNECTION), "table")
    return recorder, TableService(account, recorder, retry_waits=())  # type: ignore[arg-type]


@pytest.fixture
def sdk() -> tuple[Recorder, TableClient]:
    recorder = Recorder()
    client = TableClient.from_connection_string(CONNECTION, "AgentRuns", transport=recorder, retry_total=0)
    return recorder, client


@pytest.fixture(autouse=True)
def frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Signatures hold the time."""
    monkeypatch.setattr("time.time", lambda: AT.timestamp())


async def recorded(recorder: Recorder, work: Any) -> HttpRequest:
    with suppress(AzureError, MosaicError):
        await work
    (request,) = recorder.sent
    return request


async def test_insert(ours: tuple[Recorder, TableService], sdk: tuple[Recorder, TableClient]) -> None:
    mine = await recorded(ours[0], ours[1].insert("AgentRuns", "p!q", "r~2F", ROW))
    theirs = await recorded(sdk[0], sdk[1].create_entity({"PartitionKey": "p!q", "RowKey": "r~2F", **SDK_ROW}))
    one, other = as_sent(mine), as_sent(theirs)
    assert mine.headers["Prefer"] == "return-no-content"
    # it signs another content type there; signatures are compared below
    assert one["headers"].pop("authorization") != other["headers"].pop("authorization")
    assert one == other


async def test_update(ours: tuple[Recorder, TableService], sdk: tuple[Recorder, TableClient]) -> None:
    etag = "W/\"datetime'2026-11-24T08%3A30%3A15.1234567Z'\""
    mine = await recorded(ours[0], ours[1].update("AgentRuns", "p!q:", "r~2F-_.", ROW, etag))
    stored = {"PartitionKey": "p!q:", "RowKey": "r~2F-_.", **SDK_ROW}
    theirs = await recorded(
        sdk[0],
        sdk[1].update_entity(stored, UpdateMode.REPLACE, etag=etag, match_condition=MatchConditions.IfNotModified),
    )
    one, other = as_sent(mine), as_sent(theirs)
    assert one["headers"]["authorization"].startswith("SharedKey acc:")
    assert one["headers"]["if-match"] == etag
    assert one == other


async def test_read(ours: tuple[Recorder, TableService], sdk: tuple[Recorder, TableClient]) -> None:
    mine = await recorded(ours[0], ours[1].read("AgentRuns", "p!q:", "r~2F", "Status", "Attempt"))
    theirs = await recorded(sdk[0], sdk[1].get_entity("p!q:", "r~2F", select=["Status", "Attempt"]))
    assert as_sent(mine) == as_sent(theirs)


async def test_query(ours: tuple[Recorder, TableService], sdk: tuple[Recorder, TableClient]) -> None:
    text = "x' or PartitionKey ne '&$top=1 #+%"
    found = ours[1].query("AgentRuns", "p!q", [("PostedOn", "ge", text)], select=("A", "B"))
    mine = await recorded(ours[0], anext(found))
    query = sdk[1].query_entities(
        "PartitionKey eq @p and PostedOn ge @t", parameters={"p": "p!q", "t": text}, select=["A", "B"]
    )
    theirs = await recorded(sdk[0], anext(query))
    one, other = as_sent(mine), as_sent(theirs)
    assert ("$select", "A,B") in one["query"]
    assert one == other


async def test_transaction(ours: tuple[Recorder, TableService], sdk: tuple[Recorder, TableClient]) -> None:
    mine = await recorded(ours[0], ours[1].insert_all("AgentRuns", "p!q", {"a": ROW, "b": ROW}))
    operations = [("create", {"PartitionKey": "p!q", "RowKey": key, **SDK_ROW}) for key in "ab"]
    theirs = await recorded(sdk[0], sdk[1].submit_transaction(operations))
    assert (mine.method, mine.url) == (theirs.method, theirs.url)
    one, other = parts_of(mine), parts_of(theirs)
    assert len(one) == 2
    assert one == other


def parts_of(request: HttpRequest) -> list[dict[str, Any]]:
    """The requests within a transaction, found by the boundaries that its headers declare."""
    content = request.content
    assert isinstance(content, bytes)
    assert int(request.headers.get("Content-Length", len(content))) == len(content)
    outer = boundary(request.headers["Content-Type"].encode())
    (changes,) = pieces(content, outer)
    head, _, rest = changes.partition(b"\r\n\r\n")
    found = []
    for piece in pieces(rest, boundary(head)):
        part_head, line, body = piece.split(b"\r\n\r\n", 2)
        first, *headers = line.decode().split("\r\n")
        values = {n.strip().lower(): v.strip() for n, _, v in (header.partition(":") for header in headers)}
        assert b"application/http" in part_head
        assert int(values["content-length"]) == len(body.strip()) if "content-length" in values else True
        found.append(
            {
                "first": first,
                "body": entity(body),
                **{name: values[name].rstrip(";") for name in ("accept", "content-type", "dataserviceversion")},
            }
        )
    return found


def boundary(head: bytes) -> bytes:
    found = re.search(rb"boundary=(\S+)", head)
    assert found
    return found[1]


def pieces(content: bytes, mark: bytes) -> list[bytes]:
    first, *rest, last = content.split(b"--" + mark)
    assert (first.strip(), last.strip()) == (b"", b"--")
    return [piece.strip(b"\r\n") for piece in rest]
