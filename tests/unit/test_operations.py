"""What was seen beneath the SDKs is read as what a role has to allow."""

from __future__ import annotations

import pytest

from tests.support.operations import summary

ACCOUNT = "http://127.0.0.1:10002/account"


@pytest.mark.parametrize(
    ("noted", "expected"),
    [
        (
            {"method": "GET", "url": f"{ACCOUNT}/AgentRuns(PartitionKey='a',RowKey='b')"},
            {"tables": {"AgentRuns": ["read"]}},
        ),
        ({"method": "GET", "url": f"{ACCOUNT}/AgentRuns()?$filter=x"}, {"tables": {"AgentRuns": ["read"]}}),
        ({"method": "POST", "url": f"{ACCOUNT}/AgentRuns"}, {"tables": {"AgentRuns": ["add"]}}),
        (
            {"method": "PUT", "url": f"{ACCOUNT}/AgentRuns(PartitionKey='a',RowKey='b')"},
            {"tables": {"AgentRuns": ["update"]}},
        ),
        ({"method": "POST", "url": f"{ACCOUNT}/Tables"}, {}),
        (
            {
                "method": "POST",
                "url": f"{ACCOUNT}/$batch",
                "data": f"x\nPOST {ACCOUNT}/AgentIndex HTTP/1.1\n\nDELETE {ACCOUNT}/AgentIndex(RowKey='a') HTTP/1.1",
            },
            {"tables": {"AgentIndex": ["add", "delete"]}},
        ),
        ({"method": "PUT", "url": f"{ACCOUNT}/runtime-payloads/a/b"}, {"blobs": {"runtime-payloads": ["write"]}}),
        ({"method": "PUT", "url": f"{ACCOUNT}/runtime-payloads?restype=container"}, {}),
        ({"link": "sender", "address": "amqps://example/a-queue"}, {"queues": {"a-queue": ["send"]}}),
        ({"link": "receiver", "address": "a-queue"}, {"queues": {"a-queue": ["listen"]}}),
        ({"link": "sender", "address": "a-queue/$management"}, {"queues": {"a-queue": ["listen"]}}),
        ({"link": "sender", "address": "$cbs"}, {}),
        ({"link": "sender", "address": "runtime-telemetry-stream"}, {"hubs": {"runtime-telemetry-stream": ["send"]}}),
    ],
)
def test_an_operation_is_read(noted: dict[str, str], expected: dict[str, dict[str, list[str]]]) -> None:
    assert summary([noted]) == expected
