"""Storage that does not answer, refuses, or whose answer is lost: what the stores make of it."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from mosaic_core.adapters.blobs import AzureBlobs
from mosaic_core.adapters.storage import Transport, resolve
from mosaic_core.adapters.tables import open_table_stores
from mosaic_core.adapters.tables.stores import TableCommands, TableKeys, TableLedger, TableStages
from mosaic_core.adapters.tables.table_client import Observation, TableService
from mosaic_core.domain.errors import StoreRefusedError, StoreUnreachableError
from mosaic_ops.memory.stores import MemoryBlobs
from tests.support import records
from tests.support.azurite import Azurite, StorageConnection
from tests.support.records import NOW, new_id

type Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
KEY = "bm90IGEgc2VjcmV0"
JSON = "application/json;odata=minimalmetadata;streaming=true;charset=utf-8"


@dataclass
class FakeService:
    """A storage service that answers as it is told to."""

    handle: Handler | None = None
    requests: list[str] = field(default_factory=list)
    port: int = 0

    async def dispatch(self, request: web.Request) -> web.StreamResponse:
        assert self.handle is not None
        self.requests.append(request.method)
        return await self.handle(request)

    def connection(self) -> StorageConnection:
        host = f"http://127.0.0.1:{self.port}/fake"
        return StorageConnection(f"AccountName=fake;AccountKey={KEY};TableEndpoint={host};BlobEndpoint={host}")


@pytest.fixture
async def fake() -> AsyncIterator[FakeService]:
    service = FakeService()
    app = web.Application(client_max_size=2**24)
    app.router.add_route("*", "/{path:.*}", service.dispatch)
    runner = web.AppRunner(app, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    service.port = runner.addresses[0][1]
    yield service
    await runner.cleanup()


@pytest.fixture
async def transport() -> AsyncIterator[Transport]:
    transport = Transport()
    yield transport
    await transport.close()


@pytest.fixture
def tables(fake: FakeService, transport: Transport) -> TableService:
    account = resolve(fake.connection(), "table")
    return TableService(account, transport, backoff_seconds=0, operation_seconds=0.5)


def answer(
    status: int,
    code: str = "",
    body: bytes | None = None,
    content_type: str = JSON,
    headers: Mapping[str, str] | None = None,
) -> Handler:
    async def handle(_request: web.Request) -> web.StreamResponse:
        text = b'{"odata.error":{"code":"%b","message":{"value":"secret"}}}' % code.encode()
        told = {"Content-Type": content_type, **(headers or {})}
        return web.Response(status=status, body=text if body is None else body, headers=told)

    return handle


def blob_answer(status: int) -> Handler:
    async def handle(_request: web.Request) -> web.StreamResponse:
        body = '<?xml version="1.0" encoding="utf-8"?><Error><Code>Some</Code><Message>secret</Message></Error>'
        return web.Response(status=status, text=body, content_type="application/xml")

    return handle


async def reset(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def hang(_request: web.Request) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError("never")


async def stop_half_way(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b'{"Scope":')
    assert request.transport is not None
    request.transport.abort()
    return response


async def every_operation(tables: TableService) -> list[object]:
    """What each kind of request comes to, in order: read, insert, update, query, transaction."""
    stages = [replace(records.STAGE, order=n) for n in (1, 2)]
    outcomes = await asyncio.gather(
        TableKeys(tables).read("q", "c"),
        TableKeys(tables).insert(records.KEY),
        TableKeys(tables).update(records.KEY, 'W/"1"'),
        TableLedger(tables, lambda: NOW).between("h", NOW.date(), NOW.date()),
        TableStages(tables).insert_all(stages),
        return_exceptions=True,
    )
    return list(outcomes)


@pytest.mark.parametrize(
    ("handler", "said", "tries"),
    [
        pytest.param(answer(503, "ServerBusy"), "503 ServerBusy", 3, id="busy"),
        pytest.param(answer(500, "InternalError"), "500", 3, id="internal"),
        pytest.param(answer(500, "OperationTimedOut"), "500 OperationTimedOut", 3, id="timed out inside"),
        pytest.param(answer(429, "TooManyRequests"), "429", 3, id="throttled"),
        pytest.param(answer(408), "408", 3, id="slow request"),
        pytest.param(answer(502, body=b"<html>gateway</html>", content_type="text/html"), "502", 3, id="gateway"),
        pytest.param(answer(502, body=b"\xff", content_type="text/html"), "", 3, id="no text"),
        pytest.param(reset, "no answer", None, id="reset"),  # aiohttp repeats what is idempotent once itself
        pytest.param(answer(403, "AuthorizationPermissionMismatch"), "Storage Table Data Contributor", 1, id="no role"),
        pytest.param(answer(401, "AuthenticationFailed"), "Storage Table Data Contributor", 1, id="no identity"),
        pytest.param(answer(404, "TableNotFound"), "Stores__CreateTables", 1, id="no table"),
        pytest.param(answer(501, "NotImplemented"), "501", 1, id="not there"),
    ],
)
async def test_no_usable_answer_is_unreachable(
    fake: FakeService, tables: TableService, handler: Handler, said: str, tries: int | None
) -> None:
    fake.handle = handler
    outcomes = await every_operation(tables)
    assert [type(outcome) for outcome in outcomes] == [StoreUnreachableError] * 5
    assert all(said in str(outcome) and "secret" not in str(outcome) for outcome in outcomes)
    assert len(fake.requests) == 5 * tries if tries else len(fake.requests) >= 15


async def test_an_answer_that_never_comes_is_unreachable_in_bounded_time(
    fake: FakeService, tables: TableService
) -> None:
    fake.handle = hang
    async with asyncio.timeout(5):
        outcomes = await every_operation(tables)
    assert [type(outcome) for outcome in outcomes] == [StoreUnreachableError] * 5


@pytest.mark.parametrize(
    "handler", [stop_half_way, answer(200, body=b"{"), answer(200, body=b"<html>", content_type="text/html")]
)
async def test_an_answer_that_cannot_be_read_is_unreachable(
    fake: FakeService, tables: TableService, handler: Handler
) -> None:
    fake.handle = handler
    with pytest.raises(StoreUnreachableError):
        await TableKeys(tables).read("q", "c")


async def test_nobody_listens(transport: Transport) -> None:
    server = await asyncio.start_server(lambda _r, _w: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    account = resolve(FakeService(port=port).connection(), "table")
    with pytest.raises(StoreUnreachableError, match="no answer"):
        await TableKeys(TableService(account, transport, retries=1)).insert(records.KEY)


async def test_a_passing_fault_is_tried_again(fake: FakeService, tables: TableService) -> None:
    async def handle(request: web.Request) -> web.StreamResponse:
        if len(fake.requests) < 3:
            return await answer(503)(request)
        return web.Response(status=204, headers={"ETag": 'W/"7"'})

    fake.handle = handle
    assert await TableKeys(tables).insert(records.KEY) == 'W/"7"'


async def test_a_condition_s_text_is_a_parameter_whatever_it_holds(fake: FakeService, tables: TableService) -> None:
    asked: list[str] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        asked.append(request.query["$filter"])
        return web.Response(body=b'{"value":[]}', headers={"Content-Type": JSON})

    fake.handle = handle
    text = "x' or PartitionKey ne 'h"
    assert [row async for row in tables.query("Any", "h", [("Name", "eq", text)], select=["Name"])] == []
    assert asked == ["PartitionKey eq 'h' and Name eq 'x'' or PartitionKey ne ''h'"]
    assert await tables.page("Any", [("Name", "eq", text)], select=["Name"], size=1, token="") == ([], "")
    assert asked[1:] == ["Name eq 'x'' or PartitionKey ne ''h'"]


@pytest.mark.parametrize("status", [400, 405, 413, 302])
async def test_a_request_that_is_refused_is_a_bug_and_is_not_repeated(
    fake: FakeService, tables: TableService, status: int
) -> None:
    fake.handle = answer(status, "InvalidInput")
    outcomes = await every_operation(tables)
    assert [type(outcome) for outcome in outcomes] == [StoreRefusedError] * 5
    assert all("InvalidInput" in str(outcome) and "secret" not in str(outcome) for outcome in outcomes)
    assert len(fake.requests) == 5


async def test_a_redirect_is_not_followed(fake: FakeService, tables: TableService) -> None:
    """Whoever it names would get the signature."""

    async def handle(request: web.Request) -> web.StreamResponse:
        return web.Response(status=307, headers={"Location": f"http://127.0.0.1:{fake.port}/elsewhere"})

    fake.handle = handle
    with pytest.raises(StoreRefusedError):
        await TableKeys(tables).read("q", "c")
    assert len(fake.requests) == 1


async def test_a_conflict_of_another_kind_is_no_lost_race(fake: FakeService, tables: TableService) -> None:
    fake.handle = answer(409, "TableBeingDeleted")
    with pytest.raises(StoreUnreachableError, match="TableBeingDeleted"):
        await TableKeys(tables).insert(records.KEY)


@pytest.mark.parametrize(
    "part",
    [
        pytest.param("", id="no parts"),
        pytest.param("HTTP/1.1 503 Busy", id="busy"),
        pytest.param("HTTP/1.1 429 Slow down", id="throttled"),
        pytest.param("HTTP/1.1 204 No Content", id="one part of two"),
    ],
)
async def test_a_transaction_that_nobody_confirmed_is_unreachable(
    fake: FakeService, tables: TableService, part: str
) -> None:
    body = f"--c\r\nContent-Type: application/http\r\n\r\n{part}\r\n\r\n--c--".encode()
    fake.handle = answer(202, body=body, content_type="multipart/mixed; boundary=c")
    with pytest.raises(StoreUnreachableError):
        await TableStages(tables).insert_all([replace(records.STAGE, order=n) for n in (1, 2)])


async def test_an_update_of_a_row_that_is_gone_is_a_lost_race(fake: FakeService, tables: TableService) -> None:
    for status, code in ((404, "ResourceNotFound"), (412, "UpdateConditionNotSatisfied")):
        fake.handle = answer(status, code)
        assert await TableKeys(tables).update(records.KEY, 'W/"1"') is None


@pytest.mark.parametrize(
    "handler",
    [
        pytest.param(answer(404, "TableNotFound"), id="JSON"),
        pytest.param(
            answer(
                404,
                body=b'<?xml version="1.0"?><m:error xmlns:m="x"><m:code>TableNotFound</m:code></m:error>',
                content_type="application/xml",
            ),
            id="XML",
        ),
        pytest.param(answer(404, body=b"", headers={"x-ms-error-code": "TableNotFound"}), id="header"),
    ],
)
async def test_a_table_that_is_missing_is_no_row_that_is_gone(
    fake: FakeService, tables: TableService, handler: Handler
) -> None:
    fake.handle = handler
    for work in (TableKeys(tables).update(records.KEY, 'W/"1"'), TableKeys(tables).insert(records.KEY)):
        with pytest.raises(StoreUnreachableError, match="TableNotFound"):
            await work


async def test_a_wait_that_the_service_asks_for_is_kept_within_the_operations_time(
    fake: FakeService, tables: TableService
) -> None:
    fake.handle = answer(429, "TooManyRequests", headers={"Retry-After": "30"})
    outcomes = await every_operation(tables)
    assert [type(outcome) for outcome in outcomes] == [StoreUnreachableError] * 5
    assert len(fake.requests) == 5


@pytest.mark.parametrize(
    ("date", "timestamp", "age"),
    [
        ("Tue, 24 Nov 2026 08:30:15 GMT", "2026-11-24T08:30:15.0000000Z", 0.0),
        ("Tue, 24 Nov 2026 08:30:15 GMT", "2026-11-24T08:30:15.9999999Z", 0.0),
        ("Tue, 24 Nov 2026 08:30:16 GMT", "2026-11-24T08:30:15.9999999Z", 0.0),
        ("Tue, 24 Nov 2026 08:30:45 GMT", "2026-11-24T08:30:15.0000000Z", 29.999999),
        ("Tue, 24 Nov 2026 08:30:45 GMT", "2026-11-24T08:30:14.9999999Z", 30.0),
    ],
)
async def test_the_age_of_a_key_is_the_least_that_it_can_be(
    fake: FakeService, tables: TableService, date: str, timestamp: str, age: float
) -> None:
    row = {"Scope": "q", "KeyValue": "c", "RequestHash": "", "Status": "Reserved", "RunId": "", "CorrelationId": ""}
    row |= {"OwnerToken": "", "CreatedAtUtc": timestamp, "ExpiresAtUtc": timestamp, "Timestamp": timestamp}
    numbers = {"Attempt": 1, "Excused": 0, "LeaseSeconds": 30, "SequenceNumber": "1"}

    async def handle(_request: web.Request) -> web.StreamResponse:
        return web.json_response({**row, **numbers}, headers={"Date": date, "ETag": "e"})

    fake.handle = handle
    stored = await TableKeys(tables).read("q", "c")
    assert stored is not None
    assert stored.age_seconds == pytest.approx(age, abs=1e-9)
    assert stored.age_seconds <= age


# --------------------------------------------------------------------------------------------------------------- blobs


@pytest.mark.parametrize(
    ("handler", "error", "said"),
    [
        pytest.param(blob_answer(503), StoreUnreachableError, "503", id="busy"),
        pytest.param(reset, StoreUnreachableError, "no answer", id="reset"),
        pytest.param(hang, StoreUnreachableError, "no answer", id="hang"),
        pytest.param(blob_answer(403), StoreUnreachableError, "Storage Blob Data Contributor", id="no role"),
        pytest.param(blob_answer(400), StoreRefusedError, "400", id="refused"),
    ],
)
async def test_blobs_that_do_not_answer(
    fake: FakeService, transport: Transport, handler: Handler, error: type[Exception], said: str
) -> None:
    fake.handle = handler
    blobs = AzureBlobs(resolve(fake.connection(), "blob"), transport, retries=0, operation_seconds=0.5)
    for outcome in await asyncio.gather(blobs.put("n", b"x"), blobs.get("n"), return_exceptions=True):
        assert type(outcome) is error
        assert said in str(outcome)
        assert "secret" not in str(outcome)


async def test_a_large_envelope_whose_blob_fails_leaves_no_row(fake: FakeService, azurite: Azurite) -> None:
    fake.handle = blob_answer(400)
    opened = open_table_stores(azurite.tables, fake.connection())
    command = replace(records.COMMAND, command_id=new_id(), envelope="x" * 100_000)
    with pytest.raises(StoreRefusedError):
        await opened.stores.commands.insert(command)
    assert await opened.stores.commands.read(command.command_id) is None
    await opened.close()


# --------------------------------------------------------------------------------------------------------- lost answers


@pytest.fixture
async def lossy(fake: FakeService, azurite: Azurite) -> AsyncIterator[tuple[FakeService, set[int]]]:
    """A proxy before Azurite: requests whose number (from 1) is in the set are carried out, and never answered."""
    lost: set[int] = set()
    async with aiohttp.ClientSession(auto_decompress=False) as session:

        async def forward(request: web.Request) -> web.StreamResponse:
            number = len(fake.requests)
            target = f"http://127.0.0.1:{azurite.table_port}{request.raw_path}"
            headers = {name: value for name, value in request.headers.items() if name != "Host"}
            async with session.request(
                request.method,
                URL(target, encoded=True),
                headers=headers,
                data=await request.read() or None,
                skip_auto_headers=["Content-Type"],
            ) as upstream:
                body = await upstream.read()
            if number in lost:
                return await reset(request)
            kept = {
                name: upstream.headers[name] for name in ("ETag", "Date", "Content-Type") if name in upstream.headers
            }
            return web.Response(status=upstream.status, body=body or None, headers=kept)

        fake.handle = forward
        yield fake, lost


@pytest.fixture
def through(lossy: tuple[FakeService, set[int]], azurite: Azurite, transport: Transport) -> TableService:
    fake, _ = lossy
    account = resolve(azurite.tables_behind(fake.port), "table")
    return TableService(account, transport, backoff_seconds=0)


async def test_an_insert_whose_answer_is_lost_has_landed_and_says_look_again(
    lossy: tuple[FakeService, set[int]], through: TableService
) -> None:
    lossy[1].add(1)
    key = replace(records.KEY, command_id=new_id())
    assert await TableKeys(through).insert(key) is None
    stored = await TableKeys(through).read(key.queue, key.command_id)
    assert stored is not None
    assert stored.value == key


async def test_an_update_whose_answer_is_lost_has_landed_and_says_look_again(
    lossy: tuple[FakeService, set[int]], through: TableService
) -> None:
    keys, key = TableKeys(through), replace(records.KEY, command_id=new_id())
    etag = await keys.insert(key)
    assert etag is not None
    lossy[1].add(2)
    assert await keys.update(replace(key, attempt=8), etag) is None
    stored = await keys.read(key.queue, key.command_id)
    assert stored is not None
    assert stored.value.attempt == 8


async def test_a_write_none_of_whose_answers_comes_may_have_landed(
    lossy: tuple[FakeService, set[int]], through: TableService
) -> None:
    lossy[1].update({1, 2, 3})
    command = replace(records.COMMAND, command_id=new_id())
    commands = TableCommands(through, MemoryBlobs())
    with pytest.raises(StoreUnreachableError):
        await commands.insert(command)
    assert await commands.read(command.command_id) == command


async def test_a_transaction_whose_answer_is_lost_is_not_doubled(
    lossy: tuple[FakeService, set[int]], through: TableService
) -> None:
    lossy[1].add(1)
    household, ledger = new_id(), TableLedger(through, lambda: NOW)
    batch = [replace(records.TRANSACTION, transaction_id=str(n)) for n in range(120)]
    write = await ledger.insert_all(household, batch, run_id="r", batch_id="b")
    assert len(write.present) == 100
    assert len(write.inserted) == 20
    assert len(await ledger.between(household, NOW.date().min, NOW.date())) == 120


# ------------------------------------------------------------------------------------------------------------ observing


async def test_every_request_is_observed(azurite: Azurite) -> None:
    seen: list[Observation] = []
    opened = open_table_stores(azurite.tables, azurite.blobs, observer=seen.append)
    run = replace(records.RUN, run_id=new_id())
    etag = await opened.stores.runs.insert(run)
    assert etag is not None
    await opened.stores.runs.insert(run)
    await opened.stores.runs.read(run.run_id)
    await opened.stores.runs.update(run, etag)
    await opened.stores.stages.insert_all([replace(records.STAGE, run_id=run.run_id, order=n) for n in (1, 2)])
    await opened.stores.stages.of_run(run.run_id)
    await opened.close()
    assert [(o.kind, o.table, o.status) for o in seen] == [
        ("insert", "AgentRuns", 204),
        ("insert", "AgentRuns", 409),
        ("read", "AgentRuns", 200),
        ("update", "AgentRuns", 204),
        ("transaction", "AgentRunStages", 202),
        ("query", "AgentRunStages", 200),
    ]
    assert all(before.ended_ns <= after.started_ns for before, after in itertools.pairwise(seen))
    assert all(o.started_ns < o.ended_ns for o in seen)


async def test_requests_without_an_answer_are_observed(fake: FakeService, transport: Transport) -> None:
    fake.handle = reset
    seen: list[Observation] = []
    account = resolve(fake.connection(), "table")
    with suppress(StoreUnreachableError):
        await TableKeys(TableService(account, transport, observer=seen.append, retries=1)).read("q", "c")
    assert [(o.kind, o.status) for o in seen] == [("read", 0)] * 2
