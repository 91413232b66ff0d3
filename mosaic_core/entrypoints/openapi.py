"""The OpenAPI 3.1 document, made from the route table and the pydantic models. ``python -m
mosaic_core.entrypoints.openapi`` prints it."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from http import HTTPStatus
from typing import Any, Final, Literal

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from mosaic_core.config import VERSION
from mosaic_core.domain.envelope import MAX_DEPTH, MAX_NUMBER_CHARACTERS, _no_control
from mosaic_core.entrypoints.http import rules
from mosaic_core.entrypoints.http.answers import CODES
from mosaic_core.entrypoints.http.bodies import ErrorAnswer, _printable
from mosaic_core.entrypoints.http.call import Access
from mosaic_core.entrypoints.http.requests import (
    JSON,
    JSON_LINES,
    MAX_BATCH_BYTES,
    MAX_BODY_BYTES,
    MAX_LINE_BYTES,
)
from mosaic_core.entrypoints.http.routes import ROUTES, Route
from mosaic_core.services.membership import CHOICE_HEADER

type Document = dict[str, Any]
type Mode = Literal["validation", "serialization"]

_REFERENCE: Final = "#/components/schemas/{model}"


_OF_VALIDATORS: Final = {_no_control: rules.NO_CONTROL, _printable: rules.PRINTABLE}

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
    paths: dict[str, Document] = {}
    for route in routes:
        paths.setdefault(f"/api/{route.route}", {})[route.method.lower()] = _operation(route, references)
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
        "paths": paths,
        "components": {
            "schemas": definitions["$defs"],
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    }


def _models(routes: Sequence[Route]) -> Iterator[tuple[type[BaseModel], Mode]]:
    yield ErrorAnswer, "serialization"
    for route in routes:
        for model in (route.body, route.lines, route.lines_query):
            if model is not None:
                yield model, "validation"
        for model in (route.answer, *route.also.values()):
            if model is not None:
                yield model, "serialization"


def _operation(route: Route, references: Any) -> Document:
    operation: Document = {
        "operationId": route.name,
        "summary": route.summary,
        "security": _security(route),
        "parameters": [*_parameters(route, references)],
        "responses": _responses(route, references),
    }
    if description := " ".join(filter(None, (route.description, route.role and f"Role: `{route.role}`."))):
        operation["description"] = description
    if route.body is not None:
        content: Document = {JSON: {"schema": references[route.body, "validation"]}}
        for kind in JSON_LINES if route.lines is not None else ():
            each = route.lines.__name__ if route.lines else ""
            content[kind] = {"schema": {"type": "string", "description": f"One `{each}` a line."}}
        most = f"At most {MAX_BATCH_BYTES if route.lines else MAX_BODY_BYTES} bytes"
        each_line = f", {MAX_LINE_BYTES} for a line of JSON Lines" if route.lines else ""
        operation["requestBody"] = {"description": f"{most}{each_line}.", "required": True, "content": content}
    return operation


def _security(route: Route) -> list[dict[str, list[str]]]:
    if route.access != Access.ANYBODY:
        return [{"bearer": []}]
    return [{}, {"bearer": []}] if route.more_for else []


def _parameters(route: Route, references: Any) -> Iterator[Document]:
    for name in re.findall(r"{(\w+)}", route.path):
        schema = rules.ID if name == "id" else rules.GUID
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
                "description": "Required with JSON Lines, unused with JSON.",
                "schema": schema if "$ref" not in schema else schemas["$defs"][schema["$ref"].rpartition("/")[2]],
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
            "schema": rules.GUID,
        }


def _responses(route: Route, references: Any) -> dict[str, Document]:
    schema = references[route.answer, "serialization"] if route.answer is not None else {"type": "object"}
    success: Document = {"description": HTTPStatus(route.status).phrase, "content": {JSON: {"schema": schema}}}
    if route.location:
        success["headers"] = {"Location": {"description": route.location, "schema": {"type": "string"}}}
    responses = {str(route.status): success}
    if route.tagged:
        tag = {"description": "Stands for the answer's content.", "schema": {"type": "string"}}
        later = {"description": "Seconds: there was no place to wait in.", "schema": {"type": "integer", "minimum": 1}}
        success["headers"] = {"ETag": tag, "Retry-After": later}
        same = "It is what `If-None-Match` names, still."
        responses["304"] = {"description": same, "headers": {"ETag": tag, "Retry-After": later}}
    for status, model in route.also.items():
        responses[str(status)] = {
            "description": HTTPStatus(status).phrase,
            "content": {JSON: {"schema": references[model, "serialization"]}},
        }
    for status in sorted({CODES[code][0] for code in route.codes} - set(route.also)):
        codes = [code for code in route.codes if CODES[code][0] == status]
        responses[str(status)] = {
            "description": " ".join(f"`{code}`: {CODES[code][1]}" for code in codes),
            "content": {JSON: {"schema": references[ErrorAnswer, "serialization"]}},
        }
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            after = {"description": "Seconds.", "schema": {"type": "integer", "minimum": 1}}
            responses[str(status)]["headers"] = {"Retry-After": after}
    return responses


if __name__ == "__main__":
    sys.stdout.write(json.dumps(document(), indent=2) + "\n")
