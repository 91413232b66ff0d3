"""Rows read on azure-core's pipeline, one or a range: what an operator's page does twenty times.

As with `writes`: the SDK's table client takes a multiple of the processor time for the same request, most of it for
describing the answer. Ours is the address, the filter, and the values as `rows` wants them.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote
from uuid import UUID

from azure.core.exceptions import DeserializationError
from azure.core.rest import AsyncHttpResponse

from mosaic_core.adapters.tables.writes import Requests
from mosaic_core.ports import ETag

type Place = tuple[str, str]
"""Where the next page of a range begins: partition and row key as the service writes them, either may be empty."""

_MINIMAL: Final = {"Accept": "application/json;odata=minimalmetadata"}
_NEXT_PARTITION: Final = "x-ms-continuation-NextPartitionKey"
_NEXT_ROW: Final = "x-ms-continuation-NextRowKey"
_TYPE: Final = "@odata.type"


def _time(value: str) -> datetime:
    """Of the seven digits behind the second the last is dropped: a row's times have six."""
    found = datetime.fromisoformat(value)
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


_TYPED: Final[Mapping[str, Callable[[Any], Any]]] = {
    "Edm.Binary": base64.b64decode,
    "Edm.DateTime": _time,
    "Edm.Double": float,
    "Edm.Guid": UUID,
    "Edm.Int64": int,
}


@dataclass(frozen=True, slots=True)
class Answer:
    """A row, what its next writer has to name, and its time on the service's clock, None where it was not asked for."""

    row: dict[str, Any]
    etag: ETag
    written_at: datetime | None


class RowReads:
    """Reads from one table. Keys must be encoded already.

    Raises HttpResponseError where the service refuses, DeserializationError where its answer cannot be read, and
    whatever azure-core raises where there is none.
    """

    def __init__(self, requests: Requests) -> None:
        self._requests = requests

    async def one(self, partition: str, row_key: str, select: Sequence[str] = ()) -> tuple[Answer, str]:
        """The row, and the ``Date`` of the answer."""
        chosen = f"?$select={','.join(select)}" if select else ""
        address = f"(PartitionKey='{partition}',RowKey='{row_key}'){chosen}"
        answer = await self._requests.send("GET", address, dict(_MINIMAL), done=(200,))
        found = answered(_decoded(answer))
        etag = found.etag or answer.headers.get("ETag", "")
        return Answer(found.row, etag, found.written_at), answer.headers.get("Date", "")

    async def page(
        self, filtered: str, *, select: Sequence[str], size: int, after: Place | None = None
    ) -> tuple[list[Answer], Place | None]:
        """At most ``size`` rows for which the filter holds, and where the next page begins: None where there is none.
        A page may be empty and have a successor."""
        address = f"()?$filter={quote(filtered, safe='')}&$top={size}&$select={','.join(select)}"
        for name, key in zip(("NextPartitionKey", "NextRowKey"), after or ("", ""), strict=True):
            if key:
                address += f"&{name}={quote(key, safe='')}"
        answer = await self._requests.send("GET", address, dict(_MINIMAL), done=(200,))
        found = _decoded(answer).get("value")
        if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
            raise DeserializationError("the answer is no list of rows")
        partition, row_key = (answer.headers.get(name, "") for name in (_NEXT_PARTITION, _NEXT_ROW))
        return [answered(entry) for entry in found], (partition, row_key) if partition or row_key else None


def answered(entry: Mapping[str, Any]) -> Answer:
    """A row of the service's JSON. Raises DeserializationError where a value is not of the type that it names."""
    row: dict[str, Any] = {}
    typed: dict[str, str] = {}
    etag, written_at = "", None
    try:
        for name, value in entry.items():
            if name.endswith(_TYPE):
                typed[name.removesuffix(_TYPE)] = value
            elif name == "Timestamp":
                written_at = _time(value) if value else None
            elif name == "odata.etag":
                etag = value
            elif not name.startswith("odata."):
                row[name] = value
        for name, kind in typed.items():
            if kind in _TYPED and row.get(name) is not None:
                row[name] = _TYPED[kind](row[name])
    except (ValueError, TypeError) as error:
        raise DeserializationError(f"a value is not of its type ({type(error).__name__})") from None
    return Answer(row, etag, written_at)


def literal(text: str) -> str:
    """Text within a filter, whatever it holds."""
    return "'" + text.replace("'", "''") + "'"


def _decoded(answer: AsyncHttpResponse) -> dict[str, Any]:
    try:
        found = json.loads(answer.content)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise DeserializationError("the answer is no JSON object")
    return found
