"""Table Storage's requests that the stores need, on azure-core's pipeline.

The generated client of azure-data-tables costs twice this one's processor time per request, and a command is five
requests; it is the oracle of this one's tests instead (see the decision record on the table layout).
"""

from __future__ import annotations

import asyncio
import json
import re
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import urlencode

from azure.core.exceptions import AzureError, ClientAuthenticationError
from azure.core.pipeline import AsyncPipeline
from azure.core.rest import AsyncHttpResponse, HttpRequest

from mosaic_core.adapters.rows import INT64, Row
from mosaic_core.adapters.storage import Account, Transport
from mosaic_core.domain.errors import StoreRefusedError, StoreUnreachableError
from mosaic_core.ports import ETag

RETRY_WAITS: Final = (0.2, 0.6)
"""Seconds before the second and the third try; after that the delivery protocol decides."""

OPERATION_SECONDS: Final = 10.0
"""What one operation may take in all, tries and waits included: a third of a lease."""

MAX_TRANSACTION: Final = 100
_AGAIN: Final = frozenset({408, 429, 500, 502, 503, 504})
_INT32: Final = range(-(2**31), 2**31)
_PART: Final = re.compile(rb"^HTTP/1\.1 (\d{3})[^\r\n]*\r?\n(.*?)(?=^--|\Z)", re.DOTALL | re.MULTILINE)
_CODE: Final = re.compile(rb'"code"\s*:\s*"([A-Za-z]+)"')
_HEADERS: Final = {
    "Accept": "application/json;odata=minimalmetadata",
    "DataServiceVersion": "3.0",
    "MaxDataServiceVersion": "3.0;NetFx",
    "User-Agent": "mosaic-runtime-worker",
    "x-ms-version": "2019-02-02",
}
_WRITE_HEADERS: Final = {**_HEADERS, "Content-Type": "application/json", "Prefer": "return-no-content"}
_PART_HEADERS: Final = "".join(
    f"{name}: {_WRITE_HEADERS[name]}\r\n" for name in ("Accept", "Content-Type", "DataServiceVersion", "Prefer")
)


@dataclass(frozen=True, slots=True)
class Entity:
    """A row as it was read. ``age_seconds`` is on the service's clock and never more than it is."""

    row: dict[str, Any]
    etag: ETag
    age_seconds: float


@dataclass(frozen=True, slots=True)
class Observation:
    """One request as it was sent: ``kind`` is insert, update, read, query, transaction or create; times are nanoseconds
    since the epoch; ``status`` is 0 where no answer came."""

    kind: str
    table: str
    started_ns: int
    ended_ns: int
    status: int


type Observer = Callable[[Observation], None]


class TableService:
    """The tables of one storage account. Keys must be encoded already.

    Every operation raises StoreUnreachableError where it had no usable answer, after `RETRY_WAITS`, and
    StoreRefusedError where the service refused the request itself. A write whose answer got lost may be tried again and
    then finds its own row: it reports a lost race, which tells the caller to look.
    """

    def __init__(
        self,
        account: Account,
        transport: Transport,
        *,
        observer: Observer | None = None,
        retry_waits: Sequence[float] = RETRY_WAITS,
        operation_seconds: float = OPERATION_SECONDS,
    ) -> None:
        self._endpoint = account.endpoint
        self._pipeline: AsyncPipeline[HttpRequest, AsyncHttpResponse] = AsyncPipeline(
            transport, [account.authentication()]
        )
        self._observer = observer
        self._waits = (*retry_waits, None)
        self._seconds = operation_seconds

    async def insert(self, table: str, partition: str, row_key: str, row: Row) -> ETag | None:
        """None: the row is there."""
        answer = await self._send(
            "insert", table, "POST", f"{self._endpoint}/{table}", _WRITE_HEADERS, encode(partition, row_key, row)
        )
        if answer.status_code == 204:
            return _etag(answer)
        if answer.status_code == 409 and _code(answer) == "EntityAlreadyExists":
            return None
        raise _refused(table, answer)

    async def update(self, table: str, partition: str, row_key: str, row: Row, etag: ETag) -> ETag | None:
        """Replace the row. None: it is gone, or it was written since ``etag``."""
        if not etag or etag == "*":
            raise ValueError("an update needs the ETag that was read")
        answer = await self._send(
            "update",
            table,
            "PUT",
            self._address(table, partition, row_key),
            {**_WRITE_HEADERS, "If-Match": etag},
            encode(partition, row_key, row),
        )
        if answer.status_code == 204:
            return _etag(answer)
        if answer.status_code == 412 or (answer.status_code == 404 and _code(answer) != "TableNotFound"):
            return None
        raise _refused(table, answer)

    async def read(self, table: str, partition: str, row_key: str, *select: str) -> Entity | None:
        address = self._address(table, partition, row_key)
        if select:
            address += f"?{urlencode({'$select': ','.join(select)})}"
        answer = await self._send("read", table, "GET", address, _HEADERS)
        if answer.status_code == 200:
            row = _json(answer)
            return Entity(row, row.get("odata.etag") or _etag(answer), _age(answer, row.get("Timestamp")))
        if answer.status_code == 404 and _code(answer) != "TableNotFound":
            return None
        raise _refused(table, answer)

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
        terms = [("PartitionKey", "eq", partition), *conditions]
        criteria = " and ".join(f"{name} {operator} {_literal(text)}" for name, operator, text in terms)
        parameters = {"$filter": criteria, "$select": ",".join(select), "$top": str(page)}
        while True:
            address = f"{self._endpoint}/{table}()?{urlencode(parameters)}"
            answer = await self._send("query", table, "GET", address, _HEADERS)
            if answer.status_code != 200:
                raise _refused(table, answer)
            for row in _json(answer)["value"]:
                yield row
            following = {
                name: value
                for name in ("NextPartitionKey", "NextRowKey")
                if (value := answer.headers.get(f"x-ms-continuation-{name}"))
            }
            if not following:
                return
            parameters |= following

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
        boundary, body = self._transaction(table, [encode(partition, key, row) for key, row in rows.items()])
        headers = {**_HEADERS, "Content-Type": f"multipart/mixed; boundary={boundary}"}
        answer = await self._send("transaction", table, "POST", f"{self._endpoint}/$batch", headers, body)
        if answer.status_code != 202:
            raise _refused(table, answer)
        parts = [(int(status), rest) for status, rest in _PART.findall(answer.content)]
        failed = [(status, _code_in(rest)) for status, rest in parts if status >= 300]
        if not failed and len(parts) == len(rows):
            return True
        if any(status == 409 and code == "EntityAlreadyExists" for status, code in failed):
            return False
        status, code = failed[0] if failed else (0, "an answer that cannot be read")
        raise _refusal(table, status, code)

    async def create(self, table: str) -> None:
        """Create the table; one that is there stays as it is."""
        body = json.dumps({"TableName": table}).encode()
        answer = await self._send("create", table, "POST", f"{self._endpoint}/Tables", _WRITE_HEADERS, body)
        if answer.status_code != 204 and not (answer.status_code == 409 and _code(answer) == "TableAlreadyExists"):
            raise _refused(table, answer)

    # ------------------------------------------------------------------------------------------------------- requests

    def _address(self, table: str, partition: str, row_key: str) -> str:
        return f"{self._endpoint}/{table}(PartitionKey='{partition}',RowKey='{row_key}')"

    def _transaction(self, table: str, entities: Sequence[bytes]) -> tuple[str, bytes]:
        batch, changes = f"batch_{uuid.uuid4()}", f"changeset_{uuid.uuid4()}"
        head = (
            f"--{changes}\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n"
            f"POST {self._endpoint}/{table} HTTP/1.1\r\n{_PART_HEADERS}Content-Length: "
        ).encode()
        parts = b"".join(b"%b%d\r\n\r\n%b\r\n" % (head, len(entity), entity) for entity in entities)
        start = f"--{batch}\r\nContent-Type: multipart/mixed; boundary={changes}\r\n\r\n".encode()
        return batch, b"%b%b--%b--\r\n--%b--\r\n" % (start, parts, changes.encode(), batch.encode())

    async def _send(
        self,
        kind: str,
        table: str,
        method: str,
        address: str,
        headers: Mapping[str, str],
        body: bytes | None = None,
    ) -> AsyncHttpResponse:
        """An answer that says something of the request; else StoreUnreachableError."""
        trouble = "no answer"
        with suppress(TimeoutError):
            async with asyncio.timeout(self._seconds):
                for wait in self._waits:
                    request = HttpRequest(method, address, headers=dict(headers), content=body)
                    started, status = time.time_ns() if self._observer else 0, 0
                    try:
                        answer = (await self._pipeline.run(request)).http_response
                        status = answer.status_code
                        if status not in _AGAIN:
                            return answer
                        trouble = f"answered {status} {_code(answer)}"
                    except ClientAuthenticationError as error:
                        raise StoreUnreachableError(f"no token for storage ({type(error).__name__})") from error
                    except (AzureError, OSError) as error:
                        trouble = f"no answer ({type(error).__name__})"
                    finally:
                        if self._observer:
                            self._observer(Observation(kind, table, started, time.time_ns(), status))
                    if wait is not None:
                        await asyncio.sleep(wait)
        raise StoreUnreachableError(f"{kind} in {table}: {trouble}")


# ------------------------------------------------------------------------------------------------------------- answers


def _etag(answer: AsyncHttpResponse) -> ETag:
    return str(answer.headers.get("ETag", ""))


def _json(answer: AsyncHttpResponse) -> dict[str, Any]:
    try:
        found = json.loads(answer.content)
    except ValueError as error:
        raise StoreUnreachableError("an answer of storage cannot be read") from error
    if not isinstance(found, dict):
        raise StoreUnreachableError("an answer of storage cannot be read")
    return found


def _code(answer: AsyncHttpResponse) -> str:
    return str(answer.headers.get("x-ms-error-code") or _code_in(answer.content))


def _code_in(body: bytes) -> str:
    """The service's name for the error; never its message, which may repeat what was sent."""
    found = _CODE.search(body)
    return found[1].decode() if found else ""


def _refused(table: str, answer: AsyncHttpResponse) -> Exception:
    return _refusal(table, answer.status_code, _code(answer))


def _refusal(table: str, status: int, code: str) -> Exception:
    said = f"{table}: {status} {code}".rstrip()
    if status in {401, 403}:
        return StoreUnreachableError(f"{said}; the app's identity needs the role Storage Table Data Contributor")
    if code == "TableNotFound":
        return StoreUnreachableError(f"{said}; the deployment creates the tables (locally: Stores__CreateTables=true)")
    if (
        status == 0
        or status >= 500
        or status in _AGAIN
        or code in {"TableBeingDeleted", "AccountBeingCreated", "OperationTimedOut"}
    ):
        return StoreUnreachableError(said)
    return StoreRefusedError(said)


def _age(answer: AsyncHttpResponse, timestamp: object) -> float:
    """Date is cut to the second and Timestamp to 100 ns, so the difference, less what parsing cuts off, is the least
    that it can be."""
    if not isinstance(timestamp, str) or "Date" not in answer.headers:
        return 0.0
    now = parsedate_to_datetime(answer.headers["Date"])
    age = now - datetime.fromisoformat(timestamp) - timedelta(microseconds=1)
    return max(0.0, age.total_seconds())


# ------------------------------------------------------------------------------------------------------------ requests


def encode(partition: str, row_key: str, row: Row) -> bytes:
    """The row as the service's JSON. Types that JSON does not tell apart are named beside the value."""
    sent: dict[str, Any] = {"PartitionKey": partition, "RowKey": row_key}
    for name, value in row.items():
        if isinstance(value, datetime):
            sent[f"{name}@odata.type"] = "Edm.DateTime"
            sent[name] = value.isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"
        elif isinstance(value, float):
            sent[f"{name}@odata.type"] = "Edm.Double"
            sent[name] = value
        elif type(value) is int and (name in INT64 or value not in _INT32):
            sent[f"{name}@odata.type"] = "Edm.Int64"
            sent[name] = str(value)
        else:
            sent[name] = value
    return json.dumps(sent, separators=(",", ":"), allow_nan=False).encode()


def _literal(text: str) -> str:
    """A text as an OData parameter: a quote within is doubled."""
    return "'" + text.replace("'", "''") + "'"
