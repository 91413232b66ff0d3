"""Where the host is, and what a settlement request looks like to protobuf's own decoder."""

from __future__ import annotations

import pytest
from google.protobuf import wrappers_pb2
from hypothesis import given
from hypothesis import strategies as st

from mosaic_core.adapters import settlement
from mosaic_core.adapters.settlement import host_address
from mosaic_core.domain.errors import ConfigurationError


@pytest.mark.parametrize(
    "arguments",
    [
        ["--host", "127.0.0.1", "--port", "50051", "--functions-grpc-max-message-length", "134217728"],
        ["--workerId", "7", "--port=50051", "--host=127.0.0.1", "--requestId", "9"],
        ["--functions-uri", "http://127.0.0.1:50051/", "--functions-worker-id", "7"],
        ["--functions-uri=127.0.0.1:50051"],
        ["--host", "other", "--port", "1", "--functions-uri", "http://127.0.0.1:50051"],
    ],
)
def test_reads_the_hosts_address_from_the_workers_command_line(arguments: list[str]) -> None:
    assert host_address(arguments) == "127.0.0.1:50051"


@pytest.mark.parametrize(
    "arguments", [[], ["--host", "127.0.0.1"], ["--port", "1"], ["--hos", "a", "--por", "1"], ["--port", "1", "--host"]]
)
def test_says_what_is_missing(arguments: list[str]) -> None:
    with pytest.raises(ConfigurationError) as error:
        host_address(arguments)
    assert "command line" in str(error.value)
    assert "--host" in str(error.value)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=20_000))
def test_texts_are_what_protobuf_reads(text: str) -> None:
    assert wrappers_pb2.StringValue.FromString(settlement._text(1, text)).value == text
