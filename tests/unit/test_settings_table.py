"""The table of settings is the one place where a default stands."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from mosaic_core.config import AgentSettings, Settings
from mosaic_core.config.kinds import Days, Span, Wrong
from mosaic_core.config.table import SETTINGS, STUCK_AFTER

CODE = Path(__file__).resolve().parents[2] / "mosaic_core"
OF_THE_HOST = {"lock_renewal_seconds", "function_timeout_seconds"}
"""Fields of `Settings` that host.json says."""

_FILLED = [field.name for of in (Settings, AgentSettings) for field in fields(of) if field.name not in OF_THE_HOST]

NAMES = {
    name[start:]
    for filled in _FILLED
    for name in (filled, re.sub(r"_(seconds|hours|days)$", "", filled))
    for start in [0, *(place + 1 for place, letter in enumerate(name) if letter == "_")]
    if name[start:].count("_") >= 1
}
"""What a field that a setting fills is called: by its whole name, without its unit, or without what its group is
called."""


def repeated(source: str) -> Iterator[str]:
    """Fields and parameters of those names whose default is a figure of their own."""
    for node in ast.walk(ast.parse(source)):
        pairs: list[tuple[str, ast.expr | None]] = []
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            pairs = [(node.target.id, node.value)]
        elif isinstance(node, ast.arguments):
            placed = [*node.posonlyargs, *node.args]
            pairs = [(one.arg, value) for one, value in zip(node.kwonlyargs, node.kw_defaults, strict=True)]
            pairs += [
                (a.arg, d) for a, d in zip(placed[len(placed) - len(node.defaults) :], node.defaults, strict=True)
            ]
        for name, value in pairs:
            if name in NAMES and any(
                isinstance(part, ast.Constant) and isinstance(part.value, int | float) and part.value
                for part in ast.walk(value or ast.Constant(None))
            ):
                yield name


def test_no_default_of_a_setting_stands_a_second_time() -> None:
    found = {path: list(repeated(path.read_text("utf-8"))) for path in CODE.rglob("*.py")}
    assert {str(path): names for path, names in found.items() if names} == {}


def test_a_default_that_stands_twice_would_be_found() -> None:
    assert list(repeated("class Lease:\n    lease_seconds: int = 30\n")) == ["lease_seconds"]
    assert list(repeated("def sweep(*, lookback_days: int = 180) -> None: ...")) == ["lookback_days"]
    assert list(repeated("def sweep(night: int, expiry_hours: int = 72) -> None: ...")) == ["expiry_hours"]
    assert list(repeated("class Lease:\n    lease_seconds: int = table.LEASE_SECONDS.default\n")) == []


def test_every_setting_says_what_it_is_and_what_it_may_be() -> None:
    for name, setting in SETTINGS.items():
        assert setting.says, name
        assert setting.kind.takes, name


@pytest.mark.parametrize("seconds", [0.0, 59.0, 3600.0, 86_399.0, 86_400.0, 14 * 86_400 + 3600.0])
def test_a_span_is_written_as_it_is_read(seconds: float) -> None:
    kind = Span(-1.0, "")
    assert kind.read(kind.write(seconds), STUCK_AFTER.default) == seconds


def test_days_are_for_ever_or_enough() -> None:
    assert Days(30).read("0", 90) == 0
    assert Days(30).read("30", 90) == 30
    assert Days(30).read("29", 90) == Wrong("is neither 0 nor from 30 to 3650", "the default is 90, 0 is for ever")
