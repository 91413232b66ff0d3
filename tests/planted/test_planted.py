"""Every planted defect is caught by a test that is named. The table itself is held against the sources in every run."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from tests.planted import broker, delivery, domain, edges, endings, lanes, package, services, storage, testing
from tests.planted.defect import Defect
from tests.planted.planting import ROOT, Outcome, Planting, Tree

DEFECTS: Final[tuple[Defect, ...]] = (
    *delivery.DEFECTS,
    *services.DEFECTS,
    *lanes.DEFECTS,
    *domain.DEFECTS,
    *storage.DEFECTS,
    *edges.DEFECTS,
    *package.DEFECTS,
    *endings.DEFECTS,
    *broker.DEFECTS,
    *testing.DEFECTS,
)
EACH = pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)


@pytest.fixture(scope="session")
def outcomes(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mapping[str, Future[Outcome]]]:
    """Of each defect that this session asks for; they are planted in the order of the tests that wait for them."""
    planting = Planting(tmp_path_factory.mktemp("planted"))
    asked = [item for item in request.session.items if isinstance(item, pytest.Function)]
    named = {f"test_planted[{defect.name}]": defect for defect in DEFECTS}
    defects = [named[item.name] for item in asked if item.name in named]
    yield {defect.name: planting.plant(defect) for defect in defects}
    planting.close()


@pytest.mark.slow
@pytest.mark.timeout(300)
@EACH
def test_planted(defect: Defect, outcomes: Mapping[str, Future[Outcome]]) -> None:
    outcome = outcomes[defect.name].result()
    if outcome.left_out and not os.environ.get("CI"):
        pytest.skip(outcome.left_out)
    assert outcome.failed, f"not caught: {defect.what}\n{outcome.output[-3000:]}"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_without_a_defect_they_all_pass(tmp_path: Path) -> None:
    named = sorted({node for defect in DEFECTS for node in defect.caught_by})
    outcome = Tree(tmp_path / "tree").test(named, seconds=800, stop=False)
    assert outcome.code == 0, outcome.output[-3000:]


def test_the_thirteen_that_no_test_saw_are_all_there() -> None:
    """Those that the review of the delivery planted unnoticed; `-k thirteen` shows that each is seen."""
    assert len([defect for defect in DEFECTS if defect.name.startswith("thirteen-")]) == 13


def test_names_are_each_of_one_defect() -> None:
    names = [defect.name for defect in DEFECTS]
    assert len(set(names)) == len(names)


@EACH
def test_a_planted_defect_still_has_its_place_and_its_tests(defect: Defect) -> None:
    text = defect.planted((ROOT / defect.file).read_text(encoding="utf-8"))
    if defect.file.endswith(".py"):
        compile(text, defect.file, "exec")
    assert defect.caught_by
    for node in defect.caught_by:
        file, *names = node.split("::")
        assert _has_test(ROOT / file, names), f"there is no {node}"


@cache
def _parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def _has_test(file: Path, names: list[str]) -> bool:
    """Whether the file has the function, or the class with the method."""
    nodes: list[ast.stmt] = _parsed(file).body
    for name in names:
        kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
        found = next((node for node in nodes if isinstance(node, kinds) and node.name == name), None)
        if found is None:
            return False
        nodes = found.body
    return bool(names) and names[-1].startswith("test_")
