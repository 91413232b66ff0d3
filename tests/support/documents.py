"""Markdown documents as tests read them: fenced blocks, links, mentions."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent

_FENCE = re.compile(r"^(?P<indent> *)```(?P<info>[^`\n]*)\n(?P<text>.*?)^(?P=indent)```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block. ``line`` counts from 1 and is the fence's own; ``info`` is what follows the backticks."""

    document: str
    line: int
    info: str
    text: str

    @property
    def is_commands(self) -> bool:
        """Whether the tests run it."""
        return self.info == "sh"

    @property
    def needs(self) -> str:
        """Of commands that no test can run: what they need (``sh azure``). Empty for any other block."""
        shell, _, needs = self.info.partition(" ")
        return needs if shell == "sh" else ""

    @property
    def is_seen(self) -> bool:
        """Whether it shows what the commands before it print."""
        return self.info == "text seen"

    def __str__(self) -> str:
        return f"{self.document}:{self.line}"


def read(document: str) -> str:
    return (ROOT / document).read_text(encoding="utf-8")


def blocks(document: str, text: str | None = None) -> list[Block]:
    """All fenced blocks, in order, without the indentation that a list gives them."""
    text = read(document) if text is None else text
    found = []
    for match in _FENCE.finditer(text):
        lines = [line.removeprefix(match["indent"]) for line in match["text"].splitlines(keepends=True)]
        found.append(Block(document, text.count("\n", 0, match.start()) + 1, match["info"].strip(), "".join(lines)))
    return found


def prose(document: str) -> str:
    """The document without its fenced blocks."""
    return _FENCE.sub("", read(document))


def missing(seen: str, output: str) -> str | None:
    """The first line of ``seen`` that ``output`` lacks, in this order; ``…`` stands for anything within a line. None:
    all are there."""
    lines = iter(line.strip() for line in output.splitlines())
    for wanted in filter(None, map(str.strip, seen.splitlines())):
        pattern = re.compile(".*".join(map(re.escape, wanted.split("…"))))
        if not any(pattern.fullmatch(line) for line in lines):
            return wanted
    return None
