"""Where the host is, and what a settlement request looks like to protobuf's own decoder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf import wrappers_pb2
from hypothesis import given
from hypothesis import strategies as st

from mosaic_core.adapters import host_settlement
from mosaic_core.adapters.host_settlement import host_address
from mosaic_core.domain.errors import ConfigurationError

ROOT = Path(__file__).resolve().parents[2]


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
    [problem] = error.value.problems
    assert (problem.name, problem.reason) == ("the worker's command line", "failed")
    assert "--host" in str(error.value)


@pytest.mark.skipif(not host_settlement._COMMAND_LINE.exists(), reason="the system does not tell command lines")
@pytest.mark.parametrize(
    "rewritten", [[], ["app"], ["app", "--port"], ["app", "--functions-uri", "http://[::1"], ["app", "--host", "x"]]
)
@pytest.mark.parametrize(
    "given",
    [
        ["--host", "127.0.0.1", "--port", "50051", "--workerId", "7", "--functions-grpc-max-message-length", "2"],
        ["--functions-uri", "http://127.0.0.1:50051/", "--functions-worker-id", "7"],
    ],
)
def test_what_the_process_was_started_with_counts_where_its_arguments_were_rewritten(
    given: list[str], rewritten: list[str], tmp_path: Path
) -> None:
    """As the platform starts its worker: a module, interpreter options before it."""
    (tmp_path / "stands_in_for_the_worker.py").write_text(
        f"import sys\nsys.argv[:] = {rewritten!r}\n"
        "from mosaic_core.adapters.host_settlement import host_address\nprint(host_address())\n"
    )
    command = [sys.executable, "-X", "no_debug_ranges", "-m", "stands_in_for_the_worker", *given]
    environ = {"PYTHONPATH": f"{tmp_path}:{ROOT}"}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "127.0.0.1:50051"


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=20_000))
def test_texts_are_what_protobuf_reads(text: str) -> None:
    assert wrappers_pb2.StringValue.FromString(host_settlement._text(1, text)).value == text
