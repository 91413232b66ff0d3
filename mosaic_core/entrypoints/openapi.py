"""The OpenAPI 3.1 document, made from the route table and the pydantic models. ``python -m
mosaic_core.entrypoints.openapi`` prints it."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from typing import Any, Final, Literal

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from mosaic_core.config import VERSION
from mosaic_core.domain.envelope import MAX_DEPTH, MAX_NUMBER_CHARACTERS, _no_control
from mosaic_core.entrypoints.examples import example
from mosaic_core.entrypoints.http import idempotency, schema_rules
from mosaic_core.entrypoints.http.answers import CODES, PROBLEM_JSON, PROBLEM_TYPES
from mosaic_core.entrypoints.http.bodies import ErrorAnswer, ErrorDetail, Problem, ProblemDetails, _printable
from mosaic_core.entrypoints.http.call import QUOTA, Access, Route
from mosaic_core.entrypoints.http.request_parts import (
    JSON,
    JSON_LINES,
    MAX_BATCH_BYTES,
    MAX_BODY_BYTES,
    MAX_LINE_BYTES,
)
from mosaic_core.entrypoints.http.routes import ROUTES
from mosaic_core.services.callers import CHOICE_HEADER

type Document = dict[str, Any]
type Mode = Literal["validation", "serialization"]

_REFERENCE: Final = "#/components/schemas/{model}"


_OF_VALIDATORS: Final = {_no_control: schema_rules.NO_CONTROL, _printable: schema_rules.PRINTABLE}

_RULES_OF_ALL: Final = (
    "Texts are trimmed (Unicode's white space); lengths, patterns and choices are of what remains, and a day or a time "
    "is one of the calendar. Bodies are UTF-8 without a byte order mark and without a content encoding; JSON has no "
    f"key twice in an object, no NaN or Infinity, no half of a surrogate pair, at most {MAX_DEPTH} levels and "
    f"{MAX_NUMBER_CHARACTERS} characters for a number. Query parameters and headers that an operation does not name "
    "are ignored; fields of a body that it does not name are refused."
)


class _Untitled(GenerateJsonSchema):
    """Without titles that only repeat a field's name."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def function_after_schema(self, schema: Any) -> dict[str, Any]:
        """With what a validator checks in code."""
        return {**super().function_after_schema(schema), **_OF_VALIDATORS.get(schema["function"]["function"], {})}


@cache
def document_text() -> str:
    return json.dumps(document(), separators=(",", ":"))


def document(routes: Sequence[Route] = ROUTES) -> Document:
    """The document as JSON-ready values."""
    models = sorted(set(_models(routes)), key=lambda pair: (pair[0].__name__, pair[1]))
    references, definitions = models_json_schema(models, ref_template=_REFERENCE, schema_generator=_Untitled)
    shapes = _Shapes(references, definitions["$defs"])
    paths: dict[str, Document] = {}
    for route in routes:
        paths.setdefault(f"/api/{route.route}", {})[route.method.lower()] = _operation(route, shapes)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Mosaic Money runtime agent API",
            "version": VERSION,
            "description": (
                f"Enqueues commands for the runtime worker, and shows a household what became of them. {_RULES_OF_ALL}"
            ),
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": told} for name, told in _TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": definitions["$defs"],
            "examples": dict(_error_examples()),
            "x-problem-types": {code: {"title": title, "status": status} for code, (status, title) in CODES.items()},
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": (
                        "A token of the configured issuer for the configured audience. Roles are its claims; which "
                        "household it opens, the memberships of its subject say."
                    ),
                }
            },
        },
    }


_TAGS: Final = {
    "commands": "What enqueues a command for the worker.",
    "household": "What a household may read of its own.",
    "operators": "Of every household, by ids and codes, for operators.",
    "service": "The instance and its description.",
}


@dataclass(frozen=True, slots=True)
class _Shapes:
    """The schemas of the models, and an example of each."""

    references: Any
    definitions: Mapping[str, Document]

    def content(self, model: type[BaseModel], mode: Mode) -> Document:
        schema = self.references[model, mode]
        return {"schema": schema, "example": example(schema, self.definitions)}


def _tag(route: Route) -> str:
    if route.path.startswith("/ops/"):
        return "operators"
    if route.access == Access.ANYBODY:
        return "service"
    return "household" if route.method == "GET" else "commands"


def _error_examples() -> Iterator[tuple[str, Document]]:
    """Each code's error in its two shapes."""
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    for code, (status, meaning) in CODES.items():
        of_field = [ErrorDetail(field="message", issue="field required")] if code == "validation_failed" else []
        plain = Problem(code=code, message=meaning, trace_id=trace_id, details=of_field)
        problem = ProblemDetails(
            type=PROBLEM_TYPES + code,
            title=meaning,
            status=status,
            detail=meaning,
            code=code,
            trace_id=trace_id,
            errors=of_field,
        )
        yield code, {"summary": meaning, "value": ErrorAnswer(error=plain).model_dump(mode="json", by_alias=True)}
        yield f"{code}.problem", {"summary": meaning, "value": problem.model_dump(mode="json", by_alias=True)}


def _models(routes: Sequence[Route]) -> Iterator[tuple[type[BaseModel], Mode]]:
    yield ErrorAnswer, "serialization"
    yield ProblemDetails, "serialization"
    for route in routes:
        for model in (route.body, route.lines, route.lines_query):
            if model is not None:
                yield model, "validation"
        for model in (route.answer, *route.also.values()):
            if model is not None:
                yield model, "serialization"


def _operation(route: Route, shapes: _Shapes) -> Document:
    operation: Document = {
        "operationId": route.name,
        "tags": [_tag(route)],
        "summary": route.summary,
        "security": _security(route),
        "parameters": [*_parameters(route)],
        "responses": _responses(route, shapes),
    }
    if description := " ".join(filter(None, (route.description, route.role and f"Role: `{route.role}`."))):
        operation["description"] = description
    if route.body is not None:
        content: Document = {JSON: shapes.content(route.body, "validation")}
        for kind in JSON_LINES if route.lines is not None else ():
            assert route.lines is not None
            each = route.lines.__name__
            content[kind] = {
                "schema": {"type": "string", "description": f"One `{each}` a line."},
                "example": json.dumps(shapes.content(route.lines, "validation")["example"]) + "\n",
            }
        most = f"At most {MAX_BATCH_BYTES if route.lines else MAX_BODY_BYTES} bytes"
        each_line = f", {MAX_LINE_BYTES} for a line of JSON Lines" if route.lines else ""
        operation["requestBody"] = {"description": f"{most}{each_line}.", "required": True, "content": content}
    return operation


def _security(route: Route) -> list[dict[str, list[str]]]:
    if route.access != Access.ANYBODY:
        return [{"bearer": []}]
    return [{}, {"bearer": []}] if route.more_for else []


def _parameters(route: Route) -> Iterator[Document]:
    for name in re.findall(r"{(\w+)}", route.path):
        schema = {"id": schema_rules.ID, "lane": schema_rules.LANE}.get(name, schema_rules.GUID)
        yield {"name": name, "in": "path", "required": True, "schema": schema}
    for parameter in route.query:
        yield {
            "name": parameter.name,
            "in": "query",
            "description": parameter.description,
            "schema": dict(parameter.schema),
            **({"required": True} if parameter.required else {}),
        }
    if route.lines_query is not None:
        schemas = TypeAdapter(route.lines_query).json_schema(schema_generator=_Untitled)
        for name, schema in schemas["properties"].items():
            yield {
                "name": name,
                "in": "query",
                "description": "Required with JSON Lines, unused with JSON."
                + (" An `Idempotency-Key` can stand for it." if name == "batchId" else ""),
                "schema": schema if "$ref" not in schema else schemas["$defs"][schema["$ref"].rpartition("/")[2]],
            }
    if route.takes_key:
        yield {
            "name": idempotency.HEADER,
            "in": "header",
            "description": idempotency.DESCRIPTION,
            "schema": schema_rules.IDEMPOTENCY_KEY,
        }
    if route.tagged:
        yield {
            "name": "If-None-Match",
            "in": "header",
            "description": "The `ETag` of the answer that the caller has.",
            "schema": {"type": "string"},
        }
    if route.access == Access.MEMBER:
        yield {
            "name": CHOICE_HEADER,
            "in": "header",
            "description": "Which membership, where the caller has several. Another value is 401, or 403.",
            "schema": schema_rules.GUID,
        }


_TAG: Final = {"description": "Stands for the answer's content.", "schema": {"type": "string"}}
_RETRY_AFTER: Final = {"description": "Seconds.", "schema": {"type": "integer", "minimum": 1}}
_VARY: Final = {"description": "`Accept`: which shape it has.", "schema": {"type": "string", "const": "Accept"}}
_CHALLENGE: Final = {"description": "`Bearer`, and what is wrong with the token.", "schema": {"type": "string"}}
_LINK: Final = {
    "description": 'Where the next page is (`rel="next"`, RFC 8288); absent on the last one.',
    "schema": {"type": "string"},
}
_RATE_LIMITS: Final = {
    "RateLimit-Policy": {
        "description": (
            "The household's quota of commands, `q` in `w` seconds; where there is one and it was counted "
            "(draft-ietf-httpapi-ratelimit-headers-10)."
        ),
        "schema": {"type": "string", "examples": [f'"{QUOTA}";q=300;w=60']},
    },
    "RateLimit": {
        "description": (
            "`r`: how many more the household may ask for now; `t`: seconds until the quota is whole again, or with "
            "none left, until there is one."
        ),
        "schema": {"type": "string", "examples": [f'"{QUOTA}";r=299;t=1']},
    },
}


def _responses(route: Route, shapes: _Shapes) -> dict[str, Document]:
    said: Document = {"schema": {"type": "object"}, "example": {"openapi": "3.1.0"}}
    if route.answer is not None:
        said = shapes.content(route.answer, "serialization")
    responses: dict[str, Document] = {
        str(route.status): {"description": HTTPStatus(route.status).phrase, "content": {JSON: said}}
    }
    if route.tagged:
        responses["304"] = {"description": "It is what `If-None-Match` names, still."}
    for status, model in route.also.items():
        responses[str(status)] = {
            "description": HTTPStatus(status).phrase,
            "content": {JSON: shapes.content(model, "serialization")},
        }
    for status in sorted({CODES[code][0] for code in route.codes} - set(route.also)):
        codes = [code for code in route.codes if CODES[code][0] == status]
        responses[str(status)] = {
            "description": " ".join(f"`{code}`: {CODES[code][1]}" for code in codes),
            "headers": {"Vary": _VARY},
            "content": {
                JSON: {
                    "schema": shapes.references[ErrorAnswer, "serialization"],
                    "examples": {code: {"$ref": f"#/components/examples/{code}"} for code in codes},
                },
                PROBLEM_JSON: {
                    "schema": shapes.references[ProblemDetails, "serialization"],
                    "examples": {code: {"$ref": f"#/components/examples/{code}.problem"} for code in codes},
                },
            },
        }
    for code, response in responses.items():
        if headers := dict(_headers(route, int(code))):
            response.setdefault("headers", {}).update(headers)
    return responses


def _headers(route: Route, status: int) -> Iterator[tuple[str, Document]]:
    """What an answer of that status carries beside its body's type; of errors, what any of its codes does."""
    if status == route.status and route.location:
        yield "Location", {"description": route.location, "schema": {"type": "string", "format": "uri-reference"}}
    if status == HTTPStatus.OK and route.is_paged:
        yield "Link", _LINK
    if route.tagged and status in (HTTPStatus.OK, HTTPStatus.NOT_MODIFIED):
        yield "ETag", _TAG
        yield "Retry-After", {**_RETRY_AFTER, "description": "Seconds: there was no place to wait in."}
    if status == HTTPStatus.UNAUTHORIZED:
        yield "WWW-Authenticate", _CHALLENGE
    if status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
        yield "Retry-After", _RETRY_AFTER
    if status == HTTPStatus.ACCEPTED:
        yield "Retry-After", {**_RETRY_AFTER, "description": "Seconds until a look at the Location is worth it."}
    if "quota_exceeded" in route.codes and status in (route.status, HTTPStatus.TOO_MANY_REQUESTS):
        yield from _RATE_LIMITS.items()


if __name__ == "__main__":
    sys.stdout.write(json.dumps(document(), indent=2) + "\n")
