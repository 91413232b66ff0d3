"""Reading a request: ids, times, media types, sizes, JSON. Whatever does not hold raises `RequestError` with the
field's name, never its value."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, Self

import azure.functions as func
from pydantic import BaseModel, ValidationError

from mosaic_core.computing import compute, unless_stopped
from mosaic_core.config import LARGEST_BODY_BYTES
from mosaic_core.domain.envelope import TIMES, faults, parse_json
from mosaic_core.domain.errors import Detail, InvalidJsonError, RequestError
from mosaic_core.domain.ids import normalise_guid
from mosaic_core.entrypoints.http.answers import JSON as JSON

JSON_LINES: Final = ("application/x-ndjson", "application/jsonl")
MAX_BODY_BYTES: Final = 192 * 1024
MAX_BATCH_BYTES: Final = LARGEST_BODY_BYTES

MAX_LINE_BYTES: Final = 64 * 1024
_MAX_JSON_PARTS: Final = 500_000
"""Values in one JSON body: 20 MB of brackets would be gigabytes of objects."""
_MAX_DETAILS: Final = 20
_INLINE_BYTES: Final = 64 * 1024
"""A larger body is parsed on a thread, so that it does not hold up everybody else."""

_NUMBER: Final = re.compile(r"-?[0-9]{1,40}", re.ASCII)
_TIME: Final = re.compile(
    r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}([.,]\d{1,9})?)?(Z|[+-]\d{2}(:?\d{2})?)", re.ASCII | re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request. Header names are lower-case."""

    method: str
    headers: Mapping[str, str]
    path: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes

    @classmethod
    def of(cls, request: func.HttpRequest) -> Self:
        return cls(
            request.method, dict(request.headers), request.route_params, request.params, request.get_body() or b""
        )

    # ---------------------------------------------------------------------------------------------------- path, query

    def id(self, name: str) -> str:
        """A GUID of the path."""
        try:
            return normalise_guid(self.path.get(name, ""))
        except ValueError as wrong:
            raise invalid([Detail(name, str(wrong))]) from None

    def time(self, name: str) -> datetime | None:
        """A time of the query, in UTC; None where there is none. An empty one is a slip, not none."""
        if name not in self.query:
            return None
        text = self.query[name]
        # a plus sign that the caller did not encode arrives as a space
        text = re.sub(r" (?=\d{2}:?\d{2}$)", "+", text.strip())
        try:
            found = datetime.fromisoformat(text.upper()) if _TIME.fullmatch(text) else None
        except ValueError:
            found = None
        if found is None:
            raise invalid([Detail(name, "is not a time with a zone, such as 2026-01-31T08:00:00Z")])
        first, last = TIMES[0].year, TIMES[1].year - 1
        if not first <= found.year <= last:
            raise invalid([Detail(name, f"is not within the years {first} to {last}")])
        return found.astimezone(UTC)

    def choice[E: StrEnum](self, name: str, choices: type[E]) -> E | None:
        """One of the choices of the query; None where there is none. An empty one is a slip, not none."""
        if name not in self.query:
            return None
        try:
            return choices(self.query[name].strip())
        except ValueError:
            raise invalid([Detail(name, f"is none of {', '.join(choices)}")]) from None

    def text(self, name: str, pattern: re.Pattern[str], what: str) -> str | None:
        """A text of the query or the path that has to match; None where there is none. An empty one is a slip."""
        found = self.query.get(name, self.path.get(name))
        if found is None:
            return None
        if not pattern.fullmatch(found.strip()):
            raise invalid([Detail(name, f"is no {what}")])
        return found.strip()

    def query_id(self, name: str) -> str | None:
        """A GUID of the query; None where there is none."""
        if name not in self.query:
            return None
        try:
            return normalise_guid(self.query[name])
        except ValueError as wrong:
            raise invalid([Detail(name, str(wrong))]) from None

    def number(self, name: str, *, default: int, most: int, least: int = 1) -> int:
        """A whole number of the query, from ``least`` to ``most``."""
        text = self.query.get(name, str(default)).strip()
        if not _NUMBER.fullmatch(text) or not least <= int(text) <= most:
            raise invalid([Detail(name, f"is no whole number from {least} to {most}")])
        return int(text)

    # ----------------------------------------------------------------------------------------------------------- body

    def media_type(self, *allowed: str) -> str:
        """The body's media type, one of ``allowed``. UTF-8 is the only charset, and no content encoding is known."""
        kind, *parameters = self.headers.get("content-type", "").lower().split(";")
        kind = kind.strip()
        given = dict(
            pair for pair in (tuple(p.strip() for p in part.split("=", 1)) for part in parameters) if len(pair) == 2
        )
        charset = given.get("charset", "utf-8").strip('"')
        encoding = self.headers.get("content-encoding", "identity").strip().lower()
        if kind not in allowed or charset not in ("utf-8", "utf8") or encoding not in ("identity", ""):
            raise RequestError(
                "unsupported_media_type", f"the body has to be {' or '.join(allowed)} in UTF-8, not encoded"
            )
        return kind

    def check_size(self, limit: int) -> None:
        if len(self.body) > limit:
            raise RequestError("payload_too_large", f"the body is larger than {limit} bytes")

    async def json[M: BaseModel](self, model: type[M]) -> M:
        """The body as ``model``, read as strictly as a queue's message."""
        if len(self.body) > _INLINE_BYTES:
            return await compute(_parse, self.body, model)
        return _parse(self.body, model)

    def choose(self, model: type[BaseModel]) -> Any:
        """The query's parameters as ``model``; others are left alone."""
        names = [field.alias or name for name, field in model.model_fields.items()]
        return validated(model, {name: self.query[name] for name in names if name in self.query})


def _parse[M: BaseModel](body: bytes, model: type[M]) -> M:
    if len(body) > _INLINE_BYTES and sum(body.count(mark) for mark in (b"{", b"[", b",")) > _MAX_JSON_PARTS:
        raise invalid([Detail("body", "has too many values")])
    try:
        document = parse_json(body)
    except InvalidJsonError as wrong:
        raise invalid([Detail("body", wrong.rationale)]) from None
    return validated(model, document)


def validated[M: BaseModel](model: type[M], document: Mapping[str, Any]) -> M:
    try:
        return model.model_validate(document)
    except ValidationError as wrong:
        raise invalid([Detail(path, issue) for path, issue in faults(wrong)]) from None


def json_lines[M: BaseModel](body: bytes, model: type[M]) -> Iterator[M]:
    """Each line of the body as ``model``; blank lines do not count. What is wrong with further lines is told along with
    the first that is wrong (`_MAX_DETAILS` of them), naming line and field."""
    wrong: list[Detail] = []
    for number, line in enumerate(unless_stopped(io.BytesIO(body)), start=1):
        if not line.strip():
            continue
        try:
            found = _line(line, model)
        except InvalidJsonError as error:
            wrong.append(Detail(f"line {number}", error.rationale))
        except ValidationError as error:
            wrong.extend(Detail(f"line {number}: {path}", issue) for path, issue in faults(error))
        else:
            if not wrong:
                yield found
        if len(wrong) >= _MAX_DETAILS:
            break
    if wrong:
        raise invalid(wrong)


def _line[M: BaseModel](line: bytes, model: type[M]) -> M:
    if len(line) > MAX_LINE_BYTES:
        raise InvalidJsonError(f"is longer than {MAX_LINE_BYTES} bytes")
    return model.model_validate(parse_json(line))


def invalid(details: list[Detail]) -> RequestError:
    return RequestError("validation_failed", "the request is not valid", details[:_MAX_DETAILS])
