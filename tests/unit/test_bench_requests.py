"""How the benchmarks count storage requests, and how often a caller had to wait for them."""

from types import SimpleNamespace
from typing import Any

import pytest
from azure.core.pipeline.transport import AioHttpTransport
from azure.core.rest import HttpRequest
from hypothesis import given
from hypothesis import strategies as st

from bench import requests
from bench.requests import Request, levels, recorded, table_of

ACCOUNT = "http://127.0.0.1:10002/account"


def request(began: int, ended: int, *, method: str = "GET", table: str = "AgentRuns", status: int = 200) -> Request:
    return Request(method, table, began, ended, status)


def test_no_request_is_no_level() -> None:
    assert levels([]) == 0


@pytest.mark.parametrize(
    ("spans", "depth"),
    [
        ([(0, 1), (1, 2), (2, 3)], 3),
        ([(0, 2), (1, 3)], 1),
        ([(0, 2), (0, 3), (3, 4), (4, 5), (5, 6)], 4),  # key ∥ run, stages, run, key
        ([(0, 10), (1, 2), (3, 4), (5, 6)], 3),  # a long one beside a chain
        ([(0, 1), (0, 5), (1, 5), (5, 6)], 3),
    ],
)
def test_levels_are_the_longest_chain(spans: list[tuple[int, int]], depth: int) -> None:
    assert levels(request(*span) for span in spans) == depth
    assert levels(request(*span) for span in reversed(spans)) == depth


def chain(spans: list[tuple[int, int]]) -> int:
    """By trying: the longest chain that ends with each."""
    best: dict[int, int] = {}
    for at, (began, _) in sorted(enumerate(spans), key=lambda it: it[1][1]):
        best[at] = 1 + max((best[other] for other in best if spans[other][1] <= began), default=0)
    return max(best.values(), default=0)


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 10)), max_size=12))
def test_levels_agree_with_trying(starts: list[tuple[int, int]]) -> None:
    spans = [(began, began + length) for began, length in starts]
    assert levels(request(*span) for span in spans) == chain(spans)


@pytest.mark.parametrize(
    ("method", "address", "body", "table"),
    [
        ("POST", f"{ACCOUNT}/AgentRuns", b"{}", "AgentRuns"),
        ("PUT", f"{ACCOUNT}/IdempotencyKeys(PartitionKey='a',RowKey='b')", b"{}", "IdempotencyKeys"),
        ("GET", f"{ACCOUNT}/LedgerTransactions()?$filter=x&$top=3", None, "LedgerTransactions"),
        (
            "POST",
            f"{ACCOUNT}/$batch",
            f"--batch_1\r\n\r\nPOST {ACCOUNT}/AgentRunStages HTTP/1.1\r\nAccept: x\r\n\r\n{{}}".encode(),
            "AgentRunStages",
        ),
        (
            "POST",
            f"{ACCOUNT}/$batch",
            f"--b\r\n\r\nPUT {ACCOUNT}/AgentIndex(PartitionKey='a',RowKey='b') HTTP/1.1\r\n".encode(),
            "AgentIndex",
        ),
    ],
)
def test_the_table_of_a_request(method: str, address: str, body: bytes | None, table: str) -> None:
    assert table_of(HttpRequest(method, address, content=body)) == table


def test_index_rows_are_counted_apart_whoever_writes_them() -> None:
    asked = Request("POST", "AgentIndex", 0, 1, 204, "lane")
    assert [asked.part, Request("POST", "AgentRuns", 0, 1, 204, "lane").part] == ["index", "lane"]


@pytest.mark.parametrize(
    ("method", "status", "landed"),
    [("GET", 200, False), ("POST", 204, True), ("PUT", 204, True), ("POST", 409, False), ("PUT", 412, False)],
)
def test_a_write_that_landed(method: str, status: int, landed: bool) -> None:
    assert request(0, 1, method=method, status=status).write_landed is landed


async def test_every_request_of_a_transport_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    async def send(self: Any, request: Any, **options: Any) -> Any:
        if request.method == "PUT":
            raise OSError("no answer")
        return SimpleNamespace(status_code=204)

    monkeypatch.setattr(AioHttpTransport, "send", send)
    transport = AioHttpTransport()
    with recorded() as seen:
        await transport.send(HttpRequest("POST", f"{ACCOUNT}/AgentRuns"))
        token = requests.phase.set("lane")
        with pytest.raises(OSError, match="no answer"):
            await transport.send(HttpRequest("PUT", f"{ACCOUNT}/AgentSignals(PartitionKey='a',RowKey='b')"))
        requests.phase.reset(token)
    await transport.send(HttpRequest("POST", f"{ACCOUNT}/AgentRuns"))
    assert [(it.table, it.status, it.phase) for it in seen] == [
        ("AgentRuns", 204, "protocol"),
        ("AgentSignals", 0, "lane"),
    ]
    assert AioHttpTransport.send is send
