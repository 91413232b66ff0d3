"""The requests of `test.http`, from top to bottom as a person would send them, get the answers that the file states."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest

from mosaic_local.stack import Stack, StackOptions
from tests.support.http_file import Answered, Written, fill, parse

pytestmark = pytest.mark.e2e

SECONDS = 30.0
"""What a request that is to be sent again may take."""


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """One of its own: nobody else's approvals wait in it."""
    with Stack(StackOptions()) as running:
        yield running


def test_every_request_of_the_file_gets_the_answer_that_it_states(stack: Stack) -> None:
    written = parse()
    variables = {
        **written.variables,
        "host": stack.api_base_url,
        "$dotenv MEMBER": stack.token("alice"),
        "$dotenv BANK": stack.token("alice", "Mosaic.Ingest"),
        "$dotenv OPERATOR": stack.token(
            "operator", "Mosaic.Operator.Read", "Mosaic.Operator.Replay", "Mosaic.Operator.Admin"
        ),
        "$dotenv STRANGER": stack.token("bob"),
    }
    answers: dict[str, Answered] = {}
    got: list[tuple[str, int]] = []
    for request in written.requests:
        answer = _until_it_is_so(request, variables, answers)
        answers[request.name] = answer
        got.append((request.title, answer.status))
    assert got == [(request.title, request.expected) for request in written.requests]


def _until_it_is_so(request: Written, variables: dict[str, str], answers: dict[str, Answered]) -> Answered:
    deadline = time.monotonic() + SECONDS
    while True:
        answer = _send(request, variables, answers)
        # a list of what waits is there at once, and empty at first
        empty = b'"approvals":[]' in answer.body or b'"signals":[],"lookedAt"' in answer.body
        so = answer.status == request.expected and not empty
        if so or not request.once or time.monotonic() > deadline:
            return answer
        threading.Event().wait(0.2)


def _send(request: Written, variables: dict[str, str], answers: dict[str, Answered]) -> Answered:
    url = urlsplit(fill(request.url, variables, answers))
    connection = HTTPConnection(url.hostname or "", url.port, timeout=10)
    try:
        connection.request(
            request.method,
            url.path + (f"?{url.query}" if url.query else ""),
            fill(request.body, variables, answers).encode(),
            {name: fill(value, variables, answers) for name, value in request.headers.items()},
        )
        response = connection.getresponse()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Answered(response.status, headers, response.read())
    finally:
        connection.close()
