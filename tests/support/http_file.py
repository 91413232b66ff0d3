"""`test.http` as VS Code's REST Client reads it: variables, named requests, what each is expected to answer."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.support.documents import read

FILE = "test.http"

_VARIABLE = re.compile(r"^@(?P<name>\w+) *= *(?P<value>.*)$")
_REQUEST = re.compile(r"^(?P<method>[A-Z]+) (?P<url>\S+)$")
_HEADER = re.compile(r"^(?P<name>[\w-]+): *(?P<value>.*)$")
_USE = re.compile(r"\{\{([^{}]+)\}\}")
_STEP = re.compile(r"\.(\w+)|\[(\d+)\]")


@dataclass(frozen=True, slots=True)
class Written:
    """One request of the file. ``once``: it is to be sent again until the expected status comes."""

    title: str
    name: str
    method: str
    url: str
    headers: Mapping[str, str]
    body: str
    expected: int
    once: bool


@dataclass
class HttpFile:
    variables: dict[str, str] = field(default_factory=dict)
    requests: list[Written] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Answered:
    status: int
    headers: Mapping[str, str]
    body: bytes


def parse(text: str | None = None) -> HttpFile:
    """Raises ValueError, naming the request, where one is not written as the client understands it."""
    head, *parts = re.split(r"^###", read(FILE) if text is None else text, flags=re.MULTILINE)
    found = HttpFile()
    for line in head.splitlines():
        if match := _VARIABLE.match(line):
            found.variables[match["name"]] = match["value"].strip()
    found.requests = [_request(part) for part in parts]
    return found


def _request(part: str) -> Written:
    title, *lines = part.splitlines()
    comments: list[str] = []
    while lines and (not lines[0].strip() or lines[0].startswith("#")):
        comments.append(lines.pop(0).lstrip("# ").strip())
    request = _REQUEST.match(lines.pop(0)) if lines else None
    expected = [int(comment.removeprefix("expect ")) for comment in comments if comment.startswith("expect ")]
    if request is None or len(expected) != 1:
        raise ValueError(f"{title.strip()}: no request line, or not one expected status")
    headers: dict[str, str] = {}
    while lines and lines[0].strip():
        header = _HEADER.match(lines.pop(0))
        if header is None:
            raise ValueError(f"{title.strip()}: no header")
        headers[header["name"]] = header["value"]
    return Written(
        title=title.strip(),
        name=next((c.removeprefix("@name ") for c in comments if c.startswith("@name ")), ""),
        method=request["method"],
        url=request["url"],
        headers=headers,
        body="\n".join(lines).strip(),
        expected=expected[0],
        once=any(comment.startswith("Once ") for comment in comments),
    )


def fill(text: str, variables: Mapping[str, str], answers: Mapping[str, Answered]) -> str:
    """``text`` with its ``{{…}}`` replaced: variables, and what answers of named requests hold."""

    def value(match: re.Match[str]) -> str:
        name = match[1].strip()
        request, separator, place = name.partition(".response.")
        return _from(answers[request], place) if separator else fill(variables[name], variables, answers)

    return _USE.sub(value, text)


def uses(written: Written) -> Iterator[str]:
    """The variables that a request names, and names of requests before it."""
    for text in (written.url, written.body, *written.headers.values()):
        for name in _USE.findall(text):
            yield name.strip().partition(".response.")[0]


def _from(answer: Answered, place: str) -> str:
    kind, _, path = place.partition(".")
    if kind == "headers":
        return answer.headers[path.lower()]
    found: Any = json.loads(answer.body)
    for name, index in _STEP.findall(path.removeprefix("$")):
        found = found[name] if name else found[int(index)]
    return str(found)
