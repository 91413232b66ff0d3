"""Route templates as the platform's HTTP triggers understand them (the part of ASP.NET Core's syntax that is
imitated)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import unquote

from mosaic_local.host.constraints import Test, constraint

_PARAMETER = re.compile(r"(?P<catch>\*{0,2})(?P<name>[A-Za-z_]\w*)(?P<constraints>(?::.*?)?)(?P<optional>\??)", re.S)
_CONSTRAINT = re.compile(r":(?P<name>[^:()]*)(?:\((?P<argument>(?:[^()]|\((?:[^()]|\([^()]*\))*\))*)\))?", re.S)
_ESCAPED_SLASH = re.compile(r"%2[fF]")
_RESERVED = ("admin", "runtime")


@dataclass(frozen=True, slots=True)
class _Segment:
    literal: str = ""
    parameter: str = ""
    tests: tuple[Test, ...] = ()
    optional: bool = False
    catch_all: bool = False

    def accepts(self, value: str) -> bool:
        if not self.parameter:
            return value.lower() == self.literal
        return all(test(value) for test in self.tests)


@dataclass(frozen=True, slots=True)
class RouteTemplate:
    """``api/v1/runs/{runId:guid}``: literals match whatever their case, parameters one segment each."""

    text: str
    segments: tuple[_Segment, ...] = field(compare=False)

    @classmethod
    def parse(cls, template: str) -> RouteTemplate:
        """Raises ValueError for what the platform refuses, and for syntax that is not imitated: a parameter within a
        segment, a default."""
        segments = [_segment(part) for part in _parts(template)]
        if any(segment.optional or segment.catch_all for segment in segments[:-1]):
            raise ValueError(f"in the route {template!r} an optional or catch-all parameter is not the last")
        names = [segment.parameter.lower() for segment in segments if segment.parameter]
        if len(set(names)) < len(names):
            raise ValueError(f"in the route {template!r} a parameter is named twice")
        return cls(template, tuple(segments))

    def match(self, raw_path: str) -> dict[str, str] | None:
        """The route parameters of a still percent-encoded path, or None. ``%2F`` stays as it is, as on the platform."""
        parts = raw_path.strip("/").split("/") if raw_path.strip("/") else []
        values: dict[str, str] = {}
        for index, segment in enumerate(self.segments):
            if segment.catch_all:
                rest = "/".join(_decode(part) for part in parts[index:])
                if not rest:
                    return values
                values[segment.parameter] = rest
                return values if segment.accepts(rest) else None
            if index >= len(parts):
                return values if segment.optional else None
            value = _decode(parts[index])
            if not segment.accepts(value):
                return None
            if segment.parameter:
                if not value:
                    return None
                values[segment.parameter] = value
        return values if len(parts) <= len(self.segments) else None


def template_of(prefix: str, route: str, function: str) -> str:
    """A function's whole template: without a route of its own it has its function's name. Raises ValueError for a
    route in the host's own room, and for one that begins with a slash behind a prefix."""
    own = route if route.strip() else function
    if own.strip("/").lower().startswith(_RESERVED):
        raise ValueError(
            f"the route {route!r} conflicts with the host's own: none begins with {' or '.join(_RESERVED)}"
        )
    template = f"{prefix}/{own}" if prefix else own.removeprefix("~").removeprefix("/")
    if "//" in template:
        raise ValueError(
            f"the route {template!r} has two slashes in a row: leave out the one at its beginning, or for an ASGI or "
            'WSGI app set extensions.http.routePrefix of host.json to ""'
        )
    return template


def _parts(template: str) -> Iterator[str]:
    """The segments; a slash within braces does not end one."""
    depth, part = 0, ""
    for character in template.strip("/"):
        depth += (character == "{") - (character == "}")
        if character == "/" and depth == 0:
            yield part
            part = ""
        else:
            part += character
    if part:
        yield part


def _segment(part: str) -> _Segment:
    if "{" not in part and "}" not in part:
        if "?" in part:
            raise ValueError(f"the route segment {part!r} has a question mark outside of a parameter")
        return _Segment(literal=part.lower())
    inner = part[1:-1].replace("{{", "{").replace("}}", "}")
    match = _PARAMETER.fullmatch(inner) if part.startswith("{") and part.endswith("}") else None
    if match is None or not _balanced(part[1:-1]):
        raise ValueError(f"the route segment {part!r} is not imitated by the embedded host")
    tests, at, text = [], 0, match["constraints"]
    while at < len(text):
        one = _CONSTRAINT.match(text, at)
        if one is None:
            raise ValueError(f"the route segment {part!r} has a constraint that is not understood")
        if one["name"]:
            tests.append(constraint(one["name"], one["argument"]))
        at = one.end()
    return _Segment("", match["name"], tuple(tests), bool(match["optional"]), bool(match["catch"]))


def _balanced(inner: str) -> bool:
    """Within a parameter braces stand in pairs only, as in ``regex(^\\d{{3}}$)``."""
    return not re.search(r"[{}]", inner.replace("{{", "").replace("}}", ""))


def _decode(part: str) -> str:
    if "%" not in part:
        return part
    return "%2F".join(unquote(piece) for piece in _ESCAPED_SLASH.split(part))
