"""docs/contract.md as tests read it: a section's text, and its tables."""

from __future__ import annotations

import re

from tests.support.documents import read

PAGE = "docs/contract.md"


def section(number: int) -> str:
    """The text below the heading of that number."""
    found = re.search(rf"^## {number}\. .*\n(?P<text>(?:.*\n)*?)(?=^## |\Z)", read(PAGE), re.MULTILINE)
    assert found is not None, f"{PAGE} has no section {number}"
    return found["text"]


def table(number: int, heading: str) -> list[list[str]]:
    """The cells of the section's table whose first column has that heading, row by row."""
    lines = section(number).splitlines()
    start = next((i for i, line in enumerate(lines) if line.startswith(f"| {heading} |")), None)
    assert start is not None, f"section {number} has no table that begins with {heading}"
    rows: list[list[str]] = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def code(text: str) -> list[str]:
    """What stands in backticks."""
    return re.findall(r"`([^`]+)`", text)


def properties(table_name: str) -> set[str]:
    """A table's properties as section 4 lists them."""
    [cell] = [row[1] for row in table(4, "table") if row[0] == table_name]
    plain = re.sub(r"\([^)]*\)", "", cell)
    return {re.split(r"[ =?–]", name.strip())[0] for name in plain.split(",") if name.strip()}
