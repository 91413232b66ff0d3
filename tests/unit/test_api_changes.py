"""What would break a client is seen, each kind of it; what does not is let through."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from mosaic_core.entrypoints.openapi import document
from mosaic_ops.api_changes import RELEASED, REMEDY, breaking, main

DOCUMENT: dict[str, Any] = {
    "openapi": "3.1.0",
    "paths": {
        "/things/{id}": {
            "post": {
                "operationId": "post_thing",
                "security": [{"bearer": []}, {}],
                "parameters": [
                    {"in": "path", "name": "id", "required": True, "schema": {"type": "string", "maxLength": 10}},
                    {"in": "query", "name": "kind", "schema": {"type": "string", "enum": ["a", "b"]}},
                    {"in": "query", "name": "limit", "schema": {"type": "integer", "minimum": 1, "maximum": 100}},
                ],
                "requestBody": {
                    "required": True,
                    "content": {
                        "application/json": {"schema": {"$ref": "#/components/schemas/Sent"}},
                        "application/x-ndjson": {"schema": {"type": "string"}},
                    },
                },
                "responses": {
                    "200": {
                        "headers": {"Link": {"schema": {"type": "string"}}},
                        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Told"}}},
                    },
                    "400": {"content": {"application/json": {"schema": {"type": "object"}}}},
                },
            },
            "get": {"operationId": "get_thing", "responses": {"200": {"content": {}}}},
        }
    },
    "components": {
        "schemas": {
            "Sent": {
                "type": "object",
                "required": ["name"],
                "additionalProperties": True,
                "properties": {
                    "name": {"type": "string", "minLength": 1},
                    "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
                    "items": {"type": "array", "maxItems": 5, "items": {"$ref": "#/components/schemas/Sent"}},
                },
            },
            "Told": {
                "type": "object",
                "required": ["id", "state"],
                "properties": {
                    "id": {"type": "string"},
                    "state": {"type": "string", "enum": ["open", "closed"]},
                    "more": {"type": "array", "items": {"$ref": "#/components/schemas/Told"}},
                },
            },
        }
    },
}

type Change = Callable[[dict[str, Any]], object]


def post(doc: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = doc["paths"]["/things/{id}"]["post"]
    return found


def sent(doc: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = doc["components"]["schemas"]["Sent"]
    return found


def told(doc: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = doc["components"]["schemas"]["Told"]
    return found


BREAKING: dict[str, tuple[Change, str]] = {
    "path": (lambda d: d["paths"].clear(), "POST /things/{id}: is gone"),
    "method": (lambda d: d["paths"]["/things/{id}"].pop("get"), "GET /things/{id}: is gone"),
    "operationId": (lambda d: post(d).update(operationId="x"), "another operationId"),
    "token needed": (lambda d: post(d).update(security=[{"bearer": []}]), "no token"),
    "parameter gone": (lambda d: post(d)["parameters"].pop(1), "the query parameter kind is gone"),
    "parameter required": (lambda d: post(d)["parameters"][1].update(required=True), "kind is required now"),
    "new required parameter": (
        lambda d: post(d)["parameters"].append({"in": "header", "name": "X", "required": True, "schema": {}}),
        "the new header parameter X is required",
    ),
    "parameter's value gone": (lambda d: post(d)["parameters"][1]["schema"]["enum"].pop(), "'b' is gone"),
    "parameter shorter": (lambda d: post(d)["parameters"][0]["schema"].update(maxLength=9), "maxLength is 9"),
    "parameter's bound": (lambda d: post(d)["parameters"][2]["schema"].update(minimum=2), "minimum is 2"),
    "parameter's pattern": (lambda d: post(d)["parameters"][0]["schema"].update(pattern="^x"), "another pattern"),
    "parameter's choices": (lambda d: post(d)["parameters"][0]["schema"].update(enum=["x"]), "only some values"),
    "body gone": (lambda d: post(d).pop("requestBody"), "takes no body"),
    "body's type gone": (lambda d: post(d)["requestBody"]["content"].pop("application/x-ndjson"), "x-ndjson is gone"),
    "field sent required": (lambda d: sent(d)["required"].append("note"), "note is required now"),
    "new field required": (
        lambda d: (sent(d)["required"].append("new"), sent(d)["properties"].update(new={"type": "string"})),
        "new is required now",
    ),
    "field sent gone": (lambda d: sent(d)["properties"].pop("note"), "the field note is gone"),
    "null forbidden": (lambda d: sent(d)["properties"].update(note={"type": "string"}), "is no null any more"),
    "field sent of another type": (lambda d: sent(d)["properties"]["name"].update(type="integer"), "is no string"),
    "fewer items": (lambda d: sent(d)["properties"]["items"].update(maxItems=4), "maxItems is 4"),
    "others refused": (lambda d: sent(d).update(additionalProperties=False), "refuses fields"),
    "success gone": (lambda d: post(d)["responses"].pop("200"), "no longer answers 200"),
    "header gone": (lambda d: post(d)["responses"]["200"].pop("headers"), "no header Link"),
    "field told gone": (lambda d: told(d)["properties"].pop("more"), "the field more is gone"),
    "field told sometimes": (lambda d: told(d)["required"].remove("id"), "id is not always there"),
    "field told nullable": (
        lambda d: told(d)["properties"].update(id={"anyOf": [{"type": "string"}, {"type": "null"}]}),
        "may be null now",
    ),
    "field told of another type": (lambda d: told(d)["properties"]["id"].update(type="integer"), "is no string"),
    "value told gone": (lambda d: told(d)["properties"]["state"]["enum"].pop(), "'closed' is gone"),
    "values told no longer named": (lambda d: told(d)["properties"]["state"].pop("enum"), "any value"),
    "error's shape gone": (lambda d: post(d)["responses"]["400"]["content"].clear(), "application/json is gone"),
}

HARMLESS: dict[str, Change] = {
    "path": lambda d: d["paths"].update({"/more": d["paths"]["/things/{id}"]}),
    "method": lambda d: d["paths"]["/things/{id}"].update(put=post(d)),
    "optional parameter": lambda d: post(d)["parameters"].append({"in": "query", "name": "x", "schema": {}}),
    "value taken": lambda d: post(d)["parameters"][1]["schema"]["enum"].append("c"),
    "wider bound": lambda d: post(d)["parameters"][2]["schema"].update(maximum=200),
    "no bound": lambda d: post(d)["parameters"][2]["schema"].pop("maximum"),
    "optional field taken": lambda d: sent(d)["properties"].update(new={"type": "string"}),
    "field optional": lambda d: sent(d)["required"].clear(),
    "null taken": lambda d: sent(d)["properties"]["name"].update(type=["string", "null"]),
    "field told": lambda d: (told(d)["required"].append("n"), told(d)["properties"].update(n={"type": "string"})),
    "value told": lambda d: told(d)["properties"]["state"]["enum"].append("paused"),
    "error": lambda d: post(d)["responses"].update({"429": {"content": {}}}),
    "error gone": lambda d: post(d)["responses"].pop("400"),
    "another shape": lambda d: post(d)["responses"]["400"]["content"].update({"application/problem+json": {}}),
    "another name of a schema": lambda d: (
        d["components"]["schemas"].update(Renamed=told(d)),
        post(d)["responses"]["200"]["content"].update(
            {"application/json": {"schema": {"$ref": "#/components/schemas/Renamed"}}}
        ),
    ),
    "open to all": lambda d: post(d).update(security=[{}, {"bearer": []}]),
    "text": lambda d: post(d).update(summary="x", description="y"),
}


def changed(change: Change) -> list[str]:
    after = copy.deepcopy(DOCUMENT)
    change(after)
    assert after != DOCUMENT
    return breaking(DOCUMENT, after)


@pytest.mark.parametrize("kind", BREAKING)
def test_what_breaks_a_client_is_named(kind: str) -> None:
    change, expected = BREAKING[kind]
    found = changed(change)
    assert any(expected in line for line in found), found
    assert all("/things/{id}" in line for line in found)


@pytest.mark.parametrize("kind", HARMLESS)
def test_what_breaks_nobody_is_let_through(kind: str) -> None:
    assert changed(HARMLESS[kind]) == []


def test_the_api_breaks_no_client_of_the_released_one() -> None:
    found = breaking(json.loads(RELEASED.read_text("utf-8")), document())
    assert not found, "\n".join([*found, REMEDY])


@pytest.mark.parametrize("name", ["RunView", "PostMessage", "Accepted"])
def test_a_field_that_goes_from_the_real_document_is_seen(name: str) -> None:
    real = document()
    fields = real["components"]["schemas"][name]["properties"]
    for gone in list(fields)[:2]:
        without = copy.deepcopy(real)
        del without["components"]["schemas"][name]["properties"][gone]
        assert any(f"the field {gone} is gone" in line for line in breaking(real, without))
    assert breaking(real, real) == []


def test_the_command_says_what_to_do(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert main([]) == 0
    less = document()
    del less["paths"]["/api/v1/agent/approvals"]
    monkeypatch.setattr("mosaic_ops.api_changes.document", lambda: less)
    assert main([]) == 1
    said = capsys.readouterr()
    assert "GET /api/v1/agent/approvals: is gone" in said.out
    assert "docs/api.md" in said.err
