"""The OpenAPI document is one by the standard, and each of its examples is what its schema allows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from mosaic_core.entrypoints.http.answers import CODES, JSON, PROBLEM_JSON
from mosaic_core.entrypoints.http.request_parts import JSON_LINES
from mosaic_core.entrypoints.http.routes import ROUTES
from mosaic_core.entrypoints.openapi import document

DOCUMENT = document()


def operations() -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            yield f"{method} {path}", operation


def contents() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Each body: where it is, its media type, and what is said of it."""
    for where, operation in operations():
        bodies = {"body": operation["requestBody"]} if "requestBody" in operation else {}
        for part, body in {**bodies, **operation["responses"]}.items():
            for kind, content in body.get("content", {}).items():
                yield f"{where} {part} {kind}", kind, content


CONTENTS = list(contents())


def fits(schema: dict[str, Any], value: object) -> bool:
    whole = {**schema, "components": DOCUMENT["components"]}
    return bool(jsonschema_rs.validator_for(whole, validate_formats=True).is_valid(value))


def test_the_document_is_one_by_the_standard() -> None:
    assert not list(OpenAPIV31SpecValidator(DOCUMENT).iter_errors())


def test_operations_are_named_once_and_tagged() -> None:
    names = [operation["operationId"] for _, operation in operations()]
    assert sorted(names) == sorted(route.name for route in ROUTES)
    assert len(set(names)) == len(names)
    told = {tag["name"] for tag in DOCUMENT["tags"]}
    assert {tag for _, operation in operations() for tag in operation["tags"]} == told
    assert all(len(operation["tags"]) == 1 and operation["summary"] for _, operation in operations())


@pytest.mark.parametrize(("where", "kind", "content"), CONTENTS, ids=[where for where, _, _ in CONTENTS])
def test_every_body_has_an_example_that_fits(where: str, kind: str, content: dict[str, Any]) -> None:
    if kind in JSON_LINES:
        (line,) = content["example"].splitlines()
        (name,) = [r.lines.__name__ for r in ROUTES if r.lines is not None]
        assert fits({"$ref": f"#/components/schemas/{name}"}, json.loads(line))
        return
    if "example" in content:
        assert fits(content["schema"], content["example"]), content["example"]
        assert "" not in json.dumps(content["example"]).split('"')[1::2], "an empty text says nothing"
        return
    referred = [one["$ref"].rpartition("/")[2] for one in content["examples"].values()]
    assert referred, where
    for name in referred:
        assert fits(content["schema"], DOCUMENT["components"]["examples"][name]["value"])


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
    _, _, content = next(one for one in CONTENTS if "example" in one[2] and one[2]["example"])
    assert not fits(content["schema"], {**content["example"], next(iter(content["example"])): {"not": "this"}})
