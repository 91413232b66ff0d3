"""What of the API would break a client: the OpenAPI document against the released one (docs/api.md, "What may change").

``python -m mosaic_ops.api_changes`` lists it, exit 1 where there is any; ``--release`` writes the present document as
the released one, which a release does. Own code: the kept tool for it, oasdiff, is a Go program.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from mosaic_core.entrypoints.openapi import document

RELEASED: Final = Path(__file__).resolve().parent.parent / "docs" / "reference" / "openapi.released.json"
REMEDY: Final = (
    "The API's promise (docs/api.md) keeps what is released as long as the path's version lives. Add the new beside "
    "the old instead, and announce its end with Deprecation and Sunset: it goes with a new version of the path."
)

type Json = Mapping[str, Any]

_LOWER_BOUNDS: Final = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_UPPER_BOUNDS: Final = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_METHODS: Final = ("get", "put", "post", "delete", "patch", "head", "options")


@dataclass
class _Changes:
    """``old`` and ``new`` are whole documents."""

    old: Json
    new: Json
    seen: set[tuple[str, str, bool]] = field(default_factory=set)

    def all(self) -> Iterator[str]:
        for path, methods in self.old["paths"].items():
            for method in [name for name in _METHODS if name in methods]:
                where = f"{method.upper()} {path}"
                operation = self.new["paths"].get(path, {}).get(method)
                if operation is None:
                    yield f"{where}: is gone"
                else:
                    yield from self._operation(where, methods[method], operation)

    def _operation(self, where: str, old: Json, new: Json) -> Iterator[str]:
        if old.get("operationId") != new.get("operationId"):
            yield f"{where}: has another operationId"
        for way in old.get("security", [{}]):
            if way not in new.get("security", [{}]):
                yield f"{where}: can no longer be called with {', '.join(way) or 'no token'}"
        yield from self._parameters(where, old, new)
        yield from self._body(where, old.get("requestBody"), new.get("requestBody"))
        for status, answer in old["responses"].items():
            later = new["responses"].get(status)
            if later is None:
                if status < "400":
                    yield f"{where}: no longer answers {status}"
                continue
            for name in answer.get("headers", {}):
                if name not in later.get("headers", {}):
                    yield f"{where}: {status} has no header {name} any more"
            yield from self._content(f"{where} {status}", answer, later, sent=False)

    def _parameters(self, where: str, old: Json, new: Json) -> Iterator[str]:
        before = {(p["in"], p["name"]): p for p in old.get("parameters", [])}
        after = {(p["in"], p["name"]): p for p in new.get("parameters", [])}
        for key, parameter in before.items():
            if key not in after:
                yield f"{where}: the {key[0]} parameter {key[1]} is gone"
                continue
            if after[key].get("required") and not parameter.get("required"):
                yield f"{where}: the {key[0]} parameter {key[1]} is required now"
            yield from self._schema(f"{where} {key[1]}", parameter["schema"], after[key]["schema"], sent=True)
        for key in after.keys() - before.keys():
            if after[key].get("required"):
                yield f"{where}: the new {key[0]} parameter {key[1]} is required"

    def _body(self, where: str, old: Json | None, new: Json | None) -> Iterator[str]:
        if old is not None and new is not None:
            yield from self._content(f"{where} body", old, new, sent=True)
        elif old is not None:
            yield f"{where}: takes no body any more"
        if new is not None and new.get("required") and not (old and old.get("required")):
            yield f"{where}: requires a body now"

    def _content(self, where: str, old: Json, new: Json, *, sent: bool) -> Iterator[str]:
        for kind, content in old.get("content", {}).items():
            later = new.get("content", {}).get(kind)
            if later is None:
                yield f"{where}: {kind} is gone"
            else:
                yield from self._schema(where, content["schema"], later["schema"], sent=sent)

    # ------------------------------------------------------------------------------------------------------- schemas

    def _schema(self, where: str, old: Json, new: Json, *, sent: bool) -> Iterator[str]:
        """``sent``: by clients, so that nothing may be forbidden; else read by them, so that nothing may be missing."""
        pair = (str(old.get("$ref")), str(new.get("$ref")), sent)
        if "$ref" in old and "$ref" in new:
            if pair in self.seen:
                return
            self.seen.add(pair)
        before, after = _variants(old, self.old), _variants(new, self.new)
        for kind in before.keys() - after.keys():
            yield f"{where}: is no {_named(kind)} any more"
        for kind in after.keys() - before.keys():
            if not sent:
                yield f"{where}: may be {_named(kind)} now"
        for kind in before.keys() & after.keys():
            yield from self._variant(where, before[kind], after[kind], sent=sent)

    def _variant(self, where: str, old: Json, new: Json, *, sent: bool) -> Iterator[str]:
        yield from _choices(where, old, new, sent=sent)
        if sent:
            yield from _bounds(where, old, new)
        before, after = old.get("properties", {}), new.get("properties", {})
        required, now_required = set(old.get("required", ())), set(new.get("required", ()))
        for name, schema in before.items():
            if name not in after:
                yield f"{where}: the field {name} is gone"
            else:
                yield from self._schema(f"{where}.{name}", schema, after[name], sent=sent)
        for name in sorted(now_required - required if sent else (required - now_required) & after.keys()):
            yield f"{where}: the field {name} is {'required now' if sent else 'not always there any more'}"
        if sent and new.get("additionalProperties") is False and old.get("additionalProperties") is not False:
            yield f"{where}: refuses fields that it does not name now"
        if "items" in old and "items" in new:
            yield from self._schema(f"{where}[]", old["items"], new["items"], sent=sent)


def _named(kind: str) -> str:
    return kind.partition("#")[0]


def _variants(schema: Json, document: Json) -> dict[str, Json]:
    """The schema as one for each type that it allows; several of a type are told apart by their order."""
    found: dict[str, Json] = {}
    for variant in _flat(schema, document):
        for kind in [variant["type"]] if isinstance(variant.get("type"), str) else variant.get("type", ["any"]):
            name, number = kind, 1
            while name in found:
                number += 1
                name = f"{kind}#{number}"
            found[name] = variant
    return found


def _flat(schema: Json, document: Json) -> Iterator[Json]:
    if "$ref" in schema:
        target: Any = document
        for step in schema["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        yield from _flat(target, document)
        return
    several = [one for key in ("anyOf", "oneOf") for one in schema.get(key, ())]
    if several:
        for one in several:
            yield from _flat(one, document)
        return
    yield schema


def _choices(where: str, old: Json, new: Json, *, sent: bool) -> Iterator[str]:
    before, after = (s.get("enum", [s["const"]] if "const" in s else None) for s in (old, new))
    if before is None:
        if sent and after is not None:
            yield f"{where}: takes only some values now"
        return
    for value in before:
        if after is not None and value not in after:
            yield f"{where}: the value {value!r} is gone"
    if after is None and not sent:
        yield f"{where}: may be any value now"


def _bounds(where: str, old: Json, new: Json) -> Iterator[str]:
    for name in _LOWER_BOUNDS:
        if name in new and new[name] > old.get(name, float("-inf")):
            yield f"{where}: {name} is {new[name]} now"
    for name in _UPPER_BOUNDS:
        if name in new and new[name] < old.get(name, float("inf")):
            yield f"{where}: {name} is {new[name]} now"
    for name in ("pattern", "format", "multipleOf", "uniqueItems"):
        if name in new and new[name] != old.get(name):
            yield f"{where}: has another {name}, which may take less"


def breaking(old: Json, new: Json) -> list[str]:
    """Each change that a client of ``old`` would notice, as a line; both are whole OpenAPI documents."""
    return list(dict.fromkeys(_Changes(old, new).all()))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m mosaic_ops.api_changes", description="What would break a client.")
    parser.add_argument("--release", action="store_true", help="write the present document as the released one")
    if parser.parse_args(arguments).release:
        RELEASED.write_text(json.dumps(document(), indent=2) + "\n", "utf-8")
        return 0
    found = breaking(json.loads(RELEASED.read_text("utf-8")), document())
    for line in found:
        print(line)
    if found:
        print(REMEDY, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
