"""The OpenAPI document is one by the standard, and each of its examples is what its schema allows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import jsonschema_rs
from openapi_spec_validator import OpenAPIV31SpecValidator

from mosaic_core.entrypoints import openapi
from mosaic_core.entrypoints.http.answers import CODES, JSON, PROBLEM_JSON
from mosaic_core.entrypoints.http.request_parts import JSON_LINES
from mosaic_core.entrypoints.http.routes import ROUTES


@cache
def document() -> dict[str, Any]:
    return openapi.document()


@cache
def checked(schema: str) -> Any:
    """Made once for each schema: it is compiled with all components."""
    whole = {**json.loads(schema), "components": document()["components"]}
    return jsonschema_rs.validator_for(whole, validate_formats=True)


def operations() -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document()["paths"].items():
        for method, operation in methods.items():
            yield f"{method} {path}", operation


def contents() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Each body: where it is, its media type, and what is said of it."""
    for where, operation in operations():
        bodies = {"body": operation["requestBody"]} if "requestBody" in operation else {}
        for part, body in {**bodies, **operation["responses"]}.items():
            for kind, content in body.get("content", {}).items():
                yield f"{where} {part} {kind}", kind, content


def fits(schema: dict[str, Any], value: object) -> bool:
    return bool(checked(json.dumps(schema)).is_valid(value))


def test_the_document_is_one_by_the_standard() -> None:
    assert not list(OpenAPIV31SpecValidator(document()).iter_errors())


def test_operations_are_named_once_and_tagged() -> None:
    names = [operation["operationId"] for _, operation in operations()]
    assert sorted(names) == sorted(route.name for route in ROUTES)
    assert len(set(names)) == len(names)
    told = {tag["name"] for tag in document()["tags"]}
    assert {tag for _, operation in operations() for tag in operation["tags"]} == told
    assert all(len(operation["tags"]) == 1 and operation["summary"] for _, operation in operations())


def test_every_body_has_an_example_that_fits() -> None:
    for where, kind, content in contents():
        if kind in JSON_LINES:
            (line,) = content["example"].splitlines()
            (name,) = [r.lines.__name__ for r in ROUTES if r.lines is not None]
            assert fits({"$ref": f"#/components/schemas/{name}"}, json.loads(line)), where
        elif "example" in content:
            assert fits(content["schema"], content["example"]), (where, content["example"])
            assert "" not in json.dumps(content["example"]).split('"')[1::2], f"an empty text says nothing: {where}"
        else:
            referred = [one["$ref"].rpartition("/")[2] for one in content["examples"].values()]
            assert referred, where
            for name in referred:
                assert fits(content["schema"], document()["components"]["examples"][name]["value"]), (where, name)


def test_every_error_is_there_in_both_shapes() -> None:
    by_name = {route.name: route for route in ROUTES}
    for where, operation in operations():
        route = by_name[operation["operationId"]]
        for code in route.codes:
            status = str(CODES[code][0])
            if int(status) in route.also:
                continue
            content = operation["responses"][status]["content"]
            assert set(content) == {JSON, PROBLEM_JSON}, where
            assert all(code in content[kind]["examples"] for kind in content), (where, code)
            assert f"`{code}`" in operation["responses"][status]["description"]


def test_an_example_that_does_not_fit_is_seen() -> None:
    _, _, content = next(one for one in contents() if "example" in one[2] and one[2]["example"])
    assert not fits(content["schema"], {**content["example"], next(iter(content["example"])): {"not": "this"}})
