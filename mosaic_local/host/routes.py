"""Route templates as the platform's HTTP triggers understand them (the part of ASP.NET Core's syntax that is
imitated)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import unquote
from uuid import UUID

_PARAMETER = re.compile(r"\{(?P<catch>\*{0,2})(?P<name>[A-Za-z_]\w*)(?P<constraints>(?::[^{}:?]+)*)(?P<optional>\??)\}")
_ESCAPED_SLASH = re.compile(r"%2[fF]")


def _parses(parse: Callable[[str], object]) -> Callable[[str], bool]:
    def test(value: str) -> bool:
        try:
            parse(value)
        except ValueError:
            return False
        return True

    return test


_CONSTRAINTS: dict[str, Callable[[str], bool]] = {
    "int": _parses(int),
    "long": _parses(int),
    "guid": _parses(UUID),
    "bool": lambda value: value.lower() in ("true", "false"),
    "datetime": _parses(datetime.fromisoformat),
    "alpha": lambda value: re.fullmatch(r"[A-Za-z]*", value) is not None,
}


@dataclass(frozen=True, slots=True)
class _Segment:
    literal: str = ""
    parameter: str = ""
    constraints: tuple[str, ...] = ()
    optional: bool = False
    catch_all: bool = False

    def accepts(self, value: str) -> bool:
        if not self.parameter:
            return value.lower() == self.literal
        return all(_CONSTRAINTS[name](value) for name in self.constraints)


@dataclass(frozen=True, slots=True)
class RouteTemplate:
    """``api/v1/runs/{runId:guid}``: literals match whatever their case, parameters one segment each."""

    text: str
    segments: tuple[_Segment, ...]

    @classmethod
    def parse(cls, template: str) -> RouteTemplate:
        """Raises ValueError for syntax that is not imitated: a parameter within a segment, a default, an unknown
        constraint."""
        segments = []
        for part in template.strip("/").split("/") if template.strip("/") else []:
            if "{" not in part and "}" not in part:
                segments.append(_Segment(literal=part.lower()))
                continue
            match = _PARAMETER.fullmatch(part)
            if match is None:
                raise ValueError(f"the route segment {part!r} is not imitated by the embedded host")
            constraints = tuple(name.lower() for name in match["constraints"].split(":") if name)
            for name in constraints:
                if name not in _CONSTRAINTS:
                    raise ValueError(f"the route constraint {name!r} is not imitated by the embedded host")
            segments.append(
                _Segment(
                    parameter=match["name"],
                    constraints=constraints,
                    optional=bool(match["optional"]),
                    catch_all=bool(match["catch"]),
                )
            )
        if any(segment.optional or segment.catch_all for segment in segments[:-1]):
            raise ValueError(f"in the route {template!r} an optional or catch-all parameter is not the last")
        return cls(template, tuple(segments))

    @property
    def precedence(self) -> tuple[int, ...]:
        """Sort key: the more specific route first, segment by segment."""
        return tuple(
            3 if segment.catch_all else 0 if segment.literal else 1 if segment.constraints else 2
            for segment in self.segments
        )

    def match(self, raw_path: str) -> dict[str, str] | None:
        """The route parameters of a still percent-encoded path, or None. ``%2F`` stays as it is, as on the platform."""
        parts = raw_path.strip("/").split("/") if raw_path.strip("/") else []
        values: dict[str, str] = {}
        for index, segment in enumerate(self.segments):
            if segment.catch_all:
                values[segment.parameter] = "/".join(_decode(part) for part in parts[index:])
                return values
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


def _decode(part: str) -> str:
    return "%2F".join(unquote(piece) for piece in _ESCAPED_SLASH.split(part))
