"""Each check of the infrastructure, broken on purpose, tells it by a line that names file, line and fault.

A copy of the templates and of what is compared with them gets one fault planted; the part of ``./mosaic check`` that is
there for it is run in this process. Harmless edits are planted as well: they give no line.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mosaic_ops.checks import infra
from tests.planted.infra import FAULTS, HARMLESS, Edit, Fault

ROOT = Path(__file__).resolve().parents[2]
COPIED = (
    "infra",
    "emulators",
    ".github",
    ".ci",
    ".vscode",
    ".devcontainer",
    "docs/reference",
    "azure.yaml",
    "host.json",
    "local.settings.sample.json",
    "mosaic",
    "README.md",
    "CONTRIBUTING.md",
)


def some_of(names: Iterable[str]) -> list[Any]:
    """Each eighth of them every day, all of them with the slow ones: each looks at the whole infrastructure."""
    return [pytest.param(name, marks=() if at % 8 == 0 else pytest.mark.slow) for at, name in enumerate(names)]


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkout's own files that the parts look at."""
    root = tmp_path_factory.mktemp("sound")
    for name in COPIED:
        source, target = ROOT / name, root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target)
        elif source.is_file():
            shutil.copy(source, target)
    return root


class Tree:
    """The copy, in which edits are made and taken back."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._before: dict[Path, str] = {}

    def plant(self, edit: Edit | Fault) -> None:
        path = self.root / edit.file
        text = path.read_text("utf-8")
        assert edit.old in text, f"{edit.file} has no {edit.old!r} any more: mend the table"
        self._before.setdefault(path, text)
        path.write_text(text.replace(edit.old, edit.new, 1), "utf-8")

    def restore(self) -> None:
        for path, text in self._before.items():
            path.write_text(text, "utf-8")


@pytest.fixture
def tree(sound: Path) -> Iterator[Tree]:
    tree = Tree(sound)
    yield tree
    tree.restore()


def line_of(root: Path, fault: Fault) -> int:
    """The line that the finding has to name; 0 where any will do."""
    if fault.at == "0":
        return 0
    text = (root / (fault.where or fault.file)).read_text("utf-8")
    sought = fault.at or fault.new
    assert sought in text
    return text[: text.index(sought)].count("\n") + 1


@pytest.fixture(scope="session")
def told_anyway(sound: Path) -> frozenset[str]:
    """What is told of the sound tree, without the lines' numbers: nothing, once all of it is there."""
    return frozenset(without_number(line) for part in infra.PARTS for line in infra.look(part, sound))


def without_number(line: str) -> str:
    return re.sub(r":\d+:", ":", line, count=1)


@pytest.mark.parametrize("name", infra.PARTS)
def test_the_sound_tree_gives_no_line(sound: Path, name: str) -> None:
    assert infra.look(name, sound) == []


@pytest.mark.parametrize("name", some_of(FAULTS))
def test_a_planted_fault_is_told_by_its_line(tree: Tree, told_anyway: frozenset[str], name: str) -> None:
    fault = FAULTS[name]
    tree.plant(fault)
    found = [line for line in infra.look(fault.part, tree.root) if without_number(line) not in told_anyway]
    number = line_of(tree.root, fault)
    place = f"{fault.where or fault.file}:{number}: " if number else f"{fault.where or fault.file}:"
    assert any(line.startswith(place) and fault.what in line for line in found), "\n".join([place, *found])


@pytest.mark.parametrize("name", some_of(HARMLESS))
def test_a_harmless_edit_gives_no_line(tree: Tree, told_anyway: frozenset[str], name: str) -> None:
    for edit in HARMLESS[name]:
        tree.plant(edit)
    found = [line for part in infra.PARTS for line in infra.look(part, tree.root)]
    assert [line for line in found if without_number(line) not in told_anyway] == []
