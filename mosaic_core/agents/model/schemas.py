"""JSON schemas of tools as a model needs them: pydantic's, without what only costs tokens. Every request carries them
all; checking arguments is pydantic's own business, with the full model. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel


def compact(model: type[BaseModel]) -> dict[str, Any]:
    """The object's schema with definitions put in place, without titles, descriptions, defaults and nulls."""
    schema = model.model_json_schema(by_alias=True)
    slim = _slim(schema, schema.get("$defs", {}))
    return {"type": "object", "properties": {}, **slim}


def _slim(node: Any, definitions: Mapping[str, Any]) -> Any:
    if not isinstance(node, Mapping):
        return node
    if reference := node.get("$ref"):
        return _slim(definitions[reference.rpartition("/")[2]], definitions)
    if choices := [choice for choice in node.get("anyOf", ()) if choice.get("type") != "null"]:
        return _slim(choices[0], definitions)
    slim: dict[str, Any] = {}
    for key, value in node.items():
        if key in ("title", "description", "default", "$defs", "additionalProperties"):
            continue
        if key == "properties":
            slim[key] = {name: _slim(part, definitions) for name, part in value.items()}
        else:
            slim[key] = _slim(value, definitions)
    return slim
