"""Reasons of dead letters stand in one table, and every place names them by it."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from mosaic_core.domain.errors import PoisonError
from mosaic_core.domain.reasons import OWN_REASONS, DeadLetterReason

ROOT: Final = Path(__file__).resolve().parents[2]
TABLE: Final = ROOT / "mosaic_core" / "domain" / "reasons.py"
ROOMS: Final = ("mosaic_core", "mosaic_ops", "mosaic_local", "bench")
BROKER: Final = ROOT / "mosaic_local" / "broker"
"""It is installed without the product, and gives two reasons, as Service Bus does."""


def _files() -> Iterator[Path]:
    for room in ROOMS:
        yield from sorted((ROOT / room).rglob("*.py"))


def _literals(text: str) -> list[tuple[int, str]]:
    """The text constants that are a reason, whole."""
    if not any(reason in text for reason in DeadLetterReason):
        return []
    found = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant))
    reasons = {reason.value for reason in DeadLetterReason}
    return [(node.lineno, str(node.value)) for node in found if isinstance(node.value, str) and node.value in reasons]


def test_no_reason_is_written_out_beside_the_table() -> None:
    written = {
        f"{path.relative_to(ROOT)}:{line}: {text}"
        for path in _files()
        if path != TABLE and BROKER not in path.parents
        for line, text in _literals(path.read_text("utf-8"))
    }
    assert written == set()
    assert len(_literals(TABLE.read_text("utf-8"))) == len(DeadLetterReason)


def test_the_code_of_every_message_that_can_never_succeed_is_a_reason() -> None:
    assert PoisonError.__subclasses__()
    assert {error.code for error in PoisonError.__subclasses__()} <= OWN_REASONS


def test_every_reason_has_its_next_step_and_stands_in_the_contract() -> None:
    steps = tomllib.loads((ROOT / "mosaic_ops" / "ops" / "steps.toml").read_text("utf-8"))
    contract = (ROOT / "docs" / "contract.md").read_text("utf-8")
    assert [reason.value for reason in DeadLetterReason if reason not in steps] == []
    assert [reason.value for reason in OWN_REASONS if f"`{reason}`" not in contract] == []
