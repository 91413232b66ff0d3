"""A page that the code cites is in the tree, and has the section that is named."""

from __future__ import annotations

import ast
import io
import re
import subprocess
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.contract import section

ROOT = Path(__file__).resolve().parents[2]
PAGE = re.compile(r"(?<![\w*/{.-])[\w.-]+(?:/[\w.-]+)*\.md\b")
SECTION = re.compile(r"\b[Cc]ontract(?:'s)?,? (?:section )?(\d+)\b")
DECISION = re.compile(r"\bADR (\d+)\b|\badr/(\d{4})\b")
STEP = re.compile(r"\b[Pp]rotocol(?:'s)?,? step (\d)\b")
NAMED = re.compile(r"\((?:the )?delivery protocol, \"([^\"]+)\"\)")
CITED = (SECTION, DECISION, STEP, NAMED)
ELSEWHERE = {"mosaic_local/pyproject.toml"}
"""A package of its own, with pages of its own."""


def cites(text: str) -> bool:
    return (".md" in text and PAGE.search(text) is not None) or any(cited.search(text) for cited in CITED)


def tracked() -> list[str]:
    argv = ["git", "ls-files", "-z", "*.py", "*.toml", "*.yml", "*.sh", "*.bicep", "*.kql", "mosaic"]
    listed = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [path for path in listed.split("\0") if path and (ROOT / path).is_file()]


def said(path: str) -> str:
    """What a file says to whoever reads it: of Python its comments and docstrings, of anything else all of it."""
    source = (ROOT / path).read_text("utf-8")
    if not path.endswith(".py") or not cites(source):
        return source
    return "\n".join(_comments_and_docstrings(source))


def _comments_and_docstrings(source: str) -> Iterator[str]:
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.string
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.value.value


def is_there(page: str, beside: str) -> bool:
    return any((ROOT / folder / page).is_file() for folder in (".", "docs", "docs/reference", Path(beside).parent))


def missing(path: str, text: str) -> list[str]:
    """What the text cites that is not there."""
    if not cites(text):
        return []
    decisions = {found.name[:4] for found in (ROOT / "docs" / "adr").glob("[0-9]*.md")}
    protocol = (ROOT / "docs" / "protocol.md").read_text("utf-8")
    found = [page for page in PAGE.findall(text) if path not in ELSEWHERE and not is_there(page, path)]
    for number in SECTION.findall(text):
        try:
            section(int(number))
        except AssertionError:
            found.append(f"contract, section {number}")
    found += [f"ADR {a or b}" for a, b in DECISION.findall(text) if (a or b).zfill(4) not in decisions]
    steps = set(re.findall(r"^ ?(\d)  ", protocol, re.MULTILINE))
    found += [f"protocol, step {step}" for step in STEP.findall(text) if step not in steps]
    return found + [f"protocol, {name}" for name in NAMED.findall(text) if name not in protocol]


def test_what_the_code_cites_is_in_the_tree() -> None:
    paths = tracked()
    assert len(paths) > 400
    assert {path: lost for path in paths if (lost := missing(path, said(path)))} == {}


@pytest.mark.parametrize(
    "text",
    ["see docs/design.md", "protocol_facts.md", "(contract, section 9)", "the contract's section 12", "ADR 99"],
)
def test_a_page_that_is_not_there_is_found(text: str) -> None:
    assert missing("mosaic_core/ports.py", text)


@pytest.mark.parametrize(
    "text",
    ["docs/contract.md", "contract.md", "(contract, section 4)", "[why](docs/adr/0002-settlement.md)", "ADR 2"],
)
def test_a_page_that_is_there_is_not(text: str) -> None:
    assert missing("mosaic_core/ports.py", text) == []
