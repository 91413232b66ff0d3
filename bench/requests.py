"""Storage requests as they leave the process, whichever client made them, and what they cost in sequence.

Counted below every client, in azure-core's transport: no adapter tells of its own requests here.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final, Literal
from unittest.mock import patch
from urllib.parse import unquote, urlsplit

from azure.core.pipeline.transport import AioHttpTransport

from mosaic_core.adapters.tables.stores import INDEX

type Phase = Literal["protocol", "lane"]
type Part = Literal["protocol", "lane", "index"]

phase: Final[ContextVar[Phase]] = ContextVar("bench_phase", default="protocol")
"""Who is asking: the delivery protocol, or the lane that it runs."""

_TABLE: Final = re.compile(r"/([A-Za-z][A-Za-z0-9]{2,62})(?:\(|$)")
_IN_BATCH: Final = re.compile(rb"^(?:POST|PUT|MERGE|PATCH|DELETE|GET) (\S+) HTTP/1\.1", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request. ``table`` is empty for what is not a table's; times in nanoseconds of one monotonic clock;
    ``status`` 0 where no answer came."""

    method: str
    table: str
    began: int
    ended: int
    status: int
    phase: Phase = "protocol"

    @property
    def part(self) -> Part:
        """Index rows are counted apart whoever writes them: they only point at others."""
        return "index" if self.table == INDEX else self.phase

    @property
    def write_landed(self) -> bool:
        return self.method != "GET" and 200 <= self.status < 300


@contextmanager
def recorded() -> Iterator[list[Request]]:
    """Every request of this process's azure-core clients within the block, in the order in which they ended."""
    requests: list[Request] = []
    send: Callable[..., Any] = AioHttpTransport.send

    async def observed(self: Any, request: Any, **options: Any) -> Any:
        began, status = time.perf_counter_ns(), 0
        try:
            answer = await send(self, request, **options)
            status = answer.status_code
            return answer
        finally:
            ended = time.perf_counter_ns()
            requests.append(Request(request.method, table_of(request), began, ended, status, phase.get()))

    with patch.object(AioHttpTransport, "send", observed):
        yield requests


def table_of(request: Any) -> str:
    """The table that a request is about; of a transaction, the one that its first part names."""
    path = urlsplit(request.url).path
    if path.endswith("/$batch"):
        body = getattr(request, "content", None) or getattr(request, "data", None) or b""
        first = _IN_BATCH.search(body if isinstance(body, bytes) else str(body).encode())
        path = urlsplit(first[1].decode()).path if first else ""
    found = _TABLE.search(unquote(path).removesuffix("()"))
    return found[1] if found else ""


def levels(requests: Iterable[Request]) -> int:
    """The length of the longest chain of requests each of which began after the one before had ended: how often the
    caller had to wait.

    The depth of the interval order, which taking the request that ends first, again and again, yields."""
    depth, free_from = 0, -1
    for request in sorted(requests, key=lambda it: it.ended):
        if request.began >= free_from:
            depth, free_from = depth + 1, request.ended
    return depth
