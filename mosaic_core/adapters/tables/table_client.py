"""Table Storage's operations that the stores need: what their answers mean to a worker. `RowReads` reads rows
and `RowWrites` writes single ones; Microsoft's client asks for the rest."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from typing import Any, Final

from azure.core import MatchConditions
from azure.core.exceptions import AzureError, ClientAuthenticationError, DeserializationError, HttpResponseError
from azure.core.pipeline import PipelineRequest, PipelineResponse
from azure.core.pipeline.policies import AsyncHTTPPolicy
from azure.core.rest import AsyncHttpResponse, HttpRequest
from azure.data.tables import EdmType, EntityProperty, TableEntity, TransactionOperation
from azure.data.tables.aio import TableClient

from mosaic_core.adapters.record_rows import Row, is_int64
from mosaic_core.adapters.storage import Account, Transport, silence
from mosaic_core.adapters.tables.reads import Answer, Place, RowReads, literal
from mosaic_core.adapters.tables.writes import Requests, RowWrites
from mosaic_core.domain.errors import StoreRefusedError, StoreUnreachableError
from mosaic_core.ports import ETag

RETRIES: Final = 2
"""Tries after the first: at once, then after `BACKOFF_SECONDS`; after that the delivery protocol decides."""

BACKOFF_SECONDS: Final = 0.6
OPERATION_SECONDS: Final = 10.0
"""What one operation may take in all, tries and waits included: a third of a lease."""

MAX_TRANSACTION: Final = 100
_AGAIN: Final = frozenset({408, 429})
_PASSING: Final = frozenset({"TableBeingDeleted", "AccountBeingCreated", "OperationTimedOut"})
_NO_ANSWER: Final = (AzureError, DeserializationError, OSError, HTTPException, UnicodeDecodeError)
"""What the SDK raises, and what it lets through where an answer is damaged or not the service's."""

_CODE: Final = re.compile(rb'(?:"code"\s*:\s*"|<(?:\w+:)?code>)(\w+)', re.IGNORECASE)
"""The first error of an answer, in JSON or (of whoever stands before the service) in XML."""

_NO_ECHO: Final = {"Prefer": "return-no-content"}
_CALL: Final[dict[str, Any]] = {"tracing_options": {"enabled": False}}
"""The observer tells of each request already."""

_POST: Final[dict[str, Any]] = {**_CALL, "retry_on_methods": frozenset({"POST"})}
"""What inserts is repeated as well: where its first try landed the second finds its row."""


_NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Entity:
    """A row as it was read. ``age_seconds`` is on the service's clock and never more than it is; so is
    ``written_at``."""

    row: dict[str, Any]
    etag: ETag
    age_seconds: float
    written_at: datetime = _NEVER

    @property
    def read_at(self) -> datetime:
        return self.written_at + timedelta(seconds=self.age_seconds)


@dataclass(frozen=True, slots=True)
class Observation:
    """One request as it was sent: ``kind`` is insert, update, delete, read, query, transaction or create; times are
    nanoseconds since the epoch; ``status`` is 0 where no answer came."""

    kind: str
    table: str
    started_ns: int
    ended_ns: int
    status: int


type Observer = Callable[[Observation], None]


class TableService:
    """The tables of one storage account. Keys must be encoded already.

    Every operation raises StoreUnreachableError where it had no usable answer, after `RETRIES`, and StoreRefusedError
    where the service refused the request itself. A write whose answer got lost may be tried again and then finds its
    own row: it reports a lost race, which tells the caller to look.
    """

    def __init__(
        self,
        account: Account,
        transport: Transport,
        *,
        observer: Observer | None = None,
        retries: int = RETRIES,
        backoff_seconds: float = BACKOFF_SECONDS,
        operation_seconds: float = OPERATION_SECONDS,
    ) -> None:
        """Raises ConfigurationError where the account's connection cannot be used."""
        self._account = account
        self._transport = transport
        self._observer = observer
        self._retries: dict[str, Any] = {
            "retry_total": retries,
            "retry_backoff_factor": backoff_seconds / 2,  # the SDK doubles it before the second wait
        }
        self._seconds = operation_seconds
        self._clients: dict[str, TableClient] = {}
        self._requests: dict[str, Requests] = {}
        self._requests_of("Tables")  # the first client shows whether the connection can be used

    async def insert(self, table: str, partition: str, row_key: str, row: Row) -> ETag | None:
        """None: the row is there."""
        return await self._answer("insert", table, self._writes_to(table).insert(partition, row_key, row), _is_there)

    async def update(self, table: str, partition: str, row_key: str, row: Row, etag: ETag) -> ETag | None:
        """Replace the row. None: it is gone, or it was written since ``etag``."""
        if not etag or etag == "*":
            raise ValueError("an update needs the ETag that was read")
        work = self._writes_to(table).update(partition, row_key, row, etag)
        return await self._answer("update", table, work, _is_another)

    async def delete(self, table: str, partition: str, row_key: str, etag: ETag) -> bool:
        """Remove the row; one that is gone is as good as removed. False: it was written since ``etag``."""
        if not etag or etag == "*":
            raise ValueError("a delete needs the ETag that was read")
        work = self._table(table).delete_entity(
            partition, row_key, etag=etag, match_condition=MatchConditions.IfNotModified, **_CALL
        )
        written_since = False

        def is_another(status: int, _code: str) -> bool:
            nonlocal written_since
            written_since = status == 412
            return written_since

        await self._answer("delete", table, work, is_another)
        return not written_since

    async def read(self, table: str, partition: str, row_key: str, *select: str) -> Entity | None:
        # with the time, which the age is counted from
        columns = (*select, "Timestamp") if select else ()
        found = await self._answer("read", table, self._reads_of(table).one(partition, row_key, columns), _is_gone)
        if found is None:
            return None
        answer, date = found
        return Entity(answer.row, answer.etag, _age(date, answer.written_at), answer.written_at or _NEVER)

    async def query(
        self,
        table: str,
        partition: str,
        conditions: Iterable[tuple[str, str, str]] = (),
        *,
        select: Sequence[str],
        page: int = 1000,
    ) -> AsyncIterator[dict[str, Any]]:
        """Rows of one partition by row key, page by page as they are asked for.

        ``conditions`` are (property, operator, text), all of which hold; the text is a parameter, whatever it holds.
        """
        async for row, _ in self.query_with_etags(table, partition, conditions, select=select, page=page):
            yield row

    async def query_with_etags(
        self,
        table: str,
        partition: str,
        conditions: Iterable[tuple[str, str, str]] = (),
        *,
        select: Sequence[str],
        page: int = 1000,
    ) -> AsyncIterator[tuple[dict[str, Any], ETag]]:
        """As `query`, each row with the ETag to update or remove it by."""
        terms = [("PartitionKey", "eq", partition), *conditions]
        async for answer in self._range(table, terms, select=select, page=page):
            yield answer.row, answer.etag

    async def query_partitions(
        self,
        table: str,
        first: str,
        end: str,
        conditions: Iterable[tuple[str, str, str]] = (),
        *,
        select: Sequence[str],
        page: int = 1000,
    ) -> AsyncIterator[dict[str, Any]]:
        """As `query`, of all partitions from ``first`` to before ``end``, one after the other."""
        terms = [("PartitionKey", "ge", first), ("PartitionKey", "lt", end), *conditions]
        async for answer in self._range(table, terms, select=select, page=page):
            yield answer.row

    async def _range(
        self, table: str, terms: Iterable[tuple[str, str, str]], *, select: Sequence[str], page: int
    ) -> AsyncIterator[Answer]:
        filtered = " and ".join(f"{name} {operator} {literal(text)}" for name, operator, text in terms)
        after: Place | None = None
        while True:
            work = self._reads_of(table).page(filtered, select=select, size=page, after=after)
            found = await self._answer("query", table, work)
            assert found is not None, "no answer is a refusal here"
            answers, after = found
            for answer in answers:
                yield answer
            if after is None:
                return

    async def page(
        self,
        table: str,
        conditions: Iterable[tuple[str, str, str | datetime]],
        *,
        select: Sequence[str] | None,
        size: int,
        token: str,
    ) -> tuple[list[tuple[dict[str, Any], ETag]], str]:
        """At most ``size`` rows of the whole table, by their keys, of those for which all conditions hold, and the
        token of the next page (empty: there is none). One request, whatever it finds: for walks whose every step is
        bounded, and no question's answer."""
        terms = list(conditions)
        pages = (
            self._table(table)
            .query_entities(
                _where(terms),
                parameters={str(place): value for place, (_, _, value) in enumerate(terms)},
                select=list(select) if select is not None else None,
                results_per_page=size,
                **_CALL,
            )
            .by_page(continuation_token=json.loads(token) if token else None)
        )
        entities = await self._answer("query", table, anext(pages, None))
        if entities is None:
            return [], ""
        found = [(_row(entity), entity.metadata["etag"] or "") async for entity in entities]
        following: Any = getattr(pages, "continuation_token", None)
        return found, json.dumps(following) if following else ""

    async def partitions(self, table: str, prefix: str, *, after: str = "") -> AsyncIterator[str]:
        """Keys of the partitions that begin with ``prefix``, those beyond ``after``, ascending, as they are asked for:
        a request of one row for each, however many rows a partition has, and one more at the end."""
        beyond = max(prefix, after)
        async for partition in self.partitions_after(table, beyond, prefix[:-1] + chr(ord(prefix[-1]) + 1)):
            yield partition

    async def partitions_after(self, table: str, after: str, end: str = "") -> AsyncIterator[str]:
        """Keys of the partitions beyond ``after`` and, where it is given, before ``end``, as `partitions` has them."""
        beyond = "PartitionKey gt @after"
        while True:
            pages = (
                self._table(table)
                .query_entities(
                    f"{beyond} and PartitionKey lt @end" if end else beyond,
                    parameters={"after": after, "end": end} if end else {"after": after},
                    select=["PartitionKey"],
                    results_per_page=1,
                    **_CALL,
                )
                .by_page()
            )
            found = after
            # a page may be empty and have a successor, where the service changes between its servers
            while found == after and (entities := await self._answer("query", table, anext(pages, None))) is not None:
                async for entity in entities:
                    found = str(entity["PartitionKey"])
            if found == after:
                return
            yield (after := found)

    async def insert_all(self, table: str, partition: str, rows: Mapping[str, Row]) -> bool:
        """All rows, by row key, of one partition in one transaction, at most `MAX_TRANSACTION`.
        False: one of them is there, and nothing was written."""
        if len(rows) == 1:
            ((row_key, row),) = rows.items()
            return await self.insert(table, partition, row_key, row) is not None
        if len(rows) > MAX_TRANSACTION:
            raise ValueError(f"a transaction holds at most {MAX_TRANSACTION} rows")
        if not rows:
            return True
        inserts = [
            (TransactionOperation.CREATE, _entity(partition, row_key, row), {"headers": _NO_ECHO})
            for row_key, row in rows.items()
        ]
        work = self._table(table).submit_transaction(inserts, **_POST)
        written = await self._answer("transaction", table, work, _is_there)
        if written is not None and len(written) != len(rows):
            raise StoreUnreachableError(f"transaction in {table}: the answer is not about every row")
        return written is not None

    async def create(self, table: str) -> None:
        """Create the table; one that is there stays as it is."""
        await self._answer("create", table, self._table(table).create_table(**_POST), _is_table)

    def _table(self, name: str) -> TableClient:
        if name not in self._clients:
            self._clients[name] = self._account.client(
                TableClient, name, self._transport, per_retry_policies=self._observed(name), **self._retries
            )
        return self._clients[name]

    def _writes_to(self, name: str) -> RowWrites:
        return RowWrites(self._requests_of(name))

    def _reads_of(self, name: str) -> RowReads:
        return RowReads(self._requests_of(name))

    def _requests_of(self, name: str) -> Requests:
        """One pipeline a table, for its reads and its writes."""
        if name not in self._requests:
            client, observed = self._table(name), self._observed(name)
            self._requests[name] = Requests(client, self._transport, observed, **self._retries)
        return self._requests[name]

    def _observed(self, name: str) -> list[_Observed]:
        return [_Observed(name, self._observer)] if self._observer else []

    async def _answer[T](
        self,
        kind: str,
        table: str,
        work: Awaitable[T],
        is_no: Callable[[int, str], bool] = lambda _status, _code: False,
    ) -> T | None:
        """What the work comes to; None where ``is_no`` of its answer's status and code."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._seconds):
                try:
                    return await work
                except _NO_ANSWER as error:
                    status, code = _status(error), _code(error)
                    if status and is_no(status, code):
                        return None
                    raise _mapped(kind, table, status, code, error) from error
        raise StoreUnreachableError(f"{kind} in {table}: no answer", reason="no_answer")


# ------------------------------------------------------------------------------------------------------------- answers


def _is_there(_status: int, code: str) -> bool:
    return code == "EntityAlreadyExists"


def _is_table(_status: int, code: str) -> bool:
    return code == "TableAlreadyExists"


def _is_gone(status: int, code: str) -> bool:
    return status == 404 and code != "TableNotFound"


def _is_another(status: int, code: str) -> bool:
    return status == 412 or _is_gone(status, code)


def _status(error: Exception) -> int:
    """0 where no answer came, or one that says done and cannot be read."""
    status = error.status_code or 0 if isinstance(error, HttpResponseError) else 0
    return status if status >= 300 else 0


def _code(error: Exception) -> str:
    """The service's name for the error; never its message, which may repeat what was sent."""
    if not isinstance(error, HttpResponseError) or error.response is None:
        return ""
    code: Any = getattr(error, "error_code", None)
    if code is None:  # of a single row's write, which the SDK does not decode
        answer: Any = error.response
        with suppress(AzureError):
            found = _CODE.search(answer.content)
            code = found[1].decode() if found else answer.headers.get("x-ms-error-code")
    return str(getattr(code, "value", code) or "")


def _mapped(kind: str, table: str, status: int, code: str, error: Exception) -> Exception:
    if not status:
        if isinstance(error, ClientAuthenticationError):
            return StoreUnreachableError(f"no token for storage ({type(error).__name__})", reason="no_token")
        return StoreUnreachableError(f"{kind} in {table}: no answer ({type(error).__name__})", reason=silence(error))
    said = f"{table}: {status} {code}".rstrip()
    if status in {401, 403}:
        needed = "the app's identity needs the role Storage Table Data Contributor"
        return StoreUnreachableError(f"{said}; {needed}", reason="forbidden")
    if code == "TableNotFound":
        remedy = "the deployment creates the tables (locally: Stores__CreateTables=true)"
        return StoreUnreachableError(f"{said}; {remedy}", reason="not_found")
    if status >= 500 or status in _AGAIN or code in _PASSING:
        return StoreUnreachableError(said)
    return StoreRefusedError(said)


def _where(terms: Iterable[tuple[str, str, object]]) -> str:
    """The texts are parameters, whatever they hold."""
    return " and ".join(f"{name} {operator} @{place}" for place, (name, operator, _) in enumerate(terms))


def _row(entity: TableEntity) -> dict[str, Any]:
    """The entity's properties; the SDK wraps 64-bit numbers together with their type."""
    return {name: it.value if isinstance(it, EntityProperty) else it for name, it in entity.items()}


def _age(date: str, timestamp: datetime | None) -> float:
    """Date is cut to the second and Timestamp to 100 ns, so the difference, less what the SDK cuts off, is the least
    that it can be."""
    if not date or timestamp is None:
        return 0.0
    age = parsedate_to_datetime(date) - timestamp - timedelta(microseconds=1)
    return max(0.0, age.total_seconds())


# ------------------------------------------------------------------------------------------------------------ requests


def _entity(partition: str, row_key: str, row: Row) -> dict[str, Any]:
    """The row as the SDK takes it, which has to be told what is a 64-bit number."""
    entity: dict[str, Any] = {"PartitionKey": partition, "RowKey": row_key, **row}
    for name, value in row.items():
        if is_int64(name, value):
            entity[name] = EntityProperty(value, EdmType.INT64)
    return entity


class _Observed(AsyncHTTPPolicy[HttpRequest, AsyncHttpResponse]):
    """Tells of every try of every request to one table."""

    def __init__(self, table: str, observer: Observer) -> None:
        super().__init__()
        self._table = table
        self._observer = observer

    async def send(self, request: PipelineRequest[HttpRequest]) -> PipelineResponse[HttpRequest, AsyncHttpResponse]:
        started, status = time.time_ns(), 0
        try:
            response = await self.next.send(request)
            status = response.http_response.status_code
            return response
        finally:
            kind = _kind(request.http_request)
            self._observer(Observation(kind, self._table, started, time.time_ns(), status))


def _kind(request: HttpRequest) -> str:
    if request.method in {"PUT", "DELETE"}:
        return "update" if request.method == "PUT" else "delete"
    path = request.url.partition("?")[0]
    if request.method == "GET":
        return "query" if path.endswith("()") else "read"
    return {"$batch": "transaction", "Tables": "create"}.get(path.rpartition("/")[2], "insert")
